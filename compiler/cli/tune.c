/* tune.c: --tune: what the tuner measures goes into the choice of algorithms. */
#include "measure/tuner.h"
#include <stdio.h>
#include "cli/cli.h"

/* On a terminal: a line that says what is going on, and goes when it ends. */
static void on_progress(void *ctx, enum driver_activity what, int64_t done, int64_t of)
{
    const struct cli *c = ctx;
    bool ends = done == of && (what != DRIVER_DIFFERENCES || of == 0);
    if (what == DRIVER_TUNING && c->tune <= 0) return;
    if (ends) fputs("\r\033[K", stderr);
    else if (what == DRIVER_TUNING) fprintf(stderr, "measuring convolutions, for at most %g s …", c->tune);
    else if (what == DRIVER_MEASURING) fputs("measuring …", stderr);
    else if (what == DRIVER_CHECKING) fputs("checking the result against the reference …", stderr);
    else fprintf(stderr, "\rfinite differences %lld/%lld\033[K", (long long)done, (long long)of);
}

void cli_tune(struct cli *c)
{
    struct driver_options *o = &c->driver->options;
    o->tune = c->tune_given;
    o->tune_seconds = c->tune;
    if (c->color) o->progress = on_progress, o->progress_ctx = c;
    if (o->tune && !tuner_runs(&o->target))
        diag_warn(c->diags, (struct span){0}, "--tune: this machine does not run code for %s: nothing is measured",
                  o->target.cpu);
}
