/* verify.c: `rnc verify`: is the compiled code of this spec right? Each link of the chain has an independent answer:
   1. every node of the compiled step against its operator's reference, on the same inputs: the kernels, the layouts,
   the memory plan;
   2. the graph after all passes against the graph as the spec says it, both interpreted in double precision: the
   passes. (The compiled outputs of the whole network are compared too. Its gradients are only shown: in fp32 one ReLU
   that lies at zero to within the rounding may come out on the other side and move every gradient before it, with
   nothing being wrong.)
   3. those gradients against central differences of the loss: the rules of differentiation. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/format.h"
#include "driver/reference.h"
#include "ir/op.h"
#include "runtime/rt/pack.h"

static const char *opt_weights;
static double opt_tolerance = 1e-5, opt_forward = 1e-5, opt_passes = 1e-9, opt_difference = 1e-4;
static int64_t opt_samples = -1;
static bool opt_infer, opt_all;

/* Batch norm over few samples divides by small deviations and magnifies rounding. */
#define TRAINING_FACTOR 10
/* Where that is not enough: times what the same network does in double precision with each value rounded to single
   precision once. Sums in single precision come to 5 of it, those of F(4) to 15 (ResNet-50 as RetinaNet's body, one
   sample of 128 pixels: 2e-4). */
#define ROUNDING_FACTOR 40

struct row {
    const char *name, *what, *detail;
    double error, limit;
    bool ok;
};
struct rows {
    struct row *item;
    int count, cap;
};

struct job {
    struct cli *c;
    const struct spec *spec;
    struct rows nodes, outputs, differences;
    int failed;
};

static void add_row(struct job *j, struct rows *r, const char *name, const char *what, const char *detail, double error,
                    double limit)
{
    if (r->count == r->cap) {
        int cap = r->cap ? r->cap * 2 : 64;
        struct row *more = ARENA_ARRAY(j->c->arena, struct row, cap);
        if (r->count) memcpy(more, r->item, (size_t)r->count * sizeof *more);
        r->item = more;
        r->cap = cap;
    }
    bool ok = error <= limit;
    j->failed += !ok;
    r->item[r->count++] = (struct row){arena_strdup(j->c->arena, name),
                                       arena_strdup(j->c->arena, what),
                                       detail ? arena_strdup(j->c->arena, detail) : "",
                                       error,
                                       limit,
                                       ok};
}

/* ---- whole networks */

static const struct value *find_output(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (strcmp(g->outputs[i].label, label) == 0) return g->outputs[i].value;
    return NULL;
}

static bool is_gradient(const char *label) { return strncmp(label, "grad.", 5) == 0; }

/* The rms of the typical gradient. Those of parameters that nothing depends on (a bias before batch norm) are all
   rounding: their errors are measured against it. */
static double typical_gradient(const struct graph *g, struct eval *e)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < g->noutputs; i++) {
        if (!is_gradient(g->outputs[i].label)) continue;
        int64_t n = type_elements(&g->outputs[i].value->type);
        sum += reference_norm(eval_data(e, g->outputs[i].value), n) / sqrt((double)(n > 0 ? n : 1));
        count++;
    }
    return count ? sum / count : 0;
}

/* What whole networks are compared by. */
struct whole {
    const struct built *b;
    struct session *s;
    const struct reference_options *ro;
    const struct graph *g; /* as the spec says it, and its interpreter, which has run */
    struct eval *e;
    struct eval *planned; /* interprets the graph after all passes; NULL in inference */
    const bool *needed;   /* by node of g: the loss depends on it */
};

/* What rounding alone does to output V of training: interpreted again in double precision, but with each value rounded
   to single precision once. Batch norm over the few pixels of deep layers magnifies it. */
static double rounding_of(struct job *j, const struct whole *w, const struct value *v)
{
    struct eval *e = reference_eval(j->c->driver, w->g, w->s, w->ro);
    GRAPH_EACH(w->g, n)
    {
        if (!w->needed[n->index]) continue;
        eval_node(e, n);
        for (int i = 0; i < n->nout; i++) {
            double *data = eval_data(e, n->out[i]);
            for (int64_t k = 0; k < type_elements(&n->out[i]->type); k++) data[k] = (double)(float)data[k];
        }
        if (v->def == n) break;
    }
    double error = reference_error(eval_data(e, v), eval_data(w->e, v), type_elements(&v->type), 0);
    eval_free(e);
    return error;
}

