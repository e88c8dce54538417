/* random_graph.h: small random networks from the operator table, for properties that must hold for every graph. */
#ifndef TESTS_SUPPORT_RANDOM_GRAPH_H
#define TESTS_SUPPORT_RANDOM_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include "ir/graph.h"
#include "op/eval.h"

struct random {
    uint64_t state;
};
uint64_t random_u64(struct random *r);                          /* splitmix64 */
int64_t random_int(struct random *r, int64_t min, int64_t max); /* both ends included */
double random_unit(struct random *r);                           /* [0, 1) */

/* A graph of about NODES layers with random attributes and shapes, several outputs, and, with LOSS, output "loss". The
   same for the same seed. Dropout is left out: it is keyed by its layer and only acts in training. */
struct graph *random_graph(struct arena *a, uint64_t seed, int nodes, int64_t batch, bool loss);

/* Fills every argument with numbers that depend on its name alone: variances positive, labels in range. */
void random_fill(struct eval *e, const struct graph *g, uint64_t seed);

#endif
