/* bench.c: `rnc bench`: how fast, against the FMA peak of the same minute, and only when the result is right. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "measure/baseline.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/layers.h"
#include "cli/memory.h"
#include "driver/verify.h"
#include "cli/rss.h"
#include "gen/module/rest.h"
#include "ir/op.h"
#include "runtime/rt/clock.h"
#include "runtime/rt/pack.h"

static const char *opt_mode = "infer", *opt_weights, *opt_check = "quick";
static bool opt_per_layer, opt_baseline;
static double opt_seconds = 3;

enum { MIN_RUNS = 7, MAX_RUNS = 20000, MAX_PEAKS = 2000, PEAKS_A_ROUND = 6, LAYER_RUNS = 15 };

struct samples {
    double *ms;
    bool *calm;
    int count;
};

struct job {
    struct cli *c;
    struct built built;
    struct session session;
    bool train;
    void **in, **out;
    int64_t step;
    struct samples runs;
    double peaks[MAX_PEAKS], best_peak; /* the calm ones; the best of all */
    int npeaks;
    struct layers layers; /* by node; none: not measured */
    bool baseline;
    const char *blas_core;
    double peak, median, min, p95; /* GFLOP/s; ms */
    int counted, dropped;
    bool disturbed;         /* too few runs were calm: all count */
    double flops, executed; /* of one run */
    struct {
        size_t idle, run, whole;
    } rss; /* before the model was opened; the largest in the runs; in all, loading and compiling too */
};

/* ---- noise */

/* Milliseconds that all threads of this process have waited for a processor: /proc/self/task/N/schedstat, second field.
 */
static double waited_ms(void)
{
    DIR *d = opendir("/proc/self/task");
    double total = 0;
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        char path[320];
        unsigned long long ran, waited;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!f) continue;
        if (fscanf(f, "%llu %llu", &ran, &waited) == 2) total += (double)waited * 1e-6;
        fclose(f);
    }
    closedir(d);
    return total;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int count, double q)
{
    if (!count) return NAN;
    double at = q * (count - 1);
    int i = (int)at;
    return i + 1 < count ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[count - 1];
}

/* ---- running */

static bool open_instance(struct job *j, unsigned flags)
{
    struct open_options o = {.weights = opt_weights, .perturb = true, .flags = flags};
    return driver_open(j->c->driver, &j->built, &o, &j->session);
}

static bool execute(struct job *j, const struct rnc_observer *o)
{
    struct rnc_run run = {
        .n = j->built.model->batch, .step = ++j->step, .seed = j->c->driver->options.seed, .lr = 1e-6};
    struct rnc_status s = {0};
    return rnc_execute(j->session.instance, &run, (const void *const *)j->in, j->out, o, &s) ||
           driver_fail(j->c->driver, &s);
}

/* A sample counts only if the threads waited little. */
static bool was_calm(const struct job *j, double waited, double ms)
{
    return waited_ms() - waited <= 0.02 * ms * j->session.par.workers;
}

/* Short samples: a long one is never calm on a machine that others use too. */
static void measure_peak(struct job *j, const struct gen_peak *peak)
{
    for (int i = 0; i < PEAKS_A_ROUND && j->npeaks < MAX_PEAKS; i++) {
        double waited = waited_ms(), start = rnc_clock_ms(), gflops = gen_peak_measure(peak, &j->session.par, 0.0015);
        if (gflops > j->best_peak) j->best_peak = gflops;
        if (was_calm(j, waited, rnc_clock_ms() - start)) j->peaks[j->npeaks++] = gflops;
    }
}

static bool timed_run(struct job *j)
{
    double waited = waited_ms(), start = rnc_clock_ms();
    bool ok = execute(j, NULL);
    double ms = rnc_clock_ms() - start;
    if (!ok || j->runs.count == MAX_RUNS) return ok;
    j->runs.ms[j->runs.count] = ms;
    j->runs.calm[j->runs.count++] = was_calm(j, waited, ms);
    return true;
}

