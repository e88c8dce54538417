/* tally.c: what a program's outputs add up to over the samples: its losses' terms, the metrics of its pairs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/pack.h"
#include "runtime/task/task.h"

static const struct rnc_tensor *find_output(const struct rnc_model *m, const char *name)
{
    for (uint32_t k = 0; k < m->ntensors; k++)
        if (m->tensors[k].role == RNC_ROLE_OUTPUT && !strcmp(m->tensors[k].name, name)) return &m->tensors[k];
    return NULL;
}

/* Maps: a value for each element of the target. */
static bool sizes_fit(const struct rnc_side *side, struct rnc_status *s)
{
    const struct rnc_port *target = side->target;
    int64_t each = rnc_elements(&side->type) / side->type.dim[0], want = rnc_port_elements(target);
    if (rnc_kind_classes(side->pair->kind) && target->dtype == RNC_I64) want *= side->type.dim[1];
    return each == want || rnc_fail(s, RNC_USER, "the output '%s' is of another size than the target '%s'",
                                    side->pair->value, side->pair->target);
}

static bool begin_side(struct rnc_side *side, const struct rnc_problem *p, const struct rnc_pair *pair,
                       const struct rnc_model *m, struct rnc_status *s)
{
    const struct rnc_tensor *value = find_output(m, pair->value);
    const struct rnc_port *target = rnc_problem_target(p, pair->target);
    if (!value || !target)
        return rnc_fail(s, RNC_USER, "the model %s has no %s '%s' to measure", m->name, value ? "target" : "output",
                        value ? pair->target : pair->value);
    *side = (struct rnc_side){.pair = pair, .target = target, .type = value->type, .output = (uint32_t)value->offset};
    const struct rnc_task *task = pair->task;
    if (!task->rank || value->type.rank == task->rank) return sizes_fit(side, s);
    return rnc_fail(s, RNC_USER, "the output '%s' is no scores of classes, %s, for the target '%s'", pair->value,
                    task->shape, pair->target);
}

static bool find_terms(struct rnc_tally *t, const struct rnc_model *m, struct rnc_status *s)
{
    t->total = find_output(m, "loss");
    for (int k = 0; k < t->problem->nterms; k++) {
        const struct rnc_tensor *term = find_output(m, t->problem->terms[k].output);
        if (!term) return rnc_fail(s, RNC_USER, "the model %s does not compute its losses", m->name);
        t->terms[k] = (uint32_t)term->offset;
    }
    return true;
}

/* One block for all that is added up: the terms', then each side's. */
static bool allot(struct rnc_tally *t)
{
    int npairs = t->problem->npairs;
    t->ncount = t->nsum = (size_t)t->problem->nterms;
    for (int k = 0; k < npairs; k++) {
        size_t counts, sums;
        t->sides[k].pair->task->sizes(&t->sides[k], &counts, &sums);
        t->ncount += counts;
        t->nsum += sums;
    }
    t->count = calloc(t->ncount + 1, sizeof *t->count);
    t->sum = calloc(t->nsum + 1, sizeof *t->sum);
    if (!t->count || !t->sum) return false;
    size_t count = (size_t)t->problem->nterms, sum = count, counts, sums;
    for (int k = 0; k < npairs; k++, count += counts, sum += sums) {
        t->sides[k].count = t->count + count;
        t->sides[k].sum = t->sum + sum;
        t->sides[k].pair->task->sizes(&t->sides[k], &counts, &sums);
    }
    return true;
}

bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m, struct rnc_status *s)
{
    *t = (struct rnc_tally){.problem = p};
    t->sides = calloc((size_t)p->npairs + 1, sizeof *t->sides);
    t->terms = calloc((size_t)p->nterms + 1, sizeof *t->terms);
    if (!t->sides || !t->terms) return rnc_fail(s, RNC_ENV, "no memory to measure %s", m->name);
    for (int k = 0; k < p->npairs; k++)
        if (!begin_side(&t->sides[k], p, &p->pairs[k], m, s)) return false;
    return rnc_ports_fit(m, p->ports, p->nports, s) && find_terms(t, m, s) &&
           (allot(t) || rnc_fail(s, RNC_ENV, "no memory to measure %s", m->name));
}

void rnc_tally_reset(struct rnc_tally *t)
{
    t->samples = 0;
    memset(t->count, 0, t->ncount * sizeof *t->count);
    memset(t->sum, 0, t->nsum * sizeof *t->sum);
}

void rnc_tally_free(struct rnc_tally *t)
{
    free(t->sides);
    free(t->terms);
    free(t->count);
    free(t->sum);
    *t = (struct rnc_tally){0};
}

