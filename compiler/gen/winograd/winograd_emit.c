/* winograd_emit.c: the code of a Winograd convolution (winograd.h). */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/expr.h"
#include "gen/conv/segments.h"
#include "gen/reduce/sums.h"
#include "gen/winograd/winograd.h"
#include "gen/winograd/winograd_pre.h"
#include "gen/winograd/winograd_tiles.h"
#include "kernel/winograd.h"
#include "runtime/rt/winograd.h"

enum { MAX_OV = 4, MAX_ACC = 32, T = RNC_WINOGRAD_MAX };

/* The m × m lines of a tile of an image, which products prefetch. */
struct prefetch {
    V corner;
    const struct conv_view *view;
    enum dtype dtype;
    bool write;
};
/* Tiles whose lines a product prefetches, at most: a core can wait for a few lines only, what is left comes without. */
enum { MAX_PREFETCH = 16 };

struct wino {
    struct emit *e;
    const struct winograd_params *p;
    const struct rnc_winograd *w;
    int64_t points;             /* tile² */
    int64_t ublock;             /* floats of weights of one output block */
    V in[MAX_SEGMENTS], weight; /* whole arrays */
    V operand[MAX_BODY_OPERANDS], result[MAX_OUTS];
    V v, mbuf, edge; /* V and M of the block; one edge tile */
    V first, count;  /* the block's first tile and how many it has */
    struct winograd_tiles tiles;
    struct prefetch prefetch[MAX_PREFETCH]; /* what the current product prefetches */
    int nprefetch;
    struct sums sums; /* of the current output vector */
    V partials;       /* where they go */
    V prefetch_v;     /* split: where its share of the next point's V begins, prefetch_v_lines for each input block */
    int64_t prefetch_v_lines;
};

int64_t winograd_scratch(const struct winograd_params *p, int64_t v)
{
    int64_t points = p->tile * p->tile, edge = p->phase == WINOGRAD_PRODUCT ? 0 : points * v;
    return edge + (p->phase == WINOGRAD_FUSED ? points * (p->point_v + p->point_m) : 0);
}

/* ---- tiles */

/* The part of an edge tile that exists, in a buffer of zeros of the input's type. */
static void copy_edge(struct wino *c, V src, V y0, V x0)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t tile = c->w->tile;
    enum dtype dt = conv_view_dtype(&p->in);
    LLVMTypeRef t = e_stored(e, dt);
    unsigned align = (unsigned)dtype_bytes(dt) * (unsigned)e->v;
    struct loop rows, cols;
    for (int64_t i = 0; i < c->points; i++)
        e_store_align(e, LLVMConstNull(t), e_ati_d(e, dt, c->edge, i * e->v), align);
    V r0 = e_max(e, e_sub(e, e_int(e, 0), y0), e_int(e, 0)),
      r1 = e_min(e, e_int(e, tile), e_sub(e, e_int(e, p->ih), y0));
    V c0 = e_max(e, e_sub(e, e_int(e, 0), x0), e_int(e, 0)),
      c1 = e_min(e, e_int(e, tile), e_sub(e, e_int(e, p->iw), x0));
    loop_begin(e, &rows, r0, r1, 1, 0, NULL);
    loop_begin(e, &cols, c0, c1, 1, 0, NULL);
    V from = e_at_d(e, dt, src, e_add(e, e_muli(e, rows.iv, p->in.h), e_muli(e, cols.iv, p->in.w)));
    e_store_align(e, e_load_t(e, t, from, align),
                  e_at_d(e, dt, c->edge, e_muli(e, e_add(e, e_muli(e, rows.iv, tile), cols.iv), e->v)), align);
    loop_end(e, &cols, NULL);
    loop_end(e, &rows, NULL);
}

/* Bᵀ d B for the tile at SRC, of DT numbers, with rows STRIDE elements apart; point (i, j) goes to DST + (i·tile +
   j)·point_v. One or two rows of Bᵀ at a time: all of them would not fit the registers, and reading the tile again
   costs less than spilling. */
