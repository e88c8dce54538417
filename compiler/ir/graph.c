#include "ir/graph.h"

#include <assert.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "ir/op.h"
#include "runtime/rt/hash.h"

/* ---- types */

struct type type_make(enum dtype dt, int rank, const int64_t *dim)
{
    assert(rank >= 0 && rank <= MAX_RANK);
    struct type t = {.dtype = dt, .layout = LAYOUT_PLAIN, .rank = rank};
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
    return t;
}

struct type type_nchw(int64_t n, int64_t c, int64_t h, int64_t w)
{
    struct type t = type_make(DT_F32, 4, (int64_t[]){n, c, h, w});
    t.batched = true;
    return t;
}

bool type_same_shape(const struct type *a, const struct type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

bool type_same_dims(const struct type *a, const struct type *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]);
}

bool type_equal(const struct type *a, const struct type *b)
{
    return type_same_shape(a, b) && a->layout == b->layout && a->v == b->v && a->iv == b->iv &&
           a->batched == b->batched && a->bounded == b->bounded;
}

int64_t type_elements(const struct type *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (!mul_i64(n, t->dim[i], &n)) return INT64_MAX;
    return n;
}

size_t type_bytes(const struct type *t)
{
    struct type p = *t;
    switch (t->layout) {
    case LAYOUT_PLAIN: break;
    case LAYOUT_BLOCKED: p.dim[t->rank == 1 ? 0 : 1] = round_up(p.dim[t->rank == 1 ? 0 : 1], t->v); break;
    case LAYOUT_WEIGHT:
        p.dim[0] = round_up(p.dim[0], t->v);
        p.dim[1] = round_up(p.dim[1], t->iv);
        if (dtype_group(t->dtype) == 2 && t->iv % 2) { /* rows of taps are whole pairs */
            p.dim[1] /= t->iv;
            p.dim[3] = round_up((t->rank == 4 ? t->dim[3] : 1) * t->iv, 2);
            if (t->rank == 2) p.dim[2] = 1, p.rank = 4;
        }
        break;
    case LAYOUT_WEIGHT_T:
        p.dim[0] = round_up(p.dim[0], t->v);
        p.dim[1] = round_up(p.dim[1], t->v);
        break;
    case LAYOUT_DEPTHWISE: p.dim[0] = round_up(p.dim[0], t->v); break;
    case LAYOUT_WINOGRAD:
    case LAYOUT_WINOGRAD_T:
    case LAYOUT_WINOGRAD_S:
        p.dim[0] = round_up(p.dim[0], t->v);
        p.dim[1] = round_up(p.dim[1], t->v);
        p.dim[2] = p.dim[3] = t->iv + 2;
        break;
    }
    int64_t bytes;
    if (!mul_i64(type_elements(&p), (int64_t)dtype_bytes(t->dtype), &bytes)) return SIZE_MAX;
    return (size_t)bytes;
}

const char *type_text(struct arena *a, const struct type *t)
{
    struct buf b;
    buf_init(&b, a);
    buf_printf(&b, "%s[", dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        const char *mark = i == 0 && t->batched ? "N=" : t->bounded >> i & 1 ? "<=" : "";
        buf_printf(&b, "%s%s%lld", i ? "," : "", mark, (long long)t->dim[i]);
    }
    buf_putc(&b, ']');
    switch (t->layout) {
    case LAYOUT_PLAIN: break;
    case LAYOUT_BLOCKED: buf_printf(&b, ":b%d", t->v); break;
    case LAYOUT_WEIGHT: buf_printf(&b, ":w%dx%d", t->v, t->iv); break;
    case LAYOUT_WEIGHT_T: buf_printf(&b, ":wt%d", t->v); break;
    case LAYOUT_DEPTHWISE: buf_printf(&b, ":dw%d", t->v); break;
    case LAYOUT_WINOGRAD: buf_printf(&b, ":wino%dx%d", t->v, t->iv); break;
    case LAYOUT_WINOGRAD_S: buf_printf(&b, ":winos%dx%d", t->v, t->iv); break;
    case LAYOUT_WINOGRAD_T: buf_printf(&b, ":winot%dx%d", t->v, t->iv); break;
    }
    return b.data;
}

