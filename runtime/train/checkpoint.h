/* checkpoint.h: the state of a training run in one safetensors file: weights, optimizer state, and as text in
   __metadata__ everything else that an exact continuation needs. */
#ifndef RNC_RUNTIME_TRAIN_CHECKPOINT_H
#define RNC_RUNTIME_TRAIN_CHECKPOINT_H

#include "runtime/rt/exec.h"
#include "runtime/io/safetensors.h"
#include "runtime/rt/status.h"

/* Where a run is, and what it was started with. */
struct rnc_checkpoint {
    int64_t epoch, batch; /* finished epochs; batches done of the next one */
    int64_t step;         /* finished steps */
    double loss_sum;
    int64_t samples, counted, right; /* of the epoch begun */
    int64_t *counts;                 /* of it, what else the task counts: NCOUNTS numbers that belong to the caller */
    size_t ncounts;
    double best;
    int64_t best_epoch; /* best_epoch 0: none yet */
    int64_t epochs, batch_size;
    uint64_t seed, spec_hash;
    double lr;
    const char *data;  /* what it trains on, in words */
    const char *order; /* how the samples come: shuffling, augmentation */
};

/* Writes PATH. EXTRA: further metadata. OPTIM: with the optimizer's state (a checkpoint to resume from), or weights
   only. */
bool rnc_checkpoint_save(const struct rnc_instance *i, const struct rnc_checkpoint *c, bool optim,
                         const struct rnc_st_meta *extra, size_t nextra, const char *path, struct rnc_status *s);
/* Sets I, and of *C where the run is, from PATH; fills WANT's counts. WANT: how this run was started; when the file's
   run was another, or the code computes in another way, that is an error that says which. Only `epochs` and `lr` may
   differ (the schedule then goes on with the new ones). */
bool rnc_checkpoint_load(struct rnc_instance *i, const struct rnc_checkpoint *want, const char *path,
                         struct rnc_checkpoint *c, struct rnc_status *s);

#endif
