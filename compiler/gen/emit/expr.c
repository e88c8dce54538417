/* expr.c: pointwise expressions: parsed into a graph over a whole body, simplified, and written as vector code, each
   part at the outermost place that has what it needs. */
#include "gen/emit/expr.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum expr_op {
    X_CONST,
    X_N,
    X_LR,
    X_STEP,
    X_OPERAND,
    X_ACC,
    X_ADD,
    X_SUB,
    X_MUL,
    X_DIV,
    X_NEG,
    X_LT,
    X_LE,
    X_GT,
    X_GE,
    X_EQ,
    X_SELECT,
    X_MIN,
    X_MAX,
    X_ABS,
    X_EXP,
    X_LOG,
    X_TANH,
    X_ERF,
    X_SQRT,
    X_POW,
};

static const struct {
    const char *name;
    uint8_t op;
    uint8_t nargs;
} functions[] = {
    {"select", X_SELECT, 3}, {"min", X_MIN, 2},   {"max", X_MAX, 2}, {"abs", X_ABS, 1},   {"exp", X_EXP, 1},
    {"log", X_LOG, 1},       {"tanh", X_TANH, 1}, {"erf", X_ERF, 1}, {"sqrt", X_SQRT, 1}, {"pow", X_POW, 2},
};

static bool is_compare(uint8_t op) { return op >= X_LT && op <= X_EQ; }

/* ---- building the graph */

static int intern(struct body_state *s, uint8_t op, uint8_t level, int a, int b, int c, double value)
{
    for (int i = 0; i < s->nnodes; i++) {
        const struct expr_node *x = &s->node[i];
        if (x->op == op && x->arg[0] == a && x->arg[1] == b && x->arg[2] == c &&
            memcmp(&x->value, &value, sizeof value) == 0)
            return i;
    }
    assert(s->nnodes < MAX_EXPR);
    s->node[s->nnodes] =
        (struct expr_node){.op = op, .level = level, .arg = {(int16_t)a, (int16_t)b, (int16_t)c}, .value = value};
    return s->nnodes++;
}

static int constant(struct body_state *s, double x) { return intern(s, X_CONST, LEVEL_CONST, -1, -1, -1, x); }
static int level(const struct body_state *s, int i) { return s->node[i].level; }
static bool is_value(const struct body_state *s, int i, double x)
{
    return s->node[i].op == X_CONST && s->node[i].value == x;
}

static double fold(uint8_t op, double a, double b, double c)
{
    switch (op) {
    case X_ADD: return a + b;
    case X_SUB: return a - b;
    case X_MUL: return a * b;
    case X_DIV: return a / b;
    case X_NEG: return -a;
    case X_LT: return a < b;
    case X_LE: return a <= b;
    case X_GT: return a > b;
    case X_GE: return a >= b;
    case X_EQ: return a == b;
    case X_SELECT: return a != 0 ? b : c;
    case X_MIN: return a < b ? a : b;
    case X_MAX: return a > b ? a : b;
    case X_ABS: return fabs(a);
    case X_EXP: return exp(a);
    case X_LOG: return log(a);
    case X_TANH: return tanh(a);
    case X_ERF: return erf(a);
    case X_SQRT: return sqrt(a);
    default: assert(op == X_POW); return pow(a, b);
    }
}

static int make(struct body_state *s, uint8_t op, int a, int b, int c);

/* x·y with the more variable factor first; (X·a)·b becomes X·(a·b) when a·b can be computed further out. */
static int make_mul(struct body_state *s, int a, int b)
{
    if (level(s, a) < level(s, b)) {
        int t = a;
        a = b;
        b = t;
    }
    if (is_value(s, b, 0)) return b;
    if (is_value(s, b, 1)) return a;
    if (is_value(s, b, -1)) return make(s, X_NEG, a, -1, -1);
    const struct expr_node x = s->node[a];
    if (x.op == X_MUL && level(s, x.arg[1]) < x.level && level(s, b) < x.level)
        return make_mul(s, x.arg[0], make_mul(s, x.arg[1], b));
    return -1;
}

