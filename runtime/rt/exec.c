/* exec.c: a compiled model with its memory: one block each for state, arena and scratch, taken once. The steps'
   arguments are resolved to pointers when the model is opened; only those that point into the caller's buffers are
   patched for a run. */
#include "runtime/rt/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/rt/clock.h"
#include "runtime/rt/fpstate.h"
#include "runtime/rt/pack.h"
#include "runtime/rt/instance.h"

enum { ALIGN = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 64 << 10, SCRATCH_ALIGN = 256, PAGE = 4096, CANARY = 0xC5 };

/* ---- memory */

bool rnc_instance_no_memory(struct rnc_status *s, const char *what, size_t bytes)
{
    return rnc_fail(s, RNC_ENV, "no memory for the %s: %.1f MiB are needed (%s)", what, (double)bytes / 1048576.0,
                    strerror(errno));
}

static bool block_map(struct block *b, size_t bytes, size_t extra, const char *what, struct rnc_status *s)
{
    if (__builtin_add_overflow(bytes, extra, &b->map_bytes)) {
        errno = ENOMEM;
        return rnc_instance_no_memory(s, what, bytes);
    }
    void *map = mmap(NULL, b->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return rnc_instance_no_memory(s, what, bytes);
    b->map = map;
    return true;
}

static size_t round_to(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/* guard page | canary page | data … canaries to the page's end | guard page */
static bool block_open_checked(struct block *b, const char *what, struct rnc_status *s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = round_to(b->bytes, page);
    if (!block_map(b, pages, 3 * page, what, s)) return false;
    b->data = b->map + 2 * page;
    b->band[0] = b->map + page;
    b->band_bytes[0] = page;
    b->band[1] = b->data + b->bytes;
    b->band_bytes[1] = pages - b->bytes;
    for (int k = 0; k < 2; k++) memset(b->band[k], CANARY, b->band_bytes[k]);
    mprotect(b->map, page, PROT_NONE);
    mprotect(b->data + pages, page, PROT_NONE);
    return true;
}

enum { BLOCKS = 3 };
static const char *const block_names[BLOCKS] = {"intermediate values", "threads' scratch", "parameters"};

/* Bytes from the map's start that huge pages are asked for: all of arena and scratch, rounded up; of the parameters
   behind them only what fills whole pages, as rounding those up too would only cost memory: they are read as a stream.
 */
static size_t huge_bytes(size_t in_use, size_t whole)
{
    size_t up = round_to(in_use, HUGE_PAGE), down = whole / HUGE_PAGE * HUGE_PAGE;
    return whole < HUGE_FROM ? 0 : up > down ? up : down;
}

/* One map for all, so that huge pages round up once. Every page is touched now: a first touch inside the step would
   cost about 2 µs for each 4 KiB. */
static bool blocks_open_together(struct block *const b[BLOCKS], struct rnc_status *s)
{
    size_t at[BLOCKS], whole = 0;
    for (int k = 0; k < BLOCKS; k++) {
        at[k] = whole;
        if (__builtin_add_overflow(whole, b[k]->bytes, &whole) || whole > SIZE_MAX - 4 * (size_t)HUGE_PAGE) {
            errno = ENOMEM;
            return rnc_instance_no_memory(s, block_names[k], b[k]->bytes);
        }
    }
    size_t huge = huge_bytes(at[BLOCKS - 1], whole);
    if (!block_map(b[0], huge > whole ? huge : whole, huge ? HUGE_PAGE : 0, "parameters and intermediate values", s))
        return false;
    char *data = huge ? (char *)round_to((size_t)b[0]->map, HUGE_PAGE) : b[0]->map;
    if (huge) madvise(data, huge, MADV_HUGEPAGE);
    memset(data, 0, whole);
    for (int k = 0; k < BLOCKS; k++) b[k]->data = data + at[k];
    return true;
}

static bool blocks_open(struct block *const b[BLOCKS], const uint64_t bytes[BLOCKS], bool check, struct rnc_status *s)
{
    for (int k = 0; k < BLOCKS; k++) {
        if (bytes[k] > SIZE_MAX - 4 * (uint64_t)HUGE_PAGE) {
            errno = ENOMEM;
            return rnc_instance_no_memory(s, block_names[k], SIZE_MAX);
        }
        b[k]->bytes = round_to(bytes[k] > 0 ? (size_t)bytes[k] : ALIGN, ALIGN);
        if (check && !block_open_checked(b[k], block_names[k], s)) return false;
    }
    return check || blocks_open_together(b, s);
}

static void block_close(struct block *b)
{
    if (b->map) munmap(b->map, b->map_bytes);
}

static bool block_intact(const struct block *b)
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < b->band_bytes[k]; i++)
            if ((unsigned char)b->band[k][i] != CANARY) return false;
    return true;
}

