/* conv.c: how each convolution is computed: views, taps, register blocking and the partition into tasks
   (gen/conv/conv.h).
 */
#include "gen/conv/conv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "gen/conv/grouped.h"
#include "gen/conv/segments.h"
#include "gen/reduce/sums.h"
#include "gen/winograd/winograd.h"
#include "kernel/algorithm.h"
#include "kernel/sums.h"

enum { LINE_BYTES = 64 };

/* The geometry of one convolution, from the side of the forward pass. */
struct geometry {
    int64_t stride[2], pad[4], dilation[2], groups, kernel[2];
};

static struct geometry geometry_of(const struct node *n)
{
    struct geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .kernel = {1, 1}};
    if (n->op->nattr == 0 || op_attr_index(n->op, "stride") < 0) return g; /* dense */
    memcpy(g.stride, node_ints(n, "stride"), sizeof g.stride);
    memcpy(g.pad, node_ints(n, "pad"), sizeof g.pad);
    memcpy(g.dilation, node_ints(n, "dilation"), sizeof g.dilation);
    g.groups = node_int(n, "groups");
    g.kernel[0] = n->in[1]->type.dim[2];
    g.kernel[1] = n->in[1]->type.dim[3];
    return g;
}

struct conv_view conv_view_of(const struct type *t)
{
    int64_t h = t->rank == 4 ? t->dim[2] : 1, w = t->rank == 4 ? t->dim[3] : 1, c = t->dim[1];
    if (t->layout == LAYOUT_PLAIN) return (struct conv_view){c * h * w, 0, h * w, w, 1, t->dtype};
    int64_t v = t->v;
    return (struct conv_view){round_up(c, v) * h * w, h * w * v, 1, w * v, v, t->dtype};
}

struct conv_columns conv_columns(const struct conv_params *p, int64_t width)
{
    int64_t taps = (p->kw.count - 1) * p->kw.step, first = min_i64(taps, 0);
    return (struct conv_columns){first, (width - 1) * p->is_w + max_i64(taps, 0) - first + 1};
}

int64_t conv_zero_row_bytes(const struct conv_params *p)
{
    return p->th > 1 ? round_up(p->iw * p->in.w * (int64_t)dtype_bytes(conv_view_dtype(&p->in)), LINE_BYTES) : 0;
}

/* ---- register blocking */

static bool few_registers(const struct target *t) { return t->registers < 32; }

bool conv_folds_weight(const struct target *t, int64_t ov, int64_t pixels)
{
    return few_registers(t) && ov == 2 && ov * pixels + ov == t->registers;
}

/* Cycles of one step over a channel for a tile of OV vectors × TW pixels: two FMAs and two loads a cycle, four cycles
   of latency. A broadcast needs a register of its own unless it is folded into each FMA, which then all load; where
   there are few registers, the last vector of weights is (conv_folds_weight). */
static double tile_cost(const struct target *t, int64_t ov, int64_t tw)
{
    bool weight = conv_folds_weight(t, ov, tw), folded = !weight && ov > 1 && ov * tw + ov + 1 > t->registers;
    double fma = (double)(ov * tw) / 2, loads = (double)((ov == 1 || folded ? ov * tw
                                                          : weight          ? 2 * tw - 1
                                                                            : tw) +
                                                         ov) /
                                                2;
    double cost = fma > loads ? fma : loads;
    return (cost > 4 ? cost : 4) + 0.35; /* loop overhead, spread over the unrolled channels */
}

static double row_cost(const struct target *t, int64_t cols, int64_t ov, int64_t tw)
{
    int64_t tiles = div_up(cols, tw), narrow = cols / tiles, wide = cols % tiles;
    return (double)(tiles - wide) * tile_cost(t, ov, narrow) + (double)wide * tile_cost(t, ov, narrow + 1);
}

