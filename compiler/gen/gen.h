/* gen.h: a planned graph becomes machine code. Only gen/ knows LLVM. */
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

/* What a model brings along, beside its code (runtime/rt/abi.h); all zero: nothing. The program keeps none of it. */
struct gen_contents {
    const void *state; /* the state block as an instance has it once its weights are prepared; NULL: none */
    const char *const *classes;
    int nclasses;
    const struct rnc_preprocess *preprocess; /* NULL: not known */
};

struct gen_options {
    struct target target;
    int threads;                  /* compile threads; never changes the code */
    struct gen_contents contents; /* with single_object */
    bool single_object;           /* one object with everything: for .o and .so files */
    struct buf *llvm, *assembly;  /* NULL, or where the modules' text goes (implies single_object) */
    const char *cache_dir;        /* where compiled models are kept, or NULL; of no effect with what is above */
    uint64_t cache_bytes;         /* at most so many are kept */
};

struct gen_stats {
    double emit_ms, codegen_ms, link_ms;
    int kernels, steps;
    size_t code_bytes;
    bool cached; /* nothing was emitted: the code is from the cache */
};

/* Fills in the host's CPU name and features. False with diag_env: the host lacks what all code uses, or this LLVM was
   built without the code generator of another architecture. */
bool gen_target_init(struct target *t, struct diags *d);

/* The model of G (STAGE_PLANNED) without code, in A: an instance of it packs weights as the code wants them, whatever
   the machine. */
void gen_unlinked_model(struct arena *a, const struct graph *g, struct rnc_model *m);

struct program;
/* Compiles G (STAGE_PLANNED), or takes its code from the cache. NULL with diag_env when LLVM fails, or when
   this process has generated code for another target: LLVM's settings are the whole process's. */
struct program *gen_compile(const struct graph *g, const struct gen_options *o, struct diags *d);
/* Links into this process; the model lives as long as the program. */
const struct rnc_model *program_load(struct program *p, struct diags *d);
/* The object file's bytes (single_object). */
const void *program_object(const struct program *p, size_t *size);
const struct gen_stats *program_stats(const struct program *p);
void program_free(struct program *p);

/* peak.c: what the machine's fused multiply-add units give, measured: a compiled loop of independent FMAs on registers.
 */
struct gen_peak;
/* Of products of DT, two of which one instruction takes where dtype_fast_group says so. NULL with diag_env. */
struct gen_peak *gen_peak_new(const struct target *t, enum dtype dt, struct diags *d);
/* GFLOP/s of all of PAR's workers together, over about so many seconds. */
double gen_peak_measure(const struct gen_peak *p, const struct rnc_parallel *par, double seconds);
/* GB/s of all workers together in reading BUFFER (64-byte aligned) or, COPY, its first half and writing its second
   half, whose bytes both count; the upper quartile of short windows within about so many seconds. */
double gen_peak_stream(const struct gen_peak *p, const struct rnc_parallel *par, void *buffer, size_t bytes, bool copy,
                       double seconds);
void gen_peak_free(struct gen_peak *p);

/* The symbol of the struct rnc_model in the object, the only one that a linker sees: "rnc_" + the graph's name as a C
   identifier, and "_train" behind that of a training step, so that both fit into one program. */
const char *gen_symbol(struct arena *a, const struct graph *g);

#endif
