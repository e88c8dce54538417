/* build.h: a checked spec becomes IR (STAGE_RAW): inputs, targets, parameters with torchvision-like names, layers,
   losses. */
#ifndef RNC_ELABORATE_ELABORATE_H
#define RNC_ELABORATE_ELABORATE_H

#include "ir/graph.h"
#include "spec/spec.h"

struct build_options {
    int64_t batch;
    bool losses;   /* also targets and the loss: output "loss" is the weighted sum, f32[] */
    bool measured; /* with losses: values that are measured (build_pairs) and each loss (build_term) are outputs, too */
    const char *const *dump;
    int ndump; /* layer paths or labels whose outputs become graph outputs too, labelled by that name */
};

/* The graph, or NULL with diagnostics (shape errors with the trail of layers). Outputs in the spec's order by label,
   then the dumps, what is measured, "loss". Every value that is a layer's output has value->layer set
   ("layer1.0.conv1"; for layers without a name "layer1.0.relu", "layer1.0.relu.1" …). */
struct graph *build_graph(struct arena *a, struct diags *d, const struct spec *s, const struct build_options *o);

#endif
