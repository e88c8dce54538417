/* test_plan.c: pass/pack.c, schedule.c and plan.c. The packing against brute force; the plan of random graphs by
   running it on a memory of tags: each byte remembers which value was written there last, so a plan that overwrites
   what is still wanted shows without any reasoning about lifetimes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ir/text.h"
#include "ir/verify.h"
#include "ir/op.h"
#include "pass/passes.h"
#include "tests/support/random_graph.h"
#include "tests/support/choice.h"

/* ---- packing */

enum { MAX_ITEMS = 7, TIMES = 8 };

static bool overlap(const struct item *a, const struct item *b)
{
    return a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

static size_t lowest_offset(const struct item *items, const int *order, int k)
{
    struct item it = items[order[k]];
    size_t best = SIZE_MAX;
    for (int j = -1; j < k; j++) { /* on the ground, or on top of one that is placed */
        it.offset = j < 0 ? 0 : items[order[j]].offset + items[order[j]].bytes;
        bool free = it.offset < best;
        for (int i = 0; i < k && free; i++) free = !overlap(&it, &items[order[i]]);
        if (free) best = it.offset;
    }
    return best;
}

/* The least height over all orders of placing each item as low as it goes: the items of an optimal packing, pushed down
   and taken from the ground up, are such an order. */
static size_t brute_force(struct item *items, int *order, int k, int count, size_t height, size_t best)
{
    if (height >= best) return best;
    if (k == count) return height;
    for (int i = k; i < count; i++) {
        const int chosen = order[i];
        order[i] = order[k];
        order[k] = chosen;
        struct item *it = &items[chosen];
        it->offset = lowest_offset(items, order, k);
        const size_t top = it->offset + it->bytes;
        best = brute_force(items, order, k + 1, count, top > height ? top : height, best);
        order[k] = order[i];
        order[i] = chosen;
    }
    return best;
}

static void packing_is_optimal_when_small(void **state)
{
    (void)state;
    int optimal = 0, total = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        struct item items[MAX_ITEMS], copy[MAX_ITEMS];
        int order[MAX_ITEMS];
        const int count = (int)random_int(&r, 1, MAX_ITEMS);
        for (int i = 0; i < count; i++) {
            const int first = (int)random_int(&r, 0, TIMES - 1);
            copy[i] = items[i] = (struct item){.bytes = 64 * (size_t)random_int(&r, 1, 9),
                                               .first = first,
                                               .last = (int)random_int(&r, first, TIMES - 1)};
            order[i] = i;
        }
        const size_t bound = items_bound(items, count, TIMES, a), height = items_pack(items, count, bound, a);
        size_t top = 0;
        for (int i = 0; i < count; i++) {
            assert_int_equal(items[i].bytes, copy[i].bytes);
            assert_int_equal(items[i].offset % 64, 0);
            if (items[i].offset + items[i].bytes > top) top = items[i].offset + items[i].bytes;
            for (int k = 0; k < i; k++) assert_false(overlap(&items[i], &items[k]));
        }
        assert_int_equal(top, height);
        const size_t best = brute_force(copy, order, 0, count, 0, SIZE_MAX);
        assert_true(bound <= best);
        assert_true(height >= best);
        if (height * 4 > best * 5) fail_msg("seed %d: height %zu, the best is %zu", (int)seed, height, best);
        optimal += height == best;
        total++;
        arena_free(a);
    }
    if (optimal * 100 < total * 98) fail_msg("only %d of %d packings are the best possible", optimal, total);
}

static void packing_is_close_when_large(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        enum { COUNT = 200, LONG = 300 };
        struct item items[COUNT];
        for (int i = 0; i < COUNT; i++) {
            const int first = (int)random_int(&r, 0, LONG - 1),
                      length = (int)random_int(&r, 0, random_int(&r, 0, 3) ? 6 : LONG - 1 - first);
            items[i] = (struct item){.bytes = 64 * (size_t)random_int(&r, 1, 1000),
                                     .first = first,
                                     .last = first + length < LONG ? first + length : LONG - 1};
        }
        const size_t bound = items_bound(items, COUNT, LONG, a), height = items_pack(items, COUNT, bound, a);
        for (int i = 0; i < COUNT; i++)
            for (int k = 0; k < i; k++) assert_false(overlap(&items[i], &items[k]));
        if (height < bound || (double)height > 1.15 * (double)bound)
            fail_msg("seed %d: height %zu, bound %zu", (int)seed, height, bound);
        arena_free(a);
    }
}

