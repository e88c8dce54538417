/* task.c: the list of tasks, their metrics, and the columns that a network's losses and pairs make. */
#include "runtime/task/task.h"

#include <stdio.h>
#include <string.h>

#include "runtime/task/labels.h"
#include "runtime/task/tasks.h"

const struct rnc_task *const rnc_tasks[] = {&rnc_task_classification, &rnc_task_segmentation, &rnc_task_binary,
                                            &rnc_task_binary_map,     &rnc_task_regression,   NULL};

const struct rnc_task *rnc_task_of(enum rnc_value_kind kind, const struct rnc_port *target)
{
    int k = 0;
    while (rnc_tasks[k + 1] && !rnc_tasks[k]->fits(kind, target)) k++;
    return rnc_tasks[k];
}

int rnc_task_metric(const struct rnc_task *t, const char *name)
{
    for (int m = 0; m < t->nmetrics; m++)
        if (!strcmp(t->metrics[m].name, name)) return m;
    return -1;
}

/* ---- metrics by name */

static const struct rnc_metric loss_metric = {
    .name = "loss", .help = "the spec's losses, weighted and summed", .lower = true, .loss = true};

/* The K-th of all rows, repeated names and all. */
static const struct rnc_metric *row_at(int k)
{
    if (k == 0) return &loss_metric;
    k--;
    for (int i = 0; rnc_tasks[i]; k -= rnc_tasks[i++]->nmetrics)
        if (k < rnc_tasks[i]->nmetrics) return &rnc_tasks[i]->metrics[k];
    return NULL;
}

const struct rnc_metric *rnc_metric_named(const char *name)
{
    const struct rnc_metric *m = row_at(0);
    for (int k = 0; m && strcmp(m->name, name) != 0;) m = row_at(++k);
    return m;
}

const struct rnc_metric *rnc_metric_at(int k)
{
    const struct rnc_metric *m = NULL;
    for (int i = 0; (m = row_at(i)); i++)
        if (rnc_metric_named(m->name) == m && k-- == 0) return m;
    return NULL;
}

bool rnc_metric_better(const struct rnc_metric *m, double a, double b) { return m->lower ? a < b : a > b; }

/* ---- columns */

static bool join(struct rnc_column *c, struct rnc_status *s, const char *first, const char *second, const char *third)
{
    int n = snprintf(c->name, sizeof c->name, "%s%s%s%s%s", first, second ? "." : "", second ? second : "",
                     third ? "." : "", third ? third : "");
    return n < RNC_COLUMN_NAME || rnc_fail(s, RNC_USER, "the name '%.40s…' is too long for a log's column", first);
}

/* "accuracy"; of several pairs with the value's name before it; where that stands in several pairs the target's, too.
 */
static bool name_metric(struct rnc_column *c, const struct rnc_problem *p, struct rnc_status *s)
{
    const struct rnc_pair *pair = &p->pairs[c->pair];
    int same = 0;
    for (int k = 0; k < p->npairs; k++) same += !strcmp(p->pairs[k].value, pair->value);
    if (p->npairs == 1) return join(c, s, c->metric->name, NULL, NULL);
    if (same == 1) return join(c, s, pair->value, c->metric->name, NULL);
    return join(c, s, pair->value, pair->target, c->metric->name);
}

static bool is_requested(const struct rnc_metric *m, const struct rnc_metric *const *requested, int nrequested)
{
    for (int k = 0; k < nrequested; k++)
        if (!strcmp(requested[k]->name, m->name)) return true;
    return false;
}

/* Of true and false only what is declared so is surely made: other numbers may lie anywhere between. */
static bool unsure(const struct rnc_problem *p, int pair)
{
    const struct rnc_port *target = rnc_problem_target(p, p->pairs[pair].target);
    return p->pairs[pair].task->labels && target && !target->exact;
}

static bool add_pair(struct rnc_problem *p, struct rnc_column *column, int pair,
                     const struct rnc_metric *const *requested, int nrequested, struct rnc_status *s)
{
    const struct rnc_task *task = p->pairs[pair].task;
    bool ok = true;
    for (int m = 0; ok && m < task->nmetrics; m++) {
        struct rnc_column *c = &column[p->ncolumns++];
        *c = (struct rnc_column){.metric = &task->metrics[m], .pair = pair, .term = -1};
        c->requested = is_requested(c->metric, requested, nrequested);
        c->shown = c->requested || (!c->metric->on_request && !unsure(p, pair));
        ok = name_metric(c, p, s);
    }
    return ok;
}

/* The column of the pair's first metric, where that decides; else -1. */
static int deciding(const struct rnc_problem *p, int pair)
{
    const struct rnc_task *task = p->pairs[pair].task;
    for (int k = 0; k < p->ncolumns && task->decides; k++)
        if (p->column[k].pair == pair && p->column[k].metric == task->metrics)
            return p->column[k].requested || !unsure(p, pair) ? k : -1;
    return -1;
}

static int choose_primary(const struct rnc_problem *p)
{
    for (int k = 0; k < p->ncolumns; k++)
        if (p->column[k].requested && p->column[k].metric->leads) return k;
    for (int pair = 0; pair < p->npairs; pair++) {
        int k = deciding(p, pair);
        if (k >= 0 && (p->npairs == 1 || p->column[k].requested)) return k;
    }
    return 0;
}

int rnc_problem_count_columns(const struct rnc_problem *p)
{
    int n = 1 + p->nterms;
    for (int k = 0; k < p->npairs; k++) n += p->pairs[k].task->nmetrics;
    return n;
}

bool rnc_problem_columns(struct rnc_problem *p, struct rnc_column *column, const struct rnc_metric *const *requested,
                         int nrequested, struct rnc_status *s)
{
    p->column = column;
    p->ncolumns = 1;
    column[0] = (struct rnc_column){.metric = &loss_metric, .pair = -1, .term = -1};
    bool ok = join(&column[0], s, loss_metric.name, NULL, NULL);
    for (int k = 0; ok && p->nterms > 1 && k < p->nterms; k++) {
        struct rnc_column *c = &column[p->ncolumns++];
        *c = (struct rnc_column){.metric = &loss_metric, .pair = -1, .term = k, .requested = true};
        ok = join(c, s, loss_metric.name, p->terms[k].name, NULL);
    }
    for (int k = 0; ok && k < p->npairs; k++) ok = add_pair(p, column, k, requested, nrequested, s);
    if (ok) p->primary = choose_primary(p);
    return ok;
}

/* ---- what counts */

const struct rnc_port *rnc_problem_target(const struct rnc_problem *p, const char *name)
{
    for (int k = 0; k < p->nports; k++)
        if (p->ports[k].target && !strcmp(p->ports[k].name, name)) return &p->ports[k];
    return NULL;
}

int64_t rnc_term_counts(const struct rnc_problem *p, int k, const struct rnc_batch *b)
{
    const struct rnc_term *term = &p->terms[k];
    const struct rnc_port *target = rnc_problem_target(p, term->target);
    const int64_t *label = rnc_batch_find(b, term->target);
    if (!term->labels || !target || !label) return b->n;
    int64_t count = 0, all = b->n * rnc_port_elements(target);
    for (int64_t i = 0; i < all; i++) count += rnc_label_counts(label[i], term->classes, term->ignore);
    return count;
}

bool rnc_batch_counts(const struct rnc_problem *p, const struct rnc_batch *b)
{
    for (int k = 0; k < p->nterms; k++)
        if (rnc_term_counts(p, k, b)) return true;
    return p->nterms == 0;
}
