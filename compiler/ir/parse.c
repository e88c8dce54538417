/* parse.c: text to graph. Any text is safe: it becomes a graph or one diagnostic at the exact place. */
#include "ir/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/strmap.h"
#include "ir/verify.h"
#include "op/op.h"

enum { MAX_INPUTS = 256 };

struct parser {
    struct arena *arena;
    struct diags *diags;
    const struct source *src;
    size_t pos;
    struct graph *graph;
    struct strmap values, paths, labels; /* name -> value; path -> source; outputs' labels */
    bool failed;
};

/* ---- errors and characters */

static struct span span_at(const struct parser *p, size_t begin, size_t end)
{
    struct span s = { p->src, 1, 1, 0 };
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

#define FAIL(p, begin, ...) (fail((p), diag_error((p)->diags, span_at((p), (begin), (p)->pos), __VA_ARGS__)))

static bool fail(struct parser *p, struct diag *d)
{
    (void)d;
    p->failed = true;
    return false;
}

static bool fail_hint(struct parser *p, struct diag *d, const char *word, const char *const *words, size_t count)
{
    const char *near = did_you_mean(word, words, count);
    if (near) diag_note(d, "did you mean '%s'?", near);
    return fail(p, d);
}

static int at(const struct parser *p, size_t ahead)
{
    return p->pos + ahead < p->src->len ? (unsigned char)p->src->text[p->pos + ahead] : -1;
}

static void skip_space(struct parser *p)
{
    for (;;) {
        while (at(p, 0) >= 0 && isspace(at(p, 0))) p->pos++;
        if (at(p, 0) != '#') return;
        while (at(p, 0) >= 0 && at(p, 0) != '\n') p->pos++;
    }
}

static bool next_is(struct parser *p, char c)
{
    skip_space(p);
    return at(p, 0) == c;
}

static bool accept(struct parser *p, char c)
{
    if (!next_is(p, c)) return false;
    p->pos++;
    return true;
}

static bool expect(struct parser *p, char c, const char *after)
{
    if (accept(p, c)) return true;
    size_t begin = p->pos;
    if (p->pos < p->src->len) p->pos++;
    return FAIL(p, begin, "expected '%c' after %s", c, after);
}

/* ---- words, numbers, texts */

static bool is_word(int c) { return c >= 0 && (isalnum(c) || c == '_'); }
static bool is_name(int c) { return c >= 0 && (is_word(c) || c == '.' || c == '/' || c == '-'); }

/* An identifier, or NULL (nothing consumed). */
static const char *word(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    while (is_word(at(p, 0))) p->pos++;
    return p->pos == begin ? NULL : arena_strndup(p->arena, p->src->text + begin, p->pos - begin);
}

static bool accept_word(struct parser *p, const char *w)
{
    skip_space(p);
    size_t n = strlen(w);
    if (p->src->len - p->pos < n || memcmp(p->src->text + p->pos, w, n) || is_word(at(p, n))) return false;
    p->pos += n;
    return true;
}

static bool integer(struct parser *p, int64_t min, int64_t max, const char *what, int64_t *out)
{
    skip_space(p);
    size_t begin = p->pos;
    int64_t x = 0;
    bool ok = true;
    while (at(p, 0) >= '0' && at(p, 0) <= '9') {
        ok = ok && mul_i64(x, 10, &x) && add_i64(x, at(p, 0) - '0', &x);
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

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash; -1 when there is no such escape. */
static int escape(struct parser *p)
{
    int c = at(p, 0);
    p->pos++;
    if (c == 'n') return '\n';
    if (c != 'x') return c == '"' || c == '\\' ? c : -1;
    int high = hex_digit(at(p, 0)), low = high < 0 ? -1 : hex_digit(at(p, 1));
    if (low < 0 || high + low == 0) return -1;
    p->pos += 2;
    return high * 16 + low;
}

/* A text in quotes, or NULL after an error. */
static const char *quoted(struct parser *p, const char *what)
{
    skip_space(p);
    size_t begin = p->pos;
    if (at(p, 0) != '"') {
        if (p->pos < p->src->len) p->pos++;
        FAIL(p, begin, "expected %s in quotes", what);
        return NULL;
    }
    struct buf b;
    buf_init(&b, p->arena);
    for (p->pos++; at(p, 0) != '"'; ) {
        int c = at(p, 0);
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
static const char *name(struct parser *p, char sigil, const char *what)
{
    if (!expect(p, sigil, what)) return NULL;
    if (at(p, 0) == '"') return quoted(p, "a name");
    size_t begin = p->pos;
    while (is_name(at(p, 0))) p->pos++;
    if (p->pos > begin) return arena_strndup(p->arena, p->src->text + begin, p->pos - begin);
    FAIL(p, begin, "expected a name after '%c'", sigil);
    return NULL;
}

/* ---- values and types */

static struct value *defined(struct parser *p, const char *what)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *s = name(p, '%', what);
    if (!s) return NULL;
    struct value *v = strmap_get(&p->values, s);
    if (v) return v;
    struct diag *d = diag_error(p->diags, span_at(p, begin, p->pos), "%%%s is not defined above", s);
    const char **names = ARENA_ARRAY(p->arena, const char *, p->values.count + 1);
    for (size_t i = 0; i < p->values.count; i++) names[i] = p->values.entries[i].key;
    fail_hint(p, d, s, names, p->values.count);
    return NULL;
}

static bool parse_layout(struct parser *p, struct type *t)
{
    static const struct { const char *prefix; enum layout layout; } rows[] = {
        { "winot", LAYOUT_WINOGRAD_T }, { "wino", LAYOUT_WINOGRAD }, { "wt", LAYOUT_WEIGHT_T }, { "dw", LAYOUT_DEPTHWISE }, { "w", LAYOUT_WEIGHT }, { "b", LAYOUT_BLOCKED },
    };
    size_t begin = p->pos;
    int64_t v = 0, iv = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].prefix);
        if (p->src->len - p->pos < n || memcmp(p->src->text + p->pos, rows[i].prefix, n)) continue;
        p->pos += n;
        if (!integer(p, 1, 64, "the block size", &v)) return false;
        t->layout = rows[i].layout;
        t->v = (int)v;
        bool two = t->layout == LAYOUT_WEIGHT || t->layout == LAYOUT_WINOGRAD || t->layout == LAYOUT_WINOGRAD_T;
        if (!two) return true;
        if (at(p, 0) != 'x') return FAIL(p, begin, "this layout has two block sizes: w16x16, wino16x4");
        p->pos++;
        if (!integer(p, 1, 64, "the block size", &iv)) return false;
        t->iv = (int)iv;
        return true;
    }
    while (is_word(at(p, 0))) p->pos++;
    return FAIL(p, begin, "no such layout; expected b16, w16x16, wt16, dw16, wino16x4 or winot16x4");
}

static bool parse_dims(struct parser *p, struct type *t)
{
    if (!expect(p, '[', "the data type")) return false;
    if (accept(p, ']')) return true;
    do {
        skip_space(p);
        if (t->rank == MAX_RANK) return FAIL(p, p->pos, "a shape has at most %d dimensions", MAX_RANK);
        if (!integer(p, 1, INT32_MAX, "a dimension", &t->dim[t->rank++])) return false;
    } while (accept(p, ','));
    return expect(p, ']', "the dimensions");
}

static bool parse_type(struct parser *p, struct type *t)
{
    static const char *const names[] = { "f32", "bf16", "u8", "i64" };
    static const enum dtype dtypes[] = { DT_F32, DT_BF16, DT_U8, DT_I64 };
    *t = (struct type){ 0 };
    skip_space(p);
    size_t begin = p->pos, i = 0;
    const char *w = word(p);
    while (w && i < 4 && strcmp(w, names[i])) i++;
    if (!w || i == 4) return FAIL(p, begin, "expected a type such as f32[1,64,56,56]");
    t->dtype = dtypes[i];
    if (!parse_dims(p, t)) return false;
    if (at(p, 0) == ':') {
        p->pos++;
        if (!parse_layout(p, t)) return false;
    }
    const char *problem = verify_type(t);
    return !problem || FAIL(p, begin, "%s", problem);
}

/* ---- what may follow a type */

static bool parse_place(struct parser *p, struct value *v)
{
    static const char *const names[] = { "", "arena", "state", "input", "output" };
    if (!accept(p, '@')) return true;
    size_t begin = p->pos;
    int i = SPACE_ARENA;
    const char *w = word(p);
    while (w && i <= SPACE_OUTPUT && strcmp(w, names[i])) i++;
    if (!w || i > SPACE_OUTPUT) return FAIL(p, begin, "expected arena, state, input or output after '@'");
    if (!expect(p, '+', "the space")) return false;
    int64_t offset = 0;
    if (!integer(p, 0, INT64_MAX / 2, "the offset", &offset)) return false;
    v->space = (enum space)i;
    v->offset = (size_t)offset;
    if (!accept(p, '=')) return true;
    begin = p->pos;
    v->alias = defined(p, "'='");
    if (v->alias == v) return FAIL(p, begin, "a value cannot share its own storage");
    return v->alias != NULL;
}

static bool parse_loc(struct parser *p, struct span *span)
{
    const char *path = quoted(p, "a path");
    int64_t line = 0, col = 0;
    if (!path || !expect(p, ':', "the path") || !integer(p, 0, INT32_MAX, "the line", &line)) return false;
    if (!expect(p, ':', "the line") || !integer(p, 0, INT32_MAX, "the column", &col)) return false;
    struct source *s = strmap_get(&p->paths, path);
    if (!s) {
        s = ARENA_NEW(p->arena, struct source);
        *s = (struct source){ path, "", 0 };
        strmap_set(&p->paths, path, s);
    }
    *span = (struct span){ s, (uint32_t)line, (uint32_t)col, 1 };
    return true;
}

/* ---- arguments: input %x : type … */

static bool parse_init(struct parser *p, struct value *v)
{
    static const char *const names[] = { "zeros", "ones", "kaiming_normal", "uniform_fan_in" };
    if (!expect(p, '=', "init")) return false;
    skip_space(p);
    size_t begin = p->pos;
    const char *w = word(p);
    for (int i = 0; w && i < 4; i++)
        if (!strcmp(w, names[i])) {
            v->init = (enum init_kind)i;
            return true;
        }
    return FAIL(p, begin, "expected zeros, ones, kaiming_normal or uniform_fan_in");
}

static bool parse_arg(struct parser *p, enum value_kind kind)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *s = name(p, '%', "the kind");
    if (!s) return false;
    if (strmap_get(&p->values, s)) return FAIL(p, begin, "%%%s is defined already", s);
    if (p->graph->first) return FAIL(p, begin, "arguments must come before the first node");
    struct type type;
    if (!expect(p, ':', "the name") || !parse_type(p, &type)) return false;
    struct value *v = graph_arg(p->graph, kind, s, type);
    strmap_set(&p->values, s, v);
    if (accept_word(p, "init") && !parse_init(p, v)) return false;
    if (accept_word(p, "fan") && (!expect(p, '=', "fan") || !integer(p, 0, INT64_MAX / 2, "the fan", &v->init_fan)))
        return false;
    if (!parse_place(p, v)) return false;
    if (accept_word(p, "layer") && !(v->layer = quoted(p, "a layer"))) return false;
    return !accept_word(p, "loc") || parse_loc(p, &v->span);
}

