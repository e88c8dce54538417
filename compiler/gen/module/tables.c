/* tables.c: the tables of a compiled model (runtime/rt/abi.h) as constant data in an LLVM module, so that the JIT and
   object files share one path. Every struct is built field by field in the order of the C declaration; LLVM lays it out
   by the same rules. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <llvm-c/Target.h>
#include "gen/gen.h"
#include "gen/module/lowering.h"
#include "gen/module/rows.h"
#include "runtime/rt/preprocess.h"

struct tables {
    LLVMContextRef cx;
    LLVMModuleRef mod;
    struct arena *arena;
    const struct lower *lo;
    LLVMTypeRef i8, i32, i64, f64, ptr;
    const struct gen_contents *contents;
    struct rows rows;
    int *value_row; /* value id -> row of values, -1 */
};

typedef LLVMValueRef C; /* a constant */

static C c32(struct tables *t, int64_t x) { return LLVMConstInt(t->i32, (unsigned long long)x, 1); }
static C c64(struct tables *t, uint64_t x) { return LLVMConstInt(t->i64, x, 0); }
static C c8(struct tables *t, int x) { return LLVMConstInt(t->i8, (unsigned long long)x, 0); }

static C global(struct tables *t, C init, unsigned align)
{
    C g = LLVMAddGlobal(t->mod, LLVMTypeOf(init), "");
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, align);
    return g;
}

static C text(struct tables *t, const char *s)
{
    return global(t, LLVMConstStringInContext(t->cx, s, (unsigned)strlen(s), 0), 1);
}

static C structure(struct tables *t, C *fields, unsigned n) { return LLVMConstStructInContext(t->cx, fields, n, 0); }

/* A reserved field. */
static C zeros(LLVMTypeRef type, unsigned n) { return LLVMConstNull(LLVMArrayType2(type, n)); }

static size_t bytes_of(const struct tables *t, C constant)
{
    return LLVMABISizeOfType(LLVMGetModuleDataLayout(t->mod), LLVMTypeOf(constant));
}

/* A pointer to an array of equal structs of BYTES, as the runtime has them; a null pointer for none. */
static C array(struct tables *t, C *rows, int n, size_t bytes)
{
    if (n == 0) return LLVMConstNull(t->ptr);
    assert(bytes_of(t, rows[0]) == bytes);
    return global(t, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, (uint64_t)n), 16);
}

static C type_row(struct tables *t, const struct rnc_type *ty)
{
    C dims[RNC_MAX_RANK];
    for (int i = 0; i < RNC_MAX_RANK; i++) dims[i] = c64(t, (uint64_t)ty->dim[i]);
    C fields[] = {c8(t, ty->dtype),   c8(t, ty->layout), c8(t, ty->rank),
                  c8(t, ty->v),       c8(t, ty->iv),     c8(t, ty->batched),
                  c8(t, ty->bounded), c8(t, 0),          LLVMConstArray2(t->i64, dims, RNC_MAX_RANK),
                  zeros(t->i64, 2)};
    return structure(t, fields, sizeof fields / sizeof *fields);
}

static C place_row(struct tables *t, const struct lower_place *p, C *consts)
{
    C offset = p->space == RNC_CONST ? LLVMConstPtrToInt(consts[p->index], t->i64) : c64(t, p->offset);
    return structure(t, (C[]){c32(t, p->space), c32(t, p->index), offset}, 3);
}

static C *const_globals(struct tables *t)
{
    C *g = ARENA_ARRAY(t->arena, C, t->lo->nconsts ? t->lo->nconsts : 1);
    for (int i = 0; i < t->lo->nconsts; i++)
        g[i] =
            global(t, LLVMConstStringInContext(t->cx, t->lo->consts[i].data, (unsigned)t->lo->consts[i].size, 1), 64);
    return g;
}

