/* shipped.c: the specs that are part of the program. The build lists them in shipped.def, a line for each file. */
#include <string.h>
#include "spec/spec.h"

#define SHIPPED(name, path)                                                          \
    __asm__(".pushsection .rodata\n"                                                 \
            "rnc_shipped_" #name "_begin:\n.incbin \"" path "\"\n"                   \
            "rnc_shipped_" #name "_end:\n.byte 0\n.popsection\n");                   \
    extern const char shipped_begin_##name[] __asm__("rnc_shipped_" #name "_begin"); \
    extern const char shipped_end_##name[] __asm__("rnc_shipped_" #name "_end");
#include "shipped.def"
#undef SHIPPED

static const struct {
    const char *name, *path, *begin, *end;
} shipped[] = {
#define SHIPPED(name, path) {#name, path, shipped_begin_##name, shipped_end_##name},
#include "shipped.def"
#undef SHIPPED
};

static const char *const names[] = {
#define SHIPPED(name, path) #name,
#include "shipped.def"
#undef SHIPPED
    NULL,
};

const char *const *spec_shipped(void) { return names; }

const struct source *spec_shipped_source(struct arena *a, const char *name)
{
    for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++) {
        if (strcmp(shipped[i].name, name) != 0) continue;
        struct source *s = ARENA_NEW(a, struct source);
        *s = (struct source){shipped[i].path, shipped[i].begin, (size_t)(shipped[i].end - shipped[i].begin)};
        return s;
    }
    return NULL;
}