static void transform_input(struct wino *c, V src, enum dtype dt, V stride, V dst)
{
    struct emit *e = c->e;
    int n = c->w->tile;
    for (int r = 0, rows; r < n; r += rows) {
        V t[2][T], row[T];
        rows = 0;
        for (int j = 0; j < n; j++) {
            V d[T] = {NULL}, column[2];
            for (int i = 0; i < n; i++)
                if (winograd_input_reads(c->w, r, i))
                    d[i] = e_load_vd(e, dt, e_ati_d(e, dt, e_at_d(e, dt, src, e_muli(e, stride, i)), j * e->v));
            rows = winograd_input_rows(e, c->w, d, r, column);
            for (int k = 0; k < rows; k++) t[k][j] = column[k];
        }
        for (int k = 0; k < rows; k++) {
            winograd_input_1d(e, c->w, t[k], row);
            for (int j = 0; j < n; j++) e_store_va(e, row[j], e_ati(e, dst, ((r + k) * n + j) * c->p->point_v));
        }
    }
}

/* Where the transform of tile TILE of the block goes, for input block BLOCK. */
static V input_to(struct wino *c, V block, V tile)
{
    struct emit *e = c->e;
    return e_at(e, c->v, e_muli(e, e_add(e, e_muli(e, block, c->p->row), tile), e->v));
}

/* The window that tile AT reads. */
static struct winograd_tile window_of(struct wino *c, const struct tile_place *at)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    V y = e_addi(e, e_muli(e, at->ty, p->m * p->stride), -p->pad_top),
      x = e_addi(e, e_muli(e, at->tx, p->m * p->stride), -p->pad_left);
    return (struct winograd_tile){.y = y, .x = x, .h = p->ih, .w = p->iw, .size = c->w->tile};
}

/* Tiles [FROM, TO) of the block. */
static void input_plain(struct wino *c, V from, V to)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop tiles, blocks;
    loop_begin(e, &tiles, from, to, 1, 0, NULL);
    struct tile_place at = winograd_tile_place(e, &c->tiles, e_add(e, c->first, tiles.iv));
    struct winograd_tile tile = window_of(c, &at);
    V inside = winograd_tile_inside(e, &tile);
    V corner = e_add(e, e_muli(e, tile.y, p->in.h), e_muli(e, tile.x, p->in.w));
    loop_begin_once(e, &blocks, e_int(e, 0), e_int(e, p->icb), 1, 0, NULL);
    struct segments_plane plane = segments_plane(e, &p->segments, &p->in, c->in, blocks.iv);
    V src = e_at_d(e, conv_view_dtype(&p->in), plane.at, e_add(e, corner, e_mul(e, at.n, plane.n)));
    struct branch f;
    if_begin(e, &f, LLVMBuildNot(e->b, inside, ""));
    copy_edge(c, src, tile.y, tile.x);
    if_end(e, &f);
    V window = e_select(e, inside, src, c->edge),
      stride = e_select(e, inside, e_int(e, p->in.h), e_int(e, c->w->tile * e->v));
    transform_input(c, window, conv_view_dtype(&p->in), stride, input_to(c, blocks.iv, tiles.iv));
    loop_end(e, &blocks, NULL);
    loop_end(e, &tiles, NULL);
}

/* The same behind the prologue, block by block, as what it needs of each block's channels is computed once. */
static void input_behind_pre(struct wino *c, V from, V to)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct winograd_pre pre;
    struct loop tiles, blocks;
    loop_begin_once(e, &blocks, e_int(e, 0), e_int(e, p->icb), 1, 0, NULL);
    winograd_pre_begin(e, &pre, &p->pre, c->operand, p->ic, blocks.iv);
    loop_begin(e, &tiles, from, to, 1, 0, NULL);
    struct tile_place at = winograd_tile_place(e, &c->tiles, e_add(e, c->first, tiles.iv));
    struct winograd_tile tile = window_of(c, &at);
    tile.offset = e_add(e, e_muli(e, at.n, p->in.n), e_muli(e, blocks.iv, p->in.cb));
    winograd_pre_tile(e, &pre, c->in[0], &p->in, &tile, c->edge);
    transform_input(c, c->edge, DT_F32, e_int(e, tile.size * e->v), input_to(c, blocks.iv, tiles.iv));
    loop_end(e, &tiles, NULL);
    loop_end(e, &blocks, NULL);
}

