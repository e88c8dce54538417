/* dtype.c: --dtype, which stands for `dtype:` in the spec. */
#include "cli/cli.h"

bool cli_dtype_option(struct cli *c)
{
    const char *given = c->driver->options.dtype;
    if (!given) return true;
    enum dtype dt;
    if (dtype_chosen(given, &dt)) return true;
    const char *near = did_you_mean(given, dtype_choices, dtype_nchoices);
    struct diag *d = diag_error(c->diags, (struct span){0}, "--dtype cannot be '%s'", given);
    if (near) diag_note(d, "did you mean '%s'?", near);
    else
        diag_note(d, "it is %s; sums, weights and the optimizer's state are f32 in either case",
                  dtype_choices_text(c->arena));
    return false;
}
