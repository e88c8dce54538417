/* reduce.c: sums for each channel over samples and pixels: channel_sum, bn_stats, bn_grad.
   Step one: task (partial, channel block) reduces the samples partial, partial + partials, … below n and leaves up to
   three vectors in the workspace (kernel/partials.h). Step two: task (channel block) combines the partials in order.
   Which sums are added to which depends on shapes and n alone. */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/lanes.h"
#include "gen/module/lower.h"
#include "kernel/partials.h"
#include "kernel/sums.h"

enum { ACCUMULATORS = 4, CHUNK = 256 /* vectors, 16 KiB: the second pass of bn_stats reads it from L1 */ };

struct reduce_params {
    int32_t kind;   /* enum sum_kind */
    int32_t single; /* one vector in a plane (rank 2) */
    int32_t wide;   /* SUM_PLAIN, SUM_GRAD: the chunks' sums are many and added in double precision (kernel/chain.h) */
    float eps;      /* SUM_GRAD */
    uint8_t x, dy;  /* dtypes */
};

/* The constant table, all i64. */
enum { T_BLOCKS, T_HW, T_PARTIALS, T_ENTRIES };

struct reduce {
    const struct reduce_params *p;
    V ws, table, blocks, hw, partials, n, x, dy, mean;
};

static void load_table(struct emit *e, struct reduce *r, int arg)
{
    r->table = e_arg(e, arg);
    r->blocks = table_i64(e, r->table, T_BLOCKS);
    r->hw = table_i64(e, r->table, T_HW);
    r->partials = table_i64(e, r->table, T_PARTIALS);
    r->n = e_run_n(e);
}

/* The partial result K of (partial, block): ws[partial][REDUCE_SUMS][blocks][v]. */
static V partial_vector(struct emit *e, const struct reduce *r, V partial, V block, int k)
{
    V row = e_mul(e, e_addi(e, e_muli(e, partial, REDUCE_SUMS), k), r->blocks);
    return e_at(e, r->ws, e_muli(e, e_add(e, row, block), e->v));
}

/* A function of vector number INDEX that adds to NSUMS accumulators. */
typedef void add_fn(struct emit *e, const void *cx, V index, V *sum);

/* Sums over vectors [from, to): ACCUMULATORS interleaved chains of each, then a fixed tree. */
static void sum_run(struct emit *e, V from, V to, int nsums, add_fn *add, const void *cx, V *sum)
{
    enum { A = ACCUMULATORS };
    struct loop l;
    V acc[A * 2];
    assert(nsums <= 2);
    for (int i = 0; i < A * nsums; i++) acc[i] = e_zero(e);
    V middle = e_add(e, from, e_muli(e, e_divi(e, e_sub(e, to, from), A), A));
    loop_begin(e, &l, from, middle, A, A * nsums, acc);
    memcpy(acc, l.phi, sizeof *acc * (size_t)(A * nsums));
    for (int a = 0; a < A; a++) add(e, cx, e_addi(e, l.iv, a), &acc[a * nsums]);
    loop_end(e, &l, acc);
    struct loop tail;
    loop_begin(e, &tail, middle, to, 1, nsums, l.out);
    memcpy(acc, tail.phi, sizeof *acc * (size_t)nsums);
    add(e, cx, tail.iv, acc);
    loop_end(e, &tail, acc);
    for (int k = 0; k < nsums; k++)
        sum[k] =
            e_fadd(e, e_fadd(e, tail.out[k], l.out[nsums + k]), e_fadd(e, l.out[2 * nsums + k], l.out[3 * nsums + k]));
}

struct plane {
    const struct reduce_params *p;
    V x, dy, mean;
};

static V vector_at(struct emit *e, enum dtype dt, V base, V index)
{
    return e_load_vd(e, dt, e_at_d(e, dt, base, e_muli(e, index, e->v)));
}
static V x_at(struct emit *e, const struct plane *p, V index) { return vector_at(e, p->p->x, p->x, index); }

static void add_sum(struct emit *e, const void *cx, V index, V *sum)
{
    const struct plane *p = cx;
    sum[0] = e_fadd(e, sum[0], x_at(e, p, index));
}

