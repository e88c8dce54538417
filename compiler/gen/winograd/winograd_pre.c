#include "gen/winograd/winograd_pre.h"

#include "runtime/rt/winograd.h"

void winograd_pre_begin(struct emit *e, struct winograd_pre *pre, const struct gen_body *body, const V *operand,
                        int64_t channels, V block)
{
    pre->operand = operand;
    body_begin_block(e, &pre->state, body, operand, channels, block, &pre->lanes);
}

/* The pixel at element AT of the operands and FURTHER, of which the lanes INSIDE (NULL: all) are not to be zero. */
static void pixel(struct emit *e, const struct winograd_pre *pre, V in, enum dtype dt, V at, int64_t further, V inside,
                  V to)
{
    V lanes = pre->lanes;
    if (inside) lanes = lanes ? LLVMBuildAnd(e->b, lanes, inside, "") : inside;
    e_store_va(e, body_apply_pre(e, &pre->state, pre->operand, in, dt, at, further, lanes), to);
}

static void whole_tile(struct emit *e, const struct winograd_pre *pre, V in, const struct conv_view *view,
                       const struct winograd_tile *t, V to)
{
    struct loop rows;
    V corner = e_add(e, t->offset, e_add(e, e_muli(e, t->y, view->h), e_muli(e, t->x, view->w)));
    loop_begin_once(e, &rows, e_int(e, 0), e_int(e, t->size), 1, 0, NULL);
    V at = e_add(e, corner, e_muli(e, rows.iv, view->h)), row = e_at(e, to, e_muli(e, rows.iv, t->size * e->v));
    for (int64_t j = 0; j < t->size; j++)
        pixel(e, pre, in, conv_view_dtype(view), at, j * view->w, NULL, e_ati(e, row, j * e->v));
    loop_end(e, &rows, NULL);
}

/* AT, or the nearest place that is inside; *BITS: a bit for each lane, all set if it is AT. */
static V nearest(struct emit *e, V at, int64_t size, V *bits)
{
    LLVMTypeRef lanes = LLVMIntTypeInContext(e->cx, (unsigned)e->v);
    *bits = LLVMBuildSExt(e->b, e_cmp(e, LLVMIntULT, at, e_int(e, size)), lanes, "");
    return e_max(e, e_min(e, at, e_int(e, size - 1)), e_int(e, 0));
}

/* A tile that reaches over an edge reads the nearest pixels there, and stores zeros. */
static void part_of_tile(struct emit *e, const struct winograd_pre *pre, V in, const struct conv_view *view,
                         const struct winograd_tile *t, V to)
{
    V col[RNC_WINOGRAD_MAX], col_bits[RNC_WINOGRAD_MAX], row_bits;
    struct loop rows;
    for (int64_t j = 0; j < t->size; j++)
        col[j] = e_muli(e, nearest(e, e_addi(e, t->x, j), t->w, &col_bits[j]), view->w);
    loop_begin_once(e, &rows, e_int(e, 0), e_int(e, t->size), 1, 0, NULL);
    V y = nearest(e, e_add(e, t->y, rows.iv), t->h, &row_bits), at = e_add(e, t->offset, e_muli(e, y, view->h));
    V row = e_at(e, to, e_muli(e, rows.iv, t->size * e->v));
    for (int64_t j = 0; j < t->size; j++) {
        V inside = LLVMBuildBitCast(e->b, LLVMBuildAnd(e->b, row_bits, col_bits[j], ""), e->vi1, "");
        pixel(e, pre, in, conv_view_dtype(view), e_add(e, at, col[j]), 0, inside, e_ati(e, row, j * e->v));
    }
    loop_end(e, &rows, NULL);
}

V winograd_tile_inside(struct emit *e, const struct winograd_tile *t)
{
    V inside = e_cmp(e, LLVMIntSGE, t->y, e_int(e, 0));
    inside = LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSGE, t->x, e_int(e, 0)), "");
    inside = LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSLE, t->y, e_int(e, t->h - t->size)), "");
    return LLVMBuildAnd(e->b, inside, e_cmp(e, LLVMIntSLE, t->x, e_int(e, t->w - t->size)), "");
}

void winograd_pre_tile(struct emit *e, const struct winograd_pre *pre, V in, const struct conv_view *view,
                       const struct winograd_tile *t, V to)
{
    struct branch f;
    if_begin(e, &f, winograd_tile_inside(e, t));
    whole_tile(e, pre, in, view, t, to);
    if_else(e, &f);
    part_of_tile(e, pre, in, view, t, to);
    if_end(e, &f);
}
