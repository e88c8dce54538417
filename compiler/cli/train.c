/* train.c: `rnc train`: a spec, data, and what comes out of them. */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/dataset.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "driver/driver.h"
#include "gen/module/rest.h"
#include "pass/algorithm/algorithm.h"
#include "runtime/rt/clock.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/optimizer.h"
#include "runtime/rt/hash.h"
#include "runtime/io/safetensors.h"
#include "runtime/train/folder.h"
#include "runtime/train/train.h"

static const char *opt_data, *opt_out, *opt_init, *opt_normalize;
static int64_t opt_epochs;
static double opt_lr;
static bool lr_given, opt_resume, opt_overwrite, opt_no_shuffle, opt_no_augment;

static const char default_out[] = "out";
static const struct span nowhere = {NULL, 0, 0, 0};

static volatile int stop_flag; /* the one thing that the signal handler sets */

static void on_signal(int number)
{
    (void)number;
    stop_flag = 1;
}

/* Once: finish the step and save. Twice: the usual end. */
static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* ---- what is shown while it runs */

enum { BAR = 24 };
struct display {
    struct cli *c;
    bool bar;     /* a terminal: one line, redrawn */
    double drawn; /* when */
    bool titled;
    const struct rnc_task *task;
    unsigned metrics;
    const char *unit; /* "images" */
};

static void eta_text(double s, char *out, size_t size)
{
    long left = s < 359999.0 ? (long)(s + 0.5) : 359999;
    if (left >= 3600) snprintf(out, size, "%ld:%02ld:%02ld", left / 3600, left / 60 % 60, left % 60);
    else snprintf(out, size, "%ld:%02ld", left / 60, left % 60);
}

static void draw_bar(struct display *d, const struct rnc_progress *p)
{
    char bar[BAR * 4 + 1] = "", eta[32];
    bool last = p->batch == p->batches;
    double now = rnc_clock_seconds();
    if (!last && now - d->drawn < 0.1) return;
    d->drawn = now;
    int64_t full = p->batches ? BAR * p->batch / p->batches : 0;
    for (int i = 0; i < BAR; i++) strcat(bar, i < full ? "█" : "░");
    eta_text(p->eta_s, eta, sizeof eta);
    if (p->event == RNC_EVENT_VALIDATION)
        fprintf(stderr, "\r\033[Kepoch %lld/%lld  %s  validation", (long long)p->epoch, (long long)p->epochs, bar);
    else {
        fprintf(stderr, "\r\033[Kepoch %lld/%lld  %s %3lld %%  loss %.4f", (long long)p->epoch, (long long)p->epochs,
                bar, (long long)(p->batches ? 100 * p->batch / p->batches : 0), p->loss);
        if (p->primary->fraction) fprintf(stderr, "  %.2f %%", 100.0 * p->metric);
        fprintf(stderr, "  %.0f %s/s  ETA %s", p->images_per_s, d->unit, eta);
    }
    fflush(stderr);
}

/* "accuracy 93.10 %", "mean_squared_error 0.0123" */
static void print_metric(const struct rnc_metric *m, double v)
{
    if (m->fraction) printf("%s %.2f %%", m->name, 100.0 * v);
    else printf("%s %.4g", m->name, v);
}

static void print_row(struct display *d, const struct rnc_progress *p)
{
    const struct rnc_epoch_row *r = p->row;
    if (d->bar) fprintf(stderr, "\r\033[K");
    if (d->c->json) return;
    printf("epoch %lld/%lld  loss %.4f", (long long)p->epoch, (long long)p->epochs, r->train_loss);
    if (!p->primary->loss) {
        printf("  ");
        print_metric(p->primary, r->train_metric);
    }
    printf("  |  validation: loss %.4f", r->val_loss);
    for (int m = 0; m < d->task->nmetrics; m++) {
        const struct rnc_metric *row = &d->task->metrics[m];
        if (row->loss || isnan(r->val[m]) || (row->on_request && !(d->metrics >> m & 1))) continue;
        printf("  ");
        print_metric(row, r->val[m]);
    }
    printf("  |  %.0f %s/s  %.1f s%s\n", r->images_per_s, d->unit, r->seconds, p->best ? "  (best)" : "");
    fflush(stdout);
}

