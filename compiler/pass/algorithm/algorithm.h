/* algorithm.h: what may compute a convolution, and what it costs. An operator that can be computed in several ways has
   an attribute "algorithm", whose choices are its algorithms; number 0 is the direct one, which is always possible. */
#ifndef RNC_PASS_ALGORITHM_ALGORITHM_H
#define RNC_PASS_ALGORITHM_ALGORITHM_H

#include "pass/pass.h"

/* How many algorithms N's operator has; 1 when there is nothing to choose. */
int algorithm_count(const struct node *n);
const char *algorithm_name(const struct node *n, int algorithm);
/* Winograd's output tile m; 0: direct. */
int algorithm_tile(const struct node *n, int algorithm);
/* The rms error relative to a double reference to be expected of N (kernel/accuracy.h). */
double algorithm_error(const struct node *n, int algorithm);
/* Can ALGORITHM compute N, by the operator's own rule for its shapes and attributes, and by the target's lanes? Before
   layouts. */
bool algorithm_legal(const struct node *n, int algorithm, const struct target *t);
/* May it be chosen in G: legal, within C's error budget, and no tile beyond 5 × 5 and no stride in training? */
bool algorithm_allowed(const struct graph *g, const struct node *n, int algorithm, const struct pass_context *c);
/* The analytic model: cycles of one core, with what a step of G does to the weights. */
double algorithm_model_cost(const struct graph *g, const struct node *n, int algorithm, const struct target *t);

/* All that N's algorithms cost depends on, as a line of text without blanks at its ends or '=': operator, shapes,
   attributes, training or not. Equal keys are one thing to measure. The same before and after layout. */
const char *algorithm_key(struct arena *a, const struct graph *g, const struct node *n);
/* What was chosen in G: "KEY=name" lines, each key once, in the graph's order; algorithm_replay reads them back into a
   map for pass_context.replay (lines that are no such thing are left out). */
void algorithm_record(const struct graph *g, struct strmap *into);
void algorithm_print(const struct strmap *choices, struct buf *out);
void algorithm_replay(const char *text, struct strmap *into);

#endif
