/* trail.c: shape errors: what the shapes are, and which layers made them. What would make them fit: mend.c. */
#include "elaborate/parts.h"

#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "spec/value.h"

enum { MAX_TRAIL = 4 }; /* layers of one side that are shown */

const char *trail_place(struct arena *a, struct span at, const struct source *here)
{
    if (!at.src) return "";
    if (at.src == here) return arena_printf(a, " (line %u)", at.line);
    return arena_printf(a, " (%s:%u)", at.src->path, at.line);
}

/* ", kernel 3, stride 2, pad 0": what decides a window's size. */
static void print_window(struct buf *out, const struct flat_layer *l)
{
    static const char *const names[] = {"kernel", "stride", "pad", "dilation", "scale", "size"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int at = op_attr_index(l->op, names[i]);
        bool always = i < 3;
        if (at < 0 || (!always && !l->attr_span[at].src)) continue;
        const struct attr *a = &l->attr[at];
        if (i == 2 && l->pad_mode[at] != PAD_GIVEN) {
            buf_printf(out, ", pad %s", l->pad_mode[at] == PAD_SAME ? "same" : "valid");
            continue;
        }
        char text[96];
        bool quad = a->type == ATTR_QUAD,
             square = a->v[0] == a->v[1] && (!quad || (a->v[2] == a->v[0] && a->v[3] == a->v[0]));
        if ((quad || a->type == ATTR_PAIR) && square && i == 1 && a->v[0] == 0)
            continue; /* a pool's stride: its kernel */
        if ((quad || a->type == ATTR_PAIR) && square) buf_printf(out, ", %s %lld", names[i], (long long)a->v[0]);
        else {
            op_attr_print(&l->op->attrs[at], a, text, sizeof text);
            buf_printf(out, ", %s %s", names[i], text);
        }
    }
}

static const struct type *type_of(const struct builder *b, int ref)
{
    struct value *v = builder_value(b, ref);
    return v ? &v->type : NULL;
}

static bool changes_shape(const struct builder *b, int index)
{
    const struct flat_layer *l = &b->ast->layers[index];
    const struct type *in = type_of(b, l->in[0]), *out = type_of(b, index);
    return in && out && !type_same_shape(in, out);
}

static int input_of(const struct builder *b, int ref)
{
    return ref >= 0 && b->ast->layers[ref].nin > 0 ? b->ast->layers[ref].in[0] : REF_NONE;
}

static const char *name_of(const struct builder *b, int ref)
{
    if (ref < 0) return b->spec->inputs[REF_INPUT_INDEX(ref)].name;
    const struct flat_layer *l = &b->ast->layers[ref];
    return l->label ? l->label : l->path;
}

void trail_note(struct builder *b, struct diag *g, const char *what, int ref, int stop, const struct source *here)
{
    int chain[MAX_TRAIL], n = 0, start = ref;
    while (start >= 0 && start != stop && n < MAX_TRAIL) {
        if (changes_shape(b, start)) chain[n++] = start;
        start = input_of(b, start);
    }
    struct buf out;
    buf_init(&out, b->arena);
    const struct type *t = type_of(b, start);
    if (t) {
        struct span at = start < 0 ? b->spec->inputs[REF_INPUT_INDEX(start)].span : b->ast->layers[start].span;
        buf_printf(&out, "%s %s%s", name_of(b, start), type_sample_text(b->arena, t), trail_place(b->arena, at, here));
    }
    while (n-- > 0) {
        const struct flat_layer *l = &b->ast->layers[chain[n]];
        buf_printf(&out, "%s%s", out.len ? " → " : "", name_of(b, chain[n]));
        print_window(&out, l);
        buf_printf(&out, " %s%s", type_sample_text(b->arena, type_of(b, chain[n])),
                   trail_place(b->arena, l->span, here));
    }
    if (out.len) diag_note(g, "%s: %s", what, out.data);
}

void trail_error(struct builder *b, const struct flat_layer *l, const struct op_error *e)
{
    static const char *const sides[] = {"left", "right"};
    const char *message = e->message ? e->message : "the shapes do not fit";
    bool named = strncmp(message, l->op->name, strlen(l->op->name)) == 0;
    struct diag *g = diag_error(b->diags, l->span, "%s%s%s", named ? "" : l->op->name, named ? "" : ": ", message);
    if (e->note) diag_note(g, "%s", e->note);
    frame_notes(g, l->frame, l->span.src);
    int stop = l->nin == 2 ? mend_start(b, l->in[0], l->in[1]) : REF_NONE;
    for (int i = 0; i < l->nin && i < 8; i++) {
        const char *what = l->nin == 1 ? "input" : l->nin == 2 ? sides[i] : arena_printf(b->arena, "input %d", i + 1);
        trail_note(b, g, what, l->in[i], stop, l->span.src);
    }
    if (l->nin == 2) mend_later(b, g, l);
}
