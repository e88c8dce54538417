/* rule.h: what the operators' shape rules and references have in common: checks of operands and results, shapes in
   messages, addresses in reference tensors. Each check returns false after op_fail. */
#ifndef RNC_OP_RULE_H
#define RNC_OP_RULE_H

#include "base/buf.h"
#include "base/checked.h"
#include "ir/op.h"

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* No tensor has more elements than this; every product of dims below it fits an int64_t with room for bytes and channel
   padding. */
#define RULE_MAX_ELEMENTS ((int64_t)1 << 40)

/* f32[1,64,56,56]: the type as the IR says it, without its layout. */
static inline const char *rule_shape(const struct op_error *e, const struct type *t)
{
    return e && e->arena ? type_shape_text(e->arena, t) : "";
}

/* [64, 56, 56]: the shape as a spec says it, without the batch; [] for a scalar. */
static inline const char *rule_sample(const struct op_error *e, const struct type *t)
{
    return e && e->arena ? type_sample_text(e->arena, t) : "";
}

/* NOTE: text that outlives E, or NULL. */
static inline bool rule_note(struct op_error *e, const char *note)
{
    if (e) e->note = note;
    return false;
}

/* Ranks that an operand may have: a set. */
enum {
    RULE_SCALAR = 1 << 0,
    RULE_VECTOR = 1 << 1,
    RULE_FEATURES = 1 << 2,
    RULE_IMAGE = 1 << 4,
    RULE_VALUE = RULE_FEATURES | RULE_IMAGE,
    RULE_ANY = (1 << (MAX_RANK + 1)) - 1
};

static inline const char *rule_ranks(unsigned ranks, const struct op_error *e)
{
    static const char *const form[] = {"a scalar", "a vector [C]", "features [N, C]", "a tensor of rank 3",
                                       "an image [N, C, H, W]"};
    if (!e || !e->arena) return "";
    struct buf b;
    buf_init(&b, e->arena);
    for (int k = 0; k <= MAX_RANK; k++)
        if (ranks & 1u << k) buf_printf(&b, "%s%s", b.len ? " or " : "", form[k]);
    return b.data;
}

/* T is numbers of floating point, of one of RANKS, without an empty dimension. WHAT: "the input". */
static inline bool rule_value(const struct type *t, unsigned ranks, const char *what, struct op_error *e)
{
    if (t->rank < 0) return op_fail(e, "%s is missing", what);
    if (!dtype_floating(t->dtype)) return op_fail(e, "%s must be of floating point, not %s", what, rule_shape(e, t));
    if (!(ranks & 1u << t->rank)) {
        op_fail(e, "%s must be %s, not %s", what, rule_ranks(ranks, e), rule_shape(e, t));
        bool flat = ranks == RULE_FEATURES && t->rank == 4;
        return flat ? rule_note(e, "put 'flatten' or 'global_avg_pool' before it") : false;
    }
    for (int k = 0; k < t->rank; k++)
        if (t->dim[k] < 1) return op_fail(e, "%s has an empty dimension: %s", what, rule_shape(e, t));
    return true;
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

/* Sets *OUT to a plain type, if it is one that can be. */
static inline bool rule_result(struct type *out, enum dtype dt, int rank, const int64_t *dim, struct op_error *e)
{
    struct type t = type_make(dt, rank, dim);
    if (!rule_size(&t, "the result", e)) return false;
    *out = t;
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

/* Two operands of equal standing. */
static inline bool rule_match(const struct type *a, const struct type *b, struct op_error *e)
{
    if (type_same_dims(a, b)) return true;
    return op_fail(e, "shapes do not match: %s and %s", rule_sample(e, a), rule_sample(e, b));
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

/* For op_def.identity, of operators that cut, add, skip or scale: where the shape is the same, they do nothing. */
static inline bool rule_identity(const struct node *n, bool train)
{
    (void)train;
    return type_same_shape(&n->in[0]->type, &n->out[0]->type);
}

/* Offset of element (n, c, h, w); of (n, c) with h = w = 0 where the rank is 2. */
static inline int64_t ref_at(const struct type *t, int64_t n, int64_t c, int64_t h, int64_t w)
{
    int64_t hh = t->rank > 2 ? t->dim[2] : 1, ww = t->rank > 3 ? t->dim[3] : 1;
    return ((n * t->dim[1] + c) * hh + h) * ww + w;
}

/* H·W, or 1 of features. */
static inline int64_t ref_pixels(const struct type *t)
{
    return (t->rank > 2 ? t->dim[2] : 1) * (t->rank > 3 ? t->dim[3] : 1);
}

/* How many rows a reference computes of a tensor: of a batch the first n. */
static inline int64_t ref_samples(const struct ref_call *c, const struct type *t)
{
    return t->batched ? c->run.n : t->dim[0];
}

#endif
