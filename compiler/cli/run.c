/* run.c: `rnc run`: one forward, or one forward and backward, on NumPy arrays: how rnc is compared with anything else.
 */
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/options.h"
#include "cli/picture.h"
#include "runtime/io/npy.h"
#include "runtime/recipe/normalize.h"
#include "runtime/rt/pack.h"
#include "runtime/task/task.h"
#include "runtime/io/safetensors.h"

static const char *opt_weights, *opt_grads, *opt_normalize;
static struct text_list opt_input, opt_output, opt_target, opt_dump;
static bool opt_train, opt_raw;

/* A file of the command line: which tensor, where, and its array. */
struct array_file {
    struct named_file file;
    bool picture; /* read once the input is known: then the array is what it became */
    struct rnc_npy array;
    const struct rnc_tensor *tensor;
};
struct files {
    struct array_file *item;
    int count;
};

struct job {
    struct cli *c;
    struct dataset_model model; /* where there are pictures */
    struct built built;
    struct session session;
    struct files inputs, targets;
    void **in, **out; /* by index */
    int64_t n;
};

static const struct span nowhere = {NULL, 0, 0, 0};

static bool fail_status(struct job *j, const struct rnc_status *s) { return driver_fail(j->c->driver, s); }

/* ---- arrays in */

static bool read_files(struct job *j, const struct text_list *list, bool pictures, struct files *f)
{
    f->item = ARENA_ARRAY(j->c->arena, struct array_file, list->count + 1);
    for (int i = 0; i < list->count; i++) {
        struct array_file *a = &f->item[f->count];
        struct rnc_status s = {0};
        a->file = option_named_file(j->c->arena, list->items[i]);
        a->picture = pictures && picture_is(a->file.path);
        if (!a->picture && !rnc_npy_read(a->file.path, &a->array, &s)) {
            fail_status(j, &s);
            continue;
        }
        f->count++;
    }
    return f->count == list->count;
}

static void free_files(struct files *f)
{
    for (int i = 0; i < f->count; i++) rnc_npy_free(&f->item[i].array);
}

/* Lists the tensors of ROLE under the diagnostic. */
static void note_tensors(struct job *j, struct diag *d, enum rnc_role role, const char *what)
{
    const struct rnc_model *m = j->built.model;
    struct buf b;
    buf_init(&b, j->c->arena);
    for (uint32_t i = 0; i < m->ntensors; i++)
        if (m->tensors[i].role == role && strncmp(m->tensors[i].name, "grad.", 5) != 0)
            buf_printf(&b, "%s%s", b.len ? ", " : "", m->tensors[i].name);
    diag_note(d, "the %ss are: %s", what, b.len ? b.data : "none");
}

static const struct rnc_tensor *tensor_named(struct job *j, const char *name, const char *path, enum rnc_role role,
                                             const char *what)
{
    const struct rnc_model *m = j->built.model;
    if (name) {
        const struct rnc_tensor *t = session_tensor(m, role, name);
        if (!t) note_tensors(j, diag_error(j->c->diags, nowhere, "%s has no %s '%s'", m->name, what, name), role, what);
        return t;
    }
    const struct rnc_tensor *only = NULL;
    int count = 0;
    for (uint32_t i = 0; i < m->ntensors; i++) {
        const struct rnc_tensor *t = &m->tensors[i];
        if (t->role != role || strncmp(t->name, "grad.", 5) == 0) continue;
        if (role == RNC_ROLE_OUTPUT && strcmp(t->name, "loss") == 0 && only)
            continue; /* an output of training, never the one that is meant */
        bool dumped = false;
        for (int k = 0; k < opt_dump.count; k++) {
            const char *dump = option_named_file(j->c->arena, opt_dump.items[k]).name;
            dumped |= role == RNC_ROLE_OUTPUT && dump && strcmp(dump, t->name) == 0;
        }
        if (dumped && only) continue;
        if (!only) only = t;
        count++;
    }
    if (count == 1) return only;
    struct diag *d = diag_error(j->c->diags, nowhere, "%s has %d %ss: say which one '%s' is, as NAME=%s", m->name,
                                count, what, path, path);
    note_tensors(j, d, role, what);
    return NULL;
}

