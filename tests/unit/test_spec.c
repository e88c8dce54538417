/* test_spec.c: what the spec language computes: arithmetic against an evaluation of the same random expressions here,
   overrides, repeats and the names that come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/checked.h"
#include "elaborate/elaborate.h"
#include "ir/op.h"
#include "tests/support/random_graph.h"
#include "runtime/recipe/optimizer.h"
#include "spec/convention.h"
#include "spec/spec.h"

static struct spec *load(struct arena *a, struct diags *d, const char *text, const struct spec_options *o)
{
    return spec_load_text(a, d, &(struct source){"spec.yaml", text, strlen(text)}, o);
}

/* ---- arithmetic */

struct result {
    bool ok;
    int64_t value;
};

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static struct result apply(char op, struct result x, struct result y)
{
    struct result r = {x.ok && y.ok, 0};
    if (!r.ok) return r;
    switch (op) {
    case '+': r.ok = add_i64(x.value, y.value, &r.value); break;
    case '-': r.ok = !__builtin_sub_overflow(x.value, y.value, &r.value); break;
    case '*': r.ok = mul_i64(x.value, y.value, &r.value); break;
    default:
        r.ok = y.value != 0 && !(x.value == INT64_MIN && y.value == -1);
        if (r.ok) r.value = op == '/' ? floor_div(x.value, y.value) : x.value - floor_div(x.value, y.value) * y.value;
    }
    return r;
}

static struct result expression(struct random *r, struct buf *b, int depth);

/* A number, a parameter (x is 7, yy is 1000000007), a negated one, or a parenthesis. */
static struct result atom(struct random *r, struct buf *b, int depth)
{
    switch (random_int(r, 0, depth > 0 ? 5 : 3)) {
    case 0: buf_puts(b, "x"); return (struct result){true, 7};
    case 1: buf_puts(b, "yy"); return (struct result){true, 1000000007};
    case 2: {
        buf_puts(b, "-");
        const int64_t n = random_int(r, 0, 20);
        buf_printf(b, "%lld", (long long)n);
        return (struct result){true, -n};
    }
    case 3: {
        const int64_t n = random_int(r, 0, 30);
        buf_printf(b, "%lld", (long long)n);
        return (struct result){true, n};
    }
    default: {
        buf_puts(b, random_int(r, 0, 1) ? "(" : "( ");
        const struct result v = expression(r, b, depth - 1);
        buf_puts(b, ")");
        return v;
    }
    }
}

static struct result term(struct random *r, struct buf *b, int depth)
{
    struct result v = atom(r, b, depth);
    while (random_int(r, 0, 2) == 0) {
        const char op = "*/%"[random_int(r, 0, 2)];
        buf_printf(b, random_int(r, 0, 1) ? " %s " : "%s", op == '/' ? "//" : op == '*' ? "*" : "%");
        v = apply(op, v, atom(r, b, depth));
    }
    return v;
}

static struct result expression(struct random *r, struct buf *b, int depth)
{
    struct result v = term(r, b, depth);
    while (random_int(r, 0, 2) == 0) {
        const char op = "+-"[random_int(r, 0, 1)];
        buf_printf(b, " %c ", op);
        v = apply(op, v, term(r, b, depth));
    }
    return v;
}

static void arithmetic_rounds_down_and_never_wraps(void **state)
{
    (void)state;
    int refused = 0, accepted = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        struct buf b;
        buf_init(&b, a);
        const struct result v = expression(&r, &b, 4);
        /* Brought into the range of a channel count. */
        const struct result want = apply('+', apply('%', v, (struct result){true, 1000}), (struct result){true, 1});
        const char *text = arena_printf(
            a,
            "rnc: 1\nmodel: m\nparams: {x: 7, yy: 1000000007}\ninputs: {image: {shape: [1, 1, 1]}}\nlayers:\n"
            "  - conv2d: {name: c, out: $((%s) %% 1000 + 1), kernel: 1, bias: false, as: y}\noutputs: [y]\n",
            b.data);
        struct diags *d = diags_new(a);
        const struct spec *s = load(a, d, text, &(struct spec_options){0});
        const struct graph *g = s ? build_graph(a, d, s, &(struct build_options){.batch = 1}) : NULL;
        if ((g != NULL) != want.ok) {
            diags_print(d, stdout, false);
            fail_msg("seed %d: %s should be %s", (int)seed, b.data, want.ok ? "accepted" : "refused");
        }
        if (g && graph_find(g, "c.weight")->type.dim[0] != want.value)
            fail_msg("seed %d: %s: %lld, not %lld", (int)seed, b.data,
                     (long long)graph_find(g, "c.weight")->type.dim[0], (long long)want.value);
        if (!g) assert_int_equal(diags_exit_status(d), 1);
        refused += !g;
        accepted += g != NULL;
        arena_free(a);
    }
    assert_true(refused > 50 && accepted > 500);
}

