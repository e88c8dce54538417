/* pass.c: the list of passes, their driver, and what the passes share. */
#include "pass/passes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/text.h"
#include "ir/verify.h"
#include "ir/op.h"

const char pass_pipeline_infer[] = "simplify,concat,fold,fuse,precision,algorithm,layout,workspace,schedule,plan";
const char pass_pipeline_train[] =
    "concat,autodiff,simplify,fuse,precision,algorithm,layout,workspace,recompute,prologue,sums,schedule,plan";

static const struct pass *const passes[] = {
    &pass_concat,    &pass_autodiff,  &pass_simplify, &pass_fold,      &pass_fuse,
    &pass_precision, &pass_algorithm, &pass_layout,   &pass_workspace, &pass_recompute,
    &pass_prologue,  &pass_sums,      &pass_schedule, &pass_plan,      NULL,
};

const struct pass *const *pass_all(void) { return passes; }

const struct pass *pass_find(const char *name)
{
    for (int i = 0; passes[i]; i++)
        if (!strcmp(passes[i]->name, name)) return passes[i];
    return NULL;
}

/* ---- the driver */

static bool unknown_pass(struct pass_context *c, const char *name)
{
    const char *names[sizeof passes / sizeof *passes];
    size_t count = 0;
    struct buf all;
    buf_init(&all, c->arena);
    for (; passes[count]; count++) {
        names[count] = passes[count]->name;
        buf_printf(&all, "%s%s", count ? ", " : "", names[count]);
    }
    struct diag *d = diag_error(c->diags, (struct span){0}, "there is no pass '%s'", name);
    const char *near = did_you_mean(name, names, count);
    if (near) diag_note(d, "did you mean '%s'?", near);
    else diag_note(d, "the passes are %s", all.data);
    return false;
}

/* Prologues are made late, for what the chosen kernels can do. The text may have them on a raw graph: `layout` takes
   those that a kernel takes, the passes before it know none. */
static bool prologues_known(const struct graph *g, const struct pass *p, struct pass_context *c)
{
    GRAPH_EACH(g, n)
    {
        bool takes = p == &pass_layout;
        for (int k = 0; k < MAX_PRE; k++) takes = takes && (!n->pre[k] || op_takes_pre(n, k));
        if (takes || !node_has_pre(n)) continue;
        struct diag *d = diag_error(c->diags, n->span, "%%%s has a prologue, which %s", n->out[0]->name,
                                    p == &pass_layout ? "its kernel does not take"
                                                      : arena_printf(c->arena, "'%s' does not know", p->name));
        diag_note(d, "give the operator the value that the prologue computes: 'prologue' moves it in where that pays");
        return false;
    }
    return true;
}

/* Regions run forward only: what writes, orders or trims a backward pass does not know them. */
static bool regions_known(const struct graph *g, const struct pass *p, struct pass_context *c)
{
    if (p != &pass_autodiff && p != &pass_recompute && p != &pass_prologue && p != &pass_sums) return true;
    GRAPH_EACH(g, n)
    {
        if (!n->op->owns) continue;
        struct diag *d =
            diag_error(c->diags, n->span, "%%%s is a region, which '%s' does not know", n->out[0]->name, p->name);
        diag_note(d, "regions run forward only: nothing is trained through them yet");
        return false;
    }
    return true;
}

/* The stages on which a pass works; the others need their result. */
static bool stage_fits(const struct graph *g, const struct pass *p, struct pass_context *c)
{
    if (g->stage == STAGE_RAW && p != &pass_layout && p != &pass_algorithm && !prologues_known(g, p, c)) return false;
    bool late = p == &pass_workspace || p == &pass_recompute || p == &pass_prologue || p == &pass_sums ||
                p == &pass_schedule || p == &pass_plan;
    if (late && g->stage == STAGE_RAW) {
        struct diag *d = diag_error(c->diags, (struct span){0}, "the pass '%s' needs a graph with layouts", p->name);
        diag_note(d, "run 'layout' before it");
        return false;
    }
    if (g->stage == STAGE_PLANNED || (!late && g->stage == STAGE_LAYOUT)) {
        diag_error(c->diags, (struct span){0}, "the pass '%s' comes before '%s', which this graph has behind it",
                   p->name, g->stage == STAGE_PLANNED ? "plan" : "layout");
        return false;
    }
    return true;
}

