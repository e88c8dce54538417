/* philox.h: the random numbers of dropout, counter-based: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers:
   as easy as 1, 2, 3"). Element e (the index into the tensor in logical, row-major order) of training step s, in the
   layer with key text k, draws word e % 4 of the block whose counter and key are

       counter = { e/4 low 32 bits, e/4 high 32 bits, s low, s high }     key = { q low, q high },  q = seed xor
   FNV-1a-64(k)

   so it depends neither on threads, nor on layout, nor on how many samples the batch has, nor on what else the network
   draws. An element is kept when its word is at least philox_threshold(p). */
#ifndef RNC_OP_PHILOX_H
#define RNC_OP_PHILOX_H

#include <stdint.h>

#define PHILOX_M0 0xD2511F53u /* multipliers */
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u /* added to the key after each round */
#define PHILOX_W1 0xBB67AE85u
enum { PHILOX_ROUNDS = 10 };

static inline void philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        uint64_t a = (uint64_t)PHILOX_M0 * c0, b = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo); NULL counts as the empty text. */
static inline uint64_t philox_hash(const char *key)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; key && *key; key++) h = (h ^ (unsigned char)*key) * 0x100000001B3u;
    return h;
}

static inline uint32_t philox_word(uint64_t seed, const char *key, int64_t step, int64_t e)
{
    uint64_t block = (uint64_t)e / 4, q = seed ^ philox_hash(key), s = (uint64_t)step;
    uint32_t out[4], counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)s, (uint32_t)(s >> 32)},
                     k[2] = {(uint32_t)q, (uint32_t)(q >> 32)};
    philox_block(counter, k, out);
    return out[e % 4];
}

/* round(p · 2^32); 2^32 itself, which no word reaches, for p = 1. */
static inline uint64_t philox_threshold(double p) { return (uint64_t)(p * 4294967296.0 + 0.5); }

/* What kept values are multiplied by; 0 for p = 1, where none is kept. */
static inline double philox_scale(double p) { return p < 1 ? 1 / (1 - p) : 0; }

#endif
