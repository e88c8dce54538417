/* roofline.h: the time of transferring a node's bytes at the machine's own speed. In the roofline model, a kernel is
   bound by arithmetic or by memory, whichever takes longer at its peak (Williams, Waterman and Patterson 2009). */
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

/* Measures by streaming buffers that fit each level. Takes about a second, and memory of twice the last cache's size
   (at most 512 MiB). */
void roofline_measure(struct roofline *r, const struct gen_peak *peak, const struct target *t,
                      const struct rnc_parallel *par);

struct roofline_bytes {
    size_t parameters, read, written;
};
/* The bytes that node N reads from the state, reads elsewhere, and writes. */
struct roofline_bytes roofline_node(const struct node *n);
/* The estimated transfer time in milliseconds; 0 if nothing was measured. It is no bound: a node may find its operand
   in a nearer cache if the node before has just written it. FOOTPRINT: bytes that a run touches; parameters are read
   once in a run, so they come from the level that holds all of these. */
double roofline_ms(const struct roofline *r, const struct roofline_bytes *b, size_t footprint);

#endif
