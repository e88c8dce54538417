/* test_repack.c: trained weights on their way into the forms that kernels read: the steps of a training step against
   runtime/pack.c.

       build/tests/op/test_repack [-v] [--cpu=x86-64-v3] [--lanes=4]

   Each form at awkward numbers of channels, through the caches and past them, on 1, 2 and 3 threads to the same bits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "gen/gen.h"
#include "ir/op.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/pool.h"
#include "tests/support/compiled.h"
#include "tests/support/opcase.h"

/* M: the tile of a Winograd form. Rearrangements are exact; transforms round each of their few operations,
   runtime/pack.c but once. */
static const struct form {
    const char *name;
    enum layout layout;
    int64_t kernel;
    int m;
    double tolerance;
} forms[] = {
    {"packed_t 3x3", LAYOUT_WEIGHT_T, 3, 0, 0},     {"packed_t 1x1", LAYOUT_WEIGHT_T, 1, 0, 0},
    {"winograd2", LAYOUT_WINOGRAD, 3, 2, 2e-7},     {"winograd4", LAYOUT_WINOGRAD, 3, 4, 2e-7},
    {"winograd5", LAYOUT_WINOGRAD, 3, 5, 2e-7},     {"winograd6", LAYOUT_WINOGRAD, 3, 6, 2e-7},
    {"winograd2_t", LAYOUT_WINOGRAD_T, 3, 2, 2e-7}, {"winograd4_t", LAYOUT_WINOGRAD_T, 3, 4, 2e-7},
    {"winograd5_t", LAYOUT_WINOGRAD_T, 3, 5, 2e-7}, {"winograd6_t", LAYOUT_WINOGRAD_T, 3, 6, 2e-7},
};
static const int64_t channels[][2] = {{16, 16}, {1, 3}, {17, 5}, {33, 70}, {64, 48}}; /* O, I */
enum { NFORMS = sizeof forms / sizeof forms[0], NCHANNELS = sizeof channels / sizeof channels[0] };

struct packing {
    struct arena *arena;
    struct target target;
    const struct form *form;
    const int64_t *channels;
};

static struct value *in_state(struct graph *g, struct value *v, struct type t)
{
    v->type = t;
    v->space = SPACE_STATE;
    v->offset = g->state_bytes;
    g->state_bytes += (size_t)round_up((int64_t)type_bytes(&t), 64);
    return v;
}

/* One node, planned by hand: the weights first in the state, their other form after them. */
static struct graph *graph_of(const struct packing *p)
{
    struct graph *g = graph_new(p->arena, "repack", 1);
    int v = p->target.lanes;
    struct type from = type_nchw(p->channels[0], p->channels[1], p->form->kernel, p->form->kernel), to = from;
    from.layout = LAYOUT_WEIGHT;
    from.v = from.iv = to.v = v;
    to.layout = p->form->layout;
    to.iv = p->form->m;
    struct value *w = in_state(g, graph_arg(g, VALUE_PARAM, "w", from), from);
    struct node *n = graph_node(g, NULL, op_find("repack"), &w, 1, 1);
    in_state(g, n->out[0], to);
    graph_number(g);
    g->train = true;
    g->lanes = v;
    g->stage = STAGE_PLANNED;
    return g;
}

static struct rnc_type described(const struct type *t)
{
    static const uint8_t layouts[] = {[LAYOUT_WEIGHT] = RNC_WEIGHT,
                                      [LAYOUT_WEIGHT_T] = RNC_WEIGHT_T,
                                      [LAYOUT_WINOGRAD] = RNC_WINOGRAD,
                                      [LAYOUT_WINOGRAD_T] = RNC_WINOGRAD_T};
    struct rnc_type r = {
        .dtype = RNC_F32, .layout = layouts[t->layout], .rank = 4, .v = (uint8_t)t->v, .iv = (uint8_t)t->iv};
    memcpy(r.dim, t->dim, sizeof r.dim);
    return r;
}

static const char *differ(struct arena *a, const float *got, const float *want, size_t count, double tolerance)
{
    double error = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)want[i];
        error += d * d;
        all += (double)want[i] * (double)want[i];
        if (want[i] == 0 && got[i] != 0)
            return arena_printf(a, "element %zu is %g where there is padding", i, (double)got[i]);
    }
    if (error <= tolerance * tolerance * all) return NULL; /* not so where something is NaN */
    return arena_printf(a, "differs from runtime/pack.c by %.2g of its size, %.2g allowed", sqrt(error / all),
                        tolerance);
}

