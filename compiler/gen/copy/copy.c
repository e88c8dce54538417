/* copy.c: operators that only move (or weigh) pixels: concat, pad, slice, subsample, resize and their gradients, on
   blocked values. A task is one row of the result in one block of v channels. */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/winograd/winograd.h"
#include "gen/emit/lanes.h"
#include "gen/module/lower.h"
#include "gen/copy/repack.h"
#include "gen/copy/subset.h"
#include "op/copy.h"
#include "op/resize.h"
#include "pass/pass.h"

/* Vector INDEX of an image, whose planes and rows are counted in vectors. */
static V vector_at(struct emit *e, int32_t dtype, V image, V index)
{
    return e_at_d(e, (enum dtype)dtype, image, e_muli(e, index, e->v));
}
static V load_at(struct emit *e, int32_t dtype, V image, V index)
{
    return e_load_vd(e, (enum dtype)dtype, vector_at(e, dtype, image, index));
}
static void store_at(struct emit *e, int32_t dtype, V x, V image, V index)
{
    e_store_vd(e, (enum dtype)dtype, x, vector_at(e, dtype, image, index));
}

/* ---- windows: concat, pad, slice

   dst[d, h, w] = src[d + delta, h + dh, w + dw] for d in [d0, d1), h in [h0, h1), w in [w0, w1). What lies outside is
   zero, but for the channels below d0 when KEEP is set: concat's earlier operands are there. */

struct window_params {
    int32_t shift; /* delta mod v: lanes to the left */
    int32_t lanes; /* some vector has lanes outside [d0, d1) that are not zero in the source */
    int32_t keep;
    int32_t edges;    /* [h0, h1) × [w0, w1) is not the whole image */
    int32_t from, to; /* dtypes of source and result */
};

enum {
    W_ROWS,
    W_WIDTH,
    W_FIRST_BLOCK,
    W_BLOCKS,
    W_SRC_ROWS,
    W_SRC_WIDTH,
    W_SRC_BLOCKS,
    W_DST_BLOCKS,
    W_BLOCK_DELTA,
    W_D0,
    W_D1,
    W_H0,
    W_H1,
    W_W0,
    W_W1,
    W_DH,
    W_DW,
    W_ENTRIES
};

struct window {
    const struct window_params *p;
    V t[W_ENTRIES], src, dst;
    V low, high;    /* the source's two rows */
    V value, store; /* masks: lanes with a value, lanes to write; NULL: all */
};

/* Vector COLUMN of ROW; lanes outside the mask keep what is there. */
static void store_lanes(struct emit *e, const struct window *c, V x, V row, V column)
{
    V ptr = vector_at(e, c->p->to, row, column), mask = c->store;
    if (!mask) {
        e_store_vd(e, (enum dtype)c->p->to, x, ptr);
        return;
    }
    e_store_where(e, (enum dtype)c->p->to, x, ptr, mask);
}

static V load_window(struct emit *e, const struct window *c, V column)
{
    V x = load_at(e, c->p->from, c->low, column);
    if (c->p->shift) {
        V next = load_at(e, c->p->from, c->high, column), lanes[MAX_LANES];
        for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, (unsigned long long)(i + c->p->shift), 0);
        x = LLVMBuildShuffleVector(e->b, x, next, LLVMConstVector(lanes, (unsigned)e->v), "");
    }
    return c->value ? e_select(e, c->value, x, e_zero(e)) : x;
}

static void fill_zero(struct emit *e, const struct window *c, V row, V from, V to)
{
    struct loop l;
    loop_begin(e, &l, from, to, 1, 0, NULL);
    store_lanes(e, c, e_zero(e), row, l.iv);
    loop_end(e, &l, NULL);
}

