/* Packing of every layout, and the execution of a model whose kernels are written by hand in C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/exec.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/pool.h"

/* ---- packing */

static void check_round_trip(struct rnc_type t)
{
    int64_t n = rnc_elements(&t);
    size_t packed_bytes = rnc_packed_bytes(&t);
    float *x = malloc((size_t)n * 4 + 4), *y = malloc((size_t)n * 4 + 4), *p = malloc(packed_bytes + 4);
    for (int64_t k = 0; k < n; k++) x[k] = (float)(k + 1);
    memset(p, 0xff, packed_bytes + 4);
    rnc_pack(&t, x, p);
    rnc_unpack(&t, p, y);
    assert_memory_equal(x, y, (size_t)n * 4);
    double sum = 0.0;
    for (size_t k = 0; k < packed_bytes / 4; k++) sum += (double)p[k]; /* the padding is zero */
    assert_true(sum == (double)n * (double)(n + 1) / 2.0);
    assert_true(isnan(p[packed_bytes / 4]));
    free(x);
    free(y);
    free(p);
}

static void every_layout_round_trips(void **state)
{
    (void)state;
    static const int64_t channels[] = {1, 3, 16, 17, 32};
    for (uint8_t v = 4; v <= 16; v = (uint8_t)(v * 2))
        for (int a = 0; a < 5; a++) {
            int64_t c = channels[a];
            check_round_trip((struct rnc_type){.layout = RNC_BLOCKED, .rank = 1, .v = v, .dim = {c}});
            check_round_trip((struct rnc_type){.layout = RNC_BLOCKED, .rank = 2, .v = v, .dim = {3, c}});
            check_round_trip((struct rnc_type){.layout = RNC_BLOCKED, .rank = 4, .v = v, .dim = {2, c, 5, 7}});
            check_round_trip((struct rnc_type){.layout = RNC_DEPTHWISE, .rank = 4, .v = v, .dim = {c, 1, 3, 3}});
            for (int b = 0; b < 5; b++) {
                int64_t i = channels[b];
                check_round_trip((struct rnc_type){.layout = RNC_PLAIN, .rank = 4, .dim = {c, i, 3, 2}});
                check_round_trip((struct rnc_type){.layout = RNC_WEIGHT, .rank = 2, .v = v, .iv = v, .dim = {c, i}});
                check_round_trip((struct rnc_type){
                    .layout = RNC_WEIGHT, .rank = 4, .v = v, .iv = (uint8_t)(i < v ? i : v), .dim = {c, i, 3, 2}});
                check_round_trip((struct rnc_type){.layout = RNC_WEIGHT_T, .rank = 4, .v = v, .dim = {c, i, 1, 5}});
            }
        }
    check_round_trip((struct rnc_type){.layout = RNC_PLAIN, .rank = 0});
}

/* The written-down formulas of enum layout, element by element. */
static void layouts_are_as_documented(void **state)
{
    (void)state;
    enum { O = 19, I = 21, K = 6, V = 16 };
    static float plain[O * I * K], packed[32 * 32 * K];
    for (int k = 0; k < O * I * K; k++) plain[k] = (float)k;
    struct rnc_type w = {.layout = RNC_WEIGHT, .rank = 4, .v = V, .iv = V, .dim = {O, I, 2, 3}}, t = w;
    rnc_pack(&w, plain, packed);
    for (int o = 0; o < O; o++)
        for (int i = 0; i < I; i++)
            for (int k = 0; k < K; k++)
                assert_true(packed[(((o / V * 2 + i / V) * K + k) * V + i % V) * V + o % V] ==
                            plain[(o * I + i) * K + k]);
    t.layout = RNC_WEIGHT_T;
    rnc_pack(&t, plain, packed);
    for (int o = 0; o < O; o++)
        for (int i = 0; i < I; i++)
            for (int k = 0; k < K; k++)
                assert_true(packed[(((i / V * 2 + o / V) * K + k) * V + o % V) * V + i % V] ==
                            plain[(o * I + i) * K + k]);
}

