/* pack.h: between plain row-major tensors and the packed layouts of a compiled model. */
#ifndef RNC_RUNTIME_PACK_H
#define RNC_RUNTIME_PACK_H

#include "abi.h"

int64_t rnc_elements(const struct rnc_type *t);  /* logical */
size_t rnc_plain_bytes(const struct rnc_type *t);
size_t rnc_packed_bytes(const struct rnc_type *t); /* with block padding; equals type_bytes of the compiler */
/* Padding lanes are written as zero. PLAIN and PACKED hold t->dtype. */
void rnc_pack(const struct rnc_type *t, const void *plain, void *packed);
void rnc_unpack(const struct rnc_type *t, const void *packed, void *plain);

#endif
