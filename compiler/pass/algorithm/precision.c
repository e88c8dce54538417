/* precision.c: images and their gradients are stored as a rounded type (bf16) where all who make and read them can;
   sums, bodies, parameters, their gradients and what the caller gets stay fp32. A value that one of its neighbours
   needs in fp32 is fp32: no conversions are inserted, but for the caller's image where a stem is faster with a rounded
   copy of it. */
#include "pass/passes.h"

#include <string.h>
#include "ir/op.h"
#include "ir/segments.h"

struct precision {
    struct graph *g;
    enum dtype dtype;              /* rounded */
    bool *fixed;                   /* by id: an output, a new state, a weight or what is made of weights alone */
    const char **blocker;          /* operators that keep images in fp32, each once */
    int nblockers, images, narrow; /* an image: of rank 4, an activation or its gradient */
    int inputs;                    /* read as rounded copies */
    size_t before, after;          /* bytes of all images */
};

/* Weights, their gradients and what is computed of these element by element have the rank of an image, but are none. */
static void mark_weights(struct precision *p)
{
    for (int i = 0; i < p->g->nvalues; i++) p->fixed[i] = p->g->values[i]->kind != VALUE_NODE;
    GRAPH_EACH(p->g, n)
    {
        bool weights = n->prepare || n->op->family->result == LAID_WEIGHTS,
             rearranges = n->op->family->elementwise || n->op->family->rearranges;
        for (int i = 0; i < n->nin && rearranges; i++) {
            const struct value *v = n->in[i];
            weights |= v && v->type.rank == 4 && p->fixed[v->id] && v->kind != VALUE_INPUT && v->kind != VALUE_TARGET;
        }
        for (int i = 0; i < n->nout && weights; i++) p->fixed[n->out[i]->id] = true;
    }
}

/* What the caller gets, and what replaces a state. */
static void mark_borders(struct precision *p)
{
    for (int i = 0; i < p->g->noutputs; i++) p->fixed[p->g->outputs[i].value->id] = true;
    for (int i = 0; i < p->g->nupdates; i++) p->fixed[p->g->updates[i].value->id] = true;
}

static void blame(struct precision *p, const struct op_def *op)
{
    for (int i = 0; i < p->nblockers; i++)
        if (p->blocker[i] == op->name) return;
    p->blocker[p->nblockers++] = op->name;
}

static bool can_be_narrow(struct precision *p, const struct uses *u, const struct value *v)
{
    bool ok = op_bf16(v->def->op);
    if (!ok) blame(p, v->def->op);
    for (int k = u->start[v->id]; k < u->start[v->id + 1]; k++) {
        const struct op_def *reader = u->item[k].node->op;
        if (op_bf16(reader)) continue;
        blame(p, reader);
        ok = false;
    }
    return ok;
}

static void choose(struct precision *p, const struct uses *u, struct value *v)
{
    p->images++;
    p->before += type_bytes(&v->type);
    if (can_be_narrow(p, u, v)) v->type.dtype = p->dtype;
}

/* The segments that a convolution reads in place have one type. */
static void make_parts_alike(struct graph *g)
{
    const struct value *segment[MAX_SEGMENTS];
    for (bool changed = true; changed;) {
        changed = false;
        GRAPH_EACH(g, n)
        {
            bool wide = false;
            int count = segments_of(n, segment);
            for (int i = 0; i < count && count > 1; i++) wide |= !dtype_rounded(segment[i]->type.dtype);
            for (int i = 0; i < count && wide; i++) {
                const enum dtype dt = segment[i]->type.dtype;
                changed |= dtype_rounded(dt);
                g->values[segment[i]->id]->type.dtype = dtype_computed(dt);
            }
        }
    }
}

/* V as DT, by a node before BEFORE. */
static struct value *narrow_copy(struct graph *g, struct value *v, enum dtype dt, struct node *before)
{
    struct node *n = graph_node(g, before, op_find(OPNAME_POINTWISE), &v, 1, 1);
    n->nanchor = 0;
    n->body = ARENA_NEW(g->arena, struct body);
    *n->body = (struct body){.nout = 1, .out = {{BODY_OPERAND, 0}}};
    n->out[0]->type = v->type;
    n->out[0]->type.dtype = dt;
    value_rename(g, n->out[0], graph_fresh_name(g, arena_printf(g->arena, "%s.%s", v->name, dtype_name(dt))));
    return n->out[0];
}

/* The caller's image, where a stem's other operand or result is rounded too and its products are faster so: one copy
   for all that read it. Of a gradient, pairs are of pixels. */
static void narrow_stems(struct precision *p, const struct target *t)
{
    struct value **copy = ARENA_ARRAY(p->g->arena, struct value *, p->g->nvalues + 1);
    GRAPH_EACH(p->g, n)
    {
        struct value *x = n->nin ? n->in[0] : NULL;
        if (!x || !stem_takes_pairs(n, x, p->dtype, t)) continue;
        bool forward = n->op->direction == CONV_FORWARD;
        const struct type *other = forward ? &n->out[0]->type : &n->in[1]->type;
        if (!dtype_rounded(other->dtype) || (!forward && other->dim[3] == 1)) continue;
        if (!copy[x->id]) {
            copy[x->id] = narrow_copy(p->g, x, p->dtype, node_within(n, NULL));
            p->inputs++;
        }
        n->in[0] = copy[x->id];
    }
}

static void summarise(const struct precision *p, struct buf *summary)
{
    bool small = p->before < 1 << 20;
    const double unit = small ? 1024 : 1024.0 * 1024;
    buf_printf(summary, "%d of %d activations and gradients are %s", p->narrow, p->images, dtype_name(p->dtype));
    if (p->inputs) buf_printf(summary, ", %d input%s too", p->inputs, p->inputs == 1 ? "" : "s");
    buf_printf(summary, ": %.1f %s instead of %.1f", (double)p->after / unit, small ? "KiB" : "MiB",
               (double)p->before / unit);
    for (int i = 0; i < p->nblockers; i++) {
        if (summary->len > 90) {
            buf_puts(summary, ", …");
            break;
        }
        buf_printf(summary, "%s%s", i ? ", " : "; fp32 for ", p->blocker[i]);
    }
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    if (!dtype_rounded(c->dtype)) {
        buf_puts(summary, "all in fp32");
        return true;
    }
    int nops = 0;
    while (op_all()[nops]) nops++;
    struct precision p = {.g = g,
                          .dtype = c->dtype,
                          .fixed = ARENA_ARRAY(g->arena, bool, g->nvalues + 1),
                          .blocker = ARENA_ARRAY(g->arena, const char *, nops)};
    const struct uses u = uses_of(g, g->arena);
    mark_weights(&p);
    mark_borders(&p);
    bool *image = ARENA_ARRAY(g->arena, bool, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) {
        struct value *v = g->values[i];
        image[i] = v->kind == VALUE_NODE && v->def && v->type.rank == 4 && dtype_floating(v->type.dtype) && !p.fixed[i];
        if (image[i]) choose(&p, &u, v);
    }
    make_parts_alike(g);
    for (int i = 0; i < g->nvalues; i++) {
        if (!image[i]) continue;
        p.narrow += dtype_rounded(g->values[i]->type.dtype);
        p.after += type_bytes(&g->values[i]->type);
    }
    narrow_stems(&p, &c->target);
    summarise(&p, summary);
    return true;
}

const struct pass pass_precision = {"precision", "--dtype bf16: store images and their gradients as bf16", run};
