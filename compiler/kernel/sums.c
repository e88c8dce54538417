#include "kernel/sums.h"

#include "base/checked.h"
#include "kernel/policy.h"

int sums_vectors(const struct node *n)
{
    int vectors = 0;
    for (int i = n->body ? n->body->ninsn - body_sums(n->body) : 0; n->body && i < n->body->ninsn; i++)
        vectors += sum_width(sum_kind(n->body->insn[i].op));
    return vectors;
}

/* Many cores find work in a batch of one; a large batch has its images. */
int64_t sums_chunks(const struct type *images)
{
    int64_t pixels = images->dim[2] * images->dim[3];
    return max_i64(max_i64(2, 128 / images->dim[0]), div_up(pixels, SUM_PIXELS));
}

int64_t sums_partials(const struct node *n, int lanes)
{
    return n->op->family->sum_partials ? n->op->family->sum_partials(n, lanes) : n->out[0]->type.dim[0];
}

static size_t own_workspace(const struct node *n, int lanes)
{
    return n->op->family->workspace ? n->op->family->workspace(n, lanes) : 0;
}

size_t sums_offset(const struct node *n, int lanes) { return (own_workspace(n, lanes) + 63) / 64 * 64; }

size_t sums_workspace(const struct node *n, int lanes)
{
    int vectors = sums_vectors(n);
    if (!vectors) return own_workspace(n, lanes);
    size_t partials =
        (size_t)(sums_partials(n, lanes) * vectors * round_up(n->out[0]->type.dim[1], lanes)) * sizeof(float);
    return sums_offset(n, lanes) + partials;
}
