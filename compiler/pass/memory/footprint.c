/* footprint.c: the order that follows from a choice of nodes to be recomputed, what lives when, and the graph in that
   order. */
#include "pass/memory/footprint.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ir/op.h"

/* ---- the graph */

static void measure(struct footprint *m)
{
    struct graph *g = m->g;
    for (int i = 0; i < g->nvalues; i++) m->root[i] = i;
    GRAPH_EACH(g, n)
    {
        m->node[n->index] = n;
        if (plan_is_view(n)) {
            m->root[n->out[0]->id] = footprint_root(m, n->in[0]);
            continue;
        }
        for (int i = 0; i < n->nout && !n->prepare; i++)
            m->bytes[n->out[i]->id] = (size_t)round_up((int64_t)type_bytes(&n->out[i]->type), 64);
    }
    for (int i = 0; i < g->nupdates; i++) m->bytes[g->updates[i].value->id] = 0;
    for (int i = 0; i < g->noutputs; i++) m->bytes[g->outputs[i].value->id] = 0;
    for (int i = 0; i < m->count; i++)
        for (int k = 0; k < m->node[i]->nout; k++) m->made_bytes[i] += m->bytes[m->node[i]->out[k]->id];
}

/* Positions of the nodes that the loss needs; returns the last, or -1 where there is no loss. */
static int mark_forward(const struct graph *g, struct node *const *node, bool *forward)
{
    const struct value *loss = NULL;
    int last = -1;
    for (int i = 0; i < g->noutputs; i++)
        if (!strcmp(g->outputs[i].label, "loss")) loss = g->outputs[i].value;
    if (!loss || !loss->def) return -1;
    forward[loss->def->index] = true;
    for (int i = g->nnodes - 1; i >= 0; i--) {
        if (!forward[i]) continue;
        if (last < 0) last = i;
        for (int k = 0; k < node[i]->nin; k++)
            if (node[i]->in[k] && node[i]->in[k]->def) forward[node[i]->in[k]->def->index] = true;
    }
    return last;
}

bool footprint_is_cheap(const struct node *n) { return op_remake(n->op) == REMAKE_CHEAP; }

/* Weights in another layout are never kept for a recomputation. */
static bool is_weight_copy(const struct node *n)
{
    while (n->op->repacks && n->in[0]->def) n = n->in[0]->def;
    return n->op->repacks && n->in[0]->kind == VALUE_PARAM;
}

bool footprint_is_image_copy(const struct node *n)
{
    return n->op->repacks && n->in[0]->kind == VALUE_INPUT && dtype_rounded(n->out[0]->type.dtype);
}

static void forbid(struct footprint *m)
{
    struct graph *g = m->g;
    for (int i = 0; i < g->noutputs; i++)
        if (g->outputs[i].value->def) m->forward[g->outputs[i].value->def->index] = false;
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].value->def) m->forward[g->updates[i].value->def->index] = false;
    for (int i = 0; i < m->count; i++) {
        struct node *n = m->node[i];
        if (n->prepare || n->recompute || op_remake(n->op) == REMAKE_NEVER) m->forward[i] = false;
        m->recompute[i] = m->forward[i] && (is_weight_copy(n) || footprint_is_image_copy(n));
    }
}

enum { FITS_BITS = 64 };
_Static_assert((int)MAX_OPERANDS <= (int)FITS_BITS, "a reader with more operands takes nothing into its body");

static void mark_fit(struct footprint *m, const struct node *reader, const struct value *v)
{
    for (int i = 0; i < reader->nin && i < FITS_BITS && inline_fits(reader, v, v->def); i++)
        if (reader->in[i] == v) m->fits[reader->index] |= UINT64_C(1) << i;
}

/* Nodes that a reader in the backward pass can take into its body. */
static void mark_inlined(struct footprint *m)
{
    struct uses u = uses_of(m->g, m->arena);
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        if (!m->forward[i] || !n->op->family->elementwise || n->nout != 1) continue;
        const struct value *v = n->out[0];
        bool fits = false;
        for (int k = u.start[v->id]; k < u.start[v->id + 1]; k++)
            fits = fits || (u.item[k].node->index > m->border && inline_fits(u.item[k].node, v, n));
        m->inlined[i] = fits;
        for (int k = u.start[v->id]; fits && k < u.start[v->id + 1]; k++) mark_fit(m, u.item[k].node, v);
    }
}