static bool to_int64(struct rnc_npy *a)
{
    int64_t n = rnc_npy_elements(a), *wide = malloc((size_t)n * 8 + 8);
    if (!wide) return false;
    for (int64_t i = 0; i < n; i++) wide[i] = ((const uint8_t *)a->data)[i];
    free(a->data);
    a->data = wide;
    a->dtype = RNC_NPY_I64;
    return true;
}

static bool check_array(struct job *j, struct array_file *a)
{
    const struct rnc_type *t = &a->tensor->type;
    struct diags *d = j->c->diags;
    bool same = a->array.rank == t->rank;
    for (int i = 0; i < t->rank && same; i++) same = a->array.dim[i] == t->dim[i];
    if (!same) {
        struct diag *e = diag_error(d, nowhere, "%s: the array is %s, %s of %s is %s", a->file.path,
                                    shape_text(j->c->arena, a->array.rank, a->array.dim), a->tensor->name,
                                    j->built.model->name, shape_text(j->c->arena, t->rank, t->dim));
        if (a->tensor->role == RNC_ROLE_INPUT)
            diag_note(e, "images are [N, C, H, W]; -p sets the spec's size and channels");
        return false;
    }
    if (t->dtype == RNC_I64 && a->array.dtype == RNC_NPY_U8 && !to_int64(&a->array)) {
        diag_env(d, "%s: out of memory", a->file.path);
        return false;
    }
    bool fits = t->dtype == RNC_I64 ? a->array.dtype == RNC_NPY_I64 : a->array.dtype == RNC_NPY_F32;
    if (fits) return true;
    struct diag *e = diag_error(d, nowhere, "%s: %s wants %s", a->file.path, a->tensor->name,
                                t->dtype == RNC_I64 ? "whole numbers (int64)" : "float32");
    diag_note(e, "save array.astype('%s')", t->dtype == RNC_I64 ? "int64" : "float32");
    return false;
}

/* Labels index the classes; one out of range must not reach the kernels. */
static bool check_labels(struct job *j, const struct array_file *a)
{
    int64_t ignore = -1, classes = session_classes(j->built.raw, a->tensor->name, &ignore);
    if (a->array.dtype != RNC_NPY_I64 || !classes) return true;
    const int64_t *label = a->array.data;
    for (int64_t i = 0; i < rnc_npy_elements(&a->array); i++) {
        if (label[i] == ignore || (label[i] >= 0 && label[i] < classes)) continue;
        struct diag *d =
            diag_error(j->c->diags, nowhere, "%s: element %lld is %lld; the labels of %s run from 0 to %lld",
                       a->file.path, (long long)i, (long long)label[i], a->tensor->name, (long long)classes - 1);
        diag_note(d, "-p classes=N sets the number of classes of a shipped spec");
        return false;
    }
    return true;
}

static bool has_picture(const struct job *j)
{
    bool has = false;
    for (int i = 0; i < j->inputs.count; i++) has |= j->inputs.item[i].picture;
    return has;
}

/* Of several arrays the last counts; a picture is not passed over. */
static bool is_taken(struct job *j, const struct array_file *a)
{
    if (!j->in[a->tensor->offset] || !has_picture(j)) return false;
    struct diag *d = diag_error(j->c->diags, nowhere, "%s: '%s' has a file already", a->file.path, a->tensor->name);
    diag_note(d, "one file for each, as NAME=FILE; several samples are one array [N, C, H, W]");
    return true;
}

static bool read_picture(struct job *j, struct array_file *a)
{
    const struct picture_request r = {&j->model, a->file.path, opt_weights, opt_normalize, opt_raw};
    const char *line;
    if (!a->picture) return true;
    if (!picture_read(j->c, &r, a->tensor->name, &a->array, &line)) return false;
    printf("%s\n", line);
    return true;
}

