/* verify.c: what every pass may rely on, checked. The test of the memory plan is written independently of
   pass/memory/plan.c: it recomputes lifetimes from the list and compares byte ranges, knowing nothing of how the
   offsets were found. */
#include "ir/verify.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/strmap.h"
#include "ir/text.h"
#include "ir/op.h"

struct verifier {
    struct graph *g;
    struct arena *arena;
    const char *problem;
};

__attribute__((format(printf, 3, 4))) static bool wrong(struct verifier *w, const struct node *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    w->problem = arena_vprintf(w->arena, fmt, ap);
    va_end(ap);
    if (n && n->nout && n->out[0])
        w->problem = arena_printf(w->arena, "%%%s = %s: %s", n->out[0]->name, n->op->name, w->problem);
    return false;
}

/* ---- types and arity, shared with the parser */

/* The batch and the length of a list. */
static const char *verify_marks(const struct type *t)
{
    bool many = t->bounded & (t->bounded - 1), outside = t->bounded >> t->rank;
    if (t->batched && t->rank == 0) return "a scalar has no row for each sample";
    if (many || outside || (t->batched && t->bounded & 1)) return "a list has one dimension that says its length";
    if (t->bounded && t->layout != LAYOUT_PLAIN) return "lists are plain";
    return NULL;
}

const char *verify_type(const struct type *t)
{
    int64_t elements = 1;
    if (t->rank < 0 || t->rank > MAX_RANK) return "a shape has at most 4 dimensions";
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 1) return "a dimension must be at least 1";
        if (!mul_i64(elements, t->dim[i], &elements) || elements > (int64_t)1 << 40)
            return "the shape has more than 2^40 elements";
    }
    const char *problem = verify_marks(t);
    if (problem) return problem;
    if (t->layout == LAYOUT_PLAIN) return t->v || t->iv ? "a plain value has no block size" : NULL;
    bool wino = layout_is_winograd(t->layout), two = wino || t->layout == LAYOUT_WEIGHT;
    if (t->v < 1 || t->v > 64 || two != (t->iv > 0)) return "the layout has no such block size";
    if (wino && (t->rank != 4 || t->dim[2] != 3 || t->dim[3] != 3)) return "only 3×3 weights can be transformed";
    if (wino && !algorithm_has_tile(t->iv, t->layout == LAYOUT_WINOGRAD_S ? 2 : 1))
        return "no algorithm reads weights that are transformed for such a tile";
    if (t->dtype == DT_I64) return "i64 values are plain";
    bool fits = t->layout == LAYOUT_BLOCKED     ? t->rank == 4 || t->rank == 2 || t->rank == 1
                : t->layout == LAYOUT_DEPTHWISE ? t->rank == 4
                                                : t->rank == 4 || t->rank == 2;
    return fits ? NULL : "a value of this rank cannot have this layout";
}

const char *verify_argument(struct arena *a, enum value_kind kind, const struct type *t)
{
    bool given = kind == VALUE_INPUT || kind == VALUE_TARGET;
    if (given == t->batched || kind == VALUE_BUFFER) return NULL;
    if (!given) return "parameters, counters and the optimizer's states have no row for each sample";
    struct type batched = *t;
    batched.batched = true;
    return t->rank == 0
               ? "inputs and targets have a row for each sample"
               : arena_printf(a, "inputs and targets have a row for each sample: write %s", type_text(a, &batched));
}

const char *verify_arity(struct arena *a, const struct op_def *op, int nin, struct value *const *in)
{
    int least = 0;
    for (int i = 0; i < op->noperands; i++)
        if (!op->operands[i].optional) least = i + 1;
    if (nin < least || (!op->variadic && nin > op->noperands)) {
        const char *range = op->variadic             ? arena_printf(a, "at least %d", least)
                            : least == op->noperands ? arena_printf(a, "%d", least)
                                                     : arena_printf(a, "%d to %d", least, op->noperands);
        return arena_printf(a, "%s takes %s operands, not %d", op->name, range, nin);
    }
    for (int i = 0; i < nin; i++) {
        const struct op_operand *o = &op->operands[i < op->noperands ? i : op->noperands - 1];
        if (!in[i] && !o->optional)
            return arena_printf(a, "the operand '%s' of %s cannot be absent", o->name, op->name);
    }
    return NULL;
}

