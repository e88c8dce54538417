/* bench.c: see bench.h. */
#include "driver/bench.h"
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "gen/module/trim.h"
#include "measure/baseline.h"
#include "measure/rss.h"
#include "runtime/rt/clock.h"

enum { MIN_RUNS = 7, MAX_RUNS = 20000, MAX_PEAKS = 2000, PEAKS_A_ROUND = 6, LAYER_RUNS = 512 };

struct samples {
    double *ms;
    bool *calm;
    int count;
};

struct job {
    struct driver *d;
    const struct bench_options *o;
    struct bench *b;
    struct session session;
    void **in, **out;
    int64_t step;
    struct samples runs;
    int most;                           /* runs that there is room for */
    float *node_ms;                     /* [run][node], where layers are asked for */
    double peaks[MAX_PEAKS], best_peak; /* the calm ones; the best of all */
    int npeaks;
};

/* ---- noise */

/* Milliseconds that all threads of this process have waited for a processor: /proc/self/task/N/schedstat, second field.
 */
static double waited_ms(void)
{
    DIR *d = opendir("/proc/self/task");
    double total = 0;
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        char path[320];
        unsigned long long ran, waited;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!f) continue;
        if (fscanf(f, "%llu %llu", &ran, &waited) == 2) total += (double)waited * 1e-6;
        fclose(f);
    }
    closedir(d);
    return total;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int count, double q)
{
    if (!count) return NAN;
    double at = q * (count - 1);
    int i = (int)at;
    return i + 1 < count ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[count - 1];
}

/* ---- running */

static bool open_instance(struct job *j, unsigned flags)
{
    struct open_options o = {.weights = j->o->weights, .perturb = true, .flags = flags};
    return driver_open(j->d, &j->b->built, &o, &j->session);
}

static bool execute(struct job *j, const struct rnc_observer *o)
{
    struct rnc_run run = {.n = j->b->built.model->batch, .step = ++j->step, .seed = j->d->options.seed, .lr = 1e-6};
    struct rnc_status s = {0};
    return rnc_execute(j->session.instance, &run, (const void *const *)j->in, j->out, o, &s) || driver_fail(j->d, &s);
}

/* A sample counts only if the threads waited little. */
static bool was_calm(const struct job *j, double waited, double ms)
{
    return waited_ms() - waited <= 0.02 * ms * j->session.par.workers;
}

/* Short samples: a long one is never calm on a machine that others use too. */
static void measure_peak(struct job *j, const struct gen_peak *peak)
{
    for (int i = 0; i < PEAKS_A_ROUND && j->npeaks < MAX_PEAKS; i++) {
        double waited = waited_ms(), start = rnc_clock_ms(), gflops = gen_peak_measure(peak, &j->session.par, 0.0015);
        if (gflops > j->best_peak) j->best_peak = gflops;
        if (was_calm(j, waited, rnc_clock_ms() - start)) j->peaks[j->npeaks++] = gflops;
    }
}

static void after_node(void *ctx, uint32_t node, double seconds)
{
    struct job *j = ctx;
    j->node_ms[(size_t)j->runs.count * j->b->layers.count + node] += (float)(seconds * 1e3);
}

static bool timed_run(struct job *j)
{
    struct rnc_observer o = {after_node, j};
    double waited = waited_ms(), start = rnc_clock_ms();
    bool ok = execute(j, j->node_ms ? &o : NULL);
    double ms = rnc_clock_ms() - start;
    if (!ok) return false;
    j->runs.ms[j->runs.count] = ms;
    j->runs.calm[j->runs.count++] = was_calm(j, waited, ms);
    return true;
}

/* After COUNT runs: a time that was given is a bound, kept by all but the first run; the usual one is for a few at
 * least.
 */
static bool may_go_on(const struct job *j, double end, int count)
{
    return count == 0 || rnc_clock_ms() < end || (!j->o->bounded && count < MIN_RUNS);
}