static void input_phase(struct wino *c, V from, V to)
{
    if (winograd_has_pre(&c->p->pre)) input_behind_pre(c, from, to);
    else input_plain(c, from, to);
}

/* ---- what is prefetched */

/* The lines of a tile from row Y and column X on of the image at OFFSET of PTR, of DT numbers. */
static void prefetch_tile(struct wino *c, V ptr, V offset, const struct conv_view *view, enum dtype dt, V y, V x,
                          bool write)
{
    struct emit *e = c->e;
    if (c->nprefetch == MAX_PREFETCH) return;
    V corner = e_at_d(e, dt, e_at_d(e, dt, ptr, offset), e_add(e, e_muli(e, y, view->h), e_muli(e, x, view->w)));
    c->prefetch[c->nprefetch++] = (struct prefetch){corner, view, dt, write};
}

/* Call number CALL of COUNT in this block: its share of the next block's input. Of a tile's window, the rows and
   columns that no tile before it has read. */
static void prefetch_input(struct wino *c, V call, int64_t count)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t share = div_up(p->block * p->icb, count);
    for (int64_t i = 0; i < share; i++) {
        V pair = e_addi(e, e_muli(e, call, share), i);
        struct tile_place at =
            winograd_tile_place(e, &c->tiles, e_add(e, e_addi(e, c->first, p->block), e_divi(e, pair, p->icb)));
        struct segments_plane plane = segments_plane(e, &p->segments, &p->in, c->in, e_remi(e, pair, p->icb));
        int64_t step = p->m * p->stride, shared = c->w->tile - step;
        V y = e_addi(e, e_muli(e, at.ty, step), shared - p->pad_top),
          x = e_addi(e, e_muli(e, at.tx, step), shared - p->pad_left);
        for (int64_t k = 0; k < p->stride * p->stride; k++)
            prefetch_tile(c, plane.at, e_mul(e, at.n, plane.n), &p->in, conv_view_dtype(&p->in),
                          e_addi(e, y, k / p->stride * p->m), e_addi(e, x, k % p->stride * p->m), false);
        V image = e_add(e, e_muli(e, at.n, p->in.n), e_muli(e, e_remi(e, pair, p->icb), p->in.cb));
        for (int k = 0; k < p->pre.noperands; k++)
            if (p->pre.operand[k].shape == OPERAND_FULL)
                prefetch_tile(c, c->operand[k], image, &p->in, (enum dtype)p->pre.operand[k].dtype, y, x, false);
    }
}

/* The same for the output lines of the group of vectors from OB on, and what the body reads beside them. */
static void prefetch_output(struct wino *c, V ob, V call, int64_t count)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t share = div_up(p->block * p->ov, count);
    for (int64_t i = 0; i < share; i++) {
        V pair = e_addi(e, e_muli(e, call, share), i);
        struct tile_place at = winograd_tile_place(e, &c->tiles, e_add(e, c->first, e_divi(e, pair, p->ov)));
        V offset = e_add(e, e_muli(e, at.n, p->out.n), e_muli(e, e_add(e, ob, e_remi(e, pair, p->ov)), p->out.cb));
        V y = e_muli(e, at.ty, p->m), x = e_muli(e, at.tx, p->m);
        for (int k = 0; k < p->body.nout; k++)
            prefetch_tile(c, c->result[k], offset, &p->out, (enum dtype)p->body.dtype[k], y, x, true);
        for (int k = 0; k < p->body.noperands; k++)
            if (p->body.operand[k].shape == OPERAND_FULL)
                prefetch_tile(c, c->operand[k], offset, &p->out, (enum dtype)p->body.operand[k].dtype, y, x, false);
    }
}

/* What falls to the step over UNROLL channels from CHANNEL on of input block IB: the tiles' lines are spread evenly
   over a product, since a core can wait for a few only at a time. */