/* ---- structure: the list, names, definitions before uses */

static bool verify_values(struct verifier *w)
{
    struct strmap names;
    strmap_init(&names, w->arena);
    for (int i = 0; i < w->g->nvalues; i++) {
        struct value *v = w->g->values[i];
        if (v->id != i) return wrong(w, NULL, "%%%s has id %d at place %d", v->name, v->id, i);
        if (v->kind == VALUE_NODE && !v->def) continue; /* dead */
        if (!strmap_add(&names, v->name, v)) return wrong(w, NULL, "two values are named %%%s", v->name);
        const char *problem = verify_type(&v->type);
        if (!problem && v->kind != VALUE_NODE) problem = verify_argument(w->arena, v->kind, &v->type);
        if (problem) return wrong(w, v->def, "%%%s: %s", v->name, problem);
        if (v->type.batched && v->type.dim[0] != w->g->batch)
            return wrong(w, v->def, "%%%s: N is the graph's batch, %lld, not %lld", v->name, (long long)w->g->batch,
                         (long long)v->type.dim[0]);
    }
    return true;
}

/* The list of OWNER's region, or (NULL) the outermost one. */
static bool verify_list(struct verifier *w, struct node *owner, int depth, int *count)
{
    struct node *prev = NULL, *last = owner ? owner->last : w->g->last;
    if (depth > MAX_NESTING) return wrong(w, owner, "more than %d regions in one another", MAX_NESTING);
    for (struct node *n = owner ? owner->first : w->g->first; n; prev = n, n = n->next, ++*count) {
        if (n->prev != prev || (!n->next && last != n) || n->owner != owner)
            return wrong(w, n, "the list of nodes is broken here");
        for (int i = 0; i < n->nout; i++)
            if (n->out[i]->def != n || n->out[i]->result != i || n->out[i]->kind != VALUE_NODE)
                return wrong(w, n, "result %d does not know its node", i);
        if (n->op->owns != (n->first != NULL))
            return wrong(w, n, n->op->owns ? "it has no region" : "it cannot own a region");
        if (!verify_list(w, n, depth + 1, count)) return false;
    }
    return true;
}

static bool verify_links(struct verifier *w)
{
    int count = 0;
    return verify_list(w, NULL, 0, &count) &&
           (count == w->g->nnodes || wrong(w, NULL, "%d nodes in the list, %d counted", count, w->g->nnodes));
}

/* What governs a region is made before it; what it yields is made in it; nothing else leaves it. */
static bool verify_region(struct verifier *w, const struct node *n, bool *defined)
{
    for (int i = 0; i < n->nin; i++) {
        const struct node *def = n->in[i] ? n->in[i]->def : NULL;
        if (i >= REGION_YIELD && (!def || def->owner != n))
            return wrong(w, n, "%%%s is not defined in this region", n->in[i] ? n->in[i]->name : "_");
        if (i < REGION_YIELD && def && def->owner == n)
            return wrong(w, n, "%%%s governs the region that it is defined in", n->in[i]->name);
    }
    LIST_EACH(n->first, nested)
    {
        if (nested->prepare || nested->recompute)
            return wrong(w, nested, "it stands in a region and is no part of a step");
        for (int i = 0; i < nested->nout; i++) defined[nested->out[i]->id] = false;
    }
    return true;
}

/* A value may be read where `defined` says so. */
static bool verify_read(struct verifier *w, const struct node *n, const struct value *v, const bool *defined,
                        const char *who)
{
    if (v->id < 0 || v->id >= w->g->nvalues || w->g->values[v->id] != v)
        return wrong(w, n, "%s is no value of this graph", who);
    if (!defined[v->id] && v->def && v->def->owner && (!n || !node_within(n, v->def)))
        return wrong(w, n, "%%%s is used by %s outside the region that it is defined in", v->name, who);
    return defined[v->id] || wrong(w, n, "%%%s is used by %s before it is defined", v->name, who);
}