const char *type_shape_text(struct arena *a, const struct type *t)
{
    struct type plain = type_make(t->dtype, t->rank, t->dim);
    return type_text(a, &plain);
}

const char *type_sample_text(struct arena *a, const struct type *t)
{
    int batch = t->rank > 1;
    return shape_text(a, t->rank - batch, t->dim + batch);
}

/* ---- building */

/* The graph's names are looked up often while it is built: a hash table beside the public structure. */
struct graph_private {
    struct graph g;
    int *slots;
    int nslots, used; /* used: also slots that a value left when it was renamed; its name there no longer matches */
};

static int find_slot(const struct graph_private *p, const char *name)
{
    int mask = p->nslots - 1, i = (int)(rnc_hash_text(name) & (uint64_t)mask);
    while (p->slots[i] && strcmp(p->g.values[p->slots[i] - 1]->name, name) != 0) i = (i + 1) & mask;
    return i;
}

static void rehash(struct graph_private *p, int nslots)
{
    p->slots = ARENA_ARRAY(p->g.arena, int, nslots);
    p->nslots = nslots;
    p->used = p->g.nvalues;
    for (int i = 0; i < p->g.nvalues; i++) p->slots[find_slot(p, p->g.values[i]->name)] = i + 1;
}

struct graph *graph_new(struct arena *a, const char *name, int64_t batch)
{
    struct graph_private *p = ARENA_NEW(a, struct graph_private);
    p->g.arena = a;
    p->g.name = arena_strdup(a, name);
    p->g.batch = batch;
    p->nslots = 64;
    p->slots = ARENA_ARRAY(a, int, p->nslots);
    return &p->g;
}

/* An array of pointers or structs with room for one more. */
static void *grown(struct arena *a, void *items, int count, int *cap, size_t size)
{
    if (count < *cap) return items;
    int more = *cap ? *cap * 2 : 16;
    void *p = arena_array(a, (size_t)more, size);
    if (count) memcpy(p, items, (size_t)count * size);
    *cap = more;
    return p;
}

static struct value *add_value(struct graph *g, enum value_kind kind, const char *name)
{
    struct graph_private *p = (struct graph_private *)g;
    struct value *v = ARENA_NEW(g->arena, struct value);
    v->kind = kind;
    v->name = arena_strdup(g->arena, name);
    v->id = g->nvalues;
    g->values = grown(g->arena, g->values, g->nvalues, &g->cap_values, sizeof *g->values);
    if (p->used * 2 >= p->nslots) rehash(p, p->nslots * 2);
    p->slots[find_slot(p, v->name)] = g->nvalues + 1;
    p->used++;
    g->values[g->nvalues++] = v;
    return v;
}

struct value *graph_find(const struct graph *g, const char *name)
{
    const struct graph_private *p = (const struct graph_private *)g;
    int s = p->slots[find_slot(p, name)];
    return s ? g->values[s - 1] : NULL;
}

void graph_become(struct graph *g, const struct graph *other)
{
    *(struct graph_private *)g = *(const struct graph_private *)other;
}

const char *graph_fresh_name(struct graph *g, const char *base)
{
    if (base && !graph_find(g, base)) return base;
    for (int i = base ? 1 : g->nvalues;; i++) {
        const char *name = base ? arena_printf(g->arena, "%s.%d", base, i) : arena_printf(g->arena, "%d", i);
        if (!graph_find(g, name)) return name;
    }
}

void value_rename(struct graph *g, struct value *v, const char *name)
{
    struct graph_private *p = (struct graph_private *)g;
    if (strcmp(v->name, name) == 0) return;
    assert(!graph_find(g, name));
    v->name = arena_strdup(g->arena, name);
    if (p->used * 2 >= p->nslots) rehash(p, p->nslots * 2);
    p->slots[find_slot(p, name)] = v->id + 1;
    p->used++;
}

