/* test_preprocess.c: what images go through: geometry, channels, scale, normalisation, and the text of it. */
#include "tests/support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/recipe/picture.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/preprocess.h"

static struct rnc_status s;

static void write_text(void *to, const char *text, size_t size) { strncat(to, text, size); }

static void round_trip(const char *text, int64_t channels)
{
    struct rnc_preprocess p;
    char again[512] = "";
    if (!rnc_preprocess_parse(text, channels, &p)) fail_msg("not read: %s", text);
    rnc_preprocess_print(&p, (struct rnc_sink){write_text, again});
    assert_string_equal(again, text);
}

static void texts(void **state)
{
    (void)state;
    round_trip("fit: crop, channels: grey, scale: 0..1, normalize: none", 1);
    round_trip("fit: {crop: {share: 0.875}}, channels: rgb, scale: -1..1, "
               "normalize: {mean: [0.1, -2, 3e-05], std: [0.2, 0.1234567890123, 1]}",
               3);
    round_trip("fit: {letterbox: {fill: 0}}, channels: bgr, scale: raw, normalize: {mean: [1, 2, 3], std: [1, 1, 1]}",
               3);
    round_trip("fit: letterbox, channels: planes, scale: 0..1, normalize: none", 4);
    round_trip("fit: resize, channels: planes, scale: 0..1, normalize: {mean: [0.5, 0.5], std: [1, 1]}", 2);
}

static void refused_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "fit: crop",
        "fit: crop, channels: rgb, scale: 0..1, normalize: none",      /* another number of channels */
        "fit: crop, channels: grey, scale: 0..1, normalize: measured", /* on what? */
        "fit: crop, channels: grey, scale: 0..1, normalize: imagenet", /* three channels */
        "fit: crop, channels: grey, scale: 0..1, normalize: none, ",   /* a comma too many */
        "fit: crop, channels: grey, scale: 0..1, normalize: none x",
        "fit: {crop: {share: nan}}, channels: grey, scale: 0..1, normalize: none",
        "fit: {crop: {share: 2}}, channels: grey, scale: 0..1, normalize: none",
        "fit: {letterbox: {fill: -1}}, channels: grey, scale: 0..1, normalize: none",
        "fit: {letterbox: {colour: 1}}, channels: grey, scale: 0..1, normalize: none",
        "fit: stretch, channels: grey, scale: 0..1, normalize: none",
        "fit: crop, channels: grey, scale: 0..2, normalize: none",
        "fit: crop, channels: grey, scale: 0..1, normalize: {mean: [0.5], std: [0]}",
        "fit: crop, channels: grey, scale: 0..1, normalize: {mean: [inf], std: [1]}",
        "fit: crop, channels: grey, scale: 0..1, normalize: {mean: [1, 2, 3, 4, 5], std: [1, 2, 3, 4, 5]}",
        "fit: crop, channels: grey, scale: 0..1, normalize: {mean: [0.5], std: [0.5",
        "fit: crop, channels: grey, scale: 0..1, normalize: {std: [0.5], mean: [0.5]}",
    };
    struct rnc_preprocess p;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (rnc_preprocess_parse(texts[k], 1, &p)) fail_msg("read: %s", texts[k]);
    assert_false(rnc_preprocess_parse("fit: crop, channels: planes, scale: 0..1, normalize: none", 5, &p));
}

static struct rnc_preprocess of(const char *text, int64_t channels)
{
    struct rnc_preprocess p;
    if (!rnc_preprocess_parse(text, channels, &p)) fail_msg("not read: %s", text);
    return p;
}

/* A program that has pixels and one that has a file get the same: picture.c's way and this one. */
static void as_the_loader(const char *text, int64_t height, int64_t width)
{
    enum { W = 13, H = 7, SIDE = 12 };
    const struct rnc_preprocess p = of(text, 3);
    struct rnc_picture q = {
        .channels = 3, .height = H, .width = W, .input_height = height, .input_width = width, .geometry = p.geometry};
    q.decoded = (struct rnc_image){W, H, 3, malloc((size_t)W * H * 3)};
    uint8_t padded[H][W * 3 + 5]; /* rows that lie apart */
    for (int k = 0; k < W * H * 3; k++) q.decoded.data[k] = (uint8_t)(k * 37 % 251);
    for (int y = 0; y < H; y++) memcpy(padded[y], q.decoded.data + y * W * 3, W * 3);
    float a[3 * SIDE * SIDE], b[3 * SIDE * SIDE];
    const struct rnc_pixels pixels = {padded[0], W, H, sizeof padded[0], 3};
    assert_true(rnc_preprocess_pixels(&p, &pixels, height, width, a, &s));
    struct rnc_preprocess_table t;
    rnc_preprocess_table(&p, &t);
    assert_true(rnc_picture_fit(&q, &s) && q.height == height && q.width == width);
    rnc_preprocess_planes(&p, &t, q.planes, height * width, b);
    assert_memory_equal(a, b, (size_t)(3 * height * width) * sizeof *a);
    rnc_picture_free(&q);
}

