/* tuner.c: which convolutions are measured, in which order, and for how long. Nothing is begun that, as far as is
   known, would not end in time: a compilation needs twice the longest one so far, a run what the machine says. */
#include "measure/tuner.h"

#include <stdlib.h>
#include <string.h>
#include "ir/op.h"
#include "pass/algorithm/algorithm.h"

/* Rounds: every candidate runs once in each. At least LEAST of them, and no more once the convolution has had its share
   of the time. */
enum { LEAST_ROUNDS = 4, MOST_ROUNDS = 100 };
static const double SHARE = 0.25;         /* seconds for the runs of one convolution */
static const double FIRST_COMPILE = 0.15; /* what a compilation may take before one was seen */
static const double HOPELESS = 1.5;       /* a candidate this much slower than the best has been measured well enough */

struct tuner {
    struct arena *arena;
    struct target target;
    const char *dir;
    struct tuner_machine machine;
    double left, deadline, longest_compile;
    struct tuner_table table;
    struct tuner_stats stats;
};

struct tuner *tuner_new(struct arena *a, const struct tuner_options *o)
{
    struct tuner *t = ARENA_NEW(a, struct tuner);
    *t = (struct tuner){
        .arena = a, .target = o->target, .dir = o->dir, .left = o->seconds, .longest_compile = FIRST_COMPILE / 2};
    t->machine = o->machine ? *o->machine : tuner_host;
    tuner_table_init(&t->table, a);
    if (t->dir) tuner_table_read(&t->table, t->dir, &t->target);
    return t;
}

struct tuner_stats tuner_stats(const struct tuner *t) { return t->stats; }

static double now(const struct tuner *t) { return t->machine.now(t->machine.ctx); }

/* ---- one convolution */

/* A graph of nothing else. What it reads lies as it would in the network: as state, which takes any layout, unless the
   caller's input is read as it is. */
static struct graph *alone(struct arena *a, const struct graph *g, const struct node *n, int algorithm)
{
    struct graph *one = graph_new(a, "tuned", g->batch);
    struct value **in = ARENA_ARRAY(a, struct value *, n->nanchor + 1);
    one->train = g->train;
    for (int i = 0; i < n->nanchor; i++) {
        if (!n->in[i]) continue;
        enum value_kind kind = n->in[i]->kind == VALUE_INPUT ? VALUE_INPUT : VALUE_BUFFER;
        in[i] = graph_arg(one, kind, arena_printf(a, "in%d", i), n->in[i]->type);
    }
    struct attr *attr = arena_array(a, (size_t)n->op->nattr, sizeof *attr);
    memcpy(attr, n->attr, (size_t)n->op->nattr * sizeof *attr);
    attr[op_attr_index(n->op, "algorithm")].i = algorithm;
    struct node *copy = op_build_attrs(one, NULL, n->op->name, in, n->nanchor, attr);
    graph_output(one, "out", copy->out[0]);
    return one;
}

struct candidate {
    int algorithm;
    void *code;
    double best;
    int runs;
};

static void *compile(struct tuner *t, const struct graph *g, const struct node *n, int algorithm)
{
    double start = now(t);
    if (start + 2 * t->longest_compile > t->deadline) return NULL;
    struct arena *a = arena_new();
    struct pass_context c = {.arena = a, .diags = diags_new(a), .target = t->target};
    struct graph *one = alone(a, g, n, algorithm);
    void *code = pass_run(one, &c, "layout,workspace,schedule,plan")
                     ? t->machine.compile(t->machine.ctx, one, &t->target)
                     : NULL;
    arena_free(a);
    double took = now(t) - start;
    if (took > t->longest_compile) t->longest_compile = took;
    return code;
}

/* One run of each in turn, so that all see the same machine. False: the time is up. */
static bool run_round(struct tuner *t, struct candidate *c, int count)
{
    double least = 0;
    for (int i = 0; i < count; i++)
        if (c[i].runs >= 2 && (least == 0 || c[i].best < least)) least = c[i].best;
    for (int i = 0; i < count; i++) {
        if (c[i].runs >= 2 && least > 0 && c[i].best > HOPELESS * least) continue;
        double s = t->machine.run(t->machine.ctx, c[i].code, t->deadline);
        if (s < 0) return false;
        if (c[i].runs == 0 || s < c[i].best) c[i].best = s;
        c[i].runs++;
    }
    return true;
}

