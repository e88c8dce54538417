/* norm.c: batch normalisation (Ioffe and Szegedy 2015): inference by running statistics, the parts that training is
   made of, per-channel sums, and the folding into a convolution. Images [N, C, H, W] or features [N, C]; M = n·H·W
   values a channel. batch_norm trains as bn_stats, bn_apply and two bn_running; bn_apply's gradient
   rule is that of the whole. */
#include <assert.h>
#include <math.h>
#include "ir/op.h"
#include "op/rule.h"
#include "op/sums.h"

#define ATTR_EPS(who)                                                                                             \
    {                                                                                                             \
        .name = "eps", .def = {.type = ATTR_FLOAT, .f = 1e-5}, .ir_only = (who), .has_range = true, .min = 1e-12, \
        .max = 1, .help = "added to the variance before the square root"                                          \
    }
#define ATTR_COUNT                                                                                                     \
    {                                                                                                                  \
        .name = "count", .def = {.type = ATTR_INT, .i = 1}, .ir_only = true, .has_range = true, .min = 1, .max = 1e12, \
        .help = "values of a channel in one sample: H·W"                                                              \
    }

/* In the graph `momentum` is always the batch's share: elaboration turns the other one round. */
static const char *const momentum_of[] = {"batch", "running", NULL};
static const struct op_attr batch_norm_attrs[] = {
    ATTR_EPS(false),
    {.name = "momentum",
     .def = {.type = ATTR_FLOAT, .f = 0.1},
     .has_range = true,
     .min = 0,
     .max = 1,
     .help =
         "the share of the batch's statistics, or of the running ones (momentum_of), in the new running statistics"},
    {.name = "momentum_of",
     .def = {.type = ATTR_ENUM},
     .spec_only = true,
     .choices = momentum_of,
     .help =
         "whose share momentum is: batch: new = (1 - momentum) * running + momentum * batch, as PyTorch has it; "
         "running: new = momentum * running + (1 - momentum) * batch, as Keras has it. 0.1 of the one is 0.9 of the "
         "other"},
    {.name = "biased",
     .def = {.type = ATTR_BOOL},
     .help = "the running variance is of the batch's sum of squares over M, its number of values, as in Keras; false: "
             "over M - 1, as in PyTorch. A batch of one value a channel, which has no variance, leaves the running "
             "statistics alone; its result is the bias, and no gradient goes further back"},
};
static const struct op_attr eps_attrs[] = {ATTR_EPS(true)};
static const struct op_attr dx_attrs[] = {ATTR_EPS(true), ATTR_COUNT};
static const struct op_attr running_attrs[] = {
    {.name = "momentum",
     .def = {.type = ATTR_FLOAT, .f = 0.1},
     .ir_only = true,
     .has_range = true,
     .min = 0,
     .max = 1,
     .help = "share of the batch's statistics in the new running statistics"},
    {.name = "unbias",
     .def = {.type = ATTR_BOOL},
     .ir_only = true,
     .help = "the batch's value is a biased variance: multiply by M/(M − 1)"},
    ATTR_COUNT,
};
static const struct op_attr fold_attrs[] = {
    ATTR_EPS(true),
    {.name = "axis",
     .def = {.type = ATTR_INT},
     .ir_only = true,
     .has_range = true,
     .min = 0,
     .max = 1,
     .help = "which dimension of w is the output channel"},
};

/* ---- shapes */

static bool image(const struct type *x, const char *what, struct op_error *e)
{
    return rule_value(x, RULE_VALUE, what, e);
}

/* in[first], in[first + 1] … are [C] of in[0]. */
static bool vectors(const struct type *in, int first, int nin, const struct op_operand *names, struct op_error *e)
{
    for (int i = first; i < nin; i++)
        if (!rule_vector(&in[i], in[0].dim[1], names[i].name, e)) return false;
    return true;
}

