/* test_shapes.c: the convolutions at awkward sizes: each algorithm × each direction × each family of shapes against the
   references.

       build/tests/shapes/test_shapes [NAME]…     -v names every case (with TEST_ERRORS=1 its error, too);
                                                  --cpu=x86-64-v3 compiles for 8 lanes
       build/tests/shapes/test_shapes 3x3/dgrad   the cases whose name begins so; a whole name runs that case alone
       RNC_SHAPES=all                             every combination of sizes (some thousands a family)

   A name is FAMILY/DIRECTION/ALGORITHM/IxO@HxW*N, behind a colon how images are stored where that is not f32:
   3x3:bf16/dgrad/…. The algorithms are those of the operators' attribute. For each family, direction and algorithm
   there are as many cases as the longest list of values has, in which each value of each list occurs; what meets what
   differs from one to the next. Every case runs on 1, 2 and 3 threads to the same bits, with full and with partial
   batches (compiled.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gen/gen.h"
#include "pass/pass.h"
#include "tests/support/compiled.h"
#include "tests/support/opcase.h"

/* ---- tables: a family, a direction, a size, an algorithm's tolerance is one row */

enum grouping {
    DENSE,
    GROUPED /* two groups of I and O channels */,
    DEPTHWISE /* I channels, each its own group */,
    STEM /* I is 3 */
};
static const struct family {
    const char *name;
    int64_t kernel, stride, pad, dilation;
    enum grouping grouping;
    bool transposed;
} families[] = {
    {"3x3", 3, 1, 1, 1, DENSE, false},
    {"3x3-stride2", 3, 2, 1, 1, DENSE, false},
    {"1x1", 1, 1, 0, 1, DENSE, false},
    {"1x1-stride2", 1, 2, 0, 1, DENSE, false},
    {"stem", 7, 2, 3, 1, STEM, false},
    {"5x5", 5, 1, 2, 1, DENSE, false},
    {"grouped", 3, 1, 1, 1, GROUPED, false},
    {"depthwise", 3, 1, 1, 1, DEPTHWISE, false},
    {"depthwise-stride2", 3, 2, 1, 1, DEPTHWISE, false},
    {"dilated", 3, 1, 2, 2, DENSE, false},
    {"transposed", 2, 2, 0, 1, DENSE, true},
    {"transposed-3x3", 3, 1, 1, 1, DENSE, true},
};
/* How images are stored; PACKED_IN_STEP: weights are packed by the step, as in training, and not when they are loaded.
 */
static const struct storage {
    const char *name;
    bool narrow;
    enum opcase_mode mode;
    bool packed_in_step;
} storages[] = {
    {"", false, OPCASE_BF16, false},
    {":bf16", true, OPCASE_BF16, true},
    {":bf16-to-f32", true, OPCASE_TO_F32, false},
};
enum direction { FORWARD, DGRAD, WGRAD };
static const struct {
    const char *name, *op;
} directions[] = {
    [FORWARD] = {"forward", "conv2d"},
    [DGRAD] = {"dgrad", "conv2d_dgrad"},
    [WGRAD] = {"wgrad", "conv2d_wgrad"},
};
static const int64_t channels[] = {1, 3, 17, 100}, sizes[] = {1, 5, 7, 13, 57}, batches[] = {1, 3};
/* ‖error‖ / ‖result‖, of numbers from -2 to 2: four times what was measured. An algorithm without a row has the last's.
 */
static const struct {
    const char *algorithm;
    double tolerance;
} tolerances[] = {
    {"direct", 3e-6}, {"winograd2", 3e-6}, {"winograd4", 1e-5}, {"winograd5", 1e-5}, {"winograd6", 1.6e-5}};
enum {
    NFAMILIES = sizeof families / sizeof families[0],
    NDIRECTIONS = sizeof directions / sizeof directions[0],
    NCHANNELS = 4,
    NSIZES = 5,
    NBATCHES = 2,
    MOST = 5,
    NSTORAGES = sizeof storages / sizeof storages[0]
};

struct shape {
    int64_t i, o, h, w, n;
};
struct group {
    const struct family *family;
    const struct storage *storage;
    enum direction direction;
    const char *algorithm;
    int number;
};
struct testing {
    const char *program;
    const struct target *target;
    char **arg;
    int nargs, passed, failed, left_out;
    bool verbose, all;
};

