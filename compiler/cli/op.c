/* op.c: `rnc op`: an operator's reference page, all of it from its row; what its example makes is found by building it.
 */
#include <string.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "ir/op.h"
#include "runtime/recipe/optimizer.h"
#include "spec/convention.h"

enum { WIDTH = 100, NAMES = 20 };

static const struct {
    enum op_class class_;
    const char *title, *one;
} classes[] = {
    {OP_LAYER, "layers, for a spec's `layers:`", "a layer"},
    {OP_LOSS, "losses, for its `loss:`", "a loss"},
    {OP_INTERNAL, "made by the compiler's passes", "made by the compiler's passes, no spec can name it"},
};
enum { NCLASSES = sizeof classes / sizeof *classes };

/* TEXT from column NAMES on, in lines of WIDTH, broken at spaces. */
static void print_wrapped(const char *text)
{
    size_t room = WIDTH - NAMES;
    while (*text) {
        size_t n = strlen(text);
        if (n > room)
            for (n = room; n > 0 && text[n] != ' ';) n--;
        if (n == 0) n = strcspn(text, " ");
        printf("%*s%.*s\n", NAMES, "", (int)n, text);
        text += n + strspn(text + n, " ");
    }
}

static void print_name(const char *name) { printf("  %-*s", NAMES - 2, name); }

/* ---- the example */

/* A network around that one operator. */
struct example {
    const struct op_def *op;
    struct buf keys;             /* "out: 32, kernel: 3" */
    const char *before;          /* a line of layers before it */
    const char *target;          /* a loss's: "type: class" */
    const struct op_attr *extra; /* one attribute that is not required, but is given; or NULL */
    const struct graph *graph;
    const struct node *node;
};

static void add_key(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, "%s%s: %s", b->len ? ", " : "", key, value);
}

/* What an example gives an attribute. */
static const char *sample(struct arena *a, const struct op_attr *row)
{
    switch (row->def.type) {
    case ATTR_INT: return arena_printf(a, "%.0f", row->has_range && row->max < 32 ? row->max : 32);
    case ATTR_FLOAT: return "2";
    case ATTR_BOOL: return row->def.b ? "false" : "true";
    case ATTR_ENUM: return row->choices[0];
    case ATTR_PAIR:
    case ATTR_QUAD: return row->required ? "3" : row->min > 0 ? "64" : "2";
    case ATTR_TEXT: return "x";
    }
    return "";
}

static const char *example_line(struct arena *a, const struct example *e)
{
    return e->keys.len ? arena_printf(a, "- %s: {%s}", e->op->name, e->keys.data)
                       : arena_printf(a, "- %s", e->op->name);
}

/* The spec of the example; a layer's with LOSS, which is a line of its own and its target, or NULL. */
static const struct spec *example_spec(struct cli *c, struct driver *d, const struct example *e, const char *loss)
{
    struct buf b;
    bool is_loss = e->op->class_ == OP_LOSS;
    const char *line = example_line(c->arena, e);
    buf_init(&b, c->arena);
    buf_printf(&b, "rnc: 1\nmodel: example\ninputs: {x: {shape: [16, 32, 32]}}\nlayers:\n%s", e->before);
    if (!is_loss) buf_printf(&b, "  %s\n", line);
    buf_printf(&b, "  - relu: {as: y}\noutputs: [y]\n");
    if (is_loss) buf_printf(&b, "targets: {t: {%s}}\nloss:\n  %s\n", e->target, line);
    if (loss) buf_puts(&b, loss);
    return driver_load_text(d, "example", b.data, b.len, NULL);
}

static bool is_sound(struct cli *c, struct example *e)
{
    struct driver quiet = driver_quiet(c->driver);
    const struct model_options o = {.mode = e->op->class_ == OP_LOSS ? MODEL_GRAD : MODEL_INFER, .batch = 1};
    const struct spec *s = example_spec(c, &quiet, e, NULL);
    e->graph = s ? driver_elaborate(&quiet, s, &o) : NULL;
    e->node = NULL;
    if (e->graph) GRAPH_EACH(e->graph, n) e->node = n->op == e->op && !e->node ? n : e->node;
    return e->node != NULL;
}

