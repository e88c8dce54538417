/* loader.c: from samples to batches, on a thread. The order is Philox's with the epoch as counter, so that it does not
   depend on where a run was interrupted. */
#include "runtime/data/sample.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/recipe/augment.h"

struct slot {
    void **buffers; /* by port: [batch, …] */
    struct rnc_named *named;
    int64_t *index, n;
    bool full;
};

struct rnc_loader {
    struct rnc_loader_config c;
    const struct rnc_sampler *sampler;
    void *samples; /* the sampler's own */
    void **place;  /* by port: where the next sample goes */
    int64_t nbatches;
    int64_t *order;
    int64_t epoch;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct slot slot[2];
    int64_t produce, consume; /* next batch to make, to hand out */
    bool active, busy, stop, held;
    struct rnc_status failure;
};

/* ---- the thread */

static bool make_batch(struct rnc_loader *l, int64_t number, struct slot *slot, struct rnc_status *s)
{
    int64_t first = number * l->c.batch, left = l->c.data->count - first;
    slot->n = left < l->c.batch ? left : l->c.batch;
    for (int64_t k = 0; k < slot->n; k++) {
        slot->index[k] = l->order[first + k];
        for (int p = 0; p < l->c.nports; p++)
            l->place[p] = (char *)slot->buffers[p] + (size_t)k * rnc_port_bytes(&l->c.ports[p]);
        if (!l->sampler->get(l->samples, l->epoch, slot->index[k], l->place, s)) return false;
    }
    return true;
}

static void *loader_main(void *arg)
{
    struct rnc_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && !(l->active && l->produce < l->nbatches && !l->slot[l->produce & 1].full))
            pthread_cond_wait(&l->changed, &l->lock);
        if (l->stop) break;
        struct slot *slot = &l->slot[l->produce & 1];
        int64_t number = l->produce;
        l->busy = true;
        pthread_mutex_unlock(&l->lock);
        struct rnc_status s = {0};
        bool ok = make_batch(l, number, slot, &s);
        pthread_mutex_lock(&l->lock);
        l->busy = false;
        slot->full = ok;
        l->produce++;
        if (!ok) {
            l->failure = s;
            l->active = false;
        }
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

bool rnc_loader_next(struct rnc_loader *l, struct rnc_batch *b, struct rnc_status *s)
{
    bool ok = true;
    *b = (struct rnc_batch){0};
    pthread_mutex_lock(&l->lock);
    if (l->held) {
        l->slot[(l->consume - 1) & 1].full = false;
        l->held = false;
        pthread_cond_broadcast(&l->changed);
    }
    if (l->consume < l->nbatches) {
        struct slot *slot = &l->slot[l->consume & 1];
        while (!slot->full && l->failure.code == RNC_OK) pthread_cond_wait(&l->changed, &l->lock);
        if (slot->full) {
            *b = (struct rnc_batch){slot->n, slot->index, slot->named, l->c.nports};
            l->held = true;
            l->consume++;
        } else ok = rnc_fail(s, l->failure.code, "%s", l->failure.message);
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

/* Fisher and Yates, with the epoch's own numbers. */
static void make_order(struct rnc_loader *l)
{
    int64_t n = l->c.data->count;
    for (int64_t k = 0; k < n; k++) l->order[k] = k;
    for (int64_t k = n - 1; l->c.shuffle && k > 0; k--) {
        struct rnc_philox r = rnc_draw(&(struct rnc_draw){.seed = l->c.seed, .epoch = l->epoch, .sample = k}, 0);
        uint64_t word = (uint64_t)r.word[0] << 32 | r.word[1];
        int64_t other = (int64_t)((unsigned __int128)word * (uint64_t)(k + 1) >> 64), x = l->order[k];
        l->order[k] = l->order[other];
        l->order[other] = x;
    }
}

void rnc_loader_start(struct rnc_loader *l, int64_t epoch, int64_t first)
{
    pthread_mutex_lock(&l->lock);
    l->active = false;
    while (l->busy) pthread_cond_wait(&l->changed, &l->lock);
    l->slot[0].full = l->slot[1].full = l->held = false;
    l->failure = (struct rnc_status){0};
    l->produce = l->consume = first;
    l->epoch = epoch;
    make_order(l);
    l->active = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

int64_t rnc_loader_batches(const struct rnc_loader *l) { return l->nbatches; }

/* ---- making one */

static bool allocate_slot(const struct rnc_loader *l, struct slot *t)
{
    size_t nports = (size_t)l->c.nports;
    t->buffers = calloc(nports + 1, sizeof *t->buffers);
    t->named = calloc(nports + 1, sizeof *t->named);
    t->index = calloc((size_t)l->c.batch, sizeof *t->index);
    if (!t->buffers || !t->named || !t->index) return false;
    for (size_t k = 0; k < nports; k++) {
        size_t bytes;
        if (__builtin_mul_overflow((size_t)l->c.batch, rnc_port_bytes(&l->c.ports[k]), &bytes)) return false;
        t->buffers[k] = malloc(bytes + 1);
        t->named[k] = (struct rnc_named){l->c.ports[k].name, t->buffers[k]};
        if (!t->buffers[k]) return false;
    }
    return true;
}

static bool allocate(struct rnc_loader *l, struct rnc_status *s)
{
    l->place = calloc((size_t)l->c.nports + 1, sizeof *l->place);
    l->order = malloc((size_t)l->c.data->count * sizeof *l->order + 1);
    return (l->place && l->order && allocate_slot(l, &l->slot[0]) && allocate_slot(l, &l->slot[1])) ||
           rnc_fail(s, RNC_ENV, "no memory for batches of %" PRId64 " samples", l->c.batch);
}

static bool start(struct rnc_loader *l, struct rnc_status *s)
{
    int error = pthread_create(&l->thread, NULL, loader_main, l);
    l->started = error == 0;
    return l->started || rnc_fail(s, RNC_ENV, "can't start the loader's thread: %s", strerror(error));
}

struct rnc_loader *rnc_loader_new(const struct rnc_loader_config *c, struct rnc_status *s)
{
    struct rnc_loader *l = calloc(1, sizeof *l);
    if (!l) {
        rnc_fail(s, RNC_ENV, "no memory for a loader");
        return NULL;
    }
    l->c = *c;
    l->sampler = c->data->tensors ? &rnc_sample_tensors : &rnc_sample_images;
    l->nbatches = (c->data->count + c->batch - 1) / c->batch;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->samples = l->sampler->open(c, s);
    if (l->samples && allocate(l, s) && start(l, s)) return l;
    rnc_loader_free(l);
    return NULL;
}

static void free_slot(const struct rnc_loader *l, struct slot *t)
{
    for (int k = 0; t->buffers && k < l->c.nports; k++) free(t->buffers[k]);
    free(t->buffers);
    free(t->named);
    free(t->index);
}

void rnc_loader_free(struct rnc_loader *l)
{
    if (!l) return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (int k = 0; k < 2; k++) free_slot(l, &l->slot[k]);
    l->sampler->close(l->samples);
    free(l->place);
    free(l->order);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l);
}
