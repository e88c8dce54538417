/* pointwise.c: operators that are one expression per element, and fused lists of them, over activations, per-channel
   vectors, weights and optimizer state in whatever layout, and single numbers. The kernels take their sizes from a
   constant table, so that layers of different sizes share one. */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/pointwise/dropout.h"
#include "gen/emit/expr.h"
#include "gen/emit/lanes.h"
#include "gen/module/lower.h"
#include "gen/reduce/sums.h"
#include "kernel/sums.h"

enum pointwise_kind {
    FLAT,    /* a run of floats, nothing depends on the channel. table: {floats in a task, floats in all} */
    CHANNEL, /* a task is one block of v channels of one sample. table: {channel blocks, vectors in a task, C} */
};
enum { FLAT_CHUNK = 16384 }; /* floats: 64 KiB of each operand */

struct pointwise_params {
    struct gen_body body;
    int32_t kind, unroll;
    int32_t mask;            /* CHANNEL: lanes past C must be cleared */
    int32_t tail;            /* FLAT: the length may be no multiple of v */
    int32_t single;          /* CHANNEL: one vector in a task; FLAT: fewer than v floats in all */
    uint8_t dtype[MAX_OUTS]; /* of each result */
};

struct operands {
    V table, out[MAX_OUTS], in[MAX_BODY_OPERANDS];
};

static void load_args(struct emit *e, const struct gen_body *b, struct operands *o)
{
    o->table = e_arg(e, 0);
    for (int k = 0; k < b->nout; k++) o->out[k] = e_arg(e, 1 + k);
    for (int k = 0; k < b->noperands; k++)
        o->in[k] = b->operand[k].shape == OPERAND_ABSENT ? NULL : e_arg(e, 1 + b->nout + k);
}

/* COUNT vectors from float INDEX on: all loads, then all arithmetic, then all stores, since results may overwrite
   operands. */
static void apply_vectors(struct emit *e, const struct pointwise_params *p, const struct body_state *s,
                          const struct operands *o, V index, int count, V lanes, V tail, V (*term)[MAX_SUMS][2])
{
    const struct gen_body *b = &p->body;
    V full[4][MAX_BODY_OPERANDS] = {{NULL}}, result[4][MAX_OUTS], unused[4][MAX_SUMS][2];
    assert(count <= 4);
    for (int u = 0; u < count; u++)
        for (int k = 0; k < b->noperands; k++) {
            if (b->operand[k].shape != OPERAND_FULL) continue;
            enum dtype dt = b->operand[k].dtype;
            V at = e_ati_d(e, dt, e_at_d(e, dt, o->in[k], index), (int64_t)u * e->v);
            full[u][k] = tail ? e_load_masked(e, at, tail) : e_load_vu(e, dt, at);
        }
    for (int u = 0; u < count; u++) body_apply_sums(e, s, NULL, full[u], lanes, result[u], (term ? term : unused)[u]);
    for (int u = 0; u < count; u++)
        for (int k = 0; k < b->nout; k++) {
            enum dtype dt = p->dtype[k];
            V at = e_ati_d(e, dt, e_at_d(e, dt, o->out[k], index), (int64_t)u * e->v);
            if (tail) e_store_masked(e, result[u][k], at, tail);
            else e_store_vu(e, dt, result[u][k], at);
        }
}

static void scalar_operands(struct emit *e, const struct gen_body *b, const struct operands *o, V *operand)
{
    for (int k = 0; k < b->noperands; k++)
        operand[k] = b->operand[k].shape == OPERAND_SCALAR ? e_load(e, o->in[k]) : NULL;
}

/* Floats [lo, hi), a multiple of v of them but for a tail. */
static void emit_run(struct emit *e, const struct pointwise_params *p, const struct body_state *s,
                     const struct operands *o, V lo, V hi, V lanes)
{
    struct loop l;
    V length = e_sub(e, hi, lo), from = lo;
    if (p->unroll > 1) {
        int64_t step = (int64_t)p->unroll * e->v;
        V to = e_add(e, lo, e_muli(e, e_divi(e, length, step), step));
        loop_begin(e, &l, from, to, step, 0, NULL);
        apply_vectors(e, p, s, o, l.iv, p->unroll, lanes, NULL, NULL);
        loop_end(e, &l, NULL);
        from = to;
    }
    V to = p->tail ? e_add(e, lo, e_muli(e, e_divi(e, length, e->v), e->v)) : hi;
    loop_begin(e, &l, from, to, e->v, 0, NULL);
    apply_vectors(e, p, s, o, l.iv, 1, lanes, NULL, NULL);
    loop_end(e, &l, NULL);
    if (!p->tail) return;
    struct branch f;
    if_begin(e, &f, e_cmp(e, LLVMIntSLT, to, hi));
    apply_vectors(e, p, s, o, to, 1, lanes, e_sub(e, hi, to), NULL);
    if_end(e, &f);
}

