/* chain.h: the largest number of terms that one accumulator adds up in single precision (a chain). The rounding error
   of a chain of n random terms grows like √n: 1.2e-8·√n of the result (kernel/accuracy.h). If all terms are alike, as
   in the pooling of an even image, additions err in the same direction, and the error grows like n.

   Therefore:
   - Sums of products (convolutions, dense layers) are split into chains of at most SUM_CHAIN terms, at whole rows of
   taps or blocks of channels; the chains' results are then added up. This keeps sums of up to 120 M terms below
   ACCURACY_DEFAULT. A single row of taps is never split: 16 channels times 256 taps are one chain.
   - Poolings and their gradients of more than SUM_WIDE terms are summed in double precision. They wait for memory, so
   this costs no time. The same holds for sums of more than SUM_CHAIN products in the kernels of gen/conv/grouped.h.

   Shorter sums, as in nearly all layers, are one chain. The rules depend on shapes alone. */
#ifndef RNC_KERNEL_CHAIN_H
#define RNC_KERNEL_CHAIN_H

#include "base/checked.h"
#include "kernel/policy.h"

/* How a sum of BLOCKS × ROWS × ROW_TERMS products is split: a chain ends after so many blocks, or after so many rows of
   one block; 0: no end. */
struct chain_cut {
    int64_t blocks, rows;
};

/* How many of COUNT units of TERMS terms go to one of several equal chains. 0: all units are one chain. */
static inline int64_t chain_share(int64_t count, int64_t terms)
{
    if (count <= 1 || count * terms <= SUM_CHAIN) return 0;
    int64_t fit = max_i64(1, SUM_CHAIN / max_i64(terms, 1));
    return div_up(count, div_up(count, fit));
}

static inline struct chain_cut chain_cut(int64_t blocks, int64_t rows, int64_t row_terms)
{
    int64_t within = chain_share(rows, row_terms);
    return within ? (struct chain_cut){0, within} : (struct chain_cut){chain_share(blocks, rows * row_terms), 0};
}

/* The number of terms that determines the error of a sum of TERMS products (for accuracy_estimate). */
static inline double chain_terms(double terms) { return terms <= SUM_CHAIN ? terms : SUM_CHAIN + terms / SUM_CHAIN; }

#endif