static void on_progress(void *ctx, const struct rnc_progress *p)
{
    struct display *d = ctx;
    if (p->event == RNC_EVENT_EPOCH) print_row(d, p);
    else if (d->bar) draw_bar(d, p);
}

/* ---- putting it together */

struct training {
    struct cli *c;
    struct dataset_model model;
    struct rnc_data data;
    struct built train, infer;
    struct rnc_pool *pool;
    struct rnc_parallel par;
    struct display display;
    struct rnc_st_meta meta[DATASET_META + 4];
    const char
        *spec_text; /* everything written out: two runs with equal texts train the same network in the same way */
    struct rnc_run_file files[2];
    const char *beside; /* the default folder that holds another run; NULL */
};

/* The key of the metadata in which a checkpoint names the algorithm of every convolution, of the step and of the
   validation. */
static const char choices_key[] = "rnc.choices", dtype_key[] = "rnc.dtype"; /* and how activations were stored */

/* Going on with the same bits needs the same algorithms, whatever the model of their costs or the tuner would say now.
   A checkpoint that cannot be read is rnc_train's to report. */
static void replay_choices(struct training *t)
{
    struct rnc_status s = {0};
    struct rnc_safetensors *f = rnc_st_open(arena_printf(t->c->arena, "%s/last.safetensors", opt_out), &s);
    const char *choices = f ? rnc_st_meta(f, choices_key) : NULL;
    if (choices) {
        struct strmap *map = ARENA_NEW(t->c->arena, struct strmap);
        strmap_init(map, t->c->arena);
        algorithm_replay(choices, map);
        t->c->driver->options.replay = map;
        t->c->tune_given = false;
    }
    const char *dtype = f ? rnc_st_meta(f, dtype_key) : NULL;
    if (dtype && !t->c->driver->options.dtype) t->c->driver->options.dtype = arena_strdup(t->c->arena, dtype);
    rnc_st_close(f);
}

static const char *choices_text(struct training *t)
{
    struct strmap map;
    struct buf text;
    strmap_init(&map, t->c->arena);
    buf_init(&text, t->c->arena);
    algorithm_record(t->train.graph, &map);
    algorithm_record(t->infer.graph, &map);
    algorithm_print(&map, &text);
    return text.data;
}

static bool compile(struct training *t)
{
    struct model_options o = {.mode = MODEL_TRAIN};
    if (!cli_compile(t->c, t->model.spec, &o, &t->train)) return false;
    o = (struct model_options){.mode = MODEL_INFER,
                               .batch = t->train.model->batch,
                               .losses = t->model.problem.task->losses};
    if (!cli_compile(t->c, t->model.spec, &o, &t->infer)) return false;
    gen_rest();
    struct rnc_status s = {0};
    t->pool = rnc_pool_new((int)t->c->driver->options.threads, &s);
    if (!t->pool) return driver_fail(t->c->driver, &s);
    t->par = rnc_pool_parallel(t->pool);
    return true;
}

/* A batch of one sample is one value a channel to a batch norm behind the last pixel: said once, for it teaches little.
 */
static void print_last_of_one(const struct training *t)
{
    const int64_t count = t->data.train.count, batch = t->train.model->batch;
    if (batch < 2 || count % batch != 1) return;
    GRAPH_EACH(t->train.raw, n)
    {
        const struct type *x = &n->in[0]->type;
        if (op_work_of(n->op) != WORK_BATCH_NORM || type_elements(x) != batch * x->dim[1]) continue;
        printf(
            "the last batch of an epoch has one sample, and with it one value a channel in the batch norm '%s': it "
            "leaves "
            "the running statistics alone, and nothing before that layer learns from it; another --batch avoids it\n",
            node_label(n));
        return;
    }
}

