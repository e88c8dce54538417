/* scratch.h: a folder of the test program's own, and files in it. Failure ends the test. Not for several threads. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/rt/status.h"

/* A fresh folder for this program; removed by scratch_remove. */
const char *scratch_make(void);
void scratch_remove(void);
/* The path of NAME in it; good until four calls later. */
const char *in_scratch(const char *name);
void write_file(const char *path, const void *data, size_t bytes);
/* The file's bytes, malloc'ed; NULL when it can't be read. */
char *read_file(const char *path, size_t *bytes);
bool file_exists(const char *path);
/* How many entries a folder has, hidden ones too. */
int count_entries(const char *dir);
/* Fails the test unless S is a failure of CODE whose message has WORDS in it; then clears S. */
void expect_failure(struct rnc_status *s, bool ok, enum rnc_code code, const char *words);

#endif
