#include "gen/emit/emit.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- scalars */

V e_int(struct emit *e, int64_t x) { return LLVMConstInt(e->i64, (unsigned long long)x, 1); }
V e_f32(struct emit *e, double x) { return LLVMConstReal(e->f32, x); }

static bool is_const(V a, int64_t *x)
{
    if (!LLVMIsAConstantInt(a)) return false;
    *x = LLVMConstIntGetSExtValue(a);
    return true;
}

V e_add(struct emit *e, V a, V b)
{
    int64_t x;
    if (is_const(b, &x) && x == 0) return a;
    if (is_const(a, &x) && x == 0) return b;
    return LLVMBuildNSWAdd(e->b, a, b, "");
}

V e_sub(struct emit *e, V a, V b)
{
    int64_t x;
    if (is_const(b, &x) && x == 0) return a;
    return LLVMBuildNSWSub(e->b, a, b, "");
}

V e_mul(struct emit *e, V a, V b)
{
    int64_t x;
    if (is_const(b, &x) && x == 1) return a;
    if (is_const(a, &x) && x == 1) return b;
    return LLVMBuildNSWMul(e->b, a, b, "");
}

V e_addi(struct emit *e, V a, int64_t b) { return e_add(e, a, e_int(e, b)); }
V e_muli(struct emit *e, V a, int64_t b) { return e_mul(e, a, e_int(e, b)); }

V e_div(struct emit *e, V a, V b)
{
    int64_t x;
    if (is_const(b, &x) && x == 1) return a;
    return LLVMBuildUDiv(e->b, a, b, "");
}

V e_rem(struct emit *e, V a, V b)
{
    int64_t x;
    if (is_const(b, &x) && x == 1) return e_int(e, 0);
    return LLVMBuildURem(e->b, a, b, "");
}

V e_divi(struct emit *e, V a, int64_t b) { return e_div(e, a, e_int(e, b)); }
V e_remi(struct emit *e, V a, int64_t b) { return e_rem(e, a, e_int(e, b)); }
V e_cmp(struct emit *e, LLVMIntPredicate p, V a, V b) { return LLVMBuildICmp(e->b, p, a, b, ""); }
V e_select(struct emit *e, V c, V a, V b) { return LLVMBuildSelect(e->b, c, a, b, ""); }
V e_min(struct emit *e, V a, V b) { return e_select(e, e_cmp(e, LLVMIntSLT, a, b), a, b); }
V e_max(struct emit *e, V a, V b) { return e_select(e, e_cmp(e, LLVMIntSGT, a, b), a, b); }

/* ---- the kernel's surroundings */

V e_arg(struct emit *e, int i)
{
    V p = e_at_bytes(e, e->args, e_int(e, (int64_t)sizeof(void *) * i));
    return e_load_t(e, e->ptr, p, 8);
}

static V run_field(struct emit *e, LLVMTypeRef t, size_t offset)
{
    return e_load_t(e, t, e_at_bytes(e, e->run, e_int(e, (int64_t)offset)), 8);
}

V e_run_n(struct emit *e) { return run_field(e, e->i64, offsetof(struct rnc_run, n)); }
V e_run_step(struct emit *e) { return run_field(e, e->i64, offsetof(struct rnc_run, step)); }
V e_run_seed(struct emit *e) { return run_field(e, e->i64, offsetof(struct rnc_run, seed)); }
V e_run_lr(struct emit *e) { return run_field(e, e->f64, offsetof(struct rnc_run, lr)); }

/* ---- memory */

V e_at_bytes(struct emit *e, V ptr, V bytes)
{
    int64_t x;
    if (is_const(bytes, &x) && x == 0) return ptr;
    return LLVMBuildGEP2(e->b, e->i8, ptr, &bytes, 1, "");
}

V e_at(struct emit *e, V ptr, V index)
{
    int64_t x;
    if (is_const(index, &x)) return e_at_bytes(e, ptr, e_int(e, 4 * x));
    return LLVMBuildGEP2(e->b, e->f32, ptr, &index, 1, "");
}

V e_ati(struct emit *e, V ptr, int64_t index) { return e_at(e, ptr, e_int(e, index)); }

