/* reference.h: compiled code against the operators' reference implementations, node by node. */
#ifndef RNC_DRIVER_REFERENCE_H
#define RNC_DRIVER_REFERENCE_H

#include "driver/driver.h"
#include "op/eval.h"

/* What was found at one node of the compiled graph (model->nodes[i]). */
struct reference_row {
    bool checked;
    double error; /* ‖compiled − reference‖ / ‖reference‖ of the worst of the node's results; NaN where the compiled one
                     holds one. Where terms cancel: over the size of the terms */
    double limit;     /* what it may be */
    double condition; /* the size of the terms over that of the result, where it is only right by that; else 0 */
};

struct reference_options {
    bool distinct;    /* of equal nodes (operator, attributes, shapes) only the first: they share their kernels */
    int64_t n;        /* samples */
    double tolerance; /* of a node's error, beside what rounding a result to its type comes to */
    const void *const *in;
    void *const *out;
};

/* Runs the model once; each node's reference reads what the compiled nodes before it produced, so an error is the
   node's own. ROWS: model->nnodes of them. False with diagnostics. */
bool reference_nodes(struct driver *d, const struct built *b, struct session *s, const struct reference_options *o,
                     struct reference_row *rows);

/* ROW and MORE are of one node: ROW becomes the one that is further from right. */
void reference_keep_worse(struct reference_row *row, const struct reference_row *more);

/* An interpreter for G with every argument set from the instance's state and the input buffers. */
struct eval *reference_eval(struct driver *d, const struct graph *g, const struct session *s,
                            const struct reference_options *o);

/* How far the compiled output LABEL may be off WANT, which is as the spec says it (COUNT numbers of it), where values
   are stored rounded: what that rounding alone does to the graph after all passes, interpreted, times three, as the
   roundings of one side and of the other are not the same ones, and at least one step of the type. Of a single number,
   a loss, it is what such errors of its predictions come to, whatever their signs. 0: nothing is stored so. */
double reference_rounding_limit(struct driver *d, const struct built *b, const struct session *s,
                                const struct reference_options *o, const char *label, const double *want,
                                int64_t count);

/* ‖a − b‖ / max(‖b‖, FLOOR) over COUNT elements. */
double reference_error(const double *a, const double *b, int64_t count, double floor);
double reference_norm(const double *x, int64_t count);

#endif
