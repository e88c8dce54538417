/* metrics.h: how good the predictions are, from the network's output on the host. */
#ifndef RNC_RUNTIME_TASK_METRICS_H
#define RNC_RUNTIME_TASK_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/rt/exec.h"
#include "runtime/data/loader.h"
#include "runtime/rt/status.h"

enum rnc_metric {
    RNC_METRIC_ACCURACY,
    RNC_METRIC_TOP5,
    RNC_METRIC_PIXEL_ACCURACY,
    RNC_METRIC_MIOU,
    RNC_METRIC_DICE,
    RNC_METRICS
};
const char *rnc_metric_name(enum rnc_metric m);

/* Sums over samples; zero-initialised, freed with rnc_tally_free. */
struct rnc_tally {
    int64_t classes; /* C of the output [N, C] or [N, C, H, W] */
    int64_t pixels;  /* H·W; 1 for class labels */
    int64_t ignore;
    int64_t samples, counted; /* images; labels that count */
    int64_t right, right5;
    double loss;        /* Σ −log softmax at the label, over the labels that count */
    bool quick;         /* set it: only what needs no exponentials (training) */
    int64_t *confusion; /* [truth, prediction]; class maps only */
};
/* OUTPUT: the type of the network's output. */
bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_type *output, int64_t ignore, struct rnc_status *s);
void rnc_tally_reset(struct rnc_tally *t);
void rnc_tally_free(struct rnc_tally *t);
/* LOGITS: [n, C] or [n, C, H, W]; LABELS: [n] or [n, H, W]. */
void rnc_tally_add(struct rnc_tally *t, const float *logits, const int64_t *labels, int64_t n);
/* The metric, or NaN where it does not apply. Fractions between 0 and 1. */
double rnc_tally_metric(const struct rnc_tally *t, enum rnc_metric m);
double rnc_tally_loss(const struct rnc_tally *t); /* the mean cross entropy */

/* The places of a model with one image input, at most one target of labels, and a first output of scores. */
struct rnc_ports {
    const struct rnc_tensor *image, *target, *scores, *loss; /* target, loss: NULL in inference */
};
bool rnc_find_ports(const struct rnc_model *m, struct rnc_ports *p, struct rnc_status *s);

/* The buffers of a model's outputs, [capacity] as its types say. */
struct rnc_outputs {
    void **buffer;
    uint32_t count;
};
bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s);
void rnc_outputs_free(struct rnc_outputs *o);

/* Runs the inference model over all of LOADER and adds it up. STOP: ends early when it becomes nonzero (NULL: never).
 */
bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s);

#endif
