/* load.c: spec_load: a file and the command line's overrides become a checked, expanded spec. */
#include <string.h>
#include "kernel/accuracy.h"
#include "spec/attr.h"
#include "spec/file.h"
#include "spec/layers.h"
#include "spec/target.h"
#include "spec/train.h"

/* ---- overrides */

static const struct source *option_source(struct arena *a, const char *option, const struct override *o,
                                          size_t *value_at)
{
    struct source *s = ARENA_NEW(a, struct source);
    *value_at = strlen(o->name) + 1;
    s->path = option;
    s->text = arena_printf(a, "%s=%s", o->name, o->value);
    s->len = strlen(s->text);
    return s;
}

/* The -p options as a map, later ones winning. */
static const struct tree *param_overrides(struct arena *a, const struct spec_options *o)
{
    if (!o || o->nparams == 0) return NULL;
    struct tree *map = tree_map(a, (struct span){0});
    for (int i = 0; i < o->nparams; i++) {
        size_t at;
        const struct source *src = option_source(a, "-p", &o->params[i], &at);
        uint32_t len = (uint32_t)strlen(o->params[i].value);
        struct tree *key = tree_text(a, (struct span){src, 1, 1, (uint32_t)at - 1}, o->params[i].name);
        tree_set(a, map, key, tree_text(a, (struct span){src, 1, (uint32_t)at + 1, len ? len : 1}, o->params[i].value));
    }
    return map;
}

/* The map under KEY, made where there is none; `optimizer: adam` becomes `optimizer: {adam: {}}` on the way. The node
   is made anew, for an alias may stand elsewhere, too. NULL: something else stands there. */
static struct tree *open_map(struct arena *a, struct tree *map, struct tree *key, const char *next)
{
    struct tree *old = tree_get(map, key->text), *fresh = tree_map(a, old ? old->span : key->span);
    if (old && old->kind == TREE_MAP) *fresh = *old;
    else if (old && old->kind == TREE_TEXT && strcmp(old->text, next) == 0)
        tree_set(a, fresh, tree_text(a, old->span, old->text), tree_map(a, old->span));
    else if (old && !tree_empty(old)) return NULL;
    fresh->parsed = NULL;
    tree_set(a, map, key, fresh);
    return fresh;
}

static void apply_set(struct arena *a, struct diags *d, struct tree *root, const struct override *o)
{
    size_t at;
    const struct source *src = option_source(a, "--set", o, &at);
    struct tree *value = yaml_parse(a, d, src, at);
    char *path = arena_strdup(a, o->name);
    uint32_t col = 1;
    if (!value) return;
    for (;;) {
        char *dot = strchr(path, '.');
        if (dot) *dot = '\0';
        struct span span = {src, 1, col, (uint32_t)strlen(path)};
        struct tree *key = tree_text(a, span, path);
        if (!*path) {
            diag_error(d, span, "a key is missing; write --set train.batch=32");
            return;
        }
        if (!dot) {
            tree_set(a, root, key, value);
            return;
        }
        const char *next = dot + 1;
        char *end = strchr(next, '.');
        root = open_map(a, root, key, arena_strndup(a, next, end ? (size_t)(end - next) : strlen(next)));
        if (!root) {
            diag_error(d, span, "'%s' is no map: nothing below it can be set", path);
            return;
        }
        col += (uint32_t)strlen(path) + 1;
        path = dot + 1;
    }
}

/* ---- sections */

static void parse_classes(struct spec_file *f, struct spec *s)
{
    const struct tree *t = tree_get(f->root, "classes");
    struct scope scope = file_scope(f, true, NULL);
    if (!t) return;
    if (t->kind != TREE_LIST) {
        file_error(f, t->span, "classes is a list of names, not %s", tree_words(f->arena, t));
        return;
    }
    const char **names = ARENA_ARRAY(f->arena, const char *, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (value_eval(&scope, t->items[i], AST_TEXT, &v)) names[s->nclasses++] = v.s;
    }
    s->classes = names;
    s->classes_span = t->span;
}

