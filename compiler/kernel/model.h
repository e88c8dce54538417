/* model.h: the analytic cost model of algorithms, in cycles of one core. A core runs two FMAs of a vector in a cycle,
   or one with FEATURE_SPLIT_512, whose units are easier to keep busy. Weights are streamed from beyond the second-level
   cache. The constants were measured with the tuner, see tests/bench/MEASUREMENTS.md. */
#ifndef RNC_KERNEL_MODEL_H
#define RNC_KERNEL_MODEL_H

#include "base/target.h"

static inline bool model_is_split(const struct target *t)
{
    return t->feature_bits & FEATURE_SPLIT_512 && t->lanes == 16;
}

/* Bytes in a cycle of weights from beyond the second-level cache. */
static inline double model_stream(const struct target *t) { return model_is_split(t) ? 5 : 3.5; }

/* Cycles of MULTIPLIED multiply-adds of single lanes at the FMA peak. */
static inline double model_at_peak(double multiplied, const struct target *t)
{
    return multiplied / t->lanes / (model_is_split(t) ? 1 : 2);
}

/* The larger of both costs, because products and the transfer of BYTES of weights overlap. */
static inline double model_slower(double compute, double bytes, const struct target *t)
{
    double memory = bytes > (double)t->l2_bytes ? bytes / model_stream(t) : 0;
    return compute > memory ? compute : memory;
}

#endif
