/* test_tuner.c: the tuner's bound, order, choices and tables, with a machine whose clock and figures are made up; and
   the error budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "elaborate/elaborate.h"
#include "gen/gen.h"
#include "measure/tuner.h"
#include "ir/text.h"
#include "kernel/accuracy.h"
#include "ir/op.h"
#include "pass/algorithm/algorithm.h"
#include "tests/support/choice.h"

/* ---- graphs */

static struct target v4(void)
{
    struct target t;
    assert_true(target_named(&t, "x86-64-v4"));
    return t;
}

/* A shipped spec up to the pass before `algorithm`. */
static struct graph *ready(struct arena *a, const char *spec, bool train, int64_t batch)
{
    struct diags *d = diags_new(a);
    struct spec *s = spec_load(a, d, spec, NULL);
    assert_non_null(s);
    struct graph *g = build_graph(a, d, s, &(struct build_options){.batch = batch, .losses = train});
    assert_non_null(g);
    struct pass_context c = {.arena = a,
                             .diags = d,
                             .target = v4(),
                             .train = {.optimizer = train
                                                        ? choice_of(&rnc_optimizers, "sgd", "momentum=0 weight_decay=0")
                                                        : (struct rnc_choice){0}}};
    assert_true(pass_run(g, &c, train ? "autodiff,simplify,fuse" : "simplify,fold,fuse"));
    return g;
}

static void choose(struct arena *a, struct graph *g, struct pass_context c)
{
    c.arena = a;
    c.diags = diags_new(a);
    c.target = v4();
    assert_true(pass_run(g, &c, "algorithm"));
}

/* How many nodes took an algorithm with output tile M. */
static int took(const struct graph *g, int m)
{
    int count = 0;
    GRAPH_EACH(g, n)
    if (algorithm_count(n) > 1) count += algorithm_of(n)->tile == m;
    return count;
}

/* ---- a machine that is made up: compilations and runs take pseudo-random times, and a run's figure is by its tile */

struct fake {
    double time, figure[8]; /* by m; 0: 1 s */
    uint32_t random;
    int compiled, released, runs;
    double compile_most; /* seconds */
    double first;        /* weight of the first graph compiled: products */
};
struct fake_code {
    int m;
};

static double uniform(struct fake *f)
{
    f->random = f->random * 1664525u + 1013904223u;
    return (double)(f->random >> 8) * 0x1p-24;
}

static double fake_now(void *ctx) { return ((struct fake *)ctx)->time; }

static void *fake_compile(void *ctx, const struct graph *g, const struct target *t)
{
    struct fake *f = ctx;
    struct fake_code *code = calloc(1, sizeof *code);
    (void)t;
    assert_int_equal(g->stage, STAGE_PLANNED);
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        code->m = algorithm_of(n)->tile;
        if (!f->compiled) f->first = (double)op_macs(n);
    }
    f->compiled++;
    f->time += f->compile_most * (0.5 + 0.5 * uniform(f));
    return code;
}

static double fake_run(void *ctx, void *code, double until)
{
    struct fake *f = ctx;
    const struct fake_code *c = code;
    double figure = f->figure[c->m] > 0 ? f->figure[c->m] : 1e-3, takes = figure * (1 + uniform(f));
    f->runs++;
    if (f->time + takes > until) return -1;
    f->time += takes;
    return figure;
}

static void fake_release(void *ctx, void *code)
{
    ((struct fake *)ctx)->released++;
    free(code);
}

static struct tuner *fake_tuner(struct arena *a, struct fake *f, const char *dir, double seconds)
{
    const struct tuner_machine m = {fake_now, fake_compile, fake_run, fake_release, f};
    return tuner_new(a, &(struct tuner_options){.target = v4(), .seconds = seconds, .dir = dir, .machine = &m});
}

/* ---- the bound */

