/* peak.c: what the machine gives at most: the FMA peak, and bytes streamed from a buffer. The first is one kernel: as
   many independent accumulators as the registers hold (24 of 32, or 12 of 16), which is more than latency times
   throughput on any CPU of today, each multiplied and added to over and over. It runs in the same process and on the
   same pool as what it is compared with. */
#include <stdlib.h>
#include <string.h>
#include "gen/emit/emit.h"
#include "gen/gen.h"
#include "gen/module/lowering.h"
#include "runtime/rt/clock.h"

enum { UNROLL = 4, TRIPS = 4096, TASKS = 8, MAX_ACCUMULATORS = 24, STREAMS = 8, CHUNK = 4096 /* floats */ };

struct peak_params {
    int32_t accumulators;
    int32_t dtype, group; /* of the products; how many of them one instruction takes */
};

struct gen_peak {
    struct program *program;
    rnc_kernel *kernel, *read, *copy;
    double flops; /* of one task */
    size_t lanes;
};

/* x = x·a + b with a and b from memory, so that nothing folds; a = 0.5 keeps x finite and normal. Of pairs, x += a·b.
 */
static void emit_peak(struct emit *e, const void *params)
{
    const struct peak_params *p = params;
    V a = e_load_v(e, e->scratch), b = e_load_v(e, e_ati(e, e->scratch, e->v));
    V acc[MAX_ACCUMULATORS],
        pairs[2] = {LLVMBuildBitCast(e->b, a, e->vi32, ""), LLVMBuildBitCast(e->b, b, e->vi32, "")};
    struct loop tasks, trips;
    for (int i = 0; i < p->accumulators; i++) acc[i] = e_fmul(e, b, e_splatc(e, 1.0 + i));
    loop_begin(e, &tasks, e->begin, e->end, 1, p->accumulators, acc);
    loop_begin_once(e, &trips, e_int(e, 0), e_int(e, TRIPS), 1, p->accumulators, tasks.phi);
    memcpy(acc, trips.phi, sizeof acc);
    for (int u = 0; u < UNROLL; u++)
        for (int i = 0; i < p->accumulators; i++)
            acc[i] = p->group > 1 ? e_dot(e, (enum dtype)p->dtype, acc[i], pairs[0], pairs[1]) : e_fma(e, acc[i], a, b);
    loop_end(e, &trips, acc);
    loop_end(e, &tasks, trips.out);
    V sum = tasks.out[0];
    for (int i = 1; i < p->accumulators; i++) sum = e_fadd(e, sum, tasks.out[i]);
    e_store_v(e, sum, e_ati(e, e->scratch, 2 * e->v));
}

/* The sum of chunks [begin, end) of args[0]: eight vectors a trip, each into a sum of its own. */
static void emit_read(struct emit *e, const void *params)
{
    V from = e_arg(e, 0), acc[STREAMS];
    struct loop trips;
    (void)params;
    for (int i = 0; i < STREAMS; i++) acc[i] = e_zero(e);
    loop_begin(e, &trips, e_muli(e, e->begin, CHUNK), e_muli(e, e->end, CHUNK), STREAMS * e->v, STREAMS, acc);
    for (int i = 0; i < STREAMS; i++)
        acc[i] = e_fadd(e, trips.phi[i], e_load_va(e, e_ati(e, e_at(e, from, trips.iv), i * e->v)));
    loop_end(e, &trips, acc);
    V sum = trips.out[0];
    for (int i = 1; i < STREAMS; i++) sum = e_fadd(e, sum, trips.out[i]);
    e_store_v(e, sum, e->scratch);
}

/* Chunks [begin, end) of args[0] to args[1]. */
static void emit_copy(struct emit *e, const void *params)
{
    V from = e_arg(e, 0), to = e_arg(e, 1), x[STREAMS];
    struct loop trips;
    (void)params;
    loop_begin(e, &trips, e_muli(e, e->begin, CHUNK), e_muli(e, e->end, CHUNK), STREAMS * e->v, 0, NULL);
    for (int i = 0; i < STREAMS; i++) x[i] = e_load_va(e, e_ati(e, e_at(e, from, trips.iv), i * e->v));
    for (int i = 0; i < STREAMS; i++) e_store_va(e, x[i], e_ati(e, e_at(e, to, trips.iv), i * e->v));
    loop_end(e, &trips, NULL);
}

