/* test_autodiff.c: pass/autodiff.c: whole training graphs against finite differences of their own loss, shared
   parameters and layers, the running statistics, the optimizers' steps, and what it refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "ir/text.h"
#include "ir/verify.h"
#include "op/eval.h"
#include "pass/pass.h"
#include "tests/support/choice.h"

struct fixture {
    struct arena *arena;
    struct diags *diags;
    struct graph *g;
    struct eval *e;
};

static const char mixed[] =
    "graph @mixed batch=3 {\n"
    "  input  %image : f32[N=3,3,7,7]\n"
    "  target %label : i64[N=3]\n"
    "  param  %conv1.weight : f32[4,3,3,3] init=zeros\n"
    "  param  %conv1.bias : f32[4] init=zeros\n"
    "  param  %bn1.weight : f32[4] init=ones\n"
    "  param  %bn1.bias : f32[4] init=zeros\n"
    "  buffer %bn1.running_mean : f32[4] init=zeros\n"
    "  buffer %bn1.running_var : f32[4] init=ones\n"
    "  param  %conv2.weight : f32[4,1,3,3] init=zeros\n"
    "  param  %up.weight : f32[4,2,3,3] init=zeros\n"
    "  param  %up.bias : f32[4] init=zeros\n"
    "  param  %fc.weight : f32[5,4] init=zeros\n"
    "  param  %fc.bias : f32[5] init=zeros\n"
    "  %conv1 = conv2d(%image, %conv1.weight, %conv1.bias) {stride=[2, 2], pad=[1, 1, 1, 1]} : f32[N=3,4,4,4] layer "
    "\"conv1\"\n"
    "  %bn1 = batch_norm(%conv1, %bn1.weight, %bn1.bias, %bn1.running_mean, %bn1.running_var) : f32[N=3,4,4,4] layer "
    "\"bn1\"\n"
    "  %c2 = conv2d(%bn1, %conv2.weight) {pad=[2, 2, 2, 2], dilation=[2, 2], groups=4} : f32[N=3,4,4,4] layer "
    "\"conv2\"\n"
    "  %s = add(%c2, %bn1) : f32[N=3,4,4,4] layer \"res\"\n"
    "  %sp = sigmoid(%s) : f32[N=3,4,4,4] layer \"sig\"\n"
    "  %u = conv_transpose2d(%sp, %up.weight, %up.bias) {stride=[2, 2], pad=[1, 1, 1, 0], groups=2, output_pad=[1, 0]} "
    ": f32[N=3,4,8,8] layer \"up\"\n"
    "  %p = max_pool(%u) {kernel=[2, 2], stride=[2, 2]} : f32[N=3,4,4,4] layer \"pool\"\n"
    "  %a = global_avg_pool(%p) : f32[N=3,4] layer \"gap\"\n"
    "  %fc = dense(%a, %fc.weight, %fc.bias) : f32[N=3,5] layer \"fc\"\n"
    "  %l1 = softmax_cross_entropy(%fc, %label) {label_smoothing=0.1, ignore=0, weight=0.7} : f32[]\n"
    "  output \"logits\" %fc\n"
    "  output \"loss\" %l1\n"
    "}\n";

/* One convolution, one batch norm and one dropout applied twice; a value added to itself; four losses on three values.
 */