/* A training step in small: few large items that decide the height, and many small ones that must not keep the search
   from them. */
static void packing_puts_small_items_last(void **state)
{
    (void)state;
    double over = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        enum { LARGE = 40, COUNT = 600, LONG = 300 };
        struct item items[COUNT];
        for (int i = 0; i < COUNT; i++) {
            const int first = (int)random_int(&r, 0, LONG - 1),
                      length = (int)random_int(&r, 0, i < LARGE ? LONG / 2 : 8);
            items[i] = (struct item){.bytes = 64 * (size_t)random_int(&r, 1, i < LARGE ? 100000 : 20),
                                     .first = first,
                                     .last = first + length < LONG ? first + length : LONG - 1};
        }
        const size_t bound = items_bound(items, COUNT, LONG, a), height = items_pack(items, COUNT, bound, a);
        for (int i = 0; i < COUNT; i++)
            for (int k = 0; k < i; k++) assert_false(overlap(&items[i], &items[k]));
        if (height < bound) fail_msg("seed %d: height %zu, bound %zu", (int)seed, height, bound);
        over += (double)height / (double)bound - 1;
        arena_free(a);
    }
    if (over > 10 * 0.015) fail_msg("%.1f%% above the bound on average", 10 * over);
}

/* ---- memory of tags */

struct memory {
    struct arena *a;
    const struct graph *g;
    int *arena, *state, *output;
    size_t noutputs;
};

enum { LINE = 64 };

static bool views(const struct value *v)
{
    return v->def && v->alias && (node_is(v->def, "flatten") || node_is(v->def, "unflatten"));
}

/* A view holds what it is a view of. */
static const struct value *viewed(const struct value *v)
{
    while (views(v)) v = v->def->in[0];
    return v;
}

static int tag_of(const struct value *v) { return viewed(v)->id + 1; }

static int *lines_of(const struct memory *m, const struct value *v, size_t *count)
{
    *count = (type_bytes(&v->type) + LINE - 1) / LINE;
    if (v->space == SPACE_ARENA) {
        assert_true(v->offset % LINE == 0 && v->offset + type_bytes(&v->type) <= m->g->arena_bytes);
        return m->arena + v->offset / LINE;
    }
    if (v->space == SPACE_STATE) {
        assert_true(v->offset % LINE == 0 && v->offset + type_bytes(&v->type) <= m->g->state_bytes);
        return m->state + v->offset / LINE;
    }
    assert_int_equal(v->space, SPACE_OUTPUT);
    assert_true(v->offset < m->noutputs);
    *count = 1;
    return m->output + v->offset;
}

static void write_value(const struct memory *m, const struct value *v)
{
    size_t count;
    int *line = lines_of(m, v, &count);
    for (size_t i = 0; i < count; i++) line[i] = tag_of(v);
}

static void check_value(const struct memory *m, const struct node *n, const struct value *v)
{
    if (viewed(v)->kind == VALUE_INPUT || viewed(v)->kind == VALUE_TARGET) {
        assert_int_equal(v->space, SPACE_INPUT);
        return;
    }
    size_t count;
    const int *line = lines_of(m, v, &count);
    for (size_t i = 0; i < count; i++)
        if (line[i] != tag_of(v))
            fail_msg("%s: when %s reads %%%s, it has been overwritten by %%%s", m->g->name,
                     n ? n->op->name : "the caller", v->name, line[i] ? m->g->values[line[i] - 1]->name : "nothing");
}

static bool same_bytes(const struct value *a, const struct value *b)
{
    if (a->space != b->space || a->space == SPACE_INPUT) return false;
    if (a->space == SPACE_OUTPUT) return a->offset == b->offset;
    return a->offset < b->offset + type_bytes(&b->type) && b->offset < a->offset + type_bytes(&a->type);
}

