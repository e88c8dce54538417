/* accuracy.h: how far a convolution's result is from a double reference: the rms of the difference relative to the rms
   of the result.

   Winograd's are measured by tests/shapes/test_accuracy -v (inputs normal numbers after a ReLU, He's initial weights,
   13×13 pixels; dgrad is alike), direct's with `rnc verify --winograd off` on the third of three convolutions. Rounding
   errors of a sum in sequence grow like the root of its length, and the transforms add theirs, which do not depend on
   it: e² = a² + b²·terms fits all measured points within a tenth. In units of 1e-6, at 16, 64, 128 and 256 terms,
   beyond which Winograd's sums do not go on (WINOGRAD_SUM): direct (1 tap)  0.05 0.10 0.14 0.20      F(2) 0.14 0.22
   0.32 0.42      F(4) 0.40 0.63 0.86 1.2 F(5) 0.76 1.2 1.8 2.4         F(6) 1.8 2.6 3.6 5.0 Where features are as
   correlated as a first layer's of few colours, it is up to a quarter more. The figures a and b of each algorithm stand
   in its row (kernel/algorithm.c). */
#ifndef RNC_KERNEL_ACCURACY_H
#define RNC_KERNEL_ACCURACY_H

#include <math.h>

/* The error budget of a layer's algorithm if a spec sets none, and the one of `accuracy: exact`, which allows direct
   sums only. */
#define ACCURACY_DEFAULT 3e-6
#define ACCURACY_EXACT 1e-30

struct accuracy {
    double transforms, term; /* a and b */
};

/* The expected error. TERMS: products in one chain: channels, for a direct algorithm times taps. */
static inline double accuracy_estimate(struct accuracy a, double terms)
{
    return sqrt(a.transforms * a.transforms + a.term * a.term * terms);
}

#endif
