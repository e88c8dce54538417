/* use.c: specs that use other specs. */
#include "spec/use.h"

#include <string.h>
#include "spec/compose.h"
#include "spec/file.h"

static const char *const use_keys[] = {"spec", "name", "taps", "params", "from"};
enum { NUSE = 5 };

static void add_label(struct scope *s, const char *use, const struct tree *tap, int ref)
{
    struct label *l = ARENA_NEW(s->file->arena, struct label);
    *l = (struct label){ref, tap->span};
    strmap_set(s->labels, arena_printf(s->file->arena, "%s.%s", use, tap->text), l);
}

void use_labels(struct spec_file *f, struct scope *s)
{
    const struct tree *map = tree_get(f->root, "use");
    for (int i = 0; map && map->kind == TREE_MAP && i < map->count; i++) {
        const struct tree *taps = tree_get(map->items[i], "taps");
        for (int k = 0; taps && taps->kind == TREE_MAP && k < taps->count; k++)
            add_label(s, map->keys[i]->text, taps->keys[k], REF_NONE);
    }
}

/* Is the file of SRC being used already, here or above? */
static bool is_cycle(const struct spec_file *f, const struct source *src, struct span at)
{
    int depth = 0;
    for (const struct spec_file *p = f; p; p = p->user, depth++)
        if (strcmp(p->source->path, src->path) == 0) {
            file_error(f, at, "%s uses itself", src->path);
            return true;
        }
    if (depth < AST_MAX_NESTING / 2) return false;
    file_error(f, at, "specs use each other more than %d deep", AST_MAX_NESTING / 2);
    return true;
}

/* A text key of the use, or NULL after an error; *given false when it is not there. */
static const char *use_text(struct scope *s, const struct tree *t, const struct tree *key, const char *name)
{
    const struct tree *item = tree_get(t, name);
    struct ast_value v;
    if (!item) {
        scope_error(s, key->span, "use needs '%s'", name);
        return NULL;
    }
    return value_eval(s, item, AST_TEXT, &v) && v.known ? v.s : NULL;
}

/* Below which folder a used spec must lie: that of the spec that was named; NULL: anywhere. */
static const char *confined_to(const struct spec_file *f)
{
    while (f->user) f = f->user;
    return f->ast->allow_outside ? NULL : f->folder;
}

static struct spec_file *open_used(struct spec_file *f, struct scope *s, const struct tree *key, const struct tree *t)
{
    const char *name = use_text(s, t, key, "spec");
    if (!name) return NULL;
    struct span at = tree_get(t, "spec")->span;
    const struct source *src = file_find(f->arena, f->diags, name, f->folder, confined_to(f), at);
    if (!src || is_cycle(f, src, at)) return NULL;
    const struct tree *root = yaml_parse(f->arena, f->diags, src, 0);
    const struct tree *params = tree_get(t, "params");
    if (params && !file_is_map(f, params, "params")) return NULL;
    if (params && params->kind != TREE_MAP) params = NULL;
    return root ? file_open(f->arena, f->diags, src, root, f->ast, f, params, s) : NULL;
}

static int use_input(struct spec_file *f, struct scope *s, const struct tree *t)
{
    const struct tree *from = tree_get(t, "from");
    struct ast_value v;
    if (!from) return f->ninputs ? s->in : REF_BAD;
    return value_eval(s, from, AST_LABEL, &v) ? v.ref : REF_BAD;
}

static int group_output(const struct ast *ast, const char *path)
{
    const int *layer = strmap_get(&ast->paths, path), *group = strmap_get(&ast->groups, path);
    return layer ? *layer : group ? *group : REF_NONE;
}

static void unknown_tap(struct spec_file *f, const struct spec_file *used, const struct scope *inner,
                        const struct tree *t)
{
    struct diag *g = file_error(f, t->span, "%s has no layer or label '%s'", used->name, t->text);
    struct ast *ast = f->ast;
    size_t n = 0, prefix = strlen(inner->path) + 1;
    const char **names =
        ARENA_ARRAY(f->arena, const char *, ast->paths.count + ast->groups.count + inner->labels->count + 1);
    for (size_t i = 0; i < inner->labels->count; i++) names[n++] = inner->labels->entries[i].key;
    size_t shown = n;
    for (size_t i = 0; i < ast->groups.count; i++) {
        const char *key = ast->groups.entries[i].key;
        if (strncmp(key, inner->path, prefix - 1) != 0 || key[prefix - 1] != '.') continue;
        names[n++] = key + prefix;
        if (!strchr(key + prefix, '.')) names[shown++] = key + prefix;
    }
    file_suggest(f, g, t->text, "taps may be", names, shown);
}

