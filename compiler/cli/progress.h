/* progress.h: what `rnc train` shows while it runs: a line for each epoch, as text or as JSON, and on a terminal one
   that is redrawn. */
#ifndef RNC_CLI_PROGRESS_H
#define RNC_CLI_PROGRESS_H

#include "cli/cli.h"
#include "runtime/train/train.h"

struct progress {
    struct cli *c;
    bool bar;     /* a terminal: one line, redrawn */
    double drawn; /* when */
    const struct rnc_problem *problem;
    const char *unit; /* "images" */
};
/* struct rnc_train_config's progress; its CTX is a struct progress. */
void progress_show(void *ctx, const struct rnc_progress *p);
/* Takes the redrawn line away. */
void progress_clear(const struct progress *d);
/* The result of a run: the last JSON line, or text. DATA: a description; SIGNAL: what stopped it, 0: nothing. */
void progress_end(const struct progress *d, const struct rnc_train_config *k, const struct rnc_train_result *r,
                  const char *data, int signal);

/* The columns of a terminal that FD is: asked now, else by COLUMNS, else 80. */
int progress_columns(int fd);
/* The line of P as it fits into COLUMNS, in OUT (SIZE bytes): with a bar, rate and time where there is room. */
void progress_line(const struct progress *d, const struct rnc_progress *p, int columns, char *out, size_t size);

#endif
