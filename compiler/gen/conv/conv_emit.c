/* conv_emit.c: the code of a convolution kernel. The accumulators, ov output vectors × tw pixels, stay in registers for
   the whole sum. Each input value is broadcast once and multiplied with ov vectors of weights. Rows outside the image
   are excluded by run-time loop bounds. Columns outside the image are left out of the code of tiles at the edges; only
   these tiles have their own code. With bf16 input and bf16 weights, a step takes two neighbouring channels. With bf16
   input and f32 weights, a tile's pixels are first converted to f32 in the worker's scratch, one block of channels at a
   time. A stem's few channels are stored pixel by pixel, and a step takes two neighbours under a row of taps: three
   channels and seven taps are 21 numbers, hence 11 steps. */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/conv/conv_emit.h"
#include "gen/conv/segments.h"

/* Bytes ahead that weights larger than the second-level cache are prefetched. */
enum { PREFETCH_BYTES = 8192 };

/* The bf16 values of two channels, in each lane. */
static V splat_pair(struct emit *e, V ptr) { return LLVMBuildBitCast(e->b, e_splat(e, e_load(e, ptr)), e->vi32, ""); }

/* The offset of channel U (relative to the current channel) of pixel T of a tile whose pixels from FROM on are read. */
static int64_t channel_of_pixel(const struct conv_emitter *c, int64_t from, int64_t t, int64_t u)
{
    const struct conv_params *p = c->p;
    int64_t v = c->e->v, i = t - from;
    if (c->by_twos) return i / 2 * 2 * v + u % 2 * v + i % 2 * (v / 2) + u / 2;
    return t * p->is_w * p->in.w + u * p->in.c;
}

/* The weights for one product. The load is volatile, because LLVM would hoist it and spill an accumulator. */
static V reread(struct conv_emitter *c, V at)
{
    V w = e_load_va(c->e, at);
    LLVMSetVolatile(w, 1);
    return w;
}

/* acc += Σ over UNROLL channels; pixels [from, to) of each row of the tile. */
static void step(struct conv_emitter *c, const V *ip, V wp, int64_t from, int64_t to, int64_t width, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    bool pairs = dtype_group(c->weight_dtype) == 2,
         folds = !pairs && conv_folds_weight(e->target, p->ov, c->th * width), again = conv_prefetches_weights(c);
    for (int64_t u = 0; u < c->unroll; u += pairs ? 2 : 1) {
        V w[MAX_OV], last = NULL;
        for (int64_t o = 0; o < p->ov; o++) {
            V at = e_ati_d(e, c->weight_dtype, wp, o * p->weight_block + u * e->v);
            if (folds && o == p->ov - 1) last = at;
            else w[o] = e_load_t(e, pairs ? e->vi32 : e->vf, at, 4u * (unsigned)e->v);
            if (again && u * e->v * conv_weight_bytes(p) % LINE == 0)
                e_prefetch(e, e_at_bytes(e, at, e_int(e, PREFETCH_BYTES)));
        }
        for (int64_t r = 0; r < c->th; r++)
            for (int64_t t = from; t < to; t++) {
                V at = e_ati_d(e, c->read_dtype, ip[r], channel_of_pixel(c, from, t, u)),
                  s = pairs ? splat_pair(e, at) : e_splat(e, e_load(e, at));
                for (int64_t o = 0; o < p->ov; o++) {
                    V *sum = &acc[(o * c->th + r) * width + t];
                    *sum = pairs ? e_dot(e, c->weight_dtype, *sum, s, w[o])
                                 : e_fma(e, s, last && o == p->ov - 1 ? reread(c, last) : w[o], *sum);
                }
            }
    }
}

static void step_depthwise(struct conv_emitter *c, V ip, V wp, int64_t from, int64_t to, V *acc)
{
    struct emit *e = c->e;
    V w = e_load_va(e, wp);
    for (int64_t t = from; t < to; t++)
        acc[t] =
            e_fma(e, e_load_vd(e, c->in_dtype, e_ati_d(e, c->in_dtype, ip, t * c->p->is_w * c->p->in.w)), w, acc[t]);
}

/* ---- few channels: pairs along a row of taps */

/* Does pixel T of the tile read a column that exists under tap K? */
static bool reads_tap(const struct conv_run *r, int64_t k, int64_t t)
{
    for (int i = 0; i < r->nspans; i++) {
        const struct conv_span *s = &r->span[i];
        if (k >= s->first && k < s->first + s->count) return t >= s->from && t < s->to;
    }
    return false;
}

