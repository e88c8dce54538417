/* driver.c: spec -> graph -> passes -> native code. */
#include "driver/driver.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "elaborate/elaborate.h"
#include "kernel/accuracy.h"
#include "measure/tuner.h"
#include "runtime/rt/clock.h"
#include "spec/ast.h"

static const struct span nowhere = {NULL, 0, 0, 0};

struct driver *driver_new(void)
{
    struct arena *a = arena_new();
    struct driver *d = ARENA_NEW(a, struct driver);
    *d = (struct driver){.arena = a, .diags = diags_new(a)};
    return d;
}

void driver_free(struct driver *d)
{
    if (d) arena_free(d->arena);
}

struct driver driver_quiet(const struct driver *d)
{
    struct driver quiet = *d;
    quiet.diags = diags_new(d->arena);
    return quiet;
}

/* ---- the spec */

/* O with the driver's dtype, which stands for `dtype:` in the spec. */
static struct spec_options with_dtype(struct driver *d, const struct spec_options *o)
{
    struct spec_options all = o ? *o : (struct spec_options){0};
    if (!d->options.dtype) return all;
    struct override *sets = ARENA_ARRAY(d->arena, struct override, all.nsets + 1);
    if (all.nsets) memcpy(sets, all.sets, (size_t)all.nsets * sizeof *sets);
    sets[all.nsets++] = (struct override){.name = "dtype", .value = d->options.dtype};
    all.sets = sets;
    return all;
}

struct spec *driver_load(struct driver *d, const char *path, const struct spec_options *o)
{
    const int before = diags_errors(d->diags);
    struct spec *s = driver_load_partial(d, path, o);
    return diags_errors(d->diags) == before ? s : NULL;
}

struct spec *driver_load_partial(struct driver *d, const char *path, const struct spec_options *o)
{
    const struct spec_options all = with_dtype(d, o);
    double start = rnc_clock_ms();
    struct spec *s = spec_load_partial(d->arena, d->diags, path, &all);
    d->load_ms = rnc_clock_ms() - start;
    return s;
}

struct spec *driver_load_text(struct driver *d, const char *name, const char *text, size_t len,
                              const struct spec_options *o)
{
    const struct spec_options all = with_dtype(d, o);
    double start = rnc_clock_ms();
    struct spec *s = spec_load_text(d->arena, d->diags, &(struct source){name, text, len}, &all);
    d->load_ms = rnc_clock_ms() - start;
    return s;
}

/* ---- the graph */

static bool choose_target(struct driver *d, struct target *t)
{
    *t = d->options.target;
    if (!t->lanes) target_host(t);
    return gen_target_init(t, d->diags);
}

/* A warning, once, where T's CPU has no products of bf16 and S asks for bf16. */
static void note_dtype(struct driver *d, const struct spec *s, const struct target *t)
{
    if (!dtype_rounded(s->dtype) || dtype_fast_group(s->dtype, t) > 1 || d->told_dtype) return;
    d->told_dtype = true;
    const char *name = dtype_name(s->dtype), *instruction = dtype_instruction(s->dtype);
    const char *why =
        dtype_has_products(s->dtype, t)
            ? arena_printf(d->arena,
                           "whose instruction for them (%s) does half the work of its fp32 ones in the same time",
                           instruction)
            : arena_printf(d->arena, "which has no instruction for them (%s)", instruction);
    struct diag *g =
        diag_warn(d->diags, nowhere, "products of %s are no faster than those of f32 on %s, %s", name, t->name, why);
    diag_note(g,
              "what dtype %s gives here: activations and their gradients take half the memory, and are multiplied in "
              "fp32",
              name);
}

static int64_t batch_of(const struct driver *d, const struct spec *s, const struct model_options *o)
{
    if (o->batch) return o->batch;
    if (d->options.batch) return d->options.batch;
    return o->mode == MODEL_INFER ? 1 : s->train.batch;
}

struct graph *driver_elaborate(struct driver *d, const struct spec *s, const struct model_options *o)
{
    struct build_options build = {.batch = batch_of(d, s, o),
                                  .losses = o->losses || o->mode != MODEL_INFER,
                                  .measured = o->measured,
                                  .dump = o->dump,
                                  .ndump = o->ndump};
    return build_graph(d->arena, d->diags, s, &build);
}

static struct train_options train_options(const struct spec *s, const struct model_options *o)
{
    struct train_options t = {.grad_outputs = o->mode == MODEL_GRAD, .input_grads = o->input_grads};
    if (o->mode == MODEL_TRAIN) t.optimizer = s->train.optimizer;
    return t;
}

/* The pipeline up to and including pass UNTIL; NULL with a diagnostic when it has no such pass. */
static const char *pipeline_until(struct driver *d, const char *pipeline, const char *until)
{
    if (!until) return pipeline;
    size_t len = strlen(until);
    for (const char *p = pipeline; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, until, len) == 0 && (p[len] == ',' || !p[len]))
            return arena_strndup(d->arena, pipeline, (size_t)(p - pipeline) + len);
    diag_note(diag_error(d->diags, nowhere, "the pipeline has no pass '%s'", until), "it is %s", pipeline);
    return NULL;
}

