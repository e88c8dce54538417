/* recompute.c: what the backward pass reads of the forward pass is kept, or computed once more where it is read. A normalised and
   activated value costs as much traffic to read as to make again from the convolution's output, which is kept anyway; under a memory budget
   convolutions are computed again as well, those first that free the most bytes for their arithmetic (Chen et al. 2016, "Training deep nets with
   sublinear memory cost", with the checkpoints chosen by a greedy search in a model of the memory instead of every √n-th layer).

   A second making is a node of its own, marked `again`, just before its first reader: the same operator on the same operands, so the same
   kernel and the same bits. Dropout's numbers depend on its key alone, and the running statistics are no part of what is made again. */
#include "pass/passes.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "op/op.h"

/* One making of one node, in the order in which it would run: the node again, or as it stands in the graph. */
struct entry { int node; bool again; int reads; /* where its reads begin in model.read */ };
struct storage { size_t bytes; int left; };

struct model {
    struct graph *g;
    struct arena *arena;
    int count, border;    /* nodes; the last one that the loss needs: the backward pass lies behind it */
    int gap;              /* nodes for which a second making is kept for its next reader; else there is a third */
    struct node **node;   /* by position */
    int *root;            /* by value id: what a view is a view of, or itself */
    size_t *bytes;        /* by value id: in the arena; 0 for views and what lies elsewhere */
    bool *forward;        /* by node: the loss needs it, and it may be made again */
    bool *again;          /* by node: it is */
    bool *inlined;        /* by node: its readers in the backward pass can compute it themselves, each in its own body */
    bool *kept;           /* by value id: the backward pass reads the first making */
    /* the order that follows from it */
    struct entry *entry;
    int nentries, cap_entries;
    int *read, nreads, cap_reads;     /* storages, of each entry's operands in turn (-1: inlined), then of the inlined one's */
    struct storage *storage;
    int nstorages, cap_storages;
    int *first, *current; /* by value id: the storage of its first making, and of its latest */
    int *made, *used;     /* by node: entries when it was last made again and last read; made -1: not yet */
};

/* ---- the graph */

static int root_of(const struct model *m, const struct value *v) { return m->root[v->id]; }

static void measure(struct model *m)
{
    struct graph *g = m->g;
    for (int i = 0; i < g->nvalues; i++) m->root[i] = i;
    GRAPH_EACH(g, n) {
        m->node[n->index] = n;
        if (plan_is_view(n)) {
            m->root[n->out[0]->id] = root_of(m, n->in[0]);
            continue;
        }
        for (int i = 0; i < n->nout && !n->prepare; i++)
            m->bytes[n->out[i]->id] = (size_t)round_up((int64_t)type_bytes(&n->out[i]->type), 64);
    }
    for (int i = 0; i < g->nupdates; i++) m->bytes[g->updates[i].value->id] = 0;
    for (int i = 0; i < g->noutputs; i++) m->bytes[g->outputs[i].value->id] = 0;
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

static int64_t tile_of(const struct node *n) { return op_attr_index(n->op, "algorithm") < 0 ? 0 : 2 * node_int(n, "algorithm"); }

/* Multiply-adds as executed: Winograd's F(m×m, 3×3) has (m + 2)² products a tile for the 9·m² as written. */
static int64_t executed_macs(const struct node *n)
{
    int64_t macs = op_macs(n), m = tile_of(n);
    if (!m || !macs) return macs;
    const int64_t *y = (n->op->family == KERNEL_WGRAD ? n->in[1] : n->out[0])->type.dim;
    return macs / (9 * y[2] * y[3]) * div_up(y[2], m) * div_up(y[3], m) * (m + 2) * (m + 2);
}

/* Nothing but reading and writing: made again without a thought for the arithmetic. */
static bool is_cheap(const struct node *n)
{
    return n->op->family == KERNEL_POINTWISE || n->op->family == KERNEL_MOVE || n->op->family == KERNEL_POOL || n->op->family == KERNEL_NONE;
}

/* Weights in another layout are never kept for a second making. */
static bool is_weight_copy(const struct node *n)
{
    while (node_is(n, "repack") && n->in[0]->def) n = n->in[0]->def;
    return node_is(n, "repack") && n->in[0]->kind == VALUE_PARAM;
}

static void forbid(struct model *m)
{
    struct graph *g = m->g;
    for (int i = 0; i < g->noutputs; i++)
        if (g->outputs[i].value->def) m->forward[g->outputs[i].value->def->index] = false;
    for (int i = 0; i < g->nupdates; i++)
        if (g->updates[i].value->def) m->forward[g->updates[i].value->def->index] = false;
    for (int i = 0; i < m->count; i++) {
        struct node *n = m->node[i];
        if (n->prepare || n->again || (!is_cheap(n) && n->op->family != KERNEL_CONV)) m->forward[i] = false;
        m->again[i] = m->forward[i] && is_weight_copy(n);
    }
}

/* Nodes whose every reader in the backward pass can take them into its body. */
static void mark_inlined(struct model *m)
{
    struct uses u = uses_of(m->g, m->arena);
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        if (!m->forward[i] || n->op->family != KERNEL_POINTWISE || n->nout != 1) continue;
        const struct value *v = n->out[0];
        int readers = 0, fitting = 0;
        for (int k = u.start[v->id]; k < u.start[v->id + 1]; k++) {
            const struct node *reader = u.item[k].node;
            readers += reader->index > m->border;
            fitting += reader->index > m->border && inline_fits(reader, v, n);
        }
        m->inlined[i] = readers && fitting == readers;
    }
}

