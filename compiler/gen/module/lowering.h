/* lowering.h: the state of phase one, shared by lower.c (which fills it) and module.c and tables.c (which compile and
   write it out). */
#ifndef RNC_GEN_MODULE_LOWERING_H
#define RNC_GEN_MODULE_LOWERING_H

#include <llvm-c/Core.h>
#include "gen/module/lower.h"
#include "ir/op.h"
#include "pass/pass.h"

struct lower_kernel {
    const char *symbol;
    emit_fn *fn;
    const void *params;
    size_t size;
    uint64_t hash;
};
struct lower_const {
    const void *data;
    size_t size;
};
struct lower_place {
    uint32_t space, index;
    uint64_t offset;
};
struct lower_step_row {
    int kernel; /* -1: a region, with the NESTED steps behind it */
    int nested;
    int64_t tasks;
    bool per_sample;
    const struct lower_place *places;
    int nargs, node;
};
struct lower_node {
    const struct node *node;
    const char *name, *op, *algorithm;
    enum op_phase phase;
    int64_t flops, executed, bytes;
};

typedef void lower_fn(struct lower *lo, const struct node *n);
struct lower {
    struct arena *arena;
    const struct graph *graph;
    const struct target *target;
    const char *ident; /* the graph's name as a C identifier */
    struct lower_kernel *kernels;
    int nkernels, cap_kernels;
    struct lower_const *consts;
    int nconsts, cap_consts;
    struct lower_step_row *steps;
    int nsteps, cap_steps;
    struct lower_node *nodes;
    int nnodes, cap_nodes;
    int *node_of; /* node->index -> position in nodes */
    size_t scratch_bytes;
    lower_fn *fn; /* of one node */
};

/* family.c: adds the steps of one node. */
lower_fn lower_by_family;
/* Lowers every node of the step, each by FN, which lower_by_family is: a family knows how steps are added, and what
   adds steps knows no family. graph_number must have run. */
void lower_graph_nodes(struct lower *lo, lower_fn *fn);

/* module.c: phase two, for whatever LO holds. The target must come from gen_target_init. NULL with diag_env when LLVM
   fails. */
struct gen_options;
struct program *lower_compile(const struct lower *lo, const struct gen_options *o, struct diags *d);

/* tables.c: the constant data of struct rnc_model (symbol MODEL) into MOD; kernels are external symbols. */
struct gen_contents;
void tables_emit(const struct lower *lo, LLVMContextRef cx, LLVMModuleRef mod, const char *model,
                 const struct gen_contents *contents);

#endif
