/* task.h: what a network is for: what its losses are means of, how good its values are beside their targets, which of
   two epochs is better. A task is the metrics of one kind of pair, a file that ends with its row; task.c lists them. */
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
    int rank;                         /* of the values, [N, …]; 0: any */
    const char *shape;                /* the same, for messages */
    const struct rnc_metric *metrics; /* the first decides which epoch is better, unless one that leads is asked for */
    int nmetrics;
    bool decides; /* the first metric does; else the loss */
    bool labels;  /* measures what a target of true and false says: on request where a target is any numbers */
    /* Is it the task of such a value and its target? The first that says so is taken. */
    bool (*fits)(enum rnc_value_kind kind, const struct rnc_port *target);
    /* How many numbers it counts and sums for a side. */
    void (*room)(const struct rnc_side *s, size_t *counts, size_t *sums);
    /* N samples of the value and the target. QUICK: only what the first metric, and one that leads, need. */
    void (*add)(struct rnc_side *s, const float *value, const void *target, int64_t n, bool quick);
};
extern const struct rnc_task *const rnc_tasks[]; /* NULL-terminated */
const struct rnc_task *rnc_task_of(enum rnc_value_kind kind, const struct rnc_port *target);
/* The index of the task's metric of that name, or -1. */
int rnc_task_metric(const struct rnc_task *t, const char *name);

/* ---- what is measured of one network */

/* What a loss compares and metrics are of: a value and a target, by their names. */
struct rnc_pair {
    const char *value; /* an output of the program */
    const char *target;
    enum rnc_value_kind kind;
    const struct rnc_task *task;
};
/* One of the spec's losses: weight times a mean over what counts of its target, the labels or the samples. */
struct rnc_term {
    const char *name;   /* of its column, where there are several */
    const char *output; /* the program's, f32[] */
    const char *target;
    bool labels;             /* the mean is over the labels that count; else over the samples */
    int64_t classes, ignore; /* labels: below classes, and not ignore */
};

enum { RNC_COLUMN_NAME = 120 };
/* A number that an epoch has: the loss, one of its terms, a metric of a pair. */
struct rnc_column {
    char name[RNC_COLUMN_NAME]; /* "accuracy"; of several pairs "logits.accuracy", of several losses "loss.aux" */
    const struct rnc_metric *metric;
    int pair, term; /* whose; -1: no pair's, no term's */
    bool asked;     /* by the spec */
    bool shown;     /* on a terminal, unasked */
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
    int primary; /* the column that decides which epoch is better */
};
/* How many columns P's pairs and terms make. */
int rnc_problem_room(const struct rnc_problem *p);
/* Fills P's columns, in COLUMN, which has that room and stays the caller's. ASKED: the metrics that the spec names.
   False where a name is too long. Which decides: one that leads, if asked; of a single pair its first metric; of
   several the first metric asked that is some pair's first; else the loss. */
bool rnc_problem_columns(struct rnc_problem *p, struct rnc_column *column, const struct rnc_metric *const *asked,
                         int nasked, struct rnc_status *s);
const struct rnc_port *rnc_problem_target(const struct rnc_problem *p, const char *name); /* or NULL */
static inline const struct rnc_metric *rnc_problem_primary(const struct rnc_problem *p)
{
    return p->column[p->primary].metric;
}
/* How many labels (or samples) of B count for term K. */
int64_t rnc_term_counts(const struct rnc_problem *p, int k, const struct rnc_batch *b);
/* Does any loss learn anything from B? */
bool rnc_batch_counts(const struct rnc_problem *p, const struct rnc_batch *b);

/* ---- adding up: a tally is begun for one program, and freed with rnc_tally_free */

struct rnc_side {
    const struct rnc_pair *pair;
    const struct rnc_port *target;
    struct rnc_type type; /* of the value: [capacity, …] */
    uint32_t output;      /* its index */
    int64_t *count;       /* the task's */
    double *sum;
};
struct rnc_tally {
    const struct rnc_problem *problem;
    bool quick; /* set it: only what training shows at every step */
    int64_t samples;
    struct rnc_side *sides;         /* by pair */
    uint32_t *terms;                /* by term: the index of its output */
    const struct rnc_tensor *total; /* the sum of the losses, or NULL */
    /* Everything that was added up, for reset and checkpoints: first what each term counted and Σ loss·counted. */
    int64_t *count;
    double *sum;
    size_t ncount, nsum;
};
bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m, struct rnc_status *s);
void rnc_tally_reset(struct rnc_tally *t);
void rnc_tally_free(struct rnc_tally *t);
/* OUT: the program's outputs by index, of the samples of B. */
void rnc_tally_add(struct rnc_tally *t, void *const *out, const struct rnc_batch *b);
double rnc_tally_column(const struct rnc_tally *t, int column);
/* Each term's mean over what counts of it, summed; NaN: nothing counted, or the program computes no loss. */
double rnc_tally_loss(const struct rnc_tally *t);

/* The buffers of a model's outputs, [capacity] as its types say. */
struct rnc_outputs {
    void **buffer;
    uint32_t count;
};
bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s);
void rnc_outputs_free(struct rnc_outputs *o);
/* False, with the output's name, where one of N samples holds a NaN. */
bool rnc_outputs_check(const struct rnc_model *m, void *const *out, int64_t n, struct rnc_status *s);

/* Runs a model without updates over all of LOADER and adds it up. STOP: ends early when it becomes nonzero (NULL:
   never). A NaN in an output is a failure, and so are data of which nothing counts for the losses. */
bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s);

/* ---- predicting (reading.c) */

/* One line of a prediction. */
struct rnc_finding {
    int64_t index; /* the class, or the element of the output */
    double value;
};
/* An output as it is read for a prediction. */
struct rnc_reading {
    const char *output;
    enum rnc_value_kind kind;
    struct rnc_type type; /* [capacity, …] */
};
/* How an output of this kind is told. */
struct rnc_telling {
    const char *name;    /* of the kind: "logits" */
    const char *finding; /* what a finding's value is: "probability", "share" (of the pixels), "value" */
    bool fraction;       /* and whether it is shown in percent, of a class */
};
struct rnc_telling rnc_reading_telling(const struct rnc_reading *r);
/* How many findings there can be: classes, or elements. */
int64_t rnc_reading_findings(const struct rnc_reading *r);
/* The findings of one sample OUT, the highest first (numbers: in their order), at most ROOM; how many there are, or -1
   where memory is short. */
int64_t rnc_reading_predict(const struct rnc_reading *r, const float *out, struct rnc_finding *f, int64_t room);

#endif
