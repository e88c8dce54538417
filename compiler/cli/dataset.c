/* dataset.c: what train, eval and predict share. */
#include "cli/dataset.h"
#include "cli/folder.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/sample_target.h"
#include "runtime/recipe/augment.h"
#include "runtime/recipe/normalize.h"
#include "spec/train.h"

static const struct span nowhere = {NULL, 0, 0, 0};

/* ---- the model's outside */

static struct rnc_port port_of(const struct spec_tensor *t, bool target)
{
    struct rnc_port p = {.name = t->name,
                         .target = target,
                         .dtype = target && t->type->labels ? RNC_I64 : RNC_F32,
                         .rank = t->rank,
                         .ignore = t->ignore,
                         .binary = t->binary,
                         .picture = t->picture,
                         .positive = t->positive};
    memcpy(p.dim, t->dim, sizeof p.dim);
    return p;
}

static const struct type *output_type(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (!strcmp(g->outputs[i].label, label)) return &g->outputs[i].value->type;
    return NULL;
}

/* Of a spec without targets, which can still be evaluated: labels for its first output. */
static bool implied_target(const struct graph *g, struct rnc_port *p)
{
    const struct type *t = g->noutputs ? &g->outputs[0].value->type : NULL;
    if (!t || (t->rank != 2 && t->rank != 4)) return false;
    *p = (struct rnc_port){.name = "label", .target = true, .dtype = RNC_I64, .rank = t->rank - 2, .ignore = -1};
    for (int i = 0; i < p->rank; i++) p->dim[i] = t->dim[i + 2];
    p->picture = rnc_target_named(p->rank ? "class_map" : "class");
    return true;
}

/* The ports; each target with the output that a loss compares with it or, where no loss does, the first one. */
static void find_ports(struct cli *c, const struct spec *s, const struct graph *g, struct dataset_model *m)
{
    struct rnc_port *ports = ARENA_ARRAY(c->arena, struct rnc_port, s->ninputs + s->ntargets + 1);
    struct rnc_pair *pairs = ARENA_ARRAY(c->arena, struct rnc_pair, s->ntargets + 1);
    struct rnc_problem *p = &m->problem;
    for (int i = 0; i < s->ninputs; i++) ports[p->nports++] = port_of(&s->inputs[i], false);
    for (int i = 0; i < s->ntargets; i++) ports[p->nports++] = port_of(&s->targets[i], true);
    if (s->ntargets == 0 && implied_target(g, &ports[p->nports])) p->nports++;
    for (int i = s->ninputs; i < p->nports; i++) {
        const char *output = i - s->ninputs < s->ntargets ? s->targets[i - s->ninputs].output : NULL;
        if (!output && ports[i].dtype == RNC_I64 && g->noutputs) output = g->outputs[0].label;
        if (ports[i].dtype == RNC_I64) ports[i].classes = session_classes(g, ports[i].name, NULL);
        const struct type *t = output ? output_type(g, output) : NULL;
        if (ports[i].dtype == RNC_I64 && !ports[i].classes && t && t->rank >= 2) ports[i].classes = t->dim[1];
        if (output) pairs[p->npairs++] = (struct rnc_pair){output, ports[i].name};
    }
    p->ports = ports;
    p->pairs = pairs;
    p->task = rnc_task_of(ports, p->nports);
}

bool dataset_model(struct cli *c, const char *path, struct dataset_model *m)
{
    *m = (struct dataset_model){0};
    const struct spec *s = cli_load(c, path);
    if (!s) return false;
    m->spec = s;
    const struct model_options o = {.mode = MODEL_INFER, .batch = 1, .losses = s->nlosses > 0};
    const struct graph *g = driver_elaborate(c->driver, s, &o);
    if (!g) return false;
    find_ports(c, s, g, m);
    for (int i = 0; i < s->nmetrics; i++) m->metrics |= rnc_task_metric(m->problem.task, s->metrics[i]->name);
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
    if (!data) data = folder_data(c);
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
    struct rnc_loader_config l = {.ports = m->problem.ports,
                                  .nports = m->problem.nports,
                                  .augment = t->augment,
                                  .naugment = train ? t->naugment : 0,
                                  .shuffle = train,
                                  .centre_crop = rnc_augment_resizes(t->augment, t->naugment)};
    for (int i = 0; i < 4; i++) l.std[i] = 1.0;
    return l;
}

