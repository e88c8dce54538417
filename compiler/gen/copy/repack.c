/* repack.c: changes of layout. Every layout is affine in five indices (runtime/rt/pack.c has the same rules):

       outer o (the sample; of weights the block of v outputs), block b0 of v second-dimension channels, and inside
       a1 (output in the block; weights only), b1 (channel in the block), r (pixel or tap)

   so a repack is a strided copy. A task is one (o, b0). Where source and result are contiguous along the same index,
   vectors are copied; else v × v tiles over the two contiguous indices are transposed in registers. */
#include "gen/copy/repack.h"

#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/lanes.h"

enum axis { A1, B1, R, AXES };

/* Strides in elements. */
struct form {
    int64_t outer, block, stride[AXES];
};

/* A kernel depends on which axes are contiguous only. */
struct repack_params {
    int32_t from, to; /* enum axis: contiguous in the source and in the result */
    int32_t bytes;    /* u8 (positions of maxima, which only tests see in another layout): element by element */
};

/* The constant table. Limits: what remains of the axis from o·step or b0·step on; real: what the source holds, whole:
   what is written. */
enum {
    T_BLOCKS,
    T_A_STEP,
    T_A,
    T_B_STEP,
    T_B,
    T_R,
    T_A_WHOLE,
    T_B_WHOLE,
    T_SRC,
    T_DST = T_SRC + 5,
    T_ENTRIES = T_DST + 5
};

struct repack {
    const struct repack_params *p;
    V src, dst;                /* of this task */
    V ss[AXES], ds[AXES];      /* strides */
    V real[AXES], whole[AXES]; /* of this task */
};

static V limit(struct emit *e, V size, V first) { return e_sub(e, size, first); }

static V offset(struct emit *e, const V *stride, const V *index)
{
    V at = e_int(e, 0);
    for (int k = 0; k < AXES; k++) at = e_add(e, at, e_mul(e, index[k], stride[k]));
    return at;
}

static V if_below(struct emit *e, V index, V size, V count)
{
    return e_select(e, e_cmp(e, LLVMIntSLT, index, size), count, e_int(e, 0));
}

/* Lanes of a source vector that are there, at INDEX along all axes but FROM. */
static V real_lanes(struct emit *e, const struct repack *r, const V *index)
{
    int from = r->p->from;
    V count = e_sub(e, r->real[from], index[from]);
    for (int k = 0; k < AXES; k++)
        if (k != from) count = if_below(e, index[k], r->real[k], count);
    return count;
}

static void copy_vector(struct emit *e, const struct repack *r, const V *index)
{
    V x = e_load_masked(e, e_at(e, r->src, offset(e, r->ss, index)), real_lanes(e, r, index));
    e_store_masked(e, x, e_at(e, r->dst, offset(e, r->ds, index)), e_sub(e, r->whole[r->p->to], index[r->p->to]));
}

static void tile_full(struct emit *e, const struct repack *r, const V *index)
{
    V rows[MAX_LANES], src = e_at(e, r->src, offset(e, r->ss, index)), dst = e_at(e, r->dst, offset(e, r->ds, index));
    for (int i = 0; i < e->v; i++, src = e_at(e, src, r->ss[r->p->to])) rows[i] = e_load_v(e, src);
    lanes_transpose(e, rows);
    for (int i = 0; i < e->v; i++, dst = e_at(e, dst, r->ds[r->p->from])) e_store_v(e, rows[i], dst);
}

/* At the edges: one row of the result after another, its lanes gathered. */
static void tile_partial(struct emit *e, const struct repack *r, const V *index)
{
    int from = r->p->from, to = r->p->to, other = AXES - from - to;
    struct loop l;
    V at[AXES], end = e_min(e, r->whole[from], e_addi(e, index[from], e->v));
    memcpy(at, index, sizeof at);
    loop_begin(e, &l, index[from], end, 1, 0, NULL);
    at[from] = l.iv;
    V real =
        if_below(e, l.iv, r->real[from], if_below(e, index[other], r->real[other], e_sub(e, r->real[to], index[to])));
    V x = lanes_gather(e, r->src, offset(e, r->ss, at), r->ss[to], e_lane_mask(e, real));
    e_store_masked(e, x, e_at(e, r->dst, offset(e, r->ds, at)), e_sub(e, r->whole[to], index[to]));
    loop_end(e, &l, NULL);
}

