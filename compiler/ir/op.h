/* op.h: the operators. One row (struct op_def) in its family's file is all there is to an operator: the YAML keys, the
   IR text, the verifier, the help, the JSON schema, the gradient, the reference and the operator tests all read this
   table. `rnc op` describes each one. */
#ifndef RNC_IR_OP_H
#define RNC_IR_OP_H

#include <stdbool.h>
#include <stdint.h>
#include "ir/family.h"
#include "ir/graph.h"
#include "ir/opname.h"

enum op_class {
    OP_LAYER,    /* may stand in a spec's list of layers */
    OP_LOSS,     /* may stand in a spec's list of losses */
    OP_INTERNAL, /* made by passes only */
};

/* In which part of a training step an operator stands, as reports say it. A node whose operator is of the forward pass
   belongs to the backward pass where it reads what that computes: conv2d is the gradient of conv_transpose2d, too. */
enum op_phase {
    PHASE_FORWARD,
    PHASE_BACKWARD, /* gradients */
    PHASE_UPDATE,   /* new states: parameters, the optimizer's, running statistics */
    PHASE_PREPARE,  /* no part of the step: when weights are loaded */
};
const char *op_phase_name(enum op_phase p);

/* What makes probabilities of a value: of its channels together, or of each element by itself. */
enum op_squash { SQUASH_NONE, SQUASH_SOFTMAX, SQUASH_SIGMOID };

/* Which of a convolution's three computations an operator is, whatever its part in the network: conv_transpose2d
   computes what the gradient of a convolution by its input does. Dense layers are convolutions of features. */
enum conv_direction {
    CONV_NONE,    /* no convolution */
    CONV_FORWARD, /* x, weight → y */
    CONV_DGRAD,   /* dy, weight → dx: reads the weight with its channels exchanged */
    CONV_WGRAD,   /* x, dy → dw */
};

/* What the target of a loss holds. Its mean is over the classes that count (COMPARES_CLASSES: not ignored, and below
   the number of classes), or over all elements of the samples. */
enum op_compares {
    COMPARES_NOTHING, /* no loss */
    COMPARES_CLASSES, /* numbers of classes, i64 */
    COMPARES_BINARY,  /* numbers from 0 to 1 */
    COMPARES_NUMBERS,
};

/* The operator is min(max(x, low), high). */
struct op_clamp {
    bool clamps;
    double low, high;
};

/* An attribute: a YAML key of the layer and/or an attribute of the IR node. */
struct op_attr {
    const char *name;
    struct attr def; /* default, and with it the type */
    bool required;   /* in the spec */
    bool spec_only;  /* a YAML key that becomes parameters or other attributes: conv2d's `out`, `bias`, `kernel` */
    bool ir_only;    /* computed; not a YAML key: conv2d_dgrad's `size` */
    bool has_range;
    double min, max;            /* of a number, or of each element */
    const char *const *choices; /* ENUM: NULL-terminated */
    const char *help;           /* one line */
};

enum operand_kind {
    OPERAND_VALUE,
    OPERAND_PARAM,
    OPERAND_BUFFER,
    OPERAND_TARGET,
    OPERAND_SUBSET,  /* i64, of the whole batch: a condition, how many samples, which */
    OPERAND_SEGMENT, /* further channels of the first operand (ir/segments.h): from passes only, a spec cannot give it
                      */
};
/* What an operator moves over the border of a region that has an index. */
enum op_border {
    BORDER_NONE,
    BORDER_IN, /* in the region: takes operand 0, a value of the batch around, in by the region's index */
    BORDER_OUT /* behind the region: puts operand 1, which the region yields, back by that index */
};
struct op_operand {
    const char *name;
    enum operand_kind kind;
    bool optional;
};

/* A tensor that a layer brings: conv1.weight. */
struct param_decl {
    const char *suffix;   /* "weight", "running_mean" */
    enum value_kind kind; /* PARAM, BUFFER or COUNTER; a COUNTER is no operand of the node */
    struct type type;
    enum init_kind init;
    int64_t fan;  /* for the init: fan_out or fan_in as its kind wants */
    double value; /* of the kinds that have one (init_has_value) */
};
enum { MAX_PARAMS = 8 };