static void copy_columns(struct emit *e, const struct window *c, V row)
{
    enum { UNROLL = 4 };
    struct loop l, tail;
    V x[UNROLL], from = c->t[W_W0], to = c->t[W_W1];
    V middle = e_add(e, from, e_muli(e, e_divi(e, e_sub(e, to, from), UNROLL), UNROLL));
    loop_begin(e, &l, from, middle, UNROLL, 0, NULL);
    for (int i = 0; i < UNROLL; i++) x[i] = load_window(e, c, e_add(e, e_addi(e, l.iv, i), c->t[W_DW]));
    for (int i = 0; i < UNROLL; i++) store_lanes(e, c, x[i], row, e_addi(e, l.iv, i));
    loop_end(e, &l, NULL);
    loop_begin(e, &tail, middle, to, 1, 0, NULL);
    store_lanes(e, c, load_window(e, c, e_add(e, tail.iv, c->t[W_DW])), row, tail.iv);
    loop_end(e, &tail, NULL);
}

static V within(struct emit *e, V x, V from, V to)
{
    return LLVMBuildAnd(e->b, e_cmp(e, LLVMIntSGE, x, from), e_cmp(e, LLVMIntSLT, x, to), "");
}

static V clamp(struct emit *e, V x, V size) { return e_max(e, e_int(e, 0), e_min(e, x, e_addi(e, size, -1))); }

static void window_row(struct emit *e, struct window *c, V n, V block, V h)
{
    const V *t = c->t;
    V first = e_muli(e, block, e->v), from = e_sub(e, t[W_D0], first), to = e_sub(e, t[W_D1], first),
      zero = e_int(e, 0);
    V row = vector_at(e, c->p->to, c->dst,
                      e_mul(e, e_add(e, e_mul(e, e_add(e, e_mul(e, n, t[W_DST_BLOCKS]), block), t[W_ROWS]), h),
                            t[W_WIDTH]));
    V below = c->p->lanes || c->p->keep ? LLVMBuildNot(e->b, e_lane_mask(e, from), "") : NULL;
    c->value = c->p->lanes ? LLVMBuildAnd(e->b, below, e_lane_mask(e, to), "") : NULL;
    c->store = c->p->keep ? below : NULL;
    V inside = LLVMBuildAnd(e->b, e_cmp(e, LLVMIntSLT, from, e_int(e, e->v)), e_cmp(e, LLVMIntSGT, to, zero), "");
    if (c->p->edges) inside = LLVMBuildAnd(e->b, inside, within(e, h, t[W_H0], t[W_H1]), "");
    struct branch f;
    if_begin(e, &f, inside);
    V source = e_add(e, block, t[W_BLOCK_DELTA]), sh = e_add(e, h, t[W_DH]);
    V *rows[2] = {&c->low, &c->high};
    for (int i = 0; i < 2; i++) {
        V b = e_add(e, e_mul(e, n, t[W_SRC_BLOCKS]), clamp(e, e_addi(e, source, i), t[W_SRC_BLOCKS]));
        *rows[i] = vector_at(e, c->p->from, c->src, e_mul(e, e_add(e, e_mul(e, b, t[W_SRC_ROWS]), sh), t[W_SRC_WIDTH]));
    }
    if (c->p->edges) fill_zero(e, c, row, zero, t[W_W0]);
    copy_columns(e, c, row);
    if (c->p->edges) fill_zero(e, c, row, t[W_W1], t[W_WIDTH]);
    if_else(e, &f);
    fill_zero(e, c, row, zero, t[W_WIDTH]);
    if_end(e, &f);
}

/* args: table, source, result */
static void emit_window(struct emit *e, const void *params)
{
    struct window c = {.p = params, .src = e_arg(e, 1), .dst = e_arg(e, 2)};
    V table = e_arg(e, 0);
    for (int i = 0; i < W_ENTRIES; i++) c.t[i] = table_i64(e, table, i);
    struct loop task;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V line = e_div(e, task.iv, c.t[W_ROWS]), h = e_rem(e, task.iv, c.t[W_ROWS]);
    V block = e_add(e, c.t[W_FIRST_BLOCK], e_rem(e, line, c.t[W_BLOCKS]));
    window_row(e, &c, e_div(e, line, c.t[W_BLOCKS]), block, h);
    loop_end(e, &task, NULL);
}

