/* algorithm.c: which algorithm computes each convolution. Decided before layouts, from shapes, the target and the error budget alone.
   Winograd's F(m×m, 3×3) needs 3×3 kernels of stride 1; its rms error relative to a double reference is about 1e-6 for m = 4 (the budget
   of a layer is 3e-6) and up to 1e-5 for m = 6, which therefore is only taken when it is asked for. */
#include "pass/passes.h"

#include "base/checked.h"
#include "op/op.h"
#include "op/winograd.h"

/* ---- cost in cycles of one core: two FMAs of a vector a cycle, weights streamed from beyond the second-level cache at STREAM bytes */

static const double STREAM = 3.5;

static double slower(double compute, double bytes, const struct target *t)
{
    double memory = bytes > (double)t->l2_bytes ? bytes / STREAM : 0;
    return compute > memory ? compute : memory;
}

static double direct_cost(const struct node *n, const struct target *t)
{
    const struct type *x = &n->in[0]->type, *y = &n->out[0]->type;
    double per_channel = 9.0 * (double)round_up(x->dim[1], t->lanes) * (double)round_up(y->dim[1], t->lanes);
    double fma = per_channel * (double)(y->dim[0] * y->dim[2] * y->dim[3]) / (2.0 * t->lanes) / 0.9;
    return slower(fma, per_channel * 4, t);
}

static double winograd_cost(const struct node *n, const struct target *t, int m)
{
    const struct type *x = &n->in[0]->type, *y = &n->out[0]->type;
    struct winograd_plan p = winograd_plan(x, y, m, t->lanes);
    double points = (m + 2) * (m + 2), tiles = (double)(x->dim[0] * p.tiles_y * p.tiles_x);
    double rounded = (double)p.blocks * (double)p.block < tiles ? tiles : (double)round_up((int64_t)tiles, p.tw);
    double channels = (double)(p.icb * p.ocb) * t->lanes * t->lanes;
    double products = rounded * points * channels / (2.0 * t->lanes) / 0.85;
    double transforms = tiles * ((double)p.icb * 3.0 + (double)p.ocb * 3.5) * points;
    double passes = points * channels * 4 > (double)t->l2_bytes ? (double)p.blocks : 1;
    return slower(products, passes * points * channels * 4, t) + transforms;
}

static bool legal(const struct node *n, const struct target *t)
{
    if (!node_is(n, "conv2d") && !node_is(n, "conv2d_dgrad")) return false;
    const struct type *w = &n->in[1]->type;
    return winograd_legal(w, node_ints(n, "stride"), node_ints(n, "pad"), node_ints(n, "dilation"), node_int(n, "groups")) &&
           w->dim[0] >= t->lanes && w->dim[1] >= t->lanes;
}

/* The output tile, or 0 for direct. */
static int choose(const struct node *n, const struct pass_context *c)
{
    if (c->winograd == WINOGRAD_OFF || !legal(n, &c->target)) return 0;
    if (c->winograd != WINOGRAD_AUTO) return c->winograd;
    int best = 0;
    double least = direct_cost(n, &c->target) * 0.9; /* gain enough to be worth the rounding */
    for (int m = 2; m <= 4; m += 2) {
        double cost = winograd_cost(n, &c->target, m);
        if (cost >= least) continue;
        least = cost;
        best = m;
    }
    return best;
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int count[8] = {0}, convolutions = 0;
    GRAPH_EACH(g, n) {
        if (!node_is(n, "conv2d") && !node_is(n, "conv2d_dgrad")) continue;
        int m = choose(n, c);
        node_attr(n, "algorithm")->i = m / 2;
        count[m]++;
        convolutions++;
    }
    buf_printf(summary, "%d convolutions: %d direct", convolutions, count[0]);
    for (int m = 2; m <= 6; m += 2)
        if (count[m]) buf_printf(summary, ", %d by F(%d,3)", count[m], m);
    return true;
}

const struct pass pass_algorithm = { "algorithm", "choose direct or Winograd for each convolution", run };
