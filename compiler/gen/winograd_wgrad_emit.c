/* winograd_wgrad_emit.c: the code of a Winograd weight gradient (winograd_wgrad.h). */
#include <string.h>
#include "gen/emit.h"
#include "gen/winograd.h"
#include "gen/winograd_wgrad.h"
#include "runtime/winograd.h"

enum { T = RNC_WINOGRAD_MAX, MAX_ACC = 48, MAX_OV = 4 };

struct wino {
    struct emit *e;
    const struct winograd_wgrad_params *p;
    const struct rnc_winograd *w;
    int64_t points;           /* (m + 2)² */
    V x, dy, dw;              /* of the piece's first input block; output block; both */
    V iblocks, units;         /* how many input blocks and groups of ov output blocks the piece has */
    V v, d, sums, zeros;      /* scratch: [points][ig][block][v], [points][og][block][v], [points][og/ov][ig·v][ov][v], a row of zero pixels */
    V first, count;           /* the block's first tile and how many it has */
};

static int64_t tile_of(const struct winograd_wgrad_params *p) { return p->m + 2; }
static int64_t v_floats(const struct winograd_wgrad_params *p, int64_t v) { return tile_of(p) * tile_of(p) * p->ig * p->block * v; }
static int64_t d_floats(const struct winograd_wgrad_params *p, int64_t v) { return tile_of(p) * tile_of(p) * p->og * p->block * v; }
static int64_t sum_floats(const struct winograd_wgrad_params *p, int64_t v) { return tile_of(p) * tile_of(p) * p->ig * p->og * v * v; }

int64_t winograd_wgrad_scratch(const struct winograd_wgrad_params *p, int64_t v)
{
    return v_floats(p, v) + d_floats(p, v) + sum_floats(p, v) + tile_of(p) * v;
}

/* ---- one-dimensional transforms that only the gradient has */

static V times(struct emit *e, V x, double c) { return c == 1 ? x : e_fmul(e, x, e_splatc(e, c)); }
static V add_times(struct emit *e, V sum, double c, V x) { return c == 1 ? e_fadd(e, sum, x) : e_fma(e, x, e_splatc(e, c), sum); }

/* A: m values of dY become m + 2. For the points ±a the odd part is a times Σ a^(r−1) d[r], added once and subtracted once. */
static void gradient_1d(struct emit *e, const struct rnc_winograd *w, const V *d, V *out)
{
    int last = w->tile - 1;
    out[0] = d[0];
    out[last] = d[w->m - 1];
    for (int k = 1; k < last; k += 2) {
        double a = w->at[1][k];
        V even = d[0], odd = d[1];
        for (int r = 2; r < w->m; r++) {
            if (r % 2) odd = add_times(e, odd, w->at[r][k] / a, d[r]);
            else even = add_times(e, even, w->at[r][k], d[r]);
        }
        out[k] = add_times(e, even, a, odd);
        out[k + 1] = a == 1 ? e_fsub(e, even, odd) : add_times(e, even, -a, odd);
    }
}

/* Gᵀ: m + 2 values become three. The rows of G for ±a agree in their first and last number and differ in the sign of the middle one. */
static void weight_back_1d(struct emit *e, const struct rnc_winograd *w, const V *s, V *out)
{
    int last = w->tile - 1;
    out[0] = times(e, s[0], w->g[0][0]);
    out[1] = NULL;
    out[2] = s[last];
    for (int k = 1; k < last; k += 2) {
        V sum = e_fadd(e, s[k], s[k + 1]), difference = e_fsub(e, s[k], s[k + 1]);
        out[0] = add_times(e, out[0], w->g[k][0], sum);
        out[1] = out[1] ? add_times(e, out[1], w->g[k][1], difference) : times(e, difference, w->g[k][1]);
        out[2] = add_times(e, out[2], w->g[k][2], sum);
    }
}

/* ---- operands: pixels outside the image are read from a row of zeros */

struct window { const struct conv_view *view; V corner, row[T], col[T]; int size; }; /* row, col: inside the image? */

