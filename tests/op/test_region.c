/* test_region.c: graphs with regions, compiled, against the reference interpreter: every value inside and outside, on
   one, two and three threads, partial batches, all memory guarded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/support/compiled.h"
#include "gen/gen.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "pass/pass.h"

static struct target target;

/* Scores rise from 0 to 1 and fall again, so that chosen samples are no prefix; all else is between -1 and 1. */
static void fill(const void *ctx, struct eval *e)
{
    const struct graph *g = ctx;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_NODE) continue;
        double *data = eval_data(e, v);
        const bool score = strcmp(v->name, "score") == 0, variance = strcmp(v->name, "var") == 0;
        for (int64_t k = 0; k < type_elements(&v->type); k++)
            data[k] = score      ? (double)((k * 3 + 1) % 8) / 8
                      : variance ? 0.5 + (double)(k % 5) / 8
                                 : (double)((k * 7919 + i * 31) % 257 - 128) / 128;
    }
}

static struct graph *parsed(struct arena *a, const char *text)
{
    struct diags *d = diags_new(a);
    const struct source src = {"region.ir", text, strlen(text)};
    struct graph *g = graph_parse(a, d, &src);
    if (!g) {
        diags_print(d, stdout, false);
        fail_msg("the text cannot be read");
    }
    const char *problem = graph_verify(g);
    if (problem) fail_msg("%s", problem);
    return g;
}

/* The graph TEXT with its %g's, thresholds, replaced. */
static void check(const char *text, double threshold, double inner, int winograd)
{
    static const struct ref_run runs[] = {{.n = 8, .step = 1}, {.n = 5, .step = 1}, {.n = 1, .step = 1}};
    struct arena *a = arena_new();
    char full[8192];
    snprintf(full, sizeof full, text, threshold, inner);
    struct graph *g = parsed(a, full);
    const struct comparison_plan plan = {.graph = g,
                                         .passes = pass_pipeline_infer,
                                         .target = &target,
                                         .winograd = winograd,
                                         .runs = runs,
                                         .nruns = 3,
                                         .fill = fill,
                                         .ctx = g,
                                         .tolerance = 1e-5,
                                         .value_tolerance = 1e-5};
    const char *error = compare_compiled(a, &plan);
    if (error) fail_msg("thresholds %g and %g: %s", threshold, inner, error);
    arena_free(a);
}

/* 2: no sample; -1: all. */
static const double thresholds[] = {0.3, 0.7, 2, -1};

static const char subset[] = "graph @subset batch=8 {\n"
                             "  input %%x : f32[N=8,5,6,7]\n"
                             "  input %%score : f32[N=8,1]\n"
                             "  param %%w : f32[5,5,3,3]\n"
                             "  param %%weight : f32[5]\n"
                             "  param %%bias : f32[5]\n"
                             "  buffer %%mean : f32[5]\n"
                             "  buffer %%var : f32[5]\n"
                             "  %%count, %%index = select_samples(%%score) {threshold=%g} : i64[], i64[8]\n"
                             "  %%rows = region(_, %%count, %%index) {\n"
                             "    %%taken = gather_samples(%%x, %%index) : f32[N=8,5,6,7]\n"
                             "    %%conv = conv2d(%%taken, %%w) {pad=[1, 1, 1, 1]} : f32[N=8,5,6,7]\n"
                             "    %%norm = batch_norm(%%conv, %%weight, %%bias, %%mean, %%var) : f32[N=8,5,6,7]\n"
                             "    %%relu = relu(%%norm) : f32[N=8,5,6,7]\n"
                             "    yield %%relu\n"
                             "  } : f32[N=8,5,6,7]\n"
                             "  %%y = scatter_samples(%%x, %%rows, _, %%count, %%index) : f32[N=8,5,6,7]\n"
                             "  %%z = tanh(%%y) : f32[N=8,5,6,7]\n"
                             "  output \"y\" %%y\n"
                             "  output \"z\" %%z\n"
                             "}\n";

static void a_subset_of_the_samples(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++) check(subset, thresholds[k], 0, WINOGRAD_OFF);
}

/* Two results, one of them features; Winograd's convolutions with their workspaces; values that die inside. */
static const char wide[] = "graph @wide batch=8 {\n"
                           "  input %%x : f32[N=8,33,12,12]\n"
                           "  input %%score : f32[N=8,1]\n"
                           "  param %%w1 : f32[40,33,3,3]\n"
                           "  param %%w2 : f32[33,40,3,3]\n"
                           "  param %%w3 : f32[10,33]\n"
                           "  %%start = relu(%%x) : f32[N=8,33,12,12]\n"
                           "  %%features = global_avg_pool(%%start) : f32[N=8,33]\n"
                           "  %%before = dense(%%features, %%w3) : f32[N=8,10]\n"
                           "  %%count, %%index = select_samples(%%score) {threshold=%g, below=true} : i64[], i64[8]\n"
                           "  %%rows, %%logits = region(%%count, %%count, %%index) {\n"
                           "    %%taken = gather_samples(%%start, %%index) : f32[N=8,33,12,12]\n"
                           "    %%a = conv2d(%%taken, %%w1) {pad=[1, 1, 1, 1]} : f32[N=8,40,12,12]\n"
                           "    %%b = relu(%%a) : f32[N=8,40,12,12]\n"
                           "    %%c = conv2d(%%b, %%w2) {pad=[1, 1, 1, 1]} : f32[N=8,33,12,12]\n"
                           "    %%d = add(%%c, %%taken) : f32[N=8,33,12,12]\n"
                           "    %%e = global_avg_pool(%%d) : f32[N=8,33]\n"
                           "    %%f = dense(%%e, %%w3) : f32[N=8,10]\n"
                           "    yield %%d, %%f\n"
                           "  } : f32[N=8,33,12,12], f32[N=8,10]\n"
                           "  %%y = scatter_samples(%%start, %%rows, %%count, %%count, %%index) : f32[N=8,33,12,12]\n"
                           "  %%z = scatter_samples(%%before, %%logits, %%count, %%count, %%index) : f32[N=8,10]\n"
                           "  output \"y\" %%y\n"
                           "  output \"z\" %%z\n"
                           "}\n";

