/* pack.h: converts between plain row-major tensors and the packed layouts of a compiled model. Pure functions. */
#ifndef RNC_RUNTIME_RT_PACK_H
#define RNC_RUNTIME_RT_PACK_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

int64_t rnc_elements(const struct rnc_type *t); /* without padding */
size_t rnc_plain_bytes(const struct rnc_type *t);
size_t rnc_packed_bytes(const struct rnc_type *t); /* with block padding; equals type_bytes of the compiler */
/* PLAIN and PACKED hold elements of t->dtype. rnc_pack writes zeros to padding lanes. */
void rnc_pack(const struct rnc_type *t, const void *plain, void *packed);
void rnc_unpack(const struct rnc_type *t, const void *packed, void *plain);

/* Folds batch norm into the weights W (plain, COUNT elements, shape WEIGHT) whose output channel is dimension AXIS:
   w' = w·γ/sqrt(var + eps), b' = β + (b − mean)·γ/sqrt(var + eps). BIAS may be NULL. In place in W; B_OUT has one value
   for each channel. */
void rnc_bn_fold(const struct rnc_type *weight, uint32_t axis, double eps, float *w, const float *bias,
                 const float *gamma, const float *beta, const float *mean, const float *var, float *b_out);

#ifdef __cplusplus
}
#endif

#endif
