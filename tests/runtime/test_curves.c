/* test_curves.c: what a reader of curves.svg sees: wild steps at the start do not flatten the rest, and the best epoch
   has its ring. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "runtime/task/task.h"
#include "runtime/train/history.h"
#include "tests/support/scratch.h"

enum { EPOCHS = 4, STEPS = 25 };
static const char orange[] = "stroke:rgb(89%,42%,10%)",
                  validation[] = "stroke-width:2;stroke-linecap:butt;stroke-linejoin:round;stroke:rgb(89%,42%,10%)";

static const struct rnc_metric loss = {"loss", "", .lower = true, .loss = true},
                               miou = {"miou", "", .title = "mIoU", .fraction = true};
static const struct rnc_column columns[] = {{.name = "loss", .metric = &loss}, {.name = "miou", .metric = &miou}};

/* The picture of a run whose first WILD steps have a loss of 5000, by the column PRIMARY; the caller frees it. */
static char *picture(int wild, int primary)
{
    const struct rnc_problem problem = {.column = columns, .ncolumns = 2, .primary = primary};
    struct rnc_history h = {.problem = &problem, .unit = "images", .steps_per_epoch = STEPS};
    struct rnc_status s = {0};
    size_t bytes;
    for (int64_t k = 0; k < EPOCHS * STEPS; k++) {
        const struct rnc_step_row r = {k + 1, 0.1, k < wild ? 5000.0f : 2.0f - 0.01f * (float)k, 0.5f};
        assert_true(rnc_history_add_step(&h, &r, &s));
    }
    for (int64_t k = 1; k <= EPOCHS; k++) {
        const double v = 2.0 - 0.4 * (double)k;
        double val[] = {v, k == 3 ? 0.9 : 0.2 * (double)k};
        const struct rnc_epoch_row r = {.epoch = k, .step = k * STEPS, .val_loss = v, .val = val};
        assert_true(rnc_history_add_epoch(&h, &r, &s));
    }
    assert_true(rnc_curves_draw(&h, in_scratch(""), "a run", &s));
    rnc_history_free(&h);
    return read_file(in_scratch("curves.svg"), &bytes);
}

/* How far down and up the first line of validation goes, in points. */
static double extent(const char *svg)
{
    const char *line = strstr(svg, validation), *d = line ? strstr(line, " d=\"M ") : NULL;
    double low = INFINITY, high = -INFINITY, x, y;
    int used;
    assert_non_null(d);
    for (const char *p = d + 6; sscanf(p, "%lf %lf%n", &x, &y, &used) == 2; p += used, p += strspn(p, " L")) {
        low = fmin(low, y);
        high = fmax(high, y);
    }
    return high - low;
}

static void wild_steps_are_cut(void **state)
{
    (void)state;
    for (int wild = 0; wild <= 3; wild++) {
        char *svg = picture(wild, 1);
        assert_true(extent(svg) > 60.0);
        free(svg);
    }
}

/* A ring is a stroke with curves; the dots are filled, and lines have none. */
static void best_is_marked(void **state)
{
    (void)state;
    for (int primary = 0; primary < 2; primary++) {
        char *svg = picture(0, primary);
        int rings = 0;
        for (const char *p = svg; (p = strstr(p, orange)); p += sizeof orange)
            rings += strchr(p, 'C') != NULL && strchr(p, 'C') < strchr(p, '>');
        assert_int_equal(rings, 1);
        free(svg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wild_steps_are_cut), cmocka_unit_test(best_is_marked)};
    scratch_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return failed;
}
