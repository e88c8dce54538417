/* wgrad.c: gradients by weights. dw[o, i, kh, kw] = Σ samples, pixels  x[i, y·s + kh·d − p, …] · dy[o, y, …].
   One tap at a time: the accumulators are ci input channels × ov output vectors and live in registers over a band of
   rows. Every task owns a chunk of dw (or of a partial, where samples are shared out too: kernel/partials.h) and goes
   over its samples once, band by band: a band of all its channels stays in the second-level cache, one of an input
   block and of ov output vectors in the first. The partials are added up in a fixed order by a second step. Operands in
   bf16 have the same partition and a kernel of their own (wgrad_staged.c). */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/conv/grouped.h"
#include "gen/conv/segments.h"
#include "gen/wgrad/wgrad.h"
#include "gen/winograd/winograd_wgrad.h"
#include "kernel/algorithm.h"
#include "kernel/partials.h"

struct wgrad_emitter {
    struct emit *e;
    const struct wgrad_params *p;
    V x[MAX_SEGMENTS], dy; /* whole values */
    struct wgrad_task task;
    V sample_x[MAX_SEGMENTS], sample_dy; /* the sample's */
    V out_dy, out_dw;                    /* of the current group of output blocks */
    V next_x[MAX_SEGMENTS], next_dy;     /* floats from a pixel of this band to that of the next */
    V ahead_x,
        ahead_dy[WGRAD_MAX_OV]; /* those, where these blocks are the ones to prefetch it; else 0; NULL: no prefetch */
    V pixel_x, pixel_y;         /* floats between two pixels of a row */
};

int64_t wgrad_input_block(const struct wgrad_params *p, int64_t v) { return p->kernel[0] * p->kernel[1] * p->iv * v; }
int64_t wgrad_output_block(const struct wgrad_params *p, int64_t v) { return p->icb * wgrad_input_block(p, v); }

/* Pixels [from, to) of a row: acc += x ⊗ dy, STEP pixels an iteration. */
static void pixels(struct wgrad_emitter *c, V xp, V yp, V from, V to, int64_t unroll, V *acc)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    int nacc = (int)(p->ci * p->ov);
    struct loop l;
    loop_begin(e, &l, from, to, unroll, nacc, acc);
    memcpy(acc, l.phi, (size_t)nacc * sizeof *acc);
    for (int64_t u = 0; u < unroll; u++) {
        V at = e_addi(e, l.iv, u), xu = e_at(e, xp, e_mul(e, at, c->pixel_x)),
          yu = e_at(e, yp, e_mul(e, at, c->pixel_y)), g[WGRAD_MAX_OV];
        if (c->ahead_x) e_prefetch(e, e_at(e, xu, c->ahead_x));
        for (int64_t o = 0; o < p->ov; o++) {
            g[o] = e_load_va(e, e_ati(e, yu, o * p->dy.cb));
            if (c->ahead_x) e_prefetch(e, e_at(e, e_ati(e, yu, o * p->dy.cb), c->ahead_dy[o]));
        }
        for (int64_t i = 0; i < p->ci; i++) {
            V s = e_splat(e, e_load(e, e_ati(e, xu, i * p->x.c)));
            for (int64_t o = 0; o < p->ov; o++) acc[i * p->ov + o] = e_fma(e, s, g[o], acc[i * p->ov + o]);
        }
    }
    loop_end(e, &l, acc);
    memcpy(acc, l.out, (size_t)nacc * sizeof *acc);
}

static void pixel_row(struct wgrad_emitter *c, V xp, V yp, V from, V to, V *acc)
{
    struct emit *e = c->e;
    V even = e_add(e, from, e_muli(e, e_divi(e, e_max(e, e_sub(e, to, from), e_int(e, 0)), 2), 2));
    pixels(c, xp, yp, from, even, 2, acc);
    pixels(c, xp, yp, even, to, 1, acc);
}

