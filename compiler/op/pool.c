/* pool.c: max, average and global average pooling, in PyTorch's conventions. */
#include <math.h>
#include "op/rule.h"
#include "op/pool.h"

enum { MAX_WINDOW = 255 }; /* positions that a u8 index can name, see max_pool_index */

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand operand_dy[] = {{"dy", OPERAND_VALUE, false}};
static const struct op_operand operands_dy_index[] = {{"dy", OPERAND_VALUE, false}, {"index", OPERAND_VALUE, false}};

/* ---- attributes; those of an operator and of its gradient agree up to `size` */

#define ATTR_KERNEL                                                                                               \
    {                                                                                                             \
        .name = "kernel", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .required = true, .has_range = true, .min = 1, \
        .max = 65536, .help = "window: a number or [h, w]"                                                        \
    }
#define ATTR_STRIDE                                                                              \
    {                                                                                            \
        .name = "stride", .def = {.type = ATTR_PAIR}, .has_range = true, .min = 1, .max = 65536, \
        .help = "distance between windows: a number or [h, w]; the kernel's size if not given"   \
    }
#define ATTR_PAD                                                                              \
    {                                                                                         \
        .name = "pad", .def = {.type = ATTR_QUAD}, .has_range = true, .min = 0, .max = 65536, \
        .help = "padding: a number, [h, w], [top, left, bottom, right], same or valid"        \
    }
#define ATTR_CEIL                                                                                  \
    {                                                                                              \
        .name = "ceil", .def = {.type = ATTR_BOOL}, .help = "a last window may hang over the edge" \
    }
#define ATTR_COUNT_PAD                                                                                   \
    {                                                                                                    \
        .name = "count_pad", .def = {.type = ATTR_BOOL, .b = true}, .help = "padding counts in the mean" \
    }
#define ATTR_SIZE                                                                                                      \
    {                                                                                                                  \
        .name = "size", .def = {.type = ATTR_PAIR, .v = {1, 1}}, .required = true, .ir_only = true, .has_range = true, \
        .min = 1, .max = 1 << 30, .help = "[h, w] of the result"                                                       \
    }

static const struct op_attr attrs_max[] = {ATTR_KERNEL, ATTR_STRIDE, ATTR_PAD, ATTR_CEIL};
static const struct op_attr attrs_max_grad[] = {ATTR_KERNEL, ATTR_STRIDE, ATTR_PAD, ATTR_CEIL, ATTR_SIZE};
static const struct op_attr attrs_avg[] = {ATTR_KERNEL, ATTR_STRIDE, ATTR_PAD, ATTR_CEIL, ATTR_COUNT_PAD};
static const struct op_attr attrs_avg_grad[] = {ATTR_KERNEL, ATTR_STRIDE,    ATTR_PAD,
                                                ATTR_CEIL,   ATTR_COUNT_PAD, ATTR_SIZE};
static const struct op_attr attrs_size[] = {ATTR_SIZE};

static struct pool_window window_of(const struct attr *attr, bool average)
{
    static const struct op_def max = {.attrs = attrs_max, .nattr = COUNT_OF(attrs_max)},
                               avg = {.attrs = attrs_avg, .nattr = COUNT_OF(attrs_avg)};
    return pool_window_of(average ? &avg : &max, attr);
}

/* ---- shapes */

static bool check_axis(const struct pool_window *w, int a, int64_t size, struct op_error *e)
{
    const char *axis = a ? "width" : "height";
    if (w->kernel[a] < 1 || w->stride[a] < 1 || w->before[a] < 0 || w->after[a] < 0)
        return op_fail(e, "kernel and stride must be at least 1, and pad at least 0");
    if (w->before[a] >= w->kernel[a] || w->after[a] >= w->kernel[a]) {
        op_fail(e, "pad %lld must be smaller than the kernel %lld, or a window would lie in the padding alone",
                (long long)max_i64(w->before[a], w->after[a]), (long long)w->kernel[a]);
        return false;
    }
    int64_t padded;
    if (!add_i64(size, w->before[a] + w->after[a], &padded)) return op_fail(e, "the %s is too large", axis);
    if (padded >= w->kernel[a]) return true;
    op_fail(e, "kernel %lld does not fit into the padded %s %lld", (long long)w->kernel[a], axis, (long long)padded);
    return rule_note(e, "use a smaller kernel, more pad, or global_avg_pool");
}

/* A window of one pixel, and every one is visited. */
static bool identity_window(const struct node *n, bool train)
{
    struct pool_window w = pool_window_of(n->op, n->attr);
    bool one = w.kernel[0] == 1 && w.kernel[1] == 1;
    for (int a = 0; a < 2; a++) one = one && !w.before[a] && !w.after[a];
    return one && rule_identity(n, train);
}

