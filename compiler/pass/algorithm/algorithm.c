/* algorithm.c: which algorithm computes each convolution. Decided before layouts, from shapes, the target and the error
   budget alone: by what the analytic model says of the costs, or by what the tuner has measured. */
#include "pass/algorithm/algorithm.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "kernel/accuracy.h"
#include "ir/op.h"
#include "kernel/parts.h"
#include "kernel/winograd.h"
#include "kernel/winograd_wgrad.h"
#include "pass/passes.h"

/* A gain of less than a tenth over the direct sum is not worth the rounding, over a smaller tile not its larger
   weights. */
static const double WORTH = 0.9;

/* ---- what there is to choose from */

static const struct op_attr *attribute(const struct node *n)
{
    int i = op_attr_index(n->op, "algorithm");
    return i < 0 ? NULL : &n->op->attrs[i];
}

int algorithm_count(const struct node *n)
{
    const struct op_attr *row = attribute(n);
    int count = 0;
    while (row && row->choices[count]) count++;
    return count ? count : 1;
}

const char *algorithm_name(const struct node *n, int algorithm)
{
    const struct op_attr *row = attribute(n);
    return row ? row->choices[algorithm] : "direct";
}

int algorithm_tile(const struct node *n, int algorithm) { return op_algorithm_tile(n->op, algorithm); }

static bool is_wgrad(const struct node *n) { return n->op->direction == CONV_WGRAD; }
static bool is_dgrad(const struct node *n) { return n->op->direction == CONV_DGRAD; }
static const struct type *weight_of(const struct node *n) { return is_wgrad(n) ? &n->out[0]->type : &n->in[1]->type; }

/* A weight gradient sums over pixels: a block of tiles, then the blocks of a slot, then the slots; rows of an image
   where it is direct. By Winograd, of numbers of both signs, each of these terms counts for half as much again as one
   of a forward sum (measured: test_op, F(4) and F(5), 5×5 to 112×112). Of gradients that nearly cancel each other all
   algorithms leave more error than that. */
static double wgrad_error(const struct node *n, int m)
{
    enum { LANES = 16 };
    const struct type x = parts_type(n), *dy = &n->in[1]->type;
    if (!m) return accuracy_estimate(0, (double)(dy->dim[2] * dy->dim[3]));
    struct winograd_wgrad_plan p = winograd_wgrad_plan(&x, dy, m, LANES);
    int64_t tiles = dy->dim[0] * p.tiles_y * p.tiles_x;
    return accuracy_estimate(m, 1.5 * (double)(p.block + div_up(tiles, p.block * p.slots) + p.slots));
}

double algorithm_error(const struct node *n, int algorithm)
{
    int m = algorithm_tile(n, algorithm);
    if (is_wgrad(n)) return wgrad_error(n, m);
    const struct type *w = weight_of(n);
    double channels = (double)(is_dgrad(n) ? w->dim[0] / node_int(n, "groups") : w->dim[1]);
    return accuracy_estimate(m, m ? fmin(channels, WINOGRAD_SUM) : channels * (double)(w->dim[2] * w->dim[3]));
}

/* The operator's own rule, asked about a node that differs in its algorithm alone. */
static bool rule_allows(const struct node *n, int algorithm)
{
    enum { MAX_IN = 8, MAX_ATTR = 24 };
    struct type in[MAX_IN], out[MAX_OUTS];
    struct attr attr[MAX_ATTR];
    struct arena *scratch = arena_new();
    struct op_error e = {.arena = scratch};
    assert(n->nanchor <= MAX_IN && n->op->nattr <= MAX_ATTR);
    for (int i = 0; i < n->nanchor; i++) in[i] = n->in[i] ? n->in[i]->type : (struct type){.rank = -1};
    memcpy(attr, n->attr, (size_t)n->op->nattr * sizeof *attr);
    attr[op_attr_index(n->op, "algorithm")].i = algorithm;
    bool ok = n->op->infer(in, n->nanchor, attr, out, &e);
    arena_free(scratch);
    return ok;
}

bool algorithm_legal(const struct node *n, int algorithm, const struct target *t)
{
    if (algorithm == 0) return true;
    const struct type *w = weight_of(n);
    /* vectors of padding would do most of the work */
    int64_t in = is_dgrad(n) ? n->out[0]->type.dim[1] : w->dim[1];
    if (algorithm_tile(n, algorithm) && (w->dim[0] < t->lanes || in < t->lanes)) return false;
    return rule_allows(n, algorithm);
}

static bool is_strided(const struct node *n) { return node_ints(n, "stride")[0] > 1; }

/* The largest transformed weights of strided convolutions come from memory for a single product each: 512 to 512
   channels at 7×7 gain a tenth of their time, 0.4% of ResNet-50's, for 27 MiB more. */
enum { STRIDED_MOST = 32 << 20 };

