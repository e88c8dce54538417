/* wgrad_staged.c: gradients by weights of operands in bf16. Their pixels go through this worker's scratch, a band at a
   time, where they are made into what the multipliers take; the sum over a band then finds them as the fp32 kernel
   finds its own (wgrad.c, whose partition this one has). A unit of v floats there is

     widened (pack 1)   a pixel's vector as fp32, for fused multiply-adds;
     paired (pack 2)    two pixels of a row in bf16, channel by channel, whose products are summed by one instruction
   (e_dot): dw[o, i] gains x[p][i]·dy[p][o] + x[p+1][i]·dy[p+1][o], of which the two of x are one broadcast of 32
   bits. Where the CPU does that at twice the fp32 rate.

   With stride s and tap offset a, a unit of x is columns pack·s·j + a (and + s), j counting the units of a row of dy.
   Offsets that are equal modulo pack·s share their units; each such class is a row of its own: paired, one for 1×1, two
   for windows of stride 1. What lies outside the image is zero there, as is the second dy of a row's lone last pixel.

   A stem's few channels lie pixel by pixel, and so they do when they are staged: each number of a row of x, widened or
   beside the one s columns further on. Every tap finds its units in that one row, pack·s columns apart. */
#include <string.h>
#include "base/checked.h"
#include "gen/conv/segments.h"
#include "gen/wgrad/wgrad.h"

struct staged {
    struct emit *e;
    const struct wgrad_staged_params *p;
    struct wgrad_task task;
    V x[MAX_SEGMENTS], dy; /* the first sample of the band */
    V group;               /* the first input block of the task's group */
    V xs,
        ds; /* staged: [input blocks][images][x_rows][classes][count] and [output blocks][images][band][units] units */
    V margins;                               /* few: a row of x in bf16 between zeros */
    V images, r0, r1;                        /* the band: images of the partial, rows of dy */
    V t0, t1;                                /* its rows of x, counted as they are staged */
    V last;                                  /* i1: is it the last of its images? */
    V prefetch_x, prefetch_dy[WGRAD_MAX_OV]; /* i1: is it these blocks' turn to prefetch the next band's? */
    V far_x,
        far_dy;  /* the operands' next band, where row 0 of this one would begin: x's block, dy's first output block */
    V far_image; /* elements of x from one image of it to the next */
};

static int64_t x_row(const struct wgrad_staged_params *p, int64_t v)
{
    return p->few ? round_up(p->count * p->g.x.w, v) : p->classes * p->count * v;
}
/* Elements of the row between zeros: what is staged, and s columns more. */
static int64_t margins_row(const struct wgrad_staged_params *p, int64_t v)
{
    return p->few ? round_up(x_row(p, v) + p->g.stride[1] * p->g.x.w, v) : 0;
}
static int64_t x_image(const struct wgrad_staged_params *p, int64_t v) { return p->x_rows * x_row(p, v); }
static int64_t dy_row(const struct wgrad_staged_params *p, int64_t v) { return p->units * v; }
static int64_t dy_image(const struct wgrad_staged_params *p, int64_t v) { return p->g.band * dy_row(p, v); }

/* How the sum walks over x: floats to the next image of the band, row and unit of dy, channel. A plain image's few
   channels are read where they lie. */
struct walk {
    int64_t image, row, unit, channel;
};

static bool is_plain(const struct wgrad_params *g) { return g->x.cb == 0; }

static struct walk walk_of(const struct wgrad_staged_params *p, int64_t v)
{
    const struct wgrad_params *g = &p->g;
    if (is_plain(g)) return (struct walk){g->partials * g->x.n, g->stride[0] * g->x.h, g->stride[1] * g->x.w, g->x.c};
    if (p->few)
        return (struct walk){x_image(p, v), g->stride[0] / p->x_step * x_row(p, v), p->pack * g->stride[1] * g->x.w, 1};
    return (struct walk){x_image(p, v), g->stride[0] / p->x_step * x_row(p, v), v, 1};
}

/* ---- staging */