static const char shared[] =
    "graph @shared batch=4 {\n"
    "  input  %image : f32[N=4,3,6,5]\n"
    "  target %mask : f32[N=4,2,6,5]\n"
    "  target %map : i64[N=4,6,5]\n"
    "  param  %w : f32[3,3,3,3] init=zeros\n"
    "  param  %bn.weight : f32[3] init=ones\n"
    "  param  %bn.bias : f32[3] init=zeros\n"
    "  buffer %bn.running_mean : f32[3] init=zeros\n"
    "  buffer %bn.running_var : f32[3] init=ones\n"
    "  param  %h.weight : f32[2,3,1,1] init=zeros\n"
    "  %c1 = conv2d(%image, %w) {pad=[1, 1, 1, 1]} : f32[N=4,3,6,5] layer \"shared\"\n"
    "  %b1 = batch_norm(%c1, %bn.weight, %bn.bias, %bn.running_mean, %bn.running_var) : f32[N=4,3,6,5] layer \"bn\"\n"
    "  %t1 = tanh(%b1) : f32[N=4,3,6,5] layer \"tanh\"\n"
    "  %d1 = dropout(%t1) {p=0.3} : f32[N=4,3,6,5] layer \"drop\"\n"
    "  %c2 = conv2d(%d1, %w) {pad=[1, 1, 1, 1]} : f32[N=4,3,6,5] layer \"shared\"\n"
    "  %b2 = batch_norm(%c2, %bn.weight, %bn.bias, %bn.running_mean, %bn.running_var) {eps=0.001, momentum=0.2} : "
    "f32[N=4,3,6,5] layer \"bn\"\n"
    "  %s2 = silu(%b2) : f32[N=4,3,6,5]\n"
    "  %sum = add(%s2, %s2) : f32[N=4,3,6,5]\n"
    "  %h = conv2d(%sum, %h.weight) : f32[N=4,2,6,5]\n"
    "  %sg = sigmoid(%h) : f32[N=4,2,6,5]\n"
    "  %d2 = dropout(%h) {p=0.3} : f32[N=4,2,6,5] layer \"drop\"\n"
    "  %l1 = softmax_cross_entropy(%d2, %map) {label_smoothing=0.2, ignore=1} : f32[]\n"
    "  %l2 = binary_cross_entropy(%h, %mask) {weight=0.3} : f32[]\n"
    "  %l3 = binary_cross_entropy(%sg, %mask) {from_logits=false} : f32[]\n"
    "  %l4 = mean_squared_error(%sg, %mask) {weight=2} : f32[]\n"
    "  %a1 = add(%l1, %l2) : f32[]\n"
    "  %a2 = add(%a1, %l3) : f32[]\n"
    "  %a3 = add(%a2, %l4) : f32[]\n"
    "  output \"loss\" %a3\n"
    "}\n";

/* ---- building and filling */

static void parse(struct fixture *f, const char *text)
{
    *f = (struct fixture){.arena = arena_new()};
    f->diags = diags_new(f->arena);
    struct source *src = ARENA_NEW(f->arena, struct source);
    *src = (struct source){"test", text, strlen(text)};
    f->g = graph_parse(f->arena, f->diags, src);
    if (!f->g) diags_print(f->diags, stderr, false);
    assert_non_null(f->g);
}

static struct rnc_choice sgd(const char *settings) { return choice_of(&rnc_optimizers, "sgd", settings); }

static bool differentiate(struct fixture *f, const struct train_options *o)
{
    struct pass_context c = {.arena = f->arena, .diags = f->diags, .train = *o};
    return pass_run(f->g, &c, "autodiff");
}

/* The differentiated graph, verified, with numbers in every argument. */
static void open_graph(struct fixture *f, const char *text, const struct train_options *o, int64_t n)
{
    parse(f, text);
    assert_true(differentiate(f, o));
    assert_true(f->g->train);
    assert_null(graph_verify(f->g));
    f->e = eval_new(f->g, (struct ref_run){.n = n, .lr = 0.1, .step = 1, .seed = 7});
    uint32_t seed = 1;
    for (int i = 0; i < f->g->nvalues; i++) {
        const struct value *v = f->g->values[i];
        if (v->kind == VALUE_NODE || v->kind == VALUE_OPTIM) continue;
        double *data = eval_data(f->e, v);
        for (int64_t k = 0; k < type_elements(&v->type); k++) {
            double unit = (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24);
            data[k] = v->type.dtype == DT_I64                              ? floor(unit * 2)
                      : v->kind == VALUE_TARGET || v->kind == VALUE_BUFFER ? unit
                                                                           : 2 * unit - 1;
        }
    }
}