static int64_t strided_bytes(const struct node *n, int algorithm)
{
    const struct type *w = weight_of(n);
    int64_t points = algorithm_tile(n, algorithm) + 2; /* of which strided tiles use some several times */
    return w->dim[0] * w->dim[1] * points * points * (int64_t)sizeof(float);
}

bool algorithm_allowed(const struct graph *g, const struct node *n, int algorithm, const struct pass_context *c)
{
    if (algorithm == 0) return true;
    double budget = c->accuracy > 0 ? c->accuracy : ACCURACY_DEFAULT;
    if (g->train && (algorithm_tile(n, algorithm) > 5 || is_strided(n))) return false;
    if (is_strided(n) && strided_bytes(n, algorithm) > STRIDED_MOST) return false;
    return algorithm_error(n, algorithm) <= budget && algorithm_legal(n, algorithm, &c->target);
}

/* ---- the analytic model, in cycles: two FMAs of a vector in each, or one (FEATURE_SPLIT_512), whose units are then
   easier to keep busy; weights streamed from beyond the second-level cache. The shares of the peak are what the tuner
   measured at 64 to 512 channels, one image and sixteen, on a Sapphire Rapids and a Zen 4: see what it has learnt where
   they are in doubt. */

static bool is_split(const struct target *t) { return t->feature_bits & FEATURE_SPLIT_512 && t->lanes == 16; }

/* Bytes a cycle of weights that come from beyond the second-level cache. */
static double stream(const struct target *t) { return is_split(t) ? 5 : 3.5; }

/* Cycles of MULTIPLIED multiply-adds of single lanes at the FMA peak. */
static double at_peak(double multiplied, const struct target *t)
{
    return multiplied / t->lanes / (is_split(t) ? 1 : 2);
}

/* What Winograd's products reach of it. */
static double product_share(const struct winograd_plan *p, const struct target *t)
{
    if (is_split(t)) return p->split ? 0.76 : 0.9;
    return p->m > 5 ? 0.45 : p->stride == 2 ? 0.64 : p->m > 2 ? 0.68 : 0.76;
}

/* Both operands of a direct sum are bf16, two products of which take the time of one. */
static bool multiplies_pairs(const struct node *n, const struct target *t)
{
    if (n->in[0]->type.dtype != DT_BF16 || !(t->feature_bits & FEATURE_FAST_BF16)) return false;
    return is_wgrad(n) ? n->in[1]->type.dtype == DT_BF16 : node_int(n, "groups") == 1;
}

static double slower(double compute, double bytes, const struct target *t)
{
    double memory = bytes > (double)t->l2_bytes ? bytes / stream(t) : 0;
    return compute > memory ? compute : memory;
}

static double direct_cost(const struct node *n, const struct target *t)
{
    const struct type joined = parts_type(n), *x = &joined, *w = weight_of(n),
                      *y = is_wgrad(n) ? &n->in[1]->type : &n->out[0]->type;
    double taps = (double)(w->dim[2] * w->dim[3]);
    int64_t groups = node_int(n, "groups");
    double per_channel =
        taps * (double)round_up(x->dim[1], t->lanes) * (double)round_up(y->dim[1], t->lanes) / (double)groups;
    /* a strided dgrad works for each pixel that it reads */
    const struct type *counted = is_dgrad(n) && y->dim[2] * y->dim[3] > 2 * x->dim[2] * x->dim[3] ? x : y;
    double fma = at_peak(per_channel * (double)(counted->dim[0] * counted->dim[2] * counted->dim[3]), t) /
                 (is_split(t) ? 0.97 : 0.9);
    return multiplies_pairs(n, t) ? slower(fma / 2, per_channel * (is_wgrad(n) ? 4 : 2), t)
                                  : slower(fma, per_channel * 4, t);
}

/* FLOATS of weights that are read and, transformed, written: by a split convolution chunk by chunk, in the caches (512
   to 512 channels: 0.4 ms of two cores of a Zen 5), by others past them, by all cores at once: 31 GB/s for two of a Zen
   4, 4.4 bytes a cycle of each. */
static double transform_weights(double floats, bool chunks, const struct target *t)
{
    return floats * 4 > (double)t->l2_bytes ? floats * 4 / (chunks ? 12 : 4.4) : 0;
}

/* TRAIN: every step transforms the weights. */
static double winograd_cost(const struct node *n, const struct target *t, int m, bool train)
{
    const struct type joined = parts_type(n), *x = &joined, *y = &n->out[0]->type;
    struct winograd_plan p = winograd_plan(x, y, m, node_ints(n, "stride")[0], t->lanes);
    double points = (double)(p.tile * p.tile), tiles = (double)(x->dim[0] * p.tiles_y * p.tiles_x);
    double multiplied =
        p.split ? (double)winograd_products(&p, x->dim[0]) : (double)round_up((int64_t)tiles, p.tw) * points;
    double channels = (double)(p.icb * p.ocb) * t->lanes * t->lanes;
    double weights = (double)((m + 2) * (m + 2)) * channels;
    double products = at_peak(multiplied * channels, t) / product_share(&p, t);
    double effort =
        m > 5   ? 1.8
        : m > 4 ? 1.2
                : 1; /* of the transforms: eight points of six different multiples each do not stay in registers */
    double transforms = tiles * ((double)p.icb * 3.0 + (double)p.ocb * 3.5) * points * effort;
    double passes = weights * 4 > (double)t->l2_bytes ? (double)p.blocks : 1;
    return slower(products, passes * weights * 4, t) + transforms +
           (train ? transform_weights(weights + 9 * channels, p.split, t) : 0);
}

