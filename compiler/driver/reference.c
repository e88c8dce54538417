/* reference.c: compiled code against the operators' reference implementations, node by node. */
#include "driver/reference.h"
#include <math.h>
#include <string.h>
#include "driver/condition.h"
#include "ir/op.h"
#include "runtime/rt/pack.h"

/* Terms so many times larger than the result are said to cancel. */
#define CANCELS 4

struct walk {
    struct driver *d;
    const struct built *b;
    struct session *session;
    const struct reference_options *o;
    struct reference_row *rows;
    struct eval *eval;
    const struct node **nodes; /* by index in model->nodes */
    int *value_row;            /* value id -> index in model->values, -1 */
    int *uses;                 /* by value id: reads still to come */
    uint32_t next;             /* the first node that has not been seen */
    float *plain;              /* room for the largest value */
    struct rnc_status status;
};

double reference_norm(const double *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

double reference_error(const double *a, const double *b, int64_t count, double floor)
{
    double sum = 0, norm = reference_norm(b, count);
    for (int64_t i = 0; i < count; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    if (sum == 0) return 0;
    return sqrt(sum) / fmax(fmax(norm, floor), 1e-30);
}

/* ---- what rounding does to a loss */

/* One number cannot tell how large its error might have been. So a loss is computed again and again with the errors of
   its predictions shuffled and their signs drawn anew: the root of the mean of the squares of what that changes is
   their scale. */
enum { SHUFFLES = 32 };

static uint64_t next_random(uint64_t *state) { return *state = *state * 6364136223846793005u + 1442695040888963407u; }

static double mean_square_change(struct eval *e, const struct node *loss, const double *exact, const double *rounded,
                                 int64_t count)
{
    double *x = eval_data(e, loss->in[0]), *y = eval_data(e, loss->out[0]), base, sum = 0;
    uint64_t random = 1;
    eval_node(e, loss);
    base = *y;
    for (int s = 0; s < SHUFFLES; s++) {
        for (int64_t i = 0; i < count; i++) {
            uint64_t r = next_random(&random) >> 24;
            int64_t k = (int64_t)((r >> 1) % (uint64_t)count);
            x[i] = exact[i] + (r & 1 ? 1 : -1) * (rounded[k] - exact[k]);
        }
        eval_node(e, loss);
        sum += (*y - base) * (*y - base);
    }
    memcpy(x, exact, (size_t)count * sizeof *x);
    *y = base;
    return sum / SHUFFLES;
}

/* The scale of the error of the sum of all losses of B's graph. */
static double loss_scale(struct driver *d, const struct built *b, const struct session *s,
                         const struct reference_options *o)
{
    struct eval *e = reference_eval(d, b->graph, s, o), *rounding = reference_eval(d, b->graph, s, o);
    int last = -1;
    double sum = 0;
    GRAPH_EACH(b->graph, n) last = n->op->class_ == OP_LOSS ? n->index : last;
    eval_exact(e, true);
    GRAPH_EACH(b->graph, n)
    {
        if (n->index > last) break;
        eval_node(e, n);
        eval_node(rounding, n);
        if (n->op->class_ != OP_LOSS) continue;
        int64_t count = type_elements(&n->in[0]->type);
        double *exact = ARENA_ARRAY(d->arena, double, count);
        memcpy(exact, eval_data(e, n->in[0]), (size_t)count * sizeof *exact);
        sum += mean_square_change(e, n, exact, eval_data(rounding, n->in[0]), count);
    }
    eval_free(e);
    eval_free(rounding);
    return sqrt(sum);
}

double reference_rounding_limit(struct driver *d, const struct built *b, const struct session *s,
                                const struct reference_options *o, const char *label, const double *want, int64_t count)
{
    if (!dtype_rounded(b->spec->dtype)) return 0;
    double error = 0;
    struct eval *e = reference_eval(d, b->graph, s, o);
    eval_run(e, true);
    for (int i = 0; i < b->graph->noutputs; i++)
        if (strcmp(b->graph->outputs[i].label, label) == 0)
            error = reference_error(eval_data(e, b->graph->outputs[i].value), want, count, 0);
    eval_free(e);
    if (count == 1) error = fmax(error, loss_scale(d, b, s, o) / fmax(fabs(*want), 1e-30));
    return fmax(3 * error, dtype_step(b->spec->dtype));
}

/* ---- arguments */

static void set_argument(struct eval *e, const struct value *v, const void *plain, int64_t count)
{
    double *d = eval_data(e, v);
    for (int64_t i = 0; i < count; i++)
        d[i] = v->type.dtype == DT_I64 ? (double)((const int64_t *)plain)[i] : (double)((const float *)plain)[i];
}

struct eval *reference_eval(struct driver *d, const struct graph *g, const struct session *s,
                            const struct reference_options *o)
{
    const struct rnc_model *m = rnc_instance_model(s->instance);
    struct eval *e =
        eval_new(g,
                 (struct ref_run){.n = o->n, .lr = 0, .step = 1, .seed = d->options.seed, .threads = s->par.workers});
    for (uint32_t i = 0; i < m->ntensors; i++) {
        const struct rnc_tensor *t = &m->tensors[i];
        const struct value *v = graph_find(g, t->name);
        if (!v || v->kind == VALUE_NODE || t->role == RNC_ROLE_OUTPUT) continue;
        int64_t count = rnc_elements(&t->type);
        if (t->role == RNC_ROLE_INPUT || t->role == RNC_ROLE_TARGET) {
            set_argument(e, v, o->in[t->offset], t->type.batched ? count / t->type.dim[0] * o->n : count);
            continue;
        }
        struct arena *scratch = arena_new();
        void *plain = arena_alloc(scratch, (size_t)count * 8 + 8);
        struct rnc_status st = {0};
        if (rnc_get(s->instance, t->name, plain, &st)) set_argument(e, v, plain, count);
        arena_free(scratch);
    }
    return e;
}

/* ---- equal nodes */

static bool same_body(const struct body *a, const struct body *b)
{
    if (!a || !b) return a == b;
    if (a->ninsn != b->ninsn || a->nout != b->nout || memcmp(a->out, b->out, sizeof a->out[0] * (size_t)a->nout) != 0)
        return false;
    for (int i = 0; i < a->ninsn; i++) {
        const struct body_insn *x = &a->insn[i], *y = &b->insn[i];
        if (x->op != y->op || x->narg != y->narg || memcmp(x->arg, y->arg, sizeof x->arg[0] * (size_t)x->narg) != 0)
            return false;
        for (int k = 0; k < x->op->nattr; k++)
            if (x->op->attrs[k].def.type != ATTR_TEXT && !op_attr_equal(&x->attr[k], &y->attr[k])) return false;
    }
    return true;
}

static bool same_node(const struct node *a, const struct node *b)
{
    if (a->op != b->op || a->nin != b->nin || a->nanchor != b->nanchor || a->nout != b->nout ||
        !same_body(a->body, b->body))
        return false;
    for (int k = 0; k < MAX_PRE; k++)
        if (!same_body(a->pre[k], b->pre[k])) return false;
    for (int i = 0; i < a->nin; i++) {
        if (!a->in[i] != !b->in[i]) return false;
        if (a->in[i] && !type_equal(&a->in[i]->type, &b->in[i]->type)) return false;
    }
    for (int i = 0; i < a->nout; i++)
        if (!type_equal(&a->out[i]->type, &b->out[i]->type)) return false;
    for (int k = 0; k < a->op->nattr; k++)
        if (a->op->attrs[k].def.type != ATTR_TEXT && !op_attr_equal(&a->attr[k], &b->attr[k])) return false;
    return true;
}

static bool seen_before(const struct walk *w, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (same_node(w->nodes[i], w->nodes[index])) return true;
    return false;
}

/* ---- one node */

/* Elements of V that are real: with fewer samples than the model has room for, the others are undefined. */
static int64_t real_elements(const struct walk *w, const struct value *v)
{
    int64_t count = type_elements(&v->type);
    return v->type.batched ? count / v->type.dim[0] * eval_samples(w->eval, v) : count;
}

/* Sums cancel: what the terms are worth, not what is left of them, measures a rounding error. The root of the number of
   terms times the product of the operands' rms is what a sum of random signs would come to. */
static double natural_size(struct walk *w, const struct node *n, const struct value *out)
{
    if (!n->op->family->cancels) return 0;
    double size = sqrt((double)type_elements(&out->type)), terms = 1;
    int anchors = node_anchors(n);
    for (int i = 0; i < anchors && i < 2; i++) {
        const struct value *v = n->in[i];
        if (!v || !dtype_floating(v->type.dtype) || (n->op->family->sums && i > 0)) continue;
        int64_t count = real_elements(w, v);
        if (count <= 0) continue;
        size *= reference_norm(eval_data(w->eval, v), count) / sqrt((double)count);
        if (i == 0) terms = (double)count / (double)(n->op->sums_samples ? type_elements(&out->type) : count);
    }
    return size * sqrt(fmax(terms, 1));
}

/* A sum that a body takes is of values with rounding errors of their own, as many as it has terms: it is measured by
   what a sum of random signs would come to. A mean is that over the number of terms. 0: OUT is no such sum. */
static double body_sum_size(struct walk *w, const struct node *n, const struct value *out)
{
    int first = n->body && body_sums(n->body) ? body_elementwise(n->body) : n->nout;
    if (out->result < first || out == node_workspace(n)) return 0;
    const struct body_insn *insn = &n->body->insn[n->body->out[out->result].index];
    int64_t count = real_elements(w, n->out[0]), channels = type_elements(&out->type);
    double terms = (double)count / (double)channels,
           rms = reference_norm(eval_data(w->eval, n->out[0]), count) / sqrt((double)count);
    bool mean = insn->narg == 1 && insn->op->nouts == 2;
    return rms * sqrt((double)channels * terms) / (mean ? terms : 1);
}

static bool read_result(struct walk *w, const struct value *v, double *to)
{
    int row = w->value_row[v->id];
    if (row < 0 || !rnc_read_value(w->session->instance, (uint32_t)row, w->plain, &w->status)) return false;
    int64_t count = real_elements(w, v);
    for (int64_t i = 0; i < count; i++)
        to[i] = v->type.dtype == DT_U8    ? (double)((const uint8_t *)w->plain)[i]
                : v->type.dtype == DT_I64 ? (double)((const int64_t *)w->plain)[i]
                                          : (double)w->plain[i];
    return true;
}

/* A ReLU that a body computes for its gradient's sake may lie at zero to within the rounding: then one side passes the
   gradient and the other does not. A few such elements are left out, and the channels' sums that they are in. */
enum { MAX_FLIPS = 4 };
struct flips {
    int count;
    int64_t channel[MAX_FLIPS];
};

static bool may_flip(const struct node *n)
{
    for (int i = 0; n->body && i < n->body->ninsn; i++) {
        const struct body_insn *insn = &n->body->insn[i];
        if (insn->op->gate && insn->arg[insn->op->gate].source == BODY_INSN) return true;
    }
    return false;
}

/* WANT becomes GOT where they differ for that reason. */
static void leave_out_flips(struct flips *f, const struct value *v, const double *got, double *want, int64_t count)
{
    const struct type *t = &v->type;
    if (t->rank == 1)
        for (int i = 0; i < f->count; i++) want[f->channel[i]] = got[f->channel[i]];
    if (t->rank != 4) return;
    for (int64_t i = 0; i < count && f->count < MAX_FLIPS; i++) {
        if ((got[i] == 0) == (want[i] == 0)) continue;
        f->channel[f->count++] = i / (t->dim[2] * t->dim[3]) % t->dim[1];
        want[i] = got[i];
    }
}

/* What the error of result V may be by the size of V. Where it is stored rounded, both sides are, to numbers that lie
   half a step to a step of their size apart (bf16: 2^-7): an element that is off by d falls on the other side of a
   middle with probability d/step, and is then off by a whole step: the squares add up to tolerance·step. Means of few
   such numbers do lie in the middle of two: four such elements are always allowed. */
static double result_limit(struct walk *w, const struct value *v)
{
    const double *x = eval_data(w->eval, v);
    int64_t count = real_elements(w, v);
    double largest = 0, norm = reference_norm(x, count), step = dtype_step(v->type.dtype), tolerance = w->o->tolerance;
    if (!dtype_rounded(v->type.dtype) || norm == 0) return tolerance;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(x[i]));
    return tolerance + sqrt(tolerance * step + 4 * pow(largest / norm * step, 2));
}

/* A result whose error is beyond LIMIT by its own size: is it right by that of its terms (driver/condition.h)? */
static struct reference_row by_terms(struct walk *w, const struct node *n, const struct value *v, const double *got,
                                     struct reference_row plain)
{
    const double *want = eval_data(w->eval, v);
    int64_t count = real_elements(w, v);
    double norm = reference_norm(want, count), size = condition_size(w->eval, n, v);
    struct reference_row row = {.checked = true,
                                .error = reference_error(got, want, count, size),
                                .limit = condition_bound(n, v) + plain.limit * fmin(1, norm / size),
                                .condition = size / fmax(norm, 1e-30)};
    return row.condition >= CANCELS && row.error <= row.limit ? row : plain;
}

/* GOT beside the reference's V. Bytes are indices: one that differs is compared as far as it counts, by the share of
   elements. */
static struct reference_row compare_result(struct walk *w, const struct node *n, const struct value *v,
                                           const double *got, struct flips *flips)
{
    double *want = eval_data(w->eval, v);
    int64_t count = real_elements(w, v), differ = 0;
    struct reference_row row = {.checked = true, .limit = w->o->tolerance};
    if (may_flip(n)) leave_out_flips(flips, v, got, want, count);
    for (int64_t i = 0; i < count; i++) {
        row.error += got[i] - got[i]; /* a NaN stays */
        differ += got[i] != want[i];
    }
    if (row.error != row.error) return row;
    if (v->type.dtype == DT_U8) {
        row.error = differ <= count / 1000 ? 0 : (double)differ / (double)count;
        return row;
    }
    double sum = body_sum_size(w, n, v);
    row.limit = result_limit(w, v);
    row.error = reference_error(got, want, count, sum > 0 ? sum : 0.1 * natural_size(w, n, v));
    return row.error <= row.limit ? row : by_terms(w, n, v, got, row);
}

void reference_keep_worse(struct reference_row *row, const struct reference_row *more)
{
    bool nan = row->error != row->error, worse = !(more->error * row->limit <= row->error * more->limit);
    double condition = fmax(row->condition, more->condition);
    if (!more->checked) return;
    if (!row->checked || (!nan && worse)) *row = *more;
    row->condition = condition;
}

static void drop_dead(struct walk *w, const struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        if (v && --w->uses[v->id] <= 0 && v->kind == VALUE_NODE) eval_drop(w->eval, v);
    }
    for (int i = 0; i < n->nout; i++)
        if (w->uses[n->out[i]->id] <= 0) eval_drop(w->eval, n->out[i]);
}