/* Two pixels of one channel block, DISTANCE elements apart, channel by channel; an absent one (NULL) is zero. */
static V load_pair(struct emit *e, enum dtype dt, V a, V b, int64_t distance)
{
    LLVMTypeRef half = e_stored(e, dt), both = LLVMVectorType(LLVMGetElementType(half), 2 * (unsigned)e->v);
    unsigned align = 2 * (unsigned)e->v;
    V lane[2 * MAX_LANES], zero = LLVMConstNull(half);
    for (int i = 0; i < e->v; i++) {
        lane[2 * i] = LLVMConstInt(e->i32, (unsigned)i, 0);
        lane[2 * i + 1] = LLVMConstInt(e->i32, (unsigned)(i + e->v), 0);
    }
    V order = LLVMConstVector(lane, 2 * (unsigned)e->v);
    if (a && b && distance == e->v)
        return LLVMBuildShuffleVector(e->b, e_load_t(e, both, a, align), LLVMConstNull(both), order, "");
    V first = a ? e_load_t(e, half, a, align) : zero, second = b ? e_load_t(e, half, b, align) : zero;
    return LLVMBuildShuffleVector(e->b, first, second, order, "");
}

/* A row of WIDTH pixels of DT numbers, PIXEL elements apart, of which unit j is columns pack·s·j + r (and + s). */
struct row_shape {
    enum dtype dt;
    int64_t width, pixel, pack, s, r, first, count;
};

/* The unit whose pixels are at A and, paired, at B; NULL: outside the image. */
static V load_unit(struct emit *e, const struct row_shape *w, V a, V b)
{
    if (!a && !b) return e_zero(e);
    return w->pack == 2 ? load_pair(e, w->dt, a, b, w->s * w->pixel) : e_load_vd(e, w->dt, a);
}

/* Unit J, whose columns may be outside. */
static void stage_edge(struct emit *e, const struct row_shape *w, V from, V to, int64_t j)
{
    V at[2] = {NULL, NULL};
    for (int64_t k = 0; k < w->pack; k++) {
        int64_t column = (w->pack * j + k) * w->s + w->r;
        if (column >= 0 && column < w->width) at[k] = e_ati_d(e, w->dt, from, column * w->pixel);
    }
    e_store_align(e, load_unit(e, w, at[0], at[1]), e_ati(e, to, (j - w->first) * e->v), 4 * (unsigned)e->v);
}

enum { STAGE_UNROLL = 4 };

/* Units [J0, J1), all inside, UNROLL an iteration: loads before stores. */
static void stage_units(struct emit *e, const struct row_shape *w, V from, V to, int64_t j0, int64_t j1, int64_t unroll)
{
    struct loop l;
    if (j0 >= j1) return;
    loop_begin_once(e, &l, e_int(e, j0), e_int(e, j1), unroll, 0, NULL);
    int64_t step = w->pack * w->s * w->pixel;
    V at = e_at_d(e, w->dt, from, e_addi(e, e_muli(e, l.iv, step), w->r * w->pixel)),
      out = e_at(e, to, e_muli(e, e_addi(e, l.iv, -w->first), e->v));
    V unit[STAGE_UNROLL];
    for (int64_t k = 0; k < unroll; k++) {
        V a = e_ati_d(e, w->dt, at, k * step);
        unit[k] = load_unit(e, w, a, e_ati_d(e, w->dt, a, w->s * w->pixel));
    }
    for (int64_t k = 0; k < unroll; k++) e_store_align(e, unit[k], e_ati(e, out, k * e->v), 4 * (unsigned)e->v);
    loop_end(e, &l, NULL);
}

static void stage_row(struct emit *e, const struct row_shape *w, V from, V to)
{
    /* unit j is inside for 0 <= step·j <= whole */
    int64_t step = w->pack * w->s, last = w->first + w->count, whole = w->width - 1 - w->r - (w->pack - 1) * w->s;
    int64_t j0 = max_i64(w->first, 0), j1 = max_i64(j0, min_i64(last, whole < 0 ? 0 : whole / step + 1));
    for (int64_t j = w->first; j < min_i64(j0, last); j++) stage_edge(e, w, from, to, j);
    int64_t most = j0 + (j1 - j0) / STAGE_UNROLL * STAGE_UNROLL;
    stage_units(e, w, from, to, j0, most, STAGE_UNROLL);
    stage_units(e, w, from, to, most, j1, 1);
    for (int64_t j = j1; j < last; j++) stage_edge(e, w, from, to, j);
}

