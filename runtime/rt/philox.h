/* philox.h: Philox4x32-10, a counter-based random number generator (Salmon, Moraes, Dror, Shaw: "Parallel Random
   Numbers: As Easy as 1, 2, 3", SC 2011). A number depends on (key, counter) alone, so it does not depend on threads or
   order. The compiler generates the same rounds (gen/pointwise/dropout.c). */
#ifndef RNC_RUNTIME_RT_PHILOX_H
#define RNC_RUNTIME_RT_PHILOX_H

#include <stdint.h>

enum { RNC_PHILOX_ROUNDS = 10 };
#define RNC_PHILOX_M0 0xD2511F53u /* multipliers */
#define RNC_PHILOX_M1 0xCD9E8D57u
#define RNC_PHILOX_W0 0x9E3779B9u /* added to the key after each round */
#define RNC_PHILOX_W1 0xBB67AE85u

struct rnc_philox {
    uint32_t word[4];
};

static inline struct rnc_philox rnc_philox(uint64_t key, uint64_t counter_low, uint64_t counter_high)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter_low, c1 = (uint32_t)(counter_low >> 32);
    uint32_t c2 = (uint32_t)counter_high, c3 = (uint32_t)(counter_high >> 32);
    for (int round = 0; round < RNC_PHILOX_ROUNDS; round++) {
        uint64_t a = (uint64_t)RNC_PHILOX_M0 * c0, b = (uint64_t)RNC_PHILOX_M1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += RNC_PHILOX_W0;
        k1 += RNC_PHILOX_W1;
    }
    return (struct rnc_philox){{c0, c1, c2, c3}};
}

/* In the open interval (0, 1). */
static inline double rnc_unit(uint32_t word) { return ((double)word + 0.5) * 0x1p-32; }

#endif
