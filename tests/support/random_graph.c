#include "tests/support/random_graph.h"

#include <string.h>
#include "ir/op.h"

enum { MAX_VALUES = 64, MAX_ATTRS = 16, MAX_OPERANDS = 8 };

uint64_t random_u64(struct random *r)
{
    uint64_t x = r->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

int64_t random_int(struct random *r, int64_t min, int64_t max)
{
    return min + (int64_t)(random_u64(r) % (uint64_t)(max - min + 1));
}

double random_unit(struct random *r) { return (double)(random_u64(r) >> 11) * 0x1p-53; }

/* The values a layer may read, and where new ones go. */
struct builder {
    struct graph *g;
    struct random r;
    struct value *value[MAX_VALUES];
    int nvalues, nlayers;
};

static bool chance(struct builder *b, int percent) { return random_int(&b->r, 1, 100) <= percent; }

static double within(const struct op_attr *row, double x)
{
    if (!row->has_range) return x;
    return x < row->min ? row->min : x > row->max ? row->max : x;
}

static int64_t small(struct builder *b, const struct op_attr *row)
{
    const bool count = strcmp(row->name, "out") == 0 || strcmp(row->name, "size") == 0;
    return (int64_t)within(row, (double)random_int(&b->r, 0, count ? 9 : 3));
}

/* Often the default, else something small within the range. */
static struct attr random_attr(struct builder *b, const struct op_attr *row)
{
    struct attr a = row->def;
    if (!row->required && chance(b, 50)) return a;
    if (strcmp(row->name, "algorithm") == 0) return a; /* the pass of that name chooses one that fits the shapes */
    if (strcmp(row->name, "groups") == 0 && chance(b, 60)) return a;
    int choices = 0;
    switch (a.type) {
    case ATTR_INT: a.i = small(b, row); break;
    case ATTR_FLOAT: a.f = within(row, row->def.f + 0.25 * random_unit(&b->r)); break;
    case ATTR_BOOL: a.b = chance(b, 50); break;
    case ATTR_ENUM:
        while (row->choices[choices]) choices++;
        a.i = random_int(&b->r, 0, choices - 1);
        break;
    case ATTR_PAIR:
    case ATTR_QUAD:
        for (int i = 0; i < (a.type == ATTR_PAIR ? 2 : 4); i++) a.v[i] = small(b, row);
        break;
    case ATTR_TEXT: break;
    }
    return a;
}

/* Often the last one, so that chains such as conv, batch_norm, relu come up. */
static struct value *pick(struct builder *b)
{
    return b->value[chance(b, 50) ? b->nvalues - 1 : random_int(&b->r, 0, b->nvalues - 1)];
}

/* A value of the same shape as V, V itself if there is no other. */
static struct value *pick_like(struct builder *b, const struct value *v)
{
    struct value *found = NULL;
    int seen = 0;
    for (int i = 0; i < b->nvalues; i++)
        if (type_same_shape(&b->value[i]->type, &v->type) && random_int(&b->r, 0, seen++) == 0) found = b->value[i];
    return found;
}

static int value_operands(const struct op_def *op)
{
    int n = 0;
    for (int i = 0; i < op->noperands; i++) n += op->operands[i].kind == OPERAND_VALUE && !op->operands[i].optional;
    return n;
}

/* A layer about to be added. */
struct layer {
    const struct op_def *op;
    struct value *in[MAX_OPERANDS];
    int nin;
    struct attr attr[MAX_ATTRS];
    struct param_decl decl[MAX_PARAMS];
    int ndecl;
};

static void choose_layer(struct builder *b, const struct op_def *op, struct layer *l)
{
    *l = (struct layer){.op = op, .in = {pick(b)}, .nin = value_operands(op)};
    for (int i = 1; i < l->nin; i++) l->in[i] = pick_like(b, l->in[0]);
    if (op->variadic)
        while (l->nin < 3 && chance(b, 60)) l->in[l->nin++] = pick_like(b, l->in[0]);
    for (int i = 0; i < op->nattr; i++) l->attr[i] = random_attr(b, &op->attrs[i]);
}

/* Does the shape rule take it, and is it small? Asked before anything is added to the graph. */
static bool layer_fits(struct builder *b, struct layer *l)
{
    struct type types[MAX_OPERANDS], out[MAX_OUTS];
    struct op_error e = {.arena = b->g->arena};
    for (int i = 0; i < l->nin; i++) types[i] = l->in[i]->type;
    l->ndecl = l->op->params ? l->op->params(types, l->nin, l->attr, l->decl, &e) : 0;
    for (int k = 0; k < l->ndecl; k++)
        if (type_elements(&l->decl[k].type) > 4096) return false;
    int total = l->nin;
    for (int i = l->nin; i < l->op->noperands; i++) {
        types[i] = (struct type){.rank = -1};
        for (int k = 0; k < l->ndecl; k++)
            if (strcmp(l->decl[k].suffix, l->op->operands[i].name) == 0) types[i] = l->decl[k].type;
        total = i + 1;
    }
    for (int i = 0; i < l->op->nattr; i++) /* it has become parameters: the node keeps the default */
        if (l->op->attrs[i].spec_only) l->attr[i] = l->op->attrs[i].def;
    return l->ndecl >= 0 && l->op->infer(types, total, l->attr, out, &e) && type_elements(&out[0]) <= 4000;
}

static void random_layer(struct builder *b, const struct op_def *op)
{
    struct layer l;
    choose_layer(b, op, &l);
    if (!layer_fits(b, &l)) return;
    const char *name = arena_printf(b->g->arena, "l%d", b->nlayers++);
    for (int k = 0; k < l.ndecl; k++) {
        struct value *v =
            graph_arg(b->g, l.decl[k].kind, arena_printf(b->g->arena, "%s.%s", name, l.decl[k].suffix), l.decl[k].type);
        v->init = l.decl[k].init;
        v->init_fan = l.decl[k].fan;
        v->init_value = l.decl[k].value;
        for (int i = l.nin; i < op->noperands; i++)
            if (strcmp(op->operands[i].name, l.decl[k].suffix) == 0) l.in[i] = v;
    }
    struct node *n = op_build_attrs(b->g, NULL, op->name, l.in, l.nin > op->noperands ? l.nin : op->noperands, l.attr);
    n->layer = n->out[0]->layer = name;
    value_rename(b->g, n->out[0], name);
    b->value[b->nvalues++] = n->out[0];
}

/* Every value that nothing reads leads to an output, so that no layer is dead. */
static void add_outputs(struct builder *b)
{
    const int *uses = graph_use_counts(b->g, b->g->arena);
    int n = 0;
    for (int i = 1; i < b->nvalues; i++)
        if (!uses[b->value[i]->id]) graph_output(b->g, arena_printf(b->g->arena, "y%d", n++), b->value[i]);
}

/* The sum of a loss for each output: the mean squared error, or cross entropy where there is a class to choose. */
static void add_loss(struct builder *b)
{
    struct graph *g = b->g;
    struct value *sum = NULL;
    for (int i = 0, n = g->noutputs; i < n; i++) {
        struct value *y = g->outputs[i].value;
        const bool classes = y->type.rank == 2 && y->type.dim[1] > 1 && chance(b, 60);
        struct type t = classes ? type_make(DT_I64, 1, y->type.dim) : type_make(DT_F32, y->type.rank, y->type.dim);
        t.batched = true;
        struct value *target = graph_arg(g, VALUE_TARGET, arena_printf(g->arena, "target%d", i), t);
        const char *op = classes ? "softmax_cross_entropy" : "mean_squared_error";
        struct value *loss = op_build(g, NULL, op, (struct value *[]){y, target}, 2)->out[0];
        sum = sum ? op_build(g, NULL, "add", (struct value *[]){sum, loss}, 2)->out[0] : loss;
    }
    graph_output(g, "loss", sum);
}

struct graph *random_graph(struct arena *a, uint64_t seed, int nodes, int64_t batch, bool loss)
{
    struct builder b = {.g = graph_new(a, arena_printf(a, "random%llu", (unsigned long long)seed), batch), .r = {seed}};
    const struct op_def *ops[128];
    int nops = 0;
    for (const struct op_def *const *op = op_all(); *op; op++)
        if ((*op)->class_ == OP_LAYER && strcmp((*op)->name, "dropout") != 0) ops[nops++] = *op;
    const int64_t channels[] = {1, 3, 4, 17};
    b.value[b.nvalues++] =
        graph_arg(b.g, VALUE_INPUT, "image",
                  type_nchw(batch, channels[random_int(&b.r, 0, 3)], random_int(&b.r, 1, 9), random_int(&b.r, 1, 9)));
    for (int tries = 0; tries < 20 * nodes && b.nlayers < nodes && b.nvalues < MAX_VALUES; tries++)
        random_layer(&b, chance(&b, 30) ? op_find("conv2d") : ops[random_int(&b.r, 0, nops - 1)]);
    add_outputs(&b);
    if (!b.g->noutputs) graph_output(b.g, "y0", op_build(b.g, NULL, "relu", b.value, 1)->out[0]);
    if (loss) add_loss(&b);
    return b.g;
}

static double argument(const struct value *v, struct random *r)
{
    const size_t length = strlen(v->name);
    const bool variance = length > 11 && strcmp(v->name + length - 11, "running_var") == 0;
    if (v->type.dtype == DT_I64) return 0;
    if (v->kind == VALUE_OPTIM) return 0;
    return variance ? 0.5 + random_unit(r) : 2 * random_unit(r) - 1;
}

void random_fill(struct eval *e, const struct graph *g, uint64_t seed)
{
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_NODE) continue;
        struct random r = {seed};
        for (const char *p = v->name; *p; p++) r.state = r.state * 31 + (unsigned char)*p;
        double *data = eval_data(e, v);
        for (int64_t k = 0; k < type_elements(&v->type); k++) data[k] = argument(v, &r);
    }
}
