/* test_vectors.c: rnc against the golden vectors of make_vectors.py, from the root of the repository:

       build/tests/vectors/test_vectors [WORD…]     the cases whose name contains a WORD

   For each network: the reference interpreter (forward, gradients, statistics, optimizer steps; in double precision, so
   nothing but the rounding of the stored numbers remains), `rnc run` on the same arrays with 1 and 2 threads, and three
   optimizer steps of the compiled training step, with room for more samples than there are. Each case runs in a process
   of its own. RNC names the program. */
#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "driver/driver.h"
#include "op/eval.h"
#include "store.h"
#include "tests/support/choice.h"

#define FORWARD_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-4
#define STEP_TOLERANCE 3e-5      /* gradients may be off by 1e-4, of which a part is in the parameters */
#define REFERENCE_TOLERANCE 2e-7 /* the stored numbers are floats */

/* As in make_vectors.py. */
static const struct net {
    const char *name, *params[7];
    double lr; /* of SGD, where it is not 0.01 */
} nets[] = {
    {.name = "resnet20", .params = {"n=1", "size=16", "classes=10"}},
    {.name = "resnet18", .params = {"width=8", "size=48", "classes=10"}},
    {.name = "resnet34", .params = {"width=4", "size=40", "classes=10"}},
    {.name = "resnet50", .params = {"width=4", "size=40", "classes=10"}},
    {.name = "unet", .params = {"width=2", "size=32", "classes=4"}},
    {.name = "retinanet",
     .params = {"backbone=resnet18", "width=3", "size=128", "classes=3", "anchors=2", "features=8"},
     .lr = 0.001},
};
enum { NNETS = sizeof nets / sizeof nets[0] };

/* What a case works with. */
struct test {
    struct arena *arena;
    struct driver *driver;
    const struct net *net;
    struct store store;
    const char *vectors;
    struct comparison *c;
    int64_t n;
};

/* ---- the parameters, as make_vectors.py makes them */

static uint64_t splitmix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void make_parameter(struct tensor *t)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (const char *p = t->name; *p; p++) h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
    const size_t length = strlen(t->name);
    const bool scale = t->rank == 1 && length > 6 && strcmp(t->name + length - 6, "weight") == 0;
    const bool last = length > 10 && strcmp(t->name + length - 10, "bn3.weight") == 0;
    const double bound = t->rank > 1 ? sqrt(6.0 / (double)(t->count / t->dim[0])) : 0;
    for (size_t i = 0; i < t->count; i++) {
        const double u = (double)(splitmix64(h + i * UINT64_C(0xD1342543DE82EF95)) >> 40) * 0x1p-24;
        t->data[i] = (float)(t->rank > 1 ? (2 * u - 1) * bound
                             : scale     ? (0.5 + u) * (last ? 0.25 : 1)
                                         : 0.5 * u - 0.25);
    }
}

/* The state before the step: parameters (named as the gradients stored are) and running statistics. */
static struct tensor **starting_state(const struct store *s, size_t *count)
{
    struct tensor **list = ARENA_ARRAY(s->arena, struct tensor *, s->count);
    *count = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *from = &s->tensors[i];
        const bool gradient = strncmp(from->name, "grad.", 5) == 0 && strcmp(from->name, "grad.image") != 0;
        if (!gradient && strncmp(from->name, "start.", 6) != 0) continue;
        struct tensor *t = list[(*count)++] = ARENA_NEW(s->arena, struct tensor);
        *t = *from;
        t->name = from->name + (gradient ? 5 : 6);
        t->data = ARENA_ARRAY(s->arena, float, t->count);
        if (gradient) make_parameter(t);
        else memcpy(t->data, from->data, t->count * sizeof(float));
    }
    return list;
}

/* ---- comparison */

struct comparison {
    int compared, failed;
    double worst;
    const char *worst_name;
};

/* |a - b| / |b| over all elements. */
static double relative_error(const double *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (a[i] - (double)b[i]) * (a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / (norm > 0 ? norm : 1));
}