static V inside(struct emit *e, V at, int64_t size) { return e_cmp(e, LLVMIntULT, at, e_int(e, size)); }

static struct window window_of(struct wino *c, V image, const struct conv_view *view, V n, V y, V x, int64_t h, int64_t w, int size)
{
    struct emit *e = c->e;
    struct window r = {.view = view, .size = size};
    r.corner = e_at(e, image, e_add(e, e_muli(e, n, view->n), e_add(e, e_muli(e, y, view->h), e_muli(e, x, view->w))));
    for (int i = 0; i < size; i++) {
        r.row[i] = inside(e, e_addi(e, y, i), h);
        r.col[i] = inside(e, e_addi(e, x, i), w);
    }
    return r;
}

/* Column J of the window. */
static void load_column(struct wino *c, const struct window *w, int j, V *out)
{
    struct emit *e = c->e;
    for (int i = 0; i < w->size; i++) {
        V row = e_select(e, w->row[i], e_ati(e, w->corner, i * w->view->h), c->zeros);
        out[i] = e_load_va(e, e_select(e, w->col[j], e_ati(e, row, j * w->view->w), c->zeros));
    }
}

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
        for (int j = 0; j < tile; j++) e_store_va(e, row[j], e_ati(e, dst, (i * tile + j) * stride));
    }
}

struct operand { V image, blocks, dst; const struct conv_view *view; int64_t h, w, pad_top, pad_left, group; int size; transform_fn *transform; };

/* All channel blocks of the piece, all tiles of the block. */
static void transform_operand(struct wino *c, const struct operand *o)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    struct loop blocks, tiles;
    loop_begin_once(e, &blocks, e_int(e, 0), o->blocks, 1, 0, NULL);
    V image = e_at(e, o->image, e_muli(e, blocks.iv, o->view->cb)), dst = e_at(e, o->dst, e_muli(e, blocks.iv, p->block * e->v));
    loop_begin_once(e, &tiles, e_int(e, 0), c->count, 1, 0, NULL);
    V tile = e_add(e, c->first, tiles.iv), in_image = e_remi(e, tile, p->tiles_y * p->tiles_x);
    V y = e_addi(e, e_muli(e, e_divi(e, in_image, p->tiles_x), p->m), -o->pad_top), x = e_addi(e, e_muli(e, e_remi(e, in_image, p->tiles_x), p->m), -o->pad_left);
    struct window from = window_of(c, image, o->view, e_divi(e, tile, p->tiles_y * p->tiles_x), y, x, o->h, o->w, o->size);
    transform(c, &from, o->transform, e_at(e, dst, e_muli(e, tiles.iv, e->v)), o->group * p->block * e->v);
    loop_end(e, &tiles, NULL);
    loop_end(e, &blocks, NULL);
}

static void transform_operands(struct wino *c)
{
    const struct winograd_wgrad_params *p = c->p;
    struct operand x = {c->x, c->iblocks, c->v, &p->x, p->ih, p->iw, p->pad_top, p->pad_left, p->ig, c->w->tile, winograd_input_1d};
    struct operand dy = {c->dy, e_muli(c->e, c->units, p->ov), c->d, &p->dy, p->oh, p->ow, 0, 0, p->og, c->w->m, gradient_1d};
    transform_operand(c, &x);
    transform_operand(c, &dy);
}

/* ---- products */

/* The sums so far, or zeros in a piece's first block: what is in the scratch then is another piece's. */
static void take_up(struct wino *c, V sums, V fresh, int nacc, V *acc)
{
    struct emit *e = c->e;
    struct branch f;
    V loaded[MAX_ACC];
    if_begin(e, &f, LLVMBuildNot(e->b, fresh, ""));
    for (int i = 0; i < nacc; i++) loaded[i] = e_load_va(e, e_ati(e, sums, i * e->v));
    LLVMBasicBlockRef from[2] = {LLVMGetInsertBlock(e->b), f.else_};
    if_end(e, &f);
    for (int i = 0; i < nacc; i++) {
        V values[2] = {loaded[i], e_zero(e)};
        acc[i] = LLVMBuildPhi(e->b, e->vf, "");
        LLVMAddIncoming(acc[i], values, from, 2);
    }
}