struct gen_peak *gen_peak_new(const struct target *t, enum dtype dt, struct diags *d)
{
    struct arena *a = arena_new();
    struct lower lo = {.arena = a, .graph = graph_new(a, "peak", 1), .target = t, .ident = "peak"};
    struct peak_params params = {t->registers >= 32 ? 24 : 12, (int32_t)dt, (int32_t)dtype_fast_group(dt, t)};
    struct lower_step_row steps[] = {
        {.kernel = lower_kernel(&lo, "fma", emit_peak, &params, sizeof params), .tasks = 1},
        {.kernel = lower_kernel(&lo, "read", emit_read, &params, sizeof params), .tasks = 1},
        {.kernel = lower_kernel(&lo, "copy", emit_copy, &params, sizeof params), .tasks = 1}};
    lo.steps = steps;
    lo.nsteps = sizeof steps / sizeof *steps;
    struct gen_options o = {.target = *t, .threads = 1};
    struct gen_peak *p = calloc(1, sizeof *p);
    if (p) p->program = lower_compile(&lo, &o, d);
    else diag_env(d, "out of memory");
    arena_free(a);
    const struct rnc_model *m = p && p->program ? program_load(p->program, d) : NULL;
    if (!m) {
        gen_peak_free(p);
        return NULL;
    }
    p->kernel = m->steps[0].kernel;
    p->read = m->steps[1].kernel;
    p->copy = m->steps[2].kernel;
    p->lanes = (size_t)t->lanes;
    p->flops = 2.0 * params.group * t->lanes * params.accumulators * (double)UNROLL * (double)TRIPS;
    return p;
}

static void run_tasks(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct gen_peak *p = ctx;
    _Alignas(64) float scratch[3 * 16];
    struct rnc_run run = {.n = 1};
    (void)worker;
    for (size_t i = 0; i < p->lanes; i++) {
        scratch[i] = 0.5f;
        scratch[p->lanes + i] = 1.0f;
    }
    p->kernel(NULL, &run, scratch, begin, end);
}

double gen_peak_measure(const struct gen_peak *p, const struct rnc_parallel *par, double seconds)
{
    int64_t tasks = (par ? par->workers : 1) * TASKS, done = 0;
    void *self = (void *)(uintptr_t)p;
    double start = rnc_clock_seconds(), elapsed;
    do {
        if (par) par->run(par->self, tasks, run_tasks, self);
        else run_tasks(self, 0, tasks, 0);
        done += tasks;
        elapsed = rnc_clock_seconds() - start;
    } while (elapsed < seconds);
    return (double)done * p->flops / elapsed * 1e-9;
}

/* A window of the buffer; each worker has a share of it and goes through that several times, so that what fits its
   cache stays there. */
struct stream {
    rnc_kernel *kernel;
    char *from, *to;
    int64_t first, chunks, shares, times;
};

static void run_stream(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct stream *s = ctx;
    void *const args[] = {s->from, s->to};
    _Alignas(64) float scratch[MAX_LANES];
    struct rnc_run run = {.n = 1};
    (void)worker;
    for (int64_t share = begin; share < end; share++)
        for (int64_t k = 0; k < s->times; k++)
            s->kernel(args, &run, scratch, s->first + share * s->chunks / s->shares,
                      s->first + (share + 1) * s->chunks / s->shares);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Windows are short, and follow each other through the whole buffer: where other programs take the processor now and
   then, three in four are disturbed at the most. */
double gen_peak_stream(const struct gen_peak *p, const struct rnc_parallel *par, void *buffer, size_t bytes, bool copy,
                       double seconds)
{
    enum { SAMPLES = 256, WINDOW = (8 << 20) / (CHUNK * 4) };
    size_t half = copy ? bytes / 2 / (CHUNK * sizeof(float)) * (CHUNK * sizeof(float)) : bytes;
    struct stream s = {.kernel = copy ? p->copy : p->read,
                       .from = buffer,
                       .to = (char *)buffer + half,
                       .shares = par ? par->workers : 1};
    int64_t all = (int64_t)(half / (CHUNK * sizeof(float)));
    double rate[SAMPLES], start = rnc_clock_seconds(), last = start;
    int n = 0;
    if (all == 0) return 0;
    s.chunks = all < WINDOW ? all : WINDOW;
    s.times = all < WINDOW ? WINDOW / all + 1 : 1;
    for (; n < SAMPLES && (n < 4 || last - start < seconds);
         s.first = s.first + 2 * s.chunks <= all ? s.first + s.chunks : 0) {
        if (par) par->run(par->self, s.shares, run_stream, &s);
        else run_stream(&s, 0, s.shares, 0);
        double at = rnc_clock_seconds(), took = at - last;
        rate[n++] = took > 0 ? (double)(s.chunks * CHUNK * s.times) * sizeof(float) * (copy ? 2 : 1) / took * 1e-9 : 0;
        last = at;
    }
    qsort(rate, (size_t)n, sizeof *rate, by_value);
    return rate[n * 3 / 4];
}

void gen_peak_free(struct gen_peak *p)
{
    if (!p) return;
    program_free(p->program);
    free(p);
}
