/* train.c: `rnc train`: a spec, data, and what comes out of them. */
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
#include "cli/progress.h"
#include "cli/resume.h"
#include "driver/driver.h"
#include "driver/sums.h"
#include "gen/module/trim.h"
#include "pass/algorithm/algorithm.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/optimizer.h"
#include "runtime/rt/hash.h"
#include "runtime/io/safetensors.h"
#include "runtime/train/folder.h"
#include "runtime/train/train.h"

static struct recipe_options opt;
static struct text_list opt_rename;

static const char default_out[] = "out";
enum { SIGNALLED = 128 }; /* as a shell counts it */
static const struct span nowhere = {NULL, 0, 0, 0};

static volatile int stop_flag; /* the one thing that the signal handler sets: the signal's number */

static void on_signal(int number) { stop_flag = number; }

/* The first signal: finish the step and save. The second: exit. A closed pipe fails at each line instead. */
static void catch_signals(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t k = 0; k < sizeof caught / sizeof *caught; k++) {
        struct sigaction a = {.sa_handler = on_signal, .sa_flags = caught[k] == SIGPIPE ? 0 : (int)SA_RESETHAND}, was;
        sigemptyset(&a.sa_mask);
        if (caught[k] == SIGHUP && sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler == SIG_IGN)
            continue; /* nohup */
        sigaction(caught[k], &a, NULL);
    }
}

/* ---- putting it together */

struct training {
    struct cli *c;
    struct dataset_model model;
    struct rnc_data data;
    struct built train, infer;
    struct rnc_pool *pool;
    struct rnc_parallel par;
    struct progress progress;
    struct rnc_safetensors *from; /* the checkpoint that it goes on from; NULL */
    struct rnc_fact facts[DATASET_META + RESUME_FACTS + 7];
    const char
        *spec_text; /* everything written out: two runs with equal texts train the same network in the same way */
    struct rnc_run_file files[2];
    bool stopped;       /* by a signal, after saving */
    const char *beside; /* the default folder that holds another run; NULL */
};

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
    struct model_options o = driver_measured(t->model.spec, MODEL_TRAIN);
    if (!cli_compile(t->c, t->model.spec, &o, &t->train)) return false;
    o = driver_measured(t->model.spec, MODEL_INFER);
    o.batch = t->train.model->batch;
    if (!cli_compile(t->c, t->model.spec, &o, &t->infer)) return false;
    gen_trim();
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

static bool report_failure(struct training *t, const struct rnc_status *s, char *details)
{
    progress_clear(&t->progress);
    struct diag *d = s->code == RNC_ENV ? diag_env(t->c->diags, "%s", s->message)
                                        : diag_error(t->c->diags, nowhere, "%s", s->message);
    char *rest = details;
    for (char *line = details ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n")) diag_note(d, "%s", line);
    free(details);
    return false;
}

static void add_fact(struct training *t, struct rnc_train_config *k, struct rnc_fact fact)
{
    t->facts[k->nfacts++] = fact;
}

/* In every checkpoint. Where activations are stored rounded, the CPU's own instructions round them. */
static void describe_facts(struct training *t, struct rnc_train_config *k)
{
    struct cli *c = t->c;
    const struct spec *s = t->train.spec;
    struct rnc_st_meta meta[DATASET_META];
    k->facts = t->facts;
    size_t n = dataset_meta(c, &k->loader, &t->data, meta);
    for (size_t i = 0; i < n; i++) add_fact(t, k, (struct rnc_fact){meta[i].key, meta[i].value, meta[i].key, false});
    add_fact(t, k, (struct rnc_fact){.key = dataset_words_key, .value = dataset_words(&t->data)});
    k->nfacts += resume_facts(c, &opt, t->facts + k->nfacts);
    add_fact(t, k, (struct rnc_fact){RNC_FACT_SPEC, t->spec_text, "the spec", false});
    const char *params = t->from ? rnc_st_meta(t->from, folder_params_key) : NULL; /* spec.yaml has none any more */
    add_fact(t, k, (struct rnc_fact){.key = folder_params_key, .value = params ? params : folder_params_text(c, s)});
    add_fact(t, k, (struct rnc_fact){.key = resume_choices_key, .value = choices_text(t)});
    add_fact(t, k, (struct rnc_fact){.key = resume_dtype_key, .value = dtype_name(s->dtype)});
    add_fact(t, k, (struct rnc_fact){"rnc.sums", driver_sums(c->driver, &t->train), "the order of a sum", true});
    add_fact(t, k,
             (struct rnc_fact){"rnc.cpu", t->train.model->cpu,
                               dtype_rounded(s->dtype) ? "the CPU that code is made for (--cpu)" : NULL, true});
}

/* What the run says of itself: in every checkpoint, and in files beside them. */
static bool describe(struct training *t, struct rnc_train_config *k)
{
    struct cli *c = t->c;
    const struct spec *s = t->train.spec;
    const char *data = opt.data ? opt.data : folder_data(c, c->run), *run = folder_run_text(c, data);
    t->spec_text = folder_spec_text(c, s);
    if (!t->spec_text || !run) return false;
    k->spec_hash = rnc_hash_text(t->spec_text);
    describe_facts(t, k);
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
    if (r->drifted)
        diag_warn(t->c->diags, nowhere,
                  "the run goes on with sums in another order: its last bits may differ from those "
                  "of an uninterrupted one; its checkpoints say so");
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
                                 .values = ARENA_ARRAY(t->c->arena, double, t->model.problem.ncolumns),
                                 .par = &t->par,
                                 .exec_flags = driver_exec_flags(),
                                 .data = &t->data,
                                 .loader = loader,
                                 .schedule = st->schedule,
                                 .lr = opt.lr_given ? opt.lr : rnc_optimizer_lr(&st->optimizer),
                                 .epochs = opt.epochs ? opt.epochs : st->epochs,
                                 .seed = t->c->driver->options.seed,
                                 .out = opt.out,
                                 .resume = opt.resume,
                                 .overwrite = opt.overwrite,
                                 .allow_drift = opt.allow_drift,
                                 .extends = opt.extend > 0,
                                 .schedule_epochs = opt.schedule_epochs,
                                 .late_lr = opt.late_lr,
                                 .init = opt.init,
                                 .stop = &stop_flag,
                                 .progress = progress_show,
                                 .ctx = &t->progress};
    if (!describe(t, &k)) return false;
    k.title = arena_printf(t->c->arena, "%s, %.*s", t->train.model->name, (int)strcspn(t->data.description, ":"),
                           t->data.description);
    t->progress.problem = k.problem;
    t->progress.unit = t->data.unit;
    print_start(t, &k, images);
    catch_signals();
    if (!rnc_train(&k, &r, &details, &s)) return report_failure(t, &s, details);
    free(details);
    progress_end(&t->progress, &k, &r, t->data.description, stop_flag);
    warn(t, &k, &r);
    t->stopped = r.stopped;
    return true;
}

