#include "gen/conv/grouped.h"

#include <string.h>
#include "base/checked.h"
#include "gen/conv/conv.h"
#include "gen/emit/expr.h"
#include "gen/reduce/sums.h"
#include "kernel/chain.h"
#include "kernel/sums.h"

struct grouped_params {
    struct conv_view x, y; /* the forward pass's input and output: dgrad reads y and writes x */
    int64_t ih, iw, oh, ow, ic, oc, groups;
    int64_t stride[2], pad[2], dilation[2], kernel[2];
    int64_t weight_layout, wv, wiv; /* enum layout; block sizes */
    int64_t weight_dtype; /* enum dtype; where its products take pairs, those of the broadcast side's channels lie side
                             by side (gen/conv/conv.h) */
    int64_t transposed, v;
    int64_t wide;  /* sums are long and taken in double precision (kernel/chain.h) */
    int64_t chunk; /* rows of a task: one, or as many as leave a partial for each of the body's sums */
    struct gen_body body;
};

static void set_geometry(struct grouped_params *p, const struct node *n, const struct type *w)
{
    memcpy(p->stride, node_ints(n, "stride"), sizeof p->stride);
    memcpy(p->pad, node_ints(n, "pad"), sizeof p->pad);
    memcpy(p->dilation, node_ints(n, "dilation"), sizeof p->dilation);
    p->groups = node_int(n, "groups");
    p->kernel[0] = w->dim[2];
    p->kernel[1] = w->dim[3];
    p->weight_layout = w->layout;
    p->wv = w->v ? w->v : 1;
    p->wiv = w->iv ? w->iv : p->wv;
    p->weight_dtype = w->dtype;
}

static void set_images(struct grouped_params *p, const struct type *x, const struct type *y)
{
    p->x = conv_view_of(x);
    p->y = conv_view_of(y);
    p->ic = x->dim[1];
    p->oc = y->dim[1];
    p->ih = x->dim[2];
    p->iw = x->dim[3];
    p->oh = y->dim[2];
    p->ow = y->dim[3];
}

/* Elements from the start of an image to channel C of it. */
static V channel_at(struct emit *e, const struct conv_view *w, int64_t v, V c)
{
    if (w->c != 1) return e_muli(e, c, w->c);
    return e_add(e, e_muli(e, e_divi(e, c, v), w->cb), e_remi(e, c, v));
}

/* Elements to weight [o, i (within the group), kh, kw]. */
static V weight_at(struct emit *e, const struct grouped_params *p, V o, V i, V kh, V kw)
{
    int64_t ig = p->ic / p->groups, taps = p->kernel[0] * p->kernel[1];
    V tap = e_add(e, e_muli(e, kh, p->kernel[1]), kw);
    if (p->weight_layout == LAYOUT_PLAIN) return e_add(e, e_muli(e, e_add(e, e_muli(e, o, ig), i), taps), tap);
    if (p->weight_layout == LAYOUT_DEPTHWISE)
        return e_add(e, e_muli(e, e_add(e, e_muli(e, e_divi(e, o, p->wv), taps), tap), p->wv), e_remi(e, o, p->wv));
    bool t = p->weight_layout == LAYOUT_WEIGHT_T;
    V outer = t ? i : o, inner = t ? o : i; /* blocks of `outer` go outermost, `inner` is the broadcast side */
    int64_t nv = t ? p->wv : p->wiv, blocks = div_up(t ? p->oc : ig, nv);
    V block = e_add(e, e_muli(e, e_divi(e, outer, p->wv), blocks), e_divi(e, inner, nv));
    V row = e_muli(e, e_add(e, e_muli(e, block, taps), tap), nv), at = e_remi(e, inner, nv),
      lane = e_remi(e, outer, p->wv);
    if (dtype_group((enum dtype)p->weight_dtype) == 1) return e_add(e, e_muli(e, e_add(e, row, at), p->wv), lane);
    if (!t && nv % 2) { /* pairs run along a row of taps; the last of an odd row is second in its pair */
        int64_t numbers = p->kernel[1] * nv;
        at = e_add(e, e_muli(e, kw, nv), at);
        if (numbers % 2)
            at = e_add(e, at, e_select(e, e_cmp(e, LLVMIntEQ, at, e_int(e, numbers - 1)), e_int(e, 1), e_int(e, 0)));
        row = e_muli(e, e_add(e, e_muli(e, block, p->kernel[0]), kh), round_up(numbers, 2));
    }
    V pair = e_add(e, row, e_muli(e, e_divi(e, at, 2), 2));
    return e_add(e, e_add(e, e_muli(e, pair, p->wv), e_muli(e, lane, 2)), e_remi(e, at, 2));
}

