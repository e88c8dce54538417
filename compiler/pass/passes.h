/* passes.h: what the passes share among themselves. Others include pass/pass.h. */
#ifndef RNC_PASS_PASSES_H
#define RNC_PASS_PASSES_H

#include "pass/pass.h"

extern const struct pass pass_concat, pass_autodiff, pass_simplify, pass_fold, pass_fuse, pass_precision,
    pass_algorithm, pass_layout, pass_workspace, pass_recompute, pass_prologue, pass_sums, pass_schedule, pass_plan;

enum { MAX_OPERANDS = 12 }; /* of a body: what the kernels keep addresses of in registers */
_Static_assert((int)MAX_OPERANDS <= (int)MAX_BODY_OPERANDS, "the verifier takes what the passes make");

/* Who reads each value, at one moment: the reads of value id are item[start[id]] … item[start[id + 1] - 1], in the
   list's order. */
struct use {
    struct node *node;
    int index;
};
struct uses {
    int *start;
    struct use *item;
    int *total; /* by id: reads by nodes, outputs and updates */
};
struct uses uses_of(const struct graph *g, struct arena *a);
static inline int uses_by_nodes(const struct uses *u, const struct value *v)
{
    return u->start[v->id + 1] - u->start[v->id];
}
/* The only reader of V, where there is just one read in all; else NULL. */
struct node *uses_only(const struct uses *u, const struct value *v);

bool node_is(const struct node *n, const char *op);
/* The order NODES, all of the list of OWNER's region (NULL: of the outermost one), becomes that list's. */
void graph_reorder(struct graph *g, struct node *owner, struct node *const *nodes, int count);
/* In each list the topological order nearest to the present one, after nodes were fused or moved. A node that replaces
   a state comes after the state's other readers. False on a cycle (the list is left alone). */
bool graph_sort(struct graph *g);
/* Nodes that node I of a list must follow, as CSR by the place in the list: its operands' nodes and, for an update, the
   other readers of the state. A node with a region needs what those in it need. */
struct deps {
    int count;
    struct node **node;
    int *place; /* node->index -> place in the list */
    int *start, *pred;
    int *succ_start, *succ;
};
struct deps deps_of(struct graph *g, const struct node *owner, struct arena *a);

/* When each storage in the arena must hold, by the root value's id (value_storage): first > last where there is none.
 */
struct interval *plan_intervals(const struct graph *g, struct arena *a);

/* What G's arena and state come to once the passes that follow `recompute` have run, on a copy. False after
   diagnostics. */
bool plan_trial(const struct graph *g, struct pass_context *c, bool prologues, size_t *arena, size_t *state);

/* May READER, a pointwise node or a convolution with a body, compute its operand V by itself as the pointwise node DEF
   does (pass/optimise/inline.c)? */
bool inline_fits(const struct node *reader, const struct value *v, const struct node *def);
/* Gives a pointwise node without a body its own: the operator as the only instruction. */
void inline_give_body(struct graph *g, struct node *n);
/* It does from now on, of DEF_IN in the place of DEF's operands. */
void inline_into(struct graph *g, struct node *reader, const struct value *v, const struct node *def,
                 struct value *const *def_in);
/* The same for operand K of a Winograd convolution, which applies DEF as a prologue. */
bool prologue_fits(const struct node *reader, int k, const struct node *def);
void prologue_into(struct graph *g, struct node *reader, int k, const struct node *def);

/* The caller's image that X is a rounded copy of, by a node of its own; or NULL. Its few channels may be read as
   pixels that lie side by side (pass/optimise/stem.c). */
struct value *stem_image(const struct value *x);
/* May N, a convolution or a weight gradient, read IMAGE so on target T, rounded to DT: in pairs of neighbours? */
bool stem_takes_pairs(const struct node *n, const struct value *image, enum dtype dt, const struct target *t);

/* The operands from which on each element is read only to compute the result's same element, so that the result may
   overwrite one: the body's, or all; nin: none. */
int plan_elementwise_from(const struct node *n);
/* A prologue reads it, at other elements than the result's. */
bool plan_reads_ahead(const struct node *n, int operand);
/* One storage seen in two shapes. */
bool plan_is_view(const struct node *n);

/* Packing of intervals into the least height (pass/memory/pack.c). */
struct item {
    size_t bytes, offset;
    int first, last;
};
/* The largest sum of bytes live at one time, TIMES in all. */
size_t items_bound(const struct item *items, int count, int times, struct arena *a);
/* Sets the offsets; returns the height. Deterministic. */
size_t items_pack(struct item *items, int count, size_t bound, struct arena *a);

#endif
