/* file.c: atomic writing (temporary name, fsync, rename, fsync of the directory) and whole-file reading with gzip. */
#include "runtime/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER = 1 << 18, GZIP_MORE = 1 << 20 /* bytes by which what is packed may be longer than what it holds */ };

struct rnc_file {
    int fd;
    char *path, *temp; /* temp NULL: a device or pipe, written directly */
    size_t used;
    char buffer[BUFFER];
};

static void file_free(struct rnc_file *f)
{
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f->temp);
    free(f);
}

void rnc_file_abort(struct rnc_file *f)
{
    if (!f) return;
    if (f->temp) unlink(f->temp);
    file_free(f);
}

static mode_t usual_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* dir/.name.XXXXXX beside PATH. */
enum { RANDOM = 6 };
bool rnc_file_is_temporary(const char *name, const char *of)
{
    size_t n = strlen(of);
    return name[0] == '.' && strncmp(name + 1, of, n) == 0 && name[n + 1] == '.' && strlen(name + n + 2) == RANDOM;
}

static char *temp_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t dir = (size_t)(name - path), size = strlen(path) + 16;
    char *t = malloc(size);
    if (t) snprintf(t, size, "%.*s.%s.XXXXXX", (int)dir, path, name);
    return t;
}

static bool open_temp(struct rnc_file *f, struct rnc_status *s)
{
    f->temp = temp_name(f->path);
    if (!f->temp) return rnc_fail(s, RNC_ENV, "no memory to write %s", f->path);
    f->fd = mkostemp(f->temp, O_CLOEXEC);
    if (f->fd < 0) {
        rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(errno));
        free(f->temp);
        f->temp = NULL;
        return false;
    }
    return fchmod(f->fd, usual_mode()) == 0 || rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(errno));
}

static bool open_file(struct rnc_file *f, const char *path, struct rnc_status *s)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return rnc_fail(s, RNC_ENV, "can't write %s: it is a directory", path);
    f->path = exists ? realpath(path, NULL) : strdup(path); /* a link keeps pointing at the new file */
    if (!f->path) return rnc_fail(s, RNC_ENV, "can't write %s: %s", path, strerror(errno));
    if (!exists || S_ISREG(st.st_mode)) return open_temp(f, s);
    f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
    return f->fd >= 0 || rnc_fail(s, RNC_ENV, "can't write %s: %s", path, strerror(errno));
}

struct rnc_file *rnc_file_create(const char *path, struct rnc_status *s)
{
    struct rnc_file *f = malloc(sizeof *f);
    if (!f) {
        rnc_fail(s, RNC_ENV, "no memory to write %s", path);
        return NULL;
    }
    *f = (struct rnc_file){.fd = -1};
    if (open_file(f, path, s)) return f;
    rnc_file_abort(f);
    return NULL;
}

static bool write_all(struct rnc_file *f, const char *data, size_t bytes, struct rnc_status *s)
{
    while (bytes > 0) {
        ssize_t n = write(f->fd, data, bytes < (1u << 30) ? bytes : 1u << 30);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(n < 0 ? errno : ENOSPC));
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool rnc_file_write(struct rnc_file *f, const void *data, size_t bytes, struct rnc_status *s)
{
    if (f->used + bytes > BUFFER) {
        if (!write_all(f, f->buffer, f->used, s)) return false;
        f->used = 0;
    }
    if (bytes > BUFFER) return write_all(f, data, bytes, s);
    if (bytes > 0) memcpy(f->buffer + f->used, data, bytes);
    f->used += bytes;
    return true;
}

/* The rename itself is only safe on disk once the directory is synced. Some file systems can't: that is no failure. */
static void sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

bool rnc_file_commit(struct rnc_file *f, struct rnc_status *s)
{
    bool ok = write_all(f, f->buffer, f->used, s);
    if (ok && f->temp && fsync(f->fd) != 0) ok = rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(errno));
    int closed = close(f->fd), why = errno;
    f->fd = -1;
    if (ok && closed != 0) ok = rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(why));
    if (ok && f->temp && rename(f->temp, f->path) != 0)
        ok = rnc_fail(s, RNC_ENV, "can't write %s: %s", f->path, strerror(errno));
    if (!ok) {
        rnc_file_abort(f);
        return false;
    }
    if (f->temp) sync_directory(f->path);
    file_free(f);
    return true;
}

