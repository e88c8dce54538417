/* rows.h: the tensors and preparations of a compiled model as the runtime has them (runtime/rt/abi.h): what tables.c
   writes out, and what packs weights for an object without a machine that could run its code. */
#ifndef RNC_GEN_MODULE_ROWS_H
#define RNC_GEN_MODULE_ROWS_H

#include "ir/graph.h"
#include "runtime/rt/abi.h"

struct rows {
    struct rnc_tensor *tensors; /* arguments in the graph's order, then outputs */
    int ntensors;
    struct rnc_prepare *prepares;
    int nprepares;
};
/* Of G (STAGE_PLANNED), in A; names are the graph's. */
void rows_of(struct arena *a, const struct graph *g, struct rows *r);
struct rnc_type rows_type(const struct type *t);

#endif
