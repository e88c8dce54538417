/* abi.h: the interface between generated code and its caller. The JIT and objects that are compiled ahead of time use
   the same one.

   A compiled model is constant data: a table of steps, each a kernel with its arguments, and a table of tensors. The
   caller (runtime/rt/exec.h, or another program) owns all memory: a state block (parameters and buffers, packed), an
   arena (all intermediates, planned at compile time), one scratch block for each worker. A run allocates nothing.
   Thread-safety: a model is read-only and may be shared; a state block, an arena and scratch belong to one run at a
   time.

   Versions. The first fields of struct rnc_model, up to `sizes`, never change their place, so that any runtime can read
   them. `sizes` has the size of each struct; a runtime refuses sizes that differ from its own. Fields named `reserved`
   are zero. A later version may give them a meaning without a new ABI version; zero will mean "as before". A runtime
   refuses a reserved field that is not zero. */
#ifndef RNC_RUNTIME_RT_ABI_H
#define RNC_RUNTIME_RT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RNC_ABI_VERSION 2u

/* Run-time scalars. The field order is known to generated code. */
struct rnc_run {
    int64_t n;    /* samples in this batch, 1 … model->batch */
    int64_t step; /* training step, from 1 */
    uint64_t seed;
    double lr;
    const int64_t *index; /* NULL in the caller's struct. In a REGION with an index: sample k of this run is sample
                             index[k] of the enclosing run */
};

/* Computes tasks [begin, end) of a step. ARGS: the step's argument pointers. SCRATCH: this worker's block, 64-byte
   aligned. */
typedef void rnc_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end);

enum rnc_space { RNC_ARENA, RNC_STATE, RNC_INPUT, RNC_OUTPUT, RNC_CONST, RNC_NULL };
struct rnc_arg {
    uint32_t space;  /* enum rnc_space */
    uint32_t index;  /* INPUT (inputs, then targets) and OUTPUT: which buffer */
    uint64_t offset; /* bytes; for CONST the address itself */
};

enum rnc_step_kind {
    RNC_STEP_KERNEL,
    RNC_STEP_REGION, /* runs the `nested` steps that follow only if its condition holds, on a batch size of their own */
    RNC_STEP_COLLECTIVE, /* a sum over processes: reserved; no runtime runs it yet */
};
/* A REGION's arguments: i64 in memory, written by earlier steps. Each may be RNC_NULL. */
enum rnc_region_arg {
    RNC_REGION_CONDITION, /* one number: 0 skips the nested steps; absent: not skipped */
    RNC_REGION_COUNT,     /* one number, 0 … n of the enclosing run: the nested steps' n; 0 skips them; absent: n */
    RNC_REGION_INDEX,     /* [count], ascending: which samples of the enclosing run; absent: the first count */
    RNC_REGION_ARGS
};
enum { RNC_MAX_NESTING = 8 }; /* regions in regions */

struct rnc_step {
    rnc_kernel *kernel; /* KERNEL; else NULL */
    const struct rnc_arg *args;
    int64_t tasks; /* a fixed partition: it does not depend on the thread count */
    uint32_t kind; /* enum rnc_step_kind */
    uint32_t nargs;
    uint32_t per_sample; /* 1: the step has run.n * tasks tasks; 0: tasks */
    uint32_t node;       /* index into model->nodes */
    uint32_t nested;     /* REGION: how many of the following steps are inside, those of inner regions included */
    uint32_t reserved[3];
};

/* What a CPU must have for a model's code. */
enum rnc_cpu { RNC_CPU_AVX2 = 1, RNC_CPU_AVX512 = 2, RNC_CPU_AVX512_BF16 = 4, RNC_CPU_NEON = 8 };

enum rnc_dtype { RNC_F32, RNC_BF16, RNC_U8, RNC_I64 };
enum rnc_layout {
    RNC_PLAIN,
    RNC_BLOCKED,
    RNC_WEIGHT,
    RNC_WEIGHT_T,
    RNC_DEPTHWISE,
    RNC_WINOGRAD,
    RNC_WINOGRAD_T,
    RNC_WINOGRAD_S
}; /* as enum layout in ir/graph.h */

enum { RNC_MAX_RANK = 6 }; /* more than the present layouts need (4) */
struct rnc_type {
    uint8_t dtype, layout, rank, v, iv;
    uint8_t batched; /* 1: dim[0] is the batch N: a row for each sample, of which the first run.n are valid */
    uint8_t bounded; /* bit d: dim[d] is an upper bound; the number is known only at run time (boxes) */
    uint8_t reserved;
    int64_t dim[RNC_MAX_RANK];
    uint64_t reserved_scales[2]; /* reserved for the scales and zero points of integer types */
};

enum rnc_role {
    RNC_ROLE_PARAM,
    RNC_ROLE_BUFFER,
    RNC_ROLE_COUNTER,
    RNC_ROLE_OPTIM,
    RNC_ROLE_INPUT,
    RNC_ROLE_TARGET,
    RNC_ROLE_OUTPUT
};
enum rnc_init {
    RNC_INIT_ZEROS,
    RNC_INIT_ONES,
    RNC_INIT_KAIMING_NORMAL,
    RNC_INIT_UNIFORM_FAN_IN,
    RNC_INIT_CONSTANT,         /* init_value everywhere */
    RNC_INIT_UNIFORM,          /* within ± init_value */
    RNC_INIT_TRUNCATED_NORMAL, /* std init_value; values beyond two std are drawn again */
};
#define RNC_NOT_STORED UINT64_MAX

