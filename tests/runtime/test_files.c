/* Files: what is written can be read; whatever is broken is refused with a reason; a failed write leaves things as they
   were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime/data/data.h"
#include "runtime/io/file.h"
#include "runtime/io/image.h"
#include "runtime/io/npy.h"
#include "runtime/io/safetensors.h"
#include "runtime/io/weights.h"
#include "tests/support/scratch.h"
#include "tests/support/choice.h"

static struct rnc_status s;

/* ---- safetensors */

static void write_st(const char *path, const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    unsigned char *file = calloc(1, 8 + n + data_bytes + 1);
    for (int k = 0; k < 8; k++) file[k] = (unsigned char)((uint64_t)n >> 8 * k);
    memcpy(file + 8, header, n);
    for (size_t k = 0; k < data_bytes; k++) file[8 + n + k] = (unsigned char)k;
    write_file(path, file, 8 + n + data_bytes);
    free(file);
}

static void refuses_st(const char *header, size_t data_bytes, const char *why)
{
    const char *path = in_scratch("bad.safetensors");
    write_st(path, header, data_bytes);
    struct rnc_safetensors *f = rnc_st_open(path, &s);
    expect_failure(&s, f != NULL, RNC_USER, why);
}

static void safetensors_round_trip(void **state)
{
    (void)state;
    const struct rnc_st_tensor t[] = {{.name = "a.weight", .dtype = RNC_ST_F32, .rank = 2, .dim = {2, 3}},
                                      {.name = "n", .dtype = RNC_ST_I64, .rank = 0},
                                      {.name = "empty", .dtype = RNC_ST_F32, .rank = 1, .dim = {0}}};
    const struct rnc_st_meta meta[] = {{"note", "two words, \"quoted\"; größer"}};
    const float a[6] = {1.5f, -0.0f, INFINITY, 3e-41f, 5, 6};
    const int64_t n = -7;
    const char *path = in_scratch("a.safetensors");
    struct rnc_st_writer *w = rnc_st_create(path, t, 3, meta, 1, &s);
    assert_true(w && rnc_st_put(w, a, &s) && rnc_st_put(w, &n, &s) && rnc_st_put(w, a, &s) && rnc_st_commit(w, &s));
    struct rnc_safetensors *f = rnc_st_open(path, &s);
    assert_non_null(f);
    assert_int_equal(f->ntensors, 3);
    assert_string_equal(rnc_st_meta(f, "note"), meta[0].value);
    float back[6];
    int64_t number = 0;
    assert_true(rnc_st_read_f32(f, rnc_st_find(f, "a.weight"), back, &s) &&
                rnc_st_read_i64(f, rnc_st_find(f, "n"), &number, &s));
    assert_memory_equal(a, back, sizeof a);
    assert_int_equal(number, -7);
    expect_failure(&s, rnc_st_read_i64(f, rnc_st_find(f, "a.weight"), &number, &s), RNC_USER, "is F32");
    rnc_st_close(f);
}

static void safetensors_converts(void **state)
{
    (void)state;
    const char *path = in_scratch("half.safetensors"),
               *header = "{\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]},"
                         "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[10,18]}}";
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x4049};
    const double d = 0.1;
    size_t n = strlen(header);
    unsigned char file[512] = {(unsigned char)n, (unsigned char)(n >> 8)};
    memcpy(file + 8, header, n);
    memcpy(file + 8 + n, half, sizeof half);
    memcpy(file + 8 + n + sizeof half, &d, sizeof d);
    write_file(path, file, 8 + n + sizeof half + sizeof d);
    struct rnc_safetensors *f = rnc_st_open(path, &s);
    float x[4], b, e;
    assert_true(f && rnc_st_read_f32(f, rnc_st_find(f, "h"), x, &s) &&
                rnc_st_read_f32(f, rnc_st_find(f, "b"), &b, &s) && rnc_st_read_f32(f, rnc_st_find(f, "d"), &e, &s));
    assert_true(x[0] == 1.0f && x[1] == -2.0f && x[2] == 0x1p-24f && isinf(x[3]) && b == 3.140625f && e == 0.1f);
    rnc_st_close(f);
}

