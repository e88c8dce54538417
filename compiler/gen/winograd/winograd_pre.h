/* winograd_pre.h: operands of Winograd's kernels behind a prologue (struct node .pre): a tile goes through it once,
   into a buffer, from which the transforms read. Outside the image the buffer is zero, whatever the prologue makes of
   zeros. */
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

/* For channel block BLOCK of an operand of CHANNELS channels; outside the loop over its tiles. */
void winograd_pre_begin(struct emit *e, struct winograd_pre *pre, const struct gen_body *body, const V *operand,
                        int64_t channels, V block);

/* Where a tile lies: its first pixel, which may be outside the image, and (elements) the channel block of its image. */
struct winograd_tile {
    V offset, y, x;
    int64_t h, w, size;
};
/* Are all of its pixels in the image? */
V winograd_tile_inside(struct emit *e, const struct winograd_tile *tile);

/* size² pixels of IN to TO [size][size][v]. */
void winograd_pre_tile(struct emit *e, const struct winograd_pre *pre, V in, const struct conv_view *view,
                       const struct winograd_tile *tile, V to);

#endif
