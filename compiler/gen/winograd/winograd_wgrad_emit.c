/* winograd_wgrad_emit.c: the code of a Winograd weight gradient (winograd_wgrad.h). */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/emit.h"
#include "gen/conv/segments.h"
#include "gen/winograd/winograd.h"
#include "gen/winograd/winograd_pre.h"
#include "gen/winograd/winograd_tiles.h"
#include "gen/winograd/winograd_wgrad.h"
#include "kernel/winograd_wgrad.h"
#include "runtime/rt/winograd.h"

enum {
    T = RNC_WINOGRAD_MAX,
    MAX_ACC = 48,
    MAX_OV = 4,
    LINE = WINOGRAD_WGRAD_LINE,
    AHEAD = 4 /* tiles, whose pixels a transform prefetches */
};

/* What a task works on: its groups, their first input block and first output block, dw of both; how many input blocks
   and groups of ov output blocks it has. */
struct task {
    V partial, igroup, ogroup, x, dy, dw, iblocks, units;
};

/* An operand: where its segments are. */
struct images {
    const struct conv_view *view;
    struct conv_segments segments;
    V base[MAX_SEGMENTS];
};

/* Of a block: x, dy, and what their prologues read. */
enum { MAX_READINGS = 2 + MAX_PRE * MAX_BODY_OPERANDS };

struct wino {
    struct emit *e;
    const struct winograd_wgrad_params *p;
    const struct rnc_winograd *w;
    int64_t points; /* (m + 2)² */
    struct images x, dy;
    V dw, operand[MAX_BODY_OPERANDS];
    struct winograd_tiles tiles;
    struct task task;
    V v, d, sums, zeros; /* scratch: [points][ig][block][v], [points][og][block][v], [points][og/ov][ig·v][ov][v], a row
                            of zero pixels; split: v and d in the workspace, [groups][points][stored][…][block][v] */
    V behind;            /* and a tile behind its prologue */
    V first, count;      /* the block's first tile and how many it has */
    V last;              /* is it the task's last block? */
    V next, next_x, next_dy; /* the next block's first tile, and the first input and output block of its task */
};

/* Floats from one point's part to the next. */
static int64_t v_stride(const struct winograd_wgrad_params *p, int64_t v)
{
    return winograd_wgrad_point(p->stored, p->ig, p->block, v);
}
static int64_t d_stride(const struct winograd_wgrad_params *p, int64_t v)
{
    return winograd_wgrad_point(p->stored, p->og, p->block, v);
}
static int64_t sum_stride(const struct winograd_wgrad_params *p, int64_t v) { return p->ig * p->og * v * v + LINE; }

static bool is_split(const struct winograd_wgrad_params *p) { return p->phase != WINOGRAD_WGRAD_FUSED; }

int64_t winograd_wgrad_scratch(const struct winograd_wgrad_params *p, int64_t v)
{
    int64_t tile = p->m + 2, points = tile * tile;
    int64_t behind = winograd_has_pre(&p->pre_x) || winograd_has_pre(&p->pre_dy) ? points * v : 0;
    int64_t operands = is_split(p) ? 0 : points * (v_stride(p, v) + d_stride(p, v));
    int64_t sums =
        p->phase == WINOGRAD_WGRAD_FUSED || p->phase == WINOGRAD_WGRAD_PRODUCT ? points * sum_stride(p, v) : 0;
    return operands + sums + tile * v + behind;
}

static bool has_cut(const struct winograd_wgrad_params *p) { return p->cut_y || p->cut_x; }

/* ---- operands */

/* SIZE² pixels from (y, x). Those outside the image are zeros: their rows are read from a row of zero pixels, their
   columns are left out by a mask (elsewhere than with AVX-512, where masked loads cost nothing, read from a zero pixel
   too). */
struct window {
    int64_t step;
    enum dtype dtype;
    V row[T], col[T];
    int size;
}; /* col: NULL where all columns are inside */

static bool masks_loads(const struct emit *e) { return (e->target->feature_bits & FEATURE_AVX512) != 0; }

static V inside(struct emit *e, V at, int64_t size) { return e_cmp(e, LLVMIntULT, at, e_int(e, size)); }