static void choose_blocking(const struct target *t, struct conv_params *p)
{
    double best = 1e30;
    for (int64_t ov = 1; ov <= 4; ov++) {
        if (p->group_ocb % ov || (p->depthwise && ov > 1)) continue;
        int64_t most = (t->registers - 1 - ov) / ov;
        if (conv_folds_weight(t, ov, most + 1) && !p->by_sample) most++;
        for (int64_t tw = 1; tw <= most && tw <= 28 && tw <= p->cols; tw++) {
            double cost = row_cost(t, p->cols, ov, tw) / (double)ov;
            if (cost < best - 1e-9) {
                best = cost;
                p->ov = ov;
                p->tw = tw;
            }
        }
    }
    assert(p->ov && p->tw);
}

/* Where a row of pixels leaves half the registers idle, two rows share each weight that is read: from the second-level
   cache, mostly. */
static int64_t tile_rows(const struct target *t, const struct conv_params *p)
{
    bool fits = p->tw == p->cols && (p->ov > 1 || few_registers(t)) && 2 * p->ov * p->tw + p->ov + 1 <= t->registers;
    return fits && p->rows > 1 && p->in.c == 1 && !p->depthwise && !p->by_sample ? 2 : 1;
}

/* A 1×1 convolution of stride 1 sees its image as one row of pixels, cut into rows of the width that suits the
   registers best. */
static void flatten_pixels(const struct target *t, struct conv_params *p)
{
    int64_t pixels = p->rows * p->cols, best_cols = p->cols;
    double best = 1e30;
    for (int64_t cols = 1; cols <= pixels && cols <= 512; cols++) {
        if (pixels % cols) continue;
        struct conv_params q = *p;
        q.cols = cols;
        q.ov = q.tw = 0;
        choose_blocking(t, &q);
        double cost = (double)(pixels / cols) * (row_cost(t, cols, q.ov, q.tw) / (double)q.ov + 1);
        if (cost < best) {
            best = cost;
            best_cols = cols;
        }
    }
    p->rows = p->ih = pixels / best_cols;
    p->cols = p->iw = best_cols;
    p->in.h = best_cols * p->in.w;
    p->out.h = best_cols * p->out.w;
}

/* ---- partition */

enum { TASK_FLOPS = 2000000, MIN_TASKS = 64 };

/* Bytes of the second-level cache that what one group of output blocks reads of an image takes. A stride beyond the
   kernel's height leaves rows out; one beyond its width leaves lines out, but those read lie in half of the sets. */
static int64_t bytes_read(const struct conv_params *p)
{
    return p->rows * min_i64(p->is, p->kh.count) * p->cols * p->is_w * p->in.w * p->icb *
           (int64_t)dtype_bytes(conv_view_dtype(&p->in));
}

/* Rows of a task, and whether images or output blocks go outermost: fixed by shapes alone. Tasks are as small as
   still pays for handing them out, so that many cores find work at batch 1. */
static void choose_partition(const struct target *t, struct conv_params *p, const struct type *images,
                             int64_t flops_per_sample)
{
    const int64_t batch = images->dim[0];
    int64_t groups = p->ocb / p->ov;
    int64_t want = min_i64(max_i64(flops_per_sample / TASK_FLOPS, 1), 4 * MIN_TASKS);
    int64_t chunks = min_i64(p->rows, max_i64(1, div_up(want, groups)));
    /* what one task reads of the input should stay in the second-level cache together with its weights */
    int64_t image = max_i64(bytes_read(p), 1) /* a phase of a strided dgrad may read nothing */,
            half = (int64_t)t->l2_bytes / 2;
    if (p->in.c == 1) chunks = max_i64(chunks, min_i64(p->rows, div_up(image, half / 2)));
    if (p->body.nsums) chunks = min_i64(chunks, sums_chunks(images)); /* a partial for each */
    p->chunk = round_up(div_up(p->rows, chunks), p->th);
    p->chunks = div_up(p->rows, p->chunk);
    /* weights that do not stay in the second-level cache, or are met only once, pass by as many images as do stay there
     */
    int64_t weights = p->ocb * p->icb * p->weight_ib * conv_weight_bytes(p);
    if (weights > half || (batch == 1 && image <= half))
        p->images = image <= half ? min_i64(batch, half / image) : batch;
}

