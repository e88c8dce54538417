/* move.h: what the kernels of gen/move do, a variant for each row of shape.c, resize.c and subset.c but the views,
   which are copied where layouts keep them from sharing their operand's storage. */
#ifndef RNC_OP_MOVE_H
#define RNC_OP_MOVE_H

enum move_variant {
    MOVE_COPY,
    MOVE_REPACK,
    MOVE_CONCAT,
    MOVE_SLICE,
    MOVE_PAD,
    MOVE_SUBSAMPLE,
    MOVE_SUBSAMPLE_GRAD,
    MOVE_RESIZE,
    MOVE_RESIZE_GRAD,
    MOVE_SELECT,
    MOVE_GATHER,
    MOVE_SCATTER
};

#endif