/* ---- opening */

static bool is_patched(const struct rnc_arg *a) { return a->space == RNC_INPUT || a->space == RNC_OUTPUT; }

static bool allocate_tables(struct rnc_instance *i, struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    size_t nargs = 0, npatches = 0;
    for (uint32_t k = 0; k < m->nsteps; k++) {
        nargs += m->steps[k].nargs;
        for (uint32_t a = 0; a < m->steps[k].nargs; a++) npatches += is_patched(&m->steps[k].args[a]);
    }
    i->pointers = calloc(nargs + 1, sizeof *i->pointers);
    i->args = calloc((size_t)m->nsteps + 1, sizeof *i->args);
    i->patches = calloc(npatches + 1, sizeof *i->patches);
    i->plain = calloc((size_t)m->ntensors + 1, sizeof *i->plain);
    i->ready = calloc((size_t)m->nprepares + 1, sizeof *i->ready);
    i->set = calloc((size_t)m->ntensors + 1, sizeof *i->set);
    if (!i->pointers || !i->args || !i->patches || !i->plain || !i->ready || !i->set)
        return rnc_instance_no_memory(s, "argument tables", nargs * sizeof *i->pointers);
    return true;
}

/* Where ARG points; NULL for the caller's buffers. */
static void *resolve(const struct rnc_instance *i, const struct rnc_arg *a)
{
    switch ((enum rnc_space)a->space) {
    case RNC_ARENA: return i->arena.data + a->offset;
    case RNC_STATE: return i->state.data + a->offset;
    case RNC_CONST: return (void *)(uintptr_t)a->offset;
    case RNC_INPUT:
    case RNC_OUTPUT:
    case RNC_NULL: break;
    }
    return NULL;
}

static void resolve_arguments(struct rnc_instance *i)
{
    void **at = i->pointers;
    for (uint32_t k = 0; k < i->model->nsteps; k++) {
        const struct rnc_step *step = &i->model->steps[k];
        i->args[k] = at;
        for (uint32_t a = 0; a < step->nargs; a++, at++) {
            const struct rnc_arg *arg = &step->args[a];
            *at = resolve(i, arg);
            if (is_patched(arg))
                i->patches[i->npatches++] =
                    (struct patch){at, (size_t)arg->offset, arg->index, arg->space == RNC_OUTPUT};
        }
    }
}

bool rnc_has_weights(const struct rnc_model *m) { return m->state != NULL; }

/* The weights that the model brings along: its pages are read now, not within the first run, or copied. */
static void take_state(struct rnc_instance *i)
{
    const struct rnc_model *m = i->model;
    const volatile char *from = m->state;
    if (i->borrowed) {
        i->state.data = (char *)(uintptr_t)m->state;
        i->state.bytes = 0;
        for (uint64_t at = 0; at < m->state_bytes; at += PAGE) (void)from[at];
    } else memcpy(i->state.data, m->state, (size_t)m->state_bytes);
    memset(i->set, true, m->ntensors * sizeof *i->set);
    memset(i->ready, true, m->nprepares * sizeof *i->ready);
}

static bool open_into(struct rnc_instance *i, struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    bool check = i->flags & RNC_EXEC_CHECK;
    if (!rnc_model_check(m, s)) return false;
    size_t workers = i->par.run ? (size_t)i->par.workers : 1;
    i->scratch_stride = round_to((size_t)m->scratch_bytes, SCRATCH_ALIGN);
    i->borrowed = m->state && !m->train && !(i->flags & RNC_EXEC_COPY);
    struct block *const blocks[] = {&i->arena, &i->scratch, &i->state};
    const uint64_t bytes[] = {m->arena_bytes, i->scratch_stride * workers, i->borrowed ? 0 : m->state_bytes};
    if (!blocks_open(blocks, bytes, check, s) || !allocate_tables(i, s)) return false;
    if (m->state) take_state(i);
    resolve_arguments(i);
    return true;
}

struct rnc_instance *rnc_open(const struct rnc_model *model, const struct rnc_parallel *par, unsigned flags,
                              struct rnc_status *s)
{
    struct rnc_instance *i = calloc(1, sizeof *i);
    if (!i) {
        rnc_instance_no_memory(s, "instance", sizeof *i);
        return NULL;
    }
    i->model = model;
    i->flags = flags;
    if (par && par->workers > 0) i->par = *par;
    if (open_into(i, s)) return i;
    rnc_close(i);
    return NULL;
}

