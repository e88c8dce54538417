/* partials.h: the number of partial sums of a reduction over the batch. It depends on shapes alone, so results have the
   same bits on any number of threads. The memory plan and the kernels of gen/ both use these functions. Sample n is
   added to partial n % partials, in rising order of samples. The partials are added up in a fixed tree.

   Layouts:
   - reduce (channel_sum, bn_stats, bn_grad): each partial is 3 vectors of round_up(C, lanes) floats.
   - wgrad (conv2d_wgrad, dense_wgrad): each partial is one dw with both channel dimensions rounded up to lanes.
   - losses: 64 floats for the partial sums of the scalar results (2 each), then 4 floats for each sample. */
#ifndef RNC_KERNEL_PARTIALS_H
#define RNC_KERNEL_PARTIALS_H

#include <stddef.h>
#include <stdint.h>
#include "base/checked.h"
#include "kernel/policy.h"

enum { REDUCE_SUMS = 3, LOSS_FIXED_FLOATS = 64, LOSS_SAMPLE_FLOATS = 4 };

/* The number of partials of per-channel sums over N samples. */
static inline int64_t reduce_partials(int64_t n) { return min_i64(n, REDUCE_MAX_PARTIALS); }

static inline size_t reduce_workspace(int64_t n, int64_t c, int lanes)
{
    return (size_t)(reduce_partials(n) * REDUCE_SUMS * round_up(c, lanes)) * sizeof(float);
}

/* The plan of dw [O, I, …TAPS] from N samples of X_PIXELS and DY_PIXELS: chunks of input and output blocks, and
   partials of samples. A task computes one chunk of dw for one partial. The chunk stays in the second-level cache, and
   the task reads its x and dy once. So x is read once for each chunk of output blocks, and dy once for each chunk of
   input blocks. The plan has the least traffic of those with at least WGRAD_TASKS tasks. */
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

/* Bytes of workspace. 0 for one partial, which is dw itself. */
static inline size_t wgrad_workspace(const struct wgrad_plan *p, int64_t o, int64_t i, int64_t taps, int lanes)
{
    return p->partials > 1 ? (size_t)(p->partials * round_up(o, lanes) * round_up(i, lanes) * taps) * sizeof(float) : 0;
}

static inline size_t loss_workspace(int64_t n)
{
    return (size_t)(LOSS_FIXED_FLOATS + LOSS_SAMPLE_FLOATS * n) * sizeof(float);
}

#endif