/* Fused, both operands are transformed once for each group of the other's channels, which costs about what their lines
   take on their way between the first- and the second-level cache; split, they are once, to memory. The figures are
   from 64 channels at 56×56 to 512 at 7×7, one image and sixteen (Sapphire Rapids; m = 5 and split: Zen 4). */
static double winograd_wgrad_cost(const struct node *n, const struct target *t, int m)
{
    const struct type x = parts_type(n);
    struct winograd_wgrad_plan p = winograd_wgrad_plan(&x, &n->in[1]->type, m, t->lanes);
    double points = (m + 2) * (m + 2), tiles = (double)(n->in[0]->type.dim[0] * p.tiles_y * p.tiles_x);
    double channels = (double)(p.icb * p.ocb) * t->lanes * t->lanes;
    double products = at_peak((double)winograd_wgrad_products(&p, x.dim[0]) * channels, t) / 0.9;
    double effort = m > 4 ? 1.8 : 1; /* seven points a side do not stay in registers */
    double vectors = p.split ? (double)(p.icb + p.ocb) * 8.0 : (double)(p.icb * p.ogroups + p.ocb * p.igroups) * 6.0;
    double transforms = tiles * points * vectors * effort;
    double back = (double)p.slots * points * channels / t->lanes * 6.0;
    return products + transforms + back;
}

double algorithm_model_cost(const struct graph *g, const struct node *n, int algorithm, const struct target *t)
{
    int m = algorithm_tile(n, algorithm);
    if (m && is_wgrad(n)) return winograd_wgrad_cost(n, t, m);
    return m ? winograd_cost(n, t, m, g->train) : direct_cost(n, t);
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
    if (x->type.dtype == DT_BF16) buf_puts(&b, " bf16");
    if (x->kind == VALUE_INPUT && x->type.dim[1] < 16)
        buf_puts(&b, " input");           /* few channels are read where the caller has them */
    if (g->train) buf_puts(&b, " train"); /* there the weights are transformed in every step */
    return b.data;
}

void algorithm_record(const struct graph *g, struct strmap *into)
{
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        const char *name = algorithm_name(n, (int)node_int(n, "algorithm"));
        strmap_add(into, algorithm_key(into->arena, g, n), arena_strdup(into->arena, name));
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
        if (strcmp(name, algorithm_name(n, k)) == 0 && algorithm_legal(n, k, &c->target)) return k;
    return -1;
}

/* The algorithm with output tile m; 0, the direct one, where it is not legal. */
static int forced(const struct node *n, int m, const struct target *t)
{
    for (int k = 1; k < algorithm_count(n); k++)
        if (algorithm_tile(n, k) == m && algorithm_legal(n, k, t)) return k;
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

enum { MAX_ALGORITHMS = 32 };

static int cheapest(const struct graph *g, const struct node *n, const struct pass_context *c)
{
    bool allowed[MAX_ALGORITHMS];
    double cost[MAX_ALGORITHMS];
    int count = algorithm_count(n), best = 0;
    assert(count <= MAX_ALGORITHMS);
    for (int k = 0; k < count; k++) allowed[k] = algorithm_allowed(g, n, k, c);
    if (!known_costs(g, n, c, allowed, cost))
        for (int k = 0; k < count; k++)
            if (allowed[k]) cost[k] = algorithm_model_cost(g, n, k, &c->target);
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
    enum { MAX_TILE = 16 };
    int count[MAX_TILE] = {0}, convolutions = 0;
    double worst = 0;
    if (c->cost.begin) c->cost.begin(c->cost.ctx, g, c);
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        int algorithm = choose(g, n, c), m = algorithm_tile(n, algorithm);
        node_attr(n, "algorithm")->i = algorithm;
        count[m < MAX_TILE ? m : 0]++;
        convolutions++;
        if (m && algorithm_error(n, algorithm) > worst) worst = algorithm_error(n, algorithm);
    }
    buf_printf(summary, "%d convolutions: %d direct", convolutions, count[0]);
    for (int m = 1; m < MAX_TILE; m++)
        if (count[m]) buf_printf(summary, ", %d by F(%d,3)", count[m], m);
    if (worst > 0) buf_printf(summary, "; errors up to %.1e", worst);
    return true;
}

const struct pass pass_algorithm = {"algorithm", "choose direct or Winograd for each convolution", run};
