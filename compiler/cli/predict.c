/* predict.c: `rnc predict`: the likeliest classes of images. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/dataset.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "runtime/io/image.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/target.h"
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
    struct rnc_outputs outputs;
    float *pixels;
    json_t *list;
};

/* The class that one answer of yes or no says; the output's name where nothing says which. */
static const char *positive_class(const struct prediction *p, const struct rnc_reading *r)
{
    const struct rnc_problem *all = &p->model.problem;
    const char *positive = NULL;
    for (int k = 0; k < all->npairs; k++)
        if (!strcmp(all->pairs[k].value, r->output)) positive = rnc_problem_target(all, all->pairs[k].target)->positive;
    const int k = rnc_target_positive(positive, p->classes, p->model.classes);
    return k >= 0 ? p->classes[k] : r->output;
}

/* A class by its name, an element as "values[2]". */
static const char *label_of(const struct prediction *p, const struct rnc_reading *r, int64_t index)
{
    const int64_t count = rnc_reading_findings(r);
    if (r->kind == RNC_NUMBERS) return arena_printf(p->c->arena, "%s[%lld]", r->output, (long long)index);
    if (count == p->model.classes) return p->classes[index];
    return count == 1 ? positive_class(p, r) : arena_printf(p->c->arena, "%lld", (long long)index);
}

/* How many classes have names: of the target or, where it has none, of the weights or the spec. */
static int64_t named_classes(const struct dataset_model *m, const struct rnc_safetensors *f)
{
    const char *text = rnc_st_meta(f, "rnc.classes");
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    int64_t n = m->classes ? m->classes : list ? (int64_t)json_array_size(list) : m->spec->nclasses;
    json_decref(list);
    return n;
}

/* A spec for inference says nothing of its output; weights that know as many classes do. */
static void read_scores(struct prediction *p)
{
    const struct rnc_reading *r = p->model.readings;
    struct rnc_reading *only = ARENA_NEW(p->c->arena, struct rnc_reading);
    if (p->model.nreadings != 1 || p->model.spec->nlosses || r->kind != RNC_NUMBERS || p->model.classes < 2) return;
    if (r->type.rank < 2 || r->type.dim[1] != p->model.classes) return;
    *only = *r;
    only->kind = RNC_LOGITS;
    p->model.readings = only;
}

static json_t *finding_json(const struct prediction *p, const struct rnc_reading *r, const struct rnc_finding *f)
{
    const struct rnc_telling tell = rnc_reading_telling(r);
    return json_pack("{s:s, s:I, s:f}", tell.fraction ? "class" : "element", label_of(p, r, f->index), "index",
                     (json_int_t)f->index, tell.finding, f->value);
}

static void show(struct prediction *p, const char *path, const struct rnc_reading *r, const struct rnc_finding *f,
                 int64_t n)
{
    const struct rnc_telling tell = rnc_reading_telling(r);
    if (p->list) {
        json_t *tops = json_array();
        for (int64_t k = 0; k < n; k++) json_array_append_new(tops, finding_json(p, r, &f[k]));
        json_array_append_new(p->list, json_pack("{s:s, s:s, s:s, s:o}", "image", format_name(p->c->arena, path),
                                                 "output", r->output, "kind", tell.name, "top", tops));
        return;
    }
    if (p->model.nreadings > 1) printf("  %s: %s\n", r->output, tell.name);
    for (int64_t k = 0; k < n; k++)
        if (tell.fraction) printf("  %6.2f %%  %s\n", 100.0 * f[k].value, label_of(p, r, f[k].index));
        else printf("  %12.6g  %s\n", f[k].value, label_of(p, r, f[k].index));
}

static bool check_finite(struct prediction *p, const struct rnc_reading *r, const struct rnc_finding *f, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        if (isfinite(f[k].value)) continue;
        diag_error(p->c->diags, nowhere, "the output '%s' is not finite, at %s: look for infinity in the weights",
                   r->output, label_of(p, r, f[k].index));
        return false;
    }
    if (n < 0) diag_env(p->c->diags, "out of memory");
    return n >= 0;
}

static bool read_output(struct prediction *p, const char *path, const struct rnc_reading *r)
{
    const struct rnc_tensor *t = session_tensor(p->built.model, RNC_ROLE_OUTPUT, r->output);
    int64_t count = rnc_reading_findings(r), room = count < opt_top ? count : opt_top;
    struct rnc_finding *f = ARENA_ARRAY(p->c->arena, struct rnc_finding, room);
    int64_t n = rnc_reading_predict(r, p->outputs.buffer[t->offset], f, room);
    if (!check_finite(p, r, f, n)) return false;
    show(p, path, r, f, n);
    return true;
}

static bool predict_one(struct prediction *p, const char *path)
{
    struct rnc_status s = {0};
    bool ok = rnc_loader_image(&p->loader, path, p->pixels, &s) &&
              rnc_execute(p->session.instance, &(struct rnc_run){.n = 1}, (const void *const[]){p->pixels},
                          p->outputs.buffer, NULL, &s);
    if (!ok) return driver_fail(p->c->driver, &s);
    if (!rnc_outputs_check(p->built.model, p->outputs.buffer, 1, &s)) {
        diag_error(p->c->diags, nowhere, "%s: %s", path, s.message);
        return false;
    }
    if (!p->list) printf("%s\n", path);
    for (int k = 0; k < p->model.nreadings; k++)
        if (!read_output(p, path, &p->model.readings[k])) return false;
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
    p->model.classes = named_classes(&p->model, f);
    p->classes = dataset_classes(p->c, &p->model, f, NULL);
    read_scores(p);
    bool ok = p->classes && dataset_preprocess(p->c, &p->model, opt_normalize, f, NULL, false, &p->loader, &images);
    rnc_st_close(f);
    struct model_options o = {.mode = MODEL_INFER, .batch = 1};
    if (!ok || !cli_compile(p->c, p->model.spec, &o, &p->built) ||
        !driver_open(p->c->driver, &p->built, &(struct open_options){.weights = opt_weights}, &p->session))
        return false;
    fprintf(p->c->json ? stderr : stdout, "%s\n", images);
    ok = rnc_outputs_new(p->built.model, &p->outputs, &s);
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
    .summary = "say what a network sees in images",
    .usage = "SPEC [--weights FILE] IMAGE…",
    .details = "PNG and JPEG images are brought to the network's size as in evaluation. The spec says what an output "
               "is: of logits or probabilities\nthe likeliest classes; of a sigmoid how likely each of its elements "
               "is; of maps the share of the pixels that each class has;\nof all others their first elements. No "
               "target is needed.\n\n"
               "  rnc predict out/ seven.png\n"
               "  rnc predict resnet20 -p channels=1 -p size=20 --weights out/best.safetensors seven.png\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 2,
    .max_args = -1,
    .run = run,
};