/* Two numbers that a pixel reads under a row of taps: elements from the tile's first pixel under the first tap, and
   whether they exist. The last of an odd row comes second, beside one that is read with it again, by a weight of zero.
 */
struct row_pair {
    bool has[2];
    int64_t at[2];
};

static struct row_pair row_pair_of(const struct conv_params *p, const struct conv_run *r, int64_t t, int64_t j)
{
    struct row_pair q;
    if (j + 1 == p->row) j--;
    for (int i = 0; i < 2; i++) {
        int64_t tap = (j + i) / p->in.w;
        q.has[i] = reads_tap(r, tap, t);
        q.at[i] = (t * p->is_w + tap * p->kw.step) * p->in.w + (j + i) % p->in.w;
    }
    return q;
}

/* Do all pixels read the pair behind that of number J as they read it, two elements further on? */
static bool row_goes_on(const struct conv_params *p, const struct conv_run *r, int64_t j)
{
    for (int64_t t = 0; t < r->width; t++) {
        struct row_pair a = row_pair_of(p, r, t, j), b = row_pair_of(p, r, t, j + 2);
        for (int i = 0; i < 2; i++)
            if (a.has[i] != b.has[i] || a.at[i] + 2 != b.at[i]) return false;
    }
    return true;
}

/* The pair Q at IP in each lane; what does not exist is zero. */
static V splat_row_pair(struct emit *e, enum dtype dt, V ip, const struct row_pair *q)
{
    if (q->has[0] && q->has[1] && q->at[1] == q->at[0] + 1) return splat_pair(e, e_ati_d(e, dt, ip, q->at[0]));
    V half[2], zero = LLVMConstInt(e->i32, 0, 0);
    for (int i = 0; i < 2; i++)
        half[i] = q->has[i]
                      ? LLVMBuildZExt(e->b, e_load_t(e, LLVMInt16TypeInContext(e->cx), e_ati_d(e, dt, ip, q->at[i]), 2),
                                      e->i32, "")
                      : zero;
    V both = LLVMBuildOr(e->b, half[0], LLVMBuildShl(e->b, half[1], LLVMConstInt(e->i32, 16, 0), ""), "");
    return LLVMBuildBitCast(e->b, e_splat(e, LLVMBuildBitCast(e->b, both, e->f32, "")), e->vi32, "");
}

/* acc += the pair of number J, or one FURTHER elements on. */
static void row_step(struct conv_emitter *c, const struct conv_run *r, int64_t j, V further, const V *rows, V wp,
                     V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    const enum dtype dt = c->weight_dtype;
    V w[MAX_OV], at = e_at_d(e, dt, wp, e_muli(e, further, e->v));
    for (int64_t o = 0; o < p->ov; o++)
        w[o] = e_load_t(e, e->vi32, e_ati_d(e, dt, at, o * p->weight_block + j * e->v), 4u * (unsigned)e->v);
    for (int64_t y = 0; y < c->th; y++) {
        V ip = e_at_d(e, dt, rows[y], further);
        for (int64_t t = 0; t < r->width; t++) {
            struct row_pair q = row_pair_of(p, r, t, j);
            if (!q.has[0] && !q.has[1]) continue;
            V s = splat_row_pair(e, dt, ip, &q);
            for (int64_t o = 0; o < p->ov; o++) {
                V *sum = &acc[(o * c->th + y) * r->width + t];
                *sum = e_dot(e, c->weight_dtype, *sum, s, w[o]);
            }
        }
    }
}

/* acc += a row of taps. Pairs that all pixels read alike form a loop of one pair an iteration. With several pairs in
   one basic block, LLVM would keep the broadcasts that pixels share, and spill. */
static void row_of_taps(struct conv_emitter *c, const struct conv_run *r, const V *rows, V wp, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    const int nacc = (int)(p->ov * c->th * r->width);
    for (int64_t j = 0, end; j < p->row; j = end) {
        struct loop l;
        for (end = j + 2; end < p->row && row_goes_on(p, r, end - 2);) end += 2;
        loop_begin_once(e, &l, e_int(e, 0), e_int(e, end - j), 2, nacc, acc);
        memcpy(acc, l.phi, (size_t)nacc * sizeof *acc);
        row_step(c, r, j, l.iv, rows, wp, acc);
        loop_end(e, &l, acc);
        memcpy(acc, l.out, (size_t)nacc * sizeof *acc);
    }
}

