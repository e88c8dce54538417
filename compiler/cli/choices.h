/* choices.h: how the reports show which layer is computed by which algorithm (driver/choices.h). */
#ifndef RNC_CLI_CHOICES_H
#define RNC_CLI_CHOICES_H

#include <jansson.h>
#include <stdio.h>
#include "base/arena.h"
#include "ir/graph.h"

/* For people: the layers that are not direct, by operator and algorithm. Nothing when there are none. */
void choices_print(struct arena *a, const struct graph *g, FILE *out);
/* [{"layer": …, "operator": …, "algorithm": …, "error": …}], all that have a choice; the caller's. */
json_t *choices_json(struct arena *a, const struct graph *g);

#endif