/* Peak and runs alternate, so that both see the same machine. */
static bool measure(struct job *j, const struct gen_peak *peak)
{
    double end = rnc_clock_ms() + opt_seconds * 1e3;
    j->runs.ms = ARENA_ARRAY(j->c->arena, double, MAX_RUNS);
    j->runs.calm = ARENA_ARRAY(j->c->arena, bool, MAX_RUNS);
    if (!execute(j, NULL) || !execute(j, NULL)) return false;
    j->rss.whole = rss_peak();
    rss_peak_reset();
    while (j->runs.count < MIN_RUNS || rnc_clock_ms() < end) {
        measure_peak(j, peak);
        double until = rnc_clock_ms() + 50;
        do {
            if (!timed_run(j)) return false;
        } while (rnc_clock_ms() < until && j->runs.count < MAX_RUNS);
        if (j->runs.count == MAX_RUNS) break;
    }
    return true;
}

static void evaluate(struct job *j)
{
    double *ms = ARENA_ARRAY(j->c->arena, double, j->runs.count + 1);
    for (int i = 0; i < j->runs.count; i++)
        if (j->runs.calm[i]) ms[j->counted++] = j->runs.ms[i];
    if (j->counted < 5) { /* a machine that is never calm: better noisy figures than none */
        memcpy(ms, j->runs.ms, (size_t)j->runs.count * sizeof *ms);
        j->counted = j->runs.count;
        j->disturbed = true;
    }
    j->dropped = j->runs.count - j->counted;
    qsort(ms, (size_t)j->counted, sizeof *ms, by_value);
    j->median = quantile(ms, j->counted, 0.5);
    j->min = ms[0];
    j->p95 = quantile(ms, j->counted, 0.95);
    qsort(j->peaks, (size_t)j->npeaks, sizeof *j->peaks, by_value);
    j->peak = j->npeaks >= 5 ? quantile(j->peaks, j->npeaks, 0.5) : j->best_peak;
    for (uint32_t i = 0; i < j->built.model->nnodes; i++) {
        j->flops += (double)j->built.model->nodes[i].flops;
        j->executed += (double)j->built.model->nodes[i].executed_flops;
    }
}

/* ---- layer by layer */

struct layer_times {
    double *ms;
    int run;
    uint32_t nodes;
};

static void after_node(void *ctx, uint32_t node, double seconds)
{
    struct layer_times *t = ctx;
    t->ms[(size_t)node * LAYER_RUNS + (size_t)t->run] += seconds * 1e3;
}

static bool measure_layers(struct job *j)
{
    struct layer_times t = {.nodes = j->built.model->nnodes};
    t.ms = ARENA_ARRAY(j->c->arena, double, (size_t)t.nodes *LAYER_RUNS + 1);
    struct rnc_observer o = {after_node, &t};
    for (t.run = 0; t.run < LAYER_RUNS; t.run++)
        if (!execute(j, &o)) return false;
    j->layers.row = ARENA_ARRAY(j->c->arena, struct layer, t.nodes + 1);
    j->layers.count = t.nodes;
    for (uint32_t i = 0; i < t.nodes; i++) {
        double *ms = t.ms + (size_t)i * LAYER_RUNS;
        qsort(ms, LAYER_RUNS, sizeof *ms, by_value);
        j->layers.row[i] = (struct layer){.ms = quantile(ms, LAYER_RUNS, 0.5), .min = ms[0]};
    }
    return true;
}

/* Which part of the machine each layer is bound by. After evaluate, for the peak. */
static void explain_layers(struct job *j, const struct gen_peak *peak)
{
    j->layers.peak = j->peak;
    if (!j->layers.count) return;
    roofline_measure(&j->layers.roofline, peak, &j->built.target, &j->session.par);
    layers_explain(&j->layers, j->built.graph, j->built.model);
}

static bool measure_baseline(struct job *j)
{
    const struct baseline_of of = {&j->built.target, j->built.raw, j->built.model};
    const double *ms = baseline_measure(j->c->arena, j->c->diags, &of, &j->blas_core);
    for (uint32_t i = 0; ms && i < j->layers.count; i++) j->layers.row[i].im2col_ms = ms[i] > 0 ? ms[i] : 0;
    return j->baseline = j->layers.im2col = ms != NULL;
}

