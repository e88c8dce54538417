/* graph.h: the IR. A function is a list of nodes; each node applies one operator (ir/op.h) to values and defines
   values. A node may own a region: a nested list that runs before the node, under the node's condition. The same
   structure represents a network at every stage. It begins as plain logical operators (ir-raw) and ends as fused
   operators on blocked layouts with memory offsets.

   Logical shapes always have the usual order, whatever the layout: images [N, C, H, W], features [N, C],
   convolution weights [O, I/groups, KH, KW], dense weights [O, I], per-channel vectors [C], scalars [].
   All memory belongs to the graph's arena and is freed with it. A graph is not thread-safe. */
#ifndef RNC_IR_GRAPH_H
#define RNC_IR_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/diag.h"
#include "ir/number.h"

/* The verifier refuses a graph that exceeds these limits. MAX_INS, MAX_OUTS: operands and results of a node. MAX_BODY:
   instructions of a body. MAX_BODY_OPERANDS: operands of the node that its bodies read, beside the anchor's.
   MAX_BODY_ARGS: arguments of an instruction. MAX_PRE: operands with a prologue. MAX_NESTING: depth of regions. */
enum {
    MAX_RANK = 4,
    MAX_INS = 256,
    MAX_OUTS = 6,
    MAX_BODY = 24,
    MAX_BODY_OPERANDS = 16,
    MAX_BODY_ARGS = 8,
    MAX_PRE = 2,
    MAX_NESTING = 8
};

/* How a value lies in memory. v is the target's lanes, or the value's own block size. */
enum layout {
    /* Row-major in logical order. */
    LAYOUT_PLAIN,
    /* Rank 4: N[C/v]HW[v]; rank 2: N[C/v][v]; rank 1: [C/v][v]. Lanes past C are zero. A stem's image of a rounded type
       has v = C, fewer than the lanes: its pixels lie side by side. */
    LAYOUT_BLOCKED,
    /* Weights of convolutions and dense layers, [O/v][I/iv][KH][KW][iv][v o]; the padding is zero. Grouped: I is the
       channels of one group; when v does not divide both O/groups and I/groups, the weights are widened to a dense
       block-diagonal first: see gen/conv/conv.h. Types whose products take two neighbours: pairs of input channels side
       by side, [O/v][I/iv][KH][KW][iv/2][v o][2]. Where iv is odd, pairs run along a row of taps:
       [O/v][I/iv][KH][KW·iv/2, rounded up][v o][2]; of an odd row the last number stands second, beside a zero. */
    LAYOUT_WEIGHT,
    /* The same weights for dgrad: [I/v][O/v][KH][KW][v o][v i]; in pairs: [v o/2][v i][2]. */
    LAYOUT_WEIGHT_T,
    /* [C/v][KH][KW][v] */
    LAYOUT_DEPTHWISE,
    /* 3×3 weights transformed for F(m×m, 3×3), m = iv: [O/v][(m+2)²][I/v][v i][v o] (runtime/rt/winograd.h). */
    LAYOUT_WINOGRAD,
    /* The same for dgrad, taps turned round: [I/v][(m+2)²][O/v][v o][v i]. */
    LAYOUT_WINOGRAD_T,
    /* For a forward convolution of stride 2: as LAYOUT_WINOGRAD, by other points. */
    LAYOUT_WINOGRAD_S,
};

static inline bool layout_is_winograd(enum layout l)
{
    return l == LAYOUT_WINOGRAD || l == LAYOUT_WINOGRAD_T || l == LAYOUT_WINOGRAD_S;
}

struct type {
    enum dtype dtype;
    enum layout layout;
    int rank;        /* 0..MAX_RANK */
    int v, iv;       /* block sizes; 0 for LAYOUT_PLAIN; iv for LAYOUT_WEIGHT, and the tile m for LAYOUT_WINOGRAD(_T) */
    bool batched;    /* dim[0] is the graph's batch N: a row for each sample, of which the first run.n are real */
    uint8_t bounded; /* bit d: dim[d] is a capacity; the count is known at run time (boxes: [N, up to 100, 4]).
                        Another value holds the count. Elements past it are undefined */
    int64_t dim[MAX_RANK];
};

