/* schedule.c: the order of the nodes that needs the least memory at its worst moment. Candidates: the given order,
   tidied (what is cheap to make waits until it is wanted, updates run as soon as they may); and a greedy list schedule
   that always takes the ready node which frees the most. A state is replaced after all other nodes have read it: those
   orders are edges (deps_of). A region is never split, and its own order stays. */
#include "pass/passes.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ir/op.h"

struct schedule {
    struct graph *g;
    struct arena *arena;
    struct deps deps;
    size_t *bytes;   /* by value id: of the arena, 0 for what lies elsewhere */
    int *uses;       /* by value id: nodes that read it (each once) and outputs */
    int (*reads)[2]; /* the storages read, each once: start and count by node, into read_ids */
    int *read_ids;
    int *root;                      /* by value id: what a view is a view of, or itself */
    size_t *inside, *made;          /* by place: made_inside, made_by */
    int *reader_start, *reader_ids; /* by storage: the places that read it */
    uint64_t *steps;                /* of the pass's context */
};

/* ---- a model of memory: each storage lives from its node to its last reader; results take over dying operands as
   pass/memory/plan.c does */

static int place(const struct schedule *s, const struct node *n) { return s->deps.place[n->index]; }

/* What N reads, and what is nested in it, of values made outside. */
static void add_reads(struct schedule *s, const struct node *n, int from, int *count)
{
    LIST_EACH(n->first, nested) add_reads(s, nested, from, count);
    for (int i = 0; i < n->nin; i++) {
        if (!n->in[i] || (n->in[i]->def && n->in[i]->def->owner)) continue;
        bool again = false;
        int id = s->root[n->in[i]->id];
        for (int k = from; k < *count; k++) again |= s->read_ids[k] == id;
        if (!again) {
            s->read_ids[(*count)++] = id;
            s->uses[id]++;
        }
    }
}

static void collect_reads(struct schedule *s, struct node *n, int *count)
{
    int *r = s->reads[place(s, n)], from = r[0] = *count;
    add_reads(s, n, from, count);
    r[1] = *count - from;
}

static void measure(struct schedule *s)
{
    int total = 0, count = 0;
    GRAPH_EACH(s->g, n) total += n->nin;
    s->bytes = ARENA_ARRAY(s->arena, size_t, s->g->nvalues + 1);
    s->uses = ARENA_ARRAY(s->arena, int, s->g->nvalues + 1);
    s->reads = arena_array(s->arena, (size_t)s->deps.count + 1, sizeof *s->reads);
    s->read_ids = ARENA_ARRAY(s->arena, int, total + 1);
    s->root = ARENA_ARRAY(s->arena, int, s->g->nvalues + 1);
    for (int i = 0; i < s->g->nvalues; i++) s->root[i] = i;
    GRAPH_EACH(s->g, n)
    {
        if (!n->owner) collect_reads(s, n, &count);
        if (plan_is_view(n)) {
            s->root[n->out[0]->id] = s->root[n->in[0]->id];
            continue;
        }
        for (int i = 0; i < n->nout; i++)
            if (!n->prepare) s->bytes[n->out[i]->id] = (size_t)round_up((int64_t)type_bytes(&n->out[i]->type), 64);
    }
    for (int i = 0; i < s->g->nupdates; i++) s->bytes[s->g->updates[i].value->id] = 0; /* lie in the state */
    for (int i = 0; i < s->g->noutputs; i++) s->bytes[s->g->outputs[i].value->id] = 0; /* in the caller's buffer */
}

/* What the nodes of N's region make beside what it yields: it comes and goes with N, all of it at once as far as the
   order outside is concerned. */
static size_t made_inside(const struct schedule *s, const struct node *n)
{
    size_t sum = 0;
    LIST_EACH(n->first, nested)
    {
        sum += made_inside(s, nested);
        for (int i = 0; i < nested->nout; i++) sum += s->bytes[nested->out[i]->id];
    }
    for (int i = REGION_YIELD; i < n->nin && n->first; i++) {
        size_t yield = s->bytes[n->in[i]->id];
        sum -= yield < sum ? yield : sum;
    }
    return sum;
}