/* What goes where, in channels and pixels. */
struct region {
    int64_t d0, d1, delta, h0, w0, rows, width, dh, dw;
    bool keep;
};

static int64_t rows_of(const struct type *t) { return t->rank == 4 ? t->dim[2] : 1; }
static int64_t width_of(const struct type *t) { return t->rank == 4 ? t->dim[3] : 1; }

static void lower_window(struct lower *lo, const struct node *n, const struct value *src, struct region r)
{
    const struct type *s = &src->type, *d = &n->out[0]->type;
    int64_t v = d->v, rows = rows_of(d), width = width_of(d), srows = rows_of(s), swidth = width_of(s);
    assert(d->layout == LAYOUT_BLOCKED && s->layout == LAYOUT_BLOCKED && s->v == d->v);
    struct window_params p;
    memset(&p, 0, sizeof p);
    p.from = (int32_t)s->dtype;
    p.to = (int32_t)d->dtype;
    p.edges = r.rows != rows || r.width != width;
    if (!p.edges && srows == rows && swidth == width) { /* whole planes: as one row */
        r.width = width = swidth = rows * width;
        r.rows = rows = srows = 1;
    }
    int64_t block_delta = div_down(r.delta, v), first = r.keep ? r.d0 / v : 0,
            last = r.keep ? div_up(r.d1, v) : div_up(d->dim[1], v);
    p.shift = (int32_t)(r.delta - block_delta * v);
    p.keep = r.keep && r.d0 % v != 0;
    /* Aligned blocks of the source end with zero lanes only where the source itself ends. */
    p.lanes = p.shift != 0 || r.d0 % v != 0 || (r.d1 % v != 0 && r.d1 + r.delta != s->dim[1]);
    int64_t t[W_ENTRIES] = {
        [W_ROWS] = rows,
        [W_WIDTH] = width,
        [W_FIRST_BLOCK] = first,
        [W_BLOCKS] = last - first,
        [W_SRC_ROWS] = srows,
        [W_SRC_WIDTH] = swidth,
        [W_SRC_BLOCKS] = div_up(s->dim[1], v),
        [W_DST_BLOCKS] = div_up(d->dim[1], v),
        [W_BLOCK_DELTA] = block_delta,
        [W_D0] = r.d0,
        [W_D1] = r.d1,
        [W_H0] = r.h0,
        [W_H1] = r.h0 + r.rows,
        [W_W0] = r.w0,
        [W_W1] = r.w0 + r.width,
        [W_DH] = r.dh,
        [W_DW] = r.dw,
    };
    struct lower_arg args[] = {arg_data(lo, t, sizeof t), arg_value(src), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_window, &p, sizeof p), (last - first) * rows, true, args, 3);
}

/* One step after the other: each writes its channels and zeroes the rest of its last vector. */
static void lower_concat(struct lower *lo, const struct node *n)
{
    const struct type *d = &n->out[0]->type;
    int64_t at = 0;
    for (int i = 0; i < n->nin; i++) {
        int64_t c = n->in[i]->type.dim[1];
        lower_window(lo, n, n->in[i],
                     (struct region){
                         .d0 = at, .d1 = at + c, .delta = -at, .rows = rows_of(d), .width = width_of(d), .keep = true});
        at += c;
    }
}

static void lower_slice(struct lower *lo, const struct node *n)
{
    const struct type *d = &n->out[0]->type;
    const int64_t *channels = node_ints(n, "channels"), *origin = node_ints(n, "origin");
    lower_window(lo, n, n->in[0],
                 (struct region){.d1 = d->dim[1],
                                 .delta = channels[0],
                                 .rows = rows_of(d),
                                 .width = width_of(d),
                                 .dh = origin[0],
                                 .dw = origin[1]});
}

