/* resume.c: a run that goes on takes its options from its checkpoint. */
#include "cli/resume.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pass/algorithm/algorithm.h"
#include "runtime/train/folder.h"

static const struct span nowhere = {NULL, 0, 0, 0};
const char resume_choices_key[] = "rnc.choices", resume_dtype_key[] = "rnc.dtype";
static const char schedule_key[] = "rnc.schedule_epochs", late_key[] = "rnc.late_lr";

/* Options of compiling that change sums, as text. */
enum { TEXTS = 2 };
static const char *const text_key[TEXTS] = {"rnc.option.memory-budget", "rnc.option.cpu"};
static const char **text_option(struct cli *c, int k) { return k == 0 ? &c->memory_budget : &c->cpu; }

size_t resume_facts(struct cli *c, const struct recipe_options *o, struct rnc_fact facts[RESUME_FACTS])
{
    size_t n = 0;
    for (int k = 0; k < TEXTS; k++)
        if (*text_option(c, k)) facts[n++] = (struct rnc_fact){.key = text_key[k], .value = *text_option(c, k)};
    if (!o->schedule_epochs) return n;
    facts[n++] =
        (struct rnc_fact){.key = schedule_key, .value = arena_printf(c->arena, "%lld", (long long)o->schedule_epochs)};
    if (o->late_lr > 0)
        facts[n++] = (struct rnc_fact){.key = late_key, .value = arena_printf(c->arena, "%a", o->late_lr)};
    return n;
}

/* ---- taking it back */

static int64_t int_of(const struct rnc_safetensors *f, const char *key)
{
    const char *text = rnc_st_meta(f, key);
    return text ? strtoll(text, NULL, 10) : 0;
}

static double real_of(const struct rnc_safetensors *f, const char *key)
{
    const char *text = rnc_st_meta(f, key);
    return text ? strtod(text, NULL) : 0;
}

static void adopt_length(const struct rnc_safetensors *f, struct recipe_options *o)
{
    int64_t epochs = int_of(f, "rnc.epochs");
    o->schedule_epochs = int_of(f, schedule_key);
    o->late_lr = real_of(f, late_key);
    if (o->extend) {
        if (!o->schedule_epochs) o->schedule_epochs = epochs;
        if (o->lr_given) o->late_lr = o->lr;
        o->lr_given = false;
        o->epochs = epochs + o->extend;
    }
    if (!o->epochs) o->epochs = epochs;
    if (!o->lr_given) o->lr = real_of(f, "rnc.lr");
    o->lr_given = true;
}

static void adopt_order(const struct rnc_safetensors *f, struct recipe_options *o)
{
    const char *order = rnc_st_meta(f, "rnc.order");
    if (!order) return;
    if (strncmp(order, "in order", 8) == 0) o->no_shuffle = true;
    if (!strchr(order, ',')) o->no_augment = true;
}

/* Going on with the same bits needs the same algorithms, whatever the model of their costs or the tuner would say now.
 */
static void adopt_compiling(struct cli *c, const struct rnc_safetensors *f)
{
    struct driver_options *o = &c->driver->options;
    const char *choices = rnc_st_meta(f, resume_choices_key), *dtype = rnc_st_meta(f, resume_dtype_key);
    if (choices) {
        struct strmap *map = ARENA_NEW(c->arena, struct strmap);
        strmap_init(map, c->arena);
        algorithm_replay(choices, map);
        o->replay = map;
        c->tune_given = false;
    }
    if (dtype && !o->dtype) o->dtype = arena_strdup(c->arena, dtype);
    if (!o->batch) o->batch = int_of(f, "rnc.batch_size");
    if (!c->seed_given) o->seed = (uint64_t)int_of(f, "rnc.seed");
    for (int k = 0; k < TEXTS; k++) {
        const char *text = rnc_st_meta(f, text_key[k]);
        if (text && !*text_option(c, k)) *text_option(c, k) = arena_strdup(c->arena, text);
    }
}

static void nothing_there(struct cli *c, const char *out, const char *last)
{
    struct diag *d = diag_error(c->diags, nowhere, "there is nothing to resume: no %s", last);
    const char *old = arena_printf(c->arena, "%s%s", last, RNC_RUN_OLD);
    if (access(old, F_OK) == 0)
        diag_note(d, "%s is of the run that was overwritten; without their ending %s its files are that run again", old,
                  RNC_RUN_OLD);
    else if (access(arena_printf(c->arena, "%s/%s", out, RNC_RUN_JSON), F_OK) == 0)
        diag_note(d, "the run in %s/ came to no checkpoint; without --resume it begins anew", out);
}

bool resume_adopt(struct cli *c, struct recipe_options *o, struct rnc_safetensors **file)
{
    struct rnc_status s = {0};
    const char *last = arena_printf(c->arena, "%s/%s", o->out, RNC_RUN_LAST);
    *file = NULL;
    if (access(last, F_OK) != 0) {
        nothing_there(c, o->out, last);
        return false;
    }
    *file = rnc_st_open(last, &s);
    if (!*file) return driver_fail(c->driver, &s);
    adopt_length(*file, o);
    adopt_order(*file, o);
    adopt_compiling(c, *file);
    return true;
}
