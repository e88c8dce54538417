/* target.h: a spec's targets, and what ties them to its losses. */
#ifndef RNC_SPEC_TARGET_H
#define RNC_SPEC_TARGET_H

#include "spec/file.h"

/* The section `targets`, into S; after its `classes`. */
void targets_parse(struct spec_file *f, struct spec *s);
/* The target of that name, an index; -1 after an error. */
int target_find(struct spec_file *f, const struct scope *s, const struct spec *spec, const struct tree *t);
/* Does the target's type suit the loss, by what the loss compares with? Otherwise an error at AT, but where it is
 * faulty itself. */
bool target_suits(struct spec_file *f, const struct op_def *op, const struct spec_tensor *t, struct span at);
/* The label that the loss leaves out: the target's. GIVEN: the loss's own `ignore`, or NULL; it becomes the target's
   where that has none, and an error where they differ. */
int64_t target_ignore(struct spec_file *f, struct spec_tensor *t, const struct tree *given, int64_t value);
/* Of each target as what a picture gives it; an error for one that no loss
   compares, where there are losses. */
void targets_pair(struct spec_file *f, struct spec *s);

#endif
