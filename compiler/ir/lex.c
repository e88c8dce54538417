/* lex.c: the characters of the IR's text: words, numbers, quoted texts, names, and errors at the exact place. */
#include "ir/lex.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"

/* ---- errors and characters */

struct span lex_span(const struct parser *p, size_t begin, size_t end)
{
    struct span s = {p->src, 1, 1, 0};
    for (size_t i = 0; i < end && i < p->src->len; i++) {
        bool continuation = ((unsigned char)p->src->text[i] & 0xc0) == 0x80;
        if (i >= begin) {
            if (p->src->text[i] == '\n') break;
            s.len += !continuation;
        } else if (p->src->text[i] == '\n') {
            s.line++;
            s.col = 1;
        } else {
            s.col += !continuation;
        }
    }
    if (!s.len) s.len = 1;
    return s;
}

bool lex_fail(struct parser *p, struct diag *d)
{
    (void)d;
    p->failed = true;
    return false;
}

bool lex_fail_hint(struct parser *p, struct diag *d, const char *word, const char *const *words, size_t count)
{
    const char *near = did_you_mean(word, words, count);
    if (near) diag_note(d, "did you mean '%s'?", near);
    return lex_fail(p, d);
}

int lex_at(const struct parser *p, size_t ahead)
{
    return p->pos + ahead < p->src->len ? (unsigned char)p->src->text[p->pos + ahead] : -1;
}

void lex_skip_space(struct parser *p)
{
    for (;;) {
        while (lex_at(p, 0) >= 0 && isspace(lex_at(p, 0))) p->pos++;
        if (lex_at(p, 0) != '#') return;
        while (lex_at(p, 0) >= 0 && lex_at(p, 0) != '\n') p->pos++;
    }
}

bool lex_next_is(struct parser *p, char c)
{
    lex_skip_space(p);
    return lex_at(p, 0) == c;
}

bool lex_accept(struct parser *p, char c)
{
    if (!lex_next_is(p, c)) return false;
    p->pos++;
    return true;
}

bool lex_expect(struct parser *p, char c, const char *after)
{
    if (lex_accept(p, c)) return true;
    size_t begin = p->pos;
    if (p->pos < p->src->len) p->pos++;
    return FAIL(p, begin, "expected '%c' after %s", c, after);
}

/* ---- words, numbers, texts */

bool lex_is_word(int c) { return c >= 0 && (isalnum(c) || c == '_'); }
bool lex_is_name(int c) { return c >= 0 && (lex_is_word(c) || c == '.' || c == '/' || c == '-'); }

/* An identifier, or NULL (nothing consumed). */
const char *lex_word(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    while (lex_is_word(lex_at(p, 0))) p->pos++;
    return p->pos == begin ? NULL : arena_strndup(p->arena, p->src->text + begin, p->pos - begin);
}

bool lex_accept_word(struct parser *p, const char *w)
{
    lex_skip_space(p);
    size_t n = strlen(w);
    if (p->src->len - p->pos < n || memcmp(p->src->text + p->pos, w, n) || lex_is_word(lex_at(p, n))) return false;
    p->pos += n;
    return true;
}

bool lex_integer(struct parser *p, int64_t min, int64_t max, const char *what, int64_t *out)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    int64_t x = 0;
    bool ok = true;
    while (lex_at(p, 0) >= '0' && lex_at(p, 0) <= '9') {
        ok = ok && mul_i64(x, 10, &x) && add_i64(x, lex_at(p, 0) - '0', &x);
        p->pos++;
    }
    if (p->pos == begin) {
        if (p->pos < p->src->len) p->pos++;
        return FAIL(p, begin, "expected a number: %s", what);
    }
    if (!ok || x < min || x > max)
        return FAIL(p, begin, "%s must be between %lld and %lld", what, (long long)min, (long long)max);
    *out = x;
    return true;
}

bool lex_number(struct parser *p, const char *what, double *out)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    char text[64];
    size_t n = 0;
    for (int c; (c = lex_at(p, 0)) > 0 && strchr("+-.eE0123456789", c) && n + 1 < sizeof text; p->pos++)
        text[n++] = (char)c;
    text[n] = '\0';
    char *end;
    *out = strtod(text, &end);
    if (n > 0 && *end == '\0' && isfinite(*out)) return true;
    return FAIL(p, begin, "expected a number: %s", what);
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash; -1 when there is no such escape. */
static int escape(struct parser *p)
{
    int c = lex_at(p, 0);
    p->pos++;
    if (c == 'n') return '\n';
    if (c != 'x') return c == '"' || c == '\\' ? c : -1;
    int high = hex_digit(lex_at(p, 0)), low = high < 0 ? -1 : hex_digit(lex_at(p, 1));
    if (low < 0 || high + low == 0) return -1;
    p->pos += 2;
    return high * 16 + low;
}

/* A text in quotes, or NULL after an error. */
const char *lex_quoted(struct parser *p, const char *what)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    if (lex_at(p, 0) != '"') {
        if (p->pos < p->src->len) p->pos++;
        FAIL(p, begin, "expected %s in quotes", what);
        return NULL;
    }
    struct buf b;
    buf_init(&b, p->arena);
    for (p->pos++; lex_at(p, 0) != '"';) {
        int c = lex_at(p, 0);
        size_t from = p->pos;
        if (c <= 0 || c == '\n') {
            FAIL(p, begin, "the text has no closing quote");
            return NULL;
        }
        p->pos++;
        if (c == '\\') c = escape(p);
        if (c < 0) {
            FAIL(p, from, "no such escape: a text may hold \\\", \\\\, \\n and \\xNN");
            return NULL;
        }
        buf_putc(&b, (char)c);
    }
    p->pos++;
    return b.data;
}

/* What follows a sigil: a bare or a quoted name. */
const char *lex_name(struct parser *p, char sigil, const char *what)
{
    if (!lex_expect(p, sigil, what)) return NULL;
    if (lex_at(p, 0) == '"') return lex_quoted(p, "a name");
    size_t begin = p->pos;
    while (lex_is_name(lex_at(p, 0))) p->pos++;
    if (p->pos > begin) return arena_strndup(p->arena, p->src->text + begin, p->pos - begin);
    FAIL(p, begin, "expected a name after '%c'", sigil);
    return NULL;
}
