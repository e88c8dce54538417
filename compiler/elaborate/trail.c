/* trail.c: shape errors: what the shapes are, which layers made them, and what would make them fit. */
#include "elaborate/parts.h"

#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "spec/value.h"

enum { MAX_TRAIL = 4 }; /* layers of one side that are shown */

static const char *place(struct arena *a, struct span at, const struct source *here)
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
        buf_printf(&out, "%s %s%s", name_of(b, start), type_sample_text(b->arena, t), place(b->arena, at, here));
    }
    while (n-- > 0) {
        const struct flat_layer *l = &b->ast->layers[chain[n]];
        buf_printf(&out, "%s%s", out.len ? " → " : "", name_of(b, chain[n]));
        print_window(&out, l);
        buf_printf(&out, " %s%s", type_sample_text(b->arena, type_of(b, chain[n])), place(b->arena, l->span, here));
    }
    if (out.len) diag_note(g, "%s: %s", what, out.data);
}

/* ---- what would make two shapes fit */

/* The last layer on the way to REF that changes dimension DIM. */
static int last_change(const struct builder *b, int ref, int dim)
{
    for (; ref >= 0; ref = input_of(b, ref)) {
        const struct type *in = type_of(b, input_of(b, ref)), *out = type_of(b, ref);
        if (!in || !out || in->rank != 4 || out->rank != 4) return REF_NONE;
        if (in->dim[dim] != out->dim[dim]) return ref;
    }
    return REF_NONE;
}

static int64_t windowed(int64_t in, int64_t kernel, int64_t dilation, int64_t stride, int64_t pad)
{
    int64_t extent = (kernel - 1) * dilation + 1;
    return stride > 0 && in + 2 * pad >= extent ? (in + 2 * pad - extent) / stride + 1 : 0;
}

/* The factor of a resize by a whole number, else 0. */
static int64_t factor_of(const struct flat_layer *l)
{
    int scale = op_attr_index(l->op, "scale");
    if (scale < 0 || !l->attr_span[scale].src) return 0;
    int64_t by = (int64_t)l->attr[scale].f;
    return (double)by == l->attr[scale].f ? by : 0;
}

/* A pad or a stride of the last layer that changed the height, with which it would be WANT; a resize on the way is
   looked through. */
static bool hint_size(struct builder *b, struct diag *g, int ref, int64_t want, const struct source *here)
{
    int at = last_change(b, ref, 2);
    for (int64_t by; at >= 0 && (by = factor_of(&b->ast->layers[at])) > 0 && want % by == 0; want /= by)
        at = last_change(b, b->ast->layers[at].in[0], 2);
    if (at < 0) return false;
    const struct flat_layer *l = &b->ast->layers[at];
    int kernel = op_attr_index(l->op, "kernel"), stride = op_attr_index(l->op, "stride"),
        pad = op_attr_index(l->op, "pad"), dilation = op_attr_index(l->op, "dilation");
    if (kernel < 0 || stride < 0 || pad < 0 || op_attr_index(l->op, "output_pad") >= 0) return false;
    int64_t in = type_of(b, l->in[0])->dim[2], out = type_of(b, at)->dim[2], k = l->attr[kernel].v[0],
            d = dilation >= 0 ? l->attr[dilation].v[0] : 1;
    int64_t s = l->attr[stride].v[0] ? l->attr[stride].v[0] : k;
    for (int64_t p = 0; p <= ((k - 1) * d + 1) / 2; p++) {
        if (windowed(in, k, d, s, p) != want) continue;
        diag_note(g, "with pad: %lld in %s%s, %lld → %lld instead of %lld", (long long)p, l->path,
                  place(b->arena, l->span, here), (long long)in, (long long)want, (long long)out);
        return true;
    }
    for (int64_t q = 1; q <= 8 && l->pad_mode[pad] == PAD_GIVEN; q++) {
        if (q == s || windowed(in, k, d, q, l->attr[pad].v[0]) != want) continue;
        diag_note(g, "with stride: %lld in %s%s, %lld → %lld instead of %lld", (long long)q, l->path,
                  place(b->arena, l->span, here), (long long)in, (long long)want, (long long)out);
        return true;
    }
    return false;
}

static bool hint_channels(struct builder *b, struct diag *g, int ref, int64_t want, const struct source *here)
{
    int at = last_change(b, ref, 1);
    if (at < 0) return false;
    const struct flat_layer *l = &b->ast->layers[at];
    if (op_attr_index(l->op, "out") < 0) return false;
    diag_note(g, "with out: %lld in %s%s, the channels would match", (long long)want, l->path,
              place(b->arena, l->span, here));
    return true;
}

static void hint_pair(struct builder *b, struct diag *g, const struct flat_layer *l)
{
    const struct type *x = type_of(b, l->in[0]), *y = type_of(b, l->in[1]);
    const struct source *here = l->span.src;
    if (!x || !y) return;
    if (x->rank != y->rank) {
        diag_note(g, "one is an image, the other features: global_avg_pool or flatten makes features of an image");
        return;
    }
    if (x->rank != 4) return;
    int small = x->dim[2] < y->dim[2] ? 0 : 1; /* the smaller one first: a missing pad is the likelier slip */
    int64_t want[] = {y->dim[2], x->dim[2]};
    if (x->dim[2] != y->dim[2] && !hint_size(b, g, l->in[small], want[small], here))
        hint_size(b, g, l->in[!small], want[!small], here);
    bool concat = l->op->variadic;
    if (!concat && x->dim[1] != y->dim[1] && !hint_channels(b, g, l->in[1], x->dim[1], here))
        hint_channels(b, g, l->in[0], y->dim[1], here);
}

/* The last layer that both ways come from, REF_NONE when there is none near. */
static int common_start(const struct builder *b, int x, int y)
{
    while (x != y && (x >= 0 || y >= 0)) { /* inputs come before: the later one goes back */
        if (x > y) x = input_of(b, x);
        else y = input_of(b, y);
    }
    return x == y ? x : REF_NONE;
}

void trail_error(struct builder *b, const struct flat_layer *l, const struct op_error *e)
{
    static const char *const sides[] = {"left", "right"};
    const char *message = e->message ? e->message : "the shapes do not fit";
    bool named = strncmp(message, l->op->name, strlen(l->op->name)) == 0;
    struct diag *g = diag_error(b->diags, l->span, "%s%s%s", named ? "" : l->op->name, named ? "" : ": ", message);
    if (e->note) diag_note(g, "%s", e->note);
    frame_notes(g, l->frame, l->span.src);
    int stop = l->nin == 2 ? common_start(b, l->in[0], l->in[1]) : REF_NONE;
    for (int i = 0; i < l->nin && i < 8; i++) {
        const char *what = l->nin == 1 ? "input" : l->nin == 2 ? sides[i] : arena_printf(b->arena, "input %d", i + 1);
        trail_note(b, g, what, l->in[i], stop, l->span.src);
    }
    if (l->nin == 2) hint_pair(b, g, l);
}
