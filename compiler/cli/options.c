/* options.c: the command line. Options may stand before, between and after the positional arguments; "--" ends them. */
#include "cli/options.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

enum { SHARED_MAX = 16, TABLE_MAX = 64 };

struct table {
    const struct option *row[TABLE_MAX];
    int count;
};

/* -p and --set arrive as text and leave as name and value. */
struct shared {
    struct text_list params, sets;
};

static int spec_options(struct cli *c, struct shared *s, struct option *out)
{
    int n = 0;
    out[n++] = (struct option){.name = "param",
                               .letter = 'p',
                               .kind = OPT_LIST,
                               .arg = "NAME=VALUE",
                               .help = "set a parameter of the spec",
                               .dest = &s->params};
    out[n++] = (struct option){.name = "set",
                               .kind = OPT_LIST,
                               .arg = "PATH=VALUE",
                               .help = "set anything else in the spec: train.batch=32",
                               .dest = &s->sets};
    out[n++] = (struct option){.name = "allow-outside",
                               .kind = OPT_FLAG,
                               .help = "let the spec's `use` read specs outside its folder",
                               .dest = &c->spec.allow_outside};
    out[n++] = (struct option){.name = "batch",
                               .kind = OPT_INT,
                               .arg = "N",
                               .help = "samples in a batch",
                               .dest = &c->driver->options.batch,
                               .min = 1,
                               .max = 1 << 20};
    out[n++] = (struct option){
        .name = "dtype",
        .kind = OPT_TEXT,
        .arg = "TYPE",
        .help = "how activations and their gradients are stored: f32, or bf16 in half the memory (the spec's dtype)",
        .dest = &c->driver->options.dtype};
    return n;
}

/* "a, b or c" with LAST " or " */
static const char *word_list(struct arena *a, const char *const *words, const char *last)
{
    struct buf b;
    buf_init(&b, a);
    for (int i = 0; words[i]; i++) buf_printf(&b, "%s%s", !i ? "" : words[i + 1] ? ", " : last, words[i]);
    return b.data;
}

static int run_options(struct cli *c, struct option *out)
{
    const char *const *winograd = cli_winograd_words(c->arena);
    int n = 0;
    out[n++] = (struct option){.name = "threads",
                               .kind = OPT_INT,
                               .arg = "N",
                               .help = "threads (one for each CPU)",
                               .dest = &c->driver->options.threads,
                               .min = 1,
                               .max = 1024};
    out[n++] = (struct option){.name = "seed",
                               .kind = OPT_INT,
                               .arg = "N",
                               .help = "seed of everything random (0)",
                               .dest = &c->driver->options.seed,
                               .given = &c->seed_given,
                               .min = 0,
                               .max = INT64_MAX};
    out[n++] = (struct option){.name = "cpu",
                               .kind = OPT_TEXT,
                               .arg = "NAME",
                               .help = "CPU to compile for: host, x86-64-v3 (AVX2), x86-64-v4 (AVX-512)",
                               .dest = &c->cpu};
    out[n++] = (struct option){.name = "winograd",
                               .kind = OPT_WORD,
                               .words = winograd,
                               .arg = "WHICH",
                               .help = arena_printf(c->arena, "3×3 convolutions by Winograd: %s (auto)",
                                                    word_list(c->arena, winograd, ", ")),
                               .dest = &c->winograd};
    out[n++] = (struct option){
        .name = "tune",
        .kind = OPT_SECONDS,
        .arg = "TIME",
        .help = "measure what computes each convolution best, for at most 30s, 500ms, 2m; 0s: use what was learnt",
        .dest = &c->tune,
        .given = &c->tune_given,
        .least = 0,
        .most = 24 * 3600};
    out[n++] = (struct option){.name = "no-cache",
                               .kind = OPT_FLAG,
                               .help = "compile, whatever the cache of compiled models holds (see `rnc cache`)",
                               .dest = &c->no_cache};
    return n;
}

static int shared_options(struct cli *c, struct shared *s, unsigned which, struct option *out)
{
    int n = 0;
    if (which & CLI_SPEC) n += spec_options(c, s, out + n);
    if (which & CLI_RUN) n += run_options(c, out + n);
    if (which & CLI_MEMORY)
        out[n++] = (struct option){.name = "memory-budget",
                                   .kind = OPT_TEXT,
                                   .arg = "SIZE",
                                   .help = "what a training step may take, weights and all: 2GiB; more is computed "
                                           "twice to fit. none: nothing twice",
                                   .dest = &c->memory_budget};
    if (which & CLI_JSON)
        out[n++] = (struct option){.name = "json",
                                   .kind = OPT_FLAG,
                                   .help = "print JSON; errors too, a line each, on standard error",
                                   .dest = &c->json};
    return n;
}

