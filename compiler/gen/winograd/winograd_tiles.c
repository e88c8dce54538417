#include "gen/winograd/winograd_tiles.h"

#include "base/checked.h"
#include "kernel/winograd.h"

struct winograd_tiles winograd_tiles_begin(struct emit *e, int64_t tiles_y, int64_t tiles_x, int64_t cut_y,
                                           int64_t cut_x)
{
    struct winograd_tiles t = {.tiles_y = tiles_y, .tiles_x = tiles_x, .cut_y = cut_y, .cut_x = cut_x};
    struct winograd_kinds kinds = winograd_kinds(tiles_y, tiles_x, cut_y, cut_x);
    int64_t before[] = {0, kinds.right, kinds.right + kinds.whole, kinds.right + kinds.whole + kinds.below};
    for (int k = 0; k < 4; k++) t.kind[k] = e_muli(e, e_run_n(e), before[k]);
    return t;
}

/* Tile number TILE of kind K. */
static struct tile_place place_in_kind(struct emit *e, const struct winograd_tiles *t, V tile, int k)
{
    int64_t y = t->tiles_y - (t->cut_y > 0), x = t->tiles_x - (t->cut_x > 0);
    bool below = k >= 2, right = k % 3 == 0;
    int64_t cols = right ? 1 : x, each = max_i64(1, (below ? 1 : y) * cols);
    V in_image = e_remi(e, tile, each);
    return (struct tile_place){e_divi(e, tile, each), e_addi(e, e_divi(e, in_image, max_i64(1, cols)), below ? y : 0),
                               e_addi(e, e_remi(e, in_image, max_i64(1, cols)), right ? x : 0)};
}

struct tile_place winograd_tile_place(struct emit *e, const struct winograd_tiles *t, V tile)
{
    struct winograd_kinds kinds = winograd_kinds(t->tiles_y, t->tiles_x, t->cut_y, t->cut_x);
    int64_t count[] = {kinds.right, kinds.whole, kinds.below, kinds.corner};
    struct tile_place at = {0};
    for (int k = 0; k < 4; k++) {
        if (!count[k]) continue;
        struct tile_place here =
            place_in_kind(e, t, count[k] == t->tiles_y * t->tiles_x ? tile : e_sub(e, tile, t->kind[k]), k);
        if (at.n) {
            V reached = e_cmp(e, LLVMIntSGE, tile, t->kind[k]);
            here.n = e_select(e, reached, here.n, at.n);
            here.ty = e_select(e, reached, here.ty, at.ty);
            here.tx = e_select(e, reached, here.tx, at.tx);
        }
        at = here;
    }
    return at;
}

struct tile_range winograd_tile_range(struct emit *e, const struct winograd_tiles *t, int64_t side, V point, V count)
{
    struct tile_range r = {e_int(e, 0), count, LLVMConstInt(LLVMInt1TypeInContext(e->cx), 1, false)};
    if (t->cut_x) {
        V last = e_cmp(e, LLVMIntSGE, e_remi(e, point, side), e_int(e, side - t->cut_x));
        r.from = e_select(e, last, t->kind[1], r.from);
        r.to = e_select(e, last, t->kind[3], r.to);
        r.all = LLVMBuildNot(e->b, last, "");
    }
    if (t->cut_y) {
        V last = e_cmp(e, LLVMIntSGE, point, e_int(e, side * (side - t->cut_y)));
        r.to = e_select(e, last, t->kind[2], r.to);
        r.all = LLVMBuildAnd(e->b, r.all, LLVMBuildNot(e->b, last, ""), "");
    }
    return r;
}
