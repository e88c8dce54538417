/* winograd_emit.c: the code of a Winograd convolution (winograd.h). */
#include <string.h>
#include "base/checked.h"
#include "gen/expr.h"
#include "gen/winograd.h"
#include "runtime/winograd.h"

/* Floats ahead that transformed weights are asked for: they stream from the outer caches, faster than the hardware looks ahead. */
enum { MAX_OV = 4, MAX_ACC = 32, T = RNC_WINOGRAD_MAX, PREFETCH = 2048 };

struct wino {
    struct emit *e;
    const struct winograd_params *p;
    const struct rnc_winograd *w;
    int64_t points;           /* tile² */
    V in, weight;             /* whole arrays */
    V operand[16], result[MAX_OUTS];
    V v, mbuf, edge;          /* V of the block; M; one edge tile */
    V first, count;           /* the block's first tile and how many it has */
};

int64_t winograd_v_floats(const struct winograd_params *p, int64_t v) { return (p->m + 2) * (p->m + 2) * p->icb * p->block * v; }

int64_t winograd_m_floats(const struct winograd_params *p, int64_t v)
{
    return (p->m + 2) * (p->m + 2) * (p->ov * p->block + 1) * v;
}

/* ---- tiles */

struct tile_place { V n, ty, tx; };

static struct tile_place place_of(struct wino *c, V tile)
{
    struct emit *e = c->e;
    int64_t each = c->p->tiles_y * c->p->tiles_x;
    V in_image = e_remi(e, tile, each);
    return (struct tile_place){e_divi(e, tile, each), e_divi(e, in_image, c->p->tiles_x), e_remi(e, in_image, c->p->tiles_x)};
}

/* The part of an edge tile that exists, in a buffer of zeros. */
static void copy_edge(struct wino *c, V src, V y0, V x0)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t tile = c->w->tile;
    struct loop rows, cols;
    for (int64_t i = 0; i < c->points; i++) e_store_va(e, e_zero(e), e_ati(e, c->edge, i * e->v));
    V r0 = e_max(e, e_sub(e, e_int(e, 0), y0), e_int(e, 0)), r1 = e_min(e, e_int(e, tile), e_sub(e, e_int(e, p->ih), y0));
    V c0 = e_max(e, e_sub(e, e_int(e, 0), x0), e_int(e, 0)), c1 = e_min(e, e_int(e, tile), e_sub(e, e_int(e, p->iw), x0));
    loop_begin(e, &rows, r0, r1, 1, 0, NULL);
    loop_begin(e, &cols, c0, c1, 1, 0, NULL);
    V from = e_at(e, src, e_add(e, e_muli(e, rows.iv, p->in.h), e_muli(e, cols.iv, p->in.w)));
    e_store_va(e, e_load_va(e, from), e_at(e, c->edge, e_muli(e, e_add(e, e_muli(e, rows.iv, tile), cols.iv), e->v)));
    loop_end(e, &cols, NULL);
    loop_end(e, &rows, NULL);
}

/* Bᵀ d B for the tile at SRC with rows STRIDE floats apart; point (i, j) goes to DST + (i·tile + j)·icb·block·v. */
static void transform_input(struct wino *c, V src, V stride, V dst)
{
    struct emit *e = c->e;
    int n = c->w->tile;
    V t[T][T], row[T];
    for (int j = 0; j < n; j++) {
        V d[T], column[T];
        for (int i = 0; i < n; i++) d[i] = e_load_va(e, e_ati(e, e_at(e, src, e_muli(e, stride, i)), j * e->v));
        winograd_input_1d(e, c->w, d, column);
        for (int i = 0; i < n; i++) t[i][j] = column[i];
    }
    int64_t point = c->p->icb * c->p->block * e->v;
    for (int i = 0; i < n; i++) {
        winograd_input_1d(e, c->w, t[i], row);
        for (int j = 0; j < n; j++) e_store_va(e, row[j], e_ati(e, dst, (i * n + j) * point));
    }
}

static void input_phase(struct wino *c)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop tiles, blocks;
    loop_begin(e, &tiles, e_int(e, 0), c->count, 1, 0, NULL);
    struct tile_place at = place_of(c, e_add(e, c->first, tiles.iv));
    V y0 = e_addi(e, e_muli(e, at.ty, p->m), -p->pad_top), x0 = e_addi(e, e_muli(e, at.tx, p->m), -p->pad_left);
    V inside = e_cmp(e, LLVMIntSGE, y0, e_int(e, 0));
    inside = LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSGE, x0, e_int(e, 0)), "");
    inside = LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSLE, y0, e_int(e, p->ih - c->w->tile)), "");
    inside = LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSLE, x0, e_int(e, p->iw - c->w->tile)), "");
    V corner = e_add(e, e_muli(e, at.n, p->in.n), e_add(e, e_muli(e, y0, p->in.h), e_muli(e, x0, p->in.w)));
    loop_begin_once(e, &blocks, e_int(e, 0), e_int(e, p->icb), 1, 0, NULL);
    V src = e_at(e, c->in, e_add(e, corner, e_muli(e, blocks.iv, p->in.cb)));
    V dst = e_at(e, c->v, e_muli(e, e_add(e, e_muli(e, blocks.iv, p->block), tiles.iv), e->v));
    struct branch f;
    if_begin(e, &f, LLVMBuildNot(e->b, inside, ""));
    copy_edge(c, src, y0, x0);
    if_end(e, &f);
    V from = e_select(e, inside, src, c->edge), stride = e_select(e, inside, e_int(e, p->in.h), e_int(e, c->w->tile * e->v));
    transform_input(c, from, stride, dst);
    loop_end(e, &blocks, NULL);
    loop_end(e, &tiles, NULL);
}

