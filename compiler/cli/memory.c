/* memory.c: --memory-budget, and what the reports say about memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli/format.h"
#include "cli/memory.h"

bool memory_size(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},       {"B", 1},        {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},
                 {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30},
                 {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12}};
    char *end;
    double x = strtod(text, &end);
    if (end == text || !isfinite(x) || x < 0) return false;
    while (*end == ' ') end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        if (x * units[i].bytes > 0x1p60) return false;
        *out = (uint64_t)(x * units[i].bytes);
        return true;
    }
    return false;
}

bool cli_memory(struct cli *c, size_t *out)
{
    const char *given = c->memory_budget;
    uint64_t bytes = 0;
    *out = MEMORY_AUTO;
    if (!given) return true;
    if (!strcmp(given, "none")) {
        *out = MEMORY_KEEP;
        return true;
    }
    bool bare = given[strspn(given, "0123456789.")] == 0;
    if (!bare && memory_size(given, &bytes) && bytes >= 1 && bytes < MEMORY_KEEP) {
        *out = (size_t)bytes;
        return true;
    }
    struct diag *d = diag_error(c->diags, (struct span){0}, "--memory-budget: '%s' is not a size", given);
    if (bare && *given) diag_note(d, "with its unit: %sMiB or %sGiB", given, given);
    else diag_note(d, "for example 800MiB, 2GiB or 1.5GB; none: keep everything that the backward pass reads");
    return false;
}

bool memory_for_training(struct cli *c, bool train, const char *how)
{
    if (!c->memory_budget || train) return true;
    struct diag *d = diag_error(c->diags, (struct span){0}, "--memory-budget is for training steps");
    diag_note(d, "with %s; inference keeps nothing that could be recomputed", how);
    return false;
}

void memory_report(struct arena *a, const struct graph *g, FILE *out)
{
    double over = g->lower_bound_bytes ? 100.0 * ((double)g->arena_bytes / (double)g->lower_bound_bytes - 1) : 0;
    fprintf(out, "memory    %s planned for intermediates; in this order no plan can take less than %s (%.1f%% above)\n",
            format_bytes(a, g->arena_bytes), format_bytes(a, g->lower_bound_bytes), over);
    fprintf(out, "          %s of weights%s: %s in all\n", format_bytes(a, g->state_bytes),
            g->train ? " and optimizer state" : "", format_bytes(a, g->arena_bytes + g->state_bytes));
    if (!g->train) return;
    struct recompute_account r = recompute_account(g);
    fprintf(out, "          %s would be all that the backward pass reads of the forward pass, side by side\n",
            format_bytes(a, r.saved_bytes));
    fprintf(out, "          %d values recomputed instead of kept: %.1f%% more multiply-adds\n", r.nodes,
            memory_recompute_percent(&r));
}

void memory_json(const struct graph *g, json_t *root)
{
    struct recompute_account r = recompute_account(g);
    json_object_set_new(root, "saved_bytes", json_integer((json_int_t)r.saved_bytes));
    json_object_set_new(root, "recompute_nodes", json_integer(r.nodes));
    json_object_set_new(root, "recompute_macs", json_integer((json_int_t)r.recompute_macs));
    json_object_set_new(root, "step_macs", json_integer((json_int_t)r.step_macs));
}

double memory_recompute_percent(const struct recompute_account *r)
{
    return r->step_macs > r->recompute_macs
               ? 100 * (double)r->recompute_macs / (double)(r->step_macs - r->recompute_macs)
               : 0;
}