static struct window window_of(struct wino *c, V image, const struct conv_view *view, V y, V x, int64_t h, int64_t w,
                               int size)
{
    struct emit *e = c->e;
    enum dtype dt = conv_view_dtype(view);
    struct window r = {.step = view->w, .dtype = dt, .size = size};
    V corner = e_at_d(e, dt, image, e_add(e, e_muli(e, y, view->h), e_muli(e, x, view->w)));
    LLVMTypeRef lanes = LLVMIntTypeInContext(e->cx, (unsigned)e->v);
    for (int i = 0; i < size; i++) {
        r.row[i] = e_select(e, inside(e, e_addi(e, y, i), h), e_ati_d(e, dt, corner, i * view->h), c->zeros);
        r.col[i] = inside(e, e_addi(e, x, i), w);
        if (masks_loads(e)) r.col[i] = LLVMBuildBitCast(e->b, LLVMBuildSExt(e->b, r.col[i], lanes, ""), e->vi1, "");
    }
    return r;
}

/* SIZE² pixels that lie together at FROM. */
static struct window window_behind(struct wino *c, V from, int size)
{
    struct window r = {.step = c->e->v, .dtype = DT_F32, .size = size};
    for (int i = 0; i < size; i++) r.row[i] = e_ati(c->e, from, (int64_t)i * size * c->e->v);
    return r;
}

/* Column J of the window. */
static void load_column(struct wino *c, const struct window *w, int j, V *out)
{
    struct emit *e = c->e;
    for (int i = 0; i < w->size; i++) {
        enum dtype dt = w->dtype;
        V at = e_ati_d(e, dt, w->row[i], j * w->step);
        if (!w->col[j]) out[i] = e_load_vd(e, dt, at);
        else
            out[i] = masks_loads(e) ? e_load_where(e, dt, at, w->col[j])
                                    : e_load_vd(e, dt, e_select(e, w->col[j], at, c->zeros));
    }
}

/* Lines that go to the workspace whole go past the caches: there are too many places at a time for the caches to read
   them first. */
static bool streams(const struct wino *c) { return is_split(c->p) && c->e->v == LINE; }

typedef void transform_fn(struct emit *e, const struct rnc_winograd *w, const V *from, V *out);

/* Rows and columns of the window through F; point (i, j) goes to DST + (i·tile + j)·STRIDE. */
static void transform(struct wino *c, const struct window *from, transform_fn *f, V dst, int64_t stride)
{
    struct emit *e = c->e;
    int tile = c->w->tile;
    V t[T][T], row[T];
    for (int j = 0; j < from->size; j++) {
        V d[T], column[T];
        load_column(c, from, j, d);
        f(e, c->w, d, column);
        for (int i = 0; i < tile; i++) t[i][j] = column[i];
    }
    for (int i = 0; i < tile; i++) {
        f(e, c->w, t[i], row);
        for (int j = 0; j < tile; j++) {
            V at = e_ati(e, dst, (i * tile + j) * stride);
            if (streams(c)) e_stream_va(e, row[j], at);
            else e_store_va(e, row[j], at);
        }
    }
}

struct operand {
    const struct images *from;
    V first, blocks, dst;
    int64_t channels, h, w, pad_top, pad_left, stride;
    int size;
    transform_fn *transform;
    const struct gen_body *pre;
};

/* The window of tile TILE of channel block BLOCK of all, which lies at PLANE, as the transform reads it. */
static struct window window_at(struct wino *c, const struct operand *o, const struct segments_plane *plane,
                               const struct winograd_pre *pre, V block, V tile)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    const struct conv_view *view = o->from->view;
    struct tile_place at = winograd_tile_place(e, &c->tiles, tile);
    V n = at.n, y = e_addi(e, e_muli(e, at.ty, p->m), -o->pad_top), x = e_addi(e, e_muli(e, at.tx, p->m), -o->pad_left);
    if (!winograd_has_pre(o->pre)) {
        V image = e_at_d(e, conv_view_dtype(view), plane->at, e_mul(e, n, plane->n));
        return window_of(c, image, view, y, x, o->h, o->w, o->size);
    }
    struct winograd_tile t = {.offset = e_add(e, e_muli(e, n, view->n), e_muli(e, block, view->cb)),
                              .y = y,
                              .x = x,
                              .h = o->h,
                              .w = o->w,
                              .size = o->size};
    winograd_pre_tile(e, pre, o->from->base[0], view, &t, c->behind);
    return window_behind(c, c->behind, o->size);
}

