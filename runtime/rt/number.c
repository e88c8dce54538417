/* number.c: the full type's numbers as a rounded type stores them, and back. */
#include "runtime/rt/number.h"

#include <stddef.h>

static uint16_t bf16_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16); /* to nearest, ties to even */
}

static void narrow_bf16(const float *from, void *to, int64_t count)
{
    for (int64_t k = 0; k < count; k++) ((uint16_t *)to)[k] = bf16_of(from[k]);
}

static void widen_bf16(const void *from, float *to, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        uint32_t u = (uint32_t)((const uint16_t *)from)[k] << 16;
        memcpy(&to[k], &u, sizeof u);
    }
}

/* By enum rnc_dtype: a row for each rounded type. */
static const struct conversion {
    void (*narrow)(const float *from, void *to, int64_t count);
    void (*widen)(const void *from, float *to, int64_t count);
} conversions[RNC_NUMBER_TYPES] = {[RNC_BF16] = {narrow_bf16, widen_bf16}};

void rnc_number_narrow(unsigned dtype, const float *from, void *to, int64_t count)
{
    assert(rnc_number_rounded(dtype) && conversions[dtype].narrow);
    conversions[dtype].narrow(from, to, count);
}

void rnc_number_widen(unsigned dtype, const void *from, float *to, int64_t count)
{
    assert(rnc_number_rounded(dtype) && conversions[dtype].widen);
    conversions[dtype].widen(from, to, count);
}