/* SUMS[ci][ov] += Σ tiles V · D, the sums in registers. */
static void product(struct wino *c, V v, V d, V sums, V fresh)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int nacc = (int)(p->ci * p->ov);
    V acc[MAX_ACC];
    struct loop tiles;
    take_up(c, sums, fresh, nacc, acc);
    loop_begin_once(e, &tiles, e_int(e, 0), c->count, 1, nacc, acc);
    V at = e_muli(e, tiles.iv, e->v), vt = e_at(e, v, at), dt = e_at(e, d, at), g[MAX_OV];
    for (int64_t o = 0; o < p->ov; o++) g[o] = e_load_va(e, e_ati(e, dt, o * p->block * e->v));
    for (int64_t i = 0; i < p->ci; i++) {
        V s = e_splat(e, e_load(e, e_ati(e, vt, i)));
        for (int64_t o = 0; o < p->ov; o++) acc[i * p->ov + o] = e_fma(e, s, g[o], tiles.phi[i * p->ov + o]);
    }
    loop_end(e, &tiles, acc);
    for (int i = 0; i < nacc; i++) e_store_va(e, tiles.out[i], e_ati(e, sums, i * e->v));
}

static void products(struct wino *c, V fresh)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t row = p->block * e->v, unit_sums = p->ig * e->v * p->ov * e->v;
    struct loop points, units, blocks, chans;
    loop_begin_once(e, &points, e_int(e, 0), e_int(e, c->points), 1, 0, NULL);
    V v0 = e_at(e, c->v, e_muli(e, points.iv, p->ig * row)), d0 = e_at(e, c->d, e_muli(e, points.iv, p->og * row));
    V sums0 = e_at(e, c->sums, e_muli(e, points.iv, p->og / p->ov * unit_sums));
    loop_begin_once(e, &units, e_int(e, 0), c->units, 1, 0, NULL);
    V d = e_at(e, d0, e_muli(e, units.iv, p->ov * row)), sums1 = e_at(e, sums0, e_muli(e, units.iv, unit_sums));
    loop_begin_once(e, &blocks, e_int(e, 0), c->iblocks, 1, 0, NULL);
    V v1 = e_at(e, v0, e_muli(e, blocks.iv, row)), sums2 = e_at(e, sums1, e_muli(e, blocks.iv, e->v * p->ov * e->v));
    loop_begin_once(e, &chans, e_int(e, 0), e_int(e, e->v), p->ci, 0, NULL);
    product(c, e_at(e, v1, chans.iv), d, e_at(e, sums2, e_muli(e, chans.iv, p->ov * e->v)), fresh);
    loop_end(e, &chans, NULL);
    loop_end(e, &blocks, NULL);
    loop_end(e, &units, NULL);
    loop_end(e, &points, NULL);
}

/* ---- the way back to 3×3 weights */

/* One input channel, one output vector: Gᵀ S G to dw[tap]. */
static void weights_back(struct wino *c, V sums, V dw)
{
    struct emit *e = c->e;
    int tile = c->w->tile;
    int64_t point = c->p->og * c->p->ig * e->v * e->v;
    V t[3][T];
    for (int j = 0; j < tile; j++) {
        V s[T], column[3];
        for (int i = 0; i < tile; i++) s[i] = e_load_va(e, e_ati(e, sums, (i * tile + j) * point));
        weight_back_1d(e, c->w, s, column);
        for (int i = 0; i < 3; i++) t[i][j] = column[i];
    }
    for (int i = 0; i < 3; i++) {
        V row[3];
        weight_back_1d(e, c->w, t[i], row);
        for (int j = 0; j < 3; j++) e_store_va(e, row[j], e_ati(e, dw, (i * 3 + j) * e->v * e->v));
    }
}

