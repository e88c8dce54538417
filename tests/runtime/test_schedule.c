/* test_schedule.c: the learning rate of each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "runtime/recipe/schedule.h"
#include "tests/support/choice.h"

static void expect(const char *name, const char *settings, double lr, int64_t step, int64_t per_epoch, int64_t total,
                   double want)
{
    struct rnc_choice c = choice_of(&rnc_schedules, name, settings);
    double got = rnc_schedule_lr(&c, lr, step, per_epoch, total);
    if (fabs(got - want) > 1e-12)
        fail_msg("%s {%s}: step %d has %.17g, not %.17g", name, settings, (int)step, got, want);
}

static void warm_up(void **state)
{
    (void)state;
    for (int i = 0; i < rnc_schedules.n; i++) { /* every one has it */
        const struct rnc_row *row = rnc_kind_row(&rnc_schedules, i);
        expect(row->name, "warmup_epochs=1", 1.0, 0, 9, 90, 0.1);
        expect(row->name, "warmup_epochs=1", 1.0, 8, 9, 90, 0.9);
        expect(row->name, "warmup_epochs=1", 1.0, 9, 9, 90, 1.0);
        expect(row->name, "", 2.0, 0, 9, 90, 2.0);
        struct rnc_choice c = choice_of(&rnc_schedules, row->name, "warmup_epochs=20"); /* longer than the run */
        assert_true(rnc_schedule_lr(&c, 1.0, 89, 9, 90) < 1.0);
    }
}

static void shapes(void **state)
{
    (void)state;
    expect("constant", "", 0.5, 39, 10, 40, 0.5);
    expect("cosine", "", 1.0, 20, 10, 40, 0.5);
    expect("cosine", "", 1.0, 10, 10, 40, 0.5 + sqrt(0.125));
    expect("cosine", "warmup_epochs=1", 1.0, 25, 10, 40, 0.5);
    expect("linear", "", 2.0, 5, 10, 10, 1.0);
    expect("step", "milestones=2,3", 1.0, 19, 10, 40, 1.0);
    expect("step", "milestones=2,3", 1.0, 20, 10, 40, 0.1);
    expect("step", "milestones=2,3 gamma=0.5", 1.0, 30, 10, 40, 0.25);
}

/* PolynomialLR(total_iters=T, power=p) has base_lr · (1 − t/T)^p at step t; here T = 8, p = 0.9, by hand. */
static void polynomial(void **state)
{
    (void)state;
    const double want[] = {0.4,
                           0.35470494170288,
                           0.30875580268943,
                           0.26203059736724,
                           0.21435469250726,
                           0.16545813786331,
                           0.11486983549970,
                           0.06155722066725};
    for (int t = 0; t < 8; t++) {
        struct rnc_choice c = choice_of(&rnc_schedules, "polynomial", "power=0.9");
        assert_true(fabs(rnc_schedule_lr(&c, 0.4, t, 2, 8) - want[t]) < 1e-12);
    }
    expect("polynomial", "", 2.0, 5, 10, 10, 1.0); /* power 1: linear */
    expect("polynomial", "power=2 warmup_epochs=1", 1.0, 25, 10, 40, 0.25);
    expect("polynomial", "power=0", 1.0, 39, 10, 40, 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(warm_up), cmocka_unit_test(shapes),
                                       cmocka_unit_test(polynomial)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
