/* cli.h: what the subcommands share. One file for each subcommand defines one `const struct command command_<name>`;
   main.c lists them. Only cli/ prints and only cli/ decides exit statuses: 0 done, 1 the user's input is wrong, 2 the
   environment failed. */
#ifndef RNC_CLI_CLI_H
#define RNC_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/diag.h"
#include "base/target.h"
#include "gen/gen.h"
#include "ir/graph.h"
#include "pass/pass.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/pool.h"
#include "spec/spec.h"

enum option_kind {
    OPT_SECONDS /* double, from a time with its unit */,
    OPT_FLAG /* bool */,
    OPT_INT /* int64_t */,
    OPT_FLOAT /* double */,
    OPT_TEXT /* const char * */,
    OPT_LIST /* struct text_list */
};
struct text_list {
    const char **items;
    int count;
};

/* One option: "--batch N". DEST points at a variable of the kind's type, static in the command's file. */
struct option {
    const char *name; /* "batch", without the dashes */
    char letter;      /* 'p' for -p, or 0 */
    enum option_kind kind;
    const char *arg; /* "N", shown in the help; NULL for flags */
    const char *help;
    void *dest;
    int64_t min, max; /* OPT_INT, when min < max */
};

struct cli {
    struct arena *arena;
    struct diags *diags;
    bool color; /* stderr is a terminal (and NO_COLOR is not set) */
    bool json;  /* --json */
    /* The options that every command taking a SPEC has: -p, --set, --batch, --dtype, --threads, --seed, --cpu */
    struct spec_options spec;
    int64_t batch;             /* 0: not given */
    const char *memory_budget; /* --memory-budget; NULL: not given */
    int64_t threads;           /* 0: one for each CPU */
    int64_t seed;
    const char *cpu;      /* NULL: the host, or the least of the target */
    const char *triple;   /* --target; NULL: that of the CPU */
    const char *dtype;    /* --dtype; NULL: the spec's */
    bool told_dtype;      /* what it does on this CPU has been said */
    const char *winograd; /* auto, off, f2, f4, f5, f6; NULL: auto */
    bool no_cache;        /* --no-cache */
    double tune;          /* --tune, seconds; less than 0: not given */
    struct tuner *tuner;  /* of this command, for all its models; made by cli_tune */
    const struct strmap
        *replay; /* algorithm_key -> the algorithm that an earlier run took (pass/algorithm/algorithm.h); NULL */
};

enum {
    CLI_SPEC = 1,
    CLI_JSON = 2,
    CLI_RUN = 4
}; /* which shared options: -p --set --batch --dtype; --json; --threads --seed --cpu --winograd --tune --no-cache */
struct command {
    const char *name, *summary; /* one line for `rnc help` */
    const char *usage;          /* "SPEC [--train] [-o FILE]" */
    const char *details;        /* paragraphs and examples for --help, or NULL */
    unsigned shared;            /* CLI_* */
    const struct option *options;
    int noptions;
    int min_args, max_args;                           /* positional; -1: any number */
    int (*run)(struct cli *c, int argc, char **argv); /* positionals only; returns the exit status */
};

enum { CLI_MEMORY = 8 }; /* --memory-budget */
/* cli/memory.c: struct pass_context's memory_budget from --memory-budget. False with diagnostics. */
bool cli_memory(struct cli *c, size_t *out);

/* Prints the diagnostics to stderr and returns the exit status they mean (0 when there are none). */
int cli_finish(struct cli *c);

/* Spec -> raw graph -> passes -> native code -> loaded model, with diagnostics in c->diags. */
enum model_mode {
    MODEL_INFER,
    MODEL_GRAD /* forward and backward, gradients as outputs */,
    MODEL_TRAIN /* with the update */
};
struct model_options {
    enum model_mode mode;
    int64_t batch;
    bool losses; /* MODEL_INFER: also targets, and the losses as an output; the other modes have them */
    bool input_grads;
    const char *const *dump;
    int ndump;
    struct buf *report; /* the passes' summary lines, or NULL */
    const char *until;  /* stop after this pass; NULL: the whole way */
};
struct built {
    struct spec *spec;
    struct graph *raw, *graph; /* ir-raw (a clone), and after the passes */
    struct program *program;
    const struct rnc_model *model;
    struct target target;
    double parse_ms, pass_ms, compile_ms;
};
/* cli/model.c. Each returns false with diagnostics. */
bool cli_graph(struct cli *c, const char *spec, const struct model_options *o,
               struct built *b); /* up to the planned graph */
bool cli_build(struct cli *c, const char *spec, const struct model_options *o, struct built *b); /* and loaded code */
void cli_built_free(struct built *b);

/* cli/target.c: the machine that c->cpu and c->triple name; false with diagnostics. "help": prints what is known and
   exits. */
bool cli_target(struct cli *c, struct target *t);
/* False with a diagnostic: another architecture's code. */
bool cli_target_runs_here(struct cli *c, const struct target *t);

/* cli/dtype.c: --dtype becomes the spec's `dtype`. False with a diagnostic. */
bool cli_dtype_option(struct cli *c);
/* A warning, once a command, where T's CPU has no products of bf16 and S asks for bf16. */
void cli_dtype_note(struct cli *c, const struct spec *s, const struct target *t);

/* cli/cache.c: whether and where compiled models are kept, by --no-cache and the environment (RNC_CACHE, RNC_CACHE_DIR,
   RNC_CACHE_SIZE); into O's cache_dir and cache_bytes. False with diagnostics. */
bool cli_cache(struct cli *c, struct gen_options *o);

/* cli/tune.c: where costs come from, by --tune and c->replay, into PC. False with diagnostics. */
bool cli_tune(struct cli *c, const struct target *t, struct pass_context *pc);
/* A line for the passes' REPORT (may be NULL) on what the tuner did. */
void cli_tuned(const struct cli *c, struct buf *report);

#endif
