/* instance.h: what check.c, exec.c and load.c share. Private to runtime/rt. */
#ifndef RNC_RUNTIME_RT_INSTANCE_H
#define RNC_RUNTIME_RT_INSTANCE_H

#include <stdbool.h>

#include "runtime/rt/exec.h"

struct block {
    char *map; /* the mapping */
    size_t map_bytes;
    char *data;
    size_t bytes;
    char *band[2]; /* RNC_EXEC_CHECK: canaries before and after data, each beside a guard page */
    size_t band_bytes[2];
};

/* A step's argument that points into one of the caller's buffers. */
struct patch {
    void **slot;
    size_t offset;
    uint32_t index;
    bool output;
};

struct rnc_instance {
    const struct rnc_model *model;
    struct rnc_parallel par; /* run == NULL: the calling thread alone */
    unsigned flags;
    struct block state, arena, scratch;
    bool borrowed; /* the state is the model's own and read-only */
    size_t scratch_stride;
    void **pointers; /* all steps' arguments, one after the other */
    void ***args;    /* by step */
    struct patch *patches;
    size_t npatches;
    void **plain;           /* by tensor: the plain form of tensors that the state does not store, while it is needed */
    bool *ready;            /* by prepare: its results are up to date */
    bool *set;              /* by tensor that the state stores: it has been set */
    bool complete;          /* everything that a run reads is set and prepared; false: unknown */
    float *prepared_pixels; /* rnc_execute_pixels' inputs, or NULL */
    const void *const *inputs; /* of the run in progress, for rnc_read_value */
    void *const *outputs;
    int64_t n;
};

/* True if this runtime and CPU can run M and its tables are consistent (check.c). */
bool rnc_model_check(const struct rnc_model *m, struct rnc_status *s);
/* The type of the plain form that callers see: row-major, fp32 if the stored type is bf16. */
struct rnc_type rnc_instance_plain_type(const struct rnc_type *t);
bool rnc_instance_unpack(const struct rnc_type *t, const void *packed, void *plain, struct rnc_status *s);
/* True if everything that a run reads is set and prepared (load.c). */
bool rnc_instance_complete(struct rnc_instance *i, struct rnc_status *s);
bool rnc_instance_no_memory(struct rnc_status *s, const char *what, size_t bytes);

#endif
