/* test_ir.c: ir/: the graph's building blocks, and the text form over random graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ir/graph.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "ir/op.h"
#include "tests/support/random_graph.h"

/* ---- types */

static void types_know_their_bytes(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct type t = type_nchw(2, 17, 3, 5);
    assert_int_equal(type_elements(&t), 510);
    assert_int_equal(type_bytes(&t), 2040);
    assert_string_equal(type_text(a, &t), "f32[N=2,17,3,5]");
    struct type blocked = t;
    blocked.layout = LAYOUT_BLOCKED;
    blocked.v = 16;
    assert_int_equal(type_bytes(&blocked), 2 * 32 * 15 * 4);
    assert_string_equal(type_text(a, &blocked), "f32[N=2,17,3,5]:b16");
    assert_true(type_same_shape(&t, &blocked));
    assert_false(type_equal(&t, &blocked));
    struct type w = type_make(DT_F32, 4, (int64_t[]){17, 3, 3, 3});
    w.layout = LAYOUT_WEIGHT;
    w.v = 16;
    w.iv = 3;
    assert_int_equal(type_bytes(&w), 32 * 3 * 9 * 4);
    w.layout = LAYOUT_WEIGHT_T;
    assert_int_equal(type_bytes(&w), 32 * 16 * 9 * 4);
    struct type scalar = type_make(DT_I64, 0, NULL);
    assert_int_equal(type_elements(&scalar), 1);
    assert_int_equal(type_bytes(&scalar), 8);
    struct type vector = type_make(DT_BF16, 1, (int64_t[]){5});
    vector.layout = LAYOUT_BLOCKED;
    vector.v = 8;
    assert_int_equal(type_bytes(&vector), 16);
    struct type boxes = type_make(DT_F32, 3, (int64_t[]){2, 100, 4}), same = boxes;
    boxes.batched = true;
    assert_string_equal(type_text(a, &boxes), "f32[N=2,100,4]");
    assert_true(type_same_shape(&boxes, &same) && !type_equal(&boxes, &same));
    boxes.bounded = same.bounded = 1 << 1;
    assert_string_equal(type_text(a, &boxes), "f32[N=2,<=100,4]");
    assert_string_equal(type_text(a, &same), "f32[2,<=100,4]");
    assert_int_equal(type_bytes(&boxes), 3200);
    struct type huge = type_make(DT_F32, 4, (int64_t[]){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
    assert_true(type_elements(&huge) == INT64_MAX);
    assert_true(type_bytes(&huge) == SIZE_MAX);
    arena_free(a);
}

/* ---- building and changing */

/* x -> relu a -> sigmoid b; add(a, b) -> c, the output. */
static struct graph *diamond(struct arena *arena)
{
    struct graph *g = graph_new(arena, "diamond", 1);
    struct value *x = graph_arg(g, VALUE_INPUT, "x", type_nchw(1, 2, 3, 3));
    struct value *a = op_build(g, NULL, "relu", &x, 1)->out[0];
    struct value *b = op_build(g, NULL, "sigmoid", &a, 1)->out[0];
    struct value *c = op_build(g, NULL, "add", (struct value *[]){a, b}, 2)->out[0];
    value_rename(g, a, "a");
    value_rename(g, b, "b");
    value_rename(g, c, "c");
    graph_output(g, "y", c);
    return g;
}

static void names_are_found_after_renames(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct graph *g = graph_new(arena, "names", 1);
    for (int i = 0; i < 500; i++) graph_arg(g, VALUE_PARAM, arena_printf(arena, "p%d", i), type_make(DT_F32, 0, NULL));
    for (int i = 0; i < 500; i += 3)
        value_rename(g, graph_find(g, arena_printf(arena, "p%d", i)), arena_printf(arena, "q%d", i));
    for (int i = 0; i < 500; i++) {
        const char *p = arena_printf(arena, "p%d", i), *q = arena_printf(arena, "q%d", i);
        assert_int_equal(graph_find(g, p) == NULL, i % 3 == 0);
        assert_int_equal(graph_find(g, q) != NULL, i % 3 == 0);
        assert_int_equal(graph_find(g, i % 3 ? p : q)->id, i);
    }
    assert_string_equal(graph_fresh_name(g, "p0"), "p0");
    assert_string_equal(graph_fresh_name(g, "p1"), "p1.1");
    assert_null(graph_find(g, graph_fresh_name(g, NULL)));
    arena_free(arena);
}

static void nodes_move_and_go(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct graph *g = diamond(arena);
    assert_int_equal(g->nnodes, 3);
    assert_null(graph_verify(g));
    struct node *first = g->first;
    graph_move(g, first, NULL);
    assert_ptr_equal(g->last, first);
    assert_non_null(graph_verify(g)); /* a read before its definition */
    graph_move(g, first, g->first);
    assert_ptr_equal(g->first, first);
    assert_null(graph_verify(g));
    graph_number(g);
    int i = 0;
    GRAPH_EACH(g, n) assert_int_equal(n->index, i++);
    const int *uses = graph_use_counts(g, arena);
    assert_int_equal(uses[graph_find(g, "a")->id], 2);
    assert_int_equal(uses[graph_find(g, "b")->id], 1);
    assert_int_equal(uses[graph_find(g, "c")->id], 1);
    assert_int_equal(graph_remove_dead(g), 0);
    graph_replace(g, graph_find(g, "b"), graph_find(g, "a"));
    assert_ptr_equal(g->last->in[1], graph_find(g, "a"));
    assert_int_equal(graph_remove_dead(g), 1); /* the sigmoid */
    graph_replace(g, graph_find(g, "c"), graph_find(g, "x"));
    assert_int_equal(graph_remove_dead(g), 2);
    assert_int_equal(g->nnodes, 0);
    assert_null(g->first);
    assert_null(g->last);
    assert_null(graph_verify(g));
    arena_free(arena);
}

static void updates_are_replaced(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct graph *g = diamond(arena);
    struct value *s = graph_arg(g, VALUE_BUFFER, "s", type_nchw(1, 2, 3, 3));
    graph_set_update(g, s, graph_find(g, "a"));
    graph_set_update(g, s, graph_find(g, "b"));
    assert_int_equal(g->nupdates, 1);
    assert_ptr_equal(g->updates[0].value, graph_find(g, "b"));
    assert_null(graph_verify(g));
    arena_free(arena);
}

static const char *text_of(struct arena *a, const struct graph *g)
{
    struct buf b;
    buf_init(&b, a);
    graph_print(g, &b);
    return b.data;
}

static void a_clone_is_apart(void **state)
{
    (void)state;
    struct arena *arena = arena_new(), *other = arena_new();
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct graph *g = random_graph(arena, seed, 10, 2, seed % 2);
        const char *before = text_of(arena, g);
        struct graph *c = graph_clone(other, g);
        assert_string_equal(text_of(arena, c), before);
        assert_null(graph_verify(c));
        while (c->noutputs) c->noutputs--;
        graph_remove_dead(c);
        assert_string_equal(text_of(arena, g), before);
    }
    arena_free(other);
    arena_free(arena);
}

/* ---- text */

static struct graph *parsed(struct arena *a, const char *text)
{
    struct source *src = ARENA_NEW(a, struct source);
    *src = (struct source){.path = "test.ir", .text = text, .len = strlen(text)};
    struct diags *d = diags_new(a);
    struct graph *g = graph_parse(a, d, src);
    diags_print(d, stdout, false);
    return g;
}

static void random_graphs_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct arena *a = arena_new();
        struct graph *g = random_graph(a, seed, 14, random_int(&(struct random){seed}, 1, 4), seed % 2);
        const char *problem = graph_verify(g);
        if (problem) fail_msg("seed %d: %s", (int)seed, problem);
        const char *text = text_of(a, g);
        struct graph *again = parsed(a, text);
        if (!again) fail_msg("seed %d cannot be parsed:\n%s", (int)seed, text);
        assert_string_equal(text_of(a, again), text);
        assert_null(graph_verify(again));
        arena_free(a);
    }
}

