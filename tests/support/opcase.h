/* opcase.h: one row of an operator's test table as a graph with data.

   "x=2,3,7,7 weight=5,3,3,3 stride=2,2": shapes of operands and values of attributes, by name. An operand that is not
   there is absent; a variadic operator's last operand may be given again; "u8:2,3" is a shape of bytes; nothing after
   "=" is a scalar. "range=-4,10" is where the numbers of all floating-point operands come from (-2 to 2 otherwise). */
#ifndef TESTS_SUPPORT_OPCASE_H
#define TESTS_SUPPORT_OPCASE_H

#include "op/eval.h"

struct opcase {
    struct arena *arena;
    const struct op_def *op;
    const char *text;
    struct graph *graph; /* one node, its results are outputs "y0", "y1" … */
    struct node *node;
    int64_t batch; /* 1 where nothing has a batch dimension */
    double low, high;
    bool bf16;         /* some values are stored as bf16, and the weights are bf16 numbers */
    const char *error; /* the row cannot be built: why */
};

/* Never NULL; see error. Memory is the arena's. */
struct opcase *opcase_new(struct arena *a, const struct op_def *op, const char *text);
/* The same case with images stored as bf16: x -> [copy] -> bf16 -> operator -> bf16 -> [copy] -> output. FROM_F32: but
   for the first operand, which is read from the caller's fp32 (by a convolution with few channels as a stem does);
   TO_F32: but for the results. False: there is nothing to store so, or as little as in another mode. */
enum opcase_mode { OPCASE_BF16, OPCASE_FROM_F32, OPCASE_TO_F32, OPCASE_MODES };
bool opcase_narrow(struct opcase *c, enum opcase_mode mode);
/* Numbers for every argument, the same at every call: floats, distinct within a tensor, away from 0 and 6. Those of the
   graph that the node's own inputs came from; labels and window positions are in range. */
void opcase_fill(const struct opcase *c, struct eval *e);
/* The next number of a sequence, in [0, 1). */
double random_next(uint64_t *state);
uint64_t random_seed(const char *text, const char *more);
/* COUNT distinct floats from LOW to HIGH in random order. */
void random_distinct(double *out, int64_t count, double low, double high, uint64_t *state);

#endif
