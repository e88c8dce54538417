/* loss.c: the losses and their gradients. Each loss is weight times a mean over the n real samples; each gradient is
   that of the weighted loss by the first operand, the loss being a term of the sum that training minimises (so what
   flows into it is 1). */
#include <math.h>
#include <string.h>
#include "ir/op.h"
#include "op/rule.h"
#include "op/softmax.h"

#define ATTR_WEIGHT                                                                                     \
    {                                                                                                   \
        .name = "weight", .def = {.type = ATTR_FLOAT, .f = 1}, .has_range = true, .min = 0, .max = 1e9, \
        .help = "this loss's factor in the sum of the losses"                                           \
    }

static const struct op_attr cross_entropy_attrs[] = {
    {.name = "label_smoothing",
     .def = {.type = ATTR_FLOAT},
     .has_range = true,
     .min = 0,
     .max = 1,
     .help = "share of the target that is spread over all classes (Szegedy et al. 2016)"},
    {.name = "ignore",
     .def = {.type = ATTR_INT, .i = -1},
     .has_range = true,
     .min = -2147483648.0,
     .max = 2147483647.0,
     .help = "the label that counts for nothing"},
    ATTR_WEIGHT,
};
static const struct op_attr binary_attrs[] = {
    {.name = "from_logits", .def = {.type = ATTR_BOOL, .b = true}, .help = "x are logits, not probabilities"},
    ATTR_WEIGHT,
};
static const struct op_attr squared_attrs[] = {ATTR_WEIGHT};

/* ---- shapes */

/* logits [N, C] with labels [N], or [N, C, H, W] with [N, H, W]. */
static bool labels_go(const struct type *in, struct op_error *e)
{
    const struct type *x = &in[0], *t = &in[1];
    if (!rule_value(x, RULE_VALUE, "the prediction", e)) return false;
    if (t->dtype != DT_I64) {
        op_fail(e, "the target must be class labels (i64), not %s", rule_shape(e, t));
        return rule_note(e, "declare the target with type: class, or type: class_map for an image of labels");
    }
    bool map = x->rank == 4;
    int64_t want[] = {x->dim[0], map ? x->dim[2] : 1, map ? x->dim[3] : 1};
    struct type w = type_make(DT_I64, map ? 3 : 1, want);
    if (type_same_shape(t, &w)) return true;
    op_fail(e, "for the prediction %s the labels must be %s, not %s", rule_shape(e, x), rule_shape(e, &w),
            rule_shape(e, t));
    return rule_note(e, map == (t->rank == 1) ? (map ? "put 'global_avg_pool' or 'flatten' and 'dense' before the loss"
                                                     : "a map of labels needs a prediction [N, C, H, W]")
                                              : NULL);
}

static bool pair_goes(const struct type *in, struct op_error *e)
{
    if (in[0].rank < 1) return op_fail(e, "the prediction must have samples, not be a scalar");
    if (in[0].dtype != DT_F32) return op_fail(e, "the prediction must be f32, not %s", rule_shape(e, &in[0]));
    if (type_same_shape(&in[0], &in[1])) return true;
    op_fail(e, "the prediction is %s, but the target %s", rule_shape(e, &in[0]), rule_shape(e, &in[1]));
    return rule_note(e, "prediction and target must have the same shape");
}

static bool scalar(struct type *out)
{
    *out = type_make(DT_F32, 0, NULL);
    return true;
}

static bool like_first(const struct type *in, struct type *out)
{
    *out = type_make(DT_F32, in[0].rank, in[0].dim);
    return true;
}

#define INFER(name, check, result)                                                                               \
    static bool name(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e) \
    {                                                                                                            \
        (void)nin, (void)a;                                                                                      \
        return (check) && (result);                                                                              \
    }
INFER(cross_entropy_infer, labels_go(in, e), scalar(out))
INFER(cross_entropy_grad_infer, labels_go(in, e), like_first(in, out))
INFER(binary_infer, pair_goes(in, e), scalar(out))
INFER(binary_grad_infer, pair_goes(in, e), like_first(in, out))
INFER(squared_infer, pair_goes(in, e), scalar(out))
INFER(squared_grad_infer, pair_goes(in, e), like_first(in, out))

/* ---- gradients and memory */

static void loss_grad(struct grad_call *g)
{
    if (!g->need[0]) return;
    const char *op = arena_printf(g->graph->arena, "%s_grad", g->node->op->name);
    g->dx[0] = op_build_attrs(g->graph, NULL, op, g->node->in, 2, g->node->attr)->out[0];
}

/* ---- references */

/* One pixel's logits: base[c * step] for c in 0 … C − 1. A label that is no class counts for nothing, as the ignored
   one does. */
struct pixel {
    const double *base;
    int64_t step, classes, label;
};

