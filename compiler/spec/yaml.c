/* yaml.c: libyaml's events become a tree (the only file that includes libyaml). */
#include "spec/yaml.h"

#include <string.h>
#include <yaml.h>
#include "base/strmap.h"

struct reader {
    struct arena *arena;
    struct diags *diags;
    const struct source *src;
    size_t skip; /* bytes of the text before the document, all in line 1 */
    yaml_parser_t parser;
    struct strmap anchors;
    int depth;
    int64_t nodes;
    bool failed; /* nothing sensible follows */
    bool faulty; /* an error that would only lead to further ones: no tree comes back */
};

/* ---- the text itself, before libyaml sees it */

/* The length of the UTF-8 sequence at P, or 0 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *p, size_t left, uint32_t *code)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    if (n == 0 || n > left) return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (n == 4 && (c < 0x10000 || c > 0x10ffff))) return 0;
    *code = c;
    return n;
}

static bool is_allowed(uint32_t c)
{
    if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
    return c < 0x7f || c == 0x85 || (c >= 0xa0 && c != 0xfeff && c != 0xfffe && c != 0xffff);
}

/* Bytes, characters and tabs that no spec may have; all of them are found in one run, the first of each line. */
static bool check_text(struct reader *r)
{
    const unsigned char *p = (const unsigned char *)r->src->text, *end = p + r->src->len;
    struct span at = {r->src, 1, 1, 1};
    bool ok = true, indent = true, told = false;
    while (p < end) {
        uint32_t c = 0;
        size_t n = utf8_length(p, (size_t)(end - p), &c);
        if (n == 0 && !told) diag_error(r->diags, at, "byte 0x%02x is not UTF-8; a spec is UTF-8 text", *p);
        else if (n && c == 0 && !told) diag_error(r->diags, at, "a NUL byte; a spec is text");
        else if (n && !is_allowed(c) && !told)
            diag_error(r->diags, at, "the control character U+%04X is not allowed", c);
        else if (c == '\t' && indent && !told) diag_error(r->diags, at, "a tab in the indentation; YAML wants spaces");
        else goto next;
        ok = false;
        told = true;
    next:
        if (c != ' ') indent = false;
        p += n ? n : 1;
        at.col++;
        if (c == '\n') {
            at.line++;
            at.col = 1;
            indent = true;
            told = false;
        }
    }
    return ok;
}

/* ---- places */

static struct span span_between(const struct reader *r, yaml_mark_t start, yaml_mark_t end)
{
    size_t shift = start.line == 0 ? r->skip : 0;
    struct span s = {r->src, (uint32_t)start.line + 1, (uint32_t)(start.column + shift) + 1, 1};
    if (end.line == start.line && end.column > start.column) s.len = (uint32_t)(end.column - start.column);
    return s;
}

static struct span event_span(const struct reader *r, const yaml_event_t *e)
{
    return span_between(r, e->start_mark, e->end_mark);
}

/* What libyaml's words mean to somebody who writes a spec. */
static const struct {
    const char *problem, *advice;
} advices[] = {
    {"mapping values are not allowed in this context",
     "a ':' too many, or the line is indented deeper than the one above"},
    {"did not find expected ',' or '}'",
     "is a ',' or the closing '}' missing? an expression is $(…): braces are not allowed inside {…}"},
    {"did not find expected ',' or ']'", "is a ',' or the closing ']' missing?"},
    {"did not find expected key", "the keys of a map must be indented alike"},
    {"did not find expected '-' indicator", "the items of a list must be indented alike"},
    {"could not find expected ':'", "a key is followed by ': '"},
    {"found character that cannot start any token", "put texts that begin with @, ` or % in quotes"},
    {"found unexpected end of stream", "is a quote or a bracket left open?"},
};

