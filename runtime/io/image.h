/* image.h: PNG and JPEG files. */
#ifndef RNC_RUNTIME_IO_IMAGE_H
#define RNC_RUNTIME_IO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/preprocess.h"

struct rnc_image {
    int64_t width, height, channels; /* channels: 1 or 3 */
    uint8_t *data;                   /* [height, width, channels], malloc'ed */
};
/* The type is recognised by the file's first bytes. CHANNELS: 1 or 3 converts, 0 keeps the file's. Transparent pixels
   are blended with white. */
bool rnc_image_read(const char *path, int64_t channels, struct rnc_image *image, struct rnc_status *s);
/* Reads width and height from the file's header; false, without a message, if it has none. */
bool rnc_image_size(const char *path, int64_t *width, int64_t *height);
void rnc_image_free(struct rnc_image *image);
/* A view of its pixels; the image owns them. */
struct rnc_pixels rnc_image_pixels(const struct rnc_image *image);

#endif
