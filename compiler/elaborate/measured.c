/* measured.c: pairs of values and targets, and what values are. */
#include "elaborate/measured.h"

#include <string.h>
#include "spec/ast.h"

const char build_total[] = "loss";

/* ---- pairs */

/* The output that is the loss's value, or NULL. */
static const char *output_of(const struct ast *ast, int ref)
{
    for (int i = 0; i < ast->noutputs; i++)
        if (ast->outputs[i].ref == ref) return ast->outputs[i].label;
    return NULL;
}

static bool has_target(const struct build_pair *pairs, int n, int target, const char *value)
{
    for (int i = 0; i < n; i++)
        if (pairs[i].target == target && (!value || strcmp(pairs[i].value, value) == 0)) return true;
    return false;
}

/* A spec without losses, of one output and one target. */
static int only_pair(const struct spec *s, struct build_pair *pairs)
{
    if (s->ntargets != 1 || s->ast->noutputs != 1) return 0;
    pairs[0] = (struct build_pair){s->ast->outputs[0].label, 0, -1};
    return 1;
}

struct build_pair *build_pairs(struct arena *a, const struct spec *s, int *n)
{
    const struct ast *ast = s->ast;
    struct build_pair *pairs = ARENA_ARRAY(a, struct build_pair, ast->nlosses + 1);
    bool *outputs = ARENA_ARRAY(a, bool, s->ntargets + 1); /* by target: is an output compared with it? */
    *n = ast->nlosses ? 0 : only_pair(s, pairs);
    for (int i = 0; i < ast->nlosses; i++)
        outputs[ast->losses[i].target] |= output_of(ast, ast->losses[i].from) != NULL;
    for (int i = 0; i < ast->nlosses; i++) {
        const struct flat_loss *l = &ast->losses[i];
        const char *output = output_of(ast, l->from), *value = output ? output : l->label;
        if (output ? has_target(pairs, *n, l->target, value)
                   : outputs[l->target] || has_target(pairs, *n, l->target, NULL))
            continue;
        pairs[(*n)++] = (struct build_pair){value, l->target, i};
    }
    return pairs;
}

const char *build_term_name(struct arena *a, const struct spec *s, int k)
{
    const struct ast *ast = s->ast;
    int same = 0;
    for (int i = 0; i < ast->nlosses; i++) same += strcmp(ast->losses[i].label, ast->losses[k].label) == 0;
    return same == 1 ? ast->losses[k].label : arena_printf(a, "%s.%d", ast->losses[k].label, k);
}

const char *build_term(struct arena *a, const struct spec *s, int k)
{
    return s->ast->nlosses == 1 ? build_total : arena_printf(a, "%s.%s", build_total, build_term_name(a, s, k));
}

/* ---- probabilities */

/* A view behind SQUASH whose channels are those of its operand. */
static bool keeps_channels(const struct node *n, enum op_squash squash)
{
    const struct type *t = &n->in[0]->type;
    return n->op->view && (squash == SQUASH_SIGMOID || t->rank != 4 || (t->dim[2] == 1 && t->dim[3] == 1));
}

struct squashed squashed_by(const struct value *v)
{
    const struct node *n = v->def;
    while (n && n->op->class_ == OP_LAYER && n->nin == 1 && !n->op->squash) n = n->in[0]->def;
    if (!n || n->op->class_ != OP_LAYER || !n->op->squash) return (struct squashed){SQUASH_NONE, NULL, false};
    struct squashed s = {n->op->squash, n, true};
    for (const struct node *k = v->def; k != n; k = k->in[0]->def) s.exact &= keeps_channels(k, s.squash);
    return s;
}

struct value *squashed_from(struct graph *g, const struct value *v)
{
    const struct node *n = v->def;
    if (n->op->squash) return n->in[0];
    struct value *from = squashed_from(g, n->in[0]);
    struct node *view = op_build_attrs(g, NULL, n->op->name, &from, 1, n->attr);
    view->layer = n->layer;
    view->span = n->span;
    return view->out[0];
}

/* ---- kinds */

static enum rnc_value_kind kind_of(enum op_squash squash, bool done)
{
    if (squash == SQUASH_SOFTMAX) return done ? RNC_PROBABILITIES : RNC_LOGITS;
    if (squash == SQUASH_SIGMOID) return done ? RNC_BINARY_PROBABILITIES : RNC_BINARY_LOGITS;
    return RNC_NUMBERS;
}

/* By the loss: what it applies to the value itself, or has been applied already. */
static enum rnc_value_kind kind_by_loss(const struct flat_loss *l, const struct value *v)
{
    const enum op_squash squash = op_loss_squash(l->op, l->attr);
    if (!squash) return kind_of(l->op->squash, true); /* probabilities, as it was told; or numbers */
    const struct squashed by = squashed_by(v);
    return kind_of(squash, by.exact && by.squash == squash);
}

/* What the spec applies to V and does nothing else with. */
static enum op_squash squashed_later(const struct graph *g, const struct value *v)
{
    enum op_squash squash = SQUASH_NONE;
    GRAPH_EACH(g, n)
    {
        if (n->op->class_ != OP_LAYER || !n->op->squash || n->in[0] != v) continue;
        bool read = false;
        GRAPH_EACH(g, m)
        {
            for (int i = 0; i < m->nin; i++) read |= m->in[i] == n->out[0];
        }
        if (!read) squash = n->op->squash;
    }
    return squash;
}

static int ref_of(const struct ast *ast, const char *label)
{
    for (int i = 0; i < ast->noutputs; i++)
        if (strcmp(ast->outputs[i].label, label) == 0) return ast->outputs[i].ref;
    for (int i = 0; i < ast->nlosses; i++)
        if (strcmp(ast->losses[i].label, label) == 0) return ast->losses[i].from;
    return REF_NONE;
}

enum rnc_value_kind build_kind(const struct spec *s, const struct graph *g, const char *label)
{
    const struct value *v = NULL;
    int ref = ref_of(s->ast, label);
    for (int i = 0; i < g->noutputs; i++)
        if (strcmp(g->outputs[i].label, label) == 0) v = g->outputs[i].value;
    if (!v) return RNC_NUMBERS;
    for (int i = 0; i < s->ast->nlosses; i++)
        if (s->ast->losses[i].from == ref) return kind_by_loss(&s->ast->losses[i], v);
    const struct squashed by = squashed_by(v);
    if (by.exact) return kind_of(by.squash, true);
    const enum op_squash later = squashed_later(g, v);
    if (later) return kind_of(later, false);
    return s->nclasses > 1 && v->type.rank >= 2 && v->type.dim[1] == s->nclasses ? RNC_LOGITS : RNC_NUMBERS;
}
