/* choices.c: see choices.h. */
#include "driver/choices.h"
#include "ir/op.h"
#include "kernel/algorithm.h"

const struct choice *driver_choices(struct arena *a, const struct graph *g, int *count)
{
    struct choice *rows = ARENA_ARRAY(a, struct choice, g->nnodes + 1);
    *count = 0;
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        int taken = (int)node_int(n, "algorithm");
        rows[(*count)++] = (struct choice){.layer = n->layer ? n->layer : n->out[0]->name,
                                           .op = n->op->name,
                                           .algorithm = algorithm_of(n)->name,
                                           .direct = taken == 0,
                                           .error = algorithm_error(n, taken)};
    }
    return rows;
}