static const struct option *find_long(const struct table *t, const char *name, size_t len)
{
    for (int i = 0; i < t->count; i++)
        if (strlen(t->row[i]->name) == len && strncmp(t->row[i]->name, name, len) == 0) return t->row[i];
    return NULL;
}

static void make_table(struct table *t, const struct command *cmd, const struct option *shared, int nshared)
{
    t->count = 0;
    for (int i = 0; i < cmd->noptions && t->count < TABLE_MAX; i++) t->row[t->count++] = &cmd->options[i];
    /* A command's own option takes the place of the shared one of that name. */
    for (int i = 0; i < nshared && t->count < TABLE_MAX; i++)
        if (!find_long(t, shared[i].name, strlen(shared[i].name))) t->row[t->count++] = &shared[i];
}

static const struct option *find_letter(const struct table *t, char letter)
{
    for (int i = 0; i < t->count; i++)
        if (t->row[i]->letter == letter) return t->row[i];
    return NULL;
}

static const struct span nowhere = {NULL, 0, 0, 0};

static void unknown_option(struct cli *c, const struct command *cmd, const struct table *t, const char *word,
                           size_t len)
{
    const char *names[TABLE_MAX + 1];
    size_t count = 0;
    for (int i = 0; i < t->count; i++) names[count++] = t->row[i]->name;
    names[count++] = "help";
    const char *given = arena_strndup(c->arena, word, len);
    struct diag *d = diag_error(c->diags, nowhere, "rnc %s has no option '%s'", cmd->name, given);
    const char *stem = given;
    while (*stem == '-') stem++;
    const char *near = did_you_mean(stem, names, count);
    if (near) diag_note(d, "did you mean '--%s'?", near);
    diag_note(d, "`rnc %s --help` lists its options", cmd->name);
}

static void list_add(struct cli *c, struct text_list *l, const char *item)
{
    const char **items = ARENA_ARRAY(c->arena, const char *, l->count + 1);
    for (int i = 0; i < l->count; i++) items[i] = l->items[i];
    items[l->count] = item;
    l->items = items;
    l->count++;
}

/* The one form of a number that is none, and of one that is too small or too large; false. */
static bool no_number(struct cli *c, const struct option *o, const char *text, const char *what)
{
    diag_error(c->diags, nowhere, "--%s wants %s, not '%s'", o->name, what, text);
    return false;
}

static struct diag *out_of_range(struct cli *c, const struct option *o, const char *text)
{
    return diag_error(c->diags, nowhere, "--%s %s is out of range", o->name, text);
}

static bool set_int(struct cli *c, const struct option *o, const char *text)
{
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end) return no_number(c, o, text, "a whole number");
    if (errno == ERANGE || x < o->min || x > o->max) {
        struct diag *d = out_of_range(c, o, text);
        if (o->max == INT64_MAX) diag_note(d, "at least %lld", (long long)o->min);
        else diag_note(d, "from %lld to %lld", (long long)o->min, (long long)o->max);
        return false;
    }
    *(int64_t *)o->dest = x;
    return true;
}

static bool in_range(const struct option *o, double x)
{
    return (o->above ? x > o->least : x >= o->least) && x <= o->most;
}

static bool set_float(struct cli *c, const struct option *o, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x)) return no_number(c, o, text, "a number");
    if (!in_range(o, x)) {
        diag_note(out_of_range(c, o, text), o->above ? "more than %g, at most %g" : "from %g to %g", o->least, o->most);
        return false;
    }
    *(double *)o->dest = x;
    return true;
}

/* "30s", "500ms", "2m" */
static bool set_seconds(struct cli *c, const struct option *o, const char *text)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}};
    char *end;
    double x = strtod(text, &end), unit = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0) unit = units[i].seconds;
    if (end == text || unit == 0 || !in_range(o, x * unit)) {
        struct diag *d = diag_error(c->diags, nowhere, "--%s wants a time, not '%s'", o->name, text);
        if (end != text && !*end) diag_note(d, "with its unit: %ss, %sms, %sm", text, text, text);
        else diag_note(d, "such as 30s, 500ms or 2m; at most %gm", o->most / 60);
        return false;
    }
    *(double *)o->dest = x * unit;
    return true;
}

