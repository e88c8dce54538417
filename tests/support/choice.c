#include "tests/support/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A word that lasts as long as the next fifteen. */
static const char *choice_text(const char **at)
{
    static char rooms[16][256];
    static int next;
    char *room = rooms[next++ % 16];
    int used = 0;
    *at = sscanf(*at, "%255s%n", room, &used) == 1 ? *at + used : NULL;
    return room;
}

/* Values of FIELD from a text such as "0.5", "2,3" or "a/path"; its end, or NULL. */
static const char *choice_set(const struct rnc_row *row, void *room, const char *field, const char *text)
{
    static double lists[16][8];
    static int next;
    double *v = lists[next++ % 16];
    int64_t n = 0;
    char *end = NULL;
    const char *word = text;
    for (; n < 8; text = end + 1) {
        v[n++] = strtod(text, &end);
        if (end == text || *end != ',') break;
    }
    for (int k = 0; k < row->nfields; k++) {
        void *at = (char *)room + row->fields[k].offset;
        if (strcmp(row->fields[k].name, field) != 0) continue;
        if (row->fields[k].type == RNC_FIELD_NUMBERS) *(struct rnc_numbers *)at = (struct rnc_numbers){v, n};
        else if (row->fields[k].type == RNC_FIELD_RANGE) *(struct rnc_range *)at = (struct rnc_range){v[0], v[n - 1]};
        else if (row->fields[k].type == RNC_FIELD_TEXT) {
            *(const char **)at = choice_text(&word);
            return word;
        } else if (!rnc_row_set(row, room, field, v[0])) return NULL;
        return end;
    }
    return NULL;
}

struct rnc_choice choice_of(const struct rnc_kind *kind, const char *name, const char *settings)
{
    static union {
        char bytes[256];
        max_align_t align;
    } rooms[64];
    static int next;
    void *room = &rooms[next++ % 64];
    const struct rnc_row *row = rnc_kind_find(kind, name);
    const char *at = row && row->size <= sizeof rooms[0] ? settings : NULL;
    if (at && row->size) memcpy(room, row->defaults, row->size);
    while (at && *at) {
        char field[64];
        int used = 0;
        at = sscanf(at, " %63[a-z_0-9]=%n", field, &used) == 1 ? choice_set(row, room, field, at + used) : NULL;
    }
    if (at) return (struct rnc_choice){row, room};
    fprintf(stderr, "%s: there is no '%s' with '%s'\n", kind->name, name, settings);
    abort();
}
