#include "gen/emit/lanes.h"

#include <string.h>

V table_i64(struct emit *e, V table, int i) { return e_load_t(e, e->i64, e_at_bytes(e, table, e_int(e, 8 * i)), 8); }

static V broadcast(struct emit *e, V scalar)
{
    LLVMTypeRef wide = LLVMVectorType(e->i64, (unsigned)e->v);
    V ins = LLVMBuildInsertElement(e->b, LLVMGetUndef(wide), scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, ins, LLVMGetUndef(wide), LLVMConstNull(e->vi32), "");
}

static V addresses(struct emit *e, V ptr, V first, V stride)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = e_int(e, i);
    V offset = LLVMBuildMul(e->b, LLVMConstVector(lanes, (unsigned)e->v), broadcast(e, stride), "");
    return LLVMBuildGEP2(e->b, e->f32, e_at(e, ptr, first), &offset, 1, "");
}

static V all_lanes(struct emit *e) { return LLVMConstAllOnes(e->vi1); }

static V call(struct emit *e, const char *name, V *args)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMTypeRef types[2] = {e->vf, LLVMVectorType(e->ptr, (unsigned)e->v)};
    V f = LLVMGetIntrinsicDeclaration(e->mod, id, types, 2);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->cx, id, types, 2), f, args, 4, "");
}

V lanes_gather(struct emit *e, V ptr, V first, V stride, V mask)
{
    V args[4] = {addresses(e, ptr, first, stride), LLVMConstInt(e->i32, 4, 0), mask ? mask : all_lanes(e), e_zero(e)};
    return call(e, "llvm.masked.gather", args);
}

void lanes_scatter(struct emit *e, V x, V ptr, V first, V stride, V mask)
{
    V args[4] = {x, addresses(e, ptr, first, stride), LLVMConstInt(e->i32, 4, 0), mask ? mask : all_lanes(e)};
    call(e, "llvm.masked.scatter", args);
}

/* log2(v) rounds; each swaps off-diagonal blocks of twice the size (Eklundh 1972). The fences keep LLVM from looking
   through chains of shuffles, which takes it ten times as long as all the rest and finds nothing. */
void lanes_transpose(struct emit *e, V *rows)
{
    for (int k = 1; k < e->v; k *= 2)
        for (int i = 0; i < e->v; i++) {
            if (i & k) continue;
            V a = rows[i], b = rows[i + k], low[MAX_LANES], high[MAX_LANES];
            for (int l = 0; l < e->v; l++) {
                low[l] = LLVMConstInt(e->i32, (unsigned long long)(l & k ? e->v + l - k : l), 0);
                high[l] = LLVMConstInt(e->i32, (unsigned long long)(l & k ? e->v + l : l + k), 0);
            }
            V x[2] = {LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(low, (unsigned)e->v), ""),
                      LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(high, (unsigned)e->v), "")};
            rows[i] = e_intrinsic(e, "llvm.arithmetic.fence", e->vf, &x[0], 1);
            rows[i + k] = e_intrinsic(e, "llvm.arithmetic.fence", e->vf, &x[1], 1);
        }
}
