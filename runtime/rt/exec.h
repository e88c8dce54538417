/* exec.h: an instance: a compiled model with its memory. An instance is used by one thread at a time; different
   instances are independent. */
#ifndef RNC_RUNTIME_RT_EXEC_H
#define RNC_RUNTIME_RT_EXEC_H

#include "abi.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rnc_instance;
struct rnc_pixels; /* preprocess.h */

enum rnc_exec_flags {
    RNC_EXEC_CHECK = 1, /* test mode: guard pages around the arena and the state, NaN fill before every run, canaries
                           between the buffers of the plan */
    RNC_EXEC_KEEP = 2, /* keeps, for rnc_get, the plain form of tensors that the kernels read only in a prepared form */
    RNC_EXEC_COPY = 4, /* copies the model's own weights, into huge pages, so that they can be set; without it an
                          inference model reads them in place */
};

/* Checks the CPU, the ABI version and the tables. Allocates state (zeroed), arena and scratch once, with huge pages
   where the system grants them. PAR may be NULL: the calling thread does everything. MODEL and PAR must outlive the
   instance. A model that contains its weights (rnc_has_weights) is ready to run; otherwise every parameter and buffer
   must be set first. NULL, with S, on failure. */
struct rnc_instance *rnc_open(const struct rnc_model *model, const struct rnc_parallel *par, unsigned flags,
                              struct rnc_status *s);
void rnc_close(struct rnc_instance *i);

/* A source of parameters: `read` gives elements [first, first + count) of T in plain form (row-major fp32, counters
   i64). A tensor is read in several ranges, and some ranges more than once. */
struct rnc_source {
    bool (*read)(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                 struct rnc_status *s);
    void *ctx;
};
bool rnc_has_weights(const struct rnc_model *model);
/* Sets every parameter, buffer and counter (OPTIM: the optimizer's state too) and prepares. Needs less than 1 MiB of
   temporary memory for the layouts of convolutions. Plain forms are kept only where the state stores them. */
bool rnc_load(struct rnc_instance *i, const struct rnc_source *from, bool optim, struct rnc_status *s);
/* Initial parameters from SEED, loaded by rnc_load. The generator is Philox, keyed by the tensor's name: a tensor's
   values do not depend on the model's other tensors. */
bool rnc_initialize(struct rnc_instance *i, uint64_t seed, struct rnc_status *s);
/* Elements [first, first + count) of the initial values that rnc_initialize gives to the fp32 tensor T. PAR may be
   NULL. */
void rnc_fresh_values(const struct rnc_parallel *par, const struct rnc_tensor *t, uint64_t seed, int64_t first,
                      int64_t count, float *x);
/* Sets and reads a state tensor in plain form by name (fp32; counters i64). In a model with prepared forms, call
   rnc_prepare after the last rnc_set. Plain tensors that are read only in prepared forms are freed as soon as all
   inputs of that form are set. To change one of them later, set all inputs of the form again; rnc_get fails for a freed
   tensor (see RNC_EXEC_KEEP). */
bool rnc_set(struct rnc_instance *i, const char *name, const void *plain, struct rnc_status *s);
bool rnc_get(const struct rnc_instance *i, const char *name, void *plain, struct rnc_status *s);
bool rnc_prepare(struct rnc_instance *i, struct rnc_status *s);

/* Bytes that the instance holds. PLAIN: those of plain forms outside the state. */
struct rnc_memory {
    size_t state, arena, scratch, plain;
};
struct rnc_memory rnc_instance_memory(const struct rnc_instance *i);

/* Observes a run: called after each node that ran, with its index and its time in seconds. A region is reported after
   the nodes in it; its time excludes theirs. */
struct rnc_observer {
    void (*after_node)(void *ctx, uint32_t node, double seconds);
    void *ctx;
};
/* One forward pass, or one training step, on run->n samples. INPUTS: plain buffers (inputs, then targets) of n samples
   each; OUTPUTS: plain buffers of n samples. OBSERVER may be NULL. Fails, and names what is missing, while a parameter
   or buffer is not set or not prepared, or after a failed rnc_prepare or rnc_load. Counters and the optimizer's state
   start at zero and need not be set. */
bool rnc_execute(struct rnc_instance *i, const struct rnc_run *run, const void *const *inputs, void *const *outputs,
                 const struct rnc_observer *observer, struct rnc_status *s);
/* The same for N images of any size, 1 ≤ N ≤ the batch: 8-bit grey or RGB in memory (struct rnc_pixels: data, width,
   height, stride, channels). Each image is preprocessed as in training: resized to the input's size, scaled,
   normalised. The model must have one input, an image, and know its preprocessing. */
bool rnc_execute_pixels(struct rnc_instance *i, const struct rnc_pixels *images, int64_t n, void *const *outputs,
                        struct rnc_status *s);
/* Copies an intermediate (model->values[index]) in plain form; only inside after_node of its node. What is the caller's
   (an output) has n samples: the rows past them are zero. */
bool rnc_read_value(const struct rnc_instance *i, uint32_t index, void *plain, struct rnc_status *s);

const struct rnc_model *rnc_instance_model(const struct rnc_instance *i);
/* The state block itself (packed): for exact checkpoints and in-process comparison. */
void *rnc_state(struct rnc_instance *i, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