V e_load_t(struct emit *e, LLVMTypeRef t, V ptr, unsigned align)
{
    V x = LLVMBuildLoad2(e->b, t, ptr, "");
    LLVMSetAlignment(x, align);
    return x;
}

void e_store_align(struct emit *e, V x, V ptr, unsigned align)
{
    LLVMSetAlignment(LLVMBuildStore(e->b, x, ptr), align);
}

V e_load(struct emit *e, V ptr) { return e_load_t(e, e->f32, ptr, 4); }
V e_load_v(struct emit *e, V ptr) { return e_load_t(e, e->vf, ptr, 4); }
V e_load_va(struct emit *e, V ptr) { return e_load_t(e, e->vf, ptr, 4u * (unsigned)e->v); }
void e_store(struct emit *e, V x, V ptr) { e_store_align(e, x, ptr, 4); }
void e_store_v(struct emit *e, V x, V ptr) { e_store_align(e, x, ptr, 4); }
void e_store_va(struct emit *e, V x, V ptr) { e_store_align(e, x, ptr, 4u * (unsigned)e->v); }

V e_intrinsic(struct emit *e, const char *name, LLVMTypeRef overload, V *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    assert(id);
    LLVMTypeRef list[1] = {overload};
    size_t count = overload ? 1 : 0;
    V f = LLVMGetIntrinsicDeclaration(e->mod, id, list, count);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->cx, id, list, count), f, args, n, "");
}

static bool can_stream(const struct emit *e) { return e->target->feature_bits & (FEATURE_AVX2 | FEATURE_AVX512); }

void e_stream_va(struct emit *e, V x, V ptr)
{
    V store = LLVMBuildStore(e->b, x, ptr);
    LLVMSetAlignment(store, 4u * (unsigned)e->v);
    if (!can_stream(e)) return;
    LLVMMetadataRef one = LLVMValueAsMetadata(LLVMConstInt(e->i32, 1, 0));
    LLVMSetMetadata(store, LLVMGetMDKindIDInContext(e->cx, "nontemporal", 11),
                    LLVMMetadataAsValue(e->cx, LLVMMDNodeInContext2(e->cx, &one, 1)));
}

/* Such stores may pass later ones, those that tell other threads that the work is done among them. */
void e_stream_end(struct emit *e)
{
    if (can_stream(e)) e_intrinsic(e, "llvm.x86.sse.sfence", NULL, NULL, 0);
}

/* ---- bf16: the upper half of an fp32 number */

V e_at_d(struct emit *e, enum dtype dt, V ptr, V index)
{
    return dt == DT_BF16 ? e_at_bytes(e, ptr, e_muli(e, index, 2)) : e_at(e, ptr, index);
}

V e_ati_d(struct emit *e, enum dtype dt, V ptr, int64_t index) { return e_at_d(e, dt, ptr, e_int(e, index)); }

static LLVMTypeRef half_vector(struct emit *e) { return LLVMVectorType(LLVMInt16TypeInContext(e->cx), (unsigned)e->v); }
LLVMTypeRef e_stored(struct emit *e, enum dtype dt) { return dt == DT_BF16 ? half_vector(e) : e->vf; }

static V splat_i32(struct emit *e, uint32_t x)
{
    V lanes[64];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, x, 0);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

static bool has_bf16(const struct emit *e) { return e->v == 16 && (e->target->feature_bits & FEATURE_AVX512_BF16); }

V e_widen(struct emit *e, V x)
{
    V wide = LLVMBuildZExt(e->b, x, e->vi32, "");
    return LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, wide, splat_i32(e, 16), ""), e->vf, "");
}

/* Without the instruction: add half of the last place less one, and one more where the kept part is odd. A NaN could
   round up into an infinity; it becomes the quiet one. */