static void close_graph(struct fixture *f)
{
    if (f->e) eval_free(f->e);
    arena_free(f->arena);
}

static const struct value *output(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (strcmp(g->outputs[i].label, label) == 0) return g->outputs[i].value;
    return NULL;
}

static double *data_of(struct fixture *f, const char *name)
{
    const struct value *v = graph_find(f->g, name);
    assert_non_null(v);
    return eval_data(f->e, v);
}

/* ---- gradients */

static double loss_at(struct fixture *f, double *where, double x)
{
    *where = x;
    eval_run(f->e, false);
    return *eval_data(f->e, output(f->g, "loss"));
}

static double slope(struct fixture *f, double *where)
{
    const double h = 1e-5, x = *where;
    double difference = loss_at(f, where, x + h) - loss_at(f, where, x - h);
    *where = x;
    return difference / (2 * h);
}

/* The gradient output of V against central differences, in the first COUNT elements. */
static void check_gradient(struct fixture *f, const struct value *v, const struct value *grad, int64_t count)
{
    double *at = eval_data(f->e, v), most = 1e-3;
    eval_run(f->e, false);
    double *dx = arena_array(f->arena, (size_t)count, sizeof *dx);
    memcpy(dx, eval_data(f->e, grad), (size_t)count * sizeof *dx);
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(dx[i]));
    for (int64_t i = 0; i < count; i += 1 + count / 20) {
        double numeric = slope(f, &at[i]);
        if (fabs(numeric - dx[i]) > 1e-6 * most)
            fail_msg("grad.%s[%lld] is %.9g, finite differences give %.9g", v->name, (long long)i, dx[i], numeric);
    }
}

static void check_gradients(const char *text, int64_t n, int expected)
{
    struct fixture f;
    int found = 0;
    open_graph(&f, text, &(struct train_options){.grad_outputs = true, .input_grads = true}, n);
    for (int i = 0; i < f.g->noutputs; i++) {
        if (strncmp(f.g->outputs[i].label, "grad.", 5) != 0) continue;
        const struct value *v = graph_find(f.g, f.g->outputs[i].label + 5);
        int64_t count = type_elements(&v->type);
        check_gradient(&f, v, f.g->outputs[i].value, v->kind == VALUE_INPUT ? count / f.g->batch * n : count);
        found++;
    }
    assert_int_equal(found, expected);
    close_graph(&f);
}

static void gradients_of_a_mixed_network(void **state)
{
    (void)state;
    check_gradients(mixed, 3, 10);
    check_gradients(mixed, 2, 10);
}

static void gradients_of_shared_layers(void **state)
{
    (void)state;
    check_gradients(shared, 4, 5);
    check_gradients(shared, 3, 5);
}

static void a_dropout_applied_twice_draws_twice(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f, shared, &(struct train_options){.grad_outputs = true}, 4);
    assert_string_equal(node_text(graph_find(f.g, "d1")->def, "key"), "drop");
    assert_string_equal(node_text(graph_find(f.g, "d2")->def, "key"), "drop.1");
    close_graph(&f);
}

static void what_the_loss_does_not_reach_has_no_gradient(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f,
               "graph @g batch=2 {\n  input %x : f32[N=2,3]\n  target %t : f32[N=2,2]\n  param %w : f32[2,3] "
               "init=zeros\n  param "
               "%u : f32[2,3] init=zeros\n"
               "  %y = dense(%x, %w) : f32[N=2,2]\n  %z = dense(%x, %u) : f32[N=2,2]\n  %l = mean_squared_error(%y, "
               "%t) : f32[]\n"
               "  output \"z\" %z\n  output \"loss\" %l\n}\n",
               &(struct train_options){.grad_outputs = true, .optimizer = sgd("momentum=0 weight_decay=0")}, 2);
    assert_non_null(output(f.g, "grad.w"));
    assert_null(output(f.g, "grad.u"));
    assert_int_equal(f.g->nupdates, 1);
    assert_int_equal(diags_errors(f.diags), 0);
    close_graph(&f);
}

