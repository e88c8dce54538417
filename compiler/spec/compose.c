/* compose.c: layers made of layers: blocks, stages of blocks, shared modules. */
#include "spec/compose.h"

#include <string.h>

static const char *const stage_keys[] = {"name", "block", "repeat", "first", "as", "from", "expect"};
static const char *const apply_keys[] = {"module", "from", "as", "expect"};
enum { NSTAGE = 7, NAPPLY = 4 };

/* ---- blocks */

static bool check_block_keys(struct scope *s, const struct ast_block *b, const struct tree *args,
                             const char *const *keys, int nkeys)
{
    bool ok = true;
    for (int i = 0; args && i < args->count; i++) {
        const char *key = args->keys[i]->text;
        bool found = layers_is_one(key, keys, nkeys);
        for (int k = 0; k < b->nparams && !found; k++) found = strcmp(b->params[k].name, key) == 0;
        if (found) continue;
        struct diag *g = scope_error(s, args->keys[i]->span, "block %s has no parameter '%s'", b->name, key);
        const char **names = ARENA_ARRAY(s->file->arena, const char *, b->nparams + nkeys);
        for (int k = 0; k < b->nparams; k++) names[k] = b->params[k].name;
        for (int k = 0; k < nkeys; k++) names[b->nparams + k] = keys[k];
        file_suggest(s->file, g, key, "it takes", names, (size_t)(b->nparams + nkeys));
        ok = false;
    }
    return ok;
}

/* The values of a block's parameters at one use. REQUIRE: those without a default must be given. */
static bool eval_block_params(struct scope *s, const struct tree *key, const struct ast_block *b,
                              const struct layer_args *a, bool require, struct ast_value *values)
{
    bool ok = true;
    struct scope file_scope = {.file = s->file,
                               .dynamic = s->dynamic,
                               .params = s->file->params,
                               .nparams = s->file->nparams,
                               .values = s->file->values,
                               .frame = s->frame};
    for (int i = 0; i < b->nparams; i++) {
        const struct ast_param *p = &b->params[i];
        const struct tree *t = layers_arg(a, p->name);
        values[i] = (struct ast_value){.type = p->type, .ref = REF_NONE};
        if (t) {
            ok &= value_eval(s, t, p->type, &values[i]) && param_check(s, p, &values[i], t->span);
        } else if (p->def) {
            ok &= value_eval(&file_scope, p->def, p->type, &values[i]) &&
                  param_check(&file_scope, p, &values[i], p->def->span);
        } else if (require) {
            struct diag *g = scope_error(s, key->span, "block %s needs '%s'", b->name, p->name);
            diag_note(g, "it is declared at line %u, %s", p->span.line, type_words_of(p->type));
            ok = false;
        }
    }
    return ok;
}

static const struct frame *push_frame(struct scope *s, struct frame what)
{
    struct frame *f = ARENA_NEW(s->file->arena, struct frame);
    *f = what;
    f->parent = s->frame;
    return f;
}

/* Of block B at KEY; STAGE: the name of the stage that repeats it, or NULL. */
static struct frame block_frame(struct scope *s, const struct tree *key, const struct ast_block *b, const char *stage)
{
    struct arena *a = s->file->arena;
    const char *what = stage ? arena_printf(a, "stage %s, block %s", layers_path(a, s->path, stage), b->name)
                             : arena_printf(a, "block %s", b->name);
    return (struct frame){.what = what, .span = key->span, .block = b->name, .stage = stage};
}

static bool too_deep(struct scope *s, struct ast_block *b, struct span at)
{
    if (b->expanding) scope_error(s, at, "block %s contains itself", b->name);
    else if (s->depth >= AST_MAX_NESTING)
        scope_error(s, at, "blocks and branches stand more than %d deep in each other", AST_MAX_NESTING);
    else return false;
    return true;
}