static void lower_pad(struct lower *lo, const struct node *n)
{
    const struct type *s = &n->in[0]->type;
    const int64_t *size = node_ints(n, "size");
    int64_t before = node_ints(n, "channels")[0], to = node_int(n, "channels_to"), more = to - s->dim[1];
    if (to) before = (const int64_t[]){0, more / 2, more}[node_int(n, "at")];
    lower_window(lo, n, n->in[0],
                 (struct region){.d0 = before,
                                 .d1 = before + s->dim[1],
                                 .delta = -before,
                                 .h0 = size[0],
                                 .w0 = size[1],
                                 .rows = rows_of(s),
                                 .width = width_of(s),
                                 .dh = -size[0],
                                 .dw = -size[1]});
}

/* ---- subsample and its gradient. args: table, in, out */

struct subsample_params {
    int32_t grad, from, to;
};
enum { S_ROWS, S_WIDTH, S_SRC_ROWS, S_SRC_WIDTH, S_STRIDE_H, S_STRIDE_W, S_ENTRIES };

static void subsample_row(struct emit *e, const struct subsample_params *p, const V *t, V src, V dst)
{
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), t[S_WIDTH], 1, 0, NULL);
    store_at(e, p->to, load_at(e, p->from, src, e_mul(e, l.iv, t[S_STRIDE_W])), dst, l.iv);
    loop_end(e, &l, NULL);
}

/* Zeroes a row of dx; then, where a row of dy belongs to it, puts that in. */
static void subsample_grad_row(struct emit *e, const struct subsample_params *p, const V *t, V src, V dst, V hit)
{
    struct loop l;
    struct branch f;
    loop_begin_once(e, &l, e_int(e, 0), t[S_WIDTH], 1, 0, NULL);
    store_at(e, p->to, e_zero(e), dst, l.iv);
    loop_end(e, &l, NULL);
    if_begin(e, &f, hit);
    loop_begin_once(e, &l, e_int(e, 0), t[S_SRC_WIDTH], 1, 0, NULL);
    store_at(e, p->to, load_at(e, p->from, src, l.iv), dst, e_mul(e, l.iv, t[S_STRIDE_W]));
    loop_end(e, &l, NULL);
    if_end(e, &f);
}

static void emit_subsample(struct emit *e, const void *params)
{
    const struct subsample_params *p = params;
    V table = e_arg(e, 0), src = e_arg(e, 1), dst = e_arg(e, 2), t[S_ENTRIES];
    for (int i = 0; i < S_ENTRIES; i++) t[i] = table_i64(e, table, i);
    struct loop task;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V plane = e_div(e, task.iv, t[S_ROWS]), h = e_rem(e, task.iv, t[S_ROWS]);
    V sh = p->grad ? e_div(e, h, t[S_STRIDE_H]) : e_mul(e, h, t[S_STRIDE_H]);
    V from = vector_at(e, p->from, src, e_mul(e, e_add(e, e_mul(e, plane, t[S_SRC_ROWS]), sh), t[S_SRC_WIDTH]));
    V to = vector_at(e, p->to, dst, e_mul(e, task.iv, t[S_WIDTH]));
    if (p->grad) subsample_grad_row(e, p, t, from, to, e_cmp(e, LLVMIntEQ, e_rem(e, h, t[S_STRIDE_H]), e_int(e, 0)));
    else subsample_row(e, p, t, from, to);
    loop_end(e, &task, NULL);
}

static void lower_subsample(struct lower *lo, const struct node *n, bool grad)
{
    const struct type *s = &n->in[0]->type, *d = &n->out[0]->type;
    const int64_t *stride = node_ints(n, "stride");
    assert(s->layout == LAYOUT_BLOCKED && d->layout == LAYOUT_BLOCKED);
    struct subsample_params p = {grad, (int32_t)s->dtype, (int32_t)d->dtype};
    int64_t t[S_ENTRIES] = {d->dim[2], d->dim[3], s->dim[2], s->dim[3], stride[0], stride[1]};
    struct lower_arg args[] = {arg_data(lo, t, sizeof t), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_subsample, &p, sizeof p), div_up(d->dim[1], d->v) * d->dim[2],
               true, args, 3);
}

