/* param.c: the parameters of specs and blocks: their declarations and what they allow. */
#include <math.h>
#include <string.h>
#include "base/buf.h"
#include "spec/value.h"

static const char *const type_names[] = {"int", "number", "bool", "text", "label"}; /* enum ast_type */
enum { NTYPES = sizeof type_names / sizeof *type_names };

static const char *const keys_spec[] = {"default", "one_of", "min", "max", "multiple_of", "type"};

static bool parse_type(const struct scope *s, const struct tree *t, enum ast_type *out)
{
    for (int i = 0; i < NTYPES && t->kind == TREE_TEXT; i++)
        if (strcmp(t->text, type_names[i]) == 0) {
            *out = (enum ast_type)i;
            return true;
        }
    struct diag *g = scope_error(s, t->span, "a parameter's type can't be %s", tree_words(s->file->arena, t));
    file_suggest(s->file, g, t->kind == TREE_TEXT ? t->text : NULL, "types", type_names, NTYPES);
    return false;
}

static bool type_of_default(const struct scope *s, const struct tree *t, enum ast_type *out)
{
    if (t->kind != TREE_TEXT || tree_empty(t)) {
        struct diag *g = scope_error(s, t->span, "a parameter is a number, true or false, or a text, not %s",
                                     tree_words(s->file->arena, t));
        diag_note(g, "write `name: default` or `name: {default: …, one_of: […]}`");
        return false;
    }
    struct ast_value v;
    if (!value_any(s, t, &v)) return false;
    *out = v.type;
    return true;
}

static bool parse_one_of(const struct scope *s, const struct tree *t, struct ast_param *p)
{
    if (t->kind != TREE_LIST || t->count == 0) {
        scope_error(s, t->span, "one_of wants a list of values, not %s", tree_words(s->file->arena, t));
        return false;
    }
    p->one_of = ARENA_ARRAY(s->file->arena, struct ast_value, t->count);
    bool ok = true;
    for (int i = 0; i < t->count; i++) ok &= value_literal(s, t->items[i], p->type, &p->one_of[i]);
    if (ok) p->none_of = t->count;
    return ok;
}

static bool parse_bounds(const struct scope *s, const struct tree *t, struct ast_param *p)
{
    const struct tree *min = tree_get(t, "min"), *max = tree_get(t, "max"), *multiple = tree_get(t, "multiple_of");
    const struct tree *first = min ? min : max ? max : multiple;
    if (!first) return true;
    if (p->type != AST_INT && p->type != AST_NUMBER) {
        scope_error(s, first->span, "min, max and multiple_of are for numbers; '%s' is %s", p->name,
                    type_words_of(p->type));
        return false;
    }
    struct ast_value v = {0};
    p->has_min = min != NULL;
    p->has_max = max != NULL;
    bool ok = true;
    if (min && (ok &= value_literal(s, min, AST_NUMBER, &v))) p->min = v.f;
    if (max && (ok &= value_literal(s, max, AST_NUMBER, &v))) p->max = v.f;
    if (min && max && ok && p->min > p->max) {
        scope_error(s, max->span, "the maximum %g is below the minimum %g", p->max, p->min);
        ok = false;
    }
    if (!multiple) return ok;
    if (p->type != AST_INT) {
        scope_error(s, multiple->span, "multiple_of is for integers; '%s' is %s", p->name, type_words_of(p->type));
        return false;
    }
    if (!value_literal(s, multiple, AST_INT, &v)) return false;
    if (v.i < 1) {
        scope_error(s, multiple->span, "multiple_of must be at least 1");
        return false;
    }
    p->multiple_of = v.i;
    return ok;
}

static bool check_keys(const struct scope *s, const struct tree *t, bool block)
{
    size_t n = sizeof keys_spec / sizeof *keys_spec - (block ? 0 : 1);
    bool ok = true;
    for (int i = 0; i < t->count; i++) {
        bool found = false;
        for (size_t k = 0; k < n && !found; k++) found = strcmp(t->keys[i]->text, keys_spec[k]) == 0;
        if (found) continue;
        struct diag *g = scope_error(s, t->keys[i]->span, "a parameter has no '%s'", t->keys[i]->text);
        if (!block && strcmp(t->keys[i]->text, "type") == 0)
            diag_note(g, "a spec's parameter has its type from its default");
        file_suggest(s->file, g, t->keys[i]->text, "keys", keys_spec, n);
        ok = false;
    }
    return ok;
}

bool param_parse(const struct scope *s, const struct tree *key, const struct tree *t, bool block, struct ast_param *p)
{
    *p = (struct ast_param){.name = key->text, .span = key->span};
    if (!is_name(key->text, false) || (key->text[0] >= '0' && key->text[0] <= '9')) {
        scope_error(s, key->span, "'%s' can't be a parameter's name: letters, digits and _", key->text);
        return false;
    }
    if (t->kind != TREE_MAP) {
        p->def = t;
        return type_of_default(s, t, &p->type);
    }
    if (!check_keys(s, t, block)) return false;
    const struct tree *type = tree_get(t, "type");
    p->def = tree_get(t, "default");
    if (!p->def && !type) {
        struct diag *g = scope_error(s, key->span, "the parameter '%s' needs a default", p->name);
        if (block) diag_note(g, "or, where each use must give it, {type: int}");
        return false;
    }
    if (type && !parse_type(s, type, &p->type)) return false;
    if (type && p->type == AST_LABEL && p->def) {
        scope_error(s, p->def->span, "a parameter that is a label has no default");
        return false;
    }
    if (!type && !type_of_default(s, p->def, &p->type)) return false;
    const struct tree *one_of = tree_get(t, "one_of");
    if (one_of && !parse_one_of(s, one_of, p)) return false;
    return parse_bounds(s, t, p);
}

static bool is_one_of(struct arena *a, const struct ast_param *p, const struct ast_value *v)
{
    for (int i = 0; i < p->none_of; i++)
        if (strcmp(value_print(a, &p->one_of[i]), value_print(a, v)) == 0) return true;
    return p->none_of == 0;
}

bool param_check(const struct scope *s, const struct ast_param *p, const struct ast_value *v, struct span at)
{
    struct arena *a = s->file->arena;
    if (!v->known || p->type == AST_LABEL) return true;
    double x = v->type == AST_INT ? (double)v->i : v->f;
    if (p->has_min && x < p->min) {
        scope_error(s, at, "%s must be at least %g, not %s", p->name, p->min, value_print(a, v));
        return false;
    }
    if (p->has_max && x > p->max) {
        scope_error(s, at, "%s must be at most %g, not %s", p->name, p->max, value_print(a, v));
        return false;
    }
    if (p->multiple_of && v->i % p->multiple_of != 0) {
        scope_error(s, at, "%s must be a multiple of %lld, not %lld", p->name, (long long)p->multiple_of,
                    (long long)v->i);
        return false;
    }
    if (is_one_of(a, p, v)) return true;
    const char **names = ARENA_ARRAY(a, const char *, p->none_of);
    for (int i = 0; i < p->none_of; i++) names[i] = value_print(a, &p->one_of[i]);
    struct diag *g = scope_error(s, at, "%s can't be '%s'", p->name, value_print(a, v));
    file_suggest(s->file, g, value_print(a, v), "one of", names, (size_t)p->none_of);
    return false;
}