/* One copy of the block's layers on input REF. LEAF: its name below the scope's path, or ""; STAGE: block_frame's. */
static int expand_block(struct scope *s, const struct tree *key, struct ast_block *b, const struct layer_args *a,
                        const char *leaf, int ref, const char *stage)
{
    struct arena *arena = s->file->arena;
    if (too_deep(s, b, key->span) || !layers_step(s, key->span)) return REF_BAD;
    struct ast_value *values = ARENA_ARRAY(arena, struct ast_value, b->nparams ? b->nparams : 1);
    if (!eval_block_params(s, key, b, a, true, values)) return REF_BAD;
    struct scope file_scope = {.file = s->file,
                               .dynamic = true,
                               .params = s->file->params,
                               .nparams = s->file->nparams,
                               .values = s->file->values};
    struct strmap labels;
    strmap_init(&labels, arena);
    struct scope inner = {.file = s->file,
                          .parent = &file_scope,
                          .dynamic = true,
                          .params = b->params,
                          .nparams = b->nparams,
                          .values = values,
                          .labels = &labels,
                          .in = ref,
                          .prev = ref,
                          .frame = push_frame(s, block_frame(s, key, b, stage)),
                          .path = layers_path(arena, s->path, leaf),
                          .param_path = layers_path(arena, s->param_path, leaf),
                          .application = s->application,
                          .depth = s->depth + 1,
                          .has_in = true};
    b->expanding = true;
    int out = layers_walk(&inner, b->layers);
    b->expanding = false;
    if (*leaf) layers_map(&s->file->ast->groups, arena, inner.path, out);
    return out;
}

int compose_block(struct scope *s, const struct tree *key, const struct tree *args, struct ast_block *b)
{
    struct layer_args a = {args, NULL};
    const char *name;
    int ref = REF_BAD, out;
    bool ok = check_block_keys(s, b, args, layers_common, LAYERS_NCOMMON);
    ok &= layers_name(s, &a, &name);
    ok &= layers_input(s, &a, arena_printf(s->file->arena, "block %s", b->name), &ref);
    struct ast_value *values = ARENA_ARRAY(s->file->arena, struct ast_value, b->nparams ? b->nparams : 1);
    if (!s->dynamic) ok &= eval_block_params(s, key, b, &a, true, values);
    if (!s->dynamic || !ok) out = s->dynamic || !ok ? REF_BAD : REF_NONE;
    else out = expand_block(s, key, b, &a, name ? name : "", ref, NULL);
    ok &= layers_as(s, &a, out);
    ok &= layers_expect(s, tree_get(args, "expect"), out);
    return !s->dynamic && !ok ? REF_BAD : out;
}

struct ast_block *compose_find(const struct spec_file *f, const char *name)
{
    for (int i = 0; i < f->nblocks; i++)
        if (strcmp(f->blocks[i].name, name) == 0) return &f->blocks[i];
    return NULL;
}

/* ---- stages */

/* The block a stage repeats; NULL with *ok when it is not known yet. */
static struct ast_block *stage_block(struct scope *s, const struct tree *key, const struct tree *args, bool *ok)
{
    const struct tree *t = tree_get(args, "block");
    struct ast_value v;
    *ok = false;
    if (!t) {
        scope_error(s, key->span, "stage needs 'block', the name of the block that it repeats");
        return NULL;
    }
    if (!value_eval(s, t, AST_TEXT, &v)) return NULL;
    *ok = true;
    if (!v.known) return NULL;
    struct ast_block *b = compose_find(s->file, v.s);
    *ok = b != NULL;
    if (b) return b;
    struct diag *g = scope_error(s, t->span, "there is no block '%s'", v.s);
    const char **names = ARENA_ARRAY(s->file->arena, const char *, s->file->nblocks);
    for (int i = 0; i < s->file->nblocks; i++) names[i] = s->file->blocks[i].name;
    file_suggest(s->file, g, v.s, "blocks", names, (size_t)s->file->nblocks);
    return NULL;
}

