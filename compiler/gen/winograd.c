#include "gen/winograd.h"

#include <string.h>
#include "op/winograd.h"

static struct winograd_params params_of(const struct node *n, const struct winograd_plan *w)
{
    struct winograd_params p;
    memset(&p, 0, sizeof p);
    const struct type *x = &n->in[0]->type, *y = &n->out[0]->type;
    bool dgrad = strcmp(n->op->name, "conv2d_dgrad") == 0;
    const int64_t *pad = node_ints(n, "pad");
    p.in = conv_view_of(x);
    p.out = conv_view_of(y);
    p.ih = x->dim[2];
    p.iw = x->dim[3];
    p.oh = y->dim[2];
    p.ow = y->dim[3];
    p.pad_top = dgrad ? 2 - pad[0] : pad[0]; /* the gradient's window reaches back over what the forward one reached ahead */
    p.pad_left = dgrad ? 2 - pad[1] : pad[1];
    p.m = w->m;
    p.icb = w->icb;
    p.ocb = w->ocb;
    p.oc = y->dim[1];
    p.tiles_y = w->tiles_y;
    p.tiles_x = w->tiles_x;
    p.block = w->block;
    p.ov = w->ov;
    p.tw = w->tw;
    return p;
}

static void add_input_step(struct lower *lo, const struct node *n, struct winograd_params p, const struct winograd_plan *w)
{
    p.phase = WINOGRAD_INPUT;
    p.out = (struct conv_view){0}; /* nothing of the output is looked at: layers that differ there share the kernel */
    p.oh = p.ow = p.ocb = p.oc = 0;
    p.body.nout = 1;
    struct lower_arg args[] = {arg_value(n->in[0]), arg_none(), arg_none(), arg_value(node_workspace(n))};
    lower_step(lo, lower_kernel(lo, "winograd_input", winograd_emit, &p, sizeof p), w->blocks, false, args, 4);
}

void lower_winograd(struct lower *lo, const struct node *n)
{
    int64_t m = 2 * node_int(n, "algorithm"), v = lower_target(lo)->lanes;
    struct winograd_plan w = winograd_plan(&n->in[0]->type, &n->out[0]->type, m, (int)v);
    struct winograd_params p = params_of(n, &w);
    if (w.split) add_input_step(lo, n, p, &w);
    gen_body_init(&p.body, n);
    p.phase = w.split ? WINOGRAD_OUTPUT : WINOGRAD_FUSED;
    struct lower_arg args[24] = {arg_value(n->in[0]), arg_value(n->in[1]), arg_value(n->out[0])};
    int count = conv_body_args(n, args, 3);
    if (w.split) args[count++] = arg_value(node_workspace(n));
    int kernel = lower_kernel(lo, "winograd", winograd_emit, &p, sizeof p);
    lower_step(lo, kernel, w.split ? w.blocks * (w.ocb / w.ov) : w.blocks, false, args, count);
    int64_t floats = winograd_m_floats(&p, v) + (w.split ? 0 : winograd_v_floats(&p, v));
    lower_scratch(lo, (size_t)floats * 4);
    lower_algorithm(lo, "F(%lld,3) %lldx%lld", (long long)m, (long long)w.ov, (long long)w.tw);
    int64_t tiles = n->out[0]->type.dim[0] * w.tiles_y * w.tiles_x, points = (m + 2) * (m + 2);
    lower_executed(lo, 2 * tiles * points * n->in[0]->type.dim[1] * n->out[0]->type.dim[1]);
}