/* ---- lowering */

int conv_body_args(const struct node *n, struct lower_arg *args, int count)
{
    int nout = n->body ? body_elementwise(n->body) : 1;
    assert(count + (n->nin - n->nanchor) + (nout - 1) <= LOWER_ARGS);
    for (int k = n->nanchor; k < n->nin; k++) args[count++] = arg_value(n->in[k]);
    for (int k = 1; k < nout; k++) args[count++] = arg_value(n->out[k]);
    return count;
}

int64_t conv_first_block(const struct node *n)
{
    int k = op_attr_index(n->op, "channels");
    return k < 0 ? 0 : n->attr[k].v[0] / n->out[0]->type.v;
}

struct lower_arg conv_weight_arg(const struct node *n, int64_t block)
{
    return arg_offset(n->in[1], (size_t)(conv_first_block(n) * block) * dtype_bytes(n->in[1]->type.dtype));
}

/* Multiply-adds that the kernel executes for one image: taps that fall outside are left out. CHANNELS: real ones that
   are summed. */
static int64_t executed_macs(const struct conv_params *p, int64_t channels)
{
    struct conv_run runs[CONV_MAX_RUNS];
    int64_t row_taps = 0, col_taps = 0;
    for (int64_t y = 0; y < p->rows; y++)
        for (int64_t k = 0; k < p->kh.count; k++) {
            int64_t at = y * p->is + p->kh.base + k * p->kh.step;
            row_taps += at >= 0 && at < p->ih;
        }
    for (int i = 0, n = conv_runs(p, runs); i < n; i++)
        for (int s = 0; s < runs[i].nspans; s++)
            col_taps += runs[i].count * runs[i].span[s].count * (runs[i].span[s].to - runs[i].span[s].from);
    return row_taps * col_taps * channels * p->oc;
}

static size_t scratch_bytes(const struct conv_params *p, int64_t v)
{
    int64_t widened =
        conv_widens(p) ? p->th * round_up(conv_columns(p, p->tw).count, 2) * v * (int64_t)sizeof(float) : 0;
    return (size_t)(conv_zero_row_bytes(p) + widened);
}

/* One kernel of a node, of which PHASE counts; PARTS[phase]: the partials of its sums. */
static void add_step(struct lower *lo, const struct node *n, struct conv_params *p, const char *name, int64_t flops,
                     struct sums_part *parts, int phase)
{
    const struct target *t = lower_target(lo);
    p->th = tile_rows(t, p);
    p->cut = chain_cut(p->icb, p->kh.count, p->row ? p->row : p->kw.count * (p->depthwise ? 1 : p->ic));
    lower_scratch(lo, scratch_bytes(p, t->lanes));
    if (p->by_sample) p->chunks = 1, p->chunk = p->cols;
    else choose_partition(t, p, &n->out[0]->type, flops);
    int kernel = lower_kernel(lo, name, conv_emit, p, sizeof *p);
    struct lower_arg args[LOWER_ARGS] = {arg_value(n->in[0]), conv_weight_arg(n, p->weight_block),
                                         arg_value(n->out[0])};
    int nargs = segments_args(n, args, conv_body_args(n, args, 3));
    const struct type x = segments_type(n);
    if (p->body.nsums) {
        int64_t first = phase * x.dim[0] * sums_chunks(&n->out[0]->type);
        parts[phase] = (struct sums_part){first, p->chunks, 1};
        size_t partial = (size_t)(sums_vectors(n) * p->ocb * t->lanes) * sizeof(float);
        args[nargs++] = arg_offset(node_workspace(n), sums_offset(n, t->lanes) + (size_t)first * partial);
    }
    lower_step(lo, kernel, p->ocb / p->ov * p->chunks, !p->by_sample, args, nargs);
    int64_t groups = p->ocb / p->group_ocb, channels = p->depthwise ? 1 : x.dim[1] / groups;
    lower_executed(lo, 2 * executed_macs(p, channels) * (p->by_sample ? 1 : x.dim[0]));
    lower_algorithm(lo, "%s %lldx%lld", p->depthwise ? "depthwise" : algorithm_of(n)->label, (long long)p->ov,
                    (long long)(p->tw * p->th));
}

