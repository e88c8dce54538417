/* optimizer.h: optimizers: which operator updates a parameter, and with what. */
#ifndef RNC_RUNTIME_RECIPE_OPTIMIZER_H
#define RNC_RUNTIME_RECIPE_OPTIMIZER_H

#include "runtime/recipe/recipe.h"

enum { RNC_OPTIMIZER_STATES = 4 };
/* One step of one parameter. The operator's operands are the parameter, its gradient and the states, its results the
   new parameter and the new states; those of its attributes that are named as fields of the row take the fields'
   values. */
struct rnc_update {
    const char *op;
    const char *state[RNC_OPTIMIZER_STATES]; /* tensors "optim.STATE.<parameter>", zero at the start */
    const char *flag;                        /* one more attribute, which becomes true; NULL: none */
};
struct rnc_optimizer {
    struct rnc_row row; /* its settings begin with the learning rate, a double */
    const struct rnc_update *(*update)(const void *settings);
};
extern const struct rnc_kind rnc_optimizers; /* of struct rnc_optimizer; the first is what a spec has by default */

const struct rnc_update *rnc_optimizer_update(const struct rnc_choice *c);
double rnc_optimizer_lr(const struct rnc_choice *c);

#endif
