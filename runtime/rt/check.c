/* check.c: is a compiled model one that this runtime and this machine can run? Tables that are read from elsewhere may
   be older, newer or damaged: everything that a run follows blindly is looked at once, when the model is opened. */
#include <string.h>
#if defined __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "runtime/rt/instance.h"
#include "runtime/rt/number.h"
#include "runtime/rt/pack.h"

enum { ALIGN = 64 }; /* of the state block */

/* ---- the version */

static bool check_abi(const struct rnc_model *m, struct rnc_status *s)
{
    return m->abi == RNC_ABI_VERSION ||
           rnc_fail(s, RNC_ENV,
                    "the model was compiled for ABI version %u of rnc's runtime, this is version %u: compile it again",
                    m->abi, RNC_ABI_VERSION);
}

static bool check_sizes(const struct rnc_model *m, struct rnc_status *s)
{
    static const struct rnc_sizes own = RNC_SIZES;
    const struct {
        const char *name;
        uint32_t model, runtime;
    } rows[] = {
        {"model", m->sizes.model, own.model},    {"step", m->sizes.step, own.step},
        {"argument", m->sizes.arg, own.arg},     {"type", m->sizes.type, own.type},
        {"tensor", m->sizes.tensor, own.tensor}, {"preparation", m->sizes.prepare, own.prepare},
        {"node", m->sizes.node, own.node},       {"value", m->sizes.value, own.value},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (rows[k].model != rows[k].runtime)
            return rnc_fail(
                s, RNC_ENV,
                "the model was compiled for an rnc whose tables have %u bytes for a %s, this runtime's have "
                "%u: compile it again",
                rows[k].model, rows[k].name, rows[k].runtime);
    return true;
}

static bool is_zero(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    while (count && !*p) p++, count--;
    return count == 0;
}

/* What a later version has put into reserved fields. */
static bool refuse_newer(const struct rnc_model *m, const char *what, struct rnc_status *s)
{
    return rnc_fail(s, RNC_ENV,
                    "model %s was compiled by a newer rnc and uses a field of its %s that this runtime does not know: "
                    "link the newer runtime",
                    m->name, what);
}

static bool check_type(const struct rnc_model *m, const struct rnc_type *t, struct rnc_status *s)
{
    if (t->reserved || t->batched > 1 || !is_zero(t->reserved_scales, sizeof t->reserved_scales) ||
        t->dtype >= RNC_NUMBER_TYPES || t->layout > RNC_WINOGRAD_S)
        return refuse_newer(m, "types", s);
    return t->rank <= RNC_MAX_RANK || rnc_fail(s, RNC_ENV, "model %s is damaged: a type of rank %u", m->name, t->rank);
}

static bool check_reserved(const struct rnc_model *m, struct rnc_status *s)
{
    if (!is_zero(m->reserved, sizeof m->reserved)) return refuse_newer(m, "model", s);
    for (uint32_t k = 0; k < m->nprepares; k++)
        if (!is_zero(m->prepares[k].reserved, sizeof m->prepares[k].reserved))
            return refuse_newer(m, "preparations", s);
    for (uint32_t k = 0; k < m->nnodes; k++)
        if (!is_zero(m->nodes[k].reserved, sizeof m->nodes[k].reserved)) return refuse_newer(m, "nodes", s);
    for (uint32_t k = 0; k < m->nvalues; k++)
        if (!check_type(m, &m->values[k].type, s)) return false;
    return true;
}

static bool check_contents(const struct rnc_model *m, struct rnc_status *s)
{
    bool aligned = (uintptr_t)m->state % ALIGN == 0;
    return (aligned && !m->nclasses == !m->classes) ||
           rnc_fail(s, RNC_ENV, "model %s is damaged: what it brings along is not well formed", m->name);
}

/* ---- the machine */

static uint32_t cpu_features(void)
{
    uint32_t bits = 0;
#if defined __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) bits |= RNC_CPU_AVX2;
    if ((bits & RNC_CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        bits |= RNC_CPU_AVX512;
    if ((bits & RNC_CPU_AVX512) && __builtin_cpu_supports("avx512bf16")) bits |= RNC_CPU_AVX512_BF16;
#elif defined __aarch64__
    if (getauxval(AT_HWCAP) & HWCAP_ASIMD) bits |= RNC_CPU_NEON;
#endif
    return bits;
}

static bool check_machine(const struct rnc_model *m, struct rnc_status *s)
{
    static const char *const names[] = {"AVX2 and FMA", "AVX-512 (F, BW, CD, DQ, VL)", "AVX-512 BF16", "NEON"};
    uint32_t missing = m->cpu_features & ~cpu_features();
    for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
        if (missing >> k & 1)
            return rnc_fail(s, RNC_ENV,
                            "model %s was compiled for %s and needs %s, which this CPU does not have: compile it with "
                            "another --cpu",
                            m->name, m->cpu, names[k]);
    return missing == 0 ||
           rnc_fail(s, RNC_ENV, "model %s was compiled for %s, which this runtime does not know", m->name, m->cpu);
}

/* ---- the tables */

static bool is_state(const struct rnc_tensor *t) { return t->role <= RNC_ROLE_OPTIM; }

static bool check_tensors(const struct rnc_model *m, struct rnc_status *s)
{
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (!is_zero(t->reserved, sizeof t->reserved)) return refuse_newer(m, "tensors", s);
        if (!check_type(m, &t->type, s)) return false;
        size_t bytes = rnc_packed_bytes(&t->type);
        if (!is_state(t) || t->offset == RNC_NOT_STORED) continue;
        if (bytes > m->state_bytes || t->offset > m->state_bytes - bytes)
            return rnc_fail(s, RNC_ENV, "model %s is damaged: tensor %s lies outside the state block", m->name,
                            t->name);
    }
    return true;
}

static bool check_args(const struct rnc_model *m, uint32_t step, struct rnc_status *s)
{
    for (uint32_t a = 0; a < m->steps[step].nargs; a++) {
        const struct rnc_arg *arg = &m->steps[step].args[a];
        bool bad = arg->space > RNC_NULL || (arg->space == RNC_ARENA && arg->offset > m->arena_bytes) ||
                   (arg->space == RNC_STATE && arg->offset > m->state_bytes) ||
                   (arg->space == RNC_INPUT && arg->index >= m->ninputs) ||
                   (arg->space == RNC_OUTPUT && arg->index >= m->noutputs);
        if (bad)
            return rnc_fail(s, RNC_ENV, "model %s is damaged: step %u, argument %u lies outside its space", m->name,
                            step, a);
    }
    return true;
}

/* A step by itself; END: the steps of the region that it is in end there. */
static bool check_step(const struct rnc_model *m, uint32_t k, uint32_t end, struct rnc_status *s)
{
    const struct rnc_step *step = &m->steps[k];
    if (step->kind == RNC_STEP_COLLECTIVE)
        return rnc_fail(s, RNC_ENV,
                        "model %s has a sum over processes (step %u, kind COLLECTIVE), which this runtime cannot run",
                        m->name, k);
    if (step->kind > RNC_STEP_COLLECTIVE || !is_zero(step->reserved, sizeof step->reserved))
        return refuse_newer(m, "steps", s);
    bool region = step->kind == RNC_STEP_REGION;
    bool sound = region ? step->nargs == RNC_REGION_ARGS && step->nested <= end - k - 1 && step->node < m->nnodes
                        : step->kernel && !step->nested;
    if (!sound) return rnc_fail(s, RNC_ENV, "model %s is damaged: step %u is not well formed", m->name, k);
    return check_args(m, k, s);
}

static bool check_steps(const struct rnc_model *m, struct rnc_status *s)
{
    uint32_t end[RNC_MAX_NESTING + 1] = {m->nsteps};
    int depth = 0;
    for (uint32_t k = 0; k < m->nsteps; k++) {
        while (k == end[depth]) depth--;
        if (!check_step(m, k, end[depth], s)) return false;
        if (m->steps[k].kind != RNC_STEP_REGION) continue;
        if (depth == RNC_MAX_NESTING)
            return rnc_fail(s, RNC_ENV, "model %s is damaged: more than %d regions in one another", m->name,
                            RNC_MAX_NESTING);
        end[++depth] = k + 1 + m->steps[k].nested;
    }
    return true;
}

bool rnc_model_check(const struct rnc_model *m, struct rnc_status *s)
{
    return check_abi(m, s) && check_sizes(m, s) && check_machine(m, s) && check_reserved(m, s) &&
           check_contents(m, s) && check_tensors(m, s) && check_steps(m, s);
}
