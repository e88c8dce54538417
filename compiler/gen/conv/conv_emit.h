/* conv_emit.h: the state that the code generators of one convolution kernel share (conv_emit.c, conv_prefetch.c). */
#ifndef RNC_GEN_CONV_CONV_EMIT_H
#define RNC_GEN_CONV_CONV_EMIT_H

#include "gen/conv/conv.h"
#include "gen/emit/expr.h"
#include "gen/reduce/sums.h"

enum {
    MAX_OV = 8,
    MAX_ACC = 32,
    MAX_TH = 2,
    PREFETCH_BLOCKS = 4, /* input blocks: the distance at which pixels are prefetched */
    LINE = 64            /* bytes of a cache line */
};

struct conv_emitter {
    struct emit *e;
    const struct conv_params *p;
    V in, weight, out;            /* of the task: image, group's first input block; weights of the first output block */
    V segment[MAX_SEGMENTS];      /* the segments of the image, if it is read in place of a concat's result */
    V operand[MAX_BODY_OPERANDS]; /* body operands' pointers; FULL: of the image */
    V result[MAX_OUTS];           /* outputs' pointers */
    V ob;                         /* first output block of the task */
    V lanes[MAX_OV];              /* mask of real channels for each output vector, or NULL */
    struct body_state state[MAX_OV];
    struct sums sums;
    int64_t unroll;
    enum dtype in_dtype, read_dtype, weight_dtype; /* of the input, of what the products read of it, of the weights */
    bool by_twos;                                  /* pixels are converted to f32 two at a time: see widened_twos */
    int64_t th;                                    /* rows of the current tile */
    V row, tile;                                   /* its first output row; tile in it */
    V last_image;                                  /* i1: no other image follows for these weights */
    V next_group; /* elements from this group's weights to those of the group that follows */
    V ahead;      /* the slice of weights to prefetch with the current tap row */
    V ib;         /* the current input block */
    V total;      /* sums of the finished chains if there are several (kernel/chain.h); else NULL */
    V coming[2];  /* the address of the pixels PREFETCH_BLOCKS blocks later, without the offset of ib blocks: of this
                     tile, of the next one */
};

static inline enum dtype conv_operand_dtype(const struct conv_params *p, int k)
{
    return (enum dtype)p->body.operand[k].dtype;
}
static inline enum dtype conv_result_dtype(const struct conv_params *p, int k) { return (enum dtype)p->body.dtype[k]; }

/* ---- prefetches (conv_prefetch.c) */

/* Computes where the slice of weights begins that this tile prefetches with input block IB and tap row K. */
void conv_aim_weights(struct conv_emitter *c, V ib, V k);
/* Prefetches the share of that slice which goes with TAP of the row. */
void conv_prefetch_weights(struct conv_emitter *c, V tap);
/* Are weights also prefetched where they are read? */
bool conv_prefetches_weights(const struct conv_emitter *c);
/* Are pixels prefetched? */
bool conv_prefetches_pixels(const struct conv_emitter *c);
/* Sets c->coming for the tile at column X of the current row. */
void conv_aim_pixels(struct conv_emitter *c, const struct conv_run *r, V x);
/* Prefetches the share of pixels that goes with step STEP of COUNT over the channels of the current block. */
void conv_prefetch_pixels(struct conv_emitter *c, V step, int64_t count, int64_t width);
/* Prefetches the share of the body's operands and of the result's lines that goes with input block IB of tile X. */
void conv_prefetch_body(struct conv_emitter *c, const struct conv_run *r, V x, V ib);

#endif