static void compare(struct comparison *c, const char *name, const double *got, const struct tensor *want,
                    double tolerance)
{
    const double error = relative_error(got, want->data, want->count);
    c->compared++;
    if (!(error <= c->worst)) {
        c->worst = error;
        c->worst_name = name;
    }
    if (error <= tolerance) return;
    if (c->failed++ < 12) printf("  %-40s relative error %.3g, allowed %.3g\n", name, error, tolerance);
}

static bool report(const struct comparison *c)
{
    printf("  %d tensors compared, %d failed; worst %.2e (%s)\n", c->compared, c->failed, c->worst,
           c->worst_name ? c->worst_name : "-");
    return !c->failed && c->compared;
}

static double *widen(struct arena *a, const float *data, size_t count)
{
    double *wide = ARENA_ARRAY(a, double, count + 1);
    for (size_t i = 0; i < count; i++) wide[i] = (double)data[i];
    return wide;
}

/* The target NAME: the only one, or one of several. */
static const struct tensor *stored_target(const struct store *s, const char *name)
{
    const struct tensor *only = store_find(s, "target");
    return only ? only : store_get(s, arena_printf(s->arena, "target.%s", name));
}

/* The label of an output that WANT holds of MODE ("eval." or "train."), or NULL; the loss is no such output. */
static const char *output_label(const struct tensor *want, const char *mode)
{
    const size_t n = strlen(mode);
    return strncmp(want->name, mode, n) == 0 && strcmp(want->name + n, "loss") != 0 ? want->name + n : NULL;
}

/* ---- graphs */

/* Prints the diagnostics; errors end the case. */
static void finish(const struct test *t)
{
    diags_print(t->driver->diags, stdout, false);
    if (diags_errors(t->driver->diags)) store_die("the compiler gave errors");
}

static struct graph *load_graph(const struct test *t, int64_t batch, bool losses)
{
    struct override params[7];
    struct spec_options options = {.params = params};
    for (const char *const *p = t->net->params; *p; p++) {
        char *text = arena_strdup(t->arena, *p), *equals = strchr(text, '=');
        *equals = 0;
        params[options.nparams++] = (struct override){text, equals + 1};
    }
    const struct spec *spec = driver_load(t->driver, t->net->name, &options);
    if (!spec) finish(t);
    const struct model_options o = {.mode = MODEL_INFER, .batch = batch, .losses = losses};
    struct graph *g = driver_elaborate(t->driver, spec, &o);
    finish(t);
    return g;
}

static void run_passes(const struct test *t, struct graph *g, const char *passes, const struct train_options *train)
{
    struct pass_context c = {.arena = t->arena, .diags = t->driver->diags, .train = *train, .verify = true};
    target_host(&c.target);
    if (!gen_target_init(&c.target, c.diags) || !pass_run(g, &c, passes)) finish(t);
    t->driver->options.target = c.target;
}

static const struct value *output_value(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (strcmp(g->outputs[i].label, label) == 0) return g->outputs[i].value;
    store_die("the graph has no output %s", label);
}

static const struct value *new_value(const struct graph *g, const char *state)
{
    for (int i = 0; i < g->nupdates; i++)
        if (strcmp(g->updates[i].state->name, state) == 0) return g->updates[i].value;
    store_die("the graph does not update %s", state);
}

/* ---- the reference interpreter */

static void eval_load_arguments(struct eval *e, const struct graph *g, const struct store *s)
{
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind != VALUE_INPUT && v->kind != VALUE_TARGET) continue;
        /* What lies past the real samples is never read: a NaN there would show. */
        const struct tensor *from = v->kind == VALUE_INPUT ? store_get(s, "input") : stored_target(s, v->name);
        double *data = eval_data(e, v);
        for (size_t k = 0; k < (size_t)type_elements(&v->type); k++)
            data[k] = k >= from->count ? (double)NAN : from->i64 ? (double)from->ints[k] : (double)from->data[k];
    }
}

