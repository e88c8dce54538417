/* pack.c: every layout is a rule that places runs of a plain tensor. A run is the KH·KW (or H·W) elements of one (a, b)
   pair of the leading dims, contiguous in the plain form, at a constant stride in the packed one. */
#include "runtime/rt/pack.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "runtime/rt/number.h"
#include "runtime/rt/winograd.h"

static size_t element_bytes(uint8_t dtype) { return rnc_number(dtype)->bytes; }

int64_t rnc_elements(const struct rnc_type *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++) n *= t->dim[k];
    return n;
}

size_t rnc_plain_bytes(const struct rnc_type *t) { return (size_t)rnc_elements(t) * element_bytes(t->dtype); }

/* Dims as four: a tensor of lower rank has trailing ones; a vector of channels [C] counts as one sample of C. */
struct runs {
    int64_t a, b, run; /* a·b runs of so many elements each */
    int64_t stride;    /* elements between neighbours of a run in the packed form */
};

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t dim_or_one(const struct rnc_type *t, int k) { return k < t->rank ? t->dim[k] : 1; }

static struct runs runs_of(const struct rnc_type *t)
{
    struct runs r = {
        .a = dim_or_one(t, 0), .b = dim_or_one(t, 1), .run = dim_or_one(t, 2) * dim_or_one(t, 3), .stride = 1};
    switch ((enum rnc_layout)t->layout) {
    case RNC_PLAIN: break;
    case RNC_BLOCKED:
        if (t->rank == 1) r.b = r.a, r.a = 1;
        r.stride = t->v;
        break;
    case RNC_WEIGHT: r.stride = (int64_t)t->iv * t->v; break;
    case RNC_WEIGHT_T: r.stride = (int64_t)t->v * t->v; break;
    case RNC_DEPTHWISE: r.stride = t->v; break;
    case RNC_WINOGRAD:
    case RNC_WINOGRAD_T:
    case RNC_WINOGRAD_S: break; /* no rearrangement: transform_weights */
    }
    return r;
}

/* Number LANE of ROW in a block of weights: rows of v; of types whose products take a group, the numbers of so many
   rows side by side (VDPBF16PS). */
static int64_t in_block(const struct rnc_type *t, int64_t row, int64_t lane)
{
    int64_t group = rnc_number(t->dtype)->group;
    if (group == 1) return row * t->v + lane;
    return row / group * group * t->v + lane * group + row % group;
}

/* Pairs of weights that run along a row of taps (ir/graph.h). */
static bool pairs_along_rows(const struct rnc_type *t)
{
    return t->layout == RNC_WEIGHT && rnc_number(t->dtype)->group == 2 && t->iv % 2;
}

/* Elements of such a row for v output channels, and of a block of its input channels. */
static int64_t paired_row(const struct rnc_type *t) { return up(dim_or_one(t, 3) * t->iv, 2) * 2 * t->v; }
static int64_t paired_block(const struct rnc_type *t) { return dim_or_one(t, 2) * paired_row(t); }

/* Where element TAP of the run (a, b) lies then. */
static int64_t paired_offset(const struct rnc_type *t, const struct runs *r, int64_t a, int64_t b, int64_t tap)
{
    int64_t v = t->v, iv = t->iv, columns = dim_or_one(t, 3), at = tap % columns * iv + b % iv;
    if (columns * iv % 2 && at == columns * iv - 1) at++;
    return (a / v * up(r->b, iv) + b / iv) * paired_block(t) + tap / columns * paired_row(t) + in_block(t, at, a % v);
}

static void copy_paired(const struct rnc_type *t, char *packed, char *plain, bool pack)
{
    struct runs r = runs_of(t);
    for (int64_t a = 0; a < r.a; a++)
        for (int64_t b = 0; b < r.b; b++)
            for (int64_t k = 0; k < r.run; k++, plain += sizeof(uint16_t)) {
                char *at = packed + (size_t)paired_offset(t, &r, a, b, k) * sizeof(uint16_t);
                memcpy(pack ? at : plain, pack ? plain : at, sizeof(uint16_t));
            }
}

/* Where the run (a, b) begins in the packed form, in elements. */
static int64_t run_offset(const struct rnc_type *t, const struct runs *r, int64_t a, int64_t b)
{
    int64_t v = t->v, iv = t->iv;
    switch ((enum rnc_layout)t->layout) {
    case RNC_PLAIN: return (a * r->b + b) * r->run;
    case RNC_BLOCKED: return (a * up(r->b, v) + b / v) * r->run * v + b % v;
    case RNC_WEIGHT: return (a / v * up(r->b, iv) + b / iv) * r->run * iv * v + in_block(t, b % iv, a % v);
    case RNC_WEIGHT_T: return (b / v * up(r->a, v) + a / v) * r->run * v * v + in_block(t, a % v, b % v);
    case RNC_DEPTHWISE: return a / v * r->run * v + a % v;
    case RNC_WINOGRAD:
    case RNC_WINOGRAD_T:
    case RNC_WINOGRAD_S: break;
    }
    return 0;
}

