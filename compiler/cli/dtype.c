/* dtype.c: --dtype, which stands for `dtype:` in the spec. */
#include <string.h>
#include "cli/cli.h"

bool cli_dtype_option(struct cli *c)
{
    const char *given = c->driver->options.dtype;
    if (!given) return true;
    size_t count = 0;
    for (; spec_dtypes[count]; count++)
        if (strcmp(given, spec_dtypes[count]) == 0) return true;
    const char *near = did_you_mean(given, spec_dtypes, count);
    struct diag *d = diag_error(c->diags, (struct span){0}, "--dtype cannot be '%s'", given);
    if (near) diag_note(d, "did you mean '%s'?", near);
    else diag_note(d, "it is f32 or bf16; sums, weights and the optimizer's state are f32 in either case");
    return false;
}
