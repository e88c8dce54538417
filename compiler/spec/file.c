/* file.c: spec files. */
#include "spec/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "runtime/io/file.h"
#include "spec/layers.h"
#include "spec/train.h"
#include "spec/use.h"

static const char *const top_keys[] = {"rnc",     "conventions", "model",    "params", "inputs", "targets",
                                       "classes", "use",         "blocks",   "shared", "layers", "outputs",
                                       "loss",    "metrics",     "accuracy", "dtype",  "train"};
enum { NTOP = sizeof top_keys / sizeof *top_keys };

/* ---- finding and reading */

const char *file_folder(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(a, path, (size_t)(slash - path) + 1) : "";
}

const struct source *file_text(struct arena *a, const char *path, const char *text, size_t len)
{
    struct source *s = ARENA_NEW(a, struct source);
    bool bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    *s = (struct source){path, text + (bom ? 3 : 0), len - (bom ? 3 : 0)};
    return s;
}

/* Reads at most one byte more than a spec may have, so that a longer one is noticed and never taken whole. */
static const struct source *read_stream(struct arena *a, struct diags *d, FILE *f, const char *path)
{
    struct buf b;
    buf_init(&b, a);
    char chunk[16384];
    size_t n;
    while (b.len <= YAML_MAX_BYTES && (n = fread(chunk, 1, sizeof chunk, f)) > 0) buf_write(&b, chunk, n);
    if (ferror(f)) {
        diag_env(d, "can't read %s: %s", path, strerror(errno));
        return NULL;
    }
    return file_text(a, path, b.data, b.len);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

static const struct source *read_path(struct arena *a, struct diags *d, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        diag_error(d, (struct span){0}, "%s is a folder, not a spec", path);
        return NULL;
    }
    struct rnc_status status = {0};
    int fd = rnc_file_open(path, &status);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!f) {
        if (status.code == RNC_USER && exists(path)) diag_error(d, (struct span){0}, "%s", status.message);
        else diag_env(d, "can't open %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    const struct source *s = read_stream(a, d, f, arena_strdup(a, path));
    fclose(f);
    return s;
}

static void not_found(struct diags *d, struct arena *a, const char *name, struct span place)
{
    struct diag *g = diag_error(d, place, "there is no spec '%s'", name);
    const char *const *shipped = spec_shipped();
    struct buf b;
    buf_init(&b, a);
    size_t n = 0;
    for (; shipped[n]; n++) buf_printf(&b, "%s%s", n ? ", " : "", shipped[n]);
    const char *near = did_you_mean(name, shipped, n);
    diag_note(g, "%s%s%sneither a file nor one of the shipped ones: %s", near ? "did you mean '" : "", near ? near : "",
              near ? "'?  " : "", b.data);
}

/* Does PATH lie in FOLDER or below, links followed? */
static bool is_below(const char *path, const char *folder)
{
    char *real = realpath(path, NULL), *root = realpath(*folder ? folder : ".", NULL);
    size_t n = root ? strlen(root) : 0;
    bool below = real && root && strncmp(real, root, n) == 0 && (real[n] == '/' || n == 1);
    free(real);
    free(root);
    return below;
}

static const struct source *read_inside(struct arena *a, struct diags *d, const char *path, const char *below,
                                        struct span place)
{
    if (!below || is_below(path, below)) return read_path(a, d, path);
    struct diag *g = diag_error(d, place, "%s lies outside the spec's folder, and is not read", path);
    diag_note(g, "`--allow-outside` lets `use` read specs anywhere");
    return NULL;
}

const struct source *file_find(struct arena *a, struct diags *d, const char *name, const char *folder,
                               const char *below, struct span place)
{
    if (!folder && strcmp(name, "-") == 0) return read_stream(a, d, stdin, "<stdin>");
    const char *in = folder && name[0] != '/' ? folder : "";
    const char *plain = arena_printf(a, "%s%s", in, name), *yaml = arena_printf(a, "%s%s.yaml", in, name);
    if (!folder || strchr(name, '.')) {
        struct stat st;
        if (exists(plain) && (strchr(name, '/') || strchr(name, '.') || stat(plain, &st) != 0 || S_ISREG(st.st_mode)))
            return read_inside(a, d, plain, below, place);
    }
    if (folder && exists(yaml)) return read_inside(a, d, yaml, below, place);
    const struct source *s = spec_shipped_source(a, name);
    if (!s) not_found(d, a, name, place);
    return s;
}

/* ---- helpers for every section */

bool file_check_keys(const struct spec_file *f, const struct tree *map, const char *what, const char *const *names,
                     size_t count)
{
    bool ok = true;
    for (int i = 0; i < map->count; i++) {
        bool found = false;
        for (size_t k = 0; k < count && !found; k++) found = strcmp(map->keys[i]->text, names[k]) == 0;
        if (found) continue;
        struct diag *g = file_error(f, map->keys[i]->span, "%s has no '%s'", what, map->keys[i]->text);
        file_suggest(f, g, map->keys[i]->text, "keys", names, count);
        ok = false;
    }
    return ok;
}

bool file_is_map(const struct spec_file *f, const struct tree *t, const char *what)
{
    if (t->kind == TREE_MAP || tree_empty(t)) return true;
    file_error(f, t->span, "%s is a map, not %s", what, tree_words(f->arena, t));
    return false;
}

struct scope file_scope(struct spec_file *f, bool dynamic, struct strmap *labels)
{
    return (struct scope){.file = f,
                          .dynamic = dynamic,
                          .params = f->params,
                          .nparams = f->nparams,
                          .values = f->values,
                          .labels = labels,
                          .in = REF_NONE,
                          .prev = REF_NONE,
                          .path = "",
                          .param_path = "",
                          .application = -1};
}

/* ---- parameters */

static void give_param(struct spec_file *f, const struct scope *own, const struct tree *t,
                       const struct scope *given_scope, int i)
{
    struct ast_value v;
    const struct scope *s = given_scope ? given_scope : own;
    if (value_eval(s, t, f->params[i].type, &v) && v.known && param_check(own, &f->params[i], &v, t->span))
        f->values[i] = v;
}

static void unknown_given(struct spec_file *f, const struct tree *given)
{
    const char **names = ARENA_ARRAY(f->arena, const char *, f->nparams + 1);
    for (int i = 0; i < f->nparams; i++) names[i] = f->params[i].name;
    for (int i = 0; i < given->count; i++) {
        bool found = false;
        for (int k = 0; k < f->nparams && !found; k++) found = strcmp(names[k], given->keys[i]->text) == 0;
        if (found) continue;
        struct diag *g = file_error(f, given->keys[i]->span, "%s has no parameter '%s'", f->name, given->keys[i]->text);
        file_suggest(f, g, given->keys[i]->text, "parameters", names, (size_t)f->nparams);
    }
}

/* Each default may use the parameters above it. */
static void parse_params(struct spec_file *f, const struct tree *given, const struct scope *given_scope)
{
    const struct tree *map = tree_get(f->root, "params");
    int n = map && file_is_map(f, map, "params") ? map->count : 0;
    f->params = ARENA_ARRAY(f->arena, struct ast_param, n + 1);
    f->values = ARENA_ARRAY(f->arena, struct ast_value, n + 1);
    for (int i = 0; i < n; i++) {
        struct scope s = file_scope(f, true, NULL);
        struct ast_param p;
        struct ast_value v = {0};
        if (!param_parse(&s, map->keys[i], map->items[i], false, &p)) {
            p = (struct ast_param){.name = map->keys[i]->text,
                                   .span = map->keys[i]->span}; /* so that its uses are no further errors */
            v.type = p.type = p.def ? p.type : AST_INT;
        } else if (!value_eval(&s, p.def, p.type, &v) || !param_check(&s, &p, &v, p.def->span)) {
            v = (struct ast_value){.type = p.type};
        }
        f->params[f->nparams] = p;
        f->values[f->nparams] = v;
        const struct tree *t = given ? tree_get(given, p.name) : NULL;
        if (t) give_param(f, &s, t, given_scope, f->nparams);
        f->unknown |= !f->values[f->nparams].known;
        f->nparams++;
    }
    if (given) unknown_given(f, given);
}

/* ---- inputs, blocks, modules */

static void parse_shape(struct spec_file *f, const struct tree *t, struct spec_tensor *out)
{
    struct scope s = file_scope(f, true, NULL);
    if (t->kind != TREE_LIST || (t->count != 1 && t->count != 3)) {
        file_error(f, t->span, "a shape is [C, H, W], or [C] for features, not %s", tree_count_words(f->arena, t));
        return;
    }
    out->rank = t->count;
    for (int i = 0; i < t->count; i++) {
        struct ast_value v;
        out->dim[i] = value_int(&s, t->items[i], 1, i == 0 ? 1 << 20 : 1 << 16, "a dimension", &v) && v.known ? v.i : 0;
        if (out->dim[i] == 0) out->rank = 0;
    }
}

static void parse_inputs(struct spec_file *f)
{
    static const char *const keys[] = {"shape", NULL};
    const struct tree *map = tree_get(f->root, "inputs");
    if (!map || !file_is_map(f, map, "inputs")) {
        if (!map)
            diag_note(file_error(f, (struct span){.src = f->source}, "the spec has no inputs"),
                      "`inputs: {image: {shape: [3, 224, 224]}}`");
        return;
    }
    f->inputs = ARENA_ARRAY(f->arena, struct spec_tensor, map->count + 1);
    for (int i = 0; i < map->count; i++) {
        struct spec_tensor *t = &f->inputs[f->ninputs++];
        *t = (struct spec_tensor){.name = map->keys[i]->text, .span = map->keys[i]->span, .ignore = -1};
        if (!is_name(t->name, false))
            file_error(f, t->span, "'%s' can't be an input's name: letters, digits and _", t->name);
        const struct tree *shape = tree_get(map->items[i], "shape");
        if (!file_is_map(f, map->items[i], "an input")) continue;
        if (shape) parse_shape(f, shape, t);
        else file_error(f, t->span, "the input '%s' needs a shape: {shape: [C, H, W]}", t->name);
        train_parse_image(f, map->items[i], keys, t);
    }
    if (map->count == 0) file_error(f, map->span, "the spec has no inputs");
}

static bool block_name_ok(const struct spec_file *f, const struct tree *key)
{
    static const char *const words[] = {"stage", "apply", "match", "use", "in", "prev"};
    if (op_find(key->text)) {
        file_error(f, key->span, "'%s' is an operator; a block needs a name of its own", key->text);
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], key->text) == 0) {
            file_error(f, key->span, "'%s' is a word of the language; a block needs a name of its own", key->text);
            return false;
        }
    if (is_name(key->text, false)) return true;
    file_error(f, key->span, "'%s' can't be a block's name: letters, digits and _", key->text);
    return false;
}