static bool verify_order(struct verifier *w)
{
    bool *defined = ARENA_ARRAY(w->arena, bool, w->g->nvalues + 1);
    for (int i = 0; i < w->g->nvalues; i++) defined[i] = w->g->values[i]->kind != VALUE_NODE;
    GRAPH_EACH(w->g, n)
    {
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] && !verify_read(w, n, n->in[i], defined, "this node")) return false;
        if (n->first && !verify_region(w, n, defined)) return false;
        for (int i = 0; i < n->nout; i++) defined[n->out[i]->id] = true;
    }
    for (int i = 0; i < w->g->noutputs; i++)
        if (!verify_read(w, NULL, w->g->outputs[i].value, defined, "an output")) return false;
    for (int i = 0; i < w->g->noutputs; i++)
        if (dtype_rounded(w->g->outputs[i].value->type.dtype))
            return wrong(w, w->g->outputs[i].value->def, "what the caller gets is not %s",
                         dtype_name(w->g->outputs[i].value->type.dtype));
    for (int i = 0; i < w->g->nupdates; i++) {
        const struct graph_update *u = &w->g->updates[i];
        if (!verify_read(w, NULL, u->state, defined, "an update") ||
            !verify_read(w, NULL, u->value, defined, "an update"))
            return false;
        if (!type_equal(&u->state->type, &u->value->type))
            return wrong(w, u->value->def, "the update of %%%s has another type", u->state->name);
    }
    return true;
}

/* ---- one node: operands, body, types */

static bool verify_insn(struct verifier *w, const struct node *n, const struct body *body, int k)
{
    const struct body_insn *b = &body->insn[k];
    bool sums = b->op->family->sums, last = k == body->ninsn - 1;
    if (!sums && (!b->op->family->elementwise || b->op->nouts != 1))
        return wrong(w, n, "%s cannot stand in a body", b->op->name);
    if (sums && body != n->body) return wrong(w, n, "t%d: a prologue has no sums", k);
    if (sums && !last && !body->insn[k + 1].op->family->sums)
        return wrong(w, n, "t%d: sums stand behind all other operators of a body", k);
    if (b->narg != b->op->noperands) return wrong(w, n, "t%d: %s takes %d operands", k, b->op->name, b->op->noperands);
    return true;
}

/* The results of the sums are the body's last, all of them in order; nothing else reads them. */
static bool verify_sums(struct verifier *w, const struct node *n, const struct body *b)
{
    int first = b->ninsn - body_sums(b), at = body_elementwise(b);
    if (body_sums(b) && (at < 1 || n->out[0]->type.rank != 4))
        return wrong(w, n, "sums are over the pixels of an image");
    for (int i = 0; i < b->ninsn; i++)
        for (int k = 0; k < b->insn[i].narg; k++) {
            const struct body_ref *r = &b->insn[i].arg[k];
            if (r->source == BODY_SECOND || (r->source == BODY_INSN && r->index >= first))
                return wrong(w, n, "t%d reads a sum, which is not known yet", i);
        }
    for (int i = first; i < b->ninsn; i++)
        for (int k = 0; k < b->insn[i].op->nouts; k++, at++)
            if (b->out[at].source != (k ? BODY_SECOND : BODY_INSN) || b->out[at].index != i)
                return wrong(w, n, "the results of t%d must stand in order behind the body's other results", i);
    return true;
}

static bool verify_body(struct verifier *w, const struct node *n, const struct body *b)
{
    if (b->ninsn < 0 || b->ninsn > MAX_BODY || b->nout < 1 || b->nout > MAX_OUTS)
        return wrong(w, n, "the body is too large");
    if (n->nin - n->nanchor > MAX_BODY_OPERANDS)
        return wrong(w, n, "a body reads at most %d operands, not %d", MAX_BODY_OPERANDS, n->nin - n->nanchor);
    for (int i = 0; i < b->ninsn; i++)
        if (!verify_insn(w, n, b, i)) return false;
    if (!verify_sums(w, n, b)) return false;
    for (int i = n->nanchor; i < n->nin; i++)
        if (n->in[i] && !dtype_floating(n->in[i]->type.dtype))
            return wrong(w, n, "%%%s: operands of a body are of floating point", n->in[i]->name);
    return true;
}

