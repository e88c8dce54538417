/* test_base.c: base/: arena, buf, strmap, checked sizes, diagnostics, target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/strmap.h"
#include "base/target.h"

/* ---- arena */

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 4096, 16383, 16384, 65536, 1 << 20};
    enum { COUNT = sizeof sizes / sizeof sizes[0], ROUNDS = 20 };
    unsigned char *block[COUNT * ROUNDS];
    for (size_t i = 0; i < COUNT * ROUNDS; i++) {
        const size_t size = sizes[i % COUNT];
        block[i] = arena_alloc(a, size);
        assert_non_null(block[i]);
        assert_int_equal((uintptr_t)block[i] % 16, 0);
        for (size_t k = 0; k < size; k++) assert_int_equal(block[i][k], 0);
        memset(block[i], (int)(i % 251 + 1), size);
    }
    for (size_t i = 0; i < COUNT * ROUNDS; i++)
        for (size_t k = 0; k < sizes[i % COUNT]; k++) assert_int_equal(block[i][k], i % 251 + 1);
    arena_free(a);
}

static void arena_text(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_string_equal(arena_strdup(a, ""), "");
    assert_string_equal(arena_strdup(a, "conv1"), "conv1");
    assert_string_equal(arena_strndup(a, "conv1.weight", 5), "conv1");
    assert_string_equal(arena_strndup(a, "x", 0), "");
    assert_string_equal(arena_printf(a, "%s.%d", "layer1", 7), "layer1.7");
    char *longer = arena_printf(a, "%0100000d", 1);
    assert_int_equal(strlen(longer), 100000);
    assert_true(arena_used(a) >= 100000);
    arena_free(a);
    arena_free(NULL);
}

/* ---- buf */

static void buf_grows(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct buf b;
    buf_init(&b, a);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 5000; i++) buf_putc(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 5000);
    assert_int_equal(strlen(b.data), 5000);
    for (size_t i = 0; i < 5000; i++) assert_int_equal(b.data[i], 'a' + (int)(i % 26));
    buf_write(&b, "", 0);
    buf_write(&b, "a\0b", 3);
    assert_int_equal(b.len, 5003);
    assert_memory_equal(b.data + 5000, "a\0b", 4);
    arena_free(a);
}

static void buf_formats(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct buf b;
    for (int width = 0; width < 600; width++) { /* every distance to the end of the first block */
        buf_init(&b, a);
        buf_printf(&b, "%*s|", width, "");
        assert_int_equal(b.len, width + 1);
        buf_puts(&b, "end");
        assert_string_equal(b.data + width, "|end");
    }
    buf_init(&b, a);
    buf_puts(&b, "line\nname");
    buf_pad(&b, 10, 5);
    buf_puts(&b, "|");
    assert_string_equal(b.data, "line\nname      |");
    buf_pad(&b, 3, 5); /* already past it */
    assert_string_equal(b.data, "line\nname      |");
    arena_free(a);
}

/* ---- strmap */

static void strmap_keeps_order(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct strmap m;
    strmap_init(&m, a);
    assert_null(strmap_get(&m, "absent"));
    enum { COUNT = 3000 };
    static int values[COUNT];
    char key[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "layer%d.weight", i * 7919 % COUNT);
        assert_true(strmap_add(&m, key, &values[i]));
        memset(key, '?', sizeof key - 1); /* keys are copied */
    }
    assert_int_equal(m.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "layer%d.weight", i * 7919 % COUNT);
        assert_ptr_equal(strmap_get(&m, key), &values[i]);
        assert_string_equal(m.entries[i].key, key);
        assert_false(strmap_add(&m, key, &values[0]));
        assert_ptr_equal(strmap_get(&m, key), &values[i]);
    }
    strmap_set(&m, key, &values[5]);
    assert_ptr_equal(strmap_get(&m, key), &values[5]);
    strmap_set(&m, "new", &values[6]);
    assert_ptr_equal(strmap_get(&m, "new"), &values[6]);
    assert_true(strmap_add(&m, "", &values[7]));
    assert_ptr_equal(strmap_get(&m, ""), &values[7]);
    assert_int_equal(m.count, COUNT + 2);
    arena_free(a);
}

/* ---- checked */

