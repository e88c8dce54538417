/* winograd.h: the minimal filtering algorithms F(m×m, 3×3) for m = 2, 4, 5 and 6. The packer of weights and the code
   generator share them. Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A with tiles d of (m+2)×(m+2) (Winograd 1980; Lavin and Gray
   2016, sections 4.1–4.3).

   The matrices follow from interpolation points p. Let M(x) = Π (x − p) over the finite points.
   Bᵀ: row p has the coefficients of M(x) / (x − p); the row of ∞ those of M.
   G: row p is (1, p, p²) / Π (p − the other points); the row of ∞ is (0, 0, 1).
   Aᵀ: column p is (1, p, p², …); the column of ∞ is (0, …, 0, 1).
   The order of points: 0 if it is one, then pairs ±a, then ∞.

   The points are 0, ±1, ∞ for m = 2; 0, ±5/8, ±3/2, ∞ for m = 4; ±1/4, ±7/8, ±7/4, ∞ for m = 5; 0, ±1, ±2, ±1/2, ∞ for
   m = 6. A search over all real points gives no rounding error that is smaller by more than a few hundredths; these
   points have few bits. For comparison: (0, ±1, ±2, ∞), the usual choice, doubles the error of m = 4, and the
   points 0, ±a, ±b, c raise that of m = 5 by half. */
/* Stride 2, in one dimension: y[j] = g0·d[2j] + g1·d[2j+1] + g2·d[2j+2]. The even samples are filtered by two taps:
   F(4, 2) with the points ±3/8, ±5/4, ∞. The odd samples are multiplied by g1 alone and need no transform. So a tile of
   2m + 1 = 9 samples has 9 products and m + 2 = 6 different transformed weights: one for each of the four points ±a,
   one for the odd samples, one for ∞. */
#ifndef RNC_RUNTIME_RT_WINOGRAD_H
#define RNC_RUNTIME_RT_WINOGRAD_H

enum { RNC_WINOGRAD_MAX = 9 }; /* the largest tile, in samples of one dimension */

struct rnc_winograd {
    int m, tile; /* outputs; samples, which is also the number of products: m + 2, for stride 2 2m + 1 */
    int stride;
    int mixed;                                     /* products with transformed samples: all; for stride 2 m + 1 */
    int kernels;                                   /* transformed weights: m + 2 */
    int first;                                     /* index of the first pair ±a: 1 after the point 0, else 0 */
    double bt[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX]; /* [mixed][mixed]; for stride 2 over the even samples */
    double g[RNC_WINOGRAD_MAX][3];                 /* [kernels][3] */
    double at[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX]; /* [m][mixed] */
};

/* clang-format off: matrices */
static const struct rnc_winograd rnc_winograd_2 = {
    .m = 2,
    .tile = 4,
    .stride = 1,
    .mixed = 4,
    .kernels = 4,
    .first = 1,
    .bt = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
    .g = {{1, 0, 0}, {1 / 2., 1 / 2., 1 / 2.}, {1 / 2., -1 / 2., 1 / 2.}, {0, 0, 1}},
    .at = {{1, 1, 1, 0}, {0, 1, -1, 1}},
};

/* The points 0, ±A, ±B, ∞: A's rows of Bᵀ and G. */
#define RNC_BT(a, b) \
    {0, -(a) * (b) * (b), -(b) * (b), a, 1, 0}, { 0, (a) * (b) * (b), -(b) * (b), -(a), 1, 0 }
#define RNC_N(a, b) (2 * (a) * (a) * ((a) * (a) - (b) * (b)))
#define RNC_G(a, b)                                                  \
    {1 / RNC_N(a, b), (a) / RNC_N(a, b), (a) * (a) / RNC_N(a, b)},   \
    {                                                                \
        1 / RNC_N(a, b), -(a) / RNC_N(a, b), (a) * (a) / RNC_N(a, b) \
    }
#define RNC_A (5. / 8)
#define RNC_B (3. / 2)

