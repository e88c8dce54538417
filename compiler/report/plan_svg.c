/* plan_svg.c: the memory plan as a picture. Time runs to the right, one column for each node; bytes upwards. A
   rectangle is a value in the arena for as long as it lives; one that was overwritten in place is followed by its
   successor in the same row. */
#include "pass/passes.h"

#include <stdio.h>
#include <string.h>
#include "ir/op.h"

enum { WIDTH = 1400, HEIGHT = 860, LEFT = 92, RIGHT = 28, TOP = 108, BOTTOM = 64 };

enum kind {
    KIND_FORWARD,
    KIND_KEPT,
    KIND_RECOMPUTE,
    KIND_GRADIENT,
    KIND_WEIGHT_GRADIENT,
    KIND_WEIGHT,
    KIND_WORKSPACE,
    NKINDS
};
static const struct {
    const char *label, *fill;
} kinds[NKINDS] = {
    [KIND_FORWARD] = {"forward, short-lived", "#9ecae9"},
    [KIND_KEPT] = {"forward, kept for the backward pass", "#4c78a8"},
    [KIND_RECOMPUTE] = {"forward, recomputed", "#72b7b2"},
    [KIND_GRADIENT] = {"gradient", "#f58518"},
    [KIND_WEIGHT_GRADIENT] = {"gradient of a parameter", "#e45756"},
    [KIND_WEIGHT] = {"repacked weight", "#54a24b"},
    [KIND_WORKSPACE] = {"workspace of a kernel", "#bab0ac"},
};

struct drawing {
    const struct graph *g;
    struct buf *out;
    const struct interval *live; /* by value id: the value's own time, not its storage's */
    int *column;                 /* node->index without the prepare nodes */
    int columns, backward;       /* the first column of the backward pass, or `columns` */
    size_t top;                  /* bytes at the upper edge */
};

static double x_of(const struct drawing *d, double column)
{
    return (double)LEFT + column * (double)(WIDTH - LEFT - RIGHT) / (d->columns ? d->columns : 1);
}
static double y_of(const struct drawing *d, double bytes)
{
    return (double)(HEIGHT - BOTTOM) - bytes * (double)(HEIGHT - TOP - BOTTOM) / (double)d->top;
}

static void escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<') buf_puts(out, "&lt;");
        else if (*s == '>') buf_puts(out, "&gt;");
        else if (*s == '&') buf_puts(out, "&amp;");
        else if (*s == '"') buf_puts(out, "&quot;");
        else if ((unsigned char)*s < 32) buf_putc(out, '?');
        else buf_putc(out, *s);
    }
}

static const char *bytes_text(struct arena *a, size_t bytes)
{
    if (bytes >= (size_t)1 << 30) return arena_printf(a, "%.2f GiB", (double)bytes / 1073741824.0);
    if (bytes >= 1 << 20) return arena_printf(a, "%.2f MiB", (double)bytes / 1048576.0);
    if (bytes >= 1 << 10) return arena_printf(a, "%.1f KiB", (double)bytes / 1024.0);
    return arena_printf(a, "%zu B", bytes);
}

/* ---- what there is to draw */

static bool is_view(const struct value *v) { return v->alias && v->def && v->def->op->view; }

static bool is_drawn(const struct value *v)
{
    return v->kind == VALUE_NODE && v->def && !v->def->prepare && v->space == SPACE_ARENA && !is_view(v);
}

/* The words of a kind's colour in the legend and in titles. */
static const char *kind_label(const struct graph *g, enum kind k)
{
    return k == KIND_FORWARD && !g->train ? "activation" : kinds[k].label;
}

static bool is_gradient(const struct value *v) { return !strncmp(v->name, "grad.", 5); }

static enum kind kind_of(const struct drawing *d, const struct value *v)
{
    enum layout l = v->type.layout;
    bool packed = l == LAYOUT_WEIGHT || l == LAYOUT_WEIGHT_T || l == LAYOUT_DEPTHWISE || layout_is_winograd(l);
    if (node_workspace(v->def) == v) return KIND_WORKSPACE;
    if (v->def->recompute && !v->def->op->repacks) return KIND_RECOMPUTE;
    if (packed && v->def->op->repacks) return KIND_WEIGHT;
    if (packed || (is_gradient(v) && v->type.rank == 1)) return KIND_WEIGHT_GRADIENT;
    if (is_gradient(v) || d->column[v->def->index] >= d->backward) return KIND_GRADIENT;
    return d->live[v->id].last >= d->backward ? KIND_KEPT : KIND_FORWARD;
}

