/* A handwritten digit, named by a network that was compiled into this program: weights, classes and all. */
#include <stdio.h>
#include "model.h" /* written by `rnc compile out/ -o model.o`; what the calls mean stands in it */
#include "seven.h"

int main(void)
{
    struct rnc_status s = {0};
    struct rnc_instance *net = rnc_open(&rnc_digits, NULL, 0, &s);
    const struct rnc_pixels image = {.data = seven, .width = 20, .height = 20, .stride = 20, .channels = 1};
    float scores[RNC_DIGITS_NCLASSES];
    if (!net || !rnc_execute_pixels(net, &image, 1, (void *[]){scores}, &s)) {
        fprintf(stderr, "%s\n", s.message);
        return 1;
    }
    int best = 0;
    for (int k = 1; k < RNC_DIGITS_NCLASSES; k++)
        if (scores[k] > scores[best]) best = k;
    printf("It is a %s.\n", rnc_digits.classes[best]);
    rnc_close(net);
    return 0;
}
