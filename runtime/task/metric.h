/* metric.h: what is measured of a network: the rows of the tasks' tables. A spec's words, the schema, the log's columns
   and what is printed come from them. */
#ifndef RNC_RUNTIME_TASK_METRIC_H
#define RNC_RUNTIME_TASK_METRIC_H

#include <stdbool.h>

enum { RNC_MAX_METRICS = 16 }; /* of a task */

struct rnc_tally;
struct rnc_metric {
    const char *name, *help; /* name: the spec's word, and the log's column */
    bool lower;              /* less is better */
    bool fraction;           /* between 0 and 1, shown in percent */
    bool leads;      /* where the spec asks for it, it decides which epoch is better, not the task's first metric */
    bool on_request; /* shown only where the spec asks for it */
    bool loss;       /* the loss itself, which every log has anyway */
    double (*compute)(const struct rnc_tally *t); /* NaN: nothing was counted, or it does not apply */
};
/* The metrics of all tasks, from 0; NULL behind the last. */
const struct rnc_metric *rnc_metric_at(int k);
/* The row of a name in any task, or NULL. */
const struct rnc_metric *rnc_metric_named(const char *name);
/* Is A better than B by it? */
bool rnc_metric_better(const struct rnc_metric *m, double a, double b);

#endif