/* ---- attributes: {stride=[2, 2], pad=[3, 3, 3, 3]} */

static int find_attr(struct parser *p, const struct op_def *op, size_t begin, const char *w)
{
    int i = op_attr_index(op, w);
    if (i >= 0 && !op->attrs[i].spec_only) return i;
    struct diag *d = diag_error(p->diags, span_at(p, begin, p->pos), "%s has no attribute '%s'", op->name, w);
    const char **names = ARENA_ARRAY(p->arena, const char *, op->nattr + 1);
    size_t count = 0;
    for (int k = 0; k < op->nattr; k++)
        if (!op->attrs[k].spec_only) names[count++] = op->attrs[k].name;
    fail_hint(p, d, w, names, count);
    return -1;
}

/* The text of one attribute's value: up to ',' or '}' outside brackets. */
static const char *attr_text(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    for (int depth = 0; at(p, 0) > 0 && at(p, 0) != '\n'; p->pos++) {
        int c = at(p, 0);
        if (depth <= 0 && (c == ',' || c == '}')) break;
        depth += (c == '[') - (c == ']');
    }
    size_t end = p->pos;
    while (end > begin && isspace((unsigned char)p->src->text[end - 1])) end--;
    return arena_strndup(p->arena, p->src->text + begin, end - begin);
}

