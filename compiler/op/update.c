/* update.c: the optimizers' updates of one parameter, as PyTorch's SGD, Adam, AdamW and RMSprop compute them (dampening
   0, no AMSGrad, not centred), and with attributes as Keras's do. The learning rate lr and the step, counted from 1,
   are run-time scalars. The moments start at zero, which makes the first momentum equal the gradient. */
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

#define ATTR_FLAG(which, words)                                                   \
    {                                                                             \
        .name = which, .def = {.type = ATTR_BOOL}, .ir_only = true, .help = words \
    }
#define ATTR_DECOUPLED \
    ATTR_FLAG("decoupled", "weight decay beside the gradient: AdamW (Loshchilov and Hutter 2019); all of Keras's")
#define ATTR_VELOCITY                                                                                  \
    ATTR_FLAG("lr_in_velocity",                                                                        \
              "the moment is of steps, v = momentum * v + lr * g, as in Keras, and not of gradients: " \
              "another one as soon as lr changes")

static const struct op_attr sgd_attrs[] = {ATTR_DECAY};
static const struct op_attr momentum_attrs[] = {
    ATTR_MOMENTUM,
    {.name = "nesterov",
     .def = {.type = ATTR_BOOL},
     .ir_only = true,
     .help = "looks ahead along the momentum (Sutskever et al. 2013)"},
    ATTR_DECAY,
    ATTR_DECOUPLED,
    ATTR_VELOCITY,
};
static const struct op_attr adam_attrs[] = {
    ATTR_BETA("beta1", 0.9),
    ATTR_BETA("beta2", 0.999),
    ATTR_EPS,
    ATTR_DECAY,
    ATTR_DECOUPLED,
    ATTR_FLAG("eps_hat",
              "eps is added before the second moment's bias is corrected (Kingma and Ba 2015, end of section "
              "2: epsilon hat), as in Keras"),
};

/* rmsprop_update has all but the last two. */
static const struct op_attr rmsprop_attrs[] = {
    ATTR_BETA("alpha", 0.99),
    ATTR_EPS,
    ATTR_DECAY,
    ATTR_DECOUPLED,
    ATTR_FLAG("eps_in_root", "eps is added to the second moment, under the root, as in Keras"),
    ATTR_MOMENTUM,
    ATTR_VELOCITY,
};

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

/* Weight decay: *D of the gradient G of P, and what is left of P. */
static double decay(const struct ref_call *c, double p, double g, double *d)
{
    double weight_decay = ref_float(c, "weight_decay");
    bool decoupled = ref_int(c, "decoupled") != 0;
    *d = decoupled ? g : g + weight_decay * p;
    return decoupled ? p * (1 - c->run.lr * weight_decay) : p;
}

static void ref_sgd(struct ref_call *c)
{
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double p = c->in[0].data[k], d = c->in[1].data[k] + ref_float(c, "weight_decay") * p;
        c->out[0].data[k] = p - c->run.lr * d;
    }
}

static void ref_momentum(struct ref_call *c)
{
    double momentum = ref_float(c, "momentum"), lr = c->run.lr;
    bool steps = ref_int(c, "lr_in_velocity") != 0;
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double d, p = decay(c, c->in[0].data[k], c->in[1].data[k], &d);
        if (steps) d *= lr;
        double m = momentum * c->in[2].data[k] + d, step = ref_int(c, "nesterov") ? d + momentum * m : m;
        c->out[1].data[k] = m;
        c->out[0].data[k] = p - (steps ? step : lr * step);
    }
}

static void ref_adam(struct ref_call *c)
{
    double beta1 = ref_float(c, "beta1"), beta2 = ref_float(c, "beta2"), eps = ref_float(c, "eps");
    double correction1 = 1 - pow(beta1, (double)c->run.step), correction2 = 1 - pow(beta2, (double)c->run.step);
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double d, p = decay(c, c->in[0].data[k], c->in[1].data[k], &d);
        double m = beta1 * c->in[2].data[k] + (1 - beta1) * d, v = beta2 * c->in[3].data[k] + (1 - beta2) * d * d;
        c->out[1].data[k] = m;
        c->out[2].data[k] = v;
        double alpha = c->run.lr * sqrt(correction2) / correction1; /* of the form with epsilon hat */
        c->out[0].data[k] = ref_int(c, "eps_hat") ? p - alpha * m / (sqrt(v) + eps)
                                                  : p - c->run.lr * (m / correction1) / (sqrt(v / correction2) + eps);
    }
}

