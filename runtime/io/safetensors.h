/* safetensors.h: reads and writes .safetensors files. A file is checked completely before any of it is used: the
   header's size, JSON without duplicate keys, types, shapes, and data that fill the file without holes or overlaps. */
#ifndef RNC_RUNTIME_IO_SAFETENSORS_H
#define RNC_RUNTIME_IO_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/status.h"

enum rnc_st_dtype {
    RNC_ST_F32,
    RNC_ST_F64,
    RNC_ST_F16,
    RNC_ST_BF16,
    RNC_ST_I64,
    RNC_ST_I32,
    RNC_ST_I16,
    RNC_ST_I8,
    RNC_ST_U64,
    RNC_ST_U32,
    RNC_ST_U16,
    RNC_ST_U8,
    RNC_ST_BOOL
};
enum { RNC_ST_MAX_RANK = 8 };

struct rnc_st_tensor {
    const char *name;
    enum rnc_st_dtype dtype;
    int rank;
    int64_t dim[RNC_ST_MAX_RANK];
    uint64_t begin, end; /* bytes into the data; set by the reader and the writer */
};
struct rnc_st_meta {
    const char *key, *value;
};

/* ---- reading */
struct rnc_safetensors {
    const char *path;
    const struct rnc_st_tensor *tensors;
    size_t ntensors; /* in the file's order */
    const struct rnc_st_meta *meta;
    size_t nmeta; /* __metadata__ */
};
struct rnc_safetensors *rnc_st_open(const char *path, struct rnc_status *s);
void rnc_st_close(struct rnc_safetensors *f);
const struct rnc_st_tensor *rnc_st_find(const struct rnc_safetensors *f, const char *name);
const char *rnc_st_meta(const struct rnc_safetensors *f, const char *key); /* or NULL */
int64_t rnc_st_elements(const struct rnc_st_tensor *t);
/* Converts to fp32 (from F32, F64, F16, BF16) or to i64 (from I64, I32, U8 …); other types are an error. */
bool rnc_st_read_f32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, float *out, struct rnc_status *s);
bool rnc_st_read_i64(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t *out,
                     struct rnc_status *s);
/* The same for elements [first, first + count) only. */
bool rnc_st_part_f32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t first, int64_t count,
                     float *out, struct rnc_status *s);
bool rnc_st_part_i64(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t first, int64_t count,
                     int64_t *out, struct rnc_status *s);

/* CRC-32 of the tensor's bytes in the file. */
bool rnc_st_crc32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, uint32_t *out, struct rnc_status *s);

/* ---- writing: create, put the data of every tensor in order, commit (atomic, see runtime/io/file.h) */
struct rnc_st_writer;
struct rnc_st_writer *rnc_st_create(const char *path, const struct rnc_st_tensor *tensors, size_t ntensors,
                                    const struct rnc_st_meta *meta, size_t nmeta, struct rnc_status *s);
/* Writes the next tensor's data: of its dtype, row-major. */
bool rnc_st_put(struct rnc_st_writer *w, const void *data, struct rnc_status *s);
/* Frees W, also on failure. */
bool rnc_st_commit(struct rnc_st_writer *w, struct rnc_status *s);
void rnc_st_abort(struct rnc_st_writer *w);

#endif
