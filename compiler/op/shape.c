/* shape.c: operators that move elements and compute nothing: joining and cutting channels, padding, flattening,
   subsampling. */
#include <string.h>
#include "op/copy.h"
#include "op/rule.h"

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand operand_dy[] = {{"dy", OPERAND_VALUE, false}};
static const struct op_operand operands_ab[] = {{"a", OPERAND_VALUE, false}, {"b", OPERAND_VALUE, true}};

enum { MAX_SIDE = 1 << 30 }; /* a bound for sizes in attributes, so that sums of them cannot overflow */

/* ---- attributes */

static const struct op_attr attrs_unflatten[] = {
    {.name = "channels",
     .def = {.type = ATTR_INT, .i = 1},
     .required = true,
     .ir_only = true,
     .has_range = true,
     .min = 1,
     .max = MAX_SIDE,
     .help = "C of the result"},
    {.name = "size",
     .def = {.type = ATTR_PAIR, .v = {1, 1}},
     .required = true,
     .ir_only = true,
     .has_range = true,
     .min = 1,
     .max = MAX_SIDE,
     .help = "[h, w] of the result"},
};
static const char *const pad_places[] = {"end", "both", "start", NULL};
static const struct op_attr attrs_pad[] = {
    {.name = "channels",
     .def = {.type = ATTR_PAIR},
     .has_range = true,
     .min = 0,
     .max = MAX_SIDE,
     .help = "zero channels [before, after]"},
    {.name = "size",
     .def = {.type = ATTR_QUAD},
     .has_range = true,
     .min = 0,
     .max = MAX_SIDE,
     .help = "zeros around the image: a number, [h, w] or [top, left, bottom, right]"},
    {.name = "channels_to",
     .def = {.type = ATTR_INT},
     .spec_only = true,
     .has_range = true,
     .min = 1,
     .max = MAX_SIDE,
     .help = "so many channels in all, in place of `channels`"},
    {.name = "at",
     .def = {.type = ATTR_ENUM},
     .spec_only = true,
     .choices = pad_places,
     .help = "where channels_to adds them: end, both (half on each side) or start"},
};
static const struct op_attr attrs_slice[] = {
    {.name = "channels",
     .def = {.type = ATTR_PAIR},
     .ir_only = true,
     .has_range = true,
     .min = 0,
     .max = MAX_SIDE,
     .help = "[begin, end): the channels kept; [0, 0]: all"},
    {.name = "origin",
     .def = {.type = ATTR_PAIR},
     .ir_only = true,
     .has_range = true,
     .min = 0,
     .max = MAX_SIDE,
     .help = "[top, left] of the part kept"},
    {.name = "size",
     .def = {.type = ATTR_PAIR},
     .ir_only = true,
     .has_range = true,
     .min = 0,
     .max = MAX_SIDE,
     .help = "[h, w] of the part kept; [0, 0]: all"},
};
#define ATTR_SUBSAMPLE                                                                                            \
    {                                                                                                             \
        .name = "stride", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .required = true, .has_range = true, .min = 1, \
        .max = 65536, .help = "keeps rows and columns 0, stride, 2 * stride …: a number or [h, w]"              \
    }
static const struct op_attr attrs_subsample[] = {ATTR_SUBSAMPLE};
static const struct op_attr attrs_subsample_grad[] = {
    ATTR_SUBSAMPLE,
    {.name = "size",
     .def = {.type = ATTR_PAIR, .v = {1, 1}},
     .required = true,
     .ir_only = true,
     .has_range = true,
     .min = 1,
     .max = MAX_SIDE,
     .help = "[h, w] of dx"},
};

/* ---- concat */