/* What all directions share: the views, channels, weights. X is what is read, Y what is written; both as images. */
static void common(struct conv_params *p, const struct node *n, const struct geometry *g, bool transposed)
{
    const struct type joined = segments_type(n), *x = &joined, *w = &n->in[1]->type, *y = &n->out[0]->type;
    memset(p, 0, sizeof *p);
    segments_init(&p->segments, n);
    p->in = conv_view_of(x);
    p->out = conv_view_of(y);
    bool image = x->rank == 4;
    p->ih = image ? x->dim[2] : 1;
    p->iw = image ? x->dim[3] : 1;
    int64_t v = y->v;
    p->depthwise = w->layout == LAYOUT_DEPTHWISE;
    p->oc = y->dim[1];
    p->ocb = div_up(p->oc, v);
    p->group_ocb = p->depthwise ? 1 : p->ocb / g->groups;
    int64_t in_channels = p->depthwise ? v : x->dim[1] / g->groups;
    p->icb = p->depthwise ? 1 : x->layout == LAYOUT_PLAIN ? 1 : div_up(in_channels, v);
    p->ic = x->layout == LAYOUT_PLAIN || in_channels < v ? in_channels : v;
    p->weight_dtype = w->dtype;
    p->ic = round_up(p->ic, dtype_group(w->dtype)); /* lanes past the last channel are zero */
    int64_t iv = p->depthwise ? 1 : transposed ? v : w->iv;
    p->row = x->layout == LAYOUT_BLOCKED && x->v != v ? g->kernel[1] * iv : 0;
    p->weight_kw = iv * v;
    p->weight_kh = p->row ? round_up(p->row, 2) * v : g->kernel[1] * p->weight_kw;
    p->weight_ib = g->kernel[0] * p->weight_kh;
    /* LAYOUT_WEIGHT_T has one row of blocks for all groups: what a group reads lies side by side, but its output blocks
       do not. */
    bool rows_shared = transposed && !p->depthwise && g->groups > 1;
    p->weight_block = p->icb * p->weight_ib * (rows_shared ? g->groups : 1);
    p->weight_group = rows_shared ? p->icb * p->weight_ib : p->group_ocb * p->weight_block;
    gen_body_init(&p->body, n);
}

/* Chooses the register blocking; true when the row's tiles would need too much code of their own. */
static bool too_wide(const struct target *t, struct conv_params *p)
{
    struct conv_run runs[CONV_MAX_RUNS];
    choose_blocking(t, p);
    return conv_runs(p, runs) < 0;
}

static bool is_pointwise(const struct geometry *g)
{
    return g->kernel[0] == 1 && g->kernel[1] == 1 && g->stride[0] == 1 && g->stride[1] == 1 &&
           !(g->pad[0] | g->pad[1] | g->pad[2] | g->pad[3]);
}

static void lower_forward(struct lower *lo, const struct node *n)
{
    struct geometry g = geometry_of(n);
    struct conv_params p;
    common(&p, n, &g, false);
    const struct type *y = &n->out[0]->type;
    p.rows = y->dim[2];
    p.cols = y->dim[3];
    p.is = g.stride[0];
    p.is_w = g.stride[1];
    p.os_h = p.os_w = 1;
    p.kh = (struct conv_taps){g.kernel[0], -g.pad[0], g.dilation[0], 0, 1};
    p.kw = (struct conv_taps){g.kernel[1], -g.pad[1], g.dilation[1], 0, 1};
    if (is_pointwise(&g) && p.in.c == 1) flatten_pixels(lower_target(lo), &p);
    if (too_wide(lower_target(lo), &p)) {
        lower_grouped(lo, n);
        return;
    }
    struct sums_part part;
    add_step(lo, n, &p, p.depthwise ? "depthwise" : "conv", 2 * op_macs(n) / y->dim[0], &part, 0);
    lower_sums(lo, n, &part, 1);
}