/* A result may lie on an operand only where each element is read before it is written, and in the same arrangement. */
static void check_in_place(const struct graph *g, const struct node *n)
{
    for (int r = 0; r < n->nout; r++) {
        for (int k = 0; k < r; k++)
            if (same_bytes(n->out[r], n->out[k])) fail_msg("%s: two results of %s overlap", g->name, n->op->name);
        for (int i = 0; i < n->nin; i++) {
            const struct value *x = n->in[i];
            if (!x || views(n->out[r]) || !same_bytes(x, n->out[r])) continue;
            const bool elementwise = n->op->family->elementwise || i >= n->nanchor || n->op->inplace;
            if (!elementwise || x->offset != n->out[r]->offset || !type_equal(&x->type, &n->out[r]->type))
                fail_msg("%s: %s writes %%%s over its operand %%%s", g->name, n->op->name, n->out[r]->name, x->name);
        }
    }
}

static void run_node(const struct memory *m, const struct node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) check_value(m, n, n->in[i]);
    check_in_place(m->g, n);
    for (int i = 0; i < n->nout; i++)
        if (!views(n->out[i])) write_value(m, n->out[i]);
}

static void check_plan(struct arena *a, const struct graph *g)
{
    struct memory m = {a, g, .noutputs = (size_t)g->noutputs};
    m.arena = ARENA_ARRAY(a, int, g->arena_bytes / LINE + 1);
    m.state = ARENA_ARRAY(a, int, g->state_bytes / LINE + 1);
    m.output = ARENA_ARRAY(a, int, g->noutputs + 1);
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind != VALUE_NODE && g->values[i]->space == SPACE_STATE) write_value(&m, g->values[i]);
    for (int i = 0; i < g->nvalues; i++) /* no argument on top of another */
        if (g->values[i]->kind != VALUE_NODE && g->values[i]->space == SPACE_STATE) check_value(&m, NULL, g->values[i]);
    GRAPH_EACH(g, n) /* when weights are loaded; parameters need not be kept for that */
    if (n->prepare)
        for (int i = 0; i < n->nout; i++) write_value(&m, n->out[i]);
    GRAPH_EACH(g, n)
    if (!n->prepare) run_node(&m, n);
    for (int i = 0; i < g->noutputs; i++) check_value(&m, NULL, g->outputs[i].value);
    for (int i = 0; i < g->nupdates; i++) {
        check_value(&m, NULL, g->updates[i].value);
        assert_int_equal(g->updates[i].state->offset, g->updates[i].value->offset);
        assert_int_equal(g->updates[i].value->space, SPACE_STATE);
    }
    assert_true(g->arena_bytes >= g->lower_bound_bytes);
}

static struct train_options random_training(struct random *r)
{
    struct train_options t = {0};
    t.grad_outputs = random_int(r, 0, 1);
    t.input_grads = random_int(r, 0, 1);
    if (t.grad_outputs) return t;
    const struct rnc_row *row = rnc_kind_row(&rnc_optimizers, (int)random_int(r, 0, rnc_optimizers.n - 1));
    bool plain = row == rnc_kind_row(&rnc_optimizers, 0) && random_int(r, 0, 2) == 0;
    t.optimizer = choice_of(&rnc_optimizers, row->name, plain ? "momentum=0" : "");
    return t;
}

static struct pass_context context(struct arena *a, struct random *r)
{
    struct pass_context c = {.arena = a, .diags = diags_new(a), .verify = true, .train = random_training(r)};
    target_named(&c.target, random_int(r, 0, 1) ? "x86-64-v3" : "x86-64-v4");
    return c;
}

static bool has_params(const struct graph *g)
{
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_PARAM) return true;
    return false;
}

static void plan_random_graphs(bool train, uint64_t from, uint64_t to)
{
    for (uint64_t seed = from; seed < to; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        struct graph *g = random_graph(a, seed, (int)random_int(&r, 1, 20), random_int(&r, 2, 4), train);
        struct pass_context c = context(a, &r);
        if (!train || has_params(g)) {
            const bool ok = pass_run(g, &c, train ? pass_pipeline_train : pass_pipeline_infer);
            diags_print(c.diags, stdout, false);
            if (!ok) fail_msg("seed %d: the passes failed", (int)seed);
            check_plan(a, g);
        }
        arena_free(a);
    }
}

static void inference_plans_keep_values(void **state)
{
    (void)state;
    plan_random_graphs(false, 0, 200);
}

static void training_plans_keep_values(void **state)
{
    (void)state;
    plan_random_graphs(true, 1000, 1150);
}

