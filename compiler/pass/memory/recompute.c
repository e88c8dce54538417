/* recompute.c: what the backward pass reads of the forward pass is kept, or computed once more where it is read. A
   normalised and activated value costs as much traffic to read as to recompute from the convolution's output, which is
   kept anyway; under a memory budget convolutions are recomputed as well, those first that free the most bytes for
   their arithmetic (Chen et al. 2016, "Training deep nets with sublinear memory cost", with the checkpoints chosen by a
   greedy search in a model of the memory instead of every √n-th layer).

   A recomputed value has a node of its own, marked `recompute`, just before its first reader: the same operator on the
   same operands, so the same kernel and the same bits. Dropout's numbers depend on its key alone, and the running
   statistics are no part of what is recomputed. */
#include "pass/memory/footprint.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "ir/op.h"
#include "kernel/algorithm.h"

/* ---- the choice */

struct candidate {
    int node;
    double worth;
};

/* Cycles of one core, of which each moves 4 bytes or does 24 multiply-adds. Only comparisons depend on it. */
static double cost_of(const struct node *n)
{
    double bytes = 0;
    for (int i = 0; i < n->nin + n->nout; i++) {
        const struct value *v = i < n->nin ? n->in[i] : n->out[i - n->nin];
        if (v) bytes += (double)type_bytes(&v->type);
    }
    return bytes / 4 + (double)algorithm_macs(n) / 24 * algorithm_effort(n);
}

static int by_worth(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->worth != y->worth) return x->worth > y->worth ? -1 : 1;
    return x->node - y->node;
}

static size_t kept_bytes(const struct footprint *m, const struct node *n)
{
    const struct value *workspace = node_workspace(n);
    return footprint_made(m, n) - (workspace ? m->bytes[workspace->id] : 0);
}

/* What a candidate is worth: bytes for their time, for their arithmetic as the network has it, or alone. */
enum order { BY_TIME, BY_MACS, BY_SIZE };

static double worth(const struct node *n, double bytes, enum order order)
{
    return order == BY_SIZE ? bytes : bytes / (order == BY_TIME ? cost_of(n) : 1 + (double)op_macs(n));
}

/* A factor of 1 to 2 that depends on both numbers; SHUFFLE 0: always 1. */
static double shuffled(int node, int shuffle)
{
    uint32_t x = (uint32_t)node * 2654435761u + (uint32_t)shuffle * 2246822519u;
    x = (x ^ x >> 15) * 2654435761u;
    x ^= x >> 13;
    return shuffle ? 1 + (double)(x & 0xffff) / 65536 : 1;
}

/* The candidates, best first. The copy of the caller's image, which is recomputed to begin with, is one that may be
   taken back. */
static struct candidate *candidates(const struct footprint *m, enum order order, int shuffle, int *count)
{
    struct candidate *c = ARENA_ARRAY(m->arena, struct candidate, m->count + 1);
    *count = 0;
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        size_t made = kept_bytes(m, n);
        if (!m->forward[i] || (m->recompute[i] && !footprint_is_image_copy(n)) || !made || plan_is_view(n)) continue;
        c[(*count)++] = (struct candidate){i, worth(n, (double)made, order) * shuffled(i, shuffle)};
    }
    qsort(c, (size_t)*count, sizeof *c, by_worth);
    return c;
}

/* What is recomputed needs its operands: those that are not kept anyway and are cheap are recomputed too. The nodes go
   into ADDED. */
static void add(struct footprint *m, int node, int *added, int *count)
{
    const struct node *n = m->node[node];
    m->recompute[node] = true;
    added[(*count)++] = node;
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        const struct node *def = v ? m->g->values[footprint_root(m, v)]->def : NULL;
        if (!def || !m->forward[def->index] || m->recompute[def->index] || m->kept[footprint_root(m, v)] ||
            !footprint_is_cheap(def))
            continue;
        add(m, def->index, added, count);
    }
}

struct search {
    struct footprint m;
    size_t target; /* enough */
    bool at_any_cost, costliest_first;
    bool all_peaks; /* what is above the target counts wherever it is, not at the highest peak alone */
    enum order order;
    int shuffle; /* other orders that are nearly as good */
    size_t peak;
    double excess;
    int *added; /* scratch: the nodes of one trial */
    bool *kept; /* scratch: the model's before it */
};

/* A look at every candidate alone would take the square of the nodes. Above so many steps (nodes walked) a round looks
   at them in groups of neighbours in the order of their worth, which are all taken or none: networks of up to some 500
   layers are searched one by one. */