static bool parse_attr(struct parser *p, const struct op_def *op, struct attr *attr)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *w = word(p);
    if (!w) return FAIL(p, begin, "expected an attribute of %s", op->name);
    int i = find_attr(p, op, begin, w);
    if (i < 0 || !expect(p, '=', "the attribute's name")) return false;
    skip_space(p);
    begin = p->pos;
    if (op->attrs[i].def.type == ATTR_TEXT) {
        attr[i].s = quoted(p, "the attribute's value");
        return attr[i].s != NULL;
    }
    struct op_error e = { p->arena, NULL, NULL };
    if (op_attr_parse(&op->attrs[i], attr_text(p), &attr[i], &e)) return true;
    struct diag *d = diag_error(p->diags, span_at(p, begin, p->pos), "%s: %s", w, e.message ? e.message : "not a value of this attribute");
    if (e.note) diag_note(d, "%s", e.note);
    return fail(p, d);
}

static bool parse_attrs(struct parser *p, const struct op_def *op, struct attr *attr)
{
    if (!accept(p, '{') || accept(p, '}')) return true;
    do {
        if (!parse_attr(p, op, attr)) return false;
    } while (accept(p, ','));
    return expect(p, '}', "the attributes");
}

/* ---- nodes */

struct draft { /* a node as it is read */
    size_t begin;
    bool prepare;
    int nout;
    const char *out[MAX_OUTS];
    const struct op_def *op;
    size_t op_at;
    int nin, nanchor;   /* nanchor -1: no '|' */
    struct value *in[MAX_INPUTS];
    struct attr *attr;
    struct body *body;
};

