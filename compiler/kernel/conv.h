/* conv.h: functions for the rows of the families conv and wgrad (ir/family.h says what each returns). */
#ifndef RNC_KERNEL_CONV_H
#define RNC_KERNEL_CONV_H

#include "ir/op.h"

size_t conv_workspace(const struct node *n, int lanes);
size_t wgrad_family_workspace(const struct node *n, int lanes);
int64_t conv_sum_partials(const struct node *n, int lanes);
bool conv_reads_pre(const struct node *n, int k, struct pre_reads *r);
const char *conv_check_layouts(struct arena *a, const struct graph *g, const struct node *n);
const char *wgrad_check_layouts(struct arena *a, const struct graph *g, const struct node *n);

#endif
