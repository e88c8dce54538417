/* dropout.c: dropout (Srivastava et al. 2014), scaled while training, so that inference leaves it out. */
#include "op/dropout.h"

#include <string.h>
#include "op/rule.h"

static const struct op_operand operand_x[] = {{"x", OPERAND_VALUE, false}};

static const struct op_attr attrs_dropout[] = {
    {.name = "p",
     .def = {.type = ATTR_FLOAT, .f = 0.5},
     .has_range = true,
     .min = 0,
     .max = 1,
     .help = "the probability that an element becomes zero"},
    {.name = "key",
     .def = {.type = ATTR_TEXT},
     .ir_only = true,
     .help = "the layer's path: what its random numbers depend on, see op/dropout.h"},
};

static bool infer_dropout(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)nin;
    (void)attr;
    return rule_value(&in[0], RULE_VALUE, "the input", e) && rule_result(out, in[0].dtype, in[0].rank, in[0].dim, e);
}

/* The same key and step draw the same numbers, so that the gradient is dropout itself: no mask is stored. */
static void grad_dropout(struct grad_call *g)
{
    if (g->need[0] && g->dy[0]) g->dx[0] = op_build_attrs(g->graph, NULL, "dropout", g->dy, 1, g->node->attr)->out[0];
}

static bool identity_dropout(const struct node *n, bool train) { return !train || node_float(n, "p") == 0; }

static bool key_taken(const struct node *n, const char *key)
{
    for (const struct node *m = n->prev; m; m = m->prev)
        if (m->op == n->op && strcmp(node_text(m, "key"), key) == 0) return true;
    return false;
}

/* Its random numbers are keyed by the layer, wherever the node goes; a layer that is applied again gets others. */
static bool train_dropout(struct graph *g, struct node *n, struct op_error *e)
{
    (void)e;
    struct attr *key = node_attr(n, "key");
    const char *base = key->s && *key->s ? key->s : node_label(n);
    key->s = base;
    for (int i = 1; key_taken(n, key->s); i++) key->s = arena_printf(g->arena, "%s.%d", base, i);
    return true;
}

static void ref_dropout(struct ref_call *c)
{
    const struct type *t = c->in[0].type;
    double p = ref_float(c, "p"), scale = dropout_scale(p);
    uint64_t threshold = dropout_threshold(p);
    const char *key = c->attr[op_attr_index(c->op, "key")].s;
    int64_t count = ref_samples(c, t) * t->dim[1] * ref_pixels(t);
    for (int64_t i = 0; i < count; i++) {
        bool kept = dropout_word(c->run.seed, key, c->run.step, i) >= threshold;
        c->out[0].data[i] = kept ? c->in[0].data[i] * scale : 0;
    }
}

static const struct op_test tests_dropout[] = {
    {"x=2,3,7,7 key=a.b", 1e-6},     {"x=1,1,1,1", 1e-6},        {"x=3,17,13,13 p=0.1 key=classifier.2", 1e-6},
    {"x=3,17 p=0.9", 1e-6},          {"x=1,16,5,5 p=0", 1e-6},   {"x=1,5,3,3 p=1", 1e-6},
    {"x=2,1000 p=0.25 key=d", 1e-6}, {"x=1,33,7,1 p=0.3", 1e-6},
};

const struct op_def op_dropout_rows[] = {
    {.name = "dropout",
     .help = "zeroes elements at random while training; the others are divided by 1 - p",
     .identity = identity_dropout,
     .train = train_dropout,
     .class_ = OP_LAYER,
     .family = &family_pointwise,
     .operands = operand_x,
     .noperands = 1,
     .nouts = 1,
     .attrs = attrs_dropout,
     .nattr = COUNT_OF(attrs_dropout),
     .infer = infer_dropout,
     .grad = grad_dropout,
     .ref = ref_dropout,
     .keeps_zero = true,
     .tests = tests_dropout,
     .ntests = COUNT_OF(tests_dropout)},
};
const int op_dropout_nrows = COUNT_OF(op_dropout_rows);
