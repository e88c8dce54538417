/* regression.c: any tensors. How good a network is, is what its own losses say; errors are known besides. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/pack.h"
#include "runtime/task/tasks.h"

/* Of each pair of fp32 tensors. */
struct own {
    struct {
        double squared, absolute; /* sums over the elements */
        int64_t elements;
    } side[1]; /* one for each of the tally's */
};

static bool fits(const struct rnc_port *ports, int nports)
{
    (void)ports, (void)nports;
    return true;
}

static size_t own_bytes(const struct rnc_tally *t)
{
    return sizeof(struct own) + (size_t)t->nsides * sizeof((struct own *)0)->side[0];
}

static bool begin(struct rnc_tally *t, struct rnc_status *s)
{
    t->own = calloc(1, own_bytes(t));
    return t->own || rnc_fail(s, RNC_ENV, "no memory to measure a regression");
}

static void reset(struct rnc_tally *t) { memset(t->own, 0, own_bytes(t)); }

static void add(struct rnc_tally *t, const float *const *out, const void *const *target, int64_t n)
{
    struct own *own = t->own;
    for (int k = 0; k < t->nsides && !t->quick; k++) {
        const struct rnc_side *side = &t->sides[k];
        const float *x = out[k], *y = target[k];
        int64_t count = n * rnc_port_elements(side->target);
        if (side->target->dtype != RNC_F32 || rnc_elements(&side->type) / side->type.dim[0] * n != count) continue;
        for (int64_t i = 0; i < count; i++) {
            double error = (double)x[i] - (double)y[i];
            own->side[k].squared += error * error;
            own->side[k].absolute += fabs(error);
        }
        own->side[k].elements += count;
    }
}

/* Each pair counts the same, whatever its size: as in the sum of their losses. */
static double error(const struct rnc_tally *t, bool squared)
{
    const struct own *own = t->own;
    double sum = 0.0, count = 0.0;
    for (int k = 0; k < t->nsides; k++) {
        if (own->side[k].elements == 0) continue;
        sum += (squared ? own->side[k].squared : own->side[k].absolute) / (double)own->side[k].elements;
        count += 1.0;
    }
    return count > 0.0 ? sum / count : NAN;
}

static double squared_error(const struct rnc_tally *t) { return error(t, true); }
static double absolute_error(const struct rnc_tally *t) { return error(t, false); }

/* The elements of each output, in their order. */
static int64_t predict(const struct rnc_tally *t, void *const *out, struct rnc_finding *f, int64_t room)
{
    int64_t n = 0;
    for (int k = 0; k < t->nsides; k++) {
        const struct rnc_side *side = &t->sides[k];
        const float *x = out[side->output];
        int64_t elements = rnc_elements(&side->type) / side->type.dim[0];
        for (int64_t i = 0; i < elements && n < room; i++)
            f[n++] = (struct rnc_finding){side->pair->output, i, (double)x[i]};
    }
    return n;
}

static const struct rnc_metric metrics[] = {
    {"loss", "the spec's losses, weighted and summed", .lower = true, .loss = true, .compute = rnc_tally_loss},
    {"mean_squared_error", "mean over the outputs of the mean squared difference", .lower = true, .on_request = true,
     .compute = squared_error},
    {"mean_absolute_error", "mean over the outputs of the mean absolute difference", .lower = true, .on_request = true,
     .compute = absolute_error},
};

const struct rnc_task rnc_task_regression = {
    .name = "regression",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .losses = true,
    .finding = "value",
    .fits = fits,
    .begin = begin,
    .add = add,
    .reset = reset,
    .predict = predict,
};