static void measure_nodes(struct schedule *s)
{
    int n = s->deps.count;
    s->inside = ARENA_ARRAY(s->arena, size_t, n + 1);
    s->made = ARENA_ARRAY(s->arena, size_t, n + 1);
    for (int i = 0; i < n; i++) {
        const struct node *node = s->deps.node[i];
        s->inside[i] = s->made[i] = made_inside(s, node);
        for (int k = 0; k < node->nout; k++) s->made[i] += s->bytes[node->out[k]->id];
    }
}

/* The inverse of the reads. */
static void find_readers(struct schedule *s)
{
    int n = s->deps.count, values = s->g->nvalues, *at = ARENA_ARRAY(s->arena, int, values + 1);
    int total = n ? s->reads[n - 1][0] + s->reads[n - 1][1] : 0;
    s->reader_start = ARENA_ARRAY(s->arena, int, values + 2);
    s->reader_ids = ARENA_ARRAY(s->arena, int, total + 1);
    for (int i = 0; i < total; i++) s->reader_start[s->read_ids[i] + 1]++;
    for (int v = 0; v < values; v++) {
        s->reader_start[v + 1] += s->reader_start[v];
        at[v] = s->reader_start[v];
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < s->reads[i][1]; k++) s->reader_ids[at[s->read_ids[s->reads[i][0] + k]]++] = i;
}

static void measure_all(struct schedule *s)
{
    measure(s);
    measure_nodes(s);
    find_readers(s);
}

/* Bytes that come with N, what is nested in it as well. */
static size_t made_by(const struct schedule *s, const struct node *n) { return s->made[place(s, n)]; }

/* Bytes that are dead once N has run: operands read for the last time, results without a reader (workspaces). */
static size_t freed_by(const struct schedule *s, const struct node *n, const int *left)
{
    size_t sum = s->inside[place(s, n)];
    const int *r = s->reads[place(s, n)];
    for (int i = 0; i < r[1]; i++)
        if (left[s->read_ids[r[0] + i]] == 1) sum += s->bytes[s->read_ids[r[0] + i]];
    for (int i = 0; i < n->nout; i++)
        if (!left[s->root[n->out[i]->id]]) sum += s->bytes[n->out[i]->id];
    return sum;
}

/* Bytes of results that overwrite an operand in its last read. */
static size_t taken_over(const struct schedule *s, const struct node *n, const int *left)
{
    size_t sum = 0;
    int taken[MAX_OUTS], ntaken = 0;
    for (int r = 0; r < n->nout; r++) {
        size_t bytes = s->bytes[n->out[r]->id];
        for (int i = plan_elementwise_from(n); bytes && i < n->nin; i++) {
            if (!n->in[i] || plan_reads_ahead(n, i) || !type_equal(&n->in[i]->type, &n->out[r]->type)) continue;
            int id = s->root[n->in[i]->id];
            bool free = left[id] == 1 && s->bytes[id] == bytes;
            for (int k = 0; k < ntaken; k++) free = free && taken[k] != id;
            for (int k = 0; k < n->nanchor && n->op->family->takes_body; k++)
                free = free && (!n->in[k] || s->root[n->in[k]->id] != id);
            if (!free) continue;
            taken[ntaken++] = id;
            sum += bytes;
            break;
        }
    }
    return sum;
}

/* N has run, or (BY 1) has not yet. */
static void count_reads(const struct schedule *s, const struct node *n, int *left, int by)
{
    const int *r = s->reads[place(s, n)];
    for (int i = 0; i < r[1]; i++) left[s->read_ids[r[0] + i]] += by;
}

static int *fresh_counts(const struct schedule *s)
{
    int *left = ARENA_ARRAY(s->arena, int, s->g->nvalues + 1);
    memcpy(left, s->uses, (size_t)s->g->nvalues * sizeof *left);
    return left;
}

/* What an order takes: at its worst moment; of those that are equal there, over all moments. */
struct need {
    size_t peak;
    double sum;
};

static bool less(const struct need *a, const struct need *b)
{
    return a->peak != b->peak ? a->peak < b->peak : a->sum < b->sum;
}