/* Identities that save work; -1: none applies. */
static int simplify(struct body_state *s, uint8_t op, int a, int b, int c)
{
    switch (op) {
    case X_ADD:
        if (is_value(s, a, 0)) return b;
        return is_value(s, b, 0) ? a : -1;
    case X_SUB:
        if (is_value(s, b, 0)) return a;
        return is_value(s, a, 0) ? make(s, X_NEG, b, -1, -1) : -1;
    case X_MUL: return make_mul(s, a, b);
    case X_DIV: /* a division that can be done once, further out */
        if (is_value(s, b, 1)) return a;
        if (level(s, a) > level(s, b)) return make(s, X_MUL, a, make(s, X_DIV, constant(s, 1), b, -1), -1);
        return -1;
    case X_SELECT:
        if (level(s, a) == LEVEL_CONST) return s->node[a].value != 0 ? b : c;
        return b == c ? b : -1;
    case X_POW:
        if (is_value(s, b, 2)) return make(s, X_MUL, a, a, -1);
        if (is_value(s, b, 0.5)) return make(s, X_SQRT, a, -1, -1);
        return is_value(s, b, 1) ? a : -1;
    case X_MIN:
    case X_MAX: /* the less variable one first: a NaN in the other survives */
        if (level(s, a) > level(s, b)) return make(s, op, b, a, -1);
        return a == b ? a : -1;
    default: return -1;
    }
}

static int make(struct body_state *s, uint8_t op, int a, int b, int c)
{
    int args[3] = {a, b, c}, top = LEVEL_CONST;
    for (int i = 0; i < 3; i++)
        if (args[i] >= 0 && level(s, args[i]) > top) top = level(s, args[i]);
    if (top == LEVEL_CONST) {
        double x = s->node[a].value, y = b >= 0 ? s->node[b].value : 0, z = c >= 0 ? s->node[c].value : 0;
        return constant(s, fold(op, x, y, z));
    }
    int same = simplify(s, op, a, b, c);
    if (same >= 0) return same;
    if (op == X_MUL && level(s, a) < level(s, b)) {
        int t = a;
        a = b;
        b = t;
    }
    /* A run-time scalar's tanh and erf have no f64 form here; as vectors they have. */
    if (top == LEVEL_RUN && (op == X_TANH || op == X_ERF)) top = LEVEL_FIXED;
    return intern(s, op, (uint8_t)top, a, b, c, 0);
}

/* ---- parsing */

struct parser {
    struct body_state *s;
    const char *p;
    const struct op_def *op;
    const double *attr;
    const int *arg; /* graph nodes of the operands */
    int narg;
};

static void skip(struct parser *ps)
{
    while (isspace((unsigned char)*ps->p)) ps->p++;
}

static bool take(struct parser *ps, const char *token)
{
    skip(ps);
    size_t n = strlen(token);
    if (strncmp(ps->p, token, n) != 0) return false;
    ps->p += n;
    return true;
}

static int parse_expr(struct parser *ps);

static bool word_is(const char *word, size_t n, const char *name)
{
    return strlen(name) == n && memcmp(word, name, n) == 0;
}

static int parse_call(struct parser *ps, const char *word, size_t n)
{
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        if (!word_is(word, n, functions[k].name)) continue;
        int a[3] = {-1, -1, -1};
        for (int i = 0; i < functions[k].nargs; i++) {
            a[i] = parse_expr(ps);
            bool ok = take(ps, i + 1 < functions[k].nargs ? "," : ")");
            assert(ok);
            (void)ok;
        }
        return make(ps->s, functions[k].op, a[0], a[1], a[2]);
    }
    assert(0 && "a function that the grammar of expressions knows");
    return -1;
}

