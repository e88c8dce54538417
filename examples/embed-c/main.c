/* A handwritten digit, classified by a network that was compiled into this program:  classify WEIGHTS.safetensors
   IMAGE.pgm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h" /* written by `rnc compile … -o model.o` */

enum { SIZE = 20, CLASSES = RNC_RESNET20_OUTPUT_LOGITS_ELEMENTS };

static void die(const char *what, const char *why)
{
    fprintf(stderr, "classify: %s: %s\n", what, why);
    exit(1);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) die(path, "cannot be opened");
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *data = n > 0 ? calloc((size_t)n + 1, 1) : NULL;
    if (!data || fread(data, 1, (size_t)n, f) != (size_t)n) die(path, "cannot be read");
    fclose(f);
    *size = (size_t)n;
    return data;
}

/* A safetensors file: eight bytes of length, a JSON table, the data. Finds one tensor in it. */
static const void *find_tensor(const char *file, size_t size, const char *name, size_t bytes)
{
    uint64_t head, begin, end;
    char key[256];
    memcpy(&head, file, 8);
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *entry = strstr(file + 8, key), *offsets = entry ? strstr(entry, "\"data_offsets\":") : NULL;
    if (!offsets || sscanf(offsets, "\"data_offsets\":[%lu,%lu]", &begin, &end) != 2)
        die(name, "is not in the weights file");
    if (end - begin != bytes || 8 + head + end > size) die(name, "has another size in the weights file");
    return file + 8 + head + begin;
}

static void load_weights(struct rnc_instance *net, const char *path)
{
    size_t size;
    char *file = read_file(path, &size);
    struct rnc_status s = {0};
/* One line for each tensor that the network wants. */
#define LOAD(name, type, count, rank, d0, d1, d2, d3) \
    if (!rnc_set(net, name, find_tensor(file, size, name, (count) * sizeof(type)), &s)) die(path, s.message);
    RNC_RESNET20_WEIGHTS(LOAD)
    if (!rnc_prepare(net, &s)) die(path, s.message);
    free(file);
}

/* A plain PGM ("P2"), white on black, as numbers from 0 to 1: what `rnc train` makes of the digits. */
static void load_image(float *image, const char *path)
{
    int w, h, max, x;
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "P2 %d %d %d", &w, &h, &max) != 3 || w != SIZE || h != SIZE)
        die(path, "is not a 20×20 plain PGM");
    for (int i = 0; i < SIZE * SIZE; i++) {
        if (fscanf(f, "%d", &x) != 1) die(path, "is cut short");
        image[i] = (float)x / (float)max;
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage", "classify WEIGHTS.safetensors IMAGE.pgm");
    float image[RNC_RESNET20_INPUT_IMAGE_ELEMENTS], logits[CLASSES];
    struct rnc_status s = {0};
    struct rnc_pool *pool = rnc_pool_new(0, &s); /* one thread for each CPU */
    if (!pool) die("threads", s.message);
    struct rnc_parallel par = rnc_pool_parallel(pool);
    struct rnc_instance *net = rnc_open(&rnc_resnet20, &par, 0, &s);
    if (!net) die("model", s.message);
    load_weights(net, argv[1]);
    load_image(image, argv[2]);

    const void *in[RNC_RESNET20_NINPUTS] = {image};
    void *out[RNC_RESNET20_NOUTPUTS] = {logits};
    struct rnc_run run = {.n = 1};
    if (!rnc_execute(net, &run, in, out, NULL, &s)) die("model", s.message);

    int best = 0;
    for (int i = 1; i < CLASSES; i++) best = logits[i] > logits[best] ? i : best;
    printf("It is a %d.\n", best);
    rnc_close(net);
    rnc_pool_free(pool);
    return 0;
}