/* ---- state */

/* (1 − momentum)·old + momentum·batch, the variance unbiased. */
static void running_statistics(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f, mixed, &(struct train_options){0}, 2);
    double old_mean = data_of(&f, "bn1.running_mean")[1], old_var = data_of(&f, "bn1.running_var")[1], mean = 0,
           var = 0;
    eval_run(f.e, false);
    const double *x = data_of(&f, "conv1");
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < 16; k++) mean += x[s * 64 + 16 + k] / 32;
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < 16; k++) var += pow(x[s * 64 + 16 + k] - mean, 2) / 31;
    eval_commit(f.e);
    assert_true(fabs(data_of(&f, "bn1.running_mean")[1] - (0.9 * old_mean + 0.1 * mean)) < 1e-12);
    assert_true(fabs(data_of(&f, "bn1.running_var")[1] - (0.9 * old_var + 0.1 * var)) < 1e-12);
    close_graph(&f);
}

/* Both applications count, one after the other. */
static void running_statistics_of_a_shared_layer(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f, shared, &(struct train_options){0}, 4);
    double old = data_of(&f, "bn.running_mean")[2];
    eval_run(f.e, false);
    double want = 0.8 * (0.9 * old + 0.1 * data_of(&f, "bn.mean")[2]) + 0.2 * data_of(&f, "bn.mean.1")[2];
    eval_commit(f.e);
    assert_true(fabs(data_of(&f, "bn.running_mean")[2] - want) < 1e-12);
    assert_int_equal(f.g->nupdates, 2);
    close_graph(&f);
}

/* Three steps; the state of one weight is followed by hand, from the gradients that the graph computes. */
static void sgd_steps(bool nesterov)
{
    struct fixture f;
    struct train_options o = {.grad_outputs = true,
                              .optimizer = sgd(nesterov ? "weight_decay=0.01 nesterov=1" : "weight_decay=0.01")};
    open_graph(&f, mixed, &o, 3);
    double p = data_of(&f, "fc.weight")[7], m = 0;
    for (int step = 1; step <= 3; step++) {
        eval_run(f.e, false);
        double d = eval_data(f.e, output(f.g, "grad.fc.weight"))[7] + 0.01 * p;
        m = step == 1 ? d : 0.9 * m + d;
        p -= 0.1 * (nesterov ? d + 0.9 * m : m);
        eval_commit(f.e);
        assert_true(fabs(data_of(&f, "fc.weight")[7] - p) < 1e-12);
        assert_true(fabs(data_of(&f, "optim.momentum.fc.weight")[7] - m) < 1e-12);
    }
    close_graph(&f);
}

static void sgd_updates(void **state)
{
    (void)state;
    sgd_steps(false);
    sgd_steps(true);
}

static void plain_sgd_has_no_state(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f, mixed, &(struct train_options){.grad_outputs = true, .optimizer = sgd("momentum=0 weight_decay=0")},
               3);
    for (int i = 0; i < f.g->nvalues; i++) assert_int_not_equal(f.g->values[i]->kind, VALUE_OPTIM);
    double p = data_of(&f, "fc.bias")[2];
    eval_run(f.e, false);
    p -= 0.1 * eval_data(f.e, output(f.g, "grad.fc.bias"))[2];
    eval_commit(f.e);
    assert_true(fabs(data_of(&f, "fc.bias")[2] - p) < 1e-12);
    close_graph(&f);
}

