/* load.c: parameters by name, and the forms of them that the kernels read. What the state stores as it is goes there;
   weights that are only read folded or rearranged go through slabs of a few hundred KiB from their source to those
   forms, and nothing keeps the plain ones. */
#include "runtime/rt/exec.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/hash.h"
#include "runtime/rt/instance.h"
#include "runtime/rt/number.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/philox.h"

enum { SLAB_BYTES = 512 << 10, FILL_CHUNK = 4096, FOLD_INPUTS = 6 };

static bool is_state(const struct rnc_tensor *t) { return t->role <= RNC_ROLE_OPTIM; }
static bool is_stored(const struct rnc_tensor *t) { return t->offset != RNC_NOT_STORED; }

/* ---- plain and packed */

struct rnc_type rnc_instance_plain_type(const struct rnc_type *t)
{
    struct rnc_type f = *t;
    f.layout = RNC_PLAIN;
    f.dtype = (uint8_t)rnc_number_computed(f.dtype);
    return f;
}

static size_t user_bytes(const struct rnc_type *t)
{
    struct rnc_type f = rnc_instance_plain_type(t);
    return rnc_plain_bytes(&f);
}

static bool pack_plain(const struct rnc_type *t, const void *plain, void *packed, struct rnc_status *s)
{
    if (!rnc_number_rounded(t->dtype)) {
        rnc_pack(t, plain, packed);
        return true;
    }
    void *narrow = malloc(rnc_plain_bytes(t) + 1);
    if (!narrow) return rnc_instance_no_memory(s, "conversion", rnc_plain_bytes(t));
    rnc_number_narrow(t->dtype, plain, narrow, rnc_elements(t));
    rnc_pack(t, narrow, packed);
    free(narrow);
    return true;
}

bool rnc_instance_unpack(const struct rnc_type *t, const void *packed, void *plain, struct rnc_status *s)
{
    if (!rnc_number_rounded(t->dtype)) {
        rnc_unpack(t, packed, plain);
        return true;
    }
    void *narrow = malloc(rnc_plain_bytes(t) + 1);
    if (!narrow) return rnc_instance_no_memory(s, "conversion", rnc_plain_bytes(t));
    rnc_unpack(t, packed, narrow);
    rnc_number_widen(t->dtype, narrow, plain, rnc_elements(t));
    free(narrow);
    return true;
}

/* ---- which prepared forms read a tensor */

static bool reads(const struct rnc_prepare *p, uint32_t tensor)
{
    for (int k = 0; k < FOLD_INPUTS; k++)
        if (p->in[k] == (int32_t)tensor) return true;
    return false;
}

static bool is_prepared(const struct rnc_instance *i, uint32_t tensor)
{
    for (uint32_t k = 0; k < i->model->nprepares; k++)
        if (reads(&i->model->prepares[k], tensor)) return true;
    return false;
}

/* Frees the plain form of every tensor whose prepared forms are all there. */
static void release(struct rnc_instance *i)
{
    const struct rnc_model *m = i->model;
    for (uint32_t t = 0; t < m->ntensors && !(i->flags & RNC_EXEC_KEEP); t++) {
        bool waited_for = false;
        for (uint32_t k = 0; k < m->nprepares && i->plain[t]; k++)
            waited_for |= reads(&m->prepares[k], t) && !i->ready[k];
        if (!i->plain[t] || waited_for || !is_prepared(i, t)) continue;
        free(i->plain[t]);
        i->plain[t] = NULL;
    }
}

static bool keep(struct rnc_instance *i, const struct rnc_tensor *t, const void *plain, struct rnc_status *s)
{
    void **place = &i->plain[t - i->model->tensors];
    size_t bytes = user_bytes(&t->type);
    if (!*place) *place = malloc(bytes + 1);
    if (!*place) return rnc_instance_no_memory(s, t->name, bytes);
    memcpy(*place, plain, bytes);
    return true;
}

/* ---- preparing */

/* The vectors of a folded batch norm, one value for each channel: bias, weight, bias, mean, var of the tensors; the
   folded bias. */
struct fold {
    float *x[FOLD_INPUTS], *folded;
};

static void fold_free(struct fold *f)
{
    for (int k = 1; k < FOLD_INPUTS; k++) free(f->x[k]);
    free(f->folded);
}