static const struct rnc_winograd rnc_winograd_4 = {
    .m = 4,
    .tile = 6,
    .stride = 1,
    .mixed = 6,
    .kernels = 6,
    .first = 1,
    .bt = {{RNC_A * RNC_A * RNC_B * RNC_B, 0, -(RNC_A *RNC_A + RNC_B * RNC_B), 0, 1, 0},
           RNC_BT(RNC_A, RNC_B),
           RNC_BT(RNC_B, RNC_A),
           {0, RNC_A *RNC_A *RNC_B *RNC_B, 0, -(RNC_A *RNC_A + RNC_B * RNC_B), 0, 1}},
    .g = {{1 / (RNC_A * RNC_A * RNC_B * RNC_B), 0, 0}, RNC_G(RNC_A, RNC_B), RNC_G(RNC_B, RNC_A), {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 0},
           {0, RNC_A, -RNC_A, RNC_B, -RNC_B, 0},
           {0, RNC_A *RNC_A, RNC_A *RNC_A, RNC_B *RNC_B, RNC_B *RNC_B, 0},
           {0, RNC_A *RNC_A *RNC_A, -RNC_A *RNC_A *RNC_A, RNC_B *RNC_B *RNC_B, -RNC_B *RNC_B *RNC_B, 1}},
};

#undef RNC_BT
#undef RNC_N
#undef RNC_G
#undef RNC_A
#undef RNC_B

/* The points ±A, ±B, ±C, ∞. */
#define RNC_SUM(b, c) ((b) * (b) + (c) * (c))
#define RNC_PRODUCT(b, c) ((b) * (b) * (c) * (c))
#define RNC_BT(a, b, c)                                                                          \
    {(a)*RNC_PRODUCT(b, c), RNC_PRODUCT(b, c), -(a)*RNC_SUM(b, c), -RNC_SUM(b, c), a, 1, 0},     \
    {                                                                                            \
        -(a)*RNC_PRODUCT(b, c), RNC_PRODUCT(b, c), (a)*RNC_SUM(b, c), -RNC_SUM(b, c), -(a), 1, 0 \
    }
#define RNC_N(a, b, c) (2 * (a) * ((a) * (a) - (b) * (b)) * ((a) * (a) - (c) * (c)))
#define RNC_G(a, b, c)                                                         \
    {1 / RNC_N(a, b, c), (a) / RNC_N(a, b, c), (a) * (a) / RNC_N(a, b, c)},    \
    {                                                                          \
        -1 / RNC_N(a, b, c), (a) / RNC_N(a, b, c), -(a) * (a) / RNC_N(a, b, c) \
    }
#define RNC_A (1. / 4)
#define RNC_B (7. / 8)
#define RNC_C (7. / 4)
#define RNC_POWERS(f, sign)                                                       \
    {                                                                             \
        f(RNC_A), sign f(RNC_A), f(RNC_B), sign f(RNC_B), f(RNC_C), sign f(RNC_C) \
    }
#define RNC_2(x) ((x) * (x))
#define RNC_3(x) ((x) * (x) * (x))
#define RNC_4(x) ((x) * (x) * (x) * (x))

static const struct rnc_winograd rnc_winograd_5 = {
    .m = 5,
    .tile = 7,
    .stride = 1,
    .mixed = 7,
    .kernels = 7,
    .first = 0,
    .bt = {RNC_BT(RNC_A, RNC_B, RNC_C),
           RNC_BT(RNC_B, RNC_A, RNC_C),
           RNC_BT(RNC_C, RNC_A, RNC_B),
           {-RNC_PRODUCT(RNC_A, RNC_B) * RNC_2(RNC_C), 0,
            RNC_PRODUCT(RNC_A, RNC_B) + RNC_PRODUCT(RNC_A, RNC_C) + RNC_PRODUCT(RNC_B, RNC_C), 0,
            -(RNC_SUM(RNC_A, RNC_B) + RNC_2(RNC_C)), 0, 1}},
    .g = {RNC_G(RNC_A, RNC_B, RNC_C), RNC_G(RNC_B, RNC_A, RNC_C), RNC_G(RNC_C, RNC_A, RNC_B), {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 1, 0},
           RNC_POWERS(, -),
           RNC_POWERS(RNC_2, ),
           RNC_POWERS(RNC_3, -),
           {RNC_4(RNC_A), RNC_4(RNC_A), RNC_4(RNC_B), RNC_4(RNC_B), RNC_4(RNC_C), RNC_4(RNC_C), 1}},
};

