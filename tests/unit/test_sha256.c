/* test_sha256.c: base/sha256.h against the examples published with FIPS 180. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/sha256.h"

/* In chunks of CHUNK bytes: the blocks must not depend on how the bytes arrive. */
static void expect(const char *text, size_t n, size_t times, size_t chunk, const char *digest)
{
    struct sha256 s;
    uint8_t out[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_init(&s);
    for (size_t t = 0; t < times; t++)
        for (size_t i = 0; i < n; i += chunk) sha256_update(&s, text + i, n - i < chunk ? n - i : chunk);
    sha256_final(&s, out);
    sha256_hex(out, hex);
    assert_string_equal(hex, digest);
}

static void published_examples(void **state)
{
    (void)state;
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (size_t chunk = 1; chunk < 70; chunk++) {
        expect("", 0, 1, chunk, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        expect("abc", 3, 1, chunk, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        expect(two_blocks, strlen(two_blocks), 1, chunk,
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    expect("aaaaaaaaaa", 10, 100000, 10, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
