/* hash.h: FNV-1a, 64 bits (Fowler, Noll, Vo). Used for hash tables, for the keys of random numbers, and to compare
   specs and data. Not cryptographic: collisions can be made on purpose. Thread-safe; the same on every machine. */
#ifndef RNC_RUNTIME_RT_HASH_H
#define RNC_RUNTIME_RT_HASH_H

#include <stddef.h>
#include <stdint.h>

#define RNC_HASH_START UINT64_C(0xcbf29ce484222325) /* the hash of nothing */

/* Adds NEXT to the hash H. FNV-1a itself adds one byte at a time. */
static inline uint64_t rnc_hash_step(uint64_t h, uint64_t next) { return (h ^ next) * UINT64_C(0x100000001b3); }

static inline uint64_t rnc_hash_bytes(uint64_t h, const void *data, size_t bytes)
{
    for (const unsigned char *p = (const unsigned char *)data; bytes > 0; bytes--) h = rnc_hash_step(h, *p++);
    return h;
}

static inline uint64_t rnc_hash_text(const char *s)
{
    uint64_t h = RNC_HASH_START;
    for (; *s; s++) h = rnc_hash_step(h, (unsigned char)*s);
    return h;
}

#endif
