/* family.c: how a node of each kernel family is lowered: the part of the tables of families (kernel/family.c) and of
   algorithms (kernel/algorithm.c) that knows LLVM. */
#include "gen/module/lowering.h"

#include <assert.h>
#include "gen/winograd/winograd.h"
#include "gen/winograd/winograd_wgrad.h"
#include "kernel/algorithm.h"

static const struct {
    const struct kernel_family *family;
    const struct algorithm_method *method;                 /* NULL: any other */
    void (*lower)(struct lower *lo, const struct node *n); /* NULL: the step computes nothing */
} lowerings[] = {
    {&family_pointwise, NULL, lower_pointwise},
    {&family_conv, &method_winograd, lower_winograd},
    {&family_conv, NULL, lower_conv},
    {&family_wgrad, &method_winograd, lower_winograd_wgrad},
    {&family_wgrad, NULL, lower_wgrad},
    {&family_reduce, NULL, lower_reduce},
    {&family_pool, NULL, lower_pool},
    {&family_softmax, NULL, lower_softmax},
    {&family_loss, NULL, lower_softmax},
    {&family_copy, NULL, lower_copy},
    {&family_prepare, NULL, NULL},
    {&family_region, NULL, NULL},
};

void lower_by_family(struct lower *lo, const struct node *n)
{
    const struct algorithm_method *method = algorithm_of(n)->method;
    for (unsigned i = 0; i < sizeof lowerings / sizeof *lowerings; i++) {
        if (lowerings[i].family != n->op->family || (lowerings[i].method && lowerings[i].method != method)) continue;
        if (lowerings[i].lower) lowerings[i].lower(lo, n);
        return;
    }
    assert(0 && "a kernel family without a lowering");
}
