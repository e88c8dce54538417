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

static void set_x86(struct target *t, uint32_t bits)
{
    t->feature_bits = bits;
    t->lanes = bits & FEATURE_AVX512 ? 16 : bits & FEATURE_AVX2 ? 8 : 4;
    t->registers = bits & FEATURE_AVX512 ? 32 : 16;
}

void target_host(struct target *t)
{
    memset(t, 0, sizeof *t);
    set_caches(t);
#if defined(__x86_64__)
    snprintf(t->triple, sizeof t->triple, "x86_64-linux-gnu");
    uint32_t bits = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) bits |= FEATURE_AVX2;
    if (bits && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq")) {
        bits |= FEATURE_AVX512;
        if (__builtin_cpu_supports("avx512bf16")) bits |= FEATURE_AVX512_BF16;
    }
    set_x86(t, bits);
#elif defined(__aarch64__)
    snprintf(t->triple, sizeof t->triple, "aarch64-linux-gnu");
    t->feature_bits = FEATURE_NEON;
    t->lanes = 4;
    t->registers = 32;
#else
#error "rnc generates code for x86-64 and aarch64"
#endif
}

bool target_named(struct target *t, const char *name)
{
    if (strcmp(name, "host") == 0) {
        target_host(t);
        return true;
    }
    bool v3 = strcmp(name, "x86-64-v3") == 0, v4 = strcmp(name, "x86-64-v4") == 0;
    if (!v3 && !v4) return false;
    memset(t, 0, sizeof *t);
    set_caches(t);
    snprintf(t->triple, sizeof t->triple, "x86_64-linux-gnu");
    snprintf(t->cpu, sizeof t->cpu, "%s", name);
    set_x86(t, v4 ? FEATURE_AVX2 | FEATURE_AVX512 : FEATURE_AVX2);
    return true;
}

const char *const *target_names(void)
{
    static const char *const names[] = {"host", "x86-64-v3", "x86-64-v4", NULL};
    return names;
}
