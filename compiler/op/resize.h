/* resize.h: which pixels resize reads, with PyTorch's coordinates (aten/native/UpSample.h). The reference and the
   tables of gen/ share it: a half-pixel of difference would show as another network. */
#ifndef RNC_OP_RESIZE_H
#define RNC_OP_RESIZE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum resize_mode { RESIZE_NEAREST, RESIZE_BILINEAR };

/* The result is (1 − weight)·x[low] + weight·x[high]; nearest: low == high, weight 0. */
struct resize_tap {
    int64_t low, high;
    double weight;
};

/* Nearest: floor(i · IN/OUT), or floor(i / BY) where the factor BY is not 0, in single precision as PyTorch computes it
   for every dtype. */
static inline int64_t resize_nearest(int64_t in, int64_t out, double by, int64_t i)
{
    float scale = by != 0 ? (float)(1 / by) : (float)in / (float)out;
    int64_t at = (int64_t)floorf((float)i * scale);
    return at < in ? at : in - 1;
}

/* Element I of OUT along an axis of IN elements. BY: the factor that was asked for, where OUT is rounded down from
   IN · BY; 0: OUT/IN. An axis that keeps its size is copied, and one that doubles is doubled, whatever the factor. */
static inline struct resize_tap resize_tap(enum resize_mode mode, bool align_corners, double by, int64_t in,
                                           int64_t out, int64_t i)
{
    struct resize_tap t = {0, 0, 0};
    if (in == out || (mode == RESIZE_NEAREST && out == 2 * in)) by = 0;
    if (mode == RESIZE_NEAREST) {
        t.low = t.high = resize_nearest(in, out, by, i);
        return t;
    }
    double scale = by != 0 ? 1 / by : (double)in / (double)out;
    if (align_corners) scale = out > 1 ? (double)(in - 1) / (double)(out - 1) : 0;
    double at = align_corners ? scale * (double)i : scale * ((double)i + 0.5) - 0.5;
    if (at < 0) at = 0;
    t.low = (int64_t)at;
    if (t.low > in - 1) t.low = in - 1;
    t.high = t.low < in - 1 ? t.low + 1 : t.low;
    t.weight = at - (double)t.low;
    if (t.weight > 1) t.weight = 1;
    return t;
}

#endif
