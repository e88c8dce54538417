/* verify.h: is compiled code right? Each link of the chain has an independent answer:
   1. every node of the compiled step against its operator's reference, on the same inputs: the kernels, the layouts,
   the memory plan;
   2. the graph after all passes against the graph as the spec says it, both interpreted in double precision: the
   passes. (The compiled outputs of the whole network are compared too. Its gradients are only shown: in fp32 one ReLU
   that lies at zero to within the rounding may come out on the other side and move every gradient before it, with
   nothing being wrong.)
   3. those gradients against central differences of the loss: the rules of differentiation. */
#ifndef RNC_DRIVER_VERIFY_H
#define RNC_DRIVER_VERIFY_H

#include "driver/driver.h"

/* Errors are relative: the norm of the difference by the norm of the reference, in double precision. Where the terms of
   a node's result cancel, by the norm of the terms (driver/condition.h). Nodes of inference are checked on numbers of
   one sign, too, of which long sums grow longest. */
struct verify_options {
    const char *weights; /* a safetensors file; NULL: fresh and perturbed parameters (struct open_options) */
    bool inference_only; /* for specs without a loss */
    bool every_parameter;
    int64_t samples;   /* finite differences at so many parameters; less than 0: 8, or 3 of a large network */
    double tolerance;  /* of one node (1e-5), beside what rounding a result to bf16 comes to */
    double forward;    /* of the network's outputs (1e-5; in training ten times that; more as the network is
                          ill-conditioned) */
    double passes;     /* of gradients after all passes, interpreted (1e-9) */
    double difference; /* of a finite difference (1e-4) */
};
#define VERIFY_DEFAULTS                                                                       \
    {                                                                                         \
        .samples = -1, .tolerance = 1e-5, .forward = 1e-5, .passes = 1e-9, .difference = 1e-4 \
    }

struct verify_row {
    const char *name; /* a node, an output, a parameter */
    const char *what; /* the operator; "inference", "training", "gradient …" */
    const char
        *detail; /* nodes: the algorithm; outputs: the error of the compiled code; differences: the two numbers */
    double error, limit; /* the error is NaN where a result holds one */
    double condition; /* where the plain limit was too tight, else 0. Nodes: the size of the terms over that of what is
                         left of them; else: how many times a rounding of single precision is magnified */
    bool undecided;   /* ill-conditioned: differences of neighbouring steps are as far apart as the gradient is off, or
                         rounding alone moves an output anywhere */
    bool ok;          /* not wrong, as far as can be told */
};
struct verify_rows {
    const struct verify_row *item;
    int count;
};
struct verify_result {
    struct verify_rows nodes, outputs, differences; /* in the driver's arena */
    int checks, failed, undecided;
};

/* Compiles S for inference and, unless told otherwise, for gradients, on the driver's batch (0: two samples, or one of
   a network of more than 10 G multiply-adds a sample), runs it on random inputs and compares. False with diagnostics
   where that could not be done; rows that failed are no diagnostics. */
bool driver_verify(struct driver *d, const struct spec *s, const struct verify_options *o, struct verify_result *r);

/* The quick check of a model that is open (with RNC_EXEC_KEEP): each kernel once, of nodes that share theirs the first;
   and, where no more than a G multiply-adds or with WHOLE, the first sample of an inference's outputs against the graph
   as the spec says it. */
struct check_options {
    const void *const *in; /* driver_random_inputs */
    void *const *out;
    bool whole;
};
/* False with diagnostics where it could not be done. *WRONG: the first row that is not right; its name NULL: none. */
bool driver_check(struct driver *d, const struct built *b, struct session *s, const struct check_options *o,
                  struct verify_row *wrong);

#endif
