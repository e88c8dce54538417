/* build.c: the flat list of a spec's layers becomes a graph. */
#include "elaborate/parts.h"

#include <string.h>
#include "base/checked.h"
#include "spec/value.h"

#define MAX_ELEMENTS \
    ((int64_t)1 << 40) /* of an input; what layers make of it is bounded by the operators' shape rules */

struct value *builder_value(const struct builder *b, int ref)
{
    if (ref >= 0) return b->values[ref];
    return ref == REF_NONE || ref == REF_BAD ? NULL : b->inputs[REF_INPUT_INDEX(ref)];
}

/* ---- arguments */

static bool argument_type(struct builder *b, const struct spec_tensor *t, enum dtype dt, int rank, const int64_t *dim,
                          struct type *out)
{
    int64_t dims[MAX_RANK] = {b->graph->batch}, n = b->graph->batch;
    for (int i = 0; i < rank; i++) {
        dims[i + 1] = dim[i];
        if (!mul_i64(n, dim[i], &n) || n > MAX_ELEMENTS) {
            diag_error(b->diags, t->span, "'%s' is too large at batch %lld", t->name, (long long)b->graph->batch);
            return false;
        }
    }
    *out = type_make(dt, rank + 1, dims);
    out->batched = true;
    return true;
}

static void build_inputs(struct builder *b)
{
    const struct spec *s = b->spec;
    b->inputs = ARENA_ARRAY(b->arena, struct value *, s->ninputs + 1);
    for (int i = 0; i < s->ninputs; i++) {
        struct type t;
        if (s->inputs[i].rank == 0 || !argument_type(b, &s->inputs[i], DT_F32, s->inputs[i].rank, s->inputs[i].dim, &t))
            continue;
        b->inputs[i] = graph_arg(b->graph, VALUE_INPUT, s->inputs[i].name, t);
        b->inputs[i]->span = s->inputs[i].span;
    }
}

struct value *builder_target(struct builder *b, int index)
{
    const struct spec_tensor *s = &b->spec->targets[index];
    struct type t;
    if (b->targets[index]) return b->targets[index];
    if (!argument_type(b, s, s->type->labels ? DT_I64 : DT_F32, s->rank, s->dim, &t)) return NULL;
    struct value *taken = graph_find(b->graph, s->name);
    if (taken) value_rename(b->graph, taken, graph_fresh_name(b->graph, s->name));
    b->targets[index] = graph_arg(b->graph, VALUE_TARGET, s->name, t);
    b->targets[index]->span = s->span;
    return b->targets[index];
}

/* ---- layers */

/* A parameter that the module's first application made. */
static struct value *shared_param(struct builder *b, const struct flat_layer *l, const char *name,
                                  const struct param_decl *p)
{
    struct value *v = graph_find(b->graph, name);
    if (!v || type_equal(&v->type, &p->type)) return v;
    struct diag *g = diag_error(b->diags, l->span, "%s is shared, but this input needs %s of it and an earlier one %s",
                                name, type_sample_text(b->arena, &p->type), type_sample_text(b->arena, &v->type));
    diag_note(g, "the inputs of a shared module have the same channels");
    frame_notes(g, l->frame, l->span.src);
    return NULL;
}

static struct value *build_param(struct builder *b, const struct flat_layer *l, int index, const struct param_decl *p)
{
    const char *name = arena_printf(b->arena, "%s.%s", l->param_path, p->suffix);
    if (strmap_get(&b->params, name)) return shared_param(b, l, name, p);
    struct value *taken = graph_find(b->graph, name);
    if (taken && taken->kind == VALUE_NODE) value_rename(b->graph, taken, graph_fresh_name(b->graph, name));
    else if (taken) {
        diag_error(b->diags, l->span, "the name '%s' is taken by an input", name);
        return NULL;
    }
    struct value *v = graph_arg(b->graph, p->kind, name, p->type);
    v->init = p->init;
    v->init_fan = p->fan;
    v->init_value = p->value;
    v->span = l->span;
    strmap_set(&b->params, name, (void *)(uintptr_t)&b->ast->layers[index]);
    return v;
}

