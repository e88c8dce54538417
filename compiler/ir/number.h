/* number.h: the number types as the compiler sees them. The rows are the runtime's (runtime/rt/number.h); what of them
   depends on a target is defined here. A type is never compared with a certain one to learn what it is like. */
#ifndef RNC_IR_NUMBER_H
#define RNC_IR_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/target.h"
#include "runtime/rt/number.h"

#define NUMBER_ENUM(id, text, size, kind, group, fraction) DT_##id,
enum dtype { RNC_NUMBERS(NUMBER_ENUM) DTYPES };
#undef NUMBER_ENUM

static inline const char *dtype_name(enum dtype dt) { return rnc_number(dt)->name; }
static inline size_t dtype_bytes(enum dtype dt) { return rnc_number(dt)->bytes; }
static inline bool dtype_floating(enum dtype dt) { return rnc_number(dt)->kind != RNC_NUMBER_INTEGER; }
/* Only stored: rounded from what is computed, which is f32. */
static inline bool dtype_rounded(enum dtype dt) { return rnc_number_rounded(dt); }
static inline enum dtype dtype_computed(enum dtype dt) { return (enum dtype)rnc_number_computed(dt); }
/* The relative distance of neighbouring numbers, 2^-7 of bf16; and X to the nearest of a rounded type. */
double dtype_step(enum dtype dt);
double dtype_round(enum dtype dt, double x);
/* Neighbours that one product takes, and that weights hold side by side for it: 1 or 2. */
static inline int dtype_group(enum dtype dt) { return rnc_number(dt)->group; }
/* The same where T has an instruction for it that is worth using; else 1. */
int dtype_fast_group(enum dtype dt, const struct target *t);
/* Does T have the instruction at all? What it is called; NULL: there is none. */
bool dtype_has_products(enum dtype dt, const struct target *t);
const char *dtype_instruction(enum dtype dt);
/* The type of that name; false: none has it. */
bool dtype_named(const char *name, enum dtype *dt);

/* The names of the types that images may be stored as (`dtype:` of a spec, --dtype), the full one first,
   NULL-terminated. */
extern const char *const dtype_choices[];
extern const size_t dtype_nchoices;
bool dtype_chosen(const char *name, enum dtype *dt); /* false: none of them */
const char *dtype_choices_text(struct arena *a);     /* f32 or bf16 */

#endif
