/* parts.h: the image that a convolution or its weight gradient reads may lie in several values, each with some of its
   channel blocks (ir/parts.h). Kernels that read blocks of channels find each in its part; nothing is copied. */
#ifndef RNC_GEN_CONV_PARTS_H
#define RNC_GEN_CONV_PARTS_H

#include <llvm-c/Types.h>
#include "gen/conv/conv.h"

struct emit;

/* The parts of N's x into P. */
void parts_init(struct conv_parts *p, const struct node *n);

/* Adds all parts but the first to a kernel's arguments, of which there are COUNT; returns how many there are then. */
int parts_args(const struct node *n, struct lower_arg *args, int count);

/* The parts' pointers into BASE: the argument FIRST, and those from FURTHER on. */
void parts_load(struct emit *e, const struct conv_parts *p, int first, int further, LLVMValueRef *base);

/* Channel block IB of the first sample, and the elements from there to the next sample's. */
struct parts_plane {
    LLVMValueRef at, n;
};
struct parts_plane parts_plane(struct emit *e, const struct conv_parts *p, const struct conv_view *view,
                               const LLVMValueRef *base, LLVMValueRef ib);

#endif