/* Of the images; 0: the model's input is another. */
static int64_t channels_of(const struct rnc_loader_config *l)
{
    const struct rnc_port *image = rnc_only_port(l->ports, l->nports, false);
    return image && image->rank == 3 ? image->dim[0] : 0;
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

static bool from_metadata(const struct rnc_safetensors *f, struct rnc_loader_config *l)
{
    const char *mean = f ? rnc_st_meta(f, "rnc.mean") : NULL, *std = f ? rnc_st_meta(f, "rnc.std") : NULL,
               *crop = f ? rnc_st_meta(f, "rnc.centre_crop") : NULL;
    double m[4], d[4];
    if (!mean || !std || !parse_channels(mean, channels_of(l), m) || !parse_channels(std, channels_of(l), d))
        return false;
    for (int64_t i = 0; i < channels_of(l); i++)
        if (!(d[i] > 0.0)) return false;
    memcpy(l->mean, m, sizeof m);
    memcpy(l->std, d, sizeof d);
    if (crop) l->centre_crop = strcmp(crop, "1") == 0;
    return true;
}

static bool from_name(struct cli *c, const char *name, struct rnc_loader_config *l)
{
    const struct rnc_normalize *n = rnc_normalize_named(name);
    if (strcmp(name, "none") == 0) return true;
    if (!n) {
        const char **names = train_names(c->arena, &rnc_normalizations),
                   *near = did_you_mean(name, names, (size_t)rnc_normalizations.n);
        struct buf list;
        buf_init(&list, c->arena);
        for (int i = 0; i < rnc_normalizations.n; i++) buf_printf(&list, "%s, ", names[i]);
        struct diag *d = diag_error(c->diags, nowhere, "--normalize: '%s' is unknown", name);
        if (near) diag_note(d, "did you mean '%s'?", near);
        diag_note(d, "one of %snone", list.data);
        return false;
    }
    if (n->n != channels_of(l)) {
        diag_error(c->diags, nowhere, "--normalize: '%s' is for %d channels, the model takes %lld", name, (int)n->n,
                   (long long)channels_of(l));
        return false;
    }
    memcpy(l->mean, n->mean, sizeof n->mean);
    memcpy(l->std, n->std, sizeof n->std);
    return true;
}

bool dataset_normalise(struct cli *c, const struct dataset_model *m, const char *name, const struct rnc_safetensors *f,
                       const struct rnc_data *data, struct rnc_loader_config *l, const char **from)
{
    const struct rnc_data_settings *set = m->spec->train.data.settings;
    const struct rnc_normalize *d = set ? &set->normalize : NULL;
    struct rnc_status s = {0};
    if (data && (data->train.tensors || data->val.tensors)) {
        *from = "tensors as they are";
        if (!name) return true;
        diag_error(c->diags, nowhere, "--normalize is for images, %s are tensors", data->description);
        return false;
    }
    if (name) {
        *from = name;
        return from_name(c, name, l);
    }
    if (from_metadata(f, l)) {
        *from = "as in training";
        return true;
    }
    if (d && d->n == channels_of(l)) {
        memcpy(l->mean, d->mean, sizeof d->mean);
        memcpy(l->std, d->std, sizeof d->std);
        *from = "by the spec";
        return true;
    }
    *from = data ? "measured on the data" : "none: pixels / 255";
    if (!data) return true;
    const struct rnc_dataset *p = data->train.count ? &data->train : &data->val;
    return rnc_data_measure(p, channels_of(l), l->mean, l->std, &s) || driver_fail(c->driver, &s);
}

/* ---- metadata */

static const char *channels_text(struct cli *c, const double *v, int64_t n)
{
    struct buf b;
    buf_init(&b, c->arena);
    for (int64_t i = 0; i < n; i++) buf_printf(&b, "%s%a", i ? "," : "", v[i]);
    return b.data;
}

size_t dataset_meta(struct cli *c, const struct rnc_loader_config *l, const struct rnc_data *d,
                    struct rnc_st_meta meta[DATASET_META])
{
    size_t n = 0;
    if (channels_of(l) == 0) return 0;
    meta[n++] = (struct rnc_st_meta){"rnc.mean", channels_text(c, l->mean, channels_of(l))};
    meta[n++] = (struct rnc_st_meta){"rnc.std", channels_text(c, l->std, channels_of(l))};
    meta[n++] = (struct rnc_st_meta){"rnc.centre_crop", l->centre_crop ? "1" : "0"};
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
