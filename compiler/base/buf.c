#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, struct arena *a)
{
    *b = (struct buf){.arena = a, .cap = 256};
    b->data = arena_alloc(a, b->cap);
}

static void reserve(struct buf *b, size_t more)
{
    if (b->cap - b->len > more) return;
    size_t cap = b->cap * 2;
    while (cap - b->len <= more) cap *= 2;
    char *data = arena_alloc(b->arena, cap);
    memcpy(data, b->data, b->len + 1);
    b->data = data;
    b->cap = cap;
}

void buf_write(struct buf *b, const void *data, size_t n)
{
    if (n == 0) return;
    reserve(b, n);
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_putc(struct buf *b, char c) { buf_write(b, &c, 1); }
void buf_puts(struct buf *b, const char *s) { buf_write(b, s, strlen(s)); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_pad(struct buf *b, size_t column, size_t line_start)
{
    while (b->len - line_start < column) buf_putc(b, ' ');
}

void buf_dims(struct buf *b, int rank, const int64_t *dim, const char *between)
{
    for (int i = 0; i < rank; i++) buf_printf(b, "%s%lld", i ? between : "", (long long)dim[i]);
}

void buf_shape(struct buf *b, int rank, const int64_t *dim)
{
    buf_putc(b, '[');
    buf_dims(b, rank, dim, ", ");
    buf_putc(b, ']');
}

const char *shape_text(struct arena *a, int rank, const int64_t *dim)
{
    struct buf b;
    buf_init(&b, a);
    buf_shape(&b, rank, dim);
    return b.data;
}
