/* mend.c: what would make two shapes fit. A mend is given only after it was tried: the spec with it is elaborated, and
   neither this error nor a new one may come of it. */
#include "elaborate/parts.h"

#include <string.h>
#include "base/buf.h"

enum { MAX_TRIES = 24 /* of all errors of a spec */, MAX_USES = 64 /* of one addition */ };

/* A use of an addition that gets a projection. */
struct use {
    const struct flat_layer *layer;
    int64_t out, stride;
};

struct mend {
    struct change {
        const struct flat_layer *at; /* and every layer written at its place, in other uses of its block */
        int attr;
        int64_t value;
    } change[2];
    int nchanges;
    const struct flat_layer *project; /* additions written here get a projection on their shortcut; NULL */
    struct use use[MAX_USES];
    int nuses;
    const char *text; /* of the changes */
};

/* What is looked for now. */
struct search {
    struct builder *b;
    const struct build_options *options;
    struct pending *pending;
    const struct builder *trial; /* the last that was tried: the types that it has found */
    int tries;
};

static const struct type *type_of(const struct builder *b, int ref)
{
    struct value *v = builder_value(b, ref);
    return v ? &v->type : NULL;
}

static int input_of(const struct builder *b, int ref)
{
    return ref >= 0 && b->ast->layers[ref].nin > 0 ? b->ast->layers[ref].in[0] : REF_NONE;
}

static bool same_place(const struct flat_layer *a, const struct flat_layer *b)
{
    return a->op == b->op && a->span.src == b->span.src && a->span.line == b->span.line && a->span.col == b->span.col;
}

int mend_start(const struct builder *b, int x, int y)
{
    while (x != y && (x >= 0 || y >= 0)) { /* inputs come before: the later one goes back */
        if (x > y) x = input_of(b, x);
        else y = input_of(b, y);
    }
    return x == y ? x : REF_NONE;
}

/* ---- a spec with the mend */

/* Which side of L is its shortcut, the value that the other side is made of; -1: neither. */
static int shortcut_side(const struct builder *b, const struct flat_layer *l)
{
    if (l->nin != 2 || l->op->variadic || l->in[0] == l->in[1]) return -1;
    int start = mend_start(b, l->in[0], l->in[1]);
    return start == REF_NONE ? -1 : start == l->in[1] ? 1 : start == l->in[0] ? 0 : -1;
}

/* The stride of a 1×1 convolution that makes OUT of IN; 0: none does. */
static int64_t stride_of(int64_t in, int64_t out)
{
    for (int64_t s = 1; s <= in && s <= 32; s++)
        if ((in - 1) / s + 1 == out) return s;
    return 0;
}

/* The projection of L's shortcut, where its sides differ; false: none fits. */
static bool find_projection(const struct builder *b, const struct flat_layer *l, struct use *u, int *side)
{
    *side = shortcut_side(b, l);
    const struct type *from = *side < 0 ? NULL : type_of(b, l->in[*side]),
                      *to = *side < 0 ? NULL : type_of(b, l->in[1 - *side]);
    if (!from || !to || from->rank != 4 || to->rank != 4 || type_same_shape(from, to)) return false;
    int64_t s = stride_of(from->dim[2], to->dim[2]), across = stride_of(from->dim[3], to->dim[3]);
    *u = (struct use){l, to->dim[1], s > across ? s : across};
    return u->stride > 0 && (from->dim[2] - 1) / u->stride + 1 == to->dim[2] &&
           (from->dim[3] - 1) / u->stride + 1 == to->dim[3];
}

/* With a projection both sides have one shape, that of the side which is not the shortcut. */
static const struct flat_layer *projected(const struct builder *b, const struct flat_layer *l)
{
    struct mend *m = b->trial;
    int side;
    struct use u;
    if (!find_projection(b, l, &u, &side) || m->nuses == MAX_USES) return l;
    m->use[m->nuses++] = u;
    struct flat_layer *copy = ARENA_NEW(b->arena, struct flat_layer);
    *copy = *l;
    copy->in = ARENA_ARRAY(b->arena, int, 2);
    copy->in[0] = copy->in[1] = l->in[1 - side];
    return copy;
}

