/* test_driver_verify.c: what `rnc verify` takes for wrong where the terms of a result cancel (driver/condition.h): the
   right kernel passes, the same kernel on another operand does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "driver/condition.h"
#include "driver/reference.h"
#include "driver/verify.h"

/* Batch norm takes the mean of dy from it, and the pooling makes dy the same all over: nothing is left of dx, nor of
   the gradient of the convolution before it. */
static const char net[] = "rnc: 1\n"
                          "model: cancels\n"
                          "inputs: {image: {shape: [1, 12, 12]}}\n"
                          "targets: {label: {type: class}}\n"
                          "layers:\n"
                          "  - conv2d: {name: conv, out: 8, kernel: 1, bias: false}\n"
                          "  - batch_norm: {name: bn}\n"
                          "  - global_avg_pool\n"
                          "  - dense: {name: fc, out: 3, as: logits}\n"
                          "outputs: [logits]\n"
                          "loss: [softmax_cross_entropy: {from: logits, target: label}]\n";

/* The model, whose steps and their arguments may be changed. */
struct fixture {
    struct driver *d;
    struct built b;
    struct rnc_model model;
    struct rnc_step *steps;
};

static void open_fixture(struct fixture *f)
{
    f->d = driver_new();
    f->d->options.threads = 1;
    const struct spec *s = driver_load_text(f->d, "net.yaml", net, strlen(net), NULL);
    assert_non_null(s);
    assert_true(driver_compile(f->d, s, &(struct model_options){.mode = MODEL_GRAD, .batch = 1}, &f->b));
    f->model = *f->b.model;
    f->steps = ARENA_ARRAY(f->d->arena, struct rnc_step, f->model.nsteps);
    memcpy(f->steps, f->model.steps, f->model.nsteps * sizeof *f->steps);
    f->model.steps = f->steps;
}

static void close_fixture(struct fixture *f)
{
    driver_release(&f->b);
    driver_free(f->d);
}

static const struct node *node_of(const struct fixture *f, const char *op, uint32_t *index)
{
    *index = 0;
    GRAPH_EACH(f->b.graph, n)
    {
        if (n->prepare) continue;
        if (strcmp(n->op->name, op) == 0) return n;
        ++*index;
    }
    fail_msg("no %s", op);
    return NULL;
}

static struct rnc_arg place_of(const struct fixture *f, const struct value *v)
{
    for (uint32_t i = 0; i < f->model.nvalues; i++)
        if (strcmp(f->model.values[i].name, v->name) == 0) return f->model.values[i].place;
    fail_msg("no %s", v->name);
    return (struct rnc_arg){0};
}

/* Wherever a step of node INDEX reads FROM it reads TO; the number of places. */
static int redirect(struct fixture *f, uint32_t index, struct rnc_arg from, struct rnc_arg to)
{
    int places = 0;
    for (uint32_t i = 0; i < f->model.nsteps; i++) {
        if (f->steps[i].node != index) continue;
        struct rnc_arg *args = ARENA_ARRAY(f->d->arena, struct rnc_arg, f->steps[i].nargs);
        memcpy(args, f->steps[i].args, f->steps[i].nargs * sizeof *args);
        f->steps[i].args = args;
        for (uint32_t k = 0; k < f->steps[i].nargs; k++)
            if (args[k].space == from.space && args[k].index == from.index && args[k].offset == from.offset)
                args[k] = to, places++;
    }
    return places;
}

static struct reference_row row_of(struct fixture *f, uint32_t index)
{
    struct session s;
    struct built b = f->b;
    b.model = &f->model;
    struct reference_options o = {.n = 1, .tolerance = 1e-5};
    struct reference_row *rows = ARENA_ARRAY(f->d->arena, struct reference_row, f->model.nnodes);
    struct open_options open = {.perturb = true, .flags = RNC_EXEC_KEEP};
    assert_true(driver_open(f->d, &b, &open, &s));
    o.in = (const void *const *)driver_random_inputs(f->d, &b);
    o.out = driver_outputs(f->d, &b);
    assert_true(reference_nodes(f->d, &b, &s, &o, rows));
    session_close(&s);
    assert_true(rows[index].checked);
    return rows[index];
}

/* bn_dx(dy, x, mean, var, weight, dweight, dbias): the two sums change places. */
static void batch_norm_before_pooling(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t index;
    open_fixture(&f);
    const struct node *n = node_of(&f, "bn_dx", &index);
    struct reference_row right = row_of(&f, index);
    assert_true(right.error <= right.limit && right.limit < 1e-3);
    assert_true(right.condition > 1e3);
    struct rnc_arg dweight = place_of(&f, n->in[5]), dbias = place_of(&f, n->in[6]), aside = {.space = RNC_NULL};
    assert_int_equal(redirect(&f, index, dweight, aside), 1);
    assert_int_equal(redirect(&f, index, dbias, dweight), 1);
    assert_int_equal(redirect(&f, index, aside, dbias), 1);
    struct reference_row wrong = row_of(&f, index);
    assert_false(wrong.error <= wrong.limit);
    close_fixture(&f);
}

/* dw = Σ x·dy: each pixel's left neighbour in the place of the pixel. */
static void weight_gradient_before_batch_norm(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t index;
    open_fixture(&f);
    const struct node *n = node_of(&f, "conv2d_wgrad", &index);
    struct reference_row right = row_of(&f, index);
    assert_true(right.error <= right.limit && right.limit < 1e-3);
    struct rnc_arg x = {.space = RNC_INPUT}, shifted = {.space = RNC_INPUT, .offset = sizeof(float)};
    assert_int_equal(n->in[0]->kind, VALUE_INPUT);
    assert_int_equal(redirect(&f, index, x, shifted), 1);
    struct reference_row wrong = row_of(&f, index);
    assert_false(wrong.error <= wrong.limit);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_before_pooling),
        cmocka_unit_test(weight_gradient_before_batch_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