static void syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "unreadable YAML";
    struct span at = span_between(r, p->problem_mark, p->problem_mark);
    r->failed = true;
    if (p->error == YAML_MEMORY_ERROR) {
        diag_env(r->diags, "%s: no memory to read it", r->src->path);
        return;
    }
    if (r->skip && at.line > 1) at = (struct span){r->src, 1, (uint32_t)r->src->len + 1, 1}; /* the end of an option */
    struct diag *g = diag_error(r->diags, at, "YAML: %s", problem);
    if (p->context)
        diag_note(g, "%s that begins at line %zu, column %zu", p->context, p->context_mark.line + 1,
                  p->context_mark.column + 1 + (p->context_mark.line ? 0 : r->skip));
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(advices[i].problem, problem) == 0) diag_note(g, "%s", advices[i].advice);
}

static bool next_event(struct reader *r, yaml_event_t *e)
{
    if (r->failed) return false;
    if (yaml_parser_parse(&r->parser, e)) return true;
    syntax_error(r);
    return false;
}

/* ---- nodes */

static struct tree *read_node(struct reader *r, yaml_event_t *e);

static struct tree *new_tree(struct reader *r, enum tree_kind kind, struct span span)
{
    struct tree *t = ARENA_NEW(r->arena, struct tree);
    *t = (struct tree){.kind = kind, .span = span, .weight = 1, .text = ""};
    r->nodes++;
    return t;
}

static bool too_many(struct reader *r, struct span at)
{
    if (r->nodes <= YAML_MAX_NODES) return false;
    if (!r->failed)
        diag_error(r->diags, at, "the file has more than %d values, counting what each alias stands for",
                   YAML_MAX_NODES);
    r->failed = true;
    return true;
}

static void check_tag(struct reader *r, const yaml_char_t *tag, struct span at)
{
    static const char core[] = "tag:yaml.org,2002:";
    if (!tag) return;
    const char *name = (const char *)tag;
    bool is_core = strncmp(name, core, sizeof core - 1) == 0;
    struct diag *g = diag_error(r->diags, at, "the tag '%s%s' is not allowed", is_core ? "!!" : "",
                                is_core ? name + sizeof core - 1 : name);
    r->faulty = true;
    diag_note(g, "what a value means is decided by the place where it stands; quotes make it text");
}

static void set_anchor(struct reader *r, const yaml_char_t *anchor, struct tree *t)
{
    if (anchor) strmap_set(&r->anchors, (const char *)anchor, t);
}

