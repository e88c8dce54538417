/* sample.h: how a sample of each kind of data gets into a batch; private to runtime/data. */
#ifndef RNC_RUNTIME_DATA_SAMPLE_H
#define RNC_RUNTIME_DATA_SAMPLE_H

#include "runtime/data/loader.h"

struct rnc_sampler {
    /* Allocates what `get` needs for C, which must stay valid; NULL, with S, if the data don't fit the ports. */
    void *(*open)(const struct rnc_loader_config *c, struct rnc_status *s);
    /* Writes sample SAMPLE of the data set to OUT, by port. One thread at a time. */
    bool (*get)(void *own, int64_t epoch, int64_t sample, void *const *out, struct rnc_status *s);
    void (*close)(void *own); /* may be NULL */
};
extern const struct rnc_sampler rnc_sample_images, rnc_sample_tensors;

#endif
