/* common.h: what the operator families share: checks of input types, shapes in messages, addresses in reference
   tensors. */
#ifndef RNC_OP_COMMON_H
#define RNC_OP_COMMON_H

#include "base/buf.h"
#include "base/checked.h"
#include "ir/op.h"
#include "op/rule.h"

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* [64, 56, 56]: the shape as a spec says it, without the batch; [] for a scalar. */
static inline const char *common_shape(struct op_error *e, const struct type *t)
{
    if (!e || !e->arena) return "";
    struct buf b;
    buf_init(&b, e->arena);
    buf_putc(&b, '[');
    for (int k = t->rank >= 2; k < t->rank; k++)
        buf_printf(&b, "%s%lld", k > (t->rank >= 2) ? ", " : "", (long long)t->dim[k]);
    buf_putc(&b, ']');
    return b.data;
}

static inline bool common_note(struct op_error *e, const char *note)
{
    if (e && e->arena) e->note = arena_strdup(e->arena, note);
    return false;
}

/* Is T numbers of a rank between MIN and MAX, with every dim at least 1? */
static inline bool common_value(const struct type *t, const char *name, int min, int max, struct op_error *e)
{
    if (t->rank < 0) return op_fail(e, "the operand '%s' is missing", name);
    if (t->dtype != DT_F32 && t->dtype != DT_BF16) return op_fail(e, "'%s' must be floating-point numbers", name);
    if (t->rank < min || t->rank > max) {
        op_fail(e, "'%s' must be %s, not %s", name,
                min == 4               ? "an image [C, H, W]"
                : max == 2 && min == 2 ? "features [C]"
                                       : "an image [C, H, W] or features [C]",
                common_shape(e, t));
        return min == 2 && max == 2 ? common_note(e, "flatten or global_avg_pool makes features of an image") : false;
    }
    for (int k = 0; k < t->rank; k++)
        if (t->dim[k] < 1) return op_fail(e, "'%s' has an empty dimension: %s", name, common_shape(e, t));
    return true;
}

/* Sets *OUT to a plain type after checking that every dim is at least 1 and the size is one that can be (rule.h). */
static inline bool common_result(struct type *out, enum dtype dt, int rank, const int64_t *dim, struct op_error *e)
{
    int64_t count = 1;
    struct type t = type_make(dt, rank, dim);
    for (int k = 0; k < rank; k++) {
        if (dim[k] < 1) return op_fail(e, "the result would be empty: %s", common_shape(e, &t));
        if (!mul_i64(count, dim[k], &count) || count > RULE_MAX_ELEMENTS)
            return op_fail(e, "the result is too large: %s", common_shape(e, &t));
    }
    *out = t;
    return true;
}

static inline bool common_same_shape(const struct type *a, const struct type *b, struct op_error *e)
{
    bool same = a->rank == b->rank;
    for (int k = 0; same && k < a->rank; k++) same = a->dim[k] == b->dim[k];
    return same || op_fail(e, "shapes do not match: %s and %s", common_shape(e, a), common_shape(e, b));
}

/* Offset of element (n, c, h, w); of (n, c) with h = w = 0 where the rank is 2. */
static inline int64_t common_at(const struct type *t, int64_t n, int64_t c, int64_t h, int64_t w)
{
    int64_t hh = t->rank > 2 ? t->dim[2] : 1, ww = t->rank > 3 ? t->dim[3] : 1;
    return ((n * t->dim[1] + c) * hh + h) * ww + w;
}

/* H·W, or 1 of features. */
static inline int64_t common_pixels(const struct type *t)
{
    return (t->rank > 2 ? t->dim[2] : 1) * (t->rank > 3 ? t->dim[3] : 1);
}

/* Samples that a reference computes: the first n of the batch. */
static inline int64_t common_samples(const struct ref_call *c, const struct type *t)
{
    return min_i64(c->run.n, t->dim[0]);
}

#endif