/* bf16 weights: the numbers of two summed channels side by side; the padding is zero. */
static void bf16_weights_lie_in_pairs(void **state)
{
    (void)state;
    enum { O = 19, I = 21, K = 6, V = 16, ALL = 32 * 32 * K };
    static uint16_t plain[O * I * K], back[O * I * K], packed[ALL];
    for (int transposed = 0; transposed < 2; transposed++) {
        struct rnc_type t = {.dtype = RNC_BF16,
                             .layout = transposed ? RNC_WEIGHT_T : RNC_WEIGHT,
                             .rank = 4,
                             .v = V,
                             .iv = V,
                             .dim = {O, I, 2, 3}};
        for (int k = 0; k < O * I * K; k++) plain[k] = (uint16_t)(k + 1);
        assert_int_equal(rnc_packed_bytes(&t), sizeof packed);
        memset(packed, 0xff, sizeof packed);
        rnc_pack(&t, plain, packed);
        int64_t sum = 0;
        for (int k = 0; k < ALL; k++) sum += packed[k];
        assert_int_equal(sum, (int64_t)O * I * K * (O * I * K + 1) / 2);
        for (int o = 0; o < O; o++)
            for (int i = 0; i < I; i++)
                for (int k = 0; k < K; k++) {
                    int lane = transposed ? i : o, row = transposed ? o : i;
                    assert_int_equal(
                        packed[((((lane / V * 2 + row / V) * K + k) * (V / 2) + row % V / 2) * V + lane % V) * 2 +
                               row % 2],
                        plain[(o * I + i) * K + k]);
                }
        rnc_unpack(&t, packed, back);
        assert_memory_equal(plain, back, sizeof plain);
    }
}

/* ---- a model by hand: y = x·w + b for samples of 4 numbers, through the arena; w is trained by w += lr·step */

enum { N = 8, F = 4 };

static void scale_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    const float *x = args[0], *w = args[1];
    float *y = args[2], *tmp = scratch;
    (void)run;
    for (int64_t k = begin; k < end; k++)
        for (int f = 0; f < F; f++) {
            tmp[f] = x[k * F + f] * w[f];
            y[k * F + f] = tmp[f];
        }
}

static void bias_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    const float *x = args[0], *b = args[1], *constant = args[3];
    float *y = args[2];
    (void)run, (void)scratch;
    for (int64_t k = begin; k < end; k++)
        for (int f = 0; f < F; f++) y[k * F + f] = x[k * F + f] + b[f] + *constant;
}

static void update_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    float *w = args[0];
    (void)scratch, (void)begin, (void)end;
    for (int f = 0; f < F; f++) w[f] += (float)(run->lr * (double)run->step);
}

static const float constant_one = 1.0f;
static struct rnc_arg scale_args[] = {{RNC_INPUT, 0, 0}, {RNC_STATE, 0, 0}, {RNC_ARENA, 0, 0}};
static struct rnc_arg bias_args[] = {{RNC_ARENA, 0, 0}, {RNC_STATE, 0, 64}, {RNC_OUTPUT, 0, 0}, {RNC_CONST, 0, 0}};
static const struct rnc_arg update_args[] = {{RNC_STATE, 0, 0}};
static const struct rnc_step steps[] = {
    {.kernel = scale_kernel, .args = scale_args, .nargs = 3, .per_sample = 1, .tasks = 1},
    {.kernel = bias_kernel, .args = bias_args, .nargs = 4, .per_sample = 1, .tasks = 1, .node = 1},
    {.kernel = update_kernel, .args = update_args, .nargs = 1, .tasks = 1, .node = 2}};
static const struct rnc_tensor tensors[] = {
    {"w", RNC_ROLE_PARAM, RNC_INIT_KAIMING_NORMAL, {0}, 2, {.rank = 1, .dim = {F}}, 0, 0},
    {"b",
     RNC_ROLE_PARAM,
     RNC_INIT_UNIFORM_FAN_IN,
     {0},
     4,
     {.layout = RNC_BLOCKED, .v = 16, .rank = 1, .dim = {F}},
     64,
     0},
    {"count", RNC_ROLE_COUNTER, RNC_INIT_ZEROS, {0}, 0, {.dtype = RNC_I64}, 128, 0},
    {"x", RNC_ROLE_INPUT, 0, {0}, 0, {.rank = 2, .dim = {N, F}}, 0, 0},
    {"y", RNC_ROLE_OUTPUT, 0, {0}, 0, {.rank = 2, .dim = {N, F}}, 0, 0}};