static void adam_step(bool decoupled)
{
    struct fixture f;
    struct train_options o = {.grad_outputs = true,
                              .optimizer = choice_of(&rnc_optimizers, decoupled ? "adamw" : "adam",
                                                     "beta2=0.99 weight_decay=0.1")};
    open_graph(&f, shared, &o, 4);
    double p = data_of(&f, "w")[5];
    eval_run(f.e, false);
    double g = eval_data(f.e, output(f.g, "grad.w"))[5], d = decoupled ? g : g + 0.1 * p;
    if (decoupled) p *= 1 - 0.1 * 0.1;
    p -= 0.1 * d / (fabs(d) + 1e-8); /* the first step: both moments, corrected, are d and d² */
    eval_commit(f.e);
    assert_true(fabs(data_of(&f, "w")[5] - p) < 1e-9);
    assert_true(fabs(data_of(&f, "optim.exp_avg.w")[5] - 0.1 * d) < 1e-12);
    assert_true(fabs(data_of(&f, "optim.exp_avg_sq.w")[5] - 0.01 * d * d) < 1e-12);
    close_graph(&f);
}

static void adam_updates(void **state)
{
    (void)state;
    adam_step(false);
    adam_step(true);
}

/* PyTorch's RMSprop, followed by hand over three steps. */
static void rmsprop_steps(double momentum)
{
    struct fixture f;
    struct train_options o = {.grad_outputs = true,
                              .optimizer = choice_of(&rnc_optimizers, "rmsprop",
                                                     momentum > 0 ? "momentum=0.9 weight_decay=0.01"
                                                                  : "alpha=0.9 weight_decay=0.01")};
    open_graph(&f, mixed, &o, 3);
    double alpha = momentum > 0 ? 0.99 : 0.9, p = data_of(&f, "fc.weight")[7], v = 0, buffer = 0;
    for (int step = 1; step <= 3; step++) {
        eval_run(f.e, false);
        double d = eval_data(f.e, output(f.g, "grad.fc.weight"))[7] + 0.01 * p;
        v = alpha * v + (1 - alpha) * d * d;
        buffer = momentum * buffer + d / (sqrt(v) + 1e-8);
        p -= 0.1 * buffer;
        eval_commit(f.e);
        assert_true(fabs(data_of(&f, "fc.weight")[7] - p) < 1e-12);
        assert_true(fabs(data_of(&f, "optim.square_avg.fc.weight")[7] - v) < 1e-12);
        if (momentum > 0) assert_true(fabs(data_of(&f, "optim.momentum.fc.weight")[7] - buffer) < 1e-12);
    }
    close_graph(&f);
}

static void rmsprop_updates(void **state)
{
    (void)state;
    rmsprop_steps(0);
    rmsprop_steps(0.9);
}

/* A row of the training vocabulary and its operator agree: the states, each field an attribute of the same range. With
   every setting at work: without momentum the operator may be another, which has none. */
static void optimizers_have_operators(void **state)
{
    (void)state;
    for (int i = 0; i < rnc_optimizers.n; i++) {
        const struct rnc_row *row = rnc_kind_row(&rnc_optimizers, i);
        struct rnc_choice c = choice_of(&rnc_optimizers, row->name, "");
        for (int k = 0; k < row->nfields; k++)
            rnc_row_set(row, (void *)(uintptr_t)c.settings, row->fields[k].name, 0.5);
        const struct rnc_update *u = rnc_optimizer_update(&c);
        const struct op_def *op = op_find(u->op);
        assert_non_null(op);
        for (int k = 0; k < RNC_OPTIMIZER_STATES; k++) assert_int_equal(u->state[k] != NULL, k < op->noperands - 2);
        assert_int_equal(op->nouts, op->noperands - 1);
        assert_true(!u->flag || op_attr_index(op, u->flag) >= 0);
        assert_string_equal(row->fields[0].name, "lr");
        assert_int_equal(row->fields[0].offset, 0);
        for (int k = 1; k < row->nfields; k++) {
            const int at = op_attr_index(op, row->fields[k].name);
            assert_true(at >= 0);
            if (!op->attrs[at].has_range) continue;
            assert_true(op->attrs[at].min == row->fields[k].min && op->attrs[at].max == row->fields[k].max);
        }
    }
}

/* An update comes behind every other reader of the parameter, and before the gradients of earlier layers where it can.
 */