static int64_t period_of(const struct wgrad_staged_params *p) { return p->pack * p->g.stride[1]; }

/* Is there a tap whose columns are of class R? */
static bool class_used(const struct wgrad_staged_params *p, int64_t r)
{
    int64_t period = period_of(p);
    for (int64_t k = 0; k < p->g.kernel[1]; k++)
        if (((k * p->g.dilation[1] - p->g.pad[1] - r) % period) == 0) return true;
    return false;
}

static int64_t class_of(const struct wgrad_staged_params *p, int64_t index)
{
    int64_t period = period_of(p);
    return p->classes > 1 ? index : -p->g.pad[1] - div_down(-p->g.pad[1], period) * period;
}

/* A row of few channels: it goes between its zeros, and is read from there number by number. */
static void stage_few(struct staged *c, V from, V to)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const enum dtype dt = conv_view_dtype(&p->g.x);
    LLVMTypeRef half = e_stored(e, dt);
    int64_t pixel = p->g.x.w, second = p->g.stride[1] * pixel, all = x_row(p, e->v), unroll = STAGE_UNROLL;
    int64_t inside = min_i64(p->g.iw, p->first + p->count + p->g.stride[1]);
    V row = e_ati_d(e, dt, c->margins, -p->first * pixel), unit[STAGE_UNROLL];
    if (inside > 0) LLVMBuildMemCpy(e->b, row, 2, from, 2, e_int(e, inside * pixel * 2));
    while (all / e->v % unroll) unroll--;
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), e_int(e, all), unroll * e->v, 0, NULL);
    V at = e_at_d(e, dt, c->margins, l.iv), out = e_at(e, to, l.iv);
    for (int64_t k = 0; k < unroll; k++) {
        V one = e_ati_d(e, dt, at, k * e->v), x = e_load_t(e, half, one, 2);
        unit[k] =
            p->pack == 1 ? e_widen(e, dt, x) : e_pair_halves(e, x, e_load_t(e, half, e_ati_d(e, dt, one, second), 2));
    }
    for (int64_t k = 0; k < unroll; k++) e_store_align(e, unit[k], e_ati(e, out, k * e->v), 4 * (unsigned)e->v);
    loop_end(e, &l, NULL);
}

static void zero_margins(struct staged *c)
{
    struct emit *e = c->e;
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), e_int(e, margins_row(c->p, e->v)), e->v, 0, NULL);
    const enum dtype dt = conv_view_dtype(&c->p->g.x);
    e_store_vd(e, dt, e_zero(e), e_at_d(e, dt, c->margins, l.iv));
    loop_end(e, &l, NULL);
}

static void stage_x(struct staged *c)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct conv_view *x = &p->g.x;
    struct loop blocks, images, rows;
    V top = e_addi(e, e_muli(e, c->r0, p->g.stride[0]), -p->g.pad[0]);
    loop_begin(e, &blocks, c->task.ib0, c->task.ib1, 1, 0, NULL);
    struct segments_plane plane = segments_plane(e, &p->g.segments, x, c->x, e_add(e, c->group, blocks.iv));
    V to_block = e_at(e, c->xs, e_muli(e, e_sub(e, blocks.iv, c->task.ib0), p->images * x_image(p, e->v)));
    loop_begin(e, &images, e_int(e, 0), c->images, 1, 0, NULL);
    V from_image = e_muli(e, e_mul(e, images.iv, plane.n), p->g.partials);
    loop_begin(e, &rows, c->t0, c->t1, 1, 0, NULL);
    V row = e_add(e, top, e_muli(e, rows.iv, p->x_step)),
      from = e_at_d(e, conv_view_dtype(x), plane.at, e_add(e, from_image, e_muli(e, row, x->h)));
    V to = e_at(e, to_block, e_add(e, e_muli(e, images.iv, x_image(p, e->v)), e_muli(e, rows.iv, x_row(p, e->v))));
    if (p->few) stage_few(c, from, to);
    for (int64_t k = 0; k < p->classes; k++) {
        struct row_shape w = {conv_view_dtype(x), p->g.iw,        x->w,     p->pack,
                              p->g.stride[1],     class_of(p, k), p->first, p->count};
        if (class_used(p, w.r)) stage_row(e, &w, from, e_ati(e, to, k * p->count * e->v));
    }
    loop_end(e, &rows, NULL);
    loop_end(e, &images, NULL);
    loop_end(e, &blocks, NULL);
}

