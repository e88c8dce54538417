/* dataset.h: what train, eval and predict share: the data that a spec or --data names, whether they fit the model, how
   images come to it. */
#ifndef RNC_CLI_DATASET_H
#define RNC_CLI_DATASET_H

#include "cli/cli.h"
#include "driver/problem.h"
#include "runtime/data/data.h"
#include "runtime/data/loader.h"
#include "runtime/io/safetensors.h"
#include "runtime/task/task.h"

/* The outside of a model, known before anything is compiled. */
struct dataset_model {
    const struct spec *spec;
    struct rnc_problem problem;         /* its inputs and targets, what is compared and measured */
    const struct rnc_reading *readings; /* its outputs, for predictions */
    int nreadings;
    const struct rnc_port *image;  /* the only input, of images; NULL: it has others */
    const struct rnc_port *labels; /* the only target, of labels; NULL: it has others */
    int64_t classes;               /* of the labels */
};
bool dataset_model(struct cli *c, const char *spec, struct dataset_model *m);

/* Which data a command works on. */
struct dataset_request {
    const char *path;                      /* --data; NULL: what the spec's train section names, or the digits */
    bool evaluate;                         /* validation data, or what the run of WEIGHTS held out, or all there is */
    bool all;                              /* all there is in any case */
    const struct rnc_safetensors *weights; /* whose classes these are, and whose run; NULL: none yet */
    const struct text_list *rename;        /* FOLDER=CLASS */
};
/* Opens them and checks that they fit M: classes by name, sizes, channels. False with diagnostics, which name the
   parameters that would make it fit; *D is closed then. */
bool dataset_open(struct cli *c, const struct dataset_model *m, const struct dataset_request *r, struct rnc_data *d);

/* The loader's configuration, without what images go through: ports, and with TRAIN the spec's augmentation. */
struct rnc_loader_config dataset_loader(const struct dataset_model *m, bool train);

/* What images go through, into l->preprocess, by one rule for all commands: the record in the weights' metadata (F may
   be NULL); without one what the spec says; what neither says by default: the whole picture for maps, else its centre
   (7/8 of it after training on random parts), grey or rgb, 0..1, normalised as measured in TRAINING on D, else not at
   all. --normalize TEXT (NULL: not given) goes before all. D may be NULL. *LINE becomes words that say what and why. */
bool dataset_preprocess(struct cli *c, const struct dataset_model *m, const char *text, const struct rnc_safetensors *f,
                        const struct rnc_data *d, bool training, struct rnc_loader_config *l, const char **line);
/* The text of it, without a reason: runtime/recipe/preprocess.h. In the arena. */
const char *dataset_preprocess_text(struct cli *c, const struct rnc_preprocess *p);

/* The key under which a checkpoint has its data in words, and the words: the description without the name, for data are
   the same wherever they lie. */
extern const char dataset_words_key[];
const char *dataset_words(const struct rnc_data *d);
/* What checkpoints keep for eval and predict, and a run that goes on has again: what images go through, the data's
   parts, class names. In the arena. */
enum { DATASET_META = 4 };
size_t dataset_meta(struct cli *c, const struct rnc_loader_config *l, const struct rnc_data *d,
                    struct rnc_st_meta meta[DATASET_META]);
/* The names of the model's classes from the weights' metadata, the spec, or D (F and D may be NULL, each may have
   none); numbers where there are none. The weights' and the spec's are the same, in any order: NULL with diagnostics.
 */
const char *const *dataset_classes(struct cli *c, const struct dataset_model *m, const struct rnc_safetensors *f,
                                   const struct rnc_data *d);

#endif