static void parse_accuracy(struct spec_file *f, struct spec *s)
{
    static const double least = 1e-8, most = 1e-2;
    const struct scope scope = file_scope(f, true, NULL);
    const struct tree *t = tree_get(f->root, "accuracy");
    struct ast_value v;
    bool ok = true;
    s->accuracy = ACCURACY_DEFAULT;
    if (t) t = value_choose(&scope, t, &ok);
    if (!t) return;
    if (t->kind == TREE_TEXT && strcmp(t->text, "exact") == 0) s->accuracy = 0;
    else if (t->kind == TREE_TEXT && t->text[0] != '$' && value_type_of(t) != AST_INT &&
             value_type_of(t) != AST_NUMBER) {
        struct diag *g = file_error(f, t->span, "accuracy is a number or 'exact', not '%s'", t->text);
        diag_note(g, did_you_mean(t->text, (const char *const[]){"exact"}, 1)
                         ? "did you mean 'exact'?"
                         : "3e-6, the default, allows Winograd's F(2), F(4) and F(5)");
    } else if (value_eval(&scope, t, AST_NUMBER, &v)) {
        s->accuracy = v.f;
        if (v.f >= least && v.f <= most) return;
        struct diag *g = file_error(f, t->span, "accuracy must be from %g to %g, not %g", least, most, v.f);
        diag_note(
            g, v.f <= 0
                   ? "'exact' allows direct sums only"
                   : "it is an error relative to the result: 3e-6, the default, allows Winograd's F(2), F(4) and F(5)");
    }
}

static void parse_dtype(struct spec_file *f, struct spec *s)
{
    const struct scope scope = file_scope(f, true, NULL);
    const struct tree *t = tree_get(f->root, "dtype");
    struct ast_value v;
    bool ok = true;
    if (t) t = value_choose(&scope, t, &ok);
    if (!t || !value_eval(&scope, t, AST_TEXT, &v) || !v.known) return;
    enum dtype dt;
    if (dtype_chosen(v.s, &dt)) {
        s->dtype = dt;
        return;
    }
    const char *near = did_you_mean(v.s, dtype_choices, dtype_nchoices);
    struct diag *g = file_error(f, t->span, "dtype is %s, not '%s'", dtype_choices_text(f->arena), v.s);
    if (near) diag_note(g, "did you mean '%s'?", near);
    else
        diag_note(g, "it is how activations and their gradients are stored; sums, weights and the optimizer's state "
                     "are f32 in either case");
}

static void parse_outputs(struct spec_file *f, const struct scope *s)
{
    const struct tree *t = tree_get(f->root, "outputs");
    struct ast *ast = f->ast;
    if (!t) {
        diag_note(file_error(f, (struct span){.src = f->source}, "the spec has no outputs"),
                  "`outputs: [logits]`, a list of labels");
        return;
    }
    if (t->kind != TREE_LIST || t->count == 0) {
        file_error(f, t->span, "outputs is a list of labels, not %s",
                   t->kind == TREE_LIST ? "an empty one" : tree_words(f->arena, t));
        return;
    }
    ast->outputs = ARENA_ARRAY(f->arena, struct flat_output, t->count);
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (!value_eval(s, t->items[i], AST_LABEL, &v)) continue;
        bool again = false;
        for (int k = 0; k < ast->noutputs && !again; k++) again = strcmp(ast->outputs[k].label, v.s) == 0;
        if (again) file_error(f, t->items[i]->span, "the output '%s' stands here twice", v.s);
        else ast->outputs[ast->noutputs++] = (struct flat_output){v.s, v.ref, t->items[i]->span};
    }
}

/* ---- losses */

static const char *const loss_keys[] = {"from", "target"};

