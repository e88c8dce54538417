/* test_passes.c: over random graphs, every pass keeps the graph sound, printable and meaning what it meant: the
   reference interpreter, in double precision, gives the same outputs and the same new state after it as before. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ir/text.h"
#include "ir/verify.h"
#include "pass/passes.h"
#include "tests/support/random_graph.h"
#include "tests/support/choice.h"

static const char *text_of(struct arena *a, const struct graph *g)
{
    struct buf b;
    buf_init(&b, a);
    graph_print(g, &b);
    return b.data;
}

/* What a run leaves: outputs, then new states, one after the other, by name. */
struct result {
    int count;
    const char **name;
    double **data;
    int64_t *size;
};

static void keep(struct arena *a, struct result *r, struct eval *e, const char *name, const struct value *v, int64_t n)
{
    int64_t size = type_elements(&v->type);
    if (v->type.batched) size = size / v->type.dim[0] * n; /* the real samples */
    r->name[r->count] = name;
    r->size[r->count] = size;
    r->data[r->count] = ARENA_ARRAY(a, double, size + 1);
    memcpy(r->data[r->count++], eval_data(e, v), (size_t)size * sizeof(double));
}

static struct result meaning(struct arena *a, const struct graph *g, uint64_t seed, int64_t n)
{
    const int most = g->noutputs + g->nupdates + 1;
    struct result r = {0, ARENA_ARRAY(a, const char *, most), ARENA_ARRAY(a, double *, most),
                       ARENA_ARRAY(a, int64_t, most)};
    struct eval *e = eval_new(g, (struct ref_run){.n = n, .lr = 0.1, .step = 1, .seed = seed});
    random_fill(e, g, seed);
    eval_run(e, false);
    for (int i = 0; i < g->noutputs; i++) keep(a, &r, e, g->outputs[i].label, g->outputs[i].value, n);
    for (int i = 0; i < g->nupdates; i++) keep(a, &r, e, g->updates[i].state->name, g->updates[i].value, n);
    eval_free(e);
    return r;
}

static int find(const struct result *r, const char *name, int64_t size)
{
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->name[i], name) == 0 && r->size[i] == size) return i;
    return -1;
}

/* |x - y| / |y|; equal infinities and NaNs are no difference (a random network may well overflow). */
static double difference(const double *x, const double *y, int64_t size)
{
    double distance = 0, norm = 0;
    for (int64_t i = 0; i < size; i++) {
        if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) continue;
        distance += (x[i] - y[i]) * (x[i] - y[i]);
    }
    for (int64_t i = 0; i < size; i++) norm += y[i] * y[i];
    return sqrt(distance / (norm > 0 ? norm : 1));
}

static void check_same(const struct result *before, const struct result *after, uint64_t seed, const char *pass,
                       const char *text)
{
    if (after->count != before->count)
        fail_msg("seed %d: %d results before %s, %d after", (int)seed, before->count, pass, after->count);
    for (int i = 0; i < before->count; i++) {
        const int k = find(after, before->name[i], before->size[i]);
        if (k < 0) fail_msg("seed %d: after %s there is no %s", (int)seed, pass, before->name[i]);
        const double d = difference(after->data[k], before->data[i], before->size[i]);
        if (!(d <= 1e-9)) fail_msg("seed %d: %s changed %s by %g:\n%s", (int)seed, pass, before->name[i], d, text);
    }
}

static void check_text(struct arena *a, const struct graph *g, uint64_t seed, const char *pass)
{
    const char *text = text_of(a, g);
    struct source src = {.path = "random.ir", .text = text, .len = strlen(text)};
    struct diags *d = diags_new(a);
    const struct graph *again = graph_parse(a, d, &src);
    diags_print(d, stdout, false);
    if (!again) fail_msg("seed %d: after %s the text cannot be parsed:\n%s", (int)seed, pass, text);
    if (strcmp(text_of(a, again), text) != 0)
        fail_msg("seed %d: after %s the text does not round-trip:\n%s\n%s", (int)seed, pass, text, text_of(a, again));
}

static void check_passes(struct graph *g, struct pass_context *c, const char *const *passes, uint64_t seed, int64_t n)
{
    struct arena *a = g->arena;
    struct result before = meaning(a, g, seed, n);
    for (int i = 0; passes[i]; i++) {
        const bool ok = pass_run(g, c, passes[i]);
        diags_print(c->diags, stdout, false);
        if (!ok) fail_msg("seed %d: %s failed", (int)seed, passes[i]);
        const char *problem = graph_verify(g);
        if (problem) fail_msg("seed %d: after %s: %s", (int)seed, passes[i], problem);
        check_text(a, g, seed, passes[i]);
        const struct result after = meaning(a, g, seed, n);
        if (strcmp(passes[i], "autodiff") != 0) check_same(&before, &after, seed, passes[i], text_of(a, g));
        before = after;
    }
}

static const char *const infer_passes[] = {"simplify", "concat",    "fold",     "fuse", "precision", "algorithm",
                                           "layout",   "workspace", "schedule", "plan", NULL};