struct wgrad_range wgrad_tap_range(struct emit *e, const struct wgrad_params *p, int axis, V k)
{
    int64_t s = p->stride[axis], size_x = axis ? p->iw : p->ih, size_y = axis ? p->cols : p->rows;
    V base = e_sub(e, e_int(e, p->pad[axis]), e_muli(e, k, p->dilation[axis])), zero = e_int(e, 0); /* x = y·s − base */
    V from = e_divi(e, e_max(e, e_addi(e, base, s - 1), zero), s);
    return (struct wgrad_range){from, e_min(e, e_divi(e, e_max(e, e_addi(e, base, size_x + s - 1), zero), s),
                                            e_int(e, size_y))};
}

void wgrad_begin(struct emit *e, const struct wgrad_params *p, V dw, V *acc)
{
    for (int64_t i = 0; i < p->ci; i++)
        for (int64_t o = 0; o < p->ov; o++)
            acc[i * p->ov + o] =
                p->fresh ? e_zero(e) : e_load_va(e, e_ati(e, dw, i * e->v + o * wgrad_output_block(p, e->v)));
}

void wgrad_end(struct emit *e, const struct wgrad_params *p, V dw, const V *acc)
{
    for (int64_t i = 0; i < p->ci; i++)
        for (int64_t o = 0; o < p->ov; o++) {
            V at = e_ati(e, dw, i * e->v + o * wgrad_output_block(p, e->v)), sum = acc[i * p->ov + o];
            e_store_va(e, p->fresh ? e_fadd(e, e_load_va(e, at), sum) : sum, at);
        }
}

/* One tap, CI channels. */
static void tap_block(struct wgrad_emitter *c, V xp, V dwp, struct wgrad_range y, struct wgrad_range x)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    int nacc = (int)(p->ci * p->ov);
    V acc[WGRAD_MAX_CI * WGRAD_MAX_OV];
    wgrad_begin(e, p, dwp, acc);
    struct loop rows;
    loop_begin(e, &rows, y.from, y.to, 1, nacc, acc);
    memcpy(acc, rows.phi, (size_t)nacc * sizeof *acc);
    V xr = e_at(e, xp, e_muli(e, rows.iv, p->stride[0] * p->x.h)), yr = e_at(e, c->out_dy, e_muli(e, rows.iv, p->dy.h));
    pixel_row(c, xr, yr, x.from, x.to, acc);
    loop_end(e, &rows, acc);
    wgrad_end(e, p, dwp, rows.out);
}

/* All taps of one input block over the rows [r0, r1) (dense: over COLS samples). */
static void band_block(struct wgrad_emitter *c, V x, V dw, V r0, V r1, V cols)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    struct loop kh, kw, ch;
    loop_begin(e, &kh, e_int(e, 0), e_int(e, p->kernel[0]), 1, 0, NULL);
    struct wgrad_range y = wgrad_tap_range(e, p, 0, kh.iv);
    y.from = e_max(e, y.from, r0);
    y.to = e_min(e, y.to, r1);
    loop_begin(e, &kw, e_int(e, 0), e_int(e, p->kernel[1]), 1, 0, NULL);
    struct wgrad_range w = wgrad_tap_range(e, p, 1, kw.iv);
    w.to = e_min(e, w.to, cols);
    V dy0 = e_addi(e, e_muli(e, kh.iv, p->dilation[0]), -p->pad[0]),
      dx0 = e_addi(e, e_muli(e, kw.iv, p->dilation[1]), -p->pad[1]);
    V xk = e_at(e, x, e_add(e, e_muli(e, dy0, p->x.h), e_muli(e, dx0, p->x.w)));
    V tap = e_add(e, e_muli(e, kh.iv, p->kernel[1]), kw.iv), dwk = e_at(e, dw, e_muli(e, tap, p->iv * e->v));
    loop_begin(e, &ch, e_int(e, 0), e_int(e, p->ic), p->ci, 0, NULL);
    tap_block(c, e_at(e, xk, e_muli(e, ch.iv, p->x.c)), e_at(e, dwk, e_muli(e, ch.iv, e->v)), y, w);
    loop_end(e, &ch, NULL);
    loop_end(e, &kw, NULL);
    loop_end(e, &kh, NULL);
}