/* ---- */

/* Does some tap of some pixel of the tile read COLUMN, counted from the tile's first pixel? */
static bool reads_column(const struct conv_params *p, const struct conv_run *r, int64_t column)
{
    for (int i = 0; i < r->nspans; i++) {
        const struct conv_span *s = &r->span[i];
        for (int64_t k = s->first; k < s->first + s->count; k++) {
            int64_t pixels = column - k * p->kw.step;
            if (pixels % p->is_w == 0 && pixels / p->is_w >= s->from && pixels / p->is_w < s->to) return true;
        }
    }
    return false;
}

/* The same for a single tap, whose pixels [from, to) lie side by side: half the instructions. Two pixels are one vector
   of pairs of channels, so first come the even channels of both, then the odd ones. */
static V widened_twos(struct conv_emitter *c, const struct conv_span *s, V in, V to)
{
    struct emit *e = c->e;
    const int64_t v = e->v;
    LLVMTypeRef half = LLVMVectorType(e->i32, (unsigned)v / 2);
    for (int64_t t = s->from; t < s->to; t += 2) {
        V at = e_ati_d(e, c->in_dtype, in, t * c->p->in.w), pairs, even, odd, lanes[MAX_LANES];
        for (int i = 0; i < v; i++) lanes[i] = LLVMConstInt(e->i32, (unsigned)i, 0);
        if (t + 1 < s->to) pairs = e_load_t(e, e->vi32, at, 2u * (unsigned)v);
        else
            pairs = LLVMBuildShuffleVector(e->b, e_load_t(e, half, at, 2u * (unsigned)v), LLVMConstNull(half),
                                           LLVMConstVector(lanes, (unsigned)v), "");
        e_widen_pairs(e, c->in_dtype, pairs, &even, &odd);
        V partial = e_ati(e, to, (t - s->from) * v);
        e_store_va(e, even, partial);
        e_store_va(e, odd, e_ati(e, partial, v));
    }
    return to;
}

/* Converts the pixels at IN that a tile reads under a row of taps to f32, in row R of the scratch. */
static V widened(struct conv_emitter *c, const struct conv_run *run, V in, int64_t r)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    struct conv_columns k = conv_columns(p, run->width);
    V to = e_at_bytes(e, e->scratch,
                      e_int(e, conv_zero_row_bytes(p) + r * round_up(k.count, 2) * e->v * (int64_t)sizeof(float)));
    if (c->by_twos) return widened_twos(c, &run->span[0], in, to);
    for (int64_t i = 0; i < k.count; i++)
        if (reads_column(p, run, k.first + i))
            e_store_va(e, e_load_vd(e, c->in_dtype, e_ati_d(e, c->in_dtype, in, (k.first + i) * p->in.w)),
                       e_ati(e, to, i * e->v));
    return e_ati(e, to, -k.first * e->v);
}

/* One span: its taps, and all channels of a block. When taps follow each other in memory as channels do, one loop
   runs over both. */