static void add_square(struct emit *e, const void *cx, V index, V *sum)
{
    const struct plane *p = cx;
    V d = e_fsub(e, x_at(e, p, index), p->mean);
    sum[0] = e_fma(e, d, d, sum[0]);
}

static void add_grad(struct emit *e, const void *cx, V index, V *sum)
{
    const struct plane *p = cx;
    V dy = vector_at(e, p->p->dy, p->dy, index);
    sum[0] = e_fma(e, dy, e_fsub(e, x_at(e, p, index), p->mean), sum[0]);
    sum[1] = e_fadd(e, sum[1], dy);
}

static V as_f32(struct emit *e, V i) { return LLVMBuildSIToFP(e->b, i, e->f32, ""); }

/* (count, mean, M2) of two disjoint sets become those of their union (Chan, Golub and LeVeque 1983). COUNT_B > 0. */
static void merge(struct emit *e, V count_a, V *mean, V *m2, V count_b, V mean_b, V m2_b)
{
    V weight = e_fdiv(e, as_f32(e, count_b), as_f32(e, e_add(e, count_a, count_b)));
    V delta = e_fsub(e, mean_b, *mean);
    V scaled = e_fmul(e, delta, e_splat(e, weight));
    *mean = e_fadd(e, *mean, scaled);
    V cross = e_fmul(e, e_fmul(e, delta, scaled), e_splat(e, as_f32(e, count_a)));
    *m2 = e_fadd(e, *m2, e_fadd(e, m2_b, cross));
}

/* Mean and M2 of one plane, in chunks that stay in L1 between the two passes; STATE: count (i64), mean, M2 so far. */
static void plane_stats(struct emit *e, const struct reduce *r, V x, V *state)
{
    struct loop l;
    struct plane p = {.p = r->p, .x = x};
    loop_begin_once(e, &l, e_int(e, 0), r->hw, CHUNK, 3, state);
    V to = e_min(e, e_addi(e, l.iv, CHUNK), r->hw), count = e_sub(e, to, l.iv), sum, m2;
    sum_run(e, l.iv, to, 1, add_sum, &p, &sum);
    p.mean = e_fmul(e, sum, e_splat(e, e_fdiv(e, e_f32(e, 1), as_f32(e, count))));
    sum_run(e, l.iv, to, 1, add_square, &p, &m2);
    V mean = l.phi[1], total = l.phi[2];
    merge(e, l.phi[0], &mean, &total, count, p.mean, m2);
    loop_end(e, &l, (V[]){e_add(e, l.phi[0], count), mean, total});
    memcpy(state, l.out, 3 * sizeof *state);
}

/* One sample's single vector V into STATE (Welford). */
static void vector_stats(struct emit *e, V v, V *state)
{
    V mean = state[1], m2 = state[2], one = e_int(e, 1);
    merge(e, state[0], &mean, &m2, one, v, e_zero(e));
    state[0] = e_add(e, state[0], one);
    state[1] = mean;
    state[2] = m2;
}

static void sample_partial(struct emit *e, const struct reduce_params *p, const struct reduce *r, V plane, V mean,
                           V *state)
{
    V x = e_at_d(e, p->x, r->x, plane), sum[2];
    if (p->kind == SUM_STATS) {
        if (p->single) vector_stats(e, e_load_vd(e, p->x, x), state);
        else plane_stats(e, r, x, state);
        return;
    }
    int nsums = p->kind == SUM_GRAD ? 2 : 1;
    struct plane pl = {.p = p, .x = x, .dy = r->dy ? e_at_d(e, p->dy, r->dy, plane) : NULL, .mean = mean};
    add_fn *add = p->kind == SUM_GRAD ? add_grad : add_sum;
    if (p->single) {
        add(e, &pl, e_int(e, 0), state);
        return;
    }
    struct loop l; /* long sums are sums of shorter ones, whose errors grow less */
    loop_begin_once(e, &l, e_int(e, 0), r->hw, CHUNK, nsums, state);
    sum_run(e, l.iv, e_min(e, e_addi(e, l.iv, CHUNK), r->hw), nsums, add, &pl, sum);
    for (int k = 0; k < nsums; k++) sum[k] = e_fadd(e, l.phi[k], p->wide ? e_double(e, sum[k]) : sum[k]);
    loop_end(e, &l, sum);
    memcpy(state, l.out, (size_t)nsums * sizeof *state);
}

