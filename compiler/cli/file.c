/* file.c: whole files written so that a failure leaves nothing half-written and loses nothing. */
#include "cli/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO;
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* mkstemp makes the file private; it gets the mode that open() would have given it. */
static bool finish(int fd, const char *aside, const char *path, bool ok)
{
    mode_t mask = umask(0);
    umask(mask);
    ok = ok && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) && ok) {
        saved = errno;
        ok = false;
    }
    errno = saved;
    return ok && rename(aside, path) == 0;
}

bool file_write(struct diags *d, const char *path, const void *data, size_t size)
{
    if (strcmp(path, "-") == 0) {
        if (fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0) return true;
        diag_env(d, "the output could not be written: %s", strerror(errno));
        return false;
    }
    /* Devices (/dev/null, /dev/stdout) are written to, not replaced. */
    struct stat st;
    bool device = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    size_t len = strlen(path);
    char *aside = malloc(len + 8);
    if (!aside) {
        diag_env(d, "%s: out of memory", path);
        return false;
    }
    memcpy(aside, path, len);
    memcpy(aside + len, ".XXXXXX", 8);
    int fd = device ? open(path, O_WRONLY | O_CLOEXEC) : mkstemp(aside);
    bool ok = fd >= 0 && write_all(fd, data, size);
    if (device) ok = fd >= 0 && close(fd) == 0 && ok;
    else if (fd >= 0) ok = finish(fd, aside, path, ok);
    if (!ok) {
        int saved = errno;
        if (!device && fd >= 0) unlink(aside);
        diag_env(d, "%s: could not be written: %s", path, strerror(saved));
    }
    free(aside);
    return ok;
}
