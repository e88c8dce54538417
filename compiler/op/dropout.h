/* dropout.h: the random numbers of dropout, by Philox4x32-10 (runtime/rt/philox.h). Element e (the index into the
   tensor in logical, row-major order) of training step s, in the layer with key text k, draws word e % 4 of the block
   with

       key = seed xor FNV-1a-64(k)     counter = { e/4 (low 64 bits), s (high) }

   so it depends neither on threads, nor on layout, nor on how many samples the batch has, nor on what else the network
   draws. An element is kept when its word is at least dropout_threshold(p). */
#ifndef RNC_OP_DROPOUT_H
#define RNC_OP_DROPOUT_H

#include "runtime/rt/hash.h"
#include "runtime/rt/philox.h"

/* NULL counts as the empty text. */
static inline uint64_t dropout_hash(const char *key) { return rnc_hash_text(key ? key : ""); }

static inline uint32_t dropout_word(uint64_t seed, const char *key, int64_t step, int64_t e)
{
    return rnc_philox(seed ^ dropout_hash(key), (uint64_t)e / 4, (uint64_t)step).word[e % 4];
}

/* round(p · 2^32); 2^32 itself, which no word reaches, for p = 1. */
static inline uint64_t dropout_threshold(double p) { return (uint64_t)(p * 4294967296.0 + 0.5); }

/* What kept values are multiplied by; 0 for p = 1, where none is kept. */
static inline double dropout_scale(double p) { return p < 1 ? 1 / (1 - p) : 0; }

#endif