static const struct op_operand batch_norm_operands[] = {
    {"x", OPERAND_VALUE, false},
    {"weight", OPERAND_PARAM, false},
    {"bias", OPERAND_PARAM, false},
    {"running_mean", OPERAND_BUFFER, false},
    {"running_var", OPERAND_BUFFER, false},
};
static const struct op_operand x_operand[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand dy_operand[] = {{"dy", OPERAND_VALUE, false}};
static const struct op_operand apply_operands[] = {
    {"x", OPERAND_VALUE, false},      {"mean", OPERAND_VALUE, false}, {"var", OPERAND_VALUE, false},
    {"weight", OPERAND_PARAM, false}, {"bias", OPERAND_PARAM, false},
};
static const struct op_operand running_operands[] = {{"running", OPERAND_BUFFER, false},
                                                     {"batch", OPERAND_VALUE, false}};
static const struct op_operand dx_operands[] = {
    /* bn_grad takes the first four */
    {"dy", OPERAND_VALUE, false},    {"x", OPERAND_VALUE, false},      {"mean", OPERAND_VALUE, false},
    {"var", OPERAND_VALUE, false},   {"weight", OPERAND_PARAM, false}, {"dweight", OPERAND_VALUE, false},
    {"dbias", OPERAND_VALUE, false},
};
static const struct op_operand fold_operands[] = {
    {"w", OPERAND_PARAM, false},    {"b", OPERAND_PARAM, true},      {"weight", OPERAND_PARAM, false},
    {"bias", OPERAND_PARAM, false}, {"mean", OPERAND_BUFFER, false}, {"var", OPERAND_BUFFER, false},
};

static bool batch_norm_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (!image(&in[0], "the input", e) || !vectors(in, 1, nin, batch_norm_operands, e)) return false;
    out[0] = type_make(DT_F32, in[0].rank, in[0].dim);
    return true;
}

static bool apply_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (!image(&in[0], "the input", e) || !vectors(in, 1, nin, apply_operands, e)) return false;
    out[0] = type_make(DT_F32, in[0].rank, in[0].dim);
    return true;
}

static bool sum_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)nin, (void)a;
    if (!image(&in[0], "the operand", e)) return false;
    out[0] = type_make(DT_F32, 1, &in[0].dim[1]);
    return true;
}

static bool stats_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)nin, (void)a;
    if (!image(&in[0], "the operand", e)) return false;
    out[0] = out[1] = type_make(DT_F32, 1, &in[0].dim[1]);
    return true;
}

static bool grad_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (!image(&in[0], "dy", e) || !rule_same(&in[1], &in[0], "x", e)) return false;
    if (!vectors(in, 2, nin, dx_operands, e)) return false;
    out[0] = out[1] = type_make(DT_F32, 1, &in[0].dim[1]);
    return true;
}

static bool dx_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (!image(&in[0], "dy", e) || !rule_same(&in[1], &in[0], "x", e)) return false;
    if (!vectors(in, 2, nin, dx_operands, e)) return false;
    out[0] = type_make(DT_F32, in[0].rank, in[0].dim);
    return true;
}

static bool running_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)nin, (void)a;
    if (!rule_value(&in[0], RULE_VECTOR, "the statistics", e) || !rule_same(&in[1], &in[0], "the batch's", e))
        return false;
    out[0] = type_make(DT_F32, 1, in[0].dim);
    return true;
}

static bool fold_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    if (!rule_value(&in[0], RULE_VALUE, "w", e)) return false;
    int64_t c = in[0].dim[a[1].i];
    for (int i = 1; i < nin; i++)
        if (in[i].rank >= 0 && !rule_vector(&in[i], c, fold_operands[i].name, e)) return false;
    out[0] = type_make(DT_F32, in[0].rank, in[0].dim);
    out[1] = type_make(DT_F32, 1, &c);
    return true;
}

static int batch_norm_params(const struct type *in, int nin, const struct attr *a, struct param_decl *out,
                             struct op_error *e)
{
    (void)nin, (void)a;
    if (!image(&in[0], "the input", e)) return -1;
    struct type c = type_make(DT_F32, 1, &in[0].dim[1]), scalar = type_make(DT_I64, 0, NULL);
    out[0] = (struct param_decl){"weight", VALUE_PARAM, c, INIT_ONES, 0, 0};
    out[1] = (struct param_decl){"bias", VALUE_PARAM, c, INIT_ZEROS, 0, 0};
    out[2] = (struct param_decl){"running_mean", VALUE_BUFFER, c, INIT_ZEROS, 0, 0};
    out[3] = (struct param_decl){"running_var", VALUE_BUFFER, c, INIT_ONES, 0, 0};
    out[4] = (struct param_decl){"num_batches_tracked", VALUE_COUNTER, scalar, INIT_ZEROS, 0, 0};
    return 5;
}

