/* reference.h: compiled code against the operators' reference implementations, node by node. */
#ifndef RNC_DRIVER_REFERENCE_H
#define RNC_DRIVER_REFERENCE_H

#include "driver/driver.h"
#include "op/eval.h"

/* What was found at one node of the compiled graph (model->nodes[i]). */
struct reference_row {
    bool checked;
    double largest; /* of a result stored as bf16: its largest element over its norm; 0: none is */
    double error; /* ‖compiled − reference‖ / ‖reference‖ over the node's results; NaN where the compiled result holds
                     one */
};

struct reference_options {
    bool distinct; /* of equal nodes (operator, attributes, shapes) only the first: they share their kernels */
    int64_t n;     /* samples */
    const void *const *in;
    void *const *out;
};

/* Runs the model once; each node's reference reads what the compiled nodes before it produced, so an error is the
   node's own. ROWS: model->nnodes of them. False with diagnostics. */
bool reference_nodes(struct driver *d, const struct built *b, struct session *s, const struct reference_options *o,
                     struct reference_row *rows);

/* An interpreter for G with every argument set from the instance's state and the input buffers. */
struct eval *reference_eval(struct driver *d, const struct graph *g, const struct session *s,
                            const struct reference_options *o);

/* What the error of a node may be: TOLERANCE, and beside it what comes of rounding both sides to bf16, whose numbers
   lie 2^-8 to 2^-7 of their size apart. An element that is off by d falls on the other side of a middle with
   probability d/step, and is then off by a whole step: the squares add up to tolerance·2^-7. Means of few bf16 numbers
   do lie in the middle of two: four such elements are always allowed. */
double reference_limit(const struct reference_row *r, double tolerance);
/* How far the compiled output LABEL may be off WANT, which is as the spec says it (COUNT numbers of it), where values
   are stored as bf16: what that rounding alone does to the graph after all passes, interpreted, times three, as the
   roundings of one side and of the other are not the same ones, and at least one step of bf16. Of a single number, a
   loss, it is what such errors of its predictions come to, whatever their signs. 0: nothing is stored so. */
double reference_bf16_limit(struct driver *d, const struct built *b, const struct session *s,
                            const struct reference_options *o, const char *label, const double *want, int64_t count);

/* ‖a − b‖ / max(‖b‖, FLOOR) over COUNT elements. */
double reference_error(const double *a, const double *b, int64_t count, double floor);
double reference_norm(const double *x, int64_t count);

#endif
