/* labels.h: scores of classes beside labels, for one label: [C] at a stride. */
#ifndef RNC_RUNTIME_TASK_LABELS_H
#define RNC_RUNTIME_TASK_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/task/task.h"

struct rnc_scores {
    const float *score;
    int64_t classes, stride;
};
static inline float rnc_score(const struct rnc_scores *x, int64_t c) { return x->score[c * x->stride]; }

/* Does the label count? Neither `ignore` nor outside the classes. */
static inline bool rnc_label_counts(const struct rnc_scores *x, int64_t label, int64_t ignore)
{
    return label != ignore && label >= 0 && label < x->classes;
}
/* The class of the highest score; of equals the lowest, as argmax does. */
int64_t rnc_label_best(const struct rnc_scores *x);
/* How many classes come before LABEL, by their scores, of equals by number. */
int64_t rnc_label_rank(const struct rnc_scores *x, int64_t label);
/* −log softmax at LABEL. */
double rnc_label_loss(const struct rnc_scores *x, int64_t label);
/* right/counted, the share of the labels that were met; NaN when none was counted. */
double rnc_label_share(const struct rnc_tally *t);

/* Is there one target, of labels with RANK dimensions? */
bool rnc_label_target(const struct rnc_port *ports, int nports, int rank);
/* Is there one output of scores beside it, [N, C, …] of RANK dimensions? */
bool rnc_label_sides(const struct rnc_tally *t, int rank, const char *shape, struct rnc_status *s);

#endif
