/* recipe.h: the settings of training, each defined once. Each optimizer, schedule, augmentation … is a row in the table
   of its kind. A spec's keys, the JSON schema, help, a checkpoint's text and the log are generated from rows; a row's
   functions do the work. A kind's own header says what its rows have beyond struct rnc_row. All tables are constant, so
   any thread may read them. */
#ifndef RNC_RUNTIME_RECIPE_RECIPE_H
#define RNC_RUNTIME_RECIPE_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/preprocess.h"
#include "runtime/rt/status.h"

/* The type of a field in the struct of settings. */
enum rnc_field_type {
    RNC_FIELD_INT,       /* int64_t */
    RNC_FIELD_NUMBER,    /* double */
    RNC_FIELD_BOOL,      /* bool */
    RNC_FIELD_TEXT,      /* const char *, NULL: not given */
    RNC_FIELD_RANGE,     /* struct rnc_range */
    RNC_FIELD_NUMBERS,   /* struct rnc_numbers, in ascending order */
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
    const char *name; /* a name of runtime/recipe/normalize.h: for pixels from 0 to 1, whatever the scale. NULL: numbers
                         for pixels of the input's scale */
    int64_t n;        /* length of mean and std */
    double mean[RNC_PREPROCESS_CHANNELS], std[RNC_PREPROCESS_CHANNELS];
};

struct rnc_field {
    const char *name;
    enum rnc_field_type type;
    size_t offset;   /* in bytes, in the settings */
    double min, max; /* limits of a number, of an integer, of each number of a range or list */
    const char *help;
    const struct rnc_kind *kind; /* of a choice: its kind */
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
    size_t size; /* of the settings in bytes; 0: none */
    const void *defaults;
    /* Checks what concerns several fields; fails with what is wrong and how to mend it. HEIGHT and WIDTH: of the
       model's image, 0 if unknown. May be NULL. */
    bool (*check)(const void *settings, int64_t height, int64_t width, struct rnc_status *s);
};
#define RNC_FIELDS(list) .fields = list, .nfields = (int)(sizeof(list) / sizeof *(list))

/* A row and its settings; row NULL: none is chosen. */
struct rnc_choice {
    const struct rnc_row *row;
    const void *settings;
};

/* All rows of a kind. */
struct rnc_kind {
    const char *name; /* a spec's key: "optimizer" */
    const void *rows; /* N structs of STRIDE bytes, whose first member is struct rnc_row */
    size_t stride;
    int n;
};
#define RNC_ROWS(list) .rows = list, .stride = sizeof *(list), .n = (int)(sizeof(list) / sizeof *(list))
const struct rnc_row *rnc_kind_row(const struct rnc_kind *k, int i);             /* 0 ≤ I < n */
const struct rnc_row *rnc_kind_find(const struct rnc_kind *k, const char *name); /* NULL: there is none */

/* Sets the number, integer or bool FIELD in the settings of ROW; false if it has no such field. */
bool rnc_row_set(const struct rnc_row *row, void *settings, const char *field, double x);

/* A consumer of text. */
struct rnc_sink {
    void (*write)(void *ctx, const char *text, size_t size);
    void *ctx;
};
/* True if the field has a value. Numbers and bools always have one. */
bool rnc_field_given(const struct rnc_field *f, const void *settings);
/* Prints the fields that have a value, in spec syntax: "batch: 2, lr: 0.1". */
void rnc_fields_print(const struct rnc_field *fields, int n, const void *settings, struct rnc_sink to);
/* Prints a choice in spec syntax, with all fields that have a value: `crop: {pad: 2}`. */
void rnc_choice_print(const struct rnc_choice *c, struct rnc_sink to);
/* Prints the value of a field, which must have one. */
void rnc_field_print(const struct rnc_field *f, const void *settings, struct rnc_sink to);
/* rnc_number_text: the shortest text that reads back as X. rnc_quoted: TEXT in quotes. */
enum { RNC_NUMBER_TEXT = 32 };
void rnc_number_text(double x, char out[RNC_NUMBER_TEXT]);
void rnc_quoted(const char *text, struct rnc_sink to);

#endif
