/* verify.c: see verify.h. */
#include "driver/verify.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "driver/condition.h"
#include "driver/reference.h"
#include "ir/op.h"

/* Batch norm over few samples divides by small deviations and magnifies rounding. */
#define TRAINING_FACTOR 10
/* Where that is not enough: what the same network does in double precision with each value rounded to single precision
   once, over such a rounding, is its condition, and the limit grows with it from here on. By default that is 40 times
   the rounding's effect: sums in single precision come to 5 of it, those of F(4) to 15 (ResNet-50 as RetinaNet's body,
   one sample of 128 pixels: 2e-4). */
#define PLAIN_CONDITION 4
/* The same in double precision. */
#define DOUBLE_ROUNDINGS 40
#define NODE_TOLERANCE 1e-5
#define OUTPUT_TOLERANCE 1e-5
/* A limit that the condition has brought here lets anything pass. */
#define SAYS_NOTHING 0.1
/* A difference whose neighbour is D away may itself be so many D off. */
#define UNSETTLED 10

struct rows {
    struct verify_row *item;
    int count, cap;
};

struct job {
    struct driver *d;
    struct verify_options o;
    const struct spec *spec;
    int64_t batch;
    struct rows nodes, outputs, differences;
    int failed, undecided;
};

/* ROW, whose texts are copied, with what follows from its numbers. */
static void add_row(struct job *j, struct rows *r, struct verify_row row)
{
    struct arena *a = j->d->arena;
    if (r->count == r->cap) {
        int cap = r->cap ? r->cap * 2 : 64;
        struct verify_row *more = ARENA_ARRAY(a, struct verify_row, cap);
        if (r->count) memcpy(more, r->item, (size_t)r->count * sizeof *more);
        r->item = more;
        r->cap = cap;
    }
    row.name = arena_strdup(a, row.name);
    row.what = arena_strdup(a, row.what);
    row.detail = row.detail ? arena_strdup(a, row.detail) : "";
    row.ok = row.error <= row.limit || row.undecided;
    j->failed += !row.ok;
    j->undecided += row.undecided;
    r->item[r->count++] = row;
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
    struct eval *rounded; /* rounded_run, once it was asked for */
};

/* Runs the graph again in double precision, but with each value rounded to single precision once. */
static struct eval *rounded_run(struct job *j, const struct whole *w)
{
    struct eval *e = reference_eval(j->d, w->g, w->s, w->ro);
    struct arena *scratch = arena_new();
    int *uses = graph_use_counts(w->g, scratch);
    GRAPH_EACH(w->g, n)
    {
        eval_node(e, n);
        for (int i = 0; i < n->nout; i++) {
            double *data = eval_data(e, n->out[i]);
            for (int64_t k = 0; k < type_elements(&n->out[i]->type); k++) data[k] = (double)(float)data[k];
        }
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] && --uses[n->in[i]->id] <= 0 && n->in[i]->kind == VALUE_NODE) eval_drop(e, n->in[i]);
    }
    arena_free(scratch);
    return e;
}

/* What that alone does to output V, relative. Batch norm over the few pixels of deep layers magnifies it. */
static double rounding_of(struct job *j, struct whole *w, const struct value *v, double floor)
{
    if (!w->rounded) w->rounded = rounded_run(j, w);
    return reference_error(eval_data(w->rounded, v), eval_data(w->e, v), type_elements(&v->type), floor);
}

/* How many times the network magnifies a rounding, up to its output V. */
static double condition_of(double rounding) { return rounding / CONDITION_ROUNDING; }

/* What the compiled network's output V, a training step's or inference's, may be off by; ERROR is what it is. */
static double output_limit(struct job *j, struct whole *w, const char *label, const struct value *v, double error,
                           double *condition)
{
    double limit =
        reference_rounding_limit(j->d, w->b, w->s, w->ro, label, eval_data(w->e, v), type_elements(&v->type));
    if (limit > 0) return limit;
    limit = w->planned ? j->o.forward * TRAINING_FACTOR : j->o.forward;
    if (error <= limit) return limit;
    *condition = condition_of(rounding_of(j, w, v, 0));
    return fmax(limit, j->o.forward / PLAIN_CONDITION * *condition);
}