struct operands {
    struct value **v;
    int n;
};

/* The operator's operands in the table's order: the layer's inputs, and the tensors it brings by their names. */
static bool gather(struct builder *b, const struct flat_layer *l, int index, const struct param_decl *decl, int ndecl,
                   struct operands *out)
{
    const struct op_def *op = l->op;
    int used = 0;
    out->v = ARENA_ARRAY(b->arena, struct value *, op->noperands + l->nin + 1);
    out->n = 0;
    struct value *made[MAX_PARAMS] = {0};
    for (int i = 0; i < ndecl; i++)
        if (!(made[i] = build_param(b, l, index, &decl[i]))) return false;
    for (int i = 0; i < op->noperands; i++) {
        struct value *v = NULL;
        if (op->operands[i].kind == OPERAND_VALUE) v = used < l->nin ? builder_value(b, l->in[used++]) : NULL;
        for (int k = 0; k < ndecl && op->operands[i].kind != OPERAND_VALUE; k++)
            if (strcmp(decl[k].suffix, op->operands[i].name) == 0) v = made[k];
        out->v[out->n++] = v;
    }
    while (op->variadic && used < l->nin) out->v[out->n++] = builder_value(b, l->in[used++]);
    while (out->n > 0 && !out->v[out->n - 1]) out->n--; /* absent optional ones at the end */
    return true;
}

static void set_attrs(struct node *n, const struct flat_layer *l, const struct attr *attr)
{
    for (int i = 0; i < l->op->nattr; i++) {
        const struct op_attr *row = &l->op->attrs[i];
        if (!row->spec_only && !row->ir_only) n->attr[i] = attr[i];
        if (row->ir_only && row->def.type == ATTR_TEXT && strcmp(row->name, "key") == 0)
            n->attr[i] = (struct attr){.type = ATTR_TEXT, .s = l->path};
    }
}

static struct value *build_layer(struct builder *b, int index)
{
    const struct flat_layer *l = mend_layer(b, &b->ast->layers[index]);
    struct type in[AST_MAX_INPUTS + 8];
    for (int i = 0; i < l->nin; i++) {
        struct value *v = builder_value(b, l->in[i]);
        if (!v) return NULL;
        in[i] = v->type;
    }
    if (l->bad || (l->like != REF_NONE && !builder_value(b, l->like))) return NULL;
    struct attr *attr = ARENA_ARRAY(b->arena, struct attr, l->op->nattr + 1);
    memcpy(attr, l->attr, (size_t)l->op->nattr * sizeof *attr);
    if (!sugar_resolve(b, l, &in[0], attr)) return NULL;
    struct op_error e = {.arena = b->arena};
    struct param_decl decl[MAX_PARAMS];
    int ndecl = l->op->params ? l->op->params(in, l->nin, attr, decl, &e) : 0;
    struct operands operands;
    if (ndecl < 0) {
        trail_error(b, l, &e);
        return NULL;
    }
    if (!gather(b, l, index, decl, ndecl, &operands)) return NULL;
    struct node *n = graph_node(b->graph, NULL, l->op, operands.v, operands.n, l->op->nouts);
    set_attrs(n, l, attr);
    n->layer = l->path;
    n->span = l->span;
    if (!op_infer(n, &e)) {
        trail_error(b, l, &e);
        return NULL;
    }
    struct value *v = n->out[0];
    value_rename(b->graph, v, graph_fresh_name(b->graph, l->path));
    v->layer = l->path;
    v->span = l->span;
    return v;
}

/* ---- assertions, outputs, losses */

