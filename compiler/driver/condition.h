/* condition.h: how well-conditioned a result is. Where the terms of a sum cancel, an error is to be measured by their
   size, not by what is left of them; the sum may be anywhere in a node: in the operator, in its body, in a [C] operand
   that every pixel subtracts. So the node's reference is run again with each number that it reads off by a rounding of
   single precision, up or down at random: what that moves the result by, over a rounding, is the size of its terms. It
   is the result's own size where nothing cancels. */
#ifndef RNC_DRIVER_CONDITION_H
#define RNC_DRIVER_CONDITION_H

#include "op/eval.h"

/* A rounding of single precision, relative. */
#define CONDITION_ROUNDING 0x1p-24

/* The size (a norm) of the terms of N's result OUT, on the operands that E holds; leaves E as it was. Several runs of
   the reference: for results that are not right by their own size. */
double condition_size(struct eval *e, const struct node *n, const struct value *out);
/* What an error may be of that size: roundings add up over the node's steps and, where it sums, along a chain. */
double condition_bound(const struct node *n, const struct value *out);

#endif