/* Does it show what the operator does? */
static bool is_telling(const struct example *e)
{
    return e->op->expr || e->op->params || e->op->class_ == OP_LOSS ||
           !type_same_shape(&e->node->in[0]->type, &e->node->out[0]->type);
}

/* What it cannot do without, and e->extra. */
static void write_keys(struct cli *c, struct example *e)
{
    const struct op_def *op = e->op;
    buf_init(&e->keys, c->arena);
    if (op->params) add_key(&e->keys, "name", arena_printf(c->arena, "%s1", op->name));
    if (op->class_ == OP_LOSS) add_key(&e->keys, "from", "y"), add_key(&e->keys, "target", "t");
    if (op->variadic) add_key(&e->keys, "from", "[x, prev]");
    for (int i = 0; i < op->nattr; i++)
        if (!op->attrs[i].ir_only && (op->attrs[i].required || &op->attrs[i] == e->extra))
            add_key(&e->keys, op->attrs[i].name, sample(c->arena, &op->attrs[i]));
}

static bool try_example(struct cli *c, struct example *e, const struct op_attr *extra)
{
    static const char *const before[] = {"", "  - global_avg_pool\n"};
    static const char *const targets[] = {"type: class", "type: tensor, shape: [16]"};
    e->extra = extra;
    write_keys(c, e);
    for (int i = 0; i < 4; i++) {
        e->before = before[i % 2];
        e->target = targets[i / 2];
        if (is_sound(c, e)) return true;
    }
    return false;
}

/* With what is required, or where that is not sound, or shows nothing, one attribute more. */
static bool find_example(struct cli *c, struct example *e)
{
    bool bare = try_example(c, e, NULL);
    if (bare && is_telling(e)) return true;
    for (int k = 0; k < e->op->nattr; k++)
        if (!e->op->attrs[k].ir_only && try_example(c, e, &e->op->attrs[k]) && is_telling(e)) return true;
    return bare && try_example(c, e, NULL);
}

/* Is there a gradient? The example is differentiated, by its parameters and its input. */
static bool has_gradient(struct cli *c, const struct example *e)
{
    struct driver quiet = driver_quiet(c->driver);
    struct built b;
    struct buf loss;
    const struct type *t = &e->graph->outputs[0].value->type;
    const struct model_options o = {.mode = MODEL_GRAD, .batch = 1, .input_grads = true, .until = "autodiff"};
    buf_init(&loss, c->arena);
    buf_puts(&loss, "targets: {t: {type: tensor, shape: ");
    buf_shape(&loss, t->rank - 1, t->dim + 1);
    buf_puts(&loss, "}}\nloss: [mean_squared_error: {from: y, target: t}]\n");
    const struct spec *s = example_spec(c, &quiet, e, e->op->class_ == OP_LOSS ? NULL : loss.data);
    return s && driver_graph(&quiet, s, &o, &b);
}

static const char *shape_words(struct arena *a, const struct type *t)
{
    return t->rank > 1 ? format_dims(a, t, 1) : "one number";
}

static void print_example(struct cli *c, const struct example *e)
{
    printf("\n  %s\n", example_line(c->arena, e));
    print_name("");
    if (e->op->class_ == OP_LOSS) printf("with `targets: {t: {%s}}`\n", e->target);
    else
        printf("%s becomes %s\n", shape_words(c->arena, &e->node->in[0]->type),
               shape_words(c->arena, &e->node->out[0]->type));
}

/* ---- the parts of a page */

static const char *kind_words(enum operand_kind k)
{
    switch (k) {
    case OPERAND_VALUE: return "value";
    case OPERAND_PARAM: return "parameter";
    case OPERAND_BUFFER: return "statistic";
    case OPERAND_TARGET: return "target";
    case OPERAND_SUBSET: return "integers that choose samples";
    case OPERAND_SEGMENT: return "further channels of the first, from passes";
    }
    return "";
}

