/* fpstate.h: sets flush-to-zero for kernels, and restores the caller's floating-point state afterwards. Arithmetic on
   denormal numbers takes about a hundred cycles. Every thread flushes them, so that results are the same for any number
   of threads. */
#ifndef RNC_RUNTIME_RT_FPSTATE_H
#define RNC_RUNTIME_RT_FPSTATE_H

#include <stdint.h>
#if defined __x86_64__
#include <xmmintrin.h>
#endif

/* Sets flush-to-zero (x86: and denormals-are-zero), round to nearest; returns what was set before. */
static inline uint64_t rnc_fp_enter(void)
{
#if defined __x86_64__
    unsigned old = _mm_getcsr();
    unsigned set = (old | 0x8040u) & ~0x6000u; /* FTZ, DAZ; rounding control 00 */
    if (set != old) _mm_setcsr(set);
    return old;
#elif defined __aarch64__
    uint64_t old, set;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    set = (old | (1u << 24)) & ~(uint64_t)(3u << 22);
    if (set != old) __asm__ volatile("msr fpcr, %0" : : "r"(set));
    return old;
#else
    return 0;
#endif
}

static inline void rnc_fp_leave(uint64_t old)
{
#if defined __x86_64__
    _mm_setcsr((unsigned)old);
#elif defined __aarch64__
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}

#endif
