/* choices.c: which layer is computed by which algorithm, for the compile report. */
#include "cli/choices.h"
#include <string.h>
#include "base/buf.h"
#include "ir/op.h"
#include "kernel/algorithm.h"

enum { WIDTH = 118 };

static const char *name_of(const struct node *n) { return n->layer ? n->layer : n->out[0]->name; }
static int choice_of(const struct node *n) { return (int)node_int(n, "algorithm"); }

static bool same_group(const struct node *a, const struct node *b)
{
    return a->op == b->op && choice_of(a) == choice_of(b);
}

/* "conv2d by winograd4, errors about 1.1e-06 to 2.0e-06: layer1.0.conv1, …", of all nodes like FIRST. */
static void print_group(struct arena *a, const struct node *first, FILE *out)
{
    struct buf line;
    double least = algorithm_error(first, choice_of(first)), most = least;
    buf_init(&line, a);
    for (const struct node *n = first; n; n = n->next) {
        if (algorithm_count(n) < 2 || !same_group(n, first)) continue;
        double e = algorithm_error(n, choice_of(n));
        least = e < least ? e : least;
        most = e > most ? e : most;
    }
    buf_printf(&line, "  %s by %s, error about %.1e", first->op->name, algorithm_of(first)->name, least);
    if (most > 1.05 * least) buf_printf(&line, " to %.1e", most);
    buf_putc(&line, ':');
    size_t start = 0;
    for (const struct node *n = first; n; n = n->next) {
        if (algorithm_count(n) < 2 || !same_group(n, first)) continue;
        if (line.len - start + strlen(name_of(n)) + 2 > WIDTH) {
            start = line.len;
            buf_puts(&line, "\n   ");
        }
        buf_printf(&line, " %s", name_of(n));
    }
    fprintf(out, "%s\n", line.data);
}

void choices_print(struct arena *a, const struct graph *g, FILE *out)
{
    int direct = 0, others = 0;
    GRAPH_EACH(g, n)
    {
        if (algorithm_count(n) < 2) continue;
        bool seen = false;
        for (const struct node *p = n->prev; p && !seen; p = p->prev) seen = algorithm_count(p) > 1 && same_group(p, n);
        if (!choice_of(n)) direct++;
        else if (!others++) fprintf(out, "\nalgorithms (errors: rms, relative to double)\n");
        if (choice_of(n) && !seen) print_group(a, n, out);
    }
    if (others) fprintf(out, "  direct: %d others\n", direct);
}

json_t *choices_json(const struct graph *g)
{
    json_t *list = json_array();
    GRAPH_EACH(g, n)
    if (algorithm_count(n) > 1)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:f}", "layer", name_of(n), "operator", n->op->name,
                                        "algorithm", algorithm_of(n)->name, "error", algorithm_error(n, choice_of(n))));
    return list;
}
