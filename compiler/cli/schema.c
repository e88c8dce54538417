/* schema.c: rnc schema: a JSON Schema of the spec language, for editors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

static int run_schema(struct cli *c, int argc, char **argv)
{
    (void)argc, (void)argv;
    struct buf b;
    buf_init(&b, c->arena);
    spec_schema(&b);
    if (fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
        diag_env(c->diags, "can't write the schema: %s", strerror(errno));
    return cli_finish(c);
}

const struct command command_schema = {
    .name = "schema",
    .group = GROUP_WRITE,
    .place = 4,
    .summary = "print a JSON Schema of the spec language",
    .usage = "",
    .details = "For editors that complete and check YAML by a schema (draft 2020-12). With the YAML language server,\n"
               "save it and begin a spec with\n"
               "  # yaml-language-server: $schema=rnc.schema.json\n",
    .run = run_schema,
};
