/* target.h: the machine that code is generated for, described without LLVM, so that passes can read it. */
#ifndef RNC_BASE_TARGET_H
#define RNC_BASE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum target_feature {
    FEATURE_AVX2 = 1,
    FEATURE_AVX512 = 2,
    FEATURE_AVX512_BF16 = 4,
    FEATURE_NEON = 8,
    FEATURE_FAST_BF16 = 16, /* of speed alone: VDPBF16PS is issued as often as an fp32 FMA and so does twice its work.
                               AMD's is; Intel's takes four times as long (Sapphire and Emerald Rapids: one in two
                               cycles, of FMAs two in one), so half the work */
    FEATURE_SPLIT_512 = 32, /* of speed alone: the CPU's units are 256 bits wide, so that a 512-bit instruction passes
                               through one twice (AMD's Zen 4): one FMA a cycle instead of two, while what stands beside
                               the FMAs costs no more cycles than elsewhere */
};
enum {
    FEATURES_CHECKED = FEATURE_AVX2 | FEATURE_AVX512 | FEATURE_AVX512_BF16 | FEATURE_NEON
}; /* without these the code does not run */

enum { MAX_LANES = 16 }; /* of any target; asserted where one is made */

struct target {
    char triple[64]; /* x86_64-linux-gnu */
    char name[64];   /* the CPU as people call it, in reports and in objects: x86-64-v3, armv8-a; the host's: as cpu */
    char cpu[64];    /* LLVM's name, e.g. sapphirerapids, x86-64-v3, generic */
    char features[4096];   /* LLVM's feature string; empty: the cpu's own */
    uint32_t feature_bits; /* enum target_feature */
    int lanes;             /* fp32 lanes of a vector: 16, 8 or 4. The block size v of the blocked layout. */
    int registers;         /* architectural vector registers: 32 or 16 */
    size_t l1_bytes, l2_bytes, l3_bytes; /* per core, per core, shared */
};

/* A CPU that code can be generated for by name. The first of a triple is what an object file is compiled for unless
   asked. */
struct target_cpu {
    const char *name, *triple, *llvm, *help;
    uint32_t bits;
    int lanes, registers;
};
/* The known CPUs; the last one's name is NULL. Those of a triple stand together. */
const struct target_cpu *target_cpus(void);

/* The host. Lanes by what the CPU has (AVX-512: 16, AVX2: 8); name, cpu and features stay empty until gen/ fills them.
 */
void target_host(struct target *t);
/* A named CPU: "host" or one of target_cpus. False when the name is not known. */
bool target_named(struct target *t, const char *name);
/* The first CPU of a triple, with or without its vendor ("aarch64-unknown-linux-gnu"). False when the triple is not
   known. */
bool target_of_triple(struct target *t, const char *triple);
/* Is it of this machine's architecture, so that its code can be linked into this process? */
bool target_is_native(const struct target *t);
/* NAME is a CPU that lacks what all generated code uses: the least one of its kind that does not; otherwise NULL. */
const char *target_least(const char *name);

#endif
