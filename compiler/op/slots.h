/* slots.h: into how many partial results a reduction over the batch is cut. The rules depend on shapes alone, so that the same
   bits come out on any number of threads; the operators' workspace callbacks and the kernels of gen/ both follow them.

   Sample n's part goes to slot n % slots (samples of one slot in rising order), and the slots are added up in a fixed tree.

   reduce   (channel_sum, bn_stats, bn_grad): slots of 3 vectors of round_up(C, lanes) floats.
   wgrad    (conv2d_wgrad, dense_wgrad): slots of one whole dw, both channel dimensions rounded up to lanes.
   losses   64 floats for the scalar results' partial sums (2 each), then 4 floats for each sample. */
#ifndef RNC_OP_SLOTS_H
#define RNC_OP_SLOTS_H

#include <stddef.h>
#include <stdint.h>
#include "base/checked.h"

enum { REDUCE_MAX_SLOTS = 8, REDUCE_SUMS = 3, WGRAD_MAX_SLOTS = 8, WGRAD_BLOCKS = 32, LOSS_FIXED_FLOATS = 64, LOSS_SAMPLE_FLOATS = 4 };

/* Per-channel sums over N samples: how many slots. */
static inline int64_t reduce_slots(int64_t n) { return min_i64(n, REDUCE_MAX_SLOTS); }

static inline size_t reduce_workspace(int64_t n, int64_t c, int lanes)
{
    return (size_t)(reduce_slots(n) * REDUCE_SUMS * round_up(c, lanes)) * sizeof(float);
}

/* dw [O, I, …] from N samples: enough blocks of v × v to share out keep one slot; else the samples are shared out too. */
static inline int64_t wgrad_slots(int64_t n, int64_t o, int64_t i, int lanes)
{
    int64_t blocks = div_up(o, lanes) * div_up(i, lanes);
    return blocks >= WGRAD_BLOCKS ? 1 : min_i64(min_i64(WGRAD_MAX_SLOTS, n), div_up(2 * WGRAD_BLOCKS, blocks));
}

/* 0 where there is one slot: it is dw itself. TAPS = KH·KW. */
static inline size_t wgrad_workspace(int64_t n, int64_t o, int64_t i, int64_t taps, int lanes)
{
    int64_t slots = wgrad_slots(n, o, i, lanes);
    return slots > 1 ? (size_t)(slots * round_up(o, lanes) * round_up(i, lanes) * taps) * sizeof(float) : 0;
}

static inline size_t loss_workspace(int64_t n) { return (size_t)(LOSS_FIXED_FLOATS + LOSS_SAMPLE_FLOATS * n) * sizeof(float); }

#endif
