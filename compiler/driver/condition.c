/* condition.c: see condition.h. */
#include "driver/condition.h"

#include <math.h>
#include <string.h>
#include "base/arena.h"
#include "base/checked.h"
#include "driver/reference.h"

/* Draws of the roundings: one may happen to cancel where operands are few. */
enum { DRAWS = 4 };

/* Roundings that a result of no sum may be off by: those of whole networks (verify.c). A chain of terms of one sign
   that others then cancel errs by more than the root of its length; none is longer than LONGEST. */
enum { NODE_ROUNDINGS = 40, CHAIN_ROUNDINGS = 8, LONGEST = 1 << 16 };

double condition_bound(const struct node *n, const struct value *out)
{
    int64_t most = op_macs(n);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) most = max_i64(most, type_elements(&n->in[i]->type));
    double terms = (double)min_i64(most / max_i64(type_elements(&out->type), 1), LONGEST);
    return CONDITION_ROUNDING * fmax(NODE_ROUNDINGS, CHAIN_ROUNDINGS * sqrt(terms));
}

static double *copy_of(struct arena *a, struct eval *e, const struct value *v)
{
    int64_t count = type_elements(&v->type);
    double *copy = ARENA_ARRAY(a, double, count + 1);
    memcpy(copy, eval_data(e, v), (size_t)count * sizeof *copy);
    return copy;
}

static void put_back(struct eval *e, const struct value *v, const double *copy)
{
    memcpy(eval_data(e, v), copy, (size_t)type_elements(&v->type) * sizeof *copy);
}

static uint64_t next_random(uint64_t *state) { return *state = *state * 6364136223846793005u + 1442695040888963407u; }

/* FROM, each number off by a rounding, becomes V's data. */
static void round_off(struct eval *e, const struct value *v, const double *from, uint64_t *random)
{
    double *x = eval_data(e, v);
    int64_t count = dtype_floating(v->type.dtype) ? type_elements(&v->type) : 0;
    for (int64_t i = 0; i < count; i++)
        x[i] = from[i] * (1 + (next_random(random) >> 63 ? CONDITION_ROUNDING : -CONDITION_ROUNDING));
}

/* How far OUT moves, on the exact operands IN, at the most of some draws. */
static double largest_move(struct eval *e, const struct node *n, const struct value *out, double *const *in,
                           const double *exact)
{
    int64_t count = type_elements(&out->type);
    uint64_t random = 1;
    double most = 0;
    for (int d = 0; d < DRAWS; d++) {
        double sum = 0;
        for (int i = 0; i < n->nin; i++)
            if (n->in[i]) round_off(e, n->in[i], in[i], &random);
        eval_node(e, n);
        const double *moved = eval_data(e, out);
        for (int64_t i = 0; i < count; i++) sum += (moved[i] - exact[i]) * (moved[i] - exact[i]);
        most = fmax(most, sum);
    }
    return sqrt(most);
}

/* The size of what the operator itself subtracts, on the last operands. */
static double largest_terms(struct eval *e, const struct node *n, const struct value *out)
{
    eval_magnitudes(e, true);
    eval_node(e, n);
    eval_magnitudes(e, false);
    return reference_norm(eval_data(e, out), type_elements(&out->type));
}

double condition_size(struct eval *e, const struct node *n, const struct value *out)
{
    struct arena *scratch = arena_new();
    double **in = ARENA_ARRAY(scratch, double *, n->nin + 1), **was = ARENA_ARRAY(scratch, double *, n->nout + 1);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) in[i] = copy_of(scratch, e, n->in[i]);
    for (int i = 0; i < n->nout; i++) was[i] = copy_of(scratch, e, n->out[i]);
    bool exact = eval_exact(e, true);
    eval_node(e, n);
    double size = largest_move(e, n, out, in, copy_of(scratch, e, out)) / CONDITION_ROUNDING;
    size = fmax(size, largest_terms(e, n, out));
    eval_exact(e, exact);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]) put_back(e, n->in[i], in[i]);
    for (int i = 0; i < n->nout; i++) put_back(e, n->out[i], was[i]);
    arena_free(scratch);
    return size;
}
