/* normalize.c: normalisations that have a name. To add one: a row. */
#include "runtime/recipe/normalize.h"

static const struct normalization {
    struct rnc_row row;
    struct rnc_normalize value;
} rows[] = {
    {{.name = "imagenet", .help = "ImageNet's photographs, as torchvision takes them"},
     {3, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}}},
    {{.name = "cifar10", .help = "CIFAR-10"}, {3, {0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616}}},
    {{.name = "fashion_mnist", .help = "Fashion-MNIST"}, {1, {0.2860}, {0.3530}}},
    {{.name = "mnist", .help = "MNIST"}, {1, {0.1307}, {0.3081}}},
};
const struct rnc_kind rnc_normalizations = {.name = "normalize", RNC_ROWS(rows)};

const struct rnc_normalize *rnc_normalize_named(const char *name)
{
    const struct rnc_row *row = rnc_kind_find(&rnc_normalizations, name);
    return row ? &((const struct normalization *)(const void *)row)->value : NULL;
}
