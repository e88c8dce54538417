/* stem.c: convolutions that read the caller's image of few channels. Where the CPU multiplies pairs (of bf16) at twice
   the fp32 rate, `precision` has them read a copy rounded so, and `layout` makes that copy one of pixels whose channels
   lie side by side. */
#include "ir/op.h"
#include "kernel/algorithm.h"
#include "pass/passes.h"

struct value *stem_image(const struct value *x)
{
    const struct node *n = x ? x->def : NULL;
    bool copies = n && n->op->bare && n->nin == 1 && n->nout == 1 && n->body && n->body->ninsn == 0;
    if (!copies || !dtype_rounded(x->type.dtype) || n->in[0]->kind != VALUE_INPUT ||
        n->in[0]->type.dtype != dtype_computed(x->type.dtype))
        return NULL;
    return n->in[0];
}

/* Of one channel, half of each pair would be padding. */
bool stem_takes_pairs(const struct node *n, const struct value *image, enum dtype dt, const struct target *t)
{
    if (dtype_fast_group(dt, t) != 2 || t->lanes != 16 || !conv_reads_x(n->op)) return false;
    if (image->kind != VALUE_INPUT || image->type.rank != 4 || image->type.dtype != dtype_computed(dt) ||
        node_int(n, "groups") != 1 || !algorithm_of(n)->method->stem)
        return false;
    return image->type.dim[1] > 1 && image->type.dim[1] < t->lanes;
}
