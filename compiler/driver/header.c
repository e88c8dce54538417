/* header.c: the C header of an object: what a program that links it must know. */
#include <ctype.h>
#include "driver/driver.h"

static void upper(struct buf *b, const char *s)
{
    for (; *s; s++) buf_putc(b, isalnum((unsigned char)*s) ? (char)toupper((unsigned char)*s) : '_');
}

static const char *dtype_c(enum dtype dt) { return dt == DT_I64 ? "int64_t" : dt == DT_U8 ? "uint8_t" : "float"; }

/* "#define RNC_NET_IMAGE 0  …": a buffer's position and how many elements it has. */
static void header_buffer(struct buf *b, const char *prefix, const char *what, const char *name, const struct type *t,
                          int index)
{
    buf_printf(b, "#define %s_%s_", prefix, what);
    upper(b, name);
    buf_printf(b, " %d /* %s ", index, dtype_c(t->dtype));
    buf_shape(b, t->rank, t->dim);
    buf_puts(b, " */\n");
    buf_printf(b, "#define %s_%s_", prefix, what);
    upper(b, name);
    buf_printf(b, "_ELEMENTS %lld\n", (long long)type_elements(t));
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

void driver_header(const struct built *m, struct buf *b)
{
    const struct graph *g = m->graph;
    const char *symbol = gen_symbol(b->arena, g->name);
    struct buf p;
    buf_init(&p, b->arena);
    upper(&p, symbol);
    buf_printf(b, "/* %s: %s, batch %lld, for %s. Written by `rnc compile`. Link librnc_rt.a, -pthread and -lm. */\n",
               g->name, g->train ? "one call is a training step" : "inference", (long long)g->batch, m->target.name);
    buf_printf(b,
               "#ifndef %s_H\n#define %s_H\n\n#include <rnc/exec.h>\n#include <rnc/pool.h>\n\n#ifdef "
               "__cplusplus\nextern \"C\" {\n#endif\n\n",
               p.data, p.data);
    buf_printf(b, "/* Open it with rnc_open(&%s, …); see rnc/exec.h. */\nextern const struct rnc_model %s;\n\n", symbol,
               symbol);
    buf_printf(b, "#define %s_BATCH %lld\n", p.data, (long long)g->batch);
    buf_printf(b, "#define %s_STATE_BYTES %zu\n#define %s_ARENA_BYTES %zu\n", p.data, g->state_bytes, p.data,
               g->arena_bytes);
    buf_puts(b, "\n/* Input buffers of rnc_execute, plain row-major. */\n");
    int ninputs = 0;
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_INPUT)
            header_buffer(b, p.data, "INPUT", g->values[i]->name, &g->values[i]->type, ninputs++);
    for (int i = 0; i < g->nvalues; i++)
        if (g->values[i]->kind == VALUE_TARGET)
            header_buffer(b, p.data, "TARGET", g->values[i]->name, &g->values[i]->type, ninputs++);
    buf_printf(b, "#define %s_NINPUTS %d\n\n/* Output buffers. */\n", p.data, ninputs);
    for (int i = 0; i < g->noutputs; i++)
        header_buffer(b, p.data, "OUTPUT", g->outputs[i].label, &g->outputs[i].value->type, i);
    buf_printf(b, "#define %s_NOUTPUTS %d\n", p.data, g->noutputs);
    header_weights(b, p.data, g);
    buf_puts(b, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
