/* cache.c: the folder of compiled models. An entry is written under a temporary name, synced and renamed, so that a
   reader sees a whole one or none; it names its key and carries a checksum, and one that is not exactly right is as
   good as none. */
#include "gen/module/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC "rncmodel"
#define SUFFIX ".rnc"
#define TEMPORARY "tmp-"
enum { VERSION = 1, NAME_BYTES = SHA256_HEX - 1 + sizeof SUFFIX, STALE_SECONDS = 3600 };
static const uint64_t ENTRY_MAX = UINT64_C(1) << 30;
static const off_t SMALL_MAX = 1 << 24;

struct cache {
    struct arena *arena;
    int fd;
};

/* An entry's beginning; the content follows. In the byte order of the machine, whose triple is part of the key. */
struct header {
    char magic[8];
    uint32_t version, reserved;
    uint64_t size; /* of the content */
    uint8_t key[SHA256_BYTES];
    uint8_t checksum[SHA256_BYTES]; /* of the header with a checksum of zeros, and the content */
};
_Static_assert(sizeof(struct header) == 88, "the file format has no padding");

static void checksum(const struct header *h, const void *data, size_t size, uint8_t out[SHA256_BYTES])
{
    struct header plain = *h;
    memset(plain.checksum, 0, sizeof plain.checksum);
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, &plain, sizeof plain);
    sha256_update(&s, data, size);
    sha256_final(&s, out);
}

static void entry_name(const struct cache_key *key, char out[NAME_BYTES])
{
    sha256_hex(key->bytes, out);
    memcpy(out + SHA256_HEX - 1, SUFFIX, sizeof SUFFIX);
}

/* ---- the folder */

