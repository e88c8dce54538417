/* algorithm.h: the table of convolution algorithms: what each can compute, with which error, at which cost, and which
   weights it reads. An operator that can be computed in several ways has an attribute "algorithm", whose choices are
   names of the table (ir/family.h); number 0 is the direct one, which is always possible.

   An algorithm is added as a row of ALGORITHMS (algorithm.c) and its lowering (gen/module/family.c); one of another
   kind brings a method. All functions are pure. */
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

/* What algorithms that differ in their figures alone have in common. N: a node of the algorithm's, of whose operands
   and results the dims are known; their layouts where that is said. */
struct algorithm_method {
    /* Does A compute N, whose weight has the dims of W? False after op_fail. NULL: whatever it is. */
    bool (*computes)(const struct algorithm *a, const struct node *n, const struct type *w, struct op_error *e);
    /* Are there channels enough for vectors of LANES? NULL: always. */
    bool (*fills)(const struct node *n, int lanes);
    /* Is it worth its memory, by shapes? NULL: always. */
    bool (*affordable)(const struct algorithm *a, const struct node *n);
    /* The products of one sum in sequence, of which accuracy_estimate makes an error. */
    double (*terms)(const struct algorithm *a, const struct node *n);
    /* The analytic model: cycles of one core. TRAIN: every step transforms the weights. */
    double (*cost)(const struct algorithm *a, const struct node *n, const struct target *t, bool train);
    /* Multiply-adds that are executed, of op_macs(n); cycles for each, in those of a direct one. NULL: all of them. */
    int64_t (*macs)(const struct algorithm *a, const struct node *n);
    double effort;
    /* Bytes of workspace (struct kernel_family); after layouts. NULL: the family's own. */
    size_t (*workspace)(const struct algorithm *a, const struct node *n, int lanes);
    /* Partials of the sums at the end of N's body (kernel/sums.h). NULL: the family's own. */
    int64_t (*sum_partials)(const struct algorithm *a, const struct node *n, int lanes);
    /* How operand K, which has a prologue, is read (struct pre_reads); false: it takes none. After layouts. NULL: none.
     */
    bool (*reads)(const struct algorithm *a, const struct node *n, int k, struct pre_reads *r);
    /* The layout of the transformed weights that N reads, iv: the tile. NULL: it reads packed ones. */
    enum layout (*transformed)(const struct node *n);
    /* Can its kernels transform packed weights themselves, so that they are never in memory as a whole? */
    bool (*transforms)(const struct algorithm *a, const struct node *n, int lanes);
    bool stem; /* reads a graph's input of few channels as it lies */
};
extern const struct algorithm_method method_direct, method_winograd;

/* The table, the direct one first; behind the last stands one without a name. */
const struct algorithm *algorithm_all(void);
enum { ALGORITHMS_MOST = 32 };

/* How many algorithms N's operator has; 1 when there is nothing to choose. */
int algorithm_count(const struct node *n);
/* One of them; the direct one where there is nothing to choose. */
const struct algorithm *algorithm_at(const struct node *n, int k);
/* The one that N has chosen. */
const struct algorithm *algorithm_of(const struct node *n);

/* N's weights or, of a weight gradient, its result. */
const struct type *algorithm_weight(const struct node *n);
/* Can number K compute N: by its rule for N's shapes and attributes, and by the target's lanes? Before layouts. */
bool algorithm_legal(const struct node *n, int k, const struct target *t);
/* The rms error relative to a double reference that is to be expected of number K (kernel/accuracy.h). */
double algorithm_error(const struct node *n, int k);
/* Cycles of one core, by the analytic model. */
double algorithm_cost(const struct node *n, int k, const struct target *t, bool train);
/* Multiply-adds that N's algorithm executes for those of op_macs, and cycles for them, in those of direct ones. */
int64_t algorithm_macs(const struct node *n);
double algorithm_effort(const struct node *n);

/* For the family's `computes` (ir/family.h). */
bool algorithm_computes(const struct node *n, const struct type *results, struct op_error *e);

#endif
