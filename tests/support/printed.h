/* printed.h: diagnostics as the text that rnc prints. */
#ifndef TESTS_SUPPORT_PRINTED_H
#define TESTS_SUPPORT_PRINTED_H

#include "base/arena.h"
#include "base/diag.h"

/* What diags_print writes, on the arena A. COLOR: with a terminal's escapes. */
const char *printed_diagnostics(struct arena *a, const struct diags *d, bool color);

#endif
