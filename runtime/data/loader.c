/* loader.c: from pixels to batches. Random choices come from Philox with the sample's index and the epoch as counter,
   so that they do not depend on where a run was interrupted. */
#include "runtime/data/loader.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/image.h"
#include "runtime/rt/philox.h"

/* What a random number is for; the high counter word is epoch · TAGS + tag. */
enum { TAG_ORDER, TAG_WINDOW, TAG_SHIFT, TAG_FLIP, TAGS = 64, WINDOW_TRIES = 10 };

struct slot {
    float *images;
    int64_t *labels, *index, n;
    bool full;
};

struct rnc_loader {
    struct rnc_loader_config c;
    int64_t nbatches, label_size; /* labels of a sample */
    float table[4][256];          /* byte -> normalised, by channel */
    int64_t *order;
    uint8_t *planes[2]; /* a sample on its way: [C, H, W] */
    int32_t *mask[2];   /* and its labels: [H, W] */
    int64_t epoch;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct slot slot[2];
    int64_t produce, consume; /* next batch to make, to hand out */
    bool active, busy, stop, held;
    struct rnc_status failure;
};

/* ---- geometry: which part of the picture is seen, and how */

struct geometry {
    double x, y, w, h; /* window on the source, in its pixels */
    bool whole;        /* the source as it is, no resizing */
    int64_t dx, dy;    /* crop's shift */
    bool hflip, vflip;
};

static struct rnc_philox draw(const struct rnc_loader_config *c, int64_t epoch, int64_t sample, int tag, int more)
{
    return rnc_philox(c->seed, (uint64_t)sample | (uint64_t)more << 56, (uint64_t)epoch * TAGS + (uint64_t)tag);
}

/* torchvision's RandomResizedCrop: a window of random area and shape; after ten misses the largest central one. */
static void random_window(const struct rnc_loader_config *c, const struct rnc_augment *a, int64_t epoch, int64_t sample,
                          double width, double height, struct geometry *g)
{
    for (int k = 0; k < WINDOW_TRIES; k++) {
        struct rnc_philox r = draw(c, epoch, sample, TAG_WINDOW, k);
        double area = width * height * (a->scale_min + (a->scale_max - a->scale_min) * rnc_unit(r.word[0]));
        double ratio = exp((2.0 * rnc_unit(r.word[1]) - 1.0) * log(4.0 / 3.0));
        double w = sqrt(area * ratio), h = sqrt(area / ratio);
        if (w > width || h > height) continue;
        *g = (struct geometry){
            .x = (width - w) * rnc_unit(r.word[2]), .y = (height - h) * rnc_unit(r.word[3]), .w = w, .h = h};
        return;
    }
}

static void central_window(const struct rnc_loader_config *c, double ratio, double width, double height,
                           struct geometry *g)
{
    double sx = width / (double)c->width, sy = height / (double)c->height, scale = (sx < sy ? sx : sy) * ratio;
    *g = (struct geometry){.w = scale * (double)c->width, .h = scale * (double)c->height};
    g->x = (width - g->w) / 2.0;
    g->y = (height - g->h) / 2.0;
}

/* Masks belong to whole pictures: nothing may be cut off in evaluation. */
static void whole_window(double width, double height, struct geometry *g)
{
    *g = (struct geometry){.w = width, .h = height};
}

static struct geometry choose_geometry(const struct rnc_loader_config *c, int64_t epoch, int64_t sample, int64_t width,
                                       int64_t height)
{
    struct geometry g;
    if (c->data && c->data->masks) whole_window((double)width, (double)height, &g);
    else
        central_window(c, c->centre_crop && !(c->data && c->data->pixels) ? 0.875 : 1.0, (double)width, (double)height,
                       &g);
    for (int k = 0; k < c->naugment; k++) {
        const struct rnc_augment *a = &c->augment[k];
        if (a->kind == RNC_AUGMENT_RESIZED_CROP) random_window(c, a, epoch, sample, (double)width, (double)height, &g);
    }
    for (int k = 0; k < c->naugment; k++) {
        const struct rnc_augment *a = &c->augment[k];
        struct rnc_philox r = draw(c, epoch, sample, a->kind == RNC_AUGMENT_CROP ? TAG_SHIFT : TAG_FLIP, 0);
        if (a->kind == RNC_AUGMENT_CROP) {
            uint64_t range = (uint64_t)(2 * a->pad + 1);
            g.dx = (int64_t)((uint64_t)r.word[0] * range >> 32) - a->pad;
            g.dy = (int64_t)((uint64_t)r.word[1] * range >> 32) - a->pad;
        } else if (a->kind == RNC_AUGMENT_FLIP) {
            g.hflip = a->horizontal && (r.word[0] & 1);
            g.vflip = a->vertical && (r.word[1] & 1);
        }
    }
    g.whole = width == c->width && height == c->height && g.w == (double)width && g.h == (double)height;
    return g;
}