static bool check_stage(struct scope *s, const struct tree *key, const struct tree *args, const struct ast_block *b)
{
    const struct tree *first = tree_get(args, "first");
    bool ok = true;
    if (first && first->kind != TREE_MAP) {
        scope_error(s, first->span, "first is a map of the block's parameters, not %s",
                    tree_words(s->file->arena, first));
        return false;
    }
    if (b) ok = check_block_keys(s, b, args, stage_keys, NSTAGE) && check_block_keys(s, b, first, NULL, 0);
    if (!tree_get(args, "name")) {
        scope_error(s, key->span, "stage needs 'name'; its blocks become name.0, name.1 …");
        ok = false;
    }
    if (b && !s->dynamic) {
        struct ast_value *values = ARENA_ARRAY(s->file->arena, struct ast_value, b->nparams ? b->nparams : 1);
        struct layer_args a = {args, first}, rest = {args, NULL};
        ok &= eval_block_params(s, key, b, &a, true, values);
        ok &= eval_block_params(s, key, b, &rest, false, values);
    }
    return ok;
}

static int expand_stage(struct scope *s, const struct tree *key, const struct tree *args, struct ast_block *b,
                        const char *name, int ref, int64_t repeat)
{
    struct arena *arena = s->file->arena;
    const struct tree *first = tree_get(args, "first");
    for (int64_t i = 0; i < repeat && ref != REF_BAD && ref != REF_NONE; i++) {
        struct layer_args a = {args, i == 0 ? first : NULL};
        ref = expand_block(s, key, b, &a, arena_printf(arena, "%s.%lld", name, (long long)i), ref, name);
    }
    layers_map(&s->file->ast->groups, arena, layers_path(arena, s->path, name), ref);
    return ref;
}

int compose_stage(struct scope *s, const struct tree *key, const struct tree *args)
{
    struct layer_args a = {args, NULL};
    const char *name;
    struct ast_value repeat = {.known = true, .i = 1};
    int ref = REF_BAD, out = s->dynamic ? REF_BAD : REF_NONE;
    bool ok;
    struct ast_block *b = stage_block(s, key, args, &ok);
    ok &= check_stage(s, key, args, b);
    ok &= layers_name(s, &a, &name);
    if (tree_get(args, "repeat")) ok &= value_int(s, tree_get(args, "repeat"), 1, AST_MAX_LAYERS, "repeat", &repeat);
    ok &= layers_input(s, &a, "a stage", &ref);
    if (ok && s->dynamic && b && name) out = expand_stage(s, key, args, b, name, ref, repeat.i);
    if (!ok) out = REF_BAD;
    layers_as(s, &a, out);
    layers_expect(s, tree_get(args, "expect"), out);
    return out;
}

/* ---- shared modules */

static struct ast_module *apply_module(struct scope *s, const struct tree *key, const struct tree *args)
{
    const struct tree *t = tree_get(args, "module");
    struct ast_value v;
    if (!t) {
        scope_error(s, key->span, "apply needs 'module', the name of a shared module");
        return NULL;
    }
    if (!value_eval(s, t, AST_TEXT, &v) || !v.known) return NULL;
    const char **names = ARENA_ARRAY(s->file->arena, const char *, s->file->nmodules ? s->file->nmodules : 1);
    for (int i = 0; i < s->file->nmodules; i++) {
        names[i] = s->file->modules[i].name;
        if (strcmp(names[i], v.s) == 0) return &s->file->modules[i];
    }
    struct diag *g = scope_error(s, t->span, "there is no shared module '%s'", v.s);
    file_suggest(s->file, g, v.s, "modules", names, (size_t)s->file->nmodules);
    return NULL;
}