static bool infer_concat(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)attr;
    struct type t = {.rank = 0};
    for (int i = 0; i < nin; i++) {
        if (!rule_value(&in[i], RULE_VALUE, "the input", e)) return false;
        if (i == 0) {
            t = in[0];
            continue;
        }
        struct type same = in[i];
        same.dim[1] = t.dim[1];
        if (!type_same_dims(&same, &t)) {
            op_fail(e, "shapes to join must agree in all but the channels: %s and %s", rule_sample(e, &in[0]),
                    rule_sample(e, &in[i]));
            return rule_note(e, "pad, resize or a convolution's stride makes images fit");
        }
        if (!add_i64(t.dim[1], in[i].dim[1], &t.dim[1])) return op_fail(e, "the result is too large");
    }
    return rule_result(out, t.dtype, t.rank, t.dim, e);
}

static bool identity_concat(const struct node *n, bool train) { return n->nin == 1 && rule_identity(n, train); }

static void grad_concat(struct grad_call *g)
{
    int64_t from = 0;
    for (int i = 0; i < g->node->nin; i++) {
        int64_t to = from + g->node->in[i]->type.dim[1];
        struct attr attr[] = {{.type = ATTR_PAIR, .v = {from, to}}, {.type = ATTR_PAIR}, {.type = ATTR_PAIR}};
        if (g->need[i] && g->dy[0]) g->dx[i] = op_build_attrs(g->graph, NULL, OPNAME_SLICE, g->dy, 1, attr)->out[0];
        from = to;
    }
}

static void ref_concat(struct ref_call *c)
{
    const struct type *y = c->out[0].type;
    int64_t pixels = ref_pixels(y);
    for (int64_t n = 0; n < ref_samples(c, y); n++) {
        double *to = c->out[0].data + n * y->dim[1] * pixels;
        for (int i = 0; i < c->nin; i++) {
            int64_t count = c->in[i].type->dim[1] * pixels;
            memcpy(to, c->in[i].data + n * count, (size_t)count * sizeof *to);
            to += count;
        }
    }
}

/* ---- flatten, unflatten, repack: the same elements in the same logical order */

static bool infer_flatten(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    if (!rule_value(&in[0], RULE_VALUE, "the input", e)) return false;
    int64_t dim[] = {in[0].dim[0], 1};
    for (int k = 1; k < in[0].rank; k++)
        if (!mul_i64(dim[1], in[0].dim[k], &dim[1])) return op_fail(e, "the result is too large");
    return rule_result(out, in[0].dtype, 2, dim, e);
}

static bool infer_unflatten(const struct type *in, int nin, const struct attr *attr, struct type *out,
                            struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_FEATURES, "the input", e)) return false;
    int64_t dim[] = {in[0].dim[0], attr[0].i, attr[1].v[0], attr[1].v[1]};
    if (!rule_result(out, in[0].dtype, 4, dim, e)) return false;
    if (dim[1] * dim[2] * dim[3] == in[0].dim[1]) return true;
    return op_fail(e, "%lld features do not make an image of %s", (long long)in[0].dim[1], rule_sample(e, out));
}

static bool infer_repack(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    bool positions = in[0].rank == 4 && in[0].dtype == DT_U8; /* of max_pool_index */
    return (positions || rule_value(&in[0], RULE_ANY, "the input", e)) &&
           rule_result(out, in[0].dtype, in[0].rank, in[0].dim, e);
}

static void grad_flatten(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const struct type *x = &g->node->in[0]->type;
    if (x->rank == 2) {
        g->dx[0] = g->dy[0];
        return;
    }
    struct attr attr[] = {{.type = ATTR_INT, .i = x->dim[1]},
                          {.type = ATTR_PAIR, .v = {x->dim[2], x->rank > 3 ? x->dim[3] : 1}}};
    g->dx[0] = op_build_attrs(g->graph, NULL, "unflatten", g->dy, 1, attr)->out[0];
}

static void grad_unflatten(struct grad_call *g)
{
    if (g->need[0] && g->dy[0]) g->dx[0] = op_build(g->graph, NULL, "flatten", g->dy, 1)->out[0];
}

/* All samples: weights, too, are repacked. */
static void ref_copy(struct ref_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, (size_t)type_elements(c->out[0].type) * sizeof(double));
}

