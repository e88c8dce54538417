/* predict.c: `rnc predict`: the likeliest classes of images. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/dataset.h"
#include "cli/folder.h"
#include "runtime/io/image.h"
#include "runtime/recipe/normalize.h"
#include "runtime/task/task.h"

static const char *opt_weights, *opt_normalize;
static int64_t opt_top = 5;

static const struct span nowhere = {NULL, 0, 0, 0};

struct prediction {
    struct cli *c;
    struct dataset_model model;
    struct rnc_loader_config loader;
    const char *const *classes;
    struct built built;
    struct session session;
    struct rnc_tally tally; /* where the outputs are; nothing is added up */
    struct rnc_outputs outputs;
    float *pixels;
    json_t *list;
};

/* A class by its name, an element as "logit[2]". */
static const char *label_of(struct prediction *p, const struct rnc_finding *f)
{
    if (p->model.problem.task->fraction) return p->classes[f->index];
    return arena_printf(p->c->arena, "%s[%lld]", f->output, (long long)f->index);
}

static void show(struct prediction *p, const char *path, const struct rnc_finding *f, int64_t n)
{
    const struct rnc_task *task = p->model.problem.task;
    json_t *tops = p->list ? json_array() : NULL;
    if (!p->list) printf("%s\n", path);
    for (int64_t k = 0; k < n; k++) {
        const char *name = label_of(p, &f[k]);
        if (p->list)
            json_array_append_new(tops, json_pack("{s:s, s:I, s:f}", task->fraction ? "class" : "element", name,
                                                  "index", (json_int_t)f[k].index, task->finding,
                                                  isfinite(f[k].value) ? f[k].value : 0.0));
        else if (task->fraction) printf("  %6.2f %%  %s\n", 100.0 * f[k].value, name);
        else printf("  %12.6g  %s\n", f[k].value, name);
    }
    if (p->list) json_array_append_new(p->list, json_pack("{s:s, s:o}", "image", path, "top", tops));
}

static bool predict_one(struct prediction *p, const char *path)
{
    struct rnc_status s = {0};
    bool ok = rnc_loader_image(&p->loader, path, p->pixels, &s) &&
              rnc_execute(p->session.instance, &(struct rnc_run){.n = 1}, (const void *const[]){p->pixels},
                          p->outputs.buffer, NULL, &s);
    if (!ok) return driver_fail(p->c->driver, &s);
    int64_t room = p->model.labels && p->model.classes < opt_top ? p->model.classes : opt_top;
    struct rnc_finding *f = ARENA_ARRAY(p->c->arena, struct rnc_finding, room);
    show(p, path, f, p->model.problem.task->predict(&p->tally, p->outputs.buffer, f, room));
    return true;
}

/* The image is the only input. */
static bool check_input(struct prediction *p)
{
    const struct spec *s = p->model.spec;
    if (p->model.image) return true;
    diag_error(p->c->diags, s->ninputs ? s->inputs[0].span : nowhere,
               "%s: one input of images, shape [C, H, W], was expected", s->name);
    return false;
}

static bool prepare(struct prediction *p, const char *spec)
{
    struct rnc_status s = {0};
    const char *images;
    if (!dataset_model(p->c, spec, &p->model) || !check_input(p) || !folder_weights(p->c, p->model.spec, &opt_weights))
        return false;
    if (!opt_weights) return folder_no_weights(p->c);
    struct rnc_safetensors *f = rnc_st_open(opt_weights, &s);
    if (!f) return driver_fail(p->c->driver, &s);
    p->loader = dataset_loader(&p->model, false);
    p->classes = dataset_classes(p->c, &p->model, f, NULL);
    bool ok = dataset_preprocess(p->c, &p->model, opt_normalize, f, NULL, false, &p->loader, &images);
    rnc_st_close(f);
    struct model_options o = {.mode = MODEL_INFER, .batch = 1};
    if (!ok || !cli_compile(p->c, p->model.spec, &o, &p->built) ||
        !driver_open(p->c->driver, &p->built, &(struct open_options){.weights = opt_weights}, &p->session))
        return false;
    fprintf(p->c->json ? stderr : stdout, "%s\n", images);
    ok = rnc_tally_begin(&p->tally, &p->model.problem, p->built.model, &s) &&
         rnc_outputs_new(p->built.model, &p->outputs, &s);
    p->pixels = ARENA_ARRAY(p->c->arena, float, rnc_port_elements(p->model.image));
    return ok || driver_fail(p->c->driver, &s);
}

static int run(struct cli *c, int argc, char **argv)
{
    struct prediction p = {.c = c};
    if (prepare(&p, argv[0])) {
        if (c->json) p.list = json_array();
        for (int i = 1; i < argc; i++)
            predict_one(&p, argv[i]); /* every bad image is named, the good ones are answered */
        if (p.list) {
            json_dumpf(p.list, stdout, JSON_INDENT(2));
            printf("\n");
        }
    }
    json_decref(p.list);
    rnc_outputs_free(&p.outputs);
    rnc_tally_free(&p.tally);
    session_close(&p.session);
    driver_release(&p.built);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "weights", .kind = OPT_TEXT, .arg = "FILE", .help = "a safetensors file", .dest = &opt_weights},
    {.name = "top",
     .kind = OPT_INT,
     .arg = "K",
     .help = "so many classes for each image (5)",
     .dest = &opt_top,
     .min = 1,
     .max = 1000000},
    {.name = "normalize",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .rows = &rnc_normalizations,
     .help = "or MEAN,…/STD,… (default: as in training, the spec's, or none)",
     .dest = &opt_normalize},
};

const struct command command_predict = {
    .name = "predict",
    .group = GROUP_USE,
    .place = 3,
    .summary = "classify images",
    .usage = "SPEC [--weights FILE] IMAGE…",
    .details = "PNG and JPEG images are brought to the network's size as in evaluation. For networks that classify "
               "pixels: the share of each class;\nfor those that compute other tensors: their first elements.\n\n"
               "  rnc predict out/ seven.png\n"
               "  rnc predict resnet20 -p channels=1 -p size=20 --weights out/best.safetensors seven.png\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 2,
    .max_args = -1,
    .run = run,
};
