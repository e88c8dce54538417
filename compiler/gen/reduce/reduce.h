/* reduce.h: per-channel sums as passes of their own over values in memory. */
#ifndef RNC_GEN_REDUCE_REDUCE_H
#define RNC_GEN_REDUCE_REDUCE_H

#include "gen/module/lower.h"

/* channel_sum of x (one result), bn_stats of x (two), or bn_grad of dy, x, mean, var. WS: reduce_workspace bytes
   (kernel/slots.h). */
struct reduce_call {
    const struct value *x, *dy, *mean, *var, *out[2];
    struct lower_arg ws;
    float eps;
};
void lower_reduce_call(struct lower *lo, const struct reduce_call *c);

#endif
