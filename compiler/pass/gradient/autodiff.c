/* autodiff.c: the training step as IR. The forward pass gets its training form (batch statistics, maxima's places, the
   running statistics' updates), then every node that leads from something trained to the loss is gone through
   backwards, its operator's gradient rule writing further nodes; where several gradients meet they are added. A
   parameter's update follows its gradient at once, and that of a node's input comes before whatever computes the
   earlier nodes' gradients: so activations die as early as they can.

   Reverse-mode differentiation by source transformation; see Griewank and Walther, Evaluating Derivatives, 2008,
   chapter 3. */
#include <assert.h>
#include <string.h>
#include "ir/op.h"
#include "pass/passes.h"

struct autodiff {
    struct graph *g;
    struct pass_context *c;
    struct node *end;    /* the last node of the forward pass */
    int nvalues;         /* values of the forward pass; the tables below are by their ids */
    bool *need;          /* a gradient is wanted: trained, or computed from something trained */
    bool *leads;         /* the loss depends on it */
    struct value **grad; /* what has flowed here so far */
    int *reads;          /* reads by differentiated nodes that the backward pass has yet to meet */
    struct value *loss;
    int ngrads, nupdates, nnorms, nerrors;
};

static const struct span nowhere;

static struct attr *attrs_of(struct graph *g, const struct op_def *op)
{
    struct attr *a = ARENA_ARRAY(g->arena, struct attr, op->nattr ? op->nattr : 1);
    for (int i = 0; i < op->nattr; i++) a[i] = op->attrs[i].def;
    return a;
}

static struct attr *attr_at(const struct op_def *op, struct attr *a, const char *name)
{
    int i = op_attr_index(op, name);
    assert(i >= 0);
    return &a[i];
}

/* ---- the forward pass in its training form */

static void place(struct node *n, const struct node *like)
{
    n->layer = like->layer;
    n->span = like->span;
}

static void train_forward(struct autodiff *d)
{
    GRAPH_EACH(d->g, n)
    {
        struct op_error e = {.arena = d->g->arena};
        bool norm = n->op->work == WORK_BATCH_NORM;
        if (!n->op->train) continue;
        if (n->op->train(d->g, n, &e)) {
            d->nnorms += norm;
            continue;
        }
        struct diag *x = diag_error(d->c->diags, n->span, "%s", e.message);
        if (e.note) diag_note(x, "%s", e.note);
        d->nerrors++;
    }
}

/* ---- what is to be differentiated */

static bool trained(const struct autodiff *d, const struct value *v)
{
    const struct train_options *o = &d->c->train;
    if (v->kind == VALUE_PARAM) return o->grad_outputs || o->optimizer.row;
    return v->kind == VALUE_INPUT && o->input_grads && v->type.dtype == DT_F32;
}

static void find_needs(struct autodiff *d)
{
    for (int i = 0; i < d->nvalues; i++) d->need[i] = trained(d, d->g->values[i]);
    GRAPH_EACH(d->g, n)
    {
        bool need = false;
        for (int i = 0; i < n->nin; i++) need |= n->in[i] && d->need[n->in[i]->id];
        for (int i = 0; i < n->nout; i++) d->need[n->out[i]->id] = need;
    }
    d->leads[d->loss->id] = true;
    for (struct node *n = d->g->last; n; n = n->prev) {
        bool leads = false;
        for (int i = 0; i < n->nout; i++) leads |= d->leads[n->out[i]->id];
        for (int i = 0; leads && i < n->nin; i++)
            if (n->in[i]) d->leads[n->in[i]->id] = true;
    }
}

static bool differentiated(const struct autodiff *d, const struct node *n)
{
    for (int i = 0; i < n->nout; i++)
        if (d->need[n->out[i]->id] && d->leads[n->out[i]->id]) return true;
    return false;
}

static void count_reads(struct autodiff *d)
{
    GRAPH_EACH(d->g, n)
    for (int i = 0; differentiated(d, n) && i < n->nin; i++)
        if (n->in[i]) d->reads[n->in[i]->id]++;
}

static bool is_sum(const struct value *v) { return v->def && node_is(v->def, OPNAME_ADD) && v->type.rank == 0; }

