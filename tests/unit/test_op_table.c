/* test_op_table.c: op/op.c: every row is complete and consistent; attributes as text; shapes of fused nodes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "ir/op.h"

/* ---- the rows */

static void every_row_is_found_by_its_name(void **state)
{
    (void)state;
    int count = 0;
    for (const struct op_def *const *op = op_all(); *op; op++, count++) assert_ptr_equal(op_find((*op)->name), *op);
    assert_true(count > 50);
    assert_null(op_find("no_such_operator"));
    assert_null(op_find(""));
}

static void check_attr(const struct op_def *op, int i)
{
    const struct op_attr *a = &op->attrs[i];
    assert_non_null(a->help);
    assert_int_equal(op_attr_index(op, a->name), i);
    assert_false(a->spec_only && a->ir_only);
    if (a->def.type == ATTR_ENUM) assert_non_null(a->choices);
    if (a->has_range) assert_true(a->min <= a->max);
}

static void check_row(const struct op_def *op)
{
    assert_non_null(op->help);
    assert_true(op->nouts >= 1 && op->nouts <= MAX_OUTS);
    assert_true(op->noperands >= 1 || op->bare);
    assert_non_null(op->family);
    assert_int_equal(op->class_ == OP_LOSS, op->compares != COMPARES_NOTHING);
    if (op->owns) assert_true(op->variadic && op->noperands == REGION_YIELD + 1 && op->nattr == 0);
    if (op->expr) assert_true(op->family->elementwise);
    if (op->class_ != OP_INTERNAL) assert_non_null(op->infer);
    for (int i = 0; i < op->nattr; i++) check_attr(op, i);
    if (op->noperands == 0) return;
    assert_non_null(op->ref);
    if (op->ntests == 0 && !op->owns) fail_msg("%s has no tests", op->name);
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (const struct op_def *const *op = op_all(); *op; op++) check_row(*op);
}

/* ---- traits: none contradicts what else the row says */

static bool is_called(const struct op_def *op, const char *ending)
{
    size_t n = strlen(op->name), k = strlen(ending);
    return n >= k && strcmp(op->name + n - k, ending) == 0;
}

/* Gradients are named so; what a spec can say is of the forward pass. */
static void check_phase(const struct op_def *op)
{
    assert_non_null(op_phase_name(op->phase));
    if (op->class_ != OP_INTERNAL) assert_int_equal(op->phase, PHASE_FORWARD);
    if (is_called(op, "_grad") || is_called(op, "_dgrad") || is_called(op, "_wgrad"))
        assert_int_equal(op->phase, PHASE_BACKWARD);
    if (is_called(op, "_update")) assert_int_equal(op->phase, PHASE_UPDATE);
    assert_int_equal(op->phase == PHASE_PREPARE, strcmp(op->family->name, "prepare") == 0);
}

static void check_work(const struct op_def *op)
{
    const enum op_work work = op_work_of(op);
    assert_true(work >= 0 && work < WORK_KINDS && work != WORK_RECOMPUTE);
    assert_int_equal(work == WORK_WGRAD, op->family->result == LAID_WEIGHTS);
    assert_int_equal(work == WORK_CONVOLUTION, op->family->takes_body);
    if (work == WORK_WGRAD) assert_int_equal(op->phase, PHASE_BACKWARD);
    if (work == WORK_UPDATE) assert_int_equal(op->phase, PHASE_UPDATE);
    if (op->class_ == OP_LOSS) assert_int_equal(work, WORK_LOSS);
}

static void check_direction(const struct op_def *op)
{
    bool conv = op->family->takes_body, wgrad = op->family->result == LAID_WEIGHTS;
    assert_int_equal(op->direction != CONV_NONE, conv || wgrad);
    assert_int_equal(op->direction == CONV_WGRAD, wgrad);
    if (conv) assert_int_equal(op->operands[1].kind, OPERAND_PARAM);
    if (conv && op->phase == PHASE_BACKWARD) assert_int_equal(op->direction, CONV_DGRAD);
    if (is_called(op, "_dgrad")) assert_int_equal(op->direction, CONV_DGRAD);
    if (is_called(op, "_wgrad")) assert_int_equal(op->direction, CONV_WGRAD);
}