/* Room for the times of all runs; of each node, too, where layers are asked for. */
static void make_room(struct job *j)
{
    bool layers = j->o->layers || j->o->baseline;
    j->most = layers ? LAYER_RUNS : MAX_RUNS;
    j->runs.ms = ARENA_ARRAY(j->d->arena, double, j->most);
    j->runs.calm = ARENA_ARRAY(j->d->arena, bool, j->most);
    if (!layers) return;
    j->b->layers.count = j->b->built.model->nnodes;
    j->node_ms = ARENA_ARRAY(j->d->arena, float, (size_t)j->most * j->b->layers.count + 1);
}

/* Peak and runs alternate, so that both see the same machine. */
static bool measure(struct job *j, const struct gen_peak *peak)
{
    double end = rnc_clock_ms() + j->o->seconds * 1e3;
    make_room(j);
    if (!execute(j, NULL) || (may_go_on(j, end, 1) && !execute(j, NULL))) return false;
    j->b->rss.whole = rss_peak();
    rss_peak_reset();
    while (may_go_on(j, end, j->runs.count)) {
        measure_peak(j, peak);
        double until = rnc_clock_ms() + 50;
        do {
            if (!timed_run(j)) return false;
        } while (rnc_clock_ms() < until && j->runs.count < j->most && may_go_on(j, end, j->runs.count));
        if (j->runs.count == j->most) break;
    }
    return true;
}

static void evaluate(struct job *j)
{
    double *ms = ARENA_ARRAY(j->d->arena, double, j->runs.count + 1);
    for (int i = 0; i < j->runs.count; i++)
        if (j->runs.calm[i]) ms[j->b->counted++] = j->runs.ms[i];
    if (j->b->counted < 5) { /* a machine that is never calm: better noisy figures than none */
        memcpy(ms, j->runs.ms, (size_t)j->runs.count * sizeof *ms);
        j->b->disturbed = j->b->counted < j->runs.count;
        j->b->counted = j->runs.count;
    }
    j->b->dropped = j->runs.count - j->b->counted;
    qsort(ms, (size_t)j->b->counted, sizeof *ms, by_value);
    j->b->median = quantile(ms, j->b->counted, 0.5);
    j->b->min = ms[0];
    j->b->p95 = quantile(ms, j->b->counted, 0.95);
    qsort(j->peaks, (size_t)j->npeaks, sizeof *j->peaks, by_value);
    j->b->peak = j->npeaks >= 5 ? quantile(j->peaks, j->npeaks, 0.5) : j->best_peak;
    for (uint32_t i = 0; i < j->b->built.model->nnodes; i++) {
        j->b->flops += (double)j->b->built.model->nodes[i].flops;
        j->b->executed += (double)j->b->built.model->nodes[i].executed_flops;
    }
}

/* ---- layer by layer */

/* The sum of node I's times (-1: of the whole runs) in runs [FROM, TO) of those in ORDER. */
static double sum_of(const struct job *j, const int *order, int from, int to, int64_t i)
{
    double sum = 0;
    for (int k = from; k < to; k++)
        sum += i < 0 ? j->runs.ms[order[k]] : (double)j->node_ms[(size_t)order[k] * j->b->layers.count + (size_t)i];
    return sum;
}

