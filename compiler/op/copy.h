/* copy.h: what the kernels of gen/copy do, a variant for each row of shape.c, resize.c and subset.c but the views,
   which are copied where layouts keep them from sharing their operand's storage. */
#ifndef RNC_OP_COPY_H
#define RNC_OP_COPY_H

enum copy_variant {
    COPY_PLAIN,
    COPY_REPACK,
    COPY_CONCAT,
    COPY_SLICE,
    COPY_PAD,
    COPY_SUBSAMPLE,
    COPY_SUBSAMPLE_GRAD,
    COPY_RESIZE,
    COPY_RESIZE_GRAD,
    COPY_SELECT,
    COPY_GATHER,
    COPY_SCATTER
};

#endif
