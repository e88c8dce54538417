/* subset.c: samples into a region and out of it: whole rows of bytes, whatever their layout. A task is a sample. */
#include "gen/copy/subset.h"

#include <string.h>
#include "gen/emit/emit.h"

/* A row is copied in units of so many bytes: a vector, or what divides it. */
struct copy_params {
    int32_t unit;
    int32_t condition, count, index; /* scatter: which of its operands are there */
};

static int64_t row_bytes(const struct type *t) { return (int64_t)type_bytes(t) / t->dim[0]; }

static struct copy_params copy_params(const struct lower *lo, const struct type *t)
{
    const int64_t row = row_bytes(t), vector = lower_target(lo)->lanes * 4;
    struct copy_params p;
    memset(&p, 0, sizeof p);
    p.unit = (int32_t)(row % vector == 0 ? vector : row % 4 == 0 ? 4 : 2);
    return p;
}

static V load_i64(struct emit *e, V ptr, V index)
{
    return e_load_t(e, e->i64, e_at_bytes(e, ptr, e_muli(e, index, 8)), 8);
}

static void store_i64(struct emit *e, V x, V ptr, V index)
{
    e_store_align(e, x, e_at_bytes(e, ptr, e_muli(e, index, 8)), 8);
}

static void copy_row(struct emit *e, const struct copy_params *p, V from, V to, V bytes)
{
    LLVMTypeRef unit = p->unit == 4 ? e->i32 : p->unit == 2 ? LLVMInt16TypeInContext(e->cx) : e->vf;
    const unsigned align = p->unit < 4 ? 2 : 4;
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), bytes, p->unit, 0, NULL);
    e_store_align(e, e_load_t(e, unit, e_at_bytes(e, from, l.iv), align), e_at_bytes(e, to, l.iv), align);
    loop_end(e, &l, NULL);
}

/* args: {bytes of a row}, x, index, y */
static void emit_gather(struct emit *e, const void *params)
{
    V bytes = load_i64(e, e_arg(e, 0), e_int(e, 0)), x = e_arg(e, 1), index = e_arg(e, 2), y = e_arg(e, 3);
    struct loop l;
    loop_begin_once(e, &l, e->begin, e->end, 1, 0, NULL);
    V from = e_mul(e, load_i64(e, index, l.iv), bytes);
    copy_row(e, params, e_at_bytes(e, x, from), e_at_bytes(e, y, e_mul(e, l.iv, bytes)), bytes);
    loop_end(e, &l, NULL);
}

/* The place of SAMPLE among the first CHOSEN ones of the index; -1: it is none of them. */
static V place_of(struct emit *e, const struct copy_params *p, V index, V chosen, V sample)
{
    V none = e_int(e, -1);
    if (!p->index) return e_select(e, e_cmp(e, LLVMIntSLT, sample, chosen), sample, none);
    struct loop l;
    loop_begin(e, &l, e_int(e, 0), chosen, 1, 1, &none);
    V next = e_select(e, e_cmp(e, LLVMIntEQ, load_i64(e, index, l.iv), sample), l.iv, l.phi[0]);
    loop_end(e, &l, &next);
    return l.out[0];
}

/* args: {bytes of a row}, x, rows, condition, count, index, y */
static void emit_scatter(struct emit *e, const void *params)
{
    const struct copy_params *p = params;
    V bytes = load_i64(e, e_arg(e, 0), e_int(e, 0)), x = e_arg(e, 1), rows = e_arg(e, 2), zero = e_int(e, 0);
    V condition = e_arg(e, 3), count = e_arg(e, 4), index = e_arg(e, 5), y = e_arg(e, 6);
    V chosen = p->count ? load_i64(e, count, zero) : e_run_n(e);
    if (p->condition) chosen = e_select(e, e_cmp(e, LLVMIntNE, load_i64(e, condition, zero), zero), chosen, zero);
    struct loop l;
    loop_begin_once(e, &l, e->begin, e->end, 1, 0, NULL);
    V place = place_of(e, p, index, chosen, l.iv), offset = e_mul(e, l.iv, bytes);
    V from = e_select(e, e_cmp(e, LLVMIntSGE, place, zero), e_at_bytes(e, rows, e_mul(e, place, bytes)),
                      e_at_bytes(e, x, offset));
    copy_row(e, p, from, e_at_bytes(e, y, offset), bytes);
    loop_end(e, &l, NULL);
}

void lower_gather_samples(struct lower *lo, const struct node *n)
{
    struct copy_params p = copy_params(lo, &n->out[0]->type);
    const int64_t bytes = row_bytes(&n->out[0]->type);
    struct lower_arg args[] = {arg_data(lo, &bytes, sizeof bytes), arg_value(n->in[0]), arg_value(n->in[1]),
                               arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "gather", emit_gather, &p, sizeof p), 1, true, args, 4);
}

void lower_scatter_samples(struct lower *lo, const struct node *n)
{
    struct copy_params p = copy_params(lo, &n->out[0]->type);
    const int64_t bytes = row_bytes(&n->out[0]->type);
    struct lower_arg args[7] = {arg_data(lo, &bytes, sizeof bytes), arg_value(n->in[0]), arg_value(n->in[1])};
    int32_t *const given[] = {&p.condition, &p.count, &p.index};
    for (int i = 0; i < 3; i++) {
        const struct value *v = 2 + i < n->nin ? n->in[2 + i] : NULL;
        *given[i] = v != NULL;
        args[3 + i] = v ? arg_value(v) : arg_none();
    }
    args[6] = arg_value(n->out[0]);
    lower_step(lo, lower_kernel(lo, "scatter", emit_scatter, &p, sizeof p), 1, true, args, 7);
}

/* ---- which samples: one task, in order */

struct select_params {
    int32_t below, stride; /* stride: floats from a score to the next */
    double threshold;
    int64_t capacity; /* N */
};

/* args: score, count, index */
static void emit_select(struct emit *e, const void *params)
{
    const struct select_params *p = params;
    V score = e_arg(e, 0), count = e_arg(e, 1), index = e_arg(e, 2), zero = e_int(e, 0);
    struct loop l, tail;
    loop_begin_once(e, &l, zero, e_run_n(e), 1, 1, &zero);
    V x = e_load(e, e_at(e, score, e_muli(e, l.iv, p->stride)));
    V chosen = e_fcmp(e, p->below ? LLVMRealOLT : LLVMRealOGE, x, e_f32(e, p->threshold));
    store_i64(e, l.iv, index, l.phi[0]); /* the next one overwrites it unless it is chosen */
    V next = e_add(e, l.phi[0], e_select(e, chosen, e_int(e, 1), zero));
    loop_end(e, &l, &next);
    loop_begin(e, &tail, l.out[0], e_int(e, p->capacity), 1, 0, NULL);
    store_i64(e, zero, index, tail.iv);
    loop_end(e, &tail, NULL);
    store_i64(e, l.out[0], count, zero);
}

void lower_select_samples(struct lower *lo, const struct node *n)
{
    const struct type *t = &n->in[0]->type;
    struct select_params p;
    memset(&p, 0, sizeof p);
    p.below = (int32_t)node_int(n, "below");
    p.stride = (int32_t)(row_bytes(t) / 4);
    p.threshold = node_float(n, "threshold");
    p.capacity = t->dim[0];
    struct lower_arg args[] = {arg_value(n->in[0]), arg_value(n->out[0]), arg_value(n->out[1])};
    lower_step(lo, lower_kernel(lo, "select", emit_select, &p, sizeof p), 1, false, args, 3);
}
