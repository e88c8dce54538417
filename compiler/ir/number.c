/* number.c: number types by name and by target. */
#include "ir/number.h"

#include <math.h>
#include <string.h>
#include "base/buf.h"

/* By type: the features of a target with products of groups, and with such that are worth using. */
static const struct products {
    uint32_t has, fast;
    const char *instruction;
} products[DTYPES] = {[DT_BF16] = {FEATURE_AVX512_BF16, FEATURE_FAST_BF16, "AVX-512 BF16"}};

double dtype_step(enum dtype dt) { return ldexp(1, -rnc_number(dt)->fraction); }

double dtype_round(enum dtype dt, double x)
{
    float f = (float)x;
    uint64_t stored;
    static_assert(sizeof stored >= sizeof f, "room for any number type");
    rnc_number_narrow(dt, &f, &stored, 1);
    rnc_number_widen(dt, &stored, &f, 1);
    return f;
}

bool dtype_has_products(enum dtype dt, const struct target *t) { return t->feature_bits & products[dt].has; }

const char *dtype_instruction(enum dtype dt) { return products[dt].instruction; }

int dtype_fast_group(enum dtype dt, const struct target *t)
{
    return t->feature_bits & products[dt].fast ? dtype_group(dt) : 1;
}

bool dtype_named(const char *name, enum dtype *dt)
{
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(dtype_name((enum dtype)i), name) == 0) {
            *dt = (enum dtype)i;
            return true;
        }
    return false;
}

#define CHOICE_FULL(text) text,
#define CHOICE_ROUNDED(text) text,
#define CHOICE_INTEGER(text)
#define CHOICE(id, text, size, kind, group, fraction) CHOICE_##kind(text)
const char *const dtype_choices[] = {RNC_NUMBERS(CHOICE) NULL};
const size_t dtype_nchoices = sizeof dtype_choices / sizeof dtype_choices[0] - 1;

bool dtype_chosen(const char *name, enum dtype *dt) { return dtype_named(name, dt) && dtype_floating(*dt); }

const char *dtype_choices_text(struct arena *a)
{
    struct buf b;
    buf_init(&b, a);
    for (int i = 0; dtype_choices[i]; i++)
        buf_printf(&b, "%s%s", i == 0 ? "" : dtype_choices[i + 1] ? ", " : " or ", dtype_choices[i]);
    return b.data;
}