/* ---- pad and slice: each the other's gradient */

/* Channels before and after, of CHANNELS or of channels_to and at. */
static bool pad_channels(const struct attr *attr, int64_t have, int64_t out[2], struct op_error *e)
{
    int64_t to = attr[2].i;
    out[0] = attr[0].v[0];
    out[1] = attr[0].v[1];
    if (to == 0) return true;
    if (to < have) {
        op_fail(e, "channels_to: %lld is less than the %lld channels there are", (long long)to, (long long)have);
        return rule_note(e, "padding only adds channels; a 1x1 convolution reduces them");
    }
    out[0] = attr[3].i == 0 ? 0 : attr[3].i == 1 ? (to - have) / 2 : to - have;
    out[1] = to - have - out[0];
    return true;
}

static bool infer_pad(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    int64_t channels[2];
    const int64_t *size = attr[1].v;
    if (!rule_value(&in[0], RULE_VALUE, "the input", e) || !pad_channels(attr, in[0].dim[1], channels, e)) return false;
    struct type t = in[0];
    bool spatial = size[0] || size[1] || size[2] || size[3];
    if (spatial && t.rank != 4) return op_fail(e, "size pads images only, not features %s", rule_sample(e, &t));
    bool fits = add_i64(t.dim[1], channels[0] + channels[1], &t.dim[1]);
    for (int a = 0; spatial && a < 2; a++) fits = fits && add_i64(t.dim[2 + a], size[a] + size[a + 2], &t.dim[2 + a]);
    return fits ? rule_result(out, t.dtype, t.rank, t.dim, e) : op_fail(e, "the result is too large");
}

static void grad_pad(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const struct type *x = &g->node->in[0]->type;
    int64_t channels[2];
    const int64_t *size = node_ints(g->node, "size");
    pad_channels(g->node->attr, x->dim[1], channels, NULL);
    struct attr attr[] = {{.type = ATTR_PAIR, .v = {channels[0], channels[0] + x->dim[1]}},
                          {.type = ATTR_PAIR},
                          {.type = ATTR_PAIR}};
    if (size[0] || size[1] || size[2] || size[3]) {
        attr[1] = (struct attr){.type = ATTR_PAIR, .v = {size[0], size[1]}};
        attr[2] = (struct attr){.type = ATTR_PAIR, .v = {x->dim[2], x->dim[3]}};
    }
    g->dx[0] = op_build_attrs(g->graph, NULL, OPNAME_SLICE, g->dy, 1, attr)->out[0];
}

static void ref_pad(struct ref_call *c)
{
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    int64_t channels[2], h = x->rank > 2 ? x->dim[2] : 1, w = x->rank > 3 ? x->dim[3] : 1;
    const int64_t *size = ref_ints(c, "size");
    pad_channels(c->attr, x->dim[1], channels, NULL);
    for (int64_t n = 0; n < ref_samples(c, x); n++) {
        for (int64_t i = 0; i < y->dim[1] * ref_pixels(y); i++) c->out[0].data[n * y->dim[1] * ref_pixels(y) + i] = 0;
        for (int64_t ch = 0; ch < x->dim[1]; ch++)
            for (int64_t i = 0; i < h; i++)
                for (int64_t j = 0; j < w; j++)
                    c->out[0].data[ref_at(y, n, ch + channels[0], i + size[0], j + size[1])] =
                        c->in[0].data[ref_at(x, n, ch, i, j)];
    }
}