/* One operand, one result, nothing computed. */
static void check_copies(const struct op_def *op)
{
    if (!op->view && !op->repacks) return;
    assert_int_equal(op->view + op->repacks, 1);
    assert_true(op->noperands == 1 && op->nouts == 1 && !op->macs && !op->expr && !op->family->workspace);
    assert_true(op->family->rearranges);
}

/* Rows of a family that is told apart by variants have one each, but views, which are all copied alike. */
static void check_variant(const struct op_def *op)
{
    bool has = false;
    for (const struct op_def *const *o = op_all(); *o; o++) has |= (*o)->family == op->family && (*o)->variant;
    for (const struct op_def *const *o = op_all(); *o && has; o++)
        if (*o != op && (*o)->family == op->family && !(op->view && (*o)->view) && (*o)->variant == op->variant)
            fail_msg("%s and %s are one variant", op->name, (*o)->name);
}

/* What the row says is min(max(x, low), high) is what its reference computes. */
static void check_clamp(const struct op_def *op)
{
    enum { COUNT = 37 };
    double x[COUNT], y[COUNT];
    struct type t = type_make(DT_F32, 2, (int64_t[]){1, COUNT});
    struct ref_tensor in = {&t, x}, out = {&t, y};
    if (!op->clamp.clamps) return;
    assert_true(op->noperands == 1 && op->nouts == 1 && op->nattr == 0 && op->clamp.low < op->clamp.high);
    for (int i = 0; i < COUNT; i++) x[i] = i - COUNT / 2;
    op->ref(&(struct ref_call){.op = op, .in = &in, .nin = 1, .out = &out, .nout = 1, .run = {.n = 1}});
    for (int i = 0; i < COUNT; i++) assert_true(y[i] == fmin(fmax(x[i], op->clamp.low), op->clamp.high));
}

/* Operators that a training step replaces are layers with a gradient, before or after. */
static void check_training(const struct op_def *op)
{
    if (op->train) assert_int_equal(op->class_, OP_LAYER);
    if (op->class_ != OP_INTERNAL) assert_true(op->grad || op->train);
    if (op->phase != PHASE_FORWARD) assert_true(!op->grad && !op->train);
    assert_true(op->gate >= 0 && (!op->gate || op->gate < op->noperands));
    if (op->gate) assert_int_equal(op->phase, PHASE_BACKWARD);
    if (op->maximum) assert_true(op->noperands == 1 && !op->family->elementwise);
    if (op->family->elementwise) assert_false(op->inplace); /* the family says it */
}

static void traits_are_consistent(void **state)
{
    (void)state;
    int bare = 0;
    for (const struct op_def *const *op = op_all(); *op; op++) {
        check_phase(*op);
        check_work(*op);
        check_direction(*op);
        check_copies(*op);
        check_variant(*op);
        check_clamp(*op);
        check_training(*op);
        bare += (*op)->bare;
        if ((*op)->bare) assert_true(!(*op)->noperands && !(*op)->infer && (*op)->family->elementwise);
    }
    assert_int_equal(bare, 1);
}

/* ---- */

/* A default that is within the range prints and reads back as itself. */
static void defaults_round_trip(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct op_error e = {.arena = a};
    for (const struct op_def *const *op = op_all(); *op; op++)
        for (int i = 0; i < (*op)->nattr; i++) {
            const struct op_attr *row = &(*op)->attrs[i];
            char text[256];
            struct attr back;
            if (row->required || row->def.type == ATTR_TEXT) continue;
            op_attr_print(row, &row->def, text, sizeof text);
            if (!op_attr_parse(row, text, &back, &e)) continue; /* a default may mean "not given" and lie outside */
            assert_true(op_attr_equal(&row->def, &back));
        }
    arena_free(a);
}

/* ---- attributes as text */

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct op_attr int_row = {.name = "i", .def = {.type = ATTR_INT}, .has_range = true, .min = 1, .max = 9};
static const struct op_attr float_row = {
    .name = "f", .def = {.type = ATTR_FLOAT}, .has_range = true, .min = 0, .max = INFINITY};
