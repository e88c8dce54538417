/* pool.h: the geometry of pooling windows, as PyTorch has it; the shape rules, the references and gen/ share it. */
#ifndef RNC_OP_POOL_H
#define RNC_OP_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "ir/graph.h"
#include "ir/op.h"

/* What the kernels of gen/pool compute, a variant for each row of pool.c. */
enum pool_variant {
    POOL_MAX,
    POOL_MAX_INDEX,
    POOL_AVG,
    POOL_MAX_GRAD,
    POOL_AVG_GRAD,
    POOL_GLOBAL, /* global_avg_pool */
    POOL_GLOBAL_GRAD
};

/* Of max_pool, max_pool_index, max_pool_grad, avg_pool, avg_pool_grad. Index 0 is height, 1 width. */
struct pool_window {
    int64_t kernel[2], stride[2];
    int64_t before[2], after[2]; /* padding: top, left; bottom, right */
    bool ceil, count_pad;
};

/* The attributes with a stride of 0 (the default) replaced by the kernel. */
static inline struct pool_window pool_window_of(const struct op_def *op, const struct attr *attr)
{
    const int64_t *k = attr[op_attr_index(op, "kernel")].v, *s = attr[op_attr_index(op, "stride")].v,
                  *p = attr[op_attr_index(op, "pad")].v;
    int count_pad = op_attr_index(op, "count_pad");
    struct pool_window w = {.ceil = attr[op_attr_index(op, "ceil")].b,
                            .count_pad = count_pad >= 0 && attr[count_pad].b};
    for (int a = 0; a < 2; a++) {
        w.kernel[a] = k[a];
        w.stride[a] = s[a] ? s[a] : k[a];
        w.before[a] = p[a];
        w.after[a] = p[a + 2];
    }
    return w;
}

/* Windows along axis A of SIZE elements. With ceil, a last window may hang over the far edge, but must begin inside the
   image or its near padding (PyTorch, pooling_output_shape). Not positive: the kernel does not fit. */
static inline int64_t pool_windows(const struct pool_window *w, int a, int64_t size)
{
    int64_t room = size + w->before[a] + w->after[a] - w->kernel[a];
    if (room < 0) return 0;
    int64_t n = (room + (w->ceil ? w->stride[a] - 1 : 0)) / w->stride[a] + 1;
    if (w->ceil && (n - 1) * w->stride[a] >= size + w->before[a]) n--;
    return n;
}

/* Window number O along axis A of SIZE elements: the elements [*begin, *end) it covers; the length that counts with
   count_pad (the window cut off at the far end of the padding: PyTorch, avg_pool2d) is returned. */
static inline int64_t pool_span(const struct pool_window *w, int a, int64_t size, int64_t o, int64_t *begin,
                                int64_t *end)
{
    int64_t from = o * w->stride[a] - w->before[a], to = from + w->kernel[a];
    if (to > size + w->after[a]) to = size + w->after[a];
    *begin = from > 0 ? from : 0;
    *end = to < size ? to : size;
    return to - from;
}

#endif
