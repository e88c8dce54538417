/* weights.c: state by name, to and from safetensors. A file is compared with the model whole before anything is set. */
#include "runtime/io/weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "runtime/io/file.h"
#include "runtime/rt/pack.h"

/* ---- which tensors */

static bool is_wanted(const struct rnc_tensor *t, unsigned flags)
{
    return t->role <= RNC_ROLE_COUNTER || (t->role == RNC_ROLE_OPTIM && (flags & RNC_WEIGHTS_OPTIM));
}

static const struct rnc_tensor *find(const struct rnc_model *m, const char *name, unsigned flags)
{
    for (uint32_t k = 0; k < m->ntensors; k++)
        if (is_wanted(&m->tensors[k], flags) && !strcmp(m->tensors[k].name, name)) return &m->tensors[k];
    return NULL;
}

/* A plain buffer for the tensor: fp32, or i64 for counters. */
static void *plain_buffer(const struct rnc_tensor *t, struct rnc_status *s)
{
    struct rnc_type f = t->type;
    f.layout = RNC_PLAIN;
    if (f.dtype != RNC_I64) f.dtype = RNC_F32;
    void *x = calloc(1, rnc_plain_bytes(&f) + 1);
    if (!x) rnc_fail(s, RNC_ENV, "no memory for tensor %s", t->name);
    return x;
}

/* ---- comparing */

/* How many of a kind are listed, and how many names are searched for one that was meant: a file may hold very many. */
enum { LISTED = 100, SEARCHED = 1000 };

struct report {
    char *text;
    size_t used, cap;
    size_t missing, unexpected, mismatched;
};

__attribute__((format(printf, 2, 3))) static void say(struct report *r, const char *fmt, ...)
{
    char line[768];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    size_t length = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    if (r->used + length + 2 > r->cap) {
        size_t cap = (r->used + length + 2) * 2;
        char *more = realloc(r->text, cap);
        if (!more) return;
        r->text = more;
        r->cap = cap;
    }
    if (r->used > 0) r->text[r->used++] = '\n';
    memcpy(r->text + r->used, line, length + 1);
    r->used += length;
}

_Static_assert((int)RNC_MAX_RANK <= (int)RNC_ST_MAX_RANK, "a file holds every tensor");

/* "missing: … and 980 more" after the first of a kind. */
static void say_rest(struct report *r, const char *kind, size_t count)
{
    if (count > LISTED) say(r, "%s: … and %zu more", kind, count - LISTED);
}

static const char *near_name(const char *name, const char *const *names, size_t count)
{
    return rnc_nearest(name, names, count < SEARCHED ? count : SEARCHED);
}

static void shape_text(const int64_t *dim, int rank, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int k = 0; k < rank && n < size; k++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", k ? ", " : "", (long long)dim[k]);
    if (n < size) snprintf(out + n, size - n, "]");
}

/* A counter may be a scalar or one element. */
static bool same_shape(const struct rnc_tensor *t, const struct rnc_st_tensor *f)
{
    if (t->type.rank == 0 && rnc_st_elements(f) == 1 && f->rank <= 1) return true;
    if (t->type.rank != f->rank) return false;
    for (int k = 0; k < f->rank; k++)
        if (t->type.dim[k] != f->dim[k]) return false;
    return true;
}

static bool same_kind(const struct rnc_tensor *t, const struct rnc_st_tensor *f)
{
    bool floats = f->dtype == RNC_ST_F32 || f->dtype == RNC_ST_F64 || f->dtype == RNC_ST_F16 || f->dtype == RNC_ST_BF16;
    return (t->type.dtype != RNC_I64) == floats && f->dtype != RNC_ST_U64;
}

static bool is_optimizer_name(const char *name) { return !strncmp(name, "optim.", 6); }

