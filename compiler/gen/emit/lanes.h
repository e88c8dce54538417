/* lanes.h: moving floats across the lanes of vectors: what the blocked layout needs where memory runs along another
   dimension. */
#ifndef RNC_GEN_EMIT_LANES_H
#define RNC_GEN_EMIT_LANES_H

#include "gen/emit/emit.h"

/* Lane l: ptr[first + l·stride] (floats, i64), where MASK (vi1; NULL: all); the others are zero and their memory is not
   touched. */
V lanes_gather(struct emit *e, V ptr, V first, V stride, V mask);
void lanes_scatter(struct emit *e, V x, V ptr, V first, V stride, V mask);
/* Row i, lane l becomes row l, lane i: e->v vectors. */
void lanes_transpose(struct emit *e, V *rows);
/* Entry I of a constant table of int64_t. */
V table_i64(struct emit *e, V table, int i);

#endif