/* Where output pixel (y, x) comes from after the shift and the flips; false: from the border. */
static bool source_of(const struct geometry *g, int64_t height, int64_t width, int64_t y, int64_t x, int64_t *from)
{
    int64_t sy = (g->vflip ? height - 1 - y : y) + g->dy, sx = (g->hflip ? width - 1 - x : x) + g->dx;
    if (sy < 0 || sy >= height || sx < 0 || sx >= width) return false;
    *from = sy * width + sx;
    return true;
}

static bool moves(const struct geometry *g) { return g->dx || g->dy || g->hflip || g->vflip; }

static void move_plane(const struct geometry *g, int64_t height, int64_t width, const uint8_t *from, uint8_t *to)
{
    int64_t at;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) *to++ = source_of(g, height, width, y, x, &at) ? from[at] : 0;
}

/* ---- one sample */

/* Planes [C, H, W] as an interleaved picture, which resizing wants. */
static bool interleave(const struct rnc_dataset *d, const uint8_t *planes, struct rnc_image *m, struct rnc_status *s)
{
    *m = (struct rnc_image){d->width, d->height, d->channels, malloc((size_t)(d->width * d->height * d->channels))};
    if (!m->data) return rnc_fail(s, RNC_ENV, "no memory for an image");
    int64_t plane = d->height * d->width;
    for (int64_t c = 0; c < d->channels; c++)
        for (int64_t k = 0; k < plane; k++) m->data[k * d->channels + c] = planes[c * plane + k];
    return true;
}

static bool picture_of(const struct rnc_loader *l, int64_t sample, struct rnc_image *m, struct rnc_status *s)
{
    const struct rnc_dataset *d = l->c.data;
    if (d->files) return rnc_image_read(d->files[sample], l->c.channels, m, s);
    return interleave(d, d->pixels + sample * d->channels * d->height * d->width, m, s);
}

static void normalise(const struct rnc_loader *l, const uint8_t *planes, float *out)
{
    int64_t plane = l->c.height * l->c.width;
    for (int64_t c = 0; c < l->c.channels; c++, planes += plane, out += plane) {
        const float *table = l->table[c];
        for (int64_t k = 0; k < plane; k++) out[k] = table[planes[k]];
    }
}

/* Nearest pixel of the same window. */
static bool load_mask(const struct rnc_loader *l, int64_t sample, int64_t width, int64_t height,
                      const struct geometry *g, int64_t *labels, struct rnc_status *s)
{
    const struct rnc_loader_config *c = &l->c;
    struct rnc_image m;
    const char *path = c->data->masks[sample];
    if (!rnc_image_read(path, 1, &m, s)) return false;
    bool ok = (m.width == width && m.height == height) ||
              rnc_fail(s, RNC_USER, "%s is %" PRId64 " × %" PRId64 ", its image is %" PRId64 " × %" PRId64, path,
                       m.width, m.height, width, height);
    for (int64_t y = 0; ok && y < c->height; y++)
        for (int64_t x = 0; ok && x < c->width; x++) {
            int64_t sx = (int64_t)(g->x + ((double)x + 0.5) * g->w / (double)c->width),
                    sy = (int64_t)(g->y + ((double)y + 0.5) * g->h / (double)c->height);
            int64_t v = m.data[(sy < height ? sy : height - 1) * width + (sx < width ? sx : width - 1)];
            if (c->data->binary_masks) v = v == 255;
            l->mask[0][y * c->width + x] = (int32_t)v;
            if (v >= c->nclasses && v != c->ignore)
                ok = rnc_fail(s, RNC_USER, "%s has the label %" PRId64 ", the model has %" PRId64 " classes", path, v,
                              c->nclasses);
        }
    rnc_image_free(&m);
    int64_t at;
    for (int64_t y = 0; ok && y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++)
            *labels++ = source_of(g, c->height, c->width, y, x, &at) ? l->mask[0][at] : c->ignore >= 0 ? c->ignore : 0;
    return ok;
}

