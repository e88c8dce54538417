/* softmax.c: softmax over the channels, and the losses. Each walks the channel blocks of one pixel (or sample) after
   another; lanes past C take no part. A loss leaves one sum and one count for each sample in the workspace, and one
   task adds them in order, in double. */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/expr.h"
#include "gen/emit/lanes.h"
#include "gen/module/lower.h"
#include "kernel/partials.h"
#include "op/softmax.h"

struct softmax_params {
    int32_t kind;         /* enum softmax_variant */
    int32_t partial;      /* C is no multiple of v */
    int32_t from_logits;  /* BINARY */
    int32_t plain_target; /* BINARY, SQUARED: the target is not blocked */
    int64_t ignore;       /* CROSS */
    double smoothing, weight;
};

/* The constant table: channel blocks, pixels in a plane, C, rows of a plane, pixels in a row. */
enum { T_BLOCKS, T_PIXELS, T_CLASSES, T_ROWS, T_WIDTH, T_ENTRIES };

struct ctx {
    const struct softmax_params *p;
    V blocks, pixels, classes, rows, width, stride;
};

static struct ctx load_table(struct emit *e, const struct softmax_params *p, int arg)
{
    V t = e_arg(e, arg);
    struct ctx c = {p,
                    table_i64(e, t, T_BLOCKS),
                    table_i64(e, t, T_PIXELS),
                    table_i64(e, t, T_CLASSES),
                    table_i64(e, t, T_ROWS),
                    table_i64(e, t, T_WIDTH),
                    NULL};
    c.stride = e_muli(e, c.pixels, e->v);
    return c;
}

/* The first float of pixel PIXEL of sample N. */
static V pixel_at(struct emit *e, const struct ctx *c, V n, V pixel)
{
    return e_add(e, e_mul(e, e_mul(e, n, c->blocks), c->stride), e_muli(e, pixel, e->v));
}
static V block_at(struct emit *e, const struct ctx *c, V base, V first, V block)
{
    return e_at(e, base, e_add(e, first, e_mul(e, block, c->stride)));
}

static V lanes_of(struct emit *e, const struct ctx *c, V block)
{
    return c->p->partial ? e_lane_mask(e, e_sub(e, c->classes, e_muli(e, block, e->v))) : NULL;
}

static V keep(struct emit *e, V lanes, V x, V otherwise) { return lanes ? e_select(e, lanes, x, otherwise) : x; }

/* ---- softmax of one pixel */

static V largest(struct emit *e, const struct ctx *c, V x, V first)
{
    struct loop l;
    V none = e_splatc(e, -INFINITY);
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, 1, &none);
    V v = keep(e, lanes_of(e, c, l.iv), e_load_v(e, block_at(e, c, x, first, l.iv)), none);
    V next = e_fmax(e, l.phi[0], v);
    loop_end(e, &l, &next);
    return e_splat(e, e_reduce_max(e, l.out[0]));
}

/* Σ exp(x − top) as a scalar; the exponentials go to Y where it is not NULL. LINEAR: where Σ (x − top) goes, or NULL.
 */
static V exponentials(struct emit *e, const struct ctx *c, V x, V y, V first, V top, V *linear)
{
    struct loop l;
    V sum[2] = {e_zero(e), e_zero(e)};
    int n = linear ? 2 : 1;
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, n, sum);
    V lanes = lanes_of(e, c, l.iv), d = e_fsub(e, e_load_v(e, block_at(e, c, x, first, l.iv)), top);
    V ex = keep(e, lanes, e_exp(e, d), e_zero(e));
    if (y) e_store_v(e, ex, block_at(e, c, y, first, l.iv));
    sum[0] = e_fadd(e, l.phi[0], ex);
    if (linear) sum[1] = e_fadd(e, l.phi[1], keep(e, lanes, d, e_zero(e)));
    loop_end(e, &l, sum);
    if (linear) *linear = e_reduce_add(e, l.out[1]);
    return e_reduce_add(e, l.out[0]);
}

