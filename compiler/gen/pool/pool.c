/* pool.c: maximum and mean of windows, and their gradients. A task is one row of the result in one block of v
   channels. The columns whose windows lie inside the image are computed in tiles with the window's columns unrolled;
   the few at the edges, and windows too wide to unroll, one by one with run-time bounds. The gradients gather: each
   element of dx visits the windows over it, in order. What a window reads may go through a prologue first (struct node
   .pre): a stem's normalised and activated image, the largest of a network, is then never stored. */
#include "op/pool.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/emit.h"
#include "gen/emit/expr.h"
#include "gen/module/lower.h"
#include "kernel/chain.h"

enum { MAX_TILE = 8, MAX_UNROLL = 16 };

/* SIZE: of x and dx; OUT: of y and dy. Index 0 is height. */
struct pool_params {
    int32_t kind, kernel[2], stride[2], before[2], size[2], out[2], from, to; /* dtypes of what is read and written */
    int32_t channels;                                                         /* with a prologue; 0: there is none */
    int32_t wide;        /* sums are long and taken in double precision (kernel/chain.h) */
    struct gen_body pre; /* of x */
};

/* args: maxima: x, y, index; means: x, y, table; gradients: dy, dx, index or table; then the prologue's operands. The
   table: for each row, then for each column of the windows, 1 / (how many of its elements count), f32. */
struct pool {
    const struct pool_params *p;
    V in, out, extra, row;
    V operand[MAX_BODY_OPERANDS], lanes; /* of the prologue */
    struct body_state *state;            /* NULL: there is none */
};

/* What is gathered for one pixel: the maximum and its position, or a sum. */
struct state {
    V best, position;
};

static int state_size(const struct pool_params *p) { return p->kind == POOL_MAX_INDEX ? 2 : 1; }

static void state_get(const struct pool_params *p, struct state *s, const V *from)
{
    s->best = from[0];
    if (p->kind == POOL_MAX_INDEX) s->position = from[1];
}

static void state_put(const struct pool_params *p, const struct state *s, V *to)
{
    to[0] = s->best;
    if (p->kind == POOL_MAX_INDEX) to[1] = s->position;
}

static V splat_i32(struct emit *e, V x)
{
    V x32 = LLVMBuildTrunc(e->b, x, e->i32, "");
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(e->vi32), x32, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(e->vi32), LLVMConstNull(e->vi32), "");
}

/* A sum of vectors begins, goes on with X, ends. */
static V sum_start(struct emit *e, const struct pool_params *p) { return p->wide ? e_double(e, e_zero(e)) : e_zero(e); }

static V sum_add(struct emit *e, const struct pool_params *p, V sum, V x)
{
    return e_fadd(e, sum, p->wide ? e_double(e, x) : x);
}

static V sum_end(struct emit *e, const struct pool_params *p, V sum) { return p->wide ? e_single(e, sum) : sum; }

static struct state state_start(struct emit *e, const struct pool_params *p, V position)
{
    if (p->kind == POOL_MAX) return (struct state){.best = e_splatc(e, -INFINITY)};
    if (p->kind == POOL_MAX_INDEX) return (struct state){e_splatc(e, -INFINITY), splat_i32(e, position)};
    return (struct state){.best = sum_start(e, p)};
}

/* X at POSITION of the window. A NaN is larger than any number, and the first maximum stays. */
static void visit(struct emit *e, const struct pool_params *p, struct state *s, V x, V position)
{
    if (p->kind == POOL_AVG) {
        s->best = sum_add(e, p, s->best, x);
        return;
    }
    V larger = e_fcmp(e, LLVMRealUGT, x, s->best), number = e_fcmp(e, LLVMRealORD, s->best, s->best);
    V take = LLVMBuildAnd(e->b, larger, number, "");
    s->best = e_select(e, take, x, s->best);
    if (p->kind == POOL_MAX_INDEX) s->position = e_select(e, take, splat_i32(e, position), s->position);
}

static V vector_index(struct emit *e, V index) { return e_muli(e, index, e->v); }