/* [N, C, H', W'] of X under the window. */
static bool pooled(const struct type *x, const struct pool_window *w, struct type *out, struct op_error *e)
{
    if (!rule_value(x, RULE_IMAGE, "the input", e) || !check_axis(w, 0, x->dim[2], e) ||
        !check_axis(w, 1, x->dim[3], e))
        return false;
    int64_t dim[] = {x->dim[0], x->dim[1], pool_windows(w, 0, x->dim[2]), pool_windows(w, 1, x->dim[3])};
    return rule_result(out, x->dtype, 4, dim, e);
}

static bool check_positions(const struct pool_window *w, struct op_error *e)
{
    int64_t count;
    if (mul_i64(w->kernel[0], w->kernel[1], &count) && count <= MAX_WINDOW) return true;
    op_fail(e, "a window of %lld x %lld has more than %d positions, which is as many as max pooling can tell apart",
            (long long)w->kernel[0], (long long)w->kernel[1], MAX_WINDOW);
    return rule_note(e, "pool in two layers: the maximum of maxima is the same");
}

static bool infer_max(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    struct pool_window w = window_of(attr, false);
    return check_positions(&w, e) && pooled(&in[0], &w, out, e);
}

static bool infer_max_index(const struct type *in, int nin, const struct attr *attr, struct type *out,
                            struct op_error *e)
{
    return infer_max(in, nin, attr, out, e) && rule_result(&out[1], DT_U8, 4, out[0].dim, e);
}

static bool infer_avg(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    struct pool_window w = window_of(attr, true);
    return pooled(&in[0], &w, out, e);
}

/* The gradient's shape from DY and the attribute `size`, checked against the forward rule. */
static bool unpooled(const struct type *dy, const struct pool_window *w, const int64_t *size, struct type *out,
                     struct op_error *e)
{
    if (!rule_value(dy, RULE_IMAGE, "dy", e)) return false;
    int64_t dim[] = {dy->dim[0], dy->dim[1], size[0], size[1]};
    struct type x, y;
    if (!rule_result(&x, dy->dtype, 4, dim, e) || !pooled(&x, w, &y, e) || !rule_match(dy, &y, e)) return false;
    *out = x;
    return true;
}

static bool infer_max_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                           struct op_error *e)
{
    (void)nin;
    if (in[1].dtype != DT_U8) return op_fail(e, "'index' must be positions (u8)");
    struct pool_window w = window_of(attr, false);
    return check_positions(&w, e) && rule_match(&in[0], &in[1], e) &&
           unpooled(&in[0], &w, attr[COUNT_OF(attrs_max_grad) - 1].v, out, e);
}

static bool infer_avg_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                           struct op_error *e)
{
    (void)nin;
    struct pool_window w = window_of(attr, true);
    return unpooled(&in[0], &w, attr[COUNT_OF(attrs_avg_grad) - 1].v, out, e);
}

static bool infer_global(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    return rule_value(&in[0], RULE_IMAGE, "the input", e) && rule_result(out, in[0].dtype, 2, in[0].dim, e);
}

static bool infer_global_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                              struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_FEATURES, "dy", e)) return false;
    int64_t dim[] = {in[0].dim[0], in[0].dim[1], attr[0].v[0], attr[0].v[1]};
    return rule_result(out, in[0].dtype, 4, dim, e);
}

/* ---- gradients */

/* GRAD_OP with the node's attributes, a written-out stride, and the size of its input. */
static struct value *pool_grad_node(struct grad_call *g, const char *grad_op, struct value *index)
{
    enum { MAX_ATTR = COUNT_OF(attrs_avg_grad) };
    const struct node *n = g->node;
    struct attr attr[MAX_ATTR] = {{.type = ATTR_INT}};
    for (int i = 0; i < n->op->nattr; i++) attr[i] = n->attr[i];
    struct pool_window w = pool_window_of(n->op, n->attr);
    const int64_t *x = n->in[0]->type.dim;
    attr[1] = (struct attr){.type = ATTR_PAIR, .v = {w.stride[0], w.stride[1]}};
    attr[n->op->nattr] = (struct attr){.type = ATTR_PAIR, .v = {x[2], x[3]}};
    return op_build_attrs(g->graph, NULL, grad_op, (struct value *[]){g->dy[0], index}, index ? 2 : 1, attr)->out[0];
}

static void grad_max_index(struct grad_call *g)
{
    if (g->need[0] && g->dy[0]) g->dx[0] = pool_grad_node(g, "max_pool_grad", g->node->out[1]);
}

