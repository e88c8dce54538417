/* test_driver.c: the compiler as a library (driver/driver.h): a spec in memory is loaded once, compiled for every mode,
   opened, run and verified; nothing is printed, whatever is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/buf.h"
#include "driver/verify.h"
#include "ir/text.h"
#include "runtime/rt/pack.h"
#include "tests/support/printed.h"

static const char net[] = "rnc: 1\n"
                          "model: small\n"
                          "params: {width: 8}\n"
                          "inputs: {image: {shape: [3, 6, 6]}}\n"
                          "targets: {label: {type: class}}\n"
                          "layers:\n"
                          "  - conv2d: {name: conv, out: $width, kernel: 3, pad: 1}\n"
                          "  - batch_norm: {name: bn}\n"
                          "  - relu\n"
                          "  - global_avg_pool\n"
                          "  - dense: {name: fc, out: 4, as: logits}\n"
                          "outputs: [logits]\n"
                          "loss: [softmax_cross_entropy: {from: logits, target: label}]\n"
                          "train: {batch: 4}\n";

/* ---- what goes to standard output and error meanwhile */

struct watch {
    int fd, out, err;
};

static struct watch watch_begin(void)
{
    fflush(NULL);
    struct watch w = {memfd_create("printed", 0), dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    assert_true(w.fd >= 0 && dup2(w.fd, STDOUT_FILENO) >= 0 && dup2(w.fd, STDERR_FILENO) >= 0);
    return w;
}

/* How many bytes were printed. */
static long watch_end(struct watch *w)
{
    fflush(NULL);
    dup2(w->out, STDOUT_FILENO);
    dup2(w->err, STDERR_FILENO);
    long bytes = (long)lseek(w->fd, 0, SEEK_END);
    close(w->fd);
    close(w->out);
    close(w->err);
    return bytes;
}

/* ---- */

static struct spec *load(struct driver *d) { return driver_load_text(d, "net.yaml", net, strlen(net), NULL); }

static const char *text_of(struct driver *d, const struct graph *g)
{
    struct buf b;
    buf_init(&b, d->arena);
    graph_print(g, &b);
    return b.data;
}

static void loads_compiles_opens_runs_verifies(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    struct watch w = watch_begin();
    d->options.threads = 2;
    d->options.seed = 7;
    const struct spec *s = load(d);
    struct built b = {0};
    struct session run = {0};
    struct verify_options o = VERIFY_DEFAULTS;
    struct verify_result r = {0};
    bool ok = s && driver_compile(d, s, &(struct model_options){.mode = MODEL_INFER, .batch = 3}, &b) &&
              driver_open(d, &b, &(struct open_options){.perturb = true}, &run);
    void **in = ok ? driver_random_inputs(d, &b) : NULL, **out = ok ? driver_outputs(d, &b) : NULL;
    ok = ok && driver_run(d, &run, &(struct rnc_run){.n = 3}, (const void *const *)in, out) &&
         driver_verify(d, s, &o, &r);
    long printed = watch_end(&w);
    diags_print(d->diags, stdout, false);
    assert_true(ok);
    assert_int_equal(printed, 0);
    const struct rnc_tensor *t = session_tensor(b.model, RNC_ROLE_OUTPUT, "logits");
    assert_non_null(t);
    assert_int_equal(rnc_elements(&t->type), 12);
    const float *logits = out[t->offset];
    for (int i = 1; i < 12; i++) assert_true(logits[i] != logits[0]); /* random inputs: nothing is left as it was */
    assert_true(r.nodes.count > 5 && r.outputs.count > 3 && r.differences.count > 3);
    assert_int_equal(r.checks, r.nodes.count + r.outputs.count + r.differences.count);
    assert_int_equal(r.failed, 0);
    session_close(&run);
    driver_release(&b);
    driver_free(d);
}

/* A limit of nothing: rows say that they are wrong, and no diagnostic is given. */
static void rows_that_fail(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    const struct spec *s = load(d);
    struct verify_options o = VERIFY_DEFAULTS;
    struct verify_result r;
    o.inference_only = true;
    o.forward = 0;
    assert_non_null(s);
    assert_true(driver_verify(d, s, &o, &r));
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.outputs.count, 1);
    assert_false(r.outputs.item[0].ok);
    assert_string_equal(r.outputs.item[0].name, "logits");
    assert_int_equal(r.differences.count, 0);
    assert_int_equal(diags_errors(d->diags), 0);
    driver_free(d);
}

