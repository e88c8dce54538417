/* layers.h: the tables of `rnc bench --per-layer`: every node, and the kinds of work (driver/layers.h). */
#ifndef RNC_CLI_LAYERS_H
#define RNC_CLI_LAYERS_H

#include <jansson.h>
#include "driver/layers.h"

void layers_print(struct arena *a, const struct layers *l);       /* one row for each node */
void layers_print_kinds(struct arena *a, const struct layers *l); /* one row for each kind */
void layers_print_bound(const struct layers *l);                  /* how much of the time memory bounds */
json_t *layers_json(const struct layers *l);
json_t *layers_kinds_json(const struct layers *l);
json_t *layers_bandwidth_json(const struct layers *l);

#endif