static void prefetch_share(struct wino *c, V ib, V channel, int64_t unroll)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t steps = e->v / unroll, rows = div_up(p->m, p->icb), cols = div_up(p->m, steps);
    if (!c->nprefetch) return;
    V row = rows > 1 ? e_muli(e, ib, rows) : e_divi(e, e_muli(e, ib, p->m), p->icb);
    V col = cols > 1 ? e_muli(e, e_divi(e, channel, unroll), cols) : e_divi(e, e_muli(e, channel, p->m), e->v);
    for (int k = 0; k < c->nprefetch; k++) {
        const struct conv_view *view = c->prefetch[k].view;
        enum dtype dt = c->prefetch[k].dtype;
        V at = e_at_d(e, dt, c->prefetch[k].corner, e_add(e, e_muli(e, row, view->h), e_muli(e, col, view->w)));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                (c->prefetch[k].write ? e_prefetch_write : e_prefetch)(e,
                                                                       e_ati_d(e, dt, at, i * view->h + j * view->w));
    }
}

/* ---- products */

static int64_t tile_groups(const struct winograd_params *p)
{
    return p->wide + (p->block - p->wide * p->tw) / max_i64(p->tw - 1, 1);
}

/* What goes with input block IB: a share of the next point's V, and few lines of its weights from NB on (many are asked
   for step by step). */
static void prefetch_block(struct wino *c, V ib, V nb, int64_t lines)
{
    struct emit *e = c->e;
    for (int64_t i = 0; i < c->prefetch_v_lines; i++)
        e_prefetch(e, e_ati(e, e_at(e, c->prefetch_v, e_muli(e, ib, c->prefetch_v_lines * e->v)), i * e->v));
    for (int64_t i = 0; i < lines; i++)
        for (int64_t o = 0; o < c->p->ov; o++) e_prefetch(e, e_ati(e, nb, o * c->ublock + i * e->v));
}

/* acc += V · U over the input blocks [FROM, TO) for WIDTH tiles. NEXT: from the weights to the slice of the next
   point's to prefetch. */
static void product_sum(struct wino *c, int64_t width, V v, V u, V next, V from, V to, V *acc)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int nacc = (int)(p->ov * width);
    int64_t lines = div_up(e->v, tile_groups(p)), unroll = 4;
    struct loop blocks, chans;
    loop_begin_once(e, &blocks, from, to, 1, nacc, acc);
    V vb = e_at(e, v, e_muli(e, blocks.iv, p->row * e->v)), ub = e_at(e, u, e_muli(e, blocks.iv, (int64_t)e->v * e->v)),
      nb = e_at(e, ub, next);
    prefetch_block(c, blocks.iv, nb, lines < unroll ? lines : 0);
    loop_begin_once(e, &chans, e_int(e, 0), e_int(e, e->v), unroll, nacc, blocks.phi);
    memcpy(acc, chans.phi, (size_t)nacc * sizeof *acc);
    prefetch_share(c, blocks.iv, chans.iv, unroll);
    V vc = e_at(e, vb, chans.iv), uc = e_at(e, ub, e_muli(e, chans.iv, e->v)),
      nc = e_at(e, nb, e_muli(e, chans.iv, e->v * div_up(lines, unroll) / unroll));
    for (int64_t k = 0; k < unroll; k++) {
        V w[MAX_OV];
        for (int64_t o = 0; o < p->ov; o++) {
            w[o] = e_load_va(e, e_ati(e, uc, o * c->ublock + k * e->v));
            if (lines >= unroll && k < div_up(lines, unroll)) e_prefetch(e, e_ati(e, nc, o * c->ublock + k * e->v));
        }
        for (int64_t t = 0; t < width; t++) {
            V s = e_splat(e, e_load(e, e_ati(e, vc, t * e->v + k)));
            for (int64_t o = 0; o < p->ov; o++) acc[o * width + t] = e_fma(e, s, w[o], acc[o * width + t]);
        }
    }
    loop_end(e, &chans, acc);
    loop_end(e, &blocks, chans.out);
    memcpy(acc, blocks.out, (size_t)nacc * sizeof *acc);
}

/* M[point][o][tiles] for WIDTH tiles: Σ input channels V · U, the accumulators in registers. Long sums are made of sums
   over WINOGRAD_SUM channels, whose errors grow less. */
