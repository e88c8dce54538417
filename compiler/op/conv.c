/* conv.c: conv2d, conv_transpose2d, and conv2d's two gradients.
   All four tie an image X [N, I, H, W], an image Y [N, O, P, Q] and weights W [O, I/groups, KH, KW] by the same sum:
   Y[n,o,p,q] += W[o,i,r,s] · X[n,i, p·stride − pad + r·dilation, …], conv2d giving Y, dgrad X, wgrad W; a transposed
   convolution is dgrad's sum with X and Y in each other's names (Dumoulin and Visin 2016, section 4). */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "op/conv_ref.h"
#include "ir/op.h"
#include "ir/segments.h"
#include "op/init.h"
#include "op/rule.h"

enum { MAX_KERNEL = 4096, MAX_CHANNELS = 1 << 24 };

#define ATTR_STRIDE(who)                                                                                          \
    {                                                                                                             \
        .name = "stride", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .ir_only = (who), .has_range = true, .min = 1, \
        .max = MAX_KERNEL, .help = "step between windows: one number or [h, w]"                                   \
    }
#define ATTR_PAD(who)                                                                                                \
    {                                                                                                                \
        .name = "pad", .def = {.type = ATTR_QUAD}, .ir_only = (who), .has_range = true, .min = 0, .max = MAX_KERNEL, \
        .help = "zeros round the image: one number, [h, w], [top, left, bottom, right], same or valid"               \
    }
#define ATTR_DILATION(who)                                                                                          \
    {                                                                                                               \
        .name = "dilation", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .ir_only = (who), .has_range = true, .min = 1, \
        .max = MAX_KERNEL, .help = "distance between the kernel's taps: one number or [h, w]"                       \
    }
#define ATTR_GROUPS(who)                                                                                    \
    {                                                                                                       \
        .name = "groups", .def = {.type = ATTR_INT, .i = 1}, .ir_only = (who), .has_range = true, .min = 1, \
        .max = MAX_CHANNELS, .help = "channels are cut into this many groups that do not see each other"    \
    }
#define ATTR_OUT                                                                                                  \
    {                                                                                                             \
        .name = "out", .def = {.type = ATTR_INT, .i = 1}, .required = true, .spec_only = true, .has_range = true, \
        .min = 1, .max = MAX_CHANNELS, .help = "output channels"                                                  \
    }
#define ATTR_KERNEL                                                                                     \
    {                                                                                                   \
        .name = "kernel", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .required = true, .spec_only = true, \
        .has_range = true, .min = 1, .max = MAX_KERNEL, .help = "the window: one number or [h, w]"      \
    }
#define ATTR_BIAS                                                                 \
    {                                                                             \
        .name = "bias", .def = {.type = ATTR_BOOL, .b = true}, .spec_only = true, \
        .help = "adds a number for each output channel"                           \
    }

#define ATTR_ALGORITHM(names)                                                                 \
    {                                                                                         \
        .name = "algorithm", .def = {.type = ATTR_ENUM}, .ir_only = true, .choices = (names), \
        .help = "how it is computed; chosen by the pass `algorithm`"                          \
    }

/* conv2d and conv_transpose2d; the places are the same in both up to the last. */
enum {
    A_OUT,
    A_KERNEL,
    A_BIAS,
    A_STRIDE,
    A_PAD,
    A_DILATION,
    A_GROUPS,
    A_OUTPUT_PAD,
    A_ALGORITHM = A_OUTPUT_PAD,
    A_INIT,
    A_BIAS_INIT
};
/* dgrad and wgrad. */
enum { G_STRIDE, G_PAD, G_DILATION, G_GROUPS, G_SIZE, G_KERNEL = G_SIZE, G_ALGORITHM, G_CHANNELS };

static const struct op_attr conv_attrs[] = {
    [A_OUT] = ATTR_OUT,
    [A_KERNEL] = ATTR_KERNEL,
    [A_BIAS] = ATTR_BIAS,
    [A_STRIDE] = ATTR_STRIDE(false),
    [A_PAD] = ATTR_PAD(false),
    [A_DILATION] = ATTR_DILATION(false),
    [A_GROUPS] = ATTR_GROUPS(false),
    [A_ALGORITHM] = ATTR_ALGORITHM(algorithm_names),
    [A_INIT] = ATTR_INIT(INIT_CHOICE_KAIMING_NORMAL),
    [A_BIAS_INIT] = ATTR_BIAS_INIT,
};
static const struct op_attr transpose_attrs[] = {
    [A_OUT] = ATTR_OUT,
    [A_KERNEL] = ATTR_KERNEL,
    [A_BIAS] = ATTR_BIAS,
    [A_STRIDE] = ATTR_STRIDE(false),
    [A_PAD] = ATTR_PAD(false),
    [A_DILATION] = ATTR_DILATION(false),
    [A_GROUPS] = ATTR_GROUPS(false),
    [A_OUTPUT_PAD] =
        {.name = "output_pad",
         .def = {.type = ATTR_PAIR},
         .has_range = true,
         .min = 0,
         .max = MAX_KERNEL,
         .help = "further rows and columns at the bottom and the right: one number or [h, w], less than the stride or "
                 "the dilation"},
    [A_INIT] = ATTR_INIT(INIT_CHOICE_KAIMING_NORMAL),
    [A_BIAS_INIT] = ATTR_BIAS_INIT,
};
static const struct op_attr dgrad_attrs[] = {
    [G_STRIDE] = ATTR_STRIDE(true),
    [G_PAD] = ATTR_PAD(true),
    [G_DILATION] = ATTR_DILATION(true),
    [G_GROUPS] = ATTR_GROUPS(true),
    [G_SIZE] = {.name = "size",
                .def = {.type = ATTR_PAIR, .v = {1, 1}},
                .ir_only = true,
                .has_range = true,
                .min = 1,
                .max = 1 << 30,
                .help = "the image's height and width"},
    [G_ALGORITHM] = ATTR_ALGORITHM(algorithm_names),
    [G_CHANNELS] = {.name = "channels",
                    .def = {.type = ATTR_PAIR},
                    .ir_only = true,
                    .has_range = true,
                    .min = 0,
                    .max = MAX_CHANNELS,
                    .help =
                        "the first of the image's channels that are wanted, and the one behind the last; [0, 0]: all"},
};
static const struct op_attr wgrad_attrs[] = {
    [G_STRIDE] = ATTR_STRIDE(true),
    [G_PAD] = ATTR_PAD(true),
    [G_DILATION] = ATTR_DILATION(true),
    [G_GROUPS] = ATTR_GROUPS(true),
    [G_KERNEL] = {.name = "kernel",
                  .def = {.type = ATTR_PAIR, .v = {1, 1}},
                  .ir_only = true,
                  .has_range = true,
                  .min = 1,
                  .max = MAX_KERNEL,
                  .help = "the window's height and width"},
    [G_ALGORITHM] = ATTR_ALGORITHM(algorithm_names_wgrad),
};