static bool infer_slice(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_VALUE, "the input", e)) return false;
    struct type t = in[0];
    const int64_t *c = attr[0].v, *origin = attr[1].v, *size = attr[2].v;
    if (c[1] != 0) {
        if (c[0] < 0 || c[0] >= c[1] || c[1] > t.dim[1])
            return op_fail(e, "channels [%lld, %lld) are not among the %lld there are", (long long)c[0],
                           (long long)c[1], (long long)t.dim[1]);
        t.dim[1] = c[1] - c[0];
    } else if (c[0] != 0) return op_fail(e, "channels [%lld, 0) are none", (long long)c[0]);
    for (int a = 0; a < 2; a++) {
        if (size[a] == 0 && origin[a] == 0) continue;
        if (t.rank != 4 || origin[a] < 0 || size[a] < 1 || origin[a] > t.dim[2 + a] - size[a])
            return op_fail(e, "the part [%lld, %lld] from [%lld, %lld] does not lie in %s", (long long)size[0],
                           (long long)size[1], (long long)origin[0], (long long)origin[1], rule_sample(e, &in[0]));
        t.dim[2 + a] = size[a];
    }
    return rule_result(out, t.dtype, t.rank, t.dim, e);
}

static void grad_slice(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const struct type *x = &g->node->in[0]->type, *y = &g->node->out[0]->type;
    const int64_t *c = node_ints(g->node, "channels"), *o = node_ints(g->node, "origin");
    struct attr attr[COUNT_OF(attrs_pad)];
    for (int i = 0; i < COUNT_OF(attrs_pad); i++) attr[i] = attrs_pad[i].def;
    attr[0].v[0] = c[0];
    attr[0].v[1] = x->dim[1] - y->dim[1] - c[0];
    for (int a = 0; x->rank == 4 && a < 2; a++) {
        attr[1].v[a] = o[a];
        attr[1].v[a + 2] = x->dim[2 + a] - y->dim[2 + a] - o[a];
    }
    g->dx[0] = op_build_attrs(g->graph, NULL, OPNAME_PAD, g->dy, 1, attr)->out[0];
}

static void ref_slice(struct ref_call *c)
{
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    const int64_t *channels = ref_ints(c, "channels"), *origin = ref_ints(c, "origin");
    int64_t h = y->rank > 2 ? y->dim[2] : 1, w = y->rank > 3 ? y->dim[3] : 1;
    for (int64_t n = 0; n < ref_samples(c, x); n++)
        for (int64_t ch = 0; ch < y->dim[1]; ch++)
            for (int64_t i = 0; i < h; i++)
                for (int64_t j = 0; j < w; j++)
                    c->out[0].data[ref_at(y, n, ch, i, j)] =
                        c->in[0].data[ref_at(x, n, ch + channels[0], i + origin[0], j + origin[1])];
}

/* ---- subsample */

static bool infer_subsample(const struct type *in, int nin, const struct attr *attr, struct type *out,
                            struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_IMAGE, "the input", e)) return false;
    int64_t dim[] = {in[0].dim[0], in[0].dim[1], div_up(in[0].dim[2], attr[0].v[0]),
                     div_up(in[0].dim[3], attr[0].v[1])};
    return rule_result(out, in[0].dtype, 4, dim, e);
}

static bool infer_subsample_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                                 struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_IMAGE, "dy", e)) return false;
    int64_t dim[] = {in[0].dim[0], in[0].dim[1], attr[1].v[0], attr[1].v[1]};
    struct type y;
    return rule_result(out, in[0].dtype, 4, dim, e) && infer_subsample(out, 1, attr, &y, e) &&
           rule_match(&in[0], &y, e);
}

static void grad_subsample(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const int64_t *x = g->node->in[0]->type.dim;
    struct attr attr[] = {g->node->attr[0], {.type = ATTR_PAIR, .v = {x[2], x[3]}}};
    g->dx[0] = op_build_attrs(g->graph, NULL, OPNAME_SUBSAMPLE_GRAD, g->dy, 1, attr)->out[0];
}

static void ref_subsample(struct ref_call *c)
{
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    const int64_t *stride = ref_ints(c, "stride");
    for (int64_t n = 0; n < ref_samples(c, x); n++)
        for (int64_t ch = 0; ch < y->dim[1]; ch++)
            for (int64_t h = 0; h < y->dim[2]; h++)
                for (int64_t w = 0; w < y->dim[3]; w++)
                    c->out[0].data[ref_at(y, n, ch, h, w)] =
                        c->in[0].data[ref_at(x, n, ch, h * stride[0], w * stride[1])];
}

