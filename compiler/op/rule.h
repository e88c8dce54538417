/* rule.h: what shape rules have in common. Each check returns false after op_fail. */
#ifndef RNC_OP_RULE_H
#define RNC_OP_RULE_H

#include <string.h>
#include "base/checked.h"
#include "ir/op.h"

/* No tensor has more elements than this; every product of dims below it fits an int64_t with room for bytes and channel
   padding. */
#define RULE_MAX_ELEMENTS ((int64_t)1 << 40)

static inline const char *rule_shape(const struct op_error *e, const struct type *t)
{
    struct type plain = type_make(t->dtype, t->rank, t->dim);
    return e && e->arena ? type_text(e->arena, &plain) : "";
}

static inline bool rule_note(struct op_error *e, const char *note)
{
    if (e) e->note = note;
    return false;
}

/* T is f32 of one of two ranks (the same twice: of that rank). WHAT: "conv2d's input". */
static inline bool rule_f32(const struct type *t, int rank, int or_rank, const char *what, struct op_error *e)
{
    static const char *const form[] = {"a scalar", "a vector [C]", "features [N, C]", "a tensor of rank 3",
                                       "an image [N, C, H, W]"};
    if (t->dtype != DT_F32 && t->dtype != DT_BF16)
        return op_fail(e, "%s must be of floating point, not %s", what, rule_shape(e, t));
    if (t->rank == rank || t->rank == or_rank) return true;
    if (rank == or_rank) return op_fail(e, "%s must be %s, not %s", what, form[rank], rule_shape(e, t));
    return op_fail(e, "%s must be %s or %s, not %s", what, form[or_rank], form[rank], rule_shape(e, t));
}

/* All dims positive and the whole of a size that can be. */
static inline bool rule_size(const struct type *t, const char *what, struct op_error *e)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 1) return op_fail(e, "%s would be empty: %s", what, rule_shape(e, t));
        if (!mul_i64(n, t->dim[i], &n) || n > RULE_MAX_ELEMENTS)
            return op_fail(e, "%s would be too large: %s", what, rule_shape(e, t));
    }
    return true;
}

/* A per-channel vector [C] called WHAT. */
static inline bool rule_vector(const struct type *t, int64_t c, const char *what, struct op_error *e)
{
    if (t->rank == 1 && t->dtype == DT_F32 && t->dim[0] == c) return true;
    return op_fail(e, "%s must be f32[%lld], not %s", what, (long long)c, rule_shape(e, t));
}

static inline bool rule_same(const struct type *a, const struct type *b, const char *what, struct op_error *e)
{
    if (type_same_shape(a, b)) return true;
    return op_fail(e, "%s must be %s, not %s", what, rule_shape(e, b), rule_shape(e, a));
}

/* A count of multiply-adds: the product of the dims, saturated (a shape that large is never run, but may be asked
   about). */
static inline int64_t rule_product(int n, const int64_t *factor)
{
    int64_t p = 1;
    for (int i = 0; i < n; i++)
        if (!mul_i64(p, factor[i], &p)) return INT64_MAX;
    return p;
}

/* How many samples a reference computes of a tensor that holds dim[0] = N. */
static inline int64_t ref_samples(const struct ref_call *c, const struct type *t)
{
    return min_i64(c->run.n, t->dim[0]);
}

#endif
