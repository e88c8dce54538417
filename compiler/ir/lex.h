/* lex.h: the characters of the IR's text, for ir/parse.c. */
#ifndef RNC_IR_LEX_H
#define RNC_IR_LEX_H

#include "base/strmap.h"
#include "ir/graph.h"

struct parser {
    struct arena *arena;
    struct diags *diags;
    const struct source *src;
    size_t pos;
    struct graph *graph;
    struct strmap values, paths, labels; /* name -> value; path -> source; outputs' labels */
    bool failed;
    int depth; /* regions that are being read */
};

/* The place of the bytes [BEGIN, END), to the end of the line at most. */
struct span lex_span(const struct parser *p, size_t begin, size_t end);
/* Each of these returns false: parsing ends at the first error. */
bool lex_fail(struct parser *p, struct diag *d);
bool lex_fail_hint(struct parser *p, struct diag *d, const char *word, const char *const *words, size_t count);
/* The error ... at [begin, the present place). */
#define FAIL(p, begin, ...) (lex_fail((p), diag_error((p)->diags, lex_span((p), (begin), (p)->pos), __VA_ARGS__)))

/* The byte AHEAD of the present place, or -1. */
int lex_at(const struct parser *p, size_t ahead);
bool lex_is_word(int c);
bool lex_is_name(int c);
/* Spaces, line ends, and comments from '#' to the end of the line. The functions below skip them first. */
void lex_skip_space(struct parser *p);
bool lex_next_is(struct parser *p, char c);
bool lex_accept(struct parser *p, char c);
bool lex_accept_word(struct parser *p, const char *w);
bool lex_expect(struct parser *p, char c, const char *after);
/* A word of letters, digits and '_', or NULL (nothing consumed). */
const char *lex_word(struct parser *p);
/* A finite decimal number. */
bool lex_number(struct parser *p, const char *what, double *out);
bool lex_integer(struct parser *p, int64_t min, int64_t max, const char *what, int64_t *out);
/* A text in quotes, or NULL after an error. */
const char *lex_quoted(struct parser *p, const char *what);
/* What follows the sigil: a bare or a quoted name; NULL after an error. */
const char *lex_name(struct parser *p, char sigil, const char *what);

#endif
