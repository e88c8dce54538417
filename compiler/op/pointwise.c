/* pointwise.c: operators that compute one element of the result from the same element of each operand.
   The expression is what gen/ compiles; the reference says the same in C, in double.
   The references compute every element: a sum of two gradients of one weight has no batch dimension, and what samples
   past n hold is never read. */
#include <math.h>
#include "op/rule.h"

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};
static const struct op_operand operands_ab[] = {{"a", OPERAND_VALUE, false}, {"b", OPERAND_VALUE, false}};
static const struct op_operand operands_dy_y[] = {{"dy", OPERAND_VALUE, false}, {"y", OPERAND_VALUE, false}};
static const struct op_operand operands_dy_x[] = {{"dy", OPERAND_VALUE, false}, {"x", OPERAND_VALUE, false}};

static const struct op_operand operands_prelu[] = {{"x", OPERAND_VALUE, false}, {"weight", OPERAND_PARAM, false}};
static const struct op_operand operands_prelu_grad[] = {{"dy", OPERAND_VALUE, false},
                                                        {"x", OPERAND_VALUE, false},
                                                        {"weight", OPERAND_PARAM, false}};

/* ---- shapes */

static bool infer_unary(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    return rule_value(&in[0], RULE_ANY, "the input", e) && rule_result(out, in[0].dtype, in[0].rank, in[0].dim, e);
}

static bool infer_binary(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    return rule_value(&in[0], RULE_ANY, "the left operand", e) &&
           rule_value(&in[1], RULE_ANY, "the right operand", e) && rule_match(&in[0], &in[1], e) &&
           rule_result(out, in[0].dtype, in[0].rank, in[0].dim, e);
}

/* The last operand is a slope for each channel of the ones before it. */
static bool infer_prelu(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)attr;
    const struct type *x = &in[nin - 2];
    return rule_value(x, RULE_VALUE, "x", e) && rule_vector(&in[nin - 1], x->dim[1], "the slopes", e) &&
           (nin == 2 || rule_match(&in[0], x, e)) && rule_result(out, x->dtype, x->rank, x->dim, e);
}

static int params_prelu(const struct type *in, int nin, const struct attr *attr, struct param_decl *out,
                        struct op_error *e)
{
    (void)nin;
    if (!rule_value(&in[0], RULE_VALUE, "x", e)) return -1;
    out[0] = (struct param_decl){.suffix = "weight",
                                 .kind = VALUE_PARAM,
                                 .type = type_make(DT_F32, 1, &in[0].dim[1]),
                                 .init = INIT_CONSTANT,
                                 .value = attr[0].f};
    return 1;
}

static bool identity_leaky(const struct node *n, bool train)
{
    (void)train;
    return node_float(n, "slope") == 1;
}

/* ---- gradients */

/* dx = GRAD_OP(dy, SAVED), which has the attributes of the forward operator. */
static void build_grad(struct grad_call *g, const char *grad_op, struct value *saved)
{
    if (!g->need[0] || !g->dy[0]) return;
    struct value *in[] = {g->dy[0], saved};
    g->dx[0] = op_build_attrs(g->graph, NULL, grad_op, in, 2, g->node->attr)->out[0];
}

static void grad_relu(struct grad_call *g) { build_grad(g, "relu_grad", g->node->out[0]); }
static void grad_relu6(struct grad_call *g) { build_grad(g, "relu6_grad", g->node->out[0]); }
static void grad_leaky_relu(struct grad_call *g) { build_grad(g, "leaky_relu_grad", g->node->out[0]); }
static void grad_sigmoid(struct grad_call *g) { build_grad(g, "sigmoid_grad", g->node->out[0]); }
static void grad_tanh(struct grad_call *g) { build_grad(g, "tanh_grad", g->node->out[0]); }
static void grad_silu(struct grad_call *g) { build_grad(g, "silu_grad", g->node->in[0]); }
static void grad_gelu(struct grad_call *g) { build_grad(g, "gelu_grad", g->node->in[0]); }
static void grad_elu(struct grad_call *g) { build_grad(g, "elu_grad", g->node->out[0]); }
static void grad_hardswish(struct grad_call *g) { build_grad(g, "hardswish_grad", g->node->in[0]); }

