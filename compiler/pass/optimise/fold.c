/* fold.c: batch normalisation of inference. Behind a convolution it disappears into the weights, once, when they are
   loaded: w' = w·γ/√(σ² + ε), b' = β + (b − μ)·γ/√(σ² + ε). Elsewhere it becomes an affine map for each channel. */
#include "pass/passes.h"

#include "ir/op.h"

enum { BN_X, BN_WEIGHT, BN_BIAS, BN_MEAN, BN_VAR };

static bool is_state(const struct value *v)
{
    return !v || (v->kind != VALUE_NODE && v->kind != VALUE_INPUT && v->kind != VALUE_TARGET);
}

/* The convolution whose result BN alone reads, if its weights can take BN in. */
static struct node *foldable(const struct node *bn, const struct uses *uses)
{
    struct node *conv = bn->in[BN_X]->def;
    if (!conv || conv->owner != bn->owner || conv->body || uses_only(uses, bn->in[BN_X]) != bn) return NULL;
    bool transposed = conv->op->direction == CONV_DGRAD;
    if (conv->op->phase != PHASE_FORWARD || (!transposed && conv->op->direction != CONV_FORWARD)) return NULL;
    if (transposed && node_int(conv, "groups") > 1) return NULL; /* dimension 1 of its weights is one group's outputs */
    for (int i = 1; i < conv->nin && i < 3; i++)
        if (!is_state(conv->in[i])) return NULL;
    for (int i = BN_WEIGHT; i <= BN_VAR; i++)
        if (!is_state(bn->in[i])) return NULL;
    return conv;
}

static void fold(struct graph *g, struct node *bn, struct node *conv)
{
    struct value *bias = conv->nin > 2 ? conv->in[2] : NULL;
    struct value *in[] = {conv->in[1], bias, bn->in[BN_WEIGHT], bn->in[BN_BIAS], bn->in[BN_MEAN], bn->in[BN_VAR]};
    const struct op_def *op = op_find(OPNAME_BN_FOLD);
    struct attr *attr = ARENA_ARRAY(g->arena, struct attr, op->nattr + 1);
    for (int i = 0; i < op->nattr; i++) attr[i] = op->attrs[i].def;
    attr[op_attr_index(op, "eps")].f = node_float(bn, "eps");
    attr[op_attr_index(op, "axis")].i = conv->op->direction == CONV_DGRAD;
    struct node *folded = op_build_attrs(g, node_within(conv, NULL), OPNAME_BN_FOLD, in, 6, attr);
    folded->prepare = true;
    folded->layer = conv->layer;
    folded->span = conv->span;
    value_name_after(g, folded->out[0], conv->out[0]->name, "folded");
    value_name_after(g, folded->out[1], conv->out[0]->name, "folded_bias");
    conv->in[1] = folded->out[0];
    if (conv->nin > 2) conv->in[2] = folded->out[1];
    else node_set_in(g, conv, (struct value *[]){conv->in[0], folded->out[0], folded->out[1]}, 3);
    conv->nanchor = conv->nin;
    if (bn->out[0]->layer) conv->out[0]->layer = bn->out[0]->layer;
    graph_replace(g, bn->out[0], conv->out[0]);
    graph_remove(g, bn);
}

/* batch_norm(x, weight, bias, mean, var) → bn_apply(x, mean, var, weight, bias), in the same node. */
static void apply(struct graph *g, struct node *bn)
{
    struct value *in[] = {bn->in[BN_X], bn->in[BN_MEAN], bn->in[BN_VAR], bn->in[BN_WEIGHT], bn->in[BN_BIAS]};
    op_become(g, bn, OPNAME_BN_APPLY, in, 5);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int folded = 0, applied = 0;
    (void)c;
    if (g->train) {
        buf_puts(summary, "a training step keeps its batch normalisation");
        return true;
    }
    struct uses uses = uses_of(g, g->arena);
    GRAPH_EACH_SAFE(g, n)
    {
        if (!node_is(n, OPNAME_BATCH_NORM)) continue;
        struct node *conv = foldable(n, &uses);
        if (conv) fold(g, n, conv);
        else apply(g, n);
        folded += conv != NULL;
        applied += conv == NULL;
    }
    buf_printf(summary, "%d batch normalisations folded into weights, %d left as scale and shift", folded, applied);
    return true;
}

const struct pass pass_fold = {"fold", "inference: fold batch normalisation into the weights before it", run};