V e_narrow(struct emit *e, V x)
{
    if (has_bf16(e))
        return LLVMBuildBitCast(e->b, e_intrinsic(e, "llvm.x86.avx512bf16.cvtneps2bf16.512", NULL, &x, 1),
                                half_vector(e), "");
    V bits = LLVMBuildBitCast(e->b, x, e->vi32, ""),
      odd = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, bits, splat_i32(e, 16), ""), splat_i32(e, 1), "");
    V up = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, bits, splat_i32(e, 0x7fff), ""), odd, "");
    V kept = e_select(e, e_fcmp(e, LLVMRealUNO, x, x), LLVMBuildOr(e->b, bits, splat_i32(e, 0x400000), ""), up);
    return LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, kept, splat_i32(e, 16), ""), half_vector(e), "");
}

V e_load_d(struct emit *e, enum dtype dt, V ptr)
{
    if (dt != DT_BF16) return e_load(e, ptr);
    V wide = LLVMBuildZExt(e->b, e_load_t(e, LLVMInt16TypeInContext(e->cx), ptr, 2), e->i32, "");
    return LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, wide, LLVMConstInt(e->i32, 16, 0), ""), e->f32, "");
}

V e_load_vd(struct emit *e, enum dtype dt, V ptr)
{
    return dt == DT_BF16 ? e_widen(e, e_load_t(e, half_vector(e), ptr, 2u * (unsigned)e->v)) : e_load_va(e, ptr);
}

void e_store_vd(struct emit *e, enum dtype dt, V x, V ptr)
{
    if (dt == DT_BF16) e_store_align(e, e_narrow(e, x), ptr, 2u * (unsigned)e->v);
    else e_store_va(e, x, ptr);
}

void e_store_two_bf16(struct emit *e, V a, V b, V ptr)
{
    if (has_bf16(e)) {
        V args[2] = {b, a}; /* the second operand goes to the lower half */
        e_store_align(e, e_intrinsic(e, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", NULL, args, 2), ptr,
                      2u * (unsigned)e->v);
        return;
    }
    e_store_vd(e, DT_BF16, a, ptr);
    e_store_vd(e, DT_BF16, b, e_ati_d(e, DT_BF16, ptr, e->v));
}

V e_pair_halves(struct emit *e, V even, V odd)
{
    V upper = LLVMBuildShl(e->b, LLVMBuildZExt(e->b, odd, e->vi32, ""), splat_i32(e, 16), "");
    return LLVMBuildOr(e->b, LLVMBuildZExt(e->b, even, e->vi32, ""), upper, "");
}

void e_widen_pairs(struct emit *e, V pairs, V *even, V *odd)
{
    *even = LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, pairs, splat_i32(e, 16), ""), e->vf, "");
    *odd = LLVMBuildBitCast(e->b, LLVMBuildAnd(e->b, pairs, splat_i32(e, 0xffff0000), ""), e->vf, "");
}

V e_dot_bf16(struct emit *e, V acc, V a, V b)
{
    if (has_bf16(e)) {
        LLVMTypeRef pairs = LLVMVectorType(LLVMBFloatTypeInContext(e->cx), 2 * (unsigned)e->v);
        V args[3] = {acc, LLVMBuildBitCast(e->b, a, pairs, ""), LLVMBuildBitCast(e->b, b, pairs, "")};
        return e_intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, args, 3);
    }
    V x[2], y[2];
    e_widen_pairs(e, a, &x[0], &x[1]);
    e_widen_pairs(e, b, &y[0], &y[1]);
    return e_fma(e, x[1], y[1], e_fma(e, x[0], y[0], acc));
}

V e_local(struct emit *e, int64_t vectors)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b), entry = LLVMGetEntryBasicBlock(e->fn);
    V first = LLVMGetFirstInstruction(entry);
    if (first) LLVMPositionBuilderBefore(e->b, first);
    V p = LLVMBuildArrayAlloca(e->b, e->vf, LLVMConstInt(e->i32, (unsigned long long)vectors, 0), "");
    LLVMSetAlignment(p, 4u * (unsigned)e->v);
    if (first) LLVMPositionBuilderAtEnd(e->b, here);
    return p;
}

static void prefetch(struct emit *e, V ptr, unsigned write)
{
    V args[4] = {ptr, LLVMConstInt(e->i32, write, 0), LLVMConstInt(e->i32, 2, 0),
                 LLVMConstInt(e->i32, 1, 0)}; /* locality 2, data */
    e_intrinsic(e, "llvm.prefetch", e->ptr, args, 4);
}