/* The terms of the vector at INDEX, from which a tile's values are taken. */
static void first_terms(struct emit *e, const struct gen_body *b, const struct body_state *s, const struct operands *o,
                        V index, V lanes, V (*term)[2])
{
    V full[MAX_BODY_OPERANDS] = {NULL}, result[MAX_OUTS];
    for (int k = 0; k < b->noperands; k++)
        if (b->operand[k].shape == OPERAND_FULL)
            full[k] = e_load_vd(e, b->operand[k].dtype, e_at_d(e, b->operand[k].dtype, o->in[k], index));
    body_apply_sums(e, s, NULL, full, lanes, result, term);
}

/* Vectors [FROM, TO) of STEP, and their terms to the tile. */
static void add_vectors(struct emit *e, const struct pointwise_params *p, const struct body_state *s,
                        const struct operands *o, V from, V to, int unroll, V lanes, const struct sums *sums,
                        struct sums_tile *t)
{
    struct loop l;
    V term[4][MAX_SUMS][2];
    int carried = p->body.nsums * SUMS_CHAINS;
    loop_begin(e, &l, from, to, (int64_t)unroll * e->v, carried, t->acc);
    memcpy(t->acc, l.phi, (size_t)carried * sizeof(V));
    apply_vectors(e, p, s, o, l.iv, unroll, lanes, NULL, term);
    for (int u = 0; u < unroll; u++) sums_add(e, sums, t, term[u]);
    loop_end(e, &l, t->acc);
    memcpy(t->acc, l.out, (size_t)carried * sizeof(V));
}

/* A plane of floats [LO, HI) in tiles of SUMS_TILE vectors, with sums. */
static void emit_sums_run(struct emit *e, const struct pointwise_params *p, const struct body_state *s,
                          const struct operands *o, V lo, V hi, V lanes, const struct sums *sums)
{
    enum { SUMS_TILE = 256 };
    struct loop tiles;
    struct sums_tile t;
    V term[MAX_SUMS][2];
    int unroll = p->unroll > 1 ? 2 : 1;
    sums_clear(e, sums, 1);
    loop_begin_once(e, &tiles, lo, hi, (int64_t)SUMS_TILE * e->v, 0, NULL);
    V from = tiles.iv, to = e_min(e, e_addi(e, from, (int64_t)SUMS_TILE * e->v), hi), length = e_sub(e, to, from);
    V even = e_add(e, from, e_muli(e, e_divi(e, length, (int64_t)unroll * e->v), (int64_t)unroll * e->v));
    sums_tile_begin(e, sums, &t);
    first_terms(e, &p->body, s, o, from, lanes, term);
    sums_tile_shift(sums, &t, term);
    add_vectors(e, p, s, o, from, even, unroll, lanes, sums, &t);
    if (unroll > 1) add_vectors(e, p, s, o, even, to, 1, lanes, sums, &t);
    V count = e_divi(e, length, e->v);
    sums_tile_end(e, sums, &t, 0, count);
    sums_count(e, sums, count);
    loop_end(e, &tiles, NULL);
}

static void emit_flat(struct emit *e, const struct pointwise_params *p)
{
    struct operands o;
    struct body_state s;
    V operand[MAX_BODY_OPERANDS];
    load_args(e, &p->body, &o);
    scalar_operands(e, &p->body, &o, operand);
    body_begin(e, &s, &p->body, operand);
    V chunk = table_i64(e, o.table, 0), total = table_i64(e, o.table, 1);
    if (p->single) {
        apply_vectors(e, p, &s, &o, e_int(e, 0), 1, NULL, total, NULL);
        return;
    }
    emit_run(e, p, &s, &o, e_mul(e, e->begin, chunk), e_min(e, e_mul(e, e->end, chunk), total), NULL);
}

static void emit_channel(struct emit *e, const struct pointwise_params *p)
{
    struct operands o;
    struct body_state s;
    struct loop l;
    V operand[MAX_BODY_OPERANDS];
    load_args(e, &p->body, &o);
    scalar_operands(e, &p->body, &o, operand);
    struct sums sums;
    sums_open(e, &sums, &p->body, 1);
    V blocks = table_i64(e, o.table, 0), size = e_muli(e, table_i64(e, o.table, 1), e->v), c = table_i64(e, o.table, 2);
    loop_begin_once(e, &l, e->begin, e->end, 1, 0, NULL);
    V first = e_muli(e, e_rem(e, l.iv, blocks), e->v);
    for (int k = 0; k < p->body.noperands; k++)
        if (p->body.operand[k].shape == OPERAND_CHANNEL) operand[k] = e_load_v(e, e_at(e, o.in[k], first));
    V lanes = p->mask ? e_lane_mask(e, e_sub(e, c, first)) : NULL;
    body_begin(e, &s, &p->body, operand);
    V lo = e_mul(e, l.iv, size);
    if (p->body.nsums) {
        emit_sums_run(e, p, &s, &o, lo, e_add(e, lo, size), lanes, &sums);
        V sample = e_div(e, l.iv, blocks), block = e_rem(e, l.iv, blocks);
        sums_store(e, &sums, 0, e_arg(e, 1 + p->body.nout + p->body.noperands), sample, block, blocks);
    } else if (p->single) apply_vectors(e, p, &s, &o, lo, 1, lanes, NULL, NULL);
    else emit_run(e, p, &s, &o, lo, e_add(e, lo, size), lanes);
    loop_end(e, &l, NULL);
}

