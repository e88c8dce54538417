/* problem.h: what a spec's network is fed, what is measured of it, and what its outputs say: for the runtime's tasks.
 */
#ifndef RNC_DRIVER_PROBLEM_H
#define RNC_DRIVER_PROBLEM_H

#include "driver/driver.h"
#include "runtime/task/task.h"

/* What S compares and measures, of its graph G as driver_elaborate gives it (losses and measured, where S has losses).
   A spec without losses: its only output beside its only target or, where it declares none, beside a class that is
   called label. All in the arena. False with diagnostics: a metric of the spec that nothing has. */
bool driver_problem(struct driver *d, const struct spec *s, const struct graph *g, struct rnc_problem *p);
/* How the spec's outputs are read for a prediction, in their order; S needs no targets for that. *N: how many. */
const struct rnc_reading *driver_readings(struct driver *d, const struct spec *s, const struct graph *g, int *n);
/* How a graph is built whose outputs are measured: losses and all, as far as S has any. */
struct model_options driver_measured(const struct spec *s, enum model_mode mode);

#endif