V wgrad_group_input(struct emit *e, const struct wgrad_params *p, V ob)
{
    return p->group_ocb == p->ocb ? e_int(e, 0) : e_muli(e, e_divi(e, ob, p->group_ocb), p->icb);
}

/* Where the band after [R0, R1) lies: further down in this sample, or at the top of the partial's next one. */
static void aim_next(struct wgrad_emitter *c, V r0, V r1)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    int64_t x_row = p->stride[0] * p->x.h;
    V last = e_cmp(e, LLVMIntSGE, r1, e_int(e, p->rows));
    for (int k = 0; k < p->segments.count; k++)
        c->next_x[k] = e_select(e, last, e_sub(e, e_int(e, p->partials * p->segments.n[k]), e_muli(e, r0, x_row)),
                                e_int(e, p->band * x_row));
    c->next_dy = e_select(e, last, e_sub(e, e_int(e, p->partials * p->dy.n), e_muli(e, r0, p->dy.h)),
                          e_int(e, p->band * p->dy.h));
}

/* The next band comes from the outer caches, which idle while this one is summed up: each block of x is prefetched when
   it meets the task's first group of dy, each vector of dy when it meets one of the first blocks of x. */
static void aim_ahead(struct wgrad_emitter *c, V og, V ib)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    if (p->by_sample || p->x.c != 1) return;
    V zero = e_int(e, 0), next_x = c->next_x[0];
    for (int k = 1; k < p->segments.count; k++)
        next_x = e_select(e, e_cmp(e, LLVMIntSGE, ib, e_int(e, p->segments.first[k])), c->next_x[k], next_x);
    c->ahead_x = e_select(e, e_cmp(e, LLVMIntEQ, og, c->task.og0), next_x, zero);
    for (int64_t o = 0; o < p->ov; o++)
        c->ahead_dy[o] =
            e_select(e, e_cmp(e, LLVMIntEQ, ib, e_addi(e, c->task.ib0, p->ib_chunk > 1 ? o % p->ib_chunk : 0)),
                     c->next_dy, zero);
}

/* One sample (dense: all samples of the partial): bands of rows, and in each the task's blocks. */
static void sample(struct wgrad_emitter *c, V cols)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    struct loop bands, groups, blocks;
    loop_begin(e, &bands, e_int(e, 0), e_int(e, p->rows), p->band, 0, NULL);
    V r1 = e_min(e, e_addi(e, bands.iv, p->band), e_int(e, p->rows));
    aim_next(c, bands.iv, r1);
    loop_begin(e, &groups, c->task.og0, c->task.og1, 1, 0, NULL);
    V ob = e_muli(e, groups.iv, p->ov), group = wgrad_group_input(e, p, ob);
    c->out_dy = e_at(e, c->sample_dy, e_muli(e, ob, p->dy.cb));
    c->out_dw = e_at(e, c->task.dw, e_muli(e, ob, wgrad_output_block(p, e->v)));
    loop_begin(e, &blocks, c->task.ib0, c->task.ib1, 1, 0, NULL);
    aim_ahead(c, groups.iv, blocks.iv);
    V dw = e_at(e, c->out_dw, e_muli(e, blocks.iv, wgrad_input_block(p, e->v)));
    V x = segments_plane(e, &p->segments, &p->x, c->sample_x, e_add(e, group, blocks.iv)).at;
    band_block(c, x, dw, bands.iv, r1, cols);
    loop_end(e, &blocks, NULL);
    loop_end(e, &groups, NULL);
    loop_end(e, &bands, NULL);
}