static void check_node(struct walk *w, uint32_t index)
{
    const struct node *n = w->nodes[index];
    struct reference_row *row = &w->rows[index];
    const struct value *workspace = node_workspace(n);
    struct flips flips = {0};
    const bool check = !w->o->distinct || !seen_before(w, index);
    *row = (struct reference_row){0};
    if (check) eval_node(w->eval, n);
    for (int i = 0; i < n->nout; i++) {
        if (n->out[i] == workspace) continue;
        struct arena *scratch = arena_new();
        double *got = ARENA_ARRAY(scratch, double, type_elements(&n->out[i]->type) + 1);
        if (read_result(w, n->out[i], got)) {
            if (check) {
                struct reference_row result = compare_result(w, n, n->out[i], got, &flips);
                reference_keep_worse(row, &result);
            }
            memcpy(eval_data(w->eval, n->out[i]), got, (size_t)type_elements(&n->out[i]->type) * sizeof *got);
        }
        arena_free(scratch);
    }
    drop_dead(w, n);
}

/* Views have no steps, so nothing reports them: the reference does what they mean. */
static void after_node(void *ctx, uint32_t node, double seconds)
{
    struct walk *w = ctx;
    (void)seconds;
    for (; w->next < node; w->next++) eval_node(w->eval, w->nodes[w->next]);
    check_node(w, node);
    w->next = node + 1;
}