static int64_t packed_elements(const struct rnc_type *t)
{
    struct runs r = runs_of(t);
    int64_t v = t->v, iv = t->iv;
    switch ((enum rnc_layout)t->layout) {
    case RNC_PLAIN: return rnc_elements(t);
    case RNC_BLOCKED: return r.a * up(r.b, v) * v * r.run;
    case RNC_WEIGHT:
        return pairs_along_rows(t) ? up(r.a, v) * up(r.b, iv) * paired_block(t)
                                   : up(r.a, v) * v * up(r.b, iv) * iv * r.run;
    case RNC_WEIGHT_T: return up(r.a, v) * v * up(r.b, v) * v * r.run;
    case RNC_DEPTHWISE: return up(r.a, v) * v * r.run;
    case RNC_WINOGRAD:
    case RNC_WINOGRAD_T:
    case RNC_WINOGRAD_S: return up(r.a, v) * v * up(r.b, v) * v * (iv + 2) * (iv + 2);
    }
    return 0;
}

size_t rnc_packed_bytes(const struct rnc_type *t) { return (size_t)packed_elements(t) * element_bytes(t->dtype); }

/* Copies COUNT elements with strides, in elements. */
static void copy_run(size_t bytes, char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count)
{
#define COPY_AS(T)                                                       \
    for (int64_t k = 0; k < count; k++) {                                \
        T x;                                                             \
        memcpy(&x, src + (size_t)(k * src_stride) * sizeof x, sizeof x); \
        memcpy(dst + (size_t)(k * dst_stride) * sizeof x, &x, sizeof x); \
    }
    switch (bytes) {
    case 1: COPY_AS(uint8_t); break;
    case 2: COPY_AS(uint16_t); break;
    case 4: COPY_AS(uint32_t); break;
    case 8: COPY_AS(uint64_t); break;
    default: assert(0 && "element size");
    }
#undef COPY_AS
}

static bool is_winograd(const struct rnc_type *t)
{
    return t->layout == RNC_WINOGRAD || t->layout == RNC_WINOGRAD_T || t->layout == RNC_WINOGRAD_S;
}

static const struct rnc_winograd *winograd_of(const struct rnc_type *t)
{
    return rnc_winograd_of(t->iv, t->layout == RNC_WINOGRAD_S ? 2 : 1);
}

/* G g Gᵀ of one 3×3 kernel, FLIP: its taps turned round, in double precision. */
static void transform_kernel(const struct rnc_winograd *w, const float *g, bool flip,
                             double u[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX])
{
    double t[RNC_WINOGRAD_MAX][3];
    for (int i = 0; i < w->kernels; i++)
        for (int c = 0; c < 3; c++) {
            t[i][c] = 0;
            for (int r = 0; r < 3; r++) t[i][c] += w->g[i][r] * (double)g[flip ? 8 - (3 * r + c) : 3 * r + c];
        }
    for (int i = 0; i < w->kernels; i++)
        for (int j = 0; j < w->kernels; j++)
            u[i][j] = t[i][0] * w->g[j][0] + t[i][1] * w->g[j][1] + t[i][2] * w->g[j][2];
}

/* One-dimensional inverse of G, from its last row, which is g2, and the first pair of points ±a: in their rows' sum or
   difference g1 is left, in the other a sum of g0 and g2. Where there is a point 0, its row is a multiple of g0. Of
   stride 2, g1 has a row, and g0 is left in the pair's. */
static void restore_1d(const struct rnc_winograd *w, const double *u, int64_t stride, double *g)
{
    const double *row = w->g[w->first];
    double plus = u[w->first * stride], minus = u[(w->first + 1) * stride];
    if (row[0] != w->g[w->first + 1][0]) minus = -minus;
    if (w->stride == 2) {
        g[0] = (plus + minus) / (2 * row[0]);
        g[1] = u[(w->kernels - 2) * stride];
        g[2] = u[(w->kernels - 1) * stride];
        return;
    }
    g[1] = (plus - minus) / (2 * row[1]);
    g[2] = u[(w->tile - 1) * stride] / w->g[w->tile - 1][2];
    g[0] = w->first ? u[0] / w->g[0][0] : ((plus + minus) / 2 - row[2] * g[2]) / row[0];
}

static void restore_kernel(const struct rnc_winograd *w, double u[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX], bool flip,
                           float *g)
{
    double t[3][RNC_WINOGRAD_MAX];
    for (int j = 0; j < w->kernels; j++) {
        double column[3];
        restore_1d(w, &u[0][j], RNC_WINOGRAD_MAX, column);
        for (int r = 0; r < 3; r++) t[r][j] = column[r];
    }
    for (int r = 0; r < 3; r++) {
        double row[3];
        restore_1d(w, t[r], 1, row);
        for (int c = 0; c < 3; c++) g[flip ? 8 - (3 * r + c) : 3 * r + c] = (float)row[c];
    }
}

