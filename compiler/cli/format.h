/* format.h: figures as people read them, and tables of them. */
#ifndef RNC_CLI_FORMAT_H
#define RNC_CLI_FORMAT_H

#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "ir/graph.h"

const char *format_count(struct arena *a, int64_t n);      /* 11,689,512 */
const char *format_bytes(struct arena *a, uint64_t bytes); /* 44.6 MiB */
const char *format_short(struct arena *a, double n);       /* 1.82 G */
const char *format_ms(struct arena *a, double ms);         /* three significant digits: 0.132, 4.57, 128 */
const char *format_dims(struct arena *a, const struct type *t,
                        int from); /* 64 × 112 × 112; FROM 1: without the batch */
/* "conv2d 3×3 /2 ×32": the operator with its kernel, stride and groups where it has them. */
const char *format_operator(struct arena *a, const struct node *n);

/* A name of the file system as UTF-8, for JSON: other bytes become \xNN. */
const char *format_name(struct arena *a, const char *name);

struct format_table;
/* COLUMNS: one title each, NULL-terminated; a title that begins with '>' is of a right-aligned column. */
struct format_table *format_table_new(struct arena *a, const char *const *columns);
/* One cell for each column; NULL prints as nothing. */
void format_table_row(struct format_table *t, const char *const *cells);
void format_table_rule(struct format_table *t);
void format_table_print(const struct format_table *t, FILE *out);

#endif
