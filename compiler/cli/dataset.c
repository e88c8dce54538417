/* dataset.c: what train, eval and predict share. */
#include "cli/dataset.h"
#include "cli/folder.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/sample_target.h"
#include "runtime/recipe/augment.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/preprocess.h"
#include "spec/train.h"

static const struct span nowhere = {NULL, 0, 0, 0};

/* ---- the model's outside */

bool dataset_model(struct cli *c, const char *path, struct dataset_model *m)
{
    *m = (struct dataset_model){0};
    const struct spec *s = cli_load(c, path);
    if (!s) return false;
    m->spec = s;
    struct model_options o = driver_measured(s, MODEL_INFER);
    o.batch = 1;
    const struct graph *g = driver_elaborate(c->driver, s, &o);
    if (!g || !driver_problem(c->driver, s, g, &m->problem)) return false;
    m->readings = driver_readings(c->driver, s, g, &m->nreadings);
    const struct rnc_port *image = rnc_only_port(m->problem.ports, m->problem.nports, false);
    const struct rnc_port *labels = rnc_only_port(m->problem.ports, m->problem.nports, true);
    m->image = image && image->rank == 3 ? image : NULL;
    m->labels = labels && labels->dtype == RNC_I64 ? labels : NULL;
    m->classes = m->labels ? m->labels->classes : 0;
    return true;
}

/* ---- data */

static bool has_param(const struct spec *s, const char *name)
{
    for (int i = 0; i < s->nparams; i++)
        if (strcmp(s->params[i].name, name) == 0) return true;
    return false;
}

/* Notes the -p that makes NAME equal VALUE, or that the spec lacks such a parameter. */
static void suggest(struct buf *fit, struct diag *d, const struct spec *s, const char *name, int64_t value)
{
    if (has_param(s, name)) buf_printf(fit, " -p %s=%lld", name, (long long)value);
    else diag_note(d, "the spec has no parameter '%s' to set to %lld", name, (long long)value);
}

static struct span target_span(const struct spec *s, const char *name)
{
    for (int i = 0; i < s->ntargets; i++)
        if (!strcmp(s->targets[i].name, name)) return s->targets[i].span;
    return nowhere;
}

/* Data of images with labels, or masks: has the model such an input, and can they give its targets? */
static bool check_ports(struct cli *c, const struct dataset_model *m, const struct rnc_data *d, bool masks)
{
    const struct rnc_problem *p = &m->problem;
    const struct rnc_port *wrong = NULL;
    for (int i = 0; i < p->nports && !wrong; i++)
        if (p->ports[i].target && (!p->ports[i].picture || (p->ports[i].picture->beside == RNC_BESIDE_MASK) != masks))
            wrong = &p->ports[i];
    if (m->image && !wrong) return true;
    const struct spec *s = m->spec;
    struct diag *e =
        m->image ? diag_error(c->diags, target_span(s, wrong->name), "%s does not give the target '%s'", d->description,
                              wrong->name)
                 : diag_error(c->diags, s->ninputs ? s->inputs[0].span : nowhere,
                              "%s: one input of images, shape [C, H, W], was expected for %s", s->name, d->description);
    if (m->image && wrong->picture)
        diag_note(e, masks ? "the data are masks, the target is one value for each image"
                           : "it is a map: a folder with images/ and masks/ was expected");
    else diag_note(e, "--data DIR may be a folder of arrays as well: NAME.npy for each input and target");
    return false;
}

/* Of zeros and ones: which of the data's classes is 1, and have masks two at most? */
static bool check_binary(struct cli *c, const struct dataset_model *m, const struct rnc_data *d)
{
    for (int i = 0; i < m->problem.nports; i++) {
        const struct rnc_port *p = &m->problem.ports[i];
        struct rnc_status s = {0};
        if (!p->picture || !p->picture->binary) continue;
        if (!p->picture->positive && d->nclasses > 2)
            rnc_fail(&s, RNC_USER, "the target '%s' is 0 or 1 for each pixel, and the masks have %lld classes", p->name,
                     (long long)d->nclasses);
        else if (!p->picture->positive || rnc_port_positive(p, (const char *const *)d->classes, d->nclasses, &s) >= 0)
            continue;
        diag_error(c->diags, target_span(m->spec, p->name), "%s", s.message);
        return false;
    }
    return true;
}

/* Has a target of labels another number of classes? Masks need not show all of them. */
static bool other_classes(const struct dataset_model *m, const struct rnc_data *d, bool masks)
{
    bool other = false;
    for (int i = 0; i < m->problem.nports; i++) {
        const struct rnc_port *p = &m->problem.ports[i];
        if (p->target && p->dtype == RNC_I64) other |= masks ? d->nclasses > p->classes : d->nclasses != p->classes;
    }
    return other;
}

