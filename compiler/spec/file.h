/* file.h: one spec file: found, read, its parameters, inputs, blocks and modules parsed, its layers checked and
   expanded. */
#ifndef RNC_SPEC_FILE_H
#define RNC_SPEC_FILE_H

#include "spec/value.h"

/* Finds NAME beside FOLDER (NULL: as a path), then among the shipped specs. A file that does not lie below BELOW (NULL:
   anywhere) is not read, so that nothing of it is shown. NULL after an error at PLACE. */
const struct source *file_find(struct arena *a, struct diags *d, const char *name, const char *folder,
                               const char *below, struct span place);
/* A text as the source called PATH: without the byte order mark that it may begin with. */
const struct source *file_text(struct arena *a, const char *path, const char *text, size_t len);
/* The folder part of a path, with the slash; "" when there is none. */
const char *file_folder(struct arena *a, const char *path);

/* Parses everything of ROOT but layers, outputs, losses and training. GIVEN: values for parameters, in GIVEN_SCOPE
   (NULL: the file's own). Errors are reported; the file can be gone on with unless NULL comes back. */
struct spec_file *file_open(struct arena *a, struct diags *d, const struct source *src, const struct tree *root,
                            struct ast *ast, const struct spec_file *user, const struct tree *given,
                            const struct scope *given_scope);
/* The scope of the file's top level. LABELS: to be filled with its inputs; dynamic or not. */
struct scope file_scope(struct spec_file *f, bool dynamic, struct strmap *labels);
/* Checks blocks, modules and layers as written. */
void file_check(struct spec_file *f);
/* Expands the specs it uses and its layers into f->ast, on the inputs' refs, and leaves the labels in the scope. */
void file_expand(struct spec_file *f, struct scope *s, const int *inputs);

/* Is KEY of MAP among NAMES? Otherwise an error "WHAT has no '…'" with a suggestion. False when any is unknown. */
bool file_check_keys(const struct spec_file *f, const struct tree *map, const char *what, const char *const *names,
                     size_t count);
/* Is T a map (an empty value counts as an empty one)? Otherwise an error. */
bool file_is_map(const struct spec_file *f, const struct tree *t, const char *what);

#endif
