/* loader.c: from pixels to batches. Random choices come from Philox with the sample's index and the epoch as counter,
   so that they do not depend on where a run was interrupted. */
#include "runtime/data/loader.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/image.h"
#include "runtime/recipe/augment.h"

/* The share of a file's sides that is seen in evaluation after training on parts of it. */
static const double CENTRE = 0.875;

struct slot {
    float *images;
    int64_t *labels, *index, n;
    struct rnc_named named[2]; /* both by their ports' names */
    bool full;
};

struct rnc_loader {
    struct rnc_loader_config c;
    int64_t nbatches, label_size; /* labels of a sample */
    float table[4][256];          /* byte -> normalised, by channel */
    int64_t *order;
    struct rnc_picture picture; /* a sample on its way */
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

/* ---- one sample */

static void normalise(const struct rnc_loader *l, const uint8_t *planes, float *out)
{
    int64_t plane = l->c.height * l->c.width;
    for (int64_t c = 0; c < l->c.channels; c++, planes += plane, out += plane) {
        const float *table = l->table[c];
        for (int64_t k = 0; k < plane; k++) out[k] = table[planes[k]];
    }
}

static void begin_picture(struct rnc_loader *l)
{
    const struct rnc_loader_config *c = &l->c;
    bool masks = c->data && c->data->masks, pixels = c->data && c->data->pixels;
    struct rnc_picture *p = &l->picture;
    p->channels = c->channels;
    p->input_height = c->height;
    p->input_width = c->width;
    p->centre = masks ? 0.0 : c->centre_crop && !pixels ? CENTRE : 1.0; /* nothing of a mask is cut off */
    p->outside = (int32_t)(c->ignore >= 0 ? c->ignore : 0);
    p->planes = NULL;
    p->mask = NULL;
}

static bool read_file(struct rnc_loader *l, const char *path, struct rnc_status *s)
{
    struct rnc_picture *p = &l->picture;
    rnc_image_free(&p->decoded);
    if (!rnc_image_read(path, l->c.channels, &p->decoded, s)) return false;
    p->height = p->decoded.height;
    p->width = p->decoded.width;
    return true;
}

static bool read_mask(struct rnc_loader *l, const char *path, struct rnc_status *s)
{
    struct rnc_image m;
    struct rnc_picture *p = &l->picture;
    if (!rnc_image_read(path, 1, &m, s)) return false;
    bool ok = (m.width == p->width && m.height == p->height) ||
              rnc_fail(s, RNC_USER, "%s is %" PRId64 " × %" PRId64 ", its image is %" PRId64 " × %" PRId64, path,
                       m.width, m.height, p->width, p->height);
    ok = ok && rnc_picture_mask(p, m.data, l->c.data->binary_masks, s);
    rnc_image_free(&m);
    return ok;
}

static bool read_sample(struct rnc_loader *l, int64_t sample, struct rnc_status *s)
{
    const struct rnc_dataset *d = l->c.data;
    begin_picture(l);
    if (!d->pixels) return read_file(l, d->files[sample], s) && (!d->masks || read_mask(l, d->masks[sample], s));
    l->picture.height = d->height;
    l->picture.width = d->width;
    l->picture.planes = d->pixels + sample * d->channels * d->height * d->width;
    return true;
}

static bool take_mask(const struct rnc_loader *l, int64_t sample, int64_t *labels, struct rnc_status *s)
{
    const struct rnc_loader_config *c = &l->c;
    for (int64_t k = 0; k < c->height * c->width; k++) {
        labels[k] = l->picture.mask[k];
        if (labels[k] >= c->nclasses && labels[k] != c->ignore)
            return rnc_fail(s, RNC_USER, "%s has the label %" PRId64 ", the model has %" PRId64 " classes",
                            c->data->masks[sample], labels[k], c->nclasses);
    }
    return true;
}

static bool load_sample(struct rnc_loader *l, int64_t epoch, int64_t sample, float *out, int64_t *labels,
                        struct rnc_status *s)
{
    const struct rnc_loader_config *c = &l->c;
    if (!read_sample(l, sample, s) || !rnc_augment(c->augment, c->naugment, c->seed, epoch, sample, &l->picture, s))
        return false;
    normalise(l, l->picture.planes, out);
    if (c->data->masks) return take_mask(l, sample, labels, s);
    *labels = c->data->labels[sample];
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
            *b = (struct rnc_batch){slot->n, slot->index, slot->named, 2};
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
        struct rnc_philox r = rnc_draw(&(struct rnc_draw){.seed = l->c.seed, .epoch = l->epoch, .sample = k}, 0);
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
    for (int k = 0; k < c->naugment; k++) {
        const struct rnc_choice *a = &c->augment[k];
        if (a->row->check && !a->row->check(a->settings, c->height, c->width, s)) return false;
    }
    if (!d) return true;
    if (!rnc_only_port(c->ports, c->nports, false) || !rnc_only_port(c->ports, c->nports, true))
        return rnc_fail(s, RNC_USER, "%s has images with one label or mask each; the model has other inputs or targets",
                        d->name);
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
    size_t image = (size_t)(l->c.channels * l->c.height * l->c.width), batch = (size_t)l->c.batch;
    bool ok = true;
    for (int k = 0; k < 2; k++) {
        struct slot *t = &l->slot[k];
        t->images = malloc(batch * image * sizeof *t->images);
        t->labels = malloc(batch * (size_t)l->label_size * sizeof *t->labels);
        t->index = malloc(batch * sizeof *t->index);
        ok = ok && t->images && t->labels && t->index;
    }
    for (int k = 0; l->c.data && k < 2; k++) {
        struct slot *t = &l->slot[k];
        t->named[0] = (struct rnc_named){rnc_only_port(l->c.ports, l->c.nports, false)->name, t->images};
        t->named[1] = (struct rnc_named){rnc_only_port(l->c.ports, l->c.nports, true)->name, t->labels};
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
    }
    rnc_picture_free(&l->picture);
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
    if (!l) return false;
    begin_picture(l);
    bool ok = read_file(l, path, s) && rnc_picture_fit(&l->picture, s);
    if (ok) normalise(l, l->picture.planes, out);
    rnc_loader_free(l);
    return ok;
}
