/* npy.c: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. The header is a Python dictionary;
   only the three keys that the format defines are read, by a small scanner that runs nothing. */
#include "runtime/io/npy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/io/file.h"

enum { MAGIC = 6 };
static const size_t limit = (size_t)1 << 36;

static const struct {
    char code[3];
    uint8_t bytes;
    enum rnc_npy_dtype as;
} kinds[] = {{"f4", 4, RNC_NPY_F32}, {"f8", 8, RNC_NPY_F32}, {"f2", 2, RNC_NPY_F32}, {"i8", 8, RNC_NPY_I64},
             {"i4", 4, RNC_NPY_I64}, {"i2", 2, RNC_NPY_I64}, {"i1", 1, RNC_NPY_I64}, {"u4", 4, RNC_NPY_I64},
             {"u2", 2, RNC_NPY_I64}, {"u1", 1, RNC_NPY_U8},  {"b1", 1, RNC_NPY_U8}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool damaged(const char *path, const char *what, struct rnc_status *s)
{
    return rnc_fail(s, RNC_USER, "%s is not a usable .npy array: %s", path, what);
}

/* Just behind 'key': in the header, spaces skipped; NULL when it is not there. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *p = strstr(header, quoted);
    return p ? p + strlen(quoted) + strspn(p + strlen(quoted), " ") : NULL;
}

static bool parse_descr(const char *path, const char *header, int *kind, bool *swap, struct rnc_status *s)
{
    const char *p = value_of(header, "descr");
    if (!p || *p != '\'') return damaged(path, "its header has no plain 'descr'", s);
    p++;
    *swap = *p == '>';
    if (*p && strchr("<>|=", *p)) p++;
    for (*kind = 0; *kind < KINDS; ++*kind)
        if (!strncmp(p, kinds[*kind].code, 2) && p[2] == '\'') return true;
    return rnc_fail(s, RNC_USER,
                    "%s holds elements of type '%.*s'; float32, float64, float16, integers or bytes were expected",
                    path, (int)strcspn(p, "'"), p);
}

static bool parse_shape(const char *path, const char *header, struct rnc_npy *a, struct rnc_status *s)
{
    const char *p = value_of(header, "shape");
    if (!p || *p++ != '(') return damaged(path, "its header has no 'shape'", s);
    int64_t elements = 1;
    for (p += strspn(p, " "); *p != ')'; p += strspn(p, ", ")) {
        char *end;
        if (*p < '0' || *p > '9' || a->rank == RNC_NPY_MAX_RANK)
            return damaged(path, "its 'shape' is not a short list of numbers", s);
        long long d = strtoll(p, &end, 10);
        a->dim[a->rank++] = d;
        if (__builtin_mul_overflow(elements, (int64_t)d, &elements) || elements > INT64_MAX / 16)
            return damaged(path, "its 'shape' is too large", s);
        p = end;
    }
    return true;
}

static uint64_t element_bits(const unsigned char *p, size_t bytes, bool swap)
{
    uint64_t u = 0;
    for (size_t k = 0; k < bytes; k++) u |= (uint64_t)p[k] << 8 * (swap ? bytes - 1 - k : k);
    return u;
}

static float float_of(uint64_t u, size_t bytes)
{
    if (bytes == 8) {
        double d;
        memcpy(&d, &u, sizeof d);
        return (float)d;
    }
    uint32_t w = (uint32_t)u;
    if (bytes == 2) { /* binary16: rescaled through the exponent; subnormals come out exactly */
        uint32_t exponent = w >> 10 & 31u, fraction = w & 0x3ffu;
        float tiny = (float)fraction * 0x1p-24f;
        if (exponent == 0) return w & 0x8000u ? -tiny : tiny;
        w = (w & 0x8000u) << 16 | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    }
    float f;
    memcpy(&f, &w, sizeof f);
    return f;
}

