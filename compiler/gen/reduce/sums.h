/* sums.h: per-channel sums of what a kernel has in registers: the sums at the end of a body (struct gen_sum). While a
   tile of pixels goes through the body, its terms are added up in registers; at the tile's end they join the task's
   sums, on the stack; at the task's end those go to a partial of the workspace, and a last step merges the partials in
   order (kernel/sums.h). So neither a pass over the values nor its traffic is left of batch normalisation's statistics
   and gradients.

   Variances are never E[x²] − E[x]²: a tile's values are taken from its first pixel's, which is within a few deviations
   of the mean, and (count, mean, M2) of tiles, tasks and partials are merged (Chan, Golub and LeVeque 1983). */
#ifndef RNC_GEN_REDUCE_SUMS_H
#define RNC_GEN_REDUCE_SUMS_H

#include "gen/emit/expr.h"

/* The sums of the current task, for OV output vectors. */
struct sums {
    const struct gen_body *body;
    V state, count;
};
/* Those of a tile, for one output vector: two chains of each, so that the adders' latency is hidden. */
enum { SUMS_CHAINS = 4 }; /* values that a tile carries for each sum */
struct sums_tile {
    V acc[MAX_SUMS * SUMS_CHAINS], shift[MAX_SUMS];
    int chain;
};

/* All are without effect where the body has no sums. */
void sums_open(struct emit *e, struct sums *s, const struct gen_body *b, int64_t ov);
void sums_clear(struct emit *e, const struct sums *s, int64_t ov);
void sums_tile_begin(struct emit *e, const struct sums *s, struct sums_tile *t);
/* The first pixel of a tile decides the shifts: to be called with its terms before any sums_add. */
void sums_tile_shift(const struct sums *s, struct sums_tile *t, V (*term)[2]);
void sums_add(struct emit *e, const struct sums *s, struct sums_tile *t, V (*term)[2]);
/* COUNT (i64) pixels of output vector O join the task's sums; after all vectors of the tile: sums_count. */
void sums_tile_end(struct emit *e, const struct sums *s, struct sums_tile *t, int64_t o, V count);
void sums_count(struct emit *e, const struct sums *s, V count);
/* The sums of vector O go to PARTIAL of the workspace at WS, as those of channel block BLOCK of BLOCKS. */
void sums_store(struct emit *e, const struct sums *s, int64_t o, V ws, V partial, V block, V blocks);

/* The partials that one kernel of a node fills: from FIRST on, ceil(n·each / per) of them for n samples. */
enum { SUMS_MAX_PARTS = 16 };
struct sums_part {
    int64_t first, each, per;
};
/* Adds the step that merges them into the results. Nothing where the node's body has no sums. */
void lower_sums(struct lower *lo, const struct node *n, const struct sums_part *parts, int nparts);

#endif
