/* optimizer.h: optimizers: the operator that updates a parameter, and its operands. */
#ifndef RNC_RUNTIME_RECIPE_OPTIMIZER_H
#define RNC_RUNTIME_RECIPE_OPTIMIZER_H

#include "runtime/recipe/recipe.h"

enum { RNC_OPTIMIZER_STATES = 4 };
/* One step of one parameter. The operator's operands are the parameter, its gradient and the states; its results are
   the new parameter and the new states. Attributes with the name of a field of the row take that field's value. */
struct rnc_update {
    const char *op;
    const char *state[RNC_OPTIMIZER_STATES]; /* tensors "optim.STATE.<parameter>", initially zero */
    const char *flag;                        /* one more attribute, set to true; NULL: none */
};
struct rnc_optimizer {
    struct rnc_row row; /* its settings begin with the learning rate, a double */
    const struct rnc_update *(*update)(const void *settings);
};
extern const struct rnc_kind rnc_optimizers; /* of struct rnc_optimizer; the first is a spec's default */

const struct rnc_update *rnc_optimizer_update(const struct rnc_choice *c);
double rnc_optimizer_lr(const struct rnc_choice *c);

#endif
