/* augment.c: the augmentations. To add one: a struct of its settings, its fields and defaults, a function that does it,
   and a row in `rows`, with a stream that no other row has. */
#include "runtime/recipe/augment.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct rnc_philox rnc_draw(const struct rnc_draw *d, int try)
{
    assert(try < RNC_TRIES && d->stream < RNC_STREAMS);
    return rnc_philox(d->seed, (uint64_t)d->sample | (uint64_t)try << 56,
                      ((uint64_t)d->epoch * RNC_STREAMS + (uint64_t)d->stream) | (uint64_t)d->repeat << 48);
}

/* ---- flip */

struct flip {
    bool horizontal, vertical;
};
static const struct rnc_field flip_fields[] = {
    RNC_FIELD(flip, horizontal, BOOL, 0, 1, "left and right"),
    RNC_FIELD(flip, vertical, BOOL, 0, 1, "top and bottom"),
};

static bool flip(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s)
{
    const struct flip *o = settings;
    struct rnc_philox r = rnc_draw(d, 0);
    bool h = o->horizontal && (r.word[0] & 1), v = o->vertical && (r.word[1] & 1);
    struct rnc_canvas c;
    if (!h && !v) return true;
    if (!rnc_picture_canvas(p, p->height, p->width, &c, s)) return false;
    for (int64_t row = 0; row < p->channels * p->height; row++) {
        int64_t y = row % p->height;
        const uint8_t *from = p->planes + (v ? row - y + p->height - 1 - y : row) * p->width;
        uint8_t *to = c.planes + row * p->width;
        for (int64_t x = 0; x < p->width; x++) to[x] = from[h ? p->width - 1 - x : x];
    }
    for (int64_t y = 0; c.mask && y < p->height; y++) {
        const int32_t *from = p->mask + (v ? p->height - 1 - y : y) * p->width;
        for (int64_t x = 0; x < p->width; x++) c.mask[y * p->width + x] = from[h ? p->width - 1 - x : x];
    }
    rnc_picture_set(p, &c);
    return true;
}

/* ---- crop */

struct crop {
    int64_t pad;
};
static const struct rnc_field crop_fields[] = {
    RNC_FIELD(crop, pad, INT, 0, 4096, "zeros round the image, of which a random window is taken"),
};

/* Where pixel (y, x) of the picture lies; -1: beyond the border. */
static int64_t place(const struct rnc_picture *p, int64_t y, int64_t x)
{
    return y < 0 || y >= p->height || x < 0 || x >= p->width ? -1 : y * p->width + x;
}

static bool crop(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s)
{
    const struct crop *o = settings;
    struct rnc_philox r = rnc_draw(d, 0);
    uint64_t range = (uint64_t)(2 * o->pad + 1);
    int64_t dx = (int64_t)((uint64_t)r.word[0] * range >> 32) - o->pad,
            dy = (int64_t)((uint64_t)r.word[1] * range >> 32) - o->pad, plane = p->height * p->width;
    struct rnc_canvas c;
    if (!dx && !dy) return true;
    if (!rnc_picture_canvas(p, p->height, p->width, &c, s)) return false;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            int64_t from = place(p, y + dy, x + dx), to = y * p->width + x;
            for (int64_t k = 0; k < p->channels; k++)
                c.planes[k * plane + to] = from < 0 ? 0 : p->planes[k * plane + from];
            if (c.mask) c.mask[to] = from < 0 ? p->outside : p->mask[from];
        }
    rnc_picture_set(p, &c);
    return true;
}

/* ---- random_resized_crop */

struct resized {
    int64_t size;
    struct rnc_range scale;
};
static const struct rnc_field resized_fields[] = {
    RNC_FIELD(resized, size, INT, 0, 65536, "of the result: that of the model's input, which 0 stands for"),
    RNC_FIELD(resized, scale, RANGE, 0, 1, "least and largest share of the image's area"),
};
enum { WINDOW_TRIES = 10 };

/* The model is compiled for one size. */
static bool resized_check(const void *settings, int64_t height, int64_t width, struct rnc_status *s)
{
    int64_t size = ((const struct resized *)settings)->size;
    if (!size || !height || (size == height && size == width)) return true;
    char mend[64] = "leave size out";
    if (height == width) snprintf(mend, sizeof mend, "set size to %" PRId64 ", or leave it out", height);
    return rnc_fail(s, RNC_USER,
                    "random_resized_crop gives images of %" PRId64 " × %" PRId64 ", the model takes %" PRId64
                    " × %" PRId64 ": %s",
                    size, size, height, width, mend);
}

