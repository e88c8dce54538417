/* prologue.c: a pointwise value whose every reader can compute it while it reads what it is made of is never stored:
   Winograd's transforms apply it as a prologue, a convolution's body takes it in. In a training step these are the
   normalised and activated images between two 3×3 convolutions, which would be written once and read three times, and
   the gradients through batch norm on their way to a convolution's weight gradient and dgrad.

   A pooling's only input is such a value too: a stem's normalised and activated image, the largest of the network.

   What is stored as bf16 stays: its readers shall see it rounded, all in the same way. (A maximum that is rounded is
   the maximum of what is rounded, so pooling alone may compute it.)

   The price: the readers read more where it is made of several images, and compute it again, a weight gradient once for
   each group of the other operand's channels (struct pre_reads). */
#include "pass/memory/footprint.h"

#include <assert.h>
#include "ir/op.h"

/* Cycles of a core for a vector of v numbers, between those of one thread and of two that share the memory; measured on
   ResNet-18's training step. */
static const double pass_line = 13, /* read or written by a pointwise kernel, which waits for memory alone */
    extra_line = 12,                /* read by a convolution beside what it read before */
    apply = 2.5, apply_insn = 0.5;  /* a vector through a prologue: by way of the buffer, and each instruction */

static int full_operands(const struct node *n)
{
    int count = 0;
    for (int i = 0; i < n->nin; i++) count += n->in[i] && n->in[i]->type.rank == n->out[0]->type.rank;
    return count;
}

/* How reader N reads operand K; a body, once. */
static struct pre_reads reads_of(const struct node *n, int k)
{
    struct pre_reads r = {.times = 1, .overlap = 1};
    if (k < node_anchors(n) && !n->op->family->reads_pre(n, k, &r)) assert(0 && "it takes no prologue there");
    return r;
}

static bool reader_fits(const struct use *u, const struct node *def)
{
    if (u->index < node_anchors(u->node)) return prologue_fits(u->node, u->index, def);
    return u->node->op->family->takes_body && inline_fits(u->node, def->out[0], def);
}

/* Cycles for each vector of the value that are saved. */
static double gain(const struct uses *u, const struct node *def)
{
    const struct value *v = def->out[0];
    int full = full_operands(def), insns = def->body ? def->body->ninsn : 1;
    double sum = (full + 1) * pass_line;
    for (int i = u->start[v->id]; i < u->start[v->id + 1]; i++) {
        const struct pre_reads r = reads_of(u->item[i].node, u->item[i].index);
        sum -= r.times * ((full - 1) * extra_line + r.overlap * (apply + insns * apply_insn));
    }
    return sum;
}

static bool is_candidate(const struct uses *u, const struct node *def)
{
    const struct value *v = def->out[0];
    if (!u->total[v->id] || u->total[v->id] != uses_by_nodes(u, v)) return false; /* the caller's, or a state's */
    for (int i = u->start[v->id]; i < u->start[v->id + 1]; i++)
        if (!reader_fits(&u->item[i], def)) return false;
    return gain(u, def) > 0;
}

static void move(struct graph *g, const struct uses *u, struct node *def)
{
    const struct value *v = def->out[0];
    for (int i = u->start[v->id]; i < u->start[v->id + 1]; i++) {
        const struct use *use = &u->item[i];
        if (use->index < node_anchors(use->node)) prologue_into(g, use->node, use->index, def);
        else inline_into(g, use->node, v, def, def->in);
    }
    graph_remove(g, def);
}

/* Is all that reads V one maximum, rounded itself? */
static bool read_by_maximum(const struct uses *u, const struct value *v)
{
    const struct node *n = u->start[v->id + 1] - u->start[v->id] == 1 ? u->item[u->start[v->id]].node : NULL;
    return n && n->op->maximum && dtype_rounded(n->out[0]->type.dtype);
}

static size_t peak_of(struct graph *g)
{
    struct footprint m;
    footprint_init(&m, g);
    return footprint_peak(&m);
}

/* Where a value is made of several, all of them must last until its readers have run. */
static size_t peak_without(const struct graph *g, struct arena *a, const struct node *def)
{
    struct graph *trial = graph_clone(a, g);
    struct node *n = trial->first;
    for (const struct node *k = g->first; k != def; k = k->next) n = n->next;
    struct uses u = uses_of(trial, a);
    move(trial, &u, n);
    return peak_of(trial);
}

struct moved {
    int count;
    size_t bytes;
};

/* LEAST to MOST: of how many images of its size a value is made. */
static struct moved move_all(struct graph *g, struct arena *a, int least, int most)
{
    struct moved r = {0};
    struct uses u = uses_of(g, a);
    size_t peak = least > 1 ? peak_of(g) : SIZE_MAX;
    GRAPH_EACH_SAFE(g, n)
    {
        bool pointwise = n->op->family->elementwise && n->nout == 1 && !n->prepare && n->out[0]->type.rank == 4;
        if (!pointwise || full_operands(n) < least || full_operands(n) > most) continue;
        if (dtype_rounded(n->out[0]->type.dtype) && !read_by_maximum(&u, n->out[0])) continue;
        if (!is_candidate(&u, n)) continue;
        if (least > 1 && peak_without(g, a, n) > peak) continue;
        r.bytes += type_bytes(&n->out[0]->type);
        r.count++;
        move(g, &u, n);
        u = uses_of(g, a);
    }
    return r;
}

/* Under a budget, `recompute` has found what fits; the plan of something else may not. */
static bool fits(struct graph *g, struct pass_context *c)
{
    if (!g->train || c->memory_budget == MEMORY_AUTO || c->memory_budget == MEMORY_KEEP) return true;
    size_t arena, state;
    return plan_trial(g, c, false, &arena, &state) && arena + state <= c->memory_budget;
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct graph *before = graph_clone(c->arena, g);
    struct moved one = move_all(g, c->arena, 0, 1), more = move_all(g, c->arena, 2, MAX_OPERANDS);
    int count = one.count + more.count;
    if (count && !fits(g, c)) {
        graph_become(g, before);
        buf_puts(summary, "nothing: the plan would not fit the memory budget");
        return true;
    }
    buf_printf(summary, "%d value%s, %.2f MiB, computed where they are read", count, count == 1 ? "" : "s",
               (double)(one.bytes + more.bytes) / 1048576);
    return true;
}

const struct pass pass_prologue = {
    "prologue", "let Winograd convolutions and pooling compute pointwise operands while they read them", run};
