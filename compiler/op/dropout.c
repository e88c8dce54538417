/* dropout.c: dropout (Srivastava et al. 2014), scaled while training, so that inference leaves it out. */
#include "op/dropout.h"

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
     .inplace = true,
     .tests = tests_dropout,
     .ntests = COUNT_OF(tests_dropout)},
};
const int op_dropout_nrows = COUNT_OF(op_dropout_rows);
