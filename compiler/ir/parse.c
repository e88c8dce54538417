/* parse.c: text to graph. Any text is safe: it becomes a graph or one diagnostic at the exact place. */
#include "ir/text.h"

#include <ctype.h>
#include <string.h>
#include "ir/lex.h"
#include "ir/verify.h"
#include "ir/op.h"

/* ---- values and types */

/* NESTED: one that a region before this place has defined, too. */
static struct value *find_value(struct parser *p, const char *what, bool nested)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *s = lex_name(p, '%', what);
    if (!s) return NULL;
    struct value *v = strmap_get(&p->values, s);
    if (v && v->def && v->def->owner && !nested) {
        FAIL(p, begin, "%%%s is defined inside a region: only the region's results can be read here", s);
        return NULL;
    }
    if (v) return v;
    struct diag *d = diag_error(p->diags, lex_span(p, begin, p->pos), "%%%s is not defined above", s);
    const char **names = ARENA_ARRAY(p->arena, const char *, p->values.count + 1);
    for (size_t i = 0; i < p->values.count; i++) names[i] = p->values.entries[i].key;
    lex_fail_hint(p, d, s, names, p->values.count);
    return NULL;
}

static struct value *defined(struct parser *p, const char *what) { return find_value(p, what, false); }

static bool parse_layout(struct parser *p, struct type *t)
{
    static const struct {
        const char *prefix;
        enum layout layout;
    } rows[] = {
        {"winot", LAYOUT_WINOGRAD_T}, {"winos", LAYOUT_WINOGRAD_S}, {"wino", LAYOUT_WINOGRAD}, {"wt", LAYOUT_WEIGHT_T},
        {"dw", LAYOUT_DEPTHWISE},     {"w", LAYOUT_WEIGHT},         {"b", LAYOUT_BLOCKED},
    };
    size_t begin = p->pos;
    int64_t v = 0, iv = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].prefix);
        if (p->src->len - p->pos < n || memcmp(p->src->text + p->pos, rows[i].prefix, n)) continue;
        p->pos += n;
        if (!lex_integer(p, 1, 64, "the block size", &v)) return false;
        t->layout = rows[i].layout;
        t->v = (int)v;
        bool two = t->layout == LAYOUT_WEIGHT || layout_is_winograd(t->layout);
        if (!two) return true;
        if (lex_at(p, 0) != 'x') return FAIL(p, begin, "this layout has two block sizes: w16x16, wino16x4");
        p->pos++;
        if (!lex_integer(p, 1, 64, "the block size", &iv)) return false;
        t->iv = (int)iv;
        return true;
    }
    while (lex_is_word(lex_at(p, 0))) p->pos++;
    return FAIL(p, begin, "no such layout; expected b16, w16x16, wt16, dw16, wino16x4, winot16x4 or winos16x4");
}

/* 64; N=4, the batch; <=100, the most of a list. */
static bool parse_dim(struct parser *p, struct type *t)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    if (t->rank == MAX_RANK) return FAIL(p, begin, "a shape has at most %d dimensions", MAX_RANK);
    bool batch = lex_accept_word(p, "N"), most = !batch && lex_accept(p, '<');
    if ((batch || most) && !lex_expect(p, '=', batch ? "N" : "'<'")) return false;
    if (!lex_integer(p, 1, INT32_MAX, "a dimension", &t->dim[t->rank])) return false;
    if (batch && t->rank > 0) return FAIL(p, begin, "only the first dimension can be the batch");
    if (batch && t->dim[0] != p->graph->batch)
        return FAIL(p, begin, "N is the graph's batch, which is %lld", (long long)p->graph->batch);
    t->batched |= batch;
    if (most) t->bounded |= (uint8_t)(1 << t->rank);
    t->rank++;
    return true;
}

static bool parse_dims(struct parser *p, struct type *t)
{
    if (!lex_expect(p, '[', "the data type")) return false;
    if (lex_accept(p, ']')) return true;
    do {
        if (!parse_dim(p, t)) return false;
    } while (lex_accept(p, ','));
    return lex_expect(p, ']', "the dimensions");
}

