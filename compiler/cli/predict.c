/* predict.c: `rnc predict`: the likeliest classes of images. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/dataset.h"
#include "driver/session.h"
#include "runtime/io/image.h"
#include "runtime/task/metrics.h"

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
    struct rnc_ports ports;
    struct rnc_outputs outputs;
    float *pixels;
    json_t *list;
};

struct guess {
    int64_t index;
    double share;
};

static int by_share(const void *a, const void *b)
{
    const struct guess *x = a, *y = b;
    if (x->share != y->share) return x->share > y->share ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Softmax over the scores, the likeliest first. */
static struct guess *rank_classes(struct arena *a, const float *score, int64_t n)
{
    struct guess *g = ARENA_ARRAY(a, struct guess, n);
    double top = (double)score[0], sum = 0.0;
    for (int64_t i = 1; i < n; i++) top = fmax(top, (double)score[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)score[i] - top);
    for (int64_t i = 0; i < n; i++) g[i] = (struct guess){i, exp((double)score[i] - top) / sum};
    qsort(g, (size_t)n, sizeof *g, by_share);
    return g;
}

/* For class maps: the share of the pixels that each class got. */
static struct guess *rank_pixels(struct arena *a, const float *score, int64_t n, int64_t pixels)
{
    struct guess *g = ARENA_ARRAY(a, struct guess, n);
    for (int64_t i = 0; i < n; i++) g[i].index = i;
    for (int64_t p = 0; p < pixels; p++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (score[i * pixels + p] > score[best * pixels + p]) best = i;
        g[best].share += 1.0 / (double)pixels;
    }
    qsort(g, (size_t)n, sizeof *g, by_share);
    return g;
}

static void show(struct prediction *p, const char *path, const struct guess *g)
{
    int64_t n = opt_top < p->model.classes ? opt_top : p->model.classes;
    json_t *tops = p->list ? json_array() : NULL;
    if (!p->list) printf("%s\n", path);
    for (int64_t k = 0; k < n; k++) {
        const char *name = p->classes[g[k].index];
        if (p->list)
            json_array_append_new(tops, json_pack("{s:s, s:I, s:f}", "class", name, "index", (json_int_t)g[k].index,
                                                  p->model.map ? "share" : "probability",
                                                  isfinite(g[k].share) ? g[k].share : 0.0));
        else printf("  %6.2f %%  %s\n", 100.0 * g[k].share, name);
    }
    if (p->list) json_array_append_new(p->list, json_pack("{s:s, s:o}", "image", path, "top", tops));
}

static bool predict_one(struct prediction *p, const char *path)
{
    struct rnc_status s = {0};
    bool ok = rnc_loader_image(&p->loader, path, p->pixels, &s) &&
              rnc_execute(p->session.instance, &(struct rnc_run){.n = 1}, (const void *const[]){p->pixels},
                          p->outputs.buffer, NULL, &s);
    if (!ok) return session_fail(p->c, &s);
    const struct rnc_type *t = &p->ports.scores->type;
    const float *score = p->outputs.buffer[p->ports.scores->offset];
    show(p, path,
         p->model.map ? rank_pixels(p->c->arena, score, t->dim[1], t->dim[2] * t->dim[3])
                      : rank_classes(p->c->arena, score, t->dim[1]));
    return true;
}

static bool prepare(struct prediction *p, const char *spec)
{
    struct rnc_status s = {0};
    const char *from;
    if (!opt_weights) {
        struct diag *d = diag_error(p->c->diags, nowhere, "rnc predict needs weights");
        diag_note(d, "--weights FILE: a checkpoint such as out/best.safetensors");
        return false;
    }
    if (!dataset_model(p->c, spec, &p->model)) return false;
    struct rnc_safetensors *f = rnc_st_open(opt_weights, &s);
    if (!f) return session_fail(p->c, &s);
    p->loader = dataset_loader(&p->model, false);
    p->classes = dataset_classes(p->c, &p->model, f, NULL);
    bool ok = dataset_normalise(p->c, &p->model, opt_normalize, f, NULL, &p->loader, &from);
    rnc_st_close(f);
    struct model_options o = {.mode = MODEL_INFER, .batch = 1};
    if (!ok || !cli_build(p->c, spec, &o, &p->built) ||
        !session_open(p->c, p->built.model, opt_weights, 0, &p->session))
        return false;
    ok = rnc_find_ports(p->built.model, &p->ports, &s) && rnc_outputs_new(p->built.model, &p->outputs, &s);
    p->pixels = ARENA_ARRAY(p->c->arena, float, p->model.channels * p->model.height * p->model.width);
    return ok || session_fail(p->c, &s);
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
    cli_built_free(&p.built);
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
     .help = "imagenet, cifar10, fashion_mnist, mnist, none (default: as in training, or the spec's)",
     .dest = &opt_normalize},
};

const struct command command_predict = {
    .name = "predict",
    .summary = "classify images",
    .usage = "SPEC --weights FILE IMAGE…",
    .details = "PNG and JPEG images are brought to the network's size as in evaluation. For networks that classify "
               "pixels: the share of each class.\n\n"
               "  rnc predict resnet20 -p channels=1 -p size=20 --weights out/best.safetensors seven.png\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 2,
    .max_args = -1,
    .run = run,
};
