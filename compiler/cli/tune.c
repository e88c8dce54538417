/* tune.c: --tune: what the tuner measures goes into the choice of algorithms, and what it did into the report. */
#include "measure/tuner.h"
#include <stdio.h>
#include "base/buf.h"
#include "cli/cli.h"

static bool open_tuner(struct cli *c, const struct target *t)
{
    struct gen_options cache;
    if (!cli_cache(c, &cache)) return false;
    struct tuner_options o = {.target = *t, .seconds = c->tune, .dir = cache.cache_dir};
    if (!tuner_runs(t)) {
        diag_warn(c->diags, (struct span){0}, "--tune: this machine does not run code for %s: nothing is measured",
                  t->cpu);
        o.seconds = 0;
    }
    c->tuner = tuner_new(c->arena, &o);
    return true;
}

bool cli_tune(struct cli *c, const struct target *t, struct pass_context *pc)
{
    pc->replay = c->replay;
    if (c->tune < 0) return true;
    if (!c->tuner && !open_tuner(c, t)) return false;
    pc->cost = tuner_cost(c->tuner);
    if (c->color && c->tune > 0) fprintf(stderr, "measuring convolutions, for at most %g s …", c->tune);
    return true;
}

void cli_tuned(const struct cli *c, struct buf *report)
{
    if (c->tuner && c->color && c->tune > 0) fputs("\r\033[K", stderr);
    if (!c->tuner || !report) return;
    struct tuner_stats s = tuner_stats(c->tuner);
    buf_printf(report, "tuner: %d convolutions measured in %.1f s, %d known from before, %d left to the model\n",
               s.measured, s.seconds, s.known, s.left);
}
