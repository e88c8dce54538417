/* eval.c: the reference interpreter. Slow and plain on purpose: it is what compiled code is measured against. */
#include "op/eval.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

enum { MAX_RESULTS = 2 /* of an operator in a body */ };

struct eval {
    const struct graph *graph;
    struct ref_run run;
    struct arena *arena;
    double **data; /* by value id; NULL until touched */
    bool exact;    /* values are not rounded when they are stored */
    int nvalues;
};

struct eval *eval_new(const struct graph *g, struct ref_run run)
{
    struct arena *a = arena_new();
    struct eval *e = ARENA_NEW(a, struct eval);
    e->graph = g;
    e->run = run;
    e->arena = a;
    e->nvalues = g->nvalues;
    e->data = ARENA_ARRAY(a, double *, g->nvalues ? g->nvalues : 1);
    return e;
}

void eval_free(struct eval *e)
{
    if (!e) return;
    for (int i = 0; i < e->nvalues; i++) free(e->data[i]);
    arena_free(e->arena);
}

/* COUNT zeroed doubles. */
static double *take(struct eval *e, int64_t count)
{
    double *p = calloc(count > 0 ? (size_t)count : 1, sizeof *p);
    if (!p) arena_array(e->arena, (size_t)count, sizeof *p); /* ends the process with the arena's message */
    return p;
}

double *eval_data(struct eval *e, const struct value *v)
{
    assert(v->id < e->nvalues);
    double **p = &e->data[v->id];
    if (!*p) *p = take(e, type_elements(&v->type));
    return *p;
}

void eval_drop(struct eval *e, const struct value *v)
{
    free(e->data[v->id]);
    e->data[v->id] = NULL;
}

void eval_set_f32(struct eval *e, const struct value *v, const float *data)
{
    double *d = eval_data(e, v);
    int64_t count = type_elements(&v->type);
    for (int64_t i = 0; i < count; i++) d[i] = data[i];
}

bool eval_exact(struct eval *e, bool exact)
{
    bool was = e->exact;
    e->exact = exact;
    return was;
}

void eval_magnitudes(struct eval *e, bool magnitudes) { e->run.magnitudes = magnitudes; }

void eval_round(struct eval *e, const struct value *v, enum dtype dt)
{
    double *d = eval_data(e, v);
    int64_t count = type_elements(&v->type);
    for (int64_t i = 0; i < count; i++) d[i] = dtype_round(dt, d[i]);
}

/* A value's type as references know it: plain, and not how it is stored. */
static struct type reference_type(const struct type *t)
{
    struct type r = type_make(dtype_computed(t->dtype), t->rank, t->dim);
    r.batched = t->batched;
    r.bounded = t->bounded;
    return r;
}

static void call_ref(struct eval *e, const struct op_def *op, const struct attr *attr, const char *layer,
                     const struct ref_tensor *in, int nin, struct ref_tensor *out, int nout)
{
    struct ref_call c = {
        .attr = attr, .op = op, .in = in, .nin = nin, .out = out, .nout = nout, .run = e->run, .layer = layer};
    assert(op->ref);
    op->ref(&c);
}

/* ---- bodies */

/* A tensor that lives while one node is evaluated: type and data. */
struct temp {
    struct type type;
    double *data;
    bool owned;
};

static struct temp temp_new(struct eval *e, const struct type *t)
{
    return (struct temp){.type = reference_type(t), .data = take(e, type_elements(t)), .owned = true};
}

static void temp_free(struct temp *t)
{
    if (t->owned) free(t->data);
    t->data = NULL;
}

/* SRC, which is [C], [] or of the same shape, spread over a tensor of type FULL. */
static void spread(const struct temp *src, const struct type *full, double *out)
{
    int64_t count = type_elements(full);
    if (src->type.rank == full->rank) {
        memcpy(out, src->data, (size_t)count * sizeof *out);
        return;
    }
    int64_t channels = full->rank > 1 ? full->dim[1] : 1, inner = 1;
    for (int k = 2; k < full->rank; k++) inner *= full->dim[k];
    for (int64_t i = 0; i < count; i++) out[i] = src->data[src->type.rank == 0 ? 0 : i / inner % channels];
}

/* Evaluates OP on ARG. Operands are handed over as they are if the shape rule takes them ([C] of bn_apply), else spread
   over FULL. */
