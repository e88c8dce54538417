/* drive.c: runs a model compiled ahead of time on numbers that are the same on every machine:  drive OUT [REFERENCE]

   Writes its outputs, and after two training steps its new state, to OUT as plain numbers. With a REFERENCE, what
   another machine wrote, each tensor must agree with it (‖a − b‖ / ‖b‖): sums are taken in the order of each machine's
   vectors. In training a rounding that puts one value on the other side of a ReLU, or makes another pixel the largest
   of a pool, moves whole gradients by a percent (AVX2 and AVX-512 code differ as much), which a wrong kernel exceeds by
   far. Compile with -DMODEL=rnc_resnet20, the object's symbol. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rnc/exec.h>
#include <rnc/pack.h>
#include <rnc/pool.h>

enum { STEPS = 2, THREADS = 2 };
extern const struct rnc_model MODEL;

struct files {
    FILE *out, *reference;
    int tensors, bad;
    double worst;
};

/* Numbers that are rounded to bf16 may fall to either side of a middle: see tests/diff. */
static bool rounds_to_bf16(void)
{
    for (uint32_t i = 0; i < MODEL.nvalues; i++)
        if (MODEL.values[i].type.dtype == RNC_BF16) return true;
    return false;
}

static double tolerance(const struct rnc_tensor *t)
{
    if (!MODEL.train && rounds_to_bf16()) return 0x1p-7;
    if (!MODEL.train) return 2e-5;
    return t->role == RNC_ROLE_OUTPUT ? 2e-4 : 5e-2;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "drive: %s: %s\n", what, why);
    exit(1);
}

/* Marsaglia's xorshift, and 24 bits of it as a number in [-1, 1): exact, so equal everywhere. */
static float number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (float)(int32_t)(*state >> 40) * 0x1p-23f - 1;
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

/* Weights of He's scale, so that values neither vanish nor explode; scales and variances near 1; the rest small. */
static void fill(const struct rnc_tensor *t, void *plain, uint64_t seed)
{
    int64_t count = rnc_elements(&t->type), fan = 1;
    for (int k = 1; k < t->type.rank; k++) fan *= t->type.dim[k];
    bool weight = t->role == RNC_ROLE_PARAM && t->type.rank > 1;
    bool near_one =
        t->role <= RNC_ROLE_BUFFER && t->type.rank == 1 && (ends_with(t->name, "weight") || ends_with(t->name, "var"));
    float scale = weight                      ? sqrtf(6.0f / (float)fan)
                  : t->role == RNC_ROLE_INPUT ? 1
                  : t->role == RNC_ROLE_OPTIM ? 0
                                              : 0.1f;
    for (int64_t i = 0; i < count; i++) {
        float x = number(&seed);
        if (t->type.dtype == RNC_I64) ((int64_t *)plain)[i] = t->role == RNC_ROLE_TARGET ? (int64_t)(x + 1) : 0;
        else ((float *)plain)[i] = scale * x + (near_one ? 1 : 0);
    }
}

static void *tensor_data(const struct rnc_tensor *t)
{
    struct rnc_type plain = t->type;
    plain.layout = RNC_PLAIN;
    void *p = calloc(1, rnc_plain_bytes(&plain) + 8);
    if (!p) die(t->name, "out of memory");
    return p;
}

/* Writes a tensor, and compares it with the next one of the reference. */
static void check(struct files *f, const struct rnc_tensor *t, const float *x)
{
    size_t count = (size_t)rnc_elements(&t->type);
    double difference = 0, norm = 0;
    f->tensors++;
    if (t->type.dtype != RNC_F32) return;
    if (fwrite(x, sizeof *x, count, f->out) != count) die(t->name, "cannot be written");
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i])) die(t->name, "is not finite");
    if (!f->reference) return;
    float *want = calloc(count + 1, sizeof *want);
    if (!want || fread(want, sizeof *want, count, f->reference) != count) die(t->name, "is not in the reference");
    for (size_t i = 0; i < count; i++) {
        double d = (double)x[i] - (double)want[i];
        difference += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    free(want);
    double error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    if (error > f->worst) f->worst = error;
    if (error <= tolerance(t)) return;
    f->bad++;
    fprintf(stderr, "drive: %s %s differs: relative error %.3g, allowed %.1g\n", MODEL.name, t->name, error,
            tolerance(t));
}

