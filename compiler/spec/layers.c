/* layers.c: lists of layers: operators, and `match` among them. */
#include "spec/layers.h"

#include <assert.h>
#include <string.h>
#include "base/buf.h"
#include "spec/attr.h"
#include "spec/compose.h"

const char *const layers_common[] = {"name", "as", "from", "expect"};

const struct tree *layers_arg(const struct layer_args *a, const char *key)
{
    const struct tree *t = a->first ? tree_get(a->first, key) : NULL;
    return t ? t : tree_get(a->main, key);
}

const char *layers_path(struct arena *a, const char *prefix, const char *name)
{
    if (!*prefix) return name;
    return *name ? arena_printf(a, "%s.%s", prefix, name) : prefix;
}

/* ---- the flat list */

bool layers_step(struct scope *s, struct span at)
{
    struct ast *ast = s->file->ast;
    if (ast->full) return false;
    if (ast->nlayers < AST_MAX_LAYERS && ast->steps++ < AST_MAX_STEPS) return true;
    scope_error(s, at, "the spec expands to more than %d layers", AST_MAX_LAYERS);
    ast->full = true;
    return false;
}

void *layers_grow(struct arena *a, void *items, int count, int *cap, size_t size)
{
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 64;
    void *more = arena_array(a, (size_t)*cap, size);
    if (count) memcpy(more, items, (size_t)count * size);
    return more;
}

void layers_map(struct strmap *m, struct arena *a, const char *key, int value)
{
    int *p = ARENA_NEW(a, int);
    *p = value;
    strmap_set(m, key, p);
}

/* A path for the layer: PATH itself where it is NAMED, else PATH, PATH.1, PATH.2 …, whichever is free; NULL after an
   error. */
static const char *free_path(struct scope *s, const char *path, bool named, struct span at)
{
    struct ast *ast = s->file->ast;
    const int *taken = strmap_get(&ast->paths, path);
    if (!taken) return path;
    if (named) {
        const struct flat_layer *other = &ast->layers[*taken];
        struct diag *g = scope_error(s, at, "two layers have the name '%s'", path);
        diag_note(g, "the other is at %s:%u", other->span.src->path, other->span.line);
        return NULL;
    }
    int *count = strmap_get(&ast->counters, path);
    if (!count) {
        layers_map(&ast->counters, s->file->arena, path, 0);
        count = strmap_get(&ast->counters, path);
    }
    const char *fresh;
    do fresh = arena_printf(s->file->arena, "%s.%d", path, ++*count);
    while (strmap_get(&ast->paths, fresh));
    return fresh;
}

static int append(struct scope *s, struct flat_layer *l)
{
    struct ast *ast = s->file->ast;
    ast->layers = layers_grow(s->file->arena, ast->layers, ast->nlayers, &ast->cap_layers, sizeof *ast->layers);
    ast->layers[ast->nlayers] = *l;
    layers_map(&ast->paths, s->file->arena, l->path, ast->nlayers);
    return ast->nlayers++;
}

/* ---- keys that every layer has */

static bool check_args(struct scope *s, const struct tree *key, const struct tree *args)
{
    if (!args || args->kind == TREE_MAP) return true;
    struct diag *g =
        scope_error(s, args->span, "%s's attributes are a map, not %s", key->text, tree_words(s->file->arena, args));
    diag_note(g, "write `- %s: {attribute: value}`, or `- %s` alone", key->text, key->text);
    return false;
}

bool layers_name(struct scope *s, const struct layer_args *a, const char **name)
{
    const struct tree *t = layers_arg(a, "name");
    struct ast_value v;
    *name = NULL;
    if (!t) return true;
    if (!value_eval(s, t, AST_TEXT, &v)) return false;
    if (!v.known) {
        *name = "_";
        return true;
    }
    if (!is_name(v.s, true) || strlen(v.s) > 200) {
        struct diag *g = scope_error(s, t->span, "'%.40s' can't be a name", v.s);
        diag_note(g, "a name is letters, digits and _, with dots between the parts of a path");
        return false;
    }
    *name = v.s;
    return true;
}

