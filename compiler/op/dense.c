/* dense.c: the fully connected layer y = x·Wᵀ + b on features [N, I], and its gradients. */
#include "ir/op.h"
#include "op/init.h"
#include "op/rule.h"

enum { MAX_FEATURES = 1 << 28 };
enum { A_OUT, A_BIAS, A_INIT, A_BIAS_INIT };

static const struct op_attr dense_attrs[] = {
    [A_OUT] = {.name = "out",
               .def = {.type = ATTR_INT, .i = 1},
               .required = true,
               .spec_only = true,
               .has_range = true,
               .min = 1,
               .max = MAX_FEATURES,
               .help = "output features"},
    [A_BIAS] = {.name = "bias",
                .def = {.type = ATTR_BOOL, .b = true},
                .spec_only = true,
                .help = "adds a number for each output feature"},
    [A_INIT] = ATTR_INIT(INIT_CHOICE_KAIMING_UNIFORM),
    [A_BIAS_INIT] = ATTR_BIAS_INIT,
};

/* ---- shapes */

static bool features(const struct type *x, struct op_error *e) { return rule_value(x, RULE_FEATURES, "the input", e); }

static bool weight_goes(const struct type *w, int axis, int64_t channels, struct op_error *e)
{
    if (w->rank != 2 || w->dtype != DT_F32)
        return op_fail(e, "the weight must be f32 of rank 2, not %s", rule_shape(e, w));
    if (w->dim[axis] == channels) return rule_size(w, "the weight", e);
    return op_fail(e, "the weight %s wants %lld features, but there are %lld", rule_shape(e, w),
                   (long long)w->dim[axis], (long long)channels);
}

static bool matrix(struct type *out, int64_t rows, int64_t columns, struct op_error *e)
{
    *out = type_make(DT_F32, 2, (int64_t[]){rows, columns});
    return rule_size(out, "the result", e);
}

static bool dense_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (!features(&in[0], e) || !weight_goes(&in[1], 1, in[0].dim[1], e)) return false;
    if (nin > 2 && in[2].rank >= 0 && !rule_vector(&in[2], in[1].dim[0], "the bias", e)) return false;
    return matrix(out, in[0].dim[0], in[1].dim[0], e);
}

static bool dgrad_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)nin, (void)a;
    if (!rule_value(&in[0], RULE_FEATURES, "dy", e) || !weight_goes(&in[1], 0, in[0].dim[1], e)) return false;
    return matrix(out, in[0].dim[0], in[1].dim[1], e);
}

static bool wgrad_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)nin, (void)a;
    if (!rule_value(&in[0], RULE_FEATURES, "x", e) || !rule_value(&in[1], RULE_FEATURES, "dy", e)) return false;
    if (in[0].dim[0] != in[1].dim[0])
        return op_fail(e, "the operands have %lld and %lld samples", (long long)in[0].dim[0], (long long)in[1].dim[0]);
    return matrix(out, in[1].dim[1], in[0].dim[1], e);
}

static int dense_params(const struct type *in, int nin, const struct attr *a, struct param_decl *out,
                        struct op_error *e)
{
    (void)nin;
    if (!features(&in[0], e)) return -1;
    int64_t i = in[0].dim[1], o = a[A_OUT].i;
    struct type w;
    if (!matrix(&w, o, i, e)) return -1;
    struct init_fans fans = {.in = i, .out = o, .group_out = o, .bias = i};
    return init_declare(a[A_INIT].i, a[A_BIAS_INIT].i, &w, &fans, a[A_BIAS].b ? o : 0, out);
}

/* ---- gradients, work */

static struct value *built(struct grad_call *g, const char *op, struct value *a, struct value *b)
{
    return op_build(g->graph, NULL, op, (struct value *[]){a, b}, b ? 2 : 1)->out[0];
}

static void dense_grad(struct grad_call *g)
{
    struct value *const *in = g->node->in, *dy = g->dy[0];
    if (g->node->nin > 2 && g->need[2]) g->dx[2] = built(g, OPNAME_CHANNEL_SUM, dy, NULL);
    if (g->need[1]) g->dx[1] = built(g, "dense_wgrad", in[0], dy);
    if (g->need[0]) g->dx[0] = built(g, "dense_dgrad", dy, in[1]);
}

static int64_t dense_macs(const struct node *n)
{
    const int64_t f[] = {n->in[0]->type.dim[0], n->in[1]->type.dim[0], n->in[1]->type.dim[1]};
    return rule_product(COUNT_OF(f), f);
}

static int64_t wgrad_macs(const struct node *n)
{
    const int64_t f[] = {n->in[0]->type.dim[0], n->in[0]->type.dim[1], n->in[1]->type.dim[1]};
    return rule_product(COUNT_OF(f), f);
}

/* ---- references */

