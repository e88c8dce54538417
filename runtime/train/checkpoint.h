/* checkpoint.h: the state of a training run in one safetensors file. Tensors: weights and optimizer state. Text in
   __metadata__: everything else that an exact resume needs. */
#ifndef RNC_RUNTIME_TRAIN_CHECKPOINT_H
#define RNC_RUNTIME_TRAIN_CHECKPOINT_H

#include "runtime/rt/exec.h"
#include "runtime/io/safetensors.h"
#include "runtime/rt/status.h"

/* A key and value that describe the run. They are stored in the metadata of every checkpoint. */
struct rnc_fact {
    const char *key, *value;
    const char *what; /* its description for messages, if a different value means a different run; NULL: the value is
                         not compared */
    bool drift;       /* a different value changes at most the last bits of the results */
};
#define RNC_FACT_SPEC "rnc.spec" /* the whole spec; in a file without it, specs are compared by their hash */

/* The progress of a run, and the settings that it was started with. */
struct rnc_checkpoint {
    int64_t epoch, batch; /* finished epochs; batches done in the next one */
    int64_t step;         /* finished steps */
    int64_t samples;      /* of the unfinished epoch */
    int64_t *counts; /* of the unfinished epoch: the counts and sums of struct rnc_tally. NCOUNTS and NSUMS numbers,
                        owned by the caller */
    double *sums;
    size_t ncounts, nsums;
    double best;
    int64_t best_epoch; /* best_epoch 0: none yet */
    int64_t epochs, batch_size;
    uint64_t seed, spec_hash;
    double lr;
    const char *data;  /* a description of the data */
    const char *order; /* the order of samples: shuffling, augmentation */
    char *drift;       /* a line for each resume that changed the last bits; NULL: none. malloc'ed */

    /* of a run that is resumed */
    int64_t steps_per_epoch; /* 0: not known */
    bool allow_drift;        /* accept and record differences of the last bits */
    bool extends;            /* `epochs` may differ from the file's */
    int64_t started_epochs;  /* `epochs` in the file */
    bool spec_told;          /* private to checkpoint.c */
};

/* Writes PATH atomically. OPTIM: true stores the optimizer's state too (a checkpoint to resume from), false only the
   weights. */
bool rnc_checkpoint_save(const struct rnc_instance *i, const struct rnc_checkpoint *c, bool optim,
                         const struct rnc_fact *facts, size_t nfacts, const char *path, struct rnc_status *s);
/* Loads PATH into the instance I and its progress into *C; fills WANT's counts and sums. WANT and FACTS describe the
   run that resumes. It is an error if the file comes from a different run, or if this code adds in a different order.
   The status names the first difference; *DETAILS (if not NULL) becomes a malloc'ed text with a line for each further
   one and a mend. */
bool rnc_checkpoint_load(struct rnc_instance *i, const struct rnc_checkpoint *want, const struct rnc_fact *facts,
                         size_t nfacts, const char *path, struct rnc_checkpoint *c, char **details,
                         struct rnc_status *s);

#endif
