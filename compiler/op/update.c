/* update.c: the optimizers' updates of one parameter, as PyTorch's SGD, Adam, AdamW and RMSprop compute them (dampening
   0, no AMSGrad, not centred). The learning rate lr and the step, counted from 1, are run-time scalars. The moments
   start at zero, which makes the first momentum equal the gradient. */
#include <math.h>
#include "ir/op.h"
#include "op/rule.h"

#define ATTR_DECAY                                                                                                     \
    {                                                                                                                  \
        .name = "weight_decay", .def = {.type = ATTR_FLOAT}, .ir_only = true, .has_range = true, .min = 0, .max = 1e6, \
        .help = "pull towards zero"                                                                                    \
    }
#define ATTR_BETA(which, value)                                                                               \
    {                                                                                                         \
        .name = which, .def = {.type = ATTR_FLOAT, .f = value}, .ir_only = true, .has_range = true, .min = 0, \
        .max = 0.99999, .help = "decay of the running average"                                                \
    }

#define ATTR_EPS                                                                                                 \
    {                                                                                                            \
        .name = "eps", .def = {.type = ATTR_FLOAT, .f = 1e-8}, .ir_only = true, .has_range = true, .min = 1e-20, \
        .max = 1, .help = "added to the root of the second moment"                                               \
    }
#define ATTR_MOMENTUM                                                                                            \
    {                                                                                                            \
        .name = "momentum", .def = {.type = ATTR_FLOAT, .f = 0.9}, .ir_only = true, .has_range = true, .min = 0, \
        .max = 1, .help = "share of the last step that goes on"                                                  \
    }

static const struct op_attr sgd_attrs[] = {ATTR_DECAY};
static const struct op_attr momentum_attrs[] = {
    ATTR_MOMENTUM,
    {.name = "nesterov",
     .def = {.type = ATTR_BOOL},
     .ir_only = true,
     .help = "looks ahead along the momentum (Sutskever et al. 2013)"},
    ATTR_DECAY,
};
static const struct op_attr adam_attrs[] = {
    ATTR_BETA("beta1", 0.9),
    ATTR_BETA("beta2", 0.999),
    ATTR_EPS,
    ATTR_DECAY,
    {.name = "decoupled",
     .def = {.type = ATTR_BOOL},
     .ir_only = true,
     .help = "weight decay beside the gradient: AdamW (Loshchilov and Hutter 2019)"},
};

static const struct op_attr rmsprop_attrs[] = {ATTR_BETA("alpha", 0.99), ATTR_EPS, ATTR_DECAY, ATTR_MOMENTUM};

/* Gradient and moments have the parameter's shape, and so have the results. */
static bool update_infer(const struct type *in, int nin, const struct attr *a, struct type *out, struct op_error *e)
{
    (void)a;
    if (in[0].dtype != DT_F32) return op_fail(e, "a parameter must be f32, not %s", rule_shape(e, &in[0]));
    for (int i = 1; i < nin; i++)
        if (!rule_same(&in[i], &in[0], "what updates a parameter", e)) return false;
    out[0] = type_make(DT_F32, in[0].rank, in[0].dim);
    for (int i = 2; i < nin; i++) out[i - 1] = out[0];
    return true;
}

/* ---- references */

static void ref_sgd(struct ref_call *c)
{
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double p = c->in[0].data[k], d = c->in[1].data[k] + ref_float(c, "weight_decay") * p;
        c->out[0].data[k] = p - c->run.lr * d;
    }
}

static void ref_momentum(struct ref_call *c)
{
    double momentum = ref_float(c, "momentum");
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double p = c->in[0].data[k], d = c->in[1].data[k] + ref_float(c, "weight_decay") * p;
        double m = momentum * c->in[2].data[k] + d;
        c->out[1].data[k] = m;
        c->out[0].data[k] = p - c->run.lr * (ref_int(c, "nesterov") ? d + momentum * m : m);
    }
}

static void ref_adam(struct ref_call *c)
{
    double beta1 = ref_float(c, "beta1"), beta2 = ref_float(c, "beta2"), decay = ref_float(c, "weight_decay");
    double correction1 = 1 - pow(beta1, (double)c->run.step), correction2 = 1 - pow(beta2, (double)c->run.step);
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double p = c->in[0].data[k], d = c->in[1].data[k];
        if (ref_int(c, "decoupled")) p -= c->run.lr * decay * p;
        else d += decay * p;
        double m = beta1 * c->in[2].data[k] + (1 - beta1) * d, v = beta2 * c->in[3].data[k] + (1 - beta2) * d * d;
        c->out[1].data[k] = m;
        c->out[2].data[k] = v;
        c->out[0].data[k] = p - c->run.lr * (m / correction1) / (sqrt(v / correction2) + ref_float(c, "eps"));
    }
}

static void ref_rmsprop(struct ref_call *c)
{
    double alpha = ref_float(c, "alpha"), eps = ref_float(c, "eps");
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double p = c->in[0].data[k], d = c->in[1].data[k] + ref_float(c, "weight_decay") * p;
        double v = alpha * c->in[2].data[k] + (1 - alpha) * d * d, m = d / (sqrt(v) + eps);
        if (c->nin > 3) c->out[2].data[k] = m += ref_float(c, "momentum") * c->in[3].data[k];
        c->out[1].data[k] = v;
        c->out[0].data[k] = p - c->run.lr * m;
    }
}

/* ---- tests */

