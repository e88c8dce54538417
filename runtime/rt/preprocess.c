/* preprocess.c: geometry, resizing by a separable triangle filter, and normalisation by a table of 256 values for each
   channel. */
#include "runtime/rt/preprocess.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- geometry */

static struct rnc_placement whole(double width, double height, int64_t to_height, int64_t to_width)
{
    return (struct rnc_placement){{.w = width, .h = height}, .height = to_height, .width = to_width};
}

static struct rnc_placement centre(double share, double width, double height, int64_t to_height, int64_t to_width)
{
    double sx = width / (double)to_width, sy = height / (double)to_height, scale = (sx < sy ? sx : sy) * share;
    struct rnc_window w = {.w = scale * (double)to_width, .h = scale * (double)to_height};
    w.x = (width - w.w) / 2.0;
    w.y = (height - w.h) / 2.0;
    return (struct rnc_placement){w, .height = to_height, .width = to_width};
}

/* The nearest whole number from 1 to MOST. */
static int64_t side(double x, int64_t most)
{
    int64_t n = (int64_t)floor(x + 0.5);
    return n < 1 ? 1 : n > most ? most : n;
}

static struct rnc_placement letterbox(double width, double height, int64_t to_height, int64_t to_width)
{
    double sx = (double)to_width / width, sy = (double)to_height / height, scale = sx < sy ? sx : sy;
    struct rnc_placement p = whole(width, height, side(height * scale, to_height), side(width * scale, to_width));
    p.top = (to_height - p.height) / 2;
    p.left = (to_width - p.width) / 2;
    return p;
}

struct rnc_placement rnc_preprocess_place(const struct rnc_geometry *g, int64_t height, int64_t width,
                                          int64_t to_height, int64_t to_width)
{
    switch (g->fit) {
    case RNC_FIT_RESIZE: break;
    case RNC_FIT_CROP: return centre(g->share, (double)width, (double)height, to_height, to_width);
    case RNC_FIT_LETTERBOX: return letterbox((double)width, (double)height, to_height, to_width);
    }
    return whole((double)width, (double)height, to_height, to_width);
}

/* ---- resizing */

/* Output i of an axis is the sum over k < count of weight[k]·input[first + k]. */
struct tap {
    int64_t first, count;
    float *weight;
};

static void make_taps(int64_t size, double from, double length, int64_t out, int64_t width, struct tap *taps,
                      float *weights)
{
    double scale = length / (double)out, filter = scale > 1.0 ? scale : 1.0;
    for (int64_t i = 0; i < out; i++, weights += width) {
        double middle = from + ((double)i + 0.5) * scale, sum = 0.0;
        int64_t first = (int64_t)floor(middle - filter + 0.5), last = (int64_t)floor(middle + filter + 0.5);
        first = first < 0 ? 0 : first >= size ? size - 1 : first;
        last = last > size ? size : last <= first ? first + 1 : last;
        if (last - first > width) last = first + width;
        for (int64_t k = first; k < last; k++) {
            double w = 1.0 - fabs(((double)k + 0.5 - middle) / filter);
            weights[k - first] = (float)(w > 0.0 ? w : 0.0);
            sum += (double)weights[k - first];
        }
        if (sum <= 0.0) weights[0] = 1.0f, sum = 1.0;
        for (int64_t k = first; k < last; k++) weights[k - first] = (float)((double)weights[k - first] / sum);
        taps[i] = (struct tap){first, last - first, weights};
    }
}

struct axis {
    struct tap *taps;
    float *weights;
};

static bool axis_open(struct axis *a, int64_t size, double from, double length, int64_t out)
{
    double scale = length / (double)out;
    int64_t width = (int64_t)ceil(scale > 1.0 ? scale : 1.0) * 2 + 2;
    a->taps = calloc((size_t)out, sizeof *a->taps);
    a->weights = calloc((size_t)(out * width), sizeof *a->weights);
    if (!a->taps || !a->weights) return false;
    make_taps(size, from, length, out, width, a->taps, a->weights);
    return true;
}

static void axis_close(struct axis *a)
{
    free(a->taps);
    free(a->weights);
}

/* Rows [first, last) of the image, filtered along x, to [rows, out_width, channels]. */
static void filter_rows(const struct rnc_pixels *m, const struct axis *ax, int64_t first, int64_t last,
                        int64_t out_width, float *to)
{
    int64_t ch = m->channels;
    for (int64_t y = first; y < last; y++)
        for (int64_t i = 0; i < out_width; i++)
            for (int64_t c = 0; c < ch; c++) {
                const struct tap *t = &ax->taps[i];
                const uint8_t *p = m->data + y * m->stride + t->first * ch + c;
                float sum = 0.0f;
                for (int64_t k = 0; k < t->count; k++) sum += t->weight[k] * (float)p[k * ch];
                *to++ = sum;
            }
}

static void filter_columns(const float *rows, int64_t first, const struct axis *ay, int64_t ch, int64_t out_height,
                           int64_t out_width, uint8_t *planes)
{
    for (int64_t c = 0; c < ch; c++)
        for (int64_t j = 0; j < out_height; j++) {
            const struct tap *t = &ay->taps[j];
            for (int64_t i = 0; i < out_width; i++) {
                const float *p = rows + ((t->first - first) * out_width + i) * ch + c;
                float sum = 0.5f;
                for (int64_t k = 0; k < t->count; k++) sum += t->weight[k] * p[k * out_width * ch];
                *planes++ = sum <= 0.0f ? 0 : sum >= 255.0f ? 255 : (uint8_t)sum;
            }
        }
}