/* Vector INDEX of an image. */
static V image_load(struct emit *e, int32_t dtype, V image, V index)
{
    return e_load_vd(e, (enum dtype)dtype, e_at_d(e, (enum dtype)dtype, image, vector_index(e, index)));
}

static void image_store(struct emit *e, int32_t dtype, V x, V image, V index)
{
    e_store_vd(e, (enum dtype)dtype, x, e_at_d(e, (enum dtype)dtype, image, vector_index(e, index)));
}

/* ---- forward */

/* What vector FURTHER behind vector AT of the image is to the windows. */
static V window_load(struct emit *e, const struct pool *c, V at, int64_t further)
{
    enum dtype dt = (enum dtype)c->p->from;
    V index = vector_index(e, at);
    if (c->state) return body_apply_pre(e, c->state, c->operand, c->in, dt, index, further * e->v, c->lanes);
    return e_load_vd(e, dt, e_ati_d(e, dt, e_at_d(e, dt, c->in, index), further * e->v));
}

/* The rows of the input under row OH of the windows: kernel rows [from, to), the first of which is image row TOP. */
struct clip {
    V first, from, to;
};

static struct clip window_span(struct emit *e, const struct pool_params *p, int a, V o)
{
    struct clip s;
    s.first = e_addi(e, e_muli(e, o, p->stride[a]), -p->before[a]);
    s.from = e_max(e, e_int(e, 0), e_sub(e, e_int(e, 0), s.first));
    s.to = e_min(e, e_int(e, p->kernel[a]), e_sub(e, e_int(e, p->size[a]), s.first));
    return s;
}

static void finish(struct emit *e, const struct pool *c, const struct state *s, V oh, V ow)
{
    const struct pool_params *p = c->p;
    V at = e_add(e, c->row, ow), y = s->best;
    if (p->kind == POOL_AVG) {
        V rows = e_load(e, e_at(e, c->extra, oh)), cols = e_load(e, e_at(e, c->extra, e_addi(e, ow, p->out[0])));
        y = e_fmul(e, sum_end(e, p, y), e_splat(e, e_fmul(e, rows, cols)));
    }
    image_store(e, p->to, y, c->out, at);
    if (p->kind == POOL_MAX_INDEX)
        e_store_align(e, LLVMBuildTrunc(e->b, s->position, e->vi8, ""), e_at_bytes(e, c->extra, vector_index(e, at)),
                      1);
}

/* One pixel with run-time bounds. PLANE: the input plane's first vector. */
static void window_any(struct emit *e, const struct pool *c, V plane, const struct clip *rows, V oh, V ow)
{
    const struct pool_params *p = c->p;
    struct clip cols = window_span(e, p, 1, ow);
    struct loop h, w;
    struct state s = state_start(e, p, e_add(e, e_muli(e, rows->from, p->kernel[1]), cols.from));
    V v[2];
    int ns = state_size(p);
    state_put(p, &s, v);
    loop_begin_once(e, &h, rows->from, rows->to, 1, ns, v);
    V line = e_add(e, plane, e_muli(e, e_add(e, rows->first, h.iv), p->size[1])),
      position = e_muli(e, h.iv, p->kernel[1]);
    loop_begin_once(e, &w, cols.from, cols.to, 1, ns, h.phi);
    state_get(p, &s, w.phi);
    V x = window_load(e, c, e_add(e, line, e_add(e, cols.first, w.iv)), 0);
    visit(e, p, &s, x, e_add(e, position, w.iv));
    state_put(p, &s, v);
    loop_end(e, &w, v);
    loop_end(e, &h, w.out);
    state_get(p, &s, h.out);
    finish(e, c, &s, oh, ow);
}

/* The vectors of a row that several windows of a tile meet: loaded, and put through the prologue, once. */
struct row_vectors {
    int count;
    struct {
        int64_t at;
        V x;
    } item[MAX_TILE * MAX_UNROLL];
};

static V row_vector(struct emit *e, const struct pool *c, struct row_vectors *r, V line, int64_t at)
{
    for (int i = 0; i < r->count; i++)
        if (r->item[i].at == at) return r->item[i].x;
    r->item[r->count].at = at;
    return r->item[r->count++].x = window_load(e, c, line, at);
}