/* Prefetches COLS pixels from (y, x) on of image N of the plane, which holds DT numbers. */
static void prefetch_row(struct emit *e, const struct segments_plane *plane, const struct conv_view *view,
                         enum dtype dt, V n, V y, V x, int64_t cols)
{
    int64_t line = LINE * 4 / (int64_t)dtype_bytes(dt);
    V at = e_at_d(e, dt, plane->at,
                  e_add(e, e_mul(e, n, plane->n), e_add(e, e_muli(e, y, view->h), e_muli(e, x, view->w))));
    for (int64_t j = 0; j < cols * e->v; j += line) e_prefetch(e, e_ati_d(e, dt, at, j));
}

/* Prefetches the window of tile TILE, which comes soon. */
static void prefetch_window(struct wino *c, const struct operand *o, const struct segments_plane *plane, V tile)
{
    struct emit *e = c->e;
    const struct conv_view *view = o->from->view;
    struct tile_place at = winograd_tile_place(e, &c->tiles, tile);
    V y = e_addi(e, e_muli(e, at.ty, c->p->m), -o->pad_top), x = e_addi(e, e_muli(e, at.tx, c->p->m), -o->pad_left);
    for (int64_t i = 0; i < o->size; i++)
        prefetch_row(e, plane, view, conv_view_dtype(view), at.n, e_addi(e, y, i), x, o->size);
}

/* The operand's channel blocks, all tiles of the block. */
static void transform_operand(struct wino *c, const struct operand *o)
{
    struct emit *e = c->e;
    struct winograd_pre pre;
    struct loop blocks, tiles;
    loop_begin_once(e, &blocks, e_int(e, 0), o->blocks, 1, 0, NULL);
    V block = e_add(e, o->first, blocks.iv), dst = e_at(e, o->dst, e_muli(e, blocks.iv, c->p->block * e->v));
    struct segments_plane plane = segments_plane(e, &o->from->segments, o->from->view, o->from->base, block);
    if (winograd_has_pre(o->pre)) winograd_pre_begin(e, &pre, o->pre, c->operand, o->channels, block);
    loop_begin(e, &tiles, e_int(e, 0), c->count, 1, 0, NULL);
    if (is_split(c->p)) prefetch_window(c, o, &plane, e_add(e, c->first, e_addi(e, tiles.iv, AHEAD)));
    struct window from = window_at(c, o, &plane, &pre, block, e_add(e, c->first, tiles.iv));
    transform(c, &from, o->transform, e_at(e, dst, e_muli(e, tiles.iv, e->v)), o->stride);
    loop_end(e, &tiles, NULL);
    loop_end(e, &blocks, NULL);
}

static struct operand operand_x(const struct wino *c)
{
    const struct winograd_wgrad_params *p = c->p;
    return (struct operand){
        .from = &c->x,
        .first = c->task.x,
        .blocks = c->task.iblocks,
        .dst = c->v,
        .channels = p->ic,
        .h = p->ih,
        .w = p->iw,
        .pad_top = p->pad_top,
        .pad_left = p->pad_left,
        .stride = v_stride(p, c->e->v),
        .size = c->w->tile,
        .transform = winograd_input_1d,
        .pre = &p->pre_x,
    };
}

static struct operand operand_dy(const struct wino *c)
{
    const struct winograd_wgrad_params *p = c->p;
    return (struct operand){
        .from = &c->dy,
        .first = c->task.dy,
        .dst = c->d,
        .channels = p->oc,
        .h = p->oh,
        .w = p->ow,
        .stride = d_stride(p, c->e->v),
        .size = c->w->m,
        .transform = winograd_gradient_1d,
        .pre = &p->pre_dy,
    };
}

static void transform_operands(struct wino *c)
{
    struct operand x = operand_x(c), dy = operand_dy(c);
    dy.blocks = e_muli(c->e, c->task.units, c->p->ov);
    transform_operand(c, &x);
    transform_operand(c, &dy);
}

