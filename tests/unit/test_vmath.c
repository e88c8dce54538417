/* test_vmath.c: the vector exp, log, tanh and erf of generated code against libm in double, over the whole range of
   f32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gen/emit/expr.h"
#include "gen/gen.h"
#include "gen/module/lowering.h"

enum { COUNT = 1 << 16 };

struct function {
    const char *name;
    V (*emit)(struct emit *, V);
    double (*exact)(double);
    double ulps;
};
static const struct function functions[] = {
    {"exp", e_exp, exp, 2},
    {"log", e_log, log, 2},
    {"tanh", e_tanh, tanh, 4},
    {"erf", e_erf, erf, 4},
};

struct vmath_params {
    int32_t function;
};

/* args: x, y: COUNT floats */
static void emit_map(struct emit *e, const void *params)
{
    const struct vmath_params *p = params;
    V x = e_arg(e, 0), y = e_arg(e, 1);
    struct loop l;
    loop_begin_once(e, &l, e_int(e, 0), e_int(e, COUNT), e->v, 0, NULL);
    e_store_v(e, functions[p->function].emit(e, e_load_v(e, e_at(e, x, l.iv))), e_at(e, y, l.iv));
    loop_end(e, &l, NULL);
}

static struct program *compile(struct arena *a, struct diags *d, const struct function *f)
{
    struct target t;
    target_host(&t);
    assert_true(gen_target_init(&t, d));
    struct lower lo = {.arena = a, .graph = graph_new(a, "vmath", 1), .target = &t, .ident = "vmath"};
    struct vmath_params p = {(int32_t)(f - functions)};
    struct lower_step_row step = {.kernel = lower_kernel(&lo, f->name, emit_map, &p, sizeof p), .tasks = 1};
    lo.steps = &step;
    lo.nsteps = 1;
    struct gen_options o = {.target = t, .threads = 1};
    return lower_compile(&lo, &o, d);
}

static float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Distance in units of the last place of the exact result's f32. Denormal results may be flushed. */
static double distance(double exact, float got)
{
    if (isnan(exact)) return isnan(got) ? 0 : INFINITY;
    float rounded = (float)exact;
    if (isinf(rounded)) return got == rounded ? 0 : fabs((double)got) > 3.4e38 ? 1 : INFINITY;
    int exponent;
    frexp(exact, &exponent);
    double ulp = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
    if (fabs(exact) < 0x1p-126 && got == 0) return 0;
    return fabs((double)got - exact) / ulp;
}

static void check(const struct function *f)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct program *program = compile(a, d, f);
    assert_non_null(program);
    const struct rnc_model *m = program_load(program, d);
    assert_non_null(m);
    float *x = aligned_alloc(64, COUNT * sizeof *x), *y = aligned_alloc(64, COUNT * sizeof *y), worst_at = 0;
    void *args[] = {x, y};
    struct rnc_run run = {.n = 1};
    double worst = 0;
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
        for (int i = 0; i < COUNT; i++, bits += 1021)
            x[i] = from_bits((uint32_t)bits); /* wraps at the very end: harmless */
        static const float special[] = {0,  -0.0f,     INFINITY, -INFINITY, NAN,    1,
                                        -1, 88.72284f, -104,     0x1p-126f, 0.625f, 0.927734375f};
        memcpy(x, special, sizeof special);
        m->steps[0].kernel(args, &run, NULL, 0, 1);
        for (int i = 0; i < COUNT; i++) {
            if (fabsf(x[i]) > 0 && fabsf(x[i]) < 0x1p-126f) continue;
            double off = distance(f->exact(x[i]), y[i]);
            if (off <= worst) continue;
            worst = off;
            worst_at = x[i];
        }
    }
    printf("%s: at most %.2f ulp, at %a\n", f->name, worst, (double)worst_at);
    assert_true(worst <= f->ulps);
    free(x);
    free(y);
    program_free(program);
    arena_free(a);
}

static void test_exp(void **state)
{
    (void)state;
    check(&functions[0]);
}
static void test_log(void **state)
{
    (void)state;
    check(&functions[1]);
}
static void test_tanh(void **state)
{
    (void)state;
    check(&functions[2]);
}
static void test_erf(void **state)
{
    (void)state;
    check(&functions[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exp), cmocka_unit_test(test_log),
                                       cmocka_unit_test(test_tanh), cmocka_unit_test(test_erf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
