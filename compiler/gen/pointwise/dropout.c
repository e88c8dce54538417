/* dropout.c: dropout with Philox4x32-10, each lane its own counter (op/dropout.h says which). A task is one block of v
   channels of one sample. */
#include "gen/pointwise/dropout.h"

#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/lanes.h"
#include "op/dropout.h"

/* args: table {channel blocks, vectors in a task, C}, x, y */
struct dropout_params {
    uint64_t hash, threshold;
    double scale;
    int32_t from, to; /* the dtypes of x and y */
};

static LLVMTypeRef wide_type(const struct emit *e) { return LLVMVectorType(e->i64, (unsigned)e->v); }

static V broadcast(struct emit *e, V scalar, LLVMTypeRef vector)
{
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(vector), scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(vector), LLVMConstNull(e->vi32), "");
}

static V constant(struct emit *e, LLVMTypeRef element, uint64_t x)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(element, x, 0);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

/* The two halves of a 32 × 32 bit product. */
static void multiply(struct emit *e, V a, uint32_t m, V *high, V *low)
{
    V p = LLVMBuildMul(e->b, LLVMBuildZExt(e->b, a, wide_type(e), ""), constant(e, e->i64, m), "");
    *low = LLVMBuildTrunc(e->b, p, e->vi32, "");
    *high = LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, p, constant(e, e->i64, 32), ""), e->vi32, "");
}

static V xor3(struct emit *e, V a, V b, V c) { return LLVMBuildXor(e->b, LLVMBuildXor(e->b, a, b, ""), c, ""); }

/* KEYS: the ten rounds' keys, two scalars (i32) each. */
static void philox(struct emit *e, V *c, const V *keys)
{
    for (int r = 0; r < RNC_PHILOX_ROUNDS; r++) {
        V ah, al, bh, bl;
        multiply(e, c[0], RNC_PHILOX_M0, &ah, &al);
        multiply(e, c[2], RNC_PHILOX_M1, &bh, &bl);
        c[0] = xor3(e, bh, c[1], broadcast(e, keys[2 * r], e->vi32));
        c[1] = bl;
        c[2] = xor3(e, ah, c[3], broadcast(e, keys[2 * r + 1], e->vi32));
        c[3] = al;
    }
}

static void round_keys(struct emit *e, uint64_t hash, V *keys)
{
    V q = LLVMBuildXor(e->b, e_run_seed(e), e_int(e, (int64_t)hash), "");
    V k[2] = {LLVMBuildTrunc(e->b, q, e->i32, ""),
              LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, q, e_int(e, 32), ""), e->i32, "")};
    static const uint32_t step[2] = {RNC_PHILOX_W0, RNC_PHILOX_W1};
    for (int r = 0; r < RNC_PHILOX_ROUNDS; r++)
        for (int i = 0; i < 2; i++)
            keys[2 * r + i] = LLVMBuildAdd(e->b, k[i], LLVMConstInt(e->i32, step[i] * (uint32_t)r, 0), "");
}

/* The words of elements E (i64 lanes). */
static V words(struct emit *e, V element, V step, const V *keys)
{
    LLVMTypeRef wide = wide_type(e);
    V block = LLVMBuildLShr(e->b, element, constant(e, e->i64, 2), ""), c[4];
    c[0] = LLVMBuildTrunc(e->b, block, e->vi32, "");
    c[1] = LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, block, constant(e, e->i64, 32), ""), e->vi32, "");
    V s = broadcast(e, step, wide);
    c[2] = LLVMBuildTrunc(e->b, s, e->vi32, "");
    c[3] = LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, s, constant(e, e->i64, 32), ""), e->vi32, "");
    philox(e, c, keys);
    V which = LLVMBuildAnd(e->b, LLVMBuildTrunc(e->b, element, e->vi32, ""), constant(e, e->i32, 3), ""), word = c[0];
    for (unsigned i = 1; i < 4; i++) word = e_select(e, e_cmp(e, LLVMIntEQ, which, constant(e, e->i32, i)), c[i], word);
    return word;
}

/* The lane's own offset: element e + lane·HW. */
static V lane_offsets(struct emit *e, V hw)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = e_int(e, i);
    return LLVMBuildMul(e->b, LLVMConstVector(lanes, (unsigned)e->v), broadcast(e, hw, wide_type(e)), "");
}

static void emit_dropout(struct emit *e, const void *params)
{
    const struct dropout_params *p = params;
    enum dtype from_dt = (enum dtype)p->from, to_dt = (enum dtype)p->to;
    V table = e_arg(e, 0), x = e_arg(e, 1), y = e_arg(e, 2), keys[2 * RNC_PHILOX_ROUNDS], step = e_run_step(e);
    V blocks = table_i64(e, table, 0), hw = table_i64(e, table, 1), c = table_i64(e, table, 2),
      offsets = lane_offsets(e, hw);
    struct loop task, l;
    round_keys(e, p->hash, keys);
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V channel = e_add(e, e_mul(e, e_div(e, task.iv, blocks), c), e_muli(e, e_rem(e, task.iv, blocks), e->v));
    V first = e_mul(e, channel, hw), from = e_muli(e, e_mul(e, task.iv, hw), e->v);
    V first_lanes = LLVMBuildAdd(e->b, broadcast(e, first, wide_type(e)), offsets, "");
    loop_begin_once(e, &l, e_int(e, 0), hw, 1, 0, NULL);
    V at = e_add(e, from, e_muli(e, l.iv, e->v)),
      value = e_fmul(e, e_load_vd(e, from_dt, e_at_d(e, from_dt, x, at)), e_splatc(e, p->scale));
    if (p->threshold > UINT32_MAX) {
        value = e_zero(e);
    } else {
        V word = words(e, LLVMBuildAdd(e->b, first_lanes, broadcast(e, l.iv, wide_type(e)), ""), step, keys);
        V kept = e_cmp(e, LLVMIntUGE, word, constant(e, e->i32, p->threshold));
        value = e_select(e, kept, value, e_zero(e));
    }
    e_store_vd(e, to_dt, value, e_at_d(e, to_dt, y, at));
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

void lower_dropout(struct lower *lo, const struct node *n)
{
    const struct type *t = &n->out[0]->type;
    assert(t->layout == LAYOUT_BLOCKED && (t->rank == 4 || t->rank == 2));
    struct dropout_params p;
    memset(&p, 0, sizeof p);
    p.hash = dropout_hash(node_text(n, "key"));
    p.threshold = dropout_threshold(node_float(n, "p"));
    p.scale = dropout_scale(node_float(n, "p"));
    p.from = (int32_t)n->in[0]->type.dtype;
    p.to = (int32_t)t->dtype;
    int64_t blocks = div_up(t->dim[1], t->v), table[] = {blocks, t->rank == 4 ? t->dim[2] * t->dim[3] : 1, t->dim[1]};
    struct lower_arg args[] = {arg_data(lo, table, sizeof table), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_dropout, &p, sizeof p), blocks, true, args, 3);
}