static void eval_load(struct eval *e, const struct graph *g, const struct store *s)
{
    size_t count;
    struct tensor **state = starting_state(s, &count);
    for (size_t i = 0; i < count; i++) {
        const struct value *v = graph_find(g, state[i]->name);
        if (!v) store_die("the graph has no %s", state[i]->name);
        if ((size_t)type_elements(&v->type) != state[i]->count) store_die("%s has another size", state[i]->name);
        eval_set_f32(e, v, state[i]->data);
    }
    eval_load_arguments(e, g, s);
}

static void compare_eval_outputs(struct test *t, struct eval *e, const struct graph *g, const char *mode)
{
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *want = &t->store.tensors[i];
        const char *label = output_label(want, mode);
        if (label) compare(t->c, want->name, eval_data(e, output_value(g, label)), want, REFERENCE_TOLERANCE);
    }
}

static void test_reference_forward(struct test *t)
{
    struct graph *g = load_graph(t, t->n, false);
    struct eval *e = eval_new(g, (struct ref_run){.n = t->n});
    eval_load(e, g, &t->store);
    eval_run(e, true);
    compare_eval_outputs(t, e, g, "eval.");
    eval_free(e);
}

static void test_reference_gradients(struct test *t)
{
    struct graph *g = load_graph(t, t->n, true);
    run_passes(t, g, "autodiff", &(struct train_options){.grad_outputs = true, .input_grads = true});
    struct eval *e = eval_new(g, (struct ref_run){.n = t->n, .step = 1});
    eval_load(e, g, &t->store);
    eval_run(e, false);
    const struct store *s = &t->store;
    compare_eval_outputs(t, e, g, "train.");
    compare(t->c, "train.loss", eval_data(e, output_value(g, "loss")), store_get(s, "train.loss"), REFERENCE_TOLERANCE);
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *want = &s->tensors[i];
        if (strncmp(want->name, "grad.", 5) == 0)
            compare(t->c, want->name, eval_data(e, output_value(g, want->name)), want, REFERENCE_TOLERANCE);
        if (strncmp(want->name, "stat.", 5) == 0)
            compare(t->c, want->name, eval_data(e, new_value(g, want->name + 5)), want, REFERENCE_TOLERANCE);
    }
    eval_free(e);
}

/* ---- three optimizer steps */

static struct train_options optimizer_options(const char *kind)
{
    if (strcmp(kind, "nesterov") == 0)
        return (struct train_options){.optimizer = choice_of(&rnc_optimizers, "sgd", "nesterov=1")};
    return (struct train_options){
        .optimizer = choice_of(&rnc_optimizers, kind, strcmp(kind, "adamw") == 0 ? "" : "weight_decay=1e-4")};
}

static double learning_rate(const struct net *net, const char *kind)
{
    return strncmp(kind, "adam", 4) == 0 ? 1e-3 : net->lr > 0 ? net->lr : 0.01;
}

/* What the file holds of a state tensor after the steps: its norm, then evenly spaced elements. */
static void compare_after(struct test *t, const struct tensor *want, const double *got, size_t count, double tolerance)
{
    const size_t nsample = want->count - 1;
    const struct tensor stored_norm = {.count = 1, .data = want->data},
                        stored = {.count = nsample, .data = want->data + 1};
    double *picked = ARENA_ARRAY(t->arena, double, nsample), norm = 0;
    for (size_t i = 0; i < count; i++) norm += got[i] * got[i];
    norm = sqrt(norm);
    for (size_t i = 0; i < nsample; i++) picked[i] = got[i * count / nsample];
    compare(t->c, want->name, &norm, &stored_norm, tolerance);
    compare(t->c, want->name, picked, &stored, tolerance);
}