static bool check_fit(struct cli *c, const struct dataset_model *m, const struct rnc_data *d, bool named)
{
    const struct rnc_dataset *p = d->train.count ? &d->train : &d->val;
    if (p->tensors) return true; /* they were read for the model */
    bool masks = p->masks != NULL;
    if (!check_ports(c, m, d, masks) || !check_binary(c, m, d)) return false;
    const int64_t *in = m->image->dim;
    bool sizes = p->pixels && (p->height != in[1] || p->width != in[2]), channels = p->pixels && p->channels != in[0],
         classes = other_classes(m, d, masks);
    if (!sizes && !channels && !classes) return true;
    struct diag *e = diag_error(c->diags, nowhere, "%s does not fit %s", m->spec->name, d->description);
    if (m->classes)
        diag_note(e, "the model takes %lld × %lld × %lld and has %lld classes", (long long)in[0], (long long)in[1],
                  (long long)in[2], (long long)m->classes);
    else diag_note(e, "the model takes %lld × %lld × %lld", (long long)in[0], (long long)in[1], (long long)in[2]);
    struct buf fit;
    buf_init(&fit, c->arena);
    if (channels) suggest(&fit, e, m->spec, "channels", p->channels);
    if (sizes && p->height == p->width) suggest(&fit, e, m->spec, "size", p->height);
    else if (sizes)
        diag_note(e, "its input must be [%lld, %lld, %lld]", (long long)p->channels, (long long)p->height,
                  (long long)p->width);
    if (classes) suggest(&fit, e, m->spec, "classes", d->nclasses);
    if (fit.len) diag_note(e, "fits with%s", fit.data);
    if (!named) diag_note(e, "other data are named by --data PATH, or by the spec's train section");
    return false;
}

bool dataset_open(struct cli *c, const struct dataset_model *m, const char *data, bool whole, struct rnc_data *d)
{
    const struct spec_train *t = &m->spec->train;
    if (!data) data = folder_data(c, c->run);
    bool named = data || (t->data.row && !rnc_data_format(&t->data)->built_in);
    struct rnc_status s = {0};
    struct rnc_data_source o = {
        .path = data, .format = t->data, .ports = m->problem.ports, .nports = m->problem.nports, .whole = whole};
    if (!rnc_data_open(d, &o, &s)) {
        struct span at = data || !named ? nowhere : t->data_span;
        struct diag *e =
            s.code == RNC_ENV ? diag_env(c->diags, "%s", s.message) : diag_error(c->diags, at, "%s", s.message);
        if (!data && named)
            diag_note(e, "--data PATH names other data; relative paths count from the working directory");
        rnc_data_close(d);
        return false;
    }
    if (check_fit(c, m, d, named)) return true;
    rnc_data_close(d);
    return false;
}

/* ---- the loader */

struct rnc_loader_config dataset_loader(const struct dataset_model *m, bool train)
{
    const struct spec_train *t = &m->spec->train;
    return (struct rnc_loader_config){.ports = m->problem.ports,
                                      .nports = m->problem.nports,
                                      .augment = t->augment,
                                      .naugment = train ? t->naugment : 0,
                                      .shuffle = train};
}

/* ---- what images go through */

static void write_buf(void *out, const char *text, size_t size) { buf_write(out, text, size); }

const char *dataset_preprocess_text(struct cli *c, const struct rnc_preprocess *p)
{
    struct buf b;
    buf_init(&b, c->arena);
    rnc_preprocess_print(p, (struct rnc_sink){write_buf, &b});
    return b.data;
}

/* Nothing of a map is cut off; after training on random parts the centre is as large as what training saw. */
static struct rnc_geometry default_geometry(const struct dataset_model *m)
{
    static const double after_parts = 0.875;
    const struct spec_train *t = &m->spec->train;
    for (int i = 0; i < m->problem.nports; i++) {
        const struct rnc_port *p = &m->problem.ports[i];
        if (p->picture && p->picture->beside == RNC_BESIDE_MASK) return (struct rnc_geometry){.fit = RNC_FIT_RESIZE};
    }
    return (struct rnc_geometry){.fit = RNC_FIT_CROP,
                                 .share = rnc_augment_resizes(t->augment, t->naugment) ? after_parts : 1};
}

/* "0x1.2p-1,0x1.4p-1": one number for each channel. */
static bool parse_channels(const char *text, int64_t n, double *out)
{
    for (int64_t i = 0; text && i < n; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text) return false;
        text = *end == ',' ? end + 1 : NULL;
        if (!text && i + 1 < n) return false;
    }
    return true;
}

/* What checkpoints kept before there was one text for all: mean and std of pixels / 255, and whether the centre alone
   was seen, which masks never were. */
