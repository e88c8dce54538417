#include "base/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

enum severity { SEVERITY_ERROR, SEVERITY_ENV, SEVERITY_WARNING, SEVERITY_REMARK };

struct note {
    struct note *next;
    const char *text;
};

struct diag {
    struct diags *owner;
    struct diag *next;
    enum severity severity;
    struct span span;
    const char *message;
    struct note *notes, **notes_end;
    int order;      /* of arrival */
    int file_order; /* of arrival of the first with this source */
};

struct diags {
    struct arena *arena;
    struct diag *first, **end;
    int count, errors, envs;
};

struct diags *diags_new(struct arena *a)
{
    struct diags *d = ARENA_NEW(a, struct diags);
    d->arena = a;
    d->end = &d->first;
    return d;
}

static struct diag *add(struct diags *d, enum severity severity, struct span span, const char *fmt, va_list ap)
{
    struct diag *g = ARENA_NEW(d->arena, struct diag);
    *g = (struct diag){.owner = d, .severity = severity, .span = span, .order = d->count++};
    g->file_order = g->order;
    for (const struct diag *e = d->first; e && span.src; e = e->next)
        if (e->span.src == span.src) {
            g->file_order = e->file_order;
            break;
        }
    g->message = arena_vprintf(d->arena, fmt, ap);
    g->notes_end = &g->notes;
    *d->end = g;
    d->end = &g->next;
    if (severity < SEVERITY_WARNING) d->errors++;
    if (severity == SEVERITY_ENV) d->envs++;
    return g;
}

struct diag *diag_error(struct diags *d, struct span place, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = add(d, SEVERITY_ERROR, place, fmt, ap);
    va_end(ap);
    return g;
}

struct diag *diag_env(struct diags *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = add(d, SEVERITY_ENV, (struct span){0}, fmt, ap);
    va_end(ap);
    return g;
}

struct diag *diag_warn(struct diags *d, struct span place, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = add(d, SEVERITY_WARNING, place, fmt, ap);
    va_end(ap);
    return g;
}

struct diag *diag_remark(struct diags *d, struct span place, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = add(d, SEVERITY_REMARK, place, fmt, ap);
    va_end(ap);
    return g;
}

void diag_note(struct diag *g, const char *fmt, ...)
{
    if (!g) return;
    va_list ap;
    va_start(ap, fmt);
    struct note *n = ARENA_NEW(g->owner->arena, struct note);
    n->text = arena_vprintf(g->owner->arena, fmt, ap);
    va_end(ap);
    *g->notes_end = n;
    g->notes_end = &n->next;
}

_Noreturn void diag_bug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("rnc: bug: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

int diags_errors(const struct diags *d) { return d->errors; }
int diags_exit_status(const struct diags *d) { return d->envs ? 2 : d->errors ? 1 : 0; }

/* By source in order of arrival, then by position; what has no place keeps its order. */
static int compare(const void *pa, const void *pb)
{
    const struct diag *a = *(const struct diag *const *)pa, *b = *(const struct diag *const *)pb;
    if (a->file_order != b->file_order) return a->file_order < b->file_order ? -1 : 1;
    if (a->span.src) {
        if (a->span.line != b->span.line) return a->span.line < b->span.line ? -1 : 1;
        if (a->span.col != b->span.col) return a->span.col < b->span.col ? -1 : 1;
    }
    return a->order - b->order;
}

static bool same(const struct diag *a, const struct diag *b)
{
    return a->span.src == b->span.src && a->span.line == b->span.line && a->span.col == b->span.col &&
           strcmp(a->message, b->message) == 0;
}

static bool holds(const struct diags *d, const struct diag *g)
{
    for (const struct diag *e = d->first; e; e = e->next)
        if (same(e, g)) return true;
    return false;
}

bool diags_better(const struct diags *trial, const struct diags *known, const struct diag *gone)
{
    if (holds(trial, gone)) return false;
    for (const struct diag *g = trial->first; g; g = g->next)
        if (g->severity != SEVERITY_WARNING && !holds(known, g)) return false;
    return true;
}

/* Start of line LINE (from 1) in the text, or NULL. */
static const char *find_line(const struct source *s, uint32_t line)
{
    const char *p = s->text, *end = s->text + s->len;
    for (uint32_t i = 1; i < line; i++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p) return NULL;
        p++;
    }
    return p;
}

/* Prints code points of [p, end) up to COUNT; tabs as one space, control characters as '?'. Returns how many. */
static uint32_t print_points(FILE *out, const char *p, const char *end, uint32_t count)
{
    uint32_t n = 0;
    while (p < end && n < count) {
        unsigned char c = (unsigned char)*p;
        if (c == '\t') fputc(' ', out);
        else if (c < 0x20 || c == 0x7f) fputc('?', out);
        else fputc(c, out);
        p++;
        while (p < end && ((unsigned char)*p & 0xc0) == 0x80) fputc(*p++, out);
        n++;
    }
    return n;
}

