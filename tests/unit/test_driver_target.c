/* test_driver_target.c: the compiler as a library, for another machine. A program by itself, because a process
   generates code for one target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "driver/driver.h"
#include "tests/support/printed.h"

static const char net[] = "rnc: 1\n"
                          "model: small\n"
                          "inputs: {image: {shape: [3, 6, 6]}}\n"
                          "layers:\n"
                          "  - conv2d: {name: conv, out: 8, kernel: 3, pad: 1, as: y}\n"
                          "outputs: [y]\n";

static struct spec *load(struct driver *d) { return driver_load_text(d, "net.yaml", net, strlen(net), NULL); }

static void another_machine_then_this_one(void **state)
{
    (void)state;
    struct driver *d = driver_new();
    target_host(&d->options.target);
    const char *other = target_is_native(&d->options.target) && strstr(d->options.target.triple, "aarch64")
                            ? "x86_64-linux-gnu"
                            : "aarch64-linux-gnu";
    assert_true(target_of_triple(&d->options.target, other));
    struct spec *s = load(d);
    struct built b;
    size_t size = 0;
    assert_non_null(s);
    assert_false(driver_compile(d, s, &(struct model_options){0}, &b));
    assert_non_null(strstr(printed_diagnostics(d->arena, d->diags, false), "cannot run on this machine"));
    assert_true(driver_generate(d, &b, &(struct generate_options){.object = true, .unlinked = true}));
    assert_non_null(program_object(b.program, &size));
    assert_true(size > 1000);
    driver_release(&b);
    driver_free(d);
    /* a second target is an error of the call, and the process lives on */
    d = driver_new();
    s = load(d);
    assert_non_null(s);
    assert_false(driver_compile(d, s, &(struct model_options){0}, &b));
    assert_non_null(strstr(printed_diagnostics(d->arena, d->diags, false), "this process generates code for"));
    assert_null(b.program);
    driver_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_machine_then_this_one),
    };
    return cmocka_run_group_tests_name("driver, another target", tests, NULL, NULL);
}
