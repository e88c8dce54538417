/* verify.h: is the graph well formed? Definitions before uses, operator arity, types as op_infer finds them, names unique,
   layouts legal for the operators at STAGE_LAYOUT, no overlap of live values at STAGE_PLANNED. */
#ifndef RNC_IR_VERIFY_H
#define RNC_IR_VERIFY_H

#include "ir/graph.h"

/* NULL when the graph is sound; otherwise what is wrong, with the node's text, in the graph's arena. */
const char *graph_verify(struct graph *g);

#endif