void driver_progress(const struct driver *d, enum driver_activity what, int64_t done, int64_t of)
{
    if (d->options.progress) d->options.progress(d->options.progress_ctx, what, done, of);
}

static void use_tuner(struct driver *d, const struct target *t, struct pass_context *c)
{
    if (!d->options.tune) return;
    struct tuner_options o = {.target = *t,
                              .seconds = tuner_runs(t) ? d->options.tune_seconds : 0,
                              .dir = d->options.cache_dir};
    if (!d->tuner) d->tuner = tuner_new(d->arena, &o);
    c->cost = tuner_cost(d->tuner);
}

static void report_tuner(const struct driver *d, struct buf *report)
{
    if (!d->tuner || !report) return;
    struct tuner_stats s = tuner_stats(d->tuner);
    buf_printf(report, "tuner: %d convolutions measured in %.1f s, %d known from before, %d left to the model\n",
               s.measured, s.seconds, s.known, s.left);
}

static bool verifies(void)
{
#ifdef RNC_DEBUG
    return true;
#else
    return getenv("RNC_VERIFY") != NULL;
#endif
}

static bool run_passes(struct driver *d, const struct model_options *o, struct built *b)
{
    struct pass_context c = {.arena = d->arena,
                             .diags = d->diags,
                             .target = b->target,
                             .dtype = b->spec->dtype,
                             .train = train_options(b->spec, o),
                             .winograd = d->options.winograd,
                             .accuracy = b->spec->accuracy > 0 ? b->spec->accuracy : ACCURACY_EXACT,
                             .replay = d->options.replay,
                             .verify = verifies(),
                             .report = o->report};
    if (o->mode == MODEL_TRAIN) c.memory_budget = d->options.memory_budget;
    const char *pipeline =
        pipeline_until(d, o->mode == MODEL_INFER ? pass_pipeline_infer : pass_pipeline_train, o->until);
    if (!pipeline) return false;
    use_tuner(d, &b->target, &c);
    if (d->tuner) driver_progress(d, DRIVER_TUNING, 0, 1);
    double start = rnc_clock_ms();
    bool ok = pass_run(b->graph, &c, pipeline);
    b->pass_ms = rnc_clock_ms() - start;
    if (d->tuner) driver_progress(d, DRIVER_TUNING, 1, 1);
    report_tuner(d, o->report);
    return ok;
}

bool driver_graph(struct driver *d, const struct spec *s, const struct model_options *o, struct built *b)
{
    *b = (struct built){.spec = s};
    if (!choose_target(d, &b->target)) return false;
    double start = rnc_clock_ms();
    note_dtype(d, s, &b->target);
    b->graph = driver_elaborate(d, s, o);
    if (!b->graph) return false;
    b->raw = graph_clone(d->arena, b->graph);
    b->parse_ms = rnc_clock_ms() - start + d->load_ms;
    d->load_ms = 0;
    return run_passes(d, o, b);
}

/* ---- code */

static int compile_threads(const struct driver *d)
{
    if (d->options.threads > 0) return (int)d->options.threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static bool runs_here(struct driver *d, const struct target *t)
{
    if (target_is_native(t)) return true;
    struct target here;
    target_host(&here);
    diag_error(d->diags, nowhere, "code for %s is for %s and cannot run on this machine, %s", t->name, t->triple,
               here.triple);
    return false;
}

bool driver_generate(struct driver *d, struct built *b, const struct generate_options *o)
{
    struct gen_options g = {.target = b->target,
                            .threads = compile_threads(d),
                            .single_object = o->object,
                            .contents = o->contents,
                            .llvm = o->llvm,
                            .assembly = o->assembly,
                            .cache_dir = d->options.cache_dir,
                            .cache_bytes = d->options.cache_bytes};
    if (!o->unlinked && !runs_here(d, &b->target)) return false;
    double start = rnc_clock_ms();
    b->program = gen_compile(b->graph, &g, d->diags);
    if (b->program && !o->unlinked) b->model = program_load(b->program, d->diags);
    b->compile_ms = rnc_clock_ms() - start;
    if (o->unlinked ? b->program != NULL : b->model != NULL) return true;
    driver_release(b);
    return false;
}

const void *driver_object(const struct built *b, size_t *size) { return program_object(b->program, size); }

bool driver_compile(struct driver *d, const struct spec *s, const struct model_options *o, struct built *b)
{
    return driver_graph(d, s, o, b) && driver_generate(d, b, &(struct generate_options){0});
}

void driver_release(struct built *b)
{
    if (b->program) program_free(b->program);
    b->program = NULL;
    b->model = NULL;
}
