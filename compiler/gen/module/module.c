/* module.c: phase two. Kernels become LLVM functions, modules and object code, on several threads; the objects are
   linked into this process by ORC or handed out as a file. LLVM's C API has no thread setting for its JIT, so each
   thread has a context and a target machine of its own and emits object buffers, which do not depend on how the kernels
   were shared out. */
#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include "gen/module/build_id.h"
#include "gen/module/cache.h"
#include "gen/emit/emit.h"
#include "gen/gen.h"
#include "gen/module/lowering.h"
#include "gen/module/memory.h"
#include "ir/text.h"
#include "runtime/rt/clock.h"

enum { KERNELS_PER_MODULE = 6, MAX_COMPILE_THREADS = 64 };

struct program {
    struct gen_stats stats;
    char *symbol;
    LLVMMemoryBufferRef *objects;
    int nobjects;
    LLVMOrcLLJITRef jit;
};

/* ---- targets */

/* Loop strength reduction is off: our loops step their own pointers, and its search took 0.8 s for a kernel of 28
   accumulators where everything else takes 0.05 s. */
static void init_llvm_once(void)
{
    memory_end_with_message();
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    static const char *const flags[] = {"rnc", "-disable-lsr"};
    LLVMParseCommandLineOptions(2, flags, NULL);
}

static void init_llvm(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* guards LLVM's own process-wide state */
    pthread_once(&once, init_llvm_once);
}

/* The order in which code is written keeps accumulators in registers. LLVM's scheduler moves loads up, and where all
   registers are in use (aarch64: tiles of 2×14 in 32; AVX2: 2×6 in 16) it spilled a hundred vectors in each trip.
   AVX-512 code, whose broadcasts are operands of the products, is better with the scheduler. */
static void keep_order(void)
{
    static const char *const flags[] = {"rnc", "-enable-misched=false"};
    LLVMParseCommandLineOptions(2, flags, NULL);
}

static bool same_code(const struct target *a, const struct target *b)
{
    return strcmp(a->triple, b->triple) == 0 && strcmp(a->cpu, b->cpu) == 0 && strcmp(a->features, b->features) == 0 &&
           a->feature_bits == b->feature_bits;
}

/* LLVM's scheduler has one switch for the whole process, so a process generates code for one target: the first. */
static bool claim_process(const struct target *t, struct diags *d)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
    static struct target claimed;
    static bool taken;
    pthread_mutex_lock(&lock);
    if (!taken) {
        claimed = *t;
        taken = true;
        if (!(t->feature_bits & FEATURE_AVX512)) keep_order();
    }
    const bool same = same_code(&claimed, t);
    pthread_mutex_unlock(&lock);
    if (same) return true;
    struct diag *e = diag_env(d, "this process generates code for %s; it can't for %s, too", claimed.name, t->name);
    diag_note(e, "LLVM's settings are the whole process's: compile for another CPU in another process");
    return false;
}

/* All that this LLVM was built with: for code that runs elsewhere. */
static void init_targets_once(void)
{
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
}

static void init_targets(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_targets_once);
}

static bool init_host_cpu(struct target *t, struct diags *d)
{
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    snprintf(t->cpu, sizeof t->cpu, "%s", cpu);
    snprintf(t->name, sizeof t->name, "%s", cpu);
    bool fits = strlen(features) < sizeof t->features;
    snprintf(t->features, sizeof t->features, "%s", fits ? features : "");
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    if (!fits) diag_env(d, "the host CPU's feature list is longer than expected; pass --cpu with a named CPU");
    return fits;
}

static bool init_foreign(const struct target *t, struct diags *d)
{
    init_targets();
    LLVMTargetRef target;
    char *error = NULL;
    if (!LLVMGetTargetFromTriple(t->triple, &target, &error)) return true;
    diag_env(d, "this LLVM generates no code for %s: %s", t->triple, error);
    LLVMDisposeMessage(error);
    return false;
}

bool gen_target_init(struct target *t, struct diags *d)
{
    init_llvm();
    if (!target_is_native(t)) return init_foreign(t, d);
    if (!t->cpu[0] && t->feature_bits == 0) {
        struct diag *e = diag_env(d, "this CPU has no AVX2 or no fused multiply-add, which all of rnc's code uses");
        diag_note(e, "the least is x86-64-v3: Intel since Haswell (2013), AMD since Excavator (2015); for objects to "
                     "run elsewhere: `rnc compile -o`");
        return false;
    }
    char *triple = LLVMGetDefaultTargetTriple();
    snprintf(t->triple, sizeof t->triple, "%s", triple);
    LLVMDisposeMessage(triple);
    return t->cpu[0] || init_host_cpu(t, d);
}

