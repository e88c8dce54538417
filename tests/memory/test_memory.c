/* test_memory.c: what a training step takes, and that computing values again instead of keeping them changes no bit of
   what it gives. Which kernel takes a per-channel sum, and with that the sum's order, may depend on what is made again;
   so bits are compared without the pass sums, and with it the results are compared with those:

       build/tests/memory/test_memory     from the root of the repository */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "elaborate/elaborate.h"
#include "gen/gen.h"
#include "pass/pass.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/pool.h"
#include "spec/spec.h"
#include "tests/choice.h"

struct net {
    const char *path;
    int64_t batch;
    struct override params[3];
    int nparams;
};

static const char *without_sums(struct arena *a)
{
    char *list = arena_strndup(a, pass_pipeline_train, strlen(pass_pipeline_train)), *at = strstr(list, ",sums");
    assert_non_null(at);
    memmove(at, at + 5, strlen(at + 5) + 1);
    return list;
}

static struct graph *planned(struct arena *a, const struct net *net, size_t budget, bool grads,
                             const struct target *target, const char *pipeline)
{
    struct diags *d = diags_new(a);
    struct spec *s = spec_load(a, d, net->path, &(struct spec_options){.params = net->params, .nparams = net->nparams});
    struct graph *g = s ? build_graph(a, d, s, &(struct build_options){.batch = net->batch, .losses = true}) : NULL;
    struct pass_context c = {.arena = a,
                             .diags = d,
                             .target = *target,
                             .verify = true,
                             .memory_budget = budget,
                             .train = {.grad_outputs = grads, .optimizer = choice_of(&rnc_optimizers, "sgd", "")}};
    bool ok = g && pass_run(g, &c, pipeline);
    diags_print(d, stdout, false);
    return ok ? g : NULL;
}

/* ---- the same bits */

/* Loss, gradients and state after a few steps, the last of them on part of a batch. */
struct left {
    size_t state_bytes, output_bytes;
    char *state, *outputs;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void fill(const struct rnc_type *t, void *data)
{
    uint64_t state = 88172645463325252u;
    for (int64_t i = 0; i < rnc_elements(t); i++) {
        uint64_t r = next_random(&state) >> 11;
        if (t->dtype == RNC_I64) ((int64_t *)data)[i] = (int64_t)(r % 2);
        else ((float *)data)[i] = (float)r * (2.0f / 9007199254740992.0f) - 1.0f;
    }
}

static void run_steps(struct arena *a, struct rnc_instance *i, int steps, struct left *left)
{
    const struct rnc_model *m = rnc_instance_model(i);
    struct rnc_status s = {0};
    const void **in = ARENA_ARRAY(a, const void *, m->ninputs + 1);
    void **out = ARENA_ARRAY(a, void *, m->noutputs + 1);
    for (uint32_t k = 0; k < m->ntensors; k++)
        left->output_bytes += m->tensors[k].role == RNC_ROLE_OUTPUT ? rnc_plain_bytes(&m->tensors[k].type) : 0;
    left->outputs = arena_alloc(a, left->output_bytes);
    size_t at = 0;
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        size_t bytes = rnc_plain_bytes(&t->type);
        if (t->role == RNC_ROLE_OUTPUT) {
            out[t->offset] = left->outputs + at;
            at += bytes;
        } else if (t->role == RNC_ROLE_INPUT || t->role == RNC_ROLE_TARGET) {
            void *data = arena_alloc(a, bytes);
            fill(&t->type, data);
            in[t->offset] = data;
        }
    }
    for (int64_t step = 1; step <= steps; step++) {
        const struct rnc_run run = {.n = step < 3 ? m->batch : m->batch - 1, .step = step, .seed = 5, .lr = 0.05f};
        if (!rnc_execute(i, &run, in, out, NULL, &s)) fail_msg("%s", s.message);
    }
    const void *state = rnc_state(i, &left->state_bytes);
    left->state = arena_alloc(a, left->state_bytes);
    memcpy(left->state, state, left->state_bytes);
}