/* V × V over the two contiguous axes; the third at its index. */
static void tile(struct emit *e, const struct repack *r, const V *index)
{
    int from = r->p->from, to = r->p->to, other = AXES - from - to;
    struct branch f;
    V full = e_cmp(e, LLVMIntSGE, e_sub(e, r->real[from], index[from]), e_int(e, e->v));
    full = LLVMBuildAnd(e->b, full, e_cmp(e, LLVMIntSGE, e_sub(e, r->real[to], index[to]), e_int(e, e->v)), "");
    full = LLVMBuildAnd(e->b, full, e_cmp(e, LLVMIntSLT, index[other], r->real[other]), "");
    if_begin(e, &f, full);
    tile_full(e, r, index);
    if_else(e, &f);
    tile_partial(e, r, index);
    if_end(e, &f);
}

static void copy_byte(struct emit *e, const struct repack *r, const V *index)
{
    V there = e_cmp(e, LLVMIntSLT, index[A1], r->real[A1]), zero = LLVMConstInt(e->i8, 0, 0);
    there = LLVMBuildAnd(e->b, there, e_cmp(e, LLVMIntSLT, index[B1], r->real[B1]), "");
    V at = e_select(e, there, offset(e, r->ss, index), e_int(e, 0));
    V x = e_select(e, there, e_load_t(e, e->i8, e_at_bytes(e, r->src, at), 1), zero);
    e_store_align(e, x, e_at_bytes(e, r->dst, offset(e, r->ds, index)), 1);
}

static void emit_task(struct emit *e, const struct repack *r)
{
    struct loop l[AXES];
    V index[AXES];
    static const int order[AXES] = {R, A1, B1};
    for (int i = 0; i < AXES; i++) {
        int k = order[i];
        int64_t step = !r->p->bytes && (k == r->p->from || k == r->p->to) ? e->v : 1;
        loop_begin(e, &l[i], e_int(e, 0), r->whole[k], step, 0, NULL);
        index[k] = l[i].iv;
    }
    if (r->p->bytes) copy_byte(e, r, index);
    else if (r->p->from == r->p->to) copy_vector(e, r, index);
    else tile(e, r, index);
    for (int i = AXES - 1; i >= 0; i--) loop_end(e, &l[i], NULL);
}

/* args: table, source, result */
static void emit_repack(struct emit *e, const void *params)
{
    struct repack r = {.p = params};
    V table = e_arg(e, 0), src = e_arg(e, 1), dst = e_arg(e, 2), blocks = table_i64(e, table, T_BLOCKS),
      entry[T_ENTRIES];
    for (int i = 0; i < T_ENTRIES; i++) entry[i] = table_i64(e, table, i);
    struct loop task;
    loop_begin_once(e, &task, e->begin, e->end, 1, 0, NULL);
    V o = e_div(e, task.iv, blocks), b = e_rem(e, task.iv, blocks);
    V a_first = e_mul(e, o, entry[T_A_STEP]), b_first = e_mul(e, b, entry[T_B_STEP]), lanes = e_int(e, e->v);
    V (*at)(struct emit *, V, V) = r.p->bytes ? e_at_bytes : e_at;
    r.src = at(e, src, e_add(e, e_mul(e, o, entry[T_SRC]), e_mul(e, b, entry[T_SRC + 1])));
    r.dst = at(e, dst, e_add(e, e_mul(e, o, entry[T_DST]), e_mul(e, b, entry[T_DST + 1])));
    for (int k = 0; k < AXES; k++) {
        r.ss[k] = entry[T_SRC + 2 + k];
        r.ds[k] = entry[T_DST + 2 + k];
    }
    r.real[A1] = e_min(e, lanes, limit(e, entry[T_A], a_first));
    r.real[B1] = e_min(e, lanes, limit(e, entry[T_B], b_first));
    r.whole[A1] = e_min(e, lanes, limit(e, entry[T_A_WHOLE], a_first));
    r.whole[B1] = e_min(e, lanes, limit(e, entry[T_B_WHOLE], b_first));
    r.real[R] = r.whole[R] = entry[T_R];
    emit_task(e, &r);
    loop_end(e, &task, NULL);
}

/* ---- copies. args: table {bytes in a task, bytes in all}, source, result */

struct copy_params {
    int32_t unused;
};