static void convert(struct rnc_npy *a, const unsigned char *from, int kind, bool swap)
{
    size_t bytes = kinds[kind].bytes;
    bool is_signed = kinds[kind].code[0] == 'i';
    int64_t n = rnc_npy_elements(a);
    for (int64_t k = 0; k < n; k++) {
        uint64_t u = element_bits(from + (size_t)k * bytes, bytes, swap);
        unsigned spare = (unsigned)(64 - 8 * bytes);
        if (a->dtype == RNC_NPY_F32) ((float *)a->data)[k] = float_of(u, bytes);
        else if (a->dtype == RNC_NPY_U8) ((uint8_t *)a->data)[k] = (uint8_t)u;
        else ((int64_t *)a->data)[k] = is_signed ? (int64_t)(u << spare) >> spare : (int64_t)u;
    }
}

static size_t size_of(enum rnc_npy_dtype t) { return t == RNC_NPY_F32 ? 4 : t == RNC_NPY_I64 ? 8 : 1; }

/* The header: A's type and shape, how the elements lie (*KIND, *SWAP), and *AT, where they begin. *WANT: their bytes.
 */
static bool read_header(const char *path, const unsigned char *file, size_t bytes, struct rnc_npy *a, int *kind,
                        bool *swap, size_t *at, size_t *want, struct rnc_status *s)
{
    if (bytes < MAGIC + 4 || memcmp(file, "\x93NUMPY", MAGIC) != 0)
        return damaged(path, "it does not begin with NumPy's magic bytes", s);
    *at = file[MAGIC] == 1 ? MAGIC + 4 : MAGIC + 6;
    if (file[MAGIC] < 1 || file[MAGIC] > 3 || bytes < *at) return damaged(path, "its format version is unknown", s);
    size_t length = (size_t)element_bits(file + MAGIC + 2, file[MAGIC] == 1 ? 2 : 4, false);
    if (length > bytes - *at) return damaged(path, "it is truncated within its header", s);
    char *header = strndup((const char *)file + *at, length);
    if (!header) return rnc_fail(s, RNC_ENV, "no memory to read %s", path);
    const char *order = value_of(header, "fortran_order");
    bool ok = parse_descr(path, header, kind, swap, s) && parse_shape(path, header, a, s);
    if (ok && (!order || strncmp(order, "False", 5) != 0))
        ok = rnc_fail(s, RNC_USER, "%s is in Fortran order; save it with numpy.ascontiguousarray(…)", path);
    free(header);
    if (!ok) return false;
    *at += length;
    *want = (size_t)rnc_npy_elements(a) * kinds[*kind].bytes;
    a->dtype = kinds[*kind].as;
    return true;
}

static bool parse_header(const char *path, const unsigned char *file, size_t bytes, struct rnc_npy *a, int *kind,
                         bool *swap, size_t *at, struct rnc_status *s)
{
    size_t want;
    if (!read_header(path, file, bytes, a, kind, swap, at, &want, s)) return false;
    size_t have = bytes - *at;
    return want == have || rnc_fail(s, RNC_USER, "%s is %s: its shape needs %zu bytes of data, it has %zu", path,
                                    have < want ? "truncated" : "damaged", want, have);
}

static bool parse(const char *path, const unsigned char *file, size_t bytes, struct rnc_npy *a, struct rnc_status *s)
{
    int kind = 0;
    bool swap = false;
    size_t at;
    if (!parse_header(path, file, bytes, a, &kind, &swap, &at, s)) return false;
    a->data = malloc((size_t)rnc_npy_elements(a) * size_of(a->dtype) + 1);
    if (!a->data) return rnc_fail(s, RNC_ENV, "no memory to read %s", path);
    convert(a, file + at, kind, swap);
    return true;
}

