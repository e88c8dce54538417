/* algorithm.h: the choice of what computes each convolution, from the table in kernel/algorithm.h. */
#ifndef RNC_PASS_ALGORITHM_ALGORITHM_H
#define RNC_PASS_ALGORITHM_ALGORITHM_H

#include "kernel/algorithm.h"
#include "pass/pass.h"

/* May number ALGORITHM of N's be chosen in G: legal, within C's error budget, worth its memory, and fit for training?
 */
bool algorithm_allowed(const struct graph *g, const struct node *n, int algorithm, const struct pass_context *c);
/* All that N's algorithms cost depends on, as a line of text without blanks at its ends or '=': operator, shapes,
   attributes, training or not. Equal keys are one thing to measure. The same before and after layout. */
const char *algorithm_key(struct arena *a, const struct graph *g, const struct node *n);
/* What was chosen in G: "KEY=name" lines, each key once, in the graph's order; algorithm_replay reads them back into a
   map for pass_context.replay (lines that are no such thing are left out). */
void algorithm_record(const struct graph *g, struct strmap *into);
void algorithm_print(const struct strmap *choices, struct buf *out);
void algorithm_replay(const char *text, struct strmap *into);

#endif
