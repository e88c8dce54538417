#include "tests/support/printed.h"

#include <stdio.h>
#include <stdlib.h>

const char *printed_diagnostics(struct arena *a, const struct diags *d, bool color)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) abort();
    diags_print(d, f, color);
    fclose(f);
    const char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}
