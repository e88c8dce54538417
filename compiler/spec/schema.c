/* schema.c: rnc schema: the language as a JSON Schema (draft 2020-12), from the operators' and the train section's
   tables, so that an editor completes and checks. Whether names and shapes fit is `rnc check`'s to say. */
#include <math.h>
#include <string.h>
#include "runtime/recipe/augment.h"
#include "runtime/recipe/format.h"
#include "runtime/recipe/normalize.h"
#include "runtime/recipe/optimizer.h"
#include "runtime/recipe/schedule.h"
#include "spec/ast.h"
#include "spec/train.h"

/* ---- JSON text */

static void quote(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; s && *s; s++) {
        if (*s == '"' || *s == '\\') buf_putc(out, '\\');
        if ((unsigned char)*s < 0x20) buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*s);
        else buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

static void key(struct buf *out, const char **comma, const char *name)
{
    buf_puts(out, *comma);
    quote(out, name);
    buf_puts(out, ": ");
    *comma = ", ";
}

static void described(struct buf *out, const char *help)
{
    if (!help) return;
    buf_puts(out, "\"description\": ");
    quote(out, help);
    buf_puts(out, ", ");
}

static void ref(struct buf *out, const char **comma, const char *name, const char *def)
{
    key(out, comma, name);
    buf_printf(out, "{\"$ref\": \"#/$defs/%s\"}", def);
}

/* ---- attributes */

static const char *attr_def(const struct op_attr *row)
{
    switch (row->def.type) {
    case ATTR_INT: return "integer";
    case ATTR_FLOAT: return "number";
    case ATTR_BOOL: return "boolean";
    case ATTR_ENUM: return "text";
    case ATTR_PAIR: return "pair";
    case ATTR_QUAD: return strcmp(row->name, "pad") == 0 ? "pad" : "quad";
    case ATTR_TEXT: return strcmp(row->name, "with") == 0 ? "branch" : "text";
    }
    return "text";
}

static void enumeration(struct buf *out, const char *const *names, size_t count)
{
    buf_puts(out, "\"anyOf\": [{\"enum\": [");
    for (size_t i = 0; i < count; i++) {
        if (i) buf_puts(out, ", ");
        quote(out, names[i]);
    }
    buf_puts(out, "]}, {\"$ref\": \"#/$defs/expression\"}, {\"$ref\": \"#/$defs/match_text\"}]");
}

static void put_bound(struct buf *out, const char **comma, const char *name, double bound)
{
    char text[RNC_NUMBER_TEXT];
    if (!isfinite(bound)) return;
    rnc_number_text(bound, text);
    buf_printf(out, "%s\"%s\": %s", *comma, name, text);
    *comma = ", ";
}

/* Of a number and, in a LIST, of each number. */
static void put_range(struct buf *out, double min, double max, bool list)
{
    const char *comma = ", ";
    put_bound(out, &comma, "minimum", min);
    put_bound(out, &comma, "maximum", max);
    if (!list) return;
    buf_puts(out, ", \"items\": {");
    comma = "";
    put_bound(out, &comma, "minimum", min);
    put_bound(out, &comma, "maximum", max);
    buf_putc(out, '}');
}

static void put_attr(struct buf *out, const char **comma, const struct op_attr *row)
{
    key(out, comma, row->name);
    buf_putc(out, '{');
    described(out, row->help);
    if (row->def.type != ATTR_ENUM) {
        buf_printf(out, "\"$ref\": \"#/$defs/%s\"", attr_def(row));
        if (row->has_range)
            put_range(out, row->min, row->max, row->def.type == ATTR_PAIR || row->def.type == ATTR_QUAD);
        buf_putc(out, '}');
        return;
    }
    size_t n = 0;
    while (row->choices[n]) n++;
    enumeration(out, row->choices, n);
    buf_putc(out, '}');
}

static void put_required(struct buf *out, const struct op_def *op, bool loss)
{
    const char *comma = "";
    buf_puts(out, ", \"required\": [");
    for (int i = 0; i < op->nattr; i++) {
        if (!op->attrs[i].required || op->attrs[i].ir_only) continue;
        buf_puts(out, comma);
        quote(out, op->attrs[i].name);
        comma = ", ";
    }
    if (op->params) buf_printf(out, "%s\"name\"", comma);
    if (loss) buf_printf(out, "%s\"from\", \"target\"", comma);
    buf_putc(out, ']');
}

