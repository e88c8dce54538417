/* loader.h: batches of named tensors: order, augmentation, normalisation. A thread of the loader prepares the next
   batch while the step runs. A sample's values depend only on (seed, epoch, its index). One thread at a time uses a
   loader. */
#ifndef RNC_RUNTIME_DATA_LOADER_H
#define RNC_RUNTIME_DATA_LOADER_H

#include "runtime/data/batch.h"
#include "runtime/data/data.h"
#include "runtime/recipe/recipe.h"
#include "runtime/rt/status.h"

struct rnc_loader_config {
    const struct rnc_dataset *data;
    const struct rnc_port *ports; /* the tensors of a batch, in this order. Images: one input [C, H, W], and targets
                                     that an image's label or mask gives; tensors: any */
    int nports;
    int64_t batch;
    /* for images */
    const char *const *classes; /* class names of the data, by label; NULL: numbers */
    int64_t nclasses;
    struct rnc_preprocess preprocess;
    const struct rnc_choice *augment; /* runtime/recipe/augment.h; applied in this order */
    int naugment;                     /* 0 in evaluation */
    bool shuffle;
    uint64_t seed;
};

struct rnc_loader;
struct rnc_loader *rnc_loader_new(const struct rnc_loader_config *c, struct rnc_status *s);
void rnc_loader_free(struct rnc_loader *l);
int64_t rnc_loader_batches(const struct rnc_loader *l);
/* Begins EPOCH at batch number FIRST. */
void rnc_loader_start(struct rnc_loader *l, int64_t epoch, int64_t first);
/* The next batch, valid until the next call; b->n = 0 at the end of the epoch. */
bool rnc_loader_next(struct rnc_loader *l, struct rnc_batch *b, struct rnc_status *s);

/* Reads one image file, preprocessed as in evaluation: [C, H, W]. C's data and targets are not used. */
bool rnc_loader_image(const struct rnc_loader_config *c, const char *path, float *out, struct rnc_status *s);

#endif
