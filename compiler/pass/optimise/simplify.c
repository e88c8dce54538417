/* simplify.c: operators that change nothing go; padding and subsampling move into the convolution that reads them. */
#include "pass/passes.h"

#include <string.h>
#include "ir/op.h"
#include "ir/segments.h"

struct simplify {
    struct graph *g;
    struct uses uses;
    int removed, merged;
    bool changed;
};

static bool all_are(const int64_t *v, int n, int64_t x)
{
    for (int i = 0; i < n; i++)
        if (v[i] != x) return false;
    return true;
}

/* ---- operators whose result is their operand */

static bool is_identity(const struct node *n, bool train)
{
    return n->op->identity && !n->body && n->nout == 1 && n->nin && n->in[0] && n->op->identity(n, train);
}

/* The layer's label moves to the operand where that has none, so that reports still find it. */
static void forward(struct simplify *s, struct node *n, struct value *to)
{
    struct value *from = n->out[0];
    if (to->kind == VALUE_NODE && !to->layer) to->layer = from->layer;
    graph_replace(s->g, from, to);
    graph_remove(s->g, n);
    s->removed++;
    s->changed = true;
}

/* relu(relu(x)), relu(relu6(x)), relu6(relu6(x)): the outer one has nothing left to cut. */
static bool is_repeated(const struct node *n)
{
    const struct node *inner = n->nin == 1 && n->in[0] ? n->in[0]->def : NULL;
    if (!inner || n->body || inner->body || !n->op->clamp.clamps || !inner->op->clamp.clamps) return false;
    return inner->op->clamp.low >= n->op->clamp.low && inner->op->clamp.high <= n->op->clamp.high;
}

/* ---- zero padding and subsampling before a convolution */

/* A convolution's zeros may reach as far as its kernel; further out the kernels would compute on nothing but zeros. */
static bool pad_fits(const int64_t *pad, const int64_t *kernel, const int64_t *dilation)
{
    for (int i = 0; i < 4; i++)
        if (pad[i] > (kernel[i % 2] - 1) * dilation[i % 2]) return false;
    return true;
}

static void kernel_of(const struct node *conv, int64_t kernel[2])
{
    const int64_t *k = conv->op->direction == CONV_WGRAD ? node_ints(conv, "kernel") : &conv->in[1]->type.dim[2];
    kernel[0] = k[0];
    kernel[1] = k[1];
}

static bool merge_pad(struct simplify *s, struct node *pad, struct node *conv)
{
    int64_t sum[4], kernel[2];
    const int64_t *size = node_ints(pad, "size");
    kernel_of(conv, kernel);
    for (int i = 0; i < 4; i++) sum[i] = node_ints(conv, "pad")[i] + size[i];
    if (!all_are(node_ints(pad, "channels"), 2, 0) || !pad_fits(sum, kernel, node_ints(conv, "dilation"))) return false;
    memcpy(node_attr(conv, "pad")->v, sum, sizeof sum);
    conv->in[0] = pad->in[0];
    s->changed = true;
    s->merged++;
    return true;
}

static bool is_pointwise_conv(const struct node *conv)
{
    int64_t kernel[2];
    kernel_of(conv, kernel);
    return all_are(kernel, 2, 1) && all_are(node_ints(conv, "pad"), 4, 0);
}

static bool merge_subsample(struct simplify *s, struct node *sub, struct node *conv)
{
    if (!is_pointwise_conv(conv)) return false;
    const int64_t *stride = node_ints(sub, "stride");
    for (int i = 0; i < 2; i++) node_attr(conv, "stride")->v[i] *= stride[i];
    conv->in[0] = sub->in[0];
    s->changed = true;
    s->merged++;
    return true;
}

static bool is_image_dgrad(const struct node *n)
{
    return n->op->direction == CONV_DGRAD && n->op->phase == PHASE_BACKWARD && n->out[0]->type.rank == 4;
}

