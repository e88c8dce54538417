/* What an instance needs before it runs, on a model by hand: y = x·w + b, where w is read folded and b as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "runtime/rt/exec.h"

enum { F = 4 };

static void kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    const float *x = args[0], *w = args[1], *b = args[2];
    float *y = args[3];
    (void)run, (void)scratch, (void)begin, (void)end;
    for (int k = 0; k < F; k++) y[k] = x[k] * w[k] + b[k];
}

static const struct rnc_arg args[] = {{RNC_INPUT, 0, 0}, {RNC_STATE, 0, 0}, {RNC_STATE, 0, 64}, {RNC_OUTPUT, 0, 0}};
static const struct rnc_step step = {.kernel = kernel, .args = args, .nargs = 4, .per_sample = 1, .tasks = 1};
#define ROW                     \
    {                           \
        .rank = 1, .dim = { F } \
    }
static const struct rnc_tensor tensors[] = {
    {.name = "w", .role = RNC_ROLE_PARAM, .init = RNC_INIT_ONES, .type = ROW, .offset = RNC_NOT_STORED},
    {.name = "b", .role = RNC_ROLE_PARAM, .type = ROW, .offset = 64},
    {.name = "count", .role = RNC_ROLE_COUNTER, .type = {.dtype = RNC_I64}, .offset = 128},
    {.name = "optim.m.b", .role = RNC_ROLE_OPTIM, .type = ROW, .offset = 192}};
static const struct rnc_prepare prepare = {.kind = RNC_PREPARE_PACK, .in = {0, -1, -1, -1, -1, -1}, .out = {{ROW, 0}}};
static const struct rnc_node node = {.name = "fma"};
static const struct rnc_model model = {.abi = RNC_ABI_VERSION,
                                       .sizes = RNC_SIZES,
                                       .name = "hand",
                                       .cpu = "any",
                                       .batch = 1,
                                       .steps = &step,
                                       .nsteps = 1,
                                       .tensors = tensors,
                                       .ntensors = 4,
                                       .prepares = &prepare,
                                       .nprepares = 1,
                                       .nodes = &node,
                                       .nnodes = 1,
                                       .ninputs = 1,
                                       .noutputs = 1,
                                       .state_bytes = 208};
static const float w[F] = {1, 2, 3, 4}, b[F] = {5, 6, 7, 8}, x[F] = {1, 1, 1, 1};

static bool run(struct rnc_instance *i, float y[F], struct rnc_status *s)
{
    *s = (struct rnc_status){0};
    return rnc_execute(i, &(struct rnc_run){.n = 1}, (const void *const[]){x}, (void *const[]){y}, NULL, s);
}

static void expect_refusal(struct rnc_instance *i, const char *sentence)
{
    struct rnc_status s;
    float y[F];
    assert_false(run(i, y, &s));
    assert_int_equal(s.code, RNC_USER);
    if (!strstr(s.message, sentence)) fail_msg("no '%s' in: %s", sentence, s.message);
}

static void expect_sums(struct rnc_instance *i)
{
    struct rnc_status s;
    float y[F];
    if (!run(i, y, &s)) fail_msg("%s", s.message);
    for (int k = 0; k < F; k++) assert_true(y[k] == x[k] * w[k] + b[k]);
}

static void refuses_buffers_that_are_not_there(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&model, NULL, 0, &s);
    const struct rnc_run one = {.n = 1};
    float y[F];
    assert_true(rnc_initialize(i, 1, &s));
    assert_false(rnc_execute(i, &one, NULL, (void *const[]){y}, NULL, &s));
    assert_string_equal(s.message, "model hand: the list of inputs is NULL");
    s.code = RNC_OK;
    assert_false(rnc_execute(i, &one, (const void *const[]){x}, NULL, NULL, &s));
    assert_string_equal(s.message, "model hand: the list of outputs is NULL");
    s.code = RNC_OK;
    assert_false(rnc_execute(i, &one, (const void *const[]){x}, (void *const[]){NULL}, NULL, &s));
    assert_string_equal(s.message, "model hand: output buffer 0 is NULL");
    rnc_close(i);
}

static void refuses_before_all_is_set(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&model, NULL, 0, &s);
    expect_refusal(i, "model hand has no values for 2 of its tensors: 'w', 'b' (");
    assert_false(rnc_prepare(i, &s));
    s.code = RNC_OK;
    assert_true(rnc_set(i, "w", w, &s));
    expect_refusal(i, "1 of its tensors: 'b' (");
    assert_true(rnc_set(i, "b", b, &s) && rnc_prepare(i, &s));
    expect_sums(i);
    assert_true(rnc_set(i, "b", b, &s)); /* read as it is: nothing is to be prepared */
    expect_sums(i);
    rnc_close(i);
}