/* ---- shapes */

struct geometry {
    const int64_t *stride, *pad, *dilation;
    int64_t groups;
};

static struct geometry conv_geometry(const struct attr *a)
{
    return (struct geometry){a[A_STRIDE].v, a[A_PAD].v, a[A_DILATION].v, a[A_GROUPS].i};
}

static struct geometry grad_geometry(const struct attr *a)
{
    return (struct geometry){a[G_STRIDE].v, a[G_PAD].v, a[G_DILATION].v, a[G_GROUPS].i};
}

static const char *const axis_name[] = {"height", "width"};

/* The windows along AXIS (0: height, 1: width) of an image of IN pixels. All numbers are bounded: nothing overflows. */
static bool windows(const struct geometry *g, int axis, int64_t in, int64_t kernel, int64_t *out, struct op_error *e)
{
    int64_t extent = (kernel - 1) * g->dilation[axis] + 1, padded = in + g->pad[axis] + g->pad[axis + 2];
    if (extent > padded) {
        if (g->dilation[axis] == 1)
            op_fail(e, "kernel %lld does not fit into the padded %s %lld", (long long)kernel, axis_name[axis],
                    (long long)padded);
        else
            op_fail(e, "kernel %lld with dilation %lld spans %lld and does not fit into the padded %s %lld",
                    (long long)kernel, (long long)g->dilation[axis], (long long)extent, axis_name[axis],
                    (long long)padded);
        return rule_note(e, "a smaller kernel, more pad, or a larger input would do");
    }
    *out = (padded - extent) / g->stride[axis] + 1;
    return true;
}

static bool divisible(const char *what, int64_t channels, int64_t groups, struct op_error *e)
{
    if (channels % groups == 0) return true;
    return op_fail(e, "%s %lld are not divisible by groups %lld", what, (long long)channels, (long long)groups);
}

/* W's [O, I/groups, …] against the channels of the two images; 0: not known. */
static bool check_weight(const struct type *w, int64_t o, int64_t i, int64_t groups, struct op_error *e)
{
    if (w->rank != 4 || w->dtype != DT_F32)
        return op_fail(e, "the weight must be f32 of rank 4, not %s", rule_shape(e, w));
    if (!rule_size(w, "the weight", e)) return false;
    if (w->dim[2] > MAX_KERNEL || w->dim[3] > MAX_KERNEL || w->dim[0] > MAX_CHANNELS || w->dim[1] > MAX_CHANNELS)
        return op_fail(e, "the weight %s is too large", rule_shape(e, w));
    if (i && !divisible("input channels", i, groups, e)) return false;
    if (!divisible("output channels", w->dim[0], groups, e)) return false;
    if (i && w->dim[1] != i / groups)
        return op_fail(e, "the weight %s wants %lld channels, but there are %lld", rule_shape(e, w),
                       (long long)(w->dim[1] * groups), (long long)i);
    if (o && w->dim[0] != o)
        return op_fail(e, "the weight %s wants %lld channels, but there are %lld", rule_shape(e, w),
                       (long long)w->dim[0], (long long)o);
    return true;
}

static bool has(const struct type *in, int nin, int i) { return i < nin && in[i].rank >= 0; }

/* X with the channels of its further segments, the operands from FIRST on. */
static bool join_parts(const struct type *in, int nin, int first, int64_t groups, struct type *x, struct op_error *e)
{
    *x = in[0];
    for (int i = first; i < nin; i++) {
        const struct type *t = &in[i];
        if (!has(in, nin, i)) continue;
        if (!rule_value(t, RULE_IMAGE, "a segment of the input", e)) return false;
        if (groups > 1) return op_fail(e, "a grouped convolution cannot read the segments of a concat in place");
        if (t->dim[0] != x->dim[0] || t->dim[2] != x->dim[2] || t->dim[3] != x->dim[3])
            return op_fail(e, "segments of the input must agree in all but the channels: %s and %s",
                           rule_shape(e, &in[0]), rule_shape(e, t));
        if (!add_i64(x->dim[1], t->dim[1], &x->dim[1]) || x->dim[1] > MAX_CHANNELS)
            return op_fail(e, "there are too many input channels");
    }
    return true;
}

static bool conv_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    const struct type *w = &in[1];
    struct type joined, *x = &joined;
    struct geometry g = conv_geometry(a);
    int64_t h, wd;
    if (!rule_value(&in[0], RULE_IMAGE, "the input", e) || !join_parts(in, nin, 3, g.groups, x, e)) return false;
    if (!check_weight(w, 0, x->dim[1], g.groups, e)) return false;
    if (!windows(&g, 0, x->dim[2], w->dim[2], &h, e) || !windows(&g, 1, x->dim[3], w->dim[3], &wd, e)) return false;
    if (has(in, nin, 2) && !rule_vector(&in[2], w->dim[0], "the bias", e)) return false;
    out[0] = type_nchw(x->dim[0], w->dim[0], h, wd);
    return rule_size(&out[0], "the result", e);
}

