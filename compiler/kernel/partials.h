/* partials.h: into how many partial results a reduction over the batch is cut. The rules depend on shapes alone, so
   that the same bits come out on any number of threads; the plan of memory and the kernels of gen/ both follow them.

   Sample n's part goes to partial n % partials (samples of one partial in rising order), and the partials are added up
   in a fixed tree.

   reduce   (channel_sum, bn_stats, bn_grad): partials of 3 vectors of round_up(C, lanes) floats.
   wgrad    (conv2d_wgrad, dense_wgrad): partials of one whole dw, both channel dimensions rounded up to lanes.
   losses   64 floats for the scalar results' partial sums (2 each), then 4 floats for each sample. */
#ifndef RNC_KERNEL_PARTIALS_H
#define RNC_KERNEL_PARTIALS_H

#include <stddef.h>
#include <stdint.h>
#include "base/checked.h"
#include "kernel/policy.h"

enum { REDUCE_SUMS = 3, LOSS_FIXED_FLOATS = 64, LOSS_SAMPLE_FLOATS = 4 };

/* Per-channel sums over N samples: how many partials. */
static inline int64_t reduce_partials(int64_t n) { return min_i64(n, REDUCE_MAX_PARTIALS); }

static inline size_t reduce_workspace(int64_t n, int64_t c, int lanes)
{
    return (size_t)(reduce_partials(n) * REDUCE_SUMS * round_up(c, lanes)) * sizeof(float);
}

/* dw [O, I, …TAPS] from N samples of X_PIXELS and DY_PIXELS: into how many chunks the input and the output blocks are
   cut, and the samples into partials. A task is a chunk of dw (of a partial), which stays in the second-level cache,
   and reads x and dy once each: so that x is read once for each chunk of output blocks, and dy once for each of input
   blocks. The least traffic that leaves WGRAD_TASKS tasks. */
struct wgrad_plan {
    int64_t partials, in_chunks, out_chunks;
};

static inline struct wgrad_plan wgrad_plan(int64_t n, int64_t o, int64_t i, int64_t taps, int64_t x_pixels,
                                           int64_t dy_pixels, int lanes)
{
    int64_t icb = div_up(i, lanes), ocb = div_up(o, lanes), block = taps * lanes * lanes * 4,
            most = min_i64(WGRAD_MAX_PARTIALS, n);
    struct wgrad_plan best = {1, icb, ocb};
    double least = 1e300;
    for (int64_t partials = 1; partials <= most; partials = partials < most ? min_i64(2 * partials, most) : most + 1)
        for (int64_t in = 1; in <= icb; in++) {
            int64_t enough = max_i64(1, min_i64(ocb, div_up(WGRAD_TASKS, partials * in))), per = div_up(icb, in),
                    fit = max_i64(1, WGRAD_DW / (block * per));
            int64_t out = max_i64(enough, div_up(ocb, fit));
            if (out > ocb || (partials * in * out < WGRAD_TASKS && (partials < most || in < icb))) continue;
            double lines = (double)n * ((double)(x_pixels * icb * out) + (double)(dy_pixels * ocb * in)) * lanes * 4;
            double traffic = lines + (double)((partials > 1 ? 2 * partials : 0) * icb * ocb * block);
            if (traffic >= least) continue;
            least = traffic;
            best = (struct wgrad_plan){partials, in, out};
        }
    return best;
}

/* 0 where there is one partial: it is dw itself. */
static inline size_t wgrad_workspace(const struct wgrad_plan *p, int64_t o, int64_t i, int64_t taps, int lanes)
{
    return p->partials > 1 ? (size_t)(p->partials * round_up(o, lanes) * round_up(i, lanes) * taps) * sizeof(float) : 0;
}

static inline size_t loss_workspace(int64_t n)
{
    return (size_t)(LOSS_FIXED_FLOATS + LOSS_SAMPLE_FLOATS * n) * sizeof(float);
}

#endif
