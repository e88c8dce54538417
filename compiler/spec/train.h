/* train.h: the train section, from tables: parsed, printed and described from the same rows. */
#ifndef RNC_SPEC_TRAIN_H
#define RNC_SPEC_TRAIN_H

#include "base/buf.h"
#include "spec/file.h"

extern const struct rnc_field train_fields[]; /* batch, epochs */
extern const int train_nfields;
/* The names of a kind's rows. */
const char **train_names(struct arena *a, const struct rnc_kind *kind);

/* What the input's map T says of its images, into t->image, besides the keys OTHERS, NULL-terminated; its shape is
   known by then. */
void train_parse_image(struct spec_file *f, const struct tree *t, const char *const *others, struct spec_tensor *out);
/* Class maps need a label for what lies beyond a picture, where one of the inputs has such parts. */
void train_check_bars(struct spec_file *f, const struct spec *s);
/* T (NULL: no train section) into *out; defaults filled in. */
void train_parse(struct spec_file *f, const struct tree *t, struct spec_train *out);
/* The section as text, in the language. */
void train_print(const struct spec_train *t, struct buf *out);
/* What it says of images, each with a comma before it: ", fit: resize". */
void train_print_image(const struct rnc_image_rules *r, struct buf *out);
/* "…" with escapes. */
void train_quoted(struct buf *out, const char *s);
void train_metrics(struct spec_file *f, const struct tree *t, struct spec *s);

#endif