void rnc_close(struct rnc_instance *i)
{
    if (!i) return;
    if (i->plain)
        for (uint32_t k = 0; k < i->model->ntensors; k++) free(i->plain[k]);
    block_close(&i->state);
    block_close(&i->arena);
    block_close(&i->scratch);
    free(i->pointers);
    free(i->args);
    free(i->patches);
    free(i->plain);
    free(i->ready);
    free(i->prepared_pixels);
    free(i->set);
    free(i);
}

const struct rnc_model *rnc_instance_model(const struct rnc_instance *i) { return i->model; }

void *rnc_state(struct rnc_instance *i, size_t *bytes)
{
    *bytes = (size_t)i->model->state_bytes;
    return i->state.data;
}

struct rnc_memory rnc_instance_memory(const struct rnc_instance *i)
{
    struct rnc_memory m = {.state = i->state.bytes, .arena = i->arena.bytes, .scratch = i->scratch.bytes};
    for (uint32_t k = 0; k < i->model->ntensors; k++) {
        struct rnc_type t = rnc_instance_plain_type(&i->model->tensors[k].type);
        if (i->plain[k]) m.plain += rnc_plain_bytes(&t);
    }
    return m;
}

/* ---- running */

struct job {
    const struct rnc_instance *i;
    const struct rnc_run *run;
    rnc_kernel *kernel;
    void *const *args;
};

static void run_tasks(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct job *j = ctx;
    j->kernel(j->args, j->run, j->i->scratch.data + (size_t)worker * j->i->scratch_stride, begin, end);
}

static void run_kernel(const struct rnc_instance *i, uint32_t index, const struct rnc_run *run)
{
    const struct rnc_step *step = &i->model->steps[index];
    struct job j = {i, run, step->kernel, i->args[index]};
    int64_t count = step->per_sample ? step->tasks * run->n : step->tasks;
    if (count <= 0) return;
    if (count == 1 || !i->par.run) run_tasks(&j, 0, count, 0);
    else i->par.run(i->par.self, count, run_tasks, &j);
}

/* A run in progress. */
struct runner {
    const struct rnc_instance *i;
    const struct rnc_observer *observer; /* or NULL */
    double began;
    struct rnc_status *status;
};

/* The samples of a REGION are in range and in order: what its gather reads and its scatter writes is the batch's. */
static bool check_region(const struct runner *r, const struct rnc_step *step, int64_t count, const int64_t *index,
                         const struct rnc_run *around)
{
    const char *model = r->i->model->name, *node = r->i->model->nodes[step->node].name;
    if (count < 0 || count > around->n)
        return rnc_fail(r->status, RNC_ENV, "model %s: region %s has %lld samples of a batch of %lld", model, node,
                        (long long)count, (long long)around->n);
    for (int64_t k = 0; index && k < count; k++)
        if (index[k] <= (k ? index[k - 1] : -1) || index[k] >= around->n)
            return rnc_fail(r->status, RNC_ENV, "model %s: region %s has sample %lld at place %lld of a batch of %lld",
                            model, node, (long long)index[k], (long long)k, (long long)around->n);
    return true;
}

static bool run_steps(struct runner *r, uint32_t begin, uint32_t end, const struct rnc_run *run);

static bool run_region(struct runner *r, uint32_t index, const struct rnc_run *around)
{
    const struct rnc_step *step = &r->i->model->steps[index];
    const int64_t *const *args = (const int64_t *const *)r->i->args[index];
    const int64_t *condition = args[RNC_REGION_CONDITION], *count = args[RNC_REGION_COUNT];
    struct rnc_run run = *around;
    if (count) run.n = *count;
    run.index = args[RNC_REGION_INDEX];
    if (!check_region(r, step, run.n, run.index, around)) return false;
    bool skip = run.n == 0 || (condition && *condition == 0);
    return skip || run_steps(r, index + 1, index + 1 + step->nested, &run);
}

/* Steps [begin, end), all on one level. */
static bool run_steps(struct runner *r, uint32_t begin, uint32_t end, const struct rnc_run *run)
{
    const struct rnc_step *steps = r->i->model->steps;
    for (uint32_t k = begin, next; k < end; k = next) {
        bool region = steps[k].kind == RNC_STEP_REGION;
        next = k + 1 + (region ? steps[k].nested : 0);
        if (!region) run_kernel(r->i, k, run);
        else if (!run_region(r, k, run)) return false;
        if (!r->observer || (next < end && steps[next].node == steps[k].node)) continue;
        r->observer->after_node(r->observer->ctx, steps[k].node, rnc_clock_seconds() - r->began);
        r->began = rnc_clock_seconds();
    }
    return true;
}

