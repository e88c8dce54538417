/* npy.h: NumPy's .npy arrays, versions 1 to 3, in C order. */
#ifndef RNC_RUNTIME_IO_NPY_H
#define RNC_RUNTIME_IO_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/status.h"

enum { RNC_NPY_MAX_RANK = 8 };
enum rnc_npy_dtype { RNC_NPY_F32, RNC_NPY_I64, RNC_NPY_U8 };
struct rnc_npy {
    enum rnc_npy_dtype dtype;
    int rank;
    int64_t dim[RNC_NPY_MAX_RANK];
    void *data; /* row-major: malloc'ed, or inside `map` */
    void *map;  /* the mapped file, or NULL */
    size_t map_bytes;
};
/* Converts f4, f8, f2 to fp32; i8, i4, i2, i1 and wider unsigned types to i64; u1 and bool to bytes. */
bool rnc_npy_read(const char *path, struct rnc_npy *a, struct rnc_status *s);
/* The same, but little-endian f4 and i8 arrays are mapped, for arrays larger than memory. DATA is read-only then. */
bool rnc_npy_map(const char *path, struct rnc_npy *a, struct rnc_status *s);
void rnc_npy_free(struct rnc_npy *a);
int64_t rnc_npy_elements(const struct rnc_npy *a);
/* Writes PATH atomically. */
bool rnc_npy_write(const char *path, const struct rnc_npy *a, struct rnc_status *s);

#endif