/* (H − 1)·stride − pads + extent + output_pad, as PyTorch's documentation of ConvTranspose2d has it. */
static bool transpose_size(const struct attr *a, const struct type *x, const struct type *w, int64_t size[2],
                           struct op_error *e)
{
    struct geometry g = conv_geometry(a);
    for (int k = 0; k < 2; k++) {
        int64_t more = a[A_OUTPUT_PAD].v[k], kernel = w->dim[2 + k];
        if (more >= max_i64(g.stride[k], g.dilation[k]))
            return op_fail(e, "output_pad %lld must be less than the stride %lld or the dilation %lld", (long long)more,
                           (long long)g.stride[k], (long long)g.dilation[k]);
        size[k] = (x->dim[2 + k] - 1) * g.stride[k] - g.pad[k] - g.pad[k + 2] + (kernel - 1) * g.dilation[k] + 1 + more;
        if (size[k] < 1)
            return op_fail(e, "the pad %lld + %lld leaves nothing of the %s", (long long)g.pad[k],
                           (long long)g.pad[k + 2], axis_name[k]);
    }
    return true;
}

static bool transpose_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    const struct type *x = &in[0], *w = &in[1];
    int64_t groups = a[A_GROUPS].i, size[2], o;
    if (!rule_value(x, RULE_IMAGE, "the input", e)) return false;
    if (!divisible("input channels", x->dim[1], groups, e)) return false;
    if (!check_weight(w, x->dim[1], 0, groups, e)) return false;
    if (!mul_i64(w->dim[1], groups, &o) || o > MAX_CHANNELS) return op_fail(e, "there are too many output channels");
    if (!transpose_size(a, x, w, size, e)) return false;
    if (has(in, nin, 2) && !rule_vector(&in[2], o, "the bias", e)) return false;
    out[0] = type_nchw(x->dim[0], o, size[0], size[1]);
    return rule_size(&out[0], "the result", e);
}

/* Do the windows of an image [.., H, W] give an image of DY's size? */
static bool check_windows(const struct geometry *g, int64_t h, int64_t w, const int64_t *kernel, const struct type *dy,
                          struct op_error *e)
{
    int64_t p, q;
    if (!windows(g, 0, h, kernel[0], &p, e) || !windows(g, 1, w, kernel[1], &q, e)) return false;
    if (p == dy->dim[2] && q == dy->dim[3]) return true;
    return op_fail(e, "%lld x %lld pixels give %lld x %lld windows, but dy is %s", (long long)h, (long long)w,
                   (long long)p, (long long)q, rule_shape(e, dy));
}

static bool dgrad_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    const struct type *dy = &in[0], *w = &in[1];
    struct geometry g = grad_geometry(a);
    (void)nin;
    if (!rule_value(dy, RULE_IMAGE, "dy", e) || !check_weight(w, dy->dim[1], 0, g.groups, e)) return false;
    if (!check_windows(&g, a[G_SIZE].v[0], a[G_SIZE].v[1], &w->dim[2], dy, e)) return false;
    int64_t c;
    const int64_t *part = a[G_CHANNELS].v;
    if (!mul_i64(w->dim[1], g.groups, &c)) return op_fail(e, "there are too many channels");
    if (part[1]) {
        if (part[0] >= part[1] || part[1] > c || g.groups > 1)
            return op_fail(e, "channels [%lld, %lld) are no part of %lld", (long long)part[0], (long long)part[1],
                           (long long)c);
        c = part[1] - part[0];
    }
    out[0] = type_nchw(dy->dim[0], c, a[G_SIZE].v[0], a[G_SIZE].v[1]);
    return rule_size(&out[0], "the result", e);
}

static bool wgrad_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    const struct type *dy = &in[1];
    struct type joined, *x = &joined;
    struct geometry g = grad_geometry(a);
    if (!rule_value(&in[0], RULE_IMAGE, "x", e) || !rule_value(dy, RULE_IMAGE, "dy", e) ||
        !join_parts(in, nin, 2, g.groups, x, e))
        return false;
    if (x->dim[0] != dy->dim[0])
        return op_fail(e, "the operands have %lld and %lld samples", (long long)x->dim[0], (long long)dy->dim[0]);
    if (!divisible("input channels", x->dim[1], g.groups, e) || !divisible("output channels", dy->dim[1], g.groups, e))
        return false;
    if (!check_windows(&g, x->dim[2], x->dim[3], a[G_KERNEL].v, dy, e)) return false;
    out[0] = type_make(DT_F32, 4, (int64_t[]){dy->dim[1], x->dim[1] / g.groups, a[G_KERNEL].v[0], a[G_KERNEL].v[1]});
    return rule_size(&out[0], "the result", e);
}

/* ---- parameters */

/* TRANSPOSED: the weight is [C, O/groups, KH, KW], and frameworks take C for its outputs. */
static int declare(const struct attr *a, const struct type *w, bool transposed, struct param_decl *out,
                   struct op_error *e)
{
    if (!rule_size(w, "the weight", e)) return -1;
    int64_t area = w->dim[2] * w->dim[3], groups = a[A_GROUPS].i, o = a[A_OUT].i;
    struct init_fans fans = {.in = w->dim[1] * area,
                             .out = w->dim[0] * area,
                             .group_out = o / groups * area,
                             .bias = (transposed ? w->dim[0] / groups : w->dim[1]) * area};
    return init_declare(a[A_INIT].i, a[A_BIAS_INIT].i, w, &fans, a[A_BIAS].b ? o : 0, out);
}

static int conv_params(const struct type *in, int nin, const struct attr *a, struct param_decl *out, struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_IMAGE, "the input", e)) return -1;
    int64_t c = in[0].dim[1], o = a[A_OUT].i, groups = a[A_GROUPS].i, kh = a[A_KERNEL].v[0], kw = a[A_KERNEL].v[1];
    if (!divisible("input channels", c, groups, e) || !divisible("output channels", o, groups, e)) return -1;
    struct type w = type_make(DT_F32, 4, (int64_t[]){o, c / groups, kh, kw});
    return declare(a, &w, false, out, e);
}

