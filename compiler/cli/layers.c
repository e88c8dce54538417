/* layers.c: see layers.h. */
#include "cli/layers.h"

#include "cli/format.h"

static double rate(double amount, double ms) { return ms > 0 ? amount / ms * 1e-6 : 0; }
static double percent(double part, double of) { return of > 0 ? 100 * part / of : 0; }

/* ---- text */

static void print_layer(struct arena *a, struct format_table *t, const struct layer *r, double total)
{
    const struct rnc_node *n = r->node;
    bool flops = n->executed_flops > 0;
    format_table_row(t,
                     (const char *[]){n->name, n->op, n->algorithm, format_ms(a, r->ms),
                                      arena_printf(a, "%.1f%%", percent(r->ms, total)),
                                      flops ? arena_printf(a, "%.1f", rate((double)n->flops, r->ms)) : NULL,
                                      flops ? arena_printf(a, "%.0f%%", percent(r->flops_ms, r->ms)) : NULL,
                                      arena_printf(a, "%.1f", rate((double)n->bytes, r->ms)),
                                      layer_memory_bound(r) ? arena_printf(a, "memory %.0f%%", layer_explained(r)) : "",
                                      r->im2col_ms > 0 ? format_ms(a, r->im2col_ms) : NULL});
}

void layers_print(struct arena *a, const struct layers *l)
{
    const char *const columns[] = {"layer",    "operator", "algorithm", ">ms",      ">share",
                                   ">GFLOP/s", ">of peak", ">GB/s",     "estimate", l->im2col ? ">im2col ms" : NULL,
                                   NULL};
    struct format_table *t = format_table_new(a, columns);
    double total = layers_sum(l, NULL).ms;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->row[i].ms > 0) print_layer(a, t, &l->row[i], total);
    format_table_row(t, (const char *[]){LAYERS_BETWEEN, NULL, NULL, format_ms(a, l->between),
                                         arena_printf(a, "%.1f%%", percent(l->between, total)), NULL, NULL, NULL, NULL,
                                         NULL});
    format_table_print(t, stdout);
    putchar('\n');
}

static void print_kind(struct arena *a, const struct layers *l, struct format_table *t, const char *name,
                       const struct layer_sum *s, double total)
{
    bool flops = s->executed > 0;
    format_table_row(
        t, (const char *[]){name, format_count(a, s->nodes), format_ms(a, s->ms),
                            arena_printf(a, "%.1f%%", percent(s->ms, total)),
                            flops ? arena_printf(a, "%.1f", rate(s->flops, s->ms)) : NULL,
                            flops ? arena_printf(a, "%.0f%%", percent(rate(s->executed, s->ms), l->peak)) : NULL,
                            format_bytes(a, (uint64_t)s->bytes), arena_printf(a, "%.1f", rate(s->bytes, s->ms)),
                            arena_printf(a, "%.0f%%", percent(s->memory_bound_ms, s->ms))});
}

void layers_print_kinds(struct arena *a, const struct layers *l)
{
    const char *const columns[] = {"kind",     ">nodes", ">ms",   ">share",        ">GFLOP/s",
                                   ">of peak", ">moved", ">GB/s", ">memory-bound", NULL};
    struct format_table *t = format_table_new(a, columns);
    struct layer_sum all = layers_sum(l, NULL);
    for (int k = 0; k < WORK_KINDS; k++) {
        struct layer_sum s = layers_sum(l, layers_kind(k));
        if (s.nodes) print_kind(a, l, t, layers_kind(k), &s, all.ms);
    }
    struct layer_sum between = layers_sum(l, LAYERS_BETWEEN);
    print_kind(a, l, t, LAYERS_BETWEEN, &between, all.ms);
    format_table_rule(t);
    print_kind(a, l, t, "all", &all, all.ms);
    format_table_print(t, stdout);
    putchar('\n');
}

void layers_print_bound(const struct layers *l)
{
    printf("estimate  %.0f%% of the time in layers that wait for memory", layers_memory_percent(l));
    for (int k = 0; k < ROOFLINE_LEVELS; k++) {
        const struct roofline_level *v = &l->roofline.level[k];
        if (v->read > 0)
            printf("%s %s %.0f GB/s read, %.0f copied", k ? "," : "; measured beside it:", v->name, v->read, v->copy);
    }
    putchar('\n');
}

/* ---- JSON */

json_t *layers_json(const struct layers *l)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < l->count; i++) {
        const struct layer *r = &l->row[i];
        const struct rnc_node *n = r->node;
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "name", n->name, "operator", n->op,
                      "phase", n->phase, "kind", r->kind, "algorithm", n->algorithm ? n->algorithm : "", "median_ms",
                      r->ms, "min_ms", r->min, "gflops", rate((double)n->flops, r->ms), "executed_gflops",
                      rate((double)n->executed_flops, r->ms), "percent_of_peak", percent(r->flops_ms, r->ms),
                      "gbytes_per_s", rate((double)n->bytes, r->ms));
        json_object_update_new(row, json_pack("{s:I, s:I, s:I, s:f, s:f, s:s, s:f}", "nominal_flops",
                                              (json_int_t)n->flops, "executed_flops", (json_int_t)n->executed_flops,
                                              "bytes", (json_int_t)n->bytes, "flops_ms", r->flops_ms, "memory_ms",
                                              r->memory_ms, "bound", layer_memory_bound(r) ? "memory" : "compute",
                                              "percent_explained", layer_explained(r)));
        if (r->im2col_ms > 0) json_object_set_new(row, "im2col_ms", json_real(r->im2col_ms));
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *layers_kinds_json(const struct layers *l)
{
    json_t *rows = json_array();
    double total = layers_sum(l, NULL).ms;
    for (int k = 0; k < WORK_KINDS; k++) {
        struct layer_sum s = layers_sum(l, layers_kind(k));
        if (!s.nodes) continue;
        json_array_append_new(
            rows, json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:f}", "kind", layers_kind(k), "nodes",
                            s.nodes, "ms", s.ms, "percent", percent(s.ms, total), "gflops", rate(s.flops, s.ms),
                            "executed_gflops", rate(s.executed, s.ms), "percent_of_peak",
                            percent(rate(s.executed, s.ms), l->peak), "bytes", (json_int_t)s.bytes, "gbytes_per_s",
                            rate(s.bytes, s.ms), "memory_bound_percent", percent(s.memory_bound_ms, s.ms)));
    }
    json_array_append_new(rows, json_pack("{s:s, s:i, s:f, s:f}", "kind", LAYERS_BETWEEN, "nodes", 0, "ms", l->between,
                                          "percent", percent(l->between, total)));
    return rows;
}

json_t *layers_bandwidth_json(const struct layers *l)
{
    json_t *rows = json_array();
    for (int k = 0; k < ROOFLINE_LEVELS; k++) {
        const struct roofline_level *v = &l->roofline.level[k];
        json_array_append_new(rows, json_pack("{s:s, s:I, s:f, s:f}", "level", v->name, "buffer_bytes",
                                              (json_int_t)v->measured, "read_gbytes_per_s", v->read,
                                              "copy_gbytes_per_s", v->copy));
    }
    return rows;
}