static bool from_former(const struct rnc_safetensors *f, struct rnc_geometry g, struct rnc_preprocess *p)
{
    const char *mean = rnc_st_meta(f, "rnc.mean"), *std = rnc_st_meta(f, "rnc.std"),
               *crop = rnc_st_meta(f, "rnc.centre_crop");
    struct rnc_normalize n = {.kind = RNC_NORMALIZE_NUMBERS, .n = p->channels};
    struct rnc_status ignored = {0};
    if (!mean || !std || !parse_channels(mean, n.n, n.mean) || !parse_channels(std, n.n, n.std) ||
        !rnc_normalize_check(&n, &ignored))
        return false;
    if (crop && g.fit == RNC_FIT_CROP && strcmp(crop, "1") != 0) g.share = 1;
    *p = rnc_preprocess_of(&(struct rnc_image_rules){.normalize = n}, n.n, g, NULL, NULL);
    return true;
}

static const char preprocess_key[] = "rnc.preprocess";

/* *FOUND: the file has a record. False with a diagnostic where it is no sound one. */
static bool from_record(struct cli *c, const struct rnc_safetensors *f, struct rnc_geometry g, struct rnc_preprocess *p,
                        bool *found)
{
    const char *text = f ? rnc_st_meta(f, preprocess_key) : NULL;
    *found = text ? rnc_preprocess_parse(text, p->channels, p) : f && from_former(f, g, p);
    if (*found || !text) return true;
    struct diag *d = diag_error(c->diags, nowhere, "%s: what its images went through does not fit this model", f->path);
    diag_note(d, "%s is '%.200s'; the model takes images of %lld channels", preprocess_key, text,
              (long long)p->channels);
    return false;
}

/* --normalize TEXT */
static bool option_normalize(struct cli *c, const char *text, int64_t channels, bool training, struct rnc_normalize *n)
{
    struct rnc_status s = {0};
    const struct rnc_normalize *named = rnc_normalize_named(text);
    const char *field;
    if (named) *n = *named;
    else if (!strchr("0123456789.-+", text[0]) || !rnc_normalize_numbers(text, n, &s)) {
        const char **names = train_names(c->arena, &rnc_normalizations),
                   *near = did_you_mean(text, names, (size_t)rnc_normalizations.n);
        struct diag *d = s.code ? diag_error(c->diags, nowhere, "--normalize: %s", s.message)
                                : diag_error(c->diags, nowhere, "--normalize: '%s' is unknown", text);
        if (near) diag_note(d, "did you mean '%s'?", near);
        struct buf list;
        buf_init(&list, c->arena);
        for (int i = 0; i < rnc_normalizations.n; i++) buf_printf(&list, "%s, ", names[i]);
        diag_note(d, "one of %sor numbers for each channel: MEAN,…/STD,…", list.data);
        return false;
    }
    if (n->kind == RNC_NORMALIZE_MEASURED && !training) {
        struct diag *d = diag_error(c->diags, nowhere, "--normalize measured is for training");
        diag_note(d, "what was measured then stands in the checkpoint; numbers can be given as MEAN,…/STD,…");
        return false;
    }
    if (rnc_image_check(&(struct rnc_image_rules){.normalize = *n}, channels, &field, &s)) return true;
    diag_error(c->diags, nowhere, "--%s", s.message);
    return false;
}

static const struct rnc_image_rules *rules_of(const struct dataset_model *m)
{
    const struct rnc_image_rules *rules = NULL;
    for (int i = 0; i < m->spec->ninputs; i++)
        if (strcmp(m->spec->inputs[i].name, m->image->name) == 0) rules = &m->spec->inputs[i].image;
    return rules;
}

/* Without a record. */
static bool from_spec(struct cli *c, const struct dataset_model *m, const struct rnc_data *training,
                      struct rnc_normalize n, struct rnc_preprocess *p)
{
    double mean[RNC_PREPROCESS_CHANNELS], std[RNC_PREPROCESS_CHANNELS];
    struct rnc_image_rules rules = *rules_of(m);
    struct rnc_status s = {0};
    rules.normalize = n;
    if (n.kind == RNC_NORMALIZE_MEASURED && !training) {
        struct diag *d = diag_error(c->diags, m->spec->inputs[0].span,
                                    "the spec normalises as measured in training, and the weights do not say what "
                                    "that was");
        diag_note(d, "--normalize gives it: MEAN,…/STD,… or a name");
        return false;
    }
    bool measured = n.kind == RNC_NORMALIZE_MEASURED;
    if (measured && !rnc_data_measure(&training->train, p->channels, mean, std, &s)) return driver_fail(c->driver, &s);
    *p = rnc_preprocess_of(&rules, p->channels, default_geometry(m), measured ? mean : NULL, std);
    return true;
}

