/* data_folder.c: images as files: a folder for each class, or images with masks of the same name. */
#include "runtime/data/data_readers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime/io/image.h"
#include "runtime/io/text.h"

static const char *const image_endings[] = {".png", ".jpg", ".jpeg", NULL};

static bool ends_with_one(const char *name, const char *const *endings)
{
    size_t length = strlen(name);
    for (; *endings; endings++) {
        size_t tail = strlen(*endings);
        if (length > tail && !strcasecmp(name + length - tail, *endings)) return true;
    }
    return false;
}

static bool is_kind(const char *path, char kind)
{
    struct stat st;
    return stat(path, &st) == 0 && (kind == 'd' ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void rnc_free_names(char **names, size_t count)
{
    for (size_t k = 0; k < count; k++) free(names[k]);
    free(names);
}

static bool push(char ***list, size_t *count, char *name)
{
    if ((*count & (*count - 1)) == 0) { /* a power of two: full */
        char **more = realloc(*list, (*count ? *count * 2 : 1) * sizeof *more);
        if (!more || !name) {
            free(name);
            if (more) *list = more;
            return false;
        }
        *list = more;
    }
    if (!name) return false;
    (*list)[(*count)++] = name;
    return true;
}

bool rnc_list_names(const char *path, char kind, const char *const *endings, char ***names, size_t *count,
                    struct rnc_status *s)
{
    *names = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return rnc_fail(s, errno == ENOENT || errno == ENOTDIR ? RNC_USER : RNC_ENV, "can't read the folder %s: %s",
                        path, strerror(errno));
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || (kind == 'f' && !ends_with_one(e->d_name, endings))) continue;
        char *full = rnc_path_join(path, e->d_name);
        if (full && is_kind(full, kind)) ok = push(names, count, strdup(e->d_name));
        ok = ok && full;
        free(full);
    }
    closedir(dir);
    if (*count > 1) qsort(*names, *count, sizeof **names, by_text);
    if (ok) return true;
    rnc_free_names(*names, *count);
    *names = NULL;
    *count = 0;
    return rnc_data_no_memory(path, s);
}

/* ---- class folders */

static bool add_sample(struct rnc_dataset *split, char *file, int32_t label)
{
    if ((split->count & (split->count - 1)) == 0) {
        size_t cap = split->count ? (size_t)split->count * 2 : 1;
        char **files = realloc(split->files, cap * sizeof *files);
        if (files) split->files = files;
        int32_t *labels = realloc(split->labels, cap * sizeof *labels);
        if (labels) split->labels = labels;
        if (!files || !labels || !file) {
            free(file);
            return false;
        }
    }
    if (!file) return false;
    split->files[split->count] = file;
    split->labels[split->count++] = label;
    return true;
}

static bool add_class(struct rnc_dataset *split, const char *path, const char *class_name, int32_t label,
                      struct rnc_status *s)
{
    char *folder = rnc_path_join(path, class_name), **names = NULL;
    size_t count = 0;
    if (!folder) return rnc_data_no_memory(path, s);
    bool ok = rnc_list_names(folder, 'f', image_endings, &names, &count, s);
    if (ok && count == 0) ok = rnc_fail(s, RNC_USER, "the class folder %s has no PNG or JPEG images", folder);
    for (size_t k = 0; ok && k < count; k++)
        ok = add_sample(split, rnc_path_join(folder, names[k]), label) || rnc_data_no_memory(path, s);
    rnc_free_names(names, count);
    free(folder);
    return ok;
}

static int32_t class_index(const struct rnc_data *d, const char *name)
{
    int32_t k = 0;
    while (strcmp(d->classes[k], name) != 0) k++;
    return k;
}

/* The class that the folder NAME is, as text, malloc'ed. */
static char *class_text(struct rnc_data *d, const char *name, const struct rnc_data_source *o)
{
    char *text = rnc_text_of_name(name);
    for (int k = 0; text && k < o->nrename; k++) {
        if (strcmp(o->rename[k].folder, text) != 0 && strcmp(o->rename[k].folder, name) != 0) continue;
        free(text);
        d->renamed |= UINT64_C(1) << k;
        return rnc_text_of_name(o->rename[k].class);
    }
    return text;
}

/* The folders' classes, in their order. */
static char **texts_of(struct rnc_data *d, char *const *names, size_t count, const struct rnc_data_source *o)
{
    char **texts = calloc(count + 1, sizeof *texts);
    bool ok = texts != NULL;
    for (size_t k = 0; ok && k < count; k++) ok = (texts[k] = class_text(d, names[k], o)) != NULL;
    if (ok) return texts;
    rnc_free_names(texts, texts ? count : 0);
    return NULL;
}

