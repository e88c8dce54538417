/* test_prologues.c: Winograd's kernels and pooling with prologues at awkward sizes: each direction × each tile × each
   shape × each pad against the reference interpreter, on 1, 2 and 3 threads to the same bits, with full and with
   partial batches (compiled.h).

       build/tests/shapes/test_prologues [NAME]…   -v names every case; --cpu=x86-64-v3 compiles for 8 lanes

   Every prologue has a sigmoid, which makes 0.5 of the zeros around an image and in the lanes past the last channel:
   they must be zero behind it all the same. Operands of the image's shape and of the channels', one that the body reads
   as well, one that two prologues read. */
#include <stdio.h>
#include <string.h>
#include "gen/gen.h"
#include "ir/text.h"
#include "tests/support/compiled.h"
#include "tests/support/opcase.h"

static const struct {
    int64_t i, o, h, w, n;
} shapes[] = {
    {3, 5, 5, 7, 3},     {16, 16, 1, 1, 2},    {17, 33, 13, 6, 3},  {32, 96, 8, 8, 2},
    {16, 32, 57, 57, 3}, {100, 20, 14, 14, 2}, {160, 130, 7, 9, 2}, {33, 16, 30, 56, 2},
};
static const int64_t pads[] = {1, 0, 2};
enum { NSHAPES = sizeof shapes / sizeof shapes[0], NPADS = 3 };

/* MOST: the largest tile; 0: pooling, whose windows have KERNEL² pixels. */
static const struct {
    const char *name, *text;
    int most, kernel;
} directions[] = {
    {"forward",
     "%%r = conv2d(%%x, %%w | %%m, %%v, %%b, %%a, %%z) {pad=[%d, %d, %d, %d], algorithm=winograd%d}"
     " pre0 [t0 = bn_apply(acc, %%m, %%v, %%b, %%a), t1 = add(t0, %%z), t2 = sigmoid(t1) -> t2] : %s\n",
     6, 3},
    {"body",
     "%%r = conv2d(%%x, %%w | %%m, %%v, %%y, %%b, %%a) {pad=[%d, %d, %d, %d], algorithm=winograd%d} [t0 = "
     "relu_grad(acc, %%y) -> t0]"
     " pre0 [t0 = bn_apply(acc, %%m, %%v, %%b, %%a), t1 = sigmoid(t0) -> t1] : %s\n",
     6, 3},
    {"dgrad",
     "%%r = conv2d_dgrad(%%y, %%w | %%z, %%u, %%m) {pad=[%d, %d, %d, %d], size=[%d, %d], algorithm=winograd%d} [t0 = "
     "mul(acc, %%z), t1 = mul(t0, %%m) -> t1]"
     " pre0 [t0 = mul(acc, %%u), t1 = sigmoid(t0) -> t1] : %s\n",
     6, 3},
    {"wgrad",
     "%%r = conv2d_wgrad(%%x, %%y | %%m, %%v, %%b, %%a, %%z, %%u, %%mo) {pad=[%d, %d, %d, %d], kernel=[3, 3], "
     "algorithm=winograd%d}"
     " pre0 [t0 = bn_apply(acc, %%m, %%v, %%b, %%a), t1 = mul(t0, %%z), t2 = sigmoid(t1) -> t2]"
     " pre1 [t0 = mul(acc, %%u), t1 = mul(t0, %%mo), t2 = sigmoid(t1) -> t2] : %s\n",
     5, 3},
    {"max_pool",
     "%%r = max_pool(%%x | %%m, %%v, %%b, %%a, %%z) {kernel=[5, 5], stride=[2, 2], pad=[%d, %d, %d, %d]}"
     " pre0 [t0 = bn_apply(acc, %%m, %%v, %%b, %%a), t1 = add(t0, %%z), t2 = sigmoid(t1) -> t2] : %s\n",
     0, 5},
    {"max_pool_index",
     "%%r, %%index = max_pool_index(%%x | %%z) {kernel=[4, 4], stride=[2, 2], pad=[%d, %d, %d, %d]}"
     " pre0 [t0 = mul(acc, %%z), t1 = sigmoid(t0) -> t1] : %s, u8%s\n",
     0, 4},
    {"avg_pool",
     "%%r = avg_pool(%%x | %%z, %%m) {kernel=[4, 4], stride=[2, 2], pad=[%d, %d, %d, %d], count_pad=false}"
     " pre0 [t0 = mul(acc, %%z), t1 = mul(t0, %%m), t2 = sigmoid(t1) -> t2] : %s\n",
     0, 4},
};
enum { NDIRECTIONS = sizeof directions / sizeof directions[0] };

/* The line of direction D, whose numbers are those of the shape: dgrad alone has a size. */
static const char *line_of(struct arena *a, int d, int pad, int64_t h, int64_t w, int tile, const char *type)
{
    bool dgrad = strcmp(directions[d].name, "dgrad") == 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return !directions[d].most ? arena_printf(a, directions[d].text, pad, pad, pad, pad, type, strchr(type, '['))
           : dgrad             ? arena_printf(a, directions[d].text, pad, pad, pad, pad, (int)h, (int)w, tile, type)
                               : arena_printf(a, directions[d].text, pad, pad, pad, pad, tile, type);
#pragma GCC diagnostic pop
}