static void emit_pointwise(struct emit *e, const void *params)
{
    const struct pointwise_params *p = params;
    if (p->kind == FLAT) emit_flat(e, p);
    else emit_channel(e, p);
}

/* ---- lowering */

/* Vectors in flight: more for bodies that only stream memory, fewer where the arithmetic is long or the registers few.
 */
static int unroll_of(const struct gen_body *b, const struct target *t)
{
    static const char *const heavy[] = {"exp", "log", "tanh", "erf", "pow"};
    int streams = b->nout;
    for (int k = 0; k < b->noperands; k++) streams += b->operand[k].shape == OPERAND_FULL;
    for (int i = 0; i < b->ninsn; i++)
        for (size_t k = 0; k < sizeof heavy / sizeof *heavy; k++)
            if (strstr(op_all()[b->insn[i].op]->expr, heavy[k]) && streams < 5) return 1;
    return streams <= 3 && t->registers >= 32 ? 4 : 2;
}

static void add_step(struct lower *lo, const struct node *n, const struct pointwise_params *p, const int64_t *table,
                     int64_t tasks, bool samples)
{
    struct lower_arg args[LOWER_ARGS];
    int nargs = 0;
    args[nargs++] = arg_data(lo, table, 3 * sizeof *table);
    for (int k = 0; k < p->body.nout; k++) args[nargs++] = arg_value(n->out[k]);
    for (int k = 0; k < p->body.noperands; k++) args[nargs++] = n->in[k] ? arg_value(n->in[k]) : arg_none();
    if (p->body.nsums) args[nargs++] = arg_offset(node_workspace(n), sums_offset(n, lower_target(lo)->lanes));
    int kernel =
        lower_kernel(lo, p->kind == FLAT ? "pointwise_flat" : "pointwise_channel", emit_pointwise, p, sizeof *p);
    lower_step(lo, kernel, tasks, samples, args, nargs);
}

static void lower_flat(struct lower *lo, const struct node *n, struct pointwise_params *p)
{
    const struct type *t = &n->out[0]->type;
    bool samples = t->batched;
    int64_t total = (int64_t)(type_bytes(t) / dtype_bytes(t->dtype)), tasks, chunk;
    if (samples) {
        tasks = t->layout == LAYOUT_BLOCKED ? div_up(t->dim[1], t->v) : 1;
        chunk = total / t->dim[0] / tasks;
    } else {
        chunk = FLAT_CHUNK;
        tasks = div_up(total, chunk);
    }
    p->kind = FLAT;
    p->tail = total % lower_target(lo)->lanes != 0 || chunk % lower_target(lo)->lanes != 0;
    p->single = !samples && total < lower_target(lo)->lanes;
    for (int k = 0; k < p->body.nout; k++) assert(!p->tail || !dtype_rounded((enum dtype)p->dtype[k]));
    if (p->single) p->unroll = 1;
    add_step(lo, n, p, (int64_t[3]){chunk, total, 0}, tasks, samples);
}

static void lower_channel(struct lower *lo, const struct node *n, struct pointwise_params *p)
{
    const struct type *t = &n->out[0]->type;
    assert(t->layout == LAYOUT_BLOCKED);
    int64_t c = t->rank == 1 ? t->dim[0] : t->dim[1], hw = t->rank == 4 ? t->dim[2] * t->dim[3] : 1,
            blocks = div_up(c, t->v);
    p->kind = CHANNEL;
    p->single = hw == 1;
    if (p->single) p->unroll = 1;
    if (p->body.nsums) p->single = 0;
    bool samples = t->batched;
    add_step(lo, n, p, (int64_t[3]){blocks, hw, c}, t->rank > 1 && !samples ? blocks * t->dim[0] : blocks, samples);
}

void lower_pointwise(struct lower *lo, const struct node *n)
{
    if (!n->op->expr && !n->body) {
        lower_dropout(lo, n);
        return;
    }
    struct pointwise_params p;
    memset(&p, 0, sizeof p);
    gen_body_init(&p.body, n);
    const struct type *t = &n->out[0]->type;
    bool channel = false, blocked = t->layout == LAYOUT_BLOCKED;
    for (int k = 0; k < p.body.noperands; k++) channel |= p.body.operand[k].shape == OPERAND_CHANNEL;
    int64_t c = t->rank == 0 ? 1 : t->rank == 1 ? t->dim[0] : t->dim[1];
    p.mask = blocked && c % t->v != 0 && !body_keeps_zero(&p.body);
    p.unroll = unroll_of(&p.body, lower_target(lo));
    for (int k = 0; k < p.body.nout; k++) p.dtype[k] = (uint8_t)n->out[k]->type.dtype;
    if (channel || p.mask || p.body.nsums) lower_channel(lo, n, &p);
    else lower_flat(lo, n, &p);
    lower_sums(lo, n, &(struct sums_part){0, 1, 1}, 1);
}
