/* test_random.c: random graphs, compiled with every pass, against the reference interpreter: forward and whole training
   steps, on several numbers of threads, partial batches, all memory guarded. What no list of networks thinks of.

       build/tests/random/test_random [SEED [COUNT]]     COUNT graphs from SEED on; --ir prints each; --cpu=x86-64-v3,
   --lanes=4: for others

   A random graph may be ill-conditioned (a batch norm over two values, a sum whose terms cancel). So each is first
   evaluated twice by the reference, the second time with every value rounded to single precision; what that changes,
   times a factor, is what the compiled code may differ by. Where it is too much the graph says nothing and is passed
   over. Then once more, activations stored as bf16: there the two may round an element to either side of a kink (of a
   relu6), and its whole gradient is the difference. That happens with some numbers; a fault shows with others, too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "gen/gen.h"
#include "ir/text.h"
#include "pass/pass.h"
#include "tests/support/compiled.h"
#include "tests/support/random_graph.h"
#include "tests/support/choice.h"

enum { FIRST_SEED = 1, COUNT = 90 };

static const double tolerance = 2e-5, most_ill = 5e-6, factor = 30, bf16_factor = 4;

struct numbers {
    const struct graph *graph;
    uint64_t seed;
};

static void round_to_float(struct eval *e, const struct value *v)
{
    double *data = eval_data(e, v);
    for (int64_t j = 0; j < type_elements(&v->type) && v->type.dtype == DT_F32; j++) data[j] = (double)(float)data[j];
}

static void fill(const void *ctx, struct eval *e)
{
    const struct numbers *k = ctx;
    random_fill(e, k->graph, k->seed);
    for (int i = 0; i < k->graph->nvalues; i++)
        if (k->graph->values[i]->kind != VALUE_NODE) round_to_float(e, k->graph->values[i]);
}

/* |a - b| / |b| of one value. What is nearly nothing (the far tail of a gelu) says nothing either. */
static double change(struct eval *a, struct eval *b, const struct value *v)
{
    const double *x = eval_data(a, v), *y = eval_data(b, v);
    double distance = 0, norm = 0;
    for (int64_t i = 0; i < type_elements(&v->type); i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) return INFINITY;
        distance += (x[i] - y[i]) * (x[i] - y[i]);
        norm += y[i] * y[i];
    }
    if (norm == 0 && distance == 0) return 0;
    return norm > 1e-20 ? sqrt(distance / norm) : INFINITY;
}

/* The far tail of a gelu: there 1 + erf(x) is a difference of nearly equal numbers, in single precision anybody's. */
static bool in_the_tail(struct eval *e, const struct node *n)
{
    if (strncmp(n->op->name, "gelu", 4) != 0) return false;
    const double *y = eval_data(e, n->out[0]);
    double norm = 0;
    for (int64_t i = 0; i < type_elements(&n->out[0]->type); i++) norm += y[i] * y[i];
    return norm < 1e-4 * (double)type_elements(&n->out[0]->type);
}

/* Batch norm over values that are all the same: what it makes of them is their rounding alone, and in bf16 the kernels
   take the mean before the values are rounded, the reference after. */
static bool without_variance(struct eval *e, const struct node *n)
{
    if (strcmp(n->op->name, "bn_stats") != 0) return false;
    const double *mean = eval_data(e, n->out[0]), *var = eval_data(e, n->out[1]);
    for (int64_t c = 0; c < n->out[0]->type.dim[0]; c++)
        if (var[c] < 1e-6 * mean[c] * mean[c]) return true;
    return false;
}

/* How much the values move when each is rounded. */
static double condition(const struct graph *g, uint64_t seed, const struct ref_run *run)
{
    struct eval *exact = eval_new(g, *run), *rounded = eval_new(g, *run);
    double most = 0;
    fill(&(struct numbers){g, seed}, exact);
    fill(&(struct numbers){g, seed}, rounded);
    GRAPH_EACH(g, n)
    {
        eval_node(exact, n);
        eval_node(rounded, n);
        if (in_the_tail(exact, n) || without_variance(exact, n)) most = INFINITY;
        for (int i = 0; i < n->nout; i++) {
            round_to_float(rounded, n->out[i]);
            most = fmax(most, change(rounded, exact, n->out[i]));
        }
    }
    eval_free(exact);
    eval_free(rounded);
    return most;
}