static void span(struct conv_emitter *c, const V *rows, V wp, const struct conv_span *s, int64_t width, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t nacc = p->ov * c->th * width;
    V ip[MAX_TH];
    bool flat = p->in.c == 1 && p->kw.step * p->in.w == p->ic && p->kw.wstep == 1 && p->weight_kw == p->ic * e->v &&
                !p->depthwise;
    for (int64_t r = 0; r < c->th; r++) ip[r] = e_ati_d(e, c->read_dtype, rows[r], s->first * p->kw.step * p->in.w);
    wp = e_ati_d(e, c->weight_dtype, wp, (p->kw.first + s->first * p->kw.wstep) * p->weight_kw);
    struct loop taps, chans;
    bool tap_loop = s->count > 1 && !flat;
    if (tap_loop) {
        loop_begin_once(e, &taps, e_int(e, 0), e_int(e, s->count), 1, (int)nacc, acc);
        memcpy(acc, taps.phi, (size_t)nacc * sizeof *acc);
        for (int64_t r = 0; r < c->th; r++)
            ip[r] = e_at_d(e, c->read_dtype, ip[r], e_muli(e, taps.iv, p->kw.step * p->in.w));
        wp = e_at_d(e, c->weight_dtype, wp, e_muli(e, taps.iv, p->kw.wstep * p->weight_kw));
    }
    conv_prefetch_weights(c, tap_loop ? e_addi(e, taps.iv, s->first) : e_int(e, s->first));
    int64_t channels = p->depthwise ? 1 : flat ? p->ic * s->count : p->ic;
    if (p->depthwise) step_depthwise(c, ip[0], wp, s->from, s->to, acc);
    else if (channels == c->unroll) {
        conv_prefetch_pixels(c, e_int(e, 0), 1, width);
        step(c, ip, wp, s->from, s->to, width, acc);
    } else {
        loop_begin_once(e, &chans, e_int(e, 0), e_int(e, channels), c->unroll, (int)nacc, acc);
        memcpy(acc, chans.phi, (size_t)nacc * sizeof *acc);
        for (int64_t r = 0; r < c->th; r++)
            ip[r] = e_at_d(e, c->read_dtype, ip[r], c->by_twos ? e_divi(e, chans.iv, 2) : e_muli(e, chans.iv, p->in.c));
        conv_prefetch_pixels(c, e_divi(e, chans.iv, c->unroll), channels / c->unroll, width);
        step(c, ip, e_at_d(e, c->weight_dtype, wp, e_muli(e, chans.iv, e->v)), s->from, s->to, width, acc);
        loop_end(e, &chans, acc);
        memcpy(acc, chans.out, (size_t)nacc * sizeof *acc);
    }
    if (tap_loop) {
        loop_end(e, &taps, acc);
        memcpy(acc, taps.out, (size_t)nacc * sizeof *acc);
    }
}

/* The taps k in [*k0, *k1) that read an input row which exists, for output row Y: 0 <= base + k·step < ih. */
static V row_range(struct conv_emitter *c, V y, V *k0, V *k1)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    V base = e_addi(e, e_muli(e, y, p->is), p->kh.base), zero = e_int(e, 0);
    int64_t s = p->kh.step < 0 ? -p->kh.step : p->kh.step;
    V lo, hi;
    if (p->kh.step > 0) { /* ceil(-base / s) and ceil((ih - base) / s), not below zero */
        lo = e_divi(e, e_max(e, e_sub(e, e_int(e, s - 1), base), zero), s);
        hi = e_divi(e, e_max(e, e_sub(e, e_int(e, p->ih + s - 1), base), zero), s);
    } else { /* base - k·s < ih and base - k·s >= 0 */
        lo = e_divi(e, e_max(e, e_addi(e, base, s - p->ih), zero), s);
        hi = e_divi(e, e_max(e, e_addi(e, base, s), zero), s);
    }
    *k0 = lo;
    *k1 = e_min(e, hi, e_int(e, p->kh.count));
    return base;
}

/* Does every output row read every tap? Then the bounds are constants. */
static bool rows_inside(const struct conv_params *p)
{
    int64_t last = (p->rows - 1) * p->is;
    int64_t a = p->kh.base, b = p->kh.base + (p->kh.count - 1) * p->kh.step;
    return min_i64(a, b) >= 0 && last + max_i64(a, b) < p->ih;
}

/* The two input rows that a tap row meets in a tile of two, at IN; a row of zeros where there is none. */
static void row_pair(struct conv_emitter *c, V in_row, V in, V zeros, V *ip)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    for (int64_t r = 0; r < c->th; r++) {
        V row = e_addi(e, in_row, r * p->is);
        V inside = LLVMBuildICmp(e->b, LLVMIntULT, row, e_int(e, p->ih), "");
        ip[r] = e_select(e, inside, e_at_d(e, c->in_dtype, in, e_muli(e, row, p->in.h)), zeros);
    }
}

/* A tile's place in the image, and the rows of taps that it reads. */
struct tile_place {
    const struct conv_run *run;
    V x, base, k0, k1, first, in; /* FIRST: elements from a row's start to the tile's first pixel; IN: c->in and that */
};