static void print_start(struct training *t, const struct rnc_train_config *k, const char *images)
{
    const struct built *b = &t->train;
    if (t->c->json) return;
    if (t->beside) printf("%s/ holds a run: this one goes to %s/\n", t->beside, k->out);
    printf("%s on %s\n%s\n", b->model->name, t->data.description, images);
    printf("batch %lld, %lld epoch%s, learning rate %g%s%s; %d thread%s, compiled for %s in %.1f s; %s\n",
           (long long)b->model->batch, (long long)k->epochs, k->epochs == 1 ? "" : "s", k->lr,
           dtype_rounded(b->spec->dtype) ? "; " : "", dtype_rounded(b->spec->dtype) ? dtype_name(b->spec->dtype) : "",
           rnc_pool_threads(t->pool), rnc_pool_threads(t->pool) == 1 ? "" : "s", b->model->cpu,
           (b->parse_ms + b->pass_ms + b->compile_ms + t->infer.parse_ms + t->infer.pass_ms + t->infer.compile_ms) /
               1e3,
           format_bytes(t->c->arena, b->model->arena_bytes + b->model->state_bytes));
    print_last_of_one(t);
    fflush(stdout);
}

static void put_real(json_t *j, const char *key, double v)
{
    json_object_set_new(j, key, isfinite(v) ? json_real(v) : json_null());
}

static void print_json(struct training *t, const struct rnc_train_config *k, const struct rnc_train_result *r)
{
    const struct rnc_epoch_row *e = &r->last;
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:s, s:I}", "model", t->train.model->name, "data",
                  t->data.description, "out", k->out, "epochs", (json_int_t)r->epochs, "steps", (json_int_t)r->step,
                  "stopped", (int)r->stopped, "metric", r->primary->name, "best_epoch", (json_int_t)r->best_epoch);
    put_real(j, "best", r->best_epoch ? r->best : NAN);
    put_real(j, "seconds", r->seconds);
    if (e->epoch) {
        put_real(j, "train_loss", e->train_loss);
        put_real(j, "train_metric", e->train_metric);
        put_real(j, "images_per_s", e->images_per_s);
        put_real(j, "val_loss", e->val_loss);
    }
    for (int m = 0; m < t->model.problem.task->nmetrics && e->epoch; m++) {
        char key[64];
        snprintf(key, sizeof key, "val_%s", t->model.problem.task->metrics[m].name);
        if (!isnan(e->val[m])) put_real(j, key, e->val[m]);
    }
    json_dumpf(j, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(j);
}

static void print_end(struct training *t, const struct rnc_train_config *k, const struct rnc_train_result *r)
{
    if (t->display.bar) fprintf(stderr, "\r\033[K");
    if (t->c->json) {
        print_json(t, k, r);
        return;
    }
    if (r->stopped)
        printf("stopped in epoch %lld, after step %lld; `--resume` goes on from %s/last.safetensors\n",
               (long long)r->epochs + 1, (long long)r->step, k->out);
    if (r->best_epoch) {
        printf("best ");
        print_metric(r->primary, r->best);
        printf(" in epoch %lld; %s/: last.safetensors, best.safetensors, log.csv, curves.png\n",
               (long long)r->best_epoch, k->out);
    }
}

