/* problem.c: ports, pairs and terms of a spec, by name. */
#include "driver/problem.h"

#include <string.h>
#include "elaborate/measured.h"
#include "runtime/recipe/target.h"
#include "spec/ast.h"

static const struct span nowhere = {NULL, 0, 0, 0};

struct model_options driver_measured(const struct spec *s, enum model_mode mode)
{
    const bool losses = s->nlosses > 0;
    return (struct model_options){.mode = mode, .losses = losses, .measured = losses};
}

static const struct type *output_type(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (!strcmp(g->outputs[i].label, label)) return &g->outputs[i].value->type;
    return NULL;
}

static struct rnc_type runtime_type(const struct type *t)
{
    struct rnc_type r = {.rank = (uint8_t)t->rank, .batched = t->batched};
    memcpy(r.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
    return r;
}

/* ---- ports */

static struct rnc_port port_of(const struct spec_tensor *t, bool target)
{
    struct rnc_port p = {.name = t->name,
                         .target = target,
                         .dtype = target && t->type->labels ? RNC_I64 : RNC_F32,
                         .rank = t->rank,
                         .ignore = t->ignore,
                         .binary = t->binary,
                         .exact = target && t->type->binary,
                         .picture = t->picture,
                         .positive = t->positive};
    memcpy(p.dim, t->dim, sizeof p.dim);
    return p;
}

/* Of a spec that has neither losses nor targets, and can still be evaluated: labels for its only output. */
static bool implied_target(const struct spec *s, const struct graph *g, struct rnc_port *p)
{
    const struct type *t = s->ast->noutputs == 1 ? output_type(g, s->ast->outputs[0].label) : NULL;
    if (s->ntargets || s->nlosses || !t || (t->rank != 2 && t->rank != 4) || t->dim[1] < 2) return false;
    if (rnc_kind_binary(build_kind(s, g, s->ast->outputs[0].label))) return false;
    *p = (struct rnc_port){.name = "label", .target = true, .dtype = RNC_I64, .rank = t->rank - 2, .ignore = -1};
    for (int i = 0; i < p->rank; i++) p->dim[i] = t->dim[i + 2];
    p->picture = rnc_target_named(p->rank ? "class_map" : "class");
    return true;
}

/* ---- pairs */

/* Numbers beside labels are scores of the classes: that is what they are evaluated as. */
static struct rnc_pair pair_of(const struct spec *s, const struct graph *g, const char *value, struct rnc_port *target)
{
    enum rnc_value_kind kind = build_kind(s, g, value);
    if (target->dtype == RNC_I64 && !rnc_kind_classes(kind)) kind = RNC_LOGITS;
    return (struct rnc_pair){value, target->name, kind, rnc_task_of(kind, target)};
}

static void find_pairs(struct driver *d, const struct spec *s, const struct graph *g, struct rnc_port *targets,
                       bool implied, struct rnc_problem *p)
{
    int n;
    const struct build_pair *found = build_pairs(d->arena, s, &n);
    struct rnc_pair *pairs = ARENA_ARRAY(d->arena, struct rnc_pair, n + 1);
    for (int i = 0; i < n; i++) pairs[p->npairs++] = pair_of(s, g, found[i].value, &targets[found[i].target]);
    if (implied) pairs[p->npairs++] = pair_of(s, g, s->ast->outputs[0].label, &targets[0]);
    p->pairs = pairs;
}

static void find_terms(struct driver *d, const struct spec *s, struct rnc_problem *p)
{
    struct rnc_term *terms = ARENA_ARRAY(d->arena, struct rnc_term, s->nlosses + 1);
    for (int i = 0; i < s->nlosses; i++) {
        const struct flat_loss *l = &s->ast->losses[i];
        int ignore = op_attr_index(l->op, "ignore");
        terms[p->nterms++] = (struct rnc_term){.name = build_term_name(d->arena, s, i),
                                               .output = build_term(d->arena, s, i),
                                               .target = s->targets[l->target].name,
                                               .labels = l->op->compares == COMPARES_CLASSES,
                                               .classes = rnc_problem_target(p, s->targets[l->target].name)->classes,
                                               .ignore = ignore >= 0 ? l->attr[ignore].i : -1};
    }
    p->terms = terms;
}

/* Of a target of labels: by its loss, else by the output that it is measured beside. */
static int64_t classes_of(const struct graph *g, const struct rnc_problem *p, const char *target)
{
    int64_t classes = session_classes(g, target, NULL);
    for (int i = 0; i < p->npairs && !classes; i++) {
        const struct type *t = output_type(g, p->pairs[i].value);
        if (!strcmp(p->pairs[i].target, target) && t && t->rank > 1) classes = t->dim[1];
    }
    return classes;
}

static void count_classes(const struct graph *g, struct rnc_port *ports, const struct rnc_problem *p)
{
    for (int i = 0; i < p->nports; i++)
        if (ports[i].dtype == RNC_I64) ports[i].classes = classes_of(g, p, ports[i].name);
}

/* ---- metrics */

/* "logits beside label: accuracy, top3, top5" */
static void note_metrics(struct driver *d, struct diag *g, const struct rnc_problem *p)
{
    for (int i = 0; i < p->npairs; i++) {
        struct buf b;
        buf_init(&b, d->arena);
        const struct rnc_task *t = p->pairs[i].task;
        for (int m = 0; m < t->nmetrics; m++) buf_printf(&b, "%s%s", m ? ", " : "", t->metrics[m].name);
        diag_note(g, "'%s' beside '%s', %s: %s", p->pairs[i].value, p->pairs[i].target, t->name, b.data);
    }
    diag_note(g, "and the loss");
}

static bool check_metrics(struct driver *d, const struct spec *s, const struct rnc_problem *p)
{
    bool ok = true;
    for (int i = 0; i < s->nmetrics; i++) {
        bool has = s->metrics[i]->loss;
        for (int k = 0; k < p->npairs; k++) has |= rnc_task_metric(p->pairs[k].task, s->metrics[i]->name) >= 0;
        if (has) continue;
        note_metrics(d,
                     diag_error(d->diags, s->metric_spans[i], "nothing in this spec has the metric '%s'",
                                s->metrics[i]->name),
                     p);
        ok = false;
    }
    return ok;
}

bool driver_problem(struct driver *d, const struct spec *s, const struct graph *g, struct rnc_problem *p)
{
    struct rnc_port *ports = ARENA_ARRAY(d->arena, struct rnc_port, s->ninputs + s->ntargets + 1);
    struct rnc_status st = {0};
    *p = (struct rnc_problem){.ports = ports};
    for (int i = 0; i < s->ninputs; i++) ports[p->nports++] = port_of(&s->inputs[i], false);
    for (int i = 0; i < s->ntargets; i++) ports[p->nports++] = port_of(&s->targets[i], true);
    bool implied = implied_target(s, g, &ports[p->nports]);
    p->nports += implied;
    find_pairs(d, s, g, ports + s->ninputs, implied, p);
    count_classes(g, ports, p);
    find_terms(d, s, p);
    if (!check_metrics(d, s, p)) return false;
    struct rnc_column *column = ARENA_ARRAY(d->arena, struct rnc_column, rnc_problem_count_columns(p));
    if (rnc_problem_columns(p, column, s->metrics, s->nmetrics, &st)) return true;
    diag_error(d->diags, nowhere, "%s: %s", s->name, st.message);
    return false;
}

const struct rnc_reading *driver_readings(struct driver *d, const struct spec *s, const struct graph *g, int *n)
{
    struct rnc_reading *list = ARENA_ARRAY(d->arena, struct rnc_reading, s->ast->noutputs + 1);
    *n = 0;
    for (int i = 0; i < s->ast->noutputs; i++) {
        const char *label = s->ast->outputs[i].label;
        const struct type *t = output_type(g, label);
        if (t) list[(*n)++] = (struct rnc_reading){label, build_kind(s, g, label), runtime_type(t)};
    }
    return list;
}