static void touch(struct interval *i, int column)
{
    if (column < i->first) i->first = column;
    if (column > i->last) i->last = column;
}

/* Each value from its node to its last reader (views read for what they show), or to the node that overwrites it. */
static void find_lives(struct drawing *d, struct arena *a)
{
    const struct graph *g = d->g;
    struct interval *live = ARENA_ARRAY(a, struct interval, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) live[i] = (struct interval){g->nnodes, -1};
    GRAPH_EACH(g, n)
    {
        int column = d->column[n->index];
        if (n->prepare) continue;
        for (int i = 0; i < n->nin + n->nout; i++) {
            const struct value *v = i < n->nin ? n->in[i] : n->out[i - n->nin];
            while (v && is_view(v)) v = v->alias;
            if (v) touch(&live[v->id], column);
        }
    }
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nout; i++) {
        const struct value *over = n->out[i]->alias;
        while (over && is_view(over)) over = over->alias;
        if (over && !is_view(n->out[i]) && live[over->id].last == d->column[n->index]) live[over->id].last--;
    }
    d->live = live;
}

static void count_columns(struct drawing *d, struct arena *a)
{
    d->column = ARENA_ARRAY(a, int, d->g->nnodes + 1);
    int first = -1, index = 0;
    GRAPH_EACH(d->g, n)
    {
        n->index = index++;
        d->column[n->index] = d->columns;
        if (n->prepare) continue;
        if (first < 0 && d->g->train && n->nout && is_gradient(n->out[0])) first = d->columns;
        d->columns++;
    }
    d->backward = first < 0 ? d->columns : first;
}

/* ---- axes */

static double nice_step(double range, int most)
{
    double step = 1;
    while (step * most < range) step *= 2;
    return step;
}

static void draw_axes(struct drawing *d)
{
    struct buf *o = d->out;
    double step = nice_step((double)d->top, 10);
    for (double b = 0; b <= (double)d->top; b += step) {
        double y = y_of(d, b);
        buf_printf(o, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, y, y);
        const char *unit = step >= 1073741824 ? "GiB" : step >= 1048576 ? "MiB" : step >= 1024 ? "KiB" : "B";
        double scale = step >= 1073741824 ? 1073741824 : step >= 1048576 ? 1048576 : step >= 1024 ? 1024 : 1;
        buf_printf(o, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f %s</text>\n", LEFT - 8, y + 4,
                   b / scale, unit);
    }
    int every = (int)nice_step(d->columns, 16), digits = every;
    for (int p = 1; p <= digits; p *= 10)
        every = digits <= p ? p : digits <= 2 * p ? 2 * p : digits <= 5 * p ? 5 * p : 10 * p;
    for (int c = 0; c <= d->columns; c += every) {
        double x = x_of(d, c);
        buf_printf(o, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, HEIGHT - BOTTOM,
                   HEIGHT - BOTTOM + 5);
        buf_printf(o, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x,
                   HEIGHT - BOTTOM + 19, c);
    }
    buf_printf(
        o, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">time: nodes in the order they run</text>\n",
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18);
    buf_printf(o,
               "<text class=\"axis\" transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\">place in the "
               "arena</text>\n",
               (TOP + HEIGHT - BOTTOM) / 2);
}

