/* op.c: the operator table and what works on any row of it. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/diag.h"
#include "ir/op.h"
#include "ir/segments.h"

/* ---- the table: the families' rows, gathered once, constant afterwards */

#define FAMILIES(X) \
    X(conv) X(dense) X(norm) X(pointwise) X(pool) X(shape) X(resize) X(softmax) X(dropout) X(loss) X(update) X(subset)
#define DECLARE(f)                              \
    extern const struct op_def op_##f##_rows[]; \
    extern const int op_##f##_nrows;
FAMILIES(DECLARE)
#undef DECLARE

enum { MAX_OPS = 256 };
static struct {
    pthread_once_t once;
    const struct op_def *all[MAX_OPS + 1]; /* in the order of the families */
    const struct op_def *sorted[MAX_OPS];  /* by name */
    int count;
} table = {.once = PTHREAD_ONCE_INIT};

static int by_name(const void *a, const void *b)
{
    const struct op_def *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void gather(const struct op_def *rows, int n)
{
    for (int i = 0; i < n; i++) {
        assert(table.count < MAX_OPS);
        table.all[table.count++] = &rows[i];
    }
}

static void fill_table(void)
{
#define GATHER(f) gather(op_##f##_rows, op_##f##_nrows);
    FAMILIES(GATHER)
#undef GATHER
    memcpy(table.sorted, table.all, sizeof table.sorted);
    qsort(table.sorted, (size_t)table.count, sizeof table.sorted[0], by_name);
    for (int i = 1; i < table.count; i++) assert(strcmp(table.sorted[i - 1]->name, table.sorted[i]->name) != 0);
}

const struct op_def *const *op_all(void)
{
    pthread_once(&table.once, fill_table);
    return table.all;
}

static int name_against_row(const void *name, const void *row)
{
    const struct op_def *const *op = row;
    return strcmp(name, (*op)->name);
}

const struct op_def *op_find(const char *name)
{
    pthread_once(&table.once, fill_table);
    const struct op_def **found =
        bsearch(name, table.sorted, (size_t)table.count, sizeof table.sorted[0], name_against_row);
    return found ? *found : NULL;
}

int op_attr_index(const struct op_def *op, const char *name)
{
    for (int i = 0; i < op->nattr; i++)
        if (strcmp(op->attrs[i].name, name) == 0) return i;
    return -1;
}

const char *op_phase_name(enum op_phase p)
{
    static const char *const names[] = {"forward", "backward", "update", "prepare"};
    return names[p];
}

bool op_fail(struct op_error *e, const char *fmt, ...)
{
    if (!e || !e->arena) return false;
    va_list ap;
    va_start(ap, fmt);
    e->message = arena_vprintf(e->arena, fmt, ap);
    va_end(ap);
    e->note = NULL;
    return false;
}

/* ---- attributes of a reference call */

static const struct attr *ref_attr(const struct ref_call *c, const char *name)
{
    int i = op_attr_index(c->op, name);
    assert(i >= 0);
    return &c->attr[i];
}

int64_t ref_int(const struct ref_call *c, const char *name)
{
    const struct attr *a = ref_attr(c, name);
    return a->type == ATTR_BOOL ? a->b : a->i;
}

double ref_float(const struct ref_call *c, const char *name)
{
    const struct attr *a = ref_attr(c, name);
    return a->type == ATTR_FLOAT ? a->f : (double)ref_int(c, name);
}

const int64_t *ref_ints(const struct ref_call *c, const char *name) { return ref_attr(c, name)->v; }

/* ---- attributes as text */

static const char *type_words(enum attr_type t)
{
    switch (t) {
    case ATTR_INT: return "an integer";
    case ATTR_FLOAT: return "a number";
    case ATTR_BOOL: return "true or false";
    case ATTR_ENUM: return "one of the choices";
    case ATTR_PAIR: return "an integer or [h, w]";
    case ATTR_QUAD: return "an integer, [h, w] or [top, left, bottom, right]";
    case ATTR_TEXT: return "text";
    }
    return "";
}

static bool in_range(const struct op_attr *row, double x, struct op_error *e)
{
    if (!row->has_range || (x >= row->min && x <= row->max)) return true;
    if (isinf(row->max)) return op_fail(e, "must be at least %g, not %g", row->min, x);
    return op_fail(e, "must be from %g to %g, not %g", row->min, row->max, x);
}

static const char *skip_space(const char *s)
{
    while (isspace((unsigned char)*s)) s++;
    return s;
}

static bool parse_int(const char **s, int64_t *out)
{
    char *end;
    errno = 0;
    long long x = strtoll(*s, &end, 10);
    if (end == *s || errno == ERANGE) return false;
    *s = skip_space(end);
    *out = x;
    return true;
}

/* "3", "1,2", "[1, 2]", "[1, 2, 3, 4]": how many integers, or -1. */
static int parse_list(const char *s, int64_t out[4])
{
    s = skip_space(s);
    bool bracket = *s == '[';
    if (bracket) s = skip_space(s + 1);
    int n = 0;
    for (;;) {
        if (n == 4 || !parse_int(&s, &out[n++])) return -1;
        if (*s != ',') break;
        s = skip_space(s + 1);
    }
    if (bracket && *s++ != ']') return -1;
    return *skip_space(s) == '\0' ? n : -1;
}

/* A single number stands for all elements; [h, w] of a QUAD for both sides of each axis. */
static bool spread(enum attr_type type, int n, int64_t v[4])
{
    if (n == 1) v[1] = v[2] = v[3] = v[0];
    else if (type == ATTR_QUAD && n == 2) {
        v[2] = v[0];
        v[3] = v[1];
    } else if (n != (type == ATTR_QUAD ? 4 : 2)) return false;
    if (type == ATTR_PAIR) v[2] = v[3] = 0;
    return true;
}

static bool parse_enum(const struct op_attr *row, const char *text, struct attr *out, struct op_error *e)
{
    size_t n = 0;
    for (; row->choices[n]; n++)
        if (strcmp(row->choices[n], text) == 0) {
            out->i = (int64_t)n;
            return true;
        }
    if (!e || !e->arena) return false;
    struct buf b;
    buf_init(&b, e->arena);
    for (size_t i = 0; i < n; i++) buf_printf(&b, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", row->choices[i]);
    op_fail(e, "must be %s, not '%s'", b.data, text);
    const char *near = did_you_mean(text, row->choices, n);
    if (near) e->note = arena_printf(e->arena, "did you mean '%s'?", near);
    return false;
}

/* Bare text, or "quoted" with \" and \\. */
static const char *parse_text(const char *s, struct arena *a)
{
    size_t n = strlen(s);
    if (n < 2 || s[0] != '"' || s[n - 1] != '"') return a ? arena_strdup(a, s) : s;
    if (!a) return NULL;
    char *out = arena_alloc(a, n), *p = out;
    for (const char *q = s + 1; q < s + n - 1; q++) {
        if (*q == '\\' && q + 1 < s + n - 1) q++;
        *p++ = *q;
    }
    return out;
}

static bool parse_float(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *skip_space(end) == '\0' && isfinite(*out);
}

static bool wrong_type(const struct op_attr *row, const char *text, struct op_error *e)
{
    return op_fail(e, "must be %s, not '%s'", type_words(row->def.type), text);
}

bool op_attr_parse(const struct op_attr *row, const char *text, struct attr *out, struct op_error *e)
{
    struct attr a = {.type = row->def.type};
    const char *s = skip_space(text);
    int n;
    switch (a.type) {
    case ATTR_INT:
        if (!parse_int(&s, &a.i) || *s) return wrong_type(row, text, e);
        if (!in_range(row, (double)a.i, e)) return false;
        break;
    case ATTR_FLOAT:
        if (!parse_float(s, &a.f)) return wrong_type(row, text, e);
        if (!in_range(row, a.f, e)) return false;
        break;
    case ATTR_BOOL:
        if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0) return wrong_type(row, text, e);
        a.b = s[0] == 't';
        break;
    case ATTR_ENUM:
        if (!parse_enum(row, s, &a, e)) return false;
        break;
    case ATTR_PAIR:
    case ATTR_QUAD:
        n = parse_list(s, a.v);
        if (n < 0 || !spread(a.type, n, a.v)) return wrong_type(row, text, e);
        for (int i = 0; i < (a.type == ATTR_PAIR ? 2 : 4); i++)
            if (!in_range(row, (double)a.v[i], e)) return false;
        break;
    case ATTR_TEXT: a.s = parse_text(text, e ? e->arena : NULL); break;
    }
    *out = a;
    return true;
}

/* The shortest decimal that reads back as the same double. */
static void print_float(double x, char *out, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

static void print_text(const char *s, char *out, size_t size)
{
    size_t k = 0;
    if (size < 3) return;
    out[k++] = '"';
    for (; s && *s && k + 3 < size; s++) {
        if (*s == '"' || *s == '\\') out[k++] = '\\';
        out[k++] = *s;
    }
    out[k++] = '"';
    out[k] = '\0';
}

void op_attr_print(const struct op_attr *row, const struct attr *a, char *out, size_t size)
{
    switch (a->type) {
    case ATTR_INT: snprintf(out, size, "%lld", (long long)a->i); break;
    case ATTR_FLOAT: print_float(a->f, out, size); break;
    case ATTR_BOOL: snprintf(out, size, "%s", a->b ? "true" : "false"); break;
    case ATTR_ENUM: snprintf(out, size, "%s", row->choices[a->i]); break;
    case ATTR_PAIR: snprintf(out, size, "[%lld, %lld]", (long long)a->v[0], (long long)a->v[1]); break;
    case ATTR_QUAD:
        snprintf(out, size, "[%lld, %lld, %lld, %lld]", (long long)a->v[0], (long long)a->v[1], (long long)a->v[2],
                 (long long)a->v[3]);
        break;
    case ATTR_TEXT: print_text(a->s, out, size); break;
    }
}

bool op_attr_equal(const struct attr *a, const struct attr *b)
{
    if (a->type != b->type) return false;
    switch (a->type) {
    case ATTR_INT:
    case ATTR_ENUM: return a->i == b->i;
    case ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case ATTR_BOOL: return a->b == b->b;
    case ATTR_PAIR: return memcmp(a->v, b->v, 2 * sizeof a->v[0]) == 0;
    case ATTR_QUAD: return memcmp(a->v, b->v, 4 * sizeof a->v[0]) == 0;
    case ATTR_TEXT: return strcmp(a->s ? a->s : "", b->s ? b->s : "") == 0;
    }
    return false;
}

/* ---- shapes of nodes */

static bool check_arity(const struct op_def *op, int nin, struct value *const *in, struct op_error *e)
{
    int need = 0;
    for (int i = 0; i < op->noperands; i++)
        if (!op->operands[i].optional) need = i + 1;
    if (nin < need || (!op->variadic && nin > op->noperands))
        return op_fail(e, "%s takes %s%d operands, not %d", op->name, op->variadic ? "at least " : "",
                       nin < need ? need : op->noperands, nin);
    for (int i = 0; i < nin; i++) {
        const struct op_operand *o = &op->operands[i < op->noperands ? i : op->noperands - 1];
        if (!in[i] && !o->optional) return op_fail(e, "%s lacks its operand '%s'", op->name, o->name);
    }
    return true;
}

enum op_squash op_loss_squash(const struct op_def *op, const struct attr *attr)
{
    int k = op_attr_index(op, "from_logits");
    return k >= 0 && !attr[k].b ? SQUASH_NONE : op->squash;
}

const char *op_squash_name(enum op_squash squash)
{
    const struct op_def *const *o = op_all();
    while (*o && ((*o)->class_ != OP_LAYER || (*o)->squash != squash)) o++;
    return *o ? (*o)->name : "nothing";
}

enum op_work op_work_of(const struct op_def *op) { return op->work ? op->work : op->family->work; }
bool op_bf16(const struct op_def *op) { return op->bf16 || op->family->elementwise; }

/* T as a shape rule sees it. */
static struct type computed(const struct type *t)
{
    struct type r = *t;
    r.dtype = dtype_computed(r.dtype);
    return r;
}

static const struct op_operand *operand_row(const struct op_def *op, int i)
{
    return &op->operands[i < op->noperands ? i : op->noperands - 1];
}

/* The first operand that has a row for each sample, or NULL; that the others fit it. */
static bool batched_operand(const struct op_def *op, const struct type *in, int nin, const struct type **found,
                            struct op_error *e)
{
    *found = NULL;
    for (int i = 0; i < nin && !*found; i++)
        if (in[i].rank > 0 && in[i].batched) *found = &in[i];
    for (int i = 0; i < nin && *found; i++) {
        const struct op_operand *o = operand_row(op, i);
        bool state = o->kind == OPERAND_PARAM || o->kind == OPERAND_BUFFER;
        bool small = in[i].rank < 2 && o->kind != OPERAND_TARGET;
        if (in[i].rank < 0 || in[i].batched == !state || (!in[i].batched && small)) continue;
        return op_fail(e,
                       state ? "the operand '%s' cannot have a row for each sample"
                             : "the operand '%s' has no row for each sample, as others have",
                       o->name);
    }
    return true;
}

bool op_result_types(const struct op_def *op, const struct type *in, int nin, const struct attr *attr, struct type *out,
                     struct op_error *e)
{
    const struct type *batched;
    if (!op->infer(in, nin, attr, out, e) || !batched_operand(op, in, nin, &batched, e)) return false;
    bool elementwise = op->family->elementwise || op->repacks; /* each number of the result is that of the operand */
    for (int i = 0; i < nin; i++)
        if (in[i].rank > 0 && in[i].bounded != (elementwise ? in[0].bounded : 0))
            return op_fail(e, "the operand '%s' cannot be a list", operand_row(op, i)->name);
    for (int i = 0; i < op->nouts; i++) {
        out[i].batched = batched && !op->sums_samples;
        out[i].bounded = elementwise ? in[0].bounded : 0;
        assert(!out[i].batched || (out[i].rank > 0 && out[i].dim[0] == batched->dim[0]));
    }
    return true;
}

/* The types of the operator's own results, before any body. */
static bool infer_anchor(const struct node *n, struct type *out, struct op_error *e)
{
    int nin = node_anchors(n);
    if (!check_arity(n->op, nin, n->in, e)) return false;
    if (nin > MAX_INS) return op_fail(e, "%s takes at most %d operands, not %d", n->op->name, MAX_INS, nin);
    struct type in[MAX_INS];
    for (int i = 0; i < nin; i++) in[i] = n->in[i] ? computed(&n->in[i]->type) : (struct type){.rank = -1};
    if (!n->op->infer) return op_fail(e, "%s can't stand without a body", n->op->name);
    if (op_results(n) > MAX_OUTS) return op_fail(e, "%s has at most %d results", n->op->name, MAX_OUTS);
    if (!op_result_types(n->op, in, nin, n->attr, out, e)) return false;
    return !n->op->family->computes || n->op->family->computes(n, out, e);
}

/* Does a body operand go with results of type FULL: the same shape, [C] or []? */
static bool operand_fits(const struct type *t, const struct type *full)
{
    if (t->rank == 0) return true;
    if (t->rank == 1 && full->rank >= 2) return t->dim[0] == full->dim[1] && !t->batched;
    return type_same_dims(t, full) && t->batched == full->batched && t->bounded == full->bounded;
}

/* The shape that a body works on: the anchor's result or, without an anchor, the operand of the highest rank. */
static bool body_shape(const struct node *n, const struct type *acc, struct type *full, struct op_error *e)
{
    if (n->nanchor > 0) {
        *full = acc[0];
        return true;
    }
    full->rank = -1;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->type.rank > full->rank) *full = n->in[i]->type;
    if (full->rank < 0) return op_fail(e, "%s with a body needs an operand", n->op->name);
    full->dtype = DT_F32;
    full->layout = LAYOUT_PLAIN;
    full->v = full->iv = 0;
    return true;
}

static bool check_ref(const struct node *n, const struct body *b, int nacc, int ninsn, const struct body_ref *r,
                      struct op_error *e)
{
    bool ok = r->source == BODY_INSN     ? r->index < ninsn
              : r->source == BODY_SECOND ? r->index < ninsn && b->insn[r->index].op->nouts > 1
              : r->source == BODY_ACC    ? r->index < nacc
                                         : r->index >= n->nanchor && r->index < n->nin;
    return ok || op_fail(e, "the body of %s refers to something that is not there", n->op->name);
}

/* Only a prologue reads the input: whether it fits is a matter of that one. */
static bool of_prologues_alone(const struct node *n, int operand)
{
    bool pre = false;
    for (int k = 0; k < MAX_PRE; k++) pre = pre || body_reads(n->pre[k], operand);
    return pre && !body_reads(n->body, operand);
}

/* T as the IR's text has it, without the layout. */
static const char *plain_text(const struct op_error *e, const struct type *t)
{
    struct type plain = *t;
    plain.layout = LAYOUT_PLAIN;
    return type_text(e->arena, &plain);
}

/* B, the body of N or (PRE) a prologue, works on values of type FULL, of which the anchor hands it NACC. */
static bool check_body(const struct node *n, const struct body *b, bool pre, int nacc, const struct type *full,
                       struct op_error *e)
{
    for (int i = n->nanchor; i < n->nin; i++) {
        if (!n->in[i]) return op_fail(e, "a body operand of %s is absent", n->op->name);
        if (pre ? !body_reads(b, i) : of_prologues_alone(n, i)) continue;
        if (!operand_fits(&n->in[i]->type, full))
            return op_fail(e, "a body operand of shape %s does not go with %s", plain_text(e, &n->in[i]->type),
                           plain_text(e, full));
    }
    for (int i = 0; i < b->ninsn; i++) {
        const struct body_insn *in = &b->insn[i];
        if (!in->op->family->elementwise && !in->op->family->sums)
            return op_fail(e, "%s is neither pointwise nor a sum and can't stand in a body", in->op->name);
        for (int k = 0; k < in->narg; k++)
            if (!check_ref(n, b, nacc, i, &in->arg[k], e)) return false;
    }
    for (int i = 0; i < b->nout; i++)
        if (!check_ref(n, b, nacc, b->ninsn, &b->out[i], e)) return false;
    return true;
}

static bool check_pre(const struct node *n, struct op_error *e)
{
    for (int k = 0; k < MAX_PRE; k++) {
        if (!n->pre[k]) continue;
        if (k >= n->op->prologues || k >= n->nanchor)
            return op_fail(e, "%s takes no prologue for operand %d", n->op->name, k);
        if (n->pre[k]->nout != 1) return op_fail(e, "a prologue has one result, not %d", n->pre[k]->nout);
        if (!check_body(n, n->pre[k], true, 1, &n->in[k]->type, e)) return false;
    }
    return true;
}

int body_sums(const struct body *b)
{
    int count = 0;
    while (count < b->ninsn && b->insn[b->ninsn - 1 - count].op->family->sums) count++;
    return count;
}

int op_results(const struct node *n)
{
    if (n->op->owns) return n->nin > REGION_YIELD ? n->nin - REGION_YIELD : 0;
    return n->body ? n->body->nout : n->op->nouts;
}

int body_elementwise(const struct body *b)
{
    int sums = 0;
    for (int i = b->ninsn - body_sums(b); i < b->ninsn; i++) sums += b->insn[i].op->nouts;
    return b->nout - sums;
}

/* The type of what R refers to, in a body on values of type FULL. */
static bool ref_type(const struct node *n, const struct body_ref *r, const struct type *acc, const struct type *full,
                     struct type *out, struct op_error *e)
{
    *out = r->source == BODY_ACC ? acc[r->index] : r->source == BODY_OPERAND ? n->in[r->index]->type : *full;
    if (r->source != BODY_INSN && r->source != BODY_SECOND) return true;
    const struct body_insn *b = &n->body->insn[r->index];
    if (!b->op->family->sums) return true;
    struct type in[MAX_BODY_ARGS], sums[MAX_OUTS];
    for (int k = 0; k < b->narg; k++)
        if (!ref_type(n, &b->arg[k], acc, full, &in[k], e)) return false;
    for (int k = 0; k < b->narg; k++) in[k] = computed(&in[k]);
    if (!op_result_types(b->op, in, b->narg, b->attr, sums, e)) return false;
    *out = sums[r->source == BODY_SECOND];
    return true;
}

/* A result keeps its layout, and the type that it is rounded to, where the shape is what it was. */
static void set_type(struct value *v, const struct type *t)
{
    struct type is = computed(&v->type);
    if (!type_same_shape(&is, t) || (dtype_rounded(v->type.dtype) && t->rank != 4)) v->type = *t;
    v->type.batched = t->batched;
    v->type.bounded = t->bounded;
}

bool op_infer(struct node *n, struct op_error *e)
{
    struct type acc[MAX_OUTS], full;
    memset(acc, 0, sizeof acc);
    bool anchored = !n->body || n->nanchor > 0;
    if (anchored && (!infer_anchor(n, acc, e) || !check_pre(n, e))) return false;
    int nout = op_results(n);
    if (n->nout < nout) return op_fail(e, "%s has %d results, not %d", n->op->name, nout, n->nout);
    if (!n->body) {
        for (int i = 0; i < nout; i++) set_type(n->out[i], &acc[i]);
        return true;
    }
    if (!body_shape(n, acc, &full, e) || !check_body(n, n->body, false, anchored ? n->op->nouts : 0, &full, e))
        return false;
    for (int i = 0; i < nout; i++) {
        struct type t;
        if (!ref_type(n, &n->body->out[i], acc, &full, &t, e)) return false;
        t = computed(&t);
        set_type(n->out[i], &t);
    }
    return true;
}

int64_t op_macs(const struct node *n) { return n->op->macs ? n->op->macs(n) : 0; }

bool op_takes_pre(const struct node *n, int k)
{
    if (k >= n->op->prologues || n->in[k]->type.layout != LAYOUT_BLOCKED || (k == 0 && segments_of(n, NULL) > 1))
        return false;
    struct pre_reads r;
    return n->op->family->reads_pre && n->op->family->reads_pre(n, k, &r);
}

struct value *node_workspace(const struct node *n)
{
    int own = op_results(n);
    return n->nout > own ? n->out[n->nout - 1] : NULL;
}

/* ---- building */

struct node *op_build_attrs(struct graph *g, struct node *before, const char *op, struct value *const *in, int nin,
                            const struct attr *attr)
{
    const struct op_def *def = op_find(op);
    assert(def);
    struct node *n = graph_node(g, before, def, in, nin, def->nouts);
    if (attr) memcpy(n->attr, attr, (size_t)def->nattr * sizeof *attr);
    struct op_error e = {.arena = g->arena};
    if (!op_infer(n, &e)) diag_bug("%s: %s", op, e.message);
    return n;
}

struct node *op_build(struct graph *g, struct node *before, const char *op, struct value *const *in, int nin)
{
    return op_build_attrs(g, before, op, in, nin, NULL);
}

void op_become(struct graph *g, struct node *n, const char *op, struct value *const *in, int nin)
{
    const struct op_def *def = op_find(op);
    assert(def);
    struct attr *attr = ARENA_ARRAY(g->arena, struct attr, def->nattr + 1);
    for (int i = 0; i < def->nattr; i++) {
        int old = op_attr_index(n->op, def->attrs[i].name);
        attr[i] = old >= 0 ? n->attr[old] : def->attrs[i].def;
    }
    n->op = def;
    n->attr = attr;
    node_set_in(g, n, in, nin);
    n->nanchor = nin;
    while (n->nout < def->nouts) node_add_out(g, n);
    bool ok = op_infer(n, NULL);
    assert(ok);
    (void)ok;
}