/* ---- the schedule */

/* What is live at once in the arena: not the caller's outputs, nor what replaces a state. */
static size_t bound_of(struct arena *a, const struct graph *g)
{
    bool *outside = ARENA_ARRAY(a, bool, g->nvalues);
    for (int i = 0; i < g->noutputs; i++) outside[g->outputs[i].value->id] = true;
    for (int i = 0; i < g->nupdates; i++) outside[g->updates[i].value->id] = true;
    const struct interval *live = plan_intervals(g, a);
    struct item *items = ARENA_ARRAY(a, struct item, g->nvalues);
    int count = 0;
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_NODE && g->values[i]->def && !outside[i] && live[i].first <= live[i].last)
            items[count++] = (struct item){.bytes = (type_bytes(&g->values[i]->type) + 63) / 64 * 64,
                                           .first = live[i].first,
                                           .last = live[i].last};
    return items_bound(items, count, g->nnodes, a);
}

/* The same nodes, still sound, in an order that needs no more memory; and a second run changes nothing. */
static void schedules_permute(void **state)
{
    (void)state;
    for (uint64_t seed = 500; seed < 600; seed++) {
        struct arena *a = arena_new();
        struct random r = {seed};
        struct graph *g = random_graph(a, seed, 18, 2, true);
        struct pass_context c = context(a, &r);
        if (!has_params(g)) {
            arena_free(a);
            continue;
        }
        assert_true(pass_run(g, &c, "autodiff,simplify,fuse,layout,workspace"));
        struct node **before = ARENA_ARRAY(a, struct node *, g->nnodes);
        const int count = g->nnodes;
        int i = 0;
        GRAPH_EACH(g, n) before[i++] = n;
        const size_t height = bound_of(a, g);
        assert_true(pass_run(g, &c, "schedule"));
        assert_int_equal(g->nnodes, count);
        GRAPH_EACH(g, n) n->index = -1;
        for (i = 0; i < count; i++) {
            assert_int_equal(before[i]->index, -1);
            before[i]->index = i;
        }
        GRAPH_EACH(g, n) assert_true(n->index >= 0);
        assert_null(graph_verify(g));
        if (bound_of(a, g) > height) fail_msg("seed %d: %zu bytes became %zu", (int)seed, height, bound_of(a, g));
        arena_free(a);
    }
}

/* ---- concats */

/* Two images of 64 KiB that a convolution reads joined, and a third that it makes. */
static const char joined[] = "graph @joined batch=1 {\n"
                             "  input %x : f32[N=1,16,32,32]\n"
                             "  param %w : f32[16,32,3,3]\n"
                             "  %a = tanh(%x) : f32[N=1,16,32,32]\n"
                             "  %b = sigmoid(%x) : f32[N=1,16,32,32]\n"
                             "  %c = concat(%a, %b) : f32[N=1,32,32,32]\n"
                             "  %y = conv2d(%c, %w) {pad=[1, 1, 1, 1]} : f32[N=1,16,32,32]\n"
                             "  output \"y\" %y\n"
                             "}\n";

static size_t arena_after(struct arena *a, const char *passes)
{
    struct pass_context c = {.arena = a, .diags = diags_new(a), .verify = true};
    struct source src = {.path = "joined.ir", .text = joined, .len = strlen(joined)};
    target_named(&c.target, "x86-64-v4");
    struct graph *g = graph_parse(a, c.diags, &src);
    assert_non_null(g);
    assert_true(pass_run(g, &c, passes));
    return g->arena_bytes;
}

/* The joined value, 128 KiB beside its operands, is what the pass saves: the most is then live where the convolution
   runs. */
static void concats_read_in_parts_take_no_memory(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_int_equal(arena_after(a, "simplify,fuse,layout,workspace,schedule,plan"), 4 * 65536);
    assert_int_equal(arena_after(a, "simplify,concat,fuse,layout,workspace,schedule,plan"), 3 * 65536);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_is_optimal_when_small),
        cmocka_unit_test(packing_is_close_when_large),
        cmocka_unit_test(inference_plans_keep_values),
        cmocka_unit_test(training_plans_keep_values),
        cmocka_unit_test(schedules_permute),
        cmocka_unit_test(packing_puts_small_items_last),
        cmocka_unit_test(concats_read_in_parts_take_no_memory),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
