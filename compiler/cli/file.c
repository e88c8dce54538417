/* file.c: whole files written so that a failure leaves nothing half-written and loses nothing. */
#include "cli/file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "runtime/io/file.h"

bool file_write(struct diags *d, const char *path, const void *data, size_t size)
{
    if (strcmp(path, "-") == 0) {
        if (fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0) return true;
        diag_env(d, "the output could not be written: %s", strerror(errno));
        return false;
    }
    struct rnc_status s = {0};
    struct rnc_file *f = rnc_file_create(path, &s);
    if (f && !rnc_file_write(f, data, size, &s)) {
        rnc_file_abort(f);
        f = NULL;
    }
    if (f && rnc_file_commit(f, &s)) return true;
    diag_env(d, "%s", s.message);
    return false;
}
