/* sums.h: the per-channel sums, by what they add up: what `variant` says of the family of reductions. */
#ifndef RNC_OP_SUMS_H
#define RNC_OP_SUMS_H

#include "ir/op.h"

/* channel_sum: Σ; bn_stats: the number of values, their mean and the squares' sum about it; bn_grad: Σ dy·(x − mean), Σ
   dy. */
enum sum_kind { SUM_PLAIN, SUM_STATS, SUM_GRAD };
static inline enum sum_kind sum_kind(const struct op_def *op) { return (enum sum_kind)op->variant; }
/* Vectors of one sum. */
static inline int sum_width(enum sum_kind kind) { return kind == SUM_STATS ? 3 : kind == SUM_GRAD ? 2 : 1; }

#endif