void wgrad_zero(struct emit *e, const struct wgrad_params *p, const struct wgrad_task *task)
{
    int64_t floats = wgrad_input_block(p, e->v);
    struct loop blocks, l;
    loop_begin(e, &blocks, e_muli(e, task->og0, p->ov), e_muli(e, task->og1, p->ov), 1, 0, NULL);
    V dw = e_at(e, task->dw, e_muli(e, blocks.iv, wgrad_output_block(p, e->v)));
    loop_begin(e, &l, e_muli(e, task->ib0, floats), e_muli(e, task->ib1, floats), e->v, 0, NULL);
    e_store_va(e, e_zero(e), e_at(e, dw, l.iv));
    loop_end(e, &l, NULL);
    loop_end(e, &blocks, NULL);
}

/* Dense: the samples partial, partial + partials, … are the columns. */
static void sample_columns(struct wgrad_emitter *c, V partial, V n)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    c->pixel_x = e_int(e, p->partials * p->x.w);
    c->pixel_y = e_int(e, p->partials * p->dy.w);
    c->sample_x[0] = e_at(e, c->x[0], e_muli(e, partial, p->x.w));
    c->sample_dy = e_at(e, c->dy, e_muli(e, partial, p->dy.w));
    V more = e_max(e, e_addi(e, e_sub(e, n, partial), p->partials - 1), e_int(e, 0));
    sample(c, e_divi(e, more, p->partials));
}

static void images(struct wgrad_emitter *c, V partial, V n)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    struct loop samples;
    c->pixel_x = e_int(e, p->stride[1] * p->x.w);
    c->pixel_y = e_int(e, p->dy.w);
    loop_begin(e, &samples, partial, n, p->partials, 0, NULL);
    for (int k = 0; k < p->segments.count; k++)
        c->sample_x[k] = e_at(e, c->x[k], e_muli(e, samples.iv, p->segments.n[k]));
    c->sample_dy = e_at(e, c->dy, e_muli(e, samples.iv, p->dy.n));
    sample(c, e_int(e, p->cols));
    loop_end(e, &samples, NULL);
}

struct wgrad_task wgrad_task_of(struct emit *e, const struct wgrad_params *p, V number, V partials)
{
    V in = e_remi(e, number, p->ib_chunks), outer = e_divi(e, number, p->ib_chunks);
    V out = e_remi(e, outer, p->og_chunks), partial = e_divi(e, outer, p->og_chunks);
    V ib0 = e_muli(e, in, p->ib_chunk), ib1 = e_min(e, e_addi(e, ib0, p->ib_chunk), e_int(e, p->icb));
    V og0 = e_muli(e, out, p->og_chunk), og1 = e_min(e, e_addi(e, og0, p->og_chunk), e_int(e, p->ocb / p->ov));
    return (struct wgrad_task){partial, e_at(e, partials, e_muli(e, partial, p->partial_floats)), ib0, ib1, og0, og1};
}

/* Arguments: x, dy, dw (or the partials), further segments of x. Tasks: (partial, chunk of output groups, chunk of
   input blocks). */
static void wgrad_emit(struct emit *e, const void *params)
{
    struct wgrad_emitter c = {.e = e, .p = params};
    const struct wgrad_params *p = c.p;
    struct loop tasks;
    V n = e_run_n(e), partials = e_arg(e, 2);
    segments_load(e, &p->segments, 0, 3, c.x);
    c.dy = e_arg(e, 1);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    c.task = wgrad_task_of(e, p, tasks.iv, partials);
    wgrad_zero(e, p, &c.task);
    if (p->by_sample) sample_columns(&c, c.task.partial, n);
    else images(&c, c.task.partial, n);
    loop_end(e, &tasks, NULL);
}

/* ---- depthwise: dw[c, kh, kw] is one vector of channels; four partial sums hide the latency */

/* SUM + x·dy of pixel AT of a row. */
static V depthwise_pixel(struct wgrad_emitter *c, V xr, V yr, V at, V sum)
{
    struct emit *e = c->e;
    enum dtype xt = conv_view_dtype(&c->p->x), yt = conv_view_dtype(&c->p->dy);
    V x = e_load_vd(e, xt, e_at_d(e, xt, xr, e_mul(e, at, c->pixel_x))),
      dy = e_load_vd(e, yt, e_at_d(e, yt, yr, e_mul(e, at, c->pixel_y)));
    return e_fma(e, x, dy, sum);
}

