/* picture.h: one sample before it reaches the model: an image and, if it has one, its mask. Every change is applied to
   both. Used by one thread. */
#ifndef RNC_RUNTIME_RECIPE_PICTURE_H
#define RNC_RUNTIME_RECIPE_PICTURE_H

#include "runtime/io/image.h"

struct rnc_buffer { /* memory that grows, and is reused for the next sample */
    void *data;
    size_t size;
};

struct rnc_picture {
    int64_t channels, height, width;   /* current size */
    int64_t input_height, input_width; /* the model's input size */
    struct rnc_geometry geometry;      /* how the image is brought to that size */
    struct rnc_image decoded;          /* [height, width, channels], as decoded; data is NULL once there are planes */
    const uint8_t *planes;             /* [channels, height, width], 0 … 255; NULL: `decoded` holds the image */
    const int32_t *mask;               /* labels [height, width]; NULL: no mask */
    int32_t outside;                   /* the label of pixels from outside the image */
    struct rnc_buffer plane_buffer[2], mask_buffer[2];
};
/* Frees its memory and makes it empty. */
void rnc_picture_free(struct rnc_picture *p);

/* Copies labels [height, width], of the image's current size. BINARY: 255 is class 1, every other value class 0. */
bool rnc_picture_mask(struct rnc_picture *p, const uint8_t *labels, bool binary, struct rnc_status *s);

/* The window that is used without augmentation. */
struct rnc_window rnc_picture_seen(const struct rnc_picture *p);
/* Replaces the image by its window W, resized to HEIGHT × WIDTH: pixels by a triangle filter, labels by nearest
   neighbour. */
bool rnc_picture_resize(struct rnc_picture *p, struct rnc_window w, int64_t height, int64_t width,
                        struct rnc_status *s);
/* Resizes rnc_picture_seen to the model's input size. Bars get the geometry's value and the label `outside`. */
bool rnc_picture_fit(struct rnc_picture *p, struct rnc_status *s);

/* Allocates new planes and, with a mask, a new mask, separate from the current ones. The caller fills them, then calls
   rnc_picture_set. Afterwards `planes` is set. */
struct rnc_canvas {
    uint8_t *planes; /* [channels, height, width] */
    int32_t *mask;   /* [height, width], or NULL */
    int64_t height, width;
};
bool rnc_picture_canvas(struct rnc_picture *p, int64_t height, int64_t width, struct rnc_canvas *c,
                        struct rnc_status *s);
void rnc_picture_set(struct rnc_picture *p, const struct rnc_canvas *c);
/* The planes, writable: a copy if they belong to the data set. NULL after a failure. */
uint8_t *rnc_picture_pixels(struct rnc_picture *p, struct rnc_status *s);

#endif