static const struct op_attr bool_row = {.name = "b", .def = {.type = ATTR_BOOL}};
static const struct op_attr enum_row = {.name = "e", .def = {.type = ATTR_ENUM}, .choices = colours};
static const struct op_attr pair_row = {.name = "p", .def = {.type = ATTR_PAIR}, .has_range = true, .min = 0, .max = 9};
static const struct op_attr quad_row = {.name = "q", .def = {.type = ATTR_QUAD}};
static const struct op_attr text_row = {.name = "t", .def = {.type = ATTR_TEXT}};

/* What TEXT reads as, printed; "error: …" where it does not. */
static const char *read_back(struct arena *a, const struct op_attr *row, const char *text)
{
    struct op_error e = {.arena = a};
    struct attr attr;
    char *out = arena_alloc(a, 256);
    if (!op_attr_parse(row, text, &attr, &e))
        return arena_printf(a, "error: %s%s%s", e.message, e.note ? " | " : "", e.note ? e.note : "");
    op_attr_print(row, &attr, out, 256);
    return out;
}

static void attributes_as_text(void **state)
{
    static const struct {
        const struct op_attr *row;
        const char *text, *want;
    } cases[] = {
        {&int_row, "7", "7"},
        {&int_row, " 7 ", "7"},
        {&int_row, "10", "error: must be from 1 to 9, not 10"},
        {&int_row, "seven", "error: must be an integer, not 'seven'"},
        {&int_row, "7x", "error: must be an integer, not '7x'"},
        {&int_row, "99999999999999999999", "error: must be an integer, not '99999999999999999999'"},
        {&float_row, "1e-5", "1e-05"},
        {&float_row, "0.1", "0.1"},
        {&float_row, "3", "3"},
        {&float_row, "-1", "error: must be at least 0, not -1"},
        {&float_row, "inf", "error: must be a number, not 'inf'"},
        {&float_row, "", "error: must be a number, not ''"},
        {&bool_row, "true", "true"},
        {&bool_row, "no", "error: must be true or false, not 'no'"},
        {&enum_row, "blue", "blue"},
        {&enum_row, "gren", "error: must be red, green or blue, not 'gren' | did you mean 'green'?"},
        {&pair_row, "3", "[3, 3]"},
        {&pair_row, "3,4", "[3, 4]"},
        {&pair_row, "[3, 4]", "[3, 4]"},
        {&pair_row, "[3, 10]", "error: must be from 0 to 9, not 10"},
        {&pair_row, "[3, 4", "error: must be an integer or [h, w], not '[3, 4'"},
        {&pair_row, "1,2,3", "error: must be an integer or [h, w], not '1,2,3'"},
        {&quad_row, "1", "[1, 1, 1, 1]"},
        {&quad_row, "[1, 2]", "[1, 2, 1, 2]"},
        {&quad_row, "1,2,3,4", "[1, 2, 3, 4]"},
        {&quad_row, "1,2,3,4,5", "error: must be an integer, [h, w] or [top, left, bottom, right], not '1,2,3,4,5'"},
        {&text_row, "layer1.0", "\"layer1.0\""},
        {&text_row, "\"a \\\"b\\\" \\\\\"", "\"a \\\"b\\\" \\\\\""},
    };
    (void)state;
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(read_back(a, cases[i].row, cases[i].text), cases[i].want);
    arena_free(a);
}

static void floats_print_as_short_as_they_can(void **state)
{
    (void)state;
    static const double numbers[] = {0.1, 1.0 / 3, 1e-300, 123456789.0, 2.5, 0.30000000000000004};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct attr attr = {.type = ATTR_FLOAT, .f = numbers[i]}, back;
        char text[64];
        op_attr_print(&float_row, &attr, text, sizeof text);
        assert_true(op_attr_parse(&float_row, text, &back, NULL));
        assert_true(op_attr_equal(&attr, &back));
    }
}

/* ---- shapes of fused nodes */

static struct value *vector(struct graph *g, const char *name, int rank, const int64_t *dim)
{
    return graph_arg(g, VALUE_PARAM, name, type_make(DT_F32, rank, dim));
}

