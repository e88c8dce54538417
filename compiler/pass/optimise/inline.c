/* inline.c: a pointwise node becomes part of a reader's body, or its prologue: the reader computes the operand where it
   would have read it. */
#include "pass/passes.h"

#include <assert.h>
#include <string.h>
#include "ir/op.h"

/* Instructions that N is or has; 0: it is none that a body can take in. */
static int instructions(const struct node *n)
{
    if (!n->op->family->elementwise || n->prepare || n->nin > MAX_OPERANDS) return 0;
    for (int i = 0; i < n->nin; i++)
        if (!n->in[i] || !dtype_floating(n->in[i]->type.dtype)) return 0;
    if (n->body) return n->body->ninsn;
    return n->op->expr && n->op->nouts == 1 && n->nin == n->op->noperands && n->nin <= MAX_BODY_ARGS;
}

static bool among_anchors(const struct node *n, const struct value *v)
{
    for (int i = 0; i < n->nanchor; i++)
        if (n->in[i] == v) return true;
    return false;
}

static bool read_ahead(const struct node *n, const struct value *v)
{
    for (int i = n->nanchor; i < n->nin; i++)
        if (n->in[i] == v && plan_reads_ahead(n, i)) return true;
    return false;
}

bool inline_fits(const struct node *reader, const struct value *v, const struct node *def)
{
    bool conv = reader->op->family->takes_body && reader->body;
    int own = conv ? reader->body->ninsn : instructions(reader), more = instructions(def),
        anchors = conv ? reader->nanchor : 0;
    if (!own || !more || own + more > MAX_BODY || def->nout != 1 || reader->prepare) return false;
    if (conv && (among_anchors(reader, v) || read_ahead(reader, v))) return false;
    struct type in = v->type, out = reader->out[0]->type;
    in.dtype = out.dtype = DT_F32; /* in the reader's registers */
    return type_equal(&in, &out) && reader->nin - anchors - 1 + def->nin <= MAX_OPERANDS;
}

/* What node N computes, as a body whose operands are N's. */
static struct body body_of(const struct node *n)
{
    if (n->body) return *n->body;
    struct body b = {.ninsn = 1, .nout = 1};
    b.insn[0] = (struct body_insn){.op = n->op, .attr = n->attr, .narg = n->nin, .layer = n->layer};
    for (int i = 0; i < n->nin; i++) b.insn[0].arg[i] = (struct body_ref){BODY_OPERAND, (uint8_t)i};
    b.out[0] = (struct body_ref){BODY_INSN, 0};
    return b;
}

void inline_give_body(struct graph *g, struct node *n)
{
    struct body *b = ARENA_NEW(g->arena, struct body);
    *b = body_of(n);
    n->body = b;
    n->op = op_find(OPNAME_POINTWISE);
    n->attr = ARENA_ARRAY(g->arena, struct attr, 1);
    n->nanchor = 0;
}

static int operand_at(struct value **in, int *count, int from, struct value *v)
{
    for (int i = from; i < *count; i++)
        if (in[i] == v) return i;
    in[*count] = v;
    return (*count)++;
}

static struct body_ref moved(struct body_ref r, const struct body_ref *operand, int shift)
{
    if (r.source == BODY_OPERAND) return operand[r.index];
    if (r.source == BODY_INSN || r.source == BODY_SECOND) r.index = (uint8_t)(r.index + shift);
    return r;
}

static void append(struct body *to, const struct body *from, const struct body_ref *operand)
{
    int shift = to->ninsn;
    for (int k = 0; k < from->ninsn; k++) {
        struct body_insn insn = from->insn[k];
        for (int i = 0; i < insn.narg; i++) insn.arg[i] = moved(insn.arg[i], operand, shift);
        to->insn[to->ninsn++] = insn;
    }
}

