/* bench.c: `rnc bench`: how fast, against the FMA peak of the same minute, and only when the result is right
   (driver/bench.h). */
#include <jansson.h>
#include <math.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "cli/layers.h"
#include "cli/memory.h"
#include "driver/bench.h"
#include "gen/module/trim.h"
#include "measure/rss.h"

static const char *opt_mode = "infer", *opt_check = "quick";
static bool opt_per_layer;
static struct bench_options opt = {.seconds = 3};

static double rate(double flops, double ms) { return ms > 0 ? flops / ms * 1e-6 : 0; }

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
static size_t increment(const struct bench *b) { return b->rss.run > b->rss.idle ? b->rss.run - b->rss.idle : 0; }

/* fp32 is what reports have always called it. */
static const char *precision_name(const struct bench *b)
{
    enum dtype dt = b->built.spec->dtype;
    return dtype_rounded(dt) ? dtype_name(dt) : "fp32";
}

static void print_json(struct cli *c, const struct bench *b)
{
    const struct rnc_model *m = b->built.model;
    const char *cpu = cpu_name(c);
    json_t *root = json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:s}", "model", m->name, "mode",
                             opt.mode == MODEL_TRAIN ? "train" : "infer", "batch", (json_int_t)m->batch, "threads",
                             b->threads, "dtype", precision_name(b), "cpu", cpu ? cpu : m->cpu, "target", m->cpu);
    json_object_update_new(root,
                           json_pack("{s:f, s:f, s:f, s:f, s:i, s:i, s:b}", "median_ms", b->median, "min_ms", b->min,
                                     "p95_ms", b->p95, "images_per_s", (double)m->batch / b->median * 1e3, "runs",
                                     b->counted, "runs_dropped", b->dropped, "disturbed", (int)b->disturbed));
    json_object_update_new(root, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "gflops", rate(b->flops, b->median),
                                           "executed_gflops", rate(b->executed, b->median), "peak_gflops", b->peak,
                                           "percent_of_peak", 100 * rate(b->executed, b->median) / b->peak,
                                           "nominal_flops", b->flops, "executed_flops", b->executed));
    json_object_update_new(root, json_pack("{s:f, s:b, s:I, s:I, s:I, s:I}", "compile_ms", compile_ms(&b->built),
                                           "cached", (int)program_stats(b->built.program)->cached, "peak_rss_bytes",
                                           (json_int_t)b->rss.whole, "planned_bytes", (json_int_t)m->arena_bytes,
                                           "lower_bound_bytes", (json_int_t)m->lower_bound_bytes, "state_bytes",
                                           (json_int_t)m->state_bytes));
    json_object_update_new(root,
                           json_pack("{s:I, s:I, s:I, s:I}", "idle_rss_bytes", (json_int_t)b->rss.idle, "run_rss_bytes",
                                     (json_int_t)b->rss.run, "run_rss_increment_bytes", (json_int_t)increment(b),
                                     "code_bytes", (json_int_t)program_stats(b->built.program)->code_bytes));
    json_object_set_new(root, "layers", layers_json(&b->layers));
    json_object_update_new(root, json_pack("{s:o, s:f, s:o}", "kinds", layers_kinds_json(&b->layers),
                                           "memory_bound_percent", layers_memory_percent(&b->layers), "bandwidth",
                                           layers_bandwidth_json(&b->layers)));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static void print_memory(struct cli *c, const struct bench *b)
{
    const struct rnc_model *m = b->built.model;
    struct arena *a = c->arena;
    printf(
        "memory    %s resident while it runs: %s more than the idle process; at most %s with loading and compiling\n",
        format_bytes(a, b->rss.run), format_bytes(a, increment(b)), format_bytes(a, b->rss.whole));
    printf("          of that %s weights, %s intermediates (no plan can take less than %s), %s code\n",
           format_bytes(a, m->state_bytes), format_bytes(a, m->arena_bytes), format_bytes(a, m->lower_bound_bytes),
           format_bytes(a, program_stats(b->built.program)->code_bytes));
}