static void emit_copy(struct emit *e, const void *params)
{
    (void)params;
    V table = e_arg(e, 0), src = e_arg(e, 1), dst = e_arg(e, 2), chunk = table_i64(e, table, 0),
      all = table_i64(e, table, 1);
    V from = e_mul(e, e->begin, chunk), to = e_min(e, e_mul(e, e->end, chunk), all);
    LLVMBuildMemCpy(e->b, e_at_bytes(e, dst, from), 4, e_at_bytes(e, src, from), 4, e_sub(e, to, from));
}

void lower_plain_copy(struct lower *lo, const struct node *n)
{
    enum { CHUNK = 65536 };
    const struct type *t = &n->out[0]->type;
    bool samples = n->in[0]->type.batched;
    struct copy_params p = {0};
    int64_t all = (int64_t)type_bytes(t), chunk = samples ? all / t->dim[0] : CHUNK, table[] = {chunk, all};
    assert(all == (int64_t)type_bytes(&n->in[0]->type));
    struct lower_arg args[] = {arg_data(lo, table, sizeof table), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "copy", emit_copy, &p, sizeof p), samples ? 1 : div_up(all, chunk), samples, args,
               3);
}

/* ---- lowering */

/* The logical value: activations [a samples][b channels][r]; weights [a][b][r]; a vector [C] is one sample. */
struct shape {
    int64_t a, b, r;
    int v;
    bool weights;
};

static struct shape shape_of(const struct type *t, int v, bool weights)
{
    struct shape s = {.a = t->rank > 1 ? t->dim[0] : 1,
                      .b = t->rank > 1 ? t->dim[1]
                           : t->rank   ? t->dim[0]
                                       : 1,
                      .r = 1,
                      .v = v,
                      .weights = weights};
    for (int k = 2; k < t->rank; k++) s.r *= t->dim[k];
    return s;
}

static struct form form_of(const struct type *t, const struct shape *s)
{
    int64_t v = s->v, ab = div_up(s->a, v), bb = div_up(s->b, v), iv = t->iv, r = s->r;
    switch (t->layout) {
    case LAYOUT_PLAIN: return (struct form){(s->weights ? v : 1) * s->b * r, v * r, {s->b * r, r, 1}};
    case LAYOUT_BLOCKED: return (struct form){bb * r * v, r * v, {0, 1, v}};
    case LAYOUT_WEIGHT: return (struct form){div_up(s->b, iv) * iv * r * v, iv * r * v, {1, v, iv * v}};
    case LAYOUT_WEIGHT_T: return (struct form){r * v * v, ab * r * v * v, {v, 1, v * v}};
    case LAYOUT_DEPTHWISE: return (struct form){r * v, 0, {1, 0, v}};
    case LAYOUT_WINOGRAD:
    case LAYOUT_WINOGRAD_T:
    case LAYOUT_WINOGRAD_S: break; /* no rearrangement: gen/winograd/winograd_weights.c */
    }
    return (struct form){0};
}

static enum axis contiguous(const struct type *t, const struct shape *s)
{
    switch (t->layout) {
    case LAYOUT_PLAIN: return s->r > 1 ? R : B1;
    case LAYOUT_BLOCKED:
    case LAYOUT_WEIGHT_T: return B1;
    default: return A1;
    }
}

static bool is_weight_layout(enum layout l)
{
    return l == LAYOUT_WEIGHT || l == LAYOUT_WEIGHT_T || l == LAYOUT_DEPTHWISE;
}

static void fill_table(int64_t *t, const struct type *from, const struct type *to, const struct shape *s)
{
    int64_t v = s->v;
    struct form src = form_of(from, s), dst = form_of(to, s);
    t[T_BLOCKS] = div_up(s->b, v);
    t[T_A_STEP] = s->weights ? v : 0;
    t[T_B_STEP] = v;
    t[T_A] = s->weights ? s->a : 1;
    t[T_B] = s->b;
    t[T_R] = s->r;
    t[T_A_WHOLE] = is_weight_layout(to->layout) ? round_up(s->a, v) : t[T_A];
    t[T_B_WHOLE] = to->layout == LAYOUT_BLOCKED || to->layout == LAYOUT_WEIGHT_T ? round_up(s->b, v)
                   : to->layout == LAYOUT_WEIGHT                                 ? round_up(s->b, to->iv)
                                                                                 : s->b;
    const int64_t *strides[2] = {src.stride, dst.stride};
    const struct form *forms[2] = {&src, &dst};
    for (int i = 0; i < 2; i++) {
        int64_t *f = t + (i ? T_DST : T_SRC);
        f[0] = forms[i]->outer;
        f[1] = forms[i]->block;
        memcpy(f + 2, strides[i], AXES * sizeof *f);
    }
}

