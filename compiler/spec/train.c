/* train.c: the train section and the metrics. */
#include "spec/train.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/recipe/augment.h"
#include "runtime/recipe/format.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/optimizer.h"
#include "runtime/recipe/schedule.h"

/* ---- the tables */

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

const struct rnc_field train_fields[] = {
    RNC_FIELD(spec_train, batch, INT, 1, 65536, "samples in a step"),
    RNC_FIELD(spec_train, epochs, INT, 1, 1000000, "rounds through the data"),
};
const int train_nfields = COUNT(train_fields);

/* ---- reading */

static bool parse_numbers(const struct scope *s, const struct tree *t, const char *name, double min, double max,
                          double *out, int *count, int cap)
{
    if (t->kind != TREE_LIST || t->count == 0 || t->count > cap) {
        scope_error(s, t->span, "%s is a list of %s%d numbers, not %s", name, cap > 2 ? "1 to " : "", cap,
                    tree_words(s->file->arena, t));
        return false;
    }
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (!value_eval(s, t->items[i], AST_NUMBER, &v)) return false;
        if (v.f < min || v.f > max) {
            scope_error(s, t->items[i]->span, "%s must be from %g to %g, not %g", name, min, max, v.f);
            return false;
        }
        out[i] = v.f;
    }
    *count = t->count;
    return true;
}

const char **train_names(struct arena *a, const struct rnc_kind *kind)
{
    const char **names = ARENA_ARRAY(a, const char *, kind->n + 1);
    for (int i = 0; i < kind->n; i++) names[i] = rnc_kind_row(kind, i)->name;
    return names;
}

static void parse_normalize(const struct scope *s, const struct tree *t, struct rnc_normalize *d)
{
    static const char *const keys[] = {"mean", "std"};
    const struct rnc_normalize *named = t->kind == TREE_TEXT ? rnc_normalize_named(t->text) : NULL;
    if (named) {
        *d = *named;
        return;
    }
    const struct tree *mean = tree_get(t, "mean"), *std = tree_get(t, "std");
    if (t->kind != TREE_MAP || !mean || !std) {
        struct diag *g = scope_error(s, t->span, "normalize can't be %s", tree_words(s->file->arena, t));
        diag_note(g, "{mean: […], std: […]} with a number for each channel, or a data set's name");
        file_suggest(s->file, g, t->kind == TREE_TEXT ? t->text : NULL, "names",
                     train_names(s->file->arena, &rnc_normalizations), (size_t)rnc_normalizations.n);
        return;
    }
    int nmean = 0, nstd = 0;
    file_check_keys(s->file, t, "normalize", keys, 2);
    if (!parse_numbers(s, mean, "mean", -1e6, 1e6, d->mean, &nmean, 4) ||
        !parse_numbers(s, std, "std", 1e-6, 1e6, d->std, &nstd, 4))
        return;
    if (nmean != nstd) scope_error(s, std->span, "mean has %d numbers and std %d", nmean, nstd);
    else d->n = nmean, d->kind = RNC_NORMALIZE_NUMBERS;
}

static void parse_range(const struct scope *s, const struct tree *t, const struct rnc_field *row, struct rnc_range *out)
{
    int n = 0;
    double v[2];
    if (!parse_numbers(s, t, row->name, row->min, row->max, v, &n, 2)) return;
    if (n != 2 || v[0] > v[1]) {
        scope_error(s, t->span, "%s is [least, largest]", row->name);
        return;
    }
    *out = (struct rnc_range){v[0], v[1]};
}

static void parse_list(const struct scope *s, const struct tree *t, const struct rnc_field *row,
                       struct rnc_numbers *out)
{
    enum { MAX = 64 };
    double *v = ARENA_ARRAY(s->file->arena, double, MAX);
    int n = 0;
    if (!parse_numbers(s, t, row->name, row->min, row->max, v, &n, MAX)) return;
    *out = (struct rnc_numbers){v, n};
    for (int i = 1; i < n; i++)
        if (v[i] <= v[i - 1]) {
            scope_error(s, t->items[i]->span, "%s must rise: %g comes after %g", row->name, v[i], v[i - 1]);
            return;
        }
}

static bool parse_choice(const struct scope *s, const struct tree *t, const struct rnc_kind *kind,
                         struct rnc_choice *out);

