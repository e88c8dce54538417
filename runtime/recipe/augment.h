/* augment.h: augmentations: what is done to an image and its mask before the model sees them, at random. */
#ifndef RNC_RUNTIME_RECIPE_AUGMENT_H
#define RNC_RUNTIME_RECIPE_AUGMENT_H

#include "runtime/recipe/picture.h"
#include "runtime/recipe/recipe.h"
#include "runtime/rt/philox.h"

/* Where an augmentation's random numbers come from: (seed, epoch, sample, the kind of augmentation, how many of that
   kind were before it in the list), whatever thread and order. */
struct rnc_draw {
    uint64_t seed;
    int64_t epoch, sample;
    int stream; /* rnc_augmentation.stream */
    int repeat; /* the first of its kind in the list: 0 */
};
enum { RNC_STREAMS = 64, RNC_TRIES = 16 }; /* stream 0 is the order of samples */
/* Four words; TRY, below RNC_TRIES, for further ones. */
struct rnc_philox rnc_draw(const struct rnc_draw *d, int try);

struct rnc_augmentation {
    struct rnc_row row;
    int stream;   /* below RNC_STREAMS; another one for every row, as long as runs are to be repeated */
    bool resizes; /* the result has a size of its own; all others keep the picture's */
    bool (*apply)(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s);
};
extern const struct rnc_kind rnc_augmentations; /* of struct rnc_augmentation */

/* The N augmentations of LIST, one after another. The picture gets the input's size before the first one, unless one of
   them sets a size: that one takes its part from the picture as it was read. */
bool rnc_augment(const struct rnc_choice *list, int n, uint64_t seed, int64_t epoch, int64_t sample,
                 struct rnc_picture *p, struct rnc_status *s);
/* Does one of them set a size? Evaluation then sees the central part of a file, as large as what training saw. */
bool rnc_augment_resizes(const struct rnc_choice *list, int n);

#endif
