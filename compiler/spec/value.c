/* value.c: scalars, parameters, arithmetic, match. */
#include "spec/value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"

/* ---- errors */

static struct diag *vreport(const struct spec_file *f, struct span at, const char *fmt, va_list ap)
{
    if (diags_errors(f->diags) >= AST_MAX_ERRORS) return NULL;
    struct diag *g = diag_error(f->diags, at, "%s", arena_vprintf(f->arena, fmt, ap));
    if (diags_errors(f->diags) == AST_MAX_ERRORS)
        diag_warn(f->diags, (struct span){0}, "only the first %d errors are reported", AST_MAX_ERRORS);
    return g;
}

struct diag *file_error(const struct spec_file *f, struct span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = vreport(f, at, fmt, ap);
    va_end(ap);
    return g;
}

void frame_notes(struct diag *g, const struct frame *f, const struct source *main)
{
    for (; f; f = f->parent) {
        if (f->span.src == main) diag_note(g, "in %s, used at line %u", f->what, f->span.line);
        else diag_note(g, "in %s, used at %s:%u", f->what, f->span.src ? f->span.src->path : "?", f->span.line);
    }
}

struct diag *scope_error(const struct scope *s, struct span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *g = vreport(s->file, at, fmt, ap);
    va_end(ap);
    if (s->dynamic) frame_notes(g, s->frame, at.src);
    return g;
}

void file_suggest(const struct spec_file *f, struct diag *g, const char *word, const char *what,
                  const char *const *names, size_t count)
{
    if (!g) return;
    struct buf b;
    buf_init(&b, f->arena);
    const char *near = word ? did_you_mean(word, names, count) : NULL;
    if (near) buf_printf(&b, "did you mean '%s'?", near);
    if (count && what) {
        buf_printf(&b, "%s%s: ", near ? "  " : "", what);
        for (size_t i = 0; i < count; i++) buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    }
    if (b.len) diag_note(g, "%s", b.data);
}

/* ---- literals */

bool is_name(const char *s, bool dots)
{
    bool start = true;
    for (; *s; s++) {
        if (*s == '.' && dots && !start) start = true;
        else if (isalnum((unsigned char)*s) || *s == '_') start = false;
        else return false;
    }
    return !start;
}

static bool is_integer(const char *s)
{
    if (*s == '-' || *s == '+') s++;
    if (!*s) return false;
    for (; *s; s++)
        if (!isdigit((unsigned char)*s)) return false;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits]; no hexadecimal, no nan, no inf. */
static bool is_number(const char *s)
{
    if (*s == '-' || *s == '+') s++;
    size_t whole = strspn(s, "0123456789"), part = 0;
    s += whole;
    if (*s == '.') {
        part = strspn(++s, "0123456789");
        s += part;
    }
    if (whole + part == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        return is_integer(s);
    }
    return *s == '\0';
}

enum ast_type value_type_of(const struct tree *t)
{
    if (t->quoted) return AST_TEXT;
    if (is_integer(t->text)) return AST_INT;
    if (is_number(t->text)) return AST_NUMBER;
    return strcmp(t->text, "true") == 0 || strcmp(t->text, "false") == 0 ? AST_BOOL : AST_TEXT;
}

const char *type_words_of(enum ast_type t)
{
    static const char *const words[] = {"an integer", "a number", "true or false", "a text", "a label"};
    return words[t];
}

static bool expected(const struct scope *s, const struct tree *t, enum ast_type want)
{
    struct diag *g = scope_error(s, t->span, "expected %s, not %s", type_words_of(want), tree_words(s->file->arena, t));
    if (want == AST_INT && t->kind == TREE_TEXT && strchr(t->text, '$'))
        diag_note(g, "a parameter is written $name, an expression $(…), without quotes");
    return false;
}

static bool literal_int(const struct scope *s, const struct tree *t, struct ast_value *out)
{
    if (t->quoted || !is_integer(t->text)) return expected(s, t, AST_INT);
    errno = 0;
    long long x = strtoll(t->text, NULL, 10);
    if (errno == ERANGE) {
        scope_error(s, t->span, "%s is too large for an integer", t->text);
        return false;
    }
    out->i = x;
    return true;
}