/* acc += tap rows [FROM, TO) of the block whose pixels lie at IN and weights at WP1. */
static void add_rows(struct conv_emitter *c, const struct tile_place *t, V in, V wp1, V from, V to, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t nacc = p->ov * c->th * t->run->width;
    struct loop rows;
    bool row_loop = p->kh.count > 1 || !rows_inside(p);
    V k = e_int(e, 0);
    if (row_loop) {
        (rows_inside(p) ? loop_begin_once : loop_begin)(e, &rows, from, to, 1, (int)nacc, acc);
        memcpy(acc, rows.phi, (size_t)nacc * sizeof *acc);
        k = rows.iv;
    }
    conv_aim_weights(c, c->ib, k);
    V in_row = e_add(e, t->base, e_muli(e, k, p->kh.step)),
      ip[MAX_TH] = {e_at_d(e, c->in_dtype, in, e_muli(e, in_row, p->in.h))};
    if (c->th > 1) row_pair(c, in_row, in, e_at_d(e, c->in_dtype, e->scratch, t->first), ip);
    if (conv_widens(p))
        for (int64_t i = 0; i < c->th; i++) ip[i] = widened(c, t->run, ip[i], i);
    V wp = e_at_d(e, c->weight_dtype, wp1,
                  e_addi(e, e_muli(e, k, p->kh.wstep * p->weight_kh), p->kh.first * p->weight_kh));
    if (p->row) row_of_taps(c, t->run, ip, wp, acc);
    for (int i = 0; i < t->run->nspans && !p->row; i++) span(c, ip, wp, &t->run->span[i], t->run->width, acc);
    if (row_loop) {
        loop_end(e, &rows, acc);
        memcpy(acc, rows.out, (size_t)nacc * sizeof *acc);
    }
}

/* A chain ends: its sums join those of the chains before it (c->total), and the next one starts from zero. */
static void end_chain(struct conv_emitter *c, int64_t nacc, V *acc)
{
    struct emit *e = c->e;
    for (int64_t i = 0; i < nacc; i++) {
        V at = e_ati(e, c->total, i * e->v);
        e_store_va(e, e_fadd(e, e_load_va(e, at), acc[i]), at);
        acc[i] = e_zero(e);
    }
}

/* acc += input block IB; where its rows are cut, they go to c->total. */
static void add_block(struct conv_emitter *c, const struct tile_place *t, V ib, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    c->ib = ib;
    conv_prefetch_body(c, t->run, t->x, ib);
    V in_block = p->segments.count > 1
                     ? e_at_d(e, c->in_dtype, segments_plane(e, &p->segments, &p->in, c->segment, ib).at, t->first)
                     : NULL;
    V in = in_block ? in_block : e_at_d(e, c->in_dtype, t->in, e_muli(e, ib, p->in.cb)),
      wp = e_at_d(e, c->weight_dtype, c->weight, e_muli(e, ib, p->weight_ib));
    if (!p->cut.rows) {
        add_rows(c, t, in, wp, t->k0, t->k1, acc);
        return;
    }
    struct loop chains;
    loop_begin(e, &chains, t->k0, t->k1, p->cut.rows, 0, NULL);
    add_rows(c, t, in, wp, chains.iv, e_min(e, e_addi(e, chains.iv, p->cut.rows), t->k1), acc);
    end_chain(c, p->ov * c->th * t->run->width, acc);
    loop_end(e, &chains, NULL);
}

/* acc += input blocks [FROM, TO). */
static void add_blocks(struct conv_emitter *c, const struct tile_place *t, V from, V to, V *acc)
{
    struct emit *e = c->e;
    int64_t nacc = c->p->cut.rows ? 0 : c->p->ov * c->th * t->run->width;
    struct loop blocks;
    if (c->p->icb == 1) {
        add_block(c, t, e_int(e, 0), acc);
        return;
    }
    loop_begin_once(e, &blocks, from, to, 1, (int)nacc, acc);
    memcpy(acc, blocks.phi, (size_t)nacc * sizeof *acc);
    add_block(c, t, blocks.iv, acc);
    loop_end(e, &blocks, acc);
    memcpy(acc, blocks.out, (size_t)nacc * sizeof *acc);
}

/* The same for sums of several chains (kernel/chain.h). */
static void add_chains(struct conv_emitter *c, const struct tile_place *t, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t nacc = p->ov * c->th * t->run->width;
    V all = e_int(e, p->icb);
    for (int64_t i = 0; i < nacc; i++) e_store_va(e, e_zero(e), e_ati(e, c->total, i * e->v));
    if (p->cut.blocks) {
        struct loop chains;
        loop_begin_once(e, &chains, e_int(e, 0), all, p->cut.blocks, 0, NULL);
        add_blocks(c, t, chains.iv, e_min(e, e_addi(e, chains.iv, p->cut.blocks), all), acc);
        end_chain(c, nacc, acc);
        loop_end(e, &chains, NULL);
    } else add_blocks(c, t, e_int(e, 0), all, acc);
    for (int64_t i = 0; i < nacc; i++) acc[i] = e_load_va(e, e_ati(e, c->total, i * e->v));
}

