/* algorithm.c: which algorithm computes each convolution. Decided before layouts, from shapes, the target and the error
   budget alone: by what the analytic model says of the costs, or by what the tuner has measured. */
#include "pass/algorithm/algorithm.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "ir/op.h"
#include "kernel/policy.h"
#include "pass/passes.h"

/* A gain of less than a tenth over the direct sum is not worth the rounding, over a smaller tile not its larger
   weights. */
static const double WORTH = 0.9;

/* ---- what may be chosen */

bool algorithm_allowed(const struct graph *g, const struct node *n, int algorithm, const struct pass_context *c)
{
    if (algorithm == 0) return true;
    const struct algorithm *a = algorithm_at(n, algorithm);
    double budget = c->accuracy > 0 ? c->accuracy : ACCURACY_DEFAULT;
    if (g->train && node_ints(n, "stride")[0] > a->in_training) return false;
    if (a->method->affordable && !a->method->affordable(a, n)) return false;
    return algorithm_error(n, algorithm) <= budget && algorithm_legal(n, algorithm, &c->target);
}

/* ---- choices as text */

static void print_type(struct buf *b, const struct type *t)
{
    if (t->rank > 0) buf_putc(b, ' ');
    buf_dims(b, t->rank, t->dim, "x");
}

static void print_attributes(struct buf *b, const struct node *n)
{
    for (int i = 0; i < n->op->nattr; i++) {
        const struct op_attr *row = &n->op->attrs[i];
        char text[128];
        if (row->spec_only || strcmp(row->name, "algorithm") == 0 || op_attr_equal(&n->attr[i], &row->def)) continue;
        op_attr_print(row, &n->attr[i], text, sizeof text);
        buf_printf(b, " %s", row->name);
        for (const char *p = text; *p; p++)
            if (*p != ' ' && *p != '[' && *p != ']') buf_putc(b, *p == ',' ? '/' : *p);
    }
}

const char *algorithm_key(struct arena *a, const struct graph *g, const struct node *n)
{
    struct buf b;
    buf_init(&b, a);
    buf_puts(&b, n->op->name);
    for (int i = 0; i < n->nanchor; i++)
        if (n->in[i]) print_type(&b, &n->in[i]->type);
    print_attributes(&b, n);
    const struct node *def = n->in[0]->def;
    const struct value *x = def && def->op->repacks ? def->in[0] : n->in[0];
    if (dtype_rounded(x->type.dtype)) buf_printf(&b, " %s", dtype_name(x->type.dtype));
    if (x->kind == VALUE_INPUT && x->type.dim[1] < POLICY_LANES)
        buf_puts(&b, " input");           /* few channels are read where the caller has them */
    if (g->train) buf_puts(&b, " train"); /* there the weights are transformed in every step */
    return b.data;
}

void algorithm_record(const struct graph *g, struct strmap *into)
{
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        strmap_add(into, algorithm_key(into->arena, g, n), arena_strdup(into->arena, algorithm_of(n)->name));
    }
}

void algorithm_print(const struct strmap *choices, struct buf *out)
{
    for (size_t i = 0; i < choices->count; i++)
        buf_printf(out, "%s=%s\n", choices->entries[i].key, (const char *)choices->entries[i].value);
}

void algorithm_replay(const char *text, struct strmap *into)
{
    while (*text) {
        size_t line = strcspn(text, "\n"), key = strcspn(text, "=\n");
        if (key && key < line)
            strmap_set(into, arena_strndup(into->arena, text, key),
                       arena_strndup(into->arena, text + key + 1, line - key - 1));
        text += line + (text[line] == '\n');
    }
}

/* ---- the choice */

/* The number of the algorithm that was chosen in an earlier run; -1: none was, or it cannot be taken. */
static int replayed(const struct graph *g, const struct node *n, const struct pass_context *c)
{
    const char *name = c->replay ? strmap_get(c->replay, algorithm_key(c->arena, g, n)) : NULL;
    for (int k = 0; name && k < algorithm_count(n); k++)
        if (strcmp(name, algorithm_at(n, k)->name) == 0 && algorithm_legal(n, k, &c->target)) return k;
    return -1;
}

/* The algorithm with output tile m; 0, the direct one, where it is not legal. */
static int forced(const struct node *n, int m, const struct target *t)
{
    for (int k = 1; k < algorithm_count(n); k++)
        if (algorithm_at(n, k)->tile == m && algorithm_legal(n, k, t)) return k;
    return 0;
}

/* Costs of all that is allowed, from C's source. False: it does not know them all. */
static bool known_costs(const struct graph *g, const struct node *n, const struct pass_context *c, const bool *allowed,
                        double *cost)
{
    for (int k = 0; k < algorithm_count(n); k++) {
        if (!allowed[k]) continue;
        cost[k] = c->cost.cost ? c->cost.cost(c->cost.ctx, g, n, k) : -1;
        if (cost[k] < 0) return false;
    }
    return true;
}

static int cheapest(const struct graph *g, const struct node *n, const struct pass_context *c)
{
    bool allowed[ALGORITHMS_MOST];
    double cost[ALGORITHMS_MOST];
    int count = algorithm_count(n), best = 0;
    assert(count <= ALGORITHMS_MOST);
    for (int k = 0; k < count; k++) allowed[k] = algorithm_allowed(g, n, k, c);
    if (!known_costs(g, n, c, allowed, cost))
        for (int k = 0; k < count; k++)
            if (allowed[k]) cost[k] = algorithm_cost(n, k, &c->target, g->train);
    double least = cost[0] * WORTH;
    for (int k = 1; k < count; k++) {
        if (!allowed[k] || cost[k] >= least) continue;
        least = cost[k] * WORTH;
        best = k;
    }
    return best;
}

static int choose(const struct graph *g, const struct node *n, const struct pass_context *c)
{
    if (c->winograd == WINOGRAD_OFF) return 0;
    if (c->winograd != WINOGRAD_AUTO) return forced(n, c->winograd, &c->target);
    int again = replayed(g, n, c);
    return again >= 0 ? again : cheapest(g, n, c);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int count[ALGORITHMS_MOST] = {0}, convolutions = 0;
    double worst = 0;
    if (c->cost.begin) c->cost.begin(c->cost.ctx, g, c);
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        int algorithm = choose(g, n, c);
        node_attr(n, "algorithm")->i = algorithm;
        count[algorithm_at(n, algorithm) - algorithm_all()]++;
        convolutions++;
        if (algorithm) worst = fmax(worst, algorithm_error(n, algorithm));
    }
    buf_printf(summary, "%d convolutions: %d direct", convolutions, count[0]);
    for (const struct algorithm *a = algorithm_all() + 1; a->name; a++)
        if (count[a - algorithm_all()]) buf_printf(summary, ", %d by %s", count[a - algorithm_all()], a->label);
    if (worst > 0) buf_printf(summary, "; errors up to %.1e", worst);
    return true;
}

const struct pass pass_algorithm = {"algorithm", "choose direct or Winograd for each convolution", run};