static void compare_one(const struct rnc_tensor *t, const struct rnc_safetensors *f, const char *const *unused,
                        size_t nunused, struct report *r)
{
    const struct rnc_st_tensor *found = rnc_st_find(f, t->name);
    char want[128], have[192];
    shape_text(t->type.dim, t->type.rank, want, sizeof want);
    if (!found) {
        if (t->role == RNC_ROLE_COUNTER || r->missing++ >= LISTED) return;
        const char *near = near_name(t->name, unused, nunused);
        say(r, "missing: %s %s%s%s%s", t->name, want, near ? " (the file has '" : "", near ? near : "",
            near ? "')" : "");
        return;
    }
    if (same_shape(t, found) && same_kind(t, found)) return;
    if (r->mismatched++ >= LISTED) return;
    shape_text(found->dim, found->rank, have, sizeof have);
    if (!same_shape(t, found)) say(r, "shape: %s is %s in the file and %s in the model", t->name, have, want);
    else
        say(r, "type: %s %s where the model has %s", t->name,
            t->type.dtype == RNC_I64 ? "is not an integer" : "is not a floating-point number",
            t->type.dtype == RNC_I64 ? "a counter" : "one");
}

/* Names of the file that the model does not know. */
static size_t list_unused(const struct rnc_model *m, const struct rnc_safetensors *f, unsigned flags, const char **out)
{
    size_t n = 0;
    for (size_t k = 0; k < f->ntensors; k++) {
        const char *name = f->tensors[k].name;
        if (is_optimizer_name(name) && !(flags & RNC_WEIGHTS_OPTIM)) continue;
        if (!find(m, name, flags)) out[n++] = name;
    }
    return n;
}

static bool compare(const struct rnc_model *m, const struct rnc_safetensors *f, unsigned flags, char **details,
                    struct rnc_status *s)
{
    struct report r = {0};
    const char **unused = calloc(f->ntensors + 1, sizeof *unused),
               **known = calloc((size_t)m->ntensors + 1, sizeof *known);
    if (!unused || !known) {
        free(unused);
        free(known);
        return rnc_fail(s, RNC_ENV, "no memory to compare %s with the model", f->path);
    }
    size_t nunused = list_unused(m, f, flags, unused), nknown = 0;
    for (uint32_t k = 0; k < m->ntensors; k++)
        if (is_wanted(&m->tensors[k], flags)) {
            compare_one(&m->tensors[k], f, unused, nunused, &r);
            known[nknown++] = m->tensors[k].name;
        }
    say_rest(&r, "missing", r.missing);
    say_rest(&r, "of another shape or type", r.mismatched);
    for (size_t k = 0; k < nunused && k < LISTED; k++) {
        const char *near = near_name(unused[k], known, nknown);
        say(&r, "unexpected: %.200s%s%s%s", unused[k], near ? " (did you mean '" : "", near ? near : "",
            near ? "'?)" : "");
    }
    r.unexpected = nunused;
    say_rest(&r, "unexpected", nunused);
    free(unused);
    free(known);
    bool ok = r.missing + r.unexpected + r.mismatched == 0;
    if (!ok)
        rnc_fail(s, RNC_USER, "%s does not fit model %s: %zu missing, %zu of another shape or type, %zu unexpected",
                 f->path, m->name, r.missing, r.mismatched, r.unexpected);
    if (details) *details = r.text;
    else free(r.text);
    return ok;
}

/* ---- checksums: a line "0a1b2c3d NAME" for each tensor, in the file's order */

static const char checksums_key[] = "rnc.crc32";
enum { HEX = 8 };

static bool check_tensor(const struct rnc_safetensors *f, const struct rnc_st_tensor *t, uint32_t saved,
                         struct rnc_status *s)
{
    uint32_t crc;
    if (!rnc_st_crc32(f, t, &crc, s)) return false;
    return crc == saved ||
           rnc_fail(s, RNC_USER,
                    "%s is damaged: tensor '%.128s' is not what was saved (its checksum is %08x, and was "
                    "%08x)",
                    f->path, t->name, (unsigned)crc, (unsigned)saved);
}

