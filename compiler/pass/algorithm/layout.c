/* layout.c: how every value lies in memory. Activations are blocked by the target's lanes, weights packed as their
   kernels read them; what the caller gives and gets stays plain. Every change of layout is an explicit `repack`, shared
   by all who need it. */
#include "pass/passes.h"

#include <string.h>
#include "ir/op.h"
#include "kernel/algorithm.h"

struct copy {
    struct value *value;
    struct copy *next;
}; /* the same value in another layout */

struct laying {
    struct graph *g;
    int v;
    const struct target *target;
    int cap;              /* values that the two arrays have room for */
    bool *fixed;          /* by id: a state or a prepared value whose layout was chosen by its first reader */
    struct copy **copies; /* by id */
    int repacks, prepared;
};

/* ---- types */

/* Lists stay plain: a block would hold what is there beside what is not. */
static bool blockable(const struct type *t)
{
    if (t->bounded) return false;
    if (t->dtype == DT_U8) return t->rank == 4;
    return dtype_floating(t->dtype) && (t->rank == 4 || t->rank == 2 || t->rank == 1);
}

static struct type in_layout(const struct type *t, enum layout layout, int v, int iv)
{
    struct type r = *t;
    r.layout = layout;
    r.v = layout == LAYOUT_PLAIN ? 0 : v;
    r.iv = layout == LAYOUT_WEIGHT || layout_is_winograd(layout) ? iv : 0;
    return r;
}

static struct type plain(const struct type *t) { return in_layout(t, LAYOUT_PLAIN, 0, 0); }
static struct type blocked(const struct laying *l, const struct type *t)
{
    return blockable(t) ? in_layout(t, LAYOUT_BLOCKED, l->v, 0) : plain(t);
}

static bool is_state(const struct value *v)
{
    return v->kind == VALUE_PARAM || v->kind == VALUE_BUFFER || v->kind == VALUE_OPTIM;
}
static bool is_prepared(const struct value *v) { return v->def && v->def->prepare; }

/* ---- repacking */

static void reserve(struct laying *l)
{
    if (l->g->nvalues < l->cap) return;
    int cap = l->g->nvalues * 2 + 64;
    bool *fixed = ARENA_ARRAY(l->g->arena, bool, cap);
    struct copy **copies = ARENA_ARRAY(l->g->arena, struct copy *, cap);
    if (l->cap) {
        memcpy(fixed, l->fixed, (size_t)l->cap * sizeof *fixed);
        memcpy(copies, l->copies, (size_t)l->cap * sizeof *copies);
    }
    l->fixed = fixed;
    l->copies = copies;
    l->cap = cap;
}

static const char *suffix_of(const struct type *t)
{
    static const char *const names[] = {"plain",  "blocked",  "packed",     "packed_t",
                                        "packed", "winograd", "winograd_t", "winograd_s"};
    return names[t->layout];
}

/* A new node that copies V into the layout of TYPE, before BEFORE; PREPARE: when weights are loaded, not in the step.
 */
static struct value *repack(struct laying *l, struct value *v, struct type type, bool prepare, struct node *before)
{
    struct node *n = graph_node(l->g, before, op_find(OPNAME_REPACK), &v, 1, 1);
    n->out[0]->type = type;
    n->layer = v->def ? v->def->layer : NULL;
    n->prepare = prepare;
    value_rename(l->g, n->out[0],
                 graph_fresh_name(l->g, arena_printf(l->g->arena, "%s.%s", v->name, suffix_of(&type))));
    *(prepare ? &l->prepared : &l->repacks) += 1;
    reserve(l);
    return n->out[0];
}

