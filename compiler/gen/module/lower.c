/* lower.c: phase one. Walks the planned graph in order; the families add steps and name kernels. */
#include "gen/module/lowering.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "runtime/rt/hash.h"

static void *more(struct arena *a, void *items, int count, int *cap, size_t size)
{
    if (count < *cap) return items;
    int n = *cap ? *cap * 2 : 64;
    void *p = arena_array(a, (size_t)n, size);
    if (count) memcpy(p, items, (size_t)count * size);
    *cap = n;
    return p;
}

int lower_kernel(struct lower *lo, const char *name, emit_fn *fn, const void *params, size_t size)
{
    const uint64_t h = rnc_hash_bytes(rnc_hash_bytes(RNC_HASH_START, &fn, sizeof fn), params, size);
    for (int i = 0; i < lo->nkernels; i++) {
        const struct lower_kernel *k = &lo->kernels[i];
        if (k->hash == h && k->fn == fn && k->size == size && memcmp(k->params, params, size) == 0) return i;
    }
    lo->kernels = more(lo->arena, lo->kernels, lo->nkernels, &lo->cap_kernels, sizeof *lo->kernels);
    void *copy = arena_alloc(lo->arena, size ? size : 1);
    memcpy(copy, params, size);
    const char *symbol = arena_printf(lo->arena, "rnc_%s_k%d_%s", lo->ident, lo->nkernels, name);
    lo->kernels[lo->nkernels] = (struct lower_kernel){symbol, fn, copy, size, h};
    return lo->nkernels++;
}

struct lower_arg arg_value(const struct value *v) { return (struct lower_arg){.value = v}; }
struct lower_arg arg_offset(const struct value *v, size_t bytes)
{
    return (struct lower_arg){.value = v, .offset = bytes};
}
struct lower_arg arg_none(void) { return (struct lower_arg){0}; }

struct lower_arg arg_data(struct lower *lo, const void *data, size_t size)
{
    for (int i = 0; i < lo->nconsts; i++)
        if (lo->consts[i].size == size && memcmp(lo->consts[i].data, data, size) == 0)
            return (struct lower_arg){.data = lo->consts[i].data, .size = size};
    lo->consts = more(lo->arena, lo->consts, lo->nconsts, &lo->cap_consts, sizeof *lo->consts);
    void *copy = arena_alloc(lo->arena, size);
    memcpy(copy, data, size);
    lo->consts[lo->nconsts++] = (struct lower_const){copy, size};
    return (struct lower_arg){.data = copy, .size = size};
}

static struct lower_place place_of(const struct lower *lo, const struct lower_arg *a)
{
    if (a->data) {
        for (int i = 0; i < lo->nconsts; i++)
            if (lo->consts[i].data == a->data) return (struct lower_place){RNC_CONST, (uint32_t)i, 0};
        assert(0 && "constant is not of this lowering");
    }
    if (!a->value) return (struct lower_place){RNC_NULL, 0, 0};
    const struct value *v = value_storage(a->value);
    switch (v->space) {
    case SPACE_ARENA: return (struct lower_place){RNC_ARENA, 0, v->offset + a->offset};
    case SPACE_STATE: return (struct lower_place){RNC_STATE, 0, v->offset + a->offset};
    case SPACE_INPUT: return (struct lower_place){RNC_INPUT, (uint32_t)v->offset, a->offset};
    case SPACE_OUTPUT: return (struct lower_place){RNC_OUTPUT, (uint32_t)v->offset, a->offset};
    case SPACE_NONE: break;
    }
    assert(0 && "value has no place in the plan");
    return (struct lower_place){RNC_NULL, 0, 0};
}

static struct lower_step_row *add_step(struct lower *lo, const struct lower_arg *args, int nargs)
{
    lo->steps = more(lo->arena, lo->steps, lo->nsteps, &lo->cap_steps, sizeof *lo->steps);
    struct lower_place *places = ARENA_ARRAY(lo->arena, struct lower_place, nargs ? nargs : 1);
    for (int i = 0; i < nargs; i++) places[i] = place_of(lo, &args[i]);
    struct lower_step_row *row = &lo->steps[lo->nsteps++];
    *row = (struct lower_step_row){.places = places, .nargs = nargs, .node = lo->nnodes - 1};
    return row;
}

void lower_step(struct lower *lo, int kernel, int64_t tasks, bool per_sample, const struct lower_arg *args, int nargs)
{
    assert(tasks > 0 && nargs >= 0 && nargs <= LOWER_ARGS);
    struct lower_step_row *row = add_step(lo, args, nargs);
    row->kernel = kernel;
    row->tasks = tasks;
    row->per_sample = per_sample;
}

