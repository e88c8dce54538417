/* image.h: PNG and JPEG files, and resizing. */
#ifndef RNC_RUNTIME_IO_IMAGE_H
#define RNC_RUNTIME_IO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/status.h"

struct rnc_image {
    int64_t width, height, channels; /* channels: 1 or 3 */
    uint8_t *data;                   /* [height, width, channels], malloc'ed */
};
/* The type is told from the file's first bytes. CHANNELS: 1 or 3 converts, 0 keeps what the file has. Transparent parts
   are put on white. */
bool rnc_image_read(const char *path, int64_t channels, struct rnc_image *image, struct rnc_status *s);
void rnc_image_free(struct rnc_image *image);

/* Resizes the window (x, y, w, h) of IMAGE (fractions of pixels are fine) to planes [channels, height, width] of bytes,
   with a triangle filter whose width grows with the reduction (as Pillow's and torchvision's antialiased bilinear). */
bool rnc_image_resize(const struct rnc_image *image, double x, double y, double w, double h, int64_t out_height,
                      int64_t out_width, uint8_t *planes, struct rnc_status *s);

#endif