void rnc_tally_add(struct rnc_tally *t, void *const *out, const struct rnc_batch *b)
{
    const struct rnc_problem *p = t->problem;
    t->samples += b->n;
    for (int k = 0; k < p->nterms; k++) {
        int64_t counts = rnc_term_counts(p, k, b);
        if (!counts) continue; /* 0 times whatever it is */
        t->count[k] += counts;
        t->sum[k] += (double)*(const float *)out[t->terms[k]] * (double)counts;
    }
    for (int k = 0; k < p->npairs; k++) {
        struct rnc_side *side = &t->sides[k];
        side->pair->task->add(side, out[side->output], rnc_batch_find(b, side->pair->target), b->n, t->quick);
    }
}

static double term_of(const struct rnc_tally *t, int k) { return t->count[k] ? t->sum[k] / (double)t->count[k] : NAN; }

double rnc_tally_loss(const struct rnc_tally *t)
{
    double sum = 0.0;
    bool any = false;
    for (int k = 0; k < t->problem->nterms; k++) {
        if (!t->count[k]) continue; /* nothing of it counted: it adds 0, as in a batch */
        sum += term_of(t, k);
        any = true;
    }
    return any ? sum : NAN;
}

double rnc_tally_column(const struct rnc_tally *t, int column)
{
    const struct rnc_column *c = &t->problem->column[column];
    if (c->pair >= 0) return c->metric->compute(&t->sides[c->pair]);
    return c->term >= 0 ? term_of(t, c->term) : rnc_tally_loss(t);
}

/* ---- running */

bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s)
{
    o->count = m->noutputs;
    o->buffer = calloc((size_t)m->noutputs + 1, sizeof *o->buffer);
    if (!o->buffer) return rnc_fail(s, RNC_ENV, "no memory for the outputs of %s", m->name);
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role != RNC_ROLE_OUTPUT || t->offset >= m->noutputs || o->buffer[t->offset]) continue;
        o->buffer[t->offset] = calloc(1, rnc_plain_bytes(&t->type) + 1);
        if (!o->buffer[t->offset]) return rnc_fail(s, RNC_ENV, "no memory for output %s of %s", t->name, m->name);
    }
    return true;
}

void rnc_outputs_free(struct rnc_outputs *o)
{
    for (uint32_t k = 0; o->buffer && k < o->count; k++) free(o->buffer[k]);
    free(o->buffer);
    *o = (struct rnc_outputs){0};
}

/* The first NaN of X, or -1. */
static int64_t find_nan(const float *x, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        if (isnan(x[k])) return k;
    return -1;
}

bool rnc_outputs_check(const struct rnc_model *m, void *const *out, int64_t n, struct rnc_status *s)
{
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role != RNC_ROLE_OUTPUT || t->type.dtype == RNC_I64) continue;
        int64_t each = t->type.batched ? rnc_elements(&t->type) / m->batch : rnc_elements(&t->type);
        int64_t at = find_nan(out[t->offset], t->type.batched ? n * each : each);
        if (at >= 0 && t->type.batched)
            return rnc_fail(s, RNC_USER,
                            "the output '%s' is NaN, at element %lld of sample %lld: look for NaN or "
                            "infinity in the weights and the input",
                            t->name, (long long)(at % each), (long long)(at / each));
        if (at >= 0) return rnc_fail(s, RNC_USER, "the output '%s' is NaN", t->name);
    }
    return true;
}

static bool some_counted(const struct rnc_tally *t, struct rnc_status *s)
{
    const struct rnc_problem *p = t->problem;
    for (int k = 0; k < p->nterms; k++)
        if (t->count[k]) return true;
    return p->nterms == 0 || rnc_fail(s, RNC_USER,
                                      "no label of the target '%s' counts: all of them are ignored, or no class; there "
                                      "is nothing to evaluate",
                                      p->terms[0].target);
}

bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    struct rnc_outputs out = {0};
    const void **in = calloc((size_t)m->ninputs + 1, sizeof *in);
    bool ok = in ? rnc_outputs_new(m, &out, s) : rnc_fail(s, RNC_ENV, "no memory to run %s", m->name);
    int64_t done = 0;
    bool over = false;
    rnc_loader_start(loader, 0, 0);
    while (ok && !(stop && *stop)) {
        struct rnc_batch b;
        ok = rnc_loader_next(loader, &b, s);
        over = ok && b.n == 0;
        if (!ok || over) break;
        ok = rnc_batch_bind(m, &b, in, s) && rnc_execute(i, &(struct rnc_run){.n = b.n}, in, out.buffer, NULL, s) &&
             rnc_outputs_check(m, out.buffer, b.n, s);
        if (!ok) break;
        rnc_tally_add(t, out.buffer, &b);
        if (progress) progress(ctx, ++done, rnc_loader_batches(loader));
    }
    rnc_outputs_free(&out);
    free(in);
    return ok && (!over || some_counted(t, s));
}
