/* target.c: a spec's targets, by the rows of runtime/recipe/target.h, and what ties them to its losses. */
#include "spec/target.h"

#include <string.h>
#include "ir/op.h"

/* ---- keys */

static const char **type_names(struct arena *a, size_t *n)
{
    for (*n = 0; rnc_target_type((int)*n);) ++*n;
    const char **names = ARENA_ARRAY(a, const char *, *n + 1);
    for (size_t k = 0; k < *n; k++) names[k] = rnc_target_type((int)k)->name;
    return names;
}

/* "class, class_map or tensor" */
static const char *one_of(struct arena *a, const char *const *names, size_t n)
{
    struct buf b;
    buf_init(&b, a);
    for (size_t k = 0; k < n; k++) buf_printf(&b, "%s%s", k == 0 ? "" : k + 1 == n ? " or " : ", ", names[k]);
    return b.data;
}

static const struct rnc_target_type *parse_type(struct spec_file *f, const struct tree *key, const struct tree *t)
{
    const struct scope s = file_scope(f, true, NULL);
    size_t n;
    const char **names = type_names(f->arena, &n);
    struct ast_value v;
    if (!t) {
        file_error(f, key->span, "the target '%s' needs a type: %s", key->text, one_of(f->arena, names, n));
        return NULL;
    }
    if (!value_eval(&s, t, AST_TEXT, &v)) return NULL;
    const struct rnc_target_type *type = rnc_target_named(v.s);
    if (!type) file_suggest(f, file_error(f, t->span, "a target's type can't be '%s'", v.s), v.s, "types", names, n);
    return type;
}

/* The row's ones, then the dims of the spec. */
static void parse_shape(struct spec_file *f, const struct tree *t, struct spec_tensor *out)
{
    struct scope s = file_scope(f, true, NULL);
    const struct rnc_target_type *type = out->type;
    if (type->max_rank == 0) {
        file_error(f, t->span, "a %s is one %s for each sample; it has no shape", type->name,
                   type->labels ? "number" : "0 or 1");
        return;
    }
    if (t->kind != TREE_LIST || t->count < type->min_rank || t->count > type->max_rank) {
        if (type->min_rank == type->max_rank) file_error(f, t->span, "a %s has the shape %s", type->name, type->shape);
        else
            file_error(f, t->span, "a shape is a list of %d to %d numbers, not %s", type->min_rank, type->max_rank,
                       tree_count_words(f->arena, t));
        return;
    }
    out->rank = type->ones + t->count;
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        if (value_int(&s, t->items[i], 1, 1 << 20, "a dimension", &v)) out->dim[type->ones + i] = v.i;
        else out->rank = 0;
    }
}

static void unsaid_shape(struct spec_file *f, const struct spec *spec, const struct tree *key, struct spec_tensor *out)
{
    const struct rnc_target_type *type = out->type;
    int64_t *to = out->dim + type->ones;
    if (type->unsaid == RNC_UNSAID_IMAGE && f->ninputs && f->inputs[0].rank == 3)
        memcpy(to, f->inputs[0].dim + 1, 2 * sizeof *to); /* one for each pixel of the first input */
    else if (type->unsaid == RNC_UNSAID_CLASSES && spec->nclasses) *to = spec->nclasses;
    else if (type->unsaid == RNC_UNSAID_IMAGE && f->ninputs && f->inputs[0].rank != 1) return; /* reported there */
    else if (type->max_rank) {
        file_error(f, key->span, "the target '%s' needs a shape: {type: %s, shape: %s}", key->text, type->name,
                   type->shape);
        return;
    }
    out->rank = type->ones + type->max_rank;
}

static void parse_positive(struct spec_file *f, const struct spec *spec, const struct tree *key, const struct tree *t,
                           struct spec_tensor *out)
{
    const struct scope s = file_scope(f, true, NULL);
    struct ast_value v = {0};
    if (t && !out->type->positive)
        file_error(f, t->span, "'positive' names the class of a binary target; '%s' is a %s", key->text,
                   out->type->name);
    if (!out->type->positive || (t && !value_eval(&s, t, AST_TEXT, &v))) return;
    out->positive = t ? v.s : NULL;
    if (spec->nclasses != 2) return; /* the number is checked with the outputs */
    if (rnc_target_positive(out->positive, spec->classes, spec->nclasses) >= 0) return;
    struct span at = t ? t->span : key->span;
    if (t) file_suggest(f, file_error(f, at, "there is no class '%s'", v.s), v.s, "classes", spec->classes, 2);
    else
        diag_note(file_error(f, at, "which of the classes %s and %s is 1 in the target '%s'?", spec->classes[0],
                             spec->classes[1], key->text),
                  "`positive: %s` says so", spec->classes[1]);
}

static void parse_target(struct spec_file *f, const struct spec *spec, const struct tree *key, const struct tree *t,
                         struct spec_tensor *out)
{
    static const char *const keys[] = {"type", "ignore", "shape", "positive"};
    struct scope s = file_scope(f, true, NULL);
    int before = diags_errors(f->diags);
    *out = (struct spec_tensor){
        .name = key->text, .span = key->span, .ignore = -1, .type = rnc_target_type(0), .faulty = true};
    if (!file_is_map(f, t, "a target")) return;
    file_check_keys(f, t, "a target", keys, sizeof keys / sizeof *keys);
    const struct tree *ignore = tree_get(t, "ignore"), *shape = tree_get(t, "shape");
    const struct rnc_target_type *type = parse_type(f, key, tree_get(t, "type"));
    if (!type) return;
    out->type = type;
    out->dim[0] = 1;
    struct ast_value v;
    if (ignore && !type->labels)
        file_error(f, ignore->span, "ignore is for classes; '%s' is a %s", key->text, type->name);
    else if (ignore && value_int(&s, ignore, -1, 1 << 20, "ignore", &v)) {
        out->ignore = v.i;
        out->ignores = true;
    }
    if (shape) parse_shape(f, shape, out);
    else unsaid_shape(f, spec, key, out);
    parse_positive(f, spec, key, tree_get(t, "positive"), out);
    out->faulty = diags_errors(f->diags) > before;
}

