/* winograd_wgrad.h: how the gradient by the weights of a 3×3 convolution is cut up where F(m×m, 3×3) computes it
   (gen/winograd/winograd_wgrad.c has the formula): from shapes alone, as in kernel/winograd.h, and for the same
   reasons.

   A task owns ig input blocks × og output blocks of dw (or of a partial, where the tiles are shared out too). Fused, it
   walks over its blocks of tiles, transforms both operands into its worker's scratch, and adds (m+2)² products to sums
   in that scratch, which go back to 3×3 weights once, at the end. So nothing but x, dy and dw crosses the second-level
   cache. Transforming an operand again for two groups of the other's channels costs no more than writing it to memory
   and reading it back; for many of them it does. Split, both are transformed once, into the workspace, and a task goes
   point by point over its blocks of tiles. */
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

/* BLOCKS cut into groups of at most MOST, which is a multiple of UNIT, as is the result. */
static inline int64_t winograd_wgrad_group(int64_t blocks, int64_t most, int64_t unit)
{
    int64_t groups = div_up(blocks, max_i64(most, unit));
    return round_up(div_up(blocks, groups), unit);
}

/* Floats of a group of GROUP channel blocks from one point to the next. A line more than they are long, so that the
   points of a tile, which are stored together, do not all fall into the same few sets of the first-level cache. */
static inline int64_t winograd_wgrad_point(int64_t stored, int64_t group, int64_t block, int64_t lanes)
{
    return stored * group * block * lanes + WINOGRAD_WGRAD_LINE;
}

/* Floats of all groups of an operand, transformed; split. */
static inline int64_t winograd_wgrad_transformed(const struct winograd_wgrad_plan *p, int64_t groups, int64_t group,
                                                 int64_t lanes)
{
    return (p->m + 2) * (p->m + 2) * groups * winograd_wgrad_point(p->stored, group, p->block, lanes);
}

/* X [N, C, H, W], DY [N, O, H', W']; N is the capacity. */
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

/* Products for a pair of channels, over all images. */
static inline int64_t winograd_wgrad_products(const struct winograd_wgrad_plan *p, int64_t images)
{
    return images * winograd_points(p->m + 2, p->tiles_y, p->tiles_x, p->cut_y, p->cut_x);
}

/* Floats of the partials, with which it begins; 0 where there is one: it is dw itself. */
static inline int64_t winograd_wgrad_partials(const struct winograd_wgrad_plan *p, int64_t lanes)
{
    return p->partials > 1 ? p->partials * p->icb * p->ocb * lanes * lanes * 9 : 0;
}

/* Bytes: the partials, then V and D where they are split. */
static inline size_t winograd_wgrad_workspace(const struct winograd_wgrad_plan *p, int lanes)
{
    int64_t floats = winograd_wgrad_partials(p, lanes);
    if (p->split)
        floats += winograd_wgrad_transformed(p, p->igroups, p->ig, lanes) +
                  winograd_wgrad_transformed(p, p->ogroups, p->og, lanes);
    return (size_t)floats * sizeof(float);
}

#endif
