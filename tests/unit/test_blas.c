/* The baseline's convolution against the operator's reference: the figures of `rnc bench --baseline` are of something
   right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"
#include "measure/blas.h"
#include "op/eval.h"

struct row {
    int64_t n, c, h, w, o, kh, kw, stride, pad, dilation, groups;
};

static float value(int64_t i, int salt) { return (float)((i * 7919 + salt * 104729) % 2003) / 1001.0f - 1.0f; }

static void check(const struct blas *b, const struct row *r)
{
    struct arena *a = arena_new();
    struct graph *g = graph_new(a, "t", r->n);
    struct value *x = graph_arg(g, VALUE_INPUT, "x", type_nchw(r->n, r->c, r->h, r->w));
    struct value *w =
        graph_arg(g, VALUE_PARAM, "w", type_make(DT_F32, 4, (int64_t[]){r->o, r->c / r->groups, r->kh, r->kw}));
    struct node *n = graph_node(g, NULL, op_find("conv2d"), (struct value *[]){x, w}, 2, 1);
    int64_t *stride = node_attr(n, "stride")->v, *pad = node_attr(n, "pad")->v, *dilation = node_attr(n, "dilation")->v;
    stride[0] = stride[1] = r->stride;
    dilation[0] = dilation[1] = r->dilation;
    for (int i = 0; i < 4; i++) pad[i] = r->pad;
    node_attr(n, "groups")->i = r->groups;
    struct op_error e = {.arena = a};
    assert_true(op_infer(n, &e));
    struct blas_conv p = {r->n,
                          r->c,
                          r->h,
                          r->w,
                          r->o,
                          n->out[0]->type.dim[2],
                          n->out[0]->type.dim[3],
                          {r->kh, r->kw},
                          {r->stride, r->stride},
                          {r->pad, r->pad},
                          {r->dilation, r->dilation},
                          r->groups};
    int64_t nx = type_elements(&x->type), nw = type_elements(&w->type), ny = type_elements(&n->out[0]->type);
    float *fx = ARENA_ARRAY(a, float, nx), *fw = ARENA_ARRAY(a, float, nw), *fy = ARENA_ARRAY(a, float, ny);
    for (int64_t i = 0; i < nx; i++) fx[i] = value(i, 1);
    for (int64_t i = 0; i < nw; i++) fw[i] = value(i, 2);
    blas_conv2d(b, &p, fx, fw, fy, ARENA_ARRAY(a, float, blas_conv_columns(&p)));
    struct eval *v = eval_new(g, (struct ref_run){.n = r->n});
    eval_set_f32(v, x, fx);
    eval_set_f32(v, w, fw);
    eval_run(v, false);
    const double *want = eval_data(v, n->out[0]);
    double error = 0, norm = 0;
    for (int64_t i = 0; i < ny; i++) {
        error += (fy[i] - want[i]) * (fy[i] - want[i]);
        norm += want[i] * want[i];
    }
    assert_true(error <= 1e-12 * norm);
    eval_free(v);
    arena_free(a);
}

static void im2col_is_a_convolution(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {1, 3, 13, 7, 17, 3, 3, 1, 1, 1, 1}, {3, 17, 7, 7, 5, 1, 1, 1, 0, 1, 1}, {2, 4, 13, 13, 6, 7, 7, 2, 3, 1, 1},
        {1, 6, 9, 9, 9, 3, 3, 1, 2, 2, 3},   {2, 5, 8, 8, 5, 3, 3, 2, 1, 1, 5},
    };
    struct arena *a = arena_new();
    struct diags *d = diags_new(a);
    struct target t;
    target_host(&t);
    struct blas *b = blas_open(&t, d);
    assert_non_null(b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(b, &rows[i]);
    blas_close(b);
    arena_free(a);
}

/* OpenBLAS 0.3.21 falls back to a kernel of 2004 on CPUs newer than itself; blas_open must not leave it there. */
static void a_wide_kernel_where_the_cpu_has_one(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct target t;
    target_host(&t);
    struct blas *b = blas_open(&t, diags_new(a));
    assert_non_null(b);
    if (t.feature_bits & (FEATURE_AVX2 | FEATURE_AVX512)) assert_string_not_equal(blas_core(b), "Prescott");
    blas_close(b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(im2col_is_a_convolution),
        cmocka_unit_test(a_wide_kernel_where_the_cpu_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
