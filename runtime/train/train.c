/* train.c: epochs of steps, a validation after each, checkpoints. */
#include "runtime/train/train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/checkpoint.h"
#include "runtime/train/folder.h"
#include "runtime/data/data_readers.h"
#include "runtime/io/file.h"
#include "runtime/io/weights.h"
#include "runtime/recipe/schedule.h"
#include "runtime/rt/clock.h"

struct trainer {
    const struct rnc_train_config *c;
    struct rnc_train_result *r;
    struct rnc_instance *train, *infer;
    struct rnc_loader *loader, *val_loader;
    const void **in; /* of the training step, by index */
    struct rnc_outputs outputs;
    struct rnc_tally tally, val_tally;
    struct rnc_history history;
    struct rnc_checkpoint at; /* where the run is */
    char *order;              /* how samples come, in words */
    char *last, *next;        /* paths: the checkpoint; best weights, until they get their name */
    int lock;                 /* of the folder */
    double epoch_began, epoch_seconds, val_seconds;
    int64_t epoch_images; /* trained on since epoch_began */
    double lr;
};

/* ---- opening */

/* Finds out now, not after the first epoch, whether OUT can be written to; no other process does from here on. */
static bool open_folder(struct trainer *t, struct rnc_status *s)
{
    const char *out = t->c->out;
    if (!rnc_make_directory(out, s)) return false;
    t->lock = rnc_folder_lock(out, s);
    if (t->lock < 0 || !rnc_folder_settle(out, s)) return false;
    if (!t->c->resume && !t->c->overwrite && rnc_folder_taken(out))
        return rnc_fail(s, RNC_USER, "%s holds a run already", out);
    char *path = rnc_path_join(out, RNC_RUN_LOG);
    struct rnc_file *f = path ? rnc_file_create(path, s) : NULL;
    free(path);
    rnc_file_abort(f);
    return f || rnc_fail(s, RNC_ENV, "no memory to open %s", out);
}

static bool write_file(const char *dir, const struct rnc_run_file *what, struct rnc_status *s)
{
    char *path = rnc_path_join(dir, what->name);
    struct rnc_file *f = path ? rnc_file_create(path, s) : NULL;
    free(path);
    if (!f) return rnc_fail(s, RNC_ENV, "no memory to write %s", what->name);
    if (rnc_file_write(f, what->text, strlen(what->text), s)) return rnc_file_commit(f, s);
    rnc_file_abort(f);
    return false;
}

/* A run begins: the files that say which. */
static bool write_files(const struct rnc_train_config *c, struct rnc_status *s)
{
    for (size_t k = 0; k < c->nfiles; k++)
        if (!write_file(c->out, &c->files[k], s)) return false;
    return true;
}

static void write_order(void *to, const char *text, size_t size) { fwrite(text, 1, size, to); }

/* "shuffled, crop: {pad: 2}" */
static bool describe_order(struct trainer *t, struct rnc_status *s)
{
    const struct rnc_loader_config *l = &t->c->loader;
    size_t size;
    FILE *f = open_memstream(&t->order, &size);
    if (!f) return rnc_fail(s, RNC_ENV, "no memory to start training");
    fputs(l->shuffle ? "shuffled" : "in order", f);
    for (int k = 0; k < l->naugment; k++) {
        fputs(", ", f);
        rnc_choice_print(&l->augment[k], (struct rnc_sink){write_order, f});
    }
    return fclose(f) == 0 || rnc_fail(s, RNC_ENV, "no memory to start training");
}

static bool open_loaders(struct trainer *t, struct rnc_status *s)
{
    struct rnc_loader_config l = t->c->loader;
    l.data = &t->c->data->train;
    l.ports = t->c->problem->ports;
    l.nports = t->c->problem->nports;
    l.classes = (const char *const *)t->c->data->classes;
    l.nclasses = t->c->data->nclasses;
    l.batch = t->c->train->batch;
    l.seed = t->c->seed;
    t->loader = rnc_loader_new(&l, s);
    l.data = &t->c->data->val;
    l.batch = t->c->infer->batch;
    l.shuffle = false;
    l.naugment = 0;
    t->val_loader = t->loader ? rnc_loader_new(&l, s) : NULL;
    return t->val_loader != NULL;
}