/* ---- products */

/* M[point][o][tiles] for TW tiles from TILE: Σ input channels V · U, the accumulators in registers. */
static void product(struct wino *c, V v, V u, V m)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int nacc = (int)(p->ov * p->tw);
    int64_t ublock = c->points * p->icb * e->v * e->v;
    V acc[MAX_ACC];
    for (int i = 0; i < nacc; i++) acc[i] = e_zero(e);
    struct loop blocks, chans;
    loop_begin_once(e, &blocks, e_int(e, 0), e_int(e, p->icb), 1, nacc, acc);
    V vb = e_at(e, v, e_muli(e, blocks.iv, p->block * e->v)), ub = e_at(e, u, e_muli(e, blocks.iv, (int64_t)e->v * e->v));
    int64_t unroll = 4;
    loop_begin_once(e, &chans, e_int(e, 0), e_int(e, e->v), unroll, nacc, blocks.phi);
    memcpy(acc, chans.phi, (size_t)nacc * sizeof *acc);
    V vc = e_at(e, vb, chans.iv), uc = e_at(e, ub, e_muli(e, chans.iv, e->v));
    for (int64_t k = 0; k < unroll; k++) {
        V w[MAX_OV];
        for (int64_t o = 0; o < p->ov; o++) {
            w[o] = e_load_va(e, e_ati(e, uc, o * ublock + k * e->v));
            e_prefetch(e, e_ati(e, uc, o * ublock + k * e->v + PREFETCH));
        }
        for (int64_t t = 0; t < p->tw; t++) {
            V s = e_splat(e, e_load(e, e_ati(e, vc, t * e->v + k)));
            for (int64_t o = 0; o < p->ov; o++) acc[o * p->tw + t] = e_fma(e, s, w[o], acc[o * p->tw + t]);
        }
    }
    loop_end(e, &chans, acc);
    loop_end(e, &blocks, chans.out);
    for (int64_t o = 0; o < p->ov; o++)
        for (int64_t t = 0; t < p->tw; t++) e_store_va(e, blocks.out[o * p->tw + t], e_ati(e, m, (o * p->block + t) * e->v));
}

static void products(struct wino *c, V ob)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    V u0 = e_at(e, c->weight, e_muli(e, ob, c->points * p->icb * e->v * e->v));
    struct loop points, tiles;
    loop_begin_once(e, &points, e_int(e, 0), e_int(e, c->points), 1, 0, NULL);
    V u = e_at(e, u0, e_muli(e, points.iv, p->icb * e->v * e->v)), v = e_at(e, c->v, e_muli(e, points.iv, p->icb * p->block * e->v));
    V m = e_at(e, c->mbuf, e_muli(e, points.iv, p->ov * p->block * e->v));
    loop_begin(e, &tiles, e_int(e, 0), c->count, p->tw, 0, NULL);
    product(c, e_at(e, v, e_muli(e, tiles.iv, e->v)), u, e_at(e, m, e_muli(e, tiles.iv, e->v)));
    loop_end(e, &tiles, NULL);
    loop_end(e, &points, NULL);
}

/* ---- output */

/* Aᵀ m A into a small buffer [m][m][v]. */
static void transform_output(struct wino *c, V src)
{
    struct emit *e = c->e;
    int n = c->w->tile, m = c->w->m;
    V t[T][T], row[T];
    int64_t point = c->p->ov * c->p->block * e->v;
    for (int j = 0; j < n; j++) {
        V d[T], column[T];
        for (int i = 0; i < n; i++) d[i] = e_load_va(e, e_ati(e, src, (i * n + j) * point));
        winograd_output_1d(e, c->w, d, column);
        for (int i = 0; i < m; i++) t[i][j] = column[i];
    }
    for (int i = 0; i < m; i++) {
        winograd_output_1d(e, c->w, t[i], row);
        for (int j = 0; j < m; j++) e_store_va(e, row[j], e_ati(e, c->edge, (i * m + j) * e->v));
    }
}

