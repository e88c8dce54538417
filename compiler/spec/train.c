/* train.c: the train section and the metrics. */
#include "spec/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables */

#define FIELD(s, n, t, lo, hi, h)               \
    {                                           \
#n, t, offsetof(struct s, n), lo, hi, h \
    }
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

const struct field train_fields[] = {
    FIELD(spec_train, batch, FIELD_INT, 1, 65536, "samples in a step"),
    FIELD(spec_train, epochs, FIELD_INT, 1, 1000000, "rounds through the data"),
};
const int train_nfields = COUNT(train_fields);

static const struct field sgd_fields[] = {
    FIELD(spec_optimizer, lr, FIELD_NUMBER, 0, 1e6, "learning rate"),
    FIELD(spec_optimizer, momentum, FIELD_NUMBER, 0, 1, "share of the last step that is kept"),
    FIELD(spec_optimizer, weight_decay, FIELD_NUMBER, 0, 1e6, "added to the gradient, times the weight"),
    FIELD(spec_optimizer, nesterov, FIELD_BOOL, 0, 1, "Nesterov's momentum"),
};
static const struct field adam_fields[] = {
    FIELD(spec_optimizer, lr, FIELD_NUMBER, 0, 1e6, "learning rate"),
    FIELD(spec_optimizer, beta1, FIELD_NUMBER, 0, 1, "decay of the mean gradient"),
    FIELD(spec_optimizer, beta2, FIELD_NUMBER, 0, 1, "decay of the mean squared gradient"),
    FIELD(spec_optimizer, eps, FIELD_NUMBER, 0, 1, "added to the root of the mean squared gradient"),
    FIELD(spec_optimizer, weight_decay, FIELD_NUMBER, 0, 1e6,
          "adam: added to the gradient; adamw: taken off the weight"),
};
static const struct spec_optimizer sgd_defaults = {.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-4};
static const struct spec_optimizer adam_defaults = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
static const struct spec_optimizer adamw_defaults = {
    .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 1e-2};
static const struct variant optimizers[] = {
    {"sgd", OPTIMIZER_SGD, sgd_fields, COUNT(sgd_fields), &sgd_defaults, "stochastic gradient descent with momentum"},
    {"adam", OPTIMIZER_ADAM, adam_fields, COUNT(adam_fields), &adam_defaults, "Adam (Kingma and Ba 2015)"},
    {"adamw", OPTIMIZER_ADAMW, adam_fields, COUNT(adam_fields), &adamw_defaults,
     "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"},
};
const struct variants train_optimizer = {"optimizer", optimizers, COUNT(optimizers), sizeof(struct spec_optimizer),
                                         offsetof(struct spec_optimizer, kind)};

static const struct field warmup_field[] = {
    FIELD(spec_schedule, warmup_epochs, FIELD_NUMBER, 0, 1e6, "epochs in which the rate rises from 0")};
static const struct field step_fields[] = {
    FIELD(spec_schedule, milestones, FIELD_NUMBERS, 0, 1e6, "epochs at which the rate is multiplied by gamma"),
    FIELD(spec_schedule, gamma, FIELD_NUMBER, 0, 1, "factor at each milestone"),
    FIELD(spec_schedule, warmup_epochs, FIELD_NUMBER, 0, 1e6, "epochs in which the rate rises from 0"),
};
static const struct spec_schedule schedule_defaults = {.gamma = 0.1};
static const struct variant schedules[] = {
    {"constant", SCHEDULE_CONSTANT, warmup_field, 1, &schedule_defaults, "the same rate all the way"},
    {"cosine", SCHEDULE_COSINE, warmup_field, 1, &schedule_defaults,
     "half a cosine down to 0 (Loshchilov and Hutter 2017)"},
    {"step", SCHEDULE_STEP, step_fields, COUNT(step_fields), &schedule_defaults,
     "multiplied by gamma at each milestone"},
    {"linear", SCHEDULE_LINEAR, warmup_field, 1, &schedule_defaults, "a straight line down to 0"},
};
const struct variants train_schedule = {"schedule", schedules, COUNT(schedules), sizeof(struct spec_schedule),
                                        offsetof(struct spec_schedule, kind)};

