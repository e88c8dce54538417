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
    struct value **inputs;   /* by the spec's input */
    struct value **values;   /* by flat layer; NULL where an error was reported */
    struct value **targets;  /* by the spec's target; NULL: not used */
    struct strmap params;    /* name -> the flat layer's index + 1 that made it */
    struct pending *pending; /* errors that may have a mend */
    struct mend *trial;      /* the mend that is being tried, or NULL */
};

/* Two shapes that do not fit. */
struct pending {
    struct pending *next;
    struct diag *diag;
    const struct flat_layer *layer;
};

/* The value of a ref, or NULL (an error was reported). */
struct value *builder_value(const struct builder *b, int ref);

/* The spec's conveniences become the IR's attributes, by the input's shape: pad same and valid, channels_to, scale,
   like. The result has spec_only attributes too, for op->params. False after an error. */
bool sugar_resolve(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr);

/* Makes the graph; errors go into B's diagnostics. */
void builder_run(struct builder *b, const struct build_options *o);

/* mend.c. The layer as the mend that is tried changes it. */
const struct flat_layer *mend_layer(const struct builder *b, const struct flat_layer *l);
/* The error G of L's two inputs; mend_all, when the spec has been gone through, adds the notes that mend them. */
void mend_later(struct builder *b, struct diag *g, const struct flat_layer *l);
void mend_all(struct builder *b, const struct build_options *o);
/* The last layer that both ways come from, REF_NONE when there is none near. */
int mend_start(const struct builder *b, int x, int y);

/* " (line 7)", or with the file where that is not HERE. */
const char *trail_place(struct arena *a, struct span at, const struct source *here);
/* The losses, their sum and, where they are measured, each of them, as outputs (losses.c). */
void losses_build(struct builder *b, bool measured);
/* The I-th target as an argument of the graph, made where there is none yet; NULL after an error. */
struct value *builder_target(struct builder *b, int i);

/* The error E of layer L, with what led there. */
void trail_error(struct builder *b, const struct flat_layer *l, const struct op_error *e);
/* Notes about REF's shape: the layers that made it, from STOP (REF_NONE: as far back as is told) on. WHAT: "left",
   "input" … */
void trail_note(struct builder *b, struct diag *g, const char *what, int ref, int stop, const struct source *here);

#endif