bool footprint_init(struct footprint *m, struct graph *g)
{
    struct arena *a = g->arena;
    graph_number(g);
    *m = (struct footprint){.g = g, .arena = a, .count = g->nnodes};
    m->node = ARENA_ARRAY(a, struct node *, m->count + 1);
    m->root = ARENA_ARRAY(a, int, g->nvalues + 1);
    m->bytes = ARENA_ARRAY(a, size_t, g->nvalues + 1);
    m->forward = ARENA_ARRAY(a, bool, m->count + 1);
    m->recompute = ARENA_ARRAY(a, bool, m->count + 1);
    m->inlined = ARENA_ARRAY(a, bool, m->count + 1);
    m->fits = ARENA_ARRAY(a, uint64_t, m->count + 1);
    m->made_bytes = ARENA_ARRAY(a, size_t, m->count + 1);
    m->kept = ARENA_ARRAY(a, bool, g->nvalues + 1);
    m->cap_entries = 4 * m->count + 16;
    m->entry = ARENA_ARRAY(a, struct entry, m->cap_entries);
    m->cap_reads = 0;
    for (const struct node *n = g->first; n; n = n->next) m->cap_reads += 4 * (n->nin + 4) + MAX_OPERANDS;
    m->read = ARENA_ARRAY(a, int, m->cap_reads + 1);
    m->cap_storages = 4 * g->nvalues + 16;
    m->storage = ARENA_ARRAY(a, struct storage, m->cap_storages);
    m->first = ARENA_ARRAY(a, int, g->nvalues + 1);
    m->current = ARENA_ARRAY(a, int, g->nvalues + 1);
    m->made = ARENA_ARRAY(a, int, m->count + 1);
    m->used = ARENA_ARRAY(a, int, m->count + 1);
    m->gap = INT_MAX;
    measure(m);
    m->border = mark_forward(g, m->node, m->forward);
    forbid(m);
    mark_inlined(m);
    return m->border >= 0;
}

/* A view is recomputed with what it is a view of. */
static bool is_recomputed(const struct footprint *m, const struct node *n)
{
    if (!n) return false;
    if (!plan_is_view(n)) return m->recompute[n->index];
    const struct node *def = m->g->values[footprint_root(m, n->out[0])]->def;
    return def && m->recompute[def->index];
}

/* ---- what a choice means for the memory: the order, with recomputations as late as they can stand, and what lives
   when */

/* The storage that a reader of V finds; LATE: one in the backward pass. */
static int storage_of(const struct footprint *m, const struct value *v, bool late)
{
    int id = footprint_root(m, v);
    return late && is_recomputed(m, m->g->values[id]->def) ? m->current[id] : m->first[id];
}

static void add_storage(struct footprint *m, const struct node *n, bool recompute)
{
    for (int i = 0; i < n->nout; i++) {
        int id = n->out[i]->id;
        if (m->root[id] != id) continue;
        m->storage[m->nstorages] = (struct storage){m->bytes[id], 0};
        m->current[id] = m->nstorages++;
        if (!recompute) m->first[id] = m->current[id];
    }
}

/* The operand that N, a reader in the backward pass, computes in its own body; or NULL. */
static const struct value *inlined_operand(const struct footprint *m, const struct node *n)
{
    uint64_t fits = m->fits[n->index];
    for (int i = 0; fits; i++, fits >>= 1)
        if ((fits & 1) && m->recompute[n->in[i]->def->index]) return n->in[i];
    return NULL;
}

static void add_read(struct footprint *m, const struct value *v, bool late)
{
    int root = footprint_root(m, v), at = storage_of(m, v, late);
    const struct node *def = m->g->values[root]->def;
    if (late && at == m->first[root]) m->kept[root] = true;
    if (late && def) m->used[def->index] = m->nentries;
    m->storage[at].left++;
    m->read[m->nreads++] = at;
}

