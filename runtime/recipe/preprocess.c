/* preprocess.c: the words for what images go through, and their text. To add a scale or an order of channels: a row. */
#include "runtime/recipe/preprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/recipe/normalize.h"

/* ---- the rows */

static const struct rnc_field crop_fields[] = {
    RNC_FIELD(rnc_geometry, share, NUMBER, 0.01, 1, "of the sides of the largest central window"),
};
static const struct rnc_field letterbox_fields[] = {
    RNC_FIELD(rnc_geometry, fill, INT, 0, 255, "the value of the bars, before normalisation"),
};
static const struct rnc_row fits[] = {
    [RNC_FIT_RESIZE] = {.name = "resize",
                        .help = "the whole picture, its proportions changed",
                        .size = sizeof(struct rnc_geometry),
                        .defaults = &(const struct rnc_geometry){.fit = RNC_FIT_RESIZE}},
    [RNC_FIT_CROP] = {.name = "crop",
                      .help = "the centre of the picture, its proportions kept",
                      RNC_FIELDS(crop_fields),
                      .size = sizeof(struct rnc_geometry),
                      .defaults = &(const struct rnc_geometry){.fit = RNC_FIT_CROP, .share = 1}},
    [RNC_FIT_LETTERBOX] = {.name = "letterbox",
                           .help = "the whole picture, its proportions kept, between bars",
                           RNC_FIELDS(letterbox_fields),
                           .size = sizeof(struct rnc_geometry),
                           .defaults = &(const struct rnc_geometry){.fit = RNC_FIT_LETTERBOX, .fill = 114}},
};
const struct rnc_kind rnc_fits = {.name = "fit", RNC_ROWS(fits)};

static const struct colour {
    struct rnc_row row;
    int64_t channels; /* 0: any other number */
    bool bgr;
} colours[] = {
    {{.name = "rgb", .help = "red, green, blue"}, 3, false},
    {{.name = "bgr", .help = "blue, green, red, as OpenCV and Caffe have them"}, 3, true},
    {{.name = "grey", .help = "one channel"}, 1, false},
    {{.name = "planes", .help = "as the file has them"}, 0, false},
};
const struct rnc_kind rnc_colours = {.name = "channels", RNC_ROWS(colours)};

static const struct scale {
    struct rnc_row row;
    double black, white;
} scales[] = {
    {{.name = "0..1", .help = "black is 0, white is 1"}, 0, 1},
    {{.name = "-1..1", .help = "black is -1, white is 1"}, -1, 1},
    {{.name = "raw", .help = "bytes as numbers, 0 to 255"}, 0, 255},
};
const struct rnc_kind rnc_scales = {.name = "scale", RNC_ROWS(scales)};

const struct rnc_field rnc_image_fields[] = {
    {.name = "fit",
     .type = RNC_FIELD_CHOICE,
     .offset = offsetof(struct rnc_image_rules, fit),
     .kind = &rnc_fits,
     .help = "how a picture gets the input's size"},
    {.name = "channels",
     .type = RNC_FIELD_CHOICE,
     .offset = offsetof(struct rnc_image_rules, channels),
     .kind = &rnc_colours,
     .help = "the order of the channels"},
    {.name = "scale",
     .type = RNC_FIELD_CHOICE,
     .offset = offsetof(struct rnc_image_rules, scale),
     .kind = &rnc_scales,
     .help = "what a byte stands for"},
    RNC_FIELD(rnc_image_rules, normalize, NORMALIZE, 0, 0,
              "mean and standard deviation of each channel, or a name; (x - mean) / std"),
};
const int rnc_image_nfields = (int)(sizeof rnc_image_fields / sizeof *rnc_image_fields);

static const struct colour *colour_row(const struct rnc_row *row) { return (const struct colour *)(const void *)row; }

/* ---- from rules to what is done */

static bool suits(const struct colour *c, int64_t channels)
{
    return c->channels ? c->channels == channels : channels != 1 && channels != 3;
}

bool rnc_image_check(const struct rnc_image_rules *r, int64_t channels, const char **field, struct rnc_status *s)
{
    const struct colour *c = colour_row(r->channels.row);
    *field = "channels";
    if (c && !suits(c, channels))
        return rnc_fail(s, RNC_USER, "channels: %s is for %s channels, the input has %d", c->row.name,
                        c->channels == 3   ? "3"
                        : c->channels == 1 ? "1"
                                           : "2 or 4",
                        (int)channels);
    *field = "normalize";
    const struct rnc_normalize *n = &r->normalize;
    if (n->kind == RNC_NORMALIZE_NUMBERS && n->n != channels)
        return rnc_fail(s, RNC_USER, "normalize: %s%s%d channel%s, the input has %d", n->name ? n->name : "",
                        n->name ? " is for " : "numbers for ", (int)n->n, n->n == 1 ? "" : "s", (int)channels);
    return true;
}