/* Forward: the row of x that tap K of output row Y reads; transposed: the row of y that reaches x row Y by tap K.
   VALID: it exists. */
static V source_row(struct emit *e, const struct grouped_params *p, int axis, V y, V k, V *valid)
{
    int64_t s = p->stride[axis], size = axis ? (p->transposed ? p->ow : p->iw) : (p->transposed ? p->oh : p->ih);
    V shift = e_muli(e, k, p->dilation[axis]), at, in;
    if (!p->transposed) {
        at = e_addi(e, e_add(e, e_muli(e, y, s), shift), -p->pad[axis]);
        in = e_cmp(e, LLVMIntSGE, at, e_int(e, 0));
    } else {
        V pos = e_sub(e, e_addi(e, y, p->pad[axis]), shift), clamped = e_max(e, pos, e_int(e, 0));
        in = LLVMBuildAnd(e->b, e_cmp(e, LLVMIntSGE, pos, e_int(e, 0)),
                          e_cmp(e, LLVMIntEQ, e_remi(e, clamped, s), e_int(e, 0)), "");
        at = e_divi(e, clamped, s);
    }
    *valid = LLVMBuildAnd(e->b, in, e_cmp(e, LLVMIntSLT, at, e_int(e, size)), "");
    return e_min(e, e_max(e, at, e_int(e, 0)), e_int(e, size - 1));
}

/* A sum begins, goes on with A·W where it EXISTS, ends. */
static V sum_start(struct emit *e, const struct grouped_params *p)
{
    return p->wide ? e_double(e, e_f32(e, 0)) : e_f32(e, 0);
}

static V sum_add(struct emit *e, const struct grouped_params *p, V sum, V a, V w, V exists)
{
    V more = p->wide ? e_fma(e, e_double(e, a), e_double(e, w), sum) : e_fma(e, a, w, sum);
    return e_select(e, exists, more, sum);
}

static V sum_end(struct emit *e, const struct grouped_params *p, V sum) { return p->wide ? e_single(e, sum) : sum; }

/* One output number: Σ channels of the group, taps. */
static V one_output(struct emit *e, const struct grouped_params *p, V src, V weight, V channel, V y, V x)
{
    const struct conv_view *in = p->transposed ? &p->y : &p->x;
    int64_t og = p->oc / p->groups, ig = p->ic / p->groups, own = p->transposed ? ig : og,
            sum = p->transposed ? og : ig;
    V group = e_divi(e, channel, own), within = e_remi(e, channel, own), first = e_muli(e, group, sum),
      acc = sum_start(e, p);
    const enum dtype dt = conv_view_dtype(in), wt = (enum dtype)p->weight_dtype;
    struct loop c, kh, kw;
    loop_begin_once(e, &c, e_int(e, 0), e_int(e, sum), 1, 1, &acc);
    V other = e_add(e, first, c.iv), plane = e_at_d(e, dt, src, channel_at(e, in, p->v, other));
    loop_begin_once(e, &kh, e_int(e, 0), e_int(e, p->kernel[0]), 1, 1, c.phi);
    V row_ok, row = source_row(e, p, 0, y, kh.iv, &row_ok);
    loop_begin_once(e, &kw, e_int(e, 0), e_int(e, p->kernel[1]), 1, 1, kh.phi);
    V col_ok, col = source_row(e, p, 1, x, kw.iv, &col_ok);
    V o = p->transposed ? other : channel, i = p->transposed ? within : c.iv;
    V a = e_load_d(e, dt, e_at_d(e, dt, plane, e_add(e, e_muli(e, row, in->h), e_muli(e, col, in->w))));
    V w = e_load_d(e, wt, e_at_d(e, wt, weight, weight_at(e, p, o, i, kh.iv, kw.iv)));
    V next = sum_add(e, p, kw.phi[0], a, w, LLVMBuildAnd(e->b, row_ok, col_ok, ""));
    loop_end(e, &kw, &next);
    loop_end(e, &kh, kw.out);
    loop_end(e, &c, kh.out);
    return sum_end(e, p, c.out[0]);
}

