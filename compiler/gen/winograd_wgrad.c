#include "gen/winograd_wgrad.h"

#include <string.h>
#include "gen/parts.h"
#include "gen/winograd_pre.h"
#include "op/winograd_wgrad.h"

static struct winograd_wgrad_params params_of(const struct node *n, const struct winograd_wgrad_plan *w)
{
    const struct type joined = parts_type(n), *x = &joined, *dy = &n->in[1]->type;
    const int64_t *pad = node_ints(n, "pad");
    struct winograd_wgrad_params p;
    memset(&p, 0, sizeof p);
    parts_init(&p.parts, n);
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
    p.slots = w->slots;
    p.slot_floats = (int64_t)type_bytes(&n->out[0]->type) / 4;
    gen_body_init_pre(&p.pre_x, n, 0);
    gen_body_init_pre(&p.pre_dy, n, 1);
    p.ic = winograd_has_pre(&p.pre_x) ? x->dim[1] : 0;
    p.oc = winograd_has_pre(&p.pre_dy) ? dy->dim[1] : 0;
    return p;
}

void lower_winograd_wgrad(struct lower *lo, const struct node *n)
{
    const struct type joined = parts_type(n), *x = &joined, *dy = &n->in[1]->type;
    int64_t m = op_tile(n), v = lower_target(lo)->lanes;
    struct winograd_wgrad_plan w = winograd_wgrad_plan(x, dy, m, (int)v);
    struct winograd_wgrad_params p = params_of(n, &w);
    const struct value *to = p.slots > 1 ? node_workspace(n) : n->out[0];
    struct lower_arg args[24] = {arg_value(n->in[0]), arg_value(n->in[1]), arg_value(to)};
    int count = 3;
    for (int k = node_anchors(n); k < n->nin; k++) args[count++] = arg_value(n->in[k]);
    int kernel = lower_kernel(lo, "winograd_wgrad", winograd_wgrad_emit, &p, sizeof p);
    lower_step(lo, kernel, p.slots * p.ogroups * p.igroups, false, args, parts_args(n, args, count));
    lower_scratch(lo, (size_t)winograd_wgrad_scratch(&p, v) * sizeof(float));
    if (p.slots > 1) lower_slot_sum(lo, to, n->out[0], p.slot_floats, p.slot_floats, p.slots);
    lower_algorithm(lo, "F(%lld,3) wgrad %lldx%lld", (long long)m, (long long)p.ci, (long long)p.ov);
    lower_executed(lo, 2 * winograd_wgrad_products(&w, x->dim[0]) * x->dim[1] * dy->dim[1]);
}
