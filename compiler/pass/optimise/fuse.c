/* fuse.c: pointwise operators move to where their operand is still in registers: into the body of the convolution that
   makes it, or together into one node. Values that only the body sees cost no memory and no pass over it. */
#include "pass/passes.h"

#include <assert.h>
#include <string.h>
#include "ir/op.h"

/* ---- bodies */

static void body_add(struct body *b, const struct node *n, const struct body_ref *arg)
{
    struct body_insn *i = &b->insn[b->ninsn++];
    *i = (struct body_insn){.op = n->op, .attr = n->attr, .narg = n->nin, .layer = n->layer};
    memcpy(i->arg, arg, (size_t)n->nin * sizeof *arg);
}

/* An operator that a body can hold: an expression with one result. */
static bool is_pointwise(const struct node *n)
{
    if (!n->op->family->elementwise || !n->op->expr || n->op->nouts != 1 || n->body || n->prepare) return false;
    if (n->nin != n->op->noperands || n->nin > MAX_BODY_ARGS) return false;
    for (int i = 0; i < n->nin; i++)
        if (!n->in[i] || n->in[i]->type.dtype != DT_F32) return false;
    return n->out[0]->type.dtype == DT_F32;
}

static bool has_operand(struct value *const *in, int n, const struct value *v)
{
    for (int i = 0; i < n; i++)
        if (in[i] == v) return true;
    return false;
}

/* ---- convolutions take what follows them */

enum { MAX_ANCHORS = 8 };

struct anchor { /* a convolution that grows a body */
    struct graph *g;
    struct node *node;
    struct body body;
    struct value *operand[MAX_OPERANDS];
    int noperands;
};

/* The conv's bias becomes add(acc, %bias). */
static void take_bias(struct anchor *a)
{
    struct node *n = a->node;
    if (n->nin < 3) return;
    struct value *bias = n->in[2];
    if (n->nin > 3) n->in[2] = NULL; /* further segments of the input stand behind it */
    else n->nin = n->nanchor = 2;
    if (!bias) return;
    const struct op_def *add = op_find(OPNAME_ADD);
    struct body_insn *i = &a->body.insn[a->body.ninsn++];
    *i = (struct body_insn){.op = add, .attr = ARENA_ARRAY(a->g->arena, struct attr, add->nattr + 1), .narg = 2};
    for (int k = 0; k < add->nattr; k++) i->attr[k] = add->attrs[k].def;
    i->arg[0] = (struct body_ref){BODY_ACC, 0};
    i->arg[1] = (struct body_ref){BODY_OPERAND, (uint8_t)n->nanchor};
    a->operand[a->noperands++] = bias;
}

static struct body_ref tail_of(const struct anchor *a)
{
    if (!a->body.ninsn) return (struct body_ref){BODY_ACC, 0};
    return (struct body_ref){BODY_INSN, (uint8_t)(a->body.ninsn - 1)};
}

/* The operator N goes on the body: its operand V is what REF computes, OWN (if any) what the body's instruction OWN_REF
   does. */
struct known {
    const struct value *value;
    struct body_ref ref;
};

static bool absorb(struct anchor *a, struct node *n, const struct known *known, int nknown)
{
    struct body_ref arg[MAX_BODY_ARGS];
    struct value *operand[MAX_OPERANDS];
    int noperands = a->noperands, nanchor = a->node->nanchor;
    memcpy(operand, a->operand, sizeof operand);
    if (a->body.ninsn == MAX_BODY) return false;
    for (int i = 0; i < n->nin; i++) {
        bool found = false;
        for (int k = 0; k < nknown && !found; k++) {
            found = n->in[i] == known[k].value;
            if (found) arg[i] = known[k].ref;
        }
        if (found) continue;
        int at = 0;
        while (at < noperands && operand[at] != n->in[i]) at++;
        if (at == MAX_OPERANDS) return false;
        if (at == noperands) operand[noperands++] = n->in[i];
        arg[i] = (struct body_ref){BODY_OPERAND, (uint8_t)(nanchor + at)};
    }
    body_add(&a->body, n, arg);
    memcpy(a->operand, operand, sizeof operand);
    a->noperands = noperands;
    return true;
}