bool layers_label(struct scope *s, const struct tree *at, const char *text, int ref)
{
    if (!is_name(text, false)) {
        scope_error(s, at->span, "'%s' can't be a label: letters, digits and _", text);
        return false;
    }
    if (strcmp(text, "in") == 0 || strcmp(text, "prev") == 0) {
        scope_error(s, at->span, "'%s' can't be a label: it names the %s", text,
                    *text == 'i' ? "block's input" : "layer before");
        return false;
    }
    const struct label *other = strmap_get(s->labels, text);
    if (other && !s->dynamic) return true; /* perhaps in another case of a match */
    if (other) {
        struct diag *g = scope_error(s, at->span, "the label '%s' is taken", text);
        diag_note(g, "by line %u", other->span.line);
        return false;
    }
    struct label *l = ARENA_NEW(s->file->arena, struct label);
    *l = (struct label){s->dynamic ? ref : REF_NONE, at->span};
    strmap_set(s->labels, text, l);
    if (!s->dynamic || !s->top || ref == REF_BAD || ref == REF_NONE) return true;
    if (ref < 0 || s->file->ast->layers[ref].label) {
        struct diag *g = scope_error(s, at->span, "what '%s' would label has a label already", text);
        diag_note(g, "it is '%s'",
                  ref < 0 ? s->file->inputs[REF_INPUT_INDEX(ref)].name : s->file->ast->layers[ref].label);
        return false;
    }
    s->file->ast->layers[ref].label = text;
    return true;
}

/* `as:` of a layer with one output. */
bool layers_as(struct scope *s, const struct layer_args *a, int ref)
{
    const struct tree *t = layers_arg(a, "as");
    struct ast_value v;
    if (!t) return true;
    if (!value_eval(s, t, AST_TEXT, &v)) return false;
    return !v.known || layers_label(s, t, v.s, ref);
}

bool layers_expect(struct scope *s, const struct tree *t, int ref)
{
    if (!t) return true;
    bool ok;
    t = value_choose(s, t, &ok);
    if (!t) return ok;
    if (t->kind != TREE_LIST || t->count < 1 || t->count > 3 || t->count == 2) {
        scope_error(s, t->span, "a shape is [C, H, W], or [C] for features, not %s",
                    tree_count_words(s->file->arena, t));
        return false;
    }
    struct flat_check c = {.ref = ref, .rank = t->count, .span = t->span, .frame = s->frame};
    bool known = true;
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (!value_int(s, t->items[i], 1, 1 << 30, "a dimension", &v)) return false;
        known &= v.known;
        c.dim[i] = v.i;
    }
    if (!s->dynamic || !known || ref == REF_BAD || ref == REF_NONE) return true;
    struct ast *ast = s->file->ast;
    ast->checks = layers_grow(s->file->arena, ast->checks, ast->nchecks, &ast->cap_checks, sizeof *ast->checks);
    ast->checks[ast->nchecks++] = c;
    return true;
}

/* `from:` as refs, at most MAX; *count = 0: there is none. */
bool layers_from(struct scope *s, const struct layer_args *a, int *refs, int max, int *count)
{
    const struct tree *t = layers_arg(a, "from");
    bool ok;
    *count = 0;
    if (!t || !(t = value_choose(s, t, &ok))) return t ? true : layers_arg(a, "from") == NULL || ok;
    int n = t->kind == TREE_LIST ? t->count : 1;
    if (n == 0 || n > max) {
        scope_error(s, t->span, "from names %s", n ? "too many inputs" : "nothing");
        return false;
    }
    ok = true;
    for (int i = 0; i < n; i++) {
        struct ast_value v;
        bool good = value_eval(s, t->kind == TREE_LIST ? t->items[i] : t, AST_LABEL, &v);
        refs[i] = good ? v.ref : REF_BAD;
        ok &= good;
    }
    *count = n;
    return ok;
}

/* The one input of a block, a stage or a used spec. */
bool layers_input(struct scope *s, const struct layer_args *a, const char *what, int *ref)
{
    int refs[AST_MAX_INPUTS], n;
    *ref = s->prev;
    if (!layers_from(s, a, refs, AST_MAX_INPUTS, &n)) return false;
    if (n > 1) {
        struct diag *g = scope_error(s, layers_arg(a, "from")->span, "%s has one input, not %d", what, n);
        diag_note(g, "give it the others as parameters: {type: label}");
        return false;
    }
    if (n == 1) *ref = refs[0];
    return true;
}

/* ---- operators */

static void unknown_attr(struct scope *s, const struct op_def *op, const struct tree *key)
{
    struct diag *g = scope_error(s, key->span, "%s has no attribute '%s'", op->name, key->text);
    const char **names = ARENA_ARRAY(s->file->arena, const char *, op->nattr + LAYERS_NCOMMON);
    size_t n = 0;
    for (int i = 0; i < op->nattr; i++)
        if (!op->attrs[i].ir_only) names[n++] = op->attrs[i].name;
    for (int i = 0; i < LAYERS_NCOMMON; i++) names[n++] = layers_common[i];
    file_suggest(s->file, g, key->text, "attributes", names, n);
}

