/* data.c: opens data and describes them. Formats are in formats.c, their readers in data_*.c. */
#include "runtime/data/data.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/data/data_readers.h"
#include "runtime/io/image.h"
#include "runtime/io/text.h"

enum { HOLD_OUT = 10, MEASURED_FILES = 500 };

char *rnc_path_join(const char *dir, const char *name)
{
    size_t length = strlen(dir), size = length + strlen(name) + 2;
    char *p = malloc(size);
    if (p) snprintf(p, size, "%s%s%s", dir, length > 0 && dir[length - 1] == '/' ? "" : "/", name);
    return p;
}

bool rnc_data_no_memory(const char *what, struct rnc_status *s)
{
    return rnc_fail(s, RNC_ENV, "no memory for the data of %s", what);
}

static void free_classes(struct rnc_data *d)
{
    for (int64_t k = 0; d->classes && k < d->nclasses; k++) free(d->classes[k]);
    free(d->classes);
    d->classes = NULL;
}

bool rnc_data_set_classes(struct rnc_data *d, const char *const *names, int64_t n, struct rnc_status *s)
{
    free_classes(d);
    d->classes = calloc((size_t)n + 1, sizeof *d->classes);
    if (!d->classes) return rnc_data_no_memory("class names", s);
    d->nclasses = n;
    for (int64_t k = 0; k < n; k++)
        if (!(d->classes[k] = strdup(names[k]))) return rnc_data_no_memory("class names", s);
    return true;
}

static void dataset_close(struct rnc_dataset *p)
{
    for (int64_t k = 0; p->files && k < p->count; k++) free(p->files[k]);
    for (int64_t k = 0; p->masks && k <= p->count; k++) free(p->masks[k]);
    free(p->files);
    free(p->masks);
    free(p->labels);
    free(p->name);
    free(p->owned);
    rnc_tensors_close(p);
    *p = (struct rnc_dataset){0};
}

void rnc_data_close(struct rnc_data *d)
{
    dataset_close(&d->train);
    dataset_close(&d->val);
    free_classes(d);
    *d = (struct rnc_data){0};
}

/* ---- which format */

static const struct rnc_data_format *format(int i)
{
    return (const struct rnc_data_format *)(const void *)rnc_kind_row(&rnc_data_formats, i);
}

/* The first that PATH looks like, or NULL. */
static const struct rnc_data_format *recognised(const char *path)
{
    for (int i = 0; i < rnc_data_formats.n; i++)
        if (!format(i)->built_in && format(i)->recognise(path)) return format(i);
    return NULL;
}

static bool unknown(const char *path, bool folder, struct rnc_status *s)
{
    char known[400] = "";
    size_t used = 0;
    for (int i = 0; i < rnc_data_formats.n && used < sizeof known; i++) {
        if (format(i)->built_in) continue;
        const char *comma = !used ? "" : i == rnc_data_formats.n - 1 ? ", or " : ", ";
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", comma, format(i)->looks);
    }
    assert(used < sizeof known);
    return rnc_fail(s, RNC_USER, "%s %s no data set that rnc knows: %s", path, folder ? "holds" : "is", known);
}

static bool exists(const char *path, bool *folder, struct rnc_status *s)
{
    struct stat st;
    bool found = stat(path, &st) == 0;
    *folder = found && S_ISDIR(st.st_mode);
    return found || rnc_fail(s, RNC_USER, "there is no file or folder %s", path);
}

/* PATH must look like what the spec says of it. */
static bool obeys(const struct rnc_data_format *f, const char *path, struct rnc_status *s)
{
    bool folder;
    if (!exists(path, &folder, s)) return false;
    if (f->recognise(path)) return true;
    const struct rnc_data_format *other = recognised(path);
    if (!other)
        return rnc_fail(s, RNC_USER, "%s holds no data of the format %s: %s was expected", path, f->row.name, f->looks);
    return rnc_fail(s, RNC_USER, "%s holds data of the format %s, and the spec says %s: %s was expected", path,
                    other->row.name, f->row.name, f->looks);
}

/* ---- both splits */

/* The validation split from a path of its own; its classes are those of the training split. */
static bool open_validation(struct rnc_data *d, const struct rnc_data_format *f, const char *path,
                            const struct rnc_data_source *o, struct rnc_status *s)
{
    struct rnc_data v = {.classes = d->classes, .nclasses = d->nclasses, .unit = d->unit};
    bool ok = obeys(f, path, s) && f->open(&v, path, o->format.settings, o, s);
    bool two = v.val.count > 0;
    dataset_close(&d->val);
    d->renamed |= v.renamed;
    d->val = two ? v.val : v.train;
    d->classes = v.classes;
    d->nclasses = v.nclasses;
    if (two) dataset_close(&v.train);
    return ok;
}