/* What the compiled network's output V, a training step's or inference's, may be off by; ERROR is what it is. */
static double output_limit(struct job *j, const struct whole *w, const char *label, const struct value *v, double error)
{
    double limit =
        reference_bf16_limit(j->c->driver, w->b, w->s, w->ro, label, eval_data(w->e, v), type_elements(&v->type));
    if (limit > 0) return limit;
    if (!w->needed) return opt_forward;
    limit = opt_forward * TRAINING_FACTOR;
    return error <= limit ? limit : fmax(limit, ROUNDING_FACTOR * rounding_of(j, w, v));
}

/* The compiled OUT against w->e; gradients also by w->planned. */
static void compare_outputs(struct job *j, const struct whole *w)
{
    const struct graph *g = w->g;
    double typical = typical_gradient(g, w->e);
    for (int i = 0; i < g->noutputs; i++) {
        const struct value *v = g->outputs[i].value, *after = find_output(w->b->graph, g->outputs[i].label);
        const struct rnc_tensor *t = session_tensor(w->b->model, RNC_ROLE_OUTPUT, g->outputs[i].label);
        if (!t || !after || v->type.dtype != DT_F32) continue;
        int64_t count = type_elements(&v->type);
        struct arena *scratch = arena_new();
        double *got = ARENA_ARRAY(scratch, double, count + 1),
               floor = is_gradient(t->name) ? 1e-3 * typical * sqrt((double)count) : 0;
        for (int64_t k = 0; k < count; k++) got[k] = (double)((const float *)w->ro->out[t->offset])[k];
        double native = reference_error(got, eval_data(w->e, v), count, floor);
        if (is_gradient(t->name))
            add_row(j, &j->outputs, t->name + 5, "gradient, after all passes", arena_printf(scratch, "%.1e", native),
                    native == native ? reference_error(eval_data(w->planned, after), eval_data(w->e, v), count, floor)
                                     : NAN,
                    opt_passes);
        else
            add_row(j, &j->outputs, t->name, w->needed ? "training" : "inference",
                    arena_printf(scratch, "%.1e", native), native, output_limit(j, w, t->name, v, native));
        arena_free(scratch);
    }
}

static void node_rows(struct job *j, const struct built *b, const struct reference_row *rows)
{
    for (uint32_t i = 0; i < b->model->nnodes; i++) {
        const struct rnc_node *n = &b->model->nodes[i];
        if (rows[i].checked)
            add_row(j, &j->nodes, n->name, n->op, n->algorithm, rows[i].error,
                    reference_limit(&rows[i], opt_tolerance));
    }
}

/* A network of many multiply-adds a sample is verified on one sample, and with fewer differences, so that it takes
   about a minute. */
enum { LARGE = 10 };

static bool is_large(struct job *j)
{
    struct built b = {0};
    struct model_options o = {.mode = MODEL_INFER, .batch = 1, .until = "simplify"};
    int64_t macs = 0;
    if (!driver_graph(j->c->driver, j->spec, &o, &b)) return false; /* what is wrong is said when the model is built */
    GRAPH_EACH(b.graph, n) macs += op_macs(n);
    return macs > LARGE * INT64_C(1000000000);
}

static void choose_sizes(struct job *j)
{
    int64_t *batch = &j->c->driver->options.batch;
    if (*batch && opt_samples >= 0) return;
    bool large = is_large(j);
    if (!*batch) *batch = large ? 1 : 2;
    if (opt_samples < 0) opt_samples = large ? 3 : 8;
}

/* ---- finite differences */

struct difference {
    struct eval *e;
    const struct graph *g;
    const struct value *loss;
    bool *needed; /* by node: the loss depends on it */
    bool *moved,
        *stale; /* by node: it depends on the element that is moved; it was left as an element moved before made it */
};

/* By node of G: does the loss depend on it? */
static bool *mark_needed(struct cli *c, const struct graph *g, const struct value *loss)
{
    bool *value = ARENA_ARRAY(c->arena, bool, g->nvalues + 1), *node = ARENA_ARRAY(c->arena, bool, g->nnodes + 1);
    value[loss->id] = true;
    for (const struct node *n = g->last; n; n = n->prev) {
        for (int i = 0; i < n->nout; i++) node[n->index] |= value[n->out[i]->id];
        for (int i = 0; i < n->nin && node[n->index]; i++)
            if (n->in[i]) value[n->in[i]->id] = true;
    }
    return node;
}