/* The same in the backward pass: part of a data gradient is the gradient of part of the data. */
static bool merge_backward(struct simplify *s, struct node *n)
{
    struct node *conv = n->nin && n->in[0] ? n->in[0]->def : NULL;
    if (!conv || !is_image_dgrad(conv) || conv->body || uses_only(&s->uses, conv->out[0]) != n) return false;
    const struct type *t = &n->out[0]->type;
    const int64_t *kernel = &conv->in[1]->type.dim[2];
    int64_t *pad = node_attr(conv, "pad")->v, sum[4];
    if (node_is(n, OPNAME_SLICE) && t->dim[1] == n->in[0]->type.dim[1]) {
        const int64_t *origin = node_ints(n, "origin");
        for (int i = 0; i < 2; i++) {
            sum[i] = pad[i] + origin[i];
            sum[i + 2] = pad[i + 2] + n->in[0]->type.dim[i + 2] - origin[i] - t->dim[i + 2];
        }
        if (!pad_fits(sum, kernel, node_ints(conv, "dilation"))) return false;
        memcpy(pad, sum, sizeof sum);
    } else if (node_is(n, OPNAME_SUBSAMPLE_GRAD)) {
        if (!all_are(kernel, 2, 1) || !all_are(pad, 4, 0)) return false;
        for (int i = 0; i < 2; i++) node_attr(conv, "stride")->v[i] *= node_ints(n, "stride")[i];
    } else {
        return false;
    }
    for (int i = 0; i < 2; i++) node_attr(conv, "size")->v[i] = t->dim[i + 2];
    conv->out[0]->type = *t;
    forward(s, n, conv->out[0]);
    s->removed--;
    s->merged++;
    return true;
}

/* Does a convolution read the value as the whole of its input? */
static bool merges(const struct use *u)
{
    return u->index == 0 && conv_reads_x(u->node->op) && u->node->in[0]->type.rank == 4 &&
           segments_of(u->node, NULL) == 1;
}

static void merge_into_readers(struct simplify *s, struct node *n)
{
    bool pad = node_is(n, OPNAME_PAD), sub = node_is(n, OPNAME_SUBSAMPLE);
    if (!pad && !sub) return;
    const struct value *v = n->out[0];
    for (int i = s->uses.start[v->id]; i < s->uses.start[v->id + 1]; i++) {
        struct node *user = s->uses.item[i].node;
        if (!merges(&s->uses.item[i]) || user->in[0] != v) continue;
        if (pad) merge_pad(s, n, user);
        else merge_subsample(s, n, user);
    }
}

/* A subsample that some reader cannot take over stays; then the others gain nothing by reading the larger value. */
static bool all_readers_merge(const struct simplify *s, const struct node *n)
{
    const struct value *v = n->out[0];
    if (s->uses.total[v->id] != uses_by_nodes(&s->uses, v)) return false;
    for (int i = s->uses.start[v->id]; i < s->uses.start[v->id + 1]; i++) {
        const struct node *user = s->uses.item[i].node;
        if (!merges(&s->uses.item[i])) return false;
        if (node_is(n, OPNAME_SUBSAMPLE) && !is_pointwise_conv(user)) return false;
    }
    return true;
}

/* What N hands on comes from outside the region that N is in, and might be what that yields. */
static bool enters_region(const struct node *n)
{
    return n->owner && (!n->in[0]->def || n->in[0]->def->owner != n->owner);
}

static void sweep(struct simplify *s)
{
    s->uses = uses_of(s->g, s->g->arena);
    GRAPH_EACH_SAFE(s->g, n)
    {
        if ((is_identity(n, s->g->train) || is_repeated(n)) && !enters_region(n)) {
            forward(s, n, n->in[0]);
            return; /* the uses are stale */
        }
        if (merge_backward(s, n)) return;
        if ((node_is(n, OPNAME_PAD) || node_is(n, OPNAME_SUBSAMPLE)) && all_readers_merge(s, n)) {
            merge_into_readers(s, n);
            if (s->changed) return;
        }
    }
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct simplify s = {.g = g};
    (void)c;
    do {
        s.changed = false;
        sweep(&s);
    } while (s.changed);
    int dead = graph_remove_dead(g);
    buf_printf(summary, "%d operators removed, %d merged into convolutions, %d dead", s.removed, s.merged, dead);
    return true;
}

const struct pass pass_simplify = {
    "simplify", "remove operators that change nothing; merge padding and subsampling into convolutions", run};
