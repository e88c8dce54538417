/* store.h: the tensors of a safetensors file, and .npy arrays. Failure ends the process: a test case runs in a process
   of its own. */
#ifndef RNC_TESTS_VECTORS_STORE_H
#define RNC_TESTS_VECTORS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"

struct tensor {
    const char *name;
    bool i64; /* `ints` holds the elements, else `data` */
    int rank;
    size_t dim[4], count;
    float *data;
    int64_t *ints;
};
struct store {
    struct arena *arena;
    struct tensor *tensors;
    size_t count;
};

/* Prints the message and ends the process with status 1. */
void store_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

struct store store_read(struct arena *a, const char *path);
const struct tensor *store_find(const struct store *s, const char *name); /* or NULL */
const struct tensor *store_get(const struct store *s, const char *name);
void store_write(const char *path, const struct tensor *const *tensors, size_t count); /* float tensors */

void store_write_npy(struct arena *a, const char *path, const struct tensor *t);
/* The numbers of a float32 .npy of version 1; their count must be COUNT. */
float *store_read_npy(struct arena *a, const char *path, size_t count);

#endif
