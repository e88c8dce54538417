/* test_op.c: every row of every operator's test table.

       build/tests/op/test_op [NAME[/ROW]]…     all, one operator's, one row's; -v names every test;
                                               --cpu=x86-64-v3 compiles for AVX2, --lanes=4 for vectors as NEON has
       build/tests/op/test_op "conv2d x=1,3,7,7 weight=5,3,3,3"     a row that is in no table

   Three tests a row: the shape rule takes it and the reference fills the results with finite numbers; the gradient rule
   agrees with finite differences; compiled code agrees with the reference. If the operator takes bf16, three more:
   compiled code on images stored as bf16, on a first operand and with results of fp32 beside them (opcase_narrow). Each
   operator runs in a process of its own, so that one that crashes is one failure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/compiled.h"
#include "gen/gen.h"
#include "tests/support/gradient.h"
#include "pass/pass.h"

struct counts {
    int passed, failed;
};
struct testing {
    struct arena *arena;
    const char *program;
    const struct target *target;
    bool verbose;
    struct counts counts;
};

/* A row by the words that run it alone: "conv2d/3", or an operator and a text of the user's. */
struct row {
    const struct op_def *op;
    const struct op_test *test;
    const char *words;
};

static void report(struct testing *t, const struct row *r, const char *kind, const char *error)
{
    if (error) {
        t->counts.failed++;
        printf("FAIL %s %s \"%s\"\n     %s\n     alone: %s '%s'\n", r->words, kind, r->test->text, error, t->program,
               r->words);
    } else {
        t->counts.passed++;
        if (t->verbose) printf("ok   %s %s \"%s\"\n", r->words, kind, r->test->text);
    }
}

static struct row row_of(const struct testing *t, const struct op_def *op, int row)
{
    return (struct row){op, &op->tests[row], arena_printf(t->arena, "%s/%d", op->name, row)};
}

static void fill(const void *ctx, struct eval *e) { opcase_fill(ctx, e); }

/* ---- the three tests of a row */

static const char *test_reference(struct arena *a, const struct op_def *op, const char *text)
{
    struct opcase *c = opcase_new(a, op, text);
    if (c->error) return c->error;
    struct eval *e = eval_new(c->graph, (struct ref_run){.n = c->batch, .lr = 0.1, .step = 3, .seed = 7});
    const char *error = NULL;
    opcase_fill(c, e);
    for (int k = 0; k < c->node->nout; k++) { /* every element has to be written */
        const struct value *y = c->node->out[k];
        for (int64_t i = 0; i < type_elements(&y->type); i++) eval_data(e, y)[i] = NAN;
    }
    eval_run(e, false);
    for (int k = 0; k < c->node->nout && !error; k++) {
        const struct value *y = c->node->out[k];
        for (int64_t i = 0; i < type_elements(&y->type) && !error; i++)
            if (!isfinite(eval_data(e, y)[i]))
                error = arena_printf(a, "result %d of the reference is not finite at element %lld", k, (long long)i);
    }
    eval_free(e);
    return error;
}

/* The passes that one operator needs: none that would take it away, or choose anew where the row says which algorithm
   it wants. */
static const char *test_compiled(const struct testing *t, struct arena *a, const struct opcase *c,
                                 const struct op_test *row)
{
    const char *const left_out[] = {"simplify", "fold", strstr(row->text, "algorithm=") ? "algorithm" : NULL, NULL};
    if (c->error) return c->error;
    struct ref_run runs[] = {{.n = c->batch, .lr = 0.1, .step = 3, .seed = 7},
                             {.n = c->batch - 1, .lr = 0.2, .step = 1, .seed = (uint64_t)1 << 60}};
    struct comparison_plan plan = {
        .graph = c->graph,
        .passes = passes_without(a, pass_pipeline_infer, left_out),
        .target = t->target,
        .runs = runs,
        .nruns = c->batch > 1 ? 2 : 1,
        .fill = fill,
        .ctx = c,
        .tolerance = row->tol > 0 ? row->tol : 1e-5,
    };
    return compare_compiled(a, &plan);
}

/* NULL with *RAN false: the row has nothing to do in that mode. */
static const char *test_bf16(const struct testing *t, struct arena *a, const struct op_def *op,
                             const struct op_test *row, enum opcase_mode mode, bool *ran)
{
    struct opcase *c = opcase_new(a, op, row->text);
    *ran = opcase_narrow(c, mode);
    return *ran ? test_compiled(t, a, c, row) : NULL;
}

