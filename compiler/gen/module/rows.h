/* rows.h: the tensors and preparations of a compiled model as the runtime reads them (runtime/rt/abi.h). tables.c
   writes them into an object; gen_unlinked_model uses them to pack weights for a foreign target. */
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
/* The rows of G (STAGE_PLANNED), allocated in A. Names belong to the graph. */
void rows_of(struct arena *a, const struct graph *g, struct rows *r);
struct rnc_type rows_type(const struct type *t);

#endif