/* ---- the folder */

static bool excludes_resume(struct cli *c, bool given, const char *option)
{
    if (!opt.resume || !given) return true;
    diag_error(c->diags, nowhere, "--resume and %s exclude each other: --resume takes everything from the run's %s",
               option, RNC_RUN_LAST);
    return false;
}

static bool only_with_resume(struct cli *c, bool given, const char *option)
{
    if (opt.resume || !given) return true;
    diag_error(c->diags, nowhere, "%s is for --resume", option);
    return false;
}

/* Default folders: "out", "out-2", "out-3". */
static const char *numbered(struct cli *c, int n)
{
    return n == 1 ? default_out : arena_printf(c->arena, "%s-%d", default_out, n);
}

/* The output folder without --out: the first default folder that holds none or, for a run to go on with, the
   last one that does. */
static const char *default_folder(struct training *t)
{
    int n = 1;
    while (rnc_folder_taken(numbered(t->c, n)) || rnc_folder_busy(numbered(t->c, n))) n++;
    if (opt.resume && n > 1) n--;
    if (opt.overwrite) n = 1;
    t->beside = opt.resume || n == 1 ? NULL : numbered(t->c, n - 1);
    return numbered(t->c, n);
}

static bool choose_folder(struct training *t, const char *spec)
{
    struct cli *c = t->c;
    if (opt.extend) opt.resume = true;
    if (!only_with_resume(c, opt.allow_drift, "--allow-drift") || !excludes_resume(c, opt.init, "--init") ||
        !excludes_resume(c, opt.overwrite, "--overwrite"))
        return false;
    folder_spec(c, spec);
    if (!opt.out && opt.resume) opt.out = c->run;
    if (!opt.out) opt.out = default_folder(t);
    size_t n = strlen(opt.out);
    while (n > 1 && opt.out[n - 1] == '/') n--;
    opt.out = arena_strndup(c->arena, opt.out, n);
    if (opt.resume || opt.overwrite || !rnc_folder_taken(opt.out)) return true;
    struct diag *d = diag_error(c->diags, nowhere, "%s/ holds a run already", opt.out);
    diag_note(
        d, "--resume goes on with it; --overwrite sets it aside, its files ending in %s; another --out leaves it alone",
        RNC_RUN_OLD);
    return false;
}

static bool go_on(struct training *t)
{
    if (opt.extend && opt.epochs) {
        diag_error(t->c->diags, nowhere, "--extend and --epochs exclude each other: --extend N is for N epochs more");
        return false;
    }
    if (!resume_adopt(t->c, &opt, &t->from)) return false;
    if (!opt.data) opt.data = folder_data(t->c, opt.out);
    return true;
}