/* Prefetches what the next row of windows reads and this one does not, under the TILE pixels whose first window begins
   at vector AT of its topmost row. The processor's own prefetcher does not see through rows that come back: without,
   ResNet's pooling waits for memory three quarters of its time. */
static void prefetch_rows(struct emit *e, const struct pool *c, V at, int tile)
{
    enum { LINE = 64 };
    const struct pool_params *p = c->p;
    int64_t size = (int64_t)dtype_bytes((enum dtype)p->from), row = p->size[1] * e->v * size,
            bytes = (int64_t)tile * p->stride[1] * e->v * size;
    V base = e_at_d(e, (enum dtype)p->from, c->in, vector_index(e, at));
    for (int i = 0; i < p->stride[0]; i++)
        for (int64_t k = 0; k < bytes; k += LINE)
            e_prefetch(e, e_at_bytes(e, base, e_int(e, (p->kernel[0] + i) * row + k)));
}

/* TILE pixels from OW on whose windows lie inside the image's columns. */
static void window_tile(struct emit *e, const struct pool *c, V plane, const struct clip *rows, V oh, V ow, int tile)
{
    const struct pool_params *p = c->p;
    struct loop h;
    V v[2 * MAX_TILE];
    int ns = state_size(p);
    struct state s[MAX_TILE];
    for (int t = 0; t < tile; t++) {
        s[t] = state_start(e, p, e_muli(e, rows->from, p->kernel[1]));
        state_put(p, &s[t], v + t * ns);
    }
    V left = e_addi(e, e_muli(e, ow, p->stride[1]), -p->before[1]);
    prefetch_rows(e, c, e_add(e, plane, e_add(e, e_muli(e, rows->first, p->size[1]), left)), tile);
    loop_begin_once(e, &h, rows->from, rows->to, 1, tile * ns, v);
    for (int t = 0; t < tile; t++) state_get(p, &s[t], h.phi + t * ns);
    V line = e_add(e, plane, e_add(e, e_muli(e, e_add(e, rows->first, h.iv), p->size[1]), left)),
      position = e_muli(e, h.iv, p->kernel[1]);
    struct row_vectors row = {.count = 0};
    for (int kw = 0; kw < p->kernel[1]; kw++)
        for (int t = 0; t < tile; t++)
            visit(e, p, &s[t], row_vector(e, c, &row, line, t * p->stride[1] + kw), e_addi(e, position, kw));
    for (int t = 0; t < tile; t++) state_put(p, &s[t], v + t * ns);
    loop_end(e, &h, v);
    for (int t = 0; t < tile; t++) {
        state_get(p, &s[t], h.out + t * ns);
        finish(e, c, &s[t], oh, e_addi(e, ow, t));
    }
}

/* Columns [from, to) go in tiles, the others one by one. */
struct columns {
    int64_t from, to;
    int tile;
};

static struct columns forward_columns(const struct pool_params *p)
{
    struct columns c = {0, 0, p->kernel[1] <= 4 ? 4 : p->kernel[1] <= 8 ? 2 : 1};
    if (p->kernel[1] > MAX_UNROLL || p->size[1] < p->kernel[1]) return c;
    c.from = div_up(p->before[1], p->stride[1]);
    int64_t end = min_i64(p->out[1], (p->size[1] - p->kernel[1] + p->before[1]) / p->stride[1] + 1);
    if (end < c.from) end = c.from;
    if (end - c.from < c.tile) c.tile = 1;
    c.to = c.from + (end - c.from) / c.tile * c.tile;
    return c;
}

/* The column number I of those that are left out of [c.from, c.to). */
static V edge_column(struct emit *e, const struct columns *c, V i)
{
    if (c->from == c->to) return i;
    V after = e_addi(e, i, c->to - c->from);
    return e_select(e, e_cmp(e, LLVMIntSLT, i, e_int(e, c->from)), i, after);
}