static void tile_sum(struct conv_emitter *c, const struct conv_run *r, V x, V base, V k0, V k1, V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    for (int64_t i = 0; i < p->ov * c->th * r->width; i++) acc[i] = e_zero(e);
    if (r->nspans == 0 || p->kh.count == 0) return;
    V first = e_addi(e, e_muli(e, x, p->is_w * p->in.w), p->kw.base * p->in.w);
    struct tile_place t = {r, x, base, k0, k1, first, e_at_d(e, c->in_dtype, c->in, first)};
    if (conv_prefetches_pixels(c)) conv_aim_pixels(c, r, x);
    if (c->total) add_chains(c, &t, acc);
    else add_blocks(c, &t, e_int(e, 0), e_int(e, p->icb), acc);
}

/* The results of pixel I, OFFSET elements behind AT. Of two rounded neighbours the first is HELD back: one
   instruction rounds both. */
static void store_pixel(struct conv_emitter *c, const struct conv_run *r, int64_t i, V at, int64_t offset,
                        const V *result, V *held)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t t = i % r->width;
    for (int k = 0; k < p->body.nout; k++) {
        const enum dtype dt = conv_result_dtype(p, k);
        bool two = dtype_group(dt) == 2 && p->os_w == 1 && p->out.w == e->v;
        V to = e_ati_d(e, dt, e_at_d(e, dt, c->result[k], at), offset - (two && t % 2 ? p->out.w : 0));
        if (two && t % 2) e_store_two(e, dt, held[k], result[k], to);
        else if (two && t + 1 < r->width) held[k] = result[k];
        else e_store_vd(e, dt, result[k], to);
    }
}

/* The tile through the body into memory, while it is still in registers. */
static void tile_store(struct conv_emitter *c, const struct conv_run *r, V x, V y, const V *acc)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    V row = e_muli(e, e_addi(e, e_muli(e, y, p->os_h), p->y0), p->out.h);
    V at = e_add(e, row, e_muli(e, e_addi(e, e_muli(e, x, p->os_w), p->x0), p->out.w));
    V count = e_int(e, c->th * r->width);
    for (int64_t o = 0; o < p->ov; o++) {
        struct sums_tile t;
        V held[MAX_OUTS];
        sums_tile_begin(e, &c->sums, &t);
        for (int64_t i = 0; i < c->th * r->width; i++) {
            int64_t offset = o * p->out.cb + i / r->width * p->os_h * p->out.h + i % r->width * p->os_w * p->out.w;
            V full[MAX_BODY_OPERANDS] = {0}, result[MAX_OUTS], term[MAX_SUMS][2];
            for (int k = 0; k < p->body.noperands; k++)
                if (p->body.operand[k].shape == OPERAND_FULL)
                    full[k] = e_load_vd(e, conv_operand_dtype(p, k),
                                        e_ati_d(e, conv_operand_dtype(p, k),
                                                e_at_d(e, conv_operand_dtype(p, k), c->operand[k], at), offset));
            body_apply_sums(e, &c->state[o], &acc[o * c->th * r->width + i], full, c->lanes[o], result, term);
            store_pixel(c, r, i, at, offset, result, held);
            if (i == 0) sums_tile_shift(&c->sums, &t, term);
            sums_add(e, &c->sums, &t, term);
        }
        sums_tile_end(e, &c->sums, &t, o, count);
    }
    sums_count(e, &c->sums, count);
}

static void tile(struct conv_emitter *c, const struct conv_run *r, V x, V y, V base, V k0, V k1)
{
    V acc[MAX_ACC];
    assert(c->p->ov <= MAX_OV && c->th <= MAX_TH && c->p->ov * c->th * r->width <= MAX_ACC);
    tile_sum(c, r, x, base, k0, k1, acc);
    tile_store(c, r, x, y, acc);
}

