/* segmentation.c: a class for each pixel: scores [N, C, H, W], labels [N, H, W]. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

struct own {
    double loss;         /* Σ −log softmax at the label */
    int64_t classes;     /* C */
    int64_t confusion[]; /* [truth, prediction] */
};

static int64_t pixels_of(const struct rnc_side *side) { return side->type.dim[2] * side->type.dim[3]; }

static struct rnc_scores scores_of(const struct rnc_side *side, const float *out, int64_t sample, int64_t pixel)
{
    int64_t classes = side->type.dim[1], pixels = pixels_of(side);
    return (struct rnc_scores){out + sample * classes * pixels + pixel, classes, pixels};
}

static bool fits(const struct rnc_port *ports, int nports) { return rnc_label_target(ports, nports, 2); }

static bool begin(struct rnc_tally *t, struct rnc_status *s)
{
    if (!rnc_label_sides(t, 4, "[N, C, H, W]", s)) return false;
    int64_t classes = t->sides[0].type.dim[1];
    struct own *own = calloc(1, sizeof *own + (size_t)(classes * classes) * sizeof *own->confusion);
    t->own = own;
    if (!own) return rnc_fail(s, RNC_ENV, "no memory for a confusion matrix of %lld classes", (long long)classes);
    own->classes = classes;
    return true;
}

static void reset(struct rnc_tally *t)
{
    struct own *own = t->own;
    own->loss = 0.0;
    memset(own->confusion, 0, (size_t)(own->classes * own->classes) * sizeof *own->confusion);
}

static int64_t *counts(const struct rnc_tally *t, size_t *n)
{
    struct own *own = t->own;
    *n = (size_t)(own->classes * own->classes);
    return own->confusion;
}

static void add_label(struct rnc_tally *t, const struct rnc_scores *x, int64_t label)
{
    struct own *own = t->own;
    if (!rnc_label_counts(x, label, t->sides[0].target->ignore)) return;
    int64_t best = rnc_label_best(x);
    t->counted++;
    t->right += best == label;
    own->confusion[label * own->classes + best]++;
    if (!t->quick) own->loss += rnc_label_loss(x, label);
}

static void add(struct rnc_tally *t, const float *const *out, const void *const *target, int64_t n)
{
    const int64_t *labels = target[0];
    int64_t pixels = pixels_of(&t->sides[0]);
    for (int64_t k = 0; k < n; k++)
        for (int64_t p = 0; p < pixels; p++) {
            struct rnc_scores x = scores_of(&t->sides[0], out[0], k, p);
            add_label(t, &x, labels[k * pixels + p]);
        }
}

static double loss(const struct rnc_tally *t)
{
    const struct own *own = t->own;
    return t->counted ? own->loss / (double)t->counted : NAN;
}

/* The mean over the classes that occur; DICE: 2TP/(2TP+FP+FN), else TP/(TP+FP+FN). */
static double overlap(const struct rnc_tally *t, bool dice)
{
    const struct own *own = t->own;
    double sum = 0.0, present = 0.0;
    for (int64_t c = 0; c < own->classes; c++) {
        int64_t tp = own->confusion[c * own->classes + c], truth = 0, predicted = 0;
        for (int64_t k = 0; k < own->classes; k++) {
            truth += own->confusion[c * own->classes + k];
            predicted += own->confusion[k * own->classes + c];
        }
        if (truth + predicted == 0) continue;
        sum += dice ? 2.0 * (double)tp / (double)(truth + predicted) : (double)tp / (double)(truth + predicted - tp);
        present += 1.0;
    }
    return present > 0.0 ? sum / present : NAN;
}

static double miou(const struct rnc_tally *t) { return overlap(t, false); }
static double dice(const struct rnc_tally *t) { return overlap(t, true); }

/* The share of the pixels that each class got. */
static int64_t predict(const struct rnc_tally *t, void *const *out, struct rnc_finding *f, int64_t room)
{
    const struct rnc_side *side = &t->sides[0];
    int64_t classes = side->type.dim[1], pixels = pixels_of(side), n = 0;
    double *share = calloc((size_t)classes, sizeof *share);
    for (int64_t p = 0; share && p < pixels; p++) {
        struct rnc_scores x = scores_of(side, out[side->output], 0, p);
        share[rnc_label_best(&x)] += 1.0 / (double)pixels;
    }
    for (int64_t c = 0; share && c < classes; c++)
        n = rnc_finding_insert(f, n, room, (struct rnc_finding){side->pair->output, c, share[c]});
    free(share);
    return n;
}

static const struct rnc_metric metrics[] = {
    {"pixel_accuracy", "share of the labels that have the highest score", .fraction = true, .compute = rnc_label_share},
    {"miou", "mean over the classes of intersection over union", .fraction = true, .leads = true, .compute = miou},
    {"dice", "mean over the classes of 2·intersection over the sum of both", .fraction = true, .compute = dice},
};

const struct rnc_task rnc_task_segmentation = {
    .name = "segmentation",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .finding = "share",
    .fraction = true,
    .fits = fits,
    .begin = begin,
    .add = add,
    .reset = reset,
    .counts = counts,
    .loss = loss,
    .predict = predict,
};
