/* compose.h: layers made of layers. Each checks (static scope) or expands (dynamic scope) one layer of its kind and
   returns the ref of its output; the functions of layers.c that it shares with the operators are declared here, too. */
#ifndef RNC_SPEC_COMPOSE_H
#define RNC_SPEC_COMPOSE_H

#include "spec/layers.h"

/* What a layer is given: its own map and, in a stage's first round, the map under `first`, which wins. */
struct layer_args {
    const struct tree *main, *first;
};

struct ast_block *compose_find(const struct spec_file *f, const char *name);
int compose_block(struct scope *s, const struct tree *key, const struct tree *args, struct ast_block *b);
int compose_stage(struct scope *s, const struct tree *key, const struct tree *args);
int compose_apply(struct scope *s, const struct tree *key, const struct tree *args);

/* ---- of layers.c */

extern const char *const layers_common[]; /* the keys that every layer has */
enum { LAYERS_NCOMMON = 4 };

const struct tree *layers_arg(const struct layer_args *a, const char *key);
/* One more layer, block or round; false (with one error) when there are too many. */
bool layers_step(struct scope *s, struct span at);
/* ITEMS with room for one more than COUNT. */
void *layers_grow(struct arena *a, void *items, int count, int *cap, size_t size);
void layers_map(struct strmap *m, struct arena *a, const char *key, int value);
bool layers_is_one(const char *key, const char *const *keys, int count);
/* `name`, or NULL in *name when there is none. */
bool layers_name(struct scope *s, const struct layer_args *a, const char **name);
/* `as` of a layer with one output. */
bool layers_as(struct scope *s, const struct layer_args *a, int ref);
/* `from` as refs, at most MAX; *count = 0: there is none. */
bool layers_from(struct scope *s, const struct layer_args *a, int *refs, int max, int *count);
/* The one input of a block, a stage or a used spec. */
bool layers_input(struct scope *s, const struct layer_args *a, const char *what, int *ref);

#endif