static bool differentiate(struct graph *g, struct diags *d, const struct target *target, uint64_t seed)
{
    struct pass_context c = {.arena = g->arena,
                             .diags = d,
                             .target = *target,
                             .verify = true,
                             .train = {.grad_outputs = true, .input_grads = true}};
    if (seed % 4 == 1) c.train.optimizer = choice_of(&rnc_optimizers, "sgd", "weight_decay=0.01");
    return pass_run(g, &c, "autodiff");
}

static bool has_params(const struct graph *g)
{
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_PARAM) return true;
    return false;
}

enum outcome { PASSED, FAILED, PASSED_OVER };

/* The same with activations stored as bf16. What differs with the plan's numbers is a fault if it does with one of two
   other sets. */
static const char *compare_narrow(struct arena *a, const struct comparison_plan *plan)
{
    struct comparison_plan narrow = *plan;
    narrow.dtype = DT_BF16;
    narrow.tolerance = bf16_factor;
    narrow.value_tolerance = 0;
    if (!compare_compiled(a, &narrow)) return NULL;
    struct numbers other = *(const struct numbers *)plan->ctx;
    const char *error = NULL;
    narrow.ctx = &other;
    for (int k = 0; k < 2 && !error; k++) {
        other.seed += 1000;
        error = compare_compiled(a, &narrow);
    }
    return error;
}

static enum outcome test(struct arena *a, const struct target *target, uint64_t seed, bool ir)
{
    static const char *const done[] = {"autodiff", NULL};
    struct random r = {seed};
    const bool train = seed % 2;
    const int64_t batch = random_int(&r, 2, 5);
    struct diags *d = diags_new(a);
    struct graph *g = random_graph(a, seed, (int)random_int(&r, 2, 14), batch, train);
    if (train && !has_params(g)) return PASSED_OVER;
    if (train && !differentiate(g, d, target, seed)) {
        diags_print(d, stdout, false);
        return FAILED;
    }
    struct buf text;
    buf_init(&text, a);
    graph_print(g, &text);
    if (ir) puts(text.data);
    const struct ref_run runs[] = {{.n = batch, .lr = 0.01, .step = 1},
                                   {.n = random_int(&r, 2, batch), .lr = 0.01, .step = 2}};
    const double ill = fmax(condition(g, seed, &runs[0]), condition(g, seed, &runs[1]));
    if (!(ill < most_ill)) return PASSED_OVER;
    const struct numbers numbers = {g, seed};
    const struct comparison_plan plan = {
        .graph = g,
        .passes = passes_without(a, train ? pass_pipeline_train : pass_pipeline_infer, done),
        .target = target,
        .winograd = seed % 3 ? 0 : 4,
        .runs = runs,
        .nruns = 2,
        .fill = fill,
        .ctx = &numbers,
        .tolerance = fmax(tolerance, factor * ill),
        .value_tolerance = fmax(tolerance, factor * ill),
    };
    const char *error = compare_compiled(a, &plan);
    if (!error) error = compare_narrow(a, &plan);
    if (!error) return PASSED;
    printf("%s\n  (rounded to single precision the values change by %.1e)\n%s", error, ill, text.data);
    return FAILED;
}

static enum outcome test_isolated(const struct target *target, uint64_t seed, bool ir, const char *program)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        struct arena *a = arena_new();
        const enum outcome o = test(a, target, seed, ir);
        arena_free(a);
        fflush(stdout);
        exit((int)o);
    }
    int status = -1;
    if (child > 0) waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == PASSED) return PASSED;
    if (WIFEXITED(status) && WEXITSTATUS(status) == PASSED_OVER) return PASSED_OVER;
    printf("FAILED: seed %llu; alone: %s %llu\n", (unsigned long long)seed, program, (unsigned long long)seed);
    return FAILED;
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    bool ir = false;
    uint64_t numbers[2] = {FIRST_SEED, COUNT};
    int nnumbers = 0, count[3] = {0};
    target_host(&target);
    for (int i = 1; i < argc; i++) {
        if (target_option(&target, argv[i])) continue;
        if (strcmp(argv[i], "--ir") == 0) ir = true;
        else if (nnumbers < 2) numbers[nnumbers++] = strtoull(argv[i], NULL, 10);
    }
    if (nnumbers == 1) numbers[1] = 1;
    if (!gen_target_init(&target, d)) {
        diags_print(d, stderr, false);
        return 2;
    }
    arena_free(a); /* before the children start, which would not free it */
    for (uint64_t seed = numbers[0]; seed < numbers[0] + numbers[1]; seed++)
        count[test_isolated(&target, seed, ir, argv[0])]++;
    printf("%d graphs passed over\n%d passed, %d failed\n", count[PASSED_OVER], count[PASSED], count[FAILED]);
    return count[FAILED] != 0;
}
