/* winograd_pre.h: operands of Winograd's kernels that have a prologue (struct node .pre). The prologue is applied to a
   tile once, into a buffer that the transforms read. Outside the image the buffer is zero. */
#ifndef RNC_GEN_WINOGRAD_WINOGRAD_PRE_H
#define RNC_GEN_WINOGRAD_WINOGRAD_PRE_H

#include "gen/conv/conv.h"
#include "gen/emit/expr.h"

struct winograd_pre {
    const V *operand; /* pointers, as the node has them */
    struct body_state state;
    V lanes;
};

static inline bool winograd_has_pre(const struct gen_body *pre) { return pre->nout > 0; }

/* Prepares the prologue for channel block BLOCK of an operand of CHANNELS channels. Call it outside the loop over
   tiles. */
void winograd_pre_begin(struct emit *e, struct winograd_pre *pre, const struct gen_body *body, const V *operand,
                        int64_t channels, V block);

/* The position of a tile: the pixel of its first corner, which may be outside the image, and the offset of its image's
   channel block, in elements. */
struct winograd_tile {
    V offset, y, x;
    int64_t h, w, size;
};
/* Are all pixels of the tile inside the image? */
V winograd_tile_inside(struct emit *e, const struct winograd_tile *tile);

/* Writes size² pixels of IN, behind the prologue, to TO [size][size][v]. */
void winograd_pre_tile(struct emit *e, const struct winograd_pre *pre, V in, const struct conv_view *view,
                       const struct winograd_tile *tile, V to);

#endif
