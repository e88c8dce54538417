/* winograd.h: 3×3 convolutions by Winograd's F(m×m, 3×3), m = 2, 4, 5, 6 (runtime/rt/winograd.h): forward and dgrad of
   stride 1, and forward of stride 2 with m = 4. With stride 2, several points share one weight.

   A block of tiles has three phases:
   1. Input tiles are transformed to V [tile²][I/v][tiles][v].
   2. For each point and each group of ov output vectors, a matrix product gives M [tile²][vectors][tiles][v].
   3. M is transformed back and goes through the body to the output.

   Fused: one task runs the three phases for its block, with V and M in the worker's scratch; only the output goes to
   memory.

   Split: three steps for all tiles of the batch, with V and M in the node's workspace. A task of the second step is one
   point of one group of output vectors, whose weights stay in the first-level cache. Split is used if there are too few
   blocks for all threads, or if the weights are too large to be read for every block.

   In training, weights are packed, and the products are split into chunks of output blocks. A step before each chunk
   transforms its weights (kernel/winograd.h), which the products then find in the cache.

   Products do not use the memory bus, so they prefetch: the next point's weights, a slice for each group of tiles, and,
   if fused, the next block's input and the lines of the output. */
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

/* Lowers a conv2d or conv2d_dgrad that Winograd computes. */
void lower_winograd(struct lower *lo, const struct node *n);

/* Lowers the repack of packed weights (LAYOUT_WEIGHT) to transformed ones, for either direction, in a training step. */
void lower_winograd_weights(struct lower *lo, const struct node *n);

/* Adds the step of a convolution that transforms the packed weights of output blocks [FIRST, FIRST + COUNT) to TO.
   Blocks are counted in the weights' channels. */
void lower_winograd_chunk(struct lower *lo, const struct node *n, int64_t first, int64_t count, struct lower_arg to);

/* One-dimensional transforms on vectors: Bᵀ, Aᵀ and G. OUT and the argument must not overlap. */
struct rnc_winograd;
void winograd_input_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *d, LLVMValueRef *out);
/* Writes row POINT of Bᵀ d to OUT (d is ALL), and the next row too if both share work. Returns the number of rows.
   Elements of ALL that these rows do not read may be NULL. */
int winograd_input_rows(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *all, int point,
                        LLVMValueRef *out);
/* Does row R, or the row that shares its work, read sample I? */
bool winograd_input_reads(const struct rnc_winograd *w, int r, int i);
void winograd_output_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *m, LLVMValueRef *out);
void winograd_weight_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *g, LLVMValueRef *out);

/* Floats of scratch: V and M where fused, and a buffer for tiles at the edges. */
int64_t winograd_scratch(const struct winograd_params *p, int64_t v);

/* Arguments: input, weights, output, the body's operands, further outputs, the workspace (split: V, then M), further
   segments of the input. The split products': weights, V, M (from its chunk's first vector on). */
void winograd_emit(struct emit *e, const void *params);

#endif