static const struct rnc_node nodes[] = {{.name = "scale", .op = "mul"},
                                        {.name = "bias", .op = "add"},
                                        {.name = "update", .op = "sgd"}};
static const struct rnc_value values[] = {{"scaled", {.rank = 2, .dim = {N, F}}, {RNC_ARENA, 0, 0}}};
static struct rnc_model model = {.abi = RNC_ABI_VERSION,
                                 .sizes = RNC_SIZES,
                                 .train = 1,
                                 .name = "hand",
                                 .cpu = "any",
                                 .batch = N,
                                 .steps = steps,
                                 .nsteps = 3,
                                 .tensors = tensors,
                                 .ntensors = 5,
                                 .nodes = nodes,
                                 .nnodes = 3,
                                 .values = values,
                                 .nvalues = 1,
                                 .ninputs = 1,
                                 .noutputs = 1,
                                 .state_bytes = 136,
                                 .arena_bytes = N * F * 4,
                                 .scratch_bytes = 16};

static void ramp(float *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++) x[k] = (float)(k % 7) - 3.0f;
}

static void run_by_hand(const struct rnc_parallel *par, unsigned flags, float *y)
{
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&model, par, flags, &s);
    assert_non_null(i);
    float x[N * F], w[F], b[F];
    const void *in[] = {x};
    void *out[] = {y};
    ramp(x, N * F);
    assert_true(rnc_initialize(i, 5, &s) && rnc_get(i, "w", w, &s) && rnc_get(i, "b", b, &s));
    struct rnc_run run = {.n = 5, .step = 2, .lr = 0.5};
    assert_true(rnc_execute(i, &run, in, out, NULL, &s));
    for (int k = 0; k < 5 * F; k++) assert_true(y[k] == x[k] * w[k % F] + b[k % F] + 1.0f);
    float w2[F];
    int64_t count = -1;
    assert_true(rnc_get(i, "w", w2, &s) && rnc_get(i, "count", &count, &s));
    for (int k = 0; k < F; k++) assert_true(w2[k] == w[k] + 1.0f);
    assert_int_equal(count, 1);
    rnc_close(i);
}

static void runs_a_model(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    float alone[N * F], pooled[N * F];
    run_by_hand(NULL, 0, alone);
    for (int threads = 1; threads <= 3; threads++) {
        struct rnc_pool *p = rnc_pool_new(threads, &s);
        struct rnc_parallel par = rnc_pool_parallel(p);
        run_by_hand(&par, RNC_EXEC_CHECK, pooled);
        assert_memory_equal(alone, pooled, 5 * F * sizeof(float));
        rnc_pool_free(p);
    }
}

struct seen {
    const struct rnc_instance *i;
    int nodes;
    float value;
};
static void observe(void *ctx, uint32_t node, double seconds)
{
    struct seen *o = ctx;
    struct rnc_status s = {0};
    float v[N * F];
    assert_true(seconds >= 0.0);
    assert_int_equal(node, o->nodes++);
    if (node == 0) {
        assert_true(rnc_read_value(o->i, 0, v, &s));
        o->value = v[1];
    }
}

static void observes_and_reads_values(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&model, NULL, RNC_EXEC_CHECK, &s);
    float x[N * F], y[N * F], w[F] = {1, 2, 3, 4}, b[F] = {0};
    ramp(x, N * F);
    assert_true(rnc_set(i, "w", w, &s) && rnc_set(i, "b", b, &s));
    struct seen o = {.i = i};
    struct rnc_observer observer = {observe, &o};
    assert_true(rnc_execute(i, &(struct rnc_run){.n = N, .step = 1}, (const void *const[]){x}, (void *const[]){y},
                            &observer, &s));
    assert_int_equal(o.nodes, 3);
    assert_true(o.value == x[1] * 2.0f);
    rnc_close(i);
}

