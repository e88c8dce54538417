/* formats.c: the data formats. To add one: a reader, a struct of its settings, which begins with struct
   rnc_data_settings, its fields, how it is recognised, and a row. */
#include "runtime/recipe/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime/data/data_readers.h"
#include "runtime/recipe/target.h"

/* ---- paths */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first of the CANDIDATES (NULL-terminated) that is in DIR, as a path; NULL when there is none. */
static char *first_in(const char *dir, const char *const *candidates, bool folder)
{
    for (; *candidates; candidates++) {
        char *p = rnc_path_join(dir, *candidates);
        if (p && (folder ? is_folder(p) : is_file(p))) return p;
        free(p);
    }
    return NULL;
}

static bool has_folders(const char *path)
{
    struct rnc_status ignored = {0};
    char **names;
    size_t count;
    if (!rnc_list_names(path, 'd', NULL, &names, &count, &ignored)) return false;
    rnc_free_names(names, count);
    return count > 0;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), n = strlen(ending);
    return length > n && strcasecmp(path + length - n, ending) == 0;
}

/* ---- fields that several have */

#define NORMALIZE(settings) \
    RNC_FIELD(settings, normalize, NORMALIZE, 0, 0, "mean and standard deviation of each channel, or a data set's name")

static const struct rnc_field folder_fields[] = {
    RNC_FIELD(rnc_data_settings, train, TEXT, 0, 0, "training data"),
    RNC_FIELD(rnc_data_settings, val, TEXT, 0, 0, "validation data"),
    NORMALIZE(rnc_data_settings),
};
static const struct rnc_data_settings nothing = {0};

static bool needs_train(const void *settings, int64_t height, int64_t width, struct rnc_status *s)
{
    (void)height, (void)width;
    return ((const struct rnc_data_settings *)settings)->train || rnc_fail(s, RNC_USER, "the data needs 'train'");
}

/* ---- digits */

static const struct rnc_field digits_fields[] = {
    RNC_FIELD(rnc_data_settings, normalize, NORMALIZE, 0, 0, "mean and standard deviation of each channel"),
};

static bool open_digits(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                        struct rnc_status *s)
{
    (void)path, (void)settings, (void)o;
    return rnc_idx_embedded(d, &d->train, false, s) && rnc_idx_embedded(d, &d->val, true, s);
}

/* ---- idx */

struct idx {
    struct rnc_data_settings common;
    const char *train_images, *train_labels, *val_images, *val_labels;
};
static const struct rnc_field idx_fields[] = {
    {.name = "train",
     .type = RNC_FIELD_TEXT,
     .offset = offsetof(struct idx, common.train),
     .help = "a folder with the files under their usual names"},
    RNC_FIELD(idx, train_images, TEXT, 0, 0, "file of training images"),
    RNC_FIELD(idx, train_labels, TEXT, 0, 0, "file of training labels"),
    RNC_FIELD(idx, val_images, TEXT, 0, 0, "file of validation images"),
    RNC_FIELD(idx, val_labels, TEXT, 0, 0, "file of validation labels"),
    NORMALIZE(rnc_data_settings),
};

static bool idx_check(const void *settings, int64_t height, int64_t width, struct rnc_status *s)
{
    const struct idx *o = settings;
    (void)height, (void)width;
    if (!o->common.train && !(o->train_images && o->train_labels))
        return rnc_fail(s, RNC_USER, "idx needs train, a folder, or train_images and train_labels");
    if (o->common.train && (o->train_images || o->train_labels || o->val_images || o->val_labels))
        return rnc_fail(s, RNC_USER, "idx takes train, a folder, or files by name, not both");
    return !o->val_images == !o->val_labels ||
           rnc_fail(s, RNC_USER, "idx needs val_images and val_labels, or neither of them");
}

/* MNIST's names: <split>-images-idx3-ubyte, with .gz or without, with a dot for the second hyphen in some copies. */
static char *idx_name(const char *dir, const char *split, bool labels)
{
    static const char *const endings[] = {"-ubyte", "-ubyte.gz"};
    char name[4][64];
    const char *list[5] = {0};
    for (int k = 0; k < 4; k++) {
        snprintf(name[k], sizeof name[k], "%s-%s%cidx%d%s", split, labels ? "labels" : "images", k < 2 ? '-' : '.',
                 labels ? 1 : 3, endings[k % 2]);
        list[k] = name[k];
    }
    return first_in(dir, list, false);
}

/* *FOUND: there are images of that split. */
static bool idx_split(struct rnc_data *d, struct rnc_dataset *split, const char *dir, const char *const *names,
                      bool *found, struct rnc_status *s)
{
    *found = false;
    for (; *names; names++) {
        char *images = idx_name(dir, *names, false), *labels = idx_name(dir, *names, true);
        bool ok = true;
        *found = images != NULL;
        if (images && !labels)
            ok = rnc_fail(s, RNC_USER, "%s has no labels beside it: %s-labels-idx1-ubyte.gz was expected", images,
                          *names);
        else if (images) ok = rnc_idx_files(d, split, images, labels, s);
        free(images);
        free(labels);
        if (*found) return ok;
    }
    return true;
}