static void parse_block_params(struct spec_file *f, struct ast_block *b, const struct tree *map)
{
    static const char *const taken[] = {"name", "as", "from", "expect", "block", "repeat", "first"};
    struct scope s = file_scope(f, true, NULL);
    b->params = ARENA_ARRAY(f->arena, struct ast_param, map->count + 1);
    for (int i = 0; i < map->count; i++) {
        struct ast_param *p = &b->params[b->nparams++];
        if (!param_parse(&s, map->keys[i], map->items[i], true, p) && !p->def)
            p->def = tree_text(f->arena, map->keys[i]->span, "0");
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
            if (strcmp(p->name, taken[k]) == 0)
                file_error(f, p->span, "a block's parameter can't be called '%s': every layer or stage has that key",
                           p->name);
    }
}

static void parse_blocks(struct spec_file *f)
{
    static const char *const keys[] = {"params", "layers"};
    const struct tree *map = tree_get(f->root, "blocks");
    if (!map || !file_is_map(f, map, "blocks")) return;
    f->blocks = ARENA_ARRAY(f->arena, struct ast_block, map->count + 1);
    for (int i = 0; i < map->count; i++) {
        const struct tree *t = map->items[i], *params = tree_get(t, "params");
        block_name_ok(f, map->keys[i]);
        if (!file_is_map(f, t, "a block")) continue;
        struct ast_block *b = &f->blocks[f->nblocks++];
        *b =
            (struct ast_block){.name = map->keys[i]->text, .span = map->keys[i]->span, .layers = tree_get(t, "layers")};
        file_check_keys(f, t, "a block", keys, 2);
        if (params && file_is_map(f, params, "params")) parse_block_params(f, b, params);
        if (!b->layers) {
            file_error(f, b->span, "the block '%s' needs 'layers'", b->name);
            struct tree *none = tree_map(f->arena, b->span);
            none->kind = TREE_LIST;
            b->layers = none;
        }
    }
}