static bool parse_type(struct parser *p, struct type *t)
{
    *t = (struct type){0};
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    if (!w || !dtype_named(w, &t->dtype)) return FAIL(p, begin, "expected a type such as f32[N=1,64,56,56]");
    if (!parse_dims(p, t)) return false;
    if (lex_at(p, 0) == ':') {
        p->pos++;
        if (!parse_layout(p, t)) return false;
    }
    const char *problem = verify_type(t);
    return !problem || FAIL(p, begin, "%s", problem);
}

/* ---- what may follow a type */

static bool parse_place(struct parser *p, struct value *v)
{
    static const char *const names[] = {"", "arena", "state", "input", "output"};
    if (!lex_accept(p, '@')) return true;
    size_t begin = p->pos;
    int i = SPACE_ARENA;
    const char *w = lex_word(p);
    while (w && i <= SPACE_OUTPUT && strcmp(w, names[i])) i++;
    if (!w || i > SPACE_OUTPUT) return FAIL(p, begin, "expected arena, state, input or output after '@'");
    if (!lex_expect(p, '+', "the space")) return false;
    int64_t offset = 0;
    if (!lex_integer(p, 0, INT64_MAX / 2, "the offset", &offset)) return false;
    v->space = (enum space)i;
    v->offset = (size_t)offset;
    if (!lex_accept(p, '=')) return true;
    begin = p->pos;
    v->alias = find_value(p, "'='", true);
    if (v->alias == v) return FAIL(p, begin, "a value cannot share its own storage");
    return v->alias != NULL;
}

static bool parse_loc(struct parser *p, struct span *span)
{
    const char *path = lex_quoted(p, "a path");
    int64_t line = 0, col = 0;
    if (!path || !lex_expect(p, ':', "the path") || !lex_integer(p, 0, INT32_MAX, "the line", &line)) return false;
    if (!lex_expect(p, ':', "the line") || !lex_integer(p, 0, INT32_MAX, "the column", &col)) return false;
    struct source *s = strmap_get(&p->paths, path);
    if (!s) {
        s = ARENA_NEW(p->arena, struct source);
        *s = (struct source){path, "", 0};
        strmap_set(&p->paths, path, s);
    }
    *span = (struct span){s, (uint32_t)line, (uint32_t)col, 1};
    return true;
}

/* ---- arguments: input %x : type … */

static bool parse_init(struct parser *p, struct value *v)
{
    if (!lex_expect(p, '=', "init")) return false;
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    for (int i = 0; w && init_names[i]; i++)
        if (strcmp(w, init_names[i]) == 0) {
            v->init = (enum init_kind)i;
            return true;
        }
    struct buf list;
    buf_init(&list, p->arena);
    for (int i = 0; init_names[i]; i++)
        buf_printf(&list, "%s%s", i == 0 ? "" : init_names[i + 1] ? ", " : " or ", init_names[i]);
    return FAIL(p, begin, "expected %s", list.data);
}

static bool parse_arg(struct parser *p, enum value_kind kind)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *s = lex_name(p, '%', "the kind");
    if (!s) return false;
    if (strmap_get(&p->values, s)) return FAIL(p, begin, "%%%s is defined already", s);
    if (p->graph->first) return FAIL(p, begin, "arguments must come before the first node");
    struct type type;
    if (!lex_expect(p, ':', "the name")) return false;
    lex_skip_space(p);
    begin = p->pos;
    if (!parse_type(p, &type)) return false;
    const char *problem = verify_argument(p->arena, kind, &type);
    if (problem) return FAIL(p, begin, "%s", problem);
    struct value *v = graph_arg(p->graph, kind, s, type);
    strmap_set(&p->values, s, v);
    if (lex_accept_word(p, "init") && !parse_init(p, v)) return false;
    if (lex_accept_word(p, "fan") &&
        (!lex_expect(p, '=', "fan") || !lex_integer(p, 0, INT64_MAX / 2, "the fan", &v->init_fan)))
        return false;
    if (lex_accept_word(p, "value") &&
        (!lex_expect(p, '=', "value") || !lex_number(p, "the initial value", &v->init_value)))
        return false;
    if (!parse_place(p, v)) return false;
    if (lex_accept_word(p, "layer") && !(v->layer = lex_quoted(p, "a layer"))) return false;
    return !lex_accept_word(p, "loc") || parse_loc(p, &v->span);
}

