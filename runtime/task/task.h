/* task.h: what a network is for: which targets it learns from, how good it is, which of two epochs is better, what a
   prediction says. A task is one file that ends with its row; task.c lists the rows. */
#ifndef RNC_RUNTIME_TASK_TASK_H
#define RNC_RUNTIME_TASK_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/data/batch.h"
#include "runtime/data/loader.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/status.h"
#include "runtime/task/metric.h"

/* What a loss compares: an output and a target, by their names. */
struct rnc_pair {
    const char *output, *target;
};

/* A task with the tensors of one network. */
struct rnc_problem {
    const struct rnc_task *task;
    const struct rnc_port *ports; /* inputs and targets */
    int nports;
    const struct rnc_pair *pairs;
    int npairs;
};

/* One line of a prediction. */
struct rnc_finding {
    const char *output; /* the tensor it was read from */
    int64_t index;      /* the class, or the element of the output */
    double value;
};

struct rnc_task {
    const char *name;
    const struct rnc_metric *metrics; /* the first decides which epoch is better, unless one that leads is asked for */
    int nmetrics;
    bool losses;         /* validation needs the program with the losses; else their targets alone */
    const char *finding; /* what a finding's value is: "probability" */
    bool fraction;       /* and whether that is shown in percent */
    /* Is it the task of a network with these inputs and targets? The first that says so is taken. */
    bool (*fits)(const struct rnc_port *ports, int nports);
    /* Sets up t->own; checks that the outputs are of the kind. */
    bool (*begin)(struct rnc_tally *t, struct rnc_status *s);
    /* N samples: for each of t->sides its output in OUT and its target in TARGET. */
    void (*add)(struct rnc_tally *t, const float *const *out, const void *const *target, int64_t n);
    void (*reset)(struct rnc_tally *t);
    /* What it has counted when training stops within an epoch, for a checkpoint: *N numbers in t->own. NULL: right and
       counted are all. */
    int64_t *(*counts)(const struct rnc_tally *t, size_t *n);
    /* The loss on what was added; NULL: the compiled losses' mean. */
    double (*loss)(const struct rnc_tally *t);
    /* The findings of one sample, the most telling first, at most ROOM; how many there are. OUT: the model's outputs by
       index. */
    int64_t (*predict)(const struct rnc_tally *t, void *const *out, struct rnc_finding *f, int64_t room);
};
/* Keeps the N findings of F in order, the highest value first, of equals the earlier one, and at most ROOM; returns how
   many there are now. */
int64_t rnc_finding_insert(struct rnc_finding *f, int64_t n, int64_t room, struct rnc_finding more);

extern const struct rnc_task *const rnc_tasks[]; /* NULL-terminated */
const struct rnc_task *rnc_task_of(const struct rnc_port *ports, int nports);

/* A set of the task's metrics: bit k is metrics[k]. */
unsigned rnc_task_metric(const struct rnc_task *t, const char *name); /* 0: it has none of that name */
/* The metric that decides which epoch is better when ASKED is what the spec asks for; an index. */
int rnc_task_primary(const struct rnc_task *t, unsigned asked);

/* ---- adding up: a tally is begun for one model, and freed with rnc_tally_free */

struct rnc_side {
    const struct rnc_pair *pair;
    const struct rnc_port *target;
    struct rnc_type type; /* of the output: [capacity, …] */
    uint32_t output;      /* its index */
};
struct rnc_tally {
    const struct rnc_task *task;
    bool quick; /* set it: only what training shows at every step */
    int64_t samples;
    double loss_sum; /* the compiled loss of each batch, times its samples */
    int64_t right,
        counted; /* the task's first metric is right/counted, as far as that is one; checkpoints keep these */
    struct rnc_side *sides; /* the pairs that the model has an output for */
    int nsides;
    const void **in; /* of the batch, by side */
    const float **out;
    const struct rnc_tensor *loss; /* the model's, or NULL */
    void *own;                     /* the task's; one block, freed with free */
};
bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_problem *p, const struct rnc_model *m, struct rnc_status *s);
void rnc_tally_reset(struct rnc_tally *t);
void rnc_tally_free(struct rnc_tally *t);
int64_t *rnc_tally_counts(const struct rnc_tally *t, size_t *n); /* the task's; *N 0: none */
/* OUT: the model's outputs by index, of the samples of B. */
void rnc_tally_add(struct rnc_tally *t, void *const *out, const struct rnc_batch *b);
double rnc_tally_metric(const struct rnc_tally *t, int metric);
double rnc_tally_loss(const struct rnc_tally *t); /* NaN: nothing was counted, or the model computes none */

/* The buffers of a model's outputs, [capacity] as its types say. */
struct rnc_outputs {
    void **buffer;
    uint32_t count;
};
bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s);
void rnc_outputs_free(struct rnc_outputs *o);

/* Runs a model without updates over all of LOADER and adds it up. STOP: ends early when it becomes nonzero (NULL:
   never). */
bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s);

#endif