/* Gives every array its tensor and every tensor of ROLE an array. */
static bool bind(struct job *j, struct files *f, enum rnc_role role, const char *what, const char *option)
{
    const struct rnc_model *m = j->built.model;
    bool ok = true;
    for (int i = 0; i < f->count; i++) {
        struct array_file *a = &f->item[i];
        a->tensor = tensor_named(j, a->file.name, a->file.path, role, what);
        if (!a->tensor || is_taken(j, a) || !read_picture(j, a) || !check_array(j, a) || !check_labels(j, a))
            ok = false;
        else j->in[a->tensor->offset] = a->array.data;
    }
    for (uint32_t i = 0; i < m->ntensors && ok; i++) {
        const struct rnc_tensor *t = &m->tensors[i];
        if (t->role != role || j->in[t->offset]) continue;
        diag_error(j->c->diags, nowhere, "%s needs the %s '%s': --%s %s=FILE.npy", m->name, what, t->name, option,
                   t->name);
        ok = false;
    }
    return ok;
}

/* ---- arrays out */

_Static_assert((int)RNC_MAX_RANK <= (int)RNC_NPY_MAX_RANK, "a file holds every tensor");

static bool write_tensor(struct job *j, const struct rnc_tensor *t, const char *path)
{
    struct rnc_npy a = {.dtype = t->type.dtype == RNC_I64 ? RNC_NPY_I64 : RNC_NPY_F32,
                        .rank = t->type.rank,
                        .data = j->out[t->offset]};
    for (int i = 0; i < a.rank; i++) a.dim[i] = t->type.dim[i];
    struct rnc_status s = {0};
    return rnc_npy_write(path, &a, &s) || fail_status(j, &s);
}

static bool write_outputs(struct job *j)
{
    bool ok = true;
    for (int i = 0; i < opt_output.count && ok; i++) {
        struct named_file f = option_named_file(j->c->arena, opt_output.items[i]);
        const struct rnc_tensor *t = tensor_named(j, f.name, f.path, RNC_ROLE_OUTPUT, "output");
        ok = t && write_tensor(j, t, f.path);
    }
    for (int i = 0; i < opt_dump.count && ok; i++) {
        struct named_file f = option_named_file(j->c->arena, opt_dump.items[i]);
        const struct rnc_tensor *t = tensor_named(j, f.name, f.path, RNC_ROLE_OUTPUT, "output");
        ok = t && write_tensor(j, t, f.path);
    }
    return ok;
}

/* Is T written to --grads? Gradients lose their "grad."; BN statistics come with them as the step left them. */
static const char *grads_name(const struct rnc_tensor *t)
{
    if (t->role == RNC_ROLE_OUTPUT && strncmp(t->name, "grad.", 5) == 0) return t->name + 5;
    return t->role == RNC_ROLE_BUFFER || t->role == RNC_ROLE_COUNTER ? t->name : NULL;
}

static bool put_tensor(struct job *j, struct rnc_st_writer *w, const struct rnc_tensor *t, struct rnc_status *s)
{
    if (t->role == RNC_ROLE_OUTPUT) return rnc_st_put(w, j->out[t->offset], s);
    void *plain = arena_alloc(j->c->arena, (size_t)rnc_elements(&t->type) * 8 + 8);
    return rnc_get(j->session.instance, t->name, plain, s) && rnc_st_put(w, plain, s);
}

static bool write_grads(struct job *j)
{
    const struct rnc_model *m = j->built.model;
    struct rnc_st_tensor *rows = ARENA_ARRAY(j->c->arena, struct rnc_st_tensor, m->ntensors + 1);
    size_t count = 0;
    for (uint32_t i = 0; i < m->ntensors; i++) {
        const struct rnc_tensor *t = &m->tensors[i];
        if (!grads_name(t)) continue;
        struct rnc_st_tensor *r = &rows[count++];
        *r = (struct rnc_st_tensor){.name = grads_name(t),
                                    .dtype = t->type.dtype == RNC_I64 ? RNC_ST_I64 : RNC_ST_F32,
                                    .rank = t->type.rank};
        for (int k = 0; k < r->rank; k++) r->dim[k] = t->type.dim[k];
    }
    struct rnc_status s = {0};
    struct rnc_st_writer *w = rnc_st_create(opt_grads, rows, count, NULL, 0, &s);
    if (!w) return fail_status(j, &s);
    for (uint32_t i = 0; i < m->ntensors; i++) {
        if (!grads_name(&m->tensors[i]) || put_tensor(j, w, &m->tensors[i], &s)) continue;
        rnc_st_abort(w);
        return fail_status(j, &s);
    }
    return rnc_st_commit(w, &s) || fail_status(j, &s);
}