void targets_parse(struct spec_file *f, struct spec *s)
{
    const struct tree *map = tree_get(f->root, "targets");
    if (!map || !file_is_map(f, map, "targets")) return;
    struct spec_tensor *rows = ARENA_ARRAY(f->arena, struct spec_tensor, map->count + 1);
    for (int i = 0; i < map->count; i++) {
        parse_target(f, s, map->keys[i], map->items[i], &rows[i]);
        if (!is_name(rows[i].name, false))
            file_error(f, rows[i].span, "'%s' can't be a target's name: letters, digits and _", rows[i].name);
        for (int k = 0; k < f->ninputs; k++)
            if (strcmp(f->inputs[k].name, rows[i].name) == 0)
                file_error(f, rows[i].span, "'%s' is an input already", rows[i].name);
    }
    s->targets = rows;
    s->ntargets = map->count;
}

/* ---- losses */

int target_find(struct spec_file *f, const struct scope *s, const struct spec *spec, const struct tree *t)
{
    struct ast_value v;
    if (!value_eval(s, t, AST_TEXT, &v)) return -1;
    const char **names = ARENA_ARRAY(f->arena, const char *, spec->ntargets + 1);
    for (int i = 0; i < spec->ntargets; i++) {
        names[i] = spec->targets[i].name;
        if (strcmp(names[i], v.s) == 0) return i;
    }
    struct diag *g = file_error(f, t->span, "there is no target '%s'", v.s);
    if (spec->ntargets == 0)
        diag_note(g, "`targets: {%s: {type: class}}` declares it", is_name(v.s, false) ? v.s : "label");
    file_suggest(f, g, v.s, "targets", names, (size_t)spec->ntargets);
    return -1;
}

/* The types that the loss compares with, as a declaration: "{type: class} or {type: class_map}". */
static const char *suitable(struct arena *a, bool labels)
{
    const char **list = ARENA_ARRAY(a, const char *, 16);
    size_t n = 0;
    for (int k = 0; rnc_target_type(k) && n < 16; k++) {
        const struct rnc_target_type *t = rnc_target_type(k);
        if (t->labels != labels) continue;
        list[n++] = arena_printf(
            a, t->max_rank > 0 && t->unsaid == RNC_UNSAID_REFUSED ? "{type: %s, shape: […]}" : "{type: %s}", t->name);
    }
    return one_of(a, list, n);
}

bool target_suits(struct spec_file *f, const struct op_def *op, const struct spec_tensor *t, struct span at)
{
    bool classes = op->compares == COMPARES_CLASSES;
    if (t->faulty) return false;
    if (classes == t->type->labels) return true;
    struct diag *g = file_error(f, at, "%s compares with %s, but the target '%s' is a %s", op->name,
                                classes ? "classes" : "numbers", t->name, t->type->name);
    diag_note(g, "declare it as %s", suitable(f->arena, classes));
    return false;
}

int64_t target_ignore(struct spec_file *f, struct spec_tensor *t, const struct tree *given, int64_t value)
{
    if (!given) return t->ignore;
    if (!t->ignores) {
        t->ignore = value;
        t->ignores = true;
    }
    if (t->ignore == value) return value;
    diag_note(file_error(f, given->span, "this loss ignores the label %lld, its target '%s' %s", (long long)value,
                         t->name,
                         t->ignore < 0 ? "ignores none" : arena_printf(f->arena, "ignores %lld", (long long)t->ignore)),
              "`ignore` belongs to the target; take it out here");
    return t->ignore;
}

static void no_loss(struct spec_file *f, const struct spec_tensor *t)
{
    struct diag *g = file_error(f, t->span, "no loss compares anything with the target '%s'", t->name);
    diag_note(g, "take it out, or add a loss with `target: %s`", t->name);
}

void targets_pair(struct spec_file *f, struct spec *s)
{
    const struct tree *losses = tree_get(f->root, "loss");
    bool whole = f->ast->nlosses > 0 && losses->count == f->ast->nlosses; /* none was faulty */
    struct spec_tensor *t = ARENA_ARRAY(f->arena, struct spec_tensor, s->ntargets + 1);
    bool *compared = ARENA_ARRAY(f->arena, bool, s->ntargets + 1);
    if (s->ntargets) memcpy(t, s->targets, (size_t)s->ntargets * sizeof *t);
    for (int i = 0; i < f->ast->nlosses; i++) {
        const struct flat_loss *l = &f->ast->losses[i];
        struct spec_tensor *to = &t[l->target];
        compared[l->target] = true;
        to->binary |= l->op->compares == COMPARES_BINARY;
    }
    for (int i = 0; i < s->ntargets; i++) {
        t[i].binary |= t[i].type->binary;
        t[i].picture = t[i].type->annotation ? t[i].type : t[i].binary ? rnc_target_binary(t[i].rank, t[i].dim) : NULL;
        if (!compared[i] && whole) no_loss(f, &t[i]);
    }
    s->targets = t;
    s->nlosses = f->ast->nlosses;
}
