/* header.c: the C header of an object: what a program that links it must know. */
#include <ctype.h>
#include <string.h>
#include "base/strmap.h"
#include "driver/driver.h"
#include "elaborate/measured.h"
#include "runtime/rt/hash.h"

static void upper(struct buf *b, const char *s)
{
    for (; *s; s++) buf_putc(b, isalnum((unsigned char)*s) ? (char)toupper((unsigned char)*s) : '_');
}

/* ---- names */

#define NAME(name) #name,
static const char *const runtime_names[] = {
#include "runtime_names.def"
    NULL};
#undef NAME

static bool is_identifier(const char *s)
{
    const char *p = s;
    while (isalnum((unsigned char)*p) || *p == '_') p++;
    return *s && !*p;
}

bool driver_name(struct driver *d, struct built *b, const char *name)
{
    if (name && !is_identifier(name)) {
        struct diag *g = diag_error(d->diags, (struct span){0}, "--name: '%s' is no name for a symbol in C", name);
        diag_note(g, "letters, digits and _: the model is rnc_NAME in the program, its header's macros are RNC_NAME_…");
        return false;
    }
    if (name) b->graph->name = arena_strdup(d->arena, name);
    const char *symbol = gen_symbol(d->arena, b->graph);
    for (const char *const *taken = runtime_names; *taken; taken++) {
        if (strcmp(symbol, *taken) != 0) continue;
        struct diag *g =
            diag_error(d->diags, (struct span){0},
                       "a model called %s is %s in a program, which rnc's runtime has a name of its own for",
                       b->graph->name, symbol);
        diag_note(g, "another name for it: --name my_%s", b->graph->name);
        return false;
    }
    return true;
}

/* ---- the text */

static const char first_words[] = "/* Written by `rnc compile`";

bool driver_is_header(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len), mark[] = "ritten by `rnc compile`"; /* of older ones the end of a line */
    size_t line = end ? (size_t)(end - text) : len;
    return line >= 2 && !memcmp(text, "/*", 2) && memmem(text, line, mark, sizeof mark - 1);
}

static const char *dtype_c(enum dtype dt) { return dt == DT_I64 ? "int64_t" : dt == DT_U8 ? "uint8_t" : "float"; }

/* "[1, 3, 32, 32]", and what the dims are called. */
static void header_shape(struct buf *b, const struct type *t)
{
    static const char *const names[MAX_RANK + 1] = {[2] = "[N, F]", [3] = "[N, H, W]", [4] = "[N, C, H, W]"};
    buf_shape(b, t->rank, t->dim);
    if (t->rank <= MAX_RANK && names[t->rank]) buf_printf(b, " = %s", names[t->rank]);
}

/* A header on its way, and the macros that it has defined. */
struct header {
    struct buf *b;
    const char *prefix;
    struct strmap macros;
};

/* PREFIX_WHAT_NAME, or where two names are one in capitals, with a number. */
static const char *buffer_macro(struct header *h, const char *what, const char *name)
{
    struct buf m;
    buf_init(&m, h->b->arena);
    buf_printf(&m, "%s_%s_", h->prefix, what);
    upper(&m, name);
    size_t len = m.len;
    for (int k = 2;; k++) {
        const char *elements = arena_printf(h->b->arena, "%s_ELEMENTS", m.data);
        if (!strmap_get(&h->macros, m.data) && !strmap_get(&h->macros, elements)) {
            strmap_set(&h->macros, m.data, h);
            strmap_set(&h->macros, elements, h);
            return m.data;
        }
        m.len = len;
        buf_printf(&m, "_%d", k);
    }
}

/* "#define RNC_NET_INPUT_IMAGE 0  …": a buffer's position and how many elements it has. */
static void header_buffer(struct header *h, const char *what, const char *name, const struct type *t, int index,
                          const char *about)
{
    const char *macro = buffer_macro(h, what, name);
    buf_printf(h->b, "#define %s %d /* %s ", macro, index, dtype_c(t->dtype));
    header_shape(h->b, t);
    buf_printf(h->b, "%s%s */\n#define %s_ELEMENTS %lld\n", *about ? "; " : "", about, macro,
               (long long)type_elements(t));
}