/* ---- resize. args: sizes, rows' taps, columns' taps, x, y. Offsets in elements, so that the loops only add. */

struct resize_params {
    int32_t bilinear, from, to;
};
enum { Z_ROWS, Z_WIDTH, Z_PLANE, Z_ENTRIES };
struct axis_tap {
    int64_t low, high;
    float weight, complement;
};

static struct axis_tap *axis_taps(struct arena *a, const struct node *n, int64_t in, int64_t out, int64_t unit)
{
    struct axis_tap *t = ARENA_ARRAY(a, struct axis_tap, out);
    for (int64_t i = 0; i < out; i++) {
        struct resize_tap r = resize_tap((enum resize_mode)node_int(n, "mode"), node_int(n, "align_corners") != 0,
                                         node_float(n, "scale"), in, out, i);
        t[i] = (struct axis_tap){r.low * unit, r.high * unit, (float)r.weight, (float)(1 - r.weight)};
    }
    return t;
}

struct tap_values {
    V low, high, weight, complement;
};

static struct tap_values load_tap(struct emit *e, V table, V i)
{
    V p = e_at_bytes(e, table, e_muli(e, i, (int64_t)sizeof(struct axis_tap)));
    struct tap_values t = {.low = e_load_t(e, e->i64, p, 8),
                           .high = e_load_t(e, e->i64, e_at_bytes(e, p, e_int(e, 8)), 8)};
    t.weight = e_splat(e, e_load(e, e_at_bytes(e, p, e_int(e, 16))));
    t.complement = e_splat(e, e_load(e, e_at_bytes(e, p, e_int(e, 20))));
    return t;
}

static V mix(struct emit *e, enum dtype dt, V row, const struct tap_values *u)
{
    V low = e_load_vd(e, dt, e_at_d(e, dt, row, u->low)), high = e_load_vd(e, dt, e_at_d(e, dt, row, u->high));
    return e_fma(e, high, u->weight, e_fmul(e, low, u->complement));
}

static void emit_resize(struct emit *e, const void *params)
{
    const struct resize_params *p = params;
    V sizes = e_arg(e, 0), row_taps = e_arg(e, 1), col_taps = e_arg(e, 2), x = e_arg(e, 3), y = e_arg(e, 4);
    V rows = table_i64(e, sizes, Z_ROWS), width = table_i64(e, sizes, Z_WIDTH), plane = table_i64(e, sizes, Z_PLANE);
    struct loop task, l;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    enum dtype dt = (enum dtype)p->from;
    V base = e_at_d(e, dt, x, e_mul(e, e_div(e, task.iv, rows), plane)),
      to = vector_at(e, p->to, y, e_mul(e, task.iv, width));
    struct tap_values v = load_tap(e, row_taps, e_rem(e, task.iv, rows));
    V low = e_at_d(e, dt, base, v.low), high = e_at_d(e, dt, base, v.high);
    loop_begin_once(e, &l, e_int(e, 0), width, 1, 0, NULL);
    struct tap_values u = load_tap(e, col_taps, l.iv);
    V r = p->bilinear ? e_fma(e, mix(e, dt, high, &u), v.weight, e_fmul(e, mix(e, dt, low, &u), v.complement))
                      : e_load_vd(e, dt, e_at_d(e, dt, low, u.low));
    store_at(e, p->to, r, to, l.iv);
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

static void lower_resize(struct lower *lo, const struct node *n)
{
    const struct type *s = &n->in[0]->type, *d = &n->out[0]->type;
    struct arena *a = lower_graph(lo)->arena;
    struct resize_params p = {node_int(n, "mode") == RESIZE_BILINEAR, (int32_t)s->dtype, (int32_t)d->dtype};
    int64_t v = d->v, t[Z_ENTRIES] = {d->dim[2], d->dim[3], s->dim[2] * s->dim[3] * v};
    assert(s->layout == LAYOUT_BLOCKED && d->layout == LAYOUT_BLOCKED);
    struct axis_tap *rows = axis_taps(a, n, s->dim[2], d->dim[2], s->dim[3] * v),
                    *cols = axis_taps(a, n, s->dim[3], d->dim[3], v);
    struct lower_arg args[] = {arg_data(lo, t, sizeof t), arg_data(lo, rows, (size_t)d->dim[2] * sizeof *rows),
                               arg_data(lo, cols, (size_t)d->dim[3] * sizeof *cols), arg_value(n->in[0]),
                               arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_resize, &p, sizeof p), div_up(d->dim[1], d->v) * d->dim[2], true,
               args, 5);
}