/* False: more than there is room for, which no good choice needs. */
static bool add_entry(struct footprint *m, const struct node *n, bool recompute)
{
    bool late = recompute || n->index > m->border;
    const struct value *inlined = late ? inlined_operand(m, n) : NULL;
    if (m->nentries == m->cap_entries || m->nreads + n->nin + MAX_OPERANDS > m->cap_reads ||
        m->nstorages + n->nout > m->cap_storages)
        return false;
    m->entry[m->nentries] = (struct entry){n->index, recompute, m->nreads};
    for (int i = 0; i < n->nin; i++) {
        if (!n->in[i]) continue;
        if (n->in[i] == inlined) m->read[m->nreads++] = -1;
        else add_read(m, n->in[i], late);
    }
    for (int i = 0; inlined && i < inlined->def->nin; i++) add_read(m, inlined->def->in[i], late);
    add_storage(m, n, recompute);
    m->nentries++;
    return true;
}

/* Is what N recomputed still there, for a reader that comes next? */
static bool still_there(const struct footprint *m, const struct node *n)
{
    const struct node *root = m->g->values[footprint_root(m, n->out[0])]->def;
    return m->made[n->index] >= m->made[root->index] && m->made[root->index] >= 0 &&
           m->nentries - m->used[root->index] <= m->gap;
}

static bool place(struct footprint *m, const struct node *n);

/* What N, a reader in the backward pass, finds recomputed. */
static bool place_operands(struct footprint *m, const struct node *n)
{
    const struct value *inlined = inlined_operand(m, n);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i] != inlined && !place(m, n->in[i]->def)) return false;
    for (int i = 0; inlined && i < inlined->def->nin; i++)
        if (!place(m, inlined->def->in[i]->def)) return false;
    return true;
}

static bool place(struct footprint *m, const struct node *n)
{
    if (!is_recomputed(m, n) || still_there(m, n)) return true;
    if (!place_operands(m, n)) return false;
    m->made[n->index] = m->used[n->index] = m->nentries;
    return add_entry(m, n, true);
}

static bool order_nodes(struct footprint *m)
{
    struct graph *g = m->g;
    m->nentries = m->nreads = m->nstorages = 0;
    memset(m->kept, 0, (size_t)g->nvalues);
    for (int i = 0; i < m->count; i++) m->made[i] = -1;
    for (int i = 0; i < g->nvalues; i++) {
        if (g->values[i]->def) continue;
        m->storage[m->nstorages] = (struct storage){0, 1};
        m->first[i] = m->nstorages++;
    }
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        if ((i > m->border && !place_operands(m, n)) || !add_entry(m, n, false)) return false;
    }
    return true;
}

/* Bytes of results that overwrite an operand in its last read, as pass/memory/plan.c shares storage; LEFT is that after
   the reads. */
static size_t taken_over(const struct footprint *m, const struct node *n, const int *reads)
{
    size_t sum = 0;
    int taken[MAX_OUTS], ntaken = 0, anchors = n->op->family->takes_body ? n->nanchor : 0;
    for (int r = 0; r < n->nout; r++) {
        size_t bytes = m->bytes[n->out[r]->id];
        for (int i = 0, k = 0; bytes && i < n->nin; i++) {
            if (!n->in[i]) continue;
            int at = reads[k++];
            if (at < 0 || i < plan_elementwise_from(n) || plan_reads_ahead(n, i) ||
                !type_equal(&n->in[i]->type, &n->out[r]->type))
                continue;
            bool free = !m->storage[at].left && m->storage[at].bytes == bytes;
            for (int t = 0; t < ntaken; t++) free = free && taken[t] != at;
            for (int t = 0, j = 0; t < anchors; t++)
                if (n->in[t]) free = free && reads[j++] != at;
            if (!free) continue;
            taken[ntaken++] = at;
            sum += bytes;
            break;
        }
    }
    return sum;
}

size_t footprint_made(const struct footprint *m, const struct node *n) { return m->made_bytes[n->index]; }

/* Operands read for the last time. */
static size_t freed(struct footprint *m, const int *reads, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (reads[i] < 0) continue;
        struct storage *s = &m->storage[reads[i]];
        if (s->left) continue;
        sum += s->bytes;
        s->left = -1; /* counted */
    }
    return sum;
}

