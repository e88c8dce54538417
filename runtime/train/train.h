/* train.h: the training loop. It prints nothing: what happens is told to a callback. */
#ifndef RNC_RUNTIME_TRAIN_TRAIN_H
#define RNC_RUNTIME_TRAIN_TRAIN_H

#include "runtime/data/data.h"
#include "runtime/rt/exec.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/history.h"
#include "runtime/data/loader.h"
#include "runtime/task/task.h"
#include "runtime/io/safetensors.h"
#include "runtime/recipe/recipe.h"

enum rnc_event { RNC_EVENT_STEP, RNC_EVENT_VALIDATION, RNC_EVENT_EPOCH };
struct rnc_progress {
    enum rnc_event event;
    int64_t epoch, epochs;  /* the one in progress, from 1 */
    int64_t batch, batches; /* done, of this epoch or of the validation */
    int64_t step;
    double lr, loss, metric;          /* means over this epoch so far */
    const struct rnc_column *primary; /* what metric is */
    double images_per_s, eta_s;       /* eta: to the end of the run, validation included once it was measured */
    const struct rnc_epoch_row *row;  /* RNC_EVENT_EPOCH */
    bool best;
};

/* A small file of the run's folder, written once, when the run begins. */
struct rnc_run_file {
    const char *name, *text;
};

struct rnc_train_config {
    const struct rnc_model *train, *infer; /* of one spec; the inference model of any batch, with the losses */
    const struct rnc_problem *problem;     /* with its columns */
    double *values; /* room for a number of each column: the last epoch's will be there, as the result's last.val */
    const struct rnc_parallel *par;
    unsigned exec_flags;
    const struct rnc_data *data;
    struct rnc_loader_config loader; /* its data, ports and batch are set here; shuffle and augment for training */
    struct rnc_choice schedule;      /* runtime/recipe/schedule.h */
    double lr;                       /* the optimizer's, which the schedule scales */
    int64_t epochs;
    uint64_t seed, spec_hash;
    const char *out;   /* a directory; made where it is missing */
    bool resume;       /* from OUT/last.safetensors */
    bool overwrite;    /* a run that is in OUT is set aside (runtime/train/folder.h); without it, it is an error */
    const char *init;  /* weights to start from, or NULL */
    const char *title; /* of the picture */
    const struct rnc_fact *facts;
    size_t nfacts;           /* of every checkpoint; compared when a run goes on */
    bool allow_drift;        /* a run goes on although last bits may differ, and its checkpoints say so */
    bool extends;            /* a finished run goes on for more epochs than it was started for */
    int64_t schedule_epochs; /* of an extended run: how long the schedule is; 0: all epochs */
    double late_lr;          /* and the rate behind its end; 0: the schedule's at its end */
    const struct rnc_run_file *files;
    size_t nfiles;
    const volatile int *stop; /* becomes nonzero: finish the step, write a checkpoint, return */
    void (*progress)(void *ctx, const struct rnc_progress *p);
    void *ctx;
};

struct rnc_train_result {
    int64_t epochs, step; /* finished, in all */
    int64_t resumed_epoch, resumed_step;
    bool stopped;         /* by *stop */
    int64_t passed_over;  /* batches of this process that were no steps */
    bool finished_before; /* a run that was to go on had nothing left to do */
    bool drifted;         /* it goes on with other last bits, this time */
    const struct rnc_column *primary;
    double best;
    int64_t best_epoch;
    struct rnc_epoch_row last;
    double seconds;
    int64_t log_missing;        /* epochs before the one resumed that log.csv has no row of */
    struct rnc_status pictures; /* why they could not be drawn, the last time; not a failure of the run */
};
/* A batch of which nothing counts for the losses (all its labels ignored) is no step: weights, optimizer, statistics,
   step number and schedule stay as they are. Means over an epoch are over what counts.
   Leaves in OUT, which no other process trains in meanwhile: FILES, and the files of runtime/train/folder.h. *DETAILS
   as of rnc_weights_load. After a failure the last good checkpoint stays. */
bool rnc_train(const struct rnc_train_config *c, struct rnc_train_result *r, char **details, struct rnc_status *s);

#endif
