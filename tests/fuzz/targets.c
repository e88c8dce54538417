#include "targets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "elaborate/elaborate.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "ir/op.h"
#include "pass/pass.h"
#include "runtime/data/data.h"
#include "runtime/io/image.h"
#include "runtime/io/npy.h"
#include "runtime/io/safetensors.h"
#include "spec/spec.h"
#include "tests/support/choice.h"

/* A file in memory that holds the input, for readers that take a path. */
struct memory_file {
    int fd;
    char path[64];
};

static struct memory_file memory_file(const uint8_t *data, size_t size)
{
    struct memory_file f = {.fd = memfd_create("fuzz", 0)};
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.fd);
    if (f.fd < 0 || write(f.fd, data, size) != (ssize_t)size) abort();
    return f;
}

/* Diagnostics are printed too: carets into arbitrary text are a risk of their own. */
static void print_nowhere(const struct diags *d)
{
    static FILE *nowhere;
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    diags_print(d, nowhere, true);
}

/* ---- specs */

static void spec_graph(struct arena *a, struct diags *d, const struct spec *s, bool train)
{
    struct graph *g = build_graph(a, d, s, &(struct build_options){.batch = 2, .losses = train});
    if (!g) return;
    const char *problem = graph_verify(g);
    if (problem) {
        fprintf(stderr, "a graph built from a spec is not sound: %s\n", problem);
        abort();
    }
}

/* What is accepted can be built or says why; and the expanded text is a valid spec of its own. */
static void spec_expanded(struct arena *a, struct spec *s, struct diags *d)
{
    struct buf text;
    buf_init(&text, a);
    if (!spec_expand(s, d, &text)) return;
    struct memory_file f = memory_file((const uint8_t *)text.data, text.len);
    struct diags *again = diags_new(a);
    if (!spec_load(a, again, f.path, &(struct spec_options){0})) {
        diags_print(again, stderr, false);
        fprintf(stderr, "an expanded spec was refused:\n%s\n", text.data);
        abort();
    }
    close(f.fd);
}

static void fuzz_spec(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct memory_file f = memory_file(data, size);
    struct spec *s = spec_load(a, d, f.path, &(struct spec_options){0});
    if (!s && !diags_errors(d)) abort();
    if (s) spec_graph(a, d, s, false);
    if (s && !diags_errors(d)) spec_graph(a, d, s, s->ntargets > 0);
    if (s && !diags_errors(d)) spec_expanded(a, s, d);
    print_nowhere(d);
    close(f.fd);
    arena_free(a);
}

/* ---- IR text */

static const char *text_of(struct arena *a, const struct graph *g)
{
    struct buf b;
    buf_init(&b, a);
    graph_print(g, &b);
    return b.data;
}

static struct graph *parse(struct arena *a, struct diags *d, const char *text, size_t size)
{
    struct source *src = ARENA_NEW(a, struct source);
    *src = (struct source){.path = "fuzz.ir", .text = text, .len = size};
    return graph_parse(a, d, src);
}

static void ir_round_trip(struct arena *a, const struct graph *g)
{
    const char *text = text_of(a, g);
    const struct graph *again = parse(a, diags_new(a), text, strlen(text));
    if (again && strcmp(text_of(a, again), text) == 0) return;
    fprintf(stderr, "this does not round-trip:\n%s\n", text);
    abort();
}

/* Passes take what the parser and the verifier let through, or say why not. */
static void ir_passes(struct arena *a, struct diags *d, struct graph *g)
{
    struct pass_context c = {
        .arena = a, .diags = d, .verify = true, .train = {.grad_outputs = true, .input_grads = true}};
    target_named(&c.target, "x86-64-v3");
    for (int i = 0; i < g->nvalues; i++)
        if (type_elements(&g->values[i]->type) > 1 << 20) return; /* folding computes with the numbers */
    struct graph *train = graph_clone(a, g);
    pass_run(g, &c, pass_pipeline_infer);
    c.diags = diags_new(a);
    c.dtype = DT_BF16;
    pass_run(train, &c, pass_pipeline_train);
    print_nowhere(c.diags);
}

