/* buf.h: a growing text buffer in an arena (always NUL-terminated). */
#ifndef RNC_BASE_BUF_H
#define RNC_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"

struct buf {
    struct arena *arena;
    char *data; /* NUL-terminated; never NULL after buf_init */
    size_t len, cap;
};

void buf_init(struct buf *b, struct arena *a);
void buf_putc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *s);
void buf_write(struct buf *b, const void *data, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_pad(struct buf *b, size_t column, size_t line_start); /* spaces until len - line_start == column */

/* The numbers joined by BETWEEN: what every form of a shape is made of. */
void buf_dims(struct buf *b, int rank, const int64_t *dim, const char *between);
void buf_shape(struct buf *b, int rank, const int64_t *dim);           /* [3, 224, 224], as people write it */
const char *shape_text(struct arena *a, int rank, const int64_t *dim); /* the same */

#endif
