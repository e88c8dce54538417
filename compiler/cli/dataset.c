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
        if (p->ports[i].target &&
            (!p->ports[i].picture || (p->ports[i].picture->annotation == RNC_ANNOTATION_MASK) != masks))
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

/* Has a target of labels another number of classes? FEWER: masks, and data to evaluate on, need not show all of them.
 */
static bool other_classes(const struct dataset_model *m, const struct rnc_data *d, bool fewer)
{
    bool other = false;
    for (int i = 0; i < m->problem.nports; i++) {
        const struct rnc_port *p = &m->problem.ports[i];
        if (p->target && p->dtype == RNC_I64) other |= fewer ? d->nclasses > p->classes : d->nclasses != p->classes;
    }
    return other;
}

static bool check_fit(struct cli *c, const struct dataset_model *m, const struct rnc_data *d, bool evaluate, bool named)
{
    const struct rnc_dataset *p = d->train.count ? &d->train : &d->val;
    if (p->tensors) return true; /* they were read for the model */
    bool masks = p->masks != NULL;
    if (!check_ports(c, m, d, masks) || !check_binary(c, m, d)) return false;
    const int64_t *in = m->image->dim;
    bool sizes = p->pixels && (p->height != in[1] || p->width != in[2]), channels = p->pixels && p->channels != in[0],
         classes = other_classes(m, d, masks || evaluate);
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

/* ---- classes */

static const char classes_key[] = "rnc.classes";

struct names {
    const char *const *name;
    int64_t n;
    const char *of; /* "the weights" */
};

/* Of a checkpoint; none where it has none. */
static struct names recorded_classes(struct cli *c, const struct rnc_safetensors *f)
{
    const char *text = f ? rnc_st_meta(f, classes_key) : NULL;
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    size_t n = json_array_size(list);
    const char **names = ARENA_ARRAY(c->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        names[i] = name ? arena_strdup(c->arena, name) : arena_printf(c->arena, "%zu", i);
    }
    json_decref(list);
    return (struct names){names, (int64_t)n, "the weights"};
}

/* Those of A that B lacks, as a list; NULL: none. */
static const char *lacking(struct cli *c, struct names a, struct names b)
{
    struct buf out;
    buf_init(&out, c->arena);
    for (int64_t i = 0; i < a.n; i++) {
        int64_t k = 0;
        while (k < b.n && strcmp(a.name[i], b.name[k]) != 0) k++;
        if (k == b.n) buf_printf(&out, "%s%s", out.len ? ", " : "", a.name[i]);
    }
    return out.len ? out.data : NULL;
}

/* Whose names the model's classes have, in their order: those of the weights, which the spec's must be, or else the
   spec's. n 0: none. */
static bool wanted_classes(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                           struct names *out)
{
    const struct names spec = {m->spec->classes, m->spec->nclasses, "the spec"}, own = recorded_classes(c, f);
    *out = own.n ? own : spec;
    const char *more = own.n && spec.n ? lacking(c, spec, own) : NULL,
               *fewer = own.n && spec.n ? lacking(c, own, spec) : NULL;
    if (!more && !fewer) return true;
    struct diag *d =
        diag_error(c->diags, nowhere, "the classes of %s are not those of the spec %s", f->path, m->spec->name);
    if (more) diag_note(d, "only the spec has %s", more);
    if (fewer) diag_note(d, "only the weights have %s", fewer);
    diag_note(d, "they are matched by name, in any order");
    return false;
}

/* ---- opening */

static bool renames(struct cli *c, const struct text_list *list, struct rnc_data_source *o)
{
    struct rnc_rename *r = ARENA_ARRAY(c->arena, struct rnc_rename, list ? list->count + 1 : 1);
    if (list && list->count > RNC_RENAMES) {
        diag_error(c->diags, nowhere, "--rename: %d of them, at most %d are taken", list->count, RNC_RENAMES);
        return false;
    }
    for (int i = 0; list && i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (!equals || equals == list->items[i] || !equals[1]) {
            diag_error(c->diags, nowhere, "--rename wants FOLDER=CLASS, not '%s'", list->items[i]);
            return false;
        }
        size_t length = (size_t)(equals - list->items[i]);
        r[o->nrename++] = (struct rnc_rename){arena_strndup(c->arena, list->items[i], length), equals + 1};
    }
    o->rename = r;
    return true;
}

static const char data_key[] = "rnc.data", split_key[] = "rnc.split";
const char dataset_words_key[] = "rnc.data_words";

const char *dataset_words(const struct rnc_data *d)
{
    const char *colon = strstr(d->description, ": ");
    return colon ? colon + 2 : d->description;
}

/* Without --data, weights that were trained on other data than the digits are not scored on the digits. */
static bool are_digits_meant(struct cli *c, const struct dataset_request *r)
{
    const char *run = r->weights ? rnc_st_meta(r->weights, data_key) : NULL,
               *words = run ? rnc_st_meta(r->weights, dataset_words_key) : NULL;
    struct rnc_data digits;
    struct rnc_status s = {0};
    bool same = !run || !rnc_data_open(&digits, &(struct rnc_data_source){.path = NULL}, &s) ||
                strcmp(run, digits.identity) == 0;
    if (run) rnc_data_close(&digits);
    if (same) return true;
    struct diag *e =
        diag_error(c->diags, nowhere, "%s was not trained on the built-in digits: --data PATH says on what",
                   r->weights->path);
    diag_note(e, "it was trained on %s", words ? words : run);
    return false;
}

static bool check_parts(struct cli *c, const struct dataset_request *r, const struct rnc_data *d)
{
    if (!r->all || !d->train.count) return true;
    struct diag *e = diag_error(c->diags, nowhere, "--all is for data of one part: %s", d->description);
    diag_note(e, "--data PATH/train evaluates the training split");
    return false;
}

static bool open_source(struct cli *c, const struct rnc_data_source *o, struct span at, bool spec, struct rnc_data *d)
{
    struct rnc_status s = {0};
    if (rnc_data_open(d, o, &s)) return true;
    struct diag *e =
        s.code == RNC_ENV ? diag_env(c->diags, "%s", s.message) : diag_error(c->diags, at, "%s", s.message);
    if (spec) diag_note(e, "--data PATH names other data; relative paths count from the working directory");
    return false;
}

bool dataset_open(struct cli *c, const struct dataset_model *m, const struct dataset_request *r, struct rnc_data *d)
{
    const struct spec_train *t = &m->spec->train;
    const char *path = r->path ? r->path : folder_data(c, c->run),
               *run = r->weights ? rnc_st_meta(r->weights, data_key) : NULL;
    bool spec = !path && t->data.row && !rnc_data_format(&t->data)->built_in;
    struct names classes;
    *d = (struct rnc_data){0};
    if (!wanted_classes(c, m, r->weights, &classes)) return false;
    struct rnc_data_source o = {.path = path,
                                .format = t->data,
                                .ports = m->problem.ports,
                                .nports = m->problem.nports,
                                .whole = r->evaluate,
                                .run = r->all ? NULL : run,
                                .classes = classes.n ? classes.name : NULL,
                                .nclasses = classes.n,
                                .namer = classes.of};
    if (renames(c, r->rename, &o) && (path || spec || are_digits_meant(c, r)) &&
        open_source(c, &o, spec ? t->data_span : nowhere, spec, d) && check_fit(c, m, d, r->evaluate, path || spec) &&
        check_parts(c, r, d))
        return true;
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
        if (p->picture && p->picture->annotation == RNC_ANNOTATION_MASK)
            return (struct rnc_geometry){.fit = RNC_FIT_RESIZE};
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

static const char *names_text(struct cli *c, struct names names)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < names.n; i++) json_array_append_new(list, json_string(names.name[i]));
    char *text = json_dumps(list, JSON_COMPACT);
    const char *kept = text ? arena_strdup(c->arena, text) : NULL;
    json_decref(list);
    free(text);
    return kept;
}