static void fuzz_ir(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct graph *g = parse(a, d, arena_strndup(a, (const char *)data, size), size);
    if (!g && !diags_errors(d)) abort();
    if (g) ir_round_trip(a, g);
    if (g && !graph_verify(g)) ir_passes(a, d, g);
    print_nowhere(d);
    arena_free(a);
}

/* ---- files that the runtime reads */

static void read_tensors(const struct rnc_safetensors *st)
{
    for (size_t i = 0; i < st->ntensors; i++) {
        const struct rnc_st_tensor *t = &st->tensors[i];
        struct rnc_status s = {0};
        const size_t count = (size_t)rnc_st_elements(t);
        float *f = malloc((count + 1) * sizeof *f);
        int64_t *n = malloc((count + 1) * sizeof *n);
        if (!f || !n) abort(); /* the file holds the elements: they cannot be many */
        rnc_st_read_f32(st, t, f, &s);
        rnc_st_read_i64(st, t, n, &s);
        if (rnc_st_find(st, t->name) != t) abort();
        free(f);
        free(n);
    }
}

static void fuzz_safetensors(const uint8_t *data, size_t size)
{
    struct memory_file f = memory_file(data, size);
    struct rnc_status s = {0};
    struct rnc_safetensors *st = rnc_st_open(f.path, &s);
    if (!st && (s.code == RNC_OK || !s.message[0])) abort();
    if (st) {
        read_tensors(st);
        rnc_st_meta(st, "epoch");
        rnc_st_close(st);
    }
    close(f.fd);
}

static void fuzz_npy(const uint8_t *data, size_t size)
{
    struct memory_file f = memory_file(data, size);
    struct rnc_status s = {0};
    struct rnc_npy array = {0};
    if (rnc_npy_read(f.path, &array, &s)) {
        volatile uint8_t last = 0; /* the data is as long as the shape says */
        const size_t width = array.dtype == RNC_NPY_U8    ? 1
                             : array.dtype == RNC_NPY_I64 ? 8
                                                          : 4,
                     count = (size_t)rnc_npy_elements(&array);
        if (count) last = ((const uint8_t *)array.data)[count * width - 1];
        (void)last;
        rnc_npy_free(&array);
    } else if (s.code == RNC_OK || !s.message[0]) {
        abort();
    }
    close(f.fd);
}

static void touch_dataset(const struct rnc_dataset *d, int64_t nclasses)
{
    const int64_t image = d->channels * d->height * d->width;
    unsigned sum = 0;
    for (int64_t i = 0; i < d->count * image && d->pixels; i++) sum += d->pixels[i];
    for (int64_t i = 0; i < d->count; i++)
        if (d->labels && (d->labels[i] < 0 || d->labels[i] >= nclasses)) abort();
    volatile unsigned kept = sum;
    (void)kept;
}

/* IDX or CIFAR-10: the bytes up to the first "----" are the images, those behind it the labels. */
static void fuzz_data(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memmem(data, size, "----", 4);
    const size_t first = cut ? (size_t)(cut - data) : size;
    struct memory_file images = memory_file(data, first), labels = memory_file(data + first, 0);
    if (cut && write(labels.fd, cut + 4, size - first - 4) != (ssize_t)(size - first - 4)) abort();
    struct rnc_data_source source = {.path = images.path};
    char files[256];
    snprintf(files, sizeof files, "train_images=%s train_labels=%s", images.path, labels.path);
    if (cut) source = (struct rnc_data_source){.format = choice_of(&rnc_data_formats, "idx", files)};
    struct rnc_status s = {0};
    struct rnc_data d;
    if (rnc_data_open(&d, &source, &s)) {
        touch_dataset(&d.train, d.nclasses);
        touch_dataset(&d.val, d.nclasses);
    } else if (s.code == RNC_OK || !s.message[0]) {
        abort();
    }
    rnc_data_close(&d);
    close(images.fd);
    close(labels.fd);
}

static void fuzz_image(const uint8_t *data, size_t size)
{
    struct memory_file f = memory_file(data, size);
    struct rnc_status s = {0};
    struct rnc_image image = {0};
    static uint8_t planes[3 * 16 * 16];
    const int64_t channels = size % 3 == 0 ? 0 : size % 3 == 1 ? 1 : 3;
    if (rnc_image_read(f.path, channels, &image, &s)) {
        if (image.channels != 1 && image.channels != 3) abort();
        struct rnc_pixels pixels = rnc_image_pixels(&image);
        rnc_pixels_resize(&pixels, (struct rnc_window){0, 0, (double)image.width, (double)image.height}, 16, 16, planes,
                          &s);
        rnc_image_free(&image);
    } else if (s.code == RNC_OK || !s.message[0]) {
        abort();
    }
    close(f.fd);
}

