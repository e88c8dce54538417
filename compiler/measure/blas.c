#include "measure/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111 }; /* CBLAS's constants */

typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                      const float *b, int ldb, float beta, float *c, int ldc);
typedef char *corename_fn(void);
typedef void threads_fn(int n);

struct blas {
    void *library;
    sgemm_fn *sgemm;
    corename_fn *core;
};

/* dlsym gives an object pointer; POSIX lets it be a function's. */
static void *symbol(void *library, const char *name) { return dlsym(library, name); }

static bool load(struct blas *b)
{
    b->library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!b->library) return false;
    void *sgemm = symbol(b->library, "cblas_sgemm"), *core = symbol(b->library, "openblas_get_corename");
    void *threads = symbol(b->library, "openblas_set_num_threads");
    if (!sgemm || !core || !threads) {
        dlclose(b->library);
        return false;
    }
    memcpy(&b->sgemm, &sgemm, sizeof sgemm);
    memcpy(&b->core, &core, sizeof core);
    threads_fn *set;
    memcpy(&set, &threads, sizeof threads);
    set(1);
    return true;
}

/* Is CORE one of OpenBLAS's kernels for wide vectors? */
static bool uses_vectors(const char *core, bool avx512)
{
    static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids", "Haswell", "Zen", "Excavator"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strcmp(core, wide[i]) == 0) return !avx512 || i < 3 || i == 4; /* Zen's choice is OpenBLAS's own for AMD */
    return false;
}

struct blas *blas_open(const struct target *t, struct diags *d)
{
    struct blas *b = calloc(1, sizeof *b);
    if (!b || !load(b)) {
        free(b);
        diag_note(diag_env(d, "OpenBLAS cannot be loaded (libopenblas.so.0)"), "apt-get install libopenblas0");
        return NULL;
    }
    bool avx512 = t->feature_bits & FEATURE_AVX512, avx2 = t->feature_bits & FEATURE_AVX2;
    if ((avx512 || avx2) && !getenv("OPENBLAS_CORETYPE") && !uses_vectors(b->core(), avx512)) {
        dlclose(b->library);
        setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 1);
        if (!load(b)) {
            free(b);
            diag_env(d, "OpenBLAS cannot be loaded again with another kernel");
            return NULL;
        }
    }
    return b;
}

void blas_close(struct blas *b)
{
    if (!b) return;
    dlclose(b->library);
    free(b);
}

const char *blas_core(const struct blas *b) { return b->core(); }

int64_t blas_conv_columns(const struct blas_conv *p)
{
    return p->c / p->groups * p->kernel[0] * p->kernel[1] * p->oh * p->ow;
}

/* One row of the column matrix: for one channel and tap, the input value under every output pixel. */
static void column_row(const struct blas_conv *p, const float *plane, int64_t kh, int64_t kw, float *row)
{
    for (int64_t y = 0; y < p->oh; y++) {
        int64_t iy = y * p->stride[0] - p->pad[0] + kh * p->dilation[0];
        for (int64_t x = 0; x < p->ow; x++) {
            int64_t ix = x * p->stride[1] - p->pad[1] + kw * p->dilation[1];
            bool inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
            row[y * p->ow + x] = inside ? plane[iy * p->w + ix] : 0;
        }
    }
}

void blas_conv2d(const struct blas *b, const struct blas_conv *p, const float *x, const float *weight, float *y,
                 float *columns)
{
    int64_t ig = p->c / p->groups, og = p->o / p->groups, pixels = p->oh * p->ow, k = ig * p->kernel[0] * p->kernel[1];
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t g = 0; g < p->groups; g++) {
            float *row = columns;
            for (int64_t c = 0; c < ig; c++)
                for (int64_t kh = 0; kh < p->kernel[0]; kh++)
                    for (int64_t kw = 0; kw < p->kernel[1]; kw++, row += pixels)
                        column_row(p, x + ((n * p->c) + g * ig + c) * p->h * p->w, kh, kw, row);
            b->sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, (int)og, (int)pixels, (int)k, 1, weight + g * og * k, (int)k,
                     columns, (int)pixels, 0, y + (n * p->o + g * og) * pixels, (int)pixels);
        }
}