static int parse_name(struct parser *ps, const char *word, size_t n)
{
    for (int i = 0; i < ps->op->noperands; i++)
        if (word_is(word, n, ps->op->operands[i].name)) return i < ps->narg ? ps->arg[i] : constant(ps->s, 0);
    for (int i = 0; i < ps->op->nattr; i++)
        if (word_is(word, n, ps->op->attrs[i].name)) return constant(ps->s, ps->attr[i]);
    if (word_is(word, n, "n")) return intern(ps->s, X_N, LEVEL_RUN, -1, -1, -1, 0);
    if (word_is(word, n, "lr")) return intern(ps->s, X_LR, LEVEL_RUN, -1, -1, -1, 0);
    if (word_is(word, n, "step")) return intern(ps->s, X_STEP, LEVEL_RUN, -1, -1, -1, 0);
    assert(0 && "an operand, an attribute, n, lr or step");
    return -1;
}

static int parse_primary(struct parser *ps)
{
    skip(ps);
    if (take(ps, "(")) {
        int x = parse_expr(ps);
        bool ok = take(ps, ")");
        assert(ok);
        (void)ok;
        return x;
    }
    if (isdigit((unsigned char)*ps->p) || *ps->p == '.') {
        char *end;
        double x = strtod(ps->p, &end);
        ps->p = end;
        return constant(ps->s, x);
    }
    const char *word = ps->p;
    while (isalnum((unsigned char)*ps->p) || *ps->p == '_') ps->p++;
    size_t n = (size_t)(ps->p - word);
    assert(n > 0);
    return take(ps, "(") ? parse_call(ps, word, n) : parse_name(ps, word, n);
}

static int parse_unary(struct parser *ps)
{
    if (take(ps, "-")) return make(ps->s, X_NEG, parse_unary(ps), -1, -1);
    return parse_primary(ps);
}

static int parse_term(struct parser *ps)
{
    int x = parse_unary(ps);
    for (;;) {
        if (take(ps, "*")) x = make(ps->s, X_MUL, x, parse_unary(ps), -1);
        else if (take(ps, "/")) x = make(ps->s, X_DIV, x, parse_unary(ps), -1);
        else return x;
    }
}

static int parse_sum(struct parser *ps)
{
    int x = parse_term(ps);
    for (;;) {
        if (take(ps, "+")) x = make(ps->s, X_ADD, x, parse_term(ps), -1);
        else if (take(ps, "-")) x = make(ps->s, X_SUB, x, parse_term(ps), -1);
        else return x;
    }
}

static int parse_expr(struct parser *ps)
{
    static const struct {
        const char *token;
        uint8_t op;
    } compare[] = {{"<=", X_LE}, {"<", X_LT}, {">=", X_GE}, {">", X_GT}, {"==", X_EQ}};
    int x = parse_sum(ps);
    for (size_t i = 0; i < sizeof compare / sizeof *compare; i++)
        if (take(ps, compare[i].token)) return make(ps->s, compare[i].op, x, parse_sum(ps), -1);
    return x;
}

/* The results of one operator of the body, at most MAX of them. */
static int parse_insn(struct body_state *s, const struct op_def *op, const double *attr, const int *arg, int narg,
                      int *results, int max)
{
    assert(op->expr);
    struct parser ps = {.s = s, .p = op->expr, .op = op, .attr = attr, .arg = arg, .narg = narg};
    int n = 0;
    do results[n++] = parse_expr(&ps);
    while (n < max && take(&ps, ";"));
    return n;
}

/* ---- a body as a graph */

static int operand_node(struct body_state *s, int k)
{
    switch (s->body->operand[k].shape) {
    case OPERAND_ABSENT: return constant(s, 0);
    case OPERAND_FULL: return intern(s, X_OPERAND, LEVEL_FULL, k, -1, -1, 0);
    default: return intern(s, X_OPERAND, LEVEL_FIXED, k, -1, -1, 0);
    }
}