/* Copies sample FROM of P to place TO of Q. */
static void copy_sample(const struct rnc_dataset *p, int64_t from, struct rnc_dataset *q, int64_t to)
{
    size_t bytes = (size_t)(p->channels * p->height * p->width);
    q->labels[to] = p->labels[from];
    if (p->pixels) memmove((uint8_t *)q->owned + (size_t)to * bytes, p->pixels + (size_t)from * bytes, bytes);
    if (p->files) q->files[to] = p->files[from];
    if (p->masks) q->masks[to] = p->masks[from];
}

static bool allocate_like(const struct rnc_dataset *p, int64_t count, struct rnc_dataset *q, struct rnc_status *s)
{
    *q = (struct rnc_dataset){.name = strdup(p->name),
                              .channels = p->channels,
                              .height = p->height,
                              .width = p->width,
                              .binary_masks = p->binary_masks};
    q->labels = malloc((size_t)count * sizeof *q->labels + 1);
    if (p->pixels) q->pixels = q->owned = malloc((size_t)(count * p->channels * p->height * p->width) + 1);
    if (p->files) q->files = calloc((size_t)count + 1, sizeof *q->files);
    if (p->masks) q->masks = calloc((size_t)count + 1, sizeof *q->masks);
    bool ok = q->name && q->labels && (!p->pixels || q->owned) && (!p->files || q->files) && (!p->masks || q->masks);
    return ok || rnc_data_no_memory(p->name, s);
}

/* Every tenth sample goes to the validation split. */
static bool hold_out(struct rnc_data *d, struct rnc_status *s)
{
    struct rnc_dataset *t = &d->train, kept;
    int64_t nval = t->count / HOLD_OUT, nkept = t->count - nval;
    if (nval == 0)
        return rnc_fail(s, RNC_USER, "%s has only %lld samples and no validation split: at least %d are needed",
                        t->name, (long long)t->count, HOLD_OUT);
    d->held_out = true;
    if (t->tensors) return rnc_tensor_hold_out(d, HOLD_OUT, s);
    if (!allocate_like(t, nval, &d->val, s)) return false;
    if (!allocate_like(t, nkept, &kept, s)) {
        dataset_close(&kept);
        return false;
    }
    for (int64_t k = 0; k < t->count; k++) {
        bool out = k % HOLD_OUT == HOLD_OUT - 1;
        struct rnc_dataset *to = out ? &d->val : &kept;
        copy_sample(t, k, to, to->count++);
    }
    t->count = 0; /* the names now belong to the two splits */
    if (t->masks) t->masks[0] = NULL;
    dataset_close(t);
    d->train = kept;
    return true;
}

/* 60000 -> "60,000". */
static const char *grouped(int64_t n, char out[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int k = 0; k < length; k++) {
        if (k > 0 && (length - k) % 3 == 0) out[at++] = ',';
        out[at++] = digits[k];
    }
    out[at] = 0;
    return out;
}

/* The last component of a path, without trailing slashes. */
static void base_name(const char *path, char *out, size_t size)
{
    size_t end = strlen(path), start;
    while (end > 1 && path[end - 1] == '/') end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--) {}
    snprintf(out, size, "%.*s", (int)(end - start), path + start);
}

/* The sizes of pictures in files: the first and the last by area, and how many there are. */
struct sizes {
    int64_t side[2][2]; /* smallest, largest: height, width */
    int count;
};

static int by_area(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    int64_t p = x[0] * x[1], q = y[0] * y[1];
    return p != q ? (p > q) - (p < q) : (x[0] > y[0]) - (x[0] < y[0]);
}

/* Of at most SIZED of the files, evenly spread. */
static struct sizes sizes_of(const struct rnc_dataset *p)
{
    enum { SIZED = 500 };
    int64_t(*side)[2] = malloc(SIZED * sizeof *side);
    int64_t looked = p->count < SIZED ? p->count : SIZED, found = 0;
    struct sizes s = {.count = 0};
    for (int64_t k = 0; side && k < looked; k++)
        found += rnc_image_size(p->files[k * p->count / looked], &side[found][1], &side[found][0]);
    if (found) qsort(side, (size_t)found, sizeof *side, by_area);
    for (int64_t k = 0; k < found; k++) s.count += k == 0 || by_area(side[k], side[k - 1]) != 0;
    if (found) memcpy(s.side[0], side[0], sizeof side[0]), memcpy(s.side[1], side[found - 1], sizeof side[0]);
    free(side);
    return s;
}

