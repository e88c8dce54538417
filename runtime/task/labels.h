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
static inline bool rnc_label_counts(int64_t label, int64_t classes, int64_t ignore)
{
    return label != ignore && label >= 0 && label < classes;
}
/* The class of the highest score; of equals the lowest, as argmax does. */
int64_t rnc_label_best(const struct rnc_scores *x);
/* How many classes come before LABEL, by their scores, of equals by number. */
int64_t rnc_label_rank(const struct rnc_scores *x, int64_t label);

/* What every task of labels counts first. */
enum { RNC_RIGHT, RNC_COUNTED, RNC_LABEL_COUNTS };
/* right/counted; NaN when none was counted. */
double rnc_label_share(const struct rnc_side *s);

#endif
