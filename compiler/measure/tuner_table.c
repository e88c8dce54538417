/* tuner_table.c: what the tuner has learnt, as text:

       rnc-tuned 1 <SHA-256 of the CPU, the target, rnc's build and LLVM's>
       <algorithm_key>=direct:0.000123 winograd4:4.5e-05
       …
       sum <SHA-256 of the lines above>

   One file for each CPU and target. Another build generates other code, so its figures count for nothing. */
#include "measure/tuner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gen/module/build_id.h"
#include "gen/gen.h"

#define PREFIX "tuned-"
#define DIGITS "%.6g"
static const char magic[] = "rnc-tuned 1 ", sum_word[] = "sum ";
enum { NAME_DIGITS = 16 };

void tuner_table_init(struct tuner_table *t, struct arena *a)
{
    t->arena = a;
    strmap_init(&t->rows, a);
}

static int find(const struct tuner_row *r, const char *algorithm)
{
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->name[i], algorithm) == 0) return i;
    return -1;
}

void tuner_table_set(struct tuner_table *t, const char *key, const char *algorithm, double seconds)
{
    struct tuner_row *r = strmap_get(&t->rows, key);
    if (!r) {
        r = ARENA_NEW(t->arena, struct tuner_row);
        strmap_add(&t->rows, key, r);
    }
    int i = find(r, algorithm);
    char text[32];
    if (i < 0 && r->count == ALGORITHMS_MOST) return;
    if (i < 0) r->name[i = r->count++] = arena_strdup(t->arena, algorithm);
    snprintf(text, sizeof text, DIGITS, seconds); /* the same now as when it is read again */
    r->seconds[i] = strtod(text, NULL);
}

double tuner_table_get(const struct tuner_table *t, const char *key, const char *algorithm)
{
    const struct tuner_row *r = strmap_get(&t->rows, key);
    int i = r ? find(r, algorithm) : -1;
    return i < 0 ? -1 : r->seconds[i];
}

/* ---- names and sums */

static void hash_text(const char *text, size_t size, char hex[SHA256_HEX])
{
    struct sha256 s;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&s);
    sha256_update(&s, text, size);
    sha256_final(&s, digest);
    sha256_hex(digest, hex);
}

/* The file's name, by the CPU that measures and the target that code is made for; and the hash of these and of the
   builds. */
static bool identify(struct arena *a, const struct target *t, const char **name, char hash[SHA256_HEX])
{
    struct buf b;
    struct target host;
    target_host(&host);
    buf_init(&b, a);
    if (!gen_target_init(&host, diags_new(a))) return false;
    buf_printf(&b, "%s %s\n%s %s %s\n%u %d %d %zu %zu %zu\n", host.cpu, host.features, t->triple, t->cpu, t->features,
               t->feature_bits, t->lanes, t->registers, t->l1_bytes, t->l2_bytes, t->l3_bytes);
    hash_text(b.data, b.len, hash);
    *name = arena_printf(a, PREFIX "%.*s.txt", NAME_DIGITS, hash);
    if (!build_id(&b)) return false;
    hash_text(b.data, b.len, hash);
    return true;
}

/* ---- reading */

/* The length of the rows' part when the text is whole, else 0; *ROWS: where it begins. */
static size_t check(const char *text, size_t size, const char *hash, const char **rows)
{
    size_t head = sizeof magic - 1 + SHA256_HEX, tail = sizeof sum_word - 1 + SHA256_HEX;
    char sum[SHA256_HEX];
    if (size < head + tail || strlen(text) != size || strncmp(text, magic, sizeof magic - 1) != 0) return 0;
    if (hash && strncmp(text + sizeof magic - 1, hash, SHA256_HEX - 1) != 0) return 0;
    const char *end = text + size - tail;
    hash_text(text, (size_t)(end - text), sum);
    if (strncmp(end, sum_word, sizeof sum_word - 1) != 0 ||
        strncmp(end + sizeof sum_word - 1, sum, SHA256_HEX - 1) != 0)
        return 0;
    *rows = text + head;
    return (size_t)(end - *rows);
}