/* The part of the tile that lies inside the image, through the body. */
static void store_tile(struct wino *c, const struct body_state *state, V lanes, V at, V rows, V cols)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop y, x;
    loop_begin_once(e, &y, e_int(e, 0), rows, 1, 0, NULL);
    loop_begin_once(e, &x, e_int(e, 0), cols, 1, 0, NULL);
    V acc = e_load_va(e, e_at(e, c->edge, e_muli(e, e_add(e, e_muli(e, y.iv, p->m), x.iv), e->v)));
    V offset = e_add(e, at, e_add(e, e_muli(e, y.iv, p->out.h), e_muli(e, x.iv, p->out.w))), full[16] = {0}, result[MAX_OUTS];
    for (int k = 0; k < p->body.noperands; k++)
        if (p->body.operand[k].shape == OPERAND_FULL) full[k] = e_load_va(e, e_at(e, c->operand[k], offset));
    body_apply(e, state, &acc, full, lanes, result);
    for (int k = 0; k < p->body.nout; k++) e_store_va(e, result[k], e_at(e, c->result[k], offset));
    loop_end(e, &x, NULL);
    loop_end(e, &y, NULL);
}

static void output_phase(struct wino *c, V ob0)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop vectors, tiles;
    loop_begin_once(e, &vectors, e_int(e, 0), e_int(e, p->ov), 1, 0, NULL);
    V ob = e_add(e, ob0, vectors.iv), lanes;
    struct body_state state;
    body_begin_block(e, &state, &p->body, c->operand, p->oc, ob, &lanes);
    loop_begin(e, &tiles, e_int(e, 0), c->count, 1, 0, NULL);
    struct tile_place at = place_of(c, e_add(e, c->first, tiles.iv));
    transform_output(c, e_at(e, c->mbuf, e_muli(e, e_add(e, e_muli(e, vectors.iv, p->block), tiles.iv), e->v)));
    V y0 = e_muli(e, at.ty, p->m), x0 = e_muli(e, at.tx, p->m);
    V rows = e_min(e, e_int(e, p->m), e_sub(e, e_int(e, p->oh), y0)), cols = e_min(e, e_int(e, p->m), e_sub(e, e_int(e, p->ow), x0));
    V offset = e_add(e, e_muli(e, at.n, p->out.n), e_muli(e, ob, p->out.cb));
    store_tile(c, &state, lanes, e_add(e, offset, e_add(e, e_muli(e, y0, p->out.h), e_muli(e, x0, p->out.w))), rows, cols);
    loop_end(e, &tiles, NULL);
    loop_end(e, &vectors, NULL);
}

static void output_group(struct wino *c, V og)
{
    V ob = e_muli(c->e, og, c->p->ov);
    products(c, ob);
    output_phase(c, ob);
}

/* ---- the kernel */

static void open_arguments(struct wino *c)
{
    struct emit *e = c->e;
    const struct gen_body *b = &c->p->body;
    c->in = e_arg(e, 0);
    c->weight = e_arg(e, 1);
    for (int k = 0; k < b->noperands; k++) c->operand[k] = e_arg(e, 3 + k);
    for (int k = 0; k < b->nout; k++) c->result[k] = e_arg(e, k ? 2 + b->noperands + k : 2);
}

/* Pieces: blocks of tiles (OUTPUT: and output groups, blocks varying slowest). Blocks past the last real sample are left out. */
void winograd_emit(struct emit *e, const void *params)
{
    struct wino c = {.e = e, .p = params};
    const struct winograd_params *p = c.p;
    c.w = rnc_winograd_of((int)p->m);
    c.points = c.w->tile * c.w->tile;
    open_arguments(&c);
    int64_t groups = p->ocb / p->ov, vfloats = winograd_v_floats(p, e->v);
    V workspace = p->phase == WINOGRAD_FUSED ? NULL : e_arg(e, 2 + p->body.noperands + (p->body.nout > 1 ? (int)p->body.nout : 1));
    V tiles = e_muli(e, e_run_n(e), p->tiles_y * p->tiles_x);
    c.mbuf = p->phase == WINOGRAD_FUSED ? e_ati(e, e->scratch, vfloats) : e->scratch;
    c.edge = e_ati(e, c.mbuf, c.points * p->ov * p->block * e->v);
    struct loop pieces, gl;
    loop_begin(e, &pieces, e->begin, e->end, 1, 0, NULL);
    V block = p->phase == WINOGRAD_OUTPUT ? e_divi(e, pieces.iv, groups) : pieces.iv;
    c.first = e_muli(e, block, p->block);
    c.count = e_min(e, e_int(e, p->block), e_sub(e, tiles, c.first));
    c.v = workspace ? e_at(e, workspace, e_muli(e, block, vfloats)) : e->scratch;
    struct branch real;
    if_begin(e, &real, e_cmp(e, LLVMIntSGT, c.count, e_int(e, 0)));
    if (p->phase != WINOGRAD_OUTPUT) input_phase(&c);
    if (p->phase == WINOGRAD_OUTPUT) output_group(&c, e_remi(e, pieces.iv, groups));
    if (p->phase == WINOGRAD_FUSED) {
        loop_begin_once(e, &gl, e_int(e, 0), e_int(e, groups), 1, 0, NULL);
        output_group(&c, gl.iv);
        loop_end(e, &gl, NULL);
    }
    if_end(e, &real);
    loop_end(e, &pieces, NULL);
}