static void parse_modules(struct spec_file *f)
{
    static const char *const keys[] = {"name", "layers"};
    const struct tree *map = tree_get(f->root, "shared");
    if (!map || !file_is_map(f, map, "shared")) return;
    f->modules = ARENA_ARRAY(f->arena, struct ast_module, map->count + 1);
    struct scope s = file_scope(f, true, NULL);
    for (int i = 0; i < map->count; i++) {
        const struct tree *t = map->items[i], *name = tree_get(t, "name"), *layers = tree_get(t, "layers");
        if (!file_is_map(f, t, "a shared module")) continue;
        file_check_keys(f, t, "a shared module", keys, 2);
        struct ast_value v = {.s = map->keys[i]->text};
        if (name && !value_eval(&s, name, AST_TEXT, &v)) continue;
        if (!v.s || !is_name(v.s, true)) {
            file_error(f, name ? name->span : map->keys[i]->span,
                       "'%s' can't be a name: letters, digits and _, with dots between parts", v.s ? v.s : "");
            continue;
        }
        if (!layers) {
            file_error(f, map->keys[i]->span, "the shared module '%s' needs 'layers'", map->keys[i]->text);
            continue;
        }
        f->modules[f->nmodules++] =
            (struct ast_module){.name = map->keys[i]->text, .path = v.s, .span = map->keys[i]->span, .layers = layers};
    }
}