/* V in the layout of TYPE for a reader at BEFORE: itself, a copy that is there already, or a new one. */
static struct value *convert(struct laying *l, struct value *v, struct type type, struct node *before)
{
    reserve(l);
    if (type_equal(&v->type, &type)) return v;
    if ((is_state(v) || is_prepared(v)) && !l->fixed[v->id]) {
        l->fixed[v->id] = true;
        v->type = type;
        return v;
    }
    if (v->def && v->def->op->repacks && type_equal(&v->def->in[0]->type, &type)) return v->def->in[0];
    for (struct copy *c = l->copies[v->id]; c; c = c->next)
        if (type_equal(&c->value->type, &type)) return c->value;
    if (before) before = node_within(before, v->def); /* a copy is where V is: all that read V can read it */
    struct copy *c = ARENA_NEW(l->g->arena, struct copy);
    c->value = repack(l, v, type, is_state(v) && !l->g->train, before);
    c->next = l->copies[v->id];
    l->copies[v->id] = c;
    return c->value;
}

static struct value *convert_blocked(struct laying *l, struct value *v, struct node *before)
{
    return convert(l, v, blocked(l, &v->type), before);
}

/* ---- convolutions */

static bool is_dgrad(const struct node *n) { return n->op->direction == CONV_DGRAD; }

/* The weights of N as they were before they had a layout; NULL: it has none. */
static const struct value *weights_of(const struct node *n)
{
    const struct value *w = n->in[1];
    while (w && w->def && w->def->op->repacks) w = w->def->in[0];
    return w;
}

static int64_t groups_of(const struct node *n)
{
    return op_attr_index(n->op, "groups") < 0 ? 1 : node_int(n, "groups");
}

/* A stem reads the caller's few channels where they lie: blocking them would multiply the bytes and the work.
   (Transforms read blocks.) */
static bool reads_plain(const struct laying *l, const struct node *n)
{
    const struct value *x = n->in[0];
    return conv_reads_x(n->op) && x->kind == VALUE_INPUT && x->type.rank == 4 && x->type.dim[1] < l->v &&
           groups_of(n) == 1 && algorithm_of(n)->method->stem;
}

/* A stem whose image is a rounded copy reads it pixel by pixel, the channels side by side, where the CPU multiplies
   such pairs fast. */
static void lay_pixels(struct laying *l)
{
    GRAPH_EACH(l->g, n)
    {
        struct value *image = n->nin ? stem_image(n->in[0]) : NULL;
        if (!image || !stem_takes_pairs(n, image, n->in[0]->type.dtype, l->target)) continue;
        struct type type = in_layout(&n->in[0]->type, LAYOUT_BLOCKED, (int)image->type.dim[1], 0);
        n->in[0] = convert(l, image, type, n);
    }
    graph_remove_dead(l->g);
}

static bool reads_pixels(const struct laying *l, const struct node *n)
{
    return n->in[0]->type.layout == LAYOUT_BLOCKED && n->in[0]->type.v != l->v;
}

static bool is_stem(const struct laying *l, const struct node *n) { return reads_plain(l, n) || reads_pixels(l, n); }

/* Weights [O, I/groups, KH, KW] or [O, I] as the forward kernel reads them. */
static struct type weight_type(const struct laying *l, const struct type *w, int64_t groups, bool stem)
{
    if (groups == 1) return in_layout(w, LAYOUT_WEIGHT, l->v, stem ? (int)w->dim[1] : l->v);
    if (w->dim[0] == groups && w->dim[1] == 1) return in_layout(w, LAYOUT_DEPTHWISE, l->v, 0);
    if (w->dim[0] / groups % l->v == 0 && w->dim[1] % l->v == 0) return in_layout(w, LAYOUT_WEIGHT, l->v, l->v);
    return plain(w);
}

static struct value *data_operand(struct laying *l, struct node *n)
{
    return is_stem(l, n) ? n->in[0] : convert_blocked(l, n->in[0], n);
}

/* Do both convolutions read the same transformed weights? */
static bool shares_transformed(const struct node *a, const struct node *b)
{
    if (a == b || a->op != b->op || algorithm_of(a) != algorithm_of(b) || weights_of(a) != weights_of(b)) return false;
    return !is_dgrad(a) || memcmp(node_ints(a, "channels"), node_ints(b, "channels"), 2 * sizeof(int64_t)) == 0;
}

/* Kernels that transform weights themselves if no other node reads the transformed weights: then these are never in
   memory as a whole. */