static void set_state(struct rnc_instance *net, struct rnc_status *s)
{
    for (uint32_t k = 0; k < MODEL.ntensors; k++) {
        const struct rnc_tensor *t = &MODEL.tensors[k];
        if (t->role > RNC_ROLE_OPTIM) continue;
        void *plain = tensor_data(t);
        fill(t, plain, UINT64_C(0x9E3779B97F4A7C15) * (k + 1));
        if (!rnc_set(net, t->name, plain, s)) die(t->name, s->message);
        free(plain);
    }
    if (!rnc_prepare(net, s)) die(MODEL.name, s->message);
}

/* Buffers by index; inputs and targets filled. */
static void buffers(void **in, void **out)
{
    for (uint32_t k = 0; k < MODEL.ntensors; k++) {
        const struct rnc_tensor *t = &MODEL.tensors[k];
        if (t->role < RNC_ROLE_INPUT) continue;
        void *p = tensor_data(t);
        if (t->role != RNC_ROLE_OUTPUT) fill(t, p, UINT64_C(0xD1B54A32D192ED03) * (k + 1));
        (t->role == RNC_ROLE_OUTPUT ? out : in)[t->offset] = p;
    }
}

static void results(struct files *f, struct rnc_instance *net, void *const *out, struct rnc_status *s)
{
    for (uint32_t k = 0; k < MODEL.ntensors; k++) {
        const struct rnc_tensor *t = &MODEL.tensors[k];
        bool state = MODEL.train && t->role <= RNC_ROLE_OPTIM && t->role != RNC_ROLE_COUNTER;
        if (t->role == RNC_ROLE_OUTPUT) check(f, t, out[t->offset]);
        if (!state) continue;
        void *plain = tensor_data(t);
        if (!rnc_get(net, t->name, plain, s)) die(t->name, s->message);
        check(f, t, plain);
        free(plain);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) die("usage", "drive OUT [REFERENCE]");
    struct files f = {.out = fopen(argv[1], "wb"), .reference = argc > 2 ? fopen(argv[2], "rb") : NULL};
    if (!f.out || (argc > 2 && !f.reference)) die(argv[argc - 1], "cannot be opened");
    struct rnc_status s = {0};
    struct rnc_pool *pool = rnc_pool_new(THREADS, &s);
    if (!pool) die(MODEL.name, s.message);
    struct rnc_parallel par = rnc_pool_parallel(pool);
    struct rnc_instance *net = rnc_open(&MODEL, &par, 0, &s);
    if (!net) die(MODEL.name, s.message);
    void *in[16] = {0}, *out[16] = {0};
    if (MODEL.ninputs > 16 || MODEL.noutputs > 16) die(MODEL.name, "too many inputs or outputs");
    set_state(net, &s);
    buffers(in, out);
    for (int step = 1; step <= (MODEL.train ? STEPS : 1); step++) {
        struct rnc_run run = {.n = MODEL.batch, .step = step, .seed = 1, .lr = 1e-3};
        if (!rnc_execute(net, &run, (const void *const *)in, out, NULL, &s)) die(MODEL.name, s.message);
    }
    results(&f, net, out, &s);
    if (fclose(f.out) != 0) die(argv[1], "cannot be written");
    printf("%s for %s, %u lanes: %d tensors, largest relative error %.2g\n", MODEL.name, MODEL.cpu, MODEL.lanes,
           f.tensors, f.worst);
    rnc_close(net);
    rnc_pool_free(pool);
    return f.bad != 0;
}