/* ---- the run */

static bool execute(struct job *j)
{
    struct rnc_run run = {.n = j->n, .step = 1, .seed = j->c->driver->options.seed, .lr = 0};
    return driver_run(j->c->driver, &j->session, &run, (const void *const *)j->in, j->out);
}

static void print_loss(const struct job *j)
{
    const struct rnc_tensor *t = session_tensor(j->built.model, RNC_ROLE_OUTPUT, "loss");
    if (t) printf("loss %.9g\n", (double)*(const float *)j->out[t->offset]);
}

static const struct spec *load(struct job *j, const char *path)
{
    if (!has_picture(j)) return cli_load(j->c, path);
    return dataset_model(j->c, path, &j->model) ? j->model.spec : NULL;
}

static bool run_job(struct job *j, const char *spec)
{
    const char **dumps = ARENA_ARRAY(j->c->arena, const char *, opt_dump.count + 1);
    for (int i = 0; i < opt_dump.count; i++) {
        dumps[i] = option_named_file(j->c->arena, opt_dump.items[i]).name;
        if (dumps[i]) continue;
        diag_error(j->c->diags, nowhere, "--dump wants NAME=FILE.npy, not '%s'", opt_dump.items[i]);
        return false;
    }
    struct model_options o = {.mode = opt_train ? MODEL_GRAD : MODEL_INFER,
                              .batch = j->n,
                              .input_grads = opt_grads != NULL,
                              .dump = dumps,
                              .ndump = opt_dump.count};
    const struct spec *s = load(j, spec);
    if (!s || !folder_weights(j->c, s, &opt_weights) || !cli_compile(j->c, s, &o, &j->built)) return false;
    j->in = ARENA_ARRAY(j->c->arena, void *, j->built.model->ninputs + 1);
    j->out = driver_outputs(j->c->driver, &j->built);
    bool ok = bind(j, &j->inputs, RNC_ROLE_INPUT, "input", "input");
    if (opt_train) ok = bind(j, &j->targets, RNC_ROLE_TARGET, "target", "target") && ok;
    if (!ok || !driver_open(j->c->driver, &j->built, &(struct open_options){.weights = opt_weights}, &j->session) ||
        !execute(j))
        return false;
    if (!write_outputs(j) || (opt_grads && !write_grads(j))) return false;
    if (opt_train) print_loss(j);
    struct rnc_status st = {0}; /* write what was computed: it helps to find the reason */
    return rnc_outputs_check(j->built.model, j->out, j->n, &st) || fail_status(j, &st);
}

static bool check_options(struct job *j)
{
    struct diags *d = j->c->diags;
    if (!opt_input.count)
        diag_note(diag_error(d, nowhere, "rnc run: no --input"),
                  "for example --input x.npy, a float32 array [N, C, H, W]");
    if (!opt_output.count && !opt_dump.count && !opt_grads)
        diag_note(diag_error(d, nowhere, "rnc run: nothing to write"),
                  "--output y.npy, --dump NAME=FILE.npy or --grads FILE.safetensors");
    if (opt_raw && opt_normalize) diag_error(d, nowhere, "--raw leaves the normalisation out: --normalize cannot be");
    if (!opt_train && opt_target.count) diag_error(d, nowhere, "--target belongs to --train");
    if (!opt_train && opt_grads) diag_error(d, nowhere, "--grads belongs to --train");
    if (opt_train && !opt_target.count) diag_error(d, nowhere, "--train needs --target t.npy");
    return diags_errors(d) == 0;
}

/* Arrays are always taken as they are: what is said of pictures needs one. */
static bool check_pictures(struct job *j)
{
    if (has_picture(j) || (!opt_raw && !opt_normalize)) return true;
    struct diag *d =
        diag_error(j->c->diags, nowhere, "--%s is for pictures, and no --input is one", opt_raw ? "raw" : "normalize");
    diag_note(d, ".npy arrays are always taken as they are");
    return false;
}