static void loader_and_pixels(void **state)
{
    (void)state;
    static const char rest[] = "channels: bgr, scale: -1..1, normalize: {mean: [0.1, 0.2, 0.3], std: [1, 2, 3]}";
    static const char *const fits[] = {"crop", "{crop: {share: 0.6}}", "resize", "letterbox"};
    for (size_t k = 0; k < sizeof fits / sizeof *fits; k++) {
        char text[200];
        snprintf(text, sizeof text, "fit: %s, %s", fits[k], rest);
        as_the_loader(text, 12, 5);
        as_the_loader(text, 4, 12);
        as_the_loader(text, 7, 12);
    }
}

/* Two pixels beside each other in a square: bars above and below, of the mask too. */
static void bars(void **state)
{
    (void)state;
    const struct rnc_preprocess p = of("fit: {letterbox: {fill: 7}}, channels: grey, scale: raw, normalize: none", 1);
    const uint8_t two[] = {100, 200};
    float out[4];
    const struct rnc_pixels pixels = {two, 2, 1, 2, 1};
    struct rnc_preprocess q = p;
    assert_true(rnc_preprocess_pixels(&p, &pixels, 2, 2, out, &s));
    assert_true(out[0] == 100 && out[1] == 200 && out[2] == 7 && out[3] == 7);
    q.geometry.fit = RNC_FIT_CROP;
    q.geometry.share = 1;
    assert_true(rnc_preprocess_pixels(&q, &pixels, 1, 1, out, &s) && out[0] >= 100);
    struct rnc_picture m = {.channels = 1,
                            .height = 1,
                            .width = 2,
                            .input_height = 4,
                            .input_width = 4,
                            .geometry = p.geometry,
                            .outside = 255,
                            .planes = two};
    assert_true(rnc_picture_mask(&m, (const uint8_t[]){3, 4}, false, &s) && rnc_picture_fit(&m, &s));
    static const int32_t mask[16] = {255, 255, 255, 255, 3, 3, 4, 4, 3, 3, 4, 4, 255, 255, 255, 255};
    assert_memory_equal(m.mask, mask, sizeof mask);
    assert_true(m.planes[0] == 7 && m.planes[4] == 100 && m.planes[11] == 200 && m.planes[15] == 7);
    rnc_picture_free(&m);
}

static void channels(void **state)
{
    (void)state;
    static const uint8_t green[] = {0, 240, 0};
    float out[3];
    const struct rnc_pixels rgb = {green, 1, 1, 3, 3}, grey = {green + 1, 1, 1, 1, 1};
    struct rnc_preprocess p = of("fit: resize, channels: grey, scale: raw, normalize: none", 1);
    assert_true(rnc_preprocess_pixels(&p, &rgb, 1, 1, out, &s) && out[0] == 141); /* Pillow's L, libjpeg's Y */
    p = of("fit: resize, channels: rgb, scale: raw, normalize: none", 3);
    assert_true(rnc_preprocess_pixels(&p, &grey, 1, 1, out, &s) && out[0] == 240 && out[2] == 240);
    static const uint8_t red[] = {255, 0, 51};
    const struct rnc_pixels first = {red, 1, 1, 3, 3};
    p = of("fit: resize, channels: bgr, scale: 0..1, normalize: {mean: [0.2, 0, 0.5], std: [1, 1, 0.5]}", 3);
    assert_true(rnc_preprocess_pixels(&p, &first, 1, 1, out, &s) && out[0] == 0 && out[1] == 0 && out[2] == 1);
    const struct rnc_pixels none = {red, 0, 1, 3, 3}, two = {red, 1, 1, 2, 2};
    expect_failure(&s, rnc_preprocess_pixels(&p, &none, 1, 1, out, &s), RNC_USER, "at least 1 × 1");
    expect_failure(&s, rnc_preprocess_pixels(&p, &two, 1, 1, out, &s), RNC_USER, "1 or 3 channels");
}

/* Names are of pixels from 0 to 1 with red first, whatever the scale and the order. */
static void names(void **state)
{
    (void)state;
    struct rnc_image_rules r = {.channels = {rnc_kind_find(&rnc_colours, "bgr"), NULL},
                                .scale = {rnc_kind_find(&rnc_scales, "raw"), NULL},
                                .normalize = *rnc_normalize_named("imagenet")};
    const struct rnc_preprocess p = rnc_preprocess_of(&r, 3, (struct rnc_geometry){.fit = RNC_FIT_RESIZE}, NULL, NULL);
    assert_true(p.mean[0] == 103.53 && p.mean[2] == 123.675 && p.std[0] == 57.375);
}

static void numbers(void **state)
{
    (void)state;
    struct rnc_normalize n;
    assert_true(rnc_normalize_numbers("0.5,-0.25/0.2,1e-1", &n, &s) && n.n == 2 && n.mean[1] == -0.25 &&
                n.std[1] == 0.1);
    static const char *const bad[] = {"",       "0.5",     "0.5/",      "/0.5",          "0.5/0", "0.5/-1",
                                      "0.5,/1", "0.5/1,2", "1,2/1,2/3", "1,2,3,4,5/1,2", "nan/1", "0.5/1x"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct rnc_status failure = {0};
        if (rnc_normalize_numbers(bad[k], &n, &failure) || failure.code != RNC_USER) fail_msg("read: %s", bad[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),   cmocka_unit_test(refused_texts), cmocka_unit_test(loader_and_pixels),
        cmocka_unit_test(bars),    cmocka_unit_test(channels),      cmocka_unit_test(names),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