static bool transforms_weights(const struct laying *l, const struct node *n)
{
    const struct algorithm *a = algorithm_of(n);
    if (!l->g->train || !a->method->transforms(a, n, l->v)) return false;
    GRAPH_EACH(l->g, other)
    if (shares_transformed(n, other)) return false;
    return true;
}

/* Weights are transformed when they are loaded; where they are trained, once a step from the packed ones. */
static struct value *transformed_operand(struct laying *l, struct node *n, struct type packed)
{
    const struct algorithm *a = algorithm_of(n);
    struct value *w = n->in[1];
    if (transforms_weights(l, n)) return convert(l, w, packed, n);
    reserve(l);
    if (is_state(w) && !l->fixed[w->id]) {
        if (l->g->train) w->type = packed;
        l->fixed[w->id] = true;
    }
    return convert(l, w, in_layout(&w->type, a->method->transformed(n), l->v, a->tile), n);
}

static struct value *weight_operand(struct laying *l, struct node *n)
{
    struct value *w = n->in[1];
    struct type type = weight_type(l, &w->type, groups_of(n), is_stem(l, n));
    if (algorithm_of(n)->method->transformed) return transformed_operand(l, n, type);
    bool narrow =
        w->type.layout == LAYOUT_WEIGHT && w->type.iv != w->type.v; /* a stem's: other pairs are made of whole blocks */
    /* Weights that rounded images meet are rounded pairs; where the CPU's products of these are slow, they stay f32. */
    bool pairs = dtype_fast_group(n->in[0]->type.dtype, l->target) == 2 && (!narrow || reads_pixels(l, n));
    if ((!is_dgrad(n) && !pairs) || type.layout != LAYOUT_WEIGHT) return convert(l, w, type, n);
    reserve(l);
    struct type read = is_dgrad(n) ? in_layout(&w->type, LAYOUT_WEIGHT_T, l->v, 0) : type;
    if (pairs) read.dtype = n->in[0]->type.dtype;
    if (is_state(w) && !l->fixed[w->id]) {
        if (l->g->train) w->type = type; /* else it stays plain: it is only read when weights are loaded */
        l->fixed[w->id] = true;
    }
    return convert(l, w, read, n);
}

/* ---- the others */

/* An image of one pixel lies like its features; other images must be plain to be seen as features. */
static void layout_view(struct laying *l, struct node *n)
{
    const struct type *in = &n->in[0]->type, *image = in->rank == 4 ? in : &n->out[0]->type;
    bool pixel = image->rank < 4 || (image->dim[2] == 1 && image->dim[3] == 1);
    if (pixel && blockable(image)) {
        n->in[0] = convert_blocked(l, n->in[0], n);
        n->out[0]->type = blocked(l, &n->out[0]->type);
    } else {
        n->in[0] = convert(l, n->in[0], plain(&n->in[0]->type), n);
        n->out[0]->type = plain(&n->out[0]->type);
    }
}

/* T arranged as LIKE is. */
static struct type laid_like(const struct type *t, const struct type *like)
{
    return in_layout(t, like->layout, like->v, like->iv);
}

/* What goes element by element lies like its first operand of the result's shape whose layout is settled: weight
   gradients and updates like the weights, everything else blocked. */
static void layout_pointwise(struct laying *l, struct node *n)
{
    const struct type *r = &n->out[0]->type;
    struct type type = blocked(l, r);
    reserve(l);
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        bool settled = v && ((v->kind == VALUE_NODE && !is_prepared(v)) || l->fixed[v->id]);
        if (!settled || !type_same_dims(&v->type, r)) continue;
        if (v->type.layout == LAYOUT_PLAIN && v->def && v->def->op->view) continue;
        type = v->type;
        break;
    }
    for (int i = 0; i < n->nin; i++) {
        struct value *v = n->in[i];
        if (!v) continue;
        n->in[i] =
            type_same_dims(&v->type, r) ? convert(l, v, laid_like(&v->type, &type), n) : convert_blocked(l, v, n);
    }
    for (int i = 0; i < n->nout; i++)
        n->out[i]->type =
            type_same_dims(&n->out[i]->type, r) ? laid_like(&n->out[i]->type, &type) : blocked(l, &n->out[i]->type);
}