static bool set_word(struct cli *c, const struct option *o, const char *text)
{
    size_t n = 0;
    for (; o->words[n]; n++)
        if (strcmp(o->words[n], text) == 0) {
            *(const char **)o->dest = text;
            return true;
        }
    struct diag *d = diag_error(c->diags, nowhere, "--%s cannot be '%s'", o->name, text);
    const char *near = did_you_mean(text, o->words, n);
    if (near) diag_note(d, "did you mean '%s'?", near);
    diag_note(d, "it is %s", word_list(c->arena, o->words, " or "));
    return false;
}

static bool set_value(struct cli *c, const struct option *o, const char *text)
{
    switch (o->kind) {
    case OPT_FLAG: *(bool *)o->dest = true; return true;
    case OPT_INT: return set_int(c, o, text);
    case OPT_SECONDS: return set_seconds(c, o, text);
    case OPT_FLOAT: return set_float(c, o, text);
    case OPT_WORD: return set_word(c, o, text);
    case OPT_TEXT: *(const char **)o->dest = text; return true;
    case OPT_LIST: list_add(c, o->dest, text); return true;
    }
    return true;
}

static bool set_option(struct cli *c, const struct option *o, const char *text)
{
    if (o->given) *o->given = true;
    return set_value(c, o, text);
}

/* One option word and, where it stands apart, its value. Returns how many words were used; *OK becomes false after a
   diagnostic. */
static int take_option(struct cli *c, const struct command *cmd, const struct table *t, int left, char **argv, bool *ok)
{
    const char *word = argv[0];
    bool is_long = word[1] == '-';
    const char *equals = is_long ? strchr(word, '=') : NULL;
    size_t len = equals ? (size_t)(equals - word) : is_long ? strlen(word) : 2;
    const struct option *o = is_long ? find_long(t, word + 2, len - 2) : find_letter(t, word[1]);
    const char *attached = equals ? equals + 1 : !is_long && word[2] ? word + 2 : NULL;
    if (!o) {
        unknown_option(c, cmd, t, word, is_long ? len : strlen(word));
        *ok = false;
    } else if (o->kind == OPT_FLAG && attached) {
        diag_error(c->diags, nowhere, "--%s takes no value, not '%s'", o->name, attached);
        *ok = false;
    } else if (o->kind == OPT_FLAG || attached) {
        if (!set_option(c, o, attached)) *ok = false;
    } else if (left < 2) {
        diag_error(c->diags, nowhere, "--%s wants a value: --%s %s", o->name, o->name, o->arg ? o->arg : "VALUE");
        *ok = false;
    } else {
        if (!set_option(c, o, argv[1])) *ok = false;
        return 2;
    }
    return 1;
}

static const struct override *make_overrides(struct cli *c, const struct text_list *l, const char *option, bool *ok)
{
    struct override *out = ARENA_ARRAY(c->arena, struct override, l->count + 1);
    for (int i = 0; i < l->count; i++) {
        const char *equals = strchr(l->items[i], '=');
        if (!equals || equals == l->items[i]) {
            struct diag *d = diag_error(c->diags, nowhere, "%s wants name=value, not '%s'", option, l->items[i]);
            diag_note(d, "for example %s", strcmp(option, "-p") == 0 ? "-p classes=10" : "--set train.batch=32");
            *ok = false;
            continue;
        }
        out[i].name = arena_strndup(c->arena, l->items[i], (size_t)(equals - l->items[i]));
        out[i].value = equals + 1;
    }
    return out;
}

static bool check_arguments(struct cli *c, const struct command *cmd, int n, char **argv)
{
    if (n < cmd->min_args) {
        struct diag *d = diag_error(c->diags, nowhere, "rnc %s: an argument is missing", cmd->name);
        diag_note(d, "usage: rnc %s %s", cmd->name, cmd->usage);
        return false;
    }
    if (cmd->max_args >= 0 && n > cmd->max_args) {
        struct diag *d =
            diag_error(c->diags, nowhere, "rnc %s: one argument too many: '%s'", cmd->name, argv[cmd->max_args]);
        diag_note(d, "usage: rnc %s %s", cmd->name, cmd->usage);
        return false;
    }
    return true;
}

