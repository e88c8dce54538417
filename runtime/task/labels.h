/* labels.h: the scores of the classes for one label: [C] with a stride. */
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

/* True if the label counts: it is a class, and not `ignore`. */
static inline bool rnc_label_counts(int64_t label, int64_t classes, int64_t ignore)
{
    return label != ignore && label >= 0 && label < classes;
}
/* The class of the highest score; the lowest number of equal ones, as argmax does. */
int64_t rnc_label_best(const struct rnc_scores *x);
/* How many classes rank before LABEL: those with a higher score, or an equal score and a lower number. */
int64_t rnc_label_rank(const struct rnc_scores *x, int64_t label);

/* The first counts of every task with labels. */
enum { RNC_RIGHT, RNC_COUNTED, RNC_LABEL_COUNTS };
/* right / counted; NaN if nothing was counted. */
double rnc_label_share(const struct rnc_side *s);

#endif
