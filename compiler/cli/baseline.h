/* baseline.h: what the convolutions of a network cost the classical way, im2col and OpenBLAS on one thread. */
#ifndef RNC_CLI_BASELINE_H
#define RNC_CLI_BASELINE_H

#include "cli/cli.h"

/* Milliseconds of each node of the compiled model's forward convolutions, by node; 0 for all other nodes. NULL after
   diagnostics. CORE: OpenBLAS's kernels in use. */
const double *baseline_measure(struct cli *c, const struct built *b, const char **core);

#endif