/* As mkdir -p; 0700 is what the XDG base directory specification asks for. Failures show when the folder is opened. */
static void make_folders(struct arena *a, const char *dir)
{
    char *path = arena_strdup(a, dir);
    for (char *p = path + 1; *path && *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    mkdir(path, 0700);
}

/* NULL when the caller alone can put code there. */
static const char *distrust(struct arena *a, const struct stat *st)
{
    if (st->st_uid != geteuid()) return "it belongs to another user";
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return arena_printf(a, "others may write to it (mode %04o)", (unsigned)(st->st_mode & 07777));
    return NULL;
}

struct cache *cache_open(struct arena *a, const char *dir, bool create, const char **why)
{
    const char *unused;
    if (!why) why = &unused;
    *why = NULL;
    if (create) make_folders(a, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (create || errno != ENOENT) *why = arena_strdup(a, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    *why = distrust(a, &st);
    if (*why) {
        close(fd);
        return NULL;
    }
    struct cache *c = ARENA_NEW(a, struct cache);
    *c = (struct cache){a, fd};
    return c;
}

void cache_close(struct cache *c)
{
    if (c) close(c->fd);
}

/* ---- reading */

static bool read_all(int fd, void *data, size_t size)
{
    for (char *p = data; size > 0;) {
        ssize_t n = read(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static const void *read_entry(struct cache *c, int fd, const struct cache_key *key, size_t *size)
{
    struct stat st;
    struct header h;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || distrust(c->arena, &st)) return NULL;
    if (!read_all(fd, &h, sizeof h) || memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.version != VERSION) return NULL;
    if (h.size > ENTRY_MAX || (uint64_t)st.st_size != sizeof h + h.size || memcmp(h.key, key->bytes, sizeof h.key) != 0)
        return NULL;
    void *data = arena_alloc(c->arena, (size_t)h.size);
    uint8_t sum[SHA256_BYTES];
    if (!read_all(fd, data, (size_t)h.size)) return NULL;
    checksum(&h, data, (size_t)h.size, sum);
    if (memcmp(sum, h.checksum, sizeof sum) != 0) return NULL;
    *size = (size_t)h.size;
    return data;
}

const void *cache_get(struct cache *c, const struct cache_key *key, size_t *size)
{
    char name[NAME_BYTES];
    entry_name(key, name);
    int fd = openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return NULL;
    const void *data = read_entry(c, fd, key, size);
    if (data) futimens(fd, NULL); /* now: the folder's order of use */
    close(fd);
    return data;
}

/* ---- what is there */

struct entry {
    const char *name;
    struct timespec used;
    uint64_t bytes;
};
struct listing {
    struct entry *row;
    int count;
    uint64_t bytes;
};

static bool is_entry(const char *name)
{
    return strlen(name) == NAME_BYTES - 1 && strspn(name, "0123456789abcdef") == SHA256_HEX - 1 &&
           strcmp(name + SHA256_HEX - 1, SUFFIX) == 0;
}

static bool is_temporary(const char *name)
{
    size_t prefix = sizeof TEMPORARY - 1;
    return strncmp(name, TEMPORARY, prefix) == 0 && strlen(name) == prefix + 16 &&
           strspn(name + prefix, "0123456789abcdef") == 16;
}

static void add_entry(struct cache *c, struct listing *l, const char *name, const struct stat *st)
{
    if ((l->count & (l->count - 1)) == 0) { /* full at every power of two */
        struct entry *more = ARENA_ARRAY(c->arena, struct entry, l->count ? 2 * l->count : 1);
        if (l->count) memcpy(more, l->row, (size_t)l->count * sizeof *more);
        l->row = more;
    }
    l->row[l->count++] = (struct entry){arena_strdup(c->arena, name), st->st_mtim, (uint64_t)st->st_size};
    l->bytes += (uint64_t)st->st_size;
}

/* Lists the entries; temporary files older than STALE seconds are what killed processes have left, and go. */
static struct listing list(struct cache *c, time_t stale)
{
    struct listing l = {0};
    int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) close(fd);
        return l;
    }
    time_t now = time(NULL);
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (fstatat(c->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        if (is_entry(e->d_name)) add_entry(c, &l, e->d_name, &st);
        else if (is_temporary(e->d_name) && now - st.st_mtim.tv_sec >= stale) unlinkat(c->fd, e->d_name, 0);
    }
    closedir(dir);
    return l;
}

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void evict(struct cache *c, const char *keep, uint64_t max_bytes)
{
    struct listing l = list(c, STALE_SECONDS);
    if (l.bytes <= max_bytes) return;
    qsort(l.row, (size_t)l.count, sizeof *l.row, by_use);
    for (int i = 0; i < l.count && l.bytes > max_bytes; i++) {
        if (strcmp(l.row[i].name, keep) == 0) continue;
        unlinkat(c->fd, l.row[i].name, 0);
        l.bytes -= l.row[i].bytes;
    }
}

struct cache_usage cache_usage(struct cache *c)
{
    struct listing l = list(c, STALE_SECONDS);
    return (struct cache_usage){l.count, l.bytes};
}

struct cache_usage cache_clear(struct cache *c)
{
    struct listing l = list(c, STALE_SECONDS);
    struct cache_usage removed = {0};
    for (int i = 0; i < l.count; i++) {
        if (unlinkat(c->fd, l.row[i].name, 0) != 0) continue;
        removed.entries++;
        removed.bytes += l.row[i].bytes;
    }
    return removed;
}

/* ---- writing */

static bool write_all(int fd, const void *data, size_t size)
{
    for (const char *p = data; size > 0;) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* A name that no other process takes, even from another machine or container that shares the folder. */
static bool temporary_name(char *out, size_t size)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return false;
    snprintf(out, size, TEMPORARY "%016llx", (unsigned long long)random);
    return true;
}

/* Two blocks (the second may be of no bytes) as file NAME. */
static bool write_aside(struct cache *c, const char *name, const void *head, size_t head_size, const void *data,
                        size_t size)
{
    char temporary[64];
    if (!temporary_name(temporary, sizeof temporary)) return false;
    int fd = openat(c->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = write_all(fd, head, head_size) && write_all(fd, data, size) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && renameat(c->fd, temporary, c->fd, name) == 0) return true;
    unlinkat(c->fd, temporary, 0);
    return false;
}

void cache_put(struct cache *c, const struct cache_key *key, const void *data, size_t size, uint64_t max_bytes)
{
    struct header h = {.version = VERSION, .size = size};
    if (size > ENTRY_MAX || sizeof h + size > max_bytes) return;
    memcpy(h.magic, MAGIC, sizeof h.magic);
    memcpy(h.key, key->bytes, sizeof h.key);
    checksum(&h, data, size, h.checksum);
    char name[NAME_BYTES];
    entry_name(key, name);
    if (write_aside(c, name, &h, sizeof h, data, size)) evict(c, name, max_bytes);
}

/* ---- small files */

const char *cache_read(struct cache *c, const char *name, size_t *size)
{
    int fd = openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return NULL;
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !distrust(c->arena, &st) && st.st_size <= SMALL_MAX;
    char *data = ok ? arena_alloc(c->arena, (size_t)st.st_size + 1) : NULL;
    if (data && !read_all(fd, data, (size_t)st.st_size)) data = NULL;
    close(fd);
    if (data) *size = (size_t)st.st_size;
    return data;
}

bool cache_write(struct cache *c, const char *name, const void *data, size_t size)
{
    return write_aside(c, name, data, size, NULL, 0);
}

void cache_lock(struct cache *c)
{
    enum { TRIES = 5000 }; /* of a millisecond: the holder of the lock writes one small file */
    for (int i = 0; i < TRIES && flock(c->fd, LOCK_EX | LOCK_NB) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void cache_unlock(struct cache *c) { flock(c->fd, LOCK_UN); }

void cache_each(struct cache *c, const char *prefix, void (*fn)(void *ctx, struct cache *c, const char *name),
                void *ctx)
{
    int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0) close(fd);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) fn(ctx, c, e->d_name);
    if (dir) closedir(dir);
}

bool cache_remove(struct cache *c, const char *name) { return unlinkat(c->fd, name, 0) == 0; }