static bool fold_read(const struct rnc_model *m, const struct rnc_prepare *p, const struct rnc_source *from,
                      struct fold *f, struct rnc_status *s)
{
    int64_t channels = m->tensors[p->in[0]].type.dim[p->axis];
    size_t bytes = (size_t)channels * sizeof(float);
    for (int k = 1; k < FOLD_INPUTS; k++) {
        if (p->in[k] < 0) continue;
        const struct rnc_tensor *t = &m->tensors[p->in[k]];
        f->x[k] = malloc(bytes + 1);
        if (!f->x[k]) return rnc_instance_no_memory(s, t->name, bytes);
        if (!from->read(from->ctx, t, 0, channels, f->x[k], s)) return false;
    }
    f->folded = malloc(bytes + 1);
    return f->folded || rnc_instance_no_memory(s, "folded bias", bytes);
}

/* Batch norm's fold into the rows of a weight that begin at channel FIRST. */
static void fold_rows(const struct rnc_prepare *p, const struct fold *f, const struct rnc_type *rows, int64_t first,
                      float *w)
{
    rnc_bn_fold(rows, p->axis, p->eps, w, f->x[1] ? f->x[1] + first : NULL, f->x[2] + first, f->x[3] + first,
                f->x[4] + first, f->x[5] + first, f->folded + first);
}

/* Rows of the first dimension that are packed at once. In these layouts a block of v rows is contiguous in both forms;
   of others, all. */
static int64_t slab_rows(const struct rnc_type *t, bool whole)
{
    int64_t rows = t->rank > 0 ? t->dim[0] : 1, unit = t->v > 0 ? t->v : 16;
    bool by_rows = t->layout == RNC_PLAIN || t->layout == RNC_WEIGHT || t->layout == RNC_DEPTHWISE ||
                   t->layout == RNC_WINOGRAD || t->layout == RNC_WINOGRAD_S;
    if (whole || !by_rows || t->rank < 2) return rows;
    int64_t unit_bytes = (int64_t)user_bytes(t) / rows * unit, units = unit_bytes > 0 ? SLAB_BYTES / unit_bytes : 1;
    int64_t at_once = (units > 0 ? units : 1) * unit;
    return at_once < rows ? at_once : rows;
}

/* Reads T from its source slab by slab, folds if P says so, and packs it as TO at AT. */
static bool put_slabs(const struct rnc_tensor *t, const struct rnc_type *to, char *at, const struct rnc_source *from,
                      const struct rnc_prepare *p, const struct fold *f, struct rnc_status *s)
{
    int64_t all = to->rank > 0 ? to->dim[0] : 1,
            rows = slab_rows(to, p && p->kind == RNC_PREPARE_BN_FOLD && p->axis != 0);
    int64_t inner = all > 0 ? rnc_elements(to) / all : 0;
    struct rnc_type slab = *to;
    if (slab.rank > 0) slab.dim[0] = rows;
    size_t bytes = rnc_packed_bytes(&slab);
    void *w = malloc(user_bytes(&slab) + 1);
    if (!w) return rnc_instance_no_memory(s, t->name, user_bytes(&slab));
    bool ok = true;
    for (int64_t row = 0; row < all && ok; row += rows, at += bytes) {
        int64_t count = all - row < rows ? all - row : rows;
        if (slab.rank > 0) slab.dim[0] = count;
        ok = from->read(from->ctx, t, row * inner, count * inner, w, s);
        if (ok && p && p->kind == RNC_PREPARE_BN_FOLD) fold_rows(p, f, &slab, row, w);
        ok = ok && pack_plain(&slab, w, at, s);
    }
    free(w);
    return ok;
}

static bool prepare_one(struct rnc_instance *i, const struct rnc_prepare *p, const struct rnc_source *from,
                        struct rnc_status *s)
{
    struct fold f = {0};
    i->ready[p - i->model->prepares] = false;
    bool fold = p->kind == RNC_PREPARE_BN_FOLD, ok = !fold || fold_read(i->model, p, from, &f, s);
    ok = ok &&
         put_slabs(&i->model->tensors[p->in[0]], &p->out[0].type, i->state.data + p->out[0].offset, from, p, &f, s);
    ok = ok && (!fold || pack_plain(&p->out[1].type, f.folded, i->state.data + p->out[1].offset, s));
    fold_free(&f);
    if (ok) i->ready[p - i->model->prepares] = true;
    return ok;
}

/* ---- what the instance has */

static bool not_kept(const struct rnc_instance *i, const struct rnc_tensor *t, struct rnc_status *s)
{
    return rnc_fail(s, RNC_USER,
                    "model %s does not have '%s' as it is set, only what its kernels make of it: set it (again) with "
                    "all that is folded into it",
                    i->model->name, t->name);
}

