/* test_accuracy.c: what Winograd's algorithms cost in accuracy, layer by layer, from the root of the repository:

       build/tests/shapes/test_accuracy [WORD]…     -v prints every measured error; only cases whose name contains a
   WORD

   Every number of channels that a stride-1 3×3 convolution of a shipped spec at its full width sums over, at 13×13
   pixels and for at most 64 channels that are not summed over (neither has a part in the error; tiles are cut off at
   the edges), in all three directions through each algorithm of the operator's attribute, against the reference in
   double precision. Inputs are normal numbers behind a ReLU, weights He's. The budget is the design's: the error's rms
   by the result's. For whole networks: tests/shapes/run.sh. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "driver/driver.h"
#include "kernel/accuracy.h"
#include "ir/op.h"
#include "pass/algorithm/algorithm.h"
#include "tests/support/compiled.h"
#include "tests/support/opcase.h"

/* An algorithm without a row has the last's. */
static const struct {
    const char *algorithm;
    double budget;
} budgets[] = {{"direct", 3e-6}, {"winograd2", 3e-6}, {"winograd4", 3e-6}, {"winograd5", 3e-6}, {"winograd6", 1e-5}};
enum { SIZE = 13, MAX_LAYERS = 256 };

struct layer {
    int64_t in, out;
    const char *first; /* "resnet18 layer1.0.conv1" */
};
struct testing {
    struct arena *arena;
    const char *program;
    struct target target;
    struct layer layer[MAX_LAYERS];
    int nlayers, passed, failed;
    bool verbose;
};

/* ---- the layers of the shipped specs */

static bool is_candidate(const struct node *n)
{
    if (strcmp(n->op->name, "conv2d") != 0) return false;
    const struct type *w = &n->in[1]->type;
    const int64_t *stride = node_ints(n, "stride"), *dilation = node_ints(n, "dilation");
    return w->dim[2] == 3 && w->dim[3] == 3 && stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 &&
           dilation[1] == 1 && node_int(n, "groups") == 1;
}

static void add_layer(struct testing *t, const char *spec, const struct node *n)
{
    const struct type *w = &n->in[1]->type;
    for (int i = 0; i < t->nlayers; i++)
        if (t->layer[i].in == w->dim[1] && t->layer[i].out == w->dim[0]) return;
    if (t->nlayers < MAX_LAYERS)
        t->layer[t->nlayers++] =
            (struct layer){w->dim[1], w->dim[0],
                           arena_printf(t->arena, "%s %s", spec, n->layer ? n->layer : n->out[0]->name)};
}

static bool add_spec(struct testing *t, const char *path)
{
    struct driver *d = driver_new();
    const struct spec *s = driver_load(d, path, NULL);
    const struct graph *g = s ? driver_elaborate(d, s, &(struct model_options){.batch = 1}) : NULL;
    if (!g) diags_print(d->diags, stdout, false);
    if (g) GRAPH_EACH(g, n) if (is_candidate(n)) add_layer(t, g->name, n);
    driver_free(d);
    return g != NULL;
}

static bool add_shipped(struct testing *t)
{
    glob_t specs;
    bool ok = glob("specs/*.yaml", 0, NULL, &specs) == 0;
    for (size_t i = 0; ok && i < specs.gl_pathc; i++) ok = add_spec(t, specs.gl_pathv[i]);
    globfree(&specs);
    return ok && t->nlayers > 0;
}

/* ---- numbers */

