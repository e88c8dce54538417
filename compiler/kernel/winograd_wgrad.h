/* winograd_wgrad.h: the plan of a 3×3 convolution's weight gradient by F(m×m, 3×3); gen/winograd/winograd_wgrad.h has
   the formula. It depends on shapes alone, for the reasons in kernel/winograd.h. A task computes ig input blocks × og
   output blocks of dw, or of one partial of it.

   Fused: for each of its blocks of tiles, the task transforms both operands into the worker's scratch and adds (m+2)²
   products to sums in the scratch. At the end it transforms the sums to 3×3 weights, once. Only x, dy and dw pass
   through the second-level cache. An operand is transformed once for each group of the other operand's channels. With
   two groups that costs no more than storing and reading it; with many it does.

   Split: both operands are transformed once, into the workspace. A task then computes the products point by point over
   its blocks of tiles. */
#ifndef RNC_KERNEL_WINOGRAD_WGRAD_H
#define RNC_KERNEL_WINOGRAD_WGRAD_H

#include "base/checked.h"
#include "ir/graph.h"
#include "kernel/winograd.h"

struct winograd_wgrad_plan {
    int64_t m, tiles_y, tiles_x; /* tile of dy; tiles of an image */
    int64_t cut_y, cut_x; /* does the image cut the last row or column of tiles? See struct winograd_kinds, in whose
                             order all tiles are */
    int64_t icb, ocb;     /* channel blocks of x and dy */
    int64_t ci, ov;       /* register blocking: input channels × output vectors */
    int64_t ig, og;       /* input and output blocks of a task; og is a multiple of ov */
    int64_t igroups, ogroups;
    int64_t block;    /* tiles of a block */
    int64_t partials; /* block b of the tiles belongs to partial b % partials */
    bool split;       /* transformed operands go through the workspace */
    int64_t stored;   /* blocks of tiles that lie side by side: split all, else 1 */
};

/* The size of the groups that BLOCKS are divided into: at most MOST, a multiple of UNIT. MOST is a multiple of UNIT
   too. */
static inline int64_t winograd_wgrad_group(int64_t blocks, int64_t most, int64_t unit)
{
    int64_t groups = div_up(blocks, max_i64(most, unit));
    return round_up(div_up(blocks, groups), unit);
}

/* Floats between points of a group of GROUP channel blocks. One cache line is added, so that the points of a tile,
   which are stored together, use different sets of the first-level cache. */
static inline int64_t winograd_wgrad_point(int64_t stored, int64_t group, int64_t block, int64_t lanes)
{
    return stored * group * block * lanes + WINOGRAD_WGRAD_LINE;
}

/* Floats of all groups of a transformed operand (split). */
static inline int64_t winograd_wgrad_transformed(const struct winograd_wgrad_plan *p, int64_t groups, int64_t group,
                                                 int64_t lanes)
{
    return (p->m + 2) * (p->m + 2) * groups * winograd_wgrad_point(p->stored, group, p->block, lanes);
}

/* The plan for X [N, C, H, W] and DY [N, O, H', W']; N is the largest batch. */
static inline struct winograd_wgrad_plan winograd_wgrad_plan(const struct type *x, const struct type *dy, int64_t m,
                                                             int lanes)
{
    struct winograd_wgrad_plan p = {.m = m, .tiles_y = div_up(dy->dim[2], m), .tiles_x = div_up(dy->dim[3], m)};
    p.cut_y = winograd_cut(dy->dim[2], m, 1);
    p.cut_x = winograd_cut(dy->dim[3], m, 1);
    p.icb = div_up(x->dim[1], lanes);
    p.ocb = div_up(dy->dim[1], lanes);
    p.ov = p.ocb % 2 == 0 ? 2 : p.ocb % 3 == 0 ? 3 : 1;
    p.ci = p.ov == 1 ? lanes : max_i64(lanes / 2, min_i64(lanes, 4));
    int64_t most = WINOGRAD_WGRAD_CHANNELS / lanes, points = (m + 2) * (m + 2),
            tiles = x->dim[0] * p.tiles_y * p.tiles_x;
    p.ig = winograd_wgrad_group(p.icb, most, 1);
    p.og = winograd_wgrad_group(p.ocb, most - most % p.ov, p.ov);
    p.igroups = div_up(p.icb, p.ig);
    p.ogroups = div_up(p.ocb, p.og);
    bool again = p.icb * p.ogroups + p.ocb * p.igroups >= WINOGRAD_WGRAD_REPEATS * (p.icb + p.ocb);
    p.split = again && tiles * points * (p.icb + p.ocb) * lanes * 4 <= WINOGRAD_WGRAD_WORKSPACE;
    int64_t fit =
        p.split ? WINOGRAD_WGRAD_TILES : max_i64(1, WINOGRAD_WGRAD_BYTES / (points * (p.ig + p.og) * lanes * 4));
    int64_t blocks = div_up(tiles, min_i64(fit, WINOGRAD_WGRAD_TILES));
    p.partials = min_i64(min_i64(WINOGRAD_WGRAD_PARTIALS, tiles), div_up(WINOGRAD_WGRAD_TASKS, p.igroups * p.ogroups));
    p.block = div_up(tiles, round_up(blocks, p.partials));
    p.stored = p.split ? div_up(tiles, p.block) : 1;
    return p;
}

/* Products for one pair of channels, over all images. */
static inline int64_t winograd_wgrad_products(const struct winograd_wgrad_plan *p, int64_t images)
{
    return images * winograd_points(p->m + 2, p->tiles_y, p->tiles_x, p->cut_y, p->cut_x);
}

/* Floats of the partials, the first part of the workspace. 0 for one partial, which is dw itself. */
static inline int64_t winograd_wgrad_partials(const struct winograd_wgrad_plan *p, int64_t lanes)
{
    return p->partials > 1 ? p->partials * p->icb * p->ocb * lanes * lanes * 9 : 0;
}

/* Bytes of workspace: the partials, then V and D if split. */
static inline size_t winograd_wgrad_workspace(const struct winograd_wgrad_plan *p, int lanes)
{
    int64_t floats = winograd_wgrad_partials(p, lanes);
    if (p->split)
        floats += winograd_wgrad_transformed(p, p->igroups, p->ig, lanes) +
                  winograd_wgrad_transformed(p, p->ogroups, p->og, lanes);
    return (size_t)floats * sizeof(float);
}

#endif
