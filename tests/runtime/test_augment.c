/* test_augment.c: what augmentations do to pixels and masks, in which order, and from which random numbers. */
#include "tests/support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/recipe/augment.h"
#include "tests/support/choice.h"

enum { C = 2, H = 6, W = 6, SEED = 5, OUTSIDE = 99 };
static struct rnc_status s;
static uint8_t pixels[C * H * W];
static uint8_t labels[H * W];

/* Every pixel is another one; the mask is the first plane. */
static int set_up(void **state)
{
    (void)state;
    for (int k = 0; k < C * H * W; k++) pixels[k] = (uint8_t)(k + 1);
    memcpy(labels, pixels, sizeof labels);
    return 0;
}

static struct rnc_picture picture(void)
{
    struct rnc_picture p = {.channels = C,
                            .height = H,
                            .width = W,
                            .input_height = H,
                            .input_width = W,
                            .geometry = {.fit = RNC_FIT_CROP, .share = 1},
                            .planes = pixels,
                            .outside = OUTSIDE};
    assert_true(rnc_picture_mask(&p, labels, false, &s));
    return p;
}

static struct rnc_choice flip(void) { return choice_of(&rnc_augmentations, "flip", "vertical=1"); }
static struct rnc_choice crop(void) { return choice_of(&rnc_augmentations, "crop", "pad=2"); }

/* Philox with the key and the counters that every run since the first one has had: streams 1 to 3 are the window's, the
   shift's and the flip's; repeats of a kind stand above the epoch. */
static struct rnc_philox numbers(int64_t epoch, int64_t sample, int stream, int repeat)
{
    return rnc_philox(SEED, (uint64_t)sample, ((uint64_t)epoch * 64 + (uint64_t)stream) | (uint64_t)repeat << 48);
}

/* Where in the picture the pixel (y, x) of the result comes from, moving back through one augmentation. */
static void back_flip(int64_t epoch, int64_t sample, int repeat, int64_t *y, int64_t *x)
{
    struct rnc_philox r = numbers(epoch, sample, 3, repeat);
    if (r.word[0] & 1) *x = W - 1 - *x;
    if (r.word[1] & 1) *y = H - 1 - *y;
}

static void back_crop(int64_t epoch, int64_t sample, int repeat, int64_t *y, int64_t *x)
{
    struct rnc_philox r = numbers(epoch, sample, 2, repeat);
    if (*y == -100) return;
    *x += (int64_t)((uint64_t)r.word[0] * 5 >> 32) - 2;
    *y += (int64_t)((uint64_t)r.word[1] * 5 >> 32) - 2;
    if (*y < 0 || *y >= H || *x < 0 || *x >= W) *y = -100;
}

typedef void back(int64_t epoch, int64_t sample, int64_t *y, int64_t *x);

static void compare(const struct rnc_choice *list, int n, back *origin)
{
    int moved = 0;
    struct rnc_picture p = picture();
    for (int64_t sample = 0; sample < 20; sample++) {
        rnc_picture_free(&p);
        p = picture();
        int64_t epoch = sample % 3;
        assert_true(rnc_augment(list, n, SEED, epoch, sample, &p, &s));
        for (int64_t k = 0; k < H * W; k++) {
            int64_t y = k / W, x = k % W;
            origin(epoch, sample, &y, &x);
            bool inside = y >= 0;
            moved += inside && (y != k / W || x != k % W);
            for (int64_t c = 0; c < C; c++)
                assert_int_equal(p.planes[c * H * W + k], inside ? pixels[c * H * W + y * W + x] : 0);
            assert_int_equal(p.mask[k], inside ? labels[y * W + x] : OUTSIDE);
        }
    }
    rnc_picture_free(&p);
    assert_true(moved > 100);
}

static void crop_flip(int64_t epoch, int64_t sample, int64_t *y, int64_t *x)
{
    back_flip(epoch, sample, 0, y, x);
    back_crop(epoch, sample, 0, y, x);
}

static void flip_crop(int64_t epoch, int64_t sample, int64_t *y, int64_t *x)
{
    back_crop(epoch, sample, 0, y, x);
    if (*y >= 0) back_flip(epoch, sample, 0, y, x);
}

static void crop_crop(int64_t epoch, int64_t sample, int64_t *y, int64_t *x)
{
    back_crop(epoch, sample, 1, y, x);
    back_crop(epoch, sample, 0, y, x);
}

static void in_their_order(void **state)
{
    (void)state;
    compare((struct rnc_choice[]){crop(), flip()}, 2, crop_flip);
    compare((struct rnc_choice[]){flip(), crop()}, 2, flip_crop);
}

static void repeats_draw_anew(void **state)
{
    (void)state;
    compare((struct rnc_choice[]){crop(), crop()}, 2, crop_crop);
}