static void body_insn(struct eval *e, const struct body_insn *b, struct temp *arg, const struct type *full,
                      struct temp *result)
{
    struct type in[MAX_BODY_ARGS], out[MAX_OUTS];
    struct ref_tensor ref[MAX_BODY_ARGS];
    struct temp wide[MAX_BODY_ARGS];
    struct arena *scratch = arena_new();
    struct op_error error = {.arena = scratch};
    memset(wide, 0, sizeof wide);
    memset(out, 0, sizeof out);
    for (int i = 0; i < b->narg; i++) in[i] = arg[i].type;
    bool fits = op_result_types(b->op, in, b->narg, b->attr, out, &error);
    for (int i = 0; i < b->narg; i++) {
        wide[i] = arg[i];
        wide[i].owned = false;
        if (!fits) {
            wide[i] = temp_new(e, full);
            spread(&arg[i], full, wide[i].data);
        }
        in[i] = wide[i].type;
        ref[i] = (struct ref_tensor){&wide[i].type, wide[i].data};
    }
    if (!fits) fits = op_result_types(b->op, in, b->narg, b->attr, out, &error);
    assert(fits && b->op->nouts <= MAX_RESULTS);
    struct ref_tensor to[MAX_RESULTS];
    for (int i = 0; i < b->op->nouts; i++) {
        result[i] = temp_new(e, &out[i]);
        to[i] = (struct ref_tensor){&result[i].type, result[i].data};
    }
    call_ref(e, b->op, b->attr, b->layer, ref, b->narg, to, b->op->nouts);
    for (int i = 0; i < b->narg; i++) temp_free(&wide[i]);
    arena_free(scratch);
}

static struct temp resolve(struct eval *e, const struct node *n, const struct body_ref *r, const struct temp *acc,
                           struct temp (*insn)[MAX_RESULTS])
{
    struct temp t;
    if (r->source == BODY_ACC) t = acc[r->index];
    else if (r->source == BODY_INSN || r->source == BODY_SECOND) t = insn[r->index][r->source == BODY_SECOND];
    else {
        const struct value *v = n->in[r->index];
        t = (struct temp){.type = reference_type(&v->type), .data = eval_data(e, v)};
    }
    t.owned = false;
    return t;
}

/* The body or a prologue B of N, on values of type FULL: result i goes to OUT[i]. */
static void eval_body(struct eval *e, const struct node *n, const struct body *b, struct temp *acc,
                      const struct type *full, const struct ref_tensor *out)
{
    struct temp insn[MAX_BODY][MAX_RESULTS];
    memset(insn, 0, sizeof insn);
    for (int i = 0; i < b->ninsn; i++) {
        struct temp arg[MAX_BODY_ARGS];
        for (int k = 0; k < b->insn[i].narg; k++) arg[k] = resolve(e, n, &b->insn[i].arg[k], acc, insn);
        body_insn(e, &b->insn[i], arg, full, insn[i]);
    }
    for (int i = 0; i < b->nout; i++) {
        struct temp t = resolve(e, n, &b->out[i], acc, insn);
        spread(&t, out[i].type, out[i].data);
    }
    for (int i = 0; i < b->ninsn; i++)
        for (int k = 0; k < MAX_RESULTS; k++) temp_free(&insn[i][k]);
}

/* The shape that a body without an anchor works on: that of its operand of the highest rank (as op_infer has it). */
static struct type widest(const struct node *n)
{
    struct type t = {.rank = -1};
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->type.rank > t.rank) t = n->in[i]->type;
    return reference_type(&t);
}

/* ---- nodes */

/* What changes something in training alone hands its input on in any other graph: dropout. */
static bool passes_on(struct eval *e, const struct node *n, struct ref_tensor *out)
{
    bool (*identity)(const struct node *, bool) = n->op->identity;
    if (e->graph->train || !identity || identity(n, true) || !identity(n, false)) return false;
    memcpy(out[0].data, eval_data(e, n->in[0]), (size_t)type_elements(out[0].type) * sizeof *out[0].data);
    return true;
}

/* Operand K as the operator sees it: behind its prologue. */
static struct temp eval_pre(struct eval *e, const struct node *n, int k, const struct type *type)
{
    struct temp seen = temp_new(e, type), stored = {.type = *type, .data = eval_data(e, n->in[k])};
    struct ref_tensor to = {&seen.type, seen.data};
    eval_body(e, n, n->pre[k], &stored, type, &to);
    return seen;
}

/* The operator itself, on the inputs that are its own, into OUT. */
static void eval_anchor(struct eval *e, const struct node *n, struct ref_tensor *out, int nout)
{
    int nin = node_anchors(n);
    struct temp seen[MAX_PRE];
    if (passes_on(e, n, out)) return;
    memset(seen, 0, sizeof seen);
    struct type *type = calloc((size_t)nin + 1, sizeof *type); /* plain: references know no layout */
    struct ref_tensor *in = calloc((size_t)nin + 1, sizeof *in);
    if (!type || !in) take(e, INT64_MAX / 16);
    for (int i = 0; i < nin; i++) {
        const struct value *v = n->in[i];
        type[i] = v ? reference_type(&v->type) : (struct type){.rank = -1};
        if (i < MAX_PRE && n->pre[i]) seen[i] = eval_pre(e, n, i, &type[i]);
        in[i] = (struct ref_tensor){&type[i], i < MAX_PRE && n->pre[i] ? seen[i].data : v ? eval_data(e, v) : NULL};
    }
    call_ref(e, n->op, n->attr, n->layer, in, nin, out, nout);
    for (int i = 0; i < MAX_PRE; i++) temp_free(&seen[i]);
    free(in);
    free(type);
}