static void check_shape(struct builder *b, const struct flat_check *c)
{
    struct value *v = builder_value(b, c->ref);
    if (!v) return;
    bool same = v->type.rank == c->rank + 1;
    for (int i = 0; same && i < c->rank; i++) same = v->type.dim[i + 1] == c->dim[i];
    if (same) return;
    struct type want = type_make(DT_F32, c->rank + 1, (int64_t[]){1, c->dim[0], c->dim[1], c->dim[2]});
    const char *expected = type_sample_text(b->arena, &want), *found = type_sample_text(b->arena, &v->type);
    struct diag *g;
    if (c->spec) {
        g = diag_error(b->diags, c->span, "%s's input '%s' is %s, but it is given %s", c->spec, c->input, expected,
                       found);
        diag_note(g, "`params:` under `use` sets the used spec's parameters, such as its size");
    } else {
        g = diag_error(b->diags, c->span, "expected the shape %s, but it is %s", expected, found);
    }
    frame_notes(g, c->frame, c->span.src);
    trail_note(b, g, "it", c->ref, REF_NONE, c->span.src);
}

static void build_outputs(struct builder *b)
{
    for (int i = 0; i < b->ast->noutputs; i++) {
        struct value *v = builder_value(b, b->ast->outputs[i].ref);
        if (v) graph_output(b->graph, b->ast->outputs[i].label, v);
    }
}

/* The value of a layer's, block's or stage's path, or of a label. */
static struct value *find_layer(const struct builder *b, const char *name)
{
    const int *label = strmap_get(&b->ast->labels, name);
    for (int i = 0; i < b->ast->nlayers; i++) {
        const struct flat_layer *l = &b->ast->layers[i];
        if (strcmp(l->path, name) == 0 || (label && l->label && strcmp(l->label, name) == 0)) return b->values[i];
    }
    const int *group = strmap_get(&b->ast->groups, name);
    return group ? builder_value(b, *group) : NULL;
}

static void unknown_dump(struct builder *b, const char *name)
{
    const struct ast *ast = b->ast;
    const char **names = ARENA_ARRAY(b->arena, const char *, 2 * (size_t)ast->nlayers + ast->groups.count + 1);
    size_t n = 0;
    for (size_t i = 0; i < ast->groups.count; i++) names[n++] = ast->groups.entries[i].key;
    for (int i = 0; i < ast->nlayers; i++) {
        names[n++] = ast->layers[i].path;
        if (ast->layers[i].label) names[n++] = ast->layers[i].label;
    }
    struct diag *g = diag_error(b->diags, (struct span){.src = b->spec->source}, "there is no layer '%s'", name);
    const char *near = did_you_mean(name, names, n);
    if (near) diag_note(g, "did you mean '%s'?", near);
    diag_note(g, "`rnc summary` lists the layers; blocks and stages have paths too, such as layer1.0 and layer1");
}

static void build_dumps(struct builder *b, const struct build_options *o)
{
    for (int i = 0; i < o->ndump; i++) {
        struct value *v = find_layer(b, o->dump[i]);
        if (v) graph_output(b->graph, o->dump[i], v);
        else if (diags_errors(b->diags) == 0) unknown_dump(b, o->dump[i]);
    }
}

void builder_run(struct builder *b, const struct build_options *o)
{
    b->graph = graph_new(b->arena, b->spec->name, o->batch > 0 ? o->batch : 1);
    b->values = ARENA_ARRAY(b->arena, struct value *, b->ast->nlayers + 1);
    b->targets = ARENA_ARRAY(b->arena, struct value *, b->spec->ntargets + 1);
    strmap_init(&b->params, b->arena);
    build_inputs(b);
    for (int i = 0; i < b->ast->nlayers && diags_errors(b->diags) < AST_MAX_ERRORS; i++)
        b->values[i] = build_layer(b, i);
    for (int i = 0; i < b->ast->nchecks && diags_errors(b->diags) < AST_MAX_ERRORS; i++)
        check_shape(b, &b->ast->checks[i]);
    build_outputs(b);
    build_dumps(b, o);
    if (o->losses) losses_build(b, o->measured);
}

struct graph *build_graph(struct arena *a, struct diags *d, const struct spec *s, const struct build_options *o)
{
    int before = diags_errors(d);
    struct builder b = {.arena = a, .diags = d, .spec = s, .ast = s->ast};
    builder_run(&b, o);
    if (diags_errors(d) == before) return b.graph;
    mend_all(&b, o);
    return NULL;
}