static bool idx_folder(struct rnc_data *d, const char *path, struct rnc_status *s)
{
    static const char *const train[] = {"train", NULL}, *const val[] = {"t10k", "test", "val", NULL};
    bool found, found_val;
    if (!idx_split(d, &d->train, path, train, &found, s)) return false;
    if (!idx_split(d, found ? &d->val : &d->train, path, val, &found_val, s)) return false;
    if (d->classes || d->nclasses != 10 || !strcasestr(path, "fashion")) return true;
    static const char *const fashion[10] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
    return rnc_data_set_classes(d, fashion, 10, s);
}

/* dir/x-images-idx3-ubyte.gz -> dir/x-labels-idx1-ubyte.gz, or NULL. */
static char *labels_beside(const char *images)
{
    char *p = strdup(images);
    if (!p) return NULL;
    char *slash = strrchr(p, '/'), *name = slash ? slash + 1 : p, *word = strstr(name, "images"),
         *rank = strstr(name, "idx3");
    if (word) memcpy(word, "labels", 6);
    if (rank) rank[3] = '1';
    if (word && is_file(p)) return p;
    free(p);
    return NULL;
}

static bool idx_recognise(const char *path)
{
    static const char *const splits[] = {"train", "t10k", "test", "val", NULL};
    if (is_file(path)) return !ends_with(path, ".bin") && (strstr(path, "idx") || rnc_is_idx(path));
    for (const char *const *split = splits; *split; split++) {
        char *images = idx_name(path, *split, false);
        free(images);
        if (images) return true;
    }
    return false;
}

static bool open_idx_file(struct rnc_data *d, const char *path, struct rnc_status *s)
{
    if (!rnc_is_idx(path)) return rnc_idx_files(d, &d->train, path, path, s); /* says what is wrong with it */
    char *labels = labels_beside(path);
    bool ok = labels ? rnc_idx_files(d, &d->train, path, labels, s)
                     : rnc_fail(s, RNC_USER,
                                "%s: the file of labels was not found beside it (the same name with 'labels-idx1' for "
                                "'images-idx3')",
                                path);
    free(labels);
    return ok;
}

static bool open_idx(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                     struct rnc_status *s)
{
    const struct idx *f = settings;
    (void)o;
    if (path) return is_folder(path) ? idx_folder(d, path, s) : open_idx_file(d, path, s);
    return rnc_idx_files(d, &d->train, f->train_images, f->train_labels, s) &&
           (!f->val_images || rnc_idx_files(d, &d->val, f->val_images, f->val_labels, s));
}

/* ---- cifar10 */

static const char *const bin[] = {".bin", NULL};

static bool cifar_recognise(const char *path)
{
    struct rnc_status ignored = {0};
    char **names;
    size_t count = 0;
    if (!is_folder(path)) return is_file(path) && ends_with(path, ".bin");
    if (!rnc_list_names(path, 'f', bin, &names, &count, &ignored)) return false;
    rnc_free_names(names, count);
    return count > 0;
}

/* CIFAR-10: test*.bin is for validation, every other *.bin for training. */
static bool cifar_folder(struct rnc_data *d, const char *path, struct rnc_status *s)
{
    char **names, **list[2] = {NULL, NULL};
    size_t count, n[2] = {0, 0};
    if (!rnc_list_names(path, 'f', bin, &names, &count, s)) return false;
    bool ok = true;
    for (int k = 0; k < 2; k++) ok = ok && (list[k] = calloc(count + 1, sizeof **list));
    for (size_t k = 0; ok && k < count; k++) {
        int which = !strncmp(names[k], "test", 4) || !strncmp(names[k], "val", 3);
        ok = (list[which][n[which]++] = rnc_path_join(path, names[k])) != NULL;
    }
    if (!ok) rnc_data_no_memory(path, s);
    if (ok && n[0]) ok = rnc_cifar_files(d, &d->train, list[0], n[0], s);
    if (ok && n[1]) ok = rnc_cifar_files(d, n[0] ? &d->val : &d->train, list[1], n[1], s);
    for (int k = 0; k < 2; k++) rnc_free_names(list[k], list[k] ? n[k] : 0);
    rnc_free_names(names, count);
    return ok;
}

static bool open_cifar(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                       struct rnc_status *s)
{
    (void)settings, (void)o;
    if (is_folder(path)) return cifar_folder(d, path, s);
    return rnc_cifar_files(d, &d->train, (char *const[]){(char *)(uintptr_t)path}, 1, s);
}

/* ---- npy */

static const struct rnc_field npy_fields[] = {
    RNC_FIELD(rnc_data_settings, train, TEXT, 0, 0, "a folder of training arrays, or of such folders train and val"),
    RNC_FIELD(rnc_data_settings, val, TEXT, 0, 0, "a folder of validation arrays"),
};