/* TH output rows from Y on. */
static void tile_row(struct conv_emitter *c, V y, int64_t th)
{
    struct emit *e = c->e;
    struct conv_run runs[CONV_MAX_RUNS];
    int nruns = conv_runs(c->p, runs);
    V k0 = e_int(e, 0), k1 = e_int(e, c->p->kh.count), base;
    c->row = y;
    c->th = th;
    if (c->p->kh.count == 0) base = e_int(e, 0);
    else if (rows_inside(c->p)) base = e_addi(e, e_muli(e, y, c->p->is), c->p->kh.base);
    else base = row_range(c, y, &k0, &k1);
    if (th > 1 && !rows_inside(c->p)) { /* the taps of either row */
        V first, last;
        row_range(c, e_addi(e, y, 1), &first, &last);
        k0 = e_min(e, k0, first);
        k1 = e_max(e, k1, last);
    }
    int64_t done = 0;
    for (int i = 0; i < nruns; done += runs[i++].count) {
        const struct conv_run *r = &runs[i];
        c->tile = e_int(e, done);
        if (r->count == 1) {
            tile(c, r, e_int(e, r->x), y, base, k0, k1);
            continue;
        }
        struct loop l;
        loop_begin_once(e, &l, e_int(e, r->x), e_int(e, r->x + r->count * r->width), r->width, 0, NULL);
        c->tile = e_addi(e, e_divi(e, e_addi(e, l.iv, -r->x), r->width), done);
        tile(c, r, l.iv, y, base, k0, k1);
        loop_end(e, &l, NULL);
    }
}

/* Dense layers: columns are samples. Tiles beyond the last sample of the run are skipped. */
static void tile_samples(struct conv_emitter *c, V first, V last)
{
    struct emit *e = c->e;
    struct conv_run runs[CONV_MAX_RUNS];
    int nruns = conv_runs(c->p, runs);
    V n = e_min(e, e_run_n(e), last), k1 = e_int(e, 1), zero = e_int(e, 0);
    for (int i = 0; i < nruns; i++) {
        const struct conv_run *r = &runs[i];
        struct loop l;
        V from = e_max(e, e_int(e, r->x), first), to = e_min(e, e_int(e, r->x + r->count * r->width), n);
        loop_begin(e, &l, from, to, r->width, 0, NULL);
        tile(c, r, l.iv, zero, zero, zero, k1);
        loop_end(e, &l, NULL);
    }
}

/* Channel and scalar operands of the body for each output vector, and the masks of the last channel block. */
static void begin_bodies(struct conv_emitter *c)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    for (int64_t o = 0; o < p->ov; o++)
        body_begin_block(e, &c->state[o], &p->body, c->operand, p->oc, e_addi(e, c->ob, o), &c->lanes[o]);
}

static void open_task(struct conv_emitter *c, V og, V n)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    c->ob = e_muli(e, og, p->ov);
    int64_t groups = p->ocb / p->ov, next = p->ov * p->weight_block;
    c->next_group =
        e_select(e, e_cmp(e, LLVMIntEQ, og, e_int(e, groups - 1)), e_int(e, -(groups - 1) * next), e_int(e, next));
    V in_block = p->group_ocb == p->ocb ? e_int(e, 0)
                 : p->depthwise         ? c->ob
                                        : e_muli(e, e_divi(e, c->ob, p->group_ocb), p->icb);
    c->in = e_at_d(e, c->in_dtype, e_arg(e, 0), e_add(e, e_muli(e, n, p->in.n), e_muli(e, in_block, p->in.cb)));
    if (p->segments.count > 1) segments_load(e, &p->segments, 0, 2 + p->body.noperands + p->body.nout, c->segment);
    for (int k = 0; k < p->segments.count && p->segments.count > 1; k++)
        c->segment[k] = e_at_d(e, c->in_dtype, c->segment[k], e_muli(e, n, p->segments.n[k]));
    V weights = p->group_ocb * p->weight_block == p->weight_group
                    ? e_muli(e, c->ob, p->weight_block)
                    : e_add(e, e_muli(e, e_remi(e, c->ob, p->group_ocb), p->weight_block),
                            e_muli(e, e_divi(e, c->ob, p->group_ocb), p->weight_group));
    c->weight = e_at_d(e, c->weight_dtype, e_arg(e, 1), weights);
    V at = e_add(e, e_muli(e, n, p->out.n), e_muli(e, c->ob, p->out.cb));
    for (int k = 0; k < p->body.nout; k++)
        c->result[k] = e_at_d(e, conv_result_dtype(p, k), e_arg(e, k == 0 ? 2 : 2 + p->body.noperands + k), at);
    for (int k = 0; k < p->body.noperands; k++) {
        c->operand[k] = e_arg(e, 3 + k);
        if (p->body.operand[k].shape == OPERAND_FULL)
            c->operand[k] = e_at_d(e, conv_operand_dtype(p, k), c->operand[k], at);
    }
    begin_bodies(c);
}