/* The loss is one loss operator or a sum of them: what flows into each is 1, and its gradient rule takes that for
   granted. A spec's losses are added one by one, however many they are: only sums of sums on the right are DEPTH. */
static bool loss_terms(struct autodiff *d, struct value *v, int depth)
{
    enum { DEEPEST = 64 };
    for (; is_sum(v) && depth < DEEPEST; v = v->def->in[0])
        if (!loss_terms(d, v->def->in[1], depth + 1)) return false;
    struct node *n = v->def;
    if (n && n->op->class_ == OP_LOSS && !d->grad[v->id]) {
        d->grad[v->id] = v;
        return true;
    }
    struct diag *x =
        diag_error(d->c->diags, v->span,
                   "the output \"loss\" must be a sum of different losses, but '%s' is not a loss", v->name);
    if (n) diag_note(x, "it is computed by %s", n->op->name);
    return false;
}

static bool find_loss(struct autodiff *d)
{
    for (int i = 0; i < d->g->noutputs; i++)
        if (strcmp(d->g->outputs[i].label, "loss") == 0) d->loss = d->g->outputs[i].value;
    if (d->loss) return true;
    struct diag *x = diag_error(d->c->diags, nowhere, "there is nothing to train: the graph has no output \"loss\"");
    diag_note(x, "a spec's losses: section makes one");
    return false;
}

/* ---- the backward pass */

/* The nodes behind LAST belong to LIKE's layer. */
static void claim(const struct node *last, const struct node *like)
{
    for (struct node *n = last->next; n; n = n->next) place(n, like);
}

static void name_gradient(struct autodiff *d, struct value *v, const struct value *of)
{
    if (strncmp(v->name, "grad.", 5) == 0) return; /* passed on unchanged: it has its name */
    value_name_after(d->g, v, "grad", of->name);
}

static void accumulate(struct autodiff *d, struct value *x, struct value *dx)
{
    struct value **sum = &d->grad[x->id];
    if (dx->def && dx->id >= d->nvalues) name_gradient(d, dx, x);
    if (!*sum) {
        *sum = dx;
        return;
    }
    *sum = op_build(d->g, NULL, OPNAME_ADD, (struct value *[]){dx, *sum}, 2)->out[0];
    name_gradient(d, *sum, x);
}

static struct value *optim(struct autodiff *d, const char *what, const struct value *p)
{
    struct value *v = graph_arg(d->g, VALUE_OPTIM, arena_printf(d->g->arena, "optim.%s.%s", what, p->name), p->type);
    v->init = INIT_ZEROS;
    v->span = p->span;
    return v;
}

/* The operator's attributes that are fields of the optimizer's row. */
static struct attr *update_attrs(struct autodiff *d, const struct op_def *op, const struct rnc_choice *c)
{
    struct attr *a = attrs_of(d->g, op);
    for (int i = 0; i < c->row->nfields; i++) {
        const struct rnc_field *f = &c->row->fields[i];
        const void *at = (const char *)c->settings + f->offset;
        int k = op_attr_index(op, f->name);
        if (k >= 0 && f->type == RNC_FIELD_BOOL) a[k].b = *(const bool *)at;
        else if (k >= 0 && f->type == RNC_FIELD_NUMBER) a[k].f = *(const double *)at;
    }
    return a;
}

static void update(struct autodiff *d, struct value *p)
{
    const struct rnc_choice *c = &d->c->train.optimizer;
    struct value *grad = d->grad[p->id], *in[2 + RNC_OPTIMIZER_STATES] = {p, grad};
    if (!grad || p->kind != VALUE_PARAM) return;
    d->ngrads++;
    if (!c->row) return;
    const struct rnc_update *u = rnc_optimizer_update(c);
    const struct op_def *op = op_find(u->op);
    struct attr *a = update_attrs(d, op, c);
    if (u->flag) attr_at(op, a, u->flag)->b = true;
    for (int k = 2; k < op->noperands; k++) in[k] = optim(d, u->state[k - 2], p);
    struct node *n = op_build_attrs(d->g, NULL, op->name, in, op->noperands, a);
    for (int i = 0; i < n->nout; i++) {
        struct value *state = in[i ? i + 1 : 0];
        value_name_after(d->g, n->out[i], state->name, "new");
        graph_set_update(d->g, state, n->out[i]);
    }
    d->nupdates++;
}