/* "16 × 16", "27 sizes from 12 × 16 to 480 × 640" (of the files that were looked at: at least so many). */
static void sizes_text(const struct rnc_dataset *p, char *out, size_t size)
{
    struct sizes s = p->files ? sizes_of(p) : (struct sizes){.count = 0};
    if (s.count == 0) snprintf(out, size, "of several sizes");
    else if (s.count == 1) snprintf(out, size, "%lld × %lld", (long long)s.side[0][0], (long long)s.side[0][1]);
    else
        snprintf(out, size, "%d sizes from %lld × %lld to %lld × %lld", s.count, (long long)s.side[0][0],
                 (long long)s.side[0][1], (long long)s.side[1][0], (long long)s.side[1][1]);
}

/* What each sample is: "1 × 28 × 28, 10 classes", "3 tensors". */
static void describe_sample(const struct rnc_data *d, const struct rnc_dataset *p, char *out, size_t size)
{
    if (p->tensors)
        snprintf(out, size, "%d tensors: %s%s%s, …", p->ntensors, p->tensors[0].port->name, p->ntensors > 1 ? ", " : "",
                 p->ntensors > 1 ? p->tensors[1].port->name : "");
    else if (p->height)
        snprintf(out, size, "%lld × %lld × %lld, %lld classes", (long long)p->channels, (long long)p->height,
                 (long long)p->width, (long long)d->nclasses);
    else {
        char sizes[128];
        sizes_text(p, sizes, sizeof sizes);
        snprintf(out, size, "%s, %lld classes", sizes, (long long)d->nclasses);
    }
}

/* "4,000 images to train on, 1,000 to validate on", or "all 1,000 images" */
static void describe_splits(const struct rnc_data *d, char *out, size_t size)
{
    char train[32], val[32];
    grouped(d->train.count, train);
    grouped(d->val.count, val);
    if (d->train.count)
        snprintf(out, size, "%s %s to train on, %s to validate on%s", train, d->unit, val,
                 d->held_out ? " (every tenth, held out)" : "");
    else snprintf(out, size, "all %s %s", val, d->unit);
}

static bool describe(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s)
{
    const struct rnc_dataset *t = d->train.count ? &d->train : &d->val;
    const struct rnc_data_settings *set = o->format.settings;
    char sample[192], splits[128], without[256], base[128];
    uint64_t hash;
    base_name(o->path ? o->path : set && set->train ? set->train : t->name, base, sizeof base);
    describe_sample(d, t, sample, sizeof sample);
    describe_splits(d, splits, sizeof splits);
    rnc_classes_not_validated(d, without, sizeof without);
    char *name = rnc_text_of_name(base);
    snprintf(d->description, sizeof d->description, "%s: %s, %s%s", name ? name : "data", splits, sample, without);
    free(name);
    if (!rnc_data_hash(d, &hash, s)) return false;
    snprintf(d->identity, sizeof d->identity, "%lld + %lld %s, %s, hash %016llx", (long long)d->train.count,
             (long long)d->val.count, d->unit, sample, (unsigned long long)hash);
    return true;
}

static bool same_sizes(const struct rnc_data *d, struct rnc_status *s)
{
    const struct rnc_dataset *t = &d->train, *v = &d->val;
    if (!t->count || !v->count || !t->pixels || !v->pixels) return true;
    if (t->channels == v->channels && t->height == v->height && t->width == v->width) return true;
    return rnc_fail(s, RNC_USER, "%s has images of %lld × %lld × %lld, %s of %lld × %lld × %lld", t->name,
                    (long long)t->channels, (long long)t->height, (long long)t->width, v->name, (long long)v->channels,
                    (long long)v->height, (long long)v->width);
}

static bool open_recognised(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s)
{
    bool folder;
    if (!exists(o->path, &folder, s)) return false;
    const struct rnc_data_format *f = recognised(o->path);
    return f ? f->open(d, o->path, NULL, o, s) : unknown(o->path, folder, s);
}