/* ---- a case as a line of operator tests (opcase.h) */

static int64_t windows(const struct family *f, int64_t size)
{
    return (size + 2 * f->pad - (f->kernel - 1) * f->dilation - 1) / f->stride + 1;
}

/* The larger image of a transposed convolution. */
static int64_t spread(const struct family *f, int64_t size)
{
    return (size - 1) * f->stride - 2 * f->pad + (f->kernel - 1) * f->dilation + 1;
}

static struct shape fit(const struct family *f, struct shape s)
{
    if (f->grouping == STEM) s.i = 3;
    if (f->grouping == DEPTHWISE) s.o = s.i;
    return s;
}

static int64_t groups_of(const struct family *f, const struct shape *s)
{
    return f->grouping == GROUPED ? 2 : f->grouping == DEPTHWISE ? s->i : 1;
}

/* The sum ties X [N, I, H, W], Y [N, O, P, Q] and the weights [O, I/groups, K, K] (op/conv.c); of a transposed
   convolution X is the result. */
static const char *case_text(struct arena *a, const struct group *g, const struct shape *s)
{
    const struct family *f = g->family;
    const int64_t twice = f->grouping == GROUPED ? 2 : 1, groups = groups_of(f, s),
                  h = f->transposed ? spread(f, s->h) : s->h, w = f->transposed ? spread(f, s->w) : s->w;
    const int64_t xc = (f->transposed ? s->o : s->i) * twice, yc = (f->transposed ? s->i : s->o) * twice;
    const char *x = arena_printf(a, "%lld,%lld,%lld,%lld", (long long)s->n, (long long)xc, (long long)h, (long long)w);
    const char *y = arena_printf(a, "%lld,%lld,%lld,%lld", (long long)s->n, (long long)yc,
                                 (long long)(f->transposed ? s->h : windows(f, s->h)),
                                 (long long)(f->transposed ? s->w : windows(f, s->w)));
    const char *weight = arena_printf(a, "%lld,%lld,%lld,%lld", (long long)yc, (long long)(xc / groups),
                                      (long long)f->kernel, (long long)f->kernel);
    const char *rest =
        arena_printf(a, "stride=%lld,%lld pad=%lld,%lld,%lld,%lld dilation=%lld,%lld groups=%lld", (long long)f->stride,
                     (long long)f->stride, (long long)f->pad, (long long)f->pad, (long long)f->pad, (long long)f->pad,
                     (long long)f->dilation, (long long)f->dilation, (long long)groups);
    if (strcmp(g->algorithm, "direct") != 0) rest = arena_printf(a, "%s algorithm=%s", rest, g->algorithm);
    if (g->direction == WGRAD)
        return arena_printf(a, "x=%s dy=%s kernel=%lld,%lld %s", x, y, (long long)f->kernel, (long long)f->kernel,
                            rest);
    if (g->direction == FORWARD && f->transposed)
        return arena_printf(a, "x=%s weight=%s bias=%lld %s", y, weight, (long long)xc, rest);
    if (g->direction == DGRAD && !f->transposed)
        return arena_printf(a, "dy=%s weight=%s size=%lld,%lld %s", y, weight, (long long)h, (long long)w, rest);
    return arena_printf(a, "x=%s weight=%s %s", x, weight, rest);
}

static const struct op_def *case_op(const struct group *g)
{
    if (!g->family->transposed || g->direction == WGRAD) return op_find(directions[g->direction].op);
    return op_find(g->direction == FORWARD ? "conv_transpose2d" : "conv2d");
}

static const char *case_name(struct arena *a, const struct group *g, const struct shape *s)
{
    return arena_printf(a, "%s%s/%s/%s/%lldx%lld@%lldx%lld*%lld", g->family->name, g->storage->name,
                        directions[g->direction].name, g->algorithm, (long long)s->i, (long long)s->o, (long long)s->h,
                        (long long)s->w, (long long)s->n);
}

/* ---- one case */

static void fill(const void *ctx, struct eval *e) { opcase_fill(ctx, e); }

