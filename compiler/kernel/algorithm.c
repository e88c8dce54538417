/* algorithm.c: the table of algorithms, and what may be asked of a row. The methods are in direct.c and winograd.c. */
#include "kernel/algorithm.h"

#include <assert.h>

/* name; label; method; tile; largest stride forward, dgrad, wgrad; the same in training; error (kernel/accuracy.h).
   CONV: algorithms of convolutions and their gradients by the image alone; ALL: of the gradient by the weight, too. In
   rising order: a smaller tile is taken where a larger one gains less than a tenth. F(6)'s error would come near the
   budget of a weight gradient: it is not offered. */
#define ALGORITHMS(ALL, CONV)                                                                 \
    ALL(direct, "direct", method_direct, 0, 1 << 12, 1 << 12, 1 << 12, 1 << 12, {0, 1.22e-8}) \
    ALL(winograd2, "F(2,3)", method_winograd, 2, 1, 1, 1, 1, {9.5e-8, 2.56e-8})               \
    ALL(winograd4, "F(4,3)", method_winograd, 4, 2, 1, 1, 1, {2.8e-7, 7.4e-8})                \
    ALL(winograd5, "F(5,3)", method_winograd, 5, 1, 1, 1, 1, {5e-7, 1.45e-7})                 \
    CONV(winograd6, "F(6,3)", method_winograd, 6, 1, 1, 0, 0, {1.34e-6, 3e-7})

#define NOT(...)
#define NUMBER(name, ...) ALGORITHM_##name,
enum { ALGORITHMS(NUMBER, NUMBER) };

#define ROW(name, label, method, tile, forward, dgrad, wgrad, train, ...)                                        \
    {#name, label,      &(method), tile, {[CONV_FORWARD] = forward, [CONV_DGRAD] = dgrad, [CONV_WGRAD] = wgrad}, \
     train, __VA_ARGS__},
static const struct algorithm rows[] = {ALGORITHMS(ROW, ROW){0}};
enum { COUNT = sizeof rows / sizeof *rows - 1 };
_Static_assert((int)COUNT <= (int)ALGORITHMS_MOST, "more algorithms than passes count");

const struct algorithm *algorithm_all(void) { return rows; }

/* The attribute's choices and, by their number, the rows. */
#define NAME(name, ...) #name,
const char *const algorithm_names[] = {ALGORITHMS(NAME, NAME) NULL};
const char *const algorithm_names_wgrad[] = {ALGORITHMS(NAME, NOT) NULL};
static const unsigned char of_wgrad[] = {ALGORITHMS(NUMBER, NOT)};

bool algorithm_has_tile(int tile, int stride)
{
    for (const struct algorithm *a = rows; a->name; a++)
        if (a->method->transformed && a->tile == tile && a->stride[CONV_FORWARD] >= stride) return true;
    return false;
}

static const struct op_attr *attribute(const struct node *n)
{
    int i = op_attr_index(n->op, "algorithm");
    return i < 0 ? NULL : &n->op->attrs[i];
}

int algorithm_count(const struct node *n)
{
    const struct op_attr *row = attribute(n);
    return !row ? 1 : row->choices == algorithm_names_wgrad ? (int)sizeof of_wgrad : COUNT;
}

const struct algorithm *algorithm_at(const struct node *n, int k)
{
    const struct op_attr *row = attribute(n);
    assert(k >= 0 && k < algorithm_count(n));
    return row && row->choices == algorithm_names_wgrad ? &rows[of_wgrad[k]] : &rows[k];
}

const struct algorithm *algorithm_of(const struct node *n)
{
    int i = op_attr_index(n->op, "algorithm");
    return algorithm_at(n, i < 0 ? 0 : (int)n->attr[i].i);
}

const struct type *algorithm_weight(const struct node *n)
{
    return n->op->direction == CONV_WGRAD ? &n->out[0]->type : &n->in[1]->type;
}

bool algorithm_computes(const struct node *n, const struct type *results, struct op_error *e)
{
    const struct algorithm *a = algorithm_of(n);
    const struct type *w = n->op->direction == CONV_WGRAD ? &results[0] : &n->in[1]->type;
    return !a->method->computes || a->method->computes(a, n, w, e);
}

bool algorithm_legal(const struct node *n, int k, const struct target *t)
{
    const struct algorithm *a = algorithm_at(n, k);
    if (a->method->fills && !a->method->fills(n, t->lanes)) return false;
    return !a->method->computes || a->method->computes(a, n, algorithm_weight(n), NULL);
}

double algorithm_error(const struct node *n, int k)
{
    const struct algorithm *a = algorithm_at(n, k);
    return accuracy_estimate(a->accuracy, a->method->terms(a, n));
}

double algorithm_cost(const struct node *n, int k, const struct target *t, bool train)
{
    const struct algorithm *a = algorithm_at(n, k);
    return a->method->cost(a, n, t, train);
}

int64_t algorithm_macs(const struct node *n)
{
    const struct algorithm *a = algorithm_of(n);
    return a->method->macs ? a->method->macs(a, n) : op_macs(n);
}

double algorithm_effort(const struct node *n) { return algorithm_of(n)->method->effort; }