static const double ROUND_STEPS = 1e6;

static int group_size(const struct search *s, int count)
{
    double steps = (double)count * s->m.count;
    return steps <= ROUND_STEPS ? 1 : (int)(steps / ROUND_STEPS) + 1;
}

/* Bytes that a cycle must free, without a budget. Two convolutions of ResNet-18's are not worth it: 20 MiB of 182 for
   2% of the step's time. */
static const double BYTES_A_CYCLE = 0.7;

/* What a choice costs, in bytes; below the target there is nothing to gain. */
static double price(const struct search *s, size_t peak, double cycles)
{
    return (double)(peak > s->target ? peak : s->target) + BYTES_A_CYCLE * cycles;
}

static bool accepted(const struct search *s, size_t peak, const int *added, int count)
{
    if (s->all_peaks && peak < SIZE_MAX) return s->m.excess < s->excess;
    if (peak >= s->peak) return false;
    if (s->at_any_cost) return true;
    double cost = 0;
    for (int i = 0; i < count; i++) cost += cost_of(s->m.node[added[i]]);
    return price(s, peak, cost) <= price(s, s->peak, 0);
}

/* The candidates of a group at C that are not recomputed yet; false: that does not help, and nothing has changed. */
static bool try_adding(struct search *s, const struct candidate *c, int size)
{
    struct footprint *m = &s->m;
    int count = 0;
    for (int i = 0; i < size; i++)
        if (!m->recompute[c[i].node]) {
            if (!count) memcpy(s->kept, m->kept, (size_t)m->g->nvalues);
            add(m, c[i].node, s->added, &count);
        }
    if (!count) return false;
    size_t peak = footprint_peak(m);
    if (accepted(s, peak, s->added, count)) {
        s->peak = peak;
        s->excess = s->m.excess;
        return true;
    }
    for (int i = 0; i < count; i++) m->recompute[s->added[i]] = false;
    memcpy(m->kept, s->kept, (size_t)m->g->nvalues);
    return false;
}

/* Keeps a group of the candidates at C after all, unless more than LIMIT would live then. */
static void try_keeping(struct search *s, const struct candidate *c, int size, size_t limit)
{
    int count = 0;
    for (int i = size - 1; i >= 0; i--)
        if (s->m.recompute[c[i].node]) s->m.recompute[s->added[count++] = c[i].node] = false;
    if (!count) return;
    size_t peak = footprint_peak(&s->m);
    for (int i = 0; i < count && peak > limit; i++) s->m.recompute[s->added[i]] = true;
    if (peak <= limit) s->peak = peak;
}

/* What turned out not to matter is kept after all: the least worthy first, or the costliest; of equals the last, which
   are needed soonest. */
static void take_back(struct search *s, struct candidate *c, int count)
{
    size_t limit = s->peak > s->target ? s->peak : s->target;
    for (int i = 0; i < count && s->costliest_first; i++) c[i].worth = -cost_of(s->m.node[c[i].node]);
    qsort(c, (size_t)count, sizeof *c, by_worth);
    int size = group_size(s, count);
    for (int i = count; i > 0; i -= size) {
        int from = i > size ? i - size : 0;
        try_keeping(s, c + from, i - from, limit);
    }
}

/* Greedy: the candidates by bytes for their cost, each taken if the peak falls; round again, as one may make another
   possible. */
static void choose(struct search *s)
{
    int count;
    struct candidate *c = candidates(&s->m, s->order, s->shuffle, &count);
    int size = group_size(s, count);
    bool more = true;
    s->m.room = s->target;
    s->peak = footprint_peak(&s->m);
    s->excess = s->m.excess;
    s->added = ARENA_ARRAY(s->m.arena, int, s->m.count + 1);
    s->kept = ARENA_ARRAY(s->m.arena, bool, s->m.g->nvalues + 1);
    for (int round = 0; round < 8 && more; round++) {
        more = false;
        for (int i = 0; i < count && s->peak > s->target; i += size)
            more |= try_adding(s, &c[i], count - i < size ? count - i : size);
    }
    take_back(s, c, count);
}

/* ---- a budget */