static void refuses(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_model m = model;
    m.abi = 99;
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_string_equal(s.message, "the model was compiled for ABI version 99 of rnc's runtime, this is version 2: "
                                   "compile it again");
    s.code = RNC_OK;
    m = model;
#if defined __x86_64__
    m.cpu_features = 8;
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_non_null(strstr(s.message, "NEON"));
#endif
    s.code = RNC_OK;
    m = model;
    m.arena_bytes = UINT64_C(1) << 60;
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_int_equal(s.code, RNC_ENV);
    s.code = RNC_OK;
    m = model;
    m.state_bytes = 64;
    assert_null(rnc_open(&m, NULL, 0, &s));
    assert_non_null(strstr(s.message, "damaged"));
    s.code = RNC_OK;
    struct rnc_instance *i = rnc_open(&model, NULL, 0, &s);
    assert_false(rnc_set(i, "nothing", "", &s));
    assert_non_null(strstr(s.message, "'nothing'"));
    s.code = RNC_OK;
    assert_false(
        rnc_execute(i, &(struct rnc_run){.n = N + 1}, (const void *const[]){NULL}, (void *const[]){NULL}, NULL, &s));
    rnc_close(i);
}

static void expect_refusal(const struct rnc_model *m, const char *sentence)
{
    struct rnc_status s = {0};
    assert_null(rnc_open(m, NULL, 0, &s));
    assert_int_equal(s.code, RNC_ENV);
    if (!strstr(s.message, sentence)) fail_msg("no '%s' in: %s", sentence, s.message);
}

/* Tables of another size, a field of a later version, a step of a reserved kind. */
static void refuses_other_tables(void **state)
{
    (void)state;
    struct rnc_model m = model;
    m.sizes.tensor += 8;
    char sentence[100];
    snprintf(sentence, sizeof sentence, "%zu bytes for a tensor, this runtime's have %zu", sizeof tensors[0] + 8,
             sizeof tensors[0]);
    expect_refusal(&m, sentence);
    m = model;
    m.reserved[3] = 1;
    expect_refusal(&m, "newer rnc and uses a field of its model");
    m = model;
    struct rnc_value v = values[0];
    v.type.reserved_scales[1] = 1;
    m.values = &v;
    expect_refusal(&m, "a field of its types");
    struct rnc_step step = steps[0];
    m = model;
    m.steps = &step;
    m.nsteps = 1;
    step.kind = RNC_STEP_COLLECTIVE;
    expect_refusal(&m, "a sum over processes (step 0, kind COLLECTIVE)");
    step.kind = RNC_STEP_COLLECTIVE + 1;
    expect_refusal(&m, "a field of its steps");
    step.kind = RNC_STEP_REGION;
    step.nargs = 2;
    expect_refusal(&m, "step 0 is not well formed");
    step.nargs = RNC_REGION_ARGS;
    step.nested = 1;
    expect_refusal(&m, "step 0 is not well formed");
    step.kind = RNC_STEP_KERNEL;
    step.nested = 0;
    step.kernel = NULL;
    expect_refusal(&m, "step 0 is not well formed");
}

/* ---- regions by hand: count and index stand in the input; inside, rows of x are doubled and sent back to y. */

enum { PLACES = 2 + N }; /* condition, count, index */

static void gather_double_scatter(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin,
                                  int64_t end)
{
    const float *x = args[0];
    float *y = args[1];
    (void)scratch;
    for (int64_t k = begin; k < end; k++) y[run->index ? run->index[k] : k] += 2 * x[run->index ? run->index[k] : k];
}

static void zero_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    float *y = args[0];
    (void)run, (void)scratch;
    for (int64_t k = begin; k < end; k++) y[k] = 0;
}

static const struct rnc_arg zero_args[] = {{RNC_OUTPUT, 0, 0}};
static const struct rnc_arg region_args[] = {{RNC_INPUT, 1, 0}, {RNC_INPUT, 1, 8}, {RNC_INPUT, 1, 16}};
static const struct rnc_arg first_args[] = {{RNC_NULL, 0, 0}, {RNC_INPUT, 2, 0}, {RNC_NULL, 0, 0}};
static const struct rnc_arg double_args[] = {{RNC_INPUT, 0, 0}, {RNC_OUTPUT, 0, 0}};
/* zero; region { double; region { double } }; double */
static const struct rnc_step region_steps[] = {
    {.kernel = zero_kernel, .args = zero_args, .nargs = 1, .per_sample = 1, .tasks = 1},
    {.kind = RNC_STEP_REGION, .args = region_args, .nargs = RNC_REGION_ARGS, .nested = 3, .node = 1},
    {.kernel = gather_double_scatter, .args = double_args, .nargs = 2, .per_sample = 1, .tasks = 1, .node = 2},
    {.kind = RNC_STEP_REGION, .args = first_args, .nargs = RNC_REGION_ARGS, .nested = 1, .node = 3},
    {.kernel = gather_double_scatter, .args = double_args, .nargs = 2, .per_sample = 1, .tasks = 1, .node = 4},
    {.kernel = gather_double_scatter, .args = double_args, .nargs = 2, .per_sample = 1, .tasks = 1, .node = 5}};
