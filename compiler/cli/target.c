/* target.c: which machine code is for: --cpu and --target, their errors, and the list of what is known. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "cli/cli.h"

struct names {
    const char **name;
    size_t count;
};

/* None yet; room for one of each known CPU and one more. */
static struct names no_names(struct cli *c)
{
    size_t room = 1;
    for (const struct target_cpu *k = target_cpus(); k->name; k++) room++;
    return (struct names){ARENA_ARRAY(c->arena, const char *, room), 0};
}

static void add_name(struct names *n, const char *name)
{
    if (n->count == 0 || strcmp(n->name[n->count - 1], name) != 0) n->name[n->count++] = name;
}

static const struct span nowhere = {NULL, 0, 0, 0};

static void note_names(struct cli *c, struct diag *d, const char *given, const struct names *n)
{
    const char *near = did_you_mean(given, n->name, n->count);
    struct buf list;
    buf_init(&list, c->arena);
    for (size_t i = 0; i < n->count; i++) buf_printf(&list, "%s%s", i ? ", " : "", n->name[i]);
    if (near) diag_note(d, "did you mean '%s'?", near);
    diag_note(d, "one of %s", list.data);
}

static bool unknown_triple(struct cli *c)
{
    struct names n = no_names(c);
    for (const struct target_cpu *k = target_cpus(); k->name; k++) add_name(&n, k->triple);
    note_names(c, diag_error(c->diags, nowhere, "--target: '%s' is not a target that rnc compiles for", c->triple),
               c->triple, &n);
    return false;
}

static bool unknown_cpu(struct cli *c)
{
    const char *least = target_least(c->cpu);
    if (least) {
        struct diag *d =
            diag_error(c->diags, nowhere,
                       "--cpu: %s has neither AVX2 nor fused multiply-adds, which all generated code uses", c->cpu);
        diag_note(d, "the least CPU is %s", least);
        return false;
    }
    struct names n = no_names(c);
    add_name(&n, "host");
    for (const struct target_cpu *k = target_cpus(); k->name; k++) add_name(&n, k->name);
    note_names(c, diag_error(c->diags, nowhere, "--cpu: '%s' is not a CPU that rnc compiles for", c->cpu), c->cpu, &n);
    return false;
}

static bool contradiction(struct cli *c, const struct target *of_triple)
{
    struct names n = no_names(c);
    for (const struct target_cpu *k = target_cpus(); k->name; k++)
        if (strcmp(k->triple, of_triple->triple) == 0) add_name(&n, k->name);
    note_names(c, diag_error(c->diags, nowhere, "--cpu: '%s' is no CPU of the target %s", c->cpu, c->triple), c->cpu,
               &n);
    return false;
}

static void list_targets(void)
{
    const char *last = "";
    printf("%-20s %-12s %6s  %s\n", "--target", "--cpu", "lanes", "needs");
    for (const struct target_cpu *k = target_cpus(); k->name; k++) {
        printf("%-20s %-12s %6d  %s\n", strcmp(last, k->triple) ? k->triple : "", k->name, k->lanes, k->help);
        last = k->triple;
    }
    struct target t;
    target_host(&t);
    printf("%-20s %-12s %6d  this machine, all that it has\n", t.triple, "host", t.lanes);
}

static bool asks_for_help(const char *s) { return s && strcmp(s, "help") == 0; }

bool cli_target(struct cli *c, struct target *t)
{
    if (asks_for_help(c->cpu) || asks_for_help(c->triple)) {
        list_targets();
        fflush(stdout);
        exit(0);
    }
    struct target of_triple;
    if (c->triple && !target_of_triple(&of_triple, c->triple)) return unknown_triple(c);
    if (c->triple && !c->cpu) *t = of_triple;
    else if (!target_named(t, c->cpu ? c->cpu : "host")) return unknown_cpu(c);
    if (c->triple && strcmp(t->triple, of_triple.triple) != 0) return contradiction(c, &of_triple);
    return gen_target_init(t, c->diags);
}

bool cli_target_runs_here(struct cli *c, const struct target *t)
{
    if (target_is_native(t)) return true;
    struct target here;
    target_host(&here);
    struct diag *d = diag_error(c->diags, nowhere, "--cpu: code for %s is for %s and cannot run on this machine, %s",
                                t->name, t->triple, here.triple);
    diag_note(d, "`rnc compile SPEC --target %s -o FILE.o` writes an object to link there", t->triple);
    return false;
}
