/* pass.h: the passes over the IR and their driver. One pass, one file. A pass reads the graph and what is in struct
   pass_context, nothing else. */
#ifndef RNC_PASS_PASS_H
#define RNC_PASS_PASS_H

#include "base/buf.h"
#include "base/diag.h"
#include "base/strmap.h"
#include "base/target.h"
#include "ir/graph.h"
#include "runtime/recipe/optimizer.h"

/* How much memory, arena and state, a training step may take. AUTO: what is cheap to recompute is not kept; KEEP:
   everything is. */
#define MEMORY_AUTO 0
#define MEMORY_KEEP SIZE_MAX

/* What autodiff appends. */
struct train_options {
    bool grad_outputs;           /* each parameter's gradient becomes an output "grad.<parameter>" */
    bool input_grads;            /* and each input's, "grad.<input>" */
    struct rnc_choice optimizer; /* of rnc_optimizers; row NULL: nothing is updated */
};

enum { WINOGRAD_AUTO = 0, WINOGRAD_OFF = 1 };

struct pass_context;
/* What it costs to compute a node by one of its algorithms, for the pass `algorithm`: the analytic model, unless
   another source (the tuner, measure/tuner.h) is given here. */
struct algorithm_cost {
    /* In any unit that is the same for all algorithms of a node; less than 0: not known, and then the model decides
       that node. */
    double (*cost)(void *ctx, const struct graph *g, const struct node *n, int algorithm);
    /* Called before the first cost of a graph is asked for; or NULL. */
    void (*begin)(void *ctx, const struct graph *g, const struct pass_context *c);
    void *ctx;
};
struct pass_context {
    struct arena *arena;
    struct diags *diags;
    size_t memory_budget; /* bytes, MEMORY_AUTO or MEMORY_KEEP */
    struct target target;
    enum dtype dtype; /* how images and their gradients are stored: a type of floating point */
    struct train_options train;
    int winograd;    /* output tile of Winograd convolutions: WINOGRAD_AUTO, WINOGRAD_OFF, or 2, 4, 5, 6 wherever one is
                        legal */
    double accuracy; /* the error budget of a layer's algorithm: rms, relative to double; 0: ACCURACY_DEFAULT.
                        --winograd f… overrides it */
    struct algorithm_cost cost; /* cost NULL: the model's */
    const struct strmap
        *replay; /* algorithm_key -> name of the algorithm to take where it is legal, whatever the rest says; or NULL */
    bool verify; /* run the verifier after every pass */
    struct buf *report; /* one line a pass: "fuse: 53 convolutions took 106 operators"; NULL: none */
    uint64_t steps;     /* grows by what the searches of recompute and schedule have looked at: nodes, ready nodes */
};

struct pass {
    const char *name, *help;
    /* Writes what it did into SUMMARY (at most 120 characters). False: diagnostics were given. */
    bool (*run)(struct graph *g, struct pass_context *c, struct buf *summary);
};

const struct pass *const *pass_all(void); /* NULL-terminated */
const struct pass *pass_find(const char *name);
/* Runs passes "a,b,c" in order. False after diagnostics (unknown pass: with a suggestion). A verifier failure aborts
   with the graph's text. */
bool pass_run(struct graph *g, struct pass_context *c, const char *passes);

/* The standard pipelines, ready for gen. */
extern const char
    pass_pipeline_infer[]; /* simplify,concat,fold,fuse,precision,algorithm,layout,workspace,schedule,plan */
extern const char pass_pipeline_train
    []; /* concat,autodiff,simplify,fuse,precision,algorithm,layout,workspace,recompute,prologue,sums,schedule,plan
         */

/* Storage of a value in the plan: follows alias chains. */
const struct value *value_storage(const struct value *v);
/* First and last position (node->index) at which V's storage must hold, over all its aliases; -1 before the first node,
   nnodes after the last. */
struct interval {
    int first, last;
};
/* What keeping costs, and what recomputing does. STEP includes RECOMPUTE. */
struct recompute_account {
    size_t
        saved_bytes; /* the plain sum of what the backward pass reads of the forward pass, as if all of it were kept */
    int nodes;       /* recomputed */
    int64_t recompute_macs, step_macs;
};
struct recompute_account recompute_account(const struct graph *g);
/* `rnc plan`: the arena as a picture: time across, bytes up. The pixels are drawn as SVG text. */
void plan_svg(const struct graph *g, struct buf *out);

#endif
