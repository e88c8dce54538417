/* yaml.h: YAML text -> a tree whose every node knows its place. Only what a spec needs of YAML: texts, lists, maps,
   anchors and aliases; tags, merges ('<<'), several documents and duplicate keys are errors, and size, depth and
   expansion are capped. What a scalar means is decided later, by the place where it stands. */
#ifndef RNC_SPEC_YAML_H
#define RNC_SPEC_YAML_H

#include <stdbool.h>
#include <stdint.h>
#include "base/diag.h"

enum {
    YAML_MAX_BYTES = 1 << 20, /* of a file */
    YAML_MAX_DEPTH = 64,      /* of lists and maps in each other */
    YAML_MAX_NODES = 200000,  /* counting what every alias stands for */
};

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };

struct tree {
    enum tree_kind kind;
    struct span span; /* a text: all of it; a flow list or map on one line: all of it; else its first character */
    bool quoted;      /* a text in quotes, or a block text: never a number, an expression or nothing */
    const char *text; /* TREE_TEXT; "" for an empty value */
    int count;
    struct tree **keys;  /* TREE_MAP: texts */
    struct tree **items; /* TREE_LIST, TREE_MAP */
    int64_t weight;      /* nodes below and with this one, aliases written out */
    void *parsed;        /* what spec/ made of it, so that it is made once */
};

/* The document in SRC from byte SKIP on, or NULL with diagnostics. Everything belongs to the arena. */
struct tree *yaml_parse(struct arena *a, struct diags *d, const struct source *src, size_t skip);

/* The value of KEY in a map, or NULL (also when it is no map); and the key's own node. */
struct tree *tree_get(const struct tree *map, const char *key);
const struct tree *tree_key(const struct tree *map, const char *key);
/* A value that was left out: `key:` with nothing behind it. */
bool tree_empty(const struct tree *t);
/* Sets KEY in the map (replacing what was there); the map's arrays are made anew in the arena. */
void tree_set(struct arena *a, struct tree *map, struct tree *key, struct tree *value);
struct tree *tree_text(struct arena *a, struct span span, const char *text);
struct tree *tree_map(struct arena *a, struct span span);
/* "a list", "a map", "nothing" or the text in quotes, for messages. */
const char *tree_words(struct arena *a, const struct tree *t);
const char *tree_count_words(struct arena *a, const struct tree *t); /* the same, but "2 values" of a list */

#endif
