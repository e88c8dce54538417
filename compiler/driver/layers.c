/* layers.c: see layers.h. */
#include "driver/layers.h"
#include <math.h>
#include <string.h>
#include "ir/op.h"

/* ---- kinds */

static const char *const kinds[WORK_KINDS] = {
    [WORK_CONVOLUTION] = "convolution",
    [WORK_DGRAD] = "dgrad",
    [WORK_WGRAD] = "wgrad",
    [WORK_BATCH_NORM] = "batch norm",
    [WORK_POINTWISE] = "pointwise",
    [WORK_POOL] = "pool",
    [WORK_LOSS] = "loss",
    [WORK_RECOMPUTE] = "recompute",
    [WORK_UPDATE] = "update",
    [WORK_REPACK] = "repack",
    [WORK_OTHER] = "other",
};

const char *layers_kind(int k) { return kinds[(WORK_OTHER + 1 + k) % WORK_KINDS]; }

/* The operator that says what a node is: its anchor, or the first of a body that has none. */
static const struct op_def *leading_op(const struct node *n)
{
    return n->op->bare && n->body->ninsn > 0 ? n->body->insn[0].op : n->op;
}

const char *layer_kind(const struct node *n, const char *phase)
{
    enum op_work work = n->recompute ? WORK_RECOMPUTE : op_work_of(leading_op(n));
    bool backward = strcmp(phase, op_phase_name(PHASE_BACKWARD)) == 0;
    if (work == WORK_CONVOLUTION && backward) work = WORK_DGRAD; /* a transposed convolution's */
    return kinds[work];
}

void layers_explain(struct layers *l, const struct graph *g, const struct rnc_model *m)
{
    uint32_t k = 0;
    size_t footprint = (size_t)m->state_bytes + (size_t)m->arena_bytes;
    GRAPH_EACH(g, n)
    {
        if (n->prepare || k >= l->count) continue;
        struct layer *r = &l->row[k];
        struct roofline_bytes b = roofline_node(n);
        r->node = &m->nodes[k++];
        r->kind = layer_kind(n, r->node->phase);
        r->memory_ms = fmin(roofline_ms(&l->roofline, &b, footprint), r->ms);
        if (r->ms > 0) l->peak = fmax(l->peak, (double)r->node->executed_flops / r->ms * 1e-6);
    }
    for (uint32_t i = 0; i < k; i++) l->row[i].flops_ms = (double)l->row[i].node->executed_flops / l->peak * 1e-6;
}

/* ---- sums */

bool layer_memory_bound(const struct layer *r) { return r->memory_ms > r->flops_ms; }

struct layer_sum layers_sum(const struct layers *l, const char *kind)
{
    struct layer_sum s = {.ms = kind && strcmp(kind, LAYERS_BETWEEN) != 0 ? 0 : l->between};
    for (uint32_t i = 0; i < l->count; i++) {
        const struct layer *r = &l->row[i];
        if (kind && strcmp(r->kind, kind) != 0) continue;
        s.nodes++;
        s.ms += r->ms;
        s.flops += (double)r->node->flops;
        s.executed += (double)r->node->executed_flops;
        s.bytes += (double)r->node->bytes;
        s.memory_bound_ms += layer_memory_bound(r) ? r->ms : 0;
    }
    return s;
}

static double percent(double part, double of) { return of > 0 ? 100 * part / of : 0; }

double layer_explained(const struct layer *r)
{
    return percent(layer_memory_bound(r) ? r->memory_ms : r->flops_ms, r->ms);
}

double layers_memory_percent(const struct layers *l)
{
    struct layer_sum s = layers_sum(l, NULL);
    return percent(s.memory_bound_ms, s.ms);
}
