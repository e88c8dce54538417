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
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    V c32 = LLVMBuildTrunc(e->b, count, e->i32, "");
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(e->vi32), c32, LLVMConstInt(e->i32, 0, 0), "");
    V all = LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(e->vi32), LLVMConstNull(e->vi32), "");
    return LLVMBuildICmp(e->b, LLVMIntSLT, LLVMConstVector(lanes, (unsigned)e->v), all, "");
}

/* ---- vectors */

V e_splat(struct emit *e, V scalar)
{
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(e->vf), scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(e->vf), LLVMConstNull(e->vi32), "");
}

V e_splatc(struct emit *e, double x)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstReal(e->f32, x);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

V e_zero(struct emit *e) { return LLVMConstNull(e->vf); }
V e_fadd(struct emit *e, V a, V b) { return LLVMBuildFAdd(e->b, a, b, ""); }
V e_fsub(struct emit *e, V a, V b) { return LLVMBuildFSub(e->b, a, b, ""); }
V e_fmul(struct emit *e, V a, V b) { return LLVMBuildFMul(e->b, a, b, ""); }
V e_fdiv(struct emit *e, V a, V b) { return LLVMBuildFDiv(e->b, a, b, ""); }
/* f32 or vf; f64 or a vector of it. */
static LLVMTypeRef of_width(struct emit *e, V x, LLVMTypeRef number)
{
    bool vector = LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind;
    return vector ? LLVMVectorType(number, (unsigned)e->v) : number;
}

V e_double(struct emit *e, V x) { return LLVMBuildFPExt(e->b, x, of_width(e, x, e->f64), ""); }
V e_single(struct emit *e, V x) { return LLVMBuildFPTrunc(e->b, x, of_width(e, x, e->f32), ""); }

V e_fma(struct emit *e, V a, V b, V c) { return e_intrinsic(e, "llvm.fma", LLVMTypeOf(a), (V[]){a, b, c}, 3); }
V e_fcmp(struct emit *e, LLVMRealPredicate p, V a, V b) { return LLVMBuildFCmp(e->b, p, a, b, ""); }
V e_fmax(struct emit *e, V a, V b) { return e_select(e, e_fcmp(e, LLVMRealOGT, a, b), a, b); }
V e_fmin(struct emit *e, V a, V b) { return e_select(e, e_fcmp(e, LLVMRealOLT, a, b), a, b); }
V e_sqrt(struct emit *e, V a) { return e_intrinsic(e, "llvm.sqrt", LLVMTypeOf(a), &a, 1); }

/* Halves folded onto each other until one lane is left: the same tree on every target of as many lanes. */
static V reduce(struct emit *e, V a, V (*combine)(struct emit *, V, V))
{
    for (int half = e->v / 2; half >= 1; half /= 2) {
        V idx[MAX_LANES];
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
