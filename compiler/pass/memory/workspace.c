/* workspace.c: the memory that a kernel needs while it runs becomes a result of its node, so that the plan gives it a
   place. */
#include "pass/passes.h"

#include "base/checked.h"
#include "ir/op.h"

static bool run(struct graph *g, struct pass_context *c, struct buf *summary)
{
    int count = 0;
    size_t largest = 0;
    GRAPH_EACH(g, n)
    {
        if (!n->op->family->workspace || n->prepare || node_workspace(n)) continue;
        size_t bytes = n->op->family->workspace(n, g->lanes);
        if (!bytes) continue;
        if (n->nout == MAX_OUTS) {
            diag_error(c->diags, n->span, "%%%s has %d results, which leaves no room for the workspace that %s needs",
                       n->out[0]->name, n->nout, n->op->name);
            return false;
        }
        int64_t floats = div_up((int64_t)bytes, 4);
        struct value *v = node_add_out(g, n);
        value_rename(g, v, graph_fresh_name(g, arena_printf(g->arena, "%s.ws", n->out[0]->name)));
        v->type = type_make(DT_F32, 1, &floats);
        count++;
        if (bytes > largest) largest = bytes;
    }
    buf_printf(summary, "%d workspace%s, the largest %.1f KiB", count, count == 1 ? "" : "s", (double)largest / 1024);
    return true;
}

const struct pass pass_workspace = {"workspace", "give kernels that need partial sums or tables a result for them",
                                    run};
