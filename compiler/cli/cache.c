/* cache.c: `rnc cache`, and where compiled models are kept. */
#include "gen/module/cache.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/memory.h"
#include "cli/format.h"
#include "measure/tuner.h"

static bool opt_clear;

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Relative paths are to be ignored, says the XDG base directory specification. */
static const char *absolute(const char *name)
{
    const char *value = environment(name);
    return value && value[0] == '/' ? value : NULL;
}

static const char *folder(struct arena *a)
{
    const char *own = environment("RNC_CACHE_DIR"), *xdg = absolute("XDG_CACHE_HOME"), *home = absolute("HOME");
    return own ? own : xdg ? arena_printf(a, "%s/rnc", xdg) : home ? arena_printf(a, "%s/.cache/rnc", home) : NULL;
}

static bool size_cap(struct cli *c, uint64_t *out)
{
    const char *given = environment("RNC_CACHE_SIZE");
    *out = UINT64_C(1) << 30;
    if (!given || memory_size(given, out)) return true;
    diag_note(diag_error(c->diags, (struct span){0}, "RNC_CACHE_SIZE: '%s' is not a size", given),
              "for example RNC_CACHE_SIZE=500MiB");
    return false;
}

static bool switched_off(struct cli *c, bool *out)
{
    const char *given = environment("RNC_CACHE");
    *out = c->no_cache || (given && strcmp(given, "off") == 0);
    if (!given || *out || strcmp(given, "on") == 0) return true;
    diag_note(diag_error(c->diags, (struct span){0}, "RNC_CACHE: there is no '%s'", given), "it is on or off");
    return false;
}

bool cli_cache(struct cli *c)
{
    struct driver_options *o = &c->driver->options;
    bool off;
    if (!switched_off(c, &off) || !size_cap(c, &o->cache_bytes)) return false;
    o->cache_dir = off ? NULL : folder(c->arena);
    return true;
}

/* ---- the command */

static const char *models(struct arena *a, struct cache_usage u)
{
    return arena_printf(a, "%d compiled model%s, %s", u.entries, u.entries == 1 ? "" : "s", format_bytes(a, u.bytes));
}

static const char *tuned(struct arena *a, struct tuner_usage u)
{
    return arena_printf(a, "%d tuned convolution%s for %d CPU%s, %s", u.rows, u.rows == 1 ? "" : "s", u.tables,
                        u.tables == 1 ? "" : "s", format_bytes(a, u.bytes));
}

static void clear(struct cli *c, struct cache *cache, const char *dir)
{
    struct cache_usage removed = {0};
    struct tuner_usage tables = {0};
    if (cache) removed = cache_clear(cache), tables = tuner_usage(cache, true);
    if (c->json) {
        json_t *root = json_pack("{s:s, s:i, s:I, s:i}", "folder", dir, "removed", removed.entries, "removed_bytes",
                                 (json_int_t)removed.bytes, "removed_tuned", tables.rows);
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
    } else {
        printf("removed   %s, from %s\n", models(c->arena, removed), dir);
        if (tables.tables) printf("          %s\n", tuned(c->arena, tables));
    }
}

static void show(struct cli *c, struct cache *cache, const char *dir, bool usable, uint64_t cap)
{
    struct cache_usage u = {0};
    struct tuner_usage tables = {0};
    if (cache) u = cache_usage(cache), tables = tuner_usage(cache, false);
    if (c->json) {
        json_t *root = json_pack("{s:s, s:b, s:i, s:I, s:I, s:i, s:I}", "folder", dir, "used", (int)usable, "entries",
                                 u.entries, "bytes", (json_int_t)u.bytes, "cap_bytes", (json_int_t)cap, "tuned",
                                 tables.rows, "tuned_bytes", (json_int_t)tables.bytes);
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("folder    %s%s\n", dir, usable ? "" : " (not used)");
    printf("holds     %s\n", models(c->arena, u));
    if (tables.tables) printf("          %s\n", tuned(c->arena, tables));
    printf("at most   %s; the least recently used go first\n", format_bytes(c->arena, cap));
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t cap;
    bool off;
    if (!switched_off(c, &off) || !size_cap(c, &cap)) return cli_finish(c);
    const char *dir = folder(c->arena), *why;
    if (!dir) {
        diag_env(c->diags,
                 "there is no folder for the cache: set RNC_CACHE_DIR, XDG_CACHE_HOME or HOME to an absolute path");
        return cli_finish(c);
    }
    struct cache *cache = cache_open(c->arena, dir, false, &why);
    if (opt_clear) {
        if (why) diag_env(c->diags, "%s is not used as the cache, and nothing in it was removed: %s", dir, why);
        else clear(c, cache, dir);
    } else {
        if (why) diag_warn(c->diags, (struct span){0}, "%s is not used: %s", dir, why);
        else if (off) diag_warn(c->diags, (struct span){0}, "the cache is switched off (RNC_CACHE=off)");
        show(c, cache, dir, !why && !off, cap);
    }
    cache_close(cache);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "clear",
     .kind = OPT_FLAG,
     .help = "remove every compiled model, and what --tune has learnt",
     .dest = &opt_clear},
};

const struct command command_cache = {
    .name = "cache",
    .group = GROUP_MEASURE,
    .place = 5,
    .summary = "where compiled models are kept, how many, how large",
    .usage = "[--clear] [--json]",
    .details = "A model that has been compiled starts from the cache the next time: in milliseconds, with the same "
               "bits. It is kept by content: the\n"
               "final IR, the CPU, rnc's build and LLVM's. A damaged entry is compiled again. The folder is used only "
               "where it is the caller's own and\n"
               "no one else may write to it. What --tune has measured is kept beside them, for each CPU; only --tune "
               "uses it.\n\n"
               "  RNC_CACHE_DIR    the folder (else $XDG_CACHE_HOME/rnc, else ~/.cache/rnc)\n"
               "  RNC_CACHE_SIZE   how much it may hold: 500MiB (1GiB)\n"
               "  RNC_CACHE=off    no cache, like --no-cache\n",
    .shared = CLI_JSON,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 0,
    .max_args = 0,
    .run = run,
};