/* ---- packed f32 weights as bf16 pairs of the channels that are summed (ir/graph.h) */

struct pairs_params {
    int32_t transposed, dtype; /* enum dtype */
};

/* Of blocks: in a row of the result; source blocks that a step to the next row, the next block means; and taps of one.
 */
enum { P_INNER, P_ROW, P_BLOCK, P_TAPS, P_ENTRIES };

/* Lane by lane EVEN and ODD side by side, to DST. */
static void store_pair(struct emit *e, enum dtype dt, V even, V odd, V dst)
{
    e_store_align(e, e_pair_halves(e, e_narrow(e, dt, even), e_narrow(e, dt, odd)), dst, 4u * (unsigned)e->v);
}

/* V × V weights at SRC, to DST. */
static void pair_block(struct emit *e, const struct pairs_params *p, V src, V dst)
{
    const enum dtype dt = (enum dtype)p->dtype;
    V rows[MAX_LANES];
    for (int i = 0; i < e->v; i++) rows[i] = e_load_va(e, e_ati(e, src, (int64_t)i * e->v));
    if (p->transposed) lanes_transpose(e, rows);
    for (int i = 0; i < e->v; i += 2) store_pair(e, dt, rows[i], rows[i + 1], e_ati_d(e, dt, dst, (int64_t)i * e->v));
}

/* args: table, source, result. Tasks: blocks of the result. */
static void emit_pairs(struct emit *e, const void *params)
{
    const struct pairs_params *p = params;
    const int64_t block = (int64_t)e->v * e->v;
    V table = e_arg(e, 0), src = e_arg(e, 1), dst = e_arg(e, 2), entry[P_ENTRIES];
    for (int i = 0; i < P_ENTRIES; i++) entry[i] = table_i64(e, table, i);
    struct loop task, tap;
    loop_begin(e, &task, e->begin, e->end, 1, 0, NULL);
    V row = e_div(e, task.iv, entry[P_INNER]), in = e_rem(e, task.iv, entry[P_INNER]);
    V first = e_mul(e, e_add(e, e_mul(e, row, entry[P_ROW]), e_mul(e, in, entry[P_BLOCK])), entry[P_TAPS]);
    loop_begin_once(e, &tap, e_int(e, 0), entry[P_TAPS], 1, 0, NULL);
    V from = e_add(e, first, tap.iv), to = e_add(e, e_mul(e, task.iv, entry[P_TAPS]), tap.iv);
    pair_block(e, p, e_at(e, src, e_muli(e, from, block)), e_at_d(e, (enum dtype)p->dtype, dst, e_muli(e, to, block)));
    loop_end(e, &tap, NULL);
    loop_end(e, &task, NULL);
}

/* A stem's weights, whose pairs run along rows of taps (ir/graph.h). Tasks: rows, of NUMBERS each. */
struct row_params {
    int64_t numbers, dtype; /* enum dtype */
};

static void emit_row_pairs(struct emit *e, const void *params)
{
    const struct row_params *p = params;
    const enum dtype dt = (enum dtype)p->dtype;
    int64_t even = p->numbers / 2 * 2, v = e->v;
    struct loop task, pair;
    V src = e_arg(e, 0), dst = e_arg(e, 1);
    loop_begin(e, &task, e->begin, e->end, 1, 0, NULL);
    V from = e_at(e, src, e_muli(e, task.iv, p->numbers * v)),
      to = e_at_d(e, dt, dst, e_muli(e, task.iv, round_up(p->numbers, 2) * v));
    loop_begin(e, &pair, e_int(e, 0), e_int(e, even), 2, 0, NULL);
    V first = e_at(e, from, e_muli(e, pair.iv, v));
    store_pair(e, dt, e_load_va(e, first), e_load_va(e, e_ati(e, first, v)), e_at_d(e, dt, to, e_muli(e, pair.iv, v)));
    loop_end(e, &pair, NULL);
    if (p->numbers > even)
        store_pair(e, dt, e_zero(e), e_load_va(e, e_ati(e, from, even * v)), e_ati_d(e, dt, to, even * v));
    loop_end(e, &task, NULL);
}