static double rate(double flops, double ms) { return ms > 0 ? flops / ms * 1e-6 : 0; }

/* ---- is the result right? */

static bool refuse(struct job *j, const struct verify_row *wrong)
{
    const char *where = *wrong->what ? arena_printf(j->c->arena, "%s (%s)", wrong->name, wrong->what) : wrong->name;
    struct diag *d =
        diag_error(j->c->diags, (struct span){0},
                   "no figures: the result of %s does not match the reference (relative error %.2e, limit %.0e)", where,
                   wrong->error, wrong->limit);
    diag_note(d, "`rnc verify` shows every node");
    return false;
}

/* The reference wants the parameters as they were given, and what was measured has kept none that its kernels read in
   another form. */
static bool reopen(struct job *j)
{
    if (j->built.model->nprepares == 0) return true;
    session_close(&j->session);
    return open_instance(j, RNC_EXEC_KEEP);
}

static bool check_result(struct job *j)
{
    struct verify_row wrong;
    struct check_options o = {.in = (const void *const *)j->in, .out = j->out, .whole = strcmp(opt_check, "full") == 0};
    if (!reopen(j)) return false;
    if (j->c->color) fputs("checking the result against the reference …", stderr);
    bool ok = driver_check(j->c->driver, &j->built, &j->session, &o, &wrong);
    if (j->c->color) fputs("\r\033[K", stderr);
    return ok && (!wrong.name || refuse(j, &wrong));
}

/* ---- the report */

static const char *cpu_name(struct cli *c)
{
    char line[512];
    const char *name = NULL;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !name && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        name = arena_strdup(c->arena, colon + 1 + strspn(colon + 1, " "));
    }
    if (f) fclose(f);
    return name;
}

static double compile_ms(const struct built *b) { return b->parse_ms + b->pass_ms + b->compile_ms; }

/* What the model takes beside the idle process. */
static size_t increment(const struct job *j) { return j->rss.run > j->rss.idle ? j->rss.run - j->rss.idle : 0; }

/* fp32 is what reports have always called it. */
static const char *precision_name(const struct job *j)
{
    enum dtype dt = j->built.spec->dtype;
    return dtype_rounded(dt) ? dtype_name(dt) : "fp32";
}

static void print_json(struct job *j)
{
    const struct rnc_model *m = j->built.model;
    const char *cpu = cpu_name(j->c);
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:s}", "model", m->name, "mode", j->train ? "train" : "infer",
                  "batch", (json_int_t)m->batch, "threads", j->session.par.workers, "dtype", precision_name(j), "cpu",
                  cpu ? cpu : m->cpu, "target", m->cpu);
    json_object_update_new(root,
                           json_pack("{s:f, s:f, s:f, s:f, s:i, s:i, s:b}", "median_ms", j->median, "min_ms", j->min,
                                     "p95_ms", j->p95, "images_per_s", (double)m->batch / j->median * 1e3, "runs",
                                     j->counted, "runs_dropped", j->dropped, "disturbed", (int)j->disturbed));
    json_object_update_new(root, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "gflops", rate(j->flops, j->median),
                                           "executed_gflops", rate(j->executed, j->median), "peak_gflops", j->peak,
                                           "percent_of_peak", 100 * rate(j->executed, j->median) / j->peak,
                                           "nominal_flops", j->flops, "executed_flops", j->executed));
    json_object_update_new(root, json_pack("{s:f, s:b, s:I, s:I, s:I, s:I}", "compile_ms", compile_ms(&j->built),
                                           "cached", (int)program_stats(j->built.program)->cached, "peak_rss_bytes",
                                           (json_int_t)j->rss.whole, "planned_bytes", (json_int_t)m->arena_bytes,
                                           "lower_bound_bytes", (json_int_t)m->lower_bound_bytes, "state_bytes",
                                           (json_int_t)m->state_bytes));
    json_object_update_new(root,
                           json_pack("{s:I, s:I, s:I, s:I}", "idle_rss_bytes", (json_int_t)j->rss.idle, "run_rss_bytes",
                                     (json_int_t)j->rss.run, "run_rss_increment_bytes", (json_int_t)increment(j),
                                     "code_bytes", (json_int_t)program_stats(j->built.program)->code_bytes));
    json_object_set_new(root, "layers", layers_json(&j->layers));
    json_object_update_new(root, json_pack("{s:o, s:f, s:o}", "kinds", layers_kinds_json(&j->layers),
                                           "memory_bound_percent", layers_memory_percent(&j->layers), "bandwidth",
                                           layers_bandwidth_json(&j->layers)));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static void print_memory(struct job *j)
{
    const struct rnc_model *m = j->built.model;
    struct arena *a = j->c->arena;
    printf(
        "memory    %s resident while it runs: %s more than the idle process; at most %s with loading and compiling\n",
        format_bytes(a, j->rss.run), format_bytes(a, increment(j)), format_bytes(a, j->rss.whole));
    printf("          of that %s weights, %s intermediates (no plan can take less than %s), %s code\n",
           format_bytes(a, m->state_bytes), format_bytes(a, m->arena_bytes), format_bytes(a, m->lower_bound_bytes),
           format_bytes(a, program_stats(j->built.program)->code_bytes));
}