/* Takes over N, the last operator: its result becomes the anchor's, which moves to N's place, where all operands are
   computed. */
static void replace_tail(struct anchor *a, struct node *n)
{
    struct node *conv = a->node;
    struct value *old = conv->out[0], *new_value = n->out[0];
    graph_move(a->g, conv, n);
    graph_remove(a->g, n);
    old->def = NULL;
    new_value->def = conv;
    new_value->result = 0;
    conv->out[0] = new_value;
}

/* A pointwise operator of the same list on V's shape that no other convolution has taken since the uses were counted.
 */
static bool can_take(const struct node *n, const struct value *v)
{
    return n->owner == v->def->owner && is_pointwise(n) && n->out[0]->def == n &&
           type_same_shape(&n->out[0]->type, &v->type);
}

/* The gradient of some channels (a segment of what the forward pass would join) does not wait for another gradient to
   be added to it: what it reads, packed weights above all, would have to be kept until then. */
static bool would_wait(const struct node *conv, const struct node *n)
{
    int k = op_attr_index(conv->op, "channels");
    if (k < 0 || !conv->attr[k].v[1]) return false;
    for (const struct node *m = conv->next; m && m != n; m = m->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] && n->in[i]->def == m) return true;
    return false;
}

/* v → n, n being the only reader. Or v → m, v → n with m → n alone: x·sigmoid(x). */
static bool extend(struct anchor *a, const struct uses *uses)
{
    const struct value *v = a->node->out[0];
    int reads = uses_by_nodes(uses, v);
    const struct use *u = &uses->item[uses->start[v->id]];
    if (!reads || uses->total[v->id] != reads) return false;
    struct node *last = u[reads - 1].node, *gate = NULL;
    for (int i = 0; i < reads; i++) {
        if (u[i].node == last) continue;
        if (gate && gate != u[i].node) return false;
        gate = u[i].node;
    }
    if (!can_take(last, v) || would_wait(a->node, last)) return false;
    struct known known[2] = {{v, tail_of(a)}};
    struct anchor saved = *a;
    if (gate) {
        if (!can_take(gate, v)) return false;
        const struct value *t = gate->out[0];
        for (int i = uses->start[t->id]; i < uses->start[t->id + 1]; i++)
            if (uses->item[i].node != last) return false;
        if (uses->total[t->id] != uses_by_nodes(uses, t) || !absorb(a, gate, known, 1)) return false;
        known[1] = (struct known){t, tail_of(a)};
    }
    if (!absorb(a, last, known, gate ? 2 : 1)) {
        *a = saved;
        return false;
    }
    if (gate) graph_remove(a->g, gate);
    replace_tail(a, last);
    return true;
}

static void finish_anchor(struct anchor *a)
{
    struct node *n = a->node;
    if (!a->body.ninsn) return;
    struct value *in[MAX_ANCHORS + MAX_OPERANDS];
    assert(n->nanchor <= MAX_ANCHORS);
    memcpy(in, n->in, (size_t)n->nanchor * sizeof *in);
    memcpy(in + n->nanchor, a->operand, (size_t)a->noperands * sizeof *in);
    node_set_in(a->g, n, in, n->nanchor + a->noperands);
    a->body.nout = 1;
    a->body.out[0] = tail_of(a);
    n->body = ARENA_NEW(a->g->arena, struct body);
    *n->body = a->body;
}

/* Later convolutions first: of two whose results are added, the one that runs last takes the sum. */
static void fuse_anchors(struct graph *g, int *convs, int *taken)
{
    struct uses uses = uses_of(g, g->arena);
    for (struct node *n = graph_last(g), *prev; n; n = prev) {
        prev = graph_prev(n);
        if (!n->op->family->takes_body || n->body || n->prepare) continue;
        struct anchor a = {.g = g, .node = n};
        take_bias(&a);
        int before = a.body.ninsn;
        while (extend(&a, &uses)) continue;
        finish_anchor(&a);
        *taken += a.body.ninsn - before;
        *convs += a.body.ninsn > 0;
    }
}

/* ---- what is left: groups of pointwise operators on one shape */

struct group {
    int count, cap;
    struct node **member; /* in the list's order */
    bool closed;
};