static void odd_names_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"a b", "\"quoted\"", "back\\slash", "new\nline", "\x01\x1f\x7f", "größe", "",
                                        "%x",  "0",          "-",           ".",         "a=b",          "_"};
    struct arena *a = arena_new();
    struct graph *g = graph_new(a, "odd name \"x\"", 3);
    struct value *x = graph_arg(g, VALUE_INPUT, "x", type_nchw(3, 2, 2, 2));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct node *n = op_build(g, NULL, "relu", &x, 1);
        value_rename(g, n->out[0], names[i]);
        n->layer = names[i];
        x = n->out[0];
        graph_output(g, names[i], x);
    }
    const char *text = text_of(a, g);
    struct graph *again = parsed(a, text);
    assert_non_null(again);
    assert_string_equal(text_of(a, again), text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) assert_non_null(graph_find(again, names[i]));
    arena_free(a);
}

/* Two conv2d, a dgrad and a wgrad whose operands come from pointwise nodes, and the same with prologues. */
static const char arguments[] =
    "graph @g batch=2 train { input %x : f32[N=2,3,6,6] input %z : f32[N=2,3,6,6] input %dy : "
    "f32[N=2,5,6,6] param %w : f32[5,3,3,3] init=zeros"
    " param %a : f32[3] init=zeros param %b : f32[3] init=zeros param %m : f32[3] "
    "init=zeros param %v : f32[3] init=zeros\n";
static const char outputs[] = "output \"y\" %y output \"dw\" %dw output \"dx\" %dx }";
static const char apart[] =
    "%bn = bn_apply(%x, %m, %v, %b, %a) : f32[N=2,3,6,6] %s = add(%bn, %z) : f32[N=2,3,6,6] %r = sigmoid(%s) : "
    "f32[N=2,3,6,6] %g = relu(%dy) : f32[N=2,5,6,6]\n"
    "%y = conv2d(%r, %w) {pad=[1, 1, 1, 1]} : f32[N=2,5,6,6]\n"
    "%dw = conv2d_wgrad(%r, %g) {pad=[1, 1, 1, 1], kernel=[3, 3]} : f32[5,3,3,3]\n"
    "%dx = conv2d_dgrad(%g, %w | %z) {pad=[1, 1, 1, 1], size=[6, 6]} [t0 = mul(acc, %z) -> t0] : f32[N=2,3,6,6]\n";
