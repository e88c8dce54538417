/* sample_target.c: labels and masks become targets: classes, maps of classes, zeros and ones. */
#include "runtime/data/sample_target.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- opening */

/* "NORMAL, PNEUMONIA", as far as it goes */
static void list_names(const char *const *names, int64_t n, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (int64_t k = 0; k < n && used < size; k++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", k ? ", " : "", names[k]);
}

int rnc_port_positive(const struct rnc_port *port, const char *const *names, int64_t n, struct rnc_status *s)
{
    static const char *const numbers[] = {"0", "1"};
    char list[160];
    if (!names && n == 2) names = numbers;
    int k = names ? rnc_target_positive(port->positive, names, n) : -1;
    if (k >= 0) return k;
    list_names(names, names ? n : 0, list, sizeof list);
    if (n != 2)
        rnc_fail(s, RNC_USER, "the target '%s' is binary, and the data have %" PRId64 " classes, not two%s%s",
                 port->name, n, *list ? ": " : "", list);
    else if (port->positive)
        rnc_fail(s, RNC_USER, "the target '%s' is 1 for the class '%s', and the data have the classes %s", port->name,
                 port->positive, list);
    else
        rnc_fail(s, RNC_USER, "which of the classes %s is 1 in the target '%s'? `positive: %s` in the spec says so",
                 list, port->name, names[1]);
    return -1;
}

bool rnc_picture_target_open(const struct rnc_loader_config *c, int index, struct rnc_picture_target *t,
                             struct rnc_status *s)
{
    const struct rnc_port *port = &c->ports[index];
    const struct rnc_dataset *d = c->data;
    enum rnc_annotation has = d->masks ? RNC_ANNOTATION_MASK : RNC_ANNOTATION_LABEL;
    *t = (struct rnc_picture_target){.port = port, .index = index};
    if (!port->picture || port->picture->annotation != has)
        return rnc_fail(s, RNC_USER, "%s has one %s for each image, which does not give the target '%s'", d->name,
                        d->masks ? "mask" : "label", port->name);
    if (d->masks) return true;
    if (port->picture->positive) {
        t->second = (int32_t)rnc_port_positive(port, c->classes, c->nclasses, s);
        return t->second >= 0;
    }
    for (int64_t k = 0; k < d->count; k++)
        if (port->classes && d->labels[k] >= port->classes)
            return rnc_fail(s, RNC_USER, "%s: sample %" PRId64 " is of class %d, the model has %" PRId64 " classes",
                            d->name, k, d->labels[k], port->classes);
    return true;
}

/* ---- samples */

static bool take_class(const struct rnc_port *port, const char *name, int32_t label, int64_t *to, struct rnc_status *s)
{
    *to = label == RNC_OUTSIDE ? (port->ignore >= 0 ? port->ignore : 0) : label;
    if (!port->classes || *to < port->classes || *to == port->ignore) return true;
    return rnc_fail(s, RNC_USER,
                    "%s has the label %" PRId64 ", the model has %" PRId64 " classes; `ignore: %" PRId64
                    "` in the target '%s' would leave it out",
                    name, *to, port->classes, *to, port->name);
}

static bool take_binary(const struct rnc_port *port, const char *name, int32_t label, float *to, struct rnc_status *s)
{
    *to = label > 0 ? 1.0f : 0.0f;
    if (label <= 1) return true;
    return rnc_fail(s, RNC_USER, "%s has the label %d, the target '%s' takes 0 and 1, or 0 and 255 in all masks", name,
                    label, port->name);
}

/* The port's last two dims are its size, the rest is 1. */
static bool take_mask(const struct rnc_port *port, const struct rnc_labelled *x, void *out, struct rnc_status *s)
{
    int64_t height = port->dim[port->rank - 2], width = port->dim[port->rank - 1];
    for (int64_t k = 0, row = 0; row < height; row++) {
        int64_t y = (2 * row + 1) * x->height / (2 * height);
        for (int64_t column = 0; column < width; column++, k++) {
            int32_t label = x->mask[y * x->width + (2 * column + 1) * x->width / (2 * width)];
            bool ok = port->picture->labels ? take_class(port, x->name, label, (int64_t *)out + k, s)
                                            : take_binary(port, x->name, label, (float *)out + k, s);
            if (!ok) return false;
        }
    }
    return true;
}

bool rnc_picture_target_get(const struct rnc_picture_target *t, const struct rnc_labelled *x, void *out,
                            struct rnc_status *s)
{
    if (x->mask) return take_mask(t->port, x, out, s);
    if (t->port->picture->labels) *(int64_t *)out = x->label;
    else *(float *)out = x->label == t->second ? 1.0f : 0.0f;
    return true;
}
