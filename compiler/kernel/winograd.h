/* winograd.h: the plan of a Winograd convolution. It depends on shapes alone: the memory plan and gen/ must agree, and
   neither code nor bits may depend on threads. */
#ifndef RNC_KERNEL_WINOGRAD_H
#define RNC_KERNEL_WINOGRAD_H

#include <stdbool.h>
#include "base/checked.h"
#include "ir/op.h"
#include "kernel/policy.h"

struct winograd_plan {
    int64_t m, tiles_y, tiles_x; /* output tile; tiles of an image */
    int64_t stride, tile;        /* of the convolution; samples and points a side: m + 2, of stride 2 2m + 1 */
    int64_t icb, ocb;            /* input and output channel blocks */
    int64_t block, blocks;       /* tiles of a block; blocks of the whole batch */
    int64_t ov, tw;              /* register blocking: output vectors × tiles, the widest group */
    int64_t wide;                /* groups of tw tiles in a block; those after them have tw − 1 */
    bool split;                  /* V and M go through the workspace, for all tiles at once: the only block */
    int64_t cut_y, cut_x; /* split: how many of the last points the last row or column of tiles has no need for, see
                             struct winograd_kinds */
    int64_t row; /* tiles of a vector in V and M: the block, and room for what the last group of tiles has beyond a
                    kind's end */
    int64_t point_v, point_m; /* floats of V and M for one point */
};

/* Numbers of an image's tiles by how the image's edges cut them: at the right only, not at all, at the bottom only, at
   both. The last point, ∞, contributes only to the last row or column of an output tile, so tiles whose last row or
   column is cut off need no products for it. With stride 2, the same holds for the odd samples in front of ∞ that
   belong to what is cut off. In split plans, tiles of one kind of all images are stored together, in this order, so the
   tiles that need a point are contiguous. */
struct winograd_kinds {
    int64_t right, whole, below, corner;
};

static inline struct winograd_kinds winograd_kinds(int64_t tiles_y, int64_t tiles_x, int64_t cut_y, int64_t cut_x)
{
    int64_t below = cut_y > 0, right = cut_x > 0, y = tiles_y - below, x = tiles_x - right;
    return (struct winograd_kinds){y * right, y * x, below * x, below * right};
}

/* The number of (point, tile) pairs of an image that need a product; tiles have N × N points. */
static inline int64_t winograd_points(int64_t n, int64_t tiles_y, int64_t tiles_x, int64_t cut_y, int64_t cut_x)
{
    struct winograd_kinds k = winograd_kinds(tiles_y, tiles_x, cut_y, cut_x);
    return n * n * k.whole + n * (n - cut_x) * k.right + n * (n - cut_y) * k.below +
           (n - cut_y) * (n - cut_x) * k.corner;
}

/* Products for a pair of channels, over all images. */
static inline int64_t winograd_products(const struct winograd_plan *p, int64_t images)
{
    return images * winograd_points(p->tile, p->tiles_y, p->tiles_x, p->cut_y, p->cut_x);
}

/* The layout of the transformed weights of N, which Winograd computes, forward or dgrad; their iv is the tile m. */
static inline enum layout winograd_layout(const struct node *n)
{
    if (n->op->direction == CONV_DGRAD) return LAYOUT_WINOGRAD_T;
    return node_ints(n, "stride")[0] == 2 ? LAYOUT_WINOGRAD_S : LAYOUT_WINOGRAD;
}

/* In a training step, weights change in every step. A split convolution N then reads packed weights and transforms
   those of some output blocks at a time, which the products find in the cache. */
static inline bool winograd_transforms(const struct node *n) { return n->in[1]->type.layout == LAYOUT_WEIGHT; }

/* Tiles of a task of the split transforms. */
static inline int64_t winograd_task(const struct winograd_plan *p)
{
    return max_i64(1, min_i64(div_up(p->block, WINOGRAD_MIN_TASKS), div_up(WINOGRAD_TASK_VECTORS, p->icb)));
}

