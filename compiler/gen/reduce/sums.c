#include "gen/reduce/sums.h"

#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/lanes.h"
#include "kernel/sums.h"

static int vectors_of(const struct gen_body *b)
{
    int vectors = 0;
    for (int k = 0; k < b->nsums; k++) vectors += sum_width(b->sum[k].kind);
    return vectors;
}

/* The vectors of sum number K of output vector O; a STATS sum's first one, its count, is the same for all and kept
   apart. */
static V state_at(struct emit *e, const struct sums *s, int64_t o, int k, int i)
{
    int before = 0;
    for (int j = 0; j < k; j++) before += sum_width(s->body->sum[j].kind);
    return e_ati(e, s->state, (o * vectors_of(s->body) + before + i) * e->v);
}

void sums_open(struct emit *e, struct sums *s, const struct gen_body *b, int64_t ov)
{
    *s = (struct sums){.body = b};
    if (!b->nsums) return;
    s->state = e_local(e, ov * vectors_of(b));
    s->count = e_local(e, 1);
}

void sums_clear(struct emit *e, const struct sums *s, int64_t ov)
{
    if (!s->body->nsums) return;
    for (int64_t i = 0; i < ov * vectors_of(s->body); i++) e_store_va(e, e_zero(e), e_ati(e, s->state, i * e->v));
    e_store(e, e_f32(e, 0), s->count);
}

/* ---- a tile */

void sums_tile_begin(struct emit *e, const struct sums *s, struct sums_tile *t)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < s->body->nsums * SUMS_CHAINS; i++) t->acc[i] = e_zero(e);
}

void sums_tile_shift(const struct sums *s, struct sums_tile *t, V (*term)[2])
{
    for (int k = 0; k < s->body->nsums; k++) t->shift[k] = term[k][0];
}

void sums_add(struct emit *e, const struct sums *s, struct sums_tile *t, V (*term)[2])
{
    for (int k = 0; k < s->body->nsums; k++) {
        V *acc = &t->acc[SUMS_CHAINS * k + 2 * t->chain], x = term[k][0];
        bool stats = s->body->sum[k].kind == SUM_STATS;
        if (stats) x = e_fsub(e, x, t->shift[k]);
        acc[0] = e_fadd(e, acc[0], x);
        V factor = stats ? x : term[k][1];
        if (factor) acc[1] = e_fma(e, x, factor, acc[1]);
    }
    t->chain ^= 1;
}

static V as_f32(struct emit *e, V i) { return LLVMBuildSIToFP(e->b, i, e->f32, ""); }

/* (na, mean, M2) and (nb, …) become those of both: WEIGHT nb/(na + nb), CROSS na·nb/(na + nb). */
static void merge(struct emit *e, V *mean, V *m2, V mean_b, V m2_b, V weight, V cross)
{
    V delta = e_fsub(e, mean_b, *mean);
    *mean = e_fma(e, delta, weight, *mean);
    *m2 = e_fadd(e, *m2, e_fma(e, e_fmul(e, delta, delta), cross, m2_b));
}

static void end_stats(struct emit *e, const struct sums *s, V shift, V sum, V squares, V mean_at, V m2_at, V count)
{
    V nb = as_f32(e, count), na = e_load(e, s->count), part = e_fdiv(e, e_f32(e, 1), nb),
      weight = e_fdiv(e, nb, e_fadd(e, na, nb));
    V off = e_fmul(e, sum, e_splat(e, part)), mean = e_load_va(e, mean_at), m2 = e_load_va(e, m2_at);
    V tile = e_fsub(e, squares, e_fmul(e, off, sum));
    merge(e, &mean, &m2, e_fadd(e, shift, off), tile, e_splat(e, weight), e_splat(e, e_fmul(e, na, weight)));
    e_store_va(e, mean, mean_at);
    e_store_va(e, m2, m2_at);
}