static void safetensors_refuses(void **state)
{
    (void)state;
    refuses_st("[1]", 0, "not a JSON object");
    refuses_st("{\"a\":", 0, "in its header");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
               "\"data_offsets\":[4,8]}}",
               8, "uplicate");
    refuses_st("{\"a\":3}", 0, "not described by an object");
    refuses_st("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "no sound shape");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
               "no sound shape");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "no sound shape");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "no sound data_offsets");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no sound data_offsets");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "do not agree");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "truncated");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "hole");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "behind the last");
    refuses_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
               "\"data_offsets\":[4,8]}}",
               8, "overlaps");
    refuses_st("{\"__metadata__\":{\"a\":1}}", 0, "not text");
    const char *path = in_scratch("bad.safetensors");
    write_file(path, "abc", 3);
    expect_failure(&s, rnc_st_open(path, &s) != NULL, RNC_USER, "shorter");
    write_file(path, "\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10);
    expect_failure(&s, rnc_st_open(path, &s) != NULL, RNC_USER, "another format");
    write_file(path, "\x50\0\0\0\0\0\0\0{}", 10);
    expect_failure(&s, rnc_st_open(path, &s) != NULL, RNC_USER, "within its header");
    expect_failure(&s, rnc_st_open(in_scratch("none"), &s) != NULL, RNC_USER, "No such file");
    expect_failure(&s, rnc_st_open(in_scratch(""), &s) != NULL, RNC_USER, "not a file");
}

/* Cut anywhere, a file is refused; with any one bit flipped in its header it is refused or read, but nothing breaks. */
static void safetensors_survives_damage(void **state)
{
    (void)state;
    const char *good = in_scratch("good.safetensors"), *bad = in_scratch("bad.safetensors");
    write_st(good,
             "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"I64\",\"shape\":[],"
             "\"data_offsets\":[16,24]}}",
             24);
    size_t bytes;
    char *file = read_file(good, &bytes);
    for (size_t k = 0; k < bytes; k++) {
        write_file(bad, file, k);
        assert_null(rnc_st_open(bad, &s));
        s = (struct rnc_status){0};
    }
    for (size_t k = 0; k < (bytes - 24) * 8; k++) {
        file[k / 8] ^= (char)(1 << k % 8);
        write_file(bad, file, bytes);
        rnc_st_close(rnc_st_open(bad, &s));
        s = (struct rnc_status){0};
        file[k / 8] ^= (char)(1 << k % 8);
    }
    free(file);
}

/* ---- npy */

static void npy_round_trip(void **state)
{
    (void)state;
    float x[6] = {1, 2, 3, 4, 5, -0.5f};
    int64_t y[2] = {-3, 9};
    struct rnc_npy a = {.dtype = RNC_NPY_F32, .rank = 3, .dim = {1, 2, 3}, .data = x}, b;
    assert_true(rnc_npy_write(in_scratch("x.npy"), &a, &s) && rnc_npy_read(in_scratch("x.npy"), &b, &s));
    assert_int_equal(b.rank, 3);
    assert_memory_equal(b.data, x, sizeof x);
    rnc_npy_free(&b);
    a = (struct rnc_npy){.dtype = RNC_NPY_I64, .rank = 1, .dim = {2}, .data = y};
    assert_true(rnc_npy_write(in_scratch("y.npy"), &a, &s) && rnc_npy_read(in_scratch("y.npy"), &b, &s));
    assert_true(b.rank == 1 && b.dim[0] == 2);
    assert_memory_equal(b.data, y, sizeof y);
    rnc_npy_free(&b);
    a = (struct rnc_npy){.dtype = RNC_NPY_F32, .rank = 0, .data = x};
    assert_true(rnc_npy_write(in_scratch("z.npy"), &a, &s) && rnc_npy_read(in_scratch("z.npy"), &b, &s) &&
                b.rank == 0 && *(float *)b.data == 1.0f);
    rnc_npy_free(&b);
}

