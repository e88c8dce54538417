/* options.h: one table-driven parser for every command's options and the shared ones. */
#ifndef RNC_CLI_OPTIONS_H
#define RNC_CLI_OPTIONS_H

#include <jansson.h>
#include "cli/cli.h"

/* Reads the words after the command's name: sets C's shared fields and the command's own variables, and leaves the
   positional arguments in ARGV[0 … return value). -1 after diagnostics. HELP: --help was among the words. */
int options_parse(struct cli *c, const struct command *cmd, int argc, char **argv, bool *help);
/* `rnc COMMAND --help`. */
void options_help(struct arena *a, const struct command *cmd);
/* One command of `rnc help --json`: {name, summary, usage, options: [{name, kind, min, max, words, …}]}. */
json_t *options_json(struct arena *a, const struct command *cmd);

/* "NAME=file" of a list option; with no '=', NAME is NULL and the whole is the file. */
struct named_file {
    const char *name, *path;
};
struct named_file option_named_file(struct arena *a, const char *item);

#endif