/* dw = Σ over samples and pixels of dy·min(x, 0). */
static void grad_prelu(struct grad_call *g)
{
    struct value *dy = g->dy[0], *x = g->node->in[0], *weight = g->node->in[1];
    if (!dy) return;
    if (g->need[0]) g->dx[0] = op_build(g->graph, NULL, "prelu_grad", (struct value *[]){dy, x, weight}, 3)->out[0];
    if (!g->need[1]) return;
    struct node *terms = op_build(g->graph, NULL, "prelu_slope_grad", (struct value *[]){dy, x}, 2);
    g->dx[1] = op_build(g->graph, NULL, OPNAME_CHANNEL_SUM, terms->out, 1)->out[0];
}

static void grad_add(struct grad_call *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i]) g->dx[i] = g->dy[0];
}

static void grad_mul(struct grad_call *g)
{
    if (!g->dy[0]) return;
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            g->dx[i] = op_build(g->graph, NULL, "mul", (struct value *[]){g->dy[0], g->node->in[1 - i]}, 2)->out[0];
}

/* ---- references */

static void map1(struct ref_call *c, double (*f)(double))
{
    int64_t count = type_elements(c->out[0].type);
    for (int64_t i = 0; i < count; i++) c->out[0].data[i] = f(c->in[0].data[i]);
}

static void map2(struct ref_call *c, double (*f)(double, double))
{
    int64_t count = type_elements(c->out[0].type);
    for (int64_t i = 0; i < count; i++) c->out[0].data[i] = f(c->in[0].data[i], c->in[1].data[i]);
}

static double relu(double x) { return x > 0 || isnan(x) ? x : 0; }
static double relu6(double x) { return x > 6 ? 6 : relu(x); }
static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double silu(double x) { return x * sigmoid(x); }
static double add(double a, double b) { return a + b; }
static double mul(double a, double b) { return a * b; }
static double relu_grad(double dy, double y) { return y > 0 ? dy : 0; }
static double relu6_grad(double dy, double y) { return y > 0 && y < 6 ? dy : 0; }
static double sigmoid_grad(double dy, double y) { return dy * (1 - y) * y; }
static double tanh_grad(double dy, double y) { return dy * (1 - y * y); }
static double silu_grad(double dy, double x) { return dy * (sigmoid(x) + x * sigmoid(x) * sigmoid(-x)); }

/* Hendrycks and Gimpel 2016: x·Φ(x), and the approximation by tanh. */
static double gelu(double x) { return x * 0.5 * erfc(-x * M_SQRT1_2); }
static double gelu_inner(double x) { return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
static double gelu_tanh(double x) { return 0.5 * x * (1 + tanh(gelu_inner(x))); }
static double gelu_grad(double dy, double x)
{
    return dy * (0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI));
}
static double gelu_tanh_grad(double dy, double x)
{
    double t = tanh(gelu_inner(x)), inner = sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner);
}

/* Howard et al. 2019; the gradient at the kinks as PyTorch has it. */
static double hardswish(double x) { return x * relu6(x + 3) / 6; }
static double hardswish_grad(double dy, double x) { return x >= 3 ? dy : x > -3 ? dy * (x / 3 + 0.5) : 0; }

static void ref_relu(struct ref_call *c) { map1(c, relu); }
static void ref_relu6(struct ref_call *c) { map1(c, relu6); }
static void ref_sigmoid(struct ref_call *c) { map1(c, sigmoid); }
static void ref_silu(struct ref_call *c) { map1(c, silu); }
static void ref_tanh(struct ref_call *c) { map1(c, tanh); }
static void ref_gelu(struct ref_call *c) { map1(c, ref_int(c, "approximate") ? gelu_tanh : gelu); }
static void ref_hardswish(struct ref_call *c) { map1(c, hardswish); }
static void ref_hardswish_grad(struct ref_call *c) { map2(c, hardswish_grad); }
static void ref_add(struct ref_call *c) { map2(c, add); }
static void ref_mul(struct ref_call *c) { map2(c, mul); }
static void ref_relu_grad(struct ref_call *c) { map2(c, relu_grad); }
static void ref_relu6_grad(struct ref_call *c) { map2(c, relu6_grad); }
static void ref_sigmoid_grad(struct ref_call *c) { map2(c, sigmoid_grad); }
static void ref_tanh_grad(struct ref_call *c) { map2(c, tanh_grad); }
static void ref_silu_grad(struct ref_call *c) { map2(c, silu_grad); }
static void ref_gelu_grad(struct ref_call *c) { map2(c, ref_int(c, "approximate") ? gelu_tanh_grad : gelu_grad); }

