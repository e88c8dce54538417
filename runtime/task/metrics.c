/* metrics.c: accuracy, top-5, and from a confusion matrix: pixel accuracy, mean IoU, Dice. */
#include "runtime/task/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt/pack.h"

const char *rnc_metric_name(enum rnc_metric m)
{
    static const char *const names[RNC_METRICS] = {"accuracy", "top5", "pixel_accuracy", "miou", "dice"};
    return names[m];
}

bool rnc_tally_begin(struct rnc_tally *t, const struct rnc_type *output, int64_t ignore, struct rnc_status *s)
{
    *t = (struct rnc_tally){.classes = output->dim[1], .pixels = 1, .ignore = ignore};
    if (output->rank == 2) return true;
    t->pixels = output->dim[2] * output->dim[3];
    t->confusion = calloc((size_t)(t->classes * t->classes), sizeof *t->confusion);
    return t->confusion ||
           rnc_fail(s, RNC_ENV, "no memory for a confusion matrix of %lld classes", (long long)t->classes);
}

void rnc_tally_reset(struct rnc_tally *t)
{
    t->samples = t->counted = t->right = t->right5 = 0;
    t->loss = 0.0;
    if (t->confusion) memset(t->confusion, 0, (size_t)(t->classes * t->classes) * sizeof *t->confusion);
}

void rnc_tally_free(struct rnc_tally *t)
{
    free(t->confusion);
    t->confusion = NULL;
}

/* One label; scores at a stride. A tie counts for the lower class, as argmax does. */
static void add_label(struct rnc_tally *t, const float *score, int64_t stride, int64_t label)
{
    if (label == t->ignore || label < 0 || label >= t->classes) return;
    float mine = score[label * stride], top = score[0];
    int64_t best = 0, before = 0;
    for (int64_t c = 1; c < t->classes; c++)
        if (score[c * stride] > top) top = score[c * stride], best = c;
    t->counted++;
    if (t->confusion) t->confusion[label * t->classes + best]++;
    t->right += best == label;
    if (t->quick) return;
    for (int64_t c = 0; c < t->classes; c++)
        before += score[c * stride] > mine || (score[c * stride] == mine && c < label);
    double sum = 0.0;
    for (int64_t c = 0; c < t->classes; c++) sum += (double)expf(score[c * stride] - top);
    t->right5 += before < 5;
    t->loss += log(sum) - (double)(mine - top);
}

void rnc_tally_add(struct rnc_tally *t, const float *logits, const int64_t *labels, int64_t n)
{
    t->samples += n;
    for (int64_t k = 0; k < n; k++)
        for (int64_t p = 0; p < t->pixels; p++)
            add_label(t, logits + k * t->classes * t->pixels + p, t->pixels, labels[k * t->pixels + p]);
}

/* The mean over the classes that occur; DICE: 2TP/(2TP+FP+FN), else TP/(TP+FP+FN). */
static double overlap(const struct rnc_tally *t, bool dice)
{
    double sum = 0.0, present = 0.0;
    for (int64_t c = 0; c < t->classes; c++) {
        int64_t tp = t->confusion[c * t->classes + c], truth = 0, predicted = 0;
        for (int64_t k = 0; k < t->classes; k++) {
            truth += t->confusion[c * t->classes + k];
            predicted += t->confusion[k * t->classes + c];
        }
        if (truth + predicted == 0) continue;
        sum += dice ? 2.0 * (double)tp / (double)(truth + predicted) : (double)tp / (double)(truth + predicted - tp);
        present += 1.0;
    }
    return present > 0.0 ? sum / present : NAN;
}

double rnc_tally_metric(const struct rnc_tally *t, enum rnc_metric m)
{
    bool map = t->confusion != NULL;
    if (t->counted == 0) return NAN;
    switch (m) {
    case RNC_METRIC_ACCURACY: return map ? NAN : (double)t->right / (double)t->counted;
    case RNC_METRIC_TOP5: return map ? NAN : (double)t->right5 / (double)t->counted;
    case RNC_METRIC_PIXEL_ACCURACY: return map ? (double)t->right / (double)t->counted : NAN;
    case RNC_METRIC_MIOU: return map ? overlap(t, false) : NAN;
    case RNC_METRIC_DICE: return map ? overlap(t, true) : NAN;
    case RNC_METRICS: break;
    }
    return NAN;
}

