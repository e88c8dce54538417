/* picture.h: a picture in place of an array: PNG or JPEG for an input of images. */
#ifndef RNC_CLI_PICTURE_H
#define RNC_CLI_PICTURE_H

#include "cli/dataset.h"
#include "runtime/io/npy.h"

/* Is the file a picture, or meant to be one: neither begun nor named as .npy arrays are? Only files of a disk are. */
bool picture_is(const char *path);

struct picture_request {
    const struct dataset_model *model;
    const char *path;
    const char *weights;   /* a file whose record counts; NULL: none */
    const char *normalize; /* as dataset_preprocess */
    bool raw;              /* pixels / 255: no fit, no normalisation */
};
/* The picture as the array [1, C, H, W] that the input NAME takes; LINE becomes words that say what it went through.
   False with diagnostics. rnc_npy_free frees the array. */
bool picture_read(struct cli *c, const struct picture_request *r, const char *name, struct rnc_npy *a,
                  const char **line);

#endif