/* Split: task NUMBER is a channel block of a block of tiles. GROUP: channel blocks of a group. */
static void transform_task(struct wino *c, struct operand *o, int64_t group, V number, V tiles)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    V nth = e_remi(e, number, p->stored);
    o->first = e_divi(e, number, p->stored);
    o->blocks = e_int(e, 1);
    c->first = e_muli(e, nth, p->block);
    c->count = e_min(e, e_int(e, p->block), e_sub(e, tiles, c->first));
    V place = e_add(e, e_muli(e, nth, group), e_remi(e, o->first, group));
    o->dst =
        e_at(e, o->dst,
             e_add(e, e_muli(e, e_divi(e, o->first, group), c->points * o->stride), e_muli(e, place, p->block * e->v)));
    transform_operand(c, o);
}

/* ---- products */

/* SUMS[ci][ov] += ACC, or = in a task's first block: what is in the scratch then is another task's. */
static void add_to_sums(struct wino *c, const V *acc, V sums, V fresh, int nacc)
{
    struct emit *e = c->e;
    struct branch f;
    if_begin(e, &f, fresh);
    for (int i = 0; i < nacc; i++) e_store_va(e, acc[i], e_ati(e, sums, i * e->v));
    if_else(e, &f);
    for (int i = 0; i < nacc; i++) {
        V at = e_ati(e, sums, i * e->v);
        e_store_va(e, e_fadd(e, acc[i], e_load_va(e, at)), at);
    }
    if_end(e, &f);
}

/* Σ tiles of the block in RANGE V · D in registers. A block's sum starts from zero: one chain over all tiles would
   round off three times as much. */
static void product(struct wino *c, const struct tile_range *range, V v, V d, V sums, V fresh)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int nacc = (int)(p->ci * p->ov);
    V acc[MAX_ACC];
    struct loop tiles;
    assert(p->ov <= MAX_OV && nacc <= MAX_ACC);
    for (int i = 0; i < nacc; i++) acc[i] = e_zero(e);
    if (has_cut(p)) loop_begin(e, &tiles, range->from, range->to, 1, nacc, acc);
    else loop_begin_once(e, &tiles, range->from, range->to, 1, nacc, acc);
    V at = e_muli(e, tiles.iv, e->v), vt = e_at(e, v, at), dt = e_at(e, d, at), g[MAX_OV];
    for (int64_t o = 0; o < p->ov; o++) g[o] = e_load_va(e, e_ati(e, dt, o * p->block * e->v));
    for (int64_t i = 0; i < p->ci; i++) {
        V s = e_splat(e, e_load(e, e_ati(e, vt, i)));
        for (int64_t o = 0; o < p->ov; o++) acc[i * p->ov + o] = e_fma(e, s, g[o], tiles.phi[i * p->ov + o]);
    }
    loop_end(e, &tiles, acc);
    add_to_sums(c, tiles.out, sums, fresh, nacc);
}

/* What the next block reads: ITEMS tiles from channel block FIRST on of an operand, or of what a prologue reads beside
   it. */
struct reading {
    struct images from;
    V first, items;
    enum dtype dtype;
};

/* Prefetches row ROW of the m² pixels of item ITEM of the source's channel blocks × tiles. */
static void prefetch_pixels(struct wino *c, const struct reading *s, V item, V row)
{
    const struct conv_view *view = s->from.view;
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    struct tile_place tile = winograd_tile_place(e, &c->tiles, e_add(e, c->next, e_remi(e, item, p->block)));
    V y = e_add(e, e_muli(e, tile.ty, p->m), row), x = e_muli(e, tile.tx, p->m);
    enum dtype dt = s->dtype;
    struct conv_view own = *view;
    own.dtype = dt;
    struct segments_plane plane =
        segments_plane(e, &s->from.segments, &own, s->from.base, e_add(e, s->first, e_divi(e, item, p->block)));
    prefetch_row(e, &plane, view, dt, tile.n, y, x, p->m);
}

static int add_sources(struct wino *c, struct reading *to, int count, const struct images *from, V first, V items,
                       const struct gen_body *pre)
{
    to[count++] = (struct reading){*from, first, items, conv_view_dtype(from->view)};
    for (int k = 0; k < pre->noperands; k++) {
        if (pre->operand[k].shape != OPERAND_FULL) continue;
        struct images beside = {.view = from->view,
                                .segments = {.count = 1, .n = {from->view->n}},
                                .base = {c->operand[k]}};
        to[count++] = (struct reading){beside, first, items, (enum dtype)pre->operand[k].dtype};
    }
    return count;
}