/* ---- overrides */

static const char overridable[] =
    "rnc: 1\nmodel: m\nparams: {n: {default: 2, min: 1, max: 4}, kind: {default: plain, one_of: [plain, wide]}, width: "
    "4}\n"
    "inputs: {image: {shape: [3, 8, 8]}}\n"
    "blocks:\n  b:\n    params: {out: {type: int}, stride: 1}\n    layers:\n"
    "      - conv2d: {name: conv, out: $out, kernel: 3, stride: $stride, pad: 1}\n      - relu\n"
    "layers:\n"
    "  - stage: {name: s, block: b, repeat: $(n * 2 - 1), out: {match: $kind, plain: $width, wide: $(width * 4)}, "
    "first: {stride: 2}}\n"
    "  - global_avg_pool\n  - dense: {name: fc, out: 10, as: y}\noutputs: [y]\ntrain: {batch: 16}\n";

static struct graph *overridden(struct arena *a, struct diags *d, const char *name, const char *value)
{
    const struct override o = {name, value};
    const struct spec *s = load(a, d, overridable, &(struct spec_options){.params = &o, .nparams = name != NULL});
    return s ? build_graph(a, d, s, &(struct build_options){.batch = 2}) : NULL;
}

static void parameters_shape_the_network(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    const struct graph *g = overridden(a, d, NULL, NULL);
    assert_non_null(g);
    assert_non_null(graph_find(g, "s.2.conv.weight"));
    assert_null(graph_find(g, "s.3.conv.weight"));
    assert_int_equal(graph_find(g, "s.1.conv.weight")->type.dim[1], 4);
    assert_int_equal(g->outputs[0].value->type.dim[0], 2);
    g = overridden(a, d, "n", "4");
    assert_non_null(graph_find(g, "s.6.conv.bias"));
    g = overridden(a, d, "kind", "wide");
    assert_int_equal(graph_find(g, "fc.weight")->type.dim[1], 16);
    g = overridden(a, d, "width", "7");
    assert_int_equal(graph_find(g, "fc.weight")->type.dim[1], 7);
    assert_int_equal(diags_errors(d), 0);
    arena_free(a);
}

static void wrong_overrides_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"n", "5"},         {"n", "0"},   {"n", "two"},   {"n", ""}, {"n", "2.5"},   {"n", "99999999999999999999"},
        {"kind", "narrow"}, {"kind", ""}, {"depth", "3"}, {"", "3"}, {"width", "0"}, {"width", "-1"},
        {"width", "[1]"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct arena *a = arena_new();
        struct diags *d = diags_new(a);
        if (overridden(a, d, wrong[i][0], wrong[i][1])) fail_msg("-p %s=%s is accepted", wrong[i][0], wrong[i][1]);
        assert_int_equal(diags_exit_status(d), 1);
        arena_free(a);
    }
}

/* ---- the shipped specs */

static int64_t parameters(const struct graph *g)
{
    int64_t n = 0;
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_PARAM) n += type_elements(&g->values[i]->type);
    return n;
}