static void product(struct wino *c, int64_t width, V v, V u, V m, V next)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t nacc = p->ov * width, part = max_i64(1, WINOGRAD_SUM / e->v);
    bool parts = p->icb > part;
    V acc[MAX_ACC], from = e_int(e, 0), to = e_int(e, p->icb);
    assert(p->ov <= MAX_OV && nacc <= MAX_ACC);
    struct loop sums;
    for (int64_t i = 0; i < nacc; i++) acc[i] = e_zero(e);
    if (parts) {
        loop_begin_once(e, &sums, from, to, part, 0, NULL);
        from = sums.iv;
        to = e_min(e, e_addi(e, from, part), to);
    }
    product_sum(c, width, v, u, next, from, to, acc);
    V first = parts ? e_cmp(e, LLVMIntEQ, from, e_int(e, 0)) : NULL;
    for (int64_t o = 0; o < p->ov; o++)
        for (int64_t t = 0; t < width; t++) {
            V at = e_ati(e, m, (o * p->row + t) * e->v), sum = acc[o * width + t];
            if (parts) sum = e_fadd(e, sum, e_select(e, first, e_zero(e), e_load_va(e, at)));
            e_store_va(e, sum, at);
        }
    if (parts) loop_end(e, &sums, NULL);
}

/* The groups of WIDTH tiles in [FROM, TO), the first of which is group BEFORE. */
static void product_groups(struct wino *c, int64_t width, V from, V to, int64_t before, V ob, V v, V u, V m, V next,
                           V point)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t all = tile_groups(p), lines = div_up(e->v, all);
    struct loop tiles;
    loop_begin(e, &tiles, from, to, width, 0, NULL);
    c->nprefetch = 0;
    V group = e_addi(e, e_divi(e, e_sub(e, tiles.iv, from), width), before);
    if (p->phase == WINOGRAD_FUSED) {
        V call = e_add(e, e_muli(e, point, all), group);
        prefetch_output(c, ob, call, c->points * all);
        prefetch_input(c, e_add(e, e_muli(e, e_divi(e, ob, p->ov), c->points * all), call),
                       p->ocb / p->ov * c->points * all);
    } else {
        c->prefetch_v_lines = div_up(p->row, p->ocb / p->ov * all);
        V call = e_add(e, e_muli(e, e_divi(e, ob, p->ov), all), group);
        c->prefetch_v = e_at(e, v, e_addi(e, e_muli(e, call, p->icb * c->prefetch_v_lines * e->v), p->point_v));
    }
    V at = e_muli(e, tiles.iv, e->v), slice = lines == e->v ? next : e_add(e, next, e_muli(e, group, lines * e->v));
    product(c, width, e_at(e, v, at), u, e_at(e, m, at), slice);
    loop_end(e, &tiles, NULL);
}

/* The weights of point I of a side: the samples among the points share theirs. */
static V kernel_1d(struct wino *c, V i)
{
    struct emit *e = c->e;
    V shared = e_int(e, c->w->mixed - 1);
    return e_select(e, e_cmp(e, LLVMIntEQ, i, e_int(e, c->w->tile - 1)), e_int(e, c->w->kernels - 1),
                    e_min(e, i, shared));
}

static V kernel_of(struct wino *c, V point)
{
    struct emit *e = c->e;
    if (c->w->stride == 1) return point;
    return e_add(e, e_muli(e, kernel_1d(c, e_divi(e, point, c->w->tile)), c->w->kernels),
                 kernel_1d(c, e_remi(e, point, c->w->tile)));
}

/* One point for the output vectors from OB on, whose products go to M's vectors from MB on. NEXT: from its weights to
   those that follow. */
static void point_products(struct wino *c, V point, V ob, V mb, V next)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    V u = e_at(e, c->weight, e_add(e, e_muli(e, ob, c->ublock), e_muli(e, kernel_of(c, point), p->icb * e->v * e->v)));
    V v = e_at(e, c->v, e_muli(e, point, p->point_v)),
      m = e_at(e, c->mbuf, e_add(e, e_muli(e, point, p->point_m), e_muli(e, mb, p->row * e->v)));
    struct tile_range r = winograd_tile_range(e, &c->tiles, c->w->tile, point, c->count);
    V wide = e_select(e, r.all, e_int(e, p->wide * p->tw),
                      r.to); /* groups of tw tiles, which may go on past r.to, lie before it */
    product_groups(c, p->tw, r.from, e_min(e, r.to, wide), 0, ob, v, u, m, next, point);
    if (p->wide * p->tw < p->block) product_groups(c, p->tw - 1, wide, r.to, p->wide, ob, v, u, m, next, point);
}

