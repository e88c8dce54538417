/* conv.h: convolutions as one kind of kernel. conv2d, its gradient by the input (conv2d_dgrad, which is also
   conv_transpose2d) and the dense layers all are

       out[y·os + y0, x·os + x0] = body( Σ taps (kh, kw), Σ c  in[c, y·is + dy(kh), x·is + dx(kw)] · w[kh, kw, c] )

   with the taps' offsets dy, dx in arithmetic progression. A strided dgrad falls into stride² phases (y0, x0), each
   such a sum over the taps that hit it. */
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

/* What is read, where it lies in several values: COUNT, the first channel block of each, elements between its samples
   (gen/conv/segments.h). */
struct conv_segments {
    int64_t count, first[MAX_SEGMENTS], n[MAX_SEGMENTS];
};

/* Adds a node's body operands and further outputs to its kernel's arguments, of which there are COUNT; returns how many
   there are then. */
int conv_body_args(const struct node *n, struct lower_arg *args, int count);

/* The first output block of N's weights that it makes: a gradient by some channels alone leaves out others. */
int64_t conv_first_block(const struct node *n);

/* N's weights, of whose output blocks (BLOCK elements each) a gradient by some channels alone leaves out the first. */
struct lower_arg conv_weight_arg(const struct node *n, int64_t block);

/* Taps along one axis: number k reads input position base + k·step and weight index first + k·wstep. */
struct conv_taps {
    int64_t count, base, step, first, wstep;
};

/* Parameters of one kernel. Everything a kernel's code depends on, and nothing else. */
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
    struct chain_cut cut;  /* where the sum goes on in another chain */
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
/* Rounded input under f32 weights: a tile's pixels are widened into the scratch before they are multiplied. */
static inline bool conv_widens(const struct conv_params *p)
{
    return dtype_rounded(conv_view_dtype(&p->in)) && !dtype_rounded((enum dtype)p->weight_dtype) && !p->depthwise;
}
/* Columns that a tile of WIDTH pixels may read under its taps, from its first pixel under the first tap on. */
struct conv_columns {
    int64_t first, count;
};
struct conv_columns conv_columns(const struct conv_params *p, int64_t width);
/* The scratch begins with a row of zeros where tiles have two rows; what is widened follows. */
int64_t conv_zero_row_bytes(const struct conv_params *p);

/* Emits the kernel. Arguments: input, weights, output, then the body's operands, further outputs of the body, further
   segments of the input, the partials of the sums. */
void conv_emit(struct emit *e, const void *params);

/* Columns of a tile row cut into tiles that share code: COUNT tiles of WIDTH from column X. */
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
/* Where there are few registers, a tile of two vectors × PIXELS may take all but those of one vector of weights and one
   broadcast: each product of the other vector then reads its weights from memory. (Three and four vectors, whose tiles
   have fewer pixels, are slower than two so.) */
bool conv_folds_weight(const struct target *t, int64_t ov, int64_t pixels);
/* Returns the number of runs, or -1 when the shape would need more code than that (gen/conv/grouped.h takes it then).
 */
int conv_runs(const struct conv_params *p, struct conv_run *runs);

/* wgrad.c: out[i] = Σ partials in order, FLOATS elements, partials STRIDE floats apart. */
void lower_partial_sum(struct lower *lo, const struct value *partials_value, const struct value *out, int64_t floats,
                       int64_t stride, int64_t partials);

#endif