static const struct field idx_fields[] = {
    FIELD(spec_data, train, FIELD_TEXT, 0, 0, "a folder with the files under their usual names"),
    FIELD(spec_data, train_images, FIELD_TEXT, 0, 0, "file of training images"),
    FIELD(spec_data, train_labels, FIELD_TEXT, 0, 0, "file of training labels"),
    FIELD(spec_data, val_images, FIELD_TEXT, 0, 0, "file of validation images"),
    FIELD(spec_data, val_labels, FIELD_TEXT, 0, 0, "file of validation labels"),
    {"normalize", FIELD_NORMALIZE, 0, 0, 0, "mean and standard deviation of each channel, or a data set's name"},
};
static const struct field folder_fields[] = {
    FIELD(spec_data, train, FIELD_TEXT, 0, 0, "training data"),
    FIELD(spec_data, val, FIELD_TEXT, 0, 0, "validation data"),
    {"normalize", FIELD_NORMALIZE, 0, 0, 0, "mean and standard deviation of each channel, or a data set's name"},
};
static const struct field digits_fields[] = {
    {"normalize", FIELD_NORMALIZE, 0, 0, 0, "mean and standard deviation of each channel"}};
static const struct spec_data data_defaults = {0};
static const struct variant datas[] = {
    {"digits", DATA_DIGITS, digits_fields, 1, &data_defaults, "the handwritten digits that rnc brings"},
    {"idx", DATA_IDX, idx_fields, COUNT(idx_fields), &data_defaults,
     "IDX files, as MNIST and Fashion-MNIST are published"},
    {"cifar10", DATA_CIFAR10, folder_fields, COUNT(folder_fields), &data_defaults, "CIFAR-10's binary batches"},
    {"image_folder", DATA_IMAGE_FOLDER, folder_fields, COUNT(folder_fields), &data_defaults,
     "a folder of PNG and JPEG files for each class"},
};
const struct variants train_data = {"data", datas, COUNT(datas), sizeof(struct spec_data),
                                    offsetof(struct spec_data, format)};

static const struct field flip_fields[] = {
    FIELD(spec_augment, horizontal, FIELD_BOOL, 0, 1, "left and right"),
    FIELD(spec_augment, vertical, FIELD_BOOL, 0, 1, "top and bottom"),
};
static const struct field crop_fields[] = {
    FIELD(spec_augment, pad, FIELD_INT, 0, 4096, "zeros round the image, of which a random window is taken")};
static const struct field resized_fields[] = {
    FIELD(spec_augment, size, FIELD_INT, 0, 65536, "of the result; 0: the input's"),
    {"scale", FIELD_RANGE, offsetof(struct spec_augment, scale_min), 0, 1,
     "least and largest share of the image's area"},
};
static const struct spec_augment flip_defaults = {.horizontal = true}, crop_defaults = {.pad = 4},
                                 resized_defaults = {.scale_min = 0.08, .scale_max = 1};
static const struct variant augments[] = {
    {"flip", AUGMENT_FLIP, flip_fields, COUNT(flip_fields), &flip_defaults, "mirrors half of the images"},
    {"crop", AUGMENT_CROP, crop_fields, COUNT(crop_fields), &crop_defaults, "a random window of the padded image"},
    {"random_resized_crop", AUGMENT_RANDOM_RESIZED_CROP, resized_fields, COUNT(resized_fields), &resized_defaults,
     "a random part, resized (Szegedy et al. 2015)"},
};
const struct variants train_augment = {"augment", augments, COUNT(augments), sizeof(struct spec_augment),
                                       offsetof(struct spec_augment, kind)};

const char *const train_metric_names[] = {"accuracy", "top5", "pixel_accuracy", "miou", "dice"}; /* enum metric_kind */
const int train_nmetrics = COUNT(train_metric_names);

