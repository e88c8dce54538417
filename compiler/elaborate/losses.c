/* losses.c: a spec's losses. Softmax and cross entropy after one another are exact in one operator, that takes logits:
   where a loss applies what its value has been through already, it takes what that was before. */
#include "elaborate/measured.h"
#include "elaborate/parts.h"

#include <string.h>

/* What a spec calls V, or NULL. */
static const char *label_of(const struct builder *b, const struct value *v)
{
    for (int i = 0; i < b->ast->nlayers; i++)
        if (b->values[i] == v && b->ast->layers[i].label) return b->ast->layers[i].label;
    return NULL;
}

static void remark_logits(struct builder *b, const struct flat_loss *l, const struct squashed *by)
{
    struct diag *g = diag_remark(b->diags, l->span, "%s takes what goes into '%s', not '%s'", l->op->name,
                                 by->node->layer, l->label);
    diag_note(g, "it applies %s itself, and once is right; the results are those of %s on the logits",
              by->node->op->name, l->op->name);
}

/* Probabilities in a loss that makes its own of them. */
static void warn_squashed(struct builder *b, const struct flat_loss *l, const struct squashed *by)
{
    const char *logits = label_of(b, by->node->in[0]);
    struct diag *g =
        diag_warn(b->diags, l->span, "%s applies its own %s to '%s', which '%s' has brought between 0 and 1",
                  l->op->name, op_squash_name(l->op->squash), l->label, by->node->layer);
    diag_note(g, "of such values it is nearly flat, and training hardly moves");
    if (logits) diag_note(g, "`from: %s` takes what goes into '%s'", logits, by->node->layer);
    else
        diag_note(g, "give what goes into '%s' a label (`as: logits`), and take the loss `from: logits`",
                  by->node->layer);
    if (op_attr_index(l->op, "from_logits") >= 0)
        diag_note(g, "or `from_logits: false`, which takes probabilities as they are");
}

/* Logits in a loss that was told to take probabilities. */
static void warn_raw(struct builder *b, const struct flat_loss *l, const struct value *x)
{
    const struct node *n = x->def;
    if (!n || n->op->squash || n->nin < 2 || n->in[1]->kind != VALUE_PARAM) return;
    struct diag *g = diag_warn(b->diags, l->span,
                               "%s takes probabilities (`from_logits: false`), but '%s' is what '%s' "
                               "computes, any number",
                               l->op->name, l->label, n->layer);
    diag_note(g, "leave from_logits out, or put a sigmoid behind '%s'", n->layer);
}

static struct value *loss_operand(struct builder *b, const struct flat_loss *l, struct value *x)
{
    const enum op_squash squash = op_loss_squash(l->op, l->attr);
    const struct squashed by = squashed_by(x);
    if (!squash && l->op->squash) warn_raw(b, l, x);
    if (!squash || !by.squash) return x;
    if (by.squash != squash || !by.exact) {
        warn_squashed(b, l, &by);
        return x;
    }
    remark_logits(b, l, &by);
    return squashed_from(b->graph, x);
}

/* A map of another size than the prediction: masks come in the size that the target's shape says. */
static void note_size(struct diag *g, const struct spec_tensor *t, const struct type *x)
{
    if (t->type->unsaid != RNC_UNSAID_IMAGE || x->rank != 4) return;
    diag_note(g, "`%s: {type: %s, shape: [%lld, %lld]}` brings its masks to the prediction's size", t->name,
              t->type->name, (long long)x->dim[2], (long long)x->dim[3]);
}

static void loss_error(struct builder *b, const struct flat_loss *l, const struct value *t, const struct type *x,
                       const struct op_error *e)
{
    struct diag *g = diag_error(b->diags, l->span, "%s: %s", l->op->name, e->message);
    if (e->note) diag_note(g, "%s", e->note);
    diag_note(g, "the target '%s' is %s", t->name, type_sample_text(b->arena, &t->type));
    note_size(g, &b->spec->targets[l->target], x);
    trail_note(b, g, "from", l->from, REF_NONE, l->span.src);
}

static struct value *build_loss(struct builder *b, const struct flat_loss *l, int index)
{
    struct value *from = builder_value(b, l->from), *t = from ? builder_target(b, l->target) : NULL;
    if (!from || !t) return NULL;
    struct value *x = loss_operand(b, l, from);
    struct node *n = graph_node(b->graph, NULL, l->op, (struct value *[]){x, t}, 2, l->op->nouts);
    memcpy(n->attr, l->attr, (size_t)l->op->nattr * sizeof *n->attr);
    n->span = l->span;
    n->layer = arena_printf(b->arena, b->ast->nlosses > 1 ? "loss.%s.%d" : "loss.%s", l->op->name, index);
    struct op_error e = {.arena = b->arena};
    if (!op_infer(n, &e)) {
        loss_error(b, l, t, &x->type, &e);
        return NULL;
    }
    n->out[0]->layer = n->layer;
    n->out[0]->span = l->span;
    value_rename(b->graph, n->out[0], graph_fresh_name(b->graph, n->layer));
    return n->out[0];
}

static bool is_output(const struct graph *g, const char *label)
{
    for (int i = 0; i < g->noutputs; i++)
        if (strcmp(g->outputs[i].label, label) == 0) return true;
    return false;
}

/* What metrics are taken of is an output, whether the spec says so or not. */
static void output_pairs(struct builder *b)
{
    int n;
    const struct build_pair *pairs = build_pairs(b->arena, b->spec, &n);
    for (int i = 0; i < n; i++) {
        struct value *v = pairs[i].loss < 0 ? NULL : builder_value(b, b->ast->losses[pairs[i].loss].from);
        if (v && !is_output(b->graph, pairs[i].value)) graph_output(b->graph, pairs[i].value, v);
    }
}

/* Who asks for the loss asks for it by its name. */
static void check_names(struct builder *b)
{
    for (int i = 0; i < b->ast->noutputs; i++) {
        if (strcmp(b->ast->outputs[i].label, build_total) != 0) continue;
        struct diag *g = diag_error(b->diags, b->ast->outputs[i].span,
                                    "an output can't be called '%s': that is the sum of the losses", build_total);
        diag_note(g, "`as: logits` gives it another name, which `outputs` and `from` then say");
    }
}

static void no_losses(struct builder *b)
{
    struct diag *g =
        diag_error(b->diags, (struct span){.src = b->spec->source}, "the spec has no loss and can't be trained");
    diag_note(g,
              "`loss: [softmax_cross_entropy: {from: logits, target: label}]`, and `targets: {label: {type: class}}`");
}

void losses_build(struct builder *b, bool measured)
{
    struct value *sum = NULL, **term = ARENA_ARRAY(b->arena, struct value *, b->ast->nlosses + 1);
    for (int i = 0; i < b->ast->nlosses; i++) {
        term[i] = build_loss(b, &b->ast->losses[i], i);
        if (!term[i]) continue;
        sum = sum ? op_build(b->graph, NULL, OPNAME_ADD, (struct value *[]){sum, term[i]}, 2)->out[0] : term[i];
    }
    check_names(b);
    if (measured) output_pairs(b);
    if (sum) graph_output(b->graph, build_total, sum);
    for (int i = 0; measured && b->ast->nlosses > 1 && i < b->ast->nlosses; i++)
        if (term[i]) graph_output(b->graph, build_term(b->arena, b->spec, i), term[i]);
    if (!b->ast->nlosses) no_losses(b);
}