struct type type_make(enum dtype dt, int rank, const int64_t *dim);  /* plain; not batched */
struct type type_nchw(int64_t n, int64_t c, int64_t h, int64_t w);   /* f32, plain, batched: an image for each sample */
bool type_equal(const struct type *a, const struct type *b);         /* in everything: layout, batched, bounded */
bool type_same_dims(const struct type *a, const struct type *b);     /* whatever the layout and the element type */
bool type_same_shape(const struct type *a, const struct type *b);    /* dtype and dims only */
int64_t type_elements(const struct type *t);                         /* logical; 1 for a scalar */
size_t type_bytes(const struct type *t);                             /* physical, with the block padding */
const char *type_text(struct arena *a, const struct type *t);        /* f32[N=1,64,56,56]:b16, f32[N=1,<=100,4] */
const char *type_shape_text(struct arena *a, const struct type *t);  /* f32[1,64,56,56] */
const char *type_sample_text(struct arena *a, const struct type *t); /* [64, 56, 56], as a spec says it: without N */

enum value_kind {
    VALUE_NODE,    /* defined by a node */
    VALUE_INPUT,   /* the caller's data */
    VALUE_TARGET,  /* the caller's labels, masks or regression targets */
    VALUE_PARAM,   /* trained */
    VALUE_BUFFER,  /* state that is saved but not trained: BN running statistics */
    VALUE_COUNTER, /* i64 scalar saved for other frameworks (num_batches_tracked); the runtime adds 1 a training step */
    VALUE_OPTIM,   /* the optimizer's state: "optim.momentum.conv1.weight" */
};

enum init_kind {
    INIT_ZEROS,
    INIT_ONES,
    INIT_KAIMING_NORMAL,   /* normal, std = sqrt(2 / fan_out), fan_out = O/groups·KH·KW (He et al. 2015, torchvision's
                              choice) */
    INIT_UNIFORM_FAN_IN,   /* uniform ± 1/sqrt(fan_in) (PyTorch's default for Linear and for biases) */
    INIT_CONSTANT,         /* init_value everywhere */
    INIT_UNIFORM,          /* uniform ± init_value */
    INIT_TRUNCATED_NORMAL, /* normal, std = init_value, what lies beyond two of it drawn again */
};
static inline bool init_has_value(enum init_kind k)
{
    return k == INIT_CONSTANT || k == INIT_UNIFORM || k == INIT_TRUNCATED_NORMAL;
}
extern const char *const init_names[]; /* by enum init_kind, in the text; NULL-terminated */

enum space { SPACE_NONE, SPACE_ARENA, SPACE_STATE, SPACE_INPUT, SPACE_OUTPUT };

struct value {
    int id;           /* index in graph->values */
    const char *name; /* printed as %name; unique in the graph */
    enum value_kind kind;
    struct type type;
    struct node *def; /* VALUE_NODE: the node, and which of its results */
    int result;
    enum init_kind init; /* PARAM, BUFFER, OPTIM */
    int64_t init_fan;    /* the fan used by init */
    double init_value;   /* of the kinds that have one */
    const char *layer;   /* the spec's layer path or label whose output this is, or NULL */
    struct span span;
    /* filled by pass/memory/plan.c */
    enum space space;
    size_t offset;       /* bytes into the space; for INPUT and OUTPUT the index */
    struct value *alias; /* shares the storage of this value (views, in-place), or NULL */
};

enum attr_type { ATTR_INT, ATTR_FLOAT, ATTR_BOOL, ATTR_ENUM, ATTR_PAIR, ATTR_QUAD, ATTR_TEXT };

struct attr {
    enum attr_type type;
    union {
        int64_t i; /* INT; ENUM: index into the choices */
        double f;
        bool b;
        int64_t v[4]; /* PAIR [h, w]; QUAD [top, left, bottom, right] */
        const char *s;
    };
};

struct op_def;

/* A body is the fused epilogue of a node: a short list of pointwise operators. They are applied to the result of the
   anchor (the operator itself, such as a convolution) while it is still in registers. A `pointwise` node has a body and
   no anchor. A body_ref says where an argument comes from. */
