/* conv_runs.c: which tiles of a row share code: those that read the same columns of the input under the same taps.
   Tiles at the edges leave out taps that fall outside the image. */
#include <string.h>
#include "base/checked.h"
#include "gen/conv/conv.h"

/* Pixels [*from, *to) of the tile at column X for which tap K reads a column that exists. */
static void tap_range(const struct conv_params *p, int64_t x, int64_t width, int64_t k, int64_t *from, int64_t *to)
{
    *from = width;
    *to = 0;
    for (int64_t t = 0; t < width; t++) {
        int64_t ix = (x + t) * p->is_w + p->kw.base + k * p->kw.step;
        if (ix < 0 || ix >= p->iw) continue;
        if (t < *from) *from = t;
        *to = t + 1;
    }
}

static bool tile_spans(const struct conv_params *p, int64_t x, int64_t width, struct conv_run *r)
{
    *r = (struct conv_run){.x = x, .count = 1, .width = width};
    for (int64_t k = 0; k < p->kw.count; k++) {
        int64_t from, to;
        tap_range(p, x, width, k, &from, &to);
        if (from >= to) continue;
        struct conv_span *s = r->nspans ? &r->span[r->nspans - 1] : NULL;
        if (s && s->from == from && s->to == to && s->first + s->count == k) {
            s->count++;
            continue;
        }
        if (r->nspans == CONV_MAX_SPANS) return false;
        r->span[r->nspans++] = (struct conv_span){k, 1, from, to};
    }
    return true;
}

static bool same_code(const struct conv_run *a, const struct conv_run *b)
{
    return a->width == b->width && a->nspans == b->nspans &&
           memcmp(a->span, b->span, (size_t)a->nspans * sizeof *a->span) == 0;
}

int conv_runs(const struct conv_params *p, struct conv_run *runs)
{
    int64_t tiles = div_up(p->cols, p->tw), narrow = p->cols / tiles,
            wide = p->cols % tiles; /* widths differ by one at most */
    int n = 0;
    for (int64_t i = 0, x = 0; i < tiles; i++) {
        int64_t width = narrow + (i < wide);
        struct conv_run r;
        if (!tile_spans(p, x, width, &r)) return -1;
        if (n && same_code(&runs[n - 1], &r)) runs[n - 1].count++;
        else if (n == CONV_MAX_RUNS) return -1;
        else runs[n++] = r;
        x += width;
    }
    return n;
}