static void ref_dense(struct ref_call *c)
{
    int64_t n = ref_samples(c, c->in[0].type), i = c->in[0].type->dim[1], o = c->out[0].type->dim[1];
    const double *x = c->in[0].data, *w = c->in[1].data, *b = c->nin > 2 ? c->in[2].data : NULL;
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < o; j++) {
            double sum = b ? b[j] : 0;
            for (int64_t m = 0; m < i; m++) sum += x[k * i + m] * w[j * i + m];
            c->out[0].data[k * o + j] = sum;
        }
}

static void ref_dgrad(struct ref_call *c)
{
    int64_t n = ref_samples(c, c->in[0].type), o = c->in[0].type->dim[1], i = c->out[0].type->dim[1];
    for (int64_t k = 0; k < n; k++)
        for (int64_t m = 0; m < i; m++) {
            double sum = 0;
            for (int64_t j = 0; j < o; j++) sum += c->in[0].data[k * o + j] * c->in[1].data[j * i + m];
            c->out[0].data[k * i + m] = sum;
        }
}

static void ref_wgrad(struct ref_call *c)
{
    int64_t n = ref_samples(c, c->in[0].type), i = c->in[0].type->dim[1], o = c->in[1].type->dim[1];
    for (int64_t j = 0; j < o; j++)
        for (int64_t m = 0; m < i; m++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += c->in[0].data[k * i + m] * c->in[1].data[k * o + j];
            c->out[0].data[j * i + m] = sum;
        }
}

static const struct op_test dense_tests[] = {
    {"x=1,1 weight=1,1", 1e-5},    {"x=3,17 weight=3,17 bias=3", 1e-5},    {"x=1,64 weight=10,64 bias=10", 1e-5},
    {"x=2,33 weight=17,33", 1e-5}, {"x=13,16 weight=32,16 bias=32", 1e-5}, {"x=3,7 weight=1,7", 1e-5},
};
static const struct op_test dgrad_tests[] = {
    {"dy=1,1 weight=1,1", 1e-5},    {"dy=3,3 weight=3,17", 1e-5},    {"dy=1,10 weight=10,64", 1e-5},
    {"dy=2,17 weight=17,33", 1e-5}, {"dy=13,32 weight=32,16", 1e-5},
};
static const struct op_test wgrad_tests[] = {
    {"x=1,1 dy=1,1", 1e-5},   {"x=3,17 dy=3,3", 1e-5},    {"x=1,64 dy=1,10", 1e-5},
    {"x=2,33 dy=2,17", 1e-5}, {"x=13,16 dy=13,32", 1e-5}, {"x=9,100 dy=9,120", 1e-5},
};

/* ---- rows */

static const struct op_operand dense_operands[] = {{"x", OPERAND_VALUE, false},
                                                   {"weight", OPERAND_PARAM, false},
                                                   {"bias", OPERAND_PARAM, true}};
static const struct op_operand dgrad_operands[] = {{"dy", OPERAND_VALUE, false}, {"weight", OPERAND_PARAM, false}};
static const struct op_operand wgrad_operands[] = {{"x", OPERAND_VALUE, false}, {"dy", OPERAND_VALUE, false}};

extern const struct op_def op_dense_rows[];
extern const int op_dense_nrows;

const struct op_def op_dense_rows[] = {
    {.name = "dense",
     .help = "fully connected: every output feature sees every input feature",
     .direction = CONV_FORWARD,
     .class_ = OP_LAYER,
     .family = &family_conv,
     .operands = dense_operands,
     .noperands = COUNT_OF(dense_operands),
     .nouts = 1,
     .attrs = dense_attrs,
     .nattr = COUNT_OF(dense_attrs),
     .params = dense_params,
     .infer = dense_infer,
     .grad = dense_grad,
     .macs = dense_macs,
     .ref = ref_dense,
     .tests = dense_tests,
     .ntests = COUNT_OF(dense_tests)},
    {.name = "dense_dgrad",
     .help = "gradient of dense by its input",
     .direction = CONV_DGRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_conv,
     .operands = dgrad_operands,
     .noperands = COUNT_OF(dgrad_operands),
     .nouts = 1,
     .infer = dgrad_infer,
     .macs = dense_macs,
     .ref = ref_dgrad,
     .tests = dgrad_tests,
     .ntests = COUNT_OF(dgrad_tests)},
    {.name = "dense_wgrad",
     .help = "gradient of dense by its weight",
     .direction = CONV_WGRAD,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_wgrad,
     .operands = wgrad_operands,
     .noperands = COUNT_OF(wgrad_operands),
     .nouts = 1,
     .infer = wgrad_infer,
     .sums_samples = true,
     .macs = wgrad_macs,
     .ref = ref_wgrad,
     .tests = wgrad_tests,
     .ntests = COUNT_OF(wgrad_tests)},
};
const int op_dense_nrows = COUNT_OF(op_dense_rows);