static bool patch_pointers(struct rnc_instance *i, const void *const *inputs, void *const *outputs,
                           struct rnc_status *s)
{
    if ((i->model->ninputs && !inputs) || (i->model->noutputs && !outputs))
        return rnc_fail(s, RNC_USER, "model %s: the list of %s is NULL", i->model->name, inputs ? "outputs" : "inputs");
    for (size_t k = 0; k < i->npatches; k++) {
        const struct patch *p = &i->patches[k];
        char *base = p->output ? outputs[p->index] : (char *)(uintptr_t)inputs[p->index];
        if (!base)
            return rnc_fail(s, RNC_USER, "model %s: %s buffer %u is NULL", i->model->name,
                            p->output ? "output" : "input", p->index);
        *p->slot = base + p->offset;
    }
    i->inputs = inputs;
    i->outputs = outputs;
    return true;
}

/* Counters such as num_batches_tracked: one more after each training step. */
static void count_step(struct rnc_instance *i)
{
    for (uint32_t k = 0; k < i->model->ntensors; k++) {
        const struct rnc_tensor *t = &i->model->tensors[k];
        if (t->role != RNC_ROLE_COUNTER) continue;
        char *place = t->offset != RNC_NOT_STORED ? i->state.data + t->offset : i->plain[k];
        int64_t count;
        if (!place) continue;
        memcpy(&count, place, sizeof count);
        count++;
        memcpy(place, &count, sizeof count);
    }
}

static bool check_canaries(const struct rnc_instance *i, struct rnc_status *s)
{
    const struct block *block[] = {&i->state, &i->arena, &i->scratch};
    static const char *const name[] = {"state", "arena", "scratch"};
    for (int k = 0; k < 3; k++)
        if (!block_intact(block[k]))
            return rnc_fail(s, RNC_ENV, "model %s: a kernel wrote outside the %s block", i->model->name, name[k]);
    return true;
}

bool rnc_execute(struct rnc_instance *i, const struct rnc_run *run, const void *const *inputs, void *const *outputs,
                 const struct rnc_observer *observer, struct rnc_status *s)
{
    const struct rnc_model *m = i->model;
    if (run->n < 1 || run->n > m->batch)
        return rnc_fail(s, RNC_USER, "model %s: a batch of %lld samples, between 1 and %lld were expected", m->name,
                        (long long)run->n, (long long)m->batch);
    if (!rnc_instance_complete(i, s) || !patch_pointers(i, inputs, outputs, s)) return false;
    i->n = run->n;
    if (i->flags & RNC_EXEC_CHECK) { /* all bits set is NaN: what is read before it was written shows in the results */
        memset(i->arena.data, 0xff, i->arena.bytes);
        memset(i->scratch.data, 0xff, i->scratch.bytes);
    }
    struct rnc_run whole = *run;
    whole.index = NULL;
    struct runner r = {i, observer, observer ? rnc_clock_seconds() : 0.0, s};
    uint64_t fp = rnc_fp_enter();
    bool ok = run_steps(&r, 0, m->nsteps, &whole);
    rnc_fp_leave(fp);
    if (!ok) return false;
    if (m->train) count_step(i);
    return !(i->flags & RNC_EXEC_CHECK) || check_canaries(i, s);
}

bool rnc_read_value(const struct rnc_instance *i, uint32_t index, void *plain, struct rnc_status *s)
{
    if (index >= i->model->nvalues) return rnc_fail(s, RNC_USER, "model %s has no value %u", i->model->name, index);
    const struct rnc_value *v = &i->model->values[index];
    struct rnc_type t = v->type;
    const char *from = resolve(i, &v->place);
    if (is_patched(&v->place)) { /* the caller's buffers hold the n real samples only */
        struct rnc_type f = rnc_instance_plain_type(&t);
        memset(plain, 0, rnc_plain_bytes(&f));
        if (t.batched) t.dim[0] = i->n;
        from = v->place.space == RNC_INPUT ? i->inputs[v->place.index] : i->outputs[v->place.index];
        if (from) from += v->place.offset;
    }
    if (!from) return rnc_fail(s, RNC_USER, "value %s of model %s is not in memory", v->name, i->model->name);
    return rnc_instance_unpack(&t, from, plain, s);
}
