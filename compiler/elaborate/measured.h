/* measured.h: which values of a spec are compared with its targets, what an output says, and how far a value has been
   made probabilities already. */
#ifndef RNC_ELABORATE_MEASURED_H
#define RNC_ELABORATE_MEASURED_H

#include "ir/graph.h"
#include "ir/op.h"
#include "runtime/task/metric.h"
#include "spec/spec.h"

/* A value beside a target, of which metrics are taken. */
struct build_pair {
    const char *value; /* a label, an output of the graph that was built to be measured */
    int target;        /* index in spec->targets */
    int loss;          /* the first that compares them; -1: none does, they are the only ones there are */
};
/* The pairs of S in the order of its losses: each loss whose value is an output; of a target that has no such loss the
   first one. In the arena; *N: how many. */
struct build_pair *build_pairs(struct arena *a, const struct spec *s, int *n);
/* What the graph's output is that is the sum of the losses, and the K-th alone: the same where there is one. */
extern const char build_total[];
const char *build_term(struct arena *a, const struct spec *s, int k);
const char *build_term_name(struct arena *a, const struct spec *s,
                            int k); /* "aux": the value's label, or with its number */

/* How a value was made probabilities, if it was. */
struct squashed {
    enum op_squash squash;   /* SQUASH_NONE: it was not */
    const struct node *node; /* by which */
    bool exact;              /* nothing but views came behind that: the value is what it computes */
};
struct squashed squashed_by(const struct value *v);
/* What V was before it was squashed, in V's shape: views are applied anew. V must be squashed, exactly. */
struct value *squashed_from(struct graph *g, const struct value *v);

/* What the output of G with that label says of the samples: by the losses that compare it, else by what it comes from
   and goes into, else by the number of `classes`. G: of S, before any pass. */
enum rnc_value_kind build_kind(const struct spec *s, const struct graph *g, const char *label);

#endif
