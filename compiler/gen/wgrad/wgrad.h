/* wgrad.h: what the kernels of direct weight gradients share (wgrad.c, wgrad_staged.c). */
#ifndef RNC_GEN_WGRAD_WGRAD_H
#define RNC_GEN_WGRAD_WGRAD_H

#include "gen/conv/conv.h"
#include "gen/emit/emit.h"

struct wgrad_params {
    struct conv_view x, dy;
    int64_t ih, iw, rows, cols; /* x; dy */
    int64_t stride[2], pad[2], dilation[2], kernel[2];
    int64_t icb, ic, iv; /* input blocks of a group; channels of a block that are computed; channels of a block in dw */
    int64_t ocb, group_ocb;
    int64_t ci, ov;              /* register blocking: input channels × output vectors */
    int64_t ib_chunk, ib_chunks; /* input blocks of a task */
    int64_t og_chunk, og_chunks; /* groups of ov output blocks of a task */
    int64_t band;                /* rows that stay in the caches */
    int64_t partials, partial_floats;
    int64_t fresh; /* a band's sums (depthwise: a row's) start from zero: one chain over all pixels of a partial would
                      round off more than the     budget */
    int64_t by_sample;             /* dense: the columns are samples */
    struct conv_segments segments; /* of x */
};

enum { WGRAD_MAX_CI = 16, WGRAD_MAX_OV = 4 };

/* A task: its partial, and its chunk of dw: input blocks [ib0, ib1) and groups [og0, og1) of ov output blocks. */
struct wgrad_task {
    V partial, dw, ib0, ib1, og0, og1;
};
struct wgrad_task wgrad_task_of(struct emit *e, const struct wgrad_params *p, V number, V partials);
void wgrad_zero(struct emit *e, const struct wgrad_params *p, const struct wgrad_task *task);

/* Positions [from, to) of dy along an axis at which tap K reads inside x. */
struct wgrad_range {
    V from, to;
};
struct wgrad_range wgrad_tap_range(struct emit *e, const struct wgrad_params *p, int axis, V k);
/* The first input block of the group of output block OB. Only that group's input blocks are read. */
V wgrad_group_input(struct emit *e, const struct wgrad_params *p, V ob);
/* Loads and stores the ci × ov sums of a band. They continue from dw, or, if fresh, start at zero and are added to dw.
 */
void wgrad_begin(struct emit *e, const struct wgrad_params *p, V dw, V *acc);
void wgrad_end(struct emit *e, const struct wgrad_params *p, V dw, const V *acc);
/* Floats of dw between output blocks, and between input blocks. */
int64_t wgrad_output_block(const struct wgrad_params *p, int64_t v);
int64_t wgrad_input_block(const struct wgrad_params *p, int64_t v);

/* ---- by way of the scratch (wgrad_staged.c) */

struct wgrad_staged_params {
    struct wgrad_params g;
    int64_t pack;   /* pixels of a unit */
    int64_t images; /* of a band; more than one only where it has all their rows */
    int64_t units;  /* of a row of dy */
    int64_t few;    /* x is a stem's: its pixels' few channels lie side by side */
    int64_t classes, first,
        count; /* a staged row of x: one for each class of columns, units [first, first + count); few: columns */
    int64_t x_rows, x_step; /* staged rows of a band; rows of x from one to the next */
};

/* Chooses the band for G, whose other fields are set. Returns bytes of scratch for each worker. */
size_t wgrad_staged_init(struct wgrad_staged_params *p, const struct wgrad_params *g, int64_t pack,
                         const struct target *t, int64_t samples);
/* Arguments: x, dy, dw (or the partials), further segments of x. Tasks: (partial, chunk of output groups, chunk of
   input blocks). */
void wgrad_staged_emit(struct emit *e, const void *params);

#endif
