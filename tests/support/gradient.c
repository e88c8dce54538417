#include "tests/support/gradient.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-6
#define STEP                                                                                                           \
    2e-5 /* at most; and, times directions of at most 1, far below the distance of the inputs from each other and from \
            the kinks */

enum { MAX_INPUTS = 16 };

/* L = Σ r·y over all results, for random r: its derivative by the inputs is what the rule gives for dy = r. */
struct gradient {
    struct opcase *c;
    struct node *forward[2]; /* the operator, after bn_stats where that makes its operands */
    int nforward;
    struct value *dy[MAX_OUTS], *dx[MAX_INPUTS];
    bool need[MAX_INPUTS];
    struct eval *e;
};

static bool continuous(const struct value *v) { return v && v->type.dtype == DT_F32; }

/* bn_apply's rule is that of the whole batch normalisation: its mean and variance are those of x. */
static void join_statistics(struct gradient *g)
{
    struct node *n = g->c->node;
    if (strcmp(g->c->op->name, "bn_apply") == 0) {
        struct node *stats = op_build(g->c->graph, n, "bn_stats", n->in, 1);
        n->in[1] = stats->out[0];
        n->in[2] = stats->out[1];
        g->forward[g->nforward++] = stats;
    }
    g->forward[g->nforward++] = n;
}

static void build_gradient(struct gradient *g)
{
    struct opcase *c = g->c;
    struct value *dy[MAX_OUTS] = {NULL};
    join_statistics(g);
    for (int i = 0; i < c->node->nout; i++) {
        const struct value *y = c->node->out[i];
        if (!continuous(y)) continue;
        g->dy[i] = dy[i] = graph_arg(c->graph, VALUE_INPUT, arena_printf(c->arena, "dy%d", i), y->type);
    }
    for (int i = 0; i < c->node->nin; i++) {
        const struct value *v = c->node->in[i];
        g->need[i] = continuous(v) && v->kind != VALUE_TARGET && v->kind != VALUE_NODE;
    }
    c->op->grad(&(struct grad_call){.graph = c->graph, .node = c->node, .dy = dy, .need = g->need, .dx = g->dx});
}

static void run_forward(struct gradient *g)
{
    for (int i = 0; i < g->nforward; i++) eval_node(g->e, g->forward[i]);
}

/* L at input + T·DIRECTION. */
static double loss_at(struct gradient *g, double *input, const double *at, const double *direction, int64_t count,
                      double t)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) input[i] = at[i] + t * direction[i];
    run_forward(g);
    for (int k = 0; k < g->c->node->nout; k++) {
        if (!g->dy[k]) continue;
        const double *r = eval_data(g->e, g->dy[k]), *y = eval_data(g->e, g->c->node->out[k]);
        for (int64_t i = 0; i < type_elements(&g->dy[k]->type); i++) sum += r[i] * y[i];
    }
    return sum;
}

/* Central differences of fourth order. */
static double difference(struct gradient *g, double *input, const double *at, const double *direction, int64_t count)
{
    double h = fmin(STEP, 0.02 * (g->c->high - g->c->low) / (double)count);
    double near = loss_at(g, input, at, direction, count, h) - loss_at(g, input, at, direction, count, -h);
    double far = loss_at(g, input, at, direction, count, 2 * h) - loss_at(g, input, at, direction, count, -2 * h);
    memcpy(input, at, (size_t)count * sizeof *input);
    return (8 * near - far) / (12 * h);
}

/* The difference relative to what the derivative along DIRECTION typically is. */
static const char *compare(struct gradient *g, int k, double numeric, double analytic, double scale)
{
    double error = fabs(numeric - analytic) / fmax(fmax(fabs(numeric), scale), 1e-3);
    if (error <= TOLERANCE) return NULL;
    return arena_printf(g->c->arena,
                        "derivative by %s: the rule gives %.9g, finite differences %.9g (relative error %.2g)",
                        g->c->node->in[k]->name, analytic, numeric, error);
}

static const char *check_input(struct gradient *g, int k, int ndirections, int nelements)
{
    const struct value *v = g->c->node->in[k];
    int64_t count = type_elements(&v->type);
    double *input = eval_data(g->e, v), *dx = eval_data(g->e, g->dx[k]), norm = 0, most = 0;
    double *at = ARENA_ARRAY(g->c->arena, double, count), *direction = ARENA_ARRAY(g->c->arena, double, count);
    uint64_t state = random_seed(g->c->text, "direction");
    const char *error = NULL;
    memcpy(at, input, (size_t)count * sizeof *at);
    for (int64_t i = 0; i < count; i++) {
        norm += dx[i] * dx[i];
        most = fmax(most, fabs(dx[i]));
    }
    for (int d = 0; d < ndirections && !error; d++) {
        double analytic = 0;
        for (int64_t i = 0; i < count; i++) {
            direction[i] = random_next(&state) < 0.5 ? -1 : 1;
            analytic += direction[i] * dx[i];
        }
        error = compare(g, k, difference(g, input, at, direction, count), analytic, sqrt(norm));
    }
    memset(direction, 0, (size_t)count * sizeof *direction);
    for (int d = 0; d < nelements && !error; d++) {
        int64_t i = (int64_t)(random_next(&state) * (double)count);
        direction[i] = 1;
        error = compare(g, k, difference(g, input, at, direction, count), dx[i], most);
        direction[i] = 0;
    }
    return error;
}

static const char *check_inputs(struct gradient *g)
{
    const struct node *n = g->c->node;
    bool large = op_macs(n) > 200000;
    for (int k = 0; k < n->nin; k++) {
        if (!g->need[k]) continue;
        if (!g->dx[k]) return arena_printf(g->c->arena, "the rule gives no gradient of %s", n->in[k]->name);
        if (!type_same_shape(&g->dx[k]->type, &n->in[k]->type))
            return arena_printf(g->c->arena, "the gradient of %s has another shape", n->in[k]->name);
        const char *error = check_input(g, k, large ? 1 : 3, large ? 2 : 5);
        if (error) return error;
    }
    return NULL;
}

const char *gradient_check(struct arena *a, const struct op_def *op, const char *text)
{
    struct gradient g = {.c = opcase_new(a, op, text)};
    if (g.c->error) return g.c->error;
    if (!op->grad) return NULL;
    build_gradient(&g);
    g.e = eval_new(g.c->graph, (struct ref_run){.n = g.c->batch, .lr = 0.1, .step = 3, .seed = 7});
    opcase_fill(g.c, g.e);
    uint64_t state = random_seed(text, "projection");
    for (int k = 0; k < MAX_OUTS && op->class_ != OP_LOSS; k++)
        if (g.dy[k]) random_distinct(eval_data(g.e, g.dy[k]), type_elements(&g.dy[k]->type), -1, 1, &state);
    if (op->class_ == OP_LOSS)
        *eval_data(g.e, g.dy[0]) = 1; /* a loss is what is minimised: its rule takes no other dy */
    eval_run(g.e, false);
    const char *error = check_inputs(&g);
    eval_free(g.e);
    return error;
}
