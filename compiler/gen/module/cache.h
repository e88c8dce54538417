/* cache.h: compiled models in a folder, each in a file named by the hash of all that its code depends on. What is kept
   here is never needed: whatever cannot be read or written is compiled instead, so nothing in here fails a command. */
#ifndef RNC_GEN_MODULE_CACHE_H
#define RNC_GEN_MODULE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/sha256.h"

struct cache_key {
    uint8_t bytes[SHA256_BYTES];
};
struct cache;

/* Opens the folder DIR; with CREATE it and those above it are made where they are missing, for their owner alone. NULL
   when it cannot be used, and *WHY (may be NULL) says why; a folder that does not exist and is not to be made gives
   NULL and a *WHY of NULL. Code is run from here, so it has to be the caller's, and no other user may write to it. */
struct cache *cache_open(struct arena *a, const char *dir, bool create, const char **why);
void cache_close(struct cache *c);

/* The content kept under KEY, in the arena; NULL when there is none, or not exactly what was put there. Marks it as
   used. */
const void *cache_get(struct cache *c, const struct cache_key *key, size_t *size);
/* Keeps the content in place of whatever is there under KEY, then removes the least recently used entries until the
   folder holds at most MAX_BYTES. Any number of processes may do so at once. */
void cache_put(struct cache *c, const struct cache_key *key, const void *data, size_t size, uint64_t max_bytes);

/* Small files of other kinds beside the entries, by NAME (measure/tuner.h). The content, in the arena and followed by a
   NUL; NULL when there is no such file, or others may write to it. */
const char *cache_read(struct cache *c, const char *name, size_t *size);
/* Written aside, synced and renamed: readers see all of it or what was there before. */
bool cache_write(struct cache *c, const char *name, const void *data, size_t size);
/* One process at a time between the two. A lock that cannot be had in five seconds is done without: a writer that was
   stopped while it held the lock must not stop others, and the worst that happens is that one's rows are measured
   again. */
void cache_lock(struct cache *c);
void cache_unlock(struct cache *c);
/* Calls FN with every file whose name begins with PREFIX. */
void cache_each(struct cache *c, const char *prefix, void (*fn)(void *ctx, struct cache *c, const char *name),
                void *ctx);
bool cache_remove(struct cache *c, const char *name);

struct cache_usage {
    int entries;
    uint64_t bytes;
};
struct cache_usage cache_usage(struct cache *c);
/* Removes the entries (nothing else that may be in the folder); what was removed. */
struct cache_usage cache_clear(struct cache *c);

#endif