static void depthwise_tap(struct wgrad_emitter *c, V x, struct wgrad_range y, struct wgrad_range w, V *sum)
{
    struct emit *e = c->e;
    const struct wgrad_params *p = c->p;
    enum dtype xt = conv_view_dtype(&p->x), yt = conv_view_dtype(&p->dy);
    struct loop rows, four, one;
    loop_begin(e, &rows, y.from, y.to, 1, 4, sum);
    V xr = e_at_d(e, xt, x, e_muli(e, rows.iv, p->stride[0] * p->x.h)),
      yr = e_at_d(e, yt, c->sample_dy, e_muli(e, rows.iv, p->dy.h)), acc[4];
    V whole = e_add(e, w.from, e_muli(e, e_divi(e, e_max(e, e_sub(e, w.to, w.from), e_int(e, 0)), 4), 4));
    V zero[4] = {e_zero(e), e_zero(e), e_zero(e), e_zero(e)};
    loop_begin(e, &four, w.from, whole, 4, 4, p->fresh ? zero : rows.phi);
    for (int64_t u = 0; u < 4; u++) acc[u] = depthwise_pixel(c, xr, yr, e_addi(e, four.iv, u), four.phi[u]);
    loop_end(e, &four, acc);
    loop_begin(e, &one, whole, w.to, 1, 1, &four.out[0]);
    V next = depthwise_pixel(c, xr, yr, one.iv, one.phi[0]);
    loop_end(e, &one, &next);
    V done[4] = {one.out[0], four.out[1], four.out[2], four.out[3]};
    for (int i = 0; i < 4 && p->fresh; i++) done[i] = e_fadd(e, rows.phi[i], done[i]);
    loop_end(e, &rows, done);
    memcpy(sum, rows.out, 4 * sizeof *sum);
}

static void depthwise_emit(struct emit *e, const void *params)
{
    struct wgrad_emitter c = {.e = e, .p = params};
    const struct wgrad_params *p = c.p;
    struct loop tasks, samples;
    V n = e_run_n(e), x = e_arg(e, 0), dy = e_arg(e, 1), dw = e_arg(e, 2);
    int64_t taps = p->kernel[0] * p->kernel[1];
    c.pixel_x = e_int(e, p->stride[1] * p->x.w);
    c.pixel_y = e_int(e, p->dy.w);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL); /* (partial, channel block, tap) */
    V tap = e_remi(e, tasks.iv, taps), outer = e_divi(e, tasks.iv, taps), cb = e_remi(e, outer, p->ocb),
      partial = e_divi(e, outer, p->ocb);
    V kh = e_divi(e, tap, p->kernel[1]), kw = e_remi(e, tap, p->kernel[1]);
    struct wgrad_range y = wgrad_tap_range(e, p, 0, kh), w = wgrad_tap_range(e, p, 1, kw);
    V dy0 = e_addi(e, e_muli(e, kh, p->dilation[0]), -p->pad[0]),
      dx0 = e_addi(e, e_muli(e, kw, p->dilation[1]), -p->pad[1]);
    V shift = e_add(e, e_muli(e, dy0, p->x.h), e_muli(e, dx0, p->x.w)), sum[4];
    for (int i = 0; i < 4; i++) sum[i] = e_zero(e);
    loop_begin(e, &samples, partial, n, p->partials, 4, sum);
    memcpy(sum, samples.phi, sizeof sum);
    c.sample_dy =
        e_at_d(e, conv_view_dtype(&p->dy), dy, e_add(e, e_muli(e, samples.iv, p->dy.n), e_muli(e, cb, p->dy.cb)));
    V xn = e_add(e, e_muli(e, samples.iv, p->x.n), e_muli(e, cb, p->x.cb));
    depthwise_tap(&c, e_at_d(e, conv_view_dtype(&p->x), x, e_add(e, xn, shift)), y, w, sum);
    loop_end(e, &samples, sum);
    V total = e_fadd(e, e_fadd(e, samples.out[0], samples.out[1]), e_fadd(e, samples.out[2], samples.out[3]));
    V at = e_add(e, e_muli(e, partial, p->partial_floats), e_muli(e, e_add(e, e_muli(e, cb, taps), tap), e->v));
    e_store_va(e, total, e_at(e, dw, at));
    loop_end(e, &tasks, NULL);
}