static int transpose_params(const struct type *in, int nin, const struct attr *a, struct param_decl *out,
                            struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_IMAGE, "the input", e)) return -1;
    int64_t c = in[0].dim[1], o = a[A_OUT].i, groups = a[A_GROUPS].i, kh = a[A_KERNEL].v[0], kw = a[A_KERNEL].v[1];
    if (!divisible("input channels", c, groups, e) || !divisible("output channels", o, groups, e)) return -1;
    struct type w = type_make(DT_F32, 4, (int64_t[]){c, o / groups, kh, kw});
    return declare(a, &w, true, out, e);
}

/* ---- gradients */

/* stride, pad, dilation and groups go over unchanged; SIZE: dgrad's size or wgrad's kernel. */
static void grad_attrs(const struct attr *a, const int64_t *size, struct attr out[G_CHANNELS + 1])
{
    for (int i = 0; i < G_SIZE; i++) out[i] = a[A_STRIDE + i];
    out[G_SIZE] = (struct attr){.type = ATTR_PAIR, .v = {size[0], size[1]}};
    for (int i = G_ALGORITHM; i <= G_CHANNELS; i++) out[i] = dgrad_attrs[i].def;
}

static struct value *built(struct grad_call *g, const char *op, struct value *a, struct value *b,
                           const struct attr *attr)
{
    return op_build_attrs(g->graph, NULL, op, (struct value *[]){a, b}, b ? 2 : 1, attr)->out[0];
}

static void bias_grad(struct grad_call *g)
{
    if (g->node->nin > 2 && g->need[2]) g->dx[2] = built(g, OPNAME_CHANNEL_SUM, g->dy[0], NULL, NULL);
}

/* The weight's gradient reads the segments in place too; that of each segment is a data gradient of its channels. */
static void conv_grad(struct grad_call *g)
{
    const struct node *n = g->node;
    struct value *x = n->in[0], *w = n->in[1], *in[2 + MAX_SEGMENTS] = {x, g->dy[0]};
    struct attr a[G_CHANNELS + 1];
    int nin = 2;
    bias_grad(g);
    for (int i = 3; i < n->nin; i++)
        if (n->in[i]) in[nin++] = n->in[i];
    if (g->need[1]) {
        grad_attrs(n->attr, &w->type.dim[2], a);
        g->dx[1] = op_build_attrs(g->graph, NULL, "conv2d_wgrad", in, nin, a)->out[0];
    }
    int64_t from = 0, to = 0;
    for (int i = 0; i < n->nin; i = i ? i + 1 : 3) {
        if (!n->in[i]) continue;
        from = to;
        to += n->in[i]->type.dim[1];
        if (!g->need[i]) continue;
        grad_attrs(n->attr, &x->type.dim[2], a);
        if (nin > 2) memcpy(a[G_CHANNELS].v, (int64_t[]){from, to}, 2 * sizeof from);
        g->dx[i] = built(g, "conv2d_dgrad", g->dy[0], w, a);
    }
}

/* An output_pad of a stride or more adds windows that x has no pixel for: *PAD is less by as much, and where there is
   not enough of it, the last rows and columns of DY, which no pixel of x has a part in, go. */
static struct value *without_windows(struct grad_call *g, struct value *dy, struct attr *pad)
{
    const struct attr *a = g->node->attr;
    int64_t size[2] = {dy->type.dim[2], dy->type.dim[3]};
    bool whole = true;
    for (int k = 0; k < 2; k++) {
        int64_t stride = a[A_STRIDE].v[k], less = a[A_OUTPUT_PAD].v[k] / stride * stride,
                from_pad = min_i64(less, pad->v[k + 2]);
        pad->v[k + 2] -= from_pad;
        size[k] -= less - from_pad;
        whole &= less == from_pad;
    }
    if (whole) return dy;
    struct node *n = op_build(g->graph, NULL, OPNAME_SLICE, &dy, 1);
    node_attr(n, "size")->v[0] = size[0];
    node_attr(n, "size")->v[1] = size[1];
    bool ok = op_infer(n, NULL);
    assert(ok);
    (void)ok;
    return n->out[0];
}

/* The result is the larger image: its gradient is convolved to give x's, and stands for the input in the weight's. */
static void transpose_grad(struct grad_call *g)
{
    struct value *x = g->node->in[0], *w = g->node->in[1];
    struct attr a[G_CHANNELS + 1], c[COUNT_OF(conv_attrs)], pad = g->node->attr[A_PAD];
    bias_grad(g);
    if (!g->need[0] && !g->need[1]) return;
    struct value *dy = without_windows(g, g->dy[0], &pad);
    if (g->need[1]) {
        grad_attrs(g->node->attr, &w->type.dim[2], a);
        a[G_PAD] = pad;
        g->dx[1] = built(g, "conv2d_wgrad", dy, x, a);
    }
    if (g->need[0]) {
        for (int i = 0; i < COUNT_OF(conv_attrs); i++)
            c[i] = i < A_STRIDE || i > A_GROUPS ? conv_attrs[i].def : g->node->attr[i];
        c[A_PAD] = pad;
        g->dx[0] = built(g, "conv2d", dy, w, c);
    }
}

/* ---- work */

static int64_t pixels_times_weight(const struct type *image, const struct type *w)
{
    const int64_t f[] = {image->dim[0], image->dim[2], image->dim[3], w->dim[0], w->dim[1], w->dim[2], w->dim[3]};
    return rule_product(COUNT_OF(f), f);
}

static int64_t conv_macs(const struct node *n) { return pixels_times_weight(&n->out[0]->type, &n->in[1]->type); }
static int64_t input_macs(const struct node *n) { return pixels_times_weight(&n->in[0]->type, &n->in[1]->type); }
static int64_t dgrad_macs(const struct node *n)
{
    struct type w = n->in[1]->type; /* as far as it is read */
    if (node_ints(n, "channels")[1]) w.dim[1] = n->out[0]->type.dim[1];
    return pixels_times_weight(&n->in[0]->type, &w);
}
static int64_t wgrad_macs(const struct node *n) { return pixels_times_weight(&n->in[1]->type, &n->out[0]->type); }

/* ---- references: the sum at the head of this file (conv_ref.c) */