static bool literal_number(const struct scope *s, const struct tree *t, struct ast_value *out)
{
    if (t->quoted || !is_number(t->text)) return expected(s, t, AST_NUMBER);
    out->f = strtod(t->text, NULL);
    if (isfinite(out->f)) return true;
    scope_error(s, t->span, "%s is too large for a number", t->text);
    return false;
}

bool value_literal(const struct scope *s, const struct tree *t, enum ast_type want, struct ast_value *out)
{
    *out = (struct ast_value){.type = want, .known = true};
    if (t->kind != TREE_TEXT || tree_empty(t)) return expected(s, t, want);
    switch (want) {
    case AST_INT: return literal_int(s, t, out);
    case AST_NUMBER: return literal_number(s, t, out);
    case AST_BOOL:
        out->b = strcmp(t->text, "true") == 0;
        return (!t->quoted && (out->b || strcmp(t->text, "false") == 0)) || expected(s, t, want);
    case AST_TEXT: out->s = t->text; return true;
    case AST_LABEL:
        out->s = t->text;
        out->ref = value_label(s, t, t->text);
        out->known = out->ref != REF_NONE;
        return out->ref != REF_BAD;
    }
    return false;
}

/* ---- labels */

/* A tap of a `use` without taps: that has been said. */
static bool is_faulty_tap(const struct scope *s, const char *text)
{
    const char *dot = strchr(text, '.');
    if (!dot) return false;
    const struct tree *use =
        tree_get(tree_get(s->file->root, "use"), arena_strndup(s->file->arena, text, (size_t)(dot - text)));
    const struct tree *taps = tree_get(use, "taps");
    return use && (!taps || taps->kind != TREE_MAP);
}

int value_label(const struct scope *s, const struct tree *at, const char *text)
{
    if (s->has_in && strcmp(text, "in") == 0) return s->in;
    if (s->has_in && strcmp(text, "prev") == 0) return s->prev;
    const struct label *l = s->labels ? strmap_get(s->labels, text) : NULL;
    if (l) return l->ref;
    if (is_faulty_tap(s, text)) return REF_BAD;
    struct diag *g = scope_error(s, at->span, "no layer above is labelled '%s'", text);
    size_t n = s->labels ? s->labels->count : 0;
    const char **names = ARENA_ARRAY(s->file->arena, const char *, n + 2);
    for (size_t i = 0; i < n; i++) names[i] = s->labels->entries[i].key;
    if (s->has_in) names[n++] = "in";
    if (s->has_in) names[n++] = "prev";
    file_suggest(s->file, g, text, "labels here", names, n);
    if (n < 3)
        diag_note(g,
                  "`as: %s` gives a layer's output that label; a block sees only its own labels and those it is given",
                  is_name(text, false) ? text : "…");
    return REF_BAD;
}

/* ---- parameters */

static const struct ast_param *find_param(const struct scope *s, const char *name, const struct ast_value **value)
{
    bool dynamic = s->dynamic;
    for (; s; s = s->parent)
        for (int i = 0; i < s->nparams; i++)
            if (strcmp(s->params[i].name, name) == 0) {
                *value = dynamic && s->values ? &s->values[i] : NULL;
                return &s->params[i];
            }
    return NULL;
}

static struct span part_of(const struct tree *t, size_t from, size_t len)
{
    struct span at = t->span;
    at.col += (uint32_t)from + (t->quoted ? 1 : 0);
    at.len = len ? (uint32_t)len : 1;
    return at;
}

static bool no_param(const struct scope *s, struct span at, const char *name)
{
    struct diag *g = scope_error(s, at, "there is no parameter '%s' here", name);
    size_t n = 0, cap = 1;
    for (const struct scope *p = s; p; p = p->parent) cap += (size_t)p->nparams;
    const char **names = ARENA_ARRAY(s->file->arena, const char *, cap);
    for (const struct scope *p = s; p; p = p->parent)
        for (int i = 0; i < p->nparams; i++) names[n++] = p->params[i].name;
    file_suggest(s->file, g, name, "parameters", names, n);
    return false;
}

