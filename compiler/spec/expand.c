/* expand.c: rnc expand: the flat list as a spec of its own. Every layer has its name, so that paths, and with them
   weights, dumps and the keys of random numbers, stay what they are. */
#include <stdlib.h>
#include <string.h>
#include "spec/ast.h"
#include "spec/train.h"
#include "spec/value.h"

struct printer {
    struct arena *arena;
    const struct spec *spec;
    const struct ast *ast;
    struct buf *out;
    const char **outer; /* by layer: its label in the list of layers, NULL: none needed */
    const char **inner; /* by layer: its label within its module */
    int module;         /* the application whose module is being printed, or -1 */
    struct strmap taken;
};

/* ---- labels */

static const char *new_label(struct printer *p, const char *path)
{
    char *base = arena_strdup(p->arena, path);
    for (char *c = base; *c; c++)
        if (*c == '.' || *c == '@') *c = '_';
    const char *label = base;
    for (int i = 1; !strmap_add(&p->taken, label, p); i++) label = arena_printf(p->arena, "%s_%d", base, i);
    return label;
}

static int application_of(const struct printer *p, int ref) { return ref >= 0 ? p->ast->layers[ref].application : -1; }

/* REF is read by something that stands in the module of APPLICATION (-1: in the main list) and does not follow it
   directly. */
static void need_label(struct printer *p, int ref, int application)
{
    if (ref < 0) return;
    const struct flat_layer *l = &p->ast->layers[ref];
    if (application >= 0 && l->application == application) {
        if (!p->inner[ref]) p->inner[ref] = new_label(p, l->path);
    } else if (application < 0 && !p->outer[ref]) {
        p->outer[ref] = l->label ? l->label : new_label(p, l->path);
    }
}

static void find_labels(struct printer *p)
{
    const struct ast *ast = p->ast;
    strmap_init(&p->taken, p->arena);
    strmap_add(&p->taken, "in", p);
    strmap_add(&p->taken, "prev", p);
    for (int i = 0; i < p->spec->ninputs; i++) strmap_add(&p->taken, p->spec->inputs[i].name, p);
    for (int i = 0; i < ast->nlayers; i++)
        if (ast->layers[i].label) {
            strmap_add(&p->taken, ast->layers[i].label, p);
            p->outer[i] = ast->layers[i].label;
        }
    for (int i = 0; i < ast->nlayers; i++) {
        const struct flat_layer *l = &ast->layers[i];
        bool sequential = l->nin == 1 && i > 0 && l->in[0] == i - 1 && application_of(p, i - 1) == l->application;
        for (int k = 0; k < l->nin && !sequential; k++) need_label(p, l->in[k], l->application);
        if (l->like >= 0) need_label(p, l->like, l->application);
    }
    for (int i = 0; i < ast->napplications; i++) {
        need_label(p, ast->applications[i].in, -1);
        need_label(p, ast->applications[i].out, -1);
        if (ast->applications[i].end > ast->applications[i].first) need_label(p, ast->applications[i].out, i);
    }
    for (int i = 0; i < ast->noutputs; i++) need_label(p, ast->outputs[i].ref, -1);
    for (int i = 0; i < ast->nlosses; i++) need_label(p, ast->losses[i].from, -1);
}

static const char *label_of(const struct printer *p, int ref)
{
    if (p->module >= 0 && ref == p->ast->applications[p->module].in) return "in";
    if (ref < 0) return p->spec->inputs[REF_INPUT_INDEX(ref)].name;
    return p->module >= 0 ? p->inner[ref] : p->outer[ref];
}

/* ---- layers */

static bool default_is_legal(const struct op_attr *row)
{
    double x =
        row->def.type == ATTR_FLOAT ? row->def.f : (double)(row->def.type == ATTR_INT ? row->def.i : row->def.v[0]);
    bool number = row->def.type != ATTR_BOOL && row->def.type != ATTR_ENUM && row->def.type != ATTR_TEXT;
    return !row->has_range || !number || (x >= row->min && x <= row->max);
}

/* Attributes of which one excludes the others, only the one that was given is printed; and what goes with another one
   alone. */