static struct left trained(struct arena *a, const struct graph *g, const struct target *target, int threads, int steps)
{
    struct left left = {0};
    struct diags *d = diags_new(a);
    struct gen_options options = {.target = *target, .threads = 1};
    struct program *p = gen_compile(g, &options, d);
    const struct rnc_model *model = p ? program_load(p, d) : NULL;
    if (!model) {
        diags_print(d, stdout, false);
        fail();
    }
    struct rnc_status s = {0};
    struct rnc_pool *pool = rnc_pool_new(threads, &s);
    struct rnc_parallel par = rnc_pool_parallel(pool);
    struct rnc_instance *i = rnc_open(model, &par, RNC_EXEC_CHECK, &s);
    if (!i || !rnc_initialize(i, 3, &s)) fail_msg("%s", s.message);
    run_steps(a, i, steps, &left);
    rnc_close(i);
    rnc_pool_free(pool);
    program_free(p);
    return left;
}

static void check_same(const struct left *x, const struct left *y)
{
    assert_int_equal(x->state_bytes, y->state_bytes);
    assert_int_equal(x->output_bytes, y->output_bytes);
    assert_memory_equal(x->state, y->state, x->state_bytes);
    assert_memory_equal(x->outputs, y->outputs, x->output_bytes);
}

/* Root of the mean square of the difference, relative; of floats. */
static double distance(const char *x, const char *y, size_t bytes)
{
    double sum = 0, norm = 0;
    for (size_t i = 0; i + sizeof(float) <= bytes; i += sizeof(float)) {
        float a, b;
        memcpy(&a, x + i, sizeof a);
        memcpy(&b, y + i, sizeof b);
        if (!isfinite(a) || !isfinite(b)) fail_msg("not finite at byte %zu", i);
        sum += ((double)a - (double)b) * ((double)a - (double)b);
        norm += (double)b * (double)b;
    }
    return sqrt(sum / norm);
}

/* One fused step against the one whose sums are passes of their own; later ones drift apart wherever a normalisation
   has few values. */
static void check_close(const struct left *x, const struct left *want)
{
    double state = distance(x->state, want->state, want->state_bytes),
           outputs = distance(x->outputs, want->outputs, want->output_bytes);
    print_message("with sums in the kernels: state %.1e, loss and gradients %.1e\n", state, outputs);
    assert_true(state < 1e-4 && outputs < 1e-4);
}

/* Everything kept; what is cheap computed again; and in as little memory as convolutions too being computed again
   allow, or nearly. */
static void check_net(const struct net *net, double share)
{
    struct arena *a = arena_new();
    struct target target;
    target_host(&target);
    struct diags *d = diags_new(a);
    assert_true(gen_target_init(&target, d));
    struct graph *kept = planned(a, net, MEMORY_KEEP, true, &target, without_sums(a)),
                 *cheap = planned(a, net, MEMORY_AUTO, true, &target, without_sums(a));
    assert_true(kept && cheap);
    size_t budget = kept->state_bytes + (size_t)(share * (double)kept->arena_bytes);
    struct graph *tight = planned(a, net, budget, true, &target, without_sums(a));
    struct graph *fused = planned(a, net, budget, true, &target, pass_pipeline_train);
    assert_true(tight && fused && fused->arena_bytes + fused->state_bytes <= budget);
    assert_int_equal(recompute_account(kept).nodes, 0);
    assert_true(recompute_account(cheap).nodes > 0 && cheap->arena_bytes < kept->arena_bytes);
    assert_true(tight->arena_bytes + tight->state_bytes <= budget);
    assert_true(recompute_account(tight).again_macs > 0);
    assert_true(kept->saved_bytes > 0 && kept->saved_bytes == tight->saved_bytes);
    struct left want = trained(a, kept, &target, 1, 3), again = trained(a, cheap, &target, 2, 3),
                twice = trained(a, tight, &target, 1, 3);
    check_same(&want, &again);
    check_same(&want, &twice);
    struct left sums = trained(a, fused, &target, 1, 3), sums_too = trained(a, fused, &target, 3, 3);
    check_same(&sums, &sums_too);
    struct left step = trained(a, fused, &target, 2, 1), want_step = trained(a, kept, &target, 2, 1);
    check_close(&step, &want_step);
    arena_free(a);
}