size_t footprint_peak(struct footprint *m)
{
    bool ordered = order_nodes(m);
    m->steps += (uint64_t)m->nentries;
    if (!ordered) return SIZE_MAX;
    size_t live = 0, peak = 0;
    int made = 0;
    m->excess = 0;
    for (int i = 0; i < m->g->nvalues; i++) made += !m->g->values[i]->def;
    for (int e = 0; e < m->nentries; e++) {
        const struct node *n = m->node[m->entry[e].node];
        const int *reads = &m->read[m->entry[e].reads];
        int count = (e + 1 < m->nentries ? m->entry[e + 1].reads : m->nreads) - m->entry[e].reads;
        live += footprint_made(m, n);
        for (int i = 0; i < count; i++)
            if (reads[i] >= 0) m->storage[reads[i]].left--;
        size_t over = taken_over(m, n, reads);
        if (live - over > peak) peak = live - over;
        if (live - over > m->room) m->excess += (double)(live - over - m->room);
        live -= freed(m, reads, count);
        for (int i = 0; i < n->nout; i++) /* results without a reader: workspaces */
            if (m->root[n->out[i]->id] == n->out[i]->id && !m->storage[made++].left) live -= m->bytes[n->out[i]->id];
    }
    return peak;
}

/* ---- the graph with recomputations */

/* V as a reader in the backward pass finds it. */
static struct value *latest(const struct footprint *m, struct value *v, struct value *const *copy)
{
    return v && copy[v->id] && is_recomputed(m, v->def) ? copy[v->id] : v;
}

/* TO, which is FROM or stands for it, reads what there is; what its body can compute is not read. */
static void connect(const struct footprint *m, struct node *to, const struct node *from, struct value *const *copy)
{
    const struct value *inlined = inlined_operand(m, from);
    struct value **in = ARENA_ARRAY(m->arena, struct value *, from->nin + 1), *of[MAX_OPERANDS];
    for (int i = 0; i < from->nin; i++) in[i] = from->in[i] == inlined ? from->in[i] : latest(m, from->in[i], copy);
    to->in = in;
    if (!inlined) return;
    for (int i = 0; i < inlined->def->nin; i++) of[i] = latest(m, inlined->def->in[i], copy);
    inline_into(m->g, to, inlined, inlined->def, of);
}

static void insert_recomputed(const struct footprint *m, const struct node *n, struct node *before, struct value **copy)
{
    struct graph *g = m->g;
    struct node *c = graph_node(g, before, n->op, n->in, n->nin, n->nout);
    c->attr = n->attr;
    c->body = n->body;
    memcpy(c->pre, n->pre, sizeof c->pre);
    c->nanchor = n->nanchor;
    c->layer = n->layer;
    c->span = n->span;
    c->recompute = true;
    for (int i = 0; i < n->nout; i++) {
        c->out[i]->type = n->out[i]->type;
        value_rename(g, c->out[i], graph_fresh_name(g, arena_printf(g->arena, "%s.recompute", n->out[i]->name)));
    }
    connect(m, c, n, copy);
    for (int i = 0; i < n->nout; i++) copy[n->out[i]->id] = c->out[i];
}

int footprint_apply(struct footprint *m)
{
    struct value **copy = ARENA_ARRAY(m->arena, struct value *, m->g->nvalues + 1);
    int added = 0, done = m->border + 1; /* nodes that read what they have to */
    bool ordered = order_nodes(m);
    assert(ordered);
    for (int e = 0; e < m->nentries; e++) {
        struct node *n = m->node[m->entry[e].node];
        if (m->entry[e].recompute) {
            insert_recomputed(m, n, m->node[done], copy);
            added++;
        } else if (n->index > m->border) {
            connect(m, n, n, copy);
            done = n->index + 1;
        }
    }
    ordered = graph_sort(m->g); /* states are replaced after the recomputation has read them */
    assert(ordered);
    (void)ordered;
    return added;
}

size_t footprint_saved(struct graph *g)
{
    struct footprint m;
    size_t sum = 0;
    if (!footprint_init(&m, g)) return 0;
    bool *forward = ARENA_ARRAY(g->arena, bool, g->nnodes + 1), *counted = ARENA_ARRAY(g->arena, bool, g->nvalues + 1);
    mark_forward(g, m.node, forward);
    for (int i = m.border + 1; i < m.count; i++)
        for (int k = 0; k < m.node[i]->nin; k++) {
            int id = m.node[i]->in[k] ? footprint_root(&m, m.node[i]->in[k]) : -1;
            if (id < 0 || counted[id] || !g->values[id]->def || !forward[g->values[id]->def->index]) continue;
            counted[id] = true;
            sum += m.bytes[id];
        }
    return sum;
}
