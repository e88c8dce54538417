#include "tests/support/opcase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/rt/hash.h"

enum { MAX_OPERANDS = 16 };

/* ---- numbers: splitmix64 (Steele et al. 2014) */

double random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (double)((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

uint64_t random_seed(const char *text, const char *more)
{
    return rnc_hash_bytes(rnc_hash_text(text), more, more ? strlen(more) : 0);
}

void random_distinct(double *out, int64_t count, double low, double high, uint64_t *state)
{
    double gap = (high - low) / (double)count;
    for (int64_t i = 0; i < count; i++) {
        double x = low + gap * ((double)i + 0.37);
        if (fabs(x) < 0.1 * gap || fabs(x - 6) < 0.1 * gap) x += 0.2 * gap; /* the kinks of relu and relu6 */
        out[i] = (double)(float)x;
    }
    if (count == 1) out[0] = (double)(float)(low + (high - low) * random_next(state));
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t k = (int64_t)(random_next(state) * (double)(i + 1));
        double t = out[i];
        out[i] = out[k];
        out[k] = t;
    }
}

/* ---- the row's text */

struct operand_text {
    const char *shape;
    bool bytes;
};
struct reading {
    struct opcase *c;
    struct operand_text operand[MAX_OPERANDS];
    int noperands;
    struct attr *attr;
};

static int operand_index(const struct op_def *op, const char *name)
{
    for (int i = 0; i < op->noperands; i++)
        if (strcmp(op->operands[i].name, name) == 0) return i;
    return -1;
}

static const char *read_word(struct reading *r, const char *key, char *value)
{
    struct opcase *c = r->c;
    struct op_error e = {.arena = c->arena};
    int k = operand_index(c->op, key);
    if (k >= 0) {
        if (r->operand[k].shape && c->op->variadic && k == c->op->noperands - 1) k = r->noperands;
        if (k >= MAX_OPERANDS || r->operand[k].shape) return "too many operands";
        bool bytes = strncmp(value, "u8:", 3) == 0;
        r->operand[k] = (struct operand_text){value + (bytes ? 3 : 0), bytes};
        if (k >= r->noperands) r->noperands = k + 1;
        return NULL;
    }
    if (strcmp(key, "range") == 0) {
        char *comma;
        c->low = strtod(value, &comma);
        c->high = strtod(comma + (*comma == ','), NULL);
        return NULL;
    }
    k = op_attr_index(c->op, key);
    if (k < 0) return arena_printf(c->arena, "%s has neither an operand nor an attribute '%s'", c->op->name, key);
    return op_attr_parse(&c->op->attrs[k], value, &r->attr[k], &e) ? NULL : e.message;
}

static const char *read_text(struct reading *r)
{
    char *text = arena_strdup(r->c->arena, r->c->text), *save = NULL;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        if (!equals) return "a word without '='";
        *equals = '\0';
        const char *error = read_word(r, word, equals + 1);
        if (error) return error;
    }
    return NULL;
}

static struct type shape_of(const struct operand_text *t)
{
    int64_t dim[MAX_RANK] = {0};
    int rank = 0;
    for (const char *s = t->shape; *s && rank < MAX_RANK; s += *s == ',') dim[rank++] = strtoll(s, (char **)&s, 10);
    return type_make(t->bytes ? DT_U8 : DT_F32, rank, dim);
}

/* ---- the graph */

static enum operand_kind kind_of(const struct op_def *op, int i)
{
    return op->operands[i < op->noperands ? i : op->noperands - 1].kind;
}

/* Does the operator work on samples? Those that update state do not. */
static bool has_batch(const struct op_def *op) { return op->noperands > 0 && op->operands[0].kind == OPERAND_VALUE; }

static int64_t batch_of(const struct reading *r)
{
    if (!has_batch(r->c->op)) return 4; /* of no tensor here, but what bn_running computes depends on n */
    for (int i = 0; i < r->noperands; i++) {
        if (!r->operand[i].shape || kind_of(r->c->op, i) != OPERAND_VALUE) continue;
        struct type t = shape_of(&r->operand[i]);
        if (t.rank >= 2) return t.dim[0];
    }
    return 1;
}

