/* reference.h: compiled code against the operators' reference implementations, node by node. */
#ifndef RNC_CLI_REFERENCE_H
#define RNC_CLI_REFERENCE_H

#include "cli/session.h"
#include "op/eval.h"

/* What was found at one node of the compiled graph (model->nodes[i]). */
struct reference_row {
    bool checked;
    double error;   /* ‖compiled − reference‖ / ‖reference‖ over the node's results; NaN where the compiled result holds one */
};

struct reference_options {
    bool distinct;  /* of equal nodes (operator, attributes, shapes) only the first: they share their kernels */
    int64_t n;      /* samples */
    const void *const *in;
    void *const *out;
};

/* Runs the model once; each node's reference reads what the compiled nodes before it produced, so an error is the node's own.
   ROWS: model->nnodes of them. False with diagnostics. */
bool reference_nodes(struct cli *c, const struct built *b, struct session *s, const struct reference_options *o, struct reference_row *rows);

/* An interpreter for G with every argument set from the instance's state and the input buffers. */
struct eval *reference_eval(struct cli *c, const struct graph *g, const struct session *s, const struct reference_options *o);

/* ‖a − b‖ / max(‖b‖, FLOOR) over COUNT elements. */
double reference_error(const double *a, const double *b, int64_t count, double floor);
double reference_norm(const double *x, int64_t count);

#endif