static void stage_dy(struct staged *c)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct conv_view *dy = &p->g.dy;
    const struct row_shape w = {conv_view_dtype(dy), p->g.cols, dy->w, p->pack, 1, 0, 0, p->units};
    struct loop blocks, images, rows;
    loop_begin(e, &blocks, e_int(e, 0), e_muli(e, e_sub(e, c->task.og1, c->task.og0), p->g.ov), 1, 0, NULL);
    V block = e_add(e, e_muli(e, c->task.og0, p->g.ov), blocks.iv);
    loop_begin(e, &images, e_int(e, 0), c->images, 1, 0, NULL);
    V from_image = e_add(e, e_muli(e, block, dy->cb), e_muli(e, images.iv, p->g.partials * dy->n));
    V to_image = e_at(e, c->ds, e_muli(e, e_add(e, e_muli(e, blocks.iv, p->images), images.iv), dy_image(p, e->v)));
    loop_begin(e, &rows, c->r0, c->r1, 1, 0, NULL);
    V from = e_at_d(e, w.dt, c->dy, e_add(e, from_image, e_muli(e, rows.iv, dy->h)));
    stage_row(e, &w, from, e_at(e, to_image, e_muli(e, e_sub(e, rows.iv, c->r0), dy_row(p, e->v))));
    loop_end(e, &rows, NULL);
    loop_end(e, &images, NULL);
    loop_end(e, &blocks, NULL);
}

/* ---- sums */

/* Where a row's pixels of the next band are prefetched; NULL: no prefetch. */
struct prefetch {
    V x, dy[WGRAD_MAX_OV];
};

static void prefetch_pixels(struct emit *e, const struct conv_view *view, V row, V unit, int64_t stride, int64_t pixels)
{
    enum { LINE = 64 };
    enum dtype dt = conv_view_dtype(view);
    int64_t line = LINE / (int64_t)dtype_bytes(dt);
    V at = e_at_d(e, dt, row, e_muli(e, unit, stride));
    for (int64_t i = 0; i < pixels * view->w; i += line) e_prefetch(e, e_ati_d(e, dt, at, i));
}

static void prefetch_units(struct staged *c, const struct prefetch *prefetch, V unit, int64_t count)
{
    const struct wgrad_staged_params *p = c->p;
    int64_t step = p->pack * p->g.stride[1];
    if (!prefetch) return;
    if (prefetch->x) prefetch_pixels(c->e, &p->g.x, prefetch->x, unit, step * p->g.x.w, count * step);
    for (int64_t o = 0; o < p->g.ov; o++)
        prefetch_pixels(c->e, &p->g.dy, prefetch->dy[o], unit, p->pack * p->g.dy.w, count * p->pack);
}

