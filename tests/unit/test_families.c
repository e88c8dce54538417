/* test_families.c: the tables of kernel families and of convolution algorithms are whole, and say what others rely on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/target.h"
#include "ir/op.h"
#include "kernel/algorithm.h"
#include "kernel/policy.h"

static bool is_in_table(const struct kernel_family *f)
{
    for (int i = 0; family_all[i]; i++)
        if (family_all[i] == f) return true;
    return false;
}

static bool has_operator(const struct kernel_family *f)
{
    for (const struct op_def *const *op = op_all(); *op; op++)
        if ((*op)->family == f) return true;
    return false;
}

static void test_families(void **state)
{
    (void)state;
    for (const struct op_def *const *op = op_all(); *op; op++) {
        assert_true(is_in_table((*op)->family));
        if ((*op)->sums_samples) assert_int_equal(op_remake(*op), REMAKE_NEVER);
    }
    for (int i = 0; family_all[i]; i++) {
        const struct kernel_family *f = family_all[i];
        if (!has_operator(f)) fail_msg("no operator is of the family %s", f->name);
        assert_false(f->elementwise && (f->takes_body || f->sums));
        assert_int_equal(f->elementwise, f->result == LAID_ALIKE);
        for (int k = 0; k < i; k++) assert_string_not_equal(f->name, family_all[k]->name);
    }
}

/* An operator with prologues is of a family that takes some, and the other way round. */
static void test_prologues(void **state)
{
    (void)state;
    for (const struct op_def *const *op = op_all(); *op; op++)
        if ((*op)->prologues) assert_non_null((*op)->family->reads_pre);
}

/* The choices of the attribute are the rows that can compute the operator's direction, in the table's order. */
static void check_choices(const struct op_def *op)
{
    int k = op_attr_index(op, "algorithm"), count = 0;
    if (k < 0) return;
    const char *const *choice = op->attrs[k].choices;
    for (const struct algorithm *a = algorithm_all(); a->name; a++) {
        if (!a->stride[op->direction]) continue;
        assert_non_null(choice[count]);
        assert_string_equal(choice[count++], a->name);
    }
    assert_null(choice[count]);
}

static void test_choices(void **state)
{
    (void)state;
    for (const struct op_def *const *op = op_all(); *op; op++) check_choices(*op);
}

/* A row says what is legal, and only the tiles of rows are those of transformed weights. */
static void test_rows(void **state)
{
    (void)state;
    assert_string_equal(algorithm_all()->name, "direct");
    assert_null(algorithm_all()->method->computes);
    for (const struct algorithm *a = algorithm_all(); a->name; a++) {
        assert_true(a->method->terms && a->method->cost && a->method->effort >= 1);
        assert_int_equal(a->tile > 0, a->method->transformed != NULL);
        if (a->tile) assert_true(algorithm_has_tile(a->tile, a->stride[CONV_FORWARD]));
    }
    assert_false(algorithm_has_tile(3, 1) || algorithm_has_tile(0, 1) || algorithm_has_tile(7, 1));
    assert_true(algorithm_has_tile(4, 2) && !algorithm_has_tile(2, 2));
}

/* Plans know lanes alone: all CPUs of so many have as many registers. */
static void test_registers(void **state)
{
    (void)state;
    for (const struct target_cpu *c = target_cpus(); c->name; c++)
        if (c->registers != policy_registers(c->lanes)) fail_msg("%s has %d registers", c->name, c->registers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_families), cmocka_unit_test(test_prologues),
                                       cmocka_unit_test(test_choices), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_registers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