static bool report_failure(struct training *t, const struct rnc_status *s, char *details)
{
    if (t->display.bar) fprintf(stderr, "\r\033[K");
    struct diag *d = s->code == RNC_ENV ? diag_env(t->c->diags, "%s", s->message)
                                        : diag_error(t->c->diags, nowhere, "%s", s->message);
    char *rest = details;
    for (char *line = details ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n")) diag_note(d, "%s", line);
    free(details);
    return false;
}

/* What the run says of itself: in every checkpoint, and in files beside them. */
static bool describe(struct training *t, struct rnc_train_config *k)
{
    struct cli *c = t->c;
    const struct spec *s = t->train.spec;
    const char *data = opt_data ? opt_data : folder_data(c), *run = folder_run_text(c, data);
    t->spec_text = folder_spec_text(c, s);
    if (!t->spec_text || !run) return false;
    k->spec_hash = rnc_hash_text(t->spec_text);
    k->nmeta = dataset_meta(c, &k->loader, &t->data, t->meta);
    t->meta[k->nmeta++] = (struct rnc_st_meta){choices_key, choices_text(t)};
    t->meta[k->nmeta++] = (struct rnc_st_meta){dtype_key, dtype_name(s->dtype)};
    t->meta[k->nmeta++] = (struct rnc_st_meta){folder_spec_key, t->spec_text};
    t->meta[k->nmeta++] = (struct rnc_st_meta){folder_params_key, folder_params_text(c, s)};
    t->files[0] = (struct rnc_run_file){
        RNC_RUN_SPEC, arena_printf(c->arena, "# The spec of this run, everything written out\n%s", t->spec_text)};
    t->files[1] = (struct rnc_run_file){RNC_RUN_JSON, run};
    k->files = t->files;
    k->nfiles = 2;
    return true;
}

/* What did not go as it should, and cost no weights. */
static void warn(struct training *t, const struct rnc_train_config *k, const struct rnc_train_result *r)
{
    if (r->pictures.code != RNC_OK)
        diag_warn(t->c->diags, nowhere, "the curves are not drawn: %s", r->pictures.message);
    if (r->log_missing)
        diag_warn(t->c->diags, nowhere, "%s/%s has no row of %lld of the epochs before", k->out, RNC_RUN_LOG,
                  (long long)r->log_missing);
}

static bool run_training(struct training *t, struct rnc_loader_config loader, const char *images)
{
    const struct spec_train *st = &t->train.spec->train;
    struct rnc_status s = {0};
    struct rnc_train_result r;
    char *details;
    struct rnc_train_config k = {.train = t->train.model,
                                 .infer = t->infer.model,
                                 .problem = &t->model.problem,
                                 .par = &t->par,
                                 .exec_flags = driver_exec_flags(),
                                 .data = &t->data,
                                 .loader = loader,
                                 .schedule = st->schedule,
                                 .lr = lr_given ? opt_lr : rnc_optimizer_lr(&st->optimizer),
                                 .epochs = opt_epochs ? opt_epochs : st->epochs,
                                 .seed = t->c->driver->options.seed,
                                 .out = opt_out,
                                 .resume = opt_resume,
                                 .overwrite = opt_overwrite,
                                 .init = opt_init,
                                 .metrics = t->model.metrics,
                                 .meta = t->meta,
                                 .stop = &stop_flag,
                                 .progress = on_progress,
                                 .ctx = &t->display};
    if (!describe(t, &k)) return false;
    k.title = arena_printf(t->c->arena, "%s, %.*s", t->train.model->name, (int)strcspn(t->data.description, ":"),
                           t->data.description);
    t->display.task = k.problem->task;
    t->display.metrics = k.metrics;
    t->display.unit = t->data.unit;
    print_start(t, &k, images);
    catch_signals();
    if (!rnc_train(&k, &r, &details, &s)) return report_failure(t, &s, details);
    free(details);
    print_end(t, &k, &r);
    warn(t, &k, &r);
    return true;
}

/* ---- the folder */

static bool excludes_resume(struct cli *c, bool given, const char *option)
{
    if (!opt_resume || !given) return true;
    diag_error(c->diags, nowhere, "--resume and %s exclude each other: --resume takes everything from the run's %s",
               option, RNC_RUN_LAST);
    return false;
}

/* Default folders: "out", "out-2", "out-3". */
static const char *numbered(struct cli *c, int n)
{
    return n == 1 ? default_out : arena_printf(c->arena, "%s-%d", default_out, n);
}

/* Where the run goes when nobody says where: the first default folder that holds none or, for a run to go on with, the
   last one that does. */
static const char *default_folder(struct training *t)
{
    int n = 1;
    while (rnc_folder_taken(numbered(t->c, n)) || rnc_folder_busy(numbered(t->c, n))) n++;
    if (opt_resume && n > 1) n--;
    if (opt_overwrite) n = 1;
    t->beside = opt_resume || n == 1 ? NULL : numbered(t->c, n - 1);
    return numbered(t->c, n);
}

static bool choose_folder(struct training *t, const char *spec)
{
    struct cli *c = t->c;
    if (!excludes_resume(c, opt_init, "--init") || !excludes_resume(c, opt_overwrite, "--overwrite")) return false;
    folder_spec(c, spec);
    if (!opt_out && opt_resume) opt_out = c->run;
    if (!opt_out) opt_out = default_folder(t);
    size_t n = strlen(opt_out);
    while (n > 1 && opt_out[n - 1] == '/') n--;
    opt_out = arena_strndup(c->arena, opt_out, n);
    if (opt_resume || opt_overwrite || !rnc_folder_taken(opt_out)) return true;
    struct diag *d = diag_error(c->diags, nowhere, "%s/ holds a run already", opt_out);
    diag_note(
        d, "--resume goes on with it; --overwrite sets it aside, its files ending in %s; another --out leaves it alone",
        RNC_RUN_OLD);
    return false;
}

static bool train(struct training *t, const char *spec)
{
    const char *images;
    if (!choose_folder(t, spec)) return false;
    if (opt_resume) replay_choices(t);
    if (!dataset_model(t->c, spec, &t->model)) return false;
    if (t->model.spec->ntargets == 0) {
        struct diag *d = diag_error(t->c->diags, nowhere, "%s has no targets to train on", t->model.spec->name);
        diag_note(d, "add `targets: {label: {type: class}}` and a loss");
        return false;
    }
    if (!dataset_open(t->c, &t->model, opt_data, false, &t->data)) return false;
    struct rnc_loader_config loader = dataset_loader(&t->model, true);
    if (opt_no_augment) loader.naugment = 0;
    loader.shuffle = !opt_no_shuffle;
    bool ok = dataset_preprocess(t->c, &t->model, opt_normalize, NULL, &t->data, true, &loader, &images) &&
              compile(t) && run_training(t, loader, images);
    driver_release(&t->train);
    driver_release(&t->infer);
    rnc_pool_free(t->pool);
    rnc_data_close(&t->data);
    return ok;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct training t = {.c = c};
    (void)argc;
    t.display = (struct display){.c = c, .bar = isatty(STDERR_FILENO)};
    train(&t, argv[0]);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "data",
     .kind = OPT_TEXT,
     .arg = "PATH",
     .help = "a folder or a file, in any of the formats of a spec's data, recognised by what lies there",
     .dest = &opt_data},
    {.name = "epochs",
     .kind = OPT_INT,
     .arg = "N",
     .help = "times over the data (default: the spec's)",
     .dest = &opt_epochs,
     .min = 1,
     .max = 1000000},
    {.name = "out",
     .kind = OPT_TEXT,
     .arg = "DIR",
     .help = "where checkpoints, log and curves go (default: out or, where that holds a run, out-2, out-3 …)",
     .dest = &opt_out},
    {.name = "resume", .kind = OPT_FLAG, .help = "go on from DIR/last.safetensors, exactly", .dest = &opt_resume},
    {.name = "overwrite",
     .kind = OPT_FLAG,
     .help = "set a run that is in DIR aside: its files end in .old then, in place of an earlier one's",
     .dest = &opt_overwrite},
    {.name = "lr",
     .kind = OPT_FLOAT,
     .arg = "X",
     .help = "the learning rate (default: the spec's)",
     .dest = &opt_lr,
     .given = &lr_given,
     .least = 0,
     .most = 1e38},
    {.name = "init",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "begin with the weights of a safetensors file",
     .dest = &opt_init},
    {.name = "normalize",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .rows = &rnc_normalizations,
     .help = "or MEAN,…/STD,… (default: the spec's, or measured)",
     .dest = &opt_normalize},
    {.name = "no-shuffle", .kind = OPT_FLAG, .help = "take the samples in their order", .dest = &opt_no_shuffle},
    {.name = "no-augment", .kind = OPT_FLAG, .help = "leave the spec's augmentation out", .dest = &opt_no_augment},
};

const struct command command_train = {
    .name = "train",
    .group = GROUP_USE,
    .place = 1,
    .summary = "train a network",
    .usage = "SPEC [--data PATH] [--epochs N] [--out DIR] [--resume]",
    .details = "Compiles the spec's training step and runs it over the data; after each epoch validates and writes "
               "DIR/last.safetensors, best.safetensors,\n"
               "log.csv, steps.csv and curves.png. Without data, the handwritten digits that are built in serve (1 × "
               "20 × 20, 10 classes):\n\n"
               "  rnc train resnet20 -p channels=1 -p size=20 --epochs 5\n"
               "  rnc train resnet20 -p channels=1 -p size=28 --data /usr/share/datasets/fashion-mnist --epochs 1\n\n"
               "A folder of arrays serves any inputs and targets: DIR/NAME.npy, [count, …], for each of them, or "
               "DIR/train/ and DIR/val/ with those.\n\n"
               "Ctrl-C finishes the step and writes a checkpoint; --resume goes on with the same bits as if it had not "
               "been interrupted: with the\n"
               "algorithms and the dtype that the checkpoint names, so --tune is not needed again, and does nothing.",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN | CLI_MEMORY,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