struct value *graph_arg(struct graph *g, enum value_kind kind, const char *name, struct type type)
{
    assert(kind != VALUE_NODE && !graph_find(g, name));
    struct value *v = add_value(g, kind, name);
    v->type = type;
    return v;
}

void value_name_after(struct graph *g, struct value *v, const char *base, const char *suffix)
{
    value_rename(g, v, graph_fresh_name(g, arena_printf(g->arena, "%s.%s", base, suffix)));
}

const char *node_label(const struct node *n) { return n->layer ? n->layer : n->out[0]->name; }

struct value *node_add_out(struct graph *g, struct node *n)
{
    assert(n->nout < MAX_OUTS);
    struct value *v = add_value(g, VALUE_NODE, graph_fresh_name(g, NULL));
    v->def = n;
    v->result = n->nout;
    n->out[n->nout++] = v;
    return v;
}

/* Into OWNER's region (NULL: the outermost list), before BEFORE of that list (NULL: at its end). */
static void link_node(struct graph *g, struct node *n, struct node *owner, struct node *before)
{
    struct node **first = owner ? &owner->first : &g->first, **last = owner ? &owner->last : &g->last;
    n->owner = owner;
    n->next = before;
    n->prev = before ? before->prev : *last;
    if (n->prev) n->prev->next = n;
    else *first = n;
    if (before) before->prev = n;
    else *last = n;
    g->nnodes++;
}

static void unlink_node(struct graph *g, struct node *n)
{
    struct node **first = n->owner ? &n->owner->first : &g->first, **last = n->owner ? &n->owner->last : &g->last;
    if (n->prev) n->prev->next = n->next;
    else *first = n->next;
    if (n->next) n->next->prev = n->prev;
    else *last = n->prev;
    n->prev = n->next = NULL;
    g->nnodes--;
}

/* ---- the walk */

static struct node *innermost(struct node *n)
{
    while (n && n->first) n = n->first;
    return n;
}

struct node *graph_first(const struct graph *g) { return innermost(g->first); }
struct node *graph_next(const struct node *n) { return n->next ? innermost(n->next) : n->owner; }
struct node *graph_last(const struct graph *g) { return g->last; }

struct node *graph_prev(const struct node *n)
{
    if (n->last) return n->last;
    while (!n->prev && n->owner) n = n->owner;
    return n->prev;
}

struct node *node_within(const struct node *n, const struct node *sibling)
{
    const struct node *owner = sibling ? sibling->owner : NULL;
    while (n && n->owner != owner) n = n->owner;
    return (struct node *)n;
}

void node_set_in(struct graph *g, struct node *n, struct value *const *in, int nin)
{
    struct value **copy = ARENA_ARRAY(g->arena, struct value *, nin ? nin : 1);
    if (nin) memcpy(copy, in, (size_t)nin * sizeof *copy);
    n->in = copy;
    n->nin = nin;
}

struct node *graph_node(struct graph *g, struct node *before, const struct op_def *op, struct value *const *in, int nin,
                        int nout)
{
    struct node *n = ARENA_NEW(g->arena, struct node);
    n->op = op;
    n->attr = ARENA_ARRAY(g->arena, struct attr, op->nattr ? op->nattr : 1);
    for (int i = 0; i < op->nattr; i++) n->attr[i] = op->attrs[i].def;
    node_set_in(g, n, in, nin);
    n->nanchor = nin;
    for (int i = 0; i < nout; i++) node_add_out(g, n);
    link_node(g, n, before ? before->owner : NULL, before);
    return n;
}

void graph_remove(struct graph *g, struct node *n)
{
    while (n->last) graph_remove(g, n->last);
    unlink_node(g, n);
    for (int i = 0; i < n->nout; i++) n->out[i]->def = NULL;
}

