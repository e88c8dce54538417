/* abi.h: the one interface between generated code and whoever runs it, in the JIT and in objects compiled ahead of
   time.

   A compiled model is constant data: a table of steps, each a kernel with its arguments, and a table of tensors. The
   runtime (runtime/rt/exec.h, or any other caller) owns all memory: a state block (parameters and buffers, packed), an
   arena (every intermediate, planned at compile time), one scratch block for each worker. Running the table allocates
   nothing. Thread-safety: a model is read-only and may be shared; a state block, an arena and scratch belong to one run
   at a time. */
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
};

/* Computes pieces [begin, end) of a step. ARGS: the step's argument pointers. SCRATCH: this worker's block, 64-byte
   aligned. */
typedef void rnc_kernel(void *const *args, const struct rnc_run *run, void *scratch, int64_t begin, int64_t end);

enum rnc_space { RNC_ARENA, RNC_STATE, RNC_INPUT, RNC_OUTPUT, RNC_CONST, RNC_NULL };
struct rnc_arg {
    uint32_t space;  /* enum rnc_space */
    uint32_t index;  /* INPUT (inputs, then targets) and OUTPUT: which buffer */
    uint64_t offset; /* bytes; for CONST the address itself */
};

struct rnc_step {
    rnc_kernel *kernel;
    const struct rnc_arg *args;
    uint32_t nargs;
    uint32_t per_sample; /* 1: the step has run.n * pieces pieces; 0: pieces */
    int64_t pieces;      /* a fixed partition: never a function of the thread count */
    uint32_t node;       /* index into model->nodes */
    uint32_t reserved;
};

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

struct rnc_type {
    uint8_t dtype, layout, rank, v, iv;
    uint8_t batched; /* 1: dim[0] is the batch N, a row for each sample, of which the first run.n are real */
    uint8_t bounded; /* bit d: dim[d] is an upper bound, how many there are is known when it runs (boxes) */
    uint8_t pad;
    int64_t dim[4];
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
enum rnc_init { RNC_INIT_ZEROS, RNC_INIT_ONES, RNC_INIT_KAIMING_NORMAL, RNC_INIT_UNIFORM_FAN_IN };
#define RNC_NOT_STORED UINT64_MAX

/* A tensor the user can name. Its plain form is row-major fp32 (i64 for class targets and counters). */
struct rnc_tensor {
    const char *name; /* "layer1.0.conv1.weight", "image", "logits", "optim.momentum.fc.weight" */
    uint8_t role, init;
    uint8_t pad[6];
    int64_t init_fan;
    struct rnc_type type; /* as stored (state), or plain (inputs, targets, outputs) */
    uint64_t offset; /* state: bytes into the state block, or RNC_NOT_STORED (only prepared forms are); inputs, outputs:
                        the index */
};

/* What is computed from named tensors when weights are loaded (rnc_prepare in runtime/rt/pack.h). */
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
};

/* For reports: what each node of the compiled graph is. */
struct rnc_node {
    const char *name;      /* layer path, or the value's name */
    const char *op;        /* "conv2d+add+relu" */
    const char *phase;     /* "forward", "backward", "update" */
    const char *algorithm; /* "direct 2x14", … */
    int64_t flops;         /* nominal, for one sample-capacity batch N */
    int64_t executed_flops;
    int64_t bytes;  /* read and written, at least */
    int32_t out[4]; /* indices into model->values of its results, -1 */
};
/* An intermediate, for layer-by-layer checks; only valid right after its node ran. */
struct rnc_value {
    const char *name;
    struct rnc_type type;
    struct rnc_arg place;
};

struct rnc_model {
    uint32_t abi;   /* RNC_ABI_VERSION */
    uint32_t train; /* 1: one call is a training step */
    const char *name;
    const char *cpu;       /* what it was compiled for */
    uint32_t cpu_features; /* enum target_feature bits it needs */
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
};

/* Runs fn(ctx, begin, end, worker) over [0, count) in fixed pieces, on any number of threads; returns when all are
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
