/* sha256.h: SHA-256 as FIPS 180-4 defines it. */
#ifndef RNC_BASE_SHA256_H
#define RNC_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 2 * SHA256_BYTES + 1 /* with the NUL */ };

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;    /* taken so far */
    uint8_t block[64]; /* the last of them that don't fill a block */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t n);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_BYTES]);
void sha256_hex(const uint8_t digest[SHA256_BYTES], char out[SHA256_HEX]);

#endif