void graph_move(struct graph *g, struct node *n, struct node *before)
{
    if (before == n) return;
    unlink_node(g, n);
    link_node(g, n, before ? before->owner : NULL, before);
}

void graph_nest(struct graph *g, struct node *n, struct node *owner)
{
    unlink_node(g, n);
    link_node(g, n, owner, NULL);
}

void graph_output(struct graph *g, const char *label, struct value *v)
{
    g->outputs = grown(g->arena, g->outputs, g->noutputs, &g->cap_outputs, sizeof *g->outputs);
    g->outputs[g->noutputs++] = (struct graph_output){arena_strdup(g->arena, label), v};
}

void graph_set_update(struct graph *g, struct value *state, struct value *v)
{
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].state == state) {
            g->updates[i].value = v;
            return;
        }
    g->updates = grown(g->arena, g->updates, g->nupdates, &g->cap_updates, sizeof *g->updates);
    g->updates[g->nupdates++] = (struct graph_update){state, v};
}

void graph_replace(struct graph *g, struct value *old, struct value *new_value)
{
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] == old) n->in[i] = new_value;
    for (int i = 0; i < g->noutputs; i++)
        if (g->outputs[i].value == old) g->outputs[i].value = new_value;
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].value == old) g->updates[i].value = new_value;
}

void graph_number(struct graph *g)
{
    int i = 0;
    GRAPH_EACH(g, n) n->index = i++;
}

int *graph_use_counts(const struct graph *g, struct arena *a)
{
    int *uses = ARENA_ARRAY(a, int, g->nvalues ? g->nvalues : 1);
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) uses[n->in[i]->id]++;
    for (int i = 0; i < g->noutputs; i++) uses[g->outputs[i].value->id]++;
    for (int i = 0; i < g->nupdates; i++) uses[g->updates[i].value->id]++;
    return uses;
}

int graph_remove_dead(struct graph *g)
{
    int *uses = graph_use_counts(g, g->arena), removed = 0;
    for (struct node *n = graph_last(g), *prev; n; n = prev) { /* backwards: a user goes before what it used */
        prev = graph_prev(n);
        bool used = false;
        for (int i = 0; i < n->nout; i++) used |= uses[n->out[i]->id] > 0;
        if (used) continue;
        for (int i = 0; i < n->nin; i++)
            if (n->in[i]) uses[n->in[i]->id]--;
        removed++;
        if (!n->first) graph_remove(g, n); /* else what it owns goes first */
    }
    GRAPH_EACH_SAFE(g, n)
    if (n->op->owns && !n->first) graph_remove(g, n);
    return removed;
}

/* ---- copying */

static struct value *mapped(struct value *const *map, const struct value *v) { return v ? map[v->id] : NULL; }

static struct body *clone_body(struct arena *a, const struct body *from)
{
    struct body *to = ARENA_NEW(a, struct body);
    *to = *from;
    for (int i = 0; i < to->ninsn; i++) {
        struct body_insn *b = &to->insn[i];
        struct attr *attr = ARENA_ARRAY(a, struct attr, b->op->nattr ? b->op->nattr : 1);
        memcpy(attr, b->attr, (size_t)b->op->nattr * sizeof *attr);
        b->attr = attr;
    }
    return to;
}

/* The copies of FROM's nested nodes stand right before TO, the copy of FROM. */
static void clone_nesting(struct graph *c, const struct node *from, struct node *to)
{
    struct node *n = to, *next;
    LIST_EACH(from->first, nested) n = n->prev;
    for (; n != to; n = next) {
        next = n->next;
        graph_nest(c, n, to);
    }
}

