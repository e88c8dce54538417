/* data_classes.c: classes go by name: the folders of data, what weights or a spec call them, in any order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/data/data_readers.h"
#include "runtime/io/file.h"

struct names {
    const char *const *name;
    int64_t n;
};

static bool has(struct names list, const char *name)
{
    int64_t k = 0;
    while (k < list.n && strcmp(list.name[k], name) != 0) k++;
    return k < list.n;
}

/* The one of LIST that NAME may have been meant to be: by case alone, or by a letter; NULL: none. */
static const char *alike(struct names list, const char *name)
{
    for (int64_t k = 0; k < list.n; k++)
        if (strcasecmp(list.name[k], name) == 0) return list.name[k];
    return rnc_nearest(name, list.name, (size_t)list.n);
}

enum { LIST = 200, SHOWN = 8 };

/* "rbc (RBC?), x", of the names of LIST that are not among OTHERS, with what they may be where NEAR says so; how many.
 */
static int64_t list_missing(struct names list, struct names others, bool near, char out[LIST])
{
    size_t used = 0;
    int64_t count = 0;
    out[0] = 0;
    for (int64_t k = 0; k < list.n; k++) {
        if (has(others, list.name[k]) || count++ >= SHOWN || used >= LIST) continue;
        const char *like = near ? alike(others, list.name[k]) : NULL;
        used += (size_t)snprintf(out + used, LIST - used, "%s%s", count > 1 ? ", " : "", list.name[k]);
        if (like && used < LIST) used += (size_t)snprintf(out + used, LIST - used, " (%s?)", like);
    }
    if (count > SHOWN && used < LIST) snprintf(out + used, LIST - used, " and %lld more", (long long)(count - SHOWN));
    return count;
}

/* Those of FOLDERS that are KNOWN, and where ALL are needed those that are not there. */
static bool same_names(const char *path, struct names folders, struct names known, const char *namer, bool all,
                       struct rnc_status *s)
{
    char extra[LIST], missing[LIST];
    int64_t extras = list_missing(folders, known, true, extra), absent = list_missing(known, folders, false, missing);
    if (extras)
        return rnc_fail(
            s, RNC_USER,
            "%s has folders that are no class of %s: %s%s%s; --rename FOLDER=CLASS says which one a folder is", path,
            namer, extra, absent ? "; no folder of " : "", missing);
    return !absent || !all ||
           rnc_fail(s, RNC_USER, "%s has no folder for %lld of the classes of %s: %s", path, (long long)absent, namer,
                    missing);
}

/* FOLDERS without those that stand there twice, as the data's own classes. */
static bool own_classes(struct rnc_data *d, const char *path, struct names folders, struct rnc_status *s)
{
    const char **once = calloc((size_t)folders.n + 1, sizeof *once);
    if (!once) return rnc_data_no_memory(path, s);
    struct names found = {once, 0};
    for (int64_t k = 0; k < folders.n; k++)
        if (!has(found, folders.name[k])) once[found.n++] = folders.name[k];
    bool ok = rnc_data_set_classes(d, once, found.n, s);
    free(once);
    return ok;
}

bool rnc_classes_from_folders(struct rnc_data *d, const char *path, const char *const *folders, int64_t n,
                              const struct rnc_data_source *o, struct rnc_status *s)
{
    const struct names list = {folders, n}, own = {(const char *const *)d->classes, d->nclasses},
                       given = {o->classes, o->nclasses};
    d->by_name = true;
    if (d->classes) return same_names(path, list, own, "the training data", false, s);
    if (!o->classes) return own_classes(d, path, list, s);
    return same_names(path, list, given, o->namer, !o->whole, s) && rnc_data_set_classes(d, given.name, given.n, s);
}

bool rnc_classes_from_numbers(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s)
{
    const struct rnc_dataset *p = d->train.count ? &d->train : &d->val;
    if (!o->classes || d->by_name || p->tensors) return true;
    if (d->nclasses > o->nclasses)
        return rnc_fail(s, RNC_USER, "%s has labels up to %lld, and the classes of %s are %lld", p->name,
                        (long long)d->nclasses - 1, o->namer, (long long)o->nclasses);
    return rnc_data_set_classes(d, o->classes, o->nclasses, s);
}

void rnc_classes_not_validated(const struct rnc_data *d, char *out, size_t size)
{
    const struct rnc_dataset *v = &d->val;
    bool *seen = d->classes && v->labels && !v->masks ? calloc((size_t)d->nclasses + 1, sizeof *seen) : NULL;
    const char **there = seen ? calloc((size_t)d->nclasses + 1, sizeof *there) : NULL;
    struct names found = {there, 0};
    char list[LIST];
    out[0] = 0;
    for (int64_t k = 0; there && k < v->count; k++)
        if (v->labels[k] < d->nclasses) seen[v->labels[k]] = true;
    for (int64_t k = 0; there && k < d->nclasses; k++)
        if (seen[k]) there[found.n++] = d->classes[k];
    if (there && list_missing((struct names){(const char *const *)d->classes, d->nclasses}, found, false, list))
        snprintf(out, size, ", none of %s", list);
    free(seen);
    free(there);
}
