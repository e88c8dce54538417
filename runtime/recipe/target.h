/* target.h: what a network learns from: the types of a spec's targets. A spec's keys and their errors, the schema, the
   tensor a batch holds, and what a picture's label or mask becomes are made from these rows. */
#ifndef RNC_RUNTIME_RECIPE_TARGET_H
#define RNC_RUNTIME_RECIPE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

/* What data have beside each picture. */
enum rnc_beside {
    RNC_BESIDE_NOTHING, /* a target that only arrays can give */
    RNC_BESIDE_LABEL,   /* a class */
    RNC_BESIDE_MASK     /* a map of classes */
};

/* Where a target's shape comes from that a spec does not give. */
enum rnc_unsaid { RNC_UNSAID_REFUSED, RNC_UNSAID_IMAGE /* [H, W] of the first input */, RNC_UNSAID_CLASSES /* [C] */ };

/* One sample of it is [1 …, shape …]. */
struct rnc_target_type {
    const char *name, *help;
    bool labels;            /* i64 numbers of classes, of which one may be ignored; else f32 */
    bool binary;            /* f32 from 0 to 1 */
    bool positive;          /* takes `positive`: the class that is 1 */
    enum rnc_beside beside; /* what a picture's target is made of */
    int ones;               /* leading dims of 1 */
    int min_rank, max_rank; /* of the shape in a spec; 0: it has none */
    const char *shape;      /* such a shape, for messages */
    enum rnc_unsaid unsaid;
};
/* The rows, from 0; NULL behind the last. */
const struct rnc_target_type *rnc_target_type(int k);
/* NULL: there is no such type. */
const struct rnc_target_type *rnc_target_named(const char *name);
/* As which type a picture's label or mask can give a tensor [DIM …] of numbers from 0 to 1; NULL: as none. */
const struct rnc_target_type *rnc_target_binary(int rank, const int64_t *dim);

/* Which of the two class NAMES (N of them) is 1: POSITIVE or, where that is NULL, what the names themselves say: 1 of
   0 and 1, yes of no and yes, true of false and true. -1: neither. */
int rnc_target_positive(const char *positive, const char *const *names, int64_t n);

#endif
