/* number.c: numbers in memory, by type. In registers all are f32; a rounded type has a row here, which says how its
   numbers become f32 and back, and how groups of them are multiplied. */
#include <string.h>
#include "gen/emit/emit.h"

static LLVMTypeRef half_vector(struct emit *e) { return LLVMVectorType(LLVMInt16TypeInContext(e->cx), (unsigned)e->v); }

static V splat_i32(struct emit *e, uint32_t x)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, x, 0);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

/* ---- bf16: the upper half of an fp32 number */

static bool has_bf16(const struct emit *e) { return e->v == 16 && dtype_has_products(DT_BF16, e->target); }

static V bf16_widen(struct emit *e, V x)
{
    V wide = LLVMBuildZExt(e->b, x, e->vi32, "");
    return LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, wide, splat_i32(e, 16), ""), e->vf, "");
}

static V bf16_widen_one(struct emit *e, V x)
{
    V wide = LLVMBuildZExt(e->b, x, e->i32, "");
    return LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, wide, LLVMConstInt(e->i32, 16, 0), ""), e->f32, "");
}

/* Without the instruction: add half of the last place less one, and one more where the kept part is odd. A NaN could
   round up into an infinity; it becomes the quiet one. */
static V bf16_narrow(struct emit *e, V x)
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

static void bf16_store_two(struct emit *e, V a, V b, V ptr)
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

static void bf16_widen_pairs(struct emit *e, V pairs, V *even, V *odd)
{
    *even = LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, pairs, splat_i32(e, 16), ""), e->vf, "");
    *odd = LLVMBuildBitCast(e->b, LLVMBuildAnd(e->b, pairs, splat_i32(e, 0xffff0000), ""), e->vf, "");
}

static V bf16_dot(struct emit *e, V acc, V a, V b)
{
    if (has_bf16(e)) {
        LLVMTypeRef pairs = LLVMVectorType(LLVMBFloatTypeInContext(e->cx), 2 * (unsigned)e->v);
        V args[3] = {acc, LLVMBuildBitCast(e->b, a, pairs, ""), LLVMBuildBitCast(e->b, b, pairs, "")};
        return e_intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, args, 3);
    }
    V x[2], y[2];
    bf16_widen_pairs(e, a, &x[0], &x[1]);
    bf16_widen_pairs(e, b, &y[0], &y[1]);
    return e_fma(e, x[1], y[1], e_fma(e, x[0], y[0], acc));
}

/* ---- the rounded types */

static const struct rounded {
    V (*widen)(struct emit *e, V x);
    V (*widen_one)(struct emit *e, V x);
    V (*narrow)(struct emit *e, V x);
    void (*store_two)(struct emit *e, V a, V b, V ptr);
    void (*widen_pairs)(struct emit *e, V pairs, V *even, V *odd);
    V (*dot)(struct emit *e, V acc, V a, V b);
} rounded[DTYPES] = {
    [DT_BF16] = {bf16_widen, bf16_widen_one, bf16_narrow, bf16_store_two, bf16_widen_pairs, bf16_dot},
};

V e_widen(struct emit *e, enum dtype dt, V x) { return dtype_rounded(dt) ? rounded[dt].widen(e, x) : x; }
V e_narrow(struct emit *e, enum dtype dt, V x) { return dtype_rounded(dt) ? rounded[dt].narrow(e, x) : x; }

void e_store_two(struct emit *e, enum dtype dt, V a, V b, V ptr) { rounded[dt].store_two(e, a, b, ptr); }

void e_widen_pairs(struct emit *e, enum dtype dt, V pairs, V *even, V *odd)
{
    rounded[dt].widen_pairs(e, pairs, even, odd);
}

V e_dot(struct emit *e, enum dtype dt, V acc, V a, V b) { return rounded[dt].dot(e, acc, a, b); }