/* Prefetches row ROW of item ITEM, counted from the first of the SOURCES. */
static void prefetch_item(struct wino *c, const struct reading *sources, int count, V item, V row)
{
    struct emit *e = c->e;
    struct branch f;
    if_begin(e, &f, e_cmp(e, LLVMIntSLT, item, sources->items));
    prefetch_pixels(c, sources, item, row);
    if (count > 1) {
        if_else(e, &f);
        prefetch_item(c, sources + 1, count - 1, e_sub(e, item, sources->items), row);
    }
    if_end(e, &f);
}

static int64_t full_operands(const struct gen_body *b)
{
    int64_t count = 0;
    for (int k = 0; k < b->noperands; k++) count += b->operand[k].shape == OPERAND_FULL;
    return count;
}

/* Before product number NUMBER of the block: the pixels come from the outer caches while the products keep the
   multipliers busy, a row of a tile at a time, over as many of the products as there are rows for. */
static void prefetch_next(struct wino *c, V number)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    struct reading sources[MAX_READINGS];
    int64_t products = c->points * p->og / p->ov * p->ig * (e->v / p->ci);
    int64_t items = (p->ig * (1 + full_operands(&p->pre_x)) + p->og * (1 + full_operands(&p->pre_dy))) * p->block,
            each = div_up(items * p->m, products);
    int count = add_sources(c, sources, 0, &c->x, c->next_x, e_muli(e, c->task.iblocks, p->block), &p->pre_x);
    count = add_sources(c, sources, count, &c->dy, c->next_dy, e_muli(e, c->task.units, p->ov * p->block), &p->pre_dy);
    for (int64_t k = 0; k < each; k++) {
        V row = e_addi(e, e_muli(e, number, each), k);
        prefetch_item(c, sources, count, e_divi(e, row, p->m), e_remi(e, row, p->m));
    }
}

/* In a task's last block: a part of the lines of DW, which all OV blocks' products together prefetch. PART: of the
   parts. */
static void prefetch_weights(struct wino *c, V dw, V part)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t block = 9 * (int64_t)e->v * e->v, parts = c->points * (e->v / p->ci),
            floats = div_up(block / LINE, parts) * LINE;
    struct branch f;
    if_begin(e, &f, c->last);
    for (int64_t o = 0; o < p->ov; o++)
        for (int64_t i = 0; i < floats; i += LINE)
            e_prefetch_write(e, e_at(e, dw, e_addi(e, e_muli(e, part, floats), o * p->icb * block + i)));
    if_end(e, &f);
}

/* The block's tiles that POINT is for. */
static struct tile_range range_of(struct wino *c, V point)
{
    struct emit *e = c->e;
    if (!has_cut(c->p)) return (struct tile_range){.from = e_int(e, 0), .to = c->count};
    struct tile_range r = winograd_tile_range(e, &c->tiles, c->w->tile, point, e_add(e, c->first, c->count));
    r.from = e_max(e, e_sub(e, r.from, c->first), e_int(e, 0));
    r.to = e_min(e, e_sub(e, r.to, c->first), c->count);
    return r;
}

/* Split: what follows in V and D is prefetched by the products before it. NUMBER: of the point's and block's. */
static void prefetch_stored(struct wino *c, V next_v, V next_d, V number)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t products = p->og / p->ov * p->ig * (e->v / p->ci), row = p->block * e->v;
    struct {
        V from;
        int64_t floats;
    } part[] = {{next_v, p->ig * row}, {next_d, p->og * row}};
    for (int k = 0; k < 2; k++) {
        int64_t each = div_up(part[k].floats, LINE * products) * LINE;
        V at = e_at(e, part[k].from, e_muli(e, number, each));
        for (int64_t i = 0; i < each; i += LINE) e_prefetch(e, e_ati(e, at, i));
    }
}

/* Where a point's parts of V and D begin, and those that are needed next. */
struct point_parts {
    V v, d, next_v, next_d;
};

