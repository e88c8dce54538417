/* roofline.h: how long moving a node's bytes takes at the machine's own speed (Williams, Waterman and Patterson 2009: a
   kernel is bound by its arithmetic or by its memory, whichever takes longer at its peak). */
#ifndef RNC_MEASURE_ROOFLINE_H
#define RNC_MEASURE_ROOFLINE_H

#include "gen/gen.h"
#include "ir/graph.h"

enum { ROOFLINE_LEVELS = 3 };
struct roofline_level {
    const char *name;  /* "L2", "L3", "memory" */
    size_t holds;      /* what has so many bytes is streamed from here */
    size_t measured;   /* bytes of the buffer that was streamed */
    double read, copy; /* GB/s of all workers together; 0: not measured */
};
struct roofline {
    struct roofline_level level[ROOFLINE_LEVELS];
};

/* Streams buffers that fit each level; takes about a second, and twice the last cache's size (at most 512 MiB) of
   memory while it does. */
void roofline_measure(struct roofline *r, const struct gen_peak *peak, const struct target *t,
                      const struct rnc_parallel *par);

struct roofline_bytes {
    size_t parameters, read, written;
};
/* What node N reads of the state, reads besides, and writes. */
struct roofline_bytes roofline_node(const struct node *n);
/* Milliseconds that takes, as an estimate and no bound: what a node reads may lie in a nearer cache than all its bytes
   would fit, if the node before it has just made it. FOOTPRINT: bytes of all that a run touches, for the parameters
   come round once a run. 0 where nothing was measured. */
double roofline_ms(const struct roofline *r, const struct roofline_bytes *b, size_t footprint);

#endif