static int ref_node(struct body_state *s, struct body_ref r, int (*insn)[MAX_OUTS])
{
    switch (r.source) {
    case BODY_ACC: return intern(s, X_ACC, LEVEL_FULL, r.index, -1, -1, 0);
    case BODY_OPERAND: return operand_node(s, r.index);
    default: return insn[r.index][0];
    }
}

static void count_uses(struct body_state *s, int i)
{
    struct expr_node *x = &s->node[i];
    if (x->uses++ || x->op <= X_ACC) return;
    for (int k = 0; k < 3; k++)
        if (x->arg[k] >= 0) count_uses(s, x->arg[k]);
}

static void build(struct body_state *s, const struct gen_body *b)
{
    int insn[MAX_BODY][MAX_OUTS];
    s->body = b;
    s->nnodes = 0;
    for (int i = 0; i < b->ninsn; i++) {
        int arg[MAX_BODY_ARGS];
        for (int k = 0; k < b->insn[i].narg; k++) arg[k] = ref_node(s, b->insn[i].arg[k], insn);
        parse_insn(s, op_all()[b->insn[i].op], b->insn[i].attr, arg, b->insn[i].narg, insn[i], MAX_OUTS);
    }
    bool bare = b->ninsn == 1 && op_all()[b->insn[0].op]->nouts > 1; /* its expressions are the results, in order */
    for (int k = 0; k < b->nout; k++) s->out[k] = bare ? insn[0][k] : ref_node(s, b->out[k], insn);
    for (int k = 0; k < b->nsums; k++) {
        const struct gen_sum *sum = &b->sum[k];
        s->term[k][0] = ref_node(s, sum->value, insn);
        s->term[k][1] =
            sum->kind == SUM_GRAD ? make(s, X_SUB, ref_node(s, sum->x, insn), ref_node(s, sum->mean, insn), -1) : -1;
        for (int i = 0; i < 2; i++)
            if (s->term[k][i] >= 0) count_uses(s, s->term[k][i]);
    }
    for (int k = 0; k < b->nout; k++) count_uses(s, s->out[k]);
}

bool body_keeps_zero(const struct gen_body *b)
{
    for (int k = 0; k < b->noperands; k++)
        if (b->operand[k].shape == OPERAND_SCALAR) return false;
    for (int i = 0; i < b->ninsn; i++)
        if (!op_all()[b->insn[i].op]->keeps_zero) return false;
    return true;
}

/* ---- code */

static LLVMRealPredicate predicate(uint8_t op)
{
    switch (op) {
    case X_LT: return LLVMRealOLT;
    case X_LE: return LLVMRealOLE;
    case X_GT: return LLVMRealOGT;
    case X_GE: return LLVMRealOGE;
    default: return LLVMRealOEQ;
    }
}

V e_fabs(struct emit *e, V x) { return e_intrinsic(e, "llvm.fabs", LLVMTypeOf(x), &x, 1); }

/* RUN: f64 scalars (bias corrections such as 1 - beta^step lose all their digits in f32). A comparison comes out as i1.
 */
