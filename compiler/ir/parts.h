/* parts.h: images whose channels lie in several values, one after the other: what a convolution reads instead of a
   concat's result (pass/optimise/concat.c). Further parts are operands of the kind OPERAND_PART; part 0 is the operand
   x. */
#ifndef RNC_IR_PARTS_H
#define RNC_IR_PARTS_H

#include <assert.h>
#include "ir/op.h"

enum { MAX_PARTS = 4 };

/* The values of N's x into PART, where that is not NULL; returns how many. */
static inline int parts_of(const struct node *n, const struct value **part)
{
    int count = 1, anchors = node_anchors(n);
    if (part) part[0] = n->in[0];
    for (int i = 1; i < anchors && i < n->op->noperands; i++) {
        if (n->op->operands[i].kind != OPERAND_PART || !n->in[i]) continue;
        assert(count < MAX_PARTS);
        if (part) part[count] = n->in[i];
        count++;
    }
    return count;
}

/* Where N's operator takes part 1, or -1 where its x is one value. */
static inline int parts_index(const struct op_def *op)
{
    for (int i = 0; i < op->noperands; i++)
        if (op->operands[i].kind == OPERAND_PART) return i;
    return -1;
}

/* The type of N's x as one value. */
static inline struct type parts_type(const struct node *n)
{
    const struct value *part[MAX_PARTS];
    struct type t = n->in[0]->type;
    for (int i = 1, count = parts_of(n, part); i < count; i++) t.dim[1] += part[i]->type.dim[1];
    return t;
}

#endif
