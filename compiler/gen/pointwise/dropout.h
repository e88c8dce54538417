/* dropout.h: dropout, the one pointwise operator that is no expression: it draws random numbers. */
#ifndef RNC_GEN_POINTWISE_DROPOUT_H
#define RNC_GEN_POINTWISE_DROPOUT_H

#include "gen/module/lower.h"

void lower_dropout(struct lower *lo, const struct node *n);

#endif
