/* checkpoint.c: numbers are kept as text that gives back the same bits ("%a" for floating point). */
#include "runtime/train/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/weights.h"

enum { OWN_ENTRIES = 32 /* at most */, TEXT = 4096 /* of the numbers among them */ };

static const char counts_key[] = "rnc.epoch_counts", sums_key[] = "rnc.epoch_sums", drift_key[] = "rnc.drift";

/* Metadata in the making. */
struct entries {
    size_t n, capacity;
    char text[TEXT];
    size_t used;
    struct rnc_st_meta meta[];
};

static struct entries *entries_new(size_t capacity)
{
    if (capacity > (SIZE_MAX - sizeof(struct entries)) / sizeof(struct rnc_st_meta)) return NULL;
    struct entries *e = calloc(1, sizeof *e + capacity * sizeof *e->meta);
    if (e) e->capacity = capacity;
    return e;
}

static void put(struct entries *e, const char *key, const char *value)
{
    assert(e->n < e->capacity);
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

/* "3 0 17": what the tally counted in an epoch that is not over, or "0x1.8p+3 …", what it summed; NULL: nothing. */
static bool tallied(const struct rnc_checkpoint *c, bool sums, char **text)
{
    enum { DIGITS = 26 };
    size_t n = sums ? c->nsums : c->ncounts, size = n * DIGITS + 1, used = 0;
    *text = NULL;
    if (c->samples == 0 || n == 0) return true;
    *text = calloc(1, size);
    for (size_t k = 0; *text && k < n; k++) {
        const char *gap = k ? " " : "";
        used += (size_t)(sums ? snprintf(*text + used, size - used, "%s%a", gap, c->sums[k])
                              : snprintf(*text + used, size - used, "%s%" PRId64, gap, c->counts[k]));
    }
    return *text != NULL;
}

static void describe_run(struct entries *e, const struct rnc_checkpoint *c, const struct rnc_model *m)
{
    put(e, "format", "pt");
    put(e, "rnc.model", m->name);
    put_text(e, "rnc.lanes", "%u", m->lanes);
    put_text(e, "rnc.spec_hash", "%016" PRIx64, c->spec_hash);
    put_text(e, "rnc.epoch", "%" PRId64, c->epoch);
    put_text(e, "rnc.batch", "%" PRId64, c->batch);
    put_text(e, "rnc.step", "%" PRId64, c->step);
    put_text(e, "rnc.epoch_samples", "%" PRId64, c->samples);
    put_text(e, "rnc.best", "%a", c->best);
    put_text(e, "rnc.best_epoch", "%" PRId64, c->best_epoch);
    put_text(e, "rnc.epochs", "%" PRId64, c->epochs);
    put_text(e, "rnc.batch_size", "%" PRId64, c->batch_size);
    put_text(e, "rnc.seed", "%" PRIu64, c->seed);
    put_text(e, "rnc.lr", "%a", c->lr);
    put(e, "rnc.data", c->data);
    put(e, "rnc.order", c->order);
    if (c->drift) put(e, drift_key, c->drift);
}

bool rnc_checkpoint_save(const struct rnc_instance *i, const struct rnc_checkpoint *c, bool optim,
                         const struct rnc_fact *facts, size_t nfacts, const char *path, struct rnc_status *s)
{
    char *counts, *sums = NULL;
    struct entries *e = entries_new(OWN_ENTRIES + nfacts);
    bool ok = tallied(c, false, &counts) && tallied(c, true, &sums) && e;
    if (ok) {
        describe_run(e, c, rnc_instance_model(i));
        if (counts) put(e, counts_key, counts);
        if (sums) put(e, sums_key, sums);
        for (size_t k = 0; k < nfacts; k++) put(e, facts[k].key, facts[k].value);
        ok = rnc_weights_save(i, path, optim ? RNC_WEIGHTS_OPTIM : 0, e->meta, e->n, s);
    } else rnc_fail(s, RNC_ENV, "no memory to write %s", path);
    free(counts);
    free(sums);
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

static void unsound(const struct rnc_safetensors *f, const char *key, const char *value, struct rnc_status *s)
{
    rnc_fail(s, RNC_USER, "%s is no sound checkpoint: its %s is '%.40s'", f->path, key, value);
}

/* A whole number from 0 to MOST. */
static int64_t need_int(const struct rnc_safetensors *f, const char *key, int64_t most, struct rnc_status *s)
{
    const char *text = need(f, key, s);
    char *end;
    errno = 0;
    int64_t n = strtoll(text, &end, 10);
    if (end == text || *end || errno || n < 0 || n > most) unsound(f, key, text, s);
    return n;
}

/* As "%a" prints it. */
static double need_real(const struct rnc_safetensors *f, const char *key, struct rnc_status *s)
{
    const char *text = need(f, key, s);
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end) unsound(f, key, text, s);
    return x;
}

/* A checkpoint of an older rnc has none: that epoch's figures are then of its rest. */
static void read_tallied(const struct rnc_safetensors *f, struct rnc_checkpoint *c, bool sums, struct rnc_status *s)
{
    const char *key = sums ? sums_key : counts_key, *text = rnc_st_meta(f, key);
    size_t n = sums ? c->nsums : c->ncounts;
    for (size_t k = 0; text && k < n; k++) {
        char *end;
        if (sums) c->sums[k] = strtod(text, &end);
        else c->counts[k] = strtoll(text, &end, 10);
        if (end == text || (!sums && c->counts[k] < 0)) {
            rnc_fail(s, RNC_USER, "%s is no sound checkpoint: its %s are not %zu numbers", f->path, key, n);
            return;
        }
        text = end;
    }
    if (!text) c->samples = 0;
}

/* C's epochs and steps_per_epoch bound the rest. */
static void read_position(const struct rnc_safetensors *f, struct rnc_checkpoint *c, struct rnc_status *s)
{
    const int64_t most = INT64_MAX / 2;
    c->started_epochs = need_int(f, "rnc.epochs", most, s);
    c->epoch = need_int(f, "rnc.epoch", c->started_epochs, s);
    c->batch = need_int(f, "rnc.batch", c->steps_per_epoch ? c->steps_per_epoch : most, s);
    c->step = need_int(f, "rnc.step", most, s);
    c->samples = need_int(f, "rnc.epoch_samples", most, s);
    if (c->samples) read_tallied(f, c, false, s);
    if (c->samples) read_tallied(f, c, true, s);
    c->best = need_real(f, "rnc.best", s);
    c->best_epoch = need_int(f, "rnc.best_epoch", c->epoch, s);
}

/* ---- comparing */

struct differences {
    FILE *text; /* a line for each, the hard ones and those of the last bits */
    int hard, drift;
};

/* The first line of A, of *LEN bytes, that B has not at that place; both go on to it. */
static void first_difference(const char **a, const char **b, int *alen, int *blen)
{
    for (;;) {
        *alen = (int)strcspn(*a, "\n"), *blen = (int)strcspn(*b, "\n");
        if (*alen != *blen || strncmp(*a, *b, (size_t)*alen) != 0 || !(*a)[*alen] || !(*b)[*blen]) break;
        *a += *alen + 1, *b += *blen + 1;
    }
    while (**a == ' ' && *alen) (*a)++, (*alen)--;
    while (**b == ' ' && *blen) (*b)++, (*blen)--;
}

static void compare(const struct rnc_safetensors *f, struct differences *d, const struct rnc_fact *now)
{
    const char *was = rnc_st_meta(f, now->key), *is = now->value;
    int waslen, islen;
    if (!was || !is || !now->what || strcmp(was, is) == 0) return;
    *(now->drift ? &d->drift : &d->hard) += 1;
    first_difference(&was, &is, &waslen, &islen);
    fprintf(d->text, "%s was '%.*s' and is now '%.*s'\n", now->what, waslen < 160 ? waslen : 160, was,
            islen < 160 ? islen : 160, is);
}

/* What the run was started with, as facts like those of the caller. */
static void compare_own(const struct rnc_safetensors *f, struct differences *d, const struct rnc_model *m,
                        const struct rnc_checkpoint *want)
{
    char hash[32], batch[32], seed[32], lanes[32], epochs[32], lr[64];
    snprintf(hash, sizeof hash, "%016" PRIx64, want->spec_hash);
    snprintf(batch, sizeof batch, "%" PRId64, want->batch_size);
    snprintf(seed, sizeof seed, "%" PRIu64, want->seed);
    snprintf(lanes, sizeof lanes, "%u", m->lanes);
    snprintf(epochs, sizeof epochs, "%" PRId64, want->epochs);
    snprintf(lr, sizeof lr, "%a", want->lr);
    const struct rnc_fact own[] = {
        {"rnc.model", m->name, "the model", false},
        {"rnc.spec_hash", want->spec_told ? NULL : hash, "the spec (by its hash)", false},
        {"rnc.batch_size", batch, "the batch size", false},
        {"rnc.seed", seed, "the seed", false},
        {"rnc.data", want->data, "the data", false},
        {"rnc.order", want->order, "the order or augmentation of the data", false},
        {"rnc.epochs", want->extends ? NULL : epochs, "the number of epochs", false},
        {"rnc.lanes", lanes, "the vector length (--cpu)", true},
    };
    for (size_t k = 0; k < sizeof own / sizeof *own; k++) compare(f, d, &own[k]);
    const char *rate = rnc_st_meta(f, "rnc.lr");
    if (!rate || strcmp(rate, lr) == 0) return;
    fprintf(d->text, "the learning rate was %.9g and is now %.9g\n", strtod(rate, NULL), want->lr);
    d->hard++;
}

/* What differs becomes an error with the first, and DETAILS with the others; or, where nothing but last bits may, and
   that is allowed, C's drift. */
static void judge(const struct rnc_safetensors *f, struct rnc_checkpoint *c, const struct differences *d, char *text,
                  char **details, struct rnc_status *s)
{
    size_t first = strcspn(text, "\n");
    if (!d->hard && (!d->drift || c->allow_drift)) {
        const char *before = rnc_st_meta(f, drift_key);
        if (d->drift && asprintf(&c->drift, "%sat step %" PRId64 ": %s", before ? before : "", c->step, text) < 0)
            c->drift = NULL;
        else if (!d->drift && before) c->drift = strdup(before);
        if ((d->drift || before) && !c->drift) rnc_fail(s, RNC_ENV, "no memory to compare %s", f->path);
        return;
    }
    rnc_fail(s, RNC_USER, "%s can't be resumed exactly: %.*s", f->path, (int)first, text);
    const char *mend = d->hard
                           ? "--init takes its weights, and starts anew"
                           : "--allow-drift goes on all the same: last bits may differ from those of an uninterrupted "
                             "run, and the checkpoint will say so";
    if (details && asprintf(details, "%s%s", text[first] ? text + first + 1 : "", mend) < 0) *details = NULL;
}

static void check_run(const struct rnc_safetensors *f, const struct rnc_model *m, const struct rnc_fact *facts,
                      size_t nfacts, struct rnc_checkpoint *c, char **details, struct rnc_status *s)
{
    char *text = NULL;
    size_t size;
    struct differences d = {.text = open_memstream(&text, &size)};
    if (d.text) {
        compare_own(f, &d, m, c);
        for (size_t k = 0; k < nfacts; k++) compare(f, &d, &facts[k]);
    }
    if (d.text && fclose(d.text) == 0) judge(f, c, &d, text, details, s);
    else rnc_fail(s, RNC_ENV, "no memory to compare %s", f->path);
    free(text);
}

bool rnc_checkpoint_load(struct rnc_instance *i, const struct rnc_checkpoint *want, const struct rnc_fact *facts,
                         size_t nfacts, const char *path, struct rnc_checkpoint *c, char **details,
                         struct rnc_status *s)
{
    if (details) *details = NULL;
    struct rnc_safetensors *f = rnc_st_open(path, s);
    if (!f) return false;
    *c = *want;
    c->spec_told = false;
    for (size_t k = 0; k < nfacts; k++)
        c->spec_told =
            c->spec_told || (facts[k].what && !strcmp(facts[k].key, RNC_FACT_SPEC) && rnc_st_meta(f, RNC_FACT_SPEC));
    read_position(f, c, s);
    if (s->code == RNC_OK) check_run(f, rnc_instance_model(i), facts, nfacts, c, details, s);
    /* Batches without a label that counts are no steps. */
    if (s->code == RNC_OK && c->steps_per_epoch && c->step > c->epoch * c->steps_per_epoch + c->batch)
        unsound(f, "rnc.step", rnc_st_meta(f, "rnc.step"), s);
    bool ok = s->code == RNC_OK && rnc_weights_load_from(i, f, RNC_WEIGHTS_OPTIM, NULL, s);
    rnc_st_close(f);
    return ok;
}
