/* regression.c: any tensors. How good a network is, is what its own losses say; errors are known besides. */
#include <math.h>

#include "runtime/task/tasks.h"

enum { ELEMENTS, COUNTS };
enum { SQUARED, ABSOLUTE, SUMS }; /* over the elements */

static bool fits(enum rnc_value_kind kind, const struct rnc_port *target)
{
    (void)kind, (void)target;
    return true;
}

static void sizes(const struct rnc_side *s, size_t *counts, size_t *sums)
{
    (void)s;
    *counts = COUNTS;
    *sums = SUMS;
}

static void add(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick)
{
    const float *truth = target;
    int64_t count = n * rnc_port_elements(s->target);
    if (s->target->dtype != RNC_F32 || quick) return;
    for (int64_t i = 0; i < count; i++) {
        double error = (double)value[i] - (double)truth[i];
        s->sum[SQUARED] += error * error;
        s->sum[ABSOLUTE] += fabs(error);
    }
    s->count[ELEMENTS] += count;
}

static double mean(const struct rnc_side *s, int which)
{
    return s->count[ELEMENTS] ? s->sum[which] / (double)s->count[ELEMENTS] : NAN;
}
static double squared_error(const struct rnc_side *s) { return mean(s, SQUARED); }
static double absolute_error(const struct rnc_side *s) { return mean(s, ABSOLUTE); }

static const struct rnc_metric metrics[] = {
    {"mean_squared_error", "mean of the squared differences", .lower = true, .on_request = true,
     .compute = squared_error},
    {"mean_absolute_error", "mean of the absolute differences", .lower = true, .on_request = true,
     .compute = absolute_error},
};

const struct rnc_task rnc_task_regression = {
    .name = "regression",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .fits = fits,
    .sizes = sizes,
    .add = add,
};