const struct flat_layer *mend_layer(const struct builder *b, const struct flat_layer *l)
{
    const struct mend *m = b->trial;
    if (m && m->project && same_place(m->project, l)) return projected(b, l);
    for (int i = 0; m && i < m->nchanges; i++) {
        const struct change *c = &m->change[i];
        if (!same_place(c->at, l)) continue;
        struct flat_layer *copy = ARENA_NEW(b->arena, struct flat_layer);
        size_t n = (size_t)l->op->nattr;
        *copy = *l;
        copy->attr = ARENA_ARRAY(b->arena, struct attr, n);
        copy->pad_mode = ARENA_ARRAY(b->arena, uint8_t, n);
        memcpy(copy->attr, l->attr, n * sizeof *copy->attr);
        memcpy(copy->pad_mode, l->pad_mode, n);
        struct attr *a = &copy->attr[c->attr];
        copy->pad_mode[c->attr] = PAD_GIVEN;
        if (a->type == ATTR_INT) a->i = c->value;
        else
            for (int k = 0; k < (a->type == ATTR_QUAD ? 4 : 2); k++) a->v[k] = c->value;
        l = copy;
    }
    return l;
}

/* Elaborates the spec with M: is the error gone, and is there no other in its place? */
static bool helps(struct search *s, struct mend *m)
{
    if (s->tries >= MAX_TRIES) return false;
    s->tries++;
    struct builder *trial = ARENA_NEW(s->b->arena, struct builder);
    *trial = (struct builder){.arena = s->b->arena, .spec = s->b->spec, .ast = s->b->ast, .trial = m};
    trial->diags = diags_new(trial->arena);
    m->nuses = 0;
    s->trial = trial;
    builder_run(trial, s->options);
    return diags_better(trial->diags, s->b->diags, s->pending->diag);
}

/* ---- changes of one attribute */

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

static const char *name_at(struct builder *b, const struct flat_layer *l, const struct source *here)
{
    return arena_printf(b->arena, "%s%s", l->path, trail_place(b->arena, l->span, here));
}

/* M with one change more, which makes NAME of a layer VALUE; its text goes on. */
static struct mend with_change(struct search *s, const struct mend *m, struct change c, const char *why)
{
    struct mend next = *m;
    const char *where = name_at(s->b, c.at, s->pending->layer->span.src), *key = c.at->op->attrs[c.attr].name;
    next.text =
        arena_printf(s->b->arena, "%s%s: %lld in %s, %s", m->text ? arena_printf(s->b->arena, "%s, and ", m->text) : "",
                     key, (long long)c.value, where, why);
    next.change[next.nchanges++] = c;
    return next;
}

typedef bool next_step(struct search *s, const struct mend *m);

/* Pads and strides of the last layer that changed REF's height, with which it would be WANT; a resize on the way is
   looked through. Each goes on to NEXT. */
static bool try_size(struct search *s, const struct mend *m, int ref, int64_t want, next_step *next)
{
    struct builder *b = s->b;
    int at = last_change(b, ref, 2);
    for (int64_t by; at >= 0 && (by = factor_of(&b->ast->layers[at])) > 0 && want % by == 0; want /= by)
        at = last_change(b, b->ast->layers[at].in[0], 2);
    if (at < 0) return false;
    const struct flat_layer *l = &b->ast->layers[at];
    int kernel = op_attr_index(l->op, "kernel"), stride = op_attr_index(l->op, "stride"),
        pad = op_attr_index(l->op, "pad"), dilation = op_attr_index(l->op, "dilation");
    if (kernel < 0 || stride < 0 || pad < 0 || op_attr_index(l->op, "output_pad") >= 0) return false;
    int64_t in = type_of(b, l->in[0])->dim[2], k = l->attr[kernel].v[0], d = dilation >= 0 ? l->attr[dilation].v[0] : 1;
    int64_t was = l->attr[stride].v[0] ? l->attr[stride].v[0] : k;
    const char *why = arena_printf(b->arena, "%lld → %lld instead of %lld", (long long)in, (long long)want,
                                   (long long)type_of(b, at)->dim[2]);
    for (int64_t p = 0; p <= ((k - 1) * d + 1) / 2; p++) {
        if (windowed(in, k, d, was, p) != want) continue;
        struct mend more = with_change(s, m, (struct change){l, pad, p}, why);
        if (next(s, &more)) return true;
    }
    for (int64_t q = 1; q <= 8; q++) {
        bool given = l->pad_mode[pad] == PAD_GIVEN;
        if (q == was || (given ? windowed(in, k, d, q, l->attr[pad].v[0]) : (in - 1) / q + 1) != want) continue;
        struct mend more = with_change(s, m, (struct change){l, stride, q}, why);
        if (next(s, &more)) return true;
    }
    return false;
}