static const struct op_test sgd_tests[] = {
    {"p=1 g=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33", 1e-5},
};
static const struct op_test momentum_tests[] = {
    {"p=1 g=1 m=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 m=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 m=10,33 nesterov=true weight_decay=0.01 momentum=0.8", 1e-5},
};
static const struct op_test adam_tests[] = {
    {"p=1 g=1 m=1 v=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 m=17,3,3,3 v=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 m=10,33 v=10,33 weight_decay=0.1 decoupled=true beta1=0.8 beta2=0.99 eps=0.001", 1e-5},
};
static const struct op_test rmsprop_tests[] = {
    {"p=1 g=1 v=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 v=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 v=10,33 weight_decay=0.1 alpha=0.8 eps=0.001", 1e-5},
};
static const struct op_test rmsprop_momentum_tests[] = {
    {"p=1 g=1 v=1 m=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 v=17,3,3,3 m=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 v=10,33 m=10,33 weight_decay=0.1 alpha=0.8 eps=0.001 momentum=0.8", 1e-5},
};

/* ---- rows */

static const struct op_operand update_operands[] = {
    /* sgd_update takes the first two, sgd_momentum_update three */
    {"p", OPERAND_PARAM, false},
    {"g", OPERAND_VALUE, false},
    {"m", OPERAND_VALUE, false},
    {"v", OPERAND_VALUE, false},
};

static const struct op_operand rmsprop_operands[] = {
    {"p", OPERAND_PARAM, false},
    {"g", OPERAND_VALUE, false},
    {"v", OPERAND_VALUE, false},
    {"m", OPERAND_VALUE, false}, /* rmsprop_momentum_update */
};

#define D "(g + weight_decay * p)"
#define M "(momentum * m + " D ")"
#define AD "(g + (1 - decoupled) * weight_decay * p)"
#define AM "(beta1 * m + (1 - beta1) * " AD ")"
#define AV "(beta2 * v + (1 - beta2) * " AD " * " AD ")"
#define RV "(alpha * v + (1 - alpha) * " D " * " D ")"
#define RD "(" D " / (sqrt(" RV ") + eps))"
#define RM "(momentum * m + " RD ")"
/* Of run-time scalars alone: computed once, in double precision. */
#define CORRECTION(beta) "(1 - pow(" beta ", step))"

extern const struct op_def op_update_rows[];
extern const int op_update_nrows;

const struct op_def op_update_rows[] = {
    {.name = "sgd_update",
     .help = "stochastic gradient descent: p, g to the new p",
     .phase = PHASE_UPDATE,
     .work = WORK_UPDATE,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = update_operands,
     .noperands = 2,
     .nouts = 1,
     .attrs = sgd_attrs,
     .nattr = COUNT_OF(sgd_attrs),
     .infer = update_infer,
     .ref = ref_sgd,
     .tests = sgd_tests,
     .ntests = COUNT_OF(sgd_tests),
     .expr = "p - lr * " D,
     .keeps_zero = true},
    {.name = "sgd_momentum_update",
     .help = "stochastic gradient descent with momentum: p, g, m to the new p, m",
     .phase = PHASE_UPDATE,
     .work = WORK_UPDATE,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = update_operands,
     .noperands = 3,
     .nouts = 2,
     .attrs = momentum_attrs,
     .nattr = COUNT_OF(momentum_attrs),
     .infer = update_infer,
     .ref = ref_momentum,
     .tests = momentum_tests,
     .ntests = COUNT_OF(momentum_tests),
     .expr = "p - lr * select(nesterov > 0, " D " + momentum * " M ", " M "); " M,
     .keeps_zero = true},
    {.name = "adam_update",
     .help = "Adam (Kingma and Ba 2015) and AdamW: p, g, m, v to the new p, m, v",
     .phase = PHASE_UPDATE,
     .work = WORK_UPDATE,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = update_operands,
     .noperands = 4,
     .nouts = 3,
     .attrs = adam_attrs,
     .nattr = COUNT_OF(adam_attrs),
     .infer = update_infer,
     .ref = ref_adam,
     .tests = adam_tests,
     .ntests = COUNT_OF(adam_tests),
     .expr = "p * (1 - lr * decoupled * weight_decay) - lr / " CORRECTION(
         "beta1") " * (" AM " / (sqrt(" AV ") / sqrt(" CORRECTION("beta2") ") + eps)); " AM "; " AV,
     .keeps_zero = true},
    {.name = "rmsprop_update",
     .help = "RMSprop (Tieleman and Hinton 2012): p, g, v to the new p, v",
     .phase = PHASE_UPDATE,
     .work = WORK_UPDATE,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = rmsprop_operands,
     .noperands = 3,
     .nouts = 2,
     .attrs = rmsprop_attrs,
     .nattr = COUNT_OF(rmsprop_attrs) - 1, /* all but the momentum */
     .infer = update_infer,
     .ref = ref_rmsprop,
     .tests = rmsprop_tests,
     .ntests = COUNT_OF(rmsprop_tests),
     .expr = "p - lr * " RD "; " RV,
     .keeps_zero = true},
    {.name = "rmsprop_momentum_update",
     .help = "RMSprop with momentum: p, g, v, m to the new p, v, m",
     .phase = PHASE_UPDATE,
     .work = WORK_UPDATE,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = rmsprop_operands,
     .noperands = 4,
     .nouts = 3,
     .attrs = rmsprop_attrs,
     .nattr = COUNT_OF(rmsprop_attrs),
     .infer = update_infer,
     .ref = ref_rmsprop,
     .tests = rmsprop_momentum_tests,
     .ntests = COUNT_OF(rmsprop_momentum_tests),
     .expr = "p - lr * " RM "; " RV "; " RM,
     .keeps_zero = true},
};
const int op_update_nrows = COUNT_OF(op_update_rows);