static void print_operands(const struct op_def *op)
{
    printf("\noperands\n");
    for (int i = 0; i < op->noperands; i++) {
        const struct op_operand *o = &op->operands[i];
        if (o->kind == OPERAND_SEGMENT && op->class_ != OP_INTERNAL) continue;
        print_name(o->name);
        printf("%s%s%s\n", kind_words(o->kind), o->optional ? ", optional" : "",
               op->variadic && i + 1 == op->noperands ? ", and any number of them" : "");
    }
    if (op->noperands == 0) printf("  whatever its body reads\n");
}

static const char *type_words(struct arena *a, const struct op_attr *row)
{
    struct buf b;
    switch (row->def.type) {
    case ATTR_INT: return "whole number";
    case ATTR_FLOAT: return "number";
    case ATTR_BOOL: return "true or false";
    case ATTR_PAIR: return "two numbers";
    case ATTR_QUAD: return "four numbers";
    case ATTR_TEXT: return "text";
    case ATTR_ENUM: break;
    }
    buf_init(&b, a);
    for (int i = 0; row->choices[i]; i++) buf_printf(&b, "%s%s", i ? " | " : "", row->choices[i]);
    return b.data;
}

static const char *range_words(struct arena *a, const struct op_attr *row)
{
    if (!row->has_range || row->min <= -(1 << 20)) return "";
    if (row->max - row->max != 0 || row->max >= 1 << 20) return arena_printf(a, ", at least %g", row->min);
    return arena_printf(a, ", %g to %g", row->min, row->max);
}

/* What stands for an attribute that is not given, where that is a value: of a spec's numbers zero means "not given". */
static bool has_default(const struct op_attr *row, const struct op_attr *extra)
{
    if (row->required || row == extra || row->def.type == ATTR_TEXT) return false;
    if (row->def.type == ATTR_FLOAT && row->has_range && row->def.f < row->min) return false;
    if (!row->spec_only || row->def.type == ATTR_BOOL || row->def.type == ATTR_ENUM) return true;
    return row->def.type == ATTR_FLOAT && row->def.f != 0;
}

static void print_attribute(struct arena *a, const struct op_attr *row, const struct op_attr *extra)
{
    char def[128];
    op_attr_print(row, &row->def, def, sizeof def);
    print_name(row->name);
    printf("%s%s", type_words(a, row), range_words(a, row));
    if (row->required) printf("; required");
    if (has_default(row, extra)) printf("; default %s", def);
    printf("\n");
    if (row->help) print_wrapped(row->help);
}

/* Those that a spec may give, or those that only the compiler gives. */
static void print_attributes(struct arena *a, const struct example *e, bool ir_only, const char *title)
{
    const struct op_def *op = e->op;
    bool titled = false;
    for (int i = 0; i < op->nattr; i++) {
        if (op->attrs[i].ir_only != ir_only) continue;
        if (!titled) printf("\n%s\n", title);
        titled = true;
        print_attribute(a, &op->attrs[i], e->extra);
    }
}

/* C's defaults for SUBJECT, after WHAT and C's name. */
static void print_convention(struct arena *a, const struct convention *c, const char *what, const char *subject)
{
    for (int same = 0; same < 2; same++) {
        struct buf b;
        buf_init(&b, a);
        for (int i = 0; i < c->nrows; i++) {
            const struct convention_row *r = &c->rows[i];
            if (strcmp(r->subject, subject) == 0 && r->same == (same != 0)) add_key(&b, r->attr, r->value);
        }
        if (!b.len) continue;
        printf("  %s%s\n", arena_printf(a, "`%s: %s`", what, c->name), same ? ", where pad is same" : "");
        print_wrapped(b.data);
    }
}

static bool has_convention(const struct convention *c, int n, const char *subject)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c[i].nrows; k++)
            if (strcmp(c[i].rows[k].subject, subject) == 0) return true;
    return false;
}

/* What SUBJECT's attributes are that are not given, where it is not the default. */
static void print_conventions(struct arena *a, const char *subject)
{
    if (!has_convention(convention_frameworks, convention_nframeworks, subject) &&
        !has_convention(convention_versions, convention_nversions, subject))
        return;
    printf("\ndefaults of %s under\n", subject);
    for (int i = 0; i < convention_nframeworks; i++)
        print_convention(a, &convention_frameworks[i], "conventions", subject);
    for (int i = 0; i < convention_nversions; i++) print_convention(a, &convention_versions[i], "rnc", subject);
}