enum body_source {
    BODY_ACC,     /* the accumulator: the anchor's result number `index` (in a prologue: the stored operand) */
    BODY_OPERAND, /* node->in[index], an operand that the anchor does not read */
    BODY_INSN,    /* the result of the body's instruction number `index`, an earlier one */
    BODY_SECOND   /* the second result of instruction number `index`, a sum; only a body's results refer to it */
};
struct body_ref {
    uint8_t source, index;
};
struct body_insn {
    const struct op_def *op;
    struct attr *attr; /* as in struct node */
    int narg;
    struct body_ref arg[MAX_BODY_ARGS];
    const char *layer; /* the layer that it implements, for reports and dropout keys */
};
/* After the pointwise operators a body may have per-channel sums of their results, over pixels and samples
   (ir/family.h, sums: channel_sum, bn_stats, bn_grad). No instruction reads a sum. The results of all sums, in order,
   are the last results of the body. */
struct body {
    int ninsn;
    struct body_insn insn[MAX_BODY];
    int nout; /* == node->nout, less a workspace */
    struct body_ref out[MAX_OUTS];
};

struct node {
    const struct op_def *op;
    struct attr *attr; /* op->nattr of them, in the table's order */
    int nin, nanchor;  /* with a body or a prologue: the anchor reads the first nanchor inputs, bodies the others */
    struct value **in; /* an optional input that is absent is NULL */
    int nout;
    struct value *out[MAX_OUTS];
    struct body *body;         /* NULL: none. With a body, out[] are the body's results */
    struct body *pre[MAX_PRE]; /* pre[k]: the prologue of operand k, or NULL. The anchor reads the prologue's only
                                  result in place of in[k]. In the prologue BODY_ACC 0 is in[k] as it is stored; its
                                  other operands are [C], [] or of in[k]'s shape. Padding is zero after it */
    const char *layer;         /* "layer1.0.conv1", or NULL */
    struct span span;
    bool prepare;              /* runs once, when weights are loaded; not in the step (BN folding, packing) */
    bool recompute;            /* recomputes for the backward pass what the forward pass did not keep
                                  (pass/memory/recompute.c) */
    struct node *prev, *next;  /* in the list that it is in */
    struct node *owner;        /* whose region it is in; NULL: the graph's own list */
    struct node *first, *last; /* its own region's nodes; NULL: it owns none (an operator that `owns` has one) */
    int index;                 /* position in the walk (GRAPH_EACH); graph_number sets it */
};

/* The operands of an operator that `owns` a region. The first three control the region; each may be absent (NULL). The
   others are the region's yields: yield i is the nested value that becomes result i of the node. Nested nodes read
   values of the enclosing lists directly. */
enum {
    REGION_CONDITION, /* i64[]: 0 skips the nested nodes */
    REGION_COUNT,     /* i64[]: how many samples the nested nodes compute; absent: as many as the region's own list */
    REGION_INDEX,     /* i64[N]: the first `count` of them say which samples, ascending; absent: the first ones */
    REGION_YIELD
};

struct graph_output {
    const char *label;
    struct value *value;
};
/* A state value (PARAM, BUFFER, OPTIM) that the step replaces in place. */
struct graph_update {
    struct value *state, *value;
};

enum graph_stage { STAGE_RAW, STAGE_LAYOUT, STAGE_PLANNED };

struct graph {
    struct arena *arena;
    const char *name;
    int64_t batch; /* N: the capacity; the run-time n is at most N */
    int lanes;     /* v, from STAGE_LAYOUT on */
    bool train;    /* has a backward pass */
    enum graph_stage stage;
    struct value **values; /* all, by id; dead ones stay with def == NULL and kind NODE */
    int nvalues, cap_values;
    struct node *first, *last; /* the outermost list */
    int nnodes;                /* of all lists */
    struct graph_output *outputs;
    int noutputs, cap_outputs;
    struct graph_update *updates;
    int nupdates, cap_updates;
    size_t saved_bytes; /* sum of the forward pass's values that the backward pass reads; counted by
                           pass/memory/recompute.c before it changes them */
    /* filled by pass/memory/plan.c */
    size_t arena_bytes, state_bytes, lower_bound_bytes;
};

struct graph *graph_new(struct arena *a, const char *name, int64_t batch);
/* An argument: INPUT, TARGET, PARAM, BUFFER, COUNTER or OPTIM. The name must be new. */
struct value *graph_arg(struct graph *g, enum value_kind kind, const char *name, struct type type);
struct value *graph_find(const struct graph *g, const char *name); /* by name, or NULL */