static void lower_row_pairs(struct lower *lo, const struct node *n)
{
    const struct type *from = &n->in[0]->type, *to = &n->out[0]->type;
    bool taps = to->rank == 4;
    assert(from->layout == LAYOUT_WEIGHT && from->dtype == dtype_computed(to->dtype) && to->layout == LAYOUT_WEIGHT &&
           from->iv == to->iv && from->v == to->v);
    struct row_params p = {to->iv * (taps ? to->dim[3] : 1), to->dtype};
    int64_t rows = div_up(to->dim[0], to->v) * div_up(to->dim[1], to->iv) * (taps ? to->dim[2] : 1);
    struct lower_arg args[] = {arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "repack_row_pairs", emit_row_pairs, &p, sizeof p), rows, false, args, 2);
}

static void lower_pairs(struct lower *lo, const struct node *n)
{
    const struct type *from = &n->in[0]->type, *to = &n->out[0]->type;
    if (to->layout == LAYOUT_WEIGHT && to->iv != to->v) {
        lower_row_pairs(lo, n);
        return;
    }
    assert(from->dtype == dtype_computed(to->dtype) && from->layout == LAYOUT_WEIGHT && from->iv == from->v);
    assert(to->layout == LAYOUT_WEIGHT_T || to->layout == LAYOUT_WEIGHT);
    int64_t o = div_up(to->dim[0], to->v), i = div_up(to->dim[1], to->v),
            taps = to->rank == 4 ? to->dim[2] * to->dim[3] : 1;
    struct pairs_params p = {to->layout == LAYOUT_WEIGHT_T, (int32_t)to->dtype};
    int64_t table[P_ENTRIES] = {[P_INNER] = p.transposed ? o : i,
                                [P_ROW] = p.transposed ? 1 : i,
                                [P_BLOCK] = p.transposed ? i : 1,
                                [P_TAPS] = taps};
    struct lower_arg args[] = {arg_data(lo, table, sizeof table), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "repack_pairs", emit_pairs, &p, sizeof p), o * i, false, args, 3);
}

/* ---- the caller's image as rounded pixels, whose few channels lie side by side */

/* Tasks of a sample: CHUNK of its PIXELS each, a multiple of the lanes. */
struct pixels_params {
    int64_t channels, pixels, chunk, dtype; /* enum dtype */
};

/* V pixels of which X has a vector for each channel: vector K of their numbers, pixel by pixel. */
static V pixels_vector(struct emit *e, const struct pixels_params *p, const V *x, int64_t k)
{
    const int64_t channels = p->channels;
    V r = LLVMConstNull(e_stored(e, (enum dtype)p->dtype)), lane[MAX_LANES];
    for (int64_t c = 0; c < channels; c++) { /* r's lanes up to here, and this channel's */
        for (int64_t i = 0; i < e->v; i++) {
            int64_t at = k * e->v + i;
            lane[i] = LLVMConstInt(e->i32, (unsigned long long)(at % channels == c ? e->v + at / channels : i), 0);
        }
        r = LLVMBuildShuffleVector(e->b, r, x[c], LLVMConstVector(lane, (unsigned)e->v), "");
    }
    return r;
}

/* The pixels at SRC, of which COUNT are there (NULL: all v), to DST. */
static void pixels_block(struct emit *e, const struct pixels_params *p, V src, V dst, V count)
{
    const enum dtype dt = (enum dtype)p->dtype;
    V x[MAX_LANES];
    assert(p->channels <= MAX_LANES);
    for (int64_t c = 0; c < p->channels; c++) {
        V at = e_ati(e, src, c * p->pixels);
        x[c] = e_narrow(e, dt, count ? e_load_masked(e, at, count) : e_load_v(e, at));
    }
    for (int64_t k = 0; k < p->channels; k++)
        e_store_align(e, pixels_vector(e, p, x, k), e_ati_d(e, dt, dst, k * e->v), (unsigned)dtype_bytes(dt));
}

