/* rows.c: see rows.h. */
#include "gen/module/rows.h"
#include <assert.h>
#include <string.h>
#include "gen/gen.h"
#include "ir/op.h"
#include "pass/pass.h"

/* What the runtime knows under names of its own. */
#define SAME(compiler, runtime) _Static_assert((int)(compiler) == (int)(runtime), #compiler " is not " #runtime)
SAME(LAYOUT_PLAIN, RNC_PLAIN);
SAME(LAYOUT_BLOCKED, RNC_BLOCKED);
SAME(LAYOUT_WEIGHT, RNC_WEIGHT);
SAME(LAYOUT_WEIGHT_T, RNC_WEIGHT_T);
SAME(LAYOUT_DEPTHWISE, RNC_DEPTHWISE);
SAME(LAYOUT_WINOGRAD, RNC_WINOGRAD);
SAME(LAYOUT_WINOGRAD_T, RNC_WINOGRAD_T);
SAME(LAYOUT_WINOGRAD_S, RNC_WINOGRAD_S);
SAME(FEATURE_AVX2, RNC_CPU_AVX2);
SAME(FEATURE_AVX512, RNC_CPU_AVX512);
SAME(FEATURE_AVX512_BF16, RNC_CPU_AVX512_BF16);
SAME(FEATURE_NEON, RNC_CPU_NEON);
SAME(FEATURES_CHECKED, RNC_CPU_AVX2 | RNC_CPU_AVX512 | RNC_CPU_AVX512_BF16 | RNC_CPU_NEON);
_Static_assert((int)MAX_RANK <= (int)RNC_MAX_RANK, "a type fits");
#undef SAME

struct rnc_type rows_type(const struct type *t)
{
    struct rnc_type r = {.dtype = (uint8_t)t->dtype,
                         .layout = (uint8_t)t->layout,
                         .rank = (uint8_t)t->rank,
                         .v = (uint8_t)t->v,
                         .iv = (uint8_t)t->iv,
                         .batched = t->batched,
                         .bounded = t->bounded};
    for (int i = 0; i < t->rank; i++) r.dim[i] = t->dim[i];
    return r;
}

static const int roles[] = {
    [VALUE_INPUT] = RNC_ROLE_INPUT,   [VALUE_TARGET] = RNC_ROLE_TARGET,   [VALUE_PARAM] = RNC_ROLE_PARAM,
    [VALUE_BUFFER] = RNC_ROLE_BUFFER, [VALUE_COUNTER] = RNC_ROLE_COUNTER, [VALUE_OPTIM] = RNC_ROLE_OPTIM};
static const int inits[] = {[INIT_ZEROS] = RNC_INIT_ZEROS,
                            [INIT_ONES] = RNC_INIT_ONES,
                            [INIT_KAIMING_NORMAL] = RNC_INIT_KAIMING_NORMAL,
                            [INIT_UNIFORM_FAN_IN] = RNC_INIT_UNIFORM_FAN_IN,
                            [INIT_CONSTANT] = RNC_INIT_CONSTANT,
                            [INIT_UNIFORM] = RNC_INIT_UNIFORM,
                            [INIT_TRUNCATED_NORMAL] = RNC_INIT_TRUNCATED_NORMAL};

static struct rnc_tensor tensor_row(const char *name, int role, const struct value *v, const struct type *t,
                                    uint64_t offset)
{
    return (struct rnc_tensor){.name = name,
                               .role = (uint8_t)role,
                               .init = (uint8_t)inits[v->init],
                               .init_fan = v->init_fan,
                               .type = rows_type(t),
                               .offset = offset,
                               .init_value = v->init_value};
}

/* VALUE_ROW: by value id, its row. */
static void add_tensors(const struct graph *g, struct rows *r, int *value_row)
{
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_NODE) continue;
        uint64_t offset = v->space == SPACE_NONE ? RNC_NOT_STORED : v->offset;
        value_row[i] = r->ntensors;
        r->tensors[r->ntensors++] = tensor_row(v->name, roles[v->kind], v, &v->type, offset);
    }
    for (int i = 0; i < g->noutputs; i++) {
        struct type plain = g->outputs[i].value->type;
        plain.layout = LAYOUT_PLAIN;
        plain.v = plain.iv = 0;
        r->tensors[r->ntensors++] =
            tensor_row(g->outputs[i].label, RNC_ROLE_OUTPUT, g->outputs[i].value, &plain, (uint64_t)i);
    }
}

static struct rnc_prepare prepare_row(const struct node *n, const int *value_row)
{
    bool fold = n->op->phase == PHASE_PREPARE;
    struct rnc_prepare p = {.kind = fold ? RNC_PREPARE_BN_FOLD : RNC_PREPARE_PACK,
                            .axis = fold ? (uint32_t)node_int(n, "axis") : 0,
                            .eps = fold ? node_float(n, "eps") : 0};
    for (int i = 0; i < 6; i++) {
        const struct value *v = i < n->nin ? n->in[i] : NULL;
        p.in[i] = v ? value_row[v->id] : -1;
        assert((!v || p.in[i] >= 0) && "a preparation reads something that is not an argument");
    }
    for (int i = 0; i < 2; i++) {
        const struct value *v = n->out[i < n->nout ? i : 0];
        p.out[i] = (struct rnc_prepared){rows_type(&v->type), value_storage(v)->offset};
    }
    return p;
}

void rows_of(struct arena *a, const struct graph *g, struct rows *r)
{
    int *value_row = ARENA_ARRAY(a, int, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) value_row[i] = -1;
    *r = (struct rows){.tensors = ARENA_ARRAY(a, struct rnc_tensor, g->nvalues + g->noutputs + 1),
                       .prepares = ARENA_ARRAY(a, struct rnc_prepare, g->nnodes + 1)};
    add_tensors(g, r, value_row);
    GRAPH_EACH(g, n)
    {
        if (n->prepare) r->prepares[r->nprepares++] = prepare_row(n, value_row);
    }
}

void gen_unlinked_model(struct arena *a, const struct graph *g, struct rnc_model *m)
{
    struct rows r;
    rows_of(a, g, &r);
    *m = (struct rnc_model){.abi = RNC_ABI_VERSION,
                            .train = g->train,
                            .sizes = RNC_SIZES,
                            .name = g->name,
                            .cpu = "any",
                            .batch = g->batch,
                            .tensors = r.tensors,
                            .ntensors = (uint32_t)r.ntensors,
                            .prepares = r.prepares,
                            .nprepares = (uint32_t)r.nprepares,
                            .state_bytes = g->state_bytes};
}