/* What the numbers of an input or a target are. */
static const char *about_input(struct arena *a, const struct built *m, const struct gen_contents *c,
                               const struct value *v)
{
    int64_t ignore = -1, classes = session_classes(m->raw, v->name, &ignore);
    if (v->kind == VALUE_INPUT && v->type.rank == 4 && c->preprocess) return "images, as rnc_execute_pixels makes them";
    if (v->kind == VALUE_INPUT || v->type.dtype != DT_I64 || !classes) return "";
    const char *labels = arena_printf(a, "labels 0 … %lld", (long long)classes - 1);
    return ignore >= 0 ? arena_printf(a, "%s, or %lld: not counted", labels, (long long)ignore) : labels;
}

static const char *about_output(const struct built *m, const char *label)
{
    static const char *const words[] = {
        [RNC_NUMBERS] = "",
        [RNC_LOGITS] = "logits of the classes: their softmax is the probabilities",
        [RNC_PROBABILITIES] = "probabilities of the classes, 0 to 1",
        [RNC_BINARY_LOGITS] = "logits, each by itself: its sigmoid is the probability",
        [RNC_BINARY_PROBABILITIES] = "probabilities, each by itself, 0 to 1",
    };
    return words[build_kind(m->spec, m->raw, label)];
}

static int header_inputs(struct header *h, const struct built *m, const struct gen_contents *c, enum value_kind kind,
                         const char *what, int index)
{
    const struct graph *g = m->graph;
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == kind)
            header_buffer(h, what, g->values[i]->name, &g->values[i]->type, index++,
                          about_input(h->b->arena, m, c, g->values[i]));
    return index;
}

static void header_buffers(struct buf *b, const char *prefix, const struct built *m, const struct gen_contents *c)
{
    const struct graph *g = m->graph;
    struct header h = {.b = b, .prefix = prefix};
    strmap_init(&h.macros, b->arena);
    buf_puts(b, "\n/* Input buffers of rnc_execute: plain, row-major, the samples one after the other. */\n");
    int n = header_inputs(&h, m, c, VALUE_INPUT, "INPUT", 0);
    n = header_inputs(&h, m, c, VALUE_TARGET, "TARGET", n);
    buf_printf(b, "#define %s_NINPUTS %d\n\n/* Output buffers. */\n", prefix, n);
    for (int i = 0; i < g->noutputs; i++)
        header_buffer(&h, "OUTPUT", g->outputs[i].label, &g->outputs[i].value->type, i,
                      about_output(m, g->outputs[i].label));
    buf_printf(b, "#define %s_NOUTPUTS %d\n", prefix, g->noutputs);
}

static bool is_state(const struct value *v)
{
    return v->kind == VALUE_PARAM || v->kind == VALUE_BUFFER || v->kind == VALUE_COUNTER || v->kind == VALUE_OPTIM;
}

static void header_weights(struct buf *b, const char *prefix, const struct graph *g)
{
    int count = 0;
    for (int i = 0; i < g->nvalues; i++) count += is_state(g->values[i]);
    buf_printf(b,
               "\n/* Every tensor of the state, in order: X(name, C type, elements, rank, dim 0, dim 1, dim 2, dim 3). "
               "Set each by name with rnc_set in plain\n"
               "   row-major form, then call rnc_prepare once. */\n#define %s_NWEIGHTS %d\n#define %s_WEIGHTS(X)",
               prefix, count, prefix);
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (!is_state(v)) continue;
        buf_printf(b, " \\\n    X(\"%s\", %s, %lld, %d", v->name, dtype_c(v->type.dtype),
                   (long long)type_elements(&v->type), v->type.rank);
        for (int k = 0; k < MAX_RANK; k++) buf_printf(b, ", %lld", (long long)(k < v->type.rank ? v->type.dim[k] : 1));
        buf_putc(b, ')');
    }
    buf_putc(b, '\n');
}

/* TEXT in quotes; a ? is escaped as ??( is a [. */
static void header_string(struct buf *b, const char *text)
{
    buf_putc(b, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 0x7f) buf_printf(b, "\\%03o", *p);
        else buf_printf(b, "%s%c", strchr("\"\\?", *p) ? "\\" : "", *p);
    }
    buf_putc(b, '"');
}

