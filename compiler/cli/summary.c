/* summary.c: `rnc summary`: a network as a table, with what it costs. */
#include <jansson.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "ir/op.h"

struct totals {
    int64_t parameters, buffers, counters, macs;
};
struct memory {
    bool known;
    int64_t batch;
    size_t arena, state, lower_bound;
};

static struct totals count_totals(const struct graph *g)
{
    struct totals t = {0};
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_PARAM) t.parameters += type_elements(&v->type);
        if (v->kind == VALUE_BUFFER) t.buffers += type_elements(&v->type);
        if (v->kind == VALUE_COUNTER) t.counters += type_elements(&v->type);
    }
    GRAPH_EACH(g, n) t.macs += op_macs(n) / g->batch;
    return t;
}

/* The parameters that a node is the first to use: shared weights count once. */
static int64_t new_parameters(const struct node *n, bool *seen)
{
    int64_t sum = 0;
    for (int i = 0; i < n->nin; i++) {
        const struct value *v = n->in[i];
        if (!v || v->kind != VALUE_PARAM || seen[v->id]) continue;
        seen[v->id] = true;
        sum += type_elements(&v->type);
    }
    return sum;
}

static size_t node_bytes(const struct node *n)
{
    size_t bytes = 0;
    for (int i = 0; i < n->nout; i++) bytes += type_bytes(&n->out[i]->type);
    return bytes;
}

static const char *node_title(const struct node *n) { return n->layer ? n->layer : n->out[0]->name; }

static void table_layers(struct cli *c, const struct graph *g)
{
    static const char *const columns[] = {"layer",          "operator",     ">output", ">parameters",
                                          ">multiply-adds", ">activations", NULL};
    struct format_table *t = format_table_new(c->arena, columns);
    bool *seen = ARENA_ARRAY(c->arena, bool, g->nvalues + 1);
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind != VALUE_INPUT) continue;
        format_table_row(t, (const char *[]){v->name, "input", format_dims(c->arena, &v->type, 1), NULL, NULL,
                                             format_bytes(c->arena, type_bytes(&v->type))});
    }
    GRAPH_EACH(g, n)
    {
        int64_t params = new_parameters(n, seen), macs = op_macs(n) / g->batch;
        format_table_row(
            t, (const char *[]){node_title(n), format_operator(c->arena, n), format_dims(c->arena, &n->out[0]->type, 1),
                                params ? format_count(c->arena, params) : NULL,
                                macs ? format_count(c->arena, macs) : NULL, format_bytes(c->arena, node_bytes(n))});
    }
    format_table_print(t, stdout);
}

static struct memory plan_memory(struct cli *c, const struct spec *spec, enum model_mode mode)
{
    /* A spec without a loss has no training step; that is no error here. */
    struct driver quiet = driver_quiet(c->driver);
    struct model_options o = {.mode = mode};
    struct built b;
    if (!driver_graph(&quiet, spec, &o, &b)) return (struct memory){0};
    return (struct memory){true, b.graph->batch, b.graph->arena_bytes, b.graph->state_bytes,
                           b.graph->lower_bound_bytes};
}

static void print_memory(struct cli *c, const char *what, const struct memory *m)
{
    if (!m->known) return;
    printf("%-10s batch %lld: %s = %s activations + %s %s\n", what, (long long)m->batch,
           format_bytes(c->arena, m->arena + m->state), format_bytes(c->arena, m->arena),
           format_bytes(c->arena, m->state), what[0] == 't' ? "weights and optimizer" : "weights");
}

static void print_totals(struct cli *c, const struct totals *t, const struct memory *infer, const struct memory *train)
{
    printf("\nparameters %s, all trainable (%s as fp32)\n", format_count(c->arena, t->parameters),
           format_bytes(c->arena, (uint64_t)t->parameters * 4));
    if (t->buffers) printf("buffers    %s (not trained)\n", format_count(c->arena, t->buffers + t->counters));
    printf("one sample %s multiply-adds\n", format_count(c->arena, t->macs));
    print_memory(c, "inference", infer);
    print_memory(c, "training", train);
}

static json_t *json_shape(const struct type *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(shape, json_integer(t->dim[i]));
    return shape;
}

static json_t *json_layers(struct cli *c, const struct graph *g)
{
    json_t *layers = json_array();
    bool *seen = ARENA_ARRAY(c->arena, bool, g->nvalues + 1);
    GRAPH_EACH(g, n)
    {
        json_array_append_new(layers, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "name", node_title(n), "operator",
                                                n->op->name, "output", json_shape(&n->out[0]->type), "parameters",
                                                (json_int_t)new_parameters(n, seen), "macs",
                                                (json_int_t)(op_macs(n) / g->batch), "activation_bytes",
                                                (json_int_t)node_bytes(n)));
    }
    return layers;
}

static void json_memory(json_t *root, const char *key, const struct memory *m)
{
    json_object_set_new(root, key,
                        !m->known ? json_null()
                                  : json_pack("{s:I, s:I, s:I, s:I, s:I}", "batch", (json_int_t)m->batch, "bytes",
                                              (json_int_t)(m->arena + m->state), "arena_bytes", (json_int_t)m->arena,
                                              "state_bytes", (json_int_t)m->state, "lower_bound_bytes",
                                              (json_int_t)m->lower_bound));
}

static void print_json(struct cli *c, const struct graph *g, const struct totals *t, const struct memory *infer,
                       const struct memory *train)
{
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "model", g->name, "batch", (json_int_t)g->batch,
                             "parameters", (json_int_t)t->parameters, "trainable_parameters", (json_int_t)t->parameters,
                             "buffers", (json_int_t)(t->buffers + t->counters), "macs", (json_int_t)t->macs);
    json_memory(root, "inference_memory", infer);
    json_memory(root, "training_memory", train);
    json_object_set_new(root, "layers", json_layers(c, g));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    struct model_options o = {.mode = MODEL_INFER};
    struct built b;
    const struct spec *spec = cli_load(c, argv[0]);
    if (!spec || !driver_graph(c->driver, spec, &o, &b)) return cli_finish(c);
    struct totals t = count_totals(b.raw);
    struct memory infer = {true, b.graph->batch, b.graph->arena_bytes, b.graph->state_bytes,
                           b.graph->lower_bound_bytes};
    struct memory train = plan_memory(c, spec, MODEL_TRAIN);
    if (c->json) {
        print_json(c, b.raw, &t, &infer, &train);
    } else {
        printf("%s, batch %lld\n\n", b.raw->name, (long long)b.raw->batch);
        table_layers(c, b.raw);
        print_totals(c, &t, &infer, &train);
    }
    return cli_finish(c);
}

const struct command command_summary = {
    .name = "summary",
    .group = GROUP_WRITE,
    .place = 2,
    .summary = "layers, shapes, parameters, multiply-adds, memory",
    .usage = "SPEC [--batch N] [--json]",
    .details = "Multiply-adds are for one sample; activations are for the whole batch.\n"
               "Memory is what rnc plans: the arena that holds every intermediate, and the weights (in training also "
               "the optimizer's state).\n\n"
               "  rnc summary resnet50\n  rnc summary resnet20 -p channels=1 -p size=28 -p classes=10\n",
    .shared = CLI_SPEC | CLI_JSON,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