/* ---- attributes: {stride=[2, 2], pad=[3, 3, 3, 3]} */

static int find_attr(struct parser *p, const struct op_def *op, size_t begin, const char *w)
{
    int i = op_attr_index(op, w);
    if (i >= 0 && !op->attrs[i].spec_only) return i;
    struct diag *d = diag_error(p->diags, lex_span(p, begin, p->pos), "%s has no attribute '%s'", op->name, w);
    const char **names = ARENA_ARRAY(p->arena, const char *, op->nattr + 1);
    size_t count = 0;
    for (int k = 0; k < op->nattr; k++)
        if (!op->attrs[k].spec_only) names[count++] = op->attrs[k].name;
    lex_fail_hint(p, d, w, names, count);
    return -1;
}

/* The text of one attribute's value: up to ',' or '}' outside brackets. */
static const char *attr_text(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    for (int depth = 0; lex_at(p, 0) > 0 && lex_at(p, 0) != '\n'; p->pos++) {
        int c = lex_at(p, 0);
        if (depth <= 0 && (c == ',' || c == '}')) break;
        depth += (c == '[') - (c == ']');
    }
    size_t end = p->pos;
    while (end > begin && isspace((unsigned char)p->src->text[end - 1])) end--;
    return arena_strndup(p->arena, p->src->text + begin, end - begin);
}

static bool parse_attr(struct parser *p, const struct op_def *op, struct attr *attr)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    if (!w) return FAIL(p, begin, "expected an attribute of %s", op->name);
    int i = find_attr(p, op, begin, w);
    if (i < 0 || !lex_expect(p, '=', "the attribute's name")) return false;
    lex_skip_space(p);
    begin = p->pos;
    if (op->attrs[i].def.type == ATTR_TEXT) {
        attr[i].s = lex_quoted(p, "the attribute's value");
        return attr[i].s != NULL;
    }
    struct op_error e = {p->arena, NULL, NULL};
    if (op_attr_parse(&op->attrs[i], attr_text(p), &attr[i], &e)) return true;
    struct diag *d = diag_error(p->diags, lex_span(p, begin, p->pos), "%s: %s", w,
                                e.message ? e.message : "not a value of this attribute");
    if (e.note) diag_note(d, "%s", e.note);
    return lex_fail(p, d);
}

static bool parse_attrs(struct parser *p, const struct op_def *op, struct attr *attr)
{
    if (!lex_accept(p, '{') || lex_accept(p, '}')) return true;
    do {
        if (!parse_attr(p, op, attr)) return false;
    } while (lex_accept(p, ','));
    return lex_expect(p, '}', "the attributes");
}

/* ---- nodes */

struct draft { /* a node as it is read */
    size_t begin;
    bool prepare, recompute;
    int nout;
    const char *out[MAX_OUTS];
    const struct op_def *op;
    size_t op_at;
    int nin, nanchor; /* nanchor -1: no '|' */
    struct value *in[MAX_INS];
    struct attr *attr;
    struct body *body, *pre[MAX_PRE];
    struct body *reading; /* the one of them that is being read */
    struct node *last;    /* of a region: the node that stands before it */
};

static const struct op_def *parse_op(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    if (!w) {
        if (p->pos < p->src->len) p->pos++;
        FAIL(p, begin, "expected an operator");
        return NULL;
    }
    const struct op_def *op = op_find(w);
    if (op) return op;
    struct diag *d = diag_error(p->diags, lex_span(p, begin, p->pos), "no operator '%s'", w);
    const struct op_def *const *all = op_all();
    size_t count = 0;
    while (all[count]) count++;
    const char **names = ARENA_ARRAY(p->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) names[i] = all[i]->name;
    lex_fail_hint(p, d, w, names, count);
    return NULL;
}

