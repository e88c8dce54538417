/* family.c: the table of kernel families. gen/module/family.c gives each its lowering. */
#include "ir/family.h"

#include <stddef.h>

const struct kernel_family family_pointwise = {
    .name = "pointwise",
    .work = WORK_POINTWISE,
    .elementwise = true,
    .remake = REMAKE_CHEAP,
    .operand = {LAID_ALIKE, LAID_ALIKE},
    .result = LAID_ALIKE,
};

const struct kernel_family family_conv = {
    .name = "conv",
    .work = WORK_CONVOLUTION,
    .takes_body = true,
    .cancels = true,
    .remake = REMAKE_COSTLY,
    .operand = {LAID_IMAGE, LAID_WEIGHTS},
};

const struct kernel_family family_wgrad = {
    .name = "wgrad",
    .work = WORK_WGRAD,
    .cancels = true,
    .over_samples = true,
    .operand = {LAID_IMAGE},
    .result = LAID_WEIGHTS,
};

const struct kernel_family family_reduce = {
    .name = "reduce",
    .sums = true,
    .cancels = true,
    .over_samples = true,
};

const struct kernel_family family_pool = {
    .name = "pool",
    .work = WORK_POOL,
    .remake = REMAKE_CHEAP,
};

const struct kernel_family family_softmax = {
    .name = "softmax",
    .work = WORK_LOSS,
};

const struct kernel_family family_loss = {
    .name = "loss",
    .work = WORK_LOSS,
};

const struct kernel_family family_move = {
    .name = "move",
    .rearranges = true,
    .remake = REMAKE_CHEAP,
};

const struct kernel_family family_prepare = {
    .name = "prepare",
};

const struct kernel_family *const family_all[] = {&family_conv,    &family_wgrad, &family_pointwise, &family_pool,
                                                  &family_softmax, &family_loss,  &family_reduce,    &family_move,
                                                  &family_prepare, NULL};
