/* sound.c: is a spec sound? Of what it asks of its training data, too. */
#include "driver/sound.h"

#include "driver/problem.h"
#include "runtime/recipe/format.h"
#include "spec/ast.h"

/* ---- classes */

/* How many classes a target tells apart; 0: it has none. */
static int64_t target_classes(const struct graph *g, const struct spec_tensor *t)
{
    if (t->type->labels) return session_classes(g, t->name, NULL);
    if (!t->type->binary) return 0;
    return t->type->annotation ? 2 : t->dim[0]; /* without and with it; or any of them */
}

/* `classes` names those of a target or, where there is no target, of an output's channels. */
static void check_classes(struct driver *d, const struct spec *s, const struct graph *g)
{
    int64_t other = 0;
    if (s->nclasses == 0) return;
    for (int i = 0; i < s->ntargets; i++) {
        int64_t n = target_classes(g, &s->targets[i]);
        if (n == s->nclasses) return;
        if (n) other = n;
    }
    for (int i = 0; i < g->noutputs && s->ntargets == 0; i++) {
        const struct type *t = &g->outputs[i].value->type;
        if (t->rank < 2 || t->dim[1] == s->nclasses || (t->dim[1] == 1 && s->nclasses == 2)) return;
        other = t->dim[1];
    }
    if (other == 0) return;
    struct diag *e = diag_error(d->diags, s->classes_span, "%d classes have names, the model tells %lld apart",
                                s->nclasses, (long long)other);
    diag_note(e, "`classes` has a name for each of them, in their order");
}

/* ---- data */

static bool gives(const struct rnc_data_format *f, const struct spec_tensor *t)
{
    return f->arrays || (t->picture && (f->annotations & 1u << t->picture->annotation));
}

/* What a picture of the format has: its size, where all have one. */
static void check_pictures(struct driver *d, const struct spec *s, const struct rnc_data_format *f)
{
    const struct spec_tensor *x = &s->inputs[0];
    if (s->ninputs != 1 || x->rank != 3) {
        struct diag *g = diag_error(d->diags, x->span, "%s gives one picture a sample; the model takes %s", f->row.name,
                                    s->ninputs > 1 ? "several inputs" : "features");
        diag_note(g, "`data: {npy: {train: …}}` gives an array for each input and target");
        return;
    }
    if (f->files && x->dim[0] != 1 && x->dim[0] != 3)
        diag_error(d->diags, x->span, "the pictures of %s have 1 or 3 channels, the input '%s' has %lld", f->row.name,
                   x->name, (long long)x->dim[0]);
    bool same = true;
    for (int i = 0; i < 3; i++) same &= !f->picture[i] || f->picture[i] == x->dim[i];
    if (same) return;
    diag_error(d->diags, x->span, "the pictures of %s are %s, the input '%s' is %s", f->row.name,
               shape_text(d->arena, 3, f->picture), x->name, shape_text(d->arena, 3, x->dim));
}

/* The data that the spec itself names: do they give its inputs and targets, and can they be augmented? */
static void check_data(struct driver *d, const struct spec *s, const struct graph *g)
{
    const struct rnc_data_format *f = s->train.data_span.src ? rnc_data_format(&s->train.data) : NULL;
    if (!f) return;
    if (!f->arrays) check_pictures(d, s, f);
    for (int i = 0; i < s->ntargets; i++) {
        const struct spec_tensor *t = &s->targets[i];
        int64_t classes = target_classes(g, t);
        if (!gives(f, t))
            diag_note(diag_error(d->diags, t->span, "%s does not give the target '%s', which is a %s", f->row.name,
                                 t->name, t->type->name),
                      "`data: {npy: {train: …}}` gives an array for each input and target");
        else if (f->classes && classes && classes != f->classes)
            diag_error(d->diags, t->span, "%s has %d classes, the model has %lld for the target '%s'", f->row.name,
                       f->classes, (long long)classes, t->name);
    }
    if (f->arrays && s->train.naugment)
        diag_note(diag_error(d->diags, s->train.data_span, "augmentation is for pictures, %s holds arrays",
                             f->row.name),
                  "take `augment` out");
}

/* ---- the whole */

/* Can the step be built, for the batch that the spec trains with? */
static void check_step(struct driver *d, const struct spec *s)
{
    struct graph *g = driver_elaborate(d, s, &(struct model_options){.mode = MODEL_TRAIN, .batch = s->train.batch});
    struct pass_context c = {
        .arena = d->arena, .diags = d->diags, .train = {.optimizer = s->train.optimizer}, .dtype = s->dtype};
    if (g) pass_run(g, &c, "autodiff");
}

struct graph *driver_sound(struct driver *d, const struct spec *s)
{
    const int before = diags_errors(d->diags);
    struct model_options o = driver_measured(s, MODEL_INFER);
    struct rnc_problem measured;
    o.batch = d->options.batch ? d->options.batch : 1;
    struct graph *g = driver_elaborate(d, s, &o);
    if (!g || diags_errors(d->diags) != before) return NULL;
    check_classes(d, s, g);
    check_data(d, s, g);
    if (s->nlosses > 0 && driver_problem(d, s, g, &measured)) check_step(d, s);
    return diags_errors(d->diags) == before ? g : NULL;
}