static void streams_differ(void **state)
{
    (void)state;
    bool taken[RNC_STREAMS] = {true}; /* 0: the order of samples */
    const struct rnc_augmentation *rows = rnc_augmentations.rows;
    for (int k = 0; k < rnc_augmentations.n; k++) {
        assert_in_range(rows[k].stream, 1, RNC_STREAMS - 1);
        assert_false(taken[rows[k].stream]);
        taken[rows[k].stream] = true;
    }
}

/* A random part has the size that was asked for, from the picture as it was read. */
static void resized_crops(void **state)
{
    (void)state;
    struct rnc_choice list[] = {flip(), choice_of(&rnc_augmentations, "random_resized_crop", "size=4")};
    struct rnc_picture p = picture();
    p.input_height = p.input_width = 4;
    assert_true(rnc_augment_resizes(list, 2) && !rnc_augment_resizes(list, 1));
    assert_true(rnc_augment(list, 2, SEED, 0, 0, &p, &s));
    assert_true(p.height == 4 && p.width == 4);
    for (int k = 0; k < 16; k++) assert_in_range(p.mask[k], 1, H * W);
    rnc_picture_free(&p);
    const struct rnc_row *row = list[1].row;
    assert_true(row->check(list[1].settings, 4, 4, &s) && row->check(list[1].settings, 0, 0, &s));
    expect_failure(&s, row->check(list[1].settings, 8, 8, &s), RNC_USER,
                   "gives images of 4 × 4, the model takes 8 × 8: set size to 8");
    expect_failure(&s, row->check(list[1].settings, 4, 6, &s), RNC_USER, "4 × 4, the model takes 4 × 6: leave size");
    list[1] = choice_of(&rnc_augmentations, "random_resized_crop", "");
    assert_true(row->check(list[1].settings, 4, 6, &s));
}

/* Other proportions than the model's: without a size of their own, augmentations see the input's size from the start.
 */
static void fits_first(void **state)
{
    (void)state;
    struct rnc_choice list[] = {crop()};
    struct rnc_picture p = picture(), q = picture();
    p.input_width = q.input_width = 3;
    assert_true(rnc_picture_fit(&q, &s) && rnc_augment(list, 1, SEED, 0, 0, &p, &s));
    assert_true(p.height == H && p.width == 3);
    struct rnc_philox r = numbers(0, 0, 2, 0);
    int64_t dx = (int64_t)((uint64_t)r.word[0] * 5 >> 32) - 2, dy = (int64_t)((uint64_t)r.word[1] * 5 >> 32) - 2;
    for (int64_t k = 0; k < H * 3; k++) {
        int64_t y = k / 3 + dy, x = k % 3 + dx;
        bool inside = y >= 0 && y < H && x >= 0 && x < 3;
        assert_int_equal(p.planes[k], inside ? q.planes[y * 3 + x] : 0);
        assert_int_equal(p.mask[k], inside ? q.mask[y * 3 + x] : OUTSIDE);
    }
    rnc_picture_free(&p);
    rnc_picture_free(&q);
}

/* One factor for all pixels; what is too bright is white; the mask and the data set stay. */
static void brightness(void **state)
{
    (void)state;
    struct rnc_choice list[] = {choice_of(&rnc_augmentations, "brightness", "range=0,8")};
    int white = 0;
    for (int64_t sample = 0; sample < 10; sample++) {
        struct rnc_picture p = picture();
        assert_true(rnc_augment(list, 1, SEED, 2, sample, &p, &s));
        double factor = 8 * rnc_unit(numbers(2, sample, 4, 0).word[0]);
        for (int k = 0; k < C * H * W; k++) {
            double want = fmin(floor((k + 1) * factor + 0.5), 255);
            assert_int_equal(p.planes[k], (int)want);
            assert_int_equal(pixels[k], k + 1);
            white += want == 255;
        }
        for (int k = 0; k < H * W; k++) assert_int_equal(p.mask[k], labels[k]);
        rnc_picture_free(&p);
    }
    assert_in_range(white, 10, 10 * C * H * W - 10);
}

static void write_text(void *to, const char *text, size_t size) { strncat(to, text, size); }

static void prints(void **state)
{
    (void)state;
    char text[256] = "";
    struct rnc_choice c = flip();
    rnc_choice_print(&c, (struct rnc_sink){write_text, text});
    assert_string_equal(text, "flip: {horizontal: true, vertical: true}");
    text[0] = 0;
    c = choice_of(&rnc_augmentations, "random_resized_crop", "");
    rnc_choice_print(&c, (struct rnc_sink){write_text, text});
    assert_string_equal(text, "random_resized_crop: {size: 0, scale: [0.08, 1]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_their_order), cmocka_unit_test(repeats_draw_anew), cmocka_unit_test(streams_differ),
        cmocka_unit_test(resized_crops),  cmocka_unit_test(fits_first),        cmocka_unit_test(brightness),
        cmocka_unit_test(prints),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