static void emit_forward(struct emit *e, const void *params)
{
    const struct pool_params *p = params;
    struct pool c = {.p = p, .in = e_arg(e, 0), .out = e_arg(e, 1), .extra = p->kind == POOL_MAX ? NULL : e_arg(e, 2)};
    struct columns cols = forward_columns(p);
    struct body_state state;
    struct loop task, col;
    for (int k = 0; k < p->pre.noperands; k++) c.operand[k] = e_arg(e, 3 + k);
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V image = e_divi(e, task.iv, p->out[0]), oh = e_remi(e, task.iv, p->out[0]),
      plane = e_muli(e, image, (int64_t)p->size[0] * p->size[1]);
    if (p->channels) {
        c.state = &state;
        body_begin_block(e, &state, &p->pre, c.operand, p->channels, e_remi(e, image, div_up(p->channels, e->v)),
                         &c.lanes);
    }
    c.row = e_muli(e, task.iv, p->out[1]);
    struct clip rows = window_span(e, p, 0, oh);
    if (cols.from < cols.to) {
        loop_begin(e, &col, e_int(e, cols.from), e_int(e, cols.to), cols.tile, 0, NULL);
        window_tile(e, &c, plane, &rows, oh, col.iv, cols.tile);
        loop_end(e, &col, NULL);
    }
    int64_t edge = p->out[1] - (cols.to - cols.from);
    if (edge > 0) {
        loop_begin(e, &col, e_int(e, 0), e_int(e, edge), 1, 0, NULL);
        window_any(e, &c, plane, &rows, oh, edge_column(e, &cols, col.iv));
        loop_end(e, &col, NULL);
    }
    loop_end(e, &task, NULL);
}

/* ---- gradients */

/* The windows over element I of axis A: [from, to); element I is number i + before − o·stride of window o. */
static void windows_over(struct emit *e, const struct pool_params *p, int a, V i, V *from, V *to)
{
    V last = e_addi(e, i, p->before[a]);
    V first = e_max(e, e_int(e, 0), e_addi(e, last, 1 - p->kernel[a]));
    *from = e_divi(e, e_addi(e, first, p->stride[a] - 1), p->stride[a]);
    *to = e_min(e, e_int(e, p->out[a]), e_addi(e, e_divi(e, last, p->stride[a]), 1));
}

/* dy of the window at vector AT; INDEX: its positions as i32 (max). SCALE: 1 / rows that count (avg). */
struct tap {
    V dy, index;
};

static struct tap load_tap(struct emit *e, const struct pool *c, V at, V ow, V scale)
{
    struct tap t = {.dy = image_load(e, c->p->from, c->in, at)};
    if (c->p->kind == POOL_MAX_GRAD) {
        t.index =
            LLVMBuildZExt(e->b, e_load_t(e, e->vi8, e_at_bytes(e, c->extra, vector_index(e, at)), 1), e->vi32, "");
        return t;
    }
    V cols = e_load(e, e_at(e, c->extra, e_addi(e, ow, c->p->out[0])));
    t.dy = e_fmul(e, t.dy, e_splat(e, e_fmul(e, scale, cols)));
    return t;
}

/* Adds what window TAP gives to its element number POSITION. */
static V add_tap(struct emit *e, const struct pool *c, V sum, const struct tap *t, V position)
{
    if (c->p->kind == POOL_AVG_GRAD) return sum_add(e, c->p, sum, t->dy);
    V here = e_cmp(e, LLVMIntEQ, t->index, splat_i32(e, position));
    return sum_add(e, c->p, sum, e_select(e, here, t->dy, e_zero(e)));
}

static V row_scale(struct emit *e, const struct pool *c, V oh)
{
    return c->p->kind == POOL_AVG_GRAD ? e_load(e, e_at(e, c->extra, oh)) : NULL;
}