static bool get_tensor(const struct rnc_instance *i, const struct rnc_tensor *t, void *plain, struct rnc_status *s)
{
    uint32_t index = (uint32_t)(t - i->model->tensors);
    if (is_stored(t)) return rnc_instance_unpack(&t->type, i->state.data + t->offset, plain, s);
    if (i->plain[index]) memcpy(plain, i->plain[index], user_bytes(&t->type));
    else if (is_prepared(i, index)) return not_kept(i, t, s);
    else memset(plain, 0, user_bytes(&t->type));
    return true;
}

/* The instance as a source. A stored tensor is read whole, however little is wanted: only what is both stored and
   prepared pays for that. */
static bool read_own(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                     struct rnc_status *s)
{
    const struct rnc_instance *i = ctx;
    size_t bytes = user_bytes(&t->type);
    int64_t elements = rnc_elements(&t->type);
    if (first == 0 && count == elements) return get_tensor(i, t, plain, s);
    const char *kept = i->plain[t - i->model->tensors];
    char *all = kept ? NULL : malloc(bytes + 1);
    if (!kept && !all) return rnc_instance_no_memory(s, t->name, bytes);
    bool ok = kept || get_tensor(i, t, all, s);
    size_t size = elements > 0 ? bytes / (size_t)elements : 0;
    if (ok) memcpy(plain, (kept ? kept : all) + (size_t)first * size, (size_t)count * size);
    free(all);
    return ok;
}

/* Are P's operands set, and by rnc_set alone? */
static bool is_complete(const struct rnc_instance *i, const struct rnc_prepare *p)
{
    for (int k = 0; k < FOLD_INPUTS; k++)
        if (p->in[k] >= 0 && !i->plain[p->in[k]]) return false;
    return true;
}

/* ---- what a run needs */

/* Must tensor T be set, once or again? The optimizer's state and counters begin at zero. */
static bool is_missing(const struct rnc_instance *i, uint32_t t)
{
    const struct rnc_model *m = i->model;
    if (m->tensors[t].role != RNC_ROLE_PARAM && m->tensors[t].role != RNC_ROLE_BUFFER) return false;
    if (is_stored(&m->tensors[t])) return !i->set[t];
    for (uint32_t k = 0; k < m->nprepares && !i->plain[t]; k++)
        if (!i->ready[k] && reads(&m->prepares[k], t)) return true;
    return false;
}

/* Is everything set? The first names of what is not, and how many there are. */
static bool is_set(const struct rnc_instance *i, struct rnc_status *s)
{
    enum { NAMED = 3 };
    char names[256] = "";
    size_t len = 0;
    uint32_t missing = 0;
    for (uint32_t t = 0; t < i->model->ntensors; t++) {
        if (!is_missing(i, t)) continue;
        if (missing++ < NAMED && len < sizeof names)
            len +=
                (size_t)snprintf(names + len, sizeof names - len, "%s'%s'", len ? ", " : "", i->model->tensors[t].name);
    }
    if (missing == 0) return true;
    return rnc_fail(s, RNC_USER, "model %s has no values for %u of its tensors: %s%s (rnc_set each, then rnc_prepare)",
                    i->model->name, missing, names, missing > NAMED ? ", …" : "");
}

bool rnc_instance_complete(struct rnc_instance *i, struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    if (i->complete) return true;
    if (!is_set(i, s)) return false;
    for (uint32_t k = 0; k < m->nprepares; k++)
        if (!i->ready[k])
            return rnc_fail(s, RNC_USER,
                            "model %s is not prepared: what its kernels make of '%s' is older than what was set last, "
                            "or rnc_prepare has failed",
                            m->name, m->tensors[m->prepares[k].in[0]].name);
    i->complete = true;
    return true;
}

bool rnc_prepare(struct rnc_instance *i, struct rnc_status *s)
{
    if (i->borrowed) return true;
    if (!is_set(i, s)) return false;
    struct rnc_source own = {read_own, i};
    for (uint32_t k = 0; k < i->model->nprepares; k++) {
        const struct rnc_prepare *p = &i->model->prepares[k];
        bool stored = false;
        for (int in = 0; in < FOLD_INPUTS; in++) stored |= p->in[in] >= 0 && is_stored(&i->model->tensors[p->in[in]]);
        if ((!i->ready[k] || stored) && !prepare_one(i, p, &own, s)) return false;
    }
    release(i);
    return true;
}

