/* family.h: the form of a row of the table of kernel families (kernel/family.c): what computes an operator, and what
   the passes may ask about it. An operator's row (ir/op.h) names its family; other code uses these traits.
 */
#ifndef RNC_IR_FAMILY_H
#define RNC_IR_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct graph;
struct node;
struct op_error;
struct type;

/* What kind of work reports count a node as; in the order of their tables, where "other" is the last. */
enum op_work {
    WORK_OTHER,
    WORK_CONVOLUTION,
    WORK_DGRAD, /* a convolution in the backward pass */
    WORK_WGRAD, /* its gradient by the weight */
    WORK_BATCH_NORM,
    WORK_POINTWISE,
    WORK_POOL,
    WORK_LOSS,
    WORK_RECOMPUTE, /* no operator's: what a node of any kind recomputes */
    WORK_UPDATE,
    WORK_REPACK,
    WORK_KINDS
};

/* May a node be recomputed in the backward pass, instead of being kept? */
enum remake {
    REMAKE_NEVER,
    REMAKE_COSTLY, /* sums of products: where the memory must be had */
    REMAKE_CHEAP,  /* little more than reading the operands */
};

/* How the kernels want an operand to lie, and how their result lies. */
enum family_layout {
    LAID_BLOCKED, /* channels in blocks of the target's lanes */
    LAID_ALIKE,   /* like the others of the same shape, whatever that is: element by element */
    LAID_IMAGE,   /* blocked, or the few channels of a graph's input as a stem reads them */
    LAID_WEIGHTS, /* packed as the node's algorithm wants them */
};

/* How an operand with a prologue is read: how often the kernels transform it, and how often they read a pixel in that.
 */
struct pre_reads {
    double times, overlap;
};

enum { FAMILY_OPERANDS = 2 };

struct kernel_family {
    const char *name;
    enum op_work work; /* how a report names its nodes, unless an operator's row says otherwise (op_work_of) */
    /* Each element of a result comes from the same element of the operands, or from [C] or [] ones. */
    bool elementwise;
    bool sums;       /* per-channel sums over pixels and samples: they may stand last in a body */
    bool takes_body; /* applies a body to its results while they are in registers */
    bool rearranges; /* moves elements and computes none */
    bool cancels;    /* its results are sums of many terms, whose sizes measure a rounding error */
    enum remake remake;
    enum family_layout operand[FAMILY_OPERANDS], result; /* of the first operands, further ones are blocked; of all
                                                            results */

    /* Each may be NULL. All are pure. RESULTS: the types of the operator's own results, before any body. */

    /* Can the kernels that the node asks for compute it? False after op_fail. NULL: whatever the operator's rule
     * allows. */
    bool (*computes)(const struct node *n, const struct type *results, struct op_error *e);
    /* Bytes of arena that the kernels need while they run (partial sums …), or 0, after layouts; not for the sums of a
       body. The pass `workspace` makes it one more result: node_workspace. */
    size_t (*workspace)(const struct node *n, int lanes);
    /* Into how many partials go the sums at the end of N's body (kernel/sums.h)? NULL: one for each sample. */
    int64_t (*sum_partials)(const struct node *n, int lanes);
    /* How is operand K read where it has a prologue? False: none there. After layouts. */
    bool (*reads_pre)(const struct node *n, int k, struct pre_reads *r);
    /* Do the operands and results lie as the kernels read and write them? What does not, as a sentence; or NULL. */
    const char *(*check_layouts)(struct arena *a, const struct graph *g, const struct node *n);
};

/* All families, NULL-terminated. */
extern const struct kernel_family *const family_all[];

/* For operators' rows. */
extern const struct kernel_family family_pointwise, /* one scalar expression per element */
    family_conv,                                    /* conv2d, conv2d_dgrad, conv_transpose2d, dense, dense_dgrad */
    family_wgrad,                                   /* conv2d_wgrad, dense_wgrad */
    family_reduce,                                  /* per-channel sums */
    family_pool,                                    /* windows of an image */
    family_softmax,                                 /* softmax and its gradient */
    family_loss,                                    /* losses and their gradients */
    family_copy,                                    /* concat, slice, pad, resize, subsample, repack */
    family_region,                                  /* no kernel: it owns the nodes that have them */
    family_prepare;                                 /* evaluated by the runtime when weights are loaded: bn_fold */

/* Are there algorithms that read weights transformed for output tiles of TILE × TILE, with STRIDE? (kernel/algorithm.h)
 */
bool algorithm_has_tile(int tile, int stride);

/* Names of convolution algorithms (kernel/algorithm.h), NULL-terminated, for the attribute "algorithm": of convolutions
   and their gradients by the image, and of those by the weight. */
extern const char *const algorithm_names[], *const algorithm_names_wgrad[];

#endif