/* Where the kernel of output channel O and input channel I begins: [O/v][kernels²][I/v][v i][v o]; RNC_WINOGRAD_T: O
   and I change places. STEP: elements between two points of the transform. */
static int64_t kernel_offset(const struct rnc_type *t, int64_t points, int64_t o, int64_t i, int64_t *step)
{
    bool flip = t->layout == RNC_WINOGRAD_T;
    int64_t v = t->v, inner = up(t->dim[flip ? 0 : 1], v), a = flip ? i : o, b = flip ? o : i;
    *step = inner * v * v;
    return ((a / v * points * inner + b / v) * v + b % v) * v + a % v;
}

static void transform_weights(const struct rnc_type *t, const float *plain, float *packed)
{
    const struct rnc_winograd *w = winograd_of(t);
    int64_t points = (int64_t)w->kernels * w->kernels, step;
    memset(packed, 0, rnc_packed_bytes(t));
    for (int64_t o = 0; o < t->dim[0]; o++)
        for (int64_t i = 0; i < t->dim[1]; i++) {
            double u[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX];
            transform_kernel(w, plain + (o * t->dim[1] + i) * 9, t->layout == RNC_WINOGRAD_T, u);
            float *to = packed + kernel_offset(t, points, o, i, &step);
            for (int p = 0; p < points; p++) to[p * step] = (float)u[p / w->kernels][p % w->kernels];
        }
}

static void restore_weights(const struct rnc_type *t, const float *packed, float *plain)
{
    const struct rnc_winograd *w = winograd_of(t);
    int64_t points = (int64_t)w->kernels * w->kernels, step;
    for (int64_t o = 0; o < t->dim[0]; o++)
        for (int64_t i = 0; i < t->dim[1]; i++) {
            double u[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX];
            const float *from = packed + kernel_offset(t, points, o, i, &step);
            for (int p = 0; p < points; p++) u[p / w->kernels][p % w->kernels] = (double)from[p * step];
            restore_kernel(w, u, t->layout == RNC_WINOGRAD_T, plain + (o * t->dim[1] + i) * 9);
        }
}

void rnc_pack(const struct rnc_type *t, const void *plain, void *packed)
{
    if (is_winograd(t)) {
        transform_weights(t, plain, packed);
        return;
    }
    size_t size = element_bytes(t->dtype);
    if (t->layout == RNC_PLAIN) {
        memcpy(packed, plain, rnc_plain_bytes(t));
        return;
    }
    struct runs r = runs_of(t);
    if (packed_elements(t) != rnc_elements(t)) memset(packed, 0, rnc_packed_bytes(t));
    if (pairs_along_rows(t)) {
        copy_paired(t, packed, (char *)(uintptr_t)plain, true);
        return;
    }
    const char *src = plain;
    for (int64_t a = 0; a < r.a; a++)
        for (int64_t b = 0; b < r.b; b++, src += (size_t)r.run * size)
            copy_run(size, (char *)packed + (size_t)run_offset(t, &r, a, b) * size, r.stride, src, 1, r.run);
}

void rnc_unpack(const struct rnc_type *t, const void *packed, void *plain)
{
    if (is_winograd(t)) {
        restore_weights(t, packed, plain);
        return;
    }
    size_t size = element_bytes(t->dtype);
    if (t->layout == RNC_PLAIN) {
        memcpy(plain, packed, rnc_plain_bytes(t));
        return;
    }
    if (pairs_along_rows(t)) {
        copy_paired(t, (char *)(uintptr_t)packed, plain, false);
        return;
    }
    struct runs r = runs_of(t);
    char *dst = plain;
    for (int64_t a = 0; a < r.a; a++)
        for (int64_t b = 0; b < r.b; b++, dst += (size_t)r.run * size)
            copy_run(size, dst, 1, (const char *)packed + (size_t)run_offset(t, &r, a, b) * size, r.stride, r.run);
}

void rnc_bn_fold(const struct rnc_type *weight, uint32_t axis, double eps, float *w, const float *bias,
                 const float *gamma, const float *beta, const float *mean, const float *var, float *b_out)
{
    int64_t outer = 1, inner = 1, channels = weight->dim[axis];
    for (uint32_t k = 0; k < axis; k++) outer *= weight->dim[k];
    for (int k = (int)axis + 1; k < weight->rank; k++) inner *= weight->dim[k];
    for (int64_t c = 0; c < channels; c++) {
        double scale = (double)gamma[c] / sqrt((double)var[c] + eps);
        b_out[c] = (float)((double)beta[c] + ((bias ? (double)bias[c] : 0.0) - (double)mean[c]) * scale);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < inner; i++) {
                float *x = &w[(o * channels + c) * inner + i];
                *x = (float)((double)*x * scale);
            }
    }
}