/* Finds the maxima again, which its training form saves. */
static void grad_max(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    struct node *again = op_build_attrs(g->graph, NULL, "max_pool_index", g->node->in, 1, g->node->attr);
    g->dx[0] = pool_grad_node(g, "max_pool_grad", again->out[1]);
}

static bool train_max(struct graph *g, struct node *n, struct op_error *e)
{
    (void)e;
    op_become(g, n, "max_pool_index", n->in, n->nin);
    value_name_after(g, n->out[1], node_label(n), "index");
    return true;
}

static void grad_avg(struct grad_call *g)
{
    if (g->need[0] && g->dy[0]) g->dx[0] = pool_grad_node(g, "avg_pool_grad", NULL);
}

static void grad_global(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const int64_t *x = g->node->in[0]->type.dim;
    struct attr size = {.type = ATTR_PAIR, .v = {x[2], x[3]}};
    g->dx[0] = op_build_attrs(g->graph, NULL, "global_avg_pool_grad", g->dy, 1, &size)->out[0];
}

/* ---- references: plane by plane, window by window */

struct cell {
    int64_t h0, h1, w0, w1, counted;
}; /* the elements of one window, and how many count in its mean */

static struct cell cell_at(const struct pool_window *w, const struct type *x, int64_t oh, int64_t ow)
{
    struct cell c;
    int64_t rows = pool_span(w, 0, x->dim[2], oh, &c.h0, &c.h1), cols = pool_span(w, 1, x->dim[3], ow, &c.w0, &c.w1);
    c.counted = w->count_pad ? rows * cols : (c.h1 - c.h0) * (c.w1 - c.w0);
    return c;
}

/* The first maximum of the window, where NaN is larger than anything, and its position in the window. */
static double max_of(const struct pool_window *w, const double *plane, int64_t width, int64_t oh, int64_t ow,
                     const struct cell *c, int64_t *position)
{
    double best = -INFINITY;
    int64_t top = oh * w->stride[0] - w->before[0], left = ow * w->stride[1] - w->before[1];
    *position = (c->h0 - top) * w->kernel[1] + (c->w0 - left);
    for (int64_t h = c->h0; h < c->h1; h++)
        for (int64_t x = c->w0; x < c->w1; x++) {
            double value = plane[h * width + x];
            if (!(value > best) && !(isnan(value) && !isnan(best))) continue;
            best = value;
            *position = (h - top) * w->kernel[1] + (x - left);
        }
    return best;
}

static void ref_max(struct ref_call *c)
{
    struct pool_window w = pool_window_of(c->op, c->attr);
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++)
        for (int64_t oh = 0; oh < y->dim[2]; oh++)
            for (int64_t ow = 0; ow < y->dim[3]; ow++) {
                struct cell cell = cell_at(&w, x, oh, ow);
                int64_t position, at = (p * y->dim[2] + oh) * y->dim[3] + ow;
                c->out[0].data[at] =
                    max_of(&w, c->in[0].data + p * x->dim[2] * x->dim[3], x->dim[3], oh, ow, &cell, &position);
                if (c->nout > 1) c->out[1].data[at] = (double)position;
            }
}

static void clear(const struct ref_call *c)
{
    const struct type *x = c->out[0].type;
    int64_t count = ref_samples(c, x) * x->dim[1] * ref_pixels(x);
    for (int64_t i = 0; i < count; i++) c->out[0].data[i] = 0;
}

static void ref_max_grad(struct ref_call *c)
{
    struct pool_window w = pool_window_of(c->op, c->attr);
    const struct type *y = c->in[0].type, *x = c->out[0].type;
    clear(c);
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++)
        for (int64_t oh = 0; oh < y->dim[2]; oh++)
            for (int64_t ow = 0; ow < y->dim[3]; ow++) {
                int64_t at = (p * y->dim[2] + oh) * y->dim[3] + ow, position = (int64_t)c->in[1].data[at];
                int64_t h = oh * w.stride[0] - w.before[0] + position / w.kernel[1],
                        col = ow * w.stride[1] - w.before[1] + position % w.kernel[1];
                if (h < 0 || h >= x->dim[2] || col < 0 || col >= x->dim[3])
                    continue; /* not a position that max_pool_index gives */
                c->out[0].data[(p * x->dim[2] + h) * x->dim[3] + col] += c->in[0].data[at];
            }
}