static void ref_subsample_grad(struct ref_call *c)
{
    const struct type *y = c->in[0].type, *x = c->out[0].type;
    const int64_t *stride = ref_ints(c, "stride");
    for (int64_t n = 0; n < ref_samples(c, x); n++)
        for (int64_t ch = 0; ch < x->dim[1]; ch++)
            for (int64_t h = 0; h < x->dim[2]; h++)
                for (int64_t w = 0; w < x->dim[3]; w++) {
                    bool kept = h % stride[0] == 0 && w % stride[1] == 0;
                    c->out[0].data[ref_at(x, n, ch, h, w)] =
                        kept ? c->in[0].data[ref_at(y, n, ch, h / stride[0], w / stride[1])] : 0;
                }
}

/* ---- tests: channel counts that do and do not fill vectors, joined at places that are and are not multiples of them
 */

static const struct op_test tests_concat[] = {
    {"a=2,3,7,7 b=2,1,7,7", 1e-6},
    {"a=1,16,5,5 b=1,32,5,5", 1e-6},
    {"a=3,17,13,13 b=3,3,13,13 b=3,16,13,13", 1e-6},
    {"a=1,16,3,3 b=1,17,3,3 b=1,1,3,3", 1e-6},
    {"a=1,1,1,1 b=1,1,1,1", 1e-6},
    {"a=3,17 b=3,5", 1e-6},
    {"a=2,3,7,7", 1e-6},
    {"a=1,8,7,1 b=1,8,7,1 b=1,8,7,1 b=1,8,7,1", 1e-6},
};
static const struct op_test tests_flatten[] = {
    {"x=2,3,7,7", 1e-6},   {"x=1,1,1,1", 1e-6},  {"x=3,17,1,1", 1e-6},
    {"x=3,17,13,1", 1e-6}, {"x=1,16,7,7", 1e-6}, {"x=3,17", 1e-6},
};
static const struct op_test tests_unflatten[] = {
    {"x=2,147 channels=3 size=7,7", 1e-6},  {"x=1,1 channels=1 size=1,1", 1e-6},
    {"x=3,17 channels=17 size=1,1", 1e-6},  {"x=3,221 channels=17 size=13,1", 1e-6},
    {"x=1,784 channels=16 size=7,7", 1e-6},
};
static const struct op_test tests_pad[] = {
    {"x=2,3,7,7 channels=0,2", 1e-6},
    {"x=1,16,7,7 channels=8,8", 1e-6},
    {"x=3,17,13,13 channels=3,1 size=1,2,3,0", 1e-6},
    {"x=1,1,1,1 size=1,1,1,1", 1e-6},
    {"x=3,17 channels=2,16", 1e-6},
    {"x=1,16,7,7 channels=16,16", 1e-6},
    {"x=2,3,7,7", 1e-6},
    {"x=1,3,7,1 size=0,0,2,13", 1e-6},
    {"x=2,33,1,1 channels=15,0", 1e-6},
};
static const struct op_test tests_slice[] = {
    {"x=2,3,7,7 channels=1,2", 1e-6},
    {"x=1,48,7,7 channels=16,48", 1e-6},
    {"x=3,37,13,13 channels=3,20 origin=1,2 size=7,9", 1e-6},
    {"x=1,1,1,1", 1e-6},
    {"x=3,17 channels=2,16", 1e-6},
    {"x=1,3,7,13 origin=0,12 size=7,1", 1e-6},
    {"x=2,40,5,5 channels=0,17", 1e-6},
    {"x=1,33,3,3 channels=17,33", 1e-6},
};
static const struct op_test tests_subsample[] = {
    {"x=2,3,7,7 stride=2", 1e-6},     {"x=1,1,1,1 stride=2", 1e-6}, {"x=3,17,13,13 stride=3,2", 1e-6},
    {"x=1,16,7,13 stride=1,5", 1e-6}, {"x=1,3,8,8 stride=2", 1e-6},
};
static const struct op_test tests_subsample_grad[] = {
    {"dy=2,3,4,4 stride=2 size=7,7", 1e-6},      {"dy=1,1,1,1 stride=2 size=1,1", 1e-6},
    {"dy=3,17,5,7 stride=3,2 size=13,13", 1e-6}, {"dy=1,16,7,3 stride=1,5 size=7,13", 1e-6},
    {"dy=1,3,4,4 stride=2 size=8,8", 1e-6},
};
static const struct op_test tests_repack[] = {{"x=2,3,7,7", 1e-6}, {"x=3,17", 1e-6}, {"x=17", 1e-6}};