/* y = scale·y + shift, lanes past C zero. */
static void rescale(struct emit *e, const struct ctx *c, V y, V first, V scale, V shift)
{
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, 0, NULL);
    V p = block_at(e, c, y, first, l.iv), v = e_load_v(e, p);
    v = shift ? keep(e, lanes_of(e, c, l.iv), e_fma(e, v, scale, shift), e_zero(e)) : e_fmul(e, v, scale);
    e_store_v(e, v, p);
    loop_end(e, &l, NULL);
}

static V reciprocal(struct emit *e, V x) { return e_fdiv(e, e_f32(e, 1), x); }

static void softmax_pixel(struct emit *e, const struct ctx *c, V x, V y, V first)
{
    V top = largest(e, c, x, first), sum = exponentials(e, c, x, y, first, top, NULL);
    rescale(e, c, y, first, e_splat(e, reciprocal(e, sum)), NULL);
}

/* dx = y·(dy − Σ dy·y) */
static void softmax_grad_pixel(struct emit *e, const struct ctx *c, V dy, V y, V dx, V first)
{
    struct loop l;
    V zero = e_zero(e);
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, 1, &zero);
    V next =
        e_fma(e, e_load_v(e, block_at(e, c, dy, first, l.iv)), e_load_v(e, block_at(e, c, y, first, l.iv)), l.phi[0]);
    loop_end(e, &l, &next);
    V sum = e_splat(e, e_reduce_add(e, l.out[0]));
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, 0, NULL);
    V d = e_fsub(e, e_load_v(e, block_at(e, c, dy, first, l.iv)), sum);
    e_store_v(e, e_fmul(e, d, e_load_v(e, block_at(e, c, y, first, l.iv))), block_at(e, c, dx, first, l.iv));
    loop_end(e, &l, NULL);
}

/* args: table, operands, result. A task is one row of one sample. */
static void emit_softmax(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    bool grad = c.p->kind == SOFTMAX_GRAD;
    V a = e_arg(e, 1), b = grad ? e_arg(e, 2) : NULL, out = e_arg(e, grad ? 3 : 2);
    struct loop task, l;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V n = e_div(e, task.iv, c.rows), row = e_mul(e, e_rem(e, task.iv, c.rows), c.width);
    loop_begin_once(e, &l, row, e_add(e, row, c.width), 1, 0, NULL);
    V first = pixel_at(e, &c, n, l.iv);
    if (grad) softmax_grad_pixel(e, &c, a, b, out, first);
    else softmax_pixel(e, &c, a, out, first);
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

/* ---- the losses' workspace: for each sample an f64 sum and an i64 count */

static V sample_place(struct emit *e, V ws, V n)
{
    return e_at_bytes(e, ws, e_addi(e, e_muli(e, n, LOSS_SAMPLE_FLOATS * 4), LOSS_FIXED_FLOATS * 4));
}

static V to_f64(struct emit *e, V x) { return LLVMBuildFPExt(e->b, x, e->f64, ""); }
static V to_f32(struct emit *e, V x) { return LLVMBuildFPTrunc(e->b, x, e->f32, ""); }
static V int_f64(struct emit *e, V x) { return LLVMBuildSIToFP(e->b, x, e->f64, ""); }
static V f64(struct emit *e, double x) { return LLVMConstReal(e->f64, x); }

static void store_sample(struct emit *e, V ws, V n, V sum, V count)
{
    V p = sample_place(e, ws, n);
    e_store_align(e, sum, p, 8);
    e_store_align(e, count, e_at_bytes(e, p, e_int(e, 8)), 8);
}

/* Totals over the real samples, in order. */
static void total(struct emit *e, V ws, V *sum, V *count)
{
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), e_run_n(e), 1, 2, (V[]){f64(e, 0), e_int(e, 0)});
    V p = sample_place(e, ws, l.iv);
    V s = e_fadd(e, l.phi[0], e_load_t(e, e->f64, p, 8)),
      n = e_add(e, l.phi[1], e_load_t(e, e->i64, e_at_bytes(e, p, e_int(e, 8)), 8));
    loop_end(e, &l, (V[]){s, n});
    *sum = l.out[0];
    *count = l.out[1];
}