static bool load_sample(const struct rnc_loader *l, int64_t epoch, int64_t sample, float *out, int64_t *labels,
                        struct rnc_status *s)
{
    const struct rnc_loader_config *c = &l->c;
    const struct rnc_dataset *d = c->data;
    const uint8_t *planes = d->pixels ? d->pixels + sample * d->channels * d->height * d->width : NULL;
    struct geometry g = choose_geometry(c, epoch, sample, d->width, d->height);
    struct rnc_image m = {.width = d->width, .height = d->height};
    if (!planes || !g.whole) {
        if (!picture_of(l, sample, &m, s)) return false;
        g = choose_geometry(c, epoch, sample, m.width, m.height);
        bool ok = rnc_image_resize(&m, g.x, g.y, g.w, g.h, c->height, c->width, l->planes[0], s);
        rnc_image_free(&m);
        if (!ok) return false;
        planes = l->planes[0];
    }
    if (moves(&g)) {
        int64_t plane = c->height * c->width;
        for (int64_t k = 0; k < c->channels; k++)
            move_plane(&g, c->height, c->width, planes + k * plane, l->planes[1] + k * plane);
        planes = l->planes[1];
    }
    normalise(l, planes, out);
    if (d->masks) return load_mask(l, sample, m.width, m.height, &g, labels, s);
    *labels = d->labels[sample];
    return true;
}

/* ---- the thread */

static bool make_batch(struct rnc_loader *l, int64_t number, struct slot *slot, struct rnc_status *s)
{
    int64_t first = number * l->c.batch, left = l->c.data->count - first,
            size = l->c.channels * l->c.height * l->c.width;
    slot->n = left < l->c.batch ? left : l->c.batch;
    for (int64_t k = 0; k < slot->n; k++) {
        slot->index[k] = l->order[first + k];
        if (!load_sample(l, l->epoch, slot->index[k], slot->images + k * size, slot->labels + k * l->label_size, s))
            return false;
    }
    return true;
}

static void *loader_main(void *arg)
{
    struct rnc_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && !(l->active && l->produce < l->nbatches && !l->slot[l->produce & 1].full))
            pthread_cond_wait(&l->changed, &l->lock);
        if (l->stop) break;
        struct slot *slot = &l->slot[l->produce & 1];
        int64_t number = l->produce;
        l->busy = true;
        pthread_mutex_unlock(&l->lock);
        struct rnc_status s = {0};
        bool ok = make_batch(l, number, slot, &s);
        pthread_mutex_lock(&l->lock);
        l->busy = false;
        slot->full = ok;
        l->produce++;
        if (!ok) {
            l->failure = s;
            l->active = false;
        }
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

