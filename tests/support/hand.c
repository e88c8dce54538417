/* hand.c: the model, its kernels in plain C. */
#include "tests/support/hand.h"
#include "runtime/recipe/target.h"

#include <math.h>
#include <stddef.h>

static void forward(const float *x, const float *w, const float *b, float *y)
{
    for (int c = 0; c < CLASSES; c++) {
        float sum = b[c];
        for (int k = 0; k < PIXELS; k++) sum += x[k] * w[c * PIXELS + k];
        y[c] = sum;
    }
}

static void forward_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    (void)run, (void)scratch;
    for (int64_t n = begin; n < end; n++)
        forward((const float *)args[0] + n * PIXELS, args[1], args[2], (float *)args[3] + n * CLASSES);
}

static void train_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    float *gradient = args[5], *losses = args[6];
    forward_kernel(args, run, scratch, begin, end);
    for (int64_t n = begin; n < end; n++) {
        const float *y = (const float *)args[3] + n * CLASSES;
        int64_t label = ((const int64_t *)args[4])[n];
        float top = y[0], sum = 0.0f;
        for (int c = 1; c < CLASSES; c++) top = fmaxf(top, y[c]);
        for (int c = 0; c < CLASSES; c++) sum += expf(y[c] - top);
        losses[n] = logf(sum) - (y[label] - top);
        for (int c = 0; c < CLASSES; c++)
            gradient[n * CLASSES + c] = (expf(y[c] - top) / sum - (float)(c == label)) / (float)run->n;
    }
}

static void loss_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    float sum = 0.0f;
    (void)scratch, (void)begin, (void)end;
    for (int64_t n = 0; n < run->n; n++) sum += ((const float *)args[0])[n];
    *(float *)args[1] = sum / (float)run->n;
}

static void update_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end)
{
    const float *x = args[0], *gradient = args[1];
    float *w = args[2], *b = args[3], *m = args[4], lr = (float)run->lr;
    (void)scratch;
    for (int64_t c = begin; c < end; c++) {
        for (int k = 0; k < PIXELS; k++) {
            float g = 0.0f;
            for (int64_t n = 0; n < run->n; n++) g += gradient[n * CLASSES + c] * x[n * PIXELS + k];
            m[c * PIXELS + k] = 0.9f * m[c * PIXELS + k] + g;
            w[c * PIXELS + k] -= lr * m[c * PIXELS + k];
        }
        for (int64_t n = 0; n < run->n; n++) b[c] -= lr * gradient[n * CLASSES + c];
    }
}

enum {
    W = 0,
    B = WEIGHTS * 4,
    M = B + 64,
    COUNT_AT = M + WEIGHTS * 4,
    STATE = COUNT_AT + 8,
    GRADIENT = 0,
    LOSSES = N * CLASSES * 4
};
static const struct rnc_arg train_args[] = {{RNC_INPUT, 0, 0},     {RNC_STATE, 0, W}, {RNC_STATE, 0, B},
                                            {RNC_OUTPUT, 0, 0},    {RNC_INPUT, 1, 0}, {RNC_ARENA, 0, GRADIENT},
                                            {RNC_ARENA, 0, LOSSES}};
static const struct rnc_arg loss_args[] = {{RNC_ARENA, 0, LOSSES}, {RNC_OUTPUT, 1, 0}};
static const struct rnc_arg update_args[] = {
    {RNC_INPUT, 0, 0}, {RNC_ARENA, 0, GRADIENT}, {RNC_STATE, 0, W}, {RNC_STATE, 0, B}, {RNC_STATE, 0, M}};
static const struct rnc_step train_steps[] = {
    {.kernel = train_kernel, .args = train_args, .nargs = 7, .per_sample = 1, .tasks = 1},
    {.kernel = loss_kernel, .args = loss_args, .nargs = 2, .tasks = 1},
    {.kernel = update_kernel, .args = update_args, .nargs = 5, .tasks = CLASSES}};