/* Of no time is more taken than was given, over two graphs, and what was left out is counted. */
static void test_bound(void **state)
{
    static const double bounds[] = {0, 0.05, 0.2, 0.5, 1, 2, 4, 8, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (uint32_t seed = 1; seed <= 5; seed++) {
            struct arena *a = arena_new();
            struct fake f = {
                .time = 77, .random = seed, .compile_most = 0.03 * seed, .figure = {4e-3, 0, 3e-3, 0, 2e-3, 0, 1e-3}};
            struct tuner *t = fake_tuner(a, &f, NULL, bounds[i]);
            choose(a, ready(a, "resnet18", true, 4), (struct pass_context){.cost = tuner_cost(t)});
            choose(a, ready(a, "resnet18", false, 4), (struct pass_context){.cost = tuner_cost(t)});
            struct tuner_stats s = tuner_stats(t);
            if (f.time - 77 > bounds[i]) fail_msg("%g s were given, %g taken", bounds[i], f.time - 77);
            assert_int_equal(f.compiled, f.released);
            assert_int_equal(s.known, 0);
            if (bounds[i] == 0) assert_int_equal(f.runs + f.compiled + s.measured, 0);
            if (bounds[i] == 1000) assert_int_equal(s.left, 0);
            assert_true(s.left + s.measured > 8);
            arena_free(a);
        }
}

/* With time for one, it is a costliest one; the others are as the model has them. */
static void test_order(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct fake f = {.random = 9, .compile_most = 0.14, .figure = {1, 0, 1e-3, 0, 1, 0, 1}};
    struct graph *g = ready(a, "resnet18", false, 16), *plain = graph_clone(a, g);
    struct tuner *t = fake_tuner(a, &f, NULL, 1000);
    double most = 0;
    choose(a, plain, (struct pass_context){0});
    struct tuner *none = fake_tuner(a, &(struct fake){0}, NULL, 0);
    struct graph *same = graph_clone(a, g);
    choose(a, same, (struct pass_context){.cost = tuner_cost(none)});
    for (int m = 0; m <= 6; m++) assert_int_equal(took(same, m), took(plain, m));
    choose(a, g, (struct pass_context){.cost = tuner_cost(t)});
    GRAPH_EACH(g, n)
    if (algorithm_count(n) > 1 && algorithm_legal(n, 1, &(struct target){.lanes = 16}))
        most = fmax(most, (double)op_macs(n));
    assert_true(f.first >= 0.99 * most);
    arena_free(a);
}

/* ---- choices */

static void test_choices(void **state)
{
    static const int tiles[] = {0, 2, 4};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct arena *a = arena_new();
        struct fake f = {.random = 5, .compile_most = 0.01, .figure = {1e-3, 0, 1e-3, 0, 1e-3, 0, 1e-3}};
        f.figure[tiles[i]] = 5e-4;
        struct graph *g = ready(a, "resnet18", true, 2);
        struct tuner *t = fake_tuner(a, &f, NULL, 1000);
        choose(a, g, (struct pass_context){.cost = tuner_cost(t)});
        struct buf text;
        buf_init(&text, a);
        graph_print(g, &text);
        int all = took(g, 0) + took(g, 2) + took(g, 4) + took(g, 6);
        if (tiles[i]) {
            assert_true(took(g, tiles[i]) ==
                        39); /* 13 convolutions in three directions; strided, 1×1 and the stem have nothing to choose */
            assert_int_equal(took(g, 0), all - 39);
            assert_non_null(strstr(text.data, arena_printf(a, "algorithm=winograd%d", tiles[i])));
        } else {
            assert_int_equal(took(g, 0), all);
            assert_null(strstr(text.data, "algorithm=winograd"));
        }
        arena_free(a);
    }
}

