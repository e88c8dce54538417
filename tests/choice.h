/* choice.h: rows of the training vocabulary with settings, for tests. */
#ifndef RNC_TESTS_CHOICE_H
#define RNC_TESTS_CHOICE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/recipe/recipe.h"

/* The row NAME of a kind with its defaults but for SETTINGS, "momentum=0.9 nesterov=1". Ends the program when there is
   no such row or field. Good until 64 choices later. */
static inline struct rnc_choice choice_of(const struct rnc_kind *kind, const char *name, const char *settings)
{
    static union {
        char bytes[256];
        max_align_t align;
    } rooms[64];
    static int next;
    void *room = &rooms[next++ % 64];
    const struct rnc_row *row = rnc_kind_find(kind, name);
    bool ok = row && row->size <= sizeof rooms[0];
    if (ok && row->size) memcpy(room, row->defaults, row->size);
    for (int used = 0; ok && *settings; settings += used) {
        char field[64];
        double x;
        ok = sscanf(settings, " %63[a-z_0-9]=%lf%n", field, &x, &used) == 2 && rnc_row_set(row, room, field, x);
    }
    if (ok) return (struct rnc_choice){row, room};
    fprintf(stderr, "%s '%s' can't be chosen: %s\n", kind->name, name, settings);
    abort();
}

#endif
