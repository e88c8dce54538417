/* winograd_tiles.h: code that finds the tiles of a batch, in the order of their kinds (struct winograd_kinds,
   kernel/winograd.h). */
#ifndef RNC_GEN_WINOGRAD_WINOGRAD_TILES_H
#define RNC_GEN_WINOGRAD_WINOGRAD_TILES_H

#include "gen/emit/emit.h"

struct winograd_tiles {
    int64_t tiles_y, tiles_x; /* of an image */
    int64_t cut_y, cut_x; /* how many of the last points the last row or column of tiles has no need for; 0: all tiles
                             are of one kind */
    V kind[4];            /* where each kind begins */
};

struct tile_place {
    V n, ty, tx;
};

/* The range [from, to) of tiles that need a point. ALL (i1): the range is all tiles. */
struct tile_range {
    V from, to, all;
};

/* The tiles of the samples of the current run. */
struct winograd_tiles winograd_tiles_begin(struct emit *e, int64_t tiles_y, int64_t tiles_x, int64_t cut_y,
                                           int64_t cut_x);
struct tile_place winograd_tile_place(struct emit *e, const struct winograd_tiles *t, V tile);
/* The tiles that need POINT of SIDE × SIDE points, among COUNT tiles. */
struct tile_range winograd_tile_range(struct emit *e, const struct winograd_tiles *t, int64_t side, V point, V count);

#endif