size_t dataset_meta(struct cli *c, const struct rnc_loader_config *l, const struct rnc_data *d,
                    struct rnc_st_meta meta[DATASET_META])
{
    size_t n = 0;
    meta[n++] = (struct rnc_st_meta){split_key, d->held_out ? "every tenth sample held out" : "parts of the data"};
    if (d->train.tensors || !l->preprocess.channels) return n;
    meta[n++] = (struct rnc_st_meta){preprocess_key, dataset_preprocess_text(c, &l->preprocess)};
    const struct names names = {(const char *const *)d->classes, d->classes ? d->nclasses : 0, NULL};
    const char *text = names.n ? names_text(c, names) : NULL;
    if (text) meta[n++] = (struct rnc_st_meta){classes_key, text};
    return n;
}

const char *const *dataset_classes(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                                   const struct rnc_data *d)
{
    const char **names = ARENA_ARRAY(c->arena, const char *, m->classes + 1);
    struct names known;
    if (!wanted_classes(c, m, f, &known)) return NULL;
    if (!known.n && d && d->classes) known = (struct names){(const char *const *)d->classes, d->nclasses, "the data"};
    if (known.n && m->classes && known.n != m->classes) {
        diag_warn(c->diags, nowhere, "%s name %lld classes, the model has %lld: their numbers are shown", known.of,
                  (long long)known.n, (long long)m->classes);
        known.n = 0;
    }
    for (int64_t i = 0; i < m->classes; i++)
        names[i] = i < known.n ? known.name[i] : arena_printf(c->arena, "%lld", (long long)i);
    return names;
}