/* Fused: all points for one group of output vectors. Behind the last point of an output block lies the first of the
   next. */
static void products(struct wino *c, V ob)
{
    struct emit *e = c->e;
    struct loop points;
    loop_begin_once(e, &points, e_int(e, 0), e_int(e, c->points), 1, 0, NULL);
    V to = e_sub(e, kernel_of(c, e_addi(e, points.iv, 1)), kernel_of(c, points.iv));
    point_products(c, points.iv, ob, e_int(e, 0), e_muli(e, to, c->p->icb * e->v * e->v));
    loop_end(e, &points, NULL);
}

/* Split: a task is one point of one group; the next task is the same point of the next group, or the next point of
   the first one. */
static void product_task(struct wino *c, V task)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t groups = p->ocb / p->ov;
    V og = e_remi(e, task, groups), ob = e_muli(e, og, p->ov);
    V last = e_cmp(e, LLVMIntEQ, og, e_int(e, groups - 1));
    V point = e_divi(e, task, groups), to = e_sub(e, kernel_of(c, e_addi(e, point, 1)), kernel_of(c, point));
    V next = e_select(e, last, e_addi(e, e_muli(e, to, p->icb * e->v * e->v), -(groups - 1) * p->ov * c->ublock),
                      e_int(e, p->ov * c->ublock));
    point_products(c, point, ob, ob, next);
}

/* ---- output */

/* Aᵀ m A of the tile at SRC: Y[m][m]. */
static void transform_output(struct wino *c, V src, V y[T][T])
{
    struct emit *e = c->e;
    int n = c->w->tile, m = c->w->m;
    V t[T][T];
    for (int j = 0; j < n; j++) {
        V d[T], column[T];
        for (int i = 0; i < n; i++) d[i] = e_load_va(e, e_ati(e, src, (i * n + j) * c->p->point_m));
        winograd_output_1d(e, c->w, d, column);
        for (int i = 0; i < m; i++) t[i][j] = column[i];
    }
    for (int i = 0; i < m; i++) winograd_output_1d(e, c->w, t[i], y[i]);
}

/* One output vector's body, which it goes through at the current pixel. */
struct pixel {
    const struct body_state *state;
    V lanes, result[MAX_OUTS], term[MAX_SUMS][2];
};

/* One pixel through the body, at OFFSET of the output. */
static void apply_pixel(struct wino *c, struct pixel *p, V acc, V offset, int64_t further)
{
    struct emit *e = c->e;
    const struct gen_body *b = &c->p->body;
    V full[MAX_BODY_OPERANDS] = {0};
    for (int k = 0; k < b->noperands; k++) {
        enum dtype dt = (enum dtype)b->operand[k].dtype;
        if (b->operand[k].shape == OPERAND_FULL)
            full[k] = e_load_vd(e, dt, e_ati_d(e, dt, e_at_d(e, dt, c->operand[k], offset), further));
    }
    body_apply_sums(e, p->state, &acc, full, p->lanes, p->result, p->term);
}

static void store_pixel(struct wino *c, struct pixel *p, V acc, V offset, int64_t further)
{
    struct emit *e = c->e;
    apply_pixel(c, p, acc, offset, further);
    for (int k = 0; k < c->p->body.nout; k++) {
        enum dtype dt = (enum dtype)c->p->body.dtype[k];
        e_store_vd(e, dt, p->result[k], e_ati_d(e, dt, e_at_d(e, dt, c->result[k], offset), further));
    }
}

