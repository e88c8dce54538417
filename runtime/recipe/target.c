/* target.c: the types of targets. To add one: a row and, where pictures can give it in a way of its own, what
   runtime/data/sample_target.c makes of a label or a mask. */
#include "runtime/recipe/target.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct rnc_target_type rows[] = {
    {.name = "class", .help = "a class for each sample: i64 [N]", .labels = true, .annotation = RNC_ANNOTATION_LABEL},
    {.name = "class_map",
     .help = "a class for each pixel: i64 [N, H, W]; masks are brought to its shape by nearest neighbours",
     .labels = true,
     .annotation = RNC_ANNOTATION_MASK,
     .min_rank = 2,
     .max_rank = 2,
     .shape = "[H, W]",
     .unsaid = RNC_UNSAID_IMAGE},
    {.name = "tensor",
     .help = "any numbers: f32 [N, …], from arrays",
     .min_rank = 1,
     .max_rank = 3,
     .shape = "[C, H, W]"},
    {.name = "binary",
     .help = "one of two classes for each sample: f32 [N, 1], 1 for the class `positive`, 0 for the other",
     .binary = true,
     .positive = true,
     .annotation = RNC_ANNOTATION_LABEL,
     .ones = 1},
    {.name = "binary_map",
     .help = "one of two classes for each pixel: f32 [N, 1, H, W], from masks of 0 and 1 or of 0 and 255",
     .binary = true,
     .annotation = RNC_ANNOTATION_MASK,
     .ones = 1,
     .min_rank = 2,
     .max_rank = 2,
     .shape = "[H, W]",
     .unsaid = RNC_UNSAID_IMAGE},
    {.name = "multi_label",
     .help = "any of C classes for each sample: f32 [N, C] of 0 and 1, from arrays",
     .binary = true,
     .min_rank = 1,
     .max_rank = 1,
     .shape = "[C]",
     .unsaid = RNC_UNSAID_CLASSES},
};

const struct rnc_target_type *rnc_target_type(int k) { return k < (int)(sizeof rows / sizeof *rows) ? &rows[k] : NULL; }

const struct rnc_target_type *rnc_target_named(const char *name)
{
    const struct rnc_target_type *t = rnc_target_type(0);
    for (int k = 0; t && strcmp(t->name, name) != 0;) t = rnc_target_type(++k);
    return t;
}

const struct rnc_target_type *rnc_target_binary(int rank, const int64_t *dim)
{
    int ones = 0;
    while (ones < rank && dim[ones] == 1) ones++;
    for (int k = 0; rnc_target_type(k); k++) {
        const struct rnc_target_type *t = rnc_target_type(k);
        if (t->binary && t->annotation && ones >= t->ones && rank == t->ones + t->max_rank) return t;
    }
    return NULL;
}

int rnc_target_positive(const char *positive, const char *const *names, int64_t n)
{
    static const char *const pairs[][2] = {{"0", "1"}, {"no", "yes"}, {"false", "true"}};
    if (n != 2) return -1;
    for (int k = 0; k < 2; k++) {
        if (positive && !strcmp(names[k], positive)) return k;
        for (size_t p = 0; !positive && p < sizeof pairs / sizeof *pairs; p++)
            if (!strcasecmp(names[k], pairs[p][1]) && !strcasecmp(names[1 - k], pairs[p][0])) return k;
    }
    return -1;
}