static const struct rnc_node region_nodes[] = {{.name = "zero"},  {.name = "outer"}, {.name = "a"},
                                               {.name = "inner"}, {.name = "b"},     {.name = "c"}};
static const struct rnc_model region_model = {.abi = RNC_ABI_VERSION,
                                              .sizes = RNC_SIZES,
                                              .name = "regions",
                                              .cpu = "any",
                                              .batch = N,
                                              .steps = region_steps,
                                              .nsteps = 6,
                                              .nodes = region_nodes,
                                              .nnodes = 6,
                                              .ninputs = 3,
                                              .noutputs = 1,
                                              .arena_bytes = 64};

static bool run_regions(const int64_t *where, int64_t inner, float *y, const struct rnc_observer *o,
                        struct rnc_status *s)
{
    float x[N];
    for (int k = 0; k < N; k++) x[k] = (float)(k + 1);
    struct rnc_instance *i = rnc_open(&region_model, NULL, RNC_EXEC_CHECK, s);
    bool ok = i && rnc_execute(i, &(struct rnc_run){.n = 6}, (const void *const[]){x, where, &inner},
                               (void *const[]){y}, o, s);
    rnc_close(i);
    return ok;
}

static void note_node(void *ctx, uint32_t node, double seconds)
{
    char *text = ctx;
    assert_true(seconds >= 0);
    text[strlen(text)] = (char)('0' + node);
}

/* WHERE: condition, count, index; INNER: samples of the inner region; ORDER: the nodes that the observer sees. */
static void expect_regions(const int64_t *where, int64_t inner, const float *want, const char *order)
{
    struct rnc_status s = {0};
    char seen[16] = {0};
    float y[N];
    struct rnc_observer o = {note_node, seen};
    assert_true(run_regions(where, inner, y, &o, &s));
    assert_string_equal(seen, order);
    for (int k = 0; k < 6; k++) assert_true(y[k] == want[k]);
}

static void runs_regions(void **state)
{
    (void)state;
    /* every sample gets 2 x at the end; 1, 3 and 4 in the outer region too, the first ones in the inner one */
    expect_regions((const int64_t[PLACES]){1, 3, 1, 3, 4}, 0, (const float[]){2, 8, 6, 16, 20, 12}, "02315");
    expect_regions((const int64_t[PLACES]){1, 3, 1, 3, 4}, 2, (const float[]){4, 12, 6, 16, 20, 12}, "024315");
    expect_regions((const int64_t[PLACES]){0, 3, 1, 3, 4}, 2, (const float[]){2, 4, 6, 8, 10, 12}, "015");
    expect_regions((const int64_t[PLACES]){1, 0}, 2, (const float[]){2, 4, 6, 8, 10, 12}, "015");
    expect_regions((const int64_t[PLACES]){1, 6, 0, 1, 2, 3, 4, 5}, 0, (const float[]){4, 8, 12, 16, 20, 24}, "02315");
}

static void expect_bad_region(const int64_t *where, int64_t inner, const char *sentence)
{
    struct rnc_status s = {0};
    float y[N];
    assert_false(run_regions(where, inner, y, NULL, &s));
    if (!strstr(s.message, sentence)) fail_msg("no '%s' in: %s", sentence, s.message);
}

static void refuses_samples_that_are_not_there(void **state)
{
    (void)state;
    expect_bad_region((const int64_t[PLACES]){1, 7}, 0, "region outer has 7 samples of a batch of 6");
    expect_bad_region((const int64_t[PLACES]){1, -1}, 0, "-1 samples");
    expect_bad_region((const int64_t[PLACES]){1, 2, 1, 6}, 0, "sample 6 at place 1 of a batch of 6");
    expect_bad_region((const int64_t[PLACES]){1, 2, 1, 1}, 0, "sample 1 at place 1");
    expect_bad_region((const int64_t[PLACES]){1, 2, 1, 3}, 3, "region inner has 3 samples of a batch of 2");
}