static void expand_taps(struct spec_file *f, struct scope *s, const struct tree *key, const struct tree *taps,
                        const struct spec_file *used, const struct scope *inner)
{
    for (int i = 0; i < taps->count; i++) {
        const struct tree *t = taps->items[i];
        int ref = REF_BAD;
        struct ast_value v;
        if (t->kind == TREE_LIST || t->kind == TREE_MAP || !value_eval(s, t, AST_TEXT, &v) || !v.known) {
            if (t->kind != TREE_TEXT)
                file_error(f, t->span, "a tap is a label or a layer's path, not %s", tree_words(f->arena, t));
        } else {
            const struct label *l = strmap_get(inner->labels, v.s);
            ref = l ? l->ref : group_output(f->ast, layers_path(f->arena, inner->path, v.s));
            if (ref == REF_NONE) unknown_tap(f, used, inner, t);
            if (ref == REF_NONE) ref = REF_BAD;
        }
        add_label(s, key->text, taps->keys[i], ref);
    }
}

static void check_input(struct spec_file *f, const struct spec_file *used, const struct tree *t, const struct tree *key,
                        int ref)
{
    struct ast *ast = f->ast;
    const struct spec_tensor *in = &used->inputs[0];
    if (ref == REF_BAD || in->rank == 0) return;
    ast->checks = layers_grow(f->arena, ast->checks, ast->nchecks, &ast->cap_checks, sizeof *ast->checks);
    const struct tree *spec = tree_get(t, "spec");
    struct flat_check *c = &ast->checks[ast->nchecks++];
    *c = (struct flat_check){
        .ref = ref, .rank = in->rank, .span = spec ? spec->span : key->span, .spec = used->name, .input = in->name};
    memcpy(c->dim, in->dim, sizeof c->dim);
}

static void expand_one(struct spec_file *f, struct scope *s, const struct tree *key, const struct tree *t)
{
    const struct tree *taps = tree_get(t, "taps");
    bool ok = file_is_map(f, t, "use") && file_check_keys(f, t, "use", use_keys, NUSE);
    if (ok && (!taps || taps->kind != TREE_MAP || taps->count == 0))
        file_error(f, taps ? taps->span : key->span, "use needs 'taps', a map from labels to the used spec's layers");
    const char *name = key->text;
    if (tree_get(t, "name")) name = use_text(s, t, key, "name");
    if (name && !is_name(name, true)) {
        file_error(f, tree_get(t, "name") ? tree_get(t, "name")->span : key->span,
                   "'%s' can't be a name: letters, digits and _, with dots between parts", name);
        name = NULL;
    }
    struct spec_file *used = ok && name && taps && taps->kind == TREE_MAP ? open_used(f, s, key, t) : NULL;
    if (used && used->ninputs != 1) {
        file_error(f, key->span, "%s has %d inputs; a spec that is used has one", used->name, used->ninputs);
        used = NULL;
    }
    if (used && used->unknown) used = NULL;
    if (!used) { /* no further errors about its labels */
        for (int i = 0; taps && taps->kind == TREE_MAP && i < taps->count; i++)
            add_label(s, key->text, taps->keys[i], REF_BAD);
        return;
    }
    int ref = use_input(f, s, t);
    struct strmap labels;
    strmap_init(&labels, f->arena);
    struct frame *frame = ARENA_NEW(f->arena, struct frame);
    *frame =
        (struct frame){.parent = s->frame, .what = arena_printf(f->arena, "spec %s", used->name), .span = key->span};
    struct scope inner = file_scope(used, true, &labels);
    inner.frame = frame;
    inner.path = inner.param_path = layers_path(f->arena, s->path, name);
    check_input(f, used, t, key, ref);
    file_check(used);
    file_expand(used, &inner, &ref);
    expand_taps(f, s, key, taps, used, &inner);
}

void use_expand(struct spec_file *f, struct scope *s)
{
    const struct tree *map = tree_get(f->root, "use");
    if (!map || !file_is_map(f, map, "use")) return;
    for (int i = 0; i < map->count; i++) expand_one(f, s, map->keys[i], map->items[i]);
}
