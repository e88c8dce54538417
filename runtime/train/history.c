/* history.c: the course of a run as rows, and their CSV files. */
#include "runtime/train/history.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/data_readers.h"
#include "runtime/io/file.h"

enum { LINE = 1024 };
static const size_t max_file = (size_t)1 << 31;

/* LIST with room for one more, possibly elsewhere; NULL when memory is short. */
static void *grow(void *list, size_t *cap, size_t count, size_t size, struct rnc_status *s)
{
    if (count < *cap) return list;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = realloc(list, more * size);
    if (!grown) rnc_fail(s, RNC_ENV, "no memory for the log");
    else *cap = more;
    return grown;
}

bool rnc_history_add_epoch(struct rnc_history *h, const struct rnc_epoch_row *r, struct rnc_status *s)
{
    struct rnc_epoch_row *list = grow(h->epoch, &h->cap_epochs, h->nepochs, sizeof *list, s);
    if (!list) return false;
    h->epoch = list;
    size_t bytes = (size_t)h->problem->ncolumns * sizeof *r->val;
    double *val = malloc(bytes);
    if (!val) return rnc_fail(s, RNC_ENV, "no memory for the log");
    h->epoch[h->nepochs] = *r;
    h->epoch[h->nepochs++].val = memcpy(val, r->val, bytes);
    return true;
}

bool rnc_history_add_step(struct rnc_history *h, const struct rnc_step_row *r, struct rnc_status *s)
{
    struct rnc_step_row *list = grow(h->step, &h->cap_steps, h->nsteps, sizeof *list, s);
    if (!list) return false;
    h->step = list;
    h->step[h->nsteps++] = *r;
    return true;
}

void rnc_history_free(struct rnc_history *h)
{
    for (size_t k = 0; k < h->nepochs; k++) free(h->epoch[k].val);
    free(h->epoch);
    free(h->step);
    h->epoch = NULL;
    h->step = NULL;
    h->nepochs = h->nsteps = h->cap_epochs = h->cap_steps = 0;
}

/* ---- writing */

