/* strmap.h: text -> pointer, insertion order kept. Keys are copied into the arena. */
#ifndef RNC_BASE_STRMAP_H
#define RNC_BASE_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"

struct strmap {
    struct arena *arena;
    struct strmap_entry {
        const char *key;
        void *value;
    } * entries; /* in insertion order */
    size_t count, cap;
    size_t *slots, nslots; /* hash table of indices into entries, +1 */
};

void strmap_init(struct strmap *m, struct arena *a);
/* The value of KEY, or NULL. */
void *strmap_get(const struct strmap *m, const char *key);
/* Sets KEY; false (and nothing changed) when it is there already. */
bool strmap_add(struct strmap *m, const char *key, void *value);
/* Sets or replaces KEY. */
void strmap_set(struct strmap *m, const char *key, void *value);

#endif
