/* curves.c: what a run looked like, drawn by cairo: the loss on the left, the metric on the right where
   it is not the loss itself, epochs across. */
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/data_readers.h"
#include "runtime/io/file.h"
#include "runtime/train/history.h"

enum { WIDTH = 1200, HEIGHT = 500, SCALE = 2, MAX_POINTS = 1500, TICKS = 6 };

struct colour {
    double r, g, b;
};
static const struct colour ink = {0.16, 0.18, 0.22}, faint = {0.45, 0.48, 0.53}, grid = {0.90, 0.91, 0.93},
                           blue = {0.12, 0.40, 0.75}, pale = {0.70, 0.81, 0.93}, orange = {0.89, 0.42, 0.10};

struct panel {
    cairo_t *c;
    double x, y, w, h;     /* the plotting area, in points */
    double x0, x1, y0, y1; /* the data's ranges */
    bool percent;
    double above; /* the largest value, where that is cut off; else 0 */
};

struct point {
    double x, y;
};
struct series {
    struct point *p;
    size_t n;
};

static void set(cairo_t *c, struct colour k) { cairo_set_source_rgb(c, k.r, k.g, k.b); }

/* ALIGN: 0 left, 0.5 centre, 1 right of (x, y), which is on the text's base line. */
static void text_at(cairo_t *c, double x, double y, double align, double size, bool bold, const char *s)
{
    cairo_text_extents_t e;
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, size);
    cairo_text_extents(c, s, &e);
    cairo_move_to(c, x - align * e.x_advance, y);
    cairo_show_text(c, s);
}

static double to_x(const struct panel *p, double x) { return p->x + (x - p->x0) / (p->x1 - p->x0) * p->w; }
static double to_y(const struct panel *p, double y) { return p->y + p->h - (y - p->y0) / (p->y1 - p->y0) * p->h; }

/* 1, 2 or 5 times a power of ten, so that about COUNT of them cover RANGE (Heckbert, Graphics Gems, 1990). */
static double nice_step(double range, int count)
{
    double raw = range / count, power = pow(10.0, floor(log10(raw))), f = raw / power;
    return power * (f < 1.5 ? 1.0 : f < 3.5 ? 2.0 : f < 7.5 ? 5.0 : 10.0);
}

static void tick_label(const struct panel *p, double v, double step, char *out, size_t size)
{
    double shown = p->percent ? v * 100.0 : v, unit = p->percent ? step * 100.0 : step;
    int digits = unit >= 1.0 ? 0 : (int)ceil(-log10(unit) - 1e-9);
    snprintf(out, size, "%.*f%s", digits, shown, p->percent ? " %" : "");
}

static void draw_axes(struct panel *p, const char *title, const char *below)
{
    char label[64];
    cairo_t *c = p->c;
    cairo_set_line_width(c, 1.0);
    double ystep = nice_step(p->y1 - p->y0, TICKS), xstep = nice_step(p->x1 - p->x0, 8);
    if (xstep < 1.0 && p->x1 - p->x0 > 4.0) xstep = 1.0;
    for (double v = ceil(p->y0 / ystep - 1e-9) * ystep; v <= p->y1 + 1e-9 * ystep; v += ystep) {
        set(c, grid);
        cairo_move_to(c, p->x, to_y(p, v));
        cairo_line_to(c, p->x + p->w, to_y(p, v));
        cairo_stroke(c);
        set(c, faint);
        tick_label(p, fabs(v) < 1e-12 ? 0.0 : v, ystep, label, sizeof label);
        text_at(c, p->x - 8, to_y(p, v) + 4, 1.0, 12, false, label);
    }
    for (double v = ceil(p->x0 / xstep - 1e-9) * xstep; v <= p->x1 + 1e-9 * xstep; v += xstep) {
        set(c, faint);
        snprintf(label, sizeof label, "%g", fabs(v) < 1e-12 ? 0.0 : v);
        text_at(c, to_x(p, v), p->y + p->h + 18, 0.5, 12, false, label);
        cairo_move_to(c, to_x(p, v), p->y + p->h);
        cairo_line_to(c, to_x(p, v), p->y + p->h + 4);
        cairo_stroke(c);
    }
    set(c, faint);
    cairo_move_to(c, p->x, p->y + p->h);
    cairo_line_to(c, p->x + p->w, p->y + p->h);
    cairo_stroke(c);
    set(c, ink);
    text_at(c, p->x, p->y - 14, 0.0, 15, true, title);
    set(c, faint);
    text_at(c, p->x + p->w, p->y + p->h + 38, 1.0, 12, false, below);
}

