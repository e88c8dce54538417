#include "gen/conv/segments.h"

#include "base/checked.h"
#include "gen/emit/emit.h"

void segments_init(struct conv_segments *p, const struct node *n)
{
    const struct value *segment[MAX_SEGMENTS];
    int64_t block = 0;
    *p = (struct conv_segments){.count = segments_of(n, segment)};
    for (int k = 0; k < p->count; k++) {
        const struct type *t = &segment[k]->type;
        p->first[k] = block;
        p->n[k] = conv_view_of(t).n;
        if (t->layout == LAYOUT_BLOCKED) block += div_up(t->dim[1], t->v);
    }
}

int segments_args(const struct node *n, struct lower_arg *args, int count)
{
    const struct value *segment[MAX_SEGMENTS];
    for (int k = 1, count_x = segments_of(n, segment); k < count_x; k++) args[count++] = arg_value(segment[k]);
    return count;
}

void segments_load(struct emit *e, const struct conv_segments *p, int first, int further, V *base)
{
    for (int k = 0; k < p->count; k++) base[k] = e_arg(e, k ? further + k - 1 : first);
}

struct segments_plane segments_plane(struct emit *e, const struct conv_segments *p, const struct conv_view *view,
                                     const V *base, V ib)
{
    enum dtype dt = conv_view_dtype(view);
    struct segments_plane r = {e_at_d(e, dt, base[0], e_muli(e, ib, view->cb)), e_int(e, p->n[0])};
    for (int k = 1; k < p->count; k++) {
        V here = e_cmp(e, LLVMIntSGE, ib, e_int(e, p->first[k]));
        r.at = e_select(e, here, e_at_d(e, dt, base[k], e_muli(e, e_addi(e, ib, -p->first[k]), view->cb)), r.at);
        r.n = e_select(e, here, e_int(e, p->n[k]), r.n);
    }
    return r;
}
