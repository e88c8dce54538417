/* optimizer.c: the optimizers. To add one: its update operator in compiler/op/update.c, where the formula is, and here
   a struct of its settings, fields, defaults, a function that names the operator, and a row. */
#include "runtime/recipe/optimizer.h"

#define LR(settings) RNC_FIELD(settings, lr, NUMBER, 0, 1e6, "learning rate")
#define DECOUPLED(settings)                    \
    RNC_FIELD(settings, decoupled, BOOL, 0, 1, \
              "weight decay is taken off the weight, as in AdamW and in Keras, and not added to the gradient")
#define LR_IN_VELOCITY(settings)                    \
    RNC_FIELD(settings, lr_in_velocity, BOOL, 0, 1, \
              "momentum keeps a share of the last step, as in Keras, and not of the last gradients")

/* ---- sgd */

struct sgd {
    double lr, momentum, weight_decay;
    bool nesterov, decoupled, lr_in_velocity;
};
static const struct rnc_field sgd_fields[] = {
    LR(sgd),
    RNC_FIELD(sgd, momentum, NUMBER, 0, 1, "share of the last step that is kept"),
    RNC_FIELD(sgd, weight_decay, NUMBER, 0, 1e6, "added to the gradient, times the weight"),
    RNC_FIELD(sgd, nesterov, BOOL, 0, 1, "Nesterov's momentum"),
    DECOUPLED(sgd),
    LR_IN_VELOCITY(sgd),
};

static const struct rnc_update *sgd_update(const void *settings)
{
    static const struct rnc_update plain = {.op = "sgd_update"},
                                   momentum = {.op = "sgd_momentum_update", .state = {"momentum"}};
    return ((const struct sgd *)settings)->momentum != 0 ? &momentum : &plain;
}

/* ---- adam, adamw */

struct adam {
    double lr, beta1, beta2, eps, weight_decay;
    bool eps_hat, decoupled;
};
#define ADAM_FIELDS                                                                                                \
    LR(adam), RNC_FIELD(adam, beta1, NUMBER, 0, 0.99999, "decay of the mean gradient"),                            \
        RNC_FIELD(adam, beta2, NUMBER, 0, 0.99999, "decay of the mean squared gradient"),                          \
        RNC_FIELD(adam, eps, NUMBER, 1e-20, 1, "added to the root of the mean squared gradient"),                  \
        RNC_FIELD(adam, weight_decay, NUMBER, 0, 1e6, "adam: added to the gradient; adamw: taken off the weight"), \
        RNC_FIELD(adam, eps_hat, BOOL, 0, 1,                                                                       \
                  "eps is added before the mean squared gradient's bias is corrected, as in Keras")
static const struct rnc_field adamw_fields[] = {ADAM_FIELDS};
static const struct rnc_field adam_fields[] = {ADAM_FIELDS, DECOUPLED(adam)};

static const struct rnc_update *adam_update(const void *settings)
{
    static const struct rnc_update u = {.op = "adam_update", .state = {"exp_avg", "exp_avg_sq"}};
    (void)settings;
    return &u;
}

static const struct rnc_update *adamw_update(const void *settings)
{
    static const struct rnc_update u = {.op = "adam_update", .state = {"exp_avg", "exp_avg_sq"}, .flag = "decoupled"};
    (void)settings;
    return &u;
}

/* ---- rmsprop */

struct rmsprop {
    double lr, alpha, eps, momentum, weight_decay;
    bool decoupled, eps_in_root, lr_in_velocity;
};
static const struct rnc_field rmsprop_fields[] = {
    LR(rmsprop),
    RNC_FIELD(rmsprop, alpha, NUMBER, 0, 0.99999, "decay of the mean squared gradient"),
    RNC_FIELD(rmsprop, eps, NUMBER, 1e-20, 1, "added to the root of the mean squared gradient"),
    RNC_FIELD(rmsprop, momentum, NUMBER, 0, 1, "share of the last step that is kept"),
    RNC_FIELD(rmsprop, weight_decay, NUMBER, 0, 1e6, "added to the gradient, times the weight"),
    DECOUPLED(rmsprop),
    RNC_FIELD(rmsprop, eps_in_root, BOOL, 0, 1, "eps is added under the root, as in Keras"),
    LR_IN_VELOCITY(rmsprop),
};

static const struct rnc_update *rmsprop_update(const void *settings)
{
    static const struct rnc_update plain = {.op = "rmsprop_update", .state = {"square_avg"}},
                                   momentum = {.op = "rmsprop_momentum_update", .state = {"square_avg", "momentum"}};
    return ((const struct rmsprop *)settings)->momentum != 0 ? &momentum : &plain;
}

/* ---- the rows */

static const struct rnc_optimizer rows[] = {
    {.row = {.name = "sgd",
             .help = "stochastic gradient descent with momentum",
             RNC_FIELDS(sgd_fields),
             .size = sizeof(struct sgd),
             .defaults = &(const struct sgd){.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-4}},
     .update = sgd_update},
    {.row = {.name = "adam",
             .help = "Adam (Kingma and Ba 2015)",
             RNC_FIELDS(adam_fields),
             .size = sizeof(struct adam),
             .defaults = &(const struct adam){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
     .update = adam_update},
    {.row = {.name = "adamw",
             .help = "Adam with decoupled weight decay (Loshchilov and Hutter 2019)",
             RNC_FIELDS(adamw_fields),
             .size = sizeof(struct adam),
             .defaults =
                 &(const struct adam){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 1e-2}},
     .update = adamw_update},
    {.row = {.name = "rmsprop",
             .help = "steps divided by the root of the mean squared gradient (Tieleman and Hinton 2012), not centred",
             RNC_FIELDS(rmsprop_fields),
             .size = sizeof(struct rmsprop),
             .defaults = &(const struct rmsprop){.lr = 1e-2, .alpha = 0.99, .eps = 1e-8}},
     .update = rmsprop_update},
};
const struct rnc_kind rnc_optimizers = {.name = "optimizer", RNC_ROWS(rows)};

const struct rnc_update *rnc_optimizer_update(const struct rnc_choice *c)
{
    return ((const struct rnc_optimizer *)(const void *)c->row)->update(c->settings);
}

double rnc_optimizer_lr(const struct rnc_choice *c) { return *(const double *)c->settings; }