static void steps_reference(struct test *t, const char *kind)
{
    struct graph *g = load_graph(t, t->n + 1, true);
    const struct train_options options = optimizer_options(kind);
    run_passes(t, g, "autodiff", &options);
    struct eval *last = NULL;
    double losses[3];
    for (int step = 0; step < 3; step++) {
        struct eval *e = eval_new(g, (struct ref_run){.n = t->n, .lr = learning_rate(t->net, kind), .step = step + 1});
        eval_load(e, g, &t->store);
        for (int i = 0; i < g->nupdates && last; i++) {
            const struct value *v = g->updates[i].state;
            memcpy(eval_data(e, v), eval_data(last, v), (size_t)type_elements(&v->type) * sizeof(double));
        }
        eval_run(e, false);
        losses[step] = *eval_data(e, output_value(g, "loss"));
        eval_commit(e);
        if (last) eval_free(last);
        last = e;
    }
    const char *name = arena_printf(t->arena, "%s.losses", kind), *prefix = arena_printf(t->arena, "%s.after.", kind);
    compare(t->c, name, losses, store_get(&t->store, name), REFERENCE_TOLERANCE);
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *want = &t->store.tensors[i];
        if (strncmp(want->name, prefix, strlen(prefix)) != 0) continue;
        const struct value *v = graph_find(g, want->name + strlen(prefix));
        if (!v) store_die("the graph has no %s", want->name + strlen(prefix));
        compare_after(t, want, eval_data(last, v), (size_t)type_elements(&v->type), REFERENCE_TOLERANCE);
    }
    eval_free(last);
}

static void check_status(bool ok, const struct rnc_status *status)
{
    if (!ok) store_die("%s", status->message);
}

static size_t tensor_elements(const struct rnc_tensor *t)
{
    size_t count = 1;
    for (int d = 0; d < t->type.rank; d++) count *= (size_t)t->type.dim[d];
    return count;
}

static const struct rnc_tensor *model_tensor(const struct rnc_model *m, const char *name)
{
    for (uint32_t i = 0; i < m->ntensors; i++)
        if (strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    store_die("the model has no %s", name);
}

/* One buffer for each input, target and output. */
static void bind_buffers(const struct test *t, const struct rnc_model *m, const void **inputs, void **outputs)
{
    for (uint32_t i = 0; i < m->ntensors; i++) {
        const struct rnc_tensor *tensor = &m->tensors[i];
        if (tensor->role == RNC_ROLE_INPUT) inputs[tensor->offset] = store_get(&t->store, "input")->data;
        if (tensor->role == RNC_ROLE_TARGET) {
            const struct tensor *target = stored_target(&t->store, tensor->name);
            inputs[tensor->offset] = target->i64 ? (const void *)target->ints : (const void *)target->data;
        }
        if (tensor->role == RNC_ROLE_OUTPUT)
            outputs[tensor->offset] = ARENA_ARRAY(t->arena, float, tensor_elements(tensor));
    }
}

static void compare_state(struct test *t, const struct rnc_instance *instance, const char *kind)
{
    struct rnc_status status = {0};
    const char *prefix = arena_printf(t->arena, "%s.after.", kind);
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *want = &t->store.tensors[i];
        if (strncmp(want->name, prefix, strlen(prefix)) != 0) continue;
        const char *name = want->name + strlen(prefix);
        const size_t count = tensor_elements(model_tensor(rnc_instance_model(instance), name));
        float *plain = ARENA_ARRAY(t->arena, float, count);
        check_status(rnc_get(instance, name, plain, &status), &status);
        compare_after(t, want, widen(t->arena, plain, count), count, STEP_TOLERANCE);
    }
}

static void steps_execute(struct test *t, struct rnc_instance *instance, const char *kind)
{
    struct rnc_status status = {0};
    const struct rnc_model *m = rnc_instance_model(instance);
    const void **inputs = ARENA_ARRAY(t->arena, const void *, m->ninputs);
    void **outputs = ARENA_ARRAY(t->arena, void *, m->noutputs);
    bind_buffers(t, m, inputs, outputs);
    size_t count;
    struct tensor **state = starting_state(&t->store, &count);
    for (size_t i = 0; i < count; i++)
        check_status(rnc_set(instance, state[i]->name, state[i]->data, &status), &status);
    double losses[3];
    for (int step = 0; step < 3; step++) {
        const struct rnc_run run = {.n = t->n, .step = step + 1, .lr = learning_rate(t->net, kind)};
        check_status(rnc_execute(instance, &run, inputs, outputs, NULL, &status), &status);
        losses[step] = (double)*(const float *)outputs[model_tensor(m, "loss")->offset];
    }
    const char *name = arena_printf(t->arena, "%s.losses", kind);
    compare(t->c, name, losses, store_get(&t->store, name), STEP_TOLERANCE);
    compare_state(t, instance, kind);
}