static void several_results_and_workspaces(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++) {
        check(wide, thresholds[k], 0, WINOGRAD_OFF);
        check(wide, thresholds[k], 0, 4);
    }
}

/* The whole batch or nothing: a condition alone. */
static const char batch[] =
    "graph @batch batch=8 {\n"
    "  input %%x : f32[N=8,20,5,5]\n"
    "  input %%score : f32[N=8,1]\n"
    "  param %%w : f32[20,20,1,1]\n"
    "  %%any, %%index = select_samples(%%score) {threshold=%g} : i64[], i64[8]\n"
    "  %%rows = region(%%any, _, _) {\n"
    "    %%conv = conv2d(%%x, %%w) : f32[N=8,20,5,5]\n"
    "    %%pool = max_pool(%%conv) {kernel=[3, 3], stride=[1, 1], pad=[1, 1, 1, 1]} : f32[N=8,20,5,5]\n"
    "    yield %%pool\n"
    "  } : f32[N=8,20,5,5]\n"
    "  %%y = scatter_samples(%%x, %%rows, %%any) : f32[N=8,20,5,5]\n"
    "  output \"y\" %%y\n"
    "}\n";

static void a_condition_for_the_whole_batch(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++) check(batch, thresholds[k], 0, WINOGRAD_OFF);
}

/* A second decision about those that the first one has chosen. */
static const char nested[] =
    "graph @nested batch=8 {\n"
    "  input %%x : f32[N=8,17,6,6]\n"
    "  input %%score : f32[N=8,1]\n"
    "  param %%w : f32[17,17,3,3]\n"
    "  %%count, %%index = select_samples(%%score) {threshold=%g} : i64[], i64[8]\n"
    "  %%rows = region(_, %%count, %%index) {\n"
    "    %%taken = gather_samples(%%x, %%index) : f32[N=8,17,6,6]\n"
    "    %%first = conv2d(%%taken, %%w) {pad=[1, 1, 1, 1]} : f32[N=8,17,6,6]\n"
    "    %%again = gather_samples(%%score, %%index) : f32[N=8,1]\n"
    "    %%count2, %%index2 = select_samples(%%again) {threshold=%g, below=true} : i64[], i64[8]\n"
    "    %%deeper = region(_, %%count2, %%index2) {\n"
    "      %%some = gather_samples(%%first, %%index2) : f32[N=8,17,6,6]\n"
    "      %%second = conv2d(%%some, %%w) {pad=[1, 1, 1, 1]} : f32[N=8,17,6,6]\n"
    "      %%third = sigmoid(%%second) : f32[N=8,17,6,6]\n"
    "      yield %%third\n"
    "    } : f32[N=8,17,6,6]\n"
    "    %%joined = scatter_samples(%%first, %%deeper, _, %%count2, %%index2) : f32[N=8,17,6,6]\n"
    "    yield %%joined\n"
    "  } : f32[N=8,17,6,6]\n"
    "  %%y = scatter_samples(%%x, %%rows, _, %%count, %%index) : f32[N=8,17,6,6]\n"
    "  output \"y\" %%y\n"
    "}\n";

static void regions_in_regions(void **state)
{
    (void)state;
    check(nested, 0.3, 0.8, WINOGRAD_OFF);
    check(nested, 0.3, -1, WINOGRAD_OFF);
    check(nested, -1, 2, WINOGRAD_OFF);
    check(nested, 2, 2, WINOGRAD_OFF);
}

/* ---- the walk */

static void the_walk_goes_both_ways(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char full[8192], forward[16] = {0}, backward[16] = {0};
    snprintf(full, sizeof full, nested, 0.0, 0.0);
    struct graph *g = graph_clone(a, parsed(a, full));
    assert_null(graph_verify(g));
    GRAPH_EACH(g, n) forward[strlen(forward)] = n->out[0]->name[0];
    for (struct node *n = graph_last(g); n; n = graph_prev(n)) backward[strlen(backward)] = n->out[0]->name[0];
    assert_string_equal(forward, "ctfacsstdjry"); /* taken, first, again … deeper behind its own, rows behind all */
    for (size_t i = 0; i < strlen(forward); i++) assert_int_equal(forward[i], backward[strlen(forward) - 1 - i]);
    assert_int_equal(g->nnodes, (int)strlen(forward));
    g->noutputs = 0;
    assert_int_equal(graph_remove_dead(g), 12);
    assert_null(g->first);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_walk_goes_both_ways),
        cmocka_unit_test(a_subset_of_the_samples),
        cmocka_unit_test(a_condition_for_the_whole_batch),
        cmocka_unit_test(several_results_and_workspaces),
        cmocka_unit_test(regions_in_regions),
    };
    struct arena *a = arena_new();
    target_host(&target);
    if (!gen_target_init(&target, diags_new(a))) return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(a);
    return failed;
}
