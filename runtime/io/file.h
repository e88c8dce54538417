/* file.h: whole files, read at once or written so that nobody ever sees half of one. */
#ifndef RNC_RUNTIME_IO_FILE_H
#define RNC_RUNTIME_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/status.h"

/* A file being written under a temporary name in its own directory. It appears under PATH at rnc_file_commit (synced,
   then renamed); until then, and after any failure, what was at PATH before is untouched. */
struct rnc_file;
struct rnc_file *rnc_file_create(const char *path, struct rnc_status *s);
bool rnc_file_write(struct rnc_file *f, const void *data, size_t bytes, struct rnc_status *s);
/* Frees F in any case. */
bool rnc_file_commit(struct rnc_file *f, struct rnc_status *s);
void rnc_file_abort(struct rnc_file *f);

/* Renames and syncs the directory, in which both are. */
bool rnc_file_rename(const char *from, const char *to, struct rnc_status *s);
/* NAME, of a directory, is what rnc_file_create makes for OF there: left by a process that was killed. */
bool rnc_file_is_temporary(const char *name, const char *of);

/* PATH open for reading, a descriptor that the caller closes; -1 with S where it is missing, or no file: opening a pipe
   that nobody writes to would wait for ever, and a device has no end. What the shell gives a command (<(…), /dev/stdin)
   may be a pipe. Everything that is read is opened by this. */
int rnc_file_open(const char *path, struct rnc_status *s);
/* The first bytes of PATH (unpacked, where it is gzip), at most ROOM; so that a header can be looked at before the rest
   is unpacked. *BYTES 0: a pipe, which can be read but once. *PACKED: it is gzip. */
bool rnc_file_head(const char *path, unsigned char *head, size_t room, size_t *bytes, bool *packed,
                   struct rnc_status *s);
/* The whole of PATH, malloc'ed, with a NUL after it. Gzip files are unpacked. LIMIT: the most bytes to take (unpacked).
 */
void *rnc_file_read(const char *path, size_t limit, size_t *bytes, struct rnc_status *s);
/* The same of gzip data in memory; NAME is for messages. */
void *rnc_gunzip(const void *data, size_t size, const char *name, size_t limit, size_t *bytes, struct rnc_status *s);

/* Makes the directory and those above it where they are missing. */
bool rnc_make_directory(const char *path, struct rnc_status *s);

/* The candidate nearest to WORD by edit distance, or NULL when none is near. */
const char *rnc_nearest(const char *word, const char *const *candidates, size_t count);

#endif