static bool open_models(struct trainer *t, char **details, struct rnc_status *s)
{
    const struct rnc_train_config *c = t->c;
    if (!rnc_tally_begin(&t->tally, c->problem, c->train, s) ||
        !rnc_tally_begin(&t->val_tally, c->problem, c->infer, s))
        return false;
    t->tally.quick = true;
    if (!t->tally.total) return rnc_fail(s, RNC_USER, "model %s has no loss to train on", c->train->name);
    t->in = calloc((size_t)c->train->ninputs + 1, sizeof *t->in);
    if (!t->in) return rnc_fail(s, RNC_ENV, "no memory to train %s", c->train->name);
    t->train = rnc_open(c->train, c->par, c->exec_flags, s);
    t->infer = t->train ? rnc_open(c->infer, c->par, c->exec_flags, s) : NULL;
    if (!t->infer || !rnc_initialize(t->train, c->seed, s) || !rnc_outputs_new(c->train, &t->outputs, s)) return false;
    return !c->init || c->resume || rnc_weights_load(t->train, c->init, 0, details, s);
}

static void choose_metrics(struct trainer *t)
{
    const struct rnc_problem *p = t->c->problem;
    t->history.problem = p;
    t->history.unit = t->c->data->unit;
    t->history.steps_per_epoch = rnc_loader_batches(t->loader);
    t->r->primary = &p->column[p->primary];
}

/* For the result, which outlives the history. */
static void keep_last(struct trainer *t, const struct rnc_epoch_row *row)
{
    double *values = t->c->values;
    for (int k = 0; k < t->c->problem->ncolumns; k++) values[k] = row->val[k];
    t->r->last = *row;
    t->r->last.val = values;
}

/* The learning rate of a step, from 0. */
static double rate_of(const struct trainer *t, int64_t step)
{
    const struct rnc_train_config *c = t->c;
    int64_t per_epoch = t->history.steps_per_epoch, last = c->schedule_epochs ? c->schedule_epochs : c->epochs;
    if (step >= per_epoch * last && c->late_lr > 0.0) return c->late_lr;
    return rnc_schedule_lr(&c->schedule, c->lr, step, per_epoch, per_epoch * last);
}

/* More epochs are for a run that has done its own, and at a rate that does something. */
static bool may_extend(const struct trainer *t, struct rnc_status *s)
{
    const struct rnc_train_config *c = t->c;
    long long done = (long long)t->at.epoch, of = (long long)t->at.started_epochs;
    if (done < of)
        return rnc_fail(s, RNC_USER,
                        "the run in %s has done %lld of its %lld epochs: --resume goes on with it, --extend is for "
                        "one that is finished",
                        c->out, done, of);
    if (rate_of(t, t->at.step) > 1e-6 * c->lr) return true;
    return rnc_fail(
        s, RNC_USER,
        "the schedule %s has come down to nothing in epoch %lld: --lr X is the rate of the epochs behind it",
        c->schedule.row->name, done);
}

