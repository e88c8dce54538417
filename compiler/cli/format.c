/* format.c: figures as people read them, and tables of them. */
#include "cli/format.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "ir/op.h"
#include "runtime/io/text.h"

enum { MAX_COLUMNS = 12 };

const char *format_count(struct arena *a, int64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)(n < 0 ? -n : n));
    struct buf b;
    buf_init(&b, a);
    if (n < 0) buf_putc(&b, '-');
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) buf_putc(&b, ',');
        buf_putc(&b, digits[i]);
    }
    return b.data;
}

static const char *scaled(struct arena *a, double x, double step, const char *const *units, int last)
{
    int u = 0;
    while (x >= step * 0.9995 && u < last) {
        x /= step;
        u++;
    }
    int places = u == 0 ? 0 : x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
    return arena_printf(a, "%.*f%s", places, x, units[u]);
}

const char *format_bytes(struct arena *a, uint64_t bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled(a, (double)bytes, 1024, units, 4);
}

const char *format_short(struct arena *a, double n)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    return scaled(a, n, 1000, units, 5);
}

const char *format_ms(struct arena *a, double ms)
{
    int places = ms < 0.9995 ? 3 : ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0;
    return arena_printf(a, "%.*f", places, ms);
}

const char *format_dims(struct arena *a, const struct type *t, int from)
{
    struct buf b;
    buf_init(&b, a);
    buf_dims(&b, t->rank - from, t->dim + from, " × ");
    return b.len ? b.data : "1";
}

static void put_pair(struct buf *b, const char *mark, int64_t h, int64_t w)
{
    if (h == w) buf_printf(b, " %s%lld", mark, (long long)h);
    else buf_printf(b, " %s%lld×%lld", mark, (long long)h, (long long)w);
}

const char *format_operator(struct arena *a, const struct node *n)
{
    struct buf b;
    buf_init(&b, a);
    buf_puts(&b, n->op->name);
    int kernel = op_attr_index(n->op, "kernel"), stride = op_attr_index(n->op, "stride"),
        groups = op_attr_index(n->op, "groups");
    if (n->nin > 1 && n->in[1] && n->in[1]->kind == VALUE_PARAM && n->in[1]->type.rank == 4)
        buf_printf(&b, " %lld×%lld", (long long)n->in[1]->type.dim[2], (long long)n->in[1]->type.dim[3]);
    else if (kernel >= 0 && n->attr[kernel].type == ATTR_PAIR)
        buf_printf(&b, " %lld×%lld", (long long)n->attr[kernel].v[0], (long long)n->attr[kernel].v[1]);
    if (stride >= 0 && n->attr[stride].type == ATTR_PAIR && (n->attr[stride].v[0] > 1 || n->attr[stride].v[1] > 1))
        put_pair(&b, "/", n->attr[stride].v[0], n->attr[stride].v[1]);
    if (groups >= 0 && n->attr[groups].i > 1) buf_printf(&b, ", %lld groups", (long long)n->attr[groups].i);
    return b.data;
}

struct format_row {
    const char *cell[MAX_COLUMNS];
    struct format_row *next;
    bool rule;
};
const char *format_name(struct arena *a, const char *name)
{
    char *text = rnc_text_of_name(name);
    const char *kept = arena_strdup(a, text ? text : "");
    free(text);
    return kept;
}

struct format_table {
    struct arena *arena;
    int columns;
    bool right[MAX_COLUMNS];
    int width[MAX_COLUMNS];
    struct format_row *first, **last;
};

/* Columns a terminal takes for S: code points. */
static int text_width(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

struct format_table *format_table_new(struct arena *a, const char *const *columns)
{
    struct format_table *t = ARENA_NEW(a, struct format_table);
    const char *titles[MAX_COLUMNS];
    t->arena = a;
    t->last = &t->first;
    for (; columns[t->columns]; t->columns++) {
        assert(t->columns < MAX_COLUMNS);
        t->right[t->columns] = columns[t->columns][0] == '>';
        titles[t->columns] = columns[t->columns] + t->right[t->columns];
    }
    format_table_row(t, titles);
    format_table_rule(t);
    return t;
}

void format_table_row(struct format_table *t, const char *const *cells)
{
    struct format_row *r = ARENA_NEW(t->arena, struct format_row);
    for (int i = 0; i < t->columns; i++) {
        r->cell[i] = cells[i] ? cells[i] : "";
        int w = text_width(r->cell[i]);
        if (w > t->width[i]) t->width[i] = w;
    }
    *t->last = r;
    t->last = &r->next;
}

void format_table_rule(struct format_table *t)
{
    struct format_row *r = ARENA_NEW(t->arena, struct format_row);
    r->rule = true;
    *t->last = r;
    t->last = &r->next;
}

static void print_rule(const struct format_table *t, FILE *out)
{
    int width = 2 * (t->columns - 1);
    for (int i = 0; i < t->columns; i++) width += t->width[i];
    for (int i = 0; i < width; i++) fputs("─", out);
    fputc('\n', out);
}

void format_table_print(const struct format_table *t, FILE *out)
{
    for (const struct format_row *r = t->first; r; r = r->next) {
        if (r->rule) {
            print_rule(t, out);
            continue;
        }
        int used = t->columns;
        while (used > 1 && !r->cell[used - 1][0]) used--;
        for (int i = 0; i < used; i++) {
            int pad = t->width[i] - text_width(r->cell[i]);
            bool trailing = i == used - 1 && !t->right[i];
            if (i) fputs("  ", out);
            fprintf(out, "%*s%s%*s", t->right[i] ? pad : 0, "", r->cell[i], t->right[i] || trailing ? 0 : pad, "");
        }
        fputc('\n', out);
    }
}
