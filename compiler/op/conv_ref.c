/* conv_ref.c: the textbook's way (Chellapilla et al. 2006): the pixels under the windows' taps become a matrix, and the
   sum a product of matrices. It shares nothing with the kernels of gen/, and every sum is one of doubles. Windows
   outside the image are settled in one place
   (`find_pixels`); the product (`multiply`) does not depend on images. Work is cut into jobs that write to different
   elements. */
#include "op/conv_ref.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/checked.h"

/* WINDOWS windows, or CHANNELS input channels, are one job's share; a matrix's columns come in panels of LANES. */
enum { WINDOWS = 128, CHANNELS = 8, LANES = 8, ROWS = 6, DEPTH = 256, MAX_THREADS = 64 };

/* ---- C[m, n] += sum over k of A[m, k] · B[k, n] */

/* A is anywhere, with steps by row and by column; B in panels: [N / LANES][K][LANES]; C has rows. */
struct product {
    int64_t m, n, k;
    const double *a;
    int64_t a_row, a_column;
    const double *b;
    double *c;
    int64_t c_row;
};

typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

/* DEPTH columns of ROWS rows of A, column by column; rows past the last repeat it, and are not stored. */
struct slice {
    double a[DEPTH][ROWS];
    int64_t row, k, depth;
};

static inline void take_slice(struct slice *s, const struct product *p, int64_t row, int64_t k)
{
    s->row = row;
    s->k = k;
    s->depth = min_i64(DEPTH, p->k - k);
    const double *a[ROWS];
    for (int64_t i = 0; i < ROWS; i++) a[i] = p->a + min_i64(row + i, p->m - 1) * p->a_row + k * p->a_column;
    for (int64_t d = 0; d < s->depth; d++)
        for (int64_t i = 0; i < ROWS; i++) s->a[d][i] = a[i][d * p->a_column];
}

/* A slice against one panel. */
static inline __attribute__((always_inline)) void multiply_slice(const struct product *p, const struct slice *s,
                                                                 int64_t panel)
{
    const double *b = p->b + (panel * p->k + s->k) * LANES;
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0};
    for (int64_t d = 0; d < s->depth; d++, b += LANES) {
        const lanes x = *(const lanes *)b;
        const double *a = s->a[d];
        s0 += a[0] * x;
        s1 += a[1] * x;
        s2 += a[2] * x;
        s3 += a[3] * x;
        s4 += a[4] * x;
        s5 += a[5] * x;
    }
    const lanes sums[ROWS] = {s0, s1, s2, s3, s4, s5};
    const int64_t first = panel * LANES;
    for (int64_t i = 0; i < min_i64(ROWS, p->m - s->row); i++)
        for (int64_t j = 0; j < min_i64(LANES, p->n - first); j++)
            p->c[(s->row + i) * p->c_row + first + j] += sums[i][j];
}

/* The slice stays in the first-level cache and B's part in the second. */
static inline __attribute__((always_inline)) void multiply_all(const struct product *p)
{
    struct slice s;
    for (int64_t k = 0; k < p->k; k += DEPTH)
        for (int64_t row = 0; row < p->m; row += ROWS) {
            take_slice(&s, p, row, k);
            for (int64_t panel = 0; panel * LANES < p->n; panel++) multiply_slice(p, &s, panel);
        }
}

/* The same C for the widest vectors that the processor has. Products are rounded before they are added (C17 contracts
   nothing), so the bits are the same on all. */
static void multiply_any(const struct product *p) { multiply_all(p); }
#ifdef __x86_64__
__attribute__((target("avx512f"))) static void multiply_avx512(const struct product *p) { multiply_all(p); }
__attribute__((target("avx2"))) static void multiply_avx2(const struct product *p) { multiply_all(p); }
#endif

static void multiply(const struct product *p)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) multiply_avx512(p);
    else if (__builtin_cpu_supports("avx2")) multiply_avx2(p);
    else multiply_any(p);
#else
    multiply_any(p);
#endif
}

/* ---- jobs */

/* What a thread works with: B of a product, and C where it is not the result itself. */
struct room {
    double *b, *c;
};
struct jobs {
    const struct conv_ref *conv;
    void (*run)(const struct jobs *j, int64_t job, struct room *room);
    int64_t count, taps, blocks;        /* taps of one channel; blocks of windows or of channels */
    int64_t in, out, x_pixels, windows; /* channels of one group; H·W; P·Q */
    size_t b, c;                        /* doubles of a room */
    atomic_llong next;
};

