/* winograd_wgrad.h: the gradient by the weights of a 3×3 convolution of stride 1, by F(m×m, 3×3) transposed.

   The forward convolution of one tile is Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A (runtime/rt/winograd.h). It is linear in g, so
   the gradient by g is its transpose applied to dY: dg = Gᵀ [Σ tiles (Bᵀ d B) ⊙ (A dY Aᵀ)] G. For each of the (m+2)²
   points the sum over tiles, for all pairs of channels, is a matrix product. */
#ifndef RNC_GEN_WINOGRAD_WINOGRAD_WGRAD_H
#define RNC_GEN_WINOGRAD_WINOGRAD_WGRAD_H

#include <llvm-c/Types.h>
#include "gen/conv/conv.h"

/* Fused: one step does all. Split: x, then dy is transformed into the workspace, then the products take both from
   there. */
enum winograd_wgrad_phase { WINOGRAD_WGRAD_FUSED, WINOGRAD_WGRAD_X, WINOGRAD_WGRAD_DY, WINOGRAD_WGRAD_PRODUCT };
enum { WINOGRAD_WGRAD_OPERANDS = 5 /* the first argument that is a prologue's operand */ };
_Static_assert(WINOGRAD_WGRAD_OPERANDS + MAX_BODY_OPERANDS + MAX_SEGMENTS - 1 <= LOWER_ARGS, "a step's arguments");

struct winograd_wgrad_params {
    struct conv_view x, dy;
    int64_t ih, iw, oh, ow, pad_top, pad_left;
    int64_t m, tiles_y, tiles_x, cut_y, cut_x;
    int64_t ic, oc; /* channels; 0 where there is no prologue */
    int64_t icb, ocb, ci, ov, ig, og, igroups, ogroups, block, partials, stored; /* kernel/winograd_wgrad.h */
    int64_t partial_floats;
    int64_t phase;                 /* enum winograd_wgrad_phase */
    struct conv_segments segments; /* of x */
    struct gen_body pre_x, pre_dy;
};

static inline int winograd_wgrad_operands(const struct winograd_wgrad_params *p)
{
    return p->pre_x.noperands > p->pre_dy.noperands ? p->pre_x.noperands : p->pre_dy.noperands;
}

/* A conv2d_wgrad whose attribute `algorithm` names a Winograd tile. */
void lower_winograd_wgrad(struct lower *lo, const struct node *n);

/* Arguments: x, dy, dw (or the partials), V and D where they are in the workspace, the prologues' operands, further
   segments of x. Tasks: (partial, group of output blocks, group of input blocks), the last varying fastest; of an
   operand's transform (channel block, block of tiles). */
void winograd_wgrad_emit(struct emit *e, const void *params);

/* One-dimensional transforms on vectors (winograd_wgrad_1d.c): A takes W's m values to m + 2, Gᵀ takes m + 2 values to
   three. The input and OUT must not overlap. */
struct rnc_winograd;
void winograd_gradient_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *d, LLVMValueRef *out);
void winograd_weight_back_1d(struct emit *e, const struct rnc_winograd *w, LLVMValueRef const *s, LLVMValueRef *out);

/* Floats of scratch. */
int64_t winograd_wgrad_scratch(const struct winograd_wgrad_params *p, int64_t v);

#endif