static bool open_splits(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s)
{
    if (o->path) return open_recognised(d, o, s);
    const struct rnc_data_settings *set = o->format.row ? o->format.settings : format(0)->row.defaults;
    const struct rnc_data_format *f = o->format.row ? rnc_data_format(&o->format) : format(0);
    if (set->train && !obeys(f, set->train, s)) return false;
    return f->open(d, set->train, set, o, s) && (!set->val || open_validation(d, f, set->val, o, s));
}

static bool all_renamed(const struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s)
{
    int k = 0;
    while (k < o->nrename && d->renamed >> k & 1) k++;
    return k == o->nrename ||
           rnc_fail(s, RNC_USER, "there is no class folder '%s' that could be renamed", o->rename[k].folder);
}

/* WHOLE: data without a validation split become one. */
static bool open_data(struct rnc_data *d, const struct rnc_data_source *o, bool whole, struct rnc_status *s)
{
    *d = (struct rnc_data){.unit = "images"};
    if (!open_splits(d, o, s) || !all_renamed(d, o, s) || !same_sizes(d, s) || !rnc_classes_from_numbers(d, o, s))
        return false;
    if (d->val.count == 0 && whole) {
        d->val = d->train;
        d->train = (struct rnc_dataset){0};
    } else if (d->val.count == 0 && !hold_out(d, s)) return false;
    return describe(d, o, s);
}

bool rnc_data_open(struct rnc_data *d, const struct rnc_data_source *source, struct rnc_status *s)
{
    if (!open_data(d, source, source->whole, s)) return false;
    if (!source->whole || !source->run || d->train.count || d->val.count < HOLD_OUT) return true;
    /* What would have been held out is known by the counts; whether it was, by the contents. */
    int64_t out = d->val.count / HOLD_OUT;
    char counts[64];
    snprintf(counts, sizeof counts, "%lld + %lld ", (long long)(d->val.count - out), (long long)out);
    if (strncmp(source->run, counts, strlen(counts)) != 0) return true;
    rnc_data_close(d);
    if (!open_data(d, source, false, s) || strcmp(d->identity, source->run) == 0) return s->code == RNC_OK;
    rnc_data_close(d);
    return open_data(d, source, true, s);
}

const char *rnc_data_class(const struct rnc_data *d, int64_t k, char *number, size_t size)
{
    if (d->classes && k >= 0 && k < d->nclasses) return d->classes[k];
    snprintf(number, size, "%lld", (long long)k);
    return number;
}

/* ---- statistics */

struct sums {
    double count[4], sum[4], squares[4];
};

static void add_plane(struct sums *m, int64_t c, const uint8_t *p, int64_t n, int64_t stride)
{
    uint64_t sum = 0, squares = 0;
    for (int64_t k = 0; k < n; k++) {
        uint64_t x = p[k * stride];
        sum += x;
        squares += x * x;
    }
    m->count[c] += (double)n;
    m->sum[c] += (double)sum;
    m->squares[c] += (double)squares;
}

static bool measure_files(const struct rnc_dataset *d, int64_t channels, struct sums *m, struct rnc_status *s)
{
    int64_t step = d->count > MEASURED_FILES ? d->count / MEASURED_FILES : 1;
    for (int64_t k = 0; k < d->count; k += step) {
        struct rnc_image i;
        if (!rnc_image_read(d->files[k], channels, &i, s)) return false;
        for (int64_t c = 0; c < channels; c++) add_plane(m, c, i.data + c, i.width * i.height, channels);
        rnc_image_free(&i);
    }
    return true;
}

bool rnc_data_measure(const struct rnc_dataset *d, int64_t channels, double *mean, double *std, struct rnc_status *s)
{
    struct sums m = {{0}, {0}, {0}};
    if (channels < 1 || channels > 4)
        return rnc_fail(s, RNC_USER, "images of %lld channels can't be normalised", (long long)channels);
    if (d->files && !measure_files(d, channels, &m, s)) return false;
    int64_t plane = d->height * d->width;
    for (int64_t k = 0; d->pixels && k < d->count; k++)
        for (int64_t c = 0; c < channels; c++) add_plane(&m, c, d->pixels + (k * d->channels + c) * plane, plane, 1);
    for (int64_t c = 0; c < channels; c++) {
        double count = m.count[c] > 0 ? m.count[c] : 1.0, average = m.sum[c] / count;
        double var =
            m.squares[c] / count - average * average; /* whole numbers below 2^53: nothing cancels that matters */
        mean[c] = average / 255.0;
        std[c] = var > 1e-6 ? sqrt(var) / 255.0 : 1.0;
    }
    return true;
}