/* The same name gives the same values, whatever else the model has; the spread is that of He et al. 2015. */
static void initialisation_is_keyed_by_name(void **state)
{
    (void)state;
    enum { BIG = 40000 };
    static float a[BIG], b[BIG];
    struct rnc_tensor t[] = {
        {"conv.weight", RNC_ROLE_PARAM, RNC_INIT_KAIMING_NORMAL, {0}, 50, {.rank = 1, .dim = {BIG}}, 0, 0},
        {"fc.weight", RNC_ROLE_PARAM, RNC_INIT_UNIFORM_FAN_IN, {0}, 100, {.rank = 1, .dim = {BIG}}, BIG * 4, 0}};
    struct rnc_model m = {.abi = RNC_ABI_VERSION,
                          .sizes = RNC_SIZES,
                          .name = "init",
                          .cpu = "any",
                          .batch = 1,
                          .tensors = t,
                          .ntensors = 2,
                          .state_bytes = BIG * 8};
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&m, NULL, 0, &s);
    assert_true(rnc_initialize(i, 1, &s) && rnc_get(i, "conv.weight", a, &s) && rnc_get(i, "fc.weight", b, &s));
    double mean = 0, var = 0, top = 0;
    for (int k = 0; k < BIG; k++) mean += (double)a[k] / (double)BIG, top = fmax(top, fabs((double)b[k]));
    for (int k = 0; k < BIG; k++) var += ((double)a[k] - mean) * ((double)a[k] - mean) / (double)BIG;
    assert_true(fabs(mean) < 0.004 && fabs(var - 0.04) < 0.002 && top <= 0.1 && top > 0.099);
    rnc_close(i);
    m.tensors = t + 1; /* alone */
    t[1].offset = 0;
    m.ntensors = 1;
    i = rnc_open(&m, NULL, 0, &s);
    assert_true(rnc_initialize(i, 1, &s) && rnc_get(i, "fc.weight", a, &s));
    assert_memory_equal(a, b, sizeof a);
    rnc_close(i);
}

/* ---- loading */

static const float fold_w[] = {1, 2, 3, 4}, fold_g[] = {2, 3}, fold_b[] = {1, 1}, fold_mean[] = {10, 20},
                   fold_var[] = {4, 9};
static const struct rnc_tensor fold_tensors[] = {
    {"w", 0, 0, {0}, 1, {.rank = 4, .dim = {2, 1, 1, 2}}, RNC_NOT_STORED, 0},
    {"g", 0, 0, {0}, 1, {.rank = 1, .dim = {2}}, RNC_NOT_STORED, 0},
    {"b", 0, 0, {0}, 1, {.rank = 1, .dim = {2}}, RNC_NOT_STORED, 0},
    {"m", 0, 0, {0}, 1, {.rank = 1, .dim = {2}}, RNC_NOT_STORED, 0},
    {"v", 0, 0, {0}, 1, {.rank = 1, .dim = {2}}, RNC_NOT_STORED, 0}};
static const struct rnc_prepare fold_prepare = {.kind = RNC_PREPARE_BN_FOLD,
                                                .in = {0, -1, 1, 2, 3, 4},
                                                .eps = 0.0,
                                                .out = {{{.rank = 4, .dim = {2, 1, 1, 2}}, 0},
                                                        {{.rank = 1, .dim = {2}}, 16}}};
static const struct rnc_model fold_model = {.abi = RNC_ABI_VERSION,
                                            .sizes = RNC_SIZES,
                                            .name = "fold",
                                            .cpu = "any",
                                            .batch = 1,
                                            .tensors = fold_tensors,
                                            .ntensors = 5,
                                            .prepares = &fold_prepare,
                                            .nprepares = 1,
                                            .state_bytes = 24};

static bool set_fold(struct rnc_instance *i, struct rnc_status *s)
{
    return rnc_set(i, "w", fold_w, s) && rnc_set(i, "g", fold_g, s) && rnc_set(i, "b", fold_b, s) &&
           rnc_set(i, "m", fold_mean, s) && rnc_set(i, "v", fold_var, s);
}

