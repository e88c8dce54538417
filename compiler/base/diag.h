/* diag.h: what the user is told. Errors of the user's (spec, weights, data) and of the environment (I/O, LLVM)
   are collected here and printed once, in order of source position; nothing in the compiler prints by itself.

   specs/mine.yaml:24:53: error: conv2d has no attribute 'strides'
      24 |       - conv2d: {name: conv1, out: $out, kernel: 3, strides: 2}
         |                                                     ^~~~~~~
         = did you mean 'stride'?
*/
#ifndef RNC_BASE_DIAG_H
#define RNC_BASE_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/word.h"

/* A text that spans point into; kept alive by the arena. */
struct source {
    const char *path; /* as shown to the user */
    const char *text; /* NUL-terminated */
    size_t len;
};

/* A place in a source. Lines and columns count from 1, columns in code points. src == NULL: no place. */
struct span {
    const struct source *src;
    uint32_t line, col, len;
};

struct diags;
struct diag;

struct diags *diags_new(struct arena *a);

/* The user's error at PLACE (exit status 1). The diagnostic can be given notes. */
struct diag *diag_error(struct diags *d, struct span place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The environment's failure (exit status 2): I/O, memory, LLVM, a missing tool. */
struct diag *diag_env(struct diags *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct diag *diag_warn(struct diags *d, struct span place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What was done that the user may not expect, and is right: "note: …". */
struct diag *diag_remark(struct diags *d, struct span place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A line "= …" under the diagnostic; suggestions, trails of layers, what was expected. NULL diag is ignored. */
void diag_note(struct diag *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Are all errors of TRIAL also in KNOWN, and GONE is not among them? */
bool diags_better(const struct diags *trial, const struct diags *known, const struct diag *gone);

int diags_errors(const struct diags *d);      /* user's and environment's */
int diags_exit_status(const struct diags *d); /* 0 none, 1 the user's, 2 any of the environment's */
/* Prints all, sorted by source and position, equal ones once, then "N errors". COLOR: ANSI colours. */
void diags_print(const struct diags *d, FILE *out, bool color);

/* One of them, as data. */
struct diag_view {
    const char *severity, *message; /* "error", "warning" */
    bool environment;               /* exit status 2 */
    struct span place;
    const char *const *notes;
    int nnotes;
};
/* Those that diags_print prints, in its order; returns how many. In the arena. */
int diags_view(const struct diags *d, const struct diag_view **out);

/* A bug of the compiler's own: says what on standard error, and aborts. */
_Noreturn void diag_bug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