/* Images and packed weights may be stored rounded, by operators that know it. PARAM: the operand is a weight. */
static bool verify_rounded(struct verifier *w, const struct node *n, const struct value *v, bool param)
{
    bool packed = w->g->stage >= STAGE_LAYOUT, repacks = packed && n->op->repacks;
    if (!v || !dtype_rounded(v->type.dtype)) return true;
    const char *type = dtype_name(v->type.dtype);
    if (!op_bf16(n->op) && !repacks)
        return wrong(w, n, "%%%s is %s, which %s does not take", v->name, type, n->op->name);
    if (v->type.rank != 4) return wrong(w, n, "%%%s: only values of rank 4 are stored as %s", v->name, type);
    if (!packed && (param || n->prepare))
        return wrong(w, n, "%%%s: weights are not %s before they are packed", v->name, type);
    return v->kind == VALUE_NODE || (packed && v->kind == VALUE_PARAM) ||
           wrong(w, n, "%%%s: what the caller gives is not %s", v->name, type);
}

static bool verify_dtypes(struct verifier *w, const struct node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (!verify_rounded(w, n, n->in[i],
                            i < n->nanchor && i < n->op->noperands && n->op->operands[i].kind == OPERAND_PARAM))
            return false;
    for (int i = 0; i < n->nout; i++)
        if (!verify_rounded(w, n, n->out[i], false)) return false;
    return true;
}

static bool same_layout(const struct type *a, const struct type *b)
{
    return a->layout == b->layout && a->v == b->v && a->iv == b->iv;
}

/* What a prologue reads lies like the operand it stands before: the same layout for the same shape, blocked channels.
 */
static bool verify_pre(struct verifier *w, const struct node *n, int k)
{
    const struct type *x = &n->in[k]->type;
    if (!verify_body(w, n, n->pre[k])) return false;
    if (w->g->stage == STAGE_RAW) return true;
    if (!op_takes_pre(n, k)) return wrong(w, n, "its kernel takes no prologue for operand %d", k);
    for (int i = n->nanchor; i < n->nin; i++) {
        const struct type *t = &n->in[i]->type;
        bool channel = t->rank == 1 && t->layout == LAYOUT_BLOCKED;
        if (body_reads(n->pre[k], i) && t->rank && !channel && !(type_same_dims(t, x) && same_layout(t, x)))
            return wrong(w, n, "%%%s does not lie like %%%s", n->in[i]->name, n->in[k]->name);
    }
    return true;
}

/* The operator's shape rule finds the types that the results have; op_infer also checks arity and the body's
   references. */
static bool verify_shapes(struct verifier *w, struct node *n)
{
    struct type was[MAX_OUTS];
    int own = op_results(n);
    bool workspace = n->op->family->workspace || (n->body && body_sums(n->body));
    if (n->nout != own && !(n->nout == own + 1 && workspace))
        return wrong(w, n, "%d results instead of %d", n->nout, own);
    for (int i = 0; i < n->nout; i++) was[i] = n->out[i]->type;
    struct op_error e = {.arena = w->arena};
    bool ok = op_infer(n, &e);
    bool same = true;
    for (int i = 0; i < n->nout; i++) {
        const struct type *is = &n->out[i]->type;
        same = same && type_same_shape(&was[i], is) && was[i].batched == is->batched && was[i].bounded == is->bounded;
        n->out[i]->type = was[i];
    }
    if (!ok) return wrong(w, n, "%s", e.message ? e.message : "the operands do not fit");
    return same || wrong(w, n, "the results' types are not what the operator makes of its operands");
}

/* ---- samples: a region with an index has a batch of its own; operators with a `border` enter and leave it */

static const struct value *region_index(const struct node *n)
{
    return n->op->owns && n->nin > REGION_INDEX ? n->in[REGION_INDEX] : NULL;
}

/* The nearest region with an index around N; NULL: none, so that N computes the graph's own batch. */
static const struct node *region_around(const struct node *n)
{
    const struct node *r = n->owner;
    while (r && !region_index(r)) r = r->owner;
    return r;
}

/* The region with an index that has V as a result, repacked or not; or NULL. */
static const struct node *region_yielding(const struct value *v)
{
    while (v->def && v->def->op->repacks) v = v->def->in[0];
    return v->def && region_index(v->def) ? v->def : NULL;
}

static bool reads_by(const struct node *n, const struct value *index)
{
    for (int i = 0; i < n->op->noperands && i < n->nin; i++)
        if (n->op->operands[i].kind == OPERAND_SUBSET && n->in[i] == index) return true;
    return false;
}

