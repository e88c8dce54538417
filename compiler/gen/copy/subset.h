/* subset.h: the lowerings of op/subset.c's operators. */
#ifndef RNC_GEN_COPY_SUBSET_H
#define RNC_GEN_COPY_SUBSET_H

#include "gen/module/lower.h"

void lower_select_samples(struct lower *lo, const struct node *n);
void lower_gather_samples(struct lower *lo, const struct node *n);
void lower_scatter_samples(struct lower *lo, const struct node *n);

#endif
