/* resize.c: nearest and bilinear scaling of images. */
#include "op/copy.h"
#include "op/rule.h"
#include "op/resize.h"

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand operand_dy[] = {{"dy", OPERAND_VALUE, false}};

static const char *const modes[] = {"nearest", "bilinear", NULL}; /* enum resize_mode */

/* The row and its gradient agree in the first four, so that the attributes can be handed on. */
#define ATTR_MODE                                                                                   \
    {                                                                                               \
        .name = "mode", .def = {.type = ATTR_ENUM}, .choices = modes, .help = "nearest or bilinear" \
    }
#define ATTR_ALIGN                                                                                               \
    {                                                                                                            \
        .name = "align_corners", .def = {.type = ATTR_BOOL}, .help = "bilinear: corner pixels keep their places" \
    }
/* What the coordinates are divided by; elaboration leaves 0 where that is the sizes' ratio. */
#define ATTR_SCALE(words)                                                                                             \
    {                                                                                                                 \
        .name = "scale", .def = {.type = ATTR_FLOAT}, .has_range = true, .min = 1e-6, .max = 1 << 20, .help = (words) \
    }
static const char *const interpolations[] = {"size", "scale", NULL};
static const struct op_attr attrs_resize[] = {
    ATTR_MODE,
    ATTR_ALIGN,
    {.name = "size",
     .def = {.type = ATTR_PAIR, .v = {1, 1}},
     .has_range = true,
     .min = 1,
     .max = 1 << 20,
     .help = "the result's size: a number or [h, w]"},
    ATTR_SCALE("in place of size: the factor; the result is rounded down"),
    {.name = "interpolate_by",
     .def = {.type = ATTR_ENUM},
     .spec_only = true,
     .choices = interpolations,
     .help = "with scale, where scale times a size is no whole number: pixel i + 0.5 lies at (i + 0.5) / scale, as in "
             "PyTorch and ONNX, or at (i + 0.5) times the input's size over the result's"},
    {.name = "like",
     .def = {.type = ATTR_TEXT},
     .spec_only = true,
     .help = "in place of size: the label whose height and width to take"},
};
static const struct op_attr attrs_resize_grad[] = {
    ATTR_MODE,
    ATTR_ALIGN,
    {.name = "size",
     .def = {.type = ATTR_PAIR, .v = {1, 1}},
     .required = true,
     .ir_only = true,
     .has_range = true,
     .min = 1,
     .max = 1 << 20,
     .help = "[h, w] of dx"},
    ATTR_SCALE("resize's"),
};

static bool resized(const struct type *x, const char *name, const struct attr *attr, struct type *out,
                    struct op_error *e)
{
    if (!rule_value(x, RULE_IMAGE, name, e)) return false;
    if (attr[1].b && attr[0].i != RESIZE_BILINEAR) {
        op_fail(e, "align_corners goes with mode: bilinear only");
        return rule_note(e, "set mode: bilinear, or leave align_corners out");
    }
    int64_t dim[] = {x->dim[0], x->dim[1], attr[2].v[0], attr[2].v[1]};
    return rule_result(out, x->dtype, 4, dim, e);
}

static bool infer_resize(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    return resized(&in[0], "the input", attr, out, e);
}

static bool infer_resize_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                              struct op_error *e)
{
    (void)nin;
    return resized(&in[0], "dy", attr, out, e);
}

static void grad_resize(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    const int64_t *x = g->node->in[0]->type.dim;
    struct attr attr[] = {g->node->attr[0], g->node->attr[1], {.type = ATTR_PAIR, .v = {x[2], x[3]}}, g->node->attr[3]};
    g->dx[0] = op_build_attrs(g->graph, NULL, "resize_grad", g->dy, 1, attr)->out[0];
}

static struct resize_tap tap_of(const struct ref_call *c, const struct type *small, const struct type *large, int axis,
                                int64_t i)
{
    return resize_tap((enum resize_mode)ref_int(c, "mode"), ref_int(c, "align_corners") != 0, ref_float(c, "scale"),
                      small->dim[axis], large->dim[axis], i);
}

static void ref_resize(struct ref_call *c)
{
    const struct type *x = c->in[0].type, *y = c->out[0].type;
    for (int64_t h = 0; h < y->dim[2]; h++)
        for (int64_t w = 0; w < y->dim[3]; w++) {
            struct resize_tap v = tap_of(c, x, y, 2, h), u = tap_of(c, x, y, 3, w);
            for (int64_t p = 0; p < ref_samples(c, x) * x->dim[1]; p++) {
                const double *low = c->in[0].data + (p * x->dim[2] + v.low) * x->dim[3],
                             *high = c->in[0].data + (p * x->dim[2] + v.high) * x->dim[3];
                double top = (1 - u.weight) * low[u.low] + u.weight * low[u.high],
                       bottom = (1 - u.weight) * high[u.low] + u.weight * high[u.high];
                c->out[0].data[(p * y->dim[2] + h) * y->dim[3] + w] = (1 - v.weight) * top + v.weight * bottom;
            }
        }
}

