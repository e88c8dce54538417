/* folder.c: the folder of a run. The lock is on the directory itself (flock), so that it ends with the process and
   leaves no file. */
#include "runtime/train/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/data/data_readers.h"
#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"

/* last.safetensors first: without it nothing goes on by mistake. */
static const char *const names[] = {RNC_RUN_LAST, RNC_RUN_BEST, RNC_RUN_NEXT, RNC_RUN_LOG, RNC_RUN_STEPS,
                                    RNC_RUN_PNG,  RNC_RUN_SVG,  RNC_RUN_JSON, RNC_RUN_SPEC};
enum { NAMES = sizeof names / sizeof *names };

static bool no_memory(const char *dir, struct rnc_status *s)
{
    return rnc_fail(s, RNC_ENV, "no memory to open %s", dir);
}

static bool exists(const char *dir, const char *name)
{
    char *path = rnc_path_join(dir, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

bool rnc_folder_taken(const char *dir)
{
    static const char *const state[] = {RNC_RUN_LAST, RNC_RUN_BEST, RNC_RUN_LOG, RNC_RUN_STEPS};
    for (size_t k = 0; k < sizeof state / sizeof *state; k++)
        if (exists(dir, state[k])) return true;
    return exists(dir, RNC_RUN_SPEC) && !exists(dir, RNC_RUN_JSON);
}

/* ---- the lock */

int rnc_folder_lock(const char *dir, struct rnc_status *s)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        rnc_fail(s, RNC_ENV, "can't open %s: %s", dir, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return fd;
    close(fd);
    rnc_fail(s, RNC_USER, "another rnc is training in %s", dir);
    return -1;
}

void rnc_folder_unlock(int lock)
{
    if (lock >= 0) close(lock);
}

bool rnc_folder_busy(const char *dir)
{
    struct rnc_status s = {0};
    int lock = rnc_folder_lock(dir, &s);
    rnc_folder_unlock(lock);
    return lock < 0 && s.code == RNC_USER;
}

/* ---- after a kill */

static void remove_temporaries(const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        bool ours = false;
        for (size_t k = 0; k < NAMES; k++) ours = ours || rnc_file_is_temporary(e->d_name, names[k]);
        char *path = ours ? rnc_path_join(dir, e->d_name) : NULL;
        if (path) unlink(path);
        free(path);
    }
    if (d) closedir(d);
}

/* The number under KEY in the metadata of DIR/NAME; false: there is none, or no such file. */
static bool number_of(const char *dir, const char *name, const char *key, int64_t *out)
{
    struct rnc_status ignored = {0};
    char *path = rnc_path_join(dir, name), *end;
    struct rnc_safetensors *f = path ? rnc_st_open(path, &ignored) : NULL;
    const char *text = f ? rnc_st_meta(f, key) : NULL;
    if (text) *out = strtoll(text, &end, 10);
    bool ok = text && end != text && !*end && *out >= 0;
    rnc_st_close(f);
    free(path);
    return ok;
}

/* Cuts a table whose rows begin with a number that rises off behind the last one up to LIMIT. */
static bool cut_rows(const char *dir, const char *name, int64_t limit, struct rnc_status *s)
{
    struct rnc_status none = {0};
    size_t bytes;
    char *path = rnc_path_join(dir, name), *text = path ? rnc_file_read(path, SIZE_MAX / 2, &bytes, &none) : NULL;
    bool ok = path || no_memory(dir, s);
    char *line = text ? strchr(text, '\n') : NULL;
    while (line && line[1] && strtoll(line + 1, NULL, 10) <= limit) line = strchr(line + 1, '\n');
    if (ok && line && line[1]) {
        struct rnc_file *f = rnc_file_create(path, s);
        ok = f && rnc_file_write(f, text, (size_t)(line + 1 - text), s);
        if (ok) ok = rnc_file_commit(f, s);
        else rnc_file_abort(f);
    }
    free(text);
    free(path);
    return ok;
}

bool rnc_folder_promote(const char *dir, struct rnc_status *s)
{
    char *from = rnc_path_join(dir, RNC_RUN_NEXT), *to = rnc_path_join(dir, RNC_RUN_BEST);
    bool ok = (from && to) || no_memory(dir, s);
    ok = ok && rnc_file_rename(from, to, s);
    free(from);
    free(to);
    return ok;
}

/* The next best weights belong to last.safetensors, or to an epoch that was not finished. */
static bool settle_best(const char *dir, int64_t best_epoch, struct rnc_status *s)
{
    int64_t of;
    if (!exists(dir, RNC_RUN_NEXT)) return true;
    if (number_of(dir, RNC_RUN_NEXT, "rnc.epoch", &of) && of == best_epoch) return rnc_folder_promote(dir, s);
    char *path = rnc_path_join(dir, RNC_RUN_NEXT);
    bool ok = path ? unlink(path) == 0 || rnc_fail(s, RNC_ENV, "can't remove %s: %s", path, strerror(errno))
                   : no_memory(dir, s);
    free(path);
    return ok;
}

bool rnc_folder_settle(const char *dir, struct rnc_status *s)
{
    int64_t epoch, step, best;
    remove_temporaries(dir);
    if (!exists(dir, RNC_RUN_LAST)) return settle_best(dir, 0, s); /* no epoch was finished */
    if (!number_of(dir, RNC_RUN_LAST, "rnc.epoch", &epoch) || !number_of(dir, RNC_RUN_LAST, "rnc.step", &step) ||
        !number_of(dir, RNC_RUN_LAST, "rnc.best_epoch", &best))
        return true;
    return settle_best(dir, best, s) && cut_rows(dir, RNC_RUN_LOG, epoch, s) && cut_rows(dir, RNC_RUN_STEPS, step, s);
}

/* ---- a run in place of another */

static bool set_one_aside(const char *path, struct rnc_status *s)
{
    size_t size = strlen(path) + sizeof RNC_RUN_OLD;
    char *old = malloc(size);
    if (!old) return rnc_fail(s, RNC_ENV, "no memory to rename %s", path);
    snprintf(old, size, "%s" RNC_RUN_OLD, path);
    bool ok = rename(path, old) == 0 || errno == ENOENT ||
              rnc_fail(s, RNC_ENV, "can't rename %s to %s: %s", path, old, strerror(errno));
    free(old);
    return ok;
}

bool rnc_folder_set_aside(const char *dir, struct rnc_status *s)
{
    for (size_t k = 0; k < NAMES; k++) {
        char *path = rnc_path_join(dir, names[k]);
        bool ok = path ? set_one_aside(path, s) : no_memory(dir, s);
        free(path);
        if (!ok) return false;
    }
    return true;
}