static void print_caret(const struct diag *g, FILE *out, const char *hi, const char *off)
{
    const struct span *s = &g->span;
    const char *line = find_line(s->src, s->line);
    if (!line || s->line == 0) return;
    enum { WIDTH = 160 }; /* of a source line shown; a longer one is shown round the place */
    const char *end = line + strcspn(line, "\r\n");
    uint32_t skip = s->col > WIDTH - 40 ? s->col - 60 : 0;
    const char *from = line;
    for (uint32_t i = 0; i < skip && from < end; i++) {
        from++;
        while (from < end && ((unsigned char)*from & 0xc0) == 0x80) from++;
    }
    fprintf(out, "%5u | ", s->line);
    uint32_t shown = print_points(out, from, end, WIDTH);
    uint32_t col = s->col > skip ? s->col - skip : 1;
    if (col > shown + 1) col = shown + 1; /* the end of the line at most, whatever the span says */
    if (col < 1) col = 1;
    uint32_t len = s->len ? s->len : 1, room = shown + 1 - col;
    if (len > room) len = room ? room : 1;
    fprintf(out, "\n      | %*s%s^", (int)col - 1, "", hi);
    for (uint32_t i = 1; i < len; i++) fputc('~', out);
    fprintf(out, "%s\n", off);
}

static void print_one(const struct diag *g, FILE *out, bool color)
{
    const char *bold = color ? "\033[1m" : "", *off = color ? "\033[0m" : "";
    static const char *const words[] = {"error", "error", "warning", "note"}, /* by severity */
        *const hues[] = {"\033[1;31m", "\033[1;31m", "\033[1;35m", "\033[1;36m"};
    const char *hue = color ? hues[g->severity] : "";
    if (g->span.src && g->span.line)
        fprintf(out, "%s%s:%u:%u:%s ", bold, g->span.src->path, g->span.line, g->span.col, off);
    else if (g->span.src) fprintf(out, "%s%s:%s ", bold, g->span.src->path, off);
    else fprintf(out, "%srnc:%s ", bold, off);
    fprintf(out, "%s%s:%s %s%s%s\n", hue, words[g->severity], off, bold, g->message, off);
    if (g->span.src && g->span.line) print_caret(g, out, color ? "\033[1;32m" : "", off);
    for (const struct note *n = g->notes; n; n = n->next) fprintf(out, "      = %s\n", n->text);
}

/* In order of position, equal ones once; returns how many. */
static int sorted(const struct diags *d, struct diag ***out)
{
    struct diag **all = ARENA_ARRAY(d->arena, struct diag *, d->count + 1);
    int n = 0, kept = 0;
    for (struct diag *g = d->first; g; g = g->next) all[n++] = g;
    qsort(all, (size_t)n, sizeof *all, compare);
    for (int i = 0; i < n; i++) {
        bool again = false;
        for (int k = 0; k < kept && !again; k++) again = same(all[k], all[i]);
        if (!again) all[kept++] = all[i];
    }
    *out = all;
    return kept;
}

void diags_print(const struct diags *d, FILE *out, bool color)
{
    struct diag **all;
    int n = sorted(d, &all), errors = 0;
    for (int i = 0; i < n; i++) {
        print_one(all[i], out, color);
        errors += all[i]->severity < SEVERITY_WARNING;
    }
    if (errors) fprintf(out, "%d error%s\n", errors, errors == 1 ? "" : "s");
}

static struct diag_view view_of(const struct diags *d, const struct diag *g)
{
    struct diag_view v = {.severity = g->severity == SEVERITY_WARNING ? "warning" : "error",
                          .environment = g->severity == SEVERITY_ENV,
                          .message = g->message,
                          .place = g->span};
    for (const struct note *n = g->notes; n; n = n->next) v.nnotes++;
    const char **notes = ARENA_ARRAY(d->arena, const char *, v.nnotes + 1);
    int k = 0;
    for (const struct note *n = g->notes; n; n = n->next) notes[k++] = n->text;
    v.notes = notes;
    return v;
}

int diags_view(const struct diags *d, const struct diag_view **out)
{
    struct diag **all;
    int n = sorted(d, &all);
    struct diag_view *list = ARENA_ARRAY(d->arena, struct diag_view, n + 1);
    for (int i = 0; i < n; i++) list[i] = view_of(d, all[i]);
    *out = list;
    return n;
}
