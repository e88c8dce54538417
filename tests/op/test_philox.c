/* test_philox.c: the generator against the known answers of Random123's kat_vectors (philox4x32, 10 rounds), and what
   op/dropout.h says of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "op/dropout.h"

static int passed, failed;

static void check(int ok, const char *what)
{
    if (ok) passed++;
    else failed++, printf("FAIL %s\n", what);
}

static void known_answers(void)
{
    static const struct {
        uint64_t key, low, high; /* counter */
        uint32_t out[4];
    } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        struct rnc_philox out = rnc_philox(kat[i].key, kat[i].low, kat[i].high);
        check(memcmp(out.word, kat[i].out, sizeof out.word) == 0, "a known answer of philox4x32-10");
    }
}

/* The share of kept elements, within four standard deviations. */
static void shares(void)
{
    static const double p[] = {0.1, 0.5, 0.9};
    enum { COUNT = 100000 };
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        int kept = 0;
        for (int64_t e = 0; e < COUNT; e++) kept += dropout_word(1, "features.3", 7, e) >= dropout_threshold(p[i]);
        check(fabs((double)kept / COUNT - (1 - p[i])) < 4 * sqrt(p[i] * (1 - p[i]) / COUNT),
              "the share of kept elements");
    }
    check(dropout_threshold(0) == 0 && dropout_scale(0) == 1, "p = 0 keeps everything");
    check(dropout_threshold(1) == (uint64_t)1 << 32 && dropout_scale(1) == 0, "p = 1 keeps nothing");
}

static void sensitivity(void)
{
    uint32_t word = dropout_word(1, "a", 1, 5);
    check(word != dropout_word(2, "a", 1, 5), "another seed");
    check(word != dropout_word(1, "b", 1, 5), "another layer");
    check(word != dropout_word(1, "a", 2, 5), "another step");
    check(word != dropout_word(1, "a", 1, 6), "another element");
    check(dropout_hash("") == 0xCBF29CE484222325u && dropout_hash("a") == 0xAF63DC4C8601EC8Cu, "FNV-1a");
}

int main(void)
{
    known_answers();
    shares();
    sensitivity();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
