/* emit.h: a thin layer over LLVM's builder: vectors of the target's lanes, addresses, counted loops with carried
   values. One struct emit writes one kernel function into one module. Emit functions are pure: equal parameters give
   equal code, on any thread. LLVM's optimisation passes do not run, only instruction selection. So hoist by hand, keep
   accumulators in SSA values, and fold constants into addresses. */
#ifndef RNC_GEN_EMIT_EMIT_H
#define RNC_GEN_EMIT_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <llvm-c/Core.h>
#include "base/target.h"
#include "gen/module/lower.h"

typedef LLVMValueRef V; /* an SSA value */

struct emit {
    LLVMContextRef cx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    const struct target *target;
    int v;      /* lanes */
    bool whole; /* the module holds all kernels, which are then internal functions */
    LLVMTypeRef f32, f64, i1, i8, i32, i64, ptr, vf, vi32, vi1, vi8; /* v-lane vectors: vf, vi32, vi1, vi8 */
    V fn, args, run, scratch, begin, end;                            /* the kernel and its parameters */
    int next;                                                        /* for unique names */
};

/* ---- scalars (i64 unless said otherwise; constants fold) */
V e_int(struct emit *e, int64_t x);
V e_f32(struct emit *e, double x);
V e_add(struct emit *e, V a, V b);
V e_sub(struct emit *e, V a, V b);
V e_mul(struct emit *e, V a, V b);
V e_addi(struct emit *e, V a, int64_t b);
V e_muli(struct emit *e, V a, int64_t b);
V e_div(struct emit *e, V a, V b); /* unsigned */
V e_rem(struct emit *e, V a, V b); /* unsigned */
V e_divi(struct emit *e, V a, int64_t b);
V e_remi(struct emit *e, V a, int64_t b);
V e_min(struct emit *e, V a, V b); /* signed */
V e_max(struct emit *e, V a, V b);
V e_cmp(struct emit *e, LLVMIntPredicate p, V a, V b);
V e_select(struct emit *e, V c, V a, V b); /* any type; scalar or vector condition */

/* ---- the kernel's surroundings */
V e_arg(struct emit *e, int i); /* args[i] as a pointer; load once, at the top */
V e_run_n(struct emit *e);      /* run->n, i64 */
V e_run_step(struct emit *e);   /* i64 */
V e_run_seed(struct emit *e);   /* i64 */
V e_run_lr(struct emit *e);     /* f64 */

/* ---- memory: pointers are byte-addressed; indices count floats */
V e_at(struct emit *e, V ptr, V index); /* &ptr[index] floats */
V e_ati(struct emit *e, V ptr, int64_t index);
V e_at_bytes(struct emit *e, V ptr, V bytes);
V e_load(struct emit *e, V ptr);    /* one float */
V e_load_v(struct emit *e, V ptr);  /* v floats, unaligned-safe (align 4) */
V e_load_va(struct emit *e, V ptr); /* v floats, aligned to the vector */
void e_store(struct emit *e, V x, V ptr);
void e_store_v(struct emit *e, V x, V ptr); /* align 4 */
void e_store_va(struct emit *e, V x, V ptr);
/* Non-temporal stores, for large results that are not read soon. Store all vectors of a cache line one after the other.
   Call e_stream_end before the kernel returns, so that other threads see the stores. */
void e_stream_va(struct emit *e, V x, V ptr);
void e_stream_end(struct emit *e);
V e_load_t(struct emit *e, LLVMTypeRef t, V ptr, unsigned align);
void e_store_align(struct emit *e, V x, V ptr, unsigned align);
/* Values that may be stored in a rounded type (gen/emit/number.c). In registers they are vf. Indices count elements. */
V e_at_d(struct emit *e, enum dtype dt, V ptr, V index);
V e_ati_d(struct emit *e, enum dtype dt, V ptr, int64_t index);
LLVMTypeRef e_stored(struct emit *e, enum dtype dt); /* v elements as they lie in memory: vf or, in bf16, <v x i16> */
V e_load_d(struct emit *e, enum dtype dt, V ptr);    /* one element, as f32 */
V e_load_vd(struct emit *e, enum dtype dt, V ptr);   /* v elements, aligned to their size together; exact */
V e_load_vu(struct emit *e, enum dtype dt, V ptr);   /* the same, where f32 may be unaligned */
void e_store_vd(struct emit *e, enum dtype dt, V x, V ptr); /* rounded to nearest, ties to even */
void e_store_vu(struct emit *e, enum dtype dt, V x, V ptr); /* the same, where f32 may be unaligned */
/* Converts vf to the stored type, rounded to nearest, ties to even. For bf16, denormals become zero if the CPU's
   instruction does that. e_widen converts back, exactly. */