static void test_row(struct testing *t, const struct row *r)
{
    struct arena *a = arena_new();
    const char *text = r->test->text, *error = test_reference(a, r->op, text);
    report(t, r, "reference", error);
    if (!error && r->op->grad) report(t, r, "gradient", gradient_check(a, r->op, text));
    if (!error && r->op->phase != PHASE_PREPARE)
        report(t, r, "compiled", test_compiled(t, a, opcase_new(a, r->op, text), r->test));
    for (int mode = 0; mode < OPCASE_MODES && !error && op_bf16(r->op); mode++) {
        static const char *const kinds[] = {"compiled, bf16", "compiled, bf16 from f32", "compiled, bf16 to f32"};
        bool ran;
        const char *wrong = test_bf16(t, a, r->op, r->test, (enum opcase_mode)mode, &ran);
        if (ran) report(t, r, kinds[mode], wrong);
    }
    arena_free(a);
}

/* ---- processes */

/* Rows [from, to) in a child. False: it died. */
static bool run_rows(struct testing *t, const struct op_def *op, int from, int to)
{
    int ends[2], status = 0;
    struct counts sum = {0, 0};
    fflush(stdout);
    if (pipe(ends) != 0) return false;
    pid_t pid = fork();
    if (pid == 0) {
        t->counts = sum;
        for (int k = from; k < to; k++) {
            struct row row = row_of(t, op, k);
            test_row(t, &row);
        }
        fflush(stdout);
        if (write(ends[1], &t->counts, sizeof t->counts) < 0) exit(3);
        exit(0);
    }
    close(ends[1]);
    bool ok = read(ends[0], &sum, sizeof sum) == sizeof sum;
    close(ends[0]);
    ok = waitpid(pid, &status, 0) == pid && ok && status == 0;
    if (!ok) return false;
    t->counts.passed += sum.passed;
    t->counts.failed += sum.failed;
    return true;
}

static void run_row(struct testing *t, const struct op_def *op, int k)
{
    struct row row = row_of(t, op, k);
    if (!run_rows(t, op, k, k + 1)) report(t, &row, "run", "the process died");
}

static void run_op(struct testing *t, const struct op_def *op)
{
    if (op->ntests == 0 && op->infer && !op->owns) { /* what owns nodes: test_region */
        t->counts.failed++;
        printf("FAIL %s has no test\n", op->name);
    }
    if (op->ntests == 0 || run_rows(t, op, 0, op->ntests)) return;
    printf("%s died; its rows one by one:\n", op->name);
    for (int row = 0; row < op->ntests; row++) run_row(t, op, row);
}

/* "NAME TEXT": a row of the user's. */
static bool run_text(struct testing *t, const char *text)
{
    const char *space = strchr(text, ' ');
    const struct op_def *op = op_find(arena_strndup(t->arena, text, (size_t)(space - text)));
    if (!op) {
        fprintf(stderr, "%s: there is no operator '%s'\n", t->program, text);
        return false;
    }
    struct op_test test = {space + 1, 1e-5};
    test_row(t, &(struct row){op, &test, text});
    return true;
}

static bool run_named(struct testing *t, const char *name)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", name);
    char *slash = strchr(copy, '/');
    if (slash) *slash = '\0';
    const struct op_def *op = op_find(copy);
    int k = slash ? atoi(slash + 1) : 0;
    if (!op || k < 0 || k >= op->ntests) {
        fprintf(stderr, "%s: there is no operator '%s' with such a test\n", t->program, name);
        return false;
    }
    if (slash) {
        struct row row = row_of(t, op, k);
        test_row(t, &row); /* in this process, for a debugger */
    } else run_op(t, op);
    return true;
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    target_host(&target);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strchr(argv[i], '=') && !target_option(&target, argv[i])) {
            fprintf(stderr, "%s: '%s' names no CPU or width that is known\n", argv[0], argv[i]);
            return 2;
        }
    if (!gen_target_init(&target, d)) {
        diags_print(d, stderr, false);
        return 2;
    }
    struct testing t = {.arena = a, .program = argv[0], .target = &target};
    int named = 0;
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) t.verbose = true;
        else if (argv[i][0] != '-') {
            ok &= strchr(argv[i], ' ') ? run_text(&t, argv[i]) : run_named(&t, argv[i]);
            named++;
        }
    }
    for (const struct op_def *const *op = op_all(); named == 0 && *op; op++) run_op(&t, *op);
    printf("%d passed, %d failed\n", t.counts.passed, t.counts.failed);
    arena_free(a);
    return ok && t.counts.failed == 0 ? 0 : 1;
}
