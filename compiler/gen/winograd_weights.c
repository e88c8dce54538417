/* winograd_weights.c: the one-dimensional transforms as vector code, and the step that transforms weights while they are trained (those
   of inference are transformed by runtime/pack.c when they are loaded). */
#include <string.h>
#include "base/checked.h"
#include "gen/emit.h"
#include "gen/winograd.h"
#include "runtime/winograd.h"

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

/* Rows r and r + 1 of Bᵀ for the points ±a: columns agree every other place, from the last one on, and differ in sign between. */
static bool mirrored(const double (*bt)[T], int n, int r, int *parity)
{
    *parity = last_of(bt[r], n, 0) > last_of(bt[r], n, 1) ? 0 : 1;
    for (int i = 0; i < n; i++)
        if (bt[r][i] != (i % 2 == *parity ? bt[r + 1][i] : -bt[r + 1][i])) return false;
    return true;
}

int winograd_input_rows(struct emit *e, const struct rnc_winograd *w, const V *d, int r, V *out)
{
    const double *row = w->bt[r];
    int parity;
    if (r + 1 == w->tile || !mirrored(w->bt, w->tile, r, &parity)) {
        out[0] = weighted(e, row, 1, w->tile, d, 0, 1);
        return 1;
    }
    double c = row[last_of(row, w->tile, 1 - parity)];
    V same = weighted(e, row, 1, w->tile, d, parity, 2), other = weighted(e, row, c, w->tile, d, 1 - parity, 2);
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
    int first = w->first, last = w->tile - 1, pairs = (last - first) / 2;
    for (int k = 0; k < pairs; k++) {
        sum[k] = e_fadd(e, m[first + 2 * k], m[first + 1 + 2 * k]);
        difference[k] = e_fsub(e, m[first + 2 * k], m[first + 1 + 2 * k]);
    }
    for (int r = 0; r < w->m; r++) {
        V x = r == 0 && first ? m[0] : NULL;
        if (w->at[r][last] != 0) x = scaled_add(e, x, w->at[r][last], m[last]);
        for (int k = 0; k < pairs; k++) x = scaled_add(e, x, w->at[r][first + 2 * k], r % 2 ? difference[k] : sum[k]);
        out[r] = x;
    }
}

/* The rows of G for ±a differ in the sign of the middle number, or of both others. */
void winograd_weight_1d(struct emit *e, const struct rnc_winograd *w, const V *g, V *out)
{
    for (int r = 0; r < w->tile; r++) {
        const double *row = w->g[r], *next = r + 1 < w->tile ? w->g[r + 1] : row;
        double sign = row[1] == -next[1] ? 1 : -1;
        if (row[1] != 0 && r + 1 < w->tile && row[0] == sign * next[0] && row[1] == -sign * next[1] && row[2] == sign * next[2]) {
            V outer = weighted(e, row, 1, 3, g, 0, 2), middle = weighted(e, row, 1, 3, g, 1, 2);
            out[r] = e_fadd(e, outer, middle);
            out[r + 1] = sign > 0 ? e_fsub(e, outer, middle) : e_fsub(e, middle, outer);
            r++;
        } else out[r] = weighted(e, row, 1, 3, g, 0, 1);
    }
}

/* ---- weights */

struct weights_params { int64_t m, inner, rows, flip; };

/* Arguments: packed [A/v][B/v][9][v b][v a], transformed [A/v][points][B/v][v b][v a]. Pieces: (block of A, block of B). */
static void weights_emit(struct emit *e, const void *params)
{
    const struct weights_params *p = params;
    const struct rnc_winograd *w = rnc_winograd_of((int)p->m);
    int n = w->tile;
    V from = e_arg(e, 0), to = e_arg(e, 1);
    int64_t block = (int64_t)e->v * e->v;
    struct loop pieces, lanes;
    loop_begin(e, &pieces, e->begin, e->end, 1, 0, NULL);
    V a = e_divi(e, pieces.iv, p->inner), b = e_remi(e, pieces.iv, p->inner);
    V src0 = e_at(e, from, e_muli(e, pieces.iv, 9 * block));
    V dst0 = e_at(e, to, e_add(e, e_muli(e, a, n * n * p->inner * block), e_muli(e, b, block)));
    loop_begin_once(e, &lanes, e_int(e, 0), e_int(e, e->v), 1, 0, NULL);
    V src = e_at(e, src0, e_muli(e, lanes.iv, e->v)), dst = e_at(e, dst0, e_muli(e, lanes.iv, e->v)), t[T][3];
    for (int c = 0; c < 3; c++) {
        V g[3], column[T];
        for (int r = 0; r < 3; r++) g[r] = e_load_va(e, e_ati(e, src, (p->flip ? 8 - (3 * r + c) : 3 * r + c) * block));
        winograd_weight_1d(e, w, g, column);
        for (int i = 0; i < n; i++) t[i][c] = column[i];
    }
    for (int i = 0; i < n; i++) {
        V row[T];
        winograd_weight_1d(e, w, t[i], row);
        for (int j = 0; j < n; j++) e_store_va(e, row[j], e_ati(e, dst, (i * n + j) * p->inner * block));
    }
    loop_end(e, &lanes, NULL);
    loop_end(e, &pieces, NULL);
}

void lower_winograd_weights(struct lower *lo, const struct node *n)
{
    const struct type *t = &n->out[0]->type;
    struct weights_params p;
    memset(&p, 0, sizeof p);
    p.flip = t->layout == LAYOUT_WINOGRAD_T;
    p.m = t->iv;
    p.inner = div_up(t->dim[p.flip ? 0 : 1], t->v);
    struct lower_arg args[] = {arg_value(n->in[0]), arg_value(n->out[0])};
    int kernel = lower_kernel(lo, "winograd_weights", weights_emit, &p, sizeof p);
    lower_step(lo, kernel, div_up(t->dim[p.flip ? 1 : 0], t->v) * p.inner, false, args, 2);
}
