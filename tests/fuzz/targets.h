/* targets.h: what is fed with arbitrary bytes. Each target takes an input and returns; a crash, a leak, a hang or an
   assertion is the finding. test_fuzz.c replays a corpus and mutations of it; libfuzzer.c makes any of them a libFuzzer
   target. */
#ifndef RNC_TESTS_FUZZ_TARGETS_H
#define RNC_TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name; /* also the folder of its corpus */
    void (*run)(const uint8_t *data, size_t size);
    const char *const *tokens; /* words worth inserting, NULL-terminated */
    int iterations;            /* of mutations in make test */
    const char *also,
        *ending; /* a folder of golden tests whose input files with this ending join the corpus, or NULL */
};
extern const struct fuzz_target fuzz_targets[];
extern const int fuzz_ntargets;

#endif