/* ---- training: the batch's own statistics, from which the running ones follow */

static struct value *latest(const struct graph *g, struct value *state)
{
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].state == state) return g->updates[i].value;
    return state;
}

static void place(struct node *n, const struct node *like)
{
    n->layer = like->layer;
    n->span = like->span;
}

/* A layer that is applied twice updates its running statistics twice. */
static void running(struct graph *g, struct node *bn, struct value *state, struct value *batch, bool unbias,
                    int64_t count)
{
    struct value *in[] = {latest(g, state), batch};
    struct node *n = op_build_attrs(
        g, bn, "bn_running", in, 2,
        (struct attr[]){*node_attr(bn, "momentum"), {.type = ATTR_BOOL, .b = unbias}, {.type = ATTR_INT, .i = count}});
    place(n, bn);
    value_name_after(g, n->out[0], state->name, "new");
    graph_set_update(g, state, n->out[0]);
}

static bool train_norm(struct graph *g, struct node *bn, struct op_error *e)
{
    struct value *x = bn->in[0], *weight = bn->in[1], *bias = bn->in[2], *mean = bn->in[3], *var = bn->in[4];
    int64_t count = x->type.rank == 4 ? x->type.dim[2] * x->type.dim[3] : 1;
    if (g->batch * count < 2) {
        op_fail(e, "batch_norm '%s' has one value per channel to train on: batch 1 of 1 x 1 pixel", node_label(bn));
        return rule_note(e, "its variance would be zero; a batch of 2 or more would do");
    }
    struct node *stats = op_build(g, bn, "bn_stats", &x, 1);
    place(stats, bn);
    value_name_after(g, stats->out[0], node_label(bn), "mean");
    value_name_after(g, stats->out[1], node_label(bn), "var");
    bool unbias = !node_attr(bn, "biased")->b;
    running(g, bn, mean, stats->out[0], false, count);
    running(g, bn, var, stats->out[1], unbias, count);
    op_become(g, bn, OPNAME_BN_APPLY, (struct value *[]){x, stats->out[0], stats->out[1], weight, bias}, 5);
    return true;
}

/* ---- gradient of bn_stats and bn_apply together: through the mean and the variance too, which are those of x */

static void apply_grad(struct grad_call *g)
{
    struct value *const *in = g->node->in, *x = in[0], *dy = g->dy[0];
    assert(in[1]->def && in[1]->def->in[0] == x && in[2]->def == in[1]->def);
    struct attr eps = *node_attr(g->node, "eps"),
                count = {.type = ATTR_INT, .i = x->type.rank == 4 ? x->type.dim[2] * x->type.dim[3] : 1};
    struct node *sums = op_build_attrs(g->graph, NULL, "bn_grad", (struct value *[]){dy, x, in[1], in[2]}, 4, &eps);
    if (g->need[3]) g->dx[3] = sums->out[0];
    if (g->need[4]) g->dx[4] = sums->out[1];
    if (!g->need[0]) return;
    struct value *dx_in[] = {dy, x, in[1], in[2], in[3], sums->out[0], sums->out[1]};
    g->dx[0] = op_build_attrs(g->graph, NULL, "bn_dx", dx_in, COUNT_OF(dx_in), (struct attr[]){eps, count})->out[0];
}

/* ---- references */

/* Values of a channel in one sample. */
static int64_t pixels(const struct type *t) { return t->rank == 4 ? t->dim[2] * t->dim[3] : 1; }

static double channel_total(const struct ref_call *c, const struct ref_tensor *t, int64_t channel,
                            double (*f)(const struct ref_call *, int64_t, int64_t))
{
    int64_t n = ref_samples(c, t->type), hw = pixels(t->type);
    double sum = 0;
    for (int64_t s = 0; s < n; s++)
        for (int64_t k = 0; k < hw; k++) sum += f(c, (s * t->type->dim[1] + channel) * hw + k, channel);
    return sum;
}

static double term_first(const struct ref_call *c, int64_t at, int64_t channel)
{
    (void)channel;
    return c->in[0].data[at];
}

