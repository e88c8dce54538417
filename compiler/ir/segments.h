/* segments.h: an image whose channels lie in several values, its segments, one after the other. A convolution reads
   them in place instead of the result of a concat (pass/optimise/concat.c). Segment 0 is the operand x; the others are
   operands of the kind OPERAND_SEGMENT. */
#ifndef RNC_IR_SEGMENTS_H
#define RNC_IR_SEGMENTS_H

#include <assert.h>
#include "ir/op.h"

enum { MAX_SEGMENTS = 4 };

/* Writes the segments of N's x to SEGMENT, of MAX_SEGMENTS elements or NULL. Returns how many there are: 1 or more. */
static inline int segments_of(const struct node *n, const struct value **segment)
{
    int count = 1, anchors = node_anchors(n);
    if (segment) segment[0] = n->in[0];
    for (int i = 1; i < anchors && i < n->op->noperands; i++) {
        if (n->op->operands[i].kind != OPERAND_SEGMENT || !n->in[i]) continue;
        assert(count < MAX_SEGMENTS);
        if (segment) segment[count] = n->in[i];
        count++;
    }
    return count;
}

/* The index of the operand that holds segment 1, or -1 if the operator takes x as one value only. */
static inline int segments_index(const struct op_def *op)
{
    for (int i = 0; i < op->noperands; i++)
        if (op->operands[i].kind == OPERAND_SEGMENT) return i;
    return -1;
}

/* The type of N's x as if its segments were one value. */
static inline struct type segments_type(const struct node *n)
{
    const struct value *segment[MAX_SEGMENTS];
    struct type t = n->in[0]->type;
    for (int i = 1, count = segments_of(n, segment); i < count; i++) t.dim[1] += segment[i]->type.dim[1];
    return t;
}

#endif
