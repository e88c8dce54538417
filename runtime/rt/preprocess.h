/* preprocess.h: what an image goes through before a model sees it: the same in training, evaluation and prediction, and
   in a program that links a compiled model. Nothing here knows files: pixels are bytes in memory. Pure functions, so
   any thread may call them. */
#ifndef RNC_RUNTIME_RT_PREPROCESS_H
#define RNC_RUNTIME_RT_PREPROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a picture gets the size that the model takes. */
enum rnc_fit {
    RNC_FIT_RESIZE,    /* the whole picture, its proportions changed */
    RNC_FIT_CROP,      /* the centre, its proportions kept */
    RNC_FIT_LETTERBOX, /* the whole picture, its proportions kept, bars beside it */
};
struct rnc_geometry {
    enum rnc_fit fit;
    double share; /* crop: how much of the sides of the largest central window of the model's proportions, (0, 1] */
    int64_t fill; /* letterbox: the value of the bars, 0 … 255 */
};

enum { RNC_PREPROCESS_CHANNELS = 4 /* at most */ };
struct rnc_preprocess {
    struct rnc_geometry geometry;
    int64_t channels;    /* that the model takes: 1 grey, 3 colours, others as they come */
    bool bgr;            /* three channels: blue first */
    double black, white; /* what the bytes 0 and 255 stand for: 0 and 1, −1 and 1, 0 and 255 */
    double mean[RNC_PREPROCESS_CHANNELS], std[RNC_PREPROCESS_CHANNELS]; /* of those values, in the model's order of
                                                                           channels: (x − mean) / std */
};

/* 8-bit pixels, their channels side by side: grey, or red, green, blue. */
struct rnc_pixels {
    const uint8_t *data;
    int64_t width, height, stride; /* bytes from one row to the next: at least width · channels */
    int64_t channels;              /* 1, or 3; resizing takes any number */
};

/* [channels, HEIGHT, WIDTH] of floats into OUT, as the model wants them. Grey becomes three equal channels, colours
   become grey as JPEG and PNG decoders do it (0.299 R + 0.587 G + 0.114 B). Memory is allocated and freed again. Fails
   where the pixels are none, or memory is out. */
bool rnc_preprocess_pixels(const struct rnc_preprocess *p, const struct rnc_pixels *image, int64_t height,
                           int64_t width, float *out, struct rnc_status *s);

/* ---- the steps of it */

/* A part of a picture, in its pixels; fractions are fine. */
struct rnc_window {
    double x, y, w, h;
};
/* What is seen of a picture, and the rectangle of the result that it fills; outside are the bars. */
struct rnc_placement {
    struct rnc_window window;
    int64_t top, left, height, width;
};
/* Of a picture of HEIGHT × WIDTH, for a model that takes TO_HEIGHT × TO_WIDTH; all at least 1. */
struct rnc_placement rnc_preprocess_place(const struct rnc_geometry *g, int64_t height, int64_t width,
                                          int64_t to_height, int64_t to_width);
/* Resizes the window W to planes [channels, HEIGHT, WIDTH] of bytes, with a triangle filter whose width grows with the
   reduction (as Pillow's and torchvision's antialiased bilinear). */
bool rnc_pixels_resize(const struct rnc_pixels *image, struct rnc_window w, int64_t height, int64_t width,
                       uint8_t *planes, struct rnc_status *s);
/* PART, planes [CHANNELS, at.height, at.width], between bars: PLANES [CHANNELS, HEIGHT, WIDTH]. */
void rnc_preprocess_bars(const struct rnc_geometry *g, const struct rnc_placement *at, const uint8_t *part,
                         int64_t channels, int64_t height, int64_t width, uint8_t *planes);
/* What each byte becomes, by the model's channel. */
struct rnc_preprocess_table {
    float value[RNC_PREPROCESS_CHANNELS][256];
};
void rnc_preprocess_table(const struct rnc_preprocess *p, struct rnc_preprocess_table *t);
/* Planes [channels, PLANE] of bytes to what the model takes. T: of P. */
void rnc_preprocess_planes(const struct rnc_preprocess *p, const struct rnc_preprocess_table *t, const uint8_t *planes,
                           int64_t plane, float *out);

#ifdef __cplusplus
}
#endif

#endif