/* Units [FROM, TO) of a row, UNROLL an iteration. */
static void sum_units(struct staged *c, V xp, V yp, V from, V to, int64_t unroll, const struct prefetch *prefetch,
                      V *acc)
{
    struct emit *e = c->e;
    const struct wgrad_params *g = &c->p->g;
    const struct walk walk = walk_of(c->p, e->v);
    int nacc = (int)(g->ci * g->ov);
    bool paired = c->p->pack == 2;
    struct loop l;
    loop_begin(e, &l, from, to, unroll, nacc, acc);
    memcpy(acc, l.phi, (size_t)nacc * sizeof *acc);
    prefetch_units(c, prefetch, l.iv, unroll);
    for (int64_t u = 0; u < unroll; u++) {
        V at = e_addi(e, l.iv, u), xu = e_at(e, xp, e_muli(e, at, walk.unit)), yu = e_at(e, yp, e_muli(e, at, e->v)),
          d[WGRAD_MAX_OV];
        for (int64_t o = 0; o < g->ov; o++)
            d[o] = e_load_t(e, paired ? e->vi32 : e->vf, e_ati(e, yu, o * c->p->images * dy_image(c->p, e->v)),
                            4 * (unsigned)e->v);
        for (int64_t i = 0; i < g->ci; i++) {
            V s = e_splat(e, e_load(e, e_ati(e, xu, i * walk.channel))), *a = acc + i * g->ov;
            if (paired) s = LLVMBuildBitCast(e->b, s, e->vi32, "");
            for (int64_t o = 0; o < g->ov; o++)
                a[o] = paired ? e_dot(e, conv_view_dtype(&g->x), a[o], s, d[o]) : e_fma(e, s, d[o], a[o]);
        }
    }
    loop_end(e, &l, acc);
    memcpy(acc, l.out, (size_t)nacc * sizeof *acc);
}

static void sum_row(struct staged *c, V xp, V yp, const struct wgrad_range *units, const struct prefetch *prefetch,
                    V *acc)
{
    struct emit *e = c->e;
    enum { UNROLL = 2 };
    V count = e_max(e, e_sub(e, units->to, units->from), e_int(e, 0));
    V even = e_add(e, units->from, e_muli(e, e_divi(e, count, UNROLL), UNROLL));
    sum_units(c, xp, yp, units->from, even, UNROLL, prefetch, acc);
    sum_units(c, xp, yp, even, units->to, 1, NULL, acc);
}

/* Row Y of dy in image IMAGE of the band. Without prefetch it describes the row being summed, at XR and YR. */
static struct prefetch prefetch_row(struct staged *c, V image, V y, V xr, V yr)
{
    struct emit *e = c->e;
    const struct wgrad_params *g = &c->p->g;
    enum dtype xt = conv_view_dtype(&g->x), yt = conv_view_dtype(&g->dy);
    struct prefetch r = {0};
    if (c->prefetch_x) {
        V at = e_add(e, e_mul(e, image, c->far_image), e_muli(e, y, g->stride[0] * g->x.h));
        r.x = e_select(e, c->prefetch_x, e_at_d(e, xt, c->far_x, at), xr);
    }
    V at = e_add(e, e_muli(e, image, g->partials * g->dy.n), e_muli(e, y, g->dy.h));
    for (int64_t o = 0; o < g->ov; o++)
        r.dy[o] = e_select(e, c->prefetch_dy[o], e_ati_d(e, yt, e_at_d(e, yt, c->far_dy, at), o * g->dy.cb), yr);
    return r;
}

/* One tap, ci channels: X and DY lead to the first image, X to where row R0 of dy meets this tap. */
static void tap_block(struct staged *c, V x, V dy, V dw, const struct wgrad_range *y, const struct wgrad_range *units)
{
    struct emit *e = c->e;
    const struct wgrad_params *g = &c->p->g;
    const struct walk walk = walk_of(c->p, e->v);
    int nacc = (int)(g->ci * g->ov);
    V acc[WGRAD_MAX_CI * WGRAD_MAX_OV];
    wgrad_begin(e, g, dw, acc);
    struct loop images, rows;
    loop_begin_once(e, &images, e_int(e, 0), c->images, 1, nacc, acc);
    V xi = e_at(e, x, e_muli(e, images.iv, walk.image)), yi = e_at(e, dy, e_muli(e, images.iv, dy_image(c->p, e->v)));
    loop_begin(e, &rows, y->from, y->to, 1, nacc, images.phi);
    memcpy(acc, rows.phi, (size_t)nacc * sizeof *acc);
    V row = e_sub(e, rows.iv, c->r0);
    V xr = e_at(e, xi, e_muli(e, row, walk.row)), yr = e_at(e, yi, e_muli(e, row, dy_row(c->p, e->v)));
    struct prefetch prefetch = prefetch_row(c, images.iv, rows.iv, xr, yr);
    sum_row(c, xr, yr, units, &prefetch, acc);
    loop_end(e, &rows, acc);
    loop_end(e, &images, rows.out);
    wgrad_end(e, g, dw, images.out);
}