/* B with OPERAND[i] in the place of the reference to input i. */
static struct body *renumbered(struct graph *g, const struct body *b, const struct body_ref *operand)
{
    struct body *to = ARENA_NEW(g->arena, struct body);
    append(to, b, operand);
    to->nout = b->nout;
    for (int i = 0; i < b->nout; i++) to->out[i] = moved(b->out[i], operand, 0);
    return to;
}

void inline_into(struct graph *g, struct node *reader, const struct value *v, const struct node *def,
                 struct value *const *def_in)
{
    bool conv = reader->op->family->takes_body;
    int anchors = conv ? reader->nanchor : 0, count = anchors;
    struct value *in[MAX_OPERANDS * 2 + 4];
    struct body_ref operand[MAX_OPERANDS * 2 + 4];
    if (!conv) inline_give_body(g, reader);
    const struct body theirs = body_of(def), own = *reader->body;
    struct body *b = ARENA_NEW(g->arena, struct body);
    memcpy(in, reader->in, (size_t)anchors * sizeof *in);
    for (int i = 0; i < def->nin; i++)
        operand[i] = (struct body_ref){BODY_OPERAND, (uint8_t)operand_at(in, &count, anchors, def_in[i])};
    append(b, &theirs, operand);
    const struct body_ref made = theirs.out[0].source == BODY_OPERAND ? operand[theirs.out[0].index] : theirs.out[0];
    for (int i = anchors; i < reader->nin; i++)
        operand[i] = reader->in[i] == v
                         ? made
                         : (struct body_ref){BODY_OPERAND, (uint8_t)operand_at(in, &count, anchors, reader->in[i])};
    int shift = b->ninsn;
    append(b, &own, operand);
    b->nout = own.nout;
    for (int i = 0; i < own.nout; i++) b->out[i] = moved(own.out[i], operand, shift);
    for (int k = 0; k < MAX_PRE; k++)
        if (reader->pre[k]) reader->pre[k] = renumbered(g, reader->pre[k], operand);
    assert(count - anchors <= MAX_OPERANDS);
    node_set_in(g, reader, in, count);
    reader->body = b;
}

/* ---- prologues */

/* The first of DEF's inputs that lies as its result does: what is stored where the result was; -1: none. */
static int stored_operand(const struct node *def)
{
    for (int i = 0; i < def->nin; i++)
        if (type_equal(&def->in[i]->type, &def->out[0]->type)) return i;
    return -1;
}

bool prologue_fits(const struct node *reader, int k, const struct node *def)
{
    const struct type *t = &def->out[0]->type;
    int more = instructions(def), stored = more && def->nout == 1 ? stored_operand(def) : -1;
    if (stored < 0 || more > MAX_BODY || reader->prepare || !op_takes_pre(reader, k) || reader->pre[k]) return false;
    for (int i = 0; i < def->nin; i++) {
        const struct type *x = &def->in[i]->type;
        bool channel = x->rank == 1 && x->layout == LAYOUT_BLOCKED && x->dim[0] == t->dim[1];
        bool full = x->layout == t->layout && x->v == t->v && type_same_dims(x, t);
        if (x->rank && !channel && !full) return false;
    }
    return reader->nin - node_anchors(reader) + def->nin - 1 <= MAX_OPERANDS;
}

void prologue_into(struct graph *g, struct node *reader, int k, const struct node *def)
{
    const struct body theirs = body_of(def);
    int stored = stored_operand(def), anchors = node_anchors(reader), count = reader->nin;
    struct value *in[MAX_OPERANDS * 2 + 4];
    struct body_ref operand[MAX_OPERANDS];
    memcpy(in, reader->in, (size_t)count * sizeof *in);
    in[k] = def->in[stored];
    for (int i = 0; i < def->nin; i++) {
        operand[i] = (struct body_ref){BODY_ACC, 0};
        if (def->in[i] != def->in[stored])
            operand[i] = (struct body_ref){BODY_OPERAND, (uint8_t)operand_at(in, &count, anchors, def->in[i])};
    }
    node_set_in(g, reader, in, count);
    reader->nanchor = anchors;
    reader->pre[k] = renumbered(g, &theirs, operand);
}
