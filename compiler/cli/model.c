/* model.c: from the command line's options to a driver's, and a compiled model. */
#include <string.h>
#include "cli/cli.h"

static bool winograd_option(struct cli *c, int *out)
{
    static const char *const names[] = {"auto", "off", "f2", "f4", "f5", "f6"};
    static const int values[] = {WINOGRAD_AUTO, WINOGRAD_OFF, 2, 4, 5, 6};
    const char *given = c->winograd ? c->winograd : "auto";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(given, names[i])) {
            *out = values[i];
            return true;
        }
    struct diag *d = diag_error(c->diags, (struct span){0}, "--winograd cannot be '%s'", given);
    diag_note(d, "it is one of auto, off, f2, f4, f5, f6");
    return false;
}

struct spec *cli_load(struct cli *c, const char *path)
{
    struct driver_options *o = &c->driver->options;
    if (!cli_target(c, &o->target) || !winograd_option(c, &o->winograd) || !cli_memory(c, &o->memory_budget))
        return NULL;
    if ((c->command->shared & CLI_RUN) && !cli_cache(c)) return NULL;
    cli_tune(c);
    return driver_load(c->driver, path, &c->spec);
}

bool cli_compile(struct cli *c, const struct spec *s, const struct model_options *o, struct built *b)
{
    *b = (struct built){0};
    return cli_target_runs_here(c, &c->driver->options.target) && driver_compile(c->driver, s, o, b);
}