static int apply_one(struct scope *s, const struct tree *key, struct ast_module *m, int ref)
{
    struct arena *arena = s->file->arena;
    struct ast *ast = s->file->ast;
    if (s->application >= 0 || s->depth >= AST_MAX_NESTING) {
        scope_error(s, key->span, "a shared module can't apply another");
        return REF_BAD;
    }
    if (ref == REF_BAD || ref == REF_NONE || !layers_step(s, key->span)) return REF_BAD;
    struct scope file_scope = {.file = s->file,
                               .dynamic = true,
                               .params = s->file->params,
                               .nparams = s->file->nparams,
                               .values = s->file->values};
    struct strmap labels;
    strmap_init(&labels, arena);
    const char *prefix = s->file->user ? s->path : "";
    const char *path =
        layers_path(arena, prefix,
                    m->path); /* of the weights; the outputs of further applications have paths of their own */
    const char *own = m->applied ? arena_printf(arena, "%s@%d", path, m->applied) : path;
    struct scope inner = {.file = s->file,
                          .parent = &file_scope,
                          .dynamic = true,
                          .labels = &labels,
                          .in = ref,
                          .prev = ref,
                          .frame = push_frame(s, (struct frame){.what = arena_printf(arena, "module %s", m->name),
                                                                .span = key->span}),
                          .path = own,
                          .param_path = path,
                          .application = ast->napplications,
                          .depth = s->depth + 1,
                          .has_in = true};
    struct flat_application app = {.module = layers_path(arena, prefix, m->name),
                                   .span = key->span,
                                   .first = ast->nlayers,
                                   .in = ref,
                                   .repeated = m->applied++ > 0};
    ast->applications =
        layers_grow(arena, ast->applications, ast->napplications, &ast->cap_applications, sizeof *ast->applications);
    ast->napplications++;
    app.out = layers_walk(&inner, m->layers);
    app.end = ast->nlayers;
    app.path = path;
    app.own_path = own;
    ast->applications[inner.application] = app;
    layers_map(&ast->groups, arena, own, app.out);
    return app.out;
}

/* `as:` of an application: as many labels as inputs. */
static bool apply_labels(struct scope *s, const struct tree *t, const int *outs, int n)
{
    if (!t) return true;
    int count = t->kind == TREE_LIST ? t->count : 1;
    if (count != n) {
        scope_error(s, t->span, "apply has %d input%s and %d label%s", n, n == 1 ? "" : "s", count,
                    count == 1 ? "" : "s");
        return false;
    }
    bool ok = true;
    for (int i = 0; i < n; i++) {
        const struct tree *item = t->kind == TREE_LIST ? t->items[i] : t;
        struct ast_value v;
        if (value_eval(s, item, AST_TEXT, &v)) ok &= !v.known || layers_label(s, item, v.s, outs[i]);
        else ok = false;
    }
    return ok;
}

int compose_apply(struct scope *s, const struct tree *key, const struct tree *args)
{
    struct layer_args a = {args, NULL};
    int refs[AST_MAX_INPUTS], n = 0, outs[AST_MAX_INPUTS];
    bool ok = true;
    for (int i = 0; args && i < args->count; i++) {
        if (layers_is_one(args->keys[i]->text, apply_keys, NAPPLY)) continue;
        struct diag *g = scope_error(s, args->keys[i]->span, "apply has no attribute '%s'", args->keys[i]->text);
        file_suggest(s->file, g, args->keys[i]->text, "attributes", apply_keys, NAPPLY);
        ok = false;
    }
    struct ast_module *m = apply_module(s, key, args);
    ok &= layers_from(s, &a, refs, AST_MAX_INPUTS, &n);
    if (n == 0) refs[n++] = s->prev;
    for (int i = 0; i < n; i++) outs[i] = !s->dynamic ? REF_NONE : ok && m ? apply_one(s, key, m, refs[i]) : REF_BAD;
    apply_labels(s, tree_get(args, "as"), outs, n);
    for (int i = 0; i < n; i++) layers_expect(s, tree_get(args, "expect"), outs[i]);
    return outs[n - 1];
}
