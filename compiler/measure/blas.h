/* blas.h: convolution as im2col and one matrix product through OpenBLAS: the classical way (Chellapilla et al. 2006),
   kept as the baseline that `rnc bench --baseline` measures the generated kernels against. OpenBLAS is loaded when it
   is first asked for, with one thread. */
#ifndef RNC_MEASURE_BLAS_H
#define RNC_MEASURE_BLAS_H

#include <stdint.h>
#include "base/diag.h"
#include "base/target.h"

struct blas;

/* Loads OpenBLAS; NULL with diag_env where it is not installed. Where OpenBLAS does not know the CPU (0.3.21 takes
   recent Xeons for a "Prescott") and the machine has AVX-512 or AVX2, it is loaded again with OPENBLAS_CORETYPE set to
   the nearest kernel, unless the user has set that variable. Changes the process's environment: call it while no other
   thread reads that. */
struct blas *blas_open(const struct target *t, struct diags *d);
void blas_close(struct blas *b);
const char *blas_core(const struct blas *b); /* "SkylakeX": the kernels in use */

/* A convolution in plain NCHW; groups must divide both channel counts. */
struct blas_conv {
    int64_t n, c, h, w, o, oh, ow, kernel[2], stride[2], pad[2], dilation[2], groups;
};
/* Floats of the column buffer. */
int64_t blas_conv_columns(const struct blas_conv *p);
/* y [N, O, OH, OW] = x [N, C, H, W] ∗ weight [O, C/groups, KH, KW]; COLUMNS: scratch of blas_conv_columns floats. */
void blas_conv2d(const struct blas *b, const struct blas_conv *p, const float *x, const float *weight, float *y,
                 float *columns);

#endif
