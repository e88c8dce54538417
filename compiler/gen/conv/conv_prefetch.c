/* conv_prefetch.c: what a convolution kernel prefetches: the next group's weights, pixels of later input blocks, the
   body's operands and the lines of the result. */
#include "base/checked.h"
#include "gen/conv/conv_emit.h"

/* ---- weights of the next group of output blocks

   Weights larger than the second-level cache are loaded once for each group of output blocks, by its first tile; during
   the other tiles the memory bus is idle. So each tile prefetches a slice of the next group's weights. Slices are
   contiguous, line by line: the hardware's prefetcher follows such an access pattern, and can have more lines in flight
   than a core's own prefetches. */

/* Tiles of one image. */
static int64_t image_tiles(const struct conv_params *p)
{
    return p->th > 1 ? div_up(p->rows, p->th) : p->rows * div_up(p->cols, p->tw);
}

/* Cache lines that a tile prefetches with each tap of each input block; 0: none. */
static int64_t slice_lines(const struct conv_params *p, int64_t v)
{
    if (!p->images || p->by_sample || p->weight_kw != v * v || p->weight_group != p->group_ocb * p->weight_block ||
        image_tiles(p) < 2)
        return 0;
    return div_up(p->ov * v * conv_weight_bytes(p) / (int64_t)sizeof(float), image_tiles(p));
}

/* Computes where the slice begins that this tile prefetches with input block IB and tap row K. */
void conv_aim_weights(struct conv_emitter *c, V ib, V k)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int64_t lines = slice_lines(p, e->v), each = lines * p->kw.count * e->v;
    if (!lines) return;
    V tile = p->th > 1 ? e_divi(e, c->row, p->th) : e_add(e, e_muli(e, c->row, div_up(p->cols, p->tw)), c->tile);
    int64_t all = p->ov * e->v * conv_weight_bytes(p) / (int64_t)sizeof(float);
    V wanted = LLVMBuildAnd(e->b, c->last_image, e_cmp(e, LLVMIntSLT, tile, e_int(e, div_up(all, lines))), "");
    V at = e_muli(e, e_add(e, e_muli(e, e_add(e, e_muli(e, tile, p->icb), ib), p->kh.count), k), each);
    V group = e_at_d(e, c->weight_dtype, c->weight, e_select(e, wanted, c->next_group, e_int(e, 0)));
    c->ahead = e_at(e, group, e_select(e, wanted, at, e_int(e, 0)));
}

void conv_prefetch_weights(struct conv_emitter *c, V tap)
{
    struct emit *e = c->e;
    int64_t lines = slice_lines(c->p, e->v);
    for (int64_t i = 0; i < lines; i++)
        e_prefetch(e, e_ati(e, e_at(e, c->ahead, e_muli(e, tap, lines * e->v)), i * e->v));
}

/* ---- pixels of later input blocks

   With one tap, each pixel of a block is read once for all output vectors of a tile: a few lines here, a few lines one
   plane further on. The hardware's prefetcher does not recognise that. So the products prefetch what they read
   PREFETCH_BLOCKS blocks later, about one line for each channel. This does not pay on targets of few registers, whose
   steps are short, nor with many groups of output blocks, which find the pixels in the cache. */

enum { FEW_GROUPS = 16 };

bool conv_prefetches_pixels(const struct conv_emitter *c)
{
    const struct conv_params *p = c->p;
    return c->e->target->registers >= 32 && p->ocb / p->ov <= FEW_GROUPS && p->kh.count == 1 && p->kw.count == 1 &&
           p->in.c == 1 && p->icb > 1 && p->segments.count <= 1 && !p->depthwise && !p->by_sample;
}

/* Sets c->coming for the tile at column X of the current row. */
void conv_aim_pixels(struct conv_emitter *c, const struct conv_run *r, V x)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    V right = e_addi(e, x, r->width), same_row = e_cmp(e, LLVMIntSLT, right, e_int(e, p->cols));
    V col[2] = {x, e_select(e, same_row, right, e_int(e, 0))},
      row[2] = {c->row, e_select(e, same_row, c->row, e_addi(e, c->row, c->th))};
    int64_t ahead = min_i64(p->icb, PREFETCH_BLOCKS), block[2] = {ahead, ahead - p->icb};
    for (int k = 0; k < 2; k++) {
        V at = e_addi(e, e_muli(e, col[k], p->is_w * p->in.w), p->kw.base * p->in.w + block[k] * p->in.cb);
        V in_row = e_addi(e, e_muli(e, row[k], p->is), p->kh.base);
        c->coming[k] = e_at_d(e, c->in_dtype, c->in, e_add(e, at, e_muli(e, in_row, p->in.h)));
    }
}

/* Prefetches the share of lines that goes with step STEP (V) of COUNT over the channels of the current block. */
void conv_prefetch_pixels(struct conv_emitter *c, V step, int64_t count, int64_t width)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    if (!conv_prefetches_pixels(c)) return;
    int64_t pixel = p->is_w * p->in.w * (int64_t)dtype_bytes(c->in_dtype), stride = max_i64(pixel, LINE),
            share = div_up(div_up(width * pixel, stride), count);
    V here = e_cmp(e, LLVMIntSLT, c->ib, e_int(e, p->icb - min_i64(p->icb, PREFETCH_BLOCKS)));
    V at = e_at_d(e, c->in_dtype, e_select(e, here, c->coming[0], c->coming[1]), e_muli(e, c->ib, p->in.cb));
    for (int64_t r = 0; r < c->th; r++) {
        V row = e_at_d(e, c->in_dtype, at, e_int(e, r * p->is * p->in.h));
        for (int64_t i = 0; i < share; i++)
            e_prefetch(e, e_at_bytes(e, row, e_addi(e, e_muli(e, step, share * stride), i * stride)));
    }
}

/* Are weights also prefetched where they are read? On targets of few registers, whose steps are short, that is slower;
   they prefetch slices only. */
bool conv_prefetches_weights(const struct conv_emitter *c)
{
    return c->p->images && (c->e->target->registers >= 32 || !slice_lines(c->p, c->e->v));
}

/* Prefetches the body's operands and the lines of the result: a share of the tile's lines with each input block, so
   that they arrive during the products. Prefetching all lines at the end of the tile would wait, because a core has few
   lines in flight. */
void conv_prefetch_body(struct conv_emitter *c, const struct conv_run *r, V x, V ib)
{
    struct emit *e = c->e;
    const struct conv_params *p = c->p;
    int full = 0;
    for (int k = 0; k < p->body.noperands; k++) full += p->body.operand[k].shape == OPERAND_FULL;
    if (!full || p->by_sample || p->icb < 2) return;
    int64_t pixels = c->th * r->width, share = div_up(pixels, p->icb);
    V row = e_muli(e, e_addi(e, e_muli(e, c->row, p->os_h), p->y0), p->out.h);
    V at = e_add(e, row, e_muli(e, e_addi(e, e_muli(e, e_add(e, x, e_muli(e, ib, share)), p->os_w), p->x0), p->out.w));
    for (int64_t o = 0; o < p->ov; o++)
        for (int64_t i = 0; i < share; i++) {
            V pixel = e_addi(e, at, o * p->out.cb + i * p->os_w * p->out.w);
            for (int k = 0; k < p->body.noperands; k++)
                if (p->body.operand[k].shape == OPERAND_FULL)
                    e_prefetch(e, e_at_d(e, conv_operand_dtype(p, k), c->operand[k], pixel));
            for (int k = 0; k < p->body.nout; k++)
                e_prefetch_write(e, e_at_d(e, conv_result_dtype(p, k), c->result[k], pixel));
        }
}
