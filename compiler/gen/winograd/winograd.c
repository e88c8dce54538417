#include "gen/winograd/winograd.h"

#include <string.h>
#include "gen/conv/segments.h"
#include "gen/reduce/sums.h"
#include "gen/winograd/winograd_pre.h"
#include "kernel/algorithm.h"
#include "kernel/sums.h"
#include "kernel/winograd.h"

static struct winograd_params params_of(const struct node *n, const struct winograd_plan *w)
{
    struct winograd_params p;
    memset(&p, 0, sizeof p);
    const struct type joined = segments_type(n), *x = &joined, *y = &n->out[0]->type;
    bool dgrad = n->op->direction == CONV_DGRAD;
    const int64_t *pad = node_ints(n, "pad");
    segments_init(&p.segments, n);
    p.in = conv_view_of(x);
    p.out = conv_view_of(y);
    p.ih = x->dim[2];
    p.iw = x->dim[3];
    p.oh = y->dim[2];
    p.ow = y->dim[3];
    p.pad_top =
        dgrad ? 2 - pad[0] : pad[0]; /* the gradient's window reaches back over what the forward one reached ahead */
    p.pad_left = dgrad ? 2 - pad[1] : pad[1];
    p.m = w->m;
    p.stride = w->stride;
    p.tile = w->tile;
    p.icb = w->icb;
    p.ocb = w->ocb;
    p.ic = x->dim[1];
    p.oc = y->dim[1];
    p.tiles_y = w->tiles_y;
    p.tiles_x = w->tiles_x;
    p.block = w->block;
    p.row = w->row;
    p.cut_y = w->cut_y;
    p.cut_x = w->cut_x;
    p.ov = w->ov;
    p.tw = w->tw;
    p.wide = w->wide;
    p.point_v = w->point_v;
    p.point_m = w->point_m;
    return p;
}

static int add_kernel(struct lower *lo, const char *name, const struct winograd_params *p)
{
    lower_scratch(lo, (size_t)winograd_scratch(p, lower_target(lo)->lanes) * 4);
    return lower_kernel(lo, name, winograd_emit, p, sizeof *p);
}

static struct lower_arg weight_arg(struct lower *lo, const struct node *n, const struct winograd_params *p)
{
    int64_t v = lower_target(lo)->lanes;
    return conv_weight_arg(n, (p->m + 2) * (p->m + 2) * p->icb * v * v);
}

/* The phases forget what they do not look at, so that layers which differ there share the kernel. */
static void add_input_step(struct lower *lo, const struct node *n, struct winograd_params p)
{
    p.phase = WINOGRAD_INPUT;
    p.out = (struct conv_view){0};
    p.oh = p.ow = p.ocb = p.oc = p.tw = p.wide = p.point_m = 0;
    gen_body_init_pre(&p.pre, n, 0);
    p.body.nout = 1;
    p.body.noperands = p.pre.noperands;
    if (!winograd_has_pre(&p.pre)) p.ic = 0;
    struct lower_arg args[LOWER_ARGS] = {arg_value(n->in[0]), arg_none(), arg_none()};
    int count = 3;
    for (int k = 0; k < p.pre.noperands; k++) args[count++] = arg_value(n->in[n->nanchor + k]);
    args[count++] = arg_value(node_workspace(n));
    lower_step(lo, add_kernel(lo, "winograd_input", &p), div_up(p.block, p.task), false, args,
               segments_args(n, args, count));
}

/* The products of the output blocks [FIRST, FIRST + p.ocb) with WEIGHTS. */
static void add_product_step(struct lower *lo, const struct node *n, struct winograd_params p, int64_t first,
                             struct lower_arg weights)
{
    size_t m = (size_t)(p.tile * p.tile * p.point_v + first * p.row * lower_target(lo)->lanes) * sizeof(float);
    p.phase = WINOGRAD_PRODUCT;
    p.in = p.out = (struct conv_view){0};
    p.segments = (struct conv_segments){0};
    p.ih = p.iw = p.oh = p.ow = p.pad_top = p.pad_left = p.ic = p.oc = p.task = 0;
    struct lower_arg args[] = {weights, arg_value(node_workspace(n)), arg_offset(node_workspace(n), m)};
    lower_step(lo, add_kernel(lo, "winograd_product", &p), p.tile * p.tile * (p.ocb / p.ov), false, args, 3);
}

/* Chunk by chunk the weights are transformed, and the products made that use them. */
static void add_chunks(struct lower *lo, const struct node *n, struct winograd_params p, const struct winograd_plan *w)
{
    int lanes = lower_target(lo)->lanes;
    struct lower_arg weights =
        arg_offset(node_workspace(n), (size_t)(winograd_v_floats(w) + winograd_m_floats(w)) * sizeof(float));
    int64_t before = conv_first_block(n);
    p.ocb = winograd_chunk(w, lanes);
    for (int64_t first = 0; first < w->ocb; first += p.ocb) {
        lower_winograd_chunk(lo, n, before + first, p.ocb, weights);
        add_product_step(lo, n, p, first, weights);
    }
}

void lower_winograd(struct lower *lo, const struct node *n)
{
    int64_t m = algorithm_of(n)->tile;
    const struct type x = segments_type(n);
    struct winograd_plan w = winograd_plan(&x, &n->out[0]->type, m, node_ints(n, "stride")[0], lower_target(lo)->lanes);
    struct winograd_params p = params_of(n, &w);
    if (w.split) {
        p.task = winograd_task(&w);
        add_input_step(lo, n, p);
        if (winograd_transforms(n)) add_chunks(lo, n, p, &w);
        else add_product_step(lo, n, p, 0, weight_arg(lo, n, &p));
    }
    gen_body_init(&p.body, n);
    if (!w.split) gen_body_init_pre(&p.pre, n, 0);
    if (!winograd_has_pre(&p.pre)) p.ic = 0;
    p.phase = w.split ? WINOGRAD_OUTPUT : WINOGRAD_FUSED;
    struct lower_arg args[LOWER_ARGS] = {arg_value(n->in[0]), w.split ? arg_none() : weight_arg(lo, n, &p),
                                         arg_value(n->out[0])};
    int count = conv_body_args(n, args, 3);
    if (w.split) args[count++] = arg_value(node_workspace(n));
    if (w.split) p.segments = (struct conv_segments){0}; /* the first step has read them */
    else count = segments_args(n, args, count);
    if (p.body.nsums) args[count++] = arg_offset(node_workspace(n), sums_offset(n, lower_target(lo)->lanes));
    int64_t tasks = w.split ? div_up(w.block, p.task) * (w.ocb / w.ov) : w.blocks;
    lower_step(lo, add_kernel(lo, w.split ? "winograd_output" : "winograd", &p), tasks, false, args, count);
    lower_algorithm(lo, "%s%s %lldx%lld", algorithm_of(n)->label, w.stride == 2 ? "/2" : "", (long long)w.ov,
                    (long long)w.tw);
    lower_executed(lo, 2 * winograd_products(&w, n->out[0]->type.dim[0]) * x.dim[1] * n->out[0]->type.dim[1]);
    lower_sums(lo, n, (const struct sums_part[]){{0, w.tiles_y * w.tiles_x, w.split ? p.task : w.block}}, 1);
}