static const struct op_def *parse_op(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *w = word(p);
    if (!w) {
        if (p->pos < p->src->len) p->pos++;
        FAIL(p, begin, "expected an operator");
        return NULL;
    }
    const struct op_def *op = op_find(w);
    if (op) return op;
    struct diag *d = diag_error(p->diags, span_at(p, begin, p->pos), "no operator '%s'", w);
    const struct op_def *const *all = op_all();
    size_t count = 0;
    while (all[count]) count++;
    const char **names = ARENA_ARRAY(p->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) names[i] = all[i]->name;
    fail_hint(p, d, w, names, count);
    return NULL;
}

static bool parse_outs(struct parser *p, struct draft *t)
{
    do {
        skip_space(p);
        size_t begin = p->pos;
        if (t->nout == MAX_OUTS) return FAIL(p, begin, "a node has at most %d results", MAX_OUTS);
        const char *s = name(p, '%', "the start of a line");
        if (!s) return false;
        bool twice = strmap_get(&p->values, s) != NULL;
        for (int i = 0; i < t->nout; i++) twice = twice || !strcmp(t->out[i], s);
        if (twice) return FAIL(p, begin, "%%%s is defined already", s);
        t->out[t->nout++] = s;
    } while (accept(p, ','));
    return expect(p, '=', "the results");
}

