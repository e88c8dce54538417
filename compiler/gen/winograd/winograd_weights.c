/* winograd_weights.c: the one-dimensional transforms as vector code, and the step that transforms weights while they
   are trained (those of inference are transformed by runtime/rt/pack.c when they are loaded). */
#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "gen/emit/lanes.h"
#include "gen/winograd/winograd.h"
#include "kernel/algorithm.h"
#include "kernel/winograd.h"
#include "runtime/rt/winograd.h"

enum { T = RNC_WINOGRAD_MAX };

/* ---- one-dimensional transforms on vectors */

static V scaled_add(struct emit *e, V sum, double c, V x)
{
    if (c == 0) return sum;
    if (!sum) return c == 1 ? x : e_fmul(e, x, e_splatc(e, c));
    if (c == 1) return e_fadd(e, sum, x);
    if (c == -1) return e_fsub(e, sum, x);
    return e_fma(e, x, e_splatc(e, c), sum);
}

/* Σ row[i] / unit · x[i] over i = first, first + stride, … */
static V weighted(struct emit *e, const double *row, double unit, int n, const V *x, int first, int stride)
{
    V sum = NULL;
    for (int pass = 0; pass < 2; pass++) /* a term with factor 1 first, if there is one: it costs nothing */
        for (int i = first; i < n; i += stride)
            if ((row[i] == unit) == (pass == 0)) sum = scaled_add(e, sum, row[i] / unit, x[i]);
    return sum ? sum : e_zero(e);
}

static int last_of(const double *row, int n, int parity)
{
    int last = -1;
    for (int i = parity; i < n; i += 2)
        if (row[i] != 0) last = i;
    return last;
}

/* Rows r and r + 1 of Bᵀ for the points ±a: columns agree every other place, from the last one on, and differ in sign
   between. */
static bool mirrored(const double (*bt)[T], int n, int r, int *parity)
{
    *parity = last_of(bt[r], n, 0) > last_of(bt[r], n, 1) ? 0 : 1;
    for (int i = 0; i < n; i++)
        if (bt[r][i] != (i % 2 == *parity ? bt[r + 1][i] : -bt[r + 1][i])) return false;
    return true;
}

/* The row of Bᵀ for point R; -1 where it is the sample 2 (R − m) + 1 itself. */
static int mixed_row(const struct rnc_winograd *w, int r)
{
    if (w->stride == 1 || r < w->mixed - 1) return r;
    return r == w->tile - 1 ? w->mixed - 1 : -1;
}

static int sample_of(const struct rnc_winograd *w, int r) { return 2 * (r - w->mixed + 1) + 1; }

bool winograd_input_reads(const struct rnc_winograd *w, int r, int i)
{
    int row = mixed_row(w, r);
    return row < 0 ? i == sample_of(w, r) : i % w->stride == 0 && w->bt[row][i / w->stride] != 0;
}

int winograd_input_rows(struct emit *e, const struct rnc_winograd *w, const V *all, int point, V *out)
{
    int n = w->mixed, r = mixed_row(w, point), parity;
    V d[T];
    if (r < 0) {
        out[0] = all[sample_of(w, point)];
        return 1;
    }
    for (int i = 0; i < n; i++) d[i] = all[i * w->stride];
    const double *row = w->bt[r];
    if (r + 1 == n || !mirrored(w->bt, n, r, &parity)) {
        out[0] = weighted(e, row, 1, n, d, 0, 1);
        return 1;
    }
    double c = row[last_of(row, n, 1 - parity)];
    V same = weighted(e, row, 1, n, d, parity, 2), other = weighted(e, row, c, n, d, 1 - parity, 2);
    out[0] = scaled_add(e, same, c, other);
    out[1] = c == 1 ? e_fsub(e, same, other) : e_fma(e, LLVMBuildFNeg(e->b, other, ""), e_splatc(e, c), same);
    return 2;
}

void winograd_input_1d(struct emit *e, const struct rnc_winograd *w, const V *d, V *out)
{
    for (int r = 0; r < w->tile;) r += winograd_input_rows(e, w, d, r, out + r);
}

/* Aᵀ: the columns of the points ±a are equal or opposite, so sums and differences of pairs are formed once. */
void winograd_output_1d(struct emit *e, const struct rnc_winograd *w, const V *m, V *out)
{
    V sum[T / 2], difference[T / 2];
    int first = w->first, last = w->mixed - 1, pairs = (last - first) / 2;
    for (int k = 0; k < pairs; k++) {
        sum[k] = e_fadd(e, m[first + 2 * k], m[first + 1 + 2 * k]);
        difference[k] = e_fsub(e, m[first + 2 * k], m[first + 1 + 2 * k]);
    }
    for (int r = 0; r < w->m; r++) {
        V x = r == 0 && first ? m[0] : NULL;
        if (w->at[r][last] != 0) x = scaled_add(e, x, w->at[r][last], m[w->tile - 1]);
        for (int k = 0; k < pairs; k++) x = scaled_add(e, x, w->at[r][first + 2 * k], r % 2 ? difference[k] : sum[k]);
        out[r] = w->stride == 1 ? x : e_fadd(e, x, m[last + r]);
    }
}