/* One element of dx. PLANE: the plane's first vector of dy; ROWS: the windows' rows over row IH. */
static void gather_any(struct emit *e, const struct pool *c, V plane, V ih, V row_from, V row_to, V iw)
{
    const struct pool_params *p = c->p;
    struct loop h, w;
    V from, to, zero = sum_start(e, p);
    windows_over(e, p, 1, iw, &from, &to);
    loop_begin(e, &h, row_from, row_to, 1, 1, &zero);
    V kh = e_sub(e, e_addi(e, ih, p->before[0]), e_muli(e, h.iv, p->stride[0]));
    V line = e_add(e, plane, e_muli(e, h.iv, p->out[1])), scale = row_scale(e, c, h.iv);
    V position = e_add(e, e_muli(e, kh, p->kernel[1]), e_addi(e, iw, p->before[1]));
    loop_begin(e, &w, from, to, 1, 1, h.phi);
    struct tap t = load_tap(e, c, e_add(e, line, w.iv), w.iv, scale);
    V sum = add_tap(e, c, w.phi[0], &t, e_sub(e, position, e_muli(e, w.iv, p->stride[1])));
    loop_end(e, &w, &sum);
    loop_end(e, &h, w.out);
    image_store(e, p->to, sum_end(e, p, h.out[0]), c->out, e_add(e, c->row, iw));
}

/* Tiles of GROUPS·stride columns: iw = stride·(q + …) − before, q in [q_from, q_from + groups·count). */
struct groups {
    int64_t q_from, count;
    int groups;
};

static struct groups gradient_groups(const struct pool_params *p)
{
    int64_t s = p->stride[1], reach = (p->kernel[1] - 1) / s;
    struct groups g = {max_i64(div_up(p->before[1], s), reach), 0, s <= 2 ? 2 : 1};
    if (s > MAX_TILE || p->kernel[1] > MAX_UNROLL) return g;
    int64_t q_end = min_i64(p->out[1], (p->size[1] + p->before[1]) / s); /* s·q_end − before ≤ W */
    if (q_end - g.q_from < g.groups) g.groups = 1;
    if (q_end > g.q_from) g.count = (q_end - g.q_from) / g.groups;
    return g;
}

static void gather_tile(struct emit *e, const struct pool *c, V plane, V ih, V row_from, V row_to, V q, int groups)
{
    const struct pool_params *p = c->p;
    int s = p->stride[1], reach = (p->kernel[1] - 1) / s, width = groups * s;
    struct loop h;
    struct tap taps[MAX_UNROLL + 2];
    V sum[2 * MAX_TILE];
    for (int j = 0; j < width; j++) sum[j] = sum_start(e, p);
    loop_begin(e, &h, row_from, row_to, 1, width, sum);
    memcpy(sum, h.phi, (size_t)width * sizeof *sum);
    V kh = e_sub(e, e_addi(e, ih, p->before[0]), e_muli(e, h.iv, p->stride[0])), position = e_muli(e, kh, p->kernel[1]);
    V line = e_add(e, plane, e_muli(e, h.iv, p->out[1])), scale = row_scale(e, c, h.iv), left = e_addi(e, q, -reach);
    for (int t = 0; t < reach + groups; t++) {
        V ow = e_addi(e, left, t);
        taps[t] = load_tap(e, c, e_add(e, line, ow), ow, scale);
    }
    for (int j = 0; j < width; j++)
        for (int t = 0; t < reach + groups; t++) {
            int kw = j + s * (reach - t);
            if (kw >= 0 && kw < p->kernel[1]) sum[j] = add_tap(e, c, sum[j], &taps[t], e_addi(e, position, kw));
        }
    loop_end(e, &h, sum);
    enum dtype dt = (enum dtype)p->to;
    V iw = e_addi(e, e_muli(e, q, s), -p->before[1]), at = e_at_d(e, dt, c->out, vector_index(e, e_add(e, c->row, iw)));
    for (int j = 0; j < width; j++) e_store_vd(e, dt, sum_end(e, p, h.out[j]), e_ati_d(e, dt, at, (int64_t)j * e->v));
}