static void clone_node(struct graph *c, const struct node *n, struct value **map)
{
    struct node *m = graph_node(c, NULL, n->op, NULL, 0, 0);
    struct value **in = ARENA_ARRAY(c->arena, struct value *, n->nin ? n->nin : 1);
    for (int i = 0; i < n->nin; i++) in[i] = mapped(map, n->in[i]);
    m->in = in;
    m->nin = n->nin;
    m->nanchor = n->nanchor;
    memcpy(m->attr, n->attr, (size_t)n->op->nattr * sizeof *m->attr);
    m->nout = n->nout;
    for (int i = 0; i < n->nout; i++) {
        m->out[i] = map[n->out[i]->id];
        m->out[i]->def = m;
    }
    if (n->body) m->body = clone_body(c->arena, n->body);
    for (int k = 0; k < MAX_PRE; k++)
        if (n->pre[k]) m->pre[k] = clone_body(c->arena, n->pre[k]);
    m->layer = n->layer;
    m->span = n->span;
    m->prepare = n->prepare;
    m->recompute = n->recompute;
    m->index = n->index;
    clone_nesting(c, n, m);
}

struct graph *graph_clone(struct arena *a, const struct graph *g)
{
    struct graph *c = graph_new(a, g->name, g->batch);
    c->lanes = g->lanes;
    c->train = g->train;
    c->stage = g->stage;
    c->saved_bytes = g->saved_bytes;
    c->arena_bytes = g->arena_bytes;
    c->state_bytes = g->state_bytes;
    c->lower_bound_bytes = g->lower_bound_bytes;
    struct value **map = ARENA_ARRAY(a, struct value *, g->nvalues ? g->nvalues : 1);
    for (int i = 0; i < g->nvalues; i++) {
        struct value *v = add_value(c, g->values[i]->kind, g->values[i]->name);
        int id = v->id;
        *v = *g->values[i];
        v->id = id;
        v->name = arena_strdup(a, g->values[i]->name);
        v->def = NULL;
        map[i] = v;
    }
    for (int i = 0; i < g->nvalues; i++) map[i]->alias = mapped(map, g->values[i]->alias);
    GRAPH_EACH(g, n) clone_node(c, n, map);
    for (int i = 0; i < g->noutputs; i++) graph_output(c, g->outputs[i].label, mapped(map, g->outputs[i].value));
    for (int i = 0; i < g->nupdates; i++)
        graph_set_update(c, map[g->updates[i].state->id], map[g->updates[i].value->id]);
    return c;
}

/* ---- bodies */

bool node_has_pre(const struct node *n)
{
    for (int k = 0; k < MAX_PRE; k++)
        if (n->pre[k]) return true;
    return false;
}

int node_anchors(const struct node *n) { return n->body || node_has_pre(n) ? n->nanchor : n->nin; }

bool body_reads(const struct body *b, int operand)
{
    for (int i = 0; b && i < b->ninsn; i++)
        for (int k = 0; k < b->insn[i].narg; k++)
            if (b->insn[i].arg[k].source == BODY_OPERAND && b->insn[i].arg[k].index == operand) return true;
    for (int i = 0; b && i < b->nout; i++)
        if (b->out[i].source == BODY_OPERAND && b->out[i].index == operand) return true;
    return false;
}

/* ---- attributes */

static struct attr *attr_of(const struct op_def *op, struct attr *attr, const char *name)
{
    int i = op_attr_index(op, name);
    assert(i >= 0);
    return &attr[i];
}

struct attr *node_attr(const struct node *n, const char *name) { return attr_of(n->op, n->attr, name); }
const struct attr *body_attr(const struct body_insn *b, const char *name) { return attr_of(b->op, b->attr, name); }

int64_t node_int(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    assert(a->type == ATTR_INT || a->type == ATTR_ENUM || a->type == ATTR_BOOL);
    return a->type == ATTR_BOOL ? a->b : a->i;
}

double node_float(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    assert(a->type == ATTR_FLOAT || a->type == ATTR_INT);
    return a->type == ATTR_FLOAT ? a->f : (double)a->i;
}

const int64_t *node_ints(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    assert(a->type == ATTR_PAIR || a->type == ATTR_QUAD);
    return a->v;
}

const char *node_text(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    assert(a->type == ATTR_TEXT);
    return a->s;
}
