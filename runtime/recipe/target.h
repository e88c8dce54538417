/* target.h: the types of a spec's targets. A spec's keys and errors, the schema, the tensor in a batch and the
   conversion of an image's label or mask come from these rows. */
#ifndef RNC_RUNTIME_RECIPE_TARGET_H
#define RNC_RUNTIME_RECIPE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

/* The annotation of an image in a data set. */
enum rnc_annotation {
    RNC_ANNOTATION_NOTHING, /* the target comes from arrays only */
    RNC_ANNOTATION_LABEL,   /* a class */
    RNC_ANNOTATION_MASK     /* a map of classes */
};

/* The default shape of a target, if the spec gives none. */
enum rnc_unsaid { RNC_UNSAID_REFUSED, RNC_UNSAID_IMAGE /* [H, W] of the first input */, RNC_UNSAID_CLASSES /* [C] */ };

/* One sample has the shape [1 …, shape …]. */
struct rnc_target_type {
    const char *name, *help;
    bool labels;                    /* i64 class numbers, one of which may be ignored; false: f32 */
    bool binary;                    /* f32 from 0 to 1 */
    bool positive;                  /* takes the key `positive`: the class that is 1 */
    enum rnc_annotation annotation; /* the annotation that it is made from */
    int ones;                       /* number of leading dimensions of 1 */
    int min_rank, max_rank;         /* rank of the shape in a spec; 0: no shape */
    const char *shape;              /* an example of the shape, for messages */
    enum rnc_unsaid unsaid;
};
/* The rows by index from 0; NULL after the last. */
const struct rnc_target_type *rnc_target_type(int k);
/* NULL if there is no such type. */
const struct rnc_target_type *rnc_target_named(const char *name);
/* The type by which an image's label or mask becomes a tensor [DIM …] of numbers from 0 to 1; NULL: none. */
const struct rnc_target_type *rnc_target_binary(int rank, const int64_t *dim);

/* Which of the two class NAMES (N of them) is 1: POSITIVE if given, else by the names: 1 of 0 and 1, yes of no and yes,
   true of false and true. -1: not clear. */
int rnc_target_positive(const char *positive, const char *const *names, int64_t n);

#endif