/* A vector of channels goes through this worker's scratch, since the output may lie on an operand of the body. */
static V one_vector(struct emit *e, const struct grouped_params *p, V src, V weight, V first, int64_t channels, V y,
                    V x)
{
    struct loop lane;
    e_store_va(e, e_zero(e), e->scratch);
    loop_begin_once(e, &lane, e_int(e, 0), e_min(e, e_int(e, p->v), e_sub(e, e_int(e, channels), first)), 1, 0, NULL);
    e_store(e, one_output(e, p, src, weight, e_add(e, first, lane.iv), y, x), e_at(e, e->scratch, lane.iv));
    loop_end(e, &lane, NULL);
    return e_load_va(e, e->scratch);
}

static int64_t out_rows(const struct grouped_params *p) { return p->transposed ? p->ih : p->oh; }
static int64_t out_cols(const struct grouped_params *p) { return p->transposed ? p->iw : p->ow; }
static int64_t out_channels(const struct grouped_params *p) { return p->transposed ? p->ic : p->oc; }

/* What a task is about: pointers to the sample read, the weights, the body's operands, the results; its first channel;
   elements from the start of a result to its channel block. */
struct grouped_task {
    const struct grouped_params *p;
    V src, weight, first, at, operand[MAX_BODY_OPERANDS], result[MAX_OUTS], lanes;
    struct body_state state;
    struct sums sums;
};

/* Pixel X of row Y: its sum through the body into the results; TERM: of the body's sums. */
static void one_pixel(struct emit *e, const struct grouped_task *c, V y, V x, V (*term)[2])
{
    const struct grouped_params *p = c->p;
    const struct conv_view *out = p->transposed ? &p->x : &p->y;
    V at = e_add(e, c->at, e_add(e, e_muli(e, y, out->h), e_muli(e, x, out->w))),
      acc = one_vector(e, p, c->src, c->weight, c->first, out_channels(p), y, x), full[MAX_BODY_OPERANDS] = {0},
      result[MAX_OUTS];
    for (int k = 0; k < p->body.noperands; k++) {
        const enum dtype dt = (enum dtype)p->body.operand[k].dtype;
        if (p->body.operand[k].shape == OPERAND_FULL) full[k] = e_load_vd(e, dt, e_at_d(e, dt, c->operand[k], at));
    }
    body_apply_sums(e, &c->state, &acc, full, c->lanes, result, term);
    for (int k = 0; k < p->body.nout; k++) {
        const enum dtype dt = (enum dtype)p->body.dtype[k];
        e_store_vd(e, dt, result[k], e_at_d(e, dt, c->result[k], at));
    }
}

/* A row is one tile of the sums (gen/reduce/sums.h): they see what the body computes, before it is rounded. */
static void one_row(struct emit *e, const struct grouped_task *c, V y)
{
    struct loop xs;
    struct sums_tile t;
    V carried[MAX_SUMS * (SUMS_CHAINS + 1)], term[MAX_SUMS][2], cols = e_int(e, out_cols(c->p));
    int nsums = c->p->body.nsums, chains = nsums * SUMS_CHAINS;
    sums_tile_begin(e, &c->sums, &t);
    memcpy(carried, t.acc, (size_t)chains * sizeof(V));
    for (int k = 0; k < nsums; k++) carried[chains + k] = e_zero(e);
    loop_begin_once(e, &xs, e_int(e, 0), cols, 1, chains + nsums, carried);
    memcpy(t.acc, xs.phi, (size_t)chains * sizeof(V));
    one_pixel(e, c, y, xs.iv, term);
    V begins = e_cmp(e, LLVMIntEQ, xs.iv, e_int(e, 0));
    for (int k = 0; k < nsums; k++) t.shift[k] = e_select(e, begins, term[k][0], xs.phi[chains + k]);
    sums_add(e, &c->sums, &t, term);
    memcpy(carried, t.acc, (size_t)chains * sizeof(V));
    memcpy(carried + chains, t.shift, (size_t)nsums * sizeof(V));
    loop_end(e, &xs, carried);
    memcpy(t.acc, xs.out, (size_t)chains * sizeof(V));
    memcpy(t.shift, xs.out + chains, (size_t)nsums * sizeof(V));
    sums_tile_end(e, &c->sums, &t, 0, cols);
    sums_count(e, &c->sums, cols);
}

