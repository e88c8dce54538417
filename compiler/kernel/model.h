/* model.h: the analytic model of what an algorithm costs, in cycles of one core: two FMAs of a vector in each, or one
   (FEATURE_SPLIT_512), whose units are then easier to keep busy; weights streamed from beyond the second-level cache.
   The shares of the peak are what the tuner measured at 64 to 512 channels, one image and sixteen, on a Sapphire Rapids
   and a Zen 4: see what it has learnt where they are in doubt. */
#ifndef RNC_KERNEL_MODEL_H
#define RNC_KERNEL_MODEL_H

#include "base/target.h"

static inline bool model_is_split(const struct target *t)
{
    return t->feature_bits & FEATURE_SPLIT_512 && t->lanes == 16;
}

/* Bytes a cycle of weights that come from beyond the second-level cache. */
static inline double model_stream(const struct target *t) { return model_is_split(t) ? 5 : 3.5; }

/* Cycles of MULTIPLIED multiply-adds of single lanes at the FMA peak. */
static inline double model_at_peak(double multiplied, const struct target *t)
{
    return multiplied / t->lanes / (model_is_split(t) ? 1 : 2);
}

/* Products and BYTES of weights go on beside each other. */
static inline double model_slower(double compute, double bytes, const struct target *t)
{
    double memory = bytes > (double)t->l2_bytes ? bytes / model_stream(t) : 0;
    return compute > memory ? compute : memory;
}

#endif
