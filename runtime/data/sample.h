/* sample.h: internal to the loader: how one sample of a kind of data gets into a batch. */
#ifndef RNC_RUNTIME_DATA_SAMPLE_H
#define RNC_RUNTIME_DATA_SAMPLE_H

#include "runtime/data/loader.h"

struct rnc_sampler {
    /* What get needs for the data of C, which stays; NULL where the data do not fit the ports. */
    void *(*open)(const struct rnc_loader_config *c, struct rnc_status *s);
    /* Sample SAMPLE of the data set into OUT, by port. One thread at a time. */
    bool (*get)(void *own, int64_t epoch, int64_t sample, void *const *out, struct rnc_status *s);
    void (*close)(void *own); /* NULL: nothing */
};
extern const struct rnc_sampler rnc_sample_images, rnc_sample_tensors;

#endif
