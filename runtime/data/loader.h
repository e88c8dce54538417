/* loader.h: batches of named tensors: order, augmentation, normalisation, on a thread of its own that prepares the next
   batch while the step runs. What a sample looks like depends on (seed, epoch, its index) only. */
#ifndef RNC_RUNTIME_DATA_LOADER_H
#define RNC_RUNTIME_DATA_LOADER_H

#include "runtime/data/batch.h"
#include "runtime/data/data.h"
#include "runtime/recipe/recipe.h"
#include "runtime/rt/status.h"

struct rnc_loader_config {
    const struct rnc_dataset *data;
    const struct rnc_port *ports; /* what a batch has, in the order of its tensors. Images: one input [C, H, W], and
                                     targets that a picture's label or mask gives; tensors: any */
    int nports;
    int64_t batch;
    /* images */
    const char *const *classes; /* the data's names of them, by label; NULL: numbers */
    int64_t nclasses;
    struct rnc_preprocess preprocess;
    const struct rnc_choice *augment; /* runtime/recipe/augment.h; in their order */
    int naugment;                     /* none in evaluation */
    bool shuffle;
    uint64_t seed;
};

struct rnc_loader;
struct rnc_loader *rnc_loader_new(const struct rnc_loader_config *c, struct rnc_status *s);
void rnc_loader_free(struct rnc_loader *l);
int64_t rnc_loader_batches(const struct rnc_loader *l);
/* Begins EPOCH at its batch number FIRST. */
void rnc_loader_start(struct rnc_loader *l, int64_t epoch, int64_t first);
/* The next batch, valid until the call after. */
bool rnc_loader_next(struct rnc_loader *l, struct rnc_batch *b, struct rnc_status *s);

/* One image file as the model wants it, as in evaluation: [C, H, W]; data and target play no part. */
bool rnc_loader_image(const struct rnc_loader_config *c, const char *path, float *out, struct rnc_status *s);

#endif
