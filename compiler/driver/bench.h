/* bench.h: how fast a spec runs, against the FMA peak of the same minute; and is the result right? */
#ifndef RNC_DRIVER_BENCH_H
#define RNC_DRIVER_BENCH_H

#include "driver/layers.h"
#include "driver/verify.h"

struct bench_options {
    enum model_mode mode;
    const char *weights; /* a safetensors file; NULL: fresh and perturbed parameters (struct open_options) */
    double seconds;      /* how long to measure: the runs, and again the layers */
    bool bounded;        /* no run begins after that, but the first; else a few runs are made in any case */
    bool layers;         /* each node, too, and what bounds it */
    bool baseline;       /* and each convolution by im2col and OpenBLAS, on one thread (implies layers) */
    bool whole;          /* struct check_options */
    size_t idle_bytes;   /* what was resident before the driver did anything; 0: it is taken now */
};

/* Runs in which the threads had to wait for a processor are dropped; times are of the others. */
struct bench {
    struct built built; /* until bench_free */
    int threads;
    double median, min, p95; /* ms */
    int counted, dropped;
    bool disturbed; /* too few runs were calm: all count */
    double peak;    /* GFLOP/s of fused multiply-adds on registers (of bf16 pairs where the CPU is fast with these),
                       measured between the runs; at least what the runs reached */
    double flops, executed; /* of one run */
    struct layers layers;   /* by node; none: not measured */
    const char *blas_core;  /* OpenBLAS's kernels; NULL: no baseline */
    struct {
        size_t idle, run, whole;
    } rss; /* bytes resident before the model was opened; the most in the runs; in all, loading and compiling too */
    struct verify_row wrong; /* what of the result is not right (driver_check); its name NULL: all is */
};

/* False with diagnostics. *B is to be freed in either case. */
bool driver_bench(struct driver *d, const struct spec *s, const struct bench_options *o, struct bench *b);
void bench_free(struct bench *b);

#endif
