/* print.c: a graph as text. The grammar is in compiler/ir/README.md; parse.c reads exactly what is
   printed here. */
#include "ir/text.h"

#include <ctype.h>
#include <string.h>
#include "ir/op.h"

static const char *const kind_names[] = {"", "input", "target", "param", "buffer", "counter", "optim"};
const char *const init_names[] = {"zeros",    "ones",    "kaiming_normal",   "uniform_fan_in",
                                  "constant", "uniform", "truncated_normal", NULL};
static const char *const space_names[] = {"", "arena", "state", "input", "output"};

static bool is_plain_name(const char *s)
{
    if (!*s) return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_./-", *s)) return false;
    return true;
}

static void print_quoted(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') buf_printf(out, "\\%c", c);
        else if (c == '\n') buf_puts(out, "\\n");
        else if (c < 32 || c == 127) buf_printf(out, "\\x%02x", c);
        else buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

static void print_name(struct buf *out, char sigil, const char *name)
{
    buf_putc(out, sigil);
    if (is_plain_name(name)) buf_puts(out, name);
    else print_quoted(out, name);
}

static void print_value(struct buf *out, const struct value *v)
{
    if (v) print_name(out, '%', v->name);
    else buf_putc(out, '_');
}

static void print_place(struct buf *out, const struct value *v)
{
    if (v->space == SPACE_NONE && !v->alias) return;
    buf_printf(out, " @%s+%zu", space_names[v->space], v->offset);
    if (v->alias) {
        buf_putc(out, '=');
        print_value(out, v->alias);
    }
}

static void print_attrs(struct buf *out, const struct op_def *op, const struct attr *attr)
{
    int printed = 0;
    for (int i = 0; i < op->nattr; i++) {
        const struct op_attr *row = &op->attrs[i];
        if (row->spec_only || op_attr_equal(&attr[i], &row->def)) continue;
        buf_puts(out, printed++ ? ", " : " {");
        buf_printf(out, "%s=", row->name);
        if (row->def.type == ATTR_TEXT) {
            print_quoted(out, attr[i].s ? attr[i].s : "");
            continue;
        }
        char text[256];
        op_attr_print(row, &attr[i], text, sizeof text);
        buf_puts(out, text);
    }
    if (printed) buf_putc(out, '}');
}

static void print_ref(struct buf *out, const struct node *n, struct body_ref r)
{
    switch ((enum body_source)r.source) {
    case BODY_ACC:
        if (r.index) buf_printf(out, "acc%d", r.index);
        else buf_puts(out, "acc");
        break;
    case BODY_OPERAND: print_value(out, n->in[r.index]); break;
    case BODY_INSN: buf_printf(out, "t%d", r.index); break;
    case BODY_SECOND: buf_printf(out, "t%d_1", r.index); break;
    }
}

static void print_body(struct buf *out, const struct node *n, const struct body *b)
{
    buf_puts(out, " [");
    for (int i = 0; i < b->ninsn; i++) {
        const struct body_insn *insn = &b->insn[i];
        buf_printf(out, "%st%d = %s(", i ? ", " : "", i, insn->op->name);
        for (int k = 0; k < insn->narg; k++) {
            if (k) buf_puts(out, ", ");
            print_ref(out, n, insn->arg[k]);
        }
        buf_putc(out, ')');
        print_attrs(out, insn->op, insn->attr);
        if (insn->layer) {
            buf_putc(out, ' ');
            print_quoted(out, insn->layer);
        }
    }
    buf_puts(out, b->ninsn ? " -> " : "-> ");
    for (int i = 0; i < b->nout; i++) {
        if (i) buf_puts(out, ", ");
        print_ref(out, n, b->out[i]);
    }
    buf_putc(out, ']');
}

/* What a region yields stands at its end. */
static void print_inputs(struct buf *out, const struct node *n)
{
    buf_putc(out, '(');
    for (int i = 0; i < (n->op->owns ? REGION_YIELD : n->nin); i++) {
        if (i == n->nanchor && (n->body || node_has_pre(n))) buf_puts(out, i ? " | " : "| ");
        else if (i) buf_puts(out, ", ");
        print_value(out, n->in[i]);
    }
    buf_putc(out, ')');
}

static void print_loc(struct buf *out, struct span span)
{
    if (!span.src) return;
    buf_puts(out, " loc ");
    print_quoted(out, span.src->path ? span.src->path : "");
    buf_printf(out, ":%u:%u", span.line, span.col);
}

/* `layer "x"` says that the node and its first result are the layer x; `in "x"` that the node alone belongs to it. */
static void print_layers(struct buf *out, const struct node *n)
{
    if (!n->layer) return;
    const char *own = n->nout ? n->out[0]->layer : NULL;
    buf_puts(out, own && !strcmp(own, n->layer) ? " layer " : " in ");
    print_quoted(out, n->layer);
}

static void print_result(struct buf *out, const struct node *n, int i)
{
    const struct value *v = n->out[i];
    buf_printf(out, "%s%s", i ? ", " : " : ", type_text(out->arena, &v->type));
    if (v->layer && (i || !n->layer || strcmp(v->layer, n->layer))) {
        buf_puts(out, " as ");
        print_quoted(out, v->layer);
    }
    print_place(out, v);
}

static void print_node(struct buf *out, const struct node *n, int depth);

static void print_indent(struct buf *out, int depth)
{
    for (int i = 0; i < depth; i++) buf_puts(out, "  ");
}

static void print_region(struct buf *out, const struct node *n, int depth)
{
    buf_puts(out, " {\n");
    LIST_EACH(n->first, nested) print_node(out, nested, depth + 1);
    print_indent(out, depth + 1);
    buf_puts(out, "yield");
    for (int i = REGION_YIELD; i < n->nin; i++) {
        buf_puts(out, i > REGION_YIELD ? ", " : " ");
        print_value(out, n->in[i]);
    }
    buf_putc(out, '\n');
    print_indent(out, depth);
    buf_putc(out, '}');
}

static void print_node(struct buf *out, const struct node *n, int depth)
{
    print_indent(out, depth);
    buf_puts(out, n->prepare ? "prepare " : n->recompute ? "recompute " : "");
    for (int i = 0; i < n->nout; i++) {
        if (i) buf_puts(out, ", ");
        print_value(out, n->out[i]);
    }
    buf_printf(out, "%s%s", n->nout ? " = " : "", n->op->name);
    print_inputs(out, n);
    print_attrs(out, n->op, n->attr);
    if (n->op->owns) print_region(out, n, depth);
    if (n->body) print_body(out, n, n->body);
    for (int k = 0; k < MAX_PRE; k++) {
        if (!n->pre[k]) continue;
        buf_printf(out, " pre%d", k);
        print_body(out, n, n->pre[k]);
    }
    for (int i = 0; i < n->nout; i++) print_result(out, n, i);
    print_layers(out, n);
    print_loc(out, n->span);
    buf_putc(out, '\n');
}

static void print_arg(struct buf *out, const struct value *v)
{
    buf_printf(out, "  %s ", kind_names[v->kind]);
    print_value(out, v);
    buf_printf(out, " : %s", type_text(out->arena, &v->type));
    bool state = v->kind == VALUE_PARAM || v->kind == VALUE_BUFFER || v->kind == VALUE_OPTIM;
    if (state) buf_printf(out, " init=%s", init_names[v->init]);
    if (state && v->init_fan) buf_printf(out, " fan=%lld", (long long)v->init_fan);
    if (state && init_has_value(v->init)) buf_printf(out, " value=%.17g", v->init_value);
    print_place(out, v);
    if (v->layer) {
        buf_puts(out, " layer ");
        print_quoted(out, v->layer);
    }
    print_loc(out, v->span);
    buf_putc(out, '\n');
}

static void print_header(struct buf *out, const struct graph *g)
{
    buf_puts(out, "graph ");
    print_name(out, '@', g->name);
    buf_printf(out, " batch=%lld", (long long)g->batch);
    if (g->lanes) buf_printf(out, " lanes=%d", g->lanes);
    if (g->train) buf_puts(out, " train");
    if (g->saved_bytes) buf_printf(out, " saved=%zu", g->saved_bytes);
    if (g->stage == STAGE_LAYOUT) buf_puts(out, " stage=layout");
    if (g->stage == STAGE_PLANNED)
        buf_printf(out, " stage=planned arena=%zu state=%zu bound=%zu", g->arena_bytes, g->state_bytes,
                   g->lower_bound_bytes);
    buf_puts(out, " {\n");
}

void graph_print(const struct graph *g, struct buf *out)
{
    print_header(out, g);
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind != VALUE_NODE) print_arg(out, g->values[i]);
    LIST_EACH(g->first, n) print_node(out, n, 1);
    for (int i = 0; i < g->noutputs; i++) {
        buf_puts(out, "  output ");
        print_quoted(out, g->outputs[i].label);
        buf_putc(out, ' ');
        print_value(out, g->outputs[i].value);
        buf_putc(out, '\n');
    }
    for (int i = 0; i < g->nupdates; i++) {
        buf_puts(out, "  update ");
        print_value(out, g->updates[i].state);
        buf_puts(out, " = ");
        print_value(out, g->updates[i].value);
        buf_putc(out, '\n');
    }
    buf_puts(out, "}\n");
}