/* A tensor that callers can name. Its plain form is row-major fp32 (i64 for class targets and counters). */
struct rnc_tensor {
    const char *name; /* "layer1.0.conv1.weight", "image", "logits", "optim.momentum.fc.weight" */
    uint8_t role, init;
    uint8_t reserved[6];
    int64_t init_fan;
    struct rnc_type type; /* as stored (state), or plain (inputs, targets, outputs) */
    uint64_t offset; /* state: bytes into the state block, or RNC_NOT_STORED (only prepared forms are); inputs, outputs:
                        the index */
    double init_value; /* for RNC_INIT_CONSTANT and the kinds after it */
};

/* Computed from named tensors when weights are loaded (rnc_prepare in runtime/rt/pack.h). */
enum rnc_prepare_kind {
    RNC_PREPARE_PACK,    /* in[0] -> out[0]: another layout of the same tensor */
    RNC_PREPARE_BN_FOLD, /* in: weight, bias (or -1), bn weight, bn bias, mean, var -> out: folded weight, folded bias.
                            w' = w·γ/sqrt(var + eps), b' = β + (b − mean)·γ/sqrt(var + eps); axis: which dimension of w
                            is the output channel */
};
struct rnc_prepared {
    struct rnc_type type;
    uint64_t offset;
};
struct rnc_prepare {
    uint32_t kind;
    int32_t in[6]; /* indices into model->tensors, -1 absent */
    struct rnc_prepared out[2];
    uint32_t axis;
    double eps;
    uint64_t reserved[2];
};

enum { RNC_NODE_OUTS = 6 };
/* For reports: what each node of the compiled graph is. */
struct rnc_node {
    const char *name;      /* layer path, or the value's name */
    const char *op;        /* "conv2d+add+relu" */
    const char *phase;     /* "forward", "backward", "update" */
    const char *algorithm; /* "direct 2x14", … */
    int64_t flops;         /* nominal, for one sample-capacity batch N */
    int64_t executed_flops;
    int64_t bytes;              /* read and written, at least */
    int32_t out[RNC_NODE_OUTS]; /* indices into model->values of its results, -1 */
    int32_t region;             /* the node of the region that it is in, -1 */
    uint32_t reserved[3];
};
/* An intermediate, for layer-by-layer checks. Its memory is valid only right after its node ran. */
struct rnc_value {
    const char *name;
    struct rnc_type type;
    struct rnc_arg place;
};

struct rnc_preprocess;
/* The bytes of each struct above and of struct rnc_model. */
struct rnc_sizes {
    uint32_t model, step, arg, type, tensor, prepare, node, value;
};

struct rnc_model {
    uint32_t abi;   /* RNC_ABI_VERSION */
    uint32_t train; /* 1: one call is a training step */
    struct rnc_sizes sizes;
    const char *name;
    const char *cpu;       /* what it was compiled for */
    uint32_t cpu_features; /* enum rnc_cpu bits it needs */
    uint32_t lanes;
    int64_t batch; /* N */
    const struct rnc_step *steps;
    uint32_t nsteps;
    const struct rnc_tensor *tensors;
    uint32_t ntensors;
    const struct rnc_prepare *prepares;
    uint32_t nprepares;
    const struct rnc_node *nodes;
    uint32_t nnodes;
    const struct rnc_value *values;
    uint32_t nvalues;
    uint32_t ninputs; /* input buffers: inputs and targets */
    uint32_t noutputs;
    uint64_t state_bytes, arena_bytes, lower_bound_bytes, scratch_bytes;
    /* What the model contains; each may be NULL or 0 */
    const void *state;          /* the weights: state_bytes, as rnc_prepare leaves them, read-only, 64-byte aligned */
    const char *const *classes; /* the names of the labels 0 … nclasses − 1 */
    uint64_t nclasses;
    const struct rnc_preprocess *preprocess; /* how images are preprocessed (preprocess.h) */
    uint64_t reserved[4];
};

#define RNC_SIZES                                                                                                    \
    {                                                                                                                \
        sizeof(struct rnc_model), sizeof(struct rnc_step), sizeof(struct rnc_arg), sizeof(struct rnc_type),          \
            sizeof(struct rnc_tensor), sizeof(struct rnc_prepare), sizeof(struct rnc_node), sizeof(struct rnc_value) \
    }

/* Runs fn(ctx, begin, end, worker) over the tasks [0, count), on any number of threads; returns when all tasks are
   done. */
struct rnc_parallel {
    void (*run)(void *self, int64_t count, void (*fn)(void *ctx, int64_t begin, int64_t end, int worker), void *ctx);
    void *self;
    int workers; /* worker numbers are below this */
};

#ifdef __cplusplus
}
#endif
#endif