/* Taps k = first, first + wstep, … of KERNEL that reach output position PHASE of STRIDE: (phase + pad − k·dilation)
   divisible by stride. */
static struct conv_taps phase_taps(int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t phase)
{
    struct conv_taps t = {0};
    for (int64_t k = 0; k < kernel; k++) {
        int64_t at = phase + pad - k * dilation;
        if (at % stride) continue;
        if (t.count == 0) t.first = k, t.base = at / stride;
        else if (t.count == 1) t.wstep = k - t.first, t.step = at / stride - t.base;
        t.count++;
    }
    if (t.count == 1) t.step = t.wstep = 1;
    return t;
}

/* The kernel of one phase of a strided dgrad; false when no output falls into it. */
static bool phase_params(const struct target *t, const struct node *n, const struct geometry *g, int64_t py, int64_t px,
                         struct conv_params *p)
{
    const struct type *y = &n->out[0]->type;
    common(p, n, g, true);
    p->rows = div_up(max_i64(y->dim[2] - py, 0), g->stride[0]);
    p->cols = div_up(max_i64(y->dim[3] - px, 0), g->stride[1]);
    if (p->rows == 0 || p->cols == 0) return false;
    p->is = p->is_w = 1;
    p->os_h = g->stride[0];
    p->os_w = g->stride[1];
    p->y0 = py;
    p->x0 = px;
    p->kh = phase_taps(g->kernel[0], g->stride[0], g->dilation[0], g->pad[0], py);
    p->kw = phase_taps(g->kernel[1], g->stride[1], g->dilation[1], g->pad[1], px);
    if (is_pointwise(g) && p->ih == p->rows && p->iw == p->cols) flatten_pixels(t, p);
    return true;
}

static void lower_transposed(struct lower *lo, const struct node *n)
{
    const struct target *t = lower_target(lo);
    struct geometry g = geometry_of(n);
    const struct type *y = &n->out[0]->type;
    int64_t phases = g.stride[0] * g.stride[1], flops = 2 * op_macs(n) / y->dim[0] / phases;
    struct conv_params p;
    for (int64_t i = 0; i < phases; i++)
        if (phase_params(t, n, &g, i / g.stride[1], i % g.stride[1], &p) && too_wide(t, &p)) {
            lower_grouped(lo, n);
            return;
        }
    struct sums_part parts[SUMS_MAX_PARTS];
    int kernels = 0;
    for (int64_t i = 0; i < phases; i++)
        if (phase_params(t, n, &g, i / g.stride[1], i % g.stride[1], &p)) {
            choose_blocking(t, &p);
            add_step(lo, n, &p, p.depthwise ? "depthwise_dgrad" : "dgrad", flops, parts, kernels++);
        }
    lower_sums(lo, n, parts, kernels);
}

/* Samples take the place of pixels. */
static void lower_dense(struct lower *lo, const struct node *n, bool transposed)
{
    struct geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .kernel = {1, 1}};
    struct conv_params p;
    common(&p, n, &g, transposed);
    const struct type *x = &n->in[0]->type, *y = &n->out[0]->type;
    p.in.w = round_up(x->dim[1], x->v);
    p.out.w = round_up(y->dim[1], y->v);
    p.in.n = p.out.n = p.in.h = p.out.h = 0;
    p.rows = p.ih = 1;
    p.cols = p.iw = y->dim[0];
    p.is = p.is_w = p.os_h = p.os_w = 1;
    p.kh = p.kw = (struct conv_taps){1, 0, 1, 0, 1};
    p.by_sample = 1;
    choose_blocking(lower_target(lo), &p);
    add_step(lo, n, &p, "dense", 0, NULL, 0);
}

void lower_conv(struct lower *lo, const struct node *n)
{
    bool dgrad = n->op->direction == CONV_DGRAD;
    if (n->in[0]->type.rank == 2) lower_dense(lo, n, dgrad);
    else if (n->in[1]->type.layout == LAYOUT_PLAIN) lower_grouped(lo, n);
    else if (dgrad) lower_transposed(lo, n);
    else lower_forward(lo, n);
}