/* Where the run begins: at the start, or where the checkpoint says. */
static bool open_position(struct trainer *t, char **details, struct rnc_status *s)
{
    const struct rnc_train_config *c = t->c;
    t->at = (struct rnc_checkpoint){.epochs = c->epochs,
                                    .batch_size = c->train->batch,
                                    .seed = c->seed,
                                    .spec_hash = c->spec_hash,
                                    .lr = c->lr,
                                    .data = c->data->identity,
                                    .order = t->order,
                                    .steps_per_epoch = t->history.steps_per_epoch,
                                    .allow_drift = c->allow_drift,
                                    .extends = c->extends};
    t->at.counts = t->tally.count;
    t->at.ncounts = t->tally.ncount;
    t->at.sums = t->tally.sum;
    t->at.nsums = t->tally.nsum;
    if (!c->resume) return rnc_folder_set_aside(c->out, s) && write_files(c, s);
    struct rnc_checkpoint want = t->at;
    if (!rnc_checkpoint_load(t->train, &want, c->facts, c->nfacts, t->last, &t->at, details, s)) return false;
    if (c->extends && !may_extend(t, s)) return false;
    t->r->drifted = t->at.drift && c->allow_drift;
    t->r->finished_before = t->at.epoch == c->epochs;
    t->tally.samples = t->at.samples;
    t->r->resumed_epoch = t->at.epoch;
    t->r->resumed_step = t->at.step;
    rnc_history_load(&t->history, c->out, t->at.epoch, t->at.step);
    t->r->log_missing = t->at.epoch - (int64_t)t->history.nepochs;
    if (t->history.nepochs) keep_last(t, &t->history.epoch[t->history.nepochs - 1]);
    return true;
}

static bool open_trainer(struct trainer *t, char **details, struct rnc_status *s)
{
    t->last = rnc_path_join(t->c->out, RNC_RUN_LAST);
    t->next = rnc_path_join(t->c->out, RNC_RUN_NEXT);
    if (!t->last || !t->next) return rnc_fail(s, RNC_ENV, "no memory to start training");
    if (t->c->resume && access(t->last, F_OK) != 0)
        return rnc_fail(s, RNC_USER, "there is nothing to resume: no %s", t->last);
    if (!describe_order(t, s) || !open_folder(t, s) || !open_loaders(t, s) || !open_models(t, details, s)) return false;
    choose_metrics(t);
    return open_position(t, details, s);
}

static void close_trainer(struct trainer *t)
{
    rnc_loader_free(t->loader);
    rnc_loader_free(t->val_loader);
    rnc_close(t->train);
    rnc_close(t->infer);
    rnc_outputs_free(&t->outputs);
    rnc_tally_free(&t->tally);
    rnc_tally_free(&t->val_tally);
    rnc_history_free(&t->history);
    free(t->order);
    free(t->at.drift);
    free(t->in);
    free(t->last);
    free(t->next);
    rnc_folder_unlock(t->lock);
}

/* ---- checkpoints */

static bool save_last(struct trainer *t, struct rnc_status *s)
{
    t->at.samples = t->tally.samples;
    return rnc_checkpoint_save(t->train, &t->at, true, t->c->facts, t->c->nfacts, t->last, s);
}

static bool save_best(struct trainer *t, struct rnc_status *s)
{
    return rnc_checkpoint_save(t->train, &t->at, false, t->c->facts, t->c->nfacts, t->next, s);
}

/* In the order of runtime/train/folder.h. A log that cannot be written does not cost the checkpoint, and a picture
   costs nothing. */
static bool save_all(struct trainer *t, bool best, struct rnc_status *s)
{
    struct rnc_status own = {0};
    bool logged = rnc_history_save(&t->history, t->c->out, s);
    bool kept = (!best || save_best(t, &own)) && save_last(t, &own) && (!best || rnc_folder_promote(t->c->out, &own));
    if (!kept) rnc_fail(s, own.code, "%s", own.message);
    t->r->pictures = (struct rnc_status){0};
    rnc_curves_draw(&t->history, t->c->out, t->c->title, &t->r->pictures);
    return logged && kept;
}

/* ---- steps */

static bool stopping(const struct trainer *t) { return t->c->stop && *t->c->stop; }

