/* summary.c: `rnc summary`: a network as a table, with what it costs. */
#include <jansson.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "driver/account.h"
#include "ir/op.h"

struct memory {
    bool known;
    int64_t batch;
    size_t arena, state, lower_bound;
};

static void table_layers(struct cli *c, const struct graph *g, const struct account *t)
{
    static const char *const columns[] = {"layer",          "operator",     ">output", ">parameters",
                                          ">multiply-adds", ">activations", NULL};
    struct arena *a = c->arena;
    struct format_table *table = format_table_new(a, columns);
    for (int i = 0; i < g->nvalues; i++) {
        const struct value *v = g->values[i];
        if (v->kind != VALUE_INPUT) continue;
        format_table_row(table, (const char *[]){v->name, "input", format_dims(a, &v->type, 1), NULL, NULL,
                                                 format_bytes(a, type_bytes(&v->type))});
    }
    for (int i = 0; i < t->nlayers; i++) {
        const struct layer_account *l = &t->layer[i];
        format_table_row(table, (const char *[]){l->name, format_operator(a, l->node),
                                                 format_dims(a, &l->node->out[0]->type, 1),
                                                 l->parameters ? format_count(a, l->parameters) : NULL,
                                                 l->macs ? format_count(a, l->macs) : NULL, format_bytes(a, l->bytes)});
    }
    format_table_print(table, stdout);
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

static void print_totals(struct cli *c, const struct account *t, const struct memory *infer, const struct memory *train)
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

static json_t *json_layers(const struct account *t)
{
    json_t *layers = json_array();
    for (int i = 0; i < t->nlayers; i++) {
        const struct layer_account *l = &t->layer[i];
        json_array_append_new(layers, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "name", l->name, "operator",
                                                l->node->op->name, "output", json_shape(&l->node->out[0]->type),
                                                "parameters", (json_int_t)l->parameters, "macs", (json_int_t)l->macs,
                                                "activation_bytes", (json_int_t)l->bytes));
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

static void print_json(const struct graph *g, const struct account *t, const struct memory *infer,
                       const struct memory *train)
{
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "model", g->name, "batch", (json_int_t)g->batch,
                             "parameters", (json_int_t)t->parameters, "trainable_parameters", (json_int_t)t->parameters,
                             "buffers", (json_int_t)(t->buffers + t->counters), "macs", (json_int_t)t->macs);
    json_memory(root, "inference_memory", infer);
    json_memory(root, "training_memory", train);
    json_object_set_new(root, "layers", json_layers(t));
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
    struct account t = driver_account(c->arena, b.raw);
    struct memory infer = {true, b.graph->batch, b.graph->arena_bytes, b.graph->state_bytes,
                           b.graph->lower_bound_bytes};
    struct memory train = plan_memory(c, spec, MODEL_TRAIN);
    if (c->json) {
        print_json(b.raw, &t, &infer, &train);
    } else {
        printf("%s, batch %lld\n\n", b.raw->name, (long long)b.raw->batch);
        table_layers(c, b.raw, &t);
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
