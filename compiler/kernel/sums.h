/* sums.h: per-channel sums that a kernel takes of what it has in registers (the sums at the end of a body: bn_stats,
   bn_grad, channel_sum) go to partials, which a last step merges in order. How many partials there are follows from
   shapes alone, since the plan gives them a place and since bits must not depend on threads.

   A partial holds, for each channel block, sums_vectors vectors of v floats: [partial][vector][blocks][v]. Kernels of
   several phases (strided gradients) have sums_partials / phases partials for each. */
#ifndef RNC_KERNEL_SUMS_H
#define RNC_KERNEL_SUMS_H

#include "op/sums.h"

enum { MAX_SUMS = 2 }; /* of a body */

/* Vectors of a partial for one channel block; 0: the node's body has no sums. */
int sums_vectors(const struct node *n);

/* Row chunks of one of these images that a direct convolution may be cut into, for the sake of parallel work and so
   that a chunk's tiles are no chain that rounds off more than the budget (kernel/chain.h). */
int64_t sums_chunks(const struct type *images);

/* How many partials a node's kernels may use. */
int64_t sums_partials(const struct node *n, int lanes);

/* Bytes of a node's workspace: the operator's own, then (at a multiple of 64) the partials. */
size_t sums_offset(const struct node *n, int lanes);
size_t sums_workspace(const struct node *n, int lanes);

#endif