V e_narrow(struct emit *e, enum dtype dt, V x);
V e_widen(struct emit *e, enum dtype dt, V x);
/* The next functions are for types whose products take pairs (dtype_group is 2). */
void e_store_two(struct emit *e, enum dtype dt, V a, V b, V ptr); /* one vector behind the other, aligned as one */
/* Two <v x i16> to vi32: puts the numbers of each lane side by side, EVEN's in the lower half. */
V e_pair_halves(struct emit *e, V even, V odd);
/* vi32: two numbers each, the element of even index in the lower half; exact. */
void e_widen_pairs(struct emit *e, enum dtype dt, V pairs, V *even, V *odd);
/* acc[i] + a[2i]·b[2i] + a[2i+1]·b[2i+1] on pairs; a, b: vi32, the element of even index in the lower half. Uses
   VDPBF16PS if the CPU has it, else two fused multiply-adds. */
V e_dot(struct emit *e, enum dtype dt, V acc, V a, V b);
/* The first COUNT lanes (a run-time i64, 0 to v). Other lanes read as zero and are not stored; their memory is not
   accessed. */
V e_load_masked(struct emit *e, V ptr, V count);
void e_store_masked(struct emit *e, V x, V ptr, V count);
V e_load_where(struct emit *e, enum dtype dt, V ptr,
               V mask); /* aligned to the v elements; lanes outside the mask (vi1) read as zero and are not accessed */
void e_store_where(struct emit *e, enum dtype dt, V x, V ptr, V mask); /* aligned to an element */
/* Prefetches the cache line at PTR, which need not be valid, into the second-level cache. */
void e_prefetch(struct emit *e, V ptr);
void e_prefetch_write(struct emit *e, V ptr); /* the same, for a line that will be written to */
V e_lane_mask(struct emit *e, V count);       /* vi1: lane < count */

V e_local(struct emit *e, int64_t vectors); /* memory on the kernel's stack: aligned vectors, uninitialised */

/* ---- vectors and floats (all work on vf and on f32 alike) */
V e_splat(struct emit *e, V scalar); /* f32 -> vf */
V e_splatc(struct emit *e, double x);
V e_zero(struct emit *e);        /* vf */
V e_double(struct emit *e, V x); /* f32 or vf to double precision, which e_fadd and e_fmul accept too */
V e_single(struct emit *e, V x); /* and back, rounded */
V e_fadd(struct emit *e, V a, V b);
V e_fsub(struct emit *e, V a, V b);
V e_fmul(struct emit *e, V a, V b);
V e_fdiv(struct emit *e, V a, V b);
V e_fma(struct emit *e, V a, V b, V c); /* a*b + c, fused */
V e_fmax(struct emit *e, V a, V b);     /* compare-and-select; NaN in b propagates like maxps */
V e_fmin(struct emit *e, V a, V b);
V e_fcmp(struct emit *e, LLVMRealPredicate p, V a, V b);
V e_sqrt(struct emit *e, V a);
V e_reduce_add(struct emit *e, V a); /* vf -> f32, a fixed tree */
V e_reduce_max(struct emit *e, V a);
V e_intrinsic(struct emit *e, const char *name, LLVMTypeRef overload, V *args, unsigned n);

/* ---- control flow */
enum { LOOP_MAX = 64 };
struct loop {
    V iv;            /* i64 induction variable, inside */
    V phi[LOOP_MAX]; /* carried values, inside */
    V out[LOOP_MAX]; /* their final values, after loop_end */
    int ncarried;
    LLVMBasicBlockRef head, exit;
    V limit;
    int64_t step;
    LLVMBasicBlockRef before;
    V init[LOOP_MAX];
};
/* for (iv = from; iv < to; iv += step); zero iterations are allowed. INIT: the initial values of the carried values
   (any types). */
void loop_begin(struct emit *e, struct loop *l, V from, V to, int64_t step, int ncarried, const V *init);
/* The same for loops of one iteration or more: the first test is left out. */
void loop_begin_once(struct emit *e, struct loop *l, V from, V to, int64_t step, int ncarried, const V *init);
/* NEXT: the carried values at the end of the body. */
void loop_end(struct emit *e, struct loop *l, const V *next);

struct branch {
    LLVMBasicBlockRef then_, else_, join, then_end;
    bool has_else;
};
void if_begin(struct emit *e, struct branch *f, V cond);
void if_else(struct emit *e, struct branch *f);
void if_end(struct emit *e, struct branch *f);

#endif
