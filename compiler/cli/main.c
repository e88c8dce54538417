/* main.c: finds the command, reads its options, runs it. The commands themselves are the files beside this one. */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <stdlib.h>
#include "cli/cli.h"
#include "cli/options.h"

enum { STACK_BYTES = 64 << 20 };

/* commands.def is made by the Makefile from the files that define a command_<name>. */
#define COMMAND(n) extern const struct command command_##n;
#include "commands.def"
#undef COMMAND
static const struct command *const commands[] = {
#define COMMAND(n) &command_##n,
#include "commands.def"
#undef COMMAND
    NULL,
};

/* In the order of `rnc help`. */
static const struct {
    enum command_group group;
    const char *title;
} groups[] = {
    {GROUP_WRITE, "write a model"},    {GROUP_USE, "train and use it"}, {GROUP_MEASURE, "compile and measure"},
    {GROUP_RNC, "work on rnc itself"}, {GROUP_OTHER, "other"},
};
enum { NGROUPS = sizeof groups / sizeof groups[0] };

static const struct command *find_command(const char *name)
{
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

/* The command of the group that comes after the one at PLACE. */
static const struct command *next_in(enum command_group group, int place)
{
    const struct command *next = NULL;
    for (int i = 0; commands[i]; i++)
        if (commands[i]->group == group && commands[i]->place > place && (!next || commands[i]->place < next->place))
            next = commands[i];
    return next;
}

static void print_group(int g)
{
    const struct command *c = next_in(groups[g].group, 0);
    if (c) printf("\n%s\n", groups[g].title);
    for (; c; c = next_in(groups[g].group, c->place)) printf("  %-10s %s\n", c->name, c->summary);
}

static int print_help(void)
{
    printf("rnc compiles vision networks written down in YAML into native code, and trains them.\n\n"
           "usage: rnc COMMAND [options]      rnc COMMAND --help      rnc help --json      rnc --version\n");
    for (int g = 0; g < NGROUPS; g++) print_group(g);
    printf("\nA SPEC is a YAML file or the name of a shipped one:");
    for (const char *const *s = spec_shipped(); *s; s++) printf(" %s", *s);
    printf("\nExit status: 0 done, 1 the input is wrong, 2 the environment failed.\n\n"
           "Start with:  rnc summary resnet20       rnc train resnet20 -p channels=1 -p size=20\n");
    return 0;
}

/* Every command and option, for completion and for tests. */
static int print_json(struct arena *a)
{
    json_t *list = json_array();
    for (int i = 0; commands[i]; i++) json_array_append_new(list, options_json(a, commands[i]));
    json_dumpf(list, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(list);
    return 0;
}

static int print_version(struct cli *c)
{
    struct target t;
    target_host(&t);
    printf("rnc %s", RNC_VERSION);
    if (gen_target_init(&t, c->diags)) printf(", code for %s, %d float lanes", t.cpu, t.lanes);
    printf("\n");
    return cli_finish(c);
}

static void unknown_command(struct cli *c, const char *name)
{
    const char *names[sizeof commands / sizeof *commands]; /* the last one, help's, in place of NULL */
    size_t n = 0;
    for (int i = 0; commands[i]; i++) names[n++] = commands[i]->name;
    names[n++] = "help";
    struct diag *d = diag_error(c->diags, (struct span){0}, "there is no command '%s'", name);
    const char *near = did_you_mean(name, names, n);
    if (near) diag_note(d, "did you mean 'rnc %s'?", near);
    diag_note(d, "`rnc help` lists the commands");
}

/* With --json, a line for each on standard error. */
static void print_diag(const struct diag_view *v)
{
    json_t *notes = json_array();
    for (int i = 0; i < v->nnotes; i++) json_array_append_new(notes, json_string(v->notes[i]));
    json_t *j = json_pack("{s:s, s:s, s:s*, s:o}", "severity", v->severity, "message", v->message, "file",
                          v->place.src ? v->place.src->path : NULL, "notes", notes);
    if (v->place.line) {
        json_object_set_new(j, "line", json_integer(v->place.line));
        json_object_set_new(j, "column", json_integer(v->place.col));
    }
    if (v->environment) json_object_set_new(j, "environment", json_true());
    char *text = json_dumps(j, JSON_COMPACT);
    fprintf(stderr, "%s\n", text ? text : "{\"severity\":\"error\",\"message\":\"not UTF-8\"}");
    free(text);
    json_decref(j);
}

int cli_finish(struct cli *c)
{
    const struct diag_view *list;
    fflush(stdout);
    if (!c->json) diags_print(c->diags, stderr, c->color);
    else
        for (int i = 0, n = diags_view(c->diags, &list); i < n; i++) print_diag(&list[i]);
    return diags_exit_status(c->diags);
}

static int run_command(struct cli *c, const struct command *cmd, int argc, char **argv)
{
    bool help;
    const char **words = ARENA_ARRAY(c->arena, const char *, argc + 1);
    words[0] = cmd->name;
    for (int i = 0; i < argc; i++) words[i + 1] = argv[i];
    c->words = (struct text_list){words, argc + 1};
    int n = options_parse(c, cmd, argc, argv, &help);
    if (n < 0) return cli_finish(c);
    if (help) {
        options_help(c->arena, cmd);
        return 0;
    }
    return cmd->run(c, n, argv);
}

static int dispatch(struct cli *c, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) return print_version(c);
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc < 3) return print_help();
    if (help && strcmp(argv[2], "--json") == 0) return print_json(c->arena);
    const struct command *cmd = find_command(help ? argv[2] : name);
    if (!cmd) {
        unknown_command(c, help ? argv[2] : name);
        return cli_finish(c);
    }
    if (help) {
        options_help(c->arena, cmd);
        return 0;
    }
    return run_command(c, cmd, argc - 2, argv + 2);
}

/* Figures that did not reach the disk or the pipe must not look like success. */
static int flush_output(int status)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status > 2)
        return status; /* > 2: stopped by a signal, SIGPIPE too */
    fprintf(stderr, "error: the output could not be written\n");
    return 2;
}

struct call {
    int argc, status;
    char **argv;
};

static void *run_all(void *ctx)
{
    struct call *call = ctx;
    struct driver *d = driver_new();
    const char *no_color = getenv("NO_COLOR");
    struct cli c = {
        .driver = d,
        .arena = d->arena,
        .diags = d->diags,
        .color = isatty(STDERR_FILENO) && !(no_color && *no_color),
    };
    call->status = flush_output(dispatch(&c, call->argc, call->argv));
    driver_free(d);
    return NULL;
}

/* How deep anything may nest is bounded; how much stack the shell gives is not known. So all of it runs on a thread
   with a stack that is enough for those bounds. */
int main(int argc, char **argv)
{
    struct call call = {.argc = argc, .argv = argv};
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    int error = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!error) error = pthread_create(&thread, &attr, run_all, &call);
    if (error) {
        fprintf(stderr, "rnc: error: no memory for a stack of %d MiB: %s\n", STACK_BYTES >> 20, strerror(error));
        return 2;
    }
    pthread_join(thread, NULL);
    return call.status;
}