#undef RNC_SUM
#undef RNC_PRODUCT
#undef RNC_BT
#undef RNC_N
#undef RNC_G
#undef RNC_A
#undef RNC_B
#undef RNC_C
#undef RNC_POWERS
#undef RNC_2
#undef RNC_3
#undef RNC_4

static const struct rnc_winograd rnc_winograd_6 = {
    .m = 6,
    .tile = 8,
    .stride = 1,
    .mixed = 8,
    .kernels = 8,
    .first = 1,
    .bt = {{1, 0, -21 / 4., 0, 21 / 4., 0, -1, 0},
           {0, 1, 1, -17 / 4., -17 / 4., 1, 1, 0},
           {0, -1, 1, 17 / 4., -17 / 4., -1, 1, 0},
           {0, 1 / 2., 1 / 4., -5 / 2., -5 / 4., 2, 1, 0},
           {0, -1 / 2., 1 / 4., 5 / 2., -5 / 4., -2, 1, 0},
           {0, 2, 4, -5 / 2., -5, 1 / 2., 1, 0},
           {0, -2, 4, 5 / 2., -5, -1 / 2., 1, 0},
           {0, -1, 0, 21 / 4., 0, -21 / 4., 0, 1}},
    .g = {{1, 0, 0},
          {-2 / 9., -2 / 9., -2 / 9.},
          {-2 / 9., 2 / 9., -2 / 9.},
          {1 / 90., 1 / 45., 2 / 45.},
          {1 / 90., -1 / 45., 2 / 45.},
          {32 / 45., 16 / 45., 8 / 45.},
          {32 / 45., -16 / 45., 8 / 45.},
          {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 1, 1, 0},
           {0, 1, -1, 2, -2, 1 / 2., -1 / 2., 0},
           {0, 1, 1, 4, 4, 1 / 4., 1 / 4., 0},
           {0, 1, -1, 8, -8, 1 / 8., -1 / 8., 0},
           {0, 1, 1, 16, 16, 1 / 16., 1 / 16., 0},
           {0, 1, -1, 32, -32, 1 / 32., -1 / 32., 1}},
};

#define RNC_A (3. / 8)
#define RNC_B (5. / 4)
#define RNC_BT(a, b) \
    {-(a) * (b) * (b), -(b) * (b), a, 1, 0}, { (a) * (b) * (b), -(b) * (b), -(a), 1, 0 }
#define RNC_N(a, b) (2 * (a) * ((a) * (a) - (b) * (b)))
#define RNC_G(a, b) \
    {1 / RNC_N(a, b), 0, (a) / RNC_N(a, b)}, { -1 / RNC_N(a, b), 0, (a) / RNC_N(a, b) }

static const struct rnc_winograd rnc_winograd_strided_4 = {
    .m = 4,
    .tile = 9,
    .stride = 2,
    .mixed = 5,
    .kernels = 6,
    .first = 0,
    .bt = {RNC_BT(RNC_A, RNC_B),
           RNC_BT(RNC_B, RNC_A),
           {RNC_A * RNC_A * RNC_B * RNC_B, 0, -(RNC_A *RNC_A + RNC_B * RNC_B), 0, 1}},
    .g = {RNC_G(RNC_A, RNC_B), RNC_G(RNC_B, RNC_A), {0, 1, 0}, {0, 0, 1}},
    .at = {{1, 1, 1, 1, 0},
           {RNC_A, -RNC_A, RNC_B, -RNC_B, 0},
           {RNC_A * RNC_A, RNC_A *RNC_A, RNC_B *RNC_B, RNC_B *RNC_B, 0},
           {RNC_A * RNC_A * RNC_A, -RNC_A *RNC_A *RNC_A, RNC_B *RNC_B *RNC_B, -RNC_B *RNC_B *RNC_B, 1}},
};
/* clang-format on */

#undef RNC_A
#undef RNC_B
#undef RNC_BT
#undef RNC_N
#undef RNC_G

/* The algorithm for output tiles of M (2, 4, 5 or 6) at STRIDE 1; at stride 2 M is 4. */
static inline const struct rnc_winograd *rnc_winograd_of(int m, int stride)
{
    return stride == 2 ? &rnc_winograd_strided_4
           : m == 2    ? &rnc_winograd_2
           : m == 4    ? &rnc_winograd_4
           : m == 5    ? &rnc_winograd_5
                       : &rnc_winograd_6;
}

#endif