/* A tile of which only ROWS × COLS lie inside the image: by way of a buffer [m][m][v]. */
static void store_part(struct wino *c, struct pixel *pixel, V tile[T][T], V at, V rows, V cols)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct sums_tile t;
    sums_tile_begin(e, &c->sums, &t);
    apply_pixel(c, pixel, tile[0][0], at, 0);
    sums_tile_shift(&c->sums, &t, pixel->term);
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->m; j++) e_store_va(e, tile[i][j], e_ati(e, c->edge, (i * p->m + j) * e->v));
    struct loop y, x;
    int ncarried = p->body.nsums * SUMS_CHAINS;
    loop_begin_once(e, &y, e_int(e, 0), rows, 1, ncarried, t.acc);
    loop_begin_once(e, &x, e_int(e, 0), cols, 1, ncarried, y.phi);
    memcpy(t.acc, x.phi, (size_t)ncarried * sizeof(V));
    V acc = e_load_va(e, e_at(e, c->edge, e_muli(e, e_add(e, e_muli(e, y.iv, p->m), x.iv), e->v)));
    store_pixel(c, pixel, acc, e_add(e, at, e_add(e, e_muli(e, y.iv, p->out.h), e_muli(e, x.iv, p->out.w))), 0);
    sums_add(e, &c->sums, &t, pixel->term);
    loop_end(e, &x, t.acc);
    loop_end(e, &y, x.out);
    memcpy(t.acc, y.out, (size_t)ncarried * sizeof(V));
    V count = e_mul(e, rows, cols);
    sums_tile_end(e, &c->sums, &t, 0, count);
    sums_count(e, &c->sums, count);
}

static void store_whole(struct wino *c, struct pixel *pixel, V tile[T][T], V at)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct sums_tile t;
    sums_tile_begin(e, &c->sums, &t);
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->m; j++) {
            store_pixel(c, pixel, tile[i][j], at, i * p->out.h + j * p->out.w);
            if (i + j == 0) sums_tile_shift(&c->sums, &t, pixel->term);
            sums_add(e, &c->sums, &t, pixel->term);
        }
    V count = e_int(e, p->m * p->m);
    sums_tile_end(e, &c->sums, &t, 0, count);
    sums_count(e, &c->sums, count);
}

static void output_tile(struct wino *c, struct pixel *pixel, V ob, V src, V tile)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct tile_place at = winograd_tile_place(e, &c->tiles, tile);
    V y0 = e_muli(e, at.ty, p->m), x0 = e_muli(e, at.tx, p->m), y[T][T];
    V offset = e_add(e, e_add(e, e_muli(e, at.n, p->out.n), e_muli(e, ob, p->out.cb)),
                     e_add(e, e_muli(e, y0, p->out.h), e_muli(e, x0, p->out.w)));
    V rows = e_min(e, e_int(e, p->m), e_sub(e, e_int(e, p->oh), y0)),
      cols = e_min(e, e_int(e, p->m), e_sub(e, e_int(e, p->ow), x0));
    bool even = p->oh % p->m == 0 && p->ow % p->m == 0;
    struct branch part;
    transform_output(c, src, y);
    if (!even) {
        if_begin(e, &part,
                 LLVMBuildOr(e->b, e_cmp(e, LLVMIntSLT, rows, e_int(e, p->m)),
                             e_cmp(e, LLVMIntSLT, cols, e_int(e, p->m)), ""));
        store_part(c, pixel, y, offset, rows, cols);
        if_else(e, &part);
    }
    store_whole(c, pixel, y, offset);
    if (!even) if_end(e, &part);
}

/* Tiles [FROM, TO) of the block, the output vectors from OB on, whose products are M's vectors from MB on; their sums
   go to PARTIAL. */
static void output_phase(struct wino *c, V ob0, V mb0, V from, V to, V partial)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop vectors, tiles;
    loop_begin_once(e, &vectors, e_int(e, 0), e_int(e, p->ov), 1, 0, NULL);
    V ob = e_add(e, ob0, vectors.iv), lanes, m = e_at(e, c->mbuf, e_muli(e, e_add(e, mb0, vectors.iv), p->row * e->v));
    struct body_state state;
    body_begin_block(e, &state, &p->body, c->operand, p->oc, ob, &lanes);
    struct pixel pixel = {.state = &state, .lanes = lanes};
    sums_clear(e, &c->sums, 1);
    loop_begin(e, &tiles, from, to, 1, 0, NULL);
    output_tile(c, &pixel, ob, e_at(e, m, e_muli(e, tiles.iv, e->v)), e_add(e, c->first, tiles.iv));
    loop_end(e, &tiles, NULL);
    if (p->body.nsums) sums_store(e, &c->sums, 0, c->partials, partial, ob, e_int(e, p->ocb));
    loop_end(e, &vectors, NULL);
}