static void tell(struct trainer *t, enum rnc_event event, int64_t batch, int64_t batches,
                 const struct rnc_epoch_row *row, bool best)
{
    if (!t->c->progress) return;
    double spent = rnc_clock_seconds() - t->epoch_began, rate = spent > 0.0 ? (double)t->epoch_images / spent : 0.0;
    if (event != RNC_EVENT_STEP) rate = t->epoch_seconds > 0.0 ? (double)t->epoch_images / t->epoch_seconds : 0.0;
    int64_t per_epoch = t->c->data->train.count, left_epochs = t->c->epochs - t->at.epoch;
    double left = (double)(left_epochs * per_epoch - t->at.batch * t->c->train->batch);
    struct rnc_progress p = {.event = event,
                             .epoch = t->at.epoch + 1,
                             .epochs = t->c->epochs,
                             .batch = batch,
                             .batches = batches,
                             .step = t->at.step,
                             .lr = t->lr,
                             .loss = rnc_tally_loss(&t->tally),
                             .metric = rnc_tally_column(&t->tally, t->c->problem->primary),
                             .primary = t->r->primary,
                             .images_per_s = rate,
                             .row = row,
                             .best = best};
    p.eta_s = rate > 0.0 && left > 0.0 ? left / rate + (double)left_epochs * t->val_seconds : 0.0;
    t->c->progress(t->c->ctx, &p);
}

static bool diverged(struct trainer *t, double loss, struct rnc_status *s)
{
    bool saved = access(t->last, F_OK) == 0;
    return rnc_fail(s, RNC_USER,
                    "the loss is %f at step %lld, in epoch %lld: training has diverged, and was stopped. A smaller "
                    "--lr or a warm-up may help. %s%s%s",
                    loss, (long long)t->at.step + 1, (long long)t->at.epoch + 1,
                    saved ? "The last good checkpoint is " : "There is no checkpoint yet", saved ? t->last : "", ".");
}

/* How many of its labels the primary metric met, of how many; 0 of 0 where it is no such share. */
struct share {
    int64_t right, counted;
};
static struct share share_of(const struct trainer *t)
{
    const struct rnc_column *c = t->r->primary;
    if (c->pair < 0 || !c->metric->share) return (struct share){0, 0};
    const int64_t *count = t->tally.sides[c->pair].count;
    return (struct share){count[0], count[1]};
}

/* Nothing of it counts: there is nothing to learn. */
static bool pass_over(struct trainer *t, const struct rnc_batch *b)
{
    t->at.batch++;
    t->epoch_images += b->n;
    t->tally.samples += b->n;
    t->r->passed_over++;
    return true;
}

static bool train_batch(struct trainer *t, const struct rnc_batch *b, struct rnc_status *s)
{
    const struct rnc_train_config *c = t->c;
    if (!rnc_batch_counts(c->problem, b)) return pass_over(t, b);
    t->lr = rate_of(t, t->at.step);
    struct rnc_run run = {.n = b->n, .step = t->at.step + 1, .seed = c->seed, .lr = t->lr};
    if (!rnc_batch_bind(c->train, b, t->in, s) || !rnc_execute(t->train, &run, t->in, t->outputs.buffer, NULL, s))
        return false;
    float loss = *(const float *)t->outputs.buffer[t->tally.total->offset];
    if (!isfinite(loss)) return diverged(t, (double)loss, s);
    t->at.step++;
    t->at.batch++;
    t->epoch_images += b->n;
    struct share before = share_of(t);
    rnc_tally_add(&t->tally, t->outputs.buffer, b);
    struct share now = share_of(t);
    float metric =
        now.counted > before.counted ? (float)(now.right - before.right) / (float)(now.counted - before.counted) : NAN;
    return rnc_history_add_step(&t->history, &(struct rnc_step_row){t->at.step, t->lr, loss, metric}, s);
}

/* The rest of the epoch, from batch at.batch. Ends early when the run is to stop. */
static bool train_epoch(struct trainer *t, struct rnc_status *s)
{
    t->epoch_images = 0;
    t->epoch_began = rnc_clock_seconds();
    rnc_loader_start(t->loader, t->at.epoch, t->at.batch);
    while (!stopping(t)) {
        struct rnc_batch b;
        if (!rnc_loader_next(t->loader, &b, s)) return false;
        if (b.n == 0) break;
        if (!train_batch(t, &b, s)) return false;
        tell(t, RNC_EVENT_STEP, t->at.batch, t->history.steps_per_epoch, NULL, false);
    }
    t->epoch_seconds = rnc_clock_seconds() - t->epoch_began;
    return true;
}

