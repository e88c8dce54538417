/* batch.c: tensors are found by their names. */
#include "runtime/data/batch.h"

#include <string.h>

int64_t rnc_port_elements(const struct rnc_port *p)
{
    int64_t n = 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return n;
}

size_t rnc_port_bytes(const struct rnc_port *p)
{
    return (size_t)rnc_port_elements(p) * (p->dtype == RNC_I64 ? sizeof(int64_t) : sizeof(float));
}

const struct rnc_port *rnc_only_port(const struct rnc_port *ports, int nports, bool target)
{
    const struct rnc_port *only = NULL;
    for (int k = 0; k < nports; k++) {
        if (ports[k].target != target) continue;
        if (only) return NULL;
        only = &ports[k];
    }
    return only;
}

static bool port_fits(const struct rnc_port *p, const struct rnc_type *t)
{
    bool same = t->dtype == p->dtype && t->rank == p->rank + 1;
    for (int k = 0; same && k < p->rank; k++) same = t->dim[k + 1] == p->dim[k];
    return same;
}

bool rnc_ports_fit(const struct rnc_model *m, const struct rnc_port *ports, int nports, struct rnc_status *s)
{
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role != RNC_ROLE_INPUT && t->role != RNC_ROLE_TARGET) continue;
        for (int i = 0; i < nports; i++)
            if (!strcmp(ports[i].name, t->name) && !port_fits(&ports[i], &t->type))
                return rnc_fail(s, RNC_USER, "model %s: '%s' is of another type or size than the data's", m->name,
                                t->name);
    }
    return true;
}

const void *rnc_batch_find(const struct rnc_batch *b, const char *name)
{
    for (int k = 0; k < b->ntensors; k++)
        if (!strcmp(b->tensors[k].name, name)) return b->tensors[k].data;
    return NULL;
}

bool rnc_batch_bind(const struct rnc_model *m, const struct rnc_batch *b, const void **in, struct rnc_status *s)
{
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role != RNC_ROLE_INPUT && t->role != RNC_ROLE_TARGET) continue;
        in[t->offset] = rnc_batch_find(b, t->name);
        if (!in[t->offset]) return rnc_fail(s, RNC_USER, "model %s: the data have no '%s'", m->name, t->name);
    }
    return true;
}
