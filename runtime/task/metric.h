/* metric.h: the kinds of values that a network predicts, and metrics, the rows of the tasks' tables. The spec's words,
   the JSON schema, the log's columns and printed lines come from these rows. */
#ifndef RNC_RUNTIME_TASK_METRIC_H
#define RNC_RUNTIME_TASK_METRIC_H

#include <stdbool.h>

/* What a value [N, …] means. Classes lie in dimension 1: a class for each sample of [N, C], for each pixel of [N, C, H,
   W]. */
enum rnc_value_kind {
    RNC_NUMBERS,              /* features, coordinates */
    RNC_LOGITS,               /* of mutually exclusive classes, before softmax */
    RNC_PROBABILITIES,        /* of mutually exclusive classes, after softmax */
    RNC_BINARY_LOGITS,        /* each element is a two-class score, before sigmoid */
    RNC_BINARY_PROBABILITIES, /* the same after sigmoid */
};
static inline bool rnc_kind_classes(enum rnc_value_kind k) { return k == RNC_LOGITS || k == RNC_PROBABILITIES; }
static inline bool rnc_kind_binary(enum rnc_value_kind k)
{
    return k == RNC_BINARY_LOGITS || k == RNC_BINARY_PROBABILITIES;
}

struct rnc_side;
struct rnc_metric {
    const char *name, *help; /* name: in specs, and the log's column */
    const char *title;       /* for people: mIoU; NULL: made from the name, Pixel accuracy */
    bool lower;              /* less is better */
    bool fraction;           /* between 0 and 1, printed in percent */
    bool leads;              /* if the spec names it, it selects the best epoch instead of the task's first metric */
    bool on_request;         /* computed only if the spec names it */
    bool loss;               /* the loss, which every log has anyway */
    bool share;              /* equals count[0] / count[1] of the side, so that every batch has a value */
    double (*compute)(const struct rnc_side *s); /* NaN: nothing was counted, or it does not apply */
};
/* The metrics of all tasks, by index from 0, each name once; NULL after the last. */
const struct rnc_metric *rnc_metric_at(int k);
/* The first row with this name in any task, or NULL. */
const struct rnc_metric *rnc_metric_named(const char *name);
/* True if the value A is better than B. */
bool rnc_metric_better(const struct rnc_metric *m, double a, double b);

#endif