static void validation_progress(void *ctx, int64_t done, int64_t batches)
{
    struct trainer *t = ctx;
    tell(t, RNC_EVENT_VALIDATION, done, batches, NULL, false);
}

static bool validate(struct trainer *t, struct rnc_status *s)
{
    double began = rnc_clock_seconds();
    rnc_tally_reset(&t->val_tally);
    bool ok = rnc_weights_copy(t->train, t->infer, s) &&
              rnc_evaluate(t->infer, t->val_loader, &t->val_tally, t->c->stop, validation_progress, t, s);
    t->val_seconds = rnc_clock_seconds() - began;
    return ok;
}

static bool learned(const struct trainer *t, struct rnc_status *s)
{
    return !isnan(rnc_tally_loss(&t->tally)) ||
           rnc_fail(s, RNC_USER,
                    "epoch %lld: no label of the training data counts: all of them are ignored, or no class",
                    (long long)t->at.epoch + 1);
}

static bool finish_epoch(struct trainer *t, struct rnc_status *s)
{
    const struct rnc_problem *p = t->c->problem;
    struct rnc_epoch_row row = {.val = t->c->values,
                                .epoch = t->at.epoch + 1,
                                .step = t->at.step,
                                .lr = rate_of(t, t->at.step - 1),
                                .train_loss = rnc_tally_loss(&t->tally),
                                .train_metric = rnc_tally_column(&t->tally, p->primary),
                                .val_loss = rnc_tally_loss(&t->val_tally),
                                .images_per_s = t->epoch_images && t->epoch_seconds > 0.0
                                                    ? (double)t->epoch_images / t->epoch_seconds
                                                    : NAN,
                                .seconds = t->epoch_seconds + t->val_seconds};
    for (int k = 0; k < p->ncolumns; k++) row.val[k] = rnc_tally_column(&t->val_tally, k);
    if (!rnc_history_add_epoch(&t->history, &row, s)) return false;
    t->r->last = row;
    double reached = row.val[p->primary];
    bool best = t->at.best_epoch == 0 || rnc_metric_better(t->r->primary->metric, reached, t->at.best);
    if (best) t->at.best = reached, t->at.best_epoch = row.epoch;
    tell(t, RNC_EVENT_EPOCH, 0, 0, &row, best);
    t->at.epoch++;
    t->at.batch = 0;
    rnc_tally_reset(&t->tally);
    return save_all(t, best, s);
}

static bool stop_here(struct trainer *t, struct rnc_status *s)
{
    t->r->stopped = true;
    return save_all(t, false, s);
}

static bool run_epochs(struct trainer *t, struct rnc_status *s)
{
    while (t->at.epoch < t->c->epochs) {
        if (!train_epoch(t, s)) return false;
        if (stopping(t) && t->at.batch < t->history.steps_per_epoch) return stop_here(t, s);
        if (!learned(t, s) || !validate(t, s)) return false;
        if (stopping(t) && t->val_tally.samples < t->c->data->val.count) return stop_here(t, s);
        if (!finish_epoch(t, s)) return false;
        if (stopping(t) && t->at.epoch < t->c->epochs) {
            t->r->stopped = true;
            return true;
        }
    }
    return true;
}

bool rnc_train(const struct rnc_train_config *c, struct rnc_train_result *r, char **details, struct rnc_status *s)
{
    struct trainer t = {.c = c, .r = r, .lock = -1};
    double began = rnc_clock_seconds();
    *r = (struct rnc_train_result){0};
    if (details) *details = NULL;
    bool ok = open_trainer(&t, details, s) && run_epochs(&t, s);
    r->epochs = t.at.epoch;
    r->step = t.at.step;
    r->best = t.at.best;
    r->best_epoch = t.at.best_epoch;
    r->seconds = rnc_clock_seconds() - began;
    close_trainer(&t);
    return ok;
}