/* "direct:0.000123 winograd4:4.5e-05"; what T has already stays. */
static void read_times(struct tuner_table *t, const char *key, const char *p, const char *end)
{
    while (p < end) {
        size_t word = strcspn(p, " \n"), name = strcspn(p, ":");
        double seconds = name < word ? strtod(p + name + 1, NULL) : -1;
        const char *algorithm = arena_strndup(t->arena, p, name < word ? name : word);
        if (isfinite(seconds) && seconds > 0 && tuner_table_get(t, key, algorithm) < 0)
            tuner_table_set(t, key, algorithm, seconds);
        p += word + 1;
    }
}

static void read_rows(struct tuner_table *t, const char *p, size_t size)
{
    for (const char *end = p + size; p < end;) {
        size_t line = strcspn(p, "\n"), key = strcspn(p, "=");
        if (key < line) read_times(t, arena_strndup(t->arena, p, key), p + key + 1, p + line);
        p += line + 1;
    }
}

static void merge(struct tuner_table *table, struct cache *c, const char *name, const char *hash)
{
    size_t size = 0;
    const char *text = cache_read(c, name, &size), *rows = NULL;
    size_t length = text ? check(text, size, hash, &rows) : 0;
    if (length) read_rows(table, rows, length);
}

void tuner_table_read(struct tuner_table *table, const char *dir, const struct target *t)
{
    char hash[SHA256_HEX];
    const char *name;
    struct cache *c = cache_open(table->arena, dir, false, NULL);
    if (c && identify(table->arena, t, &name, hash)) merge(table, c, name, hash);
    cache_close(c);
}

/* ---- writing */

static void print(const struct tuner_table *t, const char *hash, struct buf *out)
{
    char sum[SHA256_HEX];
    buf_printf(out, "%s%s\n", magic, hash);
    for (size_t i = 0; i < t->rows.count; i++) {
        const struct tuner_row *r = t->rows.entries[i].value;
        buf_printf(out, "%s=", t->rows.entries[i].key);
        for (int k = 0; k < r->count; k++) buf_printf(out, "%s%s:" DIGITS, k ? " " : "", r->name[k], r->seconds[k]);
        buf_putc(out, '\n');
    }
    hash_text(out->data, out->len, sum);
    buf_printf(out, "%s%s\n", sum_word, sum);
}

void tuner_table_write(struct tuner_table *table, const char *dir, const struct target *t)
{
    char hash[SHA256_HEX];
    const char *name;
    struct cache *c = cache_open(table->arena, dir, true, NULL);
    if (c && identify(table->arena, t, &name, hash)) {
        struct buf text;
        buf_init(&text, table->arena);
        cache_lock(c);
        merge(table, c, name, hash);
        print(table, hash, &text);
        cache_write(c, name, text.data, text.len);
        cache_unlock(c);
    }
    cache_close(c);
}

/* ---- all of them */

struct census {
    struct tuner_usage usage;
    bool remove;
};

static bool is_table(const char *name)
{
    size_t prefix = sizeof PREFIX - 1;
    return strncmp(name, PREFIX, prefix) == 0 && strspn(name + prefix, "0123456789abcdef") == NAME_DIGITS &&
           strcmp(name + prefix + NAME_DIGITS, ".txt") == 0;
}

static void count(void *ctx, struct cache *c, const char *name)
{
    struct census *s = ctx;
    size_t size = 0;
    if (!is_table(name)) return;
    const char *text = cache_read(c, name, &size), *rows = NULL;
    size_t length = text ? check(text, size, NULL, &rows) : 0;
    if (s->remove && !cache_remove(c, name)) return;
    s->usage.tables++;
    s->usage.bytes += size;
    for (size_t i = 0; i < length; i++) s->usage.rows += rows[i] == '\n';
}

struct tuner_usage tuner_usage(struct cache *c, bool remove)
{
    struct census s = {.remove = remove};
    cache_each(c, PREFIX, count, &s);
    return s.usage;
}
