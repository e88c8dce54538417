#include "base/target.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t cache_size(int name, size_t fallback)
{
    long n = sysconf(name);
    return n > 0 ? (size_t)n : fallback;
}

static void set_caches(struct target *t)
{
    t->l1_bytes = cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10);
    t->l2_bytes = cache_size(_SC_LEVEL2_CACHE_SIZE, 1 << 20);
    t->l3_bytes = cache_size(_SC_LEVEL3_CACHE_SIZE, 16 << 20);
}

/* Of x86-64 the least has AVX2: fused multiply-adds, without which all generated code would call a function for each,
   came with it. */
static const struct target_cpu cpus[] = {
    {"x86-64-v3", "x86_64-linux-gnu", "x86-64-v3", "AVX2 and FMA (Intel since 2013, AMD since 2015)", FEATURE_AVX2, 8,
     16},
    {"x86-64-v4", "x86_64-linux-gnu", "x86-64-v4", "AVX-512 F, BW, CD, DQ, VL", FEATURE_AVX2 | FEATURE_AVX512, 16, 32},
    {"znver4", "x86_64-linux-gnu", "znver4", "AVX-512 with bf16 products at twice the fp32 rate (AMD since 2022)",
     FEATURE_AVX2 | FEATURE_AVX512 | FEATURE_AVX512_BF16 | FEATURE_FAST_BF16 | FEATURE_SPLIT_512, 16, 32},
    {"znver5", "x86_64-linux-gnu", "znver5", "the same, by units of 512 bits (AMD since 2024)",
     FEATURE_AVX2 | FEATURE_AVX512 | FEATURE_AVX512_BF16 | FEATURE_FAST_BF16, 16, 32},
    {"armv8-a", "aarch64-linux-gnu", "generic", "NEON (every 64-bit ARM)", FEATURE_NEON, 4, 32},
    {NULL, NULL, NULL, NULL, 0, 0, 0},
};

const struct target_cpu *target_cpus(void) { return cpus; }

static const char native_triple[] =
#if defined __x86_64__
    "x86_64-linux-gnu";
#elif defined __aarch64__
    "aarch64-linux-gnu";
#else
#error "rnc generates code for x86-64 and aarch64"
#endif

bool target_is_native(const struct target *t)
{
    size_t n = strcspn(native_triple, "-");
    return strncmp(t->triple, native_triple, n + 1) == 0;
}

/* Of another architecture nothing is known but what is usual: a Cortex-A76's caches, and the part of a shared one that
   a core can count on. */
static void set_row(struct target *t, const struct target_cpu *row)
{
    memset(t, 0, sizeof *t);
    snprintf(t->triple, sizeof t->triple, "%s", row->triple);
    snprintf(t->name, sizeof t->name, "%s", row->name);
    snprintf(t->cpu, sizeof t->cpu, "%s", row->llvm);
    t->feature_bits = row->bits;
    t->lanes = row->lanes;
    t->registers = row->registers;
    if (target_is_native(t)) set_caches(t);
    else t->l1_bytes = 64 << 10, t->l2_bytes = 512 << 10, t->l3_bytes = 4 << 20;
}

static uint32_t host_features(void)
{
    uint32_t bits = 0;
#if defined __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) bits |= FEATURE_AVX2;
    if (bits && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
        bits |= FEATURE_AVX512;
        if (__builtin_cpu_supports("avx512bf16"))
            bits |= FEATURE_AVX512_BF16 | (__builtin_cpu_is("amd") ? FEATURE_FAST_BF16 : 0);
        if (__builtin_cpu_is("amdfam19h")) bits |= FEATURE_SPLIT_512;
    }
#else
    bits |= FEATURE_NEON;
#endif
    return bits;
}

void target_host(struct target *t)
{
    memset(t, 0, sizeof *t);
    set_caches(t);
    snprintf(t->triple, sizeof t->triple, "%s", native_triple);
    uint32_t bits = t->feature_bits = host_features();
    t->lanes = bits & FEATURE_AVX512 ? 16 : bits & FEATURE_AVX2 ? 8 : 4;
    t->registers = bits & (FEATURE_AVX512 | FEATURE_NEON) ? 32 : 16;
}

bool target_named(struct target *t, const char *name)
{
    if (strcmp(name, "host") == 0) {
        target_host(t);
        return true;
    }
    for (const struct target_cpu *row = cpus; row->name; row++)
        if (strcmp(row->name, name) == 0) {
            set_row(t, row);
            return true;
        }
    return false;
}

/* ARCH-VENDOR-OS-ENV is ARCH-OS-ENV: who made the machine makes no difference. */
static bool same_triple(const char *known, const char *given)
{
    static const char *const vendors[] = {"unknown-", "pc-", "none-"};
    if (strcmp(known, given) == 0) return true;
    size_t arch = strcspn(known, "-") + 1;
    if (strncmp(known, given, arch) != 0) return false;
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++) {
        size_t n = strlen(vendors[i]);
        if (strncmp(given + arch, vendors[i], n) == 0 && strcmp(known + arch, given + arch + n) == 0) return true;
    }
    return false;
}

bool target_of_triple(struct target *t, const char *triple)
{
    for (const struct target_cpu *row = cpus; row->name; row++)
        if (same_triple(row->triple, triple)) {
            set_row(t, row);
            return true;
        }
    return false;
}

const char *target_least(const char *name)
{
    static const char *const below[][2] = {{"x86-64", "x86-64-v3"},
                                           {"x86-64-v1", "x86-64-v3"},
                                           {"x86-64-v2", "x86-64-v3"}};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (strcmp(below[i][0], name) == 0) return below[i][1];
    return NULL;
}