static bool run_all(struct tuner *t, struct candidate *c, int count)
{
    double start = now(t);
    int round = 0;
    while (round < LEAST_ROUNDS || (round < MOST_ROUNDS && now(t) - start < SHARE)) {
        if (!run_round(t, c, count)) break;
        round++;
    }
    return round >= LEAST_ROUNDS;
}

/* Into the table, or not at all. */
static bool measure(struct tuner *t, const struct graph *g, const struct node *n, const char *key, const bool *allowed)
{
    struct candidate c[ALGORITHMS_MOST];
    int count = 0;
    bool ok = true;
    for (int k = 0; k < algorithm_count(n) && ok; k++) {
        if (!allowed[k]) continue;
        c[count] = (struct candidate){.algorithm = k, .code = compile(t, g, n, k)};
        ok = c[count].code != NULL;
        count += ok;
    }
    ok = ok && run_all(t, c, count);
    for (int i = 0; i < count; i++) {
        if (ok) tuner_table_set(&t->table, key, algorithm_at(n, c[i].algorithm)->name, c[i].best);
        t->machine.release(t->machine.ctx, c[i].code);
    }
    return ok;
}

/* ---- all of a graph */

struct layer {
    const struct node *node;
    const char *key;
    double weight;
    int first;
    bool allowed[ALGORITHMS_MOST];
};

static int by_weight(const void *a, const void *b)
{
    const struct layer *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->first - y->first;
}

static bool is_known(const struct tuner *t, const struct layer *l)
{
    for (int k = 0; k < algorithm_count(l->node); k++)
        if (l->allowed[k] && tuner_table_get(&t->table, l->key, algorithm_at(l->node, k)->name) < 0) return false;
    return true;
}

/* What may be chosen for N, and the least that it costs by the model. False: there is nothing to choose. */
static bool look_at(const struct tuner *t, const struct graph *g, const struct node *n, const struct pass_context *c,
                    struct layer *l)
{
    int choices = 0, count = algorithm_count(n);
    if (count < 2 || count > ALGORITHMS_MOST) return false;
    *l = (struct layer){.node = n};
    for (int k = 0; k < count; k++) {
        l->allowed[k] = algorithm_allowed(g, n, k, c);
        if (!l->allowed[k]) continue;
        double cost = algorithm_cost(n, k, &t->target, g->train);
        if (choices++ == 0 || cost < l->weight) l->weight = cost;
    }
    return choices > 1;
}

/* The distinct convolutions with a choice; each weighs as much as all its occurrences. */
static int collect(struct tuner *t, const struct graph *g, const struct pass_context *c, struct layer *layers)
{
    struct strmap seen;
    int count = 0;
    strmap_init(&seen, t->arena);
    GRAPH_EACH(g, n)
    {
        struct layer l;
        if (!look_at(t, g, n, c, &l)) continue;
        l.key = algorithm_key(t->arena, g, n);
        l.first = count;
        struct layer *known = strmap_get(&seen, l.key);
        if (known) known->weight += l.weight;
        else {
            layers[count] = l;
            strmap_add(&seen, l.key, &layers[count++]);
        }
    }
    qsort(layers, (size_t)count, sizeof *layers, by_weight);
    return count;
}

static void begin(void *ctx, const struct graph *g, const struct pass_context *c)
{
    struct tuner *t = ctx;
    if (c->winograd != WINOGRAD_AUTO) return; /* the command line has decided */
    double start = now(t);
    struct layer *layers = ARENA_ARRAY(t->arena, struct layer, g->nnodes + 1);
    int count = collect(t, g, c, layers), before = t->stats.measured;
    t->deadline = start + t->left;
    for (int i = 0; i < count; i++) {
        if (is_known(t, &layers[i])) t->stats.known++;
        else if (t->left > 0 && measure(t, g, layers[i].node, layers[i].key, layers[i].allowed)) t->stats.measured++;
        else t->stats.left++;
    }
    if (t->dir && t->stats.measured > before) tuner_table_write(&t->table, t->dir, &t->target);
    double took = now(t) - start;
    t->stats.seconds += took;
    t->left = took < t->left ? t->left - took : 0;
}

static double cost(void *ctx, const struct graph *g, const struct node *n, int algorithm)
{
    const struct tuner *t = ctx;
    struct arena *a = arena_new();
    double seconds = tuner_table_get(&t->table, algorithm_key(a, g, n), algorithm_at(n, algorithm)->name);
    arena_free(a);
    return seconds;
}

struct algorithm_cost tuner_cost(struct tuner *t)
{
    return (struct algorithm_cost){.cost = cost, .begin = begin, .ctx = t};
}