static void common_keys(struct buf *out, const char **comma)
{
    ref(out, comma, "name", "text");
    ref(out, comma, "as", "text");
    ref(out, comma, "from", "labels");
    ref(out, comma, "expect", "shape");
}

static bool needs_nothing(const struct op_def *op)
{
    for (int i = 0; i < op->nattr; i++)
        if (op->attrs[i].required && !op->attrs[i].ir_only) return false;
    return !op->params;
}

static void put_op(struct buf *out, const struct op_def *op)
{
    const char *comma = "";
    buf_putc(out, '{');
    described(out, op->help);
    buf_printf(out, "\"type\": %s, \"additionalProperties\": false, \"properties\": {",
               needs_nothing(op) ? "[\"object\", \"null\"]" : "\"object\"");
    for (int i = 0; i < op->nattr; i++)
        if (!op->attrs[i].ir_only) put_attr(out, &comma, &op->attrs[i]);
    if (op->class_ == OP_LOSS) {
        ref(out, &comma, "from", "text");
        ref(out, &comma, "target", "text");
    } else {
        common_keys(out, &comma);
    }
    buf_putc(out, '}');
    put_required(out, op, op->class_ == OP_LOSS);
    buf_putc(out, '}');
}

/* The operators of a class as properties. */
static void put_ops(struct buf *out, enum op_class class_, const char **comma)
{
    for (const struct op_def *const *op = op_all(); *op; op++) {
        if ((*op)->class_ != class_) continue;
        key(out, comma, (*op)->name);
        put_op(out, *op);
        *comma = ",\n      ";
    }
}

/* ---- the train section */

static void put_kind(struct buf *out, const struct rnc_kind *kind);

static void put_field(struct buf *out, const char **comma, const struct rnc_field *f)
{
    static const char *const defs[] = {"integer", "number", "boolean", "text", "range", "numbers", "normalize"};
    key(out, comma, f->name);
    if (f->type == RNC_FIELD_CHOICE) {
        put_kind(out, f->kind);
        return;
    }
    buf_putc(out, '{');
    described(out, f->help);
    buf_printf(out, "\"$ref\": \"#/$defs/%s\"", defs[f->type]);
    if (f->max > f->min) put_range(out, f->min, f->max, f->type == RNC_FIELD_RANGE || f->type == RNC_FIELD_NUMBERS);
    buf_putc(out, '}');
}

static void put_kind(struct buf *out, const struct rnc_kind *kind)
{
    buf_puts(out, "{\"anyOf\": [{\"enum\": [");
    for (int i = 0; i < kind->n; i++) {
        if (i) buf_puts(out, ", ");
        quote(out, rnc_kind_row(kind, i)->name);
    }
    buf_puts(out, "]}, {\"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 1, \"additionalProperties\": "
                  "false, \"properties\": {");
    const char *comma = "";
    for (int i = 0; i < kind->n; i++) {
        const struct rnc_row *row = rnc_kind_row(kind, i);
        const char *inner = "";
        key(out, &comma, row->name);
        buf_putc(out, '{');
        described(out, row->help);
        buf_puts(out, "\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {");
        for (int k = 0; k < row->nfields; k++) put_field(out, &inner, &row->fields[k]);
        buf_puts(out, "}}");
    }
    buf_puts(out, "}}]}");
}

static void put_train(struct buf *out)
{
    const char *comma = "";
    buf_puts(out, "{\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {");
    for (int i = 0; i < train_nfields; i++) put_field(out, &comma, &train_fields[i]);
    key(out, &comma, rnc_data_formats.name);
    put_kind(out, &rnc_data_formats);
    key(out, &comma, rnc_optimizers.name);
    put_kind(out, &rnc_optimizers);
    key(out, &comma, rnc_schedules.name);
    put_kind(out, &rnc_schedules);
    key(out, &comma, rnc_augmentations.name);
    buf_puts(out, "{\"type\": [\"array\", \"null\"], \"items\": ");
    put_kind(out, &rnc_augmentations);
    buf_puts(out, "}}}");
}

/* ---- definitions */

