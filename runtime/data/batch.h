/* batch.h: what a network is fed: its inputs and targets by name, and batches of them. */
#ifndef RNC_RUNTIME_DATA_BATCH_H
#define RNC_RUNTIME_DATA_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/recipe/target.h"
#include "runtime/rt/abi.h"
#include "runtime/rt/status.h"

/* An input or a target, one sample of it: an image [C, H, W], a class label [], a class map [H, W], any fp32 tensor.
   Its size is what DIM says, whatever the other ports' are. */
struct rnc_port {
    const char *name;
    bool target;
    enum rnc_dtype dtype; /* RNC_F32, or RNC_I64: labels of classes */
    int rank;
    int64_t dim[3];
    int64_t classes, ignore; /* labels: below classes (0: any), or equal to ignore (-1: none) */
    bool binary;             /* fp32 targets: numbers from 0 to 1 */
    bool exact;              /* and none in between: the target's type says so */
    const struct rnc_target_type
        *picture;         /* targets: as which type a picture's label or mask gives it; NULL: as none */
    const char *positive; /* of a binary label: the class that is 1; NULL: as rnc_target_positive finds it */
};
int64_t rnc_port_elements(const struct rnc_port *p); /* of one sample */
size_t rnc_port_bytes(const struct rnc_port *p);
/* The only port that is a target (or an input); NULL where there is none or there are several. */
const struct rnc_port *rnc_only_port(const struct rnc_port *ports, int nports, bool target);

/* Does M take and compare just such inputs and targets, by name: types and sizes? Fails with the first that it does
   not; ports that M has no tensor for are none of its business. */
bool rnc_ports_fit(const struct rnc_model *m, const struct rnc_port *ports, int nports, struct rnc_status *s);

/* Samples in plain form, one after another: [n, …] of each port. */
struct rnc_named {
    const char *name;
    const void *data;
};
struct rnc_batch {
    int64_t n;            /* 0: the epoch is over */
    const int64_t *index; /* [n]: which samples of the data set */
    const struct rnc_named *tensors;
    int ntensors;
};
/* The tensor's data, or NULL. */
const void *rnc_batch_find(const struct rnc_batch *b, const char *name);
/* IN, as rnc_execute wants it: the place of each of M's inputs and targets, by name. IN has room for m->ninputs. False
   where the batch lacks one. */
bool rnc_batch_bind(const struct rnc_model *m, const struct rnc_batch *b, const void **in, struct rnc_status *s);

#endif