static void assert_folded(struct rnc_instance *i)
{
    size_t bytes;
    const float *x = rnc_state(i, &bytes), want[] = {1, 2, 3, 4, -9, -19};
    assert_memory_equal(x, want, sizeof want);
}

/* What goes into a prepared form alone is gone once that form is there, and says so. */
static void folds_batch_norm(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&fold_model, NULL, 0, &s);
    float back[4];
    assert_true(rnc_set(i, "w", fold_w, &s) && rnc_get(i, "w", back, &s));
    assert_int_equal(rnc_instance_memory(i).plain, 16);
    assert_false(rnc_prepare(i, &s));
    assert_non_null(strstr(s.message, "'g'"));
    s.code = RNC_OK;
    assert_true(set_fold(i, &s));
    assert_int_equal(rnc_instance_memory(i).plain, 0);
    assert_folded(i);
    assert_false(rnc_get(i, "w", back, &s));
    assert_true(s.code == RNC_USER && strstr(s.message, "does not have 'w'"));
    s.code = RNC_OK;
    assert_true(rnc_prepare(i, &s));
    assert_folded(i);
    assert_true(rnc_set(i, "g", fold_g, &s)); /* alone: the others are gone */
    assert_false(rnc_prepare(i, &s));
    s.code = RNC_OK;
    assert_true(set_fold(i, &s) && rnc_prepare(i, &s));
    assert_folded(i);
    rnc_close(i);
}

static void keeps_what_it_is_told_to(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_instance *i = rnc_open(&fold_model, NULL, RNC_EXEC_KEEP, &s);
    float back[4], other[] = {4, 6};
    assert_true(set_fold(i, &s) && rnc_prepare(i, &s) && rnc_get(i, "w", back, &s));
    assert_memory_equal(back, fold_w, sizeof fold_w);
    assert_int_equal(rnc_instance_memory(i).plain, 48);
    assert_folded(i);
    assert_true(rnc_set(i, "g", other, &s) && rnc_prepare(i, &s));
    size_t bytes;
    assert_true(((const float *)rnc_state(i, &bytes))[3] == 8.0f);
    rnc_close(i);
}

struct spy {
    const float *from;
    int64_t largest, total;
};

static bool read_spied(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                       struct rnc_status *s)
{
    struct spy *y = ctx;
    (void)t, (void)s;
    if (count > y->largest) y->largest = count;
    y->total += count;
    memcpy(plain, y->from + first, (size_t)count * sizeof(float));
    return true;
}

/* Packed task by task is packed whole, and a task is small. */
static void loads_by_slabs(void **state)
{
    (void)state;
    enum { O = 250, I = 130, COUNT = O * I * 9 };
    static const struct rnc_type types[] = {
        {.rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WEIGHT, .v = 16, .iv = 16, .rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WEIGHT, .v = 8, .iv = 1, .rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WINOGRAD, .v = 16, .iv = 4, .rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WINOGRAD, .v = 16, .iv = 5, .rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WINOGRAD_T, .v = 8, .iv = 2, .rank = 4, .dim = {O, I, 3, 3}},
        {.layout = RNC_WEIGHT_T, .v = 16, .iv = 16, .rank = 4, .dim = {O, I, 3, 3}},
        {.dtype = RNC_BF16, .layout = RNC_WEIGHT, .v = 16, .iv = 16, .rank = 4, .dim = {O, I, 3, 3}},
        {.dtype = RNC_BF16, .layout = RNC_WEIGHT_T, .v = 16, .iv = 16, .rank = 4, .dim = {O, I, 3, 3}}};
    uint16_t *narrow = malloc(COUNT * sizeof *narrow);
    float *x = malloc(COUNT * sizeof *x);
    for (int k = 0; k < COUNT; k++) {
        uint32_t bits;
        x[k] = (float)(k % 8191);
        memcpy(&bits, &x[k], sizeof bits);
        narrow[k] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        size_t bytes = rnc_packed_bytes(&types[k]);
        struct rnc_tensor t = {"w", RNC_ROLE_PARAM, 0, {0}, 1, {.rank = 4, .dim = {O, I, 3, 3}}, RNC_NOT_STORED, 0};
        struct rnc_prepare p = {.kind = RNC_PREPARE_PACK,
                                .in = {0, -1, -1, -1, -1, -1},
                                .out = {{types[k], 0}, {types[k], 0}}};
        struct rnc_model m = {.abi = RNC_ABI_VERSION,
                              .sizes = RNC_SIZES,
                              .name = "slabs",
                              .cpu = "any",
                              .batch = 1,
                              .tensors = &t,
                              .ntensors = 1,
                              .prepares = &p,
                              .nprepares = 1,
                              .state_bytes = bytes};
        struct rnc_status s = {0};
        struct spy y = {.from = x};
        struct rnc_instance *i = rnc_open(&m, NULL, 0, &s);
        float *want = malloc(bytes);
        rnc_pack(&types[k], types[k].dtype == RNC_BF16 ? (void *)narrow : x, want);
        assert_true(i && rnc_load(i, &(struct rnc_source){read_spied, &y}, true, &s));
        assert_memory_equal(rnc_state(i, &(size_t){0}), want, bytes);
        assert_int_equal(y.total, COUNT);
        if (types[k].layout != RNC_WINOGRAD_T && types[k].layout != RNC_WEIGHT_T)
            assert_true(y.largest * 4 <= 512 << 10);
        assert_int_equal(rnc_instance_memory(i).plain, 0);
        rnc_close(i);
        free(want);
    }
    free(narrow);
    free(x);
}