static LLVMTargetMachineRef target_machine(const struct target *t, char **error)
{
    LLVMTargetRef target;
    if (LLVMGetTargetFromTriple(t->triple, &target, error)) return NULL;
    return LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

/* ---- one module */

static void set_attr(struct emit *e, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(e->cx, key, (unsigned)strlen(key), value,
                                                      (unsigned)strlen(value)));
}

static void set_param_attr(struct emit *e, unsigned param, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(e->fn, param + 1, LLVMCreateEnumAttribute(e->cx, kind, 0));
}

/* Spilled vectors would straddle cache lines on the stack's 16 bytes. */
static void align_stack(struct emit *e)
{
    static const char name[] = "alignstack";
    unsigned kind = LLVMGetEnumAttributeKindForName(name, sizeof name - 1);
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->cx, kind, (uint64_t)e->v * 4));
}

static void emit_types(struct emit *e)
{
    LLVMContextRef cx = e->cx;
    unsigned v = (unsigned)e->v;
    e->f32 = LLVMFloatTypeInContext(cx);
    e->f64 = LLVMDoubleTypeInContext(cx);
    e->i1 = LLVMInt1TypeInContext(cx);
    e->i8 = LLVMInt8TypeInContext(cx);
    e->i32 = LLVMInt32TypeInContext(cx);
    e->i64 = LLVMInt64TypeInContext(cx);
    e->ptr = LLVMPointerTypeInContext(cx, 0);
    e->vf = LLVMVectorType(e->f32, v);
    e->vi32 = LLVMVectorType(e->i32, v);
    e->vi1 = LLVMVectorType(e->i1, v);
    e->vi8 = LLVMVectorType(e->i8, v);
}

/* min-legal-vector-width keeps LLVM from splitting 512-bit vectors on CPUs whose tuning prefers 256 bits. */
static void open_kernel(struct emit *e, const char *symbol)
{
    LLVMTypeRef type =
        LLVMFunctionType(LLVMVoidTypeInContext(e->cx), (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64, e->i64}, 5, 0);
    e->fn = LLVMGetNamedFunction(e->mod, symbol);
    if (!e->fn) e->fn = LLVMAddFunction(e->mod, symbol, type);
    if (e->whole) LLVMSetLinkage(e->fn, LLVMInternalLinkage);
    else LLVMSetVisibility(e->fn, LLVMHiddenVisibility);
    set_attr(e, "target-cpu", e->target->cpu);
    set_attr(e, "target-features", e->target->features);
    char bits[8];
    snprintf(bits, sizeof bits, "%d", e->v * 32);
    set_attr(e, "prefer-vector-width", bits);
    set_attr(e, "min-legal-vector-width", bits);
    for (unsigned i = 0; i < 3; i++) set_param_attr(e, i, "noalias");
    align_stack(e);
    e->args = LLVMGetParam(e->fn, 0);
    e->run = LLVMGetParam(e->fn, 1);
    e->scratch = LLVMGetParam(e->fn, 2);
    e->begin = LLVMGetParam(e->fn, 3);
    e->end = LLVMGetParam(e->fn, 4);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->cx, e->fn, ""));
}

static void emit_kernels(struct emit *e, const struct lower *lo, int from, int to)
{
    for (int i = from; i < to; i++) {
        open_kernel(e, lo->kernels[i].symbol);
        lo->kernels[i].fn(e, lo->kernels[i].params);
        LLVMBuildRetVoid(e->b);
    }
}

static void open_module(struct emit *e, const struct lower *lo, LLVMTargetMachineRef tm)
{
    e->target = lo->target;
    e->v = lo->target->lanes;
    assert(e->v > 0 && e->v <= MAX_LANES);
    e->cx = LLVMContextCreate();
    e->mod = LLVMModuleCreateWithNameInContext(lo->ident, e->cx);
    e->b = LLVMCreateBuilderInContext(e->cx);
    LLVMSetTarget(e->mod, lo->target->triple);
    LLVMTargetDataRef data = LLVMCreateTargetDataLayout(tm);
    LLVMSetModuleDataLayout(e->mod, data);
    LLVMDisposeTargetData(data);
    emit_types(e);
}