/* The same for each sample. */
static struct value *image(struct graph *g, const char *name, const int64_t *dim)
{
    return graph_arg(g, VALUE_INPUT, name, type_nchw(dim[0], dim[1], dim[2], dim[3]));
}

/* conv2d(x, w | b, r) [t0 = add(acc, b), t1 = add(t0, r) -> t1] */
static struct node *fused_conv(struct graph *g, const int64_t *bias, const int64_t *residual)
{
    struct value *in[] = {graph_arg(g, VALUE_INPUT, "x", type_nchw(2, 3, 7, 7)),
                          vector(g, "w", 4, (int64_t[]){5, 3, 3, 3}), vector(g, "b", 1, bias), image(g, "r", residual)};
    struct node *n = graph_node(g, NULL, op_find("conv2d"), in, 4, 1);
    n->nanchor = 2;
    n->body = ARENA_NEW(g->arena, struct body);
    n->body->ninsn = 2;
    n->body->insn[0] = (struct body_insn){.op = op_find("add"), .narg = 2, .arg = {{BODY_ACC, 0}, {BODY_OPERAND, 2}}};
    n->body->insn[1] = (struct body_insn){.op = op_find("add"), .narg = 2, .arg = {{BODY_INSN, 0}, {BODY_OPERAND, 3}}};
    n->body->nout = 1;
    n->body->out[0] = (struct body_ref){BODY_INSN, 1};
    return n;
}

static void fused_nodes_have_their_bodies_shapes(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct op_error e = {.arena = a};
    struct node *n = fused_conv(graph_new(a, "g", 2), (int64_t[]){5}, (int64_t[]){2, 5, 5, 5});
    assert_true(op_infer(n, &e));
    struct type want = type_nchw(2, 5, 5, 5);
    assert_true(type_equal(&n->out[0]->type, &want));
    assert_int_equal(op_macs(n), 2 * 25 * 5 * 27);
    arena_free(a);
}

static void body_operands_that_do_not_fit(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct op_error e = {.arena = a};
    assert_false(op_infer(fused_conv(graph_new(a, "g", 2), (int64_t[]){6}, (int64_t[]){2, 5, 5, 5}), &e));
    assert_non_null(strstr(e.message, "f32[6] does not go with f32[N=2,5,5,5]"));
    assert_false(op_infer(fused_conv(graph_new(a, "g", 2), (int64_t[]){5}, (int64_t[]){2, 5, 5, 4}), &e));
    struct node *n = fused_conv(graph_new(a, "g", 2), (int64_t[]){5}, (int64_t[]){2, 5, 5, 5});
    n->body->insn[0].arg[1].index = 7;
    assert_false(op_infer(n, &e));
    arena_free(a);
}

/* A pass that has set a layout finds it again. */
static void inference_leaves_layouts_alone(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct op_error e = {.arena = a};
    struct node *n = fused_conv(graph_new(a, "g", 2), (int64_t[]){5}, (int64_t[]){2, 5, 5, 5});
    assert_true(op_infer(n, &e));
    n->out[0]->type.layout = LAYOUT_BLOCKED;
    n->out[0]->type.v = 16;
    assert_true(op_infer(n, &e));
    assert_int_equal(n->out[0]->type.layout, LAYOUT_BLOCKED);
    arena_free(a);
}

static void operands_are_counted(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct op_error e = {.arena = a};
    struct graph *g = graph_new(a, "g", 1);
    struct value *x[4] = {graph_arg(g, VALUE_INPUT, "x", type_nchw(1, 3, 7, 7))};
    assert_false(op_infer(graph_node(g, NULL, op_find("conv2d"), x, 1, 1), &e));
    assert_string_equal(e.message, "conv2d takes 2 operands, not 1");
    assert_false(op_infer(graph_node(g, NULL, op_find("conv2d"), x, 2, 1), &e));
    assert_string_equal(e.message, "conv2d lacks its operand 'weight'");
    assert_false(op_infer(graph_node(g, NULL, op_find("conv_transpose2d"), x, 4, 1), &e));
    assert_string_equal(e.message, "conv_transpose2d takes 3 operands, not 4");
    arena_free(a);
}

