/* model.c: from the command line's options to a driver's, and a compiled model. */
#include <string.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "kernel/algorithm.h"

/* Of an algorithm: "f" and its output tile. */
const char *cli_winograd_choices(struct arena *a)
{
    struct buf b;
    buf_init(&b, a);
    buf_puts(&b, "auto, off");
    for (const struct algorithm *row = algorithm_all(); row->name; row++)
        if (row->tile) buf_printf(&b, ", f%d", row->tile);
    return b.data;
}

static bool winograd_option(struct cli *c, int *out)
{
    const char *given = c->winograd ? c->winograd : "auto";
    *out = strcmp(given, "auto") == 0 ? WINOGRAD_AUTO : WINOGRAD_OFF;
    if (*out == WINOGRAD_AUTO || strcmp(given, "off") == 0) return true;
    for (const struct algorithm *a = algorithm_all(); a->name; a++) {
        *out = a->tile;
        if (a->tile && strcmp(given, arena_printf(c->arena, "f%d", a->tile)) == 0) return true;
    }
    struct diag *d = diag_error(c->diags, (struct span){0}, "--winograd cannot be '%s'", given);
    diag_note(d, "it is one of %s", cli_winograd_choices(c->arena));
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
