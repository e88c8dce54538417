/* concat.c: a convolution reads what a concat would join where it lies: the concat is gone, and with it a copy and the
   memory for it. This comes before autodiff, so that the backward pass has nothing to cut apart either: the weight's
   gradient reads the same segments, and each segment has a data gradient of its own (`channels` of conv2d_dgrad), which
   takes what follows it into its body as any other does. */
#include "pass/passes.h"

#include <string.h>
#include "ir/op.h"
#include "ir/segments.h"

/* Windows up to so many pixels wide: wider ones may fall to the kernel for any shape, which does not read segments. */
enum { MAX_EXTENT = 7 };

/* Which convolutions can: those that read whole blocks of channels one after the other, for all kernels of gen/ that
   they come to. */
static bool reads_parts(const struct node *n)
{
    if (n->op->direction != CONV_FORWARD || segments_index(n->op) < 0 || n->body || n->prepare ||
        node_int(n, "groups") > 1 || segments_of(n, NULL) > 1)
        return false;
    for (int i = 0; i < 2; i++)
        if ((n->in[1]->type.dim[2 + i] - 1) * node_ints(n, "dilation")[i] + 1 > MAX_EXTENT) return false;
    return true;
}

/* A segment begins with a block of channels, and is a value of the step, which is blocked. */
static bool joins_blocks(const struct node *concat, int lanes)
{
    if (!node_is(concat, OPNAME_CONCAT) || concat->nin > MAX_SEGMENTS || concat->out[0]->type.rank != 4) return false;
    for (int i = 0; i < concat->nin; i++) {
        const struct value *v = concat->in[i];
        if (v->kind != VALUE_NODE || v->def->prepare || v->type.dtype != concat->in[0]->type.dtype) return false;
        if (i + 1 < concat->nin && v->type.dim[1] % lanes) return false;
    }
    return true;
}

/* Where one reader needs the joined value, it is there for the others too. */
static bool all_read_parts(const struct uses *u, const struct value *v)
{
    if (!uses_by_nodes(u, v) || u->total[v->id] != uses_by_nodes(u, v)) return false;
    for (int i = u->start[v->id]; i < u->start[v->id + 1]; i++)
        if (u->item[i].index || !reads_parts(u->item[i].node)) return false;
    return true;
}

static void read_parts(struct graph *g, struct node *conv, const struct node *concat)
{
    int first = segments_index(conv->op);
    struct value *in[8] = {NULL};
    memcpy(in, conv->in, (size_t)conv->nin * sizeof *in);
    for (int i = 0; i < concat->nin; i++) in[i ? first + i - 1 : 0] = concat->in[i];
    conv->nanchor = first + concat->nin - 1;
    node_set_in(g, conv, in, conv->nanchor);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct uses u = uses_of(g, g->arena);
    int concats = 0, gone = 0;
    GRAPH_EACH_SAFE(g, n)
    {
        if (!node_is(n, OPNAME_CONCAT)) continue;
        const struct value *v = n->out[0];
        concats++;
        if (n->nin < 2 || !joins_blocks(n, c->target.lanes) || !all_read_parts(&u, v)) continue;
        for (int i = u.start[v->id]; i < u.start[v->id + 1]; i++) read_parts(g, u.item[i].node, n);
        graph_remove(g, n);
        gone++;
    }
    buf_printf(summary, "%d of %d concats read in place by convolutions", gone, concats);
    return true;
}

const struct pass pass_concat = {"concat", "let convolutions read what a concat joins where it lies", run};
