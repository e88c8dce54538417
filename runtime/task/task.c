/* task.c: the list of tasks, and what they share: tallies over a model's outputs, found by name. */
#include "runtime/task/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/pack.h"
#include "runtime/task/tasks.h"

const struct rnc_task *const rnc_tasks[] = {&rnc_task_classification, &rnc_task_segmentation, &rnc_task_regression,
                                            NULL};

const struct rnc_task *rnc_task_of(const struct rnc_port *ports, int nports)
{
    int k = 0;
    while (rnc_tasks[k + 1] && !rnc_tasks[k]->fits(ports, nports)) k++;
    return rnc_tasks[k];
}

const struct rnc_metric *rnc_metric_at(int k)
{
    for (int i = 0; rnc_tasks[i]; k -= rnc_tasks[i++]->nmetrics)
        if (k < rnc_tasks[i]->nmetrics) return &rnc_tasks[i]->metrics[k];
    return NULL;
}

const struct rnc_metric *rnc_metric_named(const char *name)
{
    const struct rnc_metric *m = rnc_metric_at(0);
    for (int k = 0; m && strcmp(m->name, name) != 0;) m = rnc_metric_at(++k);
    return m;
}

unsigned rnc_task_metric(const struct rnc_task *t, const char *name)
{
    for (int m = 0; m < t->nmetrics; m++)
        if (!strcmp(t->metrics[m].name, name)) return 1u << m;
    return 0;
}

int rnc_task_primary(const struct rnc_task *t, unsigned asked)
{
    for (int m = 0; m < t->nmetrics; m++)
        if (t->metrics[m].leads && (asked >> m & 1)) return m;
    return 0;
}

bool rnc_metric_better(const struct rnc_metric *m, double a, double b) { return m->lower ? a < b : a > b; }

int64_t rnc_finding_insert(struct rnc_finding *f, int64_t n, int64_t room, struct rnc_finding more)
{
    int64_t at = n;
    while (at > 0 && f[at - 1].value < more.value) at--;
    if (at >= room) return n;
    if (n < room) n++;
    memmove(f + at + 1, f + at, (size_t)(n - at - 1) * sizeof *f);
    f[at] = more;
    return n;
}

/* ---- tallies */

static const struct rnc_tensor *find_output(const struct rnc_model *m, const char *name)
{
    for (uint32_t k = 0; k < m->ntensors; k++)
        if (m->tensors[k].role == RNC_ROLE_OUTPUT && !strcmp(m->tensors[k].name, name)) return &m->tensors[k];
    return NULL;
}

static const struct rnc_port *find_target(const struct rnc_problem *p, const char *name)
{
    for (int k = 0; k < p->nports; k++)
        if (p->ports[k].target && !strcmp(p->ports[k].name, name)) return &p->ports[k];
    return NULL;
}

static void find_sides(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m)
{
    for (int k = 0; k < p->npairs; k++) {
        const struct rnc_tensor *output = find_output(m, p->pairs[k].output);
        const struct rnc_port *target = find_target(p, p->pairs[k].target);
        if (!output || !target) continue;
        t->sides[t->nsides++] = (struct rnc_side){&p->pairs[k], target, output->type, (uint32_t)output->offset};
    }
}

bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m, struct rnc_status *s)
{
    size_t room = (size_t)p->npairs + 1;
    *t = (struct rnc_tally){.task = p->task, .loss = find_output(m, "loss")};
    if (t->loss && t->loss->type.rank != 0) t->loss = NULL;
    t->sides = calloc(room, sizeof *t->sides);
    t->in = calloc(room, sizeof *t->in);
    t->out = calloc(room, sizeof *t->out);
    if (!t->sides || !t->in || !t->out) return rnc_fail(s, RNC_ENV, "no memory to measure %s", m->name);
    if (!rnc_ports_fit(m, p->ports, p->nports, s)) return false;
    find_sides(t, p, m);
    return p->task->begin(t, s);
}

void rnc_tally_reset(struct rnc_tally *t)
{
    t->samples = t->right = t->counted = 0;
    t->loss_sum = 0.0;
    t->task->reset(t);
}

int64_t *rnc_tally_counts(const struct rnc_tally *t, size_t *n)
{
    *n = 0;
    return t->task->counts ? t->task->counts(t, n) : NULL;
}

void rnc_tally_free(struct rnc_tally *t)
{
    free(t->sides);
    free(t->in);
    free(t->out);
    free(t->own);
    *t = (struct rnc_tally){0};
}

void rnc_tally_add(struct rnc_tally *t, void *const *out, const struct rnc_batch *b)
{
    t->samples += b->n;
    if (t->loss) t->loss_sum += (double)*(const float *)out[t->loss->offset] * (double)b->n;
    for (int k = 0; k < t->nsides; k++) {
        t->out[k] = out[t->sides[k].output];
        t->in[k] = rnc_batch_find(b, t->sides[k].pair->target);
    }
    t->task->add(t, t->out, t->in, b->n);
}

double rnc_tally_metric(const struct rnc_tally *t, int metric) { return t->task->metrics[metric].compute(t); }

double rnc_tally_loss(const struct rnc_tally *t)
{
    if (t->task->loss) return t->task->loss(t);
    return t->loss && t->samples ? t->loss_sum / (double)t->samples : NAN;
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

bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    struct rnc_outputs out = {0};
    const void **in = calloc((size_t)m->ninputs + 1, sizeof *in);
    bool ok = in ? rnc_outputs_new(m, &out, s) : rnc_fail(s, RNC_ENV, "no memory to run %s", m->name);
    int64_t done = 0;
    rnc_loader_start(loader, 0, 0);
    while (ok && !(stop && *stop)) {
        struct rnc_batch b;
        if (!(ok = rnc_loader_next(loader, &b, s)) || b.n == 0) break;
        ok = rnc_batch_bind(m, &b, in, s) && rnc_execute(i, &(struct rnc_run){.n = b.n}, in, out.buffer, NULL, s);
        if (!ok) break;
        rnc_tally_add(t, out.buffer, &b);
        if (progress) progress(ctx, ++done, rnc_loader_batches(loader));
    }
    rnc_outputs_free(&out);
    free(in);
    return ok;
}
