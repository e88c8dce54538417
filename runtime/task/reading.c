/* reading.c: what an output says of one sample. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/pack.h"
#include "runtime/task/labels.h"

static const char *const kind_names[] = {
    [RNC_NUMBERS] = "numbers",
    [RNC_LOGITS] = "logits",
    [RNC_PROBABILITIES] = "probabilities",
    [RNC_BINARY_LOGITS] = "binary logits",
    [RNC_BINARY_PROBABILITIES] = "binary probabilities",
};

/* Classes and answers of true or false, for each of the pixels. */
static bool is_map(const struct rnc_reading *r) { return r->kind != RNC_NUMBERS && r->type.rank == 4; }
static int64_t pixels_of(const struct rnc_reading *r) { return is_map(r) ? r->type.dim[2] * r->type.dim[3] : 1; }
static int64_t elements_of(const struct rnc_reading *r) { return rnc_elements(&r->type) / r->type.dim[0]; }

struct rnc_telling rnc_reading_telling(const struct rnc_reading *r)
{
    return (struct rnc_telling){.name = kind_names[r->kind],
                                .finding = r->kind == RNC_NUMBERS ? "value"
                                           : is_map(r)            ? "share"
                                                                  : "probability",
                                .fraction = r->kind != RNC_NUMBERS};
}

int64_t rnc_reading_findings(const struct rnc_reading *r) { return elements_of(r) / pixels_of(r); }

/* Keeps the N findings of F in order, the highest value first, of equals the earlier one, and at most CAPACITY; returns
   how many there are now. */
static int64_t insert(struct rnc_finding *f, int64_t n, int64_t capacity, struct rnc_finding more)
{
    int64_t at = n;
    while (at > 0 && f[at - 1].value < more.value) at--;
    if (at >= capacity) return n;
    if (n < capacity) n++;
    memmove(f + at + 1, f + at, (size_t)(n - at - 1) * sizeof *f);
    f[at] = more;
    return n;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static void softmax(const float *x, int64_t count, double *p)
{
    double top = (double)x[rnc_label_best(&(struct rnc_scores){x, count, 1})], sum = 0.0;
    for (int64_t c = 0; c < count; c++) sum += p[c] = exp((double)x[c] - top);
    for (int64_t c = 0; c < count; c++) p[c] /= sum;
}

/* The probability of each class or element of one sample. */
static void probabilities(const struct rnc_reading *r, const float *x, double *p)
{
    int64_t count = rnc_reading_findings(r);
    if (r->kind == RNC_LOGITS) softmax(x, count, p);
    else
        for (int64_t c = 0; c < count; c++) p[c] = r->kind == RNC_BINARY_LOGITS ? sigmoid((double)x[c]) : (double)x[c];
}

/* The share of the pixels that each class got, or that are true in each channel. */
static void shares(const struct rnc_reading *r, const float *x, double *p)
{
    int64_t pixels = pixels_of(r), classes = rnc_reading_findings(r);
    float side = r->kind == RNC_BINARY_LOGITS ? 0.0f : 0.5f;
    for (int64_t k = 0; k < pixels; k++) {
        struct rnc_scores scores = {x + k, classes, pixels};
        if (rnc_kind_classes(r->kind)) p[rnc_label_best(&scores)] += 1.0 / (double)pixels;
        else
            for (int64_t c = 0; c < classes; c++) p[c] += rnc_score(&scores, c) >= side ? 1.0 / (double)pixels : 0.0;
    }
}

int64_t rnc_reading_predict(const struct rnc_reading *r, const float *out, struct rnc_finding *f, int64_t capacity)
{
    int64_t count = rnc_reading_findings(r), n = 0;
    if (r->kind == RNC_NUMBERS) {
        for (; n < count && n < capacity; n++) f[n] = (struct rnc_finding){n, (double)out[n]};
        return n;
    }
    double *p = calloc((size_t)count + 1, sizeof *p);
    if (!p) return -1;
    if (is_map(r)) shares(r, out, p);
    else probabilities(r, out, p);
    for (int64_t c = 0; c < count; c++) n = insert(f, n, capacity, (struct rnc_finding){c, p[c]});
    free(p);
    return n;
}
