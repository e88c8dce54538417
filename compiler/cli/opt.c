/* opt.c: `rnc opt`: passes on the text of the IR. What the golden tests of the passes run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "runtime/io/file.h"
#include "runtime/rt/clock.h"

static const char *opt_passes = "", *opt_cpu, *opt_update = "none", *opt_dtype = "f32";
static bool opt_list, opt_report, opt_time, momentum_given;
static double opt_momentum;
static const char *opt_memory;

static void list_passes(void)
{
    for (const struct pass *const *p = pass_all(); *p; p++) printf("%-10s %s\n", (*p)->name, (*p)->help);
    printf("\ninference: %s\ntraining:  %s\n", pass_pipeline_infer, pass_pipeline_train);
}

/* The whole of PATH ("-": stdin), or NULL after a diagnostic. */
static const struct source *read_source(struct cli *c, const char *path)
{
    bool standard = !strcmp(path, "-");
    struct rnc_status status = {0};
    int fd = standard ? -1 : rnc_file_open(path, &status);
    FILE *f = standard ? stdin : fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) {
        driver_fail(c->driver, &status);
        return NULL;
    }
    struct buf text;
    buf_init(&text, c->arena);
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) buf_write(&text, block, n);
    bool failed = ferror(f) != 0;
    int error = errno;
    if (!standard) fclose(f);
    if (failed) {
        diag_env(c->diags, "cannot read %s: %s", path, strerror(error));
        return NULL;
    }
    struct source *s = ARENA_NEW(c->arena, struct source);
    *s = (struct source){standard ? "<stdin>" : arena_strdup(c->arena, path), text.data, text.len};
    return s;
}

/* The optimizer with its defaults, but without weight decay: what the text shows was asked for. */
static bool set_update(struct cli *c, struct train_options *t)
{
    *t = (struct train_options){.grad_outputs = strcmp(opt_update, "none") == 0};
    if (t->grad_outputs) return true;
    const struct rnc_row *row = rnc_kind_find(&rnc_optimizers, opt_update);
    if (!row) {
        struct buf names;
        buf_init(&names, c->arena);
        for (int i = 0; i < rnc_optimizers.n; i++) buf_printf(&names, ", %s", rnc_kind_row(&rnc_optimizers, i)->name);
        struct diag *d = diag_error(c->diags, (struct span){0}, "--update: '%s' is not an update rule", opt_update);
        diag_note(d, "one of none (gradients become outputs)%s", names.data);
        return false;
    }
    void *settings = arena_alloc(c->arena, row->size);
    memcpy(settings, row->defaults, row->size);
    rnc_row_set(row, settings, "weight_decay", 0);
    if (momentum_given) rnc_row_set(row, settings, "momentum", opt_momentum);
    t->optimizer = (struct rnc_choice){row, settings};
    return true;
}

/* One pass at a time, so that each can be timed. */
static bool run_passes(struct cli *c, struct graph *g, struct pass_context *pc)
{
    for (const char *p = opt_passes; *p;) {
        size_t n = strcspn(p, ",");
        struct buf line;
        buf_init(&line, c->arena);
        pc->report = &line;
        double start = rnc_clock_ms();
        if (!pass_run(g, pc, arena_strndup(c->arena, p, n))) return false;
        if (opt_time && line.len) line.data[--line.len] = '\0';
        if (opt_report || opt_time) fputs(line.data, stderr);
        if (opt_time && line.len) fprintf(stderr, " (%.1f ms)\n", rnc_clock_ms() - start);
        p += n + (p[n] == ',');
    }
    return true;
}

static bool transform(struct cli *c, const char *path)
{
    const struct source *src = read_source(c, path);
    if (!src) return false;
    struct pass_context pc = {.arena = c->arena, .diags = c->diags, .verify = true};
    c->cpu = opt_cpu;
    if (!cli_target(c, &pc.target)) return false;
    if (!set_update(c, &pc.train)) return false;
    c->memory_budget = opt_memory;
    c->driver->options.dtype = opt_dtype;
    if (!cli_dtype_option(c)) return false;
    dtype_named(opt_dtype, &pc.dtype);
    if (!cli_memory(c, &pc.memory_budget)) return false;
    struct graph *g = graph_parse(c->arena, c->diags, src);
    if (!g) return false;
    const char *problem = graph_verify(g);
    if (problem) {
        diag_error(c->diags, (struct span){src, 0, 0, 0}, "%s", problem);
        return false;
    }
    if (!run_passes(c, g, &pc)) return false;
    struct buf out;
    buf_init(&out, c->arena);
    graph_print(g, &out);
    fwrite(out.data, 1, out.len, stdout);
    return true;
}

static int run(struct cli *c, int argc, char **argv)
{
    if (opt_list) list_passes();
    else if (argc) transform(c, argv[0]);
    else diag_error(c->diags, (struct span){0}, "which file? Give the name of an IR file, or - for stdin");
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "passes",
     .kind = OPT_TEXT,
     .arg = "A,B",
     .help = "the passes to run, in order; none: print what was read",
     .dest = &opt_passes},
    {.name = "list", .kind = OPT_FLAG, .help = "list the passes and the two standard pipelines", .dest = &opt_list},
    {.name = "cpu",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .help = "the target, whose lanes the layout takes (host)",
     .dest = &opt_cpu},
    {.name = "update",
     .kind = OPT_TEXT,
     .arg = "RULE",
     .rows = &rnc_optimizers,
     .help = "or none: what autodiff appends (none)",
     .dest = &opt_update},
    {.name = "momentum",
     .kind = OPT_FLOAT,
     .arg = "X",
     .help = "autodiff: the optimizer's momentum",
     .dest = &opt_momentum,
     .given = &momentum_given,
     .least = 0,
     .most = 1},
    {.name = "memory-budget",
     .kind = OPT_TEXT,
     .arg = "SIZE",
     .help = "recompute: what the step may take, or none",
     .dest = &opt_memory},
    {.name = "dtype", .kind = OPT_TEXT, .arg = "TYPE", .help = "precision: f32 or bf16 (f32)", .dest = &opt_dtype},
    {.name = "report", .kind = OPT_FLAG, .help = "say on stderr what each pass did", .dest = &opt_report},
    {.name = "time", .kind = OPT_FLAG, .help = "and how long it took", .dest = &opt_time},
};

const struct command command_opt = {
    .name = "opt",
    .group = GROUP_RNC,
    .place = 1,
    .summary = "run passes on the IR's text",
    .usage = "--passes=A,B FILE.ir",
    .details = "Reads a graph, runs the passes (the verifier after each), prints the graph.\n\n"
               "  rnc compile resnet20 --emit ir-raw > net.ir\n  rnc opt --passes=simplify,fold,fuse net.ir\n",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