static void add_bias(const struct ref_call *c, int64_t samples)
{
    if (c->nin < 3 || !c->in[2].data) return;
    const int64_t *d = c->out[0].type->dim;
    for (int64_t k = 0; k < samples * d[1] * d[2] * d[3]; k++)
        c->out[0].data[k] += c->in[2].data[k / (d[2] * d[3]) % d[1]];
}

static void run_sum(const struct ref_call *c, struct geometry g, const struct ref_tensor *x, const struct ref_tensor *y,
                    const struct ref_tensor *w, void (*sum)(const struct conv_ref *))
{
    const struct ref_tensor *out = &c->out[0];
    memset(out->data, 0, (size_t)type_elements(out->type) * sizeof *out->data); /* samples that are not real */
    sum(&(struct conv_ref){
        .n = ref_samples(c, x->type),
        .groups = g.groups,
        .x = x->type->dim,
        .y = y->type->dim,
        .w = w->type->dim,
        .stride = g.stride,
        .pad = g.pad,
        .dilation = g.dilation,
        .X = x->data,
        .Y = y->data,
        .W = w->data,
        .threads = c->run.threads,
    });
}

static double *ref_memory(const struct type *t)
{
    double *p = malloc((size_t)type_elements(t) * sizeof *p);
    if (!p) abort();
    return p;
}

/* X and its further segments, the operands from FIRST on, as one tensor of type *T; OWN: the memory that was needed for
   it, or NULL. */
static struct ref_tensor joined_x(const struct ref_call *c, int first, struct type *t, double **own)
{
    *t = *c->in[0].type;
    *own = NULL;
    for (int i = first; i < c->nin; i++)
        if (c->in[i].data) t->dim[1] += c->in[i].type->dim[1];
    if (t->dim[1] == c->in[0].type->dim[1]) return c->in[0];
    struct ref_tensor x = {t, *own = ref_memory(t)};
    int64_t pixels = t->dim[2] * t->dim[3], sample = t->dim[1] * pixels;
    for (int64_t n = 0; n < t->dim[0]; n++) {
        double *to = x.data + n * sample;
        for (int i = 0; i < c->nin; i = i ? i + 1 : first) {
            if (!c->in[i].data) continue;
            int64_t count = c->in[i].type->dim[1] * pixels;
            memcpy(to, c->in[i].data + n * count, (size_t)count * sizeof *to);
            to += count;
        }
    }
    return x;
}

static void ref_conv(struct ref_call *c)
{
    struct type t;
    double *own;
    struct ref_tensor x = joined_x(c, 3, &t, &own);
    run_sum(c, conv_geometry(c->attr), &x, &c->out[0], &c->in[1], conv_ref_y);
    add_bias(c, ref_samples(c, c->in[0].type));
    free(own);
}

static void ref_transpose(struct ref_call *c)
{
    run_sum(c, conv_geometry(c->attr), &c->out[0], &c->in[0], &c->in[1], conv_ref_x);
    add_bias(c, ref_samples(c, c->in[0].type));
}

/* The weights of some input channels alone. */
static void ref_dgrad(struct ref_call *c)
{
    const int64_t *part = c->attr[G_CHANNELS].v;
    struct ref_tensor w = c->in[1];
    struct type t = *w.type;
    if (part[1]) t.dim[1] = part[1] - part[0];
    int64_t taps = t.dim[2] * t.dim[3], each = t.dim[1] * taps;
    double *some = ref_memory(&t);
    for (int64_t o = 0; o < t.dim[0]; o++)
        memcpy(some + o * each, w.data + o * w.type->dim[1] * taps + part[0] * taps, (size_t)each * sizeof *some);
    run_sum(c, grad_geometry(c->attr), &c->out[0], &c->in[0], &(struct ref_tensor){&t, some}, conv_ref_x);
    free(some);
}

static void ref_wgrad(struct ref_call *c)
{
    struct type t;
    double *own;
    struct ref_tensor x = joined_x(c, 2, &t, &own);
    run_sum(c, grad_geometry(c->attr), &x, &c->in[1], &c->out[0], conv_ref_w);
    free(own);
}

/* ---- tests: channels 1, 3, 17 and on either side of a vector; sizes 1, 7, 13; kernels 1, 2, 3, 5, 7 */

