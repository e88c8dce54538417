/* expand.c: rnc expand SPEC: the spec with every block, repeat, parameter and default written out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

/* The shapes are checked, too: what is printed is a sound spec. */
static bool expand(struct cli *c, const char *path, struct buf *out)
{
    struct spec *s = cli_check(c, path, NULL);
    return s && spec_expand(s, c->diags, out);
}

static int run_expand(struct cli *c, int argc, char **argv)
{
    (void)argc;
    struct buf b;
    buf_init(&b, c->arena);
    if (expand(c, argv[0], &b) && (fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout) != 0))
        diag_env(c->diags, "can't write the spec: %s", strerror(errno));
    return cli_finish(c);
}

const struct command command_expand = {
    .name = "expand",
    .group = GROUP_WRITE,
    .place = 3,
    .summary = "print a spec with everything written out",
    .usage = "SPEC",
    .details =
        "Every block, stage, used spec, parameter and default is written out. What is printed is itself a spec,\n"
        "of the same layers and the same names of parameters.\n",
    .shared = CLI_SPEC,
    .min_args = 1,
    .max_args = 1,
    .run = run_expand,
};