static void parse_field(const struct scope *s, const struct tree *t, const struct rnc_field *row, void *base)
{
    void *at = (char *)base + row->offset;
    struct ast_value v;
    switch (row->type) {
    case RNC_FIELD_INT:
        if (value_int(s, t, (int64_t)row->min, (int64_t)row->max, row->name, &v)) *(int64_t *)at = v.i;
        break;
    case RNC_FIELD_NUMBER:
        if (!value_eval(s, t, AST_NUMBER, &v)) break;
        if (v.f < row->min || v.f > row->max)
            scope_error(s, t->span, "%s must be from %g to %g, not %g", row->name, row->min, row->max, v.f);
        else *(double *)at = v.f;
        break;
    case RNC_FIELD_BOOL:
        if (value_eval(s, t, AST_BOOL, &v)) *(bool *)at = v.b;
        break;
    case RNC_FIELD_TEXT:
        if (value_eval(s, t, AST_TEXT, &v)) *(const char **)at = v.s;
        break;
    case RNC_FIELD_RANGE: parse_range(s, t, row, at); break;
    case RNC_FIELD_NUMBERS: parse_list(s, t, row, at); break;
    case RNC_FIELD_NORMALIZE: parse_normalize(s, t, at); break;
    case RNC_FIELD_CHOICE: parse_choice(s, t, row->kind, at); break;
    }
}

static const char **field_names(struct arena *a, const struct rnc_field *rows, int n)
{
    const char **names = ARENA_ARRAY(a, const char *, n + 1);
    for (int i = 0; i < n; i++) names[i] = rows[i].name;
    return names;
}

static void parse_fields(const struct scope *s, const struct tree *t, const char *what, const struct rnc_field *rows,
                         int n, void *base)
{
    if (!file_is_map(s->file, t, what)) return;
    file_check_keys(s->file, t, what, field_names(s->file->arena, rows, n), (size_t)n);
    for (int i = 0; i < n; i++)
        if (tree_get(t, rows[i].name)) parse_field(s, tree_get(t, rows[i].name), &rows[i], base);
}

/* ROW with its defaults, as the version and the conventions have them; the settings, which are the arena's, may be
   changed. */
static struct rnc_choice default_choice(const struct spec_file *f, const struct rnc_row *row)
{
    void *settings = arena_alloc(f->arena, row->size);
    if (row->size) memcpy(settings, row->defaults, row->size);
    for (int i = 0; i < row->nfields; i++) {
        const char *name = row->fields[i].name;
        const struct convention_row *def = convention_default(&f->convention, row->name, name, false);
        bool ok = !def || rnc_row_set(row, settings, name, convention_number(def));
        assert(ok);
        (void)ok;
    }
    return (struct rnc_choice){row, settings};
}

/* `sgd`, or `sgd: {…}`, into *out. */
static bool parse_choice(const struct scope *s, const struct tree *t, const struct rnc_kind *kind,
                         struct rnc_choice *out)
{
    const char **names = train_names(s->file->arena, kind);
    const struct tree *key = t->kind == TREE_MAP && t->count == 1 ? t->keys[0] : t;
    if (key->kind != TREE_TEXT || tree_empty(key)) {
        struct diag *g =
            scope_error(s, t->span, "%s is one of its kinds, with its settings below it, not %s", kind->name,
                        t->kind == TREE_MAP ? t->count ? "several keys" : "an empty map"
                                            : tree_words(s->file->arena, t));
        file_suggest(s->file, g, NULL, "kinds", names, (size_t)kind->n);
        return false;
    }
    const struct rnc_row *row = rnc_kind_find(kind, key->text);
    if (!row) {
        struct diag *g = scope_error(s, key->span, "%s can't be '%s'", kind->name, key->text);
        file_suggest(s->file, g, key->text, "kinds", names, (size_t)kind->n);
        return false;
    }
    *out = default_choice(s->file, row);
    if (key != t) parse_fields(s, t->items[0], row->name, row->fields, row->nfields, (void *)(uintptr_t)out->settings);
    return true;
}

/* The model's images: the first input of that shape; 0 × 0 without one. */
static void image_size(const struct spec_file *f, int64_t *height, int64_t *width)
{
    *height = *width = 0;
    for (int i = 0; i < f->ninputs && !*height; i++)
        if (f->inputs[i].rank == 3) *height = f->inputs[i].dim[1], *width = f->inputs[i].dim[2];
}

/* What the fields alone do not say. */
static void check_choice(const struct scope *s, struct span at, const struct rnc_choice *c)
{
    struct rnc_status status = {0};
    int64_t height, width;
    image_size(s->file, &height, &width);
    if (c->row->check && !c->row->check(c->settings, height, width, &status)) scope_error(s, at, "%s", status.message);
}