/* The runs that count, into ORDER, the fastest first. */
static void in_order(const struct job *j, int *order)
{
    int count = 0;
    for (int i = 0; i < j->runs.count; i++) {
        if (!j->runs.calm[i] && !j->b->disturbed) continue;
        int at = count++;
        for (; at > 0 && j->runs.ms[order[at - 1]] > j->runs.ms[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Each node's share of the middle half of the runs is its share of the median: so the rows, and what lies between them,
   add up to it. */
static void share_out(struct job *j)
{
    struct layers *l = &j->b->layers;
    if (!l->count) return;
    int *order = ARENA_ARRAY(j->d->arena, int, j->runs.count + 1), from = j->b->counted / 4, to = j->b->counted - from;
    in_order(j, order);
    double per_ms = j->b->median / sum_of(j, order, from, to, -1);
    l->row = ARENA_ARRAY(j->d->arena, struct layer, l->count);
    l->between = j->b->median;
    for (uint32_t i = 0; i < l->count; i++) {
        struct layer *r = &l->row[i];
        r->ms = sum_of(j, order, from, to, i) * per_ms;
        r->min = sum_of(j, order, 0, 1, i);
        for (int k = 1; k < j->b->counted; k++) r->min = fmin(r->min, sum_of(j, order, k, k + 1, i));
        l->between -= r->ms;
    }
    l->between = fmax(l->between, 0);
}

/* Which part of the machine bounds each layer. After evaluate, for the peak, which is at least what the runs and each
   of the nodes reached: a processor's clock differs from one moment to the next. */
static void explain_layers(struct job *j, const struct gen_peak *peak)
{
    struct layers *l = &j->b->layers;
    l->peak = j->b->peak = fmax(j->b->peak, j->b->executed / j->b->median * 1e-6);
    if (!l->count) return;
    share_out(j);
    roofline_measure(&l->roofline, peak, &j->b->built.target, &j->session.par);
    layers_explain(l, j->b->built.graph, j->b->built.model);
    j->b->peak = l->peak;
}

static bool measure_baseline(struct job *j)
{
    const struct baseline_of of = {&j->b->built.target, j->b->built.raw, j->b->built.model};
    const double *ms = baseline_measure(j->d->arena, j->d->diags, &of, &j->b->blas_core);
    for (uint32_t i = 0; ms && i < j->b->layers.count; i++) j->b->layers.row[i].im2col_ms = ms[i] > 0 ? ms[i] : 0;
    return j->b->layers.im2col = ms != NULL;
}

/* The reference wants the parameters as they were given, and what was measured has kept none that its kernels read in
   another form. */
static bool reopen(struct job *j)
{
    if (j->b->built.model->nprepares == 0) return true;
    session_close(&j->session);
    return open_instance(j, RNC_EXEC_KEEP);
}

/* ---- all of it */

static bool check_result(struct job *j)
{
    struct check_options o = {.in = (const void *const *)j->in, .out = j->out, .whole = j->o->whole};
    if (!reopen(j)) return false;
    driver_progress(j->d, DRIVER_CHECKING, 0, 1);
    bool ok = driver_check(j->d, &j->b->built, &j->session, &o, &j->b->wrong);
    driver_progress(j->d, DRIVER_CHECKING, 1, 1);
    return ok;
}

/* The peak's loop is compiled before the session is opened, which gives back what compiling has taken. */
static bool open_all(struct job *j, const struct spec *s, struct gen_peak **peak)
{
    struct model_options o = {.mode = j->o->mode};
    if (!driver_compile(j->d, s, &o, &j->b->built)) return false;
    *peak = gen_peak_new(&j->b->built.target, j->b->built.spec->dtype, j->d->diags);
    return *peak && open_instance(j, 0);
}

static bool measure_all(struct job *j, const struct gen_peak *peak)
{
    struct bench *b = j->b;
    j->in = driver_random_inputs(j->d, &b->built);
    j->out = driver_outputs(j->d, &b->built);
    b->threads = j->session.par.workers;
    driver_progress(j->d, DRIVER_MEASURING, 0, 1);
    bool ok = measure(j, peak);
    driver_progress(j->d, DRIVER_MEASURING, 1, 1);
    /* Before the check, and before anything calls LLVM again: the reference's memory is not the model's. */
    b->rss.run = rss_peak();
    if (b->rss.run > b->rss.whole) b->rss.whole = b->rss.run;
    if (ok) evaluate(j);
    if (ok) explain_layers(j, peak);
    return ok;
}

bool driver_bench(struct driver *d, const struct spec *s, const struct bench_options *o, struct bench *b)
{
    struct job *j = ARENA_NEW(d->arena, struct job);
    struct gen_peak *peak = NULL;
    *j = (struct job){.d = d, .o = o, .b = b};
    *b = (struct bench){0};
    if (!o->idle_bytes) gen_trim();
    b->rss.idle = o->idle_bytes ? o->idle_bytes : rss_now();
    bool ok = open_all(j, s, &peak) && measure_all(j, peak);
    gen_peak_free(peak);
    ok = ok && (!o->baseline || measure_baseline(j)) && check_result(j);
    session_close(&j->session);
    return ok;
}

void bench_free(struct bench *b) { driver_release(&b->built); }
