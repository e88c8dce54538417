/* accuracy.h: how far a convolution's result is from a double reference: the rms of the difference relative to the rms of the result.

   Measured with `rnc verify --winograd off|f2|f4|f6` on the third of three 3×3 convolutions with ReLUs between them (inputs after a ReLU, He's
   initial weights, 14×14 pixels) of 16 to 512 channels, forward and dgrad (which is up to a tenth better). Rounding errors of a sum in sequence grow
   like the root of its length, and the transforms add theirs, which do not depend on it: e² = a² + b²·terms fits all measured points within
   a tenth. In units of 1e-6, at 16, 64, 256 and 512 channels:
       direct  0.12 0.30 0.59 0.82      F(2) 0.12 0.21 0.39 0.54      F(4) 0.62 1.07 2.08 2.87      F(6) 1.5 2.4 4.4 6.2
   Where features are as correlated as a first layer's of few colours, it is up to a quarter more. */
#ifndef RNC_OP_ACCURACY_H
#define RNC_OP_ACCURACY_H

#include <math.h>
#include <stdint.h>

/* The budget of a layer's algorithm where a spec says nothing; and what its "exact" means: nothing but direct sums. */
#define ACCURACY_DEFAULT 3e-6
#define ACCURACY_EXACT 1e-30

/* M: Winograd's output tile, 0 for a direct sum. TERMS: the products of one sum: channels, for a direct one times taps. A tile between two
   measured ones counts as the larger, one beyond them as never good enough. */
static inline double accuracy_estimate(int64_t m, double terms)
{
    static const struct { int64_t m; double a, b; } measured[] = {
        {0, 0, 1.22e-8}, {2, 8.8e-8, 2.34e-8}, {4, 3.6e-7, 1.26e-7}, {6, 1.05e-6, 2.7e-7}};
    for (unsigned i = 0; i < sizeof measured / sizeof *measured; i++)
        if (m <= measured[i].m) return sqrt(measured[i].a * measured[i].a + measured[i].b * measured[i].b * terms);
    return HUGE_VAL;
}

#endif
