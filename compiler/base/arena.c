#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGN = 16 };

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGN) unsigned char data[];
};

struct arena {
    struct block *blocks;
    size_t total;
};

/* The one place where the compiler ends the process: see arena.h. */
void arena_out_of_memory(const char *where, size_t size)
{
    if (size) fprintf(stderr, "rnc: error: out of memory%s (asked for %zu bytes)\n", where, size);
    else fprintf(stderr, "rnc: error: out of memory%s\n", where);
    _exit(2);
}

static void out_of_memory(size_t size) { arena_out_of_memory("", size); }

static struct block *block_new(size_t size)
{
    struct block *b = size > SIZE_MAX - sizeof *b ? NULL : calloc(1, sizeof *b + size);
    if (!b) out_of_memory(size);
    b->size = size;
    return b;
}

struct arena *arena_new(void)
{
    struct arena *a = calloc(1, sizeof *a);
    if (!a) out_of_memory(sizeof *a);
    a->blocks = block_new(BLOCK_BYTES);
    return a;
}

void arena_free(struct arena *a)
{
    if (!a) return;
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ALIGN) out_of_memory(size);
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size == 0) size = ALIGN;
    a->total += size;
    struct block *b = a->blocks;
    if (b->size - b->used < size) {
        if (size >= BLOCK_BYTES / 4) { /* a block of its own, behind the current one, which still has room */
            struct block *own = block_new(size);
            own->used = size;
            own->next = b->next;
            b->next = own;
            return own->data;
        }
        b = block_new(BLOCK_BYTES);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += size;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) out_of_memory(SIZE_MAX);
    return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list copy;
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, fmt, copy);
    va_end(copy);
    if (n < 0) n = 0;
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

size_t arena_used(const struct arena *a) { return a->total; }
