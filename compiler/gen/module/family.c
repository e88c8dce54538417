/* family.c: how a node of each kernel family is lowered: the half of the table (kernel/family.c) that knows LLVM. */
#include "gen/module/lowering.h"

#include <assert.h>
#include "ir/family.h"

static const struct {
    const struct kernel_family *family;
    void (*lower)(struct lower *lo, const struct node *n); /* NULL: the step computes nothing */
} lowerings[] = {
    {&family_pointwise, lower_pointwise}, {&family_conv, lower_conv}, {&family_wgrad, lower_wgrad},
    {&family_reduce, lower_reduce},       {&family_pool, lower_pool}, {&family_softmax, lower_softmax},
    {&family_loss, lower_softmax},        {&family_move, lower_move}, {&family_prepare, NULL},
};

void lower_by_family(struct lower *lo, const struct node *n)
{
    for (unsigned i = 0; i < sizeof lowerings / sizeof *lowerings; i++)
        if (lowerings[i].family == n->op->family) {
            if (lowerings[i].lower) lowerings[i].lower(lo, n);
            return;
        }
    assert(0 && "a kernel family without a lowering");
}