static bool param_value(const struct scope *s, struct span at, const char *name, struct ast_value *out)
{
    const struct ast_value *v = NULL;
    const struct ast_param *p = find_param(s, name, &v);
    if (!p) return no_param(s, at, name);
    if (v && v->known) *out = *v;
    else *out = (struct ast_value){.type = p->type, .ref = REF_NONE};
    return true;
}

/* ---- arithmetic: sum := product {(+|-) product}, product := unary {(*|//|%) unary}, unary := - unary | ( sum ) |
   integer | name */

struct expr {
    const struct scope *s;
    const struct tree *t;
    const char *p;
    int depth;
    bool known;
};

static bool expr_fail(const struct expr *e, const char *at, size_t len, const char *what)
{
    struct diag *g = scope_error(e->s, part_of(e->t, (size_t)(at - e->t->text), len), "%s", what);
    diag_note(g, "an expression is integers, parameters, + - * // %% and parentheses");
    return false;
}

static void expr_space(struct expr *e)
{
    while (*e->p == ' ') e->p++;
}

static bool expr_sum(struct expr *e, int64_t *out);

static bool expr_name(struct expr *e, int64_t *out)
{
    const char *start = e->p;
    while (isalnum((unsigned char)*e->p) || *e->p == '_') e->p++;
    size_t len = (size_t)(e->p - start);
    struct span at = part_of(e->t, (size_t)(start - e->t->text), len);
    struct ast_value v;
    const char *name = arena_strndup(e->s->file->arena, start, len);
    if (!param_value(e->s, at, name, &v)) return false;
    if (v.type != AST_INT) {
        scope_error(e->s, at, "the parameter '%s' is %s; arithmetic is for integers", name, type_words_of(v.type));
        return false;
    }
    e->known &= v.known;
    *out = v.i;
    return true;
}

static bool expr_number(struct expr *e, int64_t *out)
{
    const char *start = e->p;
    char *end;
    errno = 0;
    long long x = strtoll(start, &end, 10);
    e->p = end;
    if (errno == ERANGE) return expr_fail(e, start, (size_t)(end - start), "the integer is too large");
    *out = x;
    return true;
}

static bool expr_unary(struct expr *e, int64_t *out)
{
    expr_space(e);
    const char *at = e->p;
    if (++e->depth > AST_MAX_NESTING) return expr_fail(e, at, 1, "the expression is nested too deep");
    bool ok;
    if (*at == '(') {
        e->p++;
        ok = expr_sum(e, out);
        if (ok && *e->p != ')') return expr_fail(e, e->p, 1, "expected ')'");
        if (ok) e->p++;
    } else if (*at == '-') {
        e->p++;
        int64_t x = 0;
        ok = expr_unary(e, &x);
        if (ok && __builtin_sub_overflow((int64_t)0, x, out))
            return expr_fail(e, at, 1, "the value does not fit into 64 bits");
    } else if (isdigit((unsigned char)*at)) {
        ok = expr_number(e, out);
    } else if (isalpha((unsigned char)*at) || *at == '_') {
        ok = expr_name(e, out);
    } else {
        return expr_fail(e, at, 1, *at ? "expected an integer, a parameter or '('" : "the expression ends too early");
    }
    e->depth--;
    expr_space(e);
    return ok;
}

/* Floor division and its remainder, as Python has them. */
static bool divide(struct expr *e, const char *at, bool rest, int64_t a, int64_t b, int64_t *out)
{
    if (!e->known) return true;
    if (b == 0) return expr_fail(e, at, rest ? 1 : 2, "a division by zero");
    if (a == INT64_MIN && b == -1) return expr_fail(e, at, rest ? 1 : 2, "the value does not fit into 64 bits");
    int64_t q = a / b, r = a % b;
    if (r != 0 && (r < 0) != (b < 0)) {
        q--;
        r += b;
    }
    *out = rest ? r : q;
    return true;
}

static bool expr_product(struct expr *e, int64_t *out)
{
    if (!expr_unary(e, out)) return false;
    for (;;) {
        const char *at = e->p;
        bool times = *at == '*' && at[1] != '*', floor_div = at[0] == '/' && at[1] == '/', rest = *at == '%';
        if (*at == '/' && !floor_div) return expr_fail(e, at, 1, "write // for the division (it rounds down)");
        if (!times && !floor_div && !rest) return true;
        e->p += floor_div ? 2 : 1;
        int64_t b = 0;
        if (!expr_unary(e, &b)) return false;
        if (!times && !divide(e, at, rest, *out, b, out)) return false;
        if (times && !mul_i64(*out, b, out)) return expr_fail(e, at, 1, "the product does not fit into 64 bits");
    }
}

