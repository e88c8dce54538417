/* segments.h: the image that a convolution or its weight gradient reads may lie in several values, each with some of
   its channel blocks (ir/segments.h). A kernel that reads a block of channels chooses the segment that holds it. */
#ifndef RNC_GEN_CONV_SEGMENTS_H
#define RNC_GEN_CONV_SEGMENTS_H

#include <llvm-c/Types.h>
#include "gen/conv/conv.h"

struct emit;

/* Writes the segments of N's x to P. */
void segments_init(struct conv_segments *p, const struct node *n);

/* Appends all segments but the first to the COUNT arguments of a kernel. Returns the new number of arguments. */
int segments_args(const struct node *n, struct lower_arg *args, int count);

/* Writes the pointers of the segments to BASE: argument FIRST, then the arguments from FURTHER on. */
void segments_load(struct emit *e, const struct conv_segments *p, int first, int further, LLVMValueRef *base);

/* Channel block IB of the first sample, and the elements from there to the next sample's. */
struct segments_plane {
    LLVMValueRef at, n;
};
struct segments_plane segments_plane(struct emit *e, const struct conv_segments *p, const struct conv_view *view,
                                     const LLVMValueRef *base, LLVMValueRef ib);

#endif