/* All products of POINT for the block's tiles. NUMBER: how many came before; returns how many there are then. */
static V point_products(struct wino *c, V point, const struct point_parts *at, V number, V fresh)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t row = p->block * e->v, unit_sums = p->ig * e->v * p->ov * e->v;
    struct loop units, blocks, chans;
    V sums0 = e_at(e, c->sums, e_muli(e, point, sum_stride(p, e->v)));
    struct tile_range range = range_of(c, point);
    V any = LLVMBuildOr(e->b, fresh, e_cmp(e, LLVMIntSLT, range.from, range.to),
                        ""); /* sums that are new become zero at least */
    loop_begin_once(e, &units, e_int(e, 0), c->task.units, 1, 1, &number);
    V d = e_at(e, at->d, e_muli(e, units.iv, p->ov * row)), sums1 = e_at(e, sums0, e_muli(e, units.iv, unit_sums));
    loop_begin_once(e, &blocks, e_int(e, 0), c->task.iblocks, 1, 1, units.phi);
    V v1 = e_at(e, at->v, e_muli(e, blocks.iv, row)), sums2 = e_at(e, sums1, e_muli(e, blocks.iv, e->v * p->ov * e->v));
    loop_begin_once(e, &chans, e_int(e, 0), e_int(e, e->v), p->ci, 1, blocks.phi);
    if (is_split(p)) prefetch_stored(c, at->next_v, at->next_d, chans.phi[0]);
    else prefetch_next(c, chans.phi[0]);
    V dw = e_at(e, c->task.dw,
                e_muli(e, e_add(e, e_muli(e, units.iv, p->ov * p->icb), blocks.iv), 9 * (int64_t)e->v * e->v));
    prefetch_weights(c, dw, e_add(e, e_muli(e, point, e->v / p->ci), e_divi(e, chans.iv, p->ci)));
    struct branch f;
    if (has_cut(p)) if_begin(e, &f, any);
    product(c, &range, e_at(e, v1, chans.iv), d, e_at(e, sums2, e_muli(e, chans.iv, p->ov * e->v)), fresh);
    if (has_cut(p)) if_end(e, &f);
    number = e_addi(e, chans.phi[0], 1);
    loop_end(e, &chans, &number);
    loop_end(e, &blocks, chans.out);
    loop_end(e, &units, blocks.out);
    return units.out[0];
}

/* Fused: all points of the block. */
static void products(struct wino *c, V fresh)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    struct loop points;
    V number = e_int(e, 0);
    loop_begin_once(e, &points, e_int(e, 0), e_int(e, c->points), 1, 1, &number);
    struct point_parts at = {.v = e_at(e, c->v, e_muli(e, points.iv, v_stride(p, e->v))),
                             .d = e_at(e, c->d, e_muli(e, points.iv, d_stride(p, e->v)))};
    number = point_products(c, points.iv, &at, points.phi[0], fresh);
    loop_end(e, &points, &number);
}

/* ---- the way back to 3×3 weights */

/* One input channel, one output vector: Gᵀ S G to dw[tap]. */
static void weights_back(struct wino *c, V sums, V dw)
{
    struct emit *e = c->e;
    int tile = c->w->tile;
    int64_t point = sum_stride(c->p, e->v);
    V t[3][T];
    for (int j = 0; j < tile; j++) {
        V s[T], column[3];
        for (int i = 0; i < tile; i++) s[i] = e_load_va(e, e_ati(e, sums, (i * tile + j) * point));
        winograd_weight_back_1d(e, c->w, s, column);
        for (int i = 0; i < 3; i++) t[i][j] = column[i];
    }
    for (int i = 0; i < 3; i++) {
        V row[3];
        winograd_weight_back_1d(e, c->w, t[i], row);
        for (int j = 0; j < 3; j++) e_store_va(e, row[j], e_ati(e, dw, (i * 3 + j) * e->v * e->v));
    }
}

