/* test_deep.c: networks of thousands of layers: what the passes look at grows with the layers, not with their square.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "driver/driver.h"
#include "pass/passes.h"

/* A chain of blocks, as the passes of a training step have it before recompute. */
static struct graph *chain(struct driver *d, struct pass_context *c, int blocks)
{
    struct buf text;
    buf_init(&text, d->arena);
    buf_printf(&text,
               "rnc: 1\nmodel: chain\ninputs: {x: {shape: [3, 8, 8]}}\ntargets: {label: {type: class}}\n"
               "blocks:\n  b:\n    layers:\n      - conv2d: {name: c, out: 3, kernel: 1}\n      - add: {with: in}\n"
               "      - relu\nlayers:\n  - stage: {name: s, block: b, repeat: %d}\n  - global_avg_pool\n"
               "  - dense: {name: f, out: 2, as: y}\noutputs: [y]\n"
               "loss: [{softmax_cross_entropy: {from: y, target: label}}]\n",
               blocks);
    const struct spec *s = driver_load_text(d, "chain", text.data, text.len, NULL);
    assert_non_null(s);
    struct graph *g = driver_elaborate(d, s, &(struct model_options){.mode = MODEL_TRAIN, .batch = 4});
    assert_non_null(g);
    *c = (struct pass_context){.arena = d->arena, .diags = d->diags, .train = {.optimizer = s->train.optimizer}};
    assert_true(target_named(&c->target, "x86-64-v3"));
    assert_true(pass_run(g, c, "concat,autodiff,simplify,fuse,precision,algorithm,layout,workspace"));
    return g;
}

static uint64_t steps_of(int blocks, const char *passes)
{
    struct driver *d = driver_new();
    struct pass_context c;
    struct graph *g = chain(d, &c, blocks);
    c.steps = 0;
    assert_true(pass_run(g, &c, passes));
    uint64_t steps = c.steps;
    driver_free(d);
    return steps;
}

static void test_schedule(void **state)
{
    (void)state;
    uint64_t once = steps_of(300, "schedule"), twice = steps_of(600, "schedule");
    assert_true(once > 0 && twice < 2.2 * (double)once);
}

/* Up to some hundred layers every candidate is looked at alone; beyond, a round has its limit. */
static void test_recompute(void **state)
{
    (void)state;
    uint64_t once = steps_of(600, "recompute"), twice = steps_of(1200, "recompute");
    assert_true(once > 0 && twice < 2.2 * (double)once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedule), cmocka_unit_test(test_recompute)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