static bool check_sums(const struct rnc_safetensors *f, unsigned flags, struct rnc_status *s)
{
    const char *line = rnc_st_meta(f, checksums_key);
    for (size_t k = 0; line && *line && k < f->ntensors; k++) {
        const struct rnc_st_tensor *t = &f->tensors[k];
        size_t name = strlen(t->name);
        char *end;
        uint32_t saved = (uint32_t)strtoul(line, &end, 16);
        if (end != line + HEX || *end != ' ' || strncmp(end + 1, t->name, name) != 0)
            return rnc_fail(s, RNC_USER, "%s is damaged: its %s have no line of tensor '%.128s'", f->path,
                            checksums_key, t->name);
        line = end + 1 + name + (end[1 + name] == '\n');
        if ((flags & RNC_WEIGHTS_OPTIM || !is_optimizer_name(t->name)) && !check_tensor(f, t, saved, s)) return false;
    }
    return true;
}

/* ---- loading */

/* A network with a NaN in it answers nothing but NaN. */
static bool all_finite(const struct rnc_safetensors *f, const struct rnc_tensor *t, int64_t first, int64_t count,
                       const float *x, struct rnc_status *s)
{
    for (int64_t k = 0; k < count; k++)
        if (!isfinite(x[k]))
            return rnc_fail(s, RNC_USER, "%s: tensor '%s' holds %s (element %lld)", f->path, t->name,
                            isnan(x[k]) ? "NaN" : "an infinity", (long long)(first + k));
    return true;
}

static bool read_file(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                      struct rnc_status *s)
{
    const struct rnc_safetensors *f = ctx;
    const struct rnc_st_tensor *found = rnc_st_find(f, t->name);
    if (found && t->type.dtype == RNC_I64) return rnc_st_part_i64(f, found, first, count, plain, s);
    if (found) return rnc_st_part_f32(f, found, first, count, plain, s) && all_finite(f, t, first, count, plain, s);
    memset(plain, 0,
           (size_t)count *
               (t->type.dtype == RNC_I64 ? sizeof(int64_t) : sizeof(float))); /* a counter that the file lacks */
    return true;
}

bool rnc_weights_load_from(struct rnc_instance *i, const struct rnc_safetensors *f, unsigned flags, char **details,
                           struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    if (details) *details = NULL;
    if (!compare(m, f, flags, details, s) || !check_sums(f, flags, s)) return false;
    struct rnc_source source = {read_file, (void *)(uintptr_t)f};
    return rnc_load(i, &source, flags & RNC_WEIGHTS_OPTIM, s);
}

bool rnc_weights_load(struct rnc_instance *i, const char *path, unsigned flags, char **details, struct rnc_status *s)
{
    if (details) *details = NULL;
    struct rnc_safetensors *f = rnc_st_open(path, s);
    bool ok = f && rnc_weights_load_from(i, f, flags, details, s);
    rnc_st_close(f);
    return ok;
}

/* ---- saving */

static bool put_all(const struct rnc_instance *i, struct rnc_st_writer *w, unsigned flags, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (!is_wanted(t, flags)) continue;
        void *x = plain_buffer(t, s);
        bool ok = x && rnc_get(i, t->name, x, s) && rnc_st_put(w, x, s);
        free(x);
        if (!ok) return false;
    }
    return true;
}

static bool crc_of(const struct rnc_instance *i, const struct rnc_tensor *t, uint32_t *crc, struct rnc_status *s)
{
    void *x = plain_buffer(t, s);
    bool ok = x && rnc_get(i, t->name, x, s);
    size_t size = t->type.dtype == RNC_I64 ? sizeof(int64_t) : sizeof(float);
    if (ok) *crc = (uint32_t)crc32_z(crc32(0, NULL, 0), x, (size_t)rnc_elements(&t->type) * size);
    free(x);
    return ok;
}

