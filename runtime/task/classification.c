/* classification.c: one class for each sample: scores [N, C], labels [N]. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

enum { RANKS = 5 };
struct own {
    int64_t at_rank[RANKS]; /* labels that so many classes came before */
    double loss;            /* Σ −log softmax at the label */
};

static struct rnc_scores scores_of(const struct rnc_side *side, const float *out, int64_t sample)
{
    return (struct rnc_scores){out + sample * side->type.dim[1], side->type.dim[1], 1};
}

static bool fits(const struct rnc_port *ports, int nports) { return rnc_label_target(ports, nports, 0); }

static bool begin(struct rnc_tally *t, struct rnc_status *s)
{
    if (!rnc_label_sides(t, 2, "[N, C]", s)) return false;
    t->own = calloc(1, sizeof(struct own));
    return t->own || rnc_fail(s, RNC_ENV, "no memory to measure a classification");
}

static void reset(struct rnc_tally *t) { memset(t->own, 0, sizeof(struct own)); }

static void add(struct rnc_tally *t, const float *const *out, const void *const *target, int64_t n)
{
    struct own *own = t->own;
    const int64_t *labels = target[0];
    for (int64_t k = 0; k < n; k++) {
        struct rnc_scores x = scores_of(&t->sides[0], out[0], k);
        if (!rnc_label_counts(&x, labels[k], t->sides[0].target->ignore)) continue;
        t->counted++;
        t->right += rnc_label_best(&x) == labels[k];
        if (t->quick) continue;
        int64_t rank = rnc_label_rank(&x, labels[k]);
        if (rank < RANKS) own->at_rank[rank]++;
        own->loss += rnc_label_loss(&x, labels[k]);
    }
}

static double loss(const struct rnc_tally *t)
{
    const struct own *own = t->own;
    return t->counted ? own->loss / (double)t->counted : NAN;
}

/* The share of the labels among the best COUNT classes, at most RANKS. */
static double among(const struct rnc_tally *t, int count)
{
    const struct own *own = t->own;
    int64_t met = 0;
    for (int k = 0; k < count; k++) met += own->at_rank[k];
    return t->counted ? (double)met / (double)t->counted : NAN;
}

static double top3(const struct rnc_tally *t) { return among(t, 3); }
static double top5(const struct rnc_tally *t) { return among(t, 5); }

/* Softmax over the scores; the likeliest classes by insertion, of equals the lower one first. */
static int64_t predict(const struct rnc_tally *t, void *const *out, struct rnc_finding *f, int64_t room)
{
    const struct rnc_side *side = &t->sides[0];
    struct rnc_scores x = scores_of(side, out[side->output], 0);
    double top = (double)rnc_score(&x, rnc_label_best(&x)), sum = 0.0;
    for (int64_t c = 0; c < x.classes; c++) sum += exp((double)rnc_score(&x, c) - top);
    int64_t n = 0;
    for (int64_t c = 0; c < x.classes; c++)
        n = rnc_finding_insert(f, n, room,
                               (struct rnc_finding){side->pair->output, c, exp((double)rnc_score(&x, c) - top) / sum});
    return n;
}

static const struct rnc_metric metrics[] = {
    {"accuracy", "share of the labels that have the highest score", .fraction = true, .compute = rnc_label_share},
    {"top3", "share of the labels among the three highest scores", .fraction = true, .on_request = true,
     .compute = top3},
    {"top5", "share of the labels among the five highest scores", .fraction = true, .on_request = true,
     .compute = top5},
};

const struct rnc_task rnc_task_classification = {
    .name = "classification",
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof *metrics,
    .finding = "probability",
    .fraction = true,
    .fits = fits,
    .begin = begin,
    .add = add,
    .reset = reset,
    .loss = loss,
    .predict = predict,
};