/* ---- the partials' sum */

struct sum_params {
    int64_t floats, stride, partials, chunk;
};

static void sum_emit(struct emit *e, const void *params)
{
    const struct sum_params *p = params;
    V from = e_arg(e, 0), to = e_arg(e, 1);
    struct loop tasks, l;
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    V first = e_muli(e, tasks.iv, p->chunk), last = e_min(e, e_addi(e, first, p->chunk), e_int(e, p->floats));
    loop_begin(e, &l, first, last, e->v, 0, NULL);
    V at = e_at(e, from, l.iv), sum = e_load_va(e, at);
    for (int64_t s = 1; s < p->partials; s++) sum = e_fadd(e, sum, e_load_va(e, e_ati(e, at, s * p->stride)));
    e_store_va(e, sum, e_at(e, to, l.iv));
    loop_end(e, &l, NULL);
    loop_end(e, &tasks, NULL);
}

void lower_partial_sum(struct lower *lo, const struct value *partials_value, const struct value *out, int64_t floats,
                       int64_t stride, int64_t partials)
{
    struct sum_params p;
    memset(&p, 0, sizeof p);
    p = (struct sum_params){floats, stride, partials, 4096};
    struct lower_arg args[] = {arg_value(partials_value), arg_value(out)};
    lower_step(lo, lower_kernel(lo, "partial_sum", sum_emit, &p, sizeof p), div_up(floats, p.chunk), false, args, 2);
}

/* ---- lowering */

static void choose_blocking(const struct target *t, struct wgrad_params *p)
{
    int regs = t->registers;
    double best = 0;
    for (int64_t ov = 1; ov <= WGRAD_MAX_OV; ov++)
        for (int64_t ci = 1; ci <= WGRAD_MAX_CI && ci <= p->ic; ci++) {
            if (p->group_ocb % ov || p->ic % ci || ci * ov + ov + 1 > regs) continue;
            double fma = (double)(ci * ov) / 2, loads = (double)(ci + ov) / 2, cost = fma > loads ? fma : loads;
            double rate = fma / ((cost > 4 ? cost : 4) + 1); /* one cycle of overhead a pixel */
            if (rate > best) {
                best = rate;
                p->ci = ci;
                p->ov = ov;
            }
        }
    assert(p->ci && p->ov);
}

static void choose_partition(const struct target *t, struct wgrad_params *p, const struct wgrad_plan *plan)
{
    int64_t groups = p->ocb / p->ov;
    p->ib_chunk = div_up(p->icb, plan->in_chunks);
    p->ib_chunks = div_up(p->icb, p->ib_chunk);
    p->og_chunk = div_up(groups, min_i64(groups, plan->out_chunks));
    while (p->ocb != p->group_ocb && p->group_ocb / p->ov % p->og_chunk)
        p->og_chunk--; /* a task reads the input blocks of one group */
    p->og_chunks = div_up(groups, p->og_chunk);
    int64_t x_row = p->x.h * p->stride[0] * 4, dy_row = p->dy.h * p->ov * 4;
    int64_t first = (int64_t)t->l1_bytes * 3 / 4 / max_i64(x_row + dy_row, 1);
    int64_t second = (int64_t)t->l2_bytes / 2 / max_i64(x_row * p->ib_chunk + dy_row * p->og_chunk, 1);
    p->band = p->by_sample ? 1 : max_i64(1, min_i64(p->rows, min_i64(first, second)));
}

/* Pixels of a 1×1 convolution of stride 1 need not keep their rows: longer rows run the inner loop with less overhead;
   staged ones (PACK) are short enough that few of them already fill the first-level cache. */