static struct tree *read_scalar(struct reader *r, yaml_event_t *e)
{
    struct tree *t = new_tree(r, TREE_TEXT, event_span(r, e));
    t->text = arena_strndup(r->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
    t->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (strlen(t->text) != e->data.scalar.length) diag_error(r->diags, t->span, "a NUL character in a text");
    check_tag(r, e->data.scalar.tag, t->span);
    set_anchor(r, e->data.scalar.anchor, t);
    return t;
}

static struct tree *read_alias(struct reader *r, yaml_event_t *e)
{
    struct span at = event_span(r, e);
    const char *name = (const char *)e->data.alias.anchor;
    struct tree *t = strmap_get(&r->anchors, name);
    if (!t) {
        struct diag *g = diag_error(r->diags, at, "the alias *%s has no anchor &%s before it", name, name);
        diag_note(g, "a value can't contain itself, and an anchor stands before its aliases");
        r->faulty = true;
        return new_tree(r, TREE_TEXT, at);
    }
    r->nodes += t->weight;
    too_many(r, at);
    return t;
}

/* A growing array of nodes. */
struct list {
    struct tree **items;
    int count, cap;
};

static void push(struct reader *r, struct list *l, struct tree *t)
{
    if (l->count == l->cap) {
        int cap = l->cap ? l->cap * 2 : 8;
        struct tree **items = ARENA_ARRAY(r->arena, struct tree *, cap);
        if (l->count) memcpy(items, l->items, (size_t)l->count * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->count++] = t;
}

static struct tree *read_list(struct reader *r, yaml_event_t *start)
{
    struct tree *t = new_tree(r, TREE_LIST, event_span(r, start));
    bool flow = start->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    yaml_mark_t from = start->start_mark;
    char *anchor = start->data.sequence_start.anchor
                       ? arena_strdup(r->arena, (const char *)start->data.sequence_start.anchor)
                       : NULL;
    check_tag(r, start->data.sequence_start.tag, t->span);
    struct list items = {0};
    for (yaml_event_t e; next_event(r, &e); yaml_event_delete(&e)) {
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            if (flow) t->span = span_between(r, from, e.end_mark);
            yaml_event_delete(&e);
            break;
        }
        struct tree *item = read_node(r, &e);
        if (item) {
            t->weight += item->weight;
            push(r, &items, item);
        }
    }
    t->items = items.items;
    t->count = items.count;
    if (anchor) strmap_set(&r->anchors, anchor, t);
    return t;
}

static bool check_key(struct reader *r, const struct tree *key, struct strmap *seen)
{
    if (key->kind != TREE_TEXT) {
        diag_error(r->diags, key->span, "a key must be a text, not a %s", key->kind == TREE_LIST ? "list" : "map");
        return false;
    }
    if (strcmp(key->text, "<<") == 0 && !key->quoted) {
        diag_error(r->diags, key->span,
                   "merging with '<<' is not allowed: write the keys out, or use a block with parameters");
        r->faulty = true;
        return false;
    }
    if (key->text[0] == '\0') {
        diag_error(r->diags, key->span, "an empty key");
        return false;
    }
    const struct tree *first = strmap_get(seen, key->text);
    if (!first) return strmap_add(seen, key->text, (void *)(uintptr_t)key);
    struct diag *g = diag_error(r->diags, key->span, "the key '%s' stands here twice", key->text);
    diag_note(g, "the first is at line %u", first->span.line);
    return false;
}

static void read_pairs(struct reader *r, struct tree *t, bool flow, yaml_mark_t from)
{
    struct list keys = {0}, items = {0};
    struct strmap seen;
    strmap_init(&seen, r->arena);
    for (yaml_event_t e; next_event(r, &e);) {
        if (e.type == YAML_MAPPING_END_EVENT) {
            if (flow) t->span = span_between(r, from, e.end_mark);
            yaml_event_delete(&e);
            break;
        }
        struct tree *key = read_node(r, &e);
        yaml_event_delete(&e);
        if (!key || !next_event(r, &e)) break;
        struct tree *value = read_node(r, &e);
        yaml_event_delete(&e);
        if (!value) break;
        t->weight += key->weight + value->weight;
        if (!check_key(r, key, &seen)) continue;
        push(r, &keys, key);
        push(r, &items, value);
    }
    t->keys = keys.items;
    t->items = items.items;
    t->count = keys.count;
}

static struct tree *read_map(struct reader *r, yaml_event_t *start)
{
    struct tree *t = new_tree(r, TREE_MAP, event_span(r, start));
    check_tag(r, start->data.mapping_start.tag, t->span);
    char *anchor = start->data.mapping_start.anchor
                       ? arena_strdup(r->arena, (const char *)start->data.mapping_start.anchor)
                       : NULL;
    read_pairs(r, t, start->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE, start->start_mark);
    if (anchor) strmap_set(&r->anchors, anchor, t);
    return t;
}

/* The node that begins with event E (which the caller deletes), or NULL after a failure. */
static struct tree *read_node(struct reader *r, yaml_event_t *e)
{
    struct span at = event_span(r, e);
    if (too_many(r, at)) return NULL;
    if (r->depth == YAML_MAX_DEPTH) {
        diag_error(r->diags, at, "lists and maps stand more than %d deep in each other", YAML_MAX_DEPTH);
        r->failed = true;
        return NULL;
    }
    struct tree *t = NULL;
    r->depth++;
    switch (e->type) {
    case YAML_SCALAR_EVENT: t = read_scalar(r, e); break;
    case YAML_ALIAS_EVENT: t = read_alias(r, e); break;
    case YAML_SEQUENCE_START_EVENT: t = read_list(r, e); break;
    case YAML_MAPPING_START_EVENT: t = read_map(r, e); break;
    default: r->failed = true; break; /* libyaml sends nothing else here */
    }
    r->depth--;
    return r->failed ? NULL : t;
}

static void check_document(struct reader *r, const yaml_event_t *e, int count)
{
    struct span at = event_span(r, e);
    if (count > 0) {
        diag_error(r->diags, at, "a second document begins here; a spec is one");
        r->failed = true;
    }
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        diag_error(r->diags, at, "%%TAG directives are not allowed");
}

static struct tree *read_stream(struct reader *r)
{
    struct tree *root = NULL;
    int documents = 0;
    bool end = false;
    for (yaml_event_t e; !end && next_event(r, &e); yaml_event_delete(&e)) {
        switch (e.type) {
        case YAML_STREAM_END_EVENT: end = true; break;
        case YAML_DOCUMENT_START_EVENT: check_document(r, &e, documents++); break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT: break;
        default: root = read_node(r, &e); break;
        }
    }
    if (!root && !r->failed) diag_error(r->diags, (struct span){.src = r->src}, "the file is empty");
    return r->failed || r->faulty ? NULL : root;
}

struct tree *yaml_parse(struct arena *a, struct diags *d, const struct source *src, size_t skip)
{
    struct reader r = {.arena = a, .diags = d, .src = src, .skip = skip};
    if (src->len > YAML_MAX_BYTES) {
        diag_error(d, (struct span){.src = src}, "the file has %zu bytes; a spec has at most %d", src->len,
                   YAML_MAX_BYTES);
        return NULL;
    }
    if (!check_text(&r)) return NULL;
    strmap_init(&r.anchors, a);
    if (!yaml_parser_initialize(&r.parser)) {
        diag_env(d, "no memory for libyaml");
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)src->text + skip, src->len - skip);
    struct tree *root = read_stream(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

/* ---- trees */

static int find_key(const struct tree *map, const char *key)
{
    if (!map || map->kind != TREE_MAP) return -1;
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return i;
    return -1;
}

struct tree *tree_get(const struct tree *map, const char *key)
{
    int i = find_key(map, key);
    return i < 0 ? NULL : map->items[i];
}

const struct tree *tree_key(const struct tree *map, const char *key)
{
    int i = find_key(map, key);
    return i < 0 ? NULL : map->keys[i];
}

bool tree_empty(const struct tree *t) { return t->kind == TREE_TEXT && !t->quoted && t->text[0] == '\0'; }

void tree_set(struct arena *a, struct tree *map, struct tree *key, struct tree *value)
{
    int at = find_key(map, key->text), n = at < 0 ? map->count + 1 : map->count;
    struct tree **keys = ARENA_ARRAY(a, struct tree *, n), **items = ARENA_ARRAY(a, struct tree *, n);
    if (map->count) {
        memcpy(keys, map->keys, (size_t)map->count * sizeof *keys);
        memcpy(items, map->items, (size_t)map->count * sizeof *items);
    }
    if (at < 0) at = map->count;
    keys[at] = key;
    items[at] = value;
    map->keys = keys;
    map->items = items;
    map->count = n;
}

struct tree *tree_text(struct arena *a, struct span span, const char *text)
{
    struct tree *t = ARENA_NEW(a, struct tree);
    *t = (struct tree){.kind = TREE_TEXT, .span = span, .text = text, .weight = 1};
    return t;
}

struct tree *tree_map(struct arena *a, struct span span)
{
    struct tree *t = ARENA_NEW(a, struct tree);
    *t = (struct tree){.kind = TREE_MAP, .span = span, .text = "", .weight = 1};
    return t;
}

const char *tree_words(struct arena *a, const struct tree *t)
{
    if (t->kind == TREE_LIST) return "a list";
    if (t->kind == TREE_MAP) return "a map";
    if (tree_empty(t)) return "nothing";
    return arena_printf(a, "'%s'", t->text);
}

const char *tree_count_words(struct arena *a, const struct tree *t)
{
    return t->kind == TREE_LIST ? arena_printf(a, "%d value%s", t->count, t->count == 1 ? "" : "s") : tree_words(a, t);
}
