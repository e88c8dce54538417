/* schedule.h: learning-rate schedules. */
#ifndef RNC_RUNTIME_RECIPE_SCHEDULE_H
#define RNC_RUNTIME_RECIPE_SCHEDULE_H

#include "runtime/recipe/recipe.h"

/* The position in a run, after warm-up. */
struct rnc_when {
    double step, per_epoch; /* steps done since the start of the run; steps in an epoch */
    double done;            /* share of the steps after warm-up that are done, 0 … 1 */
};
struct rnc_schedule {
    struct rnc_row row; /* its settings begin with the epochs of linear warm-up, a double */
    double (*factor)(const void *settings, const struct rnc_when *w); /* multiplies the optimizer's rate */
};
extern const struct rnc_kind rnc_schedules; /* of struct rnc_schedule; the first is a spec's default */

/* The learning rate of step number STEP (from 0) of TOTAL; LR is the optimizer's. After TOTAL the last rate is kept. */
double rnc_schedule_lr(const struct rnc_choice *c, double lr, int64_t step, int64_t per_epoch, int64_t total);

#endif