bool plan_trial(const struct graph *g, struct pass_context *c, bool prologues, size_t *arena, size_t *state)
{
    struct graph *trial = graph_clone(c->arena, g);
    struct pass_context freely = *c; /* they shall not ask for trials themselves */
    struct buf summary;
    buf_init(&summary, c->arena);
    freely.memory_budget = MEMORY_AUTO;
    if (prologues && !pass_prologue.run(trial, &freely, &summary)) return false;
    if (!pass_sums.run(trial, c, &summary) || !pass_schedule.run(trial, c, &summary) ||
        !pass_plan.run(trial, c, &summary))
        return false;
    *arena = trial->arena_bytes;
    *state = trial->state_bytes;
    return true;
}

static const char *mib(struct arena *a, size_t bytes) { return arena_printf(a, "%.2f MiB", (double)bytes / 1048576); }

static void too_small(const struct graph *g, struct pass_context *c, size_t arena, size_t state)
{
    const struct value *largest = NULL;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->def && !v->def->prepare && (!largest || type_bytes(&v->type) > type_bytes(&largest->type))) largest = v;
    }
    struct diag *d =
        diag_error(c->diags, (struct span){0}, "the training step needs at least %s: more than the memory budget of %s",
                   mib(c->arena, arena + state), mib(c->arena, c->memory_budget));
    diag_note(d,
              "that is %s of intermediates, even with everything recomputed that can be, and %s of weights and "
              "optimizer state",
              mib(c->arena, arena), mib(c->arena, state));
    const char *layer = largest->layer ? largest->layer : largest->def->layer ? largest->def->layer : largest->name;
    diag_note(d, "the largest layer is '%s': %s of %s", layer,
              largest == node_workspace(largest->def) ? "a workspace" : "a result",
              mib(c->arena, type_bytes(&largest->type)));
    diag_note(d, g->batch > 1 ? "a smaller batch needs less: this is for %lld samples" : "a smaller input needs less",
              (long long)g->batch);
}

struct fitting {
    struct graph *g;
    struct pass_context *c;
    size_t room, state;           /* the arena's share of the budget; the rest */
    struct graph *best, *closest; /* of what fits, that with the least arithmetic; what comes nearest in the model */
    size_t least;                 /* of the latter */
};

/* How recomputations are looked for. GAP: how many nodes one is kept for its next reader; for those further on it is
   made once more. ALL_PEAKS: see struct search; where several peaks are about as high, no single choice lowers the
   highest. */
struct way {
    int gap;
    enum order order;
    bool costliest_first, all_peaks;
    int shuffle;
};
static const struct way ways[] = {
    {INT_MAX, BY_TIME, true, false, 0}, {64, BY_TIME, true, false, 0},       {24, BY_TIME, true, false, 0},
    {10, BY_TIME, true, false, 0},      {INT_MAX, BY_MACS, false, false, 0}, {64, BY_MACS, false, false, 0},
    {24, BY_MACS, false, false, 0},     {10, BY_MACS, true, false, 0},       {INT_MAX, BY_SIZE, true, false, 0},
    {16, BY_TIME, false, false, 0},     {6, BY_TIME, false, false, 0},       {INT_MAX, BY_TIME, true, true, 0},
    {64, BY_TIME, true, true, 0},       {24, BY_TIME, true, true, 0},        {10, BY_TIME, true, true, 0},
    {24, BY_SIZE, true, true, 0},
};

/* The model does not know what later passes save, a tenth in deep networks. */
enum { MODEL_OVER = 8 };

/* A search for TARGET, and what it comes to when scheduled and packed: *ARENA, if it may fit. False after diagnostics.
 */
static bool try_target(struct fitting *f, const struct way *way, size_t target, struct search *s, size_t *arena)
{
    struct graph *trial = graph_clone(f->c->arena, f->g);
    *s = (struct search){.target = target,
                         .at_any_cost = true,
                         .all_peaks = way->all_peaks,
                         .order = way->order,
                         .shuffle = way->shuffle,
                         .costliest_first = way->costliest_first};
    footprint_init(&s->m, trial);
    s->m.gap = way->gap;
    choose(s);
    footprint_apply(&s->m);
    f->c->steps += s->m.steps;
    *arena = s->peak;
    if (s->peak < f->least) {
        f->least = s->peak;
        f->closest = trial;
    }
    if (s->peak > f->room + f->room / MODEL_OVER ||
        (f->best && recompute_account(trial).recompute_macs >= recompute_account(f->best).recompute_macs))
        return true;
    if (!plan_trial(trial, f->c, true, arena, &f->state)) return false;
    if (*arena <= f->room) f->best = trial;
    return true;
}

