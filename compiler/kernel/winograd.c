/* winograd.c: F(m×m, 3×3) as an algorithm: what it can compute, its error and cost, its workspace (winograd.h and
   winograd_wgrad.h: how it is cut up). */
#include "kernel/winograd.h"

#include <math.h>
#include "ir/segments.h"
#include "kernel/algorithm.h"
#include "kernel/model.h"
#include "kernel/winograd_wgrad.h"

static bool is_wgrad(const struct node *n) { return n->op->direction == CONV_WGRAD; }
static int64_t stride_of(const struct node *n) { return node_ints(n, "stride")[0]; }

static struct winograd_plan plan_of(const struct algorithm *a, const struct node *n, int lanes)
{
    const struct type x = segments_type(n);
    return winograd_plan(&x, &n->out[0]->type, a->tile, stride_of(n), lanes);
}

static struct winograd_wgrad_plan wgrad_plan_of(const struct algorithm *a, const struct node *n, int lanes)
{
    const struct type x = segments_type(n);
    return winograd_wgrad_plan(&x, &n->in[1]->type, a->tile, lanes);
}

/* ---- what it can compute */

/* Pads beyond 2 would leave dgrad a negative one. */
static bool computes(const struct algorithm *a, const struct node *n, const struct type *w, struct op_error *e)
{
    const int64_t *stride = node_ints(n, "stride"), *dilation = node_ints(n, "dilation"), *pad = node_ints(n, "pad");
    const int most = a->stride[n->op->direction];
    bool ok = w->dim[2] == 3 && w->dim[3] == 3 && stride[0] == stride[1] && stride[0] <= most && dilation[0] == 1 &&
              dilation[1] == 1 && node_int(n, "groups") == 1;
    for (int i = 0; i < 4; i++) ok = ok && pad[i] <= 2;
    return ok || op_fail(e, "%s is for 3×3 kernels of stride 1%s without dilation or groups, with pads up to 2",
                         a->name, most > 1 ? " or 2" : "");
}

/* Vectors of padding would do most of the work. */
static bool fills(const struct node *n, int lanes)
{
    const struct type *w = algorithm_weight(n);
    int64_t in = n->op->direction == CONV_DGRAD ? n->out[0]->type.dim[1] : w->dim[1];
    return w->dim[0] >= lanes && in >= lanes;
}

/* A stride has m + 2 points, of which its tiles use some several times. */
static bool affordable(const struct algorithm *a, const struct node *n)
{
    const struct type *w = algorithm_weight(n);
    int64_t points = a->tile + 2, bytes = w->dim[0] * w->dim[1] * points * points * (int64_t)sizeof(float);
    return stride_of(n) == 1 || bytes <= WINOGRAD_STRIDED_MOST;
}

/* ---- error */

/* A weight gradient sums over pixels: a block of tiles, then the blocks of a partial, then the partials. Of numbers of
   both signs, each of these terms counts for half as much again as one of a forward sum (measured: test_op, F(4) and
   F(5), 5×5 to 112×112). Of gradients that nearly cancel each other all algorithms leave more error than that. */
static double wgrad_terms(const struct algorithm *a, const struct node *n)
{
    struct winograd_wgrad_plan p = wgrad_plan_of(a, n, POLICY_LANES);
    int64_t tiles = n->in[1]->type.dim[0] * p.tiles_y * p.tiles_x;
    return 1.5 * (double)(p.block + div_up(tiles, p.block * p.partials) + p.partials);
}

static double terms(const struct algorithm *a, const struct node *n)
{
    if (is_wgrad(n)) return wgrad_terms(a, n);
    const struct type *w = algorithm_weight(n);
    return fmin((double)w->dim[n->op->direction == CONV_DGRAD ? 0 : 1], WINOGRAD_SUM);
}

/* ---- cost */

/* What Winograd's products reach of it. */
static double product_share(const struct winograd_plan *p, const struct target *t)
{
    if (model_is_split(t)) return p->split ? 0.76 : 0.9;
    return p->m > 5 ? 0.45 : p->stride == 2 ? 0.64 : p->m > 2 ? 0.68 : 0.76;
}

/* FLOATS of weights that are read and, transformed, written: by a split convolution chunk by chunk, in the caches (512
   to 512 channels: 0.4 ms of two cores of a Zen 5), by others past them, by all cores at once: 31 GB/s for two of a Zen
   4, 4.4 bytes a cycle of each. */
static double transform_weights(double floats, bool chunks, const struct target *t)
{
    return floats * 4 > (double)t->l2_bytes ? floats * 4 / (chunks ? 12 : 4.4) : 0;
}