static const struct rnc_row *find_colour(int64_t channels, bool bgr)
{
    size_t k = 0;
    while (!suits(&colours[k], channels) || (channels == 3 && colours[k].bgr != bgr)) k++;
    return &colours[k].row;
}

/* To six digits, as what is measured: so that a text of it is short and exact. */
static double rounded(double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.6g", x);
    return strtod(text, NULL);
}

/* As mean and standard deviation of pixels from 0 to 1 are at P's scale, in P's order of channels. */
static void scaled(struct rnc_preprocess *p, const double *mean, const double *std)
{
    double range = p->white - p->black;
    for (int64_t k = 0; k < p->channels; k++) {
        int64_t from = p->bgr ? p->channels - 1 - k : k;
        p->mean[k] = rounded(p->black + mean[from] * range);
        p->std[k] = rounded(std[from] * range);
    }
}

void rnc_preprocess_normalize(struct rnc_preprocess *p, const struct rnc_normalize *n, const double *mean,
                              const double *std)
{
    for (int64_t k = 0; k < RNC_PREPROCESS_CHANNELS; k++) p->mean[k] = 0, p->std[k] = 1;
    if (n->kind == RNC_NORMALIZE_MEASURED && mean) scaled(p, mean, std);
    if (n->kind != RNC_NORMALIZE_NUMBERS) return;
    if (n->name) {
        scaled(p, n->mean, n->std);
        return;
    }
    memcpy(p->mean, n->mean, (size_t)p->channels * sizeof *p->mean);
    memcpy(p->std, n->std, (size_t)p->channels * sizeof *p->std);
}

void rnc_preprocess_apply(struct rnc_preprocess *p, const struct rnc_image_rules *rules, const double *mean,
                          const double *std)
{
    const struct scale *scale = (const struct scale *)(const void *)rules->scale.row;
    if (rules->fit.row) p->geometry = *(const struct rnc_geometry *)rules->fit.settings;
    if (rules->channels.row) p->bgr = colour_row(rules->channels.row)->bgr;
    if (scale) p->black = scale->black, p->white = scale->white;
    if (rules->normalize.kind) rnc_preprocess_normalize(p, &rules->normalize, mean, std);
}

struct rnc_preprocess rnc_preprocess_of(const struct rnc_image_rules *rules, int64_t channels,
                                        struct rnc_geometry otherwise, const double *mean, const double *std)
{
    struct rnc_preprocess p = {
        .geometry = otherwise, .channels = channels, .black = scales[0].black, .white = scales[0].white};
    rnc_preprocess_normalize(&p, rnc_normalize_named("none"), NULL, NULL);
    rnc_preprocess_apply(&p, rules, mean, std);
    return p;
}

/* ---- text */

static struct rnc_normalize normalize_of(const struct rnc_preprocess *p)
{
    struct rnc_normalize n = {.kind = RNC_NORMALIZE_NUMBERS, .n = p->channels};
    bool none = true;
    for (int64_t k = 0; k < p->channels; k++) {
        n.mean[k] = p->mean[k];
        n.std[k] = p->std[k];
        none &= p->mean[k] == 0.0 && p->std[k] == 1.0;
    }
    return none ? *rnc_normalize_named("none") : n;
}

void rnc_preprocess_print(const struct rnc_preprocess *p, struct rnc_sink to)
{
    size_t k = 0, last = sizeof scales / sizeof *scales - 1;
    while (k < last && (scales[k].black != p->black || scales[k].white != p->white)) k++;
    const struct rnc_image_rules r = {.fit = {&fits[p->geometry.fit], &p->geometry},
                                      .channels = {find_colour(p->channels, p->bgr), NULL},
                                      .scale = {&scales[k].row, NULL},
                                      .normalize = normalize_of(p)};
    rnc_fields_print(rnc_image_fields, rnc_image_nfields, &r, to);
}

/* Reads one text from left to right. */
struct reader {
    const char *at;
    bool ok;
};

static bool accept(struct reader *r, char c)
{
    r->at += strspn(r->at, " ");
    if (*r->at != c) return false;
    r->at++;
    return true;
}