static void sizes_cannot_overflow_unseen(void **state)
{
    (void)state;
    int64_t i = 77;
    size_t s = 77;
    assert_true(mul_i64(INT64_C(3037000499), INT64_C(3037000499), &i));
    assert_true(i == INT64_C(9223372030926249001));
    i = 77;
    assert_false(mul_i64(INT64_C(1) << 32, INT64_C(1) << 31, &i));
    assert_false(mul_i64(INT64_MIN, -1, &i));
    assert_false(add_i64(INT64_MAX, 1, &i));
    assert_false(add_i64(INT64_MIN, -1, &i));
    assert_false(mul_size(SIZE_MAX / 2 + 1, 2, &s));
    assert_false(add_size(SIZE_MAX, 1, &s));
    assert_true(i == 77 && s == 77);
    assert_true(add_i64(INT64_MAX, INT64_MIN, &i) && i == -1);
    assert_true(mul_size(0, SIZE_MAX, &s) && s == 0);
    assert_true(add_size(SIZE_MAX - 1, 1, &s) && s == SIZE_MAX);
    assert_int_equal(div_up(0, 16), 0);
    assert_int_equal(div_up(1, 16), 1);
    assert_int_equal(div_up(16, 16), 1);
    assert_int_equal(div_up(17, 16), 2);
    assert_int_equal(round_up(17, 16), 32);
    assert_int_equal(round_up(32, 16), 32);
    assert_int_equal(min_i64(-1, 1), -1);
    assert_int_equal(max_i64(-1, 1), 1);
}

/* ---- diag */

static struct source source_of(const char *path, const char *text)
{
    return (struct source){.path = path, .text = text, .len = strlen(text)};
}

/* What diags_print prints; freed by the caller. (Not inlined: gcc 12 takes what the stream stores for a pointer to the
   local.) */
__attribute__((noinline)) static char *printed(const struct diags *d, bool color)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    diags_print(d, f, color);
    fclose(f);
    return text;
}

static void expect_printed(const struct diags *d, const char *want)
{
    char *text = printed(d, false);
    assert_string_equal(text, want);
    free(text);
}

static void diag_points_at_the_place(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    assert_int_equal(diags_exit_status(d), 0);
    expect_printed(d, "");
    const struct source s = source_of("a.yaml", "first\n  - conv2d: {strides: 2}\nlast");
    struct diag *g = diag_error(d, (struct span){&s, 2, 14, 7}, "conv2d has no attribute '%s'", "strides");
    diag_note(g, "did you mean '%s'?", "stride");
    diag_note(g, "second note");
    diag_note(NULL, "nothing happens");
    expect_printed(d, "a.yaml:2:14: error: conv2d has no attribute 'strides'\n"
                      "    2 |   - conv2d: {strides: 2}\n"
                      "      |              ^~~~~~~\n"
                      "      = did you mean 'stride'?\n"
                      "      = second note\n"
                      "1 error\n");
    assert_int_equal(diags_errors(d), 1);
    assert_int_equal(diags_exit_status(d), 1);
    arena_free(a);
}

static void diag_columns_are_code_points(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    /* Tabs show as one space, so that the caret stays below its character whatever the terminal's tab stops are. */
    const struct source s = source_of("u.yaml", "\tnäme: größe\n\x01"
                                                "control: \xf0\x9f\x98\x80 x\n");
    diag_error(d, (struct span){&s, 1, 8, 5}, "one");
    diag_error(d, (struct span){&s, 2, 13, 1}, "two");
    expect_printed(d, "u.yaml:1:8: error: one\n"
                      "    1 |  näme: größe\n"
                      "      |        ^~~~~\n"
                      "u.yaml:2:13: error: two\n"
                      "    2 | ?control: \xf0\x9f\x98\x80 x\n"
                      "      |             ^\n"
                      "2 errors\n");
    arena_free(a);
}

/* No span, however wrong, may read outside the text or draw past the line. */
static void diag_survives_odd_spans(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    const struct source s = source_of("o.yaml", "abc\n\nlast"), empty = source_of("e.yaml", "");
    static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 8, 200, UINT32_MAX - 1, UINT32_MAX};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    for (int l = 0; l < COUNT; l++)
        for (int c = 0; c < COUNT; c++)
            for (int n = 0; n < COUNT; n++) {
                struct diags *d = diags_new(a);
                diag_error(d, (struct span){&s, numbers[l], numbers[c], numbers[n]}, "odd");
                diag_error(d, (struct span){&empty, numbers[l], numbers[c], numbers[n]}, "odd");
                char *text = printed(d, true);
                assert_true(strlen(text) < 2000);
                free(text);
            }
    arena_free(a);
}

static void diag_cuts_long_lines(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *line = arena_alloc(a, 10001);
    memset(line, 'x', 10000);
    line[7999] = 'P';
    const struct source s = source_of("l.yaml", line);
    struct diags *d = diags_new(a);
    diag_error(d, (struct span){&s, 1, 8000, 3}, "far right");
    char *text = printed(d, false);
    char *shown = strchr(text, '\n') + 1, *carets = strchr(shown, '\n') + 1;
    assert_true(carets - shown < 200);
    const size_t caret = (size_t)(strchr(carets, '^') - carets);
    assert_int_equal(shown[caret], 'P');
    free(text);
    arena_free(a);
}