/* What a gradient after all passes may be off by, in double precision. */
static double passes_limit(struct job *j, struct whole *w, const struct value *v, double error, double floor,
                           double *condition)
{
    if (error <= j->o.passes) return j->o.passes;
    *condition = condition_of(rounding_of(j, w, v, floor));
    return fmax(j->o.passes, DOUBLE_ROUNDINGS * DBL_EPSILON / 2 * *condition);
}

/* Output number I, NATIVE its error in compiled code, as a row. */
static void output_row(struct job *j, struct whole *w, int i, double native, double floor)
{
    const struct value *v = w->g->outputs[i].value, *after = find_output(w->b->graph, w->g->outputs[i].label);
    const char *label = w->g->outputs[i].label;
    struct verify_row row = {.name = label, .what = w->planned ? "training" : "inference", .error = native};
    char detail[16];
    snprintf(detail, sizeof detail, "%.1e", native);
    row.detail = detail;
    if (is_gradient(label)) {
        row.name = label + 5;
        row.what = "gradient, after all passes";
        if (native == native)
            row.error =
                reference_error(eval_data(w->planned, after), eval_data(w->e, v), type_elements(&v->type), floor);
        row.limit = passes_limit(j, w, v, row.error, floor, &row.condition);
    } else row.limit = output_limit(j, w, label, v, native, &row.condition);
    row.undecided = row.condition > 0 && row.error <= row.limit && row.limit > SAYS_NOTHING;
    add_row(j, &j->outputs, row);
}

/* The compiled OUT against w->e; gradients also by w->planned. */
static void compare_outputs(struct job *j, struct whole *w)
{
    const struct graph *g = w->g;
    double typical = typical_gradient(g, w->e);
    for (int i = 0; i < g->noutputs; i++) {
        const struct value *v = g->outputs[i].value;
        const struct rnc_tensor *t = session_tensor(w->b->model, RNC_ROLE_OUTPUT, g->outputs[i].label);
        if (!t || !find_output(w->b->graph, g->outputs[i].label) || v->type.dtype != DT_F32) continue;
        int64_t count = type_elements(&v->type);
        struct arena *scratch = arena_new();
        double *got = ARENA_ARRAY(scratch, double, count + 1),
               floor = is_gradient(t->name) ? 1e-3 * typical * sqrt((double)count) : 0;
        for (int64_t k = 0; k < count; k++) got[k] = (double)((const float *)w->ro->out[t->offset])[k];
        output_row(j, w, i, reference_error(got, eval_data(w->e, v), count, floor), floor);
        arena_free(scratch);
    }
}

