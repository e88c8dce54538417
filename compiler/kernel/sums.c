#include "kernel/sums.h"

#include "base/checked.h"
#include "kernel/parts.h"
#include "kernel/slots.h"
#include "kernel/winograd.h"

int sums_vectors(const struct node *n)
{
    int vectors = 0;
    for (int i = n->body ? n->body->ninsn - body_sums(n->body) : 0; n->body && i < n->body->ninsn; i++)
        vectors += sum_width(sum_kind(n->body->insn[i].op));
    return vectors;
}

/* Many cores find work in a batch of one; a large batch has its images. */
int64_t sums_chunks(int64_t batch) { return max_i64(2, 128 / batch); }

static int64_t winograd_slots(const struct node *n, int lanes)
{
    const struct type x = parts_type(n);
    struct winograd_plan w = winograd_plan(&x, &n->out[0]->type, op_tile(n), node_ints(n, "stride")[0], lanes);
    return w.split ? div_up(w.block, winograd_piece(&w)) : w.blocks;
}

int64_t sums_slots(const struct node *n, int lanes)
{
    int64_t batch = n->out[0]->type.dim[0], phases = 1;
    if (!n->op->family->takes_body) return batch;
    if (op_tile(n)) return winograd_slots(n, lanes);
    bool forward = n->op->direction == CONV_FORWARD;
    if (!forward) phases = node_ints(n, "stride")[0] * node_ints(n, "stride")[1];
    return phases * batch * sums_chunks(batch);
}

size_t sums_offset(const struct node *n, int lanes)
{
    size_t own = n->op->workspace ? n->op->workspace(n, lanes) : 0;
    return (own + 63) / 64 * 64;
}

size_t sums_workspace(const struct node *n, int lanes)
{
    int vectors = sums_vectors(n);
    if (!vectors) return n->op->workspace ? n->op->workspace(n, lanes) : 0;
    size_t slots = (size_t)(sums_slots(n, lanes) * vectors * round_up(n->out[0]->type.dim[1], lanes)) * sizeof(float);
    return sums_offset(n, lanes) + slots;
}