static void ref_avg(struct ref_call *c)
{
    struct pool_window w = pool_window_of(c->op, c->attr);
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++)
        for (int64_t oh = 0; oh < y->dim[2]; oh++)
            for (int64_t ow = 0; ow < y->dim[3]; ow++) {
                struct cell cell = cell_at(&w, x, oh, ow);
                double sum = 0;
                for (int64_t h = cell.h0; h < cell.h1; h++)
                    for (int64_t col = cell.w0; col < cell.w1; col++)
                        sum += c->in[0].data[(p * x->dim[2] + h) * x->dim[3] + col];
                c->out[0].data[(p * y->dim[2] + oh) * y->dim[3] + ow] = sum / (double)cell.counted;
            }
}

static void ref_avg_grad(struct ref_call *c)
{
    struct pool_window w = pool_window_of(c->op, c->attr);
    const struct type *y = c->in[0].type, *x = c->out[0].type;
    clear(c);
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++)
        for (int64_t oh = 0; oh < y->dim[2]; oh++)
            for (int64_t ow = 0; ow < y->dim[3]; ow++) {
                struct cell cell = cell_at(&w, x, oh, ow);
                double share = c->in[0].data[(p * y->dim[2] + oh) * y->dim[3] + ow] / (double)cell.counted;
                for (int64_t h = cell.h0; h < cell.h1; h++)
                    for (int64_t col = cell.w0; col < cell.w1; col++)
                        c->out[0].data[(p * x->dim[2] + h) * x->dim[3] + col] += share;
            }
}

static void ref_global(struct ref_call *c)
{
    const struct type *x = c->in[0].type;
    int64_t pixels = ref_pixels(x);
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++) sum += c->in[0].data[p * pixels + i];
        c->out[0].data[p] = sum / (double)pixels;
    }
}

static void ref_global_grad(struct ref_call *c)
{
    const struct type *x = c->out[0].type;
    int64_t pixels = ref_pixels(x);
    for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++)
        for (int64_t i = 0; i < pixels; i++) c->out[0].data[p * pixels + i] = c->in[0].data[p] / (double)pixels;
}

/* ---- tests */

static const struct op_test tests_max[] = {
    {"x=2,3,7,7 kernel=2", 1e-6},
    {"x=1,1,1,1 kernel=1", 1e-6},
    {"x=3,17,13,13 kernel=3 stride=2 pad=1", 1e-6},
    {"x=1,17,13,13 kernel=3 stride=2 ceil=true", 1e-6},
    {"x=1,3,13,7 kernel=5,2 stride=1,2 pad=2,0,1,1", 1e-6},
    {"x=2,1,7,7 kernel=3 stride=2 pad=1,0,1,1 ceil=true", 1e-6},
    {"x=1,16,7,13 kernel=2 stride=3 ceil=true", 1e-6},
    {"x=1,3,7,7 kernel=5 stride=1 pad=2", 1e-6},
    {"x=1,17,7,7 kernel=7 stride=7", 1e-6},
    {"x=1,2,40,33 kernel=3 stride=2 pad=1", 1e-6},
};
static const struct op_test tests_max_grad[] = {
    {"dy=2,3,3,3 index=u8:2,3,3,3 kernel=2 stride=2 size=7,7", 1e-6},
    {"dy=1,1,1,1 index=u8:1,1,1,1 kernel=1 stride=1 size=1,1", 1e-6},
    {"dy=3,17,7,7 index=u8:3,17,7,7 kernel=3 stride=2 pad=1 size=13,13", 1e-6},
    {"dy=1,3,6,7 index=u8:1,3,6,7 kernel=3 stride=2,1 pad=0,1,0,1 ceil=true size=13,7", 1e-6},
    {"dy=1,3,7,7 index=u8:1,3,7,7 kernel=5 stride=1 pad=2 size=7,7", 1e-6},
    {"dy=1,16,3,5 index=u8:1,16,3,5 kernel=2 stride=3 ceil=true size=7,13", 1e-6},
};
static const struct op_test tests_avg[] = {
    {"x=2,3,7,7 kernel=2", 1e-5},
    {"x=1,1,1,1 kernel=1", 1e-5},
    {"x=3,17,13,13 kernel=3 stride=2 pad=1", 1e-5},
    {"x=3,17,13,13 kernel=3 stride=2 pad=1 count_pad=false", 1e-5},
    {"x=1,3,13,7 kernel=5,2 stride=1,2 pad=2,0,1,1 count_pad=false", 1e-5},
    {"x=2,1,7,7 kernel=3 stride=2 pad=1,0,1,1 ceil=true", 1e-5},
    {"x=2,1,7,7 kernel=3 stride=3 pad=1 ceil=true count_pad=false", 1e-5},
    {"x=1,16,7,13 kernel=2 stride=3 ceil=true", 1e-5},
    {"x=1,2,40,33 kernel=3 stride=1 pad=1", 1e-5},
};
static const struct op_test tests_avg_grad[] = {
    {"dy=2,3,3,3 kernel=2 stride=2 size=7,7", 1e-5},
    {"dy=1,1,1,1 kernel=1 stride=1 size=1,1", 1e-5},
    {"dy=3,17,7,7 kernel=3 stride=2 pad=1 size=13,13", 1e-5},
    {"dy=3,17,7,7 kernel=3 stride=2 pad=1 count_pad=false size=13,13", 1e-5},
    {"dy=1,3,6,7 kernel=3 stride=2,1 pad=0,1,0,1 ceil=true count_pad=false size=13,7", 1e-5},
    {"dy=1,16,3,5 kernel=2 stride=3 ceil=true size=7,13", 1e-5},
    {"dy=1,3,7,7 kernel=5 stride=1 pad=2 size=7,7", 1e-5},
};
static const struct op_test tests_global[] = {
    {"x=2,3,7,7", 1e-5},
    {"x=1,1,1,1", 1e-5},
    {"x=3,17,13,13", 1e-5},
    {"x=1,33,7,1", 1e-5},
};
static const struct op_test tests_global_grad[] = {
    {"dy=2,3 size=7,7", 1e-5},
    {"dy=1,1 size=1,1", 1e-5},
    {"dy=3,17 size=13,13", 1e-5},
    {"dy=1,33 size=7,1", 1e-5},
};

