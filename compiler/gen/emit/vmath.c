/* vmath.c: exp, log, tanh and erf on vectors of f32.
   exp, log, tanh: range reductions and polynomials of the Cephes library (S. Moshier, single/expf.c, logf.c, tanhf.c),
   with fused multiply-adds; erf: N. Juffa's minimax polynomials, one for each of two intervals (about 1 ulp). Nothing
   here depends on the rounding mode or raises poison: integers are made by the 1.5·2^23 trick instead of conversions.
 */
#include "gen/emit/expr.h"

#include <math.h>

static V splat_i32(struct emit *e, int32_t x)
{
    V lanes[MAX_LANES];
    for (int i = 0; i < e->v; i++) lanes[i] = LLVMConstInt(e->i32, (unsigned long long)(uint32_t)x, 0);
    return LLVMConstVector(lanes, (unsigned)e->v);
}

static V as_int(struct emit *e, V x) { return LLVMBuildBitCast(e->b, x, e->vi32, ""); }
static V as_float(struct emit *e, V x) { return LLVMBuildBitCast(e->b, x, e->vf, ""); }

/* c[0]·x^(n−1) + … + c[n−1] */
static V horner(struct emit *e, V x, const double *c, int n)
{
    V r = e_splatc(e, c[0]);
    for (int i = 1; i < n; i++) r = e_fma(e, r, x, e_splatc(e, c[i]));
    return r;
}

/* 2^k for a vector of small integers */
static V power_of_two(struct emit *e, V k)
{
    return as_float(e, LLVMBuildShl(e->b, LLVMBuildAdd(e->b, k, splat_i32(e, 127), ""), splat_i32(e, 23), ""));
}

/* e^x = 2^k·e^r, |r| ≤ ln2/2. The clamps keep k in range and let a NaN through; 2^k is applied in two factors, so that
   the result overflows to infinity and underflows by degrees. */
V e_exp(struct emit *e, V x)
{
    static const double c[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                               4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
    x = e_fmax(e, e_splatc(e, -105), e_fmin(e, e_splatc(e, 90), x));
    V magic = e_splatc(e, 12582912.0); /* 1.5·2^23 */
    V t = e_fma(e, x, e_splatc(e, 1.44269504088896341), magic);
    V kf = e_fsub(e, t, magic), k = LLVMBuildSub(e->b, as_int(e, t), splat_i32(e, 0x4B400000), "");
    V r = e_fma(e, kf, e_splatc(e, -0.693359375), x);
    r = e_fma(e, kf, e_splatc(e, 2.12194440e-4), r);
    V p = e_fma(e, horner(e, r, c, 6), e_fmul(e, r, r), r);
    p = e_fadd(e, p, e_splatc(e, 1));
    V half = LLVMBuildAShr(e->b, k, splat_i32(e, 1), ""), other = LLVMBuildSub(e->b, k, half, "");
    return e_fmul(e, e_fmul(e, p, power_of_two(e, half)), power_of_two(e, other));
}

/* ln(m·2^k) = k·ln2 + ln(1 + f), f = m − 1, m in [√½, √2) */
V e_log(struct emit *e, V x)
{
    static const double c[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,  -1.2420140846e-1, 1.4249322787e-1,
                               -1.6668057665e-1, 2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};
    V tiny = e_fcmp(e, LLVMRealOLT, x, e_splatc(e, 0x1p-126));
    V y = e_select(e, tiny, e_fmul(e, x, e_splatc(e, 0x1p23)), x); /* denormals */
    V bits = as_int(e, y);
    /* The exponent as of y/√½: an integer subtraction moves the cut from 1 to √½. */
    V shifted = LLVMBuildSub(e->b, bits, splat_i32(e, 0x3F3504F3), "");
    V k = LLVMBuildAShr(e->b, shifted, splat_i32(e, 23), "");
    V m = as_float(e, LLVMBuildSub(e->b, bits, LLVMBuildShl(e->b, k, splat_i32(e, 23), ""), ""));
    V kf = LLVMBuildSIToFP(e->b, k, e->vf, "");
    kf = e_fadd(e, kf, e_select(e, tiny, e_splatc(e, -23), e_zero(e)));
    V f = e_fsub(e, m, e_splatc(e, 1)), f2 = e_fmul(e, f, f);
    V r = e_fmul(e, e_fmul(e, horner(e, f, c, 9), f), f2);
    r = e_fma(e, kf, e_splatc(e, -2.12194440e-4), r);
    r = e_fma(e, f2, e_splatc(e, -0.5), r);
    r = e_fadd(e, r, f);
    r = e_fma(e, kf, e_splatc(e, 0.693359375), r);
    V inf = e_splatc(e, INFINITY);
    r = e_select(e, e_fcmp(e, LLVMRealOEQ, x, inf), inf, r);
    r = e_select(e, e_fcmp(e, LLVMRealOEQ, x, e_zero(e)), e_splatc(e, -INFINITY), r);
    return e_select(e, e_fcmp(e, LLVMRealULT, x, e_zero(e)), e_splatc(e, NAN), r); /* negative or NaN */
}

static V copy_sign(struct emit *e, V magnitude, V sign)
{
    return e_intrinsic(e, "llvm.copysign", e->vf, (V[]){magnitude, sign}, 2);
}

V e_tanh(struct emit *e, V x)
{
    static const double c[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                               -3.33332819422e-1};
    V a = e_fabs(e, x), z = e_fmul(e, x, x), one = e_splatc(e, 1);
    V small = e_fma(e, e_fmul(e, horner(e, z, c, 5), z), x, x);
    V t = e_exp(e, e_fadd(e, a, a));
    V large = e_fsub(e, one, e_fdiv(e, e_splatc(e, 2), e_fadd(e, t, one)));
    return e_select(e, e_fcmp(e, LLVMRealOLT, a, e_splatc(e, 0.625)), small, copy_sign(e, large, x));
}

V e_erf(struct emit *e, V x)
{
    static const double near[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
                                  1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
    static const double far[] = {-1.06777877e-1, -6.34846687e-1, -1.28717512e-1};
    V a = e_fabs(e, x), s = e_fmul(e, x, x);
    V small = e_fma(e, horner(e, s, near, 6), x, x);
    V t = e_fmin(e, e_splatc(e, 4), a), t2 = e_fmul(e, t, t); /* erf(4) rounds to 1 */
    V r = e_fma(e, e_splatc(e, -1.72853470e-5), t, e_splatc(e, 3.83197126e-4));
    V u = e_fma(e, e_splatc(e, -3.88396438e-3), t, e_splatc(e, 2.42546219e-2));
    r = e_fma(e, r, t2, u);
    for (int i = 0; i < 3; i++) r = e_fma(e, r, t, e_splatc(e, far[i]));
    r = e_fma(e, r, t, LLVMBuildFNeg(e->b, t, ""));
    V large = copy_sign(e, e_fsub(e, e_splatc(e, 1), e_exp(e, r)), x);
    return e_select(e, e_fcmp(e, LLVMRealOGT, a, e_splatc(e, 0.927734375)), large, small);
}
