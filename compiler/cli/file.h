/* file.h: whole files written so that a failure leaves nothing half-written and loses nothing. */
#ifndef RNC_CLI_FILE_H
#define RNC_CLI_FILE_H

#include "base/diag.h"

/* Writes PATH aside, syncs and renames it. "-" is stdout. False after a diagnostic; PATH is then as it was. */
bool file_write(struct diags *d, const char *path, const void *data, size_t size);

#endif
