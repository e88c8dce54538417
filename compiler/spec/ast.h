/* ast.h: a spec after checking and expansion. Two things live here: the parsed file (struct spec_file: parameters,
   blocks, shared modules, still as written), and what it comes to (struct ast: a flat list of layers, every block,
   stage, match and parameter written out), which is what build/ reads and `rnc expand` prints. */
#ifndef RNC_SPEC_AST_H
#define RNC_SPEC_AST_H

#include <limits.h>
#include "base/strmap.h"
#include "ir/graph.h"
#include "ir/op.h"
#include "spec/convention.h"
#include "spec/spec.h"
#include "spec/yaml.h"

enum {
    AST_MAX_LAYERS = 20000,   /* after expansion */
    AST_MAX_STEPS = 100000,   /* layers, blocks and rounds of stages walked */
    AST_MAX_NESTING = 32,     /* of blocks, branches and used specs */
    AST_MAX_ERRORS = 100,     /* reported in one run */
    AST_MAX_INPUTS = 64,      /* of one layer */
    AST_MAX_NUMBER = 1 << 20, /* of an operator's integer attribute */
};

/* A value in the flat list: >= 0 the layer of that index, REF_INPUT(i) the spec's input i. */
enum { REF_NONE = INT_MIN, REF_BAD = INT_MIN + 1 /* an error was reported where it should have come from */ };
#define REF_INPUT(i) (-1 - (i))
#define REF_INPUT_INDEX(ref) (-1 - (ref))

/* How a layer came to be where it is: "in block basic, used at line 55". */
struct frame {
    const struct frame *parent;
    const char *what;          /* "block basic", "stage layer1", "the module class_head", "the spec resnet50" */
    struct span span;          /* where it is used */
    const char *block, *stage; /* the block's name and the stage's that repeats it, or NULL */
};

enum pad_mode { PAD_GIVEN, PAD_SAME, PAD_VALID };

struct flat_layer {
    const struct op_def *op;
    struct attr *attr;                     /* op->nattr, defaults filled in */
    struct span *attr_span;                /* where each was written; src NULL: a default */
    uint8_t *pad_mode;                     /* enum pad_mode of each QUAD */
    const struct convention_row **changes; /* of each attribute: the default that a later version has; NULL: the same */
    const char *path;                      /* unique: layer1.0.conv1, layer1.0.relu.1 */
    const char *param_path; /* prefix of its parameters' names; the same for every application of a shared module */
    const char *label;      /* `as` at the top level of the main spec (or a tap), or NULL */
    int nin, *in;           /* refs, in the operator's order */
    int like;               /* a ref whose shape is copied (resize), or REF_NONE */
    struct span span;       /* of the operator's key */
    const struct frame *frame;
    int application; /* index in ast->applications, or -1 */
    bool used_spec;  /* came from another spec: may be dropped when nothing needs it */
    bool bad;        /* an error was reported */
};

/* A shape that somebody asserts: `expect`, or the input of a used spec. */
struct flat_check {
    int ref, rank;
    int64_t dim[3]; /* without N */
    struct span span;
    const struct frame *frame;
    const char *spec, *input; /* of a used spec, or NULL */
};

/* A shared module applied to one input: the layers [first, end). */
struct flat_application {
    const char *module, *path, *own_path /* head.conv@1 */;
    struct span span;
    int first, end, in, out;
    bool repeated;
};

struct flat_loss {
    const struct op_def *op;
    struct attr *attr;
    struct span span;
    int from;          /* ref */
    const char *label; /* what the spec calls it */
    int target;        /* index in spec->targets */
};

struct flat_output {
    const char *label;
    int ref;
    struct span span;
};

struct ast {
    struct flat_layer *layers;
    int nlayers, cap_layers;
    struct flat_check *checks;
    int nchecks, cap_checks;
    struct flat_application *applications;
    int napplications, cap_applications;
    struct flat_loss *losses;
    int nlosses;
    struct flat_output *outputs;
    int noutputs;
    struct strmap labels;   /* top-level labels of the main spec -> int * (ref) */
    struct strmap paths;    /* every layer's path -> int * (index) */
    struct strmap groups;   /* every block's, stage's and module's path -> int * (ref of its output) */
    struct strmap counters; /* "layer1.0.relu" -> int *: how many layers without a name have it */
    int steps;              /* of expansion, capped */
    bool full;              /* a cap was hit: nothing more is made */
    bool allow_outside;     /* struct spec_options */
};

/* ---- values */

enum ast_type { AST_INT, AST_NUMBER, AST_BOOL, AST_TEXT, AST_LABEL };

struct ast_value {
    enum ast_type type;
    bool known; /* false while a block is checked without being used */
    int64_t i;
    double f;
    bool b;
    const char *s;
    int ref; /* AST_LABEL */
};

struct ast_param {
    const char *name;
    struct span span;
    enum ast_type type;
    const struct tree *def; /* NULL: required */
    struct ast_value *one_of;
    int none_of;
    bool has_min, has_max;
    double min, max;
    int64_t multiple_of; /* 0: none */
};

struct ast_block {
    const char *name;
    struct span span;
    struct ast_param *params;
    int nparams;
    const struct tree *layers;
    bool expanding;
};
struct ast_module {
    const char *name, *path;
    struct span span;
    const struct tree *layers;
    int applied;
};

/* One file. */
struct spec_file {
    struct arena *arena;
    struct diags *diags;
    const struct source *source;
    const char *folder; /* of the file, for `use` */
    const struct tree *root;
    const char *name; /* model: */
    struct convention_choice convention;
    struct ast_param *params;
    int nparams;
    struct ast_value *values; /* of params, after overrides */
    bool unknown;             /* one of them is faulty: the layers can't be expanded */
    struct ast_block *blocks;
    int nblocks;
    struct ast_module *modules;
    int nmodules;
    struct spec_tensor *inputs;
    int ninputs;
    struct ast *ast;              /* shared with the specs it uses */
    const struct spec_file *user; /* the spec that uses this one, or NULL */
};

/* An error of this file; NULL (notes are ignored then) after AST_MAX_ERRORS. */
struct diag *file_error(const struct spec_file *f, struct span at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A note that lists NAMES: "attributes: out, kernel, …", after a did-you-mean if one is near WORD (NULL: none). */
void file_suggest(const struct spec_file *f, struct diag *g, const char *word, const char *what,
                  const char *const *names, size_t count);

/* spec_load, but what could be made of a faulty spec comes back too (layers with errors are marked), so that
   build_graph can find the rest of the errors. NULL when there is nothing to go on with. The caller looks at
   diags_errors. */
struct spec *spec_load_partial(struct arena *a, struct diags *d, const char *path, const struct spec_options *o);

#endif