/* The batch is the first array's; a picture is one sample. */
static bool take_batch(struct job *j)
{
    const struct array_file *a = &j->inputs.item[0];
    if (!a->picture && (a->array.rank < 1 || a->array.dim[0] < 1)) {
        diag_error(j->c->diags, nowhere, "%s: the array is %s; an input is [N, C, H, W]", a->file.path,
                   shape_text(j->c->arena, a->array.rank, a->array.dim));
        return false;
    }
    j->n = a->picture ? 1 : a->array.dim[0];
    const int64_t batch = j->c->driver->options.batch;
    if (!batch || batch == j->n) return true;
    struct diag *d = diag_error(j->c->diags, nowhere, "--batch %lld, but %s holds %lld sample%s", (long long)batch,
                                a->file.path, (long long)j->n, j->n == 1 ? "" : "s");
    if (a->picture) diag_note(d, "a picture is a batch of 1; several are one .npy array [N, C, H, W]");
    return false;
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    static struct job j;
    j.c = c;
    bool ok = check_options(&j) && read_files(&j, &opt_input, true, &j.inputs);
    ok = ok && read_files(&j, &opt_target, false, &j.targets) && check_pictures(&j) && take_batch(&j);
    if (ok) run_job(&j, argv[0]);
    session_close(&j.session);
    driver_release(&j.built);
    free_files(&j.inputs);
    free_files(&j.targets);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "a safetensors file; without it, fresh ones from --seed",
     .dest = &opt_weights},
    {.name = "input",
     .kind = OPT_LIST,
     .arg = "[NAME=]FILE",
     .help = "float32 [N, C, H, W] in .npy, or a PNG or JPEG picture; NAME where there are several",
     .dest = &opt_input},
    {.name = "raw",
     .kind = OPT_FLAG,
     .help = "a picture's pixels / 255 as they are: no fit (its size must be the input's), no normalisation",
     .dest = &opt_raw},
    {.name = "normalize",
     .kind = OPT_TEXT,
     .arg = "NAME",
     .rows = &rnc_normalizations,
     .help = "or MEAN,…/STD,… (default: as in training, the spec's, or none)",
     .dest = &opt_normalize},
    {.name = "output", .kind = OPT_LIST, .arg = "[NAME=]FILE.npy", .help = "where an output goes", .dest = &opt_output},
    {.name = "train", .kind = OPT_FLAG, .help = "forward and backward, in training mode", .dest = &opt_train},
    {.name = "target",
     .kind = OPT_LIST,
     .arg = "[NAME=]FILE.npy",
     .help = "int64 [N] for classes, [N, H, W] for class maps",
     .dest = &opt_target},
    {.name = "grads",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "every gradient, and the updated BN statistics",
     .dest = &opt_grads},
    {.name = "dump",
     .kind = OPT_LIST,
     .arg = "NAME=FILE.npy",
     .help = "the output of a layer, by path or label",
     .dest = &opt_dump},
};

const struct command command_run = {
    .name = "run",
    .group = GROUP_USE,
    .place = 4,
    .summary = "one forward, or forward and backward, on NumPy arrays or a picture",
    .usage = "SPEC [--weights W] --input x.npy --output y.npy [--train --target t.npy --grads g.safetensors] [--dump "
             "NAME=FILE.npy]",
    .details = "Arrays are plain NCHW, always taken as they are; the batch is the array's. A PNG or JPEG picture is a "
               "batch of 1, and goes through\nwhat it does in predict: as the weights record it, else as the spec "
               "says. With --train the loss is printed, and --grads holds the\ngradient of every parameter under its "
               "name, of every input under its name, and the BN statistics as this step leaves them. No\nupdate is "
               "made.\n\n"
               "  rnc run resnet18 --weights resnet18.safetensors --input x.npy --output y.npy --dump layer1.0=l1.npy\n"
               "  rnc run resnet20 --weights w.safetensors --input x.npy --train --target t.npy --output y.npy --grads "
               "g.safetensors\n",
    .shared = CLI_SPEC | CLI_RUN,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