static struct graph *build(struct arena *a, struct diags *diags, int d, int s, int pad, int tile)
{
    const int64_t i = shapes[s].i, o = shapes[s].o, h = shapes[s].h, w = shapes[s].w, n = shapes[s].n,
                  p = h + 2 * pad - 2, q = w + 2 * pad - 2;
    const char *x = arena_printf(a, "f32[N=%d,%d,%d,%d]", (int)n, (int)i, (int)h, (int)w),
               *y = arena_printf(a, "f32[N=%d,%d,%d,%d]", (int)n, (int)o, (int)p, (int)q);
    const char *weight = arena_printf(a, "f32[%d,%d,3,3]", (int)o, (int)i), *result = d == 2 ? x : d == 3 ? weight : y;
    const int64_t k = directions[d].kernel;
    if (!directions[d].most)
        result = arena_printf(a, "f32[N=%d,%d,%d,%d]", (int)n, (int)i, (int)((h + 2 * pad - k) / 2 + 1),
                              (int)((w + 2 * pad - k) / 2 + 1));
    const char *text = arena_printf(a,
                                    "graph @g batch=%d train { input %%x : %s input %%z : %s input %%y : %s input %%u "
                                    ": %s param %%w : %s init=zeros param %%m : f32[%d] init=zeros"
                                    " param %%v : f32[%d] init=zeros param %%b : f32[%d] init=zeros param %%a : "
                                    "f32[%d] init=zeros param %%mo : f32[%d] init=zeros\n%soutput \"r\" %%r }",
                                    (int)n, x, x, y, y, weight, (int)i, (int)i, (int)i, (int)i, (int)o,
                                    line_of(a, d, pad, h, w, tile, result));
    struct source *source = ARENA_NEW(a, struct source);
    *source = (struct source){.path = "prologues.ir", .text = text, .len = strlen(text)};
    return graph_parse(a, diags, source);
}

static void fill(const void *ctx, struct eval *e)
{
    const struct graph *g = ctx;
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        uint64_t state = random_seed(v->name, "prologue");
        bool variance = strcmp(v->name, "v") == 0;
        if (v->kind != VALUE_NODE)
            random_distinct(eval_data(e, v), type_elements(&v->type), variance ? 0.5 : -2, 2, &state);
    }
}

static const char *test(struct arena *a, const struct target *target, int d, int s, int pad, int tile)
{
    struct diags *diags = diags_new(a);
    struct graph *g = build(a, diags, d, s, pad, tile);
    if (!g) {
        diags_print(diags, stdout, false);
        return "the case cannot be built";
    }
    const struct ref_run runs[] = {{.n = shapes[s].n, .lr = 0.01, .step = 1}, {.n = 1, .lr = 0.01, .step = 2}};
    const struct comparison_plan plan = {
        .graph = g,
        .passes = "layout,workspace,schedule,plan",
        .target = target,
        .runs = runs,
        .nruns = 2,
        .fill = fill,
        .ctx = g,
        .tolerance = tile == 6 ? 1.6e-5 : 1e-5,
    };
    return compare_compiled(a, &plan);
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target target;
    bool verbose = false;
    const char *only = NULL;
    int passed = 0, failed = 0;
    target_host(&target);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) verbose = true;
        else if (!target_option(&target, argv[i])) only = argv[i];
    }
    if (!gen_target_init(&target, d)) {
        diags_print(d, stderr, false);
        return 2;
    }
    for (int k = 0; k < NDIRECTIONS * NSHAPES * NPADS; k++) {
        int direction = k % NDIRECTIONS, s = k / NDIRECTIONS % NSHAPES, pad = (int)pads[k / (NDIRECTIONS * NSHAPES)],
            tile = 2 * (1 + (s + pad + direction) % 3);
        int64_t kernel = directions[direction].kernel;
        bool exists = shapes[s].h + 2 * pad >= kernel && shapes[s].w + 2 * pad >= kernel;
        if (tile > directions[direction].most) tile = directions[direction].most;
        struct arena *own = arena_new();
        const char *name = arena_printf(own, "%s/%s%d/%lldx%lld@%lldx%lld-pad%d", directions[direction].name,
                                        tile ? "winograd" : "window", tile ? tile : (int)kernel, (long long)shapes[s].i,
                                        (long long)shapes[s].o, (long long)shapes[s].h, (long long)shapes[s].w, pad);
        if (exists && (!only || strncmp(name, only, strlen(only)) == 0)) {
            const char *error = test(own, &target, direction, s, pad, tile);
            if (error) printf("FAIL %s\n     %s\n     alone: %s %s\n", name, error, argv[0], name);
            else if (verbose) printf("ok   %s\n", name);
            *(error ? &failed : &passed) += 1;
        }
        arena_free(own);
    }
    arena_free(a);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