static bool is_alternative(const struct flat_layer *l, const char *name)
{
    const struct op_def *op = l->op;
    bool resize = op_attr_index(op, "like") >= 0 && (strcmp(name, "size") == 0 || strcmp(name, "scale") == 0);
    if (strcmp(name, "interpolate_by") == 0) return !l->attr_span[op_attr_index(op, "scale")].src;
    return resize || (op_attr_index(op, "channels_to") >= 0 &&
                      (strcmp(name, "channels") == 0 || strcmp(name, "channels_to") == 0));
}

static void print_attr(struct buf *out, const struct op_attr *row, const struct attr *a, int pad)
{
    buf_printf(out, ", %s: ", row->name);
    if (pad != PAD_GIVEN) {
        buf_puts(out, pad == PAD_SAME ? "same" : "valid");
        return;
    }
    if (a->type == ATTR_TEXT) {
        train_quoted(out, a->s ? a->s : "");
        return;
    }
    char text[160];
    op_attr_print(row, a, text, sizeof text);
    buf_puts(out, text);
}

static void print_attrs(struct printer *p, const struct flat_layer *l)
{
    for (int i = 0; i < l->op->nattr; i++) {
        const struct op_attr *row = &l->op->attrs[i];
        bool given = l->attr_span[i].src != NULL, label = row->spec_only && row->def.type == ATTR_TEXT;
        if (row->ir_only || label) continue;
        if (!given && (!default_is_legal(row) || is_alternative(l, row->name))) continue;
        print_attr(p->out, row, &l->attr[i], l->pad_mode[i]);
    }
    if (l->like != REF_NONE) buf_printf(p->out, ", like: %s", label_of(p, l->like));
}

static void print_from(struct printer *p, const struct flat_layer *l, int prev)
{
    if (l->nin == 1 && !l->op->variadic) {
        if (l->in[0] != prev) buf_printf(p->out, ", from: %s", label_of(p, l->in[0]));
        return;
    }
    buf_puts(p->out, ", from: [");
    for (int i = 0; i < l->nin; i++) buf_printf(p->out, "%s%s", i ? ", " : "", label_of(p, l->in[i]));
    buf_putc(p->out, ']');
}

static void print_layer(struct printer *p, int index, int prev, const char *indent)
{
    const struct flat_layer *l = &p->ast->layers[index];
    const char *name = l->path, *label = p->module >= 0 ? p->inner[index] : p->outer[index];
    if (p->module >= 0) name += strlen(p->ast->applications[p->module].own_path) + 1;
    buf_printf(p->out, "%s- %s: {name: %s", indent, l->op->name, name);
    print_attrs(p, l);
    print_from(p, l, prev);
    if (label) buf_printf(p->out, ", as: %s", label);
    buf_puts(p->out, "}\n");
}

static void print_layers(struct printer *p)
{
    const struct ast *ast = p->ast;
    int prev = p->spec->ninputs ? REF_INPUT(0) : REF_NONE;
    buf_puts(p->out, "layers:\n");
    for (int i = 0; i < ast->nlayers;) {
        int application = ast->layers[i].application;
        if (application < 0) {
            print_layer(p, i, prev, "  ");
            prev = i++;
            continue;
        }
        const struct flat_application *a = &ast->applications[application];
        buf_printf(p->out, "  - apply: {module: %s, from: %s, as: %s}\n", a->module, label_of(p, a->in),
                   p->outer[a->out]);
        prev = a->out;
        i = a->end;
    }
}

/* The layers of the first application stand for the module. Its output is its last layer's: what follows that is read
   by nothing. */
static void print_modules(struct printer *p)
{
    const struct ast *ast = p->ast;
    bool head = false;
    for (int i = 0; i < ast->napplications; i++) {
        const struct flat_application *a = &ast->applications[i];
        if (a->repeated || a->first == a->end) continue;
        if (!head) buf_puts(p->out, "shared:\n");
        head = true;
        buf_printf(p->out, "  %s:\n    name: %s\n    layers:\n", a->module, a->path);
        p->module = i;
        int prev = a->in;
        for (int k = a->first; k < a->end; k++) {
            print_layer(p, k, prev, "      ");
            prev = k;
        }
        p->module = -1;
    }
}