static bool model_init(struct model *m, struct graph *g)
{
    struct arena *a = g->arena;
    graph_number(g);
    *m = (struct model){ .g = g, .arena = a, .count = g->nnodes };
    m->node = ARENA_ARRAY(a, struct node *, m->count + 1);
    m->root = ARENA_ARRAY(a, int, g->nvalues + 1);
    m->bytes = ARENA_ARRAY(a, size_t, g->nvalues + 1);
    m->forward = ARENA_ARRAY(a, bool, m->count + 1);
    m->again = ARENA_ARRAY(a, bool, m->count + 1);
    m->inlined = ARENA_ARRAY(a, bool, m->count + 1);
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

/* A view is made again with what it is a view of. */
static bool made_again(const struct model *m, const struct node *n)
{
    if (!n) return false;
    if (!plan_is_view(n)) return m->again[n->index];
    const struct node *def = m->g->values[root_of(m, n->out[0])]->def;
    return def && m->again[def->index];
}

/* ---- what a choice means for the memory: the order, with second makings as late as they can stand, and what lives when */

/* The storage that a reader of V finds; LATE: one in the backward pass. */
static int storage_of(const struct model *m, const struct value *v, bool late)
{
    int id = root_of(m, v);
    return late && made_again(m, m->g->values[id]->def) ? m->current[id] : m->first[id];
}

static void add_storage(struct model *m, const struct node *n, bool again)
{
    for (int i = 0; i < n->nout; i++) {
        int id = n->out[i]->id;
        if (m->root[id] != id) continue;
        m->storage[m->nstorages] = (struct storage){ m->bytes[id], 0 };
        m->current[id] = m->nstorages++;
        if (!again) m->first[id] = m->current[id];
    }
}

/* The operand that N, a reader in the backward pass, computes in its own body; or NULL. */
static const struct value *inlined_operand(const struct model *m, const struct node *n)
{
    for (int i = 0; i < n->nin; i++) {
        const struct node *def = n->in[i] ? n->in[i]->def : NULL;
        if (def && m->again[def->index] && m->inlined[def->index] && inline_fits(n, n->in[i], def)) return n->in[i];
    }
    return NULL;
}

static void add_read(struct model *m, const struct value *v, bool late)
{
    int root = root_of(m, v), at = storage_of(m, v, late);
    const struct node *def = m->g->values[root]->def;
    if (late && at == m->first[root]) m->kept[root] = true;
    if (late && def) m->used[def->index] = m->nentries;
    m->storage[at].left++;
    m->read[m->nreads++] = at;
}

/* False: more than there is room for, which no good choice needs. */
static bool add_entry(struct model *m, const struct node *n, bool again)
{
    bool late = again || n->index > m->border;
    const struct value *inlined = late ? inlined_operand(m, n) : NULL;
    if (m->nentries == m->cap_entries || m->nreads + n->nin + MAX_OPERANDS > m->cap_reads || m->nstorages + n->nout > m->cap_storages) return false;
    m->entry[m->nentries] = (struct entry){ n->index, again, m->nreads };
    for (int i = 0; i < n->nin; i++) {
        if (!n->in[i]) continue;
        if (n->in[i] == inlined) m->read[m->nreads++] = -1;
        else add_read(m, n->in[i], late);
    }
    for (int i = 0; inlined && i < inlined->def->nin; i++) add_read(m, inlined->def->in[i], late);
    add_storage(m, n, again);
    m->nentries++;
    return true;
}

/* Is what N made again still there, for a reader that comes next? */
static bool still_there(const struct model *m, const struct node *n)
{
    const struct node *root = m->g->values[root_of(m, n->out[0])]->def;
    return m->made[n->index] >= m->made[root->index] && m->made[root->index] >= 0 && m->nentries - m->used[root->index] <= m->gap;
}

static bool place(struct model *m, const struct node *n);

/* What N, a reader in the backward pass, finds made again. */
static bool place_operands(struct model *m, const struct node *n)
{
    const struct value *inlined = inlined_operand(m, n);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i] != inlined && !place(m, n->in[i]->def)) return false;
    for (int i = 0; inlined && i < inlined->def->nin; i++)
        if (!place(m, inlined->def->in[i]->def)) return false;
    return true;
}