static void eval_plain(struct eval *e, const struct node *n)
{
    struct type type[MAX_OUTS];
    struct ref_tensor out[MAX_OUTS];
    int own = op_results(n), nout = own < n->nout ? own : n->nout; /* without the workspace */
    for (int i = 0; i < nout; i++) {
        type[i] = reference_type(&n->out[i]->type);
        out[i] = (struct ref_tensor){&type[i], eval_data(e, n->out[i])};
    }
    eval_anchor(e, n, out, nout);
}

static void eval_fused(struct eval *e, const struct node *n)
{
    struct type full, in[MAX_INS];
    struct temp acc[MAX_OUTS];
    int nacc = 0;
    if (n->nanchor > 0) {
        struct type out[MAX_OUTS];
        struct ref_tensor ref[MAX_OUTS];
        assert(n->nanchor <= MAX_INS);
        for (int i = 0; i < n->nanchor; i++)
            in[i] = n->in[i] ? reference_type(&n->in[i]->type) : (struct type){.rank = -1};
        memset(out, 0, sizeof out);
        bool ok = op_result_types(n->op, in, n->nanchor, n->attr, out, NULL);
        assert(ok);
        (void)ok;
        nacc = n->op->nouts;
        for (int i = 0; i < nacc; i++) {
            acc[i] = temp_new(e, &out[i]);
            ref[i] = (struct ref_tensor){&acc[i].type, acc[i].data};
        }
        eval_anchor(e, n, ref, nacc);
        full = acc[0].type;
    } else full = widest(n);
    struct ref_tensor to[MAX_OUTS] = {0};
    for (int i = 0; i < n->body->nout; i++) to[i] = (struct ref_tensor){&n->out[i]->type, eval_data(e, n->out[i])};
    eval_body(e, n, n->body, acc, &full, to);
    for (int i = 0; i < nacc; i++) temp_free(&acc[i]);
}

static int64_t samples_at(struct eval *e, const struct node *n)
{
    const struct node *region = n->owner;
    if (!region) return e->run.n;
    const struct value *condition = region->in[REGION_CONDITION], *count = region->in[REGION_COUNT];
    if (condition && eval_data(e, condition)[0] == 0) return 0;
    int64_t around = samples_at(e, region);
    return count ? min_i64((int64_t)eval_data(e, count)[0], around) : around;
}

int64_t eval_samples(struct eval *e, const struct value *v)
{
    const struct node *n = v->def;
    while (n && n->last) n = n->last; /* what a region yields */
    return n ? samples_at(e, n) : e->run.n;
}

void eval_node(struct eval *e, const struct node *n)
{
    const int64_t samples = samples_at(e, n), whole = e->run.n;
    if (n->owner && samples == 0) return;
    e->run.n = samples;
    if (n->body) eval_fused(e, n);
    else eval_plain(e, n);
    e->run.n = whole;
    for (int i = 0; i < n->nout; i++)
        if (dtype_rounded(n->out[i]->type.dtype) && !e->exact) eval_round(e, n->out[i], n->out[i]->type.dtype);
}

/* Counts a use less of each input and drops those that have none left; arguments stay. */
static void release(struct eval *e, const struct node *n, int *uses)
{
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        if (!v || --uses[v->id] > 0 || v->kind != VALUE_NODE) continue;
        free(e->data[v->id]);
        e->data[v->id] = NULL;
    }
    for (int i = 0; i < n->nout; i++) { /* results without a reader */
        const struct value *v = n->out[i];
        if (uses[v->id] > 0) continue;
        free(e->data[v->id]);
        e->data[v->id] = NULL;
    }
}

void eval_run(struct eval *e, bool free_dead)
{
    struct arena *a = arena_new();
    int *uses = free_dead ? graph_use_counts(e->graph, a) : NULL;
    GRAPH_EACH(e->graph, n)
    {
        eval_node(e, n);
        if (free_dead) release(e, n, uses);
    }
    arena_free(a);
}

void eval_commit(struct eval *e)
{
    for (int i = 0; i < e->graph->nupdates; i++) {
        const struct graph_update *u = &e->graph->updates[i];
        memcpy(eval_data(e, u->state), eval_data(e, u->value), (size_t)type_elements(&u->state->type) * sizeof(double));
    }
}