/* ---- the walk */

static void map_values(struct walk *w, const struct graph *g, const struct rnc_model *m)
{
    size_t largest = 64;
    for (int i = 0; i < g->nvalues; i++) w->value_row[i] = -1;
    for (uint32_t i = 0; i < m->nvalues; i++) {
        const struct value *v = graph_find(g, m->values[i].name);
        if (v) w->value_row[v->id] = (int)i;
        size_t bytes = (size_t)rnc_elements(&m->values[i].type) * 8;
        if (bytes > largest) largest = bytes;
    }
    w->plain = arena_alloc(w->d->arena, largest);
}

static void prepare_walk(struct walk *w)
{
    const struct graph *g = w->b->graph;
    const struct rnc_model *m = w->b->model;
    w->nodes = ARENA_ARRAY(w->d->arena, const struct node *, m->nnodes + 1);
    w->value_row = ARENA_ARRAY(w->d->arena, int, g->nvalues + 1);
    w->uses = graph_use_counts(g, w->d->arena);
    uint32_t k = 0;
    GRAPH_EACH(g, n)
    if (!n->prepare && k < m->nnodes) w->nodes[k++] = n;
    map_values(w, g, m);
    w->eval = reference_eval(w->d, g, w->session, w->o);
    GRAPH_EACH(g, n)
    if (n->prepare) eval_node(w->eval, n);
}

bool reference_nodes(struct driver *d, const struct built *b, struct session *s, const struct reference_options *o,
                     struct reference_row *rows)
{
    struct walk w = {.d = d, .b = b, .session = s, .o = o, .rows = rows};
    prepare_walk(&w);
    struct rnc_run run = {.n = o->n, .step = 1, .seed = d->options.seed};
    struct rnc_observer observer = {after_node, &w};
    struct rnc_status st = {0};
    bool ok = rnc_execute(s->instance, &run, o->in, o->out, &observer, &st) || driver_fail(d, &st);
    eval_free(w.eval);
    return ok;
}