/* The COUNT nodes of ORDER run, before which LIVE bytes are live. */
static struct need run_nodes(const struct schedule *s, const int *order, int count, int *left, size_t *live)
{
    struct need r = {0};
    for (int i = 0; i < count; i++) {
        const struct node *n = s->deps.node[order[i]];
        *live += made_by(s, n);
        size_t over = taken_over(s, n, left);
        if (*live - over > r.peak) r.peak = *live - over;
        *live -= freed_by(s, n, left);
        r.sum += (double)*live;
        count_reads(s, n, left, -1);
    }
    return r;
}

static struct need need_of(const struct schedule *s, const int *order)
{
    size_t live = 0;
    return run_nodes(s, order, s->deps.count, fresh_counts(s), &live);
}

/* ---- candidates */

/* Nodes by a key, the least first. What a node's key was before it changed stays until it comes up, and is skipped. */
struct waiting {
    int64_t key, then;
    int node;
};
struct heap {
    struct waiting *item;
    int count, cap;
};

static bool goes_first(const struct waiting *a, const struct waiting *b)
{
    return a->key != b->key ? a->key < b->key : a->then != b->then ? a->then < b->then : a->node < b->node;
}

static void heap_push(struct arena *a, struct heap *h, struct waiting x)
{
    if (h->count == h->cap) {
        struct waiting *more = ARENA_ARRAY(a, struct waiting, 2 * h->cap + 16);
        if (h->count) memcpy(more, h->item, (size_t)h->count * sizeof *more);
        h->item = more;
        h->cap = 2 * h->cap + 16;
    }
    int at = h->count++;
    for (; at > 0 && goes_first(&x, &h->item[(at - 1) / 2]); at = (at - 1) / 2) h->item[at] = h->item[(at - 1) / 2];
    h->item[at] = x;
}

static void heap_pop(struct heap *h)
{
    struct waiting x = h->item[--h->count];
    int at = 0;
    for (int child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && goes_first(&h->item[child + 1], &h->item[child])) child++;
        if (!goes_first(&h->item[child], &x)) break;
        h->item[at] = h->item[child];
    }
    h->item[at] = x;
}

/* What may run next. Of two ready nodes goes first: one that leaves less memory than before, of such the one that needs
   least while it runs (FREES: by made, cost); else the one that adds least (ADDS: by cost), or of few places the first.
   */
struct ready {
    int *missing;  /* by place: nodes that must run before */
    bool *is;      /* by place: it is ready */
    int64_t *cost; /* of those */
    int *left;
    int count;
    struct heap frees, adds, first;
};

static void rank(const struct schedule *s, struct ready *r, int node)
{
    const struct node *n = s->deps.node[node];
    int64_t made = (int64_t)made_by(s, n);
    ++*s->steps;
    r->cost[node] = made - (int64_t)freed_by(s, n, r->left);
    if (r->cost[node] < 0) heap_push(s->arena, &r->frees, (struct waiting){made, r->cost[node], node});
    else heap_push(s->arena, &r->adds, (struct waiting){r->cost[node], 0, node});
}

static void make_ready(const struct schedule *s, struct ready *r, int node)
{
    r->is[node] = true;
    r->count++;
    rank(s, r, node);
    heap_push(s->arena, &r->first, (struct waiting){node, 0, node});
}

static struct ready first_ready(const struct schedule *s)
{
    int n = s->deps.count;
    struct ready r = {.missing = ARENA_ARRAY(s->arena, int, n + 1),
                      .is = ARENA_ARRAY(s->arena, bool, n + 1),
                      .cost = ARENA_ARRAY(s->arena, int64_t, n + 1),
                      .left = fresh_counts(s)};
    for (int i = 0; i < n; i++) {
        r.missing[i] = s->deps.start[i + 1] - s->deps.start[i];
        if (!r.missing[i]) make_ready(s, &r, i);
    }
    return r;
}

