/* sugar.c: what a spec may say more shortly than the IR. */
#include "elaborate/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "spec/value.h"

/* Where the attribute was written, or the layer. */
static struct span place_of(const struct flat_layer *l, int attr)
{
    return attr >= 0 && l->attr_span[attr].src ? l->attr_span[attr] : l->span;
}

static struct diag *sugar_error(struct builder *b, const struct flat_layer *l, int attr, const char *message)
{
    struct diag *g = diag_error(b->diags, place_of(l, attr), "%s: %s", l->op->name, message);
    frame_notes(g, l->frame, l->span.src);
    return g;
}

/* An attribute that is not given, and that a later version of the language takes for another value: AT is where that
   matters. */
static void warn_changes(struct builder *b, const struct flat_layer *l, const char *name, int at)
{
    int i = op_attr_index(l->op, name);
    if (i < 0 || !l->changes[i]) return;
    char now[128];
    op_attr_print(&l->op->attrs[i], &l->attr[i], now, sizeof now);
    struct diag *g = diag_warn(b->diags, place_of(l, at), "%s: %s is %s here, and %s under `rnc: %s`", l->op->name,
                               name, now, l->changes[i]->value, convention_versions[convention_nversions - 1].name);
    diag_note(g, "%s", l->changes[i]->why);
    diag_note(g, "`%s: %s` keeps what it is; `%s: %s` has the new one", name, now, name, l->changes[i]->value);
    frame_notes(g, l->frame, l->span.src);
}

static const int64_t *pair_of(const struct op_def *op, const struct attr *attr, const char *name,
                              const int64_t *otherwise)
{
    int i = op_attr_index(op, name);
    return i >= 0 ? attr[i].v : otherwise;
}

/* TensorFlow's rule: the result is ceil(in / stride), and where the padding is odd the larger half goes to the bottom
   and the right. With stride 1 and an odd kernel that is the symmetric (kernel − 1) / 2. */
static void pad_same(const struct flat_layer *l, const struct type *x, struct attr *attr, int at)
{
    static const int64_t ones[4] = {1, 1, 1, 1};
    const int64_t *kernel = pair_of(l->op, attr, "kernel", ones), *stride = pair_of(l->op, attr, "stride", ones);
    const int64_t *dilation = pair_of(l->op, attr, "dilation", ones);
    for (int k = 0; k < 2; k++) {
        int64_t in = x->dim[2 + k], extent = (kernel[k] - 1) * dilation[k] + 1,
                step = stride[k] ? stride[k] : kernel[k];
        int64_t total = max_i64((div_up(in, step) - 1) * step + extent - in, 0);
        attr[at].v[k] = total / 2;
        attr[at].v[k + 2] = total - total / 2;
    }
}

/* conv_transpose2d's mirror of it: the result is in · stride. */
static void pad_same_transposed(const struct flat_layer *l, struct attr *attr, int at, int output_pad)
{
    static const int64_t ones[4] = {1, 1, 1, 1};
    const int64_t *kernel = pair_of(l->op, attr, "kernel", ones), *stride = pair_of(l->op, attr, "stride", ones);
    const int64_t *dilation = pair_of(l->op, attr, "dilation", ones), *more = attr[output_pad].v;
    for (int k = 0; k < 2; k++) {
        int64_t total = (kernel[k] - 1) * dilation[k] + 1 + more[k] - stride[k];
        if (total < 0) attr[output_pad].v[k] -= total; /* rows that no window reaches */
        total = max_i64(total, 0);
        attr[at].v[k] = total / 2;
        attr[at].v[k + 2] = total - total / 2;
    }
}

static bool resolve_pad(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr)
{
    int at = op_attr_index(l->op, "pad");
    if (at < 0 || l->pad_mode[at] == PAD_GIVEN) return true;
    memset(attr[at].v, 0, sizeof attr[at].v);
    if (l->pad_mode[at] == PAD_VALID || x->rank != 4) return true; /* of another rank: the shape rule's error */
    int output_pad = op_attr_index(l->op, "output_pad");
    if (output_pad >= 0) {
        pad_same_transposed(l, attr, at, output_pad);
        return true;
    }
    pad_same(l, x, attr, at);
    static const int64_t none[4] = {0};
    if (memcmp(attr[at].v, none, sizeof none) != 0) warn_changes(b, l, "count_pad", at);
    return true;
}

/* The decimal of at most 15 digits: 1 - 0.99 is then the 0.01 that PyTorch's convention writes. */
static double decimal(double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g", x);
    return strtod(text, NULL);
}

/* batch_norm's momentum becomes the batch's share. More than half is hardly meant: 0.99 and 0.9 are usual in the other
   sense. */