static void print_report(struct job *j)
{
    const struct rnc_model *m = j->built.model;
    struct arena *a = j->c->arena;
    const char *cpu = cpu_name(j->c);
    printf("%s, %s, batch %lld, %d thread%s, %s, %s%s%s\n\n", m->name, j->train ? "training step" : "inference",
           (long long)m->batch, j->session.par.workers, j->session.par.workers > 1 ? "s" : "", precision_name(j),
           m->cpu, cpu ? " on " : "", cpu ? cpu : "");
    if (opt_per_layer) layers_print(a, &j->layers);
    if (opt_per_layer && j->train) layers_print_kinds(a, &j->layers);
    const char *noise =
        j->disturbed ? "; other programs took the processor in nearly all of them, so these figures are too slow"
        : j->dropped ? arena_printf(a, "; %d more dropped, their threads had to wait for a processor", j->dropped)
                     : "";
    printf("time      %s ms median, %s min, %s p95 (%d runs%s)\n", format_ms(a, j->median), format_ms(a, j->min),
           format_ms(a, j->p95), j->counted, noise);
    double speed = (double)m->batch / j->median * 1e3;
    printf("speed     %s images/s\n", speed < 100 ? arena_printf(a, "%.1f", speed) : format_count(a, (int64_t)speed));
    printf("          %.1f GFLOP/s", rate(j->flops, j->median));
    if (fabs(j->executed - j->flops) > 1e-6 * j->flops) printf(" nominal; %.1f executed", rate(j->executed, j->median));
    printf(", %.0f%% of the FMA peak measured beside it (%.1f)\n", 100 * rate(j->executed, j->median) / j->peak,
           j->peak);
    if (opt_per_layer) layers_print_bound(&j->layers);
    print_memory(j);
    printf("compile   %s ms%s\n", format_ms(a, compile_ms(&j->built)),
           program_stats(j->built.program)->cached ? ", from the cache" : "");
    double im2col = 0, ours = 0;
    for (uint32_t i = 0; j->baseline && i < j->layers.count; i++)
        if (j->layers.row[i].im2col_ms > 0) im2col += j->layers.row[i].im2col_ms, ours += j->layers.row[i].ms;
    if (ours > 0)
        printf("baseline  im2col and OpenBLAS (%s), one thread: %s ms for the convolutions that took %s ms here, with "
               "all that is fused into them\n",
               j->blas_core, format_ms(a, im2col), format_ms(a, ours));
    printf("result    matches the reference\n");
}

/* ---- the command */

static bool one_of(struct cli *c, const char *option, const char *given, const char *a, const char *b)
{
    if (strcmp(given, a) == 0 || strcmp(given, b) == 0) return true;
    diag_note(diag_error(c->diags, (struct span){0}, "--%s: there is no '%s'", option, given), "it is %s or %s", a, b);
    return false;
}