static const char fixed_defs[] =
    "    \"expression\": {\"type\": \"string\", \"pattern\": \"^\\\\$([A-Za-z_][A-Za-z0-9_]*|\\\\(.*\\\\))$\", "
    "\"description\": \"$name or $(arithmetic)\"},\n"
    "    \"text\": {\"anyOf\": [{\"type\": [\"string\", \"number\", \"boolean\"]}, {\"$ref\": "
    "\"#/$defs/match_text\"}]},\n"
    "    \"match_text\": {\"type\": \"object\", \"required\": [\"match\"], \"properties\": {\"match\": {\"$ref\": "
    "\"#/$defs/expression\"}}, \"additionalProperties\": {\"$ref\": \"#/$defs/text\"}},\n"
    "    \"labels\": {\"anyOf\": [{\"$ref\": \"#/$defs/text\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": "
    "{\"$ref\": \"#/$defs/text\"}}]},\n"
    "    \"shape\": {\"anyOf\": [{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 3, \"items\": {\"$ref\": "
    "\"#/$defs/integer\"}},\n"
    "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": \"#/$defs/shape\"}, "
    "\"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}}]},\n"
    "    \"range\": {\"type\": \"array\", \"minItems\": 2, \"maxItems\": 2, \"items\": {\"$ref\": "
    "\"#/$defs/number\"}},\n"
    "    \"numbers\": {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/number\"}},\n"
    "    \"branch\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"$ref\": "
    "\"#/$defs/layer\"}},\n"
    "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": \"#/$defs/branch\"}, "
    "\"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}}]},\n"
    "    \"layers\": {\"anyOf\": [{\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/layer\"}},\n"
    "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": \"#/$defs/layers\"}, "
    "\"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}}]},\n"
    "    \"parameter\": {\"anyOf\": [{\"type\": [\"string\", \"number\", \"boolean\"]}, {\"type\": \"object\", "
    "\"additionalProperties\": false, \"properties\": {\"default\": {\"type\": [\"string\", \"number\", "
    "\"boolean\"]},\n"
    "      \"type\": {\"enum\": [\"int\", \"number\", \"bool\", \"text\", \"label\"]}, \"one_of\": {\"type\": "
    "\"array\", \"minItems\": 1}, \"min\": {\"type\": \"number\"}, \"max\": {\"type\": \"number\"}, \"multiple_of\": "
    "{\"type\": \"integer\", \"minimum\": 1}}}]},\n"
    "    \"parameters\": {\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"$ref\": "
    "\"#/$defs/parameter\"}},\n"
    "    \"stage\": {\"type\": \"object\", \"required\": [\"name\", \"block\"], \"properties\": {\"name\": {\"$ref\": "
    "\"#/$defs/text\"}, \"block\": {\"$ref\": \"#/$defs/text\"}, \"repeat\": {\"$ref\": \"#/$defs/integer\"},\n"
    "      \"first\": {\"type\": \"object\", \"description\": \"what the first block has otherwise\"}, \"as\": "
    "{\"$ref\": \"#/$defs/text\"}, \"from\": {\"$ref\": \"#/$defs/labels\"}, \"expect\": {\"$ref\": "
    "\"#/$defs/shape\"}}},\n"
    "    \"apply\": {\"type\": \"object\", \"required\": [\"module\"], \"additionalProperties\": false, "
    "\"properties\": {\"module\": {\"$ref\": \"#/$defs/text\"}, \"from\": {\"$ref\": \"#/$defs/labels\"}, \"as\": "
    "{\"$ref\": \"#/$defs/labels\"}, \"expect\": {\"$ref\": \"#/$defs/shape\"}}},\n";

/* A scalar of a JSON type, an expression, or a match among such. */
static void put_scalar(struct buf *out, const char *name, const char *json)
{
    /* YAML 1.1 readers take 1e-4, without a point, for text. */
    const char *text =
        strcmp(name, "number") == 0 ? "{\"type\": \"string\", \"pattern\": \"^[-+]?[0-9]+[eE][-+]?[0-9]+$\"}, " : "";
    buf_printf(out,
               "    \"%s\": {\"anyOf\": [{\"type\": \"%s\"}, %s{\"$ref\": \"#/$defs/expression\"},\n"
               "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": "
               "\"#/$defs/%s\"}, \"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}}]},\n",
               name, json, text, name);
}