static void write_npy(const char *path, int version, const char *header, const void *data, size_t bytes)
{
    unsigned char file[512] = "\x93NUMPY";
    size_t n = strlen(header), at = version == 1 ? 10 : 12;
    file[6] = (unsigned char)version;
    file[8] = (unsigned char)n;
    memcpy(file + at, header, n);
    if (bytes) memcpy(file + at + n, data, bytes);
    write_file(path, file, at + n + bytes);
}

static void npy_reads_other_types(void **state)
{
    (void)state;
    const char *path = in_scratch("t.npy");
    const double d[2] = {0.5, -2.25};
    const int32_t i[2] = {-1, 7};
    struct rnc_npy a;
    write_npy(path, 2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", d, sizeof d);
    assert_true(rnc_npy_read(path, &a, &s) && a.dtype == RNC_NPY_F32 && ((float *)a.data)[1] == -2.25f);
    rnc_npy_free(&a);
    write_npy(path, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }", i, sizeof i);
    assert_true(rnc_npy_read(path, &a, &s) && a.dtype == RNC_NPY_I64 && ((int64_t *)a.data)[0] == -1);
    rnc_npy_free(&a);
    write_npy(path, 3, "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "\x01\x02\xff\xfe", 4);
    assert_true(rnc_npy_read(path, &a, &s) && ((int64_t *)a.data)[0] == 258 && ((int64_t *)a.data)[1] == -2);
    rnc_npy_free(&a);
}

static void refuses_npy(int version, const char *header, size_t bytes, const char *why)
{
    static const char zeros[64];
    struct rnc_npy a;
    const char *path = in_scratch("bad.npy");
    write_npy(path, version, header, zeros, bytes);
    expect_failure(&s, rnc_npy_read(path, &a, &s), RNC_USER, why);
}

/* What lies in the file as it is wanted stays there; the rest is read, and what is wrong is said. */
static void npy_maps(void **state)
{
    (void)state;
    const char *path = in_scratch("mapped.npy");
    const float x[3] = {1, -2, 0.5f};
    struct rnc_npy a;
    write_npy(path, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", x, sizeof x);
    assert_true(rnc_npy_map(path, &a, &s) && a.dtype == RNC_NPY_F32 && a.rank == 1 && a.dim[0] == 3);
    assert_memory_equal(a.data, x, sizeof x);
    rnc_npy_free(&a);
    assert_null(a.data);
    write_npy(path, 1, "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "\x01\x02\xff\xfe", 4);
    assert_true(rnc_npy_map(path, &a, &s) && !a.map && ((int64_t *)a.data)[1] == -2);
    rnc_npy_free(&a);
    write_npy(path, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", x, sizeof x);
    expect_failure(&s, rnc_npy_map(path, &a, &s), RNC_USER, "truncated");
    expect_failure(&s, rnc_npy_map(in_scratch("no.npy"), &a, &s), RNC_USER, "can't read");
}

static void npy_refuses(void **state)
{
    (void)state;
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, "Fortran order");
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 12, "truncated");
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 20, "damaged");
    refuses_npy(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", 16, "type 'c8'");
    refuses_npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8, "descr");
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8, "short list");
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999, 99999999999), }", 8, "too large");
    refuses_npy(9, "{}", 0, "version");
    refuses_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8, "short list");
    struct rnc_npy a;
    write_file(in_scratch("bad.npy"), "PK\3\4", 4);
    expect_failure(&s, rnc_npy_read(in_scratch("bad.npy"), &a, &s), RNC_USER, "magic");
    write_file(in_scratch("bad.npy"), "\x93NUMPY\1\0\xff\xff{", 11);
    expect_failure(&s, rnc_npy_read(in_scratch("bad.npy"), &a, &s), RNC_USER, "truncated within its header");
}

/* ---- weights */

