/* driver.h: the compiler as a library: load a spec once, compile it for as many modes as are wanted, open what was
   compiled, run it. Prints nothing and never exits (but where memory runs out, base/arena.h): what is wrong goes into
   the driver's diagnostics, and the call returns NULL or false.

       struct driver *d = driver_new();
       d->options.threads = 2;
       const struct spec *s = driver_load(d, "resnet18", NULL);
       struct built b;
       struct session run;
       if (s && driver_compile(d, s, &(struct model_options){.batch = 1}, &b) &&
           driver_open(d, &b, &(struct open_options){.weights = "resnet18.safetensors"}, &run))
           driver_run(d, &run, &(struct rnc_run){.n = 1}, in, out);
       diags_print(d->diags, stderr, false);
       session_close(&run);
       driver_release(&b);
       driver_free(d);

   Ownership: specs, graphs and buffers live in the driver's arena, until driver_free; struct built and struct session
   hold more than memory and are given back by driver_release and session_close, sessions first.
   Threads: a driver, and all that came of it, is used by one thread at a time; drivers are independent. */
#ifndef RNC_DRIVER_DRIVER_H
#define RNC_DRIVER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/diag.h"
#include "base/strmap.h"
#include "base/target.h"
#include "driver/session.h"
#include "gen/gen.h"
#include "ir/graph.h"
#include "pass/pass.h"
#include "spec/spec.h"

/* What takes long and is going on, for a display: 0 of 1 at its begin and 1 of 1 at its end; of finite differences how
   many of how many, and 0 of 0 at their end. */
enum driver_activity { DRIVER_TUNING, DRIVER_DIFFERENCES, DRIVER_MEASURING, DRIVER_CHECKING };

/* All zero: the defaults. To be set before the first call that they matter to. */
struct driver_options {
    struct target target;        /* whose code; no lanes: this machine's */
    const char *dtype;           /* how activations are stored, one of dtype_choices; NULL: as the spec says */
    int64_t batch;               /* 0: 1 for inference, else the spec's train.batch */
    int64_t threads;             /* of compiling and running; 0: one for each CPU. Never changes a bit of a result */
    uint64_t seed;               /* of everything random */
    int winograd;                /* WINOGRAD_AUTO (0), WINOGRAD_OFF, or the tile: 2, 4, 5, 6 */
    size_t memory_budget;        /* of training steps: MEMORY_AUTO (0), MEMORY_KEEP, or bytes, weights and all */
    const char *cache_dir;       /* where compiled models, and what the tuner learns, are kept; NULL: nowhere */
    uint64_t cache_bytes;        /* and how many bytes of models at most */
    bool tune;                   /* algorithms by the tuner's measurements (measure/tuner.h) */
    double tune_seconds;         /* for all graphs of this driver; 0: by what it has learnt before */
    const struct strmap *replay; /* algorithm_key -> the algorithm that an earlier run took; NULL */
    /* Called from time to time during long work; may be NULL. */
    void (*progress)(void *ctx, enum driver_activity what, int64_t done, int64_t of);
    void *progress_ctx;
};

struct driver {
    struct arena *arena;
    struct diags *diags;
    struct driver_options options;
    struct tuner *tuner; /* made by the first graph, where options.tune says so */
    double load_ms;      /* of driver_load; goes into the parse_ms of the first graph */
    bool told_dtype;     /* what bf16 does on this CPU has been said */
};

struct driver *driver_new(void);
void driver_free(struct driver *d); /* NULL: nothing */
/* A driver on D's arena, options and tuner, with its own diagnostics, which are discarded: for what may fail without
   being an error. Not to be freed. */
struct driver driver_quiet(const struct driver *d);

/* For the driver's own files: tells who watches. */
void driver_progress(const struct driver *d, enum driver_activity what, int64_t done, int64_t of);

/* The spec of PATH: a file, the name of a shipped one, "-": standard input. It is read once and serves all modes. O:
   values for its parameters and overrides; NULL: none. NULL with every error that the text holds; driver/sound.h finds
   those of shapes, losses and training. */
struct spec *driver_load(struct driver *d, const char *path, const struct spec_options *o);
/* The same, but what could be made of a faulty spec comes back too, so that driver_elaborate can find the rest of the
   errors. NULL when there is nothing to go on with. The caller looks at diags_errors. */
struct spec *driver_load_partial(struct driver *d, const char *path, const struct spec_options *o);
/* The spec whose text is TEXT (LEN bytes; the caller keeps it for as long as the driver lives); NAME: what diagnostics
   call it. Specs that it uses are looked for in the working directory, then among the shipped ones. */
struct spec *driver_load_text(struct driver *d, const char *name, const char *text, size_t len,
                              const struct spec_options *o);