struct grouping {
    struct graph *g;
    struct arena *arena;
    struct uses uses;
    struct group **of; /* by node->index; NULL: on its own */
    int *seen, stamp;  /* by node->index: visited in the search number `stamp` */
    struct node **stack;
    int total; /* nodes when the groups were made */
};

static bool same_group(const struct grouping *x, const struct node *n, const struct group *g)
{
    return n && g && x->of[n->index] == g;
}

/* Visits N once, with everything of its group: a group is one node of the fused graph. */
static void visit(struct grouping *x, struct node *n, int *top)
{
    struct group *group = x->of[n->index];
    for (int i = 0; i < (group ? group->count : 1); i++) {
        struct node *m = group ? group->member[i] : n;
        if (x->seen[m->index] == x->stamp) continue;
        x->seen[m->index] = x->stamp;
        x->stack[(*top)++] = m;
    }
}

static void visit_readers(struct grouping *x, const struct node *n, const struct group *skip, const struct node *goal,
                          int *top)
{
    for (int r = 0; r < n->nout; r++) {
        const struct value *v = n->out[r];
        for (int i = x->uses.start[v->id]; i < x->uses.start[v->id + 1]; i++) {
            struct node *user = x->uses.item[i].node;
            if (same_group(x, user, skip) || user == goal) continue;
            visit(x, user, top);
        }
    }
}

/* Does a path lead from GROUP to N through a node outside? Then they cannot be one node. */
static bool path_outside(struct grouping *x, const struct group *group, const struct node *n)
{
    int top = 0;
    x->stamp++;
    for (int i = 0; i < group->count; i++) visit_readers(x, group->member[i], group, n, &top);
    while (top) {
        const struct node *m = x->stack[--top];
        for (int r = 0; r < m->nout; r++) {
            const struct value *v = m->out[r];
            for (int i = x->uses.start[v->id]; i < x->uses.start[v->id + 1]; i++) {
                struct node *user = x->uses.item[i].node;
                if (user == n) return true;
                visit(x, user, &top);
            }
        }
    }
    return false;
}

/* The operands and results that GROUP with N (NULL: without) would have; false when a kernel cannot have so many. */
struct border {
    int nin, nout;
    struct value *in[MAX_OPERANDS], *out[MAX_OUTS];
};

static bool is_result(const struct grouping *x, const struct group *group, const struct node *also,
                      const struct value *v)
{
    int reads = uses_by_nodes(&x->uses, v);
    if (x->uses.total[v->id] > reads) return true;
    for (int i = x->uses.start[v->id]; i < x->uses.start[v->id + 1]; i++) {
        const struct node *user = x->uses.item[i].node;
        if (user != also && !same_group(x, user, group)) return true;
    }
    return false;
}

static bool border_of(const struct grouping *x, const struct group *group, struct node *also, struct border *b)
{
    *b = (struct border){0};
    int most = MAX_OUTS; /* a kernel's workspace will be one of them (pass/memory/workspace.c) */
    for (int k = 0; k < group->count + (also != NULL); k++)
        if ((k < group->count ? group->member[k] : also)->op->family->workspace) most = MAX_OUTS - 1;
    for (int k = 0; k < group->count + (also != NULL); k++) {
        struct node *m = k < group->count ? group->member[k] : also;
        for (int i = 0; i < m->nin; i++) {
            const struct node *def = m->in[i]->def;
            if ((def && def == also) || same_group(x, def, group) || has_operand(b->in, b->nin, m->in[i])) continue;
            if (b->nin == MAX_OPERANDS) return false;
            b->in[b->nin++] = m->in[i];
        }
        if (!is_result(x, group, also, m->out[0])) continue;
        if (b->nout == most) return false;
        b->out[b->nout++] = m->out[0];
    }
    return true;
}

static void group_add(struct grouping *x, struct group *g, struct node *n)
{
    if (g->count == g->cap) {
        struct node **more = ARENA_ARRAY(x->arena, struct node *, g->cap * 2 + 8);
        if (g->count) memcpy(more, g->member, (size_t)g->count * sizeof *more);
        g->member = more;
        g->cap = g->cap * 2 + 8;
    }
    g->member[g->count++] = n;
    x->of[n->index] = g;
}

