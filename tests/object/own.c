/* A model that holds its weights:  own OUTPUTS. Runs it on numbers that run.sh knows and writes its outputs; the
   weights can't be changed in place, but in a copy. */
#include "own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = RNC_NET_INPUT_IMAGE_ELEMENTS, SCORES = RNC_NET_OUTPUT_LOGITS_ELEMENTS };

static void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "own: %s\n", what);
    exit(1);
}

static void run(struct rnc_instance *net, float *scores)
{
    static float image[PIXELS];
    const void *in[] = {image};
    void *out[] = {scores};
    struct rnc_status s = {0};
    for (int k = 0; k < PIXELS; k++) image[k] = (float)(k * 7919 % 257) / 128 - 1;
    check(rnc_execute(net, &(struct rnc_run){.n = 1}, in, out, NULL, &s), s.message);
}

static void zero(struct rnc_instance *net, struct rnc_status *s)
{
    static const float zeros[SCORES];
    rnc_set(net, "fc.bias", zeros, s);
}

int main(int argc, char **argv)
{
    float scores[SCORES], others[SCORES], bias[SCORES];
    struct rnc_status s = {0};
    struct rnc_instance *net = rnc_open(&rnc_net, NULL, 0, &s);
    check(argc == 2 && net && rnc_has_weights(&rnc_net), s.message);
    check(rnc_instance_memory(net).state == 0, "the weights are copied");
    run(net, scores);
    FILE *f = fopen(argv[1], "wb");
    check(f && fwrite(scores, sizeof scores, 1, f) == 1 && fclose(f) == 0, argv[1]);

    zero(net, &s);
    check(s.code == RNC_USER && strstr(s.message, "RNC_EXEC_COPY"), "weights in the object can be set");
    s.code = RNC_OK;
    check(rnc_get(net, "fc.bias", bias, &s), s.message);
    rnc_close(net);

    net = rnc_open(&rnc_net, NULL, RNC_EXEC_COPY, &s);
    check(net != NULL, s.message);
    run(net, others);
    check(memcmp(scores, others, sizeof scores) == 0, "a copy computes otherwise");
    zero(net, &s);
    check(s.code == RNC_OK, s.message);
    run(net, others);
    for (int k = 0; k < SCORES; k++) check(scores[k] - others[k] - bias[k] < 1e-5f && bias[k] != 0, "a bias of zero");
    rnc_close(net);
    return 0;
}
