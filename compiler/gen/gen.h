/* gen.h: compiles a planned graph to machine code, for this process or as an object file. Only gen/ uses LLVM (and
   measure/peak.c). Functions that return NULL or false have added an error to D. */
#ifndef RNC_GEN_GEN_H
#define RNC_GEN_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/diag.h"
#include "base/target.h"
#include "ir/graph.h"
#include "runtime/rt/abi.h"

/* What an object file holds beside its code (runtime/rt/abi.h). All zero: nothing. The pointers need to be valid only
   during gen_compile. */
struct gen_contents {
    const void *state; /* the state block of an instance whose weights are prepared; NULL: none */
    const char *const *classes;
    int nclasses;
    const struct rnc_preprocess *preprocess; /* NULL: not known */
};

struct gen_options {
    struct target target;
    int threads;                  /* number of compile threads; the code does not depend on it */
    struct gen_contents contents; /* with single_object */
    bool single_object;           /* one object with everything: for .o and .so files */
    struct buf *llvm, *assembly;  /* NULL, or where the modules' text goes (implies single_object) */
    const char *cache_dir;        /* the cache's folder, or NULL; unused with the fields above */
    uint64_t cache_bytes;         /* the size limit of the cache, in bytes */
};

struct gen_stats {
    double emit_ms, codegen_ms, link_ms;
    int kernels, steps;
    size_t code_bytes;
    bool cached; /* nothing was emitted: the code is from the cache */
};

/* Fills in the host's CPU name and features. Returns false with diag_env if the host lacks a required feature, or if
   this LLVM cannot generate code for the target's architecture. */
bool gen_target_init(struct target *t, struct diags *d);

/* The model of G (STAGE_PLANNED) without code, allocated in A. Instances of it can pack weights on any machine, also
   for a foreign target. */
void gen_unlinked_model(struct arena *a, const struct graph *g, struct rnc_model *m);

struct program;
/* Compiles G (STAGE_PLANNED), or reads its code from the cache. Returns NULL with diag_env if LLVM fails, or if this
   process has generated code for another target before: LLVM's settings are global. The caller frees the program. */
struct program *gen_compile(const struct graph *g, const struct gen_options *o, struct diags *d);
/* Links the code into this process. The model is valid until program_free. */
const struct rnc_model *program_load(struct program *p, struct diags *d);
/* The object file's bytes (single_object). */
const void *program_object(const struct program *p, size_t *size);
const struct gen_stats *program_stats(const struct program *p);
void program_free(struct program *p);

/* Measures the machine's peak (measure/peak.c): a compiled loop of independent FMAs on registers. */
struct gen_peak;
/* Measures products of type DT. Where dtype_fast_group is 2, one instruction takes two of them. NULL with diag_env. */
struct gen_peak *gen_peak_new(const struct target *t, enum dtype dt, struct diags *d);
/* GFLOP/s of all workers of PAR together, measured for about SECONDS. */
double gen_peak_measure(const struct gen_peak *p, const struct rnc_parallel *par, double seconds);
/* GB/s of all workers together. They read BUFFER (64-byte aligned) or, with COPY, copy its first half to its second
   half; the bytes of both halves count. The result is the upper quartile of short windows, measured for about SECONDS.
 */
double gen_peak_stream(const struct gen_peak *p, const struct rnc_parallel *par, void *buffer, size_t bytes, bool copy,
                       double seconds);
void gen_peak_free(struct gen_peak *p);

/* The symbol of the struct rnc_model in the object: "rnc_", the graph's name as a C identifier, and "_train" for a
   training step. It is the object's only global symbol, so both models fit into one program. */
const char *gen_symbol(struct arena *a, const struct graph *g);

#endif