/* Row R of G g, and the next where both are those of ±a, which differ in the sign of the middle number, or of both
   others: how many. What a row has no use for may be NULL in G. */
static int weight_rows(struct emit *e, const struct rnc_winograd *w, const V *g, int r, V *out)
{
    const double *row = w->g[r], *next = r + 1 < w->kernels ? w->g[r + 1] : row;
    double sign = row[1] == -next[1] ? 1 : -1;
    if (row[1] == 0 || r + 1 == w->kernels || row[0] != sign * next[0] || row[1] != -sign * next[1] ||
        row[2] != sign * next[2]) {
        out[0] = weighted(e, row, 1, 3, g, 0, 1);
        return 1;
    }
    V outer = weighted(e, row, 1, 3, g, 0, 2), middle = weighted(e, row, 1, 3, g, 1, 2);
    out[0] = e_fadd(e, outer, middle);
    out[1] = sign > 0 ? e_fsub(e, outer, middle) : e_fsub(e, middle, outer);
    return 2;
}

void winograd_weight_1d(struct emit *e, const struct rnc_winograd *w, const V *g, V *out)
{
    for (int r = 0; r < w->kernels;) r += weight_rows(e, w, g, r, out + r);
}

/* ---- weights

   A task is one block of v × v kernels: 9 blocks are read, (m + 2)² written, each at the same place of another point.
   Two rows of the transform at a time, so that few places are written to at once; the blocks of the next task are
   prefetched meanwhile. Results larger than the second-level cache by far go past the caches: they would have to be
   read before they are written, and be gone before they are used. */

enum { TAPS = 9, LINE = 16 /* floats of a cache line */, MAX_STEP = 4, STREAM = 4 /* times the second-level cache */ };

struct weights_params {
    int64_t m, stride, across, inner, turn, stream;
};

struct weights_emitter {
    struct emit *e;
    const struct weights_params *p;
    const struct rnc_winograd *w;
    V from, to;
    int64_t block; /* floats */
};

/* The blocks of task K. */
static V task_source(const struct weights_emitter *c, V k)
{
    struct emit *e = c->e;
    const struct weights_params *p = c->p;
    if (p->turn) k = e_add(e, e_muli(e, e_remi(e, k, p->inner), p->across), e_divi(e, k, p->inner));
    return e_at(e, c->from, e_muli(e, k, TAPS * c->block));
}

static V task_result(const struct weights_emitter *c, V k)
{
    struct emit *e = c->e;
    V a = e_divi(e, k, c->p->inner), b = e_remi(e, k, c->p->inner);
    return e_at(e, c->to,
                e_add(e, e_muli(e, a, c->w->kernels * c->w->kernels * c->p->inner * c->block), e_muli(e, b, c->block)));
}

/* Rows and columns of the nine blocks change places, on their way into the scratch. */
static V transposed(const struct weights_emitter *c, V src)
{
    struct emit *e = c->e;
    struct loop taps;
    loop_begin(e, &taps, e_int(e, 0), e_int(e, TAPS), 1, 0, NULL);
    V rows[MAX_LANES], at = e_muli(e, taps.iv, c->block), from = e_at(e, src, at), to = e_at(e, e->scratch, at);
    for (int i = 0; i < e->v; i++) rows[i] = e_load_va(e, e_ati(e, from, i * e->v));
    lanes_transpose(e, rows);
    for (int i = 0; i < e->v; i++) e_store_va(e, rows[i], e_ati(e, to, i * e->v));
    loop_end(e, &taps, NULL);
    return e->scratch;
}

/* Row R of G g, and the one that it shares work with, for the v kernels at SRC. */
static int column_rows(const struct weights_emitter *c, V src, int r, V (*t)[3])
{
    struct emit *e = c->e;
    int rows = 0;
    for (int k = 0; k < 3; k++) {
        V g[3] = {NULL}, out[2];
        for (int i = 0; i < 3; i++)
            if (c->w->g[r][i] != 0)
                g[i] = e_load_va(e, e_ati(e, src, (c->p->turn ? 8 - (3 * i + k) : 3 * i + k) * c->block));
        rows = weight_rows(e, c->w, g, r, out);
        for (int i = 0; i < rows; i++) t[i][k] = out[i];
    }
    return rows;
}

/* The rows that begin at R, of STEP times v kernels. What goes past the caches is written line by line: parts of lines
   are slower by ten times. */
