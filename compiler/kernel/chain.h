/* chain.h: how long a sum may go on in one chain of single precision. Rounding errors of a chain grow like the root of
   its length, 1.2e-8·√n of the result, where the terms are random, of one sign or of two (kernel/accuracy.h); where
   they are all alike, as the pixels of an even image are to a pooling, every addition of a binade errs in the same
   direction, and they grow like the length itself. So

   - sums of products (convolutions, dense layers) are cut into chains of SUM_CHAIN terms at most, at whole rows of taps
     or blocks of channels, and the chains' sums are added up: 0.6e-6 to 4 M terms, below the budget of a layer
     (ACCURACY_DEFAULT) to 120 M. A single row of taps is never cut: 16 channels times 256 taps are one chain.
   - sums of what there is (poolings, their gradients) of more than SUM_WIDE terms are taken in double precision, which
     costs them nothing: they wait for memory. So are the any-shape kernel's sums of more than SUM_CHAIN products.

   Shorter sums, those of nearly all layers, are what they were: one chain. The rules depend on shapes alone. */
#ifndef RNC_KERNEL_CHAIN_H
#define RNC_KERNEL_CHAIN_H

#include "base/checked.h"
#include "kernel/policy.h"

/* A sum of BLOCKS × ROWS × ROW_TERMS products: the chain ends after so many blocks, or after so many rows of one; 0: it
   does not. */
struct chain_cut {
    int64_t blocks, rows;
};

/* COUNT things of TERMS terms each, in equal chains: how many things one takes. 0: all of them are one chain. */
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

/* Of a sum of products of TERMS terms: those that its error grows with (accuracy_estimate). */
static inline double chain_terms(double terms) { return terms <= SUM_CHAIN ? terms : SUM_CHAIN + terms / SUM_CHAIN; }

#endif
