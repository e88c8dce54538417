/* number.h: the number types, a row each; the runtime and the compiler (ir/number.h, gen/emit/number.c) take what they
   know of one from here. Nothing else asks for a type by its name to learn what it is like.

   A kind is FULL: floating point, arithmetic is done in it; ROUNDED: floating point that is only stored, rounded to
   nearest (ties to even) from the full one; or INTEGER. A group is how many neighbours one product instruction takes:
   weights hold so many numbers of a lane side by side. */
#ifndef RNC_RUNTIME_RT_NUMBER_H
#define RNC_RUNTIME_RT_NUMBER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "runtime/rt/abi.h"

/* Identifier, its name in the IR's text, in specs and options, bytes, kind, group, bits of its fraction. The order is
 * that of enum rnc_dtype. */
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

enum { RNC_NUMBER_FULL_TYPE = RNC_F32 }; /* what arithmetic on rounded numbers is done in, and how a caller sees them */

#define RNC_NUMBER_POSITION(id, text, size, kind, group, fraction) RNC_NUMBER_AT_##id,
enum { RNC_NUMBERS(RNC_NUMBER_POSITION) RNC_NUMBER_TYPES };
#define RNC_NUMBER_CHECK(id, text, size, kind, group, fraction) \
    static_assert((int)RNC_NUMBER_AT_##id == (int)RNC_##id, "the rows stand in the order of enum rnc_dtype");
RNC_NUMBERS(RNC_NUMBER_CHECK)
#undef RNC_NUMBER_POSITION
#undef RNC_NUMBER_CHECK

/* DTYPE is known: less than RNC_NUMBER_TYPES. */
static inline const struct rnc_number *rnc_number(unsigned dtype)
{
#define RNC_NUMBER_ROW(id, text, size, kind, group, fraction) {text, size, RNC_NUMBER_##kind, group, fraction},
    static const struct rnc_number rows[] = {RNC_NUMBERS(RNC_NUMBER_ROW)};
#undef RNC_NUMBER_ROW
    assert(dtype < RNC_NUMBER_TYPES);
    return &rows[dtype];
}

static inline bool rnc_number_rounded(unsigned dtype) { return rnc_number(dtype)->kind == RNC_NUMBER_ROUNDED; }

/* How arithmetic and callers know numbers that are stored as DTYPE. */
static inline unsigned rnc_number_computed(unsigned dtype)
{
    return rnc_number_rounded(dtype) ? (unsigned)RNC_NUMBER_FULL_TYPE : dtype;
}

/* COUNT numbers of the full type as the rounded DTYPE stores them (a NaN stays one), and back, exactly. */
void rnc_number_narrow(unsigned dtype, const float *from, void *to, int64_t count);
void rnc_number_widen(unsigned dtype, const void *from, float *to, int64_t count);

#endif
