/* segmentation.c: a class for each pixel: scores [N, C, H, W], labels [N, H, W]. */
#include <math.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

enum { CONFUSION = RNC_LABEL_COUNTS }; /* [truth, prediction] from here on */

static int64_t classes_of(const struct rnc_side *s) { return s->type.dim[1]; }

static bool fits(enum rnc_value_kind kind, const struct rnc_port *target)
{
    return rnc_kind_classes(kind) && target->dtype == RNC_I64 && target->rank == 2;
}

static void sizes(const struct rnc_side *s, size_t *counts, size_t *sums)
{
    *counts = CONFUSION + (size_t)(classes_of(s) * classes_of(s));
    *sums = 0;
}

static void add_label(struct rnc_side *s, const struct rnc_scores *x, int64_t label)
{
    if (!rnc_label_counts(label, x->classes, s->target->ignore)) return;
    int64_t best = rnc_label_best(x);
    s->count[RNC_COUNTED]++;
    s->count[RNC_RIGHT] += best == label;
    s->count[CONFUSION + label * x->classes + best]++;
}

static void add(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick)
{
    const int64_t *labels = target;
    int64_t pixels = s->type.dim[2] * s->type.dim[3], classes = classes_of(s);
    (void)quick;
    for (int64_t k = 0; k < n; k++)
        for (int64_t p = 0; p < pixels; p++) {
            struct rnc_scores x = {value + k * classes * pixels + p, classes, pixels};
            add_label(s, &x, labels[k * pixels + p]);
        }
}

/* The mean over the classes that occur; DICE: 2TP/(2TP+FP+FN), else TP/(TP+FP+FN). */
static double overlap(const struct rnc_side *s, bool dice)
{
    const int64_t *confusion = s->count + CONFUSION;
    double sum = 0.0, present = 0.0;
    for (int64_t c = 0; c < classes_of(s); c++) {
        int64_t tp = confusion[c * classes_of(s) + c], truth = 0, predicted = 0;
        for (int64_t k = 0; k < classes_of(s); k++) {
            truth += confusion[c * classes_of(s) + k];
            predicted += confusion[k * classes_of(s) + c];
        }
        if (truth + predicted == 0) continue;
        sum += dice ? 2.0 * (double)tp / (double)(truth + predicted) : (double)tp / (double)(truth + predicted - tp);
        present += 1.0;
    }
    return present > 0.0 ? sum / present : NAN;
}

static double miou(const struct rnc_side *s) { return overlap(s, false); }
static double dice(const struct rnc_side *s) { return overlap(s, true); }

static const struct rnc_metric metrics[] = {
    {"pixel_accuracy", "share of the pixels whose class, or side of 0.5, is right", .fraction = true, .share = true,
     .compute = rnc_label_share},
    {"miou", "mean over the classes of intersection over union", .title = "mIoU", .fraction = true, .leads = true,
     .compute = miou},
    {"dice", "mean over the classes of 2·intersection over the sum of both; of a one-channel mask, of what is true",
     .fraction = true, .compute = dice},
};

const struct rnc_task rnc_task_segmentation = {
    .name = "segmentation",
    .rank = 4,
    .shape = "[N, C, H, W]",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .decides = true,
    .fits = fits,
    .sizes = sizes,
    .add = add,
};