/* DONE runs: each value it reads has one reader less; the last reader frees it. */
static void finish(const struct schedule *s, struct ready *r, int done)
{
    const int *reads = s->reads[done];
    r->is[done] = false;
    r->count--;
    count_reads(s, s->deps.node[done], r->left, -1);
    for (int i = 0; i < reads[1]; i++) {
        int id = s->read_ids[reads[0] + i];
        for (int k = s->reader_start[id]; r->left[id] == 1 && k < s->reader_start[id + 1]; k++)
            if (r->is[s->reader_ids[k]]) rank(s, r, s->reader_ids[k]);
    }
    for (int k = s->deps.succ_start[done]; k < s->deps.succ_start[done + 1]; k++)
        if (!--r->missing[s->deps.succ[k]]) make_ready(s, r, s->deps.succ[k]);
}

/* The least of H that is ready and costs what it did when it came in; -1: none. COST: whether that is its key or second
   to it. */
static int least_of(const struct ready *r, struct heap *h, bool cost_first)
{
    while (h->count) {
        const struct waiting *x = &h->item[0];
        if (r->is[x->node] && r->cost[x->node] == (cost_first ? x->key : x->then)) return x->node;
        heap_pop(h);
    }
    return -1;
}

/* Of the places from FIRST to FIRST + SLACK the one that adds least. */
static int least_within(const struct schedule *s, const struct ready *r, int first, int slack)
{
    int best = first;
    for (int i = first + 1; i <= first + slack && i < s->deps.count; i++)
        if (r->is[i] && r->cost[i] < r->cost[best]) best = i;
    return best;
}

/* Takes ready nodes that leave less memory than before at once; otherwise the one standing first in the given order
   (SLACK 0) or the one that costs least among those within SLACK places of it. */
static int *greedy(const struct schedule *s, int slack)
{
    struct ready r = first_ready(s);
    int *order = ARENA_ARRAY(s->arena, int, s->deps.count + 1);
    for (int done = 0; r.count; done++) {
        int node = least_of(&r, &r.frees, false);
        if (node < 0 && slack >= s->deps.count) node = least_of(&r, &r.adds, true);
        if (node < 0) {
            while (!r.is[r.first.item[0].node]) heap_pop(&r.first);
            node = least_within(s, &r, r.first.item[0].node, slack);
        }
        order[done] = node;
        finish(s, &r, node);
    }
    return order;
}

static void visit(const struct schedule *s, int node, bool *done, int *order, int *count)
{
    if (done[node]) return;
    done[node] = true;
    for (int k = s->deps.start[node]; k < s->deps.start[node + 1]; k++) visit(s, s->deps.pred[k], done, order, count);
    order[(*count)++] = node;
}

/* The given order with every node as late as its first reader allows: nodes without readers stay, what they need comes
   before them. */
static int *demand(const struct schedule *s)
{
    int n = s->deps.count, count = 0;
    int *order = ARENA_ARRAY(s->arena, int, n + 1);
    bool *done = ARENA_ARRAY(s->arena, bool, n + 1), *wanted = ARENA_ARRAY(s->arena, bool, n + 1);
    for (int i = 0; i < n; i++) wanted[i] = s->deps.succ_start[i] < s->deps.succ_start[i + 1];
    for (int i = 0; i < n; i++) {
        size_t grows = made_by(s, s->deps.node[i]), reads = 0;
        for (int k = 0; k < s->reads[i][1]; k++) reads += s->bytes[s->read_ids[s->reads[i][0] + k]];
        bool small = grows <= reads; /* frees more than it costs, perhaps: early is no worse */
        if (!wanted[i] || small) visit(s, i, done, order, &count);
    }
    for (int i = 0; i < n; i++) visit(s, i, done, order, &count);
    return order;
}

/* ---- sinking: what no candidate finds, because a node that costs much has to go before one that costs little. The
   gradient of a layer with large weights waits for them to have been read, by way of a transformed copy that is larger
   still: first the copy and its reader, then the gradient, and never both are live. */

enum { WINDOW = 12, SMALL = 128 /* of the peak: a node that makes less is not worth a trial */ };

