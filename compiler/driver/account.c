/* account.c: see account.h. */
#include "driver/account.h"
#include "ir/op.h"

static int64_t new_parameters(const struct node *n, bool *seen)
{
    int64_t sum = 0;
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        if (!v || v->kind != VALUE_PARAM || seen[v->id]) continue;
        seen[v->id] = true;
        sum += type_elements(&v->type);
    }
    return sum;
}

static size_t result_bytes(const struct node *n)
{
    size_t bytes = 0;
    for (int i = 0; i < n->nout; i++) bytes += type_bytes(&n->out[i]->type);
    return bytes;
}

struct account driver_account(struct arena *a, const struct graph *raw)
{
    struct account t = {0};
    for (int i = 0; i < raw->nvalues; i++) {
        const struct value *v = raw->values[i];
        if (v->kind == VALUE_PARAM) t.parameters += type_elements(&v->type);
        if (v->kind == VALUE_BUFFER) t.buffers += type_elements(&v->type);
        if (v->kind == VALUE_COUNTER) t.counters += type_elements(&v->type);
    }
    struct layer_account *layer = ARENA_ARRAY(a, struct layer_account, raw->nnodes + 1);
    bool *seen = ARENA_ARRAY(a, bool, raw->nvalues + 1);
    GRAPH_EACH(raw, n)
    {
        struct layer_account l = {.node = n,
                                  .name = n->layer ? n->layer : n->out[0]->name,
                                  .parameters = new_parameters(n, seen),
                                  .macs = op_macs(n) / raw->batch,
                                  .bytes = result_bytes(n)};
        layer[t.nlayers++] = l;
        t.macs += l.macs;
    }
    t.layer = layer;
    return t;
}