/* Sets C up for channel block CB of sample N. */
static void open_task(struct emit *e, struct grouped_task *c, V n, V cb)
{
    const struct grouped_params *p = c->p;
    const struct conv_view *in = p->transposed ? &p->y : &p->x, *out = p->transposed ? &p->x : &p->y;
    c->first = e_muli(e, cb, p->v);
    c->src = e_at_d(e, conv_view_dtype(in), e_arg(e, 0), e_muli(e, n, in->n));
    c->weight = e_arg(e, 1);
    c->at = e_add(e, e_muli(e, n, out->n), e_muli(e, cb, out->cb));
    for (int k = 0; k < p->body.noperands; k++) c->operand[k] = e_arg(e, 3 + k);
    for (int k = 0; k < p->body.nout; k++) c->result[k] = e_arg(e, k ? 2 + p->body.noperands + k : 2);
    body_begin_block(e, &c->state, &p->body, c->operand, out_channels(p), cb, &c->lanes);
}

/* Arguments: input, weights, output, the body's operands, further outputs, the partials of the sums. Tasks of a sample:
   (channel block, rows). */
static void grouped_emit(struct emit *e, const void *params)
{
    struct grouped_task c = {.p = params};
    const struct grouped_params *p = c.p;
    int64_t rows = out_rows(p), chunks = div_up(rows, p->chunk), blocks = div_up(out_channels(p), p->v);
    struct loop tasks, ys;
    sums_open(e, &c.sums, &p->body, 1);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    V chunk = e_remi(e, tasks.iv, chunks), outer = e_divi(e, tasks.iv, chunks), cb = e_remi(e, outer, blocks),
      n = e_divi(e, outer, blocks), y = e_muli(e, chunk, p->chunk);
    open_task(e, &c, n, cb);
    sums_clear(e, &c.sums, 1);
    loop_begin_once(e, &ys, y, e_min(e, e_addi(e, y, p->chunk), e_int(e, rows)), 1, 0, NULL);
    one_row(e, &c, ys.iv);
    loop_end(e, &ys, NULL);
    if (p->body.nsums)
        sums_store(e, &c.sums, 0, e_arg(e, 2 + p->body.noperands + p->body.nout), e_add(e, e_muli(e, n, chunks), chunk),
                   cb, e_int(e, blocks));
    loop_end(e, &tasks, NULL);
}

void lower_grouped(struct lower *lo, const struct node *n)
{
    struct grouped_params p;
    memset(&p, 0, sizeof p);
    p.transposed = n->op->direction != CONV_FORWARD;
    const struct type *in = &n->in[0]->type, *out = &n->out[0]->type;
    set_geometry(&p, n, &n->in[1]->type);
    set_images(&p, p.transposed ? out : in, p.transposed ? in : out);
    p.v = out->v;
    gen_body_init(&p.body, n);
    p.wide = op_macs(n) / type_elements(out) > SUM_CHAIN;
    p.chunk = p.body.nsums ? div_up(out->dim[2], sums_chunks(out)) : 1;
    struct lower_arg args[LOWER_ARGS] = {arg_value(n->in[0]), arg_value(n->in[1]), arg_value(n->out[0])};
    int count = conv_body_args(n, args, 3);
    if (p.body.nsums) args[count++] = arg_offset(node_workspace(n), sums_offset(n, lower_target(lo)->lanes));
    lower_scratch(lo, (size_t)p.v * 4);
    int64_t chunks = div_up(out->dim[2], p.chunk), blocks = div_up(out->dim[1], p.v);
    lower_step(lo, lower_kernel(lo, "grouped", grouped_emit, &p, sizeof p), chunks * blocks, true, args, count);
    lower_algorithm(lo, p.groups > 1 ? "grouped, scalar" : "any shape, scalar");
    lower_sums(lo, n, &(struct sums_part){0, chunks, 1}, 1);
}

