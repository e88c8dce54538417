/* data_binary.c: IDX (http://yann.lecun.com/exdb/mnist) and CIFAR-10's binary files. */
#include "runtime/data/data_readers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"

enum { IDX_U8 = 8, CIFAR_SIDE = 32, CIFAR_RECORD = 1 + 3 * CIFAR_SIDE * CIFAR_SIDE };
static const size_t max_file = (size_t)1 << 36, max_cifar = (size_t)1 << 30;

/* ---- IDX */

struct idx {
    int rank;
    int64_t dim[4];
    const unsigned char *data;
    bool packed; /* the file is gzip */
};

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What is looked for: "images" or "labels", and the ranks that are allowed. */
struct idx_kind {
    const char *what;
    int first, last;
};
static const struct idx_kind idx_images = {"images", 3, 4}, idx_labels = {"labels", 1, 1};

/* *WANT: the bytes of the elements. */
static bool idx_header(const char *name, const unsigned char *file, size_t bytes, const struct idx_kind *k,
                       struct idx *x, size_t *want, struct rnc_status *s)
{
    const char *what = k->what;
    int first = k->first, last = k->last;
    if (bytes < 4)
        return rnc_fail(s, RNC_USER, "%s is truncated: an IDX file of %s has at least %d bytes", name, what,
                        4 + 4 * first);
    uint32_t magic = big_endian(file);
    x->rank = (int)(magic & 0xff);
    if (magic >> 8 != IDX_U8 || x->rank < first || x->rank > last)
        return rnc_fail(s, RNC_USER, "%s is not an IDX file of %s: it begins with 0x%08x, 0x%08x was expected", name,
                        what, magic, (unsigned)(IDX_U8 << 8 | first));
    size_t header = 4 + 4 * (size_t)x->rank;
    if (bytes < header) return rnc_fail(s, RNC_USER, "%s is truncated within its header", name);
    *want = 1;
    for (int i = 0; i < x->rank; i++) {
        x->dim[i] = big_endian(file + 4 + 4 * i);
        if (__builtin_mul_overflow(*want, (size_t)x->dim[i], want)) *want = SIZE_MAX;
    }
    x->data = file + header;
    return true;
}

static bool parse_idx(const char *name, const unsigned char *file, size_t bytes, const struct idx_kind *k,
                      struct idx *x, struct rnc_status *s)
{
    size_t want;
    const char *what = k->what;
    if (!idx_header(name, file, bytes, k, x, &want, s)) return false;
    size_t header = (size_t)(x->data - file);
    if (want == bytes - header && want > 0) return true;
    if (want == 0) return rnc_fail(s, RNC_USER, "%s is empty: its header promises no %s", name, what);
    return rnc_fail(s, RNC_USER, "%s is %s: its header promises %" PRId64 " %s, %zu bytes in all, and the file has %zu",
                    name, bytes - header < want ? "truncated" : "damaged", x->dim[0], what,
                    want == SIZE_MAX ? want : want + header, bytes);
}

static void raise_classes(struct rnc_data *d, int64_t highest)
{
    if (!d->classes && highest + 1 > d->nclasses) d->nclasses = highest + 1;
}

static bool take_labels(struct rnc_data *d, struct rnc_dataset *split, const unsigned char *label, int64_t stride,
                        const char *name, struct rnc_status *s)
{
    split->labels = malloc((size_t)split->count * sizeof *split->labels + 1);
    if (!split->labels) return rnc_data_no_memory(name, s);
    int64_t highest = 0;
    for (int64_t k = 0; k < split->count; k++) {
        split->labels[k] = label[k * stride];
        if (split->labels[k] > highest) highest = split->labels[k];
    }
    raise_classes(d, highest);
    return true;
}

static bool same_count(const char *image_name, const struct idx *images, const char *label_name,
                       const struct idx *labels, struct rnc_status *s)
{
    return images->dim[0] == labels->dim[0] ||
           rnc_fail(s, RNC_USER, "%s has %" PRId64 " images, %s has %" PRId64 " labels", image_name, images->dim[0],
                    label_name, labels->dim[0]);
}

/* The header alone; X->rank 0: of a pipe. *WHOLE: the bytes that it promises, and at most max_file. */
static bool idx_look(const char *path, const struct idx_kind *k, struct idx *x, size_t *whole, struct rnc_status *s)
{
    unsigned char head[20];
    size_t bytes, want = 0;
    bool packed;
    *x = (struct idx){0};
    *whole = max_file;
    if (!rnc_file_head(path, head, sizeof head, &bytes, &packed, s)) return false;
    x->packed = packed;
    if (bytes == 0 || (packed && bytes < 8)) return true; /* unpacking says what is wrong */
    if (!idx_header(path, head, bytes, k, x, &want, s)) return false;
    if (packed && want < max_file)
        *whole = want + (size_t)(x->data - head) + 1; /* one more, which says that it is damaged */
    return true;
}

/* Before anything is unpacked: are the images as many as the labels? */
static bool idx_agree(const char *images, const char *labels, struct rnc_status *s)
{
    struct idx i, l;
    size_t whole;
    return idx_look(images, &idx_images, &i, &whole, s) && idx_look(labels, &idx_labels, &l, &whole, s) &&
           (!i.packed || !i.rank || !l.rank || same_count(images, &i, labels, &l, s));
}