/* Task number -> output group, image, row chunk. */
static void decode_task(struct conv_emitter *c, V task, V *og, V *n, V *chunk)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t groups = p->ocb / p->ov;
    if (p->by_sample) {
        *n = e_int(e, 0);
        *og = e_divi(e, task, p->chunks);
        *chunk = e_remi(e, task, p->chunks);
    } else if (p->images) {
        V block = e_divi(e, task, groups * p->chunks * p->images), first = e_muli(e, block, p->images);
        V images = e_min(e, e_int(e, p->images), e_sub(e, e_run_n(e), first)), each = e_muli(e, images, p->chunks);
        V within = e_sub(e, task, e_muli(e, block, groups * p->chunks * p->images)), outer = e_rem(e, within, each);
        *og = e_div(e, within, each);
        *n = e_add(e, first, e_divi(e, outer, p->chunks));
        *chunk = e_remi(e, outer, p->chunks);
        c->last_image = e_cmp(e, LLVMIntEQ, e_sub(e, *n, first), e_addi(e, images, -1));
    } else {
        *og = e_remi(e, task, groups);
        V outer = e_divi(e, task, groups);
        *n = e_divi(e, outer, p->chunks);
        *chunk = e_remi(e, outer, p->chunks);
    }
}

/* Writes the row of zeros. Tiles of two rows read it where one of their rows is outside the image. */
static void zero_row(struct conv_emitter *c)
{
    struct emit *e = c->e;
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), e_int(e, c->p->iw * c->p->in.w), e->v, 0, NULL);
    e_store_vd(e, c->in_dtype, e_zero(e), e_at_d(e, c->in_dtype, e->scratch, l.iv));
    loop_end(e, &l, NULL);
}

static void tile_rows(struct conv_emitter *c, V first, V last)
{
    struct emit *e = c->e;
    int64_t th = c->p->th;
    struct loop l;
    V even = e_add(e, first, e_muli(e, e_divi(e, e_sub(e, last, first), th), th));
    loop_begin(e, &l, first, even, th, 0, NULL);
    tile_row(c, l.iv, th);
    loop_end(e, &l, NULL);
    if (th == 1) return;
    loop_begin(e, &l, even, last, 1, 0, NULL);
    tile_row(c, l.iv, 1);
    loop_end(e, &l, NULL);
}

void conv_emit(struct emit *e, const void *params)
{
    struct conv_emitter c = {.e = e, .p = params};
    const struct conv_params *p = c.p;
    c.in_dtype = conv_view_dtype(&p->in);
    c.read_dtype = conv_widens(p) ? dtype_computed(c.in_dtype) : c.in_dtype;
    c.weight_dtype = (enum dtype)p->weight_dtype;
    c.by_twos = conv_widens(p) && p->kw.count == 1 && p->is_w == 1 && p->in.w == e->v && p->ic % 2 == 0;
    bool many = e->target->registers < 32 || dtype_group(c.weight_dtype) == 2;
    c.unroll = p->ic % 8 == 0 && many        ? 8
               : p->ic % 4 == 0              ? 4
               : p->ic % 2 == 0 && p->ic > 4 ? 2
               : p->ic <= 4                  ? p->ic
                                             : 1;
    struct loop tasks;
    c.th = 1;
    sums_open(e, &c.sums, &p->body, p->ov);
    if (p->cut.blocks || p->cut.rows) c.total = e_local(e, p->ov * p->th * p->tw);
    if (p->th > 1) zero_row(&c);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    V og, n, chunk;
    decode_task(&c, tasks.iv, &og, &n, &chunk);
    open_task(&c, og, n);
    sums_clear(e, &c.sums, p->ov);
    V first = e_muli(e, chunk, p->chunk);
    if (p->by_sample) tile_samples(&c, first, e_addi(e, first, p->chunk));
    else {
        V last = e_min(e, e_addi(e, first, p->chunk), e_int(e, p->rows));
        tile_rows(&c, first, last);
    }
    V partial = e_add(e, e_muli(e, n, p->chunks), chunk),
      partials = p->body.nsums
                     ? e_arg(e, (int)(2 + p->body.noperands + p->body.nout + max_i64(p->segments.count - 1, 0)))
                     : NULL;
    for (int64_t o = 0; partials && o < p->ov; o++)
        sums_store(e, &c.sums, o, partials, partial, e_addi(e, c.ob, o), e_int(e, p->ocb));
    loop_end(e, &tasks, NULL);
}
