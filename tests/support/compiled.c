#include "tests/support/compiled.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gen/gen.h"
#include "ir/text.h"
#include "pass/pass.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/fpstate.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/pool.h"
#include "tests/support/printed.h"

/* What one execution left: outputs and updated states, in plain form. */
struct result {
    void **output, **state;
};

struct comparing {
    struct arena *arena;
    const struct comparison_plan *plan;
    const struct rnc_model *model;
    const struct graph *planned;
    struct eval *ref, *exact;  /* EXACT: without the roundings to bf16; NULL where there are none */
    const struct graph *graph; /* of REF: the plan's, or what `precision` made of it */
    const struct ref_run *run;
    int64_t samples;               /* of what is being compared: run->n, or a region's */
    struct rnc_instance *instance; /* of the run in progress */
    const char *error;
};

bool target_option(struct target *t, const char *arg)
{
    if (strncmp(arg, "--cpu=", 6) == 0) return target_named(t, arg + 6);
    if (strncmp(arg, "--lanes=", 8) != 0) return false;
    int lanes = atoi(arg + 8);
    if (lanes != 4 && lanes != 8 && lanes != 16) return false;
    t->lanes = lanes;
    return true;
}

const char *passes_without(struct arena *a, const char *passes, const char *const *leave_out)
{
    struct buf b;
    buf_init(&b, a);
    while (*passes) {
        size_t n = strcspn(passes, ",");
        const char *name = arena_strndup(a, passes, n);
        bool wanted = true;
        for (const char *const *p = leave_out; *p; p++) wanted &= strcmp(*p, name) != 0;
        if (wanted) buf_printf(&b, "%s%s", b.len ? "," : "", name);
        passes += n + (passes[n] == ',');
    }
    return b.data;
}

static void fail(struct comparing *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct comparing *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!c->error) c->error = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
}

/* ---- numbers of the runtime's tensors and of the reference */

static double number(const struct rnc_type *t, const void *data, int64_t i)
{
    uint32_t u;
    float f;
    switch ((enum rnc_dtype)t->dtype) {
    case RNC_F32: return (double)((const float *)data)[i];
    case RNC_U8: return ((const uint8_t *)data)[i];
    case RNC_I64: return (double)((const int64_t *)data)[i];
    case RNC_BF16:
        u = (uint32_t)((const uint16_t *)data)[i] << 16;
        memcpy(&f, &u, sizeof f);
        return (double)f;
    }
    return NAN;
}

static void *plain_new(struct arena *a, const struct rnc_type *t, const double *from)
{
    size_t bytes = rnc_plain_bytes(t);
    void *p = arena_alloc(a, bytes + 8);
    if (!from) memset(p, 0xff, bytes);
    for (int64_t i = 0; from && i < rnc_elements(t); i++) {
        if (t->dtype == RNC_I64) ((int64_t *)p)[i] = (int64_t)from[i];
        else if (t->dtype == RNC_U8) ((uint8_t *)p)[i] = (uint8_t)from[i];
        else ((float *)p)[i] = (float)from[i];
    }
    return p;
}

/* Elements of the real samples; all of what has no batch dimension. */
static int64_t real_elements(const struct comparing *c, const struct rnc_type *t)
{
    int64_t count = rnc_elements(t);
    return t->batched ? count / t->dim[0] * c->samples : count;
}

/* What may be added to a relative error of E by rounding both sides to bf16, whose numbers lie 2^-8 to 2^-7 apart: an
   element that is off by d is rounded the other way with probability d/step and is then off by a whole step, so the
   squares add up to e·2^-7. Means of few bf16 numbers do lie in the middle of two: four such elements, as large as the
   largest (LARGEST, of norm 1), are always allowed. */
static double rounding_error(double e, double largest) { return sqrt(e * 0x1p-7 + 4 * largest * largest * 0x1p-14); }

