/* resume.h: a run that goes on. Every option that is not given is that of the run; one that is given, and another, is
   an error of rnc_train, which names both values. */
#ifndef RNC_CLI_RESUME_H
#define RNC_CLI_RESUME_H

#include "cli/cli.h"
#include "runtime/io/safetensors.h"
#include "runtime/train/checkpoint.h"

/* Of `rnc train`. */
struct recipe_options {
    const char *data, *out, *init, *normalize;
    int64_t epochs, extend; /* 0: not given */
    double lr;
    bool lr_given, resume, overwrite, no_shuffle, no_augment, allow_drift;
    int64_t schedule_epochs; /* as of struct rnc_train_config */
    double late_lr;
};

/* Takes what O and C's options do not say from O->out's last.safetensors: the recipe, and how it was compiled. *FILE:
   that file, open, for what images went through; NULL after a failure. False with diagnostics: nothing to go on with.
 */
bool resume_adopt(struct cli *c, struct recipe_options *o, struct rnc_safetensors **file);

/* The keys of what resume_adopt reads and rnc_train does not write: the algorithm of every convolution, of the step and
   of the validation, and how activations are stored. */
extern const char resume_choices_key[], resume_dtype_key[];
/* What was given to compile with, and how long the schedule is, as facts; returns how many. */
enum { RESUME_FACTS = 4 };
size_t resume_facts(struct cli *c, const struct recipe_options *o, struct rnc_fact facts[RESUME_FACTS]);

#endif