static bool expr_sum(struct expr *e, int64_t *out)
{
    if (!expr_product(e, out)) return false;
    while (*e->p == '+' || *e->p == '-') {
        const char *at = e->p++;
        int64_t b = 0;
        if (!expr_product(e, &b)) return false;
        bool over = *at == '+' ? __builtin_add_overflow(*out, b, out) : __builtin_sub_overflow(*out, b, out);
        if (over) return expr_fail(e, at, 1, "the sum does not fit into 64 bits");
    }
    return true;
}

static bool eval_arithmetic(const struct scope *s, const struct tree *t, struct ast_value *out)
{
    struct expr e = {.s = s, .t = t, .p = t->text + 2, .known = true};
    int64_t x = 0;
    if (!expr_sum(&e, &x)) return false;
    if (*e.p != ')') return expr_fail(&e, e.p, 1, *e.p ? "expected an operator or ')'" : "the closing ')' is missing");
    if (e.p[1]) return expr_fail(&e, e.p + 1, strlen(e.p + 1), "nothing may follow the closing ')'");
    *out = (struct ast_value){.type = AST_INT, .known = e.known, .i = x};
    return true;
}

/* $name or $(…), of whatever type it is. */
static bool eval_dollar(const struct scope *s, const struct tree *t, struct ast_value *out)
{
    const char *p = t->text + 1;
    if (*p == '(') return eval_arithmetic(s, t, out);
    if (*p == '{') {
        struct diag *g = scope_error(s, t->span, "an expression is written with parentheses: $(…)");
        diag_note(g, "braces are not allowed inside YAML's {…}");
        return false;
    }
    size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (len == 0 || p[len]) {
        struct diag *g = scope_error(s, t->span, "'%s' is neither $name nor $(…)", t->text);
        if (len && strpbrk(p + len, "+-*/%")) diag_note(g, "did you mean $(%s)?", p);
        else diag_note(g, "a parameter stands alone; to have a '$' in a text, put the text in quotes");
        return false;
    }
    return param_value(s, part_of(t, 0, len + 1), p, out);
}

static bool convert(const struct scope *s, const struct tree *t, enum ast_type want, struct ast_value *v)
{
    if (v->type == want) return true;
    if (v->type == AST_INT && want == AST_NUMBER) {
        v->type = want;
        v->f = (double)v->i;
        return true;
    }
    if (v->type == AST_INT && want == AST_TEXT) {
        v->type = want;
        v->s = v->known ? arena_printf(s->file->arena, "%lld", (long long)v->i) : NULL;
        return true;
    }
    struct diag *g =
        scope_error(s, t->span, "expected %s, but '%s' is %s", type_words_of(want), t->text, type_words_of(v->type));
    if (want == AST_LABEL) diag_note(g, "declare the block's parameter as {type: label}");
    return false;
}

bool value_eval(const struct scope *s, const struct tree *t, enum ast_type want, struct ast_value *out)
{
    *out = (struct ast_value){.type = want, .ref = REF_NONE};
    if (value_is_match(t)) {
        const struct tree *chosen = NULL;
        bool ok = value_match(s, t, &chosen);
        if (chosen) return value_eval(s, chosen, want, out);
        struct ast_value v;
        for (int i = 0; i < t->count && !s->dynamic; i++)
            if (strcmp(t->keys[i]->text, "match") != 0) ok &= value_eval(s, t->items[i], want, &v);
        return ok;
    }
    if (t->kind == TREE_TEXT && !t->quoted && t->text[0] == '$')
        return eval_dollar(s, t, out) && convert(s, t, want, out);
    return value_literal(s, t, want, out);
}

bool value_any(const struct scope *s, const struct tree *t, struct ast_value *out)
{
    if (t->kind == TREE_TEXT && !t->quoted && t->text[0] == '$') return eval_dollar(s, t, out);
    return value_literal(s, t, t->kind == TREE_TEXT ? value_type_of(t) : AST_TEXT, out);
}

