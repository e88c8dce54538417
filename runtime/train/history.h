/* history.h: the course of a training run: log.csv, steps.csv, and the pictures of them. */
#ifndef RNC_RUNTIME_TRAIN_HISTORY_H
#define RNC_RUNTIME_TRAIN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/task/task.h"
#include "runtime/rt/status.h"

struct rnc_epoch_row {
    int64_t epoch, step;                           /* from 1; step: the last of the epoch */
    double lr, train_loss, train_metric, val_loss; /* NaN: does not apply */
    double *val;                                   /* by the problem's columns */
    double images_per_s, seconds; /* of this process: NaN where it only validated an epoch that it resumed */
};
struct rnc_step_row {
    int64_t step;
    double lr;
    float loss, metric; /* of this batch; NaN where only whole epochs have it (mIoU) */
};

struct rnc_history {
    struct rnc_epoch_row *epoch;
    size_t nepochs, cap_epochs;
    struct rnc_step_row *step;
    size_t nsteps, cap_steps;
    const struct rnc_problem *problem; /* its primary column is what train_metric is, and what the picture shows */
    const char *unit;                  /* what a sample is: "images" */
    int64_t steps_per_epoch;
};
/* Copies what the row's val points to. */
bool rnc_history_add_epoch(struct rnc_history *h, const struct rnc_epoch_row *r, struct rnc_status *s);
bool rnc_history_add_step(struct rnc_history *h, const struct rnc_step_row *r, struct rnc_status *s);
void rnc_history_free(struct rnc_history *h);
/* DIR/log.csv (a row for each epoch) and DIR/steps.csv, written whole and atomically. */
bool rnc_history_save(const struct rnc_history *h, const char *dir, struct rnc_status *s);
/* Takes back what was saved, up to epoch EPOCHS and step STEPS. Missing or strange files are no failure: rows are
   missing then. */
void rnc_history_load(struct rnc_history *h, const char *dir, int64_t epochs, int64_t steps);

/* runtime/train/curves.c: loss and metric by epoch, loss by step, as DIR/curves.png and DIR/curves.svg. */
bool rnc_curves_draw(const struct rnc_history *h, const char *dir, const char *title, struct rnc_status *s);

#endif