static C kernel_symbol(struct tables *t, const char *symbol, LLVMTypeRef type)
{
    C kernel = LLVMGetNamedFunction(t->mod, symbol);
    return kernel ? kernel : LLVMAddFunction(t->mod, symbol, type);
}

static C steps_table(struct tables *t, LLVMTypeRef kernel_type)
{
    const struct lower *lo = t->lo;
    C *consts = const_globals(t), *rows = ARENA_ARRAY(t->arena, C, lo->nsteps ? lo->nsteps : 1);
    for (int i = 0; i < lo->nsteps; i++) {
        const struct lower_step_row *s = &lo->steps[i];
        C *places = ARENA_ARRAY(t->arena, C, s->nargs ? s->nargs : 1);
        for (int k = 0; k < s->nargs; k++) places[k] = place_row(t, &s->places[k], consts);
        const bool region = s->kernel < 0;
        rows[i] = structure(t,
                            (C[]){region ? LLVMConstNull(t->ptr)
                                         : kernel_symbol(t, lo->kernels[s->kernel].symbol, kernel_type),
                                  array(t, places, s->nargs, sizeof(struct rnc_arg)), c64(t, (uint64_t)s->tasks),
                                  c32(t, region ? RNC_STEP_REGION : RNC_STEP_KERNEL), c32(t, s->nargs),
                                  c32(t, s->per_sample), c32(t, s->node), c32(t, s->nested), zeros(t->i32, 3)},
                            9);
    }
    return array(t, rows, lo->nsteps, sizeof(struct rnc_step));
}

static C tensors_table(struct tables *t)
{
    const struct rows *r = &t->rows;
    C *rows = ARENA_ARRAY(t->arena, C, r->ntensors + 1);
    for (int i = 0; i < r->ntensors; i++) {
        const struct rnc_tensor *x = &r->tensors[i];
        rows[i] = structure(t,
                            (C[]){text(t, x->name), c8(t, x->role), c8(t, x->init), zeros(t->i8, 6),
                                  c64(t, (uint64_t)x->init_fan), type_row(t, &x->type), c64(t, x->offset),
                                  LLVMConstReal(t->f64, x->init_value)},
                            8);
    }
    return array(t, rows, r->ntensors, sizeof(struct rnc_tensor));
}

static C prepares_table(struct tables *t)
{
    const struct rows *r = &t->rows;
    C *rows = ARENA_ARRAY(t->arena, C, r->nprepares + 1);
    for (int i = 0; i < r->nprepares; i++) {
        const struct rnc_prepare *p = &r->prepares[i];
        C in[6], out[2];
        for (int k = 0; k < 6; k++) in[k] = c32(t, p->in[k]);
        for (int k = 0; k < 2; k++)
            out[k] = structure(t, (C[]){type_row(t, &p->out[k].type), c64(t, p->out[k].offset)}, 2);
        rows[i] = structure(t,
                            (C[]){c32(t, p->kind), LLVMConstArray2(t->i32, in, 6),
                                  LLVMConstArray2(LLVMTypeOf(out[0]), out, 2), c32(t, p->axis),
                                  LLVMConstReal(t->f64, p->eps), zeros(t->i64, 2)},
                            6);
    }
    return array(t, rows, r->nprepares, sizeof(struct rnc_prepare));
}

