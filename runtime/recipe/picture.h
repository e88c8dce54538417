/* picture.h: one sample on its way to the model: an image and, where it has one, its mask, which go through the same
   changes. Belongs to one thread. */
#ifndef RNC_RUNTIME_RECIPE_PICTURE_H
#define RNC_RUNTIME_RECIPE_PICTURE_H

#include "runtime/io/image.h"

struct rnc_room { /* memory that grows, and is used again for the next sample */
    void *data;
    size_t size;
};

struct rnc_picture {
    int64_t channels, height, width;   /* as it is now */
    int64_t input_height, input_width; /* what the model takes */
    struct rnc_geometry geometry;      /* how it comes to be of that size */
    struct rnc_image decoded;          /* [height, width, channels], as from a file; data NULL once there are planes */
    const uint8_t *planes;             /* [channels, height, width], 0 … 255; or NULL: decoded */
    const int32_t *mask;               /* labels [height, width]; NULL: it has none */
    int32_t outside;                   /* the label of what comes from beyond the border */
    struct rnc_room plane_room[2], mask_room[2];
};
/* Frees what it holds, and makes it empty. */
void rnc_picture_free(struct rnc_picture *p);

/* Labels [height, width] for the picture as it is now, copied. BINARY: 255 is class 1, everything else class 0. */
bool rnc_picture_mask(struct rnc_picture *p, const uint8_t *labels, bool binary, struct rnc_status *s);

/* What is seen without augmentation. */
struct rnc_window rnc_picture_seen(const struct rnc_picture *p);
/* The window becomes the picture, of HEIGHT × WIDTH: pixels by a triangle filter, labels from the nearest. */
bool rnc_picture_resize(struct rnc_picture *p, struct rnc_window w, int64_t height, int64_t width,
                        struct rnc_status *s);
/* What is seen becomes the picture, of the input's size; bars beside it have the geometry's value and the label
   `outside`. */
bool rnc_picture_fit(struct rnc_picture *p, struct rnc_status *s);

/* For a change of size or place: room for the new planes and, with a mask, the new mask, apart from the ones there are
   now; afterwards the caller fills them and rnc_picture_set makes them the picture. Planes exist then. */
struct rnc_canvas {
    uint8_t *planes; /* [channels, height, width] */
    int32_t *mask;   /* [height, width], or NULL */
    int64_t height, width;
};
bool rnc_picture_canvas(struct rnc_picture *p, int64_t height, int64_t width, struct rnc_canvas *c,
                        struct rnc_status *s);
void rnc_picture_set(struct rnc_picture *p, const struct rnc_canvas *c);
/* The planes, to be changed in place: a copy of them, where they are the data set's. NULL after a failure. */
uint8_t *rnc_picture_pixels(struct rnc_picture *p, struct rnc_status *s);

#endif
