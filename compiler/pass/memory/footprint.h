/* footprint.h: what a training step takes when some nodes of its forward pass are recomputed for the backward pass: a
   model of the memory for pass/memory/recompute.c, and the graph that goes with it. */
#ifndef RNC_PASS_MEMORY_FOOTPRINT_H
#define RNC_PASS_MEMORY_FOOTPRINT_H

#include "pass/passes.h"

/* One making of one node, in the order in which it would run: the node recomputed, or as it stands in the graph. */
struct entry {
    int node;
    bool recompute;
    int reads; /* where its reads begin in model.read */
};
struct storage {
    size_t bytes;
    int left;
};

struct footprint {
    struct graph *g;
    struct arena *arena;
    int count, border;  /* nodes; the last one that the loss needs: the backward pass lies behind it */
    int gap;            /* nodes for which a recomputed value is kept for its next reader; else there is another */
    struct node **node; /* by position */
    int *root;          /* by value id: what a view is a view of, or itself */
    size_t *bytes;      /* by value id: in the arena; 0 for views and what lies elsewhere */
    bool *forward;      /* by node: the loss needs it, and it may be recomputed */
    bool *recompute;    /* by node: it is */
    bool *inlined;      /* by node: its readers in the backward pass can compute it themselves, each in its own body */
    uint64_t *fits; /* by node: a bit for each of its first operands whose maker is inlined and fits into its body */
    size_t *made_bytes; /* by node: of its results */
    bool *kept;         /* by value id: the backward pass reads the first making */
    /* the order that follows from it */
    struct entry *entry;
    int nentries, cap_entries;
    int *read, nreads,
        cap_reads; /* storages, of each entry's operands in turn (-1: inlined), then of the inlined one's */
    struct storage *storage;
    int nstorages, cap_storages;
    int *first, *current; /* by value id: the storage of its first making, and of its latest */
    int *made, *used;     /* by node: entries when it was last recomputed and last read; made -1: not yet */
    size_t room;          /* for footprint_peak: what there is; */
    double excess;        /* and its result: how far more than that is live, summed over the order */
    uint64_t steps;       /* entries that were walked: what a search has cost */
};

/* Of a graph with layouts and workspaces, in its order. Nothing but copies of weights is recomputed at first. False:
   there is no loss. */
bool footprint_init(struct footprint *m, struct graph *g);
static inline int footprint_root(const struct footprint *m, const struct value *v) { return m->root[v->id]; }
/* Nothing but reading and writing: recomputed without a thought for the arithmetic. */
bool footprint_is_cheap(const struct node *n);
/* The caller's image in bf16 (pass/optimise/stem.c): recomputed unless the peak does not care, as the caller's own lies
   there all the time. */
bool footprint_is_image_copy(const struct node *n);
/* Bytes of arena that N's results take. */
size_t footprint_made(const struct footprint *m, const struct node *n);
/* The most that is live at one time, as m->recompute says; sets the order, m->kept and m->excess. SIZE_MAX: the choice
   recomputes too much. */
size_t footprint_peak(struct footprint *m);
/* The order becomes the graph's; M is of no use afterwards. Returns how many nodes were added. */
int footprint_apply(struct footprint *m);
/* The plain sum of what G's backward pass reads of its forward pass. */
size_t footprint_saved(struct graph *g);

#endif