double rnc_tally_loss(const struct rnc_tally *t) { return t->counted ? t->loss / (double)t->counted : NAN; }

/* ---- ports and buffers */

static bool is_gradient(const struct rnc_tensor *t) { return !strncmp(t->name, "grad.", 5); }

static bool check_ports(const struct rnc_model *m, const struct rnc_ports *p, int images, int targets,
                        struct rnc_status *s)
{
    if (images != 1 || !p->image || p->image->type.rank != 4)
        return rnc_fail(s, RNC_USER, "model %s: one input of images [C, H, W] was expected, it has %d inputs", m->name,
                        images);
    if (targets > 1 || (p->target && p->target->type.dtype != RNC_I64))
        return rnc_fail(s, RNC_USER, "model %s: one target of type class or class_map was expected", m->name);
    if (!p->scores || (p->scores->type.rank != 2 && p->scores->type.rank != 4))
        return rnc_fail(s, RNC_USER, "model %s: its first output is no scores of classes, [N, C] or [N, C, H, W]",
                        m->name);
    if (p->target && p->target->type.rank != p->scores->type.rank - 1)
        return rnc_fail(s, RNC_USER, "model %s: the target does not belong to its first output", m->name);
    return true;
}

bool rnc_find_ports(const struct rnc_model *m, struct rnc_ports *p, struct rnc_status *s)
{
    int images = 0, targets = 0;
    *p = (struct rnc_ports){0};
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role == RNC_ROLE_INPUT && images++ == 0) p->image = t;
        if (t->role == RNC_ROLE_TARGET && targets++ == 0) p->target = t;
        if (t->role != RNC_ROLE_OUTPUT || is_gradient(t)) continue;
        if (!strcmp(t->name, "loss") && t->type.rank == 0) p->loss = t;
        else if (!p->scores || t->offset < p->scores->offset) p->scores = t;
    }
    return check_ports(m, p, images, targets, s);
}

bool rnc_outputs_new(const struct rnc_model *m, struct rnc_outputs *o, struct rnc_status *s)
{
    o->count = m->noutputs;
    o->buffer = calloc((size_t)m->noutputs + 1, sizeof *o->buffer);
    if (!o->buffer) return rnc_fail(s, RNC_ENV, "no memory for the outputs of %s", m->name);
    for (uint32_t k = 0; k < m->ntensors; k++) {
        const struct rnc_tensor *t = &m->tensors[k];
        if (t->role != RNC_ROLE_OUTPUT || t->offset >= m->noutputs || o->buffer[t->offset]) continue;
        o->buffer[t->offset] = calloc(1, rnc_plain_bytes(&t->type) + 1);
        if (!o->buffer[t->offset]) return rnc_fail(s, RNC_ENV, "no memory for output %s of %s", t->name, m->name);
    }
    return true;
}

void rnc_outputs_free(struct rnc_outputs *o)
{
    for (uint32_t k = 0; o->buffer && k < o->count; k++) free(o->buffer[k]);
    free(o->buffer);
    *o = (struct rnc_outputs){0};
}

bool rnc_evaluate(struct rnc_instance *i, struct rnc_loader *loader, struct rnc_tally *t, const volatile int *stop,
                  void (*progress)(void *ctx, int64_t done, int64_t batches), void *ctx, struct rnc_status *s)
{
    const struct rnc_model *m = rnc_instance_model(i);
    struct rnc_ports p;
    struct rnc_outputs out = {0};
    if (!rnc_find_ports(m, &p, s)) return false;
    bool ok = rnc_outputs_new(m, &out, s);
    int64_t done = 0;
    rnc_loader_start(loader, 0, 0);
    while (ok && !(stop && *stop)) {
        struct rnc_batch b;
        if (!(ok = rnc_loader_next(loader, &b, s)) || b.n == 0) break;
        ok = rnc_execute(i, &(struct rnc_run){.n = b.n}, (const void *const[]){b.images}, out.buffer, NULL, s);
        if (!ok) break;
        rnc_tally_add(t, out.buffer[p.scores->offset], b.labels, b.n);
        if (progress) progress(ctx, ++done, rnc_loader_batches(loader));
    }
    rnc_outputs_free(&out);
    return ok;
}
