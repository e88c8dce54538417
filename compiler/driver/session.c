/* session.c: a loaded model with threads, memory and weights. */
#include "driver/driver.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "gen/module/trim.h"
#include "ir/op.h"
#include "runtime/rt/hash.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/philox.h"
#include "runtime/io/weights.h"

bool driver_fail(struct driver *d, const struct rnc_status *st)
{
    if (st->code == RNC_ENV) diag_env(d->diags, "%s", st->message);
    else diag_error(d->diags, (struct span){0}, "%s", st->message);
    return false;
}

unsigned driver_exec_flags(void)
{
#ifdef RNC_DEBUG
    return RNC_EXEC_CHECK;
#else
    return getenv("RNC_VERIFY") ? RNC_EXEC_CHECK : 0;
#endif
}

static void note_lines(struct diag *d, char *text)
{
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (*line) diag_note(d, "%s", line);
}

static bool load_weights(struct driver *d, struct rnc_instance *i, const char *path)
{
    struct rnc_status st = {0};
    char *details = NULL;
    if (rnc_weights_load(i, path, 0, &details, &st)) {
        free(details);
        return true;
    }
    struct diag *g = st.code == RNC_ENV ? diag_env(d->diags, "%s", st.message)
                                        : diag_error(d->diags, (struct span){0}, "%s", st.message);
    if (details) note_lines(g, details);
    free(details);
    return false;
}

static bool open_instance(struct driver *d, const struct rnc_model *m, unsigned flags, struct session *s)
{
    struct rnc_status st = {0};
    gen_trim(); /* the model is compiled: what that took is not added to what it takes itself */
    s->pool = rnc_pool_new((int)d->options.threads, &st);
    if (s->pool) {
        s->par = rnc_pool_parallel(s->pool);
        s->instance = rnc_open(m, &s->par, flags | driver_exec_flags(), &st);
    }
    return s->instance || driver_fail(d, &st);
}

void session_close(struct session *s)
{
    if (s->instance) rnc_close(s->instance);
    if (s->pool) rnc_pool_free(s->pool);
    *s = (struct session){0};
}

