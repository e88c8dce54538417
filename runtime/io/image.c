/* image.c: PNG by libpng's simplified interface, JPEG by libjpeg, both from memory; resizing by a separable triangle
   filter. */
#include "runtime/io/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which needs FILE */
#include <jpeglib.h>
#include <jerror.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"

enum { MAX_SIDE = 1 << 16 };
static const size_t max_file = (size_t)1 << 30, max_pixels = (size_t)1 << 28;

void rnc_image_free(struct rnc_image *image)
{
    free(image->data);
    image->data = NULL;
}

static bool image_allocate(const char *path, struct rnc_image *image, struct rnc_status *s)
{
    if (image->width < 1 || image->height < 1 || image->width > MAX_SIDE || image->height > MAX_SIDE ||
        (size_t)image->width * (size_t)image->height > max_pixels)
        return rnc_fail(s, RNC_USER, "%s: an image of %lld × %lld pixels is too large", path, (long long)image->width,
                        (long long)image->height);
    image->data = malloc((size_t)(image->width * image->height * image->channels));
    return image->data || rnc_fail(s, RNC_ENV, "no memory for image %s", path);
}

static bool read_png(const char *path, const void *file, size_t bytes, int64_t channels, struct rnc_image *image,
                     struct rnc_status *s)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&png, file, bytes))
        return rnc_fail(s, RNC_USER, "%s is not a sound PNG image: %s", path, png.message);
    if (channels == 0) channels = png.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
    png.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    *image = (struct rnc_image){.width = png.width, .height = png.height, .channels = channels};
    const png_color white = {255, 255, 255};
    bool ok = image_allocate(path, image, s);
    if (ok && !png_image_finish_read(&png, &white, image->data, 0, NULL))
        ok = rnc_fail(s, RNC_USER, "%s is not a sound PNG image: %s", path, png.message);
    png_image_free(&png);
    return ok;
}

/* ---- JPEG */

struct jpeg_errors {
    struct jpeg_error_mgr mgr;
    jmp_buf jump;
    bool damaged;
    char text[JMSG_LENGTH_MAX];
};

static void jpeg_fatal(j_common_ptr c)
{
    struct jpeg_errors *e = (struct jpeg_errors *)c->err;
    c->err->format_message(c, e->text);
    longjmp(e->jump, 1);
}

/* libjpeg goes on with grey pixels where data are missing; that is no image anybody wants to train on. */
static void jpeg_message(j_common_ptr c, int level)
{
    struct jpeg_errors *e = (struct jpeg_errors *)c->err;
    if (level >= 0) return;
    int code = c->err->msg_code;
    if (code != JWRN_JPEG_EOF && code != JWRN_HIT_MARKER && code != JWRN_MUST_RESYNC && code != JWRN_HUFF_BAD_CODE)
        return;
    if (!e->damaged) c->err->format_message(c, e->text);
    e->damaged = true;
}

/* Adobe writes CMYK inverted, and everybody follows: 255 is no ink. */
static void cmyk_row(const uint8_t *from, int64_t width, int64_t channels, uint8_t *to)
{
    for (int64_t x = 0; x < width; x++, from += 4, to += channels) {
        unsigned rgb[3];
        for (int c = 0; c < 3; c++) rgb[c] = (unsigned)from[c] * from[3] / 255;
        if (channels == 3)
            for (int c = 0; c < 3; c++) to[c] = (uint8_t)rgb[c];
        else to[0] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
}

static void jpeg_rows(struct jpeg_decompress_struct *j, struct rnc_image *image, JSAMPARRAY line)
{
    while (j->output_scanline < j->output_height) {
        uint8_t *to = image->data + (size_t)j->output_scanline * (size_t)(image->width * image->channels);
        if (line) {
            jpeg_read_scanlines(j, line, 1);
            cmyk_row(line[0], image->width, image->channels, to);
        } else jpeg_read_scanlines(j, &to, 1);
    }
}

static bool decode_jpeg(struct jpeg_decompress_struct *j, const char *path, int64_t channels, struct rnc_image *image,
                        struct rnc_status *s)
{
    jpeg_read_header(j, TRUE);
    bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    if (channels == 0) channels = j->num_components == 1 ? 1 : 3;
    j->out_color_space = cmyk ? JCS_CMYK : channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    *image = (struct rnc_image){.width = j->image_width, .height = j->image_height, .channels = channels};
    if (!image_allocate(path, image, s)) return false;
    jpeg_start_decompress(j);
    JSAMPARRAY line = cmyk ? j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, j->output_width * 4, 1) : NULL;
    jpeg_rows(j, image, line);
    jpeg_finish_decompress(j);
    return true;
}