static const char *border_name(enum op_border border)
{
    const struct op_def *const *op = op_all();
    while ((*op)->border != border) op++;
    return (*op)->name;
}

/* N reads a result of REGION, which has an index. */
static bool verify_result_read(struct verifier *w, const struct node *n, int i, const struct node *region)
{
    const struct value *index = region_index(region);
    bool back = n->op->repacks || (n->op->border == BORDER_OUT && i == 1 && reads_by(n, index));
    return (back && region_around(n) == region_around(region)) ||
           wrong(w, n,
                 "it reads %%%s, which has only the samples that %%%s names: only %s with %%%s, or an output, can read "
                 "it",
                 n->in[i]->name, index->name, border_name(BORDER_OUT), index->name);
}

/* N reads a value that is not the result of a region with an index. */
static bool verify_value_read(struct verifier *w, const struct node *n, int i)
{
    const struct node *from = n->in[i]->def ? region_around(n->in[i]->def) : NULL, *to = region_around(n);
    if (from == to) return true;
    while (region_around(to) != from) to = region_around(to); /* N stands in it, at whatever depth */
    const char *index = region_index(to)->name;
    bool taken = n->op->border == BORDER_IN && i == 0 && to == region_around(n) && reads_by(n, region_index(to));
    return taken || wrong(w, n,
                          "it reads %%%s from outside the region of %%%s, which has the samples that %%%s names: only "
                          "%s with %%%s can read it there",
                          n->in[i]->name, to->out[0]->name, index, border_name(BORDER_IN), index);
}

/* Values with a row for each sample are read by nodes of the same batch. */
static bool verify_samples(struct verifier *w, const struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        bool subset = i < n->op->noperands && n->op->operands[i].kind == OPERAND_SUBSET;
        if (!v || subset || !v->type.batched) continue;
        bool yield = n->op->owns && i >= REGION_YIELD;
        const struct node *region = region_yielding(v);
        if (region ? !verify_result_read(w, n, i, region) : !yield && !verify_value_read(w, n, i)) return false;
    }
    return true;
}

/* ---- layouts */

static bool has_layout(const struct value *v, enum layout l) { return v->type.layout == l; }

/* Few channels that lie side by side in each pixel are a stem's, all of them of a type of which it multiplies pairs. */
static bool verify_pixels(struct verifier *w, const struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        if (!n->in[i] || !has_layout(n->in[i], LAYOUT_BLOCKED) || n->in[i]->type.v >= w->g->lanes) continue;
        const struct type *x = &n->in[i]->type;
        bool stem = i == 0 && n->op->family->operand[0] == LAID_IMAGE && conv_reads_x(n->op);
        if (!stem || x->rank != 4 || dtype_group(x->dtype) != 2 || x->v != x->dim[1] || x->v < 2)
            return wrong(w, n, "%%%s lies in blocks of %d, which only a stem may read: all its channels in bf16",
                         n->in[i]->name, x->v);
    }
    return true;
}

/* Whatever goes element by element has operands that lie like the result: the same layout for the same shape, blocked
   channels beside blocked results. */
static bool verify_elementwise(struct verifier *w, const struct node *n, int from)
{
    bool pre = node_has_pre(n);
    const struct type *r = &n->out[0]->type;
    for (int i = 1; i < n->nout; i++)
        if (type_same_dims(&n->out[i]->type, r) && !same_layout(&n->out[i]->type, r))
            return wrong(w, n, "results of two layouts");
    for (int i = from; i < n->nin; i++) {
        if (pre && !body_reads(n->body, i)) continue; /* the prologues' */
        const struct type *t = &n->in[i]->type;
        bool full = type_same_dims(t, r), same = same_layout(t, r);
        bool channel =
            t->rank == 1 && r->rank > 1 && t->layout == (r->layout == LAYOUT_BLOCKED ? LAYOUT_BLOCKED : LAYOUT_PLAIN);
        if (t->rank && !(full && same) && !channel)
            return wrong(w, n, "%%%s does not lie like the result", n->in[i]->name);
    }
    return true;
}

/* What a region yields is its result. */
static bool verify_yields(struct verifier *w, const struct node *n)
{
    for (int i = 0; i < n->nout; i++)
        if (!type_equal(&n->in[REGION_YIELD + i]->type, &n->out[i]->type))
            return wrong(w, n, "%%%s does not lie like what the region yields", n->out[i]->name);
    return true;
}

