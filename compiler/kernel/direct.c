/* direct.c: the sum as it is written: what all other algorithms are measured by. */
#include "base/checked.h"
#include "ir/segments.h"
#include "kernel/algorithm.h"
#include "kernel/chain.h"
#include "kernel/model.h"

static bool is_wgrad(const struct node *n) { return n->op->direction == CONV_WGRAD; }

/* Channels times taps, as they are cut (kernel/chain.h); of a weight gradient, the rows of an image. */
static double terms(const struct algorithm *a, const struct node *n)
{
    (void)a;
    if (is_wgrad(n)) return (double)(n->in[1]->type.dim[2] * n->in[1]->type.dim[3]);
    const struct type *w = algorithm_weight(n);
    double channels = (double)(n->op->direction == CONV_DGRAD ? w->dim[0] / node_int(n, "groups") : w->dim[1]);
    return chain_terms(channels * (double)(w->dim[2] * w->dim[3]));
}

/* Both operands of a direct sum are of a type, two products of which take the time of one. */
static bool multiplies_pairs(const struct node *n, const struct target *t)
{
    if (dtype_fast_group(n->in[0]->type.dtype, t) == 1) return false;
    return is_wgrad(n) ? n->in[1]->type.dtype == n->in[0]->type.dtype : node_int(n, "groups") == 1;
}

static double cost(const struct algorithm *a, const struct node *n, const struct target *t, bool train)
{
    const struct type joined = segments_type(n), *x = &joined, *w = algorithm_weight(n),
                      *y = is_wgrad(n) ? &n->in[1]->type : &n->out[0]->type;
    (void)a, (void)train;
    double taps = (double)(w->dim[2] * w->dim[3]);
    int64_t groups = node_int(n, "groups");
    double per_channel =
        taps * (double)round_up(x->dim[1], t->lanes) * (double)round_up(y->dim[1], t->lanes) / (double)groups;
    /* a strided dgrad works for each pixel that it reads */
    const struct type *counted =
        n->op->direction == CONV_DGRAD && y->dim[2] * y->dim[3] > 2 * x->dim[2] * x->dim[3] ? x : y;
    double fma = model_at_peak(per_channel * (double)(counted->dim[0] * counted->dim[2] * counted->dim[3]), t) /
                 (model_is_split(t) ? 0.97 : 0.9);
    return multiplies_pairs(n, t) ? model_slower(fma / 2, per_channel * (is_wgrad(n) ? 4 : 2), t)
                                  : model_slower(fma, per_channel * 4, t);
}

const struct algorithm_method method_direct = {.terms = terms, .cost = cost, .effort = 1, .stem = true};
