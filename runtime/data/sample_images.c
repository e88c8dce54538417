/* sample_images.c: from a picture, and its label or mask, to a sample. Random choices come from Philox with the
   sample's index and the epoch as counter, so that they do not depend on where a run was interrupted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/sample.h"
#include "runtime/data/sample_target.h"
#include "runtime/io/image.h"
#include "runtime/recipe/augment.h"

struct images {
    struct rnc_loader_config c;
    int image;                       /* its port */
    int64_t channels, height, width; /* of it */
    struct rnc_picture_target *targets;
    int ntargets; /* an image alone has none */
    struct rnc_preprocess_table table;
    struct rnc_picture picture; /* a sample on its way */
};

static void normalise(const struct images *x, float *out)
{
    rnc_preprocess_planes(&x->c.preprocess, &x->table, x->picture.planes, x->height * x->width, out);
}

static void begin_picture(struct images *x)
{
    struct rnc_picture *p = &x->picture;
    p->channels = x->channels;
    p->input_height = x->height;
    p->input_width = x->width;
    p->geometry = x->c.preprocess.geometry;
    p->outside = RNC_OUTSIDE;
    p->planes = NULL;
    p->mask = NULL;
}

static bool read_file(struct images *x, const char *path, struct rnc_status *s)
{
    struct rnc_picture *p = &x->picture;
    rnc_image_free(&p->decoded);
    if (!rnc_image_read(path, x->channels, &p->decoded, s)) return false;
    p->height = p->decoded.height;
    p->width = p->decoded.width;
    return true;
}

static bool read_mask(struct images *x, const char *path, struct rnc_status *s)
{
    struct rnc_image m;
    struct rnc_picture *p = &x->picture;
    if (!rnc_image_read(path, 1, &m, s)) return false;
    bool ok = (m.width == p->width && m.height == p->height) ||
              rnc_fail(s, RNC_USER, "%s is %" PRId64 " × %" PRId64 ", its image is %" PRId64 " × %" PRId64, path,
                       m.width, m.height, p->width, p->height);
    ok = ok && rnc_picture_mask(p, m.data, x->c.data->binary_masks, s);
    rnc_image_free(&m);
    return ok;
}

static bool read_sample(struct images *x, int64_t sample, struct rnc_status *s)
{
    const struct rnc_dataset *d = x->c.data;
    begin_picture(x);
    if (!d->pixels) return read_file(x, d->files[sample], s) && (!d->masks || read_mask(x, d->masks[sample], s));
    x->picture.height = d->height;
    x->picture.width = d->width;
    x->picture.planes = d->pixels + sample * d->channels * d->height * d->width;
    return true;
}

/* Each target of its own size, from the sample's label or from the mask as it is now: of the image's size. */
static bool take_targets(const struct images *x, int64_t sample, void *const *out, struct rnc_status *s)
{
    const struct rnc_dataset *d = x->c.data;
    struct rnc_labelled from = {.name = d->masks ? d->masks[sample] : d->name,
                                .height = x->height,
                                .width = x->width,
                                .mask = d->masks ? x->picture.mask : NULL,
                                .label = d->masks ? 0 : d->labels[sample]};
    for (int k = 0; k < x->ntargets; k++)
        if (!rnc_picture_target_get(&x->targets[k], &from, out[x->targets[k].index], s)) return false;
    return true;
}

static bool get_image(void *own, int64_t epoch, int64_t sample, void *const *out, struct rnc_status *s)
{
    struct images *x = own;
    const struct rnc_loader_config *c = &x->c;
    if (!read_sample(x, sample, s) || !rnc_augment(c->augment, c->naugment, c->seed, epoch, sample, &x->picture, s))
        return false;
    normalise(x, out[x->image]);
    return take_targets(x, sample, out, s);
}

/* ---- opening */

static bool find_image(struct images *x, struct rnc_status *s)
{
    const struct rnc_loader_config *c = &x->c;
    const struct rnc_port *image = rnc_only_port(c->ports, c->nports, false);
    if (!image || image->rank != 3) return rnc_fail(s, RNC_USER, "the model's input is not one image [C, H, W]");
    if (image->dim[0] < 1 || image->dim[0] > 4)
        return rnc_fail(s, RNC_USER, "the model's images have %" PRId64 " channels, 1 to 4 were expected",
                        image->dim[0]);
    if (image->dim[0] != c->preprocess.channels)
        return rnc_fail(s, RNC_USER, "images of %" PRId64 " channels are prepared, the model takes %" PRId64,
                        c->preprocess.channels, image->dim[0]);
    x->image = (int)(image - c->ports);
    x->channels = image->dim[0];
    x->height = image->dim[1];
    x->width = image->dim[2];
    return true;
}

static bool find_targets(struct images *x, struct rnc_status *s)
{
    const struct rnc_loader_config *c = &x->c;
    if (!c->data) return true;
    x->targets = calloc((size_t)c->nports, sizeof *x->targets);
    if (!x->targets) return rnc_fail(s, RNC_ENV, "no memory for a loader");
    for (int k = 0; k < c->nports; k++)
        if (c->ports[k].target && !rnc_picture_target_open(c, k, &x->targets[x->ntargets++], s)) return false;
    return true;
}

static bool check_augmentation(const struct images *x, struct rnc_status *s)
{
    for (int k = 0; k < x->c.naugment; k++) {
        const struct rnc_choice *a = &x->c.augment[k];
        if (a->row->check && !a->row->check(a->settings, x->height, x->width, s)) return false;
    }
    return true;
}

static bool check_data(const struct images *x, struct rnc_status *s)
{
    const struct rnc_dataset *d = x->c.data;
    if (!d) return true;
    if (d->files && x->channels != 1 && x->channels != 3)
        return rnc_fail(s, RNC_USER, "the model's images have %" PRId64 " channels, those of %s can have 1 or 3",
                        x->channels, d->name);
    if (d->pixels && (d->channels != x->channels || d->height != x->height || d->width != x->width))
        return rnc_fail(s, RNC_USER,
                        "the images of %s are %" PRId64 " × %" PRId64 " × %" PRId64 ", the model wants %" PRId64
                        " × %" PRId64 " × %" PRId64,
                        d->name, d->channels, d->height, d->width, x->channels, x->height, x->width);
    return true;
}

static void close_images(void *own)
{
    struct images *x = own;
    if (!x) return;
    rnc_picture_free(&x->picture);
    free(x->targets);
    free(x);
}

static void *open_images(const struct rnc_loader_config *c, struct rnc_status *s)
{
    struct images *x = calloc(1, sizeof *x);
    if (!x) {
        rnc_fail(s, RNC_ENV, "no memory for a loader");
        return NULL;
    }
    x->c = *c;
    if (find_image(x, s) && check_augmentation(x, s) && check_data(x, s) && find_targets(x, s)) {
        rnc_preprocess_table(&x->c.preprocess, &x->table);
        return x;
    }
    close_images(x);
    return NULL;
}

const struct rnc_sampler rnc_sample_images = {open_images, get_image, close_images};

bool rnc_loader_image(const struct rnc_loader_config *c, const char *path, float *out, struct rnc_status *s)
{
    struct rnc_loader_config one = *c;
    one.data = NULL;
    one.naugment = 0;
    struct images *x = open_images(&one, s);
    if (!x) return false;
    begin_picture(x);
    bool ok = read_file(x, path, s) && rnc_picture_fit(&x->picture, s);
    if (ok) normalise(x, out);
    close_images(x);
    return ok;
}