/* Integers: one, or a list of one of the lengths. */
static void put_list(struct buf *out, const char *name, const char *extra, int lengths)
{
    buf_printf(out,
               "    \"%s\": {\"anyOf\": [%s{\"type\": \"integer\"}, {\"$ref\": \"#/$defs/expression\"}, {\"type\": "
               "\"array\", \"items\": {\"$ref\": \"#/$defs/integer\"}, \"minItems\": 2, \"maxItems\": %d},\n"
               "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": "
               "\"#/$defs/%s\"}, \"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}}]},\n",
               name, extra, lengths, name);
}

static void put_defs(struct buf *out)
{
    const char *comma = "";
    buf_puts(out, fixed_defs);
    put_scalar(out, "integer", "integer");
    buf_puts(out, "    \"dimension\": {\"$ref\": \"#/$defs/integer\", \"minimum\": 1},\n");
    put_scalar(out, "number", "number");
    put_scalar(out, "boolean", "boolean");
    put_list(out, "pair", "", 2);
    put_list(out, "quad", "", 4);
    put_list(out, "pad", "{\"enum\": [\"same\", \"valid\"]}, ", 4);
    buf_puts(out, "    \"normalize\": {\"anyOf\": [{\"enum\": [");
    for (int i = 0; i < rnc_normalizations.n; i++) {
        if (i) buf_puts(out, ", ");
        quote(out, rnc_kind_row(&rnc_normalizations, i)->name);
    }
    buf_puts(
        out,
        "]}, {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"mean\", \"std\"], "
        "\"properties\": {\"mean\": {\"$ref\": \"#/$defs/numbers\"}, \"std\": {\"$ref\": \"#/$defs/numbers\"}}}]},\n");
    buf_puts(out,
             "    \"layer\": {\"anyOf\": [{\"type\": \"string\", \"description\": \"an operator or a block without "
             "attributes\"},\n"
             "      {\"type\": \"object\", \"required\": [\"match\"], \"additionalProperties\": {\"$ref\": "
             "\"#/$defs/layers\"}, \"properties\": {\"match\": {\"$ref\": \"#/$defs/expression\"}}},\n"
             "      {\"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 1, \"not\": {\"required\": "
             "[\"match\"]}, \"additionalProperties\": {\"type\": [\"object\", \"null\"]}, \"properties\": {\n      ");
    put_ops(out, OP_LAYER, &comma);
    ref(out, &comma, "stage", "stage");
    ref(out, &comma, "apply", "apply");
    comma = "";
    buf_puts(out, "}}]},\n    \"loss\": {\"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 1, "
                  "\"additionalProperties\": false, \"properties\": {\n      ");
    put_ops(out, OP_LOSS, &comma);
    buf_puts(out, "}}\n");
}

static const char head[] =
    "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": \"rnc model spec\",\n  "
    "\"type\": \"object\",\n"
    "  \"required\": [\"rnc\", \"model\", \"inputs\", \"layers\", \"outputs\"],\n  \"additionalProperties\": false,\n  "
    "\"properties\": {\n"
    "    \"model\": {\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9_]+$\"},\n"
    "    \"params\": {\"$ref\": \"#/$defs/parameters\"},\n"
    "    \"inputs\": {\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {\"type\": \"object\", "
    "\"required\": [\"shape\"], \"additionalProperties\": false, \"properties\": {\"shape\": {\"anyOf\": [";

static const char middle[] =
    "    \"classes\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/text\"}, \"description\": \"names of the "
    "classes\"},\n"
    "    \"use\": {\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": \"object\", \"required\": "
    "[\"spec\", \"taps\"], \"additionalProperties\": false, \"properties\": {\"spec\": {\"$ref\": \"#/$defs/text\"}, "
    "\"name\": {\"$ref\": \"#/$defs/text\"},\n"
    "      \"taps\": {\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {\"$ref\": "
    "\"#/$defs/text\"}}, \"params\": {\"type\": [\"object\", \"null\"]}, \"from\": {\"$ref\": \"#/$defs/text\"}}}},\n"
    "    \"blocks\": {\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": \"object\", \"required\": "
    "[\"layers\"], \"additionalProperties\": false, \"properties\": {\"params\": {\"$ref\": \"#/$defs/parameters\"}, "
    "\"layers\": {\"$ref\": \"#/$defs/layers\"}}}},\n"
    "    \"shared\": {\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": \"object\", \"required\": "
    "[\"layers\"], \"additionalProperties\": false, \"properties\": {\"name\": {\"$ref\": \"#/$defs/text\"}, "
    "\"layers\": {\"$ref\": \"#/$defs/layers\"}}}},\n"
    "    \"layers\": {\"$ref\": \"#/$defs/layers\"},\n"
    "    \"outputs\": {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/text\"}},\n"
    "    \"loss\": {\"type\": [\"array\", \"null\"], \"items\": {\"$ref\": \"#/$defs/loss\"}},\n";

