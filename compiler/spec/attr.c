/* attr.c: values of operators' attributes. */
#include "spec/attr.h"

#include <math.h>
#include <string.h>

bool attr_is_label(const struct op_attr *row) { return row->spec_only && row->def.type == ATTR_TEXT; }

static bool in_range(const struct scope *s, const struct op_attr *row, struct span at, double x)
{
    double min = row->has_range ? row->min : -(double)AST_MAX_NUMBER;
    double max = row->has_range ? row->max : row->def.type == ATTR_FLOAT ? INFINITY : (double)AST_MAX_NUMBER;
    if (!row->has_range && row->def.type == ATTR_FLOAT) return true;
    if (x >= min && x <= max) return true;
    if (x < min && !isinf(min)) scope_error(s, at, "%s must be at least %.15g, not %.19g", row->name, min, x);
    else scope_error(s, at, "%s must be at most %.15g, not %.19g", row->name, max, x);
    return false;
}

static bool eval_number(const struct scope *s, const struct op_attr *row, const struct tree *t, bool integer,
                        struct ast_value *v)
{
    if (!value_eval(s, t, integer ? AST_INT : AST_NUMBER, v)) return false;
    return !v->known || in_range(s, row, t->span, integer ? (double)v->i : v->f);
}

static bool eval_enum(const struct scope *s, const struct op_attr *row, const struct tree *t, struct attr *out)
{
    struct ast_value v;
    if (!value_eval(s, t, AST_TEXT, &v)) return false;
    if (!v.known) return true;
    size_t n = 0;
    for (; row->choices[n]; n++)
        if (strcmp(row->choices[n], v.s) == 0) {
            out->i = (int64_t)n;
            return true;
        }
    struct diag *g = scope_error(s, t->span, "%s can't be '%s'", row->name, v.s);
    file_suggest(s->file, g, v.s, "one of", row->choices, n);
    return false;
}

static bool wrong_count(const struct scope *s, const struct op_attr *row, const struct tree *t)
{
    bool quad = row->def.type == ATTR_QUAD;
    if (t->kind == TREE_LIST)
        scope_error(s, t->span, "%s is one number%s, not a list of %d", row->name,
                    quad ? ", [h, w] or [top, left, bottom, right]" : " or [h, w]", t->count);
    else
        scope_error(s, t->span, "%s is one number%s, not %s", row->name,
                    quad ? ", [h, w] or [top, left, bottom, right]" : " or [h, w]", tree_words(s->file->arena, t));
    return false;
}

static bool eval_list(const struct scope *s, const struct op_attr *row, const struct tree *t, struct attr *out)
{
    int64_t v[4] = {0};
    bool ok = true, known = true;
    if (t->count != 2 && !(row->def.type == ATTR_QUAD && t->count == 4)) return wrong_count(s, row, t);
    for (int i = 0; i < t->count; i++) {
        struct ast_value e;
        ok &= eval_number(s, row, t->items[i], true, &e);
        known &= e.known;
        v[i] = e.i;
    }
    if (row->def.type == ATTR_QUAD && t->count == 2) {
        v[2] = v[0];
        v[3] = v[1];
    }
    if (ok && known) memcpy(out->v, v, sizeof v);
    return ok;
}

/* PAIR and QUAD: a number for all sides, or a list. */
static bool eval_numbers(const struct scope *s, const struct op_attr *row, const struct tree *t, struct attr *out)
{
    if (t->kind == TREE_LIST) return eval_list(s, row, t, out);
    if (t->kind == TREE_MAP || tree_empty(t)) return wrong_count(s, row, t);
    struct ast_value e;
    if (!eval_number(s, row, t, true, &e)) return false;
    if (!e.known) return true;
    bool quad = row->def.type == ATTR_QUAD;
    for (int i = 0; i < 4; i++) out->v[i] = quad || i < 2 ? e.i : 0;
    return true;
}

static bool pad_word(const struct tree *t, uint8_t *pad)
{
    if (!pad || t->kind != TREE_TEXT) return false;
    bool same = strcmp(t->text, "same") == 0;
    if (!same && strcmp(t->text, "valid") != 0) return false;
    *pad = same ? PAD_SAME : PAD_VALID;
    return true;
}

/* $name of a text parameter, for `pad: $padding`. */
static bool pad_param(const struct scope *s, const struct tree *t, uint8_t *pad, bool *ok)
{
    if (t->kind != TREE_TEXT || t->quoted || t->text[0] != '$') return false;
    struct ast_value v;
    *ok = value_any(s, t, &v);
    if (!*ok || v.type != AST_TEXT) return !*ok;
    if (!v.known) return true;
    const struct tree word = {.kind = TREE_TEXT, .text = v.s, .span = t->span};
    if (pad_word(&word, pad)) return true;
    scope_error(s, t->span, "pad can't be '%s'; it is numbers, same or valid", v.s);
    *ok = false;
    return true;
}

static bool not_a_pad(const struct scope *s, const struct tree *t)
{
    static const char *const words[] = {"same", "valid"};
    struct diag *g = scope_error(s, t->span, "pad can't be '%s'", t->text);
    file_suggest(s->file, g, t->text, "one number, [h, w], [top, left, bottom, right], or", words, 2);
    return false;
}

bool attr_eval(const struct scope *s, const struct op_attr *row, const struct tree *t, struct attr *out, uint8_t *pad)
{
    if (value_is_match(t)) {
        bool ok;
        const struct tree *chosen = value_choose(s, t, &ok);
        if (chosen) return attr_eval(s, row, chosen, out, pad);
        struct attr unused = *out;
        uint8_t unused_pad;
        for (int i = 0; i < t->count && !s->dynamic; i++)
            if (strcmp(t->keys[i]->text, "match") != 0)
                ok &= attr_eval(s, row, t->items[i], &unused, pad ? &unused_pad : NULL);
        return ok;
    }
    struct ast_value v;
    bool ok = true;
    switch (row->def.type) {
    case ATTR_INT:
        if (!eval_number(s, row, t, true, &v)) return false;
        if (v.known) out->i = v.i;
        return true;
    case ATTR_FLOAT:
        if (!eval_number(s, row, t, false, &v)) return false;
        if (v.known) out->f = v.f;
        return true;
    case ATTR_BOOL:
        if (!value_eval(s, t, AST_BOOL, &v)) return false;
        if (v.known) out->b = v.b;
        return true;
    case ATTR_ENUM: return eval_enum(s, row, t, out);
    case ATTR_TEXT:
        if (!value_eval(s, t, AST_TEXT, &v)) return false;
        if (v.known) out->s = v.s;
        return true;
    case ATTR_QUAD:
        if (pad_word(t, pad)) return true;
        if (pad && pad_param(s, t, pad, &ok)) return ok;
        if (pad && t->kind == TREE_TEXT && value_type_of(t) == AST_TEXT && t->text[0] && t->text[0] != '$')
            return not_a_pad(s, t);
        return eval_numbers(s, row, t, out);
    case ATTR_PAIR: return eval_numbers(s, row, t, out);
    }
    return false;
}