/* args: table, ws, x (channel_sum: dy), dy, mean */
static void emit_partial(struct emit *e, const void *params)
{
    const struct reduce_params *p = params;
    struct reduce r = {.p = p};
    struct loop task, sample;
    load_table(e, &r, 0);
    r.ws = e_arg(e, 1);
    r.x = e_arg(e, 2);
    if (p->kind == SUM_GRAD) {
        r.dy = e_arg(e, 3);
        r.mean = e_arg(e, 4);
    }
    V plane_size = e_muli(e, r.hw, e->v);
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V partial = e_div(e, task.iv, r.blocks), block = e_rem(e, task.iv, r.blocks);
    V mean = p->kind == SUM_GRAD ? e_load_v(e, e_at(e, r.mean, e_muli(e, block, e->v))) : NULL;
    int nstate = p->kind == SUM_STATS ? 3 : p->kind == SUM_GRAD ? 2 : 1;
    V state[3] = {e_zero(e), e_zero(e), e_zero(e)};
    for (int k = 0; k < nstate && p->wide; k++) state[k] = e_double(e, state[k]);
    if (p->kind == SUM_STATS) state[0] = e_int(e, 0);
    /* The induction variable counts rounds, since the step between samples is known at run time only. */
    V rounds = e_div(e, e_sub(e, e_add(e, r.n, e_sub(e, r.partials, e_int(e, 1))), partial), r.partials);
    loop_begin(e, &sample, e_int(e, 0), rounds, 1, nstate, state);
    V number = e_add(e, partial, e_mul(e, sample.iv, r.partials));
    V plane = e_mul(e, e_add(e, e_mul(e, number, r.blocks), block), plane_size);
    memcpy(state, sample.phi, (size_t)nstate * sizeof *state);
    sample_partial(e, p, &r, plane, mean, state);
    loop_end(e, &sample, state);
    int first = p->kind == SUM_STATS ? 1 : 0;
    for (int k = first; k < nstate; k++) {
        V sum = p->wide ? e_single(e, sample.out[k]) : sample.out[k];
        e_store_v(e, sum, partial_vector(e, &r, partial, block, k - first));
    }
    loop_end(e, &task, NULL);
}

static void combine_stats(struct emit *e, const struct reduce *r, V block, V used, V *result)
{
    struct loop l;
    loop_begin(e, &l, e_int(e, 0), used, 1, 3, (V[]){e_int(e, 0), e_zero(e), e_zero(e)});
    V samples = e_div(e, e_sub(e, e_add(e, r->n, e_sub(e, r->partials, e_int(e, 1))), l.iv), r->partials);
    V count = e_mul(e, samples, r->hw), mean = l.phi[1], m2 = l.phi[2];
    merge(e, l.phi[0], &mean, &m2, count, e_load_v(e, partial_vector(e, r, l.iv, block, 0)),
          e_load_v(e, partial_vector(e, r, l.iv, block, 1)));
    loop_end(e, &l, (V[]){e_add(e, l.phi[0], count), mean, m2});
    result[0] = l.out[1];
    result[1] = e_fmul(e, l.out[2], e_splat(e, e_fdiv(e, e_f32(e, 1), as_f32(e, l.out[0]))));
}

static void combine_sums(struct emit *e, const struct reduce *r, V block, V used, int nsums, V *result)
{
    struct loop l;
    V sum[2] = {e_zero(e), e_zero(e)};
    loop_begin(e, &l, e_int(e, 0), used, 1, nsums, sum);
    for (int k = 0; k < nsums; k++) sum[k] = e_fadd(e, l.phi[k], e_load_v(e, partial_vector(e, r, l.iv, block, k)));
    loop_end(e, &l, sum);
    memcpy(result, l.out, (size_t)nsums * sizeof *result);
}