static const char *const train_passes[] = {"concat",    "autodiff", "simplify",  "fuse",      "precision",
                                           "algorithm", "layout",   "workspace", "recompute", "prologue",
                                           "sums",      "schedule", "plan",      NULL};

static const char *joined(struct arena *a, const char *const *names)
{
    struct buf b;
    buf_init(&b, a);
    for (int i = 0; names[i]; i++) buf_printf(&b, "%s%s", i ? "," : "", names[i]);
    return b.data;
}

static void the_lists_here_are_the_pipelines(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_string_equal(joined(a, infer_passes), pass_pipeline_infer);
    assert_string_equal(joined(a, train_passes), pass_pipeline_train);
    arena_free(a);
}

static void inference_keeps_its_meaning(void **state)
{
    (void)state;
    for (uint64_t seed = 2000; seed < 2150; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        const int64_t batch = random_int(&r, 1, 3);
        struct graph *g = random_graph(a, seed, (int)random_int(&r, 1, 16), batch, false);
        struct pass_context c = {.arena = a, .diags = diags_new(a)};
        target_named(&c.target, seed % 2 ? "x86-64-v3" : "x86-64-v4");
        check_passes(g, &c, infer_passes, seed, random_int(&r, 1, batch));
        arena_free(a);
    }
}

/* The least of three budgets that the training step can be planned within, so that as much as can be is recomputed;
   or none. */
static size_t tight_budget(const struct graph *g, const struct pass_context *c)
{
    static const double shares[] = {0.5, 0.65, 0.8};
    struct pass_context free_ = *c;
    struct graph *kept = graph_clone(c->arena, g);
    free_.memory_budget = MEMORY_KEEP;
    if (!pass_run(kept, &free_, pass_pipeline_train)) return MEMORY_AUTO;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct pass_context tight = *c;
        tight.diags = diags_new(c->arena);
        tight.memory_budget = kept->state_bytes + (size_t)(shares[i] * (double)kept->arena_bytes);
        if (pass_run(graph_clone(c->arena, g), &tight, pass_pipeline_train)) return tight.memory_budget;
    }
    return MEMORY_AUTO;
}

/* autodiff itself changes what the graph says (batch statistics, gradients), so it is not compared with what was before
   it; finite differences and the golden vectors check that one. */
static void training_keeps_its_meaning(void **state)
{
    (void)state;
    const struct train_options options[] = {
        {.grad_outputs = true, .input_grads = true},
        {.optimizer = choice_of(&rnc_optimizers, "sgd", "nesterov=1")},
        {.optimizer = choice_of(&rnc_optimizers, "adamw", "eps=1e-3")},
        {.optimizer = choice_of(&rnc_optimizers, "sgd", "momentum=0 weight_decay=0")},
    };
    for (uint64_t seed = 3000; seed < 3120; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        const int64_t batch = random_int(&r, 2, 4);
        struct graph *g = random_graph(a, seed, (int)random_int(&r, 2, 14), batch, true);
        struct pass_context c = {.arena = a, .diags = diags_new(a), .train = options[seed % 4]};
        target_named(&c.target, seed % 3 ? "x86-64-v4" : "x86-64-v3");
        bool trained = false;
        for (int i = 0; i < g->nvalues; i++) trained |= g->values[i]->kind == VALUE_PARAM;
        if (trained && seed % 2) c.memory_budget = tight_budget(g, &c);
        if (trained) check_passes(g, &c, train_passes, seed, random_int(&r, 2, batch));
        arena_free(a);
    }
}

/* A budget has the pass continue with the best of several copies: by its names, recomputed ones included, whichever
   pass checks results finds them. */
static void a_budget_keeps_names(void **state)
{
    (void)state;
    int again = 0;
    for (uint64_t seed = 3000; seed < 3060; seed++) {
        struct arena *a = arena_new();
        struct graph *g = random_graph(a, seed, 12, 2, true);
        struct pass_context c = {.arena = a,
                                 .diags = diags_new(a),
                                 .train = {.optimizer = choice_of(&rnc_optimizers, "sgd", "")}};
        target_named(&c.target, "x86-64-v3");
        bool trained = false;
        for (int i = 0; i < g->nvalues; i++) trained |= g->values[i]->kind == VALUE_PARAM;
        if (trained) c.memory_budget = tight_budget(g, &c);
        if (trained && pass_run(g, &c, pass_pipeline_train)) GRAPH_EACH(g, n)
            {
                again += n->recompute;
                for (int i = 0; i < n->nout; i++) assert_ptr_equal(graph_find(g, n->out[i]->name), n->out[i]);
            }
        arena_free(a);
    }
    assert_true(again > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lists_here_are_the_pipelines),
        cmocka_unit_test(inference_keeps_its_meaning),
        cmocka_unit_test(training_keeps_its_meaning),
        cmocka_unit_test(a_budget_keeps_names),
    };
    return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