/* Must B follow A: does it read what A makes, or replace what A reads? */
static bool must_follow(const struct schedule *s, int a, int b)
{
    for (int k = s->deps.succ_start[a]; k < s->deps.succ_start[a + 1]; k++)
        if (s->deps.succ[k] == b) return true;
    return false;
}

/* FROM, COUNT nodes, with the first one and all that must follow it behind the next LAST of them. */
static void sunk(const struct schedule *s, const int *from, int count, int last, int *to)
{
    bool follows[WINDOW] = {true};
    int n = 0;
    for (int i = 1; i <= last; i++) {
        for (int k = 0; k < i; k++) follows[i] = follows[i] || (follows[k] && must_follow(s, from[k], from[i]));
        if (!follows[i]) to[n++] = from[i];
    }
    for (int i = 0; i <= last; i++)
        if (follows[i]) to[n++] = from[i];
    for (int i = last + 1; i < count; i++) to[n++] = from[i];
}

static struct need trial(const struct schedule *s, const int *order, int count, int *left, size_t live)
{
    struct need need = run_nodes(s, order, count, left, &live);
    for (int i = 0; i < count; i++) count_reads(s, s->deps.node[order[i]], left, 1);
    return need;
}

/* Every node goes as far down within a window as lowers that window's peak most: outside it nothing changes. */
static void sink(const struct schedule *s, int *order, size_t peak)
{
    int *left = fresh_counts(s);
    size_t live = 0;
    for (int i = 0; i < s->deps.count; i++) {
        int count = s->deps.count - i < WINDOW ? s->deps.count - i : WINDOW, best[WINDOW];
        if (made_by(s, s->deps.node[order[i]]) >= peak / SMALL) {
            struct need least = trial(s, order + i, count, left, live);
            memcpy(best, order + i, (size_t)count * sizeof *best);
            for (int last = 1; last < count; last++) {
                int moved[WINDOW];
                sunk(s, order + i, count, last, moved);
                struct need need = trial(s, moved, count, left, live);
                if (need.peak >= least.peak) continue;
                least = need;
                memcpy(best, moved, (size_t)count * sizeof *best);
            }
            memcpy(order + i, best, (size_t)count * sizeof *best);
        }
        run_nodes(s, order + i, 1, left, &live);
    }
}

/* ORDER seen as the given order: GREEDY's hoisting on top of another candidate. */
static void adopt(struct schedule *s, const int *order)
{
    struct node **nodes = ARENA_ARRAY(s->arena, struct node *, s->deps.count + 1);
    for (int i = 0; i < s->deps.count; i++) nodes[i] = s->deps.node[order[i]];
    graph_reorder(s->g, NULL, nodes, s->deps.count);
    s->deps = deps_of(s->g, NULL, s->arena);
    measure_all(s);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    if (!graph_sort(g)) { /* puts updates behind the other readers of their states */
        diag_error(c->diags, (struct span){0}, "no order of the nodes replaces every state after its last reader");
        return false;
    }
    struct schedule s = {.g = g, .arena = g->arena, .deps = deps_of(g, NULL, g->arena), .steps = &c->steps};
    measure_all(&s);
    int *given = ARENA_ARRAY(g->arena, int, s.deps.count + 1);
    for (int i = 0; i < s.deps.count; i++) given[i] = i;
    struct need before = need_of(&s, given), least = before;
    const int slacks[] = {0, 2, 8, 1 << 20};
    for (int round = 0; round < 2; round++) {
        int *best = NULL;
        for (int k = -1; k < 4; k++) {
            int *order = k < 0 ? demand(&s) : greedy(&s, slacks[k]);
            struct need need = need_of(&s, order);
            if (!less(&need, &least)) continue;
            best = order;
            least = need;
        }
        if (!best) break;
        adopt(&s, best);
    }
    for (int i = 0; i < s.deps.count; i++) given[i] = i;
    sink(&s, given, least.peak);
    least = need_of(&s, given);
    adopt(&s, given);
    buf_printf(summary, "%.2f MiB live at the peak, %.2f MiB in the given order", (double)least.peak / 1048576,
               (double)before.peak / 1048576);
    return true;
}

const struct pass pass_schedule = {"schedule", "order the nodes for the least live memory", run};