static bool verify_layout(struct verifier *w, const struct node *n)
{
    if (n->op->owns) return verify_yields(w, n);
    if (n->prepare || n->op->repacks) return true;
    if (!verify_pixels(w, n)) return false;
    const struct kernel_family *f = n->op->family;
    const char *problem = f->check_layouts ? f->check_layouts(w->arena, w->g, n) : NULL;
    if (problem) return wrong(w, n, "%s", problem);
    if (f->takes_body && n->body) return verify_elementwise(w, n, n->nanchor);
    if (f->elementwise) return verify_elementwise(w, n, 0);
    if (n->op->view) {
        bool same = n->in[0]->type.layout == n->out[0]->type.layout &&
                    type_bytes(&n->in[0]->type) == type_bytes(&n->out[0]->type);
        return same || wrong(w, n, "a view cannot change the storage");
    }
    return true;
}

/* What the caller gets is a plain value of its own; what replaces a state is made by a node that can write over it. */
static bool verify_borders(struct verifier *w)
{
    const struct graph *g = w->g;
    const char **use = ARENA_ARRAY(w->arena, const char *, g->nvalues + 1);
    for (int i = 0; i < g->noutputs; i++) {
        const struct value *v = g->outputs[i].value;
        bool own = v->def && !v->def->prepare && !v->def->op->view && has_layout(v, LAYOUT_PLAIN) && !use[v->id];
        if (!own) return wrong(w, v->def, "the output \"%s\" is not a plain value of its own", g->outputs[i].label);
        use[v->id] = "output";
    }
    for (int i = 0; i < g->nupdates; i++) {
        const struct value *v = g->updates[i].value;
        bool own =
            v->def && !v->def->prepare && !use[v->id] && (v->def->op->family->elementwise || v->def->op->repacks);
        if (!own)
            return wrong(w, v->def, "the new value of %%%s cannot be written over the old one",
                         g->updates[i].state->name);
        use[v->id] = "update";
    }
    return true;
}

/* ---- the memory plan */

struct region {
    int first, last;
    size_t begin, end;
    const struct value *root;
};

static const struct value *root_of(const struct value *v, int limit)
{
    while (v->alias && limit-- > 0) v = v->alias;
    return v;
}

static void touch(struct region *r, int time)
{
    if (time < r->first) r->first = time;
    if (time > r->last) r->last = time;
}

/* Lifetimes of the storages in the arena, by the root's id. A state that is replaced is not in the arena. */
static struct region *lifetimes(struct verifier *w)
{
    const struct graph *g = w->g;
    struct region *r = ARENA_ARRAY(w->arena, struct region, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) r[i] = (struct region){.first = g->nnodes, .last = -1};
    int time = 0;
    GRAPH_EACH(g, n)
    {
        for (int i = 0; i < n->nin; i++)
            if (n->in[i]) touch(&r[root_of(n->in[i], g->nvalues)->id], time);
        for (int i = 0; i < n->nout; i++) touch(&r[root_of(n->out[i], g->nvalues)->id], time);
        time++;
    }
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        r[i].root = v;
        r[i].begin = v->offset;
        r[i].end = v->offset + type_bytes(&v->type);
    }
    for (int i = 0; i < g->nvalues; i++) { /* the widest of the aliases */
        struct region *root = &r[root_of(g->values[i], g->nvalues)->id];
        size_t end = root->begin + type_bytes(&g->values[i]->type);
        if (g->values[i]->alias && end > root->end) root->end = end;
    }
    return r;
}

static int by_begin(const void *a, const void *b)
{
    const struct region *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->root->id - y->root->id;
}

static bool verify_overlap(struct verifier *w, struct region *r, int count, const char *space)
{
    qsort(r, (size_t)count, sizeof *r, by_begin);
    for (int i = 0; i < count; i++)
        for (int k = i + 1; k < count && r[k].begin < r[i].end; k++)
            if (r[i].first <= r[k].last && r[k].first <= r[i].last)
                return wrong(w, NULL, "%%%s and %%%s overlap in the %s while both are live", r[i].root->name,
                             r[k].root->name, space);
    return true;
}