/* Arguments: x, dy, dw. Tasks: (o, i within the group). */
static void grouped_wgrad_emit(struct emit *e, const void *params)
{
    const struct grouped_params *p = params;
    int64_t ig = p->ic / p->groups, og = p->oc / p->groups;
    const enum dtype xt = conv_view_dtype(&p->x), yt = conv_view_dtype(&p->y);
    V x = e_arg(e, 0), dy = e_arg(e, 1), dw = e_arg(e, 2), n = e_run_n(e);
    struct loop tasks, kh, kw, ns, ys, xs;
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    V i = e_remi(e, tasks.iv, ig), o = e_divi(e, tasks.iv, ig), c = e_add(e, e_muli(e, e_divi(e, o, og), ig), i);
    loop_begin_once(e, &kh, e_int(e, 0), e_int(e, p->kernel[0]), 1, 0, NULL);
    loop_begin_once(e, &kw, e_int(e, 0), e_int(e, p->kernel[1]), 1, 0, NULL);
    V zero = sum_start(e, p);
    loop_begin(e, &ns, e_int(e, 0), n, 1, 1, &zero);
    V xn = e_at_d(e, xt, x, e_add(e, e_muli(e, ns.iv, p->x.n), channel_at(e, &p->x, p->v, c)));
    V yn = e_at_d(e, yt, dy, e_add(e, e_muli(e, ns.iv, p->y.n), channel_at(e, &p->y, p->v, o)));
    loop_begin_once(e, &ys, e_int(e, 0), e_int(e, p->oh), 1, 1, ns.phi);
    V row_ok, row = source_row(e, p, 0, ys.iv, kh.iv, &row_ok);
    loop_begin_once(e, &xs, e_int(e, 0), e_int(e, p->ow), 1, 1, ys.phi);
    V col_ok, col = source_row(e, p, 1, xs.iv, kw.iv, &col_ok);
    V a = e_load_d(e, xt, e_at_d(e, xt, xn, e_add(e, e_muli(e, row, p->x.h), e_muli(e, col, p->x.w))));
    V b = e_load_d(e, yt, e_at_d(e, yt, yn, e_add(e, e_muli(e, ys.iv, p->y.h), e_muli(e, xs.iv, p->y.w))));
    V next = sum_add(e, p, xs.phi[0], a, b, LLVMBuildAnd(e->b, row_ok, col_ok, ""));
    loop_end(e, &xs, &next);
    loop_end(e, &ys, xs.out);
    loop_end(e, &ns, ys.out);
    e_store(e, sum_end(e, p, ns.out[0]), e_at(e, dw, weight_at(e, p, o, i, kh.iv, kw.iv)));
    loop_end(e, &kw, NULL);
    loop_end(e, &kh, NULL);
    loop_end(e, &tasks, NULL);
}

void lower_grouped_wgrad(struct lower *lo, const struct node *n)
{
    struct grouped_params p;
    memset(&p, 0, sizeof p);
    set_geometry(&p, n, &n->out[0]->type);
    set_images(&p, &n->in[0]->type, &n->in[1]->type);
    p.v = n->in[1]->type.v;
    p.wide = n->in[1]->type.dim[0] * p.oh * p.ow > SUM_CHAIN;
    struct lower_arg args[] = {arg_value(n->in[0]), arg_value(n->in[1]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "grouped_wgrad", grouped_wgrad_emit, &p, sizeof p), p.oc * (p.ic / p.groups), false,
               args, 3);
    lower_algorithm(lo, p.groups > 1 ? "grouped, scalar" : "any shape, scalar");
}
