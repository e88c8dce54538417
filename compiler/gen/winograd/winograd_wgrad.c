#include "gen/winograd/winograd_wgrad.h"

#include <string.h>
#include "gen/conv/segments.h"
#include "gen/winograd/winograd_pre.h"
#include "kernel/algorithm.h"
#include "kernel/winograd_wgrad.h"

static struct winograd_wgrad_params params_of(const struct node *n, const struct winograd_wgrad_plan *w)
{
    const struct type joined = segments_type(n), *x = &joined, *dy = &n->in[1]->type;
    const int64_t *pad = node_ints(n, "pad");
    struct winograd_wgrad_params p;
    memset(&p, 0, sizeof p);
    segments_init(&p.segments, n);
    p.x = conv_view_of(x);
    p.dy = conv_view_of(dy);
    p.ih = x->dim[2];
    p.iw = x->dim[3];
    p.oh = dy->dim[2];
    p.ow = dy->dim[3];
    p.pad_top = pad[0];
    p.pad_left = pad[1];
    p.m = w->m;
    p.tiles_y = w->tiles_y;
    p.tiles_x = w->tiles_x;
    p.cut_y = w->cut_y;
    p.cut_x = w->cut_x;
    p.icb = w->icb;
    p.ocb = w->ocb;
    p.ci = w->ci;
    p.ov = w->ov;
    p.ig = w->ig;
    p.og = w->og;
    p.igroups = w->igroups;
    p.ogroups = w->ogroups;
    p.block = w->block;
    p.partials = w->partials;
    p.stored = w->stored;
    p.partial_floats = (int64_t)type_bytes(&n->out[0]->type) / 4;
    gen_body_init_pre(&p.pre_x, n, 0);
    gen_body_init_pre(&p.pre_dy, n, 1);
    p.ic = winograd_has_pre(&p.pre_x) ? x->dim[1] : 0;
    p.oc = winograd_has_pre(&p.pre_dy) ? dy->dim[1] : 0;
    return p;
}

/* WORKSPACE: V and D are there. The phases forget what they do not look at, so that layers which differ there share the
   kernel. */
static void add_step(struct lower *lo, const struct node *n, const struct winograd_wgrad_plan *w,
                     struct winograd_wgrad_params p, const struct value *to)
{
    int64_t v = lower_target(lo)->lanes, tasks = p.partials * p.ogroups * p.igroups;
    bool reads_x = p.phase == WINOGRAD_WGRAD_FUSED || p.phase == WINOGRAD_WGRAD_X,
         reads_dy = p.phase == WINOGRAD_WGRAD_FUSED || p.phase == WINOGRAD_WGRAD_DY;
    struct lower_arg args[LOWER_ARGS] = {reads_x ? arg_value(n->in[0]) : arg_none(),
                                         reads_dy ? arg_value(n->in[1]) : arg_none()};
    if (to) args[2] = arg_value(to);
    if (w->split) {
        int64_t at = winograd_wgrad_partials(w, v);
        args[3] = arg_offset(node_workspace(n), (size_t)at * sizeof(float));
        args[4] = arg_offset(node_workspace(n),
                             (size_t)(at + winograd_wgrad_transformed(w, w->igroups, w->ig, v)) * sizeof(float));
    }
    if (!reads_x) {
        p.segments = (struct conv_segments){0};
        memset(&p.pre_x, 0, sizeof p.pre_x);
        p.x = (struct conv_view){0};
        p.ic = p.ih = p.iw = p.pad_top = p.pad_left = 0;
    }
    if (!reads_dy) {
        memset(&p.pre_dy, 0, sizeof p.pre_dy);
        p.dy = (struct conv_view){0};
        p.oc = p.oh = p.ow = 0;
    }
    int count = WINOGRAD_WGRAD_OPERANDS, operands = winograd_wgrad_operands(&p);
    for (int k = 0; k < operands; k++) args[count++] = arg_value(n->in[node_anchors(n) + k]);
    if (reads_x) count = segments_args(n, args, count);
    if (p.phase == WINOGRAD_WGRAD_X) tasks = p.stored * p.icb;
    if (p.phase == WINOGRAD_WGRAD_DY) tasks = p.stored * p.ocb;
    static const char *const names[] = {"winograd_wgrad", "winograd_wgrad_x", "winograd_wgrad_dy",
                                        "winograd_wgrad_product"};
    lower_step(lo, lower_kernel(lo, names[p.phase], winograd_wgrad_emit, &p, sizeof p), tasks, false, args, count);
    lower_scratch(lo, (size_t)winograd_wgrad_scratch(&p, v) * sizeof(float));
}

void lower_winograd_wgrad(struct lower *lo, const struct node *n)
{
    const struct type joined = segments_type(n), *x = &joined, *dy = &n->in[1]->type;
    int64_t m = algorithm_of(n)->tile;
    struct winograd_wgrad_plan w = winograd_wgrad_plan(x, dy, m, lower_target(lo)->lanes);
    struct winograd_wgrad_params p = params_of(n, &w);
    const struct value *to = p.partials > 1 ? node_workspace(n) : n->out[0];
    if (w.split) {
        p.phase = WINOGRAD_WGRAD_X;
        add_step(lo, n, &w, p, NULL);
        p.phase = WINOGRAD_WGRAD_DY;
        add_step(lo, n, &w, p, NULL);
        p.phase = WINOGRAD_WGRAD_PRODUCT;
    }
    add_step(lo, n, &w, p, to);
    if (p.partials > 1) lower_partial_sum(lo, to, n->out[0], p.partial_floats, p.partial_floats, p.partials);
    lower_algorithm(lo, "%s wgrad %lldx%lld", algorithm_of(n)->label, (long long)p.ci, (long long)p.ov);
    lower_executed(lo, 2 * winograd_wgrad_products(&w, x->dim[0]) * x->dim[1] * dy->dim[1]);
}
