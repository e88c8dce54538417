/* test_diff.c: whole small networks, compiled against the reference interpreter, value by value, from the root of the
   repository:

       build/tests/diff/test_diff [NET[/MODE]]…     the networks of tests/diff/nets and shipped specs in small; -v names
   every test; --ir prints the graph;
                                                   --cpu=x86-64-v3 compiles for AVX2, --lanes=4 for vectors as NEON has

   Modes: infer (all passes, folding included), sgd, winograd and adam (one whole training step: gradients of
   everything, new state), each at several batch sizes and with batches that are not full; infer.bf16 and sgd.bf16:
   activations stored as bf16. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "elaborate/elaborate.h"
#include "gen/gen.h"
#include "ir/text.h"
#include "pass/pass.h"
#include "tests/support/compiled.h"
#include "tests/support/opcase.h"
#include "tests/support/choice.h"
#include "tests/support/printed.h"

struct mode {
    const char *name;
    int64_t batch, n[2];
    int nruns;
    const char *optimizer, *settings; /* NULL: inference */
    bool bf16;
    int winograd;
};
#define SGD "weight_decay=0.01 nesterov=1"
static const struct mode modes[] = {
    {"infer", 3, {3, 2}, 2, NULL, "", false, 0},
    {"infer1", 1, {1}, 1, NULL, "", false, 0},
    {"sgd", 4, {4, 3}, 2, "sgd", SGD, false, 0},
    {"winograd", 4, {4, 3}, 2, "sgd", SGD, false, 4}, /* wherever it is legal, with the prologues that follow from it */
    {"adam", 9, {9, 2}, 2, "adamw", "", false, 0},
};
static const struct mode bf16_modes[] = {
    {"infer.bf16", 3, {3, 2}, 2, NULL, "", true, 0},
    {"sgd.bf16", 9, {9, 7}, 2, "sgd", SGD, true, 0},
};
enum { NMODES = sizeof modes / sizeof modes[0], NBF16 = sizeof bf16_modes / sizeof bf16_modes[0] };
/* What rounding does to a result in one order of sums and in another may differ so much: see compare_rounded. */
#define ROUNDING_FACTOR 4

/* A spec by path or name, with parameters that make it small. */
struct net {
    const char *path;
    struct override params[3];
    int nparams;
    int nmodes;
    double slack; /* the first modes only (0: all); times what rounding may be (0: 1) */
};
static const struct net shipped[] = {
    {"resnet20", {{"n", "1"}, {"size", "16"}, {"classes", "10"}}, 3, 5, 1},
    {"resnet18", {{"width", "8"}, {"size", "64"}, {"classes", "10"}}, 3, 4, 2},
    {"resnet50",
     {{"width", "4"}, {"size", "64"}, {"stride_on", "conv1"}},
     3,
     2,
     1}, /* its gradients: tests/vectors, on a batch that rounding does less harm to */
    {"unet", {{"width", "6"}, {"size", "32"}, {"classes", "3"}}, 3, 4, 2},
    {"unet",
     {{"width", "16"}, {"size", "32"}, {"classes", "3"}},
     3,
     2,
     1}, /* concats that are read in place; its gradients: nets/skips.yaml, without kinks */
};
enum { NSHIPPED = sizeof shipped / sizeof shipped[0] };

struct testing {
    struct arena *arena;
    const char *program;
    const struct target *target;
    bool verbose, ir;
    int passed, failed;
};

/* ---- numbers for a network */

/* The number of classes that a target's labels name, from the loss that reads them. */
static int64_t classes_of(const struct graph *g, const struct value *target)
{
    GRAPH_EACH(g, n)
    for (int i = 1; i < n->nin; i++)
        if (n->in[i] == target) return n->in[0]->type.dim[1];
    return 1;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Weights of He's variance; scales and variances about 1; everything else about 0. */
static void range_of(const struct value *v, double *low, double *high)
{
    *low = -0.25;
    *high = 0.25;
    if (v->kind == VALUE_INPUT) {
        *low = -2;
        *high = 2;
    } else if (v->kind == VALUE_TARGET || strncmp(v->name, "optim.exp_avg_sq.", 17) == 0) {
        *low = 0.05;
        *high = 0.95;
    } else if (ends_with(v->name, "running_var") ||
               (v->type.rank == 1 && v->kind == VALUE_PARAM && ends_with(v->name, "weight"))) {
        *low = 0.5;
        *high = 1.5;
    } else if (v->kind == VALUE_PARAM && v->type.rank > 1) {
        *high = sqrt(6.0 / (double)(type_elements(&v->type) / v->type.dim[0]));
        *low = -*high;
    }
}

static void fill(const void *ctx, struct eval *e)
{
    const struct graph *g = ctx;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_NODE || v->kind == VALUE_COUNTER) continue;
        uint64_t state = random_seed(g->name, v->name);
        double low, high, *data = eval_data(e, v);
        int64_t count = type_elements(&v->type), classes = v->type.dtype == DT_I64 ? classes_of(g, v) : 0;
        range_of(v, &low, &high);
        if (!classes) random_distinct(data, count, low, high, &state);
        for (int64_t k = 0; classes && k < count; k++) data[k] = floor(random_next(&state) * (double)classes);
    }
}