/* ---- rows */

#define POOL(C, F)                                                                                             \
    .class_ = C, .family = &family_pool, .bf16 = true, .infer = infer_##F, .ref = ref_##F, .tests = tests_##F, \
    .ntests = COUNT_OF(tests_##F)
#define ATTRS(A) .attrs = A, .nattr = COUNT_OF(A)
#define OPERANDS(O) .operands = O, .noperands = COUNT_OF(O)

const struct op_def op_pool_rows[] = {
    {.name = "max_pool",
     .help = "maximum of each window",
     .train = train_max,
     .identity = identity_window,
     .maximum = true,
     .variant = POOL_MAX,
     POOL(OP_LAYER, max),
     ATTRS(attrs_max),
     OPERANDS(operand_x),
     .nouts = 1,
     .grad = grad_max,
     .prologues = 1},
    {.name = "avg_pool",
     .help = "mean of each window",
     .identity = identity_window,
     .variant = POOL_AVG,
     POOL(OP_LAYER, avg),
     ATTRS(attrs_avg),
     OPERANDS(operand_x),
     .nouts = 1,
     .grad = grad_avg,
     .prologues = 1},
    {.name = "global_avg_pool",
     .help = "mean of each channel: features of an image",
     .variant = POOL_GLOBAL,
     POOL(OP_LAYER, global),
     OPERANDS(operand_x),
     .nouts = 1,
     .grad = grad_global},
    {.name = "max_pool_index",
     .help = "max_pool, and where in each window the maximum was",
     .maximum = true,
     .variant = POOL_MAX_INDEX,
     .class_ = OP_INTERNAL,
     .family = &family_pool,
     .bf16 = true,
     .infer = infer_max_index,
     .ref = ref_max,
     .tests = tests_max,
     .ntests = COUNT_OF(tests_max),
     ATTRS(attrs_max),
     OPERANDS(operand_x),
     .nouts = 2,
     .grad = grad_max_index,
     .prologues = 1},
    {.name = "max_pool_grad",
     .help = "gradient of max_pool",
     .variant = POOL_MAX_GRAD,
     .phase = PHASE_BACKWARD,
     POOL(OP_INTERNAL, max_grad),
     ATTRS(attrs_max_grad),
     OPERANDS(operands_dy_index),
     .nouts = 1},
    {.name = "avg_pool_grad",
     .help = "gradient of avg_pool",
     .variant = POOL_AVG_GRAD,
     .phase = PHASE_BACKWARD,
     POOL(OP_INTERNAL, avg_grad),
     ATTRS(attrs_avg_grad),
     OPERANDS(operand_dy),
     .nouts = 1},
    {.name = "global_avg_pool_grad",
     .help = "gradient of global_avg_pool",
     .variant = POOL_GLOBAL_GRAD,
     .phase = PHASE_BACKWARD,
     POOL(OP_INTERNAL, global_grad),
     ATTRS(attrs_size),
     OPERANDS(operand_dy),
     .nouts = 1},
};
const int op_pool_nrows = COUNT_OF(op_pool_rows);
