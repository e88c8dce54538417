/* pack.c: intervals of time with heights, packed without overlap into a strip of least height: dynamic storage
   allocation with known lifetimes, which is NP-hard (Garey and Johnson, SR2). Greedy placement in several orders comes
   close (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference"); then the items at the
   top are moved forward in the order as long as that helps, within a fixed budget. */
#include "pass/passes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t items_bound(const struct item *items, int count, int times, struct arena *a)
{
    size_t *begin = ARENA_ARRAY(a, size_t, times + 2), *end = ARENA_ARRAY(a, size_t, times + 2), live = 0, most = 0;
    for (int i = 0; i < count; i++) {
        begin[items[i].first] += items[i].bytes;
        end[items[i].last + 1] += items[i].bytes;
    }
    for (int t = 0; t <= times; t++) {
        live += begin[t];
        live -= end[t];
        if (live > most) most = live;
    }
    return most;
}

/* ---- one placement */

struct packing {
    struct item *items;
    int count;
    int *placed; /* indices by offset */
};

/* Lowest place where item I fits between those placed that are live with it. LIMIT: give up above it. */
static size_t lowest_gap(const struct packing *p, const struct item *it, int nplaced)
{
    size_t at = 0;
    for (int k = 0; k < nplaced; k++) {
        const struct item *o = &p->items[p->placed[k]];
        if (o->first > it->last || it->first > o->last) continue;
        if (o->offset >= at + it->bytes) break;
        if (o->offset + o->bytes > at) at = o->offset + o->bytes;
    }
    return at;
}

/* The first COUNT of ORDER, in that order; SIZE_MAX: they would reach above LIMIT. */
static size_t place_all(struct packing *p, const int *order, int count, size_t limit)
{
    size_t height = 0;
    for (int i = 0; i < count; i++) {
        struct item *it = &p->items[order[i]];
        it->offset = lowest_gap(p, it, i);
        if (it->offset + it->bytes > height) height = it->offset + it->bytes;
        if (height > limit) return SIZE_MAX;
        int k = i;
        for (; k && p->items[p->placed[k - 1]].offset > it->offset; k--) p->placed[k] = p->placed[k - 1];
        p->placed[k] = order[i];
    }
    return height;
}

/* ---- orders */

enum order_kind { BY_SIZE, BY_LIFETIME, BY_AREA, BY_FIRST, BY_LAST, NORDERS };

struct key {
    double key;
    int index;
};

static double key_of(const struct item *it, int kind)
{
    double size = (double)it->bytes, life = it->last - it->first + 1;
    switch (kind) {
    case BY_SIZE: return -size;
    case BY_LIFETIME: return -life;
    case BY_AREA: return -size * life;
    case BY_FIRST: return it->first;
    default: return -it->last;
    }
}

static int by_key(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index - y->index;
}

static void fill_order(const struct item *items, int count, int kind, struct key *keys, int *order)
{
    for (int i = 0; i < count; i++) keys[i] = (struct key){key_of(&items[i], kind), i};
    qsort(keys, (size_t)count, sizeof *keys, by_key);
    for (int i = 0; i < count; i++) order[i] = keys[i].index;
}

/* ---- improvement */

static uint64_t next_random(uint64_t *state) /* xorshift64 (Marsaglia 2003) */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Moves an item that reaches the top to an earlier place in the order, of COUNT. */
static void promote(const struct packing *p, int *order, int count, size_t height, uint64_t *random)
{
    int tops = 0, position = 0;
    for (int i = 0; i < count; i++) {
        const struct item *it = &p->items[order[i]];
        if (it->offset + it->bytes == height && next_random(random) % (uint64_t)++tops == 0) position = i;
    }
    int to = position ? (int)(next_random(random) % (uint64_t)position) : 0;
    if (next_random(random) % 4 == 0) to = 0;
    int moved = order[position];
    memmove(&order[to + 1], &order[to], (size_t)(position - to) * sizeof *order);
    order[to] = moved;
}

/* A search for the last thousandth would take longer than the start of a model that has been compiled before. */
static size_t near_enough(size_t bound) { return bound + bound / 1000; }

/* The search goes over the first COUNT of ORDER alone, and leaves its best there. */
static void improve(struct packing *p, int *order, int count, size_t bound, struct arena *a)
{
    int *trial = ARENA_ARRAY(a, int, count + 1), *current = ARENA_ARRAY(a, int, count + 1);
    uint64_t random = 88172645463325252u;
    int64_t budget = 24000000 / ((int64_t)count * count + 1000);
    size_t height = place_all(p, order, count, SIZE_MAX), best = height, *offset = ARENA_ARRAY(a, size_t, count + 1);
    memcpy(current, order, (size_t)count * sizeof *current);
    for (int64_t i = 0; i < budget && best > near_enough(bound); i++) {
        for (int k = 0; k < count; k++) offset[k] = p->items[current[k]].offset;
        memcpy(trial, current, (size_t)count * sizeof *trial);
        promote(p, trial, count, height, &random);
        size_t h = place_all(p, trial, count, height);
        if (h <= height) {
            memcpy(current, trial, (size_t)count * sizeof *trial);
            height = h;
        } else {
            for (int k = 0; k < count; k++) p->items[current[k]].offset = offset[k];
        }
        if (height >= best) continue;
        best = height;
        memcpy(order, current, (size_t)count * sizeof *order);
    }
}

/* ORDER with the items of some size first, which the search is about; the many small ones fit into what is left.
   Returns how many those are. */
static int large_first(const struct packing *p, const int *from, size_t bound, int *order)
{
    int large = 0, count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < p->count; i++)
            if ((p->items[from[i]].bytes >= bound / 1000) == !pass) order[count++] = from[i];
        if (!pass) large = count;
    }
    return large;
}

size_t items_pack(struct item *items, int count, size_t bound, struct arena *a)
{
    struct packing p = {items, count, ARENA_ARRAY(a, int, count + 1)};
    struct key *keys = ARENA_ARRAY(a, struct key, count + 1);
    int *order = ARENA_ARRAY(a, int, count + 1), *best = ARENA_ARRAY(a, int, count + 1);
    size_t height = SIZE_MAX;
    if (!count) return 0;
    for (int kind = 0; kind < NORDERS && height > bound; kind++) {
        fill_order(items, count, kind, keys, order);
        size_t h = place_all(&p, order, count, height);
        if (h >= height) continue;
        height = h;
        memcpy(best, order, (size_t)count * sizeof *best);
    }
    int *from = ARENA_ARRAY(a, int, count + 1);
    memcpy(from, best, (size_t)count * sizeof *from);
    for (int kind = 0; kind < NORDERS && height > (kind ? bound + bound / 200 : near_enough(bound)); kind++) {
        improve(&p, order, large_first(&p, from, bound, order), bound, a);
        size_t h = place_all(&p, order, count, height);
        fill_order(items, count, kind, keys, from);
        if (h >= height) continue;
        height = h;
        memcpy(best, order, (size_t)count * sizeof *best);
    }
    return place_all(&p, best, count, SIZE_MAX);
}
