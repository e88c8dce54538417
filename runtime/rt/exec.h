/* exec.h: a compiled model with its memory. */
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
    RNC_EXEC_CHECK = 1, /* test mode: guard pages round the arena and the state, NaN fill before every run, canaries
                           between the plan's slots */
    RNC_EXEC_KEEP = 2,  /* also keeps the plain form of tensors that the kernels read in others only, for rnc_get */
    RNC_EXEC_COPY = 4,  /* weights that the model brings along are copied, so that others can be set, and into huge
                           pages; else an inference model reads them where they lie */
};

/* Checks the CPU, the ABI version and the tables; allocates state (zeroed), arena and scratch once, with huge pages
   asked for and touched. PAR may be NULL: the calling thread does everything. MODEL and PAR must outlive the instance.
   A model that brings its weights along (rnc_has_weights) is ready to run; of another every parameter and buffer has to
   be set. */
struct rnc_instance *rnc_open(const struct rnc_model *model, const struct rnc_parallel *par, unsigned flags,
                              struct rnc_status *s);
void rnc_close(struct rnc_instance *i);

/* Where parameters come from: elements [first, first + count) of T in plain form (row-major fp32, counters i64). A
   tensor is asked for in several ranges, some of them more than once. */
struct rnc_source {
    bool (*read)(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                 struct rnc_status *s);
    void *ctx;
};
bool rnc_has_weights(const struct rnc_model *model);
/* Sets every parameter, buffer and counter (OPTIM: the optimizer's state too) and prepares. Less than 1 MiB of
   temporary memory in all the layouts of convolutions; no plain form stays unless the state stores it. */
bool rnc_load(struct rnc_instance *i, const struct rnc_source *from, bool optim, struct rnc_status *s);
/* Fresh parameters from SEED (Philox, keyed by the tensor's name: the same whatever else the model has), by rnc_load.
 */
bool rnc_initialize(struct rnc_instance *i, uint64_t seed, struct rnc_status *s);
/* Elements [first, first + count) of what rnc_initialize gives to the fp32 tensor T. PAR may be NULL. */
void rnc_fresh_values(const struct rnc_parallel *par, const struct rnc_tensor *t, uint64_t seed, int64_t first,
                      int64_t count, float *x);
/* Sets and reads a state tensor in plain form by name (fp32; counters i64). In a model with prepared forms call
   rnc_prepare after the last set; tensors that are only read in prepared forms are dropped as soon as all that goes
   into one has been set: to change one of them set all of them again. rnc_get fails for what was dropped. */
bool rnc_set(struct rnc_instance *i, const char *name, const void *plain, struct rnc_status *s);
bool rnc_get(const struct rnc_instance *i, const char *name, void *plain, struct rnc_status *s);
bool rnc_prepare(struct rnc_instance *i, struct rnc_status *s);

/* Bytes that the instance holds; PLAIN are those of plain forms beside the state. */
struct rnc_memory {
    size_t state, arena, scratch, plain;
};
struct rnc_memory rnc_instance_memory(const struct rnc_instance *i);

/* Observes a run: called after each node that ran with its index, seconds since the node began. A region comes after
   the nodes in it; its seconds are those that none of them has. */
struct rnc_observer {
    void (*after_node)(void *ctx, uint32_t node, double seconds);
    void *ctx;
};
/* One forward pass, or one training step, on run->n samples. INPUTS: plain buffers (inputs, then targets) of n samples
   each; OUTPUTS: plain buffers of n samples. OBSERVER may be NULL. Refused, with the names of what is missing, until
   every parameter and buffer is set and prepared, and after a preparation or a loading that failed (counters and the
   optimizer's state begin at zero). */
bool rnc_execute(struct rnc_instance *i, const struct rnc_run *run, const void *const *inputs, void *const *outputs,
                 const struct rnc_observer *observer, struct rnc_status *s);
/* The same for N images of any size, 1 to the batch: 8-bit grey or RGB, in memory (struct rnc_pixels: data, width,
   height, stride, channels). Each goes through what the images of the model's training went through: fitted to the
   input's size, scaled, normalised. Of a model with images as its only input, whose object knows that. */
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
