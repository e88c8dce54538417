/* normalize.c: normalisations that have a name. To add one: a row. */
#include "runtime/recipe/normalize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS(word, count, ...)                       \
    {                                                   \
        RNC_NORMALIZE_NUMBERS, word, count, __VA_ARGS__ \
    }

static const struct normalization {
    struct rnc_row row;
    struct rnc_normalize value;
} rows[] = {
    {{.name = "imagenet", .help = "ImageNet's photographs, as torchvision takes them"},
     NUMBERS("imagenet", 3, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225})},
    {{.name = "cifar10", .help = "CIFAR-10"},
     NUMBERS("cifar10", 3, {0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616})},
    {{.name = "fashion_mnist", .help = "Fashion-MNIST"}, NUMBERS("fashion_mnist", 1, {0.2860}, {0.3530})},
    {{.name = "mnist", .help = "MNIST"}, NUMBERS("mnist", 1, {0.1307}, {0.3081})},
    {{.name = "measured", .help = "on the training data"}, {RNC_NORMALIZE_MEASURED, "measured", 0, {0}, {0}}},
    {{.name = "none", .help = "pixels as `scale` has them"}, {RNC_NORMALIZE_NONE, "none", 0, {0}, {0}}},
};
const struct rnc_kind rnc_normalizations = {.name = "normalize", RNC_ROWS(rows)};

const struct rnc_normalize *rnc_normalize_named(const char *name)
{
    const struct rnc_row *row = rnc_kind_find(&rnc_normalizations, name);
    return row ? &((const struct normalization *)(const void *)row)->value : NULL;
}

bool rnc_normalize_check(const struct rnc_normalize *n, struct rnc_status *s)
{
    for (int64_t k = 0; k < n->n; k++)
        if (!isfinite(n->mean[k]) || !isfinite(n->std[k]) || n->std[k] < 1e-6 || n->std[k] > 1e6 ||
            fabs(n->mean[k]) > 1e6)
            return rnc_fail(s, RNC_USER, "mean must be from -1e6 to 1e6 and std from 1e-6 to 1e6, not %g and %g",
                            n->mean[k], n->std[k]);
    return true;
}

/* "0.5,0.5": how many, or -1; *END is behind them. */
static int64_t parse_list(const char *text, double out[RNC_PREPROCESS_CHANNELS], const char **end)
{
    for (int64_t n = 0; n < RNC_PREPROCESS_CHANNELS;) {
        char *next;
        out[n++] = strtod(text, &next);
        if (next == text) return -1;
        *end = next;
        if (*next != ',') return n;
        text = next + 1;
    }
    return -1;
}

bool rnc_normalize_numbers(const char *text, struct rnc_normalize *out, struct rnc_status *s)
{
    const char *end;
    struct rnc_normalize n = {.kind = RNC_NORMALIZE_NUMBERS};
    n.n = parse_list(text, n.mean, &end);
    int64_t more = n.n > 0 && *end == '/' ? parse_list(end + 1, n.std, &end) : -1;
    if (more < 0 || *end)
        return rnc_fail(s, RNC_USER,
                        "'%s' is no MEAN,…/STD,… with a number for each channel, such as "
                        "0.5,0.5,0.5/0.2,0.2,0.2",
                        text);
    if (more != n.n)
        return rnc_fail(s, RNC_USER, "'%s' has %d means and %d standard deviations", text, (int)n.n, (int)more);
    if (!rnc_normalize_check(&n, s)) return false;
    *out = n;
    return true;
}