enum model_mode {
    MODEL_INFER,
    MODEL_GRAD /* forward and backward, gradients as outputs "grad.…" */,
    MODEL_TRAIN /* with the optimizer's update */
};
struct model_options {
    enum model_mode mode;
    int64_t batch;           /* 0: as the driver's options say */
    bool losses;             /* MODEL_INFER: also targets, and the losses as an output; the other modes have them */
    bool measured;           /* with losses: each of them alone, and every value that is measured, are outputs, too */
    bool input_grads;        /* MODEL_GRAD: also those of the inputs */
    const char *const *dump; /* layers whose outputs become outputs too, by path or label */
    int ndump;
    struct buf *report; /* the passes' summary lines, or NULL */
    const char *until;  /* driver_graph: the last pass; NULL: all of the pipeline */
};

/* A spec in one mode, as far as it has come. */
struct built {
    const struct spec *spec;
    struct graph *raw, *graph; /* as the spec says it, and after the passes */
    struct target target;
    struct program *program;       /* its code, from driver_generate on */
    const struct rnc_model *model; /* linked into this process */
    double parse_ms, pass_ms, compile_ms;
};

/* The graph as the spec says it, before any pass. NULL with diagnostics. */
struct graph *driver_elaborate(struct driver *d, const struct spec *s, const struct model_options *o);
/* And after the passes: raw, graph, target. False with diagnostics. */
bool driver_graph(struct driver *d, const struct spec *s, const struct model_options *o, struct built *b);
/* And code that is linked into this process. False with diagnostics: *B holds no code then, but its graphs. */
bool driver_compile(struct driver *d, const struct spec *s, const struct model_options *o, struct built *b);
void driver_release(struct built *b); /* the code; graphs and spec stay */

/* Code of the graph in B (driver_graph), which may be another machine's. */
struct generate_options {
    bool object;                  /* one object with everything, for driver_object */
    struct gen_contents contents; /* of that object: weights from driver_pack, class names, preprocessing */
    bool unlinked;                /* the model is not loaded into this process */
    struct buf *llvm, *assembly;  /* where the text of the modules goes; NULL: nowhere. Implies object */
};
bool driver_generate(struct driver *d, struct built *b, const struct generate_options *o);
/* The weights in the safetensors file WEIGHTS as the code of B (driver_graph) wants them, on any machine: *STATE, until
   session_close. False with diagnostics; *S is empty then. */
bool driver_pack(struct driver *d, const struct built *b, const char *weights, struct session *s, const void **state);
/* The object file's bytes (generate_options.object), until driver_release. */
const void *driver_object(const struct built *b, size_t *size);
/* Appends to B the C header that declares the object's model, its buffers and its weights. C: what the object contains;
   IMAGES: the text of its preprocessing, or NULL. */
void driver_header(const struct built *m, const struct gen_contents *c, const char *images, struct buf *b);
/* Does TEXT, a file's first LEN bytes, begin as what driver_header writes? */
bool driver_is_header(const char *text, size_t len);
/* Before driver_generate: names the model of an object NAME (NULL: as the spec does). False with diagnostics where that
   makes no symbol, or one of the runtime's. */
bool driver_name(struct driver *d, struct built *b, const char *name);

/* ---- running */

struct open_options {
    const char *weights; /* a safetensors file; NULL: fresh parameters, by the options' seed */
    bool perturb;        /* without weights: what is fresh as zeros and ones (biases, batch norm) is random, too: a bias
                            of zero hides its mistakes */
    bool same_sign;      /* fresh parameters without a sign, of a size that keeps activations as they are */
    unsigned flags;      /* RNC_EXEC_…; RNC_EXEC_CHECK is added in debug builds and where RNC_VERIFY is set */
};
/* An instance of the model with threads of its own. False with diagnostics; *S is empty then. */
bool driver_open(struct driver *d, const struct built *b, const struct open_options *o, struct session *s);
/* One call of the model; IN and OUT by the tensors' offset, plain row-major (driver_random_inputs, driver_outputs).
   False with a diagnostic. */
bool driver_run(struct driver *d, struct session *s, const struct rnc_run *run, const void *const *in,
                void *const *out);
/* The flags that every instance is opened with. */
unsigned driver_exec_flags(void);
/* The runtime's failure as a diagnostic; returns false. */
bool driver_fail(struct driver *d, const struct rnc_status *st);

/* Buffers for the model in the arena, by index: outputs zeroed; inputs and targets random (normal inputs, uniform
   targets, labels that the loss takes), the same for the same seed. */
void **driver_outputs(struct driver *d, const struct built *b);
void **driver_random_inputs(struct driver *d, const struct built *b);
/* The same without signs. */
void **driver_positive_inputs(struct driver *d, const struct built *b);

#endif