static bool parse_inputs(struct parser *p, struct draft *t)
{
    if (!expect(p, '(', "the operator")) return false;
    t->nanchor = -1;
    if (accept(p, ')')) return true;
    for (bool more = true; more; ) {
        if (t->nanchor < 0 && accept(p, '|')) {
            t->nanchor = t->nin;
            if (next_is(p, ')')) break;
        }
        skip_space(p);
        size_t begin = p->pos;
        if (t->nin == MAX_INPUTS) return FAIL(p, begin, "a node has at most %d operands", MAX_INPUTS);
        bool absent = at(p, 0) == '_' && !is_name(at(p, 1));
        if (absent) p->pos++;
        else if (!(t->in[t->nin] = defined(p, "'('"))) return false;
        t->nin++;
        more = accept(p, ',') || (t->nanchor < 0 && next_is(p, '|'));
    }
    return expect(p, ')', "the operands");
}

struct names { int count; const char *name[MAX_BODY]; };

/* "acc", "acc2" → its index; -1 for other words. */
static int acc_index(const char *w)
{
    if (strncmp(w, "acc", 3)) return -1;
    if (!w[3]) return 0;
    return strlen(w) == 4 && w[3] >= '1' && w[3] < '0' + MAX_OUTS ? w[3] - '0' : -1;
}

static bool parse_ref_operand(struct parser *p, const struct draft *t, struct body_ref *r)
{
    size_t begin = p->pos;
    const struct value *v = defined(p, "'('");
    if (!v) return false;
    for (int i = t->nanchor; i < t->nin; i++)
        if (t->in[i] == v) {
            *r = (struct body_ref){ BODY_OPERAND, (uint8_t)i };
            return true;
        }
    return FAIL(p, begin, "%%%s is not an operand of the body: it must stand after '|'", v->name);
}

static bool parse_ref(struct parser *p, const struct draft *t, const struct names *names, struct body_ref *r)
{
    if (next_is(p, '%')) return parse_ref_operand(p, t, r);
    size_t begin = p->pos;
    const char *w = word(p);
    if (!w) return FAIL(p, begin, "expected acc, a result of the body or a value");
    int acc = acc_index(w);
    if (acc >= 0 && acc < t->op->nouts && t->nanchor > 0) {
        *r = (struct body_ref){ BODY_ACC, (uint8_t)acc };
        return true;
    }
    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->name[i], w)) {
            *r = (struct body_ref){ BODY_INSN, (uint8_t)i };
            return true;
        }
    if (acc >= 0) return FAIL(p, begin, "%s has no result '%s'", t->op->name, w);
    return FAIL(p, begin, "'%s' is not computed above in this body", w);
}

static bool parse_insn(struct parser *p, const struct draft *t, struct names *names)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *w = word(p);
    if (!w) return FAIL(p, begin, "expected 'NAME = operator(…)' or '->'");
    if (acc_index(w) >= 0) return FAIL(p, begin, "'%s' is the anchor's result", w);
    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->name[i], w)) return FAIL(p, begin, "'%s' is computed already", w);
    if (names->count == MAX_BODY) return FAIL(p, begin, "a body has at most %d operators", MAX_BODY);
    if (!expect(p, '=', "the name")) return false;
    skip_space(p);
    begin = p->pos;
    struct body_insn *insn = &t->body->insn[names->count];
    insn->op = parse_op(p);
    if (!insn->op) return false;
    if (insn->op->family != KERNEL_POINTWISE || insn->op->nouts != 1 || !insn->op->expr)
        return FAIL(p, begin, "a body holds pointwise operators with one result, which %s is not", insn->op->name);
    if (!expect(p, '(', "the operator")) return false;
    do {
        skip_space(p);
        if (insn->narg == MAX_BODY_ARGS) return FAIL(p, p->pos, "too many operands");
        if (!parse_ref(p, t, names, &insn->arg[insn->narg++])) return false;
    } while (accept(p, ','));
    if (!expect(p, ')', "the operands")) return false;
    if (insn->narg != insn->op->noperands)
        return FAIL(p, begin, "%s takes %d operands, not %d", insn->op->name, insn->op->noperands, insn->narg);
    insn->attr = ARENA_ARRAY(p->arena, struct attr, insn->op->nattr + 1);
    for (int i = 0; i < insn->op->nattr; i++) insn->attr[i] = insn->op->attrs[i].def;
    if (!parse_attrs(p, insn->op, insn->attr)) return false;
    names->name[names->count++] = w;
    return !next_is(p, '"') || (insn->layer = quoted(p, "a layer")) != NULL;
}

