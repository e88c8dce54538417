/* sums.c: the order of every sum, as text. */
#include "driver/sums.h"
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "ir/op.h"
#include "runtime/rt/abi.h"
#include "runtime/rt/hash.h"

struct lines {
    struct arena *arena;
    const char **line;
    size_t n;
};

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* How many elements hold N's partial sums. */
static int64_t parts_of(const struct node *n)
{
    const struct value *w = node_workspace(n);
    return w ? w->type.dim[0] : 0;
}

static void add_sums(struct lines *l, const struct node *n)
{
    const int sums = n->body ? body_sums(n->body) : 0;
    const long long parts = (long long)parts_of(n);
    for (int k = 0; k < sums; k++) {
        const struct body_insn *s = &n->body->insn[n->body->ninsn - sums + k];
        l->line[l->n++] = arena_printf(l->arena, "%s: %s in %s's %s, %lld partial", s->layer ? s->layer : "",
                                       s->op->name, node_label(n), n->op->name, parts);
    }
    if (!sums && (n->op->family->sums || n->op->sums_samples))
        l->line[l->n++] = arena_printf(l->arena, "%s: %s, %lld partial", node_label(n), n->op->name, parts);
}

static uint64_t plan_of(const struct rnc_model *m)
{
    uint64_t h = RNC_HASH_START;
    for (uint32_t k = 0; k < m->nnodes; k++)
        h = rnc_hash_step(rnc_hash_step(h, rnc_hash_text(m->nodes[k].name)), rnc_hash_text(m->nodes[k].op));
    return h;
}

const char *driver_sums(struct driver *d, const struct built *b)
{
    const struct rnc_model *m = b->model;
    struct lines l = {.arena = d->arena};
    l.line = ARENA_ARRAY(d->arena, const char *, (size_t)b->graph->nnodes *MAX_OUTS + m->nnodes + 1);
    for (uint32_t k = 0; k < m->nnodes; k++)
        if (m->nodes[k].name && m->nodes[k].algorithm && m->nodes[k].algorithm[0])
            l.line[l.n++] = arena_printf(d->arena, "%s: %s", m->nodes[k].name, m->nodes[k].algorithm);
    GRAPH_EACH(b->graph, n) { add_sums(&l, n); }
    qsort(l.line, l.n, sizeof *l.line, by_text);
    struct buf text;
    buf_init(&text, d->arena);
    for (size_t k = 0; k < l.n; k++)
        if (!k || strcmp(l.line[k], l.line[k - 1]) != 0) buf_printf(&text, "%s\n", l.line[k]);
    if (dtype_rounded(b->spec->dtype)) buf_printf(&text, "plan %016llx\n", (unsigned long long)plan_of(m));
    return text.data;
}