/* Floats from the band's first row of x, or from the image's, to where the band's first row of dy meets tap (KH, KW).
 */
static V tap_at(struct staged *c, V kh, V kw)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct wgrad_params *g = &p->g;
    int64_t period = period_of(p);
    V row = e_muli(e, kh, g->dilation[0]), column = e_addi(e, e_muli(e, kw, g->dilation[1]), -g->pad[1]);
    if (is_plain(g)) {
        V top = e_addi(e, e_muli(e, c->r0, g->stride[0]), -g->pad[0]);
        return e_add(e, e_muli(e, e_add(e, top, row), g->x.h), e_muli(e, column, g->x.w));
    }
    if (p->few) return e_add(e, e_muli(e, row, x_row(p, e->v)), e_muli(e, e_addi(e, column, -p->first), g->x.w));
    V offset = e_addi(e, column, -period * p->first); /* from the first column of the first unit */
    V class = p->classes > 1 ? e_remi(e, offset, period) : e_int(e, 0),
      unit = e_add(e, e_muli(e, class, p->count), e_divi(e, offset, period));
    return e_add(e, e_muli(e, row, x_row(p, e->v)), e_muli(e, unit, e->v));
}

/* All taps of one input block and one group of output blocks. */
static void band_block(struct staged *c, V x, V dy, V dw)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct wgrad_params *g = &p->g;
    struct loop kh, kw, ch;
    loop_begin_once(e, &kh, e_int(e, 0), e_int(e, g->kernel[0]), 1, 0, NULL);
    struct wgrad_range y = wgrad_tap_range(e, g, 0, kh.iv);
    y.from = e_max(e, y.from, c->r0);
    y.to = e_min(e, y.to, c->r1);
    loop_begin_once(e, &kw, e_int(e, 0), e_int(e, g->kernel[1]), 1, 0, NULL);
    struct wgrad_range w = wgrad_tap_range(e, g, 1, g->kernel[1] > 1 ? kw.iv : e_int(e, 0));
    w = (struct wgrad_range){e_divi(e, w.from, p->pack), e_divi(e, e_addi(e, w.to, p->pack - 1), p->pack)};
    V tap = e_add(e, e_muli(e, kh.iv, g->kernel[1]), kw.iv), dwk = e_at(e, dw, e_muli(e, tap, g->iv * e->v)),
      xk = e_at(e, x, tap_at(c, kh.iv, kw.iv));
    loop_begin_once(e, &ch, e_int(e, 0), e_int(e, g->ic), g->ci, 0, NULL);
    tap_block(c, e_at(e, xk, e_muli(e, ch.iv, walk_of(p, e->v).channel)), dy, e_at(e, dwk, e_muli(e, ch.iv, e->v)), &y,
              &w);
    loop_end(e, &ch, NULL);
    loop_end(e, &kw, NULL);
    loop_end(e, &kh, NULL);
}

/* Elements from a pixel of this band to that of the next: further down in its images, which lie N apart, or at the top
   of the partial's next ones. */
static V to_next_band(struct staged *c, V n, int64_t row)
{
    struct emit *e = c->e;
    const struct wgrad_params *g = &c->p->g;
    V top = e_sub(e, e_muli(e, n, g->partials * c->p->images), e_muli(e, c->r0, row));
    return e_select(e, c->last, top, e_int(e, g->band * row));
}

/* The next band comes from the outer caches, which idle while this one is summed up: each block of x is prefetched when
   it meets the task's first group of dy, each vector of dy when it meets one of the first blocks of x. */