static void emit_gradient(struct emit *e, const void *params)
{
    const struct pool_params *p = params;
    struct pool c = {.p = p, .in = e_arg(e, 0), .out = e_arg(e, 1), .extra = e_arg(e, 2)};
    struct groups g = gradient_groups(p);
    struct columns cols = {0, 0, 0};
    struct loop task, col;
    V row_from, row_to;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V ih = e_remi(e, task.iv, p->size[0]),
      plane = e_muli(e, e_divi(e, task.iv, p->size[0]), (int64_t)p->out[0] * p->out[1]);
    c.row = e_muli(e, task.iv, p->size[1]);
    windows_over(e, p, 0, ih, &row_from, &row_to);
    if (g.count > 0) {
        int64_t q_to = g.q_from + g.count * g.groups;
        cols.from = g.q_from * p->stride[1] - p->before[1];
        cols.to = q_to * p->stride[1] - p->before[1];
        loop_begin(e, &col, e_int(e, g.q_from), e_int(e, q_to), g.groups, 0, NULL);
        gather_tile(e, &c, plane, ih, row_from, row_to, col.iv, g.groups);
        loop_end(e, &col, NULL);
    }
    int64_t edge = p->size[1] - (cols.to - cols.from);
    if (edge > 0) {
        loop_begin(e, &col, e_int(e, 0), e_int(e, edge), 1, 0, NULL);
        gather_any(e, &c, plane, ih, row_from, row_to, edge_column(e, &cols, col.iv));
        loop_end(e, &col, NULL);
    }
    loop_end(e, &task, NULL);
}

/* ---- global average. args: table {vectors in a plane}, in, out */

enum { PLANE_CHAINS = 4 };

struct global_params {
    int32_t grad, dtype; /* the image's; features are f32 */
    int32_t wide;        /* as above */
};

static V plane_vector(struct emit *e, const struct global_params *p, V base, V at, int64_t further)
{
    enum dtype dt = (enum dtype)p->dtype;
    V x = e_load_vd(e, dt, e_ati_d(e, dt, e_at_d(e, dt, base, vector_index(e, at)), further * e->v));
    return p->wide ? e_double(e, x) : x;
}

static V plane_sum(struct emit *e, const struct global_params *p, V base, V count)
{
    enum { A = PLANE_CHAINS };
    struct loop l, tail;
    V acc[A];
    for (int i = 0; i < A; i++) acc[i] = p->wide ? e_double(e, e_zero(e)) : e_zero(e);
    V middle = e_muli(e, e_divi(e, count, A), A);
    loop_begin(e, &l, e_int(e, 0), middle, A, A, acc);
    for (int i = 0; i < A; i++) acc[i] = e_fadd(e, l.phi[i], plane_vector(e, p, base, l.iv, i));
    loop_end(e, &l, acc);
    loop_begin(e, &tail, middle, count, 1, 1, l.out);
    acc[0] = e_fadd(e, tail.phi[0], plane_vector(e, p, base, tail.iv, 0));
    loop_end(e, &tail, acc);
    V sum = e_fadd(e, e_fadd(e, tail.out[0], l.out[1]), e_fadd(e, l.out[2], l.out[3]));
    return p->wide ? e_single(e, sum) : sum;
}

static void emit_global(struct emit *e, const void *params)
{
    const struct global_params *p = params;
    struct loop task, l;
    V table = e_arg(e, 0), in = e_arg(e, 1), out = e_arg(e, 2), hw = e_load_t(e, e->i64, table, 8);
    V scale = e_splat(e, e_fdiv(e, e_f32(e, 1), LLVMBuildSIToFP(e->b, hw, e->f32, "")));
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    enum dtype dt = (enum dtype)p->dtype;
    V one = vector_index(e, task.iv), all = e_mul(e, task.iv, hw);
    if (!p->grad) {
        e_store_v(e, e_fmul(e, plane_sum(e, p, e_at_d(e, dt, in, vector_index(e, all)), hw), scale), e_at(e, out, one));
    } else {
        V dx = e_fmul(e, e_load_v(e, e_at(e, in, one)), scale);
        loop_begin_once(e, &l, e_int(e, 0), hw, 1, 0, NULL);
        image_store(e, p->dtype, dx, out, e_add(e, all, l.iv));
        loop_end(e, &l, NULL);
    }
    loop_end(e, &task, NULL);
}

/* ---- lowering */