static V run_value(struct emit *e, struct body_state *s, int i)
{
    const struct expr_node *x = &s->node[i];
    if (s->run[i]) return s->run[i];
    if (x->op == X_CONST) return LLVMConstReal(e->f64, x->value);
    if (x->op == X_N) return s->run[i] = LLVMBuildSIToFP(e->b, e_run_n(e), e->f64, "");
    if (x->op == X_STEP) return s->run[i] = LLVMBuildSIToFP(e->b, e_run_step(e), e->f64, "");
    if (x->op == X_LR) return s->run[i] = e_run_lr(e);
    V a[3] = {NULL, NULL, NULL};
    for (int k = 0; k < 3; k++) {
        if (x->arg[k] < 0) continue;
        a[k] = run_value(e, s, x->arg[k]);
        bool boolean = is_compare(s->node[x->arg[k]].op) && s->node[x->arg[k]].level != LEVEL_CONST,
             wanted = x->op == X_SELECT && k == 0;
        if (boolean && !wanted) a[k] = LLVMBuildUIToFP(e->b, a[k], e->f64, "");
        if (!boolean && wanted) a[k] = e_fcmp(e, LLVMRealUNE, a[k], LLVMConstReal(e->f64, 0));
    }
    V r = NULL;
    switch (x->op) {
    case X_ADD: r = e_fadd(e, a[0], a[1]); break;
    case X_SUB: r = e_fsub(e, a[0], a[1]); break;
    case X_MUL: r = e_fmul(e, a[0], a[1]); break;
    case X_DIV: r = e_fdiv(e, a[0], a[1]); break;
    case X_NEG: r = LLVMBuildFNeg(e->b, a[0], ""); break;
    case X_SELECT: r = e_select(e, a[0], a[1], a[2]); break;
    case X_MIN: r = e_fmin(e, a[0], a[1]); break;
    case X_MAX: r = e_fmax(e, a[0], a[1]); break;
    case X_ABS: r = e_fabs(e, a[0]); break;
    case X_SQRT: r = e_sqrt(e, a[0]); break;
    case X_EXP: r = e_intrinsic(e, "llvm.exp", e->f64, a, 1); break;
    case X_LOG: r = e_intrinsic(e, "llvm.log", e->f64, a, 1); break;
    case X_POW: r = e_intrinsic(e, "llvm.pow", e->f64, a, 2); break;
    default: assert(is_compare(x->op)); r = e_fcmp(e, predicate(x->op), a[0], a[1]);
    }
    return s->run[i] = r;
}

/* A RUN value (rounded once) as a vector, or i1; written into the entry block, which dominates all. */
static V run_vector(struct emit *e, struct body_state *s, int i)
{
    if (s->vec[i]) return s->vec[i];
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b), entry = LLVMGetEntryBasicBlock(e->fn);
    V end = LLVMGetBasicBlockTerminator(entry);
    if (end) LLVMPositionBuilderBefore(e->b, end);
    V r = run_value(e, s, i);
    if (!is_compare(s->node[i].op)) r = e_splat(e, LLVMBuildFPTrunc(e->b, r, e->f32, ""));
    if (end) LLVMPositionBuilderAtEnd(e->b, here);
    return s->vec[i] = r;
}

struct vector_ctx {
    struct body_state *s;
    V *memo;
    const V *acc, *full;
};

static V vector(struct emit *e, const struct vector_ctx *c, int i);

static V vector_bool(struct emit *e, const struct vector_ctx *c, int i)
{
    V x = vector(e, c, i);
    return is_compare(c->s->node[i].op) ? x : e_fcmp(e, LLVMRealUNE, x, e_zero(e));
}

static V vector_number(struct emit *e, const struct vector_ctx *c, int i)
{
    V x = vector(e, c, i);
    return is_compare(c->s->node[i].op) && c->s->node[i].level != LEVEL_CONST
               ? e_select(e, x, e_splatc(e, 1), e_zero(e))
               : x;
}

/* a·b + c in one rounding, where the product is used here only and at this level. */
static bool contracts(const struct body_state *s, int product, int lvl)
{
    const struct expr_node *p = &s->node[product];
    return p->op == X_MUL && p->uses == 1 && p->level == lvl;
}

static V vector_sum(struct emit *e, const struct vector_ctx *c, const struct expr_node *x)
{
    const struct body_state *s = c->s;
    bool sub = x->op == X_SUB;
    for (int k = 0; k < 2; k++) {
        if (!contracts(s, x->arg[k], x->level)) continue;
        const struct expr_node *p = &s->node[x->arg[k]];
        V a = vector_number(e, c, p->arg[0]), b = vector_number(e, c, p->arg[1]),
          other = vector_number(e, c, x->arg[1 - k]);
        if (sub && k == 0) other = LLVMBuildFNeg(e->b, other, "");
        if (sub && k == 1) a = LLVMBuildFNeg(e->b, a, "");
        return e_fma(e, a, b, other);
    }
    V a = vector_number(e, c, x->arg[0]), b = vector_number(e, c, x->arg[1]);
    return sub ? e_fsub(e, a, b) : e_fadd(e, a, b);
}