static int transform_rows(const struct weights_emitter *c, V src, V dst, int r, int64_t step)
{
    struct emit *e = c->e;
    V t[MAX_STEP][2][3], row[MAX_STEP][T];
    int n = c->w->kernels, rows = 0;
    for (int64_t u = 0; u < step; u++) rows = column_rows(c, e_ati(e, src, u * e->v), r, t[u]);
    for (int i = 0; i < rows; i++) {
        for (int64_t u = 0; u < step; u++) winograd_weight_1d(e, c->w, t[u][i], row[u]);
        for (int j = 0; j < n; j++)
            for (int64_t u = 0; u < step; u++)
                (c->p->stream
                     ? e_stream_va
                     : e_store_va)(e, row[u][j], e_ati(e, dst, ((r + i) * n + j) * c->p->inner * c->block + u * e->v));
    }
    return rows;
}

static void transform_task(const struct weights_emitter *c, V src, V dst, V next)
{
    struct emit *e = c->e;
    int64_t step = c->p->stream ? LINE / e->v : 1,
            lines = div_up(TAPS * e->v * step, LINE); /* of the next task, for each turn of the first loop */
    for (int r = 0; r < c->w->kernels;) {
        struct loop l;
        loop_begin(e, &l, e_int(e, 0), e_int(e, e->v), step, 0, NULL);
        V at = e_muli(e, l.iv, e->v), prefetch = e_at(e, next, e_muli(e, e_divi(e, l.iv, step), lines * LINE));
        for (int64_t i = 0; r == 0 && i < lines; i++) e_prefetch(e, e_ati(e, prefetch, i * LINE));
        r += transform_rows(c, e_at(e, src, at), e_at(e, dst, at), r, step);
        loop_end(e, &l, NULL);
    }
}

/* Arguments: packed [A/v][B/v][9][v b][v a] (turn, for dgrad: [B/v][across][9][v a][v b], of which A/v, and the taps
   turned round), transformed [A/v][points][B/v][v b][v a]. Tasks: (block of A, block of B). */
static void weights_emit(struct emit *e, const void *params)
{
    const struct weights_params *p = params;
    struct weights_emitter c = {.e = e,
                                .p = p,
                                .w = rnc_winograd_of((int)p->m, (int)p->stride),
                                .from = e_arg(e, 0),
                                .to = e_arg(e, 1),
                                .block = (int64_t)e->v * e->v};
    struct loop tasks;
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    V src = task_source(&c, tasks.iv), next = task_source(&c, e_addi(e, tasks.iv, 1));
    transform_task(&c, p->turn ? transposed(&c, src) : src, task_result(&c, tasks.iv), next);
    loop_end(e, &tasks, NULL);
    if (p->stream) e_stream_end(e);
}

/* WEIGHTS, packed, turned round where LAYOUT is dgrad's: the output blocks [FIRST, FIRST + COUNT) of the transformed
   ones go to TO. */
static void add_step(struct lower *lo, struct value *weights, enum layout layout, int64_t m, int64_t first,
                     int64_t count, bool stream, struct lower_arg to)
{
    const struct type *w = &weights->type;
    struct weights_params p;
    memset(&p, 0, sizeof p);
    assert(w->layout == LAYOUT_WEIGHT && w->iv == w->v);
    p.turn = layout == LAYOUT_WINOGRAD_T;
    p.m = m;
    p.stride = layout == LAYOUT_WINOGRAD_S ? 2 : 1;
    p.inner = div_up(w->dim[p.turn ? 0 : 1], w->v);
    p.across = p.turn ? div_up(w->dim[1], w->v) : 0;
    p.stream = stream;
    size_t block = TAPS * (size_t)w->v * (size_t)w->v * sizeof(float),
           from = (size_t)(first * (p.turn ? 1 : p.inner)) * block;
    if (p.turn) lower_scratch(lo, block);
    struct lower_arg args[] = {arg_offset(weights, from), to};
    lower_step(lo, lower_kernel(lo, "winograd_weights", weights_emit, &p, sizeof p), count * p.inner, false, args, 2);
}

void lower_winograd_weights(struct lower *lo, const struct node *n)
{
    const struct type *t = &n->out[0]->type;
    int64_t blocks = div_up(t->dim[t->layout == LAYOUT_WINOGRAD_T ? 1 : 0], t->v);
    add_step(lo, n->in[0], t->layout, t->iv, 0, blocks, type_bytes(t) > STREAM * lower_target(lo)->l2_bytes,
             arg_value(n->out[0]));
}

void lower_winograd_chunk(struct lower *lo, const struct node *n, int64_t first, int64_t count, struct lower_arg to)
{
    add_step(lo, n->in[1], winograd_layout(n), algorithm_of(n)->tile, first, count, false, to);
}
