/* data_tensors.c: folders of .npy arrays, one for each input and target of a model: DIR/NAME.npy [count, …]. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/data/data_readers.h"
#include "runtime/data/sample.h"

/* ---- finding them */

static bool has_arrays(const char *path)
{
    static const char *const npy[] = {".npy", NULL};
    struct rnc_status ignored = {0};
    char **names;
    size_t count;
    if (access(path, F_OK) != 0 || !rnc_list_names(path, 'f', npy, &names, &count, &ignored)) return false;
    rnc_free_names(names, count);
    return count > 0;
}

/* PATH/NAME where that is a folder of arrays, malloc'ed; else NULL. */
static char *folder_in(const char *path, const char *const *names)
{
    for (; *names; names++) {
        char *p = rnc_path_join(path, *names);
        if (p && has_arrays(p)) return p;
        free(p);
    }
    return NULL;
}

static const char *const train_names[] = {"train", NULL}, *const val_names[] = {"val", "test", "valid", "validation",
                                                                                NULL};

bool rnc_is_tensors(const char *path)
{
    char *train = folder_in(path, train_names);
    bool yes = train || has_arrays(path);
    free(train);
    return yes;
}

/* ---- reading */

/* "[count, 3, 64, 64]"; COUNT less than 0: in that word. */
static void shape_text(int64_t count, int rank, const int64_t *dim, char *out, size_t size)
{
    size_t n = count < 0 ? (size_t)snprintf(out, size, "[count") : (size_t)snprintf(out, size, "[%" PRId64, count);
    for (int k = 0; k < rank && n < size; k++) n += (size_t)snprintf(out + n, size - n, ", %" PRId64, dim[k]);
    if (n < size) snprintf(out + n, size - n, "]");
}

static bool check_array(const char *path, const struct rnc_port *port, const struct rnc_npy *a, struct rnc_status *s)
{
    const char *what = port->target ? "target" : "input";
    bool same = a->rank == port->rank + 1, labels = port->dtype == RNC_I64;
    for (int k = 0; same && k < port->rank; k++) same = a->dim[k + 1] == port->dim[k];
    if (!same) {
        char want[128], have[256];
        shape_text(-1, port->rank, port->dim, want, sizeof want);
        if (a->rank) shape_text(a->dim[0], a->rank - 1, a->dim + 1, have, sizeof have);
        else snprintf(have, sizeof have, "a single number");
        return rnc_fail(s, RNC_USER, "%s is %s, the %s '%s' is %s", path, have, what, port->name, want);
    }
    if (port->binary || labels == (a->dtype != RNC_NPY_F32)) return true;
    return rnc_fail(s, RNC_USER, "%s holds %s, the %s '%s' is %s", path, labels ? "floating-point numbers" : "integers",
                    what, port->name, labels ? "labels of classes, int64" : "float32");
}

static int64_t whole_at(const struct rnc_npy *a, int64_t k)
{
    return a->dtype == RNC_NPY_U8 ? ((const uint8_t *)a->data)[k] : ((const int64_t *)a->data)[k];
}

/* Bytes become labels, and whole numbers fp32 where a target of zeros and ones is that. */
static bool widen(struct rnc_npy *a, const struct rnc_port *port, struct rnc_status *s)
{
    bool to_f32 = port->dtype == RNC_F32;
    if (a->dtype == (to_f32 ? RNC_NPY_F32 : RNC_NPY_I64)) return true;
    int64_t n = rnc_npy_elements(a);
    void *wide = malloc((size_t)n * (to_f32 ? sizeof(float) : sizeof(int64_t)) + 1);
    if (!wide) return rnc_fail(s, RNC_ENV, "no memory for %" PRId64 " labels", n);
    for (int64_t k = 0; k < n; k++)
        if (to_f32) ((float *)wide)[k] = (float)whole_at(a, k);
        else ((int64_t *)wide)[k] = whole_at(a, k);
    rnc_npy_free(a);
    a->dtype = to_f32 ? RNC_NPY_F32 : RNC_NPY_I64;
    a->data = wide;
    return true;
}

static bool check_numbers(const char *path, const struct rnc_array *a, struct rnc_status *s)
{
    int64_t n = rnc_npy_elements(&a->npy), each = rnc_port_elements(a->port);
    const float *x = a->npy.data;
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(x[k]))
            return rnc_fail(s, RNC_USER, "%s: sample %" PRId64 " holds a value that is not finite", path, k / each);
        if (a->port->binary && (x[k] < 0.0f || x[k] > 1.0f))
            return rnc_fail(s, RNC_USER, "%s: sample %" PRId64 " holds %g, the target '%s' takes 0 to 1", path,
                            k / each, (double)x[k], a->port->name);
    }
    return true;
}

static bool check_values(const char *path, const struct rnc_array *a, struct rnc_status *s)
{
    const struct rnc_port *port = a->port;
    int64_t n = rnc_npy_elements(&a->npy), each = rnc_port_elements(port);
    if (port->dtype == RNC_F32) return check_numbers(path, a, s);
    for (int64_t k = 0; k < n; k++) {
        int64_t label = ((const int64_t *)a->npy.data)[k];
        if (label == port->ignore || (label >= 0 && (!port->classes || label < port->classes))) continue;
        return rnc_fail(s, RNC_USER, "%s: sample %" PRId64 " has the label %" PRId64 ", '%s' has %" PRId64 " classes",
                        path, k / each, label, port->name, port->classes);
    }
    return true;
}