static void resolve_momentum(struct builder *b, const struct flat_layer *l, struct attr *attr)
{
    int at = op_attr_index(l->op, "momentum"), of = op_attr_index(l->op, "momentum_of");
    if (at < 0 || of < 0) return;
    const char *const *names = l->op->attrs[of].choices;
    double given = attr[at].f;
    bool running = strcmp(names[attr[of].i], "running") == 0;
    if (running) attr[at].f = decimal(1 - given);
    if (attr[at].f <= 0.5 || !l->attr_span[at].src || l->attr_span[of].src) return;
    struct diag *g =
        diag_warn(b->diags, place_of(l, at), "%s: momentum %g keeps %g%% of the running statistics at each step",
                  l->op->name, given, 100 * decimal(1 - attr[at].f));
    diag_note(g, "it is the share of the %s here; what others write as %g is %g",
              running ? "running statistics" : "batch's statistics", given, decimal(1 - given));
    diag_note(g, "`momentum: %g`, or `momentum_of: %s`, is the usual one; `momentum_of: %s` says that this is meant",
              decimal(1 - given), names[!attr[of].i], names[attr[of].i]);
    frame_notes(g, l->frame, l->span.src);
}

/* pad: {channels_to: 64, at: both} */
static bool resolve_channels(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr)
{
    int to = op_attr_index(l->op, "channels_to"), channels = op_attr_index(l->op, "channels"),
        where = op_attr_index(l->op, "at");
    if (to < 0 || channels < 0 || !l->attr_span[to].src || x->rank < 2) return true;
    int64_t more = attr[to].i - x->dim[1];
    if (more < 0) {
        struct diag *g = sugar_error(b, l, to, "channels_to is less than the channels there are");
        diag_note(g, "there are %lld", (long long)x->dim[1]);
        return false;
    }
    if (l->attr_span[channels].src) {
        sugar_error(b, l, to, "channels_to and channels can't both be given");
        return false;
    }
    const char *place = where >= 0 ? l->op->attrs[where].choices[attr[where].i] : "end";
    int64_t before = strcmp(place, "start") == 0 ? more : strcmp(place, "both") == 0 ? more / 2 : 0;
    attr[channels].v[0] = before;
    attr[channels].v[1] = more - before;
    return true;
}

/* Afterwards `scale` is 0 where pixels are interpolated by the sizes. */
static bool scaled(struct builder *b, const struct flat_layer *l, const struct type *x, int scale, struct attr *attr,
                   int size)
{
    bool whole = true;
    for (int k = 0; k < 2; k++) {
        double to = (double)x->dim[2 + k] * attr[scale].f + 1e-9; /* as PyTorch: floor; 3 · (1/3) is 1 */
        if (to < 1 || to > 1 << 20) {
            diag_note(sugar_error(b, l, scale, "the resized image would have no size that can be"), "%lld × %g",
                      (long long)x->dim[2 + k], attr[scale].f);
            return false;
        }
        attr[size].v[k] = (int64_t)to;
        whole &= to - (double)(int64_t)to < 2e-9;
    }
    int by = op_attr_index(l->op, "interpolate_by"), align = op_attr_index(l->op, "align_corners");
    whole |= attr[align].b;
    if (!whole) warn_changes(b, l, "interpolate_by", scale);
    if (whole || strcmp(l->op->attrs[by].choices[attr[by].i], "size") == 0) attr[scale].f = 0;
    return true;
}

/* resize: {scale: 2}, {like: label} or {size: [h, w]}: one of them. */
static bool resolve_size(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr)
{
    int scale = op_attr_index(l->op, "scale"), size = op_attr_index(l->op, "size"), like = op_attr_index(l->op, "like");
    if (scale < 0 || like < 0 || size < 0) return true;
    int given = (l->attr_span[scale].src != NULL) + (l->attr_span[size].src != NULL) + (l->like != REF_NONE);
    if (given != 1) {
        sugar_error(b, l, given ? scale : -1,
                    given ? "scale, size and like exclude each other" : "one of scale, size and like is needed");
        return false;
    }
    int by = op_attr_index(l->op, "interpolate_by");
    if (l->attr_span[by].src && !l->attr_span[scale].src) {
        sugar_error(b, l, by, "interpolate_by goes with scale alone");
        return false;
    }
    if (x->rank != 4) return true; /* the shape rule's error */
    if (l->attr_span[scale].src) return scaled(b, l, x, scale, attr, size);
    if (l->like == REF_NONE) return true;
    const struct type *t = &builder_value(b, l->like)->type;
    if (t->rank != 4) {
        sugar_error(b, l, like, "like names features, which have no height and width");
        return false;
    }
    attr[size].v[0] = t->dim[2];
    attr[size].v[1] = t->dim[3];
    return true;
}

bool sugar_resolve(struct builder *b, const struct flat_layer *l, const struct type *x, struct attr *attr)
{
    resolve_momentum(b, l, attr);
    return resolve_pad(b, l, x, attr) && resolve_channels(b, l, x, attr) && resolve_size(b, l, x, attr);
}
