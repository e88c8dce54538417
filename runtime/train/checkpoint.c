/* checkpoint.c: numbers are kept as text that gives back the same bits ("%a" for floating point). */
#include "runtime/train/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/weights.h"

enum { OWN_ENTRIES = 32 /* at most */, TEXT = 4096 /* of the numbers among them */ };

static const char counts_key[] = "rnc.epoch_counts";

/* Metadata in the making. */
struct entries {
    size_t n, room;
    char text[TEXT];
    size_t used;
    struct rnc_st_meta meta[];
};

static struct entries *entries_new(size_t room)
{
    if (room > (SIZE_MAX - sizeof(struct entries)) / sizeof(struct rnc_st_meta)) return NULL;
    struct entries *e = calloc(1, sizeof *e + room * sizeof *e->meta);
    if (e) e->room = room;
    return e;
}

static void put(struct entries *e, const char *key, const char *value)
{
    assert(e->n < e->room);
    e->meta[e->n++] = (struct rnc_st_meta){key, value};
}

__attribute__((format(printf, 3, 4))) static void put_text(struct entries *e, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text + e->used, TEXT - e->used, fmt, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < TEXT - e->used);
    put(e, key, e->text + e->used);
    e->used += (size_t)n + 1;
}

/* "conv1=direct 2x14; …": what the compiler chose for each layer, as sums differ in their last bits between algorithms.
 */
static char *algorithms_of(const struct rnc_model *m)
{
    size_t size = 1, used = 0;
    for (uint32_t k = 0; k < m->nnodes; k++)
        if (m->nodes[k].algorithm && m->nodes[k].name)
            size += strlen(m->nodes[k].algorithm) + strlen(m->nodes[k].name) + 4;
    char *text = calloc(1, size);
    for (uint32_t k = 0; text && k < m->nnodes; k++)
        if (m->nodes[k].algorithm && m->nodes[k].name)
            used += (size_t)snprintf(text + used, size - used, "%s%s=%s", used ? "; " : "", m->nodes[k].name,
                                     m->nodes[k].algorithm);
    return text;
}

/* "3 0 17": what the task counted in an epoch that is not over; NULL: nothing. */
static bool counts_of(const struct rnc_checkpoint *c, char **text)
{
    enum { DIGITS = 21 };
    *text = NULL;
    if (c->samples == 0 || c->ncounts == 0) return true;
    size_t size = c->ncounts * DIGITS + 1, used = 0;
    *text = calloc(1, size);
    for (size_t k = 0; *text && k < c->ncounts; k++)
        used += (size_t)snprintf(*text + used, size - used, "%s%" PRId64, k ? " " : "", c->counts[k]);
    return *text != NULL;
}

static void describe_run(struct entries *e, const struct rnc_checkpoint *c, const struct rnc_model *m,
                         const char *algorithms)
{
    put(e, "format", "pt");
    put(e, "rnc.model", m->name);
    put(e, "rnc.cpu", m->cpu);
    put_text(e, "rnc.lanes", "%u", m->lanes);
    put_text(e, "rnc.spec_hash", "%016" PRIx64, c->spec_hash);
    put_text(e, "rnc.epoch", "%" PRId64, c->epoch);
    put_text(e, "rnc.batch", "%" PRId64, c->batch);
    put_text(e, "rnc.step", "%" PRId64, c->step);
    put_text(e, "rnc.epoch_loss_sum", "%a", c->loss_sum);
    put_text(e, "rnc.epoch_samples", "%" PRId64, c->samples);
    put_text(e, "rnc.epoch_counted", "%" PRId64, c->counted);
    put_text(e, "rnc.epoch_right", "%" PRId64, c->right);
    put_text(e, "rnc.best", "%a", c->best);
    put_text(e, "rnc.best_epoch", "%" PRId64, c->best_epoch);
    put_text(e, "rnc.epochs", "%" PRId64, c->epochs);
    put_text(e, "rnc.batch_size", "%" PRId64, c->batch_size);
    put_text(e, "rnc.seed", "%" PRIu64, c->seed);
    put_text(e, "rnc.lr", "%a", c->lr);
    put(e, "rnc.data", c->data);
    put(e, "rnc.order", c->order);
    put(e, "rnc.algorithms", algorithms);
}

bool rnc_checkpoint_save(const struct rnc_instance *i, const struct rnc_checkpoint *c, bool optim,
                         const struct rnc_st_meta *extra, size_t nextra, const char *path, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    char *algorithms = algorithms_of(m), *counts;
    struct entries *e = entries_new(OWN_ENTRIES + nextra);
    bool ok = counts_of(c, &counts) && algorithms && e;
    if (ok) {
        describe_run(e, c, m, algorithms);
        if (counts) put(e, counts_key, counts);
        for (size_t k = 0; k < nextra; k++) put(e, extra[k].key, extra[k].value);
        ok = rnc_weights_save(i, path, optim ? RNC_WEIGHTS_OPTIM : 0, e->meta, e->n, s);
    } else rnc_fail(s, RNC_ENV, "no memory to write %s", path);
    free(algorithms);
    free(counts);
    free(e);
    return ok;
}

/* ---- loading */

