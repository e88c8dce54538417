/* progress.c: what `rnc train` shows while it runs. */
#include "cli/progress.h"
#include "cli/format.h"
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "runtime/rt/clock.h"
#include "runtime/train/folder.h"

/* ---- the line that is redrawn */

int progress_columns(int fd)
{
    enum { USUAL = 80 };
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    const char *given = getenv("COLUMNS");
    int columns = given ? atoi(given) : 0;
    return columns > 0 ? columns : USUAL;
}

static void eta_text(double s, char *out, size_t size)
{
    long left = s < 359999.0 ? (long)(s + 0.5) : 359999;
    if (left >= 3600) snprintf(out, size, "%ld:%02ld:%02ld", left / 3600, left / 60 % 60, left % 60);
    else snprintf(out, size, "%ld:%02ld", left / 60, left % 60);
}

/* Of UTF-8, every character one column wide. */
static int columns_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* A part of the line, kept where it fits with what stands already. */
struct line {
    char *out;
    size_t size, used;
    int columns; /* left */
};

__attribute__((format(printf, 2, 3))) static void part(struct line *l, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int wide = columns_of(text);
    size_t n = strlen(text);
    if (wide > l->columns || l->used + n + 1 > l->size) return;
    memcpy(l->out + l->used, text, n + 1);
    l->used += n;
    l->columns -= wide;
}

/* "  ████░░░░", as wide as there is room, or nothing. */
static void bar_part(struct line *l, const struct rnc_progress *p, int room)
{
    enum { MOST = 24, LEAST = 6 };
    char bar[MOST * 3 + 1] = "";
    int wide = room < MOST ? room : MOST;
    if (wide < LEAST) return;
    int64_t full = p->batches ? wide * p->batch / p->batches : 0;
    for (int i = 0; i < wide; i++) strcat(bar, i < full ? "█" : "░");
    part(l, "  %s", bar);
}

void progress_line(const struct progress *d, const struct rnc_progress *p, int columns, char *out, size_t size)
{
    char eta[32], tail[256] = "", rate[128] = "";
    /* In the last column some terminals wrap already. */
    struct line l = {out, size, 0, columns - 1}, rest = {tail, sizeof tail, 0, columns - 1};
    out[0] = 0;
    part(&l, "epoch %lld/%lld", (long long)p->epoch, (long long)p->epochs);
    if (p->event == RNC_EVENT_VALIDATION) part(&rest, "  validation");
    else {
        part(&rest, " %3lld %%", (long long)(p->batches ? 100 * p->batch / p->batches : 0));
        part(&rest, "  loss %.4f", p->loss);
        if (p->primary->metric->fraction) part(&rest, "  %.2f %%", 100.0 * p->metric);
        eta_text(p->eta_s, eta, sizeof eta);
        snprintf(rate, sizeof rate, "  %.0f %s/s  ETA %s", p->images_per_s, d->unit, eta);
    }
    int without = l.columns - columns_of(tail), with = without - columns_of(rate);
    bar_part(&l, p, with >= 8 ? with - 2 : without - 2);
    part(&l, "%s", tail);
    part(&l, "%s", rate);
}

static void draw(struct progress *d, const struct rnc_progress *p)
{
    char line[512];
    double now = rnc_clock_seconds();
    if (p->batch != p->batches && now - d->drawn < 0.1) return;
    d->drawn = now;
    progress_line(d, p, progress_columns(STDERR_FILENO), line, sizeof line);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
}

void progress_clear(const struct progress *d)
{
    if (d->bar) fprintf(stderr, "\r\033[K");
}

/* ---- an epoch */

/* "accuracy 93.10 %", "mean_squared_error 0.0123" */
static void print_metric(const struct rnc_column *c, double v)
{
    if (c->metric->fraction) printf("%s %.2f %%", c->name, 100.0 * v);
    else printf("%s %.4g", c->name, v);
}

