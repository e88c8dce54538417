/* sums.h: per-channel sums at the end of a body (struct gen_sum), computed while the values are in registers. A tile's
   terms are added up in registers, then added to the task's sums on the stack. The task writes its sums to a partial in
   the workspace. A last step merges the partials in a fixed order (kernel/sums.h). Batch normalisation's statistics and
   gradients therefore need no pass over memory.

   Variances are not computed as E[x²] − E[x]², which cancels. A tile subtracts the value of its first pixel from all
   its values. Then (count, mean, M2) of tiles, tasks and partials are merged (Chan, Golub and LeVeque 1983). */
#ifndef RNC_GEN_REDUCE_SUMS_H
#define RNC_GEN_REDUCE_SUMS_H

#include "gen/emit/expr.h"

/* The sums of the current task, for OV output vectors. */
struct sums {
    const struct gen_body *body;
    V state, count;
};
/* The sums of a tile for one output vector. Each has two chains, which hides the latency of additions. */
enum { SUMS_CHAINS = 4 }; /* values that a tile carries for each sum */
struct sums_tile {
    V acc[MAX_SUMS * SUMS_CHAINS], shift[MAX_SUMS];
    int chain;
};

/* These functions emit nothing if the body has no sums. */
void sums_open(struct emit *e, struct sums *s, const struct gen_body *b, int64_t ov);
void sums_clear(struct emit *e, const struct sums *s, int64_t ov);
void sums_tile_begin(struct emit *e, const struct sums *s, struct sums_tile *t);
/* Sets the shifts to the terms of a tile's first pixel. Call it before the first sums_add of the tile. */
void sums_tile_shift(const struct sums *s, struct sums_tile *t, V (*term)[2]);
void sums_add(struct emit *e, const struct sums *s, struct sums_tile *t, V (*term)[2]);
/* Adds the tile's sums of output vector O, over COUNT (i64) pixels, to the task's. Call sums_count after the last
   vector of the tile. */
void sums_tile_end(struct emit *e, const struct sums *s, struct sums_tile *t, int64_t o, V count);
void sums_count(struct emit *e, const struct sums *s, V count);
/* Stores the sums of vector O in PARTIAL of the workspace WS, for channel block BLOCK of BLOCKS. */
void sums_store(struct emit *e, const struct sums *s, int64_t o, V ws, V partial, V block, V blocks);

/* The partials that one kernel of a node writes: ceil(n·each / per) of them for n samples, from FIRST on. */
enum { SUMS_MAX_PARTS = 16 };
struct sums_part {
    int64_t first, each, per;
};
/* Adds the step that merges the partials into the results. Adds nothing if the node's body has no sums. */
void lower_sums(struct lower *lo, const struct node *n, const struct sums_part *parts, int nparts);

#endif
