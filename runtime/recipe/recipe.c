/* recipe.c: finding rows, and choices as text. */
#include "runtime/recipe/recipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rnc_row *rnc_kind_row(const struct rnc_kind *k, int i)
{
    return (const struct rnc_row *)(const void *)((const char *)k->rows + (size_t)i * k->stride);
}

const struct rnc_row *rnc_kind_find(const struct rnc_kind *k, const char *name)
{
    for (int i = 0; i < k->n; i++)
        if (strcmp(rnc_kind_row(k, i)->name, name) == 0) return rnc_kind_row(k, i);
    return NULL;
}

bool rnc_row_set(const struct rnc_row *row, void *settings, const char *field, double x)
{
    for (int k = 0; k < row->nfields; k++) {
        const struct rnc_field *f = &row->fields[k];
        void *at = (char *)settings + f->offset;
        if (strcmp(f->name, field) != 0) continue;
        if (f->type == RNC_FIELD_INT) *(int64_t *)at = (int64_t)x;
        else if (f->type == RNC_FIELD_BOOL) *(bool *)at = x != 0;
        else if (f->type == RNC_FIELD_NUMBER) *(double *)at = x;
        else return false;
        return true;
    }
    return false;
}

static void put(struct rnc_sink to, const char *text) { to.write(to.ctx, text, strlen(text)); }

void rnc_number_text(double x, char out[RNC_NUMBER_TEXT])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, RNC_NUMBER_TEXT, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

void rnc_quoted(const char *text, struct rnc_sink to)
{
    put(to, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') put(to, "\\");
        if (*text == '\n') put(to, "\\n");
        else if (*text == '\t') put(to, "\\t");
        else if (*text == '\r') put(to, "\\r");
        else to.write(to.ctx, text, 1);
    }
    put(to, "\"");
}

static void put_number(struct rnc_sink to, double x)
{
    char text[RNC_NUMBER_TEXT];
    rnc_number_text(x, text);
    put(to, text);
}

static void put_numbers(struct rnc_sink to, const double *v, int64_t n)
{
    put(to, "[");
    for (int64_t i = 0; i < n; i++) {
        if (i) put(to, ", ");
        put_number(to, v[i]);
    }
    put(to, "]");
}

bool rnc_field_given(const struct rnc_field *f, const void *settings)
{
    const void *at = (const char *)settings + f->offset;
    if (f->type == RNC_FIELD_TEXT) return *(const char *const *)at != NULL;
    if (f->type == RNC_FIELD_NUMBERS) return ((const struct rnc_numbers *)at)->n > 0;
    if (f->type == RNC_FIELD_NORMALIZE) return ((const struct rnc_normalize *)at)->kind != RNC_NORMALIZE_NOT_GIVEN;
    if (f->type == RNC_FIELD_CHOICE) return ((const struct rnc_choice *)at)->row != NULL;
    return true;
}

static void put_normalize(struct rnc_sink to, const struct rnc_normalize *n)
{
    if (n->name) {
        put(to, n->name);
        return;
    }
    put(to, "{mean: ");
    put_numbers(to, n->mean, n->n);
    put(to, ", std: ");
    put_numbers(to, n->std, n->n);
    put(to, "}");
}

/* Is every field as it is by default? Fields that are no single number never are. */
static bool is_plain(const struct rnc_choice *c)
{
    static const size_t sizes[] = {
        [RNC_FIELD_INT] = sizeof(int64_t), [RNC_FIELD_NUMBER] = sizeof(double), [RNC_FIELD_BOOL] = sizeof(bool)};
    for (int k = 0; k < c->row->nfields; k++) {
        const struct rnc_field *f = &c->row->fields[k];
        const char *at = (const char *)c->settings + f->offset, *other = (const char *)c->row->defaults + f->offset;
        if (f->type > RNC_FIELD_BOOL || memcmp(at, other, sizes[f->type]) != 0) return false;
    }
    return true;
}

/* `crop`, or `{crop: {share: 0.875}}` */
static void put_choice(struct rnc_sink to, const struct rnc_choice *c)
{
    if (is_plain(c)) {
        put(to, c->row->name);
        return;
    }
    put(to, "{");
    rnc_choice_print(c, to);
    put(to, "}");
}

void rnc_field_print(const struct rnc_field *f, const void *settings, struct rnc_sink to)
{
    const void *at = (const char *)settings + f->offset;
    char text[32];
    const struct rnc_numbers *list = at;
    const struct rnc_range *range = at;
    switch (f->type) {
    case RNC_FIELD_INT:
        snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)at);
        put(to, text);
        break;
    case RNC_FIELD_NUMBER: put_number(to, *(const double *)at); break;
    case RNC_FIELD_BOOL: put(to, *(const bool *)at ? "true" : "false"); break;
    case RNC_FIELD_TEXT: rnc_quoted(*(const char *const *)at, to); break;
    case RNC_FIELD_RANGE: put_numbers(to, (double[]){range->min, range->max}, 2); break;
    case RNC_FIELD_NUMBERS: put_numbers(to, list->v, list->n); break;
    case RNC_FIELD_NORMALIZE: put_normalize(to, at); break;
    case RNC_FIELD_CHOICE: put_choice(to, at); break;
    }
}

void rnc_fields_print(const struct rnc_field *fields, int n, const void *settings, struct rnc_sink to)
{
    const char *comma = "";
    for (int k = 0; k < n; k++) {
        if (!rnc_field_given(&fields[k], settings)) continue;
        put(to, comma);
        put(to, fields[k].name);
        put(to, ": ");
        rnc_field_print(&fields[k], settings, to);
        comma = ", ";
    }
}

void rnc_choice_print(const struct rnc_choice *c, struct rnc_sink to)
{
    put(to, c->row->name);
    put(to, ": {");
    rnc_fields_print(c->row->fields, c->row->nfields, c->settings, to);
    put(to, "}");
}
