/* lower.h: planned nodes become steps and kernels. Phase one (serial) walks the graph: each family's lower_* decides
   blocking and partition, and adds steps that name kernels by (emit function, parameter block). Equal pairs are one
   kernel. Phase two (parallel) emits and compiles the kernels. */
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

/* The kernel that FN emits for PARAMS: SIZE bytes without pointers, zero-filled before being set (they are compared by
   memcmp). */
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

/* A step of the node being lowered. per_sample: tasks is for one sample and the kernel sees n * tasks of them. */
void lower_step(struct lower *lo, int kernel, int64_t tasks, bool per_sample, const struct lower_arg *args, int nargs);
void lower_scratch(struct lower *lo, size_t bytes); /* this node's kernels need so much per worker */
void lower_algorithm(struct lower *lo, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lower_executed(struct lower *lo, int64_t flops); /* of one step, for the whole batch; a node's steps add up */
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
/* How an operand of a body lies: addressed at the same element as the anchor's result, by channel, or as one number. An
   optional operand that is absent reads as zero. */
enum operand_shape { OPERAND_FULL, OPERAND_CHANNEL, OPERAND_SCALAR, OPERAND_ABSENT };
struct gen_operand {
    uint8_t shape;
    uint8_t dtype;
};
/* The most arguments of a step whose number the node decides: two of the kernel's own, results, the body's operands,
   segments of the input but the first, the workspace, a sum's partials. */
enum { LOWER_ARGS = 2 + MAX_OUTS + MAX_BODY_OPERANDS + (MAX_SEGMENTS - 1) + 2 };
/* A per-channel sum at the end of a body. */
struct gen_sum {
    enum sum_kind kind;
    struct body_ref value, x, mean; /* the last two: GRAD, Σ value·(x − mean) */
};
/* A body without pointers, for parameter blocks. Operand k is the node's input nanchor + k. nout: results that are no
   sums. */
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
/* The body of N (or, for a bare pointwise operator, of that one operator with its inputs as operands); ninsn 0 and
   out[0] = ACC 0 when there is none. */
void gen_body_init(struct gen_body *gb, const struct node *n);
/* The prologue of operand K: one result, ACC 0 the operand. All zero, nout too, where there is none. Operands are
   numbered as those of the body; what only the other one reads is OPERAND_ABSENT. */
void gen_body_init_pre(struct gen_body *gb, const struct node *n, int k);

#endif