static const struct convention *version_of(const struct spec_file *f, const struct tree *t)
{
    const struct convention *newest = &convention_versions[convention_nversions - 1], *found;
    if (!t) {
        diag_note(file_error(f, (struct span){.src = f->source}, "the spec does not say its language's version"),
                  "begin it with `rnc: %s`", newest->name);
        return newest;
    }
    if (t->kind == TREE_TEXT && (found = convention_find(convention_versions, convention_nversions, t->text)))
        return found;
    file_error(f, t->span, "this rnc reads versions 1 to %s of the language, not %s", newest->name,
               tree_words(f->arena, t));
    return newest;
}

/* `conventions:`, by whose framework defaults are. */
static void parse_conventions(struct spec_file *f)
{
    const struct scope s = file_scope(f, true, NULL);
    const struct tree *t = tree_get(f->root, "conventions");
    struct ast_value v;
    bool ok;
    if (t) t = value_choose(&s, t, &ok);
    if (!t || !value_eval(&s, t, AST_TEXT, &v) || !v.known) return;
    f->convention.framework = convention_find(convention_frameworks, convention_nframeworks, v.s);
    if (f->convention.framework) return;
    const char **names = ARENA_ARRAY(f->arena, const char *, convention_nframeworks);
    for (int i = 0; i < convention_nframeworks; i++) names[i] = convention_frameworks[i].name;
    file_suggest(f, file_error(f, t->span, "conventions can't be '%s'", v.s), v.s, "one of", names,
                 (size_t)convention_nframeworks);
}

