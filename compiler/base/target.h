/* target.h: the machine that code is generated for, described without LLVM, so that passes can read it. */
#ifndef RNC_BASE_TARGET_H
#define RNC_BASE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum target_feature { FEATURE_AVX2 = 1, FEATURE_AVX512 = 2, FEATURE_AVX512_BF16 = 4, FEATURE_NEON = 8 };

struct target {
    char triple[64];     /* x86_64-linux-gnu */
    char cpu[64];        /* LLVM's name, e.g. sapphirerapids, x86-64-v3 */
    char features[4096]; /* LLVM's feature string; empty: the cpu's own */
    uint32_t feature_bits; /* enum target_feature */
    int lanes;           /* fp32 lanes of a vector: 16, 8 or 4. The block size v of the blocked layout. */
    int registers;       /* architectural vector registers: 32 or 16 */
    size_t l1_bytes, l2_bytes, l3_bytes; /* per core, per core, shared */
};

/* The host. Lanes by what the CPU has (AVX-512: 16, AVX2: 8); cpu and features stay empty until gen/ fills them. */
void target_host(struct target *t);
/* A named CPU: "host", "x86-64-v3" (AVX2), "x86-64-v4" (AVX-512). False when the name is not known. */
bool target_named(struct target *t, const char *name);
/* The names target_named takes, NULL-terminated. */
const char *const *target_names(void);

#endif