static void verify_or_abort(struct graph *g, const struct pass *p)
{
    const char *problem = graph_verify(g);
    if (!problem) return;
    struct buf text;
    buf_init(&text, g->arena);
    graph_print(g, &text);
    diag_bug("after the pass '%s': %s\n%s", p->name, problem, text.data);
}

static bool run_one(struct graph *g, struct pass_context *c, const char *name)
{
    const struct pass *p = pass_find(name);
    if (!p) return unknown_pass(c, name);
    if (!stage_fits(g, p, c) || !regions_known(g, p, c)) return false;
    struct buf summary;
    buf_init(&summary, c->arena);
    if (!p->run(g, c, &summary) || (p == &pass_layout && !prologues_known(g, p, c))) return false;
    if (c->report) buf_printf(c->report, "%s: %s\n", p->name, summary.data);
    if (c->verify) verify_or_abort(g, p);
    return true;
}

bool pass_run(struct graph *g, struct pass_context *c, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        if (n && !run_one(g, c, arena_strndup(c->arena, list, n))) return false;
        list += n + (list[n] == ',');
    }
    return true;
}

/* ---- shared by the passes */

bool node_is(const struct node *n, const char *op) { return n && !strcmp(n->op->name, op); }

struct uses uses_of(const struct graph *g, struct arena *a)
{
    struct uses u = {ARENA_ARRAY(a, int, g->nvalues + 2), NULL, graph_use_counts(g, a)};
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) u.start[n->in[i]->id + 2]++;
    for (int i = 0; i < g->nvalues; i++) u.start[i + 2] += u.start[i + 1];
    u.item = ARENA_ARRAY(a, struct use, u.start[g->nvalues + 1] + 1);
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) u.item[u.start[n->in[i]->id + 1]++] = (struct use){n, i};
    return u;
}

struct node *uses_only(const struct uses *u, const struct value *v)
{
    return u->total[v->id] == 1 && uses_by_nodes(u, v) == 1 ? u->item[u->start[v->id]].node : NULL;
}

void graph_reorder(struct graph *g, struct node *owner, struct node *const *nodes, int count)
{
    for (int i = 0; i < count; i++) {
        assert(nodes[i]->owner == owner);
        nodes[i]->prev = i ? nodes[i - 1] : NULL;
        nodes[i]->next = i + 1 < count ? nodes[i + 1] : NULL;
    }
    *(owner ? &owner->first : &g->first) = count ? nodes[0] : NULL;
    *(owner ? &owner->last : &g->last) = count ? nodes[count - 1] : NULL;
    graph_number(g);
}

/* Every order that must hold, as pairs of positions. */
struct edges {
    int count, cap;
    int (*item)[2];
    struct arena *arena;
};

static void add_edge(struct edges *e, int from, int to)
{
    if (e->count == e->cap) {
        int cap = e->cap ? e->cap * 2 : 1024;
        int(*more)[2] = arena_array(e->arena, (size_t)cap, sizeof *more);
        if (e->count) memcpy(more, e->item, (size_t)e->count * sizeof *more);
        e->item = more;
        e->cap = cap;
    }
    e->item[e->count][0] = from;
    e->item[e->count++][1] = to;
}

/* The edge from what FROM is, in FIRST's list, to what TO is in it: a region is one node, whatever is nested in it. */
static void add_edge_within(struct edges *e, const int *place, const struct node *first, const struct node *from,
                            const struct node *to)
{
    const struct node *a = node_within(from, first), *b = node_within(to, first);
    if (a && b && a != b) add_edge(e, place[a->index], place[b->index]);
}

