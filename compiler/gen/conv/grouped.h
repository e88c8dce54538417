/* grouped.h: convolution kernels for shapes that the register-blocked kernels (conv.h, wgrad.c) do not support: groups
   that are no multiple of the vector, whose weights stay plain [O, I/groups, KH, KW], and kernels or dilations so wide
   that every tile of a row would need its own code. They compute one output at a time, for any geometry and layout of
   the weights. */
#ifndef RNC_GEN_CONV_GROUPED_H
#define RNC_GEN_CONV_GROUPED_H

#include "gen/module/lower.h"

void lower_grouped(struct lower *lo, const struct node *n);       /* conv2d, conv2d_dgrad, conv_transpose2d */
void lower_grouped_wgrad(struct lower *lo, const struct node *n); /* conv2d_wgrad with plain dw */

#endif