/* ---- the gradient of resize gathers: element h of dx sums the rows [from, to) of dy with the weights they gave it, in
   order. args: sizes, rows' ranges, columns' ranges, rows' weights, columns' weights, dy, dx */

struct range {
    int64_t from, to, weights;
};

/* Fills RANGES (IN of them) and returns the weights, *COUNT of them. */
static float *axis_ranges(struct arena *a, const struct node *n, int64_t in, int64_t out, struct range *ranges,
                          int64_t *count)
{
    float *weights = ARENA_ARRAY(a, float, 4 * out + in + 2);
    int64_t used = 0, first = 0;
    for (int64_t h = 0; h < in; h++) {
        struct range *r = &ranges[h];
        r->from = r->to = first;
        r->weights = used;
        for (int64_t i = first; i < out; i++) {
            struct resize_tap t = resize_tap((enum resize_mode)node_int(n, "mode"), node_int(n, "align_corners") != 0,
                                             node_float(n, "scale"), in, out, i);
            if (t.low > h) break;
            if (t.high < h) { /* rises with i: never needed again */
                first = r->from = r->to = i + 1;
                continue;
            }
            weights[used++] = (float)((t.low == h ? 1 - t.weight : 0) + (t.high == h ? t.weight : 0));
            r->to = i + 1;
        }
    }
    *count = used;
    return weights;
}

struct gather {
    V from, to, weights;
};

static struct gather load_range(struct emit *e, V ranges, V weights, V i)
{
    V p = e_at_bytes(e, ranges, e_muli(e, i, (int64_t)sizeof(struct range)));
    struct gather g = {.from = e_load_t(e, e->i64, p, 8), .to = e_load_t(e, e->i64, e_at_bytes(e, p, e_int(e, 8)), 8)};
    V first = e_sub(e, e_load_t(e, e->i64, e_at_bytes(e, p, e_int(e, 16)), 8), g.from);
    g.weights = e_at(e, weights, first); /* so that weights[i] belongs to element i */
    return g;
}

