/* train.h: the train section, from tables: parsed, printed and described from the same rows. */
#ifndef RNC_SPEC_TRAIN_H
#define RNC_SPEC_TRAIN_H

#include "base/buf.h"
#include "spec/file.h"

/* What stands in a struct under a key. */
enum field_type {
    FIELD_INT,
    FIELD_NUMBER,
    FIELD_BOOL,
    FIELD_TEXT,
    FIELD_RANGE,     /* [min, max]: two doubles in a row */
    FIELD_NUMBERS,   /* a list of numbers: const double *, then int */
    FIELD_NORMALIZE, /* imagenet, or {mean: […], std: […]}: int, double[4], double[4] of struct spec_data */
};
struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    double min, max;
    const char *help;
};
/* One of several forms that a value may take: `sgd: {…}`. DEFAULTS: a struct of which every field is copied first. */
struct variant {
    const char *name;
    int kind;
    const struct field *fields;
    int nfields;
    const void *defaults;
    const char *help;
};
struct variants {
    const char *what;
    const struct variant *rows;
    int nrows;
    size_t size, kind_offset;
};

extern const struct variants train_data, train_optimizer, train_schedule, train_augment;
extern const struct field train_fields[]; /* batch, epochs */
extern const int train_nfields;
extern const char *const train_metric_names[], *const train_normalize_names[];
extern const int train_nmetrics, train_nnormalize;
/* Sets nchannels, mean and std of D by a name of train_normalize_names; false when it is none. */
bool train_normalize_named(const char *name, struct spec_data *d);

/* T (NULL: no train section) into *out; defaults filled in. */
void train_parse(struct spec_file *f, const struct tree *t, struct spec_train *out);
/* The section as text, in the language. */
void train_print(const struct spec_train *t, struct buf *out);
/* "…" with escapes. */
void train_quoted(struct buf *out, const char *s);
void train_metrics(struct spec_file *f, const struct tree *t, struct spec *s);

#endif