void sums_tile_end(struct emit *e, const struct sums *s, struct sums_tile *t, int64_t o, V count)
{
    for (int k = 0; k < s->body->nsums; k++) {
        V sum[2];
        for (int i = 0; i < 2; i++) sum[i] = e_fadd(e, t->acc[SUMS_CHAINS * k + i], t->acc[SUMS_CHAINS * k + 2 + i]);
        if (s->body->sum[k].kind == SUM_STATS) {
            end_stats(e, s, t->shift[k], sum[0], sum[1], state_at(e, s, o, k, 1), state_at(e, s, o, k, 2), count);
            continue;
        }
        int width = sum_width(s->body->sum[k].kind);
        for (int i = 0; i < width; i++) { /* Σ dy·(x − mean) before Σ dy, as the results of bn_grad */
            V at = state_at(e, s, o, k, i);
            e_store_va(e, e_fadd(e, e_load_va(e, at), sum[width == 2 ? 1 - i : 0]), at);
        }
    }
}

void sums_count(struct emit *e, const struct sums *s, V count)
{
    if (s->body->nsums) e_store(e, e_fadd(e, e_load(e, s->count), as_f32(e, count)), s->count);
}

void sums_store(struct emit *e, const struct sums *s, int64_t o, V ws, V partial, V block, V blocks)
{
    int vectors = vectors_of(s->body), at = 0;
    for (int k = 0; k < s->body->nsums; k++)
        for (int i = 0; i < sum_width(s->body->sum[k].kind); i++, at++) {
            bool count = s->body->sum[k].kind == SUM_STATS && i == 0;
            V row = e_addi(e, e_muli(e, partial, vectors), at);
            V x = count ? e_splat(e, e_load(e, s->count)) : e_load_va(e, state_at(e, s, o, k, i));
            e_store_va(e, x, e_at(e, ws, e_muli(e, e_add(e, e_mul(e, row, blocks), block), e->v)));
        }
}

/* ---- the step that merges the partials */

struct merge_params {
    int32_t nsums, nparts;
    struct {
        enum sum_kind kind;
        float eps;
    } sum[MAX_SUMS];
};

/* The constant table, all i64: blocks, then (first, each, per) of each part. */
struct merger {
    V ws, table, blocks, n, block;
    int vectors;
};

static V partial_vector(struct emit *e, const struct merger *m, V partial, int i)
{
    V row = e_addi(e, e_muli(e, partial, m->vectors), i);
    return e_load_va(e, e_at(e, m->ws, e_muli(e, e_add(e, e_mul(e, row, m->blocks), m->block), e->v)));
}

static void merge_partial(struct emit *e, const struct merger *m, enum sum_kind kind, int at, V partial, V *state)
{
    if (kind != SUM_STATS) {
        for (int i = 0; i < sum_width(kind); i++) state[i] = e_fadd(e, state[i], partial_vector(e, m, partial, at + i));
        return;
    }
    V nb = partial_vector(e, m, partial, at), all = e_fadd(e, state[0], nb), weight = e_fdiv(e, nb, all);
    merge(e, &state[1], &state[2], partial_vector(e, m, partial, at + 1), partial_vector(e, m, partial, at + 2), weight,
          e_fmul(e, state[0], weight));
    state[0] = all;
}

/* Sum number K, whose vectors in a partial begin at AT; STATE: three vectors. */
static void merge_parts(struct emit *e, const struct merge_params *p, const struct merger *m, int k, int at, V *state)
{
    for (int i = 0; i < 3; i++) state[i] = e_zero(e);
    for (int part = 0; part < p->nparts; part++) {
        V first = table_i64(e, m->table, 1 + 3 * part), each = table_i64(e, m->table, 2 + 3 * part),
          per = table_i64(e, m->table, 3 + 3 * part);
        V used = e_div(e, e_add(e, e_mul(e, m->n, each), e_addi(e, per, -1)), per);
        struct loop l;
        loop_begin(e, &l, e_int(e, 0), used, 1, 3, state);
        memcpy(state, l.phi, 3 * sizeof *state);
        merge_partial(e, m, p->sum[k].kind, at, e_add(e, first, l.iv), state);
        loop_end(e, &l, state);
        memcpy(state, l.out, 3 * sizeof *state);
    }
}

