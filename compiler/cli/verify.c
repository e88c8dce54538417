/* verify.c: `rnc verify`: is the compiled code of this spec right? (driver/verify.h) */
#include <jansson.h>
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/format.h"
#include "driver/verify.h"

static struct verify_options opt = VERIFY_DEFAULTS;

/* ---- what was found */

static const char *verdict(struct cli *c, const struct verify_row *x)
{
    const char *condition =
        x->condition > 1e12 ? "condition above 1e12" : arena_printf(c->arena, "condition %.0e", x->condition);
    if (x->undecided) return arena_printf(c->arena, "ill-conditioned (%s)", condition);
    if (!x->ok) return arena_printf(c->arena, "WRONG (limit %.0e)", x->limit);
    return x->condition > 0 ? arena_printf(c->arena, "ok (%s)", condition) : "ok";
}

static void print_rows(struct cli *c, const char *title, const struct verify_rows *r, const char *const *columns)
{
    if (!r->count) return;
    printf("\n%s\n", title);
    struct format_table *t = format_table_new(c->arena, columns);
    for (int i = 0; i < r->count; i++) {
        const struct verify_row *x = &r->item[i];
        format_table_row(t, (const char *[]){x->name, x->what, x->detail, arena_printf(c->arena, "%.1e", x->error),
                                             verdict(c, x)});
    }
    format_table_print(t, stdout);
}

static json_t *json_rows(const struct verify_rows *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->count; i++) {
        const struct verify_row *x = &r->item[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:b}", "name", x->name, "what", x->what, "detail", x->detail,
                              "limit", x->limit, "ok", (int)x->ok);
        if (x->condition > 0) json_object_set_new(o, "condition", json_real(x->condition));
        if (x->undecided) json_object_set_new(o, "undecided", json_true());
        json_object_set_new(o, "error", x->error == x->error ? json_real(x->error) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

static void print_result(struct cli *c, const struct verify_result *r)
{
    static const char *const nodes[] = {"node", "operator", "algorithm", ">error", "", NULL};
    static const char *const outputs[] = {"result", "", "compiled code", ">error", "", NULL};
    static const char *const differences[] = {"parameter", "kind", "compared", ">error", "", NULL};
    if (c->json) {
        json_t *root =
            json_pack("{s:b, s:i, s:i, s:i, s:o, s:o, s:o}", "ok", (int)(r->failed == 0), "checks", r->checks, "failed",
                      r->failed, "undecided", r->undecided, "nodes", json_rows(&r->nodes), "results",
                      json_rows(&r->outputs), "differences", json_rows(&r->differences));
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
        return;
    }
    print_rows(c, "Each compiled node against its operator's reference, on the same inputs", &r->nodes, nodes);
    print_rows(c, "The whole network against the spec's graph, interpreted in double precision", &r->outputs, outputs);
    print_rows(c, "Gradients against central differences of the loss", &r->differences, differences);
    printf("\n%d of %d checks passed", r->checks - r->failed - r->undecided, r->checks);
    if (r->undecided) printf(", %d can't be decided: ill-conditioned", r->undecided);
    putchar('\n');
}

static int run(struct cli *c, int argc, char **argv)
{
    (void)argc;
    struct verify_result r = {0};
    const struct spec *s = cli_load(c, argv[0]);
    if (s && folder_weights(c, s, &opt.weights) && cli_target_runs_here(c, &c->driver->options.target) &&
        driver_verify(c->driver, s, &opt, &r))
        print_result(c, &r);
    int status = cli_finish(c);
    return status ? status : r.failed ? 1 : 0;
}

static const struct option options[] = {
    {.name = "weights",
     .kind = OPT_TEXT,
     .arg = "FILE",
     .help = "a safetensors file (default: the run's, or fresh ones from --seed)",
     .dest = &opt.weights},
    {.name = "infer",
     .kind = OPT_FLAG,
     .help = "inference only, for specs without a loss",
     .dest = &opt.inference_only},
    {.name = "samples",
     .kind = OPT_INT,
     .arg = "N",
     .help = "finite differences at so many parameters (8; 3 where a sample takes more than 10 G multiply-adds)",
     .dest = &opt.samples,
     .min = 0,
     .max = 1 << 20},
    {.name = "all",
     .kind = OPT_FLAG,
     .help = "finite differences at every parameter tensor",
     .dest = &opt.every_parameter},
    {.name = "tolerance",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of one node (1e-5), beside what rounding a result to bf16 comes to",
     .dest = &opt.tolerance,
     .least = 0,
     .most = 1e6},
    {.name = "forward",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help =
         "relative error of the network's outputs (1e-5; in training ten times that; more where it is ill-conditioned)",
     .dest = &opt.forward,
     .least = 0,
     .most = 1e6},
    {.name = "passes",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of gradients after all passes, in double precision (1e-9)",
     .dest = &opt.passes,
     .least = 0,
     .most = 1e6},
    {.name = "difference",
     .kind = OPT_FLOAT,
     .arg = "E",
     .help = "relative error of a finite difference (1e-4)",
     .dest = &opt.difference,
     .least = 0,
     .most = 1e6},
};

const struct command command_verify = {
    .name = "verify",
    .group = GROUP_MEASURE,
    .place = 3,
    .summary = "is the compiled code of this spec right? node by node, and by finite differences",
    .usage = "SPEC [--weights W] [--batch N] [--samples N] [--json]",
    .details =
        "Errors are relative: the norm of the difference by the norm of the reference, in double precision. "
        "Three links make the chain: each compiled\n"
        "node against its operator's reference (with guard pages round the memory plan, and NaN in it before "
        "the run); the graph after all passes\n"
        "against the graph before them; its gradients against finite differences. The column \"compiled code\" "
        "shows the whole step in fp32 and\n"
        "has no limit for gradients: one ReLU at zero to within the rounding moves all of them. Inputs are "
        "random; inference's nodes\n"
        "run once more on numbers of one sign, of which long sums grow longest. Two samples, or one where a sample "
        "takes "
        "more than 10 G multiply-adds,\n"
        "unless --batch says more; -p size=64 makes large networks quick. With --dtype bf16 the references round what "
        "is "
        "stored; outputs may be off\n"
        "by three times what that does to them, by the same interpretation.\n\n"
        "\"ok (condition 2e+04)\": the terms of that result are so many times larger than what they cancel to, and "
        "by their size it is right; of an\n"
        "output: a rounding is magnified so many times. \"ill-conditioned\": so many that nothing can be told, which "
        "is no failure.\n\n"
        "  rnc verify resnet20 -p n=1\n  rnc verify my.yaml --weights best.safetensors --samples 20\n",
    .shared = CLI_SPEC | CLI_RUN | CLI_JSON,
    .options = options,
    .noptions = sizeof options / sizeof options[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