/* ---- state by name */

static const struct rnc_tensor *find_state(const struct rnc_instance *i, const char *name, struct rnc_status *s)
{
    for (uint32_t k = 0; k < i->model->ntensors; k++)
        if (is_state(&i->model->tensors[k]) && !strcmp(i->model->tensors[k].name, name)) return &i->model->tensors[k];
    rnc_fail(s, RNC_USER, "model %s has no parameter or buffer named '%s'", i->model->name, name);
    return NULL;
}

/* What T completes is prepared at once, so that the plain forms of one layer at a time are here. */
static bool settle(struct rnc_instance *i, uint32_t t, struct rnc_status *s)
{
    struct rnc_source own = {read_own, i};
    i->complete = false;
    for (uint32_t k = 0; k < i->model->nprepares; k++) {
        const struct rnc_prepare *p = &i->model->prepares[k];
        if (!reads(p, t)) continue;
        i->ready[k] = false;
        if (is_complete(i, p) && !prepare_one(i, p, &own, s)) return false;
    }
    release(i);
    return true;
}

static bool set_tensor(struct rnc_instance *i, const struct rnc_tensor *t, const void *plain, struct rnc_status *s)
{
    uint32_t index = (uint32_t)(t - i->model->tensors);
    if (!is_stored(t)) return keep(i, t, plain, s) && settle(i, index, s);
    if (!pack_plain(&t->type, plain, i->state.data + t->offset, s)) return false;
    i->set[index] = true;
    return settle(i, index, s);
}

/* Weights inside the model are read-only. */
static bool may_write(const struct rnc_instance *i, struct rnc_status *s)
{
    return !i->borrowed || rnc_fail(s, RNC_USER,
                                    "the weights of model %s lie in its object, read-only: open it with RNC_EXEC_COPY "
                                    "to give it others",
                                    i->model->name);
}

bool rnc_set(struct rnc_instance *i, const char *name, const void *plain, struct rnc_status *s)
{
    const struct rnc_tensor *t = may_write(i, s) ? find_state(i, name, s) : NULL;
    return t && set_tensor(i, t, plain, s);
}

bool rnc_get(const struct rnc_instance *i, const char *name, void *plain, struct rnc_status *s)
{
    const struct rnc_tensor *t = find_state(i, name, s);
    return t && get_tensor(i, t, plain, s);
}

/* ---- all at once */

/* What was set before is not there any more. */
static void forget(struct rnc_instance *i)
{
    i->complete = false;
    memset(i->set, 0, i->model->ntensors * sizeof *i->set);
    memset(i->ready, 0, i->model->nprepares * sizeof *i->ready);
}

static bool load_whole(struct rnc_instance *i, const struct rnc_tensor *t, const struct rnc_source *from,
                       struct rnc_status *s)
{
    void *plain = calloc(1, user_bytes(&t->type) + 1);
    if (!plain) return rnc_instance_no_memory(s, t->name, user_bytes(&t->type));
    bool ok = from->read(from->ctx, t, 0, rnc_elements(&t->type), plain, s) && keep(i, t, plain, s);
    free(plain);
    return ok;
}

bool rnc_load(struct rnc_instance *i, const struct rnc_source *from, bool optim, struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    if (!may_write(i, s)) return false;
    forget(i);
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (!is_state(t) || (t->role == RNC_ROLE_OPTIM && !optim)) continue;
        bool wanted = is_stored(t) || (i->flags & RNC_EXEC_KEEP) || !is_prepared(i, k);
        bool ok = !wanted || (is_stored(t) ? put_slabs(t, &t->type, i->state.data + t->offset, from, NULL, NULL, s)
                                           : load_whole(i, t, from, s));
        if (!ok) return false;
        i->set[k] = true;
    }
    for (uint32_t k = 0; k < m->nprepares; k++)
        if (!prepare_one(i, &m->prepares[k], from, s)) return false;
    release(i);
    return true;
}

/* ---- fresh parameters */

struct fill {
    float *x;
    int64_t first, count;
    uint8_t init;
    double scale;
    uint64_t seed, hash;
};

/* Box and Muller 1958: two uniform numbers give two normal ones. */
static void normal_pair(uint32_t a, uint32_t b, double *x, double *y)
{
    double r = sqrt(-2.0 * log(rnc_unit(a))), angle = 6.283185307179586477 * rnc_unit(b);
    *x = r * cos(angle);
    *y = r * sin(angle);
}