static void aim_ahead(struct staged *c, V og, V ib)
{
    struct emit *e = c->e;
    const struct wgrad_params *g = &c->p->g;
    enum dtype xt = conv_view_dtype(&g->x), yt = conv_view_dtype(&g->dy);
    struct segments_plane plane = segments_plane(e, &g->segments, &g->x, c->x, e_add(e, c->group, ib));
    c->last = e_cmp(e, LLVMIntSGE, c->r1, e_int(e, g->rows));
    c->prefetch_x = is_plain(g) ? NULL : e_cmp(e, LLVMIntEQ, og, c->task.og0);
    c->far_x = e_at_d(e, xt, plane.at, to_next_band(c, plane.n, g->stride[0] * g->x.h));
    c->far_image = e_muli(e, plane.n, g->partials);
    V next = to_next_band(c, e_int(e, g->dy.n), g->dy.h);
    c->far_dy = e_at_d(e, yt, c->dy, e_add(e, e_muli(e, og, g->ov * g->dy.cb), next));
    for (int64_t o = 0; o < g->ov; o++)
        c->prefetch_dy[o] = e_cmp(e, LLVMIntEQ, ib, e_addi(e, c->task.ib0, g->ib_chunk > 1 ? o % g->ib_chunk : 0));
}

static void band(struct staged *c)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct wgrad_params *g = &p->g;
    struct loop groups, blocks;
    V top = e_addi(e, e_muli(e, c->r0, g->stride[0]), -g->pad[0]),
      rows = e_sub(e, c->r1, c->r0); /* x row of staged row 0 */
    V needed =
        e_addi(e, e_muli(e, e_addi(e, rows, -1), g->stride[0] / p->x_step), (g->kernel[0] - 1) * g->dilation[0] + 1);
    c->t0 = e_divi(e, e_max(e, e_sub(e, e_int(e, p->x_step - 1), top), e_int(e, 0)), p->x_step);
    c->t1 =
        e_min(e, needed, e_divi(e, e_max(e, e_sub(e, e_int(e, g->ih + p->x_step - 1), top), e_int(e, 0)), p->x_step));
    if (!is_plain(g)) stage_x(c);
    stage_dy(c);
    loop_begin(e, &groups, c->task.og0, c->task.og1, 1, 0, NULL);
    V group = e_sub(e, groups.iv, c->task.og0),
      dy = e_at(e, c->ds, e_muli(e, group, g->ov * p->images * dy_image(p, e->v)));
    V dw = e_at(e, c->task.dw, e_muli(e, groups.iv, g->ov * wgrad_output_block(g, e->v)));
    loop_begin(e, &blocks, c->task.ib0, c->task.ib1, 1, 0, NULL);
    V block = e_sub(e, blocks.iv, c->task.ib0),
      x = is_plain(g) ? c->x[0] : e_at(e, c->xs, e_muli(e, block, p->images * x_image(p, e->v)));
    aim_ahead(c, groups.iv, blocks.iv);
    band_block(c, x, dy, e_at(e, dw, e_muli(e, blocks.iv, wgrad_input_block(g, e->v))));
    loop_end(e, &blocks, NULL);
    loop_end(e, &groups, NULL);
}

/* The partial's samples PARTIAL, PARTIAL + partials, …: images of a band at a time. */
static void samples(struct staged *c, const V *x, V dy, V n)
{
    struct emit *e = c->e;
    const struct wgrad_staged_params *p = c->p;
    const struct wgrad_params *g = &p->g;
    struct loop images, bands;
    c->group = wgrad_group_input(e, g, e_muli(e, c->task.og0, g->ov));
    loop_begin(e, &images, c->task.partial, n, g->partials * p->images, 0, NULL);
    for (int k = 0; k < g->segments.count; k++)
        c->x[k] = e_at_d(e, conv_view_dtype(&g->x), x[k], e_muli(e, images.iv, g->segments.n[k]));
    c->dy = e_at_d(e, conv_view_dtype(&g->dy), dy, e_muli(e, images.iv, g->dy.n));
    c->images =
        e_min(e, e_int(e, p->images), e_divi(e, e_addi(e, e_sub(e, n, images.iv), g->partials - 1), g->partials));
    loop_begin(e, &bands, e_int(e, 0), e_int(e, g->rows), g->band, 0, NULL);
    c->r0 = bands.iv;
    c->r1 = e_min(e, e_addi(e, bands.iv, g->band), e_int(e, g->rows));
    band(c);
    loop_end(e, &bands, NULL);
    loop_end(e, &images, NULL);
}