static void parse_augment(const struct scope *s, const struct tree *t, struct spec_train *out)
{
    if (tree_empty(t)) return;
    if (t->kind != TREE_LIST) {
        scope_error(s, t->span, "augment is a list, not %s", tree_words(s->file->arena, t));
        return;
    }
    struct rnc_choice *rows = ARENA_ARRAY(s->file->arena, struct rnc_choice, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        const struct tree *item = t->items[i];
        if (!parse_choice(s, item, &rnc_augmentations, &rows[out->naugment])) continue;
        check_choice(s, item->kind == TREE_MAP ? item->keys[0]->span : item->span, &rows[out->naugment++]);
    }
    out->augment = rows;
}

void train_parse_image(struct spec_file *f, const struct tree *t, const char *const *others, struct spec_tensor *out)
{
    struct scope s = file_scope(f, true, NULL);
    struct rnc_status status = {0};
    const char **names = ARENA_ARRAY(f->arena, const char *, rnc_image_nfields + t->count + 1), *field;
    size_t n = 0;
    for (; others[n]; n++) names[n] = others[n];
    for (int i = 0; i < rnc_image_nfields; i++) names[n++] = rnc_image_fields[i].name;
    file_check_keys(f, t, "an input", names, n);
    for (int i = 0; i < rnc_image_nfields; i++) {
        const struct tree *value = tree_get(t, rnc_image_fields[i].name);
        if (value && out->rank == 1)
            file_error(f, value->span, "%s is for images, shape [C, H, W]; '%s' is a list of features",
                       rnc_image_fields[i].name, out->name);
        else if (value) parse_field(&s, value, &rnc_image_fields[i], &out->image);
    }
    if (out->rank == 3 && !rnc_image_check(&out->image, out->dim[0], &field, &status))
        file_error(f, tree_get(t, field)->span, "%s", status.message);
}

/* Bars beside a picture have no label. */
void train_check_bars(struct spec_file *f, const struct spec *s)
{
    const struct tree *inputs = tree_get(f->root, "inputs");
    for (int i = 0; i < s->ninputs; i++) {
        const struct rnc_choice *fit = &s->inputs[i].image.fit;
        if (!fit->row || ((const struct rnc_geometry *)fit->settings)->fit != RNC_FIT_LETTERBOX) continue;
        for (int k = 0; k < s->ntargets; k++) {
            const struct spec_tensor *target = &s->targets[k];
            if (!target->picture || target->picture->annotation != RNC_ANNOTATION_MASK || target->ignore >= 0) continue;
            struct diag *g =
                file_error(f, tree_get(inputs->items[i], "fit")->span,
                           "letterbox puts bars beside pictures, and '%s' has no label for them", target->name);
            diag_note(g, target->type->labels ? "`ignore: 255` in the target, or fit: resize" : "fit: resize has none");
        }
    }
}

/* What the data say of normalisation is the images' (their input's own key is the other place for it). */
static void move_normalize(struct spec_file *f, const struct tree *data, struct rnc_choice *c)
{
    struct rnc_data_settings *set = (void *)(uintptr_t)c->settings;
    struct rnc_status status = {0};
    struct spec_tensor *image = NULL;
    const char *field;
    if (set->normalize.kind == RNC_NORMALIZE_NOT_GIVEN) return;
    const struct tree *at = tree_get(data->items[0], "normalize");
    for (int i = 0; i < f->ninputs && !image; i++)
        if (f->inputs[i].rank == 3) image = &f->inputs[i];
    if (!image) return;
    if (image->image.normalize.kind != RNC_NORMALIZE_NOT_GIVEN) {
        file_error(f, at->span, "the input '%s' has its own normalize: one of the two is too many", image->name);
        return;
    }
    image->image.normalize = set->normalize;
    set->normalize = (struct rnc_normalize){.kind = RNC_NORMALIZE_NOT_GIVEN};
    if (!rnc_image_check(&image->image, image->dim[0], &field, &status)) file_error(f, at->span, "%s", status.message);
}

