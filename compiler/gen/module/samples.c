#include "gen/module/samples.h"

#include "ir/op.h"

bool samples_of(const struct graph *g, const struct value *v)
{
    if (v->type.rank < 1 || v->type.dim[0] != g->batch) return false;
    if (v->kind == VALUE_INPUT || v->kind == VALUE_TARGET) return true;
    if (v->kind != VALUE_NODE || v->type.rank < 2 || v->type.layout == LAYOUT_WEIGHT ||
        v->type.layout == LAYOUT_WEIGHT_T)
        return false;
    if (v->type.layout == LAYOUT_DEPTHWISE || v->def->op->family->result == LAID_WEIGHTS) return false;
    const struct kernel_family *f = v->def->op->family;
    bool same = f->elementwise || f->rearranges || v->def->op->phase == PHASE_PREPARE; /* as what it was made from */
    return !same || v->def->nin == 0 || !v->def->in[0] || v->def->in[0]->type.rank < 2 || samples_of(g, v->def->in[0]);
}