static bool train(struct training *t, const char *spec)
{
    const char *images;
    if (!choose_folder(t, spec)) return false;
    if (opt.resume && !go_on(t)) return false;
    if (!dataset_model(t->c, spec, &t->model)) return false;
    if (t->model.spec->ntargets == 0) {
        struct diag *d = diag_error(t->c->diags, nowhere, "%s has no targets to train on", t->model.spec->name);
        diag_note(d, "add `targets: {label: {type: class}}` and a loss");
        return false;
    }
    if (!dataset_open(t->c, &t->model, &(struct dataset_request){.path = opt.data, .rename = &opt_rename}, &t->data))
        return false;
    struct rnc_loader_config loader = dataset_loader(&t->model, true);
    if (opt.no_augment) loader.naugment = 0;
    loader.shuffle = !opt.no_shuffle;
    bool ok = dataset_preprocess(t->c, &t->model, opt.normalize, t->from, &t->data, true, &loader, &images) &&
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
    t.progress = (struct progress){.c = c, .bar = isatty(STDERR_FILENO)};
    train(&t, argv[0]);
    rnc_st_close(t.from);
    int status = cli_finish(c);
    return status == 0 && t.stopped ? SIGNALLED + stop_flag : status;
}

static const struct option options[] = {
    {.name = "data",
     .kind = OPT_TEXT,
     .arg = "PATH",
     .help = "a folder or a file, in any of the formats of a spec's data, recognised by what lies there",
     .dest = &opt.data},
    {.name = "rename",
     .kind = OPT_LIST,
     .arg = "FOLDER=CLASS",
     .help = "a folder of images that is a class of another name",
     .dest = &opt_rename},
    {.name = "epochs",
     .kind = OPT_INT,
     .arg = "N",
     .help = "times over the data (default: the spec's)",
     .dest = &opt.epochs,
     .min = 1,
     .max = 1000000},
    {.name = "out",
     .kind = OPT_TEXT,
     .arg = "DIR",
     .help = "where checkpoints, log and curves go (default: out or, where that holds a run, out-2, out-3 …)",
     .dest = &opt.out},
    {.name = "resume",
     .kind = OPT_FLAG,
     .help = "go on from DIR/last.safetensors, exactly; what is not given is as the run had it",
     .dest = &opt.resume},
    {.name = "overwrite",
     .kind = OPT_FLAG,
     .help = "set a run that is in DIR aside: its files end in .old then, in place of an earlier one's",
     .dest = &opt.overwrite},
    {.name = "extend",
     .kind = OPT_INT,
     .arg = "N",
     .help = "--resume for a finished run: N epochs more, at the schedule's last rate or at that of --lr",
     .dest = &opt.extend,
     .min = 1,
     .max = 1000000},
    {.name = "allow-drift",
     .kind = OPT_FLAG,
     .help = "--resume although sums are in another order (another CPU or plan): last bits may differ",
     .dest = &opt.allow_drift},
    {.name = "lr",
     .kind = OPT_FLOAT,
     .arg = "X",
     .help = "the learning rate (default: the spec's)",
     .dest = &opt.lr,
     .given = &opt.lr_given,
     .least = 0,
     .most = 1e38},
    {.name = "init",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "begin with the weights of a safetensors file",
     .dest = &opt.init},
    {.name = "normalize",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .rows = &rnc_normalizations,
     .help = "or MEAN,…/STD,… (default: the spec's, or measured)",
     .dest = &opt.normalize},
    {.name = "no-shuffle", .kind = OPT_FLAG, .help = "take the samples in their order", .dest = &opt.no_shuffle},
    {.name = "no-augment", .kind = OPT_FLAG, .help = "leave the spec's augmentation out", .dest = &opt.no_augment},
};

const struct command command_train = {
    .name = "train",
    .group = GROUP_USE,
    .place = 1,
    .summary = "train a network",
    .usage = "SPEC [--data PATH] [--epochs N] [--out DIR] [--resume]",
    .details =
        "Compiles the spec's training step and runs it over the data; after each epoch validates and writes "
        "DIR/last.safetensors, best.safetensors,\n"
        "log.csv, steps.csv and curves.png. Without data, the handwritten digits that are built in serve (1 × "
        "20 × 20, 10 classes):\n\n"
        "  rnc train resnet20 -p channels=1 -p size=20 --epochs 5\n"
        "  rnc train resnet20 -p channels=1 -p size=28 --data /usr/share/datasets/fashion-mnist --epochs 1\n\n"
        "A folder of arrays serves any inputs and targets: DIR/NAME.npy, [count, …], for each of them, or "
        "DIR/train/ and DIR/val/ with those.\n\n"
        "DIR is the folder of the run. It holds the spec with everything written out (spec.yaml) and the command "
        "(run.json), too, and stands for\n"
        "the spec in every command: rnc eval DIR. A folder that holds a run is left alone; one process at a time "
        "trains in it.\n\n"
        "Ctrl-C, SIGTERM and SIGHUP finish the step and write a checkpoint; the status is then 128 and the "
        "signal's number. --resume goes on with the\n"
        "same bits as if nothing had happened, also after a kill: what is not given is as the run had it, what "
        "is given and differs is refused by\n"
        "name. --extend N goes on with a finished run; its schedule stays as long as it was, and --lr is the "
        "rate of the epochs behind it.\n\n"
        "  rnc train out/ --resume\n\n"
        "--json prints a line for each epoch (\"event\": \"epoch\"), and one for the run (\"event\": \"end\").",
    .shared = CLI_SPEC | CLI_JSON | CLI_RUN | CLI_MEMORY,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