/* Sets d->moved: what the loss depends on and depends on PARAM. */
static void mark_moved(struct difference *d, struct cli *c, const struct value *param)
{
    bool *value = ARENA_ARRAY(c->arena, bool, d->g->nvalues + 1);
    value[param->id] = true;
    GRAPH_EACH(d->g, n)
    {
        bool moved = false;
        for (int i = 0; i < n->nin; i++) moved |= n->in[i] && value[n->in[i]->id];
        for (int i = 0; i < n->nout; i++) value[n->out[i]->id] = moved;
        d->moved[n->index] = moved && d->needed[n->index];
    }
}

/* Every node in order; of the values, only those that a difference reads again, arguments and outputs are kept. */
static void run_keeping_forward(struct difference *d, struct cli *c)
{
    int *uses = graph_use_counts(d->g, c->arena);
    GRAPH_EACH(d->g, n)
    {
        eval_node(d->e, n);
        for (int i = 0; i < n->nin; i++) {
            const struct value *v = n->in[i];
            if (v && --uses[v->id] <= 0 && v->def && !d->needed[v->def->index]) eval_drop(d->e, v);
        }
    }
}

static double loss_at(struct difference *d, double *x, double value)
{
    *x = value;
    GRAPH_EACH(d->g, n)
    {
        if (d->moved[n->index] || d->stale[n->index]) eval_node(d->e, n);
        d->stale[n->index] = d->moved[n->index];
    }
    return eval_data(d->e, d->loss)[0];
}

/* How far the gradient may be from a difference to count as equal: relative to what a gradient typically is, where it
   is smaller. */
static double difference_error(double analytic, double numeric, double typical)
{
    return fabs(analytic - numeric) / fmax(fmax(fabs(numeric), 1e-2 * typical), 1e-12);
}

/* Central differences on doubles, with smaller steps where the first does not agree: it may have crossed a kink of ReLU
   or max-pooling. */
static double difference_at(struct difference *d, double *x, double analytic, double typical)
{
    double x0 = *x, step = 1e-5 * fmax(fabs(x0), 1e-2), numeric = 0;
    for (int k = 0; k < 3; k++, step *= 0.2) {
        numeric = (loss_at(d, x, x0 + step) - loss_at(d, x, x0 - step)) / (2 * step);
        if (difference_error(analytic, numeric, typical) <= 0.1 * opt_difference) break;
    }
    *x = x0;
    return numeric;
}

/* The element of PARAM with the largest gradient among some spread over it: a zero would prove nothing. */
static int64_t pick_element(const double *gradient, int64_t count)
{
    int64_t best = 0;
    for (int64_t k = 0; k < 64; k++) {
        int64_t i = (int64_t)((uint64_t)k * UINT64_C(2654435761) % (uint64_t)count);
        if (fabs(gradient[i]) > fabs(gradient[best])) best = i;
    }
    return best;
}

static void check_differences(struct job *j, struct difference *d)
{
    struct cli *c = j->c;
    const struct value **params = ARENA_ARRAY(c->arena, const struct value *, d->g->nvalues + 1);
    int count = 0;
    for (int i = 0; i < d->g->nvalues; i++) {
        const struct value *v = d->g->values[i];
        if ((v->kind == VALUE_PARAM || v->kind == VALUE_INPUT) &&
            find_output(d->g, arena_printf(c->arena, "grad.%s", v->name)))
            params[count++] = v;
    }
    int samples = opt_all || opt_samples > count ? count : (int)opt_samples;
    d->moved = ARENA_ARRAY(c->arena, bool, d->g->nnodes + 1);
    d->stale = ARENA_ARRAY(c->arena, bool, d->g->nnodes + 1);
    double typical = typical_gradient(d->g, d->e);
    for (int i = 0; i < samples; i++) {
        const struct value *p = params[(int64_t)i * count / samples];
        const double *gradient = eval_data(d->e, find_output(d->g, arena_printf(c->arena, "grad.%s", p->name)));
        int64_t at = pick_element(gradient, type_elements(&p->type));
        if (c->color) fprintf(stderr, "\rfinite differences %d/%d\033[K", i + 1, samples);
        mark_moved(d, c, p);
        double analytic = gradient[at], numeric = difference_at(d, eval_data(d->e, p) + at, analytic, typical);
        double error = difference_error(analytic, numeric, typical);
        add_row(j, &j->differences, p->name, "gradient",
                arena_printf(c->arena, "element %lld: %.6g, difference %.6g", (long long)at, analytic, numeric), error,
                opt_difference);
    }
    if (c->color) fputs("\r\033[K", stderr);
}