static bool no_memory(struct rnc_status *s) { return rnc_fail(s, RNC_ENV, "no memory to resize an image"); }

bool rnc_pixels_resize(const struct rnc_pixels *image, struct rnc_window w, int64_t height, int64_t width,
                       uint8_t *planes, struct rnc_status *s)
{
    struct axis ax = {0}, ay = {0};
    float *rows = NULL;
    bool ok = axis_open(&ax, image->width, w.x, w.w, width) && axis_open(&ay, image->height, w.y, w.h, height);
    if (ok) {
        int64_t first = ay.taps[0].first, last = ay.taps[height - 1].first + ay.taps[height - 1].count;
        rows = malloc((size_t)((last - first) * width * image->channels) * sizeof *rows);
        if (rows) {
            filter_rows(image, &ax, first, last, width, rows);
            filter_columns(rows, first, &ay, image->channels, height, width, planes);
        }
    }
    ok = rows != NULL;
    axis_close(&ax);
    axis_close(&ay);
    free(rows);
    return ok || no_memory(s);
}

/* ---- from bytes to what the model takes */

void rnc_preprocess_table(const struct rnc_preprocess *p, struct rnc_preprocess_table *t)
{
    for (int64_t c = 0; c < p->channels; c++)
        for (int v = 0; v < 256; v++) {
            double x = p->black + (double)v * (p->white - p->black) / 255.0;
            t->value[c][v] = (float)((x - p->mean[c]) / p->std[c]);
        }
}

void rnc_preprocess_planes(const struct rnc_preprocess *p, const struct rnc_preprocess_table *t, const uint8_t *planes,
                           int64_t plane, float *out)
{
    for (int64_t c = 0; c < p->channels; c++, out += plane) {
        const float *table = t->value[c];
        const uint8_t *from = planes + (p->bgr ? p->channels - 1 - c : c) * plane;
        for (int64_t k = 0; k < plane; k++) out[k] = table[from[k]];
    }
}

/* Between one and three channels; rounded as Pillow rounds. */
static void convert(const struct rnc_pixels *m, int64_t channels, uint8_t *to)
{
    for (int64_t y = 0; y < m->height; y++)
        for (int64_t x = 0; x < m->width; x++, to += channels) {
            const uint8_t *p = m->data + y * m->stride + x * m->channels;
            if (channels == 3) memset(to, p[0], 3);
            else *to = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        }
}

void rnc_preprocess_bars(const struct rnc_geometry *g, const struct rnc_placement *at, const uint8_t *part,
                         int64_t channels, int64_t height, int64_t width, uint8_t *planes)
{
    memset(planes, (int)g->fill, (size_t)(channels * height * width));
    for (int64_t row = 0; row < channels * at->height; row++) {
        int64_t c = row / at->height, y = at->top + row % at->height;
        memcpy(planes + (c * height + y) * width + at->left, part + row * at->width, (size_t)at->width);
    }
}

static bool place(const struct rnc_preprocess *p, const struct rnc_pixels *image, int64_t height, int64_t width,
                  uint8_t *planes, uint8_t *part, struct rnc_status *s)
{
    struct rnc_placement at = rnc_preprocess_place(&p->geometry, image->height, image->width, height, width);
    if (!rnc_pixels_resize(image, at.window, at.height, at.width, part, s)) return false;
    rnc_preprocess_bars(&p->geometry, &at, part, p->channels, height, width, planes);
    return true;
}

static bool sound(const struct rnc_preprocess *p, const struct rnc_pixels *m, int64_t height, int64_t width)
{
    return m->width >= 1 && m->height >= 1 && m->width <= INT32_MAX && m->height <= INT32_MAX && height >= 1 &&
           width >= 1 && (m->channels == 1 || m->channels == 3) && m->stride >= m->width * m->channels &&
           (p->channels == 1 || p->channels == 3);
}

bool rnc_preprocess_pixels(const struct rnc_preprocess *p, const struct rnc_pixels *image, int64_t height,
                           int64_t width, float *out, struct rnc_status *s)
{
    size_t plane, area;
    if (!sound(p, image, height, width))
        return rnc_fail(s, RNC_USER, "pixels of 1 or 3 channels, at least 1 × 1 of them, were expected");
    if (__builtin_mul_overflow((size_t)height, (size_t)width, &plane) || plane > SIZE_MAX / 8 ||
        __builtin_mul_overflow((size_t)image->height, (size_t)image->width, &area) || area > SIZE_MAX / 8)
        return no_memory(s);
    bool same = image->channels == p->channels;
    uint8_t *own = same ? NULL : malloc(area * (size_t)p->channels), *planes = malloc(plane * 6);
    bool ok = ((same || own) && planes) || no_memory(s);
    struct rnc_pixels from = *image;
    if (ok && !same) {
        convert(image, p->channels, own);
        from = (struct rnc_pixels){own, image->width, image->height, image->width * p->channels, p->channels};
    }
    ok = ok && place(p, &from, height, width, planes, planes + plane * 3, s);
    if (ok) {
        struct rnc_preprocess_table t;
        rnc_preprocess_table(p, &t);
        rnc_preprocess_planes(p, &t, planes, (int64_t)plane, out);
    }
    free(own);
    free(planes);
    return ok;
}