/* The peak's loop is compiled before the session is opened, which gives back what compiling has taken. */
static bool open_all(struct job *j, const char *spec, struct gen_peak **peak)
{
    struct model_options o = {.mode = j->train ? MODEL_TRAIN : MODEL_INFER};
    const struct spec *s = cli_load(j->c, spec);
    if (!s || !cli_compile(j->c, s, &o, &j->built)) return false;
    *peak = gen_peak_new(&j->built.target, j->c->diags);
    return *peak && open_instance(j, 0);
}

static bool bench(struct job *j, const char *spec)
{
    struct gen_peak *peak = NULL;
    gen_rest();
    j->rss.idle = rss_now();
    if (!open_all(j, spec, &peak)) {
        gen_peak_free(peak);
        return false;
    }
    j->in = driver_random_inputs(j->c->driver, &j->built);
    j->out = driver_outputs(j->c->driver, &j->built);
    if (j->c->color) fputs("measuring …", stderr);
    bool ok = measure(j, peak) && ((!opt_per_layer && !opt_baseline && !j->c->json) || measure_layers(j));
    if (j->c->color) fputs("\r\033[K", stderr);
    /* Before the check, and before anything calls LLVM again: the reference's memory is not the model's. */
    j->rss.run = rss_peak();
    if (j->rss.run > j->rss.whole) j->rss.whole = j->rss.run;
    if (ok) evaluate(j);
    if (ok) explain_layers(j, peak);
    gen_peak_free(peak);
    if (!ok || (opt_baseline && !measure_baseline(j))) return false;
    return check_result(j);
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    static struct job j;
    j.c = c;
    if (!one_of(c, "mode", opt_mode, "infer", "train") || !one_of(c, "check", opt_check, "quick", "full"))
        return cli_finish(c);
    j.train = strcmp(opt_mode, "train") == 0;
    if (!memory_for_training(c, j.train, "--mode train")) return cli_finish(c);
    if (bench(&j, argv[0])) {
        if (c->json) print_json(&j);
        else print_report(&j);
    }
    session_close(&j.session);
    driver_release(&j.built);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "mode",
     .kind = OPT_TEXT,
     .arg = "MODE",
     .help = "infer (the default) or train: a whole step with the update",
     .dest = &opt_mode},
    {.name = "per-layer",
     .kind = OPT_FLAG,
     .help = "a table of every node, and for training one of every kind of work",
     .dest = &opt_per_layer},
    {.name = "baseline",
     .kind = OPT_FLAG,
     .help = "also each convolution by im2col and OpenBLAS, on one thread",
     .dest = &opt_baseline},
    {.name = "seconds", .kind = OPT_FLOAT, .arg = "S", .help = "how long to measure (3)", .dest = &opt_seconds},
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "a safetensors file; without it, fresh ones from --seed",
     .dest = &opt_weights},
    {.name = "check",
     .kind = OPT_TEXT,
     .arg = "HOW",
     .help = "quick: every kernel once; full: also the whole network, however large",
     .dest = &opt_check},
};

const struct command command_bench = {
    .name = "bench",
    .group = GROUP_MEASURE,
    .place = 2,
    .summary = "how fast, as a share of the FMA peak measured in the same run",
    .usage = "SPEC [--mode infer|train] [--batch N] [--threads T] [--per-layer] [--json]",
    .details =
        "The peak (a loop of fused multiply-adds on registers, on the same threads) is measured between the runs. Runs "
        "in which the threads had\n"
        "to wait for a processor are dropped; figures are medians. GFLOP/s are nominal, two for each multiply-add of "
        "the layers as written;\n"
        "the share of the peak counts what was executed. No figure is printed unless every kernel's result matches its "
        "reference.\n"
        "--per-layer marks the nodes that memory bounds: whose bytes take longer at the bandwidth measured beside them "
        "than their FLOPs at the\n"
        "peak, and how much of their time that accounts for. With --mode train a second table adds up forward "
        "convolutions, dgrad, wgrad, batch\n"
        "norm, pointwise operators, what is computed twice to save memory (recompute) and the update. Memory is what "
        "is resident in the runs,\n"
        "and how much more than in the idle process.\n\n"
        "  rnc bench resnet50 --batch 1 --threads 1 --per-layer\n  rnc bench resnet20 --mode train --batch 128\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN | CLI_MEMORY,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
