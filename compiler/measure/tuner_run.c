/* tuner_run.c: a candidate of the tuner in this process: compiled past the cache, with memory of its own, run by this
   thread alone. */
#include "measure/tuner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "gen/gen.h"
#include "ir/op.h"
#include "runtime/rt/clock.h"

enum { FIRST_CHUNKS = 64, ALIGN = 4096 };

struct code {
    struct program *program;
    const struct rnc_model *model;
    char *memory, *state, *arena, *scratch;
    size_t *input, *output; /* offsets in memory, by index */
    size_t bytes;
    void ***args;  /* by step */
    bool *counted; /* by step: it is the convolution, or makes its weights ready */
    double whole;  /* seconds of the last run, all steps; 0: none yet */
};

static double clock_now(void *ctx)
{
    (void)ctx;
    return rnc_clock_seconds();
}

/* What a candidate took: without the time in which other programs had this processor. */
static double worked(void) { return rnc_clock_thread_seconds(); }

bool tuner_runs(const struct target *t)
{
    struct target host;
    target_host(&host);
    size_t arch = strcspn(host.triple, "-") + 1;
    return strncmp(host.triple, t->triple, arch) == 0 && (t->feature_bits & ~host.feature_bits) == 0;
}

/* ---- memory: state, arena, scratch, inputs, outputs */

static size_t reserve(size_t *bytes, size_t want)
{
    size_t at = *bytes;
    *bytes += (want + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static bool take_memory(struct code *c, const struct graph *g)
{
    const struct rnc_model *m = c->model;
    int count = 0;
    c->input = calloc((size_t)g->nvalues + 1, sizeof *c->input);
    c->output = calloc((size_t)g->noutputs + 1, sizeof *c->output);
    if (!c->input || !c->output) return false;
    size_t state = reserve(&c->bytes, m->state_bytes), arena = reserve(&c->bytes, m->arena_bytes),
           scratch = reserve(&c->bytes, m->scratch_bytes + 64);
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_INPUT)
            c->input[count++] = reserve(&c->bytes, type_bytes(&g->values[i]->type) + 64);
    for (int i = 0; i < g->noutputs; i++)
        c->output[i] = reserve(&c->bytes, type_bytes(&g->outputs[i].value->type) + 64);
    char *p = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    madvise(p, c->bytes, MADV_HUGEPAGE);
    c->memory = p;
    c->state = p + state;
    c->arena = p + arena;
    c->scratch = p + scratch;
    return true;
}

/* Numbers in [-1, 1), by xorshift (Marsaglia 2003): zeros, or a few bits, would be multiplied faster on some CPUs. */
static void fill(char *data, size_t bytes, uint32_t seed)
{
    uint32_t x = seed;
    for (size_t i = 0; i + sizeof(float) <= bytes; i += sizeof(float)) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        float f = (float)(int32_t)x * 0x1p-31f;
        memcpy(data + i, &f, sizeof f);
    }
}

/* ---- steps */

static void *address(const struct code *c, const struct rnc_arg *a)
{
    switch ((enum rnc_space)a->space) {
    case RNC_ARENA: return c->arena + a->offset;
    case RNC_STATE: return c->state + a->offset;
    case RNC_INPUT: return c->memory + c->input[a->index];
    case RNC_OUTPUT: return c->memory + c->output[a->index];
    case RNC_CONST: return (void *)(uintptr_t)a->offset;
    case RNC_NULL: return NULL;
    }
    return NULL;
}

/* A repack of an activation belongs to its neighbours in the network; one that makes the weights ready belongs to the
   algorithm. */
static bool counts(const struct rnc_model *m, const struct rnc_step *s)
{
    const struct rnc_node *n = &m->nodes[s->node];
    const struct op_def *op = op_find(n->op);
    if (!op || !op->repacks) return true;
    if (n->out[0] < 0) return false;
    int layout = m->values[n->out[0]].type.layout;
    return layout != RNC_PLAIN && layout != RNC_BLOCKED;
}

static bool bind_steps(struct code *c)
{
    const struct rnc_model *m = c->model;
    c->args = calloc(m->nsteps + 1, sizeof *c->args);
    c->counted = calloc(m->nsteps + 1, sizeof *c->counted);
    for (uint32_t i = 0; c->args && c->counted && i < m->nsteps; i++) {
        const struct rnc_step *s = &m->steps[i];
        c->counted[i] = counts(m, s);
        c->args[i] = calloc(s->nargs + 1, sizeof **c->args);
        if (!c->args[i]) return false;
        for (uint32_t k = 0; k < s->nargs; k++) c->args[i][k] = address(c, &s->args[k]);
    }
    return c->args && c->counted;
}

static void release(void *ctx, void *code)
{
    struct code *c = code;
    (void)ctx;
    if (!c) return;
    for (uint32_t i = 0; c->args && i < c->model->nsteps; i++) free(c->args[i]);
    free(c->args);
    free(c->counted);
    free(c->input);
    free(c->output);
    if (c->memory) munmap(c->memory, c->bytes);
    if (c->program) program_free(c->program);
    free(c);
}

static void *compile(void *ctx, const struct graph *g, const struct target *t)
{
    struct code *c = calloc(1, sizeof *c);
    struct arena *a = arena_new();
    struct diags *d = diags_new(a); /* what cannot be measured is left to the cost model, without a message */
    struct gen_options o = {.target = *t, .threads = 1};
    if (c) c->program = gen_compile(g, &o, d);
    if (c && c->program) c->model = program_load(c->program, d);
    bool ok = c && c->model && take_memory(c, g) && bind_steps(c);
    arena_free(a);
    if (ok) {
        fill(c->memory, c->bytes, 0x2545f491u);
        return c;
    }
    release(ctx, c);
    return NULL;
}

/* The first run is cut into chunks, between which it can stop; the others are begun only where the last one would have
   ended in time. */
static double run(void *ctx, void *code, double until)
{
    struct code *c = code;
    struct rnc_run r = {.n = c->model->batch, .step = 1};
    double start = clock_now(ctx), before = worked(), counted = 0;
    if (c->whole > 0 && start + 1.25 * c->whole > until) return -1;
    for (uint32_t i = 0; i < c->model->nsteps; i++) {
        const struct rnc_step *s = &c->model->steps[i];
        int64_t tasks = s->tasks * (s->per_sample ? r.n : 1),
                chunk = c->whole > 0 ? tasks : div_up(tasks, FIRST_CHUNKS);
        for (int64_t p = 0; p < tasks; p += chunk) {
            if (c->whole == 0 && clock_now(ctx) > until) return -1;
            s->kernel(c->args[i], &r, c->scratch, p, min_i64(p + chunk, tasks));
        }
        double after = worked();
        if (c->counted[i]) counted += after - before;
        before = after;
    }
    c->whole = clock_now(ctx) - start;
    return counted;
}

const struct tuner_machine tuner_host = {.now = clock_now, .compile = compile, .run = run, .release = release};
