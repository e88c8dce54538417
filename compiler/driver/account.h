/* account.h: what the layers of a network cost, as the spec says it. */
#ifndef RNC_DRIVER_ACCOUNT_H
#define RNC_DRIVER_ACCOUNT_H

#include "base/arena.h"
#include "ir/graph.h"

struct layer_account {
    const struct node *node;
    const char *name;
    int64_t parameters; /* that it is the first to use: shared weights count once */
    int64_t macs;       /* multiply-adds of one sample */
    size_t bytes;       /* of its results, for the whole batch */
};
struct account {
    int64_t parameters, buffers, counters; /* elements */
    int64_t macs;                          /* of one sample */
    const struct layer_account *layer;     /* in the graph's order */
    int nlayers;
};

/* Of a graph that no pass has seen (struct built's raw). In the arena. */
struct account driver_account(struct arena *a, const struct graph *raw);

#endif
