/* stem.c: convolutions that read the caller's image of few channels. Where the CPU multiplies bf16 pairs at twice the
   fp32 rate, `precision` has them read a copy in bf16, and `layout` makes that copy one of pixels whose channels lie
   side by side. */
#include "ir/op.h"
#include "kernel/algorithm.h"
#include "pass/passes.h"

struct value *stem_image(const struct value *x)
{
    const struct node *n = x ? x->def : NULL;
    bool copies = n && n->op->bare && n->nin == 1 && n->nout == 1 && n->body && n->body->ninsn == 0;
    if (!copies || x->type.dtype != DT_BF16 || n->in[0]->kind != VALUE_INPUT || n->in[0]->type.dtype != DT_F32)
        return NULL;
    return n->in[0];
}

/* Of one channel, half of each pair would be padding. */
bool stem_takes_pairs(const struct node *n, const struct value *image, const struct target *t)
{
    if (!(t->feature_bits & FEATURE_FAST_BF16) || t->lanes != 16 || !conv_reads_x(n->op)) return false;
    if (image->kind != VALUE_INPUT || image->type.rank != 4 || image->type.dtype != DT_F32 ||
        node_int(n, "groups") != 1 || !algorithm_of(n)->method->stem)
        return false;
    return image->type.dim[1] > 1 && image->type.dim[1] < t->lanes;
}