static bool at_arrow(struct parser *p)
{
    skip_space(p);
    if (at(p, 0) != '-' || at(p, 1) != '>') return false;
    p->pos += 2;
    return true;
}

static bool parse_body(struct parser *p, struct draft *t)
{
    struct names names = { 0 };
    t->body = ARENA_NEW(p->arena, struct body);
    while (!at_arrow(p)) {
        if (!parse_insn(p, t, &names)) return false;
        accept(p, ',');
    }
    t->body->ninsn = names.count;
    do {
        skip_space(p);
        if (t->body->nout == MAX_OUTS) return FAIL(p, p->pos, "a body has at most %d results", MAX_OUTS);
        if (!parse_ref(p, t, &names, &t->body->out[t->body->nout++])) return false;
    } while (accept(p, ','));
    return expect(p, ']', "the body's results");
}

static bool is_bare_pointwise(const struct op_def *op) { return !strcmp(op->name, "pointwise"); }

/* Operands, body and number of results fit the operator. */
static bool check_draft(struct parser *p, struct draft *t)
{
    bool bare = is_bare_pointwise(t->op);
    if (bare && (!t->body || t->nanchor != 0)) return FAIL(p, t->op_at, "pointwise needs a body, and all its operands after '|'");
    if (!bare && t->nanchor >= 0 && !t->body) return FAIL(p, t->op_at, "operands after '|' need a body");
    if (!bare && t->body && t->op->family != KERNEL_CONV) return FAIL(p, t->op_at, "%s takes no body", t->op->name);
    int nanchor = t->nanchor < 0 ? t->nin : t->nanchor;
    const char *problem = bare ? NULL : verify_arity(p->arena, t->op, nanchor, t->in);
    if (problem) return FAIL(p, t->op_at, "%s", problem);
    for (int i = nanchor; i < t->nin; i++)
        if (!t->in[i]) return FAIL(p, t->op_at, "an operand of a body cannot be absent");
    int nout = t->body ? t->body->nout : t->op->nouts;
    if (t->nout == nout || (t->nout == nout + 1 && t->op->workspace)) return true;
    return FAIL(p, t->begin, "%s has %d result%s, not %d", t->op->name, nout, nout == 1 ? "" : "s", t->nout);
}

static struct node *make_node(struct parser *p, const struct draft *t)
{
    struct node *n = graph_node(p->graph, NULL, t->op, t->in, t->nin, t->nout);
    n->prepare = t->prepare;
    n->attr = t->attr;
    n->body = t->body;
    n->nanchor = t->nanchor < 0 ? t->nin : t->nanchor;
    for (int i = 0; i < n->nout; i++) {
        struct value *other = graph_find(p->graph, t->out[i]); /* a later result's automatic name */
        if (other && other != n->out[i]) value_rename(p->graph, other, arena_printf(p->arena, "\001%d", other->id));
        value_rename(p->graph, n->out[i], t->out[i]);
        strmap_set(&p->values, t->out[i], n->out[i]);
    }
    return n;
}

/* Shapes by the operator's rule, then the types as written must agree with them. */
static bool check_types(struct parser *p, struct node *n, const struct type *written, const size_t (*type_at)[2], size_t op_at)
{
    struct op_error e = { p->arena, NULL, NULL };
    if (!op_infer(n, &e)) {
        struct diag *d = diag_error(p->diags, span_at(p, op_at, op_at + strlen(n->op->name)), "%s: %s", n->op->name,
                                    e.message ? e.message : "the operands do not fit");
        if (e.note) diag_note(d, "%s", e.note);
        return fail(p, d);
    }
    int inferred = n->body ? n->body->nout : n->op->nouts;
    for (int i = 0; i < n->nout; i++) {
        if (i < inferred && !type_same_shape(&n->out[i]->type, &written[i])) {
            p->pos = type_at[i][1];
            return FAIL(p, type_at[i][0], "the result is %s", type_text(p->arena, &n->out[i]->type));
        }
        n->out[i]->type = written[i];
    }
    return true;
}

