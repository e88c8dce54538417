/* plan.c: `rnc plan`: the memory plan as a picture. */
#include <jansson.h>
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/memory.h"

static bool opt_train;
static const char *opt_output;

static void print_figures(const struct cli *c, const struct graph *g)
{
    double over = g->lower_bound_bytes ? 100.0 * ((double)g->arena_bytes / (double)g->lower_bound_bytes - 1) : 0;
    struct recompute_account r = recompute_account(g);
    if (c->json) {
        json_t *root =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "model", g->name, "mode", g->train ? "train" : "infer", "batch",
                      (json_int_t)g->batch, "planned_bytes", (json_int_t)g->arena_bytes, "lower_bound_bytes",
                      (json_int_t)g->lower_bound_bytes, "state_bytes", (json_int_t)g->state_bytes);
        memory_json(g, root);
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("%s, %s, batch %lld\n", g->name, g->train ? "training" : "inference", (long long)g->batch);
    printf("  peak         %12.2f MiB\n  lower bound  %12.2f MiB  (the plan is %.1f%% above it)\n  state        %12.2f "
           "MiB\n",
           (double)g->arena_bytes / 1048576, (double)g->lower_bound_bytes / 1048576, over,
           (double)g->state_bytes / 1048576);
    printf("  in all       %12.2f MiB\n", (double)(g->arena_bytes + g->state_bytes) / 1048576);
    if (!g->train) return;
    printf("  saved values %12.2f MiB  (what the backward pass reads of the forward pass, if all were kept side by "
           "side)\n",
           (double)r.saved_bytes / 1048576);
    printf("  twice        %12d values, %.1f%% more multiply-adds\n", r.nodes, memory_recompute_percent(&r));
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (!memory_for_training(c, opt_train, "--train")) return cli_finish(c);
    struct model_options o = {.mode = opt_train ? MODEL_TRAIN : MODEL_INFER};
    struct built b;
    const struct spec *s = cli_load(c, argv[0]);
    if (!s || !driver_graph(c->driver, s, &o, &b)) return cli_finish(c);
    bool to_stdout = opt_output && opt_output[0] == '-' && !opt_output[1];
    if (opt_output) {
        struct buf svg;
        buf_init(&svg, c->arena);
        plan_svg(b.graph, &svg);
        if (!file_write(c->diags, opt_output, svg.data, svg.len)) return cli_finish(c);
    }
    if (!to_stdout) print_figures(c, b.graph);
    return cli_finish(c);
}

static const struct option options[] = {
    {.name = "train", .kind = OPT_FLAG, .help = "plan the training step (else inference)", .dest = &opt_train},
    {.name = "output",
     .letter = 'o',
     .kind = OPT_TEXT,
     .arg = "FILE.svg",
     .help = "write the picture (-: stdout)",
     .dest = &opt_output},
};

const struct command command_plan = {
    .name = "plan",
    .group = GROUP_MEASURE,
    .place = 4,
    .summary = "the memory plan as a picture",
    .usage = "SPEC [--train] [--batch N] [--memory-budget SIZE] [-o FILE.svg]",
    .details = "Time runs to the right, bytes upwards; a rectangle is a value for as long as it lives. The lower bound "
               "is the largest sum of\n"
               "bytes that are live at one time: no plan of this order needs less. Open the picture in a browser: each "
               "rectangle tells what it is.\n\n"
               "  rnc plan resnet50 -o plan.svg\n  rnc plan resnet50 --train --memory-budget 700MiB\n  rnc plan "
               "resnet20 --train --batch 128 -o plan.svg\n",
    .shared = CLI_SPEC | CLI_JSON | CLI_MEMORY,
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