static const struct op_test conv_tests[] = {
    {"x=2,3,7,7 weight=5,3,3,3 bias=5 stride=2,2 pad=1,1,1,1", 1e-5},
    {"x=1,1,1,1 weight=1,1,1,1", 1e-5},
    {"x=3,17,7,7 weight=17,17,1,1 bias=17", 1e-5},
    {"x=1,16,7,7 weight=32,16,3,3 pad=1,1,1,1", 1e-5},
    {"x=1,33,7,7 weight=18,33,3,3 pad=1,1,1,1", 1e-5},
    {"x=3,3,13,13 weight=17,3,7,7 stride=2,2 pad=3,3,3,3", 1e-5},
    {"x=1,17,13,7 weight=3,17,5,5 bias=3 pad=2,2,2,2", 1e-5},
    {"x=2,16,13,13 weight=16,16,2,2 stride=2,2", 1e-5},
    {"x=1,17,7,13 weight=1,17,3,3 stride=2,1 pad=1,0,2,1", 1e-5},
    {"x=1,3,13,13 weight=16,3,3,3 dilation=2,2 pad=2,2,2,2", 1e-5},
    {"x=3,2,9,17 weight=17,2,3,3 bias=17 pad=1,1,1,1",
     1e-5}, /* few channels, which bf16 takes in pairs along rows of taps */
    {"x=3,3,31,33 weight=32,3,3,3 pad=1,1,1,1", 1e-5},
    {"x=2,4,15,30 weight=16,4,5,5 dilation=1,3 pad=2,6,2,5", 1e-5},
    {"x=3,5,29,31 weight=33,5,7,5 stride=2,2 pad=3,2,3,2", 1e-5},
    {"x=2,5,11,40 weight=16,5,3,3 dilation=2,3 stride=1,2 pad=2,3,2,3", 1e-5},
    {"x=2,15,9,9 weight=32,15,3,3 bias=32 pad=1,1,1,1 stride=2,1", 1e-5},
    {"x=3,7,13,13 weight=17,7,1,1 bias=17", 1e-5},
    {"x=2,3,7,7 weight=16,3,2,3 pad=1,2,0,4", 1e-5},
    {"x=2,3,5,120 weight=16,3,1,11 dilation=1,20 pad=0,100,0,100", 1e-5}, /* too many kinds of tiles */
    {"x=1,16,7,7 weight=17,16,3,3 dilation=2,3 pad=0,3,4,2 stride=2,2", 1e-5},
    {"x=1,17,1,1 weight=17,17,3,3 pad=1,1,1,1", 1e-5},
    {"x=3,16,1,13 weight=16,16,1,5 bias=16 pad=0,2,0,2", 1e-5},
    {"x=2,16,13,1 weight=1,16,7,1 pad=3,0,3,0", 1e-5},
    {"x=1,32,13,13 weight=32,32,1,1 stride=2,2", 1e-5},
    {"x=3,17,7,7 weight=17,1,3,3 groups=17 pad=1,1,1,1", 1e-5},
    {"x=1,32,13,13 weight=32,1,3,3 bias=32 groups=32 stride=2,2 pad=1,1,1,1", 1e-5},
    {"x=1,16,7,7 weight=16,1,5,5 groups=16 pad=2,2,2,2 dilation=1,2", 1e-5},
    {"x=1,3,7,7 weight=6,1,3,3 groups=3 pad=1,1,1,1", 1e-5},
    {"x=2,16,7,7 weight=16,4,3,3 groups=4 pad=1,1,1,1", 1e-5},
    {"x=1,32,7,7 weight=32,16,3,3 bias=32 groups=2 pad=1,1,1,1", 1e-5},
    {"x=1,12,7,7 weight=20,3,1,1 groups=4", 1e-5},
    {"x=1,96,5,5 weight=64,48,3,3 groups=2 pad=1,1,1,1", 1e-5},
    {"x=1,16,7,7 weight=32,32,3,3 x2=1,16,7,7 pad=1,1,1,1", 1e-5},
    {"x=3,32,7,7 weight=17,49,3,3 bias=17 x2=3,17,7,7 pad=1,1,1,1", 1e-5},
    {"x=3,16,5,13 weight=48,67,1,1 x2=3,48,5,13 x3=3,3,5,13", 1e-5},
    {"x=3,16,13,13 weight=3,97,5,5 bias=3 x2=3,32,13,13 x3=3,16,13,13 x4=3,33,13,13 pad=2,2,2,2 stride=2,2", 1e-5},
    {"x=3,16,13,13 weight=32,49,3,3 bias=32 x2=3,33,13,13 pad=1,1,1,1 algorithm=winograd2", 1e-5},
    {"x=3,64,15,29 weight=32,97,3,3 bias=32 x2=3,33,15,29 pad=1,1,1,1 algorithm=winograd4", 1e-5},
    {"x=3,16,29,29 weight=16,32,3,3 x2=3,16,29,29 pad=1,1,1,1 algorithm=winograd4", 1e-5},
};
static const struct op_test transpose_tests[] = {
    {"x=2,3,7,7 weight=3,5,2,2 bias=5 stride=2,2", 1e-5},
    {"x=1,1,1,1 weight=1,1,1,1", 1e-5},
    {"x=3,17,7,7 weight=17,3,3,3 bias=3 pad=1,1,1,1", 1e-5},
    {"x=1,16,7,7 weight=16,32,2,2 bias=32 stride=2,2", 1e-5},
    {"x=1,17,7,13 weight=17,17,3,3 stride=2,2 pad=1,1,1,1 output_pad=1,1", 1e-5},
    {"x=1,16,7,7 weight=16,1,5,5 stride=3,2 pad=2,1,0,2 output_pad=2,0", 1e-5},
    {"x=1,3,1,1 weight=3,17,7,7 pad=3,2,3,2", 1e-5},
    {"x=1,16,7,7 weight=16,16,3,3 dilation=2,2 pad=2,2,2,2 stride=2,2", 1e-5},
    {"x=2,12,7,7 weight=12,4,3,3 groups=3 stride=2,2 pad=1,1,1,1", 1e-5},
    {"x=1,17,7,7 weight=17,1,3,3 bias=17 groups=17 stride=2,2 pad=1,1,1,1 output_pad=1,1", 1e-5},
    {"x=1,64,5,5 weight=64,48,2,2 groups=2 stride=2,2", 1e-5},
    {"x=1,16,3,4 weight=16,17,1,1 bias=17 stride=3,2 output_pad=2,1", 1e-5}, /* rows that no window reaches */
    {"x=2,3,5,4 weight=3,16,3,3 bias=16 dilation=3,4 output_pad=2,3", 1e-5},
    {"x=1,17,4,5 weight=17,5,3,2 stride=2,1 dilation=4,3 pad=1,0,2,1 output_pad=3,2", 1e-5},
    {"x=1,16,4,5 weight=16,4,3,3 groups=4 stride=2,2 dilation=5,5 pad=4,4,4,4 output_pad=4,3", 1e-5},
};
static const struct op_test dgrad_tests[] = {
    {"dy=2,5,4,4 weight=5,3,3,3 stride=2,2 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=1,1,1,1 weight=1,1,1,1 size=1,1", 1e-5},
    {"dy=3,17,7,7 weight=17,17,1,1 size=7,7", 1e-5},
    {"dy=1,32,7,7 weight=32,16,3,3 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=1,18,7,7 weight=18,33,3,3 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=3,17,7,7 weight=17,3,7,7 stride=2,2 pad=3,3,3,3 size=13,13", 1e-5},
    {"dy=1,3,13,7 weight=3,17,5,5 pad=2,2,2,2 size=13,7", 1e-5},
    {"dy=2,16,6,6 weight=16,16,2,2 stride=2,2 size=13,13", 1e-5},
    {"dy=1,1,4,12 weight=1,17,3,3 stride=2,1 pad=1,0,2,1 size=7,13", 1e-5},
    {"dy=1,16,13,13 weight=16,3,3,3 dilation=2,2 pad=2,2,2,2 size=13,13", 1e-5},
    {"dy=1,17,1,1 weight=17,17,3,3 pad=1,1,1,1 size=1,1", 1e-5},
    {"dy=1,32,7,7 weight=32,32,1,1 stride=2,2 size=13,13", 1e-5},
    {"dy=3,17,7,7 weight=17,1,3,3 groups=17 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=1,32,7,7 weight=32,1,3,3 groups=32 stride=2,2 pad=1,1,1,1 size=13,13", 1e-5},
    {"dy=2,16,7,7 weight=16,4,3,3 groups=4 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=1,32,7,7 weight=32,16,3,3 groups=2 pad=1,1,1,1 size=7,7", 1e-5},
    {"dy=1,96,5,5 weight=96,48,3,3 groups=2 pad=1,1,1,1 size=5,5", 1e-5},
    {"dy=1,32,7,7 weight=32,48,3,3 pad=1,1,1,1 size=7,7 channels=0,16", 1e-5},
    {"dy=3,17,7,7 weight=17,49,3,3 pad=1,1,1,1 size=7,7 channels=32,49", 1e-5},
    {"dy=3,17,7,7 weight=17,64,1,1 size=7,7 channels=16,48", 1e-5},
    {"dy=3,16,6,6 weight=16,48,2,2 stride=2,2 size=13,13 channels=16,48", 1e-5},
    {"dy=3,16,13,13 weight=16,49,3,3 pad=1,1,1,1 size=13,13 channels=16,49 algorithm=winograd2", 1e-5},
    {"dy=3,32,15,29 weight=32,96,3,3 pad=1,1,1,1 size=15,29 channels=64,96 algorithm=winograd4", 1e-5},
};
static const struct op_test wgrad_tests[] = {
    {"x=2,3,7,7 dy=2,5,4,4 stride=2,2 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,1,1,1 dy=1,1,1,1 kernel=1,1", 1e-5},
    {"x=3,17,7,7 dy=3,17,7,7 kernel=1,1", 1e-5},
    {"x=1,16,7,7 dy=1,32,7,7 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=3,33,7,7 dy=3,18,7,7 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=3,3,13,13 dy=3,17,7,7 stride=2,2 pad=3,3,3,3 kernel=7,7", 1e-5},
    {"x=1,17,13,7 dy=1,3,13,7 pad=2,2,2,2 kernel=5,5", 1e-5},
    {"x=9,16,13,13 dy=9,16,6,6 stride=2,2 kernel=2,2", 1e-5},
    {"x=1,17,7,13 dy=1,1,4,12 stride=2,1 pad=1,0,2,1 kernel=3,3", 1e-5},
    {"x=1,3,13,13 dy=1,16,13,13 dilation=2,2 pad=2,2,2,2 kernel=3,3", 1e-5},
    {"x=9,2,9,17 dy=9,17,9,17 pad=1,1,1,1 kernel=3,3", 1e-5}, /* few channels, which bf16 stages pixel by pixel */
    {"x=3,3,57,61 dy=3,64,29,31 stride=2,2 pad=3,3,3,3 kernel=7,7", 1e-5},
    {"x=2,4,15,30 dy=2,16,15,29 dilation=1,3 pad=2,6,2,5 kernel=5,5", 1e-5},
    {"x=3,5,11,40 dy=3,16,11,20 dilation=2,3 stride=1,2 pad=2,3,2,3 kernel=3,3", 1e-5},
    {"x=9,15,9,9 dy=9,32,5,9 pad=1,1,1,1 stride=2,1 kernel=3,3", 1e-5},
    {"x=3,7,13,13 dy=3,17,13,13 kernel=1,1", 1e-5},
    {"x=3,3,13,14 dy=3,17,5,5 stride=3,3 kernel=1,1", 1e-5},
    {"x=2,3,7,3 dy=2,16,7,1 pad=1,0,1,0 kernel=3,3", 1e-5},
    {"x=2,3,4,4 dy=2,16,7,12 pad=2,5,2,4 kernel=2,2", 1e-5},
    {"x=2,5,3,9 dy=2,16,1,3 stride=4,4 kernel=1,1", 1e-5},
    {"x=1,17,1,1 dy=1,17,1,1 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,32,13,13 dy=1,32,7,7 stride=2,2 kernel=1,1", 1e-5},
    {"x=3,17,7,7 dy=3,17,7,7 groups=17 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,32,13,13 dy=1,32,7,7 groups=32 stride=2,2 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=2,16,7,7 dy=2,16,7,7 groups=4 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,32,7,7 dy=1,32,7,7 groups=2 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=2,96,5,5 dy=2,64,5,5 groups=2 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,16,7,7 dy=1,32,7,7 x2=1,16,7,7 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=3,32,7,7 dy=3,17,7,7 x2=3,17,7,7 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=9,16,5,13 dy=9,48,5,13 x2=9,48,5,13 x3=9,3,5,13 kernel=1,1", 1e-5},
    {"x=3,16,13,13 dy=3,3,7,7 x2=3,32,13,13 x3=3,16,13,13 x4=3,33,13,13 pad=2,2,2,2 stride=2,2 kernel=5,5", 1e-5},
    {"x=3,16,13,13 dy=3,32,13,13 x2=3,33,13,13 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=3,48,15,29 dy=3,64,15,29 x2=3,80,15,29 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=3,16,29,29 dy=3,16,29,29 x2=3,16,29,29 x3=3,17,29,29 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=2,64,9,9 dy=2,64,9,9 groups=4 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=9,48,3,3 dy=9,48,3,3 pad=1,1,1,1 kernel=3,3", 1e-5}, /* bands of several images */
    {"x=17,80,14,14 dy=17,32,7,7 stride=2,2 kernel=1,1", 1e-5},
    {"x=20,16,40,40 dy=20,16,40,40 kernel=1,1", 1e-5},
    {"x=1,16,320,320 dy=1,16,320,320 kernel=1,1", 1e-6}, /* one chain of sums over all pixels would have 3e-6 or more */
    {"x=2,32,30,31 dy=2,32,13,11 stride=2,3 dilation=2,1 pad=0,2,0,2 kernel=3,5", 1e-5},
    {"x=2,32,5,1 dy=2,32,5,1 pad=1,1,1,1 kernel=3,3", 1e-5},
    {"x=1,16,7,7 dy=1,16,7,7 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=3,33,13,13 dy=3,17,13,13 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=3,100,5,7 dy=3,36,5,7 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=1,16,5,5 dy=1,33,7,3 pad=2,0,2,0 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=1,16,7,7 dy=1,16,7,7 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=3,33,13,13 dy=3,17,13,13 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=3,36,5,7 dy=3,100,5,7 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=3,17,57,13 dy=3,16,57,11 pad=2,0,0,0 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=1,16,57,57 dy=1,16,59,59 pad=2,2,2,2 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=2,16,3,3 dy=2,96,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=1,16,1,1 dy=1,32,1,1 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=16,16,13,13 dy=16,16,13,13 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=1,16,7,7 dy=1,16,7,7 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=3,33,13,14 dy=3,17,13,14 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=5,36,10,5 dy=5,100,10,5 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=3,17,57,13 dy=3,16,57,11 pad=2,0,0,0 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=3,48,15,29 dy=3,64,15,29 x2=3,80,15,29 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=16,16,14,14 dy=16,16,14,14 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 1e-5},
    {"x=3,192,14,14 dy=3,208,14,14 pad=1,1,1,1 kernel=3,3 algorithm=winograd5",
     1e-5}, /* operands transformed once, into the workspace */
    {"x=5,96,9,13 dy=5,192,9,13 x2=5,103,9,13 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 1e-5},
    {"x=40,192,5,3 dy=40,192,5,3 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-5},
    {"x=4,16,56,56 dy=4,16,56,56 pad=1,1,1,1 kernel=3,3 algorithm=winograd2", 1e-6}, /* the budgets, on many tiles */
    {"x=4,16,56,56 dy=4,16,56,56 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 3e-6},
    {"x=3,64,28,28 dy=3,32,28,28 pad=1,1,1,1 kernel=3,3 algorithm=winograd4", 3e-6},
    {"x=4,16,56,56 dy=4,16,56,56 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 3e-6},
    {"x=9,64,14,14 dy=9,32,14,14 pad=1,1,1,1 kernel=3,3 algorithm=winograd5", 3e-6},
};

/* ---- rows */

#define FURTHER_PARTS \
    {"x2", OPERAND_SEGMENT, true}, {"x3", OPERAND_SEGMENT, true}, { "x4", OPERAND_SEGMENT, true }
static const struct op_operand conv_operands[] = {
    {"x", OPERAND_VALUE, false}, {"weight", OPERAND_PARAM, false}, {"bias", OPERAND_PARAM, true}, FURTHER_PARTS};
static const struct op_operand transpose_operands[] = {{"x", OPERAND_VALUE, false},
                                                       {"weight", OPERAND_PARAM, false},
                                                       {"bias", OPERAND_PARAM, true}};
static const struct op_operand dgrad_operands[] = {{"dy", OPERAND_VALUE, false}, {"weight", OPERAND_PARAM, false}};
static const struct op_operand wgrad_operands[] = {{"x", OPERAND_VALUE, false},
                                                   {"dy", OPERAND_VALUE, false},
                                                   FURTHER_PARTS};

extern const struct op_def op_conv_rows[];
extern const int op_conv_nrows;

const struct op_def op_conv_rows[] = {
    {.name = "conv2d",
     .help = "2-d convolution (cross-correlation, as the field has it)",
     .direction = CONV_FORWARD,
     .class_ = OP_LAYER,
     .family = &family_conv,
     .operands = conv_operands,
     .noperands = COUNT_OF(conv_operands),
     .nouts = 1,
     .attrs = conv_attrs,
     .nattr = COUNT_OF(conv_attrs),
     .params = conv_params,
     .infer = conv_infer,
     .grad = conv_grad,
     .macs = conv_macs,
     .prologues = 1,
     .ref = ref_conv,
     .tests = conv_tests,
     .ntests = COUNT_OF(conv_tests),
     .bf16 = true},
    {.name = "conv_transpose2d",
     .help = "transposed 2-d convolution: learned upsampling",
     .direction = CONV_DGRAD,
     .class_ = OP_LAYER,
     .family = &family_conv,
     .operands = transpose_operands,
     .noperands = COUNT_OF(transpose_operands),
     .nouts = 1,
     .attrs = transpose_attrs,
     .nattr = COUNT_OF(transpose_attrs),
     .params = transpose_params,
     .infer = transpose_infer,
     .grad = transpose_grad,
     .macs = input_macs,
     .ref = ref_transpose,
     .tests = transpose_tests,
     .ntests = COUNT_OF(transpose_tests),
     .bf16 = true},
    {.name = "conv2d_dgrad",
     .help = "gradient of conv2d by its input",
     .direction = CONV_DGRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_conv,
     .operands = dgrad_operands,
     .noperands = COUNT_OF(dgrad_operands),
     .nouts = 1,
     .attrs = dgrad_attrs,
     .nattr = COUNT_OF(dgrad_attrs),
     .infer = dgrad_infer,
     .macs = dgrad_macs,
     .prologues = 1,
     .ref = ref_dgrad,
     .tests = dgrad_tests,
     .ntests = COUNT_OF(dgrad_tests),
     .bf16 = true},
    {.name = "conv2d_wgrad",
     .help = "gradient of conv2d by its weight",
     .direction = CONV_WGRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_wgrad,
     .operands = wgrad_operands,
     .noperands = COUNT_OF(wgrad_operands),
     .nouts = 1,
     .attrs = wgrad_attrs,
     .nattr = COUNT_OF(wgrad_attrs),
     .infer = wgrad_infer,
     .sums_samples = true,
     .macs = wgrad_macs,
     .prologues = 2,
     .ref = ref_wgrad,
     .tests = wgrad_tests,
     .ntests = COUNT_OF(wgrad_tests),
     .bf16 = true},
};
const int op_conv_nrows = COUNT_OF(op_conv_rows);