static bool parse_types(struct parser *p, struct node *n, size_t op_at)
{
    struct type written[MAX_OUTS];
    size_t type_at[MAX_OUTS][2]; /* begin and end */
    if (!expect(p, ':', "the operator")) return false;
    for (int i = 0; i < n->nout; i++) {
        if (i && !expect(p, ',', "the first type")) return false;
        skip_space(p);
        type_at[i][0] = p->pos;
        if (!parse_type(p, &written[i])) return false;
        type_at[i][1] = p->pos;
        if (accept_word(p, "as") && !(n->out[i]->layer = quoted(p, "a layer"))) return false;
        if (!parse_place(p, n->out[i])) return false;
    }
    size_t end = p->pos;
    if (!check_types(p, n, written, type_at, op_at)) return false;
    p->pos = end;
    return true;
}

static bool parse_node_end(struct parser *p, struct node *n)
{
    bool both = accept_word(p, "layer");
    if (both || accept_word(p, "in")) {
        n->layer = quoted(p, "a layer");
        if (!n->layer) return false;
        if (both && n->nout && !n->out[0]->layer) n->out[0]->layer = n->layer;
    }
    if (!accept_word(p, "loc")) return true;
    if (!parse_loc(p, &n->span)) return false;
    for (int i = 0; i < n->nout; i++) n->out[i]->span = n->span;
    return true;
}

static bool parse_node(struct parser *p, bool prepare)
{
    skip_space(p);
    struct draft t = { .begin = p->pos, .prepare = prepare };
    if (!parse_outs(p, &t)) return false;
    skip_space(p);
    t.op_at = p->pos;
    t.op = parse_op(p);
    if (!t.op || !parse_inputs(p, &t)) return false;
    t.attr = ARENA_ARRAY(p->arena, struct attr, t.op->nattr + 1);
    for (int i = 0; i < t.op->nattr; i++) t.attr[i] = t.op->attrs[i].def;
    if (!parse_attrs(p, t.op, t.attr)) return false;
    if (accept(p, '[')) {
        if (t.nanchor < 0) t.nanchor = t.nin;
        if (!parse_body(p, &t)) return false;
    }
    if (!check_draft(p, &t)) return false;
    struct node *n = make_node(p, &t);
    return parse_types(p, n, t.op_at) && parse_node_end(p, n);
}

/* ---- outputs, updates, the whole */

static bool parse_output(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    const char *label = quoted(p, "the output's label");
    if (!label) return false;
    if (!strmap_add(&p->labels, label, p)) return FAIL(p, begin, "there is an output \"%s\" already", label);
    struct value *v = defined(p, "the label");
    if (v) graph_output(p->graph, label, v);
    return v != NULL;
}

static bool parse_update(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    struct value *state = defined(p, "update");
    if (!state) return false;
    if (state->kind != VALUE_PARAM && state->kind != VALUE_BUFFER && state->kind != VALUE_OPTIM)
        return FAIL(p, begin, "only a param, a buffer or an optim value can be updated");
    for (int i = 0; i < p->graph->nupdates; i++)
        if (p->graph->updates[i].state == state) return FAIL(p, begin, "%%%s is updated already", state->name);
    if (!expect(p, '=', "the value to be updated")) return false;
    skip_space(p);
    begin = p->pos;
    struct value *v = defined(p, "'='");
    if (!v) return false;
    if (!type_equal(&v->type, &state->type))
        return FAIL(p, begin, "%%%s is %s, but %%%s is %s", v->name, type_text(p->arena, &v->type), state->name, type_text(p->arena, &state->type));
    graph_set_update(p->graph, state, v);
    return true;
}

