/* passes.h: what the passes share. Only passes include it; other modules include pass/pass.h. Nothing here is
   thread-safe: a graph belongs to one thread. */
#ifndef RNC_PASS_PASSES_H
#define RNC_PASS_PASSES_H

#include "pass/pass.h"

extern const struct pass pass_concat, pass_autodiff, pass_simplify, pass_fold, pass_fuse, pass_precision,
    pass_algorithm, pass_layout, pass_workspace, pass_recompute, pass_prologue, pass_sums, pass_schedule, pass_plan;

enum { MAX_OPERANDS = 12 }; /* of a body: a kernel keeps the address of each one in a register */
_Static_assert((int)MAX_OPERANDS <= (int)MAX_BODY_OPERANDS, "the verifier takes what the passes make");

/* The reads of each value by nodes, in the order of the walk: those of the value with this id are item[start[id]] …
   item[start[id + 1] - 1]. A snapshot: it does not follow later changes of the graph. `index` is the operand that
   reads the value. */
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
/* Gives the list of OWNER's region (NULL: the outermost list) the order of NODES, which holds each of its nodes once.
   Renumbers the graph. */
void graph_reorder(struct graph *g, struct node *owner, struct node *const *nodes, int count);
/* Sorts each list topologically, after nodes were fused or hoisted. Of the nodes that are ready, the one that stood
   first comes first. A node that replaces a state comes after the state's other readers. False on a cycle; the list
   with the cycle keeps its order. */
bool graph_sort(struct graph *g);
/* The dependences inside one list, as a CSR graph over places in the list. A node depends on the nodes that define its
   operands; an update also depends on the other readers of its state. A node with a region depends on all that its
   nested nodes depend on. */
struct deps {
    int count;
    struct node **node;
    int *place;             /* node->index -> place in the list */
    int *start, *pred;      /* place i depends on pred[start[i]] … pred[start[i + 1] - 1] */
    int *succ_start, *succ; /* the same edges backwards: what depends on place i */
};
struct deps deps_of(struct graph *g, const struct node *owner, struct arena *a);

/* The live interval of each storage in the arena, by the id of its root value (value_storage). first > last: the value
   has no storage there. */
struct interval *plan_intervals(const struct graph *g, struct arena *a);

/* Runs the passes that follow `recompute` on a copy of G and returns the bytes of its arena and state. PROLOGUES: with
   the pass `prologue`. False after diagnostics. */
bool plan_trial(const struct graph *g, struct pass_context *c, bool prologues, size_t *arena, size_t *state);

/* Inlining (pass/optimise/inline.c): READER computes its operand V in its own body, so that V is never stored. READER
   is a pointwise node or has a body behind an anchor (a convolution); the pointwise node DEF defines V. May that be
   done? */
bool inline_fits(const struct node *reader, const struct value *v, const struct node *def);
/* Turns N, a pointwise operator without a body, into a `pointwise` node whose body has that operator as its only
   instruction. */
void inline_give_body(struct graph *g, struct node *n);
/* Inlines: puts a copy of DEF's instructions before READER's own. The copy reads DEF_IN[i] where DEF reads in[i]:
   DEF->in itself, or values recomputed for the backward pass. DEF stays; remove it when it has no other reader. Needs
   inline_fits. */
void inline_into(struct graph *g, struct node *reader, const struct value *v, const struct node *def,
                 struct value *const *def_in);
/* The same for an anchor: READER applies DEF to operand K as a prologue, when it loads the operand. Needs
   prologue_fits. */
bool prologue_fits(const struct node *reader, int k, const struct node *def);
void prologue_into(struct graph *g, struct node *reader, int k, const struct node *def);

/* The input image of which X is a copy rounded to a narrower type; NULL: X is no such copy. A stem may read the copy
   with the few channels of each pixel side by side (pass/optimise/stem.c). */
struct value *stem_image(const struct value *x);
/* May N, a convolution or a weight gradient, multiply pairs of neighbouring channels of IMAGE, rounded to DT, on target
   T? */
bool stem_takes_pairs(const struct node *n, const struct value *image, enum dtype dt, const struct target *t);

/* The first operand that N reads element by element: each of its elements is read only for the result's element at the
   same place, and so are those of the operands behind it. The result may therefore overwrite one of these operands.
   0: all operands; nanchor: those of the body; nin: none. */
int plan_elementwise_from(const struct node *n);
/* Does a prologue read OPERAND? It reads other elements than the result's, so the result must not overwrite it. */
bool plan_reads_ahead(const struct node *n, int operand);
/* Is N's result the storage of its operand, only in another shape? */
bool plan_is_view(const struct node *n);

/* Packing of live intervals into an arena of the least height (pass/memory/pack.c). An item needs `bytes` bytes from
   time `first` to time `last`, both included; `offset` is the result. */
struct item {
    size_t bytes, offset;
    int first, last;
};
/* The largest sum of bytes live at one time, of the times 0 … TIMES: no packing is lower. */
size_t items_bound(const struct item *items, int count, int times, struct arena *a);
/* Sets the offsets and returns the height in bytes. BOUND: items_bound of the same items. Deterministic. */
size_t items_pack(struct item *items, int count, size_t bound, struct arena *a);

#endif