/* args: ws, loss */
static void emit_total(struct emit *e, const void *params)
{
    const struct softmax_params *p = params;
    V ws = e_arg(e, 0), loss = e_arg(e, 1), sum, count;
    total(e, ws, &sum, &count);
    V mean = e_fdiv(e, sum, int_f64(e, e_max(e, count, e_int(e, 1))));
    e_store(e, to_f32(e, e_fmul(e, mean, f64(e, p->weight))), loss);
}

/* ---- softmax cross entropy */

/* Not the ignored label, and one of the classes: whatever else stands there counts for nothing. */
static V label_counts(struct emit *e, const struct ctx *c, V label)
{
    V inside = e_cmp(e, LLVMIntULT, label, c->classes), other = e_cmp(e, LLVMIntNE, label, e_int(e, c->p->ignore));
    return LLVMBuildAnd(e->b, inside, other, "");
}

static V as_i64(struct emit *e, V cond) { return LLVMBuildZExt(e->b, cond, e->i64, ""); }
static V label_at(struct emit *e, const struct ctx *c, V target, V n, V pixel)
{
    V at = e_muli(e, e_add(e, e_mul(e, n, c->pixels), pixel), 8);
    return e_load_t(e, e->i64, e_at_bytes(e, target, at), 8);
}

static V class_place(struct emit *e, const struct ctx *c, V x, V first, V label)
{
    return e_at(e, block_at(e, c, x, first, e_divi(e, label, e->v)), e_remi(e, label, e->v));
}

/* log Σ exp(x) − Σ_i wanted_i·x_i, everything relative to the largest logit. */
static V cross_pixel(struct emit *e, const struct ctx *c, V x, V first, V label)
{
    double s = c->p->smoothing;
    V linear = NULL, top = largest(e, c, x, first),
      sum = exponentials(e, c, x, NULL, first, top, s != 0 ? &linear : NULL);
    V lane0 = LLVMConstInt(e->i32, 0, 0), log_sum = LLVMBuildExtractElement(e->b, e_log(e, e_splat(e, sum)), lane0, "");
    V own = e_fsub(e, e_load(e, class_place(e, c, x, first, label)), LLVMBuildExtractElement(e->b, top, lane0, ""));
    V loss = e_fma(e, e_f32(e, -(1 - s)), own, log_sum);
    if (linear)
        loss =
            e_fsub(e, loss, e_fdiv(e, e_fmul(e, linear, e_f32(e, s)), LLVMBuildSIToFP(e->b, c->classes, e->f32, "")));
    return to_f64(e, loss);
}

/* args: table, ws, logits, target. A task is a sample. */
static void emit_cross(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    V ws = e_arg(e, 1), x = e_arg(e, 2), target = e_arg(e, 3);
    struct loop task, l, once;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    loop_begin_once(e, &l, e_int(e, 0), c.pixels, 1, 2, (V[]){f64(e, 0), e_int(e, 0)});
    V label = label_at(e, &c, target, task.iv, l.iv), counts = as_i64(e, label_counts(e, &c, label));
    loop_begin(e, &once, e_int(e, 0), counts, 1, 1, l.phi); /* if it counts */
    V sum = e_fadd(e, once.phi[0], cross_pixel(e, &c, x, pixel_at(e, &c, task.iv, l.iv), label));
    loop_end(e, &once, &sum);
    loop_end(e, &l, (V[]){once.out[0], e_add(e, l.phi[1], counts)});
    store_sample(e, ws, task.iv, l.out[0], l.out[1]);
    loop_end(e, &task, NULL);
}

