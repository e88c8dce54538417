/* grouped.h: the convolution kernels for shapes that the register-blocked ones (conv.h, wgrad.c) do not take: groups
   that are no multiple of the vector (4 channels a group, say), whose weights stay plain [O, I/groups, KH, KW], and
   kernels or dilations so wide that every tile of a row would need code of its own. One output at a time, any geometry,
   any layout of the weights. */
#ifndef RNC_GEN_CONV_GROUPED_H
#define RNC_GEN_CONV_GROUPED_H

#include "gen/module/lower.h"

void lower_grouped(struct lower *lo, const struct node *n);       /* conv2d, conv2d_dgrad, conv_transpose2d */
void lower_grouped_wgrad(struct lower *lo, const struct node *n); /* conv2d_wgrad with plain dw */

#endif