static void emit_resize_grad(struct emit *e, const void *params)
{
    const struct resize_params *p = params;
    enum dtype dt = (enum dtype)p->from;
    V sizes = e_arg(e, 0), row_ranges = e_arg(e, 1), col_ranges = e_arg(e, 2), row_weights = e_arg(e, 3),
      col_weights = e_arg(e, 4);
    V dy = e_arg(e, 5), dx = e_arg(e, 6), rows = table_i64(e, sizes, 0), width = table_i64(e, sizes, 1),
      plane = table_i64(e, sizes, 2);
    V source_width = table_i64(e, sizes, 3), zero = e_zero(e);
    struct loop task, l, h, w;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V base = e_at_d(e, dt, dy, e_mul(e, e_div(e, task.iv, rows), plane)),
      to = vector_at(e, p->to, dx, e_mul(e, task.iv, width));
    struct gather v = load_range(e, row_ranges, row_weights, e_rem(e, task.iv, rows));
    loop_begin_once(e, &l, e_int(e, 0), width, 1, 0, NULL);
    struct gather u = load_range(e, col_ranges, col_weights, l.iv);
    loop_begin(e, &h, v.from, v.to, 1, 1, &zero);
    V row = vector_at(e, p->from, base, e_mul(e, h.iv, source_width));
    loop_begin(e, &w, u.from, u.to, 1, 1, &zero);
    V weight = e_splat(e, e_load(e, e_at(e, u.weights, w.iv)));
    V sum = e_fma(e, load_at(e, p->from, row, w.iv), weight, w.phi[0]);
    loop_end(e, &w, &sum);
    V all = e_fma(e, w.out[0], e_splat(e, e_load(e, e_at(e, v.weights, h.iv))), h.phi[0]);
    loop_end(e, &h, &all);
    store_at(e, p->to, h.out[0], to, l.iv);
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

static void lower_resize_grad(struct lower *lo, const struct node *n)
{
    const struct type *s = &n->in[0]->type, *d = &n->out[0]->type;
    struct arena *a = lower_graph(lo)->arena;
    int64_t t[] = {d->dim[2], d->dim[3], s->dim[2] * s->dim[3] * d->v, s->dim[3]}, count[2];
    assert(s->layout == LAYOUT_BLOCKED && d->layout == LAYOUT_BLOCKED);
    struct range *ranges[2];
    float *weights[2];
    for (int k = 0; k < 2; k++) {
        ranges[k] = ARENA_ARRAY(a, struct range, d->dim[2 + k]);
        weights[k] = axis_ranges(a, n, d->dim[2 + k], s->dim[2 + k], ranges[k], &count[k]);
    }
    struct lower_arg args[] = {arg_data(lo, t, sizeof t),
                               arg_data(lo, ranges[0], (size_t)d->dim[2] * sizeof *ranges[0]),
                               arg_data(lo, ranges[1], (size_t)d->dim[3] * sizeof *ranges[1]),
                               arg_data(lo, weights[0], (size_t)(count[0] + 1) * sizeof *weights[0]),
                               arg_data(lo, weights[1], (size_t)(count[1] + 1) * sizeof *weights[1]),
                               arg_value(n->in[0]),
                               arg_value(n->out[0])};
    struct resize_params p = {0, (int32_t)s->dtype, (int32_t)d->dtype};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_resize_grad, &p, sizeof p), div_up(d->dim[1], d->v) * d->dim[2],
               true, args, 7);
}

static void lower_by_variant(struct lower *lo, const struct node *n)
{
    switch ((enum copy_variant)n->op->variant) {
    case COPY_PLAIN: lower_plain_copy(lo, n); break;
    case COPY_REPACK: lower_repack(lo, n); break;
    case COPY_CONCAT: lower_concat(lo, n); break;
    case COPY_SLICE: lower_slice(lo, n); break;
    case COPY_PAD: lower_pad(lo, n); break;
    case COPY_SUBSAMPLE: lower_subsample(lo, n, false); break;
    case COPY_SUBSAMPLE_GRAD: lower_subsample(lo, n, true); break;
    case COPY_RESIZE: lower_resize(lo, n); break;
    case COPY_RESIZE_GRAD: lower_resize_grad(lo, n); break;
    case COPY_SELECT: lower_select_samples(lo, n); break;
    case COPY_GATHER: lower_gather_samples(lo, n); break;
    case COPY_SCATTER: lower_scatter_samples(lo, n); break;
    }
}

void lower_copy(struct lower *lo, const struct node *n)
{
    bool shared = n->op->view && value_storage(n->out[0]) == value_storage(n->in[0]);
    if (layout_is_winograd(n->out[0]->type.layout)) lower_winograd_weights(lo, n);
    else if (!shared) lower_by_variant(lo, n);
}