/* GOT: the state block after the step, on so many threads. */
static const char *run(const struct packing *p, const struct rnc_model *m, int threads, const float *packed,
                       size_t count, char *got, size_t bytes)
{
    struct rnc_status s = {0};
    struct rnc_pool *pool = rnc_pool_new(threads, &s);
    struct rnc_parallel parallel = pool ? rnc_pool_parallel(pool) : (struct rnc_parallel){0};
    struct rnc_instance *instance = pool ? rnc_open(m, &parallel, 0, &s) : NULL;
    size_t size;
    if (instance && rnc_initialize(instance, 1, &s)) { /* else rnc_execute refuses */
        char *state = rnc_state(instance, &size);
        memset(state, 0xff, bytes); /* NaN */
        memcpy(state, packed, count * sizeof(float));
        if (rnc_execute(instance, &(struct rnc_run){.n = 1, .step = 1}, NULL, NULL, NULL, &s))
            memcpy(got, state, bytes);
    }
    rnc_close(instance);
    rnc_pool_free(pool);
    return s.message[0] ? arena_printf(p->arena, "%s", s.message) : NULL;
}

static const char *compiled_differs(const struct packing *p, const struct graph *g, const struct rnc_model *m)
{
    const struct value *w = g->first->in[0], *out = g->first->out[0];
    struct rnc_type from = described(&w->type), to = described(&out->type);
    int64_t count = rnc_elements(&from);
    float *plain = ARENA_ARRAY(p->arena, float, count), *packed = arena_array(p->arena, type_bytes(&w->type), 1),
          *want = arena_array(p->arena, type_bytes(&out->type), 1);
    char *got[3] = {NULL};
    uint64_t seed = random_seed(p->form->name, "weights");
    for (int64_t i = 0; i < count; i++) plain[i] = (float)(random_next(&seed) * 4 - 2);
    rnc_pack(&from, plain, packed);
    rnc_pack(&to, plain, want);
    for (int k = 0; k < 3; k++) {
        got[k] = arena_array(p->arena, g->state_bytes, 1);
        const char *error = run(p, m, k + 1, packed, type_bytes(&w->type) / 4, got[k], g->state_bytes);
        if (!error && k && memcmp(got[k], got[0], g->state_bytes) != 0)
            error = arena_printf(p->arena, "on %d threads other bits than on one", k + 1);
        if (error) return error;
    }
    return differ(p->arena, (const float *)(const void *)(got[0] + out->offset), want, type_bytes(&out->type) / 4,
                  p->form->tolerance);
}

static const char *test(const struct packing *p)
{
    struct diags *d = diags_new(p->arena);
    struct graph *g = graph_of(p);
    struct program *program = gen_compile(g, &(struct gen_options){.target = p->target, .threads = 1}, d);
    const struct rnc_model *m = program ? program_load(program, d) : NULL;
    const char *error = m ? compiled_differs(p, g, m) : "is not compiled";
    program_free(program);
    return error;
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    bool verbose = false;
    int passed = 0, failed = 0;
    target_host(&target);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) verbose = true;
        else if (!target_option(&target, argv[i]))
            return fprintf(stderr, "%s: '%s' names no CPU or width that is known\n", argv[0], argv[i]), 2;
    }
    if (!gen_target_init(&target, d)) return diags_print(d, stderr, false), 2;
    for (int f = 0; f < NFORMS; f++)
        for (int c = 0; c < NCHANNELS; c++)
            for (int small = 0; small < 2;
                 small++) { /* as if the second-level cache had a KiB: results past the caches */
                struct packing p = {arena_new(), target, &forms[f], channels[c]};
                if (small) p.target.l2_bytes = 1 << 10;
                const char *error = test(&p);
                *(error ? &failed : &passed) += 1;
                if (error || verbose)
                    printf("%s %s %lldx%lld%s%s%s\n", error ? "FAIL" : "ok  ", forms[f].name, (long long)channels[c][0],
                           (long long)channels[c][1], small ? ", past the caches" : "", error ? ": " : "",
                           error ? error : "");
                arena_free(p.arena);
            }
    printf("%d passed, %d failed\n", passed, failed);
    arena_free(a);
    return failed != 0;
}
