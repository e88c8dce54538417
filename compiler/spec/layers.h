/* layers.h: the walk over lists of layers: once to check what is written, once to expand what is used. */
#ifndef RNC_SPEC_LAYERS_H
#define RNC_SPEC_LAYERS_H

#include "spec/value.h"

/* The layers of LIST in the scope, which supplies labels, parameters and the input (s->in, s->prev); returns the ref of
   the last one's output (s->prev, too). Without s->dynamic nothing is made. */
int layers_walk(struct scope *s, const struct tree *list);
/* Gives REF the label TEXT in the scope. False after an error. */
bool layers_label(struct scope *s, const struct tree *at, const char *text, int ref);
/* Asserts REF's shape [C, H, W] (`expect`). */
bool layers_expect(struct scope *s, const struct tree *t, int ref);
/* A dotted path: PREFIX.NAME, or either when the other is empty. */
const char *layers_path(struct arena *a, const char *prefix, const char *name);

#endif
