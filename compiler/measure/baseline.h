/* baseline.h: measures a network's convolutions as im2col and OpenBLAS on one thread, as a baseline. */
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
/* Milliseconds of each forward convolution of the compiled model, indexed by node; 0 for other nodes. Allocated in A.
   NULL after diagnostics. *CORE: the name of OpenBLAS's kernels. */
const double *baseline_measure(struct arena *a, struct diags *d, const struct baseline_of *of, const char **core);

#endif
