/* repack.h: converts a value to another layout. */
#ifndef RNC_GEN_COPY_REPACK_H
#define RNC_GEN_COPY_REPACK_H

#include "gen/module/lower.h"

void lower_repack(struct lower *lo, const struct node *n);
/* Copies in[0] to out[0]; both have the same bytes in every sample. */
void lower_plain_copy(struct lower *lo, const struct node *n);

#endif