static void *work(void *arg)
{
    struct jobs *j = arg;
    struct arena *a = arena_new();
    struct room room = {ARENA_ARRAY(a, double, j->b), ARENA_ARRAY(a, double, j->c)};
    for (int64_t job; (job = atomic_fetch_add(&j->next, 1)) < j->count;) j->run(j, job, &room);
    arena_free(a);
    return NULL;
}

static void run_jobs(struct jobs *j)
{
    pthread_t thread[MAX_THREADS];
    int64_t wanted = min_i64(min_i64(j->conv->threads, j->count), MAX_THREADS) - 1;
    int started = 0;
    while (started < wanted && pthread_create(&thread[started], NULL, work, j) == 0) started++;
    work(j);
    while (started > 0) pthread_join(thread[--started], NULL);
}

static struct jobs jobs_of(const struct conv_ref *c, void (*run)(const struct jobs *j, int64_t job, struct room *room))
{
    return (struct jobs){
        .conv = c,
        .run = run,
        .taps = c->w[2] * c->w[3],
        .in = c->w[1],
        .out = c->w[0] / c->groups,
        .x_pixels = c->x[2] * c->x[3],
        .windows = c->y[2] * c->y[3],
    };
}

/* Number INDEX of a job in mixed radix: takes the last digit off. */
static int64_t digit(int64_t *index, int64_t radix)
{
    const int64_t d = *index % radix;
    *index /= radix;
    return d;
}

/* ---- windows and pixels */

/* The pixel of a channel's plane that lies under tap TAP of each of COUNT windows from FIRST on; -1: outside. */
static void find_pixels(const struct conv_ref *c, int64_t tap, int64_t first, int64_t count, int64_t *pixel)
{
    const int64_t r = tap / c->w[3], s = tap % c->w[3];
    for (int64_t j = 0; j < count; j++) {
        const int64_t p = (first + j) / c->y[3], q = (first + j) % c->y[3];
        const int64_t h = p * c->stride[0] - c->pad[0] + r * c->dilation[0];
        const int64_t v = q * c->stride[1] - c->pad[1] + s * c->dilation[1];
        pixel[j] = h < 0 || h >= c->x[2] || v < 0 || v >= c->x[3] ? -1 : h * c->x[3] + v;
    }
}

/* Element (row, column) of a matrix of ROWS_ rows in panels. */
static double *in_panel(double *b, int64_t rows, int64_t row, int64_t column)
{
    return &b[(column / LANES * rows + row) * LANES + column % LANES];
}

static int64_t whole_panels(int64_t columns) { return div_up(columns, LANES) * LANES; }

/* Sample N's channel I (of group G) of an image, of CHANNELS_ channels a group and PIXELS pixels. */
static double *plane(const struct conv_ref *c, double *image, int64_t n, int64_t g, int64_t i, int64_t channels,
                     int64_t pixels)
{
    return image + ((n * c->groups + g) * channels + i) * pixels;
}

/* ---- the three sums */

/* Y[o, window] = W[o, tap] · P[tap, window]: a sample, a group, a block of windows. */
static void run_y(const struct jobs *j, int64_t job, struct room *room)
{
    const struct conv_ref *c = j->conv;
    const int64_t first = digit(&job, j->blocks) * WINDOWS, g = digit(&job, c->groups), n = job,
                  count = min_i64(WINDOWS, j->windows - first);
    const int64_t rows = j->in * j->taps;
    int64_t pixel[WINDOWS];
    for (int64_t tap = 0; tap < j->taps; tap++) {
        find_pixels(c, tap, first, count, pixel);
        for (int64_t i = 0; i < j->in; i++) {
            const double *x = plane(c, c->X, n, g, i, j->in, j->x_pixels);
            for (int64_t k = 0; k < count; k++)
                *in_panel(room->b, rows, i * j->taps + tap, k) = pixel[k] < 0 ? 0 : x[pixel[k]];
        }
    }
    double *y = plane(c, c->Y, n, g, 0, j->out, j->windows) + first;
    for (int64_t o = 0; o < j->out; o++) memset(y + o * j->windows, 0, (size_t)count * sizeof *y);
    multiply(&(struct product){j->out, count, rows, c->W + g * j->out * rows, rows, 1, room->b, y, j->windows});
}