static struct value *laid_operand(struct laying *l, struct node *n, int i)
{
    switch (i < FAMILY_OPERANDS ? n->op->family->operand[i] : LAID_BLOCKED) {
    case LAID_IMAGE: return data_operand(l, n);
    case LAID_WEIGHTS: return weight_operand(l, n);
    case LAID_BLOCKED:
    case LAID_ALIKE: break;
    }
    return convert_blocked(l, n->in[i], n);
}

/* Operands and results as the kernels of the node's family want them. */
static void layout_by_family(struct laying *l, struct node *n)
{
    bool weights = n->op->family->result == LAID_WEIGHTS, stem = weights && is_stem(l, n);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) n->in[i] = laid_operand(l, n, i);
    for (int i = 0; i < n->nout; i++)
        n->out[i]->type = weights ? weight_type(l, &n->out[i]->type, groups_of(n), stem) : blocked(l, &n->out[i]->type);
}

/* A region's results lie like what it yields, which its nodes have settled. */
static void layout_region(struct node *n)
{
    for (int i = 0; i < n->nout; i++) n->out[i]->type = n->in[REGION_YIELD + i]->type;
}

static void layout_node(struct laying *l, struct node *n)
{
    if (n->prepare || n->op->repacks) return;
    if (n->op->owns) layout_region(n);
    else if (n->op->view) layout_view(l, n);
    else if (n->op->family->result == LAID_ALIKE) layout_pointwise(l, n);
    else layout_by_family(l, n);
}

/* ---- the borders of the graph */

/* An output's value is a plain one of its own, which its kernel can write straight into the caller's buffer: a repack,
   a number, or integers, which are never blocked. */
static void layout_output(struct laying *l, int k)
{
    struct graph_output *o = &l->g->outputs[k];
    struct value *v = convert(l, o->value, plain(&o->value->type), NULL);
    bool own = v->kind == VALUE_NODE && !v->def->prepare &&
               (v->def->op->repacks || v->type.rank == 0 || v->type.dtype == DT_I64);
    for (int i = 0; i < k && own; i++) own = l->g->outputs[i].value != v;
    for (int i = 0; i < l->g->nupdates && own; i++) own = l->g->updates[i].value != v;
    o->value = own ? v : repack(l, v, plain(&v->type), false, NULL);
}

/* A new state comes from a pointwise node, which can write over the old one. */
static void layout_update(struct laying *l, int k)
{
    struct graph_update *u = &l->g->updates[k];
    struct value *v = u->value;
    bool own = v->kind == VALUE_NODE && !v->def->prepare && v->def->op->family->elementwise;
    for (int i = 0; i < k && own; i++) own = l->g->updates[i].value != v;
    if (own && !l->fixed[u->state->id]) u->state->type = v->type;
    l->fixed[u->state->id] = true;
    if (own && type_equal(&v->type, &u->state->type)) return;
    u->value = repack(l, v, u->state->type, false, NULL);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct laying l = {.g = g, .v = c->target.lanes, .target = &c->target};
    reserve(&l);
    g->lanes = l.v;
    lay_pixels(&l);
    GRAPH_EACH(g, n) layout_node(&l, n);
    for (int i = 0; i < g->nupdates; i++) layout_update(&l, i);
    for (int i = 0; i < g->noutputs; i++) layout_output(&l, i);
    g->stage = STAGE_LAYOUT;
    graph_remove_dead(g);
    int before_weights = l.prepared;
    GRAPH_EACH(g, n) before_weights += n->prepare && !n->op->repacks;
    buf_printf(summary, "blocks of %d, %d repack%s in the step, %d weights prepared", l.v, l.repacks,
               l.repacks == 1 ? "" : "s", before_weights);
    return true;
}

const struct pass pass_layout = {"layout", "choose each value's layout; make every repacking explicit", run};