static C values_table(struct tables *t, int *count)
{
    const struct graph *g = t->lo->graph;
    static const int spaces[] = {[SPACE_NONE] = RNC_NULL,
                                 [SPACE_ARENA] = RNC_ARENA,
                                 [SPACE_STATE] = RNC_STATE,
                                 [SPACE_INPUT] = RNC_INPUT,
                                 [SPACE_OUTPUT] = RNC_OUTPUT};
    C *rows = ARENA_ARRAY(t->arena, C, g->nvalues + 1);
    t->value_row = ARENA_ARRAY(t->arena, int, g->nvalues + 1);
    int n = 0;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        t->value_row[i] = -1;
        if (v->kind != VALUE_NODE || !v->def) continue;
        const struct value *s = value_storage(v);
        bool indexed = s->space == SPACE_INPUT || s->space == SPACE_OUTPUT;
        C place = structure(t,
                            (C[]){c32(t, spaces[s->space]), c32(t, indexed ? (int64_t)s->offset : 0),
                                  c64(t, indexed ? 0 : s->offset)},
                            3);
        const struct rnc_type type = rows_type(&v->type);
        rows[n] = structure(t, (C[]){text(t, v->name), type_row(t, &type), place}, 3);
        t->value_row[i] = n++;
    }
    *count = n;
    return array(t, rows, n, sizeof(struct rnc_value));
}

_Static_assert((int)RNC_NODE_OUTS == (int)MAX_OUTS, "the tables name every result of a node");
static C nodes_table(struct tables *t)
{
    const struct lower *lo = t->lo;
    C *rows = ARENA_ARRAY(t->arena, C, lo->nnodes ? lo->nnodes : 1);
    for (int i = 0; i < lo->nnodes; i++) {
        const struct lower_node *r = &lo->nodes[i];
        const struct node *owner = r->node->owner;
        const int region = owner ? lo->node_of[owner->index] : -1;
        C out[RNC_NODE_OUTS];
        for (int k = 0; k < RNC_NODE_OUTS; k++)
            out[k] = c32(t, k < r->node->nout ? t->value_row[r->node->out[k]->id] : -1);
        rows[i] =
            structure(t,
                      (C[]){text(t, r->name), text(t, r->op), text(t, op_phase_name(r->phase)), text(t, r->algorithm),
                            c64(t, (uint64_t)r->flops), c64(t, (uint64_t)r->executed), c64(t, (uint64_t)r->bytes),
                            LLVMConstArray2(t->i32, out, RNC_NODE_OUTS), c32(t, region), zeros(t->i32, 3)},
                      10);
    }
    return array(t, rows, lo->nnodes, sizeof(struct rnc_node));
}

static int count_inputs(const struct rows *r)
{
    int n = 0;
    for (int i = 0; i < r->ntensors; i++)
        n += r->tensors[i].role == RNC_ROLE_INPUT || r->tensors[i].role == RNC_ROLE_TARGET;
    return n;
}

/* The weights as the instance has them, 64-byte aligned; a null pointer for none. */
static C state_block(struct tables *t)
{
    const struct gen_contents *c = t->contents;
    if (!c->state) return LLVMConstNull(t->ptr);
    return global(t, LLVMConstStringInContext2(t->cx, c->state, t->lo->graph->state_bytes, 1), 64);
}

static C classes_table(struct tables *t)
{
    const struct gen_contents *c = t->contents;
    C *names = ARENA_ARRAY(t->arena, C, c->nclasses + 1);
    for (int k = 0; k < c->nclasses; k++) names[k] = text(t, c->classes[k]);
    return array(t, names, c->nclasses, sizeof(char *));
}

_Static_assert((int)REGION_CONDITION == RNC_REGION_CONDITION && (int)REGION_COUNT == RNC_REGION_COUNT &&
                   (int)REGION_INDEX == RNC_REGION_INDEX && (int)REGION_YIELD == RNC_REGION_ARGS,
               "a region's operands are its step's arguments");
_Static_assert((int)MAX_NESTING == RNC_MAX_NESTING, "the runtime takes what the verifier takes");

static C numbers(struct tables *t, const double *x)
{
    C list[RNC_PREPROCESS_CHANNELS];
    for (int k = 0; k < RNC_PREPROCESS_CHANNELS; k++) list[k] = LLVMConstReal(t->f64, x[k]);
    return LLVMConstArray2(t->f64, list, RNC_PREPROCESS_CHANNELS);
}