static bool place(struct model *m, const struct node *n)
{
    if (!made_again(m, n) || still_there(m, n)) return true;
    if (!place_operands(m, n)) return false;
    m->made[n->index] = m->used[n->index] = m->nentries;
    return add_entry(m, n, true);
}

static bool order_nodes(struct model *m)
{
    struct graph *g = m->g;
    m->nentries = m->nreads = m->nstorages = 0;
    memset(m->kept, 0, (size_t)g->nvalues);
    for (int i = 0; i < m->count; i++) m->made[i] = -1;
    for (int i = 0; i < g->nvalues; i++) {
        if (g->values[i]->def) continue;
        m->storage[m->nstorages] = (struct storage){ 0, 1 };
        m->first[i] = m->nstorages++;
    }
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        if ((i > m->border && !place_operands(m, n)) || !add_entry(m, n, false)) return false;
    }
    return true;
}

/* Bytes of results that overwrite an operand in its last read, as pass/plan.c shares storage; LEFT is that after the reads. */
static size_t taken_over(const struct model *m, const struct node *n, const int *reads)
{
    size_t sum = 0;
    int taken[MAX_OUTS], ntaken = 0, anchors = n->op->family == KERNEL_CONV ? n->nanchor : 0;
    for (int r = 0; r < n->nout; r++) {
        size_t bytes = m->bytes[n->out[r]->id];
        for (int i = 0, k = 0; bytes && i < n->nin; i++) {
            if (!n->in[i]) continue;
            int at = reads[k++];
            if (at < 0 || i < plan_elementwise_from(n) || !type_equal(&n->in[i]->type, &n->out[r]->type)) continue;
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

static size_t made_by(const struct model *m, const struct node *n)
{
    size_t sum = 0;
    for (int i = 0; i < n->nout; i++) sum += m->bytes[n->out[i]->id];
    return sum;
}

/* Operands read for the last time. */
static size_t freed(struct model *m, const int *reads, int count)
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

/* The most that is live at one time; SIZE_MAX: the choice makes too much again. */
static size_t peak_of(struct model *m)
{
    if (!order_nodes(m)) return SIZE_MAX;
    size_t live = 0, peak = 0;
    int made = 0;
    for (int i = 0; i < m->g->nvalues; i++) made += !m->g->values[i]->def;
    for (int e = 0; e < m->nentries; e++) {
        const struct node *n = m->node[m->entry[e].node];
        const int *reads = &m->read[m->entry[e].reads];
        int count = (e + 1 < m->nentries ? m->entry[e + 1].reads : m->nreads) - m->entry[e].reads;
        live += made_by(m, n);
        for (int i = 0; i < count; i++)
            if (reads[i] >= 0) m->storage[reads[i]].left--;
        size_t over = taken_over(m, n, reads);
        if (live - over > peak) peak = live - over;
        live -= freed(m, reads, count);
        for (int i = 0; i < n->nout; i++) /* results that nobody reads: workspaces */
            if (m->root[n->out[i]->id] == n->out[i]->id && !m->storage[made++].left) live -= m->bytes[n->out[i]->id];
    }
    return peak;
}

/* ---- the choice */

struct candidate { int node; double worth; };

/* Cycles of one core, of which each moves 4 bytes or does 24 multiply-adds. Only comparisons hang on it. */
static double cost_of(const struct node *n)
{
    double bytes = 0;
    for (int i = 0; i < n->nin + n->nout; i++) {
        const struct value *v = i < n->nin ? n->in[i] : n->out[i - n->nin];
        if (v) bytes += (double)type_bytes(&v->type);
    }
    return bytes / 4 + (double)executed_macs(n) / 24 * (tile_of(n) ? 1.3 : 1); /* and the transforms */
}

static int by_worth(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->worth != y->worth) return x->worth > y->worth ? -1 : 1;
    return x->node - y->node;
}

static size_t kept_bytes(const struct model *m, const struct node *n)
{
    const struct value *workspace = node_workspace(n);
    return made_by(m, n) - (workspace ? m->bytes[workspace->id] : 0);
}

/* What a candidate is worth: bytes for their time, for their arithmetic as the network has it, or alone. */
enum order { BY_TIME, BY_MACS, BY_SIZE };

static double worth(const struct node *n, double bytes, enum order order)
{
    return order == BY_SIZE ? bytes : bytes / (order == BY_TIME ? cost_of(n) : 1 + (double)op_macs(n));
}

/* The candidates, best first. */
static struct candidate *candidates(const struct model *m, enum order order, int *count)
{
    struct candidate *c = ARENA_ARRAY(m->arena, struct candidate, m->count + 1);
    *count = 0;
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->node[i];
        size_t made = kept_bytes(m, n);
        if (!m->forward[i] || m->again[i] || !made || plan_is_view(n)) continue;
        c[(*count)++] = (struct candidate){ i, worth(n, (double)made, order) };
    }
    qsort(c, (size_t)*count, sizeof *c, by_worth);
    return c;
}

/* What is made again needs its operands: those that nobody keeps and that are cheap are made again too. The nodes go into ADDED. */
static void add(struct model *m, int node, int *added, int *count)
{
    const struct node *n = m->node[node];
    m->again[node] = true;
    added[(*count)++] = node;
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        const struct node *def = v ? m->g->values[root_of(m, v)]->def : NULL;
        if (!def || !m->forward[def->index] || m->again[def->index] || m->kept[root_of(m, v)] || !is_cheap(def)) continue;
        add(m, def->index, added, count);
    }
}

