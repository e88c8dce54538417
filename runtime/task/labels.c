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

double rnc_label_share(const struct rnc_side *s)
{
    return s->count[RNC_COUNTED] ? (double)s->count[RNC_RIGHT] / (double)s->count[RNC_COUNTED] : NAN;
}
