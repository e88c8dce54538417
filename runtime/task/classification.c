/* classification.c: one class for each sample: scores [N, C], labels [N]. */
#include <math.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

enum { RANKS = 5, AT_RANK = RNC_LABEL_COUNTS, COUNTS = AT_RANK + RANKS }; /* labels that so many classes came before */

static bool fits(enum rnc_value_kind kind, const struct rnc_port *target)
{
    return rnc_kind_classes(kind) && target->dtype == RNC_I64 && target->rank == 0;
}

static void sizes(const struct rnc_side *s, size_t *counts, size_t *sums)
{
    (void)s;
    *counts = COUNTS;
    *sums = 0;
}

static void add(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick)
{
    const int64_t *labels = target;
    int64_t classes = s->type.dim[1];
    for (int64_t k = 0; k < n; k++) {
        struct rnc_scores x = {value + k * classes, classes, 1};
        if (!rnc_label_counts(labels[k], classes, s->target->ignore)) continue;
        s->count[RNC_COUNTED]++;
        s->count[RNC_RIGHT] += rnc_label_best(&x) == labels[k];
        if (quick) continue;
        int64_t rank = rnc_label_rank(&x, labels[k]);
        if (rank < RANKS) s->count[AT_RANK + rank]++;
    }
}

/* The share of the labels among the best COUNT classes, at most RANKS. */
static double among(const struct rnc_side *s, int count)
{
    int64_t met = 0;
    for (int k = 0; k < count; k++) met += s->count[AT_RANK + k];
    return s->count[RNC_COUNTED] ? (double)met / (double)s->count[RNC_COUNTED] : NAN;
}

static double top3(const struct rnc_side *s) { return among(s, 3); }
static double top5(const struct rnc_side *s) { return among(s, 5); }

static const struct rnc_metric metrics[] = {
    {"accuracy", "share of the labels that have the highest score; of true and false, that are on their side of 0.5",
     .fraction = true, .share = true, .compute = rnc_label_share},
    {"top3", "share of the labels among the three highest scores", .title = "Top-3 accuracy", .fraction = true,
     .on_request = true, .compute = top3},
    {"top5", "share of the labels among the five highest scores", .title = "Top-5 accuracy", .fraction = true,
     .on_request = true, .compute = top5},
};

const struct rnc_task rnc_task_classification = {
    .name = "classification",
    .rank = 2,
    .shape = "[N, C]",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .decides = true,
    .fits = fits,
    .sizes = sizes,
    .add = add,
};