/* The search works in a model of the memory, which is mostly too high: where a plan of what it found takes more than
   there is, it is to find less. */
static bool fit_with(struct fitting *f, const struct way *way)
{
    size_t target = f->room + f->room / MODEL_OVER, arena;
    struct search s;
    for (int round = 0; round < 5; round++) {
        if (!try_target(f, way, target, &s, &arena)) return false;
        if (arena <= f->room || s.peak > target) break;
        size_t over = arena - f->room + f->room / 200;
        target -= over < target ? over : target;
    }
    return true;
}

/* G becomes the graph that fits. */
static bool fit(struct graph *g, struct pass_context *c)
{
    enum { NWAYS = sizeof ways / sizeof *ways, SHUFFLES = 3 };
    struct fitting f = {.g = g, .c = c, .least = SIZE_MAX};
    struct search s;
    size_t arena;
    if (!plan_trial(g, c, true, &arena, &f.state)) return false;
    f.room = c->memory_budget > f.state ? c->memory_budget - f.state : 0;
    if (arena <= f.room) return true;
    for (int i = 0; i < NWAYS; i++)
        if (!fit_with(&f, &ways[i])) return false;
    for (int i = 0; i < NWAYS; i++)
        for (int k = 1; k <= SHUFFLES && ways[i].gap < INT_MAX; k++) {
            struct way w = ways[i];
            w.shuffle = k;
            if (!fit_with(&f, &w)) return false;
        }
    for (int i = 0; i < NWAYS && !f.best; i++)
        if (!try_target(&f, &ways[i], 0, &s, &arena)) return false;
    if (!f.best && !plan_trial(f.closest, c, true, &arena, &f.state)) return false;
    if (!f.best && arena <= f.room) f.best = f.closest;
    if (f.best) graph_become(g, f.best);
    else too_small(g, c, arena, f.state);
    return f.best != NULL;
}

/* ---- the account */

struct recompute_account recompute_account(const struct graph *g)
{
    struct recompute_account r = {.saved_bytes = g->saved_bytes};
    GRAPH_EACH(g, n)
    {
        r.step_macs += algorithm_macs(n);
        r.recompute_macs += n->recompute ? algorithm_macs(n) : 0;
        r.nodes += n->recompute;
    }
    return r;
}

/* ---- the pass */

static double recompute_cost(const struct footprint *m)
{
    double sum = 0;
    for (int e = 0; e < m->nentries; e++) sum += m->entry[e].recompute ? cost_of(m->node[m->entry[e].node]) : 0;
    return sum;
}

/* Without a budget: half of what keeping everything takes, as far as that is to be had cheaply. */
static void by_benefit(struct graph *g, struct pass_context *c)
{
    static const struct way tried[] = {{INT_MAX, BY_TIME, true, false, 0},
                                       {INT_MAX, BY_SIZE, true, false, 0},
                                       {64, BY_TIME, true, false, 0}};
    struct search best = {0};
    double least = 0;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct search s = {.order = tried[i].order, .costliest_first = tried[i].costliest_first};
        if (!footprint_init(&s.m, g)) return;
        s.m.gap = tried[i].gap;
        s.target = footprint_peak(&s.m) / 2;
        choose(&s);
        footprint_peak(&s.m);
        c->steps += s.m.steps;
        double cost = price(&s, s.peak, recompute_cost(&s.m));
        if (i && cost >= least) continue;
        best = s;
        least = cost;
    }
    footprint_apply(&best.m);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct buf ignored;
    buf_init(&ignored, c->arena);
    if (!pass_schedule.run(g, c, &ignored)) return false; /* the peak to be lowered is that of a good order */
    if (g->train) g->saved_bytes = footprint_saved(g);
    if (g->train && c->memory_budget == MEMORY_AUTO) by_benefit(g, c);
    else if (g->train && c->memory_budget != MEMORY_KEEP && !fit(g, c)) return false;
    struct recompute_account r = recompute_account(g);
    int64_t once = r.step_macs - r.recompute_macs;
    if (!r.nodes) buf_puts(summary, "every value is kept");
    else
        buf_printf(summary, "%d nodes recomputed, %.1f%% more multiply-adds; %.2f MiB are read by the backward pass",
                   r.nodes, once ? 100 * (double)r.recompute_macs / (double)once : 0, (double)r.saved_bytes / 1048576);
    return true;
}

const struct pass pass_recompute = {"recompute", "recompute in the backward pass what would take memory to keep", run};