bool layers_is_one(const char *key, const char *const *keys, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static bool check_attr_keys(struct scope *s, const struct op_def *op, const struct tree *key, const struct tree *args)
{
    bool ok = true;
    for (int i = 0; args && i < args->count; i++) {
        int at = op_attr_index(op, args->keys[i]->text);
        if (layers_is_one(args->keys[i]->text, layers_common, LAYERS_NCOMMON) || (at >= 0 && !op->attrs[at].ir_only))
            continue;
        unknown_attr(s, op, args->keys[i]);
        ok = false;
    }
    for (int i = 0; i < op->nattr; i++) {
        if (!op->attrs[i].required || op->attrs[i].ir_only || tree_get(args, op->attrs[i].name)) continue;
        struct diag *g = scope_error(s, key->span, "%s needs '%s'", op->name, op->attrs[i].name);
        diag_note(g, "%s: %s", op->attrs[i].name, op->attrs[i].help ? op->attrs[i].help : "required");
        ok = false;
    }
    return ok;
}

/* An attribute that is not given, as the version and the conventions have it. */
static void default_attr(const struct scope *s, struct flat_layer *l, int i)
{
    const struct convention_choice *c = &s->file->convention;
    const struct op_attr *row = &l->op->attrs[i];
    int pad = op_attr_index(l->op, "pad");
    bool same = pad >= 0 && l->pad_mode[pad] == PAD_SAME;
    const struct convention_row *def = convention_default(c, l->op->name, row->name, same);
    bool ok = !def || op_attr_parse(row, def->value, &l->attr[i], NULL);
    assert(ok);
    (void)ok;
    l->changes[i] = convention_changes(c, l->op->name, row->name, same);
}

static bool eval_attrs(struct scope *s, const struct op_def *op, const struct tree *args, struct flat_layer *l)
{
    size_t n = op->nattr ? (size_t)op->nattr : 1;
    l->attr = ARENA_ARRAY(s->file->arena, struct attr, n);
    l->attr_span = ARENA_ARRAY(s->file->arena, struct span, n);
    l->pad_mode = ARENA_ARRAY(s->file->arena, uint8_t, n);
    l->changes = ARENA_ARRAY(s->file->arena, const struct convention_row *, n);
    bool ok = true;
    for (int i = 0; i < op->nattr; i++) {
        const struct op_attr *row = &op->attrs[i];
        l->attr[i] = row->def;
        const struct tree *t = row->ir_only ? NULL : tree_get(args, row->name);
        if (!t || attr_is_label(row)) continue;
        l->attr_span[i] = t->span;
        ok &= attr_eval(s, row, t, &l->attr[i], strcmp(row->name, "pad") == 0 ? &l->pad_mode[i] : NULL);
    }
    for (int i = 0; i < op->nattr; i++)
        if (!l->attr_span[i].src && !op->attrs[i].ir_only) default_attr(s, l, i);
    return ok;
}

static int value_operands(const struct op_def *op, bool required)
{
    int n = 0;
    for (int i = 0; i < op->noperands; i++)
        n += op->operands[i].kind == OPERAND_VALUE && !(required && op->operands[i].optional);
    return n;
}

static bool has_params(const struct op_def *op) { return op->params != NULL; }

/* `with: label`, or `with:` layers on the block's input. */
static bool eval_branch(struct scope *s, const struct tree *t, const struct op_attr *row, int *ref)
{
    *ref = REF_NONE;
    if (value_is_match(t)) {
        bool ok;
        const struct tree *chosen = value_choose(s, t, &ok);
        if (chosen) return eval_branch(s, chosen, row, ref);
        for (int i = 0; i < t->count && !s->dynamic; i++)
            if (strcmp(t->keys[i]->text, "match") != 0) ok &= eval_branch(s, t->items[i], row, ref);
        return ok;
    }
    struct ast_value v;
    if (t->kind == TREE_TEXT || strcmp(row->name, "with") != 0) {
        if (!value_eval(s, t, AST_LABEL, &v)) return false;
        *ref = v.ref;
        return true;
    }
    if (t->kind == TREE_MAP) {
        struct diag *g = scope_error(s, t->span, "with is a label or a list of layers, not a map");
        diag_note(g, "each layer of the list begins with '- '");
        return false;
    }
    if (s->depth >= AST_MAX_NESTING) {
        scope_error(s, t->span, "blocks and branches stand more than %d deep in each other", AST_MAX_NESTING);
        return false;
    }
    struct scope branch = *s;
    branch.prev = s->in;
    branch.depth++;
    *ref = layers_walk(&branch, t);
    return *ref != REF_BAD;
}

static bool add_operands(struct scope *s, const struct op_def *op, const struct tree *args, struct flat_layer *l,
                         int *refs, int *n)
{
    bool ok = true;
    for (int i = 0; i < op->nattr; i++) {
        const struct tree *t =
            attr_is_label(&op->attrs[i]) && !op->attrs[i].ir_only ? tree_get(args, op->attrs[i].name) : NULL;
        int ref;
        if (!t) continue;
        if (!eval_branch(s, t, &op->attrs[i], &ref)) {
            ok = false;
            continue;
        }
        l->attr_span[i] = t->span;
        if (value_operands(op, false) > 1) refs[(*n)++] = ref;
        else l->like = ref;
    }
    return ok;
}

static bool eval_inputs(struct scope *s, const struct tree *key, const struct op_def *op, const struct tree *args,
                        struct flat_layer *l)
{
    int refs[AST_MAX_INPUTS + 8], n = 0;
    struct layer_args a = {args, NULL};
    l->like = REF_NONE;
    if (!layers_from(s, &a, refs, AST_MAX_INPUTS, &n)) return false;
    bool given = n > 0;
    if (!given) refs[n++] = s->prev;
    if (!add_operands(s, op, args, l, refs, &n)) return false;
    int need = value_operands(op, true), most = op->variadic ? AST_MAX_INPUTS : value_operands(op, false);
    if (op->variadic && !given) {
        diag_note(scope_error(s, key->span, "%s needs its inputs", op->name), "name them: `from: [a, b]`");
        return false;
    }
    if (n < need || n > most) {
        struct diag *g =
            scope_error(s, key->span, "%s takes %s%d input%s, not %d", op->name, op->variadic ? "at least " : "", need,
                        need == 1 ? "" : "s", given || n > 1 ? n : 1);
        if (op_attr_index(op, "with") >= 0) diag_note(g, "`with: label` adds the second one; or `from: [a, b]`");
        return false;
    }
    l->in = ARENA_ARRAY(s->file->arena, int, n);
    memcpy(l->in, refs, (size_t)n * sizeof *refs);
    l->nin = n;
    return true;
}

static bool needs_name(struct scope *s, const struct tree *key, const struct op_def *op, const char *name)
{
    if (name || !has_params(op)) return true;
    struct diag *g = scope_error(s, key->span, "%s has parameters and needs a name", op->name);
    diag_note(g, "`name: conv1` names its weights conv1.weight …");
    return false;
}

/* A faulty or unfinished layer: nothing after it can be judged by its shape. */
static bool any_bad(const struct flat_layer *l)
{
    bool bad = l->like == REF_BAD;
    for (int i = 0; i < l->nin; i++) bad |= l->in[i] == REF_BAD || l->in[i] == REF_NONE;
    return bad;
}

static int walk_op(struct scope *s, const struct tree *key, const struct tree *args, const struct op_def *op)
{
    struct arena *a = s->file->arena;
    struct flat_layer l = {.op = op,
                           .span = key->span,
                           .frame = s->frame,
                           .application = s->application,
                           .used_spec = s->file->user != NULL};
    struct layer_args given = {args, NULL};
    const char *name;
    bool ok = check_attr_keys(s, op, key, args);
    ok &= eval_attrs(s, op, args, &l);
    ok &= layers_name(s, &given, &name) && needs_name(s, key, op, name);
    ok &= eval_inputs(s, key, op, args, &l);
    if (!s->dynamic || !ok || !layers_step(s, key->span)) {
        bool rest = layers_as(s, &given, REF_BAD);
        rest &= layers_expect(s, tree_get(args, "expect"), REF_BAD);
        return ok && rest && !s->dynamic ? REF_NONE : REF_BAD;
    }
    const char *leaf = name ? name : op->name;
    l.path = free_path(s, layers_path(a, s->path, leaf), name != NULL, key->span);
    l.param_path = layers_path(a, s->param_path, leaf);
    l.bad = any_bad(&l);
    int ref = l.path && !l.bad ? append(s, &l) : REF_BAD;
    layers_as(s, &given, ref);
    layers_expect(s, tree_get(args, "expect"), ref);
    return ref;
}

/* ---- the walk */

static void unknown_layer(struct scope *s, const struct tree *key)
{
    struct diag *g = scope_error(s, key->span, "there is no operator or block '%s'", key->text);
    struct arena *a = s->file->arena;
    size_t n = 0, cap = (size_t)s->file->nblocks + 2;
    for (const struct op_def *const *op = op_all(); *op; op++) cap++;
    const char **names = ARENA_ARRAY(a, const char *, cap);
    for (int i = 0; i < s->file->nblocks; i++) names[n++] = s->file->blocks[i].name;
    for (const struct op_def *const *op = op_all(); *op; op++)
        if ((*op)->class_ == OP_LAYER) names[n++] = (*op)->name;
    names[n++] = "stage";
    names[n++] = "apply";
    const struct op_def *op = op_find(key->text);
    if (op && op->class_ == OP_LOSS) diag_note(g, "%s is a loss: it stands under `loss:`", op->name);
    file_suggest(s->file, g, key->text, did_you_mean(key->text, names, n) ? NULL : "there are", names, n);
}

/* The label of a layer that is faulty in itself: its uses are no further errors. */
static void salvage_label(struct scope *s, const struct tree *args)
{
    const struct tree *as = tree_get(args, "as");
    for (int i = 0; as && i < (as->kind == TREE_LIST ? as->count : 1); i++) {
        const struct tree *t = as->kind == TREE_LIST ? as->items[i] : as;
        if (t->kind != TREE_TEXT || strmap_get(s->labels, t->text)) continue;
        struct label *l = ARENA_NEW(s->file->arena, struct label);
        *l = (struct label){REF_BAD, t->span};
        strmap_set(s->labels, t->text, l);
    }
}

static int walk_layer(struct scope *s, const struct tree *key, const struct tree *args)
{
    if (args && tree_empty(args)) args = NULL;
    if (!check_args(s, key, args)) return REF_BAD;
    if (strcmp(key->text, "stage") == 0) return compose_stage(s, key, args);
    if (strcmp(key->text, "apply") == 0) return compose_apply(s, key, args);
    const struct op_def *op = op_find(key->text);
    if (op && op->class_ == OP_LAYER) return walk_op(s, key, args, op);
    struct ast_block *b = compose_find(s->file, key->text);
    if (b) return compose_block(s, key, args, b);
    unknown_layer(s, key);
    salvage_label(s, args);
    return REF_BAD;
}

static void several_keys(struct scope *s, const struct tree *item)
{
    struct diag *g = scope_error(s, item->count ? item->keys[1]->span : item->span,
                                 "a layer is one key with its attributes below it");
    salvage_label(s, item);
    for (int i = 0; i < item->count; i++) salvage_label(s, item->items[i]);
    if (item->count && tree_empty(item->items[0]))
        diag_note(g, "indent the attributes of '%s' deeper than it, or write `- %s: {…}`", item->keys[0]->text,
                  item->keys[0]->text);
    else diag_note(g, "each layer of a list begins with '- '");
}

static int walk_item(struct scope *s, const struct tree *item)
{
    if (value_is_match(item)) {
        bool ok;
        const struct tree *chosen = value_choose(s, item, &ok);
        if (chosen) return layers_walk(s, chosen);
        for (int i = 0; i < item->count && !s->dynamic; i++)
            if (strcmp(item->keys[i]->text, "match") != 0) layers_walk(s, item->items[i]);
        return ok && !s->dynamic ? REF_NONE : REF_BAD;
    }
    if (item->kind == TREE_TEXT && !tree_empty(item)) return walk_layer(s, item, NULL);
    if (item->kind == TREE_MAP && item->count == 1) return walk_layer(s, item->keys[0], item->items[0]);
    if (item->kind == TREE_MAP) several_keys(s, item);
    else
        scope_error(s, item->span, "a layer is an operator's or a block's name, not %s",
                    tree_words(s->file->arena, item));
    return REF_BAD;
}

int layers_walk(struct scope *s, const struct tree *list)
{
    if (value_is_match(list)) return s->prev = walk_item(s, list);
    if (list->kind != TREE_LIST) {
        scope_error(s, list->span, "expected a list of layers, not %s", tree_words(s->file->arena, list));
        return s->prev = REF_BAD;
    }
    for (int i = 0; i < list->count && !s->file->ast->full; i++) s->prev = walk_item(s, list->items[i]);
    return s->prev;
}