static void lower_global(struct lower *lo, const struct node *n, bool grad)
{
    const struct type *image = grad ? &n->out[0]->type : &n->in[0]->type;
    int64_t hw = image->dim[2] * image->dim[3];
    struct global_params p = {.grad = grad,
                              .dtype = (int32_t)image->dtype,
                              .wide = !grad && hw > PLANE_CHAINS * SUM_WIDE};
    assert(image->layout == LAYOUT_BLOCKED);
    struct lower_arg args[] = {arg_data(lo, &hw, sizeof hw), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "global_pool", emit_global, &p, sizeof p), div_up(image->dim[1], image->v), true,
               args, 3);
}

/* 1 / (how many elements of each window count), rows then columns: the mean's divisor is their product. */
static struct lower_arg count_table(struct lower *lo, const struct pool_window *w, const int64_t *size,
                                    const int64_t *out)
{
    float *table = ARENA_ARRAY(lower_graph(lo)->arena, float, out[0] + out[1]), *t = table;
    for (int a = 0; a < 2; a++)
        for (int64_t o = 0; o < out[a]; o++) {
            int64_t begin, end, counted = pool_span(w, a, size[a], o, &begin, &end);
            *t++ = 1.0f / (float)(w->count_pad ? counted : end - begin);
        }
    return arg_data(lo, table, (size_t)(out[0] + out[1]) * sizeof *table);
}

/* The terms of a sum: a window's elements, or the windows over one. */
static int64_t pool_terms(const struct pool_window *w, bool grad)
{
    if (!grad) return w->kernel[0] * w->kernel[1];
    return div_up(w->kernel[0], w->stride[0]) * div_up(w->kernel[1], w->stride[1]);
}

void lower_pool(struct lower *lo, const struct node *n)
{
    const enum pool_variant kind = (enum pool_variant)n->op->variant;
    if (kind == POOL_GLOBAL || kind == POOL_GLOBAL_GRAD) {
        lower_global(lo, n, kind == POOL_GLOBAL_GRAD);
        return;
    }
    bool grad = kind == POOL_MAX_GRAD || kind == POOL_AVG_GRAD;
    const struct type *big = grad ? &n->out[0]->type : &n->in[0]->type,
                      *small = grad ? &n->in[0]->type : &n->out[0]->type;
    assert(big->layout == LAYOUT_BLOCKED && small->layout == LAYOUT_BLOCKED && big->v == small->v);
    struct pool_window w = pool_window_of(n->op, n->attr);
    struct pool_params p;
    memset(&p, 0, sizeof p);
    p.kind = (int32_t)kind;
    p.from = (int32_t)n->in[0]->type.dtype;
    p.to = (int32_t)n->out[0]->type.dtype;
    for (int a = 0; a < 2; a++) {
        p.kernel[a] = (int32_t)w.kernel[a];
        p.stride[a] = (int32_t)w.stride[a];
        p.before[a] = (int32_t)w.before[a];
        p.size[a] = (int32_t)big->dim[2 + a];
        p.out[a] = (int32_t)small->dim[2 + a];
    }
    p.wide = kind != POOL_MAX && kind != POOL_MAX_INDEX && pool_terms(&w, grad) > SUM_WIDE;
    struct lower_arg extra = kind == POOL_MAX_INDEX  ? arg_value(n->out[1])
                             : kind == POOL_MAX_GRAD ? arg_value(n->in[1])
                             : kind == POOL_MAX      ? arg_none()
                                                     : count_table(lo, &w, &big->dim[2], &small->dim[2]);
    struct lower_arg args[LOWER_ARGS] = {arg_value(n->in[0]), arg_value(n->out[0]), extra};
    int count = 3;
    gen_body_init_pre(&p.pre, n, 0);
    if (p.pre.nout) p.channels = (int32_t)big->dim[1];
    for (int k = 0; k < p.pre.noperands; k++) args[count++] = arg_value(n->in[n->nanchor + k]);
    int64_t rows = grad ? big->dim[2] : small->dim[2];
    int kernel = lower_kernel(lo, n->op->name, grad ? emit_gradient : emit_forward, &p, sizeof p);
    lower_step(lo, kernel, div_up(big->dim[1], big->v) * rows, true, args, count);
}