static bool check_loss_keys(struct spec_file *f, const struct op_def *op, const struct tree *args)
{
    bool ok = true;
    for (int i = 0; i < args->count; i++) {
        const char *key = args->keys[i]->text;
        int at = op_attr_index(op, key);
        if (strcmp(key, "from") == 0 || strcmp(key, "target") == 0 || (at >= 0 && !op->attrs[at].ir_only)) continue;
        const char **names = ARENA_ARRAY(f->arena, const char *, op->nattr + 2);
        size_t n = 0;
        for (int k = 0; k < 2; k++) names[n++] = loss_keys[k];
        for (int k = 0; k < op->nattr; k++)
            if (!op->attrs[k].ir_only) names[n++] = op->attrs[k].name;
        file_suggest(f, file_error(f, args->keys[i]->span, "%s has no attribute '%s'", op->name, key), key,
                     "attributes", names, n);
        ok = false;
    }
    return ok;
}

static void no_loss(struct spec_file *f, const struct tree *key)
{
    size_t n = 0, room = 0;
    for (const struct op_def *const *o = op_all(); *o; o++) room += (*o)->class_ == OP_LOSS;
    const char **names = ARENA_ARRAY(f->arena, const char *, room);
    for (const struct op_def *const *o = op_all(); *o; o++)
        if ((*o)->class_ == OP_LOSS) names[n++] = (*o)->name;
    file_suggest(f, file_error(f, key->span, "there is no loss '%s'", key->text), key->text, "losses", names, n);
}

static void parse_loss(struct spec_file *f, struct scope *s, struct spec *spec, const struct tree *key,
                       const struct tree *args)
{
    const struct op_def *op = op_find(key->text);
    if (!op || op->class_ != OP_LOSS) {
        no_loss(f, key);
        return;
    }
    if (args->kind != TREE_MAP) {
        file_error(f, args->span, "%s needs a map of attributes: {from: logits, target: label}", op->name);
        return;
    }
    struct flat_loss l = {
        .op = op, .span = key->span, .from = REF_BAD, .attr = ARENA_ARRAY(f->arena, struct attr, op->nattr + 1)};
    bool ok = check_loss_keys(f, op, args);
    const struct tree *from = tree_get(args, "from"), *target = tree_get(args, "target");
    struct ast_value v;
    if (!from || !target) file_error(f, key->span, "%s needs '%s'", op->name, from ? "target" : "from");
    if (from && value_eval(s, from, AST_LABEL, &v)) l.from = v.ref, l.label = v.s;
    l.target = target ? target_find(f, s, spec, target) : -1;
    for (int i = 0; i < op->nattr; i++) {
        l.attr[i] = op->attrs[i].def;
        const struct tree *t = op->attrs[i].ir_only ? NULL : tree_get(args, op->attrs[i].name);
        if (t) ok &= attr_eval(s, &op->attrs[i], t, &l.attr[i], NULL);
    }
    int ignore = op->compares == COMPARES_CLASSES ? op_attr_index(op, "ignore") : -1;
    if (ok && l.target >= 0 && ignore >= 0)
        l.attr[ignore].i = target_ignore(f, &spec->targets[l.target], tree_get(args, "ignore"), l.attr[ignore].i);
    if (!ok || l.target < 0 || l.from == REF_BAD || l.from == REF_NONE ||
        !target_suits(f, op, &spec->targets[l.target], target->span))
        return;
    f->ast->losses[f->ast->nlosses++] = l;
}

static void parse_losses(struct spec_file *f, struct scope *s, struct spec *spec)
{
    const struct tree *t = tree_get(f->root, "loss");
    if (!t || tree_empty(t)) return;
    if (t->kind != TREE_LIST) {
        diag_note(file_error(f, t->span, "loss is a list, not %s", tree_words(f->arena, t)),
                  "each loss begins with '- '");
        return;
    }
    f->ast->losses = ARENA_ARRAY(f->arena, struct flat_loss, t->count + 1);
    for (int i = 0; i < t->count; i++) {
        const struct tree *item = t->items[i];
        if (item->kind == TREE_MAP && item->count == 1) parse_loss(f, s, spec, item->keys[0], item->items[0]);
        else if (item->kind == TREE_TEXT && !tree_empty(item)) parse_loss(f, s, spec, item, item);
        else
            file_error(f, item->span,
                       "a loss is one key with its attributes below it: `- softmax_cross_entropy: {from: logits, "
                       "target: label}`");
    }
}