static double tolerance_of(const char *algorithm)
{
    const size_t last = sizeof tolerances / sizeof tolerances[0] - 1;
    size_t i = 0;
    while (i < last && strcmp(tolerances[i].algorithm, algorithm) != 0) i++;
    return tolerances[i].tolerance;
}

static void run_case(struct testing *t, const struct group *g, const struct shape *s)
{
    static const char *const left_out[] = {"simplify", "fold", "algorithm", NULL};
    struct arena *a = arena_new();
    struct opcase *c = opcase_new(a, case_op(g), case_text(a, g, s));
    struct ref_run runs[] = {{.n = s->n, .step = 1}, {.n = s->n - 1, .step = 1}};
    const char *name = case_name(a, g, s), *error = c->error;
    if (!error && g->storage->narrow && !opcase_narrow(c, g->storage->mode)) error = "it has no image to store as bf16";
    c->graph->train = g->storage->packed_in_step;
    if (!error)
        error =
            compare_compiled(a, &(struct comparison_plan){.graph = c->graph,
                                                          .passes = passes_without(a, pass_pipeline_infer, left_out),
                                                          .target = t->target,
                                                          .runs = runs,
                                                          .nruns = s->n > 1 ? 2 : 1,
                                                          .fill = fill,
                                                          .ctx = c,
                                                          .tolerance = tolerance_of(g->algorithm)});
    if (error) {
        t->failed++;
        printf("FAIL %s \"%s %s\"\n     %s\n     alone: %s '%s'\n", name, c->op->name, c->text, error, t->program,
               name);
    } else {
        t->passed++;
        if (t->verbose) printf("ok   %s\n", name);
    }
    arena_free(a);
}

/* ---- which cases */

/* Case K of a group's selection: every list is walked, each with another step and start. */
static struct shape selected(const struct group *g, int k)
{
    const int r = g->number;
    return fit(g->family, (struct shape){channels[(k + r) % NCHANNELS], channels[(3 * k + r / 4 + 1) % NCHANNELS],
                                         sizes[(k + r / 2) % NSIZES], sizes[(2 * k + r / 3 + 1) % NSIZES],
                                         batches[(k / 2 + r) % NBATCHES]});
}

static struct shape combination(const struct family *f, int index)
{
    struct shape s;
    s.i = channels[index % NCHANNELS];
    s.o = channels[(index /= NCHANNELS) % NCHANNELS];
    s.h = sizes[(index /= NCHANNELS) % NSIZES];
    s.w = sizes[(index /= NSIZES) % NSIZES];
    s.n = batches[(index /= NSIZES) % NBATCHES];
    return fit(f, s);
}
enum { COMBINATIONS = NCHANNELS * NCHANNELS * NSIZES * NSIZES * NBATCHES };

/* Is the case named whole; or, of the selection, by its beginning? */
static bool wanted(const struct testing *t, const char *name, bool in_selection)
{
    for (int i = 0; i < t->nargs; i++)
        if (strcmp(name, t->arg[i]) == 0 || (in_selection && strncmp(name, t->arg[i], strlen(t->arg[i])) == 0))
            return true;
    return t->nargs == 0 && in_selection;
}

static bool is_selected(const struct group *g, const struct shape *s)
{
    for (int k = 0; k < MOST; k++) {
        struct shape x = selected(g, k);
        if (memcmp(&x, s, sizeof x) == 0) return true;
    }
    return false;
}

/* A stem's and a depthwise convolution's combinations repeat: only the first of equals runs. */
static bool is_repeated(const struct family *f, int index, const struct shape *s)
{
    for (int k = 0; k < index; k++) {
        struct shape x = combination(f, k);
        if (memcmp(&x, s, sizeof x) == 0) return true;
    }
    return false;
}

static void run_group(struct testing *t, const struct group *g)
{
    for (int k = 0; k < COMBINATIONS; k++) {
        struct shape s = combination(g->family, k);
        struct arena *a = arena_new();
        if (!is_repeated(g->family, k, &s) && wanted(t, case_name(a, g, &s), t->all || is_selected(g, &s)))
            run_case(t, g, &s);
        arena_free(a);
    }
}

/* ---- processes: one for each group, so that a crash is one failure */

