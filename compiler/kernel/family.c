/* family.c: the table of kernel families. gen/module/family.c gives each its lowering. */
#include "ir/family.h"

#include "kernel/algorithm.h"
#include "kernel/conv.h"
#include "kernel/partials.h"
#include "op/pool.h"

static size_t reduce_family_workspace(const struct node *n, int lanes)
{
    const struct type *x = &n->in[0]->type;
    return reduce_workspace(x->dim[0], x->dim[1], lanes);
}

static size_t loss_family_workspace(const struct node *n, int lanes)
{
    (void)lanes;
    return loss_workspace(n->in[0]->type.dim[0]);
}

/* A pixel is read once for each window that it is in. */
static bool pool_reads_pre(const struct node *n, int k, struct pre_reads *r)
{
    (void)k;
    struct pool_window w = pool_window_of(n->op, n->attr);
    *r = (struct pre_reads){.times = 1,
                            .overlap = (double)(w.kernel[0] * w.kernel[1]) / (double)(w.stride[0] * w.stride[1])};
    return true;
}

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
    .computes = algorithm_computes,
    .workspace = conv_workspace,
    .sum_partials = conv_sum_partials,
    .reads_pre = conv_reads_pre,
    .check_layouts = conv_check_layouts,
};

const struct kernel_family family_wgrad = {
    .name = "wgrad",
    .work = WORK_WGRAD,
    .cancels = true,
    .operand = {LAID_IMAGE},
    .result = LAID_WEIGHTS,
    .computes = algorithm_computes,
    .workspace = wgrad_family_workspace,
    .reads_pre = conv_reads_pre,
    .check_layouts = wgrad_check_layouts,
};

const struct kernel_family family_reduce = {
    .name = "reduce",
    .sums = true,
    .cancels = true,
    .workspace = reduce_family_workspace,
};

const struct kernel_family family_pool = {
    .name = "pool",
    .work = WORK_POOL,
    .remake = REMAKE_CHEAP,
    .reads_pre = pool_reads_pre,
};

const struct kernel_family family_softmax = {
    .name = "softmax",
    .work = WORK_LOSS,
};

const struct kernel_family family_loss = {
    .name = "loss",
    .work = WORK_LOSS,
    .workspace = loss_family_workspace,
};

const struct kernel_family family_copy = {
    .name = "copy",
    .rearranges = true,
    .remake = REMAKE_CHEAP,
};

const struct kernel_family family_region = {
    .name = "region",
};

const struct kernel_family family_prepare = {
    .name = "prepare",
};

const struct kernel_family *const family_all[] = {
    &family_conv, &family_wgrad,  &family_pointwise, &family_pool, &family_softmax, &family_loss, &family_reduce,
    &family_copy, &family_region, &family_prepare,   NULL};
