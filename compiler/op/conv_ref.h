/* conv_ref.h: the references of the convolutions, in double precision. */
#ifndef RNC_OP_CONV_REF_H
#define RNC_OP_CONV_REF_H

#include <stdint.h>

/* Y[n,o,p,q] = sum over i, r, s of W[o,i,r,s] · X[n,i, p·stride − pad + r·dilation, …], group by group: two of the
   three tensors are read and the third is overwritten (an image: its first n samples). The result does not depend on
   the number of threads. */
struct conv_ref {
    int64_t n, groups;
    const int64_t *x, *y, *w; /* dims: [·, I, H, W], [·, O, P, Q], [O, I/groups, R, S] */
    const int64_t *stride, *pad, *dilation;
    double *X, *Y, *W;
    int threads; /* 0 or 1: the caller's alone */
};
void conv_ref_y(const struct conv_ref *c); /* conv2d */
void conv_ref_x(const struct conv_ref *c); /* the sum's transpose: its gradient by x, and the transposed convolution */
void conv_ref_w(const struct conv_ref *c); /* its gradient by the weight */

#endif