/* ---- the other sections */

static void print_shape(struct buf *out, const struct spec_tensor *t)
{
    buf_puts(out, "shape: ");
    buf_shape(out, t->rank, t->dim);
}

static void print_target(struct buf *out, const struct spec_tensor *t)
{
    buf_printf(out, "  %s: {type: %s", t->name, t->type->name);
    if (t->type->labels) buf_printf(out, ", ignore: %lld", (long long)t->ignore);
    if (t->type->max_rank) {
        buf_puts(out, ", shape: ");
        buf_shape(out, t->rank - t->type->ones, t->dim + t->type->ones);
    }
    if (t->positive) {
        buf_puts(out, ", positive: ");
        train_quoted(out, t->positive);
    }
    buf_puts(out, "}\n");
}

static void print_head(struct printer *p)
{
    const struct spec *s = p->spec;
    buf_printf(p->out, "rnc: %s\nmodel: %s\ninputs:\n", s->version, s->name);
    for (int i = 0; i < s->ninputs; i++) {
        buf_printf(p->out, "  %s: {", s->inputs[i].name);
        print_shape(p->out, &s->inputs[i]);
        train_print_image(&s->inputs[i].image, p->out);
        buf_puts(p->out, "}\n");
    }
    if (s->ntargets) buf_puts(p->out, "targets:\n");
    for (int i = 0; i < s->ntargets; i++) print_target(p->out, &s->targets[i]);
    if (s->nclasses) buf_puts(p->out, "classes:\n");
    for (int i = 0; i < s->nclasses; i++) {
        buf_puts(p->out, "  - ");
        train_quoted(p->out, s->classes[i]);
        buf_putc(p->out, '\n');
    }
}

static void print_tail(struct printer *p)
{
    const struct ast *ast = p->ast;
    buf_puts(p->out, "outputs: [");
    for (int i = 0; i < ast->noutputs; i++) buf_printf(p->out, "%s%s", i ? ", " : "", label_of(p, ast->outputs[i].ref));
    buf_puts(p->out, "]\n");
    if (ast->nlosses) buf_puts(p->out, "loss:\n");
    for (int i = 0; i < ast->nlosses; i++) {
        const struct flat_loss *l = &ast->losses[i];
        buf_printf(p->out, "  - %s: {from: %s, target: %s", l->op->name, label_of(p, l->from),
                   p->spec->targets[l->target].name);
        for (int k = 0; k < l->op->nattr; k++)
            if (!l->op->attrs[k].ir_only) print_attr(p->out, &l->op->attrs[k], &l->attr[k], PAD_GIVEN);
        buf_puts(p->out, "}\n");
    }
    if (p->spec->nmetrics) {
        buf_puts(p->out, "metrics: [");
        for (int i = 0; i < p->spec->nmetrics; i++)
            buf_printf(p->out, "%s%s", i ? ", " : "", p->spec->metrics[i]->name);
        buf_puts(p->out, "]\n");
    }
    if (p->spec->accuracy > 0)
        buf_printf(p->out, "accuracy: %s\n",
                   value_print(p->arena,
                               &(struct ast_value){.type = AST_NUMBER, .known = true, .f = p->spec->accuracy}));
    else buf_puts(p->out, "accuracy: exact\n");
    buf_printf(p->out, "dtype: %s\n", dtype_name(p->spec->dtype));
    train_print(&p->spec->train, p->out);
}

bool spec_expand(struct spec *s, struct diags *d, struct buf *out)
{
    (void)d;
    struct printer p = {.arena = out->arena, .spec = s, .ast = s->ast, .out = out, .module = -1};
    p.outer = ARENA_ARRAY(p.arena, const char *, s->ast->nlayers + 1);
    p.inner = ARENA_ARRAY(p.arena, const char *, s->ast->nlayers + 1);
    find_labels(&p);
    print_head(&p);
    print_modules(&p);
    print_layers(&p);
    print_tail(&p);
    return true;
}
