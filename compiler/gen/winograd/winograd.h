/* winograd.h: 3×3 convolutions of stride 1 by F(m×m, 3×3), m = 2, 4, 5, 6 (runtime/rt/winograd.h), forward and dgrad;
   forward ones of stride 2, m = 4, alike: their points are more than their weights, which several points share.

   A block of tiles goes through three phases: input tiles are transformed into V [tile²][I/v][tiles][v]; for each point
   and each group of ov output vectors a matrix product gives M [tile²][vectors][tiles][v], tiles in registers; M is
   transformed back, through the body, into the output. Fused: one task does all three for its block, with V and M in
   this worker's scratch, so that nothing but the output goes to memory. Split: three steps for all tiles of the batch,
   with V and M in the node's workspace; a task of the second is one point of one group of output vectors, whose
   weights stay in the first-level cache. For layers with too few blocks to go round, and for weights too large to be
   read again for every block. Where the weights come packed, as in training, the second step is one for each chunk of
   output blocks, behind another that transforms their weights (kernel/winograd.h): written and read once, they would
   otherwise go to memory and back.

   Memory is idle while products run, so they prefetch what comes next: the next point's weights, a slice for
   each group of tiles; fused, also the next block's input and the lines that the output is about to be written to. */
#ifndef RNC_GEN_WINOGRAD_WINOGRAD_H
#define RNC_GEN_WINOGRAD_WINOGRAD_H

#include <llvm-c/Types.h>
#include "gen/conv/conv.h"

enum winograd_phase { WINOGRAD_FUSED, WINOGRAD_INPUT, WINOGRAD_PRODUCT, WINOGRAD_OUTPUT };

struct winograd_params {
    struct conv_view in, out;
    int64_t ih, iw, oh, ow, pad_top, pad_left;
    int64_t m, stride, tile; /* output tile; of the convolution; samples and points of a tile, a side */
    int64_t icb, ocb, ic, oc;
    int64_t tiles_y, tiles_x; /* of an image */
    int64_t block, row;       /* tiles of a block; of a vector in V and M */
    int64_t cut_y, cut_x;     /* kernel/winograd.h */
    int64_t task;             /* INPUT, OUTPUT: tiles of a task */
    int64_t ov, tw,
        wide; /* register blocking of the products: output vectors × tiles; groups of tw, then groups of tw − 1 */
    int64_t point_v, point_m;      /* floats of V and M for one point */
    int64_t phase;                 /* enum winograd_phase */
    struct conv_segments segments; /* of the input */
    struct gen_body body, pre;     /* pre: of the input; its operands are numbered as the body's */
};

/* A conv2d or conv2d_dgrad whose weights lie transformed. */
void lower_winograd(struct lower *lo, const struct node *n);

/* The repack of packed weights (LAYOUT_WEIGHT) into transformed ones, for either direction, in a training step. */
void lower_winograd_weights(struct lower *lo, const struct node *n);

/* The step of a convolution that transforms the packed weights of its output blocks [FIRST, FIRST + COUNT), counted in
   the weights' channels, to TO. */
void lower_winograd_chunk(struct lower *lo, const struct node *n, int64_t first, int64_t count, struct lower_arg to);

/* One-dimensional transforms on vectors: Bᵀ, Aᵀ and G. OUT and the argument must not overlap. */
struct rnc_winograd;
void winograd_input_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *d, LLVMValueRef *out);
/* Row POINT of Bᵀ d, d = ALL, and the next row if the two share work, to OUT; returns how many rows that is. Elements
   of ALL that these rows do not read may be NULL. */
int winograd_input_rows(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *all, int point,
                        LLVMValueRef *out);
/* Has row R (and the next with it) a use for sample I? */
bool winograd_input_reads(const struct rnc_winograd *w, int r, int i);
void winograd_output_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *m, LLVMValueRef *out);
void winograd_weight_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *g, LLVMValueRef *out);

/* Floats of scratch: V and M where fused, and a buffer for tiles at the edges. */
int64_t winograd_scratch(const struct winograd_params *p, int64_t v);

/* Arguments: input, weights, output, the body's operands, further outputs, the workspace (split: V, then M), further
   segments of the input. The split products': weights, V, M (from its chunk's first vector on). */
void winograd_emit(struct emit *e, const void *params);

#endif
