/* image.c: PNG by libpng's simplified interface, JPEG by libjpeg, both from memory. */
#include "runtime/io/image.h"

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

struct rnc_pixels rnc_image_pixels(const struct rnc_image *i)
{
    return (struct rnc_pixels){i->data, i->width, i->height, i->width * i->channels, i->channels};
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

static bool is_png(const unsigned char *file, size_t bytes)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    return bytes >= 8 && !memcmp(file, png, 8);
}

static bool is_jpeg(const unsigned char *file, size_t bytes)
{
    return bytes >= 3 && file[0] == 0xff && file[1] == 0xd8 && file[2] == 0xff;
}

bool rnc_image_read(const char *path, int64_t channels, struct rnc_image *image, struct rnc_status *s)
{
    unsigned char head[8];
    size_t bytes;
    bool packed;
    *image = (struct rnc_image){0};
    if (!rnc_file_head(path, head, sizeof head, &bytes, &packed, s)) return false;
    if (bytes && !is_png(head, bytes) && !is_jpeg(head, bytes))
        return rnc_fail(s, RNC_USER, "%s is neither a PNG nor a JPEG image", path);
    unsigned char *file = rnc_file_read(path, max_file, &bytes, s);
    if (!file) return false;
    bool ok;
    if (is_png(file, bytes)) ok = read_png(path, file, bytes, channels, image, s);
    else if (is_jpeg(file, bytes)) ok = read_jpeg(path, file, bytes, channels, image, s);
    else ok = rnc_fail(s, RNC_USER, "%s is neither a PNG nor a JPEG image", path);
    free(file);
    if (!ok) rnc_image_free(image);
    return ok;
}

/* ---- sizes */

static int64_t big_endian(const unsigned char *p, int bytes)
{
    int64_t x = 0;
    for (int k = 0; k < bytes; k++) x = x << 8 | p[k];
    return x;
}

/* JPEG: the frame header, SOF, is among the first segments. */
static bool jpeg_size(const unsigned char *file, size_t bytes, int64_t *width, int64_t *height)
{
    for (size_t at = 2; at + 9 < bytes && file[at] == 0xff;) {
        unsigned marker = file[at + 1];
        bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame) {
            *height = big_endian(file + at + 5, 2);
            *width = big_endian(file + at + 7, 2);
            return true;
        }
        at += marker == 0xff ? 1 : 2 + (size_t)big_endian(file + at + 2, 2);
    }
    return false;
}

bool rnc_image_size(const char *path, int64_t *width, int64_t *height)
{
    enum { HEAD = 1 << 16 };
    struct rnc_status ignored = {0};
    size_t bytes = 0;
    bool packed;
    unsigned char *head = malloc(HEAD);
    bool ok = head && rnc_file_head(path, head, HEAD, &bytes, &packed, &ignored);
    if (ok && is_png(head, bytes) && bytes >= 24) {
        *width = big_endian(head + 16, 4);
        *height = big_endian(head + 20, 4);
    } else ok = ok && is_jpeg(head, bytes) && jpeg_size(head, bytes, width, height);
    free(head);
    return ok;
}