/* ---- the two modes */

static bool check_nodes(struct job *j, const struct built *b, struct session *s, struct reference_options *ro)
{
    struct reference_row *rows = ARENA_ARRAY(j->c->arena, struct reference_row, b->model->nnodes + 1);
    ro->n = b->model->batch;
    ro->in = (const void *const *)driver_random_inputs(j->c->driver, b);
    ro->out = driver_outputs(j->c->driver, b);
    if (!reference_nodes(j->c->driver, b, s, ro, rows)) return false;
    node_rows(j, b, rows);
    return true;
}

static bool open_session(struct job *j, const struct built *b, struct session *s)
{
    struct open_options o = {.weights = opt_weights, .perturb = true, .flags = RNC_EXEC_CHECK | RNC_EXEC_KEEP};
    return driver_open(j->c->driver, b, &o, s);
}

/* The parameters are read back before the run: BN statistics change in it. */
static bool check_inference(struct job *j)
{
    struct built b = {0};
    struct session s = {0};
    struct model_options o = {.mode = MODEL_INFER};
    struct reference_options ro = {0};
    bool ok = cli_compile(j->c, j->spec, &o, &b) && open_session(j, &b, &s) && check_nodes(j, &b, &s, &ro);
    if (ok) {
        struct eval *e = reference_eval(j->c->driver, b.raw, &s, &ro);
        eval_run(e, true);
        compare_outputs(j, &(struct whole){.b = &b, .s = &s, .ro = &ro, .g = b.raw, .e = e});
        eval_free(e);
    }
    session_close(&s);
    driver_release(&b);
    return ok;
}

static bool check_gradients(struct job *j, struct session *s, const struct built *b, const struct built *differentiated)
{
    struct reference_options ro = {.n = b->model->batch};
    void **in = driver_random_inputs(j->c->driver, b);
    ro.in = (const void *const *)in;
    const struct graph *g = differentiated->graph;
    graph_number(differentiated->graph);
    struct difference d = {.e = reference_eval(j->c->driver, g, s, &ro), .g = g, .loss = find_output(g, "loss")};
    struct eval *planned = reference_eval(j->c->driver, b->graph, s, &ro);
    d.needed = mark_needed(j->c, g, d.loss);
    run_keeping_forward(&d, j->c);
    eval_exact(planned); /* the passes are what this is to check */
    eval_run(planned, true);
    bool ok = check_nodes(j, b, s, &ro);
    if (ok) compare_outputs(j, &(struct whole){b, s, &ro, g, d.e, planned, d.needed});
    eval_free(planned);
    if (ok) check_differences(j, &d);
    eval_free(d.e);
    return ok;
}

static bool check_training(struct job *j)
{
    struct built b = {0}, differentiated = {0};
    struct session s = {0};
    struct model_options o = {.mode = MODEL_GRAD, .input_grads = true};
    struct model_options half = o;
    half.until = "autodiff";
    bool ok = driver_graph(j->c->driver, j->spec, &half, &differentiated) && cli_compile(j->c, j->spec, &o, &b) &&
              open_session(j, &b, &s) && check_gradients(j, &s, &b, &differentiated);
    session_close(&s);
    driver_release(&b);
    return ok;
}

/* ---- what was found */

static void print_rows(struct cli *c, const char *title, const struct rows *r, const char *const *columns)
{
    if (!r->count) return;
    printf("\n%s\n", title);
    struct format_table *t = format_table_new(c->arena, columns);
    for (int i = 0; i < r->count; i++) {
        const struct row *x = &r->item[i];
        format_table_row(t, (const char *[]){x->name, x->what, x->detail, arena_printf(c->arena, "%.1e", x->error),
                                             x->ok ? "ok" : arena_printf(c->arena, "WRONG (limit %.0e)", x->limit)});
    }
    format_table_print(t, stdout);
}

