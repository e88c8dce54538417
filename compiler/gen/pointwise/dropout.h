/* dropout.h: dropout. It draws random numbers, so it is the one pointwise operator without an expression. */
#ifndef RNC_GEN_POINTWISE_DROPOUT_H
#define RNC_GEN_POINTWISE_DROPOUT_H

#include "gen/module/lower.h"

void lower_dropout(struct lower *lo, const struct node *n);

#endif
