/* layers.h: the tables of `rnc bench --per-layer`: every node, and the kinds of work that a run or a training step
   consists of. */
#ifndef RNC_CLI_LAYERS_H
#define RNC_CLI_LAYERS_H

#include <jansson.h>
#include "cli/roofline.h"

struct layer {
    const struct rnc_node *node;
    const char *kind; /* "convolution", "dgrad", …: layer_kind */
    double ms, min;   /* measured: the median, the least */
    double flops_ms,
        memory_ms; /* what its executed FLOPs at the FMA peak and its bytes at the measured bandwidth take at least */
    double im2col_ms; /* by im2col and OpenBLAS; 0: not measured */
};

struct layers {
    struct arena *arena;
    struct layer *row;
    uint32_t count;
    double peak; /* GFLOP/s */
    struct roofline roofline;
    bool im2col; /* a column for it */
};

/* What kind of work N is. */
const char *layer_kind(const struct node *n, const char *phase);
/* Fills in what follows from the measured times: rows by the model's nodes, of the planned graph G. */
void layers_explain(struct layers *l, const struct graph *g, const struct rnc_model *m);

void layers_print(const struct layers *l);       /* one row for each node */
void layers_print_kinds(const struct layers *l); /* one row for each kind */
void layers_print_bound(const struct layers *l); /* how much of the time memory bounds */
json_t *layers_json(const struct layers *l);
json_t *layers_kinds_json(const struct layers *l);
json_t *layers_bandwidth_json(const struct layers *l);
double layers_memory_percent(const struct layers *l);

#endif