static json_t *json_rows(const struct rows *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->count; i++) {
        const struct row *x = &r->item[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:b}", "name", x->name, "what", x->what, "detail", x->detail,
                              "limit", x->limit, "ok", (int)x->ok);
        json_object_set_new(o, "error", x->error == x->error ? json_real(x->error) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

static void print_result(struct job *j)
{
    static const char *const nodes[] = {"node", "operator", "algorithm", ">error", "", NULL};
    static const char *const outputs[] = {"result", "", "compiled code", ">error", "", NULL};
    static const char *const differences[] = {"parameter", "kind", "compared", ">error", "", NULL};
    int checks = j->nodes.count + j->outputs.count + j->differences.count;
    if (j->c->json) {
        json_t *root = json_pack("{s:b, s:i, s:i, s:o, s:o, s:o}", "ok", (int)(j->failed == 0), "checks", checks,
                                 "failed", j->failed, "nodes", json_rows(&j->nodes), "results", json_rows(&j->outputs),
                                 "differences", json_rows(&j->differences));
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
        return;
    }
    print_rows(j->c, "Each compiled node against its operator's reference, on the same inputs", &j->nodes, nodes);
    print_rows(j->c, "The whole network against the spec's graph, interpreted in double precision", &j->outputs,
               outputs);
    print_rows(j->c, "Gradients against central differences of the loss", &j->differences, differences);
    printf("\n%d of %d checks passed\n", checks - j->failed, checks);
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    struct job j = {.c = c, .spec = cli_load(c, argv[0])};
    if (j.spec) choose_sizes(&j);
    bool ok = !diags_errors(c->diags) && check_inference(&j);
    if (ok && !opt_infer) ok = check_training(&j);
    if (ok) print_result(&j);
    int status = cli_finish(c);
    return status ? status : j.failed ? 1 : 0;
}

static const struct option options[] = {
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "a safetensors file; without it, fresh ones from --seed",
     .dest = &opt_weights},
    {.name = "infer", .kind = OPT_FLAG, .help = "inference only, for specs without a loss", .dest = &opt_infer},
    {.name = "samples",
     .kind = OPT_INT,
     .arg = "N",
     .help = "finite differences at so many parameters (8; 3 where a sample takes more than 10 G multiply-adds)",
     .dest = &opt_samples,
     .min = 0,
     .max = 1 << 20},
    {.name = "all", .kind = OPT_FLAG, .help = "finite differences at every parameter tensor", .dest = &opt_all},
    {.name = "tolerance",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of one node (1e-5), beside what rounding a result to bf16 comes to",
     .dest = &opt_tolerance},
    {.name = "forward",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help =
         "relative error of the network's outputs (1e-5; in training ten times that, or 40 times what rounding does)",
     .dest = &opt_forward},
    {.name = "passes",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of gradients after all passes, in double precision (1e-9)",
     .dest = &opt_passes},
    {.name = "difference",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of a finite difference (1e-4)",
     .dest = &opt_difference},
};

const struct command command_verify = {
    .name = "verify",
    .summary = "is the compiled code of this spec right? node by node, and by finite differences",
    .usage = "SPEC [--weights W] [--batch N] [--samples N] [--json]",
    .details = "Errors are relative: the norm of the difference by the norm of the reference, in double precision. "
               "Three links make the chain: each compiled\n"
               "node against its operator's reference (with guard pages round the memory plan, and NaN in it before "
               "the run); the graph after all passes\n"
               "against the graph before them; its gradients against finite differences. The column \"compiled code\" "
               "shows the whole step in fp32 and\n"
               "has no limit for gradients: one ReLU at zero to within the rounding moves all of them. Inputs are "
               "random. Two samples, or one where\n"
               "a sample takes more than 10 G multiply-adds, unless --batch says more; -p size=64 makes large networks "
               "quick. With --dtype bf16 the\n"
               "references round what is stored; outputs may be off by three times what that does to them, by the same "
               "interpretation.\n\n"
               "  rnc verify resnet20 -p n=1\n  rnc verify my.yaml --weights best.safetensors --samples 20\n",
    .shared = CLI_SPEC | CLI_RUN | CLI_JSON,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
