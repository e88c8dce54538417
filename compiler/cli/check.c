/* check.c: rnc check SPEC…: every error of every spec in one run. */
#include <stdio.h>
#include "cli/cli.h"
#include "driver/account.h"
#include "spec/ast.h"

static bool meant_for_training(const struct spec *s) { return s->ntargets > 0 || s->train.data_span.src; }

static void check_one(struct cli *c, const char *path)
{
    struct graph *g;
    struct spec *s = cli_check(c, path, &g);
    if (!s) return;
    printf("%s: %s is sound: %d layers, %lld parameters%s\n", path, s->name, s->ast->nlayers,
           (long long)driver_account(c->arena, g).parameters,
           s->nlosses || !meant_for_training(s) ? "" : "; it has no loss, and cannot be trained");
}

static int run_check(struct cli *c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) check_one(c, argv[i]);
    fflush(stdout);
    return cli_finish(c);
}

const struct command command_check = {
    .name = "check",
    .group = GROUP_WRITE,
    .place = 1,
    .summary = "find every error of specs",
    .usage = "SPEC…",
    .details =
        "Reads each spec, expands it, and checks every shape. All errors are reported in one run, with their places.\n"
        "A SPEC is a file, `-`, or the name of a shipped spec.\n",
    .shared = CLI_SPEC,
    .min_args = 1,
    .max_args = -1,
    .run = run_check,
};