/* ---- the list */

static const char *const spec_tokens[] = {
    "rnc: 1\n",
    "model: ",
    "params:",
    "inputs:",
    "targets:",
    "blocks:",
    "layers:",
    "outputs: [",
    "loss:",
    "train:",
    "shared:",
    "use:",
    "match: $",
    "stage: {",
    "block: ",
    "repeat: ",
    "first: {",
    "from: ",
    "as: ",
    "name: ",
    "expect: [",
    "$(",
    "$x",
    " // ",
    " % ",
    " * ",
    "- relu\n",
    "- conv2d: {name: c, out: 4, kernel: 3}\n",
    "- apply: {module: ",
    "- add: {with: in}\n",
    "default: ",
    "one_of: [",
    "min: ",
    "multiple_of: ",
    "shape: [",
    "type: class",
    "&a",
    "*a",
    "<<: *a",
    "!!str",
    "|\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "\t",
    "99999999999999999999",
    "-1",
    "0",
    "1e308",
    NULL,
};
static const char *const ir_tokens[] = {
    "graph @g batch=1 {\n",
    "}",
    "input %x : f32[N=1,3,8,8]\n",
    "param %w : f32[4,3,3,3] init=zeros\n",
    "%y = conv2d(%x, %w, _) ",
    "relu(%x)",
    "batch_norm(",
    "{stride=[2, 2]}",
    ":b16",
    ":w16x16",
    ":wt8",
    ":dw16",
    "@arena+64",
    "=%x",
    " | ",
    "[t0 = add(acc, %b) -> t0]",
    "prepare ",
    "recompute ",
    "saved=64 ",
    "output \"y\" %y\n",
    "update %w = %y\n",
    "i64[]",
    "f32[",
    "layer \"",
    "loc \"a\":1:2",
    "stage=planned",
    "0",
    "-1",
    "2147483647",
    "9223372036854775807",
    "_",
    "%",
    "\"",
    NULL,
};
static const char *const st_tokens[] = {
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
    "\"dtype\":\"BF16\"",
    "\"shape\":[",
    "\"data_offsets\":[0,",
    "\"__metadata__\":{",
    "18446744073709551615",
    "-1",
    "4294967296",
    "null",
    "1e3",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    NULL,
};
static const char *const npy_tokens[] = {
    "\x93NUMPY\x01",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
    "'<i8'",
    "'|u1'",
    "'>f8'",
    "'<f2'",
    "True",
    "(,)",
    "()",
    "4294967296",
    "-1",
    NULL,
};
static const char *const data_tokens[] = {
    "----", "\x08\x03", "\x08\x01", "\x0d\x02", "\x7f\xff\xff\xff", "\xff\xff\xff\xff", "\x1f\x8b\x08", NULL};
static const char *const image_tokens[] = {"IHDR",
                                           "IDAT",
                                           "IEND",
                                           "PLTE",
                                           "tRNS",
                                           "\xff\xd8",
                                           "\xff\xd9",
                                           "\xff\xc0",
                                           "\xff\xc2",
                                           "\xff\xda",
                                           "\x7f\xff\xff\xff",
                                           NULL};

const struct fuzz_target fuzz_targets[] = {
    {"spec", fuzz_spec, spec_tokens, 8000, "tests/golden/spec", ".yaml"},
    {"ir", fuzz_ir, ir_tokens, 10000, "tests/golden/pass", ".ir"},
    {"safetensors", fuzz_safetensors, st_tokens, 20000, NULL, NULL},
    {"npy", fuzz_npy, npy_tokens, 20000, NULL, NULL},
    {"data", fuzz_data, data_tokens, 10000, NULL, NULL},
    {"image", fuzz_image, image_tokens, 8000, NULL, NULL},
};
const int fuzz_ntargets = sizeof fuzz_targets / sizeof fuzz_targets[0];