/* The results of a sum: as those of its operator (op/norm.c). */
static int finish(struct emit *e, enum sum_kind kind, float eps, const V *state, V var, V *result)
{
    result[0] = state[0];
    result[1] = state[1];
    if (kind == SUM_STATS) {
        result[0] = state[1];
        result[1] = e_fdiv(e, state[2], state[0]);
    } else if (kind == SUM_GRAD) {
        result[0] = e_fdiv(e, state[0], e_sqrt(e, e_fadd(e, var, e_splatc(e, eps))));
    }
    return kind == SUM_PLAIN ? 1 : 2;
}

/* Arguments: table, ws, then for each sum its results and (GRAD) the variance. A task is a channel block. */
static void emit_merge(struct emit *e, const void *params)
{
    const struct merge_params *p = params;
    struct merger m = {.table = e_arg(e, 0), .ws = e_arg(e, 1), .n = e_run_n(e)};
    struct loop l;
    for (int k = 0; k < p->nsums; k++) m.vectors += sum_width(p->sum[k].kind);
    m.blocks = table_i64(e, m.table, 0);
    loop_begin_once(e, &l, e->begin, e->end, 1, 0, NULL);
    m.block = l.iv;
    V at = e_muli(e, l.iv, e->v);
    for (int k = 0, from = 0; k < p->nsums; k++) {
        enum sum_kind kind = p->sum[k].kind;
        V state[3], result[2], var = kind == SUM_GRAD ? e_load_va(e, e_at(e, e_arg(e, 2 + 3 * k + 2), at)) : NULL;
        merge_parts(e, p, &m, k, from, state);
        int nout = finish(e, kind, p->sum[k].eps, state, var, result);
        for (int i = 0; i < nout; i++) e_store_va(e, result[i], e_at(e, e_arg(e, 2 + 3 * k + i), at));
        from += sum_width(kind);
    }
    loop_end(e, &l, NULL);
}

/* ---- lowering */

/* Where what R refers to lies in memory: an operand, or one of the results. */
static const struct value *stored(const struct node *n, struct body_ref r)
{
    if (r.source == BODY_OPERAND) return n->in[r.index];
    int i = 0;
    while (i < n->body->nout && (n->body->out[i].source != r.source || n->body->out[i].index != r.index)) i++;
    assert(i < n->body->nout);
    return n->out[i];
}

void lower_sums(struct lower *lo, const struct node *n, const struct sums_part *parts, int nparts)
{
    int nsums = n->body ? body_sums(n->body) : 0, lanes = lower_target(lo)->lanes,
        out = nsums ? body_elementwise(n->body) : 0;
    if (!nsums) return;
    assert(nsums <= MAX_SUMS && nparts <= SUMS_MAX_PARTS);
    struct merge_params p;
    memset(&p, 0, sizeof p);
    p.nsums = nsums;
    p.nparts = nparts;
    int64_t table[1 + 3 * SUMS_MAX_PARTS] = {div_up(n->out[0]->type.dim[1], lanes)};
    for (int i = 0; i < nparts; i++) {
        table[1 + 3 * i] = parts[i].first;
        table[2 + 3 * i] = parts[i].each;
        table[3 + 3 * i] = parts[i].per;
    }
    struct lower_arg args[2 + 3 * MAX_SUMS] = {arg_data(lo, table, (size_t)(1 + 3 * nparts) * sizeof *table),
                                               arg_offset(node_workspace(n), sums_offset(n, lanes))};
    for (int k = 0; k < nsums; k++) {
        const struct body_insn *b = &n->body->insn[n->body->ninsn - nsums + k];
        p.sum[k].kind = sum_kind(b->op);
        if (p.sum[k].kind == SUM_GRAD) p.sum[k].eps = (float)body_attr(b, "eps")->f;
        for (int i = 0; i < 3; i++) args[2 + 3 * k + i] = i < b->op->nouts ? arg_value(n->out[out++]) : arg_none();
        if (p.sum[k].kind == SUM_GRAD) args[2 + 3 * k + 2] = arg_value(stored(n, b->arg[3]));
    }
    lower_step(lo, lower_kernel(lo, "sums", emit_merge, &p, sizeof p), div_up(n->out[0]->type.dim[1], lanes), false,
               args, 2 + 3 * nsums);
}
