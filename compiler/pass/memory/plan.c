/* plan.c: every value gets its place. Arguments and results lie with the caller, weights in the state, all else in one
   arena where values share bytes when their lifetimes do not meet; a result takes over the storage of a dying operand
   where its kernel reads each element before it writes it. ir/verify.c checks the outcome without knowing how it was
   found. */
#include "pass/passes.h"

#include <assert.h>
#include <string.h>
#include "base/checked.h"
#include "ir/op.h"

enum { ALIGN = 64 };

struct planner {
    struct graph *g;
    int *last;    /* by root id: the last node that touches the storage */
    bool *output; /* by id: lies in the caller's buffer */
    int views, in_place;
};

static size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

const struct value *value_storage(const struct value *v)
{
    while (v->alias) v = v->alias;
    return v;
}

static bool is_state(const struct value *v)
{
    return v->kind == VALUE_PARAM || v->kind == VALUE_BUFFER || v->kind == VALUE_COUNTER || v->kind == VALUE_OPTIM;
}

bool plan_is_view(const struct node *n)
{
    return n->op->view && type_bytes(&n->in[0]->type) == type_bytes(&n->out[0]->type) &&
           (n->in[0]->type.layout == LAYOUT_BLOCKED) == (n->out[0]->type.layout == LAYOUT_BLOCKED);
}

/* ---- the caller's memory and the state */

static void place_borders(struct planner *p)
{
    size_t inputs = 0;
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < p->g->nvalues; i++) {
            struct value *v = p->g->values[i];
            if (v->kind != (kind ? VALUE_TARGET : VALUE_INPUT)) continue;
            v->space = SPACE_INPUT;
            v->offset = inputs++;
        }
    for (int i = 0; i < p->g->noutputs; i++) {
        struct value *v = p->g->outputs[i].value;
        assert(v->kind == VALUE_NODE && v->space == SPACE_NONE);
        v->space = SPACE_OUTPUT;
        v->offset = (size_t)i;
        p->output[v->id] = true;
    }
}

/* Inference stores what the step reads; parameters that only prepared forms are made of are not kept. */
static bool is_stored(const struct planner *p, const struct value *v, const bool *read)
{
    if (v->kind == VALUE_NODE) return v->def && v->def->prepare;
    return is_state(v) && (p->g->train || v->kind == VALUE_COUNTER || read[v->id]);
}

static void place_state(struct planner *p)
{
    struct graph *g = p->g;
    bool *read = ARENA_ARRAY(g->arena, bool, g->nvalues + 1);
    size_t at = 0;
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin && !n->prepare; i++)
        if (n->in[i]) read[n->in[i]->id] = true;
    for (int i = 0; i < g->nupdates; i++) read[g->updates[i].state->id] = true;
    for (int i = 0; i < g->nvalues; i++) {
        struct value *v = g->values[i];
        if (!is_stored(p, v, read)) continue;
        v->space = SPACE_STATE;
        v->offset = at;
        at += aligned(type_bytes(&v->type));
    }
    g->state_bytes = at;
    for (int i = 0; i < g->nupdates; i++) g->updates[i].value->alias = g->updates[i].state;
}

/* ---- sharing of storage */

static int root_id(const struct value *v) { return value_storage(v)->id; }

static void share(struct planner *p, struct value *v, struct value *with)
{
    int from = v->id, to = root_id(with);
    v->alias = with;
    if (p->last[from] > p->last[to]) p->last[to] = p->last[from];
}

/* No other operand may lie in the same storage in another arrangement: it would be read after it was overwritten. */
static bool read_otherwise(const struct node *n, const struct value *v, int from)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && root_id(n->in[i]) == root_id(v) &&
            (i < from || plan_reads_ahead(n, i) || !type_equal(&n->in[i]->type, &v->type)))
            return true;
    return false;
}

bool plan_reads_ahead(const struct node *n, int operand)
{
    for (int k = 0; k < MAX_PRE; k++)
        if (body_reads(n->pre[k], operand)) return true;
    return false;
}

int plan_elementwise_from(const struct node *n)
{
    if (n->op->family->elementwise) return 0;
    if (n->op->family->takes_body && n->body) return n->nanchor;
    return n->op->inplace ? 0 : n->nin;
}

static bool dies_in(const struct planner *p, const struct node *n, const struct value *v)
{
    const struct value *root = value_storage(v);
    return root->kind == VALUE_NODE && !root->def->prepare && !p->output[root->id] && p->last[root->id] == n->index;
}

static bool taken(const struct node *n, const struct value *v)
{
    for (int i = 0; i < n->nout; i++)
        if (n->out[i]->alias && root_id(n->out[i]) == root_id(v)) return true;
    return false;
}

static void share_in_place(struct planner *p, struct node *n)
{
    int from = plan_elementwise_from(n);
    const struct value *workspace = node_workspace(n);
    for (int r = 0; r < n->nout; r++) {
        struct value *v = n->out[r];
        if (v == workspace || v->alias || v->space != SPACE_NONE) continue;
        for (int i = from; i < n->nin; i++) {
            struct value *x = n->in[i];
            if (!x || !type_equal(&x->type, &v->type) || !dies_in(p, n, x) || taken(n, x) || read_otherwise(n, x, from))
                continue;
            if (type_bytes(&value_storage(x)->type) != type_bytes(&v->type)) continue;
            share(p, v, x);
            p->in_place++;
            break;
        }
    }
}