/* All of the piece's dw: from the sums, or zeros where the slot has no tiles. */
static void store_weights(struct wino *c, V none)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    int64_t block = 9 * (int64_t)e->v * e->v, unit_sums = p->ig * e->v * p->ov * e->v;
    struct loop outs, blocks, chans, taps;
    loop_begin_once(e, &outs, e_int(e, 0), e_muli(e, c->units, p->ov), 1, 0, NULL);
    V sums0 = e_at(e, c->sums, e_add(e, e_muli(e, e_divi(e, outs.iv, p->ov), unit_sums), e_muli(e, e_remi(e, outs.iv, p->ov), e->v)));
    V dw0 = e_at(e, c->dw, e_muli(e, outs.iv, p->icb * block));
    loop_begin_once(e, &blocks, e_int(e, 0), c->iblocks, 1, 0, NULL);
    V sums1 = e_at(e, sums0, e_muli(e, blocks.iv, e->v * p->ov * e->v)), dw1 = e_at(e, dw0, e_muli(e, blocks.iv, block));
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
    c->v = e->scratch;
    c->d = e_ati(e, c->v, v_floats(p, e->v));
    c->sums = e_ati(e, c->d, d_floats(p, e->v));
    c->zeros = e_ati(e, c->sums, sum_floats(p, e->v));
    for (int i = 0; i < c->w->tile; i++) e_store_va(e, e_zero(e), e_ati(e, c->zeros, i * e->v));
}

/* Every tile of the real samples that belongs to SLOT. */
static void slot_tiles(struct wino *c, V slot, V tiles)
{
    struct emit *e = c->e;
    const struct winograd_wgrad_params *p = c->p;
    struct loop blocks;
    V start = e_muli(e, slot, p->block);
    loop_begin(e, &blocks, start, tiles, p->slots * p->block, 0, NULL);
    c->first = blocks.iv;
    c->count = e_min(e, e_int(e, p->block), e_sub(e, tiles, c->first));
    transform_operands(c);
    products(c, e_cmp(e, LLVMIntEQ, c->first, start));
    loop_end(e, &blocks, NULL);
    store_weights(c, e_cmp(e, LLVMIntSGE, start, tiles));
}

void winograd_wgrad_emit(struct emit *e, const void *params)
{
    struct wino c = {.e = e, .p = params};
    const struct winograd_wgrad_params *p = c.p;
    c.w = rnc_winograd_of((int)p->m);
    c.points = c.w->tile * c.w->tile;
    V x = e_arg(e, 0), dy = e_arg(e, 1), dw = e_arg(e, 2), tiles = e_muli(e, e_run_n(e), p->tiles_y * p->tiles_x);
    int64_t units = p->og / p->ov, block = 9 * (int64_t)e->v * e->v;
    struct loop pieces;
    open_scratch(&c);
    loop_begin(e, &pieces, e->begin, e->end, 1, 0, NULL);
    V igroup = e_remi(e, pieces.iv, p->igroups), rest = e_divi(e, pieces.iv, p->igroups);
    V ogroup = e_remi(e, rest, p->ogroups), slot = e_divi(e, rest, p->ogroups);
    V ib = e_muli(e, igroup, p->ig), ob = e_muli(e, ogroup, p->og);
    c.iblocks = e_min(e, e_int(e, p->ig), e_sub(e, e_int(e, p->icb), ib));
    c.units = e_min(e, e_int(e, units), e_sub(e, e_int(e, p->ocb / p->ov), e_muli(e, ogroup, units)));
    c.x = e_at(e, x, e_muli(e, ib, p->x.cb));
    c.dy = e_at(e, dy, e_muli(e, ob, p->dy.cb));
    V at = e_add(e, e_muli(e, slot, p->slot_floats), e_muli(e, e_add(e, e_muli(e, ob, p->icb), ib), block));
    c.dw = e_at(e, dw, at);
    slot_tiles(&c, slot, tiles);
    loop_end(e, &pieces, NULL);
}