static void load_details(struct rnc_instance *i, const char *header, size_t bytes, const char *const *lines, int nlines)
{
    char *details;
    const char *path = in_scratch("w.safetensors");
    write_st(path, header, bytes);
    expect_failure(&s, rnc_weights_load(i, path, 0, &details, &s), RNC_USER, "does not fit");
    for (int k = 0; k < nlines; k++)
        if (!details || !strstr(details, lines[k])) fail_msg("no '%s' in: %s", lines[k], details ? details : "nothing");
    free(details);
}

static void weights_by_name(void **state)
{
    (void)state;
    static const struct rnc_tensor t[] = {
        {"conv1.weight",
         RNC_ROLE_PARAM,
         RNC_INIT_ONES,
         {0},
         1,
         {.layout = RNC_BLOCKED, .v = 16, .rank = 1, .dim = {2}},
         0,
         0},
        {"bn1.count", RNC_ROLE_COUNTER, RNC_INIT_ZEROS, {0}, 0, {.dtype = RNC_I64}, 64, 0},
        {"optim.m.conv1.weight", RNC_ROLE_OPTIM, RNC_INIT_ZEROS, {0}, 0, {.rank = 1, .dim = {2}}, 72, 0}};
    static const struct rnc_model m = {.abi = RNC_ABI_VERSION,
                                       .sizes = RNC_SIZES,
                                       .name = "net",
                                       .cpu = "any",
                                       .batch = 1,
                                       .tensors = t,
                                       .ntensors = 3,
                                       .state_bytes = 80};
    struct rnc_instance *i = rnc_open(&m, NULL, 0, &s);
    float x[2] = {0}, m0[2] = {3, 4};
    assert_true(rnc_initialize(i, 0, &s) && rnc_set(i, "optim.m.conv1.weight", m0, &s));
    load_details(i,
                 "{\"conv1.wieght\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"zzz\":{\"dtype\":"
                 "\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}",
                 12,
                 (const char *const[]){"missing: conv1.weight [2] (the file has 'conv1.wieght')",
                                       "unexpected: conv1.wieght (did you mean 'conv1.weight'?)", "unexpected: zzz"},
                 3);
    load_details(i, "{\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}", 8,
                 (const char *const[]){"conv1.weight is [1, 2] in the file and [2] in the model"}, 1);
    load_details(i, "{\"conv1.weight\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
                 (const char *const[]){"not a floating-point"}, 1);
    assert_true(rnc_get(i, "conv1.weight", x, &s) && x[0] == 1.0f); /* untouched */
    assert_true(rnc_weights_save(i, in_scratch("w.safetensors"), RNC_WEIGHTS_OPTIM, NULL, 0, &s));
    struct rnc_instance *j = rnc_open(&m, NULL, 0, &s);
    assert_true(rnc_weights_load(j, in_scratch("w.safetensors"), 0, NULL, &s) &&
                rnc_get(j, "optim.m.conv1.weight", x, &s) && x[0] == 0.0f);
    assert_true(rnc_weights_load(j, in_scratch("w.safetensors"), RNC_WEIGHTS_OPTIM, NULL, &s) &&
                rnc_get(j, "optim.m.conv1.weight", x, &s) && x[1] == 4.0f);
    assert_true(rnc_weights_save(i, in_scratch("w.safetensors"), 0, NULL, 0, &s));
    expect_failure(&s, rnc_weights_load(j, in_scratch("w.safetensors"), RNC_WEIGHTS_OPTIM, NULL, &s), RNC_USER,
                   "1 missing");
    rnc_close(i);
    rnc_close(j);
}

/* ---- data sets */

static void write_idx(const char *name, int rank, const uint32_t *dim, size_t bytes, bool gz)
{
    unsigned char file[4096] = {0, 0, 8, (unsigned char)rank};
    size_t at = 4;
    for (int k = 0; k < rank; k++, at += 4)
        for (int b = 0; b < 4; b++) file[at + (size_t)b] = (unsigned char)(dim[k] >> (24 - 8 * b));
    for (size_t k = 0; k < bytes; k++) file[at + k] = (unsigned char)(rank == 1 ? k % 3 : k);
    if (!gz) {
        write_file(in_scratch(name), file, at + bytes);
        return;
    }
    gzFile f = gzopen(in_scratch(name), "wb");
    gzwrite(f, file, (unsigned)(at + bytes));
    gzclose(f);
}

