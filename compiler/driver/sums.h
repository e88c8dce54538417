/* sums.h: in which order a compiled step adds. */
#ifndef RNC_DRIVER_SUMS_H
#define RNC_DRIVER_SUMS_H

#include "driver/driver.h"

/* A line for each sum: which algorithm, in which kernel, in how many parts; sorted, in the driver's arena. Two steps of
   one spec, for vectors of one length, that have the same text compute the same bits, whatever is computed twice, in
   which order the kernels stand and where results lie. Where activations are stored rounded, the text names the plan as
   well: there it matters what is stored. */
const char *driver_sums(struct driver *d, const struct built *b);

#endif
