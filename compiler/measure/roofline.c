/* roofline.c: see roofline.h. */
#include "measure/roofline.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pass/pass.h"

enum { LARGEST = 512 << 20, UNKNOWN_L2 = 1 << 20, UNKNOWN_L3 = 32 << 20 };
#define SECONDS 0.08

/* Half a cache is what a stream can count on; the rest holds something else. */
static void choose_levels(struct roofline *r, const struct target *t, int workers)
{
    size_t l2 = (t->l2_bytes ? t->l2_bytes : UNKNOWN_L2) * (size_t)workers, l3 = t->l3_bytes ? t->l3_bytes : UNKNOWN_L3;
    if (l3 < l2) l3 = l2;
    size_t beyond = 2 * l2 < l3 / 2 ? 2 * l2 : l3 / 2;
    r->level[0] = (struct roofline_level){"L2", l2 / 2, l2 / 2, 0, 0};
    r->level[1] = (struct roofline_level){"L3", l3 / 2, beyond > l2 / 2 ? beyond : l2 / 2, 0, 0};
    r->level[2] = (struct roofline_level){"memory", SIZE_MAX, l3 > LARGEST / 2 ? LARGEST : 2 * l3, 0, 0};
}

void roofline_measure(struct roofline *r, const struct gen_peak *peak, const struct target *t,
                      const struct rnc_parallel *par)
{
    choose_levels(r, t, par && par->workers > 0 ? par->workers : 1);
    size_t bytes = r->level[ROOFLINE_LEVELS - 1].measured;
    void *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) return;
    madvise(buffer, bytes, MADV_HUGEPAGE);
    memset(buffer, 0, bytes);
    for (int k = 0; k < ROOFLINE_LEVELS; k++) {
        struct roofline_level *l = &r->level[k];
        l->read = gen_peak_stream(peak, par, buffer, l->measured, false, SECONDS);
        l->copy = gen_peak_stream(peak, par, buffer, l->measured, true, SECONDS);
    }
    munmap(buffer, bytes);
}

struct roofline_bytes roofline_node(const struct node *n)
{
    struct roofline_bytes b = {0};
    for (int i = 0; i < n->nin; i++)
        if (n->in[i])
            *(value_storage(n->in[i])->space == SPACE_STATE ? &b.parameters : &b.read) += type_bytes(&n->in[i]->type);
    for (int i = 0; i < n->nout; i++) b.written += type_bytes(&n->out[i]->type);
    return b;
}

static const struct roofline_level *level_of(const struct roofline *r, size_t bytes)
{
    int k = 0;
    while (k + 1 < ROOFLINE_LEVELS && bytes > r->level[k].holds) k++;
    return &r->level[k];
}

/* A copy of b bytes moves 2b: what is left of its time after b were read is that of writing b. */
static double write_ns(const struct roofline_level *l, double bytes)
{
    double ns = 2 / l->copy - 1 / l->read;
    return bytes * (ns > 0 ? ns : 1 / l->copy);
}

double roofline_ms(const struct roofline *r, const struct roofline_bytes *b, size_t footprint)
{
    const struct roofline_level *near = level_of(r, b->read + b->written + b->parameters),
                                *far = level_of(r, footprint);
    if (!(near->read > 0 && near->copy > 0 && far->read > 0)) return 0;
    return ((double)b->parameters / far->read + (double)b->read / near->read + write_ns(near, (double)b->written)) *
           1e-6;
}