static void expect(struct reader *r, char c) { r->ok &= accept(r, c); }

enum { WORD = 64 };
static const char *word(struct reader *r, char out[WORD])
{
    r->at += strspn(r->at, " ");
    size_t n = strcspn(r->at, " ,:{}[]");
    r->ok &= n > 0 && n < WORD;
    if (n >= WORD) n = WORD - 1;
    memcpy(out, r->at, n);
    out[n] = 0;
    r->at += n;
    return out;
}

static double number(struct reader *r)
{
    char *end;
    double x = strtod(r->at, &end);
    r->ok &= end != r->at;
    r->at = end;
    return x;
}

static const struct rnc_row *row(struct reader *r, const struct rnc_kind *kind)
{
    char name[WORD];
    const struct rnc_row *found = rnc_kind_find(kind, word(r, name));
    r->ok &= found != NULL;
    return found;
}

/* `crop`, or `{crop: {share: 0.875}}`; SETTINGS for what the row has. */
static struct rnc_choice read_choice(struct reader *r, const struct rnc_kind *kind, void *settings)
{
    bool map = accept(r, '{');
    struct rnc_choice c = {row(r, kind), settings};
    if (r->ok && c.row->size) memcpy(settings, c.row->defaults, c.row->size);
    if (!map || !r->ok) return c;
    expect(r, ':');
    expect(r, '{');
    while (r->ok && !accept(r, '}')) {
        char field[WORD];
        word(r, field);
        expect(r, ':');
        r->ok = r->ok && rnc_row_set(c.row, settings, field, number(r));
        accept(r, ',');
    }
    expect(r, '}');
    return c;
}

static int64_t read_list(struct reader *r, double *out)
{
    int64_t n = 0;
    expect(r, '[');
    do {
        if (n == RNC_PREPROCESS_CHANNELS) r->ok = false;
        else out[n++] = number(r);
    } while (r->ok && accept(r, ','));
    expect(r, ']');
    return n;
}

static void read_normalize(struct reader *r, struct rnc_normalize *n)
{
    char name[WORD];
    if (!accept(r, '{')) {
        const struct rnc_normalize *named = rnc_normalize_named(word(r, name));
        r->ok &= named && named->kind != RNC_NORMALIZE_MEASURED;
        if (named) *n = *named;
        return;
    }
    struct rnc_status ignored = {0};
    n->kind = RNC_NORMALIZE_NUMBERS;
    r->ok &= strcmp(word(r, name), "mean") == 0;
    expect(r, ':');
    n->n = read_list(r, n->mean);
    expect(r, ',');
    r->ok &= strcmp(word(r, name), "std") == 0;
    expect(r, ':');
    r->ok &= read_list(r, n->std) == n->n;
    expect(r, '}');
    r->ok = r->ok && rnc_normalize_check(n, &ignored);
}

static void read_field(struct reader *r, struct rnc_image_rules *rules, struct rnc_geometry *g)
{
    char name[WORD];
    word(r, name);
    expect(r, ':');
    for (int k = 0; r->ok && k < rnc_image_nfields; k++) {
        const struct rnc_field *f = &rnc_image_fields[k];
        void *at = (char *)rules + f->offset;
        if (strcmp(f->name, name) != 0) continue;
        if (f->type == RNC_FIELD_NORMALIZE) read_normalize(r, at);
        else *(struct rnc_choice *)at = read_choice(r, f->kind, g);
        return;
    }
    r->ok = false;
}

/* Are settings of a row within its bounds? */
static bool within(const struct rnc_geometry *g)
{
    return g->fill >= 0 && g->fill <= 255 && (g->fit != RNC_FIT_CROP || (g->share > 0 && g->share <= 1));
}

bool rnc_preprocess_parse(const char *text, int64_t channels, struct rnc_preprocess *p)
{
    struct reader r = {text, channels >= 1 && channels <= RNC_PREPROCESS_CHANNELS};
    struct rnc_image_rules rules = {.fit = {0}};
    struct rnc_geometry g = {0};
    struct rnc_status ignored = {0};
    const char *field;
    do read_field(&r, &rules, &g);
    while (r.ok && accept(&r, ','));
    bool whole = rules.fit.row && rules.channels.row && rules.scale.row && rules.normalize.kind;
    if (!r.ok || *r.at || !whole || !within(&g) || !rnc_image_check(&rules, channels, &field, &ignored)) return false;
    *p = rnc_preprocess_of(&rules, channels, g, NULL, NULL);
    return true;
}
