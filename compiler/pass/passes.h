/* passes.h: what the passes share among themselves. Others include pass/pass.h. */
#ifndef RNC_PASS_PASSES_H
#define RNC_PASS_PASSES_H

#include "pass/pass.h"

extern const struct pass pass_autodiff, pass_simplify, pass_fold, pass_fuse, pass_layout, pass_workspace, pass_schedule, pass_plan;

/* Who reads each value, at one moment: the reads of value id are item[start[id]] … item[start[id + 1] - 1], in the list's order. */
struct use { struct node *node; int index; };
struct uses {
    int *start;
    struct use *item;
    int *total; /* by id: reads by nodes, outputs and updates */
};
struct uses uses_of(const struct graph *g, struct arena *a);
static inline int uses_by_nodes(const struct uses *u, const struct value *v) { return u->start[v->id + 1] - u->start[v->id]; }
/* The only reader of V, where there is just one read in all; else NULL. */
struct node *uses_only(const struct uses *u, const struct value *v);

bool node_is(const struct node *n, const char *op);
/* The order NODES (all of the graph's) becomes the list's. */
void graph_reorder(struct graph *g, struct node *const *nodes, int count);
/* A topological order nearest to the present one, after nodes were fused or moved; MARKED edges included where a state is
   replaced: all its other readers come first. False on a cycle (the list is left alone). */
bool graph_sort(struct graph *g);
/* Nodes that node I must follow, as CSR by node->index: its operands' nodes and, for an update, the other readers of the state. */
struct deps { int count; struct node **node; int *start, *pred; int *succ_start, *succ; };
struct deps deps_of(struct graph *g, struct arena *a);

#endif