static void close_module(struct emit *e)
{
    LLVMDisposeBuilder(e->b);
    LLVMDisposeModule(e->mod);
    LLVMContextDispose(e->cx);
}

static void check_module(struct emit *e)
{
#ifdef RNC_DEBUG
    char *error = NULL;
    if (LLVMVerifyModule(e->mod, LLVMReturnStatusAction, &error))
        diag_bug("generated code is not well formed: %s", error);
    LLVMDisposeMessage(error);
#else
    (void)e;
#endif
}

/* ---- compile jobs */

struct job {
    const struct lower *lo;
    const struct gen_options *o;
    const char *model;
    atomic_int next; /* the next module to make */
    int nmodules;    /* kernel modules, and one with the tables */
    int per_module;
    LLVMMemoryBufferRef *objects;
    pthread_mutex_t lock;
    double emit_ms, codegen_ms; /* of all threads together */
    char *error;
};

static void job_fail(struct job *j, char *error)
{
    pthread_mutex_lock(&j->lock);
    if (!j->error) j->error = strdup(error ? error : "unknown failure");
    pthread_mutex_unlock(&j->lock);
    LLVMDisposeMessage(error);
}

static void write_text(struct job *j, LLVMTargetMachineRef tm, struct emit *e)
{
    if (j->o->llvm) {
        char *s = LLVMPrintModuleToString(e->mod);
        buf_puts(j->o->llvm, s);
        LLVMDisposeMessage(s);
    }
    if (j->o->assembly) {
        char *error = NULL;
        LLVMMemoryBufferRef m;
        if (LLVMTargetMachineEmitToMemoryBuffer(tm, e->mod, LLVMAssemblyFile, &error, &m)) {
            job_fail(j, error);
            return;
        }
        buf_write(j->o->assembly, LLVMGetBufferStart(m), LLVMGetBufferSize(m));
        LLVMDisposeMemoryBuffer(m);
    }
}

static void make_module(struct job *j, int index, LLVMTargetMachineRef tm)
{
    struct emit e = {.whole = j->nmodules == 1};
    double t0 = rnc_clock_ms();
    open_module(&e, j->lo, tm);
    int from = index * j->per_module, to = from + j->per_module;
    if (to > j->lo->nkernels) to = j->lo->nkernels;
    if (from < to) emit_kernels(&e, j->lo, from, to);
    if (index == j->nmodules - 1) tables_emit(j->lo, e.cx, e.mod, j->model, &j->o->contents);
    check_module(&e);
    double t1 = rnc_clock_ms();
    if (j->o->llvm || j->o->assembly) write_text(j, tm, &e);
    char *error = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, e.mod, LLVMObjectFile, &error, &j->objects[index])) {
        j->objects[index] = NULL;
        job_fail(j, error);
    }
    double t2 = rnc_clock_ms();
    close_module(&e);
    pthread_mutex_lock(&j->lock);
    j->emit_ms += t1 - t0;
    j->codegen_ms += t2 - t1;
    pthread_mutex_unlock(&j->lock);
}

static void *compile_thread(void *arg)
{
    struct job *j = arg;
    char *error = NULL;
    LLVMTargetMachineRef tm = target_machine(j->lo->target, &error);
    if (!tm) {
        job_fail(j, error);
        return NULL;
    }
    for (int i; (i = atomic_fetch_add(&j->next, 1)) < j->nmodules;) make_module(j, i, tm);
    LLVMDisposeTargetMachine(tm);
    return NULL;
}

static void compile_all(struct job *j)
{
    int want = j->o->threads < 1 ? 1 : j->o->threads > MAX_COMPILE_THREADS ? MAX_COMPILE_THREADS : j->o->threads;
    pthread_t threads[MAX_COMPILE_THREADS];
    int started = 0;
    while (started < want - 1 && pthread_create(&threads[started], NULL, compile_thread, j) == 0) started++;
    compile_thread(j);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
}

/* ---- programs */

static const char *identifier(struct arena *a, const char *name)
{
    char *s = arena_strdup(a, *name ? name : "model");
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return s;
}

const char *gen_symbol(struct arena *a, const struct graph *g)
{
    return arena_printf(a, "rnc_%s%s", identifier(a, g->name), g->train ? "_train" : "");
}

