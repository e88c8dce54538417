/* The pool: every task exactly once, results independent of the number of threads, the caller's floating-point state
   kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/rt/fpstate.h"
#include "runtime/rt/pool.h"

struct marks {
    _Atomic int *count;
    int workers;
};

static void mark(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct marks *m = ctx;
    assert_true(worker >= 0 && worker < m->workers);
    for (int64_t k = begin; k < end; k++) atomic_fetch_add(&m->count[k], 1);
}

static void check_every_task_once(int threads, int64_t count, int jobs)
{
    struct rnc_status s = {0};
    struct rnc_pool *p = rnc_pool_new(threads, &s);
    assert_non_null(p);
    struct rnc_parallel par = rnc_pool_parallel(p);
    struct marks m = {calloc((size_t)count + 1, sizeof(_Atomic int)), par.workers};
    for (int j = 0; j < jobs; j++) par.run(par.self, count, mark, &m);
    for (int64_t k = 0; k < count; k++) assert_int_equal(m.count[k], jobs);
    free(m.count);
    rnc_pool_free(p);
}

static void every_task_once(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    static const int64_t counts[] = {0, 1, 2, 3, 7, 64, 1001};
    for (size_t t = 0; t < 4; t++)
        for (size_t c = 0; c < 7; c++) check_every_task_once(threads[t], counts[c], 50);
}

static void sleeps_and_wakes(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_pool *p = rnc_pool_new(3, &s);
    struct rnc_parallel par = rnc_pool_parallel(p);
    struct marks m = {calloc(100, sizeof(_Atomic int)), par.workers};
    for (int j = 0; j < 20; j++) {
        par.run(par.self, 100, mark, &m);
        if (j % 4 == 0) usleep(2000);
    }
    for (int k = 0; k < 100; k++) assert_int_equal(m.count[k], 20);
    free(m.count);
    rnc_pool_free(p);
}

/* Plain (not atomic) data written by workers is seen by the caller: what TSan checks here. */
static void fill(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t k = begin; k < end; k++) ((double *)ctx)[k] = (double)k * 0.5;
}

static void results_are_visible(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_pool *p = rnc_pool_new(4, &s);
    struct rnc_parallel par = rnc_pool_parallel(p);
    double x[257];
    for (int j = 0; j < 200; j++) {
        memset(x, 0, sizeof x);
        par.run(par.self, 257, fill, x);
        for (int k = 0; k < 257; k++) assert_true(x[k] == k * 0.5);
    }
    rnc_pool_free(p);
}

static void denormal(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    volatile float tiny = 1e-30f;
    for (int64_t k = begin; k < end; k++) ((float *)ctx)[k] = tiny * 1e-10f;
}

static void flushes_denormals_and_restores(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    struct rnc_pool *p = rnc_pool_new(2, &s);
    struct rnc_parallel par = rnc_pool_parallel(p);
    float x[64];
    par.run(par.self, 64, denormal, x);
    for (int k = 0; k < 64; k++) assert_true(x[k] == 0.0f);
    volatile float tiny = 1e-30f, product = tiny * 1e-10f;
    assert_true(product != 0.0f);
    rnc_pool_free(p);
}

static void refuses_wrong_counts(void **state)
{
    (void)state;
    struct rnc_status s = {0};
    assert_null(rnc_pool_new(-1, &s));
    assert_int_equal(s.code, RNC_USER);
    rnc_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_once),      cmocka_unit_test(sleeps_and_wakes),
        cmocka_unit_test(results_are_visible),  cmocka_unit_test(flushes_denormals_and_restores),
        cmocka_unit_test(refuses_wrong_counts),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