static bool open_npy(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                     struct rnc_status *s)
{
    (void)settings;
    return rnc_tensor_splits(d, path, o, s);
}

/* ---- image_folder */

/* Folders called images and masks may be classes. */
static bool wants_masks(const struct rnc_data_source *o, const char *path, const char *images, const char *masks)
{
    bool label = false;
    for (int k = 0; k < o->nports; k++) {
        const struct rnc_target_type *t = o->ports[k].picture;
        if (o->ports[k].target && t && t->annotation == RNC_ANNOTATION_MASK) return true;
        label |= o->ports[k].target && t && t->annotation == RNC_ANNOTATION_LABEL;
    }
    return !label || rnc_are_masks(path, images, masks);
}

/* Class folders, or images and masks. */
static bool image_tree(struct rnc_data *d, struct rnc_dataset *split, const char *path, const struct rnc_data_source *o,
                       struct rnc_status *s)
{
    static const char *const images[] = {"images", "image", NULL}, *const masks[] = {"masks", "mask", "labels", "label",
                                                                                     NULL};
    char *i = first_in(path, images, true), *m = first_in(path, masks, true);
    bool ok = i && m && wants_masks(o, path, i, m) ? rnc_mask_folders(d, split, i, m, s)
                                                   : rnc_class_folders(d, split, path, o, s);
    free(i);
    free(m);
    return ok;
}

/* PATH's folder of one of those names, where that is a split of the data: it holds folders. Else it is a class. */
static char *part_in(const char *path, const char *const *names)
{
    char *p = first_in(path, names, true);
    if (!p || has_folders(p)) return p;
    free(p);
    return NULL;
}

static bool image_folder(struct rnc_data *d, const char *path, const struct rnc_data_source *o, struct rnc_status *s)
{
    static const char *const train[] = {"train", NULL}, *const val[] = {"val", "test", "valid", "validation", NULL};
    char *t = part_in(path, train), *v = t ? part_in(path, val) : NULL;
    bool ok = image_tree(d, &d->train, t ? t : path, o, s) && (!v || image_tree(d, &d->val, v, o, s));
    free(t);
    free(v);
    return ok;
}

static bool open_image_folder(struct rnc_data *d, const char *path, const void *settings,
                              const struct rnc_data_source *o, struct rnc_status *s)
{
    (void)settings;
    return image_folder(d, path, o, s);
}

/* ---- the rows */

static const struct rnc_data_format rows[] = {
    {.row = {.name = "digits",
             .help = "the handwritten digits that rnc brings",
             RNC_FIELDS(digits_fields),
             .size = sizeof nothing,
             .defaults = &nothing},
     .looks = "nothing",
     .annotations = 1u << RNC_ANNOTATION_LABEL,
     .classes = 10,
     .picture = {1, 20, 20},
     .built_in = true,
     .open = open_digits},
    {.row = {.name = "idx",
             .help = "IDX files, as MNIST and Fashion-MNIST are published",
             RNC_FIELDS(idx_fields),
             .size = sizeof(struct idx),
             .defaults = &(const struct idx){.train_images = NULL},
             .check = idx_check},
     .annotations = 1u << RNC_ANNOTATION_LABEL,
     .looks = "train-images-idx3-ubyte.gz and its like (MNIST)",
     .recognise = idx_recognise,
     .open = open_idx},
    {.row = {.name = "cifar10",
             .help = "CIFAR-10's binary batches",
             RNC_FIELDS(folder_fields),
             .size = sizeof nothing,
             .defaults = &nothing,
             .check = needs_train},
     .looks = "*.bin of CIFAR-10",
     .annotations = 1u << RNC_ANNOTATION_LABEL,
     .classes = 10,
     .picture = {3, 32, 32},
     .recognise = cifar_recognise,
     .open = open_cifar},
    {.row = {.name = "npy",
             .help = "a folder of arrays, NAME.npy [count, …] for each input and target",
             RNC_FIELDS(npy_fields),
             .size = sizeof nothing,
             .defaults = &nothing,
             .check = needs_train},
     .arrays = true,
     .looks = "a folder with NAME.npy for each input and target",
     .recognise = rnc_is_tensors,
     .open = open_npy},
    {.row = {.name = "image_folder",
             .help = "a folder of PNG and JPEG files for each class",
             RNC_FIELDS(folder_fields),
             .size = sizeof nothing,
             .defaults = &nothing,
             .check = needs_train},
     .annotations = 1u << RNC_ANNOTATION_LABEL | 1u << RNC_ANNOTATION_MASK,
     .files = true,
     .looks = "a folder of PNG or JPEG images for each class, also under train/ and val/",
     .recognise = has_folders,
     .open = open_image_folder},
};
const struct rnc_kind rnc_data_formats = {.name = "data", RNC_ROWS(rows)};