/* Compiled once, for EXTRA samples more than there are (a partial batch is exact), and run with 1, 2 and 3 threads, to
   the same bits. */
static void steps_native(struct test *t, const char *kind, int64_t extra)
{
    struct graph *g = load_graph(t, t->n + extra, true);
    const struct train_options train = optimizer_options(kind);
    run_passes(t, g, pass_pipeline_train, &train);
    struct driver *d = t->driver;
    struct built b = {.graph = g, .target = d->options.target};
    if (!driver_generate(d, &b, &(struct generate_options){0})) finish(t);
    const void *first = NULL;
    struct session sessions[3];
    for (int i = 0; i < 3; i++) {
        d->options.threads = i + 1;
        if (!driver_open(d, &b, &(struct open_options){.flags = RNC_EXEC_CHECK}, &sessions[i])) finish(t);
        steps_execute(t, sessions[i].instance, kind);
        size_t bytes;
        const void *state = rnc_state(sessions[i].instance, &bytes);
        if (first && memcmp(first, state, bytes) != 0)
            store_die("the state after three steps differs between 1 and %d threads", i + 1);
        first = state;
    }
    for (int i = 0; i < 3; i++) session_close(&sessions[i]);
    driver_release(&b);
}

static void test_sgd_reference(struct test *t) { steps_reference(t, "sgd"); }
static void test_adam_reference(struct test *t) { steps_reference(t, "adam"); }
static void test_nesterov_reference(struct test *t) { steps_reference(t, "nesterov"); }
static void test_adamw_reference(struct test *t) { steps_reference(t, "adamw"); }
static void test_sgd(struct test *t) { steps_native(t, "sgd", 0); }
static void test_adam(struct test *t) { steps_native(t, "adam", 2); }
static void test_nesterov(struct test *t) { steps_native(t, "nesterov", 1); }
static void test_adamw(struct test *t) { steps_native(t, "adamw", 0); }

/* ---- rnc run, as a user compares it with another framework */

/* rnc run NET -p … ARGS; its output goes to ours. */
static void run_rnc(const struct test *t, const char *const *args)
{
    const char *argv[120] = {getenv("RNC") ? getenv("RNC") : "build/rnc", "run", t->net->name};
    int n = 3;
    for (const char *const *p = t->net->params; *p; p++) {
        argv[n++] = "-p";
        argv[n++] = *p;
    }
    while (*args) argv[n++] = *args++;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(STDOUT_FILENO, STDERR_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        perror(argv[0]);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("  failed:");
        for (int i = 0; i < n; i++) printf(" %s", argv[i]);
        store_die("%s", "");
    }
}

static void compare_array(struct test *t, const struct tensor *want, const char *file)
{
    compare(t->c, want->name, widen(t->arena, store_read_npy(t->arena, file, want->count), want->count), want,
            FORWARD_TOLERANCE);
}

/* --grads holds the gradient of each parameter and of the input, and the running statistics after the step, each under
   its name. */
static void compare_gradients(struct test *t, const char *file)
{
    const struct store grads = store_read(t->arena, file);
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *want = &t->store.tensors[i];
        const bool gradient = strncmp(want->name, "grad.", 5) == 0;
        if (!gradient && strncmp(want->name, "stat.", 5) != 0) continue;
        const struct tensor *got = store_get(&grads, want->name + 5);
        if (got->count != want->count) store_die("%s has another size", got->name);
        compare(t->c, want->name, widen(t->arena, got->data, got->count), want,
                gradient ? GRADIENT_TOLERANCE : FORWARD_TOLERANCE);
    }
}

/* The weights and arrays in files of the working directory, which is the case's own: NAME.npy for each input and
   target. */