static double term_square(const struct ref_call *c, int64_t at, int64_t channel)
{
    double d = c->in[0].data[at] - c->out[0].data[channel];
    return d * d;
}

static double term_normal(const struct ref_call *c, int64_t at, int64_t channel) /* dy · x̂ */
{
    double centred = c->in[1].data[at] - c->in[2].data[channel];
    return c->in[0].data[at] * centred / sqrt(c->in[3].data[channel] + ref_float(c, "eps"));
}

static void ref_sum(struct ref_call *c)
{
    for (int64_t k = 0; k < c->out[0].type->dim[0]; k++) c->out[0].data[k] = channel_total(c, &c->in[0], k, term_first);
}

static void ref_stats(struct ref_call *c)
{
    double m = (double)(ref_samples(c, c->in[0].type) * pixels(c->in[0].type));
    for (int64_t k = 0; k < c->out[0].type->dim[0]; k++) {
        c->out[0].data[k] = channel_total(c, &c->in[0], k, term_first) / m;
        c->out[1].data[k] = channel_total(c, &c->in[0], k, term_square) / m;
    }
}

static void ref_grad(struct ref_call *c)
{
    for (int64_t k = 0; k < c->out[0].type->dim[0]; k++) {
        c->out[0].data[k] = channel_total(c, &c->in[0], k, term_normal);
        c->out[1].data[k] = channel_total(c, &c->in[0], k, term_first);
    }
}

static void normalise(struct ref_call *c, const double *mean, const double *var, const double *weight,
                      const double *bias)
{
    const struct type *t = c->in[0].type;
    int64_t hw = pixels(t), count = ref_samples(c, t) * t->dim[1] * hw;
    double eps = ref_float(c, "eps");
    for (int64_t k = 0; k < count; k++) {
        int64_t ch = k / hw % t->dim[1];
        c->out[0].data[k] = (c->in[0].data[k] - mean[ch]) / sqrt(var[ch] + eps) * weight[ch] + bias[ch];
    }
}

static void ref_batch_norm(struct ref_call *c)
{
    normalise(c, c->in[3].data, c->in[4].data, c->in[1].data, c->in[2].data);
}
static void ref_apply(struct ref_call *c) { normalise(c, c->in[1].data, c->in[2].data, c->in[3].data, c->in[4].data); }

static void ref_dx(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    int64_t hw = pixels(t), samples = ref_samples(c, t), count = samples * t->dim[1] * hw;
    double eps = ref_float(c, "eps"), m = (double)(c->run.n * ref_int(c, "count"));
    for (int64_t k = 0; k < count; k++) {
        int64_t ch = k / hw % t->dim[1];
        double sd = sqrt(c->in[3].data[ch] + eps), normal = (c->in[1].data[k] - c->in[2].data[ch]) / sd;
        double mean_dy = c->in[6].data[ch] / m, mean_dy_normal = c->in[5].data[ch] / m;
        c->out[0].data[k] = c->in[4].data[ch] / sd * (c->in[0].data[k] - mean_dy - normal * mean_dy_normal);
    }
}

static void ref_running(struct ref_call *c)
{
    double m = (double)(c->run.n * ref_int(c, "count")), momentum = m > 1 ? ref_float(c, "momentum") : 0;
    double factor = ref_int(c, "unbias") && m > 1 ? m / (m - 1) : 1;
    for (int64_t k = 0; k < c->out[0].type->dim[0]; k++)
        c->out[0].data[k] = (1 - momentum) * c->in[0].data[k] + momentum * factor * c->in[1].data[k];
}

static void ref_fold(struct ref_call *c)
{
    const struct type *w = c->in[0].type;
    int64_t axis = ref_int(c, "axis"), inner = 1, channels = w->dim[axis];
    for (int i = (int)axis + 1; i < w->rank; i++) inner *= w->dim[i];
    double eps = ref_float(c, "eps");
    for (int64_t k = 0; k < type_elements(w); k++) {
        int64_t ch = k / inner % channels;
        c->out[0].data[k] = c->in[0].data[k] * c->in[2].data[ch] / sqrt(c->in[5].data[ch] + eps);
    }
    for (int64_t ch = 0; ch < channels; ch++) {
        double b = c->in[1].data ? c->in[1].data[ch] : 0;
        c->out[1].data[ch] =
            c->in[3].data[ch] + (b - c->in[4].data[ch]) * c->in[2].data[ch] / sqrt(c->in[5].data[ch] + eps);
    }
}

