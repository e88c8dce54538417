/* format.h: data formats: how a path is recognised, and read. The rows stand with the readers, in
   runtime/data/formats.c. */
#ifndef RNC_RUNTIME_RECIPE_FORMAT_H
#define RNC_RUNTIME_RECIPE_FORMAT_H

#include "runtime/recipe/recipe.h"
#include "runtime/recipe/target.h"

struct rnc_data;        /* runtime/data/data.h */
struct rnc_data_source; /* runtime/data/data.h */

/* What the settings of every format begin with; a row need not have all of it among its fields. */
struct rnc_data_settings {
    const char *train, *val; /* a folder or a file, from the working directory; NULL: not given */
    struct rnc_normalize normalize;
};
struct rnc_data_format {
    struct rnc_row row;
    const char *looks;                   /* what lies at such a path, for messages: "*.bin of CIFAR-10" */
    bool arrays;                         /* any tensors, by name; else pictures with, of enum rnc_beside, … */
    unsigned beside;                     /* … one of these: bit k is k */
    bool files;                          /* pictures are PNG and JPEG files, of 1 or 3 channels */
    int classes;                         /* always so many; 0: as they come */
    int64_t picture[3];                  /* [C, H, W], always; 0: as they come */
    bool built_in;                       /* it comes with the program: nothing is recognised */
    bool (*recognise)(const char *path); /* does it look so? What is wrong with the files is open's to say */
    /* Reads PATH (NULL: the settings name no path) into D's training part and, where both are there, the validation
       part. SETTINGS is NULL where PATH was recognised. */
    bool (*open)(struct rnc_data *d, const char *path, const void *settings, const struct rnc_data_source *o,
                 struct rnc_status *s);
};
/* Of struct rnc_data_format, in the order in which they are tried; the first is what a spec has by default. */
extern const struct rnc_kind rnc_data_formats;

static inline const struct rnc_data_format *rnc_data_format(const struct rnc_choice *c)
{
    return (const struct rnc_data_format *)(const void *)c->row;
}

#endif