static bool counts(const struct ref_call *c, const struct pixel *p)
{
    return p->label != ref_int(c, "ignore") && p->label >= 0 && p->label < p->classes;
}

static int64_t pixels_of(const struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    return ref_samples(c, t) * (t->rank == 4 ? t->dim[2] * t->dim[3] : 1);
}

static struct pixel pixel_at(const struct ref_call *c, int64_t k, int64_t *offset)
{
    const struct type *t = c->in[0].type;
    int64_t hw = t->rank == 4 ? t->dim[2] * t->dim[3] : 1;
    *offset = k / hw * t->dim[1] * hw + k % hw;
    return (struct pixel){c->in[0].data + *offset, hw, t->dim[1], (int64_t)c->in[1].data[k]};
}

static double log_sum_exp(const struct pixel *p)
{
    double top = p->base[0], sum = 0;
    for (int64_t i = 1; i < p->classes; i++) top = fmax(top, p->base[i * p->step]);
    for (int64_t i = 0; i < p->classes; i++) sum += exp(p->base[i * p->step] - top);
    return top + log(sum);
}

/* The target's probability of class i. */
static double wanted(const struct pixel *p, int64_t i, double smoothing)
{
    return (i == p->label ? 1 - smoothing : 0) + smoothing / (double)p->classes;
}

/* How large the terms of −Σ wanted·log p are: the logit below the largest one, and a logarithm whose argument is about
   1 and off by a rounding of that. */
static double term_size(const struct pixel *p, int64_t i, double top) { return fabs(p->base[i * p->step] - top) + 1; }

static double counted(const struct ref_call *c)
{
    int64_t n = 0, offset;
    for (int64_t k = 0; k < pixels_of(c); k++) {
        struct pixel p = pixel_at(c, k, &offset);
        n += counts(c, &p);
    }
    return n ? (double)n : 1;
}

static void ref_cross_entropy(struct ref_call *c)
{
    double sum = 0, smoothing = ref_float(c, "label_smoothing");
    for (int64_t k = 0, offset; k < pixels_of(c); k++) {
        struct pixel p = pixel_at(c, k, &offset);
        if (!counts(c, &p)) continue;
        double lse = log_sum_exp(&p);
        for (int64_t i = 0; i < p.classes; i++)
            sum += wanted(&p, i, smoothing) * (c->run.magnitudes ? term_size(&p, i, lse) : lse - p.base[i * p.step]);
    }
    c->out[0].data[0] = ref_float(c, "weight") * sum / counted(c);
}

/* Of a probability and the target's. */
static double difference(const struct ref_call *c, double p, double wanted)
{
    return c->run.magnitudes ? p + wanted : p - wanted;
}

static void zero(const struct ref_tensor *t) { memset(t->data, 0, (size_t)type_elements(t->type) * sizeof *t->data); }

static void ref_cross_entropy_grad(struct ref_call *c)
{
    double scale = ref_float(c, "weight") / counted(c), smoothing = ref_float(c, "label_smoothing");
    zero(&c->out[0]);
    for (int64_t k = 0, offset; k < pixels_of(c); k++) {
        struct pixel p = pixel_at(c, k, &offset);
        if (!counts(c, &p)) continue;
        double lse = log_sum_exp(&p);
        for (int64_t i = 0; i < p.classes; i++)
            c->out[0].data[offset + i * p.step] =
                scale * difference(c, exp(p.base[i * p.step] - lse), wanted(&p, i, smoothing));
    }
}

/* Elements of the real samples. */
static int64_t elements(const struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    return type_elements(t) / t->dim[0] * ref_samples(c, t);
}

/* −log p, at most 100, as PyTorch bounds it. */
static double neg_log(double p) { return -fmax(log(p), -100); }

static double binary_term(double x, double t, bool from_logits)
{
    if (from_logits) return fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
    return t * neg_log(x) + (1 - t) * neg_log(1 - x);
}

static double binary_slope(const struct ref_call *c, double x, double t, bool from_logits)
{
    if (from_logits) return difference(c, 1 / (1 + exp(-x)), t);
    return (x - t) / fmax(x * (1 - x), 1e-12);
}

static void ref_binary(struct ref_call *c)
{
    double sum = 0;
    for (int64_t k = 0; k < elements(c); k++)
        sum += binary_term(c->in[0].data[k], c->in[1].data[k], ref_int(c, "from_logits")) + c->run.magnitudes;
    c->out[0].data[0] = ref_float(c, "weight") * sum / (double)elements(c);
}

static void ref_binary_grad(struct ref_call *c)
{
    zero(&c->out[0]);
    for (int64_t k = 0; k < elements(c); k++)
        c->out[0].data[k] = ref_float(c, "weight") *
                            binary_slope(c, c->in[0].data[k], c->in[1].data[k], ref_int(c, "from_logits")) /
                            (double)elements(c);
}