static double normal(uint64_t *state)
{
    const double u = 1 - random_next(state), v = random_next(state);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* The arguments of one layer in one direction: made once, handed out whenever a run asks. */
struct numbers {
    const struct node *node;
    double *data[2];
};

static double *make_numbers(struct arena *a, const struct value *v)
{
    const int64_t count = type_elements(&v->type);
    double *x = ARENA_ARRAY(a, double, count);
    uint64_t state = random_seed(v->name, NULL);
    const bool weight = v->kind == VALUE_PARAM;
    const double deviation = weight ? sqrt(2.0 / (9.0 * (double)v->type.dim[1])) : 1;
    for (int64_t i = 0; i < count; i++) {
        const double y = deviation * normal(&state);
        x[i] = weight || y > 0 ? (double)(float)y : 0;
    }
    return x;
}

static void fill(const void *ctx, struct eval *e)
{
    const struct numbers *n = ctx;
    for (int i = 0; i < 2; i++)
        memcpy(eval_data(e, n->node->in[i]), n->data[i], (size_t)type_elements(&n->node->in[i]->type) * sizeof(double));
}

/* ---- one layer in one direction through each algorithm */

static const struct {
    const char *name, *op;
} directions[] = {{"forward", "conv2d"}, {"dgrad", "conv2d_dgrad"}, {"wgrad", "conv2d_wgrad"}};
enum { NDIRECTIONS = sizeof directions / sizeof directions[0] };

static const char *direction_text(struct arena *a, int direction, const struct layer *l)
{
    const char *x = arena_printf(a, "1,%lld,%d,%d", (long long)l->in, SIZE, SIZE),
               *y = arena_printf(a, "1,%lld,%d,%d", (long long)l->out, SIZE, SIZE);
    const char *w = arena_printf(a, "%lld,%lld,3,3 pad=1,1,1,1", (long long)l->out, (long long)l->in);
    if (direction == 0) return arena_printf(a, "x=%s weight=%s", x, w);
    if (direction == 1) return arena_printf(a, "dy=%s weight=%s size=%d,%d", y, w, SIZE, SIZE);
    return arena_printf(a, "x=%s dy=%s kernel=3,3 pad=1,1,1,1", x, y);
}

/* The design's budget of a layer. */
static double limit_of(const char *algorithm)
{
    const size_t last = sizeof budgets / sizeof budgets[0] - 1;
    size_t i = 0;
    while (i < last && strcmp(budgets[i].algorithm, algorithm) != 0) i++;
    return budgets[i].budget;
}

static void run_algorithm(struct testing *t, const char *name, const struct opcase *c, const struct numbers *numbers,
                          int algorithm)
{
    static const char *const left_out[] = {"simplify", "fold", "algorithm", NULL};
    struct arena *a = arena_new();
    const int k = op_attr_index(c->op, "algorithm");
    const char *algorithm_name = c->op->attrs[k].choices[algorithm];
    const struct ref_run run = {.n = 1, .step = 1, .threads = 2};
    c->node->attr[k].i = algorithm;
    if (t->verbose) fprintf(stderr, "%-48s %-10s", name, algorithm_name);
    const char *error =
        compare_compiled(a, &(struct comparison_plan){.graph = c->graph,
                                                      .passes = passes_without(a, pass_pipeline_infer, left_out),
                                                      .target = &t->target,
                                                      .runs = &run,
                                                      .nruns = 1,
                                                      .fill = fill,
                                                      .ctx = numbers,
                                                      .tolerance = limit_of(algorithm_name)});
    if (error) printf("FAIL %s %s\n     %s\n     alone: %s -v '%s'\n", name, algorithm_name, error, t->program, name);
    t->failed += error != NULL;
    t->passed += error == NULL;
    arena_free(a);
}

static int64_t at_most_64(int64_t x) { return x < 64 ? x : 64; }

/* Layer I with the channels cut that DIRECTION does not sum over. */
static struct layer cut(const struct testing *t, int i, int direction)
{
    struct layer l = t->layer[i];
    if (direction != 0) l.in = at_most_64(l.in);
    if (direction != 1) l.out = at_most_64(l.out);
    return l;
}

static bool is_repeated(const struct testing *t, int i, int direction)
{
    const struct layer l = cut(t, i, direction);
    for (int k = 0; k < i; k++) {
        const struct layer x = cut(t, k, direction);
        if (x.in == l.in && x.out == l.out) return true;
    }
    return false;
}

static void run_layer(struct testing *t, const struct layer *l, int direction)
{
    struct arena *a = arena_new();
    struct opcase *c = opcase_new(a, op_find(directions[direction].op), direction_text(a, direction, l));
    const char *name =
        arena_printf(a, "%lldx%lld %s (%s)", (long long)l->in, (long long)l->out, directions[direction].name, l->first);
    if (c->error) {
        t->failed++;
        printf("FAIL %s: %s\n", name, c->error);
    } else {
        const struct numbers numbers = {c->node, {make_numbers(a, c->node->in[0]), make_numbers(a, c->node->in[1])}};
        const char *const *choices = c->op->attrs[op_attr_index(c->op, "algorithm")].choices;
        for (int i = 1; choices[i]; i++) run_algorithm(t, name, c, &numbers, i);
    }
    arena_free(a);
}

static bool wanted(const struct testing *t, const struct layer *l, int direction, int argc, char **argv)
{
    bool any = false, match = false;
    const char *name = arena_printf(t->arena, "%lldx%lld %s (%s)", (long long)l->in, (long long)l->out,
                                    directions[direction].name, l->first);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        any = true;
        match |= strstr(name, argv[i]) != NULL;
    }
    return match || !any;
}

int main(int argc, char **argv)
{
    struct testing t = {.arena = arena_new(), .program = argv[0]};
    struct diags *d = diags_new(t.arena);
    target_host(&t.target);
    if (!gen_target_init(&t.target, d) || !add_shipped(&t)) {
        diags_print(d, stderr, false);
        fprintf(stderr, "%s: run this from the root of the repository\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) t.verbose |= strcmp(argv[i], "-v") == 0;
    if (t.verbose) setenv("TEST_ERRORS", "1", 1);
    for (int i = 0; i < t.nlayers; i++)
        for (int k = 0; k < NDIRECTIONS; k++) {
            const struct layer l = cut(&t, i, k);
            if (!is_repeated(&t, i, k) && wanted(&t, &l, k, argc, argv)) run_layer(&t, &l, k);
        }
    printf("%d passed, %d failed\n", t.passed, t.failed);
    arena_free(t.arena);
    return t.failed != 0 || t.passed == 0;
}