static void header_classes(struct buf *b, const char *prefix, const char *symbol, const struct gen_contents *c)
{
    if (c->nclasses == 0) return;
    buf_printf(b,
               "\n/* The names of the classes: %s.classes[k], or as an array of this program's own:\n"
               "   static const char *const names[] = %s_CLASSES; */\n#define %s_NCLASSES %d\n#define %s_CLASSES { ",
               symbol, prefix, prefix, c->nclasses, prefix);
    for (int k = 0; k < c->nclasses; k++) {
        if (k) buf_puts(b, ", ");
        header_string(b, c->classes[k]);
    }
    buf_puts(b, " }\n");
}

/* The calls, in their order, for this model. */
static void header_calls(struct buf *b, const struct gen_contents *c, const char *symbol, const char *prefix)
{
    buf_printf(b,
               "       struct rnc_status s = {0};\n"
               "       struct rnc_instance *net = rnc_open(&%s, NULL, 0, &s);\n",
               symbol);
    if (!c->state)
        buf_printf(b, "       rnc_set(net, NAME, DATA, &s) for each row of %s_WEIGHTS, then rnc_prepare(net, &s);\n",
                   prefix);
    if (c->preprocess)
        buf_puts(b, "       const struct rnc_pixels image = {RGB, WIDTH, HEIGHT, STRIDE, 3};\n"
                    "       rnc_execute_pixels(net, &image, 1, outputs, &s);          or, with floats:\n");
    buf_puts(b, "       rnc_execute(net, &(struct rnc_run){.n = SAMPLES}, inputs, outputs, NULL, &s);\n"
                "       rnc_close(net);\n\n");
}

static void header_about(struct buf *b, const struct built *m, const struct gen_contents *c, const char *images,
                         const char *symbol, const char *prefix)
{
    const struct graph *g = m->graph;
    buf_printf(b, "%s: %s, %s, batch %lld, for %s.\n\n", first_words, g->name,
               g->train ? "one call is a training step" : "inference", (long long)g->batch, m->target.name);
    header_calls(b, c, symbol, prefix);
    if (c->state) buf_puts(b, "   The object holds the weights, read-only.\n");
    if (images) buf_printf(b, "   Images go through: %s.\n", images);
    buf_puts(b,
             "   Link librnc_rt.a, -pthread and -lm. Of this object's symbols a linker sees the model alone.\n"
             "   Threads: the model is constant and may be shared; an instance is one thread's at a time, and works "
             "on those of rnc/pool.h.\n"
             "   Ownership: memory is the instance's until rnc_close; buffers are the caller's, used during the call "
             "only.\n"
             "   Errors: a call returns false (rnc_open NULL), and s says why in one sentence. */\n");
}

static void header_body(struct buf *b, const struct built *m, const struct gen_contents *c, const char *symbol,
                        const char *prefix)
{
    const struct graph *g = m->graph;
    buf_printf(b,
               "#ifdef %s_BATCH\n#error \"two models are called %s: give one another name with rnc compile --name\"\n"
               "#endif\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n#include <rnc/exec.h>\n#include "
               "<rnc/pool.h>\n#include <rnc/preprocess.h>\n\nextern const struct rnc_model %s;\n\n",
               prefix, symbol, symbol);
    buf_printf(b, "#define %s_BATCH %lld /* N, the most samples of a call */\n", prefix, (long long)g->batch);
    buf_printf(b, "#define %s_STATE_BYTES %zu\n#define %s_ARENA_BYTES %zu\n", prefix, g->state_bytes, prefix,
               g->arena_bytes);
    header_buffers(b, prefix, m, c);
    header_classes(b, prefix, symbol, c);
    header_weights(b, prefix, g);
    buf_puts(b, "\n#ifdef __cplusplus\n}\n#endif\n");
}

/* The guard holds a hash of the text, so that another model's header is never taken for this one. */
void driver_header(const struct built *m, const struct gen_contents *c, const char *images, struct buf *b)
{
    const char *symbol = gen_symbol(b->arena, m->graph);
    struct buf prefix, body;
    buf_init(&prefix, b->arena);
    buf_init(&body, b->arena);
    upper(&prefix, symbol);
    header_body(&body, m, c, symbol, prefix.data);
    unsigned long long hash = rnc_hash_bytes(RNC_HASH_START, body.data, body.len);
    header_about(b, m, c, images, symbol, prefix.data);
    buf_printf(b, "#ifndef %s_%016llX_H\n#define %s_%016llX_H\n\n%s\n#endif\n", prefix.data, hash, prefix.data, hash,
               body.data);
}