static void ref_squared(struct ref_call *c)
{
    double sum = 0;
    for (int64_t k = 0; k < elements(c); k++) sum += pow(c->in[0].data[k] - c->in[1].data[k], 2);
    c->out[0].data[0] = ref_float(c, "weight") * sum / (double)elements(c);
}

static void ref_squared_grad(struct ref_call *c)
{
    zero(&c->out[0]);
    for (int64_t k = 0; k < elements(c); k++)
        c->out[0].data[k] = ref_float(c, "weight") * 2 * (c->in[0].data[k] - c->in[1].data[k]) / (double)elements(c);
}

/* ---- tests */

static const struct op_test cross_entropy_tests[] = {
    {"logits=1,1 target=1", 1e-5},
    {"logits=3,17 target=3 label_smoothing=0.1", 1e-5},
    {"logits=13,10 target=13 ignore=3", 1e-5},
    {"logits=2,100 target=2 weight=0.5", 1e-5},
    {"logits=2,3,7,7 target=2,7,7", 1e-5},
    {"logits=1,17,13,7 target=1,13,7 label_smoothing=0.2 ignore=0 weight=2", 1e-5},
};
static const struct op_test binary_tests[] = {
    {"x=1,1 target=1,1", 1e-5},
    {"x=3,17 target=3,17 weight=0.5", 1e-5},
    {"x=2,1,7,13 target=2,1,7,13", 1e-5},
    {"x=1,17,7,7 target=1,17,7,7 from_logits=false", 1e-5},
};
static const struct op_test squared_tests[] = {
    {"x=1,1 target=1,1", 1e-5},
    {"x=3,17 target=3,17 weight=0.5", 1e-5},
    {"x=2,3,7,13 target=2,3,7,13", 1e-5},
};

/* ---- rows */

static const struct op_operand logits_operands[] = {{"logits", OPERAND_VALUE, false},
                                                    {"target", OPERAND_TARGET, false}};
static const struct op_operand pair_operands[] = {{"x", OPERAND_VALUE, false}, {"target", OPERAND_TARGET, false}};

extern const struct op_def op_loss_rows[];
extern const int op_loss_nrows;

#define ROW(o, a, t)                                                                                               \
    .family = &family_loss, .operands = o, .noperands = COUNT_OF(o), .nouts = 1, .attrs = a, .nattr = COUNT_OF(a), \
    .tests = t, .ntests = COUNT_OF(t)

const struct op_def op_loss_rows[] = {
    {.name = "softmax_cross_entropy",
     .help = "softmax and cross entropy with class labels, for one label a sample or one a pixel",
     .variant = CROSS,
     .squash = SQUASH_SOFTMAX,
     .class_ = OP_LOSS,
     .compares = COMPARES_CLASSES,
     ROW(logits_operands, cross_entropy_attrs, cross_entropy_tests),
     .infer = cross_entropy_infer,
     .sums_samples = true,
     .grad = loss_grad,
     .ref = ref_cross_entropy},
    {.name = "binary_cross_entropy",
     .help = "binary cross entropy of every element with a target of the same shape, 0 to 1",
     .variant = BINARY,
     .squash = SQUASH_SIGMOID,
     .class_ = OP_LOSS,
     .compares = COMPARES_BINARY,
     ROW(pair_operands, binary_attrs, binary_tests),
     .infer = binary_infer,
     .sums_samples = true,
     .grad = loss_grad,
     .ref = ref_binary},
    {.name = "mean_squared_error",
     .help = "mean of the squared differences to a target of the same shape",
     .variant = SQUARED,
     .class_ = OP_LOSS,
     .compares = COMPARES_NUMBERS,
     ROW(pair_operands, squared_attrs, squared_tests),
     .infer = squared_infer,
     .sums_samples = true,
     .grad = loss_grad,
     .ref = ref_squared},
    {.name = "softmax_cross_entropy_grad",
     .help = "gradient of softmax_cross_entropy by the logits",
     .variant = CROSS_GRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     ROW(logits_operands, cross_entropy_attrs, cross_entropy_tests),
     .infer = cross_entropy_grad_infer,
     .ref = ref_cross_entropy_grad,
     .inplace = true},
    {.name = "binary_cross_entropy_grad",
     .help = "gradient of binary_cross_entropy by the prediction",
     .variant = BINARY_GRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     ROW(pair_operands, binary_attrs, binary_tests),
     .infer = binary_grad_infer,
     .ref = ref_binary_grad,
     .inplace = true},
    {.name = "mean_squared_error_grad",
     .help = "gradient of mean_squared_error by the prediction",
     .variant = SQUARED_GRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     ROW(pair_operands, squared_attrs, squared_tests),
     .infer = squared_grad_infer,
     .ref = ref_squared_grad,
     .inplace = true},
};
const int op_loss_nrows = COUNT_OF(op_loss_rows);
