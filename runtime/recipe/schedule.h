/* schedule.h: schedules: the learning rate of each step. */
#ifndef RNC_RUNTIME_RECIPE_SCHEDULE_H
#define RNC_RUNTIME_RECIPE_SCHEDULE_H

#include "runtime/recipe/recipe.h"

/* Where a run is, behind the warm-up. */
struct rnc_when {
    double step, per_epoch; /* steps done, from the start of the run; steps of an epoch */
    double done;            /* share of the steps behind the warm-up, 0 … 1 */
};
struct rnc_schedule {
    struct rnc_row row; /* its settings begin with the epochs of warm-up, a double, in which the rate rises linearly */
    double (*factor)(const void *settings, const struct rnc_when *w); /* of the optimizer's rate */
};
extern const struct rnc_kind rnc_schedules; /* of struct rnc_schedule; the first is what a spec has by default */

/* The learning rate of step number STEP (from 0) of TOTAL, where the optimizer's is LR; behind TOTAL, that at its end.
 */
double rnc_schedule_lr(const struct rnc_choice *c, double lr, int64_t step, int64_t per_epoch, int64_t total);

#endif