static void updates_are_early(void **state)
{
    (void)state;
    struct fixture f;
    open_graph(&f, mixed, &(struct train_options){.optimizer = sgd("momentum=0.9 weight_decay=0")}, 3);
    graph_number(f.g);
    const struct node *fc = graph_find(f.g, "fc.weight.new")->def, *conv = graph_find(f.g, "grad.conv1.weight")->def;
    assert_true(fc->index < conv->index);
    GRAPH_EACH(f.g, n)
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && strcmp(n->in[i]->name, "fc.weight") == 0) assert_true(n->index <= fc->index);
    assert_string_equal(conv->layer, "conv1");
    close_graph(&f);
}

/* ---- what it refuses */

static void refuses(const char *text, const char *message)
{
    struct fixture f;
    char said[2048] = "";
    parse(&f, text);
    assert_false(differentiate(&f, &(struct train_options){.grad_outputs = true}));
    FILE *out = fmemopen(said, sizeof said - 1, "w");
    diags_print(f.diags, out, false);
    fclose(out);
    if (!strstr(said, message)) fail_msg("expected '%s' in:\n%s", message, said);
    assert_int_equal(diags_exit_status(f.diags), 1);
    close_graph(&f);
}

static void bad_graphs(void **state)
{
    (void)state;
    refuses("graph @g batch=1 {\n  input %x : f32[N=1,3]\n  %y = relu(%x) : f32[N=1,3]\n  output \"y\" %y\n}\n",
            "no output \"loss\"");
    refuses("graph @g batch=1 {\n  input %x : f32[N=1,3]\n  %y = relu(%x) : f32[N=1,3]\n  output \"loss\" %y\n}\n",
            "sum of different losses");
    refuses("graph @g batch=1 {\n  input %x : f32[N=1,3]\n  target %t : f32[N=1,3]\n  %l = mean_squared_error(%x, %t) "
            ": f32[]\n"
            "  %m = add(%l, %l) : f32[]\n  output \"loss\" %m\n}\n",
            "sum of different losses");
    refuses("graph @g batch=1 {\n  input %x : f32[N=1,2]\n  target %t : f32[N=1,2]\n  param %bn.weight : f32[2] "
            "init=ones\n  param %bn.bias : f32[2] init=zeros\n"
            "  buffer %m : f32[2] init=zeros\n  buffer %v : f32[2] init=ones\n"
            "  %b = batch_norm(%x, %bn.weight, %bn.bias, %m, %v) : f32[N=1,2] layer \"bn\"\n"
            "  %l = mean_squared_error(%b, %t) : f32[]\n  output \"loss\" %l\n}\n",
            "one value per channel");
    refuses(
        "graph @g batch=1 {\n  input %x : f32[N=1,2]\n  target %t : f32[N=1,3]\n  param %w : f32[2,3] init=zeros\n"
        "  %y = dense_dgrad(%x, %w) : f32[N=1,3]\n  %l = mean_squared_error(%y, %t) : f32[]\n  output \"loss\" %l\n}\n",
        "has no gradient");
}

static void twice_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, mixed);
    assert_true(differentiate(&f, &(struct train_options){.grad_outputs = true}));
    assert_false(differentiate(&f, &(struct train_options){.grad_outputs = true}));
    close_graph(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_a_mixed_network),
        cmocka_unit_test(gradients_of_shared_layers),
        cmocka_unit_test(a_dropout_applied_twice_draws_twice),
        cmocka_unit_test(what_the_loss_does_not_reach_has_no_gradient),
        cmocka_unit_test(running_statistics),
        cmocka_unit_test(running_statistics_of_a_shared_layer),
        cmocka_unit_test(sgd_updates),
        cmocka_unit_test(plain_sgd_has_no_state),
        cmocka_unit_test(adam_updates),
        cmocka_unit_test(rmsprop_updates),
        cmocka_unit_test(optimizers_have_operators),
        cmocka_unit_test(updates_are_early),
        cmocka_unit_test(bad_graphs),
        cmocka_unit_test(twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
