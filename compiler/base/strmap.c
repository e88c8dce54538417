#include "base/strmap.h"

#include <string.h>
#include "runtime/rt/hash.h"

void strmap_init(struct strmap *m, struct arena *a)
{
    *m = (struct strmap){.arena = a, .cap = 8, .nslots = 16};
    m->entries = ARENA_ARRAY(a, struct strmap_entry, m->cap);
    m->slots = ARENA_ARRAY(a, size_t, m->nslots);
}

/* The slot that holds KEY, or the free one where it belongs. */
static size_t find_slot(const struct strmap *m, const char *key)
{
    size_t i = (size_t)rnc_hash_text(key) & (m->nslots - 1);
    while (m->slots[i] && strcmp(m->entries[m->slots[i] - 1].key, key) != 0) i = (i + 1) & (m->nslots - 1);
    return i;
}

static void grow(struct strmap *m)
{
    struct strmap_entry *entries = ARENA_ARRAY(m->arena, struct strmap_entry, m->cap * 2);
    memcpy(entries, m->entries, m->count * sizeof *entries);
    m->entries = entries;
    m->cap *= 2;
    m->nslots *= 2;
    m->slots = ARENA_ARRAY(m->arena, size_t, m->nslots);
    for (size_t k = 0; k < m->count; k++) m->slots[find_slot(m, entries[k].key)] = k + 1;
}

void *strmap_get(const struct strmap *m, const char *key)
{
    size_t i = find_slot(m, key);
    return m->slots[i] ? m->entries[m->slots[i] - 1].value : NULL;
}

bool strmap_add(struct strmap *m, const char *key, void *value)
{
    if (m->slots[find_slot(m, key)]) return false;
    if (m->count == m->cap) grow(m);
    m->entries[m->count] = (struct strmap_entry){arena_strdup(m->arena, key), value};
    m->slots[find_slot(m, key)] = ++m->count;
    return true;
}

void strmap_set(struct strmap *m, const char *key, void *value)
{
    size_t i = find_slot(m, key);
    if (m->slots[i]) m->entries[m->slots[i] - 1].value = value;
    else strmap_add(m, key, value);
}
