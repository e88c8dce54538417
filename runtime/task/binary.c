/* binary.c: elements that are true or false each by itself: one answer or several labels [N, K], masks [N, K, H, W].
   True is a probability of at least a half, a logit of at least 0; a target of at least a half. */
#include <math.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

enum { BOTH = RNC_LABEL_COUNTS, PREDICTED, TRUTH, COUNTS }; /* elements that are true in both, in either */

static bool fits_map(enum rnc_value_kind kind, const struct rnc_port *target)
{
    return (rnc_kind_binary(kind) || target->exact) && target->dtype == RNC_F32 && target->rank >= 2;
}

static bool fits(enum rnc_value_kind kind, const struct rnc_port *target)
{
    return (rnc_kind_binary(kind) || target->exact) && target->dtype == RNC_F32 && target->rank < 2;
}

static void sizes(const struct rnc_side *s, size_t *counts, size_t *sums)
{
    (void)s;
    *counts = COUNTS;
    *sums = 0;
}

static void add(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick)
{
    const float *truth = target, side = s->pair->kind == RNC_BINARY_LOGITS ? 0.0f : 0.5f;
    int64_t count = n * rnc_port_elements(s->target);
    (void)quick;
    for (int64_t k = 0; k < count; k++) {
        bool is = truth[k] >= 0.5f, said = value[k] >= side;
        s->count[RNC_RIGHT] += is == said;
        s->count[BOTH] += is && said;
        s->count[PREDICTED] += said;
        s->count[TRUTH] += is;
    }
    s->count[RNC_COUNTED] += count;
}

static double ratio(int64_t part, int64_t whole) { return whole ? (double)part / (double)whole : NAN; }

static double f1(const struct rnc_side *s) { return ratio(2 * s->count[BOTH], s->count[PREDICTED] + s->count[TRUTH]); }
static double precision(const struct rnc_side *s) { return ratio(s->count[BOTH], s->count[PREDICTED]); }
static double recall(const struct rnc_side *s) { return ratio(s->count[BOTH], s->count[TRUTH]); }
static double iou(const struct rnc_side *s)
{
    return ratio(s->count[BOTH], s->count[PREDICTED] + s->count[TRUTH] - s->count[BOTH]);
}

/* Of what is true and what is false, as far as they occur. */
static double miou(const struct rnc_side *s)
{
    int64_t apart = s->count[RNC_COUNTED] - s->count[RNC_RIGHT], neither = s->count[RNC_RIGHT] - s->count[BOTH];
    double of_true = iou(s), of_false = ratio(neither, neither + apart);
    return isnan(of_true) ? of_false : isnan(of_false) ? of_true : (of_true + of_false) / 2.0;
}

static const struct rnc_metric metrics[] = {
    {"accuracy", "share of the elements on their side of 0.5", .fraction = true, .share = true,
     .compute = rnc_label_share},
    {"f1", "2·both over the sum of what is true and what was said to be", .fraction = true, .leads = true,
     .on_request = true, .compute = f1},
    {"precision", "share of what was said to be true that is", .fraction = true, .on_request = true,
     .compute = precision},
    {"recall", "share of what is true that was said to be", .fraction = true, .on_request = true, .compute = recall},
};
static const struct rnc_metric map_metrics[] = {
    {"pixel_accuracy", "share of the pixels on their side of 0.5", .fraction = true, .share = true,
     .compute = rnc_label_share},
    {"iou", "of a one-channel mask: intersection over union of what is true", .fraction = true, .leads = true,
     .compute = iou},
    {"miou", "mean over true and false of intersection over union", .title = "mIoU", .fraction = true, .leads = true,
     .on_request = true, .compute = miou},
    {"dice", "2·intersection over the sum of both, of what is true", .fraction = true, .compute = f1},
};

const struct rnc_task rnc_task_binary = {
    .name = "binary classification",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .decides = true,
    .labels = true,
    .fits = fits,
    .sizes = sizes,
    .add = add,
};
const struct rnc_task rnc_task_binary_map = {
    .name = "binary segmentation",
    .metrics = map_metrics,
    .nmetrics = sizeof map_metrics / sizeof *map_metrics,
    .decides = true,
    .labels = true,
    .fits = fits_map,
    .sizes = sizes,
    .add = add,
};