static void write_arguments(const struct test *t)
{
    size_t count;
    struct tensor **state = starting_state(&t->store, &count);
    store_write("weights.safetensors", (const struct tensor *const *)state, count);
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *x = &t->store.tensors[i];
        if (strcmp(x->name, "input") == 0 || strncmp(x->name, "target", 6) == 0)
            store_write_npy(t->arena, arena_printf(t->arena, "%s.npy", x->name), x);
    }
}

enum { MAX_ARGS = 96 };
struct arguments {
    const char *arg[MAX_ARGS];
    int n;
};

static void push(struct arguments *a, const char *option, const char *value)
{
    if (a->n + 3 > MAX_ARGS) store_die("too many arguments");
    if (option) a->arg[a->n++] = option;
    a->arg[a->n++] = value;
}

/* --output for every output of MODE; with TARGETS, --target for every one. */
static void push_arrays(const struct test *t, struct arguments *a, const char *mode, bool targets)
{
    push(a, "--weights", "weights.safetensors");
    push(a, "--input", "input.npy");
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *x = &t->store.tensors[i];
        const char *label = output_label(x, mode);
        if (label) push(a, "--output", arena_printf(t->arena, "%s=%s.npy", label, label));
        if (!targets || strncmp(x->name, "target", 6) != 0) continue;
        push(a, "--target", x->name[6] ? arena_printf(t->arena, "%s=%s.npy", x->name + 7, x->name) : "target.npy");
    }
}

static void compare_arrays(struct test *t, const char *mode)
{
    for (size_t i = 0; i < t->store.count; i++) {
        const struct tensor *want = &t->store.tensors[i];
        const char *label = output_label(want, mode);
        if (label) compare_array(t, want, arena_printf(t->arena, "%s.npy", label));
    }
}

static void run_forward(struct test *t, const char *threads)
{
    struct arguments a = {0};
    write_arguments(t);
    push(&a, "--threads", threads);
    push_arrays(t, &a, "eval.", false);
    run_rnc(t, a.arg);
    compare_arrays(t, "eval.");
}

static void run_gradients(struct test *t, const char *threads)
{
    struct arguments a = {0};
    write_arguments(t);
    push(&a, NULL, "--train");
    push(&a, "--threads", threads);
    push(&a, "--grads", "grads.safetensors");
    push_arrays(t, &a, "train.", true);
    run_rnc(t, a.arg);
    compare_arrays(t, "train.");
    compare_gradients(t, "grads.safetensors");
}

/* The paper's strides, on the same input and parameters. */
static void test_run_v1(struct test *t)
{
    const struct store v1 =
        store_read(t->arena, arena_printf(t->arena, "%s/%s_v1.safetensors", t->vectors, t->net->name));
    write_arguments(t);
    run_rnc(t, (const char *const[]){"-p", "stride_on=conv1", "--weights", "weights.safetensors", "--input",
                                     "input.npy", "--output", "logits.npy", NULL});
    const struct tensor *want = store_get(&v1, "eval.logits");
    compare(t->c, "v1 eval.logits", widen(t->arena, store_read_npy(t->arena, "logits.npy", want->count), want->count),
            want, FORWARD_TOLERANCE);
    run_rnc(t, (const char *const[]){"-p", "stride_on=conv1", "--train", "--weights", "weights.safetensors", "--input",
                                     "input.npy", "--target", "target.npy", "--output", "logits.npy", NULL});
    want = store_get(&v1, "train.logits");
    compare(t->c, "v1 train.logits", widen(t->arena, store_read_npy(t->arena, "logits.npy", want->count), want->count),
            want, FORWARD_TOLERANCE);
}

static void test_run_forward_1(struct test *t) { run_forward(t, "1"); }
static void test_run_forward_2(struct test *t) { run_forward(t, "2"); }
static void test_run_gradients_1(struct test *t) { run_gradients(t, "1"); }
static void test_run_gradients_2(struct test *t) { run_gradients(t, "2"); }

/* ---- the cases */

