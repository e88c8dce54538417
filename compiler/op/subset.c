/* subset.c: regions, which run under a condition and on some of the samples, and what leads samples into one and out of
   it. A region's nodes see a dense batch: gather_samples, in the region, takes its samples together; scatter_samples,
   behind it, puts what was made of them in the place of the others' values. */
#include <string.h>
#include "op/copy.h"
#include "op/rule.h"

/* condition: i64[], count: i64[], index: i64[N]; each may be absent. FROM: where they stand among the operands. */
static bool check_subset(const struct type *in, int nin, int from, struct op_error *e)
{
    static const char *const names[] = {"condition", "count", "index"};
    for (int i = 0; i < 3 && from + i < nin; i++) {
        const struct type *t = &in[from + i];
        if (t->rank < 0) continue;
        if (t->dtype != DT_I64 || t->rank != (i == 2))
            return op_fail(e, "%s must be %s, not %s", names[i], i == 2 ? "i64[N]" : "i64[]", rule_shape(e, t));
    }
    return true;
}

static bool check_index(const struct type *index, const struct type *x, struct op_error *e)
{
    if (index->dtype == DT_I64 && index->rank == 1 && index->dim[0] == x->dim[0]) return true;
    return op_fail(e, "index must be i64[%lld], a number for each sample, not %s", (long long)x->dim[0],
                   rule_shape(e, index));
}

/* ---- region */

static bool infer_region(const struct type *in, int nin, const struct attr *attr, struct type *out, struct op_error *e)
{
    (void)attr;
    if (!check_subset(in, nin, REGION_CONDITION, e)) return false;
    for (int i = REGION_YIELD; i < nin; i++) {
        if (in[i].rank < 1)
            return op_fail(e, "a region yields values with a row for each sample, not %s", rule_shape(e, &in[i]));
        out[i - REGION_YIELD] = in[i];
    }
    return true;
}

static void ref_region(struct ref_call *c)
{
    for (int i = 0; i < c->nout; i++) {
        const struct ref_tensor *from = &c->in[REGION_YIELD + i];
        memcpy(c->out[i].data, from->data, (size_t)type_elements(from->type) * sizeof *from->data);
    }
}

/* ---- select_samples */

static bool infer_select_samples(const struct type *in, int nin, const struct attr *attr, struct type *out,
                                 struct op_error *e)
{
    (void)nin, (void)attr;
    if (!rule_value(&in[0], RULE_FEATURES, "the score", e)) return false;
    if (in[0].dim[1] != 1) return op_fail(e, "a score is one number a sample, not %s", rule_sample(e, &in[0]));
    out[0] = type_make(DT_I64, 0, NULL);
    out[1] = type_make(DT_I64, 1, in[0].dim);
    return true;
}

static void ref_select_samples(struct ref_call *c)
{
    const bool below = ref_int(c, "below") != 0;
    const double threshold = (float)ref_float(c, "threshold");
    int64_t count = 0;
    for (int64_t n = 0; n < ref_samples(c, c->in[0].type); n++) {
        const double score = c->in[0].data[n];
        if (below ? score < threshold : score >= threshold) c->out[1].data[count++] = (double)n;
    }
    c->out[0].data[0] = (double)count;
    for (int64_t n = count; n < c->in[0].type->dim[0]; n++) c->out[1].data[n] = 0;
}

/* ---- gather_samples, scatter_samples */

static int64_t row_elements(const struct type *t) { return type_elements(t) / t->dim[0]; }

static bool infer_gather_samples(const struct type *in, int nin, const struct attr *attr, struct type *out,
                                 struct op_error *e)
{
    (void)nin, (void)attr;
    if (!rule_value(&in[0], RULE_VALUE, "the input", e) || !check_index(&in[1], &in[0], e)) return false;
    out[0] = type_make(in[0].dtype, in[0].rank, in[0].dim);
    return true;
}

static void ref_gather_samples(struct ref_call *c)
{
    const int64_t row = row_elements(c->in[0].type);
    for (int64_t n = 0; n < ref_samples(c, c->in[0].type); n++)
        memcpy(c->out[0].data + n * row, c->in[0].data + (int64_t)c->in[1].data[n] * row,
               (size_t)row * sizeof *c->out[0].data);
}

enum { SCATTER_X, SCATTER_ROWS, SCATTER_CONDITION, SCATTER_COUNT, SCATTER_INDEX };

static bool infer_scatter_samples(const struct type *in, int nin, const struct attr *attr, struct type *out,
                                  struct op_error *e)
{
    (void)attr;
    if (!rule_value(&in[SCATTER_X], RULE_VALUE, "the input", e) ||
        !rule_value(&in[SCATTER_ROWS], RULE_VALUE, "rows", e))
        return false;
    if (!rule_match(&in[SCATTER_X], &in[SCATTER_ROWS], e) || !check_subset(in, nin, SCATTER_CONDITION, e)) return false;
    bool index = nin > SCATTER_INDEX && in[SCATTER_INDEX].rank >= 0;
    if (index && !check_index(&in[SCATTER_INDEX], &in[SCATTER_X], e)) return false;
    out[0] = type_make(in[0].dtype, in[0].rank, in[0].dim);
    return true;
}