int options_parse(struct cli *c, const struct command *cmd, int argc, char **argv, bool *help)
{
    struct shared s = {{NULL, 0}, {NULL, 0}};
    struct option shared[SHARED_MAX];
    struct table t;
    make_table(&t, cmd, shared, shared_options(c, &s, cmd->shared, shared));
    *help = false;
    c->command = cmd;
    int n = 0;
    bool ok = true, only_args = false;
    for (int i = 0; i < argc;) {
        char *word = argv[i];
        if (!only_args && strcmp(word, "--") == 0) {
            only_args = true;
            i++;
            continue;
        }
        if (only_args || word[0] != '-' || !word[1]) {
            argv[n++] = word;
            i++;
            continue;
        }
        if (strcmp(word, "--help") == 0 || (strcmp(word, "-h") == 0 && !find_letter(&t, 'h'))) {
            *help = true;
            return 0;
        }
        i += take_option(c, cmd, &t, argc - i, argv + i, &ok);
    }
    c->spec.params = make_overrides(c, &s.params, "-p", &ok);
    c->spec.nparams = s.params.count;
    c->spec.sets = make_overrides(c, &s.sets, "--set", &ok);
    c->spec.nsets = s.sets.count;
    if (ok) ok = cli_dtype_option(c);
    if (ok) ok = check_arguments(c, cmd, n, argv);
    return ok ? n : -1;
}

static void help_row(struct arena *a, const struct option *o)
{
    struct buf b;
    buf_init(&b, a);
    buf_puts(&b, "  ");
    if (o->letter) buf_printf(&b, "-%c, ", o->letter);
    buf_printf(&b, "--%s", o->name);
    if (o->arg) buf_printf(&b, " %s", o->arg);
    printf("%-30s ", b.data);
    for (int i = 0; o->rows && i < o->rows->n; i++) printf("%s, ", rnc_kind_row(o->rows, i)->name);
    printf("%s\n", o->help ? o->help : "");
}

void options_help(struct arena *a, const struct command *cmd)
{
    struct cli none = {.arena = a, .driver = &(struct driver){0}};
    struct shared s;
    struct option shared[SHARED_MAX];
    printf("rnc %s: %s\n\nusage: rnc %s %s\n", cmd->name, cmd->summary, cmd->name, cmd->usage ? cmd->usage : "");
    if (cmd->details)
        printf("\n%s%s", cmd->details, cmd->details[0] && cmd->details[strlen(cmd->details) - 1] == '\n' ? "" : "\n");
    struct table t;
    make_table(&t, cmd, shared, shared_options(&none, &s, cmd->shared, shared));
    if (t.count) printf("\noptions:\n");
    for (int i = 0; i < t.count; i++) help_row(a, t.row[i]);
}

static json_t *option_json(const struct option *o)
{
    static const char *const kinds[] = {
        [OPT_SECONDS] = "time", [OPT_FLAG] = "flag", [OPT_INT] = "integer", [OPT_FLOAT] = "number",
        [OPT_WORD] = "word",    [OPT_TEXT] = "text", [OPT_LIST] = "list"};
    json_t *j =
        json_pack("{s:s, s:s, s:s*, s:s*}", "name", o->name, "kind", kinds[o->kind], "value", o->arg, "help", o->help);
    if (o->letter) json_object_set_new(j, "letter", json_stringn(&o->letter, 1));
    if (o->kind == OPT_INT)
        json_object_update_new(j, json_pack("{s:I, s:I}", "min", (json_int_t)o->min, "max", (json_int_t)o->max));
    if (o->kind == OPT_FLOAT || o->kind == OPT_SECONDS)
        json_object_update_new(j, json_pack("{s:f, s:f}", o->above ? "above" : "min", o->least, "max", o->most));
    if (o->kind != OPT_WORD) return j;
    json_t *words = json_array();
    for (int i = 0; o->words[i]; i++) json_array_append_new(words, json_string(o->words[i]));
    json_object_set_new(j, "words", words);
    return j;
}

json_t *options_json(struct arena *a, const struct command *cmd)
{
    struct cli none = {.arena = a, .driver = &(struct driver){0}};
    struct shared s;
    struct option shared[SHARED_MAX];
    struct table t;
    make_table(&t, cmd, shared, shared_options(&none, &s, cmd->shared, shared));
    json_t *list = json_array();
    for (int i = 0; i < t.count; i++) json_array_append_new(list, option_json(t.row[i]));
    return json_pack("{s:s, s:s, s:s*, s:o}", "name", cmd->name, "summary", cmd->summary, "usage", cmd->usage,
                     "options", list);
}

struct named_file option_named_file(struct arena *a, const char *item)
{
    const char *equals = strchr(item, '=');
    if (!equals || equals == item) return (struct named_file){NULL, equals ? equals + 1 : item};
    return (struct named_file){arena_strndup(a, item, (size_t)(equals - item)), equals + 1};
}