/* args: table, ws, result 0, result 1, var */
static void emit_combine(struct emit *e, const void *params)
{
    const struct reduce_params *p = params;
    struct reduce r = {0};
    struct loop l;
    load_table(e, &r, 0);
    r.ws = e_arg(e, 1);
    int nouts = p->kind == SUM_PLAIN ? 1 : 2;
    V out[2] = {e_arg(e, 2), nouts > 1 ? e_arg(e, 3) : NULL}, var = p->kind == SUM_GRAD ? e_arg(e, 4) : NULL, result[2];
    V used = e_min(e, r.n, r.partials);
    loop_begin_once(e, &l, e->begin, e->end, 1, 0, NULL);
    V at = e_muli(e, l.iv, e->v);
    if (p->kind == SUM_STATS) combine_stats(e, &r, l.iv, used, result);
    else combine_sums(e, &r, l.iv, used, nouts, result);
    if (p->kind == SUM_GRAD) {
        V sd = e_sqrt(e, e_fadd(e, e_load_v(e, e_at(e, var, at)), e_splatc(e, p->eps)));
        result[0] = e_fdiv(e, result[0], sd);
    }
    for (int k = 0; k < nouts; k++) e_store_v(e, result[k], e_at(e, out[k], at));
    loop_end(e, &l, NULL);
}

/* ---- lowering */

/* Of x (SUM_PLAIN: one result; SUM_STATS: two), or of dy, x, mean, var (SUM_GRAD: two results). */
struct reduce_call {
    enum sum_kind kind;
    const struct value *x, *dy, *mean, *var, *out[2];
    struct lower_arg ws;
    float eps;
};

static void add_steps(struct lower *lo, const struct reduce_call *c)
{
    struct reduce_params params, *p = &params;
    memset(p, 0, sizeof *p);
    p->kind = (int32_t)c->kind;
    p->eps = c->eps;
    const struct type *t = &c->x->type;
    assert(t->layout == LAYOUT_BLOCKED && (t->rank == 4 || t->rank == 2));
    int64_t blocks = div_up(t->dim[1], t->v), hw = t->rank == 4 ? t->dim[2] * t->dim[3] : 1,
            partials = reduce_partials(t->dim[0]);
    p->single = hw == 1;
    p->wide = p->kind != SUM_STATS && !p->single && hw / CHUNK * div_up(t->dim[0], partials) > SUM_WIDE;
    p->x = (uint8_t)t->dtype;
    p->dy = (uint8_t)(c->dy ? c->dy->type.dtype : DT_F32);
    int64_t table[T_ENTRIES] = {blocks, hw, partials};
    struct lower_arg tab = arg_data(lo, table, sizeof table);
    struct lower_arg first[] = {tab, c->ws, arg_value(c->x), c->dy ? arg_value(c->dy) : arg_none(),
                                c->mean ? arg_value(c->mean) : arg_none()};
    lower_step(lo, lower_kernel(lo, "reduce", emit_partial, p, sizeof *p), blocks * partials, false, first, 5);
    struct lower_arg second[] = {tab, c->ws, arg_value(c->out[0]), c->out[1] ? arg_value(c->out[1]) : arg_none(),
                                 c->var ? arg_value(c->var) : arg_none()};
    p->single = p->wide = 0;
    p->x = p->dy = 0;
    lower_step(lo, lower_kernel(lo, "reduce_combine", emit_combine, p, sizeof *p), blocks, false, second, 5);
}

void lower_reduce(struct lower *lo, const struct node *n)
{
    const struct value *ws = node_workspace(n);
    assert(ws);
    struct reduce_call c = {.kind = sum_kind(n->op),
                            .x = n->in[0],
                            .ws = arg_value(ws),
                            .out = {n->out[0], n->op->nouts > 1 ? n->out[1] : NULL}};
    if (c.kind == SUM_GRAD) {
        c.dy = n->in[0], c.x = n->in[1], c.mean = n->in[2], c.var = n->in[3];
        c.eps = (float)node_float(n, "eps");
    }
    add_steps(lo, &c);
}