/* ---- what is needed */

static bool *needed_layers(const struct spec_file *f)
{
    const struct ast *ast = f->ast;
    bool *need = ARENA_ARRAY(f->arena, bool, ast->nlayers + 1);
    for (int i = 0; i < ast->noutputs; i++)
        if (ast->outputs[i].ref >= 0) need[ast->outputs[i].ref] = true;
    for (int i = 0; i < ast->nlosses; i++)
        if (ast->losses[i].from >= 0) need[ast->losses[i].from] = true;
    for (int i = ast->nlayers - 1; i >= 0; i--) {
        const struct flat_layer *l = &ast->layers[i];
        need[i] |= !l->used_spec; /* what is written here stays */
        if (!need[i]) continue;
        for (int k = 0; k < l->nin; k++)
            if (l->in[k] >= 0) need[l->in[k]] = true;
        if (l->like >= 0) need[l->like] = true;
    }
    return need;
}

static int moved(const int *to, int ref) { return ref >= 0 ? to[ref] : ref; }

/* Layers of used specs behind the last tap go; the rest closes up. */
static void prune(struct spec_file *f)
{
    struct ast *ast = f->ast;
    bool *need = needed_layers(f);
    int *to = ARENA_ARRAY(f->arena, int, ast->nlayers + 1), n = 0;
    for (int i = 0; i < ast->nlayers; i++) {
        to[i] = need[i] ? n : REF_BAD;
        if (need[i]) ast->layers[n++] = ast->layers[i];
    }
    to[ast->nlayers] = n;
    for (int i = 0; i < ast->napplications; i++) { /* an application is needed whole or not at all */
        struct flat_application *p = &ast->applications[i];
        int first = p->first, end = p->end, count = 0;
        for (int k = first; k < end; k++) count += need[k];
        while (first < end && !need[first]) first++;
        p->first = count ? to[first] : 0;
        p->end = p->first + count;
        p->in = moved(to, p->in);
        p->out = moved(to, p->out);
    }
    ast->nlayers = n;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < ast->layers[i].nin; k++) ast->layers[i].in[k] = moved(to, ast->layers[i].in[k]);
        ast->layers[i].like = moved(to, ast->layers[i].like);
    }
    int checks = 0;
    for (int i = 0; i < ast->nchecks; i++) {
        ast->checks[i].ref = moved(to, ast->checks[i].ref);
        if (ast->checks[i].ref != REF_BAD) ast->checks[checks++] = ast->checks[i];
    }
    ast->nchecks = checks;
    for (int i = 0; i < ast->noutputs; i++) ast->outputs[i].ref = moved(to, ast->outputs[i].ref);
    for (int i = 0; i < ast->nlosses; i++) ast->losses[i].from = moved(to, ast->losses[i].from);
}

static void warn_unused(struct spec_file *f)
{
    const struct ast *ast = f->ast;
    bool *read = ARENA_ARRAY(f->arena, bool, ast->nlayers + 1);
    for (int i = 0; i < ast->nlayers; i++) {
        for (int k = 0; k < ast->layers[i].nin; k++)
            if (ast->layers[i].in[k] >= 0) read[ast->layers[i].in[k]] = true;
        if (ast->layers[i].like >= 0) read[ast->layers[i].like] = true;
    }
    for (int i = 0; i < ast->noutputs; i++)
        if (ast->outputs[i].ref >= 0) read[ast->outputs[i].ref] = true;
    for (int i = 0; i < ast->nlosses; i++)
        if (ast->losses[i].from >= 0) read[ast->losses[i].from] = true;
    for (int i = 0; i < ast->nlayers; i++) {
        const struct flat_layer *l = &ast->layers[i];
        if (read[i] || l->used_spec || l->application >= 0) continue;
        struct diag *g = diag_warn(f->diags, l->span, "nothing reads the output of '%s'", l->path);
        frame_notes(g, l->frame, l->span.src);
    }
}

