/* sums.c: batch normalisation's statistics and gradients, and gradients of biases, are sums over pixels and samples of
   a value that some kernel makes: that kernel takes them on the way, while the value is in its registers. So bn_stats,
   bn_grad and channel_sum become the last instructions of the body of the convolution or the pointwise node that makes
   their operand (gen/reduce/sums.h). The pass comes late, when it is known what is recomputed and in which order: what
   is summed beside the value must have been there before it. */
#include "pass/passes.h"

#include <string.h>
#include "ir/op.h"
#include "kernel/sums.h"

/* A kernel that hands out what it has in registers: images of convolutions and of pointwise nodes. */
static bool gives_sums(const struct node *n, const struct value *v)
{
    if (!n || n->prepare || n->recompute || v->type.rank != 4 || v->type.layout != LAYOUT_BLOCKED) return false;
    if (n->op->family->takes_body) return !n->body || body_elementwise(n->body) == 1;
    return n->op->family->elementwise && (n->body || (n->op->expr && n->op->nouts == 1 && n->nin == n->op->noperands));
}

/* A body of its own for a node that has none: a convolution's hands its result on. */
static void give_body(struct graph *g, struct node *n)
{
    if (n->body) return;
    if (n->op->family->elementwise) {
        inline_give_body(g, n);
        return;
    }
    struct body *b = ARENA_NEW(g->arena, struct body);
    b->nout = 1;
    b->out[0] = (struct body_ref){BODY_ACC, 0};
    n->body = b;
}

/* How the body of N sees V: as one of its results or as an operand (added to IN where it is new). False: there is no
   room. */
static bool ref_to(const struct node *n, struct value *v, struct value **in, int *nin, struct body_ref *r)
{
    for (int i = 0; n->body && i < body_elementwise(n->body); i++)
        if (n->out[i] == v) {
            *r = n->body->out[i];
            return true;
        }
    if (!n->body && n->out[0] == v) return true; /* give_body will say how */
    int from = n->op->family->takes_body ? n->nanchor : 0, at = from;
    while (at < *nin && in[at] != v) at++;
    if (at == *nin) {
        if (*nin - from == MAX_OPERANDS) return false;
        in[(*nin)++] = v;
    }
    *r = (struct body_ref){BODY_OPERAND, (uint8_t)at};
    return true;
}

/* Everything that SUM reads beside what N makes is there before N runs. */
static bool there_before(const struct node *sum, const struct node *n)
{
    for (int i = 0; i < sum->nin; i++) {
        const struct node *def = sum->in[i]->def;
        if (def && def != n && def->index >= n->index) return false;
    }
    return true;
}

static bool take(struct graph *g, struct node *n, struct node *sum)
{
    struct value *in[2 * MAX_OPERANDS + 8];
    struct body_ref arg[MAX_BODY_ARGS];
    int nin = n->nin, workspace = node_workspace(n) != NULL, own = n->nout - workspace;
    if (n->body && (n->body->ninsn == MAX_BODY || body_sums(n->body) == MAX_SUMS)) return false;
    if (own + sum->op->nouts + 1 > MAX_OUTS || nin > MAX_OPERANDS + 4 || !there_before(sum, n)) return false;
    memcpy(in, n->in, (size_t)nin * sizeof *in);
    bool bare = !n->body;
    for (int i = 0; i < sum->nin; i++)
        if (!ref_to(n, sum->in[i], in, &nin, &arg[i])) return false;
    give_body(g, n);
    for (int i = 0; i < sum->nin && bare; i++)
        if (sum->in[i] == n->out[0]) arg[i] = n->body->out[0];
    node_set_in(g, n, in, nin);
    struct body *b = ARENA_NEW(g->arena, struct body);
    *b = *n->body;
    struct body_insn *insn = &b->insn[b->ninsn];
    *insn = (struct body_insn){.op = sum->op, .attr = sum->attr, .narg = sum->nin, .layer = sum->layer};
    memcpy(insn->arg, arg, sizeof arg);
    struct value *ws = workspace ? n->out[--n->nout] : node_workspace(sum);
    for (int k = 0; k < sum->op->nouts; k++) {
        b->out[b->nout++] = (struct body_ref){k ? BODY_SECOND : BODY_INSN, (uint8_t)b->ninsn};
        n->out[n->nout] = sum->out[k];
        sum->out[k]->def = n;
        sum->out[k]->result = n->nout++;
    }
    b->ninsn++;
    n->body = b;
    if (workspace && node_workspace(sum)) node_workspace(sum)->def = NULL;
    sum->nout = 0;
    graph_remove(g, sum);
    n->out[n->nout] = ws;
    ws->def = n;
    ws->result = n->nout++;
    int64_t floats = (int64_t)(sums_workspace(n, g->lanes) / sizeof(float));
    ws->type = type_make(DT_F32, 1, &floats);
    return true;
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int convs = 0, others = 0, left = 0;
    (void)c;
    graph_number(g);
    GRAPH_EACH_SAFE(g, n)
    {
        if (!n->op->family->sums || n->prepare || !node_workspace(n)) continue;
        struct node *def = n->in[0]->def;
        if (!gives_sums(def, n->in[0]) || !take(g, def, n)) left++;
        else if (def->op->family->takes_body) convs++;
        else others++;
    }
    buf_printf(summary, "%d taken by convolutions, %d by pointwise nodes, %d by passes of their own", convs, others,
               left);
    return true;
}

const struct pass pass_sums = {"sums", "let kernels take per-channel sums of what they make", run};
