/* layers.h: what was measured of each node, what bounds it, and the sums over the kinds of work that a run or a
   training step consists of. */
#ifndef RNC_DRIVER_LAYERS_H
#define RNC_DRIVER_LAYERS_H

#include "ir/op.h"
#include "measure/roofline.h"

struct layer {
    const struct rnc_node *node;
    const char *kind; /* "convolution", "dgrad", …: layer_kind */
    double ms, min;   /* its share of the median run; the least */
    double flops_ms;  /* what its executed FLOPs take at the peak, at least */
    double memory_ms; /* what its bytes take at the measured bandwidth: an estimate (roofline_ms), ms at most */
    double im2col_ms; /* by im2col and OpenBLAS; 0: not measured */
};

struct layers {
    struct layer *row;
    uint32_t count;
    double between; /* ms of the median run that are no node's: handing out tasks, taking the time */
    double peak;    /* GFLOP/s: as measured, or as a node showed it to be */
    struct roofline roofline;
    bool im2col; /* a column for it */
};

/* What kind of work N is. */
const char *layer_kind(const struct node *n, const char *phase);
/* The name of kind K, from 0 to WORK_KINDS, in the order that tables list them. */
const char *layers_kind(int k);
/* Fills in what follows from the measured times: rows by the model's nodes, of the planned graph G. */
void layers_explain(struct layers *l, const struct graph *g, const struct rnc_model *m);

bool layer_memory_bound(const struct layer *r);
/* How much of the measured time FLOPs or bytes account for, whichever take longer, in percent: 100 at most. */
double layer_explained(const struct layer *r);

struct layer_sum {
    int nodes;
    double ms, flops, executed, bytes, memory_bound_ms;
};
/* Of one kind; NULL: of all, with what lies between them. */
struct layer_sum layers_sum(const struct layers *l, const char *kind);
/* What lies between nodes, as a kind. */
#define LAYERS_BETWEEN "between nodes"
/* The share of the time that is spent in layers which memory bounds. */
double layers_memory_percent(const struct layers *l);

#endif
