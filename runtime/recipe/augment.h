/* augment.h: augmentations: random changes of an image and its mask during training. */
#ifndef RNC_RUNTIME_RECIPE_AUGMENT_H
#define RNC_RUNTIME_RECIPE_AUGMENT_H

#include "runtime/recipe/picture.h"
#include "runtime/recipe/recipe.h"
#include "runtime/rt/philox.h"

/* The key of an augmentation's random numbers: (seed, epoch, sample, kind of augmentation, how many of that kind come
   before it in the list). They don't depend on threads or order. */
struct rnc_draw {
    uint64_t seed;
    int64_t epoch, sample;
    int stream; /* rnc_augmentation.stream */
    int repeat; /* 0 for the first of its kind in the list */
};
enum { RNC_STREAMS = 64, RNC_TRIES = 16 }; /* stream 0 shuffles the samples */
/* Four random words. TRY < RNC_TRIES selects further ones. */
struct rnc_philox rnc_draw(const struct rnc_draw *d, int try);

struct rnc_augmentation {
    struct rnc_row row;
    int stream;   /* below RNC_STREAMS, unique, and never changed, so that old runs can be repeated */
    bool resizes; /* it sets the image's size; the others keep it */
    bool (*apply)(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s);
};
extern const struct rnc_kind rnc_augmentations; /* of struct rnc_augmentation */

/* Applies the N augmentations of LIST in order. The image is resized to the input's size before the first one, unless
   one of them sets a size: that one works on the image as it was read. */
bool rnc_augment(const struct rnc_choice *list, int n, uint64_t seed, int64_t epoch, int64_t sample,
                 struct rnc_picture *p, struct rnc_status *s);
/* True if one of them sets a size. Evaluation then uses the central part of a file, of the same scale. */
bool rnc_augment_resizes(const struct rnc_choice *list, int n);

#endif