static void run_job(struct program *p, const struct lower *lo, const struct gen_options *o, struct diags *d)
{
    bool single = o->single_object || o->llvm || o->assembly;
    struct job j = {.lo = lo, .o = o, .model = p->symbol, .lock = PTHREAD_MUTEX_INITIALIZER};
    j.per_module = single ? lo->nkernels + 1 : KERNELS_PER_MODULE;
    j.nmodules = single ? 1 : (lo->nkernels + KERNELS_PER_MODULE - 1) / KERNELS_PER_MODULE + 1;
    p->nobjects = j.nmodules;
    p->objects = j.objects = calloc((size_t)j.nmodules, sizeof *j.objects);
    if (!j.objects) {
        diag_env(d, "out of memory");
        return;
    }
    compile_all(&j);
    pthread_mutex_destroy(&j.lock);
    if (j.error) diag_env(d, "LLVM could not generate code: %s", j.error);
    free(j.error);
    p->stats.emit_ms = j.emit_ms;
    p->stats.codegen_ms = j.codegen_ms;
    for (int i = 0; i < p->nobjects; i++)
        if (p->objects[i]) p->stats.code_bytes += LLVMGetBufferSize(p->objects[i]);
    if (o->contents.state && p->stats.code_bytes > lo->graph->state_bytes)
        p->stats.code_bytes -= lo->graph->state_bytes;
}

struct program *lower_compile(const struct lower *lo, const struct gen_options *o, struct diags *d)
{
    if (!claim_process(&o->target, d)) return NULL;
    struct program *p = calloc(1, sizeof *p);
    if (p) p->symbol = strdup(gen_symbol(lo->arena, lo->graph));
    if (!p || !p->symbol) {
        diag_env(d, "out of memory");
        program_free(p);
        return NULL;
    }
    p->stats.kernels = lo->nkernels;
    p->stats.steps = lo->nsteps;
    int before = diags_errors(d);
    run_job(p, lo, o, d);
    if (diags_errors(d) == before) return p;
    program_free(p);
    return NULL;
}

static struct program *lower_and_compile(struct arena *a, const struct graph *g, const struct gen_options *o,
                                         struct diags *d)
{
    struct lower lo = {.arena = a, .graph = g, .target = &o->target, .ident = identifier(a, g->name)};
    lower_graph_nodes(&lo, lower_by_family);
    return lower_compile(&lo, o, d);
}

/* ---- the cache: a program as one block of bytes */

/* What an entry begins with; the objects' sizes, the symbol and the objects follow. */
struct kept {
    uint32_t objects, kernels, steps, symbol;
};

static void program_write(const struct program *p, struct buf *out)
{
    struct kept k = {(uint32_t)p->nobjects, (uint32_t)p->stats.kernels, (uint32_t)p->stats.steps,
                     (uint32_t)strlen(p->symbol)};
    buf_write(out, &k, sizeof k);
    for (int i = 0; i < p->nobjects; i++) {
        uint64_t size = LLVMGetBufferSize(p->objects[i]);
        buf_write(out, &size, sizeof size);
    }
    buf_puts(out, p->symbol);
    for (int i = 0; i < p->nobjects; i++)
        buf_write(out, LLVMGetBufferStart(p->objects[i]), LLVMGetBufferSize(p->objects[i]));
}

/* The next N of the SIZE bytes at P; NULL when there are not so many. */
static const char *take(const char **p, size_t *size, uint64_t n)
{
    if (n > *size) return NULL;
    const char *at = *p;
    *p += n;
    *size -= (size_t)n;
    return at;
}

static bool read_objects(struct program *p, const char *sizes, const char *data, size_t left)
{
    for (int i = 0; i < p->nobjects; i++) {
        uint64_t size;
        memcpy(&size, sizes + (size_t)i * sizeof size, sizeof size);
        const char *at = take(&data, &left, size);
        if (!at) return false;
        p->objects[i] = LLVMCreateMemoryBufferWithMemoryRangeCopy(at, (size_t)size, p->symbol);
        p->stats.code_bytes += (size_t)size;
    }
    return left == 0;
}