/* args: table, ws, target: how many labels of each sample count. */
static void emit_count(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    V ws = e_arg(e, 1), target = e_arg(e, 2), zero = e_int(e, 0);
    struct loop task, l;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    loop_begin_once(e, &l, e_int(e, 0), c.pixels, 1, 1, &zero);
    V next = e_add(e, l.phi[0], as_i64(e, label_counts(e, &c, label_at(e, &c, target, task.iv, l.iv))));
    loop_end(e, &l, &next);
    store_sample(e, ws, task.iv, f64(e, 0), l.out[0]);
    loop_end(e, &task, NULL);
}

static void zero_pixel(struct emit *e, const struct ctx *c, V y, V first)
{
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), c->blocks, 1, 0, NULL);
    e_store_v(e, e_zero(e), block_at(e, c, y, first, l.iv));
    loop_end(e, &l, NULL);
}

/* scale·(softmax(x) − wanted); SCALE: f32 */
static void cross_grad_pixel(struct emit *e, const struct ctx *c, V x, V dx, V first, V label, V scale)
{
    double s = c->p->smoothing;
    V top = largest(e, c, x, first), sum = exponentials(e, c, x, dx, first, top, NULL), shift = NULL;
    if (s != 0)
        shift = e_splat(e, e_fdiv(e, e_fmul(e, scale, e_f32(e, -s)), LLVMBuildSIToFP(e->b, c->classes, e->f32, "")));
    rescale(e, c, dx, first, e_splat(e, e_fdiv(e, scale, sum)), shift);
    V own = class_place(e, c, dx, first, label);
    e_store(e, e_fma(e, e_f32(e, -(1 - s)), scale, e_load(e, own)), own);
}

