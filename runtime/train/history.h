/* history.h: the log of a training run: log.csv, steps.csv, and pictures of them. */
#ifndef RNC_RUNTIME_TRAIN_HISTORY_H
#define RNC_RUNTIME_TRAIN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/task/task.h"
#include "runtime/rt/status.h"

struct rnc_epoch_row {
    int64_t epoch, step;                           /* from 1; step: the last one of the epoch */
    double lr, train_loss, train_metric, val_loss; /* NaN: does not apply */
    double *val;                                   /* one for each column of the problem */
    double images_per_s, seconds; /* of this process; NaN if it resumed a finished epoch and only validated it */
};
struct rnc_step_row {
    int64_t step;
    double lr;
    float loss, metric; /* of this batch; NaN for metrics that only a whole epoch has (mIoU) */
};

struct rnc_history {
    struct rnc_epoch_row *epoch;
    size_t nepochs, cap_epochs;
    struct rnc_step_row *step;
    size_t nsteps, cap_steps;
    const struct rnc_problem *problem; /* its primary column is the metric in train_metric and in the picture */
    const char *unit;                  /* what a sample is: "images" */
    int64_t steps_per_epoch;
};
/* Adds a row; the values that row->val points to are copied. */
bool rnc_history_add_epoch(struct rnc_history *h, const struct rnc_epoch_row *r, struct rnc_status *s);
bool rnc_history_add_step(struct rnc_history *h, const struct rnc_step_row *r, struct rnc_status *s);
void rnc_history_free(struct rnc_history *h);
/* Writes DIR/log.csv (a row for each epoch) and DIR/steps.csv (a row for each step), each atomically. */
bool rnc_history_save(const struct rnc_history *h, const char *dir, struct rnc_status *s);
/* Reads the saved rows up to epoch EPOCHS and step STEPS. Files that are missing or have other columns are no failure:
   their rows are missing then. */
void rnc_history_load(struct rnc_history *h, const char *dir, int64_t epochs, int64_t steps);

/* Draws loss and metric by epoch and loss by step to DIR/curves.png and DIR/curves.svg (runtime/train/curves.c). */
bool rnc_curves_draw(const struct rnc_history *h, const char *dir, const char *title, struct rnc_status *s);

#endif