static bool open_data(struct rnc_data *d, const char *path)
{
    struct rnc_data_source o = {.path = path};
    bool ok = rnc_data_open(d, &o, &s);
    if (!ok) rnc_data_close(d);
    return ok;
}

static void refuses_data(const char *path, const char *why)
{
    struct rnc_data d;
    expect_failure(&s, open_data(&d, path), RNC_USER, why);
}

static void idx_files(void **state)
{
    (void)state;
    struct rnc_data d;
    mkdir(in_scratch("mnist"), 0777);
    write_idx("mnist/train-images-idx3-ubyte", 3, (uint32_t[]){20, 3, 4}, 240, false);
    refuses_data(in_scratch("mnist"), "no labels beside it");
    write_idx("mnist/train-labels-idx1-ubyte.gz", 1, (uint32_t[]){20}, 20, true);
    assert_true(open_data(&d, in_scratch("mnist")) && d.held_out && d.train.count == 18 && d.val.count == 2 &&
                d.nclasses == 3);
    assert_int_equal(d.val.pixels[0], 9 * 12);
    assert_int_equal(d.val.labels[0], 0);
    rnc_data_close(&d);
    write_idx("mnist/t10k-images-idx3-ubyte", 3, (uint32_t[]){5, 3, 4}, 60, false);
    write_idx("mnist/t10k-labels-idx1-ubyte", 1, (uint32_t[]){5}, 5, false);
    assert_true(open_data(&d, in_scratch("mnist")) && !d.held_out && d.train.count == 20 && d.val.count == 5);
    rnc_data_close(&d);
    write_idx("mnist/t10k-images-idx3-ubyte", 3, (uint32_t[]){5, 4, 3}, 60, false);
    refuses_data(in_scratch("mnist"), "of 1 × 4 × 3");
    write_idx("mnist/t10k-labels-idx1-ubyte", 1, (uint32_t[]){6}, 6, false);
    refuses_data(in_scratch("mnist"), "5 images");
    write_idx("mnist/train-images-idx3-ubyte", 3, (uint32_t[]){20, 3, 4}, 239, false);
    refuses_data(in_scratch("mnist"), "truncated: its header promises 20 images");
    write_idx("mnist/train-images-idx3-ubyte", 3, (uint32_t[]){20, 3, 4}, 241, false);
    refuses_data(in_scratch("mnist"), "damaged");
    write_idx("mnist/train-images-idx3-ubyte", 3, (uint32_t[]){0xffffffff, 0xffffffff, 0xffffffff}, 10, false);
    refuses_data(in_scratch("mnist"), "truncated");
    write_idx("mnist/train-images-idx3-ubyte", 1, (uint32_t[]){20}, 20, false);
    refuses_data(in_scratch("mnist"), "0x00000803 was expected");
    write_file(in_scratch("mnist/train-images-idx3-ubyte"), "\0\0", 2);
    refuses_data(in_scratch("mnist"), "truncated");
    write_file(in_scratch("mnist/train-images-idx3-ubyte"), "\x1f\x8b\x08\0\0\0\0\0\0\3\1", 11);
    refuses_data(in_scratch("mnist"), "truncated: its gzip data end early");
    write_file(in_scratch("mnist/train-images-idx3-ubyte"), "\x1f\x8b\x08\0\0\0\0\0\0\3\xff\xff\xff\xff", 14);
    refuses_data(in_scratch("mnist"), "damaged: its gzip data");
    refuses_data(in_scratch("nowhere"), "no file or folder");
    mkdir(in_scratch("empty"), 0777);
    refuses_data(in_scratch("empty"), "holds no data set");
}

