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

/* The node becomes one of another operator; attributes that both have stay. */
static void become(struct graph *g, struct node *n, const char *op_name)
{
    const struct op_def *op = op_find(op_name);
    assert(op);
    struct attr *a = attrs_of(g, op);
    for (int i = 0; i < op->nattr; i++) {
        int old = op_attr_index(n->op, op->attrs[i].name);
        if (old >= 0) a[i] = n->attr[old];
    }
    n->op = op;
    n->attr = a;
}

static void infer(struct node *n)
{
    struct op_error e = {.arena = NULL};
    bool ok = op_infer(n, &e);
    assert(ok);
    (void)ok;
}

static void name_result(struct graph *g, struct value *v, const char *base, const char *suffix)
{
    value_rename(g, v, graph_fresh_name(g, arena_printf(g->arena, "%s.%s", base, suffix)));
}

/* ---- the forward pass in its training form */

static const char *layer_or_name(const struct node *n) { return n->layer ? n->layer : n->out[0]->name; }

static void place(struct node *n, const struct node *like)
{
    n->layer = like->layer;
    n->span = like->span;
}

static struct value *latest(const struct graph *g, struct value *state)
{
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].state == state) return g->updates[i].value;
    return state;
}

/* A layer that is applied twice updates its running statistics twice. */
static void running(struct graph *g, struct node *bn, struct value *state, struct value *batch, bool unbias,
                    int64_t count)
{
    const struct op_def *op = op_find("bn_running");
    struct attr *a = attrs_of(g, op);
    attr_at(op, a, "momentum")->f = node_float(bn, "momentum");
    attr_at(op, a, "unbias")->b = unbias;
    attr_at(op, a, "count")->i = count;
    struct node *n = op_build_attrs(g, bn, "bn_running", (struct value *[]){latest(g, state), batch}, 2, a);
    place(n, bn);
    name_result(g, n->out[0], state->name, "new");
    graph_set_update(g, state, n->out[0]);
}

static bool several_values(struct autodiff *d, const struct node *bn, int64_t count)
{
    if (d->g->batch * count > 1) return true;
    struct diag *x =
        diag_error(d->c->diags, bn->span,
                   "batch_norm '%s' has one value per channel to train on: batch 1 of 1 x 1 pixel", layer_or_name(bn));
    diag_note(x, "its variance would be zero; a batch of 2 or more would do");
    d->nerrors++;
    return false;
}

static void train_norm(struct autodiff *d, struct node *bn)
{
    struct graph *g = d->g;
    struct value *x = bn->in[0], *weight = bn->in[1], *bias = bn->in[2], *mean = bn->in[3], *var = bn->in[4];
    int64_t count = x->type.rank == 4 ? x->type.dim[2] * x->type.dim[3] : 1;
    if (!several_values(d, bn, count)) return;
    struct node *stats = op_build(g, bn, "bn_stats", &x, 1);
    place(stats, bn);
    name_result(g, stats->out[0], layer_or_name(bn), "mean");
    name_result(g, stats->out[1], layer_or_name(bn), "var");
    running(g, bn, mean, stats->out[0], false, count);
    running(g, bn, var, stats->out[1], true, count);
    become(g, bn, "bn_apply");
    node_set_in(g, bn, (struct value *[]){x, stats->out[0], stats->out[1], weight, bias}, 5);
    bn->nanchor = 5;
    infer(bn);
    d->nnorms++;
}

static void train_pool(struct autodiff *d, struct node *n)
{
    become(d->g, n, "max_pool_index");
    name_result(d->g, node_add_out(d->g, n), layer_or_name(n), "index");
    infer(n);
}

static bool key_taken(const struct node *n, const char *key)
{
    for (const struct node *m = n->prev; m; m = m->prev)
        if (node_is(m, "dropout") && strcmp(node_text(m, "key"), key) == 0) return true;
    return false;
}

/* Its random numbers are keyed by the layer, wherever the node goes; a layer that is applied again gets others. */
static void key_dropout(struct graph *g, struct node *n)
{
    struct attr *key = node_attr(n, "key");
    const char *base = key->s && *key->s ? key->s : layer_or_name(n);
    key->s = base;
    for (int i = 1; key_taken(n, key->s); i++) key->s = arena_printf(g->arena, "%s.%d", base, i);
}

