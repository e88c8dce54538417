/* compile.c: `rnc compile`: every stage, shown; objects, shared libraries and their C headers. */
#include <errno.h>
#include <jansson.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/choices.h"
#include "cli/cli.h"
#include "cli/contents.h"
#include "cli/file.h"
#include "cli/memory.h"
#include "cli/format.h"
#include "ir/text.h"
#include "runtime/io/file.h"

extern char **environ;

static bool opt_train;
static const char *opt_emit, *opt_output, *opt_cpu, *opt_target, *opt_name, *opt_weights;
static bool opt_no_weights;
static const char *const emits[] = {"ir", "ir-raw", "llvm", "asm", "report", NULL};

/* ---- files */

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n > m && strcmp(s + n - m, tail) == 0;
}

/* The C compiler that links for the target: CC, or the usual name of one. */
static const char *linker(struct cli *c, const struct target *t)
{
    const char *cc = getenv("CC");
    if (cc && *cc) return cc;
    return target_is_native(t) ? "cc" : arena_printf(c->arena, "%s-gcc", t->triple);
}

/* Runs cc; its own messages go to stderr. */
static bool link_shared(struct cli *c, const struct target *t, const char *object, const char *output)
{
    const char *cc = linker(c, t);
    char *const args[] = {(char *)(uintptr_t)cc,
                          (char[]){"-shared"},
                          (char[]){"-o"},
                          (char *)(uintptr_t)output,
                          (char *)(uintptr_t)object,
                          (char[]){"-lm"},
                          NULL};
    pid_t pid;
    int status = 0, error = posix_spawnp(&pid, cc, NULL, NULL, args, environ);
    if (error) {
        struct diag *d =
            diag_env(c->diags, "%s: a shared library needs the C compiler '%s': %s", opt_output, cc, strerror(error));
        diag_note(d, "install gcc, name another compiler in CC, or write an object: -o FILE.o");
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        struct diag *d =
            diag_env(c->diags, "%s: a shared library needs the C compiler '%s', which is not here", opt_output, cc);
        diag_note(d, "install gcc, name another compiler in CC, or write an object: -o FILE.o");
        return false;
    }
    diag_env(c->diags, "%s: '%s' could not link the shared library", opt_output, cc);
    return false;
}

static bool write_shared(struct cli *c, const struct target *t, const void *data, size_t size)
{
    const char *object = arena_printf(c->arena, "%s.%ld.o", opt_output, (long)getpid());
    const char *aside = arena_printf(c->arena, "%s.%ld.so", opt_output, (long)getpid());
    bool ok = file_write(c->diags, object, data, size) && link_shared(c, t, object, aside);
    if (ok && rename(aside, opt_output)) {
        diag_env(c->diags, "%s: could not be written: %s", opt_output, strerror(errno));
        ok = false;
    }
    unlink(object);
    if (!ok) unlink(aside);
    return ok;
}

/* FILE.o -> FILE.h */
static const char *header_path(struct cli *c)
{
    size_t stem = strlen(opt_output) - (ends_with(opt_output, ".so") ? 3 : 2);
    return arena_printf(c->arena, "%.*s.h", (int)stem, opt_output);
}

/* A header of the same name may be the user's work. */
static bool may_write_header(struct cli *c)
{
    const char *path = header_path(c);
    char text[4096];
    struct rnc_status none = {0};
    int fd = rnc_file_open(path, &none);
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) return true;
    size_t len = fread(text, 1, sizeof text, f);
    fclose(f);
    if (len == 0 || driver_is_header(text, len)) return true;
    struct diag *d = diag_error(c->diags, (struct span){0}, "%s is there, and rnc did not write it", path);
    diag_note(d, "the C header of %s would replace it: write under another name, or move it away", opt_output);
    return false;
}

static bool write_outputs(struct cli *c, const struct built *b, const struct contents *k)
{
    struct buf h;
    buf_init(&h, c->arena);
    driver_header(b, &k->gen, k->images, &h);
    const char *header = header_path(c);
    size_t size = 0;
    const void *data = driver_object(b, &size);
    bool ok = true;
    if (ends_with(opt_output, ".so")) ok = write_shared(c, &b->target, data, size);
    else if (ends_with(opt_output, ".o")) ok = file_write(c->diags, opt_output, data, size);
    return ok && file_write(c->diags, header, h.data, h.len);
}

/* ---- the report */