static bool parse_outs(struct parser *p, struct draft *t)
{
    do {
        lex_skip_space(p);
        size_t begin = p->pos;
        if (t->nout == MAX_OUTS) return FAIL(p, begin, "a node has at most %d results", MAX_OUTS);
        const char *s = lex_name(p, '%', "the start of a line");
        if (!s) return false;
        bool twice = strmap_get(&p->values, s) != NULL;
        for (int i = 0; i < t->nout; i++) twice = twice || !strcmp(t->out[i], s);
        if (twice) return FAIL(p, begin, "%%%s is defined already", s);
        t->out[t->nout++] = s;
    } while (lex_accept(p, ','));
    return lex_expect(p, '=', "the results");
}

static bool parse_inputs(struct parser *p, struct draft *t)
{
    if (!lex_expect(p, '(', "the operator")) return false;
    t->nanchor = -1;
    if (lex_accept(p, ')')) return true;
    for (bool more = true; more;) {
        if (t->nanchor < 0 && lex_accept(p, '|')) {
            t->nanchor = t->nin;
            if (lex_next_is(p, ')')) break;
        }
        lex_skip_space(p);
        size_t begin = p->pos;
        if (t->nin == MAX_INS) return FAIL(p, begin, "a node has at most %d operands", MAX_INS);
        bool absent = lex_at(p, 0) == '_' && !lex_is_name(lex_at(p, 1));
        if (absent) p->pos++;
        else if (!(t->in[t->nin] = defined(p, "'('"))) return false;
        t->nin++;
        more = lex_accept(p, ',') || (t->nanchor < 0 && lex_next_is(p, '|'));
    }
    return lex_expect(p, ')', "the operands");
}

struct names {
    int count;
    const char *name[MAX_BODY];
};

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
            *r = (struct body_ref){BODY_OPERAND, (uint8_t)i};
            return true;
        }
    return FAIL(p, begin, "%%%s is not an operand of the body: it must stand after '|'", v->name);
}

/* W is the name of instruction I, which has two results, with "_1" behind it. */
static bool names_second(const struct draft *t, const struct names *names, int i, const char *w)
{
    size_t n = strlen(names->name[i]);
    return t->reading->insn[i].op->nouts > 1 && !strncmp(w, names->name[i], n) && !strcmp(w + n, "_1");
}

static bool parse_ref(struct parser *p, const struct draft *t, const struct names *names, struct body_ref *r)
{
    if (lex_next_is(p, '%')) return parse_ref_operand(p, t, r);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    if (!w) return FAIL(p, begin, "expected acc, a result of the body or a value");
    int acc = acc_index(w);
    if (acc >= 0 && acc < (t->reading == t->body ? t->op->nouts : 1) && t->nanchor > 0) {
        *r = (struct body_ref){BODY_ACC, (uint8_t)acc};
        return true;
    }
    for (int i = 0; i < names->count; i++) {
        bool second = names_second(t, names, i, w);
        if (!second && strcmp(names->name[i], w)) continue;
        *r = (struct body_ref){second ? BODY_SECOND : BODY_INSN, (uint8_t)i};
        return true;
    }
    if (acc >= 0 && t->reading != t->body) return FAIL(p, begin, "a prologue has one operand, 'acc'");
    if (acc >= 0) return FAIL(p, begin, "%s has no result '%s'", t->op->name, w);
    return FAIL(p, begin, "'%s' is not computed above in this body", w);
}

