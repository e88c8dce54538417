/* compiled.h: a graph compiled and run against the reference interpreter, on one, two and three threads and with every
   block of memory under guard; the lanes past the last channel of every value in memory are looked at. */
#ifndef TESTS_SUPPORT_COMPILED_H
#define TESTS_SUPPORT_COMPILED_H

#include "base/target.h"
#include "op/eval.h"

struct comparison_plan {
    const struct graph *graph; /* STAGE_RAW, differentiated already where it trains; not changed */
    const char *passes;
    const struct target *target;
    int winograd; /* as in struct pass_context */
    const struct ref_run *runs;
    int nruns;
    void (*fill)(const void *ctx, struct eval *e); /* the arguments' numbers, all exact as floats */
    const void *ctx;
    enum dtype dtype; /* DT_BF16: by `precision` activations are stored as bf16, where the reference rounds, too */
    double tolerance; /* of outputs and updated state: ‖a − b‖ / ‖b‖;
                         with bf16, whole networks: the multiple of what rounding alone does to a result that it may be
                         off by */
    double value_tolerance; /* the same of every intermediate value that has its name and shape in GRAPH; 0: not looked
                               at */
};

/* NULL: all agree; otherwise a sentence. */
const char *compare_compiled(struct arena *a, const struct comparison_plan *plan);
/* "simplify,fold,…" without the passes named in LEAVE_OUT. */
const char *passes_without(struct arena *a, const char *passes, const char *const *leave_out);

/* The test programs' options for other widths: "--cpu=NAME" takes a named CPU, "--lanes=4" vectors of so many floats on
   it (NEON's, with the same layouts and blocking, where there is no such machine). False: ARG is neither, or names
   nothing that is known. */
bool target_option(struct target *t, const char *arg);

#endif