/* A node before BEFORE (NULL: at the end) with the operator's default attributes and NOUT results whose types are
   unset until op_infer (ir/op.h). Results are named after LAYER where that is free, else by number. */
struct node *graph_node(struct graph *g, struct node *before, const struct op_def *op, struct value *const *in, int nin,
                        int nout);
void graph_remove(struct graph *g, struct node *n); /* its results must have no users; its region goes with it */
void graph_move(struct graph *g, struct node *n, struct node *before); /* NULL: to the end of the outermost list */
/* To the end of OWNER's region. */
void graph_nest(struct graph *g, struct node *n, struct node *owner);
/* N, or the node whose region holds N at any depth, that is in the same list as SIBLING (NULL: in the outermost list).
   NULL: there is none. */
struct node *node_within(const struct node *n, const struct node *sibling);
/* A value name that is free: BASE, else BASE.1, BASE.2 … (BASE NULL: a number). */
const char *graph_fresh_name(struct graph *g, const char *base);
void value_rename(struct graph *g, struct value *v, const char *name);
/* BASE.SUFFIX, or the free name nearest to it. */
void value_name_after(struct graph *g, struct value *v, const char *base, const char *suffix);
/* A further result for the node (its type to be set by the caller). */
struct value *node_add_out(struct graph *g, struct node *n);
void node_set_in(struct graph *g, struct node *n, struct value *const *in, int nin);
void graph_output(struct graph *g, const char *label, struct value *v);
void graph_set_update(struct graph *g, struct value *state, struct value *v);
/* Every use of OLD (inputs, outputs, updates) becomes NEW. */
void graph_replace(struct graph *g, struct value *old, struct value *new_value);
/* Sets node->index to 0, 1, 2 …; call before comparing positions. */
void graph_number(struct graph *g);
/* How often each value (by id) is read by nodes, outputs and updates; in the arena. */
int *graph_use_counts(const struct graph *g, struct arena *a);
/* Removes nodes none of whose results is used, until none is left. Returns how many. */
int graph_remove_dead(struct graph *g);
struct graph *graph_clone(struct arena *a, const struct graph *g);
/* Replaces the content of G by that of OTHER, names included. Both have the same arena. Do not use OTHER afterwards. */
void graph_become(struct graph *g, const struct graph *other);
bool node_has_pre(const struct node *n);
/* The node's name in messages: its layer, else its first result. */
const char *node_label(const struct node *n);
/* How many inputs the anchor reads: nanchor if there is a body or a prologue, else all. */
int node_anchors(const struct node *n);
/* Does the body (or NULL) read the node's input number OPERAND? */
bool body_reads(const struct body *b, int operand);

/* The walk over every node of the graph. The nodes of a region come right before the node that owns it, so a value is
   defined before it is read. A pass that only reads nodes and values can ignore regions. A pass that hoists, sinks or
   fuses nodes stays inside one list (node->owner), or walks one list (LIST_EACH). */
struct node *graph_first(const struct graph *g);
struct node *graph_next(const struct node *n);
struct node *graph_last(const struct graph *g); /* the walk backwards: a region's owner, then its nodes */
struct node *graph_prev(const struct node *n);
#define GRAPH_EACH(g, n) for (struct node *n = graph_first(g); n; n = graph_next(n))
/* Safe when the body removes n. */
#define GRAPH_EACH_SAFE(g, n)                                                      \
    for (struct node *n = graph_first(g), *n##_next = n ? graph_next(n) : NULL; n; \
         n = n##_next, n##_next = n ? graph_next(n) : NULL)
/* One list, from its first node on, without what is nested in its nodes. */
#define LIST_EACH(first, n) for (struct node *n = (first); n; n = n->next)

/* Attributes by name; asking for one that the operator does not have is a bug (assertion). */
int64_t node_int(const struct node *n, const char *name); /* INT, ENUM, BOOL */
double node_float(const struct node *n, const char *name);
const int64_t *node_ints(const struct node *n, const char *name); /* PAIR, QUAD */
const char *node_text(const struct node *n, const char *name);
struct attr *node_attr(const struct node *n, const char *name);
const struct attr *body_attr(const struct body_insn *b, const char *name);

#endif