/* ---- the whole */

static void list_params(const struct spec_file *f, struct spec *s)
{
    struct spec_param *p = ARENA_ARRAY(f->arena, struct spec_param, f->nparams + 1);
    for (int i = 0; i < f->nparams; i++)
        p[i] = (struct spec_param){f->params[i].name, value_print(f->arena, &f->values[i]), f->params[i].span};
    s->params = p;
    s->nparams = f->nparams;
}

static void expand_all(struct spec_file *f, struct spec *spec)
{
    struct strmap labels;
    strmap_init(&labels, f->arena);
    struct scope s = file_scope(f, true, &labels);
    s.top = true;
    int *inputs = ARENA_ARRAY(f->arena, int, f->ninputs + 1);
    for (int i = 0; i < f->ninputs; i++) inputs[i] = REF_INPUT(i);
    file_expand(f, &s, inputs);
    s.has_in = false; /* outputs and losses name labels */
    if (f->ast->full || !tree_get(f->root, "layers")) return;
    parse_outputs(f, &s);
    parse_losses(f, &s, spec);
    for (size_t i = 0; i < labels.count; i++) {
        int *ref = ARENA_NEW(f->arena, int);
        *ref = ((const struct label *)labels.entries[i].value)->ref;
        strmap_set(&f->ast->labels, labels.entries[i].key, ref);
    }
}

static struct ast *new_ast(struct arena *a)
{
    struct ast *ast = ARENA_NEW(a, struct ast);
    strmap_init(&ast->labels, a);
    strmap_init(&ast->paths, a);
    strmap_init(&ast->groups, a);
    strmap_init(&ast->counters, a);
    return ast;
}

static struct spec *load_source(struct arena *a, struct diags *d, const struct source *src,
                                const struct spec_options *o)
{
    struct tree *root = src ? yaml_parse(a, d, src, 0) : NULL;
    if (!root) return NULL;
    int before = diags_errors(d);
    for (int i = 0; o && root->kind == TREE_MAP && i < o->nsets; i++) apply_set(a, d, root, &o->sets[i]);
    struct ast *ast = new_ast(a);
    ast->allow_outside = o && o->allow_outside;
    struct spec_file *f = file_open(a, d, src, root, ast, NULL, param_overrides(a, o), NULL);
    if (!f) return NULL;
    struct spec *s = ARENA_NEW(a, struct spec);
    *s = (struct spec){.name = f->name,
                       .version = f->convention.version->name,
                       .source = src,
                       .inputs = f->inputs,
                       .ninputs = f->ninputs,
                       .ast = ast};
    parse_classes(f, s);
    targets_parse(f, s);
    train_check_bars(f, s);
    train_metrics(f, tree_get(root, "metrics"), s);
    parse_accuracy(f, s);
    parse_dtype(f, s);
    train_parse(f, tree_get(root, "train"), &s->train);
    file_check(f);
    if (f->unknown) return NULL;
    expand_all(f, s);
    if (ast->full) return NULL;
    list_params(f, s);
    prune(f);
    targets_pair(f, s);
    if (diags_errors(d) == before) warn_unused(f);
    return s;
}

struct spec *spec_load_partial(struct arena *a, struct diags *d, const char *path, const struct spec_options *o)
{
    return load_source(a, d, file_find(a, d, path, NULL, NULL, (struct span){0}), o);
}

struct spec *spec_load(struct arena *a, struct diags *d, const char *path, const struct spec_options *o)
{
    int before = diags_errors(d);
    struct spec *s = spec_load_partial(a, d, path, o);
    return diags_errors(d) == before ? s : NULL;
}

struct spec *spec_load_text(struct arena *a, struct diags *d, const struct source *src, const struct spec_options *o)
{
    int before = diags_errors(d);
    struct spec *s = load_source(a, d, file_text(a, src->path, src->text, src->len), o);
    return diags_errors(d) == before ? s : NULL;
}
