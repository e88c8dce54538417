/* eval.h: the reference interpreter. Evaluates any graph (raw, differentiated, fused, laid out) node by node with the
   operators' references on plain tensors of doubles (dropout drops only where the graph trains); layouts, packing and
   memory offsets are ignored, being no part of the meaning. */
#ifndef RNC_OP_EVAL_H
#define RNC_OP_EVAL_H

#include "ir/graph.h"
#include "ir/op.h"

struct eval;
struct eval *eval_new(const struct graph *g, struct ref_run run); /* run.n samples */
void eval_free(struct eval *e);
/* The tensor of V, type_elements(V) doubles: set an argument's before eval_run, read any after. Allocated zeroed at
   first touch. */
double *eval_data(struct eval *e, const struct value *v);
void eval_set_f32(struct eval *e, const struct value *v, const float *data); /* plain */
/* Every node in order (free_dead: intermediates are freed after their last use). */
void eval_run(struct eval *e, bool free_dead);
/* One node, its inputs being set. In a region it computes the samples that the region has by now; without any nothing.
 */
void eval_node(struct eval *e, const struct node *n);
/* How many samples of V are real: run.n, or those of the region that it was made in. */
int64_t eval_samples(struct eval *e, const struct value *v);
/* Frees V's data; the next eval_data makes it anew, zeroed. For callers that walk the nodes themselves. */
void eval_drop(struct eval *e, const struct value *v);
/* From now on values are not rounded when they are stored as a rounded type: what the graph means without that; or they
   are again (EXACT false). Returns how it was. */
bool eval_exact(struct eval *e, bool exact);
/* From now on, or no longer, operators compute ref_run.magnitudes. */
void eval_magnitudes(struct eval *e, bool magnitudes);
/* V's numbers to the nearest of DT, as happens to every value of a rounded type when it is stored. */
void eval_round(struct eval *e, const struct value *v, enum dtype dt);
/* Copies updates' new values into their states: one training step is done. */
void eval_commit(struct eval *e);

#endif