static void errors_are_diagnostics(void **state)
{
    (void)state;
    struct watch w = watch_begin();
    struct driver *d = driver_new();
    static const char bad[] = "rnc: 1\nmodel: bad\ninputs: {image: {shape: [3, 6, 6]}}\nlayers:\n"
                              "  - conv2d: {out: 8, kernle: 3}\noutputs: [logits]\n";
    const struct spec *none = driver_load_text(d, "bad.yaml", bad, strlen(bad), NULL),
                      *missing = driver_load(d, "no/such/spec", NULL);
    const char *text = printed_diagnostics(d->arena, d->diags, false);
    struct driver *e = driver_new();
    const struct spec *s = load(e);
    struct built b;
    bool ok = s && driver_graph(e, s, &(struct model_options){.until = "foo"}, &b);
    struct open_options weights = {.weights = "no/such/weights"};
    struct session run;
    bool opened = s && driver_compile(e, s, &(struct model_options){0}, &b) && driver_open(e, &b, &weights, &run);
    const char *others = printed_diagnostics(e->arena, e->diags, false);
    long printed = watch_end(&w);
    assert_int_equal(printed, 0);
    assert_null(none);
    assert_null(missing);
    assert_non_null(strstr(text, "bad.yaml:5:"));
    assert_non_null(strstr(text, "kernle"));
    assert_non_null(strstr(text, "no/such/spec"));
    assert_non_null(s);
    assert_false(ok || opened);
    assert_null(run.instance);
    assert_non_null(strstr(others, "the pipeline has no pass 'foo'"));
    assert_non_null(strstr(others, "no/such/weights"));
    driver_release(&b);
    driver_free(e);
    driver_free(d);
}

/* The graphs of three modes of one spec are those of three specs, in any order. */
static void one_spec_serves_all_modes(void **state)
{
    (void)state;
    static const enum model_mode modes[] = {MODEL_TRAIN, MODEL_INFER, MODEL_GRAD, MODEL_INFER};
    struct driver *d = driver_new();
    const struct spec *s = load(d);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct driver *alone = driver_new();
        struct model_options o = {.mode = modes[i]};
        struct built one, other;
        const struct spec *again = load(alone);
        assert_true(again && driver_graph(d, s, &o, &one) && driver_graph(alone, again, &o, &other));
        assert_int_equal(one.graph->batch, modes[i] == MODEL_INFER ? 1 : 4);
        assert_string_equal(text_of(d, one.raw), text_of(alone, other.raw));
        assert_string_equal(text_of(d, one.graph), text_of(alone, other.graph));
        driver_free(alone);
    }
    driver_free(d);
}

/* As editors of Windows write it. */
static void byte_order_mark(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    const char *text = arena_printf(d->arena, "\xef\xbb\xbf%s", net);
    assert_non_null(driver_load_text(d, "net.yaml", text, strlen(text), NULL));
    driver_free(d);
}

/* Standard input can be read once; so it is. */
static void standard_input(void **state)
{
    (void)state;
    int fd = memfd_create("spec", 0), saved = dup(STDIN_FILENO);
    assert_int_equal(write(fd, net, strlen(net)), strlen(net));
    lseek(fd, 0, SEEK_SET);
    dup2(fd, STDIN_FILENO);
    struct driver *d = driver_new();
    const struct spec *s = driver_load(d, "-", NULL);
    struct built b;
    bool ok = s && driver_graph(d, s, &(struct model_options){.mode = MODEL_TRAIN}, &b) &&
              driver_graph(d, s, &(struct model_options){.mode = MODEL_INFER}, &b);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(fd);
    assert_true(ok);
    assert_int_equal(diags_errors(d->diags), 0);
    driver_free(d);
}

static void options(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    struct override width = {"width", "16"};
    d->options.batch = 5;
    d->options.dtype = "bf16";
    const struct spec *s =
        driver_load_text(d, "net.yaml", net, strlen(net), &(struct spec_options){.params = &width, .nparams = 1});
    struct built b;
    assert_non_null(s);
    assert_int_equal(s->dtype, DT_BF16);
    assert_true(driver_graph(d, s, &(struct model_options){.mode = MODEL_TRAIN}, &b));
    assert_int_equal(b.graph->batch, 5);
    assert_int_equal(graph_find(b.raw, "conv.weight")->type.dim[0], 16);
    assert_non_null(strstr(text_of(d, b.graph), "bf16["));
    /* a budget that cannot be kept is an error; without being one where it was only tried */
    d->options.memory_budget = 1000;
    struct driver quiet = driver_quiet(d);
    assert_false(driver_graph(&quiet, s, &(struct model_options){.mode = MODEL_TRAIN}, &b));
    assert_int_equal(diags_errors(d->diags), 0);
    assert_true(diags_errors(quiet.diags) > 0);
    driver_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_compiles_opens_runs_verifies),
        cmocka_unit_test(rows_that_fail),
        cmocka_unit_test(errors_are_diagnostics),
        cmocka_unit_test(one_spec_serves_all_modes),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(standard_input),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests_name("driver", tests, NULL, NULL);
}
