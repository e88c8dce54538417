/* model.c: spec -> graph -> passes -> native code, as every command does it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "elaborate/elaborate.h"
#include "cli/cli.h"
#include "kernel/accuracy.h"
#include "runtime/rt/clock.h"

static struct train_options train_options(const struct spec_optimizer *o, const struct model_options *m)
{
    struct train_options t = {0};
    t.input_grads = m->input_grads;
    t.grad_outputs = m->mode == MODEL_GRAD;
    if (m->mode != MODEL_TRAIN) return t;
    t.update = o->kind == OPTIMIZER_SGD ? UPDATE_SGD : UPDATE_ADAM;
    t.decoupled = o->kind == OPTIMIZER_ADAMW;
    t.momentum = o->momentum;
    t.weight_decay = o->weight_decay;
    t.beta1 = o->beta1;
    t.beta2 = o->beta2;
    t.eps = o->eps;
    t.nesterov = o->nesterov;
    return t;
}

/* The pipeline up to and including pass UNTIL; NULL when it has no such pass. */
static const char *pipeline_prefix(struct arena *a, const char *pipeline, const char *until)
{
    size_t len = strlen(until);
    for (const char *p = pipeline; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, until, len) == 0 && (p[len] == ',' || !p[len]))
            return arena_strndup(a, pipeline, (size_t)(p - pipeline) + len);
    return NULL;
}

static bool winograd_option(struct cli *c, int *out)
{
    static const char *const names[] = {"auto", "off", "f2", "f4", "f5", "f6"};
    static const int values[] = {WINOGRAD_AUTO, WINOGRAD_OFF, 2, 4, 5, 6};
    const char *given = c->winograd ? c->winograd : "auto";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(given, names[i])) {
            *out = values[i];
            return true;
        }
    struct diag *d = diag_error(c->diags, (struct span){0}, "--winograd cannot be '%s'", given);
    diag_note(d, "it is one of auto, off, f2, f4, f5, f6");
    return false;
}

static bool run_passes(struct cli *c, const struct model_options *o, struct built *b)
{
    struct pass_context pc = {.arena = c->arena, .diags = c->diags, .target = b->target, .report = o->report};
    if (!winograd_option(c, &pc.winograd)) return false;
    if (o->mode == MODEL_TRAIN && !cli_memory(c, &pc.memory_budget)) return false;
    pc.train = train_options(&b->spec->train.optimizer, o);
#ifdef RNC_DEBUG
    pc.verify = true;
#else
    pc.verify = getenv("RNC_VERIFY") != NULL;
#endif
    const char *pipeline = o->mode == MODEL_INFER ? pass_pipeline_infer : pass_pipeline_train;
    if (o->until) {
        const char *prefix = pipeline_prefix(c->arena, pipeline, o->until);
        if (!prefix) {
            struct diag *d = diag_error(c->diags, (struct span){0}, "the pipeline has no pass '%s'", o->until);
            diag_note(d, "it is %s", pipeline);
            return false;
        }
        pipeline = prefix;
    }
    pc.dtype = b->spec->dtype == SPEC_BF16 ? DT_BF16 : DT_F32;
    pc.accuracy = b->spec->accuracy > 0 ? b->spec->accuracy : ACCURACY_EXACT;
    if (!cli_tune(c, &b->target, &pc)) return false;
    double start = rnc_clock_ms();
    bool ok = pass_run(b->graph, &pc, pipeline);
    cli_tuned(c, o->report);
    b->pass_ms = rnc_clock_ms() - start;
    return ok;
}

bool cli_graph(struct cli *c, const char *spec, const struct model_options *o, struct built *b)
{
    *b = (struct built){0};
    if (!cli_target(c, &b->target)) return false;
    double start = rnc_clock_ms();
    b->spec = spec_load(c->arena, c->diags, spec, &c->spec);
    if (!b->spec) return false;
    int64_t batch = o->batch ? o->batch : c->batch ? c->batch : o->mode == MODEL_INFER ? 1 : b->spec->train.batch;
    struct build_options bo = {
        .batch = batch, .losses = o->losses || o->mode != MODEL_INFER, .dump = o->dump, .ndump = o->ndump};
    cli_dtype_note(c, b->spec, &b->target);
    b->graph = build_graph(c->arena, c->diags, b->spec, &bo);
    if (!b->graph) return false;
    b->raw = graph_clone(c->arena, b->graph);
    b->parse_ms = rnc_clock_ms() - start;
    return run_passes(c, o, b);
}

static int compile_threads(const struct cli *c)
{
    if (c->threads > 0) return (int)c->threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

bool cli_build(struct cli *c, const char *spec, const struct model_options *o, struct built *b)
{
    if (!cli_graph(c, spec, o, b) || !cli_target_runs_here(c, &b->target)) return false;
    double start = rnc_clock_ms();
    struct gen_options go = {.target = b->target, .threads = compile_threads(c)};
    if (!cli_cache(c, &go)) return false;
    b->program = gen_compile(b->graph, &go, c->diags);
    if (!b->program) return false;
    b->model = program_load(b->program, c->diags);
    b->compile_ms = rnc_clock_ms() - start;
    if (b->model) return true;
    cli_built_free(b);
    return false;
}

void cli_built_free(struct built *b)
{
    if (b->program) program_free(b->program);
    b->program = NULL;
    b->model = NULL;
}