/* How large the file can be, by its header: what is packed may come to anything. */
static bool most_bytes(const char *path, size_t *most, struct rnc_status *s)
{
    enum { HEADER = 1 << 16 };
    unsigned char *head = malloc(HEADER);
    struct rnc_npy a = {0};
    size_t bytes = 0, at = 0, want = 0;
    int kind;
    bool swap, packed = false,
               ok = head ? rnc_file_head(path, head, HEADER, &bytes, &packed, s)
                         : rnc_fail(s, RNC_ENV, "no memory to read %s", path);
    *most = limit;
    if (ok && packed && bytes) {
        ok = read_header(path, head, bytes, &a, &kind, &swap, &at, &want, s);
        if (want < limit - at) *most = at + want + 1; /* one more, which says that it is damaged */
    }
    free(head);
    return ok;
}

bool rnc_npy_read(const char *path, struct rnc_npy *a, struct rnc_status *s)
{
    size_t bytes, most = 0;
    *a = (struct rnc_npy){0};
    if (!most_bytes(path, &most, s)) return false;
    unsigned char *file = rnc_file_read(path, most, &bytes, s);
    bool ok = file && parse(path, file, bytes, a, s);
    free(file);
    return ok;
}

static void *map_file(const char *path, size_t *bytes)
{
    struct stat st;
    struct rnc_status ignored = {0};
    int fd = rnc_file_open(path, &ignored);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    *bytes = ok ? (size_t)st.st_size : 0;
    void *map = ok ? mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (fd >= 0) close(fd);
    return map == MAP_FAILED ? NULL : map;
}

bool rnc_npy_map(const char *path, struct rnc_npy *a, struct rnc_status *s)
{
    struct rnc_status ignored = {0};
    size_t bytes, at = 0;
    unsigned char *map = map_file(path, &bytes);
    int kind = 0;
    bool swap = false;
    *a = (struct rnc_npy){0};
    bool as_it_is = map && parse_header(path, map, bytes, a, &kind, &swap, &at, &ignored) && !swap &&
                    kinds[kind].bytes == size_of(a->dtype) && a->dtype != RNC_NPY_U8 && at % 8 == 0;
    if (as_it_is) {
        a->data = map + at;
        a->map = map;
        a->map_bytes = bytes;
        return true;
    }
    if (map) munmap(map, bytes);
    return rnc_npy_read(path, a, s); /* says what is wrong, where something is */
}

void rnc_npy_free(struct rnc_npy *a)
{
    if (a->map) munmap(a->map, a->map_bytes);
    else free(a->data);
    a->data = a->map = NULL;
}

int64_t rnc_npy_elements(const struct rnc_npy *a)
{
    int64_t n = 1;
    for (int k = 0; k < a->rank; k++) n *= a->dim[k];
    return n;
}

bool rnc_npy_write(const char *path, const struct rnc_npy *a, struct rnc_status *s)
{
    static const char *const codes[] = {[RNC_NPY_F32] = "<f4", [RNC_NPY_I64] = "<i8", [RNC_NPY_U8] = "|u1"};
    char header[512], shape[256] = "";
    size_t n = 0;
    for (int k = 0; k < a->rank; k++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld%s", (long long)a->dim[k],
                              a->rank == 1      ? ","
                              : k + 1 < a->rank ? ", "
                                                : "");
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                          codes[a->dtype], shape);
    int whole = (MAGIC + 4 + length + 1 + 63) / 64 * 64 - MAGIC - 4; /* the data begin at a multiple of 64 */
    memset(header + length, ' ', (size_t)(whole - length));
    header[whole - 1] = '\n';
    const unsigned char magic[MAGIC + 4] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)whole, (unsigned char)(whole >> 8)};
    struct rnc_file *f = rnc_file_create(path, s);
    if (!f) return false;
    if (rnc_file_write(f, magic, sizeof magic, s) && rnc_file_write(f, header, (size_t)whole, s) &&
        rnc_file_write(f, a->data, (size_t)rnc_npy_elements(a) * size_of(a->dtype), s))
        return rnc_file_commit(f, s);
    rnc_file_abort(f);
    return false;
}