static void flatten_pixels(struct wgrad_params *p, int64_t pack)
{
    int64_t pixels = p->rows * p->cols, most = pack ? 64 : 256, cols = p->cols;
    double best = 0;
    for (int64_t c = min_i64(p->cols, most); c <= most && c <= pixels; c++) {
        double full = (double)c / (double)(round_up(c, max_i64(pack, 1)) + 1); /* a pixel's time between two rows */
        if (pixels % c || full < best) continue;
        best = full;
        cols = c;
    }
    p->rows = p->ih = pixels / cols;
    p->cols = p->iw = cols;
    p->x.h = cols * p->x.w;
    p->dy.h = cols * p->dy.w;
}

static void set_geometry(struct wgrad_params *p, const struct node *n, int64_t *groups)
{
    *groups = 1;
    p->stride[0] = p->stride[1] = p->dilation[0] = p->dilation[1] = p->kernel[0] = p->kernel[1] = 1;
    if (p->by_sample) return;
    memcpy(p->stride, node_ints(n, "stride"), sizeof p->stride);
    memcpy(p->pad, node_ints(n, "pad"), sizeof p->pad); /* top, left */
    memcpy(p->dilation, node_ints(n, "dilation"), sizeof p->dilation);
    memcpy(p->kernel, node_ints(n, "kernel"), sizeof p->kernel);
    *groups = node_int(n, "groups");
}

static bool plain_pointwise(const struct wgrad_params *p)
{
    return p->kernel[0] == 1 && p->kernel[1] == 1 && p->stride[0] == 1 && p->stride[1] == 1 && !p->pad[0] &&
           !p->pad[1] && p->ih == p->rows && p->iw == p->cols && p->x.c == 1;
}

/* Pixels of a unit of the staged kernel; 0: fp32 is read where it lies. Two where the CPU has a fast instruction for
   them and a row has two. */
static int64_t pack_of(const struct target *t, const struct wgrad_params *p)
{
    enum dtype x = conv_view_dtype(&p->x), dy = conv_view_dtype(&p->dy);
    if (!dtype_rounded(x) && !dtype_rounded(dy)) return 0;
    return x == dy && t->lanes == 16 && p->cols > 1 ? dtype_fast_group(x, t) : 1;
}

/* What is known of the shapes, and how they are cut up; not the register blocking. */
static struct wgrad_params params_of(const struct node *n, const struct target *t)
{
    const struct type joined = segments_type(n), *x = &joined, *dy = &n->in[1]->type, *dw = &n->out[0]->type;
    struct wgrad_params p;
    int64_t groups, v = t->lanes;
    memset(&p, 0, sizeof p);
    p.by_sample = x->rank == 2;
    set_geometry(&p, n, &groups);
    segments_init(&p.segments, n);
    p.x = conv_view_of(x);
    p.dy = conv_view_of(dy);
    bool image = x->rank == 4, depthwise = dw->layout == LAYOUT_DEPTHWISE;
    p.ih = image ? x->dim[2] : 1;
    p.iw = image ? x->dim[3] : x->dim[0];
    p.rows = image ? dy->dim[2] : 1;
    p.cols = image ? dy->dim[3] : dy->dim[0];
    if (p.by_sample) {
        p.x.w = round_up(x->dim[1], x->v);
        p.dy.w = round_up(dy->dim[1], dy->v);
    }
    p.ocb = div_up(dy->dim[1], v);
    p.group_ocb = depthwise ? 1 : p.ocb / groups;
    p.iv = depthwise ? 1 : dw->iv;
    p.ic = p.iv;
    p.icb = depthwise ? 1 : div_up(dw->dim[1], p.iv);
    p.partial_floats = (int64_t)type_bytes(dw) / 4;
    if (plain_pointwise(&p) && !p.by_sample && !depthwise) flatten_pixels(&p, pack_of(t, &p));
    return p;
}