bool rnc_file_rename(const char *from, const char *to, struct rnc_status *s)
{
    if (rename(from, to) != 0) return rnc_fail(s, RNC_ENV, "can't rename %s to %s: %s", from, to, strerror(errno));
    sync_directory(to);
    return true;
}

/* ---- reading */

static void *cannot_read(const char *path, int error, struct rnc_status *s)
{
    rnc_fail(s, error == ENOENT || error == ENOTDIR || error == EISDIR ? RNC_USER : RNC_ENV, "can't read %s: %s", path,
             strerror(error));
    return NULL;
}

/* What the shell opened already: <(…), /dev/stdin. */
static bool is_given(const char *path)
{
    return !strncmp(path, "/dev/fd/", 8) || !strncmp(path, "/proc/self/fd/", 14) || !strcmp(path, "/dev/stdin");
}

int rnc_file_open(const char *path, struct rnc_status *s)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | (is_given(path) ? 0 : O_NONBLOCK));
    if (fd < 0 || fstat(fd, &st) != 0) cannot_read(path, errno, s);
    else if (S_ISREG(st.st_mode) || (is_given(path) && S_ISFIFO(st.st_mode))) return fd;
    else
        rnc_fail(s, RNC_USER, "can't read %s: it is a %s, not a file", path,
                 S_ISDIR(st.st_mode)    ? "folder"
                 : S_ISFIFO(st.st_mode) ? "pipe"
                 : S_ISSOCK(st.st_mode) ? "socket"
                                        : "device");
    if (fd >= 0) close(fd);
    return -1;
}

static bool is_gzip(const unsigned char *data, size_t bytes)
{
    return bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

/* The first bytes of gzip data that are cut off somewhere; as many as come of them. */
static size_t unpack_head(const unsigned char *packed, size_t size, unsigned char *head, size_t capacity)
{
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)packed, .avail_in = (uInt)size, .next_out = head, .avail_out = (uInt)capacity};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return 0;
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return capacity - z.avail_out;
}

bool rnc_file_head(const char *path, unsigned char *head, size_t capacity, size_t *bytes, bool *packed_file,
                   struct rnc_status *s)
{
    enum { PACKED = 1 << 16 };
    struct stat st;
    int fd = rnc_file_open(path, s);
    *bytes = 0;
    *packed_file = false;
    if (fd < 0) return false;
    unsigned char *packed = malloc(PACKED);
    ssize_t n = packed && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? pread(fd, packed, PACKED, 0) : 0;
    close(fd);
    *packed_file = n > 0 && is_gzip(packed, (size_t)n);
    if (*packed_file) *bytes = unpack_head(packed, (size_t)n, head, capacity);
    else if (n > 0) memcpy(head, packed, *bytes = (size_t)n < capacity ? (size_t)n : capacity);
    free(packed);
    return packed || rnc_fail(s, RNC_ENV, "no memory to read %s", path);
}

/* Reads up to LIMIT + 1 bytes, so that the caller can tell a file that is too long. Works on pipes. */
static char *read_fd(int fd, size_t limit, size_t *bytes)
{
    size_t cap = 1 << 16, used = 0;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) cap = (size_t)st.st_size + 2;
    if (cap > limit + 2) cap = limit + 2;
    char *data = malloc(cap);
    while (data) {
        ssize_t n = read(fd, data + used, cap - used - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        used += (size_t)n;
        if (n == 0 || used > limit) {
            data[used] = 0;
            *bytes = used;
            return data;
        }
        if (cap - used > 1) continue;
        cap = cap * 2 < limit + 2 ? cap * 2 : limit + 2;
        char *more = realloc(data, cap);
        if (!more) break;
        data = more;
    }
    free(data);
    return NULL;
}

static void too_large(const char *path, const char *when, size_t limit, struct rnc_status *s)
{
    bool small = limit < 10000000;
    rnc_fail(s, RNC_USER, "%s is too large%s: at most %zu %s were expected", path, when,
             small ? limit : limit / 1000000, small ? "bytes" : "MB");
}

