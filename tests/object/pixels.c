/* Pixels through a model that knows how they are prepared:  pixels RAW WIDTH HEIGHT CHANNELS, rows of WIDTH·CHANNELS
   bytes and 5 unused ones. Prints each class with its probability. */
#include "seen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1 << 20, BEYOND = 5 };

static void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "pixels: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    static const char *const names[] = RNC_NET_CLASSES;
    static unsigned char raw[MOST];
    struct rnc_status s = {0};
    FILE *f = argc == 5 ? fopen(argv[1], "rb") : NULL;
    check(f != NULL, "RAW WIDTH HEIGHT CHANNELS");
    struct rnc_pixels image = {.data = raw, .width = atoi(argv[2]), .height = atoi(argv[3]), .channels = atoi(argv[4])};
    image.stride = image.width * image.channels + BEYOND;
    check(fread(raw, 1, MOST, f) == (size_t)(image.stride * image.height), argv[1]);
    fclose(f);

    struct rnc_instance *net = rnc_open(&rnc_net, NULL, 0, &s);
    float scores[RNC_NET_NCLASSES];
    double sum = 0;
    check(net && rnc_execute_pixels(net, &image, 1, (void *[]){scores}, &s), s.message);
    for (int k = 0; k < RNC_NET_NCLASSES; k++) sum += exp((double)scores[k]);
    for (int k = 0; k < RNC_NET_NCLASSES; k++)
        printf("%s\t%s\t%.9g\n", rnc_net.classes[k], names[k], exp((double)scores[k]) / sum);

    image.stride = 1;
    check(!rnc_execute_pixels(net, &image, 1, (void *[]){scores}, &s), "rows that overlap");
    s.code = RNC_OK;
    check(!rnc_execute_pixels(net, &image, 2, (void *[]){scores}, &s), "two images in a batch of one");
    rnc_close(net);
    return 0;
}
