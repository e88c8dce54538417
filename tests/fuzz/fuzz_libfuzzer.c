/* fuzz_libfuzzer.c: the target named by RNC_FUZZ_TARGET (default spec) for libFuzzer; `make fuzz TARGET=ir SECONDS=300`
   builds and runs it. */
#include <stdlib.h>
#include <string.h>
#include "targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_target *target;
    if (!target) {
        const char *name = getenv("RNC_FUZZ_TARGET");
        for (int i = 0; i < fuzz_ntargets; i++)
            if (strcmp(fuzz_targets[i].name, name ? name : "spec") == 0) target = &fuzz_targets[i];
        if (!target) abort();
    }
    target->run(data, size);
    return 0;
}
