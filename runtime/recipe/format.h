/* format.h: data formats: how each is recognised and read. The rows are in runtime/data/formats.c. */
#ifndef RNC_RUNTIME_RECIPE_FORMAT_H
#define RNC_RUNTIME_RECIPE_FORMAT_H

#include "runtime/recipe/recipe.h"
#include "runtime/recipe/target.h"

struct rnc_data;        /* runtime/data/data.h */
struct rnc_data_source; /* runtime/data/data.h */

/* The settings of every format begin with this struct; a row's fields need not offer all of it. */
struct rnc_data_settings {
    const char *train, *val; /* a folder or a file, relative to the working directory; NULL: not given */
    struct rnc_normalize normalize;
};
struct rnc_data_format {
    struct rnc_row row;
    const char *looks;                   /* what such a path contains, for messages: "*.bin of CIFAR-10" */
    bool arrays;                         /* any tensors, by name; false: images with annotations */
    unsigned annotations;                /* bit k: images may have enum rnc_annotation k */
    bool files;                          /* images are PNG or JPEG files, of 1 or 3 channels */
    int classes;                         /* the number of classes; 0: it depends on the data */
    int64_t picture[3];                  /* [C, H, W]; 0: it depends on the data */
    bool built_in;                       /* part of the program; no path is recognised */
    bool (*recognise)(const char *path); /* true if PATH looks like this format; `open` reports damaged files */
    /* Reads PATH (NULL: the settings name no path) into D's training split and, if PATH has both, the validation split.
       SETTINGS is NULL if PATH was recognised. */
    bool (*open)(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                 struct rnc_status *s);
};
/* Of struct rnc_data_format, in the order in which they are tried; the first is a spec's default. */
extern const struct rnc_kind rnc_data_formats;

static inline const struct rnc_data_format *rnc_data_format(const struct rnc_choice *c)
{
    return (const struct rnc_data_format *)(const void *)c->row;
}

#endif