bool rnc_class_folders(struct rnc_data *d, struct rnc_dataset *split, const char *path, const struct rnc_data_source *o,
                       struct rnc_status *s)
{
    char **names, **texts;
    size_t count;
    if (!rnc_list_names(path, 'd', NULL, &names, &count, s)) return false;
    bool ok = count > 0 || rnc_fail(s, RNC_USER, "%s has no folders of classes in it", path);
    split->name = strdup(path);
    texts = texts_of(d, names, count, o);
    if (!split->name || !texts) ok = rnc_data_no_memory(path, s);
    ok = ok && rnc_classes_from_folders(d, path, (const char *const *)texts, (int64_t)count, o, s);
    for (size_t k = 0; ok && k < count; k++) ok = add_class(split, path, names[k], class_index(d, texts[k]), s);
    rnc_free_names(names, count);
    rnc_free_names(texts, texts ? count : 0);
    return ok;
}

/* ---- masks */

static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

static const char *same_stem(char *const *names, size_t count, const char *name)
{
    size_t length = stem_length(name);
    for (size_t k = 0; k < count; k++)
        if (stem_length(names[k]) == length && !strncmp(names[k], name, length)) return names[k];
    return NULL;
}

static bool all_have_masks(const char *images, const char *masks)
{
    static const char *const png[] = {".png", NULL};
    char **image_names = NULL, **mask_names = NULL;
    size_t nimages = 0, nmasks = 0;
    struct rnc_status ignored = {0};
    bool yes = rnc_list_names(images, 'f', image_endings, &image_names, &nimages, &ignored) &&
               rnc_list_names(masks, 'f', png, &mask_names, &nmasks, &ignored) && nimages > 0;
    for (size_t k = 0; yes && k < nimages; k++) yes = same_stem(mask_names, nmasks, image_names[k]) != NULL;
    rnc_free_names(image_names, nimages);
    rnc_free_names(mask_names, nmasks);
    return yes;
}

bool rnc_are_masks(const char *path, const char *images, const char *masks)
{
    struct rnc_status ignored = {0};
    char **names;
    size_t count;
    if (!rnc_list_names(path, 'd', NULL, &names, &count, &ignored)) return false;
    rnc_free_names(names, count);
    return count == 2 && all_have_masks(images, masks);
}

/* Which values the masks hold: their number of classes, or that they are black and white. */
static bool scan_masks(struct rnc_data *d, struct rnc_dataset *split, struct rnc_status *s)
{
    bool seen[256] = {false};
    for (int64_t k = 0; k < split->count; k++) {
        struct rnc_image m;
        if (!rnc_image_read(split->masks[k], 1, &m, s)) return false;
        for (int64_t p = 0; p < m.width * m.height; p++) seen[m.data[p]] = true;
        rnc_image_free(&m);
    }
    int64_t highest = 0, between = 0;
    for (int v = 1; v < 255; v++)
        if (seen[v]) highest = v, between++;
    split->binary_masks = seen[255] && between == 0;
    if (split->binary_masks) highest = 1;
    if (!d->classes && highest + 1 > d->nclasses) d->nclasses = highest + 1;
    return true;
}

bool rnc_mask_folders(struct rnc_data *d, struct rnc_dataset *split, const char *images, const char *masks,
                      struct rnc_status *s)
{
    static const char *const png[] = {".png", NULL};
    char **image_names = NULL, **mask_names = NULL;
    size_t nimages = 0, nmasks = 0;
    bool ok = rnc_list_names(images, 'f', image_endings, &image_names, &nimages, s) &&
              rnc_list_names(masks, 'f', png, &mask_names, &nmasks, s);
    if (ok && nimages == 0) ok = rnc_fail(s, RNC_USER, "%s has no PNG or JPEG images", images);
    split->name = strdup(images);
    split->masks = calloc(nimages + 1, sizeof *split->masks);
    if (ok && (!split->name || !split->masks)) ok = rnc_data_no_memory(images, s);
    for (size_t k = 0; ok && k < nimages; k++) {
        const char *mask = same_stem(mask_names, nmasks, image_names[k]);
        if (!mask)
            ok = rnc_fail(s, RNC_USER, "%s/%s has no mask of the same name in %s (a PNG)", images, image_names[k],
                          masks);
        else {
            split->masks[split->count] = rnc_path_join(masks, mask);
            ok = (split->masks[split->count] && add_sample(split, rnc_path_join(images, image_names[k]), 0)) ||
                 rnc_data_no_memory(images, s);
        }
    }
    rnc_free_names(image_names, nimages);
    rnc_free_names(mask_names, nmasks);
    return ok && scan_masks(d, split, s);
}
