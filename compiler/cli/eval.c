/* eval.c: `rnc eval`: how well weights do on data. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/dataset.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "runtime/rt/clock.h"
#include "runtime/recipe/normalize.h"
#include "runtime/task/task.h"

static struct text_list opt_rename;
static bool opt_all;
static const char *opt_data, *opt_weights, *opt_normalize;
enum { DEFAULT_BATCH = 64 };

struct evaluation {
    struct cli *c;
    struct dataset_model model;
    struct rnc_data data;
    struct rnc_loader_config loader;
    const char *images; /* what they go through, in words */
    struct built built;
    struct session session;
    struct rnc_tally tally;
    double seconds;
};

static void on_progress(void *ctx, int64_t done, int64_t batches)
{
    double *drawn = ctx, now = rnc_clock_seconds();
    if (now - *drawn < 0.1 && done < batches) return;
    *drawn = now;
    fprintf(stderr, "\r\033[K%s%3lld %%%s", done < batches ? "evaluating " : "", (long long)(100 * done / batches),
            done < batches ? "" : "\r\033[K");
    fflush(stderr);
}

static bool evaluate(struct evaluation *e)
{
    struct rnc_status s = {0};
    double drawn = 0.0;
    e->loader.data = &e->data.val;
    e->loader.classes = (const char *const *)e->data.classes;
    e->loader.nclasses = e->data.nclasses;
    e->loader.batch = e->built.model->batch;
    struct rnc_loader *l = rnc_loader_new(&e->loader, &s);
    bool ok = l && rnc_tally_begin(&e->tally, &e->model.problem, e->built.model, &s);
    double began = rnc_clock_seconds();
    ok = ok &&
         rnc_evaluate(e->session.instance, l, &e->tally, NULL, isatty(STDERR_FILENO) ? on_progress : NULL, &drawn, &s);
    e->seconds = rnc_clock_seconds() - began;
    rnc_loader_free(l);
    return ok || driver_fail(e->c->driver, &s);
}

static void print_json(const struct evaluation *e)
{
    double loss = rnc_tally_loss(&e->tally);
    json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:f, s:s}", "model", e->built.model->name, "data", e->data.description,
                          "weights", format_name(e->c->arena, opt_weights), e->data.unit, (json_int_t)e->tally.samples,
                          arena_printf(e->c->arena, "%s_per_s", e->data.unit), (double)e->tally.samples / e->seconds,
                          "preprocess", e->images);
    json_object_set_new(j, "loss", isfinite(loss) ? json_real(loss) : json_null());
    for (int k = 1; k < e->model.problem.ncolumns; k++) { /* the first is the loss */
        double v = rnc_tally_column(&e->tally, k);
        if (!isnan(v)) json_object_set_new(j, e->model.problem.column[k].name, json_real(v));
    }
    json_t *scored = json_array();
    for (int k = 0; k < e->model.problem.npairs; k++)
        json_array_append_new(scored, json_pack("{s:s, s:s}", "output", e->model.problem.pairs[k].value, "target",
                                                e->model.problem.pairs[k].target));
    json_object_set_new(j, "scored", scored);
    json_dumpf(j, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(j);
}

static void print_column(const struct evaluation *e, int k, int width)
{
    const struct rnc_column *c = &e->model.problem.column[k];
    double v = rnc_tally_column(&e->tally, k);
    if (isnan(v)) return;
    if (c->metric->loss) printf("%-*s %8.4f\n", width, c->name, v);
    else if (c->metric->fraction) printf("%-*s %6.2f %%\n", width, c->name, 100.0 * v);
    else printf("%-*s %8.4g\n", width, c->name, v);
}

/* What metrics are of, where that is not the spec's only output. */
static void print_scored(const struct evaluation *e)
{
    const struct rnc_problem *p = &e->model.problem;
    bool plain = p->nterms && p->npairs == 1 && e->model.nreadings == 1 &&
                 !strcmp(p->pairs[0].value, e->model.readings[0].output);
    for (int k = 0; k < p->npairs && !plain; k++)
        printf("scored: '%s' beside the target '%s'%s\n", p->pairs[k].value, p->pairs[k].target,
               p->nterms ? "" : " (the spec has no loss)");
}