static const char *need(const struct rnc_safetensors *f, const char *key, struct rnc_status *s)
{
    const char *value = rnc_st_meta(f, key);
    if (!value)
        rnc_fail(
            s, RNC_USER,
            "%s is no checkpoint of a training run: its metadata have no %s (its weights can be taken with --init)",
            f->path, key);
    return value ? value : "";
}

static int64_t need_int(const struct rnc_safetensors *f, const char *key, struct rnc_status *s)
{
    return strtoll(need(f, key, s), NULL, 10);
}

/* A checkpoint of an older rnc has none: that epoch's metric is then of its rest. */
static void read_counts(const struct rnc_safetensors *f, struct rnc_checkpoint *c, struct rnc_status *s)
{
    const char *text = rnc_st_meta(f, counts_key);
    for (size_t k = 0; text && k < c->ncounts; k++) {
        char *end;
        c->counts[k] = strtoll(text, &end, 10);
        if (end == text || c->counts[k] < 0) {
            rnc_fail(s, RNC_USER, "%s is no sound checkpoint: its %s are not %zu numbers", f->path, counts_key,
                     c->ncounts);
            return;
        }
        text = end;
    }
}

static void read_position(const struct rnc_safetensors *f, struct rnc_checkpoint *c, struct rnc_status *s)
{
    c->epoch = need_int(f, "rnc.epoch", s);
    c->batch = need_int(f, "rnc.batch", s);
    c->step = need_int(f, "rnc.step", s);
    c->loss_sum = strtod(need(f, "rnc.epoch_loss_sum", s), NULL);
    c->samples = need_int(f, "rnc.epoch_samples", s);
    c->counted = need_int(f, "rnc.epoch_counted", s);
    c->right = need_int(f, "rnc.epoch_right", s);
    read_counts(f, c, s);
    c->best = strtod(need(f, "rnc.best", s), NULL);
    c->best_epoch = need_int(f, "rnc.best_epoch", s);
    if (c->epoch < 0 || c->batch < 0 || c->step < 0 || c->samples < 0)
        rnc_fail(s, RNC_USER, "%s is no sound checkpoint: it counts below zero", f->path);
}

/* The file's VALUE of KEY must be WANT. */
static void must_equal(const struct rnc_safetensors *f, const char *key, const char *want, const char *what,
                       struct rnc_status *s)
{
    const char *have = need(f, key, s);
    if (s->code == RNC_OK && strcmp(have, want) != 0)
        rnc_fail(s, RNC_USER,
                 "%s can't be resumed exactly: %s was '%.120s' and is now '%.120s' (--init takes its weights and "
                 "starts anew)",
                 f->path, what, have, want);
}

/* The first layer whose algorithm differs. */
static void same_algorithms(const struct rnc_safetensors *f, const char *now, struct rnc_status *s)
{
    const char *was = need(f, "rnc.algorithms", s);
    if (s->code != RNC_OK || !strcmp(was, now)) return;
    size_t at = 0, start = 0;
    for (; was[at] && was[at] == now[at]; at++)
        if (was[at] == ';') start = at + 2;
    if (start > strlen(was)) start = 0;
    rnc_fail(s, RNC_USER,
             "%s can't be resumed exactly: it computed '%.*s', the code compiled now '%.*s' (--init takes its weights "
             "and starts anew)",
             f->path, (int)strcspn(was + start, ";"), was + start, (int)strcspn(now + start, ";"), now + start);
}

static void check_run(const struct rnc_safetensors *f, const struct rnc_model *m, const struct rnc_checkpoint *want,
                      struct rnc_status *s)
{
    char text[64];
    char *algorithms = algorithms_of(m);
    must_equal(f, "rnc.model", m->name, "the model", s);
    snprintf(text, sizeof text, "%016" PRIx64, want->spec_hash);
    must_equal(f, "rnc.spec_hash", text, "the spec (with its parameters; by its hash)", s);
    snprintf(text, sizeof text, "%" PRId64, want->batch_size);
    must_equal(f, "rnc.batch_size", text, "the batch size", s);
    snprintf(text, sizeof text, "%" PRIu64, want->seed);
    must_equal(f, "rnc.seed", text, "the seed", s);
    must_equal(f, "rnc.data", want->data, "the data", s);
    must_equal(f, "rnc.order", want->order, "the order or augmentation of the data", s);
    snprintf(text, sizeof text, "%u", m->lanes);
    must_equal(f, "rnc.lanes", text, "the vector length", s);
    must_equal(f, "rnc.cpu", m->cpu, "the CPU that code is made for (--cpu)", s);
    if (algorithms) same_algorithms(f, algorithms, s);
    else rnc_fail(s, RNC_ENV, "no memory to compare %s", f->path);
    free(algorithms);
}

bool rnc_checkpoint_load(struct rnc_instance *i, const struct rnc_checkpoint *want, const char *path,
                         struct rnc_checkpoint *c, struct rnc_status *s)
{
    struct rnc_safetensors *f = rnc_st_open(path, s);
    if (!f) return false;
    *c = *want;
    read_position(f, c, s);
    if (s->code == RNC_OK) check_run(f, rnc_instance_model(i), want, s);
    bool ok = s->code == RNC_OK && rnc_weights_load_from(i, f, RNC_WEIGHTS_OPTIM, NULL, s);
    rnc_st_close(f);
    return ok;
}