static void print_report(struct cli *c, const struct bench *b)
{
    const struct rnc_model *m = b->built.model;
    struct arena *a = c->arena;
    const char *cpu = cpu_name(c);
    printf("%s, %s, batch %lld, %d thread%s, %s, %s%s%s\n\n", m->name,
           opt.mode == MODEL_TRAIN ? "training step" : "inference", (long long)m->batch, b->threads,
           b->threads > 1 ? "s" : "", precision_name(b), m->cpu, cpu ? " on " : "", cpu ? cpu : "");
    if (opt_per_layer) layers_print(a, &b->layers);
    if (opt_per_layer && opt.mode == MODEL_TRAIN) layers_print_kinds(a, &b->layers);
    const char *noise =
        b->disturbed ? "; other programs took the processor in nearly all of them, so these figures are too slow"
        : b->dropped ? arena_printf(a, "; %d more dropped, their threads had to wait for a processor", b->dropped)
                     : "";
    printf("time      %s ms median, %s min, %s p95 (%d runs%s)\n", format_ms(a, b->median), format_ms(a, b->min),
           format_ms(a, b->p95), b->counted, noise);
    double speed = (double)m->batch / b->median * 1e3;
    printf("speed     %s images/s\n", speed < 100 ? arena_printf(a, "%.1f", speed) : format_count(a, (int64_t)speed));
    printf("          %.1f GFLOP/s", rate(b->flops, b->median));
    if (fabs(b->executed - b->flops) > 1e-6 * b->flops) printf(" nominal; %.1f executed", rate(b->executed, b->median));
    printf(", %.0f%% of the %s peak measured beside it (%.1f)\n", 100 * rate(b->executed, b->median) / b->peak,
           dtype_fast_group(b->built.spec->dtype, &b->built.target) > 1 ? precision_name(b) : "FMA", b->peak);
    if (opt_per_layer) layers_print_bound(&b->layers);
    print_memory(c, b);
    printf("compile   %s ms%s\n", format_ms(a, compile_ms(&b->built)),
           program_stats(b->built.program)->cached ? ", from the cache" : "");
    double im2col = 0, ours = 0;
    for (uint32_t i = 0; b->blas_core && i < b->layers.count; i++)
        if (b->layers.row[i].im2col_ms > 0) im2col += b->layers.row[i].im2col_ms, ours += b->layers.row[i].ms;
    if (ours > 0)
        printf("baseline  im2col and OpenBLAS (%s), one thread: %s ms for the convolutions that took %s ms here, with "
               "all that is fused into them\n",
               b->blas_core, format_ms(a, im2col), format_ms(a, ours));
    printf("result    matches the reference\n");
}

/* ---- the command */

static bool refuse(struct cli *c, const struct verify_row *wrong)
{
    const char *where = *wrong->what ? arena_printf(c->arena, "%s (%s)", wrong->name, wrong->what) : wrong->name;
    struct diag *d =
        diag_error(c->diags, (struct span){0},
                   "no figures: the result of %s does not match the reference (relative error %.2e, limit %.0e)", where,
                   wrong->error, wrong->limit);
    diag_note(d, "`rnc verify` shows every node");
    return false;
}

static bool bench(struct cli *c, const char *spec, struct bench *b)
{
    gen_trim();
    opt.idle_bytes = rss_now();
    opt.layers = opt_per_layer || c->json;
    opt.whole = strcmp(opt_check, "full") == 0;
    const struct spec *s = cli_load(c, spec);
    if (!s || !folder_weights(c, s, &opt.weights) || !cli_target_runs_here(c, &c->driver->options.target)) return false;
    return driver_bench(c->driver, s, &opt, b) && (!b->wrong.name || refuse(c, &b->wrong));
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    struct bench b = {0};
    opt.mode = strcmp(opt_mode, "train") == 0 ? MODEL_TRAIN : MODEL_INFER;
    if (!memory_for_training(c, opt.mode == MODEL_TRAIN, "--mode train")) return cli_finish(c);
    if (bench(c, argv[0], &b)) {
        if (c->json) print_json(c, &b);
        else print_report(c, &b);
    }
    bench_free(&b);
    return cli_finish(c);
}

static const char *const modes[] = {"infer", "train", NULL}, *const checks[] = {"quick", "full", NULL};
static const struct option options[] = {
    {.name = "mode",
     .kind = OPT_WORD,
     .words = modes,
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
     .dest = &opt.baseline},
    {.name = "seconds",
     .kind = OPT_FLOAT,
     .arg = "S",
     .help = "no run begins later than that (3, but a few runs at least)",
     .dest = &opt.seconds,
     .given = &opt.bounded,
     .least = 0,
     .above = true,
     .most = 86400},
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "a safetensors file (default: the run's, or fresh ones from --seed)",
     .dest = &opt.weights},
    {.name = "check",
     .kind = OPT_WORD,
     .words = checks,
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
        "--per-layer marks the nodes that wait for memory: whose bytes take longer at the bandwidth measured beside "
        "them "
        "than their FLOPs at the\n"
        "peak, and how much of their time that accounts for. That is an estimate: what a node reads may still lie in a "
        "nearer cache. Rows are shares\n"
        "of the median run, and add up to it. With --mode train a second table adds up forward "
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