static void node_rows(struct job *j, const struct built *b, const struct reference_row *rows)
{
    for (uint32_t i = 0; i < b->model->nnodes; i++) {
        const struct rnc_node *n = &b->model->nodes[i];
        const struct reference_row *r = &rows[i];
        if (r->checked)
            add_row(j, &j->nodes,
                    (struct verify_row){.name = n->name,
                                        .what = n->op,
                                        .detail = n->algorithm,
                                        .error = r->error,
                                        .limit = r->limit,
                                        .condition = r->condition});
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
    if (!driver_graph(j->d, j->spec, &o, &b)) return false; /* what is wrong is said when the model is built */
    GRAPH_EACH(b.graph, n) macs += op_macs(n);
    return macs > LARGE * INT64_C(1000000000);
}

static void choose_sizes(struct job *j)
{
    j->batch = j->d->options.batch;
    if (j->batch && j->o.samples >= 0) return;
    bool large = is_large(j);
    if (!j->batch) j->batch = large ? 1 : 2;
    if (j->o.samples < 0) j->o.samples = large ? 3 : 8;
}

/* ---- finite differences */

struct difference {
    struct eval *e;
    const struct graph *g;
    const struct value *loss;
    double limit; /* of an error that agrees */
    bool *needed; /* by node: the loss depends on it */
    bool *moved,
        *stale; /* by node: it depends on the element that is moved; it was left as an element moved before made it */
};

/* By node of G: does the loss depend on it? */
static bool *mark_needed(struct arena *a, const struct graph *g, const struct value *loss)
{
    bool *value = ARENA_ARRAY(a, bool, g->nvalues + 1), *node = ARENA_ARRAY(a, bool, g->nnodes + 1);
    value[loss->id] = true;
    for (const struct node *n = graph_last(g); n; n = graph_prev(n)) {
        for (int i = 0; i < n->nout; i++) node[n->index] |= value[n->out[i]->id];
        for (int i = 0; i < n->nin && node[n->index]; i++)
            if (n->in[i]) value[n->in[i]->id] = true;
    }
    return node;
}

/* Sets d->moved: what the loss depends on and depends on PARAM. */
static void mark_moved(struct difference *d, struct arena *a, const struct value *param)
{
    bool *value = ARENA_ARRAY(a, bool, d->g->nvalues + 1);
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
static void run_keeping_forward(struct difference *d, struct arena *a)
{
    int *uses = graph_use_counts(d->g, a);
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
static double difference_scale(double numeric, double typical)
{
    return fmax(fmax(fabs(numeric), 1e-2 * typical), 1e-12);
}

static double difference_error(double analytic, double numeric, double typical)
{
    return fabs(analytic - numeric) / difference_scale(numeric, typical);
}

/* A difference, and how far it is from that of the step before: no closer than that does it say what the gradient is.
 */
struct measured {
    double value, spread;
};
enum { STEPS = 12 };

/* Central differences on doubles, with smaller steps where the first does not agree: it may have crossed a kink of ReLU
   or max-pooling, or the loss may bend within it. Of those that all disagree with ANALYTIC, the one that is nearest to
   its neighbour is best: its error is about their distance, by curvature or by rounding. */
static struct measured difference_at(struct difference *d, double *x, double analytic, double typical)
{
    double x0 = *x, step = 1e-5 * fmax(fabs(x0), 1e-2), before = 0;
    struct measured best = {0, INFINITY};
    for (int k = 0; k < STEPS; k++, step *= 0.2) {
        double numeric = (loss_at(d, x, x0 + step) - loss_at(d, x, x0 - step)) / (2 * step);
        if (k && fabs(numeric - before) < best.spread) best = (struct measured){numeric, fabs(numeric - before)};
        before = numeric;
        if (difference_error(analytic, numeric, typical) > 0.1 * d->limit) continue;
        best = (struct measured){numeric, 0};
        break;
    }
    *x = x0;
    return best;
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

/* The parameters and inputs that have a gradient: how many, into PARAMS. */
static int with_gradients(struct arena *a, const struct graph *g, const struct value **params)
{
    int count = 0;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        bool argument = v->kind == VALUE_PARAM || v->kind == VALUE_INPUT;
        if (argument && find_output(g, arena_printf(a, "grad.%s", v->name))) params[count++] = v;
    }
    return count;
}

/* One element of P's gradient against a difference. Where differences do not settle closer than what it is off by, they
   can't decide. */
static void difference_row(struct job *j, struct whole *w, struct difference *d, const struct value *p, double typical)
{
    struct arena *a = j->d->arena;
    const struct value *gradient = find_output(d->g, arena_printf(a, "grad.%s", p->name));
    int64_t at = pick_element(eval_data(d->e, gradient), type_elements(&p->type));
    mark_moved(d, a, p);
    double analytic = eval_data(d->e, gradient)[at];
    struct measured m = difference_at(d, eval_data(d->e, p) + at, analytic, typical);
    struct verify_row row = {.name = p->name,
                             .what = "gradient",
                             .detail = arena_printf(a, "element %lld: %.6g, difference %.6g", (long long)at, analytic,
                                                    m.value),
                             .error = difference_error(analytic, m.value, typical),
                             .limit = j->o.difference};
    if (row.error > row.limit) {
        row.condition = condition_of(rounding_of(j, w, gradient, 0));
        row.undecided = fabs(analytic - m.value) <= UNSETTLED * m.spread;
    }
    add_row(j, &j->differences, row);
}

static void check_differences(struct job *j, struct whole *w, struct difference *d)
{
    struct arena *a = j->d->arena;
    const struct value **params = ARENA_ARRAY(a, const struct value *, d->g->nvalues + 1);
    int count = with_gradients(a, d->g, params);
    int samples = j->o.every_parameter || j->o.samples > count ? count : (int)j->o.samples;
    d->moved = ARENA_ARRAY(a, bool, d->g->nnodes + 1);
    d->stale = ARENA_ARRAY(a, bool, d->g->nnodes + 1);
    double typical = typical_gradient(d->g, d->e);
    for (int i = 0; i < samples; i++) {
        driver_progress(j->d, DRIVER_DIFFERENCES, i + 1, samples);
        difference_row(j, w, d, params[(int64_t)i * count / samples], typical);
    }
    driver_progress(j->d, DRIVER_DIFFERENCES, 0, 0);
}

/* ---- the two modes */

static bool check_nodes(struct job *j, const struct built *b, struct session *s, struct reference_options *ro,
                        struct reference_row *rows)
{
    ro->n = b->model->batch;
    ro->tolerance = j->o.tolerance;
    if (!ro->in) ro->in = (const void *const *)driver_random_inputs(j->d, b);
    ro->out = driver_outputs(j->d, b);
    return reference_nodes(j->d, b, s, ro, rows);
}

static bool open_session(struct job *j, const struct built *b, bool same_sign, struct session *s)
{
    struct open_options o = {
        .weights = j->o.weights, .perturb = true, .same_sign = same_sign, .flags = RNC_EXEC_CHECK | RNC_EXEC_KEEP};
    return driver_open(j->d, b, &o, s);
}

static struct reference_row *row_array(struct job *j, const struct built *b)
{
    return ARENA_ARRAY(j->d->arena, struct reference_row, b->model->nnodes + 1);
}

/* The nodes once more on numbers of one sign, of which a sum grows with every term: ROWS keeps the worse. */
static bool check_same_sign(struct job *j, const struct built *b, struct reference_row *rows)
{
    struct session s = {0};
    struct reference_row *more = row_array(j, b);
    struct reference_options ro = {.in = (const void *const *)driver_positive_inputs(j->d, b)};
    bool ok = open_session(j, b, true, &s) && check_nodes(j, b, &s, &ro, more);
    for (uint32_t i = 0; ok && i < b->model->nnodes; i++) reference_keep_worse(&rows[i], &more[i]);
    session_close(&s);
    return ok;
}

/* The parameters are read back before the run: BN statistics change in it. */
static bool check_inference(struct job *j)
{
    struct built b = {0};
    struct session s = {0};
    struct model_options o = {.mode = MODEL_INFER, .batch = j->batch};
    struct reference_options ro = {0};
    struct reference_row *rows = NULL;
    bool ok = driver_compile(j->d, j->spec, &o, &b) && open_session(j, &b, false, &s) && (rows = row_array(j, &b)) &&
              check_nodes(j, &b, &s, &ro, rows);
    if (ok) {
        struct whole w = {.b = &b, .s = &s, .ro = &ro, .g = b.raw, .e = reference_eval(j->d, b.raw, &s, &ro)};
        eval_run(w.e, true);
        compare_outputs(j, &w);
        eval_free(w.e);
        eval_free(w.rounded);
    }
    session_close(&s);
    ok = ok && check_same_sign(j, &b, rows);
    if (ok) node_rows(j, &b, rows);
    driver_release(&b);
    return ok;
}

static bool check_gradients(struct job *j, struct session *s, const struct built *b, const struct built *differentiated)
{
    struct reference_options ro = {.n = b->model->batch};
    void **in = driver_random_inputs(j->d, b);
    ro.in = (const void *const *)in;
    const struct graph *g = differentiated->graph;
    graph_number(differentiated->graph);
    struct difference d = {
        .e = reference_eval(j->d, g, s, &ro), .g = g, .loss = find_output(g, "loss"), .limit = j->o.difference};
    struct eval *planned = reference_eval(j->d, b->graph, s, &ro);
    d.needed = mark_needed(j->d->arena, g, d.loss);
    run_keeping_forward(&d, j->d->arena);
    eval_exact(planned, true); /* the passes are what this is to check */
    eval_run(planned, true);
    struct reference_row *rows = row_array(j, b);
    struct whole w = {.b = b, .s = s, .ro = &ro, .g = g, .e = d.e, .planned = planned};
    bool ok = check_nodes(j, b, s, &ro, rows);
    if (ok) {
        node_rows(j, b, rows);
        compare_outputs(j, &w);
    }
    eval_free(planned);
    if (ok) check_differences(j, &w, &d);
    eval_free(d.e);
    eval_free(w.rounded);
    return ok;
}

static bool check_training(struct job *j)
{
    struct built b = {0}, differentiated = {0};
    struct session s = {0};
    struct model_options o = {.mode = MODEL_GRAD, .batch = j->batch, .input_grads = true};
    struct model_options half = o;
    half.until = "autodiff";
    bool ok = driver_graph(j->d, j->spec, &half, &differentiated) && driver_compile(j->d, j->spec, &o, &b) &&
              open_session(j, &b, false, &s) && check_gradients(j, &s, &b, &differentiated);
    session_close(&s);
    driver_release(&b);
    return ok;
}

/* ---- all of it */

bool driver_verify(struct driver *d, const struct spec *s, const struct verify_options *o, struct verify_result *r)
{
    struct job j = {.d = d, .o = *o, .spec = s};
    choose_sizes(&j);
    bool ok = !diags_errors(d->diags) && check_inference(&j) && (o->inference_only || check_training(&j));
    *r = (struct verify_result){.nodes = {j.nodes.item, j.nodes.count},
                                .outputs = {j.outputs.item, j.outputs.count},
                                .differences = {j.differences.item, j.differences.count},
                                .checks = j.nodes.count + j.outputs.count + j.differences.count,
                                .failed = j.failed,
                                .undecided = j.undecided};
    return ok;
}

/* ---- the quick check */

#define WHOLE_MACS 1000000000 /* up to here one sample of the whole network is compared too */

/* The first sample of every output against the graph as the spec says it. */
static bool check_whole(struct driver *d, const struct built *b, struct session *s, const struct check_options *o,
                        struct verify_row *wrong)
{
    const struct graph *g = b->raw;
    struct reference_options ro = {.n = 1, .in = o->in, .out = o->out};
    struct rnc_run run = {.n = b->model->batch, .step = 1, .seed = d->options.seed};
    struct eval *e = reference_eval(d, g, s, &ro);
    bool ok = driver_run(d, s, &run, o->in, o->out);
    eval_run(e, true);
    for (int i = 0; i < g->noutputs && ok && !wrong->name; i++) {
        const struct value *v = g->outputs[i].value;
        const struct rnc_tensor *t = session_tensor(b->model, RNC_ROLE_OUTPUT, g->outputs[i].label);
        if (!t || v->type.rank < 1 || v->type.dtype != DT_F32) continue;
        int64_t count = type_elements(&v->type) / g->batch;
        double *got = ARENA_ARRAY(d->arena, double, count + 1);
        for (int64_t k = 0; k < count; k++) got[k] = (double)((const float *)o->out[t->offset])[k];
        double error = reference_error(got, eval_data(e, v), count, 0);
        double rounding = reference_rounding_limit(d, b, s, &ro, t->name, eval_data(e, v), count);
        double limit = rounding > 0 ? rounding : OUTPUT_TOLERANCE;
        if (!(error <= limit))
            *wrong = (struct verify_row){.name = t->name, .what = "", .detail = "", .error = error, .limit = limit};
    }
    eval_free(e);
    return ok;
}

static bool check_kernels(struct driver *d, const struct built *b, struct session *s, const struct check_options *o,
                          struct verify_row *wrong)
{
    const struct rnc_model *m = b->model;
    struct reference_options ro = {.distinct = true,
                                   .n = min_i64(m->batch, b->graph->train ? 2 : 1),
                                   .tolerance = NODE_TOLERANCE,
                                   .in = o->in,
                                   .out = o->out};
    struct reference_row *rows = ARENA_ARRAY(d->arena, struct reference_row, m->nnodes + 1);
    if (!reference_nodes(d, b, s, &ro, rows)) return false;
    for (uint32_t i = 0; i < m->nnodes && !wrong->name; i++) {
        if (rows[i].checked && !(rows[i].error <= rows[i].limit))
            *wrong = (struct verify_row){.name = m->nodes[i].name,
                                         .what = m->nodes[i].op,
                                         .detail = m->nodes[i].algorithm,
                                         .error = rows[i].error,
                                         .limit = rows[i].limit};
    }
    return true;
}

bool driver_check(struct driver *d, const struct built *b, struct session *s, const struct check_options *o,
                  struct verify_row *wrong)
{
    int64_t macs = 0;
    *wrong = (struct verify_row){0};
    GRAPH_EACH(b->raw, n) macs += op_macs(n) / b->raw->batch;
    if (!check_kernels(d, b, s, o, wrong)) return false;
    if (wrong->name || b->graph->train || (!o->whole && macs > WHOLE_MACS)) return true;
    return check_whole(d, b, s, o, wrong);
}