static void ref_rmsprop(struct ref_call *c)
{
    double alpha = ref_float(c, "alpha"), eps = ref_float(c, "eps"), lr = c->run.lr;
    bool steps = c->nin > 3 && ref_int(c, "lr_in_velocity") != 0;
    for (int64_t k = 0; k < type_elements(c->in[0].type); k++) {
        double d, p = decay(c, c->in[0].data[k], c->in[1].data[k], &d);
        double v = alpha * c->in[2].data[k] + (1 - alpha) * d * d;
        double m = d / (ref_int(c, "eps_in_root") ? sqrt(v + eps) : sqrt(v) + eps);
        if (steps) m *= lr;
        if (c->nin > 3) c->out[2].data[k] = m += ref_float(c, "momentum") * c->in[3].data[k];
        c->out[1].data[k] = v;
        c->out[0].data[k] = p - (steps ? m : lr * m);
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
    {"p=10,33 g=10,33 m=10,33 lr_in_velocity=true weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 m=10,33 lr_in_velocity=true decoupled=true nesterov=true weight_decay=0.1 momentum=0.8", 1e-5},
};
static const struct op_test adam_tests[] = {
    {"p=1 g=1 m=1 v=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 m=17,3,3,3 v=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 m=10,33 v=10,33 weight_decay=0.1 decoupled=true beta1=0.8 beta2=0.99 eps=0.001", 1e-5},
    {"p=10,33 g=10,33 m=10,33 v=10,33 eps_hat=true eps=0.001", 1e-5},
};
static const struct op_test rmsprop_tests[] = {
    {"p=1 g=1 v=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 v=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 v=10,33 weight_decay=0.1 alpha=0.8 eps=0.001", 1e-5},
    {"p=10,33 g=10,33 v=10,33 weight_decay=0.1 decoupled=true eps_in_root=true eps=0.01", 1e-5},
};
static const struct op_test rmsprop_momentum_tests[] = {
    {"p=1 g=1 v=1 m=1", 1e-5},
    {"p=17,3,3,3 g=17,3,3,3 v=17,3,3,3 m=17,3,3,3 weight_decay=0.1", 1e-5},
    {"p=10,33 g=10,33 v=10,33 m=10,33 weight_decay=0.1 alpha=0.8 eps=0.001 momentum=0.8", 1e-5},
    {"p=10,33 g=10,33 v=10,33 m=10,33 weight_decay=0.1 decoupled=true lr_in_velocity=true", 1e-5},
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

/* An attribute is a constant of the code: a factor that comes to one, a term that comes to zero and the other side of a
   select are not there. */
#define D "(g + (1 - decoupled) * weight_decay * p)"
#define KEPT "p * (1 - lr * decoupled * weight_decay)"
#define IN_VELOCITY "select(lr_in_velocity > 0, lr, 1) * "
#define IN_STEP "select(lr_in_velocity > 0, 1, lr) * "
#define SD "(" IN_VELOCITY D ")"
#define M "(momentum * m + " SD ")"
#define AM "(beta1 * m + (1 - beta1) * " D ")"
#define AV "(beta2 * v + (1 - beta2) * " D " * " D ")"
#define RV "(alpha * v + (1 - alpha) * " D " * " D ")"
#define RD "(" D " / select(eps_in_root > 0, sqrt(" RV " + eps), sqrt(" RV ") + eps))"
#define RM "(momentum * m + " IN_VELOCITY RD ")"
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
     .expr = "p - lr * (g + weight_decay * p)",
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
     .expr = KEPT " - " IN_STEP "select(nesterov > 0, " SD " + momentum * " M ", " M "); " M,
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
     .expr = KEPT " - lr / " CORRECTION("beta1") " * (" AM " / (sqrt(" AV ") / sqrt(" CORRECTION(
         "beta2") ") + select(eps_hat > 0, eps / sqrt(" CORRECTION("beta2") "), eps))); " AM "; " AV,
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
     .nattr = COUNT_OF(rmsprop_attrs) - 2,
     .infer = update_infer,
     .ref = ref_rmsprop,
     .tests = rmsprop_tests,
     .ntests = COUNT_OF(rmsprop_tests),
     .expr = KEPT " - lr * " RD "; " RV,
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
     .expr = KEPT " - " IN_STEP RM "; " RV "; " RM,
     .keeps_zero = true},
};
const int op_update_nrows = COUNT_OF(op_update_rows);