/* Parameters whose last (in the backward pass) reader N is: their gradients are complete. */
static void update_parameters(struct autodiff *d, const struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        struct value *p = n->in[i];
        if (p && --d->reads[p->id] == 0 && p->kind == VALUE_PARAM) update(d, p);
    }
}

static bool wants_gradient(struct autodiff *d, struct node *n, struct value **dy)
{
    bool any = false;
    for (int i = 0; i < n->nout; i++) any |= (dy[i] = d->grad[n->out[i]->id]) != NULL;
    return any;
}

static void no_gradient(struct autodiff *d, const struct node *n)
{
    diag_error(d->c->diags, n->span, "%s '%s' cannot be trained through: the operator has no gradient", n->op->name,
               node_label(n));
    d->nerrors++;
}

/* Gradients of N's inputs from those of its results. */
static void differentiate(struct autodiff *d, struct node *n)
{
    struct value *dy[MAX_OUTS], **dx = ARENA_ARRAY(d->g->arena, struct value *, n->nin);
    bool *need = ARENA_ARRAY(d->g->arena, bool, n->nin);
    if (!wants_gradient(d, n, dy)) return;
    if (!n->op->grad) {
        no_gradient(d, n);
        return;
    }
    for (int i = 0; i < n->nin; i++) need[i] = n->in[i] && d->need[n->in[i]->id];
    n->op->grad(&(struct grad_call){d->g, n, dy, need, dx});
    for (int i = 0; i < n->nin; i++)
        if (need[i] && dx[i]) accumulate(d, n->in[i], dx[i]);
}

static void backward(struct autodiff *d)
{
    for (struct node *n = d->end; n; n = n->prev) {
        if (!differentiated(d, n)) continue;
        struct node *last = d->g->last;
        differentiate(d, n);
        update_parameters(d, n);
        claim(last, n);
    }
}

/* ---- results */

static void gradient_output(struct autodiff *d, struct value *v)
{
    struct value *grad = d->grad[v->id];
    if (grad) graph_output(d->g, arena_printf(d->g->arena, "grad.%s", v->name), grad);
    else diag_warn(d->c->diags, v->span, "the loss does not depend on '%s', which therefore has no gradient", v->name);
}

static void gradient_outputs(struct autodiff *d)
{
    for (int i = 0; i < d->nvalues; i++) {
        struct value *v = d->g->values[i];
        if (v->kind == VALUE_PARAM && d->c->train.grad_outputs) gradient_output(d, v);
        else if (v->kind == VALUE_INPUT && trained(d, v)) gradient_output(d, v);
    }
}

static void summarise(const struct autodiff *d, struct buf *summary)
{
    buf_printf(summary, "%d gradients", d->ngrads);
    if (d->nupdates) buf_printf(summary, ", %d updates", d->nupdates);
    if (d->nnorms) buf_printf(summary, ", %d batch norms by the batch's statistics", d->nnorms);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct autodiff d = {.g = g, .c = c};
    if (g->train) {
        diag_error(c->diags, nowhere, "the graph has a backward pass already");
        return false;
    }
    if (!find_loss(&d)) return false;
    train_forward(&d);
    d.end = g->last;
    d.nvalues = g->nvalues;
    d.need = ARENA_ARRAY(g->arena, bool, d.nvalues);
    d.leads = ARENA_ARRAY(g->arena, bool, d.nvalues);
    d.grad = ARENA_ARRAY(g->arena, struct value *, d.nvalues);
    d.reads = ARENA_ARRAY(g->arena, int, d.nvalues);
    if (d.nerrors || !loss_terms(&d, d.loss, 0)) return false;
    find_needs(&d);
    count_reads(&d);
    backward(&d);
    if (d.nerrors) return false;
    gradient_outputs(&d);
    g->train = true;
    summarise(&d, summary);
    return true;
}

const struct pass pass_autodiff = {
    .name = "autodiff",
    .help = "writes the training step: batch statistics, the backward pass, gradients, the optimizer's updates",
    .run = run,
};
