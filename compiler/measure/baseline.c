#include "measure/baseline.h"

#include <stdlib.h>
#include <string.h>
#include "measure/blas.h"
#include "ir/op.h"
#include "runtime/rt/clock.h"

enum { RUNS = 3 };

static struct blas_conv conv_of(const struct node *n)
{
    const int64_t *x = n->in[0]->type.dim, *w = n->in[1]->type.dim, *y = n->out[0]->type.dim;
    struct blas_conv p = {
        .n = x[0], .c = x[1], .h = x[2], .w = x[3], .o = y[1], .oh = y[2], .ow = y[3], .groups = node_int(n, "groups")};
    memcpy(p.kernel, w + 2, sizeof p.kernel);
    memcpy(p.stride, node_ints(n, "stride"), sizeof p.stride);
    memcpy(p.pad, node_ints(n, "pad"), sizeof p.pad); /* top, left */
    memcpy(p.dilation, node_ints(n, "dilation"), sizeof p.dilation);
    return p;
}

static float *random_floats(int64_t count)
{
    float *x = malloc((size_t)count * sizeof *x);
    uint32_t state = 1;
    for (int64_t i = 0; x && i < count; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: no zeros, no patterns that matter */
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return x;
}

/* The fastest of a few runs, or -1 when there is no memory. */
static double conv_ms(const struct blas *b, const struct blas_conv *p)
{
    float *x = random_floats(p->n * p->c * p->h * p->w),
          *w = random_floats(p->o * p->c / p->groups * p->kernel[0] * p->kernel[1]);
    float *y = random_floats(p->n * p->o * p->oh * p->ow), *columns = random_floats(blas_conv_columns(p));
    double best = -1;
    for (int i = 0; x && w && y && columns && i <= RUNS; i++) {
        double t0 = rnc_clock_ms();
        blas_conv2d(b, p, x, w, y, columns);
        double t = rnc_clock_ms() - t0;
        if (i && (best < 0 || t < best)) best = t; /* the first run touches the pages */
    }
    free(x);
    free(w);
    free(y);
    free(columns);
    return best;
}

static const struct node *find_conv(const struct graph *raw, const char *layer)
{
    GRAPH_EACH(raw, n)
    if (n->layer && strcmp(n->layer, layer) == 0 && n->op->direction == CONV_FORWARD && n->out[0]->type.rank == 4)
        return n;
    return NULL;
}

/* A convolution of the forward pass, whatever follows it in its body. */
static bool is_forward(struct arena *a, const struct rnc_node *n)
{
    const struct op_def *op = op_find(arena_strndup(a, n->op, strcspn(n->op, "+")));
    return op && op->direction == CONV_FORWARD && strcmp(n->phase, op_phase_name(PHASE_FORWARD)) == 0;
}

const double *baseline_measure(struct arena *a, struct diags *d, const struct baseline_of *of, const char **core)
{
    const struct rnc_model *m = of->model;
    struct blas *blas = blas_open(of->target, d);
    if (!blas) return NULL;
    *core = arena_strdup(a, blas_core(blas));
    double *ms = ARENA_ARRAY(a, double, m->nnodes + 1);
    for (uint32_t i = 0; i < m->nnodes && ms; i++) {
        const struct node *n = is_forward(a, &m->nodes[i]) ? find_conv(of->raw, m->nodes[i].name) : NULL;
        if (!n) continue;
        struct blas_conv p = conv_of(n);
        ms[i] = conv_ms(blas, &p);
        if (ms[i] >= 0) continue;
        diag_env(d, "not enough memory for the baseline of %s", m->nodes[i].name);
        ms = NULL;
    }
    blas_close(blas);
    return ms;
}