static struct graph *shipped(struct arena *a, const char *name, const char *param, const char *value)
{
    struct diags *d = diags_new(a);
    const struct override o = {param, value};
    const struct spec *s = spec_load(a, d, name, &(struct spec_options){.params = &o, .nparams = param != NULL});
    struct graph *g = s ? build_graph(a, d, s, &(struct build_options){.batch = 1}) : NULL;
    diags_print(d, stdout, false);
    assert_non_null(g);
    return g;
}

static void shipped_networks_have_the_published_sizes(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_int_equal(parameters(shipped(a, "resnet18", NULL, NULL)), 11689512);
    assert_int_equal(parameters(shipped(a, "resnet34", NULL, NULL)), 21797672);
    assert_int_equal(parameters(shipped(a, "resnet50", NULL, NULL)), 25557032);
    assert_int_equal(parameters(shipped(a, "resnet20", NULL, NULL)), 269722);
    assert_int_equal(parameters(shipped(a, "resnet20", "n", "9")), 853018); /* ResNet-56 */
    static const char *const sizes[] = {"299", "224", "64", "32"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(parameters(shipped(a, "resnet50", "size", sizes[i])), 25557032);
    assert_non_null(graph_find(shipped(a, "resnet50", NULL, NULL), "layer4.0.downsample.1.running_var"));
    arena_free(a);
}

static void every_shipped_spec_builds_and_expands(void **state)
{
    (void)state;
    for (const char *const *name = spec_shipped(); *name; name++) {
        struct arena *a = arena_new();
        struct diags *d = diags_new(a);
        struct buf text;
        buf_init(&text, a);
        struct spec *s = spec_load(a, d, *name, &(struct spec_options){0});
        assert_non_null(s);
        assert_true(spec_expand(s, d, &text));
        struct spec *again = load(a, d, text.data, &(struct spec_options){0});
        const struct graph *g = build_graph(a, d, s, &(struct build_options){.batch = 1, .losses = s->ntargets > 0});
        const struct graph *h =
            again ? build_graph(a, d, again, &(struct build_options){.batch = 1, .losses = s->ntargets > 0}) : NULL;
        diags_print(d, stdout, false);
        assert_non_null(g);
        assert_non_null(h);
        assert_int_equal(g->nnodes, h->nnodes);
        assert_true(parameters(g) == parameters(h));
        for (int i = 0; i < g->nvalues; i++)
            if (g->values[i]->kind != VALUE_NODE)
                assert_true(type_equal(&g->values[i]->type, &graph_find(h, g->values[i]->name)->type));
        arena_free(a);
    }
}

/* ---- conventions: each row names an attribute, and has a value that it can be */

static void check_convention_row(const struct convention_row *r)
{
    const struct op_def *op = op_find(r->subject);
    const struct rnc_row *optimizer = rnc_kind_find(&rnc_optimizers, r->subject);
    assert_true((op != NULL) != (optimizer != NULL));
    if (op) {
        int at = op_attr_index(op, r->attr);
        struct attr value;
        assert_true(at >= 0);
        assert_true(op_attr_parse(&op->attrs[at], r->value, &value, NULL));
        assert_false(op_attr_equal(&value, &op->attrs[at].def));
    } else {
        double settings[16] = {0};
        assert_true(optimizer->size <= sizeof settings);
        assert_true(rnc_row_set(optimizer, settings, r->attr, convention_number(r)));
    }
}

static void conventions_name_attributes(void **state)
{
    (void)state;
    for (int i = 0; i < convention_nframeworks; i++)
        for (int k = 0; k < convention_frameworks[i].nrows; k++)
            check_convention_row(&convention_frameworks[i].rows[k]);
    for (int i = 0; i < convention_nversions; i++)
        for (int k = 0; k < convention_versions[i].nrows; k++) {
            check_convention_row(&convention_versions[i].rows[k]);
            assert_non_null(convention_versions[i].rows[k].why);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_rounds_down_and_never_wraps),
        cmocka_unit_test(parameters_shape_the_network),
        cmocka_unit_test(wrong_overrides_are_refused),
        cmocka_unit_test(shipped_networks_have_the_published_sizes),
        cmocka_unit_test(every_shipped_spec_builds_and_expands),
        cmocka_unit_test(conventions_name_attributes),
    };
    return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
