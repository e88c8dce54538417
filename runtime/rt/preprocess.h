/* preprocess.h: how an image is preprocessed before a model sees it. Training, evaluation, prediction and programs that
   link a compiled model all use it. It reads no files: pixels are bytes in memory. Pure functions, thread-safe. */
#ifndef RNC_RUNTIME_RT_PREPROCESS_H
#define RNC_RUNTIME_RT_PREPROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an image is brought to the model's input size. */
enum rnc_fit {
    RNC_FIT_RESIZE,    /* the whole image; its aspect ratio changes */
    RNC_FIT_CROP,      /* the centre; the aspect ratio is kept */
    RNC_FIT_LETTERBOX, /* the whole image; the aspect ratio is kept, bars fill the rest of the input */
};
struct rnc_geometry {
    enum rnc_fit fit;
    double share; /* crop: share of the sides of the largest central window with the model's aspect ratio, (0, 1] */
    int64_t fill; /* letterbox: the value of the bars, 0 … 255 */
};

enum { RNC_PREPROCESS_CHANNELS = 4 /* at most */ };
struct rnc_preprocess {
    struct rnc_geometry geometry;
    int64_t channels;    /* of the model's input: 1 grey, 3 colours; others are passed as they are */
    bool bgr;            /* three channels: blue comes first */
    double black, white; /* the values of bytes 0 and 255: 0 and 1, −1 and 1, or 0 and 255 */
    /* (x − mean) / std of these values, in the model's order of channels */
    double mean[RNC_PREPROCESS_CHANNELS], std[RNC_PREPROCESS_CHANNELS];
};

/* 8-bit pixels with interleaved channels: grey, or red, green, blue. */
struct rnc_pixels {
    const uint8_t *data;
    int64_t width, height, stride; /* bytes from one row to the next: at least width · channels */
    int64_t channels;              /* 1, or 3; resizing takes any number */
};

/* Writes the preprocessed image to OUT: floats [channels, HEIGHT, WIDTH]. Grey becomes three equal channels. Colours
   become grey by 0.299 R + 0.587 G + 0.114 B, as in JPEG and PNG decoders. Temporary memory is freed before it returns.
   Fails if the image is empty or memory is short. */
bool rnc_preprocess_pixels(const struct rnc_preprocess *p, const struct rnc_pixels *image, int64_t height,
                           int64_t width, float *out, struct rnc_status *s);

/* ---- the single steps */

/* A window of an image, in pixels; fractions are allowed. */
struct rnc_window {
    double x, y, w, h;
};
/* The window of the image that is used, and the rectangle of the result that it fills. Bars fill what is outside the
   rectangle. */
struct rnc_placement {
    struct rnc_window window;
    int64_t top, left, height, width;
};
/* The placement of an image of HEIGHT × WIDTH in an input of TO_HEIGHT × TO_WIDTH; all at least 1. */
struct rnc_placement rnc_preprocess_place(const struct rnc_geometry *g, int64_t height, int64_t width,
                                          int64_t to_height, int64_t to_width);
/* Resizes the window W to planes [channels, HEIGHT, WIDTH] of bytes. The filter is a triangle whose width grows with
   the reduction, as in Pillow's and torchvision's antialiased bilinear resize. */
bool rnc_pixels_resize(const struct rnc_pixels *image, struct rnc_window w, int64_t height, int64_t width,
                       uint8_t *planes, struct rnc_status *s);
/* Copies PART, planes [CHANNELS, at.height, at.width], into PLANES [CHANNELS, HEIGHT, WIDTH] and fills the bars. */
void rnc_preprocess_bars(const struct rnc_geometry *g, const struct rnc_placement *at, const uint8_t *part,
                         int64_t channels, int64_t height, int64_t width, uint8_t *planes);
/* The value of each byte, by the model's channel. */
struct rnc_preprocess_table {
    float value[RNC_PREPROCESS_CHANNELS][256];
};
void rnc_preprocess_table(const struct rnc_preprocess *p, struct rnc_preprocess_table *t);
/* Converts planes [channels, PLANE] of bytes to the model's floats by the table T of P. */
void rnc_preprocess_planes(const struct rnc_preprocess *p, const struct rnc_preprocess_table *t, const uint8_t *planes,
                           int64_t plane, float *out);

#ifdef __cplusplus
}
#endif

#endif
