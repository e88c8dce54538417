/* batch.h: the inputs and targets of a network (ports), by name, and batches of them. */
#ifndef RNC_RUNTIME_DATA_BATCH_H
#define RNC_RUNTIME_DATA_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/recipe/target.h"
#include "runtime/rt/abi.h"
#include "runtime/rt/status.h"

/* One sample of an input or a target: an image [C, H, W], a class label [], a class map [H, W], or any fp32 tensor.
   Ports may differ in size. */
struct rnc_port {
    const char *name;
    bool target;
    enum rnc_dtype dtype; /* RNC_F32, or RNC_I64 for class labels */
    int rank;
    int64_t dim[3];
    int64_t classes, ignore; /* labels are below classes (0: any), or equal to ignore (-1: none is) */
    bool binary;             /* fp32 targets: values from 0 to 1 */
    bool exact;              /* and only 0 and 1, as the target's type says */
    const struct rnc_target_type
        *picture;         /* targets: the type that an image's label or mask is converted by; NULL: it can't be */
    const char *positive; /* binary labels: the class that is 1; NULL: rnc_target_positive chooses it */
};
int64_t rnc_port_elements(const struct rnc_port *p); /* of one sample */
size_t rnc_port_bytes(const struct rnc_port *p);
/* The only port that is a target (TARGET) or an input; NULL if there is none or more than one. */
const struct rnc_port *rnc_only_port(const struct rnc_port *ports, int nports, bool target);

/* Fails, with the first difference, if the types or sizes of M's inputs and targets differ from the ports of the same
   name. Ports without a tensor in M are skipped. */
bool rnc_ports_fit(const struct rnc_model *m, const struct rnc_port *ports, int nports, struct rnc_status *s);

/* Samples in plain form, one after another: [n, …] of one port. */
struct rnc_named {
    const char *name;
    const void *data;
};
struct rnc_batch {
    int64_t n;            /* 0: the epoch has ended */
    const int64_t *index; /* [n]: indices into the data set */
    const struct rnc_named *tensors;
    int ntensors;
};
/* The data of the tensor NAME, or NULL. */
const void *rnc_batch_find(const struct rnc_batch *b, const char *name);
/* Fills IN, an array of m->ninputs pointers, for rnc_execute: the data of each of M's inputs and targets, found by
   name. Fails if the batch lacks one. */
bool rnc_batch_bind(const struct rnc_model *m, const struct rnc_batch *b, const void **in, struct rnc_status *s);

#endif