static bool parse_insn(struct parser *p, const struct draft *t, struct names *names)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *w = lex_word(p);
    if (!w) return FAIL(p, begin, "expected 'NAME = operator(…)' or '->'");
    if (acc_index(w) >= 0) return FAIL(p, begin, "'%s' is the anchor's result", w);
    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->name[i], w)) return FAIL(p, begin, "'%s' is computed already", w);
    if (names->count == MAX_BODY) return FAIL(p, begin, "a body has at most %d operators", MAX_BODY);
    if (!lex_expect(p, '=', "the name")) return false;
    lex_skip_space(p);
    begin = p->pos;
    struct body_insn *insn = &t->reading->insn[names->count];
    insn->op = parse_op(p);
    if (!insn->op) return false;
    bool fits = insn->op->family->sums || (insn->op->family->elementwise && insn->op->nouts == 1 && insn->op->expr);
    if (!fits)
        return FAIL(p, begin, "a body holds pointwise operators with one result, then per-channel sums; %s is neither",
                    insn->op->name);
    if (!lex_expect(p, '(', "the operator")) return false;
    do {
        lex_skip_space(p);
        if (insn->narg == MAX_BODY_ARGS) return FAIL(p, p->pos, "too many operands");
        if (!parse_ref(p, t, names, &insn->arg[insn->narg++])) return false;
    } while (lex_accept(p, ','));
    if (!lex_expect(p, ')', "the operands")) return false;
    if (insn->narg != insn->op->noperands)
        return FAIL(p, begin, "%s takes %d operands, not %d", insn->op->name, insn->op->noperands, insn->narg);
    insn->attr = ARENA_ARRAY(p->arena, struct attr, insn->op->nattr + 1);
    for (int i = 0; i < insn->op->nattr; i++) insn->attr[i] = insn->op->attrs[i].def;
    if (!parse_attrs(p, insn->op, insn->attr)) return false;
    names->name[names->count++] = w;
    return !lex_next_is(p, '"') || (insn->layer = lex_quoted(p, "a layer")) != NULL;
}

static bool at_arrow(struct parser *p)
{
    lex_skip_space(p);
    if (lex_at(p, 0) != '-' || lex_at(p, 1) != '>') return false;
    p->pos += 2;
    return true;
}

/* Behind its '['. */
static bool parse_body(struct parser *p, struct draft *t, struct body **to)
{
    struct names names = {0};
    if (t->nanchor < 0) t->nanchor = t->nin;
    t->reading = *to = ARENA_NEW(p->arena, struct body);
    while (!at_arrow(p)) {
        if (!parse_insn(p, t, &names)) return false;
        lex_accept(p, ',');
    }
    t->reading->ninsn = names.count;
    do {
        lex_skip_space(p);
        if (t->reading->nout == MAX_OUTS) return FAIL(p, p->pos, "a body has at most %d results", MAX_OUTS);
        if (!parse_ref(p, t, &names, &t->reading->out[t->reading->nout++])) return false;
    } while (lex_accept(p, ','));
    return lex_expect(p, ']', "the body's results");
}

static bool parse_bodies(struct parser *p, struct draft *t)
{
    static const char *const words[MAX_PRE] = {"pre0", "pre1"};
    if (lex_accept(p, '[') && !parse_body(p, t, &t->body)) return false;
    for (int k = 0; k < MAX_PRE; k++) {
        size_t end = p->pos;
        if (!lex_accept_word(p, words[k])) {
            p->pos = end;
            continue;
        }
        size_t begin = p->pos - strlen(words[k]);
        if (k >= t->op->prologues) return FAIL(p, begin, "%s takes no prologue for operand %d", t->op->name, k);
        if (!lex_expect(p, '[', words[k]) || !parse_body(p, t, &t->pre[k])) return false;
        if (t->pre[k]->nout != 1) return FAIL(p, begin, "a prologue has one result");
    }
    return true;
}

/* Operands, body and number of results fit the operator. */
static bool check_draft(struct parser *p, struct draft *t)
{
    bool bare = t->op->bare;
    if (bare && (!t->body || t->nanchor != 0))
        return FAIL(p, t->op_at, "pointwise needs a body, and all its operands after '|'");
    if (!bare && t->nanchor >= 0 && !t->reading) return FAIL(p, t->op_at, "operands after '|' need a body");
    if (!bare && t->body && !t->op->family->takes_body) return FAIL(p, t->op_at, "%s takes no body", t->op->name);
    int nanchor = t->nanchor < 0 ? t->nin : t->nanchor;
    const char *problem = bare ? NULL : verify_arity(p->arena, t->op, nanchor, t->in);
    if (problem) return FAIL(p, t->op_at, "%s", problem);
    for (int i = nanchor; i < t->nin; i++)
        if (!t->in[i]) return FAIL(p, t->op_at, "an operand of a body cannot be absent");
    int nout = t->op->owns ? t->nin - REGION_YIELD : t->body ? t->body->nout : t->op->nouts;
    bool workspace = t->op->family->workspace || (t->body && body_sums(t->body));
    if (t->nout == nout || (t->nout == nout + 1 && workspace)) return true;
    return FAIL(p, t->begin, "%s has %d result%s, not %d", t->op->name, nout, nout == 1 ? "" : "s", t->nout);
}

