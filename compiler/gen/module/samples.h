/* samples.h: which values hold one row for each sample, of which only the first n count. */
#ifndef RNC_GEN_MODULE_SAMPLES_H
#define RNC_GEN_MODULE_SAMPLES_H

#include "ir/graph.h"

/* Activations and what the caller gives, whose first dim is the batch; not parameters, their gradients and their
   updates, whatever their shape. */
bool samples_of(const struct graph *g, const struct value *v);

#endif