static enum value_kind value_kind_of(const struct reading *r, int i, struct type *t)
{
    enum operand_kind kind = kind_of(r->c->op, i);
    if (kind == OPERAND_PARAM) return VALUE_PARAM;
    if (kind == OPERAND_BUFFER) return VALUE_BUFFER;
    if (kind == OPERAND_SUBSET) {
        t->dtype = DT_I64;
        return VALUE_BUFFER;
    }
    if (kind == OPERAND_TARGET) {
        struct type first = shape_of(&r->operand[0]);
        if (t->rank != first.rank) t->dtype = DT_I64; /* class labels */
        return VALUE_TARGET;
    }
    return t->rank >= 2 && has_batch(r->c->op) ? VALUE_INPUT : VALUE_BUFFER;
}

static void build(struct reading *r)
{
    struct opcase *c = r->c;
    struct value *in[MAX_OPERANDS] = {NULL};
    c->graph = graph_new(c->arena, "op", c->batch = batch_of(r));
    c->graph->train = true; /* dropout is a layer of training; one update step is, too */
    for (int i = 0; i < r->noperands; i++) {
        if (!r->operand[i].shape) continue;
        struct type t = shape_of(&r->operand[i]);
        enum value_kind kind = value_kind_of(r, i, &t);
        t.batched = kind == VALUE_INPUT || kind == VALUE_TARGET;
        const char *name = c->op->operands[i < c->op->noperands ? i : c->op->noperands - 1].name;
        in[i] = graph_arg(c->graph, kind, graph_fresh_name(c->graph, name), t);
    }
    c->node = graph_node(c->graph, NULL, c->op, in, r->noperands, c->op->nouts);
    if (c->op->nattr) memcpy(c->node->attr, r->attr, (size_t)c->op->nattr * sizeof *r->attr);
    struct op_error e = {.arena = c->arena};
    if (!op_infer(c->node, &e)) {
        c->error = e.message ? e.message : "the shape rule fails without a message";
        return;
    }
    for (int i = 0; i < c->node->nout; i++) {
        graph_output(c->graph, arena_printf(c->arena, "y%d", i), c->node->out[i]);
        if (type_elements(&c->node->out[i]->type) < 1) c->error = "an empty result";
    }
}

struct opcase *opcase_new(struct arena *a, const struct op_def *op, const char *text)
{
    struct opcase *c = ARENA_NEW(a, struct opcase);
    *c = (struct opcase){.arena = a, .op = op, .text = text, .low = -2, .high = 2};
    struct reading r = {.c = c, .attr = ARENA_ARRAY(a, struct attr, op->nattr + 1)};
    for (int i = 0; i < op->nattr; i++) r.attr[i] = op->attrs[i].def;
    c->error = read_text(&r);
    if (!c->error) build(&r);
    return c;
}

/* ---- values stored as bf16 */

static bool is_image(const struct value *v) { return v && v->type.rank == 4 && v->type.dtype == DT_F32; }

/* V as it is, by a node of its own. */
static struct value *copy_of(struct graph *g, struct node *before, struct value *v)
{
    struct node *n = graph_node(g, before, op_find("pointwise"), &v, 1, 1);
    n->nanchor = 0;
    n->body = ARENA_NEW(g->arena, struct body);
    *n->body = (struct body){.nout = 1, .out = {{BODY_OPERAND, 0}}};
    n->out[0]->type = v->type;
    n->out[0]->type.dtype = DT_F32;
    return n->out[0];
}

static int narrow_operands(struct opcase *c, bool first)
{
    int count = 0;
    for (int i = first ? 0 : 1; i < c->node->nin; i++) {
        struct value *v = c->node->in[i];
        if (!is_image(v) || v->kind != VALUE_INPUT || (!first && kind_of(c->op, i) == OPERAND_SEGMENT)) continue;
        c->node->in[i] = copy_of(c->graph, c->node, v);
        c->node->in[i]->type.dtype = DT_BF16;
        count++;
    }
    return count;
}