/* Of the optimizers that OP is the update of. */
static void print_optimizers(struct arena *a, const struct op_def *op)
{
    for (int i = 0; i < rnc_optimizers.n; i++) {
        const struct rnc_row *row = rnc_kind_row(&rnc_optimizers, i);
        const struct rnc_choice choice = {row, row->defaults};
        if (strcmp(rnc_optimizer_update(&choice)->op, op->name) == 0) print_conventions(a, row->name);
    }
}

static void print_parameters(struct cli *c, const struct example *e)
{
    static const char *const kinds[] = {
        [VALUE_PARAM] = "trained", [VALUE_BUFFER] = "statistic, saved with the weights", [VALUE_COUNTER] = "counter"};
    bool titled = false;
    for (int i = 0; i < e->graph->nvalues; i++) {
        const struct value *v = e->graph->values[i];
        if (v->kind != VALUE_PARAM && v->kind != VALUE_BUFFER && v->kind != VALUE_COUNTER) continue;
        if (!titled) printf("\nbrings, in the example\n");
        titled = true;
        printf("  %-34s %-16s %s\n", v->name, v->type.rank ? format_dims(c->arena, &v->type, 0) : "one number",
               kinds[v->kind]);
    }
}

static void print_nature(struct cli *c, const struct example *e)
{
    const struct op_def *op = e->op;
    printf("\n");
    if (op->expr) {
        print_name("computes");
        printf("%s, element by element\n", op->expr);
    }
    if (e->node && op_macs(e->node) > 0) {
        print_name("multiply-adds");
        printf("%s in the example\n", format_count(c->arena, op_macs(e->node)));
    }
    print_name("gradient");
    printf("%s\n", (e->node ? has_gradient(c, e) : op->grad != NULL) ? "yes" : "none");
    print_name("storage");
    printf("%s\n", op_bf16(op) ? "full precision, or half of it" : "full precision alone");
}

static void print_page(struct cli *c, const struct op_def *op)
{
    struct example e = {.op = op};
    int k = 0;
    while (classes[k].class_ != op->class_) k++;
    if (op->class_ == OP_INTERNAL || !find_example(c, &e)) e = (struct example){.op = op};
    printf("%s, %s\n", op->name, classes[k].one);
    printf("  %s\n", op->help);
    if (e.node) print_example(c, &e);
    print_operands(op);
    print_attributes(c->arena, &e, false, "attributes");
    print_attributes(c->arena, &e, true, "set by the compiler");
    print_conventions(c->arena, op->name);
    print_optimizers(c->arena, op);
    if (e.node) print_parameters(c, &e);
    print_nature(c, &e);
}

/* ---- the command */

static void print_list(void)
{
    for (int k = 0; k < NCLASSES; k++) {
        printf("%s%s\n", k ? "\n" : "", classes[k].title);
        for (const struct op_def *const *op = op_all(); *op; op++)
            if ((*op)->class_ == classes[k].class_) printf("  %-34s %s\n", (*op)->name, (*op)->help);
    }
    printf("\n`rnc op NAME` shows one.\n");
}

static void unknown(struct cli *c, const char *name)
{
    size_t n = 0;
    while (op_all()[n]) n++;
    const char **names = ARENA_ARRAY(c->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) names[i] = op_all()[i]->name;
    const char *near = did_you_mean(name, names, n);
    struct diag *d = diag_error(c->diags, (struct span){0}, "there is no operator '%s'", name);
    if (near) diag_note(d, "did you mean '%s'?", near);
    diag_note(d, "`rnc op` lists them");
}

static int run(struct cli *c, int argc, char **argv)
{
    const struct op_def *op = argc ? op_find(argv[0]) : NULL;
    if (op) print_page(c, op);
    else if (argc) unknown(c, argv[0]);
    else print_list();
    return cli_finish(c);
}

const struct command command_op = {
    .name = "op",
    .group = GROUP_WRITE,
    .place = 5,
    .summary = "an operator's reference page: attributes, operands, an example",
    .usage = "[NAME]",
    .details = "Without NAME: all operators.\n\n  rnc op conv2d\n",
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
