/* Two inference models of one network, and its training step, in one program, C or C++: the same numbers from both
   batches, and a loss that falls. */
#include "one.h"
#include "four.h"
#include "one.h" /* again: nothing happens */
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = RNC_NET_OF_4_BATCH, PIXELS = RNC_NET_INPUT_IMAGE_ELEMENTS, SCORES = RNC_NET_OUTPUT_LOGITS_ELEMENTS };

static void die(const char *what)
{
    fprintf(stderr, "three: %s\n", what);
    exit(1);
}

static struct rnc_instance *open_model(const struct rnc_model *m)
{
    struct rnc_status s = {RNC_OK, ""};
    struct rnc_instance *i = rnc_open(m, NULL, 0, &s);
    if (!i || !rnc_initialize(i, 1, &s)) die(s.message);
    return i;
}

static void run(struct rnc_instance *i, int64_t n, const void *const *in, void *const *out)
{
    struct rnc_status s = {RNC_OK, ""};
    struct rnc_run r = {n, 1, 1, 0.01, NULL};
    if (!rnc_execute(i, &r, in, out, NULL, &s)) die(s.message);
}

static void infer(const float *images)
{
    struct rnc_instance *one = open_model(&rnc_net), *four = open_model(&rnc_net_of_4);
    float a[SAMPLES * SCORES], b[SAMPLES * SCORES];
    for (int k = 0; k < SAMPLES; k++) {
        const void *in[] = {images + k * PIXELS};
        void *out[] = {a + k * SCORES};
        run(one, 1, in, out);
    }
    const void *in[] = {images};
    void *out[] = {b};
    run(four, SAMPLES, in, out);
    for (int k = 0; k < SAMPLES * SCORES; k++)
        if (!(fabsf(a[k] - b[k]) <= 1e-5f)) die("the two batches differ");
    rnc_close(one);
    rnc_close(four);
}

static void train(const float *images)
{
    struct rnc_instance *net = open_model(&rnc_net_train);
    const int64_t labels[SAMPLES] = {0, 1, 2, 3};
    float logits[RNC_NET_TRAIN_OUTPUT_LOGITS_ELEMENTS], loss = 0, first = 0;
    const void *in[RNC_NET_TRAIN_NINPUTS] = {images, labels};
    void *out[RNC_NET_TRAIN_NOUTPUTS];
    out[RNC_NET_TRAIN_OUTPUT_LOGITS] = logits;
    out[RNC_NET_TRAIN_OUTPUT_LOSS] = &loss;
    for (int step = 0; step < 20; step++) {
        run(net, SAMPLES, in, out);
        if (step == 0) first = loss;
    }
    if (!(loss < first)) die("the loss does not fall");
    rnc_close(net);
}

int main(void)
{
    static float images[SAMPLES * PIXELS];
    for (int k = 0; k < SAMPLES * PIXELS; k++) images[k] = (float)(k * 7919 % 257) / 128 - 1;
    infer(images);
    train(images);
    return 0;
}