/* ---- tests */

static const struct op_test batch_norm_tests[] = {
    {"x=1,1,1,1 weight=1 bias=1 running_mean=1 running_var=1", 1e-5},
    {"x=3,3,7,7 weight=3 bias=3 running_mean=3 running_var=3", 1e-5},
    {"x=1,17,13,7 weight=17 bias=17 running_mean=17 running_var=17 eps=0.001", 1e-5},
    {"x=3,33 weight=33 bias=33 running_mean=33 running_var=33", 1e-5},
};
static const struct op_test apply_tests[] = {
    {"x=2,1,1,7 mean=1 var=1 weight=1 bias=1", 1e-5},
    {"x=3,3,7,7 mean=3 var=3 weight=3 bias=3", 1e-5},
    {"x=1,17,13,7 mean=17 var=17 weight=17 bias=17 eps=0.001", 1e-5},
    {"x=3,33 mean=33 var=33 weight=33 bias=33", 1e-5},
};
static const struct op_test stats_tests[] = {
    {"x=2,1,1,7", 1e-5},    {"x=3,3,7,7", 1e-5}, {"x=1,17,13,7", 1e-5},
    {"x=9,16,13,13", 1e-5}, {"x=13,33", 1e-5},   {"x=1,40,56,56", 1e-5},
};
static const struct op_test sum_tests[] = {
    {"dy=1,1,1,1", 1e-5}, {"dy=3,3,7,7", 1e-5}, {"dy=1,17,13,7", 1e-5}, {"dy=9,16,13,13", 1e-5}, {"dy=13,33", 1e-5},
};
static const struct op_test grad_tests[] = {
    {"dy=2,1,1,7 x=2,1,1,7 mean=1 var=1", 1e-5},
    {"dy=3,3,7,7 x=3,3,7,7 mean=3 var=3", 1e-5},
    {"dy=1,17,13,7 x=1,17,13,7 mean=17 var=17 eps=0.001", 1e-5},
    {"dy=9,16,13,13 x=9,16,13,13 mean=16 var=16", 1e-5},
    {"dy=13,33 x=13,33 mean=33 var=33", 1e-5},
};
static const struct op_test dx_tests[] = {
    {"dy=2,1,1,7 x=2,1,1,7 mean=1 var=1 weight=1 dweight=1 dbias=1 count=7", 1e-5},
    {"dy=3,3,7,7 x=3,3,7,7 mean=3 var=3 weight=3 dweight=3 dbias=3 count=49", 1e-5},
    {"dy=1,17,13,7 x=1,17,13,7 mean=17 var=17 weight=17 dweight=17 dbias=17 count=91 eps=0.001", 1e-5},
    {"dy=13,33 x=13,33 mean=33 var=33 weight=33 dweight=33 dbias=33", 1e-5},
};
static const struct op_test running_tests[] = {
    {"running=1 batch=1 count=49", 1e-5},
    {"running=17 batch=17 unbias=true count=49 momentum=0.3", 1e-5},
    {"running=33 batch=33 unbias=true", 1e-5},
    {"running=17 batch=17 momentum=0.3", 1e-5},
};
static const struct op_test fold_tests[] = {
    {"w=5,3,3,3 weight=5 bias=5 mean=5 var=5", 1e-5},
    {"w=17,1,1,1 b=17 weight=17 bias=17 mean=17 var=17 eps=0.001", 1e-5},
    {"w=3,7,2,2 b=7 weight=7 bias=7 mean=7 var=7 axis=1", 1e-5},
    {"w=10,33 b=10 weight=10 bias=10 mean=10 var=10", 1e-5},
};

/* ---- rows */

extern const struct op_def op_norm_rows[];
extern const int op_norm_nrows;

#define OPERANDS(o) .operands = o, .noperands = COUNT_OF(o)
#define ATTRS(a) .attrs = a, .nattr = COUNT_OF(a)
#define TESTS(t) .tests = t, .ntests = COUNT_OF(t)