static void compare_tensor(struct comparing *c, const char *what, const char *name, const struct rnc_type *t,
                           const void *got, const double *want, double tolerance, bool rounded)
{
    double difference = 0, norm = 0, largest = 0;
    int64_t worst = -1, count = real_elements(c, t);
    double most = -1;
    for (int64_t i = 0; i < count; i++) {
        double x = number(t, got, i), d = fabs(x - want[i]);
        difference += d * d;
        norm += want[i] * want[i];
        largest = fmax(largest, fabs(want[i]));
        if (d > most || isnan(d)) {
            worst = i;
            most = isnan(d) ? INFINITY : d;
        }
    }
    double error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    if (rounded && norm > 0) tolerance += rounding_error(tolerance, largest / sqrt(norm));
    if (getenv("TEST_ERRORS")) fprintf(stderr, "%8.1e  %s %s\n", error, what, name);
    if (error <= tolerance || count == 0) return;
    fail(c,
         "%s %s differs: relative error %.3g, allowed %.1g; worst at element %lld of %lld: %.9g instead of %.9g (n = "
         "%lld of %lld)",
         what, name, error, tolerance, (long long)worst, (long long)count, number(t, got, worst), want[worst],
         (long long)c->run->n, (long long)c->model->batch);
}

/* ---- one execution */

static bool is_state(const struct rnc_tensor *t) { return t->role <= RNC_ROLE_OPTIM; }

static const double *argument(const struct comparing *c, struct eval *e, const char *name)
{
    const struct value *v = graph_find(c->plan->graph, name);
    return v ? eval_data(e, v) : NULL;
}

/* Inputs and targets, the argument states set and prepared. */
static bool set_arguments(struct comparing *c, struct rnc_instance *i, const void **inputs, struct rnc_status *s)
{
    struct eval *fresh = eval_new(c->plan->graph, *c->run);
    bool ok = true;
    c->plan->fill(c->plan->ctx, fresh);
    for (uint32_t k = 0; k < c->model->ntensors && ok; k++) {
        const struct rnc_tensor *t = &c->model->tensors[k];
        struct rnc_type plain = t->type;
        const double *from = argument(c, fresh, t->name);
        plain.layout = RNC_PLAIN;
        if (t->role == RNC_ROLE_INPUT || t->role == RNC_ROLE_TARGET)
            inputs[t->offset] = plain_new(c->arena, &plain, from);
        else if (is_state(t)) ok = rnc_set(i, t->name, plain_new(c->arena, &plain, from), s);
    }
    eval_free(fresh);
    return ok && rnc_prepare(i, s);
}

/* The value of the reference that the compiled value NAME is: that of the same layer (folding gives a convolution the
   result of the batch norm behind it), or of the same name. */
static const struct value *counterpart(const struct comparing *c, const char *name)
{
    const struct value *v = graph_find(c->planned, name);
    if (!v || !v->layer) return graph_find(c->plan->graph, name);
    for (int i = 0; i < c->plan->graph->nvalues; i++) {
        const struct value *w = c->plan->graph->values[i];
        if (w->def && w->layer && strcmp(w->layer, v->layer) == 0) return w;
    }
    return NULL;
}

/* Compares the values of a node that has just run with those of the same name in the reference. */
static void watch_values(void *ctx, uint32_t node, double seconds)
{
    struct comparing *c = ctx;
    (void)seconds;
    for (int k = 0; k < 4 && !c->error; k++) {
        int32_t index = c->model->nodes[node].out[k];
        if (index < 0) continue;
        const struct rnc_value *v = &c->model->values[index];
        const struct value *want = counterpart(c, v->name);
        struct rnc_type plain = v->type;
        plain.layout = RNC_PLAIN;
        if (plain.dtype == RNC_BF16) plain.dtype = RNC_F32; /* as it is read */
        bool same = want && want->type.rank == plain.rank &&
                    memcmp(want->type.dim, plain.dim, (size_t)plain.rank * sizeof plain.dim[0]) == 0;
        if (!same) continue;
        c->samples = eval_samples(c->ref, want);
        struct rnc_status s = {0};
        void *data = plain_new(c->arena, &plain, NULL);
        if (!rnc_read_value(c->instance, (uint32_t)index, data, &s))
            fail(c, "value %s cannot be read: %s", v->name, s.message);
        else
            compare_tensor(c, c->model->nodes[node].op, v->name, &plain, data, eval_data(c->ref, want),
                           c->plan->value_tolerance, v->type.dtype == RNC_BF16);
    }
    c->samples = c->run->n;
}

static struct result result_new(struct comparing *c)
{
    const struct rnc_model *m = c->model;
    return (struct result){ARENA_ARRAY(c->arena, void *, m->ntensors + 1),
                           ARENA_ARRAY(c->arena, void *, m->ntensors + 1)};
}

static void **output_buffers(struct comparing *c, struct result *r)
{
    void **outputs = ARENA_ARRAY(c->arena, void *, c->model->noutputs + 1);
    for (uint32_t k = 0; k < c->model->ntensors; k++) {
        const struct rnc_tensor *t = &c->model->tensors[k];
        if (t->role == RNC_ROLE_OUTPUT) outputs[t->offset] = r->output[k] = plain_new(c->arena, &t->type, NULL);
    }
    return outputs;
}