const struct rnc_tensor *session_tensor(const struct rnc_model *m, enum rnc_role role, const char *name)
{
    for (uint32_t i = 0; i < m->ntensors; i++)
        if (m->tensors[i].role == role && strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    return NULL;
}

int64_t session_classes(const struct graph *raw, const char *target, int64_t *ignore)
{
    GRAPH_EACH(raw, n)
    {
        if (n->nin < 2 || !n->in[1] || n->in[1]->kind != VALUE_TARGET || strcmp(n->in[1]->name, target) != 0) continue;
        if (n->op->compares != COMPARES_CLASSES || n->in[0]->type.rank < 2) continue;
        if (ignore) *ignore = node_int(n, "ignore");
        return n->in[0]->type.dim[1];
    }
    return 0;
}

void **driver_outputs(struct driver *d, const struct built *b)
{
    const struct rnc_model *m = b->model;
    void **out = ARENA_ARRAY(d->arena, void *, m->noutputs + 1);
    for (uint32_t i = 0; i < m->ntensors; i++)
        if (m->tensors[i].role == RNC_ROLE_OUTPUT)
            out[m->tensors[i].offset] = arena_alloc(d->arena, rnc_plain_bytes(&m->tensors[i].type) + 64);
    return out;
}

/* Box and Muller 1958. */
static double normal(uint32_t a, uint32_t b)
{
    return sqrt(-2.0 * log(rnc_unit(a))) * cos(6.283185307179586477 * rnc_unit(b));
}

static void *random_tensor(struct driver *d, const struct built *b, const struct rnc_tensor *t)
{
    int64_t count = rnc_elements(&t->type), classes = session_classes(b->raw, t->name, NULL);
    void *data = arena_alloc(d->arena, rnc_plain_bytes(&t->type) + 64);
    uint64_t key = rnc_hash_text(t->name);
    for (int64_t i = 0; i < count; i++) {
        struct rnc_philox r = rnc_philox(d->options.seed, (uint64_t)i, key);
        if (t->type.dtype == RNC_I64) ((int64_t *)data)[i] = classes ? (int64_t)(r.word[0] % (uint64_t)classes) : 0;
        else
            ((float *)data)[i] =
                (float)(t->role == RNC_ROLE_INPUT ? normal(r.word[0], r.word[1]) : rnc_unit(r.word[0]));
    }
    return data;
}

void **driver_random_inputs(struct driver *d, const struct built *b)
{
    void **in = ARENA_ARRAY(d->arena, void *, b->model->ninputs + 1);
    for (uint32_t i = 0; i < b->model->ntensors; i++) {
        const struct rnc_tensor *t = &b->model->tensors[i];
        if (t->role == RNC_ROLE_INPUT || t->role == RNC_ROLE_TARGET) in[t->offset] = random_tensor(d, b, t);
    }
    return in;
}

void **driver_positive_inputs(struct driver *d, const struct built *b)
{
    void **in = driver_random_inputs(d, b);
    for (uint32_t i = 0; i < b->model->ntensors; i++) {
        const struct rnc_tensor *t = &b->model->tensors[i];
        if (t->role != RNC_ROLE_INPUT || t->type.dtype != RNC_F32) continue;
        float *x = in[t->offset];
        for (int64_t k = 0; k < rnc_elements(&t->type); k++) x[k] = fabsf(x[k]);
    }
    return in;
}

struct perturbed {
    const struct rnc_parallel *par;
    uint64_t seed;
};

static bool read_perturbed(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                           struct rnc_status *st)
{
    const struct perturbed *p = ctx;
    float *x = plain;
    (void)st;
    if (t->type.dtype == RNC_I64) {
        memset(plain, 0, (size_t)count * sizeof(int64_t));
        return true;
    }
    rnc_fresh_values(p->par, t, p->seed, first, count, x);
    bool flat = t->init == RNC_INIT_ZEROS || t->init == RNC_INIT_ONES || t->init == RNC_INIT_CONSTANT;
    if (!flat || (t->role != RNC_ROLE_PARAM && t->role != RNC_ROLE_BUFFER)) return true;
    uint64_t key = rnc_hash_text(t->name);
    for (int64_t i = 0; i < count; i++) {
        double u = rnc_unit(rnc_philox(p->seed, (uint64_t)(first + i), key).word[2]);
        x[i] = (float)(t->init == RNC_INIT_ONES ? 0.5 + u : 0.4 * u - 0.2); /* a variance stays positive */
    }
    return true;
}

/* The sum of a fan of weights would grow with its root once their signs are gone. */
static bool read_same_sign(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                           struct rnc_status *st)
{
    if (!read_perturbed(ctx, t, first, count, plain, st)) return false;
    float *x = plain, scale = t->init_fan > 0 ? 1 / sqrtf((float)t->init_fan) : 1;
    for (int64_t i = 0; i < count && t->type.dtype != RNC_I64; i++) x[i] = fabsf(x[i]) * scale;
    return true;
}

static bool fill(struct driver *d, const struct open_options *o, struct session *s)
{
    struct rnc_status st = {0};
    struct perturbed p = {&s->par, d->options.seed};
    if (o->same_sign)
        return rnc_load(s->instance, &(struct rnc_source){read_same_sign, &p}, true, &st) || driver_fail(d, &st);
    if (o->weights) return load_weights(d, s->instance, o->weights);
    if (!o->perturb) return rnc_initialize(s->instance, d->options.seed, &st) || driver_fail(d, &st);
    return rnc_load(s->instance, &(struct rnc_source){read_perturbed, &p}, true, &st) || driver_fail(d, &st);
}

bool driver_open(struct driver *d, const struct built *b, const struct open_options *o, struct session *s)
{
    *s = (struct session){0};
    if (open_instance(d, b->model, o->flags, s) && fill(d, o, s)) return true;
    session_close(s);
    return false;
}

bool driver_pack(struct driver *d, const struct built *b, const char *weights, struct session *s, const void **state)
{
    struct rnc_status st = {0};
    struct rnc_model *m = ARENA_NEW(d->arena, struct rnc_model);
    gen_unlinked_model(d->arena, b->graph, m);
    *s = (struct session){.instance = rnc_open(m, NULL, 0, &st)};
    if (s->instance ? load_weights(d, s->instance, weights) : driver_fail(d, &st)) {
        *state = rnc_state(s->instance, &(size_t){0});
        return true;
    }
    session_close(s);
    return false;
}

bool driver_run(struct driver *d, struct session *s, const struct rnc_run *run, const void *const *in, void *const *out)
{
    struct rnc_status st = {0};
    return rnc_execute(s->instance, run, in, out, NULL, &st) || driver_fail(d, &st);
}