/* Regions of one space; state lives for ever. */
static bool verify_space(struct verifier *w, const struct region *all, enum space space, size_t bytes, const char *name)
{
    struct region *r = ARENA_ARRAY(w->arena, struct region, w->g->nvalues + 1);
    int count = 0;
    for (int i = 0; i < w->g->nvalues; i++) {
        const struct value *v = w->g->values[i];
        if (v->alias || v->space != space || (v->kind == VALUE_NODE && !v->def)) continue;
        r[count] = all[i];
        if (space == SPACE_STATE) r[count].first = -1, r[count].last = w->g->nnodes;
        if (r[count].begin % 64) return wrong(w, NULL, "%%%s is not aligned to 64 bytes", v->name);
        if (r[count].end > bytes) return wrong(w, NULL, "%%%s ends past the %s", v->name, name);
        count++;
    }
    return verify_overlap(w, r, count, name);
}

/* An alias that is written (in place) must be the last reader of what it overwrites. */
static bool verify_in_place(struct verifier *w, const struct node *n, const int *last_read)
{
    for (int i = 0; i < n->nout; i++) {
        const struct value *over = n->out[i]->alias;
        if (!over || n->op->view) continue;
        bool reads = false;
        for (int k = 0; k < n->nin; k++) reads = reads || n->in[k] == over;
        if (over->kind != VALUE_NODE && over->space != SPACE_STATE)
            return wrong(w, n, "%%%s may not be overwritten", over->name);
        if (!reads && over->space != SPACE_STATE)
            return wrong(w, n, "%%%s is overwritten by a node that does not read it", over->name);
        for (int k = 0; k < w->g->nvalues; k++) {
            const struct value *v = w->g->values[k];
            bool shares = root_of(v, w->g->nvalues) == root_of(over, w->g->nvalues) && v != n->out[i];
            bool later = v->def && v->def->index >= n->index;
            if (shares && !later && last_read[k] > n->index)
                return wrong(w, n, "%%%s is overwritten while it is still read", v->name);
        }
    }
    return true;
}

static bool verify_places(struct verifier *w)
{
    int *last_read = ARENA_ARRAY(w->arena, int, w->g->nvalues + 1);
    for (int i = 0; i < w->g->nvalues; i++) last_read[i] = -1;
    GRAPH_EACH(w->g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) last_read[n->in[i]->id] = n->index;
    GRAPH_EACH(w->g, n)
    {
        for (int i = 0; i < n->nout; i++) {
            const struct value *v = n->out[i], *root = root_of(v, w->g->nvalues);
            if (root->alias) return wrong(w, n, "the aliases of %%%s go round in a circle", v->name);
            if (v->space == SPACE_NONE) return wrong(w, n, "%%%s has no place", v->name);
            if (v->alias && (v->space != root->space || v->offset != root->offset))
                return wrong(w, n, "%%%s is not where its alias is", v->name);
        }
        if (!verify_in_place(w, n, last_read)) return false;
    }
    return true;
}

static bool verify_plan(struct verifier *w)
{
    graph_number(w->g);
    if (!verify_places(w)) return false;
    const struct region *all = lifetimes(w);
    return verify_space(w, all, SPACE_ARENA, w->g->arena_bytes, "arena") &&
           verify_space(w, all, SPACE_STATE, w->g->state_bytes, "state");
}

/* ---- all of it */

static bool verify_nodes(struct verifier *w)
{
    GRAPH_EACH(w->g, n)
    {
        if (n->body && !verify_body(w, n, n->body)) return false;
        if (!verify_dtypes(w, n) || !verify_shapes(w, n) || !verify_samples(w, n)) return false;
        for (int k = 0; k < MAX_PRE; k++)
            if (n->pre[k] && !verify_pre(w, n, k)) return false;
        if (w->g->stage >= STAGE_LAYOUT && !verify_layout(w, n)) return false;
    }
    return true;
}

const char *graph_verify(struct graph *g)
{
    struct verifier w = {g, g->arena, NULL};
    bool ok = verify_links(&w) && verify_values(&w) && verify_order(&w) && verify_nodes(&w);
    if (ok && g->stage >= STAGE_LAYOUT) ok = verify_borders(&w);
    if (ok && g->stage == STAGE_PLANNED) ok = verify_plan(&w);
    (void)ok;
    return w.problem;
}