static void draw_line(const struct panel *p, const struct series *s, struct colour k, double width, bool dots)
{
    cairo_t *c = p->c;
    cairo_save(c);
    cairo_rectangle(c, p->x - 5, p->y - 5, p->w + 10, p->h + 10);
    cairo_clip(c);
    set(c, k);
    cairo_set_line_width(c, width);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    for (size_t i = 0; i < s->n; i++) cairo_line_to(c, to_x(p, s->p[i].x), to_y(p, s->p[i].y));
    cairo_stroke(c);
    for (size_t i = 0; dots && i < s->n; i++) {
        cairo_arc(c, to_x(p, s->p[i].x), to_y(p, s->p[i].y), s->n > 40 ? 2.0 : 3.5, 0.0, 6.2832);
        cairo_fill(c);
    }
    cairo_restore(c);
}

/* Right-aligned entries above the panel, each with a short stroke of its colour; returns the left end. */
static double draw_key(const struct panel *p, double right, struct colour k, const char *name)
{
    cairo_t *c = p->c;
    cairo_text_extents_t e;
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, 13);
    cairo_text_extents(c, name, &e);
    set(c, ink);
    text_at(c, right, p->y - 14, 1.0, 13, false, name);
    double left = right - e.x_advance - 28;
    set(c, k);
    cairo_set_line_width(c, 3.0);
    cairo_move_to(c, left, p->y - 18.5);
    cairo_line_to(c, left + 20, p->y - 18.5);
    cairo_stroke(c);
    return left - 18;
}

/* ---- the data */

static void add(struct series *s, double x, double y)
{
    if (isfinite(y)) s->p[s->n++] = (struct point){x, y};
}

struct lines {
    struct series steps, smooth, val, metrics, smooth_metric, train_metric, val_metric;
    struct point *all;
};

static bool lines_new(struct lines *l, const struct rnc_history *h)
{
    size_t capacity = h->nsteps + h->nepochs + 1;
    struct series *each[] = {&l->steps,         &l->smooth,       &l->val,       &l->metrics,
                             &l->smooth_metric, &l->train_metric, &l->val_metric};
    enum { COUNT = sizeof each / sizeof *each };
    l->all = calloc(COUNT * capacity, sizeof *l->all);
    for (size_t k = 0; l->all && k < COUNT; k++) *each[k] = (struct series){l->all + k * capacity, 0};
    return l->all != NULL;
}

/* The mean over a window on both sides, so that the line does not lag behind; then at most MAX_POINTS of both lines. */
static void smooth(struct series *s, struct series *out)
{
    size_t half = s->n / 60 + 2, stride = s->n / MAX_POINTS + 1, kept = 0;
    double sum = 0.0;
    size_t first = 0, last = 0; /* the window holds [first, last) */
    for (size_t k = 0; k < s->n; k++) {
        size_t reach = k < half ? k : half; /* even on both sides, at the ends too */
        if (s->n - 1 - k < reach) reach = s->n - 1 - k;
        for (; last <= k + reach; last++) sum += s->p[last].y;
        for (; last > k + reach + 1; last--) sum -= s->p[last - 1].y;
        for (; first < k - reach; first++) sum -= s->p[first].y;
        if (k % stride == 0 || k + 1 == s->n) add(out, s->p[k].x, sum / (double)(last - first));
    }
    for (size_t k = 0; k < s->n; k++)
        if (k % stride == 0 || k + 1 == s->n) s->p[kept++] = s->p[k];
    s->n = kept;
}