/* ---- one network in one mode */

static bool differentiate(struct graph *g, struct diags *d, const struct testing *t, const struct mode *m)
{
    struct pass_context c = {.arena = g->arena,
                             .diags = d,
                             .target = *t->target,
                             .verify = true,
                             .train = {.grad_outputs = true,
                                       .input_grads = true,
                                       .optimizer = choice_of(&rnc_optimizers, m->optimizer, m->settings)}};
    return pass_run(g, &c, "autodiff");
}

static void print_graph(struct graph *g)
{
    struct buf b;
    buf_init(&b, g->arena);
    graph_print(g, &b);
    puts(b.data);
}

static const char *test(const struct testing *t, struct arena *a, const struct net *net, const struct mode *m)
{
    static const char *const done[] = {"autodiff", NULL};
    struct diags *d = diags_new(a);
    struct spec *s = spec_load(a, d, net->path, &(struct spec_options){.params = net->params, .nparams = net->nparams});
    bool train = m->optimizer != NULL;
    struct graph *g = s ? build_graph(a, d, s, &(struct build_options){.batch = m->batch, .losses = train}) : NULL;
    if (!g || (train && !differentiate(g, d, t, m))) return printed_diagnostics(a, d, false);
    if (t->ir) print_graph(g);
    double slack = net->slack > 0 ? net->slack : 1;
    struct ref_run runs[2];
    for (int i = 0; i < m->nruns; i++) runs[i] = (struct ref_run){.n = m->n[i], .lr = 0.01, .step = 3 - i, .seed = 11};
    struct comparison_plan plan = {
        .graph = g,
        .passes = passes_without(a, train ? pass_pipeline_train : pass_pipeline_infer, done),
        .target = t->target,
        .winograd = m->winograd,
        .runs = runs,
        .nruns = m->nruns,
        .fill = fill,
        .ctx = g,
        .tolerance = train ? slack * 2e-5 : 1e-5,
        .value_tolerance = slack * 2e-5,
    };
    if (m->bf16) {
        plan.dtype = DT_BF16;
        plan.tolerance = ROUNDING_FACTOR;
        plan.value_tolerance = 0;
    }
    return compare_compiled(a, &plan);
}

/* ---- all of them, each in a process of its own */

static const char *base_name(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
    return arena_strndup(a, start, strcspn(start, "."));
}

static int test_in_child(const struct testing *t, const struct net *net, const struct mode *m)
{
    struct arena *a = arena_new();
    const char *name = base_name(a, net->path), *error = test(t, a, net, m);
    if (error) printf("FAIL %s/%s\n     %s\n     alone: %s %s/%s\n", name, m->name, error, t->program, name, m->name);
    else if (t->verbose) printf("ok   %s/%s\n", name, m->name);
    arena_free(a);
    fflush(stdout);
    return error != NULL;
}

static void run(struct testing *t, const struct net *net, const struct mode *m)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) exit(test_in_child(t, net, m));
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        t->passed += WEXITSTATUS(status) == 0;
        t->failed += WEXITSTATUS(status) == 1;
        return;
    }
    t->failed++;
    printf("FAIL %s in mode %s: the process died\n", net->path, m->name);
}

static bool wanted(const char *net, const struct mode *m, int argc, char **argv)
{
    bool any = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        size_t n = strcspn(argv[i], "/");
        any = true;
        if (strlen(net) == n && strncmp(argv[i], net, n) == 0 && (!argv[i][n] || strcmp(argv[i] + n + 1, m->name) == 0))
            return true;
    }
    return !any;
}

static void run_modes(struct testing *t, const struct net *net, int argc, char **argv)
{
    for (int k = 0; k < (net->nmodes ? net->nmodes : NMODES); k++)
        if (wanted(base_name(t->arena, net->path), &modes[k], argc, argv)) run(t, net, &modes[k]);
    bool inference = net->nmodes && !modes[net->nmodes - 1].optimizer; /* whose gradients no rounding leaves alone */
    for (int k = 0; k < NBF16 - inference; k++)
        if (wanted(base_name(t->arena, net->path), &bf16_modes[k], argc, argv)) run(t, net, &bf16_modes[k]);
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    struct testing t = {.arena = a, .program = argv[0], .target = &target};
    glob_t nets;
    target_host(&target);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strchr(argv[i], '=') && !target_option(&target, argv[i])) {
            fprintf(stderr, "%s: '%s' names no CPU or width that is known\n", argv[0], argv[i]);
            return 2;
        }
    if (!gen_target_init(&target, d)) {
        diags_print(d, stderr, false);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        t.verbose |= strcmp(argv[i], "-v") == 0;
        t.ir |= strcmp(argv[i], "--ir") == 0;
    }
    if (glob("tests/diff/nets/*.yaml", 0, NULL, &nets) != 0) {
        fprintf(stderr, "%s: run this from the root of the repository\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < nets.gl_pathc; i++) run_modes(&t, &(struct net){.path = nets.gl_pathv[i]}, argc, argv);
    for (int i = 0; i < NSHIPPED; i++) run_modes(&t, &shipped[i], argc, argv);
    globfree(&nets);
    printf("%d passed, %d failed\n", t.passed, t.failed);
    arena_free(a);
    return t.failed != 0;
}
