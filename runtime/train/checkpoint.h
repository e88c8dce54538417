/* checkpoint.h: the state of a training run in one safetensors file: weights, optimizer state, and as text in
   __metadata__ everything else that an exact continuation needs. */
#ifndef RNC_RUNTIME_TRAIN_CHECKPOINT_H
#define RNC_RUNTIME_TRAIN_CHECKPOINT_H

#include "runtime/rt/exec.h"
#include "runtime/io/safetensors.h"
#include "runtime/rt/status.h"

/* Something that a run says of itself: metadata of every checkpoint. */
struct rnc_fact {
    const char *key, *value;
    const char *what; /* what it is in words, where another value makes another run; NULL: it is not compared */
    bool drift;       /* … or changes its last bits at most */
};
#define RNC_FACT_SPEC "rnc.spec" /* the whole text; without it specs are compared by their hash */

/* Where a run is, and what it was started with. */
struct rnc_checkpoint {
    int64_t epoch, batch; /* finished epochs; batches done of the next one */
    int64_t step;         /* finished steps */
    int64_t samples;      /* of the epoch begun */
    int64_t *counts; /* of it, what the tally counted and summed: NCOUNTS and NSUMS numbers that belong to the caller */
    double *sums;
    size_t ncounts, nsums;
    double best;
    int64_t best_epoch; /* best_epoch 0: none yet */
    int64_t epochs, batch_size;
    uint64_t seed, spec_hash;
    double lr;
    const char *data;  /* what it trains on, in words */
    const char *order; /* how the samples come: shuffling, augmentation */
    char *drift;       /* a line for each time that it went on with other last bits; NULL: never. malloc'ed */

    /* of a run that goes on */
    int64_t steps_per_epoch; /* 0: not known */
    bool allow_drift;        /* differences of the last bits are recorded */
    bool extends;            /* `epochs` is to differ */
    int64_t started_epochs;  /* what the file has for `epochs` */
    bool spec_told;          /* for checkpoint.c */
};

/* Writes PATH. OPTIM: with the optimizer's state (a checkpoint to resume from), or weights only. */
bool rnc_checkpoint_save(const struct rnc_instance *i, const struct rnc_checkpoint *c, bool optim,
                         const struct rnc_fact *facts, size_t nfacts, const char *path, struct rnc_status *s);
/* Sets I, and of *C where the run is, from PATH; fills WANT's counts and sums. WANT and FACTS: how this run was
   started; when the file's run was another, or the code adds in another order, that is an error with the first
   difference, and *DETAILS (if not NULL) becomes a malloc'ed text with a line for each further one, and a mend. */
bool rnc_checkpoint_load(struct rnc_instance *i, const struct rnc_checkpoint *want, const struct rnc_fact *facts,
                         size_t nfacts, const char *path, struct rnc_checkpoint *c, char **details,
                         struct rnc_status *s);

#endif