/* ---- shape rules: what they say */

static void says(struct arena *a, const char *op, const struct type *in, int nin, const char *attr, const char *text,
                 const char *want)
{
    struct graph *g = graph_new(a, "g", 1);
    struct value *v[4] = {NULL};
    for (int i = 0; i < nin; i++) v[i] = graph_arg(g, VALUE_PARAM, graph_fresh_name(g, "v"), in[i]);
    struct node *n = graph_node(g, NULL, op_find(op), v, nin, op_find(op)->nouts);
    struct op_error e = {.arena = a};
    if (attr) assert_true(op_attr_parse(&n->op->attrs[op_attr_index(n->op, attr)], text, node_attr(n, attr), &e));
    assert_false(op_infer(n, &e));
    assert_string_equal(e.message, want);
}

static void shape_rules_say_what_is_wrong(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct type x = type_nchw(1, 3, 5, 5), w3 = type_nchw(4, 3, 3, 3), w7 = type_nchw(4, 3, 7, 7),
                w2 = type_nchw(4, 2, 3, 3);
    struct type t3 = type_nchw(3, 2, 3, 3), f = type_make(DT_F32, 2, (int64_t[]){1, 3}),
                g = type_make(DT_F32, 2, (int64_t[]){3, 2});
    struct type label = type_make(DT_I64, 1, (int64_t[]){3}), huge = type_nchw(1, 3, 1 << 20, 1 << 18),
                w8 = type_nchw(8, 3, 3, 3);
    says(a, "conv2d", (struct type[]){x, w7}, 2, NULL, NULL, "kernel 7 does not fit into the padded height 5");
    says(a, "conv2d", (struct type[]){x, w3}, 2, "dilation", "3",
         "kernel 3 with dilation 3 spans 7 and does not fit into the padded height 5");
    says(a, "conv2d", (struct type[]){x, w3}, 2, "groups", "2", "input channels 3 are not divisible by groups 2");
    says(a, "conv2d", (struct type[]){x, w2}, 2, NULL, NULL,
         "the weight f32[4,2,3,3] wants 2 channels, but there are 3");
    says(a, "conv2d", (struct type[]){f, w3}, 2, NULL, NULL, "the input must be an image [N, C, H, W], not f32[1,3]");
    says(a, "conv2d", (struct type[]){huge, w8}, 2, "pad", "1",
         "the result would be too large: f32[1,8,1048576,262144]");
    says(a, "conv_transpose2d", (struct type[]){x, t3}, 2, "pad", "9", "the pad 9 + 9 leaves nothing of the height");
    says(a, "conv_transpose2d", (struct type[]){x, t3}, 2, "output_pad", "1",
         "output_pad 1 must be less than the stride 1 or the dilation 1");
    says(a, "dense", (struct type[]){x, f}, 2, NULL, NULL, "the input must be features [N, C], not f32[1,3,5,5]");
    says(a, "dense", (struct type[]){f, g}, 2, NULL, NULL, "the weight f32[3,2] wants 2 features, but there are 3");
    says(a, "mean_squared_error", (struct type[]){f, g}, 2, NULL, NULL,
         "the prediction is f32[1,3], but the target f32[3,2]");
    says(a, "softmax_cross_entropy", (struct type[]){f, label}, 2, NULL, NULL,
         "for the prediction f32[1,3] the labels must be i64[1], not i64[3]");
    says(a, "softmax_cross_entropy", (struct type[]){f, g}, 2, NULL, NULL,
         "the target must be class labels (i64), not f32[3,2]");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_name),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(traits_are_consistent),
        cmocka_unit_test(defaults_round_trip),
        cmocka_unit_test(attributes_as_text),
        cmocka_unit_test(floats_print_as_short_as_they_can),
        cmocka_unit_test(fused_nodes_have_their_bodies_shapes),
        cmocka_unit_test(body_operands_that_do_not_fit),
        cmocka_unit_test(inference_leaves_layouts_alone),
        cmocka_unit_test(operands_are_counted),
        cmocka_unit_test(shape_rules_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