static void json_report(struct cli *c, const struct built *b, const struct buf *passes, const char *what)
{
    const struct graph *g = b->graph;
    const struct gen_stats *s = program_stats(b->program);
    json_t *list = json_array();
    for (const char *p = passes->data; *p;) {
        size_t n = strcspn(p, "\n");
        if (n) json_array_append_new(list, json_stringn(p, n));
        p += n + (p[n] == '\n');
    }
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:s, s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b}",
                  "model", g->name, "mode", what, "batch", (json_int_t)g->batch, "cpu", b->target.name, "passes", list,
                  "kernels", s->kernels, "steps", s->steps, "code_bytes", (json_int_t)s->code_bytes, "planned_bytes",
                  (json_int_t)g->arena_bytes, "lower_bound_bytes", (json_int_t)g->lower_bound_bytes, "state_bytes",
                  (json_int_t)g->state_bytes, "parse_ms", b->parse_ms, "pass_ms", b->pass_ms, "emit_ms", s->emit_ms,
                  "codegen_ms", s->codegen_ms, "link_ms", s->link_ms, "compile_ms", b->compile_ms, "total_ms",
                  b->parse_ms + b->pass_ms + b->compile_ms, "cached", (int)s->cached);
    memory_json(g, root);
    json_object_set_new(root, "algorithms", choices_json(c->arena, g));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static void print_report(struct cli *c, const struct built *b, const struct buf *passes, FILE *out)
{
    const struct graph *g = b->graph;
    const struct gen_stats *s = program_stats(b->program);
    fprintf(out, "%s, %s, batch %lld, for %s\n\npasses\n", g->name, opt_train ? "training step" : "inference",
            (long long)g->batch, b->target.name);
    for (const char *p = passes->data; *p;) {
        size_t n = strcspn(p, "\n");
        fprintf(out, "  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
    choices_print(c->arena, g, out);
    fprintf(out, "\ncode      %d kernels for %d steps, %s\n", s->kernels, s->steps,
            format_bytes(c->arena, s->code_bytes));
    memory_report(c->arena, g, out);
    fprintf(out, "time      %s ms: spec %s, passes %s, code %s%s\n",
            format_ms(c->arena, b->parse_ms + b->pass_ms + b->compile_ms), format_ms(c->arena, b->parse_ms),
            format_ms(c->arena, b->pass_ms), s->cached ? "from the cache " : "", format_ms(c->arena, b->compile_ms));
    if (s->cached) fprintf(out, "          (linking %s)\n", format_ms(c->arena, s->link_ms));
    else
        fprintf(out, "          (all compile threads together: emitting IR %s, LLVM's code generator %s; linking %s)\n",
                format_ms(c->arena, s->emit_ms), format_ms(c->arena, s->codegen_ms), format_ms(c->arena, s->link_ms));
}

/* ---- the command */

static bool check_options(struct cli *c)
{
    const char *alone = opt_name ? "--name" : opt_weights ? "--weights" : opt_no_weights ? "--no-weights" : NULL;
    if (alone && !opt_output) {
        diag_error(c->diags, (struct span){0}, "%s is for the files that -o writes", alone);
        return false;
    }
    if (opt_weights && opt_no_weights) {
        diag_error(c->diags, (struct span){0}, "--weights and --no-weights exclude each other");
        return false;
    }
    if (!opt_output || ends_with(opt_output, ".o") || ends_with(opt_output, ".so") || ends_with(opt_output, ".h"))
        return true;
    struct diag *d = diag_error(c->diags, (struct span){0}, "-o: '%s' does not end in .o, .so or .h", opt_output);
    diag_note(d, "the ending says what is written: an object, a shared library, or the C header alone");
    return false;
}

/* A file is for machines like this one or better, so it is compiled for the least CPU of its target. Where it asks for
   the host, it gets the best named CPU that the host is: a file checks just that before it runs, and must not use what
   it does not check. */
static const char *choose_cpu(void)
{
    bool asks_host = opt_cpu && strcmp(opt_cpu, "host") == 0;
    if (!opt_output || (opt_cpu && !asks_host) || (opt_target && !asks_host)) return opt_cpu;
    struct target host;
    target_host(&host);
    const char *least = NULL, *best = NULL;
    for (const struct target_cpu *k = target_cpus(); k->name; k++) {
        if (strcmp(k->triple, host.triple) != 0) continue;
        if (!least) least = k->name;
        if (!best || (k->bits & ~host.feature_bits) == 0) best = k->name;
    }
    return asks_host ? best : least;
}

/* Code for another CPU is never linked into this process. */
static bool for_this_process(void) { return !opt_output && !opt_target && (!opt_cpu || strcmp(opt_cpu, "host") == 0); }

static bool emitting(const char *what) { return opt_emit && strcmp(opt_emit, what) == 0; }

static bool generate(struct cli *c, struct built *b, const struct gen_contents *contents, struct buf *text)
{
    struct generate_options o = {.object = opt_output != NULL, .unlinked = !for_this_process(), .contents = *contents};
    if (emitting("llvm")) o.llvm = text;
    if (emitting("asm")) o.assembly = text;
    return driver_generate(c->driver, b, &o);
}

/* Code, and the files that are asked for; SIZE: of the object. */
static bool make_files(struct cli *c, const struct dataset_model *m, struct built *b, struct contents *k,
                       struct buf *text)
{
    if (opt_output && !contents_open(c, m, b, opt_weights, opt_no_weights, k)) return false;
    return generate(c, b, &k->gen, text) && (!opt_output || write_outputs(c, b, k));
}

static void say_classes(const struct gen_contents *g)
{
    enum { SHOWN = 3 };
    if (g->nclasses == 0) return;
    printf("          %d classes: %s", g->nclasses, g->classes[0]);
    for (int k = 1; k < g->nclasses && k < SHOWN; k++) printf(", %s", g->classes[k]);
    printf("%s\n", g->nclasses > SHOWN ? ", …" : "");
}

static void say_written(struct cli *c, const struct built *b, const struct contents *k)
{
    size_t size = 0;
    if (ends_with(opt_output, ".h")) {
        printf("wrote     %s\n", opt_output);
        return;
    }
    driver_object(b, &size);
    printf("wrote     %s, %s, and its C header\n", opt_output, format_bytes(c->arena, size));
    if (k->gen.state)
        printf("          holds %s of weights, read-only\n", format_bytes(c->arena, b->graph->state_bytes));
    if (k->images) printf("          images: %s\n", k->images);
    say_classes(&k->gen);
}

/* The model's outside is for what a file brings along. */
static bool load(struct cli *c, const char *spec, struct dataset_model *m)
{
    *m = (struct dataset_model){0};
    if (opt_output) return dataset_model(c, spec, m);
    m->spec = cli_load(c, spec);
    return m->spec != NULL;
}

static void print_all(struct cli *c, const struct built *b, const struct contents *k, const struct buf *passes,
                      const struct buf *text)
{
    if (opt_emit && !emitting("report")) fwrite(text->data, 1, text->len, stdout);
    else if (c->json) json_report(c, b, passes, opt_train ? "train" : "infer");
    else {
        print_report(c, b, passes, stdout);
        if (opt_output) say_written(c, b, k);
    }
}

static void compile(struct cli *c, const char *spec, struct built *b, struct contents *k)
{
    struct dataset_model m;
    struct buf passes, text;
    buf_init(&passes, c->arena);
    buf_init(&text, c->arena);
    struct model_options o = {.mode = opt_train ? MODEL_TRAIN : MODEL_INFER, .report = &passes};
    if (!load(c, spec, &m) || !driver_graph(c->driver, m.spec, &o, b)) return;
    if (opt_output && !driver_name(c->driver, b, opt_name)) return;
    const bool ir = emitting("ir") || emitting("ir-raw");
    if (ir) graph_print(emitting("ir") ? b->graph : b->raw, &text);
    if ((!ir || opt_output) && !make_files(c, &m, b, k, &text)) return;
    print_all(c, b, k, &passes, &text);
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (!check_options(c) || !memory_for_training(c, opt_train, "--train") || (opt_output && !may_write_header(c)))
        return cli_finish(c);
    c->cpu = choose_cpu();
    c->triple = opt_target;
    struct built b = {0};
    struct contents k = {0};
    compile(c, argv[0], &b, &k);
    contents_close(&k);
    driver_release(&b);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "train", .kind = OPT_FLAG, .help = "the training step instead of inference", .dest = &opt_train},
    {.name = "emit",
     .kind = OPT_WORD,
     .words = emits,
     .arg = "WHAT",
     .help = "print ir, ir-raw, llvm, asm or report (the default)",
     .dest = &opt_emit},
    {.name = "output",
     .letter = 'o',
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "write FILE.o or FILE.so, and the C header beside it",
     .dest = &opt_output},
    {.name = "name",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .help = "of the model in C, rnc_NAME (the spec's, and _train of a step)",
     .dest = &opt_name},
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "safetensors, prepared and put into the object (default: the run's)",
     .dest = &opt_weights},
    {.name = "no-weights",
     .kind = OPT_FLAG,
     .help = "leaves them out of it: the program sets them",
     .dest = &opt_no_weights},
    {.name = "cpu",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .help = "CPU to compile for: host, x86-64-v3, …; help lists them",
     .dest = &opt_cpu},
    {.name = "target",
     .kind = OPT_TEXT,
     .arg = "TRIPLE",
     .help = "another machine's code: aarch64-linux-gnu; help lists them",
     .dest = &opt_target},
};

const struct command command_compile = {
    .name = "compile",
    .group = GROUP_MEASURE,
    .place = 1,
    .summary = "native code, every stage shown; .o and .so files with a C header",
    .usage = "SPEC [--train] [--emit ir|ir-raw|llvm|asm|report] [--target TRIPLE] [--cpu NAME] [-o FILE.o|FILE.so "
             "[--weights FILE|--no-weights] [--name NAME]]",
    .details = "A file is compiled for x86-64-v3 (AVX2) unless --cpu says otherwise; it checks the CPU before it runs, "
               "and needs\n"
               "nothing but librnc_rt.a: no LLVM, no BLAS. Of a run's folder it holds the weights, the names of the "
               "classes and what images go\nthrough; the header says how it is called.\n\n"
               "  rnc compile resnet50\n  rnc compile resnet20 -p channels=1 -p size=28 --train --emit ir\n"
               "  rnc compile out/ -o model.o\n"
               "  rnc compile resnet18 --batch 8 --cpu x86-64-v4 -o resnet18.o\n"
               "  rnc compile resnet20 --target aarch64-linux-gnu -o resnet20.o\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN | CLI_MEMORY,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
