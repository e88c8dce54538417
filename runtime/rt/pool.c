/* pool.c: a persistent pool of threads for a parallel-for over fixed tasks.

   A job is open or closed, and counts the workers inside it, in one atomic word. A worker enters only while the job is
   open, so the caller, once the tasks are used up and the job is closed, waits for those inside and not for those who
   are still asleep. Each worker has a contiguous segment of the tasks and takes halves of what is left of it (so that a
   core meets the same rows from step to step); who has finished takes from the others. Which worker computes a task
   never changes a result. */
#include "runtime/rt/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/clock.h"
#include "runtime/rt/fpstate.h"

enum { LINE = 64, MAX_THREADS = 4096, SPIN_NS = 20000 };
#define ACTIVE_MASK UINT64_C(0xffff)
#define OPEN_BIT UINT64_C(0x10000)
#define GENERATION UINT64_C(0x20000)

struct segment {
    _Alignas(LINE) _Atomic int64_t next;
    int64_t end;
};

struct worker {
    struct rnc_pool *pool;
    pthread_t thread;
    int number;
};

struct rnc_pool {
    _Alignas(LINE) _Atomic uint64_t state; /* generation, open bit, workers inside */
    _Alignas(LINE) _Atomic int sleepers;   /* workers asleep, or about to be */
    _Atomic int caller_asleep;
    _Atomic bool stop;
    /* The job; written by the caller while no worker is inside. */
    _Alignas(LINE) void (*fn)(void *ctx, int64_t begin, int64_t end, int worker);
    void *ctx;
    struct segment *segments;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_mutex_t turn; /* one job at a time, if several threads share the pool */
    int threads, started;
    long spin_ns;
    struct worker *workers;
};

