/* memory.h: --memory-budget, and what the reports say about memory. */
#ifndef RNC_CLI_MEMORY_H
#define RNC_CLI_MEMORY_H

#include <jansson.h>
#include <stdio.h>
#include "cli/cli.h"

/* "500MiB", "1.5GB", "2G" (binary), "100000" (bytes). False: not a size. */
bool memory_size(const char *text, uint64_t *out);
/* False with a diagnostic where --memory-budget was given and no training step is compiled. HOW: "--train". */
bool memory_for_training(struct cli *c, bool train, const char *how);
/* The lines "memory …" of a report on a planned graph. */
void memory_report(struct arena *a, const struct graph *g, FILE *out);
/* saved_bytes, recompute_nodes, recompute_macs and step_macs (which has those) into the object ROOT. */
void memory_json(const struct graph *g, json_t *root);
/* The multiply-adds of recomputed nodes as a share of the others. */
double memory_recompute_percent(const struct recompute_account *r);

#endif