static V vector_op(struct emit *e, const struct vector_ctx *c, const struct expr_node *x)
{
    if (x->op == X_ADD || x->op == X_SUB) return vector_sum(e, c, x);
    if (x->op == X_SELECT) {
        V cond = vector_bool(e, c, x->arg[0]), a = vector_number(e, c, x->arg[1]);
        return e_select(e, cond, a, vector_number(e, c, x->arg[2]));
    }
    V a = vector_number(e, c, x->arg[0]), b = x->arg[1] >= 0 ? vector_number(e, c, x->arg[1]) : NULL;
    switch (x->op) {
    case X_MUL: return e_fmul(e, a, b);
    case X_DIV: return e_fdiv(e, a, b);
    case X_NEG: return LLVMBuildFNeg(e->b, a, "");
    case X_MIN: return e_fmin(e, a, b);
    case X_MAX: return e_fmax(e, a, b);
    case X_ABS: return e_fabs(e, a);
    case X_EXP: return e_exp(e, a);
    case X_LOG: return e_log(e, a);
    case X_TANH: return e_tanh(e, a);
    case X_ERF: return e_erf(e, a);
    case X_SQRT: return e_sqrt(e, a);
    case X_POW: return e_exp(e, e_fmul(e, b, e_log(e, a)));
    default: return e_fcmp(e, predicate(x->op), a, b);
    }
}

static V vector(struct emit *e, const struct vector_ctx *c, int i)
{
    struct body_state *s = c->s;
    const struct expr_node *x = &s->node[i];
    if (x->level == LEVEL_CONST) return e_splatc(e, x->value);
    if (x->level == LEVEL_RUN) return run_vector(e, s, i);
    V *memo = x->level == LEVEL_FIXED ? &s->vec[i] : &c->memo[i];
    if (*memo) return *memo;
    V r;
    if (x->op == X_ACC) r = c->acc[x->arg[0]];
    else if (x->op != X_OPERAND) r = vector_op(e, c, x);
    else if (x->level == LEVEL_FULL) r = c->full[x->arg[0]];
    else
        r = s->body->operand[x->arg[0]].shape == OPERAND_SCALAR ? e_splat(e, s->operand[x->arg[0]])
                                                                : s->operand[x->arg[0]];
    assert(r);
    return *memo = r;
}

void body_begin(struct emit *e, struct body_state *s, const struct gen_body *b, const V *operand)
{
    memset(s, 0, sizeof *s);
    build(s, b);
    for (int k = 0; k < b->noperands; k++) s->operand[k] = operand ? operand[k] : NULL;
    const struct vector_ctx c = {.s = s};
    for (int k = 0; k < b->nout; k++)
        if (level(s, s->out[k]) < LEVEL_FULL) vector(e, &c, s->out[k]);
    for (int i = 0; i < s->nnodes; i++) {
        const struct expr_node *x = &s->node[i];
        if (x->level != LEVEL_FULL || !x->uses || x->op <= X_ACC) continue;
        for (int k = 0; k < 3; k++)
            if (x->arg[k] >= 0 && level(s, x->arg[k]) < LEVEL_FULL) vector(e, &c, x->arg[k]);
    }
}

static V real_lanes(struct emit *e, V lanes, V x) { return lanes ? e_select(e, lanes, x, e_zero(e)) : x; }