#define SIGMOID "pre0 [t0 = bn_apply(acc, %m, %v, %b, %a), t1 = add(t0, %z), t2 = sigmoid(t1) -> t2]"
static const char within[] =
    "%y = conv2d(%x, %w | %m, %v, %b, %a, %z) {pad=[1, 1, 1, 1]} " SIGMOID " : f32[N=2,5,6,6]\n"
    "%dw = conv2d_wgrad(%x, %dy | %m, %v, %b, %a, %z) {pad=[1, 1, 1, 1], kernel=[3, 3]} " SIGMOID
    " pre1 [t0 = relu(acc) -> t0] : f32[5,3,3,3]\n"
    "%dx = conv2d_dgrad(%dy, %w | %z) {pad=[1, 1, 1, 1], size=[6, 6]} [t0 = mul(acc, %z) -> t0] pre0 [t0 = relu(acc) "
    "-> t0] : f32[N=2,3,6,6]\n";

static void prologues_mean_what_nodes_do(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct graph *g = parsed(a, arena_printf(a, "%s%s%s", arguments, apart, outputs)),
                 *h = parsed(a, arena_printf(a, "%s%s%s", arguments, within, outputs));
    assert_non_null(g);
    assert_non_null(h);
    assert_null(graph_verify(h));
    h = graph_clone(a, h);
    assert_null(graph_verify(h));
    struct ref_run run = {.n = 2, .step = 1};
    struct eval *e = eval_new(g, run), *f = eval_new(h, run);
    random_fill(e, g, 7);
    random_fill(f, h, 7);
    eval_run(e, false);
    eval_run(f, false);
    for (int i = 0; i < g->noutputs; i++) {
        const struct value *v = g->outputs[i].value, *w = h->outputs[i].value;
        assert_memory_equal(eval_data(e, v), eval_data(f, w), (size_t)type_elements(&v->type) * sizeof(double));
    }
    eval_free(e);
    eval_free(f);
    arena_free(a);
}

/* What a parsed graph means is what the graph meant: the same bits from the reference interpreter. */
static void meaning_survives_the_text(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        struct arena *a = arena_new();
        struct graph *g = random_graph(a, seed, 12, 2, true), *again = parsed(a, text_of(a, g));
        assert_non_null(again);
        struct ref_run run = {.n = 2, .step = 1};
        struct eval *e = eval_new(g, run), *f = eval_new(again, run);
        random_fill(e, g, seed);
        random_fill(f, again, seed);
        eval_run(e, false);
        eval_run(f, false);
        for (int i = 0; i < g->noutputs; i++) {
            const struct value *v = g->outputs[i].value, *w = again->outputs[i].value;
            assert_memory_equal(eval_data(e, v), eval_data(f, w), (size_t)type_elements(&v->type) * sizeof(double));
        }
        eval_free(e);
        eval_free(f);
        arena_free(a);
    }
}

static void the_verifier_finds_damage(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct graph *g = diamond(a);
    g->last->out[0]->type.dim[1] = 3; /* not what the operands make */
    assert_non_null(graph_verify(g));
    g = diamond(a);
    g->last->in[1] = NULL;
    assert_non_null(graph_verify(g));
    g = diamond(a);
    g->last->in[1] = g->last->out[0]; /* reads itself */
    assert_non_null(graph_verify(g));
    g = diamond(a);
    graph_find(g, "b")->name = "a"; /* two of one name */
    assert_non_null(graph_verify(g));
    g = diamond(a);
    g->last->nin = 1;
    assert_non_null(graph_verify(g));
    g = diamond(a);
    g->first->out[0]->type.dim[0] = 0;
    assert_non_null(graph_verify(g));
    g = diamond(a);
    struct value *s = graph_arg(g, VALUE_PARAM, "s", type_nchw(1, 2, 3, 4));
    graph_set_update(g, s, graph_find(g, "a")); /* another shape */
    assert_non_null(graph_verify(g));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_know_their_bytes),    cmocka_unit_test(names_are_found_after_renames),
        cmocka_unit_test(nodes_move_and_go),         cmocka_unit_test(updates_are_replaced),
        cmocka_unit_test(a_clone_is_apart),          cmocka_unit_test(random_graphs_round_trip),
        cmocka_unit_test(odd_names_round_trip),      cmocka_unit_test(prologues_mean_what_nodes_do),
        cmocka_unit_test(meaning_survives_the_text), cmocka_unit_test(the_verifier_finds_damage),
    };
    return cmocka_run_group_tests_name("ir", tests, NULL, NULL);
}
