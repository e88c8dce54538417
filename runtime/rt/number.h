/* number.h: the number types, one row each. The runtime and the compiler (ir/number.h, gen/emit/number.c) take a type's
   properties from here; no other code tests for a type by its name.

   Kinds. FULL: floating point that arithmetic uses. ROUNDED: floating point for storage only, rounded from the full
   type to nearest, ties to even. INTEGER. Group: how many neighbouring inputs one product instruction takes; packed
   weights keep that many numbers of a lane together. */
#ifndef RNC_RUNTIME_RT_NUMBER_H
#define RNC_RUNTIME_RT_NUMBER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "runtime/rt/abi.h"

/* Identifier, its name in IR text, specs and options, bytes, kind, group, bits of its fraction. In the order of enum
   rnc_dtype. */
#define RNC_NUMBERS(ROW)                \
    ROW(F32, "f32", 4, FULL, 1, 23)     \
    ROW(BF16, "bf16", 2, ROUNDED, 2, 7) \
    ROW(U8, "u8", 1, INTEGER, 1, 0)     \
    ROW(I64, "i64", 8, INTEGER, 1, 0)

enum rnc_number_kind { RNC_NUMBER_FULL, RNC_NUMBER_ROUNDED, RNC_NUMBER_INTEGER };

struct rnc_number {
    const char *name;
    uint8_t bytes, kind, group, fraction; /* enum rnc_number_kind */
};

/* The type in which arithmetic on rounded numbers is done, and in which callers see them. */
enum { RNC_NUMBER_FULL_TYPE = RNC_F32 };

#define RNC_NUMBER_POSITION(id, text, size, kind, group, fraction) RNC_NUMBER_AT_##id,
enum { RNC_NUMBERS(RNC_NUMBER_POSITION) RNC_NUMBER_TYPES };
#define RNC_NUMBER_CHECK(id, text, size, kind, group, fraction) \
    static_assert((int)RNC_NUMBER_AT_##id == (int)RNC_##id, "the rows stand in the order of enum rnc_dtype");
RNC_NUMBERS(RNC_NUMBER_CHECK)
#undef RNC_NUMBER_POSITION
#undef RNC_NUMBER_CHECK

/* DTYPE must be less than RNC_NUMBER_TYPES. */
static inline const struct rnc_number *rnc_number(unsigned dtype)
{
#define RNC_NUMBER_ROW(id, text, size, kind, group, fraction) {text, size, RNC_NUMBER_##kind, group, fraction},
    static const struct rnc_number rows[] = {RNC_NUMBERS(RNC_NUMBER_ROW)};
#undef RNC_NUMBER_ROW
    assert(dtype < RNC_NUMBER_TYPES);
    return &rows[dtype];
}

static inline bool rnc_number_rounded(unsigned dtype) { return rnc_number(dtype)->kind == RNC_NUMBER_ROUNDED; }

/* The type that arithmetic uses, and that callers see, for numbers stored as DTYPE. */
static inline unsigned rnc_number_computed(unsigned dtype)
{
    return rnc_number_rounded(dtype) ? (unsigned)RNC_NUMBER_FULL_TYPE : dtype;
}

/* Converts COUNT numbers of the full type to the rounded DTYPE (a NaN stays a NaN), and back, which is exact. */
void rnc_number_narrow(unsigned dtype, const float *from, void *to, int64_t count);
void rnc_number_widen(unsigned dtype, const void *from, float *to, int64_t count);

#endif