static void print_text(const struct evaluation *e)
{
    printf("%s on %s\n%s\n", e->built.model->name, e->data.description, e->images);
    print_scored(e);
    const struct rnc_problem *p = &e->model.problem;
    int width = 15;
    for (int k = 0; k < p->ncolumns; k++) {
        int length = (int)strlen(p->column[k].name);
        if (length > width) width = length;
    }
    for (int k = 1; k <= p->ncolumns; k++) print_column(e, k % p->ncolumns, width); /* the loss is the last */
    printf("%lld %s in %.2f s, %.0f %s/s\n", (long long)e->tally.samples, e->data.unit, e->seconds,
           (double)e->tally.samples / e->seconds, e->data.unit);
}

/* Without losses the pairs to compare are unknown, unless there is only one choice. */
static bool check_scored(struct evaluation *e)
{
    const struct spec *s = e->model.spec;
    if (e->model.problem.npairs) return true;
    struct diag *d = diag_error(e->c->diags, (struct span){.src = s->source},
                                "%s has no loss, and nothing else says what is to be evaluated", s->name);
    diag_note(d,
              "`loss: [softmax_cross_entropy: {from: logits, target: label}]`, and `targets: {label: {type: class}}`");
    return false;
}

static bool eval(struct evaluation *e, const char *spec)
{
    struct rnc_status s = {0};
    if (!dataset_model(e->c, spec, &e->model) || !check_scored(e) || !folder_weights(e->c, e->model.spec, &opt_weights))
        return false;
    if (!opt_weights) return folder_no_weights(e->c);
    struct rnc_safetensors *f = rnc_st_open(opt_weights, &s);
    if (!f) return driver_fail(e->c->driver, &s);
    e->loader = dataset_loader(&e->model, false);
    const struct dataset_request r = {
        .path = opt_data, .evaluate = true, .all = opt_all, .weights = f, .rename = &opt_rename};
    bool ok = dataset_open(e->c, &e->model, &r, &e->data) &&
              dataset_preprocess(e->c, &e->model, opt_normalize, f, &e->data, false, &e->loader, &e->images);
    rnc_st_close(f);
    struct model_options o = driver_measured(e->model.spec, MODEL_INFER);
    o.batch = e->c->driver->options.batch ? e->c->driver->options.batch : DEFAULT_BATCH;
    ok = ok && cli_compile(e->c, e->model.spec, &o, &e->built) &&
         driver_open(e->c->driver, &e->built, &(struct open_options){.weights = opt_weights}, &e->session) &&
         evaluate(e);
    if (ok && e->c->json) print_json(e);
    else if (ok) print_text(e);
    rnc_tally_free(&e->tally);
    session_close(&e->session);
    driver_release(&e->built);
    rnc_data_close(&e->data);
    return ok;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct evaluation e = {.c = c};
    (void)argc;
    eval(&e, argv[0]);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "weights", .kind = OPT_TEXT, .arg = "FILE", .help = "a safetensors file", .dest = &opt_weights},
    {.name = "data",
     .kind = OPT_TEXT,
     .arg = "PATH",
     .help = "as for `rnc train`; its validation split is used or, where it has none, what the weights' run "
             "held out of it, or all of other data",
     .dest = &opt_data},
    {.name = "all", .kind = OPT_FLAG, .help = "all of the data, what was trained on too", .dest = &opt_all},
    {.name = "rename",
     .kind = OPT_LIST,
     .arg = "FOLDER=CLASS",
     .help = "a folder of images that is a class of another name",
     .dest = &opt_rename},
    {.name = "normalize",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .rows = &rnc_normalizations,
     .help = "or MEAN,…/STD,… (default: as in training, the spec's, or none)",
     .dest = &opt_normalize},
};

const struct command command_eval = {
    .name = "eval",
    .group = GROUP_USE,
    .place = 2,
    .summary = "measure how well weights do on data",
    .usage = "SPEC [--weights FILE] [--data PATH]",
    .details = "The folder of a run brings its spec, its weights (best.safetensors), its data and how their pixels are "
               "normalised.\n\n"
               "  rnc eval out/\n"
               "  rnc eval resnet20 -p channels=1 -p size=20 --weights out/best.safetensors\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