static unsigned char *idx_read(const char *path, const struct idx_kind *k, size_t *bytes, struct rnc_status *s)
{
    struct idx x;
    size_t whole;
    return idx_look(path, k, &x, &whole, s) ? rnc_file_read(path, whole, bytes, s) : NULL;
}

/* Takes over IMAGE_FILE (SPLIT owns it) but not LABEL_FILE. */
static bool idx_split(struct rnc_data *d, struct rnc_dataset *split, const char *image_name, unsigned char *image_file,
                      size_t image_bytes, const char *label_name, const unsigned char *label_file, size_t label_bytes,
                      struct rnc_status *s)
{
    struct idx images, labels;
    split->owned = image_file;
    split->name = strdup(image_name);
    if (!split->name) return rnc_data_no_memory(image_name, s);
    if (!parse_idx(image_name, image_file, image_bytes, &idx_images, &images, s) ||
        !parse_idx(label_name, label_file, label_bytes, &idx_labels, &labels, s))
        return false;
    if (!same_count(image_name, &images, label_name, &labels, s)) return false;
    split->count = images.dim[0];
    split->channels = images.rank == 4 ? images.dim[1] : 1;
    split->height = images.dim[images.rank - 2];
    split->width = images.dim[images.rank - 1];
    split->pixels = images.data;
    return take_labels(d, split, labels.data, 1, label_name, s);
}

bool rnc_idx_files(struct rnc_data *d, struct rnc_dataset *split, const char *images, const char *labels,
                   struct rnc_status *s)
{
    size_t image_bytes, label_bytes;
    if (!idx_agree(images, labels, s)) return false;
    unsigned char *image_file = idx_read(images, &idx_images, &image_bytes, s);
    unsigned char *label_file = image_file ? idx_read(labels, &idx_labels, &label_bytes, s) : NULL;
    bool ok = false;
    if (label_file) ok = idx_split(d, split, images, image_file, image_bytes, labels, label_file, label_bytes, s);
    else free(image_file);
    free(label_file);
    return ok;
}

bool rnc_idx_embedded(struct rnc_data *d, struct rnc_dataset *split, bool val, struct rnc_status *s)
{
    struct rnc_embedded i = rnc_digits(val, false), l = rnc_digits(val, true);
    size_t image_bytes, label_bytes;
    unsigned char *image_file = rnc_gunzip(i.data, i.bytes, "the built-in digits", max_file, &image_bytes, s);
    unsigned char *label_file =
        image_file ? rnc_gunzip(l.data, l.bytes, "the built-in digits", max_file, &label_bytes, s) : NULL;
    bool ok = false;
    if (label_file)
        ok = idx_split(d, split, "the built-in digits", image_file, image_bytes, "the built-in digits", label_file,
                       label_bytes, s);
    else free(image_file);
    free(label_file);
    return ok;
}

bool rnc_is_idx(const char *path)
{
    struct rnc_status ignored = {0};
    unsigned char head[4];
    size_t bytes = 0;
    bool packed;
    return rnc_file_head(path, head, sizeof head, &bytes, &packed, &ignored) && bytes == sizeof head &&
           big_endian(head) >> 8 == IDX_U8;
}

/* ---- CIFAR-10 */

static bool append(unsigned char **all, size_t *used, const unsigned char *more, size_t bytes)
{
    unsigned char *grown = realloc(*all, *used + bytes + 1);
    if (!grown) return false;
    memcpy(grown + *used, more, bytes);
    *all = grown;
    *used += bytes;
    return true;
}

static bool cifar_append(const char *path, unsigned char **all, size_t *used, struct rnc_status *s)
{
    size_t bytes;
    unsigned char *file = rnc_file_read(path, max_cifar, &bytes, s);
    if (!file) return false;
    bool ok;
    if (bytes == 0 || bytes % CIFAR_RECORD != 0)
        ok = rnc_fail(s, RNC_USER,
                      "%s is truncated, or no CIFAR-10 file: its %zu bytes are not a multiple of %d (a label and 3 × "
                      "32 × 32 pixels)",
                      path, bytes, CIFAR_RECORD);
    else ok = append(all, used, file, bytes) || rnc_data_no_memory(path, s);
    free(file);
    return ok;
}

/* From records to pixels without labels between them, in place. */
static void drop_labels(unsigned char *records, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        memmove(records + (size_t)k * (CIFAR_RECORD - 1), records + (size_t)k * CIFAR_RECORD + 1, CIFAR_RECORD - 1);
}

bool rnc_cifar_files(struct rnc_data *d, struct rnc_dataset *split, char *const *paths, size_t npaths,
                     struct rnc_status *s)
{
    static const char *const names[10] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};
    unsigned char *records = NULL;
    size_t bytes = 0;
    for (size_t k = 0; k < npaths; k++)
        if (!cifar_append(paths[k], &records, &bytes, s)) {
            free(records);
            return false;
        }
    split->owned = records;
    split->name = strdup(paths[0]);
    split->count = (int64_t)(bytes / CIFAR_RECORD);
    split->channels = 3;
    split->height = split->width = CIFAR_SIDE;
    split->pixels = records;
    if (!split->name || !take_labels(d, split, records, CIFAR_RECORD, paths[0], s))
        return rnc_data_no_memory(paths[0], s);
    drop_labels(records, split->count);
    return d->nclasses != 10 || d->classes || rnc_data_set_classes(d, names, 10, s);
}
