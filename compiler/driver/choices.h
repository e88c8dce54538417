/* choices.h: which layer is computed by which algorithm, and with how much error (kernel/accuracy.h). */
#ifndef RNC_DRIVER_CHOICES_H
#define RNC_DRIVER_CHOICES_H

#include "base/arena.h"
#include "ir/graph.h"

/* A node that has a choice. */
struct choice {
    const char *layer, *op, *algorithm;
    bool direct;  /* by the plain sum */
    double error; /* rms, relative to double */
};

/* All of G (with its algorithms chosen), in its order, in the arena. */
const struct choice *driver_choices(struct arena *a, const struct graph *g, int *count);

#endif