/* All of the task's dw: from the sums, or zeros where the partial has no tiles. */
static void store_weights(struct wino *c, V none)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t block = 9 * (int64_t)e->v * e->v, unit_sums = p->ig * e->v * p->ov * e->v;
    struct loop outs, blocks, chans, taps;
    loop_begin_once(e, &outs, e_int(e, 0), e_muli(e, c->task.units, p->ov), 1, 0, NULL);
    V sums0 =
        e_at(e, c->sums,
             e_add(e, e_muli(e, e_divi(e, outs.iv, p->ov), unit_sums), e_muli(e, e_remi(e, outs.iv, p->ov), e->v)));
    V dw0 = e_at(e, c->task.dw, e_muli(e, outs.iv, p->icb * block));
    loop_begin_once(e, &blocks, e_int(e, 0), c->task.iblocks, 1, 0, NULL);
    V sums1 = e_at(e, sums0, e_muli(e, blocks.iv, e->v * p->ov * e->v)),
      dw1 = e_at(e, dw0, e_muli(e, blocks.iv, block));
    loop_begin_once(e, &chans, e_int(e, 0), e_int(e, e->v), 1, 0, NULL);
    V dw = e_at(e, dw1, e_muli(e, chans.iv, e->v));
    struct branch f;
    if_begin(e, &f, none);
    loop_begin_once(e, &taps, e_int(e, 0), e_int(e, 9), 1, 0, NULL);
    e_store_va(e, e_zero(e), e_at(e, dw, e_muli(e, taps.iv, (int64_t)e->v * e->v)));
    loop_end(e, &taps, NULL);
    if_else(e, &f);
    weights_back(c, e_at(e, sums1, e_muli(e, chans.iv, p->ov * e->v)), dw);
    if_end(e, &f);
    loop_end(e, &chans, NULL);
    loop_end(e, &blocks, NULL);
    loop_end(e, &outs, NULL);
}

/* ---- the kernel */

static void open_scratch(struct wino *c)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    c->zeros = e->scratch;
    c->behind = e_ati(e, c->zeros, c->w->tile * e->v);
    c->v = is_split(p) ? e_arg(e, 3)
                       : e_ati(e, c->behind,
                               winograd_has_pre(&p->pre_x) || winograd_has_pre(&p->pre_dy) ? c->points * e->v : 0);
    c->d = is_split(p) ? e_arg(e, 4) : e_ati(e, c->v, c->points * v_stride(p, e->v));
    c->sums = is_split(p) ? c->behind : e_ati(e, c->d, c->points * d_stride(p, e->v));
    for (int i = 0; i < c->w->tile; i++) e_store_va(e, e_zero(e), e_ati(e, c->zeros, i * e->v));
}

static struct task task_of(struct wino *c, V number)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t units = p->og / p->ov, block = 9 * (int64_t)e->v * e->v;
    V igroup = e_remi(e, number, p->igroups), outer = e_divi(e, number, p->igroups),
      ogroup = e_remi(e, outer, p->ogroups);
    V ib = e_muli(e, igroup, p->ig), ob = e_muli(e, ogroup, p->og);
    struct task r = {.partial = e_divi(e, outer, p->ogroups), .igroup = igroup, .ogroup = ogroup, .x = ib, .dy = ob};
    r.dw =
        e_at(e, c->dw,
             e_add(e, e_muli(e, r.partial, p->partial_floats), e_muli(e, e_add(e, e_muli(e, ob, p->icb), ib), block)));
    r.iblocks = e_min(e, e_int(e, p->ig), e_sub(e, e_int(e, p->icb), ib));
    r.units = e_min(e, e_int(e, units), e_sub(e, e_int(e, p->ocb / p->ov), e_muli(e, ogroup, units)));
    return r;
}

/* The block of tiles from FIRST on. Returns its partial's next one's first tile. */
static V open_block(struct wino *c, V first, V tiles)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    V next = e_addi(e, first, p->partials * p->block);
    c->first = first;
    c->count = e_min(e, e_int(e, p->block), e_sub(e, tiles, first));
    c->last = e_cmp(e, LLVMIntSGE, next, tiles);
    return next;
}

/* Every tile of the real samples that belongs to task NUMBER. */
static void task_fused(struct wino *c, V number, V tiles)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    c->task = task_of(c, number);
    struct task following = task_of(c, e_addi(e, number, 1)); /* which may be another worker's */
    struct loop blocks;
    V start = e_muli(e, c->task.partial, p->block), then = e_muli(e, following.partial, p->block);
    loop_begin(e, &blocks, start, tiles, p->partials * p->block, 0, NULL);
    c->next = open_block(c, blocks.iv, tiles);
    c->next = e_select(e, c->last, then, c->next);
    c->next_x = e_select(e, c->last, following.x, c->task.x);
    c->next_dy = e_select(e, c->last, following.dy, c->task.dy);
    transform_operands(c);
    products(c, e_cmp(e, LLVMIntEQ, c->first, start));
    loop_end(e, &blocks, NULL);
    store_weights(c, e_cmp(e, LLVMIntSGE, start, tiles));
}

