/* metric.h: what a value says of the samples, and what is measured of it: the rows of the tasks' tables. A spec's
   words, the schema, the log's columns and what is printed come from them. */
#ifndef RNC_RUNTIME_TASK_METRIC_H
#define RNC_RUNTIME_TASK_METRIC_H

#include <stdbool.h>

/* What a value [N, …] is. Classes lie in dim 1: one of them for each sample of [N, C], for each pixel of [N, C, H, W].
 */
enum rnc_value_kind {
    RNC_NUMBERS,              /* features, coordinates: themselves */
    RNC_LOGITS,               /* of classes that exclude each other, before softmax */
    RNC_PROBABILITIES,        /* of such classes, after it */
    RNC_BINARY_LOGITS,        /* each element by itself, before sigmoid */
    RNC_BINARY_PROBABILITIES, /* and after it */
};
static inline bool rnc_kind_classes(enum rnc_value_kind k) { return k == RNC_LOGITS || k == RNC_PROBABILITIES; }
static inline bool rnc_kind_binary(enum rnc_value_kind k)
{
    return k == RNC_BINARY_LOGITS || k == RNC_BINARY_PROBABILITIES;
}

struct rnc_side;
struct rnc_metric {
    const char *name, *help; /* name: the spec's word, and the log's column */
    const char *title;       /* as people write it: mIoU; NULL: the name's own words, Pixel accuracy */
    bool lower;              /* less is better */
    bool fraction;           /* between 0 and 1, shown in percent */
    bool leads;      /* where the spec asks for it, it decides which epoch is better, not the task's first metric */
    bool on_request; /* shown only where the spec asks for it */
    bool loss;       /* the loss itself, which every log has anyway */
    bool share;      /* count[0] / count[1] of the side: known for every batch */
    double (*compute)(const struct rnc_side *s); /* NaN: nothing was counted, or it does not apply */
};
/* The metrics of all tasks, from 0, each name once; NULL behind the last. */
const struct rnc_metric *rnc_metric_at(int k);
/* The first row of a name in any task, or NULL. */
const struct rnc_metric *rnc_metric_named(const char *name);
/* Is A better than B by it? */
bool rnc_metric_better(const struct rnc_metric *m, double a, double b);

#endif