static void ref_resize_grad(struct ref_call *c)
{
    const struct type *y = c->in[0].type, *x = c->out[0].type;
    int64_t planes = ref_samples(c, x) * x->dim[1];
    for (int64_t i = 0; i < planes * ref_pixels(x); i++) c->out[0].data[i] = 0;
    for (int64_t h = 0; h < y->dim[2]; h++)
        for (int64_t w = 0; w < y->dim[3]; w++) {
            struct resize_tap v = tap_of(c, x, y, 2, h), u = tap_of(c, x, y, 3, w);
            for (int64_t p = 0; p < planes; p++) {
                double *dx = c->out[0].data + p * ref_pixels(x),
                       dy = c->in[0].data[(p * y->dim[2] + h) * y->dim[3] + w];
                dx[v.low * x->dim[3] + u.low] += (1 - v.weight) * (1 - u.weight) * dy;
                dx[v.low * x->dim[3] + u.high] += (1 - v.weight) * u.weight * dy;
                dx[v.high * x->dim[3] + u.low] += v.weight * (1 - u.weight) * dy;
                dx[v.high * x->dim[3] + u.high] += v.weight * u.weight * dy;
            }
        }
}

static const struct op_test tests_resize[] = {
    {"x=2,3,7,7 size=14,14", 1e-6},
    {"x=1,1,1,1 size=3,2", 1e-6},
    {"x=3,17,13,13 size=7,5", 1e-6},
    {"x=1,16,7,7 size=7,7", 1e-6},
    {"x=2,3,7,7 size=14,14 mode=bilinear", 1e-6},
    {"x=3,17,13,13 size=7,5 mode=bilinear", 1e-6},
    {"x=1,17,5,7 size=13,20 mode=bilinear align_corners=true", 1e-6},
    {"x=1,3,7,1 size=1,13 mode=bilinear align_corners=true", 1e-6},
    {"x=1,1,1,1 size=3,2 mode=bilinear", 1e-6},
    {"x=1,3,9,49 size=21,11", 1e-6},
    {"x=2,3,7,5 size=3,2 scale=0.5 mode=bilinear", 1e-6},
    {"x=1,17,7,5 size=12,8 scale=1.75 mode=bilinear", 1e-6},
    {"x=1,17,7,5 size=9,6 scale=1.3", 1e-6},
    {"x=1,3,6,1 size=6,1 scale=1.1 mode=bilinear", 1e-6},
};
static const struct op_test tests_resize_grad[] = {
    {"dy=2,3,14,14 size=7,7", 1e-5},
    {"dy=1,1,3,2 size=1,1", 1e-5},
    {"dy=3,17,7,5 size=13,13", 1e-5},
    {"dy=2,3,14,14 size=7,7 mode=bilinear", 1e-5},
    {"dy=3,17,7,5 size=13,13 mode=bilinear", 1e-5},
    {"dy=1,17,13,20 size=5,7 mode=bilinear align_corners=true", 1e-5},
    {"dy=1,3,1,13 size=7,1 mode=bilinear align_corners=true", 1e-5},
    {"dy=1,3,21,11 size=9,49", 1e-5},
    {"dy=2,3,3,2 size=7,5 scale=0.5 mode=bilinear", 1e-5},
    {"dy=1,17,12,8 size=7,5 scale=1.75 mode=bilinear", 1e-5},
    {"dy=1,17,9,6 size=7,5 scale=1.3", 1e-5},
};

#define MOVE(C, F)                                                                                     \
    .class_ = C, .family = &family_copy, .bf16 = true, .noperands = 1, .nouts = 1, .infer = infer_##F, \
    .attrs = attrs_##F, .nattr = COUNT_OF(attrs_##F), .ref = ref_##F, .tests = tests_##F,              \
    .ntests = COUNT_OF(tests_##F)

const struct op_def op_resize_rows[] = {
    {.name = "resize",
     .help = "scales an image",
     .identity = rule_identity,
     .variant = COPY_RESIZE,
     MOVE(OP_LAYER, resize),
     .operands = operand_x,
     .grad = grad_resize},
    {.name = "resize_grad",
     .help = "gradient of resize",
     .identity = rule_identity,
     .variant = COPY_RESIZE_GRAD,
     .phase = PHASE_BACKWARD,
     MOVE(OP_INTERNAL, resize_grad),
     .operands = operand_dy},
};
const int op_resize_nrows = COUNT_OF(op_resize_rows);
