/* use.h: `use`: another spec's layers, up to the taps that are named. */
#ifndef RNC_SPEC_USE_H
#define RNC_SPEC_USE_H

#include "spec/value.h"

/* Makes the taps' labels (body.c3) known to a static scope. */
void use_labels(struct spec_file *f, struct scope *s);
/* Expands every used spec; its taps become labels of the scope. */
void use_expand(struct spec_file *f, struct scope *s);

#endif