void lower_scratch(struct lower *lo, size_t bytes)
{
    if (bytes > lo->scratch_bytes) lo->scratch_bytes = bytes;
}

void lower_algorithm(struct lower *lo, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    lo->nodes[lo->nnodes - 1].algorithm = arena_vprintf(lo->arena, fmt, ap);
    va_end(ap);
}

void lower_executed(struct lower *lo, int64_t flops)
{
    struct lower_node *r = &lo->nodes[lo->nnodes - 1];
    r->executed = (r->executed < 0 ? 0 : r->executed) + flops;
}
const struct target *lower_target(const struct lower *lo) { return lo->target; }
const struct graph *lower_graph(const struct lower *lo) { return lo->graph; }

/* ---- what reports say of a node */

static enum op_phase phase_of(const struct lower *lo, const struct node *n)
{
    enum op_phase phase = n->op->phase;
    for (int i = 0; n->body && i < n->body->ninsn; i++)
        if (n->body->insn[i].op->phase > phase) phase = n->body->insn[i].op->phase;
    for (int i = 0; i < n->nin && phase == PHASE_FORWARD; i++)
        if (n->in[i] && n->in[i]->def && !n->in[i]->def->prepare &&
            lo->nodes[lo->node_of[n->in[i]->def->index]].phase == PHASE_BACKWARD)
            phase = PHASE_BACKWARD;
    return phase;
}

static const char *op_text(struct arena *a, const struct node *n)
{
    struct buf b;
    buf_init(&b, a);
    bool bare = n->body && n->nanchor == 0;
    for (int k = 0; k < MAX_PRE; k++)
        for (int i = 0; n->pre[k] && i < n->pre[k]->ninsn; i++)
            buf_printf(&b, "%s%s", n->pre[k]->insn[i].op->name, i + 1 < n->pre[k]->ninsn ? "+" : ">");
    if (!bare) buf_puts(&b, n->op->name);
    for (int i = 0; n->body && i < n->body->ninsn; i++)
        buf_printf(&b, "%s%s", !bare || i ? "+" : "", n->body->insn[i].op->name);
    return b.data;
}

static int64_t node_bytes(const struct node *n)
{
    size_t bytes = 0;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) bytes += type_bytes(&n->in[i]->type);
    for (int i = 0; i < n->nout; i++) bytes += type_bytes(&n->out[i]->type);
    return (int64_t)bytes;
}

static void add_node(struct lower *lo, const struct node *n)
{
    lo->nodes = more(lo->arena, lo->nodes, lo->nnodes, &lo->cap_nodes, sizeof *lo->nodes);
    struct lower_node *r = &lo->nodes[lo->nnodes];
    *r = (struct lower_node){.node = n, .algorithm = "", .executed = -1};
    r->phase = phase_of(lo, n);
    lo->node_of[n->index] = lo->nnodes++;
    r->name = n->layer ? n->layer : n->nout ? n->out[0]->name : "";
    r->op = op_text(lo->arena, n);
    r->flops = 2 * op_macs(n);
    r->bytes = node_bytes(n);
}

static void lower_list(struct lower *lo, struct node *first);

/* The region's step, its nodes' steps, and then its node: reports have nodes in the order in which they are done. */
static void lower_region(struct lower *lo, const struct node *n)
{
    const int at = lo->nsteps;
    struct lower_arg args[REGION_YIELD];
    for (int i = 0; i < REGION_YIELD; i++) args[i] = n->in[i] ? arg_value(n->in[i]) : arg_none();
    add_step(lo, args, REGION_YIELD);
    lower_list(lo, n->first);
    add_node(lo, n);
    lo->nodes[lo->nnodes - 1].bytes = 0; /* its nodes' */
    lo->steps[at].kernel = -1;
    lo->steps[at].nested = lo->nsteps - at - 1;
    lo->steps[at].node = lo->nnodes - 1;
}

static void lower_list(struct lower *lo, struct node *first)
{
    LIST_EACH(first, n)
    {
        if (n->prepare) continue;
        if (n->op->owns) {
            lower_region(lo, n);
        } else {
            add_node(lo, n);
            lo->fn(lo, n);
        }
        struct lower_node *r = &lo->nodes[lo->nnodes - 1];
        if (r->executed < 0) r->executed = r->flops;
    }
}

void lower_graph_nodes(struct lower *lo, lower_fn *fn)
{
    lo->fn = fn;
    int last = 0;
    GRAPH_EACH(lo->graph, n) last = n->index > last ? n->index : last;
    lo->node_of = ARENA_ARRAY(lo->arena, int, last + 1);
    lower_list(lo, lo->graph->first);
}