V e_pair_halves(struct emit *e, V even, V odd)
{
    V upper = LLVMBuildShl(e->b, LLVMBuildZExt(e->b, odd, e->vi32, ""), splat_i32(e, 16), "");
    return LLVMBuildOr(e->b, LLVMBuildZExt(e->b, even, e->vi32, ""), upper, "");
}

/* ---- memory */

V e_at_d(struct emit *e, enum dtype dt, V ptr, V index)
{
    return dtype_rounded(dt) ? e_at_bytes(e, ptr, e_muli(e, index, (int64_t)dtype_bytes(dt))) : e_at(e, ptr, index);
}

V e_ati_d(struct emit *e, enum dtype dt, V ptr, int64_t index) { return e_at_d(e, dt, ptr, e_int(e, index)); }

LLVMTypeRef e_stored(struct emit *e, enum dtype dt) { return dtype_rounded(dt) ? half_vector(e) : e->vf; }

/* Bytes of v elements. */
static unsigned vector_bytes(const struct emit *e, enum dtype dt) { return (unsigned)dtype_bytes(dt) * (unsigned)e->v; }

V e_load_d(struct emit *e, enum dtype dt, V ptr)
{
    if (!dtype_rounded(dt)) return e_load(e, ptr);
    return rounded[dt].widen_one(e, e_load_t(e, LLVMGetElementType(e_stored(e, dt)), ptr, (unsigned)dtype_bytes(dt)));
}

V e_load_vd(struct emit *e, enum dtype dt, V ptr)
{
    return dtype_rounded(dt) ? e_widen(e, dt, e_load_t(e, e_stored(e, dt), ptr, vector_bytes(e, dt)))
                             : e_load_va(e, ptr);
}

V e_load_vu(struct emit *e, enum dtype dt, V ptr)
{
    return dtype_rounded(dt) ? e_load_vd(e, dt, ptr) : e_load_v(e, ptr);
}

void e_store_vd(struct emit *e, enum dtype dt, V x, V ptr)
{
    if (dtype_rounded(dt)) e_store_align(e, e_narrow(e, dt, x), ptr, vector_bytes(e, dt));
    else e_store_va(e, x, ptr);
}

void e_store_vu(struct emit *e, enum dtype dt, V x, V ptr)
{
    if (dtype_rounded(dt)) e_store_vd(e, dt, x, ptr);
    else e_store_v(e, x, ptr);
}

/* llvm.masked.load and .store are overloaded on two types, which e_intrinsic does not cover. */
static V masked(struct emit *e, const char *name, LLVMTypeRef type, V *args)
{
    LLVMTypeRef types[2] = {type, e->ptr};
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    V f = LLVMGetIntrinsicDeclaration(e->mod, id, types, 2);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->cx, id, types, 2), f, args, 4, "");
}

V e_load_masked(struct emit *e, V ptr, V count)
{
    V args[4] = {ptr, LLVMConstInt(e->i32, 4, 0), e_lane_mask(e, count), e_zero(e)};
    return masked(e, "llvm.masked.load", e->vf, args);
}

void e_store_masked(struct emit *e, V x, V ptr, V count)
{
    V args[4] = {x, ptr, LLVMConstInt(e->i32, 4, 0), e_lane_mask(e, count)};
    masked(e, "llvm.masked.store", e->vf, args);
}

V e_load_where(struct emit *e, enum dtype dt, V ptr, V mask)
{
    LLVMTypeRef t = e_stored(e, dt);
    V args[4] = {ptr, LLVMConstInt(e->i32, vector_bytes(e, dt), 0), mask, LLVMConstNull(t)};
    return e_widen(e, dt, masked(e, "llvm.masked.load", t, args));
}

void e_store_where(struct emit *e, enum dtype dt, V x, V ptr, V mask)
{
    V args[4] = {e_narrow(e, dt, x), ptr, LLVMConstInt(e->i32, dtype_bytes(dt), 0), mask};
    masked(e, "llvm.masked.store", LLVMTypeOf(args[0]), args);
}
