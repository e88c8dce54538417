/* folder.c: the folder of a run where a command takes a spec. */
#include "cli/folder.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/folder.h"

static const struct span nowhere = {NULL, 0, 0, 0};
const char folder_params_key[] = "rnc.params";
static const char data_key[] = "data"; /* of run.json */

static const char *inside(struct cli *c, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    return arena_printf(c->arena, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

const char *folder_spec(struct cli *c, const char *spec)
{
    struct stat st;
    c->run = NULL;
    if (stat(spec, &st) != 0 || !S_ISDIR(st.st_mode)) return spec;
    const char *own = inside(c, spec, RNC_RUN_SPEC);
    if (access(own, F_OK) != 0) return spec;
    c->run = spec;
    return own;
}

/* ---- what a run says of itself */

const char *folder_spec_text(struct cli *c, const struct spec *s)
{
    struct buf text;
    buf_init(&text, c->arena);
    return spec_expand((struct spec *)(uintptr_t)s, c->diags, &text) ? text.data : NULL;
}

const char *folder_params_text(struct cli *c, const struct spec *s)
{
    struct buf b;
    buf_init(&b, c->arena);
    buf_puts(&b, "");
    for (int i = 0; i < s->nparams; i++)
        buf_printf(&b, "%s%s=%s", i ? "\n" : "", s->params[i].name, s->params[i].value);
    return b.data;
}

/* A path as it can be found again from another directory. */
static const char *absolute(struct cli *c, const char *path)
{
    char *whole = realpath(path, NULL);
    const char *out = arena_strdup(c->arena, whole ? whole : path);
    free(whole);
    return out;
}

const char *folder_run_text(struct cli *c, const char *data)
{
    char when[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    struct target host;
    target_host(&host);
    if (!gen_target_init(&host, c->diags)) return NULL;
    json_t *words = json_array();
    for (int i = 0; i < c->words.count; i++) json_array_append_new(words, json_string(c->words.items[i]));
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:o}", "started", when, "rnc", RNC_VERSION, "cpu", host.cpu, "command", words);
    if (data) json_object_set_new(j, data_key, json_string(absolute(c, data)));
    char *text = json_dumps(j, JSON_INDENT(2));
    const char *out = text ? arena_printf(c->arena, "%s\n", text) : "";
    free(text);
    json_decref(j);
    return out;
}

const char *folder_data(struct cli *c, const char *folder)
{
    if (!folder) return NULL;
    json_t *j = json_load_file(inside(c, folder, RNC_RUN_JSON), 0, NULL);
    const char *path = json_string_value(json_object_get(j, data_key));
    if (path) path = arena_strdup(c->arena, path);
    json_decref(j);
    return path;
}

/* ---- a spec beside weights */

static bool was_given(const struct cli *c, const char *param)
{
    for (int i = 0; i < c->spec.nparams; i++)
        if (c->spec.params[i].name && strcmp(c->spec.params[i].name, param) == 0) return true;
    return false;
}

static const char *value_now(const struct spec *s, const char *param)
{
    for (int i = 0; i < s->nparams; i++)
        if (strcmp(s->params[i].name, param) == 0) return s->params[i].value;
    return NULL;
}

/* How the parameters differ: in words, and the -p that makes those agree that were not given. */
struct difference {
    struct buf given, forgotten, mend;
};

/* True where any parameter differs. */
static bool params_differ(struct cli *c, const struct spec *s, const char *then, struct difference *d)
{
    char *rest = arena_strdup(c->arena, then);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char *value = strchr(line, '=');
        if (!value) continue;
        *value++ = 0;
        const char *now = value_now(s, line);
        if (!now || strcmp(now, value) == 0) continue;
        bool given = was_given(c, line);
        struct buf *b = given ? &d->given : &d->forgotten;
        buf_printf(b, "%s%s=%s (here %s)", b->len ? ", " : "", line, value, now);
        if (!given) buf_printf(&d->mend, " -p %s=%s", line, value);
    }
    return d->given.len || d->forgotten.len;
}

/* Of an input's line its shape alone: what images go through is the checkpoint's to say, and said where it is used. */
static size_t without_images(const char *line, size_t len)
{
    static const char shape[] = ": {shape: [";
    const char *at = memmem(line, len, shape, sizeof shape - 1),
               *end = at ? memchr(at, ']', len - (size_t)(at - line)) : NULL;
    return end && line[2] != '-' ? (size_t)(end - line) : len;
}

/* The next line of *TEXT that says what the network computes; training, precision and names do not matter here
   (classes are matched by name where they are used). */
static const char *next_line(const char **text, size_t *len)
{
    static const char *const others[] = {"model:", "accuracy:", "dtype:", "metrics:", "classes:", "  - \""};
    while (**text && strncmp(*text, "train:", 6) != 0) {
        const char *line = *text;
        *len = strcspn(line, "\n");
        *text += *len + (line[*len] == '\n');
        bool other = false;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            other = other || strncmp(line, others[i], strlen(others[i])) == 0;
        if (other) continue;
        *len = without_images(line, *len);
        return line;
    }
    return NULL;
}

/* The first line in which two expanded specs differ as networks; false: none. */
static bool networks_differ(struct cli *c, const char *then, const char *now, const char **was, const char **is)
{
    for (;;) {
        size_t n = 0, m = 0;
        const char *a = next_line(&then, &n), *b = next_line(&now, &m);
        if (!a && !b) return false;
        if (a && b && n == m && strncmp(a, b, n) == 0) continue;
        *was = a ? arena_strndup(c->arena, a, n) : "nothing";
        *is = b ? arena_strndup(c->arena, b, m) : "nothing";
        return true;
    }
}

static bool tell_params(struct cli *c, const char *weights, const struct difference *d)
{
    if (d->given.len) diag_warn(c->diags, nowhere, "%s was trained with %s", weights, d->given.data);
    if (!d->forgotten.len) return true;
    struct diag *e = diag_error(c->diags, nowhere, "%s was trained with %s", weights, d->forgotten.data);
    diag_note(e, "add%s; in place of the spec, the folder of the run needs nothing else", d->mend.data);
    return false;
}

/* Weights that say nothing of their spec are not compared. */
static bool compare(struct cli *c, const struct spec *s, const struct rnc_safetensors *f)
{
    const char *then = rnc_st_meta(f, RNC_FACT_SPEC), *params = rnc_st_meta(f, folder_params_key);
    const char *now = then ? folder_spec_text(c, s) : NULL, *was, *is;
    if (!now || strcmp(then, now) == 0) return true;
    struct difference d;
    buf_init(&d.given, c->arena);
    buf_init(&d.forgotten, c->arena);
    buf_init(&d.mend, c->arena);
    if (params && params_differ(c, s, params, &d)) return tell_params(c, f->path, &d);
    if (!networks_differ(c, then, now, &was, &is)) return true;
    struct diag *w = diag_warn(c->diags, nowhere, "%s is of another network than %s", f->path, s->source->path);
    diag_note(w, "it was trained with  %s", was + strspn(was, " "));
    diag_note(w, "the spec has now     %s", is + strspn(is, " "));
    return true;
}

/* What a kill has interrupted is finished, unless the run goes on elsewhere or the folder can't be written to. */
static void settle(struct cli *c)
{
    struct rnc_status ignored = {0};
    int lock = rnc_folder_lock(c->run, &ignored);
    if (lock >= 0) rnc_folder_settle(c->run, &ignored);
    rnc_folder_unlock(lock);
}

static bool no_checkpoint(struct cli *c)
{
    struct diag *d = diag_error(c->diags, nowhere, "the run in %s has no weights: neither %s nor %s is there", c->run,
                                RNC_RUN_BEST, RNC_RUN_LAST);
    diag_note(d, "training writes them after an epoch, and when it is interrupted");
    return false;
}

bool folder_weights(struct cli *c, const struct spec *s, const char **weights)
{
    if (!*weights && c->run) {
        settle(c);
        const char *best = inside(c, c->run, RNC_RUN_BEST);
        *weights = access(best, F_OK) == 0 ? best : inside(c, c->run, RNC_RUN_LAST);
        if (access(*weights, F_OK) != 0) return no_checkpoint(c);
    }
    if (!*weights) return true;
    struct rnc_status st = {0};
    struct rnc_safetensors *f = rnc_st_open(*weights, &st);
    if (!f) return driver_fail(c->driver, &st);
    bool ok = compare(c, s, f);
    rnc_st_close(f);
    return ok;
}

bool folder_no_weights(struct cli *c)
{
    struct diag *d = diag_error(c->diags, nowhere, "rnc %s needs weights", c->command->name);
    diag_note(
        d, "--weights FILE: a checkpoint such as out/best.safetensors, or any safetensors file with the spec's names");
    diag_note(d, "or the folder of a run in place of the spec: rnc %s out/", c->command->name);
    return false;
}