struct search {
    struct model m;
    size_t target;   /* enough */
    bool at_any_cost;
    enum order order;
    size_t peak;
    int *added;      /* scratch: the nodes of one trial */
    bool *kept;      /* scratch: the model's before it */
};

/* Without a budget a cycle must free half a byte. */
static bool accepted(const struct search *s, size_t peak, const int *added, int count)
{
    if (peak >= s->peak) return false;
    if (s->at_any_cost) return true;
    double cost = 0;
    for (int i = 0; i < count; i++) cost += cost_of(s->m.node[added[i]]);
    return (double)(s->peak - peak) * 2 >= cost;
}

static bool try_adding(struct search *s, const struct candidate *c)
{
    struct model *m = &s->m;
    int count = 0;
    if (m->again[c->node]) return false;
    memcpy(s->kept, m->kept, (size_t)m->g->nvalues);
    add(m, c->node, s->added, &count);
    size_t peak = peak_of(m);
    if (accepted(s, peak, s->added, count)) {
        s->peak = peak;
        return true;
    }
    for (int i = 0; i < count; i++) m->again[s->added[i]] = false;
    memcpy(m->kept, s->kept, (size_t)m->g->nvalues);
    return false;
}

/* What turned out not to matter is kept after all, the costliest first. */
static void take_back(struct search *s, const struct candidate *c, int count)
{
    size_t limit = s->peak > s->target ? s->peak : s->target;
    for (int i = count - 1; i >= 0; i--) {
        if (!s->m.again[c[i].node]) continue;
        s->m.again[c[i].node] = false;
        size_t peak = peak_of(&s->m);
        if (peak > limit) s->m.again[c[i].node] = true;
        else s->peak = peak;
    }
}