/* ---- lanes past the last channel: the steps again, in memory of our own */

struct machine {
    char *arena, *state, *scratch;
    const void **inputs;
    void **outputs;
};

static void *place(const struct machine *m, const struct rnc_arg *a)
{
    switch ((enum rnc_space)a->space) {
    case RNC_ARENA: return m->arena + a->offset;
    case RNC_STATE: return m->state + a->offset;
    case RNC_INPUT: return (char *)(uintptr_t)m->inputs[a->index] + a->offset;
    case RNC_OUTPUT: return (char *)m->outputs[a->index] + a->offset;
    case RNC_CONST: return (void *)(uintptr_t)a->offset;
    case RNC_NULL: break;
    }
    return NULL;
}

/* A value is sound when taking it out of its layout and putting it back gives the same numbers: then its padding is
   zero. */
static void check_lanes(struct comparing *c, const struct machine *m, uint32_t node, int64_t samples)
{
    for (int k = 0; k < 4; k++) {
        int32_t index = c->model->nodes[node].out[k];
        if (index < 0) continue;
        const struct rnc_value *v = &c->model->values[index];
        struct rnc_type t = v->type;
        if (t.layout == RNC_PLAIN || t.layout > RNC_DEPTHWISE || (t.dtype != RNC_F32 && t.dtype != RNC_BF16))
            continue; /* transformed weights have no plain elements */
        if (t.batched) t.dim[0] = samples;
        size_t bytes = rnc_packed_bytes(&t), count = bytes / (t.dtype == RNC_BF16 ? 2 : 4);
        void *plain = malloc(rnc_plain_bytes(&t)), *packed = malloc(bytes), *here = malloc(bytes);
        memcpy(here, place(m, &v->place), bytes);
        rnc_unpack(&t, here, plain);
        rnc_pack(&t, plain, packed);
        for (size_t i = 0; i < count; i++) {
            double want = number(&t, packed, (int64_t)i), is = number(&t, here, (int64_t)i);
            if (want == is || isnan(want)) continue;
            fail(c, "%s %s: the padding of the layout is not zero: %g at number %zu of %zu", c->model->nodes[node].op,
                 v->name, is, i, count);
            break;
        }
        free(here);
        free(packed);
        free(plain);
    }
}

/* Steps [BEGIN, END), those of regions with their own samples. */
static void run_range(struct comparing *c, const struct machine *m, const struct rnc_run *run, uint32_t begin,
                      uint32_t end)
{
    const struct rnc_step *steps = c->model->steps;
    for (uint32_t k = begin, next; k < end && !c->error; k = next) {
        const struct rnc_step *s = &steps[k];
        void *args[64];
        next = k + 1 + s->nested;
        for (uint32_t i = 0; i < s->nargs && i < 64; i++) args[i] = place(m, &s->args[i]);
        if (s->kind == RNC_STEP_KERNEL) {
            s->kernel(args, run, m->scratch, 0, s->per_sample ? s->tasks * run->n : s->tasks);
            if (next == end || steps[next].node != s->node) check_lanes(c, m, s->node, run->n);
            continue;
        }
        const int64_t *condition = args[RNC_REGION_CONDITION], *count = args[RNC_REGION_COUNT];
        struct rnc_run inside = *run;
        if (count) inside.n = *count;
        if (inside.n && (!condition || *condition)) run_range(c, m, &inside, k + 1, next);
    }
}

static void run_checking_lanes(struct comparing *c, const void *state, const void **inputs)
{
    const struct rnc_model *m = c->model;
    struct result discard = result_new(c);
    struct machine box = {.inputs = inputs, .outputs = output_buffers(c, &discard)};
    struct rnc_run run = {.n = c->run->n, .step = c->run->step, .seed = c->run->seed, .lr = c->run->lr};
    size_t sizes[] = {m->arena_bytes, m->state_bytes, m->scratch_bytes};
    char **blocks[] = {&box.arena, &box.state, &box.scratch};
    for (int k = 0; k < 3; k++) {
        size_t bytes = (sizes[k] + 255) / 64 * 64;
        *blocks[k] = aligned_alloc(64, bytes);
        memset(*blocks[k], 0xff, bytes);
    }
    if (m->state_bytes) memcpy(box.state, state, m->state_bytes);
    uint64_t fp = rnc_fp_enter();
    run_range(c, &box, &run, 0, m->nsteps);
    rnc_fp_leave(fp);
    for (int k = 0; k < 3; k++) free(*blocks[k]);
}

