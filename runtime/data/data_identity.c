/* data_identity.c: what makes two data sets the same: their labels and pixels, or the bytes of their files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/data/data_readers.h"
#include "runtime/rt/hash.h"

/* Files are read whole as long as that takes seconds; beyond, their ends. */
static const uint64_t whole_bytes = (uint64_t)4 << 30;
enum { CHUNK = 1 << 20, END = 4096 };

/* Eight bytes at a time, for the sake of gigabytes; each step's high bits come down, where the next one multiplies. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t word;
    for (; bytes >= sizeof word; bytes -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        h = rnc_hash_step(h, word);
        h ^= h >> 29;
    }
    return rnc_hash_bytes(h, p, bytes);
}

static uint64_t hash_tensors(uint64_t h, const struct rnc_dataset *p)
{
    h = hash_bytes(h, p->rows, p->rows ? (size_t)p->count * sizeof *p->rows : 0);
    for (int k = 0; k < p->ntensors && !p->borrowed; k++)
        h = hash_bytes(h, p->tensors[k].npy.data,
                       (size_t)p->tensors[k].npy.dim[0] * rnc_port_bytes(p->tensors[k].port));
    return h;
}

/* ---- files */

static bool size_of(const char *path, uint64_t *size, struct rnc_status *s)
{
    struct stat st;
    if (stat(path, &st) != 0) return rnc_fail(s, RNC_ENV, "can't read %s: %s", path, strerror(errno));
    *size = (uint64_t)st.st_size;
    return true;
}

static bool total_of(char *const *files, int64_t count, uint64_t *total, struct rnc_status *s)
{
    for (int64_t k = 0; files && k < count; k++) {
        uint64_t size;
        if (!size_of(files[k], &size, s)) return false;
        *total += size;
    }
    return true;
}

/* BYTES from the place FROM on, or what there is. */
static bool hash_range(uint64_t *h, int fd, off_t from, uint64_t bytes, unsigned char *chunk)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, chunk, bytes < CHUNK ? (size_t)bytes : CHUNK, from);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        if (n == 0) break;
        *h = hash_bytes(*h, chunk, (size_t)n);
        from += n;
        bytes -= (uint64_t)n;
    }
    return true;
}

static bool hash_file(uint64_t *h, const char *path, bool whole, unsigned char *chunk, struct rnc_status *s)
{
    uint64_t size;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && size_of(path, &size, s);
    if (ok) {
        *h = rnc_hash_step(*h, size);
        if (whole || size <= 2 * END) ok = hash_range(h, fd, 0, size, chunk);
        else ok = hash_range(h, fd, 0, END, chunk) && hash_range(h, fd, (off_t)(size - END), END, chunk);
    }
    if (!ok) rnc_fail(s, RNC_ENV, "can't read %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return ok;
}

static bool hash_files(uint64_t *h, char *const *files, int64_t count, bool whole, unsigned char *chunk,
                       struct rnc_status *s)
{
    for (int64_t k = 0; files && k < count; k++)
        if (!hash_file(h, files[k], whole, chunk, s)) return false;
    return true;
}

/* ---- splits */

static bool hash_split(uint64_t *h, const struct rnc_dataset *p, bool whole, unsigned char *chunk, struct rnc_status *s)
{
    if (p->tensors) {
        *h = hash_tensors(*h, p);
        return true;
    }
    *h = hash_bytes(*h, p->labels, (size_t)p->count * sizeof *p->labels);
    if (p->pixels) *h = hash_bytes(*h, p->pixels, (size_t)(p->count * p->channels * p->height * p->width));
    return hash_files(h, p->files, p->count, whole, chunk, s) && hash_files(h, p->masks, p->count, whole, chunk, s);
}

bool rnc_data_hash(const struct rnc_data *d, uint64_t *hash, struct rnc_status *s)
{
    const struct rnc_dataset *splits[] = {&d->train, &d->val};
    unsigned char *chunk = malloc(CHUNK);
    uint64_t total = 0;
    bool ok = chunk || rnc_data_no_memory("its identity", s);
    for (int k = 0; k < 2; k++)
        ok = ok && total_of(splits[k]->files, splits[k]->count, &total, s) &&
             total_of(splits[k]->masks, splits[k]->count, &total, s);
    *hash = RNC_HASH_START;
    for (int k = 0; k < 2; k++) ok = ok && hash_split(hash, splits[k], total <= whole_bytes, chunk, s);
    free(chunk);
    return ok;
}
