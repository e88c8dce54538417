/* winograd_wgrad_1d.c: the one-dimensional transforms that only Winograd's weight gradient has (winograd_wgrad.h): A
   for dY and Gᵀ for the sums. */
#include "gen/emit/emit.h"
#include "gen/winograd/winograd_wgrad.h"
#include "runtime/rt/winograd.h"

static V times(struct emit *e, V x, double c) { return c == 1 ? x : e_fmul(e, x, e_splatc(e, c)); }
static V add_times(struct emit *e, V sum, double c, V x)
{
    return c == 1 ? e_fadd(e, sum, x) : e_fma(e, x, e_splatc(e, c), sum);
}

/* A: m values of dY become m + 2. For the points ±a the odd part is a times Σ a^(r−1) d[r], added once and subtracted
   once. */
void winograd_gradient_1d(struct emit *e, const struct rnc_winograd *w, const V *d, V *out)
{
    int last = w->tile - 1;
    if (w->first) out[0] = d[0];
    out[last] = d[w->m - 1];
    for (int k = w->first; k < last; k += 2) {
        double a = w->at[1][k];
        V even = d[0], odd = d[1];
        for (int r = 2; r < w->m; r++) {
            if (r % 2) odd = add_times(e, odd, w->at[r][k] / a, d[r]);
            else even = add_times(e, even, w->at[r][k], d[r]);
        }
        out[k] = add_times(e, even, a, odd);
        out[k + 1] = a == 1 ? e_fsub(e, even, odd) : add_times(e, even, -a, odd);
    }
}

/* SUM (NULL: 0) + c · x. */
static V plus_times(struct emit *e, V sum, double c, V x) { return sum ? add_times(e, sum, c, x) : times(e, x, c); }

/* Gᵀ: m + 2 values become three. The rows of G for ±a agree in their first and last number and differ in the sign of
   the middle one, or the other way round. */
void winograd_weight_back_1d(struct emit *e, const struct rnc_winograd *w, const V *s, V *out)
{
    int last = w->tile - 1;
    out[0] = w->first ? times(e, s[0], w->g[0][0]) : NULL;
    out[1] = NULL;
    out[2] = s[last];
    for (int k = w->first; k < last; k += 2) {
        V sum = e_fadd(e, s[k], s[k + 1]), difference = e_fsub(e, s[k], s[k + 1]);
        bool agree = w->g[k][0] == w->g[k + 1][0];
        out[0] = plus_times(e, out[0], w->g[k][0], agree ? sum : difference);
        out[1] = plus_times(e, out[1], w->g[k][1], agree ? difference : sum);
        out[2] = add_times(e, out[2], w->g[k][2], agree ? sum : difference);
    }
}
