/* spec.h: a spec after parsing and checking: what the rest of the compiler and the trainer may ask of it. The layers
   themselves (blocks, stages, match, use …) stay inside spec/ and elaborate/ (spec/ast.h). */
#ifndef RNC_SPEC_SPEC_H
#define RNC_SPEC_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "ir/number.h"
#include "runtime/recipe/preprocess.h"
#include "runtime/recipe/recipe.h"
#include "runtime/recipe/target.h"
#include "runtime/task/metric.h"

struct override {
    const char *name, *value;
}; /* -p classes=10; --set train.batch=32 */

struct spec_options {
    const struct override *params;
    int nparams;
    const struct override *sets;
    int nsets;
    bool allow_outside; /* `use` may read specs that do not lie below the spec's folder */
};

struct spec_tensor { /* an input or a target */
    const char *name;
    struct span span;
    int rank;
    int64_t dim[3]; /* without N: inputs [C, H, W] or [C]; targets as their type has it */
    /* targets only */
    const struct rnc_target_type *type;
    const struct rnc_target_type *picture; /* as which type a picture's label or mask gives it; NULL: arrays alone do */
    bool binary;                           /* its numbers are from 0 to 1: its type or a loss says so */
    int64_t ignore;                        /* of classes: the label that counts for nothing; -1 none */
    bool faulty;                           /* an error was reported: no loss is checked with it */
    bool ignores;                          /* the spec says so */
    const char *positive; /* the class that is 1; NULL: the data's names of classes say which (rnc_target_positive) */
    struct rnc_image_rules image; /* inputs [C, H, W]: what the spec says of its images */
};

struct spec_train {
    struct rnc_choice data; /* runtime/recipe/format.h; row NULL: not given */
    struct span data_span;
    int64_t batch, epochs;
    struct rnc_choice optimizer;      /* runtime/recipe/optimizer.h */
    struct rnc_choice schedule;       /* runtime/recipe/schedule.h */
    const struct rnc_choice *augment; /* in their order */
    int naugment;
};

struct spec_param {
    const char *name, *value;
    struct span span;
}; /* after overrides, as text */

struct ast; /* spec/ast.h */
struct spec {
    const char *name;    /* model: */
    const char *version; /* rnc: */
    const struct source *source;
    const struct spec_param *params;
    int nparams;
    const struct spec_tensor *inputs;
    int ninputs;
    struct spec_tensor *targets;
    int ntargets;
    int nlosses;
    const char *const *classes;
    struct span classes_span;
    int nclasses; /* optional `classes:` list of names at the top level; NULL */
    const struct rnc_metric *const *metrics;
    const struct span *metric_spans; /* where each stands */
    int nmetrics;
    double accuracy;  /* `accuracy:`, the largest rms error relative to double of a layer's algorithm
                         (kernel/accuracy.h); 0:       exact */
    enum dtype dtype; /* `dtype:`, how activations and their gradients are stored */
    struct spec_train train;
    struct ast *ast;
};

/* Reads and checks PATH ("-": stdin; a bare name such as resnet50: looked for as a path, then among the shipped specs).
   NULL when anything is wrong; all errors are in D. */
struct spec *spec_load(struct arena *a, struct diags *d, const char *path, const struct spec_options *o);
/* The same of a text in memory. The caller keeps its text, and its path as diagnostics show it, for as long as the
 * arena. */
struct spec *spec_load_text(struct arena *a, struct diags *d, const struct source *src, const struct spec_options *o);
/* The names of the shipped specs, NULL-terminated; and a shipped file's text by name ("resnet50"), or NULL. */
const char *const *spec_shipped(void);
const struct source *spec_shipped_source(struct arena *a, const char *name);
/* `rnc expand`: the spec with every block, repeat, parameter and default written out; the text is itself a valid spec.
 */
bool spec_expand(struct spec *s, struct diags *d, struct buf *out);
/* `rnc schema`: a JSON Schema (draft 2020-12) of the language, from the operator table. */
void spec_schema(struct buf *out);

#endif