static C preprocess_row(struct tables *t)
{
    const struct rnc_preprocess *p = t->contents->preprocess;
    if (!p) return LLVMConstNull(t->ptr);
    C geometry = structure(
        t, (C[]){c32(t, p->geometry.fit), LLVMConstReal(t->f64, p->geometry.share), c64(t, (uint64_t)p->geometry.fill)},
        3);
    C row = structure(t,
                      (C[]){geometry, c64(t, (uint64_t)p->channels), c8(t, p->bgr), LLVMConstReal(t->f64, p->black),
                            LLVMConstReal(t->f64, p->white), numbers(t, p->mean), numbers(t, p->std)},
                      7);
    return array(t, &row, 1, sizeof *p);
}

/* What the runtime compares with its own (the order of struct rnc_sizes). */
static C sizes_row(struct tables *t)
{
    static const struct rnc_sizes s = RNC_SIZES;
    const uint32_t bytes[] = {s.model, s.step, s.arg, s.type, s.tensor, s.prepare, s.node, s.value};
    C fields[sizeof bytes / sizeof *bytes];
    _Static_assert(sizeof bytes == sizeof s, "a field of struct rnc_sizes is missing");
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) fields[i] = c32(t, bytes[i]);
    return structure(t, fields, sizeof bytes / sizeof *bytes);
}

static void tables_begin(struct tables *t)
{
    LLVMContextRef cx = t->cx;
    t->i8 = LLVMInt8TypeInContext(cx);
    t->i32 = LLVMInt32TypeInContext(cx);
    t->i64 = LLVMInt64TypeInContext(cx);
    t->f64 = LLVMDoubleTypeInContext(cx);
    t->ptr = LLVMPointerTypeInContext(cx, 0);
    rows_of(t->arena, t->lo->graph, &t->rows);
}

void tables_emit(const struct lower *lo, LLVMContextRef cx, LLVMModuleRef mod, const char *model,
                 const struct gen_contents *contents)
{
    struct tables tb = {.cx = cx, .mod = mod, .arena = lo->arena, .lo = lo, .contents = contents}, *t = &tb;
    tables_begin(t);
    LLVMTypeRef kernel_type =
        LLVMFunctionType(LLVMVoidTypeInContext(cx), (LLVMTypeRef[]){t->ptr, t->ptr, t->ptr, t->i64, t->i64}, 5, 0);
    const struct graph *g = lo->graph;
    int nvalues;
    C steps = steps_table(t, kernel_type), tensors = tensors_table(t), prepares = prepares_table(t);
    C values = values_table(t, &nvalues), nodes = nodes_table(t);
    C fields[] = {
        c32(t, RNC_ABI_VERSION),
        c32(t, g->train),
        sizes_row(t),
        text(t, g->name),
        text(t, lo->target->name),
        c32(t, lo->target->feature_bits & FEATURES_CHECKED),
        c32(t, lo->target->lanes),
        c64(t, (uint64_t)g->batch),
        steps,
        c32(t, lo->nsteps),
        tensors,
        c32(t, t->rows.ntensors),
        prepares,
        c32(t, t->rows.nprepares),
        nodes,
        c32(t, lo->nnodes),
        values,
        c32(t, nvalues),
        c32(t, count_inputs(&t->rows)),
        c32(t, g->noutputs),
        c64(t, g->state_bytes),
        c64(t, g->arena_bytes),
        c64(t, g->lower_bound_bytes),
        c64(t, lo->scratch_bytes),
        state_block(t),
        classes_table(t),
        c64(t, (uint64_t)contents->nclasses),
        preprocess_row(t),
        zeros(t->i64, 4),
    };
    C init = structure(t, fields, sizeof fields / sizeof *fields);
    assert(bytes_of(t, init) == sizeof(struct rnc_model));
    C m = LLVMAddGlobal(mod, LLVMTypeOf(init), model);
    LLVMSetInitializer(m, init);
    LLVMSetGlobalConstant(m, 1);
    LLVMSetAlignment(m, 64);
}