static bool print(struct rnc_file *f, struct rnc_status *s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool print(struct rnc_file *f, struct rnc_status *s, const char *fmt, ...)
{
    char line[LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return rnc_file_write(f, line, n < LINE ? (size_t)n : LINE - 1, s);
}

static const struct rnc_column *primary_of(const struct rnc_history *h)
{
    return &h->problem->column[h->problem->primary];
}

/* What the spec asks for, and what decides; the loss has its columns already. */
static const struct rnc_column *column_at(const struct rnc_history *h, int k)
{
    const struct rnc_column *c = &h->problem->column[k];
    return k > 0 && (c->requested || k == h->problem->primary) ? c : NULL;
}

static bool write_epoch_names(const struct rnc_history *h, struct rnc_file *f, struct rnc_status *s)
{
    bool ok = print(f, s, "epoch,step,lr,train_loss");
    if (ok && !primary_of(h)->metric->loss) ok = print(f, s, ",train_%s", primary_of(h)->name);
    ok = ok && print(f, s, ",val_loss");
    for (int k = 0; ok && k < h->problem->ncolumns; k++)
        if (column_at(h, k)) ok = print(f, s, ",val_%s", column_at(h, k)->name);
    return ok && print(f, s, ",%s_per_s,seconds\n", h->unit);
}

static bool write_epochs(const struct rnc_history *h, struct rnc_file *f, struct rnc_status *s)
{
    bool ok = write_epoch_names(h, f, s);
    for (size_t k = 0; ok && k < h->nepochs; k++) {
        const struct rnc_epoch_row *r = &h->epoch[k];
        ok = print(f, s, "%lld,%lld,%.9g,%.9g", (long long)r->epoch, (long long)r->step, r->lr, r->train_loss);
        if (ok && !primary_of(h)->metric->loss) ok = print(f, s, ",%.6f", r->train_metric);
        ok = ok && print(f, s, ",%.9g", r->val_loss);
        for (int m = 0; ok && m < h->problem->ncolumns; m++)
            if (column_at(h, m)) ok = print(f, s, column_at(h, m)->metric->fraction ? ",%.6f" : ",%.9g", r->val[m]);
        ok = ok && print(f, s, ",%.1f,%.2f\n", r->images_per_s, r->seconds);
    }
    return ok;
}

static bool write_steps(const struct rnc_history *h, struct rnc_file *f, struct rnc_status *s)
{
    bool metric = !primary_of(h)->metric->loss, ok = print(f, s, "step,lr,loss");
    if (ok && metric) ok = print(f, s, ",%s", primary_of(h)->name);
    ok = ok && print(f, s, "\n");
    for (size_t k = 0; ok && k < h->nsteps; k++) {
        ok = print(f, s, "%lld,%.9g,%.9g", (long long)h->step[k].step, h->step[k].lr, (double)h->step[k].loss);
        if (ok && metric) ok = print(f, s, ",%.9g", (double)h->step[k].metric);
        ok = ok && print(f, s, "\n");
    }
    return ok;
}

static bool save_one(const struct rnc_history *h, const char *dir, const char *name,
                     bool (*write)(const struct rnc_history *, struct rnc_file *, struct rnc_status *),
                     struct rnc_status *s)
{
    char *path = rnc_path_join(dir, name);
    struct rnc_file *f = path ? rnc_file_create(path, s) : NULL;
    free(path);
    if (!f) return rnc_fail(s, RNC_ENV, "no memory to write %s", name);
    if (write(h, f, s)) return rnc_file_commit(f, s);
    rnc_file_abort(f);
    return false;
}

bool rnc_history_save(const struct rnc_history *h, const char *dir, struct rnc_status *s)
{
    return save_one(h, dir, "log.csv", write_epochs, s) && save_one(h, dir, "steps.csv", write_steps, s);
}

/* ---- reading */

/* The next number of a line; false at its end or where there is none. */
static bool number(char **p, double *out)
{
    char *end;
    *out = strtod(*p, &end);
    if (end == *p) return false;
    *p = end + (*end == ',');
    return true;
}

static bool parse_epoch(const struct rnc_history *h, char *line, struct rnc_epoch_row *r)
{
    double epoch, step;
    *r = (struct rnc_epoch_row){.train_metric = NAN, .val = r->val};
    if (!number(&line, &epoch) || !number(&line, &step) || !number(&line, &r->lr) || !number(&line, &r->train_loss))
        return false;
    if (!primary_of(h)->metric->loss && !number(&line, &r->train_metric)) return false;
    if (!number(&line, &r->val_loss)) return false;
    r->epoch = (int64_t)epoch;
    r->step = (int64_t)step;
    for (int k = 0; k < h->problem->ncolumns; k++) {
        r->val[k] = k ? NAN : r->val_loss;
        if (column_at(h, k) && !number(&line, &r->val[k])) return false;
    }
    return number(&line, &r->images_per_s) && number(&line, &r->seconds);
}

static char *read_text(const char *dir, const char *name)
{
    struct rnc_status ignored = {0};
    size_t bytes;
    char *path = rnc_path_join(dir, name), *text = path ? rnc_file_read(path, max_file, &bytes, &ignored) : NULL;
    free(path);
    return text;
}

static void load_epochs(struct rnc_history *h, char *text, int64_t epochs)
{
    struct rnc_status ignored = {0};
    char *rest = text;
    int64_t last = 0;
    struct rnc_epoch_row r = {.val = calloc((size_t)h->problem->ncolumns, sizeof *r.val)};
    strsep(&rest, "\n");
    for (char *line = strsep(&rest, "\n"); line && r.val; line = strsep(&rest, "\n")) {
        if (!parse_epoch(h, line, &r) || r.epoch > epochs || r.epoch <= last) break;
        last = r.epoch;
        if (!rnc_history_add_epoch(h, &r, &ignored)) break;
    }
    free(r.val);
}

static void load_steps(struct rnc_history *h, char *text, int64_t steps)
{
    struct rnc_status ignored = {0};
    char *rest = text;
    strsep(&rest, "\n");
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        double step, lr, loss, metric = NAN;
        if (!number(&line, &step) || !number(&line, &lr) || !number(&line, &loss) || step > (double)steps) return;
        if (!primary_of(h)->metric->loss && !number(&line, &metric)) return;
        if (!rnc_history_add_step(h, &(struct rnc_step_row){(int64_t)step, lr, (float)loss, (float)metric}, &ignored))
            return;
    }
}

void rnc_history_load(struct rnc_history *h, const char *dir, int64_t epochs, int64_t steps)
{
    char *log = read_text(dir, "log.csv"), *each = read_text(dir, "steps.csv");
    if (log) load_epochs(h, log, epochs);
    if (each) load_steps(h, each, steps);
    free(log);
    free(each);
}