void e_prefetch(struct emit *e, V ptr) { prefetch(e, ptr, 0); }
void e_prefetch_write(struct emit *e, V ptr) { prefetch(e, ptr, 1); }

V e_lane_mask(struct emit *e, V count)
{
    V lanes[64];
    assert(e->v <= 64);
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    V c32 = LLVMBuildTrunc(e->b, count, e->i32, "");
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(e->vi32), c32, LLVMConstInt(e->i32, 0, 0), "");
    V all = LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(e->vi32), LLVMConstNull(e->vi32), "");
    return LLVMBuildICmp(e->b, LLVMIntSLT, LLVMConstVector(lanes, (unsigned)e->v), all, "");
}

/* llvm.masked.load and .store are overloaded on two types, which e_intrinsic does not cover. */
static V masked(struct emit *e, const char *name, LLVMTypeRef *types, V *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    V f = LLVMGetIntrinsicDeclaration(e->mod, id, types, 2);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->cx, id, types, 2), f, args, n, "");
}

V e_load_masked(struct emit *e, V ptr, V count)
{
    V args[4] = {ptr, LLVMConstInt(e->i32, 4, 0), e_lane_mask(e, count), e_zero(e)};
    return masked(e, "llvm.masked.load", (LLVMTypeRef[]){e->vf, e->ptr}, args, 4);
}

V e_load_where(struct emit *e, enum dtype dt, V ptr, V mask)
{
    LLVMTypeRef t = e_stored(e, dt);
    V args[4] = {ptr, LLVMConstInt(e->i32, (dt == DT_BF16 ? 2u : 4u) * (unsigned)e->v, 0), mask, LLVMConstNull(t)};
    V x = masked(e, "llvm.masked.load", (LLVMTypeRef[]){t, e->ptr}, args, 4);
    return dt == DT_BF16 ? e_widen(e, x) : x;
}

void e_store_masked(struct emit *e, V x, V ptr, V count)
{
    V args[4] = {x, ptr, LLVMConstInt(e->i32, 4, 0), e_lane_mask(e, count)};
    masked(e, "llvm.masked.store", (LLVMTypeRef[]){e->vf, e->ptr}, args, 4);
}

/* ---- vectors */

V e_splat(struct emit *e, V scalar)
{
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(e->vf), scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(e->vf), LLVMConstNull(e->vi32), "");
}

