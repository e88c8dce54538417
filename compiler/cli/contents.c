/* contents.c: see contents.h. */
#include "cli/contents.h"
#include "cli/folder.h"

/* Does the spec alone say what pixels become? */
static bool says_all(const struct dataset_model *m)
{
    const struct rnc_normalize *n = &m->spec->inputs[0].image.normalize;
    return n->kind == RNC_NORMALIZE_NONE || n->kind == RNC_NORMALIZE_NUMBERS;
}

/* From the record in F, the weights; without them from the spec, where that says all. */
static bool take_preprocess(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                            struct contents *to)
{
    const char *line;
    if (!m->image || (!f && !says_all(m))) return true;
    struct rnc_loader_config *l = ARENA_NEW(c->arena, struct rnc_loader_config);
    *l = dataset_loader(m, false);
    if (!dataset_preprocess(c, m, NULL, f, NULL, false, l, &line)) return false;
    to->gen.preprocess = &l->preprocess;
    to->images = dataset_preprocess_text(c, &l->preprocess);
    return true;
}

static bool take_classes(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                         struct contents *to)
{
    if (m->classes == 0 || (!f && !m->spec->nclasses)) return true;
    to->gen.classes = dataset_classes(c, m, f, NULL);
    to->gen.nclasses = to->gen.classes ? (int)m->classes : 0;
    return to->gen.classes != NULL;
}

bool contents_open(struct cli *c, const struct dataset_model *m, const struct built *b, const char *weights,
                   bool no_weights, struct contents *to)
{
    struct rnc_status s = {0};
    *to = (struct contents){0};
    if (!folder_weights(c, m->spec, &weights)) return false;
    struct rnc_safetensors *f = weights ? rnc_st_open(weights, &s) : NULL;
    if (weights && !f) return driver_fail(c->driver, &s);
    bool ok = take_preprocess(c, m, f, to) && take_classes(c, m, f, to);
    rnc_st_close(f);
    return ok && (!weights || no_weights || driver_pack(c->driver, b, weights, &to->weights, &to->gen.state));
}

void contents_close(struct contents *k) { session_close(&k->weights); }