static inline void relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Half of what is left of the segment, at least one task; false when nothing is. */
static bool segment_take(struct segment *s, int64_t *begin, int64_t *end)
{
    int64_t at = atomic_load_explicit(&s->next, memory_order_relaxed);
    while (at < s->end) {
        int64_t take = (s->end - at + 1) / 2;
        if (atomic_compare_exchange_weak_explicit(&s->next, &at, at + take, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *begin = at;
            *end = at + take;
            return true;
        }
    }
    return false;
}

static void work_on(struct rnc_pool *p, int number)
{
    int64_t begin, end;
    for (int k = 0; k < p->threads; k++) {
        struct segment *s = &p->segments[(number + k) % p->threads];
        while (segment_take(s, &begin, &end)) p->fn(p->ctx, begin, end, number);
    }
}

/* True when there is an open job that is not SEEN; it is then entered and SEEN set. */
static bool try_enter(struct rnc_pool *p, uint64_t *seen)
{
    uint64_t s = atomic_load(&p->state);
    while ((s & OPEN_BIT) && s / GENERATION != *seen) {
        if (atomic_compare_exchange_weak(&p->state, &s, s + 1)) {
            *seen = s / GENERATION;
            return true;
        }
    }
    return false;
}

static void leave(struct rnc_pool *p)
{
    uint64_t old = atomic_fetch_sub(&p->state, 1);
    if ((old & ACTIVE_MASK) != 1 || (old & OPEN_BIT) || !atomic_load(&p->caller_asleep)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

/* Spins for a short while, then sleeps, until a job was entered (true) or the pool ends (false). */
static bool wait_for_work(struct rnc_pool *p, uint64_t *seen)
{
    if (p->spin_ns > 0) {
        int64_t until = rnc_clock_ns() + p->spin_ns;
        do {
            for (int k = 0; k < 16; k++) {
                if (try_enter(p, seen)) return true;
                relax();
            }
        } while (!atomic_load_explicit(&p->stop, memory_order_relaxed) && rnc_clock_ns() < until);
    }
    bool entered = false;
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!(entered = try_enter(p, seen)) && !atomic_load(&p->stop)) pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return entered;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    uint64_t seen = 0;
    rnc_fp_enter();
    while (wait_for_work(w->pool, &seen)) {
        work_on(w->pool, w->number);
        leave(w->pool);
    }
    return NULL;
}

static bool nobody_inside(struct rnc_pool *p) { return (atomic_load(&p->state) & ACTIVE_MASK) == 0; }

static void wait_for_workers(struct rnc_pool *p)
{
    if (p->spin_ns > 0) {
        int64_t until = rnc_clock_ns() + p->spin_ns;
        do {
            for (int k = 0; k < 16; k++) {
                if (nobody_inside(p)) return;
                relax();
            }
        } while (rnc_clock_ns() < until);
    }
    if (nobody_inside(p)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_asleep, 1);
    while (!nobody_inside(p)) pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_asleep, 0);
    pthread_mutex_unlock(&p->lock);
}

static void open_job(struct rnc_pool *p, int64_t count, void (*fn)(void *, int64_t, int64_t, int), void *ctx)
{
    p->fn = fn;
    p->ctx = ctx;
    for (int t = 0; t < p->threads; t++) {
        int64_t share = count / p->threads, rest = count % p->threads;
        int64_t begin = share * t + (t < rest ? t : rest);
        atomic_store_explicit(&p->segments[t].next, begin, memory_order_relaxed);
        p->segments[t].end = begin + share + (t < rest);
    }
    uint64_t s = atomic_load(&p->state);
    atomic_store(&p->state, (s / GENERATION + 1) * GENERATION | OPEN_BIT);
    if (atomic_load(&p->sleepers) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void pool_run(void *self, int64_t count, void (*fn)(void *ctx, int64_t begin, int64_t end, int worker),
                     void *ctx)
{
    struct rnc_pool *p = self;
    if (count <= 0) return;
    uint64_t fp = rnc_fp_enter();
    pthread_mutex_lock(&p->turn);
    if (p->threads == 1 || count == 1) {
        fn(ctx, 0, count, 0);
    } else {
        open_job(p, count, fn, ctx);
        work_on(p, 0);
        atomic_fetch_and(&p->state, ~OPEN_BIT);
        wait_for_workers(p);
    }
    pthread_mutex_unlock(&p->turn);
    rnc_fp_leave(fp);
}

static int cpus_allowed(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

/* Workers take no signals: Ctrl-C belongs to the program's own threads. */
static int start_workers(struct rnc_pool *p)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = 0;
    for (int t = 1; t < p->threads && !error; t++) {
        p->workers[t] = (struct worker){.pool = p, .number = t};
        error = pthread_create(&p->workers[t].thread, NULL, worker_main, &p->workers[t]);
        if (!error) p->started = t;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

struct rnc_pool *rnc_pool_new(int threads, struct rnc_status *s)
{
    int cpus = cpus_allowed();
    if (threads == 0) threads = cpus;
    if (threads < 1 || threads > MAX_THREADS) {
        rnc_fail(s, RNC_USER, "%d threads: between 1 and %d were expected", threads, MAX_THREADS);
        return NULL;
    }
    struct rnc_pool *p = aligned_alloc(LINE, (sizeof *p + LINE - 1) / LINE * LINE);
    if (!p) {
        rnc_fail(s, RNC_ENV, "no memory for a pool of %d threads", threads);
        return NULL;
    }
    memset(p, 0, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->turn, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = threads;
    p->spin_ns = threads > cpus ? 0 : SPIN_NS;
    p->segments = aligned_alloc(LINE, sizeof *p->segments * (size_t)threads);
    p->workers = calloc((size_t)threads, sizeof *p->workers);
    int error = 0;
    if (!p->segments || !p->workers || (error = start_workers(p)) != 0) {
        rnc_fail(s, RNC_ENV, "could not start %d threads: %s", threads, error ? strerror(error) : "no memory");
        rnc_pool_free(p);
        return NULL;
    }
    return p;
}

void rnc_pool_free(struct rnc_pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int t = 1; t <= p->started; t++) pthread_join(p->workers[t].thread, NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->turn);
    free(p->segments);
    free(p->workers);
    free(p);
}

struct rnc_parallel rnc_pool_parallel(struct rnc_pool *p)
{
    return (struct rnc_parallel){.run = pool_run, .self = p, .workers = p->threads};
}

int rnc_pool_threads(const struct rnc_pool *p) { return p->threads; }