static void print_row(const struct progress *d, const struct rnc_progress *p)
{
    const struct rnc_epoch_row *r = p->row;
    printf("epoch %lld/%lld  loss %.4f", (long long)p->epoch, (long long)p->epochs, r->train_loss);
    if (!p->primary->metric->loss) {
        printf("  ");
        print_metric(p->primary, r->train_metric);
    }
    printf("  |  validation: loss %.4f", r->val_loss);
    for (int k = 1; k < d->problem->ncolumns; k++) { /* the first is the loss */
        const struct rnc_column *c = &d->problem->column[k];
        if (!c->shown || isnan(r->val[k])) continue;
        printf("  ");
        print_metric(c, r->val[k]);
    }
    printf("  |");
    if (!isnan(r->images_per_s)) printf("  %.0f %s/s", r->images_per_s, d->unit);
    printf("  %.1f s%s\n", r->seconds, p->best ? "  (best)" : "");
}

static void put_real(json_t *j, const char *key, double v)
{
    json_object_set_new(j, key, isfinite(v) ? json_real(v) : json_null());
}

static void put_row(json_t *j, const struct progress *d, const struct rnc_epoch_row *e)
{
    put_real(j, "train_loss", e->train_loss);
    put_real(j, "train_metric", e->train_metric);
    put_real(j, "val_loss", e->val_loss);
    for (int k = 1; k < d->problem->ncolumns; k++)
        if (!isnan(e->val[k])) put_real(j, arena_printf(d->c->arena, "val_%s", d->problem->column[k].name), e->val[k]);
    put_real(j, "images_per_s", e->images_per_s);
}

static void print_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(j);
}

static void print_json_row(const struct progress *d, const struct rnc_progress *p)
{
    const struct rnc_epoch_row *r = p->row;
    json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:s, s:b}", "event", "epoch", "epoch", (json_int_t)p->epoch, "epochs",
                          (json_int_t)p->epochs, "steps", (json_int_t)r->step, "metric", p->primary->name, "best",
                          (int)p->best);
    put_real(j, "lr", r->lr);
    put_row(j, d, r);
    put_real(j, "seconds", r->seconds);
    print_json(j);
}

void progress_show(void *ctx, const struct rnc_progress *p)
{
    struct progress *d = ctx;
    if (p->event != RNC_EVENT_EPOCH) {
        if (d->bar) draw(d, p);
        return;
    }
    progress_clear(d);
    if (d->c->json) print_json_row(d, p);
    else print_row(d, p);
    fflush(stdout);
}

/* ---- the end */

static void end_json(const struct progress *d, const struct rnc_train_config *k, const struct rnc_train_result *r,
                     const char *data)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:s, s:I}", "event", "end", "model", k->train->name,
                          "data", data, "out", format_name(d->c->arena, k->out), "epochs", (json_int_t)r->epochs,
                          "steps", (json_int_t)r->step, "stopped", (int)r->stopped, "metric", r->primary->name,
                          "best_epoch", (json_int_t)r->best_epoch);
    put_real(j, "best", r->best_epoch ? r->best : NAN);
    put_real(j, "seconds", r->seconds);
    if (r->passed_over) json_object_set_new(j, "batches_without_labels", json_integer(r->passed_over));
    if (r->last.epoch) put_row(j, d, &r->last);
    print_json(j);
}

void progress_end(const struct progress *d, const struct rnc_train_config *k, const struct rnc_train_result *r,
                  const char *data, int signal)
{
    progress_clear(d);
    if (d->c->json) {
        end_json(d, k, r, data);
        return;
    }
    if (r->stopped)
        printf("stopped by signal %d in epoch %lld, after step %lld; `rnc train %s/ --resume` goes on\n", signal,
               (long long)r->epochs + 1, (long long)r->step, k->out);
    if (r->finished_before)
        printf("the run in %s/ is finished: %lld of %lld epochs; --extend N goes on for N more\n", k->out,
               (long long)r->epochs, (long long)k->epochs);
    if (r->passed_over)
        printf("%lld batch%s had no label that counts: they were no steps, and changed nothing\n",
               (long long)r->passed_over, r->passed_over == 1 ? "" : "es");
    if (r->best_epoch) {
        printf("best ");
        print_metric(r->primary, r->best);
        printf(" in epoch %lld; %s/: %s, %s, %s, %s\n", (long long)r->best_epoch, k->out, RNC_RUN_LAST, RNC_RUN_BEST,
               RNC_RUN_LOG, RNC_RUN_PNG);
    }
}