/* Greedy: the candidates by bytes for their cost, each taken if the peak falls; round again, as one may make another possible. */
static void choose(struct search *s)
{
    int count;
    struct candidate *c = candidates(&s->m, s->order, &count);
    bool more = true;
    s->peak = peak_of(&s->m);
    s->added = ARENA_ARRAY(s->m.arena, int, s->m.count + 1);
    s->kept = ARENA_ARRAY(s->m.arena, bool, s->m.g->nvalues + 1);
    for (int round = 0; round < 8 && more; round++) {
        more = false;
        for (int i = 0; i < count && s->peak > s->target; i++) more |= try_adding(s, &c[i]);
    }
    take_back(s, c, count);
}

/* ---- the graph with second makings */

/* V as a reader in the backward pass finds it. */
static struct value *latest(const struct model *m, struct value *v, struct value *const *copy)
{
    return v && copy[v->id] && made_again(m, v->def) ? copy[v->id] : v;
}

/* TO, which is FROM or stands for it, reads what there is; what its body can compute is not read. */
static void connect(const struct model *m, struct node *to, const struct node *from, struct value *const *copy)
{
    const struct value *inlined = inlined_operand(m, from);
    struct value **in = ARENA_ARRAY(m->arena, struct value *, from->nin + 1), *of[MAX_OPERANDS];
    for (int i = 0; i < from->nin; i++) in[i] = from->in[i] == inlined ? from->in[i] : latest(m, from->in[i], copy);
    to->in = in;
    if (!inlined) return;
    for (int i = 0; i < inlined->def->nin; i++) of[i] = latest(m, inlined->def->in[i], copy);
    inline_into(m->g, to, inlined, inlined->def, of);
}

static void make_again(const struct model *m, const struct node *n, struct node *before, struct value **copy)
{
    struct graph *g = m->g;
    struct node *c = graph_node(g, before, n->op, n->in, n->nin, n->nout);
    c->attr = n->attr;
    c->body = n->body;
    c->nanchor = n->nanchor;
    c->layer = n->layer;
    c->span = n->span;
    c->again = true;
    for (int i = 0; i < n->nout; i++) {
        c->out[i]->type = n->out[i]->type;
        value_rename(g, c->out[i], graph_fresh_name(g, arena_printf(g->arena, "%s.again", n->out[i]->name)));
    }
    connect(m, c, n, copy);
    for (int i = 0; i < n->nout; i++) copy[n->out[i]->id] = c->out[i];
}

/* The order becomes the graph's. Returns how many nodes were added. */
static int apply(struct model *m)
{
    struct value **copy = ARENA_ARRAY(m->arena, struct value *, m->g->nvalues + 1);
    int added = 0, done = m->border + 1; /* nodes that read what they have to */
    bool ordered = order_nodes(m);
    assert(ordered);
    for (int e = 0; e < m->nentries; e++) {
        struct node *n = m->node[m->entry[e].node];
        if (m->entry[e].again) {
            make_again(m, n, m->node[done], copy);
            added++;
        } else if (n->index > m->border) {
            connect(m, n, n, copy);
            done = n->index + 1;
        }
    }
    ordered = graph_sort(m->g); /* states are replaced after the second making has read them */
    assert(ordered);
    (void)ordered;
    return added;
}

/* ---- a budget */

