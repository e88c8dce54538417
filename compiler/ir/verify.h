/* verify.h: is the graph well formed? Definitions before uses, operator arity, types as op_infer finds them, names
   unique, layouts legal for the operators at STAGE_LAYOUT, no overlap of live values at STAGE_PLANNED. */
#ifndef RNC_IR_VERIFY_H
#define RNC_IR_VERIFY_H

#include "ir/graph.h"

/* NULL when the graph is sound; otherwise what is wrong, with the node's text, in the graph's arena. */
const char *graph_verify(struct graph *g);

/* What is wrong with a type by itself (dims, size, a layout that its rank cannot have), or NULL. */
const char *verify_type(const struct type *t);
/* What is wrong with T as the type of an argument of KIND, or NULL: inputs and targets have a row for each sample; of
   states only buffers can. */
const char *verify_argument(struct arena *a, enum value_kind kind, const struct type *t);
/* What is wrong with the number of operands of a node, or NULL: NIN of them, the absent ones counted. */
struct op_def;
const char *verify_arity(struct arena *a, const struct op_def *op, int nin, struct value *const *in);

#endif
