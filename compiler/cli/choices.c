/* choices.c: which layer is computed by which algorithm, for the compile report. */
#include "cli/choices.h"
#include <string.h>
#include "base/buf.h"
#include "driver/choices.h"

enum { WIDTH = 118 };

static bool same_group(const struct choice *a, const struct choice *b)
{
    return strcmp(a->op, b->op) == 0 && strcmp(a->algorithm, b->algorithm) == 0;
}

/* "conv2d by winograd4, error about 1.1e-06 to 2.0e-06: layer1.0.conv1, …", of all rows like the one at FIRST. */
static void print_group(struct arena *a, const struct choice *row, int count, int first, FILE *out)
{
    struct buf line;
    double least = row[first].error, most = least;
    buf_init(&line, a);
    for (int i = first; i < count; i++) {
        if (!same_group(&row[i], &row[first])) continue;
        least = row[i].error < least ? row[i].error : least;
        most = row[i].error > most ? row[i].error : most;
    }
    buf_printf(&line, "  %s by %s, error about %.1e", row[first].op, row[first].algorithm, least);
    if (most > 1.05 * least) buf_printf(&line, " to %.1e", most);
    buf_putc(&line, ':');
    size_t start = 0;
    for (int i = first; i < count; i++) {
        if (!same_group(&row[i], &row[first])) continue;
        if (line.len - start + strlen(row[i].layer) + 2 > WIDTH) {
            start = line.len;
            buf_puts(&line, "\n   ");
        }
        buf_printf(&line, " %s", row[i].layer);
    }
    fprintf(out, "%s\n", line.data);
}

void choices_print(struct arena *a, const struct graph *g, FILE *out)
{
    int count, direct = 0, others = 0;
    const struct choice *row = driver_choices(a, g, &count);
    for (int i = 0; i < count; i++) {
        bool seen = false;
        for (int k = 0; k < i && !seen; k++) seen = same_group(&row[k], &row[i]);
        if (row[i].direct) direct++;
        else if (!others++) fprintf(out, "\nalgorithms (errors: rms, relative to double)\n");
        if (!row[i].direct && !seen) print_group(a, row, count, i, out);
    }
    if (others) fprintf(out, "  direct: %d others\n", direct);
}

json_t *choices_json(struct arena *a, const struct graph *g)
{
    int count;
    const struct choice *row = driver_choices(a, g, &count);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f}", "layer", row[i].layer, "operator", row[i].op,
                                              "algorithm", row[i].algorithm, "error", row[i].error));
    return list;
}
