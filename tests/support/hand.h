/* hand.h: a model written by hand, as a compiled one would be: softmax regression of [N, 1, 20, 20] with momentum. */
#ifndef TESTS_SUPPORT_HAND_H
#define TESTS_SUPPORT_HAND_H

#include "runtime/data/batch.h"
#include "runtime/rt/abi.h"
#include "runtime/task/task.h"

enum { N = 64, CLASSES = 10, PIXELS = 400, WEIGHTS = CLASSES * PIXELS };
extern const struct rnc_model infer_model;
extern struct rnc_model train_model;
extern struct rnc_node nodes[1];
/* What it is fed with, and what is compared. */
extern struct rnc_port ports[2];
extern struct rnc_term terms[1];
void hand_problem(struct rnc_problem *p); /* top5 is asked for; its columns are overwritten by the next call */
extern double hand_values[16];            /* the last epoch's */

#endif
