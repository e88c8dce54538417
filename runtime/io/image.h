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
/* The type is told from the file's first bytes. CHANNELS: 1 or 3 converts, 0 keeps what the file has. Transparent parts
   are put on white. */
bool rnc_image_read(const char *path, int64_t channels, struct rnc_image *image, struct rnc_status *s);
/* Width and height alone, from the file's header; false, and nothing said, where they are not found in it. */
bool rnc_image_size(const char *path, int64_t *width, int64_t *height);
void rnc_image_free(struct rnc_image *image);
/* Its pixels, which stay the image's. */
struct rnc_pixels rnc_image_pixels(const struct rnc_image *image);

#endif