static bool read_jpeg(const char *path, const void *file, size_t bytes, int64_t channels, struct rnc_image *image,
                      struct rnc_status *s)
{
    struct jpeg_decompress_struct j = {0};
    struct jpeg_errors e = {.damaged = false};
    volatile bool ok = false;
    j.err = jpeg_std_error(&e.mgr);
    e.mgr.error_exit = jpeg_fatal;
    e.mgr.emit_message = jpeg_message;
    if (setjmp(e.jump) == 0) {
        jpeg_create_decompress(&j);
        jpeg_mem_src(&j, file, (unsigned long)bytes);
        ok = decode_jpeg(&j, path, channels, image, s);
    } else e.damaged = true;
    jpeg_destroy_decompress(&j);
    if (e.damaged) return rnc_fail(s, RNC_USER, "%s is not a sound JPEG image: %s", path, e.text);
    return ok;
}

bool rnc_image_read(const char *path, int64_t channels, struct rnc_image *image, struct rnc_status *s)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    size_t bytes;
    *image = (struct rnc_image){0};
    unsigned char *file = rnc_file_read(path, max_file, &bytes, s);
    if (!file) return false;
    bool ok;
    if (bytes >= 8 && !memcmp(file, png, 8)) ok = read_png(path, file, bytes, channels, image, s);
    else if (bytes >= 3 && file[0] == 0xff && file[1] == 0xd8 && file[2] == 0xff)
        ok = read_jpeg(path, file, bytes, channels, image, s);
    else ok = rnc_fail(s, RNC_USER, "%s is neither a PNG nor a JPEG image", path);
    free(file);
    if (!ok) rnc_image_free(image);
    return ok;
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
        double centre = from + ((double)i + 0.5) * scale, sum = 0.0;
        int64_t first = (int64_t)floor(centre - filter + 0.5), last = (int64_t)floor(centre + filter + 0.5);
        first = first < 0 ? 0 : first >= size ? size - 1 : first;
        last = last > size ? size : last <= first ? first + 1 : last;
        if (last - first > width) last = first + width;
        for (int64_t k = first; k < last; k++) {
            double w = 1.0 - fabs(((double)k + 0.5 - centre) / filter);
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
static void filter_rows(const struct rnc_image *m, const struct axis *ax, int64_t first, int64_t last,
                        int64_t out_width, float *to)
{
    int64_t ch = m->channels;
    for (int64_t y = first; y < last; y++)
        for (int64_t i = 0; i < out_width; i++)
            for (int64_t c = 0; c < ch; c++) {
                const struct tap *t = &ax->taps[i];
                const uint8_t *p = m->data + (y * m->width + t->first) * ch + c;
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

bool rnc_image_resize(const struct rnc_image *image, double x, double y, double w, double h, int64_t out_height,
                      int64_t out_width, uint8_t *planes, struct rnc_status *s)
{
    struct axis ax = {0}, ay = {0};
    float *rows = NULL;
    bool ok = axis_open(&ax, image->width, x, w, out_width) && axis_open(&ay, image->height, y, h, out_height);
    if (ok) {
        int64_t first = ay.taps[0].first, last = ay.taps[out_height - 1].first + ay.taps[out_height - 1].count;
        rows = malloc((size_t)((last - first) * out_width * image->channels) * sizeof *rows);
        if (rows) {
            filter_rows(image, &ax, first, last, out_width, rows);
            filter_columns(rows, first, &ay, image->channels, out_height, out_width, planes);
        }
    }
    ok = rows != NULL;
    axis_close(&ax);
    axis_close(&ay);
    free(rows);
    return ok || rnc_fail(s, RNC_ENV, "no memory to resize an image");
}