static void collect(struct lines *l, const struct rnc_history *h)
{
    double per_epoch = h->steps_per_epoch > 0 ? (double)h->steps_per_epoch : 1.0;
    for (size_t k = 0; k < h->nsteps; k++) {
        add(&l->steps, (double)h->step[k].step / per_epoch, (double)h->step[k].loss);
        add(&l->metrics, (double)h->step[k].step / per_epoch, (double)h->step[k].metric);
    }
    smooth(&l->steps, &l->smooth);
    smooth(&l->metrics, &l->smooth_metric);
    for (size_t k = 0; k < h->nepochs; k++) {
        const struct rnc_epoch_row *r = &h->epoch[k];
        add(&l->val, (double)r->epoch, r->val_loss);
        add(&l->train_metric, (double)r->epoch, r->train_metric);
        add(&l->val_metric, (double)r->epoch, r->val[h->problem->primary]);
    }
}

static void widen(const struct series *s, double *low, double *high)
{
    for (size_t k = 0; k < s->n; k++) {
        if (s->p[k].y < *low) *low = s->p[k].y;
        if (s->p[k].y > *high) *high = s->p[k].y;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *sorted, size_t n, double q)
{
    return n ? sorted[(size_t)(q * (double)(n - 1))] : 0.0;
}

/* The loss that a run begins with: the middle of its first steps, of which single ones may be wild. */
static double first_level(const struct series *s)
{
    enum { FEW = 7, MOST = 64 };
    double y[MOST];
    size_t n = s->n / 10 < FEW ? FEW : s->n / 10 < MOST ? s->n / 10 : MOST;
    if (n > s->n) n = s->n;
    for (size_t k = 0; k < n; k++) y[k] = s->p[k].y;
    qsort(y, n, sizeof *y, by_value);
    return quantile(y, n, 0.5);
}

/* A few wild values, at the start mostly, must not flatten the rest: the axis ends at the 99th percentile of the steps
   and the highest validation, but at twice the usual loss of the start or of the worst tenth. */
static void loss_limits(struct panel *p, const struct lines *l)
{
    const struct series *each[] = {&l->steps, &l->val};
    double top = 0.0, most = 0.0, usual = first_level(l->steps.n ? &l->steps : &l->val), low = 0.0;
    for (int k = 0; k < 2; k++) {
        double *y = malloc((each[k]->n + 1) * sizeof *y);
        for (size_t i = 0; y && i < each[k]->n; i++) y[i] = each[k]->p[i].y;
        if (y) qsort(y, each[k]->n, sizeof *y, by_value);
        if (y) top = fmax(top, quantile(y, each[k]->n, k == 0 ? 0.99 : 1.0));
        if (y) usual = fmax(usual, quantile(y, each[k]->n, k == 0 ? 0.9 : 0.5));
        free(y);
        widen(each[k], &low, &most);
    }
    if (usual > 0.0) top = fmin(top, 2.0 * usual);
    p->y0 = 0.0;
    p->y1 = top > 0.0 ? top * 1.05 : 1.0;
    p->above = most > p->y1 ? most : 0.0;
}

/* A ring round the point that BEST is about. */
static void draw_best(const struct panel *p, const struct series *s, int64_t epoch)
{
    for (size_t k = 0; k < s->n; k++) {
        if ((int64_t)s->p[k].x != epoch || s->p[k].y > p->y1) continue;
        set(p->c, orange);
        cairo_set_line_width(p->c, 2.0);
        cairo_new_path(p->c);
        cairo_arc(p->c, to_x(p, s->p[k].x), to_y(p, s->p[k].y), 7.5, 0.0, 6.2832);
        cairo_stroke(p->c);
    }
}

/* "best 97.87 % in epoch 7", below the panel at the left, where no line runs. */
static void note_best(const struct panel *p, const struct rnc_metric *m, const struct series *s, int64_t epoch)
{
    char text[96];
    for (size_t k = 0; k < s->n; k++) {
        if ((int64_t)s->p[k].x != epoch) continue;
        if (m->fraction) snprintf(text, sizeof text, "best %.2f %% in epoch %lld", s->p[k].y * 100.0, (long long)epoch);
        else snprintf(text, sizeof text, "best %.4g in epoch %lld", s->p[k].y, (long long)epoch);
        set(p->c, orange);
        text_at(p->c, p->x, p->y + p->h + 38, 0.0, 13, true, text);
    }
    draw_best(p, s, epoch);
}

static void loss_panel(struct panel *p, const struct lines *l)
{
    char cut[96];
    loss_limits(p, l);
    draw_axes(p, "Loss", "epoch");
    draw_line(p, &l->steps, pale, 0.8, false);
    draw_line(p, &l->smooth, blue, 2.0, false);
    draw_line(p, &l->val, orange, 2.0, true);
    double right = p->x + p->w;
    if (l->val.n) right = draw_key(p, right, orange, "validation");
    if (l->steps.n) right = draw_key(p, right, blue, "training, smoothed");
    if (l->steps.n) draw_key(p, right, pale, "each step");
    if (p->above == 0.0) return;
    snprintf(cut, sizeof cut, "some are above, up to %.4g", p->above);
    set(p->c, faint);
    text_at(p->c, p->x + p->w, p->y + 12, 1.0, 12, false, cut);
}

/* Where the metric's axis begins: below a twentieth part of the steps, which are its slow start, nothing is lost. */
static double bottom_of_steps(const struct series *s)
{
    double low = 1.0;
    for (size_t k = s->n / 20; k < s->n; k++)
        if (s->p[k].y < low) low = s->p[k].y;
    return low;
}

/* "pixel_accuracy" -> "Pixel accuracy"; of several pairs "logits.miou" -> "mIoU of logits" */
static void title_of(const struct rnc_column *column, char *out, size_t size)
{
    const struct rnc_metric *m = column->metric;
    const char *dot = strrchr(column->name, '.'), *of = dot ? " of " : "";
    int pair = dot ? (int)(dot - column->name) : 0;
    if (m->title) snprintf(out, size, "%s%s%.*s", m->title, of, pair, column->name);
    else snprintf(out, size, "%c%s%s%.*s", m->name[0] - 'a' + 'A', m->name + 1, of, pair, column->name);
    for (char *u = strchr(out, '_'); u && !m->title; u = strchr(out, '_')) *u = ' ';
}

/* Of a metric between 0 and 1. */
static void metric_panel(struct panel *p, const struct lines *l, const struct rnc_column *column)
{
    char title[64];
    bool steps = l->smooth_metric.n > 0;
    const struct series *training = steps ? &l->smooth_metric : &l->train_metric;
    double low = steps ? bottom_of_steps(training) : 1.0, high = 0.0, ignored = 0.0;
    widen(training, &ignored, &high);
    if (!steps) widen(training, &low, &high);
    widen(&l->val_metric, &low, &high);
    double margin = (high - low) * 0.12 + 0.005;
    p->y0 = low > high || low - margin < 0.0 ? 0.0 : low - margin;
    p->y1 = low > high || high + margin > 1.0 ? 1.0 : high + margin;
    if (p->y1 - p->y0 < 0.02) p->y0 = p->y1 - 0.02;
    p->percent = true;
    title_of(column, title, sizeof title);
    draw_axes(p, title, "epoch");
    draw_line(p, &l->metrics, pale, 0.8, false);
    draw_line(p, training, blue, 2.0, !steps);
    draw_line(p, &l->val_metric, orange, 2.0, true);
    double right = draw_key(p, p->x + p->w, orange, "validation");
    right = draw_key(p, right, blue, steps ? "training, smoothed" : "training");
    if (steps) draw_key(p, right, pale, "each step");
}

/* The epoch with the best value of the metric that decides; 0: none. */
static int64_t best_epoch(const struct rnc_history *h)
{
    const struct rnc_metric *m = h->problem->column[h->problem->primary].metric;
    int64_t best = 0;
    double value = NAN;
    for (size_t k = 0; k < h->nepochs; k++) {
        double v = m->loss ? h->epoch[k].val_loss : h->epoch[k].val[h->problem->primary];
        if (isnan(v) || (best && !rnc_metric_better(m, v, value))) continue;
        best = h->epoch[k].epoch;
        value = v;
    }
    return best;
}

static void draw(cairo_t *c, const struct rnc_history *h, const struct lines *l, const char *title)
{
    double last = h->nepochs ? (double)h->epoch[h->nepochs - 1].epoch : 0.0;
    double by_steps =
        h->nsteps && h->steps_per_epoch ? (double)h->step[h->nsteps - 1].step / (double)h->steps_per_epoch : 0.0;
    double end = last > by_steps ? last : by_steps > 0.0 ? by_steps : 1.0;
    cairo_set_source_rgb(c, 1, 1, 1);
    cairo_paint(c);
    set(c, ink);
    text_at(c, 64, 38, 0.0, 18, true, title);
    const struct rnc_column *primary = &h->problem->column[h->problem->primary];
    struct panel left = {
        .c = c, .x = 64, .y = 98, .w = primary->metric->loss ? 1096 : 500, .h = HEIGHT - 160, .x1 = end};
    struct panel right = {.c = c, .x = 660, .y = 98, .w = 500, .h = HEIGHT - 160, .x1 = end};
    loss_panel(&left, l);
    bool is_loss = primary->metric->loss;
    if (!is_loss) metric_panel(&right, l, primary);
    note_best(is_loss ? &left : &right, primary->metric, is_loss ? &l->val : &l->val_metric, best_epoch(h));
}

/* ---- the files */

static cairo_status_t write_some(void *ctx, const unsigned char *data, unsigned length)
{
    struct {
        struct rnc_file *f;
        struct rnc_status *s;
    } *o = ctx;
    return rnc_file_write(o->f, data, length, o->s) ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static bool draw_to(const struct rnc_history *h, const struct lines *l, const char *path, bool svg, const char *title,
                    struct rnc_status *s)
{
    struct {
        struct rnc_file *f;
        struct rnc_status *s;
    } out = {rnc_file_create(path, s), s};
    if (!out.f) return false;
    cairo_surface_t *surface = svg ? cairo_svg_surface_create_for_stream(write_some, &out, WIDTH, HEIGHT)
                                   : cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH * SCALE, HEIGHT * SCALE);
    cairo_t *c = cairo_create(surface);
    if (!svg) cairo_scale(c, SCALE, SCALE);
    draw(c, h, l, title);
    cairo_status_t status = cairo_status(c);
    cairo_destroy(c);
    if (!svg && status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png_stream(surface, write_some, &out);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_SUCCESS) return rnc_file_commit(out.f, s);
    rnc_file_abort(out.f);
    return rnc_fail(s, RNC_ENV, "can't draw %s: %s", path, cairo_status_to_string(status));
}

#if defined __SANITIZE_ADDRESS__
/* fontconfig, which cairo loads, never frees its caches. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }
#endif

bool rnc_curves_draw(const struct rnc_history *h, const char *dir, const char *title, struct rnc_status *s)
{
    struct lines l;
    char *png = rnc_path_join(dir, "curves.png"), *svg = rnc_path_join(dir, "curves.svg");
    bool ok = png && svg && lines_new(&l, h);
    if (!ok) rnc_fail(s, RNC_ENV, "no memory to draw the curves");
    else {
        collect(&l, h);
        ok = draw_to(h, &l, png, false, title, s) && draw_to(h, &l, svg, true, title, s);
        free(l.all);
    }
    free(png);
    free(svg);
    return ok;
}
