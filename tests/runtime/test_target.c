/* test_target.c: what labels and masks become: maps of the target's size, classes by number or by name, zeros and ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/data/sample_target.h"
#include "tests/support/scratch.h"

static struct rnc_status s;

/* Zeros and ones in quarters, and what came from beyond the border in the last row. */
static const int32_t mask[16] = {0, 0, 1, 1, 0,           0,           1,           1,
                                 1, 1, 0, 0, RNC_OUTSIDE, RNC_OUTSIDE, RNC_OUTSIDE, RNC_OUTSIDE};
static char *no_masks[] = {(char *)(uintptr_t) "m.png"};
static const struct rnc_dataset masks = {.name = (char *)(uintptr_t) "masks", .count = 1, .masks = no_masks};
static int32_t two[] = {0, 1};
static const struct rnc_dataset labels = {.name = (char *)(uintptr_t) "labels", .count = 2, .labels = two};

static struct rnc_port port(const char *type, int rank, const int64_t *dim)
{
    const struct rnc_target_type *t = rnc_target_named(type);
    struct rnc_port p = {.name = "t", .target = true, .rank = rank, .classes = 2, .ignore = -1, .picture = t};
    p.dtype = t->labels ? RNC_I64 : RNC_F32;
    for (int k = 0; k < rank; k++) p.dim[k] = dim[k];
    return p;
}

/* The mask as P has it: a block of just its size, malloc'ed. */
static void *taken(const struct rnc_port *p)
{
    struct rnc_loader_config c = {.data = &masks, .ports = p, .nports = 1};
    struct rnc_labelled x = {.name = "m.png", .height = 4, .width = 4, .mask = mask};
    struct rnc_picture_target t;
    void *out = malloc(rnc_port_bytes(p));
    assert_true(out && rnc_picture_target_open(&c, 0, &t, &s));
    if (!rnc_picture_target_get(&t, &x, out, &s)) fail_msg("%s", s.message);
    return out;
}

static void maps_have_the_targets_size(void **state)
{
    (void)state;
    struct rnc_port half = port("class_map", 2, (int64_t[]){2, 2}), large = port("class_map", 2, (int64_t[]){8, 64}),
                    odd = port("class_map", 2, (int64_t[]){1, 3});
    half.ignore = 9;
    int64_t *h = taken(&half), *l = taken(&large), *o = taken(&odd);
    const int64_t want[4] = {0, 1, 9, 9}; /* the pixel at the centre, of two the later one */
    assert_memory_equal(h, want, sizeof want);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 64; x++) {
            int32_t from = mask[y / 2 * 4 + x / 16];
            assert_int_equal(l[y * 64 + x], from == RNC_OUTSIDE ? 0 : from); /* no label is ignored: class 0 */
        }
    assert_true(o[0] == 1 && o[1] == 0 && o[2] == 0);
    free(h);
    free(l);
    free(o);
}

static void maps_of_zeros_and_ones(void **state)
{
    (void)state;
    struct rnc_port p = port("binary_map", 3, (int64_t[]){1, 4, 2});
    float *x = taken(&p);
    const float want[8] = {0, 1, 0, 1, 1, 0, 0, 0};
    assert_memory_equal(x, want, sizeof want);
    free(x);
    static const int32_t three[1] = {2};
    struct rnc_picture_target t = {.port = &p};
    float one[8];
    expect_failure(&s, rnc_picture_target_get(&t, &(struct rnc_labelled){"m.png", 1, 1, three, 0}, one, &s), RNC_USER,
                   "has the label 2");
}

/* Which label is 1 is found by the classes' names; data of numbers need none. */
static void binary_labels(void **state)
{
    (void)state;
    static const char *const names[] = {"ill", "well"}, *const words[] = {"Yes", "no"}, *const many[] = {"a", "b", "c"};
    struct rnc_port p = port("binary", 1, (int64_t[]){1});
    struct rnc_loader_config c = {.data = &labels, .ports = &p, .nports = 1, .classes = names, .nclasses = 2};
    struct rnc_picture_target t;
    p.positive = "ill";
    assert_true(rnc_picture_target_open(&c, 0, &t, &s));
    for (int32_t k = 0; k < 2; k++) {
        float x = -1;
        assert_true(rnc_picture_target_get(&t, &(struct rnc_labelled){"labels", .label = k}, &x, &s));
        assert_true(x == (k == 0 ? 1.0f : 0.0f));
    }
    p.positive = NULL;
    assert_int_equal(rnc_port_positive(&p, words, 2, &s), 0);
    assert_int_equal(rnc_port_positive(&p, NULL, 2, &s), 1);
    expect_failure(&s, rnc_port_positive(&p, names, 2, &s) >= 0, RNC_USER, "which of the classes ill, well is 1");
    expect_failure(&s, rnc_port_positive(&p, many, 3, &s) >= 0, RNC_USER, "have 3 classes, not two: a, b, c");
    expect_failure(&s, rnc_port_positive(&p, NULL, 10, &s) >= 0, RNC_USER, "have 10 classes, not two");
}

static void data_give_what_they_have(void **state)
{
    (void)state;
    struct rnc_port map = port("class_map", 2, (int64_t[]){2, 2}), label = port("class", 0, NULL), array = label;
    struct rnc_loader_config c = {.data = &labels, .ports = &map, .nports = 1};
    struct rnc_picture_target t;
    array.picture = NULL;
    label.classes = 1;
    expect_failure(&s, rnc_picture_target_open(&c, 0, &t, &s), RNC_USER, "has one label for each image");
    c.ports = &array;
    expect_failure(&s, rnc_picture_target_open(&c, 0, &t, &s), RNC_USER, "does not give the target 't'");
    c.ports = &label;
    expect_failure(&s, rnc_picture_target_open(&c, 0, &t, &s), RNC_USER, "is of class 1, the model has 1 classes");
    c.data = &masks;
    expect_failure(&s, rnc_picture_target_open(&c, 0, &t, &s), RNC_USER, "has one mask for each image");
}

/* The rows agree with themselves: what pictures give is of a rank that the row has, and names are found. */
static void types(void **state)
{
    (void)state;
    for (int k = 0; rnc_target_type(k); k++) {
        const struct rnc_target_type *t = rnc_target_type(k);
        assert_ptr_equal(rnc_target_named(t->name), t);
        assert_true(t->help && t->min_rank <= t->max_rank && t->ones + t->max_rank <= 3);
        assert_true((t->shape != NULL) == (t->max_rank > 0));
        assert_false(t->labels && t->binary);
        assert_true(!t->positive || t->annotation == RNC_ANNOTATION_LABEL);
    }
    assert_null(rnc_target_named("klass"));
    assert_string_equal(rnc_target_binary(1, (int64_t[]){1})->name, "binary");
    assert_string_equal(rnc_target_binary(3, (int64_t[]){1, 4, 4})->name, "binary_map");
    assert_null(rnc_target_binary(1, (int64_t[]){2}));
    assert_null(rnc_target_binary(3, (int64_t[]){2, 4, 4}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_have_the_targets_size),
        cmocka_unit_test(maps_of_zeros_and_ones),
        cmocka_unit_test(binary_labels),
        cmocka_unit_test(data_give_what_they_have),
        cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