static void cifar_files(void **state)
{
    (void)state;
    enum { RECORD = 3073 };
    struct rnc_data d;
    unsigned char *file = calloc(12, RECORD);
    for (int k = 0; k < 12; k++)
        file[k * RECORD] = (unsigned char)(k % 10), file[k * RECORD + 1] = (unsigned char)(100 + k);
    write_file(in_scratch("c.bin"), file, 12 * RECORD);
    assert_true(open_data(&d, in_scratch("c.bin")) && d.train.count == 11 && d.val.count == 1);
    assert_string_equal(d.classes[6], "frog");
    assert_int_equal(d.val.pixels[0], 109);
    assert_int_equal(d.val.labels[0], 9);
    assert_int_equal(d.train.pixels[(size_t)10 * 3072], 111);
    rnc_data_close(&d);
    write_file(in_scratch("c.bin"), file, 12 * RECORD - 1);
    refuses_data(in_scratch("c.bin"), "not a multiple of 3073");
    write_file(in_scratch("c.bin"), file, 0);
    refuses_data(in_scratch("c.bin"), "not a multiple of 3073");
    free(file);
}

static bool open_as(struct rnc_data *d, const char *format, const char *settings)
{
    struct rnc_data_source o = {.format = choice_of(&rnc_data_formats, format, settings)};
    bool ok = rnc_data_open(d, &o, &s);
    if (!ok) rnc_data_close(d);
    return ok;
}

static void refuses_as(const char *format, const char *settings, const char *why)
{
    struct rnc_data d;
    expect_failure(&s, open_as(&d, format, settings), RNC_USER, why);
}

/* A spec's format is obeyed: it opens nothing else, in either part. */
static void formats_are_obeyed(void **state)
{
    (void)state;
    static unsigned char cifar[20 * 3073];
    char settings[1200];
    struct rnc_data d;
    mkdir(in_scratch("of-cifar"), 0777);
    write_file(in_scratch("of-cifar/data_batch_1.bin"), cifar, sizeof cifar);
    mkdir(in_scratch("of-mnist"), 0777);
    write_idx("of-mnist/train-images-idx3-ubyte", 3, (uint32_t[]){2, 3, 4}, 24, false);
    snprintf(settings, sizeof settings, "train=%s", in_scratch("of-cifar"));
    assert_true(open_as(&d, "cifar10", settings) && d.train.count == 18 && d.val.count == 2);
    rnc_data_close(&d);
    refuses_as("idx", settings, "of-cifar holds data of the format cifar10, and the spec says idx: train-images-idx3");
    refuses_as("image_folder", settings, "holds data of the format cifar10, and the spec says image_folder");
    snprintf(settings, sizeof settings, "train=%s val=%s", in_scratch("of-cifar"), in_scratch("of-mnist"));
    refuses_as("cifar10", settings, "of-mnist holds data of the format idx, and the spec says cifar10");
    mkdir(in_scratch("of-nothing"), 0777);
    snprintf(settings, sizeof settings, "train=%s", in_scratch("of-nothing"));
    refuses_as("image_folder", settings, "of-nothing holds no data of the format image_folder: a folder of PNG or");
    refuses_as("idx", "train=nowhere", "there is no file or folder nowhere");
}

static void digits_are_built_in(void **state)
{
    (void)state;
    struct rnc_data d;
    int per_class[10] = {0};
    double mean[4], std[4];
    assert_true(open_data(&d, NULL) && d.train.count == 4000 && d.val.count == 1000 && d.nclasses == 10);
    for (int k = 0; k < 1000; k++) per_class[d.val.labels[k]]++;
    for (int k = 0; k < 10; k++) assert_int_equal(per_class[k], 100);
    assert_true(rnc_data_measure(&d.train, 1, mean, std, &s) && mean[0] > 0.05 && mean[0] < 0.3 && std[0] > 0.1 &&
                std[0] < 0.5);
    rnc_data_close(&d);
}

/* ---- images */

