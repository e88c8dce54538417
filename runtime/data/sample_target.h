/* sample_target.h: converts an image's label or mask to the model's targets; private to runtime/data. */
#ifndef RNC_RUNTIME_DATA_SAMPLE_TARGET_H
#define RNC_RUNTIME_DATA_SAMPLE_TARGET_H

#include "runtime/data/loader.h"

/* In a mask that is being augmented: pixels from outside the image. They become the target's `ignore`, or class 0
   without one. */
enum { RNC_OUTSIDE = -1 };

/* One target. */
struct rnc_picture_target {
    const struct rnc_port *port;
    int index;      /* of the port */
    int32_t second; /* binary labels: the class that is 1 */
};
/* The label or mask of a sample, and its source for messages. */
struct rnc_labelled {
    const char *name; /* name of the data set, or of the mask's file */
    int64_t height, width;
    const int32_t *mask; /* [height, width]; NULL: the sample has a label */
    int32_t label;
};

/* Fails if C's data can't give the target. Classes are matched by name if labels have no fixed numbers. */
bool rnc_picture_target_open(const struct rnc_loader_config *c, int index, struct rnc_picture_target *t,
                             struct rnc_status *s);
/* Writes the target of one sample to OUT, in the port's size. Masks are resized by nearest neighbour. */
bool rnc_picture_target_get(const struct rnc_picture_target *t, const struct rnc_labelled *x, void *out,
                            struct rnc_status *s);

/* Which of the data's two classes (NAMES, N of them; NULL: numbers) is 1 for the binary label PORT; -1 with S if it is
   not clear. */
int rnc_port_positive(const struct rnc_port *port, const char *const *names, int64_t n, struct rnc_status *s);

#endif