static void ref_leaky_relu(struct ref_call *c)
{
    int64_t count = type_elements(c->out[0].type);
    double slope = ref_float(c, "slope");
    for (int64_t i = 0; i < count; i++) {
        double x = c->in[0].data[i];
        c->out[0].data[i] = x > 0 ? x : slope * x;
    }
}

/* Clevert et al. 2016. */
static void ref_elu(struct ref_call *c)
{
    int64_t count = type_elements(c->out[0].type);
    double alpha = ref_float(c, "alpha");
    for (int64_t i = 0; i < count; i++) {
        double x = c->in[0].data[i];
        c->out[0].data[i] = x > 0 ? x : alpha * expm1(x);
    }
}

static void ref_elu_grad(struct ref_call *c)
{
    int64_t count = type_elements(c->out[0].type);
    double alpha = ref_float(c, "alpha");
    for (int64_t i = 0; i < count; i++) {
        double y = c->in[1].data[i];
        c->out[0].data[i] = c->in[0].data[i] * (y > 0 ? 1 : y + alpha);
    }
}

static void ref_leaky_relu_grad(struct ref_call *c)
{
    int64_t count = type_elements(c->out[0].type);
    double slope = ref_float(c, "slope");
    for (int64_t i = 0; i < count; i++) c->out[0].data[i] = c->in[0].data[i] * (c->in[1].data[i] > 0 ? 1 : slope);
}

/* Every element's channel: of images [N, C, H, W] and of features [N, C]. */
static void ref_prelu(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    int64_t pixels = ref_pixels(t), count = type_elements(t);
    for (int64_t i = 0; i < count; i++) {
        double x = c->in[0].data[i];
        c->out[0].data[i] = x > 0 ? x : x * c->in[1].data[i / pixels % t->dim[1]];
    }
}

static void ref_prelu_grad(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    int64_t pixels = ref_pixels(t), count = type_elements(t);
    for (int64_t i = 0; i < count; i++)
        c->out[0].data[i] = c->in[0].data[i] * (c->in[1].data[i] > 0 ? 1 : c->in[2].data[i / pixels % t->dim[1]]);
}

static double prelu_slope_grad(double dy, double x) { return x > 0 ? 0 : dy * x; }
static void ref_prelu_slope_grad(struct ref_call *c) { map2(c, prelu_slope_grad); }

/* ---- attributes */

/* The gradient reads the sign of y, which is that of x only while the slope is not negative. */
static const struct op_attr attrs_slope[] = {
    {.name = "slope",
     .def = {.type = ATTR_FLOAT, .f = 0.01},
     .has_range = true,
     .min = 0,
     .max = INFINITY,
     .help = "factor of negative values"},
};
/* As with a slope, y must have the sign of x. */
static const struct op_attr attrs_prelu[] = {
    {.name = "init",
     .def = {.type = ATTR_FLOAT, .f = 0.25},
     .spec_only = true,
     .has_range = true,
     .min = -16777216,
     .max = 16777216,
     .help = "the slopes before training"},
};
static const struct op_attr attrs_elu[] = {
    {.name = "alpha",
     .def = {.type = ATTR_FLOAT, .f = 1},
     .has_range = true,
     .min = 0,
     .max = INFINITY,
     .help = "what negative values tend to, negated"},
};
static const char *const approximations[] = {"none", "tanh", NULL};
static const struct op_attr attrs_gelu[] = {
    {.name = "approximate",
     .def = {.type = ATTR_ENUM, .i = 0},
     .choices = approximations,
     .help = "none: by erf; tanh: the usual approximation"},
};
static const struct op_attr attrs_with[] = {
    {.name = "with",
     .def = {.type = ATTR_TEXT},
     .spec_only = true,
     .help = "the other operand: a label, or a list of layers on the block's input"},
};

/* ---- tests: rank 4 and 2; fewer, as many and more channels than a vector has lanes */

