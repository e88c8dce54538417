/* dtype.c: --dtype, which stands for `dtype:` in the spec, and what to expect of it on the CPU that is compiled for. */
#include <string.h>
#include "cli/cli.h"

bool cli_dtype_option(struct cli *c)
{
    if (!c->dtype) return true;
    size_t count = 0;
    for (; spec_dtypes[count]; count++)
        if (strcmp(c->dtype, spec_dtypes[count]) == 0) break;
    if (!spec_dtypes[count]) {
        const char *near = did_you_mean(c->dtype, spec_dtypes, count);
        struct diag *d = diag_error(c->diags, (struct span){0}, "--dtype cannot be '%s'", c->dtype);
        if (near) diag_note(d, "did you mean '%s'?", near);
        else diag_note(d, "it is f32 or bf16; sums, weights and the optimizer's state are f32 in either case");
        return false;
    }
    struct override *sets = ARENA_ARRAY(c->arena, struct override, c->spec.nsets + 1);
    if (c->spec.nsets) memcpy(sets, c->spec.sets, (size_t)c->spec.nsets * sizeof *sets);
    sets[c->spec.nsets++] = (struct override){.name = "dtype", .value = c->dtype};
    c->spec.sets = sets;
    return true;
}

void cli_dtype_note(struct cli *c, const struct spec *s, const struct target *t)
{
    if (s->dtype != SPEC_BF16 || (t->feature_bits & FEATURE_FAST_BF16) || c->told_dtype) return;
    c->told_dtype = true;
    const char *why =
        t->feature_bits & FEATURE_AVX512_BF16
            ? "whose instruction for them (AVX-512 BF16) does half the work of its fp32 ones in the same time"
            : "which has no instruction for them (AVX-512 BF16)";
    struct diag *d = diag_warn(c->diags, (struct span){0}, "products of bf16 are no faster than those of f32 on %s, %s",
                               t->name, why);
    diag_note(
        d,
        "what dtype bf16 gives here: activations and their gradients take half the memory, and are multiplied in fp32");
}