static const unsigned char tiny_png[] = {/* 2 × 1: red, blue */
                                         0x89, 'P',  'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0,    0,    13,
                                         'I',  'H',  'D',  'R',  0,    0,    0,    2,    0,    0,    0,    1,
                                         8,    2,    0,    0,    0,    0x7b, 0x40, 0xe8, 0xdd, 0,    0,    0,
                                         15,   'I',  'D',  'A',  'T',  0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xc0,
                                         0xf0, 0x1f, 0x00, 0x07, 0x00, 0x01, 0xff, 0,    0,    0,    0,    0,
                                         0,    0,    0,    'I',  'E',  'N',  'D',  0xae, 0x42, 0x60, 0x82};

static void put_big(unsigned char *p, uint32_t x)
{
    for (int k = 0; k < 4; k++) p[k] = (unsigned char)(x >> (24 - 8 * k));
}

/* The PNG above with the compressed data and check sums filled in. */
static size_t make_png(unsigned char *out)
{
    unsigned char packed[64];
    uLongf n = sizeof packed;
    compress(packed, &n, (const unsigned char[]){0, 255, 0, 0, 0, 0, 255}, 7);
    memcpy(out, tiny_png, 33);
    put_big(out + 29, (uint32_t)crc32(0, out + 12, 17));
    put_big(out + 33, (uint32_t)n);
    memcpy(out + 37, "IDAT", 4);
    memcpy(out + 41, packed, n);
    put_big(out + 41 + n, (uint32_t)crc32(0, out + 37, (uInt)n + 4));
    memcpy(out + 45 + n, tiny_png + sizeof tiny_png - 12, 12);
    return 57 + n;
}

static void images(void **state)
{
    (void)state;
    unsigned char png[256];
    size_t n = make_png(png);
    struct rnc_image m;
    const char *path = in_scratch("i.png");
    write_file(path, png, n);
    assert_true(rnc_image_read(path, 0, &m, &s) && m.width == 2 && m.height == 1 && m.channels == 3 &&
                m.data[0] == 255 && m.data[5] == 255);
    uint8_t planes[3 * 2 * 4];
    const struct rnc_pixels pixels = rnc_image_pixels(&m);
    assert_true(rnc_pixels_resize(&pixels, (struct rnc_window){0, 0, 2, 1}, 2, 4, planes, &s) && planes[0] == 255 &&
                planes[3] == 0 && planes[16 + 3] == 255);
    rnc_image_free(&m);
    for (size_t k = 0; k < n - 12; k++) { /* the end mark may be missing, nothing else */
        write_file(path, png, k);
        bool ok = rnc_image_read(path, 3, &m, &s);
        if (ok) rnc_image_free(&m);
        assert_false(ok);
        s = (struct rnc_status){0};
    }
    write_file(path, "GIF89a", 6);
    expect_failure(&s, rnc_image_read(path, 3, &m, &s), RNC_USER, "neither a PNG nor a JPEG");
    write_file(path, "\xff\xd8\xff\xe0garbage", 11);
    expect_failure(&s, rnc_image_read(path, 3, &m, &s), RNC_USER, "not a sound JPEG");
}

static void image_folders(void **state)
{
    (void)state;
    unsigned char png[256];
    size_t n = make_png(png);
    struct rnc_data d;
    static const char *const folders[] = {"tree",           "tree/train",   "tree/val",    "tree/train/cat",
                                          "tree/train/dog", "tree/val/cat", "tree/val/dog"};
    for (int k = 0; k < 7; k++) mkdir(in_scratch(folders[k]), 0777);
    for (int k = 3; k < 7; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s/a.png", folders[k]);
        if (k != 6) write_file(in_scratch(name), png, n);
    }
    refuses_data(in_scratch("tree"), "has no PNG or JPEG");
    write_file(in_scratch("tree/val/dog/b.PNG"), png, n);
    assert_true(open_data(&d, in_scratch("tree")) && d.train.count == 2 && d.val.count == 2 && d.nclasses == 2 &&
                d.val.labels[1] == 1);
    assert_string_equal(d.classes[1], "dog");
    rnc_data_close(&d);
    mkdir(in_scratch("tree/val/wolf"), 0777);
    refuses_data(in_scratch("tree"), "folders that are no class of the training data: wolf");
}