static struct node *make_node(struct parser *p, const struct draft *t)
{
    struct node *n = graph_node(p->graph, NULL, t->op, t->in, t->nin, t->nout);
    n->prepare = t->prepare;
    n->recompute = t->recompute;
    n->attr = t->attr;
    n->body = t->body;
    memcpy(n->pre, t->pre, sizeof n->pre);
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
static bool check_types(struct parser *p, struct node *n, const struct type *written, const size_t (*type_at)[2],
                        size_t op_at)
{
    struct op_error e = {p->arena, NULL, NULL};
    for (int i = 0; i < n->nout; i++) n->out[i]->type = written[i]; /* a result may be declared bf16 */
    if (!op_infer(n, &e)) {
        struct diag *d = diag_error(p->diags, lex_span(p, op_at, op_at + strlen(n->op->name)), "%s: %s", n->op->name,
                                    e.message ? e.message : "the operands do not fit");
        if (e.note) diag_note(d, "%s", e.note);
        return lex_fail(p, d);
    }
    int inferred = op_results(n);
    for (int i = 0; i < n->nout; i++) {
        bool same = type_same_shape(&n->out[i]->type, &written[i]) && n->out[i]->type.batched == written[i].batched &&
                    n->out[i]->type.bounded == written[i].bounded;
        if (i < inferred && !same) {
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
    if (!lex_expect(p, ':', "the operator")) return false;
    for (int i = 0; i < n->nout; i++) {
        if (i && !lex_expect(p, ',', "the first type")) return false;
        lex_skip_space(p);
        type_at[i][0] = p->pos;
        if (!parse_type(p, &written[i])) return false;
        type_at[i][1] = p->pos;
        if (lex_accept_word(p, "as") && !(n->out[i]->layer = lex_quoted(p, "a layer"))) return false;
        if (!parse_place(p, n->out[i])) return false;
    }
    size_t end = p->pos;
    if (!check_types(p, n, written, type_at, op_at)) return false;
    p->pos = end;
    return true;
}

static bool parse_node_end(struct parser *p, struct node *n)
{
    bool both = lex_accept_word(p, "layer");
    if (both || lex_accept_word(p, "in")) {
        n->layer = lex_quoted(p, "a layer");
        if (!n->layer) return false;
        if (both && n->nout && !n->out[0]->layer) n->out[0]->layer = n->layer;
    }
    if (!lex_accept_word(p, "loc")) return true;
    if (!parse_loc(p, &n->span)) return false;
    for (int i = 0; i < n->nout; i++) n->out[i]->span = n->span;
    return true;
}

/* ---- regions: {nodes, then `yield %a, %b`} */

static bool parse_node(struct parser *p, bool prepare, bool recompute);

static bool parse_yield(struct parser *p, struct draft *t)
{
    do {
        lex_skip_space(p);
        size_t begin = p->pos;
        struct value *v = defined(p, "yield");
        if (!v) return false;
        if (t->nin == REGION_YIELD + MAX_OUTS) return FAIL(p, begin, "a region yields at most %d values", MAX_OUTS);
        bool nested = false;
        for (const struct node *n = p->graph->last; n && n != t->last; n = n->prev) nested = nested || n == v->def;
        if (!nested) return FAIL(p, begin, "%%%s is not defined in this region", v->name);
        t->in[t->nin++] = v;
    } while (lex_accept(p, ','));
    return lex_expect(p, '}', "the values that the region yields");
}

static bool parse_nested(struct parser *p, struct draft *t)
{
    size_t begin = p->pos;
    if (p->depth == MAX_NESTING) return FAIL(p, begin, "at most %d regions in one another", MAX_NESTING);
    p->depth++;
    while (!lex_accept_word(p, "yield")) {
        lex_skip_space(p);
        begin = p->pos;
        if (!lex_next_is(p, '%')) {
            if (!lex_word(p) && p->pos < p->src->len) p->pos++;
            return FAIL(p, begin, "a region holds nodes and, at its end, 'yield'");
        }
        if (!parse_node(p, false, false)) return false;
    }
    p->depth--;
    if (!parse_yield(p, t)) return false;
    for (int i = 0; i < t->nout; i++) /* the region's nodes may have taken the name */
        if (strmap_get(&p->values, t->out[i])) return FAIL(p, t->begin, "%%%s is defined already", t->out[i]);
    return true;
}

/* Behind the operands; an operator that owns a region has no attributes. The nested nodes are read before the one that
 * owns them is made. */
static bool parse_region(struct parser *p, struct draft *t)
{
    if (t->nin > REGION_YIELD) return FAIL(p, t->op_at, "%s takes a condition, a count and an index", t->op->name);
    while (t->nin < REGION_YIELD) t->in[t->nin++] = NULL;
    t->last = p->graph->last;
    return lex_expect(p, '{', "the region's operands") && parse_nested(p, t);
}

static void nest(struct parser *p, const struct draft *t, struct node *n)
{
    if (!t->op->owns) return;
    for (struct node *m = t->last ? t->last->next : p->graph->first, *next; m != n; m = next) {
        next = m->next;
        graph_nest(p->graph, m, n);
    }
}

static bool parse_node(struct parser *p, bool prepare, bool recompute)
{
    lex_skip_space(p);
    struct draft t = {.begin = p->pos, .prepare = prepare, .recompute = recompute};
    if (!parse_outs(p, &t)) return false;
    lex_skip_space(p);
    t.op_at = p->pos;
    t.op = parse_op(p);
    if (!t.op || !parse_inputs(p, &t)) return false;
    t.attr = ARENA_ARRAY(p->arena, struct attr, t.op->nattr + 1);
    for (int i = 0; i < t.op->nattr; i++) t.attr[i] = t.op->attrs[i].def;
    if (!(t.op->owns ? parse_region(p, &t) : parse_attrs(p, t.op, t.attr))) return false;
    if (!parse_bodies(p, &t) || !check_draft(p, &t)) return false;
    struct node *n = make_node(p, &t);
    nest(p, &t, n);
    return parse_types(p, n, t.op_at) && parse_node_end(p, n);
}

/* ---- outputs, updates, the whole */

static bool parse_output(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    const char *label = lex_quoted(p, "the output's label");
    if (!label) return false;
    if (!strmap_add(&p->labels, label, p)) return FAIL(p, begin, "there is an output \"%s\" already", label);
    struct value *v = defined(p, "the label");
    if (v) graph_output(p->graph, label, v);
    return v != NULL;
}

static bool parse_update(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    struct value *state = defined(p, "update");
    if (!state) return false;
    if (state->kind != VALUE_PARAM && state->kind != VALUE_BUFFER && state->kind != VALUE_OPTIM)
        return FAIL(p, begin, "only a param, a buffer or an optim value can be updated");
    for (int i = 0; i < p->graph->nupdates; i++)
        if (p->graph->updates[i].state == state) return FAIL(p, begin, "%%%s is updated already", state->name);
    if (!lex_expect(p, '=', "the value to be updated")) return false;
    lex_skip_space(p);
    begin = p->pos;
    struct value *v = defined(p, "'='");
    if (!v) return false;
    if (!type_equal(&v->type, &state->type))
        return FAIL(p, begin, "%%%s is %s, but %%%s is %s", v->name, type_text(p->arena, &v->type), state->name,
                    type_text(p->arena, &state->type));
    graph_set_update(p->graph, state, v);
    return true;
}

static bool parse_stage(struct parser *p, struct graph *g)
{
    int64_t arena = 0, state = 0, bound = 0;
    if (!lex_expect(p, '=', "stage")) return false;
    if (lex_accept_word(p, "layout")) {
        g->stage = STAGE_LAYOUT;
        return true;
    }
    lex_skip_space(p);
    size_t begin = p->pos;
    if (!lex_accept_word(p, "planned")) {
        lex_word(p);
        return FAIL(p, begin, "a stage is layout or planned; without a stage the graph is raw");
    }
    g->stage = STAGE_PLANNED;
    bool ok = lex_accept_word(p, "arena") && lex_expect(p, '=', "arena") &&
              lex_integer(p, 0, INT64_MAX, "the arena's size", &arena) && lex_accept_word(p, "state") &&
              lex_expect(p, '=', "state") && lex_integer(p, 0, INT64_MAX, "the state's size", &state) &&
              lex_accept_word(p, "bound") && lex_expect(p, '=', "bound") &&
              lex_integer(p, 0, INT64_MAX, "the lower bound", &bound);
    g->arena_bytes = (size_t)arena;
    g->state_bytes = (size_t)state;
    g->lower_bound_bytes = (size_t)bound;
    return ok || p->failed || FAIL(p, begin, "a planned graph has arena=…, state=… and bound=…");
}

static bool parse_header(struct parser *p)
{
    lex_skip_space(p);
    size_t begin = p->pos;
    if (!lex_accept_word(p, "graph")) {
        if (p->pos < p->src->len) p->pos++;
        return FAIL(p, begin, "expected 'graph @name batch=N {'");
    }
    const char *s = lex_name(p, '@', "graph");
    int64_t batch = 0, lanes = 0, saved = 0;
    lex_skip_space(p);
    begin = p->pos;
    if (!s) return false;
    if (!lex_accept_word(p, "batch")) return FAIL(p, begin, "expected batch=N after the graph's name");
    if (!lex_expect(p, '=', "batch") || !lex_integer(p, 1, INT32_MAX, "the batch", &batch)) return false;
    p->graph = graph_new(p->arena, s, batch);
    if (lex_accept_word(p, "lanes") && (!lex_expect(p, '=', "lanes") || !lex_integer(p, 1, 64, "the lanes", &lanes)))
        return false;
    p->graph->lanes = (int)lanes;
    p->graph->train = lex_accept_word(p, "train");
    if (lex_accept_word(p, "saved") &&
        (!lex_expect(p, '=', "saved") || !lex_integer(p, 0, INT64_MAX, "the saved bytes", &saved)))
        return false;
    p->graph->saved_bytes = (size_t)saved;
    if (lex_accept_word(p, "stage") && !parse_stage(p, p->graph)) return false;
    return !p->failed && lex_expect(p, '{', "the graph's header");
}

static bool parse_statement(struct parser *p)
{
    static const struct {
        const char *word;
        enum value_kind kind;
    } kinds[] = {
        {"input", VALUE_INPUT},   {"target", VALUE_TARGET},   {"param", VALUE_PARAM},
        {"buffer", VALUE_BUFFER}, {"counter", VALUE_COUNTER}, {"optim", VALUE_OPTIM},
    };
    if (lex_next_is(p, '%')) return parse_node(p, false, false);
    size_t begin = p->pos;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (lex_accept_word(p, kinds[i].word)) return parse_arg(p, kinds[i].kind);
    if (lex_accept_word(p, "prepare")) return parse_node(p, true, false);
    if (lex_accept_word(p, "recompute")) return parse_node(p, false, true);
    if (lex_accept_word(p, "output")) return parse_output(p);
    if (lex_accept_word(p, "update")) return parse_update(p);
    if (!lex_word(p) && p->pos < p->src->len) p->pos++;
    return FAIL(p, begin, "expected an argument, a node, an output, an update or '}'");
}

struct graph *graph_parse(struct arena *a, struct diags *d, const struct source *src)
{
    struct parser p = {.arena = a, .diags = d, .src = src};
    strmap_init(&p.values, a);
    strmap_init(&p.paths, a);
    strmap_init(&p.labels, a);
    if (!parse_header(&p)) return NULL;
    while (!lex_accept(&p, '}'))
        if (!parse_statement(&p)) return NULL;
    lex_skip_space(&p);
    size_t begin = p.pos;
    if (p.pos < src->len) {
        p.pos++;
        FAIL(&p, begin, "nothing may follow the closing '}'");
        return NULL;
    }
    return p.graph;
}