static const double *scatter_operand(const struct ref_call *c, int i) { return i < c->nin ? c->in[i].data : NULL; }

static void ref_scatter_samples(struct ref_call *c)
{
    const int64_t row = row_elements(c->in[0].type), samples = ref_samples(c, c->in[0].type);
    const double *condition = scatter_operand(c, SCATTER_CONDITION), *count = scatter_operand(c, SCATTER_COUNT),
                 *index = scatter_operand(c, SCATTER_INDEX);
    const int64_t chosen = condition && condition[0] == 0 ? 0 : count ? (int64_t)count[0] : samples;
    const size_t bytes = (size_t)row * sizeof *c->out[0].data;
    memcpy(c->out[0].data, c->in[SCATTER_X].data, (size_t)samples * bytes);
    for (int64_t k = 0; k < chosen; k++)
        memcpy(c->out[0].data + (index ? (int64_t)index[k] : k) * row, c->in[SCATTER_ROWS].data + k * row, bytes);
}

/* ---- the rows */

static const struct op_operand operands_region[] = {{"condition", OPERAND_SUBSET, true},
                                                    {"count", OPERAND_SUBSET, true},
                                                    {"index", OPERAND_SUBSET, true},
                                                    {"yield", OPERAND_VALUE, false}};
static const struct op_operand operands_select[] = {{"score", OPERAND_VALUE, false}};
static const struct op_operand operands_gather[] = {{"x", OPERAND_VALUE, false}, {"index", OPERAND_SUBSET, false}};
static const struct op_operand operands_scatter[] = {{"x", OPERAND_VALUE, false},
                                                     {"rows", OPERAND_VALUE, false},
                                                     {"condition", OPERAND_SUBSET, true},
                                                     {"count", OPERAND_SUBSET, true},
                                                     {"index", OPERAND_SUBSET, true}};
static const struct op_attr attrs_select[] = {
    {.name = "threshold", .def = {.type = ATTR_FLOAT, .f = 0.5}, .help = "a sample is chosen from this score on"},
    {.name = "below", .def = {.type = ATTR_BOOL}, .help = "chosen are those below the threshold"},
};

static const struct op_test tests_select_samples[] = {
    {"score=1,1 threshold=0", 0}, {"score=5,1 threshold=0", 0},  {"score=17,1 threshold=0.3 below=true", 0},
    {"score=6,1 threshold=5", 0}, {"score=6,1 threshold=-5", 0},
};
static const struct op_test tests_gather_samples[] = {
    {"x=1,1 index=1", 0},     {"x=5,3 index=5", 0},        {"x=19,17 index=19", 0},
    {"x=6,3,5,7 index=6", 0}, {"x=17,17,3,3 index=17", 0},
};
static const struct op_test tests_scatter_samples[] = {
    {"x=4,3,5,5 rows=4,3,5,5", 0},
    {"x=6,3,5,7 rows=6,3,5,7 count= index=6", 0},
    {"x=6,5,2,2 rows=6,5,2,2 condition= count= index=6", 0},
    {"x=18,17,3,3 rows=18,17,3,3 count=", 0},
    {"x=19,17 rows=19,17 condition= index=19", 0},
};

#define SUBSET(F, V) .family = &family_copy, .variant = V, .infer = infer_##F, .ref = ref_##F
#define TESTS(F) .tests = tests_##F, .ntests = COUNT_OF(tests_##F)
#define OPERANDS(O) .operands = O, .noperands = COUNT_OF(O)

const struct op_def op_subset_rows[] = {
    {.name = "region",
     .help = "owns nodes that run if a condition holds, on some of the samples",
     .class_ = OP_INTERNAL,
     .family = &family_region,
     .infer = infer_region,
     .ref = ref_region,
     OPERANDS(operands_region),
     .variadic = true,
     .owns = true,
     .nouts = 1},
    {.name = "select_samples",
     .help = "how many samples have a score from a threshold on, and which",
     .class_ = OP_INTERNAL,
     SUBSET(select_samples, COPY_SELECT),
     OPERANDS(operands_select),
     .sums_samples = true,
     .attrs = attrs_select,
     .nattr = COUNT_OF(attrs_select),
     TESTS(select_samples),
     .nouts = 2},
    {.name = "gather_samples",
     .help = "the samples that an index names, side by side",
     .class_ = OP_INTERNAL,
     SUBSET(gather_samples, COPY_GATHER),
     .border = BORDER_IN,
     OPERANDS(operands_gather),
     TESTS(gather_samples),
     .nouts = 1},
    {.name = "scatter_samples",
     .help = "x, with the samples that an index names replaced by rows that lie side by side",
     .class_ = OP_INTERNAL,
     SUBSET(scatter_samples, COPY_SCATTER),
     .border = BORDER_OUT,
     OPERANDS(operands_scatter),
     TESTS(scatter_samples),
     .nouts = 1},
};
const int op_subset_nrows = COUNT_OF(op_subset_rows);