/* Failure of a shape rule: a sentence for the user, and notes. */
struct op_error {
    struct arena *arena;
    const char *message; /* "kernel 7 does not fit into the padded height 5"; NULL: none */
    const char *note;    /* a suggestion, or NULL */
};
bool op_fail(struct op_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* returns false */

/* Run-time scalars, as in runtime/rt/abi.h's struct rnc_run; threads that a reference may use (0: the caller's alone):
   never of any influence on bits. */
struct ref_run {
    int64_t n;
    double lr;
    int64_t step;
    uint64_t seed;
    int threads;
    bool magnitudes; /* not the difference of terms that an operator makes itself, but the sum of their sizes: by those
                        its rounding errors are measured (driver/condition.h) */
};

/* A reference's operands: plain row-major tensors of doubles (integers as doubles), logical shapes. */
struct ref_tensor {
    const struct type *type;
    double *data;
};
struct ref_call {
    const struct attr *attr; /* in the table's order; use ref_int … */
    const struct op_def *op;
    const struct ref_tensor *in;
    int nin; /* data == NULL: absent */
    struct ref_tensor *out;
    int nout;
    struct ref_run run; /* batch-dependent operators compute the first run.n samples only */
    const char *layer;  /* dropout's key */
};
int64_t ref_int(const struct ref_call *c, const char *name);
double ref_float(const struct ref_call *c, const char *name);
const int64_t *ref_ints(const struct ref_call *c, const char *name);

/* A gradient rule builds nodes in `graph` (at the end) and sets dx[i] for each input with need[i]. */
struct grad_call {
    struct graph *graph;
    const struct node *node;
    struct value *const *dy; /* gradient of each result, NULL where none flows */
    const bool *need;        /* by input */
    struct value **dx;
};

struct op_test {
    const char *text;
    double tol;
};

struct op_def {
    const char *name;
    const char *help; /* one line */
    enum op_class class_;
    const struct kernel_family *family;
    enum op_phase phase;
    enum op_work work; /* where it is not what its family says: op_work_of */
    enum conv_direction direction;
    enum op_border border;
    enum op_compares compares;
    int variant;           /* which of its kernel family's computations: enum pool_variant (op/pool.h), softmax_variant
                              (op/softmax.h), copy_variant (op/copy.h), sum_kind (op/sums.h); 0 in the other families */
    bool view;             /* the result is the operand's bytes in another shape: it may share the storage */
    bool repacks;          /* the result is the operand, in another layout or element type */
    enum op_squash squash; /* of a layer: what it computes; of a loss: what it applies to its first operand itself, but
                              where its attribute from_logits is false (op_loss_squash) */
    struct op_clamp clamp;
    bool maximum; /* result 0 is made of maxima of operand 0's elements: they may be rounded before or after */
    int gate;     /* the operand at whose bounds result 0 jumps to zero: what a ReLU's gradient reads; 0: none */
    bool owns;    /* owns a region (struct node); no attributes, as many results as the region yields */
    bool bare;    /* computes nothing but a body, which takes all operands: `pointwise` */
    const struct op_operand *operands;
    int noperands;
    bool variadic; /* the last operand repeats */
    int nouts;
    const struct op_attr *attrs;
    int nattr;
    /* The tensors a layer of this operator brings, from its input types and attributes (all, spec_only too). Returns
       the count, or -1 after op_fail. */
    int (*params)(const struct type *in, int nin, const struct attr *attr, struct param_decl *out, struct op_error *e);
    /* Result types from input types and attributes. in[i].rank == -1: absent. Shapes alone: whether results are batched
       is op_result_types' to say. */
    bool (*infer)(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e);
    /* Is the result the operand, for these types and attributes? TRAIN: in a training step. NULL: never. */
    bool (*identity)(const struct node *n, bool train);
    /* Makes N, of the forward pass, what a training step differentiates; nodes of its own go before it. False after
       op_fail: it cannot be trained. NULL: it is that already. */
    bool (*train)(struct graph *g, struct node *n, struct op_error *e);
    void (*grad)(struct grad_call *g);     /* NULL: not differentiable (or zero: targets) */
    bool sums_samples;                     /* its results are sums or means over the samples, not a row for each */
    int64_t (*macs)(const struct node *n); /* multiply-adds; NULL: none worth counting */
    /* Elementwise families: one scalar expression over the operands' names, the attributes' names, and n (run-time
       samples), lr, step:
       + - * / unary -, comparison < <= > >= ==, select(cond, a, b), min, max, abs, exp, log, tanh, erf, sqrt, pow.
       Subexpressions of per-channel and scalar operands alone are computed once per channel block. Several results:
       expressions separated by ';'. */
    const char *expr;
    bool keeps_zero; /* f(0, …, 0) == 0: lanes past the last channel stay zero without a mask */
    int prologues; /* operands 0 … of which may have a prologue (struct node .pre); the kernels that can are Winograd's
                      and those of pooling */
    bool inplace;  /* result 0 may overwrite an input of its size that dies here (all of an elementwise family's may) */
    bool bf16;     /* its kernels take images in any mixture of f32 and bf16 (weights: see gen/conv/conv.h); all
                      elementwise ones do */
    void (*ref)(struct ref_call *c); /* naive, double accumulators, written independently of the kernel */
    const struct op_test *tests;
    int ntests; /* "x=2,3,7,7 weight=5,3,3,3 stride=2,2 pad=1,1,1,1": one row, one test */
};

/* All operators, NULL-terminated. */
const struct op_def *const *op_all(void);
const struct op_def *op_find(const char *name);               /* or NULL */
int op_attr_index(const struct op_def *op, const char *name); /* or -1 */
/* OP's `infer`, and which results have a row for each sample: all, where an operand has, but for sums over the samples
   (sums_samples). Operands that are values of the step agree in that, but for [C] and []; parameters and states have no
   rows. Lists go through what is done element by element and nothing else. */
bool op_result_types(const struct op_def *op, const struct type *in, int nin, const struct attr *attr, struct type *out,
                     struct op_error *e);
/* Sets the types of the node's results (their number is op->nouts unless a body says otherwise). Uses struct body for
   fused nodes. False after op_fail. Layout is not touched: results are plain. */
bool op_infer(struct node *n, struct op_error *e);
/* Does OP, a convolution, read the image x as its first operand? */
static inline bool conv_reads_x(const struct op_def *op)
{
    return op->direction == CONV_FORWARD || op->direction == CONV_WGRAD;
}
/* Can values that OP reads or makes be stored as bf16? Shape rules never see that: to `infer` a value is f32, and a
   result of rank 4 that is declared bf16 stays so ("stored rounded"). */
bool op_bf16(const struct op_def *op);
/* May a node of OP be recomputed? What reduces over the samples never is. */
static inline enum remake op_remake(const struct op_def *op)
{
    return op->sums_samples ? REMAKE_NEVER : op->family->remake;
}
/* What the loss OP applies to its first operand: SQUASH_NONE where that are probabilities already, or numbers. */
enum op_squash op_loss_squash(const struct op_def *op, const struct attr *attr);
/* The name of the layer that computes it. */
const char *op_squash_name(enum op_squash squash);
enum op_work op_work_of(const struct op_def *op); /* of a report: the row's, else its family's */
/* A body's sums, which stand last in it; and how many of its results are not theirs. */
int body_sums(const struct body *b);
int body_elementwise(const struct body *b);
/* How many results N has, without a workspace: its body's, its region's or the operator's. */
int op_results(const struct node *n);
int64_t op_macs(const struct node *n); /* 0 where the operator has none; includes nothing of the body */

/* Can the node's kernel, as it is after the pass `layout`, apply a prologue to operand K? */
bool op_takes_pre(const struct node *n, int k);
/* The workspace result that the pass `workspace` added, or NULL. */
struct value *node_workspace(const struct node *n);

/* For gradient rules, passes and tests: appends a node, infers, returns it. A shape error here is a bug (assertion).
   Inputs end with NULL only through nin. */
struct node *op_build(struct graph *g, struct node *before, const char *op, struct value *const *in, int nin);
/* The same with the attributes given: op->nattr of them in the table's order (NULL: the defaults). */
struct node *op_build_attrs(struct graph *g, struct node *before, const char *op, struct value *const *in, int nin,
                            const struct attr *attr);

/* N is from now on one of OP, of the operands IN: attributes that both operators have stay, further results are added,
   and the results' types inferred. */
void op_become(struct graph *g, struct node *n, const char *op, struct value *const *in, int nin);

/* Spec text -> attribute for one row (scalars and [a, b] lists; IR text and op tests use it). False: not of that type
   or out of range, with e set. */
bool op_attr_parse(const struct op_attr *row, const char *text, struct attr *out, struct op_error *e);
void op_attr_print(const struct op_attr *row, const struct attr *a, char *out, size_t size);
bool op_attr_equal(const struct attr *a, const struct attr *b);

#endif
