/* winograd.h: the minimal filtering algorithms F(m×m, 3×3) for m = 2, 4 and 6, shared by the packer of weights and the code generator.
   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A with tiles d of (m+2)×(m+2) (Winograd 1980; Lavin and Gray 2016, sections 4.1–4.3).
   Interpolation points: 0, ±1, ∞ for m = 2; and ±2 for m = 4; and ±1/2 for m = 6. */
#ifndef RNC_RUNTIME_WINOGRAD_H
#define RNC_RUNTIME_WINOGRAD_H

enum { RNC_WINOGRAD_MAX = 8 }; /* the largest m + 2 */

struct rnc_winograd {
    int m, tile;                                        /* tile = m + 2 */
    double bt[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX];      /* [tile][tile] */
    double g[RNC_WINOGRAD_MAX][3];                      /* [tile][3] */
    double at[RNC_WINOGRAD_MAX][RNC_WINOGRAD_MAX];      /* [m][tile] */
};

static const struct rnc_winograd rnc_winograd_2 = {
    .m = 2, .tile = 4,
    .bt = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
    .g = {{1, 0, 0}, {1 / 2., 1 / 2., 1 / 2.}, {1 / 2., -1 / 2., 1 / 2.}, {0, 0, 1}},
    .at = {{1, 1, 1, 0}, {0, 1, -1, 1}},
};

static const struct rnc_winograd rnc_winograd_4 = {
    .m = 4, .tile = 6,
    .bt = {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
    .g = {{1 / 4., 0, 0}, {-1 / 6., -1 / 6., -1 / 6.}, {-1 / 6., 1 / 6., -1 / 6.}, {1 / 24., 1 / 12., 1 / 6.}, {1 / 24., -1 / 12., 1 / 6.}, {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}},
};

static const struct rnc_winograd rnc_winograd_6 = {
    .m = 6, .tile = 8,
    .bt = {{1, 0, -21 / 4., 0, 21 / 4., 0, -1, 0},
           {0, 1, 1, -17 / 4., -17 / 4., 1, 1, 0},
           {0, -1, 1, 17 / 4., -17 / 4., -1, 1, 0},
           {0, 1 / 2., 1 / 4., -5 / 2., -5 / 4., 2, 1, 0},
           {0, -1 / 2., 1 / 4., 5 / 2., -5 / 4., -2, 1, 0},
           {0, 2, 4, -5 / 2., -5, 1 / 2., 1, 0},
           {0, -2, 4, 5 / 2., -5, -1 / 2., 1, 0},
           {0, -1, 0, 21 / 4., 0, -21 / 4., 0, 1}},
    .g = {{1, 0, 0}, {-2 / 9., -2 / 9., -2 / 9.}, {-2 / 9., 2 / 9., -2 / 9.}, {1 / 90., 1 / 45., 2 / 45.}, {1 / 90., -1 / 45., 2 / 45.},
          {32 / 45., 16 / 45., 8 / 45.}, {32 / 45., -16 / 45., 8 / 45.}, {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1 / 2., -1 / 2., 0}, {0, 1, 1, 4, 4, 1 / 4., 1 / 4., 0}, {0, 1, -1, 8, -8, 1 / 8., -1 / 8., 0},
           {0, 1, 1, 16, 16, 1 / 16., 1 / 16., 0}, {0, 1, -1, 32, -32, 1 / 32., -1 / 32., 1}},
};

/* The algorithm of output tile M: 2, 4 or 6. */
static inline const struct rnc_winograd *rnc_winograd_of(int m)
{
    return m == 2 ? &rnc_winograd_2 : m == 4 ? &rnc_winograd_4 : &rnc_winograd_6;
}

#endif
