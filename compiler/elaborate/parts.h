/* build_parts.h: what the files of build/ share. */
#ifndef RNC_ELABORATE_PARTS_H
#define RNC_ELABORATE_PARTS_H

#include "elaborate/elaborate.h"
#include "spec/ast.h"

struct builder {
    struct arena *arena;
    struct diags *diags;
    const struct spec *spec;
    const struct ast *ast;
    struct graph *graph;
    struct value **inputs;  /* by the spec's input */
    struct value **values;  /* by flat layer; NULL where an error was reported */
    struct value **targets; /* by the spec's target; NULL: not used */
    struct strmap params;   /* name -> the flat layer's index + 1 that made it */
};

/* The value of a ref, or NULL (an error was reported). */
struct value *builder_value(const struct builder *b, int ref);

/* The spec's conveniences become the IR's attributes, by the input's shape: pad same and valid, channels_to, scale,
   like. The result has spec_only attributes too, for op->params. False after an error. */
bool sugar_resolve(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr);

/* The error E of layer L, with what led there. */
void trail_error(struct builder *b, const struct flat_layer *l, const struct op_error *e);
/* Notes about REF's shape: the layers that made it, from STOP (REF_NONE: as far back as is told) on. WHAT: "left",
   "input" … */
void trail_note(struct builder *b, struct diag *g, const char *what, int ref, int stop, const struct source *here);

#endif