static const struct {
    const char *name;
    void (*run)(struct test *t);
    const char *only; /* this network's, NULL: every one's */
} cases[] = {
    {"reference-forward", test_reference_forward, NULL},
    {"reference-gradients", test_reference_gradients, NULL},
    {"reference-sgd", test_sgd_reference, NULL},
    {"reference-adam", test_adam_reference, NULL},
    {"reference-nesterov", test_nesterov_reference, "resnet20"},
    {"reference-adamw", test_adamw_reference, "resnet20"},
    {"run-forward-1-thread", test_run_forward_1, NULL},
    {"run-forward-2-threads", test_run_forward_2, NULL},
    {"run-gradients-1-thread", test_run_gradients_1, NULL},
    {"run-gradients-2-threads", test_run_gradients_2, NULL},
    {"run-forward-v1-strides", test_run_v1, "resnet50"},
    {"steps-sgd", test_sgd, NULL},
    {"steps-adam-partial-batch", test_adam, NULL},
    {"steps-nesterov-partial-batch", test_nesterov, "resnet20"},
    {"steps-adamw", test_adamw, "resnet20"},
};
enum { NCASES = sizeof cases / sizeof cases[0] };

/* In the child process, whose working directory is the case's own. */
static bool run_case(const struct net *net, size_t i, const char *vectors)
{
    struct driver *d = driver_new();
    struct arena *a = d->arena;
    struct comparison c = {0};
    struct test t = {.arena = a, .driver = d, .net = net, .vectors = vectors, .c = &c};
    t.store = store_read(a, arena_printf(a, "%s/%s.safetensors", vectors, net->name));
    t.n = (int64_t)store_get(&t.store, "input")->dim[0];
    cases[i].run(&t);
    const bool passed = report(&c);
    driver_free(d);
    return passed;
}

static void remove_files(const char *directory)
{
    DIR *d = opendir(directory);
    char path[4096];
    for (struct dirent *f; d && (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", directory, f->d_name);
        if (f->d_name[0] != '.') remove(path);
    }
    if (d) closedir(d);
}

static bool run_isolated(const struct net *net, size_t i, const char *root, const char *program)
{
    char directory[] = "/tmp/rnc-vectors-XXXXXX", path[4096];
    snprintf(path, sizeof path, "%s/tests/vectors", root);
    printf("%s/%s\n", net->name, cases[i].name);
    fflush(stdout);
    const bool made = mkdtemp(directory) != NULL;
    const pid_t child = made ? fork() : -1;
    if (child == 0) {
        const bool passed = chdir(directory) == 0 && run_case(net, i, path);
        fflush(stdout);
        exit(passed ? 0 : 1);
    }
    int status = 1;
    if (child > 0) waitpid(child, &status, 0);
    if (made) remove_files(directory);
    if (made) rmdir(directory);
    if (status == 0) return true;
    if (WIFSIGNALED(status)) printf("  killed by signal %d\n", WTERMSIG(status));
    printf("  FAILED; alone: %s %s/%s\n", program, net->name, cases[i].name);
    return false;
}

static bool wanted(const char *net, const char *name, int argc, char **argv)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s", net, name);
    bool match = argc < 2;
    for (int i = 1; i < argc; i++) match = match || strstr(full, argv[i]);
    return match;
}

int main(int argc, char **argv)
{
    char root[2048], rnc[4096];
    if (!getcwd(root, sizeof root)) return 2;
    const char *name = getenv("RNC") ? getenv("RNC") : "build/rnc";
    snprintf(rnc, sizeof rnc, "%s%s%s", name[0] == '/' ? "" : root, name[0] == '/' ? "" : "/", name);
    setenv("RNC", rnc, 1);
    int passed = 0, failed = 0;
    for (size_t n = 0; n < NNETS; n++)
        for (size_t i = 0; i < NCASES; i++) {
            if ((cases[i].only && strcmp(cases[i].only, nets[n].name) != 0) ||
                !wanted(nets[n].name, cases[i].name, argc, argv))
                continue;
            if (run_isolated(&nets[n], i, root, argv[0])) passed++;
            else failed++;
        }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