/* ---- comparing */

static void read_states(struct comparing *c, struct rnc_instance *i, struct result *r)
{
    struct rnc_status s = {0};
    for (uint32_t k = 0; k < c->model->ntensors; k++) {
        const struct rnc_tensor *t = &c->model->tensors[k];
        struct rnc_type plain = t->type;
        plain.layout = RNC_PLAIN;
        if (!is_state(t)) continue;
        r->state[k] = plain_new(c->arena, &plain, NULL);
        if (!rnc_get(i, t->name, r->state[k], &s)) fail(c, "state %s cannot be read: %s", t->name, s.message);
    }
}

static struct result execute(struct comparing *c, int threads)
{
    struct rnc_status s = {0};
    struct rnc_pool *pool = rnc_pool_new(threads, &s);
    struct rnc_parallel par = rnc_pool_parallel(pool);
    struct rnc_instance *i = c->instance = rnc_open(c->model, &par, RNC_EXEC_CHECK | RNC_EXEC_KEEP, &s);
    struct result r = result_new(c);
    const void **inputs = ARENA_ARRAY(c->arena, const void *, c->model->ninputs + 1);
    bool ok = i && set_arguments(c, i, inputs, &s);
    if (ok && threads == 1) {
        size_t bytes;
        run_checking_lanes(c, rnc_state(i, &bytes), inputs);
    }
    struct rnc_run run = {.n = c->run->n, .step = c->run->step, .seed = c->run->seed, .lr = c->run->lr};
    struct rnc_observer watch = {watch_values, c};
    bool watching = threads == 1 && c->plan->value_tolerance > 0;
    ok = ok && rnc_execute(i, &run, inputs, output_buffers(c, &r), watching ? &watch : NULL, &s);
    if (!ok) fail(c, "the runtime says: %s", s.message);
    else read_states(c, i, &r);
    rnc_close(i);
    rnc_pool_free(pool);
    return r;
}

/* Is V no more than a copy of a value that was stored as bf16 (opcase_narrow)? */
static bool was_narrow(const struct value *v)
{
    const struct node *n = v->def;
    return n && n->body && n->nanchor == 0 && n->body->ninsn == 0 && n->in[0]->type.dtype == DT_BF16;
}

/* A result of a network that rounds to bf16. Which of two neighbours a number is rounded to depends on the last bits of
   a sum in fp32, and one that falls on the other side moves those behind it, until compiled code and reference round
   everything independently. So what rounding does to the result, in the reference, measures what it may do here; and
   one step of bf16 is no difference. */
static void compare_rounded(struct comparing *c, const char *what, const char *name, const struct rnc_type *t,
                            const void *got, const struct value *v)
{
    const double *want = eval_data(c->ref, v), *exact = eval_data(c->exact, v);
    double difference = 0, rounding = 0, norm = 0;
    int64_t count = real_elements(c, t);
    for (int64_t i = 0; i < count; i++) {
        double x = number(t, got, i);
        difference += (x - exact[i]) * (x - exact[i]);
        rounding += (want[i] - exact[i]) * (want[i] - exact[i]);
        norm += exact[i] * exact[i];
    }
    double limit = c->plan->tolerance * sqrt(rounding) + 0x1p-7 * sqrt(norm);
    if (getenv("TEST_ERRORS"))
        fprintf(stderr, "%8.1e, by rounding %8.1e, of %8.1e  %s %s\n", sqrt(difference), sqrt(rounding), sqrt(norm),
                what, name);
    if (sqrt(difference) <= limit || count == 0) return;
    fail(c, "%s %s differs by %.3g; rounding makes %.3g of it, its norm is %.3g (n = %lld of %lld)", what, name,
         sqrt(difference), sqrt(rounding), sqrt(norm), (long long)c->run->n, (long long)c->model->batch);
}

static void compare_one(struct comparing *c, const char *what, const char *name, const struct rnc_type *t,
                        const void *got, const struct value *v)
{
    if (c->exact) compare_rounded(c, what, name, t, got, v);
    else compare_tensor(c, what, name, t, got, eval_data(c->ref, v), c->plan->tolerance, was_narrow(v));
}

