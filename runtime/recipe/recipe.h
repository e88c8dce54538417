/* recipe.h: the vocabulary of training, once. Each optimizer, schedule, augmentation … is a row of its kind's table: a
   spec's keys, the JSON schema, help, a checkpoint's text and the log are made from rows, and what a row does are its
   functions. A kind's own header says what its rows have beside the common part here. All of it is constant, so any
   thread may read it. */
#ifndef RNC_RUNTIME_RECIPE_RECIPE_H
#define RNC_RUNTIME_RECIPE_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/preprocess.h"
#include "runtime/rt/status.h"

/* What a field is in the struct of a row's settings. */
enum rnc_field_type {
    RNC_FIELD_INT,       /* int64_t */
    RNC_FIELD_NUMBER,    /* double */
    RNC_FIELD_BOOL,      /* bool */
    RNC_FIELD_TEXT,      /* const char *, NULL: not given */
    RNC_FIELD_RANGE,     /* struct rnc_range */
    RNC_FIELD_NUMBERS,   /* struct rnc_numbers, which rise */
    RNC_FIELD_NORMALIZE, /* struct rnc_normalize */
    RNC_FIELD_CHOICE,    /* struct rnc_choice, of the field's kind */
};
struct rnc_range {
    double min, max;
};
struct rnc_numbers {
    const double *v;
    int64_t n; /* 0: not given */
};
/* (x − mean) / std for each channel. */
enum rnc_normalize_kind {
    RNC_NORMALIZE_NOT_GIVEN,
    RNC_NORMALIZE_NONE,     /* mean 0, std 1 */
    RNC_NORMALIZE_MEASURED, /* on the training data */
    RNC_NORMALIZE_NUMBERS,
};
struct rnc_normalize {
    enum rnc_normalize_kind kind;
    const char *name; /* of runtime/recipe/normalize.h, for pixels from 0 to 1, whatever the scale; NULL: numbers for
                         pixels as the scale has them */
    int64_t n;        /* numbers: of so many channels */
    double mean[RNC_PREPROCESS_CHANNELS], std[RNC_PREPROCESS_CHANNELS];
};

struct rnc_field {
    const char *name;
    enum rnc_field_type type;
    size_t offset;   /* in the settings */
    double min, max; /* of a number, an integer, each number of a range or list */
    const char *help;
    const struct rnc_kind *kind; /* of a choice */
};
#define RNC_FIELD(settings, field, kind, lo, hi, words)                                                             \
    {                                                                                                               \
        .name = #field, .type = RNC_FIELD_##kind, .offset = offsetof(struct settings, field), .min = lo, .max = hi, \
        .help = words                                                                                               \
    }

struct rnc_row {
    const char *name, *help;
    const struct rnc_field *fields;
    int nfields;
    size_t size; /* of the settings; 0: it has none */
    const void *defaults;
    /* What no field alone can say; fails with what is wrong and how to mend it. HEIGHT and WIDTH are the model's image,
       0 where that is not known. NULL: nothing. */
    bool (*check)(const void *settings, int64_t height, int64_t width, struct rnc_status *s);
};
#define RNC_FIELDS(list) .fields = list, .nfields = (int)(sizeof(list) / sizeof *(list))

/* A row and its settings; row NULL: none was chosen. */
struct rnc_choice {
    const struct rnc_row *row;
    const void *settings;
};

/* All rows of a kind. */
struct rnc_kind {
    const char *name; /* a spec's key: "optimizer" */
    const void *rows; /* N structs of STRIDE bytes, whose first member is a struct rnc_row */
    size_t stride;
    int n;
};
#define RNC_ROWS(list) .rows = list, .stride = sizeof *(list), .n = (int)(sizeof(list) / sizeof *(list))
const struct rnc_row *rnc_kind_row(const struct rnc_kind *k, int i);             /* 0 ≤ I < n */
const struct rnc_row *rnc_kind_find(const struct rnc_kind *k, const char *name); /* NULL: there is none */

/* Sets the number, integer or truth value FIELD in settings of ROW; false when it has no such field. */
bool rnc_row_set(const struct rnc_row *row, void *settings, const char *field, double x);

/* Where text goes. */
struct rnc_sink {
    void (*write)(void *ctx, const char *text, size_t size);
    void *ctx;
};
/* Has the field a value? Numbers and truth values always have. */
bool rnc_field_given(const struct rnc_field *f, const void *settings);
/* The fields that have a value, as a spec has them: "batch: 2, lr: 0.1". */
void rnc_fields_print(const struct rnc_field *fields, int n, const void *settings, struct rnc_sink to);
/* A choice as a spec has it, `crop: {pad: 2}`: every field that has a value. */
void rnc_choice_print(const struct rnc_choice *c, struct rnc_sink to);
/* The value of a field alone; it must have one. */
void rnc_field_print(const struct rnc_field *f, const void *settings, struct rnc_sink to);
/* The shortest text that reads back as X, and TEXT in quotes. */
enum { RNC_NUMBER_TEXT = 32 };
void rnc_number_text(double x, char out[RNC_NUMBER_TEXT]);
void rnc_quoted(const char *text, struct rnc_sink to);

#endif