static void residual_network(void **state)
{
    (void)state;
    check_net(&(struct net){"resnet20", 4, {{"n", "2"}, {"size", "16"}, {"classes", "10"}}, 3}, 0.6);
}

static void bottlenecks(void **state)
{
    (void)state;
    check_net(&(struct net){"resnet50", 3, {{"width", "4"}, {"size", "64"}}, 2}, 0.5);
}

static void skip_connections(void **state)
{
    (void)state;
    check_net(&(struct net){"unet", 2, {{"width", "4"}, {"size", "32"}}, 2}, 0.5);
}

static void dropout(void **state)
{
    (void)state;
    check_net(&(struct net){"tests/memory/dropout.yaml", 8, {{0}}, 0}, 0.45);
}

/* ---- how much it takes: shapes and the planner alone, nothing is compiled */

static struct graph *plan_of(struct arena *a, const char *name, int64_t batch, size_t budget)
{
    struct target target;
    assert_true(target_named(&target, "x86-64-v4"));
    struct graph *g =
        planned(a, &(struct net){.path = name, .batch = batch}, budget, false, &target, pass_pipeline_train);
    if (g)
        print_message("%s: %.1f MiB + state %.1f MiB, bound %.1f MiB, saved values %.1f MiB\n", name,
                      (double)g->arena_bytes / 1048576, (double)g->state_bytes / 1048576,
                      (double)g->lower_bound_bytes / 1048576, (double)recompute_account(g).saved_bytes / 1048576);
    return g;
}

static void check_plan(const char *name, int64_t batch, double most)
{
    struct arena *a = arena_new();
    struct graph *kept = plan_of(a, name, batch, MEMORY_KEEP), *g = plan_of(a, name, batch, MEMORY_AUTO);
    assert_true(kept && g);
    assert_true((double)g->arena_bytes <= 1.02 * (double)g->lower_bound_bytes);
    size_t saved = recompute_account(g).saved_bytes; /* prologues keep less, too, where everything else is kept */
    assert_true((double)g->arena_bytes <= most * (double)(kept->arena_bytes > saved ? kept->arena_bytes : saved));
    arena_free(a);
}

static void plans_of_the_shipped_networks(void **state)
{
    (void)state;
    check_plan("resnet18", 16, 0.65);
    check_plan("resnet50", 16, 0.6);
    check_plan("resnet20", 128, 0.6);
    check_plan("unet", 2, 0.7);
}

/* 60% of what a step takes without a budget, for at most 30% more arithmetic. */
static void a_budget_is_kept(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct graph *free_ = plan_of(a, "resnet50", 16, MEMORY_AUTO);
    assert_non_null(free_);
    size_t budget = (free_->arena_bytes + free_->state_bytes) / 10 * 6;
    struct graph *g = plan_of(a, "resnet50", 16, budget);
    assert_non_null(g);
    struct recompute_account r = recompute_account(g);
    assert_true(g->arena_bytes + g->state_bytes <= budget);
    assert_true((double)r.again_macs <= 0.3 * (double)(r.step_macs - r.again_macs));
    arena_free(a);
}

static void a_budget_that_cannot_be_kept(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_null(plan_of(a, "resnet20", 128, 1 << 20));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_network),
        cmocka_unit_test(bottlenecks),
        cmocka_unit_test(skip_connections),
        cmocka_unit_test(dropout),
        cmocka_unit_test(plans_of_the_shipped_networks),
        cmocka_unit_test(a_budget_is_kept),
        cmocka_unit_test(a_budget_that_cannot_be_kept),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