void train_parse(struct spec_file *f, const struct tree *t, struct spec_train *out)
{
    const char *const keys[] = {rnc_data_formats.name, "batch", "epochs", rnc_optimizers.name, rnc_schedules.name,
                                rnc_augmentations.name};
    struct scope s = file_scope(f, true, NULL);
    *out = (struct spec_train){.batch = 64, .epochs = 10};
    out->optimizer = default_choice(f, rnc_kind_row(&rnc_optimizers, 0));
    out->schedule = default_choice(f, rnc_kind_row(&rnc_schedules, 0));
    if (!t || !file_is_map(f, t, "train")) return;
    file_check_keys(f, t, "train", keys, sizeof keys / sizeof *keys);
    for (int i = 0; i < train_nfields; i++)
        if (tree_get(t, train_fields[i].name))
            parse_field(&s, tree_get(t, train_fields[i].name), &train_fields[i], out);
    const struct tree *data = tree_get(t, rnc_data_formats.name), *optimizer = tree_get(t, rnc_optimizers.name),
                      *schedule = tree_get(t, rnc_schedules.name), *augment = tree_get(t, rnc_augmentations.name);
    if (data && parse_choice(&s, data, &rnc_data_formats, &out->data)) {
        out->data_span = data->kind == TREE_MAP && data->count ? data->keys[0]->span : data->span;
        check_choice(&s, out->data_span, &out->data);
        move_normalize(f, data, &out->data);
    }
    if (optimizer) parse_choice(&s, optimizer, &rnc_optimizers, &out->optimizer);
    if (schedule && parse_choice(&s, schedule, &rnc_schedules, &out->schedule))
        check_choice(&s, schedule->span, &out->schedule);
    if (augment) parse_augment(&s, augment, out);
}

static void no_metric(struct spec_file *f, struct span at, const char *name)
{
    int n = 0;
    while (rnc_metric_at(n)) n++;
    const char **names = ARENA_ARRAY(f->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) names[i] = rnc_metric_at(i)->name;
    file_suggest(f, file_error(f, at, "there is no metric '%s'", name), name, "metrics", names, (size_t)n);
}

void train_metrics(struct spec_file *f, const struct tree *t, struct spec *s)
{
    if (!t || tree_empty(t)) return;
    struct scope scope = file_scope(f, true, NULL);
    if (t->kind != TREE_LIST) {
        file_error(f, t->span, "metrics is a list, not %s", tree_words(f->arena, t));
        return;
    }
    const struct rnc_metric **list = ARENA_ARRAY(f->arena, const struct rnc_metric *, t->count + 1);
    struct span *spans = ARENA_ARRAY(f->arena, struct span, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (!value_eval(&scope, t->items[i], AST_TEXT, &v)) continue;
        const struct rnc_metric *m = rnc_metric_named(v.s);
        if (m) spans[s->nmetrics] = t->items[i]->span, list[s->nmetrics++] = m;
        else no_metric(f, t->items[i]->span, v.s);
    }
    s->metrics = list;
    s->metric_spans = spans;
}

/* ---- printing */

static void write_buf(void *out, const char *text, size_t size) { buf_write(out, text, size); }

void train_quoted(struct buf *out, const char *s) { rnc_quoted(s, (struct rnc_sink){write_buf, out}); }

static void print_choice(struct buf *out, const struct rnc_choice *c)
{
    rnc_choice_print(c, (struct rnc_sink){write_buf, out});
}

void train_print_image(const struct rnc_image_rules *r, struct buf *out)
{
    for (int i = 0; i < rnc_image_nfields; i++) {
        const struct rnc_field *f = &rnc_image_fields[i];
        if (!rnc_field_given(f, r)) continue;
        buf_printf(out, ", %s: ", f->name);
        rnc_field_print(f, r, (struct rnc_sink){write_buf, out});
    }
}

void train_print(const struct spec_train *t, struct buf *out)
{
    buf_puts(out, "train:\n");
    if (t->data.row) {
        buf_puts(out, "  data: {");
        print_choice(out, &t->data);
        buf_puts(out, "}\n");
    }
    for (int i = 0; i < train_nfields; i++) {
        buf_printf(out, "  %s: ", train_fields[i].name);
        rnc_field_print(&train_fields[i], t, (struct rnc_sink){write_buf, out});
        buf_putc(out, '\n');
    }
    buf_puts(out, "  optimizer: {");
    print_choice(out, &t->optimizer);
    buf_puts(out, "}\n  schedule: {");
    print_choice(out, &t->schedule);
    buf_puts(out, "}\n");
    if (t->naugment) buf_puts(out, "  augment:\n");
    for (int i = 0; i < t->naugment; i++) {
        buf_puts(out, "    - ");
        print_choice(out, &t->augment[i]);
        buf_putc(out, '\n');
    }
}
