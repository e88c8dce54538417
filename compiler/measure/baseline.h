/* baseline.h: what the convolutions of a network cost the classical way, im2col and OpenBLAS on one thread. */
#ifndef RNC_MEASURE_BASELINE_H
#define RNC_MEASURE_BASELINE_H

#include "base/diag.h"
#include "base/target.h"
#include "ir/graph.h"
#include "gen/gen.h"

struct baseline_of {
    const struct target *target; /* of this machine */
    const struct graph *raw;     /* as the spec says it, and the model that was made of it */
    const struct rnc_model *model;
};
/* Milliseconds of each node of the compiled model's forward convolutions, by node; 0 for all other nodes. NULL after
   diagnostics. CORE: OpenBLAS's kernels in use. */
const double *baseline_measure(struct arena *a, struct diags *d, const struct baseline_of *of, const char **core);

#endif