const struct op_def op_norm_rows[] = {
    {.name = OPNAME_BATCH_NORM,
     .help = "batch normalisation; in training by the batch's statistics, in inference by the running ones",
     .train = train_norm,
     .work = WORK_BATCH_NORM,
     .class_ = OP_LAYER,
     .family = &family_pointwise,
     OPERANDS(batch_norm_operands),
     .nouts = 1,
     ATTRS(batch_norm_attrs),
     .params = batch_norm_params,
     .infer = batch_norm_infer,
     .ref = ref_batch_norm,
     TESTS(batch_norm_tests),
     .expr = "(x - running_mean) * (weight / sqrt(running_var + eps)) + bias",
     .keeps_zero = true},
    {.name = "bn_stats",
     .help = "each channel's mean and biased variance over the batch",
     .variant = SUM_STATS,
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_reduce,
     OPERANDS(x_operand),
     .nouts = 2,
     .infer = stats_infer,
     .sums_samples = true,
     .ref = ref_stats,
     TESTS(stats_tests),
     .bf16 = true},
    {.name = OPNAME_BN_APPLY,
     .help = "normalises by a mean and a variance, then scales and shifts",
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     OPERANDS(apply_operands),
     .nouts = 1,
     ATTRS(eps_attrs),
     .infer = apply_infer,
     .grad = apply_grad,
     .ref = ref_apply,
     TESTS(apply_tests),
     .expr = "(x - mean) * (weight / sqrt(var + eps)) + bias",
     .keeps_zero = true},
    /* M/(M − 1) = 1 + 1/(M − 1). One value a channel, which a last, small batch may have, has no variance: it leaves
       the running statistics alone. */
    {.name = "bn_running",
     .help = "the running statistics after this batch",
     .phase = PHASE_UPDATE,
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     OPERANDS(running_operands),
     .nouts = 1,
     ATTRS(running_attrs),
     .infer = running_infer,
     .ref = ref_running,
     TESTS(running_tests),
     .expr = "running + select(count > 1, momentum, momentum * min(n - 1, 1)) * "
             "(batch * (1 + unbias * min(n * count - 1, 1) / max(n * count - 1, 1)) - running)",
     .keeps_zero = true},
    {.name = "bn_grad",
     .help = "gradients of batch normalisation by its weight and bias",
     .variant = SUM_GRAD,
     .phase = PHASE_BACKWARD,
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_reduce,
     .operands = dx_operands,
     .noperands = 4,
     .nouts = 2,
     ATTRS(eps_attrs),
     .infer = grad_infer,
     .sums_samples = true,
     .ref = ref_grad,
     TESTS(grad_tests),
     .bf16 = true},
    /* weight/σ · (dy − dbias/M − x̂·dweight/M), as an affine map of dy and x − mean. */
    {.name = "bn_dx",
     .help = "gradient of batch normalisation by its input",
     .phase = PHASE_BACKWARD,
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     OPERANDS(dx_operands),
     .nouts = 1,
     ATTRS(dx_attrs),
     .infer = dx_infer,
     .ref = ref_dx,
     TESTS(dx_tests),
     .expr = "dy * (weight / sqrt(var + eps)) - ((x - mean) * (weight * dweight / ((var + eps) * (n * count))) "
             "+ weight * dbias / (sqrt(var + eps) * (n * count)))",
     .keeps_zero = true},
    {.name = OPNAME_CHANNEL_SUM,
     .help = "each channel's sum over the batch: gradient of a bias",
     .variant = SUM_PLAIN,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_reduce,
     OPERANDS(dy_operand),
     .nouts = 1,
     .infer = sum_infer,
     .sums_samples = true,
     .ref = ref_sum,
     TESTS(sum_tests),
     .bf16 = true},
    {.name = OPNAME_BN_FOLD,
     .help = "a convolution's weight and bias with the batch normalisation behind it folded in",
     .phase = PHASE_PREPARE,
     .work = WORK_BATCH_NORM,
     .class_ = OP_INTERNAL,
     .family = &family_prepare,
     OPERANDS(fold_operands),
     .nouts = 2,
     ATTRS(fold_attrs),
     .infer = fold_infer,
     .ref = ref_fold,
     TESTS(fold_tests),
     .bf16 = true},
};
const int op_norm_nrows = COUNT_OF(op_norm_rows);