bool value_int(const struct scope *s, const struct tree *t, int64_t min, int64_t max, const char *what,
               struct ast_value *out)
{
    if (!value_eval(s, t, AST_INT, out)) return false;
    if (!out->known || (out->i >= min && out->i <= max)) return true;
    scope_error(s, t->span, "%s must be from %lld to %lld, not %lld", what, (long long)min, (long long)max,
                (long long)out->i);
    return false;
}

const char *value_print(struct arena *a, const struct ast_value *v)
{
    char text[RNC_NUMBER_TEXT];
    switch (v->type) {
    case AST_INT: return arena_printf(a, "%lld", (long long)v->i);
    case AST_NUMBER: rnc_number_text(v->f, text); return arena_strdup(a, text);
    case AST_BOOL: return v->b ? "true" : "false";
    case AST_TEXT:
    case AST_LABEL: return v->s ? v->s : "";
    }
    return "";
}

/* ---- match */

bool value_is_match(const struct tree *t) { return t->kind == TREE_MAP && tree_get(t, "match") != NULL; }

static bool has_case(const struct tree *t, const char *name)
{
    const struct tree *c = tree_get(t, name);
    return c && strcmp(name, "match") != 0;
}

/* Cases against the parameter's possible values: none may lack, none may be unknown. */
static bool check_cases(const struct scope *s, const struct tree *t, const struct ast_param *p)
{
    static const char *const truth[] = {"false", "true"};
    size_t n = p->type == AST_BOOL ? 2 : (size_t)p->none_of;
    if (n == 0) return true;
    const char **names = ARENA_ARRAY(s->file->arena, const char *, n);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        names[i] = p->type == AST_BOOL ? truth[i] : value_print(s->file->arena, &p->one_of[i]);
        if (has_case(t, names[i])) continue;
        scope_error(s, tree_key(t, "match")->span, "match: the case '%s' of '%s' is missing", names[i], p->name);
        ok = false;
    }
    for (int i = 0; i < t->count; i++) {
        const char *key = t->keys[i]->text;
        bool found = strcmp(key, "match") == 0;
        for (size_t k = 0; k < n && !found; k++) found = strcmp(names[k], key) == 0;
        if (found) continue;
        struct diag *g = scope_error(s, t->keys[i]->span, "match: '%s' is no value of '%s'", key, p->name);
        file_suggest(s->file, g, key, "values", names, n);
        ok = false;
    }
    return ok;
}

bool value_match(const struct scope *s, const struct tree *t, const struct tree **chosen)
{
    *chosen = NULL;
    const struct tree *subject = tree_get(t, "match");
    struct ast_value v;
    if (subject->kind != TREE_TEXT || subject->quoted || subject->text[0] != '$') {
        scope_error(s, subject->span, "match wants a parameter: `match: $name`");
        return false;
    }
    if (!eval_dollar(s, subject, &v)) return false;
    const struct ast_value *unused = NULL;
    const struct ast_param *p = find_param(s, subject->text + 1, &unused);
    if (v.type == AST_LABEL) {
        scope_error(s, subject->span, "match can't choose by a label");
        return false;
    }
    if (p && !check_cases(s, t, p)) return false;
    if (!v.known) return true;
    const char *name = value_print(s->file->arena, &v);
    if (has_case(t, name)) {
        *chosen = tree_get(t, name);
        return true;
    }
    struct diag *g =
        scope_error(s, subject->span, "match: there is no case for '%s', which is %s here", subject->text, name);
    const char **names = ARENA_ARRAY(s->file->arena, const char *, t->count);
    size_t n = 0;
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->keys[i]->text, "match") != 0) names[n++] = t->keys[i]->text;
    file_suggest(s->file, g, NULL, "cases", names, n);
    return false;
}

const struct tree *value_choose(const struct scope *s, const struct tree *t, bool *ok)
{
    *ok = true;
    for (int i = 0; i < AST_MAX_NESTING && value_is_match(t); i++) {
        const struct tree *chosen;
        *ok = value_match(s, t, &chosen);
        if (!chosen) return NULL;
        t = chosen;
    }
    return t;
}