static void train_forward(struct autodiff *d)
{
    GRAPH_EACH(d->g, n)
    {
        if (node_is(n, "batch_norm")) train_norm(d, n);
        else if (node_is(n, "max_pool")) train_pool(d, n);
        else if (node_is(n, "dropout")) key_dropout(d->g, n);
    }
}

/* ---- what is to be differentiated */

static bool trained(const struct autodiff *d, const struct value *v)
{
    const struct train_options *o = &d->c->train;
    if (v->kind == VALUE_PARAM) return o->grad_outputs || o->update != UPDATE_NONE;
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

/* The loss is one loss operator or a sum of them: what flows into each is 1, and its gradient rule takes that for
   granted. */
static bool loss_terms(struct autodiff *d, struct value *v, int depth)
{
    struct node *n = v->def;
    if (n && n->op->class_ == OP_LOSS && !d->grad[v->id]) {
        d->grad[v->id] = v;
        return true;
    }
    if (n && node_is(n, "add") && v->type.rank == 0 && depth < 64)
        return loss_terms(d, n->in[0], depth + 1) && loss_terms(d, n->in[1], depth + 1);
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
    value_rename(d->g, v, graph_fresh_name(d->g, arena_printf(d->g->arena, "grad.%s", of->name)));
}

static void accumulate(struct autodiff *d, struct value *x, struct value *dx)
{
    struct value **sum = &d->grad[x->id];
    if (dx->def && dx->id >= d->nvalues) name_gradient(d, dx, x);
    if (!*sum) {
        *sum = dx;
        return;
    }
    *sum = op_build(d->g, NULL, "add", (struct value *[]){dx, *sum}, 2)->out[0];
    name_gradient(d, *sum, x);
}

static struct value *optim(struct autodiff *d, const char *what, const struct value *p)
{
    struct value *v = graph_arg(d->g, VALUE_OPTIM, arena_printf(d->g->arena, "optim.%s.%s", what, p->name), p->type);
    v->init = INIT_ZEROS;
    v->span = p->span;
    return v;
}

static void finish_update(struct autodiff *d, struct node *n, struct value *const *state, int count)
{
    for (int i = 0; i < count; i++) {
        name_result(d->g, n->out[i], state[i]->name, "new");
        graph_set_update(d->g, state[i], n->out[i]);
    }
    d->nupdates++;
}

static void update_sgd(struct autodiff *d, struct value *p, struct value *grad)
{
    const struct train_options *o = &d->c->train;
    bool momentum = o->momentum != 0;
    const struct op_def *op = op_find(momentum ? "sgd_momentum_update" : "sgd_update");
    struct attr *a = attrs_of(d->g, op);
    attr_at(op, a, "weight_decay")->f = o->weight_decay;
    struct value *in[] = {p, grad, NULL};
    if (momentum) {
        attr_at(op, a, "momentum")->f = o->momentum;
        attr_at(op, a, "nesterov")->b = o->nesterov;
        in[2] = optim(d, "momentum", p);
    }
    struct node *n = op_build_attrs(d->g, NULL, op->name, in, momentum ? 3 : 2, a);
    finish_update(d, n, (struct value *[]){p, in[2]}, momentum ? 2 : 1);
}

static void update_adam(struct autodiff *d, struct value *p, struct value *grad)
{
    const struct train_options *o = &d->c->train;
    const struct op_def *op = op_find("adam_update");
    struct attr *a = attrs_of(d->g, op);
    attr_at(op, a, "beta1")->f = o->beta1;
    attr_at(op, a, "beta2")->f = o->beta2;
    attr_at(op, a, "eps")->f = o->eps;
    attr_at(op, a, "weight_decay")->f = o->weight_decay;
    attr_at(op, a, "decoupled")->b = o->decoupled;
    struct value *m = optim(d, "exp_avg", p), *v = optim(d, "exp_avg_sq", p);
    struct node *n = op_build_attrs(d->g, NULL, op->name, (struct value *[]){p, grad, m, v}, 4, a);
    finish_update(d, n, (struct value *[]){p, m, v}, 3);
}

static void update(struct autodiff *d, struct value *p)
{
    struct value *grad = d->grad[p->id];
    if (!grad || p->kind != VALUE_PARAM) return;
    d->ngrads++;
    if (d->c->train.update == UPDATE_SGD) update_sgd(d, p, grad);
    else if (d->c->train.update == UPDATE_ADAM) update_adam(d, p, grad);
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
               layer_or_name(n));
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
