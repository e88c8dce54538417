/* cache.h: a folder of compiled models, one file each, named by the hash of everything that the code depends on. The
   cache is optional: errors of reading or writing only cause a compilation, never a failed command. */
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

/* Opens the folder DIR. With CREATE, missing folders are made, accessible to their owner alone. Returns NULL if the
   folder can't be used; *WHY (WHY may be NULL) then says why. Without CREATE, a missing folder gives NULL and a *WHY of
   NULL. Code is loaded from the folder, so it must belong to the caller, and no other user may write to it. */
struct cache *cache_open(struct arena *a, const char *dir, bool create, const char **why);
void cache_close(struct cache *c);

/* The content stored under KEY, allocated in the arena. NULL if there is none or its checksum is wrong. Marks the entry
   as used. */
const void *cache_get(struct cache *c, const struct cache_key *key, size_t *size);
/* Stores the content under KEY, replacing an older one. Then removes the least recently used entries until the folder
   holds at most MAX_BYTES. Safe with other processes. */
void cache_put(struct cache *c, const struct cache_key *key, const void *data, size_t size, uint64_t max_bytes);

/* Other small files in the folder, by NAME (measure/tuner.h). The content is allocated in the arena and ends with NUL.
   NULL if the file is missing or other users may write to it. */
const char *cache_read(struct cache *c, const char *name, size_t *size);
/* Writes a temporary file, syncs it and renames it: readers see either the old or the new content. */
bool cache_write(struct cache *c, const char *name, const void *data, size_t size);
/* A lock between processes. cache_lock waits at most five seconds and then goes on without the lock: a stopped process
   that holds it must not block others. At worst, rows of a tuner's table are measured again. */
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
/* Removes all entries but no other files. Returns what was removed. */
struct cache_usage cache_clear(struct cache *c);

#endif
