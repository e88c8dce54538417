/* test_memory.c: what a training step takes, and that recomputing values instead of keeping them changes no bit of
   what it gives. Which kernel takes a per-channel sum, and with that the sum's order, may depend on what is recomputed;
   so bits are compared without the pass sums, and with it the results are compared with those:

       build/tests/memory/test_memory     from the root of the repository */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "driver/driver.h"
#include "runtime/rt/pack.h"
#include "tests/support/choice.h"

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

static struct graph *planned(struct driver *d, const struct net *net, size_t budget, bool grads, const char *pipeline)
{
    const struct spec_options options = {.params = net->params, .nparams = net->nparams};
    const struct model_options o = {.mode = MODEL_GRAD, .batch = net->batch};
    const struct spec *s = driver_load(d, net->path, &options);
    struct graph *g = s ? driver_elaborate(d, s, &o) : NULL;
    struct pass_context c = {.arena = d->arena,
                             .diags = d->diags,
                             .target = d->options.target,
                             .verify = true,
                             .memory_budget = budget,
                             .train = {.grad_outputs = grads, .optimizer = choice_of(&rnc_optimizers, "sgd", "")}};
    bool ok = g && pass_run(g, &c, pipeline);
    diags_print(d->diags, stdout, false);
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

static void run_steps(struct driver *d, const struct rnc_model *m, struct session *session, int steps,
                      struct left *left)
{
    struct arena *a = d->arena;
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
        assert_true(driver_run(d, session, &run, in, out));
    }
    const void *state = rnc_state(session->instance, &left->state_bytes);
    left->state = arena_alloc(a, left->state_bytes);
    memcpy(left->state, state, left->state_bytes);
}

static struct left trained(struct driver *d, struct graph *g, int threads, int steps)
{
    struct left left = {0};
    struct built b = {.graph = g, .target = d->options.target};
    struct session session;
    d->options.threads = threads;
    bool ok = driver_generate(d, &b, &(struct generate_options){0}) &&
              driver_open(d, &b, &(struct open_options){.flags = RNC_EXEC_CHECK}, &session);
    diags_print(d->diags, stdout, false);
    assert_true(ok);
    run_steps(d, b.model, &session, steps, &left);
    session_close(&session);
    driver_release(&b);
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

/* Everything kept; what is cheap recomputed; and in as little memory as convolutions too being recomputed
   allow, or nearly. */
static void check_net(const struct net *net, double share)
{
    struct driver *d = driver_new();
    d->options.seed = 3;
    target_host(&d->options.target);
    assert_true(gen_target_init(&d->options.target, d->diags));
    const char *plain = without_sums(d->arena);
    struct graph *kept = planned(d, net, MEMORY_KEEP, true, plain), *cheap = planned(d, net, MEMORY_AUTO, true, plain);
    assert_true(kept && cheap);
    size_t budget = kept->state_bytes + (size_t)(share * (double)kept->arena_bytes);
    struct graph *tight = planned(d, net, budget, true, plain);
    struct graph *fused = planned(d, net, budget, true, pass_pipeline_train);
    assert_true(tight && fused && fused->arena_bytes + fused->state_bytes <= budget);
    assert_int_equal(recompute_account(kept).nodes, 0);
    assert_true(recompute_account(cheap).nodes > 0 && cheap->arena_bytes < kept->arena_bytes);
    assert_true(tight->arena_bytes + tight->state_bytes <= budget);
    assert_true(recompute_account(tight).recompute_macs > 0);
    assert_true(kept->saved_bytes > 0 && kept->saved_bytes == tight->saved_bytes);
    struct left want = trained(d, kept, 1, 3), again = trained(d, cheap, 2, 3), twice = trained(d, tight, 1, 3);
    check_same(&want, &again);
    check_same(&want, &twice);
    struct left sums = trained(d, fused, 1, 3), sums_too = trained(d, fused, 3, 3);
    check_same(&sums, &sums_too);
    struct left step = trained(d, fused, 2, 1), want_step = trained(d, kept, 2, 1);
    check_close(&step, &want_step);
    driver_free(d);
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

static struct graph *plan_of(struct driver *d, const char *name, int64_t batch, size_t budget)
{
    assert_true(target_named(&d->options.target, "x86-64-v4"));
    struct graph *g = planned(d, &(struct net){.path = name, .batch = batch}, budget, false, pass_pipeline_train);
    if (g)
        print_message("%s: %.1f MiB + state %.1f MiB, bound %.1f MiB, saved values %.1f MiB\n", name,
                      (double)g->arena_bytes / 1048576, (double)g->state_bytes / 1048576,
                      (double)g->lower_bound_bytes / 1048576, (double)recompute_account(g).saved_bytes / 1048576);
    return g;
}

static void check_plan(const char *name, int64_t batch, double most)
{
    struct driver *d = driver_new();
    struct graph *kept = plan_of(d, name, batch, MEMORY_KEEP), *g = plan_of(d, name, batch, MEMORY_AUTO);
    assert_true(kept && g);
    assert_true((double)g->arena_bytes <= 1.02 * (double)g->lower_bound_bytes);
    size_t saved = recompute_account(g).saved_bytes; /* prologues keep less, too, where everything else is kept */
    assert_true((double)g->arena_bytes <= most * (double)(kept->arena_bytes > saved ? kept->arena_bytes : saved));
    driver_free(d);
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
    struct driver *d = driver_new();
    struct graph *free_ = plan_of(d, "resnet50", 16, MEMORY_AUTO);
    assert_non_null(free_);
    size_t budget = (free_->arena_bytes + free_->state_bytes) / 10 * 6;
    struct graph *g = plan_of(d, "resnet50", 16, budget);
    assert_non_null(g);
    struct recompute_account r = recompute_account(g);
    assert_true(g->arena_bytes + g->state_bytes <= budget);
    assert_true((double)r.recompute_macs <= 0.3 * (double)(r.step_macs - r.recompute_macs));
    driver_free(d);
}

static void a_budget_that_cannot_be_kept(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    assert_null(plan_of(d, "resnet20", 128, 1 << 20));
    driver_free(d);
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