V e_splatc(struct emit *e, double x)
{
    V lanes[64];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstReal(e->f32, x);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

V e_zero(struct emit *e) { return LLVMConstNull(e->vf); }
V e_fadd(struct emit *e, V a, V b) { return LLVMBuildFAdd(e->b, a, b, ""); }
V e_fsub(struct emit *e, V a, V b) { return LLVMBuildFSub(e->b, a, b, ""); }
V e_fmul(struct emit *e, V a, V b) { return LLVMBuildFMul(e->b, a, b, ""); }
V e_fdiv(struct emit *e, V a, V b) { return LLVMBuildFDiv(e->b, a, b, ""); }
V e_fma(struct emit *e, V a, V b, V c) { return e_intrinsic(e, "llvm.fma", LLVMTypeOf(a), (V[]){a, b, c}, 3); }
V e_fcmp(struct emit *e, LLVMRealPredicate p, V a, V b) { return LLVMBuildFCmp(e->b, p, a, b, ""); }
V e_fmax(struct emit *e, V a, V b) { return e_select(e, e_fcmp(e, LLVMRealOGT, a, b), a, b); }
V e_fmin(struct emit *e, V a, V b) { return e_select(e, e_fcmp(e, LLVMRealOLT, a, b), a, b); }
V e_sqrt(struct emit *e, V a) { return e_intrinsic(e, "llvm.sqrt", LLVMTypeOf(a), &a, 1); }

/* Halves folded onto each other until one lane is left: the same tree on every target of as many lanes. */
static V reduce(struct emit *e, V a, V (*combine)(struct emit *, V, V))
{
    for (int half = e->v / 2; half >= 1; half /= 2) {
        V idx[64];
        for (int i = 0; i < e->v; i++) idx[i] = LLVMConstInt(e->i32, (unsigned long long)(i < half ? i + half : i), 0);
        V hi = LLVMBuildShuffleVector(e->b, a, LLVMGetUndef(e->vf), LLVMConstVector(idx, (unsigned)e->v), "");
        a = combine(e, a, hi);
    }
    return LLVMBuildExtractElement(e->b, a, LLVMConstInt(e->i32, 0, 0), "");
}

V e_reduce_add(struct emit *e, V a) { return reduce(e, a, e_fadd); }
V e_reduce_max(struct emit *e, V a) { return reduce(e, a, e_fmax); }

/* ---- control flow */

static LLVMBasicBlockRef new_block(struct emit *e) { return LLVMAppendBasicBlockInContext(e->cx, e->fn, ""); }

static void loop_open(struct emit *e, struct loop *l, V from, V to, int64_t step, int ncarried, const V *init,
                      bool once)
{
    assert(ncarried <= LOOP_MAX);
    l->limit = to;
    l->step = step;
    l->ncarried = ncarried;
    l->head = new_block(e);
    l->exit = new_block(e);
    l->before = LLVMGetInsertBlock(e->b);
    if (once) LLVMBuildBr(e->b, l->head);
    else LLVMBuildCondBr(e->b, e_cmp(e, LLVMIntSLT, from, to), l->head, l->exit);
    LLVMPositionBuilderAtEnd(e->b, l->exit);
    for (int i = 0; i < ncarried; i++) {
        l->init[i] = init[i];
        l->out[i] = LLVMBuildPhi(e->b, LLVMTypeOf(init[i]), "");
        if (!once) LLVMAddIncoming(l->out[i], &l->init[i], &l->before, 1);
    }
    LLVMPositionBuilderAtEnd(e->b, l->head);
    l->iv = LLVMBuildPhi(e->b, e->i64, "");
    LLVMAddIncoming(l->iv, &from, &l->before, 1);
    for (int i = 0; i < ncarried; i++) {
        l->phi[i] = LLVMBuildPhi(e->b, LLVMTypeOf(init[i]), "");
        LLVMAddIncoming(l->phi[i], &l->init[i], &l->before, 1);
    }
}

void loop_begin(struct emit *e, struct loop *l, V from, V to, int64_t step, int ncarried, const V *init)
{
    int64_t a, b;
    bool once = is_const(from, &a) && is_const(to, &b) && a < b;
    loop_open(e, l, from, to, step, ncarried, init, once);
}

void loop_begin_once(struct emit *e, struct loop *l, V from, V to, int64_t step, int ncarried, const V *init)
{
    loop_open(e, l, from, to, step, ncarried, init, true);
}

void loop_end(struct emit *e, struct loop *l, const V *next)
{
    V i = e_addi(e, l->iv, l->step);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    LLVMBuildCondBr(e->b, e_cmp(e, LLVMIntSLT, i, l->limit), l->head, l->exit);
    LLVMAddIncoming(l->iv, &i, &latch, 1);
    for (int k = 0; k < l->ncarried; k++) {
        V x = next[k];
        LLVMAddIncoming(l->phi[k], &x, &latch, 1);
        LLVMAddIncoming(l->out[k], &x, &latch, 1);
    }
    LLVMPositionBuilderAtEnd(e->b, l->exit);
}

void if_begin(struct emit *e, struct branch *f, V cond)
{
    f->then_ = new_block(e);
    f->else_ = new_block(e);
    f->join = new_block(e);
    f->has_else = false;
    LLVMBuildCondBr(e->b, cond, f->then_, f->else_);
    LLVMPositionBuilderAtEnd(e->b, f->then_);
}

void if_else(struct emit *e, struct branch *f)
{
    f->then_end = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, f->join);
    LLVMPositionBuilderAtEnd(e->b, f->else_);
    f->has_else = true;
}

void if_end(struct emit *e, struct branch *f)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, f->join);
    if (!f->has_else) {
        f->then_end = here;
        LLVMPositionBuilderAtEnd(e->b, f->else_);
        LLVMBuildBr(e->b, f->join);
    }
    LLVMPositionBuilderAtEnd(e->b, f->join);
}
