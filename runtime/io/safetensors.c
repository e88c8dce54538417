/* safetensors.c: the format of https://github.com/huggingface/safetensors: a little-endian u64 N, N bytes of JSON, the
   data. */
#include "runtime/io/safetensors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime/io/file.h"

enum { LENGTH_BYTES = 8, HEADER_MAX = 100 << 20, CONVERT = 4096 };

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [RNC_ST_F32] = {"F32", 4},  [RNC_ST_F64] = {"F64", 8}, [RNC_ST_F16] = {"F16", 2}, [RNC_ST_BF16] = {"BF16", 2},
    [RNC_ST_I64] = {"I64", 8},  [RNC_ST_I32] = {"I32", 4}, [RNC_ST_I16] = {"I16", 2}, [RNC_ST_I8] = {"I8", 1},
    [RNC_ST_U64] = {"U64", 8},  [RNC_ST_U32] = {"U32", 4}, [RNC_ST_U16] = {"U16", 2}, [RNC_ST_U8] = {"U8", 1},
    [RNC_ST_BOOL] = {"BOOL", 1}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

struct reader {
    struct rnc_safetensors pub; /* first, so that the two pointers convert */
    int fd;
    char *path;
    uint64_t data_at, data_bytes;
    struct rnc_st_tensor *tensors;
    struct rnc_st_meta *meta;
    json_t *header; /* owns the names and the metadata */
};

static bool damaged(const struct reader *r, struct rnc_status *s, const char *what)
{
    return rnc_fail(s, RNC_USER, "%s is not a usable safetensors file: %s", r->path, what);
}

static bool damaged_tensor(const struct reader *r, struct rnc_status *s, const char *name, const char *what)
{
    return rnc_fail(s, RNC_USER, "%s is not a usable safetensors file: tensor '%.128s' %s", r->path, name, what);
}

