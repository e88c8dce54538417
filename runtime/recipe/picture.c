/* picture.c: windows of pictures, and room for what becomes of them. */
#include "runtime/recipe/picture.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(struct rnc_status *s) { return rnc_fail(s, RNC_ENV, "no memory for an image"); }

void rnc_picture_free(struct rnc_picture *p)
{
    for (int k = 0; k < 2; k++) {
        free(p->plane_buffer[k].data);
        free(p->mask_buffer[k].data);
    }
    rnc_image_free(&p->decoded);
    *p = (struct rnc_picture){0};
}

/* COUNT elements of SIZE bytes in the one of two rooms that does not hold NOW; NULL when memory is out. */
static void *other_buffer(struct rnc_buffer buffers[2], const void *now, int64_t count, size_t size)
{
    struct rnc_buffer *r = &buffers[now && now == buffers[0].data];
    size_t bytes = (size_t)count * size;
    if (r->data && r->size >= bytes) return r->data;
    free(r->data);
    r->data = malloc(bytes ? bytes : 1);
    r->size = r->data ? bytes : 0;
    return r->data;
}

bool rnc_picture_mask(struct rnc_picture *p, const uint8_t *labels, bool binary, struct rnc_status *s)
{
    int64_t plane = p->height * p->width;
    int32_t *to = other_buffer(p->mask_buffer, p->mask, plane, sizeof *to);
    if (!to) return no_memory(s);
    for (int64_t k = 0; k < plane; k++) to[k] = binary ? labels[k] == 255 : labels[k];
    p->mask = to;
    return true;
}

static bool new_canvas(struct rnc_picture *p, int64_t height, int64_t width, struct rnc_canvas *c, struct rnc_status *s)
{
    *c = (struct rnc_canvas){.height = height, .width = width};
    c->planes = other_buffer(p->plane_buffer, p->planes, p->channels * height * width, sizeof *c->planes);
    if (p->mask) c->mask = other_buffer(p->mask_buffer, p->mask, height * width, sizeof *c->mask);
    return (c->planes && (c->mask || !p->mask)) || no_memory(s);
}

void rnc_picture_set(struct rnc_picture *p, const struct rnc_canvas *c)
{
    rnc_image_free(&p->decoded);
    p->planes = c->planes;
    if (p->mask) p->mask = c->mask;
    p->height = c->height;
    p->width = c->width;
}

/* ---- from pixels side by side to planes, and back */

static bool interleave(const struct rnc_picture *p, struct rnc_image *m, struct rnc_status *s)
{
    int64_t plane = p->height * p->width;
    *m = (struct rnc_image){p->width, p->height, p->channels, malloc((size_t)(plane * p->channels))};
    if (!m->data) return no_memory(s);
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t k = 0; k < plane; k++) m->data[k * p->channels + c] = p->planes[c * plane + k];
    return true;
}

/* The mask stays where it is. */
static bool separate(struct rnc_picture *p, struct rnc_status *s)
{
    int64_t plane = p->height * p->width;
    uint8_t *to = other_buffer(p->plane_buffer, p->planes, p->channels * plane, 1);
    if (!to) return no_memory(s);
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t k = 0; k < plane; k++) to[c * plane + k] = p->decoded.data[k * p->channels + c];
    rnc_image_free(&p->decoded);
    p->planes = to;
    return true;
}

bool rnc_picture_canvas(struct rnc_picture *p, int64_t height, int64_t width, struct rnc_canvas *c,
                        struct rnc_status *s)
{
    return (p->planes || separate(p, s)) && new_canvas(p, height, width, c, s);
}

uint8_t *rnc_picture_pixels(struct rnc_picture *p, struct rnc_status *s)
{
    if (!p->planes && !separate(p, s)) return NULL;
    for (int k = 0; k < 2; k++)
        if (p->planes == p->plane_buffer[k].data) return p->plane_buffer[k].data;
    size_t size = (size_t)(p->channels * p->height * p->width);
    uint8_t *own = other_buffer(p->plane_buffer, p->planes, (int64_t)size, 1);
    if (!own) no_memory(s);
    else p->planes = memcpy(own, p->planes, size);
    return own;
}

/* ---- windows */

static struct rnc_placement place(const struct rnc_picture *p)
{
    return rnc_preprocess_place(&p->geometry, p->height, p->width, p->input_height, p->input_width);
}

struct rnc_window rnc_picture_seen(const struct rnc_picture *p) { return place(p).window; }

static void resize_mask(const struct rnc_picture *p, struct rnc_window w, const struct rnc_canvas *c)
{
    int32_t *to = c->mask;
    for (int64_t y = 0; y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++) {
            int64_t sx = (int64_t)(w.x + ((double)x + 0.5) * w.w / (double)c->width),
                    sy = (int64_t)(w.y + ((double)y + 0.5) * w.h / (double)c->height);
            *to++ = p->mask[(sy < p->height ? sy : p->height - 1) * p->width + (sx < p->width ? sx : p->width - 1)];
        }
}

bool rnc_picture_resize(struct rnc_picture *p, struct rnc_window w, int64_t height, int64_t width, struct rnc_status *s)
{
    struct rnc_canvas c;
    struct rnc_image own = {0}, *from = p->planes ? &own : &p->decoded;
    if (!new_canvas(p, height, width, &c, s) || (p->planes && !interleave(p, &own, s))) return false;
    const struct rnc_pixels pixels = rnc_image_pixels(from);
    bool ok = rnc_pixels_resize(&pixels, w, height, width, c.planes, s);
    rnc_image_free(&own);
    if (!ok) return false;
    if (p->mask) resize_mask(p, w, &c);
    rnc_picture_set(p, &c);
    return true;
}

/* The picture, which has AT's size, goes to its place between bars. */
static bool add_bars(struct rnc_picture *p, const struct rnc_placement *at, struct rnc_status *s)
{
    struct rnc_canvas c;
    if (!rnc_picture_canvas(p, p->input_height, p->input_width, &c, s)) return false;
    rnc_preprocess_bars(&p->geometry, at, p->planes, p->channels, c.height, c.width, c.planes);
    for (int64_t k = 0; c.mask && k < c.height * c.width; k++) {
        int64_t y = k / c.width - at->top, x = k % c.width - at->left;
        bool inside = y >= 0 && y < at->height && x >= 0 && x < at->width;
        c.mask[k] = inside ? p->mask[y * at->width + x] : p->outside;
    }
    rnc_picture_set(p, &c);
    return true;
}

bool rnc_picture_fit(struct rnc_picture *p, struct rnc_status *s)
{
    struct rnc_placement at = place(p);
    bool same = p->planes && p->height == at.height && p->width == at.width && at.window.w == (double)p->width &&
                at.window.h == (double)p->height;
    if (!same && !rnc_picture_resize(p, at.window, at.height, at.width, s)) return false;
    return (at.height == p->input_height && at.width == p->input_width) || add_bars(p, &at, s);
}