static bool parse_stage(struct parser *p, struct graph *g)
{
    int64_t arena = 0, state = 0, bound = 0;
    if (!expect(p, '=', "stage")) return false;
    if (accept_word(p, "layout")) {
        g->stage = STAGE_LAYOUT;
        return true;
    }
    skip_space(p);
    size_t begin = p->pos;
    if (!accept_word(p, "planned")) {
        word(p);
        return FAIL(p, begin, "a stage is layout or planned; without a stage the graph is raw");
    }
    g->stage = STAGE_PLANNED;
    bool ok = accept_word(p, "arena") && expect(p, '=', "arena") && integer(p, 0, INT64_MAX, "the arena's size", &arena)
           && accept_word(p, "state") && expect(p, '=', "state") && integer(p, 0, INT64_MAX, "the state's size", &state)
           && accept_word(p, "bound") && expect(p, '=', "bound") && integer(p, 0, INT64_MAX, "the lower bound", &bound);
    g->arena_bytes = (size_t)arena;
    g->state_bytes = (size_t)state;
    g->lower_bound_bytes = (size_t)bound;
    return ok || p->failed || FAIL(p, begin, "a planned graph has arena=…, state=… and bound=…");
}

static bool parse_header(struct parser *p)
{
    skip_space(p);
    size_t begin = p->pos;
    if (!accept_word(p, "graph")) {
        if (p->pos < p->src->len) p->pos++;
        return FAIL(p, begin, "expected 'graph @name batch=N {'");
    }
    const char *s = name(p, '@', "graph");
    int64_t batch = 0, lanes = 0;
    skip_space(p);
    begin = p->pos;
    if (!s) return false;
    if (!accept_word(p, "batch")) return FAIL(p, begin, "expected batch=N after the graph's name");
    if (!expect(p, '=', "batch") || !integer(p, 1, INT32_MAX, "the batch", &batch)) return false;
    p->graph = graph_new(p->arena, s, batch);
    if (accept_word(p, "lanes") && (!expect(p, '=', "lanes") || !integer(p, 1, 64, "the lanes", &lanes))) return false;
    p->graph->lanes = (int)lanes;
    p->graph->train = accept_word(p, "train");
    if (accept_word(p, "stage") && !parse_stage(p, p->graph)) return false;
    return !p->failed && expect(p, '{', "the graph's header");
}

static bool parse_statement(struct parser *p)
{
    static const struct { const char *word; enum value_kind kind; } kinds[] = {
        { "input", VALUE_INPUT }, { "target", VALUE_TARGET }, { "param", VALUE_PARAM },
        { "buffer", VALUE_BUFFER }, { "counter", VALUE_COUNTER }, { "optim", VALUE_OPTIM },
    };
    if (next_is(p, '%')) return parse_node(p, false);
    size_t begin = p->pos;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (accept_word(p, kinds[i].word)) return parse_arg(p, kinds[i].kind);
    if (accept_word(p, "prepare")) return parse_node(p, true);
    if (accept_word(p, "output")) return parse_output(p);
    if (accept_word(p, "update")) return parse_update(p);
    if (!word(p) && p->pos < p->src->len) p->pos++;
    return FAIL(p, begin, "expected an argument, a node, an output, an update or '}'");
}

struct graph *graph_parse(struct arena *a, struct diags *d, const struct source *src)
{
    struct parser p = { .arena = a, .diags = d, .src = src };
    strmap_init(&p.values, a);
    strmap_init(&p.paths, a);
    strmap_init(&p.labels, a);
    if (!parse_header(&p)) return NULL;
    while (!accept(&p, '}'))
        if (!parse_statement(&p)) return NULL;
    skip_space(&p);
    size_t begin = p.pos;
    if (p.pos < src->len) {
        p.pos++;
        FAIL(&p, begin, "nothing may follow the closing '}'");
        return NULL;
    }
    return p.graph;
}