static bool try_channels(struct search *s, const struct mend *m, int ref, int64_t want, next_step *next)
{
    int at = last_change(s->b, ref, 1);
    const struct flat_layer *l = at < 0 ? NULL : &s->b->ast->layers[at];
    int out = l ? op_attr_index(l->op, "out") : -1;
    if (out < 0) return false;
    struct mend more = with_change(s, m, (struct change){l, out, want}, "the channels would match");
    return next(s, &more);
}

static bool accept(struct search *s, const struct mend *m)
{
    struct mend trial = *m;
    if (m->nchanges == 0 || !helps(s, &trial)) return false;
    diag_note(s->pending->diag, "with %s", m->text);
    return true;
}

static bool channels_step(struct search *s, const struct mend *m)
{
    const struct flat_layer *l = s->pending->layer;
    const struct type *x = type_of(s->b, l->in[0]), *y = type_of(s->b, l->in[1]);
    if (l->op->variadic || x->dim[1] == y->dim[1]) return accept(s, m);
    return try_channels(s, m, l->in[1], x->dim[1], accept) || try_channels(s, m, l->in[0], y->dim[1], accept);
}

static bool try_changes(struct search *s)
{
    const struct flat_layer *l = s->pending->layer;
    const struct type *x = type_of(s->b, l->in[0]), *y = type_of(s->b, l->in[1]);
    struct mend none = {0};
    int small = x->dim[2] < y->dim[2] ? 0 : 1; /* the smaller one first: a missing pad is the likelier slip */
    int64_t want[] = {y->dim[2], x->dim[2]};
    if (x->dim[2] == y->dim[2]) return channels_step(s, &none);
    return try_size(s, &none, l->in[small], want[small], channels_step) ||
           try_size(s, &none, l->in[!small], want[!small], channels_step);
}

/* ---- a projection */

/* What the spec says where SPAN points, if that is a parameter: "$out"; else NULL. */
static const char *parameter_at(const struct builder *b, struct span at)
{
    if (!at.src) return NULL;
    const char *p = at.src->text, *end = p + at.src->len;
    for (uint32_t line = 1; line < at.line && p; line++) p = memchr(p, '\n', (size_t)(end - p)), p = p ? p + 1 : NULL;
    for (uint32_t col = 1; p && p < end && col < at.col; p++) col += ((unsigned char)p[1] & 0xc0) != 0x80;
    if (!p || *p != '$') return NULL;
    return arena_strndup(b->arena, p, at.len);
}

/* An attribute of the projection: where the other side's shape comes from, and what it must be in a use. */
struct wanted {
    const char *name; /* "out" */
    int dim;          /* that it decides */
    bool pair;        /* of the attribute's type */
};
static int64_t wanted_of(const struct wanted *w, const struct use *u) { return w->pair ? u->stride : u->out; }

/* The parameter of U's block that says so on the other side, if it has just this value there; else NULL. */
static const char *parameter_of(const struct builder *b, const struct use *u, const struct wanted *w)
{
    const struct flat_layer *l = u->layer;
    int at = last_change(b, l->in[1 - shortcut_side(b, l)], w->dim);
    const struct flat_layer *c = at < 0 ? NULL : &b->ast->layers[at];
    int attr = c && c->frame == l->frame ? op_attr_index(c->op, w->name) : -1;
    if (attr < 0 || (w->pair ? c->attr[attr].v[0] : c->attr[attr].i) != wanted_of(w, u)) return NULL;
    return parameter_at(b, c->attr_span[attr]);
}