/* Arena and state as the passes that follow will have them. */
static bool plan_trial(struct graph *g, struct pass_context *c, size_t *arena, size_t *state)
{
    struct buf summary;
    buf_init(&summary, c->arena);
    if (!pass_schedule.run(g, c, &summary) || !pass_plan.run(g, c, &summary)) return false;
    *arena = g->arena_bytes;
    *state = g->state_bytes;
    return true;
}

static const char *mib(struct arena *a, size_t bytes) { return arena_printf(a, "%.2f MiB", (double)bytes / 1048576); }

static void too_small(const struct graph *g, struct pass_context *c, size_t arena, size_t state)
{
    const struct value *largest = NULL;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->def && !v->def->prepare && (!largest || type_bytes(&v->type) > type_bytes(&largest->type))) largest = v;
    }
    struct diag *d = diag_error(c->diags, (struct span){ 0 }, "the training step needs at least %s: more than the memory budget of %s",
                                mib(c->arena, arena + state), mib(c->arena, c->memory_budget));
    diag_note(d, "that is %s of intermediates, even with everything computed again that can be, and %s of weights and optimizer state",
              mib(c->arena, arena), mib(c->arena, state));
    const char *layer = largest->layer ? largest->layer : largest->def->layer ? largest->def->layer : largest->name;
    diag_note(d, "the largest layer is '%s': %s of %s", layer, largest == node_workspace(largest->def) ? "a workspace" : "a result",
              mib(c->arena, type_bytes(&largest->type)));
    diag_note(d, g->batch > 1 ? "a smaller batch needs less: this is for %lld samples" : "a smaller input needs less", (long long)g->batch);
}

struct fitting {
    struct graph *g;
    struct pass_context *c;
    size_t room, state;           /* the arena's share of the budget; the rest */
    struct graph *best, *closest; /* of what fits, that with the least arithmetic; what comes nearest in the model */
    size_t least;                 /* of the latter */
};

/* How second makings are looked for. GAP: how many nodes one is kept for its next reader; for those further on it is made once more. */
struct way { int gap; enum order order; };
static const struct way ways[] = {
    { INT_MAX, BY_TIME }, { 64, BY_TIME }, { 24, BY_TIME }, { 10, BY_TIME }, { INT_MAX, BY_MACS }, { 64, BY_MACS }, { 24, BY_MACS }, { 10, BY_MACS },
    { INT_MAX, BY_SIZE }, { 64, BY_SIZE }, { 24, BY_SIZE },
};

/* A search for TARGET, and what it comes to when scheduled and packed: *ARENA, if it may fit. False after diagnostics. */
static bool try_target(struct fitting *f, const struct way *way, size_t target, struct search *s, size_t *arena)
{
    struct graph *trial = graph_clone(f->c->arena, f->g);
    *s = (struct search){ .target = target, .at_any_cost = true, .order = way->order };
    model_init(&s->m, trial);
    s->m.gap = way->gap;
    choose(s);
    apply(&s->m);
    *arena = s->peak;
    if (s->peak < f->least) {
        f->least = s->peak;
        f->closest = trial;
    }
    if (s->peak > f->room + f->room / 16 || (f->best && recompute_account(trial).again_macs >= recompute_account(f->best).again_macs)) return true;
    if (!plan_trial(graph_clone(f->c->arena, trial), f->c, arena, &f->state)) return false;
    if (*arena <= f->room) f->best = trial;
    return true;
}

/* The search works in a model of the memory: where a plan of what it found takes more, it is to find less. */
static bool fit_with(struct fitting *f, const struct way *way)
{
    size_t target = f->room, arena;
    struct search s;
    for (int round = 0; round < 4; round++) {
        if (!try_target(f, way, target, &s, &arena)) return false;
        if (arena <= f->room || s.peak > target) break;
        size_t over = arena - f->room + f->room / 200;
        target -= over < target ? over : target;
    }
    return true;
}