/* The same from V and D in the workspace: point by point, whose sums stay in the first-level cache. */
static void task_split(struct wino *c, V number, V tiles)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    c->task = task_of(c, number);
    int64_t row = p->block * e->v;
    struct loop points, blocks;
    V start = e_muli(e, c->task.partial, p->block);
    V v = e_at(e, c->v, e_muli(e, c->task.igroup, c->points * v_stride(p, e->v))),
      d = e_at(e, c->d, e_muli(e, c->task.ogroup, c->points * d_stride(p, e->v)));
    loop_begin_once(e, &points, e_int(e, 0), e_int(e, c->points), 1, 0, NULL);
    V v0 = e_at(e, v, e_muli(e, points.iv, v_stride(p, e->v))),
      d0 = e_at(e, d, e_muli(e, points.iv, d_stride(p, e->v)));
    loop_begin(e, &blocks, start, tiles, p->partials * p->block, 0, NULL);
    V next = open_block(c, blocks.iv, tiles), nth = e_divi(e, c->first, p->block);
    V next_point = e_select(e, c->last, e_int(e, 1), e_int(e, 0)),
      next_nth = e_select(e, c->last, c->task.partial, e_divi(e, next, p->block));
    struct point_parts at = {
        .v = e_at(e, v0, e_muli(e, nth, p->ig * row)),
        .d = e_at(e, d0, e_muli(e, nth, p->og * row)),
        .next_v = e_at(e, v0, e_add(e, e_muli(e, next_point, v_stride(p, e->v)), e_muli(e, next_nth, p->ig * row))),
        .next_d = e_at(e, d0, e_add(e, e_muli(e, next_point, d_stride(p, e->v)), e_muli(e, next_nth, p->og * row))),
    };
    V fresh =
        p->stored <= p->partials ? e_cmp(e, LLVMIntEQ, e_int(e, 0), e_int(e, 0)) : e_cmp(e, LLVMIntEQ, c->first, start);
    point_products(c, points.iv, &at, e_int(e, 0), fresh);
    loop_end(e, &blocks, NULL);
    loop_end(e, &points, NULL);
    store_weights(c, e_cmp(e, LLVMIntSGE, start, tiles));
}

static void emit_task(struct wino *c, V number, V tiles)
{
    struct operand x = operand_x(c), dy = operand_dy(c);
    switch ((enum winograd_wgrad_phase)c->p->phase) {
    case WINOGRAD_WGRAD_FUSED: task_fused(c, number, tiles); break;
    case WINOGRAD_WGRAD_X: transform_task(c, &x, c->p->ig, number, tiles); break;
    case WINOGRAD_WGRAD_DY: transform_task(c, &dy, c->p->og, number, tiles); break;
    case WINOGRAD_WGRAD_PRODUCT: task_split(c, number, tiles); break;
    }
}

void winograd_wgrad_emit(struct emit *e, const void *params)
{
    struct wino c = {.e = e, .p = params};
    const struct winograd_wgrad_params *p = c.p;
    c.w = rnc_winograd_of((int)p->m, 1);
    c.points = c.w->tile * c.w->tile;
    c.x = (struct images){.view = &p->x, .segments = p->segments};
    c.dy = (struct images){.view = &p->dy, .segments = {.count = 1, .n = {p->dy.n}}};
    int operands = winograd_wgrad_operands(p);
    for (int k = 0; k < operands; k++) c.operand[k] = e_arg(e, WINOGRAD_WGRAD_OPERANDS + k);
    segments_load(e, &c.x.segments, 0, WINOGRAD_WGRAD_OPERANDS + operands, c.x.base);
    segments_load(e, &c.dy.segments, 1, 0, c.dy.base);
    c.dw = e_arg(e, 2);
    c.tiles = winograd_tiles_begin(e, p->tiles_y, p->tiles_x, p->cut_y, p->cut_x);
    V tiles = e_muli(e, e_run_n(e), p->tiles_y * p->tiles_x);
    struct loop tasks;
    open_scratch(&c);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    emit_task(&c, tasks.iv, tiles);
    loop_end(e, &tasks, NULL);
    if (streams(&c)) e_stream_end(e);
}