static struct edges edges_of(struct graph *g, const struct node *first, const int *place, struct arena *a)
{
    struct edges e = {.arena = a};
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->def) add_edge_within(&e, place, first, n->in[i]->def, n);
    struct node **writer = ARENA_ARRAY(a, struct node *, g->nvalues + 1);
    for (int i = 0; i < g->nupdates; i++) writer[g->updates[i].state->id] = g->updates[i].value->def;
    GRAPH_EACH(g, n)
    for (int i = 0; i < n->nin; i++) {
        struct node *w = n->in[i] ? writer[n->in[i]->id] : NULL;
        if (w && w != n) add_edge_within(&e, place, first, n, w);
    }
    return e;
}

static void csr(const struct edges *e, int n, int key, struct arena *a, int **start, int **item)
{
    *start = ARENA_ARRAY(a, int, n + 2);
    *item = ARENA_ARRAY(a, int, e->count + 1);
    for (int i = 0; i < e->count; i++) (*start)[e->item[i][key] + 2]++;
    for (int i = 0; i < n; i++) (*start)[i + 2] += (*start)[i + 1];
    for (int i = 0; i < e->count; i++) (*item)[(*start)[e->item[i][key] + 1]++] = e->item[i][!key];
}

struct deps deps_of(struct graph *g, const struct node *owner, struct arena *a)
{
    graph_number(g);
    struct deps d = {.node = ARENA_ARRAY(a, struct node *, g->nnodes + 1), .place = ARENA_ARRAY(a, int, g->nnodes + 1)};
    struct node *first = owner ? owner->first : g->first;
    LIST_EACH(first, n)
    {
        d.place[n->index] = d.count;
        d.node[d.count++] = n;
    }
    struct edges e = edges_of(g, first, d.place, a);
    csr(&e, d.count, 1, a, &d.start, &d.pred);
    csr(&e, d.count, 0, a, &d.succ_start, &d.succ);
    return d;
}

/* Kahn's algorithm; among the ready nodes always the one that stands first in the present list (a binary heap of
   indices). */
static void heap_push(int *heap, int *size, int x)
{
    int i = (*size)++;
    for (; i && heap[(i - 1) / 2] > x; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

static int heap_pop(int *heap, int *size)
{
    int top = heap[0], x = heap[--*size], i = 0;
    for (int k = 1; k < *size; k = 2 * i + 1) {
        if (k + 1 < *size && heap[k + 1] < heap[k]) k++;
        if (heap[k] >= x) break;
        heap[i] = heap[k];
        i = k;
    }
    heap[i] = x;
    return top;
}

/* The list of OWNER's region (NULL: the outermost one), and those nested in it. */
static bool sort_list(struct graph *g, struct node *owner)
{
    struct deps d = deps_of(g, owner, g->arena);
    int *missing = ARENA_ARRAY(g->arena, int, d.count + 1), *heap = ARENA_ARRAY(g->arena, int, d.count + 1);
    struct node **order = ARENA_ARRAY(g->arena, struct node *, d.count + 1);
    int size = 0, done = 0;
    for (int i = 0; i < d.count; i++) {
        missing[i] = d.start[i + 1] - d.start[i];
        if (!missing[i]) heap_push(heap, &size, i);
    }
    while (size) {
        int i = heap_pop(heap, &size);
        order[done++] = d.node[i];
        for (int k = d.succ_start[i]; k < d.succ_start[i + 1]; k++)
            if (!--missing[d.succ[k]]) heap_push(heap, &size, d.succ[k]);
    }
    if (done < d.count) return false;
    graph_reorder(g, owner, order, done);
    for (int i = 0; i < done; i++)
        if (order[i]->first && !sort_list(g, order[i])) return false;
    return true;
}

bool graph_sort(struct graph *g) { return sort_list(g, NULL); }
