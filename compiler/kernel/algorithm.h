/* algorithm.h: the table of convolution algorithms: what each can compute, its error, its cost, and the layout of
   weights that it reads. An operator that several algorithms can compute has an attribute "algorithm"; its choices are
   names of this table (ir/family.h). Number 0 is the direct algorithm, which is always possible. To add an algorithm,
   add a row to ALGORITHMS (algorithm.c), and a lowering to gen/module/family.c if its method is new. All functions are
   pure and thread-safe. */
#ifndef RNC_KERNEL_ALGORITHM_H
#define RNC_KERNEL_ALGORITHM_H

#include "base/target.h"
#include "ir/op.h"
#include "kernel/accuracy.h"

struct algorithm {
    const char *name;  /* in the IR's text, reports, checkpoints and the tuner's tables */
    const char *label; /* in reports */
    const struct algorithm_method *method;
    int tile;                   /* Winograd's output tile m of F(m×m, 3×3); 0: none */
    int stride[CONV_WGRAD + 1]; /* the largest stride that it can, by enum conv_direction; 0: not that direction */
    int in_training;            /* the largest stride for which it may be chosen in a training step; 0: never */
    struct accuracy accuracy;
};

/* What algorithms that differ only in figures have in common. N: a node with this algorithm; the dims of its operands
   and results are known, and layouts where a comment says so. */
struct algorithm_method {
    /* Can A compute N, whose weight has the dims of W? Returns false after op_fail. NULL: always. */
    bool (*computes)(const struct algorithm *a, const struct node *n, const struct type *w, struct op_error *e);
    /* Has N enough channels for vectors of LANES? NULL: always. */
    bool (*fills)(const struct node *n, int lanes);
    /* Do the shapes of N justify the memory that it needs? NULL: always. */
    bool (*affordable)(const struct algorithm *a, const struct node *n);
    /* The number of products in one chain, for accuracy_estimate. */
    double (*terms)(const struct algorithm *a, const struct node *n);
    /* The cost by the analytic model, in cycles of one core. TRAIN: each step transforms the weights. */
    double (*cost)(const struct algorithm *a, const struct node *n, const struct target *t, bool train);
    /* Multiply-adds that N executes instead of op_macs(n); NULL: op_macs(n). EFFORT: cycles of one of them relative to
       a direct one. */
    int64_t (*macs)(const struct algorithm *a, const struct node *n);
    double effort;
    /* Bytes of workspace (struct kernel_family); after layouts. NULL: the family's own. */
    size_t (*workspace)(const struct algorithm *a, const struct node *n, int lanes);
    /* The number of partials of the sums at the end of N's body (kernel/sums.h). NULL: the family's own. */
    int64_t (*sum_partials)(const struct algorithm *a, const struct node *n, int lanes);
    /* Writes how operand K, which has a prologue, is read. Returns false if K can't have a prologue. Called after
       layouts. NULL: no prologue. */
    bool (*reads)(const struct algorithm *a, const struct node *n, int k, struct pre_reads *r);
    /* The layout of the transformed weights that N reads; its iv is the tile. NULL: N reads packed weights. */
    enum layout (*transformed)(const struct node *n);
    /* Can the kernels transform packed weights themselves, in chunks, so that no complete copy is stored? */
    bool (*transforms)(const struct algorithm *a, const struct node *n, int lanes);
    bool stem; /* can read a graph input of few channels in its own layout */
};
extern const struct algorithm_method method_direct, method_winograd;

/* The table. The direct algorithm is first; a row without a name ends it. */
const struct algorithm *algorithm_all(void);
enum { ALGORITHMS_MOST = 32 };

/* How many algorithms N's operator has; 1 when there is nothing to choose. */
int algorithm_count(const struct node *n);
/* Algorithm number K of N's operator; the direct one if there is no choice. */
const struct algorithm *algorithm_at(const struct node *n, int k);
/* The algorithm that N's attribute names. */
const struct algorithm *algorithm_of(const struct node *n);

/* N's weights; for a weight gradient, its result. */
const struct type *algorithm_weight(const struct node *n);
/* Can algorithm K compute N, by its shapes and attributes and by the target's lanes? Called before layouts. */
bool algorithm_legal(const struct node *n, int k, const struct target *t);
/* The expected rms error of algorithm K, relative to a reference in double precision (kernel/accuracy.h). */
double algorithm_error(const struct node *n, int k);
/* Cycles of one core, by the analytic model. */
double algorithm_cost(const struct node *n, int k, const struct target *t, bool train);
/* Multiply-adds that N's algorithm executes, and the cycles of one of them relative to a direct one. */
int64_t algorithm_macs(const struct node *n);
double algorithm_effort(const struct node *n);

/* For the family's `computes` (ir/family.h). */
bool algorithm_computes(const struct node *n, const struct type *results, struct op_error *e);

#endif