/* A list of MIN to MAX dimensions. */
static void put_shape(struct buf *out, int min, int max)
{
    buf_printf(out,
               "{\"type\": \"array\", \"minItems\": %d, \"maxItems\": %d, \"items\": {\"$ref\": "
               "\"#/$defs/dimension\"}}",
               min, max);
}

/* The keys that the type takes. */
static void put_target(struct buf *out, const struct rnc_target_type *t)
{
    const char *comma = "";
    buf_puts(out, "{");
    described(out, t->help);
    buf_puts(out, "\"additionalProperties\": false, \"properties\": {");
    key(out, &comma, "type");
    buf_printf(out, "{\"const\": \"%s\"}", t->name);
    if (t->labels) {
        key(out, &comma, "ignore");
        buf_puts(out, "{\"$ref\": \"#/$defs/integer\", \"minimum\": -1}");
    }
    if (t->max_rank) {
        key(out, &comma, "shape");
        put_shape(out, t->min_rank, t->max_rank);
    }
    if (t->positive) ref(out, &comma, "positive", "text");
    buf_printf(out, "}, \"required\": [\"type\"%s]}",
               t->max_rank && t->unsaid == RNC_UNSAID_REFUSED ? ", \"shape\"" : "");
}

static void put_tensors(struct buf *out)
{
    const char *comma = ", ";
    put_shape(out, 1, 1);
    buf_puts(out, ", ");
    put_shape(out, 3, 3);
    buf_puts(out, "]}");
    for (int i = 0; i < rnc_image_nfields; i++) put_field(out, &comma, &rnc_image_fields[i]);
    buf_puts(out, "}}},\n    \"targets\": {\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": "
                  "\"object\", \"required\": [\"type\"], \"anyOf\": [");
    for (int k = 0; rnc_target_type(k); k++) {
        buf_puts(out, k ? ",\n      " : "\n      ");
        put_target(out, rnc_target_type(k));
    }
    buf_puts(out, "]}},\n");
}

static void put_conventions(struct buf *out)
{
    buf_puts(out, "    \"rnc\": {\"enum\": [");
    for (int i = 0; i < convention_nversions; i++) buf_printf(out, "%s%s", i ? ", " : "", convention_versions[i].name);
    buf_puts(out, "], \"description\": \"version of the language\"},\n    \"conventions\": {\"description\": "
                  "\"whose defaults attributes have that are not given\", ");
    const char **names = ARENA_ARRAY(out->arena, const char *, convention_nframeworks);
    for (int i = 0; i < convention_nframeworks; i++) names[i] = convention_frameworks[i].name;
    enumeration(out, names, (size_t)convention_nframeworks);
    buf_puts(out, "},\n");
}

void spec_schema(struct buf *out)
{
    buf_puts(out, head);
    put_tensors(out);
    buf_puts(out, middle);
    put_conventions(out);
    buf_puts(out, "    \"metrics\": {\"type\": [\"array\", \"null\"], \"items\": {\"enum\": [");
    for (int i = 0; rnc_metric_at(i); i++) {
        if (i) buf_puts(out, ", ");
        quote(out, rnc_metric_at(i)->name);
    }
    buf_puts(out, "]}},\n    \"accuracy\": {\"anyOf\": [{\"const\": \"exact\"}, {\"$ref\": \"#/$defs/number\"}], "
                  "\"description\": \"the largest error of a layer's algorithm: "
                  "rms, relative to double (3e-6); exact: direct sums only\"},\n    \"dtype\": {\"enum\": [");
    for (int i = 0; dtype_choices[i]; i++) {
        if (i) buf_puts(out, ", ");
        quote(out, dtype_choices[i]);
    }
    buf_puts(out, "], \"description\": \"how activations and their gradients are stored; sums, weights and the "
                  "optimizer's state are f32\"},\n    \"train\": ");
    put_train(out);
    buf_puts(out, "\n  },\n  \"$defs\": {\n");
    put_defs(out);
    buf_puts(out, "  }\n}\n");
}