static struct group *group_of(struct grouping *x, struct node *n)
{
    if (!x->of[n->index]) group_add(x, ARENA_NEW(x->arena, struct group), n);
    return x->of[n->index];
}

/* N joins the group of one of its operands. */
static bool join(struct grouping *x, struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        struct node *def = n->in[i]->def;
        if (!def || def->owner != n->owner || !is_pointwise(def) ||
            !type_same_shape(&def->out[0]->type, &n->out[0]->type))
            continue;
        struct group *group = group_of(x, def);
        struct border border;
        if (group->count >= MAX_BODY || !border_of(x, group, n, &border) || path_outside(x, group, n)) continue;
        group_add(x, group, n);
        return true;
    }
    return false;
}

/* The group becomes one node at its last member's place. */
static void emit_group(struct grouping *x, const struct group *group)
{
    struct border border;
    bool fits = border_of(x, group, NULL, &border);
    assert(fits);
    (void)fits;
    struct node *last = group->member[group->count - 1];
    struct node *n = graph_node(x->g, last, op_find(OPNAME_POINTWISE), border.in, border.nin, 0);
    n->nanchor = 0;
    n->index = x->total; /* of no group */
    n->layer = last->layer;
    n->span = last->span;
    n->body = ARENA_NEW(x->g->arena, struct body);
    for (int k = 0; k < group->count; k++) {
        struct node *m = group->member[k];
        struct body_ref arg[MAX_BODY_ARGS];
        for (int i = 0; i < m->nin; i++) {
            int at = 0;
            if (same_group(x, m->in[i]->def, group)) {
                while (group->member[at] != m->in[i]->def) at++;
                arg[i] = (struct body_ref){BODY_INSN, (uint8_t)at};
            } else {
                while (border.in[at] != m->in[i]) at++;
                arg[i] = (struct body_ref){BODY_OPERAND, (uint8_t)at};
            }
        }
        body_add(n->body, m, arg);
        if (is_result(x, group, NULL, m->out[0]))
            n->body->out[n->body->nout++] = (struct body_ref){BODY_INSN, (uint8_t)k};
    }
    for (int k = 0; k < group->count; k++) graph_remove(x->g, group->member[k]);
    for (int i = 0; i < border.nout; i++) {
        n->out[n->nout++] = border.out[i];
        border.out[i]->def = n;
        border.out[i]->result = i;
    }
}

static void fuse_groups(struct graph *g, int *groups, int *taken)
{
    graph_number(g);
    struct grouping x = {.g = g, .arena = g->arena, .uses = uses_of(g, g->arena), .stamp = 0};
    x.of = ARENA_ARRAY(g->arena, struct group *, g->nnodes + 1);
    x.seen = ARENA_ARRAY(g->arena, int, g->nnodes + 1);
    x.stack = ARENA_ARRAY(g->arena, struct node *, g->nnodes + 1);
    struct group **made = ARENA_ARRAY(g->arena, struct group *, g->nnodes + 1);
    int count = 0, total = x.total = g->nnodes;
    struct node **nodes = ARENA_ARRAY(g->arena, struct node *, total + 1);
    GRAPH_EACH(g, n) nodes[n->index] = n;
    for (int i = 0; i < total; i++)
        if (is_pointwise(nodes[i])) join(&x, nodes[i]);
    for (int i = 0; i < total; i++) {
        struct group *group = x.of[i];
        if (!group || group->count < 2 || group->member[0] != nodes[i]) continue;
        made[count++] = group;
    }
    for (int i = 0; i < count; i++) {
        *taken += made[i]->count;
        emit_group(&x, made[i]);
    }
    *groups = count;
    bool sorted = graph_sort(g);
    assert(sorted);
    (void)sorted;
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int convs = 0, taken = 0, groups = 0, grouped = 0;
    (void)c;
    graph_remove_dead(g);
    fuse_anchors(g, &convs, &taken);
    fuse_groups(g, &groups, &grouped);
    buf_printf(summary, "%d convolutions took %d operators, %d pointwise nodes of %d operators", convs, taken, groups,
               grouped);
    return true;
}

const struct pass pass_fuse = {"fuse", "move pointwise operators into convolutions and into each other", run};
