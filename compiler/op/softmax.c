/* softmax.c: softmax over the channels of features [N, C] or of each pixel of an image. */
#include <math.h>
#include "op/rule.h"
#include "op/softmax.h"

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand operands_dy_y[] = {{"dy", OPERAND_VALUE, false}, {"y", OPERAND_VALUE, false}};

static bool infer_softmax(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    return rule_value(&in[0], RULE_VALUE, "the input", e) && rule_result(out, in[0].dtype, in[0].rank, in[0].dim, e);
}

static bool infer_softmax_grad(const struct type *in, int nin, const struct attr *attr, struct type *out,
                               struct op_error *e)
{
    return infer_softmax(in, nin, attr, out, e) && rule_value(&in[1], RULE_VALUE, "y", e) &&
           rule_match(&in[0], &in[1], e);
}

static void grad_softmax(struct grad_call *g)
{
    if (!g->need[0] || !g->dy[0]) return;
    g->dx[0] = op_build(g->graph, NULL, "softmax_grad", (struct value *[]){g->dy[0], g->node->out[0]}, 2)->out[0];
}

/* Sample by sample, pixel by pixel: y = exp(x − max) / Σ exp(x − max). */
static void ref_softmax(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    int64_t pixels = ref_pixels(t), channels = t->dim[1];
    for (int64_t n = 0; n < ref_samples(c, t); n++)
        for (int64_t i = 0; i < pixels; i++) {
            const double *x = c->in[0].data + n * channels * pixels + i;
            double *y = c->out[0].data + n * channels * pixels + i, most = x[0], sum = 0;
            for (int64_t ch = 1; ch < channels; ch++) most = fmax(most, x[ch * pixels]);
            for (int64_t ch = 0; ch < channels; ch++) sum += exp(x[ch * pixels] - most);
            for (int64_t ch = 0; ch < channels; ch++) y[ch * pixels] = exp(x[ch * pixels] - most) / sum;
        }
}

/* dx = y·(dy − Σ dy·y). */
static void ref_softmax_grad(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    int64_t pixels = ref_pixels(t), channels = t->dim[1];
    for (int64_t n = 0; n < ref_samples(c, t); n++)
        for (int64_t i = 0; i < pixels; i++) {
            int64_t at = n * channels * pixels + i;
            const double *dy = c->in[0].data + at, *y = c->in[1].data + at;
            double sum = 0;
            for (int64_t ch = 0; ch < channels; ch++) sum += dy[ch * pixels] * y[ch * pixels];
            for (int64_t ch = 0; ch < channels; ch++)
                c->out[0].data[at + ch * pixels] = y[ch * pixels] * (dy[ch * pixels] - sum);
        }
}

static const struct op_test tests_softmax[] = {
    {"x=2,3", 1e-6},
    {"x=1,1", 1e-6},
    {"x=3,17", 1e-6},
    {"x=1,1000 range=-9,9", 1e-6},
    {"x=2,3,7,7", 1e-6},
    {"x=3,17,13,1", 1e-6},
    {"x=1,16,5,5 range=-60,60", 1e-5},
};
static const struct op_test tests_softmax_grad[] = {
    {"dy=2,3 y=2,3", 1e-6},
    {"dy=1,1 y=1,1", 1e-6},
    {"dy=3,17 y=3,17", 1e-6},
    {"dy=2,3,7,7 y=2,3,7,7", 1e-6},
    {"dy=3,17,13,1 y=3,17,13,1", 1e-6},
};

#define SOFTMAX(C, F)                                                                                           \
    .class_ = C, .family = &family_softmax, .nouts = 1, .infer = infer_##F, .ref = ref_##F, .tests = tests_##F, \
    .ntests = COUNT_OF(tests_##F)

const struct op_def op_softmax_rows[] = {
    {.name = "softmax",
     .help = "exp(x) divided by its sum over the channels",
     .variant = SOFTMAX,
     .squash = SQUASH_SOFTMAX,
     SOFTMAX(OP_LAYER, softmax),
     .operands = operand_x,
     .noperands = 1,
     .grad = grad_softmax},
    {.name = "softmax_grad",
     .help = "gradient of softmax, from its result",
     .variant = SOFTMAX_GRAD,
     .phase = PHASE_BACKWARD,
     SOFTMAX(OP_INTERNAL, softmax_grad),
     .operands = operands_dy_y,
     .noperands = 2},
};
const int op_softmax_nrows = COUNT_OF(op_softmax_rows);
