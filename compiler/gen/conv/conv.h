/* conv.h: the kernels of conv2d, of its gradient by the input (conv2d_dgrad, which is also conv_transpose2d) and of
   dense layers. All of them compute

       out[y·os + y0, x·os + x0] = body( Σ taps (kh, kw), Σ c  in[c, y·is + dy(kh), x·is + dx(kw)] · w[kh, kw, c] )

   The offsets dy, dx of the taps are arithmetic progressions. A strided dgrad is split into stride² phases (y0, x0),
   each with one kernel that sums over the taps of its phase. */
#ifndef RNC_GEN_CONV_CONV_H
#define RNC_GEN_CONV_CONV_H

#include "gen/module/lower.h"
#include "ir/segments.h"
#include "kernel/chain.h"

/* Strides in elements of DTYPE (enum dtype). Blocked values: c = 1, cb = H·W·v, w = v; plain images: c = H·W, w = 1. */
struct conv_view {
    int64_t n, cb, c, h, w, dtype;
};

struct conv_view conv_view_of(const struct type *t);
static inline enum dtype conv_view_dtype(const struct conv_view *view) { return (enum dtype)view->dtype; }

/* The segments of the input: how many, the first channel block of each, and the elements between two samples of each
   (gen/conv/segments.h). */
struct conv_segments {
    int64_t count, first[MAX_SEGMENTS], n[MAX_SEGMENTS];
};

/* Appends a node's body operands and further outputs to the COUNT arguments of its kernel. Returns the new number of
   arguments. */
int conv_body_args(const struct node *n, struct lower_arg *args, int count);

/* The first output block of the weights that N uses. It is above 0 only for a data gradient of some channels. */
int64_t conv_first_block(const struct node *n);

/* The argument for N's weights, offset to conv_first_block(n). BLOCK: elements of an output block. */
struct lower_arg conv_weight_arg(const struct node *n, int64_t block);

/* Taps along one axis: number k reads input position base + k·step and weight index first + k·wstep. */
struct conv_taps {
    int64_t count, base, step, first, wstep;
};

/* The parameters of one kernel: all that its code depends on, and nothing else. */
struct conv_params {
    struct conv_view in, out;
    int64_t ih, iw;                 /* input size */
    int64_t rows, cols;             /* outputs of this phase */
    int64_t is, os_h, os_w, y0, x0; /* input step; output step and offset (is is separate for h and w below) */
    int64_t is_w;
    struct conv_taps kh, kw;
    int64_t weight_dtype; /* enum dtype; where its products take pairs, of input channels side by side, the input has it
                             too */
    int64_t weight_block,
        weight_group; /* elements between output blocks of the weights (within a group), between groups */
    int64_t weight_ib, weight_kh, weight_kw; /* elements between input blocks, taps */
    int64_t icb, ic;                         /* input blocks to sum over; channels in a block */
    int64_t row; /* rounded pixels of few channels: numbers that a pixel reads under a row of taps, in pairs along that
                    row; else 0 */
    int64_t ocb, oc;   /* output blocks; real output channels */
    int64_t group_ocb; /* output blocks of a group (ocb when there is one group) */
    int64_t ov, tw,
        th; /* register blocking: output vectors × pixels of a row × rows (2 only where a row is one tile) */
    struct chain_cut cut;  /* where the sum is split into chains (kernel/chain.h) */
    int64_t chunk, chunks; /* rows of a task; tasks along the rows */
    int64_t images; /* tasks: output blocks go outside this many images, whose input stays in cache; 0: inside each
                       chunk */
    struct conv_segments segments; /* of the input */
    int32_t depthwise;
    int32_t by_sample; /* dense: the columns are samples, cut at run->n */
    struct gen_body body;
};

static inline int64_t conv_weight_bytes(const struct conv_params *p)
{
    return (int64_t)dtype_bytes((enum dtype)p->weight_dtype);
}
/* With bf16 input and f32 weights, a tile's pixels are converted to f32 in the scratch before they are multiplied. */
static inline bool conv_widens(const struct conv_params *p)
{
    return dtype_rounded(conv_view_dtype(&p->in)) && !dtype_rounded((enum dtype)p->weight_dtype) && !p->depthwise;
}
/* The input columns that a tile of WIDTH pixels may read, relative to its first pixel under the first tap. */
struct conv_columns {
    int64_t first, count;
};
struct conv_columns conv_columns(const struct conv_params *p, int64_t width);
/* Bytes of the row of zeros at the start of the scratch, which tiles of two rows need. Pixels converted to f32 follow
   it. */
int64_t conv_zero_row_bytes(const struct conv_params *p);

/* Emits the kernel. Arguments: input, weights, output, then the body's operands, further outputs of the body, further
   segments of the input, the partials of the sums. */
void conv_emit(struct emit *e, const void *params);

/* A run: COUNT tiles of WIDTH columns from column X on, which share code. */
enum { CONV_MAX_RUNS = 16, CONV_MAX_SPANS = 64 };
struct conv_span {
    int64_t first, count;
    int64_t from, to;
}; /* taps [first, first+count) touch pixels [from, to) of the tile */
struct conv_run {
    int64_t x, count, width;
    int nspans;
    struct conv_span span[CONV_MAX_SPANS];
};
/* May a tile of OV vectors × PIXELS read the weights of its last vector from memory in each product? It then needs one
   register less. Only two-vector tiles on targets of few registers do so; those of three or four vectors have fewer
   pixels and become slower. */
bool conv_folds_weight(const struct target *t, int64_t ov, int64_t pixels);
/* Cuts a row into runs. Returns their number, or -1 if the shape would need too much code; gen/conv/grouped.h computes
   it then. */
int conv_runs(const struct conv_params *p, struct conv_run *runs);

/* Adds the step that computes out[i] = Σ partials, in order: FLOATS elements, partials STRIDE floats apart (wgrad.c).
 */
void lower_partial_sum(struct lower *lo, const struct value *partials_value, const struct value *out, int64_t floats,
                       int64_t stride, int64_t partials);

#endif