static void diag_sorts_and_removes_repeats(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    const struct source s = source_of("1.yaml", "a\nb\n"), t = source_of("2.yaml", "c\n");
    diag_error(d, (struct span){&s, 2, 1, 1}, "second");
    diag_error(d, (struct span){&t, 1, 1, 1}, "other file");
    diag_error(d, (struct span){&s, 1, 1, 1}, "first");
    diag_warn(d, (struct span){&s, 2, 1, 1}, "a warning");
    diag_error(d, (struct span){&s, 2, 1, 1}, "second");
    expect_printed(d, "1.yaml:1:1: error: first\n    1 | a\n      | ^\n"
                      "1.yaml:2:1: error: second\n    2 | b\n      | ^\n"
                      "1.yaml:2:1: warning: a warning\n    2 | b\n      | ^\n"
                      "2.yaml:1:1: error: other file\n    1 | c\n      | ^\n"
                      "3 errors\n");
    arena_free(a);
}

static void diag_kinds_decide_the_exit_status(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    diag_warn(d, (struct span){0}, "only a warning");
    assert_int_equal(diags_errors(d), 0);
    assert_int_equal(diags_exit_status(d), 0);
    diag_error(d, (struct span){0}, "no place");
    assert_int_equal(diags_exit_status(d), 1);
    diag_env(d, "disk full");
    assert_int_equal(diags_errors(d), 2);
    assert_int_equal(diags_exit_status(d), 2);
    expect_printed(d, "rnc: warning: only a warning\nrnc: error: no place\nrnc: error: disk full\n2 errors\n");
    char *text = printed(d, true);
    assert_non_null(strstr(text, "\033["));
    free(text);
    arena_free(a);
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"kernel", "stride", "pad", "dilation", "groups", "bias", "name", "out"};
    enum { COUNT = sizeof words / sizeof words[0] };
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"strides", "stride"}, {"stirde", "stride"},     {"Stride", "stride"}, {"kern", "kernel"},
        {"padd", "pad"},       {"dilatoin", "dilation"}, {"group", "groups"},  {"nmae", "name"},
        {"bais", "bias"},      {"zebra", NULL},          {"xyzzyplugh", NULL}, {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = did_you_mean(cases[i].word, words, COUNT);
        if (!cases[i].want) assert_null(got);
        else {
            assert_non_null(got);
            assert_string_equal(got, cases[i].want);
        }
    }
    assert_null(did_you_mean("stride", words, 0));
    char longest[500];
    memset(longest, 'k', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_null(did_you_mean(longest, words, COUNT));
}

/* ---- target */

static void targets(void **state)
{
    (void)state;
    struct target t;
    for (const struct target_cpu *cpu = target_cpus(); cpu->name; cpu++) {
        assert_true(target_named(&t, cpu->name));
        assert_string_equal(t.name, cpu->name);
        assert_string_equal(t.triple, cpu->triple);
        assert_true(target_of_triple(&t, cpu->triple));
        assert_true(t.lanes == 4 || t.lanes == 8 || t.lanes == 16);
        assert_true(t.registers == 16 || t.registers == 32);
        assert_true(t.l1_bytes >= 4096 && t.l2_bytes >= t.l1_bytes && t.triple[0]);
    }
    assert_true(target_named(&t, "x86-64-v3") && t.lanes == 8 && !(t.feature_bits & FEATURE_AVX512));
    assert_true(target_named(&t, "x86-64-v4") && t.lanes == 16 && (t.feature_bits & FEATURE_AVX2));
    assert_true(target_named(&t, "armv8-a") && t.lanes == 4 && t.registers == 32 && t.feature_bits == FEATURE_NEON);
    assert_true(target_of_triple(&t, "aarch64-unknown-linux-gnu") && strcmp(t.name, "armv8-a") == 0);
    assert_true(target_of_triple(&t, "x86_64-pc-linux-gnu") && strcmp(t.name, "x86-64-v3") == 0);
    assert_false(target_of_triple(&t, "aarch64"));
    assert_false(target_of_triple(&t, "aarch64-linux-gnueabihf"));
    assert_string_equal(target_least("x86-64-v2"), "x86-64-v3");
    assert_null(target_least("x86-64-v3"));
    assert_false(target_named(&t, "x86-64"));
    assert_false(target_named(&t, "z80"));
    assert_false(target_named(&t, ""));
    target_host(&t);
    assert_true(t.lanes >= 4 && target_is_native(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_text),
        cmocka_unit_test(buf_grows),
        cmocka_unit_test(buf_formats),
        cmocka_unit_test(strmap_keeps_order),
        cmocka_unit_test(sizes_cannot_overflow_unseen),
        cmocka_unit_test(diag_points_at_the_place),
        cmocka_unit_test(diag_columns_are_code_points),
        cmocka_unit_test(diag_survives_odd_spans),
        cmocka_unit_test(diag_cuts_long_lines),
        cmocka_unit_test(diag_sorts_and_removes_repeats),
        cmocka_unit_test(diag_kinds_decide_the_exit_status),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(targets),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