void *rnc_file_read(const char *path, size_t limit, size_t *bytes, struct rnc_status *s)
{
    int fd = rnc_file_open(path, s);
    if (fd < 0) return NULL;
    unsigned char *data = (unsigned char *)read_fd(fd, limit + GZIP_MORE, bytes);
    int error = errno;
    close(fd);
    if (!data) return cannot_read(path, error, s);
    if (is_gzip(data, *bytes)) {
        void *plain = rnc_gunzip(data, *bytes, path, limit, bytes, s);
        free(data);
        return plain;
    }
    if (*bytes <= limit) return data;
    free(data);
    too_large(path, "", limit, s);
    return NULL;
}

/* Makes capacity for more output; NULL when LIMIT is passed or memory is short. */
static unsigned char *grow(unsigned char *data, size_t *cap, size_t limit)
{
    if (*cap > limit) return NULL;
    *cap = *cap * 2 < limit + 2 ? *cap * 2 : limit + 2;
    return realloc(data, *cap);
}

static int inflate_all(z_stream *z, unsigned char **data, size_t *cap, size_t limit, size_t *used)
{
    int r = Z_OK;
    while (r == Z_OK) {
        if (*cap - *used <= 1) {
            unsigned char *more = grow(*data, cap, limit);
            if (!more) return Z_MEM_ERROR;
            *data = more;
        }
        size_t capacity = *cap - *used - 1, step = capacity < (1u << 30) ? capacity : 1u << 30;
        z->next_out = *data + *used;
        z->avail_out = (uInt)step;
        r = inflate(z, Z_NO_FLUSH);
        *used += step - z->avail_out;
        if (r == Z_STREAM_END && z->avail_in > 0 && z->next_in[0] == 0x1f)
            r = inflateReset(z); /* members one after another */
    }
    return r;
}

void *rnc_gunzip(const void *data, size_t size, const char *name, size_t limit, size_t *bytes, struct rnc_status *s)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    size_t cap = size * 4 + 64, used = 0;
    if (cap > limit + 2) cap = limit + 2;
    unsigned char *out = size <= UINT32_MAX ? malloc(cap) : NULL;
    if (!out || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        free(out);
        rnc_fail(s, RNC_ENV, "no memory to unpack %s", name);
        return NULL;
    }
    int r = inflate_all(&z, &out, &cap, limit, &used);
    inflateEnd(&z);
    if (r == Z_STREAM_END) {
        out[used] = 0;
        *bytes = used;
        return out;
    }
    free(out);
    if (r == Z_BUF_ERROR) rnc_fail(s, RNC_USER, "%s is truncated: its gzip data end early", name);
    else if (r == Z_MEM_ERROR) too_large(name, " when unpacked", limit, s);
    else
        rnc_fail(s, RNC_USER, "%s is damaged: its gzip data can't be unpacked (%s)", name,
                 z.msg ? z.msg : "wrong checksum");
    return NULL;
}

/* ---- directories and names */

bool rnc_make_directory(const char *path, struct rnc_status *s)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ||
               rnc_fail(s, RNC_ENV, "can't make the directory %s: a file of this name is in the way", path);
    char *copy = strdup(path);
    if (!copy) return rnc_fail(s, RNC_ENV, "no memory to make the directory %s", path);
    bool ok = true;
    for (char *p = copy + 1; ok; p++) {
        if (*p && *p != '/') continue;
        char was = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            ok = rnc_fail(s, RNC_ENV, "can't make the directory %s: %s", copy, strerror(errno));
        *p = was;
        if (!was) break;
    }
    free(copy);
    return ok;
}

/* Levenshtein's distance, in one row; words longer than the row are far from everything. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 255 };
    size_t row[LONGEST + 1], la = strlen(a), lb = strlen(b);
    if (la > LONGEST || lb > LONGEST) return LONGEST;
    for (size_t j = 0; j <= lb; j++) row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (up + 1 < best) best = up + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[lb];
}

const char *rnc_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, nearest = limit + 1;
    for (size_t k = 0; k < count; k++) {
        size_t d = edit_distance(word, candidates[k]);
        if (d < nearest) nearest = d, best = candidates[k];
    }
    return best;
}