void wgrad_staged_emit(struct emit *e, const void *params)
{
    struct staged c = {.e = e, .p = params};
    const struct wgrad_staged_params *p = c.p;
    V n = e_run_n(e), x[MAX_SEGMENTS], dy = e_arg(e, 1), partials = e_arg(e, 2);
    struct loop tasks;
    segments_load(e, &p->g.segments, 0, 3, x);
    c.xs = e->scratch;
    c.ds = e_ati(e, c.xs, p->g.ib_chunk * p->images * x_image(p, e->v));
    c.margins = e_ati(e, c.ds, p->g.og_chunk * p->g.ov * p->images * dy_image(p, e->v));
    if (p->few) zero_margins(&c);
    loop_begin(e, &tasks, e->begin, e->end, 1, 0, NULL);
    c.task = wgrad_task_of(e, &p->g, tasks.iv, partials);
    wgrad_zero(e, &p->g, &c.task);
    samples(&c, x, dy, n);
    loop_end(e, &tasks, NULL);
}

/* ---- the band */

/* Rows of dy: what all blocks of the task have staged fits the first-level cache, if that holds enough units;
   otherwise a block of x and a group of dy do, and all blocks' the second-level one. */
static int64_t rows_of(const struct wgrad_staged_params *p, const struct target *t)
{
    enum { ENOUGH = 32 };
    const struct wgrad_params *g = &p->g;
    int64_t v = t->lanes, x = g->stride[0] / p->x_step * x_row(p, v) * 4,
            dy = dy_row(p, v) * g->ov * 4; /* bytes for a row of dy */
    int64_t l1 = (int64_t)t->l1_bytes * 3 / 4, first = l1 / (x + dy),
            second = (int64_t)t->l2_bytes / 2 / (x * g->ib_chunk + dy * g->og_chunk);
    int64_t all = l1 / (x * g->ib_chunk + dy * g->og_chunk);
    return max_i64(1, g->kernel[0] == 1 && all * p->units >= ENOUGH ? all : min_i64(first, second));
}

size_t wgrad_staged_init(struct wgrad_staged_params *p, const struct wgrad_params *g, int64_t pack,
                         const struct target *t, int64_t samples)
{
    memset(p, 0, sizeof *p);
    p->g = *g;
    p->pack = pack;
    int64_t period = period_of(p), v = t->lanes, reach = (g->kernel[1] - 1) * g->dilation[1] - g->pad[1];
    p->units = div_up(g->cols, pack);
    p->classes = g->kernel[1] > 1 ? period : 1;
    p->first = div_down(-g->pad[1], period);
    p->count = p->units + div_down(reach, period) - p->first;
    p->x_step = g->kernel[0] > 1 ? 1 : g->stride[0];
    if (is_plain(g)) p->classes = p->first = p->count = 0;
    p->few = g->x.c == 1 && g->x.w < v;
    if (p->few) {
        p->classes = 0;
        p->first = -g->pad[1];
        p->count = pack * (p->units - 1) * g->stride[1] + reach - p->first + 1;
    }
    int64_t rows = rows_of(p, t);
    p->g.band = div_up(g->rows, div_up(g->rows, min_i64(rows, g->rows)));
    p->images = p->g.band == g->rows ? max_i64(1, min_i64(rows / g->rows, div_up(samples, g->partials))) : 1;
    p->x_rows = (p->g.band - 1) * g->stride[0] / p->x_step + (g->kernel[0] - 1) * g->dilation[0] + 1;
    int64_t staged = p->images * (g->ib_chunk * x_image(p, v) + g->og_chunk * g->ov * dy_image(p, v));
    return (size_t)staged * 4 + (size_t)margins_row(p, v) * 2;
}