static const struct op_test tests_x[] = {
    {"x=2,3,7,7", 1e-6},  {"x=1,1,1,1", 1e-6}, {"x=3,17,13,13", 1e-6},
    {"x=1,16,5,3", 1e-6}, {"x=3,17", 1e-6},    {"x=1,33,2,2 range=-9,9", 1e-6},
};
static const struct op_test tests_wide[] = {
    /* both kinks of relu6 */
    {"x=2,3,7,7 range=-4,10", 1e-6},
    {"x=1,1,1,1 range=-4,10", 1e-6},
    {"x=3,17,13,13 range=-4,10", 1e-6},
    {"x=3,17 range=-4,10", 1e-6},
};
static const struct op_test tests_slope[] = {
    {"x=2,3,7,7", 1e-6},
    {"x=3,17,13,13 slope=0.2", 1e-6},
    {"x=1,1,1,1 slope=0", 1e-6},
    {"x=3,17 slope=1.5", 1e-6},
};
static const struct op_test tests_prelu[] = {
    {"x=2,3,7,7 weight=3", 1e-6},
    {"x=1,1,1,1 weight=1", 1e-6},
    {"x=3,17,13,13 weight=17", 1e-6},
    {"x=3,17 weight=17", 1e-6},
};
static const struct op_test tests_prelu_grad[] = {
    {"dy=2,3,7,7 x=2,3,7,7 weight=3", 1e-6},
    {"dy=3,17,13,13 x=3,17,13,13 weight=17", 1e-6},
    {"dy=3,17 x=3,17 weight=17", 1e-6},
};
static const struct op_test tests_elu[] = {
    {"x=1,5,3,3 range=-0.001,0.001", 1e-6}, {"x=3,17 range=-90,9", 1e-6}, {"x=2,3,7,7", 1e-6},
    {"x=3,17,13,13 alpha=0.5", 1e-6},       {"x=1,1,1,1 alpha=0", 1e-6},  {"x=3,17 range=-9,9", 1e-6},
};
static const struct op_test tests_gelu[] = {
    {"x=2,3,7,7", 1e-6},
    {"x=3,17,13,13 approximate=tanh", 1e-6},
    {"x=1,1,1,1", 1e-6},
    {"x=3,17 approximate=tanh", 1e-6},
    {"x=2,5,3,3 range=-9,9", 1e-6},
};
static const struct op_test tests_ab[] = {
    {"a=2,3,7,7 b=2,3,7,7", 1e-6},
    {"a=1,1,1,1 b=1,1,1,1", 1e-6},
    {"a=3,17,13,13 b=3,17,13,13", 1e-6},
    {"a=3,17 b=3,17", 1e-6},
    {"a= b=", 1e-6},
};
static const struct op_test tests_dy_y[] = {
    {"dy=2,3,7,7 y=2,3,7,7", 1e-6},
    {"dy=1,1,1,1 y=1,1,1,1", 1e-6},
    {"dy=3,17,13,13 y=3,17,13,13", 1e-6},
    {"dy=3,17 y=3,17", 1e-6},
};
static const struct op_test tests_dy_y_wide[] = {
    {"dy=2,3,7,7 y=2,3,7,7 range=-4,10", 1e-6},
    {"dy=3,17 y=3,17 range=-4,10", 1e-6},
};
static const struct op_test tests_dy_y_slope[] = {
    {"dy=2,3,7,7 y=2,3,7,7", 1e-6},
    {"dy=3,17,13,13 y=3,17,13,13 slope=0.2", 1e-6},
    {"dy=3,17 y=3,17 slope=0", 1e-6},
};
static const struct op_test tests_dy_y_elu[] = {
    {"dy=2,3,7,7 y=2,3,7,7", 1e-6},
    {"dy=3,17,13,13 y=3,17,13,13 alpha=0.5", 1e-6},
    {"dy=3,17 y=3,17 alpha=0", 1e-6},
};
static const struct op_test tests_dy_x[] = {
    {"dy=2,3,7,7 x=2,3,7,7", 1e-6},
    {"dy=1,1,1,1 x=1,1,1,1", 1e-6},
    {"dy=3,17,13,13 x=3,17,13,13 range=-9,9", 1e-6},
    {"dy=3,17 x=3,17", 1e-6},
};
static const struct op_test tests_dy_x_gelu[] = {
    {"dy=2,3,7,7 x=2,3,7,7", 1e-6},
    {"dy=3,17,13,13 x=3,17,13,13 approximate=tanh", 1e-6},
    {"dy=3,17 x=3,17 range=-9,9", 1e-6},
};

/* ---- rows */

#define UNARY(T)                                                                                                      \
    .family = &family_pointwise, .operands = operand_x, .noperands = 1, .nouts = 1, .infer = infer_unary, .tests = T, \
    .ntests = COUNT_OF(T)
#define BINARY(O, T)                                                                                           \
    .family = &family_pointwise, .operands = O, .noperands = 2, .nouts = 1, .infer = infer_binary, .tests = T, \
    .ntests = COUNT_OF(T)