/* What was recorded is chosen again, whatever the costs say; what is illegal or no algorithm is not. */
static void test_replay(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct graph *g = ready(a, "resnet18", true, 2), *again = graph_clone(a, g);
    struct fake f = {.random = 5, .compile_most = 0.01, .figure = {1e-3, 0, 5e-4, 0, 1e-3, 0, 1e-3}};
    choose(a, g, (struct pass_context){.cost = tuner_cost(fake_tuner(a, &f, NULL, 1000))});
    struct strmap recorded, read;
    struct buf text, later;
    strmap_init(&recorded, a);
    strmap_init(&read, a);
    buf_init(&text, a);
    buf_init(&later, a);
    algorithm_record(g, &recorded);
    algorithm_print(&recorded, &text);
    buf_printf(&later, "no line\n=\n%sconv2d 9x9 pad1=winograd4", text.data);
    algorithm_replay(later.data, &read);
    struct pass_context c = {.arena = a, .diags = diags_new(a), .target = v4(), .replay = &read};
    assert_true(pass_run(again, &c, "algorithm,layout"));
    assert_int_equal(took(again, 2), 39);
    struct strmap after; /* the keys are the same behind `layout` */
    struct buf same;
    strmap_init(&after, a);
    buf_init(&same, a);
    algorithm_record(again, &after);
    algorithm_print(&after, &same);
    assert_string_equal(same.data, text.data);
    for (size_t i = 0; i < read.count; i++)
        read.entries[i].value = (void *)(uintptr_t)(i % 2 ? "winograd5" : "wnograd"); /* strided ones as well */
    struct graph *odd = ready(a, "resnet18", true, 2);
    choose(a, odd, (struct pass_context){.replay = &read});
    GRAPH_EACH(odd, n)
    if (algorithm_count(n) > 1 && node_ints(n, "stride")[0] > 1) assert_int_equal(node_int(n, "algorithm"), 0);
    arena_free(a);
}

/* ---- the error budget */

static double least_winograd(void *ctx, const struct graph *g, const struct node *n, int algorithm)
{
    (void)ctx, (void)g;
    return 100 - algorithm_at(n, algorithm)->tile * 10; /* the larger the tile, the better */
}

