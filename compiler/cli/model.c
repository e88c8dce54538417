/* model.c: from the command line's options to a driver's, and a compiled model. */
#include <string.h>
#include "cli/cli.h"
#include "cli/folder.h"
#include "driver/sound.h"
#include "kernel/algorithm.h"

/* Of an algorithm: "f" and its output tile. */
static const char *winograd_word(struct arena *a, const struct algorithm *row)
{
    return row->tile ? arena_printf(a, "f%d", row->tile) : NULL;
}

const char *const *cli_winograd_words(struct arena *a)
{
    int room = 3, n = 0;
    for (const struct algorithm *row = algorithm_all(); row->name; row++) room++;
    const char **words = ARENA_ARRAY(a, const char *, room);
    words[n++] = "auto";
    words[n++] = "off";
    for (const struct algorithm *row = algorithm_all(); row->name; row++)
        if (row->tile) words[n++] = winograd_word(a, row);
    words[n] = NULL;
    return words;
}

/* The option's word is one of the above. */
static int winograd_option(struct cli *c)
{
    const char *given = c->winograd ? c->winograd : "auto";
    for (const struct algorithm *row = algorithm_all(); row->name; row++)
        if (row->tile && strcmp(given, winograd_word(c->arena, row)) == 0) return row->tile;
    return strcmp(given, "off") == 0 ? WINOGRAD_OFF : WINOGRAD_AUTO;
}

struct spec *cli_check(struct cli *c, const char *path, struct graph **raw)
{
    const int before = diags_errors(c->diags);
    struct spec *s = driver_load_partial(c->driver, folder_spec(c, path), &c->spec);
    struct graph *g = s ? driver_sound(c->driver, s) : NULL;
    if (raw) *raw = g;
    return g && diags_errors(c->diags) == before ? s : NULL;
}

struct spec *cli_load(struct cli *c, const char *path)
{
    struct driver_options *o = &c->driver->options;
    o->winograd = winograd_option(c);
    if (!cli_target(c, &o->target) || !cli_memory(c, &o->memory_budget)) return NULL;
    if ((c->command->shared & CLI_RUN) && !cli_cache(c)) return NULL;
    cli_tune(c);
    return cli_check(c, path, NULL);
}

bool cli_compile(struct cli *c, const struct spec *s, const struct model_options *o, struct built *b)
{
    *b = (struct built){0};
    return cli_target_runs_here(c, &c->driver->options.target) && driver_compile(c->driver, s, o, b);
}