/* ---- writing where it can't be done */

static void full_disk_loses_nothing(void **state)
{
    (void)state;
    mkdir(in_scratch("full"), 0777);
    const char *path = in_scratch("full/x.npy");
    static float big[100000];
    struct rnc_npy a = {.dtype = RNC_NPY_F32, .rank = 1, .dim = {10}, .data = big}, b;
    assert_true(rnc_npy_write(path, &a, &s));
    struct rlimit old, small = {.rlim_cur = 4096};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    a.dim[0] = 100000;
    bool ok = rnc_npy_write(path, &a, &s);
    setrlimit(RLIMIT_FSIZE, &old);
    expect_failure(&s, ok, RNC_ENV, "can't write");
    assert_int_equal(count_entries(in_scratch("full")), 1); /* no half-written file beside it */
    assert_true(rnc_npy_read(path, &b, &s) && b.dim[0] == 10);
    rnc_npy_free(&b);
    if (file_exists("/dev/full")) expect_failure(&s, rnc_npy_write("/dev/full", &a, &s), RNC_ENV, "No space left");
}

static void unwritable_places(void **state)
{
    (void)state;
    float x = 1;
    struct rnc_npy a = {.dtype = RNC_NPY_F32, .rank = 0, .data = &x};
    write_file(in_scratch("plain"), "x", 1);
    expect_failure(&s, rnc_npy_write(in_scratch("plain/x.npy"), &a, &s), RNC_ENV, "can't write");
    expect_failure(&s, rnc_npy_write(in_scratch("no/such/x.npy"), &a, &s), RNC_ENV, "No such file");
    expect_failure(&s, rnc_npy_write(in_scratch(""), &a, &s), RNC_ENV, "directory");
    expect_failure(&s, rnc_make_directory(in_scratch("plain"), &s), RNC_ENV, "in the way");
    expect_failure(&s, rnc_make_directory(in_scratch("plain/deep"), &s), RNC_ENV, "can't make");
    assert_true(rnc_make_directory(in_scratch("d/e/f"), &s) && rnc_make_directory(in_scratch("d/e/f"), &s));
    if (geteuid() == 0) return; /* root may write anywhere */
    chmod(in_scratch("d"), 0500);
    expect_failure(&s, rnc_npy_write(in_scratch("d/x.npy"), &a, &s), RNC_ENV, "Permission denied");
    chmod(in_scratch("d"), 0700);
}

static void links_and_modes_are_kept(void **state)
{
    (void)state;
    float x = 1;
    struct rnc_npy a = {.dtype = RNC_NPY_F32, .rank = 0, .data = &x};
    struct stat st;
    write_file(in_scratch("target.npy"), "old", 3);
    assert_int_equal(symlink("target.npy", in_scratch("link.npy")), 0);
    assert_true(rnc_npy_write(in_scratch("link.npy"), &a, &s));
    assert_true(lstat(in_scratch("link.npy"), &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(stat(in_scratch("target.npy"), &st) == 0 && st.st_size > 3);
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
}

static int set_up(void **state)
{
    (void)state;
    scratch_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_round_trip),
        cmocka_unit_test(safetensors_converts),
        cmocka_unit_test(safetensors_refuses),
        cmocka_unit_test(safetensors_survives_damage),
        cmocka_unit_test(npy_round_trip),
        cmocka_unit_test(npy_reads_other_types),
        cmocka_unit_test(npy_maps),
        cmocka_unit_test(npy_refuses),
        cmocka_unit_test(weights_by_name),
        cmocka_unit_test(idx_files),
        cmocka_unit_test(cifar_files),
        cmocka_unit_test(formats_are_obeyed),
        cmocka_unit_test(digits_are_built_in),
        cmocka_unit_test(images),
        cmocka_unit_test(image_folders),
        cmocka_unit_test(full_disk_loses_nothing),
        cmocka_unit_test(unwritable_places),
        cmocka_unit_test(links_and_modes_are_kept),
    };
    return cmocka_run_group_tests_name("files", tests, set_up, tear_down);
}