static int narrow_results(struct opcase *c)
{
    int count = 0;
    for (int i = 0; i < c->node->nout; i++) {
        struct value *v = c->node->out[i];
        if (!is_image(v) || c->op->family->result == LAID_WEIGHTS) continue;
        struct value *y = copy_of(c->graph, NULL, v);
        v->type.dtype = DT_BF16;
        c->graph->outputs[i].value = y;
        count++;
    }
    return count;
}

bool opcase_narrow(struct opcase *c, enum opcase_mode mode)
{
    bool first = is_image(c->node->in[0]) && c->node->in[0]->kind == VALUE_INPUT;
    if (!has_batch(c->op) || (mode == OPCASE_FROM_F32 && !first)) return false;
    int operands = narrow_operands(c, mode != OPCASE_FROM_F32), results = mode == OPCASE_TO_F32 ? 0 : narrow_results(c);
    bool further = c->node->nout > 0 && is_image(c->node->out[0]) && c->op->family->result != LAID_WEIGHTS;
    c->bf16 = true;
    return mode == OPCASE_TO_F32 ? operands > 0 && further : operands + results > 0;
}

/* ---- data */

/* Labels from 0 to the number of classes. */
static void fill_labels(const struct opcase *c, const struct value *v, double *out, uint64_t *state)
{
    const struct type *logits = &c->node->in[0]->type;
    for (int64_t i = 0; i < type_elements(&v->type); i++) out[i] = floor(random_next(state) * (double)logits->dim[1]);
}

/* Positions that max_pool_index gives for some image. */
static void fill_positions(const struct opcase *c, const struct value *v, double *out, uint64_t *state)
{
    const struct type *y = &v->type;
    const int64_t *size = node_ints(c->node, "size");
    struct graph *g = graph_new(c->arena, "index", y->dim[0]);
    struct value *x = graph_arg(g, VALUE_INPUT, "x", type_nchw(y->dim[0], y->dim[1], size[0], size[1]));
    struct node *n = op_build_attrs(g, NULL, "max_pool_index", &x, 1, c->node->attr);
    struct eval *e = eval_new(g, (struct ref_run){.n = y->dim[0], .step = 1});
    random_distinct(eval_data(e, x), type_elements(&x->type), -2, 2, state);
    eval_run(e, false);
    memcpy(out, eval_data(e, n->out[1]), (size_t)type_elements(y) * sizeof *out);
    eval_free(e);
}

static bool name_is(const struct value *v, const char *a, const char *b, const char *c)
{
    return strcmp(v->name, a) == 0 || strcmp(v->name, b) == 0 || strcmp(v->name, c) == 0;
}

/* Variances are positive, probabilities from 0 to 1. */
static void range_of(const struct opcase *c, const struct value *v, double *low, double *high)
{
    bool bce = strncmp(c->op->name, "binary_cross_entropy", 20) == 0;
    *low = c->low;
    *high = c->high;
    if (name_is(v, "var", "running_var", "v") || (bce && v->kind == VALUE_TARGET) ||
        (bce && !node_int(c->node, "from_logits"))) {
        *low = 0.05;
        *high = 0.95;
    }
}

void opcase_fill(const struct opcase *c, struct eval *e)
{
    for (int i = 0; i < c->node->nin; i++) {
        const struct value *v = c->node->in[i];
        if (v && v->kind == VALUE_NODE) v = v->def->in[0]; /* copied to be bf16 */
        if (!v) continue;
        uint64_t state = random_seed(c->text, v->name);
        double low, high, *data = eval_data(e, v);
        range_of(c, v, &low, &high);
        if (v->type.dtype == DT_I64) fill_labels(c, v, data, &state);
        else if (v->type.dtype == DT_U8) fill_positions(c, v, data, &state);
        else random_distinct(data, type_elements(&v->type), low, high, &state);
        if (c->bf16 && v->kind == VALUE_PARAM && v->type.rank == 4) eval_round(e, v, DT_BF16);
    }
}