/* NULL when it is not what program_write has written. */
static struct program *program_read(const char *data, size_t left)
{
    struct kept k;
    const char *at = take(&data, &left, sizeof k);
    if (!at) return NULL;
    memcpy(&k, at, sizeof k);
    const char *sizes = take(&data, &left, (uint64_t)k.objects * sizeof(uint64_t)),
               *symbol = take(&data, &left, k.symbol);
    struct program *p = sizes && symbol && k.objects <= INT32_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) return NULL;
    p->stats = (struct gen_stats){.kernels = (int)k.kernels, .steps = (int)k.steps, .cached = true};
    p->symbol = strndup(symbol, k.symbol);
    p->objects = calloc(k.objects ? k.objects : 1, sizeof *p->objects);
    p->nobjects = p->objects ? (int)k.objects : 0;
    if (p->symbol && p->objects && read_objects(p, sizes, data, left)) return p;
    program_free(p);
    return NULL;
}

/* All that the code depends on: the graph with its plan, the CPU with its caches (blocking goes by them), rnc and LLVM.
 */
static bool program_key(struct arena *a, const struct graph *g, const struct target *t, struct cache_key *key)
{
    struct buf text;
    buf_init(&text, a);
    if (!build_id(&text)) return false;
    buf_printf(&text, "\n%s %s %s %s\n%u %d %d %zu %zu %zu\n", t->triple, t->name, t->cpu, t->features, t->feature_bits,
               t->lanes, t->registers, t->l1_bytes, t->l2_bytes, t->l3_bytes);
    graph_print(g, &text);
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, text.data, text.len);
    sha256_final(&s, key->bytes);
    return true;
}

struct program *gen_compile(const struct graph *g, const struct gen_options *o, struct diags *d)
{
    init_llvm();
    struct arena *a = arena_new();
    struct cache_key key;
    bool wanted = o->cache_dir && !o->single_object && !o->llvm && !o->assembly;
    struct cache *cache =
        wanted && program_key(a, g, &o->target, &key) ? cache_open(a, o->cache_dir, true, NULL) : NULL;
    size_t size = 0;
    const char *kept = cache ? cache_get(cache, &key, &size) : NULL;
    struct program *p = kept ? program_read(kept, size) : NULL;
    if (!p) {
        p = lower_and_compile(a, g, o, d);
        struct buf bytes;
        buf_init(&bytes, a);
        if (p && cache) {
            program_write(p, &bytes);
            cache_put(cache, &key, bytes.data, bytes.len, o->cache_bytes);
        }
    }
    cache_close(cache);
    arena_free(a);
    return p;
}

/* ---- linking */

static bool orc_ok(LLVMErrorRef error, struct diags *d, const char *what)
{
    if (!error) return true;
    char *message = LLVMGetErrorMessage(error);
    diag_env(d, "LLVM could not %s: %s", what, message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static void drop_objects(struct program *p)
{
    for (int i = 0; p->objects && i < p->nobjects; i++)
        if (p->objects[i]) LLVMDisposeMemoryBuffer(p->objects[i]);
    p->nobjects = 0;
}

const struct rnc_model *program_load(struct program *p, struct diags *d)
{
    double t0 = rnc_clock_ms();
    if (!p->jit && !orc_ok(LLVMOrcCreateLLJIT(&p->jit, NULL), d, "start its linker")) return NULL;
    LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(p->jit);
    for (int i = 0; i < p->nobjects; i++) {
        LLVMMemoryBufferRef copy =
            LLVMCreateMemoryBufferWithMemoryRangeCopy(LLVMGetBufferStart(p->objects[i]),
                                                      LLVMGetBufferSize(p->objects[i]), p->symbol);
        if (!copy) {
            diag_env(d, "no memory to link the generated code, %zu bytes", LLVMGetBufferSize(p->objects[i]));
            return NULL;
        }
        if (!orc_ok(LLVMOrcLLJITAddObjectFile(p->jit, lib, copy), d, "link the generated code")) return NULL;
    }
    LLVMOrcExecutorAddress address = 0;
    if (!orc_ok(LLVMOrcLLJITLookup(p->jit, &address, p->symbol), d, "link the generated code")) return NULL;
    drop_objects(p); /* the linked code is all that is needed now */
    p->stats.link_ms = rnc_clock_ms() - t0;
    return (const struct rnc_model *)(uintptr_t)address;
}

const void *program_object(const struct program *p, size_t *size)
{
    assert(p->nobjects == 1);
    *size = LLVMGetBufferSize(p->objects[0]);
    return LLVMGetBufferStart(p->objects[0]);
}

const struct gen_stats *program_stats(const struct program *p) { return &p->stats; }

void program_free(struct program *p)
{
    if (!p) return;
    if (p->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(p->jit));
    drop_objects(p);
    free(p->objects);
    free(p->symbol);
    free(p);
}