static bool says_something(const struct rnc_image_rules *r)
{
    return r->fit.row || r->channels.row || r->scale.row || r->normalize.kind != RNC_NORMALIZE_NOT_GIVEN;
}

/* The record P counts; where the spec says otherwise, that is said. */
static const char *in_training(struct cli *c, const struct rnc_image_rules *spec, const struct rnc_preprocess *p)
{
    struct rnc_image_rules rules = *spec;
    struct rnc_preprocess other = *p;
    struct buf b;
    if (rules.normalize.kind == RNC_NORMALIZE_MEASURED) rules.normalize.kind = RNC_NORMALIZE_NOT_GIVEN;
    rnc_preprocess_apply(&other, &rules, NULL, NULL);
    if (strcmp(dataset_preprocess_text(c, &other), dataset_preprocess_text(c, p)) == 0) return "as in training";
    buf_init(&b, c->arena);
    buf_puts(&b, "as in training, though the spec says ");
    rnc_fields_print(rnc_image_fields, rnc_image_nfields, spec, (struct rnc_sink){write_buf, &b});
    return b.data;
}

static bool of_images(struct cli *c, const struct dataset_model *m, const char *text, const struct rnc_safetensors *f,
                      const struct rnc_data *training, struct rnc_preprocess *p, const char **why)
{
    const struct rnc_image_rules *rules = rules_of(m);
    struct rnc_normalize n = rules->normalize;
    bool found;
    p->channels = m->image->dim[0];
    if (text && !option_normalize(c, text, p->channels, training != NULL, &n)) return false;
    if (!from_record(c, f, default_geometry(m), p, &found)) return false;
    *why = found ? in_training(c, rules, p) : says_something(rules) ? "by the spec" : "by default";
    if (found && text) rnc_preprocess_normalize(p, &n, NULL, NULL);
    if (text) *why = arena_printf(c->arena, "%s, normalize by --normalize", *why);
    if (found) return true;
    if (n.kind == RNC_NORMALIZE_NOT_GIVEN && training) n.kind = RNC_NORMALIZE_MEASURED;
    if (n.kind == RNC_NORMALIZE_MEASURED) *why = arena_printf(c->arena, "%s, measured on the training data", *why);
    if (n.kind == RNC_NORMALIZE_NOT_GIVEN) *why = arena_printf(c->arena, "%s; nothing says how to normalise", *why);
    return from_spec(c, m, training, n, p);
}

bool dataset_preprocess(struct cli *c, const struct dataset_model *m, const char *text, const struct rnc_safetensors *f,
                        const struct rnc_data *d, bool training, struct rnc_loader_config *l, const char **line)
{
    const char *why;
    if (!m->image || (d && (d->train.tensors || d->val.tensors))) {
        *line = "tensors as they are";
        if (!text) return true;
        diag_error(c->diags, nowhere, "--normalize is for images, %s are tensors",
                   d ? d->description : arena_printf(c->arena, "the inputs of %s", m->spec->name));
        return false;
    }
    if (!of_images(c, m, text, f, training ? d : NULL, &l->preprocess, &why)) return false;
    *line = arena_printf(c->arena, "images: %s (%s)", dataset_preprocess_text(c, &l->preprocess), why);
    return true;
}

/* ---- metadata */

size_t dataset_meta(struct cli *c, const struct rnc_loader_config *l, const struct rnc_data *d,
                    struct rnc_st_meta meta[DATASET_META])
{
    size_t n = 0;
    if (d->train.tensors || !l->preprocess.channels) return 0;
    meta[n++] = (struct rnc_st_meta){preprocess_key, dataset_preprocess_text(c, &l->preprocess)};
    if (!d->classes) return n;
    json_t *list = json_array();
    for (int64_t i = 0; i < d->nclasses; i++) json_array_append_new(list, json_string(d->classes[i]));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (text) meta[n++] = (struct rnc_st_meta){"rnc.classes", arena_strdup(c->arena, text)};
    free(text);
    return n;
}

const char *const *dataset_classes(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                                   const struct rnc_data *d)
{
    const char **names = ARENA_ARRAY(c->arena, const char *, m->classes + 1);
    const char *text = f ? rnc_st_meta(f, "rnc.classes") : NULL;
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    for (int64_t i = 0; i < m->classes; i++) {
        const char *known = json_string_value(json_array_get(list, (size_t)i));
        if (!known && i < m->spec->nclasses) known = m->spec->classes[i];
        if (!known && d && d->classes && i < d->nclasses) known = d->classes[i];
        names[i] = known ? arena_strdup(c->arena, known) : arena_printf(c->arena, "%lld", (long long)i);
    }
    json_decref(list);
    return names;
}