/* ---- rows */

#define MOVE(C, F)                                                                           \
    .class_ = C, .family = &family_copy, .nouts = 1, .infer = infer_##F, .tests = tests_##F, \
    .ntests = COUNT_OF(tests_##F)
#define OPERANDS(O) .operands = O, .noperands = COUNT_OF(O)
#define ATTRS(A) .attrs = A, .nattr = COUNT_OF(A)

const struct op_def op_shape_rows[] = {
    {.name = OPNAME_CONCAT,
     .help = "joins values along their channels",
     .identity = identity_concat,
     .variant = COPY_CONCAT,
     MOVE(OP_LAYER, concat),
     OPERANDS(operands_ab),
     .variadic = true,
     .bf16 = true,
     .grad = grad_concat,
     .ref = ref_concat},
    {.name = "flatten",
     .help = "features from an image, in the order C, H, W",
     .identity = rule_identity,
     .view = true,
     MOVE(OP_LAYER, flatten),
     OPERANDS(operand_x),
     .grad = grad_flatten,
     .ref = ref_copy},
    {.name = OPNAME_PAD,
     .help = "adds channels, rows or columns of zeros",
     .identity = rule_identity,
     .variant = COPY_PAD,
     MOVE(OP_LAYER, pad),
     OPERANDS(operand_x),
     ATTRS(attrs_pad),
     .bf16 = true,
     .grad = grad_pad,
     .ref = ref_pad},
    {.name = OPNAME_SUBSAMPLE,
     .help = "every stride-th row and column",
     .identity = rule_identity,
     .variant = COPY_SUBSAMPLE,
     MOVE(OP_LAYER, subsample),
     OPERANDS(operand_x),
     ATTRS(attrs_subsample),
     .bf16 = true,
     .grad = grad_subsample,
     .ref = ref_subsample},
    {.name = "unflatten",
     .help = "an image from features: the reverse of flatten",
     .identity = rule_identity,
     .view = true,
     MOVE(OP_INTERNAL, unflatten),
     OPERANDS(operand_x),
     ATTRS(attrs_unflatten),
     .grad = grad_unflatten,
     .ref = ref_copy},
    {.name = OPNAME_SLICE,
     .help = "some channels, rows and columns",
     .identity = rule_identity,
     .variant = COPY_SLICE,
     MOVE(OP_INTERNAL, slice),
     OPERANDS(operand_x),
     ATTRS(attrs_slice),
     .bf16 = true,
     .grad = grad_slice,
     .ref = ref_slice},
    {.name = OPNAME_SUBSAMPLE_GRAD,
     .help = "gradient of subsample",
     .identity = rule_identity,
     .variant = COPY_SUBSAMPLE_GRAD,
     .phase = PHASE_BACKWARD,
     MOVE(OP_INTERNAL, subsample_grad),
     OPERANDS(operand_dy),
     ATTRS(attrs_subsample_grad),
     .bf16 = true,
     .ref = ref_subsample_grad},
    {.name = OPNAME_REPACK,
     .help = "the same value in another layout",
     .variant = COPY_REPACK,
     .repacks = true,
     .work = WORK_REPACK,
     MOVE(OP_INTERNAL, repack),
     OPERANDS(operand_x),
     .ref = ref_copy},
};
const int op_shape_nrows = COUNT_OF(op_shape_rows);