/* TRAIN: every step transforms the weights. */
static double conv_cost(const struct node *n, const struct target *t, int m, bool train)
{
    const struct type joined = segments_type(n), *x = &joined, *y = &n->out[0]->type;
    struct winograd_plan p = winograd_plan(x, y, m, node_ints(n, "stride")[0], t->lanes);
    double points = (double)(p.tile * p.tile), tiles = (double)(x->dim[0] * p.tiles_y * p.tiles_x);
    double multiplied =
        p.split ? (double)winograd_products(&p, x->dim[0]) : (double)round_up((int64_t)tiles, p.tw) * points;
    double channels = (double)(p.icb * p.ocb) * t->lanes * t->lanes;
    double weights = (double)((m + 2) * (m + 2)) * channels;
    double products = model_at_peak(multiplied * channels, t) / product_share(&p, t);
    double effort =
        m > 5   ? 1.8
        : m > 4 ? 1.2
                : 1; /* of the transforms: eight points of six different multiples each do not stay in registers */
    double transforms = tiles * ((double)p.icb * 3.0 + (double)p.ocb * 3.5) * points * effort;
    double passes = weights * 4 > (double)t->l2_bytes ? (double)p.blocks : 1;
    return model_slower(products, passes * weights * 4, t) + transforms +
           (train ? transform_weights(weights + 9 * channels, p.split, t) : 0);
}

/* Fused, both operands are transformed once for each group of the other's channels, which costs about what their lines
   take on their way between the first- and the second-level cache; split, they are once, to memory. The figures are
   from 64 channels at 56×56 to 512 at 7×7, one image and sixteen (Sapphire Rapids; m = 5 and split: Zen 4). */
static double wgrad_cost(const struct node *n, const struct target *t, int m)
{
    const struct type x = segments_type(n);
    struct winograd_wgrad_plan p = winograd_wgrad_plan(&x, &n->in[1]->type, m, t->lanes);
    double points = (m + 2) * (m + 2), tiles = (double)(n->in[0]->type.dim[0] * p.tiles_y * p.tiles_x);
    double channels = (double)(p.icb * p.ocb) * t->lanes * t->lanes;
    double products = model_at_peak((double)winograd_wgrad_products(&p, x.dim[0]) * channels, t) / 0.9;
    double effort = m > 4 ? 1.8 : 1; /* seven points a side do not stay in registers */
    double vectors = p.split ? (double)(p.icb + p.ocb) * 8.0 : (double)(p.icb * p.ogroups + p.ocb * p.igroups) * 6.0;
    double transforms = tiles * points * vectors * effort;
    double back = (double)p.partials * points * channels / t->lanes * 6.0;
    return products + transforms + back;
}

static double cost(const struct algorithm *a, const struct node *n, const struct target *t, bool train)
{
    return is_wgrad(n) ? wgrad_cost(n, t, a->tile) : conv_cost(n, t, a->tile, train);
}

/* (m + 2)² products a tile for the 9·m² as written. */
static int64_t macs(const struct algorithm *a, const struct node *n)
{
    const int64_t *y = (is_wgrad(n) ? n->in[1] : n->out[0])->type.dim, m = a->tile;
    return op_macs(n) / (9 * y[2] * y[3]) * div_up(y[2], m) * div_up(y[3], m) * (m + 2) * (m + 2);
}

/* ---- memory */

/* The transformed input and the products, where several tasks share them, and the weights that are transformed at a
   time. */
static size_t workspace(const struct algorithm *a, const struct node *n, int lanes)
{
    if (is_wgrad(n)) {
        struct winograd_wgrad_plan p = wgrad_plan_of(a, n, lanes);
        return winograd_wgrad_workspace(&p, lanes);
    }
    struct winograd_plan p = plan_of(a, n, lanes);
    int64_t weights = winograd_transforms(n) ? winograd_chunk_floats(&p, lanes) : 0;
    return p.split ? (size_t)(winograd_v_floats(&p) + winograd_m_floats(&p) + weights) * sizeof(float) : 0;
}

static int64_t sum_partials(const struct algorithm *a, const struct node *n, int lanes)
{
    struct winograd_plan p = plan_of(a, n, lanes);
    return p.split ? div_up(p.block, winograd_task(&p)) : p.blocks;
}

static bool transforms(const struct algorithm *a, const struct node *n, int lanes)
{
    return stride_of(n) == 1 && plan_of(a, n, lanes).split;
}

/* ---- prologues: the transforms apply them. A tile's window is read for each of its own pixels; dy has no windows. */

static bool reads(const struct algorithm *a, const struct node *n, int k, struct pre_reads *r)
{
    if (stride_of(n) != 1) return false;
    const double m = a->tile;
    *r = (struct pre_reads){.times = 1, .overlap = (m + 2) * (m + 2) / (m * m)};
    if (!is_wgrad(n)) return true;
    struct winograd_wgrad_plan p = wgrad_plan_of(a, n, n->in[k]->type.v);
    if (!p.split) r->times = (double)(k ? p.igroups : p.ogroups);
    if (k) r->overlap = 1;
    return true;
}

const struct algorithm_method method_winograd = {
    .computes = computes,
    .fills = fills,
    .affordable = affordable,
    .terms = terms,
    .cost = cost,
    .macs = macs,
    .effort = 1.3, /* and the transforms */
    .workspace = workspace,
    .sum_partials = sum_partials,
    .reads = reads,
    .transformed = winograd_layout,
    .transforms = transforms,
};