static const struct {
    int n;
    double mean[4], std[4];
} normalizations[] = {
    {3, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
    {3, {0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616}},
    {1, {0.2860}, {0.3530}},
    {1, {0.1307}, {0.3081}},
};
const char *const train_normalize_names[] = {"imagenet", "cifar10", "fashion_mnist", "mnist"};
const int train_nnormalize = COUNT(train_normalize_names);

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

bool train_normalize_named(const char *name, struct spec_data *d)
{
    for (int i = 0; i < train_nnormalize; i++) {
        if (strcmp(name, train_normalize_names[i]) != 0) continue;
        d->nchannels = normalizations[i].n;
        memcpy(d->mean, normalizations[i].mean, sizeof d->mean);
        memcpy(d->std, normalizations[i].std, sizeof d->std);
        return true;
    }
    return false;
}

static void parse_normalize(const struct scope *s, const struct tree *t, struct spec_data *d)
{
    static const char *const keys[] = {"mean", "std"};
    if (t->kind == TREE_TEXT && train_normalize_named(t->text, d)) return;
    const struct tree *mean = tree_get(t, "mean"), *std = tree_get(t, "std");
    if (t->kind != TREE_MAP || !mean || !std) {
        struct diag *g = scope_error(s, t->span, "normalize can't be %s", tree_words(s->file->arena, t));
        diag_note(g, "{mean: […], std: […]} with a number for each channel, or a data set's name");
        file_suggest(s->file, g, t->kind == TREE_TEXT ? t->text : NULL, "names", train_normalize_names,
                     (size_t)train_nnormalize);
        return;
    }
    int nmean = 0, nstd = 0;
    file_check_keys(s->file, t, "normalize", keys, 2);
    if (!parse_numbers(s, mean, "mean", -1e6, 1e6, d->mean, &nmean, 4) ||
        !parse_numbers(s, std, "std", 1e-6, 1e6, d->std, &nstd, 4))
        return;
    if (nmean != nstd) scope_error(s, std->span, "mean has %d numbers and std %d", nmean, nstd);
    else d->nchannels = nmean;
}

static void parse_range(const struct scope *s, const struct tree *t, const struct field *row, double *out)
{
    int n = 0;
    double v[2];
    if (!parse_numbers(s, t, row->name, row->min, row->max, v, &n, 2)) return;
    if (n != 2 || v[0] > v[1]) {
        scope_error(s, t->span, "%s is [least, largest]", row->name);
        return;
    }
    out[0] = v[0];
    out[1] = v[1];
}

static void parse_list(const struct scope *s, const struct tree *t, const struct field *row, void *at)
{
    enum { MAX = 64 };
    double *v = ARENA_ARRAY(s->file->arena, double, MAX);
    int n = 0;
    if (!parse_numbers(s, t, row->name, row->min, row->max, v, &n, MAX)) return;
    struct spec_schedule *o = (struct spec_schedule *)(void *)((char *)at - offsetof(struct spec_schedule, milestones));
    o->milestones = v;
    o->nmilestones = n;
    for (int i = 1; i < n; i++)
        if (v[i] <= v[i - 1]) {
            scope_error(s, t->items[i]->span, "%s must rise: %g comes after %g", row->name, v[i], v[i - 1]);
            return;
        }
}

static void parse_field(const struct scope *s, const struct tree *t, const struct field *row, void *base)
{
    char *at = (char *)base + row->offset;
    struct ast_value v;
    switch (row->type) {
    case FIELD_INT:
        if (value_int(s, t, (int64_t)row->min, (int64_t)row->max, row->name, &v)) memcpy(at, &v.i, sizeof v.i);
        break;
    case FIELD_NUMBER:
        if (!value_eval(s, t, AST_NUMBER, &v)) break;
        if (v.f < row->min || v.f > row->max)
            scope_error(s, t->span, "%s must be from %g to %g, not %g", row->name, row->min, row->max, v.f);
        else memcpy(at, &v.f, sizeof v.f);
        break;
    case FIELD_BOOL:
        if (value_eval(s, t, AST_BOOL, &v)) memcpy(at, &v.b, sizeof v.b);
        break;
    case FIELD_TEXT:
        if (value_eval(s, t, AST_TEXT, &v)) memcpy(at, &v.s, sizeof v.s);
        break;
    case FIELD_RANGE: parse_range(s, t, row, (double *)(void *)at); break;
    case FIELD_NUMBERS: parse_list(s, t, row, at); break;
    case FIELD_NORMALIZE: parse_normalize(s, t, base); break;
    }
}

static const char **field_names(struct arena *a, const struct field *rows, int n)
{
    const char **names = ARENA_ARRAY(a, const char *, n + 1);
    for (int i = 0; i < n; i++) names[i] = rows[i].name;
    return names;
}

static void parse_fields(const struct scope *s, const struct tree *t, const char *what, const struct field *rows, int n,
                         void *base)
{
    if (!file_is_map(s->file, t, what)) return;
    file_check_keys(s->file, t, what, field_names(s->file->arena, rows, n), (size_t)n);
    for (int i = 0; i < n; i++)
        if (tree_get(t, rows[i].name)) parse_field(s, tree_get(t, rows[i].name), &rows[i], base);
}

static const struct variant *find_variant(const struct variants *v, const char *name)
{
    for (int i = 0; i < v->nrows; i++)
        if (strcmp(v->rows[i].name, name) == 0) return &v->rows[i];
    return NULL;
}

static void set_variant(const struct variants *v, const struct variant *row, void *out)
{
    memcpy(out, row->defaults, v->size);
    memcpy((char *)out + v->kind_offset, &row->kind, sizeof row->kind); /* every kind is an enum of int's size */
}

/* `sgd`, or `sgd: {…}`, into *out. */
static bool parse_variant(const struct scope *s, const struct tree *t, const struct variants *v, void *out)
{
    const char **names = ARENA_ARRAY(s->file->arena, const char *, v->nrows);
    for (int i = 0; i < v->nrows; i++) names[i] = v->rows[i].name;
    const struct tree *key = t->kind == TREE_MAP && t->count == 1 ? t->keys[0] : t;
    if (key->kind != TREE_TEXT || tree_empty(key)) {
        struct diag *g = scope_error(s, t->span, "%s is one of its kinds, with its settings below it, not %s", v->what,
                                     t->kind == TREE_MAP ? t->count ? "several keys" : "an empty map"
                                                         : tree_words(s->file->arena, t));
        file_suggest(s->file, g, NULL, "kinds", names, (size_t)v->nrows);
        return false;
    }
    const struct variant *row = find_variant(v, key->text);
    if (!row) {
        struct diag *g = scope_error(s, key->span, "%s can't be '%s'", v->what, key->text);
        file_suggest(s->file, g, key->text, "kinds", names, (size_t)v->nrows);
        return false;
    }
    set_variant(v, row, out);
    if (key != t) parse_fields(s, t->items[0], row->name, row->fields, row->nfields, out);
    return true;
}

static void parse_augment(const struct scope *s, const struct tree *t, struct spec_train *out)
{
    if (tree_empty(t)) return;
    if (t->kind != TREE_LIST) {
        scope_error(s, t->span, "augment is a list, not %s", tree_words(s->file->arena, t));
        return;
    }
    struct spec_augment *rows = ARENA_ARRAY(s->file->arena, struct spec_augment, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        struct spec_augment *a = &rows[out->naugment];
        if (!parse_variant(s, t->items[i], &train_augment, a)) continue;
        a->span = t->items[i]->kind == TREE_MAP ? t->items[i]->keys[0]->span : t->items[i]->span;
        out->naugment++;
    }
    out->augment = rows;
}

static void check_step(const struct scope *s, const struct tree *t, const struct spec_schedule *o)
{
    if (o->kind == SCHEDULE_STEP && o->nmilestones == 0)
        scope_error(s, t->span, "the step schedule needs milestones: `step: {milestones: [30, 60]}`");
}

static void check_data(const struct scope *s, const struct tree *t, struct spec_data *d)
{
    d->span = t->kind == TREE_MAP && t->count ? t->keys[0]->span : t->span;
    if (d->format == DATA_IDX && !d->train && !(d->train_images && d->train_labels))
        scope_error(s, d->span, "idx needs train, a folder, or train_images and train_labels");
    if ((d->format == DATA_CIFAR10 || d->format == DATA_IMAGE_FOLDER) && !d->train)
        scope_error(s, d->span, "the data needs 'train'");
}

void train_parse(struct spec_file *f, const struct tree *t, struct spec_train *out)
{
    static const char *const keys[] = {"data", "batch", "epochs", "optimizer", "schedule", "augment"};
    struct scope s = file_scope(f, true, NULL);
    *out = (struct spec_train){.batch = 64, .epochs = 10};
    set_variant(&train_optimizer, &train_optimizer.rows[0], &out->optimizer);
    set_variant(&train_schedule, &train_schedule.rows[0], &out->schedule);
    if (!t || !file_is_map(f, t, "train")) return;
    file_check_keys(f, t, "train", keys, sizeof keys / sizeof *keys);
    for (int i = 0; i < train_nfields; i++)
        if (tree_get(t, train_fields[i].name))
            parse_field(&s, tree_get(t, train_fields[i].name), &train_fields[i], out);
    const struct tree *data = tree_get(t, "data"), *optimizer = tree_get(t, "optimizer"),
                      *schedule = tree_get(t, "schedule"), *augment = tree_get(t, "augment");
    if (data && parse_variant(&s, data, &train_data, &out->data)) check_data(&s, data, &out->data);
    if (optimizer) parse_variant(&s, optimizer, &train_optimizer, &out->optimizer);
    if (schedule && parse_variant(&s, schedule, &train_schedule, &out->schedule))
        check_step(&s, schedule, &out->schedule);
    if (augment) parse_augment(&s, augment, out);
}

void train_metrics(struct spec_file *f, const struct tree *t, struct spec *s)
{
    if (!t || tree_empty(t)) return;
    struct scope scope = file_scope(f, true, NULL);
    if (t->kind != TREE_LIST) {
        file_error(f, t->span, "metrics is a list, not %s", tree_words(f->arena, t));
        return;
    }
    enum metric_kind *kinds = ARENA_ARRAY(f->arena, enum metric_kind, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (!value_eval(&scope, t->items[i], AST_TEXT, &v)) continue;
        int k = 0;
        while (k < train_nmetrics && strcmp(train_metric_names[k], v.s) != 0) k++;
        if (k < train_nmetrics) kinds[s->nmetrics++] = (enum metric_kind)k;
        else
            file_suggest(f, file_error(f, t->items[i]->span, "there is no metric '%s'", v.s), v.s, "metrics",
                         train_metric_names, (size_t)train_nmetrics);
    }
    s->metrics = kinds;
}

/* ---- printing */

static void print_number(struct buf *out, double x)
{
    struct ast_value v = {.type = AST_NUMBER, .known = true, .f = x};
    buf_puts(out, value_print(out->arena, &v));
}

static void print_numbers(struct buf *out, const double *v, int n)
{
    buf_putc(out, '[');
    for (int i = 0; i < n; i++) {
        if (i) buf_puts(out, ", ");
        print_number(out, v[i]);
    }
    buf_putc(out, ']');
}

void train_quoted(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') buf_putc(out, '\\');
        if (*s == '\n') buf_puts(out, "\\n");
        else if (*s == '\t') buf_puts(out, "\\t");
        else if (*s == '\r') buf_puts(out, "\\r");
        else buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

/* False when there is nothing to print: a text or a list that was not given. */
static bool print_field(struct buf *out, const struct field *row, const void *base, const char *comma)
{
    const char *at = (const char *)base + row->offset;
    const struct spec_data *d = base;
    const struct spec_schedule *sch = base;
    const char *text = NULL;
    if (row->type == FIELD_TEXT) memcpy(&text, at, sizeof text);
    if ((row->type == FIELD_TEXT && !text) || (row->type == FIELD_NORMALIZE && d->nchannels == 0)) return false;
    if (row->type == FIELD_NUMBERS && sch->nmilestones == 0) return false;
    buf_printf(out, "%s%s: ", comma, row->name);
    int64_t i;
    double x[2];
    switch (row->type) {
    case FIELD_INT:
        memcpy(&i, at, sizeof i);
        buf_printf(out, "%lld", (long long)i);
        break;
    case FIELD_NUMBER:
        memcpy(x, at, sizeof *x);
        print_number(out, x[0]);
        break;
    case FIELD_BOOL: buf_puts(out, *(const bool *)at ? "true" : "false"); break;
    case FIELD_TEXT: train_quoted(out, text); break;
    case FIELD_RANGE:
        memcpy(x, at, sizeof x);
        print_numbers(out, x, 2);
        break;
    case FIELD_NUMBERS: print_numbers(out, sch->milestones, sch->nmilestones); break;
    case FIELD_NORMALIZE:
        buf_puts(out, "{mean: ");
        print_numbers(out, d->mean, d->nchannels);
        buf_puts(out, ", std: ");
        print_numbers(out, d->std, d->nchannels);
        buf_putc(out, '}');
        break;
    }
    return true;
}

static void print_variant(struct buf *out, const struct variants *v, const void *base)
{
    int kind;
    memcpy(&kind, (const char *)base + v->kind_offset, sizeof kind);
    for (int i = 0; i < v->nrows; i++) {
        if (v->rows[i].kind != kind) continue;
        buf_printf(out, "%s: {", v->rows[i].name);
        const char *comma = "";
        for (int k = 0; k < v->rows[i].nfields; k++)
            if (print_field(out, &v->rows[i].fields[k], base, comma)) comma = ", ";
        buf_putc(out, '}');
    }
}

void train_print(const struct spec_train *t, struct buf *out)
{
    buf_puts(out, "train:\n");
    if (t->data.format != DATA_NONE) {
        buf_puts(out, "  data: {");
        print_variant(out, &train_data, &t->data);
        buf_puts(out, "}\n");
    }
    for (int i = 0; i < train_nfields; i++)
        if (print_field(out, &train_fields[i], t, "  ")) buf_putc(out, '\n');
    buf_puts(out, "  optimizer: {");
    print_variant(out, &train_optimizer, &t->optimizer);
    buf_puts(out, "}\n  schedule: {");
    print_variant(out, &train_schedule, &t->schedule);
    buf_puts(out, "}\n");
    if (t->naugment) buf_puts(out, "  augment:\n");
    for (int i = 0; i < t->naugment; i++) {
        buf_puts(out, "    - ");
        print_variant(out, &train_augment, &t->augment[i]);
        buf_putc(out, '\n');
    }
}