#define ATTRS(A) .attrs = A, .nattr = COUNT_OF(A)

/* max(0, x), not max(x, 0): the second operand is the one that passes a NaN on. */
#define EXPR_SIGMOID "1 / (1 + exp(-x))"
#define EXPR_GELU_INNER "0.7978845608028654 * (x + 0.044715 * x * x * x)"

const struct op_def op_pointwise_rows[] = {
    {.name = "relu",
     .help = "max(0, x)",
     .clamp = {true, 0, INFINITY},
     .class_ = OP_LAYER,
     UNARY(tests_x),
     .expr = "max(0, x)",
     .keeps_zero = true,
     .grad = grad_relu,
     .ref = ref_relu},
    {.name = "relu6",
     .help = "min(6, max(0, x))",
     .clamp = {true, 0, 6},
     .class_ = OP_LAYER,
     UNARY(tests_wide),
     .expr = "min(6, max(0, x))",
     .keeps_zero = true,
     .grad = grad_relu6,
     .ref = ref_relu6},
    {.name = "leaky_relu",
     .help = "x where positive, otherwise slope * x",
     .identity = identity_leaky,
     .class_ = OP_LAYER,
     UNARY(tests_slope),
     ATTRS(attrs_slope),
     .expr = "select(x > 0, x, slope * x)",
     .keeps_zero = true,
     .grad = grad_leaky_relu,
     .ref = ref_leaky_relu},
    {.name = "sigmoid",
     .help = "1 / (1 + exp(-x))",
     .class_ = OP_LAYER,
     .squash = SQUASH_SIGMOID,
     UNARY(tests_x),
     .expr = EXPR_SIGMOID,
     .grad = grad_sigmoid,
     .ref = ref_sigmoid},
    {.name = "silu",
     .help = "x * sigmoid(x), also called swish",
     .class_ = OP_LAYER,
     UNARY(tests_x),
     .expr = "x / (1 + exp(-x))",
     .keeps_zero = true,
     .grad = grad_silu,
     .ref = ref_silu},
    {.name = "tanh",
     .help = "hyperbolic tangent",
     .class_ = OP_LAYER,
     UNARY(tests_x),
     .expr = "tanh(x)",
     .keeps_zero = true,
     .grad = grad_tanh,
     .ref = ref_tanh},
    {.name = "gelu",
     .help = "x * (the normal distribution function of x)",
     .class_ = OP_LAYER,
     UNARY(tests_gelu),
     ATTRS(attrs_gelu),
     .expr = "select(approximate == 1, 0.5 * x * (1 + tanh(" EXPR_GELU_INNER
             ")), 0.5 * x * (1 + erf(0.7071067811865476 * x)))",
     .keeps_zero = true,
     .grad = grad_gelu,
     .ref = ref_gelu},
    /* exp(x) − 1 = tanh(x/2)·(exp(x) + 1), which keeps its digits near 0. */
    {.name = "elu",
     .help = "x where positive, otherwise alpha * (exp(x) - 1)",
     .class_ = OP_LAYER,
     UNARY(tests_elu),
     ATTRS(attrs_elu),
     .expr = "select(x > 0, x, alpha * (tanh(0.5 * x) * (exp(min(x, 0)) + 1)))",
     .keeps_zero = true,
     .grad = grad_elu,
     .ref = ref_elu},
    {.name = "prelu",
     .help = "x where positive, otherwise a trained slope of its channel times x (He et al. 2015)",
     .class_ = OP_LAYER,
     .family = &family_pointwise,
     .operands = operands_prelu,
     .noperands = COUNT_OF(operands_prelu),
     .nouts = 1,
     ATTRS(attrs_prelu),
     .params = params_prelu,
     .infer = infer_prelu,
     .tests = tests_prelu,
     .ntests = COUNT_OF(tests_prelu),
     .expr = "select(x > 0, x, weight * x)",
     .keeps_zero = true,
     .grad = grad_prelu,
     .ref = ref_prelu},
    {.name = "hardswish",
     .help = "x * relu6(x + 3) / 6: silu without an exponential",
     .class_ = OP_LAYER,
     UNARY(tests_wide),
     .expr = "x * min(6, max(0, x + 3)) / 6",
     .keeps_zero = true,
     .grad = grad_hardswish,
     .ref = ref_hardswish},
    {.name = OPNAME_ADD,
     .help = "sum of two values of one shape",
     .class_ = OP_LAYER,
     BINARY(operands_ab, tests_ab),
     ATTRS(attrs_with),
     .expr = "a + b",
     .keeps_zero = true,
     .grad = grad_add,
     .ref = ref_add},
    {.name = "mul",
     .help = "product of two values of one shape",
     .class_ = OP_LAYER,
     BINARY(operands_ab, tests_ab),
     ATTRS(attrs_with),
     .expr = "a * b",
     .keeps_zero = true,
     .grad = grad_mul,
     .ref = ref_mul},

    {.name = "relu_grad",
     .help = "gradient of relu, from its result",
     .gate = 1,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y),
     .expr = "select(y > 0, dy, 0)",
     .keeps_zero = true,
     .ref = ref_relu_grad},
    {.name = "relu6_grad",
     .help = "gradient of relu6, from its result",
     .gate = 1,
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y_wide),
     .expr = "select(y > 0, select(y < 6, dy, 0), 0)",
     .keeps_zero = true,
     .ref = ref_relu6_grad},
    {.name = "leaky_relu_grad",
     .help = "gradient of leaky_relu, from its result",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y_slope),
     ATTRS(attrs_slope),
     .expr = "select(y > 0, dy, slope * dy)",
     .keeps_zero = true,
     .ref = ref_leaky_relu_grad},
    {.name = "sigmoid_grad",
     .help = "gradient of sigmoid, from its result",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y),
     .expr = "dy * (1 - y) * y",
     .keeps_zero = true,
     .ref = ref_sigmoid_grad},
    {.name = "tanh_grad",
     .help = "gradient of tanh, from its result",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y),
     .expr = "dy * (1 - y * y)",
     .keeps_zero = true,
     .ref = ref_tanh_grad},
    {.name = "silu_grad",
     .help = "gradient of silu, from its input",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_x, tests_dy_x),
     .expr = "dy / (1 + exp(-x)) * (1 + x * (1 - " EXPR_SIGMOID "))",
     .keeps_zero = true,
     .ref = ref_silu_grad},
    {.name = "gelu_grad",
     .help = "gradient of gelu, from its input",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_x, tests_dy_x_gelu),
     ATTRS(attrs_gelu),
     .expr = "dy * select(approximate == 1, "
             "0.5 * (1 + tanh(" EXPR_GELU_INNER ")) + 0.5 * x * (1 - tanh(" EXPR_GELU_INNER ") * tanh(" EXPR_GELU_INNER
             ")) * "
             "(0.7978845608028654 + 0.1070322244089 * x * x), "
             "0.5 * (1 + erf(0.7071067811865476 * x)) + 0.3989422804014327 * x * exp(-0.5 * x * x))",
     .keeps_zero = true,
     .ref = ref_gelu_grad},
    {.name = "prelu_grad",
     .help = "gradient of prelu by x",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .operands = operands_prelu_grad,
     .noperands = COUNT_OF(operands_prelu_grad),
     .nouts = 1,
     .infer = infer_prelu,
     .tests = tests_prelu_grad,
     .ntests = COUNT_OF(tests_prelu_grad),
     .expr = "select(x > 0, dy, weight * dy)",
     .keeps_zero = true,
     .ref = ref_prelu_grad},
    {.name = "prelu_slope_grad",
     .help = "the terms of prelu's gradient by its slopes",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_x, tests_dy_x),
     .expr = "select(x > 0, 0, dy * x)",
     .keeps_zero = true,
     .ref = ref_prelu_slope_grad},
    {.name = "elu_grad",
     .help = "gradient of elu, from its result",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_y, tests_dy_y_elu),
     ATTRS(attrs_elu),
     .expr = "dy * select(y > 0, 1, y + alpha)",
     .keeps_zero = true,
     .ref = ref_elu_grad},
    {.name = "hardswish_grad",
     .help = "gradient of hardswish, from its input",
     .phase = PHASE_BACKWARD,
     .class_ = OP_INTERNAL,
     BINARY(operands_dy_x, tests_dy_x),
     .expr = "dy * select(x < 3, select(x > -3, x / 3 + 0.5, 0), 1)",
     .keeps_zero = true,
     .ref = ref_hardswish_grad},

    {.name = OPNAME_POINTWISE,
     .help = "a body of pointwise operators on its own",
     .bare = true,
     .class_ = OP_INTERNAL,
     .family = &family_pointwise,
     .nouts = 1},
};
const int op_pointwise_nrows = COUNT_OF(op_pointwise_rows);
