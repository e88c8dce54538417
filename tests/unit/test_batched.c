/* Which values have a row for each sample is what their types say, whatever their sizes: here every size is the
   batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gen/gen.h"
#include "ir/text.h"
#include "pass/pass.h"
#include "runtime/rt/exec.h"

enum { N = 4, REAL = 2, SIZE = N * N };

/* A dense layer with as many outputs as the batch has samples. */
static const char square[] = "graph @square batch=4 {\n"
                             "  input %x : f32[N=4,4]\n"
                             "  target %t : f32[N=4,4]\n"
                             "  param %w : f32[4,4] init=kaiming_normal fan=4\n"
                             "  param %b : f32[4] init=zeros\n"
                             "  %y = dense(%x, %w, %b) : f32[N=4,4] layer \"y\"\n"
                             "  %loss = mean_squared_error(%y, %t) : f32[]\n"
                             "  output \"y\" %y\n"
                             "  output \"loss\" %loss\n}\n";

struct seen {
    const struct rnc_instance *instance;
    void *const *outputs;
    int batched, whole; /* outputs that were read */
};

/* A batched output has its real rows and zeros, any other one all that the kernel wrote. */
static void check_output(struct seen *s, const struct rnc_value *v, const float *got)
{
    const float *wrote = s->outputs[v->place.index];
    int64_t count = 1, real;
    for (int k = 0; k < v->type.rank; k++) count *= v->type.dim[k];
    real = v->type.batched ? count / N * REAL : count;
    assert_memory_equal(got, wrote, (size_t)real * sizeof *got);
    for (int64_t i = real; i < count; i++) assert_true(got[i] == 0);
    if (v->type.rank == 0) return;
    if (v->type.batched) s->batched++;
    else s->whole++;
}

static void after_node(void *ctx, uint32_t node, double seconds)
{
    struct seen *s = ctx;
    const struct rnc_model *m = rnc_instance_model(s->instance);
    (void)seconds;
    for (int k = 0; k < RNC_NODE_OUTS; k++) {
        int32_t index = m->nodes[node].out[k];
        float got[SIZE];
        struct rnc_status st = {0};
        if (index < 0 || m->values[index].place.space != RNC_OUTPUT) continue;
        memset(got, 0xff, sizeof got);
        if (!rnc_read_value(s->instance, (uint32_t)index, got, &st)) fail_msg("%s", st.message);
        check_output(s, &m->values[index], got);
    }
}

/* The step that gives the gradients of the parameters and of the input. */
static struct graph *gradients(struct arena *a, struct diags *d, const struct target *target)
{
    struct source *src = ARENA_NEW(a, struct source);
    *src = (struct source){"square", square, sizeof square - 1};
    struct graph *g = graph_parse(a, d, src);
    struct pass_context c = {.arena = a,
                             .diags = d,
                             .target = *target,
                             .verify = true,
                             .train = {.grad_outputs = true, .input_grads = true}};
    return g && pass_run(g, &c, pass_pipeline_train) ? g : NULL;
}

static void run(const struct rnc_model *m)
{
    static float x[SIZE], t[SIZE], buffer[8][SIZE];
    struct rnc_status st = {0};
    struct rnc_instance *i = rnc_open(m, NULL, RNC_EXEC_CHECK, &st);
    if (!i || !rnc_initialize(i, 3, &st)) fail_msg("%s", st.message);
    for (int k = 0; k < SIZE; k++) {
        x[k] = (float)(k % 7) - 2.5f;
        t[k] = (float)(k % 5) - 1.5f;
    }
    void *out[8];
    for (int k = 0; k < 8; k++) out[k] = buffer[k];
    memset(buffer, 0xff, sizeof buffer);
    assert_true(m->noutputs <= 8);
    struct seen seen = {.instance = i, .outputs = out};
    struct rnc_observer o = {after_node, &seen};
    const void *in[] = {x, t};
    if (!rnc_execute(i, &(struct rnc_run){.n = REAL, .step = 1}, in, out, &o, &st)) fail_msg("%s", st.message);
    assert_int_equal(seen.batched, 2); /* y and the gradient of x */
    assert_int_equal(seen.whole, 2);   /* the gradients of the weights and of the bias */
    rnc_close(i);
}

static void output_gradients_are_whole(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    target_host(&target);
    assert_true(gen_target_init(&target, d));
    struct graph *g = gradients(a, d, &target);
    struct program *p = g ? gen_compile(g, &(struct gen_options){.target = target, .threads = 1}, d) : NULL;
    const struct rnc_model *m = p ? program_load(p, d) : NULL;
    diags_print(d, stdout, false);
    assert_non_null(m);
    run(m);
    program_free(p);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_gradients_are_whole),
    };
    return cmocka_run_group_tests_name("batched", tests, NULL, NULL);
}
