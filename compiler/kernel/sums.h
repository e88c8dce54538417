/* sums.h: partials of per-channel sums that a kernel computes from values in registers (the sums at the end of a body:
   bn_stats, bn_grad, channel_sum). A last step merges the partials in order. Their number depends on shapes alone,
   because the memory plan needs it and because bits must not depend on threads. A partial has the layout
   [vector][blocks][v], with sums_vectors vectors for each channel block. Kernels of several phases (strided gradients)
   have sums_partials / phases partials for each phase. */
#ifndef RNC_KERNEL_SUMS_H
#define RNC_KERNEL_SUMS_H

#include "op/sums.h"

enum { MAX_SUMS = 2 }; /* of a body */

/* Vectors of a partial for one channel block; 0 if the node's body has no sums. */
int sums_vectors(const struct node *n);

/* The largest number of row chunks of an image in a direct convolution. Chunks give parallel work and keep a chunk's
   chain of additions short (kernel/chain.h). */
int64_t sums_chunks(const struct type *images);

/* The number of partials that a node's kernels may use. */
int64_t sums_partials(const struct node *n, int lanes);

/* Bytes of a node's workspace: first the operator's own, then, 64-byte aligned at sums_offset, the partials. */
size_t sums_offset(const struct node *n, int lanes);
size_t sums_workspace(const struct node *n, int lanes);

#endif
