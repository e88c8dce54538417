/* store.c: safetensors and npy files, read and written independently of the runtime, which is what is being tested. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "store.h"

void store_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("  ");
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    exit(1);
}

static char *read_file(struct arena *a, const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) store_die("%s: cannot be read", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *data = arena_alloc(a, *size + 1);
    if (fread(data, 1, *size, f) != *size) store_die("%s: short read", path);
    fclose(f);
    return data;
}

static void read_tensor(struct store *s, const char *name, const json_t *entry, const char *blob)
{
    struct tensor *t = &s->tensors[s->count++];
    t->name = arena_strdup(s->arena, name);
    t->i64 = strcmp(json_string_value(json_object_get(entry, "dtype")), "I64") == 0;
    const json_t *shape = json_object_get(entry, "shape");
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    for (int d = 0; d < t->rank; d++) {
        t->dim[d] = (size_t)json_integer_value(json_array_get(shape, (size_t)d));
        t->count *= t->dim[d];
    }
    const size_t offset = (size_t)json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
    const size_t bytes = t->count * (t->i64 ? sizeof(int64_t) : sizeof(float));
    void *data = arena_alloc(s->arena, bytes + 8);
    memcpy(data, blob + offset, bytes);
    if (t->i64) t->ints = data;
    else t->data = data;
}

struct store store_read(struct arena *a, const char *path)
{
    struct store s = {.arena = a};
    size_t size;
    char *file = read_file(a, path, &size);
    uint64_t length;
    memcpy(&length, file, sizeof length);
    json_error_t error;
    json_t *header = json_loadb(file + 8, (size_t)length, 0, &error);
    if (!header) store_die("%s: %s", path, error.text);
    s.tensors = ARENA_ARRAY(a, struct tensor, json_object_size(header));
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) if (strcmp(name, "__metadata__") != 0)
        read_tensor(&s, name, entry, file + 8 + length);
    json_decref(header);
    return s;
}

const struct tensor *store_find(const struct store *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->tensors[i].name, name) == 0) return &s->tensors[i];
    return NULL;
}

const struct tensor *store_get(const struct store *s, const char *name)
{
    const struct tensor *t = store_find(s, name);
    if (!t) store_die("no tensor %s", name);
    return t;
}

void store_write(const char *path, const struct tensor *const *tensors, size_t count)
{
    FILE *f = fopen(path, "wb");
    json_t *header = json_object();
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int d = 0; d < tensors[i]->rank; d++)
            json_array_append_new(shape, json_integer((json_int_t)tensors[i]->dim[d]));
        const size_t bytes = tensors[i]->count * sizeof(float);
        json_object_set_new(header, tensors[i]->name,
                            json_pack("{s:s, s:o, s:[i, i]}", "dtype", "F32", "shape", shape, "data_offsets",
                                      (int)offset, (int)(offset + bytes)));
        offset += bytes;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    const uint64_t length = (strlen(text) + 7) / 8 * 8;
    if (!f || fwrite(&length, 8, 1, f) != 1 || fprintf(f, "%-*s", (int)length, text) < 0)
        store_die("%s: cannot be written", path);
    for (size_t i = 0; i < count; i++)
        if (fwrite(tensors[i]->data, sizeof(float), tensors[i]->count, f) != tensors[i]->count)
            store_die("%s: cannot be written", path);
    if (fclose(f) != 0) store_die("%s: cannot be written", path);
    free(text);
    json_decref(header);
}

void store_write_npy(struct arena *a, const char *path, const struct tensor *t)
{
    struct buf b;
    buf_init(&b, a);
    buf_printf(&b, "{'descr': '%s', 'fortran_order': False, 'shape': (", t->i64 ? "<i8" : "<f4");
    for (int d = 0; d < t->rank; d++) buf_printf(&b, "%zu,", t->dim[d]);
    buf_puts(&b, "), }");
    while ((b.len + 11) % 64 != 0) buf_putc(&b, ' ');
    buf_putc(&b, '\n');
    FILE *f = fopen(path, "wb");
    if (!f) store_die("%s: cannot be written", path);
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    fputc((int)(b.len & 255), f);
    fputc((int)(b.len >> 8), f);
    fwrite(b.data, 1, b.len, f);
    fwrite(t->i64 ? (const void *)t->ints : (const void *)t->data, t->i64 ? 8 : 4, t->count, f);
    if (fclose(f) != 0) store_die("%s: cannot be written", path);
}

/* The numbers of a float32 .npy of version 1; their count must be COUNT. */
float *store_read_npy(struct arena *a, const char *path, size_t count)
{
    size_t size;
    const char *file = read_file(a, path, &size);
    if (size < 10 || memcmp(file, "\x93NUMPY\x01", 7) != 0) store_die("%s: no .npy of version 1", path);
    const size_t start = 10 + (unsigned char)file[8] + 256u * (unsigned char)file[9];
    if (!strstr(file + 10, "'<f4'")) store_die("%s: not float32", path);
    if (size - start != count * sizeof(float))
        store_die("%s: %zu bytes of data, expected %zu numbers", path, size - start, count);
    float *data = ARENA_ARRAY(a, float, count + 1);
    memcpy(data, file + start, count * sizeof(float));
    return data;
}