void conv_ref_y(const struct conv_ref *c)
{
    struct jobs j = jobs_of(c, run_y);
    j.blocks = div_up(j.windows, WINDOWS);
    j.count = c->n * c->groups * j.blocks;
    j.b = (size_t)(j.in * j.taps * WINDOWS);
    run_jobs(&j);
}

/* P[tap, window] = Wᵀ[tap, o] · Y[o, window], each element of which goes to its pixel of X: a sample, a group, a block
   of channels. */
static void run_x(const struct jobs *j, int64_t job, struct room *room)
{
    const struct conv_ref *c = j->conv;
    const int64_t from = digit(&job, j->blocks) * CHANNELS, g = digit(&job, c->groups), n = job,
                  channels = min_i64(CHANNELS, j->in - from);
    const int64_t rows = channels * j->taps, all = j->in * j->taps;
    int64_t pixel[WINDOWS];
    double *x = plane(c, c->X, n, g, from, j->in, j->x_pixels);
    memset(x, 0, (size_t)(channels * j->x_pixels) * sizeof *x);
    for (int64_t first = 0; first < j->windows; first += WINDOWS) {
        const int64_t count = min_i64(WINDOWS, j->windows - first);
        for (int64_t o = 0; o < j->out; o++) {
            const double *y = plane(c, c->Y, n, g, o, j->out, j->windows) + first;
            for (int64_t k = 0; k < count; k++) *in_panel(room->b, j->out, o, k) = y[k];
        }
        memset(room->c, 0, (size_t)(rows * WINDOWS) * sizeof *room->c);
        multiply(&(struct product){rows, count, j->out, c->W + g * j->out * all + from * j->taps, 1, all, room->b,
                                   room->c, WINDOWS});
        for (int64_t tap = 0; tap < j->taps; tap++) {
            find_pixels(c, tap, first, count, pixel);
            for (int64_t i = 0; i < channels; i++)
                for (int64_t k = 0; k < count; k++)
                    if (pixel[k] >= 0) x[i * j->x_pixels + pixel[k]] += room->c[(i * j->taps + tap) * WINDOWS + k];
        }
    }
}

void conv_ref_x(const struct conv_ref *c)
{
    struct jobs j = jobs_of(c, run_x);
    j.blocks = div_up(j.in, CHANNELS);
    j.count = c->n * c->groups * j.blocks;
    j.b = (size_t)(j.out * WINDOWS);
    j.c = (size_t)(CHANNELS * j.taps * WINDOWS);
    run_jobs(&j);
}

/* W[o, tap] = sum over samples of Y[o, window] · Pᵀ[window, tap]: a group, a block of channels. */
static void run_w(const struct jobs *j, int64_t job, struct room *room)
{
    const struct conv_ref *c = j->conv;
    const int64_t from = digit(&job, j->blocks) * CHANNELS, g = job, channels = min_i64(CHANNELS, j->in - from);
    const int64_t columns = channels * j->taps, all = j->in * j->taps;
    int64_t pixel[WINDOWS];
    double *w = c->W + g * j->out * all + from * j->taps;
    for (int64_t o = 0; o < j->out; o++) memset(w + o * all, 0, (size_t)columns * sizeof *w);
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t first = 0; first < j->windows; first += WINDOWS) {
            const int64_t count = min_i64(WINDOWS, j->windows - first);
            for (int64_t tap = 0; tap < j->taps; tap++) {
                find_pixels(c, tap, first, count, pixel);
                for (int64_t i = 0; i < channels; i++) {
                    const double *x = plane(c, c->X, n, g, from + i, j->in, j->x_pixels);
                    for (int64_t k = 0; k < count; k++)
                        *in_panel(room->b, count, k, i * j->taps + tap) = pixel[k] < 0 ? 0 : x[pixel[k]];
                }
            }
            const double *y = plane(c, c->Y, n, g, 0, j->out, j->windows) + first;
            multiply(&(struct product){j->out, columns, count, y, j->windows, 1, room->b, w, all});
        }
}

void conv_ref_w(const struct conv_ref *c)
{
    struct jobs j = jobs_of(c, run_w);
    j.blocks = div_up(j.in, CHANNELS);
    j.count = c->groups * j.blocks;
    j.b = (size_t)(whole_panels(CHANNELS * j.taps) * WINDOWS);
    run_jobs(&j);
}