/* G becomes the graph that fits. */
static bool fit(struct graph *g, struct pass_context *c)
{
    enum { NWAYS = sizeof ways / sizeof *ways };
    struct fitting f = { .g = g, .c = c, .least = SIZE_MAX };
    struct search s;
    size_t arena;
    if (!plan_trial(graph_clone(c->arena, g), c, &arena, &f.state)) return false;
    f.room = c->memory_budget > f.state ? c->memory_budget - f.state : 0;
    if (arena <= f.room) return true;
    for (int i = 0; i < NWAYS; i++)
        if (!fit_with(&f, &ways[i])) return false;
    for (int i = 0; i < NWAYS && !f.best; i++)
        if (!try_target(&f, &ways[i], 0, &s, &arena)) return false;
    if (!f.best && !plan_trial(graph_clone(c->arena, f.closest), c, &arena, &f.state)) return false;
    if (!f.best && arena <= f.room) f.best = f.closest;
    if (f.best) *g = *f.best;
    else too_small(g, c, arena, f.state);
    return f.best != NULL;
}

/* ---- the account */

static size_t saved_values(struct graph *g)
{
    struct model m;
    size_t sum = 0;
    if (!model_init(&m, g)) return 0;
    bool *forward = ARENA_ARRAY(g->arena, bool, g->nnodes + 1), *counted = ARENA_ARRAY(g->arena, bool, g->nvalues + 1);
    mark_forward(g, m.node, forward);
    for (int i = m.border + 1; i < m.count; i++)
        for (int k = 0; k < m.node[i]->nin; k++) {
            int id = m.node[i]->in[k] ? root_of(&m, m.node[i]->in[k]) : -1;
            if (id < 0 || counted[id] || !g->values[id]->def || !forward[g->values[id]->def->index]) continue;
            counted[id] = true;
            sum += m.bytes[id];
        }
    return sum;
}

struct recompute_account recompute_account(const struct graph *g)
{
    struct recompute_account r = { .saved_bytes = g->saved_bytes };
    GRAPH_EACH(g, n) {
        r.step_macs += executed_macs(n);
        r.again_macs += n->again ? executed_macs(n) : 0;
        r.nodes += n->again;
    }
    return r;
}

/* ---- the pass */

static double cost_again(const struct model *m)
{
    double sum = 0;
    for (int e = 0; e < m->nentries; e++) sum += m->entry[e].again ? cost_of(m->node[m->entry[e].node]) : 0;
    return sum;
}

/* Without a budget: half of what keeping everything takes, as far as that is to be had cheaply. */
static void by_benefit(struct graph *g)
{
    static const struct way tried[] = { { INT_MAX, BY_TIME }, { INT_MAX, BY_SIZE }, { 64, BY_TIME } };
    struct search best = { 0 };
    double least = 0;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct search s = { .order = tried[i].order };
        if (!model_init(&s.m, g)) return;
        s.m.gap = tried[i].gap;
        s.target = peak_of(&s.m) / 2;
        choose(&s);
        peak_of(&s.m);
        double cost = cost_again(&s.m);
        size_t over = s.peak > s.target ? s.peak : s.target, best_over = best.peak > s.target ? best.peak : s.target;
        if (i && (over > best_over || (over == best_over && cost >= least))) continue;
        best = s;
        least = cost;
    }
    apply(&best.m);
}

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    struct buf ignored;
    buf_init(&ignored, c->arena);
    if (!pass_schedule.run(g, c, &ignored)) return false; /* the peak to be lowered is that of a good order */
    if (g->train) g->saved_bytes = saved_values(g);
    if (g->train && c->memory_budget == MEMORY_AUTO) by_benefit(g);
    else if (g->train && c->memory_budget != MEMORY_KEEP && !fit(g, c)) return false;
    struct recompute_account r = recompute_account(g);
    int64_t once = r.step_macs - r.again_macs;
    if (!r.nodes) buf_puts(summary, "every value is kept");
    else buf_printf(summary, "%d nodes again, %.1f%% more multiply-adds; %.2f MiB are read by the backward pass", r.nodes,
                    once ? 100 * (double)r.again_macs / (double)once : 0, (double)r.saved_bytes / 1048576);
    return true;
}

const struct pass pass_recompute = { "recompute", "compute again in the backward pass what would take memory to keep", run };