/* Transformed weights lead back to the plain ones, but for rounding. */
static void transformed_weights_back(void **state)
{
    (void)state;
    enum { O = 17, I = 19, COUNT = O * I * 9 };
    static const int tiles[] = {2, 4, 5, 6, 4};
    float x[COUNT], y[COUNT];
    for (int k = 0; k < COUNT; k++) x[k] = (float)((k * 7919) % 257 - 128) / 128;
    for (int k = 0; k < 9; k++) {
        struct rnc_type t = {.layout = k == 8  ? RNC_WINOGRAD_S
                                       : k % 2 ? RNC_WINOGRAD_T
                                               : RNC_WINOGRAD,
                             .v = 16,
                             .iv = (uint8_t)tiles[k / 2],
                             .rank = 4,
                             .dim = {O, I, 3, 3}};
        float *packed = malloc(rnc_packed_bytes(&t));
        rnc_pack(&t, x, packed);
        rnc_unpack(&t, packed, y);
        for (int i = 0; i < COUNT; i++) assert_true(fabsf(x[i] - y[i]) < 1e-5f);
        free(packed);
    }
}

static void fresh_values_in_parts(void **state)
{
    (void)state;
    enum { COUNT = 30 };
    for (int init = RNC_INIT_ZEROS; init <= RNC_INIT_TRUNCATED_NORMAL; init++) {
        const struct rnc_tensor t = {"w", RNC_ROLE_PARAM, (uint8_t)init, {0}, 9, {.rank = 1, .dim = {COUNT}}, 0, 0.5};
        float all[COUNT], part[COUNT];
        rnc_fresh_values(NULL, &t, 3, 0, COUNT, all);
        for (int first = 0; first < 9; first++)
            for (int count = 0; count <= COUNT - first; count += 3) {
                rnc_fresh_values(NULL, &t, 3, first, count, part);
                assert_memory_equal(part, all + first, (size_t)count * sizeof(float));
            }
    }
}

int main(void)
{
    bias_args[3].offset = (uint64_t)(uintptr_t)&constant_one;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_round_trips),
        cmocka_unit_test(layouts_are_as_documented),
        cmocka_unit_test(runs_a_model),
        cmocka_unit_test(observes_and_reads_values),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_other_tables),
        cmocka_unit_test(runs_regions),
        cmocka_unit_test(refuses_samples_that_are_not_there),
        cmocka_unit_test(initialisation_is_keyed_by_name),
        cmocka_unit_test(folds_batch_norm),
        cmocka_unit_test(keeps_what_it_is_told_to),
        cmocka_unit_test(transformed_weights_back),
        cmocka_unit_test(loads_by_slabs),
        cmocka_unit_test(bf16_weights_lie_in_pairs),
        cmocka_unit_test(fresh_values_in_parts),
    };
    return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
