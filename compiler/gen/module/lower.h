/* lower.h: lowers planned nodes to steps and kernels. Phase one is serial: each family's lower_* chooses blocking and
   partition, and adds steps. A step names its kernel by an emit function and a parameter block; equal pairs share one
   kernel. Phase two emits and compiles the kernels in parallel. */
#ifndef RNC_GEN_MODULE_LOWER_H
#define RNC_GEN_MODULE_LOWER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/target.h"
#include "ir/graph.h"
#include "ir/op.h"
#include "ir/segments.h"
#include "kernel/sums.h"
#include "runtime/rt/abi.h"

struct emit;
struct lower;
typedef void emit_fn(struct emit *e, const void *params);

/* The number of the kernel that FN emits for PARAMS. PARAMS: SIZE bytes without pointers, zeroed before they are set,
   because blocks are compared by memcmp. */
int lower_kernel(struct lower *lo, const char *name, emit_fn *fn, const void *params, size_t size);

struct lower_arg {
    const struct value *value;
    size_t offset;
    const void *data;
    size_t size;
};
struct lower_arg arg_value(const struct value *v); /* its storage */
struct lower_arg arg_offset(const struct value *v, size_t bytes);
struct lower_arg arg_data(struct lower *lo, const void *data,
                          size_t size); /* constant table, copied; 64-byte aligned */
struct lower_arg arg_none(void);        /* NULL */

/* Adds a step of the current node. With per_sample, TASKS is the number for one sample; a run of n samples has n ·
   TASKS. */
void lower_step(struct lower *lo, int kernel, int64_t tasks, bool per_sample, const struct lower_arg *args, int nargs);
void lower_scratch(struct lower *lo, size_t bytes); /* scratch that this node's kernels need for each worker */
void lower_algorithm(struct lower *lo, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds the executed FLOPs of one step, for the whole batch, to the node's. */
void lower_executed(struct lower *lo, int64_t flops);
const struct target *lower_target(const struct lower *lo);
const struct graph *lower_graph(const struct lower *lo);

/* One for each kernel family. */
void lower_pointwise(struct lower *lo, const struct node *n);
void lower_conv(struct lower *lo, const struct node *n);
void lower_wgrad(struct lower *lo, const struct node *n);
void lower_reduce(struct lower *lo, const struct node *n);
void lower_pool(struct lower *lo, const struct node *n);
void lower_softmax(struct lower *lo, const struct node *n);
void lower_copy(struct lower *lo, const struct node *n);

/* ---- bodies: pointwise operators on values in registers (gen/emit/expr.c) */
/* How a body reads an operand: at the element of the anchor's result, by channel, or as one number. An absent optional
   operand reads as zero. */
enum operand_shape { OPERAND_FULL, OPERAND_CHANNEL, OPERAND_SCALAR, OPERAND_ABSENT };
struct gen_operand {
    uint8_t shape;
    uint8_t dtype;
};
/* The largest number of arguments of a step: two of the kernel's own, results, the body's operands, further segments of
   the input, the workspace, the partials of sums. */
enum { LOWER_ARGS = 2 + MAX_OUTS + MAX_BODY_OPERANDS + (MAX_SEGMENTS - 1) + 2 };
/* A per-channel sum at the end of a body. */
struct gen_sum {
    enum sum_kind kind;
    struct body_ref value, x, mean; /* the last two: GRAD, Σ value·(x − mean) */
};
/* A body without pointers, for parameter blocks. Operand k is the node's input nanchor + k. nout counts results that
   are no sums. */
struct gen_body {
    int32_t ninsn, nout, noperands, nacc, nsums;
    struct gen_sum sum[MAX_SUMS];
    struct {
        int16_t op; /* index in op_all() */
        uint8_t narg;
        struct body_ref arg[MAX_BODY_ARGS];
        double attr[8];
    } insn[MAX_BODY];
    struct body_ref out[MAX_OUTS]; /* BODY_OPERAND indices count from 0 = the first body operand */
    struct gen_operand operand[MAX_BODY_OPERANDS];
    uint8_t dtype[MAX_OUTS]; /* of the results, as they are stored */
};
/* The body of N. For a bare pointwise operator: that operator, with its inputs as operands. Without a body: ninsn is 0
   and out[0] is ACC 0. */
void gen_body_init(struct gen_body *gb, const struct node *n);
/* The prologue of operand K: one result; ACC 0 is the operand. All fields are zero if there is none. Operands have the
   numbers that they have in the body; those that the prologue does not read are OPERAND_ABSENT. */
void gen_body_init_pre(struct gen_body *gb, const struct node *n, int k);

#endif
