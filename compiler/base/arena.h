/* arena.h: memory that lives as long as one compilation.
   Everything the compiler makes (AST, IR, diagnostics, plans) is taken from one arena and freed at once.
   An arena is not thread-safe; each thread that needs one makes its own. */
#ifndef RNC_BASE_ARENA_H
#define RNC_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* A new, empty arena; the caller frees it with arena_free. */
struct arena *arena_new(void);
void arena_free(struct arena *a);

/* SIZE zeroed bytes aligned to 16. Never returns NULL: when the system has no memory left, the process ends
   with one line on stderr and status 2 (nothing that the compiler could undo is open at that time). */
void *arena_alloc(struct arena *a, size_t size);
/* COUNT zeroed elements of SIZE bytes, overflow-checked. */
void *arena_array(struct arena *a, size_t count, size_t size);

char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Bytes handed out so far. */
size_t arena_used(const struct arena *a);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_array((a), (size_t)(n), sizeof(T)))

/* Says so, and ends the process with status 2. WHERE: " in …", or ""; SIZE 0: not known. */
_Noreturn void arena_out_of_memory(const char *where, size_t size);

#endif