static bool read_but_one(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                         struct rnc_status *s)
{
    const char *bad = ctx;
    memset(plain, 0, (size_t)count * (t->type.dtype == RNC_I64 ? 8 : 4));
    (void)first;
    return !strcmp(t->name, bad) ? rnc_fail(s, RNC_ENV, "can't read %s", t->name) : true;
}

/* After a loading that failed the instance has neither the old weights nor the new ones. */
static void refuses_after_a_failure(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&model, NULL, 0, &s);
    assert_true(rnc_initialize(i, 1, &s));
    float y[F];
    assert_true(run(i, y, &s));
    assert_false(rnc_load(i, &(struct rnc_source){read_but_one, (char[]){"b"}}, false, &s));
    expect_refusal(i, "2 of its tensors: 'w', 'b' (");
    assert_false(rnc_load(i, &(struct rnc_source){read_but_one, (char[]){"w"}}, false, &s));
    expect_refusal(i, "1 of its tensors: 'w' (");
    s.code = RNC_OK;
    assert_true(rnc_set(i, "w", w, &s) && rnc_set(i, "b", b, &s));
    expect_sums(i);
    rnc_close(i);
}

/* ---- a model that brings its weights along */

static const struct {
    _Alignas(64) float w[16];
    float b[16], rest[20];
} block = {{1, 2, 3, 4}, {5, 6, 7, 8}, {0}};

static struct rnc_model with_weights(void)
{
    struct rnc_model m = model;
    m.state = &block;
    return m;
}

/* Runs at once; its weights are read where they are, and are read-only. */
static void reads_its_own_weights(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    const struct rnc_model m = with_weights();
    for (unsigned flags = 0; flags <= RNC_EXEC_CHECK; flags++) {
        struct rnc_instance *i = rnc_open(&m, NULL, flags, &s);
        float got[F];
        expect_sums(i);
        assert_true(rnc_has_weights(&m) && rnc_instance_memory(i).state == 0);
        assert_ptr_equal(rnc_state(i, &(size_t){0}), &block);
        assert_true(rnc_get(i, "b", got, &s) && !memcmp(got, b, sizeof b));
        assert_false(rnc_set(i, "b", w, &s));
        assert_non_null(strstr(s.message, "RNC_EXEC_COPY"));
        s.code = RNC_OK;
        assert_false(rnc_initialize(i, 1, &s));
        s.code = RNC_OK;
        assert_true(rnc_prepare(i, &s)); /* they are */
        expect_sums(i);
        rnc_close(i);
    }
}

/* With RNC_EXEC_COPY, and in a training step, which changes them, they are the instance's. */
static void copies_its_own_weights(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_model m = with_weights();
    for (int train = 0; train < 2; train++) {
        m.train = (uint32_t)train;
        struct rnc_instance *i = rnc_open(&m, NULL, train ? 0 : RNC_EXEC_COPY, &s);
        float y[F];
        expect_sums(i);
        assert_true(rnc_set(i, "b", w, &s) && rnc_set(i, "w", w, &s) && run(i, y, &s));
        for (int k = 0; k < F; k++) assert_true(y[k] == w[k] + w[k]);
        rnc_close(i);
    }
    assert_memory_equal(block.b, b, sizeof b);
}

static void refuses_damaged_contents(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_model m = with_weights();
    m.state = &block.w[1];
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_non_null(strstr(s.message, "what it brings along"));
    s.code = RNC_OK;
    m = with_weights();
    m.nclasses = 3;
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_non_null(strstr(s.message, "what it brings along"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_buffers_that_are_not_there),
        cmocka_unit_test(refuses_before_all_is_set),
        cmocka_unit_test(refuses_after_a_failure),
        cmocka_unit_test(reads_its_own_weights),
        cmocka_unit_test(copies_its_own_weights),
        cmocka_unit_test(refuses_damaged_contents),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