/* malloc'ed; NULL after a failure. */
static char *checksums_of(const struct rnc_instance *i, unsigned flags, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    size_t size = 1, used = 0;
    for (uint32_t k = 0; k < m->ntensors; k++) size += HEX + 2 + strlen(m->tensors[k].name);
    char *text = calloc(1, size);
    bool ok = text || rnc_fail(s, RNC_ENV, "no memory for checksums");
    for (uint32_t k = 0; ok && k < m->ntensors; k++) {
        uint32_t crc;
        if (!is_wanted(&m->tensors[k], flags)) continue;
        ok = crc_of(i, &m->tensors[k], &crc, s);
        if (ok) used += (size_t)snprintf(text + used, size - used, "%08x %s\n", (unsigned)crc, m->tensors[k].name);
    }
    if (ok) return text;
    free(text);
    return NULL;
}

/* META and the checksums. */
static struct rnc_st_writer *create(const struct rnc_instance *i, const char *path, unsigned flags,
                                    const struct rnc_st_tensor *list, size_t n, const struct rnc_st_meta *meta,
                                    size_t nmeta, struct rnc_status *s)
{
    struct rnc_st_meta *all = calloc(nmeta + 1, sizeof *all);
    char *checksums = all ? checksums_of(i, flags, s) : NULL;
    struct rnc_st_writer *w = NULL;
    if (checksums) {
        if (nmeta) memcpy(all, meta, nmeta * sizeof *all);
        all[nmeta] = (struct rnc_st_meta){checksums_key, checksums};
        w = rnc_st_create(path, list, n, all, nmeta + 1, s);
    } else rnc_fail(s, RNC_ENV, "no memory to write %s", path);
    free(checksums);
    free(all);
    return w;
}

bool rnc_weights_save(const struct rnc_instance *i, const char *path, unsigned flags, const struct rnc_st_meta *meta,
                      size_t nmeta, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    struct rnc_st_tensor *list = calloc((size_t)m->ntensors + 1, sizeof *list);
    if (!list) return rnc_fail(s, RNC_ENV, "no memory to write %s", path);
    size_t n = 0;
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (!is_wanted(t, flags)) continue;
        list[n] = (struct rnc_st_tensor){.name = t->name,
                                         .dtype = t->type.dtype == RNC_I64 ? RNC_ST_I64 : RNC_ST_F32,
                                         .rank = t->type.rank};
        memcpy(list[n++].dim, t->type.dim, sizeof t->type.dim);
    }
    struct rnc_st_writer *w = create(i, path, flags, list, n, meta, nmeta, s);
    free(list);
    if (!w) return false;
    if (put_all(i, w, flags, s)) return rnc_st_commit(w, s);
    rnc_st_abort(w);
    return false;
}

/* Another instance as a source: the last tensor read is kept whole. */
struct donor {
    const struct rnc_instance *from;
    const struct rnc_tensor *tensor;
    char *plain;
};

static bool read_donor(void *ctx, const struct rnc_tensor *t, int64_t first, int64_t count, void *plain,
                       struct rnc_status *s)
{
    struct donor *d = ctx;
    const struct rnc_tensor *own = find(rnc_instance_model(d->from), t->name, 0);
    if (own && rnc_elements(&own->type) != rnc_elements(&t->type))
        return rnc_fail(s, RNC_USER, "tensor %s has different shapes in the two models", t->name);
    if (!d->plain || t != d->tensor) {
        free(d->plain);
        d->tensor = t;
        d->plain = plain_buffer(t, s);
        if (!d->plain || !rnc_get(d->from, t->name, d->plain, s)) return false;
    }
    size_t size = t->type.dtype == RNC_I64 ? sizeof(int64_t) : sizeof(float);
    memcpy(plain, d->plain + (size_t)first * size, (size_t)count * size);
    return true;
}

bool rnc_weights_copy(const struct rnc_instance *from, struct rnc_instance *to, struct rnc_status *s)
{
    struct donor d = {.from = from};
    bool ok = rnc_load(to, &(struct rnc_source){read_donor, &d}, false, s);
    free(d.plain);
    return ok;
}