bool rnc_loader_next(struct rnc_loader *l, struct rnc_batch *b, struct rnc_status *s)
{
    bool ok = true;
    *b = (struct rnc_batch){0};
    pthread_mutex_lock(&l->lock);
    if (l->held) {
        l->slot[(l->consume - 1) & 1].full = false;
        l->held = false;
        pthread_cond_broadcast(&l->changed);
    }
    if (l->consume < l->nbatches) {
        struct slot *slot = &l->slot[l->consume & 1];
        while (!slot->full && l->failure.code == RNC_OK) pthread_cond_wait(&l->changed, &l->lock);
        if (slot->full) {
            *b = (struct rnc_batch){slot->n, slot->images, slot->labels, slot->index};
            l->held = true;
            l->consume++;
        } else ok = rnc_fail(s, l->failure.code, "%s", l->failure.message);
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

/* Fisher and Yates, with the epoch's own numbers. */
static void make_order(struct rnc_loader *l)
{
    int64_t n = l->c.data->count;
    for (int64_t k = 0; k < n; k++) l->order[k] = k;
    for (int64_t k = n - 1; l->c.shuffle && k > 0; k--) {
        struct rnc_philox r = draw(&l->c, l->epoch, k, TAG_ORDER, 0);
        uint64_t word = (uint64_t)r.word[0] << 32 | r.word[1];
        int64_t other = (int64_t)((unsigned __int128)word * (uint64_t)(k + 1) >> 64), x = l->order[k];
        l->order[k] = l->order[other];
        l->order[other] = x;
    }
}

void rnc_loader_start(struct rnc_loader *l, int64_t epoch, int64_t first)
{
    pthread_mutex_lock(&l->lock);
    l->active = false;
    while (l->busy) pthread_cond_wait(&l->changed, &l->lock);
    l->slot[0].full = l->slot[1].full = l->held = false;
    l->failure = (struct rnc_status){0};
    l->produce = l->consume = first;
    l->epoch = epoch;
    make_order(l);
    l->active = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

int64_t rnc_loader_batches(const struct rnc_loader *l) { return l->nbatches; }

/* ---- making one */

static bool check_config(const struct rnc_loader_config *c, struct rnc_status *s)
{
    const struct rnc_dataset *d = c->data;
    if (c->channels < 1 || c->channels > 4)
        return rnc_fail(s, RNC_USER, "the model's images have %" PRId64 " channels, 1 to 4 were expected", c->channels);
    if (!d) return true;
    if (d->files && c->channels != 1 && c->channels != 3)
        return rnc_fail(s, RNC_USER, "the model's images have %" PRId64 " channels, those of %s can have 1 or 3",
                        c->channels, d->name);
    if (d->pixels && (d->channels != c->channels || d->height != c->height || d->width != c->width))
        return rnc_fail(s, RNC_USER,
                        "the images of %s are %" PRId64 " × %" PRId64 " × %" PRId64 ", the model wants %" PRId64
                        " × %" PRId64 " × %" PRId64,
                        d->name, d->channels, d->height, d->width, c->channels, c->height, c->width);
    for (int64_t k = 0; !d->masks && k < d->count; k++)
        if (d->labels[k] >= c->nclasses)
            return rnc_fail(s, RNC_USER, "%s: sample %" PRId64 " is of class %d, the model has %" PRId64 " classes",
                            d->name, k, d->labels[k], c->nclasses);
    return true;
}

static void fill_tables(struct rnc_loader *l)
{
    for (int64_t c = 0; c < l->c.channels; c++)
        for (int v = 0; v < 256; v++) l->table[c][v] = (float)(((double)v / 255.0 - l->c.mean[c]) / l->c.std[c]);
}

static bool allocate(struct rnc_loader *l, struct rnc_status *s)
{
    size_t plane = (size_t)(l->c.height * l->c.width), image = plane * (size_t)l->c.channels,
           batch = (size_t)l->c.batch;
    bool ok = true;
    for (int k = 0; k < 2; k++) {
        struct slot *t = &l->slot[k];
        t->images = malloc(batch * image * sizeof *t->images);
        t->labels = malloc(batch * (size_t)l->label_size * sizeof *t->labels);
        t->index = malloc(batch * sizeof *t->index);
        l->planes[k] = malloc(image);
        l->mask[k] = malloc(plane * sizeof *l->mask[k]);
        ok = ok && t->images && t->labels && t->index && l->planes[k] && l->mask[k];
    }
    if (l->c.data) l->order = malloc((size_t)l->c.data->count * sizeof *l->order + 1);
    return (ok && (l->order || !l->c.data)) ||
           rnc_fail(s, RNC_ENV, "no memory for batches of %" PRId64 " images", l->c.batch);
}

static struct rnc_loader *loader_bare(const struct rnc_loader_config *c, struct rnc_status *s)
{
    struct rnc_loader *l = calloc(1, sizeof *l);
    if (!l) {
        rnc_fail(s, RNC_ENV, "no memory for a loader");
        return NULL;
    }
    l->c = *c;
    l->label_size = c->data && c->data->masks ? c->height * c->width : 1;
    l->nbatches = c->data ? (c->data->count + c->batch - 1) / c->batch : 0;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (check_config(c, s) && allocate(l, s)) {
        fill_tables(l);
        return l;
    }
    rnc_loader_free(l);
    return NULL;
}

struct rnc_loader *rnc_loader_new(const struct rnc_loader_config *c, struct rnc_status *s)
{
    struct rnc_loader *l = loader_bare(c, s);
    if (!l) return NULL;
    int error = pthread_create(&l->thread, NULL, loader_main, l);
    l->started = error == 0;
    if (l->started) return l;
    rnc_fail(s, RNC_ENV, "can't start the loader's thread: %s", strerror(error));
    rnc_loader_free(l);
    return NULL;
}

void rnc_loader_free(struct rnc_loader *l)
{
    if (!l) return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (int k = 0; k < 2; k++) {
        free(l->slot[k].images);
        free(l->slot[k].labels);
        free(l->slot[k].index);
        free(l->planes[k]);
        free(l->mask[k]);
    }
    free(l->order);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l);
}

bool rnc_loader_image(const struct rnc_loader_config *c, const char *path, float *out, struct rnc_status *s)
{
    struct rnc_loader_config one = *c;
    one.batch = 1;
    one.data = NULL;
    one.naugment = 0;
    struct rnc_loader *l = loader_bare(&one, s);
    struct rnc_image m;
    if (!l) return false;
    bool ok = rnc_image_read(path, c->channels, &m, s);
    if (ok) {
        struct geometry g = choose_geometry(&one, 0, 0, m.width, m.height);
        ok = rnc_image_resize(&m, g.x, g.y, g.w, g.h, c->height, c->width, l->planes[0], s);
        rnc_image_free(&m);
    }
    if (ok) normalise(l, l->planes[0], out);
    rnc_loader_free(l);
    return ok;
}
