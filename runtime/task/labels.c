/* labels.c: which class the scores choose, and how well they know the label. */
#include "runtime/task/labels.h"

#include <math.h>

int64_t rnc_label_best(const struct rnc_scores *x)
{
    float top = rnc_score(x, 0);
    int64_t best = 0;
    for (int64_t c = 1; c < x->classes; c++)
        if (rnc_score(x, c) > top) top = rnc_score(x, c), best = c;
    return best;
}

int64_t rnc_label_rank(const struct rnc_scores *x, int64_t label)
{
    float mine = rnc_score(x, label);
    int64_t before = 0;
    for (int64_t c = 0; c < x->classes; c++) before += rnc_score(x, c) > mine || (rnc_score(x, c) == mine && c < label);
    return before;
}

double rnc_label_loss(const struct rnc_scores *x, int64_t label)
{
    float top = rnc_score(x, rnc_label_best(x));
    double sum = 0.0;
    for (int64_t c = 0; c < x->classes; c++) sum += (double)expf(rnc_score(x, c) - top);
    return log(sum) - (double)(rnc_score(x, label) - top);
}

double rnc_label_share(const struct rnc_tally *t) { return t->counted ? (double)t->right / (double)t->counted : NAN; }

bool rnc_label_target(const struct rnc_port *ports, int nports, int rank)
{
    const struct rnc_port *p = rnc_only_port(ports, nports, true);
    return p && p->dtype == RNC_I64 && p->rank == rank;
}

bool rnc_label_sides(const struct rnc_tally *t, int rank, const char *shape, struct rnc_status *s)
{
    if (t->nsides == 0)
        return rnc_fail(s, RNC_USER, "the model has no output that belongs to its target: scores %s were expected",
                        shape);
    const struct rnc_side *side = &t->sides[0];
    if (side->type.rank != rank)
        return rnc_fail(s, RNC_USER, "the output '%s' is no scores of classes, %s, for the target '%s'",
                        side->pair->output, shape, side->pair->target);
    for (int k = 0; k < side->target->rank; k++)
        if (side->type.dim[k + 2] != side->target->dim[k])
            return rnc_fail(s, RNC_USER, "the output '%s' is of another size than the target '%s'", side->pair->output,
                            side->pair->target);
    return true;
}