/* args: table, ws, logits, target, dx. A task is one row of one sample. */
static void emit_cross_grad(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    V ws = e_arg(e, 1), x = e_arg(e, 2), target = e_arg(e, 3), dx = e_arg(e, 4), sum, count;
    total(e, ws, &sum, &count);
    V scale = to_f32(e, e_fdiv(e, f64(e, c.p->weight), int_f64(e, e_max(e, count, e_int(e, 1)))));
    struct loop task, l;
    struct branch f;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V n = e_div(e, task.iv, c.rows), row = e_mul(e, e_rem(e, task.iv, c.rows), c.width);
    loop_begin_once(e, &l, row, e_add(e, row, c.width), 1, 0, NULL);
    V label = label_at(e, &c, target, n, l.iv), first = pixel_at(e, &c, n, l.iv);
    if_begin(e, &f, label_counts(e, &c, label));
    cross_grad_pixel(e, &c, x, dx, first, label, scale);
    if_else(e, &f);
    zero_pixel(e, &c, dx, first);
    if_end(e, &f);
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

/* ---- binary cross entropy and squared error: element by element */

/* −log p, at most 100, as PyTorch bounds it */
static V neg_log(struct emit *e, V p) { return LLVMBuildFNeg(e->b, e_fmax(e, e_splatc(e, -100), e_log(e, p)), ""); }

/* log(1 + u) without losing a small u: log(w) + (u − (w − 1))/w with w = 1 + u rounded (HP-15C Advanced Functions
   Handbook, Kahan). */
static V log1p_of(struct emit *e, V u)
{
    V one = e_splatc(e, 1), w = e_fadd(e, one, u);
    return e_fadd(e, e_log(e, w), e_fdiv(e, e_fsub(e, u, e_fsub(e, w, one)), w));
}

static V element_loss(struct emit *e, const struct softmax_params *p, V x, V t)
{
    V d = e_fsub(e, x, t), one = e_splatc(e, 1);
    if (p->kind == SQUARED) return e_fmul(e, d, d);
    if (!p->from_logits) {
        V other = e_fmul(e, e_fsub(e, one, t), neg_log(e, e_fsub(e, one, x)));
        return e_fma(e, t, neg_log(e, x), other);
    }
    V tail = log1p_of(e, e_exp(e, LLVMBuildFNeg(e->b, e_fabs(e, x), "")));
    return e_fadd(e, e_fma(e, LLVMBuildFNeg(e->b, x, ""), t, e_fmax(e, e_zero(e), x)), tail);
}

static V element_slope(struct emit *e, const struct softmax_params *p, V x, V t)
{
    V one = e_splatc(e, 1), d = e_fsub(e, x, t);
    if (p->kind == SQUARED_GRAD) return e_fadd(e, d, d);
    if (!p->from_logits) return e_fdiv(e, d, e_fmax(e, e_splatc(e, 1e-12), e_fmul(e, x, e_fsub(e, one, x))));
    V sigmoid = e_fdiv(e, one, e_fadd(e, one, e_exp(e, LLVMBuildFNeg(e->b, x, ""))));
    return e_fsub(e, sigmoid, t);
}

static V target_at(struct emit *e, const struct ctx *c, V target, V n, V block, V pixel, V at)
{
    if (!c->p->plain_target) return e_load_v(e, e_at(e, target, at));
    V channel = e_add(e, e_mul(e, n, c->classes), e_muli(e, block, e->v));
    return lanes_gather(e, target, e_add(e, e_mul(e, channel, c->pixels), pixel), c->pixels, lanes_of(e, c, block));
}

/* args: table, ws, x, target. A task is a sample; each row of a block is summed in f32, the rows in f64. */
static void emit_elements(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    V ws = e_arg(e, 1), x = e_arg(e, 2), target = e_arg(e, 3), zero = e_zero(e), none = f64(e, 0);
    V elements = e_mul(e, c.classes, c.pixels), lines = e_mul(e, c.blocks, c.rows);
    struct loop task, line, l;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    loop_begin_once(e, &line, e_int(e, 0), lines, 1, 1, &none);
    V block = e_div(e, line.iv, c.rows), row = e_mul(e, e_rem(e, line.iv, c.rows), c.width),
      lanes = lanes_of(e, &c, block);
    loop_begin_once(e, &l, row, e_add(e, row, c.width), 1, 1, &zero);
    V at = e_add(e, pixel_at(e, &c, task.iv, l.iv), e_mul(e, block, c.stride));
    V loss = element_loss(e, c.p, e_load_v(e, e_at(e, x, at)), target_at(e, &c, target, task.iv, block, l.iv, at));
    V next = e_fadd(e, l.phi[0], keep(e, lanes, loss, zero));
    loop_end(e, &l, &next);
    V sum = e_fadd(e, line.phi[0], to_f64(e, e_reduce_add(e, l.out[0])));
    loop_end(e, &line, &sum);
    store_sample(e, ws, task.iv, line.out[0], elements);
    loop_end(e, &task, NULL);
}

/* args: table, x, target, dx. A task is one channel block of one sample. */
static void emit_elements_grad(struct emit *e, const void *params)
{
    struct ctx c = load_table(e, params, 0);
    V x = e_arg(e, 1), target = e_arg(e, 2), dx = e_arg(e, 3);
    V count = int_f64(e, e_mul(e, e_run_n(e), e_mul(e, c.classes, c.pixels)));
    V scale = e_splat(e, to_f32(e, e_fdiv(e, f64(e, c.p->weight), count)));
    struct loop task, l;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V n = e_div(e, task.iv, c.blocks), block = e_rem(e, task.iv, c.blocks), lanes = lanes_of(e, &c, block);
    loop_begin_once(e, &l, e_int(e, 0), c.pixels, 1, 0, NULL);
    V at = e_add(e, pixel_at(e, &c, n, l.iv), e_mul(e, block, c.stride));
    V slope = element_slope(e, c.p, e_load_v(e, e_at(e, x, at)), target_at(e, &c, target, n, block, l.iv, at));
    e_store_v(e, keep(e, lanes, e_fmul(e, slope, scale), e_zero(e)), e_at(e, dx, at));
    loop_end(e, &l, NULL);
    loop_end(e, &task, NULL);
}

/* ---- lowering */

struct job {
    struct lower *lo;
    const struct node *n;
    struct softmax_params p;
    struct lower_arg table;
    int64_t blocks, rows;
};

static void step(struct job *j, const char *name, emit_fn *fn, int64_t tasks, bool samples,
                 const struct lower_arg *args, int nargs)
{
    lower_step(j->lo, lower_kernel(j->lo, name, fn, &j->p, sizeof j->p), tasks, samples, args, nargs);
}

static void lower_loss(struct job *j, struct lower_arg ws)
{
    const struct node *n = j->n;
    struct lower_arg in0 = arg_value(n->in[0]), in1 = arg_value(n->in[1]), out = arg_value(n->out[0]);
    switch (j->p.kind) {
    case CROSS:
    case BINARY:
    case SQUARED:
        step(j, n->op->name, j->p.kind == CROSS ? emit_cross : emit_elements, 1, true,
             (struct lower_arg[]){j->table, ws, in0, in1}, 4);
        step(j, "loss_total", emit_total, 1, false, (struct lower_arg[]){ws, out}, 2);
        break;
    case CROSS_GRAD:
        step(j, "count_labels", emit_count, 1, true, (struct lower_arg[]){j->table, ws, in1}, 3);
        step(j, n->op->name, emit_cross_grad, j->rows, true, (struct lower_arg[]){j->table, ws, in0, in1, out}, 5);
        break;
    default:
        step(j, n->op->name, emit_elements_grad, j->blocks, true, (struct lower_arg[]){j->table, in0, in1, out}, 4);
    }
}

static void set_loss_params(struct softmax_params *p, const struct node *n, int v)
{
    p->weight = node_float(n, "weight");
    if (p->kind == CROSS || p->kind == CROSS_GRAD) {
        p->smoothing = node_float(n, "label_smoothing");
        p->ignore = node_int(n, "ignore");
        return;
    }
    if (p->kind == BINARY || p->kind == BINARY_GRAD) p->from_logits = (int32_t)node_int(n, "from_logits");
    /* A plain [N, C] of whole vectors lies as a blocked one. */
    const struct type *t = &n->in[1]->type;
    p->plain_target = t->layout == LAYOUT_PLAIN && !(t->rank == 2 && t->dim[1] % v == 0);
}

void lower_softmax(struct lower *lo, const struct node *n)
{
    const struct type *t = &n->in[0]->type;
    struct job j = {.lo = lo, .n = n};
    memset(&j.p, 0, sizeof j.p);
    assert(t->layout == LAYOUT_BLOCKED && (t->rank == 2 || t->rank == 4));
    j.p.kind = n->op->variant;
    j.p.partial = t->dim[1] % t->v != 0;
    bool image = t->rank == 4;
    j.blocks = div_up(t->dim[1], t->v);
    j.rows = image ? t->dim[2] : 1;
    int64_t width = image ? t->dim[3] : 1, table[T_ENTRIES] = {j.blocks, j.rows * width, t->dim[1], j.rows, width};
    j.table = arg_data(lo, table, sizeof table);
    struct lower_arg in0 = arg_value(n->in[0]), out = arg_value(n->out[0]);
    if (j.p.kind == SOFTMAX) {
        step(&j, n->op->name, emit_softmax, j.rows, true, (struct lower_arg[]){j.table, in0, out}, 3);
    } else if (j.p.kind == SOFTMAX_GRAD) {
        step(&j, n->op->name, emit_softmax, j.rows, true, (struct lower_arg[]){j.table, in0, arg_value(n->in[1]), out},
             4);
    } else {
        set_loss_params(&j.p, n, t->v);
        const struct value *ws = node_workspace(n);
        assert(ws);
        lower_loss(&j, arg_value(ws));
    }
}
