/* reduce.h: per-channel sums as passes of their own over values in memory. */
#ifndef RNC_GEN_REDUCE_REDUCE_H
#define RNC_GEN_REDUCE_REDUCE_H

#include "gen/module/lower.h"
#include "kernel/sums.h"

/* Of x (SUM_PLAIN: one result; SUM_STATS: two), or of dy, x, mean, var (SUM_GRAD: two results). WS: reduce_workspace
   bytes (kernel/slots.h). */
struct reduce_call {
    enum sum_kind kind;
    const struct value *x, *dy, *mean, *var, *out[2];
    struct lower_arg ws;
    float eps;
};
void lower_reduce_call(struct lower *lo, const struct reduce_call *c);

#endif