/* Floats between points: an odd number of cache lines, so that the points of a tile use different sets of a cache. */
static inline int64_t winograd_point(int64_t vectors, int lanes) { return (vectors | 1) * lanes; }

static inline int64_t winograd_cut(int64_t size, int64_t m, int64_t stride)
{
    int64_t beyond = round_up(size, m) - size;
    return !beyond ? 0 : stride == 2 ? 1 + beyond : 1;
}

/* The plan for reading X and writing Y, both [N, C, H, W]. */
static inline struct winograd_plan winograd_plan(const struct type *x, const struct type *y, int64_t m, int64_t stride,
                                                 int lanes)
{
    struct winograd_plan p = {.m = m,
                              .stride = stride,
                              .tile = stride == 2 ? 2 * m + 1 : m + 2,
                              .tiles_y = div_up(y->dim[2], m),
                              .tiles_x = div_up(y->dim[3], m)};
    p.icb = div_up(x->dim[1], lanes);
    p.ocb = div_up(y->dim[1], lanes);
    p.ov = p.ocb % 2 == 0 ? 2 : p.ocb % 3 == 0 ? 3 : 1;
    int64_t registers = policy_registers(lanes), most = (registers - 1 - p.ov) / p.ov,
            tiles = p.tiles_y * p.tiles_x * x->dim[0], points = p.tile * p.tile;
    int64_t vector = points * p.icb * lanes * 4, weights = (m + 2) * (m + 2) * p.icb * p.ocb * lanes * lanes *
                                                           4; /* bytes of V for one tile, of the weights */
    /* fused: weights that stay in the cache can be read for every few tiles; larger weights should serve as many tiles
       as fit into V's space */
    int64_t want = weights <= WINOGRAD_L2 ? most : max_i64(most, WINOGRAD_V / vector);
    int64_t groups = max_i64(1, min_i64(div_up(want, most), div_up(tiles, most)));
    p.tw = min_i64(most, div_up(tiles, groups));
    p.block = groups * p.tw;
    p.blocks = div_up(tiles, p.block);
    p.wide = groups;
    /* split if there are too few blocks for all threads, or if the weights are too large to be read for every block */
    int64_t through = points * (p.icb + p.ocb) * lanes * 4 * tiles;
    p.split = p.blocks < WINOGRAD_TASKS || (weights > WINOGRAD_WEIGHTS && through <= WINOGRAD_WORKSPACE);
    if (p.split) {
        groups = div_up(tiles, most);
        p.block = tiles;
        p.blocks = 1;
        p.tw = div_up(tiles, groups);
        p.wide = groups - (groups * p.tw - tiles);
        p.cut_y = winograd_cut(y->dim[2], m, stride);
        p.cut_x = winograd_cut(y->dim[3], m, stride);
    }
    p.row = p.block + (p.cut_y || p.cut_x ? p.tw - 1 : 0);
    p.point_v = winograd_point(p.icb * p.row, lanes);
    p.point_m = winograd_point((p.split ? p.ocb : p.ov) * p.row, lanes);
    return p;
}

/* The number of output blocks whose weights are transformed at a time: whole register groups, in equal shares. */
static inline int64_t winograd_chunk(const struct winograd_plan *p, int lanes)
{
    int64_t groups = p->ocb / p->ov, bytes = p->tile * p->tile * p->icb * lanes * lanes * 4 * p->ov,
            chunk = max_i64(1, min_i64(groups, WINOGRAD_CHUNK / bytes));
    while (groups % chunk) chunk--;
    return chunk * p->ov;
}

/* Floats of the workspace: V, M, and a chunk of transformed weights, each at a whole number of lines. */
static inline int64_t winograd_v_floats(const struct winograd_plan *p) { return p->tile * p->tile * p->point_v; }
static inline int64_t winograd_m_floats(const struct winograd_plan *p) { return p->tile * p->tile * p->point_m; }
static inline int64_t winograd_chunk_floats(const struct winograd_plan *p, int lanes)
{
    return winograd_chunk(p, lanes) * p->tile * p->tile * p->icb * lanes * lanes;
}

#endif