static void test_budget(void **state)
{
    static const int tiles[] = {0, 2, 4, 5, 6};
    enum { NTILES = sizeof tiles / sizeof *tiles };
    static const struct {
        double accuracy;
        bool train;
        int most[NTILES]; /* of these tiles: how many of the 13 (39) of stride 1, and of 3 more of stride 2 */
    } rows[] = {
        {ACCURACY_EXACT, false, {13, 0, 0, 0, 0}},
        {1e-7, false, {13, 0, 0, 0, 0}},
        {5e-7, false, {0, 13, 0, 0, 0}},    /* F(4) has 0.65e-6 at 64 channels */
        {1e-6, false, {-2, 6, 9, 0, 0}},    /* F(4) at 64 channels, of which there are four, and at 128 */
        {1.5e-6, false, {-3, 0, 12, 4, 0}}, /* F(5) at 64 channels alone */
        {0, false, {-3, 0, 3, 9, 4}},       /* the default: F(6) at 64 channels alone */
        {1e-5, false, {-3, 0, 3, 0, 13}},
        {1e-5, true, {0, 0, 0, 39, 0}}, /* never a tile beyond five in training */
        {1e-2, true, {0, 0, 0, 39, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new();
        struct graph *g = ready(a, "resnet18", rows[i].train, 1);
        int others = -13 * (rows[i].train ? 3 : 1);
        GRAPH_EACH(g, n) others += algorithm_count(n) > 1;
        choose(a, g, (struct pass_context){.accuracy = rows[i].accuracy, .cost = {.cost = least_winograd}});
        for (int k = 0; k < NTILES; k++)
            if (took(g, tiles[k]) != rows[i].most[k] + (k ? 0 : others))
                fail_msg("accuracy %g, %s: %d by tile %d", rows[i].accuracy, rows[i].train ? "training" : "inference",
                         took(g, tiles[k]), tiles[k]);
        arena_free(a);
    }
}

/* Rows in rising order: larger tiles and longer sums have larger errors. */
static void test_estimates(void **state)
{
    (void)state;
    for (const struct algorithm *a = algorithm_all(); a->name; a++)
        for (double terms = 16; terms <= 4096; terms *= 2) {
            assert_true(accuracy_estimate(a->accuracy, 2 * terms) > accuracy_estimate(a->accuracy, terms));
            if (a[1].name) assert_true(accuracy_estimate(a[1].accuracy, terms) > accuracy_estimate(a->accuracy, terms));
            if (!a->tile) assert_true(accuracy_estimate(a->accuracy, terms) < 1e-6);
            if (a->tile == 4 && terms == 256) assert_true(fabs(accuracy_estimate(a->accuracy, terms) - 1.2e-6) < 1e-7);
        }
}

/* ---- tables */

static const char *new_folder(struct arena *a)
{
    const char *base = getenv("TMPDIR");
    char *dir = arena_printf(a, "%s/tuner-test-XXXXXX", base ? base : P_tmpdir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

/* The path of the only table in DIR. */
static const char *only_table(struct arena *a, const char *dir)
{
    const char *path = NULL;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            assert_null(path);
            path = arena_printf(a, "%s/%s", dir, e->d_name);
        }
    closedir(d);
    assert_non_null(path);
    return path;
}

static void remove_folder(struct arena *a, const char *dir)
{
    unlink(only_table(a, dir));
    assert_int_equal(rmdir(dir), 0);
}

static int rows_of(struct arena *a, const char *dir)
{
    struct tuner_table t;
    struct target target = v4();
    tuner_table_init(&t, a);
    tuner_table_read(&t, dir, &target);
    return (int)t.rows.count;
}

/* What one tuner has measured the next one knows, to the digit; for another target it has no entries. */
static void test_kept(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    const char *dir = new_folder(a);
    struct fake f = {.random = 3, .compile_most = 0.01, .figure = {1e-3 / 3, 0, 1e-4 / 7, 0, 1e-3, 0, 1e-3}};
    struct graph *g = ready(a, "resnet18", false, 2), *again = graph_clone(a, g);
    choose(a, g, (struct pass_context){.cost = tuner_cost(fake_tuner(a, &f, dir, 1000))});
    assert_int_equal(took(g, 2), 13);
    struct fake idle = {.random = 3};
    struct tuner *second = fake_tuner(a, &idle, dir, 0);
    choose(a, again, (struct pass_context){.cost = tuner_cost(second)});
    assert_int_equal(took(again, 2), 13);
    assert_int_equal(idle.compiled, 0);
    assert_int_equal(tuner_stats(second).known, 7); /* four of stride 1, three of stride 2 */
    struct target v3;
    struct tuner_table other;
    assert_true(target_named(&v3, "x86-64-v3"));
    tuner_table_init(&other, a);
    tuner_table_read(&other, dir, &v3);
    assert_int_equal(other.rows.count, 0);
    remove_folder(a, dir);
    arena_free(a);
}

/* Four processes, each adding rows one by one: none is lost, and no reader ever sees half a file. */
static void test_writers(void **state)
{
    enum { WRITERS = 4, ROWS = 12 };
    (void)state;
    struct arena *a = arena_new();
    const char *dir = new_folder(a);
    struct target target = v4();
    pid_t child[WRITERS];
    fflush(NULL);
    for (int w = 0; w < WRITERS; w++) {
        child[w] = fork();
        assert_true(child[w] >= 0);
        if (child[w]) continue;
        int seen = 0;
        for (int i = 0; i < ROWS; i++) {
            struct tuner_table t;
            tuner_table_init(&t, a);
            tuner_table_set(&t, arena_printf(a, "conv2d %dx%d", w, i), "direct", 1e-3 * (i + 1));
            tuner_table_write(&t, dir, &target);
            int now = rows_of(a, dir);
            if (now < seen || now <= i) _exit(1);
            seen = now;
        }
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(child[w], &status, 0), child[w]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(rows_of(a, dir), WRITERS * ROWS);
    remove_folder(a, dir);
    arena_free(a);
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* A table with a byte changed, cut off or longer counts as none, and is written anew. */
static void test_damaged(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    const char *dir = new_folder(a);
    struct target target = v4();
    struct tuner_table t;
    tuner_table_init(&t, a);
    for (int i = 0; i < 3; i++) tuner_table_set(&t, arena_printf(a, "conv2d 1x%d", i), "winograd4", 1e-4);
    tuner_table_write(&t, dir, &target);
    const char *path = only_table(a, dir);
    char whole[4096], bad[4097];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(whole, 1, sizeof whole, f);
    fclose(f);
    assert_int_equal(rows_of(a, dir), 3);
    for (size_t i = 0; i < size; i += 3) {
        memcpy(bad, whole, size);
        bad[i] ^= 1;
        write_file(path, bad, size);
        if (rows_of(a, dir)) fail_msg("byte %zu was changed without an error", i);
    }
    for (size_t i = 0; i < size; i += 7) {
        write_file(path, whole, i);
        assert_int_equal(rows_of(a, dir), 0);
    }
    memcpy(bad, whole, size);
    bad[size] = '\n';
    write_file(path, bad, size + 1);
    assert_int_equal(rows_of(a, dir), 0);
    tuner_table_write(&t, dir, &target);
    assert_int_equal(rows_of(a, dir), 3);
    assert_int_equal(chmod(path, 0666), 0); /* others could put anything there */
    assert_int_equal(rows_of(a, dir), 0);
    remove_folder(a, dir);
    arena_free(a);
}

/* ---- the real machine */

/* One convolution of each direction by all its algorithms: figures come out, and nothing is asked of them but that they
   are some. */
static void test_host(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target host;
    target_host(&host);
    assert_true(gen_target_init(&host, d));
    struct type x = type_nchw(2, 32, 12, 12), w = type_make(DT_F32, 4, (const int64_t[]){32, 32, 3, 3});
    struct graph *g = graph_new(a, "net", 2);
    g->train = true;
    struct value *in = graph_arg(g, VALUE_INPUT, "x", x), *weight = graph_arg(g, VALUE_PARAM, "w", w);
    struct attr pad = {.type = ATTR_QUAD, .v = {1, 1, 1, 1}};
    const char *const ops[] = {"conv2d", "conv2d_dgrad", "conv2d_wgrad"};
    for (int i = 0; i < 3; i++) {
        const struct op_def *op = op_find(ops[i]);
        struct attr *attr = ARENA_ARRAY(a, struct attr, op->nattr);
        for (int k = 0; k < op->nattr; k++) attr[k] = op->attrs[k].def;
        attr[op_attr_index(op, "pad")] = pad;
        if (i == 1) attr[op_attr_index(op, "size")].v[0] = attr[op_attr_index(op, "size")].v[1] = 12;
        if (i == 2) attr[op_attr_index(op, "kernel")].v[0] = attr[op_attr_index(op, "kernel")].v[1] = 3;
        struct node *n = op_build_attrs(g, NULL, ops[i], (struct value *[]){in, i == 2 ? in : weight}, 2, attr);
        graph_output(g, ops[i], n->out[0]);
    }
    struct tuner *t = tuner_new(a, &(struct tuner_options){.target = host, .seconds = 3600});
    struct pass_context c = {.arena = a, .diags = d, .target = host, .cost = tuner_cost(t)};
    assert_true(pass_run(g, &c, "algorithm"));
    assert_int_equal(tuner_stats(t).measured, 3);
    GRAPH_EACH(g, n)
    for (int k = 0; k < algorithm_count(n); k++)
        if (algorithm_allowed(g, n, k, &c)) assert_true(c.cost.cost(c.cost.ctx, g, n, k) > 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),  cmocka_unit_test(test_order),   cmocka_unit_test(test_choices),
        cmocka_unit_test(test_replay), cmocka_unit_test(test_budget),  cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_kept),   cmocka_unit_test(test_writers), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