/* Exactly BYTES at offset AT of the file. */
static bool read_at(const struct reader *r, void *out, size_t bytes, uint64_t at, struct rnc_status *s)
{
    char *to = out;
    while (bytes > 0) {
        ssize_t n = pread(r->fd, to, bytes < (1u << 30) ? bytes : 1u << 30, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return rnc_fail(s, RNC_ENV, "can't read %s: %s", r->path, strerror(errno));
        if (n == 0) return damaged(r, s, "it is truncated");
        to += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return true;
}

/* ---- the header */

static bool parse_dtype(const json_t *j, enum rnc_st_dtype *out)
{
    const char *name = json_string_value(j);
    for (int k = 0; name && k < DTYPES; k++)
        if (!strcmp(name, dtypes[k].name)) {
            *out = (enum rnc_st_dtype)k;
            return true;
        }
    return false;
}

static bool parse_shape(const json_t *j, struct rnc_st_tensor *t)
{
    if (!json_is_array(j) || json_array_size(j) > RNC_ST_MAX_RANK) return false;
    t->rank = (int)json_array_size(j);
    uint64_t elements = 1;
    for (int k = 0; k < t->rank; k++) {
        const json_t *d = json_array_get(j, (size_t)k);
        if (!json_is_integer(d) || json_integer_value(d) < 0) return false;
        t->dim[k] = json_integer_value(d);
        if (__builtin_mul_overflow(elements, (uint64_t)t->dim[k], &elements) || elements > INT64_MAX / 8) return false;
    }
    return true;
}

static bool parse_offsets(const json_t *j, struct rnc_st_tensor *t)
{
    const json_t *b = json_array_get(j, 0), *e = json_array_get(j, 1);
    if (json_array_size(j) != 2 || !json_is_integer(b) || !json_is_integer(e)) return false;
    if (json_integer_value(b) < 0 || json_integer_value(e) < json_integer_value(b)) return false;
    t->begin = (uint64_t)json_integer_value(b);
    t->end = (uint64_t)json_integer_value(e);
    return true;
}

static bool parse_tensor(const struct reader *r, const char *name, const json_t *j, struct rnc_st_tensor *t,
                         struct rnc_status *s)
{
    t->name = name;
    if (!json_is_object(j)) return damaged_tensor(r, s, name, "is not described by an object");
    if (!parse_dtype(json_object_get(j, "dtype"), &t->dtype)) return damaged_tensor(r, s, name, "has an unknown dtype");
    if (!parse_shape(json_object_get(j, "shape"), t)) return damaged_tensor(r, s, name, "has no sound shape");
    if (!parse_offsets(json_object_get(j, "data_offsets"), t))
        return damaged_tensor(r, s, name, "has no sound data_offsets");
    if (t->end > r->data_bytes) return damaged_tensor(r, s, name, "lies beyond the end of the file: it is truncated");
    if (t->end - t->begin != (uint64_t)rnc_st_elements(t) * dtypes[t->dtype].bytes)
        return damaged_tensor(r, s, name, "has a shape and data_offsets that do not agree");
    return true;
}

static bool parse_meta(struct reader *r, json_t *j, struct rnc_status *s)
{
    const char *key;
    json_t *value;
    if (!json_is_object(j)) return damaged(r, s, "__metadata__ is not an object");
    r->meta = calloc(json_object_size(j) + 1, sizeof *r->meta);
    if (!r->meta) return rnc_fail(s, RNC_ENV, "no memory to read %s", r->path);
    json_object_foreach(j, key, value)
    {
        if (!json_is_string(value)) return damaged(r, s, "a value of __metadata__ is not text");
        r->meta[r->pub.nmeta++] = (struct rnc_st_meta){key, json_string_value(value)};
    }
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct rnc_st_tensor *x = *(const struct rnc_st_tensor *const *)a,
                               *y = *(const struct rnc_st_tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors must fill the data exactly: no byte twice, none unused. */
static bool check_cover(const struct reader *r, struct rnc_status *s)
{
    size_t n = r->pub.ntensors;
    const struct rnc_st_tensor **order = calloc(n + 1, sizeof *order);
    if (!order) return rnc_fail(s, RNC_ENV, "no memory to read %s", r->path);
    for (size_t k = 0; k < n; k++) order[k] = &r->tensors[k];
    qsort(order, n, sizeof *order, by_begin);
    uint64_t at = 0;
    bool ok = true;
    for (size_t k = 0; ok && k < n; k++) {
        if (order[k]->begin < at) ok = damaged_tensor(r, s, order[k]->name, "overlaps another one");
        else if (order[k]->begin > at) ok = damaged_tensor(r, s, order[k]->name, "begins after a hole in the data");
        at = order[k]->end;
    }
    if (ok && at != r->data_bytes) ok = damaged(r, s, "there are data behind the last tensor");
    free(order);
    return ok;
}

static bool parse_header(struct reader *r, struct rnc_status *s)
{
    const char *name;
    json_t *value;
    if (!json_is_object(r->header)) return damaged(r, s, "its header is not a JSON object");
    r->tensors = calloc(json_object_size(r->header) + 1, sizeof *r->tensors);
    if (!r->tensors) return rnc_fail(s, RNC_ENV, "no memory to read %s", r->path);
    json_object_foreach(r->header, name, value)
    {
        bool ok = !strcmp(name, "__metadata__") ? parse_meta(r, value, s)
                                                : parse_tensor(r, name, value, &r->tensors[r->pub.ntensors++], s);
        if (!ok) return false;
    }
    r->pub.tensors = r->tensors;
    r->pub.meta = r->meta;
    return check_cover(r, s);
}

static bool read_header(struct reader *r, struct rnc_status *s)
{
    struct stat st;
    unsigned char length[LENGTH_BYTES];
    if (fstat(r->fd, &st) != 0) return rnc_fail(s, RNC_ENV, "can't read %s: %s", r->path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return rnc_fail(s, RNC_USER, "%s is not a file", r->path);
    if (st.st_size < LENGTH_BYTES) return damaged(r, s, "it is shorter than a header's length");
    if (!read_at(r, length, LENGTH_BYTES, 0, s)) return false;
    uint64_t bytes = 0, rest = (uint64_t)st.st_size - LENGTH_BYTES;
    for (int k = LENGTH_BYTES; k-- > 0;) bytes = bytes << 8 | length[k];
    if (bytes > HEADER_MAX && bytes > rest)
        return damaged(r, s, "it does not begin with a header's length (is it another format?)");
    if (bytes > rest) return damaged(r, s, "it is truncated within its header");
    if (bytes > HEADER_MAX) return damaged(r, s, "its header is larger than 100 MiB");
    r->data_at = LENGTH_BYTES + bytes;
    r->data_bytes = rest - bytes;
    char *text = malloc((size_t)bytes + 1);
    if (!text) return rnc_fail(s, RNC_ENV, "no memory to read %s", r->path);
    json_error_t error = {0};
    bool ok = read_at(r, text, (size_t)bytes, LENGTH_BYTES, s);
    if (ok) r->header = json_loadb(text, (size_t)bytes, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (ok && !r->header)
        return rnc_fail(s, RNC_USER, "%s is not a usable safetensors file: in its header, %.150s", r->path, error.text);
    return ok;
}

struct rnc_safetensors *rnc_st_open(const char *path, struct rnc_status *s)
{
    struct reader *r = calloc(1, sizeof *r);
    if (r) r->path = strdup(path);
    if (!r || !r->path) {
        free(r);
        rnc_fail(s, RNC_ENV, "no memory to read %s", path);
        return NULL;
    }
    r->pub.path = r->path;
    r->fd = rnc_file_open(path, s);
    if (r->fd >= 0 && read_header(r, s) && parse_header(r, s)) return &r->pub;
    rnc_st_close(&r->pub);
    return NULL;
}

void rnc_st_close(struct rnc_safetensors *f)
{
    struct reader *r = (struct reader *)f;
    if (!r) return;
    if (r->fd >= 0) close(r->fd);
    json_decref(r->header);
    free(r->tensors);
    free(r->meta);
    free(r->path);
    free(r);
}

const struct rnc_st_tensor *rnc_st_find(const struct rnc_safetensors *f, const char *name)
{
    for (size_t k = 0; k < f->ntensors; k++)
        if (!strcmp(f->tensors[k].name, name)) return &f->tensors[k];
    return NULL;
}

const char *rnc_st_meta(const struct rnc_safetensors *f, const char *key)
{
    for (size_t k = 0; k < f->nmeta; k++)
        if (!strcmp(f->meta[k].key, key)) return f->meta[k].value;
    return NULL;
}

int64_t rnc_st_elements(const struct rnc_st_tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++) n *= t->dim[k];
    return n;
}

/* ---- values */

static uint64_t load_bits(const unsigned char *p, size_t bytes)
{
    uint64_t u = 0;
    for (size_t k = bytes; k-- > 0;) u = u << 8 | p[k];
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* IEEE 754 binary16, subnormals included. */
static float from_half(uint32_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent > 0) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

static bool to_f32(enum rnc_st_dtype t, uint64_t u, float *out)
{
    double d;
    switch (t) {
    case RNC_ST_F32: *out = from_bits((uint32_t)u); return true;
    case RNC_ST_F64:
        memcpy(&d, &u, sizeof d);
        *out = (float)d;
        return true;
    case RNC_ST_F16: *out = from_half((uint32_t)u); return true;
    case RNC_ST_BF16: *out = from_bits((uint32_t)u << 16); return true;
    default: return false;
    }
}

static bool to_i64(enum rnc_st_dtype t, uint64_t u, int64_t *out)
{
    switch (t) {
    case RNC_ST_I64: *out = (int64_t)u; return true;
    case RNC_ST_I32: *out = (int32_t)u; return true;
    case RNC_ST_I16: *out = (int16_t)u; return true;
    case RNC_ST_I8: *out = (int8_t)u; return true;
    case RNC_ST_U32:
    case RNC_ST_U16:
    case RNC_ST_U8:
    case RNC_ST_BOOL: *out = (int64_t)u; return true;
    default: return false;
    }
}

static bool wrong_dtype(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, const char *wanted,
                        struct rnc_status *s)
{
    return rnc_fail(s, RNC_USER, "%s: tensor '%.128s' is %s, %s expected", f->path, t->name, dtypes[t->dtype].name,
                    wanted);
}

/* Reads the tensor in chunks and hands each element's bits over. */
static bool read_elements(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t first, int64_t count,
                          float *floats, int64_t *ints, struct rnc_status *s)
{
    const struct reader *r = (const struct reader *)f;
    size_t size = dtypes[t->dtype].bytes;
    assert(first >= 0 && count >= 0 && count <= rnc_st_elements(t) - first);
    unsigned char chunk[CONVERT * 8];
    for (int64_t at = 0; at < count; at += CONVERT) {
        int64_t n = count - at < CONVERT ? count - at : CONVERT;
        if (!read_at(r, chunk, (size_t)n * size, r->data_at + t->begin + (uint64_t)(first + at) * size, s))
            return false;
        for (int64_t k = 0; k < n; k++) {
            uint64_t u = load_bits(chunk + (size_t)k * size, size);
            if (floats && !to_f32(t->dtype, u, &floats[at + k]))
                return wrong_dtype(f, t, "F32, F64, F16 or BF16 was", s);
            if (ints && !to_i64(t->dtype, u, &ints[at + k])) return wrong_dtype(f, t, "an integer type was", s);
        }
    }
    return true;
}

bool rnc_st_part_f32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t first, int64_t count,
                     float *out, struct rnc_status *s)
{
    const struct reader *r = (const struct reader *)f;
    assert(first >= 0 && count >= 0 && count <= rnc_st_elements(t) - first);
    if (t->dtype == RNC_ST_F32 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        return read_at(r, out, (size_t)count * sizeof *out, r->data_at + t->begin + (uint64_t)first * sizeof *out, s);
    return read_elements(f, t, first, count, out, NULL, s);
}

bool rnc_st_part_i64(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t first, int64_t count,
                     int64_t *out, struct rnc_status *s)
{
    return read_elements(f, t, first, count, NULL, out, s);
}

bool rnc_st_read_f32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, float *out, struct rnc_status *s)
{
    return rnc_st_part_f32(f, t, 0, rnc_st_elements(t), out, s);
}

bool rnc_st_read_i64(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, int64_t *out, struct rnc_status *s)
{
    return rnc_st_part_i64(f, t, 0, rnc_st_elements(t), out, s);
}

bool rnc_st_crc32(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, uint32_t *out, struct rnc_status *s)
{
    const struct reader *r = (const struct reader *)f;
    unsigned char chunk[CONVERT * 8];
    uLong crc = crc32(0, NULL, 0);
    for (uint64_t at = t->begin; at < t->end;) {
        size_t n = t->end - at < sizeof chunk ? (size_t)(t->end - at) : sizeof chunk;
        if (!read_at(r, chunk, n, r->data_at + at, s)) return false;
        crc = crc32(crc, chunk, (uInt)n);
        at += n;
    }
    *out = (uint32_t)crc;
    return true;
}

/* ---- writing */

struct rnc_st_writer {
    struct rnc_file *file;
    size_t count, next;
    size_t *bytes;
};

static json_t *describe(const struct rnc_st_tensor *t, uint64_t *at, size_t *bytes)
{
    *bytes = (size_t)rnc_st_elements(t) * dtypes[t->dtype].bytes;
    json_t *shape = json_array();
    for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->dim[k]));
    json_t *j = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[t->dtype].name, "shape", shape, "data_offsets",
                          (json_int_t)*at, (json_int_t)(*at + *bytes));
    *at += *bytes;
    return j;
}

/* The header's JSON, padded with spaces so that the data begin at a multiple of 8. */
static char *header_text(const struct rnc_st_tensor *t, size_t n, const struct rnc_st_meta *meta, size_t nmeta,
                         size_t *bytes)
{
    json_t *root = json_object(), *m = json_object();
    uint64_t at = 0;
    for (size_t k = 0; k < nmeta; k++) json_object_set_new(m, meta[k].key, json_string(meta[k].value));
    if (nmeta) json_object_set(root, "__metadata__", m);
    for (size_t k = 0; k < n; k++) json_object_set_new(root, t[k].name, describe(&t[k], &at, &bytes[k]));
    char *text = json_dumps(root, JSON_COMPACT), *padded = NULL;
    json_decref(m);
    json_decref(root);
    if (text) {
        size_t length = strlen(text), whole = (length + 7) / 8 * 8;
        padded = malloc(whole + 1);
        if (padded) snprintf(padded, whole + 1, "%-*s", (int)whole, text);
        free(text);
    }
    return padded;
}

struct rnc_st_writer *rnc_st_create(const char *path, const struct rnc_st_tensor *tensors, size_t ntensors,
                                    const struct rnc_st_meta *meta, size_t nmeta, struct rnc_status *s)
{
    struct rnc_st_writer *w = calloc(1, sizeof *w);
    if (w) w->bytes = calloc(ntensors + 1, sizeof *w->bytes);
    char *text = w && w->bytes ? header_text(tensors, ntensors, meta, nmeta, w->bytes) : NULL;
    if (!text) rnc_fail(s, RNC_ENV, "no memory to write %s", path);
    else w->file = rnc_file_create(path, s);
    bool ok = w && w->file;
    if (ok) {
        unsigned char length[LENGTH_BYTES];
        uint64_t n = strlen(text);
        for (int k = 0; k < LENGTH_BYTES; k++) length[k] = (unsigned char)(n >> 8 * k);
        w->count = ntensors;
        ok = rnc_file_write(w->file, length, LENGTH_BYTES, s) && rnc_file_write(w->file, text, (size_t)n, s);
    }
    free(text);
    if (ok) return w;
    rnc_st_abort(w);
    return NULL;
}

bool rnc_st_put(struct rnc_st_writer *w, const void *data, struct rnc_status *s)
{
    if (w->next >= w->count) return rnc_fail(s, RNC_ENV, "more tensors were written than announced");
    return rnc_file_write(w->file, data, w->bytes[w->next++], s);
}

bool rnc_st_commit(struct rnc_st_writer *w, struct rnc_status *s)
{
    bool ok = w->next == w->count || rnc_fail(s, RNC_ENV, "fewer tensors were written than announced");
    if (ok) {
        ok = rnc_file_commit(w->file, s);
        w->file = NULL;
    }
    rnc_st_abort(w);
    return ok;
}

void rnc_st_abort(struct rnc_st_writer *w)
{
    if (!w) return;
    rnc_file_abort(w->file);
    free(w->bytes);
    free(w);
}