/* torchvision's RandomResizedCrop: a window of random area and shape; after ten misses the central one. */
static struct rnc_window random_window(const struct resized *o, const struct rnc_draw *d, const struct rnc_picture *p)
{
    double width = (double)p->width, height = (double)p->height;
    for (int k = 0; k < WINDOW_TRIES; k++) {
        struct rnc_philox r = rnc_draw(d, k);
        double area = width * height * (o->scale.min + (o->scale.max - o->scale.min) * rnc_unit(r.word[0]));
        double ratio = exp((2.0 * rnc_unit(r.word[1]) - 1.0) * log(4.0 / 3.0));
        double w = sqrt(area * ratio), h = sqrt(area / ratio);
        if (w > width || h > height) continue;
        return (struct rnc_window){(width - w) * rnc_unit(r.word[2]), (height - h) * rnc_unit(r.word[3]), w, h};
    }
    return rnc_picture_seen(p);
}

static bool resized(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s)
{
    const struct resized *o = settings;
    struct rnc_window w = random_window(o, d, p);
    int64_t height = o->size ? o->size : p->input_height, width = o->size ? o->size : p->input_width;
    bool same = p->planes && p->height == height && p->width == width && w.w == (double)width && w.h == (double)height;
    return same || rnc_picture_resize(p, w, height, width, s);
}

/* ---- brightness */

struct brightness {
    struct rnc_range range;
};
static const struct rnc_field brightness_fields[] = {
    RNC_FIELD(brightness, range, RANGE, 0, 16, "least and largest factor"),
};

static bool brightness(const void *settings, const struct rnc_draw *d, struct rnc_picture *p, struct rnc_status *s)
{
    const struct rnc_range *o = &((const struct brightness *)settings)->range;
    double factor = o->min + (o->max - o->min) * rnc_unit(rnc_draw(d, 0).word[0]);
    uint8_t table[256], *pixels = rnc_picture_pixels(p, s);
    if (!pixels) return false;
    for (int v = 0; v < 256; v++) table[v] = (uint8_t)fmin(floor(v * factor + 0.5), 255.0);
    for (int64_t k = 0; k < p->channels * p->height * p->width; k++) pixels[k] = table[pixels[k]];
    return true;
}

/* ---- the rows */

static const struct rnc_augmentation rows[] = {
    {.row = {.name = "flip",
             .help = "mirrors half of the images",
             RNC_FIELDS(flip_fields),
             .size = sizeof(struct flip),
             .defaults = &(const struct flip){.horizontal = true}},
     .stream = 3,
     .apply = flip},
    {.row = {.name = "crop",
             .help = "a random window of the padded image",
             RNC_FIELDS(crop_fields),
             .size = sizeof(struct crop),
             .defaults = &(const struct crop){.pad = 4}},
     .stream = 2,
     .apply = crop},
    {.row = {.name = "random_resized_crop",
             .help = "a random part, resized (Szegedy et al. 2015)",
             RNC_FIELDS(resized_fields),
             .size = sizeof(struct resized),
             .defaults = &(const struct resized){.scale = {0.08, 1}},
             .check = resized_check},
     .stream = 1,
     .resizes = true,
     .apply = resized},
    {.row = {.name = "brightness",
             .help = "every pixel times one random factor, black stays black; before normalisation, clipped",
             RNC_FIELDS(brightness_fields),
             .size = sizeof(struct brightness),
             .defaults = &(const struct brightness){.range = {0.8, 1.2}}},
     .stream = 4,
     .apply = brightness},
};
const struct rnc_kind rnc_augmentations = {.name = "augment", RNC_ROWS(rows)};

static const struct rnc_augmentation *augmentation(const struct rnc_choice *c)
{
    return (const struct rnc_augmentation *)(const void *)c->row;
}

bool rnc_augment_resizes(const struct rnc_choice *list, int n)
{
    for (int k = 0; k < n; k++)
        if (augmentation(&list[k])->resizes) return true;
    return false;
}

bool rnc_augment(const struct rnc_choice *list, int n, uint64_t seed, int64_t epoch, int64_t sample,
                 struct rnc_picture *p, struct rnc_status *s)
{
    if (!rnc_augment_resizes(list, n) && !rnc_picture_fit(p, s)) return false;
    for (int k = 0; k < n; k++) {
        const struct rnc_augmentation *a = augmentation(&list[k]);
        struct rnc_draw d = {.seed = seed, .epoch = epoch, .sample = sample, .stream = a->stream};
        for (int i = 0; i < k; i++) d.repeat += list[i].row == list[k].row;
        if (!a->apply(list[k].settings, &d, p, s)) return false;
    }
    assert(p->planes && p->height == p->input_height && p->width == p->input_width);
    return true;
}
