/* convention.c: the tables. A framework's values are those that its own documentation gives for layers and optimizers
   that are constructed with what they require and nothing else. */
#include "spec/convention.h"

#include <stdlib.h>
#include <string.h>

/* ---- versions of the language */

static const struct convention_row version_2[] = {
    {"avg_pool", "count_pad", "false", true, "other frameworks' `same` leaves the padding out of the mean"},
    {"resize", "interpolate_by", "scale", false, "PyTorch and ONNX interpolate by the factor that is given"},
};

#define ROWS(list) .rows = list, .nrows = (int)(sizeof(list) / sizeof *(list))

const struct convention convention_versions[] = {
    {.name = "1"},
    {.name = "2", ROWS(version_2)},
};
const int convention_nversions = sizeof convention_versions / sizeof *convention_versions;

/* ---- frameworks */

static const struct convention_row keras[] = {
    {.subject = "conv2d", .attr = "init", .value = "glorot_uniform"},
    {.subject = "conv2d", .attr = "bias_init", .value = "zeros"},
    {.subject = "conv_transpose2d", .attr = "init", .value = "glorot_uniform"},
    {.subject = "conv_transpose2d", .attr = "bias_init", .value = "zeros"},
    {.subject = "dense", .attr = "init", .value = "glorot_uniform"},
    {.subject = "dense", .attr = "bias_init", .value = "zeros"},
    {.subject = "batch_norm", .attr = "eps", .value = "0.001"},
    {.subject = "batch_norm", .attr = "momentum", .value = "0.99"},
    {.subject = "batch_norm", .attr = "momentum_of", .value = "running"},
    {.subject = "batch_norm", .attr = "biased", .value = "true"},
    {.subject = "avg_pool", .attr = "count_pad", .value = "false", .same = true},
    {.subject = "leaky_relu", .attr = "slope", .value = "0.3"},
    {.subject = "prelu", .attr = "init", .value = "0"},
    {.subject = "sgd", .attr = "lr", .value = "0.01"},
    {.subject = "sgd", .attr = "momentum", .value = "0"},
    {.subject = "sgd", .attr = "weight_decay", .value = "0"},
    {.subject = "sgd", .attr = "decoupled", .value = "true"},
    {.subject = "sgd", .attr = "lr_in_velocity", .value = "true"},
    {.subject = "adam", .attr = "eps", .value = "1e-07"},
    {.subject = "adam", .attr = "eps_hat", .value = "true"},
    {.subject = "adam", .attr = "decoupled", .value = "true"},
    {.subject = "adamw", .attr = "eps", .value = "1e-07"},
    {.subject = "adamw", .attr = "eps_hat", .value = "true"},
    {.subject = "adamw", .attr = "weight_decay", .value = "0.004"},
    {.subject = "rmsprop", .attr = "lr", .value = "0.001"},
    {.subject = "rmsprop", .attr = "alpha", .value = "0.9"},
    {.subject = "rmsprop", .attr = "eps", .value = "1e-07"},
    {.subject = "rmsprop", .attr = "eps_in_root", .value = "true"},
    {.subject = "rmsprop", .attr = "decoupled", .value = "true"},
    {.subject = "rmsprop", .attr = "lr_in_velocity", .value = "true"},
};

/* rnc's own defaults are PyTorch's but for these. */
static const struct convention_row pytorch[] = {
    {.subject = "conv2d", .attr = "init", .value = "kaiming_uniform"},
    {.subject = "conv_transpose2d", .attr = "init", .value = "kaiming_uniform"},
    {.subject = "resize", .attr = "interpolate_by", .value = "scale"},
    {.subject = "sgd", .attr = "lr", .value = "0.001"},
    {.subject = "sgd", .attr = "momentum", .value = "0"},
    {.subject = "sgd", .attr = "weight_decay", .value = "0"},
};

const struct convention convention_frameworks[] = {
    {.name = "keras", ROWS(keras)},
    {.name = "pytorch", ROWS(pytorch)},
};
const int convention_nframeworks = sizeof convention_frameworks / sizeof *convention_frameworks;

/* ---- looking up */

const struct convention *convention_find(const struct convention *all, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

double convention_number(const struct convention_row *r)
{
    return strcmp(r->value, "true") == 0 ? 1 : strtod(r->value, NULL);
}

static const struct convention_row *row_of(const struct convention *c, const char *subject, const char *attr, bool same)
{
    for (int i = 0; c && i < c->nrows; i++) {
        const struct convention_row *r = &c->rows[i];
        if (r->same && !same) continue;
        if (strcmp(r->subject, subject) == 0 && strcmp(r->attr, attr) == 0) return r;
    }
    return NULL;
}

/* A version keeps what the ones before it changed. */
static const struct convention_row *row_by(const struct convention *version, const char *subject, const char *attr,
                                           bool same)
{
    for (const struct convention *v = version; v; v = v > convention_versions ? v - 1 : NULL) {
        const struct convention_row *r = row_of(v, subject, attr, same);
        if (r) return r;
    }
    return NULL;
}

const struct convention_row *convention_default(const struct convention_choice *c, const char *subject,
                                                const char *attr, bool same)
{
    const struct convention_row *r = row_of(c->framework, subject, attr, same);
    return r ? r : row_by(c->version, subject, attr, same);
}

const struct convention_row *convention_changes(const struct convention_choice *c, const char *subject,
                                                const char *attr, bool same)
{
    if (row_of(c->framework, subject, attr, same)) return NULL;
    const struct convention_row *now = row_by(c->version, subject, attr, same),
                                *next = row_by(&convention_versions[convention_nversions - 1], subject, attr, same);
    return next == now ? NULL : next;
}