/* A region's results are what it yields. */
static void share_yields(struct planner *p, struct node *n)
{
    for (int i = 0; i < n->nout; i++) share(p, n->out[i], n->in[REGION_YIELD + i]);
    p->views += n->nout;
}

static void find_sharing(struct planner *p)
{
    graph_number(p->g);
    for (int i = 0; i < p->g->nvalues; i++) p->last[i] = -1;
    GRAPH_EACH(p->g, n)
    {
        for (int i = 0; i < n->nin; i++)
            if (n->in[i]) p->last[n->in[i]->id] = n->index;
        for (int i = 0; i < n->nout; i++) p->last[n->out[i]->id] = n->index;
    }
    GRAPH_EACH(p->g, n)
    {
        if (n->prepare) continue;
        if (n->op->owns) {
            share_yields(p, n);
        } else if (plan_is_view(n)) {
            if (n->out[0]->space != SPACE_NONE || n->out[0]->alias) continue;
            share(p, n->out[0], n->in[0]);
            p->views++;
        } else {
            share_in_place(p, n);
        }
    }
}

/* ---- the arena */

struct interval *plan_intervals(const struct graph *g, struct arena *a)
{
    struct interval *r = ARENA_ARRAY(a, struct interval, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) r[i] = (struct interval){g->nnodes, -1};
    int time = 0;
    GRAPH_EACH(g, n)
    {
        for (int i = 0; i < n->nin + n->nout; i++) {
            const struct value *v = i < n->nin ? n->in[i] : n->out[i - n->nin];
            if (!v) continue;
            struct interval *x = &r[root_id(v)];
            if (time < x->first) x->first = time;
            if (time > x->last) x->last = time;
        }
        time++;
    }
    return r;
}

static bool in_arena(const struct value *v)
{
    return v->kind == VALUE_NODE && v->def && !v->def->prepare && !v->alias &&
           (v->space == SPACE_NONE || v->space == SPACE_ARENA);
}

static int place_arena(struct planner *p)
{
    struct graph *g = p->g;
    const struct interval *live = plan_intervals(g, g->arena);
    struct item *items = ARENA_ARRAY(g->arena, struct item, g->nvalues + 1);
    struct value **values = ARENA_ARRAY(g->arena, struct value *, g->nvalues + 1);
    int count = 0;
    for (int i = 0; i < g->nvalues; i++) {
        struct value *v = g->values[i];
        if (!in_arena(v)) continue;
        values[count] = v;
        items[count++] = (struct item){aligned(type_bytes(&v->type)), 0, live[i].first, live[i].last};
    }
    g->lower_bound_bytes = items_bound(items, count, g->nnodes, g->arena);
    g->arena_bytes = items_pack(items, count, g->lower_bound_bytes, g->arena);
    for (int i = 0; i < count; i++) {
        values[i]->space = SPACE_ARENA;
        values[i]->offset = items[i].offset;
    }
    return count;
}

static void follow_aliases(struct graph *g)
{
    for (int i = 0; i < g->nvalues; i++) {
        struct value *v = g->values[i];
        if (!v->alias) continue;
        v->space = value_storage(v)->space;
        v->offset = value_storage(v)->offset;
    }
}

/* A state must have been read by all others before it is replaced, as the pass schedule has it. */
static bool states_in_order(struct graph *g, struct pass_context *c)
{
    const struct node **writer = ARENA_ARRAY(g->arena, const struct node *, g->nvalues + 1);
    graph_number(g);
    for (int i = 0; i < g->nupdates; i++) writer[g->updates[i].state->id] = g->updates[i].value->def;
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++) {
        const struct node *w = n->in[i] ? writer[n->in[i]->id] : NULL;
        if (!w || w->index >= n->index) continue;
        struct diag *d = diag_error(c->diags, n->span, "%%%s is read after it was replaced", n->in[i]->name);
        diag_note(d, "run 'schedule' before 'plan'");
        return false;
    }
    return true;
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    if (!states_in_order(g, c)) return false;
    struct planner p = {g, ARENA_ARRAY(g->arena, int, g->nvalues + 1), ARENA_ARRAY(g->arena, bool, g->nvalues + 1), 0,
                        0};
    for (int i = 0; i < g->nvalues; i++) {
        g->values[i]->space = SPACE_NONE;
        g->values[i]->offset = 0;
        g->values[i]->alias = NULL;
    }
    place_borders(&p);
    place_state(&p);
    find_sharing(&p);
    int slots = place_arena(&p);
    follow_aliases(g);
    g->stage = STAGE_PLANNED;
    double over = g->lower_bound_bytes ? 100.0 * ((double)g->arena_bytes / (double)g->lower_bound_bytes - 1) : 0;
    buf_printf(summary,
               "arena %.2f MiB, %.1f%% above the lower bound; state %.2f MiB; %d storages, %d in place, %d views",
               (double)g->arena_bytes / 1048576, over, (double)g->state_bytes / 1048576, slots, p.in_place, p.views);
    return true;
}

const struct pass pass_plan = {"plan", "give every value its place in memory", run};
