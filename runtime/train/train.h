/* train.h: the training loop. It prints nothing; it reports progress to a callback. */
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
    const struct rnc_column *primary; /* the column of `metric` */
    double images_per_s, eta_s; /* eta: seconds to the end of the run; includes validation once it has been measured */
    const struct rnc_epoch_row *row; /* RNC_EVENT_EPOCH */
    bool best;
};

/* A small file that is written to the run's folder when the run begins. */
struct rnc_run_file {
    const char *name, *text;
};

struct rnc_train_config {
    /* of the same spec; the inference model computes the losses too, and may have another batch size */
    const struct rnc_model *train, *infer;
    const struct rnc_problem *problem; /* with its columns filled */
    double *values; /* an array with a number for each column. At the end it holds the last epoch's values, as the
                       result's last.val */
    const struct rnc_parallel *par;
    unsigned exec_flags;
    const struct rnc_data *data;
    struct rnc_loader_config loader; /* `data`, `ports`, `batch` are ignored; shuffle, augment: for training */
    struct rnc_choice schedule;      /* runtime/recipe/schedule.h */
    double lr;                       /* the optimizer's rate, which the schedule multiplies */
    int64_t epochs;
    uint64_t seed, spec_hash;
    const char *out;   /* a directory; created if it is missing */
    bool resume;       /* from OUT/last.safetensors */
    bool overwrite;    /* an existing run in OUT is set aside (runtime/train/folder.h); if false, it is an error */
    const char *init;  /* path of the weights to start from, or NULL */
    const char *title; /* of the picture */
    const struct rnc_fact *facts;
    size_t nfacts;           /* stored in every checkpoint; compared on resume */
    bool allow_drift;        /* resume even if last bits may differ; the checkpoints record it */
    bool extends;            /* a finished run continues for more epochs than it was started for */
    int64_t schedule_epochs; /* of an extended run: the length of the schedule; 0: all epochs */
    double late_lr;          /* and the rate after the schedule's end; 0: the rate at its end */
    const struct rnc_run_file *files;
    size_t nfiles;
    const volatile int *stop; /* a signal handler sets it to nonzero: finish the step, write a checkpoint, return */
    void (*progress)(void *ctx, const struct rnc_progress *p);
    void *ctx;
};

struct rnc_train_result {
    int64_t epochs, step; /* finished in all, not only by this process */
    int64_t resumed_epoch, resumed_step;
    bool stopped;         /* because of *stop */
    int64_t passed_over;  /* batches of this process in which nothing counted, so that no step was made */
    bool finished_before; /* the resumed run was finished already */
    bool drifted;         /* this resume changed the last bits */
    const struct rnc_column *primary;
    double best;
    int64_t best_epoch;
    struct rnc_epoch_row last;
    double seconds;
    int64_t log_missing;        /* epochs before the resumed one that have no row in log.csv */
    struct rnc_status pictures; /* why the last drawing of the pictures failed; the run goes on without them */
};
/* Trains. If no label or sample of a batch counts for a loss (all its labels are ignored), the batch is skipped:
   weights, optimizer, batch-norm statistics, step number and schedule stay as they are. Means over an epoch are over
   what counts. Writes FILES and the files of runtime/train/folder.h to OUT, which is locked meanwhile. *DETAILS: as in
   rnc_weights_load. After a failure the last good checkpoint stays. */
bool rnc_train(const struct rnc_train_config *c, struct rnc_train_result *r, char **details, struct rnc_status *s);

#endif