void body_apply_sums(struct emit *e, const struct body_state *s, const V *acc, const V *full, V lanes, V *result,
                     V (*term)[2])
{
    V memo[MAX_EXPR];
    memset(memo, 0, (size_t)s->nnodes * sizeof *memo);
    /* The state is only read: everything below LEVEL_FULL is there already. */
    const struct vector_ctx c = {.s = (struct body_state *)(uintptr_t)s, .memo = memo, .acc = acc, .full = full};
    for (int k = 0; k < s->body->nout; k++) result[k] = real_lanes(e, lanes, vector_number(e, &c, s->out[k]));
    for (int k = 0; k < s->body->nsums; k++)
        for (int i = 0; i < 2; i++) {
            int node = s->term[k][i];
            term[k][i] = node < 0 ? NULL
                         : i == 0 ? real_lanes(e, lanes, vector_number(e, &c, node))
                                  : vector_number(e, &c, node);
        }
}

void body_apply(struct emit *e, const struct body_state *s, const V *acc, const V *full, V lanes, V *result)
{
    V term[MAX_SUMS][2];
    body_apply_sums(e, s, acc, full, lanes, result, term);
}

V body_apply_pre(struct emit *e, const struct body_state *s, const V *pointers, V in, enum dtype dt, V at,
                 int64_t further, V lanes)
{
    V full[MAX_BODY_OPERANDS] = {0}, result, acc = e_load_vd(e, dt, e_ati_d(e, dt, e_at_d(e, dt, in, at), further));
    for (int k = 0; k < s->body->noperands; k++) {
        enum dtype own = (enum dtype)s->body->operand[k].dtype;
        if (s->body->operand[k].shape == OPERAND_FULL)
            full[k] = e_load_vd(e, own, e_ati_d(e, own, e_at_d(e, own, pointers[k], at), further));
    }
    body_apply(e, s, &acc, full, lanes, &result);
    return result;
}

/* ---- bodies of nodes */

static struct gen_operand operand_of(const struct type *result, const struct value *v)
{
    if (!v) return (struct gen_operand){.shape = OPERAND_ABSENT};
    uint8_t shape = OPERAND_FULL;
    if (v->type.rank == 0 && result->rank > 0) shape = OPERAND_SCALAR;
    else if (v->type.rank == 1 && result->rank > 1) shape = OPERAND_CHANNEL;
    return (struct gen_operand){.shape = shape, .dtype = (uint8_t)v->type.dtype};
}

static int op_number(const struct op_def *op)
{
    const struct op_def *const *all = op_all();
    int i = 0;
    while (all[i] != op) i++;
    return i;
}

static double attr_number(const struct attr *a)
{
    switch (a->type) {
    case ATTR_INT:
    case ATTR_ENUM: return (double)a->i;
    case ATTR_FLOAT: return a->f;
    case ATTR_BOOL: return a->b ? 1 : 0;
    default: return 0;
    }
}

static void set_insn(struct gen_body *gb, int i, const struct op_def *op, const struct attr *attr)
{
    assert(op->nattr <= (int)(sizeof gb->insn[i].attr / sizeof gb->insn[i].attr[0]));
    gb->insn[i].op = (int16_t)op_number(op);
    for (int k = 0; k < op->nattr; k++) gb->insn[i].attr[k] = attr_number(&attr[k]);
}

static struct body_ref local_ref(struct body_ref r, int nanchor)
{
    assert(r.source != BODY_OPERAND || r.index >= nanchor);
    if (r.source == BODY_OPERAND) r.index = (uint8_t)(r.index - nanchor);
    return r;
}

static struct gen_sum sum_of(const struct body_insn *b, int nanchor)
{
    struct gen_sum s;
    memset(&s, 0, sizeof s);
    s.kind = sum_kind(b->op);
    s.value = local_ref(b->arg[0], nanchor);
    if (s.kind == SUM_GRAD) s.x = local_ref(b->arg[1], nanchor), s.mean = local_ref(b->arg[2], nanchor);
    return s;
}

static void init_bare(struct gen_body *gb, const struct node *n)
{
    gb->ninsn = 1;
    set_insn(gb, 0, n->op, n->attr);
    gb->insn[0].narg = (uint8_t)n->nin;
    for (int k = 0; k < n->nin; k++) gb->insn[0].arg[k] = (struct body_ref){BODY_OPERAND, (uint8_t)k};
    for (int k = 0; k < gb->nout; k++) gb->out[k] = (struct body_ref){BODY_INSN, 0};
}

