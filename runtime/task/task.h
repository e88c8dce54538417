/* task.h: tasks: how losses are averaged, which metrics compare values with their targets, and which epoch is best. A
   task has the metrics for one kind of value and target; its file ends with its row. task.c lists the tasks. */
#ifndef RNC_RUNTIME_TASK_TASK_H
#define RNC_RUNTIME_TASK_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/data/batch.h"
#include "runtime/data/loader.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/status.h"
#include "runtime/task/metric.h"

struct rnc_task {
    const char *name;
    int rank;                         /* of the values [N, …]; 0: any */
    const char *shape;                /* that shape, for messages */
    const struct rnc_metric *metrics; /* the first selects the best epoch, unless the spec names one that leads */
    int nmetrics;
    bool decides; /* the first metric selects the best epoch; false: the loss does */
    bool labels;  /* its metrics suit targets of 0 and 1; for targets of any numbers they are on request */
    /* True if the task applies to this value and target. The first row that applies is used. */
    bool (*fits)(enum rnc_value_kind kind, const struct rnc_port *target);
    /* How many counts and sums the task keeps for a side. */
    void (*sizes)(const struct rnc_side *s, size_t *counts, size_t *sums);
    /* Adds N samples of the value and the target. QUICK: only what the first metric, and one that leads, need. */
    void (*add)(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick);
};
extern const struct rnc_task *const rnc_tasks[]; /* NULL-terminated */
const struct rnc_task *rnc_task_of(enum rnc_value_kind kind, const struct rnc_port *target);
/* The index of the task's metric with that name, or -1. */
int rnc_task_metric(const struct rnc_task *t, const char *name);

/* ---- the metrics of one network */

/* A value and its target, by name: what a loss compares and metrics measure. */
struct rnc_pair {
    const char *value; /* an output of the program */
    const char *target;
    enum rnc_value_kind kind;
    const struct rnc_task *task;
};
/* One of the spec's losses: a weight times a mean over what counts for its target, labels or samples. */
struct rnc_term {
    const char *name;   /* of its column, if there are several losses */
    const char *output; /* of the program, f32[] */
    const char *target;
    bool labels;             /* the mean is over the labels that count; false: over the samples */
    int64_t classes, ignore; /* labels that count are below classes and not ignore */
};

enum { RNC_COLUMN_NAME = 120 };
/* A number for each epoch: the loss, one of its terms, or a metric of a pair. */
struct rnc_column {
    char name[RNC_COLUMN_NAME]; /* "accuracy"; with several pairs "logits.accuracy", with several losses "loss.aux" */
    const struct rnc_metric *metric;
    int pair, term; /* the pair or term that it measures; -1: none */
    bool requested; /* the spec names it */
    bool shown;     /* printed on a terminal by default */
};
struct rnc_problem {
    const struct rnc_port *ports; /* inputs and targets */
    int nports;
    const struct rnc_pair *pairs;
    int npairs;
    const struct rnc_term *terms;
    int nterms;
    const struct rnc_column *column; /* the first is the loss */
    int ncolumns;
    int primary; /* the column that selects the best epoch */
};
/* The number of columns for P's pairs and terms. */
int rnc_problem_count_columns(const struct rnc_problem *p);
/* Fills P's columns in COLUMN, an array of rnc_problem_count_columns elements that the caller owns. REQUESTED: the
   metrics that the spec names. Fails if a name is too long. The best epoch is selected by: a requested metric that
   leads; else, with one pair, its first metric; with several pairs, the first requested metric that is first of some
   pair; else the loss. */
bool rnc_problem_columns(struct rnc_problem *p, struct rnc_column *column, const struct rnc_metric *const *requested,
                         int nrequested, struct rnc_status *s);
const struct rnc_port *rnc_problem_target(const struct rnc_problem *p, const char *name); /* or NULL */
static inline const struct rnc_metric *rnc_problem_primary(const struct rnc_problem *p)
{
    return p->column[p->primary].metric;
}
/* The number of labels (or samples) of B that count for term K. */
int64_t rnc_term_counts(const struct rnc_problem *p, int k, const struct rnc_batch *b);
/* True if anything in B counts for a loss. */
bool rnc_batch_counts(const struct rnc_problem *p, const struct rnc_batch *b);

/* ---- tallies: counts and sums over batches. rnc_tally_begin allocates for one program, rnc_tally_free frees. */

struct rnc_side {
    const struct rnc_pair *pair;
    const struct rnc_port *target;
    struct rnc_type type; /* of the value: [batch, …] */
    uint32_t output;      /* index of the output */
    int64_t *count;       /* the task's counts */
    double *sum;
};
struct rnc_tally {
    const struct rnc_problem *problem;
    bool quick; /* set by the caller: only what training prints at every step */
    int64_t samples;
    struct rnc_side *sides;         /* by pair */
    uint32_t *terms;                /* by term: index of its output */
    const struct rnc_tensor *total; /* the output with the sum of the losses, or NULL */
    /* All counts and sums, for reset and checkpoints. First come each term's count and Σ loss·count. */
    int64_t *count;
    double *sum;
    size_t ncount, nsum;
};
bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m, struct rnc_status *s);
void rnc_tally_reset(struct rnc_tally *t);
void rnc_tally_free(struct rnc_tally *t);
/* Adds a batch B. OUT: the program's outputs, by index, for its samples. */
void rnc_tally_add(struct rnc_tally *t, void *const *out, const struct rnc_batch *b);
double rnc_tally_column(const struct rnc_tally *t, int column);
/* The sum over terms of the mean over what counts. NaN: nothing counted, or the program computes no loss. */
double rnc_tally_loss(const struct rnc_tally *t);

/* Buffers for a model's outputs, for a full batch. */
struct rnc_outputs {
    void **buffer;
    uint32_t count;
};
bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s);
void rnc_outputs_free(struct rnc_outputs *o);
/* Fails, with the output's name, if one of the N samples has a NaN. */
bool rnc_outputs_check(const struct rnc_model *m, void *const *out, int64_t n, struct rnc_status *s);

/* Runs an inference model over all batches of LOADER and adds them to T. STOP: ends early when *STOP becomes nonzero
   (NULL: never). Fails on a NaN in an output, and if nothing in the data counts for the losses. */
bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s);

/* ---- predictions (reading.c) */

/* One line of a prediction. */
struct rnc_finding {
    int64_t index; /* the class, or the element of the output */
    double value;
};
/* An output that is read as a prediction. */
struct rnc_reading {
    const char *output;
    enum rnc_value_kind kind;
    struct rnc_type type; /* [batch, …] */
};
/* The words for an output of this kind. */
struct rnc_telling {
    const char *name;    /* the name of the kind: "logits" */
    const char *finding; /* what the value of a finding is: "probability", "share" (of the pixels), "value" */
    bool fraction;       /* the value belongs to a class and is printed in percent */
};
struct rnc_telling rnc_reading_telling(const struct rnc_reading *r);
/* The most findings there can be: the number of classes, or of elements. */
int64_t rnc_reading_findings(const struct rnc_reading *r);
/* Writes at most CAPACITY findings for one sample OUT to F: the highest first; numbers in their order. Returns their
   number, or -1 if memory is short. */
int64_t rnc_reading_predict(const struct rnc_reading *r, const float *out, struct rnc_finding *f, int64_t capacity);

#endif
