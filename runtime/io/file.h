/* file.h: reads files whole, and writes them atomically: no reader ever sees a half-written file. */
#ifndef RNC_RUNTIME_IO_FILE_H
#define RNC_RUNTIME_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/rt/status.h"

/* A file that is being written, under a temporary name in its own directory. rnc_file_commit syncs and renames it to
   PATH. Before that, and after any failure, PATH is untouched. */
struct rnc_file;
struct rnc_file *rnc_file_create(const char *path, struct rnc_status *s);
bool rnc_file_write(struct rnc_file *f, const void *data, size_t bytes, struct rnc_status *s);
/* Frees F, also on failure. */
bool rnc_file_commit(struct rnc_file *f, struct rnc_status *s);
void rnc_file_abort(struct rnc_file *f);

/* Renames a file within its directory and syncs the directory. */
bool rnc_file_rename(const char *from, const char *to, struct rnc_status *s);
/* True if NAME is a temporary file that rnc_file_create made for OF in the same directory. A killed process leaves such
   files. */
bool rnc_file_is_temporary(const char *name, const char *of);

/* Opens PATH for reading; the caller closes the descriptor. -1 with S if it is missing or no regular file: opening a
   pipe without a writer would block, and a device has no end. Pipes that a shell passes (<(…), /dev/stdin) are
   accepted. All reading goes through this function. */
int rnc_file_open(const char *path, struct rnc_status *s);
/* Reads the first bytes of PATH (unpacked if it is gzip), at most CAPACITY, so that a header can be checked before the
   whole file is unpacked. *BYTES = 0 for a pipe, which can be read only once. *PACKED: it is gzip. */
bool rnc_file_head(const char *path, unsigned char *head, size_t capacity, size_t *bytes, bool *packed,
                   struct rnc_status *s);
/* Reads all of PATH into malloc'ed memory, with a NUL appended. Gzip files are unpacked. LIMIT: the largest accepted
   size in bytes, unpacked. */
void *rnc_file_read(const char *path, size_t limit, size_t *bytes, struct rnc_status *s);
/* The same for gzip data in memory; NAME is for messages. */
void *rnc_gunzip(const void *data, size_t size, const char *name, size_t limit, size_t *bytes, struct rnc_status *s);

/* Creates the directory and its missing parents. */
bool rnc_make_directory(const char *path, struct rnc_status *s);

/* The candidate nearest to WORD by edit distance; NULL if none is similar. */
const char *rnc_nearest(const char *word, const char *const *candidates, size_t count);

#endif
