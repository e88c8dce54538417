/* cli.h: what the subcommands share. One file for each subcommand defines one `const struct command command_<name>`;
   main.c lists them. Only cli/ prints and only cli/ decides exit statuses: 0 done, 1 the user's input is wrong, 2 the
   environment failed. */
#ifndef RNC_CLI_CLI_H
#define RNC_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include "driver/driver.h"

enum option_kind {
    OPT_SECONDS /* double, from a time with its unit */,
    OPT_FLAG /* bool */,
    OPT_INT /* int64_t */,
    OPT_FLOAT /* double */,
    OPT_WORD /* const char *, one of its words */,
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
    bool *given;                 /* set to true if the option is given; may be NULL */
    int64_t min, max;            /* OPT_INT: what it may be */
    double least, most;          /* OPT_FLOAT, OPT_SECONDS: likewise */
    bool above;                  /* … but not LEAST itself */
    const char *const *words;    /* OPT_WORD: NULL ends them */
    const struct rnc_kind *rows; /* the names of its rows stand before the help; NULL: none do */
};

/* What `rnc --version` says, and every run. */
#define RNC_VERSION "0.1"

struct cli {
    struct driver
        *driver; /* what the command works with; options go into driver->options, some at once, some by cli_load */
    struct arena *arena; /* the driver's */
    struct diags *diags; /* the driver's */
    const struct command *command;
    bool color;               /* stderr is a terminal (and NO_COLOR is not set) */
    bool json;                /* --json */
    struct spec_options spec; /* -p, --set */
    struct text_list words;   /* the command line as it was typed, from the command on */
    const char *run;          /* the folder of a run that was given for a spec (cli/folder.h); NULL */
    /* As they were given; NULL: not at all */
    const char *memory_budget, *cpu, *triple /* --target */, *winograd;
    bool no_cache;   /* --no-cache */
    bool seed_given; /* --seed */
    bool tune_given; /* --tune */
    double tune;     /* in seconds */
};

enum {
    CLI_SPEC = 1,
    CLI_JSON = 2,
    CLI_RUN = 4
}; /* which shared options: -p --set --batch --dtype; --json; --threads --seed --cpu --winograd --tune --no-cache */
/* How `rnc help` groups commands. */
enum command_group {
    GROUP_OTHER, /* comes last */
    GROUP_WRITE,
    GROUP_USE,
    GROUP_MEASURE,
    GROUP_RNC
};
struct command {
    const char *name, *summary; /* one line for `rnc help` */
    enum command_group group;
    int place;           /* in its group, from 1 */
    const char *usage;   /* "SPEC [--train] [-o FILE]" */
    const char *details; /* paragraphs and examples for --help, or NULL */
    unsigned shared;     /* CLI_* */
    const struct option *options;
    int noptions;
    int min_args, max_args;                           /* positional; -1: any number */
    int (*run)(struct cli *c, int argc, char **argv); /* positionals only; returns the exit status */
};

enum { CLI_MEMORY = 8 }; /* --memory-budget */
/* cli/memory.c: struct pass_context's memory_budget from --memory-budget. False with diagnostics. */
bool cli_memory(struct cli *c, size_t *out);

/* Prints the diagnostics to stderr, with --json a JSON object a line, and returns the exit status they mean (0 when
 * there are none). */
int cli_finish(struct cli *c);

/* cli/model.c: what --winograd takes: auto, off, f2, …, NULL; in A. */
const char *const *cli_winograd_words(struct arena *a);
/* The spec of PATH, which may be the folder of a run (cli/folder.h: c->run), with driver_sound's graph in *RAW (NULL:
   not wanted). NULL with every error of it. */
struct spec *cli_check(struct cli *c, const char *path, struct graph **raw);
/* Reads the options that say how a spec is compiled into c->driver->options, then cli_check. */
struct spec *cli_load(struct cli *c, const char *path);
/* driver_compile, for this machine. False with diagnostics. */
bool cli_compile(struct cli *c, const struct spec *s, const struct model_options *o, struct built *b);

/* cli/target.c: the machine that c->cpu and c->triple name; false with diagnostics. "help": prints what is known and
   exits. */
bool cli_target(struct cli *c, struct target *t);
/* False with a diagnostic: another architecture's code. */
bool cli_target_runs_here(struct cli *c, const struct target *t);

/* cli/dtype.c: false with a diagnostic where --dtype is none. */
bool cli_dtype_option(struct cli *c);

/* cli/cache.c: whether and where compiled models are kept, by --no-cache and the environment (RNC_CACHE, RNC_CACHE_DIR,
   RNC_CACHE_SIZE); into the driver's options. False with diagnostics. */
bool cli_cache(struct cli *c);

/* cli/tune.c: --tune, into the driver's options. After cli_target and cli_cache. */
void cli_tune(struct cli *c);

#endif
