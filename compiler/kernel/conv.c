/* conv.c: the families of convolutions and of their gradients by the weight: what depends on a node's algorithm is
   asked of that; what is said here is of direct sums. */
#include "kernel/conv.h"

#include "base/checked.h"
#include "ir/segments.h"
#include "kernel/algorithm.h"
#include "kernel/partials.h"
#include "kernel/sums.h"

/* ---- plans */

size_t conv_workspace(const struct node *n, int lanes)
{
    const struct algorithm *a = algorithm_of(n);
    return a->method->workspace ? a->method->workspace(a, n, lanes) : 0;
}

static int64_t pixels(const struct type *t) { return t->rank == 4 ? t->dim[2] * t->dim[3] : 1; }

size_t wgrad_family_workspace(const struct node *n, int lanes)
{
    const struct algorithm *a = algorithm_of(n);
    if (a->method->workspace) return a->method->workspace(a, n, lanes);
    const struct type x = segments_type(n), *dy = &n->in[1]->type, *dw = &n->out[0]->type;
    struct wgrad_plan p = wgrad_plan(x.dim[0], dw->dim[0], dw->dim[1], pixels(dw), pixels(&x), pixels(dy), lanes);
    return wgrad_workspace(&p, dw->dim[0], dw->dim[1], pixels(dw), lanes);
}

/* Each phase of a strided gradient has partials of its own. */
int64_t conv_sum_partials(const struct node *n, int lanes)
{
    const struct algorithm *a = algorithm_of(n);
    if (a->method->sum_partials) return a->method->sum_partials(a, n, lanes);
    const struct type *out = &n->out[0]->type;
    int64_t phases = 1;
    if (n->op->direction == CONV_DGRAD) phases = node_ints(n, "stride")[0] * node_ints(n, "stride")[1];
    return phases * out->dim[0] * sums_chunks(out);
}

bool conv_reads_pre(const struct node *n, int k, struct pre_reads *r)
{
    const struct algorithm *a = algorithm_of(n);
    return a->method->reads && a->method->reads(a, n, k, r);
}

/* ---- layouts */

static bool has_layout(const struct type *t, enum layout l) { return t->layout == l; }

/* Pixels whose few channels lie side by side. */
static bool is_pixels(const struct graph *g, const struct type *t)
{
    return has_layout(t, LAYOUT_BLOCKED) && t->v < g->lanes;
}

/* A concat that is read in place is blocked, its segments in whole blocks but for the last; so are the channels that a
   gradient is made of. */
static const char *check_segments(struct arena *a, const struct graph *g, const struct node *n)
{
    const struct value *segment[MAX_SEGMENTS];
    int count = segments_of(n, segment), channels = op_attr_index(n->op, "channels");
    for (int i = 0; i < count && count > 1; i++) {
        if (!has_layout(&segment[i]->type, LAYOUT_BLOCKED))
            return arena_printf(a, "%%%s is a segment of the input, but not blocked", segment[i]->name);
        if (segment[i]->type.dtype != segment[0]->type.dtype) return "the segments of the input have two types";
        if (i + 1 < count && segment[i]->type.dim[1] % segment[i]->type.v)
            return arena_printf(a, "the segment %%%s ends inside a block of channels", segment[i]->name);
    }
    bool whole = channels < 0 || n->attr[channels].v[0] % g->lanes == 0;
    return whole ? NULL : "its channels begin inside a block";
}

/* Transformed weights; or packed ones, which its kernels transform themselves. */
static const char *check_transformed(struct arena *a, const struct node *n)
{
    const struct algorithm *algorithm = algorithm_of(n);
    const struct value *weight = n->in[1];
    if (has_layout(&weight->type, algorithm->method->transformed(n)))
        return weight->type.iv == algorithm->tile
                   ? NULL
                   : arena_printf(a, "%%%s is not transformed as the algorithm wants it", weight->name);
    bool itself =
        has_layout(&weight->type, LAYOUT_WEIGHT) && weight->type.dtype == DT_F32 && weight->type.iv == weight->type.v;
    itself = itself && algorithm->method->transforms(algorithm, n, weight->type.v);
    return itself ? NULL : arena_printf(a, "%%%s is not packed as this operator reads it", weight->name);
}

/* A stem may read its few channels plainly, odd groups have plain weights. */
static const char *check_packed(struct arena *a, const struct graph *g, const struct node *n)
{
    const struct type *x = &n->in[0]->type, *w = &n->in[1]->type;
    enum layout packed = n->op->direction == CONV_DGRAD ? LAYOUT_WEIGHT_T : LAYOUT_WEIGHT;
    if (has_layout(w, packed)) {
        bool stem = has_layout(x, LAYOUT_PLAIN) || is_pixels(g, x);
        bool fits = packed == LAYOUT_WEIGHT_T || w->iv == (stem ? x->dim[1] : w->v);
        return fits ? NULL : "the weight's inner block does not match the input";
    }
    bool grouped = op_attr_index(n->op, "groups") >= 0 && node_int(n, "groups") > 1;
    return grouped && (has_layout(w, LAYOUT_PLAIN) || has_layout(w, LAYOUT_DEPTHWISE))
               ? NULL
               : arena_printf(a, "%%%s is not packed as this operator reads it", n->in[1]->name);
}

/* Of a stem in bf16, weights have one block of all its channels. */
static const char *check_pixels(const struct graph *g, const struct node *n, const struct type *w, enum dtype dtype)
{
    const struct type *x = &n->in[0]->type;
    bool fits = !is_pixels(g, x) || (has_layout(w, LAYOUT_WEIGHT) && w->iv == x->v && w->dtype == dtype);
    return fits ? NULL : "the weight's inner block does not match the input";
}

const char *conv_check_layouts(struct arena *a, const struct graph *g, const struct node *n)
{
    const struct value *x = n->in[0];
    const char *problem = check_pixels(g, n, &n->in[1]->type, x->type.dtype);
    if (!problem) problem = check_segments(a, g, n);
    if (problem) return problem;
    if (!has_layout(&n->out[0]->type, LAYOUT_BLOCKED)) return "the result is not blocked";
    if (has_layout(&x->type, LAYOUT_PLAIN) && x->kind != VALUE_INPUT) return "only a graph's input may be read plainly";
    return algorithm_of(n)->method->transformed ? check_transformed(a, n) : check_packed(a, g, n);
}

const char *wgrad_check_layouts(struct arena *a, const struct graph *g, const struct node *n)
{
    const struct type *dw = &n->out[0]->type;
    const char *problem = check_pixels(g, n, dw, dtype_computed(n->in[0]->type.dtype));
    if (!problem) problem = check_segments(a, g, n);
    if (problem) return problem;
    bool vectors = has_layout(&n->in[0]->type, LAYOUT_BLOCKED) && has_layout(dw, LAYOUT_WEIGHT);
    return algorithm_of(n)->method->stem || vectors ? NULL : "its algorithm reads blocks of channels";
}
