/* pixels.c: images in memory through a model that knows how they are prepared. */
#include <stdlib.h>

#include "runtime/rt/exec.h"
#include "runtime/rt/instance.h"
#include "runtime/rt/preprocess.h"

/* The model's only input, images [N, C, H, W]; NULL: it has another, or more of them. */
static const struct rnc_type *image_type(const struct rnc_model *m)
{
    const struct rnc_type *found = NULL;
    for (uint32_t k = 0; k < m->ntensors; k++) {
        if (m->tensors[k].role != RNC_ROLE_INPUT && m->tensors[k].role != RNC_ROLE_TARGET) continue;
        if (found || m->tensors[k].type.rank != 4 || m->tensors[k].role == RNC_ROLE_TARGET) return NULL;
        found = &m->tensors[k].type;
    }
    return found;
}

static bool takes_pixels(const struct rnc_model *m, const struct rnc_type **image, struct rnc_status *s)
{
    *image = image_type(m);
    if (!*image)
        return rnc_fail(s, RNC_USER, "model %s does not take images alone: its inputs are rnc_execute's", m->name);
    if (!m->preprocess)
        return rnc_fail(s, RNC_USER,
                        "model %s does not say how pixels are prepared: compile it from the folder of its run",
                        m->name);
    return m->preprocess->channels == (*image)->dim[1] ||
           rnc_fail(s, RNC_ENV, "model %s is damaged: %lld channels are prepared, it takes %lld", m->name,
                    (long long)m->preprocess->channels, (long long)(*image)->dim[1]);
}

/* The buffer for a whole batch is taken once. */
static bool open_buffer(struct rnc_instance *i, size_t elements, struct rnc_status *s)
{
    size_t bytes;
    if (i->prepared_pixels) return true;
    bool fits = !__builtin_mul_overflow(elements, (size_t)i->model->batch * sizeof(float), &bytes);
    i->prepared_pixels = fits ? malloc(bytes) : NULL;
    return i->prepared_pixels || rnc_instance_no_memory(s, "images", fits ? bytes : SIZE_MAX);
}

bool rnc_execute_pixels(struct rnc_instance *i, const struct rnc_pixels *images, int64_t n, void *const *outputs,
                        struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    const struct rnc_type *t;
    if (!takes_pixels(m, &t, s)) return false;
    if (n < 1 || n > m->batch)
        return rnc_fail(s, RNC_USER, "model %s: %lld images, between 1 and %lld were expected", m->name, (long long)n,
                        (long long)m->batch);
    size_t elements = (size_t)(t->dim[1] * t->dim[2] * t->dim[3]);
    if (!open_buffer(i, elements, s)) return false;
    for (int64_t k = 0; k < n; k++)
        if (!rnc_preprocess_pixels(m->preprocess, &images[k], t->dim[2], t->dim[3],
                                   i->prepared_pixels + (size_t)k * elements, s))
            return false;
    return rnc_execute(i, &(struct rnc_run){.n = n}, (const void *const[]){i->prepared_pixels}, outputs, NULL, s);
}
