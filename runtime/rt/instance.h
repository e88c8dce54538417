/* instance.h: what check.c, exec.c and load.c share; private to the runtime. */
#ifndef RNC_RUNTIME_RT_INSTANCE_H
#define RNC_RUNTIME_RT_INSTANCE_H

#include <stdbool.h>

#include "runtime/rt/exec.h"

struct block {
    char *map; /* what mmap gave */
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
    bool borrowed; /* the state is the model's own: never written */
    size_t scratch_stride;
    void **pointers; /* all steps' arguments, one after the other */
    void ***args;    /* by step */
    struct patch *patches;
    size_t npatches;
    void **plain;           /* by tensor: the plain form of those that the state does not store, while it is needed */
    bool *ready;            /* by prepare: its results are those of what was set last */
    bool *set;              /* by tensor, of those that the state stores: a value was given */
    bool complete;          /* all that a run reads is set and prepared; false: to be looked at */
    float *prepared_pixels; /* rnc_execute_pixels' inputs, or NULL */
    const void *const *inputs; /* of the run in progress, for rnc_read_value */
    void *const *outputs;
    int64_t n;
};

/* Is M a model for this runtime and this CPU, and are its tables sound? (check.c) */
bool rnc_model_check(const struct rnc_model *m, struct rnc_status *s);
/* The user's plain form of a tensor: row-major, fp32 where the stored one is bf16. */
struct rnc_type rnc_instance_plain_type(const struct rnc_type *t);
bool rnc_instance_unpack(const struct rnc_type *t, const void *packed, void *plain, struct rnc_status *s);
/* Has I all that a run reads? (load.c) */
bool rnc_instance_complete(struct rnc_instance *i, struct rnc_status *s);
bool rnc_instance_no_memory(struct rnc_status *s, const char *what, size_t bytes);

#endif