static void draw_phases(struct drawing *d)
{
    if (d->backward >= d->columns) return;
    double x = x_of(d, d->backward);
    buf_printf(d->out, "<line class=\"phase\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP - 4,
               HEIGHT - BOTTOM);
    buf_printf(d->out, "<text class=\"phase\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">forward</text>", x - 8, TOP + 10);
    buf_printf(d->out, "<text class=\"phase\" x=\"%.1f\" y=\"%d\">backward and update</text>\n", x + 8, TOP + 10);
}

/* ---- values */

static void draw_title(struct drawing *d, const struct value *v, const char *kind)
{
    struct buf *o = d->out;
    const struct interval *i = &d->live[v->id];
    buf_puts(o, "<title>");
    escaped(o, v->name);
    buf_printf(o, " : %s\n%s, %s at %zu, nodes %d to %d\nmade by ", type_text(o->arena, &v->type), kind,
               bytes_text(o->arena, type_bytes(&v->type)), v->offset, i->first, i->last);
    escaped(o, v->def->op->name);
    for (int k = 0; v->def->body && k < v->def->body->ninsn; k++)
        buf_printf(o, " + %s", v->def->body->insn[k].op->name);
    if (v->alias) {
        buf_puts(o, "\nin place of ");
        escaped(o, v->alias->name);
    }
    buf_puts(o, "</title>");
}

static void draw_value(struct drawing *d, const struct value *v)
{
    const struct interval *i = &d->live[v->id];
    enum kind k = kind_of(d, v);
    size_t bytes = type_bytes(&v->type);
    double x = x_of(d, i->first), w = x_of(d, i->last + 1) - x, y = y_of(d, (double)(v->offset + bytes)),
           h = y_of(d, (double)v->offset) - y;
    if (w <= 0) return;
    buf_printf(d->out, "<g><rect class=\"k%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>", (int)k, x, y, w,
               h < 0.3 ? 0.3 : h);
    draw_title(d, v, kind_label(d->g, k));
    double room = w - 8;
    size_t n = strlen(v->name), fits = room > 0 ? (size_t)(room / 5.6) : 0;
    if (h >= 11 && fits >= 6) {
        buf_printf(d->out, "<text class=\"name%s\" x=\"%.1f\" y=\"%.1f\">", k == KIND_KEPT ? " light" : "", x + 4,
                   y + h / 2 + 3.5);
        if (n > fits) { /* the end says more than the beginning: layer1.0.conv1 */
            buf_puts(d->out, "…");
            escaped(d->out, v->name + n - fits + 1);
        } else {
            escaped(d->out, v->name);
        }
        buf_puts(d->out, "</text>");
    }
    buf_puts(d->out, "</g>\n");
}

/* ---- lines and legend */

static void draw_level(struct drawing *d, size_t bytes, const char *class_, const char *label, double shift)
{
    double y = y_of(d, (double)bytes);
    buf_printf(d->out, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.2f\" y2=\"%.2f\"/>", class_, LEFT, WIDTH - RIGHT,
               y, y);
    buf_printf(d->out, "<text class=\"%s\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s %s</text>\n", class_,
               WIDTH - RIGHT - 2, y + shift, label, bytes_text(d->out->arena, bytes));
}

/* The bytes live at each node: how near the plan is to what no plan can do without. */
static void draw_live(struct drawing *d, struct arena *a)
{
    const struct interval *storage = plan_intervals(d->g, a);
    int64_t *change = ARENA_ARRAY(a, int64_t, d->columns + 2);
    for (int i = 0; i < d->g->nvalues; i++) {
        const struct value *v = d->g->values[i];
        if (!is_drawn(v) || v->alias) continue;
        int64_t bytes = (int64_t)(type_bytes(&v->type) + 63) / 64 * 64;
        change[d->column[storage[i].first]] += bytes;
        change[d->column[storage[i].last] + 1] -= bytes;
    }
    buf_puts(d->out, "<path class=\"live\" d=\"");
    int64_t live = 0;
    for (int c = 0; c < d->columns; c++) {
        live += change[c];
        double y = y_of(d, (double)live);
        buf_printf(d->out, "%c%.1f %.1fH%.1f", c ? 'V' : 'M', c ? y : x_of(d, c), y, x_of(d, c + 1));
    }
    buf_puts(d->out, "\"/>\n");
}

static void draw_line_key(struct drawing *d, int *x, const char *class_, const char *label)
{
    buf_printf(d->out,
               "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"92\" y2=\"92\"/><text class=\"axis\" x=\"%d\" "
               "y=\"96\">%s</text>\n",
               class_, *x, *x + 22, *x + 28, label);
    *x += 28 + 18 + (int)strlen(label) * 32 / 5;
}

static void draw_legend(struct drawing *d, const bool *used)
{
    int x = LEFT;
    for (int k = 0; k < NKINDS; k++) {
        const char *label = kind_label(d->g, (enum kind)k);
        if (!used[k]) continue;
        buf_printf(d->out, "<rect class=\"k%d\" x=\"%d\" y=\"64\" width=\"13\" height=\"13\" rx=\"2\"/>", k, x);
        buf_printf(d->out, "<text class=\"axis\" x=\"%d\" y=\"75\">%s</text>\n", x + 19, label);
        x += 19 + 22 + (int)strlen(label) * 32 / 5;
    }
    x = LEFT;
    draw_line_key(d, &x, "live", "bytes live");
    draw_line_key(d, &x, "peak", "peak");
    draw_line_key(d, &x, "bound", "lower bound");
}

static void draw_head(struct drawing *d)
{
    struct buf *o = d->out;
    const struct graph *g = d->g;
    buf_printf(o,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
               "font-family=\"Helvetica, Arial, sans-serif\">\n<style>\n",
               WIDTH, HEIGHT, WIDTH, HEIGHT);
    buf_puts(o, "rect{stroke:#fff;stroke-width:.4} g:hover>rect{stroke:#000;stroke-width:1.5}\n");
    for (int k = 0; k < NKINDS; k++) buf_printf(o, ".k%d{fill:%s}", k, kinds[k].fill);
    buf_puts(o, "\n.grid{stroke:#e3e3e3} .tick{font-size:11px;fill:#555} .axis{font-size:12px;fill:#333}\n"
                ".name{font-size:9.5px;fill:#1a1a1a;pointer-events:none} .light{fill:#fff}\n"
                "line.peak{stroke:#222;stroke-width:1.4} text.peak{font-size:12px;font-weight:bold;fill:#222}\n"
                "line.bound{stroke:#d62728;stroke-width:1.4;stroke-dasharray:6 4} "
                "text.bound{font-size:12px;font-weight:bold;fill:#d62728}\n"
                "line.phase{stroke:#777;stroke-dasharray:2 3} text.phase{font-size:12px;fill:#555;font-style:italic}\n"
                ".live{fill:none;stroke:#7b2d8b;stroke-width:1.2;stroke-opacity:.8}\n</style>\n<rect width=\"100%\" "
                "height=\"100%\" fill=\"#fff\"/>\n");
    buf_printf(o, "<text x=\"%d\" y=\"32\" font-size=\"20\" font-weight=\"bold\" fill=\"#111\">", LEFT);
    escaped(o, g->name);
    buf_printf(o, ": memory of %s, batch %lld</text>\n", g->train ? "a training step" : "inference",
               (long long)g->batch);
    double over = g->lower_bound_bytes ? 100.0 * ((double)g->arena_bytes / (double)g->lower_bound_bytes - 1) : 0;
    buf_printf(o,
               "<text class=\"axis\" x=\"%d\" y=\"54\">%d nodes, arena %s, %.1f%% above the lower bound; weights and "
               "state beside it: %s</text>\n",
               LEFT, d->columns, bytes_text(o->arena, g->arena_bytes), over, bytes_text(o->arena, g->state_bytes));
}

void plan_svg(const struct graph *g, struct buf *out)
{
    struct drawing d = {.g = g, .out = out, .top = g->arena_bytes + g->arena_bytes / 24 + 64};
    bool used[NKINDS] = {false};
    count_columns(&d, out->arena);
    find_lives(&d, out->arena);
    draw_head(&d);
    draw_axes(&d);
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (!is_drawn(v)) continue;
        used[kind_of(&d, v)] = true;
        draw_value(&d, v);
    }
    draw_live(&d, out->arena);
    draw_phases(&d);
    bool near = y_of(&d, (double)g->lower_bound_bytes) - y_of(&d, (double)g->arena_bytes) < 14;
    draw_level(&d, g->lower_bound_bytes, "bound", "lower bound", 14);
    draw_level(&d, g->arena_bytes, "peak", "peak", near ? -5 : 14);
    draw_legend(&d, used);
    buf_puts(out, "</svg>\n");
}