/* ---- the kernel */

static void open_arguments(struct wino *c)
{
    struct emit *e = c->e;
    const struct gen_body *b = &c->p->body;
    if (c->p->phase == WINOGRAD_PRODUCT) {
        c->weight = e_arg(e, 0);
        c->v = e_arg(e, 1);
        c->mbuf = e_arg(e, 2);
        return;
    }
    int further = 2 + b->noperands + (b->nout > 1 ? b->nout : 1) + (c->p->phase != WINOGRAD_FUSED);
    segments_load(e, &c->p->segments, 0, further, c->in);
    c->weight = e_arg(e, 1);
    for (int k = 0; k < b->noperands; k++) c->operand[k] = e_arg(e, 3 + k);
    for (int k = 0; k < b->nout; k++) c->result[k] = e_arg(e, k ? 2 + b->noperands + k : 2);
    if (b->nsums) c->partials = e_arg(e, further + (int)max_i64(c->p->segments.count - 1, 0));
    sums_open(e, &c->sums, b, 1);
}

/* V, M and the buffer for edges: in this worker's scratch, or (split) V and M in the workspace. */
static void open_memory(struct wino *c)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    bool fused = p->phase == WINOGRAD_FUSED;
    if (p->phase == WINOGRAD_PRODUCT) return;
    V base = fused ? e->scratch : e_arg(e, 2 + p->body.noperands + (p->body.nout > 1 ? (int)p->body.nout : 1));
    c->v = base;
    c->mbuf = e_ati(e, base, c->points * p->point_v);
    c->edge = fused ? e_ati(e, c->mbuf, c->points * p->point_m) : e->scratch;
}

static void fused_task(struct wino *c, V task)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    struct loop groups;
    input_phase(c, e_int(e, 0), c->count);
    loop_begin_once(e, &groups, e_int(e, 0), e_int(e, p->ocb), p->ov, 0, NULL);
    products(c, groups.iv);
    output_phase(c, groups.iv, e_int(e, 0), e_int(e, 0), c->count, task);
    loop_end(e, &groups, NULL);
}

/* A task of the transforms: (group of output vectors,) tiles. */
static void transform_task(struct wino *c, V task)
{
    struct emit *e = c->e;
    const struct winograd_params *p = c->p;
    int64_t parts = div_up(p->block, p->task);
    V part = e_remi(e, task, parts), from = e_muli(e, part, p->task), to = e_min(e, e_addi(e, from, p->task), c->count);
    V ob = e_muli(e, e_divi(e, task, parts), p->ov);
    if (p->phase == WINOGRAD_INPUT) input_phase(c, from, to);
    else output_phase(c, ob, ob, from, to, part);
}

/* Tiles past the last real sample are left out: COUNT is what a block has of real ones. */
void winograd_emit(struct emit *e, const void *params)
{
    struct wino c = {.e = e, .p = params};
    const struct winograd_params *p = c.p;
    c.w = rnc_winograd_of((int)p->m, (int)p->stride);
    c.points = c.w->tile * c.w->tile;
    c.ublock = c.w->kernels * c.w->kernels * p->icb * e->v * e->v;
    open_arguments(&c);
    open_memory(&c);
    V tiles = e_muli(e, e_run_n(e), p->tiles_y * p->tiles_x);
    c.tiles = winograd_tiles_begin(e, p->tiles_y, p->tiles_x, p->cut_y, p->cut_x);
    struct loop tasks;
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    c.first = p->phase == WINOGRAD_FUSED ? e_muli(e, tasks.iv, p->block) : e_int(e, 0);
    c.count = e_min(e, e_int(e, p->block), e_sub(e, tiles, c.first));
    struct branch real;
    if_begin(e, &real, e_cmp(e, LLVMIntSGT, c.count, e_int(e, 0)));
    if (p->phase == WINOGRAD_FUSED) fused_task(&c, tasks.iv);
    else if (p->phase == WINOGRAD_PRODUCT) product_task(&c, tasks.iv);
    else transform_task(&c, tasks.iv);
    if_end(e, &real);
    loop_end(e, &tasks, NULL);
}