static void emit_pixels(struct emit *e, const void *params)
{
    const struct pixels_params *p = params;
    const enum dtype dt = (enum dtype)p->dtype;
    int64_t chunks = div_up(p->pixels, p->chunk), bytes = (int64_t)dtype_bytes(dt);
    V src = e_arg(e, 0), dst = e_arg(e, 1), whole_lanes = e_local(e, p->channels);
    struct loop task, blocks;
    struct branch tail;
    loop_begin(e, &task, e->begin, e->end, 1, 0, NULL);
    V image = e_muli(e, e_divi(e, task.iv, chunks), p->channels * p->pixels),
      first = e_muli(e, e_remi(e, task.iv, chunks), p->chunk);
    V last = e_min(e, e_addi(e, first, p->chunk), e_int(e, p->pixels)), whole = e_muli(e, e_divi(e, last, e->v), e->v);
    V from = e_at(e, src, image), to = e_at_d(e, dt, dst, image);
    loop_begin(e, &blocks, first, whole, e->v, 0, NULL);
    pixels_block(e, p, e_at(e, from, blocks.iv), e_at_d(e, dt, to, e_muli(e, blocks.iv, p->channels)), NULL);
    loop_end(e, &blocks, NULL);
    V count = e_sub(e, last, whole);
    if_begin(e, &tail, e_cmp(e, LLVMIntSGT, count, e_int(e, 0)));
    pixels_block(e, p, e_at(e, from, whole), whole_lanes, count);
    LLVMBuildMemCpy(e->b, e_at_d(e, dt, to, e_muli(e, whole, p->channels)), (unsigned)bytes, whole_lanes,
                    (unsigned)bytes, e_muli(e, count, bytes * p->channels));
    if_end(e, &tail);
    loop_end(e, &task, NULL);
}

static void lower_pixels(struct lower *lo, const struct node *n)
{
    enum { CHUNK = 1 << 14 }; /* pixels: enough to be handed out */
    const struct type *to = &n->out[0]->type;
    bool samples = n->in[0]->type.batched;
    assert(n->in[0]->type.layout == LAYOUT_PLAIN && n->in[0]->type.dtype == dtype_computed(to->dtype) &&
           to->rank == 4 && to->v == to->dim[1]);
    struct pixels_params p = {to->v, to->dim[2] * to->dim[3], 0, to->dtype};
    p.chunk = round_up(div_up(p.pixels, div_up(p.pixels, CHUNK)), lower_target(lo)->lanes);
    int64_t tasks = div_up(p.pixels, p.chunk);
    struct lower_arg args[] = {arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, "repack_pixels", emit_pixels, &p, sizeof p), samples ? tasks : tasks * to->dim[0],
               samples, args, 2);
}

void lower_repack(struct lower *lo, const struct node *n)
{
    const struct type *from = &n->in[0]->type, *to = &n->out[0]->type;
    if (dtype_group(to->dtype) == 2 && is_weight_layout(to->layout)) {
        lower_pairs(lo, n);
        return;
    }
    if (dtype_rounded(to->dtype) && !dtype_rounded(from->dtype)) {
        lower_pixels(lo, n);
        return;
    }
    if (type_equal(from, to)) {
        lower_plain_copy(lo, n);
        return;
    }
    assert(from->dtype == to->dtype && (dtype_bytes(from->dtype) == sizeof(float) || from->dtype == DT_U8));
    int v = lower_target(lo)->lanes;
    bool weights = is_weight_layout(from->layout) || is_weight_layout(to->layout);
    struct shape s = shape_of(to, v, weights);
    struct repack_params p = {(int32_t)contiguous(from, &s), (int32_t)contiguous(to, &s), from->dtype == DT_U8};
    /* Blocks of v channels; a WEIGHT of narrower blocks has one. */
    assert((from->layout != LAYOUT_WEIGHT || from->iv == v || from->iv >= s.b) &&
           (to->layout != LAYOUT_WEIGHT || to->iv == v || to->iv >= s.b));
    bool samples = !weights && from->batched;
    int64_t table[T_ENTRIES], outer = weights ? div_up(s.a, v) : samples ? 1 : s.a;
    fill_table(table, from, to, &s);
    struct lower_arg args[] = {arg_data(lo, table, sizeof table), arg_value(n->in[0]), arg_value(n->out[0])};
    lower_step(lo, lower_kernel(lo, n->op->name, emit_repack, &p, sizeof p), outer * table[T_BLOCKS], samples, args, 3);
}