/* Four normal numbers within ±2: of those drawn one after the other, the first that are. */
static void cut_four(const struct fill *f, int64_t group, double out[4])
{
    int have = 0;
    for (uint64_t attempt = 0; have < 4; attempt++) {
        struct rnc_philox r = rnc_philox(f->seed, (uint64_t)group, f->hash + attempt);
        double four[4];
        normal_pair(r.word[0], r.word[1], &four[0], &four[1]);
        normal_pair(r.word[2], r.word[3], &four[2], &four[3]);
        for (int k = 0; k < 4 && have < 4; k++)
            if (fabs(four[k]) <= 2) out[have++] = four[k];
    }
}

static void fill_four(const struct fill *f, int64_t group, double out[4])
{
    if (f->init == RNC_INIT_TRUNCATED_NORMAL) {
        cut_four(f, group, out);
        return;
    }
    struct rnc_philox r = rnc_philox(f->seed, (uint64_t)group, f->hash);
    if (f->init == RNC_INIT_KAIMING_NORMAL) {
        normal_pair(r.word[0], r.word[1], &out[0], &out[1]);
        normal_pair(r.word[2], r.word[3], &out[2], &out[3]);
        return;
    }
    for (int k = 0; k < 4; k++) out[k] = 2.0 * rnc_unit(r.word[k]) - 1.0;
}

/* Values come in groups of four; FIRST is a group's first. */
static void fill_chunks(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct fill *f = ctx;
    int64_t last = end * FILL_CHUNK < f->count ? end * FILL_CHUNK : f->count;
    (void)worker;
    for (int64_t at = begin * FILL_CHUNK; at < last; at += 4) {
        double four[4];
        fill_four(f, (f->first + at) / 4, four);
        for (int64_t k = 0; k < 4 && at + k < last; k++) f->x[at + k] = (float)(four[k] * f->scale);
    }
}

/* From a group's first value to the one asked for. */
static void fill_head(struct fill *f)
{
    int64_t skip = f->first % 4;
    if (skip == 0) return;
    double four[4];
    fill_four(f, f->first / 4, four);
    for (; skip < 4 && f->count > 0; skip++, f->first++, f->count--) *f->x++ = (float)(four[skip] * f->scale);
}

void rnc_fresh_values(const struct rnc_parallel *par, const struct rnc_tensor *t, uint64_t seed, int64_t first,
                      int64_t count, float *x)
{
    struct fill f = {
        .x = x, .first = first, .count = count, .init = t->init, .seed = seed, .hash = rnc_hash_text(t->name)};
    double fan = t->init_fan > 0 ? (double)t->init_fan : 1.0;
    switch ((enum rnc_init)t->init) {
    case RNC_INIT_ZEROS:
    case RNC_INIT_ONES:
        for (int64_t k = 0; k < count; k++) x[k] = t->init == RNC_INIT_ONES ? 1.0f : 0.0f;
        return;
    case RNC_INIT_CONSTANT:
        for (int64_t k = 0; k < count; k++) x[k] = (float)t->init_value;
        return;
    case RNC_INIT_KAIMING_NORMAL: f.scale = sqrt(2.0 / fan); break;
    case RNC_INIT_UNIFORM_FAN_IN: f.scale = 1.0 / sqrt(fan); break;
    case RNC_INIT_UNIFORM:
    case RNC_INIT_TRUNCATED_NORMAL: f.scale = t->init_value; break;
    }
    fill_head(&f);
    int64_t chunks = (f.count + FILL_CHUNK - 1) / FILL_CHUNK;
    if (par && par->run) par->run(par->self, chunks, fill_chunks, &f);
    else fill_chunks(&f, 0, chunks, 0);
}

struct fresh {
    const struct rnc_parallel *par;
    uint64_t seed;
};

static bool read_fresh(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                       struct rnc_status *s)
{
    const struct fresh *f = ctx;
    struct rnc_type one = rnc_instance_plain_type(&t->type);
    (void)s;
    one.rank = 0;
    if (one.dtype == RNC_F32) rnc_fresh_values(f->par, t, f->seed, first, count, plain);
    else memset(plain, 0, (size_t)count * rnc_plain_bytes(&one));
    return true;
}

bool rnc_initialize(struct rnc_instance *i, uint64_t seed, struct rnc_status *s)
{
    struct fresh f = {&i->par, seed};
    return rnc_load(i, &(struct rnc_source){read_fresh, &f}, true, s);
}