static void parse_header(struct spec_file *f)
{
    const struct tree *model = tree_get(f->root, "model");
    f->convention.version = version_of(f, tree_get(f->root, "rnc"));
    f->name = "model";
    if (!model) diag_note(file_error(f, (struct span){.src = f->source}, "the spec has no name"), "`model: my_net`");
    else if (model->kind != TREE_TEXT || !is_name(model->text, false))
        file_error(f, model->span, "a model's name is letters, digits and _, not %s", tree_words(f->arena, model));
    else f->name = model->text;
}

struct spec_file *file_open(struct arena *a, struct diags *d, const struct source *src, const struct tree *root,
                            struct ast *ast, const struct spec_file *user, const struct tree *given,
                            const struct scope *given_scope)
{
    struct spec_file *f = ARENA_NEW(a, struct spec_file);
    *f = (struct spec_file){.arena = a,
                            .diags = d,
                            .source = src,
                            .folder = file_folder(a, src->path),
                            .root = root,
                            .ast = ast,
                            .user = user};
    if (root->kind != TREE_MAP) {
        file_error(f, root->span, "a spec is a map that begins with `rnc: 1`, not %s", tree_words(a, root));
        return NULL;
    }
    file_check_keys(f, root, "a spec", top_keys, NTOP);
    parse_header(f);
    parse_params(f, given, given_scope);
    parse_conventions(f);
    parse_inputs(f);
    parse_blocks(f);
    parse_modules(f);
    if (!tree_get(root, "layers"))
        diag_note(file_error(f, (struct span){.src = src}, "the spec has no layers"), "`layers:` and a list below it");
    return f;
}

/* ---- layers */

static void label_inputs(struct spec_file *f, struct scope *s, const int *refs)
{
    for (int i = 0; i < f->ninputs; i++) {
        struct label *l = ARENA_NEW(f->arena, struct label);
        *l = (struct label){s->dynamic ? refs[i] : REF_NONE, f->inputs[i].span};
        strmap_set(s->labels, f->inputs[i].name, l);
    }
    s->has_in = true;
    s->in = s->prev = s->dynamic && f->ninputs ? refs[0] : s->dynamic ? REF_BAD : REF_NONE;
}

void file_check(struct spec_file *f)
{
    struct scope file = file_scope(f, false, NULL);
    for (int i = 0; i < f->nblocks; i++) {
        struct strmap labels;
        strmap_init(&labels, f->arena);
        struct scope s = file;
        s.parent = &file;
        s.params = f->blocks[i].params;
        s.nparams = f->blocks[i].nparams;
        s.labels = &labels;
        s.has_in = true;
        layers_walk(&s, f->blocks[i].layers);
    }
    for (int i = 0; i < f->nmodules; i++) {
        struct strmap labels;
        strmap_init(&labels, f->arena);
        struct scope s = file;
        s.labels = &labels;
        s.has_in = true;
        layers_walk(&s, f->modules[i].layers);
    }
    struct strmap labels;
    strmap_init(&labels, f->arena);
    struct scope s = file_scope(f, false, &labels);
    label_inputs(f, &s, NULL);
    use_labels(f, &s);
    if (tree_get(f->root, "layers")) layers_walk(&s, tree_get(f->root, "layers"));
}

void file_expand(struct spec_file *f, struct scope *s, const int *inputs)
{
    label_inputs(f, s, inputs);
    use_expand(f, s);
    s->prev = s->in;
    const struct tree *layers = tree_get(f->root, "layers");
    if (layers) layers_walk(s, layers);
}