static void run_isolated(struct testing *t, const struct group *g)
{
    int ends[2], status = 0;
    struct testing done = *t;
    fflush(stdout);
    if (pipe(ends) != 0) exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        run_group(t, g);
        fflush(stdout);
        if (write(ends[1], t, sizeof *t) < 0) exit(3);
        exit(0);
    }
    close(ends[1]);
    bool ok = read(ends[0], &done, sizeof done) == sizeof done;
    close(ends[0]);
    if (waitpid(pid, &status, 0) == pid && ok && status == 0) {
        t->passed = done.passed;
        t->failed = done.failed;
        return;
    }
    t->failed++;
    const char *direction = directions[g->direction].name, *family = g->family->name, *storage = g->storage->name;
    printf("FAIL %s%s/%s/%s: the process died\n     alone: %s -v %s%s/%s/%s\n", family, storage, direction,
           g->algorithm, t->program, family, storage, direction, g->algorithm);
}

static const char *const *algorithms_of(const struct op_def *op)
{
    static const char *const direct[] = {"direct", NULL};
    int k = op_attr_index(op, "algorithm");
    return k >= 0 ? op->attrs[k].choices : direct;
}

/* Does the operator take the algorithm for this family? Its shape rule says. */
static bool is_legal(const struct group *g)
{
    struct arena *a = arena_new();
    struct shape s = fit(g->family, (struct shape){3, 3, 13, 13, 1});
    struct opcase *c = opcase_new(a, case_op(g), case_text(a, g, &s));
    bool legal = !c->error && (!g->storage->narrow || (op_bf16(c->op) && opcase_narrow(c, g->storage->mode)));
    arena_free(a);
    return legal;
}

static void run_family(struct testing *t, const struct family *f, const struct storage *storage, int *number)
{
    for (int d = 0; d < NDIRECTIONS; d++) {
        struct group g = {.family = f, .storage = storage, .direction = (enum direction)d, .algorithm = "direct"};
        for (const char *const *p = algorithms_of(case_op(&g)); *p; p++) {
            g.algorithm = *p;
            g.number = (*number)++;
            if (is_legal(&g)) run_isolated(t, &g);
            else t->left_out++;
        }
    }
}

/* Every algorithm of every direction is taken by the first family. */
static void check_first_family(struct testing *t)
{
    for (int d = 0; d < NDIRECTIONS; d++)
        for (const char *const *p = algorithms_of(op_find(directions[d].op)); *p; p++) {
            struct group g = {
                .family = &families[0], .storage = &storages[0], .direction = (enum direction)d, .algorithm = *p};
            if (is_legal(&g)) continue;
            t->failed++;
            printf("FAIL %s/%s: the algorithm %s is refused, so nothing tests it\n", families[0].name,
                   directions[d].name, *p);
        }
}

static bool choose_target(const char *program, int argc, char **argv, struct target *target)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    target_host(target);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--cpu=", 6) == 0 && !target_named(target, argv[i] + 6)) {
            fprintf(stderr, "%s: there is no CPU '%s'\n", program, argv[i] + 6);
            return false;
        }
    bool ok = gen_target_init(target, d);
    if (!ok) diags_print(d, stderr, false);
    arena_free(a);
    return ok;
}

int main(int argc, char **argv)
{
    struct target target;
    const char *all = getenv("RNC_SHAPES");
    struct testing t = {.program = argv[0],
                        .target = &target,
                        .arg = calloc((size_t)argc + 1, sizeof *t.arg),
                        .all = all && strcmp(all, "all") == 0};
    if (!t.arg || !choose_target(argv[0], argc, argv, &target)) return 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) t.verbose = true;
        else if (argv[i][0] != '-') t.arg[t.nargs++] = argv[i];
    }
    check_first_family(&t);
    for (int i = 0, number = 0; i < NFAMILIES; i++)
        for (int k = 0; k < NSTORAGES; k++) run_family(&t, &families[i], &storages[k], &number);
    if (t.verbose) printf("%d combinations of family, direction and algorithm are not possible\n", t.left_out);
    printf("%d passed, %d failed\n", t.passed, t.failed);
    free(t.arg);
    return t.failed != 0 || t.passed == 0;
}