/* What to write: "$out", where the uses have a parameter for it, or the number that all share; NULL: they differ. */
static const char *value_text(const struct builder *b, const struct mend *m, const struct wanted *w)
{
    const char *parameter = parameter_of(b, &m->use[0], w);
    bool same = true;
    for (int i = 1; i < m->nuses; i++) {
        const char *other = parameter_of(b, &m->use[i], w);
        if (parameter && (!other || strcmp(other, parameter) != 0)) parameter = NULL;
        same &= wanted_of(w, &m->use[i]) == wanted_of(w, &m->use[0]);
    }
    return parameter ? parameter : same ? arena_printf(b->arena, "%lld", (long long)wanted_of(w, &m->use[0])) : NULL;
}

/* "stage s2 (line 21), stage s3 (line 22)": the uses that need the projection, each once. */
static const char *uses_text(struct builder *b, const struct mend *m, const struct source *here)
{
    struct buf out;
    buf_init(&out, b->arena);
    for (int i = 0; i < m->nuses; i++) {
        const struct frame *f = m->use[i].layer->frame;
        bool seen = false;
        for (int k = 0; k < i; k++) seen |= m->use[k].layer->frame->span.line == f->span.line;
        if (seen) continue;
        const char *what = f->stage ? arena_printf(b->arena, "stage %s", f->stage) : f->what;
        buf_printf(&out, "%s%s%s", out.len ? ", " : "", what, trail_place(b->arena, f->span, here));
    }
    return out.data;
}

/* Does only the first round of a stage need it? */
static bool only_first(const struct mend *m)
{
    for (int i = 0; i < m->nuses; i++) {
        const struct frame *f = m->use[i].layer->frame;
        if (!f->stage) return false;
        for (int k = 0; k < i; k++)
            if (m->use[k].layer->frame->span.line == f->span.line && m->use[k].layer->frame->stage) return false;
    }
    return true;
}

static void note_projection(struct search *s, const struct mend *m, const char *out, const char *stride)
{
    struct diag *g = s->pending->diag;
    const struct flat_layer *l = s->pending->layer;
    const struct frame *f = l->frame;
    const char *conv = arena_printf(s->b->arena, "- conv2d: {name: projection, out: %s, kernel: 1%s%s, bias: false}",
                                    out, strcmp(stride, "1") ? ", stride: " : "", strcmp(stride, "1") ? stride : "");
    if (!f || !f->block) {
        diag_note(g, "the shortcut has another shape: a projection would fit, as `with: [%s]`", conv + 2);
        return;
    }
    diag_note(g, "the shortcut has another shape here and needs a projection. Under `params:` of block %s", f->block);
    diag_note(g, "    shortcut: {default: identity, one_of: [identity, projection]}");
    diag_note(g, "and in place of this line");
    diag_note(g, "    - %s:", l->op->name);
    diag_note(g, "        with:");
    diag_note(g, "          match: $shortcut");
    diag_note(g, "          identity: in");
    diag_note(g, "          projection:");
    diag_note(g, "            %s", conv);
    diag_note(g, "and %s in %s", only_first(m) ? "`first: {shortcut: projection}`" : "`shortcut: projection`",
              uses_text(s->b, m, l->span.src));
}

static bool try_projection(struct search *s)
{
    const struct flat_layer *l = s->pending->layer;
    struct mend m = {.project = l};
    struct use u;
    int side;
    if (!find_projection(s->b, l, &u, &side) || !helps(s, &m)) return false;
    const char *out = value_text(s->trial, &m, &(struct wanted){"out", 1, false});
    const char *stride = value_text(s->trial, &m, &(struct wanted){"stride", 2, true});
    if (!out || !stride) return false;
    note_projection(s, &m, out, stride);
    return true;
}

void mend_later(struct builder *b, struct diag *g, const struct flat_layer *l)
{
    struct pending *p = ARENA_NEW(b->arena, struct pending);
    *p = (struct pending){.next = b->pending, .diag = g, .layer = l};
    b->pending = p;
}

void mend_all(struct builder *b, const struct build_options *o)
{
    struct search s = {.b = b, .options = o};
    for (s.pending = b->pending; s.pending; s.pending = s.pending->next) {
        const struct type *x = type_of(b, s.pending->layer->in[0]), *y = type_of(b, s.pending->layer->in[1]);
        if (!x || !y) continue;
        if (x->rank != y->rank)
            diag_note(s.pending->diag,
                      "one is an image, the other features: global_avg_pool or flatten makes features of an image");
        else if (x->rank == 4 && !try_changes(&s)) try_projection(&s);
    }
}