static const struct rnc_tensor tensors[] = {
    {"fc.weight", RNC_ROLE_PARAM, RNC_INIT_UNIFORM_FAN_IN, {0}, PIXELS, {.rank = 2, .dim = {CLASSES, PIXELS}}, W, 0},
    {"fc.bias", RNC_ROLE_PARAM, RNC_INIT_ZEROS, {0}, 1, {.rank = 1, .dim = {CLASSES}}, B, 0},
    {"image", RNC_ROLE_INPUT, 0, {0}, 0, {.rank = 4, .dim = {N, 1, 20, 20}}, 0, 0},
    {"logits", RNC_ROLE_OUTPUT, 0, {0}, 0, {.rank = 2, .dim = {N, CLASSES}}, 0, 0},
    /* training only, from here */
    {"optim.momentum.fc.weight", RNC_ROLE_OPTIM, RNC_INIT_ZEROS, {0}, 1, {.rank = 2, .dim = {CLASSES, PIXELS}}, M, 0},
    {"batches", RNC_ROLE_COUNTER, RNC_INIT_ZEROS, {0}, 0, {.dtype = RNC_I64}, COUNT_AT, 0},
    {"label", RNC_ROLE_TARGET, 0, {0}, 0, {.dtype = RNC_I64, .rank = 1, .dim = {N}}, 1, 0},
    {"loss", RNC_ROLE_OUTPUT, 0, {0}, 0, {.rank = 0}, 1, 0}};
static const struct rnc_tensor infer_tensors[] = {
    {"fc.weight", RNC_ROLE_PARAM, RNC_INIT_UNIFORM_FAN_IN, {0}, PIXELS, {.rank = 2, .dim = {CLASSES, PIXELS}}, W, 0},
    {"fc.bias", RNC_ROLE_PARAM, RNC_INIT_ZEROS, {0}, 1, {.rank = 1, .dim = {CLASSES}}, B, 0},
    {"image", RNC_ROLE_INPUT, 0, {0}, 0, {.rank = 4, .dim = {N, 1, 20, 20}}, 0, 0},
    {"label", RNC_ROLE_TARGET, 0, {0}, 0, {.dtype = RNC_I64, .rank = 1, .dim = {N}}, 1, 0},
    {"logits", RNC_ROLE_OUTPUT, 0, {0}, 0, {.rank = 2, .dim = {N, CLASSES}}, 0, 0},
    {"loss", RNC_ROLE_OUTPUT, 0, {0}, 0, {.rank = 0}, 1, 0}};
struct rnc_node nodes[1] = {{.name = "fc", .op = "dense", .algorithm = "by hand"}};
/* What both models have in common. */
#define HAND_MODEL                                                                                        \
    .abi = RNC_ABI_VERSION, .sizes = RNC_SIZES, .name = "hand", .cpu = "any", .lanes = 1, .batch = N,     \
    .steps = train_steps, .nodes = nodes, .nnodes = 1, .ninputs = 2, .noutputs = 2, .state_bytes = STATE, \
    .arena_bytes = N * CLASSES * 4 + N * 4
const struct rnc_model infer_model = {HAND_MODEL, .nsteps = 2 /* no update */, .tensors = infer_tensors, .ntensors = 6};
struct rnc_model train_model = {HAND_MODEL, .train = 1, .nsteps = 3, .tensors = tensors, .ntensors = 8};

struct rnc_port ports[2] = {{.name = "image", .dtype = RNC_F32, .rank = 3, .dim = {1, 20, 20}, .ignore = -1},
                            {.name = "label", .target = true, .dtype = RNC_I64, .classes = CLASSES, .ignore = -1}};
static struct rnc_pair pairs[] = {{"logits", "label", RNC_LOGITS, NULL}};
struct rnc_term terms[1] = {
    {.name = "logits", .output = "loss", .target = "label", .labels = true, .classes = CLASSES, .ignore = -1}};

double hand_values[16];
static struct rnc_column column[16];

void hand_problem(struct rnc_problem *p)
{
    const struct rnc_metric *asked[] = {rnc_metric_named("top5")};
    struct rnc_status s = {0};
    *p = (struct rnc_problem){.ports = ports, .nports = 2, .pairs = pairs, .npairs = 1, .terms = terms, .nterms = 1};
    ports[1].picture = rnc_target_named("class");
    pairs[0].task = rnc_task_of(RNC_LOGITS, &ports[1]);
    rnc_problem_columns(p, column, asked, 1, &s);
}