static struct wgrad_plan plan_of(const struct wgrad_params *p, const struct node *n, int64_t v)
{
    const struct type joined = segments_type(n), *x = &joined, *dy = &n->in[1]->type, *dw = &n->out[0]->type;
    if (p->by_sample) return wgrad_plan(x->dim[0], dy->dim[1], x->dim[1], 1, 1, 1, (int)v);
    int64_t taps = p->kernel[0] * p->kernel[1];
    return wgrad_plan(x->dim[0], dw->dim[0], dw->dim[1], taps, x->dim[2] * x->dim[3], dy->dim[2] * dy->dim[3], (int)v);
}

/* How often a tap of an axis (0: down, 1: across) meets a pixel that exists, over all taps and pixels of dy. */
static int64_t taps_inside(const struct wgrad_params *p, int axis)
{
    int64_t out = axis ? p->cols : p->rows, in = axis ? p->iw : p->ih, count = 0;
    for (int64_t k = 0; k < p->kernel[axis]; k++)
        for (int64_t o = 0; o < out; o++) {
            int64_t at = o * p->stride[axis] + k * p->dilation[axis] - p->pad[axis];
            count += at >= 0 && at < in;
        }
    return count;
}

/* Multiply-adds that are executed, for the whole batch: of N's, those whose tap lies in the image. */
static int64_t executed_macs(const struct node *n, const struct wgrad_params *p)
{
    int64_t all = p->rows * p->kernel[0] * p->cols * p->kernel[1];
    return op_macs(n) / all * taps_inside(p, 0) * taps_inside(p, 1);
}

static void lower_direct(struct lower *lo, const struct node *n, struct wgrad_params *p, const struct wgrad_plan *plan,
                         struct lower_arg *args)
{
    const struct target *t = lower_target(lo);
    int kernel;
    choose_blocking(t, p);
    choose_partition(t, p, plan);
    int64_t pack = pack_of(t, p);
    if (pack) {
        struct wgrad_staged_params q;
        lower_scratch(lo, wgrad_staged_init(&q, p, pack, t, n->in[0]->type.dim[0]));
        kernel = lower_kernel(lo, "wgrad_staged", wgrad_staged_emit, &q, sizeof q);
    } else {
        kernel = lower_kernel(lo, "wgrad", wgrad_emit, p, sizeof *p);
    }
    lower_step(lo, kernel, p->partials * p->og_chunks * p->ib_chunks, false, args, segments_args(n, args, 3));
    lower_algorithm(lo, "%s %lldx%lld%s", algorithm_of(n)->label, (long long)p->ci, (long long)p->ov,
                    pack == 2 ? " bf16"
                    : pack    ? " widened"
                              : "");
}

void lower_wgrad(struct lower *lo, const struct node *n)
{
    const struct type *dw = &n->out[0]->type;
    if (dw->layout == LAYOUT_PLAIN) {
        lower_grouped_wgrad(lo, n);
        return;
    }
    const struct target *t = lower_target(lo);
    struct wgrad_params p = params_of(n, t);
    struct wgrad_plan plan = plan_of(&p, n, t->lanes);
    p.partials = plan.partials;
    p.fresh =
        accuracy_estimate(algorithm_of(n)->accuracy,
                          (double)(p.rows * p.cols * div_up(n->in[0]->type.dim[0], p.partials))) > ACCURACY_DEFAULT;
    const struct value *to = p.partials > 1 ? node_workspace(n) : n->out[0];
    struct lower_arg args[3 + MAX_SEGMENTS] = {arg_value(n->in[0]), arg_value(n->in[1]), arg_value(to)};
    if (dw->layout == LAYOUT_DEPTHWISE) {
        int k = lower_kernel(lo, "depthwise_wgrad", depthwise_emit, &p, sizeof p);
        lower_step(lo, k, p.partials * p.ocb * p.kernel[0] * p.kernel[1], false, args, 3);
        lower_algorithm(lo, "depthwise");
    } else {
        lower_direct(lo, n, &p, &plan, args);
    }
    lower_executed(lo, 2 * executed_macs(n, &p));
    if (p.partials > 1) lower_partial_sum(lo, to, n->out[0], p.partial_floats, p.partial_floats, p.partials);
}