static bool missing(const char *path, const struct rnc_port *ports, int nports, int which, struct rnc_status *s)
{
    char list[160] = "";
    size_t n = 0;
    for (int k = 0; k < nports && n < sizeof list; k++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", k ? ", " : "", ports[k].name);
    return rnc_fail(s, RNC_USER, "there is no %s for the %s '%s'; an array was expected for each of: %s%s", path,
                    ports[which].target ? "target" : "input", ports[which].name, list, n < sizeof list ? "" : " …");
}

static bool read_array(struct rnc_dataset *split, const char *path, struct rnc_array *a, struct rnc_status *s)
{
    if (!rnc_npy_map(path, &a->npy, s) || !check_array(path, a->port, &a->npy, s) || !widen(&a->npy, a->port, s))
        return false;
    int64_t count = a->npy.dim[0];
    if (count == 0) return rnc_fail(s, RNC_USER, "%s holds no samples", path);
    if (split->ntensors > 1 && count != split->count)
        return rnc_fail(s, RNC_USER, "%s has %" PRId64 " samples, %s.npy beside it has %" PRId64, path, count,
                        split->tensors[0].port->name, split->count);
    split->count = count;
    return check_values(path, a, s);
}

static bool read_split(struct rnc_dataset *split, const char *dir, const struct rnc_data_source *o,
                       struct rnc_status *s)
{
    split->name = strdup(dir);
    split->tensors = calloc((size_t)o->nports + 1, sizeof *split->tensors);
    bool ok = (split->name && split->tensors) || rnc_data_no_memory(dir, s);
    for (int k = 0; ok && k < o->nports; k++) {
        char file[256];
        snprintf(file, sizeof file, "%s.npy", o->ports[k].name);
        char *path = rnc_path_join(dir, file);
        split->tensors[split->ntensors++].port = &o->ports[k];
        if (!path) ok = rnc_data_no_memory(dir, s);
        else if (access(path, F_OK) != 0) ok = missing(path, o->ports, o->nports, k, s);
        else ok = read_array(split, path, &split->tensors[k], s);
        free(path);
    }
    return ok;
}

bool rnc_tensor_splits(struct rnc_data *d, const char *path, const struct rnc_data_source *o, struct rnc_status *s)
{
    char *train = folder_in(path, train_names), *val = train ? folder_in(path, val_names) : NULL;
    d->unit = "samples";
    bool ok = read_split(&d->train, train ? train : path, o, s);
    if (ok && val) ok = read_split(&d->val, val, o, s);
    free(train);
    free(val);
    return ok;
}

bool rnc_tensor_hold_out(struct rnc_data *d, int64_t nth, struct rnc_status *s)
{
    struct rnc_dataset *t = &d->train, *v = &d->val;
    int64_t count = t->count;
    *v =
        (struct rnc_dataset){.name = strdup(t->name), .tensors = t->tensors, .ntensors = t->ntensors, .borrowed = true};
    t->rows = malloc((size_t)count * sizeof *t->rows);
    v->rows = malloc((size_t)count * sizeof *v->rows);
    if (!v->name || !t->rows || !v->rows) return rnc_data_no_memory(t->name, s);
    t->count = 0;
    for (int64_t k = 0; k < count; k++) {
        struct rnc_dataset *to = k % nth == nth - 1 ? v : t;
        to->rows[to->count++] = k;
    }
    return true;
}

void rnc_tensors_close(struct rnc_dataset *p)
{
    for (int k = 0; !p->borrowed && k < p->ntensors; k++) rnc_npy_free(&p->tensors[k].npy);
    if (!p->borrowed) free(p->tensors);
    free(p->rows);
}

/* ---- samples */

static void *open_tensors(const struct rnc_loader_config *c, struct rnc_status *s)
{
    const struct rnc_dataset *d = c->data;
    bool same = d->ntensors == c->nports;
    for (int k = 0; same && k < d->ntensors; k++) same = !strcmp(d->tensors[k].port->name, c->ports[k].name);
    if (!same) rnc_fail(s, RNC_USER, "%s was not read for this model", d->name);
    if (same && c->naugment)
        same =
            rnc_fail(s, RNC_USER, "augmentation is for images, %s holds tensors: --no-augment leaves it out", d->name);
    return same ? (void *)(uintptr_t)d : NULL;
}

static bool get_tensors(void *own, int64_t epoch, int64_t sample, void *const *out, struct rnc_status *s)
{
    const struct rnc_dataset *d = own;
    int64_t row = d->rows ? d->rows[sample] : sample;
    (void)epoch, (void)s;
    for (int k = 0; k < d->ntensors; k++) {
        size_t bytes = rnc_port_bytes(d->tensors[k].port);
        memcpy(out[k], (const char *)d->tensors[k].npy.data + (size_t)row * bytes, bytes);
    }
    return true;
}

static void close_tensors(void *own) { (void)own; }

const struct rnc_sampler rnc_sample_tensors = {open_tensors, get_tensors, close_tensors};
