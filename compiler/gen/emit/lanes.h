/* lanes.h: moves floats across the lanes of vectors, for blocked layouts whose memory runs along another dimension. */
#ifndef RNC_GEN_EMIT_LANES_H
#define RNC_GEN_EMIT_LANES_H

#include "gen/emit/emit.h"

/* Lane l accesses ptr[first + l·stride] (in floats, i64) where MASK (vi1) is set; NULL: all lanes. Other lanes read as
   zero; their memory is not accessed. */
V lanes_gather(struct emit *e, V ptr, V first, V stride, V mask);
void lanes_scatter(struct emit *e, V x, V ptr, V first, V stride, V mask);
/* Transposes e->v vectors: row i, lane l becomes row l, lane i. */
void lanes_transpose(struct emit *e, V *rows);
/* Entry I of a constant table of int64_t. */
V table_i64(struct emit *e, V table, int i);

#endif