static void compare_result(struct comparing *c, const struct result *r)
{
    const struct graph *g = c->graph;
    for (uint32_t k = 0; k < c->model->ntensors && !c->error; k++) {
        const struct rnc_tensor *t = &c->model->tensors[k];
        struct rnc_type plain = t->type;
        plain.layout = RNC_PLAIN;
        const struct value *output = t->role == RNC_ROLE_OUTPUT ? g->outputs[t->offset].value : NULL;
        if (output) compare_one(c, "output", t->name, &plain, r->output[k], output);
        else if (is_state(t) && t->role != RNC_ROLE_COUNTER) {
            const struct value *want = graph_find(g, t->name);
            for (int u = 0; u < g->nupdates; u++)
                if (g->updates[u].state == want)
                    compare_one(c, "new state", t->name, &plain, r->state[k], g->updates[u].value);
        }
    }
}

/* The same bits? Of the real samples; the others are undefined. */
static void compare_bits(struct comparing *c, const struct result *a, const struct result *b, int threads)
{
    for (uint32_t k = 0; k < c->model->ntensors && !c->error; k++) {
        const struct rnc_tensor *t = &c->model->tensors[k];
        struct rnc_type plain = t->type;
        plain.layout = RNC_PLAIN;
        size_t bytes = rnc_plain_bytes(&plain),
               real = t->role == RNC_ROLE_OUTPUT
                          ? bytes / (size_t)rnc_elements(&plain) * (size_t)real_elements(c, &plain)
                          : bytes;
        if (a->output[k] && memcmp(a->output[k], b->output[k], real) != 0)
            fail(c, "output %s has other bits on %d threads than on one", t->name, threads);
        if (a->state[k] && memcmp(a->state[k], b->state[k], real) != 0)
            fail(c, "state %s has other bits on %d threads than on one", t->name, threads);
    }
}

static struct eval *interpreted(struct comparing *c, bool exact)
{
    struct eval *e = eval_new(c->graph, *c->run);
    c->plan->fill(c->plan->ctx, e);
    if (exact) eval_exact(e, true);
    eval_run(e, false);
    return e;
}

static void run_all(struct comparing *c)
{
    for (int k = 0; k < c->plan->nruns && !c->error; k++) {
        c->run = &c->plan->runs[k];
        c->samples = c->run->n;
        c->ref = interpreted(c, false);
        c->exact = c->plan->dtype == DT_BF16 ? interpreted(c, true) : NULL;
        struct result one = execute(c, 1);
        if (!c->error) compare_result(c, &one);
        for (int threads = 2; threads <= 3 && !c->error; threads++) {
            struct result more = execute(c, threads);
            if (!c->error) compare_bits(c, &one, &more, threads);
        }
        eval_free(c->ref);
        eval_free(c->exact);
    }
}

/* TEST_IR=1: the planned graph on the standard error (TEST_ERRORS=1: the error of everything that is compared). */
static void print_graph(struct graph *g)
{
    struct buf b;
    buf_init(&b, g->arena);
    graph_print(g, &b);
    fputs(b.data, stderr);
}

static const char *after_precision(const char *passes) { return strchr(strstr(passes, "precision"), ','); }

const char *compare_compiled(struct arena *a, const struct comparison_plan *plan)
{
    struct diags *d = diags_new(a);
    struct graph *g = graph_clone(a, plan->graph);
    struct comparing c = {.arena = a, .plan = plan, .planned = g, .graph = plan->graph};
    struct pass_context pc = {.arena = a,
                              .diags = d,
                              .target = *plan->target,
                              .winograd = plan->winograd,
                              .verify = true,
                              .dtype = plan->dtype};
    struct gen_options options = {.target = *plan->target, .threads = 1};
    struct program *p = NULL;
    const char *rest = plan->dtype == DT_BF16 ? after_precision(plan->passes) : plan->passes;
    if (!pass_run(g, &pc, arena_strndup(a, plan->passes, (size_t)(rest - plan->passes))))
        return printed_diagnostics(a, d, false);
    if (plan->dtype == DT_BF16)
        c.graph = graph_clone(a, g); /* whose values keep their ids: what fills the plan's graph fills this one */
    if (!pass_run(g, &pc, rest)) return printed_diagnostics(a, d, false);
    if (getenv("TEST_IR")) print_graph(g);
    p = gen_compile(g, &options, d);
    c.model = p ? program_load(p, d) : NULL;
    if (c.model) run_all(&c);
    else c.error = printed_diagnostics(a, d, false);
    if (p) program_free(p);
    return c.error;
}