/* What B, N's body or a prologue, computes, and the operands that it reads, on values of type FULL; the sums behind it
   are left out. */
static void set_body(struct gen_body *gb, const struct node *n, const struct body *b, const struct type *full)
{
    gb->ninsn = b->ninsn - body_sums(b);
    gb->nout = body_elementwise(b);
    for (int i = 0; i < gb->ninsn; i++) {
        const struct body_insn *in = &b->insn[i];
        set_insn(gb, i, in->op, in->attr);
        gb->insn[i].narg = (uint8_t)in->narg;
        for (int k = 0; k < in->narg; k++) gb->insn[i].arg[k] = local_ref(in->arg[k], n->nanchor);
    }
    for (int k = 0; k < gb->nout; k++) gb->out[k] = local_ref(b->out[k], n->nanchor);
    for (int k = 0; k < gb->noperands; k++)
        gb->operand[k] = operand_of(full, body_reads(b, n->nanchor + k) ? n->in[n->nanchor + k] : NULL);
}

void gen_body_init_pre(struct gen_body *gb, const struct node *n, int k)
{
    memset(gb, 0, sizeof *gb);
    if (!n->pre[k]) return;
    gb->nacc = 1;
    gb->noperands = n->nin - n->nanchor;
    assert(gb->noperands <= (int)(sizeof gb->operand / sizeof gb->operand[0]));
    set_body(gb, n, n->pre[k], &n->in[k]->type);
}

void gen_body_init(struct gen_body *gb, const struct node *n)
{
    memset(gb, 0, sizeof *gb);
    const struct type *result = &n->out[0]->type;
    gb->nout = n->body ? n->body->nout : n->nout < n->op->nouts ? n->nout : n->op->nouts; /* not the workspace */
    for (int k = 0; k < gb->nout; k++) gb->dtype[k] = (uint8_t)n->out[k]->type.dtype;
    gb->noperands = n->body ? n->nin - n->nanchor : n->op->family->elementwise ? n->nin : n->nin - node_anchors(n);
    assert(gb->noperands <= (int)(sizeof gb->operand / sizeof gb->operand[0]));
    if (n->body) {
        gb->nacc = n->op->nouts;
        set_body(gb, n, n->body, result);
        gb->nsums = body_sums(n->body);
        assert(gb->nsums <= MAX_SUMS);
        for (int k = 0; k < gb->nsums; k++) gb->sum[k] = sum_of(&n->body->insn[gb->ninsn + k], n->nanchor);
    } else if (n->op->family->elementwise) {
        init_bare(gb, n);
        for (int k = 0; k < gb->noperands; k++) gb->operand[k] = operand_of(result, n->in[k]);
    } else {
        gb->nacc = gb->nout;
        for (int k = 0; k < gb->nout; k++) gb->out[k] = (struct body_ref){BODY_ACC, (uint8_t)k};
        for (int k = 0; k < gb->noperands; k++) gb->operand[k].shape = OPERAND_ABSENT;
    }
}

void body_begin_block(struct emit *e, struct body_state *s, const struct gen_body *b, const V *pointers,
                      int64_t channels, V block, V *lanes)
{
    V operand[MAX_BODY_OPERANDS] = {0}, first = e_muli(e, block, e->v);
    for (int k = 0; k < b->noperands; k++) {
        if (b->operand[k].shape == OPERAND_CHANNEL) operand[k] = e_load_va(e, e_at(e, pointers[k], first));
        if (b->operand[k].shape == OPERAND_SCALAR) operand[k] = e_load(e, pointers[k]);
    }
    body_begin(e, s, b, operand);
    *lanes = channels % e->v && b->ninsn ? e_lane_mask(e, e_sub(e, e_int(e, channels), first)) : NULL;
}
