/* contents.h: what a compiled object brings along beside its code: prepared weights, the names of the classes, what
   images go through. */
#ifndef RNC_CLI_CONTENTS_H
#define RNC_CLI_CONTENTS_H

#include "cli/dataset.h"

struct contents {
    struct gen_contents gen;
    struct session weights; /* holds gen.state */
    const char *images;     /* the text of gen.preprocess; NULL: it is not known */
};
/* For B, the graph of M's spec. WEIGHTS: a safetensors file, NULL: those of the run that stands for the spec, if one
   does. NO_WEIGHTS: only names and preprocessing are taken from there. False with diagnostics. contents_close is due
   after failure too. */
bool contents_open(struct cli *c, const struct dataset_model *m, const struct built *b, const char *weights,
                   bool no_weights, struct contents *to);
void contents_close(struct contents *k);

#endif
