/* softmax.h: what the kernels of gen/softmax compute, a variant for each row of softmax.c and loss.c. */
#ifndef RNC_OP_SOFTMAX_H
#define RNC_OP_SOFTMAX_H

enum softmax_variant {
    SOFTMAX,
    SOFTMAX_GRAD,
    CROSS, /* softmax_cross_entropy */
    CROSS_GRAD,
    BINARY, /* binary_cross_entropy */
    BINARY_GRAD,
    SQUARED, /* mean_squared_error */
    SQUARED_GRAD
};

#endif
